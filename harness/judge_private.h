/* judge_private.h -- what judge.c (what to ask) and judge_ask.c (asking an endpoint) share. */
#ifndef HARNESS_JUDGE_PRIVATE_H
#define HARNESS_JUDGE_PRIVATE_H

#include "benchmarks/reviews.h"
#include "harness/chat.h"
#include "harness/judge.h"
#include "harness/judge_request.h"
#include "harness/say.h"

enum { JUDGE_MOST_NAMES = 16 };

struct judge {
    const struct options *o;
    enum { JUDGE_NOBODY, JUDGE_DEMO, JUDGE_RECORDED, JUDGE_ENDPOINT } kind;
    struct judge_manner manner;
    bool is_auto, was_refused;          /* --judge-profile: manner.reasoning may change; it has */
    bool keeps;                         /* the store is written, not only read */
    bool may_ask;                       /* calls are allowed, and nothing spoke against them yet */
    struct chat *chat;
    double spent, reserved;             /* cost so far; most that the calls under way can add */
    struct job *job;                    /* that is being asked now, for the log of failures */
    struct reviews recorded;            /* JUDGE_RECORDED: the replies, for one benchmark */
    int first_pass;
    struct { const struct benchmark *benchmark; int first_pass; } refreshed[8];   /* --judge-refresh */
    int n_refreshed;
    struct arena arena;
    const char *served[JUDGE_MOST_NAMES];   /* in the last judge_all, sorted */
    int n_served;
    const char *name;
};

/* One question in one pass. Its attempts are asked one after the other, the next one only when the
 * last reply cannot be read; all draws are independent of each other. */
struct draw {
    size_t question;
    int pass, attempt;                  /* pass: as stored */
    unsigned char request[SHA256_SIZE];
    struct mark *mark;
    bool reasoning;                     /* how it was sent last */
    int64_t prompt_tokens, most_tokens; /* estimates of the attempt to be asked */
    const char *missing;                /* why the judge gave no reply */
};

/* One judge_all. */
struct job {
    struct judge *j;
    const struct split *s;
    const char *const *replies;
    struct results *store;
    struct str *reviews;                /* what is stored is also written there; or NULL */
    struct arena keep, scratch;         /* for the whole job; for one request */
    struct draw *draws;
    size_t n;                           /* to be asked */
    struct progress progress;
    int under_way;
};

/* Goes through the attempts that are stored. True: *r is to be asked now; false: nothing is (the
 * mark stands), or e is set. */
bool judge_due(struct job *job, struct draw *d, struct judge_request *r, struct err *e);
/* Fills in the estimates of the attempt that is due. */
void judge_estimate(const struct judge *j, struct draw *d, const struct judge_request *r);
/* The row of this draw's attempt, without a reply yet. */
struct results_judgement judge_row(const struct job *job, const struct draw *d);

/* judge_ask.c */
enum status judge_open_endpoint(struct judge *j, enum status (*stopped)(void), struct err *e);
/* Says what the draws of the job would cost, and has them asked where that is allowed. */
enum status judge_by_endpoint(struct job *job, const char *label, size_t n_draws, struct err *e);

#endif
