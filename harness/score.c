/* score.c -- from stored replies to stored scores, and from an answers file to figures.
 *
 * The questions asked are the whole: under --limit, --ids or --shard only the selection is scored,
 * and the score is marked partial. A judged benchmark needs a judge: the demonstration's is the word
 * overlap of overlap.c; without one its replies stay unjudged, which counts as missing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/sha256.h"
#include "harness/overlap.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/verbs.h"

enum { DRAWS = 1000, OUTPUT_LIMIT = 1 << 26 };

static const char demo_judge[] = "demo";

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
                      int passes, bool partial, struct scores *out, size_t *missing,
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
                        partial, DRAWS, out, e);
    arena_free(&a);
    return e->code;
}

/* ---- judging with the demonstration's judge -------------------------------------------------- */

/* What is asked is hashed with the judge's name: the same reply to the same question is judged
 * once, whichever model gave it. */
static void request_hash(const struct judge_request *r, unsigned char out[SHA256_SIZE])
{
    struct sha256 s;

    sha256_init(&s);
    sha256_add(&s, demo_judge, sizeof demo_judge);
    if (r->system)
        sha256_add(&s, r->system, strlen(r->system) + 1);
    sha256_add(&s, r->user, strlen(r->user) + 1);
    sha256_end(&s, out);
}

static enum status judge_one(struct split *s, size_t i, const char *reply, struct results *store,
                             struct mark *mark, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    const struct question *q = &s->questions.at[i];
    struct arena a = { 0 };
    struct judge_request request;
    unsigned char hash[SHA256_SIZE];
    char said[64];
    const char *stored = NULL;

    if (b->judge_request(&s->questions, i, reply, 0, &a, &request, e) != OK)
        goto done;
    request_hash(&request, hash);
    if (store && results_judgement_find(store, hash, 0, 0, &a, &stored, e) != OK)
        goto done;
    if (!stored) {
        b->judge_demo(word_overlap(reply, q->reference), said);
        struct results_judgement j = { .pass = 0, .attempt = 0, .benchmark = b->name,
                                       .question = q->id, .judge = demo_judge, .reply = said };
        memcpy(j.request_sha256, hash, sizeof hash);
        stored = said;
        if (store && results_judgement_add(store, &j, e) != OK)
            goto done;
    }
    mark->unread = !b->judge_mark(stored, 0, mark);
done:
    arena_free(&a);
    return e->code;
}

/* Marks of one pass for a judged benchmark. Without a judge every mark is missing. */
static enum status judge_all(const struct options *o, struct split *s, const char *const *replies,
                             struct results *store, struct mark *marks, struct err *e)
{
    bool demo = o->judge && !strcmp(o->judge, demo_judge);

    for (size_t i = 0; i < s->questions.n; i++)
        marks[i].missing = true;
    if (!demo)
        return OK;
    if (s->benchmark->judge_open(s->dir, &s->questions, e) != OK)
        return e->code;
    if (store && results_begin(store, e) != OK)
        return e->code;
    for (size_t i = 0; i < s->questions.n && e->code == OK; i++)
        if (replies[i] && s->selected[i]) {
            marks[i] = (struct mark){ 0 };
            judge_one(s, i, replies[i], store, &marks[i], e);
        }
    if (store) {
        struct err late = { 0 };
        results_commit(store, e->code == OK ? e : &late);
    }
    return e->code;
}

/* ---- a stored run ---------------------------------------------------------------------------- */

static enum status put_scores(struct split *s, struct results *store, int64_t run_id,
                              const struct scores *sc, bool partial, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct results_score *rows = calloc(sc->n + 1, sizeof *rows);

    if (!rows)
        return err_set(e, ERR_MEMORY, "no memory for scores");
    for (size_t i = 0; i < sc->n; i++)
        rows[i] = (struct results_score){
            .metric = sc->at[i].metric, .value = sc->at[i].value, .stderror = sc->at[i].stderror,
            .n = sc->at[i].n, .headline = !strcmp(sc->at[i].metric, b->headline),
            .partial = partial, .version = b->version,
            .judge = b->judge_mark ? demo_judge : NULL,
        };
    results_scores(store, run_id, rows, sc->n, e);
    free(rows);
    return e->code;
}

enum status run_score(const struct options *o, struct split *s, struct results *store,
                      int64_t run_id, size_t *missing, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct arena a = { 0 };
    struct scores sc;
    const char **replies = arena_array(&a, s->questions.n, sizeof *replies);
    struct mark *marks = b->judge_mark ? arena_array(&a, s->questions.n, sizeof *marks) : NULL;

    scores_init(&sc, &a);
    *missing = 0;
    if (a.failed) {
        err_set(e, ERR_MEMORY, "no memory to score %zu questions", s->questions.n);
        goto done;
    }
    if (results_replies(store, run_id, s->questions.n, &a, replies, NULL, e) != OK ||
        (marks && judge_all(o, s, replies, store, marks, e) != OK))
        goto done;
    if (is_exported(s) || (marks && (!o->judge || strcmp(o->judge, demo_judge)))) {
        for (size_t i = 0; i < s->questions.n; i++)
            *missing += s->selected[i] && (!replies[i] || marks);
        say_note(marks ? "%s: replies are stored, not judged: no score (name a judge with --judge)"
                       : "%s: this split is scored by a server: see llava-eval export", b->name);
        goto done;
    }
    if (run_tally(s, replies, marks, 1, true, &sc, missing, e) == OK)
        put_scores(s, store, run_id, &sc, *missing || !s->whole, e);
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
        str_addf(&out, "%s %s, %zu questions%s\n", s->benchmark->title, s->name, sc->n_questions,
                 missing ? " †" : "");
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
    }
    fwrite(out.at, 1, out.n, stdout);
    str_free(&out);
}

