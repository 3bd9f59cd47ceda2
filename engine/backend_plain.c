/* backend_plain.c -- every operation as its definition says: float64, one loop inside the other.
 *
 * The judge of the other backends: slow, and right at a glance. Tensors are stored in the type that
 * the caller asked for, so results are rounded once, when they are stored; weights are rounded to
 * the matrix's type and kept as float32; the KV cache is float32, whatever its type. Of a weight
 * in E4M3, its rows and those of x are rounded to e4m3, each with its scale. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/backend.h"
#include "kernels/float8.h"

struct plain {
    struct backend base;
    size_t used, peak;                                      /* bytes */
};

/* Each block starts with its own size, so that freeing it can be counted. */
enum { HEAD = 64 };

static void *take(struct backend *b, size_t count, size_t size, struct err *e)
{
    struct plain *p = (struct plain *)b;
    size_t n = 0;
    char *at = NULL;
    if (!__builtin_mul_overflow(count, size, &n) && !__builtin_add_overflow(n, HEAD, &n))
        at = calloc(1, n);
    if (at == NULL) {
        err_set(e, ERR_MEMORY, "no memory for %zu elements of %zu bytes", count, size);
        return NULL;
    }
    memcpy(at, &n, sizeof n);
    p->used += n;
    p->peak = p->used > p->peak ? p->used : p->peak;
    return at + HEAD;
}

static void give(struct backend *b, void *data)
{
    size_t n;
    if (data == NULL)
        return;
    memcpy(&n, (char *)data - HEAD, sizeof n);
    ((struct plain *)b)->used -= n;
    free((char *)data - HEAD);
}

static double load(const void *data, enum dtype type, size_t i)
{
    switch (type) {
    case F32: {
        float x;                                            /* memcpy: a file may be unaligned */
        memcpy(&x, (const char *)data + 4 * i, sizeof x);
        return x;
    }
    case BF16: case F16: {
        uint16_t h;
        memcpy(&h, (const char *)data + 2 * i, sizeof h);
        return type == BF16 ? bf16_to_float(h) : f16_to_float(h);
    }
    case U8:
        return ((const uint8_t *)data)[i];
    case I32:
        return ((const int32_t *)data)[i];
    case E4M3:                                              /* only within a matrix */
        break;
    }
    return 0;
}

static void store(void *data, enum dtype type, size_t i, double x)
{
    assert(type == F32 || type == BF16 || type == F16);
    if (type == F32)
        ((float *)data)[i] = (float)x;
    else
        ((uint16_t *)data)[i] = type == BF16 ? bf16_of_float((float)x) : f16_of_float((float)x);
}

static double get(const struct tensor *t, int row, int col)
{
    return load(t->data, t->type, (size_t)row * (size_t)t->cols + (size_t)col);
}

static void put(const struct tensor *t, int row, int col, double x)
{
    store(t->data, t->type, (size_t)row * (size_t)t->cols + (size_t)col, x);
}

static double rounded(enum dtype type, double x)
{
    return type == BF16 ? bf16_to_float(bf16_of_float((float)x))
         : type == F16  ? f16_to_float(f16_of_float((float)x)) : (float)x;
}

static enum status plain_alloc(struct backend *b, struct tensor *t, struct err *e)
{
    t->data = take(b, (size_t)t->rows * (size_t)t->cols, dtype_size(t->type), e);
    return t->data ? OK : e->code;
}

static void plain_release(struct backend *b, struct tensor *t)
{
    give(b, t->data);
    t->data = NULL;
}

static size_t size_of(const struct tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols * dtype_size(t->type);
}

static enum status plain_write(struct backend *b, struct tensor *t, const void *host,
                               struct err *e)
{
    (void)b, (void)e;
    if (size_of(t))
        memcpy(t->data, host, size_of(t));
    return OK;
}

static enum status plain_read(struct backend *b, void *host, const struct tensor *t,
                              struct err *e)
{
    (void)b, (void)e;
    if (size_of(t))
        memcpy(host, t->data, size_of(t));
    return OK;
}

static enum status plain_sync(struct backend *b, struct err *e)
{
    (void)b;
    return e->code;
}

