/* attention.cu -- softmax(q k' / sqrt(d)) v over the KV cache; the CPU's twin is attention.c.
 *
 * A block is a tile of rows (neighbours of one base) and a head. It walks over the columns that its
 * rows see, in chunks of 64, from the slot's base and from each start of an own region on, with an
 * online softmax (Milakov and Gimelshein 2018; Dao 2022): the next chunk of K and V comes in while
 * this one is multiplied.
 *
 *     S = q k'                      [rows, chunk]
 *     P, most, sum = softmax(S)     what a row does not see is 0
 *     y = y * correction + P v      and y / sum at the end
 *
 * A row's chunks start at its base and at its own region's start, whatever tile it is in; one of
 * which it sees nothing does not touch its sums, be there infinities in it. What nobody of the tile
 * sees counts as 0, whatever the cache holds there. So a row's bits are its own.
 *
 * 16-bit numbers: 4 warps of 16 rows each, on the tensor cores. F32, the reference: 4 warps of 4. */
#include <assert.h>
#include "kernels/reduce.cuh"

enum { WARPS = 4, ATTEND_THREADS = WARPS * WARP, CHUNK = 64, ROWS_16 = 64, ROWS_F32 = 16 };

#define LOWEST (-3.0e38f)

/* ---- which columns ---- */

struct sight { int base, shared, own, end; };               /* a row sees [base,shared), [own,end) */

__device__ __forceinline__ struct sight sight_of(const struct place *at)
{
    struct sight s = { at->base, at->base + at->prefix, at->lo, at->col + 1 };
    if (s.own <= s.shared) {                                /* it joins up: one range from base */
        s.shared = s.end > s.shared ? s.end : s.shared;
        s.own = s.end = s.shared;
    }
    return s;
}

/* Columns to walk over, for rows first .. last of the tile: range 0 is what starts at the base,
 * then one for each run of rows with one own region. */
struct range { int from, to, first, last; };

/* Fills sights [ROWS] and ranges [ROWS + 1] of shared memory and returns how many ranges there are.
 * Rows from n on see nothing. */
template <int ROWS>
__device__ __forceinline__ int find_ranges(struct sight *sights, struct range *ranges,
                                           unsigned *votes, const struct place *at, int n)
{
    int r = (int)threadIdx.x, warp = r / WARP, lane = r % WARP;
    struct sight s = { 0, 0, 0, 0 };
    bool has_own = false, starts = false;
    if (r <= ROWS)
        ranges[r] = { 0, 0, 0, 0 };
    if (r < n) {
        s = sight_of(&at[r]);
        has_own = s.end > s.own;
        struct sight before = sight_of(&at[r ? r - 1 : 0]);
        starts = has_own && (r == 0 || before.end <= before.own || before.own != s.own);
    }
    if (r < ROWS)
        sights[r] = s;
    unsigned mine = __ballot_sync(0xffffffffu, starts);
    if (lane == 0)
        votes[warp] = mine;
    __syncthreads();
    int before = warp ? __popc(votes[0]) : 0;               /* at most two warps hold rows */
    if (r < n) {
        atomicMax(&ranges[0].to, s.shared);
        if (r == 0)
            ranges[0].from = s.base, ranges[0].last = n;
    }
    if (has_own) {
        struct range *own = &ranges[before + __popc(mine & ((2u << lane) - 1u))];
        atomicMax(&own->to, s.end);
        atomicMax(&own->last, r + 1);
        if (starts)
            own->from = s.own, own->first = r;
    }
    __syncthreads();
    return 1 + __popc(votes[0]) + __popc(votes[1]);
}

/* Where a walk stands: chunk `column` of range `i`. */
struct walk { int i, column; };

__device__ __forceinline__ bool start_range(struct walk *w, const struct range *ranges, int n)
{
    while (w->i < n && ranges[w->i].from >= ranges[w->i].to)
        w->i++;
    if (w->i < n)
        w->column = ranges[w->i].from;
    return w->i < n;
}

__device__ __forceinline__ bool next_chunk(struct walk *w, const struct range *ranges, int n)
{
    w->column += CHUNK;
    if (w->column < ranges[w->i].to)
        return true;
    w->i++;
    return start_range(w, ranges, n);
}

/* How many of the chunk's columns row r of the tile sees: so many of the first. */
__device__ __forceinline__ int seen(const struct walk *w, const struct range *ranges,
                                    const struct sight *sights, int r)
{
    const struct range *g = &ranges[w->i];
    int end = w->i == 0 ? sights[r].shared :
              r >= g->first && r < g->last ? sights[r].end : w->column;
    int n = end - w->column;
    return n < 0 ? 0 : n < CHUNK ? n : CHUNK;
}

