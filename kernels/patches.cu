/* patches.cu -- bytes of pictures to normalised patches; the CPU's twin is patches.c.
 *
 * One rounding for each of three operations, so that pixels have the original's bits: no operation
 * here can be joined with another. */
#include "kernels/reduce.cuh"

enum { PATCHES_THREADS = 256 };

__device__ __forceinline__ float normalised(unsigned byte, int channel)
{
    float mean = channel == 0 ? 0.48145466f : channel == 1 ? 0.4578275f : 0.40821073f;
    float std = channel == 0 ? 0.26862954f : channel == 1 ? 0.26130258f : 0.27577711f;
    float scaled = (float)((double)byte * (1.0 / 255));
    float centred = scaled - mean;
    return centred / std;
}

/* A number of y to a thread. */
__global__ static void __launch_bounds__(PATCHES_THREADS)
patches_numbers(void *y, enum number y_type, const uint8_t *x, size_t n, int side, int patch)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    int area = patch * patch, across = side / patch, patches = across * across;
    if (i >= n)
        return;
    int j = (int)(i % (unsigned)area), channel = (int)(i / (unsigned)area % 3);
    size_t t = i / (unsigned)(3 * area);
    int p = (int)(t % (unsigned)patches);
    int row = p / across * patch + j / patch, col = p % across * patch + j % patch;
    size_t pixel = (t / (unsigned)patches * (unsigned)side + (unsigned)row) * (unsigned)side +
                   (unsigned)col;
    float v[1] = { normalised(x[pixel * 3 + (unsigned)channel], channel) };
    store<1>(y, y_type, i, v);
}

int patches_cuda(void *y, enum number y_type, const uint8_t *x, int images, int side, int patch,
                 void *stream)
{
    size_t across = (size_t)(side / patch), n = (size_t)images * across * across * 3 *
                                                (size_t)(patch * patch);
    if (n == 0)
        return cudaSuccess;
    LAUNCH(patches_numbers, (unsigned)((n + PATCHES_THREADS - 1) / PATCHES_THREADS),
           PATCHES_THREADS, 0, stream, y, y_type, x, n, side, patch);
    return cudaGetLastError();
}