static enum status plain_reserve(struct backend *b, int rows, int tower_rows, struct err *e)
{
    (void)b, (void)rows, (void)tower_rows;
    return e->code;
}

/* The numbers that a row of e4m3 and its scale stand for, in the place of the row's own. */
static void as_e4m3(float *row, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = fmaxf(most, fabsf(row[i]));
    float scale = fmaxf(most / E4M3_MOST, FLT_MIN), by = 1 / scale;
    for (int i = 0; i < n; i++)
        row[i] = e4m3_to_float(e4m3_of_float(row[i] * by)) * scale;
}

static enum status plain_pack(struct backend *b, struct matrix *m, const struct view *parts,
                              int n_parts, struct err *e)
{
    size_t at = 0;
    m->data = take(b, (size_t)m->N * (size_t)m->K, sizeof(float), e);
    if (m->data == NULL)
        return e->code;
    for (int p = 0; p < n_parts; p++) {
        size_t n = (size_t)parts[p].rows * (size_t)parts[p].cols;
        assert(parts[p].cols == m->K && at + n <= (size_t)m->N * (size_t)m->K);
        for (size_t i = 0; i < n; i++)
            ((float *)m->data)[at++] =
                (float)rounded(m->type, load(parts[p].data, parts[p].type, i));
    }
    assert(at == (size_t)m->N * (size_t)m->K);
    for (int n = 0; m->type == E4M3 && n < m->N; n++)
        as_e4m3((float *)m->data + (size_t)n * (size_t)m->K, m->K);
    return OK;
}

static void plain_unpack(struct backend *b, struct matrix *m)
{
    give(b, m->data);
    m->data = NULL;
}

static enum status plain_kv_alloc(struct backend *b, struct kvcache *kv, struct err *e)
{
    size_t n = (size_t)kv->layers * (size_t)kv->columns * (size_t)kv->kv_heads *
               (size_t)kv->head_size;
    kv->k = take(b, n, sizeof(float), e);
    kv->v = take(b, n, sizeof(float), e);
    if (kv->k && kv->v)
        return OK;
    give(b, kv->k);
    give(b, kv->v);
    kv->k = kv->v = NULL;
    return e->code;
}

static void plain_kv_release(struct backend *b, struct kvcache *kv)
{
    give(b, kv->k);
    give(b, kv->v);
    kv->k = kv->v = NULL;
}

/* The head's d numbers in one column: [layer][column][G][d]. */
static float *kv_at(float *pool, const struct kvcache *kv, int layer, int col, int head)
{
    assert(layer >= 0 && layer < kv->layers && col >= 0 && col < kv->columns);
    size_t i = ((size_t)layer * (size_t)kv->columns + (size_t)col) * (size_t)kv->kv_heads;
    return pool + (i + (size_t)head) * (size_t)kv->head_size;
}

static enum status plain_patches(struct backend *b, struct tensor *y, const struct tensor *x,
                                 int side, int patch, struct err *e)
{
    static const float mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
    static const float std[3] = { 0.26862954f, 0.26130258f, 0.27577711f };
    int across = side / patch;
    (void)b, (void)e;
    assert(x->type == U8 && x->cols == side * side * 3 && y->cols == 3 * patch * patch);
    assert(y->rows == x->rows * across * across);
    for (int t = 0; t < y->rows; t++)
        for (int c = 0; c < 3; c++)
            for (int j = 0; j < patch * patch; j++) {
                int p = t % (across * across);
                int row = p / across * patch + j / patch, col = p % across * patch + j % patch;
                double u = get(x, t / (across * across), (row * side + col) * 3 + c);
                float scaled = (float)(u * (1.0 / 255));    /* one rounding per operation */
                float centred = scaled - mean[c];
                put(y, t, c * patch * patch + j, centred / std[c]);
            }
    return OK;
}

static enum status plain_tower_embed(struct backend *b, struct tensor *y, const struct tensor *x,
                                     const struct tensor *cls, const struct tensor *pos,
                                     struct err *e)
{
    int rows = pos->rows;                                   /* 1 + P */
    (void)b, (void)e;
    assert(y->rows % rows == 0 && x->rows == y->rows / rows * (rows - 1) && x->cols == y->cols);
    for (int t = 0; t < y->rows; t++)
        for (int d = 0; d < y->cols; d++) {
            int image = t / rows, r = t % rows;
            put(y, t, d, (r ? get(x, image * (rows - 1) + r - 1, d) : get(cls, 0, d)) +
                         get(pos, r, d));
        }
    return OK;
}

