/* fetch_bring.c -- from a checked download to files in their places: one file, the members of an
 * archive, or pictures one by one. */
#include "harness/fetch_private.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/run.h"
#include "harness/say.h"

enum { URL_LIMIT = 4000 };

/* ---- one file -------------------------------------------------------------------------------- */

enum status fetch_plain(struct fetch *f, const struct source *s, struct err *e)
{
    struct manifest_source *m = manifest_add(&f->manifest, s->url[0]);
    const char *staged = fetch_staged_at(f, s);
    if (!m)
        return err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
    if (fetch_download(f, s, NULL, &staged, m, e) != OK)
        return e->code;
    m->complete = true;
    m->splits = s->splits ? s->splits : f->b->splits;
    manifest_add_file(&f->manifest, s->path, m->sha256);
    if (manifest_write(&f->manifest, e) == OK)              /* first: where it came from is known */
        fetch_settle(staged, fetch_place(f, s->path), e);    /* of every file that is in place */
    return e->code;
}

/* ---- an archive ------------------------------------------------------------------------------ */

struct unpacked {
    struct fetch *f;
    const struct source *s;
    const char *prefix;                 /* of the source, "" or "dir/" */
    bool again;                         /* what is in place was begun and not ended */
    const char **names, **hashes;
    size_t n, size;
    struct progress p;
};

/* Wanted: a picture that is asked about, or any other file, that is not in place. */
static bool is_needed(void *user, const char *name)
{
    const struct unpacked *u = user;
    char full[PATH_MAX];
    const char *key = full;
    int n = snprintf(full, sizeof full, "%s%s", u->prefix, name);
    if (n < 0 || (size_t)n >= sizeof full)
        return false;
    return (!u->s->images ||
            bsearch(&key, u->f->needed, u->f->n_needed, sizeof key, fetch_by_text)) &&
           (u->again || !fetch_is_there(u->f, full));
}

static void on_member(void *user, const char *name, const unsigned char sha256[32])
{
    struct unpacked *u = user;
    struct arena *a = &u->f->arena;
    char hex[SHA256_HEX];
    if (u->n == u->size) {
        size_t size = u->size ? 2 * u->size : 256;
        const char **names = arena_array(a, size, sizeof *names);
        const char **hashes = arena_array(a, size, sizeof *hashes);
        if (!names || !hashes)
            return;                                         /* the arena remembers */
        if (u->n) {
            memcpy(names, u->names, u->n * sizeof *names);
            memcpy(hashes, u->hashes, u->n * sizeof *hashes);
        }
        u->names = names;
        u->hashes = hashes;
        u->size = size;
    }
    sha256_hex(sha256, hex);
    u->names[u->n] = arena_str(a, name);
    u->hashes[u->n++] = arena_str(a, hex);
}

static void on_unpacked_bytes(void *user, uint64_t bytes)
{
    struct unpacked *u = user;
    u->p.done = bytes;
    say_progress(&u->p);
}

/* Moves the members in. That this was begun is on record since the download. */
static enum status move_in(struct unpacked *u, const char *staging, struct err *e)
{
    struct fetch *f = u->f;
    for (size_t i = 0; i < u->n && e->code == OK; i++) {
        const char *name = arena_fmt(&f->arena, "%s%s", u->prefix, u->names[i]);
        const char *from = path_join(&f->arena, staging, u->names[i]);
        const char *to = fetch_place(f, name);
        if (file_exists(from) || !file_exists(to))          /* of two of a name, the last was kept */
            fetch_settle(from, to, e);
        manifest_add_file(&f->manifest, name, u->hashes[i]);
    }
    int fd = e->code == OK ? open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)syncfs(fd);                                   /* "complete" comes to disk last */
        close(fd);
    }
    return e->code;
}

