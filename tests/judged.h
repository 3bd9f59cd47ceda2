/* judged.h -- what the tests of judged benchmarks share. */
#ifndef TESTS_JUDGED_H
#define TESTS_JUDGED_H

#include "engine/base/sha256.h"
#include "tests/fixture.h"

/* Scores recorded reviews of the fixture's questions; at most 64 questions. */
enum status judged_score(struct fixture *f, const char *reviews, bool partial);

/* The metric, exactly. */
void judged_check(const struct fixture *f, const char *metric, double want);

const char *judged_hash(const char *text, char hex[SHA256_HEX]);

#endif