/* A chunk of K or V, [columns][d] behind `from`, to shared memory [CHUNK][STRIDE], of SIZE bytes a
 * number: zeros behind column `to` and behind d. */
template <int D, int STRIDE, int SIZE>
__device__ __forceinline__ void load_chunk(void *shared, const void *from, int column, int to,
                                           int d)
{
    constexpr int PIECE = 16 / SIZE, ACROSS = D / PIECE, DOWN = ATTEND_THREADS / ACROSS;
    int c = (int)threadIdx.x / ACROSS, j = (int)threadIdx.x % ACROSS * PIECE;
    char *put = (char *)shared + (c * STRIDE + j) * SIZE;
    const char *get = (const char *)from + ((size_t)(column + c) * (size_t)d + (size_t)j) * SIZE;
    int left = j < d ? to - column - c : 0;                 /* columns from this thread's first on */
    UNROLL
    for (int i = 0; i < CHUNK / DOWN; i++) {
        copy_async(put, left > 0 ? get : (const char *)from, left > 0 ? 16 : 0);
        put += DOWN * STRIDE * SIZE;
        get += (size_t)(DOWN * d) * SIZE;
        left -= DOWN;
    }
}

/* ---- 16-bit numbers, on tensor cores ---- */

/* D: d, rounded up to a size there is a kernel for. Rows of shared memory are 16 bytes longer, so
 * that 8 of them below each other lie in different banks. */
template <int D> struct chunk16 { uint16_t k[CHUNK][D + 8], v[CHUNK][D + 8]; };

/* The fragments of q that this lane holds: rows r and r + 8, or zeros. */
template <int D>
__device__ __forceinline__ void load_q(uint32_t q[D / 16][4], const uint16_t *from, size_t stride,
                                       int r, int n, int d)
{
    int j = (int)threadIdx.x % 4 * 2;
    UNROLL
    for (int k = 0; k < D / 16; k++)
        UNROLL
        for (int i = 0; i < 4; i++) {                       /* i: + 8 rows, + 8 columns */
            int row = r + i % 2 * 8, at = k * 16 + i / 2 * 8 + j;
            q[k][i] = row < n && at < d ?
                      *(const uint32_t *)(from + (size_t)row * stride + at) : 0;
        }
}

template <enum number TYPE, int D>
__device__ __forceinline__ void scores(float s[CHUNK / 8][4], const uint32_t q[D / 16][4],
                                       const struct chunk16<D> *chunk)
{
    int lane = (int)threadIdx.x % WARP;
    UNROLL
    for (int c = 0; c < CHUNK / 8; c++)
        UNROLL
        for (int i = 0; i < 4; i++)
            s[c][i] = 0;
    UNROLL
    for (int k = 0; k < D / 32; k++)                        /* 32 of d at a time */
        UNROLL
        for (int c = 0; c < CHUNK / 8; c++) {
            uint32_t b[4];
            load_matrices(b, &chunk->k[c * 8 + lane % 8][k * 32 + lane / 8 * 8]);
            multiply_add<TYPE>(s[c], q[2 * k], b);
            multiply_add<TYPE>(s[c], q[2 * k + 1], b + 2);
        }
}

/* Turns scores of one row (half 0: the lane's first, 1: its second), of which n are seen, into
 * powers; returns by what earlier sums must be multiplied. */
__device__ __forceinline__ float softmax_row(float s[CHUNK / 8][4], int half, int n, float scale,
                                             float *most, float *sum)
{
    int j = (int)threadIdx.x % 4 * 2;
    float top = -INFINITY, total = 0;
    if (__any_sync(0xffffffffu, n < CHUNK))                 /* uniform: else registers run out */
        UNROLL
        for (int i = 0; i < CHUNK / 4; i++)
            if (i / 2 * 8 + j + i % 2 >= n)
                s[i / 2][2 * half + i % 2] = -INFINITY;
    UNROLL
    for (int i = 0; i < CHUNK / 4; i++)
        top = fmaxf(top, s[i / 2][2 * half + i % 2]);
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1)); /* a row's scores are in four lanes */
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
    top = fmaxf(*most, top * scale);
    UNROLL
    for (int i = 0; i < CHUNK / 4; i++) {
        float *at = &s[i / 2][2 * half + i % 2];
        *at = power_of_two(*at * scale - top);
        total += *at;
    }
    float by = power_of_two(*most - top);
    *most = top;
    *sum = *sum * by + total;
    return by;
}

