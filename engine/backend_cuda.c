/* backend_cuda.c -- the table of operations on an NVIDIA GPU: cuBLASLt and our CUDA kernels.
 *
 * Everything is put on one stream and happens later, in order; the host waits in sync() alone, for
 * the chosen tokens. What comes from the host (token ids, places, pixels, weights) goes through one
 * block of pinned memory, so the caller's memory is its own again when an operation returns.
 *
 * All weights and activations have one type. Of a device opened as E4M3 that is F16, but weights
 * that ask for it are E4M3, and so is what is multiplied by them, made so row by row before a
 * product. The KV cache is described in kernels/cuda.h. */
#include <assert.h>
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/backend.h"
#include "engine/backend_cublas.h"
#include "engine/llava.h"
#include "kernels/cuda.h"
#include "kernels/float16.h"

_Static_assert((int)F32 == NUM_F32 && (int)BF16 == NUM_BF16 && (int)F16 == NUM_F16 &&
               (int)E4M3 == NUM_E4M3, "one numbering");
_Static_assert((int)ACT_GELU == ACTIVATE_GELU && (int)ACT_SWIGLU == ACTIVATE_SWIGLU &&
               (int)ACT_QUICK_GELU == ACTIVATE_QUICK_GELU, "one numbering");
_Static_assert(sizeof(struct kv_row) == sizeof(struct place) &&
               offsetof(struct kv_row, position) == offsetof(struct place, position), "one layout");
_Static_assert(sizeof(struct kv_copy) == sizeof(struct move) &&
               offsetof(struct kv_copy, n) == offsetof(struct move, n), "one layout");
_Static_assert(sizeof(struct sampling) == sizeof(struct draw) &&
               offsetof(struct sampling, top_k) == offsetof(struct draw, top_k) &&
               offsetof(struct sampling, u) == offsetof(struct draw, u), "one layout");

/* Pinned; used in halves. The pictures of a step, at most 64 of 340 KB, and its tables fit in both: so
 * it need not wait for a half that its own copies still read. */
enum { STAGE_BYTES = 32 << 20 };

struct room { void *at; size_t n; };                        /* device memory that grows to its need */

/* A copy on the device of something of the host's, made again when that has changed. */
struct mirror { struct room device; void *host; size_t n, size; };

/* The moment from which on the stream works for a stage. */
struct mark { cudaEvent_t event; int stage; };

struct cuda {
    struct backend base;
    enum dtype type, weights;   /* of activations; of the weights that products are fastest with */
    int device;
    cudaStream_t stream;
    cudaEvent_t step;           /* what a step's wait sleeps on */
    struct products *products;
    struct { char *at; size_t used; int half; bool in_use[2]; cudaEvent_t passed[2]; } stage;
    struct room ids, wide, draws, cosine, sine, chosen, scratch;
    struct mirror places, copies, allowed;
    struct room tiles;          /* of `places` */
    struct tile *tile;          /* [tile_size], the host's */
    int n_tiles, tile_size;
    enum dtype tiled_for;
    int positions, rope_d;      /* of cosine and sine [positions, d/2] */
    float rope_theta;
    int32_t *chosen_host;       /* pinned [chosen_size]: lands there at sync ... */
    int chosen_size;
    int32_t *out;               /* ... and goes on to here, [n_out]; or NULL */
    int n_out;
    int widest;                 /* N of the widest paired weight; or E4M3's N, and its largest K: */
    int deepest;
    struct room narrow, scales; /* of E4M3: rows as they are multiplied, and their scales */
    struct matrix largest;      /* what peak_flops multiplies by */
    size_t used, peak;          /* bytes */
    struct mark *mark;          /* [mark_size], whose events are kept; n_marks since marked() */
    int n_marks, mark_size;
};

/* The calls below act on the calling thread's device. */
static struct cuda *cuda_of(struct backend *b)
{
    struct cuda *c = (struct cuda *)b;
    cudaSetDevice(c->device);
    return c;
}

static enum status check(const struct cuda *c, int rc, const char *what, struct err *e)
{
    if (rc == cudaSuccess)
        return OK;
    cudaGetLastError();                                     /* one that passes must not stay */
    return err_set(e, rc == cudaErrorMemoryAllocation ? ERR_MEMORY : ERR_DEVICE, "cuda:%d: %s: %s",
                   c->device, what, cudaGetErrorString((cudaError_t)rc));
}

/* ---- memory --------------------------------------------------------------------------------- */

static void *take(struct cuda *c, size_t n, struct err *e)
{
    void *at = NULL;
    size_t left = 0, all = 0;
    cudaError_t rc = n ? cudaMalloc(&at, n) : cudaMalloc(&at, 1);
    if (rc == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        cudaMemGetInfo(&left, &all);
        err_set(e, ERR_MEMORY, "cuda:%d: no memory for %zu bytes: %zu of %zu are free", c->device,
                n, left, all);
        return NULL;
    }
    if (check(c, rc, "memory", e) != OK)
        return NULL;
    c->used += n;
    c->peak = c->used > c->peak ? c->used : c->peak;
    return at;
}

static void give(struct cuda *c, void *at, size_t n)
{
    if (!at)
        return;
    cudaFree(at);                                           /* waits for what still uses it */
    c->used -= n;
}

static void *take_zeros(struct cuda *c, size_t n, struct err *e)
{
    void *at = take(c, n, e);
    if (at && check(c, cudaMemsetAsync(at, 0, n, c->stream), "clearing memory", e) != OK) {
        give(c, at, n);
        at = NULL;
    }
    return at;
}

/* At least n bytes; what they held may be lost. NULL: e says why. */
static void *grow(struct cuda *c, struct room *r, size_t n, struct err *e)
{
    if (r->at && n <= r->n)
        return r->at;
    give(c, r->at, r->n);
    r->at = take(c, n, e);
    r->n = r->at ? n : 0;
    return r->at;
}

static size_t size_of(const struct tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols * dtype_size(t->type);
}

