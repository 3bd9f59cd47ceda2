/* grid.cc -- a launch on the CPU: every thread a fiber, every warp and block a round of fibers.
 *
 * A worker (one per thread of the machine) runs one block after another. Its scheduler picks a warp,
 * runs each lane until it waits or ends, does what the lanes met for, and goes on with this warp or
 * another. Fibers never leave their worker's thread. */
#include "tests/cuda_host/private.hh"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <atomic>
#include <vector>
#include "kernels/float16.h"

#if defined(SANITIZED)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__x86_64__) && !defined(UCONTEXT)                 /* -DUCONTEXT: the other way, to try it */
#define OWN_SWITCH
#else
#include <ucontext.h>
#endif

namespace cuda_host {

thread_local fiber *self;
thread_local uint3 thread_index, block_index;
thread_local dim3 block_size, grid_size;

enum { WARP = 32, MOST_THREADS = 1024, STACK = 256 << 10, GUARD = 64, MOST_SHARED = 227 << 10,
       FEW = 8192 };             /* threads of a launch that one worker runs alone */

/* ---- contexts: where a fiber stands ---- */

#if defined(OWN_SWITCH)
/* Saves what a callee must keep on the stack of who leaves, and takes it from that of who comes. */
extern "C" void cuda_host_switch(void **from, void *to);
asm(R"(
.text
.p2align 4
.globl cuda_host_switch
.type cuda_host_switch, @function
cuda_host_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size cuda_host_switch, . - cuda_host_switch
)");

struct context {
    void *at;
    void make(char *stack, size_t bytes, void (*entry)())
    {
        void **top = (void **)(stack + bytes);              /* a multiple of 16 */
        *--top = nullptr;                                   /* entry() never returns */
        *--top = (void *)entry;
        for (int i = 0; i < 6; i++)
            *--top = nullptr;
        at = top;
    }
    void go_to(context &other) { cuda_host_switch(&at, other.at); }
};
#else
struct context {
    ucontext_t at;
    void make(char *stack, size_t bytes, void (*entry)())
    {
        getcontext(&at);
        at.uc_stack.ss_sp = stack;
        at.uc_stack.ss_size = bytes;
        at.uc_link = nullptr;
        makecontext(&at, entry, 0);
    }
    void go_to(context &other) { swapcontext(&at, &other.at); }
};
#endif

/* ---- fibers and their worker ---- */

enum waits { READY, AT_WARP, AT_BLOCK, ENDED };
static const char *const waits_for[] = { "nothing", "", "__syncthreads", "nothing: it has ended" };

struct copy { void *to; const void *from; unsigned bytes, given; };

struct fiber {
    context where;
    char *stack;
    waits state;
    uint3 index;
    const deed *what;           /* AT_WARP: what it came for, with whom, with which value */
    unsigned mask;
    void *value;
    std::vector<copy> copies;   /* of cp.async, in order; `groups` holds where each group ends */
    std::vector<size_t> groups;
    unsigned lane() const;
};

struct array { const void *key; char *at; size_t bytes; };

struct worker {
    context scheduler;
    const void *stack = nullptr;                            /* the scheduler's own, for ASan */
    size_t stack_bytes = 0;
    void *fake = nullptr;
    char *stacks;
    std::vector<fiber> fibers;
    unsigned threads = 0;
    const char *kernel = nullptr;
    const body *what = nullptr;
    char *shared;               /* [MOST_SHARED + guards] */
    size_t used = 0;
    std::vector<array> arrays;
    uint64_t order = 0;
    bool failed = false;

