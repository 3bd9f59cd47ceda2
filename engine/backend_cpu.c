/* backend_cpu.c -- the table of operations over kernels/: checks, one call each, error texts.
 *
 * Every operation has happened when it returns, so sync() has nothing to wait for. Scratch memory
 * belongs to the backend and grows to the largest need so far. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "engine/backend.h"
#include "kernels/kernels.h"

_Static_assert((int)F32 == NUM_F32 && (int)BF16 == NUM_BF16 && (int)F16 == NUM_F16,
               "one numbering");
_Static_assert((int)ACT_GELU == ACTIVATE_GELU && (int)ACT_SWIGLU == ACTIVATE_SWIGLU &&
               (int)ACT_QUICK_GELU == ACTIVATE_QUICK_GELU, "one numbering");
_Static_assert(sizeof(struct kv_row) == sizeof(struct place) &&
               offsetof(struct kv_row, position) == offsetof(struct place, position), "one layout");

struct cpu {
    struct backend base;
    enum dtype type;                                        /* what products are computed in */
    const struct level *level;
    const struct micro *bf16;                               /* NULL: level->f32 does it all */
    void *scratch;
    size_t scratch_bytes;
    float *cosine, *sine;                                   /* [positions, d/2] of the rotation */
    int positions, rope_d;
    float rope_theta;
    size_t used, peak;                                      /* bytes */
};

/* Blocks of zeros start at a multiple of 64, behind a head that knows their size. Large ones come from
 * the system, whose pages are zero and take no memory before they are written: a cache that holds one
 * question is no larger than that, and weights are written by all threads at once. They ask for large
 * pages: weights are read from end to end, which else costs a look-up for every 4 KB. */
enum { HEAD = 64, HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };

static char *map_zeros(size_t all)                          /* starts at a multiple of HUGE_PAGE */
{
    char *at = mmap(NULL, all + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)at % HUGE_PAGE) % HUGE_PAGE;
    if (before)
        munmap(at, before);
    munmap(at + before + all, HUGE_PAGE - before);
#if defined(MADV_HUGEPAGE)
    madvise(at + before, all, MADV_HUGEPAGE);               /* advice: without it only slower */
#endif
    return at + before;
}

static void *take(struct cpu *c, size_t n)
{
    size_t all, unit = n < LARGE ? HEAD : HUGE_PAGE;
    if (__builtin_add_overflow(n, HEAD + unit - 1, &all) || all > SIZE_MAX - HUGE_PAGE)
        return NULL;
    all -= all % unit;
    char *at = all < LARGE ? aligned_alloc(unit, all) : map_zeros(all);
    if (at == NULL)
        return NULL;
    if (all < LARGE)
        memset(at, 0, all);
    memcpy(at, &all, sizeof all);
    c->used += all;
    c->peak = c->used > c->peak ? c->used : c->peak;
    return at + HEAD;
}

static void give(struct cpu *c, void *data)
{
    size_t all;
    if (data == NULL)
        return;
    memcpy(&all, (char *)data - HEAD, sizeof all);
    c->used -= all;
    if (all < LARGE)
        free((char *)data - HEAD);
    else
        munmap((char *)data - HEAD, all);
}

/* Of a block in which little may be written here and there: what is not written takes no memory. */
static void small_pages(void *data)
{
    size_t all;
    memcpy(&all, (char *)data - HEAD, sizeof all);
#if defined(MADV_NOHUGEPAGE)
    if (all >= LARGE)
        madvise((char *)data - HEAD, all, MADV_NOHUGEPAGE);
#endif
}

static struct cpu *cpu_of(struct backend *b)
{
    return (struct cpu *)b;
}

/* At least n bytes of scratch, or NULL with e set. */
static void *scratch(struct cpu *c, size_t n, struct err *e)
{
    if (n <= c->scratch_bytes)
        return c->scratch;
    give(c, c->scratch);
    c->scratch = take(c, n);
    c->scratch_bytes = c->scratch ? n : 0;
    if (c->scratch == NULL)
        err_set(e, ERR_MEMORY, "no memory for %zu bytes of scratch", n);
    return c->scratch;
}

static enum number number(enum dtype type)
{
    assert(type == F32 || type == BF16 || type == F16);
    return (enum number)type;
}