/* n bytes (at most half the stage) of pinned memory that no copy reads any more. */
static char *stage(struct cuda *c, size_t n, struct err *e)
{
    enum { HALF = STAGE_BYTES / 2 };
    assert(n <= HALF);
    if (c->stage.used + n > HALF) {
        int next = !c->stage.half;
        if (check(c, cudaEventRecord(c->stage.passed[c->stage.half], c->stream), "event", e) ||
            (c->stage.in_use[next] &&
             check(c, cudaEventSynchronize(c->stage.passed[next]), "copying to the device", e)))
            return NULL;
        c->stage.in_use[c->stage.half] = true;
        c->stage.half = next;
        c->stage.used = 0;
    }
    char *at = c->stage.at + (size_t)c->stage.half * HALF + c->stage.used;
    c->stage.used += (n + 63) / 64 * 64;
    return at;
}

enum { PIECE = 4 << 20 };                                   /* bytes of one copy */

/* Copies; from is the caller's again when it returns. */
static enum status upload(struct cuda *c, void *to, const void *from, size_t n, struct err *e)
{
    for (size_t done = 0, k; done < n; done += k) {
        k = n - done < PIECE ? n - done : PIECE;
        char *at = stage(c, k, e);
        if (!at)
            return e->code;
        memcpy(at, (const char *)from + done, k);
        if (check(c, cudaMemcpyAsync((char *)to + done, at, k, cudaMemcpyHostToDevice, c->stream),
                  "copying to the device", e) != OK)
            return e->code;
    }
    return OK;
}

/* *changed: the device's copy is new. */
static enum status reflect(struct cuda *c, struct mirror *m, const void *from, size_t n,
                           bool *changed, struct err *e)
{
    *changed = !m->host || n != m->n || memcmp(m->host, from, n) != 0;
    if (!*changed)
        return OK;
    if (n > m->size || !m->host) {
        free(m->host);
        m->host = malloc(n + 1);
        m->size = m->host ? n : 0;
        if (!m->host)
            return err_set(e, ERR_MEMORY, "no memory for %zu bytes", n);
    }
    m->n = SIZE_MAX;                                        /* unlike anything, until it is there */
    if (!grow(c, &m->device, n, e) || upload(c, m->device.at, from, n, e) != OK)
        return e->code;
    memcpy(m->host, from, n);
    m->n = n;
    return OK;
}

static enum status cuda_alloc(struct backend *b, struct tensor *t, struct err *e)
{
    t->data = take_zeros(cuda_of(b), size_of(t), e);
    return t->data ? OK : err_in(e, "tensor [%d,%d]", t->rows, t->cols);
}

static void cuda_release(struct backend *b, struct tensor *t)
{
    give(cuda_of(b), t->data, size_of(t));
    t->data = NULL;
}

static enum status cuda_write(struct backend *b, struct tensor *t, const void *host, struct err *e)
{
    return upload(cuda_of(b), t->data, host, size_of(t), e);
}

static enum status cuda_read(struct backend *b, void *host, const struct tensor *t, struct err *e)
{
    struct cuda *c = cuda_of(b);
    if (!size_of(t))
        return OK;
    return check(c, cudaMemcpyAsync(host, t->data, size_of(t), cudaMemcpyDeviceToHost, c->stream),
                 "copying from the device", e);
}

static enum status cuda_sync(struct backend *b, struct err *e)
{
    struct cuda *c = cuda_of(b);                            /* asleep: pictures are decoded meanwhile */
    if (check(c, cudaEventRecord(c->step, c->stream), "a step", e) == OK &&
        check(c, cudaEventSynchronize(c->step), "a step", e) == OK && c->out)
        memcpy(c->out, c->chosen_host, (size_t)c->n_out * sizeof *c->out);
    c->out = NULL;
    c->stage.used = 0;                                      /* nothing reads it any more */
    c->stage.in_use[0] = c->stage.in_use[1] = false;
    return e->code;
}

static enum status cuda_memory_free(struct backend *b, size_t *bytes, struct err *e)
{
    size_t all;
    struct cuda *c = cuda_of(b);
    return check(c, cudaMemGetInfo(bytes, &all), "its memory", e);
}

/* Room for S tokens, on the device and, pinned, here. */
static enum status room_for_tokens(struct cuda *c, int S, struct err *e)
{
    if (!grow(c, &c->chosen, (size_t)S * sizeof *c->chosen_host, e))
        return e->code;
    if (S <= c->chosen_size)
        return OK;
    if (c->chosen_host)
        cudaFreeHost(c->chosen_host);
    c->chosen_host = NULL;
    c->chosen_size = 0;
    if (check(c, cudaMallocHost((void **)&c->chosen_host, (size_t)S * sizeof *c->chosen_host),
              "pinned memory", e) == OK)
        c->chosen_size = S;
    return e->code;
}

/* The two halves of SwiGLU are what is large, and, with weights in E4M3, sums that are still to be
 * scaled and rows as they are multiplied; the rest is some bytes a row. */
static enum status cuda_reserve(struct backend *b, int rows, int tower_rows, struct err *e)
{
    struct cuda *c = cuda_of(b);
    size_t n = (size_t)rows, most = (size_t)(rows > tower_rows ? rows : tower_rows);
    size_t size = c->weights == E4M3 ? sizeof(float) : dtype_size(c->type);
    (void)(grow(c, &c->wide, n * (size_t)c->widest * size, e) &&
           grow(c, &c->narrow, n * (size_t)c->deepest, e) &&
           grow(c, &c->scales, c->deepest ? n * sizeof(float) : 0, e) &&
           grow(c, &c->ids, most * sizeof(int32_t), e) &&
           grow(c, &c->places.device, most * sizeof(struct kv_row), e) &&
           grow(c, &c->tiles, most * sizeof(struct tile), e) &&
           grow(c, &c->copies.device, n * sizeof(struct kv_copy), e) &&
           grow(c, &c->draws, n * sizeof(struct sampling), e) &&
           room_for_tokens(c, rows, e) == OK);
    return e->code;
}

