/* simulated_gpu.c -- llava-eval with a GPU that computes nothing but takes its time.
 *
 * Linked as the program is, but `--device cuda` is this (ld --wrap of backend_cuda_open): a stream
 * with a clock, which every operation moves on by what it would take; sync() sleeps until then.
 * All else is real: reading, decoding, prompts, tokens, the scheduler, the threads between, the
 * store, scoring. It shows what the host can feed, on a machine that has no GPU.
 *
 *     SIMULATED_GPU=TFLOPS:GBPS   products do so many TFLOP/s and attention half of them, whatever
 *                                 is read or written passes at so many GB/s; unset: no time at all
 *
 *     make build/simulated-gpu
 *     SIMULATED_GPU=600:3800 build/simulated-gpu bench --device cuda --random-weights 7b.json
 *
 * A reply is the same token over and over. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "engine/private.h"

enum { STAGE_BYTES = 4 << 20, MARKS = 4096 };
static const size_t MEMORY = (size_t)141 << 30;

struct simulated {
    struct backend base;
    enum dtype type;
    double flops, bytes;        /* a second; 0: everything is done at once */
    double until;               /* when the stream has done what it was given; the host's clock */
    struct { double at; int stage; } mark[MARKS];
    int n_marks;
    size_t used;
    char stage[STAGE_BYTES];    /* where what goes to the device is copied to, as to pinned memory */
};

enum status __wrap_backend_cuda_open(struct backend **out, enum dtype type, int device,
                                     struct err *e);

/* ---- time ----------------------------------------------------------------------------------- */

static double stream_now(const struct simulated *s)
{
    double now = clock_seconds();
    return now > s->until ? now : s->until;
}

/* Whichever takes longer. */
static enum status work(struct backend *b, double flops, double bytes)
{
    struct simulated *s = (struct simulated *)b;
    double a = s->flops > 0 ? flops / s->flops : 0, m = s->bytes > 0 ? bytes / s->bytes : 0;
    s->until = stream_now(s) + (a > m ? a : m);
    return OK;
}

