/* Every operation of a backend against the plain one, over awkward shapes; and against itself: a
 * row computed alone has the bits that it has among others.
 *
 * One test per device, SIMD level, type and operation: `test-ops cpu` runs the CPU's, `test-ops
 * cpu_amx` one level's, `test-ops cuda` the GPU's, `cuda-host/test-ops cuda-host` the emulated
 * GPU's; what this machine lacks is skipped. To add an operation: a function over `struct two`, and
 * its name in OPERATIONS below. Results count as equal when the relative L2 error is at most 1e-5
 * (fp32), 1e-3 (fp16, whose unit roundoff is 4.9e-4) or 5e-3 (bf16: 3.9e-3). In fp8 the judge rounds
 * to e4m3, too, and 1e-3 holds; what e4m3 costs is looked at by itself. Every output has a guard
 * row before and behind it that must stay as it was. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/backend.h"
#include "kernels/float16.h"
#include "tests/check.h"
#if defined(CUDA_HOST)
#include "tests/cuda_host/cuda_host.h"
#endif

enum { MINE, PLAIN };

struct two {                    /* the backend under test, and its judge */
    struct backend *b[2];
    bool gpu;                   /* x and weights must be of the backend's type */
    enum dtype type, weights;   /* of activations; of a GPU's weights */
    double within;
    uint64_t seed;
    struct err e;
};

struct both { struct tensor t[2]; int guard; };             /* guard: rows before and behind */

static float random_number(struct two *w)                   /* splitmix64; uniform in [-1, 1) */
{
    uint64_t z = w->seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (float)((double)((z ^ z >> 31) >> 40) * 0x1p-23 - 1);
}

static void to_type(void *out, enum dtype type, size_t i, float x)
{
    if (type == F32)
        ((float *)out)[i] = x;
    else
        ((uint16_t *)out)[i] = type == BF16 ? bf16_of_float(x) : f16_of_float(x);
}

static float of_type(const void *in, enum dtype type, size_t i)
{
    if (type == F32)
        return ((const float *)in)[i];
    uint16_t h = ((const uint16_t *)in)[i];
    return type == BF16 ? bf16_to_float(h) : f16_to_float(h);
}

static size_t bytes(const struct tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols * dtype_size(t->type);
}

static struct tensor whole(struct tensor t, int guard)      /* with its guard rows */
{
    return tensor_rows(t, -guard, t.rows + 2 * guard);
}

/* One tensor on each side, from the same host memory. */
static struct both tensors(struct two *w, enum dtype type, int rows, int cols, int guard,
                           const void *host)
{
    struct both x = { .guard = guard };
    for (int s = MINE; s <= PLAIN; s++) {
        struct tensor t = { .type = type, .rows = rows + 2 * guard, .cols = cols };
        CHECK_OK(w->b[s]->ops->alloc(w->b[s], &t, &w->e), w->e);
        CHECK_OK(w->b[s]->ops->write(w->b[s], &t, host, &w->e), w->e);
        x.t[s] = tensor_rows(t, guard, rows);
    }
    return x;
}

static struct both input(struct two *w, enum dtype type, int rows, int cols, float scale)
{
    size_t n = (size_t)rows * (size_t)cols;
    void *host = malloc(n * 4 + 1);
    for (size_t i = 0; i < n; i++)
        to_type(host, type, i, scale * random_number(w));
    struct both x = tensors(w, type, rows, cols, 0, host);
    free(host);
    return x;
}

static struct both output(struct two *w, enum dtype type, int rows, int cols)
{
    size_t n = ((size_t)rows + 2) * (size_t)cols * dtype_size(type);
    void *host = malloc(n);
    memset(host, 0x5A, n);
    struct both y = tensors(w, type, rows, cols, 1, host);
    free(host);
    return y;
}

static void drop(struct two *w, struct both *x)
{
    for (int s = MINE; s <= PLAIN; s++) {
        struct tensor t = whole(x->t[s], x->guard);
        w->b[s]->ops->release(w->b[s], &t);
    }
}

static void *host_of(struct two *w, int s, struct tensor t)
{
    void *host = malloc(bytes(&t) + 1);
    CHECK_OK(w->b[s]->ops->read(w->b[s], host, &t, &w->e), w->e);
    CHECK_OK(w->b[s]->ops->sync(w->b[s], &w->e), w->e);
    return host;
}