template <enum number TYPE, int D>
__device__ __forceinline__ void add_values(float y[D / 8][4], const float s[CHUNK / 8][4],
                                           const struct chunk16<D> *chunk, const int n[2],
                                           const float by[2])
{
    int lane = (int)threadIdx.x % WARP;
    uint32_t p[CHUNK / 16][4];
    UNROLL
    for (int k = 0; k < CHUNK / 16; k++)
        UNROLL
        for (int i = 0; i < 4; i++) {
            const float *at = &s[2 * k + i / 2][i % 2 * 2];
            p[k][i] = rounded_pair<TYPE>(at[0], at[1]);
        }
    UNROLL
    for (int j = 0; j < D / 8; j++) {
        float more[4] = { 0, 0, 0, 0 };
        UNROLL
        for (int k = 0; k < CHUNK / 32; k++) {              /* 32 columns at a time */
            uint32_t b[4];
            load_matrices_transposed(b, &chunk->v[k * 32 + lane][j * 8]);
            multiply_add<TYPE>(more, p[2 * k], b);
            multiply_add<TYPE>(more, p[2 * k + 1], b + 2);
        }
        UNROLL
        for (int i = 0; i < 4; i++) {
            float sum = y[j][i] * by[i / 2] + more[i];
            y[j][i] = n[i / 2] ? sum : y[j][i];
        }
    }
}

template <enum number TYPE, int D>
__global__ static void __launch_bounds__(ATTEND_THREADS)
attend_16(uint16_t *out, const uint16_t *qkv, const uint16_t *k, const uint16_t *v,
          const struct place *all, const struct tile *tiles, int G, int d, int columns, float scale)
{
    SHARED_DYNAMIC(dynamic);
    SHARED(struct sight, sights, ROWS_16);
    SHARED(struct range, ranges, ROWS_16 + 1);
    SHARED(unsigned, votes, WARPS);
    struct chunk16<D> *buffer = (struct chunk16<D> *)dynamic;
    struct tile tile = tiles[gridDim.x - 1 - blockIdx.x];   /* rows of long prefixes come last, */
    int h = (int)blockIdx.y, H = (int)gridDim.y, g = h / (H / G);   /* and should start first */
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    int row = warp * 16 + lane / 4;                         /* this lane's: row, row + 8 */
    size_t stride = (size_t)(H + 2 * G) * (size_t)d, head = (size_t)g * (size_t)columns * (size_t)d;
    const struct place *at = all + tile.first;
    k += head;
    v += head;

    int n_ranges = find_ranges<ROWS_16>(sights, ranges, votes, at, tile.n);
    struct walk next = { 0, 0 };
    bool more = start_range(&next, ranges, n_ranges);
    load_chunk<D, D + 8, 2>(buffer[0].k, k, next.column, ranges[next.i].to, d);
    load_chunk<D, D + 8, 2>(buffer[0].v, v, next.column, ranges[next.i].to, d);
    copy_async_commit();

    uint32_t q[D / 16][4];
    float y[D / 8][4], most[2] = { LOWEST, LOWEST }, sum[2] = { 0, 0 };
    load_q<D>(q, qkv + (size_t)tile.first * stride + (size_t)h * (size_t)d, stride, row, tile.n, d);
    UNROLL
    for (int i = 0; i < D / 2; i++)
        y[i / 4][i % 4] = 0;

    for (int turn = 0; more; turn ^= 1) {
        struct walk now = next;
        more = next_chunk(&next, ranges, n_ranges);
        if (more) {
            load_chunk<D, D + 8, 2>(buffer[turn ^ 1].k, k, next.column, ranges[next.i].to, d);
            load_chunk<D, D + 8, 2>(buffer[turn ^ 1].v, v, next.column, ranges[next.i].to, d);
        }
        copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
        int n[2] = { seen(&now, ranges, sights, row), seen(&now, ranges, sights, row + 8) };
        if (__any_sync(0xffffffffu, n[0] | n[1])) {
            float s[CHUNK / 8][4], by[2];
            scores<TYPE, D>(s, q, &buffer[turn]);
            UNROLL
            for (int i = 0; i < 2; i++)
                by[i] = softmax_row(s, i, n[i], scale, &most[i], &sum[i]);
            add_values<TYPE, D>(y, s, &buffer[turn], n, by);
        }
        __syncthreads();
    }

    UNROLL
    for (int i = 0; i < 2; i++) {
        float all_lanes = sum[i] + __shfl_xor_sync(0xffffffffu, sum[i], 1);
        all_lanes += __shfl_xor_sync(0xffffffffu, all_lanes, 2);
        float by = 1 / all_lanes;
        uint16_t *to = out + ((size_t)(tile.first + row + 8 * i) * (size_t)H + (size_t)h) *
                             (size_t)d + lane % 4 * 2;
        UNROLL
        for (int j = 0; j < D / 8; j++)                     /* + 0: a negative zero becomes 0 */
            if (row + 8 * i < tile.n && j * 8 < d)
                *(uint32_t *)(to + j * 8) = rounded_pair<TYPE>(y[j][2 * i] * by + 0.0f,
                                                               y[j][2 * i + 1] * by + 0.0f);
    }
}

