/* llava.c -- the public face: opens a model, takes requests, runs the steps that scheduler.c plans.
 *
 * A request is a sequence of positions: its ids, with the image slot spread over the picture's
 * rows, then the tokens of its reply. Its prefix is what stands up to and including the slot; the
 * rest is its own region; of the prefix, the ids before the slot are its stem. That rule looks at the
 * request alone, never at its neighbours: so whether a prefix is shared, and with whom, and whether
 * its stem's columns were computed or copied, cannot change a bit of any reply. */
#include "engine/llava.h"
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "engine/base/utf8.h"
#include "engine/memory.h"
#include "engine/preprocess.h"
#include "engine/private.h"
#include "engine/scheduler.h"
#include "engine/tokenizer.h"

enum {
    PROMPT_MAX = 1 << 24,       /* tokens; far above any model's positions */
    TOP_K = 50,                 /* Hugging Face's default, in force in the original */
};

struct asked {                  /* a request and what became of it */
    struct question question;   /* first: the scheduler hands back its address */
    struct llava_request request;
    int slot;                   /* position of the picture's first row; n_prompt without one */
    int n_image;                /* rows of the picture, or 0 */
    int n_prompt;               /* positions, after the cut */
    bool cut;
    int n_prefix;
    int32_t *reply;             /* [n_most] */
    int n_reply, n_most;
    enum llava_finish finish;
    char *text;                 /* what the stop string left, or why it failed; or NULL */
    double since;
    struct asked *next;         /* among the finished */
};

struct llava {
    struct arena arena;         /* the strings of info */
    struct llava_info info;
    struct model_config config;
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;                            /* NULL: random weights */
    struct device device;
    struct vision *vision;
    struct connector *connector;
    struct language *language;
    struct tensor pictures;     /* [2 * pictures * image tokens, D]: the scheduler's places */
    struct scheduler scheduler;
    uint8_t *allowed;           /* [n_valid], or NULL: every id */
    int n_valid;                /* ids that a reply may hold are below this */
    /* One step: */
    int32_t *id, *last, *chosen;                            /* [rows] [lasts] [lasts] */
    struct kv_row *at;          /* [rows] */
    struct sampling *how;       /* [lasts] */
    struct asked **who;         /* [lasts] */
    struct asked *finished, **finished_end;
    size_t n_open;
    struct llava_stats stats;
    struct err broken;          /* a step failed: so do all that follow */
};

/* ---- opening ------------------------------------------------------------------------------- */

/* The folder's name; of a hub cache's ".../models--org--name/snapshots/COMMIT", the hub's. */
static const char *model_name(struct arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    for (const char *hub = path; (hub = strstr(hub, "models--")); hub++) {
        const char *end = hub + strcspn(hub, "/"), *name = hub;
        if ((hub > path && hub[-1] != '/') || strncmp(end, "/snapshots/", 11))
            continue;
        for (const char *p = hub; p + 1 < end; p++)
            if (p[0] == '-' && p[1] == '-')
                name = p + 2;
        return arena_strn(a, name, (size_t)(end - name));
    }
    return arena_str(a, path_base(arena_strn(a, path, n)));
}

/* The hash reads every weight, as packing does: both at once. */
struct hashing { struct checkpoint *checkpoint; char *hex; struct err e; pthread_t thread; };

static void *hash_weights(void *user)
{
    struct hashing *h = user;
    checkpoint_hash(h->checkpoint, h->hex, &h->e);
    return NULL;
}

/* Other ids of the same text are another model, too. */
static void add_tokenizer(const struct llava *m, char hex[SHA256_HEX])
{
    unsigned char hash[SHA256_SIZE];
    struct sha256 s;

    tokenizer_hash(m->tokenizer, hash);
    sha256_init(&s);
    sha256_add(&s, hex, strlen(hex));
    sha256_add(&s, hash, sizeof hash);
    sha256_end(&s, hash);
    sha256_hex(hash, hex);
}

