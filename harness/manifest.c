/* manifest.c -- two small files beside a benchmark's data, each written whole; while pictures come
 * one by one, their lines are appended. */
#include "harness/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/str.h"

enum { VERSION_1 = 1, SOURCES_MAX = 256, MANIFEST_LIMIT = 16 << 20, SUMS_LIMIT = 512 << 20 };

struct manifest_source *manifest_find(const struct manifest *m, const char *source)
{
    for (size_t i = 0; i < m->n_sources; i++)
        if (!strcmp(m->sources[i].source, source))
            return &m->sources[i];
    return NULL;
}

struct manifest_source *manifest_add(struct manifest *m, const char *source)
{
    struct manifest_source *s = manifest_find(m, source), *longer;
    if (s)
        return s;
    if (m->n_sources == SOURCES_MAX ||
        !(longer = arena_array(m->arena, m->n_sources + 1, sizeof *longer)))
        return NULL;
    if (m->n_sources)
        memcpy(longer, m->sources, m->n_sources * sizeof *longer);
    m->sources = longer;
    s = &longer[m->n_sources++];
    *s = (struct manifest_source){ .source = arena_str(m->arena, source), .url = "", .sha256 = "",
                                   .etag = "", .date = "", .commit = "", .splits = "" };
    return s;
}

void manifest_add_file(struct manifest *m, const char *name, const char *sha256)
{
    if (m->n_files == m->size) {
        size_t size = m->size ? 2 * m->size : 64;
        struct manifest_file *longer = arena_array(m->arena, size, sizeof *longer);
        if (!longer)
            return;
        if (m->n_files)
            memcpy(longer, m->files, m->n_files * sizeof *longer);
        m->files = longer;
        m->size = size;
    }
    m->files[m->n_files++] = (struct manifest_file){ arena_str(m->arena, name),
                                                     arena_str(m->arena, sha256) };
}

const char *manifest_hash(const struct manifest *m, const char *name)
{
    for (size_t i = m->n_files; i--;)
        if (!strcmp(m->files[i].name, name))
            return m->files[i].sha256;
    return NULL;
}

static void read_sources(struct manifest *m, const char *path, bool *damaged)
{
    struct err ignored = { 0 };
    struct file f;
    if (file_open(&f, path, ERR_DATA, &ignored) != OK || f.n > MANIFEST_LIMIT) {
        *damaged = file_exists(path);
        file_close(&f);
        return;
    }
    const struct json *root = json_parse(m->arena, path, f.at, f.n, &ignored);
    const struct json *list = json_get(root, "sources");
    *damaged = !root || json_get_int(root, "version", 0) != VERSION_1;
    if (!*damaged && list && list->type == JSON_ARRAY)
        for (const struct json *s = list->first; s; s = s->next) {
            struct manifest_source *to = manifest_add(m, json_get_str(s, "source", ""));
            *damaged = !to;                                 /* more than any benchmark has */
            if (!to)
                break;
            to->url = json_get_str(s, "url", "");
            to->sha256 = json_get_str(s, "sha256", "");
            to->etag = json_get_str(s, "etag", "");
            to->date = json_get_str(s, "last_modified", "");
            to->commit = json_get_str(s, "commit", "");
            to->splits = json_get_str(s, "splits", "");
            to->bytes = json_get_int(s, "bytes", 0);
            to->absent = json_get_int(s, "absent", 0);
            to->replaced_pin = json_get_bool(s, "replaced_pin", false);
            to->picked = json_get_bool(s, "picked", false);
            to->complete = json_get_bool(s, "complete", false);
        }
    file_close(&f);
}

/* "<64 hex digits>  <name>" a line, as sha256sum writes; other lines, and one without its end, are
 * passed over. */
static void read_sums(struct manifest *m, const char *path)
{
    struct err ignored = { 0 };
    struct file f;
    if (file_open(&f, path, ERR_DATA, &ignored) == OK && f.n <= SUMS_LIMIT)
        for (const char *at = f.at, *end = f.at + f.n; at < end;) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            size_t n = (size_t)((line_end ? line_end : end) - at);
            if (line_end && n > 66 && at[64] == ' ' && (at[65] == ' ' || at[65] == '*'))
                manifest_add_file(m, arena_strn(m->arena, at + 66, n - 66),
                                  arena_strn(m->arena, at, 64));
            at = line_end ? line_end + 1 : end;
        }
    file_close(&f);
}

