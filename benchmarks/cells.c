/* cells.c -- units, their signatures, and the tally over those that stand for all. */
#include "benchmarks/cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNATURE_LIMIT = 1 << 20 };

/* While cells are made. */
struct making {
    struct cells *c;
    const struct questions *qs;
    const struct mark *const *marks;
    struct str signature;
    const char **known;                     /* signature of each cell, its length in front of it */
    size_t room;                            /* of known and of standing rows */
    uint32_t *table;                        /* open addressing: cell + 1, or 0 */
    size_t slots;
};

/* ---- units ------------------------------------------------------------------------------------ */

static size_t unit_of(const struct cells *c, const struct questions *qs, size_t i)
{
    return c->benchmark->unit ? c->benchmark->unit(qs, i) : i;
}

static bool lacks(const struct making *m, size_t i)
{
    for (int r = 0; r < m->c->n_runs; r++)
        for (int p = 0; p < m->c->passes; p++)
            if (m->marks[r][(size_t)p * m->qs->n + i].missing)
                return true;
    return false;
}

/* Units in the order of their pictures, those that lack something left out; their questions in the
 * order of the file. */
static enum status find_units(struct making *m, struct err *e)
{
    struct cells *c = m->c;
    const struct questions *qs = m->qs;
    size_t n = qs->n, rows = 0;
    size_t *order = questions_by_image(qs, e);
    size_t *next = calloc(n + 1, sizeof *next), *from = calloc(n + 1, sizeof *from);
    bool *left_out = calloc(n + 1, sizeof *left_out);

    c->rows = arena_array(&c->arena, n + 1, sizeof *c->rows);
    c->first_row = arena_array(&c->arena, n + 1, sizeof *c->first_row);
    c->first = arena_array(&c->arena, n + 2, sizeof *c->first);
    if (!order || !next || !from || !left_out || c->arena.failed) {
        err_set(e, ERR_MEMORY, "no memory to compare %zu questions", n);
        goto done;
    }
    for (size_t i = n; i-- > 0;) {          /* chains through each unit; from: 1 + its first */
        size_t u = unit_of(c, qs, i);
        next[i] = from[u];
        from[u] = i + 1;
        left_out[u] = left_out[u] || lacks(m, i);
    }
    for (size_t k = 0; k < n; k++) {
        size_t i = order[k], u = unit_of(c, qs, i);
        bool same = k && questions_same_image(&qs->at[order[k - 1]], &qs->at[i]);
        if (!same && c->n_units > c->first[c->n_pictures])
            c->first[++c->n_pictures] = c->n_units;         /* the picture before had units */
        if (from[u] != i + 1)
            continue;                                       /* not the first of its unit */
        for (size_t row = from[u]; row; row = next[row - 1])
            if (left_out[u])
                c->n_left_out++;
            else
                c->rows[rows++] = row - 1;
        if (!left_out[u])
            c->first_row[++c->n_units] = rows;
    }
    if (c->n_units > c->first[c->n_pictures])
        c->first[++c->n_pictures] = c->n_units;
    c->n_questions = rows;
done:
    free(order);
    free(next);
    free(from);
    free(left_out);
    return e->code;
}

/* ---- cells ------------------------------------------------------------------------------------ */

/* What a tally may look at, of one unit under one run. */
static void sign(struct making *m, int run, size_t unit)
{
    struct str *s = &m->signature;

    str_clear(s);
    for (size_t k = m->c->first_row[unit]; k < m->c->first_row[unit + 1]; k++) {
        size_t i = m->c->rows[k];
        const struct question *q = &m->qs->at[i];
        uint64_t kind = m->c->benchmark->kind ? m->c->benchmark->kind(m->qs, i) : 0;
        str_add(s, q->category);
        str_addc(s, q->image ? '\1' : '\2');
        str_addn(s, (const char *)&kind, sizeof kind);
        for (int p = 0; p < m->c->passes; p++) {
            const struct mark *mark = &m->marks[run][(size_t)p * m->qs->n + i];
            str_addn(s, (const char *)&mark->a, sizeof mark->a);
            str_addn(s, (const char *)&mark->b, sizeof mark->b);
            str_addc(s, mark->unread ? '\1' : '\2');
        }
    }
}

static bool known_as(const struct making *m, uint32_t cell)
{
    size_t n;
    memcpy(&n, m->known[cell], sizeof n);
    return n == m->signature.n && !memcmp(m->known[cell] + sizeof n, m->signature.at, n);
}

/* Where the signature stands in the table, or would. */
static size_t slot_of(const struct making *m)
{
    uint64_t h = 0xcbf29ce484222325u;                       /* FNV-1a */
    for (size_t i = 0; i < m->signature.n; i++)
        h = (h ^ (unsigned char)m->signature.at[i]) * 0x100000001b3u;
    size_t slot = (h ^ h >> 32) & (m->slots - 1);
    while (m->table[slot] && !known_as(m, m->table[slot] - 1))
        slot = (slot + 1) & (m->slots - 1);
    return slot;
}

