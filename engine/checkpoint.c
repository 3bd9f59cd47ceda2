/* checkpoint.c -- which files a checkpoint consists of, and which tensor is which.
 *
 *     folder -> layout -> config.json -> sources: files of tensors, in order of precedence
 *            -> tower -> the tensors that the model needs -> each found in a source
 *
 * A source's tensors have our names (source.c), so that all layouts are alike from there on. What
 * does not fit is collected and named in one error. Vision tower: a checkpoint that says
 * unfreeze_mm_vision_tower holds its own; else the one that stands apart counts, and a copy inside
 * the checkpoint only where there is no other (the original ignores such copies). */
#include "engine/checkpoint_private.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/base/sha256.h"
#include "engine/config.h"
#include "engine/lora.h"
#include "engine/problems.h"

static const char *const layout_names[] = { "llava", "llava-hf", "lora", "connector" };

/* ---- small things --------------------------------------------------------------------------- */

static const char *join(struct checkpoint *c, const char *dir, const char *name)
{
    return path_join(&c->arena, dir, name);
}

static bool here(struct checkpoint *c, const char *dir, const char *name)
{
    return file_size(join(c, dir, name)) >= 0;
}

static void problem(struct checkpoint *c, const char *name, const char *what)
{
    c->n_problems++;
    str_addf(&c->problems, "%s %s\n", name, what);
}

/* ---- the folder ----------------------------------------------------------------------------- */

static bool holds_gguf(const char *dir)
{
    bool found = false;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && !found && (entry = readdir(d));)
        found = ends(entry->d_name, ".gguf");
    if (d)
        closedir(d);
    return found;
}

static enum status find_config(struct checkpoint *c, struct err *e)
{
    if (file_size(c->path) >= 0) {
        if (c->random && ends(c->path, ".json"))
            c->config_path = c->path;
        else if (ends(c->path, ".gguf"))
            return err_set(e, ERR_CHECKPOINT, "%s: GGUF files of llama.cpp are not run; use the "
                           "checkpoint it was made from", c->path);
        else
            return err_set(e, ERR_CHECKPOINT, "%s: is a file, expected a checkpoint's folder",
                           c->path);
    } else if (!file_is_dir(c->path))
        return err_set(e, ERR_CHECKPOINT, "%s: no such folder", c->path);
    else
        c->config_path = join(c, c->path, "config.json");
    if (file_size(c->config_path) < 0)
        return holds_gguf(c->path)
            ? err_set(e, ERR_CHECKPOINT, "%s: holds GGUF files of llama.cpp, which are not run; "
                      "use the checkpoint they were made from", c->path)
            : err_set(e, ERR_CHECKPOINT, "%s: no config.json: no checkpoint", c->path);
    struct file f;
    if (file_open(&f, c->config_path, ERR_CHECKPOINT, e) != OK)
        return e->code;
    check_download(c->config_path, &f, e);
    file_close(&f);
    if (e->code == OK)
        c->json = read_json_file(&c->arena, c->config_path, &c->config_text, e);
    return e->code;
}

static void find_layout(struct checkpoint *c)
{
    c->layout = config_is_hf(c->json) ? LLAVA_HF : LLAVA;
    if (c->random)
        return;
    if (here(c, c->path, "adapter_config.json"))
        c->layout = LORA;
    else if (c->layout == LLAVA && here(c, c->path, "mm_projector.bin") &&
             !has_weights(&c->arena, c->path))
        c->layout = CONNECTOR;
}

static enum status find_base(struct checkpoint *c, const struct llava_options *o, struct err *e)
{
    if (c->layout != LORA && c->layout != CONNECTOR)
        return OK;
    if (!o->model_base) {
        const char *path = join(c, c->path, "adapter_config.json");
        const struct json *adapter = read_json_file(&c->arena, path, NULL, e);
        const char *name = json_get_str(adapter, "base_model_name_or_path",
                                        json_get_str(c->json, "_name_or_path", "its base"));
        return err_set(e, ERR_CHECKPOINT, "%s: %s; it needs the language model it was trained on: "
                       "--model-base FOLDER (%.150s)", c->path,
                       c->layout == LORA ? "a LoRA adapter" : "a connector alone", name);
    }
    if (!file_is_dir(o->model_base))
        return err_set(e, ERR_CHECKPOINT, "%s: no such folder (--model-base)", o->model_base);
    if (c->layout == CONNECTOR && c->config.use_im_start_end)
        return err_set(e, ERR_CHECKPOINT, "%s: a connector alone that brings tokens of its own "
                       "(mm_use_im_start_end) is not run", c->path);
    c->base = arena_str(&c->arena, o->model_base);
    return OK;
}

