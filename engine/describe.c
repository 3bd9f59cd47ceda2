/* describe.c -- a checkpoint in words, for `inspect`: also one that cannot run, with the reason. */
#include "engine/checkpoint_private.h"
#include "engine/memory.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT_MAX = 16 << 20, N_TYPES = 3 };

struct sums { size_t n[N_TYPES]; int64_t bytes[N_TYPES], parameters, all_bytes; };

static struct sums add_up(const struct checkpoint *c)
{
    struct sums s = { 0 };
    for (size_t i = 0; i < c->n_need; i++) {
        const struct need *n = &c->need[i];
        int64_t elements = shape_elements(n->shape, n->n_dims);
        s.parameters += elements;
        if (!n->data)
            continue;
        int64_t bytes = elements * (int64_t)dtype_size(n->type);
        s.n[n->type]++;                                     /* F32, BF16, F16 are 0, 1, 2 */
        s.bytes[n->type] += bytes;
        s.all_bytes += bytes;
    }
    return s;
}

/* The fewest bytes that a GPU must have free, in each dtype; 0: the checkpoint cannot run. */
static size_t gpu_bytes(const struct checkpoint *c, enum dtype type, const struct err *why)
{
    return why->code ? 0 : memory_least(&c->config, type, type == E4M3 ? F16 : type);
}

static const char *tower_place(const struct checkpoint *c)
{
    return c->random ? "drawn" : c->tower ? c->tower : "inside the checkpoint";
}

static void describe_text(struct str *s, struct checkpoint *c, const struct err *why)
{
    const struct language_config *l = &c->config.language;
    const struct tower_config *t = &c->config.tower;
    struct sums sums = add_up(c);
    str_addf(s, "checkpoint    %s\n", c->path);
    if (c->json)
        str_addf(s, "layout        %s%s%s\n", checkpoint_layout(c), c->base ? ", over " : "",
                 c->base ? c->base : "");
    if (l->hidden)
        str_addf(s, "language      %d layers, hidden %d, feed-forward %d, %d heads (%d key/value), "
                 "vocabulary %d, %d positions, eps %g\n", l->layers, l->hidden, l->ffn, l->heads,
                 l->kv_heads, l->vocabulary, l->max_positions, (double)l->eps);
    if (t->patches)
        str_addf(s, "vision tower  %d of %d layers, hidden %d, feed-forward %d, %d heads, %d x %d "
                 "pixels, patch %d: %d tokens (%s)\n", t->run_layers, t->layers, t->hidden, t->ffn,
                 t->heads, t->side, t->side, t->patch, image_tokens(&c->config), tower_place(c));
    if (*c->config.connector)
        str_addf(s, "connector     %s\nimages        %s\n", c->config.connector,
                 c->config.pad ? "padded to a square" : "cropped");
    if (c->tokenizer)
        str_addf(s, "tokenizer     %s\n", c->tokenizer);
    for (int i = 0; i < c->files.n; i++)
        str_addf(s, "file          %s: %zu bytes, %zu tensors\n", c->files.at[i].path,
                 c->files.at[i].file.n, c->files.at[i].n_tensors);
    if (c->n_need)
        str_addf(s, "parameters    %" PRId64 " in %zu tensors, %" PRId64 " bytes\n",
                 sums.parameters, c->n_need, sums.all_bytes);
    for (int i = 0; i < N_TYPES; i++)
        if (sums.n[i])
            str_addf(s, "dtype         %s: %zu tensors, %" PRId64 " bytes\n",
                     dtype_name((enum dtype)i),
                     sums.n[i], sums.bytes[i]);
    if (c->note)
        str_addf(s, "note          %s\n", c->note);
    for (const char *p = c->problems.at; *p; p += strcspn(p, "\n") + 1) {
        str_add(s, "problem       ");
        str_addn(s, p, strcspn(p, "\n") + 1);
    }
    if (!why->code)
        str_addf(s, "GPU memory    %.1f GB in fp16 or bf16, %.1f in fp32, %.1f in fp8, or more\n",
                 (double)gpu_bytes(c, F16, why) * 1e-9, (double)gpu_bytes(c, F32, why) * 1e-9,
                 (double)gpu_bytes(c, E4M3, why) * 1e-9);
    str_addf(s, "runs          %s%s\n", why->code ? "no: " : "yes", why->text);
}