/* ---- weights -------------------------------------------------------------------------------- */

static enum number number(enum dtype type)
{
    assert(type == F32 || type == BF16 || type == F16 || type == E4M3);
    return (enum number)type;
}

static float value(const unsigned char *from, enum dtype type, size_t i)
{
    uint16_t h;
    float x;
    if (type == F32) {
        memcpy(&x, from + 4 * i, sizeof x);
        return x;
    }
    memcpy(&h, from + 2 * i, sizeof h);
    return type == BF16 ? bf16_to_float(h) : f16_to_float(h);
}

/* Numbers of a file to ours; false: some are finite there and would not be here. */
static bool convert(void *to, enum dtype type, const unsigned char *from, enum dtype from_type,
                    size_t n)
{
    int lost = 0;
    if (type == from_type) {
        memcpy(to, from, n * dtype_size(type));
        return true;
    }
#pragma omp parallel for reduction(| : lost)
    for (size_t i = 0; i < n; i++) {
        float x = value(from, from_type, i);
        if (type == F32)
            ((float *)to)[i] = x;
        else if (type == BF16)
            ((uint16_t *)to)[i] = bf16_of_float(x);
        else {
            uint16_t h = f16_of_float(x);
            ((uint16_t *)to)[i] = h;
            lost |= (h & 0x7fff) == 0x7c00 && (float_bits(x) & 0x7fffffff) < 0x7f800000;
        }
    }
    return !lost;
}

static enum status upload_part(struct cuda *c, char *to, const struct view *v, struct err *e)
{
    size_t all = (size_t)v->rows * (size_t)v->cols, size = dtype_size(c->type);
    for (size_t done = 0, k; done < all; done += k) {
        k = all - done < PIECE / size ? all - done : PIECE / size;
        char *at = stage(c, k * size, e);
        if (!at)
            return e->code;
        if (!convert(at, c->type, (const unsigned char *)v->data + done * dtype_size(v->type),
                     v->type, k))
            return err_set(e, ERR_CHECKPOINT, "holds numbers beyond 65504, too large for fp16: use "
                                              "--dtype bf16 or fp32");
        if (check(c, cudaMemcpyAsync(to + done * size, at, k * size, cudaMemcpyHostToDevice,
                                     c->stream), "copying weights to the device", e) != OK)
            return e->code;
    }
    return OK;
}

static size_t matrix_bytes(const struct matrix *m)
{
    return (size_t)m->N * (size_t)m->K * dtype_size(m->type);
}

static void cuda_unpack(struct backend *b, struct matrix *m)
{
    struct cuda *c = cuda_of(b);
    if (c->largest.data == m->data)
        c->largest.data = NULL;
    give(c, m->data, matrix_bytes(m));
    give(c, m->scale, (size_t)m->N * sizeof *m->scale);
    m->data = NULL;
    m->scale = NULL;
}

/* Rows of a file to e4m3, on the device: they pass through c->wide as they are in the file. */
static enum status quantise_part(struct cuda *c, uint8_t *to, float *scale, const struct view *v,
                                 struct err *e)
{
    size_t row = (size_t)v->cols * dtype_size(v->type);
    int most = row < PIECE ? (int)(PIECE / row) : 1;
    for (int done = 0, n; done < v->rows; done += n) {
        n = v->rows - done < most ? v->rows - done : most;
        const char *from = (const char *)v->data + (size_t)done * row;
        if (!grow(c, &c->wide, (size_t)n * row, e) ||
            upload(c, c->wide.at, from, (size_t)n * row, e) != OK ||
            check(c, quantise_cuda(to + (size_t)done * (size_t)v->cols, scale + done, c->wide.at,
                                   number(v->type), n, v->cols, c->stream), "weights", e) != OK)
            return e->code;
    }
    return OK;
}

static enum status pack_e4m3(struct cuda *c, struct matrix *m, const struct view *parts,
                             int n_parts, struct err *e)
{
    if (m->N % 16 || m->K % 16)
        return err_set(e, ERR_CHECKPOINT, "is [%d,%d]: fp8 multiplies by multiples of 16; use "
                                          "--dtype fp16", m->N, m->K);
    m->data = take(c, matrix_bytes(m), e);
    m->scale = m->data ? take(c, (size_t)m->N * sizeof *m->scale, e) : NULL;
    for (int i = 0, row = 0; i < n_parts && e->code == OK; row += parts[i++].rows)
        quantise_part(c, (uint8_t *)m->data + (size_t)row * (size_t)m->K, m->scale + row, &parts[i],
                      e);
    c->widest = m->N > c->widest ? m->N : c->widest;
    c->deepest = m->K > c->deepest ? m->K : c->deepest;
    return e->code;
}

static enum status pack_as_it_is(struct cuda *c, struct matrix *m, const struct view *parts,
                                 int n_parts, struct err *e)
{
    m->type = c->type;
    m->data = take(c, matrix_bytes(m), e);
    char *to = m->data;
    for (int i = 0; to && i < n_parts && e->code == OK; i++) {
        upload_part(c, to, &parts[i], e);
        to += (size_t)parts[i].rows * (size_t)m->K * dtype_size(m->type);
    }
    if (m->paired && m->N > c->widest)
        c->widest = m->N;
    return e->code;
}

static enum status cuda_pack(struct backend *b, struct matrix *m, const struct view *parts,
                             int n_parts, struct err *e)
{
    struct cuda *c = cuda_of(b);
    int rows = 0;
    assert(!m->paired || (n_parts == 2 && parts[0].rows == parts[1].rows));
    for (int i = 0; i < n_parts; rows += parts[i++].rows)
        assert(parts[i].cols == m->K);
    assert(rows == m->N);
    m->scale = NULL;
    if (c->weights == E4M3 && m->type == E4M3)
        pack_e4m3(c, m, parts, n_parts, e);
    else
        pack_as_it_is(c, m, parts, n_parts, e);
    if (e->code != OK) {
        cuda_unpack(b, m);
        return e->code;
    }
    if (m->type == c->weights &&
        (!c->largest.data || matrix_bytes(m) > matrix_bytes(&c->largest)))
        c->largest = *m;
    return OK;
}

