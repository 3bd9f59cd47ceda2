/* verb_results.c -- leaderboard: the stored scores, and published ones, as people read them.
 *
 * A line is a model (and prompt set), measured here or published; a column is a metric of a split.
 * The wide table has a column for each headline; table3 and table4 are laid out as the paper's. Marks
 * say what a figure is not (marks.h). A judged figure stands in a column of its judge: those of
 * different judges do not compare. Benchmarks are never averaged: MME counts in points; the relative
 * column is a mean of ratios to one line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "harness/marks.h"
#include "harness/run.h"
#include "harness/report.h"
#include "harness/say.h"
#include "harness/table.h"
#include "harness/verbs.h"
#include "results/reference.h"

enum { OUTPUT_LIMIT = 1 << 26, MOST_COLUMNS = 512, MOST_FIXED = 6 };

/* ---- the paper's layouts ---------------------------------------------------------------------- */

struct spec { const char *title, *benchmark, *split, *other_split, *metric; };

static const struct spec table3[] = {
    { "VQAv2", "vqav2", "testdev", "val", "accuracy" },
    { "GQA", "gqa", "testdev_balanced", NULL, "accuracy" },
    { "VizWiz", "vizwiz", "test", "val", "accuracy" },
    { "SQA-IMG", "scienceqa", "test", NULL, "image_accuracy" },
    { "TextVQA", "textvqa", "val", NULL, "accuracy" },
};
static const struct spec table4[] = {
    { "POPE rand", "pope", "test", NULL, "random_f1" },
    { "POPE pop", "pope", "test", NULL, "popular_f1" },
    { "POPE adv", "pope", "test", NULL, "adversarial_f1" },
    { "MME", "mme", "test", NULL, "perception" },
    { "MMB en", "mmbench", "dev", NULL, "accuracy" },
    { "MMB cn", "mmbench", "dev_cn", NULL, "accuracy" },
    { "SEED all", "seed", "test", NULL, "accuracy" },
    { "SEED img", "seed", "test", NULL, "image_accuracy" },
    { "SEED vid", "seed", "test", NULL, "video_accuracy" },
    { "LLaVA-W", "llavabench", "test", NULL, "rel_all" },
    { "MM-Vet", "mmvet", "test", NULL, "total" },
};
static const struct layout {
    const char *name, *caption;
    const struct spec *specs;
    size_t n;
    bool sizes;                             /* columns for the language model, resolution and data */
} layouts[] = {
    { "wide", NULL, NULL, 0, false },
    { "table3", "Academic benchmarks, as in the paper's Table 3", table3, COUNT(table3), true },
    { "table4", "Benchmarks of instruction following, as in the paper's Table 4", table4,
      COUNT(table4), false },
};

static const struct layout *find_layout(const char *name)
{
    for (size_t i = 0; i < COUNT(layouts) && name; i++)
        if (!strcmp(layouts[i].name, name))
            return &layouts[i];
    return &layouts[0];
}

/* ---- figures ---------------------------------------------------------------------------------- */

struct column {
    const char *benchmark, *split, *metric, *judge, *title;
    const char *other_split;                /* stands in, marked, where a layout's split is absent */
};
struct line {
    const char *model, *connector, *prompts;
    const struct reference *published;      /* or NULL: measured here */
    const struct results_model_row *measured;
    const char *settings;                   /* settings_of() */
};
struct figure {
    bool there, partial, official;
    const char *split;
    double value;
    bool seen;
    unsigned marks;                         /* of its dtype */
};

struct board {
    const struct options *o;
    const struct layout *layout;
    struct arena arena;
    struct results_score_row *rows;
    const char **settings;                  /* [n_rows] */
    size_t n_rows;
    struct results_model_row *models;
    size_t n_models;
    struct reference *published;
    size_t n_published;
    struct column columns[MOST_COLUMNS];
    int n_columns;
    struct line *lines;
    int n_lines, baseline;                  /* baseline -1: none */
    struct figure *figures;                 /* [n_lines][n_columns] */
    unsigned used;                          /* marks */
};

static bool same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static bool in_suite(const struct options *o, const char *benchmark, const char *split)
{
    for (int i = 0; i < o->n_suite; i++)
        if (!strcmp(o->suite[i].benchmark, benchmark) &&
            (!split || !strcmp(o->suite[i].split, split)))
            return true;
    return !o->suite_given;
}

