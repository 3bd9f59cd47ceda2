/* The scheduler under random workloads, against a fake machine.
 *
 * The fake computes no arithmetic: a column of its cache holds the name of the row written there, or
 * of the one that was copied there. Each planned row must then see, through its kv_row and nothing
 * else, exactly the names of what stands before it in its own request: a slot given twice, a lane
 * reused too early, a row computed twice or out of order, a prefix not yet there, or another's stem,
 * all show. The numbers in the messages are those of scheduler.h's list. */
#include "engine/scheduler.h"
#include <stdio.h>
#include <stdlib.h>
#include "tests/check.h"

enum { OF_QUESTION = 1000000, OF_STEM = 2000000 };
struct tag { int owner, row; };                             /* owner: group, question, or stem */
struct job {
    struct question q;          /* first */
    int id, group, n_prefix, n_stem, stem, n_reply, replied;
    int prefix_rows;            /* of the first of a group: computed or copied so far */
    bool submitted, finished;
};
struct fake {
    struct scheduler s;
    struct tag *column;         /* [columns] */
    int *place;                 /* [2 * pictures]: group whose picture lies there */
    struct job *job;
    int n_jobs, n_open;
    int newest, newest_now;     /* group that was served, in the steps before and in this */
    int stem_rows;              /* of the stem that is kept: computed so far */
    const char *broken;         /* first invariant found broken */
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static int between(uint64_t *state, int low, int high)
{
    return low + (int)(next_random(state) % (uint64_t)(high - low + 1));
}

static void must(struct fake *f, bool holds, const char *invariant)
{
    if (!holds && !f->broken)
        f->broken = invariant;
}

static struct job *job_of(const struct segment *g)
{
    return (struct job *)(g->question ? g->question : g->group->first);
}

static int owner_of(const struct segment *g)
{
    const struct job *j = job_of(g);
    return g->question ? OF_QUESTION + j->id : g->stem ? OF_STEM + j->stem : j->group;
}

/* Does column c hold this row of the segment's prefix: the group's own, or its stem's? */
static bool holds_prefix(const struct fake *f, const struct segment *g, int c, int row)
{
    const struct job *j = job_of(g);
    const struct tag *t = &f->column[c];
    bool stem = row < j->n_stem && t->owner == OF_STEM + j->stem;
    return t->row == row && (stem || (t->owner == j->group && !g->stem));
}

/* Rows first .. first + n of the prefix of j's group are there: in order, and none twice. */
static void count_prefix(struct fake *f, struct job *j, int first, int n)
{
    if (first == 0) {                                       /* a question that is longer than the   */
        must(f, j->group >= f->newest, "6: a later group was served first");    /* lanes starts anew */
        f->newest_now = j->group > f->newest_now ? j->group : f->newest_now;
    }
    must(f, first == j->prefix_rows, "2: a row of a prefix twice, or too early");
    j->prefix_rows = first + n;
}

static void count_stem(struct fake *f, const struct segment *g)
{
    f->stem_rows = g->first ? f->stem_rows : 0;             /* another one from now on */
    must(f, g->first == f->stem_rows, "2: a row of a stem twice, or too early");
    f->stem_rows = g->first + g->n;
}

static void write_row(struct fake *f, const struct segment *g, int i)
{
    struct kv_row at = scheduler_row(g, i);
    int base = at.base, end = base + (g->stem ? kv_aligned(g->stem->n) : g->group->slot_columns);
    must(f, at.col >= base && at.col < end && at.lo >= base, "1: a row outside its slot");
    must(f, base % KV_ALIGN == 0 && at.lo % KV_ALIGN == 0, "1: a start that is not aligned");
    f->column[at.col] = (struct tag){ owner_of(g), g->first + i };
}

static struct job *job_at(const struct fake *f, int base)   /* the first of the group there */
{
    for (const struct group *g = f->s.groups; g != f->s.waiting; g = g->next)
        if (g->base == base)
            return (struct job *)g->first;
    return NULL;
}

static void run_copy(struct fake *f, const struct kv_copy *c)
{
    struct job *j = job_at(f, c->to);
    must(f, j && c->from % KV_ALIGN == 0, "1: a copy that starts at no slot");
    must(f, j && c->n == j->n_stem && f->stem_rows == c->n, "2: a stem that is not complete");
    for (int i = 0; j && i < c->n; i++) {
        must(f, f->column[c->from + i].owner == OF_STEM + j->stem && f->column[c->from + i].row == i,
             "2: another's stem");
        f->column[c->to + i] = f->column[c->from + i];
    }
    if (j)
        count_prefix(f, j, 0, c->n);
}

/* Looks at all that the row sees. */
static void look_row(struct fake *f, const struct segment *g, int i)
{
    struct kv_row at = scheduler_row(g, i);
    const struct job *j = job_of(g);
    int row = g->first + i, base = at.base;

    must(f, at.position == (g->question ? j->n_prefix : 0) + row, "2: a wrong position");
    for (int c = base; c < base + at.prefix; c++)
        must(f, holds_prefix(f, g, c, c - base), "2: a prefix that is not there");
    int lo = at.lo > base + at.prefix ? at.lo : base + at.prefix;
    must(f, at.col - lo == row, "2: a row in another's column");
    for (int c = lo; c <= at.col; c++)
        must(f, g->question ? f->column[c].owner == owner_of(g) && f->column[c].row == c - lo
                            : holds_prefix(f, g, c, c - lo), "2: a row that sees another's");
    if (!g->stem && (!g->question || g->group->prefix.keeps_picture))
        must(f, g->group->place >= 0 && f->place[g->group->place] == j->group,
             "5: a picture that is not in its place");
}

static void check_room(struct fake *f, const struct plan *p)
{
    bool short_of_room = p->n_rows == f->s.limits.rows, prefix = false, question = false;
    int slots = 0, columns = 0, running = 0;
    must(f, p->n_rows <= f->s.limits.rows && p->n_tokens <= f->s.limits.running, "3: too many");
    must(f, p->n_rows > 0 || !f->n_open, "3: something is open and nothing is done");
    for (int i = 0; i < p->n_segments; i++) {
        const struct segment *g = &p->segment[i];
        prefix |= !g->question;
        question |= g->question && g->first < g->question->n_rows;
        for (int j = i + 1; j < p->n_segments && !g->stem; j++)
            must(f, p->segment[j].group != g->group || p->segment[j - 1].group == g->group,
                 "3: a group in two pieces");
    }
    for (struct group *g = f->s.groups; g != f->s.waiting; g = g->next) {
        columns += g->slot_columns;
        slots++;
        for (struct question *q = g->running; q; q = q->next) {
            running++;
            bool waits = q->computed < q->known;
            must(f, !waits || short_of_room, "3: a running question is passed over for nothing");
            must(f, !waits || q->computed < q->n_rows || !(prefix || question),
                 "4: a reply waits behind a prompt");
        }
    }
    int taken = 0;
    for (int b = 0; b < f->s.pool.blocks; b++)
        taken += f->s.pool.taken[b];
    columns += kv_aligned(f->s.stem.n);
    must(f, taken * KV_ALIGN == columns, "1: slots overlap, or columns are lost");
    must(f, running == f->s.running && running <= f->s.limits.running, "3: too many run");
}

static void run_plan(struct fake *f)
{
    const struct plan *p = scheduler_plan(&f->s);
    check_room(f, p);
    for (int i = 0; i < p->n_encode; i++) {
        const struct group *g = p->encode[i];
        must(f, g->place >= 0 && g->place < 2 * f->s.limits.pictures, "5: no such place");
        if (g->place >= 0)
            f->place[g->place] = ((const struct job *)g->first)->group;
    }
    for (int i = 0; i < p->n_segments; i++) {
        const struct segment *g = &p->segment[i];
        for (int r = 0; r < g->n; r++)
            write_row(f, g, r);
        if (g->stem)
            count_stem(f, g);
    }
    for (int i = 0; i < p->n_copies; i++)
        run_copy(f, &p->copy[i]);
    for (int i = 0; i < p->n_segments; i++) {
        const struct segment *g = &p->segment[i];
        if (!g->question && !g->stem)
            count_prefix(f, job_of(g), g->first, g->n);
        for (int r = 0; r < g->n; r++)
            look_row(f, g, r);
    }
    f->newest = f->newest_now;
    for (int i = 0; i < p->n_segments; i++)
        if (p->segment[i].wants_token) {
            struct job *j = (struct job *)p->segment[i].question;
            must(f, j->q.computed == j->q.n_rows + j->replied, "2: a token asked for too early");
            if (++j->replied >= j->n_reply) {
                scheduler_finish(&f->s, &j->q);
                j->finished = true;
                f->n_open--;
            } else {
                scheduler_token(&f->s, &j->q);
            }
        }
}

/* Jobs in groups of 1 to 9 about one picture; some are texts alone. Prompts begin in one of four
 * ways, two of equal length, and mostly as the one before. */
static void make_jobs(struct fake *f, uint64_t *r)
{
    static const int stem_rows[] = { 0, 5, 70, 5 };
    for (int i = 0, group = 0, stem = 0; i < f->n_jobs; group++) {
        int n = between(r, 1, 9), prefix = between(r, 0, 3) ? between(r, 1, 200) : 0;
        stem = between(r, 0, 3) ? stem : between(r, 0, 3);
        for (; n-- && i < f->n_jobs; i++) {
            struct job *j = &f->job[i];
            *j = (struct job){ .id = i, .group = prefix ? group : group++, .n_prefix = prefix,
                               .n_stem = stem_rows[stem] < prefix ? stem_rows[stem] : 0,
                               .stem = stem,
                               .n_reply = between(r, 1, 40) };
            j->q.n_rows = between(r, 1, 90);
            j->q.n_columns = j->q.n_rows + j->n_reply - 1;
        }
    }
}

static void submit(struct fake *f, struct job *j)
{
    struct prefix p = { .n_rows = j->n_prefix, .n_stem = j->n_stem,
                        .keeps_picture = j->group % 7 == 3 };
    struct err e = { 0 };
    memcpy(p.key, &j->group, sizeof j->group);
    memcpy(p.stem_key, &j->stem, sizeof j->stem);
    CHECK_OK(scheduler_add(&f->s, &j->q, j->n_prefix ? &p : NULL, &e), e);
    j->submitted = true;
    f->n_open++;
}

/* Runs one workload; returns the broken invariant, or NULL. */
static const char *run_workload(uint64_t seed, const struct limits *limits, int n_jobs, int ahead)
{
    uint64_t r = seed;
    struct err e = { 0 };
    struct fake f = { .n_jobs = n_jobs, .newest = -1 };
    CHECK_OK(scheduler_open(&f.s, limits, &e), e);
    f.column = calloc((size_t)limits->columns, sizeof *f.column);
    f.place = calloc(2 * (size_t)limits->pictures, sizeof *f.place);
    f.job = calloc((size_t)n_jobs, sizeof *f.job);
    make_jobs(&f, &r);
    int submitted = 0, steps = 0, rows = 0;
    while ((submitted < n_jobs || f.n_open) && !f.broken && steps < 400000) {
        int more = between(&r, 0, 1) ? ahead : 1;           /* in bursts and one by one */
        while (submitted < n_jobs && f.n_open < more)
            submit(&f, &f.job[submitted++]);
        run_plan(&f);
        rows += f.s.plan.n_rows;
        steps++;
    }
    for (int i = 0; i < n_jobs && !f.broken; i++)
        must(&f, f.job[i].finished && f.job[i].replied == f.job[i].n_reply,
             "3: a question is lost");
    must(&f, f.s.running == 0, "3: a lane is lost");
    must(&f, rows > 0, "3: no rows at all");
    if (f.broken)
        printf("seed %llu, step %d: %s\n", (unsigned long long)seed, steps, f.broken);
    scheduler_close(&f.s);
    free(f.column);
    free(f.place);
    free(f.job);
    return f.broken;
}

TEST(scheduler_keeps_its_invariants)
{
    static const struct limits limits[] = {
        { .columns = 512,  .rows = 1,    .running = 4,  .pictures = 1 },
        { .columns = 448,  .rows = 7,    .running = 64, .pictures = 2 },
        { .columns = 1024, .rows = 33,   .running = 3,  .pictures = 8 },
        { .columns = 4096, .rows = 100,  .running = 16, .pictures = 4 },
        { .columns = 8192, .rows = 1024, .running = 64, .pictures = 3 },
        { .columns = 65536, .rows = 8192, .running = 256, .pictures = 8 },
    };
    for (size_t i = 0; i < COUNT(limits); i++)
        for (uint64_t seed = 1; seed <= 12; seed++)
            CHECK(run_workload(seed * 1000 + i, &limits[i], 60, i < 2 ? 20 : 50) == NULL);
}

struct sums { int encoded, stem, copies, prefix, question; };

/* Until nothing is open. */
static struct sums run_all(struct scheduler *s)
{
    struct sums n = { 0 };
    for (const struct plan *p = scheduler_plan(s); p->n_rows; p = scheduler_plan(s)) {
        n.encoded += p->n_encode;
        n.copies += p->n_copies;
        for (int i = 0; i < p->n_segments; i++) {
            const struct segment *g = &p->segment[i];
            *(g->question ? &n.question : g->stem ? &n.stem : &n.prefix) += g->n;
        }
        for (int i = 0; i < p->n_segments; i++)
            if (p->segment[i].wants_token)
                scheduler_finish(s, p->segment[i].question);
    }
    return n;
}

/* n questions of 5 rows, each about another picture if `apart`. */
static void add_questions(struct scheduler *s, struct question *q, int n, int stem, bool apart)
{
    struct err e = { 0 };
    for (int i = 0; i < n; i++) {
        struct prefix p = { .key = { (unsigned char)(apart ? i : 0), (unsigned char)stem },
                            .stem_key = { (unsigned char)stem }, .n_rows = 150, .n_stem = stem };
        q[i] = (struct question){ .n_rows = 5, .n_columns = 5 };
        CHECK_OK(scheduler_add(s, &q[i], &p, &e), e);
    }
}

TEST(scheduler_computes_a_shared_prefix_once)
{
    struct limits l = { .columns = 4096, .rows = 64, .running = 8, .pictures = 2 };
    struct scheduler s;
    struct err e = { 0 };
    struct question q[6];

    CHECK_OK(scheduler_open(&s, &l, &e), e);
    add_questions(&s, q, COUNT(q), 0, false);
    struct sums n = run_all(&s);
    CHECK_INT(n.encoded, 1);
    CHECK_INT(n.prefix, 150);
    CHECK_INT(n.question, 30);
    CHECK(!n.stem && !n.copies);
    scheduler_close(&s);
}

/* Steps of 1000 rows begin with several groups: even these compute the stem once. */
TEST(scheduler_computes_a_stem_once)
{
    static const int rows[] = { 1, 64, 1000 };
    struct question q[6];
    struct err e = { 0 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct limits l = { .columns = 4096, .rows = rows[i], .running = 8, .pictures = 2 };
        struct scheduler s;
        CHECK_OK(scheduler_open(&s, &l, &e), e);
        for (int stem = 35; stem < 38; stem++)
            for (int again = 0; again < 2; again++) {       /* it stays when all is answered */
                add_questions(&s, q, COUNT(q), stem, true);
                struct sums n = run_all(&s);
                CHECK_INT(n.stem, again ? 0 : stem);
                CHECK_INT(n.copies, COUNT(q));
                CHECK_INT(n.prefix, (int)COUNT(q) * (150 - stem));
                CHECK_INT(n.question, 30);
            }
        scheduler_close(&s);
    }
}

/* A cache of one request: there the stem's rows are computed with the prefix. Where it was kept, it
 * makes room for a longer one. */
TEST(scheduler_gives_the_stem_no_room_that_a_request_needs)
{
    struct limits l = { .columns = 4 * KV_ALIGN, .rows = 64, .running = 8, .pictures = 2 };
    struct scheduler s;
    struct question q[2];
    struct prefix p = { .key = { 9 }, .stem_key = { 35 }, .n_rows = 20, .n_stem = 10 };
    struct err e = { 0 };
    CHECK_OK(scheduler_open(&s, &l, &e), e);
    for (int again = 0; again < 2; again++) {
        q[0] = (struct question){ .n_rows = 5, .n_columns = 5 };
        CHECK_OK(scheduler_add(&s, &q[0], &p, &e), e);
        struct sums n = run_all(&s);
        CHECK(n.stem == 10 && n.copies == 1 && n.prefix == 10);
        add_questions(&s, q, COUNT(q), 35, true);
        n = run_all(&s);
        CHECK(n.stem == 0 && n.copies == 0 && n.prefix == 300);
    }
    scheduler_close(&s);
}

TEST(kvpool_takes_first_fit_and_gives_back)
{
    struct kvpool p;
    struct err e = { 0 };
    CHECK_OK(kvpool_open(&p, 5 * KV_ALIGN + 3, &e), e);     /* the odd columns are not used */
    CHECK_INT(kvpool_take(&p, 2 * KV_ALIGN), 0);
    CHECK_INT(kvpool_take(&p, 1 * KV_ALIGN), 2 * KV_ALIGN);
    CHECK_INT(kvpool_take(&p, 3 * KV_ALIGN), -1);
    kvpool_give(&p, 0, 2 * KV_ALIGN);
    CHECK_INT(kvpool_take(&p, 3 * KV_ALIGN), -1);           /* four are free, but not in a row */
    CHECK_INT(kvpool_take(&p, 1 * KV_ALIGN), 0);
    CHECK_INT(kvpool_take(&p, 2 * KV_ALIGN), 3 * KV_ALIGN);
    CHECK_INT(kvpool_take(&p, 1 * KV_ALIGN), 1 * KV_ALIGN);
    CHECK_INT(kvpool_take(&p, 1 * KV_ALIGN), -1);
    kvpool_close(&p);
}
