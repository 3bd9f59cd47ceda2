/* verb_results.c -- leaderboard: the stored scores as people read them.
 *
 * The wide table has a row for each model (and prompt set), a column for each benchmark. Marks say
 * what a figure is not: – no score, † partial (questions missing or a selection), ‡ not the data of
 * the official release. A judged figure stands in a column of its judge: those of different judges do
 * not compare. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/benchmark.h"
#include "harness/say.h"
#include "harness/table.h"
#include "harness/verbs.h"
#include "results/results.h"

enum { OUTPUT_LIMIT = 1 << 26, MOST_COLUMNS = 64 };

static bool same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static bool wanted(const struct options *o, const struct results_score_row *r)
{
    if (!r->headline && !o->verbose)
        return false;
    if (!o->suite_given)
        return true;
    for (int i = 0; i < o->n_suite; i++)
        if (!strcmp(o->suite[i].benchmark, r->benchmark) && !strcmp(o->suite[i].split, r->split))
            return true;
    return false;
}

/* ---- machine formats: one row a score -------------------------------------------------------- */

static void add_text(struct str *out, const char *key, const char *text)
{
    str_addf(out, "\"%s\":", key);
    if (text)
        str_add_json(out, text);
    else
        str_add(out, "null");
    str_addc(out, ',');
}

static void rows_json(const struct options *o, const struct results_score_row *rows, size_t n,
                      struct str *out)
{
    bool any = false;

    str_add(out, "[");
    for (size_t i = 0; i < n; i++) {
        const struct results_score_row *r = &rows[i];
        if (!wanted(o, r))
            continue;
        str_add(out, any ? ",\n{" : "\n{");
        any = true;
        add_text(out, "model", r->model);
        add_text(out, "connector", r->connector);
        add_text(out, "benchmark", r->benchmark);
        add_text(out, "split", r->split);
        add_text(out, "metric", r->metric);
        str_add(out, "\"value\":");
        str_add_number(out, r->value);
        str_add(out, ",\"stderr\":");
        str_add_number(out, r->stderror);
        str_addf(out, ",\"n\":%zu,\"partial\":%s,", r->n, r->partial ? "true" : "false");
        add_text(out, "judge", r->judge);
        add_text(out, "prompts", r->prompts);
        add_text(out, "dtype", r->dtype);
        str_addf(out, "\"official_data\":%s}", r->official ? "true" : "false");
    }
    str_add(out, "\n]\n");
}

/* ---- the wide table -------------------------------------------------------------------------- */

struct column { const struct benchmark *benchmark; const char *split, *metric, *judge; };
struct line { const char *model, *connector, *prompts; };

struct wide {
    struct arena arena;
    struct column columns[MOST_COLUMNS];
    int n_columns;
    struct line *lines;
    int n_lines;
    const struct results_score_row **cell;      /* [n_lines][n_columns] */
    bool any_partial, any_unofficial, any_demo_judge;
};

static int find_column(struct wide *w, const struct results_score_row *r)
{
    for (int c = 0; c < w->n_columns; c++)
        if (!strcmp(w->columns[c].benchmark->name, r->benchmark) &&
            !strcmp(w->columns[c].split, r->split) && !strcmp(w->columns[c].metric, r->metric) &&
            same_text(w->columns[c].judge, r->judge))
            return c;
    return -1;
}

/* Columns in the order of the benchmarks' list, headline first. */
static void find_columns(struct wide *w, const struct options *o,
                         const struct results_score_row *rows, size_t n)
{
    for (int b = 0; benchmarks[b]; b++)
        for (int headline = 1; headline >= 0; headline--)
            for (size_t i = 0; i < n; i++)
                if (!strcmp(rows[i].benchmark, benchmarks[b]->name) && wanted(o, &rows[i]) &&
                    rows[i].headline == (headline != 0) && w->n_columns < MOST_COLUMNS &&
                    find_column(w, &rows[i]) < 0)
                    w->columns[w->n_columns++] =
                        (struct column){ benchmarks[b], rows[i].split, rows[i].metric, rows[i].judge };
}

static int find_line(const struct wide *w, const struct results_score_row *r)
{
    for (int l = 0; l < w->n_lines; l++)
        if (same_text(w->lines[l].model, r->model) && same_text(w->lines[l].prompts, r->prompts) &&
            same_text(w->lines[l].connector, r->connector))
            return l;
    return -1;
}