static void count_absent(struct fetch *f, const struct source *s, struct manifest_source *m)
{
    const char *first = NULL;
    m->absent = 0;
    for (size_t k = 0; k < f->n_needed; k++)
        if (fetch_owner_of(f, f->needed[k]) == s && !fetch_is_there(f, f->needed[k])) {
            if (!m->absent++)
                first = f->needed[k];
        }
    if (m->absent)
        say_warning("%s: %s does not hold %s%s", f->b->name, path_base(s->url[0]), first,
                    m->absent > 1 ? " and others that are asked about" : "");
}

enum status fetch_archive(struct fetch *f, const struct source *s, struct err *e)
{
    size_t n;
    const char *prefix = fetch_prefix_of(s, &n), *staging = fetch_place(f, ".unpack");
    const char *staged = fetch_staged_at(f, s);
    struct manifest_source *m;
    struct unpacked into = { .f = f, .s = s, .prefix = prefix, .again = fetch_half_done(f, s), .p = {
        .what = arena_fmt(&f->arena, "%s unpacks %s", f->b->name, path_base(staged)),
        .is_bytes = true } };
    struct unpack u = { .archive = staged, .into = staging, .strip = s->strip,
                        .members = s->members, .wanted = is_needed, .wrote = on_member,
                        .progress = on_unpacked_bytes, .stopped = run_stopped, .user = &into };
    uint64_t n_files = 0;

    if (!(m = manifest_add(&f->manifest, s->url[0])))
        return err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
    if (fetch_download(f, s, &u, &staged, m, e) != OK || file_remove_all(staging, e) != OK ||
        file_mkdirs(staging, e) != OK)
        return e->code;
    u.archive = staged;
    unpack(&u, &n_files, e);
    say_progress_clear();
    if (e->code == OK) {
        if (f->arena.failed)
            err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
        else if (n_files == 0)
            err_set(e, ERR_DATA, "%s: holds none of the files that %s needs", m->url, f->b->name);
    }
    if (e->code == OK && move_in(&into, staging, e) == OK) {
        count_absent(f, s, m);
        if (!benchmark_lists(*m->splits ? m->splits : "-", f->split))
            m->splits = arena_fmt(&f->arena, "%s%s%s", m->splits, *m->splits ? "," : "", f->split);
        m->complete = true;
        manifest_write(&f->manifest, e);
    }
    bool ours = strcmp(staged, fetch_put_there(f, s)) != 0;
    if (e->code == ERR_DATA)
        err_in(e, "%s", m->url);
    if (e->code == ERR_DATA && ours)                        /* a bad archive is not worth keeping */
        unlink(staged);
    struct err cleaning = { 0 };
    if (file_remove_all(staging, &cleaning) != OK)
        say_warning("%s", cleaning.text);
    if (e->code == OK && ours && !f->o->keep_archives)
        unlink(staged);
    return e->code;
}

/* ---- one file a picture ---------------------------------------------------------------------- */

struct pool {
    pthread_mutex_t lock;               /* guards what follows */
    struct fetch *f;
    const struct source *s;
    const char **names, **urls, **pins, **hashes;
    size_t n, next, done, bad;
    struct err first;
    struct progress p;
};

static enum status fetch_one(const struct pool *pool, size_t i, const char **hash, struct err *e)
{
    const struct fetch *f = pool->f;
    char staged[PATH_MAX], final[PATH_MAX], folder[PATH_MAX];
    struct http_get get = { .url = pool->urls[i], .bearer = fetch_token_for(f->o, pool->urls[i]),
                            .stopped = run_stopped, .max_bytes = (int64_t)1 << 30 };
    struct http_answer answer;
    static _Thread_local char hex[SHA256_HEX];

    int a = snprintf(staged, sizeof staged, "%s/.download/%s", f->dir, pool->names[i]);
    int b = snprintf(final, sizeof final, "%s/%s", f->dir, pool->names[i]);
    if (a < 0 || (size_t)a >= sizeof staged - 8 || b < 0 || (size_t)b >= sizeof final)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", pool->names[i]);
    memcpy(folder, staged, sizeof folder);
    *strrchr(folder, '/') = '\0';
    if (file_mkdirs(folder, e) != OK || http_to_file(&get, staged, &answer, e) != OK)
        return e->code;
    if (answer.is_html && !pool->pins[i]) {
        unlink(staged);
        return err_set(e, ERR_DATA, "%s: the server sent a web page in place of the file",
                       pool->urls[i]);
    }
    if (fetch_check_hash(staged, pool->urls[i], pool->pins[i], hex, e) == OK &&
        manifest_append(f->dir, pool->names[i], hex, e) == OK)
        fetch_settle(staged, final, e);
    *hash = hex;
    return e->code;
}

