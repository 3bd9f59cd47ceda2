/* device.cuh -- what a kernel's source sees when g++ compiles it: CUDA's words, on fibers.
 *
 * A thread of CUDA is a fiber (grid.cc); warps and blocks are rounds of fibers that wait for each
 * other. Whatever threads do together is a meeting: each says what it came for and with which
 * value, and when all of the warp (or block) are there, it is done for all of them at once. Threads
 * that came for different things, or that will never come, are reported, with kernel and block.
 *
 * All blocks of a launch run in some order on some threads of the machine; the order of warps in a
 * block is random, by a seed. Shared memory starts as NaN (all bits 1) in every block, has guard
 * bytes around each array, and takes what cp.async brings only when the issuing thread waits. */
#ifndef TESTS_CUDA_HOST_DEVICE_CUH
#define TESTS_CUDA_HOST_DEVICE_CUH

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <memory>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };

namespace cuda_host {

struct fiber;
extern thread_local fiber *self __attribute__((tls_model("initial-exec")));     /* who runs */
extern thread_local uint3 thread_index __attribute__((tls_model("initial-exec")));
extern thread_local uint3 block_index __attribute__((tls_model("initial-exec")));
extern thread_local dim3 block_size __attribute__((tls_model("initial-exec")));
extern thread_local dim3 grid_size __attribute__((tls_model("initial-exec")));

/* All lanes of the warp meet to do `what`; lane i came with value[i]. The same address of `what`
 * is the same thing. Blocks until it is done. */
struct deed {
    const char *name;
    void (*perform)(void *const value[32]);                 /* NULL: only to meet */
};
void meet_warp(const deed *what, unsigned mask, void *value);
void meet_block();
unsigned lane_index();

extern const deed shuffle32, vote, warp_barrier, load_matrix, load_matrix_transposed,
    multiply_f16, multiply_bf16;

struct shuffled { uint32_t value; int from; };              /* in: mine, whose I want; out: theirs */
struct voted { int mine; unsigned all; };
struct matrices { const void *row; uint32_t out[4]; };
struct multiplied { float *d; const uint32_t *a, *b; };

template <class T> T shuffle(unsigned mask, T x, int from)
{
    static_assert(sizeof(T) == 4, "32 bits at a time");
    shuffled s = { 0, from & 31 };
    memcpy(&s.value, &x, 4);
    meet_warp(&shuffle32, mask, &s);
    memcpy(&x, &s.value, 4);
    return x;
}

/* The block's array of shared memory that `key` stands for: made when the first thread asks. */
void *shared_array(const void *key, size_t bytes, size_t align);
void *shared_dynamic();

/* cp.async: `from` read, `to` written when the thread waits for the group; zeros from `given` on. */
void async_copy(void *to, const void *from, unsigned bytes, unsigned given);
void async_commit();
void async_wait(unsigned groups_left);

/* A launch: its arguments are looked at now and copied; the kernel runs when the stream does. */
struct body {
    virtual ~body() {}
    virtual void run() const = 0;
};
void check_pointer(const char *kernel, const void *argument);
template <class T> void check_argument(const char *kernel, const T &x)
{
    if constexpr (std::is_pointer_v<T>)
        check_pointer(kernel, (const void *)x);
}
void enqueue_kernel(const char *kernel, const void *address, dim3 grid, dim3 block, size_t shared,
                    cudaStream_t stream, std::unique_ptr<body> what);
void allow_shared(const void *kernel, int bytes);

template <class... P> struct call : body {
    void (*kernel)(P...);
    std::tuple<P...> arguments;
    call(void (*k)(P...), P... p) : kernel(k), arguments(p...) {}
    void run() const override { std::apply(kernel, arguments); }
};

template <class... P, class... A>
void launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
            cudaStream_t stream, A... a)
{
    (check_argument<P>(name, (P)a), ...);
    enqueue_kernel(name, (const void *)kernel, grid, block, shared, stream,
                   std::make_unique<call<P...>>(kernel, (P)a...));
}

} /* namespace cuda_host */

#define threadIdx (cuda_host::thread_index)
#define blockIdx (cuda_host::block_index)
#define blockDim (cuda_host::block_size)
#define gridDim (cuda_host::grid_size)

static inline void __syncthreads()
{
    cuda_host::meet_block();
}

static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    cuda_host::meet_warp(&cuda_host::warp_barrier, mask, nullptr);
}

template <class T> T __shfl_sync(unsigned mask, T x, int lane)
{
    return cuda_host::shuffle(mask, x, lane);
}

template <class T> T __shfl_xor_sync(unsigned mask, T x, int bits)
{
    return cuda_host::shuffle(mask, x, (int)cuda_host::lane_index() ^ bits);
}

static inline unsigned __ballot_sync(unsigned mask, int x)
{
    cuda_host::voted v = { x != 0, 0 };
    cuda_host::meet_warp(&cuda_host::vote, mask, &v);
    return v.all;
}

static inline int __any_sync(unsigned mask, int x)
{
    return __ballot_sync(mask, x) != 0;
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline int atomicMax(int *at, int x)                 /* of shared memory: nobody interrupts */
{
    int before = *at;
    *at = before > x ? before : x;
    return before;
}

template <class... P> cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute what,
                                                       int value)
{
    if (what == cudaFuncAttributeMaxDynamicSharedMemorySize)
        cuda_host::allow_shared((const void *)kernel, value);
    return cudaSuccess;
}
#endif
