/* scheduler.c -- image-major, first come first served, one pass per kind of row.
 *
 * All questions of a benchmark are known beforehand and come sorted by picture, so there is nothing
 * to search: a list of groups in order of submission, of which a leading part has slots. A question
 * reserves the columns of its longest possible reply when it takes a lane, so one that runs can
 * never be pushed out; nothing is evicted but the stem, which nobody waits for: no deadlock. */
#include "engine/scheduler.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum status scheduler_open(struct scheduler *s, const struct limits *l, struct err *e)
{
    *s = (struct scheduler){ .limits = *l };
    s->plan.segment = calloc((size_t)l->rows, sizeof *s->plan.segment);
    s->plan.copy = calloc((size_t)l->rows, sizeof *s->plan.copy);
    s->plan.encode = calloc(2 * (size_t)l->pictures, sizeof *s->plan.encode);
    if (!s->plan.segment || !s->plan.copy || !s->plan.encode ||
        kvpool_open(&s->pool, l->columns, e) != OK) {
        scheduler_close(s);
        return err_set(e, ERR_MEMORY, "no memory to plan steps of %d rows", l->rows);
    }
    return OK;
}

void scheduler_close(struct scheduler *s)
{
    for (struct group *g = s->groups, *next; g; g = next) {
        next = g->next;
        free(g);
    }
    free(s->plan.segment);
    free(s->plan.copy);
    free(s->plan.encode);
    kvpool_close(&s->pool);
    *s = (struct scheduler){ 0 };
}

bool scheduler_fits(const struct scheduler *s, int n_prefix, int n_columns)
{
    return (int64_t)n_prefix + n_columns + 2 * KV_ALIGN <= INT32_MAX &&
           kv_aligned(n_prefix) + kv_aligned(n_columns) <= s->limits.columns / KV_ALIGN * KV_ALIGN;
}

static void release_place(struct scheduler *s, struct group *g)
{
    if (g->place >= 0)
        s->half_users[g->place / s->limits.pictures]--;
    g->place = -1;
}

static void release_group(struct scheduler *s, struct group *g)
{
    assert(g->open == 0 && g != s->waiting);
    struct group **link = &s->groups;
    while (*link != g)
        link = &(*link)->next;
    *link = g->next;
    release_place(s, g);
    kvpool_give(&s->pool, g->base, g->slot_columns);
    free(g);
}

static bool may_join(const struct group *g, const struct question *q, const struct prefix *p)
{
    return g && g->shared && p && !memcmp(g->prefix.key, p->key, KEY_SIZE) &&
           g->prefix.n_rows == p->n_rows &&
           (g->base < 0 || kv_aligned(q->n_columns) <= g->lane_columns);
}

enum status scheduler_add(struct scheduler *s, struct question *q, const struct prefix *prefix,
                          struct err *e)
{
    assert(q->n_rows > 0 && q->n_columns >= q->n_rows);
    assert(!prefix || prefix->n_stem < prefix->n_rows);
    assert(scheduler_fits(s, prefix ? prefix->n_rows : 0, q->n_columns));
    struct group *g = s->newest;
    if (!may_join(g, q, prefix)) {
        struct group *made = calloc(1, sizeof *made);
        if (!made)
            return err_set(e, ERR_MEMORY, "no memory for a group of questions");
        *made = (struct group){ .shared = prefix, .first = q, .place = -1, .base = -1 };
        if (prefix)
            made->prefix = *prefix;
        made->waiting_end = &made->waiting;
        if (g)
            g->next = made;
        else
            s->groups = made;
        if (!s->waiting)
            s->waiting = made;
        s->newest = made;
        if (g && !g->open)                                  /* nobody can join it any more */
            release_group(s, g);
        g = made;
    }
    if (g->base < 0 && kv_aligned(q->n_columns) > g->lane_columns)
        g->lane_columns = kv_aligned(q->n_columns);
    g->open++;
    q->group = g;
    q->known = q->n_rows;
    q->computed = q->now = 0;
    q->next = NULL;
    *g->waiting_end = q;
    g->waiting_end = &q->next;
    return OK;
}