/* ---- F32 ---- */

enum { ROWS_WARP = ROWS_F32 / WARPS, HALF = CHUNK / WARP };

/* K's rows are 16 bytes longer, so that a warp's lanes, each in its row, use different banks. */
template <int D> struct chunk32 {
    float k[CHUNK][D + 4], v[CHUNK][D], q[ROWS_F32][D], p[ROWS_F32][CHUNK];
};

/* s[i][half]: row i of the warp, column lane + 32 half. */
template <int D>
__device__ __forceinline__ void scores_f32(float s[ROWS_WARP][HALF], const struct chunk32<D> *c)
{
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    UNROLL
    for (int i = 0; i < ROWS_WARP * HALF; i++)
        s[i / HALF][i % HALF] = 0;
    for (int j = 0; j < D; j += 4) {
        float4 k[HALF];
        UNROLL
        for (int half = 0; half < HALF; half++)
            k[half] = *(const float4 *)&c->k[lane + WARP * half][j];
        UNROLL
        for (int i = 0; i < ROWS_WARP; i++) {
            float4 q = *(const float4 *)&c->q[warp * ROWS_WARP + i][j];
            UNROLL
            for (int half = 0; half < HALF; half++)
                s[i][half] += q.x * k[half].x + q.y * k[half].y + q.z * k[half].z +
                              q.w * k[half].w;
        }
    }
}

/* At least 1 block: shared memory admits two; aiming at more, sm_90's registers would spill. */
template <int D>
__global__ static void __launch_bounds__(ATTEND_THREADS, 1)
attend_f32(float *out, const float *qkv, const float *k, const float *v, const struct place *all,
           const struct tile *tiles, int G, int d, int columns, float scale)
{
    SHARED_DYNAMIC(dynamic);
    SHARED(struct sight, sights, ROWS_F32);
    SHARED(struct range, ranges, ROWS_F32 + 1);
    SHARED(unsigned, votes, WARPS);
    struct chunk32<D> *chunk = (struct chunk32<D> *)dynamic;
    struct tile tile = tiles[gridDim.x - 1 - blockIdx.x];
    int h = (int)blockIdx.y, H = (int)gridDim.y, g = h / (H / G);
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    size_t stride = (size_t)(H + 2 * G) * (size_t)d, head = (size_t)g * (size_t)columns * (size_t)d;
    const struct place *at = all + tile.first;
    const float *q = qkv + (size_t)tile.first * stride + (size_t)h * (size_t)d;

    for (int i = (int)threadIdx.x; i < ROWS_F32 * D; i += ATTEND_THREADS)
        chunk->q[i / D][i % D] = i / D < tile.n && i % D < d ?
                                 q[(size_t)(i / D) * stride + (size_t)(i % D)] : 0;
    int n_ranges = find_ranges<ROWS_F32>(sights, ranges, votes, at, tile.n);
    float y[ROWS_WARP][D / WARP], most[ROWS_WARP], sum[ROWS_WARP];
    UNROLL
    for (int i = 0; i < ROWS_WARP; i++) {
        most[i] = LOWEST;
        sum[i] = 0;
        UNROLL
        for (int j = 0; j < D / WARP; j++)
            y[i][j] = 0;
    }

    struct walk now = { 0, 0 };
    for (bool more = start_range(&now, ranges, n_ranges); more;
         more = next_chunk(&now, ranges, n_ranges)) {
        load_chunk<D, D + 4, 4>(chunk->k, k + head, now.column, ranges[now.i].to, d);
        load_chunk<D, D, 4>(chunk->v, v + head, now.column, ranges[now.i].to, d);
        copy_async_commit();
        copy_async_wait<0>();
        __syncthreads();
        int n[ROWS_WARP], any = 0;
        UNROLL
        for (int i = 0; i < ROWS_WARP; i++)
            any |= n[i] = seen(&now, ranges, sights, warp * ROWS_WARP + i);
        if (any) {                                          /* the same in all lanes, as n is */
            float s[ROWS_WARP][HALF], by[ROWS_WARP];
            scores_f32<D>(s, chunk);
            UNROLL
            for (int i = 0; i < ROWS_WARP; i++) {
                float top = -INFINITY, total = 0;
                UNROLL
                for (int half = 0; half < HALF; half++) {
                    if (lane + WARP * half >= n[i])
                        s[i][half] = -INFINITY;
                    top = fmaxf(top, s[i][half]);
                }
                top = fmaxf(most[i], warp_most(top) * scale);
                UNROLL
                for (int half = 0; half < HALF; half++) {
                    float p = exp2f(s[i][half] * scale - top);
                    chunk->p[warp * ROWS_WARP + i][lane + WARP * half] = p;
                    total += p;
                }
                by[i] = exp2f(most[i] - top);
                sum[i] = sum[i] * by[i] + warp_sum(total);
                most[i] = top;
            }
            __syncwarp();                                   /* p is this warp's alone */
            UNROLL
            for (int i = 0; i < ROWS_WARP; i++)
                UNROLL
                for (int j = 0; j < D / WARP; j++) {
                    float more_y = 0;
                    for (int c = 0; c < n[i]; c++)
                        more_y += chunk->p[warp * ROWS_WARP + i][c] * chunk->v[c][lane + WARP * j];
                    y[i][j] = y[i][j] * by[i] + more_y;
                }
        }
        __syncthreads();
    }

    UNROLL
    for (int i = 0; i < ROWS_WARP; i++) {
        int row = warp * ROWS_WARP + i;
        float *to = out + ((size_t)(tile.first + row) * (size_t)H + (size_t)h) * (size_t)d;
        UNROLL
        for (int j = 0; j < D / WARP; j++)
            if (row < tile.n && lane + WARP * j < d)
                to[lane + WARP * j] = y[i][j] * (1 / sum[i]) + 0.0f;
    }
}