static enum status find_tokenizer(struct checkpoint *c, struct err *e)
{
    if (c->random)
        return OK;
    const char *path = join(c, c->base ? c->base : c->path, "tokenizer.model");
    if (file_size(path) < 0)
        return err_set(e, ERR_CHECKPOINT,
                       "%s: no tokenizer.model (a tokenizer.json alone does not do)",
                       c->base ? c->base : c->path);
    c->tokenizer = path;
    return OK;
}

static enum status read_own(struct checkpoint *c, struct err *e)
{
    const char *adapters[] = { "adapter_model.safetensors", "adapter_model.bin" };
    bool found = true;
    switch (c->layout) {
    case LLAVA: case LLAVA_HF:
        source_read_folder(&c->own, &c->files, c->path, &found, e);
        break;
    case CONNECTOR:
        source_read_file(&c->own, &c->files, join(c, c->path, "mm_projector.bin"), e);
        break;
    case LORA:
        source_read_file(&c->own, &c->files, join(c, c->path, "non_lora_trainables.bin"), e);
        source_strip_wrapping(&c->own);
        found = false;
        for (size_t i = 0; i < COUNT(adapters) && !found && e->code == OK; i++)
            if ((found = here(c, c->path, adapters[i])))
                source_read_file(&c->adapter, &c->files, join(c, c->path, adapters[i]), e);
        source_strip_wrapping(&c->adapter);
        break;
    }
    if (!found)
        err_set(e, ERR_CHECKPOINT, holds_gguf(c->path) ? "%s: holds GGUF files, which are not run" :
                c->layout == LORA ? "%s: no adapter_model.safetensors or .bin" :
                "%s: no weights: neither model.safetensors nor pytorch_model.bin, nor an index",
                c->path);
    if (c->base && e->code == OK) {
        if (source_read_folder(&c->low, &c->files, c->base, &found, e) == OK && !found)
            err_set(e, ERR_CHECKPOINT, "%s: no weights (--model-base)", c->base);
    }
    source_finish(&c->own, &c->arena, PART_TOWER | PART_REST);
    source_finish(&c->low, &c->arena, PART_REST);
    source_finish(&c->adapter, &c->arena, PART_REST);
    return e->code;
}

/* ---- the vision tower ----------------------------------------------------------------------- */

/* The last component of a tower's name, which may be a path of somebody else's machine. */
static const char *tower_base(struct checkpoint *c, const char *name)
{
    size_t n = strlen(name);
    while (n > 1 && name[n - 1] == '/')
        n--;
    return path_base(arena_strn(&c->arena, name, n));
}

/* A revision's folder in a hub cache beside: .../models--openai--NAME/snapshots/X. */
static const char *tower_in_cache(struct checkpoint *c, const char *near, const char *name)
{
    const char *dir = arena_fmt(&c->arena, "%s/../../../models--openai--%s/snapshots", near, name);
    const char *found = NULL;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (entry->d_name[0] != '.' && (!found || strcmp(entry->d_name, path_base(found)) > 0) &&
            has_weights(&c->arena, join(c, dir, entry->d_name)))
            found = join(c, dir, entry->d_name);
    if (d)
        closedir(d);
    return found;
}

static const char *tower_beside(struct checkpoint *c, const char *name)
{
    const char *base = tower_base(c, name), *near[] = { c->path, c->base };
    if (!*name || !strcmp(base, "..") || !strcmp(base, "."))
        return NULL;
    if (has_weights(&c->arena, name))
        return name;
    for (size_t i = 0; i < COUNT(near) && near[i]; i++) {
        const char *places[] = {
            join(c, near[i], base),
            arena_fmt(&c->arena, "%s/../%s", near[i], base),
            arena_fmt(&c->arena, "%s/../../openai/%s", near[i], base),
        };
        for (size_t k = 0; k < COUNT(places); k++)
            if (has_weights(&c->arena, places[k]))
                return places[k];
        const char *cached = tower_in_cache(c, near[i], base);
        if (cached)
            return cached;
    }
    return NULL;
}

