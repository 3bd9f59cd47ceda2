/* Every CUDA kernel against its CPU twin, or against its definition in float64, over awkward shapes:
 * no rows, one, 33; rows that are no multiple of 8 numbers; 577 patches; the widths of 7B and 13B.
 *
 * On the emulation each runs under several orders of the warps; memory beyond a buffer is guarded
 * there, and what a kernel must not read is NaN. Equal means equal bits where nothing is summed or
 * approximated, else a relative L2 error of 1e-6 (F32), 1e-3 (F16) or 6e-3 (BF16): twice the
 * rounding of one number (2^-11, 2^-8), less than any mistake makes. */
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/backend_cublas.h"
#include "kernels/cuda.h"
#include "kernels/float8.h"
#include "tests/check.h"
#if defined(CUDA_HOST)
#include "tests/cuda_host/cuda_host.h"
#endif

static const enum number types[] = { NUM_F32, NUM_BF16, NUM_F16 };
static const double within[] = { [NUM_F32] = 1e-6, [NUM_BF16] = 6e-3, [NUM_F16] = 1e-3 };
static uint64_t state;

/* Runs `check` under some orders of warps and streams. */
static void in_every_order(void (*check)(void))
{
    const unsigned seeds[] = { 0, 1, 2, 3 };
    for (size_t i = 0; i < COUNT(seeds); i++) {
#if defined(CUDA_HOST)
        cuda_host_seed(seeds[i]);
#endif
        state = 20231005 + seeds[i];
        check();
    }
}

static float random_number(void)                            /* splitmix64; uniform in [-1, 1) */
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (float)((double)((z ^ z >> 31) >> 40) * 0x1p-23 - 1);
}

static void set(void *x, enum number type, size_t i, float z)
{
    if (type == NUM_F32)
        ((float *)x)[i] = z;
    else
        ((uint16_t *)x)[i] = type == NUM_F16 ? f16_of_float(z) : bf16_of_float(z);
}

static float get(const void *x, enum number type, size_t i)
{
    if (type == NUM_F32)
        return ((const float *)x)[i];
    uint16_t h = ((const uint16_t *)x)[i];
    return type == NUM_F16 ? f16_to_float(h) : bf16_to_float(h);
}

/* The same numbers on the host and on the device. */
struct both { void *host, *device; enum number type; size_t n; };

static struct both none(enum number type)
{
    return (struct both){ .type = type };
}

static struct both bytes(const void *from, size_t n)
{
    struct both b = { .host = malloc(n + 1), .type = NUM_F32, .n = (n + 3) / 4 };
    if (from)
        memcpy(b.host, from, n);
    CHECK_INT(cudaMalloc(&b.device, n + !n), 0);
    if (from && n)
        CHECK_INT(cudaMemcpy(b.device, b.host, n, cudaMemcpyHostToDevice), 0);
    return b;
}

static struct both numbers(enum number type, size_t n, float scale)
{
    void *host = malloc(n * 4 + 1);
    for (size_t i = 0; i < n; i++)
        set(host, type, i, scale * random_number());
    struct both b = bytes(host, n * number_size(type));
    free(host);
    b.type = type;
    b.n = n;
    return b;
}

static struct both room(enum number type, size_t n)         /* for n numbers, NaN so far */
{
    struct both b = bytes(NULL, n * number_size(type));
    b.type = type;
    b.n = n;
    memset(b.host, 0xff, n * number_size(type));
    if (n)
        CHECK_INT(cudaMemset(b.device, 0xff, n * number_size(type)), 0);
    return b;
}

static void drop(struct both *b)
{
    free(b->host);
    CHECK_INT(cudaFree(b->device), 0);
}

static void *result(const struct both *b)                   /* of the device; the caller frees */
{
    size_t n = b->n * number_size(b->type);
    void *x = malloc(n + 1);
    CHECK_INT(cudaDeviceSynchronize(), 0);
    if (n)
        CHECK_INT(cudaMemcpy(x, b->device, n, cudaMemcpyDeviceToHost), 0);
    return x;
}

/* The device's numbers are those of `want`, as floats, or of b->host. */
static bool close_to(const struct both *b, const float *want, double limit, const char *what)
{
    void *got = result(b);
    double error = 0, norm = 0;
    for (size_t i = 0; i < b->n; i++) {
        double x = get(got, b->type, i), y = want ? want[i] : get(b->host, b->type, i);
        error += (x - y) * (x - y);
        norm += y * y;
    }
    free(got);
    return check_near(error == 0 ? 0 : error <= norm ? sqrt(error / norm) : INFINITY, 0, limit,
                      what, __FILE__, __LINE__);
}

static void same_bits(const struct both *b, const char *what)
{
    void *got = result(b);
    if (!CHECK(!memcmp(got, b->host, b->n * number_size(b->type))))
        printf("    %s\n", what);
    free(got);
}

