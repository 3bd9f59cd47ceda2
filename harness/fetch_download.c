/* fetch_download.c -- from a source's addresses to one checked file in .download/, on record. */
#include "harness/fetch_private.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/pick.h"
#include "harness/run.h"
#include "harness/say.h"

enum { SUMS_LIMIT = 16 << 20 };
static const int64_t FILE_LIMIT = (int64_t)64 << 30;

/* ---- addresses ------------------------------------------------------------------------------- */

/* "host/path" of an address, as a mirror's folders have it: no scheme, no query. */
static const char *host_and_path(struct arena *a, const char *url)
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    return arena_strn(a, start, strcspn(start, "?#"));
}

const char *fetch_where(struct fetch *f, const char *url)
{
    static const char hub[] = "https://huggingface.co";
    const struct options *o = f->o;
    size_t n = sizeof hub - 1;
    if (o->mirror) {
        size_t length = strlen(o->mirror);
        while (length && o->mirror[length - 1] == '/')
            length--;
        return arena_fmt(&f->arena, "%.*s/%s", (int)length, o->mirror,
                         host_and_path(&f->arena, url));
    }
    if (!strncmp(url, hub, n) && url[n] == '/')
        return arena_fmt(&f->arena, "%s%s", o->hf_endpoint, url + n);
    return url;
}

const char *fetch_token_for(const struct options *o, const char *url)
{
    size_t n = strlen(o->hf_endpoint);
    return o->hf_token && !o->mirror && !strncmp(url, o->hf_endpoint, n) && url[n] == '/'
         ? o->hf_token : NULL;
}

/* The mirror's SHA256SUMS, asked for once; a mirror without one is checked as the origin is. */
enum status fetch_ask_mirror(struct fetch *f, struct err *e)
{
    if (f->mirror_asked || !f->o->mirror)
        return OK;
    struct str text;
    struct http_answer answer;
    struct err one = { 0 };
    struct http_get get = { .url = fetch_where(f, "SHA256SUMS"), .stopped = run_stopped };
    str_init(&text, SUMS_LIMIT);
    f->mirror_asked = true;
    bool there = http_to_str(&get, &text, &answer, &one) == OK;
    if (there && !answer.is_html) {                         /* a page in its place says that it is not there */
        f->mirror_sums = arena_strn(&f->arena, text.at, text.n);
        f->n_mirror_sums = text.n;
    } else if (!there && answer.status != 404) {
        err_set(e, one.code, "%s", one.text);
    }
    str_free(&text);
    return e->code;
}

/* The hash that a download from this official address must have; NULL: none is known. */
const char *fetch_pin_of(struct fetch *f, const struct source *s, const char *url)
{
    if (!f->mirror_sums)
        return s && !fetch_is_star(s) ? s->sha256 : NULL;
    const char *name = host_and_path(&f->arena, url);
    size_t n = strlen(name);
    for (const char *at = f->mirror_sums, *end = at + f->n_mirror_sums; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((line_end ? line_end : end) - at);
        if (length == 66 + n && !memcmp(at + 66, name, n))
            return arena_strn(&f->arena, at, 64);
        at += length + 1;
    }
    return NULL;
}

/* ---- one download ---------------------------------------------------------------------------- */

struct bytes_job { struct progress p; };

static void on_bytes(void *user, int64_t done, int64_t total)
{
    struct bytes_job *job = user;
    job->p.done = (uint64_t)done;
    job->p.total = total > 0 ? (uint64_t)total : 0;
    say_progress(&job->p);
}

/* Moves a checked file to its place. */
enum status fetch_settle(const char *from, const char *to, struct err *e)
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s", to);
    if (n < 0 || (size_t)n >= sizeof folder)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", to);
    *strrchr(folder, '/') = '\0';
    if (file_mkdirs(folder, e) == OK && rename(from, to) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot move it there: %s", to, strerror(errno));
    return e->code;
}

