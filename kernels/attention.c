/* attention.c -- softmax(q k' / sqrt(d)) v over the KV cache; writing the cache, and copying in it.
 *
 * Both products are the micro kernel's: K lies as panels of 32 columns over d, V as panels of 32 of
 * its d over the columns (kernels.h). A tile is a full group of rows, neighbours with one base, so
 * what they see in common is read once. It walks over the columns that its rows see in chunks (the
 * kernel's block), from the slot's base and from each start of an own region on:
 *
 *     S = q k'       [rows, chunk]        into blocks of 32 columns
 *     P, most, sum = online softmax(S)    what a row does not see is 0
 *     y = y * correction + P v            and y / sum at the end
 *
 * A row's chunks start at its base and its own region's start, whatever tile it is in; and a chunk
 * of which it sees nothing leaves it as it is: its P is 0, its correction exactly 1. (Only the sign
 * of a zero could tell, so the last step adds +0.) */
#include <assert.h>
#include <math.h>
#include <string.h>
#if defined(_OPENMP)
#include <omp.h>
#endif
#include "kernels/kernels.h"

enum { MOST_ROWS = 32 };                                    /* of a micro kernel */

enum { FEW = 1 << 12 };         /* numbers of q that one thread does before another wakes up */

static size_t numbers(const struct attention *a)
{
    return (size_t)a->T * (size_t)a->heads * (size_t)a->d;
}

