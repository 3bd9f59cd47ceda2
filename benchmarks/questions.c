/* questions.c -- the list of questions, look-up by id, groups by image.
 *
 * The index is an open-addressed table of first ordinals; equal ids are chained in file order:
 *
 *     slots[hash & mask] = ordinal + 1, 0 when empty      next[ordinal] = ordinal + 1 of the next
 *                                                         question with the same id, 0 at the last */
#include "benchmarks/questions.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/sha256.h"

struct index {
    size_t mask;                /* slots - 1; at most half of them are taken */
    size_t *slots, *next;
};

void questions_init(struct questions *qs, struct arena *a, const char *split)
{
    *qs = (struct questions){ .arena = a, .split = split };
}

void questions_add(struct questions *qs, struct question q)
{
    if (qs->n == qs->size) {
        size_t size = qs->size ? qs->size * 2 : 256;
        struct question *at = size > SIZE_MAX / 2 / sizeof *at
                            ? NULL : realloc(qs->at, size * sizeof *at);
        if (!at) {
            qs->failed = true;
            return;
        }
        qs->at = at;
        qs->size = size;
    }
    qs->at[qs->n++] = q;
}

static void index_free(struct index *index)
{
    if (!index)
        return;
    free(index->slots);
    free(index->next);
    free(index);
}

void questions_free(struct questions *qs)
{
    index_free(qs->index);
    free(qs->at);
    *qs = (struct questions){ .arena = qs->arena };
}

/* FNV-1a, folded so that the low bits hold all. */
static size_t hash_of(const char *id)
{
    uint64_t h = 14695981039346656037u;
    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds this id's first ordinal, or the empty one where it belongs. */
static size_t *slot_of(const struct questions *qs, const struct index *index, const char *id)
{
    size_t at = hash_of(id) & index->mask;
    while (index->slots[at] && strcmp(qs->at[index->slots[at] - 1].id, id) != 0)
        at = (at + 1) & index->mask;
    return &index->slots[at];
}

static struct index *index_of(const struct questions *qs)
{
    struct index *index = calloc(1, sizeof *index);
    size_t size = 16;
    while (size / 2 < qs->n)
        size *= 2;
    if (!index)
        return NULL;
    index->mask = size - 1;
    index->slots = calloc(size, sizeof *index->slots);
    index->next = calloc(qs->n + 1, sizeof *index->next);
    if (!index->slots || !index->next) {
        index_free(index);
        return NULL;
    }
    for (size_t i = qs->n; i-- > 0;) {                      /* backwards: chains come out in order */
        size_t *slot = slot_of(qs, index, qs->at[i].id);
        index->next[i] = *slot;
        *slot = i + 1;
    }
    return index;
}

size_t questions_find(struct questions *qs, const char *id, size_t previous)
{
    if (!qs->index && !(qs->index = index_of(qs))) {
        qs->failed = true;
        return SIZE_MAX;
    }
    const struct index *index = qs->index;
    return (previous == SIZE_MAX ? *slot_of(qs, index, id) : index->next[previous]) - 1;
}

static const char *picture_of(const struct question *q)
{
    return q->picture ? q->picture : q->image;
}

bool questions_same_image(const struct question *a, const struct question *b)
{
    return a->image && b->image && !strcmp(picture_of(a), picture_of(b));
}

static int by_picture(const void *left, const void *right, void *questions)
{
    const struct question *at = questions;
    size_t l = *(const size_t *)left, r = *(const size_t *)right;
    const char *a = picture_of(&at[l]), *b = picture_of(&at[r]);
    if (!a || !b) {
        if (a || b)
            return a ? -1 : 1;
    } else {
        int order = strcmp(a, b);
        if (order)
            return order;
    }
    return l < r ? -1 : l > r;
}

size_t *questions_by_image(const struct questions *qs, struct err *e)
{
    size_t *order = calloc(qs->n + 1, sizeof *order);
    if (!order) {
        err_set(e, ERR_MEMORY, "no memory to order %zu questions", qs->n);
        return NULL;
    }
    for (size_t i = 0; i < qs->n; i++)
        order[i] = i;
    if (qs->n)
        qsort_r(order, qs->n, sizeof *order, by_picture, qs->at);
    return order;
}

/* With its NUL, or one byte that starts no text: fields cannot run into each other. */
static void hash_text(struct sha256 *s, const char *text)
{
    sha256_add(s, text ? text : "\xff", text ? strlen(text) + 1 : 1);
}

static void hash_list(struct sha256 *s, const char *const *texts, int n)
{
    for (int i = 0; i < n; i++)
        hash_text(s, texts[i]);
    hash_text(s, NULL);
}

void questions_hash(const struct questions *qs, unsigned char out[SHA256_SIZE])
{
    struct sha256 s;
    sha256_init(&s);
    for (size_t i = 0; i < qs->n; i++) {
        const struct question *q = &qs->at[i];
        hash_text(&s, q->id);
        hash_text(&s, q->category);
        hash_text(&s, q->image);
        hash_text(&s, q->text);
        hash_text(&s, q->context);
        hash_list(&s, q->options, q->n_options);
        hash_text(&s, q->reference);
        hash_list(&s, q->answers, q->n_answers);
    }
    sha256_end(&s, out);
}
