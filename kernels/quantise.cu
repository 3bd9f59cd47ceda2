/* quantise.cu -- rows to e4m3, each with a scale of its own: what is multiplied in 8 bits.
 *
 * A row's largest number becomes 448, the largest of the format. A block to a row, which is read
 * from memory once, then from the first cache. Weights go through it when they are loaded (a row is
 * an output channel), activations before every product. */
#include <float.h>
#include "kernels/reduce.cuh"

enum { QUANTISE_THREADS = 256 };

template <int W>
__global__ static void __launch_bounds__(QUANTISE_THREADS)
quantise_rows(uint8_t *y, float *scale, const void *x, enum number x_type, int D)
{
    SHARED(float, part, WARP);
    size_t row = (size_t)blockIdx.x * (size_t)D;
    int first = (int)threadIdx.x * W, step = (int)blockDim.x * W;
    float most = 0, v[W];
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + (size_t)i);
        UNROLL
        for (int j = 0; j < W; j++)
            most = fmaxf(most, fabsf(v[j]));                /* passes NaN over: it stays in y */
    }
    float unit = fmaxf(block_most(most, part) / E4M3_MOST, FLT_MIN), by = 1 / unit;
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + (size_t)i);
        UNROLL
        for (int j = 0; j < W; j++)
            v[j] *= by;
        store_e4m3<W>(y, row + (size_t)i, v);
    }
    if (threadIdx.x == 0)
        scale[blockIdx.x] = unit;
}

int quantise_cuda(uint8_t *y, float *scale, const void *x, enum number x_type, int T, int D,
                  void *stream)
{
    if (T == 0)
        return cudaSuccess;
    if (D % 8 == 0)
        LAUNCH(quantise_rows<8>, T, row_threads(D, 8, QUANTISE_THREADS), 0, stream, y, scale, x,
               x_type, D);
    else
        LAUNCH(quantise_rows<1>, T, row_threads(D, 1, QUANTISE_THREADS), 0, stream, y, scale, x,
               x_type, D);
    return cudaGetLastError();
}
