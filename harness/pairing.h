/* pairing.h -- which stored runs stand against each other, and what comes of it for one split.
 *
 * Arms are what is compared: a model, a model with one prompt set, or one run by its number. Two
 * arms differ by { -1, 1 }; four are two models under two prompt sets, in the order first model
 * (first set, second set), second model (first set, second set). */
#ifndef HARNESS_PAIRING_H
#define HARNESS_PAIRING_H

#include "harness/judge.h"
#include "results/compare.h"

struct arm {
    const char *model, *prompts;            /* prompts NULL: paper, else its newest run's */
    int64_t run;                            /* this one alone; or 0 */
    const char *title;                      /* as tables call it */
};

/* The words of the command line and --prompts -> arms (2 or 4). ERR_USAGE names what there is. */
enum status pairing_arms(const struct options *o, const struct results_run_row *runs, size_t n_runs,
                         struct arena *a, struct arm arms[COMPARE_RUNS], int *n_arms, struct err *e);

/* The newest run of the arm over this split, or NULL. */
const struct results_run_row *pairing_run(const struct arm *arm, const struct results_run_row *runs,
                                          size_t n_runs, const char *benchmark, const char *split);

/* One arm by itself, over the split's very data: its row, which is said. ERR_DATA naming the store when
 * there is none. */
enum status pairing_one(const struct options *o, const struct results_run_row *runs, size_t n,
                        const struct split *s, const char *word, const struct results_run_row **run,
                        struct err *e);

/* What is asked of the draws. The first is the difference of two arms; with four, the effect of the
 * second set on each model and of the second model under each set, and how far the two effects of
 * the set differ. */
enum { PAIRING_DIFFERENCE = 0,
       PAIRING_SET_FIRST = 0, PAIRING_SET_SECOND, PAIRING_MODEL_FIRST, PAIRING_MODEL_SECOND,
       PAIRING_INTERACTION, PAIRING_CONTRASTS };

struct paired_metric {
    const char *metric;
    bool headline;
    size_t n;                               /* questions it is over */
    double value[COMPARE_RUNS];
    double contrast[PAIRING_CONTRASTS];
    struct interval interval[PAIRING_CONTRASTS];
    double p, p_holm;                       /* of two arms; NaN with four. p_holm: the caller's */
    const char *test;                       /* "mcnemar", "permutation"; or NULL */
    size_t gained, lost;                    /* questions the second arm does better, worse */
};

struct paired_split {
    const struct benchmark *benchmark;
    const char *split, *judge;              /* judge NULL: none */
    bool official, partial;                 /* partial: not all questions of the split */
    const char *dtype[COMPARE_RUNS];
    size_t n_questions, n_pictures;         /* compared */
    size_t missing;                         /* asked, and without a reply or judgement in some arm */
    struct paired_metric *metrics;          /* headline first, then categories (all: with -v) */
    size_t n_metrics;
    const char *expected;                   /* form of a reply: "a letter" */
    struct { double obeyed, tokens, at_limit; } form[COMPARE_RUNS];     /* percent, mean, percent */
};

/* Compares the arms over one split; strings in the arena. Runs that differ in data, prompts or
 * decode settings are refused unless o->allow lists it. judge: as run_score's. */
enum status pairing_split(const struct options *o, struct results *store, struct judge *judge,
                          const struct suite_item *item, const struct results_run_row *const *runs,
                          const struct arm *arms, int n_arms, struct arena *a,
                          struct paired_split *out, struct err *e);

#endif