/* ||mine - plain|| / ||plain||; infinite where a number is none. */
static double distance(struct two *w, const struct both *x)
{
    size_t n = (size_t)x->t[MINE].rows * (size_t)x->t[MINE].cols;
    void *mine = host_of(w, MINE, x->t[MINE]), *plain = host_of(w, PLAIN, x->t[PLAIN]);
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double a = of_type(mine, x->t[MINE].type, i), b = of_type(plain, x->t[PLAIN].type, i);
        error += (a - b) * (a - b);
        norm += b * b;
    }
    free(mine);
    free(plain);
    return error == 0 ? 0 : error <= norm ? sqrt(error / norm) : INFINITY;
}

static bool guards_hold(struct two *w, const struct both *x)
{
    struct tensor all = whole(x->t[MINE], x->guard);
    size_t row = (size_t)all.cols * dtype_size(all.type), n = bytes(&all);
    unsigned char *host = host_of(w, MINE, all);
    bool hold = true;
    for (size_t i = 0; x->guard && i < row; i++)
        hold = hold && host[i] == 0x5A && host[n - 1 - i] == 0x5A;
    free(host);
    return hold;
}

static void same(struct two *w, const struct both *y, const char *what)
{
    double d = distance(w, y);
    if (!check_near(d, 0, w->within, what, __FILE__, __LINE__) || !CHECK(guards_hold(w, y)))
        printf("    %s: %s\n", backend_describe(w->b[MINE]), what);
}

/* Rows of `all` from `first` on have the bits of `few`. */
static void same_bits(struct two *w, struct tensor few, struct tensor all, int first,
                      const char *what)
{
    void *x = host_of(w, MINE, few), *y = host_of(w, MINE, tensor_rows(all, first, few.rows));
    if (!CHECK(!memcmp(x, y, bytes(&few))))
        printf("    %s: %s: %d rows from %d on depend on their company\n",
               backend_describe(w->b[MINE]), what, few.rows, first);
    free(x);
    free(y);
}

/* ---- products ---- */

struct case_of_matmul {
    int M, N, K;                /* N of y */
    enum dtype x, y, w, file;   /* w: kept; file: as it comes */
    enum act act;
    bool bias;
    int residual;               /* 0 none, 1 a tensor, 2 y itself */
};

static struct matrix packed(struct two *w, int s, const struct case_of_matmul *c, const void *host)
{
    bool paired = c->act == ACT_SWIGLU;
    struct matrix m = { .type = c->w, .N = paired ? 2 * c->N : c->N, .K = c->K, .paired = paired };
    int first = paired ? c->N : c->N / 3;                   /* two parts, stacked or paired */
    size_t behind = (size_t)first * (size_t)c->K * dtype_size(c->file);
    struct view parts[2] = { { host, c->file, first, c->K },
                             { (const char *)host + behind, c->file, m.N - first, c->K } };
    CHECK_OK(w->b[s]->ops->pack(w->b[s], &m, parts, 2, &w->e), w->e);
    return m;
}

static void check_matmul(struct two *w, const struct case_of_matmul *one_case)
{
    struct case_of_matmul changed = *one_case, *c = &changed;
    char what[200];
    if (w->gpu && c->x != w->type)
        return;
    if (w->gpu)
        c->w = w->weights;
    if (c->w == E4M3) {                                     /* what cuBLASLt takes */
        c->N = (c->N + 15) / 16 * 16;
        c->K = (c->K + 15) / 16 * 16;
    }
    if (w->gpu && c->file == BF16 && w->type == F16)        /* as bf16 files are read there */
        c->file = F16;
    int rows = c->act == ACT_SWIGLU ? 2 * c->N : c->N;
    snprintf(what, sizeof what, "matmul M %d N %d K %d, types x %d y %d w %d file %d, act %d, "
             "bias %d, residual %d", c->M, c->N, c->K, c->x, c->y, c->w, c->file, c->act, c->bias,
             c->residual);
    char *host = malloc((size_t)rows * (size_t)c->K * 4 + 1);
    void *odd = host + 1;                                   /* files align nothing */
    for (size_t i = 0; i < (size_t)rows * (size_t)c->K; i++) {
        char one[4];
        to_type(one, c->file, 0, random_number(w) * 2 / sqrtf((float)c->K));
        memcpy((char *)odd + i * dtype_size(c->file), one, dtype_size(c->file));
    }
    struct both x = input(w, c->x, c->M, c->K, 2), y = output(w, c->y, c->M, c->N);
    struct both bias = input(w, F32, 1, c->N, 1), more = input(w, F32, c->M, c->N, 1);
    struct matrix m[2];
    for (int s = MINE; s <= PLAIN; s++) {
        m[s] = packed(w, s, c, odd);
        struct epilogue ep = { .bias = c->bias ? &bias.t[s] : NULL, .act = c->act };
        ep.residual = c->residual == 1 ? &more.t[s] : c->residual == 2 ? &y.t[s] : NULL;
        if (c->residual == 2) {
            void *start = host_of(w, MINE, more.t[MINE]);
            w->b[s]->ops->write(w->b[s], &y.t[s], start, &w->e);
            free(start);
        }
        CHECK_OK(w->b[s]->ops->matmul(w->b[s], &y.t[s], &x.t[s], &m[s], &ep, &w->e), w->e);
    }
    same(w, &y, what);
    for (int s = MINE; s <= PLAIN; s++)
        w->b[s]->ops->unpack(w->b[s], &m[s]);
    drop(w, &x), drop(w, &y), drop(w, &bias), drop(w, &more);
    free(host);
}