static void *work(void *argument)
{
    struct pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (pool->next < pool->n && (pool->first.code == OK || pool->first.code == ERR_DATA)) {
        size_t i = pool->next++;
        const char *hash = NULL;
        struct err one = { 0 };
        pthread_mutex_unlock(&pool->lock);
        fetch_one(pool, i, &hash, &one);
        pthread_mutex_lock(&pool->lock);
        if (one.code == OK) {
            pool->hashes[i] = arena_str(&pool->f->arena, hash);
            pool->p.done = ++pool->done;
            say_progress(&pool->p);
            continue;
        }
        pool->bad++;
        if (pool->first.code == OK || (pool->first.code == ERR_DATA && one.code != ERR_DATA))
            pool->first = one;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static const char *picture_url(struct fetch *f, const char *pattern, const char *name)
{
    struct str url;
    size_t star = strcspn(pattern, "*");
    str_init(&url, URL_LIMIT);
    str_addn(&url, pattern, star);
    http_add_path(&url, name);
    str_add(&url, pattern + star + (pattern[star] == '*'));
    const char *copy = arena_str(&f->arena, url.at);
    str_free(&url);
    return copy;
}

enum status fetch_pictures(struct fetch *f, const struct source *s, struct err *e)
{
    struct arena *a = &f->arena;
    size_t n = f->n_missing[s - f->b->sources], prefix;
    struct pool pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .f = f, .s = s,
                         .names = arena_array(a, n, sizeof(char *)),
                         .urls = arena_array(a, n, sizeof(char *)),
                         .pins = arena_array(a, n, sizeof(char *)),
                         .hashes = arena_array(a, n, sizeof(char *)),
                         .p = { .what = arena_fmt(a, "%s pictures", f->b->name), .total = n } };
    struct manifest_source *m = manifest_add(&f->manifest, s->url[0]);
    if (!m || a->failed)
        return err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
    fetch_prefix_of(s, &prefix);
    for (size_t k = 0; k < f->n_needed && pool.n < n; k++) {
        const char *name = f->needed[k];
        if (fetch_owner_of(f, name) != s || fetch_is_there(f, name))
            continue;
        const char *official = picture_url(f, s->url[0], name + prefix);
        pool.names[pool.n] = name;
        pool.pins[pool.n] = fetch_pin_of(f, s, official);
        pool.urls[pool.n++] = fetch_where(f, official);
    }
    say_note("%s: %zu pictures, one by one", f->b->name, pool.n);

    pthread_t threads[FETCH_JOBS];
    int started = 0;
    while (started < FETCH_JOBS - 1 && (size_t)started + 1 < pool.n &&
           pthread_create(&threads[started], NULL, work, &pool) == 0)
        started++;
    work(&pool);                                            /* this thread is one of them */
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);

    for (size_t i = 0; i < pool.n; i++)
        if (pool.hashes[i])
            manifest_add_file(&f->manifest, pool.names[i], pool.hashes[i]);
    m->url = fetch_where(f, s->url[0]);
    m->replaced_pin = f->mirror_sums != NULL;
    m->complete = true;                                     /* each picture is whole or not there */
    m->splits = s->splits ? s->splits : f->b->splits;
    manifest_write(&f->manifest, e);
    say_progress_clear();
    if (pool.first.code == ERR_DATA && pool.bad > 1)
        err_set(e, ERR_DATA, "%zu of %zu pictures could not be fetched, the first because %s",
                pool.bad, pool.n, pool.first.text);
    else if (pool.first.code != OK)
        err_set(e, pool.first.code, "%s", pool.first.text);
    return e->code;
}