/* The unit stands for a new cell. Its marks go to rows of `passes`, turned when all are there. */
static void add_cell(struct making *m, int run, size_t unit)
{
    struct cells *c = m->c;
    size_t n = m->signature.n;
    char *signature = arena_alloc(&c->arena, sizeof n + n);

    if (signature) {
        memcpy(signature, &n, sizeof n);
        memcpy(signature + sizeof n, m->signature.at, n);
        m->known[c->n_cells] = signature;
    }
    for (size_t k = c->first_row[unit]; k < c->first_row[unit + 1]; k++) {
        size_t i = c->rows[k], at = c->standing.n++;
        c->standing.at[at] = m->qs->at[i];
        c->cell_of[at] = (uint32_t)c->n_cells;
        for (int p = 0; p < c->passes; p++)
            c->marks[at * (size_t)c->passes + (size_t)p] =
                m->marks[run][(size_t)p * m->qs->n + i];
    }
    c->first_standing[++c->n_cells] = c->standing.n;
}

/* From [rows][passes] to the tally's [passes][rows]. */
static void turn_marks(struct cells *c)
{
    size_t n = c->standing.n, passes = (size_t)c->passes;
    struct mark *turned = arena_array(&c->arena, n * passes + 1, sizeof *turned);
    for (size_t i = 0; turned && i < n; i++)
        for (size_t p = 0; p < passes; p++)
            turned[p * n + i] = c->marks[i * passes + p];
    c->marks = turned;
}

static enum status find_cells(struct making *m, struct err *e)
{
    struct cells *c = m->c;
    size_t runs = (size_t)c->n_runs, most = runs * c->n_questions + 1;

    for (m->slots = 64; m->slots < 2 * runs * c->n_units; m->slots *= 2)
        ;
    m->table = calloc(m->slots, sizeof *m->table);
    m->known = calloc(most, sizeof *m->known);
    c->standing = *m->qs;
    c->standing.index = NULL;
    c->standing.n = 0;
    c->standing.at = arena_array(&c->arena, most, sizeof *c->standing.at);
    c->cell_of = arena_array(&c->arena, most, sizeof *c->cell_of);
    c->first_standing = arena_array(&c->arena, most + 1, sizeof *c->first_standing);
    c->marks = arena_array(&c->arena, most * (size_t)c->passes, sizeof *c->marks);
    c->cell = arena_array(&c->arena, runs, sizeof *c->cell);
    if (!m->table || !m->known || c->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory to compare %zu questions", m->qs->n);
    for (int r = 0; r < c->n_runs; r++) {
        if (!(c->cell[r] = arena_array(&c->arena, c->n_units + 1, sizeof **c->cell)))
            break;
        for (size_t u = 0; u < c->n_units && !c->arena.failed; u++) {
            sign(m, r, u);
            size_t slot = slot_of(m);
            if (!m->table[slot]) {
                add_cell(m, r, u);
                m->table[slot] = (uint32_t)c->n_cells;
            }
            c->cell[r][u] = m->table[slot] - 1;
        }
    }
    turn_marks(c);
    return c->arena.failed || m->signature.failed
        ? err_set(e, ERR_MEMORY, "no memory to compare %zu questions", m->qs->n) : OK;
}

/* ---- metrics ---------------------------------------------------------------------------------- */

static struct tally_input input_of(const struct cells *c, const uint32_t *weight)
{
    return (struct tally_input){ .qs = &c->standing, .marks = c->marks, .passes = c->passes,
                                 .weight = weight, .unit = c->cell_of, .partial = true };
}

/* Everything but one cell, for the tally. */
struct without { struct questions questions; struct mark *marks; uint32_t *unit; };

static void leave_out(const struct cells *c, size_t cell, struct without *w)
{
    size_t from = c->first_standing[cell], to = c->first_standing[cell + 1], n = c->standing.n;

    w->questions.n = 0;
    for (size_t i = 0; i < n; i++)
        if (i < from || i >= to) {
            w->unit[w->questions.n] = (uint32_t)(i < from ? c->cell_of[i] : c->cell_of[i] - 1);
            w->questions.at[w->questions.n++] = c->standing.at[i];
        }
    for (size_t p = 0; p < (size_t)c->passes; p++) {
        struct mark *to_marks = w->marks + p * w->questions.n;
        memcpy(to_marks, c->marks + p * n, from * sizeof *to_marks);
        memcpy(to_marks + from, c->marks + p * n + to, (n - to) * sizeof *to_marks);
    }
}

static size_t count_of(const struct scores *s, const char *metric)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->at[i].metric, metric))
            return s->at[i].n;
    return 0;
}

