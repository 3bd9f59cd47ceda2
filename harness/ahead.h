/* ahead.h -- worker threads that make things ahead of who takes them.
 *
 * Things are numbered from 0 and come out in that order, whatever the number of threads. At most
 * `ahead` of them are in the making or wait to be taken: that bounds their memory. */
#ifndef HARNESS_AHEAD_H
#define HARNESS_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include "engine/base/err.h"

struct ahead_job {
    size_t n;
    int ahead;                              /* at least 1 */
    int threads;                            /* 0: as many as there are cores to run on, up to 16 */
    void *(*make)(void *user, size_t i);    /* on a worker thread; NULL: no memory */
    void (*drop)(void *user, size_t i, void *made);         /* what nobody took; never NULL */
    void *user;
};

struct ahead;
enum status ahead_start(struct ahead **out, const struct ahead_job *job, struct err *e);
/* Waits for the next thing and its number; false at the end. Any thread, several at a time. */
bool ahead_next(struct ahead *a, size_t *i, void **made);
/* True when ahead_next would not have to wait (or is at its end). */
bool ahead_ready(struct ahead *a);
int  ahead_threads(const struct ahead *a);
void ahead_stop(struct ahead *a);           /* joins the threads, drops what was not taken; NULL is fine */

#endif