/* ---- the cache ------------------------------------------------------------------------------ */

static size_t layer_bytes(const struct kvcache *kv)
{
    return (size_t)kv->kv_heads * (size_t)kv->columns * (size_t)kv->head_size *
           dtype_size(kv->type);
}

static void cuda_kv_release(struct backend *b, struct kvcache *kv)
{
    struct cuda *c = cuda_of(b);
    size_t n = (size_t)kv->layers * layer_bytes(kv);
    give(c, kv->k, n);
    give(c, kv->v, n);
    kv->k = kv->v = NULL;
}

static enum status cuda_kv_alloc(struct backend *b, struct kvcache *kv, struct err *e)
{
    struct cuda *c = cuda_of(b);
    size_t n = (size_t)kv->layers * layer_bytes(kv);
    assert(kv->columns % KV_ALIGN == 0 && kv->type == c->type);
    kv->k = kv->v = NULL;
    if (kv->head_size % 8 || kv->head_size > ATTENTION_D)
        return err_set(e, ERR_CHECKPOINT, "heads of %d numbers: CUDA runs multiples of 8 up to %d; "
                       "use --device cpu", kv->head_size, ATTENTION_D);
    kv->k = take_zeros(c, n, e);
    kv->v = kv->k ? take_zeros(c, n, e) : NULL;
    if (kv->v)
        return OK;
    cuda_kv_release(b, kv);
    return err_in(e, "KV cache of %d columns in %d layers", kv->columns, kv->layers);
}

/* ---- the operations ------------------------------------------------------------------------- */

static enum status cuda_patches(struct backend *b, struct tensor *y, const struct tensor *x,
                                int side, int patch, struct err *e)
{
    struct cuda *c = cuda_of(b);
    int across = side / patch;
    assert(x->type == U8 && x->cols == side * side * 3 && y->cols == 3 * patch * patch);
    assert(y->rows == x->rows * across * across);
    return check(c, patches_cuda(y->data, number(y->type), x->data, x->rows, side, patch,
                                 c->stream), "patches", e);
}

static enum status cuda_tower_embed(struct backend *b, struct tensor *y, const struct tensor *x,
                                    const struct tensor *cls, const struct tensor *pos,
                                    struct err *e)
{
    struct cuda *c = cuda_of(b);
    int images = y->rows / pos->rows;
    assert(y->rows % pos->rows == 0 && x->rows == images * (pos->rows - 1) && x->cols == y->cols);
    return check(c, tower_embed_cuda(y->data, number(y->type), x->data, number(x->type), cls->data,
                                     number(cls->type), pos->data, number(pos->type), images,
                                     pos->rows, y->cols, c->stream), "tower_embed", e);
}

static enum status pick(struct cuda *c, struct tensor *y, const struct tensor *x,
                        const struct tensor *other, const int32_t *row, const char *what,
                        struct err *e)
{
    size_t n = (size_t)y->rows * sizeof *row;
    if (!grow(c, &c->ids, n, e) || upload(c, c->ids.at, row, n, e) != OK)
        return e->code;
    return check(c, gather_cuda(y->data, number(y->type), x->data, number(x->type),
                                other ? other->data : NULL, other ? number(other->type) : NUM_F32,
                                c->ids.at, y->rows, y->cols, c->stream), what, e);
}

static enum status cuda_embed(struct backend *b, struct tensor *y, const int32_t *id,
                              const struct tensor *table, const struct tensor *image,
                              struct err *e)
{
    for (int t = 0; t < y->rows; t++)
        assert(id[t] >= 0 ? id[t] < table->rows : image && -1 - id[t] < image->rows);
    assert(table->cols == y->cols && (image == NULL || image->cols == y->cols));
    return pick(cuda_of(b), y, table, image, id, "embed", e);
}

static enum status cuda_gather(struct backend *b, struct tensor *y, const struct tensor *x,
                               const int32_t *row, struct err *e)
{
    for (int t = 0; t < y->rows; t++)
        assert(row[t] >= 0 && row[t] < x->rows);
    assert(x->cols == y->cols);
    return pick(cuda_of(b), y, x, NULL, row, "gather", e);
}

static enum status cuda_layernorm(struct backend *b, struct tensor *y, const struct tensor *x,
                                  const struct tensor *w, const struct tensor *bias, float eps,
                                  struct err *e)
{
    struct cuda *c = cuda_of(b);
    assert(y->rows == x->rows && y->cols == x->cols && w->cols == x->cols && bias->cols == x->cols);
    assert(w->type == F32 && bias->type == F32);
    return check(c, layernorm_cuda(y->data, number(y->type), x->data, number(x->type), w->data,
                                   bias->data, x->rows, x->cols, eps, c->stream), "layernorm", e);
}

static enum status cuda_rmsnorm(struct backend *b, struct tensor *y, const struct tensor *x,
                                const struct tensor *w, float eps, struct err *e)
{
    struct cuda *c = cuda_of(b);
    assert(y->rows == x->rows && y->cols == x->cols && w->cols == x->cols && w->type == F32);
    return check(c, rmsnorm_cuda(y->data, number(y->type), x->data, number(x->type), w->data,
                                 x->rows, x->cols, eps, c->stream), "rmsnorm", e);
}

static enum status multiply(struct cuda *c, const struct multiply *m, struct err *e)
{
    return products_run(c->products, m, e) == OK ? OK : err_in(e, "cuda:%d", c->device);
}

