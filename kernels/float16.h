/* float16.h -- the two 16-bit floats, bit by bit, on any machine.
 *
 *   bf16   1 sign, 8 exponent, 7 fraction bits: the upper half of a float32
 *   f16    1 sign, 5 exponent, 10 fraction bits (IEEE binary16), with subnormals
 * To 16 bits rounds to nearest, ties to even; too large becomes infinity, NaN stays NaN. */
#ifndef KERNELS_FLOAT16_H
#define KERNELS_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float float_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float bf16_to_float(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

static inline uint16_t bf16_of_float(float x)
{
    uint32_t u = float_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);                  /* quiet, lest the fraction become 0 */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float f16_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t rest = h & 0x7fff;
    if (rest >= 0x7c00)                                     /* infinity, NaN */
        return float_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest < 0x400) {                                     /* zero, subnormal: rest * 2^-24 */
        float x = (float)rest * 0x1p-24f;
        return sign ? -x : x;
    }
    return float_of_bits(sign | ((rest << 13) + ((127u - 15) << 23)));
}

static inline uint16_t f16_of_float(float x)
{
    uint32_t u = float_bits(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000)                                    /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) {                                   /* below 2^-14: adding 2^-1 rounds at */
        uint32_t r = float_bits(float_of_bits(a) + 0.5f);   /* 2^-24, the subnormals' step        */
        return (uint16_t)(sign | (r - 0x3f000000));
    }
    return (uint16_t)(sign | ((a + 0xfff + (a >> 13 & 1)) - ((127u - 15) << 23)) >> 13);
}

#endif