/* ---- launches ---- */

int attention_tiles(struct tile *tile, const struct place *at, int T, enum number type)
{
    int most = type == NUM_F32 ? ROWS_F32 : ROWS_16, n = 0;
    for (int t = 0; t < T; t++)
        if (n && tile[n - 1].n < most && at[t].base == at[t - 1].base)
            tile[n - 1].n++;
        else
            tile[n++] = { t, 1 };
    return n;
}

/* kernel is one of the above; N its numbers. */
template <class N, class KERNEL>
static int launch(KERNEL kernel, size_t shared, void *y, const struct attention *a,
                  const struct tile *tile, int tiles, void *stream)
{
    float scale = (float)(1.4426950408889634 / sqrt(a->d));
    cudaError_t rc = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          (int)shared);
    if (rc != cudaSuccess)
        return rc;
    LAUNCH(kernel, dim3((unsigned)tiles, (unsigned)a->heads), ATTEND_THREADS, shared, stream,
           (N *)y, (const N *)a->qkv, (const N *)a->k, (const N *)a->v, a->at, tile, a->kv_heads,
           a->d, a->columns, scale);
    return cudaGetLastError();
}

template <enum number TYPE, int D>
static int launch_16(void *y, const struct attention *a, const struct tile *tile, int tiles,
                     void *stream)
{
    return launch<uint16_t>(attend_16<TYPE, D>, 2 * sizeof(struct chunk16<D>), y, a, tile, tiles,
                            stream);
}

template <int D>
static int launch_f32(void *y, const struct attention *a, const struct tile *tile, int tiles,
                      void *stream)
{
    return launch<float>(attend_f32<D>, sizeof(struct chunk32<D>), y, a, tile, tiles, stream);
}

int attend_cuda(void *y, const struct attention *a, const struct tile *tile, int tiles,
                void *stream)
{
    typedef int launcher(void *, const struct attention *, const struct tile *, int, void *);
    static launcher *const launchers[3][3] = {
        { launch_f32<32>, launch_f32<64>, launch_f32<128> },
        { launch_16<NUM_BF16, 32>, launch_16<NUM_BF16, 64>, launch_16<NUM_BF16, 128> },
        { launch_16<NUM_F16, 32>, launch_16<NUM_F16, 64>, launch_16<NUM_F16, 128> },
    };
    assert(a->d % 8 == 0 && a->d <= ATTENTION_D && a->heads % a->kv_heads == 0);
    if (tiles == 0)
        return cudaSuccess;
    return launchers[a->type][a->d <= 32 ? 0 : a->d <= 64 ? 1 : 2](y, a, tile, tiles, stream);
}