static void close_parts(struct llava *m)
{
    scheduler_close(&m->scheduler);
    vision_close(m->vision);
    connector_close(m->connector);
    language_close(m->language);
    device_free(&m->device, &m->pictures);
    m->vision = NULL;
    m->connector = NULL;
    m->language = NULL;
}

static enum status open_parts(struct llava *m, const struct limits *limits, enum dtype *widest,
                              struct err *e)
{
    struct loader l = { .device = &m->device, .checkpoint = m->checkpoint, .e = e, .widest = BF16 };
    const struct model_config *c = &m->config;
    const struct backend_ops *ops = m->device.ops;
    int lasts = limits->running < limits->rows ? limits->running : limits->rows;
    int tower_rows = limits->pictures * (1 + c->tower.patches);

    /* In fp8 products of the tower take more than its tensors, too: while there are no others. */
    if (vision_open(&m->vision, &l, &c->tower, limits->pictures) != OK ||
        (m->device.fp8 && ops->reserve(m->device.backend, tower_rows, tower_rows, e) != OK) ||
        connector_open(&m->connector, &l, c, limits->pictures) != OK ||
        language_open(&m->language, &l, &c->language, limits->rows, lasts, limits->columns) != OK ||
        device_alloc(&m->device, &m->pictures, m->device.act, 2 * limits->pictures * image_tokens(c),
                     c->language.hidden, e) != OK ||
        ops->reserve(m->device.backend, limits->rows, tower_rows, e) != OK)
        return e->code;
    *widest = l.widest;
    return scheduler_open(&m->scheduler, limits, e);
}

/* One picture and one row through everything: what is taken or loaded when it is needed first (a
 * product's algorithm, say) is there from then on, or fails here, where less can be tried. */
static enum status warm_up(struct llava *m, struct err *e)
{
    static const struct sampling greedy;
    static const struct kv_row nowhere;
    static const int32_t zero;
    int32_t chosen;
    struct device *d = &m->device;
    struct tensor rows, logits, y = tensor_rows(m->pictures, 0, image_tokens(&m->config));
    struct rows one = { .n = 1, .n_last = 1, .id = &zero, .at = &nowhere, .last = &zero };
    const char *dump_dir = d->dump_dir;
    d->dump_dir = NULL;
    (void)(vision_patches(m->vision, 1, e) || vision_run(m->vision, 1, &rows, e) ||
           connector_run(m->connector, &y, &rows, 1, e) ||
           language_step(m->language, &one, &m->pictures, &logits, e) ||
           d->ops->sample(d->backend, &chosen, &logits, m->n_valid, m->allowed, &greedy, e) ||
           device_sync(d, e));
    d->dump_dir = dump_dir;
    return e->code;
}

static enum dtype type_of(const struct llava *m)            /* what --dtype named */
{
    return m->device.fp8 ? E4M3 : m->device.act;
}

/* The parts, as large as the device's memory lets them be. What was measured as free may not be had
 * (another program takes some, or it is in pieces): then they are made smaller. */
static enum status fit_parts(struct llava *m, const struct llava_options *o, enum dtype *widest,
                             struct err *e)
{
    const struct backend_ops *ops = m->device.ops;
    enum dtype table = checkpoint_view(m->checkpoint, "model.embed_tokens.weight").type;
    struct limits limits;
    size_t free_bytes = 0;

    if (!ops->memory_free) {
        enum dtype held = ops->kv_type ? ops->kv_type(m->device.backend, m->device.act) : m->device.act;
        memory_plan_host(&limits, &m->config, m->device.act, held, o);
        return open_parts(m, &limits, widest, e);
    }
    if (ops->memory_free(m->device.backend, &free_bytes, e) != OK)
        return e->code;
    for (;; free_bytes -= free_bytes / 8) {
        if (memory_plan(&limits, &m->config, type_of(m), table, free_bytes, o, e) != OK)
            return err_in(e, "%s", backend_describe(m->device.backend));
        if (open_parts(m, &limits, widest, e) == OK)
            warm_up(m, e);
        if (e->code != ERR_MEMORY)
            return e->code;
        close_parts(m);
        err_clear(e);
    }
}

