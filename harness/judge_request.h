/* judge_request.h -- what a judge is sent, and by what name that is known for ever.
 *
 *     request = SHA-256 of {"base","model","profile","messages","temperature","cap", ...}
 *
 * An answer, a rule or a judge that changes is a new request; what stays the same is read from the
 * store, across runs and models. Pass and attempt stand beside it: every call is a draw. */
#ifndef HARNESS_JUDGE_REQUEST_H
#define HARNESS_JUDGE_REQUEST_H

#include "benchmarks/benchmark.h"
#include "engine/base/sha256.h"

struct judge_manner {           /* how requests are put; all of it is part of their identity */
    const char *base, *model;   /* address, or what stands for one */
    bool reasoning;             /* no temperature, and a high limit */
    bool merge_system;          /* the system text in front of the user's */
    bool strip_think;           /* replies are read behind their </think> */
    const char *label;          /* what the user knows of the judge, or NULL */
};

/* The body of the POST. */
void judge_request_body(const struct judge_manner *m, const struct judge_request *r, struct str *out);
enum status judge_request_hash(const struct judge_manner *m, const struct judge_request *r,
                               unsigned char out[SHA256_SIZE], struct err *e);

/* Estimates, in tokens: what is sent, what a reply may take, what one usually takes. */
int64_t judge_prompt_tokens(const struct judge_request *r);
int64_t judge_most_tokens(const struct judge_manner *m, const struct judge_request *r);
int64_t judge_usual_tokens(const struct judge_manner *m, int64_t most);

#endif