static enum status sim_sync(struct backend *b, struct err *e)
{
    const struct simulated *s = (struct simulated *)b;
    struct timespec until = { .tv_sec = (time_t)s->until };
    until.tv_nsec = (long)((s->until - (double)until.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    return e->code;
}

static void sim_mark(struct backend *b, int stage)
{
    struct simulated *s = (struct simulated *)b;
    if (s->n_marks == MARKS)
        return;
    s->mark[s->n_marks].at = stream_now(s);
    s->mark[s->n_marks++].stage = stage;
}

static void sim_marked(struct backend *b, double *seconds)
{
    struct simulated *s = (struct simulated *)b;
    for (int i = 0; i + 1 < s->n_marks; i++)
        if (s->mark[i].stage >= 0)
            seconds[s->mark[i].stage] += s->mark[i + 1].at - s->mark[i].at;
    s->n_marks = 0;
}

/* ---- memory: counted, not there ------------------------------------------------------------- */

static double size_of(const struct tensor *t)
{
    return (double)t->rows * t->cols * (double)dtype_size(t->type);
}

static enum status take(struct backend *b, void **data, double n, struct err *e)
{
    ((struct simulated *)b)->used += (size_t)n;
    *data = malloc(1);
    return *data ? OK : err_set(e, ERR_MEMORY, "no memory");
}

static enum status sim_alloc(struct backend *b, struct tensor *t, struct err *e)
{
    return take(b, &t->data, size_of(t), e);
}

static void sim_release(struct backend *b, struct tensor *t)
{
    (void)b;
    free(t->data);
}

static enum status sim_write(struct backend *b, struct tensor *t, const void *host, struct err *e)
{
    struct simulated *s = (struct simulated *)b;
    size_t n = (size_t)size_of(t);
    for (size_t done = 0, k; done < n; done += k) {
        k = n - done < STAGE_BYTES ? n - done : STAGE_BYTES;
        memcpy(s->stage, (const char *)host + done, k);
    }
    (void)e;
    return OK;
}

static enum status sim_read(struct backend *b, void *host, const struct tensor *t, struct err *e)
{
    (void)b;
    (void)e;
    memset(host, 0, (size_t)size_of(t));
    return OK;
}

static enum status sim_reserve(struct backend *b, int rows, int tower_rows, struct err *e)
{
    (void)b;
    (void)rows;
    (void)tower_rows;
    return e->code;
}

static enum status sim_memory_free(struct backend *b, size_t *bytes, struct err *e)
{
    *bytes = MEMORY - ((struct simulated *)b)->used;
    return e->code;
}

static enum status sim_pack(struct backend *b, struct matrix *m, const struct view *parts,
                            int n_parts, struct err *e)
{
    (void)parts;
    (void)n_parts;
    m->type = ((struct simulated *)b)->type;
    return take(b, &m->data, (double)m->N * m->K * (double)dtype_size(m->type), e);
}

static void sim_unpack(struct backend *b, struct matrix *m)
{
    (void)b;
    free(m->data);
}

static enum status sim_kv_alloc(struct backend *b, struct kvcache *kv, struct err *e)
{
    double n = (double)kv->layers * kv->columns * kv->kv_heads * kv->head_size *
               (double)dtype_size(kv->type);
    return take(b, &kv->k, n, e) == OK ? take(b, &kv->v, n, e) : e->code;
}

static void sim_kv_release(struct backend *b, struct kvcache *kv)
{
    (void)b;
    free(kv->k);
    free(kv->v);
}

/* ---- operations ----------------------------------------------------------------------------- */

static enum status sim_patches(struct backend *b, struct tensor *y, const struct tensor *x, int side,
                               int patch, struct err *e)
{
    (void)side;
    (void)patch;
    (void)e;
    return work(b, 0, size_of(x) + size_of(y));
}

static enum status sim_tower_embed(struct backend *b, struct tensor *y, const struct tensor *x,
                                   const struct tensor *cls, const struct tensor *pos,
                                   struct err *e)
{
    (void)cls;
    (void)pos;
    (void)e;
    return work(b, 0, size_of(x) + size_of(y));
}

static enum status sim_embed(struct backend *b, struct tensor *y, const int32_t *id,
                             const struct tensor *table, const struct tensor *image, struct err *e)
{
    (void)id;
    (void)table;
    (void)image;
    (void)e;
    return work(b, 0, 2 * size_of(y));
}

static enum status sim_gather(struct backend *b, struct tensor *y, const struct tensor *x,
                              const int32_t *row, struct err *e)
{
    (void)x;
    (void)row;
    (void)e;
    return work(b, 0, 2 * size_of(y));
}

static enum status sim_layernorm(struct backend *b, struct tensor *y, const struct tensor *x,
                                 const struct tensor *w, const struct tensor *bias, float eps,
                                 struct err *e)
{
    (void)w;
    (void)bias;
    (void)eps;
    (void)e;
    return work(b, 0, size_of(x) + size_of(y));
}

static enum status sim_rmsnorm(struct backend *b, struct tensor *y, const struct tensor *x,
                               const struct tensor *w, float eps, struct err *e)
{
    return sim_layernorm(b, y, x, w, NULL, eps, e);
}

static enum status sim_matmul(struct backend *b, struct tensor *y, const struct tensor *x,
                              const struct matrix *w, const struct epilogue *ep, struct err *e)
{
    (void)ep;
    (void)e;
    return work(b, 2.0 * x->rows * w->N * w->K,
                size_of(x) + size_of(y) + (double)w->N * w->K * (double)dtype_size(w->type));
}

static enum status sim_cache(struct backend *b, struct tensor *qkv, struct kvcache *kv, int layer,
                             int heads, float theta, const struct kv_row *at, struct err *e)
{
    (void)kv;
    (void)layer;
    (void)heads;
    (void)theta;
    (void)at;
    (void)e;
    return work(b, 0, 2 * size_of(qkv));
}

static enum status sim_kv_copy(struct backend *b, struct kvcache *kv, int layer,
                               const struct kv_copy *copies, int n, struct err *e)
{
    double column = 2.0 * kv->kv_heads * kv->head_size * (double)dtype_size(kv->type), columns = 0;
    (void)layer;
    (void)e;
    for (int i = 0; i < n; i++)
        columns += copies[i].n;
    return work(b, 0, 2 * columns * column);
}

static enum status sim_attend(struct backend *b, struct tensor *y, const struct tensor *qkv,
                              const struct kvcache *kv, int layer, int heads,
                              const struct kv_row *at, struct err *e)
{
    double seen = 0;
    (void)layer;
    (void)e;
    for (int t = 0; t < qkv->rows; t++)
        seen += at[t].prefix + at[t].col - at[t].lo + 1;
    return work(b, 2 * 4.0 * seen * heads * kv->head_size, size_of(qkv) + size_of(y));
}

/* A token that every tokenizer can decode to some text: the last one allowed. */
static enum status sim_sample(struct backend *b, int32_t *out, const struct tensor *logits,
                              int n_valid, const uint8_t *allowed, const struct sampling *how,
                              struct err *e)
{
    int id = n_valid - 1;
    (void)how;
    (void)e;
    while (id > 0 && allowed && !allowed[id])
        id--;
    for (int s = 0; s < logits->rows; s++)
        out[s] = id;
    return work(b, 0, size_of(logits));
}

/* ---- opening -------------------------------------------------------------------------------- */

static double sim_peak_flops(struct backend *b, enum dtype type)
{
    double flops = ((struct simulated *)b)->flops;
    (void)type;
    return flops > 0 ? flops : 1e18;
}

static size_t sim_memory_peak(const struct backend *b)
{
    return ((const struct simulated *)b)->used;
}

static void sim_close(struct backend *b)
{
    free(b);
}

static const struct backend_ops simulated_ops = {
    .name = "cuda",
    .alloc = sim_alloc, .release = sim_release, .write = sim_write, .read = sim_read,
    .sync = sim_sync, .reserve = sim_reserve, .memory_free = sim_memory_free, .pack = sim_pack,
    .unpack = sim_unpack, .kv_alloc = sim_kv_alloc, .kv_release = sim_kv_release,
    .patches = sim_patches, .tower_embed = sim_tower_embed, .embed = sim_embed,
    .gather = sim_gather, .layernorm = sim_layernorm, .rmsnorm = sim_rmsnorm,
    .matmul = sim_matmul, .cache = sim_cache, .kv_copy = sim_kv_copy, .attend = sim_attend,
    .sample = sim_sample,
    .mark = sim_mark, .marked = sim_marked, .peak_flops = sim_peak_flops,
    .memory_peak = sim_memory_peak, .close = sim_close,
};

enum status __wrap_backend_cuda_open(struct backend **out, enum dtype type, int device,
                                     struct err *e)
{
    struct simulated *s = *(struct simulated **)out = calloc(1, sizeof *s);
    const char *speed = getenv("SIMULATED_GPU");
    double tflops = 0, gbps = 0;
    (void)device;
    if (!s)
        return err_set(e, ERR_MEMORY, "no memory for a simulated GPU");
    if (speed && sscanf(speed, "%lf:%lf", &tflops, &gbps) != 2)
        return err_set(e, ERR_USAGE, "SIMULATED_GPU=%s: expected TFLOPS:GBPS", speed);
    s->base.ops = &simulated_ops;
    s->type = type;
    s->flops = 1e12 * tflops;
    s->bytes = 1e9 * gbps;
    snprintf(s->base.about, sizeof s->base.about, "simulated GPU, %g TFLOP/s, %g GB/s", tflops,
             gbps);
    return OK;
}
