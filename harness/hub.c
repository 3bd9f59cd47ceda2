/* hub.c -- a checkpoint by its name on the Hugging Face hub, "org/name".
 *
 * Looked for in this order: a folder of that name; the cache of the hub's own tools,
 *     <cache>/models--org--name/refs/main            holds a commit
 *     <cache>/models--org--name/snapshots/<commit>/  holds the files (links into ../../blobs)
 * which is read and never written; our own cache, <cache_dir>/models/org--name; the hub itself.
 *
 * A download takes its file list and every file from one commit. Each file is checked: a large one by
 * its SHA-256, a small one by git's blob hash, SHA-1 over "blob <size>\0" and the bytes. The folder
 * gets its name once everything is in it, so that a half one is never taken for a checkpoint. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/fetch.h"
#include "harness/http.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/sha1.h"
#include "harness/unpack.h"

enum { LISTING_LIMIT = 64 << 20, PAGES_MAX = 100 };
static const int64_t SHARD_LIMIT = (int64_t)200 << 30;

struct hub_file { const char *path, *hash; int64_t size; };     /* hash: 64 hex, or 40 of a blob */

struct hub {
    struct options *o;
    const char *id, *api;           /* "org/name"; endpoint/api/models/org/name */
    const char *dir;                /* where the files go while they come in: one commit's own */
    char commit[64];
    struct hub_file *files; size_t n_files, size;
    bool safetensors;               /* there are some: pickled weights are left */
};

/* ---- what is there already --------------------------------------------------------------------- */

static bool is_hub_id(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t org = strspn(text, plain), name = text[org] == '/' ? strspn(text + org + 1, plain) : 0;
    return org && name && !text[org + 1 + name] && text[0] != '.' && text[org + 1] != '.' &&
           org + name < 200;
}

static const char *with_dashes(struct arena *a, const char *id)
{
    size_t org = strcspn(id, "/");
    return arena_fmt(a, "%.*s--%s", (int)org, id, id + org + 1);
}

/* Those tools also leave folders that hold a config.json alone. */
static bool has_weights(struct arena *a, const char *dir)
{
    static const char *const names[] = {
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
        "pytorch_model.bin.index.json", "adapter_model.safetensors", "adapter_model.bin", "mm_projector.bin",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (file_exists(path_join(a, dir, names[i])))
            return file_exists(path_join(a, dir, "config.json"));
    return false;
}

static const char *in_hub_cache(struct options *o, const char *id)
{
    struct arena *a = &o->arena;
    struct err ignored = { 0 };
    struct file ref;
    const char *repository = arena_fmt(a, "%s/models--%s", o->hf_hub_cache, with_dashes(a, id));
    const char *found = NULL;
    if (file_open(&ref, path_join(a, repository, "refs/main"), ERR_CHECKPOINT, &ignored) == OK &&
        ref.n && ref.n < 100) {
        char *commit = arena_strn(a, ref.at, ref.n);
        commit[strspn(commit, "0123456789abcdefABCDEF")] = '\0';
        const char *snapshot = arena_fmt(a, "%s/snapshots/%s", repository, commit);
        if (*commit && has_weights(a, snapshot))
            found = snapshot;
    }
    file_close(&ref);
    return found;
}

/* ---- the list of files ------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool is_weights(const char *path, const char *end)
{
    return ends_with(path, end) && strncmp(path, "training_args", 13) && strncmp(path, "optimizer", 9);
}

/* Files of a checkpoint, all at the top of the repository; one form of the weights. */
static bool is_wanted(const struct hub *h, const char *path)
{
    static const char *const names[] = {
        "config.json", "generation_config.json", "tokenizer.model", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "preprocessor_config.json",
        "adapter_config.json", "mm_projector.bin", "non_lora_trainables.bin",
        "adapter_model.safetensors", "adapter_model.bin",
    };
    if (strchr(path, '/') || !unpack_safe_name(path))
        return false;
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(path, names[i]))
            return true;
    if (h->safetensors)
        return is_weights(path, ".safetensors") || !strcmp(path, "model.safetensors.index.json");
    return is_weights(path, ".bin") || !strcmp(path, "pytorch_model.bin.index.json");
}

static const char *text_of(const cJSON *o, const char *key)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsString(m) ? m->valuestring : "";
}

