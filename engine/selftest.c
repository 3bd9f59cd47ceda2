/* selftest.c -- a device's operations against the plain ones, in a second: for `doctor`.
 *
 * One product of each kind, the norms, and attention over a prefix and two questions, with numbers
 * that are no round ones. tests/test_ops.c is the thorough form. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "engine/private.h"

enum { T = 40, K = 96, N = 64, H = 4, HEAD = 32, PREFIX = 30 };
enum { CHECKED, JUDGE };

struct pair {                   /* a backend and its judge, which are given the same */
    struct backend *b[2];
    enum dtype type, weights;   /* of activations; of weights */
    uint32_t state;
    double worst;               /* relative L2 error so far */
    struct err *e;
};

static void to_bytes(void *to, enum dtype type, size_t n, const float *from)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = half_of(type == F32 ? BF16 : type, from[i]);
        if (type == F32)
            ((float *)to)[i] = from[i];
        else
            ((uint16_t *)to)[i] = h;
    }
}

static void make(struct pair *p, struct tensor t[2], enum dtype type, int rows, int cols)
{
    size_t n = (size_t)rows * (size_t)cols;
    float *values = malloc(n * sizeof *values);
    void *bytes = malloc(n * sizeof *values);
    for (size_t i = 0; values && i < n; i++) {
        p->state = p->state * 1664525u + 1013904223u;
        values[i] = (float)(p->state >> 8) * 0x1p-23f - 1;
    }
    if (values && bytes)
        to_bytes(bytes, type, n, values);
    else
        err_set(p->e, ERR_MEMORY, "no memory for a self-test");
    for (int s = CHECKED; s <= JUDGE; s++) {
        t[s] = (struct tensor){ .type = type, .rows = rows, .cols = cols };
        (void)(p->e->code || p->b[s]->ops->alloc(p->b[s], &t[s], p->e) ||
               p->b[s]->ops->write(p->b[s], &t[s], bytes, p->e));
    }
    free(values);
    free(bytes);
}

static void drop(struct pair *p, struct tensor t[2])
{
    for (int s = CHECKED; s <= JUDGE; s++)
        if (t[s].data)
            p->b[s]->ops->release(p->b[s], &t[s]);
}

static float number_at(const void *from, enum dtype type, size_t i)
{
    return type == F32 ? ((const float *)from)[i] : half_value(type, ((const uint16_t *)from)[i]);
}

static void compare(struct pair *p, const struct tensor y[2])
{
    size_t n = (size_t)y[0].rows * (size_t)y[0].cols;
    void *got[2] = { malloc(n * 4), malloc(n * 4) };
    double error = 0, norm = 0;
    if (!got[0] || !got[1])
        err_set(p->e, ERR_MEMORY, "no memory for a self-test");
    for (int s = CHECKED; s <= JUDGE && p->e->code == OK; s++)
        (void)(p->b[s]->ops->read(p->b[s], got[s], &y[s], p->e) ||
               p->b[s]->ops->sync(p->b[s], p->e));
    for (size_t i = 0; p->e->code == OK && i < n; i++) {
        double a = number_at(got[CHECKED], y[CHECKED].type, i);
        double b = number_at(got[JUDGE], y[JUDGE].type, i);
        error += (a - b) * (a - b);
        norm += b * b;
    }
    double off = error <= norm ? sqrt(error / (norm > 0 ? norm : 1)) : INFINITY;
    p->worst = off > p->worst ? off : p->worst;
    free(got[0]);
    free(got[1]);
}

