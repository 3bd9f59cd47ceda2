/* resize_avx512.c -- the resize in vectors of 64 bytes, the bits of resize.c.
 *
 * k = 65536 d2 + 256 d1 + d0 in signed digits of 8 bits, each of which goes through the byte dot
 * product of VNNI, four taps to a sum; put together modulo 2^32, as every sum here, they are the same
 * number. |k| < 1.2 * 2^22, so d2 stays below 78. */
#include "engine/resize_private.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdlib.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))

enum { DIGITS = 3, GROUP = 16 };                            /* taps of one vector of a row */

static void digits_of(int32_t k, int8_t d[DIGITS])
{
    for (int i = 0; i < DIGITS; i++) {
        d[i] = (int8_t)(uint8_t)(k & 0xff);
        k = (k - d[i]) >> 8;
    }
}

/* [n, taps/16, 3 digits, 64]: lane g of 16 bytes has taps 4g .. 4g+3 for R, for G, for B, and 0. */
static void *pack_rows(const struct axis *a)
{
    size_t groups = (size_t)a->n * ((size_t)a->taps / GROUP);
    int8_t *packed = calloc(groups, DIGITS * 64);
    for (size_t t = 0; packed && t < groups * GROUP; t++) {
        int8_t d[DIGITS], *to = packed + t / GROUP * DIGITS * 64 + t % GROUP / 4 * 16 + t % 4;
        digits_of(a->k[t], d);
        for (int i = 0; i < DIGITS; i++)
            for (int c = 0; c < 3; c++)
                to[64 * i + 4 * c] = d[i];
    }
    return packed;
}

/* [n, taps/4, 3 digits], each four taps in the bytes of 32 bits. */
static void *pack_columns(const struct axis *a)
{
    size_t n = (size_t)a->n * (size_t)a->taps;
    int8_t *packed = malloc(n * DIGITS);
    for (size_t t = 0; packed && t < n; t++) {
        int8_t d[DIGITS];
        digits_of(a->k[t], d);
        for (size_t i = 0; i < DIGITS; i++)
            packed[t / 4 * 4 * DIGITS + 4 * i + t % 4] = d[i];
    }
    return packed;
}

/* clamp((2^21 + d2 65536 + d1 256 + d0) >> 22), but for the clamp. */
TARGET static inline __m512i put_together(__m512i d0, __m512i d1, __m512i d2)
{
    return _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(d2, 16), _mm512_slli_epi32(d1, 8)),
                            d0);
}

TARGET static inline __m512i shift_down(__m512i sum)
{
    sum = _mm512_add_epi32(sum, _mm512_set1_epi32(RESIZE_HALF));
    return _mm512_srai_epi32(sum, RESIZE_FRACTION);
}