static void matmul(struct two *w)
{
    enum dtype a = w->type;
    enum dtype keep = a == F32 ? F16 : a;
    const struct case_of_matmul cases[] = {
        { 0, 40, 64, a, a, keep, keep, ACT_NONE, true, 0 },
        { 1, 8, 31, a, a, keep, keep, ACT_NONE, false, 0 },
        { 1, 100, 588, a, F32, keep, F32, ACT_NONE, true, 0 },
        { 2, 33, 96, F32, a, keep, keep, ACT_QUICK_GELU, true, 0 },
        { 17, 64, 588, a, a, keep, BF16, ACT_GELU, true, 0 },
        { 33, 70, 1100, a, F32, keep, keep, ACT_NONE, true, 1 },
        { 33, 70, 300, a, F32, keep, keep, ACT_NONE, false, 2 },
        { 577, 96, 600, a, F32, keep, F16, ACT_QUICK_GELU, true, 1 },
        { 65, 40, 128, a, a, keep, keep, ACT_SWIGLU, false, 0 },
        { 5, 23, 31, a, a, keep, F32, ACT_SWIGLU, false, 0 },
        { 40, 50, 70, a, F32, F32, F32, ACT_NONE, true, 0 },
        { 40, 50, 70, a, F32, F16, F16, ACT_NONE, true, 0 },
        { 40, 50, 70, a, F32, BF16, BF16, ACT_NONE, true, 0 },
        { 40, 50, 70, F32, F32, BF16, F32, ACT_SWIGLU, false, 1 },
        { 150, 24, 5000, a, F32, keep, keep, ACT_NONE, false, 0 },      /* K in several depths */
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_matmul(w, &cases[i]);
}

/* Rows alone, in batches of every size, and among 1,400 (other stripes and threads). */
static void check_rows(struct two *w, enum dtype weights_as)
{
    enum { M = 1400, N = 72, K = 2500 };
    struct case_of_matmul c = { .M = M, .N = N, .K = K, .w = weights_as, .file = F32 };
    struct both weights = input(w, F32, N, K, 0.1f), x = input(w, w->type, M, K, 1);
    struct both all = output(w, F32, M, N), few = output(w, F32, M, N);
    struct epilogue ep = { .act = ACT_NONE };
    struct backend *b = w->b[MINE];
    struct matrix m = packed(w, MINE, &c, weights.t[PLAIN].data);
    CHECK_OK(b->ops->matmul(b, &all.t[MINE], &x.t[MINE], &m, &ep, &w->e), w->e);
    for (int n = 1; n <= 40; n++)
        for (int first = 0; first < 200; first += 97) {
            struct tensor xs = tensor_rows(x.t[MINE], first, n);
            struct tensor ys = tensor_rows(few.t[MINE], 0, n);
            CHECK_OK(b->ops->matmul(b, &ys, &xs, &m, &ep, &w->e), w->e);
            same_bits(w, ys, all.t[MINE], first, "matmul");
        }
    struct tensor xs = tensor_rows(x.t[MINE], 300, 900), ys = tensor_rows(few.t[MINE], 0, 900);
    CHECK_OK(b->ops->matmul(b, &ys, &xs, &m, &ep, &w->e), w->e);
    same_bits(w, ys, all.t[MINE], 300, "matmul");
    b->ops->unpack(b, &m);
    drop(w, &weights), drop(w, &x), drop(w, &all), drop(w, &few);
}

static void matmul_rows(struct two *w)
{
    check_rows(w, w->type);
    if (w->type == F32)
        check_rows(w, F16);                                 /* expanded on the way */
}

/* ---- norms and copies ---- */

static void norms(struct two *w)
{
    static const int shapes[][2] = { { 0, 16 }, { 1, 24 }, { 2, 1024 }, { 17, 31 }, { 33, 4096 },
                                     { 577, 40 } };
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int rms = 0; rms <= 1; rms++) {
            int T = shapes[i][0], D = shapes[i][1];
            struct both x = input(w, F32, T, D, 30), y = output(w, w->type, T, D);
            struct both gain = input(w, F32, 1, D, 2), bias = input(w, F32, 1, D, 1);
            for (int s = MINE; s <= PLAIN; s++) {
                const struct backend_ops *ops = w->b[s]->ops;
                if (rms)
                    CHECK_OK(ops->rmsnorm(w->b[s], &y.t[s], &x.t[s], &gain.t[s], 1e-5f, &w->e),
                             w->e);
                else
                    CHECK_OK(ops->layernorm(w->b[s], &y.t[s], &x.t[s], &gain.t[s], &bias.t[s],
                                            1e-5f, &w->e), w->e);
            }
            same(w, &y, rms ? "rmsnorm" : "layernorm");
            for (int t = 0; t < T; t += 5) {
                struct tensor one = tensor_rows(x.t[MINE], t, 1);
                struct both alone = output(w, w->type, 1, D);
                const struct backend_ops *ops = w->b[MINE]->ops;
                if (rms)
                    ops->rmsnorm(w->b[MINE], &alone.t[MINE], &one, &gain.t[MINE], 1e-5f, &w->e);
                else
                    ops->layernorm(w->b[MINE], &alone.t[MINE], &one, &gain.t[MINE], &bias.t[MINE],
                                   1e-5f, &w->e);
                same_bits(w, alone.t[MINE], y.t[MINE], t, rms ? "rmsnorm" : "layernorm");
                drop(w, &alone);
            }
            drop(w, &x), drop(w, &y), drop(w, &gain), drop(w, &bias);
        }
}

