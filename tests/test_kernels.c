/* What lies under the operations: 16-bit floats, packed weights, and threads.
 *
 * Expected values of the conversions follow from the formats (ldexp of sign, exponent, fraction),
 * over all 65,536 bit patterns; rounding is checked at the middle between every two neighbours. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include "kernels/float8.h"
#include "kernels/kernels.h"
#include "tests/check.h"

/* The value of a 16-bit float with so many exponent bits. */
static double value_of(uint16_t h, int exponent_bits)
{
    int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = h >> fraction_bits & ((1 << exponent_bits) - 1);
    int fraction = h & ((1 << fraction_bits) - 1);
    double sign = h & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction ? (double)NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

static void check_format(int exponent_bits, float (*to)(uint16_t), uint16_t (*of)(float))
{
    int infinity = ((1 << exponent_bits) - 1) << (15 - exponent_bits), wrong = 0;
    for (int h = 0; h < 65536; h++) {
        double x = value_of((uint16_t)h, exponent_bits);
        float got = to((uint16_t)h);
        if (isnan(x))
            wrong += !isnan(got) || !isnan(to(of(got)));
        else
            wrong += got != x || !!signbit(got) != (h >> 15) || of(got) != h;
        if ((h & 0x7fff) >= infinity - 1)
            continue;
        float middle = (float)((x + value_of((uint16_t)(h + 1), exponent_bits)) / 2);
        wrong += of(middle) != (h % 2 ? h + 1 : h);
        wrong += of(nextafterf(middle, got)) != h;
        wrong += of(nextafterf(middle, 2 * middle - got)) != h + 1;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(of(INFINITY), infinity);
    CHECK_INT(of(-INFINITY), infinity | 0x8000);
    CHECK_INT(of(3e38f) == infinity, exponent_bits == 5);
}

TEST(f16_is_ieee_binary16)
{
    check_format(5, f16_to_float, f16_of_float);
    CHECK_INT(f16_of_float(65519.996f), 0x7bff);            /* the last to round to 65504 */
    CHECK_INT(f16_of_float(65520), 0x7c00);
}

/* ---- e4m3 ---- */

static double value_of_e4m3(int h)                          /* 0 .. 0x7e */
{
    return h < 8 ? ldexp(h, -9) : ldexp(8 + h % 8, h / 8 - 10);
}

/* The nearest of all finite ones; of two as near, the even one. */
static int nearest_e4m3(double x)
{
    int best = 0;
    for (int h = 1; h <= 0x7e; h++) {
        double d = fabs(fabs(x) - value_of_e4m3(h)), least = fabs(fabs(x) - value_of_e4m3(best));
        if (d < least || (d == least && h % 2 == 0))
            best = h;
    }
    return best | (signbit(x) ? 0x80 : 0);
}

TEST(e4m3_is_the_nearest)
{
    int wrong = 0;
    for (int h = 0; h <= 0x7e; h++) {
        float x = (float)value_of_e4m3(h), middle = (x + (float)value_of_e4m3(h + 1)) / 2;
        wrong += e4m3_to_float((uint8_t)h) != x || e4m3_to_float((uint8_t)(h | 0x80)) != -x;
        wrong += e4m3_of_float(x) != h || e4m3_of_float(-x) != (h | 0x80);
        if (h == 0x7e)
            break;
        wrong += e4m3_of_float(middle) != h + h % 2;
        wrong += e4m3_of_float(nextafterf(middle, 0)) != h;
        wrong += e4m3_of_float(nextafterf(middle, 500)) != h + 1;
    }
    for (int h = 0; h < 65536; h++) {                       /* all numbers of fp16 */
        float x = f16_to_float((uint16_t)h);
        int want = isnan(x) ? (h >> 8 & 0x80) | 0x7f : nearest_e4m3(isinf(x) ? copysign(1e9, x) : x);
        wrong += e4m3_of_float(x) != want;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(e4m3_of_float(3e38f), 0x7e);
    CHECK_INT(e4m3_of_float(-INFINITY), 0xfe);
    CHECK(isnan(e4m3_to_float(0x7f)) && isnan(e4m3_to_float(0xff)));
}

TEST(bf16_is_half_a_float)
{
    check_format(8, bf16_to_float, bf16_of_float);
}

/* 3 + 3 rows of 5 numbers, paired: gate i in column i, up i in column 16 + i, k in pairs. */
TEST(panels_hold_pairs)
{
    enum { F = 3, K = 5 };
    const struct level *l;
    const struct micro *m;
    uint16_t gate[F * K], up[F * K], panel[PANEL * 32];
    for (int i = 0; i < F * K; i++) {
        gate[i] = (uint16_t)(100 + i);
        up[i] = (uint16_t)(200 + i);
    }
    struct rows parts[2] = { { gate, NUM_BF16, F }, { up, NUM_BF16, F } };
    CHECK(kernels_choose(NULL, &l, &m));
    CHECK_INT(panels_bytes(F, K, 1, NUM_BF16), sizeof panel);
    memset(panel, 0xff, sizeof panel);
    panels_pack(l, panel, NUM_BF16, F, K, 1, parts, 2);
    int wrong = 0;
    for (int k = 0; k < 32; k++)
        for (int j = 0; j < PANEL; j++) {
            int i = j % 16, want = i < F && k < K ? (j < 16 ? 100 : 200) + i * K + k : 0;
            wrong += panel[(k / 2 * PANEL + j) * 2 + k % 2] != want;
        }
    CHECK_INT(wrong, 0);
}

static uint16_t as16(enum number type, float x)
{
    return type == NUM_BF16 ? bf16_of_float(x) : f16_of_float(x);
}

/* 40 rows of 301 numbers, of each type that a file may hold, at an odd address, by every level: in
 * panels of 16 bits what the plain conversions give. */
TEST(panels_from_every_type)
{
    enum { N = 40, K = 301, K_PANEL = 320 };
    static const enum number types[] = { NUM_F32, NUM_F16, NUM_BF16 };
    static char file[1 + N * K * sizeof(float)];
    static uint16_t panels[2][K_PANEL * PANEL];
    const struct level *l;
    const struct micro *m;
    CHECK_INT(panels_bytes(N, K, 0, NUM_F16), sizeof panels);
    for (int level = 0; kernels_name(level); level++)
        for (int c = 0; c < 6 && kernels_choose(kernels_name(level), &l, &m); c++) {
            enum number from = types[c % 3], to = types[1 + c / 3];
            struct rows part = { file + 1, from, N };
            int wrong = 0;
            for (int i = 0; i < N * K; i++) {
                float x = ldexpf((float)(i * 7919 % 4093 - 2046), i % 37 - 30);
                uint16_t h = as16(from, x);
                memcpy(file + 1 + (size_t)i * number_size(from), from == NUM_F32 ? (void *)&x : &h,
                       number_size(from));
            }
            memset(panels, 0xff, sizeof panels);
            panels_pack(l, panels, to, N, K, 0, &part, 1);
            for (int n = 0; n < 2 * PANEL; n++)
                for (int k = 0; k < K_PANEL; k++) {
                    int i = n * K + k;
                    float x = ldexpf((float)(i * 7919 % 4093 - 2046), i % 37 - 30);
                    if (from != NUM_F32)
                        x = from == NUM_BF16 ? bf16_to_float(as16(from, x))
                                             : f16_to_float(as16(from, x));
                    uint16_t want = n < N && k < K ? as16(to, x) : 0;
                    wrong += panels[n / PANEL][(k / 2 * PANEL + n % PANEL) * 2 + k % 2] != want;
                }
            CHECK_INT(wrong, 0);
        }
}

/* Sums do not depend on how many threads share them out, nor on the stripes that this makes. */
TEST(products_ignore_threads)
{
    enum { M = 530, N = 75, K = 700 };
    static float x[M * K], w[N * K], y[2][M * N];
    for (int i = 0; i < M * K; i++)
        x[i] = (float)(i % 4001 * 97 % 1001) / 500 - 1;
    for (int i = 0; i < N * K; i++)
        w[i] = (float)(i % 4099 * 89 % 997) / 500 - 1;
    int before = omp_get_max_threads();
    for (int i = 0; kernels_name(i); i++) {
        const struct level *l;
        const struct micro *m;
        if (!kernels_choose(kernels_name(i), &l, &m))
            continue;
        void *panels = malloc(panels_bytes(N, K, 0, NUM_BF16));
        struct rows part = { w, NUM_F32, N };
        panels_pack(l, panels, NUM_BF16, N, K, 0, &part, 1);
        for (int threads = 1; threads <= 8; threads++) {
            omp_set_num_threads(threads);
            struct product p = { .M = M, .N = N, .K = K, .y = y[threads > 1], .x = x,
                                 .panels = panels, .w_type = NUM_BF16 };
            void *scratch = calloc(1, matmul_scratch(l, m, &p) + 64);
            matmul(l, m, &p, (char *)scratch + (64 - (uintptr_t)scratch % 64));
            free(scratch);
            CHECK(threads == 1 || !memcmp(y[0], y[1], sizeof y[0]));
        }
        free(panels);
    }
    omp_set_num_threads(before);
}