static bool has_place(struct hub *h)                        /* for one more file */
{
    if (h->n_files < h->size)
        return true;
    size_t size = h->size ? 2 * h->size : 64;
    struct hub_file *longer = arena_array(&h->o->arena, size, sizeof *longer);
    if (!longer)
        return false;
    if (h->n_files)
        memcpy(longer, h->files, h->n_files * sizeof *longer);
    h->files = longer;
    h->size = size;
    return true;
}

static enum status take_page(struct hub *h, const cJSON *page, const char *url, struct err *e)
{
    struct arena *a = &h->o->arena;
    const cJSON *item;
    if (!cJSON_IsArray(page))
        return err_set(e, ERR_CHECKPOINT, "%s: is no list of files", url);
    cJSON_ArrayForEach(item, page) {
        const cJSON *lfs = cJSON_GetObjectItemCaseSensitive(item, "lfs");
        lfs = cJSON_IsObject(lfs) ? lfs : NULL;
        const cJSON *size = cJSON_GetObjectItemCaseSensitive(lfs ? lfs : item, "size");
        const char *path = text_of(item, "path"), *hash = text_of(lfs ? lfs : item, "oid");
        if (strcmp(text_of(item, "type"), "file"))
            continue;
        if (!strncmp(hash, "sha256:", 7))
            hash += 7;
        if (!has_place(h))
            break;
        h->files[h->n_files++] = (struct hub_file){
            arena_str(a, path), arena_str(a, hash),
            cJSON_IsNumber(size) && size->valuedouble >= 0 && size->valuedouble < 1e15
                ? (int64_t)size->valuedouble : -1 };
        h->safetensors |= !strchr(path, '/') && is_weights(path, ".safetensors");
    }
    return a->failed ? err_set(e, ERR_MEMORY, "%s: no memory", url) : OK;
}

/* The hub's refusal, in words that say what to do. */
static enum status refused(const struct hub *h, const struct http_answer *answer, struct err *e)
{
    const char *code = answer->error_code, *site = h->o->hf_endpoint;
    if (e->code != ERR_DATA)
        return e->code;
    struct err plain = *e;
    err_clear(e);
    if (!strcmp(code, "GatedRepo"))
        return err_set(e, ERR_CHECKPOINT, "%s is gated: accept its licence on %s/%s and set HF_TOKEN",
                       h->id, site, h->id);
    if (!strcmp(code, "RepoNotFound") || answer->status == 401 || answer->status == 404)
        return err_set(e, ERR_CHECKPOINT, "%s: neither a folder here nor a repository on %s%s", h->id,
                       site, h->o->hf_token ? " that HF_TOKEN may read"
                       : " (a private one needs HF_TOKEN)");
    return err_set(e, ERR_CHECKPOINT, "%s: %s", h->id, plain.text);
}

static const char *token(const struct hub *h, const char *url)
{
    size_t n = strlen(h->o->hf_endpoint);
    return !strncmp(url, h->o->hf_endpoint, n) && url[n] == '/' ? h->o->hf_token : NULL;
}

static enum status get_json(struct hub *h, const char *url, cJSON **json, struct http_answer *answer,
                            struct err *e)
{
    struct str body;
    struct http_get get = { .url = url, .bearer = token(h, url), .stopped = run_stopped };
    *json = NULL;
    str_init(&body, LISTING_LIMIT);
    if (http_to_str(&get, &body, answer, e) != OK)
        refused(h, answer, e);
    else if (!(*json = cJSON_ParseWithLength(body.at, body.n)))
        err_set(e, ERR_CHECKPOINT, "%s: the answer is no JSON", url);
    str_free(&body);
    return e->code;
}

/* The commit that main is now; then the files of that commit, page by page. */
static enum status list_files(struct hub *h, struct err *e)
{
    struct arena *a = &h->o->arena;
    struct http_answer answer;
    cJSON *json;
    if (get_json(h, arena_fmt(a, "%s/revision/main", h->api), &json, &answer, e) == OK) {
        const char *sha = text_of(json, "sha");
        size_t n = strlen(sha);
        if (n < 7 || n >= sizeof h->commit || strspn(sha, "0123456789abcdef") != n)
            err_set(e, ERR_CHECKPOINT, "%s: the hub names no commit", h->id);
        else
            memcpy(h->commit, sha, n + 1);
    }
    cJSON_Delete(json);
    const char *url = arena_fmt(a, "%s/tree/%s?recursive=true", h->api, h->commit);
    for (int page = 0; e->code == OK && *url; page++) {
        if (page == PAGES_MAX)
            return err_set(e, ERR_CHECKPOINT, "%s: its list of files does not end", h->id);
        if (get_json(h, url, &json, &answer, e) == OK)
            take_page(h, json, url, e);
        cJSON_Delete(json);
        url = arena_str(a, answer.next);
    }
    return e->code;
}

