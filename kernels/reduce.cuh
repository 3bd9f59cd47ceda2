/* reduce.cuh -- sums and maxima over a warp and over a block, in an order that never changes; and
 * rows of numbers, 8 at a time or one by one.
 *
 * The halves of a warp are added crosswise, then quarters, and so on; of a block, first each warp's,
 * then those of all warps by each warp again, so that every thread has the sum, to the same bit. */
#ifndef KERNELS_REDUCE_CUH
#define KERNELS_REDUCE_CUH

#include "kernels/launch.cuh"

__device__ __forceinline__ float warp_sum(float x)
{
    UNROLL
    for (int lanes = WARP / 2; lanes; lanes /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, lanes);
    return x;
}

__device__ __forceinline__ float warp_most(float x)
{
    UNROLL
    for (int lanes = WARP / 2; lanes; lanes /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, lanes));
    return x;
}

/* part [32] is shared memory, free again at the next call but one: two sums in a row take two. */
__device__ __forceinline__ float block_sum(float x, float *part)
{
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    x = warp_sum(x);
    if (warps == 1)
        return x;
    if (lane == 0)
        part[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? part[lane] : 0);
}

__device__ __forceinline__ float block_most(float x, float *part)
{
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    x = warp_most(x);
    if (warps == 1)
        return x;
    if (lane == 0)
        part[warp] = x;
    __syncthreads();
    return warp_most(part[lane < warps ? lane : 0]);
}

/* ---- rows ---- */

/* Numbers i .. i + W of x, W 8 (aligned to their size, so 16 bytes at a time) or 1. */
template <int W>
__device__ __forceinline__ void load(float v[W], const void *x, enum number type, size_t i)
{
    if constexpr (W == 1) {
        const uint16_t *h = (const uint16_t *)x + i;
        v[0] = type == NUM_F32 ? ((const float *)x)[i] :
               type == NUM_F16 ? widened<NUM_F16>(*h) : widened<NUM_BF16>(*h);
    } else if (type == NUM_F32) {
        const float4 *at = (const float4 *)((const float *)x + i);
        float4 low = at[0], high = at[1];
        v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w;
        v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
    } else {
        uint4 all = *(const uint4 *)((const uint16_t *)x + i);
        uint32_t pair[4] = { all.x, all.y, all.z, all.w };
        UNROLL
        for (int j = 0; j < 4; j++) {
            uint16_t low = (uint16_t)pair[j], high = (uint16_t)(pair[j] >> 16);
            v[2 * j] = type == NUM_F16 ? widened<NUM_F16>(low) : widened<NUM_BF16>(low);
            v[2 * j + 1] = type == NUM_F16 ? widened<NUM_F16>(high) : widened<NUM_BF16>(high);
        }
    }
}

template <int W>
__device__ __forceinline__ void store(void *y, enum number type, size_t i, const float v[W])
{
    if constexpr (W == 1) {
        if (type == NUM_F32)
            ((float *)y)[i] = v[0];
        else
            ((uint16_t *)y)[i] = type == NUM_F16 ? rounded<NUM_F16>(v[0]) : rounded<NUM_BF16>(v[0]);
    } else if (type == NUM_F32) {
        float4 *at = (float4 *)((float *)y + i);
        at[0] = float4{ v[0], v[1], v[2], v[3] };
        at[1] = float4{ v[4], v[5], v[6], v[7] };
    } else {
        uint32_t pair[4];
        UNROLL
        for (int j = 0; j < 4; j++)
            pair[j] = type == NUM_F16 ? rounded_pair<NUM_F16>(v[2 * j], v[2 * j + 1]) :
                                        rounded_pair<NUM_BF16>(v[2 * j], v[2 * j + 1]);
        *(uint4 *)((uint16_t *)y + i) = uint4{ pair[0], pair[1], pair[2], pair[3] };
    }
}

template <int W>
__device__ __forceinline__ void store_e4m3(uint8_t *y, size_t i, const float v[W])
{
    if constexpr (W == 1) {
        y[i] = (uint8_t)e4m3_pair(v[0], 0);
    } else {
        uint32_t word[2];
        UNROLL
        for (int j = 0; j < 2; j++)
            word[j] = e4m3_pair(v[4 * j], v[4 * j + 1]) |
                      (uint32_t)e4m3_pair(v[4 * j + 2], v[4 * j + 3]) << 16;
        *(uint2 *)(y + i) = uint2{ word[0], word[1] };
    }
}

/* x as it would come back from memory of that type. */
__device__ __forceinline__ float as_stored(float x, enum number type)
{
    return type == NUM_F32 ? x : type == NUM_F16 ? widened<NUM_F16>(rounded<NUM_F16>(x)) :
                                                   widened<NUM_BF16>(rounded<NUM_BF16>(x));
}

/* Threads for a row of D numbers, W at a time: whole warps, at most so many. */
static inline int row_threads(int D, int W, int most)
{
    int want = round_up((D + W - 1) / W, WARP);
    return want < WARP ? WARP : want < most ? want : most;
}

/* T rows of D numbers, W of one row to a thread: rows lie along x of the grid and y of the block,
 * the parts of a row along y of the grid and x of the block. Long rows have several blocks, short
 * ones share one. */
enum { GRID_THREADS = 256 };
struct row_grid { dim3 grid, block; };

static inline struct row_grid over_rows(int T, int D, int W)
{
    unsigned wide = (unsigned)row_threads(D, W, GRID_THREADS), rows = GRID_THREADS / wide;
    unsigned per_block = wide * (unsigned)W;
    return { dim3(((unsigned)T + rows - 1) / rows, ((unsigned)D + per_block - 1) / per_block),
             dim3(wide, rows) };
}

/* This thread's row and place in it; false if it has none. */
template <int W> __device__ __forceinline__ bool place_in_rows(int T, int D, int *t, int *i)
{
    *t = (int)(blockIdx.x * blockDim.y + threadIdx.y);
    *i = (int)(blockIdx.y * blockDim.x + threadIdx.x) * W;
    return *t < T && *i < D;
}

#endif