/* All in the product: float32 out, nothing but a bias and what is added. */
static enum status accumulate(struct cuda *c, struct tensor *y, const struct multiply *product,
                              const struct epilogue *ep, struct err *e)
{
    struct multiply m = *product;
    const struct tensor *r = ep->residual;
    size_t n = (size_t)y->rows * (size_t)y->cols;
    if (r && r->data != y->data &&
        check(c, convert_cuda(y->data, NUM_F32, r->data, number(r->type), n, c->stream), "residual",
              e) != OK)
        return e->code;
    m.bias = ep->bias ? ep->bias->data : NULL;
    m.add = r != NULL;
    return multiply(c, &m, e);
}

/* What is left to do once the sums m->y are there. */
static enum status complete(struct cuda *c, struct tensor *y, const struct multiply *m,
                            struct scales scales, const struct epilogue *ep, struct err *e)
{
    const struct tensor *r = ep->residual;
    return check(c, finish_cuda(y->data, number(y->type), m->y, m->y_type, scales,
                                ep->bias ? ep->bias->data : NULL, (enum activation)ep->act,
                                r ? r->data : NULL, r ? number(r->type) : NUM_F32, y->rows, y->cols,
                                c->stream), "the end of a product", e);
}

/* Where cuBLASLt does not multiply the scales of e4m3 in, they are `left`: the sums, in float32, go
 * to memory of their own first. */
static enum status leave_scales(struct cuda *c, struct multiply *m, struct scales *left,
                                struct err *e)
{
    bool scaled = true;
    *left = (struct scales){ NULL, NULL };
    if (m->x_scale && products_scale(c->products, m, &scaled, e) != OK)
        return err_in(e, "cuda:%d", c->device);
    if (scaled)
        return OK;
    *left = (struct scales){ m->x_scale, m->w_scale };
    m->x_scale = m->w_scale = NULL;
    m->y_type = NUM_F32;
    m->y = grow(c, &c->wide, (size_t)m->T * (size_t)m->N * sizeof(float), e);
    return e->code;
}

/* The bare product, then the rest over it. cuBLASLt would take a bias of 16-bit results only if it
 * had 16 bits itself, and knows GELU only in its tanh form. */
static enum status finish(struct cuda *c, struct tensor *y, const struct multiply *product,
                          const struct epilogue *ep, struct err *e)
{
    struct multiply m = *product;
    struct scales left;
    const struct tensor *r = ep->residual;
    if (ep->act == ACT_SWIGLU || (r && r->data == y->data)) {
        m.y_type = number(c->type);
        m.y = grow(c, &c->wide, (size_t)m.T * (size_t)m.N * number_size(m.y_type), e);
        if (!m.y)
            return e->code;
    }
    if (leave_scales(c, &m, &left, e) != OK || multiply(c, &m, e) != OK)
        return e->code;
    return complete(c, y, &m, left, ep, e);
}

/* x, row by row, to e4m3: what m multiplies. */
static enum status quantise(struct cuda *c, struct multiply *m, const struct tensor *x,
                            struct err *e)
{
    m->x = grow(c, &c->narrow, (size_t)m->T * (size_t)m->K, e);
    float *scale = m->x ? grow(c, &c->scales, (size_t)m->T * sizeof *scale, e) : NULL;
    m->x_scale = scale;
    return !scale ? e->code : check(c, quantise_cuda(c->narrow.at, scale, x->data, number(x->type),
                                                     m->T, m->K, c->stream), "quantise", e);
}

/* A product in e4m3 goes the ways of the others. Only, cuBLASLt would take a bias of float32 results
 * if it had 16 bits, so that comes behind; and so does all else where it takes no scales. */
static enum status matmul_e4m3(struct cuda *c, struct tensor *y, const struct multiply *product,
                               bool whole, const struct epilogue *ep, struct err *e)
{
    const struct epilogue bias = { .bias = ep->bias }, rest = { .residual = ep->residual };
    struct multiply m = *product;
    bool scaled;
    m.add = ep->residual != NULL;
    if (whole && products_scale(c->products, &m, &scaled, e) != OK)
        return err_in(e, "cuda:%d", c->device);
    if (!whole || !scaled)
        return finish(c, y, product, ep, e);
    if (accumulate(c, y, product, &rest, e) != OK || !ep->bias)
        return e->code;
    return complete(c, y, product, (struct scales){ NULL, NULL }, &bias, e);
}

static enum status cuda_matmul(struct backend *b, struct tensor *y, const struct tensor *x,
                               const struct matrix *w, const struct epilogue *ep, struct err *e)
{
    struct cuda *c = cuda_of(b);
    bool paired = ep->act == ACT_SWIGLU;
    int N = paired ? w->N / 2 : w->N;
    struct multiply m = { .T = x->rows, .N = w->N, .K = w->K, .type = number(w->type),
                          .y_type = number(y->type), .x = x->data, .w = w->data, .y = y->data,
                          .w_scale = w->scale };
    bool whole = ep->act == ACT_NONE && (y->type == F32 || (!ep->bias && !ep->residual));
    assert(x->cols == w->K && y->rows == x->rows && y->cols == N && paired == !!w->paired);
    assert(x->type == c->type && (y->type == c->type || y->type == F32));
    assert(ep->bias == NULL || (ep->bias->type == F32 && ep->bias->cols == N && !paired));
    assert(ep->residual == NULL || (ep->residual->rows == m.T && ep->residual->cols == N));
    if (m.T == 0)
        return OK;
    if (w->type == E4M3)
        return quantise(c, &m, x, e) == OK ? matmul_e4m3(c, y, &m, whole, ep, e) : e->code;
    return whole ? accumulate(c, y, &m, ep, e) : finish(c, y, &m, ep, e);
}

