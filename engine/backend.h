/* backend.h -- the one seam between the model and the machine.
 *
 * vision.c, connector.c and language.c are written once, against this table; backend_cpu.c and
 * backend_cuda.c fill it, with nothing but checks, kernel calls and their error texts.
 *
 * The caller owns every tensor and its shape: an op never changes a shape. Row t of a result
 * depends on row t (and, in attention, on its own sequence), never on how many rows there are or
 * what they hold: a reply is the same, to the bit, in any batch. Ops may run later; sync() waits
 * and says what failed: until then e of the op may be OK. All sums are in f32 or wider.
 *
 * Letters: T rows of a step, D hidden size, F feed-forward size, H heads, G key/value heads, d head
 * size, V vocabulary, P patches, R image side, N and K a product's outputs and inputs. */
#ifndef ENGINE_BACKEND_H
#define ENGINE_BACKEND_H

#include <stdbool.h>
#include "engine/base/err.h"
#include "engine/tensor.h"

struct backend;                                             /* opaque; belongs to one thread */

/* The KV cache: one pool of columns per layer; an image group owns a contiguous range (its slot),
 * [base, base + n). How a backend stores it is its own affair. */
enum { KV_ALIGN = 64 };         /* slots and question regions start at multiples of this */
struct kvcache {
    void *k, *v;
    enum dtype type;
    int layers, columns, kv_heads, head_size;               /* columns: a multiple of KV_ALIGN */
};

/* Where row t stands. It writes column `col` and sees column c iff
 *     base <= c < base + prefix   or   max(lo, base + prefix) <= c <= col.
 * Prefix rows: prefix 0, lo = base. Question rows: prefix = the prefix's length, lo = start of
 * their own region. Tower rows: prefix = all patches of the image. Columns are of the pool. Rows
 * with one base stand next to each other in a step. */
struct kv_row {
    int32_t base, prefix, lo, col;
    int32_t position;           /* for the rotation: prefix + col - lo of a question row */
};

/* Columns [from, from + n) that stand in [to, to + n) too; from and to multiples of KV_ALIGN. */
struct kv_copy { int32_t from, to, n; };

enum act { ACT_NONE, ACT_QUICK_GELU, ACT_GELU, ACT_SWIGLU };
struct epilogue {
    const struct tensor *bias;      /* [1,N] F32, or NULL */
    enum act act;                   /* SWIGLU: w is paired, y [T,N/2] = silu(gate) * up */
    const struct tensor *residual;  /* [T,N], added after act; may be y itself; or NULL */
};

struct sampling { float temperature, top_p; int top_k; float u; };   /* u: uniform in [0,1) */

struct backend_ops {
    const char *name;                                       /* "cpu", "cuda", "plain" */

    /* Memory. alloc fills t->data for t->type, rows, cols (zeroed); release takes NULL data. */
    enum status (*alloc)(struct backend *, struct tensor *t, struct err *);
    void        (*release)(struct backend *, struct tensor *t);
    enum status (*write)(struct backend *, struct tensor *t, const void *host, struct err *);
    enum status (*read)(struct backend *, void *host, const struct tensor *t, struct err *);
    /* The one wait of a step: nothing else in it waits for the device, but reading and what is taken
     * from its memory (after reserve(): only room for draws, when more rows than ever have one). */
    enum status (*sync)(struct backend *, struct err *);

    /* No step over the weights that are there will have more rows than this, nor more of the tower:
     * what steps need beyond their tensors is taken now; without it, it is taken when it is needed
     * first. */
    enum status (*reserve)(struct backend *, int rows, int tower_rows, struct err *);
    /* Bytes that may still be taken. NULL: memory is the host's, which others use too. */
    enum status (*memory_free)(struct backend *, size_t *bytes, struct err *);

    /* Weights, read once from mapped files: m [sum of rows, cols] from parts that are stacked, or,
     * with m->paired set, exactly two parts (gate, up). m->type says how to keep them (BF16, F16:
     * converted if need be; F32); a backend that keeps all weights in one type says so there.
     * E4M3 (of a CUDA backend opened as that): m->scale is made, too, and x is quantised by rows
     * when it is multiplied. */
    enum status (*pack)(struct backend *, struct matrix *m, const struct view *parts, int n_parts,
                        struct err *);
    void        (*unpack)(struct backend *, struct matrix *m);   /* frees */

    /* What the cache holds of activations of this type; NULL: that type. */
    enum dtype  (*kv_type)(struct backend *, enum dtype act);
    enum status (*kv_alloc)(struct backend *, struct kvcache *, struct err *);  /* sizes are set */
    void        (*kv_release)(struct backend *, struct kvcache *);

