/* norm.cu -- LayerNorm and RMSNorm, a block to a row; the CPU's twins are in rows.inc.
 *
 * A row of the residual stream is 16 to 20 KB: read from memory once, then from the first cache. */
#include "kernels/reduce.cuh"

enum { NORM_THREADS = 256 };

/* y = (x - mean) / sqrt(variance + eps) * w + bias; the variance over the differences, as summing
 * squares of x would cancel. */
template <int W>
__global__ static void __launch_bounds__(NORM_THREADS)
layernorm_rows(void *y, enum number y_type, const void *x, enum number x_type, const float *w,
               const float *bias, int D, float eps)
{
    SHARED(float, part, WARP);
    SHARED(float, more, WARP);
    size_t row = (size_t)blockIdx.x * (size_t)D;
    int first = (int)threadIdx.x * W, step = (int)blockDim.x * W;
    float sum = 0, squares = 0, v[W], gain[W], add[W];
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + i);
        UNROLL
        for (int j = 0; j < W; j++)
            sum += v[j];
    }
    float mean = block_sum(sum, part) / (float)D;
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + i);
        UNROLL
        for (int j = 0; j < W; j++)
            squares += (v[j] - mean) * (v[j] - mean);
    }
    float by = 1 / sqrtf(block_sum(squares, more) / (float)D + eps);
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + i);
        load<W>(gain, w, NUM_F32, (size_t)i);
        load<W>(add, bias, NUM_F32, (size_t)i);
        UNROLL
        for (int j = 0; j < W; j++)
            v[j] = (v[j] - mean) * by * gain[j] + add[j];
        store<W>(y, y_type, row + i, v);
    }
}

/* y = w * x / sqrt(mean of squares + eps), rounded to y's type before the weight. */
template <int W>
__global__ static void __launch_bounds__(NORM_THREADS)
rmsnorm_rows(void *y, enum number y_type, const void *x, enum number x_type, const float *w, int D,
             float eps)
{
    SHARED(float, part, WARP);
    size_t row = (size_t)blockIdx.x * (size_t)D;
    int first = (int)threadIdx.x * W, step = (int)blockDim.x * W;
    float squares = 0, v[W], gain[W];
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + i);
        UNROLL
        for (int j = 0; j < W; j++)
            squares += v[j] * v[j];
    }
    float by = 1 / sqrtf(block_sum(squares, part) / (float)D + eps);
    for (int i = first; i < D; i += step) {
        load<W>(v, x, x_type, row + i);
        load<W>(gain, w, NUM_F32, (size_t)i);
        UNROLL
        for (int j = 0; j < W; j++)
            v[j] = as_stored(v[j] * by, y_type) * gain[j];
        store<W>(y, y_type, row + i, v);
    }
}

int layernorm_cuda(void *y, enum number y_type, const void *x, enum number x_type, const float *w,
                   const float *bias, int T, int D, float eps, void *stream)
{
    if (T == 0)
        return cudaSuccess;                                 /* an empty grid is a launch error */
    if (D % 8 == 0)
        LAUNCH(layernorm_rows<8>, T, row_threads(D, 8, NORM_THREADS), 0, stream, y, y_type, x,
               x_type, w, bias, D, eps);
    else
        LAUNCH(layernorm_rows<1>, T, row_threads(D, 1, NORM_THREADS), 0, stream, y, y_type, x,
               x_type, w, bias, D, eps);
    return cudaGetLastError();
}

int rmsnorm_cuda(void *y, enum number y_type, const void *x, enum number x_type, const float *w,
                 int T, int D, float eps, void *stream)
{
    if (T == 0)
        return cudaSuccess;
    if (D % 8 == 0)
        LAUNCH(rmsnorm_rows<8>, T, row_threads(D, 8, NORM_THREADS), 0, stream, y, y_type, x, x_type,
               w, D, eps);
    else
        LAUNCH(rmsnorm_rows<1>, T, row_threads(D, 1, NORM_THREADS), 0, stream, y, y_type, x, x_type,
               w, D, eps);
    return cudaGetLastError();
}
