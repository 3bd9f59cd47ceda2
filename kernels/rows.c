/* rows.c -- the row-wise operations, over all rows of a step; by all threads where that pays. */
#include <math.h>
#include "kernels/kernels.h"

enum { FEW = 1 << 14 };         /* numbers that one thread has done before another wakes up */

static const void *row_of(const void *x, enum number type, size_t row, int D)
{
    return (const char *)x + row * (size_t)D * number_size(type);
}

static void *row_in(void *y, enum number type, size_t row, int D)
{
    return (char *)y + row * (size_t)D * number_size(type);
}

void layernorm(const struct level *l, void *y, enum number y_type, const void *x,
               enum number x_type, const float *w, const float *bias, int T, int D, float eps)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)D > FEW)
    for (int t = 0; t < T; t++)
        l->layernorm(row_in(y, y_type, (size_t)t, D), y_type, row_of(x, x_type, (size_t)t, D),
                     x_type, w, bias, D, eps);
}

void rmsnorm(const struct level *l, void *y, enum number y_type, const void *x, enum number x_type,
             const float *w, int T, int D, float eps)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)D > FEW)
    for (int t = 0; t < T; t++)
        l->rmsnorm(row_in(y, y_type, (size_t)t, D), y_type, row_of(x, x_type, (size_t)t, D), x_type,
                   w, D, eps);
}

void gather(const struct level *l, void *y, enum number y_type, const void *x, enum number x_type,
            const void *other, enum number other_type, const int32_t *row, int T, int D)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)D > FEW)
    for (int t = 0; t < T; t++) {
        void *to = row_in(y, y_type, (size_t)t, D);
        if (row[t] >= 0)
            l->copy(to, y_type, row_of(x, x_type, (size_t)row[t], D), x_type, D);
        else
            l->copy(to, y_type, row_of(other, other_type, (size_t)(-1 - row[t]), D), other_type, D);
    }
}

void tower_embed(const struct level *l, void *y, enum number y_type, const void *x,
                 enum number x_type, const void *cls, enum number cls_type, const void *pos,
                 enum number pos_type, int images, int rows, int D)
{
#pragma omp parallel for schedule(static) if ((size_t)images * (size_t)rows * (size_t)D > FEW)
    for (int t = 0; t < images * rows; t++) {
        int r = t % rows, patch = t / rows * (rows - 1) + r - 1;
        l->add(row_in(y, y_type, (size_t)t, D), y_type,
               r ? row_of(x, x_type, (size_t)patch, D) : cls, r ? x_type : cls_type,
               row_of(pos, pos_type, (size_t)r, D), pos_type, D);
    }
}

/* The angle is a float32 product of float32 factors, as PyTorch has it; then its cosine and sine.
 */
void rope_table(float *cosine, float *sine, int first, int n, int d, float theta)
{
#pragma omp parallel for schedule(static)
    for (int t = 0; t < n; t++)
        for (int j = 0; j < d / 2; j++) {
            float inverse = 1 / (float)pow(theta, (float)(2 * j) / (float)d);
            double angle = (float)(first + t) * inverse;
            size_t at = (size_t)(first + t) * (size_t)(d / 2) + (size_t)j;
            cosine[at] = (float)cos(angle);
            sine[at] = (float)sin(angle);
        }
}