static void add_text(struct str *s, const char *key, const char *value)
{
    str_addf(s, "\"%s\": ", key);
    if (value)
        str_add_json(s, value);
    else
        str_add(s, "null");
    str_add(s, ", ");
}

static void describe_json(struct str *s, struct checkpoint *c, const struct err *why)
{
    const struct language_config *l = &c->config.language;
    const struct tower_config *t = &c->config.tower;
    struct sums sums = add_up(c);
    str_addf(s, "{\"runs\": %s, ", why->code ? "false" : "true");
    add_text(s, "path", c->path);
    add_text(s, "problem", why->code ? why->text : NULL);
    add_text(s, "layout", c->json ? checkpoint_layout(c) : NULL);
    add_text(s, "base", c->base);
    add_text(s, "connector", *c->config.connector ? c->config.connector : NULL);
    add_text(s, "tokenizer", c->tokenizer);
    add_text(s, "note", c->note);
    str_addf(s, "\"pad\": %s, \"language\": {\"layers\": %d, \"hidden\": %d, \"ffn\": %d, "
             "\"heads\": %d, "
             "\"kv_heads\": %d, \"vocabulary\": %d, \"max_positions\": %d, \"rms_norm_eps\": ",
             c->config.pad ? "true" : "false", l->layers, l->hidden, l->ffn, l->heads, l->kv_heads,
             l->vocabulary, l->max_positions);
    str_addf(s, "%g", (double)l->eps);                      /* 1e-05, not the nearest double */
    str_addf(s, "}, \"vision_tower\": {\"layers\": %d, \"run_layers\": %d, \"hidden\": %d, "
             "\"ffn\": %d, "
             "\"heads\": %d, \"image_side\": %d, \"patch\": %d, \"image_tokens\": %d, ", t->layers,
             t->run_layers, t->hidden, t->ffn, t->heads, t->side, t->patch,
             image_tokens(&c->config));
    add_text(s, "from", t->patches ? tower_place(c) : NULL);
    str_addf(s, "\"layer_norm_eps\": %g", (double)t->eps);
    str_addf(s, "}, \"parameters\": %" PRId64 ", \"tensors\": %zu, \"bytes\": %" PRId64
             ", \"dtypes\": {", sums.parameters, c->n_need, sums.all_bytes);
    for (int i = 0, n = 0; i < N_TYPES; i++)
        if (sums.n[i])
            str_addf(s, "%s\"%s\": %" PRId64, n++ ? ", " : "", dtype_name((enum dtype)i),
                     sums.bytes[i]);
    str_addf(s, "}, \"gpu_bytes\": {\"fp16\": %zu, \"bf16\": %zu, \"fp32\": %zu, "
             "\"fp8\": %zu}", gpu_bytes(c, F16, why), gpu_bytes(c, BF16, why),
             gpu_bytes(c, F32, why), gpu_bytes(c, E4M3, why));
    str_add(s, ", \"files\": [");
    for (int i = 0; i < c->files.n; i++) {
        str_add(s, i ? ", {" : "{");
        add_text(s, "path", c->files.at[i].path);
        str_addf(s, "\"bytes\": %zu, \"tensors\": %zu}", c->files.at[i].file.n,
                 c->files.at[i].n_tensors);
    }
    str_add(s, "], \"problems\": [");
    for (const char *p = c->problems.at; *p; p += strcspn(p, "\n") + 1) {
        str_add(s, p == c->problems.at ? "" : ", ");
        str_add_json(s, arena_strn(&c->arena, p, strcspn(p, "\n")));
    }
    str_add(s, "]}");
}

enum status checkpoint_describe(const char *path, const struct llava_options *o, bool json,
                                char **text, struct err *e)
{
    struct str s;
    *text = NULL;
    struct checkpoint *c = checkpoint_new(path, o, e);
    if (!c)
        return e->code;
    checkpoint_load(c, o, true, e);
    str_init(&s, TEXT_MAX);
    (json ? describe_json : describe_text)(&s, c, e);
    if (s.failed || !s.size) {
        str_free(&s);
        err_set(e, ERR_MEMORY, "%s: no memory for its description", path);
    } else
        *text = s.at;
    checkpoint_close(c);
    return e->code;
}
