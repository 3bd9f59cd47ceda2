/* float8.h -- e4m3, the 8-bit float of matrix products, bit by bit, on any machine.
 *
 * 1 sign, 4 exponent, 3 fraction bits, with subnormals (steps of 2^-9); no infinity: the largest is
 * 448, and 0x7f and 0xff are NaN. To e4m3 rounds to nearest, ties to even; what is too large, an
 * infinity too, becomes 448; NaN stays NaN. So does cvt.rn.satfinite.e4m3x2.f32. */
#ifndef KERNELS_FLOAT8_H
#define KERNELS_FLOAT8_H

#include "kernels/float16.h"

#define E4M3_MOST 448.0f

static inline float e4m3_to_float(uint8_t h)
{
    uint32_t sign = (uint32_t)(h & 0x80) << 24, rest = h & 0x7f;
    if (rest == 0x7f)
        return float_of_bits(sign | 0x7fc00000);
    if (rest < 8) {                                         /* zero, subnormal: rest * 2^-9 */
        float x = (float)rest * 0x1p-9f;
        return sign ? -x : x;
    }
    return float_of_bits(sign | ((rest << 20) + ((127u - 7) << 23)));
}

static inline uint8_t e4m3_of_float(float x)
{
    uint32_t u = float_bits(x), sign = u >> 24 & 0x80, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint8_t)(sign | 0x7f);
    if (a >= 0x43e00000)                                    /* 448 */
        return (uint8_t)(sign | 0x7e);
    if (a < 0x3c800000) {                                   /* below 2^-6: adding 2^14 rounds at */
        uint32_t r = float_bits(float_of_bits(a) + 0x1p14f);    /* 2^-9, the subnormals' step    */
        return (uint8_t)(sign | (r - 0x46800000));
    }
    return (uint8_t)(sign | ((a + 0x7ffff + (a >> 20 & 1)) - ((127u - 7) << 23)) >> 20);
}

#endif