static void copies(struct two *w)
{
    enum { D = 37, P = 9, IMAGES = 3 };
    static const int32_t id[] = { 4, -1, -27, 0, 19, -5, 4 }, row[] = { 6, 0, 3, 3 };
    struct both table = input(w, F16, 20, D, 1), image = input(w, w->type, IMAGES * P, D, 1);
    struct both cls = input(w, F32, 1, D, 1), pos = input(w, F32, 1 + P, D, 1);
    struct both y = output(w, F32, COUNT(id), D), z = output(w, w->type, COUNT(row), D);
    struct both tower = output(w, F32, IMAGES * (1 + P), D);
    for (int s = MINE; s <= PLAIN; s++) {
        struct backend *b = w->b[s];
        CHECK_OK(b->ops->embed(b, &y.t[s], id, &table.t[s], &image.t[s], &w->e), w->e);
        CHECK_OK(b->ops->gather(b, &z.t[s], &y.t[s], row, &w->e), w->e);
        CHECK_OK(b->ops->tower_embed(b, &tower.t[s], &image.t[s], &cls.t[s], &pos.t[s], &w->e),
                 w->e);
    }
    same(w, &y, "embed"), same(w, &z, "gather"), same(w, &tower, "tower_embed");
    drop(w, &table), drop(w, &image), drop(w, &cls), drop(w, &pos);
    drop(w, &y), drop(w, &z), drop(w, &tower);
}

/* Bits of the definition: SHA-256 of the table stands in the tests of preprocessing. */
static void patches(struct two *w)
{
    enum { SIDE = 28, PATCH = 14, IMAGES = 3, AREA = SIDE * SIDE * 3 };
    unsigned char pixels[IMAGES * AREA];
    for (int i = 0; i < IMAGES * AREA; i++)
        pixels[i] = (unsigned char)(128 + 128 * random_number(w));
    struct both x = tensors(w, U8, IMAGES, AREA, 0, pixels);
    struct both y = output(w, w->type, IMAGES * 4, 3 * PATCH * PATCH);
    for (int s = MINE; s <= PLAIN; s++)
        CHECK_OK(w->b[s]->ops->patches(w->b[s], &y.t[s], &x.t[s], SIDE, PATCH, &w->e), w->e);
    same(w, &y, "patches");
    CHECK(distance(w, &y) == 0);
    drop(w, &x), drop(w, &y);
}

/* ---- attention ---- */

enum { COLUMNS = 1408 };

struct heads { int H, G, d; };

