/* fetch.c -- a benchmark's sources become files below DATA/<name>/.
 *
 * In two rounds, since only the question files tell which pictures are asked about:
 *
 *     question sources -> b->read() -> the pictures needed -> image sources
 *
 * A download lands in DATA/<name>/.download/, is checked against its hash, and only then moved to its
 * place; an archive is unpacked into .unpack/ and moved in file by file. The manifest is written
 * after the download ("begun") and after the last move ("complete"). So a place holds a whole, checked file or none, and what kill -9
 * leaves behind is either resumed or done again. What lies in place counts, whoever put it there: the
 * plan below asks for the files that the split needs, one by one.
 *
 * Official files are checked against the hashes that a benchmark pins. A mirror that brings a
 * SHA256SUMS of its own is believed instead, and its data is never called official. */
#include "harness/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/sha256.h"
#include "harness/frames.h"
#include "harness/http.h"
#include "harness/manifest.h"
#include "harness/pick.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/unpack.h"
#include "harness/videos.h"

enum { JOBS = 4, SUMS_LIMIT = 16 << 20, URL_LIMIT = 4000 };
static const int64_t FILE_LIMIT = (int64_t)64 << 30;

struct ahead {                  /* a source's first address, on its way to .download/NAME */
    const char *url, *bearer, *staged;  /* url NULL: none is made */
    struct http_answer answer;
    bool made;                          /* it is whole there */
    int64_t done, total;                /* total -1: not known yet */
};

struct fetch {
    const struct options *o;
    const struct benchmark *b;
    const char *split, *dir;
    struct arena arena;                 /* owns everything below */
    struct manifest manifest;
    const char **needed; size_t n_needed;       /* pictures of the split: sorted, each once */
    size_t n_questions;
    bool asked;                         /* these are known: the question files were read */
    bool *due;                          /* [b->n_sources] */
    size_t *n_missing;                  /* [b->n_sources] pictures of it that are not there */
    struct ahead *ahead;                /* [b->n_sources] downloads made side by side */
    const char *first_missing;          /* for messages: the first file that is not there */
    size_t all_missing;
    char *mirror_sums; size_t n_mirror_sums;    /* the mirror's SHA256SUMS; NULL: it has none */
    bool mirror_asked;
};

/* ---- what a source is ------------------------------------------------------------------------- */

static bool is_star(const struct source *s)
{
    size_t n = strlen(s->path);
    return n && s->path[n - 1] == '*';
}

static bool is_archive(const struct source *s)
{
    size_t n = strlen(s->path);
    return n == 0 || s->path[n - 1] == '/';
}

/* The folder of a source, as its files' names begin: "" for "./". */
static const char *prefix_of(const struct source *s, size_t *n)
{
    const char *path = strncmp(s->path, "./", 2) ? s->path : s->path + 2;
    *n = strlen(path) - (size_t)is_star(s);
    return path;
}

static bool is_wanted(const struct fetch *f, const struct source *s)
{
    return benchmark_lists(s->splits, f->split) && (!s->optional || f->o->optional) &&
           !(s->images && f->o->scoring_only);
}

static bool covers(const struct source *s, const char *image)
{
    size_t n;
    const char *prefix = prefix_of(s, &n);
    return (is_star(s) || is_archive(s)) && !strncmp(image, prefix, n);
}

/* The source a picture comes from: image sources before others, then the longest folder; of two
 * that bring the same, the optional one if --optional was said. */
static const struct source *owner_of(const struct fetch *f, const char *image)
{
    const struct source *best = NULL;
    size_t best_rank = 0;
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        size_t n;
        prefix_of(s, &n);
        size_t rank = 1 + (s->optional == f->o->optional) + 2 * n + (s->images ? PATH_MAX * 4 : 0);
        if (benchmark_lists(s->splits, f->split) && covers(s, image) && rank > best_rank) {
            best = s;
            best_rank = rank;
        }
    }
    return best;
}

static const char *place(struct fetch *f, const char *name)
{
    return path_join(&f->arena, f->dir, name);
}

static bool is_there(const struct fetch *f, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return n > 0 && (size_t)n < sizeof path && file_size(path) >= 0;
}

static void note_missing(struct fetch *f, const char *name)
{
    if (!f->all_missing++)
        f->first_missing = arena_fmt(&f->arena, "%s/%s", f->dir, name);
}

/* ---- the plan --------------------------------------------------------------------------------- */