static const struct level *portable(void)
{
    const struct level *l;
    const struct micro *m;
    CHECK(kernels_choose("portable", &l, &m));
    return l;
}

/* ---- copies ---- */

static void converts(void)
{
    static const size_t lengths[] = { 0, 1, 33, 4096, 70000 };
    for (size_t i = 0; i < COUNT(lengths) * 9; i++) {
        size_t n = lengths[i / 9];
        enum number x_type = types[i % 3], y_type = types[i / 3 % 3];
        struct both x = numbers(x_type, n, 70000), y = room(y_type, n);     /* F16: some infinite */
        for (size_t j = 0; j < n; j++)
            set(y.host, y_type, j, get(x.host, x_type, j));
        CHECK_INT(convert_cuda(y.device, y_type, x.device, x_type, n, NULL), 0);
        same_bits(&y, "convert");
        drop(&x), drop(&y);
    }
}

TEST(cuda_convert_rounds_as_the_cpu) { in_every_order(converts); }

static void gathers(void)
{
    enum { ROWS = 9, OTHER = 5 };
    static const int shapes[][2] = { { 0, 16 }, { 1, 31 }, { 33, 192 }, { 7, 4096 }, { 70, 3 } };
    for (size_t i = 0; i < COUNT(shapes) * 27; i++) {
        int T = shapes[i / 27][0], D = shapes[i / 27][1];
        int32_t row[80];
        for (int t = 0; t < T; t++)
            row[t] = t * 7 % (ROWS + OTHER) - OTHER;
        struct both x = numbers(types[i % 3], (size_t)(ROWS * D), 1);
        struct both other = numbers(types[i / 3 % 3], (size_t)(OTHER * D), 1);
        struct both y = room(types[i / 9 % 3], (size_t)(T * D));
        struct both at = bytes(row, sizeof *row * (size_t)T);
        for (int t = 0; t < T; t++)
            for (int d = 0; d < D; d++) {
                const struct both *from = row[t] >= 0 ? &x : &other;
                int r = row[t] >= 0 ? row[t] : -1 - row[t];
                set(y.host, y.type, (size_t)(t * D + d), get(from->host, from->type,
                                                             (size_t)(r * D + d)));
            }
        CHECK_INT(gather_cuda(y.device, y.type, x.device, x.type, other.device, other.type,
                              at.device, T, D, NULL), 0);
        same_bits(&y, "gather");
        drop(&x), drop(&other), drop(&y), drop(&at);
    }
}

TEST(cuda_gather_splices) { in_every_order(gathers); }

static void tower_embeds(void)
{
    static const int shapes[][3] = { { 0, 5, 16 }, { 1, 577, 32 }, { 3, 10, 31 }, { 2, 2, 1024 } };
    for (size_t i = 0; i < COUNT(shapes) * 9; i++) {
        int images = shapes[i / 9][0], rows = shapes[i / 9][1], D = shapes[i / 9][2];
        enum number act = types[i % 3];
        struct both x = numbers(act, (size_t)(images * (rows - 1) * D), 1);
        struct both cls = numbers(types[i / 3 % 3], (size_t)D, 1);
        struct both pos = numbers(NUM_F32, (size_t)(rows * D), 1);
        struct both y = room(types[i / 3 % 3], (size_t)(images * rows * D));
        for (int t = 0; t < images * rows; t++)
            for (int d = 0; d < D; d++) {
                int r = t % rows, patch = t / rows * (rows - 1) + r - 1;
                float z = r ? get(x.host, act, (size_t)(patch * D + d)) :
                              get(cls.host, cls.type, (size_t)d);
                set(y.host, y.type, (size_t)(t * D + d),
                    z + get(pos.host, NUM_F32, (size_t)(r * D + d)));
            }
        CHECK_INT(tower_embed_cuda(y.device, y.type, x.device, act, cls.device, cls.type,
                                   pos.device, NUM_F32, images, rows, D, NULL), 0);
        same_bits(&y, "tower_embed");
        drop(&x), drop(&cls), drop(&pos), drop(&y);
    }
}

TEST(cuda_tower_embed_adds_positions) { in_every_order(tower_embeds); }

static void cuts_patches(void)
{
    static const int shapes[][3] = { { 0, 28, 14 }, { 3, 28, 14 }, { 1, 336, 14 }, { 2, 15, 5 } };
    for (size_t i = 0; i < COUNT(shapes) * 3; i++) {
        int images = shapes[i / 3][0], side = shapes[i / 3][1], patch = shapes[i / 3][2];
        enum number type = types[i % 3];
        size_t n = (size_t)(images * side * side * 3), kept = n;    /* all of a side is patches */
        uint8_t *pixels = malloc(n + 1);
        for (size_t j = 0; j < n; j++)
            pixels[j] = (uint8_t)(128 + 128 * random_number());
        struct both x = bytes(pixels, n), y = room(type, kept);
        float *all = malloc(kept * sizeof *all + 1);
        patches(all, NUM_F32, pixels, images, side, patch);
        for (size_t j = 0; j < kept; j++)
            set(y.host, type, j, all[j]);
        CHECK_INT(patches_cuda(y.device, type, x.device, images, side, patch, NULL), 0);
        same_bits(&y, "patches");
        free(all);
        free(pixels);
        drop(&x), drop(&y);
    }
}

