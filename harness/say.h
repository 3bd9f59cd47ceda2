/* say.h -- the only writer to stderr: errors, warnings, notes, progress. Results go to stdout. */
#ifndef HARNESS_SAY_H
#define HARNESS_SAY_H

#include <stdint.h>
#include "engine/base/err.h"

/* quiet: errors only. verbose: notes of level <= verbose. Called once, by main. */
void say_setup(bool quiet, int verbose, bool color);

void say_error(const char *format, ...) PRINTF_LIKE(1, 2);      /* "llava-eval: error: ..." */
void say_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void say_note(const char *format, ...) PRINTF_LIKE(1, 2);
void say_detail(const char *format, ...) PRINTF_LIKE(1, 2);     /* with -v only */

/* One line per job: a terminal's line is redrawn ten times a second at most; elsewhere a plain
 * line every few seconds. Safe to call for every item. Other messages do not tear the line. */
struct progress {
    const char *what;           /* "pope tiny-mlp" */
    uint64_t done, total;       /* questions, or bytes with is_bytes */
    bool is_bytes;
    double tokens_per_s;        /* 0: not shown */
    const char *score_name;     /* "f1", or NULL: no running score */
    double score;
};
void say_progress(const struct progress *p);
void say_progress_end(const struct progress *p);        /* the final state, as one plain line */
void say_progress_clear(void);                          /* an end without a last word */

#endif
