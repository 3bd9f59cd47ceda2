/* resize_private.h -- what the forms of the resize share: an axis's weights, and their four kernels.
 *
 * A kernel gives the bits of the portable one. It may read up to RESIZE_SLACK bytes behind a row of
 * the canvas and write one byte behind a row of its own. */
#ifndef ENGINE_RESIZE_PRIVATE_H
#define ENGINE_RESIZE_PRIVATE_H

#include "engine/resize.h"

enum { RESIZE_FRACTION = 22, RESIZE_HALF = 1 << (RESIZE_FRACTION - 1), RESIZE_BAND = 4,
       RESIZE_SLACK = 64 };

struct axis {                   /* outputs first .. first + n of n_out */
    int n_in, n_out, first, n;
    int taps;                   /* per output, a multiple of the kernels' step; the rest weighs 0 */
    int *start, *count;         /* [n] first input, and how many count */
    int32_t *k;                 /* [n, taps] in 22 bits of fraction; |k| < 1.2 * 2^22 */
    void *packed;               /* k as the kernels take it; malloc, or NULL */
};

struct resize_kernels {
    int row_step, column_step;
    void *(*pack_rows)(const struct axis *a);               /* NULL: k itself; may return NULL */
    void *(*pack_columns)(const struct axis *a);
    /* RESIZE_BAND rows [n_in,3] to the outputs [n,3] of each. */
    void (*rows)(uint8_t *const *out, const uint8_t *const *in, const struct axis *a);
    /* Output row i [bytes] from a->taps rows. */
    void (*columns)(uint8_t *out, const uint8_t *const *in, const struct axis *a, int i,
                    size_t bytes);
};

/* Bytes from .. bytes of an output row, without vectors. */
void resize_column_bytes(uint8_t *out, const uint8_t *const *in, const struct axis *a, int i,
                         size_t from, size_t bytes);

/* Arrays of vectors stay in registers only if the loops over them are gone. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

#if defined(__x86_64__)
extern const struct resize_kernels resize_avx2, resize_avx512;
#endif

#endif
