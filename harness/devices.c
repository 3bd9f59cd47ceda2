/* devices.c -- threads around engines; one lock.
 *
 *                 next_group()             llava_submit, llava_step             devices_take()
 *     prepare ---------------------> thread of a device: its open jobs ---------------------> main
 *                       ^                       | it failed
 *                       +--- returned <---------+
 *
 * A job is in exactly one list: a device's open ones, `returned` or `answered`. `out` counts those
 * that are open or returned, `fetching` the threads that are within next_group(): when the feed has
 * ended and both are 0, all is done. */
#include "harness/devices.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEVICES_MAX = 64, NAME_SIZE = 64 };

struct engine {                 /* belongs to its thread while that runs */
    struct devices *all;
    char name[NAME_SIZE];       /* as llava_open takes it */
    struct llava *model;
    struct llava_options options;
    const char *path;
    pthread_t thread;
    bool running, failed, told;
    atomic_bool working;        /* its thread takes groups */
    struct job *open;
    atomic_size_t n_open;       /* the others look at it too */
    struct err e;
};

struct devices {
    struct engine engine[DEVICES_MAX];
    int n;
    char about[160];
    next_group *next;
    void *user;

    pthread_mutex_t lock;       /* guards what follows, and failed, told of the engines */
    pthread_cond_t changed;
    struct job *returned, *answered, **answered_end;
    size_t out, fetching;       /* jobs that engines have; threads within next() */
    int alive;
    bool ended, stopping;
    struct err e;               /* what ended the work */
};

/* ---- opening -------------------------------------------------------------------------------- */

/* "cuda:0,1" to names of one device each; anything else is one name. */
static enum status list_names(struct devices *d, const char *device, struct err *e)
{
    const char *numbers = strncmp(device, "cuda:", 5) ? NULL : device + 5;
    d->n = 0;
    if (!numbers || !strchr(numbers, ',')) {
        snprintf(d->engine[d->n++].name, NAME_SIZE, "%s", device);
        return OK;
    }
    for (const char *p = numbers; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        if (n == 0 || n > 4 || d->n == DEVICES_MAX)
            return err_set(e, ERR_USAGE, "--device %s: expected up to %d numbers, as in cuda:0,1",
                           device, DEVICES_MAX);
        snprintf(d->engine[d->n].name, NAME_SIZE, "cuda:%.*s", (int)n, p);
        for (int i = 0; i < d->n; i++)
            if (!strcmp(d->engine[i].name, d->engine[d->n].name))
                return err_set(e, ERR_USAGE, "--device %s: %s twice", device, d->engine[i].name);
        d->n++;
        p += n;
    }
    return OK;
}

static void *open_engine(void *user)
{
    struct engine *g = user;
    llava_open(&g->model, g->path, &g->options, &g->e);
    return NULL;
}

enum status devices_open(struct devices **out, const char *path, const struct llava_options *o,
                         struct err *e)
{
    struct devices *d = *out = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_MEMORY, "no memory for devices");
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    d->answered_end = &d->answered;
    list_names(d, o->device ? o->device : "auto", e);
    for (int i = 0; i < d->n; i++) {
        struct engine *g = &d->engine[i];
        g->all = d;
        g->path = path;
        g->options = *o;
        g->options.device = g->name;
        if (i)
            g->options.weights_sha256 = "";                 /* the first one's counts */
        g->running = e->code == OK && i && pthread_create(&g->thread, NULL, open_engine, g) == 0;
    }
    for (int i = 0; i < d->n; i++) {
        struct engine *g = &d->engine[i];
        if (g->running)
            pthread_join(g->thread, NULL);
        else if (e->code == OK)
            open_engine(g);
        g->running = false;
        if (g->e.code != OK)
            err_set(e, g->e.code, "%s", g->e.text);
    }
    if (e->code != OK) {
        devices_close(d);
        *out = NULL;
        return e->code;
    }
    const char *about = llava_info(d->engine[0].model)->device;
    if (d->n > 1)
        snprintf(d->about, sizeof d->about, "%d x %s", d->n, about);
    else
        snprintf(d->about, sizeof d->about, "%s", about);
    return OK;
}