    worker();
    ~worker();
    void enter(fiber &f);
    void leave();
    void start(const char *name, const body &b, size_t bytes);
    void run(uint64_t order);
    void run_warp(unsigned w, unsigned rounds, random &r);
    bool meet(unsigned w);
    void diverged(unsigned w);
    bool release();
    void check();
    array &add(const void *key, size_t bytes, size_t align);
};
static thread_local worker *mine;

unsigned fiber::lane() const
{
    return (unsigned)(this - mine->fibers.data()) % WARP;
}

worker::worker() : fibers(MOST_THREADS)
{
    size_t each = STACK + 4096;
    stacks = (char *)mmap(nullptr, each * MOST_THREADS, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    shared = (char *)aligned_alloc(128, MOST_SHARED + (64 << 10));
    if (stacks == MAP_FAILED || !shared) {
        fprintf(stderr, "cuda_host: no memory for %d fibers\n", (int)MOST_THREADS);
        abort();
    }
    for (int i = 0; i < MOST_THREADS; i++) {                /* a page that may not be touched, below */
        mprotect(stacks + i * each, 4096, PROT_NONE);
        fibers[i].stack = stacks + i * each + 4096;
    }
}

worker::~worker()
{
    munmap(stacks, (size_t)(STACK + 4096) * MOST_THREADS);
    free(shared);
}

void worker::enter(fiber &f)
{
    self = &f;
    thread_index = f.index;
#if defined(SANITIZED)
    void *fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, f.stack, STACK);
    scheduler.go_to(f.where);
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#else
    scheduler.go_to(f.where);
#endif
}

void worker::leave()
{
    fiber &f = *self;
#if defined(SANITIZED)
    void *fake_stack = nullptr;
    bool over = f.state == ENDED;
    __sanitizer_start_switch_fiber(over ? nullptr : &fake_stack, stack, stack_bytes);
    f.where.go_to(scheduler);
    __sanitizer_finish_switch_fiber(fake_stack, &stack, &stack_bytes);
#else
    f.where.go_to(scheduler);
#endif
}

static void entry()
{
#if defined(SANITIZED)
    __sanitizer_finish_switch_fiber(nullptr, &mine->stack, &mine->stack_bytes);
#endif
    mine->what->run();
    self->state = ENDED;
    mine->leave();
    abort();                                                /* nobody wakes the ended */
}

/* The sanitizer must forget the frames that a fiber's last life never left: those at its top, or,
 * of one that was abandoned, all. */
static void forget_frames(char *stack, bool all)
{
#if defined(SANITIZED)
    size_t stale = all ? STACK : 64 * 128 + 4096;
    __asan_unpoison_memory_region(stack + STACK - stale, stale);
#else
    (void)stack, (void)all;
#endif
}

void worker::start(const char *name, const body &b, size_t bytes)
{
    kernel = name;
    what = &b;
    threads = block_size.x * block_size.y * block_size.z;
    arrays.clear();
    used = 0;
    bool abandoned = failed;                                /* fibers in the midst of something */
    failed = false;
    add(this, bytes, 128);                                  /* the dynamic part: arrays[0] */
    for (unsigned i = 0; i < threads; i++) {
        fiber &f = fibers[i];
        forget_frames(f.stack, abandoned);
        f.state = READY;
        f.index = { i % block_size.x, i / block_size.x % block_size.y,
                    i / (block_size.x * block_size.y) };
        f.copies.clear();
        f.groups.clear();
        /* Tops at different distances, or all of them fight for the same lines of the cache. */
        f.where.make(f.stack, STACK - i % 64 * 128, entry);
    }
}

/* ---- meetings ---- */

void meet_warp(const deed *what, unsigned mask, void *value)
{
    fiber &f = *self;
    f.state = AT_WARP;
    f.what = what;
    f.mask = mask;
    f.value = value;
    mine->leave();
}

void meet_block()
{
    self->state = AT_BLOCK;
    mine->leave();
}

unsigned lane_index()
{
    return self->lane();
}

void worker::diverged(unsigned w)
{
    unsigned at[4] = { 0, 0, 0, 0 };
    const char *name = "a warp's deed";
    for (unsigned i = 0; i < WARP; i++) {
        const fiber &f = fibers[w * WARP + i];
        at[f.state] |= 1u << i;
        name = f.state == AT_WARP ? f.what->name : name;
    }
    failed = true;
    report(cudaErrorLaunchFailure, "kernel %s, block (%u,%u,%u), warp %u: threads diverged: lanes "
           "%08x wait for %s, %08x for %s, %08x for %s", kernel, block_index.x, block_index.y,
           block_index.z, w, at[AT_WARP], name, at[AT_BLOCK], waits_for[AT_BLOCK], at[ENDED],
           waits_for[ENDED]);
}

/* Does what the first waiting lane and its company came for; false: they are not all there. */
bool worker::meet(unsigned w)
{
    fiber *lane = &fibers[w * WARP];
    void *value[WARP] = { nullptr };
    unsigned first = 0;
    while (first < WARP && lane[first].state != AT_WARP)
        first++;
    if (first == WARP)
        return false;
    const deed *deed = lane[first].what;
    unsigned mask = lane[first].mask;
    for (unsigned i = 0; i < WARP; i++)
        if (mask >> i & 1) {
            if (lane[i].state != AT_WARP || lane[i].what != deed || lane[i].mask != mask)
                return false;
            value[i] = lane[i].value;
        }
    if (deed->perform)
        deed->perform(value);
    for (unsigned i = 0; i < WARP; i++)
        if (mask >> i & 1)
            lane[i].state = READY;
    return true;
}

void worker::run_warp(unsigned w, unsigned rounds, random &r)
{
    fiber *lane = &fibers[w * WARP];
    while (rounds-- && !failed) {
        unsigned turn = order ? r.below(WARP) : 0;          /* lanes, too, in different orders */
        for (unsigned i = 0; i < WARP; i++) {
            fiber &f = lane[i ^ turn];
            if (f.state == READY)
                enter(f);
        }
        bool waiting = false;
        for (unsigned i = 0; i < WARP; i++)
            waiting |= lane[i].state == AT_WARP;
        if (!waiting)
            return;
        if (!meet(w))
            diverged(w);
    }
}

/* All threads that live are at the barrier: they go on. False: there are none. */
bool worker::release()
{
    bool any = false;
    for (unsigned i = 0; i < threads; i++)
        if (fibers[i].state == AT_BLOCK) {
            fibers[i].state = READY;
            any = true;
        }
    return any;
}

void worker::run(uint64_t number)
{
    random r(order = number);
    unsigned warps = threads / WARP;
    while (!failed) {
        unsigned can[MOST_THREADS / WARP], n = 0;
        for (unsigned w = 0; w < warps; w++)
            for (unsigned i = 0; i < WARP; i++)
                if (fibers[w * WARP + i].state == READY) {
                    can[n++] = w;
                    break;
                }
        if (!n && !release())
            break;
        if (n)
            run_warp(can[order ? r.below(n) : 0], order ? 1 + r.below(60) : ~0u, r);
    }
    check();
}

/* ---- shared memory ---- */

array &worker::add(const void *key, size_t bytes, size_t align)
{
    size_t from = (used + GUARD + align - 1) / align * align;
    if (from + bytes + GUARD > MOST_SHARED) {
        fprintf(stderr, "cuda_host: kernel %s wants more shared memory than any GPU has\n", kernel);
        abort();
    }
    memset(shared + used, 0xA5, from - used);
    memset(shared + from, 0xFF, bytes);
    memset(shared + from + bytes, 0xA5, GUARD);
    used = from + bytes;
    arrays.push_back({ key, shared + from, bytes });
    return arrays.back();
}

void *shared_array(const void *key, size_t bytes, size_t align)
{
    for (array &a : mine->arrays)
        if (a.key == key)
            return a.at;
    return mine->add(key, bytes, align).at;
}

void *shared_dynamic()
{
    return mine->arrays[0].at;
}

void worker::check()
{
    for (const array &a : arrays)
        for (int i = 1; a.bytes && i <= GUARD && !failed; i++) {
            bool before = (unsigned char)a.at[-i] != 0xA5;
            if (before || (unsigned char)a.at[a.bytes + (size_t)i - 1] != 0xA5) {
                failed = true;
                report(cudaErrorIllegalAddress, "kernel %s, block (%u,%u,%u): wrote %d bytes %s an "
                       "array of %zu bytes of shared memory", kernel, block_index.x,
                       block_index.y, block_index.z, i, before ? "before" : "behind", a.bytes);
            }
        }
    for (unsigned i = 0; i < threads && !failed; i++)
        if (!fibers[i].copies.empty()) {
            failed = true;
            report(cudaErrorLaunchFailure, "kernel %s, block (%u,%u,%u), thread %u: ended without "
                   "waiting for its cp.async", kernel, block_index.x, block_index.y,
                   block_index.z, i);
        }
}

void async_copy(void *to, const void *from, unsigned bytes, unsigned given)
{
    const array *in = nullptr;
    for (const array &a : mine->arrays)
        if ((char *)to >= a.at && (char *)to + bytes <= a.at + a.bytes)
            in = &a;
    if (!in || (uintptr_t)to % bytes || (uintptr_t)from % bytes || given > bytes) {
        mine->failed = true;
        report(cudaErrorIllegalAddress, "kernel %s, block (%u,%u,%u): cp.async of %u bytes %s",
               mine->kernel, block_index.x, block_index.y, block_index.z, bytes,
               in ? "to or from an address that is no multiple of them" : "beyond shared memory");
        return;
    }
    memset(to, 0xFF, bytes);                                /* anything, until it has arrived */
    self->copies.push_back({ to, from, bytes, given });
}

void async_commit()
{
    self->groups.push_back(self->copies.size());
}

void async_wait(unsigned groups_left)
{
    fiber &f = *self;
    if (f.groups.size() <= groups_left)
        return;
    size_t done = f.groups.size() - groups_left, n = f.groups[done - 1];
    for (size_t i = 0; i < n; i++) {
        const copy &c = f.copies[i];
        memcpy(c.to, c.from, c.given);
        memset((char *)c.to + c.given, 0, c.bytes - c.given);
    }
    f.copies.erase(f.copies.begin(), f.copies.begin() + (long)n);
    f.groups.erase(f.groups.begin(), f.groups.begin() + (long)done);
    for (size_t &end : f.groups)
        end -= n;
}

/* ---- what warps do together ---- */

static void do_shuffle(void *const value[WARP])
{
    uint32_t of[WARP] = { 0 };
    for (int i = 0; i < WARP; i++)
        if (value[i])
            of[i] = ((shuffled *)value[i])->value;
    for (int i = 0; i < WARP; i++)
        if (value[i])
            ((shuffled *)value[i])->value = of[((shuffled *)value[i])->from];
}

static void do_vote(void *const value[WARP])
{
    unsigned all = 0;
    for (int i = 0; i < WARP; i++)
        if (value[i] && ((voted *)value[i])->mine)
            all |= 1u << i;
    for (int i = 0; i < WARP; i++)
        if (value[i])
            ((voted *)value[i])->all = all;
}

/* ldmatrix.x4: lane 8 m + r brings the address of row r of matrix m (8 rows of 16 bytes); lane i
 * takes the numbers 2 (i % 4) and the next of row i / 4; transposed: of column i / 4. */
static void do_load(void *const value[WARP], bool transposed)
{
    for (int m = 0; m < 4; m++) {
        uint16_t x[8][8];
        for (int r = 0; r < 8; r++)
            memcpy(x[r], ((matrices *)value[8 * m + r])->row, 16);
        for (int i = 0; i < WARP; i++) {
            int a = i / 4, b = i % 4 * 2;
            uint32_t low = transposed ? x[b][a] : x[a][b];
            uint32_t high = transposed ? x[b + 1][a] : x[a][b + 1];
            ((matrices *)value[i])->out[m] = low | high << 16;
        }
    }
}

static void do_load_rows(void *const value[WARP])
{
    do_load(value, false);
}

static void do_load_columns(void *const value[WARP])
{
    do_load(value, true);
}

static inline float f16(uint32_t h)                         /* without a branch, for vectors */
{
    float x = float_of_bits((h & 0x7fff) << 13) * 0x1p112f;
    uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    return float_of_bits(float_bits(x) | special | (h & 0x8000) << 16);
}

static inline float bf16(uint32_t h)
{
    return float_of_bits(h << 16);
}

/* D += A B. Nothing here can be out of bounds; sanitizers would only take time. */
__attribute__((no_sanitize("address", "undefined"))) static void
add_product(float d[16][8], const float a[16][16], const float b[16][8])
{
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++)
                d[i][j] += a[i][k] * b[k][j];
}

