/* verb_model.c -- ask, inspect, bench: a checkpoint by itself, without a benchmark. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/base/file.h"
#include "engine/base/npy.h"
#include "harness/fetch.h"
#include "harness/say.h"
#include "harness/verbs.h"
#include "prompts/prompt.h"

enum { JSON_LIMIT = 64 << 20 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum status put(struct str *s, struct err *e)
{
    if (s->failed)
        return err_set(e, ERR_MEMORY, "no memory for the output");
    return fwrite(s->at, 1, s->n, stdout) == s->n ? OK
           : err_set(e, ERR_INTERNAL, "cannot write to standard output");
}

/* The one --model of a verb that takes one; the demo's MLP checkpoint when none is given. */
static enum status open_model(struct options *o, bool random_weights, struct llava **m,
                              struct err *e)
{
    const char *path = NULL;

    *m = NULL;
    if (o->n_models > 1)
        return err_set(e, ERR_USAGE, "%s takes one --model, %d are given", o->verb, o->n_models);
    if (random_weights)
        path = o->random_weights;
    else if (o->n_models == 1) {
        if (hub_find(o, o->models[0].path, &path, e) != OK)
            return e->code;
    } else if (o->demo_dir) {
        path = path_join(&o->arena, o->demo_dir, "checkpoints/tiny-mlp");
        say_note("no --model: asking the demonstration's tiny-mlp");
    } else {
        return err_set(e, ERR_USAGE, "%s needs --model PATH|HUB_ID", o->verb);
    }
    struct llava_options lo = {
        .device = o->device, .dtype = o->dtype, .model_base = o->model_base,
        .vision_tower = o->vision_tower, .batch_tokens = o->batch_tokens,
        .random_weights = random_weights, .simd = o->simd,
    };
    if (llava_open(m, path, &lo, e) == OK && llava_info(*m)->device_note)
        say_note("%s", llava_info(*m)->device_note);
    return e->code;
}

static const char *conversation_of(const struct options *o, const struct llava_info *info)
{
    return o->template && strcmp(o->template, "auto")
        ? o->template : conversation_default(info->has_projector_type, info->name);
}

/* ---- ask ------------------------------------------------------------------------------------ */

struct answer {
    const struct llava *model;
    bool stream;
    int32_t *ids; size_t n_ids, size;       /* the reply so far, for streaming */
    size_t printed;                         /* bytes of its text that are out */
    char *text;                             /* the final reply */
    int32_t *reply_ids; size_t n_reply_ids;
    enum llava_finish finish;
};

static void ask_token(void *user, int32_t id)
{
    struct answer *a = user;

    if (a->n_ids == a->size) {
        size_t size = a->size ? 2 * a->size : 64;
        int32_t *ids = realloc(a->ids, size * sizeof *ids);
        if (!ids)
            return;                         /* the final text is printed from llava_reply anyway */
        a->ids = ids;
        a->size = size;
    }
    a->ids[a->n_ids++] = id;
    char *text = llava_decode(a->model, a->ids, a->n_ids);
    size_t n = text ? strlen(text) : 0;
    bool whole = n < 3 || memcmp(text + n - 3, "\xEF\xBF\xBD", 3);  /* not in mid-character */
    if (whole && n > a->printed) {
        fwrite(text + a->printed, 1, n - a->printed, stdout);
        fflush(stdout);
        a->printed = n;
    }
    free(text);
}

static void ask_done(void *user, const struct llava_reply *r)
{
    struct answer *a = user;

    a->finish = r->finish;
    a->text = strdup(r->text);
    a->reply_ids = malloc((r->n_ids + 1) * sizeof *a->reply_ids);
    if (a->reply_ids) {
        memcpy(a->reply_ids, r->ids, r->n_ids * sizeof *a->reply_ids);
        a->n_reply_ids = r->n_ids;
    }
}

static void add_ids(struct str *s, const char *key, const int32_t *ids, size_t n)
{
    str_addf(s, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++)
        str_addf(s, "%s%d", i ? "," : "", ids[i]);
    str_addc(s, ']');
}

static enum status read_picture(const struct options *o, const struct llava *m,
                                struct llava_pixels *pixels, struct err *e)
{
    struct file f;

    if (file_open(&f, o->image, ERR_DATA, e) != OK)
        return e->code;
    if (llava_preprocess(m, o->image_mode, f.at, f.n, pixels, e) != OK)
        err_in(e, "%s", o->image);
    file_close(&f);
    if (e->code != OK || !o->pixels)
        return e->code;
    size_t side = (size_t)llava_info(m)->image_side, shape[] = { 3, side, side };
    float *values = malloc(3 * side * side * sizeof *values);
    if (!values)
        return err_set(e, ERR_MEMORY, "no memory for %s", o->pixels);
    llava_normalise(m, pixels, values);
    enum status s = npy_write(o->pixels, values, shape, 3, e);
    free(values);
    return s;
}

static enum status ask_prompt(struct options *o, const struct llava *m, int32_t **ids, size_t *n,
                              const char **stop, struct err *e)
{
    const struct llava_info *info = llava_info(m);
    const char *prompt = o->prompt, *template = conversation_of(o, info);

    *stop = NULL;
    if (!o->prompt_raw) {
        if (conversation_render(template, o->prompt, o->image != NULL, info->use_im_start_end,
                                false, &o->arena, &prompt, e) != OK)
            return e->code;
        *stop = conversation_stop(template);
    }
    return llava_tokenize(m, prompt, ids, n, e);
}

