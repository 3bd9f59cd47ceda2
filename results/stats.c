/* stats.c -- McNemar, Holm, quantiles, and a seeded generator. */
#include "results/stats.h"

#include <math.h>
#include <stdlib.h>

/* The tail sum of the binomial, from its largest term down: each is the one above it times
 * k / (n - k + 1). */
double stats_mcnemar(size_t gained, size_t lost)
{
    double n = (double)(gained + lost), m = (double)(gained < lost ? gained : lost);
    double term = 1, sum = 1;
    int sign;                                               /* lgamma() keeps it in a global */

    for (size_t k = gained < lost ? gained : lost; k >= 1 && term > 1e-18 * sum; k--) {
        term *= (double)k / (n - (double)k + 1);
        sum += term;
    }
    double top = exp(lgamma_r(n + 1, &sign) - lgamma_r(m + 1, &sign) - lgamma_r(n - m + 1, &sign) -
                     n * log(2));
    double p = 2 * top * sum;
    return p < 1 ? p : 1;
}

/* How many tests have a smaller p than test i; equal ones stand in their order. */
static size_t rank(const double *p, size_t n, size_t i)
{
    size_t smaller = 0;
    for (size_t k = 0; k < n; k++)
        smaller += p[k] < p[i] || (p[k] == p[i] && k < i);
    return smaller;
}

void stats_holm(const double *p, size_t n, double *adjusted)
{
    size_t tests = 0;

    for (size_t i = 0; i < n; i++) {
        tests += !isnan(p[i]);
        adjusted[i] = NAN;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = rank(p, n, i);
        double bound = fmin(1, p[i] * (double)(tests - at));
        for (size_t k = 0; k < n && !isnan(p[i]); k++)      /* none is below one of a smaller p */
            if (!isnan(p[k]) && rank(p, n, k) >= at && !(adjusted[k] >= bound))
                adjusted[k] = bound;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_quantile(double *x, size_t n, double q)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            x[kept++] = x[i];
    if (kept == 0)
        return NAN;
    qsort(x, kept, sizeof *x, by_value);
    double at = q * (double)(kept - 1);
    size_t below = (size_t)at;
    return below + 1 < kept ? x[below] + (at - (double)below) * (x[below + 1] - x[below])
                            : x[kept - 1];
}

/* Steele, Lea, Flood 2014: every 64-bit state gives a good sequence. */
uint64_t stats_random(uint64_t *stream)
{
    uint64_t z = *stream += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Streams must not begin a step apart: each begins where a generator of generators says. */
uint64_t stats_stream(uint64_t seed, uint64_t number)
{
    uint64_t from = seed, begin = stats_random(&from) ^ number;
    return stats_random(&begin);
}