/* Shapes of a tower that no config describes, from its tensors; heads of 64 as in all of CLIP's. */
static void derive_tower(struct tower_config *t, const struct source *s)
{
    static const char p[] = "vision_model.embeddings.patch_embedding.weight",
        q[] = "vision_model.embeddings.position_embedding.weight",
        r[] = "vision_model.encoder.layers.0.mlp.fc1.weight";
    const struct stored *patch = source_find(s, p), *place = source_find(s, q),
                        *ffn = source_find(s, r);
    const int64_t far = 1 << 20;
    if (!patch || !place || !ffn || patch->n_dims != 4 || place->n_dims != 2 || ffn->n_dims != 2 ||
        patch->shape[0] > far || patch->shape[3] > 1024 || place->shape[0] > far ||
        ffn->shape[0] > far || patch->shape[0] < 64)
        return;
    int layers = 0, grid = 1;
    char name[100];
    do
        snprintf(name, sizeof name, "vision_model.encoder.layers.%d.layer_norm1.weight", layers);
    while (source_find(s, name) && ++layers < 1000);
    while ((grid + 1) * (grid + 1) < place->shape[0])
        grid++;
    *t = (struct tower_config){ .hidden = (int)patch->shape[0], .heads = (int)patch->shape[0] / 64,
                                .ffn = (int)ffn->shape[0], .layers = layers,
                                .side = grid * (int)patch->shape[3], .patch = (int)patch->shape[3],
                                .eps = 1e-5f };
}

/* A processor that cuts to another size than the tower's belongs to another tower. */
static void check_processor(struct checkpoint *c, const char *dir, struct err *e)
{
    const char *path = join(c, dir, "preprocessor_config.json");
    const struct json *o = read_json_file(&c->arena, path, NULL, e);
    const struct json *crop = json_get(o, "crop_size");
    int64_t side = crop && crop->type == JSON_OBJECT ? json_get_int(crop, "height", 0)
                                                     : json_get_int(o, "crop_size", 0);
    if (side && side != c->config.tower.side)
        err_set(e, ERR_CHECKPOINT,
                "%s: \"crop_size\" is %lld, but the vision tower's images are %d wide",
                path, (long long)side, c->config.tower.side);
}

static enum status refuse_tower(const char *path, const char *name, struct err *e)
{
    static const char *const others[] = { "siglip", "eva", "dino", "convnext", "internvit",
                                          "davit" };
    const char *base = path_base(name);
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcasestr(base, others[i]))
            return err_set(e, ERR_CHECKPOINT,
                           "%s: vision tower \"%.150s\" is not run; CLIP's ViT towers "
                           "are", path, name);
    return OK;
}

static const char *tower_name(const struct checkpoint *c)
{
    return json_get_str(c->json, "mm_vision_tower", json_get_str(c->json, "vision_tower", ""));
}

/* Which tower counts. False: one that stands apart, and it is nowhere. */
static bool choose_tower(struct checkpoint *c, const struct llava_options *o)
{
    bool inside = source_find(&c->own, "vision_model.embeddings.class_embedding");
    bool unfrozen = json_get_bool(c->json, "unfreeze_mm_vision_tower", false) ||
                    c->layout == LLAVA_HF;

    if (!c->random && !(inside && unfrozen)) {
        c->tower = o->vision_tower ? arena_str(&c->arena, o->vision_tower)
                                   : tower_beside(c, tower_name(c));
        if (!c->tower && inside)
            c->note = "the copy inside the checkpoint is used; the original would read the tower "
                      "that config.json names";
    } else if (o->vision_tower && !c->random)
        c->note = "the checkpoint holds a tower that was trained with it; --vision-tower is not "
                  "used";
    return c->random || c->tower || inside;
}

/* Decides which tower counts, reads its tensors, fills the tower's part of the config. */
static enum status find_tower(struct checkpoint *c, const struct llava_options *o, struct err *e)
{
    const struct json *vision = json_get(c->json, "vision_config");
    const char *name = tower_name(c), *described = c->config_path;
    struct tower_config *t = &c->config.tower;

    if (refuse_tower(c->config_path, name, e) != OK)
        return e->code;
    if (!choose_tower(c, o))
        return err_set(e, ERR_CHECKPOINT, "%s: needs the vision tower \"%.150s\", which is not beside "
                       "it: fetch it, or give its folder with --vision-tower", c->path,
                       *name ? name : "(not named)");

    bool found = true;
    if (c->tower && source_read_folder(&c->apart, &c->files, c->tower, &found, e) == OK && !found)
        err_set(e, ERR_CHECKPOINT, "%s: no weights of a vision tower", c->tower);
    source_finish(&c->apart, &c->arena, PART_TOWER);
    if (c->tower) {
        c->own.parts = PART_REST;
        described = join(c, c->tower, "config.json");
        const struct json *alone = read_json_file(&c->arena, described, NULL, e);
        if (alone)
            vision = json_get(alone, "vision_config") ? json_get(alone, "vision_config") : alone;
        else
            described = c->config_path;
    }
    if (e->code != OK)
        return e->code;