static void product(struct pair *p, enum act act)
{
    bool paired = act == ACT_SWIGLU;
    struct tensor x[2], y[2], w[2], bias[2];
    make(p, x, p->type, T, K);
    make(p, y, p->type, T, N);
    make(p, w, F32, paired ? 2 * N : N, K);                 /* the judge's memory is a file to pack */
    make(p, bias, F32, 1, N);
    for (int s = CHECKED; s <= JUDGE && p->e->code == OK; s++) {
        struct matrix m = { .type = p->weights, .N = w[s].rows, .K = K, .paired = paired };
        const float *file = w[JUDGE].data;
        struct view parts[2] = { { file, F32, N, K }, { file + N * K, F32, N, K } };
        struct epilogue ep = { .bias = paired ? NULL : &bias[s], .act = act };
        (void)(p->b[s]->ops->pack(p->b[s], &m, parts, paired ? 2 : 1, p->e) ||
               p->b[s]->ops->matmul(p->b[s], &y[s], &x[s], &m, &ep, p->e) ||
               p->b[s]->ops->sync(p->b[s], p->e));
        if (m.data)
            p->b[s]->ops->unpack(p->b[s], &m);
    }
    compare(p, y);
    drop(p, x), drop(p, y), drop(p, w), drop(p, bias);
}

static void norms(struct pair *p)
{
    struct tensor x[2], y[2], z[2], w[2], bias[2];
    make(p, x, F32, T, K);
    make(p, y, p->type, T, K);
    make(p, z, p->type, T, K);
    make(p, w, F32, 1, K);
    make(p, bias, F32, 1, K);
    for (int s = CHECKED; s <= JUDGE && p->e->code == OK; s++)
        (void)(p->b[s]->ops->layernorm(p->b[s], &y[s], &x[s], &w[s], &bias[s], 1e-5f, p->e) ||
               p->b[s]->ops->rmsnorm(p->b[s], &z[s], &x[s], &w[s], 1e-5f, p->e));
    compare(p, y);
    compare(p, z);
    drop(p, x), drop(p, y), drop(p, z), drop(p, w), drop(p, bias);
}

/* A prefix of 30 rows and two questions of five behind it. */
static void attention(struct pair *p)
{
    struct kv_row at[PREFIX + 10];
    struct tensor qkv[2], y[2];
    for (int i = 0; i < PREFIX + 10; i++) {
        int q = i < PREFIX ? -1 : (i - PREFIX) / 5, j = i < PREFIX ? i : (i - PREFIX) % 5;
        int lo = q < 0 ? 0 : KV_ALIGN * (1 + q);
        at[i] = (struct kv_row){ .base = 0, .prefix = q < 0 ? 0 : PREFIX, .lo = lo, .col = lo + j,
                                 .position = q < 0 ? j : PREFIX + j };
    }
    make(p, qkv, p->type, PREFIX + 10, 3 * H * HEAD);
    make(p, y, p->type, PREFIX + 10, H * HEAD);
    for (int s = CHECKED; s <= JUDGE && p->e->code == OK; s++) {
        struct kvcache kv = { .type = p->type, .layers = 1, .columns = 3 * KV_ALIGN, .kv_heads = H,
                              .head_size = HEAD };
        const struct backend_ops *ops = p->b[s]->ops;
        if (ops->kv_alloc(p->b[s], &kv, p->e) != OK)
            break;
        (void)(ops->cache(p->b[s], &qkv[s], &kv, 0, H, 10000, at, p->e) ||
               ops->attend(p->b[s], &y[s], &qkv[s], &kv, 0, H, at, p->e) ||
               ops->sync(p->b[s], p->e));
        ops->kv_release(p->b[s], &kv);
    }
    compare(p, y);
    drop(p, qkv), drop(p, y);
}

enum status llava_self_test(const struct llava_options *o, double *error, double *allowed,
                            struct err *e)
{
    struct pair p = { .state = 1, .e = e };
    struct err why = { 0 };
    *error = 0;
    if (machine_open(&p.b[CHECKED], o, &p.weights, &why, e) == OK &&
        backend_plain_open(&p.b[JUDGE], e) == OK) {
        p.type = p.weights == E4M3 ? F16 : p.weights;       /* the judge rounds to e4m3, too */
        product(&p, ACT_NONE);
        product(&p, ACT_QUICK_GELU);
        product(&p, ACT_GELU);
        product(&p, ACT_SWIGLU);
        norms(&p);
        attention(&p);
    }
    for (int s = CHECKED; s <= JUDGE; s++)
        if (p.b[s])
            p.b[s]->ops->close(p.b[s]);
    *error = p.worst;
    *allowed = p.type == F32 ? 1e-5 : p.type == F16 ? 1e-3 : 5e-3;
    return e->code;
}
