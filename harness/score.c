/* score.c -- from stored replies to stored scores, and from an answers file to figures.
 *
 * The questions asked are the whole: under --limit, --ids or --shard only the selection is scored,
 * and the score is marked partial. A judged benchmark needs a judge (judge.c): without one its
 * replies stay unjudged, which counts as missing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/reviews.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/fetch.h"
#include "harness/import.h"
#include "harness/judge.h"
#include "harness/say.h"
#include "harness/verbs.h"
#include "harness/version.h"

enum { OUTPUT_LIMIT = 1 << 26 };

static bool is_exported(const struct split *s)
{
    return s->benchmark->exported && benchmark_lists(s->benchmark->exported, s->name);
}

/* The selection as a list of its own, with its replies and marks. */
struct subset {
    struct questions questions;
    const char **replies;
    struct mark *marks;         /* [passes][questions.n], or NULL */
};

static enum status subset_make(struct subset *sub, const struct split *s,
                               const char *const *replies, const struct mark *marks, int passes,
                               struct arena *a, struct err *e)
{
    size_t n = s->n_order, k = 0;

    sub->questions = s->questions;
    sub->questions.index = NULL;
    sub->questions.at = arena_array(a, n, sizeof *sub->questions.at);
    sub->replies = arena_array(a, n, sizeof *sub->replies);
    sub->marks = marks ? arena_array(a, n * (size_t)passes, sizeof *marks) : NULL;
    sub->questions.n = n;
    if (a->failed)
        return err_set(e, ERR_MEMORY, "no memory to score %zu questions", n);
    for (size_t i = 0; i < s->questions.n; i++) {
        if (!s->selected[i])
            continue;
        sub->questions.at[k] = s->questions.at[i];
        sub->replies[k] = replies[i];
        for (int p = 0; marks && p < passes; p++)
            sub->marks[(size_t)p * n + k] = marks[(size_t)p * s->questions.n + i];
        k++;
    }
    return OK;
}

enum status run_tally(const struct split *s, const char *const *replies, const struct mark *marks,
                      int passes, bool partial, int draws, struct scores *out, size_t *missing,
                      struct err *e)
{
    struct arena a = { 0 };
    struct subset sub;

    *missing = 0;
    for (size_t i = 0; i < s->questions.n; i++) {
        bool lacks = !replies[i];
        for (int p = 0; marks && p < passes; p++)
            lacks = lacks || marks[(size_t)p * s->questions.n + i].missing;
        *missing += s->selected[i] && lacks;
    }
    if (subset_make(&sub, s, replies, marks, passes, &a, e) == OK)
        benchmark_score(s->benchmark, &sub.questions, sub.replies, marks ? sub.marks : NULL, passes,
                        partial, draws, out, e);
    arena_free(&a);
    return e->code;
}

/* ---- a stored run ---------------------------------------------------------------------------- */

static enum status put_scores(struct split *s, struct results *store, int64_t run_id,
                              const struct scores *sc, const char *judge, bool partial,
                              struct err *e)
{
    struct results_score *rows = calloc(sc->n + 1, sizeof *rows);
    size_t headline = 0;        /* the first metric stands in where the headline cannot be had */

    if (!rows)
        return err_set(e, ERR_MEMORY, "no memory for scores");
    for (size_t i = 0; i < sc->n; i++)
        if (!strcmp(sc->at[i].metric, s->benchmark->headline))
            headline = i;
    for (size_t i = 0; i < sc->n; i++)
        rows[i] = (struct results_score){
            .metric = sc->at[i].metric, .value = sc->at[i].value, .stderror = sc->at[i].stderror,
            .n = sc->at[i].n, .headline = i == headline, .partial = partial,
            .version = s->benchmark->version, .judge = judge,
        };
    results_scores(store, run_id, rows, sc->n, e);
    free(rows);
    return e->code;
}

enum status run_score(struct judge *judge, struct split *s, const char *label,
                      struct results *store, int64_t run_id, size_t *missing, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct arena a = { 0 };
    struct scores sc;
    int passes = 1;
    const char **replies = arena_array(&a, s->questions.n, sizeof *replies);
    struct mark *marks = NULL;

    scores_init(&sc, &a);
    *missing = 0;
    if (b->judge_mark) {
        if (judge_passes(judge, s, &passes, e) != OK)
            goto done;
        marks = arena_array(&a, (size_t)passes * s->questions.n, sizeof *marks);
    }
    if (a.failed) {
        err_set(e, ERR_MEMORY, "no memory to score %zu questions", s->questions.n);
        goto done;
    }
    if (results_replies(store, run_id, s->questions.n, &a, replies, NULL, e) != OK ||
        (marks && judge_all(judge, s, label, replies, store, marks, e) != OK))
        goto done;
    if (is_exported(s) || (marks && !judge_name(judge))) {
        for (size_t i = 0; i < s->questions.n; i++)
            *missing += s->selected[i] && (!replies[i] || marks);
        if (!marks)
            say_note("%s: this split is scored by a server: see llava-eval export", b->name);
        goto done;
    }
    if (run_tally(s, replies, marks, passes, true, SCORE_DRAWS, &sc, missing, e) == OK)
        put_scores(s, store, run_id, &sc, marks ? judge_name(judge) : NULL, *missing || !s->whole,
                   e);
done:
    scores_free(&sc);
    arena_free(&a);
    return e->code;
}