    /* What nothing says: llava-hf's class has ViT-B/32's sizes; LLaVA's own is ViT-L/14-336. */
    if (c->layout == LLAVA_HF)
        *t = (struct tower_config){ .hidden = 768, .heads = 12, .ffn = 3072, .layers = 12,
                                    .side = 224, .patch = 32, .eps = 1e-5f };
    else if (!config_known_tower(t, name) && !(c->tower && config_known_tower(t, c->tower))) {
        config_known_tower(t, "clip-vit-large-patch14-336");
        derive_tower(t, c->tower ? &c->apart : &c->own);
    }
    if (vision && config_read_tower(t, vision, described, e) != OK)
        return e->code;
    if (c->tower)
        check_processor(c, c->tower, e);
    return config_select(&c->config, c->json, c->config_path, e);
}

/* ---- what the model needs ------------------------------------------------------------------- */

static void add_need(struct checkpoint *c, bool ones, const char *name, int n_dims, int64_t a,
                     int64_t b)
{
    if (c->n_need == c->need_size) {
        size_t size = c->need_size ? c->need_size * 2 : 512;
        struct need *at = arena_array(&c->arena, size, sizeof *at);
        if (!at)
            return;                                         /* arena.failed is looked at later */
        if (c->n_need)
            memcpy(at, c->need, c->n_need * sizeof *at);
        c->need = at;
        c->need_size = size;
    }
    c->need[c->n_need] = (struct need){ .name = name, .n_dims = n_dims, .shape = { a, b },
                                          .ones = ones, .type = BF16, .place = (int)c->n_need };
    c->n_need++;
}

static void need_matrix(struct checkpoint *c, const char *prefix, const char *name, int rows,
                        int cols)
{
    add_need(c, false, arena_fmt(&c->arena, "%s%s.weight", prefix, name), 2, rows, cols);
}

static void need_vector(struct checkpoint *c, const char *prefix, const char *name, int n)
{
    bool ones = strstr(name, "norm") && ends(name, ".weight");
    add_need(c, ones, arena_fmt(&c->arena, "%s%s", prefix, name), 1, n, 0);
}

static void need_linear(struct checkpoint *c, const char *prefix, const char *name, int rows,
                        int cols)
{
    need_matrix(c, prefix, name, rows, cols);
    need_vector(c, prefix, arena_fmt(&c->arena, "%s.bias", name), rows);
}

static void need_norm(struct checkpoint *c, const char *prefix, const char *name, int n)
{
    need_vector(c, prefix, arena_fmt(&c->arena, "%s.weight", name), n);
    need_vector(c, prefix, arena_fmt(&c->arena, "%s.bias", name), n);
}

static void need_tower(struct checkpoint *c)
{
    const struct tower_config *t = &c->config.tower;
    int D = t->hidden;
    need_vector(c, "vision_model.", "embeddings.class_embedding", D);
    need_matrix(c, "vision_model.", "embeddings.position_embedding", 1 + t->patches, D);
    add_need(c, false, "vision_model.embeddings.patch_embedding.weight", 4, D, 3);
    if (c->n_need)
        c->need[c->n_need - 1].shape[2] = c->need[c->n_need - 1].shape[3] = t->patch;
    need_norm(c, "vision_model.", "pre_layrnorm", D);
    for (int i = 0; i < t->run_layers; i++) {
        const char *p = arena_fmt(&c->arena, "vision_model.encoder.layers.%d.", i);
        need_norm(c, p, "layer_norm1", D);
        need_norm(c, p, "layer_norm2", D);
        need_linear(c, p, "self_attn.q_proj", D, D);
        need_linear(c, p, "self_attn.k_proj", D, D);
        need_linear(c, p, "self_attn.v_proj", D, D);
        need_linear(c, p, "self_attn.out_proj", D, D);
        need_linear(c, p, "mlp.fc1", t->ffn, D);
        need_linear(c, p, "mlp.fc2", D, t->ffn);
    }
}