/* Was the archive's unpacking begun and not ended? Then what is there proves nothing. */
static bool half_done(const struct fetch *f, const struct source *s)
{
    const struct manifest_source *m = manifest_find(&f->manifest, s->url[0]);
    return m && !m->complete;
}

static const char *const *question_files(const struct fetch *f)
{
    static const char *const none[] = { NULL };
    return f->b->question_files ? f->b->question_files(f->split) : none;
}

/* Where the questions are spread over a folder (MME), a whole folder tells. */
static bool has_questions(const struct fetch *f)
{
    const char *const *files = question_files(f);
    for (size_t i = 0; files[i]; i++)
        if (!is_there(f, files[i]))
            return false;
    for (int i = 0; i < f->b->n_sources && !f->b->question_files; i++) {
        char path[PATH_MAX];
        size_t n;
        const char *prefix = prefix_of(&f->b->sources[i], &n);
        snprintf(path, sizeof path, "%s/%.*s", f->dir, (int)n, prefix);
        if (is_archive(&f->b->sources[i]) && !f->b->sources[i].images &&
            (!file_is_dir(path) || half_done(f, &f->b->sources[i])))
            return false;
    }
    return true;
}

/* An archive of question files is due when one of those it holds is not there. */
static bool lacks_questions(struct fetch *f, const struct source *s)
{
    const char *const *files = question_files(f);
    size_t n;
    const char *prefix = prefix_of(s, &n);
    bool lacks = !f->b->question_files && !has_questions(f);
    if (lacks)
        note_missing(f, prefix);
    for (size_t i = 0; files[i]; i++)
        if (!strncmp(files[i], prefix, n) &&
            (!s->members || unpack_matches(s->members, files[i] + n)) && !is_there(f, files[i])) {
            note_missing(f, files[i]);
            lacks = true;
        }
    return lacks;
}

/* Marks the sources that have something to bring. Pictures count once the questions are known. */
static void make_plan(struct fetch *f)
{
    f->all_missing = 0;
    f->first_missing = NULL;
    for (int i = 0; i < f->b->n_sources; i++)
        f->n_missing[i] = 0;
    for (size_t k = 0; k < f->n_needed; k++) {
        const struct source *s = owner_of(f, f->needed[k]);
        if (s && is_wanted(f, s) && !is_there(f, f->needed[k])) {
            f->n_missing[s - f->b->sources]++;
            note_missing(f, f->needed[k]);
        }
    }
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        const struct manifest_source *m = manifest_find(&f->manifest, s->url[0]);
        size_t absent = m && m->complete && benchmark_lists(m->splits, f->split) && m->absent > 0
                      ? (size_t)m->absent : 0;
        bool pictures = f->n_missing[i] > absent || (s->images && !f->asked);
        f->due[i] = false;
        if (!is_wanted(f, s))
            continue;
        if (is_star(s))
            f->due[i] = pictures;
        else if (is_archive(s))
            f->due[i] = half_done(f, s) || pictures || (!s->images && lacks_questions(f, s));
        else if (!is_there(f, s->path)) {
            f->due[i] = true;
            note_missing(f, s->path);
        }
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Reads the questions; f->needed becomes their pictures, each once. */
static enum status read_needed(struct fetch *f, struct err *e)
{
    struct arena arena = { 0 };
    struct questions qs;
    size_t n = 0;

    questions_init(&qs, &arena, f->split);
    if (f->b->read(f->dir, f->split, &qs, e) != OK)
        goto done;
    const char **list = arena_array(&f->arena, qs.n, sizeof *list);
    if (f->b->image || !list)                               /* pictures that are no files */
        goto known;
    for (size_t i = 0; i < qs.n; i++)
        if (qs.at[i].image)
            list[n++] = qs.at[i].image;
    qsort(list, n, sizeof *list, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && !strcmp(list[i], list[i - 1]))
            continue;
        if (!unpack_safe_name(list[i])) {
            err_set(e, ERR_DATA, "%s: a question's image is \"%.200s\", which is no plain name below "
                    "that folder", f->dir, list[i]);
            goto done;
        }
        list[kept++] = list[i];
    }
    for (size_t i = 0; i < kept; i++)
        list[i] = arena_str(&f->arena, list[i]);
    f->needed = list;
    f->n_needed = kept;
known:
    f->n_questions = qs.n;
    f->asked = true;
    if (qs.failed || arena.failed || f->arena.failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the questions", f->dir);
done:
    questions_free(&qs);
    arena_free(&arena);
    return e->code;
}

static enum status open_fetch(struct fetch *f, const struct options *o, const struct benchmark *b,
                              const char *split, struct err *e)
{
    bool damaged = false;
    *f = (struct fetch){ .o = o, .b = b, .split = split };
    f->dir = path_join(&f->arena, o->data, b->name);
    f->due = arena_array(&f->arena, (size_t)b->n_sources, sizeof *f->due);
    f->ahead = arena_array(&f->arena, (size_t)b->n_sources, sizeof *f->ahead);
    f->n_missing = arena_array(&f->arena, (size_t)b->n_sources, sizeof *f->n_missing);
    manifest_read(&f->manifest, &f->arena, f->dir, &damaged);
    if (f->arena.failed)
        return err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
    if (damaged)
        say_warning("%s/.manifest.json cannot be read: going by the files alone", f->dir);
    return OK;
}

static enum status look(struct fetch *f, struct err *e)
{
    if (!f->asked && has_questions(f) && read_needed(f, e) != OK)
        return e->code;
    make_plan(f);
    return OK;
}

/* ---- is it the official data? ------------------------------------------------------------------ */

static bool same_hash(const char *a, const char *b)
{
    return a && b && !strcasecmp(a, b);
}

/* Has the file this SHA-256? */
static bool is_file_of(struct fetch *f, const char *name, const char *sha256)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    struct err ignored = { 0 };
    if (sha256_file(place(f, name), hash, &ignored) != OK)
        return false;
    sha256_hex(hash, hex);
    return same_hash(hex, sha256);
}

