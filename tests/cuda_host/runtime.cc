/* runtime.cc -- streams, events, copies, errors, devices.
 *
 * A stream is a list of things to do. They are done when something waits for them, or at some launch
 * by chance: the longest delay that a GPU may make, or a shorter one. With seed 0, at once. */
#include "tests/cuda_host/private.hh"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <deque>
#include <map>
#include <set>
#include <vector>

using namespace cuda_host;

struct CUstream_st {
    int device;
    bool blocking;                                          /* waits for the default stream */
    uint64_t done = 0;
    std::deque<std::function<void()>> todo;
    CUstream_st(int d, bool b) : device(d), blocking(b) {}
    uint64_t issued() const { return done + todo.size(); }
};

struct CUevent_st {
    cudaStream_t stream = nullptr;
    uint64_t after = 0;                                     /* so many things of the stream */
    double time = 0;
};

namespace cuda_host {

std::recursive_mutex lock;
long host_waits;

static std::mutex report_lock;
static char reported[600];
static cudaError_t fault;
static bool quiet;
static bool seeded;
static int capability_now;      /* 0: not yet read */
static unsigned seed_now;
static int devices;
static std::map<int, long> breaks_after;                    /* launches, products and copies */
static bool breaks_read;
static bool device_failed[MOST_DEVICES];                             /* as was asked for */
static thread_local int device_now;
static thread_local cudaError_t last_error;
static std::set<cudaStream_t> streams;
static std::map<int, std::unique_ptr<CUstream_st>> default_streams;
static std::set<cudaEvent_t> events;
static std::map<const void *, int> shared_allowed;          /* by kernel */
static uint64_t launches;

void report(cudaError_t error, const char *format, ...)
{
    std::lock_guard<std::mutex> hold(report_lock);
    if (fault)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(reported, sizeof reported, format, args);
    va_end(args);
    fault = error;
    if (!quiet)
        fprintf(stderr, "cuda_host: %s\n", reported);
}

cudaError_t broken()
{
    std::lock_guard<std::mutex> hold(report_lock);
    return fault ? fault : device_failed[device_now] ? cudaErrorIllegalAddress : cudaSuccess;
}

cudaError_t remember(cudaError_t error)
{
    if (error)
        last_error = error;
    return error;
}

static long setting(const char *name, long otherwise)
{
    const char *given = getenv(name);
    return given ? strtol(given, nullptr, 10) : otherwise;
}

int device_capability()
{
    if (!capability_now)
        capability_now = (int)setting("CUDA_HOST_CAPABILITY", 90);
    return capability_now;
}

unsigned seed()
{
    if (!seeded) {
        seed_now = (unsigned)setting("CUDA_HOST_SEED", 1);
        seeded = true;
    }
    return seed_now;
}

static int device_count()
{
    if (!devices)
        devices = (int)setting("CUDA_HOST_DEVICES", 1);
    return devices;
}

int current_device()
{
    return device_now;
}

static cudaStream_t the(cudaStream_t s)                     /* NULL is the device's default one */
{
    if (s)
        return s;
    std::unique_ptr<CUstream_st> &d = default_streams[device_now];
    if (!d)
        d = std::make_unique<CUstream_st>(device_now, true);
    return d.get();
}

int device_of(cudaStream_t s)
{
    return the(s)->device;
}

static void run_until(cudaStream_t s, uint64_t after)
{
    opened now;
    while (s->done < after && !s->todo.empty()) {
        std::function<void()> next = std::move(s->todo.front());
        s->todo.pop_front();
        if (!broken())
            next();
        s->done++;
    }
}

static void run_all(cudaStream_t s)
{
    run_until(s, s->issued());
}

static void run_device(int device, bool only_blocking)
{
    for (cudaStream_t s : std::vector<cudaStream_t>(streams.begin(), streams.end()))
        if (s->device == device && (s->blocking || !only_blocking))
            run_all(s);
    if (default_streams[device])
        run_all(default_streams[device].get());
}

void enqueue(cudaStream_t stream, std::function<void()> what)
{
    static random chance(12345);
    cudaStream_t s = the(stream);
    if (!stream)                                            /* the default stream waits for others, */
        run_device(s->device, true);
    else if (s->blocking && default_streams[s->device])     /* and they for it */
        run_all(default_streams[s->device].get());
    s->todo.push_back(std::move(what));
    if (!seed() || chance.below(100) == 0)
        run_all(s);
}

bool usable(int device)
{
    if (const char *given = breaks_read ? nullptr : getenv("CUDA_HOST_FAIL")) {
        int which;
        long after;
        if (sscanf(given, "%d:%ld", &which, &after) == 2)
            breaks_after[which] = after;
    }
    breaks_read = true;
    auto it = breaks_after.find(device);
    if (it != breaks_after.end() && it->second >= 0 && it->second-- == 0)
        device_failed[device] = true;
    return !broken();
}

void check_pointer(const char *kernel, const void *p)
{
    const char *why;
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (p && !device_range(current_device(), p, 0, &why))
        report(cudaErrorIllegalAddress, "kernel %s was given a pointer that %s", kernel, why);
}

void allow_shared(const void *kernel, int bytes)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    shared_allowed[kernel] = bytes;
}