static enum status wide_make(struct wide *w, const struct options *o,
                             const struct results_score_row *rows, size_t n, struct err *e)
{
    find_columns(w, o, rows, n);
    w->lines = arena_array(&w->arena, n + 1, sizeof *w->lines);
    for (size_t i = 0; w->lines && i < n; i++)
        if (wanted(o, &rows[i]) && find_line(w, &rows[i]) < 0)
            w->lines[w->n_lines++] =
                (struct line){ rows[i].model, rows[i].connector, rows[i].prompts };
    w->cell = arena_array(&w->arena, (size_t)(w->n_lines * w->n_columns) + 1, sizeof *w->cell);
    if (w->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for a table of %zu scores", n);
    for (size_t i = 0; i < n; i++) {
        int c = wanted(o, &rows[i]) ? find_column(w, &rows[i]) : -1;
        if (c < 0)
            continue;
        w->cell[find_line(w, &rows[i]) * w->n_columns + c] = &rows[i];
        w->any_partial = w->any_partial || rows[i].partial;
        w->any_unofficial = w->any_unofficial || !rows[i].official;
        w->any_demo_judge = w->any_demo_judge || same_text(rows[i].judge, "demo");
    }
    return OK;
}

static const char *column_title(struct wide *w, const struct column *c)
{
    char first[32];
    const char *title = c->benchmark->title;

    benchmark_default_split(c->benchmark, first);
    if (strcmp(first, c->split))
        title = arena_fmt(&w->arena, "%s %s", title, c->split);
    if (strcmp(c->metric, c->benchmark->headline))
        title = arena_fmt(&w->arena, "%s %s", title, c->metric);
    if (c->judge)
        title = arena_fmt(&w->arena, "%s (%s)", title, c->judge);
    return title;
}

/* Best and second best of a column, where there are at least two to compare. */
static void mark_best(struct table *t, int column)
{
    int best = -1, second = -1;

    for (int r = 0; r < t->n_rows; r++) {
        struct table_cell *cell = &t->cells[r * t->n_columns + column];
        if (!cell->is_number)
            continue;
        if (best < 0 || cell->value > t->cells[best * t->n_columns + column].value) {
            second = best;
            best = r;
        } else if (second < 0 || cell->value > t->cells[second * t->n_columns + column].value) {
            second = r;
        }
    }
    if (second < 0 || t->cells[best * t->n_columns + column].value ==
                      t->cells[second * t->n_columns + column].value)
        return;
    t->cells[best * t->n_columns + column].best = true;
    t->cells[second * t->n_columns + column].second = t->n_rows > 2;
}

static const char *notes(struct wide *w)
{
    const char *text = "";

    if (w->any_partial)
        text = arena_fmt(&w->arena, "%s† partial: some of the questions have no answer, or only a "
                         "selection was asked.\n", text);
    if (w->any_unofficial)
        text = arena_fmt(&w->arena, "%s‡ not the data of the official release: these figures do not "
                         "compare with published ones.\n", text);
    if (w->any_demo_judge)
        text = arena_fmt(&w->arena, "%s(demo) judged by word overlap with the reference, offline: "
                         "no judgement of quality.\n", text);
    return text;
}

static enum status wide_table(struct wide *w, enum table_format format, struct str *out,
                              struct err *e)
{
    enum { FIXED = 2 };
    bool prompts = false;
    struct table t = { .n_rows = w->n_lines };

    for (int l = 0; l < w->n_lines; l++)
        prompts = prompts || !same_text(w->lines[l].prompts, "paper");
    int fixed = FIXED + prompts;
    t.n_columns = fixed + w->n_columns;
    struct table_column *columns = arena_array(&w->arena, (size_t)t.n_columns, sizeof *columns);
    t.cells = arena_array(&w->arena, (size_t)(t.n_columns * t.n_rows) + 1, sizeof *t.cells);
    if (w->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for a table");
    columns[0].title = "Model";
    columns[1].title = "Connector";
    if (prompts)
        columns[2].title = "Prompts";
    for (int c = 0; c < w->n_columns; c++) {
        columns[fixed + c].title = column_title(w, &w->columns[c]);
        columns[fixed + c].right = true;
    }
    t.columns = columns;
    for (int l = 0; l < w->n_lines; l++) {
        struct table_cell *row = &t.cells[l * t.n_columns];
        row[0].text = w->lines[l].model;
        row[1].text = w->lines[l].connector ? w->lines[l].connector : "unknown";
        if (prompts)
            row[2].text = w->lines[l].prompts;
        for (int c = 0; c < w->n_columns; c++) {
            const struct results_score_row *r = w->cell[l * w->n_columns + c];
            if (!r || isnan(r->value))
                continue;
            row[fixed + c].is_number = true;
            row[fixed + c].value = r->value;
            row[fixed + c].text = arena_fmt(&w->arena, "%.1f%s%s", r->value,
                                            r->partial ? "†" : "", r->official ? "" : "‡");
        }
    }
    for (int c = fixed; c < t.n_columns; c++)
        mark_best(&t, c);
    t.notes = notes(w);
    table_format(&t, format, out);
    return OK;
}

enum status verb_leaderboard(struct options *o, struct err *e)
{
    struct results *store = NULL;
    struct results_score_row *rows = NULL;
    struct wide w = { 0 };
    struct str out;
    size_t n = 0;

    str_init(&out, OUTPUT_LIMIT);
    if (results_open(&store, o->db, RESULTS_READ, e) != OK ||
        results_leaderboard(store, &w.arena, &rows, &n, e) != OK)
        goto done;
    if (o->format == TABLE_JSON || o->json)
        rows_json(o, rows, n, &out);
    else if (n == 0)
        say_note("%s holds no score yet", o->db);
    else if (wide_make(&w, o, rows, n, e) != OK || wide_table(&w, o->format, &out, e) != OK)
        goto done;
    if (out.failed)
        err_set(e, ERR_MEMORY, "no memory for the table");
    else if (fwrite(out.at, 1, out.n, stdout) != out.n)
        err_set(e, ERR_INTERNAL, "cannot write the table to standard output");
done:
    str_free(&out);
    arena_free(&w.arena);
    results_close(store);
    return e->code;
}