/* What a dtype costs, in words for the provenance of a score; or NULL. */
static const char *cost_of(enum dtype type, enum dtype widest)
{
    if (type == E4M3)
        return "e4m3 weights and activations, per-channel and per-row scales; fp16 elsewhere";
    if (type == BF16 && widest == F16)
        return "fp16 weights rounded to bf16: three bits of their fraction are lost";
    if (type != F32 && widest == F32)
        return type == BF16 ? "fp32 weights rounded to bf16" : "fp32 weights rounded to fp16";
    if (type == F16 && widest == BF16)
        return "bf16 weights in fp16: those below 2^-24 become 0";
    return NULL;
}

static enum status open_model(struct llava *m, const struct llava_options *o, struct err *e)
{
    enum dtype widest = BF16;
    if (fit_parts(m, o, &widest, e) != OK)
        return e->code;
    const struct limits *l = &m->scheduler.limits;
    size_t lasts = (size_t)(l->running < l->rows ? l->running : l->rows), n = (size_t)l->rows;
    m->id = calloc(n, sizeof *m->id);
    m->at = calloc(n, sizeof *m->at);
    m->last = calloc(lasts, sizeof *m->last);
    m->chosen = calloc(lasts, sizeof *m->chosen);
    m->how = calloc(lasts, sizeof *m->how);
    m->who = calloc(lasts, sizeof *m->who);
    if (!m->id || !m->at || !m->last || !m->chosen || !m->how || !m->who)
        return err_set(e, ERR_MEMORY, "no memory for steps of %zu rows", n);
    m->info.dtype_note = cost_of(type_of(m), widest);
    return OK;
}

/* Which ids a reply may hold; without a tokenizer, all. */
static enum status open_tokenizer(struct llava *m, const struct llava_options *o, struct err *e)
{
    const struct model_config *c = &m->config;
    m->n_valid = c->language.vocabulary;
    if (o->random_weights)
        return OK;
    if (tokenizer_open(&m->tokenizer, checkpoint_tokenizer(m->checkpoint), c->use_im_patch_token,
                       c->use_im_start_end, e) != OK)
        return e->code;
    if (tokenizer_size(m->tokenizer) < m->n_valid)
        m->n_valid = tokenizer_size(m->tokenizer);
    m->allowed = malloc((size_t)m->n_valid + 1);
    if (!m->allowed)
        return err_set(e, ERR_MEMORY, "no memory for %d ids", m->n_valid);
    for (int i = 0; i < m->n_valid; i++)
        m->allowed[i] = tokenizer_can_decode(m->tokenizer, i);
    if (c->language.eos >= 0 && c->language.eos < m->n_valid)
        m->allowed[c->language.eos] = true;                 /* it may be another than the tokenizer's own */
    return OK;
}

static void fill_info(struct llava *m, const char *path, const struct err *why_not_gpu)
{
    static const char *const names[] = { [F32] = "fp32", [BF16] = "bf16", [F16] = "fp16",
                                         [E4M3] = "fp8" };
    const struct model_config *c = &m->config;
    struct llava_info *i = &m->info;
    i->path = arena_str(&m->arena, path);
    i->label = i->name = model_name(&m->arena, path);
    i->layout = checkpoint_layout(m->checkpoint);
    i->connector = c->connector;
    i->device = backend_describe(m->device.backend);
    if (why_not_gpu->code != OK && backend_cuda_built())
        i->device_note = arena_fmt(&m->arena, "%s; running on the CPU", why_not_gpu->text);
    i->dtype = names[type_of(m)];
    i->has_projector_type = c->has_projector_type;
    i->use_im_start_end = c->use_im_start_end;
    i->hidden = c->language.hidden;
    i->layers = c->language.layers;
    i->heads = c->language.heads;
    i->kv_heads = c->language.kv_heads;
    i->ffn = c->language.ffn;
    i->vocabulary = c->language.vocabulary;
    i->image_tokens = image_tokens(c);
    i->image_side = c->tower.side;
    i->max_positions = c->language.max_positions;
    i->n_parameters = checkpoint_parameters(m->checkpoint);
    i->config_json = checkpoint_config_json(m->checkpoint);
}

