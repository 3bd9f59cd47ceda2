/* memory.cc -- the devices' memory, and the host's pinned pages.
 *
 * Each device has a range of addresses; an allocation has pages of its own in it, is never put where
 * another was, and starts as NaN. Its numbers end close before the end of a page that lets nobody
 * in; what is left of the last page, and the bytes before the first, are guards. Nobody gets at any
 * of it but inside an `opened`, that is, while a launch or copy runs; nearly always, see below. */
#include "tests/cuda_host/private.hh"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <map>

namespace cuda_host {

enum { PAGE = 4096, ALIGN = 256 };
static const size_t RANGE = (size_t)64 << 30;               /* addresses of a device */
static const unsigned char GUARDED = 0xA5, FRESH = 0xFF;

struct allocation {
    char *pages;
    size_t bytes, page_bytes;
    int device;
};

static char *base;                                          /* of all ranges */
static size_t taken[MOST_DEVICES], live[MOST_DEVICES];      /* addresses; bytes */
static size_t capacity;
static std::map<char *, allocation> allocations;            /* by their first byte */
static std::map<char *, size_t> pinned;
static int open_count;
static bool closed = true;                                  /* to the host: to everybody */
static unsigned long times_closed;
static long fails_at = -2;                                  /* this allocation; -1: none */

#if !defined(SANITIZED)                          /* which explains it itself */
static void explain(int number, siginfo_t *info, void *)
{
    static const char in[] = "cuda_host: device memory touched by the host, or beyond or after its "
                             "allocation\n";
    if (device_address(info->si_addr) && write(2, in, sizeof in - 1) < 0)
        abort();
    signal(number, SIG_DFL);                                /* and again, for good */
}
#endif

static size_t memory_of_a_device()
{
    if (!capacity) {
        const char *given = getenv("CUDA_HOST_MEMORY");
        capacity = given ? strtoull(given, nullptr, 10) : (size_t)256 << 20;
    }
    return capacity;
}

static bool fails_now()
{
    if (fails_at == -2) {
        const char *given = getenv("CUDA_HOST_FAIL_ALLOC");
        fails_at = given ? strtol(given, nullptr, 10) : -1;
    }
    return fails_at >= 0 && fails_at-- == 0;
}

static void reserve()
{
    void *at = mmap(nullptr, RANGE * MOST_DEVICES, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        perror("cuda_host: addresses for device memory");
        abort();
    }
    base = (char *)at;
#if !defined(SANITIZED)
    struct sigaction act = {};
    act.sa_sigaction = explain;
    act.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &act, nullptr);
#endif
}

bool device_address(const void *p)
{
    return base && (const char *)p >= base && (const char *)p < base + RANGE * MOST_DEVICES;
}

static const allocation *around(const void *p)              /* whose bytes, or end, p is at */
{
    auto next = allocations.upper_bound((char *)p);
    if (next == allocations.begin())
        return nullptr;
    const auto &[first, a] = *--next;
    return (const char *)p <= first + a.bytes ? &a : nullptr;
}

bool device_range(int device, const void *p, size_t n, const char **why)
{
    const allocation *a = around(p);
    auto before = allocations.upper_bound((char *)p);
    if (!device_address(p))
        *why = "is the host's";
    else if (!a)
        *why = "belongs to no allocation, or to one that was freed";
    else if (a->device != device)
        *why = "is another device's";
    else if ((const char *)p + n > (--before)->first + a->bytes)
        *why = "ends behind its allocation";
    else
        return true;
    return false;
}

bool pinned_range(const void *p, size_t n)
{
    auto next = pinned.upper_bound((char *)p);
    return next != pinned.begin() &&
           (const char *)p + n <= std::prev(next)->first + std::prev(next)->second;
}

static void protect(int how)
{
    for (auto &[first, a] : allocations)
        mprotect(a.pages, a.page_bytes, how);
}

opened::opened()
{
    if (!open_count++ && closed) {
        protect(PROT_READ | PROT_WRITE);
        closed = false;
    }
}

