/* report.c -- see report.h. The scores, the comparison, and the page itself. */
#include "harness/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/marks.h"
#include "harness/pairing.h"
#include "harness/report_private.h"
#include "harness/say.h"
#include "harness/version.h"
#include "results/stats.h"

extern const char report_html[], report_css[], report_js[];

/* ---- words ------------------------------------------------------------------------------------ */

enum status report_script(const struct report *r, const char *path, const char *function,
                          const struct str *json, struct err *e)
{
    struct arena a = { 0 };
    struct str out;

    str_init(&out, REPORT_FILE_LIMIT);
    str_addf(&out, "%s(", function);
    for (const char *p = json->at; *p;) {
        size_t n = strcspn(p, "<");
        str_addn(&out, p, n);
        p += n;
        if (*p) {
            str_add(&out, "\\u003c");
            p++;
        }
    }
    str_add(&out, ");\n");
    if (json->failed || out.failed)
        err_set(e, ERR_MEMORY, "no memory for %s", path);
    else
        file_write(path_join(&a, r->part, path), out.at, out.n, e);
    str_free(&out);
    arena_free(&a);
    return e->code;
}

void report_text(struct str *out, const char *key, const char *text)
{
    str_addf(out, "\"%s\":", key);
    if (text)
        str_add_json(out, text);
    else
        str_add(out, "null");
}

static void number(struct str *out, const char *key, double value)
{
    str_addf(out, ",\"%s\":", key);
    str_add_number(out, value);
}

bool report_judge(const struct report *r, const struct report_set *set, struct options *judging)
{
    *judging = *r->o;
    if (!set->benchmark->judge_mark)
        return false;
    if (!judging->judge && !judging->judge_replay && set->judge && !strcmp(set->judge, "demo"))
        judging->judge = "demo";
    return judging->judge || judging->judge_replay;
}

/* ---- what there is ---------------------------------------------------------------------------- */

static bool wanted(const struct options *o, const char *benchmark, const char *split)
{
    for (int i = 0; i < o->n_suite; i++)
        if (!strcmp(o->suite[i].benchmark, benchmark) && !strcmp(o->suite[i].split, split))
            return true;
    return !o->suite_given;
}

static const char *connector_of(const struct report *r, const char *model)
{
    for (size_t i = 0; i < r->n_scores; i++)
        if (!strcmp(r->scores[i].model, model))
            return r->scores[i].connector;
    return NULL;
}

static enum status find_side(struct report *r, const struct results_run_row *run, int *side,
                             struct err *e)
{
    bool usual = !strcmp(run->prompts, "paper") || !strcmp(run->prompts, "unknown");

    for (*side = 0; *side < r->n_sides; ++*side)
        if (!strcmp(r->sides[*side].model, run->model) &&
            !strcmp(r->sides[*side].prompts, run->prompts))
            return OK;
    if (r->n_sides == REPORT_SIDES)
        return err_set(e, ERR_USAGE, "%s: more than %d models and prompt sets: name fewer benchmarks "
                       "with --suite", r->o->db, REPORT_SIDES);
    r->sides[r->n_sides++] = (struct report_side){
        .model = run->model, .prompts = run->prompts, .connector = connector_of(r, run->model),
        .title = usual ? run->model : arena_fmt(&r->arena, "%s:%s", run->model, run->prompts) };
    return OK;
}

/* The newest run of each side; a judge of its scores (sides may have had different ones). */
static enum status fill_set(struct report *r, const struct benchmark *b, const char *split,
                            struct err *e)
{
    struct report_set set = { .benchmark = b, .split = split };
    bool any = false;

    for (size_t i = 0; i < r->n_runs; i++) {                /* oldest first */
        int side;
        if (strcmp(r->runs[i].benchmark, b->name) || strcmp(r->runs[i].split, split))
            continue;
        if (find_side(r, &r->runs[i], &side, e) != OK)
            return e->code;
        set.run[side] = &r->runs[i];
        any = true;
    }
    if (!any)
        return OK;
    if (r->n_sets == REPORT_SETS)
        return err_set(e, ERR_USAGE, "more than %d splits: name fewer with --suite", REPORT_SETS);
    for (size_t i = 0; i < r->n_scores; i++)
        for (int s = 0; s < r->n_sides && !set.judge; s++)
            if (set.run[s] && r->scores[i].run == set.run[s]->id)
                set.judge = r->scores[i].judge;
    set.name = arena_fmt(&r->arena, "%s-%s", b->name, split);
    r->sets[r->n_sets++] = set;
    return OK;
}

