/* source.c -- see source.h. Files are mapped and stay so; only their tables are read here. */
#include "engine/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "engine/safetensors.h"
#include "engine/torch_pickle.h"

const struct json *read_json_file(struct arena *a, const char *path, const char **text,
                                  struct err *e)
{
    struct file f;
    if (file_size(path) < 0 || file_open(&f, path, ERR_CHECKPOINT, e) != OK)
        return NULL;
    struct err why = { 0 };
    const struct json *tree = json_parse(a, path, f.at, f.n, &why);
    if (!tree)
        err_set(e, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_CHECKPOINT, "%s", why.text);
    else if (tree->type != JSON_OBJECT)
        err_set(e, ERR_CHECKPOINT, "%s: expected a JSON object", path);
    else if (text)
        *text = arena_strn(a, f.at, f.n);
    file_close(&f);
    return e->code == OK ? tree : NULL;
}

bool starts(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

bool ends(const char *text, const char *with)
{
    size_t n = strlen(text), k = strlen(with);
    return n >= k && !strcmp(text + n - k, with);
}

static bool here(struct arena *a, const char *dir, const char *name)
{
    return file_size(path_join(a, dir, name)) >= 0;
}

void weight_files_close(struct weight_files *f)
{
    while (f->n)
        file_close(&f->at[--f->n].file);
}

/* Prefixes of the published layouts, and ours. The first that fits counts. */
static const struct { const char *theirs, *ours; } prefixes[] = {
    { "model.vision_tower.vision_tower.vision_model.", "vision_model." },   /* LLaVA */
    { "vision_tower.vision_model.", "vision_model." },                      /* llava-hf */
    { "model.vision_tower.vision_model.", "vision_model." },    /* ..., from transformers 4.52 */
    { "vision_tower.", "vision_model." },                       /* ..., from transformers 5 */
    { "model.vision_tower.", "vision_model." },
    { "embeddings.", "vision_model.embeddings." },              /* a tower alone, transformers 5 */
    { "encoder.", "vision_model.encoder." },
    { "pre_layrnorm.", "vision_model.pre_layrnorm." },
    { "post_layernorm.", "vision_model.post_layernorm." },
    { "language_model.model.", "model." },
    { "language_model.lm_head.", "lm_head." },
    { "model.language_model.", "model." },
    { "multi_modal_projector.linear_1.", "model.mm_projector.0." },
    { "multi_modal_projector.linear_2.", "model.mm_projector.2." },
    { "model.multi_modal_projector.linear_1.", "model.mm_projector.0." },
    { "model.multi_modal_projector.linear_2.", "model.mm_projector.2." },
    { "model.mm_projector.weight", "model.mm_projector.0.weight" },         /* a linear one */
    { "model.mm_projector.bias", "model.mm_projector.0.bias" },
};

static const char *our_name(struct arena *a, const char *name)
{
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (starts(name, prefixes[i].theirs))
            return arena_fmt(a, "%s%s", prefixes[i].ours, name + strlen(prefixes[i].theirs));
    return name;
}

/* What a trainer wraps around the names of an adapter's and its companion's tensors. */
void source_strip_wrapping(struct source *source)
{
    struct store *s = &source->store;
    bool twice = false;
    for (size_t i = 0; i < s->n; i++) {
        if (starts(s->at[i].name, "base_model."))
            s->at[i].name += strlen("base_model.");
        twice |= starts(s->at[i].name, "model.model.");
    }
    for (size_t i = 0; i < s->n; i++)
        if (twice && starts(s->at[i].name, "model."))
            s->at[i].name += strlen("model.");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct stored *)a)->name, ((const struct stored *)b)->name);
}

const struct stored *source_find(const struct source *s, const char *name)
{
    bool tower = starts(name, "vision_model.");
    if (!s->store.n || !(s->parts & (tower ? PART_TOWER : PART_REST)))
        return NULL;
    struct stored key = { .name = name };
    return bsearch(&key, s->store.at, s->store.n, sizeof key, by_name);
}

bool source_twice(const struct source *s, const struct stored *t)
{
    const struct stored *end = s->store.at + s->store.n;
    return t >= s->store.at && t < end && ((t > s->store.at && !by_name(t - 1, t)) ||
                                           (t + 1 < end && !by_name(t, t + 1)));
}

/* After the last file: our names, sorted. */
void source_finish(struct source *s, struct arena *a, int parts)
{
    s->parts = parts;
    for (size_t i = 0; i < s->store.n; i++) {
        struct stored *t = &s->store.at[i];
        t->name = our_name(a, t->name);
        s->connector_depth += starts(t->name, "model.mm_projector.") && ends(t->name, ".weight");
    }
    if (s->store.n)
        qsort(s->store.at, s->store.n, sizeof *s->store.at, by_name);
}