enum status llava_open(struct llava **out, const char *path, const struct llava_options *options,
                       struct err *e)
{
    static const struct llava_options defaults;
    const struct llava_options *o = options ? options : &defaults;
    struct backend *backend = NULL;
    struct err why_not_gpu = { 0 };
    enum dtype type = F32;
    struct llava *m = *out = NULL;

    if (o->batch_tokens < 0 || o->cache_positions < 0)
        return err_set(e, ERR_USAGE, "a step of %d rows, a cache of %d positions: expected at "
                       "least 1", o->batch_tokens, o->cache_positions);
    if (machine_open(&backend, o, &type, &why_not_gpu, e) != OK)
        return e->code;
    bool fp8 = type == E4M3;
    type = fp8 ? F16 : type;                                /* of activations */
    if (!(m = calloc(1, sizeof *m))) {
        backend->ops->close(backend);
        return err_set(e, ERR_MEMORY, "no memory for a model");
    }
    m->finished_end = &m->finished;
    device_open(&m->device, backend, type, o->dump_dir, o->timeline);
    device_stage(&m->device, STAGE_HOST);                   /* loading */
    if (o->dump_dir && file_mkdirs(o->dump_dir, e) != OK)
        goto failed;
    if (checkpoint_open(&m->checkpoint, path, o, e) != OK)
        goto failed;
    m->config = *checkpoint_config(m->checkpoint);
    m->device.fp8 = fp8;

    struct hashing h = { .checkpoint = m->checkpoint, .hex = m->info.weights_sha256 };
    bool known = o->weights_sha256 != NULL;
    bool at_once = !known && pthread_create(&h.thread, NULL, hash_weights, &h) == 0;
    if (open_tokenizer(m, o, e) == OK)
        open_model(m, o, e);
    if (known)
        snprintf(m->info.weights_sha256, sizeof m->info.weights_sha256, "%s", o->weights_sha256);
    else if (at_once)
        pthread_join(h.thread, NULL);
    else
        hash_weights(&h);
    if (h.e.code != OK)
        err_set(e, h.e.code, "%s", h.e.text);
    else if (!known && m->tokenizer)
        add_tokenizer(m, m->info.weights_sha256);
    fill_info(m, path, &why_not_gpu);
    if (m->arena.failed)
        err_set(e, ERR_MEMORY, "no memory for a model's description");
    if (e->code != OK)
        goto failed;
    device_stage(&m->device, STAGE_IDLE);
    *out = m;
    return OK;
failed:
    llava_close(m);
    return e->code;
}

static void forget(struct asked *a)
{
    free(a->reply);
    free(a->text);
    free(a);
}

void llava_close(struct llava *m)
{
    if (!m)
        return;
    /* Requests still open stand in the scheduler's groups, or among the finished. */
    for (struct group *g = m->scheduler.groups; g; g = g->next) {
        struct question *lists[] = { g->running, g->waiting };
        for (size_t i = 0; i < COUNT(lists); i++)
            for (struct question *q = lists[i], *next; q; q = next) {
                next = q->next;
                forget((struct asked *)q);
            }
    }
    for (struct asked *a = m->finished, *next; a; a = next) {
        next = a->next;
        forget(a);
    }
    close_parts(m);
    m->device.ops->close(m->device.backend);
    tokenizer_close(m->tokenizer);
    checkpoint_close(m->checkpoint);
    free(m->allowed);
    free(m->id);
    free(m->at);
    free(m->last);
    free(m->chosen);
    free(m->how);
    free(m->who);
    arena_free(&m->arena);
    free(m);
}

const struct llava_info *llava_info(const struct llava *m)
{
    return &m->info;
}

char *llava_missing_tower(const char *path, const struct llava_options *o)
{
    return checkpoint_missing_tower(path, o);
}

enum status llava_inspect(const char *path, const struct llava_options *o, bool json, char **text,
                          struct err *e)
{
    static const struct llava_options defaults;
    return checkpoint_describe(path, o ? o : &defaults, json, text, e);
}