/* mma.sync.m16n8k16: of A [16,16] lane i holds rows i/4 and i/4 + 8, columns 2(i%4) + 0, 1, 8, 9;
 * of B [16,8] the same k's of column i/4; of D [16,8] the same rows, columns 2(i%4) + 0, 1. */
template <float (*number)(uint32_t)> static void do_multiply(void *const value[WARP])
{
    float a[16][16], b[16][8], d[16][8];
    for (int i = 0; i < WARP; i++) {
        const multiplied *v = (const multiplied *)value[i];
        int g = i / 4, k = i % 4 * 2;
        for (int r = 0; r < 4; r++) {
            float *at = &a[g + r % 2 * 8][k + r / 2 * 8];
            at[0] = number(v->a[r] & 0xffff);
            at[1] = number(v->a[r] >> 16);
            d[g + r / 2 * 8][k + r % 2] = v->d[r];
        }
        for (int r = 0; r < 2; r++) {
            b[k + r * 8][g] = number(v->b[r] & 0xffff);
            b[k + r * 8 + 1][g] = number(v->b[r] >> 16);
        }
    }
    add_product(d, a, b);
    for (int i = 0; i < WARP; i++) {
        float *out = ((const multiplied *)value[i])->d;
        for (int r = 0; r < 4; r++)
            out[r] = d[i / 4 + r / 2 * 8][i % 4 * 2 + r % 2];
    }
}

