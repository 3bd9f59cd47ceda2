/* tensor.h -- a block of numbers with its shape: memory of one backend, never read directly.
 *
 * Row-major, last index fastest. The struct is a plain value: copies are views. */
#ifndef ENGINE_TENSOR_H
#define ENGINE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum dtype { F32, BF16, F16, I32, U8, E4M3 };   /* E4M3: weights of products on a GPU */

static inline size_t dtype_size(enum dtype t)
{
    return t == F32 || t == I32 ? 4 : t == U8 || t == E4M3 ? 1 : 2;
}

struct tensor {
    void *data;
    enum dtype type;
    int rows, cols;             /* [rows, cols]; a vector is [1, cols] */
};

/* Rows first .. first + n of t, as a view. */
static inline struct tensor tensor_rows(struct tensor t, int first, int n)
{
    t.data = (char *)t.data + (size_t)first * (size_t)t.cols * dtype_size(t.type);
    t.rows = n;
    return t;
}

/* A weight [N,K] in a backend's own order (packed panels on the CPU); made by pack(). */
struct matrix {
    void *data;
    float *scale;               /* E4M3: [N], an output's factor, in the backend's memory */
    enum dtype type;            /* of the stored elements */
    int N, K;                   /* outputs, inputs */
    int paired;                 /* rows are (gate, up) pairs for SWIGLU: N counts both */
};

/* A weight as it lies in a file: [rows, cols] at `data`, little-endian, perhaps unaligned. */
struct view {
    const void *data;
    enum dtype type;            /* F32, BF16, F16 */
    int rows, cols;
};

#endif
