/* judge.h -- replies -> marks, by a judge: a chat endpoint, recorded replies of one, or the
 * demonstration's word overlap.
 *
 * A judge's reply is measured data: stored as it came, never replaced, asked for once. A call that
 * failed is missing, never a score. Who judged is part of the score. */
#ifndef HARNESS_JUDGE_H
#define HARNESS_JUDGE_H

#include "harness/run.h"

struct judge;

/* The judge the options name; none is fine: then nothing is judged. Borrows o. stopped: not OK ends
 * the asking with this status. */
enum status judge_open(struct judge **out, const struct options *o, enum status (*stopped)(void),
                       struct err *e);
void judge_close(struct judge *j);              /* NULL is fine */

/* How often this judge judges the split's whole set: the first extent of marks. Reads the recorded
 * replies, if it is they who judge. */
enum status judge_passes(struct judge *j, struct split *s, int *passes, struct err *e);

/* Marks [passes][questions] of the selection's replies (NULL: missing): from the store, and what is
 * not there yet from the judge. Calls and cost are said first, and need a yes unless the endpoint
 * is this machine. What stays without judgement has its mark missing, and is said. The verbs score and
 * merge and --offline only read the store, --dry-run only says what would be asked. label: the model's
 * name, for messages. store: NULL with the demonstration's judge only. */
enum status judge_all(struct judge *j, struct split *s, const char *label,
                      const char *const *replies, struct results *store, struct mark *marks,
                      struct err *e);

/* Appends the judge's stored replies as a reviews file, which score --reviews reads: a line for
 * each question, pass and attempt. *missing: judgements that the store has not. Asks nobody. */
enum status judge_export(struct judge *j, struct split *s, const char *const *replies,
                         struct results *store, struct str *out, size_t *missing, struct err *e);

/* The name that the marks of the last judge_all carry: the served model's, the one asked for where
 * it differs, and whatever else makes the figures another judge's. NULL: nothing was judged. */
const char *judge_name(const struct judge *j);

#endif
