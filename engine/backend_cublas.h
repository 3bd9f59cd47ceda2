/* backend_cublas.h -- matrix products on a GPU, so that a row's bits never depend on the others.
 *
 * cuBLASLt chooses an algorithm by all three sizes; another number of rows may mean another tile,
 * another order of the sums, and other bits. Here the algorithm is chosen once for a weight's
 * shape, for a number of rows that is always the same, without split K, and it is put to the proof
 * on the device before it is used: rows multiplied alone and in company must agree to the bit. So
 * replies depend neither on the batch nor on how large the memory lets a batch be. */
#ifndef ENGINE_BACKEND_CUBLAS_H
#define ENGINE_BACKEND_CUBLAS_H

#include <stdbool.h>
#include "engine/base/err.h"
#include "kernels/cuda.h"

struct products;                /* of one stream of one device */
enum status products_open(struct products **out, void *stream, struct err *e);
void products_close(struct products *p);                    /* NULL is fine */

/* y [T,N] = x [T,K] w' + bias + y; sums in float32, products of float32 numbers not shortened. E4M3:
 * N and K are multiples of 16, and there is no bias. */
struct multiply {
    int T, N, K;
    enum number type, y_type;   /* of x and w; of y: the same, or F32; E4M3's is 16 bits or F32 */
    const void *x, *w;          /* w [N,K] */
    void *y;
    const float *bias;          /* [N], only where y is F32; or NULL */
    bool add;                   /* y is added, not overwritten */
    const float *x_scale, *w_scale;     /* E4M3: [T], [N], factors of the rows of x and w; or NULL */
};
enum status products_run(struct products *p, const struct multiply *m, struct err *e);

/* Does cuBLASLt multiply the scales of m in? Those of 12.9 to 13 do on compute capability 9.0, and
 * nowhere else: there m must be run without them, to F32, and they come behind it. */
enum status products_scale(struct products *p, const struct multiply *m, bool *scaled,
                           struct err *e);

enum { PRODUCTS_WORKSPACE = 32 << 20 };                     /* bytes that products_open takes */
void products_version(char *text, size_t size);             /* "13.0.2", or what is wrong */

#endif