static enum status read_store(struct report *r, struct err *e)
{
    if (results_open(&r->store, r->o->db, RESULTS_READ, e) != OK ||
        results_runs(r->store, &r->arena, &r->runs, &r->n_runs, e) != OK ||
        results_leaderboard(r->store, &r->arena, &r->scores, &r->n_scores, e) != OK)
        return e->code;
    for (int b = 0; benchmarks[b] && e->code == OK; b++)
        for (const char *at = benchmarks[b]->splits; at && e->code == OK;
             at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            const char *split = arena_strn(&r->arena, at, strcspn(at, ","));
            if (wanted(r->o, benchmarks[b]->name, split))
                fill_set(r, benchmarks[b], split, e);
        }
    if (e->code == OK && r->n_sets == 0)
        err_set(e, ERR_DATA, "%s: there is no run to report on: run something first", r->o->db);
    return e->code;
}

/* ---- summary.js ------------------------------------------------------------------------------- */

static void add_sides(const struct report *r, struct str *out)
{
    str_add(out, ",\n\"sides\":[");
    for (int i = 0; i < r->n_sides; i++) {
        str_add(out, i ? ",{" : "{");
        report_text(out, "title", r->sides[i].title);
        str_addc(out, ',');
        report_text(out, "model", r->sides[i].model);
        str_addc(out, ',');
        report_text(out, "connector", r->sides[i].connector);
        str_addc(out, ',');
        report_text(out, "prompts", r->sides[i].prompts);
        str_addc(out, '}');
    }
    str_addc(out, ']');
}

static void add_sets(struct report *r, struct str *out)
{
    str_add(out, ",\n\"sets\":[");
    for (int i = 0; i < r->n_sets; i++) {
        const struct report_set *set = &r->sets[i];
        str_add(out, i ? ",\n{" : "\n{");
        report_text(out, "name", set->name);
        str_addc(out, ',');
        report_text(out, "title", split_title(&r->arena, set->benchmark, set->split, NULL));
        str_addc(out, ',');
        report_text(out, "metric", set->benchmark->headline);
        str_addc(out, ',');
        report_text(out, "about", set->benchmark->headline_text);
        number(out, "scale", set->benchmark->scale);
        str_addf(out, ",\"answers\":%zu}", set->n_answers);
    }
    str_addc(out, ']');
}

static void add_scores(const struct report *r, struct str *out)
{
    bool any = false;

    str_add(out, ",\n\"scores\":[");
    for (int s = 0; s < r->n_sets; s++)
        for (int side = 0; side < r->n_sides; side++)
            for (size_t i = 0; i < r->n_scores && r->sets[s].run[side]; i++) {
                const struct results_score_row *row = &r->scores[i];
                if (row->run != r->sets[s].run[side]->id)
                    continue;
                bool category = benchmark_matches(r->sets[s].benchmark->categories, row->metric);
                str_addf(out, "%s\n{\"set\":%d,\"side\":%d,", any ? "," : "", s, side);
                any = true;
                report_text(out, "metric", row->metric);
                number(out, "value", row->value);
                number(out, "stderr", row->stderror);
                str_addf(out, ",\"n\":%zu,\"headline\":%d,\"category\":%d,\"partial\":%d,"
                         "\"official\":%d,", row->n, row->headline, category, row->partial,
                         row->official);
                report_text(out, "judge", row->judge);
                str_addc(out, ',');
                report_text(out, "dtype", row->dtype);
                str_addc(out, '}');
            }
    str_addc(out, ']');
}

/* ---- the comparison --------------------------------------------------------------------------- */

enum { MOST_ROWS = 4096 };
struct rows {
    struct paired_metric *metric[MOST_ROWS];
    const struct paired_split *split[MOST_ROWS];
    int set[MOST_ROWS];
    size_t n;
};

/* Holm over headlines, and over the others, as compare has it. */
static void correct(struct rows *rows, bool headline)
{
    double p[MOST_ROWS] = { 0 }, adjusted[MOST_ROWS];
    struct paired_metric *of[MOST_ROWS];
    size_t n = 0;

    for (size_t i = 0; i < rows->n; i++)
        if (rows->metric[i]->headline == headline) {
            of[n] = rows->metric[i];
            p[n] = of[n]->p;
            n++;
        }
    stats_holm(p, n, adjusted);
    for (size_t i = 0; i < n; i++)
        of[i]->p_holm = adjusted[i];
}

