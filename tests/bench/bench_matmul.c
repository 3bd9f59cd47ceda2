/* bench_matmul.c -- how near the products and attention come to this machine's limits.
 *
 *     bench-matmul [level [bf16|fp32]]       the best level and bf16 where nothing is said
 * For each shape of the 7B model (and of the vision tower): the time, best of several; its FLOP/s;
 * and what part that is of the register-only loop, measured just before it in the same program. One
 * to sixteen rows read the weights once: their figure is bytes per second, beside plain reading. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "engine/backend.h"

enum { REPEATS = 12, FLUSH = 256 << 20 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop_on(const struct err *e)
{
    if (e->code == OK)
        return;
    fprintf(stderr, "bench-matmul: %s\n", e->text);
    exit(1);
}

static struct tensor tensor(struct backend *b, enum dtype type, int rows, int cols)
{
    struct err e = { 0 };
    struct tensor t = { .type = type, .rows = rows, .cols = cols };
    b->ops->alloc(b, &t, &e);
    stop_on(&e);
    uint16_t *at = t.data;
    for (size_t i = 0, n = (size_t)rows * (size_t)cols * dtype_size(type) / 2; i < n; i++)
        at[i] = (uint16_t)(0x3c00 + i * 2654435761u % 1024);    /* small numbers in every type */
    return t;
}

/* Bytes per second of reading memory far larger than the caches this program has to itself. */
static double read_bandwidth(const uint64_t *at, size_t n)
{
    double best = 0;
    for (int r = 0; r < 4; r++) {
        uint64_t sum = 0;
        double start = seconds();
#pragma omp parallel for reduction(+ : sum) schedule(static)
        for (size_t i = 0; i < n; i += 8)
            sum += at[i] + at[i + 1] + at[i + 2] + at[i + 3] + at[i + 4] + at[i + 5] + at[i + 6] +
                   at[i + 7];
        double rate = (double)n * 8 / (seconds() - start);
        best = rate > best && sum != 1 ? rate : best;
    }
    return best;
}

struct shape { const char *name; int M, N, K; enum act act; };  /* N counts gate and up */

static void bench_matmul(struct backend *b, enum dtype type, const struct shape *s)
{
    int outputs = s->act == ACT_SWIGLU ? s->N / 2 : s->N;
    int copies = s->M <= 16 ? (int)((size_t)FLUSH * 2 / ((size_t)s->N * (size_t)s->K * 2)) + 1 : 1;
    struct err e = { 0 };
    struct tensor x = tensor(b, type, s->M, s->K), y = tensor(b, type, s->M, outputs);
    struct tensor weights = tensor(b, BF16, s->N, s->K);
    struct matrix *m = calloc((size_t)copies, sizeof *m);
    struct epilogue ep = { .act = s->act };
    int half = s->N / 2;
    struct view parts[2] = { { weights.data, BF16, half, s->K },
                             { (char *)weights.data + (size_t)half * (size_t)s->K * 2, BF16,
                               s->N - half, s->K } };
    for (int i = 0; i < copies; i++) {
        m[i] = (struct matrix){ .type = BF16, .N = s->N, .K = s->K,
                                .paired = s->act == ACT_SWIGLU };
        b->ops->pack(b, &m[i], parts, 2, &e);
        stop_on(&e);
    }
    double peak = b->ops->peak_flops(b, type), best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds();
        b->ops->matmul(b, &y, &x, &m[r % copies], &ep, &e);
        double t = seconds() - start;
        best = t < best ? t : best;
        stop_on(&e);
    }
    double flops = 2.0 * s->M * s->N * s->K / best;
    printf("%-22s %5d x %5d x %5d %9.3f ms %8.1f GFLOP/s, peak %8.1f: %4.1f %%", s->name, s->M,
           s->N, s->K, best * 1e3, flops * 1e-9, peak * 1e-9, 100 * flops / peak);
    if (s->M <= 16)
        printf("; weights at %.1f GB/s", 2e-9 * s->N * s->K / best);
    printf("\n");
    for (int i = 0; i < copies; i++)
        b->ops->unpack(b, &m[i]);
    free(m);
    b->ops->release(b, &x), b->ops->release(b, &y), b->ops->release(b, &weights);
}