TEST(cuda_patches_have_the_cpus_bits) { in_every_order(cuts_patches); }

/* ---- norms ---- */

static void run_norm(bool rms, struct both *y, const struct both *x, const struct both *w,
                     const struct both *bias, int first, int T, int D)
{
    size_t skip = (size_t)first * (size_t)D;
    void *to = (char *)y->device + skip * number_size(y->type);
    const void *from = (const char *)x->device + skip * number_size(x->type);
    if (rms)
        CHECK_INT(rmsnorm_cuda(to, y->type, from, x->type, w->device, T, D, 1e-5f, NULL), 0);
    else
        CHECK_INT(layernorm_cuda(to, y->type, from, x->type, w->device, bias->device, T, D, 1e-5f,
                                 NULL), 0);
}

static void norm_rows(void)
{
    static const int shapes[][2] = { { 0, 16 }, { 1, 24 }, { 33, 31 }, { 577, 64 }, { 3, 192 },
                                     { 2, 1024 }, { 2, 4096 }, { 2, 5120 }, { 1, 9001 } };
    for (size_t i = 0; i < COUNT(shapes) * 12; i++) {
        int T = shapes[i / 12][0], D = shapes[i / 12][1];
        bool rms = i % 2, in_place = i / 2 % 6 == 0;
        enum number y_type = types[i / 2 % 3], x_type = i / 6 % 2 ? types[i / 4 % 3] : NUM_F32;
        struct both x = numbers(x_type, (size_t)(T * D), 30), w = numbers(NUM_F32, (size_t)D, 2);
        struct both bias = numbers(NUM_F32, (size_t)D, 1), y = room(y_type, (size_t)(T * D));
        float *want = malloc((size_t)(T * D) * sizeof *want + 1);
        void *rounded = malloc((size_t)(T * D) * 4 + 1);    /* RMSNorm: the CPU writes no F16 */
        for (int t = 0; t < T; t++) {
            double sum = 0, squares = 0;
            for (int d = 0; d < D; d++)
                sum += get(x.host, x_type, (size_t)(t * D + d));
            double mean = rms ? 0 : sum / D;
            for (int d = 0; d < D; d++)
                squares += pow(get(x.host, x_type, (size_t)(t * D + d)) - mean, 2);
            for (int d = 0; d < D; d++) {
                size_t at = (size_t)(t * D + d);
                set(rounded, y_type, at, (float)((get(x.host, x_type, at) - mean) /
                                                 sqrt(squares / D + 1e-5f)));
                double z = rms ? get(rounded, y_type, at) :
                                 (get(x.host, x_type, at) - mean) / sqrt(squares / D + 1e-5f);
                want[at] = (float)(z * get(w.host, NUM_F32, (size_t)d) +
                                   (rms ? 0 : get(bias.host, NUM_F32, (size_t)d)));
            }
        }
        run_norm(rms, in_place ? &x : &y, &x, &w, &bias, 0, T, D);
        close_to(in_place ? &x : &y, want, within[in_place ? x_type : y_type],
                 rms ? "rmsnorm" : "layernorm");
        if (!in_place && T) {                               /* each row alone: the same bits */
            free(y.host);
            y.host = result(&y);
            for (int t = 0; t < T; t += 5)
                run_norm(rms, &y, &x, &w, &bias, t, 1, D);
            same_bits(&y, "a row's norm depends on its company");
        }
        free(want);
        free(rounded);
        drop(&x), drop(&w), drop(&bias), drop(&y);
    }
}

TEST(cuda_norms_are_the_cpus) { in_every_order(norm_rows); }

/* ---- rows to e4m3 ---- */

/* What the definition says of a row, bit by bit. */
static void quantise_row(uint8_t *y, float *scale, const struct both *x, size_t from, int D)
{
    float most = 0;
    for (int d = 0; d < D; d++)
        most = fmaxf(most, fabsf(get(x->host, x->type, from + (size_t)d)));
    *scale = fmaxf(most / 448, 0x1p-126f);
    for (int d = 0; d < D; d++)
        y[d] = e4m3_of_float(get(x->host, x->type, from + (size_t)d) * (1 / *scale));
}

static void check_quantise(const struct both *x, int T, int D)
{
    struct both y = bytes(NULL, (size_t)(T * D)), scale = room(NUM_F32, (size_t)T);
    CHECK_INT(quantise_cuda(y.device, scale.device, x->device, x->type, T, D, NULL), 0);
    for (int t = 0; t < T; t++)
        quantise_row((uint8_t *)y.host + t * D, (float *)scale.host + t, x, (size_t)(t * D), D);
    CHECK_INT(cudaDeviceSynchronize(), 0);
    uint8_t *got = malloc((size_t)(T * D) + 1);
    if (T)
        CHECK_INT(cudaMemcpy(got, y.device, (size_t)(T * D), cudaMemcpyDeviceToHost), 0);
    CHECK(!memcmp(got, y.host, (size_t)(T * D)));
    same_bits(&scale, "a row's scale");
    free(got);
    drop(&y), drop(&scale);
}

