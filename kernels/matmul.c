/* matmul.c -- products with packed weights, over any micro kernel.
 *
 * Each thread owns some rows and some panels of the result and shares nothing (no barrier):
 *
 *     for each stripe of its rows             as many as are near enough, over `depth` k's
 *         for each depth of K                 the stripe's rows are copied into blocks, once
 *             for each of its panels          read from memory once per stripe
 *                 for each block of k         32 columns x block k's: stays in L1
 *                     for each group of rows  one call of the micro kernel
 *                 the last depth: bias, activation, residual, store
 *
 * The sums of a row run over the same blocks of k in the same order whatever the stripes, depths
 * and threads are: c only pauses in memory in between. Where K has several depths the pausing sums
 * of a stripe are kept for all panels of the thread. */
#include <stdbool.h>
#include <string.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#include "kernels/kernels.h"

/* A stripe is `near` bytes of rows in blocks, or less; and where K is too long for that, so many
 * groups of rows at least, for each of which the panels are read once. */
enum { GROUPS = 16 };

struct plan {
    int by_rows, by_panels;     /* threads: rows are cut in so many parts, panels in so many */
    int groups, panels;         /* of the product */
    int blocks, depth;          /* of k in K; of k in one depth */
    int stripe;                 /* groups of rows */
    size_t a_bytes, c_bytes, b_bytes, bytes;                /* of one thread; bytes: the sum */
};

static int ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}

