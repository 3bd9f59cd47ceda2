/* prepare.c -- a ring of image groups between worker threads and the takers.
 *
 * Group g lives in ring[g % ahead] from when a worker begins it until it is taken:
 *
 *       taken            ready or being made          not begun
 *     ---------- taking --------------------- begun -------------> n_groups
 *
 * Invariants: taking <= begun <= taking + ahead; a worker begins group `begun` and nobody else
 * writes its ring entry until `ready` is set; only a taker clears it. One lock guards all. */
#include "harness/prepare.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"

struct picture {
    struct llava_pixels pixels;
    atomic_int users;
};

struct group {
    struct prepared *items;     /* one for each question of the image */
    size_t n;
    bool ready;
};

struct prepare {
    struct prepare_job job;
    size_t *starts;             /* [n_groups + 1]: where each group begins in job.order */
    size_t n_groups;
    pthread_t *threads;
    int n_threads;
    struct group *ring;         /* [job.ahead] */

    pthread_mutex_t lock;
    pthread_cond_t may_begin, is_ready;
    size_t begun, taking;
    bool stopping;
};

const struct llava_pixels *picture_pixels(const struct picture *p)
{
    return &p->pixels;
}

void picture_release(struct picture *p)
{
    if (p && atomic_fetch_sub(&p->users, 1) == 1) {
        llava_pixels_free(&p->pixels);
        free(p);
    }
}

enum status prepare_prompt(const struct benchmark *b, const struct questions *qs, size_t i,
                           const struct prompt_set *prompts, const char *conversation,
                           bool use_im_start_end, struct arena *a, const char **text,
                           const char **prompt, struct err *e)
{
    const struct question *q = &qs->at[i];
    struct prompt_item item = question_item(q);
    enum prompt_format format = b->format_of ? b->format_of(qs->split) : b->format;

    *text = prompt_text(prompts, b->name, format, &item, a);
    if (conversation_render(conversation, *text, item.has_image, use_im_start_end,
                            prompt_set_image_last(prompts), a, prompt, e) != OK)
        return err_in(e, "%s %s", b->name, q->id);
    return a->failed ? err_set(e, ERR_MEMORY, "%s %s: no memory for the prompt", b->name, q->id)
                     : OK;
}

/* The picture of a question, with one user; NULL and e when it cannot be had. */
static struct picture *open_picture(const struct prepare_job *job, const struct question *q,
                                    struct err *e)
{
    struct file file = { NULL, 0 };
    void *bytes = NULL;
    size_t n = 0;
    struct arena a = { 0 };
    struct picture *p = calloc(1, sizeof *p);
    enum status s = OK;

    if (!p) {
        err_set(e, ERR_MEMORY, "%s: no memory for the picture", q->image);
        return NULL;
    }
    atomic_init(&p->users, 1);
    const char *path = path_join(&a, job->dir, q->image);
    if (job->benchmark->image) {
        s = job->benchmark->image(job->dir, q, &bytes, &n, e);
    } else {
        s = file_open(&file, path, ERR_DATA, e);
        n = file.n;
    }
    if (s == OK) {
        s = llava_preprocess(job->model, job->image_mode, bytes ? bytes : file.at, n, &p->pixels, e);
        if (s != OK)
            err_in(e, "%s", path);
    }
    file_close(&file);
    free(bytes);
    arena_free(&a);
    if (s != OK) {
        free(p);
        return NULL;
    }
    return p;
}

static void prepare_group(struct prepare *p, size_t g, struct group *group)
{
    const struct prepare_job *job = &p->job;
    const size_t *order = job->order + p->starts[g];
    size_t n = p->starts[g + 1] - p->starts[g];
    const struct question *first = &job->questions->at[order[0]];
    struct err picture_err = { 0 };
    struct picture *picture = first->image ? open_picture(job, first, &picture_err) : NULL;
    struct arena a = { 0 };

    for (size_t i = 0; i < n; i++) {
        struct prepared *item = &group->items[i];
        const char *text, *prompt;

        item->ordinal = order[i];
        if (picture_err.code != OK) {
            item->err = picture_err;
            continue;
        }
        arena_reset(&a);
        if (prepare_prompt(job->benchmark, job->questions, order[i], job->prompts,
                           job->conversation, llava_info(job->model)->use_im_start_end, &a, &text,
                           &prompt, &item->err) != OK ||
            llava_tokenize(job->model, prompt, &item->ids, &item->n_ids, &item->err) != OK)
            continue;
        if (picture)
            atomic_fetch_add(&picture->users, 1);
        item->picture = picture;
    }
    arena_free(&a);
    picture_release(picture);
}