/* A question file that fetch brought must still be what it was. One put there by hand is not on
 * record: that it is the official one shows by a pinned hash, or else by the number of questions. */
static bool is_as_fetched(struct fetch *f, const char *name)
{
    const char *sha256 = manifest_hash(&f->manifest, name);
    return !sha256 || !is_there(f, name) || is_file_of(f, name, sha256);
}

/* Every question file of the split is as it was fetched; where they are many, every text. */
static bool questions_are_as_fetched(struct fetch *f)
{
    const char *const *files = question_files(f);
    for (size_t i = 0; files[i]; i++)
        if (!is_as_fetched(f, files[i]))
            return false;
    for (size_t i = 0; i < f->manifest.n_files && !f->b->question_files; i++) {
        const struct manifest_file *file = &f->manifest.files[i];
        if (unpack_safe_name(file->name) && unpack_matches("*.txt", file->name) &&
            is_there(f, file->name) && !is_file_of(f, file->name, file->sha256))
            return false;
    }
    return true;
}

static bool is_official(struct fetch *f, size_t n_questions)
{
    size_t n = benchmark_official_n(f->b, f->split);
    if (n && n != n_questions)
        return false;
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        const struct manifest_source *m = manifest_find(&f->manifest, s->url[0]);
        if (!benchmark_lists(s->splits, f->split))
            continue;
        if (m && m->replaced_pin)
            return false;
        if (!s->sha256 || !is_wanted(f, s))
            continue;
        if (is_archive(s) ? !m || !same_hash(m->sha256, s->sha256)
                          : is_there(f, s->path) && !is_file_of(f, s->path, s->sha256))
            return false;
    }
    return questions_are_as_fetched(f);
}

static void report(struct fetch *f, struct fetch_state *out)
{
    *out = (struct fetch_state){ .complete = f->asked, .questions = has_questions(f) };
    for (int i = 0; i < f->b->n_sources; i++) {
        if (!f->due[i])
            continue;
        out->complete = false;
        if (out->bytes_missing >= 0)
            out->bytes_missing = f->b->sources[i].bytes ? out->bytes_missing + f->b->sources[i].bytes
                                                        : -1;
    }
    out->official = is_official(f, f->n_questions);
}

enum status fetch_look(const struct options *o, const struct benchmark *b, const char *split,
                       struct fetch_state *out, struct err *e)
{
    struct fetch f;
    *out = (struct fetch_state){ 0 };
    if (open_fetch(&f, o, b, split, e) == OK && look(&f, e) == OK)
        report(&f, out);
    arena_free(&f.arena);
    return e->code;
}

enum status fetch_is_official(const struct options *o, const struct benchmark *b, const char *split,
                              size_t n_questions, bool *official, struct err *e)
{
    struct fetch f;
    if (open_fetch(&f, o, b, split, e) == OK)
        *official = is_official(&f, n_questions);
    arena_free(&f.arena);
    return e->code;
}