/* Scores that stand in the wide table and in JSON: headlines, with -v all. */
static bool wanted(const struct options *o, const struct results_score_row *r)
{
    return (r->headline || o->verbose) && in_suite(o, r->benchmark, r->split);
}

static bool wanted_published(const struct options *o, const struct reference_figure *f)
{
    return (o->verbose || !strcmp(f->metric, benchmark_find(f->benchmark)->headline)) &&
           in_suite(o, f->benchmark, NULL);
}

/* ---- columns ---------------------------------------------------------------------------------- */

static bool has_column(const struct board *b, const struct column *c)
{
    for (int i = 0; i < b->n_columns; i++)
        if (!strcmp(b->columns[i].benchmark, c->benchmark) &&
            !strcmp(b->columns[i].split, c->split) && !strcmp(b->columns[i].metric, c->metric) &&
            same_text(b->columns[i].judge, c->judge))
            return true;
    return false;
}

static void add_column(struct board *b, struct column c)
{
    if (b->n_columns < MOST_COLUMNS && !has_column(b, &c))
        b->columns[b->n_columns++] = c;
}

static void add_wide(struct board *b, const struct benchmark *of, const char *split,
                     const char *metric, const char *judge)
{
    const char *title = split_title(&b->arena, of, split, judge);
    if (strcmp(metric, of->headline) != 0)
        title = arena_fmt(&b->arena, "%s %s", title, metric);
    add_column(b, (struct column){ of->name, split, metric, judge, title, NULL });
}

/* In the order of the benchmarks' list, headline first, measured ones before published ones. */
static void wide_columns(struct board *b)
{
    for (int k = 0; benchmarks[k]; k++)
        for (int headline = 1; headline >= 0; headline--) {
            for (size_t i = 0; i < b->n_rows; i++) {
                const struct results_score_row *r = &b->rows[i];
                if (!strcmp(r->benchmark, benchmarks[k]->name) && wanted(b->o, r) &&
                    r->headline == (headline == 1))
                    add_wide(b, benchmarks[k], r->split, r->metric, r->judge);
            }
            for (size_t p = 0; p < b->n_published; p++)
                for (size_t i = 0; i < b->published[p].n; i++) {
                    const struct reference_figure *f = &b->published[p].figures[i];
                    if (!strcmp(f->benchmark, benchmarks[k]->name) && wanted_published(b->o, f) &&
                        !strcmp(f->metric, benchmarks[k]->headline) == (headline == 1))
                        add_wide(b, benchmarks[k], f->split, f->metric, f->judge);
                }
        }
}

static void add_spec(struct board *b, const struct spec *s, const char *judge)
{
    const char *title = judge ? arena_fmt(&b->arena, "%s (%s)", s->title, judge) : s->title;
    add_column(b, (struct column){ s->benchmark, s->split, s->metric, judge, title,
                                   s->other_split });
}

/* A layout's columns are there with or without a figure; judged ones once for each judge. */
static void layout_columns(struct board *b)
{
    for (size_t k = 0; k < b->layout->n; k++) {
        const struct spec *s = &b->layout->specs[k];
        int before = b->n_columns;
        for (size_t i = 0; i < b->n_rows; i++)
            if (!strcmp(b->rows[i].benchmark, s->benchmark) && b->rows[i].judge)
                add_spec(b, s, b->rows[i].judge);
        for (size_t p = 0; p < b->n_published; p++)
            for (size_t i = 0; i < b->published[p].n; i++)
                if (!strcmp(b->published[p].figures[i].benchmark, s->benchmark) &&
                    b->published[p].figures[i].judge)
                    add_spec(b, s, b->published[p].figures[i].judge);
        if (b->n_columns == before)
            add_spec(b, s, NULL);
    }
}

/* ---- lines ------------------------------------------------------------------------------------ */

/* What sets a run apart from the usual one of its model and prompts: "fp8", "crop, temperature 0.2"; such
 * a run has a line of its own, and this stands behind the model's name, where machines read the table,
 * too. "" for the usual one. Other dtypes share a line: their replies hardly differ. */