static enum status answer(struct options *o, struct llava *m, struct answer *a,
                          const int32_t *ids, size_t n, const struct llava_pixels *pixels,
                          const char *stop, struct err *e)
{
    const struct llava_info *info = llava_info(m);
    size_t shape[] = { (size_t)info->vocabulary }, open = 1;
    float *logits = o->logits ? calloc(shape[0], sizeof *logits) : NULL;

    if (o->logits && !logits)
        return err_set(e, ERR_MEMORY, "no memory for %s", o->logits);
    struct llava_request r = {
        .ids = ids, .n_ids = n, .image = pixels,
        .max_new_tokens = o->max_new_tokens ? o->max_new_tokens : 1024,
        .n_beams = o->num_beams ? o->num_beams : 1, .temperature = (float)o->temperature,
        .top_p = (float)o->top_p, .top_k = o->top_k, .seed = o->seed, .stop = stop,
        .logits = logits, .token = a->stream ? ask_token : NULL, .done = ask_done, .user = a,
    };
    enum status s = llava_submit(m, &r, e);
    while (s == OK && open)
        s = llava_step(m, &open, e);
    if (s == OK && a->finish == LLAVA_FAILED)
        s = err_set(e, ERR_DATA, "%s", a->text ? a->text : "no answer");
    if (s == OK && logits)
        s = npy_write(o->logits, logits, shape, 1, e);
    free(logits);
    return s;
}

enum status verb_ask(struct options *o, struct err *e)
{
    struct llava *m = NULL;
    struct llava_pixels pixels = { 0 };
    struct answer a = { 0 };
    struct str out;
    int32_t *ids = NULL;
    size_t n = 0;
    const char *stop;

    str_init(&out, JSON_LIMIT);
    if (!o->prompt) {
        err_set(e, ERR_USAGE, "ask needs --prompt TEXT");
        goto done;
    }
    if (open_model(o, false, &m, e) != OK || ask_prompt(o, m, &ids, &n, &stop, e) != OK ||
        (o->image && read_picture(o, m, &pixels, e) != OK))
        goto done;
    a.model = m;
    a.stream = !o->json;
    if (answer(o, m, &a, ids, n, o->image ? &pixels : NULL, stop, e) != OK)
        goto done;
    if (o->json) {
        str_add(&out, "{\"reply\":");
        str_add_json(&out, a.text);
        add_ids(&out, "prompt_ids", ids, n);
        add_ids(&out, "reply_ids", a.reply_ids, a.n_reply_ids);
        str_addf(&out, ",\"finish\":\"%s\"}\n", a.finish == LLAVA_STOP ? "stop" : "length");
    } else {                                /* what streaming held back: a character cut in two */
        if (a.text && strlen(a.text) > a.printed)
            str_add(&out, a.text + a.printed);
        str_addc(&out, '\n');
    }
    put(&out, e);
done:
    str_free(&out);
    free(a.ids);
    free(a.text);
    free(a.reply_ids);
    free(ids);
    llava_pixels_free(&pixels);
    llava_close(m);
    return e->code;
}

/* ---- inspect -------------------------------------------------------------------------------- */

enum status verb_inspect(struct options *o, struct err *e)
{
    for (int i = 0; i < o->n_models + o->n_words && e->code == OK; i++) {
        const char *name = i < o->n_models ? o->models[i].path : o->words[i - o->n_models];
        const char *path;
        char *text = NULL;
        struct llava_options lo = { .model_base = o->model_base, .vision_tower = o->vision_tower };

        if (hub_find(o, name, &path, e) != OK)
            break;
        llava_inspect(path, &lo, o->json, &text, e);
        if (text)
            fputs(text, stdout);
        free(text);
    }
    if (o->n_models + o->n_words == 0)
        return err_set(e, ERR_USAGE, "inspect needs --model PATH|HUB_ID");
    return e->code;
}

/* ---- bench ---------------------------------------------------------------------------------- */

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

static enum status bench_ask(struct bench *b, struct llava *m, const struct options *o,
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
                llava_preprocess(m, o->image_mode, bmp, n, &b->pixels[prepared++], e);
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

enum status verb_bench(struct options *o, struct err *e)
{
    struct llava *m = NULL;
    struct llava_stats before, after;
    struct bench b = { .images = o->images, .per_image = o->questions_per_image,
                       .reply_tokens = o->reply_tokens };
    struct str out;
    double peak = 0;

    str_init(&out, JSON_LIMIT);
    b.pixels = calloc((size_t)b.images, sizeof *b.pixels);
    b.ids = calloc((size_t)b.per_image, sizeof *b.ids);
    if (!b.pixels || !b.ids) {
        err_set(e, ERR_MEMORY, "no memory for %d images", b.images);
        goto done;
    }
    if (open_model(o, o->random_weights != NULL, &m, e) != OK ||
        llava_peak_flops(m, &peak, e) != OK)
        goto done;
    say_note("%s on %s in %s: %d images, %d questions on each, %d tokens a reply",
             llava_info(m)->label, llava_info(m)->device, llava_info(m)->dtype, b.images,
             b.per_image, b.reply_tokens);
    bench_ids(&b, llava_info(m)->vocabulary);
    llava_stats(m, &before);
    double start = seconds();
    if (bench_ask(&b, m, o, e) != OK)
        goto done;
    double elapsed = seconds() - start;
    llava_stats(m, &after);
    subtract(&after, &before);
    bench_report(&out, &b, &after, elapsed, peak);
    put(&out, e);
done:
    for (int i = 0; b.pixels && i < b.images; i++)
        llava_pixels_free(&b.pixels[i]);
    free(b.pixels);
    free(b.ids);
    str_free(&out);
    llava_close(m);
    return e->code;
}
