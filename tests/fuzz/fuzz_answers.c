/* Any bytes as an answers file of LLaVA, lmms-eval or VLMEvalKit, or as a judge's recorded reviews: one byte
 * says to which split of tests/fuzz/good, one how it is read. What was taken is scored and exported. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/reviews.h"
#include "harness/import.h"
#include "tests/fuzz/forms.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { REVIEWS = 1, PARTIAL = 2, STRIP_THINK = 4 };
static const char answers_file[] = "answers";

static void put_answers(const uint8_t *bytes, size_t n)
{
    int fd = open(answers_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

static void score_given(const struct benchmark *b, struct questions *qs, const char *const *replies,
                        const struct mark *marks, int passes, bool partial)
{
    struct arena a = { 0 };
    struct scores scores;
    struct err e = { 0 };
    scores_init(&scores, &a);
    benchmark_score(b, qs, replies, marks, passes, partial, 2, &scores, &e);
    scores_free(&scores);
    arena_free(&a);
}

static void read_answers(const struct benchmark *b, struct questions *qs, bool partial, struct err *e)
{
    struct arena a = { 0 };
    struct answers given = { 0 };
    struct exports out = { 0 };
    struct err refused = { 0 };

    if (import_answers(b, qs, answers_file, &given, &a, e) == OK) {
        size_t missing = 0;
        for (size_t i = 0; i < qs->n; i++)
            missing += !given.text[i];
        if (missing != given.missing)
            abort();
        if (!b->judge_mark)
            score_given(b, qs, given.text, NULL, 1, partial);
        if (b->export)
            b->export(qs, &given, &out, &refused);
    }
    exports_free(&out);
    answers_free(&given);
    arena_free(&a);
}

static void read_reviews(const struct benchmark *b, struct questions *qs,
                         const struct review_rules *rules, struct err *e)
{
    struct arena a = { 0 };
    struct mark *marks;
    struct scores extra;
    struct reviews all;
    struct exports out = { 0 };
    struct err refused = { 0 };
    int passes;
    const char **replies = arena_array(&a, qs->n, sizeof *replies);

    for (size_t i = 0; replies && i < qs->n; i++)
        replies[i] = "";
    scores_init(&extra, &a);
    if (b->reviews(qs, answers_file, rules, &a, &marks, &passes, &extra, e) == OK)
        score_given(b, qs, replies, marks, passes, rules->partial);
    scores_free(&extra);
    if (reviews_read(qs, answers_file, true, rules, b->review_question, &a, &all, &refused) == OK) {
        if (!*reviews_judge(&all, &a))
            abort();
        b->export_reviews(qs, &all, "m", "j", &out, &refused);
    }
    exports_free(&out);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct questions qs;
    struct err e = { 0 };
    if (n < 2)
        return 0;
    const struct form *form = &forms[bytes[0] % COUNT(forms)];
    const struct benchmark *b = benchmark_find(form->benchmark);
    struct review_rules rules = { .partial = bytes[1] & PARTIAL, .strip_think = bytes[1] & STRIP_THINK };

    questions_init(&qs, &a, form->split);
    if (b->read(good_folder(form, &a), form->split, &qs, &e) != OK)
        abort();
    put_answers(bytes + 2, n - 2);
    if (b->judge_mark && bytes[1] & REVIEWS)
        read_reviews(b, &qs, &rules, &e);
    else
        read_answers(b, &qs, rules.partial, &e);
    if ((e.code != OK) != (*e.text != '\0'))
        abort();
    questions_free(&qs);
    arena_free(&a);
    return 0;
}
