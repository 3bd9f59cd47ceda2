/* The account of a device's memory: which published model runs on which card. */
#include <stdlib.h>
#include "engine/memory.h"
#include "tests/check.h"

static struct model_config vicuna(int hidden, int layers, int heads, int ffn)
{
    return (struct model_config){
        .tower = { .hidden = 1024, .heads = 16, .ffn = 4096, .layers = 24, .run_layers = 23,
                   .side = 336, .patch = 14, .patches = 576 },
        .language = { .hidden = hidden, .layers = layers, .heads = heads, .kv_heads = heads,
                      .head_size = 128, .ffn = ffn, .vocabulary = 32000, .max_positions = 4096 },
        .connector_depth = 2,
    };
}

static const struct llava_options plain;

/* A card of 24 GB (or 40, 80) as its driver counts: about 3 % are its own, and 0.5 GB the context's. */
static size_t free_of(double gigabytes)
{
    return (size_t)(gigabytes * 0.97e9 - 0.5e9);
}

TEST(memory_of_the_7b_and_13b)
{
    struct model_config small = vicuna(4096, 32, 32, 11008), large = vicuna(5120, 40, 40, 13824);
    struct limits l;
    struct err e = { 0 };

    /* Parameters as model.md has them: 6.738 G and 13.016 G, the tower's 0.291 G that run. */
    CHECK_OK(memory_plan(&l, &small, F16, F16, free_of(24), &plain, &e), e);
    struct footprint f = memory_footprint(&small, F16, F16, &l);
    CHECK_NEAR((double)f.weights, 2 * (6.738415616e9 + 0.290909184e9 + 0.020979712e9), 0.1e9);
    CHECK_INT(f.column, 524288);
    CHECK(l.rows == 4096 && l.pictures == 32 && l.columns >= 8192);
    CHECK((double)f.weights + (double)f.step + (double)l.columns * 524288 < (double)free_of(24));

    CHECK_OK(memory_plan(&l, &large, F16, F16, free_of(40), &plain, &e), e);
    f = memory_footprint(&large, F16, F16, &l);
    CHECK_NEAR((double)f.weights, 2 * (13.015864320e9 + 0.290909184e9 + 0.031467520e9), 0.1e9);
    CHECK_INT(f.column, 819200);
    CHECK(l.rows == 4096 && l.pictures == 32 && l.columns >= 8192);

    CHECK_OK(memory_plan(&l, &large, F16, F16, free_of(80), &plain, &e), e);
    CHECK(l.rows == 4096 && l.pictures == 32 && l.columns > 40000);
    CHECK_OK(memory_plan(&l, &small, F32, F16, free_of(40), &plain, &e), e);
}

/* fp8 halves what the blocks weigh: all but embedding, lm_head, connector, patches and vectors, which
 * are 0.3 G parameters; each output has a scale. */
TEST(memory_of_fp8)
{
    struct model_config small = vicuna(4096, 32, 32, 11008), large = vicuna(5120, 40, 40, 13824);
    struct limits l;
    struct err e = { 0 };
    CHECK_OK(memory_plan(&l, &small, E4M3, F16, free_of(80), &plain, &e), e);
    struct footprint f = memory_footprint(&small, E4M3, F16, &l);
    double blocks = 32 * (4 * 4096.0 * 4096 + 3 * 4096.0 * 11008) + 23 * 12 * 1024.0 * 1024;
    double outputs = 32 * (4 * 4096.0 + 2 * 11008 + 4096) + 23 * (5 * 1024 + 4096.0);
    double as_fp16 = (double)memory_footprint(&small, F16, F16, &l).weights;
    CHECK_NEAR((double)f.weights, as_fp16 - blocks + 4 * outputs, 0.2e9);       /* whole pages */
    CHECK_INT(f.column, 524288);
    CHECK(l.rows == 4096);
    CHECK_OK(memory_plan(&l, &small, E4M3, F16, free_of(16), &plain, &e), e);
    CHECK_OK(memory_plan(&l, &large, E4M3, F16, free_of(24), &plain, &e), e);
}

TEST(memory_shrinks_before_it_refuses)
{
    struct model_config small = vicuna(4096, 32, 32, 11008);
    struct limits l, last = { .rows = 1 << 30, .pictures = 1 << 30, .columns = INT32_MAX };
    struct err e = { 0 };
    size_t least = memory_least(&small, F16, F16), n = free_of(80);
    int shrunk = 0;
    for (; memory_plan(&l, &small, F16, F16, n, &plain, &e) == OK; n -= 100u << 20) {
        struct footprint f = memory_footprint(&small, F16, F16, &l);
        CHECK((double)f.weights + (double)f.step + (double)l.columns * (double)f.column < (double)n);
        CHECK(l.rows <= last.rows && l.pictures <= last.pictures);
        CHECK(n < least || l.columns >= 4096);              /* any request fits */
        shrunk += l.rows < last.rows;
        last = l;
    }
    CHECK(shrunk > 3 && l.rows == 256 && l.pictures == 1);
    CHECK(n < least && n > least - (3u << 30));
    CHECK_INT(e.code, ERR_MEMORY);
    CHECK(strstr(e.text, "14.11 for weights") != NULL);
    err_clear(&e);
    CHECK_INT(memory_plan(&l, &small, F32, F16, free_of(24), &plain, &e), ERR_MEMORY);
    CHECK(strstr(e.text, "--dtype fp16") != NULL);
}

TEST(memory_does_as_it_is_told)
{
    struct model_config small = vicuna(4096, 32, 32, 11008);
    struct limits l;
    struct err e = { 0 };
    struct llava_options o = { .batch_tokens = 7, .cache_positions = 1000 };
    CHECK_OK(memory_plan(&l, &small, F16, F16, free_of(24), &o, &e), e);
    CHECK(l.rows == 7 && l.columns == 1024);
    memory_plan_host(&l, &small, F32, F32, &o);
    CHECK(l.rows == 7 && l.columns == 1024);
    memory_plan_host(&l, &small, BF16, BF16, &plain);
    CHECK(l.rows == 2048 && l.pictures == 8 && l.running == 256);
    small.language.layers = 128;                            /* a quarter of memory is what bounds it */
    o = (struct llava_options){ .batch_tokens = 1 << 20 };
    memory_plan_host(&l, &small, BF16, BF16, &o);
    int narrow = l.columns;
    memory_plan_host(&l, &small, BF16, F32, &o);            /* and a cache of wider numbers has half as many */
    CHECK(abs(l.columns - narrow / 2) <= 64);
}
