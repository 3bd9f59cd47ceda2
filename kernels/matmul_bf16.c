/* matmul_bf16.c -- the product of bf16 numbers by AVX512_BF16 (Cooper Lake, Zen 4).
 *
 * One instruction adds the products of two neighbouring k's to sixteen float32 sums: pairs of a row
 * are broadcast, pairs of sixteen columns are one vector of a panel. Subnormals count as 0. */
#include <string.h>
#include "kernels/private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/target.h"
TARGET_BEGIN("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

enum { ROWS = 12, BLOCK = 512 };

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline __attribute__((always_inline)) void
few_rows(float *c, const uint16_t *a, const uint16_t *b, const int rows, int k, int keep)
{
    __m512 sum[ROWS][2];
    UNROLL
    for (int i = 0; i < rows; i++) {
        sum[i][0] = keep ? _mm512_loadu_ps(c + i * PANEL) : _mm512_setzero_ps();
        sum[i][1] = keep ? _mm512_loadu_ps(c + i * PANEL + 16) : _mm512_setzero_ps();
    }
    for (int l = 0; l < k; l += 2) {
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b + l * PANEL);
        __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + l * PANEL + PANEL);
        UNROLL
        for (int i = 0; i < rows; i++) {
            int pair;
            memcpy(&pair, a + i * BLOCK + l, sizeof pair);
            __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], x, b0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], x, b1);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        _mm512_storeu_ps(c + i * PANEL, sum[i][0]);
        _mm512_storeu_ps(c + i * PANEL + 16, sum[i][1]);
    }
}

static void run(float *c, const void *a, const void *b, int rows, int k, int keep,
                const struct ahead *soon)
{
    (void)soon;                                             /* slow: the hardware fetches in time */
    switch (rows) {
#define CASE(n) case n: few_rows(c, a, b, n, k, keep); break;
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
    CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
}

static double peak(double seconds)
{
    enum { CHAINS = 16, STEPS = 100000 };
    __m512 sum[CHAINS];
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f003f00);
    double flops = 0, start = kernels_seconds(), now;
    UNROLL
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    do {
        for (int l = 0; l < STEPS; l++) {
            UNROLL
            for (int i = 0; i < CHAINS; i++)
                sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
        }
        flops += 2.0 * STEPS * CHAINS * 32;
        now = kernels_seconds();
    } while (now - start < seconds);
    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_reduce_add_ps(sum[0]) == 0 ? 0 : flops / (now - start);
}

TARGET_END

const struct micro micro_avx512_bf16 = {
    .name = "avx512_bf16", .rows = ROWS, .block = BLOCK, .near = 1 << 20, .type = NUM_BF16,
    .run = run, .peak = peak,
};

#endif
