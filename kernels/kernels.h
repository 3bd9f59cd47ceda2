/* kernels.h -- arithmetic on the CPU: pointers, sizes, and nothing of ours but this folder.
 *
 * Everything is row-major. A row's result never depends on the other rows of the call, down to the
 * bit: the sums of a row run in one order, whatever the number of rows or threads. Loops over rows
 * or panels are shared out by OpenMP; no function allocates.
 *
 * Three parts: a *level* is one set of vector instructions, with the row-wise operations written in
 * them (simd.inc, *.inc, level_*.c); a *micro* kernel multiplies a few rows by 32 columns
 * (matmul_*.c); products and attention are written once over both (matmul.c, attention.c).
 *
 * Letters as in engine/backend.h; a *panel* is 32 columns of a product, that is 32 rows of a weight
 * [N,K], stored as [Kp][32] (float32) or [Kp/2][32][2] (16 bits: k in pairs), Kp = K rounded up to
 * 32, zeros where N or K end. A paired weight (gate, up) has 16 gate and then the 16 up columns of
 * the same outputs in a panel, so that SwiGLU needs nothing from elsewhere. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum number { NUM_F32, NUM_BF16, NUM_F16, NUM_E4M3 = 5 };   /* E4M3 (float8.h): the GPU's alone */
enum { PANEL = 32 };

static inline size_t number_size(enum number type)
{
    return type == NUM_F32 ? 4 : type == NUM_E4M3 ? 1 : 2;
}

static inline int round_up(int n, int step)
{
    return (n + step - 1) / step * step;
}

enum activation { ACTIVATE_NONE, ACTIVATE_QUICK_GELU, ACTIVATE_GELU, ACTIVATE_SWIGLU };

/* y = act(x w' + bias) + residual      x [M,K]  y, residual [M,N]  bias [N]; with SwiGLU N counts
 * pairs, and bias must be NULL. `rounded`: x is rounded to bf16 first. */
struct product {
    int M, N, K;
    void *y;
    const void *x, *panels;
    enum number y_type, x_type, w_type;     /* y: F32 or BF16 */
    int rounded;
    enum activation act;
    const float *bias;                      /* or NULL */
    const void *residual;                   /* or NULL; may be y */
    enum number residual_type;
};

/* What will be read soon: the kernel fetches so many lines of 64 bytes of it for each 32 k's. */
struct ahead { const char *at; int lines; };

/* A few rows by one panel: c[i][j] = sum over k of a[i][k] b[k][j], added to what c holds if
 * `keep`. c [rows][32]; a one block of at most `block` k's, see below; b the panel from that k on;
 * k a multiple of 32. At most `rows` rows: a full group. c has room for a full group always. */
struct micro {
    const char *name;
    int rows, block;
    int near;       /* bytes of a's that a thread goes through for each panel: half of a server's L2,
                       or, where run fetches the next a, what its L3 has for a thread */
    enum number type;                       /* of a and b: F32 or BF16 */
    int tiled;      /* element (i, k) of a block of R rows: 0: [R][block]; else, in tiles of 16 rows
                       and 32 k's: [block/32][R/16 rounded up][16][32] */
    void (*begin)(void), (*end)(void);      /* around a thread's calls of run; or NULL */
    void (*run)(float *c, const void *a, const void *b, int rows, int k, int keep,
                const struct ahead *soon);
    double (*peak)(double seconds);         /* FLOP/s of one thread that only multiplies */
};

enum { NARROW_ROWS = 3 };       /* so few are multiplied by weights of 16 bits as they lie there */

/* One set of vector instructions. Types of y are F32 or BF16, others any; n, D, d: elements. */
struct level {
    const char *name;
    struct micro f32;
    void (*copy)(void *y, enum number y_type, const void *x, enum number x_type, int n);
    /* n numbers to runs of 32, which are `apart` elements apart; 0 up to the end of the last run.
     * `rounded`: float32 are rounded to bf16 on their way. */
    void (*runs)(void *y, enum number y_type, size_t apart, const void *x, enum number x_type,
                 int n, int rounded);
    void (*add)(void *y, enum number y_type, const void *a, enum number a_type, const void *b,
                enum number b_type, int n);
    void (*layernorm)(void *y, enum number y_type, const void *x, enum number x_type,
                      const float *w, const float *bias, int D, float eps);
    void (*rmsnorm)(void *y, enum number y_type, const void *x, enum number x_type, const float *w,
                    int D, float eps);
    /* x may be y; cosine, sine [d/2] */
    void (*rotate)(void *y, enum number y_type, const void *x, enum number x_type,
                   const float *cosine, const float *sine, int d);
    /* k (a multiple of 2) rows of a panel of 16 bits to [k][32] float32 */
    void (*expand)(float *y, const void *panel, enum number type, int k);
    /* What f32.run gives, to the bit, of at most NARROW_ROWS rows and a panel of 16 bits. */
    void (*narrow)(float *c, const void *a, const void *panel, enum number type, int rows, int k,
                   int keep);
    /* Rows first .. first + rows of y's columns of one panel from sums c [rows][32]. */
    void (*finish)(const struct product *p, const float *c, int panel, int first, int rows);
    /* One row's part of a softmax, 2^(scale s - most) of n scores s, which lie in runs of 32 that
     * are `run` apart, to p, in runs of 32 that are p_run elements apart (F32 or BF16), and 0 up to
     * the end of the last of `blocks` runs. Returns by what earlier results must be multiplied now;
     * *most, *sum go on from chunk to chunk, from SOFTMAX_FIRST and 0. */
    float (*softmax)(const float *s, size_t run, int n, int blocks, float scale, float *most,
                     float *sum, void *p, enum number type, size_t p_run);
    void (*multiply)(void *y, enum number y_type, const float *x, float by, int n); /* x by + 0 */
};