/* ---- addresses --------------------------------------------------------------------------------- */

/* "host/path" of an address, as a mirror's folders have it: no scheme, no query. */
static const char *host_and_path(struct arena *a, const char *url)
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    return arena_strn(a, start, strcspn(start, "?#"));
}

static const char *where(struct fetch *f, const char *url)
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

static const char *token_for(const struct options *o, const char *url)
{
    size_t n = strlen(o->hf_endpoint);
    return o->hf_token && !o->mirror && !strncmp(url, o->hf_endpoint, n) && url[n] == '/'
         ? o->hf_token : NULL;
}

/* The mirror's SHA256SUMS, asked for once; a mirror without one is checked as the origin is. */
static enum status ask_mirror(struct fetch *f, struct err *e)
{
    if (f->mirror_asked || !f->o->mirror)
        return OK;
    struct str text;
    struct http_answer answer;
    struct err one = { 0 };
    struct http_get get = { .url = where(f, "SHA256SUMS"), .stopped = run_stopped };
    str_init(&text, SUMS_LIMIT);
    f->mirror_asked = true;
    if (http_to_str(&get, &text, &answer, &one) == OK) {
        f->mirror_sums = arena_strn(&f->arena, text.at, text.n);
        f->n_mirror_sums = text.n;
    } else if (answer.status != 404) {
        err_set(e, one.code, "%s", one.text);
    }
    str_free(&text);
    return e->code;
}

/* The hash that a download from this official address must have; NULL: none is known. */
static const char *pin_of(struct fetch *f, const struct source *s, const char *url)
{
    if (!f->mirror_sums)
        return s && !is_star(s) ? s->sha256 : NULL;
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

/* ---- one download ------------------------------------------------------------------------------ */

struct bytes_job { struct progress p; };

static void on_bytes(void *user, int64_t done, int64_t total)
{
    struct bytes_job *job = user;
    job->p.done = (uint64_t)done;
    job->p.total = total > 0 ? (uint64_t)total : 0;
    say_progress(&job->p);
}

/* Moves a checked file to its place. */
static enum status settle_file(const char *from, const char *to, struct err *e)
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
    return pin && !same_hash(hex, pin)
         ? err_set(e, ERR_DATA, "%s: its SHA-256 is %s, expected %s", url, hex, pin) : OK;
}

