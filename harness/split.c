/* split.c -- a benchmark's split and the part of it that this command asks: --limit, --ids, --shard.
 *
 * The selection is a pure function of the question list and the options: it looks at no checkpoint,
 * so that every task of a job comes to the same one by itself. Shards are whole image groups: the
 * groups lie end to end in the order of their images, each as long as its estimated cost, and a
 * group belongs to that of N equal stretches in which its middle lies. So a shard's cost is within
 * one group's of the mean. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/unpack.h"

static enum status hash_files(struct split *s, struct err *e)
{
    struct sha256 all;
    unsigned char hash[SHA256_SIZE];
    struct arena a = { 0 };

    if (!s->benchmark->question_files) {
        questions_hash(&s->questions, hash);
        sha256_hex(hash, s->hash);
        return OK;
    }
    const char *const *names = s->benchmark->question_files(s->name);
    sha256_init(&all);
    for (int i = 0; names[i] && e->code == OK; i++) {
        if (sha256_file(path_join(&a, s->dir, names[i]), hash, e) == OK) {
            sha256_add(&all, names[i], strlen(names[i]) + 1);
            sha256_add(&all, hash, sizeof hash);
        }
    }
    sha256_end(&all, hash);
    sha256_hex(hash, s->hash);
    arena_free(&a);
    return e->code;
}

/* Marks what --ids names. One that is not there is an error that names it; in a suite of several splits,
 * where none is. */
static enum status select_ids(struct split *s, const struct options *o, struct err *e)
{
    size_t found = 0;

    for (int k = 0; k < o->n_ids; k++) {
        size_t i = questions_find(&s->questions, o->ids[k], SIZE_MAX);
        if (i == SIZE_MAX && o->n_suite == 1)
            return err_set(e, ERR_USAGE, "%s:%s has no question \"%s\"", s->benchmark->name, s->name,
                           o->ids[k]);
        for (; i != SIZE_MAX; i = questions_find(&s->questions, o->ids[k], i)) {
            s->selected[i] = true;
            found++;
        }
    }
    if (!found)
        return err_set(e, ERR_USAGE, "%s:%s has no question \"%s\"%s", s->benchmark->name, s->name,
                       o->ids[0], o->n_ids > 1 ? " nor any other of --ids" : "");
    return OK;
}

/* What a question costs, in tokens of a prompt. An image is the 576 rows it stands for and its way
 * through the vision tower; a text has about four bytes to the token; a token of a reply is worth
 * several of a prompt, being made one after the other. */
enum { IMAGE_COST = 600, PROMPT_COST = 20, BYTES_PER_TOKEN = 4, REPLY_TOKEN_COST = 4,
       SHORT_REPLY = 3, LONG_REPLY = 100 };

static uint64_t question_cost(const struct benchmark *b, const struct question *q)
{
    size_t bytes = strlen(q->text) + (q->context ? strlen(q->context) : 0);

    for (int i = 0; i < q->n_options; i++)
        bytes += strlen(q->options[i]);
    return PROMPT_COST + bytes / BYTES_PER_TOKEN +
           REPLY_TOKEN_COST * (b->format == FORMAT_PLAIN ? LONG_REPLY : SHORT_REPLY);
}

/* Calls take() for each image group of order[0..n): its first place, its length, its shard from 0
 * and its cost. */
static void each_group(const struct split *s, const size_t *order, size_t n, int n_shards,
                       void (*take)(void *user, size_t first, size_t length, size_t shard,
                                    uint64_t cost), void *user)
{
    const struct question *q = s->questions.at;
    uint64_t total = 0, before = 0;

    for (size_t k = 0; k < n; k++) {
        bool begins = k == 0 || !questions_same_image(&q[order[k]], &q[order[k - 1]]);
        total += question_cost(s->benchmark, &q[order[k]]) +
                 (begins && q[order[k]].image ? IMAGE_COST : 0);
    }
    for (size_t k = 0, length; k < n; k += length) {
        uint64_t cost = q[order[k]].image ? IMAGE_COST : 0;
        length = 0;
        do
            cost += question_cost(s->benchmark, &q[order[k + length++]]);
        while (k + length < n && questions_same_image(&q[order[k + length]], &q[order[k]]));
        take(user, k, length, (size_t)((2 * before + cost) * (uint64_t)n_shards / (2 * total)), cost);
        before += cost;
    }
}

struct choosing { struct split *s; const size_t *order; size_t shard; };

static void choose_group(void *user, size_t first, size_t length, size_t shard, uint64_t cost)
{
    struct choosing *c = user;

    (void)cost;
    for (size_t k = first; k < first + length; k++)
        c->s->selected[c->order[k]] = shard == c->shard;
}