static const char *settings_of(struct arena *a, const struct results_score_row *r)
{
    const struct benchmark *of = benchmark_find(r->benchmark);
    const struct { const char *key, *title; double usual; } decode[] = {
        { "temperature", "temperature", 0 }, { "top_p", "top-p", 1 }, { "top_k", "top-k", 0 },
        { "seed", "seed", 0 }, { "max_new_tokens", "at most", of ? of->max_new_tokens : 0 },
    };
    struct err ignored = { 0 };
    const struct json *settings = json_parse(a, "decode", r->decode, strlen(r->decode), &ignored);
    const char *text = marks_of_dtype(r->dtype) ? ", fp8" : "";

    if (!strcmp(r->image_mode, "pad") || !strcmp(r->image_mode, "crop"))
        text = arena_fmt(a, "%s, %s", text, r->image_mode);
    for (size_t i = 0; i < COUNT(decode); i++) {
        const struct json *at = json_get(settings, decode[i].key);
        double value = json_get_double(settings, decode[i].key, decode[i].usual);
        if (!(value < decode[i].usual || value > decode[i].usual))
            continue;
        text = at && at->is_int ? arena_fmt(a, "%s, %s %lld", text, decode[i].title, (long long)at->integer)
                                : arena_fmt(a, "%s, %s %.17g", text, decode[i].title, value);
        text = i + 1 == COUNT(decode) ? arena_fmt(a, "%s tokens", text) : text;
    }
    return *text ? text + 2 : text;
}

static int find_line(const struct board *b, const struct results_score_row *r)
{
    for (int l = 0; l < b->n_lines; l++)
        if (!b->lines[l].published && same_text(b->lines[l].model, r->model) &&
            same_text(b->lines[l].prompts, r->prompts) &&
            same_text(b->lines[l].connector, r->connector) &&
            same_text(b->lines[l].settings, b->settings[r - b->rows]))
            return l;
    return -1;
}

static const struct results_model_row *find_model(const struct board *b, const char *label,
                                                  const char *connector)
{
    for (size_t i = 0; i < b->n_models; i++)
        if (same_text(b->models[i].label, label) && same_text(b->models[i].connector, connector))
            return &b->models[i];
    return NULL;
}

static bool matches(const struct column *c, const char *benchmark, const char *split,
                    const char *metric, const char *judge)
{
    return !strcmp(c->benchmark, benchmark) && !strcmp(c->metric, metric) &&
           (!strcmp(c->split, split) || (c->other_split && !strcmp(c->other_split, split))) &&
           same_text(c->judge, judge);
}

/* The layout's own split wins over the one that stands in; else the later one. */
static void put_figure(struct board *b, int line, int column, struct figure f)
{
    struct figure *to = &b->figures[line * b->n_columns + column];
    if (!to->there || strcmp(to->split, b->columns[column].split) != 0 ||
        !strcmp(f.split, b->columns[column].split))
        *to = f;
}

static void put_published(struct board *b, int line)
{
    const struct reference *p = b->lines[line].published;
    for (size_t i = 0; i < p->n; i++)
        for (int c = 0; c < b->n_columns; c++) {
            const struct reference_figure *f = &p->figures[i];
            if (matches(&b->columns[c], f->benchmark, f->split, f->metric, f->judge))
                put_figure(b, line, c,
                           (struct figure){ true, false, true, f->split, f->value, f->seen, 0 });
        }
}

static void put_measured(struct board *b, const struct results_score_row *r)
{
    int line = find_line(b, r);
    for (int c = 0; c < b->n_columns && line >= 0 && !isnan(r->value); c++)
        if (matches(&b->columns[c], r->benchmark, r->split, r->metric, r->judge))
            put_figure(b, line, c,
                       (struct figure){ true, r->partial, r->official, r->split, r->value, false,
                                        marks_of_dtype(r->dtype) });
}

static bool has_figure(const struct board *b, const struct reference *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (int c = 0; c < b->n_columns; c++)
            if (matches(&b->columns[c], p->figures[i].benchmark, p->figures[i].split,
                        p->figures[i].metric, p->figures[i].judge))
                return true;
    return false;
}