static void need_language(struct checkpoint *c)
{
    const struct language_config *l = &c->config.language;
    int D = l->hidden, kv = l->kv_heads * l->head_size;
    need_matrix(c, "model.", "embed_tokens", l->vocabulary, D);
    for (int i = 0; i < l->layers; i++) {
        const char *p = arena_fmt(&c->arena, "model.layers.%d.", i);
        need_vector(c, p, "input_layernorm.weight", D);
        need_vector(c, p, "post_attention_layernorm.weight", D);
        need_matrix(c, p, "self_attn.q_proj", D, D);
        need_matrix(c, p, "self_attn.k_proj", kv, D);
        need_matrix(c, p, "self_attn.v_proj", kv, D);
        need_matrix(c, p, "self_attn.o_proj", D, D);
        need_matrix(c, p, "mlp.gate_proj", l->ffn, D);
        need_matrix(c, p, "mlp.up_proj", l->ffn, D);
        need_matrix(c, p, "mlp.down_proj", D, l->ffn);
    }
    need_vector(c, "model.", "norm.weight", D);
    if (!l->tied)
        need_matrix(c, "", "lm_head", l->vocabulary, D);
}

static int need_by_name(const void *a, const void *b)
{
    return strcmp(((const struct need *)a)->name, ((const struct need *)b)->name);
}

static void list_needs(struct checkpoint *c)
{
    int D = c->config.language.hidden;
    need_tower(c);
    for (int i = 0; i < c->config.connector_depth; i++)
        need_linear(c, "", arena_fmt(&c->arena, "model.mm_projector.%d", 2 * i), D,
                    i ? D : c->config.tower.hidden);
    need_language(c);
    qsort(c->need, c->n_need, sizeof *c->need, need_by_name);
}

static struct need *find_need(const struct checkpoint *c, const char *name)
{
    struct need key = { .name = name };
    return c->n_need ? bsearch(&key, c->need, c->n_need, sizeof key, need_by_name) : NULL;
}

/* ---- finding them --------------------------------------------------------------------------- */

/* In a file of weights, but of no use to anybody: the tower's last block, buffers, CLIP's text
 * half. */
static bool is_ignored(const struct checkpoint *c, const char *name)
{
    return starts(name, "vision_model.") || ends(name, "rotary_emb.inv_freq") ||
           (c->config.language.tied && !strcmp(name, "lm_head.weight")) ||
           !(starts(name, "model.") || starts(name, "lm_head.") || starts(name, "base_model."));
}

static void check_extra(struct checkpoint *c, const struct source *s)
{
    for (size_t i = 0; i < s->store.n; i++) {
        const char *name = s->store.at[i].name;
        if (!find_need(c, name) && !is_ignored(c, name))
            problem(c, name, "is not part of such a model");
    }
}

static void check_need(struct checkpoint *c, struct need *n)
{
    const struct source *order[] = { &c->own, &c->apart, &c->low };
    const struct stored *t = NULL;
    for (size_t i = 0; i < COUNT(order) && !t; i++)
        t = source_find(order[i], n->name);
    if (!t) {
        problem(c, n->name, "is missing");
        return;
    }
    if (source_twice(&c->own, t) || source_twice(&c->apart, t) || source_twice(&c->low, t))
        problem(c, n->name, "stands twice in the files");
    bool fits = t->n_dims == n->n_dims;
    for (int i = 0; fits && i < n->n_dims; i++)
        fits = t->shape[i] == n->shape[i];
    if (!fits) {
        char got[SHAPE_TEXT], want[SHAPE_TEXT];
        problem(c, n->name, arena_fmt(&c->arena, "is %s, expected %s",
                                      shape_text(got, t->shape, t->n_dims),
                                      shape_text(want, n->shape, n->n_dims)));
    } else if (!t->is_float)
        problem(c, n->name, arena_fmt(&c->arena, "is of dtype %s, expected F16, BF16 or F32",
                                      t->type_name));
    else {
        n->type = t->type;
        n->data = t->data;
        n->mapped = !t->copied;
    }
}

/* One error out of all problems. */
static enum status report(struct checkpoint *c, struct err *e)
{
    const size_t room = sizeof e->text - 400;               /* beside the path and the head */
    struct str text;
    if (c->n_problems == 0)
        return e->code;
    str_init(&text, sizeof e->text * 2 + strlen(c->problems.at));
    if (problems_text(&text, c->problems.at, room))
        err_set(e, ERR_CHECKPOINT, "%s: %zu tensor%s of the model do%s not fit: %s", c->path,
                c->n_problems, c->n_problems == 1 ? "" : "s", c->n_problems == 1 ? "es" : "",
                text.at);
    else
        err_set(e, ERR_MEMORY, "%s: no memory for what does not fit", c->path);
    str_free(&text);
    return e->code;
}