void scheduler_token(struct scheduler *s, struct question *q)
{
    (void)s;
    assert(q->computed == q->known && q->known < q->n_columns);
    q->known++;
}

void scheduler_finish(struct scheduler *s, struct question *q)
{
    struct group *g = q->group;
    struct question **link = &g->running;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    g->lanes_used &= ~(UINT64_C(1) << q->lane);
    g->open--;
    s->running--;
    if (!g->open && g != s->newest)
        release_group(s, g);
}

static void drop_stem(struct scheduler *s)
{
    assert(!s->stem.used);
    if (s->stem.n)
        kvpool_give(&s->pool, s->stem.base, kv_aligned(s->stem.n));
    s->stem = (struct stem){ .n = 0 };
}

/* Gives the first waiting group its slot; NULL: none waits, or it does not fit now. A lane for each
 * of its questions is best; but not more than half of the cache where one lane allows it, so that
 * the next group's prefix is computed while this one's replies are. */
static struct group *admit(struct scheduler *s)
{
    struct group *g = s->waiting;
    if (!g)
        return NULL;
    int lanes = g->open < GROUP_LANES ? g->open : GROUP_LANES;
    int prefix = kv_aligned(g->prefix.n_rows), most = s->limits.columns / 2;
    while (lanes > 1 && (int64_t)prefix + (int64_t)lanes * g->lane_columns > most)
        lanes--;
    g->slot_columns = prefix + lanes * g->lane_columns;
    g->base = kvpool_take(&s->pool, g->slot_columns);
    if (g->base < 0 && g == s->groups) {                    /* only the stem can be in its way */
        drop_stem(s);
        g->base = kvpool_take(&s->pool, g->slot_columns);
    }
    if (g->base < 0)
        return NULL;
    g->n_lanes = lanes;
    s->waiting = g->next;
    return g;
}

/* A half is filled in one go: with g and the waiting groups that follow it. */
static bool find_place(struct scheduler *s, struct group *g)
{
    if (!g->shared || g->place >= 0)
        return true;
    int n = s->limits.pictures, half = s->half_users[0] ? 1 : 0;
    if (s->half_users[half])
        return false;
    for (; g && s->half_users[half] < n; g = g->next)
        if (g->shared && g->place < 0) {
            g->place = half * n + s->half_users[half]++;
            s->plan.encode[s->plan.n_encode++] = g;
        }
    return true;
}

/* Seats waiting questions of a group in its free lanes. */
static void seat(struct scheduler *s, struct group *g)
{
    struct question **end = &g->running;
    while (*end)
        end = &(*end)->next;
    for (int lane = 0; lane < g->n_lanes && g->waiting && s->running < s->limits.running; lane++) {
        if (g->lanes_used >> lane & 1)
            continue;
        struct question *q = g->waiting;
        g->waiting = q->next;
        if (!g->waiting)
            g->waiting_end = &g->waiting;
        q->next = NULL;
        q->lane = lane;
        g->lanes_used |= UINT64_C(1) << lane;
        s->running++;
        *end = q;
        end = &q->next;
    }
}

/* The three kinds of work; each takes what it can of `room` rows and returns what is left. */
static int plan_replies(struct group *g, int room)
{
    for (struct question *q = g->running; q && room; q = q->next)
        if (q->computed >= q->n_rows && q->computed < q->known) {
            q->now = 1;
            room--;
        }
    return room;
}

static int plan_questions(struct scheduler *s, struct group *g, int room)
{
    seat(s, g);
    for (struct question *q = g->running; q && room; q = q->next)
        if (q->computed < q->n_rows && !q->now) {
            int left = q->n_rows - q->computed;
            q->now = left < room ? left : room;
            room -= q->now;
        }
    return room;
}