/* ---- an answers file ------------------------------------------------------------------------- */

static void add_metrics(struct str *out, const struct split *s, const struct scores *sc, size_t n,
                        size_t missing)
{
    str_add(out, "{\"benchmark\":");
    str_add_json(out, s->benchmark->name);
    str_add(out, ",\"split\":");
    str_add_json(out, s->name);
    str_addf(out, ",\"n\":%zu,\"missing\":%zu,\"metrics\":{", n, missing);
    for (size_t i = 0; i < sc->n; i++) {
        if (i)
            str_addc(out, ',');
        str_add_json(out, sc->at[i].metric);
        str_addc(out, ':');
        str_add_number(out, sc->at[i].value);
    }
    str_add(out, "}}\n");
}

static void print_scores(const struct options *o, const struct split *s, const struct scores *sc,
                         size_t missing)
{
    struct str out;

    str_init(&out, OUTPUT_LIMIT);
    if (o->json) {
        add_metrics(&out, s, sc, sc->n_questions, missing);
    } else {
        str_addf(&out, "%s %s, %zu questions%s%s\n", s->benchmark->title, s->name, sc->n_questions,
                 missing ? " †" : "", s->official ? "" : " ‡");
        for (size_t i = 0; i < sc->n; i++) {
            str_addf(&out, "%c %-32s", strcmp(sc->at[i].metric, s->benchmark->headline) ? ' ' : '*',
                     sc->at[i].metric);
            if (isnan(sc->at[i].value))
                str_add(&out, "         –");
            else
                str_addf(&out, "%10.2f", sc->at[i].value);
            if (!isnan(sc->at[i].stderror))
                str_addf(&out, "  ± %.2f", sc->at[i].stderror);
            str_addc(&out, '\n');
        }
        if (missing)
            str_addf(&out, "† %zu of the split's questions have no answer\n", missing);
        if (!s->official)
            str_add(&out, "‡ not the data of the official release\n");
    }
    fwrite(out.at, 1, out.n, stdout);
    str_free(&out);
}

/* Marks, and who gave them: of recorded reviews, or of the demonstration's judge. */
struct judged { struct mark *marks; int passes; const char *judge; };

static enum status read_reviews(const struct options *o, struct split *s, struct arena *a,
                                struct judged *j, struct scores *extra, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct review_rules rules = { .partial = o->partial, .strip_think = o->judge_strip_think };
    struct reviews in;
    struct err none = { 0 };                                /* other forms name no judge */

    if (b->reviews(&s->questions, o->reviews, &rules, a, &j->marks, &j->passes, extra, e) != OK)
        return e->code;
    rules.partial = true;
    j->judge = reviews_read(&s->questions, o->reviews, true, &rules, b->review_question, a, &in,
                            &none) == OK ? reviews_judge(&in, a) : "recorded";
    return OK;
}

static enum status judge_given(const struct options *o, struct split *s,
                               const char *const *replies, struct arena *a, struct judged *j,
                               struct err *e)
{
    struct judge *judge = NULL;

    if (judge_open(&judge, o, run_stopped, e) == OK &&
        judge_passes(judge, s, &j->passes, e) == OK) {
        j->marks = arena_array(a, (size_t)j->passes * s->questions.n, sizeof *j->marks);
        if (j->marks && judge_all(judge, s, o->answers, replies, NULL, j->marks, e) == OK)
            j->judge = judge_name(judge) ? arena_str(a, judge_name(judge)) : NULL;
    }
    judge_close(judge);
    return e->code;
}

/* ---- kept under a label ------------------------------------------------------------------------ */

/* A run of answers made elsewhere: known by label, data and the file itself. How it was asked, and
 * by what weights, nobody knows. */