/* One split of two sides; what cannot be compared is said and left out. */
static enum status compare_set(struct report *r, int set, const int side[2], struct rows *rows,
                               struct err *e)
{
    const struct report_set *s = &r->sets[set];
    struct suite_item item = { s->benchmark->name, s->split };
    const struct results_run_row *runs[2] = { s->run[side[0]], s->run[side[1]] };
    struct options judging;
    struct judge *judge = NULL;
    struct paired_split *out = arena_alloc(&r->arena, sizeof *out);
    struct err why = { 0 };
    struct arm arms[2];

    if (!out)
        return err_set(e, ERR_MEMORY, "no memory for a comparison");
    if (!runs[0] || !runs[1] || (s->benchmark->exported &&
                                 benchmark_lists(s->benchmark->exported, s->split)))
        return OK;
    if (!report_judge(r, s, &judging) && s->benchmark->judge_mark)
        return OK;                                          /* said with its answers */
    for (int i = 0; i < 2; i++)
        arms[i] = (struct arm){ .model = r->sides[side[i]].model, .run = 0,
                                .prompts = r->sides[side[i]].prompts,
                                .title = r->sides[side[i]].title };
    judging.limit = 0;                                      /* it is of the answers shown */
    if (judge_open(&judge, &judging, run_stopped, &why) == OK)
        pairing_split(&judging, r->store, judge, &item, runs, arms, 2, &r->arena, out, &why);
    judge_close(judge);
    if (why.code == ERR_USAGE || why.code == ERR_DATA) {
        say_note("%s: not compared: %s", s->name, why.text);
        return OK;
    }
    if (why.code != OK)
        return err_set(e, why.code, "%s", why.text);
    if (out->missing)
        say_note("%s: %zu questions that were asked lack a reply or judgement in %s or %s: left out of their "
                 "comparison", s->name, out->missing, arms[0].title, arms[1].title);
    for (size_t m = 0; m < out->n_metrics && rows->n < MOST_ROWS; m++) {
        rows->set[rows->n] = set;
        rows->split[rows->n] = out;
        rows->metric[rows->n++] = &out->metrics[m];
    }
    return OK;
}

static void add_pair(const struct rows *rows, const int side[2], bool first, struct str *out)
{
    str_addf(out, "%s\n{\"a\":%d,\"b\":%d,\"rows\":[", first ? "" : ",", side[0], side[1]);
    for (size_t i = 0; i < rows->n; i++) {
        const struct paired_metric *m = rows->metric[i];
        const struct paired_split *of = rows->split[i];
        str_addf(out, "%s\n{\"set\":%d,", i ? "," : "", rows->set[i]);
        report_text(out, "metric", m->metric);
        str_addf(out, ",\"headline\":%d,\"n\":%zu,\"gained\":%zu,\"lost\":%zu", m->headline, m->n,
                 m->gained, m->lost);
        number(out, "a", m->value[0]);
        number(out, "b", m->value[1]);
        number(out, "difference", m->contrast[PAIRING_DIFFERENCE]);
        number(out, "low", m->interval[PAIRING_DIFFERENCE].low);
        number(out, "high", m->interval[PAIRING_DIFFERENCE].high);
        number(out, "p", m->p);
        number(out, "holm", m->p_holm);
        str_addf(out, ",\"partial\":%d,\"official\":%d,\"fp8\":[%d,%d],", of->partial || of->missing,
                 of->official, marks_of_dtype(of->dtype[0]) != 0, marks_of_dtype(of->dtype[1]) != 0);
        report_text(out, "judge", of->judge);
        str_addc(out, '}');
    }
    str_add(out, "]}");
}

static enum status add_comparison(struct report *r, const int side[2], bool first, struct str *out,
                                  struct err *e)
{
    struct rows *rows = arena_array(&r->arena, 1, sizeof *rows);

    if (!rows)
        return err_set(e, ERR_MEMORY, "no memory for a comparison");
    for (int s = 0; s < r->n_sets && e->code == OK; s++)
        compare_set(r, s, side, rows, e);
    if (e->code == OK) {
        correct(rows, true);
        correct(rows, false);
        add_pair(rows, side, first, out);
    }
    return e->code;
}

