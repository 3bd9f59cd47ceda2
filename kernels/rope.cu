/* rope.cu -- q and k turned by their position, k and v into the cache; the CPU's twin is
 * cache_write() of attention.c, with rotate() of rows.inc.
 *
 * A block to a row: one pass over its heads, of which each thread takes W neighbours of the first
 * half and the same of the second. */
#include <assert.h>
#include "kernels/reduce.cuh"

enum { ROPE_THREADS = 256 };

template <int W>
__global__ static void __launch_bounds__(ROPE_THREADS)
cache_rows(void *qkv, void *k, void *v, enum number type, const float *cosine, const float *sine,
           const struct place *at, int H, int G, int d, int columns)
{
    int per_head = d / 2 / W;
    size_t row = (size_t)blockIdx.x * (size_t)(H + 2 * G) * (size_t)d;
    size_t turn = cosine ? (size_t)at[blockIdx.x].position * (size_t)(d / 2) : 0;
    size_t col = (size_t)at[blockIdx.x].col;
    /* Without a rotation q stays as it is. */
    int first = cosine ? 0 : H * per_head, end = (H + 2 * G) * per_head;
    for (int i = first + (int)threadIdx.x; i < end; i += (int)blockDim.x) {
        int head = i / per_head, j = i % per_head * W;
        size_t from = row + (size_t)head * (size_t)d + (size_t)j, half = (size_t)(d / 2);
        float low[W], high[W];
        load<W>(low, qkv, type, from);
        load<W>(high, qkv, type, from + half);
        if (cosine && head < H + G) {
            float c[W], s[W];
            load<W>(c, cosine, NUM_F32, turn + (size_t)j);
            load<W>(s, sine, NUM_F32, turn + (size_t)j);
            UNROLL
            for (int m = 0; m < W; m++) {
                float a = low[m], b = high[m];
                low[m] = a * c[m] - b * s[m];
                high[m] = b * c[m] + a * s[m];
            }
        }
        void *out = head < H ? qkv : head < H + G ? k : v;
        size_t to = from;
        if (head >= H) {
            int g = (head - H) % G;
            to = ((size_t)g * (size_t)columns + col) * (size_t)d + (size_t)j;
        }
        store<W>(out, type, to, low);
        store<W>(out, type, to + half, high);
    }
}

int cache_write_cuda(const struct attention *a, const float *cosine, const float *sine,
                     void *stream)
{
    int heads = a->heads + 2 * a->kv_heads, W = a->d % 16 ? 1 : 8;
    int threads = row_threads(heads * (a->d / 2), W, ROPE_THREADS);
    void *qkv = const_cast<void *>(a->qkv);
    assert(a->d % 8 == 0);
    if (a->T == 0)
        return cudaSuccess;
    if (W == 8)
        LAUNCH(cache_rows<8>, a->T, threads, 0, stream, qkv, a->k, a->v, a->type, cosine, sine,
               a->at, a->heads, a->kv_heads, a->d, a->columns);
    else
        LAUNCH(cache_rows<1>, a->T, threads, 0, stream, qkv, a->k, a->v, a->type, cosine, sine,
               a->at, a->heads, a->kv_heads, a->d, a->columns);
    return cudaGetLastError();
}
