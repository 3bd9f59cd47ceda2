/* prepare.c -- what the worker threads of ahead.c make here: the questions about one image, each with
 * its token ids, and the image's pixels. */
#include "harness/prepare.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/file.h"
#include "harness/ahead.h"

struct picture {
    struct llava_pixels pixels;
    atomic_int users;
};

struct prepare {
    struct prepare_job job;
    size_t *starts;             /* [n_groups + 1]: where each group begins in job.order */
    size_t n_groups;
    struct ahead *ahead;
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

static size_t group_size(const struct prepare *p, size_t g)
{
    return p->starts[g + 1] - p->starts[g];
}

/* The questions about the g-th image. */
static void *prepare_group(void *user, size_t g)
{
    const struct prepare *p = user;
    const struct prepare_job *job = &p->job;
    const size_t *order = job->order + p->starts[g];
    const struct question *first = &job->questions->at[order[0]];
    size_t n = group_size(p, g);
    struct prepared *items = calloc(n, sizeof *items);
    struct err picture_err = { 0 };
    struct arena a = { 0 };

    if (!items)
        return NULL;
    struct picture *picture = first->image ? open_picture(job, first, &picture_err) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct prepared *item = &items[i];
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
    return items;
}

static void drop_group(void *user, size_t g, void *made)
{
    const struct prepare *p = user;
    struct prepared *items = made;
    for (size_t i = 0; i < group_size(p, g); i++) {
        free(items[i].ids);
        picture_release(items[i].picture);
    }
    free(items);
}

enum status prepare_start(struct prepare **out, const struct prepare_job *job, struct err *e)
{
    struct prepare *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p || !(p->starts = calloc(job->n + 1, sizeof *p->starts))) {
        prepare_stop(p);
        return err_set(e, ERR_MEMORY, "no memory to prepare %zu questions", job->n);
    }
    p->job = *job;
    for (size_t i = 0; i < job->n; i++)
        if (i == 0 || !questions_same_image(&job->questions->at[job->order[i - 1]],
                                            &job->questions->at[job->order[i]]))
            p->starts[p->n_groups++] = i;
    p->starts[p->n_groups] = job->n;
    struct ahead_job work = { .n = p->n_groups, .ahead = job->ahead, .make = prepare_group,
                              .drop = drop_group, .user = p };
    if (ahead_start(&p->ahead, &work, e) != OK) {
        prepare_stop(p);
        return e->code;
    }
    *out = p;
    return OK;
}

bool prepare_ready(struct prepare *p)
{
    return ahead_ready(p->ahead);
}

bool prepare_next(struct prepare *p, struct prepared **items, size_t *n)
{
    size_t g;
    void *made;
    if (!ahead_next(p->ahead, &g, &made))
        return false;
    *items = made;
    *n = group_size(p, g);
    return true;
}

void prepare_stop(struct prepare *p)
{
    if (!p)
        return;
    ahead_stop(p->ahead);
    free(p->starts);
    free(p);
}