static int max_threads(void)
{
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

static int thread(void)
{
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

size_t attention_layer_bytes(const struct micro *m, int kv_heads, int d, int columns)
{
    return (size_t)kv_heads * (size_t)round_up(d, 32) * (size_t)columns * number_size(m->type);
}

/* What a row sees: [base, shared) and [own, end). */
struct sight { int base, shared, own, end; };

static struct sight sight_of(const struct place *at)
{
    struct sight s = { .base = at->base, .shared = at->base + at->prefix, .own = at->lo,
                       .end = at->col + 1 };
    if (s.own < s.shared || s.own == s.base) {              /* it joins up: one range from base. A question */
        /* that begins where its prefix ends is cut there all the same, as are those that begin later */
        s.shared = s.end > s.shared ? s.end : s.shared;
        s.own = s.end = s.shared;
    }
    return s;
}

struct work {                   /* one thread's scratch, and what it is about */
    const struct level *l;
    const struct micro *m;
    const struct attention *a;
    int rows, dp, d_blocks;     /* of the tile now; d padded to 32, and in blocks of the kernel */
    char *q, *p;                /* blocks: [d_blocks], one */
    float *s, *y;               /* [block/32], [dp/32] blocks of [rows][32], full groups */
    float most[MOST_ROWS], sum[MOST_ROWS];
    struct sight sees[MOST_ROWS];
};

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

static size_t work_bytes(const struct micro *m, int d)
{
    size_t c_block = (size_t)m->rows * PANEL * sizeof(float);
    int dp = round_up(d, 32), d_blocks = (dp + m->block - 1) / m->block;
    return align64(sizeof(struct work)) + (size_t)(d_blocks + 1) * micro_block_bytes(m) +
           (size_t)(m->block / PANEL + dp / PANEL) * c_block;
}

static struct work *work_at(char *scratch, const struct level *l, const struct micro *m,
                            const struct attention *a)
{
    size_t c_block = (size_t)m->rows * PANEL * sizeof(float);
    struct work *w = (void *)(scratch + (size_t)thread() * work_bytes(m, a->d));
    w->l = l;
    w->m = m;
    w->a = a;
    w->dp = round_up(a->d, 32);
    w->d_blocks = (w->dp + m->block - 1) / m->block;
    w->q = (char *)w + align64(sizeof *w);
    w->p = w->q + (size_t)w->d_blocks * micro_block_bytes(m);
    w->s = (void *)(w->p + micro_block_bytes(m));
    w->y = w->s + (size_t)(m->block / PANEL) * c_block / sizeof(float);
    return w;
}

static const struct ahead nothing;

/* One chunk: columns from c0 on, of which row i sees the first n[i]. */
static void chunk(struct work *w, int g, int c0, const int *n)
{
    const struct micro *m = w->m;
    const struct attention *a = w->a;
    size_t size = number_size(m->type), c_block = (size_t)m->rows * PANEL;
    size_t head = (size_t)g * (size_t)w->dp * (size_t)a->columns * size;
    float scale = (float)(1.4426950408889634 / sqrt(a->d));
    int most = 0;
    for (int i = 0; i < w->rows; i++)
        most = n[i] > most ? n[i] : most;
    int blocks = (most + PANEL - 1) / PANEL;
    for (int b = 0; b < blocks; b++) {
        const char *k = (const char *)a->k + head + (size_t)(c0 + b * PANEL) * (size_t)w->dp * size;
        for (int j = 0; j < w->d_blocks; j++) {
            int j0 = j * m->block, nj = w->dp - j0 < m->block ? w->dp - j0 : m->block;
            m->run(w->s + (size_t)b * c_block, w->q + (size_t)j * micro_block_bytes(m),
                   k + (size_t)j0 * PANEL * size, w->rows, nj, j > 0, &nothing);
        }
    }
    size_t run = micro_at(m, w->rows, 0, 32);
    for (int i = 0; i < w->rows; i++) {
        char *p = w->p + micro_at(m, w->rows, i, 0) * size;
        float by = w->l->softmax(w->s + (size_t)i * PANEL, c_block, n[i], blocks, scale,
                                 &w->most[i], &w->sum[i], p, m->type, run);
        for (int j = 0; by != 1 && j < w->dp / PANEL; j++) {
            float *y = w->y + (size_t)j * c_block + (size_t)i * PANEL;
            w->l->multiply(y, NUM_F32, y, by, PANEL);
        }
    }
    for (int j = 0; j < w->dp / PANEL; j++) {
        const char *v = (const char *)a->v + head +
                        ((size_t)j * (size_t)a->columns + (size_t)c0) * PANEL * size;
        m->run(w->y + (size_t)j * c_block, w->p, v, w->rows, blocks * PANEL, 1, &nothing);
    }
}

/* All chunks from column c0 on, for the rows that see [c0, to[i]). */
static void chunks(struct work *w, int g, int c0, const int *to)
{
    int end = c0, most = w->m->block, n[MOST_ROWS];
    for (int i = 0; i < w->rows; i++)
        end = to[i] > end ? to[i] : end;
    for (int c = c0; c < end; c += most) {
        for (int i = 0; i < w->rows; i++)
            n[i] = to[i] - c < 0 ? 0 : to[i] - c > most ? most : to[i] - c;
        chunk(w, g, c, n);
    }
}

/* Rows first .. first + n, one base, head h. */
static void tile(struct work *w, void *y, int first, int n, int h)
{
    const struct attention *a = w->a;
    size_t size = number_size(a->type), c_block = (size_t)w->m->rows * PANEL;
    size_t stride = (size_t)(a->heads + 2 * a->kv_heads) * (size_t)a->d;
    int to[MOST_ROWS], g = h / (a->heads / a->kv_heads);
    w->rows = n;
    micro_pack(w->l, w->m, w->q, 1,
               (const char *)a->qkv + ((size_t)first * stride + (size_t)h * (size_t)a->d) * size,
               a->type, stride, n, a->d, 0);
    memset(w->y, 0, (size_t)w->dp * (size_t)w->m->rows * sizeof(float));
    for (int i = 0; i < n; i++) {
        w->most[i] = SOFTMAX_FIRST;
        w->sum[i] = 0;
        w->sees[i] = sight_of(&a->at[first + i]);
        to[i] = w->sees[i].shared;
    }
    chunks(w, g, w->sees[0].base, to);
    for (int i = 0; i < n; i++) {                           /* each own region once */
        int own = w->sees[i].own, before = 0;
        for (int j = 0; j < i; j++)
            before += w->sees[j].own == own && w->sees[j].end > own;
        if (before || w->sees[i].end <= own)
            continue;
        for (int j = 0; j < n; j++)
            to[j] = w->sees[j].own == own ? w->sees[j].end : own;
        chunks(w, g, own, to);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < a->d; j += PANEL) {
            size_t at = (size_t)(first + i) * (size_t)a->heads + (size_t)h;
            float *from = w->y + (size_t)(j / PANEL) * c_block + (size_t)i * PANEL;
            w->l->multiply((char *)y + (at * (size_t)a->d + (size_t)j) * size, a->type, from,
                           1 / w->sum[i], a->d - j < PANEL ? a->d - j : PANEL);
        }
}

static size_t tiles_bytes(const struct attention *a)
{
    return align64((size_t)a->T * 2 * sizeof(int));
}

size_t attention_scratch(const struct micro *m, const struct attention *a)
{
    return tiles_bytes(a) + work_bytes(m, a->d) * (size_t)max_threads();
}

void attend(const struct level *l, const struct micro *m, const struct attention *a, void *y,
            void *scratch)
{
    int *first = scratch, *n = first + a->T, tiles = 0;
    assert(m->rows <= MOST_ROWS);
    for (int t = 0; t < a->T; t++)
        if (tiles && n[tiles - 1] < m->rows && a->at[t].base == a->at[t - 1].base)
            n[tiles - 1]++;
        else
            first[tiles] = t, n[tiles++] = 1;
#pragma omp parallel if (numbers(a) >= FEW)
    {
        struct work *w = work_at((char *)scratch + tiles_bytes(a), l, m, a);
        if (m->begin)
            m->begin();
#pragma omp for collapse(2) schedule(dynamic)
        for (int h = 0; h < a->heads; h++)
            for (int i = 0; i < tiles; i++)
                tile(w, y, first[i], n[i], h);
        if (m->end)
            m->end();
    }
}

size_t cache_scratch(const struct attention *a)
{
    return align64((size_t)a->d * sizeof(float)) * (size_t)max_threads();
}

/* d numbers of one column to a panel of keys, and to panels of values, `apart` elements apart. In
 * 16 bits the d's of a key are pairs, and so are neighbouring columns of the values. */
static void put_key16(uint16_t *panel, const uint16_t *x, int d)
{
    for (int j = 0; j < d; j += 2, panel += 2 * PANEL)
        memcpy(panel, x + j, 2 * sizeof *x);
}

static void put_value16(uint16_t *panels, size_t apart, const uint16_t *x, int d)
{
    for (int i = 0; i < d; i += PANEL, panels += apart)
        for (int j = i; j < d && j < i + PANEL; j++)
            panels[2 * (j - i)] = x[j];
}

static void put_key32(float *panel, const float *x, int d)
{
    for (int j = 0; j < d; j++)
        panel[j * PANEL] = x[j];
}

static void put_value32(float *panels, size_t apart, const float *x, int d)
{
    for (int i = 0; i < d; i += PANEL, panels += apart)
        memcpy(panels, x + i, sizeof *x * (size_t)(d - i < PANEL ? d - i : PANEL));
}

/* Key and value of one head into column col. */
static void put(const struct attention *a, enum number type, int g, size_t col, const void *x,
                int is_value)
{
    size_t dp = (size_t)round_up(a->d, 32), columns = (size_t)a->columns, apart = columns * PANEL;
    size_t head = (size_t)g * dp * columns, in = col % PANEL;
    if (type == NUM_F32 && is_value)
        put_value32((float *)a->v + head + col * PANEL, apart, x, a->d);
    else if (type == NUM_F32)
        put_key32((float *)a->k + head + (col - in) * dp + in, x, a->d);
    else if (is_value)
        put_value16((uint16_t *)a->v + head + col / 2 * 2 * PANEL + col % 2, apart, x, a->d);
    else
        put_key16((uint16_t *)a->k + head + (col - in) * dp + 2 * in, x, a->d);
}

void cache_write(const struct level *l, const struct micro *m, const struct attention *a,
                 const float *cosine, const float *sine, void *scratch)
{
    size_t d = (size_t)a->d, size = number_size(a->type);
    int H = a->heads, G = a->kv_heads;
#pragma omp parallel for schedule(static) if (numbers(a) >= 4 * FEW)
    for (int t = 0; t < a->T; t++) {
        char *x = (char *)scratch + (size_t)thread() * align64(d * sizeof(float));
        char *row = (char *)a->qkv + (size_t)t * (size_t)(H + 2 * G) * d * size;
        size_t col = (size_t)a->at[t].col, turn = (size_t)a->at[t].position * (d / 2);
        for (int h = 0; h < H && cosine; h++)
            l->rotate(row + (size_t)h * d * size, a->type, row + (size_t)h * d * size, a->type,
                      cosine + turn, sine + turn, a->d);
        for (int g = 0; g < G; g++) {
            const char *k = row + (size_t)(H + g) * d * size, *v = k + (size_t)G * d * size;
            if (cosine)
                l->rotate(x, m->type, k, a->type, cosine + turn, sine + turn, a->d);
            else
                l->copy(x, m->type, k, a->type, a->d);
            put(a, m->type, g, col, x, 0);
            l->copy(x, m->type, v, a->type, a->d);
            put(a, m->type, g, col, x, 1);
        }
    }
}

/* A head's keys: a panel is rows of 32 words, a column's word in each: a number, or a pair. */
static void copy_keys(char *k, size_t rows, size_t from, size_t to, size_t n)
{
    for (size_t c = 0; c < n; c += PANEL)
        for (size_t r = 0; r < rows; r++)
            memcpy(k + 4 * ((to + c) * rows + r * PANEL), k + 4 * ((from + c) * rows + r * PANEL),
                   4 * (n - c < PANEL ? n - c : PANEL));
}

/* One panel of a head's values: columns of 32 numbers, or pairs of them, of which the last may be
 * half of one. */
static void copy_values(char *v, enum number type, size_t from, size_t to, size_t n)
{
    size_t column = PANEL * number_size(type), whole = type == NUM_F32 ? n : n / 2 * 2;
    memcpy(v + to * column, v + from * column, whole * column);
    for (size_t j = 0; whole < n && j < PANEL; j++)
        memcpy(v + (to + whole) * column + 4 * j, v + (from + whole) * column + 4 * j, 2);
}

void cache_copy(const struct micro *m, const struct attention *a, size_t from, size_t to, size_t n)
{
    size_t dp = (size_t)round_up(a->d, 32), panel = (size_t)a->columns * PANEL * number_size(m->type);
    size_t rows = m->type == NUM_F32 ? dp : dp / 2;
#pragma omp parallel for schedule(static) if (n * (size_t)a->kv_heads * dp >= 4 * FEW)
    for (int g = 0; g < a->kv_heads; g++) {
        size_t head = (size_t)g * (dp / PANEL) * panel;
        copy_keys((char *)a->k + head, rows, from, to, n);
        for (size_t i = 0; i < dp / PANEL; i++)
            copy_values((char *)a->v + head + i * panel, m->type, from, to, n);
    }
}
