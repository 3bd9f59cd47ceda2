/* launch.cuh -- the few words that nvcc and g++ say differently: the latter compiles the same .cu
 * files for tests/cuda_host, which runs them on a CPU. All PTX of the project is here.
 *
 * A 16-bit number is a uint16_t; two of them in a register are a uint32_t, the first in its low
 * half. Which format they have is a template's parameter (enum number). */
#ifndef KERNELS_LAUNCH_CUH
#define KERNELS_LAUNCH_CUH

#include <cuda_runtime.h>
#include <stdint.h>
#include "kernels/cuda.h"
#include "kernels/float8.h"

enum { WARP = 32 };

#if defined(__CUDACC__)

#define LAUNCH(kernel, grid, block, shared, stream, ...)                                          \
    (kernel)<<<(grid), (block), (shared), (cudaStream_t)(stream)>>>(__VA_ARGS__)
/* In a kernel: an array that the block shares; what the launch gave it besides. */
#define SHARED(type, name, n) __shared__ __align__(16) type name[n]
#define SHARED_DYNAMIC(name) extern __shared__ __align__(128) unsigned char name[]
#define UNROLL _Pragma("unroll")

/* 16 bytes, or zeros from byte `given` on, to shared memory: to be seen by this thread after a wait
 * for the group, by others after a barrier too. Both addresses are multiples of 16. */
__device__ __forceinline__ void copy_async(void *shared, const void *global, int given)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::
                 "r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(global), "r"(given));
}

__device__ __forceinline__ void copy_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most so many of the last groups are still under way. */
template <int LEFT> __device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;" :: "n"(LEFT) : "memory");
}

/* Four 8x8 matrices of 16-bit numbers from shared memory: lane 8 m + r brings the address of row r
 * of matrix m, and gets of each matrix two neighbours in row lane/4, from column 2 (lane%4) on. */
__device__ __forceinline__ void load_matrices(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row)) : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row)) : "memory");
}

/* d [16,8] += a [16,16] b [16,8]: a warp's, in the layout of mma.sync.m16n8k16. */
template <enum number TYPE>
__device__ __forceinline__ void multiply_add(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    if constexpr (TYPE == NUM_F16)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* 2^x, good to 2 units in the last place: for what becomes 16 bits. */
__device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

template <enum number TYPE> __device__ __forceinline__ float widened(uint16_t h)
{
    float x;
    if constexpr (TYPE == NUM_F16)
        asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
    else
        x = __uint_as_float((uint32_t)h << 16);
    return x;
}

template <enum number TYPE> __device__ __forceinline__ uint16_t rounded(float x)
{
    uint16_t h;
    if constexpr (TYPE == NUM_F16)
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
    else
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}

/* Two numbers to e4m3 (float8.h), the first in the low byte. Machines before 8.9 lack the
 * instruction, and the backend asks none of them for it. */
__device__ __forceinline__ uint16_t e4m3_pair(float low, float high)
{
    uint16_t pair = 0;
#if __CUDA_ARCH__ >= 890
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
#else
    (void)low, (void)high;
    __trap();
#endif
    return pair;
}

template <enum number TYPE> __device__ __forceinline__ uint32_t rounded_pair(float low, float high)
{
    uint32_t pair;
    if constexpr (TYPE == NUM_F16)
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    else
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

#else

#define LAUNCH(kernel, grid, block, shared, stream, ...)                                          \
    cuda_host::launch(#kernel, kernel, grid, block, shared, (cudaStream_t)(stream), __VA_ARGS__)
#define SHARED(type, name, n)                                                                     \
    static const char name##_key = 0;                                                             \
    type *const name = (type *)cuda_host::shared_array(&name##_key, sizeof(type) * (n), 16)
#define SHARED_DYNAMIC(name) unsigned char *const name = (unsigned char *)cuda_host::shared_dynamic()
#define UNROLL

static inline void copy_async(void *shared, const void *global, int given)
{
    cuda_host::async_copy(shared, global, 16, (unsigned)given);
}

static inline void copy_async_commit()
{
    cuda_host::async_commit();
}

template <int LEFT> static inline void copy_async_wait()
{
    cuda_host::async_wait(LEFT);
}

static inline void load_matrices_by(const cuda_host::deed *how, uint32_t r[4], const void *row)
{
    cuda_host::matrices m = { row, { 0, 0, 0, 0 } };
    cuda_host::meet_warp(how, 0xffffffffu, &m);
    memcpy(r, m.out, sizeof m.out);
}

static inline void load_matrices(uint32_t r[4], const void *row)
{
    load_matrices_by(&cuda_host::load_matrix, r, row);
}

static inline void load_matrices_transposed(uint32_t r[4], const void *row)
{
    load_matrices_by(&cuda_host::load_matrix_transposed, r, row);
}

template <enum number TYPE>
static inline void multiply_add(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    cuda_host::multiplied m = { d, a, b };
    cuda_host::meet_warp(TYPE == NUM_F16 ? &cuda_host::multiply_f16 : &cuda_host::multiply_bf16,
                         0xffffffffu, &m);
}

static inline float power_of_two(float x)
{
    return exp2f(x);
}

template <enum number TYPE> static inline float widened(uint16_t h)
{
    return TYPE == NUM_F16 ? f16_to_float(h) : bf16_to_float(h);
}

template <enum number TYPE> static inline uint16_t rounded(float x)
{
    return TYPE == NUM_F16 ? f16_of_float(x) : bf16_of_float(x);
}

static inline uint16_t e4m3_pair(float low, float high)
{
    return (uint16_t)(e4m3_of_float(low) | e4m3_of_float(high) << 8);
}

template <enum number TYPE> static inline uint32_t rounded_pair(float low, float high)
{
    return rounded<TYPE>(low) | (uint32_t)rounded<TYPE>(high) << 16;
}

#endif
#endif
