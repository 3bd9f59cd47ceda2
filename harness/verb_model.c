/* verb_model.c -- ask, inspect, bench: a checkpoint by itself, without a benchmark. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/npy.h"
#include "harness/bench.h"
#include "harness/bench_error.h"
#include "harness/fetch.h"
#include "harness/say.h"
#include "harness/verbs.h"
#include "prompts/prompt.h"

enum { JSON_LIMIT = 64 << 20 };

static enum status put(struct str *s, struct err *e)
{
    if (s->failed)
        return err_set(e, ERR_MEMORY, "no memory for the output");
    return fwrite(s->at, 1, s->n, stdout) == s->n ? OK
           : err_set(e, ERR_INTERNAL, "cannot write to standard output");
}

/* The one --model of a verb that takes one; the demo's MLP checkpoint when none is given. */
static enum status open_model(struct options *o, bool timeline, struct llava **m, struct err *e)
{
    const char *path = NULL;
    bool random_weights = o->random_weights != NULL;        /* bench's alone */
    struct llava_options lo = {
        .device = o->device, .dtype = o->dtype, .batch_tokens = o->batch_tokens,
        .random_weights = random_weights, .simd = o->simd, .timeline = timeline,
    };

    *m = NULL;
    if (o->n_models > 1)
        return err_set(e, ERR_USAGE, "%s takes one --model, %d are given", o->verb, o->n_models);
    if (random_weights)
        path = o->random_weights;
    else if (o->n_models == 1) {
        if (hub_find_model(o, o->models[0].path, &lo, &path, e) != OK)
            return e->code;
    } else if (o->demo_dir) {
        path = path_join(&o->arena, o->demo_dir, "checkpoints/tiny-mlp");
        say_note("no --model: asking the demonstration's tiny-mlp");
    } else {
        return err_set(e, ERR_USAGE, "%s needs --model PATH|HUB_ID", o->verb);
    }
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
        struct llava_options lo = { 0 };

        if (hub_find_model(o, name, &lo, &path, e) != OK)
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

/* The model in fp8 is asked, closed, and asked again in fp16: two may not fit. */
static enum status add_fp8_error(struct options *o, struct llava **m, struct str *json,
                                 struct err *e)
{
    struct bench_replies fp8 = { 0 }, fp16 = { 0 };
    if (bench_replies(*m, &fp8, e) == OK) {
        llava_close(*m);
        *m = NULL;
        o->dtype = "fp16";
        if (open_model(o, false, m, e) == OK && bench_replies(*m, &fp16, e) == OK) {
            struct bench_error error = bench_error(&fp8, &fp16);
            bench_error_json(&error, json);
            say_note("fp8 against fp16, %d prompts: logits off by %.2g (relative L2), %.0f %% of "
                     "the tokens equal", BENCH_PROMPTS, error.logits, 100 * error.equal_tokens);
        }
    }
    bench_replies_free(&fp8);
    bench_replies_free(&fp16);
    return e->code;
}

enum status verb_bench(struct options *o, struct err *e)
{
    struct llava *m = NULL;
    struct bench_size size = { .images = o->images, .questions_per_image = o->questions_per_image,
                               .reply_tokens = o->reply_tokens };
    struct bench_figures figures;
    char line[BENCH_LINE];
    struct str out;

    str_init(&out, JSON_LIMIT);
    if (open_model(o, true, &m, e) == OK) {
        say_note("%s on %s in %s: %d images, %d questions on each, %d tokens a reply",
                 llava_info(m)->label, llava_info(m)->device, llava_info(m)->dtype, size.images,
                 size.questions_per_image, size.reply_tokens);
        if (bench_run(m, &size, o->image_mode, &figures, e) == OK) {
            for (int i = 0; bench_timeline(&figures, i, line); i++)
                say_note("%s", line);
            bench_json(&figures, &out);
            if (strcmp(llava_info(m)->dtype, "fp8") || add_fp8_error(o, &m, &out, e) == OK)
                put(&out, e);
        }
    }
    str_free(&out);
    llava_close(m);
    return e->code;
}
