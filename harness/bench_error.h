/* bench_error.h -- what fp8 costs: the same few prompts in fp8 and in fp16.
 *
 * The prompts and pictures are made up, so that a model with drawn weights can be asked, too. Two
 * models need not be open at once: one is asked and closed, then the other. */
#ifndef HARNESS_BENCH_ERROR_H
#define HARNESS_BENCH_ERROR_H

#include "engine/base/str.h"
#include "engine/llava.h"

enum { BENCH_PROMPTS = 8, BENCH_TOKENS = 16 };

struct bench_replies {          /* zeroed before its first use */
    int vocabulary;
    float *logits;              /* [BENCH_PROMPTS][vocabulary], of each prompt's last row */
    int n[BENCH_PROMPTS];       /* greedy tokens; the last is the end's, -1, where there was one */
    int32_t token[BENCH_PROMPTS][BENCH_TOKENS + 1];
};
enum status bench_replies(struct llava *m, struct bench_replies *out, struct err *e);
void bench_replies_free(struct bench_replies *r);

struct bench_error {
    double logits;              /* relative L2, over all prompts */
    double equal_tokens;        /* share of equal ones, among tokens that stand behind equal ones */
};
struct bench_error bench_error(const struct bench_replies *fp8, const struct bench_replies *fp16);
/* Two keys more in the object that json ends with. */
void bench_error_json(const struct bench_error *error, struct str *json);

#endif
