/* verb_compare.c -- compare: is the second model better than the first, where, and how sure is it?
 *
 * Two tables: the headline of every benchmark, then the categories; Holm's correction is over the
 * rows of each. Where prompt sets are compared, a third tells how far replies have the form that the
 * prompt asks for, and how long they are. Machines get all rows at once, in full precision. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/marks.h"
#include "harness/pairing.h"
#include "harness/say.h"
#include "harness/table.h"
#include "harness/verbs.h"
#include "results/stats.h"

enum { OUTPUT_LIMIT = 1 << 26, MOST_SPLITS = 64, MOST_COLUMNS = 64 };
static const double LEVEL = 0.05;

struct comparison {
    const struct options *o;
    struct arena arena;
    struct results_run_row *runs;
    size_t n_runs;
    struct arm arms[COMPARE_RUNS];
    int n_arms;
    struct paired_split splits[MOST_SPLITS];
    int n_splits;
    size_t missing;
    unsigned used;                          /* marks, in the table being made */
};

/* ---- what is compared ------------------------------------------------------------------------- */

/* Who judged this run, by its stored scores; NULL: nobody. */
static const char *judge_of(const struct results_score_row *rows, size_t n, int64_t run)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].run == run)
            return rows[i].judge;
    return NULL;
}

/* The demonstration's judge needs no address; any other is named on the command line. o: for this split. */
static bool can_judge(struct options *o, const char *benchmark, const char *judge)
{
    if (o->judge)
        return true;
    if (judge && !strcmp(judge, "demo")) {
        o->judge = "demo";
        return true;
    }
    if (judge)
        say_note("%s: judged by %s: name that judge with --judge and --judge-model to compare what "
                 "it said", benchmark, judge);
    else
        say_note("%s: not judged: left out", benchmark);
    return false;
}

static bool wanted(const struct options *o, const char *benchmark, const char *split)
{
    for (int i = 0; i < o->n_suite; i++)
        if (!strcmp(o->suite[i].benchmark, benchmark) && !strcmp(o->suite[i].split, split))
            return true;
    return !o->suite_given;
}

/* The arms' runs over this split. False, and said, where an arm has none though another has. */
static bool find_runs(const struct comparison *c, const char *benchmark, const char *split,
                      const struct results_run_row **found)
{
    int n = 0, without = 0;

    for (int i = 0; i < c->n_arms; i++) {
        found[i] = pairing_run(&c->arms[i], c->runs, c->n_runs, benchmark, split);
        n += found[i] != NULL;
        without = found[i] ? without : i;
    }
    if (n && n < c->n_arms)
        say_note("%s:%s: no run of %s: left out", benchmark, split, c->arms[without].title);
    return n == c->n_arms;
}

static enum status compare_split(struct comparison *c, const struct options *given, struct results *store,
                                 const struct benchmark *b, const char *split,
                                 const struct results_score_row *scores, size_t n_scores,
                                 struct err *e)
{
    const struct results_run_row *runs[COMPARE_RUNS];
    struct suite_item item = { b->name, split };
    struct judge *judge = NULL;
    struct paired_split *to = &c->splits[c->n_splits];
    struct options of_split = *given, *o = &of_split;

    if (!wanted(o, b->name, split) || !find_runs(c, b->name, split, runs))
        return OK;
    if (b->exported && benchmark_lists(b->exported, split)) {
        say_note("%s:%s: scored by a server, nothing to compare here: left out", b->name, split);
        return OK;
    }
    if (b->judge_mark && !can_judge(o, b->name, judge_of(scores, n_scores, runs[0]->id)))
        return OK;
    if (c->n_splits == MOST_SPLITS)
        return err_set(e, ERR_USAGE, "more than %d splits: name fewer with --suite", MOST_SPLITS);
    if (judge_open(&judge, o, run_stopped, e) == OK &&
        pairing_split(o, store, judge, &item, runs, c->arms, c->n_arms, &c->arena, to, e) == OK) {
        c->missing += to->missing;
        if (to->n_metrics)
            c->n_splits++;
        else
            say_note("%s:%s: no question was answered by all: left out", b->name, split);
    }
    judge_close(judge);
    return e->code;
}

static enum status compare_all(struct comparison *c, struct options *o, struct err *e)
{
    struct results *store = NULL;
    struct results_score_row *scores = NULL;
    size_t n_scores = 0;

