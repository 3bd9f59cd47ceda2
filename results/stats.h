/* stats.h -- the few statistics that comparisons need, each as its textbook has it. */
#ifndef RESULTS_STATS_H
#define RESULTS_STATS_H

#include <stddef.h>
#include <stdint.h>

/* McNemar's exact test, two-sided: of gained + lost questions that only one side got right, each is
 * on either side with probability 1/2. 1 when there is none. */
double stats_mcnemar(size_t gained, size_t lost);

/* Holm (1979): p-values of n tests made together, so that the chance of one false alarm among all
 * stays below the level. NaN: no test, and counts for none. */
void stats_holm(const double *p, size_t n, double *adjusted);

/* The q-quantile of x[n], sorted here, between neighbours in proportion; NaN entries are left out.
 * NaN when nothing is left. */
double stats_quantile(double *x, size_t n, double q);

/* A sequence of random numbers (splitmix64) that depends on the seed and on its own number alone:
 * whoever draws it, and when, it is the same. */
uint64_t stats_stream(uint64_t seed, uint64_t number);
uint64_t stats_random(uint64_t *stream);

#endif
