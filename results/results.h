/* results.h -- the store: every reply, judgement and score, with where it came from.
 *
 * One SQLite file in WAL mode (on a network file system: with a rollback journal). A run is one
 * model asked one data set with one prompt set and one way of decoding; it is found again by exactly
 * these, and that is resume. Replies are written in small transactions (begin, add ..., commit): what
 * is committed survives kill -9 of the process; what is not is rolled back. One process at a time writes runs into a store (an advisory lock next
 * to it, let go by the kernel when the process dies); any number may read.
 *
 * struct results belongs to one thread. After a failure the handle can still be closed; an open
 * transaction is rolled back. Strings handed in are borrowed for the call; strings handed out live
 * in the arena of the call. */
#ifndef RESULTS_RESULTS_H
#define RESULTS_RESULTS_H

#include <stdint.h>
#include "engine/base/arena.h"

struct results;

enum results_mode { RESULTS_READ, RESULTS_WRITE };

/* Opens (WRITE: makes, migrates, locks) the store. Refuses, naming the file: what is no store of
 * ours, a store of a newer version, a damaged one, one that another process writes (with its pid).
 * READ of a file that is not there is ERR_DATA: "run something first". */
enum status results_open(struct results **out, const char *path, enum results_mode mode,
                         struct err *e);
void results_close(struct results *r);                      /* NULL is fine */
/* The network file system it lies on ("NFS"; then it is kept without WAL), or NULL. */
const char *results_network(const struct results *r);

/* ---- what a run is made of; each finds the row or makes it ---- */

struct results_model {          /* known by weights_sha256 and connector; the newest label shows */
    const char *label, *weights_sha256;     /* weights_sha256 "": unknown (answers from elsewhere) */
    const char *connector;                  /* NULL: unknown */
    const char *config;                     /* config.json, or NULL */
    int64_t n_parameters;
};
enum status results_model(struct results *r, const struct results_model *m, int64_t *id,
                          struct err *e);
/* Makes a label this model's alone: another checkpoint that had it gets "@" and the first 8 digits of its
 * hash behind it. *n: how many had it. */
enum status results_own_label(struct results *r, int64_t model, size_t *n, struct err *e);

struct results_dataset { const char *benchmark, *split, *sha256; size_t n; bool official; };
enum status results_dataset(struct results *r, const struct results_dataset *d, int64_t *id,
                            struct err *e);

/* Questions are known by their ordinal, their place in qs[]: a key may stand twice. Writes what is
 * not there yet; an entry without a key is left out (another shard's). */
struct results_question { const char *key, *image, *text, *reference, *category; };
enum status results_questions(struct results *r, int64_t dataset,
                              const struct results_question *qs, size_t n, struct err *e);

struct results_run {
    int64_t model, dataset;
    const char *prompts, *prompt_sha256;    /* name and hash of the prompt set's text */
    const char *conversation, *image_mode, *dtype, *decode;     /* decode: JSON of settings */
    const char *dtype_note;                 /* or NULL */
    const char *program, *device, *host;    /* who made it: not part of what it is */
};
/* The newest run with the same identity, or a new one; fresh: always a new one. */
enum status results_run(struct results *r, const struct results_run *run, bool fresh, int64_t *id,
                        struct err *e);
/* Before results_run: was such a run made over other question files of the same split, and none over
 * these? *hash, in the arena, is theirs; NULL when not. */
enum status results_run_over_other_data(struct results *r, const struct results_run *run,
                                        struct arena *a, const char **hash, struct err *e);
/* Notes that all questions asked were answered, and when; or that some are to be asked now. */
enum status results_run_finish(struct results *r, int64_t run, struct err *e);
enum status results_run_open(struct results *r, int64_t run, struct err *e);
/* Was it begun, and not finished? */
enum status results_run_is_open(struct results *r, int64_t run, bool *open, struct err *e);

/* ---- replies ---- */

enum status results_begin(struct results *r, struct err *e);
enum status results_commit(struct results *r, struct err *e);

struct results_reply {
    const char *text;           /* NULL: failed, and error says why; "" is a reply */
    const char *error;
    const char *finish;         /* "stop", "length", "failed" */
    int prompt_tokens, reply_tokens;
    double ms;
};
/* Once per run and ordinal, but in a failed one's place; a second one is our own mistake. Inside begin ...
 * commit. */
enum status results_reply_add(struct results *r, int64_t run, size_t ordinal,
                              const struct results_reply *reply, struct err *e);

/* texts[n] by ordinal, NULL where there is none or it failed; answered[n] (may be NULL) is true for
 * every stored row, failed ones too. */
enum status results_replies(struct results *r, int64_t run, size_t n, struct arena *a,
                            const char **texts, bool *answered, struct err *e);