void enqueue_kernel(const char *kernel, const void *address, dim3 grid, dim3 block, size_t shared,
                    cudaStream_t stream, std::unique_ptr<body> what)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    auto allowed = shared_allowed.find(address);
    size_t most = allowed == shared_allowed.end() ? 48 << 10 : (size_t)allowed->second;
    size_t threads = (size_t)block.x * block.y * block.z;
    if (!usable(device_now)) {
        remember(broken());
        return;
    }
    if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || !threads ||
        threads > 1024 || threads % 32 || shared > most || device_of(stream) != device_now) {
        report(cudaErrorInvalidConfiguration, "kernel %s: %u x %u x %u blocks of %zu threads with "
               "%zu bytes of shared memory (allowed: %zu): no such launch", kernel, grid.x, grid.y,
               grid.z, threads, shared, most);
        remember(cudaErrorInvalidConfiguration);
        return;
    }
    std::shared_ptr<body> held = std::move(what);
    uint64_t number = launches++;
    enqueue(stream, [=] { run_grid(kernel, *held, grid, block, shared, number); });
}

/* One row of a copy: is it possible? */
static bool copy_allowed(const void *p, size_t n, bool on_device, const char *what)
{
    const char *why = "";
    if (on_device ? device_range(current_device(), p, n, &why) : !device_address(p))
        return true;
    report(cudaErrorInvalidValue, "copy %s %zu bytes of %s memory: the pointer %s", what, n,
           on_device ? "device" : "host", on_device ? why : "is a device's");
    return false;
}

static cudaError_t copy(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                        size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream,
                        bool wait)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (!usable(device_now))
        return remember(broken());
    if (kind < cudaMemcpyHostToDevice || kind > cudaMemcpyDeviceToDevice)
        return remember(cudaErrorInvalidMemcpyDirection);
    if (!width || !height)
        return cudaSuccess;
    bool from_host = kind == cudaMemcpyHostToDevice, to_host = kind == cudaMemcpyDeviceToHost;
    size_t from_bytes = from_pitch * (height - 1) + width, to_bytes = to_pitch * (height - 1) + width;
    if (!copy_allowed(to, to_bytes, !to_host, "to") ||
        !copy_allowed(from, from_bytes, !from_host, "from"))
        return remember(broken());
    std::shared_ptr<std::vector<char>> staged;
    bool pinned = (!from_host || pinned_range(from, from_bytes)) &&
                  (!to_host || pinned_range(to, to_bytes));
    host_waits += wait || !pinned;
    if (from_host && !pinned) {                             /* the driver takes it along at once */
        staged = std::make_shared<std::vector<char>>((const char *)from,
                                                     (const char *)from + from_bytes);
        from = staged->data();
    }
    enqueue(stream, [=] {
        for (size_t i = 0; i < height; i++)
            memmove((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width);
        (void)staged;
    });
    if (wait || (to_host && !pinned))
        run_all(the(stream));
    return remember(broken());
}

} /* namespace cuda_host */

#define HOLD std::lock_guard<std::recursive_mutex> hold(lock)

const char *cudaGetErrorName(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInitializationError: return "cudaErrorInitializationError";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidMemcpyDirection: return "cudaErrorInvalidMemcpyDirection";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorUnknown: break;
    }
    return "cudaErrorUnknown";
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    default: return cudaGetErrorName(e);
    }
}

cudaError_t cudaPeekAtLastError(void)
{
    return broken() ? broken() : last_error;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t e = cudaPeekAtLastError();
    last_error = cudaSuccess;
    return e;
}

/* ---- devices ---- */

