/* level_avx512.c -- AVX-512 F, BW, DQ, VL: sixteen lanes (Skylake-SP, 2017; Zen 4). */
#include <math.h>
#include "kernels/private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/target.h"
TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#define SIMD 512
#define ROWS 12
#define LEVEL(name) name##_avx512
#define LEVEL_NAME "avx512"
#include "kernels/level.inc"
TARGET_END
#endif