static enum status check_connector(struct checkpoint *c, struct err *e)
{
    int found = c->own.connector_depth, said = c->config.connector_depth;
    char name[40];
    if (found == 0 || found == said)                        /* all missing: named with the rest */
        return OK;
    snprintf(name, sizeof name, found == 1 ? "linear" : "mlp%dx_gelu", found);
    return err_set(e, ERR_CHECKPOINT, "%s: the connector is %s by config.json, %s by its tensors",
                   c->path, c->config.connector, name);
}

static int larger_first(const void *a, const void *b)
{
    const struct need *x = *(struct need *const *)a, *y = *(struct need *const *)b;
    int64_t n = shape_elements(x->shape, x->n_dims), m = shape_elements(y->shape, y->n_dims);
    return n != m ? (n < m ? 1 : -1) : strcmp(x->name, y->name);
}

static enum status draw_weights(struct checkpoint *c, struct err *e)
{
    struct need **order = arena_array(&c->arena, c->n_need, sizeof *order);
    if (!order)
        return err_set(e, ERR_MEMORY, "%s: no memory", c->path);
    for (size_t i = 0; i < c->n_need; i++)
        order[i] = &c->need[i];
    qsort(order, c->n_need, sizeof *order, larger_first);
    for (size_t i = 0; i < c->n_need && e->code == OK; i++) {
        struct need *n = order[i];
        int64_t all = shape_elements(n->shape, n->n_dims);
        int cols = n->ones ? 0 : (int)(n->n_dims == 1 ? n->shape[0] : all / n->shape[0]);
        random_weights_take(&c->weights, n->name, cols, (size_t)all, &n->data, e);
    }
    return e->code;
}

/* ---- LoRA ----------------------------------------------------------------------------------- */

/* NAME.lora_A.weight, or NAME.lora_A.default.weight, for NAME.weight. */
static const struct stored *find_factor(struct checkpoint *c, const char *name, char which)
{
    size_t n = strlen(name) - strlen(".weight");
    static const char *const infix[] = { "", ".default" };
    const struct stored *t = NULL;
    for (size_t i = 0; i < COUNT(infix) && !t; i++)
        t = source_find(&c->adapter, arena_fmt(&c->arena, "%.*s.lora_%c%s.weight", (int)n, name,
                                               which, infix[i]));
    return t;
}

struct pair { struct need *need; const struct stored *a, *b; };

/* Which weights the adapter changes; every tensor of it must belong to one. */
static struct pair *find_pairs(struct checkpoint *c, size_t *n_pairs, size_t *elements)
{
    const struct store *s = &c->adapter.store;
    struct pair *pairs = arena_array(&c->arena, c->n_need, sizeof *pairs);
    bool *used = arena_array(&c->arena, s->n + 1, sizeof *used);
    *n_pairs = *elements = 0;
    for (size_t i = 0; pairs && used && i < c->n_need; i++) {
        struct need *n = &c->need[i];
        if (n->n_dims != 2)
            continue;
        const struct stored *a = find_factor(c, n->name, 'A'), *b = find_factor(c, n->name, 'B');
        if (!a && !b)
            continue;
        if (a)
            used[a - s->at] = true;
        if (b)
            used[b - s->at] = true;
        if (!a || !b || a->n_dims != 2 || b->n_dims != 2 || a->shape[0] != b->shape[1] ||
            b->shape[0] != n->shape[0] || a->shape[1] != n->shape[1] || !a->is_float ||
            !b->is_float)
            problem(c, n->name, "does not fit its adapter");
        else if (n->data) {
            pairs[(*n_pairs)++] = (struct pair){ n, a, b };
            *elements += (size_t)(n->shape[0] * n->shape[1]);
        }
    }
    for (size_t i = 0; used && i < s->n; i++)               /* of an embedding, the tower, another name: */
        if (!used[i])                                       /* left out, it would be another model       */
            problem(c, s->at[i].name, "belongs to no weight");
    return pairs;
}

