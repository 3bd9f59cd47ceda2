/* finish.cu -- what follows a product: bias, activation, residual; the CPU's twin is finish.inc.
 *
 * cuBLASLt's own GELU is the tanh form, which is not ours, and it knows no SwiGLU. */
#include "kernels/reduce.cuh"

__device__ __forceinline__ float activated(float z, enum activation act)
{
    switch (act) {
    case ACTIVATE_QUICK_GELU: return z / (1 + expf(-1.702f * z));
    case ACTIVATE_GELU: return 0.5f * z * (1 + erff(z * 0.70710678118654752f));
    case ACTIVATE_SWIGLU: return z / (1 + expf(-z));        /* silu, of a gate */
    case ACTIVATE_NONE: break;
    }
    return z;
}

/* Numbers from `i` on of x, which are those of row t from column n on. */
template <int W>
__device__ __forceinline__ void load_scaled(float v[W], const void *x, enum number type, size_t i,
                                            struct scales scales, int t, int n)
{
    load<W>(v, x, type, i);
    if (!scales.row)
        return;
    float by = scales.row[t], column[W];
    load<W>(column, scales.column, NUM_F32, (size_t)n);
    UNROLL
    for (int j = 0; j < W; j++)
        v[j] = v[j] * by * column[j];
}

template <int W>
__global__ static void __launch_bounds__(GRID_THREADS)
finish_rows(void *y, enum number y_type, const void *x, enum number x_type, struct scales scales,
            const float *bias, enum activation act, const void *residual,
            enum number residual_type, int T, int N)
{
    int t, n, stride = act == ACTIVATE_SWIGLU ? 2 * N : N;
    if (!place_in_rows<W>(T, N, &t, &n))
        return;
    size_t at = (size_t)t * (size_t)N + (size_t)n, from = (size_t)t * (size_t)stride + (size_t)n;
    float v[W], add[W];
    load_scaled<W>(v, x, x_type, from, scales, t, n);
    if (bias) {
        load<W>(add, bias, NUM_F32, (size_t)n);
        UNROLL
        for (int j = 0; j < W; j++)
            v[j] += add[j];
    }
    UNROLL
    for (int j = 0; j < W; j++)
        v[j] = activated(v[j], act);
    if (act == ACTIVATE_SWIGLU) {
        load_scaled<W>(add, x, x_type, from + (size_t)N, scales, t, N + n);
        UNROLL
        for (int j = 0; j < W; j++)
            v[j] = as_stored(v[j], x_type) * add[j];
    }
    if (residual) {
        load<W>(add, residual, residual_type, at);
        UNROLL
        for (int j = 0; j < W; j++)
            v[j] += add[j];
    }
    store<W>(y, y_type, at, v);
}

int finish_cuda(void *y, enum number y_type, const void *x, enum number x_type,
                struct scales scales, const float *bias, enum activation act, const void *residual,
                enum number residual_type, int T, int N, void *stream)
{
    struct row_grid s = over_rows(T, N, N % 8 ? 1 : 8);
    if (T == 0)
        return cudaSuccess;
    if (N % 8 == 0)
        LAUNCH(finish_rows<8>, s.grid, s.block, 0, stream, y, y_type, x, x_type, scales, bias,
               act, residual, residual_type, T, N);
    else
        LAUNCH(finish_rows<1>, s.grid, s.block, 0, stream, y, y_type, x, x_type, scales, bias,
               act, residual, residual_type, T, N);
    return cudaGetLastError();
}
