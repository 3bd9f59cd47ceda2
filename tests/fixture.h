/* fixture.h -- what the benchmarks' tests share: small official files, answers, scores.
 *
 *     struct fixture f;
 *     put("coco_pope_random.json", "...");            below the test's own folder
 *     fixture_read(&f, "pope", "test");               reads the split from "."
 *     fixture_score(&f, "{\"question_id\": ...}\n");  answers file -> f.scores
 *     CHECK_NEAR(scores_get(&f.scores, "f1"), 50, 1e-12);
 *     fixture_free(&f); */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "benchmarks/benchmark.h"
#include "tests/check.h"

struct fixture {
    const struct benchmark *benchmark;
    struct arena arena;
    struct questions questions;
    struct answers answers;
    struct scores scores;
    struct err err;                         /* of the last step */
};

void put(const char *path, const char *content);        /* with the folders it needs */
enum status fixture_read(struct fixture *f, const char *benchmark, const char *split);
/* partial as --partial; answers by an answers file that is written for it. */
enum status fixture_score(struct fixture *f, const char *answers, bool partial);
void fixture_free(struct fixture *f);

/* What one reply to question i is worth: mark.a. */
double fixture_mark(const struct fixture *f, size_t i, const char *reply);

/* T of question i with the paper's prompts; in the fixture's arena. */
const char *fixture_prompt(struct fixture *f, size_t i);

#endif