/* A metric is over a cell when without it there is less that the metric is over. */
static void find_members(struct cells *c, const struct scores *all, struct without *w)
{
    struct scores less;

    scores_init(&less, &c->arena);
    for (size_t k = 0; k < c->n_cells && !less.failed; k++) {
        leave_out(c, k, w);
        less.n = 0;
        c->benchmark->tally(&(struct tally_input){ .qs = &w->questions, .marks = w->marks,
                                                   .passes = c->passes, .unit = w->unit,
                                                   .partial = true }, &less);
        for (size_t i = 0; i < all->n; i++)
            c->member[k * all->n + i] = count_of(&less, all->at[i].metric) < all->at[i].n;
    }
    c->arena.failed = c->arena.failed || less.failed;
    scores_free(&less);
}

static enum status find_metrics(struct cells *c, struct err *e)
{
    size_t n = c->standing.n + 1;
    struct scores all;
    struct without w = { .questions = c->standing };
    struct tally_input in = input_of(c, NULL);

    scores_init(&all, &c->arena);
    c->benchmark->tally(&in, &all);
    c->n_metrics = all.n;
    c->headline = scores_headline(&all, c->benchmark);
    c->metrics = arena_array(&c->arena, all.n + 1, sizeof *c->metrics);
    c->member = arena_array(&c->arena, c->n_cells * all.n + 1, sizeof *c->member);
    w.questions.at = arena_array(&c->arena, n, sizeof *w.questions.at);
    w.marks = arena_array(&c->arena, n * (size_t)c->passes, sizeof *w.marks);
    w.unit = arena_array(&c->arena, n, sizeof *w.unit);
    c->arena.failed = c->arena.failed || all.failed;
    for (size_t i = 0; !c->arena.failed && i < all.n; i++)
        c->metrics[i] = all.at[i].metric;
    if (!c->arena.failed)
        find_members(c, &all, &w);
    scores_free(&all);
    return c->arena.failed ? err_set(e, ERR_MEMORY, "no memory for the metrics") : OK;
}

enum status cells_make(struct cells *c, const struct benchmark *b, const struct questions *qs,
                       int n_runs, const struct mark *const *marks, int passes, struct err *e)
{
    struct making m = { .c = c, .qs = qs, .marks = marks };

    *c = (struct cells){ .benchmark = b, .n_runs = n_runs, .passes = passes };
    str_init(&m.signature, SIGNATURE_LIMIT);
    if (find_units(&m, e) == OK && find_cells(&m, e) == OK)
        find_metrics(c, e);
    str_free(&m.signature);
    free(m.table);
    free(m.known);
    return e->code;
}

void cells_free(struct cells *c)
{
    arena_free(&c->arena);
    *c = (struct cells){ 0 };
}

void cells_tally(const void *cells, const uint32_t *weight, double *metrics)
{
    const struct cells *c = cells;
    struct arena a = { 0 };
    struct scores drawn;
    uint32_t *of_row = arena_array(&a, c->standing.n + 1, sizeof *of_row);
    struct tally_input in = input_of(c, of_row);

    scores_init(&drawn, &a);
    for (size_t i = 0; of_row && i < c->standing.n; i++)
        of_row[i] = weight[c->cell_of[i]];
    if (of_row)
        c->benchmark->tally(&in, &drawn);
    for (size_t m = 0; m < c->n_metrics; m++)               /* mostly named in the same order */
        metrics[m] = m < drawn.n && !strcmp(drawn.at[m].metric, c->metrics[m])
                     ? drawn.at[m].value : scores_get(&drawn, c->metrics[m]);
    scores_free(&drawn);
    arena_free(&a);
}

/* ---- flips ------------------------------------------------------------------------------------ */

/* What the reply to question i is worth by itself, over all passes. */
static double worth(const struct cells *c, const struct questions *qs, size_t i,
                    const struct mark *marks)
{
    double sum = 0;
    for (int p = 0; p < c->passes; p++) {
        const struct mark *m = &marks[(size_t)p * qs->n + i];
        sum += c->benchmark->worth ? c->benchmark->worth(qs, i, m) : m->a;
    }
    return sum;
}

static void count_flip(const struct cells *c, const bool *member, double change,
                       struct flips *flips)
{
    for (size_t m = 0; m < c->n_metrics; m++)
        if (member[m]) {
            flips[m].gained += change > 0;
            flips[m].lost += change < 0;
            flips[m].of++;
        }
}

void cells_flips(const struct cells *c, const struct questions *qs, const struct mark *first,
                 const struct mark *second, struct flips *flips)
{
    memset(flips, 0, c->n_metrics * sizeof *flips);
    for (size_t u = 0; u < c->n_units; u++) {
        const bool *member = c->member + c->cell[0][u] * c->n_metrics;
        double least[2] = { INFINITY, INFINITY };
        for (size_t k = c->first_row[u]; k < c->first_row[u + 1]; k++) {
            double was = worth(c, qs, c->rows[k], first), is = worth(c, qs, c->rows[k], second);
            least[0] = fmin(least[0], was);
            least[1] = fmin(least[1], is);
            if (!c->benchmark->all_or_nothing)
                count_flip(c, member, is - was, flips);
        }
        if (c->benchmark->all_or_nothing)
            count_flip(c, member, least[1] - least[0], flips);
    }
}