    if (results_open(&store, o->db, RESULTS_READ, e) == OK &&
        results_runs(store, &c->arena, &c->runs, &c->n_runs, e) == OK &&
        results_leaderboard(store, &c->arena, &scores, &n_scores, e) == OK &&
        pairing_arms(o, c->runs, c->n_runs, &c->arena, c->arms, &c->n_arms, e) == OK)
        for (int b = 0; benchmarks[b] && e->code == OK; b++)
            for (const char *at = benchmarks[b]->splits; at && e->code == OK;
                 at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
                compare_split(c, o, store, benchmarks[b],
                              arena_strn(&c->arena, at, strcspn(at, ",")), scores, n_scores, e);
    results_close(store);
    if (e->code == OK && c->n_splits == 0)
        err_set(e, ERR_DATA, "%s: there is no benchmark that all have a run of", o->db);
    return e->code;
}

/* Holm over headlines, and over the others. */
static enum status correct(struct comparison *c, bool headline, struct err *e)
{
    size_t n = 0, room = 1;

    for (int s = 0; s < c->n_splits; s++)
        room += c->splits[s].n_metrics;
    double *p = arena_array(&c->arena, room, sizeof *p);
    double *adjusted = arena_array(&c->arena, room, sizeof *adjusted);
    struct paired_metric **of = arena_array(&c->arena, room, sizeof *of);
    if (c->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for %zu tests", room);
    for (int s = 0; s < c->n_splits; s++)
        for (size_t m = 0; m < c->splits[s].n_metrics; m++)
            if (c->splits[s].metrics[m].headline == headline) {
                of[n] = &c->splits[s].metrics[m];
                p[n] = of[n]->p;
                n++;
            }
    stats_holm(p, n, adjusted);
    for (size_t i = 0; i < n; i++)
        of[i]->p_holm = adjusted[i];
    return OK;
}

/* ---- tables, built cell by cell --------------------------------------------------------------- */

struct build {
    struct table table;
    struct table_column columns[MOST_COLUMNS];
    size_t size, at;
    struct arena *arena;
};

static void column(struct build *b, const char *title, bool right)
{
    b->columns[b->table.n_columns++] = (struct table_column){ .title = title, .right = right };
}

static enum status build_rows(struct build *b, size_t rows, struct err *e)
{
    b->table.columns = b->columns;
    b->size = (rows + 1) * (size_t)b->table.n_columns;
    b->table.cells = arena_array(b->arena, b->size, sizeof *b->table.cells);
    return b->table.cells ? OK : err_set(e, ERR_MEMORY, "no memory for a table of %zu rows", rows);
}

static struct table_cell *next_cell(struct build *b)
{
    return &b->table.cells[b->at++];
}

static void text(struct build *b, const char *words)
{
    next_cell(b)->text = words;
}

static void number(struct build *b, double value)
{
    *next_cell(b) = (struct table_cell){ .is_number = true, .value = value };
}

static void count(struct build *b, size_t value)
{
    *next_cell(b) = (struct table_cell){ .is_count = true, .value = (double)value };
}

static void flag(struct build *b, bool value)
{
    *next_cell(b) = (struct table_cell){ .is_flag = true, .value = value };
}

static size_t count_rows(const struct comparison *c, bool headline, bool all)
{
    size_t n = 0;
    for (int s = 0; s < c->n_splits; s++)
        for (size_t m = 0; m < c->splits[s].n_metrics; m++)
            n += all || c->splits[s].metrics[m].headline == headline;
    return n;
}

/* ---- for machines ----------------------------------------------------------------------------- */

static const char *const sides[COMPARE_RUNS] = { "a", "b", "c", "d" };
static const char *const contrast_names[PAIRING_CONTRASTS] = {
    "prompts_first_model", "prompts_second_model", "model_first_prompts", "model_second_prompts",
    "interaction" };

static void machine_columns(const struct comparison *c, struct build *b)
{
    static const char *const first[] = { "benchmark", "split", "metric", "headline", "n",
                                         "pictures" };
    static const char *const tests[] = { "p", "p_holm", "test", "gained", "lost" };
    static const char *const last[] = { "partial", "missing", "judge", "official_data", "expects" };
    int n_contrasts = c->n_arms == 2 ? 1 : PAIRING_CONTRASTS;

    for (size_t i = 0; i < COUNT(first); i++)
        column(b, first[i], false);
    for (int r = 0; r < c->n_arms; r++) {
        column(b, sides[r], false);
        column(b, arena_fmt(b->arena, "%s_value", sides[r]), false);
    }
    for (int k = 0; k < n_contrasts; k++) {
        const char *name = c->n_arms == 2 ? "difference" : contrast_names[k];
        column(b, name, false);
        column(b, arena_fmt(b->arena, "%s_low", name), false);
        column(b, arena_fmt(b->arena, "%s_high", name), false);
    }
    for (size_t i = 0; i < COUNT(tests) && c->n_arms == 2; i++)
        column(b, tests[i], false);
    for (size_t i = 0; i < COUNT(last); i++)
        column(b, last[i], false);
    for (int r = 0; r < c->n_arms; r++) {
        column(b, arena_fmt(b->arena, "%s_in_form", sides[r]), false);
        column(b, arena_fmt(b->arena, "%s_tokens", sides[r]), false);
        column(b, arena_fmt(b->arena, "%s_at_limit", sides[r]), false);
        column(b, arena_fmt(b->arena, "%s_dtype", sides[r]), false);
    }
}

static void machine_row(const struct comparison *c, const struct paired_split *s,
                        const struct paired_metric *m, struct build *b)
{
    text(b, s->benchmark->name);
    text(b, s->split);
    text(b, m->metric);
    flag(b, m->headline);
    count(b, m->n);
    count(b, s->n_pictures);
    for (int r = 0; r < c->n_arms; r++) {
        text(b, c->arms[r].title);
        number(b, m->value[r]);
    }
    for (int k = 0; k < (c->n_arms == 2 ? 1 : PAIRING_CONTRASTS); k++) {
        number(b, m->contrast[k]);
        number(b, m->interval[k].low);
        number(b, m->interval[k].high);
    }
    if (c->n_arms == 2) {
        number(b, m->p);
        number(b, m->p_holm);
        text(b, m->test);
        count(b, m->gained);
        count(b, m->lost);
    }
    flag(b, s->partial);
    count(b, s->missing);
    text(b, s->judge);
    flag(b, s->official);
    text(b, s->expected);
    for (int r = 0; r < c->n_arms; r++) {
        number(b, s->form[r].obeyed);
        number(b, s->form[r].tokens);
        number(b, s->form[r].at_limit);
        text(b, s->dtype[r]);
    }
}

static enum status for_machines(struct comparison *c, struct str *out, struct err *e)
{
    struct build b = { .arena = &c->arena };