/* All threads, or one where it is done before another wakes up. */
static int threads_for(const struct product *p)
{
    enum { FEW = 1 << 18 };
    if ((double)p->M * p->N * p->K < FEW)
        return 1;
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

static const struct micro *micro_for(const struct level *l, const struct micro *m,
                                     const struct product *p)
{
    return m && m->type == p->w_type ? m : &l->f32;
}

size_t micro_block_bytes(const struct micro *m)
{
    return (size_t)m->rows * (size_t)m->block * number_size(m->type);
}

size_t micro_at(const struct micro *m, int rows, int i, int k)
{
    if (!m->tiled)
        return (size_t)i * (size_t)m->block + (size_t)k;
    return (size_t)(k / 32) * 32 * (size_t)round_up(rows, 16) + (size_t)i * 32;
}

void micro_pack(const struct level *l, const struct micro *m, void *blocks, int apart,
                const void *x, enum number type, size_t stride, int rows, int K, int rounded)
{
    size_t size = number_size(type), to_size = number_size(m->type);
    for (int k = 0; k < K; k += m->block) {
        char *block = (char *)blocks + (size_t)(k / m->block * apart) * micro_block_bytes(m);
        int n = K - k < m->block ? K - k : m->block;
        for (int i = 0; i < rows; i++)
            l->runs(block + micro_at(m, rows, i, 0) * to_size, m->type, micro_at(m, rows, 0, 32),
                    (const char *)x + ((size_t)i * stride + (size_t)k) * size, type, n, rounded);
    }
}

static struct plan plan_of(const struct micro *m, const struct product *p, int threads)
{
    enum { FEW_ROWS = 256 };    /* a thread with fewer would read weights for too little work */
    struct plan s = { .groups = ceil_div(p->M, m->rows) };
    s.panels = ceil_div(p->N, p->act == ACTIVATE_SWIGLU ? PANEL / 2 : PANEL);
    s.by_rows = 1;
    while (threads % (2 * s.by_rows) == 0 && p->M / (2 * s.by_rows) >= FEW_ROWS)
        s.by_rows *= 2;
    s.by_panels = threads / s.by_rows;
    s.blocks = ceil_div(round_up(p->K, 32), m->block);
    s.depth = s.blocks;
    size_t block = micro_block_bytes(m);
    int most = (int)((size_t)m->near / block);              /* blocks of rows that fit */
    int mine = ceil_div(s.groups, s.by_rows);
    if ((size_t)mine * (size_t)s.blocks > (size_t)most) {
        int deep = most / GROUPS > 0 ? most / GROUPS : 1;
        s.depth = s.blocks < deep ? s.blocks : deep;
    }
    s.stripe = most / s.depth > 0 ? most / s.depth : 1;
    s.stripe = mine < s.stripe ? mine : s.stripe;
    size_t c = (size_t)s.stripe * (size_t)m->rows * PANEL * sizeof(float);
    s.a_bytes = (size_t)s.stripe * (size_t)s.depth * block;
    s.c_bytes = c * (size_t)(s.depth < s.blocks ? ceil_div(s.panels, s.by_panels) : 1);
    s.b_bytes = p->w_type == m->type ? 0 : PANEL * (size_t)m->block * sizeof(float);
    s.bytes = s.a_bytes + s.c_bytes + s.b_bytes;            /* each a multiple of 64 */
    return s;
}

size_t matmul_scratch(const struct level *l, const struct micro *m, const struct product *p)
{
    int threads = threads_for(p);
    return plan_of(micro_for(l, m, p), p, threads).bytes * (size_t)threads;
}

/* Panels p0 .. p1 of groups g0 .. g0 + n, of which blocks b0 .. b1 of k lie in a. While one block
 * of a panel is worked on the next is fetched: it comes from far away, and is needed all at once.
 */
static void stripe_panels(const struct level *l, const struct micro *m, const struct product *p,
                          const struct plan *s, int g0, int n, int b0, int b1, int p0, int p1,
                          const char *a, float *c, float *expanded)
{
    int Kp = round_up(p->K, 32);
    size_t block = micro_block_bytes(m), c_group = (size_t)m->rows * PANEL;
    size_t column = PANEL * number_size(p->w_type);         /* bytes of a panel for one k */
    bool narrow = expanded && p->M <= NARROW_ROWS;
    for (int j = p0; j < p1; j++) {
        const char *panel = (const char *)p->panels + (size_t)j * (size_t)Kp * column;
        size_t kept = s->depth < s->blocks ? (size_t)(j - p0) * (size_t)s->stripe : 0;
        float *sums = c + kept * c_group;
        for (int b = b0; b < b1; b++) {
            int k = b * m->block, nk = Kp - k < m->block ? Kp - k : m->block;
            const char *weights = panel + (size_t)k * column, *next = weights + (size_t)nk * column;
            if (b + 1 == b1)
                next = panel + ((size_t)Kp + (size_t)(b0 * m->block)) * column;
            struct ahead soon = { next, j + 1 == p1 && b + 1 == b1 ? 0 : ceil_div(32, n) };
            size_t step = (size_t)(nk / 32) * (size_t)soon.lines * 64;
            if (expanded && !narrow) {
                l->expand(expanded, weights, p->w_type, nk);
                weights = (const char *)expanded;
            }
            for (int g = 0; g < n; g++, soon.at += step) {
                int first = (g0 + g) * m->rows, left = p->M - first;
                int rows = left < m->rows ? left : m->rows;
                float *group = sums + (size_t)g * c_group;
                const char *x = a + ((size_t)(b - b0) * (size_t)n + (size_t)g) * block;
                if (narrow)
                    l->narrow(group, x, weights, p->w_type, rows, nk, b > 0);
                else
                    m->run(group, x, weights, rows, nk, b > 0, &soon);
                if (b + 1 == s->blocks)
                    l->finish(p, group, j, first, rows);
            }
        }
    }
}

/* What thread `me` does. */
static void part(const struct level *l, const struct micro *m, const struct product *p,
                 const struct plan *s, int me, char *scratch)
{
    int r = me / s->by_panels, q = me % s->by_panels;
    int g_end = (int)((long long)s->groups * (r + 1) / s->by_rows);
    int p0 = (int)((long long)s->panels * q / s->by_panels);
    int p1 = (int)((long long)s->panels * (q + 1) / s->by_panels);
    char *a = scratch;
    float *c = (float *)(void *)(scratch + s->a_bytes);
    float *expanded = s->b_bytes ? (float *)(void *)(scratch + s->a_bytes + s->c_bytes) : NULL;
    for (int g = (int)((long long)s->groups * r / s->by_rows); g < g_end; g += s->stripe) {
        int n = g_end - g < s->stripe ? g_end - g : s->stripe;
        for (int b = 0; b < s->blocks; b += s->depth) {
            int b1 = b + s->depth < s->blocks ? b + s->depth : s->blocks;
            int k = b * m->block, k1 = b1 * m->block < p->K ? b1 * m->block : p->K;
            for (int i = 0; i < n; i++) {
                int first = (g + i) * m->rows, left = p->M - first;
                size_t at = (size_t)first * (size_t)p->K + (size_t)k;
                micro_pack(l, m, a + (size_t)i * micro_block_bytes(m), n,
                           (const char *)p->x + at * number_size(p->x_type), p->x_type,
                           (size_t)p->K, left < m->rows ? left : m->rows, k1 - k, p->rounded);
            }
            stripe_panels(l, m, p, s, g, n, b, b1, p0, p1, a, c, expanded);
        }
    }
}

void matmul(const struct level *l, const struct micro *m, const struct product *p, void *scratch)
{
    int threads = threads_for(p);
    m = micro_for(l, m, p);
    struct plan s = plan_of(m, p, threads);
    if (p->M == 0)
        return;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int me = 0; me < threads; me++) {
        if (m->begin)
            m->begin();
        part(l, m, p, &s, me, (char *)scratch + (size_t)me * s.bytes);
        if (m->end)
            m->end();
    }
}
