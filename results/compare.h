/* compare.h -- several runs over the same questions: how sure is the difference?
 *
 * Questions about one picture are not independent, so whole pictures are drawn with replacement, and
 * the same ones for every run: what the runs have in common cancels. A metric may be any function of
 * how often each reply counts (a mean of F1s, a ratio of means), since each draw is tallied anew.
 * For that a reply is known by its cell: replies that no tally can tell apart share one.
 *
 * Results depend on the data and the seed alone, never on threads. */
#ifndef RESULTS_COMPARE_H
#define RESULTS_COMPARE_H

#include "engine/base/err.h"
#include <stdint.h>

enum { COMPARE_DRAWS = 10000, COMPARE_RUNS = 4 };

struct paired {
    int n_runs;                             /* at most COMPARE_RUNS */
    size_t n_pictures, n_cells, n_metrics;
    const size_t *first;                    /* [n_pictures + 1]: units of a picture stand together */
    const uint32_t *cell[COMPARE_RUNS];     /* [units]: where the run's reply falls */
    /* The metrics when replies of each cell count weight[cell] times; NaN where undefined. Called
     * from several threads at once. */
    void (*tally)(const void *what, const uint32_t *weight, double *metrics);
    const void *what;
};

/* The metrics as they are: values [n_runs][n_metrics]. */
enum status compare_values(const struct paired *p, double *values, struct err *e);

/* A question put to the draws: the sum over runs of of_run[r] * metric. { -1, 1 }: a difference. */
struct contrast { double of_run[COMPARE_RUNS]; };
struct interval { double low, high; };      /* NaN: it has none (fewer than two pictures) */

/* 95 % percentile intervals [n][n_metrics] of the contrasts. */
enum status compare_bootstrap(const struct paired *p, const struct contrast *contrasts, int n,
                              int draws, uint64_t seed, struct interval *intervals, struct err *e);

/* Two-sided p-values [n_metrics]: how often a difference as large as that between runs 0 and 1 comes
 * up when it is open, picture by picture, which run said what. All exchanges are tried where they
 * are no more than `draws`; else so many are drawn. */
enum status compare_permute(const struct paired *p, int draws, uint64_t seed, double *p_values,
                            struct err *e);

#endif