/* A cache whose every column holds something, on both sides. */
static void fill(struct two *w, struct kvcache kv[2], struct heads h, float theta)
{
    struct both qkv = input(w, w->type, COLUMNS, (h.H + 2 * h.G) * h.d, 1.5f);
    struct kv_row at[COLUMNS];
    for (int c = 0; c < COLUMNS; c++)
        at[c] = (struct kv_row){ .col = c, .position = c % 1000 };
    for (int s = MINE; s <= PLAIN; s++) {
        struct backend *b = w->b[s];
        kv[s] = (struct kvcache){ .type = w->type, .layers = 2, .columns = COLUMNS,
                                  .kv_heads = h.G, .head_size = h.d };
        CHECK_OK(b->ops->kv_alloc(b, &kv[s], &w->e), w->e);
        CHECK_OK(b->ops->cache(b, &qkv.t[s], &kv[s], 1, h.H, theta, at, &w->e), w->e);
    }
    same(w, &qkv, "cache: q in place");
    drop(w, &qkv);
}

static void check_attend(struct two *w, struct heads h, const struct kv_row *at, int T, float theta,
                         const char *what)
{
    struct kvcache kv[2];
    fill(w, kv, h, theta);
    struct both qkv = input(w, w->type, T, (h.H + 2 * h.G) * h.d, 1.5f);
    struct both y = output(w, w->type, T, h.H * h.d);
    for (int s = MINE; s <= PLAIN; s++) {
        struct backend *b = w->b[s];
        CHECK_OK(b->ops->cache(b, &qkv.t[s], &kv[s], 1, h.H, theta, at, &w->e), w->e);
        CHECK_OK(b->ops->attend(b, &y.t[s], &qkv.t[s], &kv[s], 1, h.H, at, &w->e), w->e);
    }
    same(w, &y, what);
    for (int n = 1; n <= T; n = n * 3 + 1)                  /* alone, and a few neighbours */
        for (int t = 0; t + n <= T; t += T / 7 + 1) {
            struct tensor x = tensor_rows(qkv.t[MINE], t, n);
            struct both part = output(w, w->type, n, h.H * h.d);
            struct backend *b = w->b[MINE];
            CHECK_OK(b->ops->attend(b, &part.t[MINE], &x, &kv[MINE], 1, h.H, at + t, &w->e), w->e);
            same_bits(w, part.t[MINE], y.t[MINE], t, what);
            drop(w, &part);
        }
    for (int s = MINE; s <= PLAIN; s++)
        w->b[s]->ops->kv_release(w->b[s], &kv[s]);
    drop(w, &qkv), drop(w, &y);
}

static void attend_tower(struct two *w)
{
    static const struct { struct heads h; int P; } cases[] = {
        { { 2, 2, 8 }, 5 }, { { 3, 3, 64 }, 33 }, { { 1, 1, 64 }, 577 }, { { 2, 2, 80 }, 100 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kv_row at[COLUMNS];
        int P = cases[i].P, slot = (P + KV_ALIGN - 1) / KV_ALIGN * KV_ALIGN;
        for (int t = 0; t < 2 * P; t++)                     /* two images */
            at[t] = (struct kv_row){ .base = t / P * slot, .prefix = P, .lo = t / P * slot,
                                     .col = t / P * slot + t % P };
        check_attend(w, cases[i].h, at, 2 * P, 0, "attend: tower");
    }
}

static void attend_language(struct two *w)
{
    static const struct heads heads[] = { { 2, 2, 8 }, { 3, 3, 32 }, { 4, 2, 128 }, { 6, 1, 40 } };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct kv_row at[COLUMNS];
        int T = 0;
        for (int c = 0; c < 330; c++)                       /* a prefix, longer than one chunk */
            at[T++] = (struct kv_row){ .base = 0, .lo = 0, .col = c, .position = c };
        for (int q = 0; q < 3; q++)                         /* questions behind it */
            for (int c = 0; c < 3 + 60 * q; c++)
                at[T++] = (struct kv_row){ .base = 0, .prefix = 330, .lo = 384 + 128 * q,
                                           .col = 384 + 128 * q + c, .position = 330 + c };
        at[T++] = (struct kv_row){ .base = 768, .prefix = 64, .lo = 832, .col = 832,
                                   .position = 64 };
        for (int c = 0; c < 2; c++)                         /* decoding, another slot */
            at[T++] = (struct kv_row){ .base = 896, .prefix = 70, .lo = 1024 + 64 * c,
                                       .col = 1030 + 64 * c + c, .position = 76 + c };
        for (int c = 0; c < 40; c += 3)                     /* some rows of a long reply */
            at[T++] = (struct kv_row){ .base = 1152, .lo = 1152, .col = 1200 + c,
                                       .position = 48 + c };
        check_attend(w, heads[i], at, T, i % 2 ? 10000 : 500, "attend: language");
        check_attend(w, heads[i], at, 1, 10000, "attend: one row");
    }
}

