/* matmul_amx.c -- the product of bf16 numbers by AMX (Sapphire Rapids, 2023).
 *
 * A tile is 16 rows of 64 bytes. TDPBF16PS takes 16 rows x 32 k's of a (each row of the tile is one
 * row's k's) and 16 pairs of k x 16 columns of b, which is half the width of a panel, and adds all
 * 16 x 16 sums. Two tiles of rows by two of columns share their loads:
 *
 *              b: tile 6   tile 7            every tile of a and b is used twice, so that 4 loads
 *     a: tile 4   tile 0   tile 1            (8 cycles each, from L1) hide behind 4 products (16
 *        tile 5   tile 2   tile 3            cycles each)
 *
 * In a full block the panel's 32 KB stay in L1 for all groups of rows. So the rows, from L2, are
 * loaded with the hint that they need not stay, and the sums of the next group, which lie behind
 * this one's, are fetched meanwhile: 58, 74, 82 % of the peak without, with the one, with
 * both, where all lies in L2 and is 0. Whole products reach half: L3 is the limit there.
 *
 * Few rows take the same instructions, so their sums have the same bits; unused rows of a tile are
 * whatever they are, and give sums that nobody reads. Subnormals count as 0. */
#include <string.h>
#include "kernels/private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/target.h"
TARGET_BEGIN("avx512f,amx-tile,amx-bf16")

enum { ROWS = 32, BLOCK = 512, TILE = 16 * 32, STRIDE = PANEL * 4 };    /* bytes of b's, c's rows */

/* Intel SDM, LDTILECFG: palette 1, eight tiles of 16 rows of 64 bytes. Constant, since compilers
 * think that the instruction reads eight bytes, and would drop what a function stores behind them.
 */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} all_tiles = {
    1, 0, { 0 }, { 64, 64, 64, 64, 64, 64, 64, 64 }, { 16, 16, 16, 16, 16, 16, 16, 16 },
};

static void begin(void)
{
    _tile_loadconfig(&all_tiles);
}

static void end(void)
{
    _tile_release();
}

static void run(float *c, const void *a, const void *b, int rows, int k, int keep,
                const struct ahead *soon)
{
    const uint16_t *x = a, *w = b;
    const char *fetch = soon->at;
    float *below = c + 16 * PANEL, *next = c + ROWS * PANEL;
    if (keep) {
        _tile_loadd(0, c, STRIDE);
        _tile_loadd(1, c + 16, STRIDE);
    } else {
        _tile_zero(0);
        _tile_zero(1);
    }
    if (rows <= 16) {
        for (; k > 0; k -= 32, x += TILE, w += 2 * TILE) {
            for (int i = 0; i < soon->lines; i++, fetch += 64)
                _mm_prefetch(fetch, _MM_HINT_T1);
            _tile_loadd(4, x, 64);
            _tile_loadd(6, w, STRIDE);
            _tile_loadd(7, w + 32, STRIDE);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
        }
        _tile_stored(0, c, STRIDE);
        _tile_stored(1, c + 16, STRIDE);
        return;
    }
    if (keep) {
        _tile_loadd(2, below, STRIDE);
        _tile_loadd(3, below + 16, STRIDE);
    } else {
        _tile_zero(2);
        _tile_zero(3);
    }
    if (k < BLOCK) {
        for (; k > 0; k -= 32, x += 2 * TILE, w += 2 * TILE) {
            _tile_loadd(4, x, 64);
            _tile_loadd(6, w, STRIDE);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, w + 32, STRIDE);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, x + TILE, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    } else {
        for (; k > 0; k -= 32, x += 2 * TILE, w += 2 * TILE, next += 2 * PANEL) {
            for (int i = 0; i < soon->lines; i++, fetch += 64)
                _mm_prefetch(fetch, _MM_HINT_T1);
            for (int i = 0; i < 2 * PANEL; i += 16)
                _mm_prefetch((const char *)(next + i), _MM_HINT_T0);
            _tile_stream_loadd(4, x, 64);
            _tile_loadd(6, w, STRIDE);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, w + 32, STRIDE);
            _tile_dpbf16ps(1, 4, 7);
            _tile_stream_loadd(5, x + TILE, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c, STRIDE);
    _tile_stored(1, c + 16, STRIDE);
    _tile_stored(2, below, STRIDE);
    _tile_stored(3, below + 16, STRIDE);
}

static double peak(double seconds)
{
    enum { STEPS = 10000 };
    double flops = 0, start = kernels_seconds(), now;
    begin();
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    do {
        for (int l = 0; l < STEPS; l++) {
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        flops += 2.0 * STEPS * 4 * 16 * 16 * 32;
        now = kernels_seconds();
    } while (now - start < seconds);
    end();
    return flops / (now - start);
}

TARGET_END

const struct micro micro_amx = {
    .name = "amx", .rows = ROWS, .block = BLOCK, .near = 1 << 20, .type = NUM_BF16,
    .tiled = 1, .begin = begin, .end = end, .run = run, .peak = peak,
};

#endif
