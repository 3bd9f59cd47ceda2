/* random_weights.h -- numbers in the place of a checkpoint's, to measure speed at any size.
 *
 * A few MiB of random bf16 are mapped again and again behind each other, so that a 13B model costs
 * next to nothing until it is packed. Values have the spread 1/sqrt(K) that keeps activations
 * finite; weights of norms are 1. The same config gives the same numbers. */
#ifndef ENGINE_RANDOM_WEIGHTS_H
#define ENGINE_RANDOM_WEIGHTS_H

#include "engine/base/err.h"

enum { RANDOM_KINDS = 64 };     /* different K (columns) of one model */

struct random_weights {
    struct { int cols; unsigned char *at; size_t n; } kind[RANDOM_KINDS];   /* cols 0: ones */
    int n_kinds;
};

/* A run of n bf16 values in *data, valid until random_weights_close; name chooses where in the
 * block it begins. cols 0 gives ones. Call first with the largest n of each cols: a run never
 * grows. */
enum status random_weights_take(struct random_weights *r, const char *name, int cols, size_t n,
                                const void **data, struct err *e);
void random_weights_close(struct random_weights *r);

#endif
