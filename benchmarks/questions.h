/* questions.h -- the questions of one split, in the order of the official file. */
#ifndef BENCHMARKS_QUESTIONS_H
#define BENCHMARKS_QUESTIONS_H

#include "engine/base/arena.h"

struct question {
    const char *id;             /* the product's id, as in the benchmark's page; may repeat (SEED) */
    const char *category;       /* or "" */
    const char *image;          /* below DATA/<benchmark>; "TABLE#INDEX" in a table; NULL: no image */
    const char *picture;        /* same text, same bytes, where paths differ (rows of a table that
                                   hold one picture); NULL: the image itself */
    bool unasked;               /* its image is not there and need not be: a run leaves it out */
    const char *text;           /* Q */
    const char *context;        /* hint or OCR tokens, as prompt_item has it, or NULL */
    const char *const *options; /* texts of A, B, ...; NULL without */
    int n_options;
    const char *reference;      /* gold: "yes", "B", "2", a sentence; NULL where it is hidden */
    const char *const *answers; /* the ten human answers, or NULL */
    int n_answers;
    const void *more;           /* what this benchmark's scorer needs besides */
};

struct questions {
    struct question *at;
    size_t n, size;
    struct arena *arena;        /* owns every string */
    const char *split;
    bool failed;                /* out of memory: sticky, seen by questions_end */
    void *index;                /* id -> ordinals; made by questions_find */
    void *more;                 /* what this benchmark's scorer needs for the whole split */
};

void questions_init(struct questions *qs, struct arena *a, const char *split);
void questions_add(struct questions *qs, struct question q);        /* strings are borrowed */
void questions_free(struct questions *qs);                          /* not the arena */

/* Ordinals with this id, in order: the first, then each next after `previous`; SIZE_MAX when there
 * is no (further) one. The first call builds a hash index. */
size_t questions_find(struct questions *qs, const char *id, size_t previous);

/* Do both have an image, and the same one? */
bool questions_same_image(const struct question *a, const struct question *b);

/* Order for running: by picture, ties by ordinal; text-only questions last. The caller frees. */
size_t *questions_by_image(const struct questions *qs, struct err *e);

/* SHA-256 over what was read: ids, images, texts, options, references, answers. The identity of a
 * split whose questions are spread over many files. */
void questions_hash(const struct questions *qs, unsigned char out[32]);

#endif