static enum number written(enum dtype type)                 /* of what kernels write */
{
    assert(type == F32 || type == BF16);
    return (enum number)type;
}

/* The kernel that multiplies cached keys and values. */
static const struct micro *cache_micro(const struct cpu *c, const struct kvcache *kv)
{
    return kv->type == BF16 && c->bf16 ? c->bf16 : &c->level->f32;
}

static enum status cpu_alloc(struct backend *b, struct tensor *t, struct err *e)
{
    size_t n = 0;
    t->data = NULL;
    if (!__builtin_mul_overflow((size_t)t->rows, (size_t)t->cols * dtype_size(t->type), &n))
        t->data = take(cpu_of(b), n);
    if (t->data == NULL)
        return err_set(e, ERR_MEMORY, "no memory for a tensor [%d,%d] of %zu bytes each", t->rows,
                       t->cols, dtype_size(t->type));
    return OK;
}

static void cpu_release(struct backend *b, struct tensor *t)
{
    give(cpu_of(b), t->data);
    t->data = NULL;
}

static size_t size_of(const struct tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols * dtype_size(t->type);
}

static enum status cpu_write(struct backend *b, struct tensor *t, const void *host, struct err *e)
{
    (void)b, (void)e;
    if (size_of(t))
        memcpy(t->data, host, size_of(t));
    return OK;
}

static enum status cpu_read(struct backend *b, void *host, const struct tensor *t, struct err *e)
{
    (void)b, (void)e;
    if (size_of(t))
        memcpy(host, t->data, size_of(t));
    return OK;
}

static enum status cpu_sync(struct backend *b, struct err *e)
{
    (void)b;
    return e->code;
}

static enum status cpu_reserve(struct backend *b, int rows, int tower_rows, struct err *e)
{
    (void)b, (void)rows, (void)tower_rows;
    return e->code;                                         /* scratch grows on its way */
}

static enum status cpu_pack(struct backend *b, struct matrix *m, const struct view *parts,
                            int n_parts, struct err *e)
{
    int outputs = m->paired ? m->N / 2 : m->N, rows = 0;
    assert(!m->paired || (n_parts == 2 && parts[0].rows == parts[1].rows));
    struct rows *stack = malloc(sizeof *stack * (size_t)n_parts);
    m->data = take(cpu_of(b), panels_bytes(outputs, m->K, m->paired, number(m->type)));
    if (m->data == NULL || stack == NULL) {
        free(stack);
        cpu_of(b)->base.ops->unpack(b, m);
        return err_set(e, ERR_MEMORY, "no memory for a weight [%d,%d]", m->N, m->K);
    }
    for (int i = 0; i < n_parts; i++) {
        assert(parts[i].cols == m->K);
        stack[i] = (struct rows){ parts[i].data, number(parts[i].type), parts[i].rows };
        rows += parts[i].rows;
    }
    assert(rows == m->N);
    panels_pack(cpu_of(b)->level, m->data, number(m->type), outputs, m->K, m->paired, stack,
                n_parts);
    free(stack);
    return OK;
}

static void cpu_unpack(struct backend *b, struct matrix *m)
{
    give(cpu_of(b), m->data);
    m->data = NULL;
}

static size_t layer_bytes(const struct cpu *c, const struct kvcache *kv)
{
    return attention_layer_bytes(cache_micro(c, kv), kv->kv_heads, kv->head_size, kv->columns);
}

static void cpu_kv_release(struct backend *b, struct kvcache *kv)
{
    give(cpu_of(b), kv->k);
    give(cpu_of(b), kv->v);
    kv->k = kv->v = NULL;
}

static enum dtype cpu_kv_type(struct backend *b, enum dtype act)
{
    return cache_micro(cpu_of(b), &(struct kvcache){ .type = act })->type == NUM_BF16 ? BF16 : F32;
}

static enum status cpu_kv_alloc(struct backend *b, struct kvcache *kv, struct err *e)
{
    struct cpu *c = cpu_of(b);
    size_t n;
    kv->k = kv->v = NULL;
    assert(kv->columns % KV_ALIGN == 0);
    if (!__builtin_mul_overflow((size_t)kv->layers, layer_bytes(c, kv), &n)) {
        kv->k = take(c, n);
        kv->v = take(c, n);
    }
    if (kv->k && kv->v) {
        small_pages(kv->k);                                 /* slots lie in a part of each head's */
        small_pages(kv->v);
        return OK;
    }
    cpu_kv_release(b, kv);
    return err_set(e, ERR_MEMORY, "no memory for a KV cache of %d columns in %d layers",
                   kv->columns, kv->layers);
}