/* What is no file of weights at all, by its first bytes. */
enum status check_download(const char *path, const struct file *f, struct err *e)
{
    char head[64] = "";
    memcpy(head, f->at ? f->at : "", f->n < sizeof head - 1 ? f->n : sizeof head - 1);
    const char *text = head + strspn(head, " \t\r\n");
    if (starts(head, "version https://git-lfs"))
        return err_set(e, ERR_CHECKPOINT,
                       "%s: a Git LFS pointer, not the file itself; fetch it with "
                       "git lfs pull", path);
    if (!strncasecmp(text, "<!doctype", 9) || !strncasecmp(text, "<html", 5))
        return err_set(e, ERR_CHECKPOINT, "%s: a web page, so a failed download; fetch it again",
                       path);
    if (!memcmp(head, "GGUF", 4))
        return err_set(e, ERR_CHECKPOINT,
                       "%s: a GGUF file; quantized files of llama.cpp are not run, "
                       "use the checkpoint it was made from", path);
    if (f->n == 0)
        return err_set(e, ERR_CHECKPOINT, "%s: is empty", path);
    return OK;
}

enum status source_read_file(struct source *s, struct weight_files *f, const char *path,
                             struct err *e)
{
    if (f->n == FILES_MAX)
        return err_set(e, ERR_CHECKPOINT, "%s: more than %d files of weights", path, FILES_MAX);
    struct file *file = &f->at[f->n].file;
    if (file_open(file, path, ERR_CHECKPOINT, e) != OK)
        return e->code;
    int i = f->n++;                                         /* weight_files_close unmaps it */
    size_t before = s->store.n;
    f->at[i].path = arena_str(f->arena, path);
    s->store.arena = f->arena;
    if (check_download(path, file, e) != OK)
        return e->code;
    if (ends(path, ".safetensors"))
        safetensors_read(&s->store, path, file->at, file->n, e);
    else
        torch_read(&s->store, path, file->at, file->n, e);
    f->at[i].n_tensors = s->store.n - before;
    return e->code;
}

static const struct { const char *index, *single; } forms[] = {
    { "model.safetensors.index.json", "model.safetensors" },
    { "pytorch_model.bin.index.json", "pytorch_model.bin" },
};

/* The files that an index names, each once, absent ones counted; NULL with e set. */
static const char **read_index(struct arena *a, const char *dir, const char *index, size_t *n,
                               const char **absent, struct err *e)
{
    const char *path = path_join(a, dir, index);
    const struct json *tree = read_json_file(a, path, NULL, e), *map = json_get(tree, "weight_map");
    *n = 0;
    *absent = NULL;
    if (e->code != OK)
        return NULL;
    const char **files = arena_array(a, FILES_MAX, sizeof *files);
    if (!files) {
        err_set(e, ERR_MEMORY, "%s: no memory", path);
        return NULL;
    }
    if (!map || map->type != JSON_OBJECT) {
        err_set(e, ERR_CHECKPOINT, "%s: no \"weight_map\"", path);
        return NULL;
    }
    for (const struct json *m = map->first; m; m = m->next) {
        const char *name = m->type == JSON_STRING ? m->string : "";
        size_t i = 0;
        while (i < *n && strcmp(files[i], name))
            i++;
        if (i < *n)
            continue;
        if (!*name || strchr(name, '/') || name[0] == '.' || *n == FILES_MAX) {
            err_set(e, ERR_CHECKPOINT,
                    "%s: tensor \"%.150s\" lies in \"%.150s\", expected the name of a "
                    "file beside the index", path, m->key, name);
            return NULL;
        }
        files[(*n)++] = name;
        if (!here(a, dir, name) && !*absent)
            *absent = name;
    }
    return files;
}

enum status source_read_folder(struct source *s, struct weight_files *f, const char *dir,
                               bool *found,
                               struct err *e)
{
    struct arena *a = f->arena;
    const char *incomplete = NULL, *in = NULL;
    *found = false;
    for (size_t i = 0; i < COUNT(forms); i++) {
        const char *single = forms[i].single, *absent = NULL, **files = &single;
        size_t n = 1;
        if (here(a, dir, forms[i].index))
            files = read_index(a, dir, forms[i].index, &n, &absent, e);
        else if (!here(a, dir, single))
            continue;
        if (e->code != OK)
            return e->code;
        *found = true;
        if (absent) {
            incomplete = incomplete ? incomplete : absent;
            in = in ? in : forms[i].index;
            continue;
        }
        for (size_t k = 0; k < n; k++)
            if (source_read_file(s, f, path_join(a, dir, files[k]), e) != OK)
                return e->code;
        return OK;
    }
    if (incomplete)
        err_set(e, ERR_CHECKPOINT, "%s: \"%.150s\" is missing, which %s names", dir, incomplete,
                in);
    return e->code;
}

bool has_weights(struct arena *a, const char *dir)
{
    for (size_t i = 0; i < COUNT(forms); i++)
        if (here(a, dir, forms[i].index) || here(a, dir, forms[i].single))
            return true;
    return false;
}
