/* fetch_plan.c -- what a split needs, what of it is there, and whether that is the official data.
 * Opens no connection and writes nothing. */
#include "harness/fetch_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/file.h"
#include "harness/say.h"

/* ---- what a source is ------------------------------------------------------------------------ */

bool fetch_is_star(const struct source *s)
{
    size_t n = strlen(s->path);
    return n && s->path[n - 1] == '*';
}

bool fetch_is_archive(const struct source *s)
{
    size_t n = strlen(s->path);
    return n == 0 || s->path[n - 1] == '/';
}

/* The folder of a source, as its files' names begin: "" for "./". */
const char *fetch_prefix_of(const struct source *s, size_t *n)
{
    const char *path = strncmp(s->path, "./", 2) ? s->path : s->path + 2;
    *n = strlen(path) - (size_t)fetch_is_star(s);
    return path;
}

bool fetch_is_wanted(const struct fetch *f, const struct source *s)
{
    return benchmark_lists(s->splits, f->split) && (!s->optional || f->o->optional) &&
           !(s->images && f->o->scoring_only);
}

static bool covers(const struct source *s, const char *image)
{
    size_t n;
    const char *prefix = fetch_prefix_of(s, &n);
    return (fetch_is_star(s) || fetch_is_archive(s)) && !strncmp(image, prefix, n);
}

/* The source a picture comes from: image sources before others, then the longest folder; of two
 * that bring the same, the optional one if --optional was said. */
const struct source *fetch_owner_of(const struct fetch *f, const char *image)
{
    const struct source *best = NULL;
    size_t best_rank = 0;
    for (int i = 0; i < f->b->n_sources; i++) {
        const struct source *s = &f->b->sources[i];
        size_t n;
        fetch_prefix_of(s, &n);
        size_t rank = 1 + (s->optional == f->o->optional) + 2 * n + (s->images ? PATH_MAX * 4 : 0);
        if (benchmark_lists(s->splits, f->split) && covers(s, image) && rank > best_rank) {
            best = s;
            best_rank = rank;
        }
    }
    return best;
}

const char *fetch_place(struct fetch *f, const char *name)
{
    return path_join(&f->arena, f->dir, name);
}

bool fetch_is_there(const struct fetch *f, const char *name)
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

/* ---- the plan -------------------------------------------------------------------------------- */

/* Was the archive's unpacking begun and not ended? Then what is there proves nothing. */
bool fetch_half_done(const struct fetch *f, const struct source *s)
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
bool fetch_has_questions(const struct fetch *f)
{
    const char *const *files = question_files(f);
    for (size_t i = 0; files[i]; i++)
        if (!fetch_is_there(f, files[i]))
            return false;
    for (int i = 0; i < f->b->n_sources && !f->b->question_files; i++) {
        char path[PATH_MAX];
        size_t n;
        const char *prefix = fetch_prefix_of(&f->b->sources[i], &n);
        snprintf(path, sizeof path, "%s/%.*s", f->dir, (int)n, prefix);
        if (fetch_is_archive(&f->b->sources[i]) && !f->b->sources[i].images &&
            (!file_is_dir(path) || fetch_half_done(f, &f->b->sources[i])))
            return false;
    }
    return true;
}

/* An archive of question files is due when one of those it holds is not there. */
static bool lacks_questions(struct fetch *f, const struct source *s)
{
    const char *const *files = question_files(f);
    size_t n;
    const char *prefix = fetch_prefix_of(s, &n);
    bool lacks = !f->b->question_files && !fetch_has_questions(f);
    if (lacks)
        note_missing(f, prefix);
    for (size_t i = 0; files[i]; i++)
        if (!strncmp(files[i], prefix, n) &&
            (!s->members || unpack_matches(s->members, files[i] + n)) &&
            !fetch_is_there(f, files[i])) {
            note_missing(f, files[i]);
            lacks = true;
        }
    return lacks;
}

/* Marks the sources that have something to bring. Pictures count once the questions are known. */
void fetch_make_plan(struct fetch *f)
{
    f->all_missing = 0;
    f->first_missing = NULL;
    for (int i = 0; i < f->b->n_sources; i++)
        f->n_missing[i] = 0;
    for (size_t k = 0; k < f->n_needed; k++) {
        const struct source *s = fetch_owner_of(f, f->needed[k]);
        if (s && fetch_is_wanted(f, s) && !fetch_is_there(f, f->needed[k])) {
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
        if (!fetch_is_wanted(f, s))
            continue;
        if (fetch_is_star(s))
            f->due[i] = pictures;
        else if (fetch_is_archive(s))
            f->due[i] = fetch_half_done(f, s) || pictures || (!s->images && lacks_questions(f, s));
        else if (!fetch_is_there(f, s->path)) {
            f->due[i] = true;
            note_missing(f, s->path);
        }
    }
}

int fetch_by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Reads the questions; f->needed becomes their pictures, each once. */
enum status fetch_read_needed(struct fetch *f, struct err *e)
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
    qsort(list, n, sizeof *list, fetch_by_text);
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

enum status fetch_open(struct fetch *f, const struct options *o, const struct benchmark *b,
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

enum status fetch_find_missing(struct fetch *f, struct err *e)
{
    if (!f->asked && fetch_has_questions(f) && fetch_read_needed(f, e) != OK)
        return e->code;
    fetch_make_plan(f);
    return OK;
}

/* ---- is it the official data? ---------------------------------------------------------------- */

bool fetch_same_hash(const char *a, const char *b)
{
    return a && b && !strcasecmp(a, b);
}

/* Has the file this SHA-256? */
static bool is_file_of(struct fetch *f, const char *name, const char *sha256)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    struct err ignored = { 0 };
    if (sha256_file(fetch_place(f, name), hash, &ignored) != OK)
        return false;
    sha256_hex(hash, hex);
    return fetch_same_hash(hex, sha256);
}

/* A question file that fetch brought must still be what it was. One put there by hand is not on
 * record: that it is the official one shows by a pinned hash, or else by the number of questions. */
static bool is_as_fetched(struct fetch *f, const char *name)
{
    const char *sha256 = manifest_hash(&f->manifest, name);
    return !sha256 || !fetch_is_there(f, name) || is_file_of(f, name, sha256);
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
            fetch_is_there(f, file->name) && !is_file_of(f, file->name, file->sha256))
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
        if (!s->sha256 || !fetch_is_wanted(f, s))
            continue;
        if (fetch_is_archive(s) ? !m || !fetch_same_hash(m->sha256, s->sha256)
                          : fetch_is_there(f, s->path) && !is_file_of(f, s->path, s->sha256))
            return false;
    }
    return questions_are_as_fetched(f);
}

void fetch_report(struct fetch *f, struct fetch_state *out)
{
    *out = (struct fetch_state){ .complete = f->asked, .questions = fetch_has_questions(f) };
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
    if (fetch_open(&f, o, b, split, e) == OK && fetch_find_missing(&f, e) == OK)
        fetch_report(&f, out);
    arena_free(&f.arena);
    return e->code;
}

enum status fetch_is_official(const struct options *o, const struct benchmark *b, const char *split,
                              size_t n_questions, bool *official, struct err *e)
{
    struct fetch f;
    if (fetch_open(&f, o, b, split, e) == OK)
        *official = is_official(&f, n_questions);
    arena_free(&f.arena);
    return e->code;
}