/* The four lanes of each of four vectors added up: lane r of the result is of vector r. */
TARGET static inline __m512i add_lanes(const __m512i v[RESIZE_BAND])
{
    __m512i a = _mm512_add_epi32(_mm512_shuffle_i32x4(v[0], v[1], 0x44),
                                 _mm512_shuffle_i32x4(v[0], v[1], 0xee));
    __m512i b = _mm512_add_epi32(_mm512_shuffle_i32x4(v[2], v[3], 0x44),
                                 _mm512_shuffle_i32x4(v[2], v[3], 0xee));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

TARGET static void rows(uint8_t *const *out, const uint8_t *const *in, const struct axis *a)
{
    uint8_t order[64];                                      /* RGBRGB... to RRRRGGGGBBBB.... */
    for (int lane = 0; lane < 64; lane++)
        order[lane] = (uint8_t)(lane / 16 * 12 + lane % 4 * 3 + (lane % 16 < 12 ? lane % 16 / 4 : 0));
    const __m512i spread = _mm512_loadu_si512(order);
    for (int i = 0; i < a->n; i++) {
        const int8_t *k = (const int8_t *)a->packed + (size_t)i * (size_t)a->taps * DIGITS * 4;
        size_t at = 3 * (size_t)a->start[i];
        __m512i d0[RESIZE_BAND], d1[RESIZE_BAND], d2[RESIZE_BAND];
        UNROLL
        for (int r = 0; r < RESIZE_BAND; r++)
            d0[r] = d1[r] = d2[r] = _mm512_setzero_si512();
        for (int x = 0; x < a->count[i]; x += GROUP, at += 3 * GROUP, k += DIGITS * 64) {
            __m512i k0 = _mm512_loadu_si512(k), k1 = _mm512_loadu_si512(k + 64),
                    k2 = _mm512_loadu_si512(k + 128);
            UNROLL
            for (int r = 0; r < RESIZE_BAND; r++) {
                __m512i p = _mm512_permutexvar_epi8(spread, _mm512_loadu_si512(in[r] + at));
                d0[r] = _mm512_dpbusd_epi32(d0[r], p, k0);
                d1[r] = _mm512_dpbusd_epi32(d1[r], p, k1);
                d2[r] = _mm512_dpbusd_epi32(d2[r], p, k2);
            }
        }
        UNROLL
        for (int r = 0; r < RESIZE_BAND; r++)
            d0[r] = put_together(d0[r], d1[r], d2[r]);
        __m512i sum = _mm512_max_epi32(shift_down(add_lanes(d0)), _mm512_setzero_si512());
        __m128i bytes = _mm512_cvtusepi32_epi8(sum);
        _mm_storeu_si32(out[0] + 3 * (size_t)i, bytes);     /* the fourth byte is the next one's */
        _mm_storeu_si32(out[1] + 3 * (size_t)i, _mm_srli_si128(bytes, 4));
        _mm_storeu_si32(out[2] + 3 * (size_t)i, _mm_srli_si128(bytes, 8));
        _mm_storeu_si32(out[3] + 3 * (size_t)i, _mm_srli_si128(bytes, 12));
    }
}

TARGET static void columns(uint8_t *out, const uint8_t *const *in, const struct axis *a, int i,
                           size_t bytes)
{
    const int32_t *packed = (const int32_t *)a->packed + (size_t)i * (size_t)a->taps / 4 * DIGITS;
    for (size_t b = 0; b < bytes; b += 64) {
        __mmask64 some = bytes - b < 64 ? ((__mmask64)1 << (bytes - b)) - 1 : ~(__mmask64)0;
        const int32_t *k = packed;
        __m512i d[DIGITS][4], sum[4];
        UNROLL
        for (int j = 0; j < 4; j++)
            d[0][j] = d[1][j] = d[2][j] = _mm512_setzero_si512();
        for (int y = 0; y < a->count[i]; y += 4, k += DIGITS) {
            __m512i row[4], p[4];
            UNROLL
            for (int j = 0; j < 4; j++)
                row[j] = _mm512_maskz_loadu_epi8(some, in[y + j] + b);
            __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]),
                    low23 = _mm512_unpacklo_epi8(row[2], row[3]),
                    high01 = _mm512_unpackhi_epi8(row[0], row[1]),
                    high23 = _mm512_unpackhi_epi8(row[2], row[3]);
            p[0] = _mm512_unpacklo_epi16(low01, low23);     /* by lanes: bytes 0-3, 4-7, ... */
            p[1] = _mm512_unpackhi_epi16(low01, low23);
            p[2] = _mm512_unpacklo_epi16(high01, high23);
            p[3] = _mm512_unpackhi_epi16(high01, high23);
            UNROLL
            for (int n = 0; n < DIGITS; n++)
                UNROLL
                for (int j = 0; j < 4; j++)
                    d[n][j] = _mm512_dpbusd_epi32(d[n][j], p[j], _mm512_set1_epi32(k[n]));
        }
        UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = shift_down(put_together(d[0][j], d[1][j], d[2][j]));
        __m512i done = _mm512_packus_epi16(_mm512_packs_epi32(sum[0], sum[1]),
                                           _mm512_packs_epi32(sum[2], sum[3]));
        _mm512_mask_storeu_epi8(out + b, some, done);
    }
}

const struct resize_kernels resize_avx512 = { GROUP, 4, pack_rows, pack_columns, rows, columns };

#else

typedef int resize_avx512_is_for_x86_64;                    /* a file must hold something */

#endif