/* Adds what to do to what went wrong. */
static enum status PRINTF_LIKE(2, 3) err_and(struct err *e, const char *format, ...)
{
    struct err one = *e;
    size_t n = strlen(one.text);
    va_list args;
    va_start(args, format);
    vsnprintf(one.text + n, sizeof one.text - n, format, args);
    va_end(args);
    *e = one;
    return e->code;
}

/* Refuses what has not this hash. */
static enum status find_hash(const char *path, const char *url, const char *pin,
                             char hex[SHA256_HEX], struct err *e)
{
    unsigned char hash[SHA256_SIZE];
    if (sha256_file(path, hash, e) != OK)
        return e->code;
    sha256_hex(hash, hex);
    return pin && !fetch_same_hash(hex, pin)
         ? err_set(e, ERR_DATA, "%s: its SHA-256 is %s, expected %s", url, hex, pin) : OK;
}

/* The same, and keeps nothing of it. */
enum status fetch_check_hash(const char *path, const char *url, const char *pin,
                             char hex[SHA256_HEX], struct err *e)
{
    if (find_hash(path, url, pin, hex, e) == ERR_DATA) {
        unlink(path);
        err_and(e, "; nothing of it was kept");
    }
    return e->code;
}

static enum status has_room(const char *dir, int64_t bytes, struct err *e)
{
    struct statvfs fs;
    if (bytes > 0 && statvfs(dir, &fs) == 0 &&
        (double)bytes > (double)fs.f_bavail * (double)fs.f_frsize)
        return err_set(e, ERR_INTERNAL, "%s: %.1f GB are needed, %.1f GB are free there", dir,
                       (double)bytes / 1e9, (double)fs.f_bavail * (double)fs.f_frsize / 1e9);
    return OK;
}

/* What is now on record of this download; answer: NULL if it was made by an earlier call. */
static void note_download(struct fetch *f, const struct source *s, struct manifest_source *m,
                          const char *url, const char *hex, const struct http_answer *answer)
{
    bool known = !answer && fetch_same_hash(m->sha256, hex);
    if (!known) {
        m->etag = arena_str(&f->arena, answer ? answer->etag : "");
        m->date = arena_str(&f->arena, answer ? answer->date : "");
        m->commit = arena_str(&f->arena, answer ? answer->commit : "");
        m->url = arena_str(&f->arena, url);
    }
    m->sha256 = arena_str(&f->arena, hex);
    m->replaced_pin = f->mirror_sums && !(s->sha256 && fetch_same_hash(s->sha256, hex));
    m->complete = false;
}

/* Only the members that are needed, where a server lets us (pick.h). *staged becomes the small zip. */
static enum status pick_from(struct fetch *f, const struct unpack *members, const char *url,
                             const char **staged, struct http_get *like, struct http_answer *answer,
                             bool *done, struct err *e)
{
    char small[PATH_MAX];
    struct pick pick = { .url = url, .bearer = like->bearer, .members = members,
                         .stopped = like->stopped, .progress = like->progress, .user = like->user };
    *done = false;
    if (!members || f->o->keep_archives || file_size(*staged) >= 0)
        return OK;
    pick_zip(&pick, *staged, small, answer, done, e);
    say_progress_clear();
    if (*done)
        *staged = arena_str(&f->arena, small);
    return e->code;
}

/* From one address to .download/NAME, checked. What an earlier call left whole there is used. Of an
 * archive without a pin only `members` may come, in a smaller one: then *staged is another name. */
static enum status download_from(struct fetch *f, const struct source *s, const char *official,
                                 const struct unpack *members, const char **place_of,
                                 struct manifest_source *m, struct err *e)
{
    const char *staged = *place_of;
    const char *url = fetch_where(f, official), *pin = fetch_pin_of(f, s, official);
    struct http_answer answer = { 0 };
    struct bytes_job job = { .p = {
        .what = arena_fmt(&f->arena, "%s %s", f->b->name, path_base(staged)), .is_bytes = true } };
    struct http_get get = { .url = url, .bearer = fetch_token_for(f->o, url), .stopped = run_stopped,
                            .max_bytes = FILE_LIMIT, .progress = on_bytes, .user = &job };
    char hex[SHA256_HEX];

