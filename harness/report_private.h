/* report_private.h -- what report.c (scores, comparison) and report_answers.c (the browser's data)
 * share.
 *
 * All data goes out as scripts that call one function with JSON: a page opened from file:// may load
 * scripts, and nothing else. The page makes text of it, never markup. */
#ifndef HARNESS_REPORT_PRIVATE_H
#define HARNESS_REPORT_PRIVATE_H

#include "harness/judge.h"

enum { REPORT_SIDES = 32, REPORT_SETS = 64, REPORT_CHUNK = 100, REPORT_FILE_LIMIT = 1 << 30 };

struct report_side { const char *model, *connector, *prompts, *title; };

struct report_set {                         /* one split */
    const struct benchmark *benchmark;
    const char *split, *name;               /* name: of its folder, "pope-test" */
    const struct results_run_row *run[REPORT_SIDES];    /* the newest of each side, or NULL */
    const char *judge;                      /* of the stored scores, or NULL */
    size_t n_answers;                       /* questions in the browser */
};

struct report {
    struct options *o;
    const char *part;                       /* the folder while it is made */
    struct results *store;
    struct results_run_row *runs;
    struct results_score_row *scores;
    size_t n_runs, n_scores;
    struct report_side sides[REPORT_SIDES];
    struct report_set sets[REPORT_SETS];
    int n_sides, n_sets;
    struct arena arena;
};

/* Writes part/path: "FUNCTION(JSON);\n". '<' goes out as \u003c: such a text stays text even where
 * somebody puts the script into a page. */
enum status report_script(const struct report *r, const char *path, const char *function,
                          const struct str *json, struct err *e);

/* The options by which this set's replies are judged: the judge named on the command line, the
 * demonstration's where it judged. False: nobody can say (or nobody need). */
bool report_judge(const struct report *r, const struct report_set *set, struct options *judging);

/* Adds "key":"text", or null. */
void report_text(struct str *out, const char *key, const char *text);

/* Writes the answers of one split, if its files are there; what is left out is said. */
enum status report_answers(struct report *r, struct report_set *set, struct err *e);

#endif