static enum status plain_embed(struct backend *b, struct tensor *y, const int32_t *id,
                               const struct tensor *table, const struct tensor *image,
                               struct err *e)
{
    (void)b, (void)e;
    for (int t = 0; t < y->rows; t++)
        for (int d = 0; d < y->cols; d++)
            put(y, t, d, id[t] >= 0 ? get(table, id[t], d) : get(image, -1 - id[t], d));
    return OK;
}

static enum status plain_gather(struct backend *b, struct tensor *y, const struct tensor *x,
                                const int32_t *row, struct err *e)
{
    (void)b, (void)e;
    for (int t = 0; t < y->rows; t++)
        for (int d = 0; d < y->cols; d++)
            put(y, t, d, get(x, row[t], d));
    return OK;
}

static enum status plain_layernorm(struct backend *b, struct tensor *y, const struct tensor *x,
                                   const struct tensor *w, const struct tensor *bias, float eps,
                                   struct err *e)
{
    int D = x->cols;
    (void)b, (void)e;
    for (int t = 0; t < x->rows; t++) {
        double sum = 0, squares = 0;
        for (int d = 0; d < D; d++)
            sum += get(x, t, d);
        for (int d = 0; d < D; d++)
            squares += (get(x, t, d) - sum / D) * (get(x, t, d) - sum / D);
        for (int d = 0; d < D; d++)
            put(y, t, d, (get(x, t, d) - sum / D) / sqrt(squares / D + eps) * get(w, 0, d) +
                         get(bias, 0, d));
    }
    return OK;
}

static enum status plain_rmsnorm(struct backend *b, struct tensor *y, const struct tensor *x,
                                 const struct tensor *w, float eps, struct err *e)
{
    int D = x->cols;
    (void)b, (void)e;
    for (int t = 0; t < x->rows; t++) {
        double squares = 0;
        for (int d = 0; d < D; d++)
            squares += get(x, t, d) * get(x, t, d);
        for (int d = 0; d < D; d++) {
            double n = get(x, t, d) / sqrt(squares / D + eps);
            put(y, t, d, get(w, 0, d) * (y->type == F32 ? n : rounded(y->type, n)));
        }
    }
    return OK;
}

static double sigmoid(double z)
{
    return 1 / (1 + exp(-z));
}

static enum status plain_matmul(struct backend *b, struct tensor *y, const struct tensor *x,
                                const struct matrix *w, const struct epilogue *ep, struct err *e)
{
    bool paired = ep->act == ACT_SWIGLU;
    int N = paired ? w->N / 2 : w->N, K = w->K;
    double *sum = malloc(sizeof *sum * ((size_t)w->N + (size_t)K + 1));
    float *row = sum ? (float *)(sum + w->N) : NULL;        /* x holds nothing wider */
    (void)b;
    assert(y->rows == x->rows && y->cols == N && x->cols == K && paired == !!w->paired);
    if (sum == NULL)
        return err_set(e, ERR_MEMORY, "no memory for a row of %d sums", w->N);
    for (int t = 0; t < x->rows; t++) {
        for (int k = 0; k < K; k++)
            row[k] = (float)get(x, t, k);
        if (w->type == E4M3)
            as_e4m3(row, K);
        for (int n = 0; n < w->N; n++) {
            const float *weight = (const float *)w->data + (size_t)n * (size_t)K;
            sum[n] = 0;
            for (int k = 0; k < K; k++)
                sum[n] += (double)row[k] * weight[k];
            if (ep->bias)
                sum[n] += get(ep->bias, 0, n);
        }
        for (int n = 0; n < N; n++) {
            double z = sum[n];
            switch (ep->act) {
            case ACT_NONE:       break;
            case ACT_QUICK_GELU: z = z * sigmoid(1.702 * z); break;
            case ACT_GELU:       z = 0.5 * z * (1 + erf(z / sqrt(2))); break;
            case ACT_SWIGLU:     z = z * sigmoid(z) * sum[N + n]; break;
            }
            put(y, t, n, z + (ep->residual ? get(ep->residual, t, n) : 0));
        }
    }
    free(sum);
    return OK;
}