/* The same, and keeps nothing of it. */
static enum status check_hash(const char *path, const char *url, const char *pin,
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
    bool known = !answer && same_hash(m->sha256, hex);
    if (!known) {
        m->etag = arena_str(&f->arena, answer ? answer->etag : "");
        m->date = arena_str(&f->arena, answer ? answer->date : "");
        m->commit = arena_str(&f->arena, answer ? answer->commit : "");
        m->url = arena_str(&f->arena, url);
    }
    m->sha256 = arena_str(&f->arena, hex);
    m->replaced_pin = f->mirror_sums && !(s->sha256 && same_hash(s->sha256, hex));
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
    const char *url = where(f, official), *pin = pin_of(f, s, official);
    struct http_answer answer = { 0 };
    struct bytes_job job = { .p = {
        .what = arena_fmt(&f->arena, "%s %s", f->b->name, path_base(staged)), .is_bytes = true } };
    struct http_get get = { .url = url, .bearer = token_for(f->o, url), .stopped = run_stopped,
                            .max_bytes = FILE_LIMIT, .progress = on_bytes, .user = &job };
    char hex[SHA256_HEX];

    struct ahead *ahead = &f->ahead[s - f->b->sources];
    bool made = ahead->made && !strcmp(ahead->url, url);

    m->picked = ahead->made = false;
    if (!made && file_size(staged) >= 0 && (pin || *m->sha256)) {
        struct err one = { 0 };
        if (check_hash(staged, staged, pin ? pin : m->sha256, hex, &one) == OK) {
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
    if (check_hash(staged, url, pin, hex, e) != OK)
        return e->code;
    if (*m->sha256 && !pin && !same_hash(m->sha256, hex))
        say_warning("%s: has changed: its SHA-256 was %s and is %s", url, m->sha256, hex);
    note_download(f, s, m, url, hex, &answer);
    return OK;
}

/* An archive that a user got by other means and put into the folder, under its own name. */
static const char *put_there(struct fetch *f, const struct source *s)
{
    return place(f, path_base(host_and_path(&f->arena, s->url[0])));
}

static enum status use_what_was_put_there(struct fetch *f, const struct source *s, const char *path,
                                          struct manifest_source *m, struct err *e)
{
    char hex[SHA256_HEX];
    if (find_hash(path, path, pin_of(f, s, s->url[0]), hex, e) != OK)
        return e->code;
    say_note("%s: using %s, which lies there", f->b->name, path);
    m->picked = false;
    note_download(f, s, m, path, hex, NULL);
    m->bytes = file_size(path);
    return manifest_write(&f->manifest, e);
}

/* From the official address, or else from the next that the benchmark knows. Then it is on record:
 * where it came from, its hash, and that what it brings is not in place yet. */
static enum status download(struct fetch *f, const struct source *s, const struct unpack *members,
                            const char **place_of, struct manifest_source *m, struct err *e)
{
    const char *staged = *place_of;
    char folder[PATH_MAX];
    if ((size_t)snprintf(folder, sizeof folder, "%s", staged) >= sizeof folder)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", staged);
    *strrchr(folder, '/') = '\0';
    const char *put = members ? put_there(f, s) : NULL;
    if (put && file_size(put) >= 0) {
        *place_of = put;
        return use_what_was_put_there(f, s, put, m, e);
    }
    if (file_mkdirs(folder, e) != OK ||
        has_room(f->dir, s->bytes * (is_archive(s) ? 2 : 1), e) != OK)
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
                   put ? put : place(f, s->path));
}

/* Where a source's download comes to lie. */
static const char *staged_at(struct fetch *f, const struct source *s)
{
    return place(f, path_join(&f->arena, ".download", is_archive(s)
                              ? path_base(host_and_path(&f->arena, s->url[0])) : s->path));
}

static enum status fetch_plain(struct fetch *f, const struct source *s, struct err *e)
{
    struct manifest_source *m = manifest_add(&f->manifest, s->url[0]);
    const char *staged = staged_at(f, s);
    if (!m)
        return err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
    if (download(f, s, NULL, &staged, m, e) != OK)
        return e->code;
    m->complete = true;
    m->splits = s->splits ? s->splits : f->b->splits;
    manifest_add_file(&f->manifest, s->path, m->sha256);
    if (manifest_write(&f->manifest, e) == OK)              /* first: where it came from is known */
        settle_file(staged, place(f, s->path), e);          /* of every file that is in place */
    return e->code;
}

/* ---- an archive -------------------------------------------------------------------------------- */

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
    return (!u->s->images || bsearch(&key, u->f->needed, u->f->n_needed, sizeof key, by_text)) &&
           (u->again || !is_there(u->f, full));
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
        settle_file(path_join(&f->arena, staging, u->names[i]), place(f, name), e);
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
        if (owner_of(f, f->needed[k]) == s && !is_there(f, f->needed[k])) {
            if (!m->absent++)
                first = f->needed[k];
        }
    if (m->absent)
        say_warning("%s: %s does not hold %s%s", f->b->name, path_base(s->url[0]), first,
                    m->absent > 1 ? " and others that are asked about" : "");
}

static enum status fetch_archive(struct fetch *f, const struct source *s, struct err *e)
{
    size_t n;
    const char *prefix = prefix_of(s, &n), *staging = place(f, ".unpack");
    const char *staged = staged_at(f, s);
    struct manifest_source *m;
    struct unpacked into = { .f = f, .s = s, .prefix = prefix, .again = half_done(f, s), .p = {
        .what = arena_fmt(&f->arena, "%s unpacks %s", f->b->name, path_base(staged)),
        .is_bytes = true } };
    struct unpack u = { .archive = staged, .into = staging, .strip = s->strip,
                        .members = s->members, .wanted = is_needed, .wrote = on_member,
                        .progress = on_unpacked_bytes, .stopped = run_stopped, .user = &into };
    uint64_t n_files = 0;

