/* private.h -- what the files of this folder share: the levels and micro kernels there are. */
#ifndef KERNELS_PRIVATE_H
#define KERNELS_PRIVATE_H

#include "kernels/kernels.h"

extern const struct level level_portable;
#if defined(__x86_64__)
extern const struct level level_avx2, level_avx512;
extern const struct micro micro_avx512_bf16, micro_amx;
#endif

double kernels_seconds(void);               /* monotonic clock */

#endif