#define SOFTMAX_FIRST (-3.0e38f)

/* The level and bf16 micro kernel of that name, or of this machine's best for NULL; 0 if there is
 * none of the name or the machine lacks it. Where the machine has no product of bf16 numbers (or
 * the name says so), *bf16 is NULL: weights are expanded and multiplied by level->f32. */
int  kernels_choose(const char *name, const struct level **level, const struct micro **bf16);
const char *kernels_name(int i);            /* best first; NULL behind the last */

/* pack.c: weights. Bytes of all panels of `outputs` (a pair counts once) by K; and filling them
 * from parts as they lie in files, perhaps unaligned: stacked, or, paired, first all gates, then
 * all ups. */
size_t panels_bytes(int outputs, int K, int paired, enum number type);
struct rows { const void *data; enum number type; int n; };     /* n rows of K numbers */
void panels_pack(const struct level *l, void *panels, enum number type, int outputs, int K,
                 int paired, const struct rows *parts, int n_parts);

/* matmul.c. scratch: matmul_scratch() bytes, aligned to 64. */
size_t matmul_scratch(const struct level *l, const struct micro *m, const struct product *p);
void matmul(const struct level *l, const struct micro *m, const struct product *p, void *scratch);

/* Where rows go inside blocks for a micro kernel, and the copying: x [rows] with a stride
 * (elements), to blocks of which those of one group of rows are `apart` blocks apart. */
size_t micro_block_bytes(const struct micro *m);            /* of a full group */
size_t micro_at(const struct micro *m, int rows, int i, int k);     /* element; k % 32 == 0 */
void micro_pack(const struct level *l, const struct micro *m, void *blocks, int apart,
                const void *x, enum number type, size_t stride, int rows, int K, int rounded);

/* attention.c. One layer of the cache: for each kv head K as panels of 32 columns over d (padded to
 * dp, a multiple of 32) and V as panels of 32 of its d over the columns, in the micro kernel's
 * type: k [G][columns/32][dp..][32], v [G][dp/32][columns..][32]. */
struct attention {
    int T, heads, kv_heads, d, columns;     /* columns: of the pool, a multiple of 64 */
    void *k, *v;                            /* this layer's */
    const void *qkv;                        /* rows of (heads + 2 kv_heads) * d */
    enum number type;                       /* of qkv and y: F32 or BF16 */
    const struct place *at;                 /* [T] */
};
struct place { int32_t base, prefix, lo, col, position; };  /* engine/backend.h: struct kv_row */
size_t attention_layer_bytes(const struct micro *m, int kv_heads, int d, int columns);  /* k or v */
size_t attention_scratch(const struct micro *m, const struct attention *a);
/* y [T, heads*d] */
void attend(const struct level *l, const struct micro *m, const struct attention *a, void *y,
            void *scratch);
/* Rotates q (in place) and k (tables [positions][d/2], NULL: not at all); writes k and v. */
size_t cache_scratch(const struct attention *a);
void cache_write(const struct level *l, const struct micro *m, const struct attention *a,
                 const float *cosine, const float *sine, void *scratch);
/* Columns from .. from + n to those from `to` on, both multiples of 64; of `a` only kv_heads, d,
 * columns, k and v count. */
void cache_copy(const struct micro *m, const struct attention *a, size_t from, size_t to, size_t n);
void rope_table(float *cosine, float *sine, int first, int n, int d, float theta);

/* rows.c: the row-wise operations over T rows. */
void layernorm(const struct level *l, void *y, enum number y_type, const void *x,
               enum number x_type, const float *w, const float *bias, int T, int D, float eps);
void rmsnorm(const struct level *l, void *y, enum number y_type, const void *x, enum number x_type,
             const float *w, int T, int D, float eps);
/* y[t] = x[row[t]], or other[-1 - row[t]] for a negative one. */
void gather(const struct level *l, void *y, enum number y_type, const void *x, enum number x_type,
            const void *other, enum number other_type, const int32_t *row, int T, int D);
/* y[t] = (t % rows ? x[the next] : cls) + pos[t % rows]; rows = 1 + P */
void tower_embed(const struct level *l, void *y, enum number y_type, const void *x,
                 enum number x_type, const void *cls, enum number cls_type, const void *pos,
                 enum number pos_type, int images, int rows, int D);
/* x [images, side, side, 3] bytes to normalised patches [images*P, 3*patch*patch]. */
void patches(void *y, enum number y_type, const uint8_t *x, int images, int side, int patch);

/* sample.c. scratch: sample_scratch(V) bytes. Lowest id of the largest; a draw at `u` in [0,1). */
int32_t argmax(const float *logits, int n, const uint8_t *allowed);
size_t sample_scratch(int n);
int32_t sample(const float *logits, int n, const uint8_t *allowed, float temperature, int top_k,
               float top_p, float u, void *scratch);

#endif