    if (!(m = manifest_add(&f->manifest, s->url[0])))
        return err_set(e, ERR_MEMORY, "%s: no memory", f->dir);
    if (download(f, s, &u, &staged, m, e) != OK || file_remove_all(staging, e) != OK ||
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
    bool ours = strcmp(staged, put_there(f, s)) != 0;
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

/* ---- one file a picture ------------------------------------------------------------------------- */

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
    struct http_get get = { .url = pool->urls[i], .bearer = token_for(f->o, pool->urls[i]),
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
    if (check_hash(staged, pool->urls[i], pool->pins[i], hex, e) == OK &&
        manifest_append(f->dir, pool->names[i], hex, e) == OK)
        settle_file(staged, final, e);
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

static enum status fetch_pictures(struct fetch *f, const struct source *s, struct err *e)
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
    prefix_of(s, &prefix);
    for (size_t k = 0; k < f->n_needed && pool.n < n; k++) {
        const char *name = f->needed[k];
        if (owner_of(f, name) != s || is_there(f, name))
            continue;
        const char *official = picture_url(f, s->url[0], name + prefix);
        pool.names[pool.n] = name;
        pool.pins[pool.n] = pin_of(f, s, official);
        pool.urls[pool.n++] = where(f, official);
    }
    say_note("%s: %zu pictures, one by one", f->b->name, pool.n);

    pthread_t threads[JOBS];
    int started = 0;
    while (started < JOBS - 1 && (size_t)started + 1 < pool.n &&
           pthread_create(&threads[started], NULL, work, &pool) == 0)
        started++;
    work(&pool);                                            /* this thread is one of them */
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);

    for (size_t i = 0; i < pool.n; i++)
        if (pool.hashes[i])
            manifest_add_file(&f->manifest, pool.names[i], pool.hashes[i]);
    m->url = where(f, s->url[0]);
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

/* ---- verifying --------------------------------------------------------------------------------- */

/* Hashes every file on record that is there, and every pinned one, again. */
static enum status verify(struct fetch *f, struct err *e)
{
    struct progress p = { .what = arena_fmt(&f->arena, "%s: verifying", f->b->name),
                          .total = f->manifest.n_files };
    size_t bad = 0, gone = 0;
    for (size_t i = 0; i < f->manifest.n_files && run_stopped() == OK; i++) {
        const struct manifest_file *file = &f->manifest.files[i];
        unsigned char hash[SHA256_SIZE];
        char hex[SHA256_HEX] = "";
        struct err one = { 0 };
        if (!unpack_safe_name(file->name))
            continue;
        if (!file_exists(place(f, file->name))) {           /* fetched below, if it is needed */
            gone++;
            continue;
        }
        if (sha256_file(place(f, file->name), hash, &one) == OK)
            sha256_hex(hash, hex);
        if (!same_hash(hex, file->sha256) && !bad++)
            err_set(e, ERR_DATA, "%s/%s: %s, expected %s; remove it and fetch again", f->dir,
                    file->name, one.code == OK ? hex : one.text, file->sha256);
        p.done = i + 1;
        say_progress(&p);
    }
    say_progress_clear();
    if (run_stopped() != OK)
        return err_set(e, run_stopped(), "verifying was stopped by a signal");
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        const struct manifest_source *m = manifest_find(&f->manifest, s->url[0]);
        if (!s->sha256 || is_star(s) || is_archive(s) || (m && m->replaced_pin) ||
            !is_there(f, s->path))
            continue;
        unsigned char hash[SHA256_SIZE];
        char hex[SHA256_HEX];
        if (sha256_file(place(f, s->path), hash, e) != OK)
            return e->code;
        sha256_hex(hash, hex);
        if (!same_hash(hex, s->sha256))
            err_set(e, ERR_DATA, "%s: its SHA-256 is %s, the official one is %s; remove it and fetch "
                    "again", place(f, s->path), hex, s->sha256);
    }
    if (e->code == OK)
        say_note("%s: %zu files on record, all %sas they were", f->b->name, f->manifest.n_files,
                 gone ? arena_fmt(&f->arena, "but %zu that are gone ", gone) : "");
    else if (bad > 1)
        err_in(e, "%s: %zu files are not as they were, the first", f->b->name, bad);
    return e->code;
}

/* ---- the whole --------------------------------------------------------------------------------- */

static enum status lock_folder(struct fetch *f, int *fd, struct err *e)
{
    const char *path = place(f, ".lock");
    if (file_mkdirs(f->dir, e) != OK)
        return err_in(e, "%s is missing and cannot be fetched", f->first_missing ? f->first_missing
                                                                                 : f->dir);
    *fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        return err_set(e, ERR_INTERNAL, "%s: cannot write there (%s), and %s is missing", f->dir,
                       strerror(errno), f->first_missing ? f->first_missing : "a picture");
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    say_note("%s: waiting for another llava-eval that is fetching it", f->b->name);
    while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "stopped by a signal while waiting for %s", path);
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set(e, ERR_INTERNAL, "%s: cannot lock: %s", path, strerror(errno));
        usleep(200000);
    }
    return OK;
}