/* ---- host work ------------------------------------------------------------------------------ */

enum status llava_tokenize(const struct llava *m, const char *prompt, int32_t **ids, size_t *n,
                           struct err *e)
{
    if (!m->tokenizer)
        return err_set(e, ERR_CHECKPOINT, "%s: random weights have no tokenizer", m->info.path);
    return tokenizer_prompt(m->tokenizer, prompt, ids, n, e);
}

char *llava_decode(const struct llava *m, const int32_t *ids, size_t n)
{
    return m->tokenizer ? tokenizer_decode(m->tokenizer, ids, n, true) : strdup("");
}

enum status llava_preprocess(const struct llava *m, enum llava_image_mode mode, const void *file,
                             size_t size, struct llava_pixels *out, struct err *e)
{
    int side = m->config.tower.side;
    size_t n = (size_t)side * (size_t)side * 3;
    bool pad = mode == LLAVA_PAD || (mode == LLAVA_AS_CONFIG && m->config.pad);

    *out = (struct llava_pixels){ .rgb = malloc(n) };
    if (!out->rgb)
        err_set(e, ERR_MEMORY, "no memory for %zu bytes of pixels", n);
    else if (preprocess(out->rgb, file, size, side, pad, resize_best_level(), e) == OK) {
        struct sha256 s;
        sha256_init(&s);
        sha256_add(&s, out->rgb, n);
        sha256_end(&s, out->sha256);
    }
    if (e->code != OK)
        llava_pixels_free(out);
    return e->code;
}

void llava_pixels_free(struct llava_pixels *p)
{
    free(p->rgb);
    p->rgb = NULL;
}

void llava_normalise(const struct llava *m, const struct llava_pixels *p, float *out)
{
    size_t n = (size_t)m->config.tower.side * (size_t)m->config.tower.side;
    float table[3][256];
    normalise_table(table);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            out[c * n + i] = table[c][p->rgb[3 * i + c]];
}

/* ---- requests ------------------------------------------------------------------------------- */

/* What stands at position p: a token, or -1 - row of the picture in its place. */
static int32_t id_at(const struct llava *m, const struct asked *a, int p)
{
    if (p >= a->n_prompt)
        return a->reply[p - a->n_prompt];
    if (p < a->slot)
        return a->request.ids[p];
    if (p >= a->slot + a->n_image)
        return a->request.ids[p - a->n_image + 1];
    return -1 - (a->question.group->place * m->info.image_tokens + p - a->slot);
}

/* The request can never be answered: says why, and queues it to be told. */
static enum status refuse(struct llava *m, struct asked *a, const char *format, ...)
    PRINTF_LIKE(3, 4);
static enum status refuse(struct llava *m, struct asked *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vasprintf(&a->text, format, args) < 0)
        a->text = NULL;
    va_end(args);
    a->finish = LLAVA_FAILED;
    *m->finished_end = a;
    m->finished_end = &a->next;
    return OK;
}

