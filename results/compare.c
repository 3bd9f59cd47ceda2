/* compare.c -- drawing pictures, and exchanging runs.
 *
 * Draws are made in blocks: a picture's multiplicity in each of BLOCK draws stands side by side, so
 * that adding it to a cell is one short loop over numbers next to each other. */
#include "results/compare.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "results/stats.h"

enum { BLOCK = 16 };

/* What one thread works in. */
struct worker {
    uint32_t *times;            /* [n_pictures][BLOCK] */
    uint32_t *weight;           /* [n_runs][n_cells][BLOCK] */
    uint32_t *one;              /* [n_cells]: of one draw */
    double *metrics;            /* [n_runs][n_metrics] */
};

static void worker_close(struct worker *b)
{
    free(b->times);
    free(b->weight);
    free(b->one);
    free(b->metrics);
}

static bool worker_open(struct worker *b, const struct paired *p)
{
    size_t runs = (size_t)p->n_runs;

    b->times = calloc((p->n_pictures + 1) * BLOCK, sizeof *b->times);
    b->weight = malloc((runs * p->n_cells + 1) * BLOCK * sizeof *b->weight);
    b->one = malloc((p->n_cells + 1) * sizeof *b->one);
    b->metrics = malloc((runs * p->n_metrics + 1) * sizeof *b->metrics);
    return b->times && b->weight && b->one && b->metrics;
}

/* The metrics of run r in draw d of the block. */
static void tally_draw(const struct paired *p, struct worker *b, int r, int d)
{
    const uint32_t *weight = b->weight + (size_t)r * p->n_cells * BLOCK;

    for (size_t c = 0; c < p->n_cells; c++)
        b->one[c] = weight[c * BLOCK + (size_t)d];
    p->tally(p->what, b->one, b->metrics + (size_t)r * p->n_metrics);
}

enum status compare_values(const struct paired *p, double *values, struct err *e)
{
    uint32_t *weight = malloc((p->n_cells + 1) * sizeof *weight);

    if (!weight)
        return err_set(e, ERR_MEMORY, "no memory to compare %zu cells", p->n_cells);
    for (int r = 0; r < p->n_runs; r++) {
        memset(weight, 0, p->n_cells * sizeof *weight);
        for (size_t u = 0; u < p->first[p->n_pictures]; u++)
            weight[p->cell[r][u]]++;
        p->tally(p->what, weight, values + (size_t)r * p->n_metrics);
    }
    free(weight);
    return OK;
}

/* ---- drawing pictures ------------------------------------------------------------------------- */

/* As many as there are, with replacement; the high bits of a product instead of a division. */
static void draw_pictures(const struct paired *p, uint64_t seed, int draw, int d, uint32_t *times)
{
    uint64_t stream = stats_stream(seed, (uint64_t)draw);
    size_t n = p->n_pictures;

    for (size_t k = 0; k < n; k += 2) {
        uint64_t two = stats_random(&stream);
        times[((two >> 32) * n >> 32) * BLOCK + (size_t)d]++;
        if (k + 1 < n)
            times[((two & 0xffffffffu) * n >> 32) * BLOCK + (size_t)d]++;
    }
}

static void weigh(const struct paired *p, struct worker *b)
{
    memset(b->weight, 0, (size_t)p->n_runs * p->n_cells * BLOCK * sizeof *b->weight);
    for (int r = 0; r < p->n_runs; r++)
        for (size_t c = 0; c < p->n_pictures; c++)
            for (size_t u = p->first[c]; u < p->first[c + 1]; u++) {
                uint32_t *to = b->weight + ((size_t)r * p->n_cells + p->cell[r][u]) * BLOCK;
                const uint32_t *times = b->times + c * BLOCK;
                for (int d = 0; d < BLOCK; d++)
                    to[d] += times[d];
            }
}

