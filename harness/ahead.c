/* ahead.c -- a ring between worker threads and the takers.
 *
 * Thing i lives in ring[i % ahead] from when a worker begins it until it is taken:
 *
 *       taken            ready or being made          not begun
 *     ---------- taking --------------------- begun -------------> n
 *
 * Invariants: taking <= begun <= taking + ahead; a worker begins thing `begun` and nobody else
 * writes its ring entry until `ready` is set; only a taker clears it. One lock guards all. */
#include "harness/ahead.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { THREADS_MAX = 16 };

struct slot { void *made; bool ready; };

struct ahead {
    struct ahead_job job;
    pthread_t *threads;
    int n_threads;
    struct slot *ring;          /* [job.ahead] */

    pthread_mutex_t lock;
    pthread_cond_t may_begin, is_ready;
    size_t begun, taking;
    bool stopping;
};

static struct slot *slot_of(struct ahead *a, size_t i)
{
    return &a->ring[i % (size_t)a->job.ahead];
}

static void *work(void *arg)
{
    struct ahead *a = arg;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->stopping && a->begun < a->job.n &&
               a->begun - a->taking >= (size_t)a->job.ahead)
            pthread_cond_wait(&a->may_begin, &a->lock);
        if (a->stopping || a->begun == a->job.n)
            break;
        size_t i = a->begun++;
        pthread_mutex_unlock(&a->lock);
        void *made = a->job.make(a->job.user, i);
        pthread_mutex_lock(&a->lock);
        *slot_of(a, i) = (struct slot){ made, true };
        pthread_cond_broadcast(&a->is_ready);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* One for each core that this process may run on: a batch system gives it some of the machine's. */
static int threads_here(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : THREADS_MAX;
    return n < THREADS_MAX ? n : THREADS_MAX;
}

enum status ahead_start(struct ahead **out, const struct ahead_job *job, struct err *e)
{
    struct ahead *a = calloc(1, sizeof *a);
    int most = job->threads ? job->threads : threads_here();

    *out = NULL;
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for worker threads");
    a->job = *job;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->may_begin, NULL);
    pthread_cond_init(&a->is_ready, NULL);
    a->ring = calloc((size_t)job->ahead, sizeof *a->ring);
    a->threads = calloc((size_t)most, sizeof *a->threads);
    if (!a->ring || !a->threads) {
        ahead_stop(a);
        return err_set(e, ERR_MEMORY, "no memory for worker threads");
    }
    while (a->n_threads < most && pthread_create(&a->threads[a->n_threads], NULL, work, a) == 0)
        a->n_threads++;
    if (a->n_threads == 0) {
        ahead_stop(a);
        return err_set(e, ERR_INTERNAL, "cannot start a worker thread");
    }
    *out = a;
    return OK;
}

bool ahead_ready(struct ahead *a)
{
    pthread_mutex_lock(&a->lock);
    bool ready = a->taking == a->job.n || slot_of(a, a->taking)->ready;
    pthread_mutex_unlock(&a->lock);
    return ready;
}

bool ahead_next(struct ahead *a, size_t *i, void **made)
{
    pthread_mutex_lock(&a->lock);
    while (a->taking < a->job.n && !slot_of(a, a->taking)->ready)
        pthread_cond_wait(&a->is_ready, &a->lock);
    bool found = a->taking < a->job.n;
    if (found) {
        struct slot *slot = slot_of(a, a->taking);
        *i = a->taking++;
        *made = slot->made;
        *slot = (struct slot){ NULL, false };
        pthread_cond_signal(&a->may_begin);
        pthread_cond_broadcast(&a->is_ready);               /* for the next one, or the end */
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

int ahead_threads(const struct ahead *a)
{
    return a->n_threads;
}

void ahead_stop(struct ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_broadcast(&a->may_begin);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; i < a->n_threads; i++)
        pthread_join(a->threads[i], NULL);
    for (size_t i = a->taking; i < a->begun; i++)
        if (slot_of(a, i)->made)
            a->job.drop(a->job.user, i, slot_of(a, i)->made);
    pthread_cond_destroy(&a->is_ready);
    pthread_cond_destroy(&a->may_begin);
    pthread_mutex_destroy(&a->lock);
    free(a->threads);
    free(a->ring);
    free(a);
}