static enum status cpu_patches(struct backend *b, struct tensor *y, const struct tensor *x,
                               int side, int patch, struct err *e)
{
    int across = side / patch;
    (void)b, (void)e;
    assert(x->type == U8 && x->cols == side * side * 3 && y->cols == 3 * patch * patch);
    assert(y->rows == x->rows * across * across);
    patches(y->data, written(y->type), x->data, x->rows, side, patch);
    return OK;
}

static enum status cpu_tower_embed(struct backend *b, struct tensor *y, const struct tensor *x,
                                   const struct tensor *cls, const struct tensor *pos,
                                   struct err *e)
{
    int images = y->rows / pos->rows;
    (void)e;
    assert(y->rows == images * pos->rows && x->rows == images * (pos->rows - 1));
    assert(x->cols == y->cols && cls->cols == y->cols && pos->cols == y->cols);
    tower_embed(cpu_of(b)->level, y->data, written(y->type), x->data, number(x->type), cls->data,
                number(cls->type), pos->data, number(pos->type), images, pos->rows, y->cols);
    return OK;
}

static enum status cpu_embed(struct backend *b, struct tensor *y, const int32_t *id,
                             const struct tensor *table, const struct tensor *image,
                             struct err *e)
{
    (void)e;
    for (int t = 0; t < y->rows; t++)
        assert(id[t] >= 0 ? id[t] < table->rows : image && -1 - id[t] < image->rows);
    assert(table->cols == y->cols && (image == NULL || image->cols == y->cols));
    gather(cpu_of(b)->level, y->data, written(y->type), table->data, number(table->type),
           image ? image->data : NULL, image ? number(image->type) : NUM_F32, id, y->rows, y->cols);
    return OK;
}

static enum status cpu_gather(struct backend *b, struct tensor *y, const struct tensor *x,
                              const int32_t *row, struct err *e)
{
    (void)e;
    for (int t = 0; t < y->rows; t++)
        assert(row[t] >= 0 && row[t] < x->rows);
    assert(x->cols == y->cols);
    gather(cpu_of(b)->level, y->data, written(y->type), x->data, number(x->type), NULL, NUM_F32,
           row, y->rows, y->cols);
    return OK;
}

static enum status cpu_layernorm(struct backend *b, struct tensor *y, const struct tensor *x,
                                 const struct tensor *w, const struct tensor *bias, float eps,
                                 struct err *e)
{
    (void)e;
    assert(y->rows == x->rows && y->cols == x->cols && w->cols == x->cols && bias->cols == x->cols);
    assert(w->type == F32 && bias->type == F32);
    layernorm(cpu_of(b)->level, y->data, written(y->type), x->data, number(x->type), w->data,
              bias->data, x->rows, x->cols, eps);
    return OK;
}

static enum status cpu_rmsnorm(struct backend *b, struct tensor *y, const struct tensor *x,
                               const struct tensor *w, float eps, struct err *e)
{
    (void)e;
    assert(y->rows == x->rows && y->cols == x->cols && w->cols == x->cols && w->type == F32);
    rmsnorm(cpu_of(b)->level, y->data, written(y->type), x->data, number(x->type), w->data,
            x->rows, x->cols, eps);
    return OK;
}