/* drawn: [n][n_metrics][draws]. */
static void bootstrap_block(const struct paired *p, struct worker *b, const struct contrast *of,
                            int n, int draws, uint64_t seed, int block, double *drawn)
{
    int from = block * BLOCK, count = draws - from < BLOCK ? draws - from : BLOCK;

    memset(b->times, 0, p->n_pictures * BLOCK * sizeof *b->times);
    for (int d = 0; d < count; d++)
        draw_pictures(p, seed, from + d, d, b->times);
    weigh(p, b);
    for (int d = 0; d < count; d++) {
        for (int r = 0; r < p->n_runs; r++)
            tally_draw(p, b, r, d);
        for (int k = 0; k < n; k++)
            for (size_t m = 0; m < p->n_metrics; m++) {
                double sum = 0;
                for (int r = 0; r < p->n_runs; r++)
                    if (of[k].of_run[r] != 0)
                        sum += of[k].of_run[r] * b->metrics[(size_t)r * p->n_metrics + m];
                drawn[((size_t)k * p->n_metrics + m) * (size_t)draws + (size_t)(from + d)] = sum;
            }
    }
}

enum status compare_bootstrap(const struct paired *p, const struct contrast *contrasts, int n,
                              int draws, uint64_t seed, struct interval *intervals, struct err *e)
{
    size_t columns = (size_t)n * p->n_metrics;
    double *drawn = malloc((columns * (size_t)draws + 1) * sizeof *drawn);
    atomic_bool failed = drawn == NULL;

    if (drawn && p->n_pictures > 1) {
        #pragma omp parallel
        {
            struct worker b = { 0 };
            if (!worker_open(&b, p))
                failed = true;
            #pragma omp for schedule(dynamic)
            for (int block = 0; block < (draws + BLOCK - 1) / BLOCK; block++)
                if (!failed)
                    bootstrap_block(p, &b, contrasts, n, draws, seed, block, drawn);
            worker_close(&b);
        }
    }
    for (size_t c = 0; c < columns && !failed; c++) {
        intervals[c] = (struct interval){ NAN, NAN };
        if (p->n_pictures > 1) {
            double *x = drawn + c * (size_t)draws;
            intervals[c].low = stats_quantile(x, (size_t)draws, 0.025);
            intervals[c].high = stats_quantile(x, (size_t)draws, 0.975);
        }
    }
    free(drawn);
    return failed ? err_set(e, ERR_MEMORY, "no memory for %d draws of %zu pictures", draws,
                            p->n_pictures) : OK;
}

/* ---- exchanging runs -------------------------------------------------------------------------- */

/* Pictures on which the two runs differ. */
struct exchange {
    const size_t *picture;
    size_t n;
    const uint32_t *weight[2];  /* [n_cells]: as it was */
    bool all;                   /* every exchange once: draw d exchanges where bit k of d is set */
};

static void choose(const struct exchange *x, uint64_t seed, int draw, int d, uint32_t *times)
{
    uint64_t stream = stats_stream(seed, (uint64_t)draw), bits = (uint64_t)draw;

    for (size_t k = 0; k < x->n; k++, bits >>= 1) {
        if (!x->all && k % 64 == 0)
            bits = stats_random(&stream);
        times[k * BLOCK + (size_t)d] = bits & 1;
    }
}

/* The weights of run 0 once exchanged; unsigned numbers come round again where they pass below 0. */
static void exchange_block(const struct paired *p, const struct exchange *x, struct worker *b)
{
    uint32_t *other = b->weight + p->n_cells * BLOCK;

    for (size_t c = 0; c < p->n_cells; c++)
        for (int d = 0; d < BLOCK; d++)
            b->weight[c * BLOCK + (size_t)d] = x->weight[0][c];
    for (size_t k = 0; k < x->n; k++)
        for (size_t u = p->first[x->picture[k]]; u < p->first[x->picture[k] + 1]; u++) {
            uint32_t *in = b->weight + p->cell[1][u] * BLOCK;
            uint32_t *out = b->weight + p->cell[0][u] * BLOCK;
            const uint32_t *times = b->times + k * BLOCK;
            for (int d = 0; d < BLOCK; d++)
                in[d] += times[d];
            for (int d = 0; d < BLOCK; d++)
                out[d] -= times[d];
        }
    for (size_t c = 0; c < p->n_cells; c++)
        for (int d = 0; d < BLOCK; d++)
            other[c * BLOCK + (size_t)d] = x->weight[0][c] + x->weight[1][c] -
                                           b->weight[c * BLOCK + (size_t)d];
}

