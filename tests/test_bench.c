/* `bench`: its JPEG files are whole and all different; its stages add up; waiting shows as idle. */
#include "harness/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/image.h"
#include "harness/bench_picture.h"
#include "tests/check.h"

static const size_t numbers[] = { 0, 1, 7, 8, 9, 63, 64, 4095, 1 << 20, SIZE_MAX };

TEST(bench_pictures_are_whole_and_differ)
{
    struct bench_pictures *p;
    struct err e = { 0 };
    struct image image[COUNT(numbers)] = { { .rgb = NULL } };
    if (!CHECK_OK(bench_pictures_open(&p, &e), e))
        return;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        size_t n;
        unsigned char *file = bench_picture(p, numbers[i], &n);
        CHECK(n > 100000 && n < 250000);                    /* COCO's have 160,000 bytes or so */
        CHECK_OK(image_decode(&image[i], file, n, &e), e);  /* pixels that end early are an error */
        CHECK_INT(image[i].width, BENCH_WIDTH);
        CHECK_INT(image[i].height, BENCH_HEIGHT);
        for (size_t j = 0; j < i && image[i].rgb && image[j].rgb; j++)
            CHECK(memcmp(image[i].rgb, image[j].rgb, (size_t)BENCH_WIDTH * BENCH_HEIGHT * 3) != 0);
        free(file);
    }
    for (size_t i = 0; i < COUNT(numbers); i++)
        image_free(&image[i]);
    bench_pictures_close(p);
}

static struct llava *open_demo(void)
{
    char path[4096];
    struct llava *m = NULL;
    struct err e = { 0 };
    snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp", test_root());
    CHECK_OK(llava_open(&m, path, &(struct llava_options){ .device = "cpu" }, &e), e);
    return m;
}

static double stage(const struct bench_figures *f, const char *name)
{
    for (int i = 0; i < LLAVA_STAGES && f->stats.stage[i].name; i++)
        if (!strcmp(f->stats.stage[i].name, name))
            return f->stats.stage[i].seconds;
    CHECK(!"a stage of that name");
    return 0;
}

TEST(bench_accounts_for_all_its_time)
{
    struct llava *m = open_demo();
    struct bench_size size = { .images = 40, .questions_per_image = 2, .reply_tokens = 2 };
    struct bench_figures f;
    struct err e = { 0 };
    char line[BENCH_LINE];
    double sum = 0;
    int lines = 0;
    if (!m || !CHECK_OK(bench_run(m, &size, LLAVA_AS_CONFIG, &f, &e), e)) {
        llava_close(m);
        return;
    }
    for (int i = 0; i < LLAVA_STAGES && f.stats.stage[i].name; i++)
        sum += f.stats.stage[i].seconds;
    CHECK_NEAR(sum, f.elapsed, 0.02 + 0.01 * f.elapsed);    /* every moment belongs to one stage */
    CHECK(stage(&f, "vision") > 0 && stage(&f, "products") > 0 && stage(&f, "attention") > 0);
    CHECK(stage(&f, "elementwise") > 0 && stage(&f, "host") > 0);
    CHECK(stage(&f, "idle") > 0);                           /* for the first picture at least */
    CHECK(f.decoding > 0 && f.workers > 0);

    int image = llava_info(m)->image_tokens, rest = 30 * 2;     /* no two share a picture; all, 35 ids */
    CHECK_INT(f.stats.prompt_tokens, 40 * (2 * (35 + image) + rest));
    CHECK(f.stats.computed_tokens >= (uint64_t)(35 + 40 * (image + rest)));
    while (bench_timeline(&f, lines, line))
        CHECK(strlen(line) < BENCH_LINE - 1 && lines++ < 20);
    CHECK_INT(lines, 7 + 2);                                /* stages, total, decoding */
    llava_close(m);
}

TEST(bench_prints_one_json_object)
{
    struct bench_figures f = { .size = { 10, 6, 3 }, .elapsed = 4, .peak_flops_per_s = 1e9 };
    struct arena a = { 0 };
    struct str out;
    struct err e = { 0 };
    f.stats.stage[0].name = "vision";
    f.stats.stage[0].seconds = 1;
    f.stats.flops = 2e9;
    str_init(&out, 1 << 16);
    bench_json(&f, &out);
    CHECK(strchr(out.at, '\n') == out.at + out.n - 1);
    const struct json *all = json_parse(&a, "bench", out.at, out.n, &e);
    CHECK_NEAR(json_get_double(all, "questions_per_s", -1), 15, 1e-12);
    CHECK_NEAR(json_get_double(all, "fraction_of_peak", -1), 0.5, 1e-12);
    CHECK_NEAR(json_get_double(json_get(all, "seconds"), "vision", -1), 1, 1e-12);
    CHECK_NEAR(json_get_double(json_get(all, "seconds"), "total", -1), 4, 1e-12);
    str_free(&out);
    arena_free(&a);
}