static void *work(void *arg)
{
    struct prepare *p = arg;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stopping && p->begun < p->n_groups &&
               p->begun - p->taking >= (size_t)p->job.ahead)
            pthread_cond_wait(&p->may_begin, &p->lock);
        if (p->stopping || p->begun == p->n_groups)
            break;
        size_t g = p->begun++;
        struct group *group = &p->ring[g % (size_t)p->job.ahead];
        pthread_mutex_unlock(&p->lock);

        size_t n = p->starts[g + 1] - p->starts[g];
        struct prepared *items = calloc(n, sizeof *items);
        if (items) {
            group->items = items;
            prepare_group(p, g, group);
        }

        pthread_mutex_lock(&p->lock);
        group->n = n;
        group->ready = true;
        pthread_cond_broadcast(&p->is_ready);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum status prepare_start(struct prepare **out, const struct prepare_job *job, struct err *e)
{
    struct prepare *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p)
        return err_set(e, ERR_MEMORY, "no memory to prepare questions");
    p->job = *job;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->may_begin, NULL);
    pthread_cond_init(&p->is_ready, NULL);
    p->starts = calloc(job->n + 1, sizeof *p->starts);
    p->ring = calloc((size_t)job->ahead, sizeof *p->ring);
    p->threads = calloc((size_t)job->threads, sizeof *p->threads);
    if (!p->starts || !p->ring || !p->threads) {
        prepare_stop(p);
        return err_set(e, ERR_MEMORY, "no memory to prepare %zu questions", job->n);
    }
    for (size_t i = 0; i < job->n; i++)
        if (i == 0 || !questions_same_image(&job->questions->at[job->order[i - 1]],
                                            &job->questions->at[job->order[i]]))
            p->starts[p->n_groups++] = i;
    p->starts[p->n_groups] = job->n;
    while (p->n_threads < job->threads &&
           pthread_create(&p->threads[p->n_threads], NULL, work, p) == 0)
        p->n_threads++;
    if (p->n_threads == 0) {
        prepare_stop(p);
        return err_set(e, ERR_INTERNAL, "cannot start a thread to prepare questions");
    }
    *out = p;
    return OK;
}

bool prepare_ready(struct prepare *p)
{
    pthread_mutex_lock(&p->lock);
    bool ready = p->taking == p->n_groups || p->ring[p->taking % (size_t)p->job.ahead].ready;
    pthread_mutex_unlock(&p->lock);
    return ready;
}

bool prepare_next(struct prepare *p, struct prepared **items, size_t *n)
{
    struct group *group = NULL;
    pthread_mutex_lock(&p->lock);
    while (p->taking < p->n_groups &&
           !(group = &p->ring[p->taking % (size_t)p->job.ahead])->ready)
        pthread_cond_wait(&p->is_ready, &p->lock);
    bool found = p->taking < p->n_groups;
    if (found) {
        *items = group->items;
        *n = group->n;
        memset(group, 0, sizeof *group);
        p->taking++;
        pthread_cond_signal(&p->may_begin);
        pthread_cond_broadcast(&p->is_ready);               /* for the next one, or the end */
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

void prepare_stop(struct prepare *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->may_begin);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    for (int r = 0; p->ring && r < p->job.ahead; r++) {
        struct group *group = &p->ring[r];
        for (size_t i = 0; group->items && i < group->n; i++) {
            free(group->items[i].ids);
            picture_release(group->items[i].picture);
        }
        free(group->items);
    }
    pthread_cond_destroy(&p->is_ready);
    pthread_cond_destroy(&p->may_begin);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p->ring);
    free(p->starts);
    free(p);
}