    struct ahead *ahead = &f->ahead[s - f->b->sources];
    bool made = ahead->made && !strcmp(ahead->url, url);

    m->picked = ahead->made = false;
    if (!made && file_size(staged) >= 0 && (pin || *m->sha256)) {
        struct err one = { 0 };
        if (fetch_check_hash(staged, staged, pin ? pin : m->sha256, hex, &one) == OK) {
            note_download(f, s, m, url, hex, NULL);
            return OK;
        }
    }
    say_detail("%s: %s", f->b->name, url);
    if (!pin && pick_from(f, members, url, place_of, &get, &answer, &m->picked, e) != OK)
        return e->code;
    if (!pin && m->picked) {
        note_download(f, s, m, url, "", &answer);
        m->bytes = answer.bytes;
        return OK;
    }
    if (made)
        answer = ahead->answer;
    else
        http_to_file(&get, staged, &answer, e);
    say_progress_clear();
    if (e->code != OK)
        return e->code;
    if (answer.is_html && !pin) {
        unlink(staged);
        return err_set(e, ERR_DATA, "%s: the server sent a web page in place of the file", url);
    }
    if (fetch_check_hash(staged, url, pin, hex, e) != OK)
        return e->code;
    if (*m->sha256 && !pin && !fetch_same_hash(m->sha256, hex))
        say_warning("%s: has changed: its SHA-256 was %s and is %s", url, m->sha256, hex);
    note_download(f, s, m, url, hex, &answer);
    return OK;
}

/* An archive that a user got by other means and put into the folder, under its own name. */
const char *fetch_put_there(struct fetch *f, const struct source *s)
{
    return fetch_place(f, path_base(host_and_path(&f->arena, s->url[0])));
}

static enum status use_what_was_put_there(struct fetch *f, const struct source *s, const char *path,
                                          struct manifest_source *m, struct err *e)
{
    char hex[SHA256_HEX];
    if (find_hash(path, path, fetch_pin_of(f, s, s->url[0]), hex, e) != OK)
        return e->code;
    say_note("%s: using %s, which lies there", f->b->name, path);
    m->picked = false;
    note_download(f, s, m, path, hex, NULL);
    m->bytes = file_size(path);
    return manifest_write(&f->manifest, e);
}

/* From the official address, or else from the next that the benchmark knows. Then it is on record:
 * where it came from, its hash, and that what it brings is not in place yet. */
enum status fetch_download(struct fetch *f, const struct source *s, const struct unpack *members,
                           const char **place_of, struct manifest_source *m, struct err *e)
{
    const char *staged = *place_of;
    char folder[PATH_MAX];
    if ((size_t)snprintf(folder, sizeof folder, "%s", staged) >= sizeof folder)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", staged);
    *strrchr(folder, '/') = '\0';
    const char *put = members ? fetch_put_there(f, s) : NULL;
    if (put && file_size(put) >= 0) {
        *place_of = put;
        return use_what_was_put_there(f, s, put, m, e);
    }
    if (file_mkdirs(folder, e) != OK ||
        has_room(f->dir, s->bytes * (fetch_is_archive(s) ? 2 : 1), e) != OK)
        return e->code;
    for (size_t i = 0; i < COUNT(s->url) && s->url[i]; i++) {
        struct err one = { 0 };
        if (download_from(f, s, s->url[i], members, place_of, m, &one) == OK) {
            err_clear(e);
            if (!m->picked)
                m->bytes = file_size(staged);
            return manifest_write(&f->manifest, e);         /* a whole download is not made twice */
        }
        err_set(e, one.code, "%s", one.text);               /* the first address says why */
        if (one.code != ERR_DATA)
            return e->code;
        if (i + 1 < COUNT(s->url) && s->url[i + 1])
            say_warning("%s; trying the next address", one.text);
    }
    return err_and(e, ". Got by other means, put it at %s: the same command goes on from there",
                   put ? put : fetch_place(f, s->path));
}