    machine_columns(c, &b);
    if (build_rows(&b, count_rows(c, true, true), e) != OK)
        return e->code;
    for (int s = 0; s < c->n_splits; s++)
        for (size_t m = 0; m < c->splits[s].n_metrics; m++, b.table.n_rows++)
            machine_row(c, &c->splits[s], &c->splits[s].metrics[m], &b);
    table_format(&b.table, c->o->format, out);
    return OK;
}

/* ---- for people ------------------------------------------------------------------------------- */

static void shown(struct build *b, const char *words, double value)
{
    *next_cell(b) = (struct table_cell){ .text = words, .value = value, .is_number = true };
}

static void person_columns(const struct comparison *c, bool headline, struct build *b)
{
    column(b, "Benchmark", false);
    if (!headline)
        column(b, "Metric", false);
    if (c->n_arms == 2) {
        static const char *const titles[] = { "A", "B", "B−A", "95 % interval", "p", "Holm",
                                              "B better", "A better", "of" };
        for (size_t i = 0; i < COUNT(titles); i++)
            column(b, titles[i], true);
    } else {
        static const char *const titles[] = { "A 1", "A 2", "B 1", "B 2", "A 2−1", "B 2−1",
                                              "interaction", "95 % interval" };
        for (size_t i = 0; i < COUNT(titles); i++)
            column(b, titles[i], true);
    }
}

static void person_row(struct comparison *c, const struct paired_split *s,
                       const struct paired_metric *m, struct build *b)
{
    struct arena *a = &c->arena;
    unsigned marks = (s->partial ? MARK_PARTIAL : 0) | (s->official ? 0 : MARK_UNOFFICIAL);
    int first = c->n_arms == 2 ? PAIRING_DIFFERENCE : PAIRING_SET_FIRST;
    int last = c->n_arms == 2 ? PAIRING_DIFFERENCE : PAIRING_INTERACTION;

    text(b, split_title(a, s->benchmark, s->split, s->judge));
    if (!m->headline)
        text(b, m->metric);
    for (int r = 0; r < c->n_arms; r++)
        shown(b, marks_number(a, m->value[r], marks | marks_of_dtype(s->dtype[r]), &c->used),
              m->value[r]);
    shown(b, marks_change(a, m->contrast[first],
                          m->p_holm < LEVEL ? MARK_SIGNIFICANT : 0, &c->used), m->contrast[first]);
    if (c->n_arms > 2) {
        shown(b, marks_change(a, m->contrast[PAIRING_SET_SECOND], 0, &c->used),
              m->contrast[PAIRING_SET_SECOND]);
        shown(b, marks_change(a, m->contrast[last], 0, &c->used), m->contrast[last]);
    }
    text(b, marks_interval(a, m->interval[last].low, m->interval[last].high));
    if (c->n_arms == 2) {
        shown(b, marks_p(a, m->p), m->p);
        shown(b, marks_p(a, m->p_holm), m->p_holm);
        shown(b, arena_fmt(a, "%zu", m->gained), (double)m->gained);
        shown(b, arena_fmt(a, "%zu", m->lost), (double)m->lost);
        shown(b, arena_fmt(a, "%zu", m->n), (double)m->n);
    }
    if (s->judge && !strcmp(s->judge, "demo"))
        c->used |= MARK_DEMO_JUDGE;
}

static const char *who(struct comparison *c)
{
    struct arena *a = &c->arena;
    return c->n_arms == 2 ? arena_fmt(a, "A: %s, B: %s", c->arms[0].title, c->arms[1].title)
        : arena_fmt(a, "A: %s, B: %s; 1: prompts %s, 2: prompts %s", c->arms[0].model,
                    c->arms[2].model, c->arms[0].prompts, c->arms[1].prompts);
}

static enum status figures(struct comparison *c, bool headline, struct str *out, struct err *e)
{
    struct build b = { .arena = &c->arena };
    size_t rows = count_rows(c, headline, false);
    const char *previous = NULL;

