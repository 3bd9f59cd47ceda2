/* cuda_host.h -- a GPU for machines that have none: the CUDA execution model, on the CPU.
 *
 * The project's .cu files compile as C++ against cuda_runtime.h of this folder, backend_cuda.c
 * compiles as C against the same, and what they call is here:
 *
 *     device.cuh    what kernels see: threads, warps, shared memory, tensor cores, cp.async
 *     grid.cc       a launch: fibers, meetings, shared memory
 *     memory.cc     the devices' memory: guards, protection, the host's pinned pages
 *     runtime.cc    streams, events, copies, errors, devices
 *     cublaslt.cc   products, by kernels/matmul.c
 *
 * It is strict where a GPU is vague. Found and reported are: threads of a warp or block that wait
 * for different things; shared memory read before it was written, or before cp.async was waited
 * for; writes beyond an array of shared memory or an allocation; freed, foreign or host pointers
 * given to a kernel or copy; device memory touched by the host (it is protected between launches,
 * so that is a crash, as it would be); pinned host memory changed while a copy of it is under way
 * (streams run late: when something waits for them, or by chance). A missing barrier is found by
 * chance, in some order of the warps: run each test with several seeds.
 *
 * A report goes to stderr, once, and from then on every call fails, as on a device that faulted.
 *
 * The environment sets what a program cannot:
 *     CUDA_HOST_SEED          0: warps in order, streams at once; else seeds both (1)
 *     CUDA_HOST_DEVICES       how many (1); 0: none
 *     CUDA_HOST_MEMORY        bytes of each (256 MiB)
 *     CUDA_HOST_CAPABILITY=MM compute capability, 80 for 8.0 (90)
 *     CUDA_HOST_FAIL=D:N      device D fails, for good, after N launches, products and copies
 *     CUDA_HOST_FAIL_ALLOC=N  the N-th allocation fails, from 0
 *     CUDA_HOST_PRODUCTS      kinds of algorithms that cuBLASLt offers, in order (cublaslt.cc)
 * Time is the machine's, and means nothing. */
#ifndef TESTS_CUDA_HOST_CUDA_HOST_H
#define TESTS_CUDA_HOST_CUDA_HOST_H

#include <stddef.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Each sets what the environment set, for tests; memory and streams must be gone. -1: never. */
void cuda_host_seed(unsigned seed);
void cuda_host_devices(int n);
void cuda_host_memory(size_t bytes);
void cuda_host_capability(int capability);                  /* 90: 9.0 */
void cuda_host_break(int device, long after);
void cuda_host_fail_alloc(long nth);
void cuda_host_products(const char *kinds);

/* Calls so far that may make the host wait for a device: synchronising, taking and giving back memory,
 * copies that are not asynchronous, or not from or to pinned memory. */
long cuda_host_waits(void);

/* What was reported first, or NULL. cuda_host_forget(): as if it had not been. */
const char *cuda_host_report(void);
void cuda_host_forget(void);
void cuda_host_quiet(int quiet);                            /* reports are not printed */

#if defined(__cplusplus)
}
#endif
#endif