/* Tables of the rotation up to the largest position of a step, and as far again. */
static enum status rope(struct cuda *c, int d, float theta, const struct kv_row *at, int T,
                        struct err *e)
{
    int need = 0;
    for (int t = 0; t < T; t++)
        need = at[t].position >= need ? at[t].position + 1 : need;
    if (need <= c->positions && c->rope_d == d && c->rope_theta == theta)
        return OK;
    int n = round_up(need, 4096);
    size_t bytes = (size_t)n * (size_t)d / 2 * sizeof(float);
    float *table = malloc(2 * bytes);
    c->positions = 0;
    if (!table)
        return err_set(e, ERR_MEMORY, "no memory for the rotation of %d positions", n);
    rope_table(table, table + bytes / sizeof *table, 0, n, d, theta);
    if (grow(c, &c->cosine, bytes, e) && grow(c, &c->sine, bytes, e) &&
        upload(c, c->cosine.at, table, bytes, e) == OK)
        upload(c, c->sine.at, table + bytes / sizeof *table, bytes, e);
    free(table);
    if (e->code != OK)
        return e->code;
    c->positions = n;
    c->rope_d = d;
    c->rope_theta = theta;
    return OK;
}

/* Tiles of the rows at `at`, and both on the device. They stay the same for all layers of a step. */
static enum status lay_rows(struct cuda *c, const struct kv_row *at, int T, enum dtype type,
                            struct err *e)
{
    bool changed;
    if (reflect(c, &c->places, at, (size_t)T * sizeof *at, &changed, e) != OK)
        return e->code;
    if (!changed && c->tiled_for == type)
        return OK;
    c->places.n = SIZE_MAX;                                 /* not yet with its tiles */
    if (T > c->tile_size) {
        free(c->tile);
        c->tile = malloc((size_t)T * sizeof *c->tile);
        c->tile_size = c->tile ? T : 0;
        if (!c->tile)
            return err_set(e, ERR_MEMORY, "no memory for the tiles of %d rows", T);
    }
    c->n_tiles = attention_tiles(c->tile, (const struct place *)at, T, number(type));
    size_t n = (size_t)c->n_tiles * sizeof *c->tile;
    if (!grow(c, &c->tiles, n, e) || upload(c, c->tiles.at, c->tile, n, e) != OK)
        return e->code;
    c->tiled_for = type;
    c->places.n = (size_t)T * sizeof *at;
    return OK;
}

/* The kernels' view of one layer. */
static struct attention layer_of(const struct cuda *c, const struct tensor *qkv,
                                 const struct kvcache *kv, int layer, int heads)
{
    size_t skip = (size_t)layer * layer_bytes(kv);
    assert(qkv->cols == (heads + 2 * kv->kv_heads) * kv->head_size && qkv->type == kv->type);
    assert(heads % kv->kv_heads == 0 && layer >= 0 && layer < kv->layers);
    return (struct attention){
        .T = qkv->rows, .heads = heads, .kv_heads = kv->kv_heads, .d = kv->head_size,
        .columns = kv->columns, .k = (char *)kv->k + skip, .v = (char *)kv->v + skip,
        .qkv = qkv->data, .type = number(qkv->type), .at = c->places.device.at,
    };
}

static enum status cuda_cache(struct backend *b, struct tensor *qkv, struct kvcache *kv, int layer,
                              int heads, float theta, const struct kv_row *at, struct err *e)
{
    struct cuda *c = cuda_of(b);
    for (int t = 0; t < qkv->rows; t++)
        assert(at[t].col >= 0 && at[t].col < kv->columns);
    if (lay_rows(c, at, qkv->rows, qkv->type, e) != OK ||
        (theta > 0 && rope(c, kv->head_size, theta, at, qkv->rows, e) != OK))
        return e->code;
    struct attention a = layer_of(c, qkv, kv, layer, heads);
    return check(c, cache_write_cuda(&a, theta > 0 ? c->cosine.at : NULL,
                                     theta > 0 ? c->sine.at : NULL, c->stream), "cache", e);
}

static enum status cuda_kv_copy(struct backend *b, struct kvcache *kv, int layer,
                                const struct kv_copy *copies, int n, struct err *e)
{
    struct cuda *c = cuda_of(b);
    size_t skip = (size_t)layer * layer_bytes(kv);
    bool changed;
    for (const struct kv_copy *m = copies; m < copies + n; m++) {
        assert(m->from % KV_ALIGN == 0 && m->to % KV_ALIGN == 0 && m->from != m->to);
        assert(m->from + m->n <= kv->columns && m->to + m->n <= kv->columns);
    }
    if (reflect(c, &c->copies, copies, (size_t)n * sizeof *copies, &changed, e) != OK)
        return e->code;
    struct attention a = { .kv_heads = kv->kv_heads, .d = kv->head_size, .columns = kv->columns,
                           .k = (char *)kv->k + skip, .v = (char *)kv->v + skip,
                           .type = number(kv->type) };
    return check(c, cache_copy_cuda(&a, c->copies.device.at, n, c->stream), "kv_copy", e);
}

static enum status cuda_attend(struct backend *b, struct tensor *y, const struct tensor *qkv,
                               const struct kvcache *kv, int layer, int heads,
                               const struct kv_row *at, struct err *e)
{
    struct cuda *c = cuda_of(b);
    assert(y->rows == qkv->rows && y->cols == heads * kv->head_size && y->type == qkv->type);
    for (int t = 0; t < qkv->rows; t++)
        assert(at[t].base % KV_ALIGN == 0 && at[t].lo % KV_ALIGN == 0 && at[t].col < kv->columns);
    if (lay_rows(c, at, qkv->rows, qkv->type, e) != OK)
        return e->code;
    struct attention a = layer_of(c, qkv, kv, layer, heads);
    return check(c, attend_cuda(y->data, &a, c->tiles.at, c->n_tiles, c->stream), "attend", e);
}