static void quantises(void)
{
    static const int shapes[][2] = { { 0, 16 }, { 1, 24 }, { 33, 31 }, { 577, 64 }, { 3, 192 },
                                     { 2, 4096 }, { 2, 13824 }, { 1, 9001 } };
    for (size_t i = 0; i < COUNT(shapes) * 3; i++) {
        int T = shapes[i / 3][0], D = shapes[i / 3][1];
        struct both x = numbers(types[i % 3], (size_t)(T * D), i % 2 ? 9 : 1e-6f);
        check_quantise(&x, T, D);
        drop(&x);
    }
    uint16_t all[65536];
    for (int h = 0; h < 65536; h++)
        all[h] = (uint16_t)h;
    struct both x = bytes(all, sizeof all);                 /* rows of one sign and exponent */
    x.type = NUM_F16;
    check_quantise(&x, 64, 1024);                           /* the last of each sign: no numbers */
    check_quantise(&x, 4096, 16);
    drop(&x);
    float zeros[32] = { 0 };
    x = bytes(zeros, sizeof zeros);
    check_quantise(&x, 2, 16);
    drop(&x);
}

TEST(cuda_quantise_is_the_nearest_e4m3) { in_every_order(quantises); }

#if defined(CUDA_HOST)
/* Which of the two ways a product in e4m3 goes: test_ops.c tests both. */
TEST(cuda_leaves_scales_to_cublaslt_where_it_takes_them)
{
    enum { N = 48, K = 96, T = 100 };
    static const struct { int capability; const char *kinds; bool scaled; } way[] = {
        { 90, "a", true }, { 90, "na", true }, { 90, "n", false }, { 100, "a", false },
    };
    for (size_t i = 0; i < COUNT(way); i++) {
        struct products *p = NULL;
        struct err e = { 0 };
        uint8_t weights[N * K];
        void *w = NULL, *scale = NULL;
        bool scaled = !way[i].scaled;
        cuda_host_capability(way[i].capability);
        cuda_host_products(way[i].kinds);
        CHECK_INT(cudaMalloc(&w, N * K), 0);
        CHECK_INT(cudaMalloc(&scale, T * sizeof(float)), 0);
        for (int j = 0; j < N * K; j++)
            weights[j] = (uint8_t)(j * 37 % 0x7f);          /* of all exponents */
        CHECK_INT(cudaMemcpy(w, weights, N * K, cudaMemcpyHostToDevice), 0);
        CHECK_INT(cudaMemset(scale, 0x3e, T * sizeof(float)), 0);
        struct multiply m = { .T = T, .N = N, .K = K, .type = NUM_E4M3, .y_type = NUM_F32, .w = w,
                              .add = true, .x_scale = scale, .w_scale = scale };
        if (CHECK_OK(products_open(&p, NULL, &e), e))
            CHECK_OK(products_scale(p, &m, &scaled, &e), e);
        CHECK(scaled == way[i].scaled);
        products_close(p);
        CHECK_INT(cudaFree(w), 0);
        CHECK_INT(cudaFree(scale), 0);
    }
}
#endif

/* ---- what follows a product ---- */

static double activated(enum activation act, double z)
{
    switch (act) {
    case ACTIVATE_QUICK_GELU: return z / (1 + exp(-1.702 * z));
    case ACTIVATE_GELU: return 0.5 * z * (1 + erf(z / sqrt(2)));
    case ACTIVATE_SWIGLU: return z / (1 + exp(-z));
    case ACTIVATE_NONE: break;
    }
    return z;
}