static enum status note_foreign_run(const struct options *o, struct split *s, struct results *store,
                                    int64_t *run, struct err *e)
{
    struct results_model model = { .label = o->as, .weights_sha256 = "" };
    struct results_run row = {
        .prompts = "unknown", .conversation = "unknown", .image_mode = "unknown",
        .dtype = "unknown", .decode = "{}", .program = llava_eval_version, .device = "elsewhere",
        .host = "elsewhere" };
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];

    if (sha256_file(o->answers, hash, e) != OK ||
        results_model(store, &model, &row.model, e) != OK ||
        run_note_split(s, store, &row.dataset, e) != OK)
        return e->code;
    sha256_hex(hash, hex);
    row.prompt_sha256 = hex;
    return results_run(store, &row, false, run, e);
}

/* sc: NULL where a server scores. */
static enum status keep_as(const struct options *o, struct split *s, const struct answers *given,
                           const struct scores *sc, const char *judge, bool partial, struct err *e)
{
    struct results *store = NULL;
    struct arena a = { 0 };
    const char **texts = arena_array(&a, s->questions.n, sizeof *texts);
    int64_t run;

    if (!texts)
        err_set(e, ERR_MEMORY, "no memory for %zu answers", s->questions.n);
    else if (results_open(&store, o->db, RESULTS_WRITE, e) == OK &&
             note_foreign_run(o, s, store, &run, e) == OK &&
             results_replies(store, run, s->questions.n, &a, texts, NULL, e) == OK &&
             results_begin(store, e) == OK) {
        for (size_t i = 0; i < s->questions.n && e->code == OK; i++) {
            struct results_reply reply = { .text = given->text[i], .finish = "unknown" };
            if (given->text[i] && !texts[i])
                results_reply_add(store, run, i, &reply, e);
        }
        if (e->code == OK && results_commit(store, e) == OK && sc)
            put_scores(s, store, run, sc, judge, partial, e);
        if (e->code == OK && !given->missing)
            results_run_finish(store, run, e);
    }
    if (e->code == OK)
        say_note("%s: kept as %s in %s", o->answers, o->as, o->db);
    results_close(store);
    arena_free(&a);
    return e->code;
}

/* ---- score --answers --------------------------------------------------------------------------- */

static enum status check_command(const struct options *o, const struct benchmark *b, struct err *e)
{
    if (b->judge_mark && !o->reviews && !o->judge)
        return err_set(e, ERR_USAGE, "%s is scored by a judge: give its recorded replies with "
                       "--reviews", b->name);
    return OK;
}

/* Every reply as given; the marks of --reviews for a judged benchmark. */
static enum status score_file(const struct options *o, struct split *s, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct arena a = { 0 };
    struct answers given = { 0 };
    struct scores sc, extra;
    struct judged j = { .passes = 1 };
    size_t missing = 0;

    scores_init(&sc, &a);
    scores_init(&extra, &a);
    if (check_command(o, b, e) != OK)
        goto done;
    if (o->answers) {
        if (import_answers(b, &s->questions, o->answers, &given, &a, e) != OK)
            goto done;
        import_warn(&given, o->answers);
    } else {                                /* reviews alone: every question counts as answered */
        given.text = arena_array(&a, s->questions.n, sizeof *given.text);
        for (size_t i = 0; given.text && i < s->questions.n; i++)
            given.text[i] = "";
    }
    if (is_exported(s)) {
        if (o->as)
            keep_as(o, s, &given, NULL, NULL, false, e);
        else
            err_set(e, ERR_USAGE, "%s:%s is scored by a server: use llava-eval export", b->name,
                    s->name);
        goto done;
    }
    if (o->reviews ? read_reviews(o, s, &a, &j, &extra, e) != OK
                   : b->judge_mark && judge_given(o, s, given.text, &a, &j, e) != OK)
        goto done;
    if (a.failed)
        err_set(e, ERR_MEMORY, "no memory to score %zu questions", s->questions.n);
    else if (run_tally(s, given.text, j.marks, j.passes, o->partial, SCORE_DRAWS, &sc, &missing,
                       e) == OK) {
        for (size_t i = 0; i < extra.n; i++)
            scores_add(&sc, extra.at[i].value, extra.at[i].n, "%s", extra.at[i].metric);
        print_scores(o, s, &sc, missing);
        if (o->as)
            keep_as(o, s, &given, &sc, j.judge, missing > 0, e);
        if (missing)
            err_set(e, ERR_INCOMPLETE, "%s: %zu of %zu questions have no answer", b->name, missing,
                    s->questions.n);
    }
done:
    answers_free(&given);
    scores_free(&sc);
    scores_free(&extra);
    arena_free(&a);
    return e->code;
}