/* Published lines first, as papers have them. */
static enum status make_lines(struct board *b, struct err *e)
{
    b->lines = arena_array(&b->arena, b->n_rows + b->n_published + 1, sizeof *b->lines);
    b->settings = arena_array(&b->arena, b->n_rows + 1, sizeof *b->settings);
    for (size_t i = 0; b->settings && i < b->n_rows; i++)
        b->settings[i] = settings_of(&b->arena, &b->rows[i]);
    if (!b->lines || !b->settings || b->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for a table of %zu scores", b->n_rows);
    for (size_t p = 0; p < b->n_published; p++)
        if (has_figure(b, &b->published[p]))
            b->lines[b->n_lines++] = (struct line){ .model = b->published[p].model,
                                                    .connector = b->published[p].connector,
                                                    .published = &b->published[p] };
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct results_score_row *r = &b->rows[i];
        if (find_line(b, r) < 0 && in_suite(b->o, r->benchmark, r->split))
            b->lines[b->n_lines++] = (struct line){ r->model, r->connector, r->prompts, NULL,
                                                    find_model(b, r->model, r->connector),
                                                    b->settings[i] };
    }
    b->figures = arena_array(&b->arena, (size_t)(b->n_lines * b->n_columns) + 1, sizeof *b->figures);
    if (b->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for a table of %zu scores", b->n_rows);
    for (int l = 0; l < b->n_lines; l++)
        if (b->lines[l].published)
            put_published(b, l);
    for (size_t i = 0; i < b->n_rows; i++)
        if (b->layout->specs || wanted(b->o, &b->rows[i]))
            put_measured(b, &b->rows[i]);
    return OK;
}

static const char *with_settings(struct board *b, const char *name, const struct line *l)
{
    return l->settings && *l->settings ? arena_fmt(&b->arena, "%s (%s)", name, l->settings) : name;
}

static const char *line_name(struct board *b, const struct line *l)
{
    bool paper = !l->prompts || !strcmp(l->prompts, "paper");
    return with_settings(b, paper ? l->model : arena_fmt(&b->arena, "%s:%s", l->model, l->prompts), l);
}

/* --baseline names a line: a model, LABEL:SET, or a published row. */
static enum status find_baseline(struct board *b, struct err *e)
{
    const char *names[1024] = { 0 };