static enum status cpu_matmul(struct backend *b, struct tensor *y, const struct tensor *x,
                              const struct matrix *w, const struct epilogue *ep, struct err *e)
{
    struct cpu *c = cpu_of(b);
    bool paired = ep->act == ACT_SWIGLU;
    struct product p = {
        .M = x->rows, .N = paired ? w->N / 2 : w->N, .K = w->K,
        .y = y->data, .x = x->data, .panels = w->data,
        .y_type = written(y->type), .x_type = number(x->type), .w_type = number(w->type),
        .rounded = c->type == BF16, .act = (enum activation)ep->act,
        .bias = ep->bias ? ep->bias->data : NULL,
        .residual = ep->residual ? ep->residual->data : NULL,
        .residual_type = ep->residual ? number(ep->residual->type) : NUM_F32,
    };
    assert(x->cols == w->K && y->rows == x->rows && y->cols == p.N && paired == !!w->paired);
    assert(ep->bias == NULL || (ep->bias->type == F32 && ep->bias->cols == p.N && !paired));
    assert(ep->residual == NULL || (ep->residual->rows == p.M && ep->residual->cols == p.N));
    const struct micro *m = c->type == BF16 ? c->bf16 : NULL;
    void *s = scratch(c, matmul_scratch(c->level, m, &p), e);
    if (s == NULL)
        return e->code;
    matmul(c->level, m, &p, s);
    return OK;
}

/* Tables of the rotation up to the largest position of a step, and as far again. */
static enum status rope(struct cpu *c, int d, float theta, const struct kv_row *at, int T,
                        struct err *e)
{
    int need = 0;
    for (int t = 0; t < T; t++)
        need = at[t].position >= need ? at[t].position + 1 : need;
    if (need <= c->positions && c->rope_d == d && c->rope_theta == theta)
        return OK;
    int n = round_up(need, 1024);
    give(c, c->cosine);
    give(c, c->sine);
    c->cosine = take(c, (size_t)n * (size_t)d / 2 * sizeof(float));
    c->sine = take(c, (size_t)n * (size_t)d / 2 * sizeof(float));
    c->positions = c->cosine && c->sine ? n : 0;
    if (c->positions == 0)
        return err_set(e, ERR_MEMORY, "no memory for the rotation of %d positions", n);
    c->rope_d = d;
    c->rope_theta = theta;
    rope_table(c->cosine, c->sine, 0, n, d, theta);
    return OK;
}

/* attend()'s view of one layer. */
static struct attention layer_of(const struct cpu *c, const struct tensor *qkv,
                                 const struct kvcache *kv, int layer, int heads,
                                 const struct kv_row *at)
{
    size_t skip = (size_t)layer * layer_bytes(c, kv);
    assert(qkv->cols == (heads + 2 * kv->kv_heads) * kv->head_size);
    assert(heads % kv->kv_heads == 0 && layer >= 0 && layer < kv->layers);
    return (struct attention){
        .T = qkv->rows, .heads = heads, .kv_heads = kv->kv_heads, .d = kv->head_size,
        .columns = kv->columns, .k = (char *)kv->k + skip, .v = (char *)kv->v + skip,
        .qkv = qkv->data, .type = written(qkv->type), .at = (const struct place *)at,
    };
}

static enum status cpu_cache(struct backend *b, struct tensor *qkv, struct kvcache *kv, int layer,
                             int heads, float theta, const struct kv_row *at, struct err *e)
{
    struct cpu *c = cpu_of(b);
    struct attention a = layer_of(c, qkv, kv, layer, heads, at);
    void *s = scratch(c, cache_scratch(&a), e);
    for (int t = 0; t < qkv->rows; t++)
        assert(at[t].col >= 0 && at[t].col < kv->columns);
    if (s == NULL || (theta > 0 && rope(c, kv->head_size, theta, at, qkv->rows, e) != OK))
        return e->code;
    cache_write(c->level, cache_micro(c, kv), &a, theta > 0 ? c->cosine : NULL, c->sine, s);
    return OK;
}

static enum status cpu_kv_copy(struct backend *b, struct kvcache *kv, int layer,
                               const struct kv_copy *copies, int n, struct err *e)
{
    struct cpu *c = cpu_of(b);
    size_t skip = (size_t)layer * layer_bytes(c, kv);
    struct attention a = { .kv_heads = kv->kv_heads, .d = kv->head_size, .columns = kv->columns,
                           .k = (char *)kv->k + skip, .v = (char *)kv->v + skip };
    (void)e;
    for (int i = 0; i < n; i++) {
        const struct kv_copy *m = &copies[i];
        assert(m->from % KV_ALIGN == 0 && m->to % KV_ALIGN == 0 && m->from != m->to);
        assert(m->from + m->n <= kv->columns && m->to + m->n <= kv->columns);
        cache_copy(cache_micro(c, kv), &a, (size_t)m->from, (size_t)m->to, (size_t)m->n);
    }
    return OK;
}