cudaError_t cudaGetDeviceCount(int *count)
{
    HOLD;
    *count = device_count() > 0 ? device_count() : 0;
    return *count ? cudaSuccess : remember(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device)
{
    HOLD;
    if (device < 0 || device >= device_count() || device >= MOST_DEVICES)
        return remember(cudaErrorInvalidDevice);
    device_now = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = device_now;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    HOLD;
    if (device < 0 || device >= device_count() || device >= MOST_DEVICES)
        return remember(cudaErrorInvalidDevice);
    size_t free_bytes;
    *p = {};
    snprintf(p->name, sizeof p->name, "CUDA on the host");
    cudaMemGetInfo(&free_bytes, &p->totalGlobalMem);
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = 227 << 10;
    p->major = device_capability() / 10;
    p->minor = device_capability() % 10;
    p->multiProcessorCount = 4;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr what, int device)
{
    struct cudaDeviceProp p;
    cudaError_t rc = cudaGetDeviceProperties(&p, device);
    if (rc)
        return rc;
    *value = what == cudaDevAttrMultiProcessorCount ? p.multiProcessorCount :
             what == cudaDevAttrComputeCapabilityMajor ? p.major :
             what == cudaDevAttrComputeCapabilityMinor ? p.minor : (int)p.sharedMemPerBlockOptin;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    return cudaRuntimeGetVersion(version);
}

cudaError_t cudaDeviceSynchronize(void)
{
    HOLD;
    host_waits++;
    run_device(device_now, false);
    check_guards();
    return remember(broken());
}

/* ---- streams and events ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    HOLD;
    *out = nullptr;
    if (broken())
        return remember(broken());
    streams.insert(*out = new CUstream_st(device_now, !(flags & cudaStreamNonBlocking)));
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
    return cudaStreamCreateWithFlags(out, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    HOLD;
    if (!streams.count(s))
        return remember(cudaErrorInvalidResourceHandle);
    run_all(s);
    for (cudaEvent_t e : events)
        if (e->stream == s)
            e->stream = nullptr;                            /* what it waited for is done */
    streams.erase(s);
    delete s;
    return remember(broken());
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    HOLD;
    host_waits++;
    run_all(the(s));
    check_guards();
    return remember(broken());
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    HOLD;
    if (!the(s)->todo.empty()) {
        run_until(the(s), the(s)->done + 1);                /* time goes by */
        return broken() ? remember(broken()) : cudaErrorNotReady;
    }
    return remember(broken());
}

static void wait_for(cudaEvent_t e)
{
    if (e->stream)
        run_until(e->stream, e->after);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    HOLD;
    cudaStream_t other = e->stream;
    uint64_t after = e->after;
    if (other && other != the(s) && streams.count(other))
        enqueue(s, [=] {
            if (streams.count(other))
                run_until(other, after);
        });
    return remember(broken());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
    HOLD;
    events.insert(*out = new CUevent_st);
    return remember(broken());
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
    return cudaEventCreateWithFlags(out, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    HOLD;
    if (!events.erase(e))
        return remember(cudaErrorInvalidResourceHandle);
    if (e->stream)
        wait_for(e);                                        /* it writes its time into e */
    delete e;
    return remember(broken());
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    HOLD;
    e->stream = the(s);
    enqueue(s, [e] {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        e->time = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
    });
    e->after = e->stream->issued();
    return remember(broken());
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    HOLD;
    host_waits++;
    wait_for(e);
    check_guards();
    return remember(broken());
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    HOLD;
    if (!broken() && e->stream && e->stream->done < e->after) {
        run_until(e->stream, e->stream->done + 1);
        return cudaErrorNotReady;
    }
    return remember(broken());
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    HOLD;
    if ((from->stream && from->stream->done < from->after) ||
        (to->stream && to->stream->done < to->after))
        return remember(cudaErrorNotReady);
    *ms = (float)(to->time - from->time);
    return remember(broken());
}

/* ---- copies ---- */

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, enum cudaMemcpyKind kind)
{
    return copy(to, n, from, n, n, 1, kind, nullptr, true);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t s)
{
    return copy(to, n, from, n, n, 1, kind, s, false);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t s)
{
    return copy(to, pitch, from, from_pitch, width, height, kind, s, false);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t s)
{
    HOLD;
    if (!usable(device_now) || !n)
        return remember(broken());
    if (!copy_allowed(p, n, true, "by cudaMemset to"))
        return remember(broken());
    enqueue(s, [=] { memset(p, value, n); });
    return remember(broken());
}

cudaError_t cudaMemset(void *p, int value, size_t n)
{
    HOLD;
    cudaError_t rc = cudaMemsetAsync(p, value, n, nullptr);
    host_waits++;
    run_all(the(nullptr));
    return rc ? rc : remember(broken());
}

/* ---- settings ---- */

void cuda_host_capability(int capability)
{
    HOLD;
    capability_now = capability;
}

void cuda_host_seed(unsigned seed)
{
    HOLD;
    seed_now = seed;
    seeded = true;
}

void cuda_host_devices(int n)
{
    HOLD;
    devices = n ? n : -1;
}

void cuda_host_break(int device, long after)
{
    HOLD;
    breaks_after[device] = after;
    breaks_read = true;
    device_failed[device] = false;
}

long cuda_host_waits(void)
{
    HOLD;
    return host_waits;
}

const char *cuda_host_report(void)
{
    std::lock_guard<std::mutex> hold(report_lock);
    return fault ? reported : nullptr;
}

void cuda_host_forget(void)
{
    std::lock_guard<std::mutex> hold(report_lock);
    fault = cudaSuccess;
    last_error = cudaSuccess;
}

void cuda_host_quiet(int on)
{
    quiet = on;
}