/* ---- the download ------------------------------------------------------------------------------ */

static enum status blob_hash(const char *path, char hex[41], struct err *e)
{
    struct file f;
    struct sha1 sha;
    char head[40];
    if (file_open(&f, path, ERR_CHECKPOINT, e) != OK)
        return e->code;
    sha1_init(&sha);
    sha1_add(&sha, head, (size_t)snprintf(head, sizeof head, "blob %zu", f.n) + 1);
    sha1_add(&sha, f.at, f.n);
    sha1_hex(&sha, hex);
    file_close(&f);
    return OK;
}

static enum status check_file(const char *path, const struct hub_file *file, struct err *e)
{
    char hex[SHA256_HEX] = "";
    unsigned char hash[SHA256_SIZE];
    if (strlen(file->hash) == 64) {
        if (sha256_file(path, hash, e) == OK)
            sha256_hex(hash, hex);
    } else {
        blob_hash(path, hex, e);
    }
    if (e->code == OK && strcmp(hex, file->hash)) {
        unlink(path);
        err_set(e, ERR_CHECKPOINT, "%s: its hash is %s, the hub's list says %s; nothing of it was "
                "kept", path, hex, file->hash);
    }
    return e->code;
}

static void on_bytes(void *user, int64_t done, int64_t total)
{
    struct progress *p = user;
    p->done = (uint64_t)done;
    p->total = total > 0 ? (uint64_t)total : p->total;
    say_progress(p);
}

static enum status get_file(struct hub *h, const struct hub_file *file, struct err *e)
{
    struct arena *a = &h->o->arena;
    struct str url;
    const char *path = path_join(a, h->dir, file->path);
    struct http_answer answer;
    struct progress p = { .what = file->path, .is_bytes = true,
                          .total = file->size > 0 ? (uint64_t)file->size : 0 };