/* Where a source's download comes to lie. */
const char *fetch_staged_at(struct fetch *f, const struct source *s)
{
    return fetch_place(f, path_join(&f->arena, ".download", fetch_is_archive(s)
                              ? path_base(host_and_path(&f->arena, s->url[0])) : s->path));
}

/* ---- several at once ------------------------------------------------------------------------- */

struct side_by_side {
    pthread_mutex_t lock;               /* guards what follows */
    struct fetch *f;
    int next;
    struct progress p;
};

struct side { struct side_by_side *all; struct ahead *a; };

static void on_side_bytes(void *user, int64_t done, int64_t total)
{
    struct side *side = user;
    struct side_by_side *all = side->all;
    const struct fetch *f = all->f;
    bool known = true;
    pthread_mutex_lock(&all->lock);
    side->a->done = done;
    side->a->total = total;
    all->p.done = all->p.total = 0;
    for (int i = 0; i < f->b->n_sources; i++) {
        all->p.done += (uint64_t)f->ahead[i].done;
        all->p.total += (uint64_t)(f->ahead[i].total > 0 ? f->ahead[i].total : 0);
        known = known && (!f->ahead[i].url || f->ahead[i].total > 0);
    }
    all->p.total = known ? all->p.total : 0;
    say_progress(&all->p);
    pthread_mutex_unlock(&all->lock);
}

static void *bring_some(void *argument)
{
    struct side_by_side *all = argument;
    for (;;) {
        pthread_mutex_lock(&all->lock);
        while (all->next < all->f->b->n_sources && !all->f->ahead[all->next].url)
            all->next++;
        int i = all->next++;
        pthread_mutex_unlock(&all->lock);
        if (i >= all->f->b->n_sources || run_stopped() != OK)
            return NULL;
        struct ahead *a = &all->f->ahead[i];
        struct side side = { all, a };
        struct http_get get = { .url = a->url, .bearer = a->bearer, .stopped = run_stopped,
                                .attempts = 1, .max_bytes = FILE_LIMIT, .progress = on_side_bytes,
                                .user = &side };
        struct err one = { 0 };
        char folder[PATH_MAX];
        int n = (int)(strrchr(a->staged, '/') - a->staged);
        snprintf(folder, sizeof folder, "%.*s", n, a->staged);
        a->made = file_mkdirs(folder, &one) == OK &&
                  http_to_file(&get, a->staged, &a->answer, &one) == OK;
    }
}

/* Brings the round's whole files from their first addresses, several at a time. What cannot be had
 * so is left to fetch_download(), which tries again, goes on where it broke, and says what is
 * wrong. Archives of which a part may do (pick.h) are left to it, too. */
void fetch_side_by_side(struct fetch *f, bool images)
{
    struct side_by_side all = { .lock = PTHREAD_MUTEX_INITIALIZER, .f = f,
                                .p = { .what = f->b->name, .is_bytes = true } };
    pthread_t threads[FETCH_JOBS];
    int n = 0, started = 0;
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        struct ahead *a = &f->ahead[i];
        *a = (struct ahead){ .total = -1, .staged = fetch_staged_at(f, s) };
        if (!f->due[i] || fetch_is_star(s) || s->images != images || file_size(a->staged) >= 0 ||
            (fetch_is_archive(s) && (!fetch_pin_of(f, s, s->url[0]) ||
                                     file_size(fetch_put_there(f, s)) >= 0)))
            continue;
        a->url = fetch_where(f, s->url[0]);
        a->bearer = fetch_token_for(f->o, a->url);
        n++;
    }
    if (f->arena.failed || n < 2)
        return;
    while (started < FETCH_JOBS && started < n &&
           pthread_create(&threads[started], NULL, bring_some, &all) == 0)
        started++;
    while (started--)
        pthread_join(threads[started], NULL);
    pthread_mutex_destroy(&all.lock);
    say_progress_clear();
}
