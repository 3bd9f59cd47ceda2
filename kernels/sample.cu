/* sample.cu -- which token comes next, a block to a row of logits; the CPU's twin is sample.c.
 *
 * A logit and its id become one number, a rank, that is smaller the likelier the token: equal logits
 * are in the order of their ids, so all comparisons have one outcome. Greedy rows, which is nearly
 * all there ever are, look for the smallest rank. Rows with a temperature sort theirs in memory (a
 * bitonic network) and are then finished by one thread, in the CPU's order and in double precision,
 * so that the same u draws the same token. */
#include "kernels/reduce.cuh"

enum { SAMPLE_THREADS = 512 };

static const uint64_t NONE = ~(uint64_t)0;                  /* behind every rank */

/* NaN counts as least likely. */
__device__ __forceinline__ uint64_t rank_of(float logit, int id)
{
    union { float f; uint32_t u; } bits = { logit == logit ? logit : -INFINITY };
    uint32_t up = bits.u & 0x80000000u ? ~bits.u : bits.u | 0x80000000u;    /* grows with logit */
    return (uint64_t)(bits.f == 0 ? 0x7fffffffu : ~up) << 32 | (uint32_t)id;    /* -0 is 0 */
}

__device__ __forceinline__ uint64_t warp_first(uint64_t rank)
{
    UNROLL
    for (int lanes = WARP / 2; lanes; lanes /= 2) {
        uint32_t high = __shfl_xor_sync(0xffffffffu, (uint32_t)(rank >> 32), lanes);
        uint32_t low = __shfl_xor_sync(0xffffffffu, (uint32_t)rank, lanes);
        uint64_t other = (uint64_t)high << 32 | low;
        rank = other < rank ? other : rank;
    }
    return rank;
}

__device__ __forceinline__ uint64_t rank_at(const float *logits, int i, int n,
                                            const uint8_t *allowed)
{
    return i < n && (!allowed || allowed[i]) ? rank_of(logits[i], i) : NONE;
}

/* The smallest rank of all, in every thread of warp 0. */
__device__ __forceinline__ uint64_t first_of(const float *logits, int n, const uint8_t *allowed,
                                             uint64_t *part)
{
    uint64_t best = NONE;
    for (int i = (int)threadIdx.x; i < n; i += SAMPLE_THREADS) {
        uint64_t r = rank_at(logits, i, n, allowed);
        best = r < best ? r : best;
    }
    best = warp_first(best);
    if (threadIdx.x % WARP == 0)
        part[threadIdx.x / WARP] = best;
    __syncthreads();
    int lane = (int)threadIdx.x % WARP;
    return warp_first(lane < SAMPLE_THREADS / WARP ? part[lane] : NONE);
}

/* Sorts m ranks, a power of two, smallest first. */
__device__ static void sort(uint64_t *rank, int m)
{
    for (int run = 2; run <= m; run *= 2)
        for (int apart = run / 2; apart; apart /= 2) {
            __syncthreads();
            for (int i = (int)threadIdx.x; i < m / 2; i += SAMPLE_THREADS) {
                int low = i / apart * 2 * apart + i % apart, high = low + apart;
                uint64_t a = rank[low], b = rank[high];
                if ((a > b) == !(low & run)) {
                    rank[low] = b;
                    rank[high] = a;
                }
            }
        }
    __syncthreads();
}

/* One thread's work: the draw among sorted tokens. p [n]: room for their probabilities. */
__device__ static int drawn_token(const float *logits, const uint64_t *rank, double *p, int n,
                                  struct draw how)
{
    int m = 0, keep = 0;
    double sum = 0, kept = 0, drawn = 0;
    while (m < n && rank[m] != NONE && (how.top_k <= 0 || m < how.top_k)) {
        double z = logits[(uint32_t)rank[m]], most = logits[(uint32_t)rank[0]];
        sum += p[m++] = exp((z - most) / how.temperature);
    }
    double enough = how.top_p < 1 ? how.top_p * sum : sum;
    while (keep < m && (keep == 0 || kept < enough || how.top_p >= 1))
        kept += p[keep++];
    for (int i = 0; i < keep; i++) {
        drawn += p[i];
        if (drawn > how.u * kept)
            return (int)(uint32_t)rank[i];
    }
    return (int)(uint32_t)rank[keep - 1];
}

/* m: the power of two from n on; scratch: of each row m ranks and n probabilities. */
__global__ static void __launch_bounds__(SAMPLE_THREADS)
sample_rows(int32_t *out, const float *all_logits, int V, int n, int m, const uint8_t *allowed,
            const struct draw *how, void *scratch)
{
    SHARED(uint64_t, part, WARP);
    const float *logits = all_logits + (size_t)blockIdx.x * (size_t)V;
    if (!(how[blockIdx.x].temperature > 0)) {
        uint64_t best = first_of(logits, n, allowed, part);
        if (threadIdx.x == 0)
            out[blockIdx.x] = best == NONE ? -1 : (int32_t)(uint32_t)best;
        return;
    }
    uint64_t *rank = (uint64_t *)scratch + (size_t)blockIdx.x * (size_t)(m + n);
    for (int i = (int)threadIdx.x; i < m; i += SAMPLE_THREADS)
        rank[i] = rank_at(logits, i, n, allowed);
    sort(rank, m);
    if (threadIdx.x == 0)
        out[blockIdx.x] = rank[0] == NONE ? -1 :
                          drawn_token(logits, rank, (double *)(rank + m), n, how[blockIdx.x]);
}

static int power_from(int n)
{
    int m = 1;
    while (m < n)
        m *= 2;
    return m;
}

size_t sample_cuda_scratch(int S, int n)
{
    return (size_t)S * (size_t)(power_from(n) + n) * sizeof(uint64_t);
}

int sample_cuda(int32_t *out, const float *logits, int S, int V, int n, const uint8_t *allowed,
                const struct draw *how, void *scratch, void *stream)
{
    if (S == 0)
        return cudaSuccess;
    LAUNCH(sample_rows, S, SAMPLE_THREADS, 0, stream, out, logits, V, n, power_from(n), allowed,
           how, scratch);
    return cudaGetLastError();
}