    /* y [n*P, 3*p*p], x U8 [n, R*R*3]: normalise (model's mean and std, one rounding per step) and
     * cut into patches in raster order; columns in (channel, y, x) order. R = side, p = patch. */
    enum status (*patches)(struct backend *, struct tensor *y, const struct tensor *x, int side,
                           int patch, struct err *);
    /* y [n*(1+P), D]: row 0 of each image is cls [1,D], the others x [n*P,D]; plus positions
     * pos [1+P, D], all F32 or the activations' type. */
    enum status (*tower_embed)(struct backend *, struct tensor *y, const struct tensor *x,
                               const struct tensor *cls, const struct tensor *pos, struct err *);
    /* y[t,:] = table[id[t],:] for id[t] >= 0, else image[-1 - id[t],:]. id is host memory [T]. */
    enum status (*embed)(struct backend *, struct tensor *y, const int32_t *id,
                         const struct tensor *table, const struct tensor *image, struct err *);
    /* y[t,:] = x[row[t],:], converted to y's type; row is host memory [y->rows] */
    enum status (*gather)(struct backend *, struct tensor *y, const struct tensor *x,
                          const int32_t *row, struct err *);
    /* LayerNorm and RMSNorm over a row; w, b [1,D] F32. RMSNorm rounds to y's type before the
     * weight where y is 16 bits wide, as LlamaRMSNorm does. y may be x. */
    enum status (*layernorm)(struct backend *, struct tensor *y, const struct tensor *x,
                             const struct tensor *w, const struct tensor *b, float eps,
                             struct err *);
    enum status (*rmsnorm)(struct backend *, struct tensor *y, const struct tensor *x,
                           const struct tensor *w, float eps, struct err *);
    /* y = act(x w' + bias) + residual      x [T,K]  w [N,K]  y [T,N] (SWIGLU: [T,N/2]). CUDA: x has
     * the type of the weights (F16, where they are E4M3). */
    enum status (*matmul)(struct backend *, struct tensor *y, const struct tensor *x,
                          const struct matrix *w, const struct epilogue *, struct err *);
    /* Takes rows of qkv [T,(H+2G)*d], rotates q (in place) and k by at[t].position (theta 0: not at
     * all), and writes k, v into column at[t].col of `layer`. at is host memory [T]. */
    enum status (*cache)(struct backend *, struct tensor *qkv, struct kvcache *, int layer,
                         int heads, float theta, const struct kv_row *at, struct err *);
    /* Keys and values of `layer` from columns to columns; copies is host memory [n], and none of
     * them writes what another reads or writes. */
    enum status (*kv_copy)(struct backend *, struct kvcache *, int layer,
                           const struct kv_copy *copies, int n, struct err *);
    /* y [T,H*d] = softmax(q k' / sqrt(d)) v over the columns that at[t] sees; q: first H*d columns
     * of qkv's rows */
    enum status (*attend)(struct backend *, struct tensor *y, const struct tensor *qkv,
                          const struct kvcache *, int layer, int heads, const struct kv_row *at,
                          struct err *);
    /* out[s] = lowest id among the largest of logits[s, 0..n_valid) that are allowed; host memory,
     * valid after sync. sample: temperature, top k, then top p, then the draw u, one per row; rows
     * with temperature 0 are greedy. logits F32 [S,V]; allowed [n_valid] bytes or NULL. */
    enum status (*sample)(struct backend *, int32_t *out, const struct tensor *logits, int n_valid,
                          const uint8_t *allowed, const struct sampling *how, struct err *);

    /* Where the time of a device that runs behind goes: from here on in the order of its work it is
     * `stage`'s, any small number, or with -1 nobody's. Each costs some microseconds. After sync,
     * marked adds to seconds[stage] what was marked since it was last called. NULL, both: an
     * operation is over when it returns, so the host's clock knows. */
    void        (*mark)(struct backend *, int stage);
    void        (*marked)(struct backend *, double *seconds);

    /* FLOP/s of the fastest matrix instruction for this type: what `bench` divides by. */
    double      (*peak_flops)(struct backend *, enum dtype type);
    size_t      (*memory_peak)(const struct backend *);     /* bytes taken so far, at most */
    void        (*close)(struct backend *);
};

/* Every backend starts with its table and its words for the user ("cpu amx bf16"). */
struct backend {
    const struct backend_ops *ops;
    char about[64];
};

static inline const char *backend_describe(const struct backend *b)
{
    return b->about;
}

/* "cpu": our own kernels, SIMD level chosen at run time or forced by `level` ("amx", "avx512_bf16",
 * "avx512", "avx2", "portable"; NULL: the best); type: F32 or BF16, what products are computed in.
 * "plain": float64 loops, the judge of the others. A level that this machine lacks is ERR_DEVICE. */
enum status backend_cpu_open(struct backend **out, enum dtype type, const char *level,
                             struct err *e);
enum status backend_plain_open(struct backend **out, struct err *e);

const char *backend_cpu_level(int i);                       /* best first; NULL behind the last */

/* "cuda": cuBLASLt and our own CUDA kernels; type F32, BF16 or F16, of all weights and activations;
 * or E4M3: F16, but for weights that are packed as E4M3 (ERR_DEVICE before compute capability 9.0).
 * In a build without CUDA (backend_without_cuda.c in the place of backend_cuda.c) there are no
 * devices, and the reason says that. */
struct llava_gpu;               /* llava.h */
enum status backend_cuda_open(struct backend **out, enum dtype type, int device, struct err *e);
enum status backend_cuda_count(int *n, struct err *e);      /* ERR_DEVICE and why, or n > 0 */
enum status backend_cuda_describe(int device, struct llava_gpu *out, struct err *e);
bool backend_cuda_built(void);
/* "CUDA 13.0, cuBLASLt 13.0.2, driver for CUDA 13.0", "built without CUDA". */
void backend_cuda_versions(char *text, size_t size);

#endif
