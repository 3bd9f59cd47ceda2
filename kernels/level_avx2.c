/* level_avx2.c -- AVX2 with FMA and F16C: eight lanes (Haswell, 2013; Zen). */
#include <math.h>
#include "kernels/private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/target.h"
TARGET_BEGIN("avx2,fma,f16c")
#define SIMD 256
#define ROWS 6
#define LEVEL(name) name##_avx2
#define LEVEL_NAME "avx2"
#include "kernels/level.inc"
TARGET_END
#endif