static void count_group(void *user, size_t first, size_t length, size_t shard, uint64_t cost)
{
    struct shard *out = (struct shard *)user + shard;

    (void)first;
    out->groups++;
    out->questions += length;
    out->cost += cost;
}

void split_shards(const struct split *s, int n, struct shard *out)
{
    memset(out, 0, (size_t)n * sizeof *out);
    each_group(s, s->order, s->n_order, n, count_group, out);
}

/* order[0..s->n_order) narrowed to what is selected. */
static void keep_selected(struct split *s, size_t *order, size_t n)
{
    s->n_order = 0;
    for (size_t k = 0; k < n; k++)
        if (s->selected[order[k]])
            order[s->n_order++] = order[k];
    s->order = order;
}

static enum status select_questions(struct split *s, const struct options *o, struct err *e)
{
    size_t n = s->questions.n, first = n;
    size_t *order = questions_by_image(&s->questions, e);

    s->selected = calloc(n + 1, sizeof *s->selected);
    if (!order || !s->selected) {
        free(order);
        return err_set(e, ERR_MEMORY, "no memory for %zu questions", n);
    }
    if (o->limit > 0)
        first = o->limit < 1 ? (size_t)ceil(o->limit * (double)n) : (size_t)o->limit;
    if (o->n_ids)
        select_ids(s, o, e);
    else
        for (size_t i = 0; i < n && i < first; i++)
            s->selected[i] = true;
    keep_selected(s, order, n);
    if (o->n_shards > 1) {
        struct choosing c = { s, order, (size_t)o->shard_index - 1 };
        each_group(s, order, s->n_order, o->n_shards, choose_group, &c);
        keep_selected(s, order, s->n_order);
    }
    s->whole = s->n_order == n;
    return e->code;
}

/* A question file is somebody else's: what it calls an image must lie below the benchmark's folder. */
static enum status check_images(const struct split *s, struct err *e)
{
    for (size_t i = 0; i < s->questions.n; i++) {
        const char *image = s->questions.at[i].image;
        if (image && !unpack_safe_name(image))
            return err_set(e, ERR_DATA, "%s: a question's image is \"%.200s\", which is no plain name "
                           "below that folder", s->dir, image);
    }
    return OK;
}

enum status split_open(struct split *s, const struct options *o, const struct suite_item *item,
                       struct err *e)
{
    memset(s, 0, sizeof *s);
    s->benchmark = benchmark_find(item->benchmark);
    s->name = item->split;
    s->dir = path_join(&s->arena, o->data, item->benchmark);
    questions_init(&s->questions, &s->arena, s->name);
    if (s->benchmark->read(s->dir, s->name, &s->questions, e) != OK)
        return e->code;
    if (s->questions.failed || s->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for the questions of %s", item->benchmark);
    if (s->questions.n == 0)
        return err_set(e, ERR_DATA, "%s: no question in split %s", s->dir, s->name);
    if (check_images(s, e) != OK || select_questions(s, o, e) != OK)
        return e->code;
    return hash_files(s, e);
}

void split_keep(struct split *s, const bool *keep)
{
    size_t kept = 0;

    for (size_t k = 0; k < s->n_order; k++) {
        size_t i = s->order[k];
        if (keep[i])
            s->order[kept++] = i;
        else
            s->selected[i] = false;
    }
    s->whole = s->whole && kept == s->n_order;
    s->n_order = kept;
}

enum status split_leave_out_unasked(struct split *s, struct err *e)
{
    size_t before = s->n_order;
    bool *keep = calloc(s->questions.n, sizeof *keep);

    if (!keep)
        return err_set(e, ERR_MEMORY, "no memory for %zu questions", s->questions.n);
    for (size_t i = 0; i < s->questions.n; i++)
        keep[i] = !s->questions.at[i].unasked;
    split_keep(s, keep);
    free(keep);
    if (s->n_order < before)
        say_note("%s: %zu questions are left out: their pictures are not there", s->benchmark->name,
                 before - s->n_order);
    return OK;
}

void split_free(struct split *s)
{
    questions_free(&s->questions);
    free(s->order);
    free(s->selected);
    arena_free(&s->arena);
    memset(s, 0, sizeof *s);
}

const char *split_title(struct arena *a, const struct benchmark *b, const char *split,
                        const char *judge)
{
    char first[32];
    benchmark_default_split(b, first);
    bool usual = !strcmp(first, split);
    return arena_fmt(a, "%s%s%s%s%s%s", b->title, usual ? "" : " ", usual ? "" : split,
                     judge ? " (" : "", judge ? judge : "", judge ? ")" : "");
}