/* y: 0 a buffer of its own, 1 x, 2 the residual. */
static void finish_case(int T, int N, enum activation act, bool has_bias, bool has_residual,
                        enum number x_type, enum number y_type, int where, bool scaled)
{
    bool paired = act == ACTIVATE_SWIGLU;
    size_t wide = (size_t)(paired ? 2 * N : N), n = (size_t)T * (size_t)N;
    struct both x = numbers(x_type, (size_t)T * wide, 4), y = room(y_type, n);
    struct both bias = has_bias ? numbers(NUM_F32, (size_t)N, 1) : none(NUM_F32);
    struct both residual = has_residual ? numbers(where == 2 ? y_type : NUM_F32, n, 1) :
                                          none(NUM_F32);
    struct both row = scaled ? numbers(NUM_F32, (size_t)T, 1) : none(NUM_F32);
    struct both column = scaled ? numbers(NUM_F32, wide, 1) : none(NUM_F32);
    float *want = malloc(n * sizeof *want + 1);
    for (size_t i = 0; i < n; i++) {
        size_t t = i / (size_t)N, j = i % (size_t)N;
        double by = scaled ? (double)get(row.host, NUM_F32, t) : 1, more = by;
        by *= scaled ? get(column.host, NUM_F32, j) : 1;
        more *= scaled && paired ? get(column.host, NUM_F32, (size_t)N + j) : 1;
        double z = get(x.host, x_type, t * wide + j) * by;
        z = activated(act, z + (has_bias ? get(bias.host, NUM_F32, j) : 0));
        if (paired) {
            float silu[1];
            set(silu, x_type, 0, (float)z);
            z = (double)get(silu, x_type, 0) * get(x.host, x_type, t * wide + (size_t)N + j) * more;
        }
        want[i] = (float)(z + (has_residual ? get(residual.host, residual.type, i) : 0));
    }
    struct both *out = where == 1 ? &x : where == 2 ? &residual : &y;
    CHECK_INT(finish_cuda(out->device, y_type, x.device, x_type,
                          (struct scales){ row.device, column.device }, bias.device, act,
                          residual.device, residual.type, T, N, NULL), 0);
    char what[120];
    snprintf(what, sizeof what, "finish [%d,%d] act %d bias %d residual %d types %d %d in %d", T, N,
             (int)act, has_bias, has_residual, (int)x_type, (int)y_type, where);
    /* A silu that lies on the edge between two roundings may go either way. */
    double limit = paired && x_type != NUM_F32 && y_type == NUM_F32 ? 2e-5 : within[y_type];
    close_to(out, want, limit, what);
    free(want);
    drop(&x), drop(&y), drop(&bias), drop(&residual), drop(&row), drop(&column);
}

static void finishes(void)
{
    static const int shapes[][2] = { { 0, 40 }, { 1, 31 }, { 33, 40 }, { 2, 11008 }, { 1, 13824 },
                                     { 577, 8 } };
    for (size_t i = 0; i < COUNT(shapes) * 4 * 9; i++) {
        int T = shapes[i / 36][0], N = shapes[i / 36][1];
        enum activation act = (enum activation)(i / 9 % 4);
        enum number x_type = types[i % 3], y_type = types[i / 3 % 3];
        bool paired = act == ACTIVATE_SWIGLU;
        finish_case(T, N, act, !paired && i % 2, i / 2 % 2, x_type, y_type, 0, i / 3 % 2);
        if (!paired && x_type == y_type)
            finish_case(T, N, act, true, false, x_type, x_type, 1, false);
        finish_case(T, N, act, !paired, true, x_type, y_type, 2, i % 2);
    }
}

TEST(cuda_finish_activates_and_adds) { in_every_order(finishes); }

/* ---- the cache ---- */

enum { COLUMNS = 256 };

static void writes_cache(void)
{
    static const int heads[][3] = { { 2, 2, 8 }, { 6, 6, 32 }, { 4, 2, 128 }, { 3, 1, 40 },
                                    { 16, 16, 64 } };
    const struct level *l = portable();
    for (size_t i = 0; i < COUNT(heads) * 6; i++) {
        int H = heads[i / 6][0], G = heads[i / 6][1], d = heads[i / 6][2], T = i % 2 ? 33 : 1;
        enum number type = types[i % 3];
        bool turned = i / 3 % 2;
        struct place place[40];
        float cosine[512 * 64], sine[512 * 64];
        rope_table(cosine, sine, 0, 512, d, 10000);
        for (int t = 0; t < T; t++)
            place[t] = (struct place){ .col = (t * 37 + 5) % COLUMNS, .position = t * 15 % 512 };
        size_t row = (size_t)((H + 2 * G) * d), table = (size_t)(512 * d / 2) * sizeof(float);
        struct both qkv = numbers(type, (size_t)T * row, 1), at = bytes(place, sizeof place);
        struct both k = room(type, (size_t)(G * COLUMNS * d)), v = room(type, k.n);
        struct both c = bytes(cosine, table), s = bytes(sine, table);
        for (int t = 0; t < T; t++)
            for (int h = 0; h < H + 2 * G; h++) {
                float x[128], y[128];
                size_t from = (size_t)t * row + (size_t)(h * d), turn = (size_t)(place[t].position *
                                                                                 d / 2);
                for (int j = 0; j < d; j++)
                    x[j] = y[j] = get(qkv.host, type, from + (size_t)j);
                if (turned && h < H + G)
                    l->rotate(y, NUM_F32, x, NUM_F32, cosine + turn, sine + turn, d);
                struct both *out = h < H ? &qkv : h < H + G ? &k : &v;
                size_t to = h < H ? from :
                            ((size_t)((h - H) % G * COLUMNS) + (size_t)place[t].col) * (size_t)d;
                for (int j = 0; j < d; j++)
                    set(out->host, type, to + (size_t)j, y[j]);
            }
        struct attention a = { .T = T, .heads = H, .kv_heads = G, .d = d, .columns = COLUMNS,
                               .k = k.device, .v = v.device, .qkv = qkv.device, .type = type,
                               .at = at.device };
        CHECK_INT(cache_write_cuda(&a, turned ? c.device : NULL, s.device, NULL), 0);
#if defined(CUDA_HOST)                                      /* a GPU joins product and sum */
        same_bits(&qkv, "q in place"), same_bits(&k, "k"), same_bits(&v, "v");
#else
        close_to(&qkv, NULL, within[type], "q in place");
        same_bits(&v, "v");
#endif
        drop(&qkv), drop(&at), drop(&k), drop(&v), drop(&c), drop(&s);
    }
}

