/* run.h -- the loop: questions without a reply -> prepare -> engine -> store.
 *
 * Nothing is asked twice and nothing is lost: a reply is committed soon after it is made, a second
 * call with the same model, data, prompts and settings goes on where the first one stopped. */
#ifndef HARNESS_RUN_H
#define HARNESS_RUN_H

#include "benchmarks/benchmark.h"
#include "harness/options.h"
#include "results/results.h"

/* A benchmark's split with its questions read: what every model of a run is asked. */
struct split {
    const struct benchmark *benchmark;
    const char *name;           /* of the split */
    const char *dir;            /* DATA/<benchmark> */
    struct arena arena;         /* owns the questions */
    struct questions questions;
    size_t *order, n_order;     /* ordinals to ask: the selection, by image */
    bool *selected;             /* [questions.n] */
    bool whole;                 /* the selection is every question */
    bool official;              /* the files are the pinned ones */
    char hash[65];              /* SHA-256 over the question files */
};

/* Reads the question files below o->data and applies --limit, --ids and --shard. Free it in any
 * case. */
enum status split_open(struct split *s, const struct options *o, const struct suite_item *item,
                       struct err *e);
/* How the selection would lie in n shards (--dry-run says it). */
struct shard { size_t groups, questions; uint64_t cost; };     /* cost: in tokens of a prompt */
void split_shards(const struct split *s, int n, struct shard *out);
/* Narrows the selection to what keep[questions.n] holds; it is the whole no longer. */
void split_keep(struct split *s, const bool *keep);
/* Takes out what a run cannot ask (a video question without its frame); says how many. */
enum status split_leave_out_unasked(struct split *s, struct err *e);
void split_free(struct split *s);
/* As tables call it: "POPE", "VQAv2 val", "MM-Vet (gpt-4)". */
const char *split_title(struct arena *a, const struct benchmark *b, const char *split,
                        const char *judge);

/* The data set and its questions, noted in the store. */
enum status run_note_split(const struct split *s, struct results *store, int64_t *dataset,
                           struct err *e);

/* SIGINT, SIGTERM, SIGUSR1 ask the loop to stop; a second one ends the program at once. */
void run_catch_signals(void);
enum status run_stopped(void);              /* OK, ERR_INTERRUPTED or ERR_TERMINATED */

/* Asks this model what is not answered yet, with one prompt set; commits; leaves in *run_id the
 * run. ERR_INTERRUPTED after a signal: all replies made are stored. */
struct devices;
enum status run_split(const struct options *o, struct devices *d, const char *label,
                      const char *prompts, struct split *s, struct results *store,
                      int64_t *run_id, struct err *e);

/* Scores a run from its stored replies (and, for judged benchmarks, judgements: judge.h) and stores
 * the scores. label: the model's. *missing: questions of the selection without a reply or a
 * judgement. */
struct judge;
enum status run_score(struct judge *judge, struct split *s, const char *label,
                      struct results *store, int64_t run_id, size_t *missing, struct err *e);

/* Scores again what the store holds, for the suite (only its judged benchmarks) and the labels that
 * the options name, by default all. of_shards: what no run was asked is missing too, and said.
 * ERR_INCOMPLETE when answers or judgements are missing, ERR_DATA when question files are. */
enum status run_score_stored(const struct options *o, bool of_shards, bool only_judged,
                             struct err *e);

/* The scores themselves over the selection, from replies by ordinal (NULL: missing). draws: for the
 * standard errors, 0 for none. marks as benchmark_score takes them. Shared with `score --answers`. */
enum { SCORE_DRAWS = 1000 };
enum status run_tally(const struct split *s, const char *const *replies, const struct mark *marks,
                      int passes, bool partial, int draws, struct scores *out, size_t *missing,
                      struct err *e);

#endif
