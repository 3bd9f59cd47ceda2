/* The emulation itself: right programs run, and each kind of wrong one is found.
 *
 * Every mistake here is one that a kernel or a backend could make; each has its right twin, so that a
 * test cannot pass because everything fails. */
#include <sys/wait.h>
#include <unistd.h>
#include <cublasLt.h>
#include <string>
#include <vector>
#include "kernels/reduce.cuh"
#include "tests/cuda_host/cuda_host.h"
extern "C" {
#include "tests/check.h"
}

enum { N = 256 };

/* N numbers on the device. */
struct numbers {
    float *at = nullptr;
    explicit numbers(float first, size_t n = N) : count(n)
    {
        std::vector<float> x(n);
        for (size_t i = 0; i < n; i++)
            x[i] = first + (float)i;
        cudaMalloc((void **)&at, n * sizeof *at);
        cudaMemcpy(at, x.data(), n * sizeof *at, cudaMemcpyHostToDevice);
    }
    ~numbers() { cudaFree(at); }
    std::vector<float> read() const
    {
        std::vector<float> x(count);
        cudaMemcpy(x.data(), at, count * sizeof *at, cudaMemcpyDeviceToHost);
        return x;
    }
    size_t count;
};

static bool reported(const char *words)
{
    const char *text = cuda_host_report();
    bool found = text && strstr(text, words);
    if (!found)
        printf("    reported: %s\n", text ? text : "nothing");
    cuda_host_forget();
    return found;
}

/* In how many of 20 orders does `run` not give what it should? */
template <class F> static int wrong_orders(F run)
{
    int wrong = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        cuda_host_seed(seed);
        wrong += !run();
    }
    return wrong;
}

/* ---- barriers ---- */

/* y[i] = x[N - 1 - i], by shared memory, twice in the same array. */
template <bool BEFORE, bool AFTER> __global__ static void reverse(float *y, const float *x)
{
    SHARED(float, s, N);
    for (int turn = 0; turn < 2; turn++) {
        s[threadIdx.x] = x[turn * N + (int)threadIdx.x];
        if (BEFORE)
            __syncthreads();
        y[turn * N + (int)threadIdx.x] = s[N - 1 - threadIdx.x];
        if (AFTER)
            __syncthreads();
    }
}

template <bool BEFORE, bool AFTER> static bool reverses()
{
    numbers x(1, 2 * N), y(0, 2 * N);
    auto kernel = reverse<BEFORE, AFTER>;
    LAUNCH(kernel, 1, N, 0, nullptr, y.at, (const float *)x.at);
    std::vector<float> got = y.read();
    for (int i = 0; i < 2 * N; i++)
        if (!(got[(size_t)i] == (float)(1 + i / N * N + N - 1 - i % N)))
            return false;
    return true;
}

TEST(emulation_finds_a_missing_barrier)
{
    CHECK_INT((wrong_orders(reverses<true, true>)), 0);
    CHECK_INT((wrong_orders(reverses<false, true>)), 20);   /* reads what is not written: NaN */
    CHECK((wrong_orders(reverses<true, false>)) > 0);       /* writes what is not read yet */
}

__global__ static void sums(float *y, const float *x)
{
    SHARED(float, part, WARP);
    y[blockIdx.x * N + threadIdx.x] = block_sum(x[blockIdx.x * N + threadIdx.x], part);
}

TEST(emulation_runs_many_blocks)
{
    enum { BLOCKS = 200 };
    CHECK_INT(wrong_orders([] {
        numbers x(0, BLOCKS * N), y(0, BLOCKS * N);
        LAUNCH(sums, BLOCKS, N, 0, nullptr, y.at, (const float *)x.at);
        std::vector<float> got = y.read();
        bool right = true;
        for (size_t i = 0; i < BLOCKS * N; i++) {
            float first = (float)(i / N * N);
            right = right && fabsf(got[i] - (N * first + N * (N - 1) / 2.0f)) <= 1e-3f * got[i];
        }
        return right;
    }), 0);
}

/* ---- threads that part ---- */

__global__ static void part_at_a_barrier(float *y, int lane)
{
    if ((int)threadIdx.x % WARP < lane)
        __syncthreads();
    else
        y[threadIdx.x] = warp_sum(1);
}

__global__ static void leave_early(float *y, int first)
{
    if ((int)threadIdx.x >= first)
        return;
    y[threadIdx.x] = warp_sum(1);
}