/* P rows that see each other (a tower), or T rows that see what is before them. */
static void bench_attention(struct backend *b, enum dtype type, const char *name, int T, int H,
                            int d, bool tower, int images)
{
    struct err e = { 0 };
    int slot = (T + KV_ALIGN - 1) / KV_ALIGN * KV_ALIGN, rows = T * images;
    struct kvcache kv = { .type = type, .layers = 1, .columns = slot * images, .kv_heads = H,
                          .head_size = d };
    struct kv_row *at = calloc((size_t)rows, sizeof *at);
    for (int t = 0; t < rows; t++)
        at[t] = (struct kv_row){ .base = t / T * slot, .prefix = tower ? T : 0, .lo = t / T * slot,
                                 .col = t / T * slot + t % T, .position = t % T };
    struct tensor qkv = tensor(b, type, rows, 3 * H * d), y = tensor(b, type, rows, H * d);
    b->ops->kv_alloc(b, &kv, &e);
    stop_on(&e);
    double peak = b->ops->peak_flops(b, type), best = 1e9, best_cache = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds();
        b->ops->cache(b, &qkv, &kv, 0, H, tower ? 0 : 10000, at, &e);
        double between = seconds();
        b->ops->attend(b, &y, &qkv, &kv, 0, H, at, &e);
        double t = seconds() - between;
        best = t < best ? t : best;
        best_cache = between - start < best_cache ? between - start : best_cache;
        stop_on(&e);
    }
    double flops = 4.0 * images * H * d * (tower ? (double)T * T : T * (T + 1) / 2.0) / best;
    printf("%-22s %d x %d rows, %d heads x %d %9.3f ms %8.1f GFLOP/s, peak %8.1f: %4.1f %%; "
           "cache %.3f ms\n", name, images, T, H, d, best * 1e3, flops * 1e-9, peak * 1e-9,
           100 * flops / peak, best_cache * 1e3);
    b->ops->kv_release(b, &kv);
    b->ops->release(b, &qkv), b->ops->release(b, &y);
    free(at);
}

/* One row-wise operation over the 7B's residual stream. */
static void bench_norm(struct backend *b, enum dtype type)
{
    struct err e = { 0 };
    struct tensor x = tensor(b, F32, 2048, 4096), y = tensor(b, type, 2048, 4096);
    struct tensor w = tensor(b, F32, 1, 4096);
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds();
        b->ops->rmsnorm(b, &y, &x, &w, 1e-5f, &e);
        double t = seconds() - start;
        best = t < best ? t : best;
    }
    printf("%-22s  2048 x  4096 %9.3f ms\n", "rmsnorm", best * 1e3);
    b->ops->release(b, &x), b->ops->release(b, &y), b->ops->release(b, &w);
}

int main(int argc, char **argv)
{
    static const struct shape shapes[] = {
        { "out", 2048, 4096, 4096, ACT_NONE },
        { "gate, up", 2048, 22016, 4096, ACT_SWIGLU },
        { "down", 2048, 4096, 11008, ACT_NONE },
        { "out", 640, 4096, 4096, ACT_NONE },
        { "tower: fc1", 577, 4096, 1024, ACT_QUICK_GELU },
        { "tower: fc1, 4 images", 2308, 4096, 1024, ACT_QUICK_GELU },
        { "out", 128, 4096, 4096, ACT_NONE },
        { "out", 16, 4096, 4096, ACT_NONE },
        { "out", 4, 4096, 4096, ACT_NONE },
        { "out", 1, 4096, 4096, ACT_NONE },
        { "gate, up", 1, 22016, 4096, ACT_SWIGLU },
    };
    struct err e = { 0 };
    struct backend *b;
    enum dtype type = argc > 2 && !strcmp(argv[2], "fp32") ? F32 : BF16;
    backend_cpu_open(&b, type, argc > 1 && strcmp(argv[1], "best") ? argv[1] : NULL, &e);
    stop_on(&e);
    uint64_t *memory = malloc((size_t)FLUSH * 4);
    memset(memory, 1, (size_t)FLUSH * 4);
    printf("%s; memory is read at %.1f GB/s\n", backend_describe(b),
           read_bandwidth(memory, (size_t)FLUSH * 4 / 8) * 1e-9);
    free(memory);
    for (size_t i = 0; i < COUNT(shapes); i++)
        bench_matmul(b, type, &shapes[i]);
    bench_attention(b, type, "tower: attention", 577, 16, 64, true, 1);
    bench_attention(b, type, "tower, 4 images", 577, 16, 64, true, 4);
    bench_attention(b, type, "language: attention", 613, 32, 128, false, 1);
    bench_norm(b, type);
    b->ops->close(b);
    return 0;
}
