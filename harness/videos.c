/* videos.c -- sorted by video, so that each is opened once: finding its frames reads all of it. */
#include "harness/videos.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "harness/frames.h"
#include "harness/say.h"
#include "harness/unpack.h"

struct due { struct video_frame frame; const char *png; };

struct videos {
    struct arena arena;         /* owns the questions and all names */
    struct questions questions;
    struct due *at;
    size_t n, n_without;
};

static int by_video(const void *a, const void *b)
{
    const struct due *x = a, *y = b;
    int order = strcmp(x->frame.video, y->frame.video);
    return order ? order : strcmp(x->png, y->png);
}

static enum status find(struct videos *v, const struct benchmark *b, const char *dir,
                        const char *split, struct err *e)
{
    struct questions *qs = &v->questions;
    *v = (struct videos){ .n = 0 };
    questions_init(qs, &v->arena, split);
    if (b->read(dir, split, qs, e) != OK)
        return e->code;
    v->at = arena_array(&v->arena, qs->n, sizeof *v->at);
    for (size_t i = 0; v->at && i < qs->n; i++) {
        struct due *due = &v->at[v->n];
        if (!qs->at[i].unasked)
            continue;
        due->png = qs->at[i].image;
        if (b->video_frame(dir, qs, i, &v->arena, &due->frame) &&
            unpack_safe_name(due->frame.video) && unpack_safe_name(due->png))
            v->n++;
        else
            v->n_without++;
    }
    if (qs->failed || v->arena.failed)
        return err_set(e, ERR_MEMORY, "%s: no memory for the questions", dir);
    if (v->n)
        qsort(v->at, v->n, sizeof *v->at, by_video);
    return OK;
}

static void let_go(struct videos *v)
{
    questions_free(&v->questions);
    arena_free(&v->arena);
}

/* The frames of one video, at[0..n). */
static enum status cut_one(const char *dir, const struct due *at, size_t n, struct arena *a,
                           size_t *done, struct err *e)
{
    struct frames *video = NULL;
    char folder[PATH_MAX];
    if (frames_open(&video, path_join(a, dir, at->frame.video), e) != OK)
        return e->code;
    int64_t count = frames_count(video);
    double per_second = frames_per_second(video);
    for (size_t i = 0; i < n && e->code == OK; i++) {
        const char *png = path_join(a, dir, at[i].png);
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(png, '/') - png), png);
        if (file_mkdirs(folder, e) == OK &&
            frames_write_png(video, at[i].frame.pick(&at[i].frame, count, per_second), png, e) == OK)
            ++*done;
    }
    frames_close(video);
    return e->code;
}

enum status videos_look(const struct benchmark *b, const char *dir, const char *split,
                        struct videos_report *out, struct err *e)
{
    struct videos v;
    *out = (struct videos_report){ 0 };
    if (find(&v, b, dir, split, e) == OK)
        *out = (struct videos_report){ v.n, v.n_without };
    let_go(&v);
    return e->code;
}

enum status videos_cut(const struct benchmark *b, const char *dir, const char *split,
                       enum status (*stopped)(void), struct videos_report *out, struct err *e)
{
    struct videos v;
    size_t done = 0, bad = 0;
    *out = (struct videos_report){ 0 };
    if (find(&v, b, dir, split, e) != OK) {
        let_go(&v);
        return e->code;
    }
    struct progress p = { .what = arena_fmt(&v.arena, "%s cuts frames", b->name), .total = v.n };
    for (size_t from = 0, to; from < v.n && stopped() == OK; from = to) {
        struct err one = { 0 };
        for (to = from; to < v.n && !strcmp(v.at[to].frame.video, v.at[from].frame.video); to++)
            ;
        cut_one(dir, v.at + from, to - from, &v.arena, &done, &one);
        if (one.code != OK && !bad++)
            err_set(e, one.code, "%s", one.text);
        p.done = to;
        say_progress(&p);
    }
    say_progress_clear();
    if (done)
        say_note("%s: %zu frames cut out of videos", b->name, done);
    if (bad > 1)
        err_in(e, "%zu videos could not be used, the first", bad);
    if (stopped() != OK) {
        err_clear(e);
        err_set(e, stopped(), "cutting frames was stopped by a signal");
    }
    *out = (struct videos_report){ 0, v.n_without + v.n - done };
    let_go(&v);
    return e->code;
}
