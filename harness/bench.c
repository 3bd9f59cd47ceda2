/* bench.c -- an engine's speed: made-up pictures, questions and replies of a suite's proportions.
 *
 * Uses nothing but the engine's face, so that it runs on a machine without the harness's libraries
 * (tests/bench/bench_engine.c). */
#include "harness/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { BENCH_WIDTH = 640, BENCH_HEIGHT = 480, QUESTION_TOKENS = 30, PREFIX_TOKENS = 35 };

static void put_u32(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(v >> (8 * i));
}

/* A 24-bit BMP, smooth with some detail, another one for each number. The caller frees. */
static unsigned char *bench_picture(int number, size_t *n)
{
    enum { HEADER = 54 };
    *n = HEADER + (size_t)BENCH_WIDTH * BENCH_HEIGHT * 3;
    unsigned char *bmp = calloc(1, *n);
    if (!bmp)
        return NULL;
    memcpy(bmp, "BM", 2);
    put_u32(bmp + 2, (uint32_t)*n);
    put_u32(bmp + 10, HEADER);
    put_u32(bmp + 14, 40);
    put_u32(bmp + 18, BENCH_WIDTH);
    put_u32(bmp + 22, BENCH_HEIGHT);
    bmp[26] = 1;
    bmp[28] = 24;
    for (int y = 0; y < BENCH_HEIGHT; y++)
        for (int x = 0; x < BENCH_WIDTH; x++) {
            unsigned char *p = bmp + HEADER + ((size_t)y * BENCH_WIDTH + (size_t)x) * 3;
            p[0] = (unsigned char)(x + 7 * number);
            p[1] = (unsigned char)(y + x * number);
            p[2] = (unsigned char)(x * y / 64 + 13 * number);
        }
    return bmp;
}

struct bench {
    int images, per_image, reply_tokens;
    struct llava_pixels *pixels;            /* [images] */
    int32_t (*ids)[PREFIX_TOKENS + 1 + QUESTION_TOKENS];    /* [per_image] */
    size_t done, failed;
};

static void bench_done(void *user, const struct llava_reply *r)
{
    struct bench *b = user;
    b->done++;
    b->failed += r->finish == LLAVA_FAILED;
}

/* Ids as LLaVA-1.5's prompts have them: 35 before the image, 30 behind it; a question of its own
 * for each place, the same for every image. */
static void bench_ids(struct bench *b, int vocabulary)
{
    for (int q = 0; q < b->per_image; q++)
        for (int i = 0; i < PREFIX_TOKENS + 1 + QUESTION_TOKENS; i++)
            b->ids[q][i] = i == 0 ? 1 : i == PREFIX_TOKENS ? LLAVA_IMAGE
                : 3 + (i < PREFIX_TOKENS ? 31 * i : 37 * i + 101 * q) % (vocabulary - 3);
}

static enum status bench_ask(struct bench *b, struct llava *m, enum llava_image_mode mode,
                             struct err *e)
{
    size_t open = 0, total = (size_t)b->images * (size_t)b->per_image;
    int prepared = 0;

    for (size_t next = 0; b->done < total && e->code == OK;) {
        while (next < total && open < llava_appetite(m) && e->code == OK) {
            int image = (int)(next / (size_t)b->per_image);
            if (image == prepared) {
                size_t n;
                unsigned char *bmp = bench_picture(image, &n);
                if (!bmp)
                    return err_set(e, ERR_MEMORY, "no memory for a picture");
                llava_preprocess(m, mode, bmp, n, &b->pixels[prepared++], e);
                free(bmp);
            }
            struct llava_request r = {
                .ids = b->ids[next % (size_t)b->per_image], .n_ids = COUNT(b->ids[0]),
                .image = &b->pixels[image], .max_new_tokens = b->reply_tokens, .n_beams = 1,
                .done = bench_done, .user = b,
            };
            if (e->code == OK && llava_submit(m, &r, e) == OK)
                next++, open++;
        }
        if (e->code == OK)
            llava_step(m, &open, e);
    }
    if (e->code == OK && b->failed)
        return err_set(e, ERR_DEVICE, "%zu of %zu questions failed", b->failed, total);
    return e->code;
}

/* What happened between two readings: loading and the measuring of the peak stay outside. */
static void subtract(struct llava_stats *after, const struct llava_stats *before)
{
    after->flops -= before->flops;
    after->prompt_tokens -= before->prompt_tokens;
    after->computed_tokens -= before->computed_tokens;
    for (int i = 0; i < LLAVA_STAGES && after->stage[i].name; i++)
        after->stage[i].seconds -= before->stage[i].seconds;
}

static void bench_report(struct str *out, const struct bench *b, const struct llava_stats *st,
                         double elapsed, double peak)
{
    struct rusage usage;
    double questions = (double)b->images * b->per_image;
    struct { const char *key; double value; } numbers[] = {
        { "questions_per_s", questions / elapsed },
        { "images_per_s", b->images / elapsed },
        { "prompt_tokens_per_s", (double)st->prompt_tokens / elapsed },
        { "computed_tokens_per_s", (double)st->computed_tokens / elapsed },
    };

    getrusage(RUSAGE_SELF, &usage);
    str_addc(out, '{');
    for (size_t i = 0; i < COUNT(numbers); i++) {
        str_addf(out, "\"%s\":", numbers[i].key);
        str_add_number(out, numbers[i].value);
        str_addc(out, ',');
    }
    str_add(out, "\"seconds\":{\"total\":");
    str_add_number(out, elapsed);
    for (int i = 0; i < LLAVA_STAGES && st->stage[i].name; i++) {
        str_addf(out, ",\"%s\":", st->stage[i].name);
        str_add_number(out, st->stage[i].seconds);
    }
    str_addf(out, "},\"peak_device_bytes\":%zu,\"peak_host_bytes\":%lld,\"flops\":",
             st->peak_device_bytes, (long long)usage.ru_maxrss * 1024);
    str_add_number(out, st->flops);
    str_add(out, ",\"peak_flops_per_s\":");
    str_add_number(out, peak);
    str_add(out, ",\"fraction_of_peak\":");
    str_add_number(out, st->flops / elapsed / peak);
    str_add(out, "}\n");
}

enum status bench_run(struct llava *m, const struct bench_size *size, enum llava_image_mode mode,
                      struct str *json, struct err *e)
{
    struct llava_stats before, after;
    struct bench b = { .images = size->images, .per_image = size->questions_per_image,
                       .reply_tokens = size->reply_tokens };
    double peak = 0;

    b.pixels = calloc((size_t)b.images, sizeof *b.pixels);
    b.ids = calloc((size_t)b.per_image, sizeof *b.ids);
    if (!b.pixels || !b.ids) {
        err_set(e, ERR_MEMORY, "no memory for %d images", b.images);
        goto done;
    }
    if (llava_peak_flops(m, &peak, e) != OK)
        goto done;
    bench_ids(&b, llava_info(m)->vocabulary);
    llava_stats(m, &before);
    double start = seconds();
    if (bench_ask(&b, m, mode, e) != OK)
        goto done;
    double elapsed = seconds() - start;
    llava_stats(m, &after);
    subtract(&after, &before);
    bench_report(json, &b, &after, elapsed, peak);
done:
    for (int i = 0; b.pixels && i < b.images; i++)
        llava_pixels_free(&b.pixels[i]);
    free(b.pixels);
    free(b.ids);
    return e->code;
}
