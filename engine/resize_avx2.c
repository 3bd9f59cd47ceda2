/* resize_avx2.c -- the resize in vectors of 32 bytes, the bits of resize.c.
 *
 * k = 4096 high + low, so that both halves fit the 16-bit multiply-add; (sum high p) 4096 +
 * (sum low p) is the same number, modulo 2^32 as every sum here. */
#include "engine/resize_private.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdlib.h>

enum { LOW = 12, LOW_MASK = (1 << LOW) - 1 };

/* [n, taps/4, 2 (high, low), 16]: for four taps, (k0,k1) four times, then (k2,k3) four times. */
static void *pack_rows(const struct axis *a)
{
    size_t groups = (size_t)a->n * ((size_t)a->taps / 4);
    int16_t *packed = malloc(groups * 32 * sizeof *packed);
    for (size_t g = 0; packed && g < groups; g++)
        for (int lane = 0; lane < 16; lane++) {
            int32_t k = a->k[4 * g + (size_t)(lane / 8 * 2 + lane % 2)];
            packed[32 * g + (size_t)lane] = (int16_t)(k >> LOW);
            packed[32 * g + 16 + (size_t)lane] = (int16_t)(k & LOW_MASK);
        }
    return packed;
}

/* [n, taps/2, 2 (high, low)], each two taps in the halves of 32 bits. */
static void *pack_columns(const struct axis *a)
{
    size_t pairs = (size_t)a->n * ((size_t)a->taps / 2);
    int32_t *packed = malloc(pairs * 2 * sizeof *packed);
    for (size_t p = 0; packed && p < pairs; p++) {
        uint32_t k = (uint32_t)a->k[2 * p], l = (uint32_t)a->k[2 * p + 1];
        packed[2 * p] = (int32_t)((k >> LOW & 0xffff) | (l >> LOW) << 16);
        packed[2 * p + 1] = (int32_t)((k & LOW_MASK) | (l & LOW_MASK) << 16);
    }
    return packed;
}

__attribute__((target("avx2")))
static void rows(uint8_t *const *out, const uint8_t *const *in, const struct axis *a)
{
    const __m128i spread = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1);
    for (int i = 0; i < a->n; i++) {
        const int16_t *k = (const int16_t *)a->packed + (size_t)i * (size_t)a->taps * 8;
        size_t at = 3 * (size_t)a->start[i];
        __m256i high[RESIZE_BAND], low[RESIZE_BAND];
        UNROLL
        for (int r = 0; r < RESIZE_BAND; r++)
            high[r] = low[r] = _mm256_setzero_si256();
        for (int x = 0; x < a->count[i]; x += 4, at += 12, k += 32) {
            __m256i kh = _mm256_loadu_si256((const __m256i *)(const void *)k);
            __m256i kl = _mm256_loadu_si256((const __m256i *)(const void *)(k + 16));
            UNROLL
            for (int r = 0; r < RESIZE_BAND; r++) {
                __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(in[r] + at));
                __m256i wide = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(p, spread));
                high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(wide, kh));
                low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(wide, kl));
            }
        }
        UNROLL
        for (int r = 0; r < RESIZE_BAND; r++) {
            __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high[r], LOW), low[r]);
            __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both),
                                        _mm256_extracti128_si256(both, 1));
            sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(RESIZE_HALF)), RESIZE_FRACTION);
            sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
            _mm_storeu_si32(out[r] + 3 * (size_t)i, sum);   /* the fourth byte is the next one's */
        }
    }
}

__attribute__((target("avx2")))
static void columns(uint8_t *out, const uint8_t *const *in, const struct axis *a, int i,
                    size_t bytes)
{
    const int32_t *packed = (const int32_t *)a->packed + (size_t)i * (size_t)a->taps;
    size_t b = 0;
    for (; b + 16 <= bytes; b += 16) {
        const int32_t *k = packed;
        __m256i high[2], low[2], sum[2];
        UNROLL
        for (int half = 0; half < 2; half++)
            high[half] = low[half] = _mm256_setzero_si256();
        for (int y = 0; y < a->count[i]; y += 2, k += 2) {
            __m256i kh = _mm256_set1_epi32(k[0]), kl = _mm256_set1_epi32(k[1]);
            __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(in[y] + b));
            __m128i q = _mm_loadu_si128((const __m128i *)(const void *)(in[y + 1] + b));
            __m256i first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(p, q));
            __m256i second = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(p, q));
            high[0] = _mm256_add_epi32(high[0], _mm256_madd_epi16(first, kh));
            low[0] = _mm256_add_epi32(low[0], _mm256_madd_epi16(first, kl));
            high[1] = _mm256_add_epi32(high[1], _mm256_madd_epi16(second, kh));
            low[1] = _mm256_add_epi32(low[1], _mm256_madd_epi16(second, kl));
        }
        UNROLL
        for (int half = 0; half < 2; half++) {
            sum[half] = _mm256_add_epi32(_mm256_slli_epi32(high[half], LOW), low[half]);
            sum[half] = _mm256_add_epi32(sum[half], _mm256_set1_epi32(RESIZE_HALF));
            sum[half] = _mm256_srai_epi32(sum[half], RESIZE_FRACTION);
        }
        __m256i words = _mm256_packs_epi32(sum[0], sum[1]); /* by halves: 0-3 8-11 4-7 12-15 */
        words = _mm256_permute4x64_epi64(words, 0xd8);
        __m128i done = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                        _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)(void *)(out + b), done);
    }
    resize_column_bytes(out, in, a, i, b, bytes);
}

const struct resize_kernels resize_avx2 = { 4, 2, pack_rows, pack_columns, rows, columns };

#else

typedef int resize_avx2_is_for_x86_64;                      /* a file must hold something */

#endif