/* --model restricts to labels, --suite to splits; without them all are meant. */
static bool asked_for(const struct options *o, const struct results_run_row *run, bool only_judged)
{
    const struct benchmark *b = benchmark_find(run->benchmark);
    bool model = o->n_models == 0, suite = !o->suite_given;

    for (int i = 0; i < o->n_models; i++)
        model = model || !strcmp(o->models[i].label, run->model);
    for (int i = 0; o->suite_given && i < o->n_suite; i++)
        suite = suite || (!strcmp(o->suite[i].benchmark, run->benchmark) &&
                          !strcmp(o->suite[i].split, run->split));
    return b && model && suite && (b->judge_mark || !only_judged);
}

/* A label, or a suite, that no run has is a slip of the pen, not nothing to do. */
static enum status check_asked(const struct options *o, const struct results_run_row *runs, size_t n,
                               bool only_judged, struct err *e)
{
    bool any = !o->suite_given && !only_judged && !o->n_models;

    for (int m = 0; m < o->n_models; m++) {
        bool there = false;
        for (size_t r = 0; r < n; r++)
            there = there || !strcmp(runs[r].model, o->models[m].label);
        if (!there)
            return err_set(e, ERR_DATA, "%s: there is no run of \"%s\"", o->db, o->models[m].label);
    }
    for (size_t r = 0; r < n; r++)
        any = any || asked_for(o, &runs[r], only_judged);
    return any ? OK : err_set(e, ERR_DATA, "%s: there is no run%s%s to score", o->db,
                              only_judged ? " of a judged benchmark" : "",
                              o->suite_given || o->n_models ? ", as named," : "");
}

/* What a stored run was asked, under whatever limit, is the whole: the selection is narrowed to it.
 * unanswered: questions that a run of the whole would have asked besides. */
static enum status score_run(struct judge *judge, const struct split *whole,
                             const struct results_run_row *run, struct results *store,
                             size_t *unanswered, size_t *missing, struct err *e)
{
    struct arena a = { 0 };
    struct split s = *whole;
    size_t n = s.questions.n;
    const char **texts = arena_array(&a, n, sizeof *texts);
    bool *answered = arena_array(&a, n, sizeof *answered);

    s.order = arena_array(&a, n, sizeof *s.order);
    s.selected = arena_array(&a, n, sizeof *s.selected);
    if (a.failed) {
        err_set(e, ERR_MEMORY, "no memory for %zu questions", n);
    } else if (results_replies(store, run->id, n, &a, texts, answered, e) == OK) {
        memcpy(s.order, whole->order, n * sizeof *s.order);
        memcpy(s.selected, whole->selected, n * sizeof *s.selected);
        split_keep(&s, answered);
        for (size_t i = 0; i < n; i++)
            *unanswered += !answered[i] && !s.questions.at[i].unasked;
        run_score(judge, &s, run->model, store, run->id, missing, e);
    }
    arena_free(&a);
    return e->code;
}

/* Is there a newer run of the same kind? Then this one is what --fresh, or other data, left behind. */
static bool is_superseded(const struct results_run_row *runs, size_t n, size_t r)
{
    const struct results_run_row *x = &runs[r];
    for (size_t k = r + 1; k < n; k++) {                    /* oldest first */
        const struct results_run_row *y = &runs[k];
        if (!strcmp(x->model, y->model) && !strcmp(x->benchmark, y->benchmark) &&
            !strcmp(x->split, y->split) && !strcmp(x->prompt_sha256, y->prompt_sha256) &&
            !strcmp(x->image_mode, y->image_mode) && !strcmp(x->dtype, y->dtype) &&
            !strcmp(x->decode, y->decode))
            return true;
    }
    return false;
}

/* All runs of one split. What a run that was stopped has not answered, or of_shards no shard, is missing,
 * and said. *other_data: a run was over other questions than those that are there now. */
static enum status score_split(const struct options *o, struct judge *judge, struct results *store,
                               const struct results_run_row *runs, size_t n, size_t first,
                               bool of_shards, bool only_judged, size_t *missing, bool *other_data,
                               struct err *e)
{
    struct suite_item item = { runs[first].benchmark, runs[first].split };
    struct split s;