/* Spreads the slot, cuts, finds prefix and longest reply. False: refused, with the reason. */
static bool measure(struct llava *m, struct asked *a)
{
    const struct llava_request *r = &a->request;
    const struct language_config *c = &m->config.language;
    int slots = 0;

    if (!r->n_ids || r->n_ids > PROMPT_MAX) {
        refuse(m, a, "the prompt has %zu tokens, expected 1 to %d", r->n_ids, PROMPT_MAX);
        return false;
    }
    a->slot = a->n_prompt = (int)r->n_ids;
    for (size_t i = 0; i < r->n_ids; i++) {
        if (r->ids[i] == LLAVA_IMAGE) {
            if (!slots++)
                a->slot = (int)i;
        } else if (r->ids[i] < 0 || r->ids[i] >= c->vocabulary) {
            refuse(m, a, "token %d of the prompt is %d, outside the vocabulary of %d", (int)i,
                   r->ids[i], c->vocabulary);
            return false;
        }
    }
    if (slots != (r->image ? 1 : 0)) {
        refuse(m, a, "the prompt has %d places for an image, the request has %s", slots,
               r->image ? "one image" : "no image");
        return false;
    }
    if (r->image) {
        a->n_image = m->info.image_tokens;
        a->n_prompt += a->n_image - 1;
    }
    a->cut = c->cut_at && a->n_prompt > c->cut_at;
    if (a->cut)
        a->n_prompt = c->cut_at;
    if (a->n_prompt > c->max_positions) {
        refuse(m, a, "the prompt has %d positions, the model has %d", a->n_prompt,
               c->max_positions);
        return false;
    }
    /* A question keeps at least one row of its own, since its logits are read there. */
    a->n_prefix = r->image ? a->slot + a->n_image : 0;
    if (a->n_prefix > a->n_prompt - 1)
        a->n_prefix = a->n_prompt - 1;
    if (r->image && a->n_prefix < 1) {
        refuse(m, a, "the cut at %d positions leaves nothing of the prompt", c->cut_at);
        return false;
    }
    a->n_most = c->max_positions - a->n_prompt + 1;         /* the last token is not fed back */
    if (a->n_most > r->max_new_tokens)
        a->n_most = r->max_new_tokens < 0 ? 0 : r->max_new_tokens;
    a->question.n_rows = a->n_prompt - a->n_prefix;
    a->question.n_columns = a->question.n_rows + (a->n_most > 1 ? a->n_most - 1 : 0);
    if (!scheduler_fits(&m->scheduler, a->n_prefix, a->question.n_columns)) {
        refuse(m, a, "prompt and reply may take %d positions of the KV cache, which has %d",
               a->n_prefix + a->question.n_columns, m->scheduler.limits.columns);
        return false;
    }
    return true;
}

/* The picture and the ids before it; the stem is as much of these as leaves a row to the prefix. */
static struct prefix prefix_of(const struct asked *a)
{
    const struct llava_request *r = &a->request;
    struct prefix p = { .n_rows = a->n_prefix,
                        .n_stem = a->slot < a->n_prefix ? a->slot : a->n_prefix - 1,
                        .keeps_picture = a->n_prefix < a->slot + a->n_image };
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, r->image->sha256, sizeof r->image->sha256);
    sha256_add(&s, r->ids, (size_t)a->slot * sizeof *r->ids);
    sha256_end(&s, p.key);
    sha256_init(&s);
    sha256_add(&s, r->ids, (size_t)p.n_stem * sizeof *r->ids);
    sha256_end(&s, p.stem_key);
    return p;
}

static enum status submit(struct llava *m, const struct llava_request *r, struct err *e)
{
    if (r->n_beams != 1)
        return err_set(e, ERR_USAGE, "%d beams: only 1 is run", r->n_beams);
    struct asked *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for a request");
    a->request = *r;
    a->since = clock_seconds();
    if (measure(m, a)) {
        struct prefix prefix;
        if (r->image)
            prefix = prefix_of(a);
        a->reply = malloc((size_t)a->n_most * sizeof *a->reply + 1);
        if (!a->reply || scheduler_add(&m->scheduler, &a->question, r->image ? &prefix : NULL,
                                       e) != OK) {
            forget(a);
            return err_set(e, ERR_MEMORY, "no memory for a request");
        }
        m->stats.prompt_tokens += (uint64_t)a->n_prompt;
    }
    m->n_open++;
    m->stats.requests++;
    return OK;
}

enum status llava_submit(struct llava *m, const struct llava_request *r, struct err *e)
{
    enum stage before = m->device.stage;                    /* idle, or of a step that calls done() */
    device_stage(&m->device, STAGE_HOST);
    enum status s = submit(m, r, e);
    device_stage(&m->device, before);
    return s;
}

/* ---- a step --------------------------------------------------------------------------------- */