    if (!rows)
        return OK;
    person_columns(c, headline, &b);
    bool *rules = arena_array(&c->arena, rows, sizeof *rules);
    if (!rules || build_rows(&b, rows, e) != OK)
        return err_set(e, ERR_MEMORY, "no memory for a table of %zu rows", rows);
    c->used = 0;
    for (int s = 0; s < c->n_splits; s++)
        for (size_t m = 0; m < c->splits[s].n_metrics; m++) {
            if (c->splits[s].metrics[m].headline != headline)
                continue;
            const char *name = c->splits[s].benchmark->name;
            rules[b.table.n_rows] = !headline && previous && previous != name;
            previous = name;
            person_row(c, &c->splits[s], &c->splits[s].metrics[m], &b);
            b.table.n_rows++;
        }
    b.table.rule_above = rules;
    b.table.caption = headline ? who(c) : "By category";
    b.table.notes = marks_notes(&c->arena, c->used);
    str_add(out, out->n ? "\n" : "");
    table_format(&b.table, c->o->format, out);
    return OK;
}

/* How replies look, where the prompt is what differs. */
static enum status forms(struct comparison *c, struct str *out, struct err *e)
{
    struct build b = { .arena = &c->arena };

    column(&b, "Benchmark", false);
    column(&b, "Expected", false);
    for (int r = 0; r < c->n_arms; r++)
        column(&b, c->arms[r].title, true);
    if (build_rows(&b, (size_t)c->n_splits, e) != OK)
        return e->code;
    for (int s = 0; s < c->n_splits; s++, b.table.n_rows++) {
        const struct paired_split *p = &c->splits[s];
        text(&b, split_title(&c->arena, p->benchmark, p->split, p->judge));
        text(&b, p->expected);
        for (int r = 0; r < c->n_arms; r++)
            text(&b, arena_fmt(&c->arena, "%.1f / %.1f / %.1f", p->form[r].obeyed, p->form[r].tokens,
                               p->form[r].at_limit));
    }
    b.table.caption = "Form of the replies";
    b.table.notes = "Share in the expected form, %; mean length in tokens; share that ended at the "
                    "token limit, %.";
    str_add(out, "\n");
    table_format(&b.table, c->o->format, out);
    return OK;
}

static bool prompts_differ(const struct comparison *c)
{
    for (int i = 1; i < c->n_arms; i++)
        if (c->arms[i].prompts && c->arms[0].prompts &&
            strcmp(c->arms[i].prompts, c->arms[0].prompts) != 0)
            return true;
    return false;
}

static enum status for_people(struct comparison *c, struct str *out, struct err *e)
{
    if (figures(c, true, out, e) == OK && figures(c, false, out, e) == OK && prompts_differ(c))
        forms(c, out, e);
    return e->code;
}

enum status verb_compare(struct options *o, struct err *e)
{
    struct comparison *c = calloc(1, sizeof *c);
    struct str out;

    if (!c)
        return err_set(e, ERR_MEMORY, "no memory");
    c->o = o;
    str_init(&out, OUTPUT_LIMIT);
    bool machine = o->format == TABLE_JSON || o->format == TABLE_CSV || o->format == TABLE_TSV;
    if (compare_all(c, o, e) == OK && correct(c, true, e) == OK && correct(c, false, e) == OK &&
        (machine ? for_machines(c, &out, e) : for_people(c, &out, e)) == OK) {
        if (out.failed || c->arena.failed)
            err_set(e, ERR_MEMORY, "no memory for the tables");
        else if (fwrite(out.at, 1, out.n, stdout) != out.n)
            err_set(e, ERR_INTERNAL, "cannot write the tables to standard output");
        else if (c->missing)
            err_set(e, ERR_INCOMPLETE, "%zu questions lack an answer or a judgement in one of the "
                    "runs: left out of the comparison", c->missing);
    }
    str_free(&out);
    arena_free(&c->arena);
    free(c);
    return e->code;
}