/* Bytes of a download: as the benchmark has them, else as the server says; -1: not known. */
static int64_t size_of(struct fetch *f, const struct source *s)
{
    const char *url = where(f, s->url[0]);
    struct http_get get = { .url = url, .bearer = token_for(f->o, url), .attempts = 1,
                            .stopped = run_stopped, .stall_s = 15 };
    struct http_answer answer;
    struct err ignored = { 0 };
    if (s->bytes && !f->o->mirror)
        return s->bytes;
    return !f->o->offline && http_look(&get, &answer, &ignored) == OK ? answer.bytes : -1;
}

static void say_sizes(struct fetch *f)
{
    int n = 0, unknown = 0, one_by_one = 0;
    int64_t bytes = 0;
    for (int i = 0; i < f->b->n_sources && run_stopped() == OK; i++) {
        const struct source *s = &f->b->sources[i];
        if (!f->due[i])
            continue;
        if (is_star(s)) {
            one_by_one++;
            continue;
        }
        int64_t size = size_of(f, s);
        bytes += size > 0 ? size : 0;
        unknown += size < 0;
        n++;
    }
    say_note("%s:%s: fetching %d file%s, %.1f %s%s%s", f->b->name, f->split, n, n == 1 ? "" : "s",
             (double)bytes / (bytes < 1000000 ? 1e3 : bytes < 1000000000 ? 1e6 : 1e9),
             bytes < 1000000 ? "kB" : bytes < 1000000000 ? "MB" : "GB", unknown ? arena_fmt(&f->arena, " and %d of unknown size", unknown)
                                          : "", one_by_one ? ", and pictures one by one" : "");
}

/* ---- several at once ----------------------------------------------------------------------------- */

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
        struct http_get get = { .url = a->url, .bearer = a->bearer, .stopped = run_stopped, .attempts = 1,
                                .max_bytes = FILE_LIMIT, .progress = on_side_bytes, .user = &side };
        struct err one = { 0 };
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(a->staged, '/') - a->staged), a->staged);
        a->made = file_mkdirs(folder, &one) == OK && http_to_file(&get, a->staged, &a->answer, &one) == OK;
    }
}

/* Brings the round's whole files from their first addresses, several at a time. What cannot be had so
 * is left to download(), which tries again, goes on where it broke, and says what is wrong. Archives
 * of which a part may do (pick.h) are left to it, too. */
static void bring_side_by_side(struct fetch *f, bool images)
{
    struct side_by_side all = { .lock = PTHREAD_MUTEX_INITIALIZER, .f = f,
                                .p = { .what = f->b->name, .is_bytes = true } };
    pthread_t threads[JOBS];
    int n = 0, started = 0;
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        struct ahead *a = &f->ahead[i];
        *a = (struct ahead){ .total = -1, .staged = staged_at(f, s) };
        if (!f->due[i] || is_star(s) || s->images != images || file_size(a->staged) >= 0 ||
            (is_archive(s) && (!pin_of(f, s, s->url[0]) || file_size(put_there(f, s)) >= 0)))
            continue;
        a->url = where(f, s->url[0]);
        a->bearer = token_for(f->o, a->url);
        n++;
    }
    if (f->arena.failed || n < 2)
        return;
    while (started < JOBS && started < n && pthread_create(&threads[started], NULL, bring_some, &all) == 0)
        started++;
    while (started--)
        pthread_join(threads[started], NULL);
    pthread_mutex_destroy(&all.lock);
    say_progress_clear();
}

static enum status fetch_round(struct fetch *f, bool images, struct err *e)
{
    bool first = true;
    for (int i = 0; i < f->b->n_sources && e->code == OK; i++) {
        const struct source *s = &f->b->sources[i];
        if (!f->due[i] || (s->images || is_star(s)) != images)
            continue;
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "%s: fetching was stopped by a signal", f->b->name);
        if (ask_mirror(f, e) != OK)
            return e->code;
        if (first)
            bring_side_by_side(f, images);
        first = false;
        if (is_star(s))
            fetch_pictures(f, s, e);
        else if (is_archive(s))
            fetch_archive(f, s, e);
        else
            fetch_plain(f, s, e);
    }
    return e->code;
}

