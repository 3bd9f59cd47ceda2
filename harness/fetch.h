/* fetch.h -- the sources of a benchmark become verified, unpacked files below DATA/<name>/.
 *
 * DATA/<name>/.manifest.json records for every source: URL, bytes, SHA-256, validators, whether it
 * is the pinned file, and that unpacking was completed: a half-unpacked folder is never taken for a
 * whole one. One process at a time per benchmark (a lock file). */
#ifndef HARNESS_FETCH_H
#define HARNESS_FETCH_H

#include "benchmarks/benchmark.h"
#include "engine/llava.h"
#include "harness/options.h"

struct fetch_state {
    bool complete;              /* everything this split needs is there (images too if wanted) */
    bool questions;             /* the question files are there */
    bool official;              /* and they are those of the official release, as far as is known */
    int64_t bytes_missing;      /* -1: not known */
};

/* What is there already; opens no connection. */
enum status fetch_look(const struct options *o, const struct benchmark *b, const char *split,
                       struct fetch_state *out, struct err *e);

/* Are the question files those of the official release? Pinned hashes match, files that were
 * fetched are unchanged, no mirror's own sums stood in for pins, and the number of questions is
 * right. */
enum status fetch_is_official(const struct options *o, const struct benchmark *b, const char *split,
                              size_t n_questions, bool *official, struct err *e);

/* Downloads and unpacks what is missing. o->mirror, o->scoring_only, o->dry_run, o->verify,
 * o->offline as in --help. Sizes are said first. Data that a user put there by hand counts. */
enum status fetch_benchmark(const struct options *o, const struct benchmark *b, const char *split,
                            struct fetch_state *out, struct err *e);

/* A checkpoint by hub name or path: a folder that exists as it is; else the Hugging Face cache,
 * else our own cache, else (unless o->offline) a download into our cache. The path in the arena. */
enum status hub_find(struct options *o, const char *path_or_id, const char **path, struct err *e);

/* hub_find() for a model and for what it stands on: fills m->model_base and m->vision_tower, from the
 * options or, where config.json names a tower that is not beside it, from the same places. `inspect`
 * downloads no tower, since it says what is missing. */
enum status hub_find_model(struct options *o, const char *path_or_id, struct llava_options *m,
                           const char **path, struct err *e);

#endif