static enum status cpu_attend(struct backend *b, struct tensor *y, const struct tensor *qkv,
                              const struct kvcache *kv, int layer, int heads,
                              const struct kv_row *at, struct err *e)
{
    struct cpu *c = cpu_of(b);
    struct attention a = layer_of(c, qkv, kv, layer, heads, at);
    const struct micro *m = cache_micro(c, kv);
    assert(y->rows == qkv->rows && y->cols == heads * kv->head_size && y->type == qkv->type);
    for (int t = 0; t < qkv->rows; t++)
        assert(at[t].base % KV_ALIGN == 0 && at[t].lo % KV_ALIGN == 0 && at[t].col < kv->columns);
    void *s = scratch(c, attention_scratch(m, &a), e);
    if (s == NULL)
        return e->code;
    attend(c->level, m, &a, y->data, s);
    return OK;
}

static enum status cpu_sample(struct backend *b, int32_t *out, const struct tensor *logits,
                              int n_valid, const uint8_t *allowed, const struct sampling *how,
                              struct err *e)
{
    void *s = scratch(cpu_of(b), sample_scratch(n_valid), e);
    assert(logits->type == F32 && n_valid <= logits->cols);
    if (s == NULL)
        return e->code;
    for (int i = 0; i < logits->rows; i++)
        out[i] = sample((const float *)logits->data + (size_t)i * (size_t)logits->cols, n_valid,
                        allowed, how[i].temperature, how[i].top_k, how[i].top_p, how[i].u, s);
    return OK;
}

static double cpu_peak_flops(struct backend *b, enum dtype type)
{
    const struct cpu *c = cpu_of(b);
    const struct micro *m = type == BF16 && c->bf16 ? c->bf16 : &c->level->f32;
    double sum = 0;
#pragma omp parallel reduction(+ : sum)
    sum += m->peak(0.3);
    return sum;
}

static size_t cpu_memory_peak(const struct backend *b)
{
    return ((const struct cpu *)b)->peak;
}

static void cpu_close(struct backend *b)
{
    struct cpu *c = cpu_of(b);
    give(c, c->scratch);
    give(c, c->cosine);
    give(c, c->sine);
    free(c);
}

static const struct backend_ops cpu_ops = {
    .name = "cpu",
    .alloc = cpu_alloc, .release = cpu_release, .write = cpu_write, .read = cpu_read,
    .sync = cpu_sync, .reserve = cpu_reserve,
    .pack = cpu_pack, .unpack = cpu_unpack, .kv_type = cpu_kv_type, .kv_alloc = cpu_kv_alloc,
    .kv_release = cpu_kv_release, .patches = cpu_patches, .tower_embed = cpu_tower_embed,
    .embed = cpu_embed, .gather = cpu_gather, .layernorm = cpu_layernorm, .rmsnorm = cpu_rmsnorm,
    .matmul = cpu_matmul, .cache = cpu_cache, .kv_copy = cpu_kv_copy, .attend = cpu_attend,
    .sample = cpu_sample, .peak_flops = cpu_peak_flops, .memory_peak = cpu_memory_peak,
    .close = cpu_close,
};

const char *backend_cpu_level(int i)
{
    return kernels_name(i);
}

enum status backend_cpu_open(struct backend **out, enum dtype type, const char *level,
                             struct err *e)
{
    struct cpu *c = calloc(1, sizeof *c);
    *out = NULL;
    assert(type == F32 || type == BF16);
    if (c == NULL)
        return err_set(e, ERR_MEMORY, "no memory for a backend");
    if (!kernels_choose(level, &c->level, &c->bf16)) {
        free(c);
        return err_set(e, ERR_DEVICE, "SIMD level \"%s\": this machine has no such; expected amx, "
                       "avx512_bf16, avx512, avx2 or portable, as far as the processor goes",
                       level);
    }
    c->base.ops = &cpu_ops;
    c->type = type;
    snprintf(c->base.about, sizeof c->base.about, "cpu %s %s",
             type == BF16 && c->bf16 ? c->bf16->name : c->level->name,
             type == BF16 ? "bf16" : "fp32");
    *out = &c->base;
    return OK;
}
