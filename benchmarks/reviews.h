/* reviews.h -- recorded replies of a judge: JSON lines {"question_id", "run", "attempt", "reply"}.
 *
 * A run is one judging of the whole set. Its label is what the file says (0 where it says nothing);
 * the labels in rising order are the passes 0, 1, ... of marks. */
#ifndef BENCHMARKS_REVIEWS_H
#define BENCHMARKS_REVIEWS_H

#include "benchmarks/benchmark.h"

struct review_rules {
    bool partial;               /* what a run leaves out is counted, no error */
    bool strip_think;           /* replies begin behind their </think> */
};

struct review {
    size_t question;            /* ordinal */
    int64_t run, attempt;
    const char *reply;          /* NULL: the judge gave no text */
    const char *judge, *served; /* as asked for, as it calls itself; or NULL */
    double tuple[2];            /* LLaVA's own files: the pair they say was read; else NaN */
};

struct reviews {
    struct review *at;          /* by run, question, attempt; in the arena */
    size_t n, unknown;          /* unknown: lines of no question */
    int64_t *runs;              /* [n_runs] labels, rising */
    int n_runs;
    size_t missing;             /* pairs of question and run without a line */
    struct arena *arena;        /* that all of it lies in */
};

/* `ordinal` finds the question a line is about. Where attempts do not count (`attempts` false) each
 * line is attempt 0. Two lines for one question, run and attempt are ERR_DATA; a question that a
 * run leaves out is ERR_INCOMPLETE, or with partial counted. */
enum status reviews_read(struct questions *qs, const char *path, bool attempts,
                         const struct review_rules *rules,
                         size_t (*ordinal)(struct questions *qs, const struct json *id),
                         struct arena *a, struct reviews *out, struct err *e);

/* The reply of this question, pass and attempt, or NULL. */
const struct review *reviews_find(const struct reviews *r, size_t question, int pass, int attempt);

/* Who judged, as the lines say: "gpt-4-0613 as gpt-4, recorded"; "recorded" where they do not. */
const char *reviews_judge(const struct reviews *r, struct arena *a);

/* What a scorer reads of a judge's reply: all of it, or what follows the first </think> and white
 * space. NULL stays NULL. */
const char *review_text(const char *reply, bool strip_think);

/* Which pass a run is. */
int reviews_pass(const struct reviews *r, int64_t run);

/* The labels, copied into an arena that outlives the reviews; NULL when memory ran out. */
const int64_t *reviews_labels(const struct reviews *r, struct arena *a);

#endif