/* out[j] = h[j] cos - h[j + d/2] sin; out[j + d/2] = h[j + d/2] cos + h[j] sin. The angle is a
 * float32 product of float32 factors: that is part of the definition, PyTorch has it so. */
static void rotate(float *out, const struct tensor *x, int row, int first, int d, float theta,
                   int position)
{
    for (int j = 0; j < d / 2; j++) {
        float inverse = 1 / (float)pow(theta, (float)(2 * j) / (float)d);
        double angle = (float)position * inverse;
        double lo = get(x, row, first + j), hi = get(x, row, first + j + d / 2);
        out[j] = (float)(lo * cos(angle) - hi * sin(angle));
        out[j + d / 2] = (float)(hi * cos(angle) + lo * sin(angle));
    }
}

static enum status plain_cache(struct backend *b, struct tensor *qkv, struct kvcache *kv,
                               int layer, int heads, float theta, const struct kv_row *at,
                               struct err *e)
{
    int d = kv->head_size, G = kv->kv_heads;
    float *turned = malloc(sizeof *turned * (size_t)d);
    (void)b;
    assert(qkv->cols == (heads + 2 * G) * d);
    if (turned == NULL)
        return err_set(e, ERR_MEMORY, "no memory for a head of %d numbers", d);
    for (int t = 0; t < qkv->rows; t++)
        for (int h = 0; h < heads + 2 * G; h++) {           /* q heads, k heads, v heads */
            for (int j = 0; j < d; j++)
                turned[j] = (float)get(qkv, t, h * d + j);
            if (theta > 0 && h < heads + G)
                rotate(turned, qkv, t, h * d, d, theta, at[t].position);
            if (h < heads)
                for (int j = 0; j < d; j++)
                    put(qkv, t, h * d + j, turned[j]);
            else if (h < heads + G)
                memcpy(kv_at(kv->k, kv, layer, at[t].col, h - heads), turned,
                       sizeof *turned * (size_t)d);
            else
                memcpy(kv_at(kv->v, kv, layer, at[t].col, h - heads - G), turned,
                       sizeof *turned * (size_t)d);
        }
    free(turned);
    return OK;
}

static enum status plain_kv_copy(struct backend *b, struct kvcache *kv, int layer,
                                 const struct kv_copy *copies, int n, struct err *e)
{
    size_t column = sizeof(float) * (size_t)kv->kv_heads * (size_t)kv->head_size;
    (void)b, (void)e;
    for (const struct kv_copy *c = copies; c < copies + n; c++) {
        size_t all = (size_t)c->n * column;
        memcpy(kv_at(kv->k, kv, layer, c->to, 0), kv_at(kv->k, kv, layer, c->from, 0), all);
        memcpy(kv_at(kv->v, kv, layer, c->to, 0), kv_at(kv->v, kv, layer, c->from, 0), all);
    }
    return OK;
}

static bool sees(const struct kv_row *at, int c)
{
    int behind = at->base + at->prefix;
    int lo = at->lo > behind ? at->lo : behind;
    return (at->base <= c && c < behind) || (lo <= c && c <= at->col);
}

static enum status plain_attend(struct backend *b, struct tensor *y, const struct tensor *qkv,
                                const struct kvcache *kv, int layer, int heads,
                                const struct kv_row *at, struct err *e)
{
    int d = kv->head_size, C = kv->columns;
    double *score = malloc(sizeof *score * (size_t)C);
    (void)b;
    assert(y->rows == qkv->rows && y->cols == heads * d);
    if (score == NULL)
        return err_set(e, ERR_MEMORY, "no memory for %d scores", C);
    for (int t = 0; t < y->rows; t++)
        for (int h = 0; h < heads; h++) {
            int g = h / (heads / kv->kv_heads);
            double most = -INFINITY, sum = 0;
            for (int c = at[t].base; c < C; c++) {          /* what is not seen may be anything */
                if (!sees(&at[t], c))
                    continue;
                const float *k = kv_at(kv->k, kv, layer, c, g);
                score[c] = 0;
                for (int j = 0; j < d; j++)
                    score[c] += get(qkv, t, h * d + j) * k[j];
                score[c] /= sqrt(d);
                most = fmax(most, score[c]);
            }
            for (int c = at[t].base; c < C; c++)
                if (sees(&at[t], c))
                    sum += score[c] = exp(score[c] - most);
            for (int j = 0; j < d; j++) {
                double out = 0;
                for (int c = at[t].base; c < C; c++)
                    if (sees(&at[t], c))
                        out += score[c] / sum * kv_at(kv->v, kv, layer, c, g)[j];
                put(y, t, h * d + j, out);
            }
        }
    free(score);
    return OK;
}