static enum status cuda_sample(struct backend *b, int32_t *out, const struct tensor *logits,
                               int n_valid, const uint8_t *allowed, const struct sampling *how,
                               struct err *e)
{
    struct cuda *c = cuda_of(b);
    int S = logits->rows;
    size_t n = (size_t)S * sizeof *how;
    bool draws = false, changed;
    assert(logits->type == F32 && n_valid <= logits->cols);
    if (S == 0)
        return OK;
    if (c->out && cuda_sync(b, e) != OK)                    /* tokens of the call before */
        return e->code;
    for (int s = 0; s < S; s++)
        draws |= how[s].temperature > 0;
    if (room_for_tokens(c, S, e) != OK || !grow(c, &c->draws, n, e) ||
        upload(c, c->draws.at, how, n, e) != OK ||
        (allowed && reflect(c, &c->allowed, allowed, (size_t)n_valid, &changed, e) != OK) ||
        (draws && !grow(c, &c->scratch, sample_cuda_scratch(S, n_valid), e)))
        return e->code;
    if (check(c, sample_cuda(c->chosen.at, logits->data, S, logits->cols, n_valid,
                             allowed ? c->allowed.device.at : NULL, c->draws.at,
                             draws ? c->scratch.at : NULL, c->stream), "sample", e) ||
        check(c, cudaMemcpyAsync(c->chosen_host, c->chosen.at, (size_t)S * sizeof *out,
                                 cudaMemcpyDeviceToHost, c->stream), "copying the tokens", e))
        return e->code;
    c->out = out;
    c->n_out = S;
    return OK;
}

/* ---- figures -------------------------------------------------------------------------------- */

static float time_products(struct cuda *c, const struct multiply *p, int times, struct err *e)
{
    cudaEvent_t start = NULL, end = NULL;
    float ms = 0;

    (void)(e->code || multiply(c, p, e) ||
           check(c, cudaEventCreate(&start), "event", e) ||
           check(c, cudaEventCreate(&end), "event", e) ||
           check(c, cudaEventRecord(start, c->stream), "event", e));
    for (int i = 0; i < times && e->code == OK; i++)
        multiply(c, p, e);
    (void)(e->code || check(c, cudaEventRecord(end, c->stream), "event", e) ||
           check(c, cudaEventSynchronize(end), "a product", e) ||
           check(c, cudaEventElapsedTime(&ms, start, end), "event", e));
    if (start)
        cudaEventDestroy(start);
    if (end)
        cudaEventDestroy(end);
    return e->code == OK ? ms : 0;
}

/* The largest of the model's products, with as many rows as fill any device, for a second: a device that is
 * warm, and numbers that are none of them zero (zeros take less power, and run faster). */
static double cuda_peak_flops(struct backend *b, enum dtype type)
{
    enum { ROWS = 2048, FEW = 20, MANY = 5000 };
    struct cuda *c = cuda_of(b);
    struct matrix w = c->largest;
    struct err e = { 0 };
    int times = FEW;
    if (!w.data || type != c->weights)
        return 0;
    size_t n = (size_t)ROWS * (size_t)w.K * dtype_size(w.type);
    size_t m = (size_t)ROWS * (size_t)w.N * dtype_size(c->type);
    struct multiply p = { .T = ROWS, .N = w.N, .K = w.K, .type = number(w.type),
                          .y_type = number(c->type), .w = w.data };
    void *x = take_zeros(c, n, &e), *y = x ? take(c, m, &e) : NULL;
    p.x = w.N >= ROWS ? w.data : x;                         /* weights: rows of the same length and type */
    p.y = y;
    float ms = time_products(c, &p, times, &e);
    if (ms > 0 && ms < 500) {
        times = 1000 / ms * FEW < MANY ? (int)(1000 / ms * FEW) : MANY;
        ms = time_products(c, &p, times, &e);
    }
    give(c, x, n);
    give(c, y, m);
    return e.code == OK && ms > 0 ? 2.0 * ROWS * w.N * w.K * times / (1e-3 * (double)ms) : 0;
}

/* Room for as many again; what is there keeps its events. */
static bool more_marks(struct cuda *c)
{
    int n = c->mark_size ? 2 * c->mark_size : 256;
    struct mark *mark = realloc(c->mark, (size_t)n * sizeof *mark);
    if (!mark)
        return false;
    memset(mark + c->mark_size, 0, (size_t)(n - c->mark_size) * sizeof *mark);
    c->mark = mark;
    c->mark_size = n;
    return true;
}

/* One that cannot be made leaves its time to the stage before: of figures, not of replies. */
static void cuda_mark(struct backend *b, int stage)
{
    struct cuda *c = cuda_of(b);
    if (c->n_marks == c->mark_size && !more_marks(c))
        return;
    struct mark *m = &c->mark[c->n_marks];
    m->stage = stage;
    if ((m->event || cudaEventCreate(&m->event) == cudaSuccess) &&
        cudaEventRecord(m->event, c->stream) == cudaSuccess)
        c->n_marks++;
    else
        cudaGetLastError();
}

static void cuda_marked(struct backend *b, double *seconds)
{
    struct cuda *c = cuda_of(b);
    for (int i = 0; i + 1 < c->n_marks; i++) {
        const struct mark *m = &c->mark[i];
        float ms = 0;
        if (m->stage < 0)
            continue;
        if (cudaEventElapsedTime(&ms, m->event, m[1].event) == cudaSuccess)
            seconds[m->stage] += 1e-3 * (double)ms;
        else
            cudaGetLastError();
    }
    c->n_marks = 0;
}