static void attend_nothing(struct two *w)
{
    static const struct kv_row nowhere;
    check_attend(w, (struct heads){ 2, 1, 32 }, &nowhere, 0, 10000, "attend: no rows");
}

/* Copied columns are seen with the bits of their originals, and those behind them are as they were. */
static void copying(struct two *w)
{
    static const struct heads heads[] = { { 2, 2, 8 }, { 4, 2, 128 }, { 6, 1, 40 } };
    static const struct kv_copy copies[] = { { 64, 896, 35 }, { 64, 512, 62 }, { 0, 1152, 101 } };
    enum { N = COUNT(copies) };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct heads h = heads[i];
        struct kvcache kv[2];
        struct kv_row from[N], to[N], behind[N];
        for (int c = 0; c < N; c++) {
            const struct kv_copy *m = &copies[c];
            from[c] = (struct kv_row){ .base = m->from, .prefix = m->n, .lo = m->from };
            to[c] = (struct kv_row){ .base = m->to, .prefix = m->n, .lo = m->to };
            behind[c] = (struct kv_row){ .base = m->to, .prefix = 192, .lo = m->to };
        }
        fill(w, kv, h, 10000);
        struct both qkv = input(w, w->type, N, (h.H + 2 * h.G) * h.d, 1.5f);
        struct both y[3];
        for (int k = 0; k < 3; k++)
            y[k] = output(w, w->type, N, h.H * h.d);
        for (int s = MINE; s <= PLAIN; s++) {
            struct backend *b = w->b[s];
            const struct backend_ops *ops = b->ops;
            CHECK_OK(ops->attend(b, &y[0].t[s], &qkv.t[s], &kv[s], 1, h.H, from, &w->e), w->e);
            CHECK_OK(ops->kv_copy(b, &kv[s], 1, copies, N, &w->e), w->e);
            CHECK_OK(ops->attend(b, &y[1].t[s], &qkv.t[s], &kv[s], 1, h.H, to, &w->e), w->e);
            CHECK_OK(ops->attend(b, &y[2].t[s], &qkv.t[s], &kv[s], 1, h.H, behind, &w->e), w->e);
        }
        same(w, &y[1], "kv_copy");
        same_bits(w, y[1].t[MINE], y[0].t[MINE], 0, "kv_copy");
        same(w, &y[2], "kv_copy: what stands behind");
        for (int k = 0; k < 3; k++)
            drop(w, &y[k]);
        drop(w, &qkv);
        for (int s = MINE; s <= PLAIN; s++)
            w->b[s]->ops->kv_release(w->b[s], &kv[s]);
    }
}

/* ---- choosing ---- */

static void sampling(struct two *w)
{
    enum { S = 60, V = 300, VALID = 290 };
    struct both logits = input(w, F32, S, V, 8);
    struct sampling how[S];
    uint8_t allowed[VALID];
    int32_t out[2][S];
    float *host = host_of(w, MINE, logits.t[MINE]);
    for (int i = 0; i < S; i++) {
        float u = (random_number(w) + 1) / 2, p = (random_number(w) + 1) / 2;
        how[i] = (struct sampling){ .temperature = i % 3 ? 0.2f + 2 * p : 0, .u = u,
                                    .top_k = i % 4 ? 50 : 0, .top_p = i % 5 ? p : 1 };
        host[i * V + 295] = 100;                            /* no valid id */
        host[i * V + 7] = 99;                               /* not allowed */
        host[i * V + 40] = host[i * V + 80] = i % 2 ? 9 : 0;    /* equal, and the largest */
    }
    for (int i = 0; i < VALID; i++)
        allowed[i] = i != 7;
    for (int s = MINE; s <= PLAIN; s++) {
        struct backend *b = w->b[s];
        CHECK_OK(b->ops->write(b, &logits.t[s], host, &w->e), w->e);
        CHECK_OK(b->ops->sample(b, out[s], &logits.t[s], VALID, allowed, how, &w->e), w->e);
        CHECK_OK(b->ops->sync(b, &w->e), w->e);
    }
    for (int i = 0; i < S; i++) {
        CHECK_INT(out[MINE][i], out[PLAIN][i]);
        CHECK(out[MINE][i] >= 0 && out[MINE][i] < VALID && out[MINE][i] != 7);
        if (i % 3 == 0 && i % 2)
            CHECK_INT(out[MINE][i], 40);
    }
    how[0] = (struct sampling){ .temperature = 1, .top_p = 1, .u = 0 };
    struct tensor first = tensor_rows(logits.t[MINE], 0, 1);
    CHECK_OK(w->b[MINE]->ops->sample(w->b[MINE], out[MINE], &first, VALID, NULL, how, &w->e), w->e);
    CHECK_OK(w->b[MINE]->ops->sync(w->b[MINE], &w->e), w->e);
    CHECK_INT(out[MINE][0], 7);
    free(host);
    drop(w, &logits);
}