/* extreme[n_metrics]: draws whose difference is no smaller than the one that was seen. */
static void permute_block(const struct paired *p, const struct exchange *x, struct worker *b,
                          int draws, uint64_t seed, int block, const double *seen,
                          atomic_size_t *extreme, atomic_size_t *counted)
{
    int from = block * BLOCK, count = draws - from < BLOCK ? draws - from : BLOCK;

    for (int d = 0; d < count; d++)
        choose(x, seed, from + d, d, b->times);
    exchange_block(p, x, b);
    for (int d = 0; d < count; d++) {
        tally_draw(p, b, 0, d);
        tally_draw(p, b, 1, d);
        for (size_t m = 0; m < p->n_metrics; m++) {
            double difference = fabs(b->metrics[p->n_metrics + m] - b->metrics[m]);
            if (isnan(difference) || isnan(seen[m]))
                continue;
            counted[m]++;                       /* sums in another order: equal within rounding */
            extreme[m] += difference >= seen[m] - 1e-9 * (1 + seen[m]);
        }
    }
}

static size_t find_differing(const struct paired *p, size_t *pictures)
{
    size_t n = 0;

    for (size_t c = 0; c < p->n_pictures; c++)
        for (size_t u = p->first[c]; u < p->first[c + 1]; u++)
            if (p->cell[0][u] != p->cell[1][u]) {
                pictures[n++] = c;
                break;
            }
    return n;
}

static bool permute(const struct paired *p, const struct exchange *x, int draws, uint64_t seed,
                    const double *seen, atomic_size_t *extreme, atomic_size_t *counted)
{
    atomic_bool failed = false;

    #pragma omp parallel
    {
        struct worker b = { 0 };
        if (!worker_open(&b, p))
            failed = true;
        #pragma omp for schedule(dynamic)
        for (int block = 0; block < (draws + BLOCK - 1) / BLOCK; block++)
            if (!failed)
                permute_block(p, x, &b, draws, seed, block, seen, extreme, counted);
        worker_close(&b);
    }
    return !failed;
}

enum status compare_permute(const struct paired *p, int draws, uint64_t seed, double *p_values,
                            struct err *e)
{
    struct paired two = *p;
    size_t *pictures = malloc((p->n_pictures + 1) * sizeof *pictures);
    uint32_t *weight = calloc(2 * p->n_cells + 1, sizeof *weight);
    double *seen = malloc((2 * p->n_metrics + 1) * sizeof *seen);
    atomic_size_t *extreme = calloc(2 * p->n_metrics + 1, sizeof *extreme);
    bool good = pictures && weight && seen && extreme;

    two.n_runs = 2;
    if (good && compare_values(&two, seen, e) == OK) {
        atomic_size_t *counted = extreme + p->n_metrics;
        struct exchange x = { pictures, find_differing(p, pictures),
                              { weight, weight + p->n_cells }, false };
        for (int r = 0; r < 2; r++)
            for (size_t u = 0; u < p->first[p->n_pictures]; u++)
                weight[(size_t)r * p->n_cells + p->cell[r][u]]++;
        for (size_t m = 0; m < p->n_metrics; m++)
            seen[m] = fabs(seen[p->n_metrics + m] - seen[m]);
        x.all = x.n < 31 && (1 << x.n) <= draws;
        good = permute(&two, &x, x.all ? 1 << x.n : draws, seed, seen, extreme, counted);
        for (size_t m = 0; m < p->n_metrics; m++)           /* the one seen is a draw, too */
            p_values[m] = !counted[m] ? NAN
                : x.all ? (double)extreme[m] / (double)counted[m]
                : ((double)extreme[m] + 1) / ((double)counted[m] + 1);
    }
    free(pictures);
    free(weight);
    free(seen);
    free(extreme);
    return good ? e->code : err_set(e, ERR_MEMORY, "no memory for %d exchanges of %zu pictures",
                                    draws, p->n_pictures);
}
