/* verbs.h -- one function per verb; main.c maps their status to the exit status. */
#ifndef HARNESS_VERBS_H
#define HARNESS_VERBS_H

#include "harness/options.h"

enum status verb_run(struct options *o, struct err *e);             /* verb_run.c */
enum status verb_export(struct options *o, struct err *e);          /* verb_export.c */
enum status verb_score(struct options *o, struct err *e);           /* score.c */
enum status verb_judge(struct options *o, struct err *e);           /* verb_judge.c */
enum status verb_merge(struct options *o, struct err *e);

enum status verb_fetch(struct options *o, struct err *e);           /* verb_data.c */
enum status verb_list(struct options *o, struct err *e);
enum status verb_describe(struct options *o, struct err *e);
enum status verb_show(struct options *o, struct err *e);

enum status verb_leaderboard(struct options *o, struct err *e);     /* verb_results.c */
enum status verb_report(struct options *o, struct err *e);
/* The table, after a verb that ended with this status; returns it. */
enum status then_leaderboard(struct options *o, enum status status);
enum status verb_compare(struct options *o, struct err *e);         /* verb_compare.c */

enum status verb_doctor(struct options *o, struct err *e);          /* verb_doctor.c */

enum status verb_ask(struct options *o, struct err *e);             /* verb_model.c */
enum status verb_inspect(struct options *o, struct err *e);
enum status verb_bench(struct options *o, struct err *e);

#endif