TEST(cuda_cache_turns_and_writes) { in_every_order(writes_cache); }

/* ---- attention ---- */

enum { POOL = 1536, MOST = 900 };

struct attending {
    struct attention a;         /* the device's */
    struct both qkv, k, v, y;
    struct place place[MOST];
};

static bool sees(const struct place *at, int c)
{
    int behind = at->base + at->prefix, lo = at->lo > behind ? at->lo : behind;
    return (at->base <= c && c < behind) || (lo <= c && c <= at->col);
}

/* Rows first .. first + n of the case, into y. */
static void run_attend(struct attending *w, int first, int n)
{
    struct tile tiles[MOST];
    struct attention a = w->a;
    size_t size = number_size(a.type), row = (size_t)((a.heads + 2 * a.kv_heads) * a.d);
    int n_tiles = attention_tiles(tiles, w->place + first, n, a.type);
    struct both at = bytes(w->place + first, sizeof *w->place * (size_t)n);
    struct both tile = bytes(tiles, sizeof *tiles * (size_t)n_tiles);
    a.T = n;
    a.at = at.device;
    a.qkv = (const char *)w->qkv.device + (size_t)first * row * size;
    void *y = (char *)w->y.device + (size_t)(first * a.heads * a.d) * size;
    CHECK_INT(attend_cuda(y, &a, tile.device, n_tiles, NULL), 0);
    CHECK_INT(cudaDeviceSynchronize(), 0);
    drop(&at), drop(&tile);
}

/* What no row sees is NaN, so that it is noticed. */
static void plain_attend(const struct attending *w, int T, float *want)
{
    const struct attention *a = &w->a;
    int d = a->d, H = a->heads, G = a->kv_heads;
#pragma omp parallel for collapse(2)
    for (int t = 0; t < T; t++)
        for (int h = 0; h < H; h++) {
            double p[POOL], most = -INFINITY, sum = 0;
            size_t head = (size_t)(h / (H / G)) * POOL, q = (size_t)((t * (H + 2 * G) + h) * d);
            for (int c = 0; c < POOL; c++)
                if (sees(&w->place[t], c)) {
                    p[c] = 0;
                    for (int j = 0; j < d; j++)
                        p[c] += (double)get(w->qkv.host, a->type, q + (size_t)j) *
                                get(w->k.host, a->type, (head + (size_t)c) * (size_t)d + (size_t)j);
                    p[c] /= sqrt(d);
                    most = fmax(most, p[c]);
                }
            for (int c = 0; c < POOL; c++)
                if (sees(&w->place[t], c))
                    sum += p[c] = exp(p[c] - most);
            for (int j = 0; j < d; j++) {
                double y = 0;
                for (int c = 0; c < POOL; c++)
                    if (sees(&w->place[t], c))
                        y += p[c] / sum * get(w->v.host, a->type,
                                              (head + (size_t)c) * (size_t)d + (size_t)j);
                want[(size_t)((t * H + h) * d + j)] = (float)y;
            }
        }
}

static void start_attend(struct attending *w, enum number type, int H, int G, int d, int T)
{
    size_t row = (size_t)((H + 2 * G) * d);
    w->qkv = numbers(type, (size_t)T * row, 1.5f);
    w->k = numbers(type, (size_t)G * POOL * (size_t)d, 1.5f);
    w->v = numbers(type, w->k.n, 1.5f);
    w->y = room(type, (size_t)(T * H * d));
    for (int c = 0; c < POOL; c++) {
        bool seen = false;
        for (int t = 0; t < T; t++)
            seen = seen || sees(&w->place[t], c);
        for (int g = 0; g < G && !seen; g++)
            for (int j = 0; j < d; j++) {
                size_t i = (size_t)((g * POOL + c) * d + j);
                set(w->k.host, type, i, NAN);
                set(w->v.host, type, i, NAN);
            }
    }
    CHECK_INT(cudaMemcpy(w->k.device, w->k.host, w->k.n * number_size(type),
                         cudaMemcpyHostToDevice), 0);
    CHECK_INT(cudaMemcpy(w->v.device, w->v.host, w->v.n * number_size(type),
                         cudaMemcpyHostToDevice), 0);
    w->a = (struct attention){ .heads = H, .kv_heads = G, .d = d, .columns = POOL,
                               .k = w->k.device, .v = w->v.device, .type = type };
}