/* Pictures through tower and connector, each into its place; a half of the places in one batch. */
static enum status encode(struct llava *m, const struct plan *p, struct err *e)
{
    int most = m->scheduler.limits.pictures, tokens = m->info.image_tokens;
    for (int first = 0, n; first < p->n_encode; first += n) {
        int place = p->encode[first]->place;
        struct tensor rows, y;
        for (n = 0; n < most && first + n < p->n_encode &&
                    p->encode[first + n]->place == place + n; n++) {
            const struct asked *a = (const struct asked *)p->encode[first + n]->first;
            if (vision_put(m->vision, n, a->request.image->rgb, e) != OK)
                return e->code;
        }
        y = tensor_rows(m->pictures, place * tokens, n * tokens);
        if (vision_patches(m->vision, n, e) != OK || vision_run(m->vision, n, &rows, e) != OK ||
            connector_run(m->connector, &y, &rows, n, e) != OK)
            return e->code;
        m->stats.images += (uint64_t)n;
        m->stats.flops += n * (vision_flops(&m->config.tower) + connector_flops(&m->config));
    }
    return OK;
}

/* A number in [0,1) that depends on the request's seed and its step alone (splitmix64). */
static float uniform(uint64_t seed, int step)
{
    uint64_t z = seed + (uint64_t)(step + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (float)((z ^ z >> 31) >> 40) * 0x1p-24f;
}

static struct sampling sampling_of(const struct asked *a)
{
    const struct llava_request *r = &a->request;
    return (struct sampling){ .temperature = r->temperature, .top_p = r->top_p > 0 ? r->top_p : 1,
                              .top_k = r->top_k ? r->top_k : TOP_K,
                              .u = uniform(r->seed, a->n_reply) };
}

/* The plan's segments row by row. */
static void pack(struct llava *m, const struct plan *p, struct rows *rows)
{
    const struct language_config *c = &m->config.language;
    int t = 0, s = 0;
    for (int i = 0; i < p->n_segments; i++) {
        const struct segment *g = &p->segment[i];
        const struct question *q = g->question ? g->question : g->group->first;
        struct asked *a = (struct asked *)q;
        for (int j = 0; j < g->n; j++, t++) {
            m->at[t] = scheduler_row(g, j);
            m->id[t] = id_at(m, a, m->at[t].position);
            m->stats.flops += language_row_flops(c) +
                              language_key_flops(c) * (m->at[t].position + 1);
        }
        if (g->wants_token) {
            m->last[s] = t - 1;
            m->how[s] = sampling_of(a);
            m->who[s++] = a;
        }
    }
    m->stats.flops += s * language_logit_flops(c);
    m->stats.computed_tokens += (uint64_t)t;
    *rows = (struct rows){ .n = t, .n_last = s, .id = m->id, .at = m->at, .last = m->last,
                           .copy = p->copy, .n_copies = p->n_copies };
}

/* Has the stop string appeared? Then a->text is what stands before it. */
static enum status find_stop(struct llava *m, struct asked *a, bool *found, struct err *e)
{
    *found = false;
    if (!a->request.stop || !*a->request.stop || !m->tokenizer)
        return OK;
    char *text = tokenizer_decode(m->tokenizer, a->reply, (size_t)a->n_reply, false);
    char *stop = text ? strstr(text, a->request.stop) : NULL;
    if (stop) {
        struct arena scratch = { 0 };
        *stop = 0;
        a->text = strdup(utf8_strip(&scratch, text));
        *found = true;
        arena_free(&scratch);
    }
    free(text);
    return text && (!stop || a->text) ? OK : err_set(e, ERR_MEMORY, "no memory for a reply");
}

/* Takes the token chosen for a; then a goes on, or is finished. */
static enum status take(struct llava *m, struct asked *a, int32_t id, struct err *e)
{
    bool done = !a->n_most;                                 /* only its logits were wanted */
    a->finish = LLAVA_LENGTH;
    if (!done && id == m->config.language.eos) {
        a->finish = LLAVA_STOP;
        done = true;
    } else if (!done) {
        a->reply[a->n_reply++] = id;
        m->stats.reply_tokens++;
        if (a->request.token)
            a->request.token(a->request.user, id);
        if (find_stop(m, a, &done, e) != OK)
            return e->code;
        if (done)
            a->finish = LLAVA_STOP;
        done |= a->n_reply == a->n_most;
    }
    if (done) {
        scheduler_finish(&m->scheduler, &a->question);
        *m->finished_end = a;
        m->finished_end = &a->next;
    } else {
        scheduler_token(&m->scheduler, &a->question);
    }
    return OK;
}

/* From the last rows' logits to tokens. */
static enum status choose(struct llava *m, const struct tensor *logits, struct err *e)
{
    struct device *d = &m->device;
    device_stage(d, STAGE_SAMPLE);
    if (logits->rows && d->ops->sample(d->backend, m->chosen, logits, m->n_valid, m->allowed,
                                       m->how, e) != OK)
        return e->code;
    for (int s = 0; s < logits->rows; s++) {
        const struct asked *a = m->who[s];
        struct tensor row = tensor_rows(*logits, s, 1);
        if (a->request.logits && !a->n_reply &&
            d->ops->read(d->backend, a->request.logits, &row, e) != OK)
            return e->code;
    }
    if (device_sync(d, e) != OK)
        return e->code;
    for (int s = 0; s < logits->rows; s++)
        if (take(m, m->who[s], m->chosen[s], e) != OK)
            return e->code;
    return OK;
}

/* Tells the callers of the finished; they may submit more from there. */
static enum status tell(struct llava *m, struct err *e)
{
    while (m->finished) {
        struct asked *a = m->finished;
        if (!a->text && a->finish != LLAVA_FAILED)
            a->text = llava_decode(m, a->reply, (size_t)a->n_reply);
        if (!a->text)
            return err_set(e, ERR_MEMORY, "no memory for a reply");
        if (!(m->finished = a->next))
            m->finished_end = &m->finished;
        m->n_open--;
        struct llava_reply reply = {
            .text = a->text, .ids = a->reply, .n_ids = (size_t)a->n_reply, .finish = a->finish,
            .prompt_tokens = a->n_prompt, .cut = a->cut, .ms = 1e3 * (clock_seconds() - a->since),
        };
        a->request.done(a->request.user, &reply);
        forget(a);
    }
    return OK;
}

static enum status step(struct llava *m, struct err *e)
{
    const struct plan *p = scheduler_plan(&m->scheduler);
    struct rows rows;
    struct tensor logits;
    if (p->n_rows) {
        if (encode(m, p, e) != OK)
            return e->code;
        device_stage(&m->device, STAGE_HOST);
        pack(m, p, &rows);
        if (language_step(m->language, &rows, &m->pictures, &logits, e) != OK ||
            choose(m, &logits, e) != OK)
            return e->code;
        m->stats.steps++;
    }
    return tell(m, e);
}

enum status llava_step(struct llava *m, size_t *unanswered, struct err *e)
{
    if (m->broken.code != OK)
        return err_set(e, m->broken.code, "%s", m->broken.text);
    device_stage(&m->device, STAGE_HOST);
    enum status s = step(m, e);
    device_stage(&m->device, STAGE_IDLE);
    if (s != OK)
        m->broken = *e;
    *unanswered = m->n_open;
    return s;
}

size_t llava_appetite(const struct llava *m)
{
    const struct limits *l = &m->scheduler.limits;
    return (size_t)l->running + 4 * (size_t)l->pictures;    /* lanes, and two halves ahead */
}

void llava_stats(const struct llava *m, struct llava_stats *out)
{
    *out = m->stats;
    for (int i = 0; i < N_STAGES; i++) {
        out->stage[i].name = stage_names[i];
        out->stage[i].seconds = m->device.seconds[i];
    }
    out->stage[m->device.stage].seconds += clock_seconds() - m->device.since;   /* not yet over */
    out->peak_device_bytes = m->device.ops->memory_peak(m->device.backend);
}

enum status llava_peak_flops(struct llava *m, double *flops_per_s, struct err *e)
{
    *flops_per_s = m->device.ops->peak_flops(m->device.backend, type_of(m));
    return *flops_per_s > 0 ? OK : err_set(e, ERR_DEVICE, "%s: its speed could not be measured",
                                           m->info.device);
}