static enum status merge(struct checkpoint *c, bool dry, struct err *e)
{
    const char *path = join(c, c->path, "adapter_config.json");
    double scale = 1;
    const struct json *config = read_json_file(&c->arena, path, NULL, e);
    if (e->code != OK || lora_read_config(&scale, config, path, e) != OK)
        return e->code;
    size_t n = 0, elements = 0, at = 0;
    struct pair *pairs = find_pairs(c, &n, &elements);
    if (report(c, e) != OK || dry)
        return e->code;
    c->merged = malloc(elements * sizeof *c->merged + 1);
    if (!pairs || !c->merged)
        return err_set(e, ERR_MEMORY, "%s: no memory for %zu merged weights", c->path, elements);
    for (size_t i = 0; i < n && e->code == OK; i++) {
        struct need *w = pairs[i].need;
        const struct stored *held = source_find(&c->own, w->name);
        if (!held)
            held = source_find(&c->low, w->name);
        lora_merge(c->merged + at, held, pairs[i].a, pairs[i].b, scale, e);
        w->data = c->merged + at;
        w->mapped = false;
        w->type = F16;
        at += (size_t)(w->shape[0] * w->shape[1]);
    }
    return e->code;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* config.json and the tensors that lie in the folder itself, and in its base's. */
static enum status read_folder(struct checkpoint *c, const struct llava_options *o, struct err *e)
{
    if (find_config(c, e) != OK)
        return e->code;
    find_layout(c);
    if (strcasestr(tower_base(c, c->path), "-delta-v") && !c->random)
        return err_set(e, ERR_CHECKPOINT,
                       "%s: a delta, to be added to the original LLaMA weights; apply it "
                       "first (LLaVA's llava.model.apply_delta)", c->path);
    const char *generation = join(c, c->path, "generation_config.json");
    if (config_read(&c->config, c->json, c->config_path,
                    c->random ? NULL : read_json_file(&c->arena, generation, NULL, e), e) != OK ||
        find_base(c, o, e) != OK || c->random)
        return e->code;
    return read_own(c, e);
}

enum status checkpoint_load(struct checkpoint *c, const struct llava_options *o, bool dry,
                            struct err *e)
{
    if (read_folder(c, o, e) != OK || find_tower(c, o, e) != OK || find_tokenizer(c, e) != OK ||
        check_connector(c, e) != OK)
        return e->code;
    list_needs(c);
    if (c->arena.failed)
        return err_set(e, ERR_MEMORY, "%s: no memory", c->path);
    if (c->random)
        return draw_weights(c, e);
    for (size_t i = 0; i < c->n_need; i++)
        check_need(c, &c->need[i]);
    check_extra(c, &c->own);
    check_extra(c, &c->low);
    if (c->layout == LORA)
        merge(c, dry, e);
    report(c, e);
    return c->arena.failed ? err_set(e, ERR_MEMORY, "%s: no memory", c->path) : e->code;
}

struct checkpoint *checkpoint_new(const char *path, const struct llava_options *o, struct err *e)
{
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_MEMORY, "%s: no memory", path);
        return NULL;
    }
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    c->path = arena_strn(&c->arena, path, n);
    c->files.arena = &c->arena;
    c->random = o->random_weights;
    str_init(&c->problems, (size_t)1 << 26);
    return c;
}

enum status checkpoint_open(struct checkpoint **out, const char *path,
                            const struct llava_options *o, struct err *e)
{
    struct checkpoint *c = *out = checkpoint_new(path, o, e);
    if (c && checkpoint_load(c, o, false, e) != OK) {
        checkpoint_close(c);
        *out = NULL;
    }
    return e->code;
}

char *checkpoint_missing_tower(const char *path, const struct llava_options *o)
{
    struct err ignored = { 0 };                             /* opening it will say the same */
    struct tower_config t;
    char *name = NULL;
    struct checkpoint *c = checkpoint_new(path, o, &ignored);

    if (c && read_folder(c, o, &ignored) == OK && !choose_tower(c, o) &&
        find_tokenizer(c, &ignored) == OK && check_connector(c, &ignored) == OK &&
        refuse_tower(c->config_path, tower_name(c), &ignored) == OK) {
        const char *base = tower_base(c, tower_name(c));
        bool published = !strncmp(base, "clip-", 5) && config_known_tower(&t, base);
        const char *id = published ? arena_fmt(&c->arena, "openai/%s", base) : tower_name(c);
        if (!c->arena.failed && *id)
            name = strdup(id);
    }
    checkpoint_close(c);
    return name;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    weight_files_close(&c->files);
    random_weights_close(&c->weights);
    free(c->merged);
    str_free(&c->problems);
    arena_free(&c->arena);
    free(c);
}

const struct model_config *checkpoint_config(const struct checkpoint *c)
{
    return &c->config;
}

const char *checkpoint_layout(const struct checkpoint *c)
{
    return layout_names[c->layout];
}

const char *checkpoint_config_json(const struct checkpoint *c)
{
    return c->config_text;
}