static void end_attend(struct attending *w)
{
    drop(&w->qkv), drop(&w->k), drop(&w->v), drop(&w->y);
}

static void check_attend(struct attending *w, enum number type, int H, int G, int d, int T)
{
    float *want = malloc((size_t)(T * H * d) * sizeof *want + 1);
    char what[80];
    start_attend(w, type, H, G, d, T);
    plain_attend(w, T, want);
    run_attend(w, 0, T);
    snprintf(what, sizeof what, "attend: type %d, %d rows, %d/%d heads of %d", (int)type, T, H, G, d);
    close_to(&w->y, want, type == NUM_F32 ? 3e-6 : within[type], what);
    free(w->y.host);
    w->y.host = result(&w->y);                              /* in other company: the same bits */
    for (int n = 1; n <= T; n = n * 5 + 2)
        for (int t = 0; t + n <= T; t += T / 3 + 1)
            run_attend(w, t, n);
    same_bits(&w->y, "attend: a row depends on its company");
    free(want);
    end_attend(w);
}

/* A prefix, questions behind it, replies of many, and some rows of a long text. */
static int language_rows(struct place *at)
{
    int T = 0;
    for (int c = 0; c < 150; c++)
        at[T++] = (struct place){ .col = c };
    for (int q = 0; q < 3; q++)
        for (int c = 0; c < 3 + 40 * q; c++)
            at[T++] = (struct place){ .prefix = 150, .lo = 192 + 128 * q, .col = 192 + 128 * q + c };
    for (int q = 0; q < 9; q++)                             /* one row each; in two orders */
        at[T++] = (struct place){ .base = 576, .prefix = 64, .lo = 640 + 64 * (q * 4 % 9),
                                  .col = 640 + 64 * (q * 4 % 9) + q };
    at[T++] = (struct place){ .base = 576, .prefix = 64, .lo = 640, .col = 645 };
    for (int c = 0; c < 140; c += 3)
        at[T++] = (struct place){ .base = 1280, .lo = 1280, .col = 1280 + 60 + c };
    return T;
}

static int tower_rows(struct place *at, int P, int images)
{
    int slot = round_up(P, 64);
    for (int t = 0; t < images * P; t++)
        at[t] = (struct place){ .base = t / P * slot, .prefix = P, .lo = t / P * slot,
                                .col = t / P * slot + t % P };
    return images * P;
}

static void attends_language(void)
{
    static const int heads[][3] = { { 2, 2, 8 }, { 2, 2, 32 }, { 2, 1, 128 }, { 2, 1, 80 } };
    static struct attending w;
    for (size_t i = 0; i < COUNT(heads) * 3; i++)
        check_attend(&w, types[i % 3], heads[i / 3][0], heads[i / 3][1], heads[i / 3][2],
                     language_rows(w.place));
}

TEST(cuda_attend_language) { in_every_order(attends_language); }

static void attends_tower(void)
{
    static struct attending w;
    for (size_t i = 0; i < COUNT(types); i++) {
        check_attend(&w, types[i], 1, 1, 64, tower_rows(w.place, 577, 1));
        check_attend(&w, types[i], 2, 2, 32, tower_rows(w.place, 37, 4));
        check_attend(&w, types[i], 2, 2, 32, 0);
    }
}

TEST(cuda_attend_tower) { in_every_order(attends_tower); }

/* One question's values are infinite: its neighbours in the tile, and what follows in its lane, stay
 * as they were. */
static void attends_beside_infinity(void)
{
    static struct attending w;
    enum { H = 1, d = 32, T = 20, LO = 640 };
    for (size_t i = 0; i < COUNT(types); i++) {
        enum number type = types[i];
        for (int t = 0; t < T; t++)
            w.place[t] = (struct place){ .prefix = 600, .lo = LO + t % 2 * 64,
                                         .col = LO + t % 2 * 64 + t / 2 };
        start_attend(&w, type, H, 1, d, T);
        run_attend(&w, 0, T);
        free(w.y.host);
        w.y.host = result(&w.y);
        for (int c = LO; c < LO + 64; c++)
            for (int j = 0; j < d; j++)
                set(w.v.host, type, (size_t)(c * d + j), c % 2 ? INFINITY : NAN);
        CHECK_INT(cudaMemcpy(w.v.device, w.v.host, w.v.n * number_size(type),
                             cudaMemcpyHostToDevice), 0);
        run_attend(&w, 0, T);
        char *now = result(&w.y);
        size_t row = d * number_size(type);
        for (int t = 0; t < T; t++)
            CHECK(t % 2 == 0 || !memcmp(now + (size_t)t * row, (char *)w.y.host + (size_t)t * row,
                                        row));
        CHECK(isnan(get(now, type, 0)));
        free(now);
        end_attend(&w);
    }
}