void manifest_read(struct manifest *m, struct arena *a, const char *dir, bool *damaged)
{
    *m = (struct manifest){ .arena = a, .dir = dir };
    read_sources(m, path_join(a, dir, ".manifest.json"), damaged);
    read_sums(m, path_join(a, dir, ".SHA256SUMS"));
}

static void add_member(struct str *out, const char *key, const char *text)
{
    str_addf(out, ",\n   \"%s\": ", key);
    str_add_json(out, text);
}

static enum status write_sources(const struct manifest *m, struct err *e)
{
    struct str out;
    str_init(&out, MANIFEST_LIMIT);
    str_addf(&out, "{\"version\": %d, \"sources\": [", VERSION_1);
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct manifest_source *s = &m->sources[i];
        str_add(&out, i ? ",\n  {\"source\": " : "\n  {\"source\": ");
        str_add_json(&out, s->source);
        add_member(&out, "url", s->url);
        add_member(&out, "sha256", s->sha256);
        add_member(&out, "etag", s->etag);
        add_member(&out, "last_modified", s->date);
        add_member(&out, "commit", s->commit);
        add_member(&out, "splits", s->splits);
        str_addf(&out, ",\n   \"bytes\": %lld, \"absent\": %lld, \"replaced_pin\": %s, "
                 "\"picked\": %s, \"complete\": %s}", (long long)s->bytes, (long long)s->absent,
                 s->replaced_pin ? "true" : "false", s->picked ? "true" : "false",
                 s->complete ? "true" : "false");
    }
    str_add(&out, "\n]}\n");
    if (out.failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the manifest", m->dir);
    else
        file_write(path_join(m->arena, m->dir, ".manifest.json"), out.at, out.n, e);
    str_free(&out);
    return e->code;
}

static int by_name(const void *a, const void *b)
{
    const struct manifest_file *x = *(const struct manifest_file *const *)a;
    const struct manifest_file *y = *(const struct manifest_file *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x > y) - (x < y);                       /* the later one behind */
}

static enum status write_sums(const struct manifest *m, struct err *e)
{
    const struct manifest_file **order = calloc(m->n_files + 1, sizeof *order);
    struct str out;
    str_init(&out, SUMS_LIMIT);
    if (!order)
        return err_set(e, ERR_MEMORY, "%s: no memory for the manifest", m->dir);
    for (size_t i = 0; i < m->n_files; i++)
        order[i] = &m->files[i];
    qsort(order, m->n_files, sizeof *order, by_name);
    for (size_t i = 0; i < m->n_files; i++)
        if (i + 1 == m->n_files || strcmp(order[i]->name, order[i + 1]->name))
            str_addf(&out, "%s  %s\n", order[i]->sha256, order[i]->name);
    if (out.failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the manifest", m->dir);
    else
        file_write(path_join(m->arena, m->dir, ".SHA256SUMS"), out.at, out.n, e);
    str_free(&out);
    free(order);
    return e->code;
}

/* A line that a power cut tore has no end: ours begins with one, and the next whole write tidies
 * up. */
enum status manifest_append(const char *dir, const char *name, const char *sha256, struct err *e)
{
    char path[PATH_MAX], line[PATH_MAX + 80];
    int n = snprintf(line, sizeof line, "\n%s  %s\n", sha256, name);
    if (n < 0 || (size_t)n >= sizeof line ||
        (size_t)snprintf(path, sizeof path, "%s/.SHA256SUMS", dir) >= sizeof path)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        err_set(e, ERR_INTERNAL, "%s: cannot write: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return e->code;
}

enum status manifest_write(const struct manifest *m, struct err *e)
{
    if (m->arena->failed)
        return err_set(e, ERR_MEMORY, "%s: no memory for the manifest", m->dir);
    if (write_sums(m, e) == OK)
        write_sources(m, e);
    return e->code;
}