struct candidate { double logit, p; int id; };

static int by_logit(const void *a, const void *b)           /* largest first, then lowest id */
{
    const struct candidate *x = a, *y = b;
    return x->logit != y->logit ? (x->logit < y->logit ? 1 : -1) : x->id - y->id;
}

static enum status plain_sample(struct backend *b, int32_t *out, const struct tensor *logits,
                                int n_valid, const uint8_t *allowed, const struct sampling *how,
                                struct err *e)
{
    struct candidate *c = malloc(sizeof *c * ((size_t)n_valid + 1));
    (void)b;
    assert(logits->type == F32 && n_valid <= logits->cols);
    if (c == NULL)
        return err_set(e, ERR_MEMORY, "no memory for %d candidates", n_valid);
    for (int s = 0; s < logits->rows; s++) {
        int n = 0;
        for (int i = 0; i < n_valid; i++)
            if (allowed == NULL || allowed[i])
                c[n++] = (struct candidate){ .logit = get(logits, s, i), .id = i };
        assert(n > 0);
        qsort(c, (size_t)n, sizeof *c, by_logit);
        out[s] = c[0].id;
        if (!(how[s].temperature > 0))
            continue;
        double sum = 0, kept = 0, drawn = 0;
        if (how[s].top_k > 0 && how[s].top_k < n)
            n = how[s].top_k;
        for (int i = 0; i < n; i++)
            sum += c[i].p = exp((c[i].logit - c[0].logit) / how[s].temperature);
        if (how[s].top_p < 1)
            for (int i = 0; i < n; i++)
                if ((kept += c[i].p / sum) >= how[s].top_p)
                    n = i + 1;
        sum = 0;
        for (int i = 0; i < n; i++)
            sum += c[i].p;
        for (int i = 0; i < n && drawn <= how[s].u * sum; i++) {
            drawn += c[i].p;
            out[s] = c[i].id;
        }
    }
    free(c);
    return OK;
}

static double plain_peak_flops(struct backend *b, enum dtype type)
{
    (void)b, (void)type;
    return 0;                                               /* it is not meant to be fast */
}

static size_t plain_memory_peak(const struct backend *b)
{
    return ((const struct plain *)b)->peak;
}

static void plain_close(struct backend *b)
{
    free(b);
}

static const struct backend_ops plain_ops = {
    .name = "plain",
    .alloc = plain_alloc, .release = plain_release, .write = plain_write, .read = plain_read,
    .sync = plain_sync, .reserve = plain_reserve,
    .pack = plain_pack, .unpack = plain_unpack, .kv_alloc = plain_kv_alloc,
    .kv_release = plain_kv_release, .patches = plain_patches, .tower_embed = plain_tower_embed,
    .embed = plain_embed, .gather = plain_gather, .layernorm = plain_layernorm,
    .rmsnorm = plain_rmsnorm, .matmul = plain_matmul, .cache = plain_cache,
    .kv_copy = plain_kv_copy, .attend = plain_attend, .sample = plain_sample,
    .peak_flops = plain_peak_flops, .memory_peak = plain_memory_peak, .close = plain_close,
};

enum status backend_plain_open(struct backend **out, struct err *e)
{
    struct plain *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p == NULL)
        return err_set(e, ERR_MEMORY, "no memory for a backend");
    p->base.ops = &plain_ops;
    snprintf(p->base.about, sizeof p->base.about, "plain float64");
    *out = &p->base;
    return OK;
}