    b->baseline = -1;
    for (int l = 0; b->o->baseline && l < b->n_lines; l++) {
        names[l < 1022 ? l : 1022] = line_name(b, &b->lines[l]);
        if (!strcmp(b->o->baseline, line_name(b, &b->lines[l])))
            b->baseline = l;
    }
    if (b->o->baseline && b->baseline < 0) {
        const char *near = str_nearest(b->o->baseline, names);
        return err_set(e, ERR_USAGE, "--baseline %s: no line of the table is called so%s%s%s",
                       b->o->baseline, near ? "; did you mean " : "", near ? near : "",
                       near ? "?" : b->o->reference ? ""
                       : " (--reference paper adds published ones)");
    }
    return OK;
}

/* ---- comparing lines -------------------------------------------------------------------------- */

/* NaN where the two figures do not compare: another split, or data of which only one is official. */
static double ratio_to(const struct board *b, int line, int column, bool difference)
{
    const struct figure *f = &b->figures[line * b->n_columns + column];
    const struct figure *base = &b->figures[b->baseline * b->n_columns + column];

    if (!f->there || !base->there || strcmp(f->split, base->split) != 0 ||
        f->official != base->official)
        return NAN;
    return difference ? f->value - base->value : base->value > 0 ? f->value / base->value : NAN;
}

/* The mean of the ratios to the baseline, in percent, and over how many columns. */
static double relative(const struct board *b, int line, int *n)
{
    double sum = 0;

    *n = 0;
    for (int c = 0; c < b->n_columns; c++) {
        double ratio = ratio_to(b, line, c, false);
        if (isnan(ratio))
            continue;
        sum += ratio;
        ++*n;
    }
    return *n ? 100 * sum / *n : NAN;
}

/* Best and second best of a column, where there are at least two to compare. Marked figures stand
 * aside when there are others. */
static void mark_best(const struct board *b, struct table *t, const int *line_of, int column, int at)
{
    int best = -1, second = -1;
    bool sound = false;

    for (int l = 0; l < b->n_lines; l++) {
        const struct figure *f = &b->figures[l * b->n_columns + column];
        sound = sound || (f->there && f->official && !f->partial);
    }
    for (int r = 0; r < t->n_rows; r++) {
        const struct figure *f = line_of[r] < 0 ? NULL
                                 : &b->figures[line_of[r] * b->n_columns + column];
        if (!f || !f->there || (sound && (!f->official || f->partial)))
            continue;
        if (best < 0 || f->value > t->cells[best * t->n_columns + at].value) {
            second = best;
            best = r;
        } else if (second < 0 || f->value > t->cells[second * t->n_columns + at].value) {
            second = r;
        }
    }
    if (second < 0 || t->cells[best * t->n_columns + at].value ==
                      t->cells[second * t->n_columns + at].value)
        return;
    t->cells[best * t->n_columns + at].best = true;
    t->cells[second * t->n_columns + at].second = b->n_lines > 2;
}

/* ---- the table -------------------------------------------------------------------------------- */

static const char *size_text(struct arena *a, const struct results_model_row *m)
{
    if (!m || m->n_parameters <= 0)
        return NULL;
    return m->n_parameters >= 1000000000 ? arena_fmt(a, "%.1fB", (double)m->n_parameters / 1e9)
                                         : arena_fmt(a, "%.1fM", (double)m->n_parameters / 1e6);
}

/* The tower's side, in config.json or at the end of its name: "...-patch14-336". */
static const char *side_text(struct arena *a, const struct results_model_row *m)
{
    struct err ignored = { 0 };

    if (!m || !m->config)
        return NULL;
    const struct json *config = json_parse(a, "config.json", m->config, strlen(m->config), &ignored);
    int64_t side = json_get_int(json_get(config, "vision_config"), "image_size", 0);
    const char *dash = strrchr(json_get_str(config, "mm_vision_tower", ""), '-');
    if (!side && dash)
        str_to_int(dash + 1, &side);
    return side > 0 ? arena_fmt(a, "%lld", (long long)side) : NULL;
}

static int fixed_columns(const struct board *b, struct table_column *to)
{
    int n = 0;
    bool prompts = false;

    for (int l = 0; l < b->n_lines; l++)
        prompts = prompts || (!b->lines[l].published && !same_text(b->lines[l].prompts, "paper"));
    to[n++] = (struct table_column){ "Model", "model", false };
    if (b->layout->sizes) {
        to[n++] = (struct table_column){ "LLM", "llm", false };
        to[n++] = (struct table_column){ "Res.", "resolution", true };
        to[n++] = (struct table_column){ "Pretrain", "pretrain", true };
        to[n++] = (struct table_column){ "Finetune", "finetune", true };
    } else if (!b->layout->specs) {
        to[n++] = (struct table_column){ "Connector", "connector", false };
    }
    if (prompts)
        to[n++] = (struct table_column){ "Prompts", "prompts", false };
    return n;
}

static const char *with_mark(struct board *b, const char *text, bool in_house)
{
    if (!text || !in_house)
        return text;
    b->used |= MARK_IN_HOUSE;
    return arena_fmt(&b->arena, "%s¶", text);
}

static void fixed_cells(struct board *b, const struct line *l, const struct table_column *columns,
                        int n, struct table_cell *row)
{
    const struct reference *p = l->published;
    struct arena *a = &b->arena;

    for (int c = 0; c < n; c++) {
        const char *key = columns[c].key, *text = NULL;
        if (!strcmp(key, "model"))
            text = with_mark(b, with_settings(b, l->model, l),
                             p && p->in_house && !b->layout->sizes);
        else if (!strcmp(key, "connector"))
            text = l->connector ? l->connector : p ? NULL : "unknown";
        else if (!strcmp(key, "prompts"))
            text = l->prompts;
        else if (!strcmp(key, "llm"))
            text = p ? p->llm : size_text(a, l->measured);
        else if (!strcmp(key, "resolution"))
            text = !p ? side_text(a, l->measured) : p->resolution ? arena_fmt(a, "%d", p->resolution)
                                                                  : NULL;
        else if (!strcmp(key, "pretrain"))
            text = p ? with_mark(b, p->pretrain, p->in_house) : NULL;
        else
            text = p ? with_mark(b, p->finetune, p->in_house) : NULL;
        row[c].text = text;
    }
}

static void figure_cells(struct board *b, int line, struct table_cell *row)
{
    for (int c = 0; c < b->n_columns; c++) {
        const struct figure *f = &b->figures[line * b->n_columns + c];
        if (!f->there)
            continue;
        unsigned marks = f->marks | (f->partial ? MARK_PARTIAL : 0) | (f->seen ? MARK_SEEN : 0) |
            (f->official && !strcmp(f->split, b->columns[c].split) ? 0 : MARK_UNOFFICIAL);
        row[c] = (struct table_cell){ .is_number = true, .value = f->value,
                                      .text = marks_number(&b->arena, f->value, marks, &b->used) };
        if (same_text(b->columns[c].judge, "demo"))
            b->used |= MARK_DEMO_JUDGE;
    }
}

static void relative_cell(struct board *b, int line, struct table_cell *cell)
{
    int n, all;
    double value = relative(b, line, &n);

    relative(b, b->baseline, &all);
    cell->is_number = true;
    cell->value = value;
    if (n)
        cell->text = n == all ? arena_fmt(&b->arena, "%.1f", value)
                              : arena_fmt(&b->arena, "%.1f (%d/%d)", value, n, all);
}

static void difference_row(struct board *b, int line, int fixed, struct table_cell *row)
{
    row[0].text = arena_fmt(&b->arena, "%s − %s", line_name(b, &b->lines[line]),
                            line_name(b, &b->lines[b->baseline]));
    for (int c = 0; c < b->n_columns; c++) {
        double value = ratio_to(b, line, c, true);
        row[fixed + c] = (struct table_cell){ .is_number = true, .value = value,
            .text = marks_change(&b->arena, value, 0, &b->used) };
    }
}

static const char *notes(struct board *b)
{
    const char *marks = marks_notes(&b->arena, b->used);
    return b->baseline < 0 ? marks
           : arena_fmt(&b->arena, "%s%srelative: mean of the ratios to %s, %%, over the columns that "
                       "both have and that compare.", marks, *marks ? "\n" : "",
                       line_name(b, &b->lines[b->baseline]));
}

static enum status print_table(struct board *b, struct str *out, struct err *e)
{
    struct arena *a = &b->arena;
    struct table_column *columns = arena_array(a, (size_t)b->n_columns + MOST_FIXED + 1,
                                               sizeof *columns);
    size_t most = 2 * (size_t)b->n_lines + 1;
    int *line_of = arena_array(a, most, sizeof *line_of);
    bool *rules = arena_array(a, most, sizeof *rules);
    if (a->failed)
        return err_set(e, ERR_MEMORY, "no memory for a table");
    int fixed = fixed_columns(b, columns), n = fixed + b->n_columns + (b->baseline >= 0);
    struct table t = { .caption = b->layout->caption, .columns = columns, .n_columns = n,
                       .rule_above = rules };
    t.cells = arena_array(a, most * (size_t)n, sizeof *t.cells);
    if (!t.cells)
        return err_set(e, ERR_MEMORY, "no memory for a table");
    for (int c = 0; c < b->n_columns; c++) {
        const struct column *of = &b->columns[c];
        columns[fixed + c] = (struct table_column){
            .title = of->title, .right = true,
            .key = arena_fmt(a, "%s.%s.%s%s%s", of->benchmark, of->split, of->metric,
                             of->judge ? "." : "", of->judge ? of->judge : "") };
    }
    columns[n - 1] = b->baseline < 0 ? columns[n - 1]
                     : (struct table_column){ "relative", "relative", true };
    for (int l = 0; l < b->n_lines; l++) {
        struct table_cell *row = &t.cells[t.n_rows * n];
        rules[t.n_rows] = l > 0 && b->lines[l - 1].published && !b->lines[l].published;
        line_of[t.n_rows++] = l;
        fixed_cells(b, &b->lines[l], columns, fixed, row);
        figure_cells(b, l, row + fixed);
        if (b->baseline < 0)
            continue;
        relative_cell(b, l, row + n - 1);
        if (l != b->baseline && !b->lines[l].published && isfinite(row[n - 1].value)) {
            line_of[t.n_rows++] = -1;
            difference_row(b, l, fixed, row + n);
        }
    }
    for (int c = 0; c < b->n_columns; c++)
        mark_best(b, &t, line_of, c, fixed + c);
    t.notes = notes(b);
    table_format(&t, b->o->format, out);
    return a->failed ? err_set(e, ERR_MEMORY, "no memory for a table") : OK;
}

/* ---- JSON: one row a score -------------------------------------------------------------------- */

static void add_text(struct str *out, const char *key, const char *text)
{
    str_addf(out, "\"%s\":", key);
    if (text)
        str_add_json(out, text);
    else
        str_add(out, "null");
    str_addc(out, ',');
}

/* Against the baseline's figure in the same column; null where they do not compare. */
static void add_baseline(const struct board *b, int line, const char *benchmark, const char *split,
                         const char *metric, const char *judge, struct str *out)
{
    double difference = NAN, ratio = NAN;

    if (b->baseline < 0)
        return;
    for (int c = 0; c < b->n_columns; c++)
        if (matches(&b->columns[c], benchmark, split, metric, judge)) {
            difference = ratio_to(b, line, c, true);
            ratio = ratio_to(b, line, c, false);
        }
    add_text(out, "baseline", b->o->baseline);
    str_add(out, "\"difference\":");
    str_add_number(out, difference);
    str_add(out, ",\"relative\":");
    str_add_number(out, 100 * ratio);
    str_addc(out, ',');
}

static void measured_json(const struct board *b, const struct results_score_row *r, struct str *out)
{
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
    add_text(out, "image_mode", r->image_mode);
    add_text(out, "decode", r->decode);
    str_addf(out, "\"run\":%lld,", (long long)r->run);
    add_baseline(b, find_line(b, r), r->benchmark, r->split, r->metric, r->judge, out);
    str_addf(out, "\"official_data\":%s}", r->official ? "true" : "false");
}

static void published_json(const struct board *b, int line, const struct reference_figure *f,
                           struct str *out)
{
    add_text(out, "model", b->lines[line].model);
    add_text(out, "connector", b->lines[line].connector);
    add_text(out, "benchmark", f->benchmark);
    add_text(out, "split", f->split);
    add_text(out, "metric", f->metric);
    str_add(out, "\"value\":");
    str_add_number(out, f->value);
    str_add(out, ",\"stderr\":null,\"n\":null,\"partial\":false,");
    add_text(out, "judge", f->judge);
    str_addf(out, "\"published\":true,\"training_images_seen\":%s,", f->seen ? "true" : "false");
    add_text(out, "source", f->source);
    add_text(out, "checked", *f->checked ? f->checked : NULL);
    add_baseline(b, line, f->benchmark, f->split, f->metric, f->judge, out);
    str_add(out, "\"official_data\":true}");
}

static void print_json(const struct board *b, struct str *out)
{
    bool any = false;

    str_add(out, "[");
    for (int l = 0; l < b->n_lines; l++)
        for (size_t i = 0; b->lines[l].published && i < b->lines[l].published->n; i++) {
            str_add(out, any ? ",\n{" : "\n{");
            published_json(b, l, &b->lines[l].published->figures[i], out);
            any = true;
        }
    for (size_t i = 0; i < b->n_rows; i++)
        if (wanted(b->o, &b->rows[i])) {
            str_add(out, any ? ",\n{" : "\n{");
            measured_json(b, &b->rows[i], out);
            any = true;
        }
    str_add(out, "\n]\n");
}

/* ---- the verb --------------------------------------------------------------------------------- */

static enum status read_board(struct board *b, struct err *e)
{
    struct results *store = NULL;

