/* bench.c -- an engine's speed: made-up JPEG files, questions and replies of a suite's proportions.
 *
 * As a run does it, worker threads (ahead.h) make pixels of files ahead of the engine, which takes
 * an image with all its questions when it has appetite; an image is freed with its last reply. So
 * memory does not grow with the number of images, and what the engine waits for shows as `idle`.
 *
 * Uses nothing but the engine's face, so that it runs on a machine without the harness's libraries
 * (tests/bench/bench_engine.c). */
#include "harness/bench.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "harness/ahead.h"
#include "harness/bench_picture.h"

enum { QUESTION_TOKENS = 30, PREFIX_TOKENS = 35, TOKENS = PREFIX_TOKENS + 1 + QUESTION_TOKENS,
       AHEAD = 32 };

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench {
    struct llava *model;
    enum llava_image_mode mode;
    struct bench_size size;
    struct bench_pictures *pictures;
    int32_t (*ids)[TOKENS];     /* [questions_per_image] */
    struct ahead *ahead;
    struct image *asked;        /* not yet answered in full */
    size_t failed;
    double decoding;
};

struct image {
    struct bench *bench;
    struct llava_pixels pixels;
    double decoding;            /* processor seconds */
    int unanswered;
    struct err e;               /* why there are no pixels */
    struct image *next, **link; /* in `asked` */
};

/* ---- images --------------------------------------------------------------------------------- */

/* On a worker thread. */
static void *make_image(void *user, size_t number)
{
    struct bench *b = user;
    double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    size_t n;
    struct image *image = calloc(1, sizeof *image);
    unsigned char *jpeg = bench_picture(b->pictures, number, &n);

    if (!image || !jpeg) {
        free(image);
        free(jpeg);
        return NULL;
    }
    image->bench = b;
    image->unanswered = b->size.questions_per_image;
    llava_preprocess(b->model, b->mode, jpeg, n, &image->pixels, &image->e);
    free(jpeg);
    image->decoding = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    return image;
}

static void drop_image(void *user, size_t number, void *made)
{
    (void)user;
    (void)number;
    llava_pixels_free(&((struct image *)made)->pixels);
    free(made);
}

static void ask_about(struct bench *b, struct image *image)
{
    image->next = b->asked;
    image->link = &b->asked;
    if (b->asked)
        b->asked->link = &image->next;
    b->asked = image;
    b->decoding += image->decoding;
}

static void let_go(struct image *image)
{
    *image->link = image->next;
    if (image->next)
        image->next->link = image->link;
    drop_image(NULL, 0, image);
}

/* ---- questions ------------------------------------------------------------------------------ */

/* Ids as LLaVA-1.5's prompts have them: 35 before the image, 30 behind it; a question of its own
 * for each place, the same for every image. */
static void make_questions(struct bench *b, int vocabulary)
{
    for (int q = 0; q < b->size.questions_per_image; q++)
        for (int i = 0; i < TOKENS; i++)
            b->ids[q][i] = i == 0 ? 1 : i == PREFIX_TOKENS ? LLAVA_IMAGE
                : 3 + (i < PREFIX_TOKENS ? 31 * i : 37 * i + 101 * q) % (vocabulary - 3);
}

static void on_done(void *user, const struct llava_reply *r)
{
    struct image *image = user;
    image->bench->failed += r->finish == LLAVA_FAILED;
    if (--image->unanswered == 0)
        let_go(image);
}

/* All questions about the next image; false: it is not ready, or there is none. Only an engine that
 * has nothing else to do waits for it. */
static bool ask_next(struct bench *b, size_t *open, struct err *e)
{
    size_t number;
    void *made;
    if ((*open && !ahead_ready(b->ahead)) || !ahead_next(b->ahead, &number, &made))
        return false;
    struct image *image = made;
    if (!image) {
        err_set(e, ERR_MEMORY, "no memory for picture %zu", number);
        return false;
    }
    ask_about(b, image);
    if (image->e.code != OK)
        err_set(e, image->e.code, "picture %zu: %s", number, image->e.text);
    for (int q = 0; q < b->size.questions_per_image && e->code == OK; q++) {
        struct llava_request r = {
            .ids = b->ids[q], .n_ids = TOKENS, .image = &image->pixels,
            .max_new_tokens = b->size.reply_tokens, .n_beams = 1, .done = on_done, .user = image,
        };
        if (llava_submit(b->model, &r, e) == OK)
            ++*open;
    }
    return e->code == OK;
}

static enum status ask_all(struct bench *b, struct err *e)
{
    size_t open = 0;
    for (;;) {
        while (open < llava_appetite(b->model) && ask_next(b, &open, e))
            ;
        if (e->code != OK || !open || llava_step(b->model, &open, e) != OK)
            break;
    }
    if (e->code == OK && b->failed)
        err_set(e, ERR_DEVICE, "%zu of %zu questions failed", b->failed,
                (size_t)b->size.images * (size_t)b->size.questions_per_image);
    return e->code;
}

/* ---- the course of it ----------------------------------------------------------------------- */

/* What happened between two readings: loading and the measuring of the peak stay outside. */
static void subtract(struct llava_stats *after, const struct llava_stats *before)
{
    after->flops -= before->flops;
    after->prompt_tokens -= before->prompt_tokens;
    after->computed_tokens -= before->computed_tokens;
    for (int i = 0; i < LLAVA_STAGES && after->stage[i].name; i++)
        after->stage[i].seconds -= before->stage[i].seconds;
}