void devices_close(struct devices *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->n; i++)
        llava_close(d->engine[i].model);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

const struct llava *devices_model(const struct devices *d, int i)
{
    return i < d->n ? d->engine[i].model : NULL;
}

const char *devices_describe(const struct devices *d)
{
    return d->about;
}

/* ---- a device's thread ---------------------------------------------------------------------- */

static void answer(struct devices *d, struct job *j)        /* with the lock held */
{
    j->next = NULL;
    *d->answered_end = j;
    d->answered_end = &j->next;
    pthread_cond_broadcast(&d->changed);
}

static void push_open(struct engine *g, struct job *j)
{
    j->next = g->open;
    j->link = &g->open;
    if (g->open)
        g->open->link = &j->next;
    g->open = j;
    g->n_open++;
}

static void pop_open(struct engine *g, struct job *j)
{
    *j->link = j->next;
    if (j->next)
        j->next->link = j->link;
    g->n_open--;
}

static void on_done(void *user, const struct llava_reply *r)
{
    struct job *j = user;
    struct engine *g = j->engine;
    struct devices *d = g->all;
    j->text = strdup(r->text);
    j->finish = r->finish;
    j->prompt_tokens = r->prompt_tokens;
    j->reply_tokens = (int)r->n_ids;
    j->cut = r->cut;
    j->ms = r->ms;
    pop_open(g, j);
    pthread_mutex_lock(&d->lock);
    d->out--;
    answer(d, j);
    pthread_mutex_unlock(&d->lock);
}

/* Will there be more answers? Also where the feed has ended for one thread while another still takes the
 * last group from it. With the lock held. */
static bool is_more(const struct devices *d)
{
    return d->e.code == OK && (!d->ended || d->out || d->fetching);
}

/* The jobs at the head of `returned` that are about one image. With the lock held. */
static struct job *take_returned(struct devices *d)
{
    struct job *first = d->returned, *last = first;
    while (last && last->next && last->next->request.image == first->request.image)
        last = last->next;
    if (last) {
        d->returned = last->next;
        last->next = NULL;
    }
    return first;
}

/* A group from the feed. What is in it that cannot be asked comes back at once. */
static struct job *take_next(struct devices *d, bool wait)
{
    bool end = false;
    struct err e = { 0 };
    pthread_mutex_lock(&d->lock);
    d->fetching++;
    pthread_mutex_unlock(&d->lock);
    struct job *group = d->next(d->user, wait, &end, &e), *ask = NULL, **tail = &ask;
    pthread_mutex_lock(&d->lock);
    d->fetching--;
    d->ended |= end;
    if (e.code != OK && d->e.code == OK)
        d->e = e;
    for (struct job *j = group, *next; j; j = next) {
        next = j->next;
        j->next = NULL;
        if (j->text) {
            answer(d, j);
        } else {
            d->out++;
            *tail = j;
            tail = &j->next;
        }
    }
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return ask;
}

/* What to do next: a group; or NULL, with *idle where the engine has nothing open and there will be
 * nothing more. `wait`: there is nothing else to do. */
static struct job *find_work(struct devices *d, bool wait, bool *idle)
{
    for (;;) {
        pthread_mutex_lock(&d->lock);
        struct job *group = take_returned(d);
        while (!group && wait && is_more(d) && d->ended && !d->stopping) {
            pthread_cond_wait(&d->changed, &d->lock);       /* another device may hand back */
            group = take_returned(d);
        }
        bool ended = d->ended, over = d->stopping || d->e.code != OK;
        pthread_mutex_unlock(&d->lock);
        *idle = !group && wait && (ended || over);
        if (group || ended || over || (group = take_next(d, wait)) || !wait)
            return group;
    }
}

