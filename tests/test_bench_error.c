/* What `bench --dtype fp8` says of fp8: replies that are made up here, against the definition. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "harness/bench_error.h"
#include "tests/check.h"

enum { V = 3 };

static struct bench_replies made(float logit, int n)
{
    struct bench_replies r = { .vocabulary = V, .logits = calloc(BENCH_PROMPTS * V, sizeof(float)) };
    for (int i = 0; i < BENCH_PROMPTS * V; i++)
        r.logits[i] = logit;
    for (int p = 0; p < BENCH_PROMPTS; p++) {
        r.n[p] = n;
        for (int i = 0; i < n; i++)
            r.token[p][i] = 10 * p + i;
    }
    return r;
}

TEST(bench_error_is_the_definitions)
{
    struct bench_replies a = made(2.1f, 5), b = made(2, 5);
    struct bench_error error = bench_error(&a, &b);
    CHECK_NEAR(error.logits, 0.05, 1e-6);
    CHECK(error.equal_tokens == 1);

    a.logits[7] = 8;                                        /* (23 * 0.1^2 + 6^2) / (24 * 2^2) */
    CHECK_NEAR(bench_error(&a, &b).logits, sqrt((23 * 0.01 + 36) / 96), 1e-5);

    a.token[0][2] = 99;                                     /* two before it are equal, none behind */
    a.n[1] = 6, a.n[2] = 0;                                 /* one more; none */
    error = bench_error(&a, &b);
    CHECK_NEAR(error.equal_tokens, (2.0 + 5 + 5 * 5) / (3.0 + 5 + 5 * 5), 1e-12);
    bench_replies_free(&a);
    bench_replies_free(&b);
}

TEST(bench_error_adds_its_keys)
{
    struct str json;
    str_init(&json, 1000);
    str_add(&json, "{\"a\":{\"b\":1}}\n");
    bench_error_json(&(struct bench_error){ 0.25, 0.5 }, &json);
    CHECK_STR(json.at, "{\"a\":{\"b\":1},\"fp8_logits_error\":0.25,\"fp8_equal_tokens\":0.5}\n");
    str_free(&json);
}

TEST(bench_error_asks_the_same_twice)
{
    char path[4096];
    struct bench_replies r[2] = { { 0 }, { 0 } };
    struct err e = { 0 };
    snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp", test_root());
    for (int i = 0; i < 2; i++) {
        struct llava *m = NULL;
        struct llava_options o = { .device = "cpu", .batch_tokens = i ? 50 : 0 };
        if (CHECK_OK(llava_open(&m, path, &o, &e), e))
            CHECK_OK(bench_replies(m, &r[i], &e), e);
        llava_close(m);
    }
    struct bench_error error = bench_error(&r[0], &r[1]);
    CHECK(error.logits == 0 && error.equal_tokens == 1);
    CHECK(r[0].n[0] > 0 && r[0].logits[0] != r[0].logits[1]);
    bench_replies_free(&r[0]);
    bench_replies_free(&r[1]);
}