TEST(emulation_finds_diverged_threads)
{
    cuda_host_quiet(1);
    numbers y(0);
    LAUNCH(part_at_a_barrier, 1, N, 0, nullptr, y.at, WARP);
    CHECK_INT(cudaDeviceSynchronize(), cudaSuccess);        /* all at the barrier */
    LAUNCH(part_at_a_barrier, 1, N, 0, nullptr, y.at, 16);
    CHECK_INT(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    CHECK(reported("kernel part_at_a_barrier, block (0,0,0), warp"));

    LAUNCH(leave_early, 1, N, 0, nullptr, y.at, 2 * WARP);  /* whole warps may go */
    CHECK_INT(cudaDeviceSynchronize(), cudaSuccess);
    LAUNCH(leave_early, 1, N, 0, nullptr, y.at, 40);
    CHECK_INT(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    CHECK(reported("lanes 000000ff wait for __shfl_sync"));
}

/* ---- cp.async ---- */

/* y = x, by cp.async: 0 right, 1 without a wait, 2 a wait that leaves one group, 3 no barrier. */
__global__ static void carry(float *y, const float *x, int flaw)
{
    SHARED(float, s, N);
    int i = (int)threadIdx.x;
    if (i < N / 4)
        copy_async(s + 4 * i, x + 4 * i, 16);
    copy_async_commit();
    if (flaw == 2)
        copy_async_wait<1>();
    else if (flaw != 1)
        copy_async_wait<0>();
    if (flaw != 3)
        __syncthreads();
    y[i] = s[N - 1 - i];
    __syncthreads();
    copy_async_wait<0>();
}

TEST(emulation_finds_a_missing_wait)
{
    for (int flaw = 0; flaw <= 3; flaw++) {
        int wrong = wrong_orders([=] {
            numbers x(1), y(0);
            LAUNCH(carry, 1, N, 0, nullptr, y.at, (const float *)x.at, flaw);
            std::vector<float> got = y.read();
            bool right = true;
            for (int i = 0; i < N; i++)
                right = right && got[(size_t)i] == (float)(N - i);
            return right;
        });
        CHECK(flaw == 0 ? wrong == 0 : flaw == 3 ? wrong > 0 : wrong == 20);
    }
}

__global__ static void forget_to_wait(const float *x)
{
    SHARED(float, s, N);
    copy_async(s + 4 * threadIdx.x, x, 16);
    copy_async_commit();
}

__global__ static void carry_beyond(const float *x, int to)
{
    SHARED(float, s, N);
    copy_async(s + to, x, 16);
    copy_async_commit();
    copy_async_wait<0>();
}

TEST(emulation_finds_bad_copies)
{
    cuda_host_quiet(1);
    numbers x(1);
    LAUNCH(forget_to_wait, 1, WARP, 0, nullptr, (const float *)x.at);
    cudaDeviceSynchronize();
    CHECK(reported("ended without waiting for its cp.async"));
    LAUNCH(carry_beyond, 1, WARP, 0, nullptr, (const float *)x.at, N - 4);
    CHECK_INT(cudaDeviceSynchronize(), cudaSuccess);
    LAUNCH(carry_beyond, 1, WARP, 0, nullptr, (const float *)x.at, N);
    cudaDeviceSynchronize();
    CHECK(reported("cp.async of 16 bytes beyond shared memory"));
    LAUNCH(carry_beyond, 1, WARP, 0, nullptr, (const float *)x.at, 2);
    cudaDeviceSynchronize();
    CHECK(reported("no multiple"));
}

/* ---- memory ---- */

__global__ static void write_at(float *y, int shared, int global)
{
    SHARED(float, s, N);
    s[threadIdx.x] = 0;
    if (threadIdx.x == 0) {
        s[shared] = 1;
        y[global] = 1;
    }
}

static void write_one(int shared, int global)
{
    numbers y(0);
    LAUNCH(write_at, 1, N, 0, nullptr, y.at, shared, global);
}

TEST(emulation_finds_writes_beyond)
{
    cuda_host_quiet(1);
    write_one(N - 1, N - 1);
    CHECK(cuda_host_report() == nullptr);
    write_one(N, 0);
    CHECK(reported("behind an array of 1024 bytes of shared memory"));
    write_one(-1, 0);
    CHECK(reported("before an array"));
    write_one(0, N);
    CHECK(reported("written behind an allocation of 1024 bytes"));
    write_one(0, -1);
    CHECK(reported("written before an allocation"));
}

__global__ static void add(float *y, const float *x)
{
    y[threadIdx.x] += x[threadIdx.x];
}

TEST(emulation_finds_bad_pointers)
{
    cuda_host_quiet(1);
    float host[N] = { 0 }, *freed, *device;
    numbers y(0);
    cudaMalloc((void **)&freed, sizeof host);
    cudaFree(freed);
    LAUNCH(add, 1, N, 0, nullptr, y.at, (const float *)host);
    CHECK(reported("kernel add was given a pointer that is the host's"));
    LAUNCH(add, 1, N, 0, nullptr, y.at, (const float *)freed);
    CHECK(reported("belongs to no allocation, or to one that was freed"));
    CHECK_INT(cudaFree(freed), cudaErrorInvalidValue);
    CHECK(reported("freed before"));

    cudaMalloc((void **)&device, sizeof host);
    cudaMemcpy(host, device, sizeof host, cudaMemcpyHostToDevice);
    CHECK(reported("the pointer is the host's"));
    cudaMemcpy(device, device, sizeof host, cudaMemcpyHostToDevice);
    CHECK(reported("the pointer is a device's"));
    cudaMemcpy(device, host, sizeof host + 4, cudaMemcpyHostToDevice);
    CHECK(reported("ends behind its allocation"));
    cudaMemcpy(host, device, sizeof host, cudaMemcpyDeviceToHost);
    CHECK(isnan(host[0]) && isnan(host[N - 1]));            /* never written */
    cudaFree(device);
}

/* Runs in a child, for it ends by a signal (or by what the sanitizer makes of that). */
template <class F> static bool dies(F run)
{
    fflush(nullptr);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        run();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

TEST(emulation_keeps_the_host_out)
{
    numbers x(1);
    cudaDeviceSynchronize();
    CHECK(!dies([] {}));
    CHECK(dies([&] { *(volatile float *)x.at = 1; }));
    CHECK(dies([&] { (void)*(volatile float *)x.at; }));
}

/* ---- streams ---- */

TEST(emulation_runs_streams_late)
{
    float *pinned, host[N] = { 7 };
    cudaStream_t s;
    numbers y(0);
    cuda_host_seed(1);
    cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    cudaMallocHost((void **)&pinned, sizeof host);
    for (int i = 0; i < N; i++)
        pinned[i] = 1;
    cudaMemcpyAsync(y.at, pinned, sizeof host, cudaMemcpyHostToDevice, s);
    pinned[0] = 2;                                          /* too early: the copy sees it */
    cudaStreamSynchronize(s);
    CHECK(y.read()[0] == 2 && y.read()[1] == 1);

    cudaMemcpyAsync(y.at, host, sizeof host, cudaMemcpyHostToDevice, s);
    host[0] = 8;                                            /* pageable: already on its way */
    cudaMemcpyAsync(pinned, y.at, sizeof host, cudaMemcpyDeviceToHost, s);
    CHECK(pinned[0] == 2);                                  /* not yet */
    cudaStreamSynchronize(s);
    CHECK(pinned[0] == 7);
    cudaFreeHost(pinned);
    cudaStreamDestroy(s);
}

TEST(emulation_keeps_the_order_of_events)
{
    cudaStream_t a, b;
    cudaEvent_t e;
    cuda_host_seed(1);
    numbers x(1), y(0);
    cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&e, cudaEventDisableTiming);
    cudaMemsetAsync(x.at, 0, N * sizeof(float), a);
    cudaEventRecord(e, a);
    cudaMemsetAsync(x.at, 0xff, N * sizeof(float), a);      /* behind the event: not waited for */
    cudaStreamWaitEvent(b, e, 0);
    LAUNCH(add, 1, N, 0, b, y.at, (const float *)x.at);
    CHECK_INT(cudaEventQuery(e), cudaErrorNotReady);
    cudaStreamSynchronize(b);
    CHECK_INT(cudaEventQuery(e), cudaSuccess);
    std::vector<float> got = y.read();
    CHECK(got[0] == 0 && got[9] == 9);                      /* x was zeros */
    cudaStreamSynchronize(a);
    CHECK(isnan(x.read()[0]));
    cudaEventDestroy(e);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
}

/* ---- devices ---- */

TEST(emulation_has_devices_that_fail)
{
    cuda_host_quiet(1);
    int n;
    size_t left, total;
    void *p;
    cuda_host_devices(0);
    CHECK_INT(cudaGetDeviceCount(&n), cudaErrorNoDevice);
    cuda_host_devices(2);
    cuda_host_memory(10000);
    CHECK_INT(cudaGetDeviceCount(&n), cudaSuccess);
    CHECK_INT(n, 2);
    CHECK_INT(cudaSetDevice(2), cudaErrorInvalidDevice);
    CHECK_INT(cudaMalloc(&p, 10001), cudaErrorMemoryAllocation);
    CHECK_INT(cudaMalloc(&p, 6000), cudaSuccess);
    cudaMemGetInfo(&left, &total);
    CHECK(left == 4000 && total == 10000);
    cudaSetDevice(1);
    cudaMemset(p, 0, 1);
    CHECK(reported("is another device's"));
    cuda_host_break(1, 1);
    {
        numbers y(0);                                       /* the one copy that still goes */
        LAUNCH(sums, 1, N, 0, nullptr, y.at, (const float *)y.at);
        CHECK_INT(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    }
    CHECK(cuda_host_report() == nullptr);                   /* no mistake: it was asked for */
    cudaSetDevice(0);
    CHECK_INT(cudaFree(p), cudaSuccess);
    cuda_host_fail_alloc(1);
    CHECK_INT(cudaMalloc(&p, 100), cudaSuccess);
    cudaFree(p);
    CHECK_INT(cudaMalloc(&p, 100), cudaErrorMemoryAllocation);
}

TEST(emulation_refuses_bad_launches)
{
    cuda_host_quiet(1);
    numbers y(0);
    LAUNCH(leave_early, 0, N, 0, nullptr, y.at, N);
    CHECK(reported("no such launch"));
    LAUNCH(leave_early, 1, 2048, 0, nullptr, y.at, N);
    CHECK(reported("no such launch"));
    LAUNCH(leave_early, 1, N, 50 << 10, nullptr, y.at, N);
    CHECK(reported("bytes of shared memory (allowed: 49152)"));
    cudaFuncSetAttribute(leave_early, cudaFuncAttributeMaxDynamicSharedMemorySize, 60 << 10);
    LAUNCH(leave_early, 1, N, 50 << 10, nullptr, y.at, N);
    CHECK_INT(cudaDeviceSynchronize(), cudaSuccess);
}

/* ---- tensor cores ---- */

/* d [16,8] = a [16,16] b [8,16]', with fragments as attention.cu loads them. */
template <enum number TYPE, bool ROWS> __global__ static void tensor(float *d, const uint16_t *a,
                                                                     const uint16_t *b)
{
    SHARED(uint16_t, s, 16 * 16 + 16 * 16);
    int lane = (int)threadIdx.x;
    uint32_t x[4], y[4];
    for (int i = lane; i < 16 * 16; i += WARP) {
        s[i] = a[i];
        s[256 + i] = ROWS ? (i < 128 ? b[i] : 0) : (i % 16 < 8 ? b[i % 16 * 16 + i / 16] : 0);
    }
    __syncwarp();
    load_matrices(x, s + (lane % 16) * 16 + lane / 16 * 8);
    if (ROWS)                                               /* b as it lies, k along a row */
        load_matrices(y, s + 256 + (lane % 8 + lane / 16 * 8) * 16 + lane / 8 % 2 * 8);
    else                                                    /* b' in memory, k down a column */
        load_matrices_transposed(y, s + 256 + lane % 16 * 16);
    float sum[4] = { 0, 0, 0, 0 };
    multiply_add<TYPE>(sum, x, y);
    for (int i = 0; i < 4; i++)
        d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

template <enum number TYPE, bool ROWS> static void multiplies()
{
    uint16_t a[256], b[128], *da, *db;
    cudaMalloc((void **)&da, sizeof a);
    cudaMalloc((void **)&db, sizeof b);
    for (int i = 0; i < 256; i++)
        a[i] = rounded<TYPE>((float)(i * 7 % 19 - 9));
    for (int i = 0; i < 128; i++)
        b[i] = rounded<TYPE>((float)(i * 5 % 23 - 11));
    cudaMemcpy(da, a, sizeof a, cudaMemcpyHostToDevice);
    cudaMemcpy(db, b, sizeof b, cudaMemcpyHostToDevice);
    numbers d(0, 128);
    auto kernel = tensor<TYPE, ROWS>;
    LAUNCH(kernel, 1, WARP, 0, nullptr, d.at, (const uint16_t *)da, (const uint16_t *)db);
    std::vector<float> got = d.read();
    for (int i = 0; i < 128; i++) {
        float want = 0;
        for (int k = 0; k < 16; k++)
            want += widened<TYPE>(a[i / 8 * 16 + k]) * widened<TYPE>(b[i % 8 * 16 + k]);
        CHECK(got[(size_t)i] == want);
    }
    cudaFree(da);
    cudaFree(db);
}

TEST(emulation_multiplies_as_tensor_cores)
{
    multiplies<NUM_F16, true>();
    multiplies<NUM_BF16, true>();
    multiplies<NUM_F16, false>();
    multiplies<NUM_BF16, false>();
}

/* Every 16-bit pattern: what the tensor cores read is what the conversions say, NaN as NaN. */
TEST(emulation_reads_every_f16)
{
    int wrong = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        float d[WARP][4] = { { 0 } };
        uint32_t a[WARP][4] = { { 0 } }, b[WARP][2] = { { 0 } };
        cuda_host::multiplied m[WARP];
        void *value[WARP];
        a[0][0] = h;                                        /* A[0][0] and B[0][0] */
        b[0][0] = 0x3c00;
        for (int i = 0; i < WARP; i++) {
            m[i] = { d[i], a[i], b[i] };
            value[i] = &m[i];
        }
        cuda_host::multiply_f16.perform(value);
        float want = f16_to_float((uint16_t)h);
        wrong += isnan(want) ? !isnan(d[0][0]) : d[0][0] != want;
        h += h > 0x480 && h < 0x7b00 ? 6 : 0;               /* the middle, in steps */
    }
    CHECK_INT(wrong, 0);
}

/* ---- products ---- */

/* The first 3 rows of y [M,4] = x [M,K] w [4,K]', by the first algorithm of `kinds`. */
static std::vector<float> first_rows(const char *kinds, int M)
{
    enum { K = 200, OUT = 4 };
    cublasLtHandle_t h;
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t lw, lx, ly;
    cublasLtMatmulPreference_t p;
    cublasLtMatmulHeuristicResult_t r;
    cublasOperation_t transposed = CUBLAS_OP_T;
    float one = 1, zero = 0;
    int found = 0;
    std::vector<float> hw(OUT * K), hx((size_t)M * K);
    for (size_t i = 0; i < hw.size(); i++)
        hw[i] = (float)(i * 89 % 997) / 500 - 1;
    for (size_t i = 0; i < hx.size(); i++)
        hx[i] = (float)(i * 97 % 1001) / 500 - 1;
    numbers w(0, hw.size()), x(0, hx.size()), y(0, (size_t)M * OUT);
    cudaMemcpy(w.at, hw.data(), hw.size() * 4, cudaMemcpyHostToDevice);
    cudaMemcpy(x.at, hx.data(), hx.size() * 4, cudaMemcpyHostToDevice);
    cuda_host_products(kinds);
    cublasLtCreate(&h);
    cublasLtMatmulDescCreate(&op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    cublasLtMatrixLayoutCreate(&lw, CUDA_R_32F, K, OUT, K);
    cublasLtMatrixLayoutCreate(&lx, CUDA_R_32F, K, (uint64_t)M, K);
    cublasLtMatrixLayoutCreate(&ly, CUDA_R_32F, OUT, (uint64_t)M, OUT);
    cublasLtMatmulPreferenceCreate(&p);
    CHECK_INT(cublasLtMatmulAlgoGetHeuristic(h, op, lw, lx, ly, ly, p, 1, &r, &found), 0);
    CHECK_INT(found, 1);
    CHECK_INT(cublasLtMatmul(h, op, &one, w.at, lw, x.at, lx, &zero, y.at, ly, y.at, ly, &r.algo,
                             nullptr, 0, nullptr), 0);
    std::vector<float> got = y.read();
    for (size_t i = 0; i < got.size(); i++) {
        double want = 0;
        for (size_t k = 0; k < K; k++)
            want += (double)hx[i / OUT * K + k] * hw[i % OUT * K + k];
        CHECK_NEAR(got[i], want, 1e-4);
    }
    cublasLtMatmulPreferenceDestroy(p);
    for (cublasLtMatrixLayout_t l : { lw, lx, ly })
        cublasLtMatrixLayoutDestroy(l);
    cublasLtMatmulDescDestroy(op);
    cublasLtDestroy(h);
    got.resize(3 * OUT);
    return got;
}

TEST(emulation_offers_products_of_every_kind)
{
    CHECK(first_rows("a", 3) == first_rows("a", 100));
    CHECK(first_rows("k", 3) == first_rows("k", 100));            /* its own order, in any company */
    CHECK(first_rows("k", 3) != first_rows("a", 3));
    CHECK(first_rows("n", 3) == first_rows("a", 3));
    CHECK(first_rows("n", 100) != first_rows("a", 100));
}
