/* npy.h -- a float32 array as NumPy's .npy file (format 1.0), to lay beside the reference's. */
#ifndef BASE_NPY_H
#define BASE_NPY_H

#include "engine/base/err.h"

/* values [shape[0], ..., shape[n_dims-1]], row-major; n_dims 1 to 4. Written whole or not at all. */
enum status npy_write(const char *path, const float *values, const size_t *shape, int n_dims,
                      struct err *e);

#endif
