/* prepare.h -- prompts and pixels, made ready ahead of the engine by worker threads (ahead.h).
 *
 * Works through the questions in the order given, an image at a time: the questions that follow each
 * other with one image share its pixels, decoded once. */
#ifndef HARNESS_PREPARE_H
#define HARNESS_PREPARE_H

#include "benchmarks/benchmark.h"
#include "engine/llava.h"

struct picture;                 /* pixels shared by the questions about one image; counted */
const struct llava_pixels *picture_pixels(const struct picture *p);
void picture_release(struct picture *p);                    /* NULL is fine; any thread */

struct prepare_job {            /* all borrowed until prepare_stop */
    const struct llava *model;
    const struct benchmark *benchmark;
    const char *dir;            /* DATA/<benchmark> */
    const struct questions *questions;
    const size_t *order; size_t n;          /* ordinals to prepare, questions of an image together */
    const struct prompt_set *prompts;
    const char *conversation;
    enum llava_image_mode image_mode;
    int ahead;                  /* images, at most, that are prepared and not taken */
};

struct prepared {
    size_t ordinal;
    int32_t *ids; size_t n_ids;             /* malloc; the taker frees */
    struct picture *picture;                /* the taker's share; NULL without an image */
    struct err err;                         /* not OK: this question cannot be asked, and why */
};

struct prepare;
enum status prepare_start(struct prepare **out, const struct prepare_job *job, struct err *e);
/* Waits for the questions about the next image; false at the end. Any thread, several at a time.
 * *items (malloc; the taker frees) is NULL if there was no memory for them. */
bool prepare_next(struct prepare *p, struct prepared **items, size_t *n);
/* True when prepare_next would not have to wait (or is at its end). */
bool prepare_ready(struct prepare *p);
void prepare_stop(struct prepare *p);       /* frees what was not taken; NULL is fine */

/* The text T and the whole prompt of one question; also what `show` prints. In the arena. */
enum status prepare_prompt(const struct benchmark *b, const struct questions *qs, size_t i,
                           const struct prompt_set *prompts, const char *conversation,
                           bool use_im_start_end, struct arena *a, const char **text,
                           const char **prompt, struct err *e);

#endif