TEST(cuda_attend_keeps_infinities_apart) { in_every_order(attends_beside_infinity); }

TEST(cuda_tiles_hold_neighbours_of_one_base)
{
    struct place at[200];
    struct tile tile[200];
    for (int t = 0; t < 200; t++)
        at[t] = (struct place){ .base = t < 130 ? 0 : t < 131 ? 64 : 128 };
    CHECK_INT(attention_tiles(tile, at, 0, NUM_F16), 0);
    CHECK_INT(attention_tiles(tile, at, 200, NUM_F16), 6);  /* 64 64 2, 1, 64 5 */
    CHECK(tile[2].first == 128 && tile[2].n == 2 && tile[3].n == 1 && tile[5].n == 5);
    CHECK_INT(attention_tiles(tile, at, 33, NUM_F32), 3);
}

/* ---- choosing ---- */

static void check_sample(const struct both *logits, int S, int V, int n, const uint8_t *allowed,
                         const struct draw *how, const char *what)
{
    bool hot = false;
    for (int s = 0; s < S; s++)
        hot = hot || how[s].temperature > 0;
    struct both out = room(NUM_F32, (size_t)S), draws = bytes(how, sizeof *how * (size_t)S);
    struct both allow = allowed ? bytes(allowed, (size_t)n) : none(NUM_F32);
    struct both scratch = hot ? bytes(NULL, sample_cuda_scratch(S, n)) : none(NUM_F32);
    CHECK_INT(sample_cuda(out.device, logits->device, S, V, n, allow.device, draws.device,
                          scratch.device, NULL), 0);
    int32_t *got = result(&out);
    void *mine = malloc(sample_scratch(n) + 1);
    for (int s = 0; s < S; s++) {
        const float *row = (const float *)logits->host + (size_t)s * (size_t)V;
        if (!CHECK_INT(got[s], sample(row, n, allowed, how[s].temperature, how[s].top_k,
                                      how[s].top_p, how[s].u, mine)))
            printf("    %s, row %d\n", what, s);
    }
    free(mine);
    free(got);
    drop(&out), drop(&draws), drop(&allow), drop(&scratch);
}

static void samples(void)
{
    enum { S = 24, V = 300, N = 290 };
    struct both logits = numbers(NUM_F32, S * V, 8);
    struct draw how[S];
    uint8_t allowed[N], nothing[N] = { 0 };
    float *host = logits.host;
    for (int s = 0; s < S; s++) {
        float u = (random_number() + 1) / 2, p = (random_number() + 1) / 2;
        how[s] = (struct draw){ .temperature = s % 3 ? 0.2f + 2 * p : 0, .u = u,
                                .top_k = s % 4 ? 50 : 0, .top_p = s % 5 ? p : 1 };
        host[s * V + 295] = 100;                            /* no valid id */
        host[s * V + 7] = 99;                               /* not allowed */
        host[s * V + 40] = host[s * V + 80] = s % 2 ? 9 : 0;    /* equal, and the largest */
    }
    for (int i = 0; i < N; i++) {
        allowed[i] = i != 7;
        host[6 * V + i] = i == 30 ? 0.0f : i == 20 ? -0.0f : -1;    /* greedy: equal */
        host[9 * V + i] = i == 100 ? -3 : -INFINITY;
    }
    CHECK_INT(cudaMemcpy(logits.device, host, sizeof(float) * S * V, cudaMemcpyHostToDevice), 0);
    check_sample(&logits, S, V, N, allowed, how, "sample");
    check_sample(&logits, S, V, N, NULL, how, "sample, all allowed");
    check_sample(&logits, S, V, N, nothing, how, "sample, none allowed");
    check_sample(&logits, S, V, 1, NULL, how, "sample, one id");
    check_sample(&logits, 0, V, N, NULL, how, "sample, no rows");
    drop(&logits);
}

TEST(cuda_sample_draws_the_cpus_token) { in_every_order(samples); }

static void samples_vocabulary(void)
{
    enum { S = 5, V = 32064, N = 32000 };
    struct both logits = numbers(NUM_F32, S * V, 20);
    static const struct draw how[S] = {
        [2] = { .temperature = 1, .top_p = 1, .top_k = 50, .u = 0.4f },
        [3] = { .temperature = 0.7f, .top_p = 0.9f, .top_k = 0, .u = 0.99f },
    };
    for (int i = 0; i < S * V; i++)                         /* steps of fp16: many ties */
        ((float *)logits.host)[i] = f16_to_float(f16_of_float(((float *)logits.host)[i]));
    CHECK_INT(cudaMemcpy(logits.device, logits.host, sizeof(float) * S * V,
                         cudaMemcpyHostToDevice), 0);
    check_sample(&logits, S, V, N, NULL, how, "sample, LLaMA's vocabulary");
    drop(&logits);
}

TEST(cuda_sample_takes_a_whole_vocabulary) { in_every_order(samples_vocabulary); }