const deed shuffle32 = { "__shfl_sync", do_shuffle };
const deed vote = { "__ballot_sync", do_vote };
const deed warp_barrier = { "__syncwarp", nullptr };
const deed load_matrix = { "ldmatrix", do_load_rows };
const deed load_matrix_transposed = { "ldmatrix.trans", do_load_columns };
const deed multiply_f16 = { "mma.sync (f16)", do_multiply<f16> };
const deed multiply_bf16 = { "mma.sync (bf16)", do_multiply<bf16> };

/* ---- a grid ---- */

void run_grid(const char *kernel, const body &what, dim3 grid, dim3 block, size_t shared,
              uint64_t launch)
{
    long blocks = (long)grid.x * grid.y * grid.z;
    std::atomic<bool> stop(false);
#pragma omp parallel if (blocks * (long)(block.x * block.y * block.z) > FEW)
    {
        static thread_local std::unique_ptr<worker> own;
        if (!own)
            own = std::make_unique<worker>();
        mine = own.get();
        block_size = block;
        grid_size = grid;
#pragma omp for schedule(dynamic)
        for (long i = 0; i < blocks; i++) {
            if (stop)
                continue;
            unsigned long x = (unsigned long)i;
            block_index = { (unsigned)(x % grid.x), (unsigned)(x / grid.x % grid.y),
                            (unsigned)(x / grid.x / grid.y) };
            mine->start(kernel, what, shared);
            mine->run(seed() ? random(seed() + (launch << 24) + x).next() | 1 : 0);
            if (mine->failed)
                stop = true;
        }
    }
}

} /* namespace cuda_host */