    if (b->o->reference)
        results_reference(b->o->reference, &b->arena, &b->published, &b->n_published, e);
    if (e->code == OK && results_open(&store, b->o->db, RESULTS_READ, e) == OK &&
        results_leaderboard(store, &b->arena, &b->rows, &b->n_rows, e) == OK)
        results_models(store, &b->arena, &b->models, &b->n_models, e);
    results_close(store);
    if (e->code != OK)
        return e->code;
    if (b->layout->specs)
        layout_columns(b);
    else
        wide_columns(b);
    return make_lines(b, e) == OK ? find_baseline(b, e) : e->code;
}

enum status verb_leaderboard(struct options *o, struct err *e)
{
    struct board *b = calloc(1, sizeof *b);
    struct str out;

    if (!b)
        return err_set(e, ERR_MEMORY, "no memory");
    b->o = o;
    b->layout = find_layout(o->layout);
    str_init(&out, OUTPUT_LIMIT);
    if (read_board(b, e) != OK)
        goto done;
    if (o->format == TABLE_JSON)
        print_json(b, &out);
    else if (b->n_lines == 0)
        say_note("%s holds no score yet", o->db);
    else if (print_table(b, &out, e) != OK)
        goto done;
    if (out.failed)
        err_set(e, ERR_MEMORY, "no memory for the table");
    else if (fwrite(out.at, 1, out.n, stdout) != out.n)
        err_set(e, ERR_INTERNAL, "cannot write the table to standard output");
done:
    str_free(&out);
    arena_free(&b->arena);
    free(b);
    return e->code;
}

enum status verb_report(struct options *o, struct err *e)
{
    if (o->n_words != 1 && o->n_words != 3)
        return err_set(e, ERR_USAGE, "report needs a folder to make, and then no or two models to "
                       "compare: llava-eval report DIR [A B]");
    return report_write(o, o->words[0], o->n_words == 3 ? o->words + 1 : NULL, e);
}