static enum status find_pair(const struct report *r, const char *const *pair, int side[2],
                             struct err *e)
{
    for (int i = 0; i < 2; i++) {
        for (side[i] = 0; side[i] < r->n_sides; side[i]++)
            if (!strcmp(r->sides[side[i]].title, pair[i]))
                break;
        if (side[i] == r->n_sides)
            return err_set(e, ERR_USAGE, "%s: there is no model \"%s\" (LABEL, or LABEL:SET with a "
                           "prompt set): llava-eval leaderboard shows all", r->o->db, pair[i]);
    }
    return side[0] != side[1] ? OK : err_set(e, ERR_USAGE, "\"%s\" cannot be compared with itself",
                                             pair[0]);
}

static enum status add_comparisons(struct report *r, const char *const *pair, struct str *out,
                                   struct err *e)
{
    int side[2] = { 0, 1 };

    str_add(out, ",\n\"comparisons\":[");
    if (pair) {
        if (find_pair(r, pair, side, e) == OK)
            add_comparison(r, side, true, out, e);
    } else {
        for (; side[1] < r->n_sides && e->code == OK; side[1]++)
            add_comparison(r, side, side[1] == 1, out, e);
    }
    str_addc(out, ']');
    return e->code;
}

static enum status write_summary(struct report *r, const char *const *pair, struct err *e)
{
    struct str out;
    char made[32] = "";
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc))
        strftime(made, sizeof made, "%Y-%m-%d %H:%M UTC", &utc);
    str_init(&out, REPORT_FILE_LIMIT);
    str_add(&out, "{");
    report_text(&out, "program", llava_eval_version);
    str_addc(&out, ',');
    report_text(&out, "made", made);
    str_addc(&out, ',');
    report_text(&out, "store", path_base(r->o->db));
    str_addf(&out, ",\"chunk\":%d", REPORT_CHUNK);
    add_sides(r, &out);
    add_sets(r, &out);
    add_scores(r, &out);
    if (add_comparisons(r, pair, &out, e) == OK) {
        str_add(&out, "}");
        report_script(r, "data/summary.js", "report_summary", &out, e);
    }
    str_free(&out);
    return e->code;
}

/* ---- the folder ------------------------------------------------------------------------------- */

static enum status write_page(const struct report *r, struct err *e)
{
    const struct { const char *name, *text; } files[] = {
        { "index.html", report_html }, { "report.css", report_css }, { "report.js", report_js },
    };
    struct arena a = { 0 };

    for (size_t i = 0; i < COUNT(files) && e->code == OK; i++)
        file_write(path_join(&a, r->part, files[i].name), files[i].text, strlen(files[i].text), e);
    arena_free(&a);
    return e->code;
}

enum status report_write(struct options *o, const char *dir, const char *const *pair, struct err *e)
{
    struct report *r = arena_alloc(&o->arena, sizeof *r);
    size_t n = strlen(dir), answers = 0;
    int side[2];

    if (!r)
        return err_set(e, ERR_MEMORY, "no memory for a report");
    r->o = o;
    while (n > 1 && dir[n - 1] == '/')
        n--;
    r->part = arena_fmt(&r->arena, "%.*s.part-%ld", (int)n, dir, (long)getpid());
    run_catch_signals();
    if (read_store(r, e) != OK || (pair && find_pair(r, pair, side, e) != OK) ||
        file_mkdirs(path_join(&r->arena, r->part, "data"), e) != OK || write_page(r, e) != OK)
        goto done;
    for (int s = 0; s < r->n_sets && e->code == OK; s++) {
        if (run_stopped() != OK)
            err_set(e, run_stopped(), "stopped by a signal: no report was written");
        else
            report_answers(r, &r->sets[s], e);
        answers += r->sets[s].n_answers;
    }
    if (e->code == OK && write_summary(r, pair, e) == OK && rename(r->part, dir) != 0)
        err_set(e, errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ? ERR_USAGE
                                                                             : ERR_INTERNAL,
                "%s: cannot become the folder of the report: %s: name another", dir, strerror(errno));
done:
    if (e->code != OK) {
        struct err late = { 0 };
        file_remove_all(r->part, &late);
    } else {
        say_note("%s/index.html: %d models, %d splits, %zu questions with answers", dir, r->n_sides,
                 r->n_sets, answers);
    }
    results_close(r->store);
    arena_free(&r->arena);
    return e->code;
}