/* How long a run's replies are: how many, their mean tokens (NaN of none), how many ended at the limit;
 * of those that were made here. */
enum status results_lengths(struct results *r, int64_t run, size_t *n, double *mean_tokens,
                            size_t *at_limit, struct err *e);
/* Replies of a run over other data: told(user, key, text, reply) for each that is there. */
enum status results_replies_told(struct results *r, int64_t run,
                                 void (*told)(void *user, const char *key, const char *text,
                                              const char *reply), void *user, struct err *e);

/* ---- judgements: draws of a judge, by what it was asked ---- */

struct results_judgement {
    unsigned char request_sha256[32];
    int pass, attempt;
    const char *benchmark, *question, *judge;   /* judge: the name it was asked by */
    const char *served, *profile, *finish;      /* or NULL */
    const char *reply;                          /* NULL: no text */
    const char *host, *response_id, *fingerprint;   /* or NULL */
    int64_t prompt_tokens, completion_tokens, http_ms;
    bool usage_estimated;                       /* the server did not count */
};
/* Keeps the older row when there is one. */
enum status results_judgement_add(struct results *r, const struct results_judgement *j,
                                  struct err *e);
/* *reply in the arena; NULL when this request was not judged in this pass and attempt. One stored
 * without a text is "": it is not asked again, and no scorer reads an empty text. *served (may be
 * NULL) is what the judge called itself, or NULL. */
enum status results_judgement_find(struct results *r, const unsigned char request_sha256[32],
                                   int pass, int attempt, struct arena *a, const char **reply,
                                   const char **served, struct err *e);

/* The first pass that no judgement of this judge (as asked for) of this benchmark has. */
enum status results_judgement_next_pass(struct results *r, const char *benchmark, const char *judge,
                                        int *pass, struct err *e);

/* A call that gave no reply; never looked at by a scorer. */
struct results_judge_error {
    const char *benchmark, *question, *judge, *host;
    int pass, attempt;
    int64_t status;                             /* HTTP, 0: none came */
    const char *code;                           /* or NULL */
    const char *excerpt;
};
enum status results_judge_error_add(struct results *r, const struct results_judge_error *f,
                                    struct err *e);

/* ---- scores ---- */

struct results_score {
    const char *metric;
    double value, stderror;     /* NaN: undefined */
    size_t n;
    bool headline, partial;
    int version;                /* of the scorer */
    const char *judge;          /* or NULL */
};
/* Replaces the run's scores, in one transaction. */
enum status results_scores(struct results *r, int64_t run, const struct results_score *rows,
                           size_t n, struct err *e);

/* What tables are made of: scores of the newest run of each (model, benchmark, split, prompt set,
 * image mode, dtype, decode settings). Order: model's first appearance, then benchmark, split,
 * headline first, metric as stored. */
struct results_score_row {
    const char *model, *connector;          /* connector NULL: unknown */
    const char *benchmark, *split, *metric, *prompts, *image_mode, *dtype, *decode, *judge;
    double value, stderror;
    size_t n;
    bool headline, partial, official;
    int64_t run;
};
enum status results_leaderboard(struct results *r, struct arena *a,
                                struct results_score_row **rows, size_t *n, struct err *e);

struct results_model_row { const char *label, *connector, *config; int64_t n_parameters; };
enum status results_models(struct results *r, struct arena *a, struct results_model_row **rows,
                           size_t *n, struct err *e);

/* All runs, oldest first. */
struct results_run_row {
    int64_t id;
    const char *model, *benchmark, *split, *dataset_sha256, *prompts, *conversation, *decode;
    const char *dtype, *started, *finished;     /* finished NULL: it was interrupted */
    const char *prompt_sha256, *image_mode;
    size_t n, answered, failed;
    bool official;                              /* the data set is */
};
enum status results_runs(struct results *r, struct arena *a, struct results_run_row **rows,
                         size_t *n, struct err *e);

/* One reply as stored, for `show`: reply->text and error in the arena; *found false if none. */
enum status results_reply_find(struct results *r, int64_t run, size_t ordinal, struct arena *a,
                               struct results_reply *reply, bool *found, struct err *e);

/* ---- many stores into one (merge.c) ---- */

struct results_merged {
    size_t stores;              /* that were read, `out` included */
    size_t runs, replies;       /* in `out` now */
};
/* Joins the stores in[n], and out's own rows where out is there, into out: by what a run is and by
 * question, whatever the order. A reply wins over a failure. Scores are kept where one store holds all
 * of a run; else they are to be made again.
 * ERR_DATA, naming both stores, when two hold different replies of one run to one question. out is
 * replaced as a whole, or left as it was. */
enum status results_merge(const char *out, const char *const *in, size_t n,
                          struct results_merged *what, struct err *e);

#endif