    if (split_open(&s, o, &item, e) == OK)
        for (size_t r = first; r < n && e->code == OK; r++) {
            size_t lacks = 0, unanswered = 0;
            if (strcmp(runs[r].benchmark, item.benchmark) || strcmp(runs[r].split, item.split) ||
                !asked_for(o, &runs[r], only_judged))
                continue;
            if (strcmp(s.hash, runs[r].dataset_sha256)) {
                say_warning("%s %s: the data in %s is not what this run was asked; not scored "
                            "again", runs[r].model, s.benchmark->name, s.dir);
                *other_data = *other_data || !is_superseded(runs, n, r);
                continue;
            }
            score_run(judge, &s, &runs[r], store, &unanswered, &lacks, e);
            bool open = (of_shards || !runs[r].finished) && !is_superseded(runs, n, r);
            bool foreign = !strcmp(runs[r].dtype, "unknown");
            if (unanswered && open)
                say_warning("%s:%s %s: %zu of %zu questions have no reply%s", item.benchmark, item.split,
                            runs[r].model, unanswered, s.questions.n, of_shards ? " in these stores"
                            : foreign ? "" : ": the run was stopped");
            *missing += lacks + (open ? unanswered : 0);
        }
    split_free(&s);
    return e->code;
}

/* Scores again what the store holds. A split whose question files are not there is said and left out:
 * the others are scored, and the status tells. */
enum status run_score_stored(const struct options *o, bool of_shards, bool only_judged,
                             struct err *e)
{
    struct results *store = NULL;
    struct judge *judge = NULL;
    struct arena a = { 0 };
    struct results_run_row *runs = NULL;
    size_t n = 0, missing = 0;
    enum status first = OK;
    bool other_data = false;

    if (!file_exists(o->db))
        return err_set(e, ERR_DATA, "%s: there is no such store: run something first", o->db);
    if (judge_open(&judge, o, run_stopped, e) != OK ||
        results_open(&store, o->db, RESULTS_WRITE, e) != OK ||
        results_runs(store, &a, &runs, &n, e) != OK)
        goto done;
    if (check_asked(o, runs, n, only_judged, e) != OK)
        goto done;
    for (size_t r = 0; r < n && e->code == OK; r++) {
        struct err one = { 0 };
        bool seen = false;
        for (size_t k = 0; k < r; k++)
            seen = seen || (asked_for(o, &runs[k], only_judged) &&
                            !strcmp(runs[k].benchmark, runs[r].benchmark) &&
                            !strcmp(runs[k].split, runs[r].split));
        if (seen || !asked_for(o, &runs[r], only_judged))
            continue;
        score_split(o, judge, store, runs, n, r, of_shards, only_judged, &missing, &other_data, &one);
        if (one.code == ERR_DATA) {
            say_error("%s:%s is not scored: %s", runs[r].benchmark, runs[r].split, one.text);
            first = ERR_DATA;
        } else if (one.code != OK) {
            *e = one;
        }
    }
    if (e->code == OK && (first != OK || (of_shards && other_data)))
        err_set(e, ERR_DATA, "not everything could be scored: --data DIR says where the question files "
                "are");
    if (e->code == OK && missing && !o->dry_run)
        err_set(e, ERR_INCOMPLETE, "%zu answers or judgements are missing", missing);
done:
    arena_free(&a);
    judge_close(judge);
    results_close(store);
    return e->code;
}

enum status then_leaderboard(struct options *o, enum status status)
{
    struct err table = { 0 };
    if (status == OK || status == ERR_INCOMPLETE || status == ERR_DATA)
        verb_leaderboard(o, &table);
    return status;
}

/* ---- merge ----------------------------------------------------------------------------------- */

enum status verb_merge(struct options *o, struct err *e)
{
    struct results_merged what;

    if (o->n_words < 2)
        return err_set(e, ERR_USAGE, "merge needs OUT.db and the stores to join: llava-eval merge "
                       "all.db shards/*.db");
    o->db = o->words[0];
    if (results_merge(o->db, o->words + 1, (size_t)o->n_words - 1, &what, e) != OK)
        return e->code;
    say_note("%s: %zu replies of %zu runs, from %zu stores", o->db, what.replies, what.runs,
             what.stores);
    return then_leaderboard(o, run_score_stored(o, true, false, e));
}

enum status verb_score(struct options *o, struct err *e)
{
    struct split s = { 0 };

    if (o->as && !o->answers)
        return err_set(e, ERR_USAGE, "--as keeps the answers of --answers FILE: none are given");
    if (!o->answers && !o->reviews)
        return then_leaderboard(o, run_score_stored(o, false, false, e));
    if (o->n_suite != 1)
        return err_set(e, ERR_USAGE, "score --answers needs one --benchmark NAME");
    if (split_open(&s, o, &o->suite[0], e) == OK &&
        fetch_is_official(o, s.benchmark, s.name, s.questions.n, &s.official, e) == OK) {
        if (!s.official)
            say_warning("%s: these are not the question files of the official release: the figures do "
                        "not compare with published ones", s.dir);
        score_file(o, &s, e);
    }
    split_free(&s);
    return e->code;
}