/* Is g's stem kept, or can it be from now on? If not, g computes it. */
static bool find_stem(struct scheduler *s, struct group *g)
{
    struct stem *t = &s->stem;
    int n = g->prefix.n_stem, base = -1;
    if (!n || (t->n == n && !memcmp(t->key, g->prefix.stem_key, KEY_SIZE)))
        return n;
    if (!t->used) {
        drop_stem(s);
        base = kvpool_take(&s->pool, kv_aligned(n));
    }
    if (base < 0) {
        g->prefix.n_stem = 0;
        return false;
    }
    *t = (struct stem){ .n = n, .base = base };
    memcpy(t->key, g->prefix.stem_key, KEY_SIZE);
    return true;
}

/* The stem's rows that are missing; when it is complete, its columns to g's. */
static int plan_stem(struct scheduler *s, struct group *g, int room)
{
    struct plan *p = &s->plan;
    struct stem *t = &s->stem;
    int left = t->n - t->done, n = left < room ? left : room;
    t->used = true;
    if (n) {
        p->segment[p->n_segments++] = (struct segment){ .group = g, .stem = t, .first = t->done,
                                                        .n = n };
        p->n_rows += n;
        t->done += n;
    }
    if (t->done == t->n) {
        p->copy[p->n_copies++] = (struct kv_copy){ .from = t->base, .to = g->base, .n = t->n };
        g->prefix_done = t->n;
    }
    return room - n;
}

static int plan_prefix(struct scheduler *s, struct group *g, int room)
{
    if (!g->prefix_done && find_stem(s, g))
        room = plan_stem(s, g, room);
    int left = g->prefix.n_rows - g->prefix_done;
    g->now = left < room ? left : room;
    return room - g->now;
}

static void emit(struct plan *p, struct group *g)
{
    if (g->now) {
        p->segment[p->n_segments++] = (struct segment){ .group = g, .first = g->prefix_done,
                                                        .n = g->now };
        g->prefix_done += g->now;
        p->n_rows += g->now;
        g->now = 0;
    }
    for (struct question *q = g->running; q; q = q->next)
        if (q->now) {
            bool last = q->computed + q->now == q->known;
            p->segment[p->n_segments++] = (struct segment){ .group = g, .question = q, .n = q->now,
                                                            .first = q->computed,
                                                            .wants_token = last };
            q->computed += q->now;
            p->n_rows += q->now;
            p->n_tokens += last;
            q->now = 0;
        }
}

const struct plan *scheduler_plan(struct scheduler *s)
{
    struct plan *p = &s->plan;
    p->n_segments = p->n_rows = p->n_tokens = p->n_copies = p->n_encode = 0;
    s->stem.used = false;
    int room = s->limits.rows;

    for (struct group *g = s->groups; g != s->waiting; g = g->next) {
        if (g->prefix_done == g->prefix.n_rows && !g->prefix.keeps_picture)
            release_place(s, g);                            /* the step that read it has been run */
        room = plan_replies(g, room);
    }
    for (struct group *g = s->groups; g != s->waiting; g = g->next)
        if (g->prefix_done == g->prefix.n_rows)
            room = plan_questions(s, g, room);
    for (struct group *g = s->groups; room; g = g->next) {
        if (g == s->waiting && !(g = admit(s)))
            break;
        if (g->prefix_done < g->prefix.n_rows) {
            if (!find_place(s, g))
                break;
            room = plan_prefix(s, g, room);
        }
        if (g->prefix_done + g->now == g->prefix.n_rows)
            room = plan_questions(s, g, room);
    }
    for (struct group *g = s->groups; g != s->waiting; g = g->next)
        emit(p, g);
    return p;
}

struct kv_row scheduler_row(const struct segment *segment, int i)
{
    const struct group *g = segment->group;
    int row = segment->first + i, base = segment->stem ? segment->stem->base : g->base;
    if (!segment->question)
        return (struct kv_row){ .base = base, .prefix = 0, .lo = base, .col = base + row,
                                .position = row };
    int prefix = g->prefix.n_rows;
    int lo = base + kv_aligned(prefix) + segment->question->lane * g->lane_columns;
    return (struct kv_row){ .base = base, .prefix = prefix, .lo = lo, .col = lo + row,
                            .position = prefix + row };
}