static enum status fetch_missing(struct fetch *f, struct err *e)
{
    int lock = -1;
    bool damaged = false;
    if (lock_folder(f, &lock, e) != OK)
        goto done;
    manifest_read(&f->manifest, &f->arena, f->dir, &damaged);   /* another process may have written */
    if (look(f, e) != OK)
        goto done;
    say_sizes(f);
    fetch_round(f, false, e);
    if (e->code == OK && !f->asked) {
        if (!has_questions(f))
            err_set(e, ERR_DATA, "%s: the question files of %s are not in what was fetched", f->dir,
                    f->split);
        else
            read_needed(f, e);
    }
    if (e->code == OK) {
        make_plan(f);
        fetch_round(f, true, e);
    }
    if (e->code == OK) {
        make_plan(f);
        for (int i = 0; i < f->b->n_sources; i++)
            if (f->due[i])
                err_set(e, ERR_DATA, "%s: still missing after everything was fetched",
                        f->first_missing ? f->first_missing : f->dir);
    }
    if (e->code == OK && !f->o->keep_archives) {
        struct err cleaning = { 0 };
        if (file_remove_all(place(f, ".download"), &cleaning) != OK)
            say_warning("%s", cleaning.text);
    }
done:
    if (lock >= 0)
        close(lock);
    return e->code;
}

/* Frames out of videos that were put there by hand. What fails is said and stays unasked: the other
 * questions are none the worse. */
static enum status cut_frames(struct fetch *f, struct err *e)
{
    struct videos_report told;
    struct err one = { 0 };
    int lock = -1;
    if (!f->b->video_frame || f->o->scoring_only)
        return OK;
    if (videos_look(f->b, f->dir, f->split, &told, e) != OK)
        return e->code;
    if (told.n_due && !frames_available())
        say_warning("%s: %zu videos' frames could be cut out, but this program was built without FFmpeg's "
                    "libraries (libavformat, libavcodec, libswscale)", f->b->name, told.n_due);
    else if (told.n_due && lock_folder(f, &lock, &one) == OK)
        videos_cut(f->b, f->dir, f->split, run_stopped, &told, &one);
    if (lock >= 0)
        close(lock);
    if (one.code == ERR_INTERRUPTED || one.code == ERR_TERMINATED)
        return err_set(e, one.code, "%s", one.text);
    if (one.code != OK)
        say_warning("%s", one.text);
    if (told.n_without)
        say_note("%s: %zu questions about videos have no frame and are left out: %s", f->dir,
                 told.n_without, f->b->by_hand);
    return OK;
}

/* A table of what would be fetched: bytes, address. Sizes that are not known are asked for. */
static enum status list_missing(struct fetch *f, struct err *e)
{
    bool any = false;
    for (int i = 0; i < f->b->n_sources && e->code == OK; i++) {
        const struct source *s = &f->b->sources[i];
        const char *url = where(f, s->url[0]);
        if (!f->due[i])
            continue;
        any = true;
        if (is_star(s)) {
            if (f->asked)
                printf("%14s  %s  (%zu pictures)\n", "?", url, f->n_missing[i]);
            else
                printf("%14s  %s  (one for each picture)\n", "?", url);
            continue;
        }
        int64_t size = size_of(f, s);
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "stopped by a signal");
        if (size >= 0)
            printf("%14" PRId64 "  %s\n", size, url);
        else
            printf("%14s  %s\n", "?", url);
    }
    if (!any)
        say_note("%s:%s: nothing is missing", f->b->name, f->split);
    return e->code;
}

enum status fetch_benchmark(const struct options *o, const struct benchmark *b, const char *split,
                            struct fetch_state *out, struct err *e)
{
    struct fetch f;
    bool due = false;
    *out = (struct fetch_state){ 0 };
    if (open_fetch(&f, o, b, split, e) != OK || look(&f, e) != OK)
        goto done;
    if (o->verify && verify(&f, e) != OK)
        goto done;
    for (int i = 0; i < b->n_sources; i++)
        due |= f.due[i];
    if (o->dry_run)
        list_missing(&f, e);
    else if (due && o->offline)
        err_set(e, ERR_DATA, "%s%s missing; llava-eval fetch --suite %s:%s gets it, without --offline",
                f.first_missing ? f.first_missing : f.dir,
                f.all_missing > 1 ? arena_fmt(&f.arena, " and %zu more are", f.all_missing - 1)
                                  : " is", b->name, split);
    else if (due)
        fetch_missing(&f, e);
    if (e->code == OK && !o->dry_run)
        cut_frames(&f, e);
    if (e->code == OK)
        report(&f, out);
done:
    arena_free(&f.arena);
    return e->code;
}
