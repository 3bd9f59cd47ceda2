/* copy.cu -- rows from here to there, in another type if need be, and columns of the cache; the CPU's
 * twins are in rows.c and attention.c. */
#include "kernels/reduce.cuh"

template <int W>
__global__ static void __launch_bounds__(GRID_THREADS)
convert_numbers(void *y, enum number y_type, const void *x, enum number x_type, size_t n)
{
    size_t step = (size_t)gridDim.x * blockDim.x * W;
    for (size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * W; i < n; i += step) {
        float v[W];
        load<W>(v, x, x_type, i);
        store<W>(y, y_type, i, v);
    }
}

template <int W>
__global__ static void __launch_bounds__(GRID_THREADS)
gather_rows(void *y, enum number y_type, const void *x, enum number x_type, const void *other,
            enum number other_type, const int32_t *row, int T, int D)
{
    int t, i;
    if (!place_in_rows<W>(T, D, &t, &i))
        return;
    int from = row[t];
    const void *source = from >= 0 ? x : other;
    enum number type = from >= 0 ? x_type : other_type;
    float v[W];
    load<W>(v, source, type, (size_t)(from >= 0 ? from : -1 - from) * (size_t)D + (size_t)i);
    store<W>(y, y_type, (size_t)t * (size_t)D + (size_t)i, v);
}

template <int W>
__global__ static void __launch_bounds__(GRID_THREADS)
tower_rows(void *y, enum number y_type, const void *x, enum number x_type, const void *cls,
           enum number cls_type, const void *pos, enum number pos_type, int T, int rows, int D)
{
    int t, i;
    if (!place_in_rows<W>(T, D, &t, &i))
        return;
    int r = t % rows, patch = t / rows * (rows - 1) + r - 1;
    const void *source = r ? x : cls;
    enum number type = r ? x_type : cls_type;
    float v[W], add[W];
    load<W>(v, source, type, (r ? (size_t)patch * (size_t)D : 0) + (size_t)i);
    load<W>(add, pos, pos_type, (size_t)r * (size_t)D + (size_t)i);
    UNROLL
    for (int j = 0; j < W; j++)
        v[j] += add[j];
    store<W>(y, y_type, (size_t)t * (size_t)D + (size_t)i, v);
}

/* A block is a move, a head, and keys or values: whose columns lie one behind the other. Sizes are in
 * pieces of 16 bytes, of a head and of a column in it. */
__global__ static void __launch_bounds__(GRID_THREADS)
copy_columns(void *k, void *v, const struct move *moves, size_t head, size_t column)
{
    struct move m = moves[blockIdx.x];
    uint4 *at = (uint4 *)(blockIdx.z ? v : k) + blockIdx.y * head;
    const uint4 *from = at + (size_t)m.from * column;
    uint4 *to = at + (size_t)m.to * column;
    for (size_t i = threadIdx.x; i < (size_t)m.n * column; i += blockDim.x)
        to[i] = from[i];
}

int convert_cuda(void *y, enum number y_type, const void *x, enum number x_type, size_t n,
                 void *stream)
{
    size_t W = n % 8 ? 1 : 8, blocks = (n / W + GRID_THREADS - 1) / GRID_THREADS;
    if (n == 0)
        return cudaSuccess;
    unsigned grid = blocks < 1u << 20 ? (unsigned)blocks : 1u << 20;
    if (W == 8)
        LAUNCH(convert_numbers<8>, grid, GRID_THREADS, 0, stream, y, y_type, x, x_type, n);
    else
        LAUNCH(convert_numbers<1>, grid, GRID_THREADS, 0, stream, y, y_type, x, x_type, n);
    return cudaGetLastError();
}

int gather_cuda(void *y, enum number y_type, const void *x, enum number x_type, const void *other,
                enum number other_type, const int32_t *row, int T, int D, void *stream)
{
    struct row_grid s = over_rows(T, D, D % 8 ? 1 : 8);
    if (T == 0)
        return cudaSuccess;
    if (D % 8 == 0)
        LAUNCH(gather_rows<8>, s.grid, s.block, 0, stream, y, y_type, x, x_type, other, other_type,
               row, T, D);
    else
        LAUNCH(gather_rows<1>, s.grid, s.block, 0, stream, y, y_type, x, x_type, other, other_type,
               row, T, D);
    return cudaGetLastError();
}

int cache_copy_cuda(const struct attention *a, const struct move *moves, int n, void *stream)
{
    size_t column = (size_t)a->d * number_size(a->type) / 16;
    if (n == 0)
        return cudaSuccess;
    LAUNCH(copy_columns, dim3((unsigned)n, (unsigned)a->kv_heads, 2), GRID_THREADS, 0, stream, a->k,
           a->v, moves, (size_t)a->columns * column, column);
    return cudaGetLastError();
}

int tower_embed_cuda(void *y, enum number y_type, const void *x, enum number x_type,
                     const void *cls, enum number cls_type, const void *pos, enum number pos_type,
                     int images, int rows, int D, void *stream)
{
    int T = images * rows;
    struct row_grid s = over_rows(T, D, D % 8 ? 1 : 8);
    if (T == 0)
        return cudaSuccess;
    if (D % 8 == 0)
        LAUNCH(tower_rows<8>, s.grid, s.block, 0, stream, y, y_type, x, x_type, cls, cls_type, pos,
               pos_type, T, rows, D);
    else
        LAUNCH(tower_rows<1>, s.grid, s.block, 0, stream, y, y_type, x, x_type, cls, cls_type, pos,
               pos_type, T, rows, D);
    return cudaGetLastError();
}