    if (file->size >= 0 && file_size(path) == file->size)   /* whole from an earlier call, and */
        return OK;                                          /* checked before it got its name */
    str_init(&url, 4000);
    str_addf(&url, "%s/%s/resolve/%s/", h->o->hf_endpoint, h->id, h->commit);
    http_add_path(&url, file->path);
    struct http_get get = { .url = url.at, .bearer = h->o->hf_token, .stopped = run_stopped,
                            .max_bytes = file->size >= 0 ? file->size : SHARD_LIMIT,
                            .progress = on_bytes, .user = &p };
    const char *checked = arena_fmt(a, "%s.whole", path);
    http_to_file(&get, checked, &answer, e);
    say_progress_clear();
    if (e->code != OK)
        refused(h, &answer, e);
    else if (check_file(checked, file, e) == OK && rename(checked, path) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot replace: %s", path, strerror(errno));
    str_free(&url);
    return e->code;
}

static enum status fits_disk(const struct hub *h, int64_t bytes, struct err *e)
{
    struct statvfs fs;
    if (statvfs(h->dir, &fs) == 0 && (double)bytes > (double)fs.f_bavail * (double)fs.f_frsize)
        return err_set(e, ERR_INTERNAL, "%s: %.1f GB are needed, %.1f GB are free there", h->dir,
                       (double)bytes / 1e9, (double)fs.f_bavail * (double)fs.f_frsize / 1e9);
    return OK;
}

static enum status get_files(struct hub *h, struct err *e)
{
    int64_t bytes = 0;
    size_t n = 0;
    if (list_files(h, e) != OK)
        return e->code;
    h->dir = arena_fmt(&h->o->arena, "%s.incomplete-%.12s", h->dir, h->commit);
    for (size_t i = 0; i < h->n_files; i++)
        if (is_wanted(h, h->files[i].path)) {
            h->files[n++] = h->files[i];
            if (file_size(path_join(&h->o->arena, h->dir, h->files[i].path)) != h->files[i].size)
                bytes += h->files[i].size > 0 ? h->files[i].size : 0;
        }
    h->n_files = n;
    if (n == 0)
        return err_set(e, ERR_CHECKPOINT, "%s/%s holds no checkpoint", h->o->hf_endpoint, h->id);
    if (h->o->dry_run) {
        for (size_t i = 0; i < n; i++)
            printf("%14" PRId64 "  %s/%s/resolve/%s/%s\n", h->files[i].size, h->o->hf_endpoint, h->id,
                   h->commit, h->files[i].path);
        return OK;
    }
    if (file_mkdirs(h->dir, e) != OK || fits_disk(h, bytes, e) != OK)
        return e->code;
    say_note("%s: %zu files, %.2f GB to fetch from %s", h->id, n, (double)bytes / 1e9,
             h->o->hf_endpoint);
    for (size_t i = 0; i < n && e->code == OK; i++)
        get_file(h, &h->files[i], e);
    return e->code;
}

/* Into <final>.incomplete-<commit>, one process at a time; then it gets its name. */
static enum status download(struct options *o, const char *id, const char *final, struct err *e)
{
    struct arena *a = &o->arena;
    struct hub h = { .o = o, .id = id, .api = arena_fmt(a, "%s/api/models/%s", o->hf_endpoint, id),
                     .dir = final };
    const char *lock_path = arena_fmt(a, "%s.lock", final);
    int lock = -1;
    if (o->dry_run)
        return get_files(&h, e);
    if (file_mkdirs(path_join(a, o->cache_dir, "models"), e) != OK)
        return e->code;
    lock = open(lock_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0)
        return err_set(e, ERR_INTERNAL, "%s: cannot create: %s", lock_path, strerror(errno));
    while (flock(lock, LOCK_EX | LOCK_NB) != 0 && e->code == OK) {
        if (run_stopped() != OK)
            err_set(e, run_stopped(), "stopped by a signal while waiting for %s", lock_path);
        usleep(200000);
    }
    if (e->code == OK && !file_is_dir(final) && get_files(&h, e) == OK &&
        file_write(path_join(a, h.dir, ".commit"), h.commit, strlen(h.commit), e) == OK &&
        rename(h.dir, final) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot replace: %s", final, strerror(errno));
    close(lock);
    return e->code;
}

static const char *in_a_cache(struct options *o, const char *id, const char *own)
{
    const char *cached = in_hub_cache(o, id);
    return cached ? cached : file_is_dir(own) ? own : NULL;
}

static const char *own_place(struct options *o, const char *id)
{
    return arena_fmt(&o->arena, "%s/models/%s", o->cache_dir, with_dashes(&o->arena, id));
}

enum status hub_find(struct options *o, const char *path_or_id, const char **path, struct err *e)
{
    *path = path_or_id;
    if (file_exists(path_or_id))
        return OK;
    if (!is_hub_id(path_or_id))
        return err_set(e, ERR_CHECKPOINT, "%s: there is no such folder", path_or_id);
    const char *own = own_place(o, path_or_id), *cached = in_a_cache(o, path_or_id, own);
    *path = cached ? cached : own;
    if (cached)
        say_detail("%s: from %s", path_or_id, cached);
    else if (o->hub_offline)
        err_set(e, ERR_CHECKPOINT, "%s: neither a folder here nor in %s or %s/models, and offline",
                path_or_id, o->hf_hub_cache, o->cache_dir);
    else
        download(o, path_or_id, own, e);
    if (o->arena.failed)
        err_set(e, ERR_MEMORY, "%s: no memory", path_or_id);
    return e->code;
}

/* The tower that stands apart, and not beside the checkpoint. */
static enum status find_tower(struct options *o, const char *checkpoint, struct llava_options *m,
                              struct err *e)
{
    char *missing = llava_missing_tower(checkpoint, m);
    const char *id = missing ? arena_str(&o->arena, missing) : "";
    free(missing);
    if (!is_hub_id(id))                                     /* none, or a folder of somebody else's */
        return OK;
    if (!strcmp(o->verb, "inspect"))
        m->vision_tower = in_a_cache(o, id, own_place(o, id));
    else if (hub_find(o, id, &m->vision_tower, e) != OK)
        err_in(e, "%s needs its vision tower (or --vision-tower FOLDER)", checkpoint);
    return e->code;
}

enum status hub_find_model(struct options *o, const char *path_or_id, struct llava_options *m,
                           const char **path, struct err *e)
{
    m->model_base = o->model_base;
    m->vision_tower = o->vision_tower;
    if (hub_find(o, path_or_id, path, e) != OK)
        return e->code;
    if (o->model_base && hub_find(o, o->model_base, &m->model_base, e) != OK)
        return err_in(e, "--model-base");
    if (o->vision_tower)
        return hub_find(o, o->vision_tower, &m->vision_tower, e) == OK ? OK : err_in(e, "--vision-tower");
    return file_is_dir(*path) ? find_tower(o, *path, m, e) : OK;
}