/* Closing takes the kernel long, so after the first times it is left to chance: code that touches
 * device memory by mistake does so again and again. */
opened::~opened()
{
    static random chance(1);
    if (--open_count || (times_closed >= 100 && chance.below(50)))
        return;
    times_closed++;
    protect(PROT_NONE);
    closed = true;
}

static bool guarded(const char *from, const char *to)
{
    while (from < to && (unsigned char)*from == GUARDED)
        from++;
    return from == to;
}

static void check_one(const char *first, const allocation &a)
{
    bool before = !guarded(a.pages, first);
    if (before || !guarded(first + a.bytes, a.pages + a.page_bytes))
        report(cudaErrorIllegalAddress, "device memory was written %s an allocation of %zu bytes",
               before ? "before" : "behind", a.bytes);
}

void check_guards()
{
    opened now;
    for (const auto &[first, a] : allocations)
        check_one(first, a);
}

} /* namespace cuda_host */

using namespace cuda_host;

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    int device = current_device();
    *out = nullptr;
    host_waits++;
    if (broken())
        return remember(broken());
    if (!base)
        reserve();
    if (!bytes)
        return cudaSuccess;
    size_t behind = (bytes + ALIGN - 1) / ALIGN * ALIGN + ALIGN;    /* from its first byte on */
    size_t pages = (behind + ALIGN + PAGE - 1) / PAGE * PAGE;
    if (fails_now() || bytes > memory_of_a_device() || live[device] > memory_of_a_device() - bytes ||
        taken[device] + pages + PAGE > RANGE)
        return remember(cudaErrorMemoryAllocation);
    allocation a = { base + (size_t)device * RANGE + taken[device], bytes, pages, device };
    char *first = a.pages + pages - behind;
    taken[device] += pages + PAGE;                          /* a page between that lets nobody in */
    live[device] += bytes;
    mprotect(a.pages, pages, PROT_READ | PROT_WRITE);
    memset(a.pages, GUARDED, (size_t)(first - a.pages));
    memset(first, FRESH, bytes);
    memset(first + bytes, GUARDED, behind - bytes);
    if (closed)
        mprotect(a.pages, pages, PROT_NONE);
    allocations[first] = a;
    *out = first;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (!p)
        return cudaSuccess;
    cudaError_t rc = cudaDeviceSynchronize();
    auto it = allocations.find((char *)p);
    if (it == allocations.end()) {
        report(cudaErrorInvalidValue, "cudaFree(%p): no such allocation, or freed before", p);
        return remember(cudaErrorInvalidValue);
    }
    {
        opened now;
        check_one(it->first, it->second);
    }
    const allocation &a = it->second;                       /* its addresses are never used again */
    mmap(a.pages, a.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
    live[a.device] -= a.bytes;
    allocations.erase(it);
    return rc ? rc : remember(broken());
}

cudaError_t cudaMallocAsync(void **out, size_t bytes, cudaStream_t)
{
    return cudaMalloc(out, bytes);
}

cudaError_t cudaFreeAsync(void *p, cudaStream_t stream)
{
    enqueue(stream, [p] { cudaFree(p); });
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    *total = memory_of_a_device();
    *free_bytes = *total - live[current_device()];
    return remember(broken());
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    host_waits++;
    *out = malloc(bytes ? bytes : 1);
    if (!*out)
        return remember(cudaErrorMemoryAllocation);
    memset(*out, FRESH, bytes);
    pinned[(char *)*out] = bytes;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
    return cudaHostAlloc(out, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *p)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (!p)
        return cudaSuccess;
    cudaDeviceSynchronize();
    if (!pinned.erase((char *)p))
        return remember(cudaErrorInvalidValue);
    free(p);
    return cudaSuccess;
}

void cuda_host_fail_alloc(long nth)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    fails_at = nth;
}

void cuda_host_memory(size_t bytes)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    capacity = bytes;
}
