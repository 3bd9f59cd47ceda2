/* McNemar's test, Holm's correction, quantiles, random numbers.
 *
 * Provenance: tests/vectors/stats/record.py (scipy.stats.binomtest; Holm by its definition). */
#include "results/stats.h"

#include <math.h>

#include "engine/base/json.h"
#include "tests/check.h"

enum { MOST = 64 };

static size_t numbers(const struct json *list, double out[MOST])
{
    size_t n = 0;
    for (const struct json *x = list->first; x && n < MOST; x = x->next)
        out[n++] = x->number;
    return n;
}

TEST(stats_agree_with_scipy)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    size_t tests = 0, corrections = 0;

    jsonl_open(&in, &a, &e, "%s/tests/vectors/stats/stats.jsonl", test_root());
    while (jsonl_next(&in)) {
        const char *kind = jsonl_str(&in, "kind");
        if (!strcmp(kind, "mcnemar")) {
            double want = json_get_double(in.object, "p", NAN);
            CHECK_NEAR(stats_mcnemar((size_t)jsonl_int(&in, "gained"),
                                     (size_t)jsonl_int(&in, "lost")), want, 1e-9 * want);
            tests++;
        } else if (!strcmp(kind, "holm")) {
            double p[MOST], want[MOST], got[MOST];
            size_t n = numbers(json_get(in.object, "p"), p);
            CHECK_INT(numbers(json_get(in.object, "adjusted"), want), n);
            stats_holm(p, n, got);
            for (size_t i = 0; i < n; i++)
                CHECK_NEAR(got[i], want[i], 1e-15);
            corrections++;
        }
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK_INT(tests, 11);
    CHECK_INT(corrections, 5);
    arena_free(&a);
}

TEST(stats_holm_leaves_out_what_was_not_tested)
{
    const double p[] = { 0.04, NAN, 0.01 };
    double got[3];
    stats_holm(p, 3, got);
    CHECK_NEAR(got[0], 0.04, 1e-15);
    CHECK(isnan(got[1]));
    CHECK_NEAR(got[2], 0.02, 1e-15);
}

TEST(stats_quantiles_are_numpys)                            /* numpy.quantile, its default */
{
    double x[] = { 4, NAN, 1, 3, 2 }, one[] = { 7 }, none[] = { NAN };
    CHECK_NEAR(stats_quantile(x, 5, 0.025), 1.075, 1e-15);
    CHECK_NEAR(stats_quantile(x, 4, 1), 4, 0);
    CHECK_NEAR(stats_quantile(one, 1, 0.5), 7, 0);
    CHECK(isnan(stats_quantile(none, 1, 0.5)));
}

TEST(stats_streams_are_their_own)
{
    uint64_t a = stats_stream(1, 7), again = stats_stream(1, 7), next = stats_stream(1, 8);
    CHECK(stats_random(&a) == stats_random(&again));
    CHECK(stats_random(&a) != stats_random(&next));
    CHECK(stats_stream(2, 7) != stats_stream(1, 7));
    double sum = 0;                                         /* first numbers of many streams */
    for (uint64_t k = 0; k < 10000; k++) {
        uint64_t stream = stats_stream(3, k);
        sum += (double)(stats_random(&stream) >> 11) * 0x1p-53;
    }
    CHECK_NEAR(sum / 10000, 0.5, 0.012);                    /* four standard errors */
}
