/* private.hh -- what the files of this folder share. */
#ifndef TESTS_CUDA_HOST_PRIVATE_HH
#define TESTS_CUDA_HOST_PRIVATE_HH

#include <stddef.h>
#include <stdint.h>
#include <functional>
#include <mutex>
#include <cuda_runtime.h>
#include "tests/cuda_host/cuda_host.h"

#if defined(__SANITIZE_ADDRESS__)                           /* gcc's word for it; clang's: */
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

namespace cuda_host {

enum { MOST_DEVICES = 8 };

/* One lock for all: whoever calls the runtime, or runs a stream, holds it. */
extern std::recursive_mutex lock;

/* Says what is wrong (the first time), and that every call fails from now on. Any thread. */
void report(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));
cudaError_t broken();           /* what was reported, or cudaSuccess */

struct random {                 /* splitmix64 */
    uint64_t state;
    explicit random(uint64_t seed) : state(seed) {}
    uint64_t next()
    {
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    unsigned below(unsigned n) { return (unsigned)(next() % n); }
};
unsigned seed();

/* grid.cc: all blocks, now. launch: its number, which the order of warps depends on. */
void run_grid(const char *kernel, const body &what, dim3 grid, dim3 block, size_t shared,
              uint64_t launch);

/* memory.cc. Device memory is open to whoever holds an `opened` object, and to nobody else. */
struct opened {
    opened();
    ~opened();
    opened(const opened &) = delete;
    void operator=(const opened &) = delete;
};
/* Does [p, p + n) lie in one allocation of `device`? why: a few words if not. */
bool device_range(int device, const void *p, size_t n, const char **why);
bool device_address(const void *p);                         /* of any device, alive or not */
bool pinned_range(const void *p, size_t n);
void check_guards();

/* runtime.cc */
int current_device();
int device_capability();                                    /* 90: 9.0 */
void enqueue(cudaStream_t stream, std::function<void()> what);
int device_of(cudaStream_t stream);
bool usable(int device);                                    /* counts; false: it has failed */
cudaError_t remember(cudaError_t error);                    /* for cudaGetLastError() */
extern long host_waits;                                     /* cuda_host_waits(); under the lock */

} /* namespace cuda_host */
#endif