/* The device failed: its open jobs are the others'. The last one's failure ends the work. */
static void hand_back(struct engine *g, const struct err *e)
{
    struct devices *d = g->all;
    pthread_mutex_lock(&d->lock);
    g->e = *e;
    g->failed = true;
    while (g->open) {                                       /* newest first: so they come out oldest */
        struct job *j = g->open;                            /* first                                 */
        pop_open(g, j);
        j->next = d->returned;
        d->returned = j;
    }
    if (--d->alive == 0 && d->e.code == OK)
        d->e = *e;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* Wants it more, and may it have it? One that has more open than another leaves the next group to
 * that one: so the last questions are shared out, and not in the queue of whoever came first. */
static bool has_appetite(const struct engine *g)
{
    const struct devices *d = g->all;
    size_t open = g->n_open;
    for (int i = 0; open && i < d->n; i++)
        if (d->engine[i].working && d->engine[i].n_open < open)
            return false;
    return open < llava_appetite(g->model);
}

static void submit(struct engine *g, struct job *group, struct err *e)
{
    for (struct job *j = group, *next; j; j = next) {
        next = j->next;
        j->engine = g;
        j->request.done = on_done;
        j->request.user = j;
        push_open(g, j);
        if (e->code == OK)
            llava_submit(g->model, &j->request, e);
    }
}

static void *work(void *user)
{
    struct engine *g = user;
    struct devices *d = g->all;
    struct err e = { 0 };
    bool idle = false;
    while (e.code == OK && !idle) {
        while (e.code == OK && !idle && has_appetite(g)) {
            struct job *group = find_work(d, g->n_open == 0, &idle);
            if (!group)
                break;
            submit(g, group, &e);
        }
        pthread_mutex_lock(&d->lock);
        bool over = d->stopping || d->e.code != OK;
        pthread_mutex_unlock(&d->lock);
        if (over)
            break;
        size_t open = 0;
        if (e.code == OK && g->n_open)
            llava_step(g->model, &open, &e);
    }
    g->working = false;
    if (e.code != OK)
        hand_back(g, &e);
    return NULL;
}

/* ---- the main thread's side ----------------------------------------------------------------- */

enum status devices_start(struct devices *d, next_group *next, void *user, struct err *e)
{
    d->next = next;
    d->user = user;
    d->ended = d->stopping = false;
    d->e = (struct err){ 0 };
    d->alive = 0;
    for (int i = 0; i < d->n; i++)
        d->alive += !d->engine[i].failed;
    for (int i = 0; i < d->n; i++) {
        struct engine *g = &d->engine[i];
        if (g->failed)
            continue;
        g->working = true;
        g->running = pthread_create(&g->thread, NULL, work, g) == 0;
        if (!g->running)
            return err_set(e, ERR_INTERNAL, "cannot start a thread for %s", g->name);
    }
    return d->alive ? OK : err_set(e, d->engine[0].e.code, "%s", d->engine[0].e.text);
}

static void wait_a_little(struct devices *d)                /* with the lock held */
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&d->changed, &d->lock, &until);
}

static struct job *take_answered(struct devices *d)         /* with the lock held */
{
    struct job *list = d->answered;
    d->answered = NULL;
    d->answered_end = &d->answered;
    return list;
}

bool devices_take(struct devices *d, struct job **out, struct err *e)
{
    pthread_mutex_lock(&d->lock);
    if (!d->answered && is_more(d))
        wait_a_little(d);
    *out = take_answered(d);
    bool more = *out || is_more(d);
    if (!more && d->e.code != OK)
        err_set(e, d->e.code, "%s", d->e.text);
    pthread_mutex_unlock(&d->lock);
    return more;
}

bool devices_failure(struct devices *d, char *text, size_t size)
{
    bool found = false;
    pthread_mutex_lock(&d->lock);
    for (int i = 0; i < d->n && !found; i++) {
        struct engine *g = &d->engine[i];
        found = g->failed && !g->told && d->alive;
        if (found) {
            snprintf(text, size, "%s: its questions go to the other devices", g->e.text);
            g->told = true;
        }
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

void devices_stop(struct devices *d, struct job **answered, struct job **unanswered)
{
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; i < d->n; i++) {
        struct engine *g = &d->engine[i];
        if (g->running)
            pthread_join(g->thread, NULL);
        g->running = false;
    }
    *unanswered = d->returned;
    d->returned = NULL;
    for (int i = 0; i < d->n; i++)
        while (d->engine[i].open) {
            struct job *j = d->engine[i].open;
            pop_open(&d->engine[i], j);
            j->next = *unanswered;
            *unanswered = j;
        }
    d->out = 0;
    *answered = take_answered(d);
}
