/* level_portable.c -- the level that any machine has: four lanes, by the compiler's vectors. */
#include <math.h>
#include "kernels/private.h"

#define SIMD 0
#define ROWS 4
#define LEVEL(name) name##_portable
#define LEVEL_NAME "portable"
#include "kernels/level.inc"