static size_t cuda_memory_peak(const struct backend *b)
{
    return ((const struct cuda *)b)->peak;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void cuda_close(struct backend *b)
{
    struct cuda *c = cuda_of(b);
    struct room *rooms[] = { &c->ids, &c->wide, &c->draws, &c->cosine, &c->sine, &c->chosen,
                             &c->scratch, &c->places.device, &c->copies.device, &c->allowed.device,
                             &c->tiles };
    if (c->stream)
        cudaStreamSynchronize(c->stream);
    for (size_t i = 0; i < COUNT(rooms); i++)
        give(c, rooms[i]->at, rooms[i]->n);
    give(c, c->narrow.at, c->narrow.n);
    give(c, c->scales.at, c->scales.n);
    products_close(c->products);
    if (c->step)
        cudaEventDestroy(c->step);
    for (int i = 0; i < 2; i++)
        if (c->stage.passed[i])
            cudaEventDestroy(c->stage.passed[i]);
    for (int i = 0; i < c->mark_size; i++)
        if (c->mark[i].event)
            cudaEventDestroy(c->mark[i].event);
    if (c->stage.at)
        cudaFreeHost(c->stage.at);
    if (c->chosen_host)
        cudaFreeHost(c->chosen_host);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    cudaGetLastError();                                     /* a device that failed says so again */
    free(c->places.host);
    free(c->copies.host);
    free(c->allowed.host);
    free(c->tile);
    free(c->mark);
    free(c);
}

static const struct backend_ops cuda_ops = {
    .name = "cuda",
    .alloc = cuda_alloc, .release = cuda_release, .write = cuda_write, .read = cuda_read,
    .sync = cuda_sync, .reserve = cuda_reserve, .memory_free = cuda_memory_free,
    .pack = cuda_pack, .unpack = cuda_unpack, .kv_alloc = cuda_kv_alloc,
    .kv_release = cuda_kv_release, .patches = cuda_patches, .tower_embed = cuda_tower_embed,
    .embed = cuda_embed, .gather = cuda_gather, .layernorm = cuda_layernorm,
    .rmsnorm = cuda_rmsnorm, .matmul = cuda_matmul, .cache = cuda_cache, .kv_copy = cuda_kv_copy,
    .attend = cuda_attend, .sample = cuda_sample, .mark = cuda_mark, .marked = cuda_marked,
    .peak_flops = cuda_peak_flops, .memory_peak = cuda_memory_peak, .close = cuda_close,
};

enum status backend_cuda_count(int *n, struct err *e)
{
    *n = 0;
    cudaError_t rc = cudaGetDeviceCount(n);
    if (rc == cudaSuccess && *n > 0)
        return OK;
    cudaGetLastError();
    *n = 0;
    return err_set(e, ERR_DEVICE, "no usable GPU: %s", rc ? cudaGetErrorString(rc)
                                                          : "the driver knows of none");
}

enum status backend_cuda_describe(int device, struct llava_gpu *out, struct err *e)
{
    struct cudaDeviceProp p;
    cudaError_t rc = cudaGetDeviceProperties(&p, device);
    *out = (struct llava_gpu){ .major = 0 };
    if (!rc)
        rc = cudaSetDevice(device);
    if (!rc)
        rc = cudaMemGetInfo(&out->free_bytes, &out->total_bytes);
    if (rc) {
        cudaGetLastError();
        return err_set(e, ERR_DEVICE, "cuda:%d: %s", device, cudaGetErrorString(rc));
    }
    snprintf(out->name, sizeof out->name, "%.63s", p.name);
    out->major = p.major;
    out->minor = p.minor;
    return OK;
}

bool backend_cuda_built(void)
{
    return true;
}

void backend_cuda_versions(char *text, size_t size)
{
    int runtime = 0, driver = 0;
    char products[200], behind[48] = "no driver";
    cudaRuntimeGetVersion(&runtime);
    cudaDriverGetVersion(&driver);                          /* 0: there is none */
    cudaGetLastError();
    products_version(products, sizeof products);
    if (driver)
        snprintf(behind, sizeof behind, "driver for CUDA %d.%d", driver / 1000, driver % 1000 / 10);
    snprintf(text, size, "CUDA %d.%d, cuBLASLt %s, %s", runtime / 1000, runtime % 1000 / 10,
             products, behind);
}

/* What every backend of a device needs before its first tensor. */
static enum status start(struct cuda *c, struct err *e)
{
    if (check(c, cudaSetDevice(c->device), "starting", e) ||
        check(c, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "starting", e) ||
        check(c, cudaMallocHost((void **)&c->stage.at, STAGE_BYTES), "pinned memory", e))
        return e->code;
    if (check(c, cudaEventCreateWithFlags(&c->step, cudaEventBlockingSync | cudaEventDisableTiming), "event",
              e) != OK)
        return e->code;
    for (int i = 0; i < 2; i++)
        if (check(c, cudaEventCreateWithFlags(&c->stage.passed[i], cudaEventDisableTiming), "event",
                  e) != OK)
            return e->code;
    return products_open(&c->products, c->stream, e) == OK ? OK : err_in(e, "cuda:%d", c->device);
}

enum status backend_cuda_open(struct backend **out, enum dtype type, int device, struct err *e)
{
    static const char *const words[] = { [F32] = "fp32", [BF16] = "bf16", [F16] = "fp16",
                                         [E4M3] = "fp8" };
    struct llava_gpu about;
    int n;
    *out = NULL;
    assert(type == F32 || type == BF16 || type == F16 || type == E4M3);
    struct err why = { 0 };
    if (backend_cuda_count(&n, &why) != OK)
        return err_set(e, why.code, "%.900s; use --device cpu", why.text);
    if (device < 0 || device >= n)
        return err_set(e, ERR_DEVICE, "cuda:%d: there is no such GPU; %d found, counted from 0",
                       device, n);
    if (backend_cuda_describe(device, &about, e) != OK)
        return e->code;
    if (about.major < 8)
        return err_set(e, ERR_DEVICE, "cuda:%d: %s has compute capability %d.%d, expected 8.0 or "
                       "newer", device, about.name, about.major, about.minor);
    if (type == E4M3 && about.major < 9)
        return err_set(e, ERR_DEVICE, "cuda:%d: %s has compute capability %d.%d, and fp8 needs 9.0 "
                       "(Hopper) or newer; use --dtype fp16", device, about.name, about.major,
                       about.minor);
    struct cuda *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_MEMORY, "no memory for a backend");
    c->base.ops = &cuda_ops;
    c->type = type == E4M3 ? F16 : type;
    c->weights = type;
    c->device = device;
    snprintf(c->base.about, sizeof c->base.about, "cuda %.40s %s", about.name, words[type]);
    if (start(c, e) != OK) {
        cuda_close(&c->base);
        return e->code;
    }
    *out = &c->base;
    return OK;
}