const char *checkpoint_tokenizer(const struct checkpoint *c)
{
    return c->tokenizer;
}

bool checkpoint_has(const struct checkpoint *c, const char *name)
{
    return find_need(c, name);
}

struct view checkpoint_view(const struct checkpoint *c, const char *name)
{
    const struct need *n = find_need(c, name);
    assert(n && n->data);                                   /* a model asks for what it needs */
    int64_t all = shape_elements(n->shape, n->n_dims), rows = n->n_dims == 1 ? 1 : n->shape[0];
    return (struct view){ n->data, n->type, (int)rows, (int)(all / rows) };
}

static size_t need_bytes(const struct need *n)
{
    return (size_t)shape_elements(n->shape, n->n_dims) * dtype_size(n->type);
}

static void release(const struct need *n)
{
    if (n->mapped)
        file_forget(n->data, need_bytes(n));
}

void checkpoint_release(const struct checkpoint *c, const char *name)
{
    const struct need *n = find_need(c, name);
    assert(n && n->data);
    release(n);
}

const char *dtype_name(enum dtype t)
{
    return t == F16 ? "F16" : t == BF16 ? "BF16" : "F32";
}

static int by_place(const void *a, const void *b)
{
    const struct need *const *x = a, *const *y = b;
    return (*x)->place - (*y)->place;
}

/* hash [n_need]: of each tensor's bytes. */
static enum status hash_tensors(const struct checkpoint *c, unsigned char (*hash)[SHA256_SIZE],
                                struct err *e)
{
    const struct need **order = malloc((c->n_need + 1) * sizeof *order);
    if (!order)
        return err_set(e, ERR_MEMORY, "no memory to hash %zu tensors", c->n_need);
    for (size_t i = 0; i < c->n_need; i++)
        order[i] = &c->need[i];
    qsort(order, c->n_need, sizeof *order, by_place);
    for (size_t i = 0; i < c->n_need; i++) {
        struct sha256 s;
        if (i + 1 < c->n_need && order[i + 1]->mapped)
            file_expect(order[i + 1]->data, need_bytes(order[i + 1]));
        sha256_init(&s);
        sha256_add(&s, order[i]->data, need_bytes(order[i]));
        sha256_end(&s, hash[order[i] - c->need]);
        release(order[i]);
    }
    free(order);
    return OK;
}

/* What the config decides of a reply and no tensor's shape does. */
static int config_line(char out[500], const struct model_config *c)
{
    const struct tower_config *t = &c->tower;
    const struct language_config *l = &c->language;
    return snprintf(out, 500, "tower %d heads %d layers %d patch %d class %d eps %.9g pad %d; language "
                    "%d/%d heads eps %.9g theta %.9g eos %d positions %d cut %d marks %d\n", t->heads,
                    t->run_layers, t->side, t->patch, t->keep_class, (double)t->eps, c->pad, l->heads,
                    l->kv_heads, (double)l->eps, (double)l->theta, l->eos, l->max_positions, l->cut_at,
                    c->use_im_start_end);
}

enum status checkpoint_hash(struct checkpoint *c, char out[65], struct err *e)
{
    struct sha256 s;
    unsigned char whole[SHA256_SIZE], (*hash)[SHA256_SIZE] = calloc(c->n_need + 1, sizeof *hash);
    char shape[SHAPE_TEXT], line[500];

    if (!hash)
        return err_set(e, ERR_MEMORY, "no memory to hash %zu tensors", c->n_need);
    if (!c->random && hash_tensors(c, hash, e) != OK)
        goto done;
    sha256_init(&s);
    if (c->random)
        sha256_add(&s, c->config_text, strlen(c->config_text));
    sha256_add(&s, line, (size_t)config_line(line, &c->config));
    for (size_t i = 0; i < c->n_need; i++) {
        const struct need *n = &c->need[i];
        int k = snprintf(line, sizeof line, "%s %s %s\n", n->name,
                         c->random ? "random" : dtype_name(n->type),
                         shape_text(shape, n->shape, n->n_dims));
        sha256_add(&s, line, (size_t)k);
        sha256_add(&s, hash[i], SHA256_SIZE);
    }
    sha256_end(&s, whole);
    sha256_hex(whole, out);
done:
    free(hash);
    return e->code;
}

int64_t checkpoint_parameters(const struct checkpoint *c)
{
    int64_t n = 0;
    for (size_t i = 0; i < c->n_need; i++)
        n += shape_elements(c->need[i].shape, c->need[i].n_dims);
    return n;
}