/* From the first byte of the first file to the last reply. */
static enum status measure(struct bench *b, struct bench_figures *out, struct err *e)
{
    struct ahead_job job = { .n = (size_t)b->size.images, .ahead = AHEAD, .make = make_image,
                             .drop = drop_image, .user = b };
    struct llava_stats before;

    llava_stats(b->model, &before);
    double start = seconds(CLOCK_MONOTONIC);
    if (ahead_start(&b->ahead, &job, e) != OK || ask_all(b, e) != OK)
        return e->code;
    out->elapsed = seconds(CLOCK_MONOTONIC) - start;
    llava_stats(b->model, &out->stats);
    subtract(&out->stats, &before);
    out->decoding = b->decoding;
    out->workers = ahead_threads(b->ahead);
    return OK;
}

enum status bench_run(struct llava *m, const struct bench_size *size, enum llava_image_mode mode,
                      struct bench_figures *out, struct err *e)
{
    struct bench b = { .model = m, .mode = mode, .size = *size };

    *out = (struct bench_figures){ .size = *size };
    b.ids = calloc((size_t)size->questions_per_image, sizeof *b.ids);
    if (!b.ids)
        err_set(e, ERR_MEMORY, "no memory for %d questions", size->questions_per_image);
    else if (bench_pictures_open(&b.pictures, e) == OK &&
             llava_peak_flops(m, &out->peak_flops_per_s, e) == OK) {
        make_questions(&b, llava_info(m)->vocabulary);
        measure(&b, out, e);
    }
    ahead_stop(b.ahead);
    while (b.asked)                                         /* after an error */
        let_go(b.asked);
    bench_pictures_close(b.pictures);
    free(b.ids);
    return e->code;
}

/* ---- figures -------------------------------------------------------------------------------- */

void bench_json(const struct bench_figures *f, struct str *out)
{
    struct rusage usage;
    const struct llava_stats *st = &f->stats;
    double images = f->size.images, questions = images * f->size.questions_per_image;
    struct { const char *key; double value; } numbers[] = {
        { "questions_per_s", questions / f->elapsed },
        { "images_per_s", images / f->elapsed },
        { "prompt_tokens_per_s", (double)st->prompt_tokens / f->elapsed },
        { "computed_tokens_per_s", (double)st->computed_tokens / f->elapsed },
    };

    getrusage(RUSAGE_SELF, &usage);
    str_addc(out, '{');
    for (size_t i = 0; i < COUNT(numbers); i++) {
        str_addf(out, "\"%s\":", numbers[i].key);
        str_add_number(out, numbers[i].value);
        str_addc(out, ',');
    }
    str_add(out, "\"seconds\":{\"total\":");
    str_add_number(out, f->elapsed);
    for (int i = 0; i < LLAVA_STAGES && st->stage[i].name; i++) {
        str_addf(out, ",\"%s\":", st->stage[i].name);
        str_add_number(out, st->stage[i].seconds);
    }
    str_addf(out, "},\"peak_device_bytes\":%zu,\"peak_host_bytes\":%lld,\"flops\":",
             st->peak_device_bytes, (long long)usage.ru_maxrss * 1024);
    str_add_number(out, st->flops);
    str_add(out, ",\"peak_flops_per_s\":");
    str_add_number(out, f->peak_flops_per_s);
    str_add(out, ",\"fraction_of_peak\":");
    str_add_number(out, st->flops / f->elapsed / f->peak_flops_per_s);
    str_add(out, "}\n");
}

/* What a stage's name stands for. */
static const char *meaning(const char *stage)
{
    static const struct { const char *stage, *meaning; } all[] = {
        { "vision", "tower and connector, their products and attention too" },
        { "products", "of the language model" },
        { "attention", "of the language model" },
        { "elementwise", "embedding, norms" },
        { "sample", "choosing tokens" },
        { "host", "planning, packing, taking replies" },
        { "idle", "nothing to do but wait for pictures" },
    };
    for (size_t i = 0; i < COUNT(all); i++)
        if (!strcmp(stage, all[i].stage))
            return all[i].meaning;
    return "";
}

bool bench_timeline(const struct bench_figures *f, int i, char line[BENCH_LINE])
{
    enum { BAR = 20 };
    static const char bar[BAR + 1] = "####################";
    int n = 0;
    while (n < LLAVA_STAGES && f->stats.stage[n].name)
        n++;
    if (i < n) {
        const char *name = f->stats.stage[i].name;
        double s = f->stats.stage[i].seconds, share = s > 0 ? s / f->elapsed : 0;
        int length = (int)(BAR * share + 0.5);
        snprintf(line, BENCH_LINE, "%-11s %9.3f s %5.1f %%  %-*.*s %s", name, s, 100 * share, BAR,
                 length < BAR ? length : BAR, bar, meaning(name));
    } else if (i == n) {
        snprintf(line, BENCH_LINE, "%-11s %9.3f s  from JPEG files to replies", "total", f->elapsed);
    } else {
        snprintf(line, BENCH_LINE, "%-11s %9.3f s  of processor time beside it, on %d threads: "
                 "%.2f ms a picture", "decoding", f->decoding, f->workers,
                 1e3 * f->decoding / f->size.images);
    }
    return i <= n + 1;
}