static void figures(struct two *w)
{
    struct backend *b = w->b[MINE];
    size_t before = b->ops->memory_peak(b);
    struct both x = input(w, F32, 1000, 1000, 1), weights = input(w, F32, 32, 40, 1);
    CHECK(b->ops->memory_peak(b) >= before + 4000000 || before >= 4000000);
    CHECK(b->ops->memory_peak(b) < before + 5000000);
    struct case_of_matmul c = { .N = 32, .K = 32, .w = w->weights, .file = F32 };
    struct matrix m = packed(w, MINE, &c, weights.t[PLAIN].data);
    CHECK(b->ops->peak_flops(b, w->weights) > (w->gpu ? 1e5 : 1e8));   /* it may be an emulated one */
    b->ops->unpack(b, &m);
    drop(w, &x), drop(w, &weights);
}

/* ---- products in e4m3 ---- */

/* What e4m3 costs. Numbers spread evenly up to the largest, 448, stand in steps of 32 from 256 on, of
 * 16 from 128 on, and so forth: the mean of step^2 / 12 is 43.5, that of their squares 448^2 / 3, so
 * a row is off by 0.0255 of its length. Rows of x and of w are, each for itself, and sums of their
 * products by sqrt(2) of that, 0.0361, however long. */
static void e4m3_error(struct two *w)
{
    enum { M = 100, N = 96, K = 1024 };
    struct case_of_matmul c = { .M = M, .N = N, .K = K, .file = F32 };
    struct both weights = input(w, F32, N, K, 0.1f), x = input(w, w->type, M, K, 7);
    struct both y = output(w, F32, M, N);
    for (int s = MINE; s <= PLAIN; s++) {
        c.w = s == MINE ? E4M3 : F32;
        struct epilogue ep = { .act = ACT_NONE };
        struct matrix m = packed(w, s, &c, weights.t[PLAIN].data);
        CHECK_OK(w->b[s]->ops->matmul(w->b[s], &y.t[s], &x.t[s], &m, &ep, &w->e), w->e);
        w->b[s]->ops->unpack(w->b[s], &m);
    }
    CHECK_NEAR(distance(w, &y), 0.0361, 0.002);
    drop(w, &weights), drop(w, &x), drop(w, &y);
}

/* Rows alone, a few, and many: of float32 results, and of those that are finished behind them. */
static void e4m3_rows(struct two *w)
{
    enum { M = 700, N = 80, K = 2512 };
    static const int counts[] = { 1, 2, 15, 16, 33, 200 };
    struct backend *b = w->b[MINE];
    struct both weights = input(w, F32, N, K, 0.1f), x = input(w, w->type, M, K, 1);
    struct both bias = input(w, F32, 1, N, 1);
    struct case_of_matmul c = { .M = M, .N = N, .K = K, .w = E4M3, .file = F32 };
    struct matrix m = packed(w, MINE, &c, weights.t[PLAIN].data);
    for (int way = 0; way < 2; way++) {
        struct both all = output(w, way ? w->type : F32, M, N), few = output(w, all.t[0].type, M, N);
        struct epilogue ep = { .bias = &bias.t[MINE], .act = way ? ACT_QUICK_GELU : ACT_NONE };
        CHECK_OK(b->ops->matmul(b, &all.t[MINE], &x.t[MINE], &m, &ep, &w->e), w->e);
        for (size_t i = 0; i < COUNT(counts); i++)
            for (int first = 0; first < 400; first += 97) {
                struct tensor xs = tensor_rows(x.t[MINE], first, counts[i]);
                struct tensor ys = tensor_rows(few.t[MINE], 0, counts[i]);
                CHECK_OK(b->ops->matmul(b, &ys, &xs, &m, &ep, &w->e), w->e);
                same_bits(w, ys, all.t[MINE], first, "matmul");
            }
        drop(w, &all), drop(w, &few);
    }
    b->ops->unpack(b, &m);
    drop(w, &weights), drop(w, &x), drop(w, &bias);
}