static void warn_about(const struct answers *a, const char *path)
{
    if (a->unreadable)
        say_warning("%s: %zu lines are no JSON object: skipped", path, a->unreadable);
    if (a->unknown)
        say_warning("%s: %zu lines answer no question of the split: skipped", path, a->unknown);
    if (a->repeated)
        say_warning("%s: %zu questions are answered more than once: the last line counts", path,
                    a->repeated);
}

/* Every reply as given; the marks of --reviews for a judged benchmark. */
static enum status score_file(const struct options *o, struct split *s, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct arena a = { 0 };
    struct answers given = { 0 };
    struct scores sc, extra;
    struct mark *marks = NULL;
    size_t missing = 0;
    int passes = 1;

    scores_init(&sc, &a);
    scores_init(&extra, &a);
    if (b->judge_mark && !o->reviews && !o->judge) {
        err_set(e, ERR_USAGE, "%s is scored by a judge: give its recorded replies with --reviews",
                b->name);
        goto done;
    }
    if (o->answers) {
        if (answers_read(b, &s->questions, o->answers, &given, &a, e) != OK)
            goto done;
        warn_about(&given, o->answers);
    } else {                                /* reviews alone: every question counts as answered */
        given.text = arena_array(&a, s->questions.n, sizeof *given.text);
        for (size_t i = 0; given.text && i < s->questions.n; i++)
            given.text[i] = "";
    }
    if (is_exported(s)) {
        err_set(e, ERR_USAGE, "%s:%s is scored by a server: use llava-eval export", b->name, s->name);
        goto done;
    }
    if (o->reviews) {
        if (b->reviews(&s->questions, o->reviews, o->partial, &a, &marks, &passes, &extra, e) != OK)
            goto done;
    } else if (b->judge_mark) {
        if (!(marks = arena_array(&a, s->questions.n, sizeof *marks)) ||
            judge_all(o, s, given.text, NULL, marks, e) != OK)
            goto done;
    }
    if (a.failed)
        err_set(e, ERR_MEMORY, "no memory to score %zu questions", s->questions.n);
    else if (run_tally(s, given.text, marks, passes, o->partial, &sc, &missing, e) == OK) {
        for (size_t i = 0; i < extra.n; i++)
            scores_add(&sc, extra.at[i].value, extra.at[i].n, "%s", extra.at[i].metric);
        print_scores(o, s, &sc, missing);
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

/* Scores again what the store holds, for the suite asked for. */
static enum status score_stored(struct options *o, struct err *e)
{
    struct results *store = NULL;
    struct arena a = { 0 };
    struct results_run_row *runs = NULL;
    size_t n = 0, total_missing = 0;

    if (results_open(&store, o->db, RESULTS_WRITE, e) != OK ||
        results_runs(store, &a, &runs, &n, e) != OK)
        goto done;
    for (int i = 0; i < o->n_suite && e->code == OK; i++) {
        struct split s;
        bool opened = false;
        for (size_t r = 0; r < n && e->code == OK; r++) {
            size_t missing = 0;
            if (strcmp(runs[r].benchmark, o->suite[i].benchmark) ||
                strcmp(runs[r].split, o->suite[i].split))
                continue;
            if (!opened && split_open(&s, o, &o->suite[i], e) == OK) {
                split_leave_out_unasked(&s);
                opened = true;
            }
            if (e->code == OK && strcmp(s.hash, runs[r].dataset_sha256))
                say_warning("%s %s: the data in %s is not what this run was asked; not scored again",
                            runs[r].model, s.benchmark->name, s.dir);
            else if (e->code == OK)
                run_score(o, &s, store, runs[r].id, &missing, e);
            total_missing += missing;
        }
        if (opened)
            split_free(&s);
    }
    if (e->code == OK && total_missing)
        err_set(e, ERR_INCOMPLETE, "%zu answers or judgements are missing", total_missing);
done:
    arena_free(&a);
    results_close(store);
    return e->code;
}

enum status verb_score(struct options *o, struct err *e)
{
    struct split s = { 0 };

    if (!o->answers && !o->reviews) {
        enum status status = score_stored(o, e);
        if (status == OK || status == ERR_INCOMPLETE) {
            struct err table = { 0 };
            verb_leaderboard(o, &table);
        }
        return status;
    }
    if (o->n_suite != 1)
        return err_set(e, ERR_USAGE, "score --answers needs one --benchmark NAME");
    if (split_open(&s, o, &o->suite[0], e) == OK)
        score_file(o, &s, e);
    split_free(&s);
    return e->code;
}