/* A shape that cuBLASLt would refuse is refused before, in words. */
static void e4m3_shapes(struct two *w)
{
    float zeros[17 * 16] = { 0 };
    struct matrix m = { .type = E4M3, .N = 17, .K = 16 };
    struct view v = { zeros, F32, 17, 16 };
    struct err e = { 0 };
    CHECK_INT(w->b[MINE]->ops->pack(w->b[MINE], &m, &v, 1, &e), ERR_CHECKPOINT);
    CHECK(m.data == NULL && m.scale == NULL && strstr(e.text, "[17,16]"));
}

/* ---- the tests ---- */

static void run_on(const char *level, enum dtype type, void (*check)(struct two *))
{
    struct two w = { .type = type == E4M3 ? F16 : type, .weights = type, .seed = 20231005,
                     .within = type == F32 ? 1e-5 : type == BF16 ? 5e-3 : 1e-3,
                     .gpu = !strcmp(level, "gpu") };
    if ((w.gpu ? backend_cuda_open(&w.b[MINE], type, 0, &w.e)
               : backend_cpu_open(&w.b[MINE], type, level, &w.e)) != OK) {
        CHECK_INT(w.e.code, ERR_DEVICE);
        SKIP(w.e.text);
    }
    CHECK_OK(backend_plain_open(&w.b[PLAIN], &w.e), w.e);
    check(&w);
    w.b[MINE]->ops->close(w.b[MINE]);
    w.b[PLAIN]->ops->close(w.b[PLAIN]);
}

#define OPERATIONS(X, level, type)                                                                \
    X(level, type, matmul) X(level, type, matmul_rows) X(level, type, norms)                      \
    X(level, type, copies) X(level, type, patches) X(level, type, attend_tower)                   \
    X(level, type, attend_language) X(level, type, attend_nothing) X(level, type, copying)        \
    X(level, type, sampling) X(level, type, figures)
#define ONE(level, type, check)                                                                   \
    TEST(cpu_##level##_##type##_##check) { run_on(#level, type, check); }
#define GPU(level, type, check)                                                                   \
    GPU_TEST(level##_##type##_##check) { run_on("gpu", type, check); }

OPERATIONS(ONE, amx, BF16)
OPERATIONS(ONE, avx512_bf16, BF16)
OPERATIONS(ONE, avx512, BF16)
OPERATIONS(ONE, avx2, BF16)
OPERATIONS(ONE, portable, BF16)
OPERATIONS(ONE, avx512, F32)
OPERATIONS(ONE, avx2, F32)
OPERATIONS(ONE, portable, F32)
OPERATIONS(GPU, ops, F32)
OPERATIONS(GPU, ops, F16)
OPERATIONS(GPU, ops, BF16)

/* Products are what fp8 changes; all else is fp16's. Where cuBLASLt does not multiply by the scales of
 * rows, other code does: on all but compute capability 9.0. */
#define PRODUCTS_E4M3(X, level)                                                                   \
    X(level, E4M3, matmul) X(level, E4M3, e4m3_rows) X(level, E4M3, e4m3_error)                   \
    X(level, E4M3, e4m3_shapes) X(level, E4M3, figures)
PRODUCTS_E4M3(GPU, ops)
#if defined(CUDA_HOST)
#define LATER(level, type, check)                                                                 \
    GPU_TEST(level##_##type##_##check) { cuda_host_capability(100); run_on("gpu", type, check); }
PRODUCTS_E4M3(LATER, ops_on_10)
#endif

/* The judge is judged: a wrong result, or one behind its tensor, does not pass. */
TEST(cpu_ops_would_notice)
{
    struct two w = { .type = F32, .within = 1e-5, .seed = 1 };
    CHECK_OK(backend_plain_open(&w.b[MINE], &w.e), w.e);
    CHECK_OK(backend_plain_open(&w.b[PLAIN], &w.e), w.e);
    struct both y = output(&w, F32, 3, 5);
    CHECK(distance(&w, &y) == 0 && guards_hold(&w, &y));
    ((float *)y.t[MINE].data)[7] *= 1.0001f;
    CHECK(distance(&w, &y) > 1e-5);
    ((float *)y.t[MINE].data)[7] = NAN;
    CHECK(isinf(distance(&w, &y)));
    ((float *)y.t[MINE].data)[15] = 0;
    CHECK(!guards_hold(&w, &y));
    drop(&w, &y);
    w.b[MINE]->ops->close(w.b[MINE]);
    w.b[PLAIN]->ops->close(w.b[PLAIN]);
}

TEST(cpu_refuses_unknown_level)
{
    struct backend *b;
    struct err e = { 0 };
    CHECK_INT(backend_cpu_open(&b, F32, "sse9", &e), ERR_DEVICE);
    CHECK(b == NULL && strstr(e.text, "sse9"));
}
