/* verb_judge.c -- judge: stored replies; export of what a judge said; how far a judge is from the
 * published figures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/file.h"
#include "harness/import.h"
#include "harness/judge.h"
#include "harness/pairing.h"
#include "harness/say.h"
#include "harness/verbs.h"

enum { OUTPUT_LIMIT = 1 << 26 };

/* ---- export ---------------------------------------------------------------------------------- */

static enum status write_reviews(const struct options *o, const struct str *out, size_t missing,
                                 struct err *e)
{
    if (out->failed)
        err_set(e, ERR_MEMORY, "no memory for the reviews");
    else if (o->out)
        file_write(o->out, out->at, out->n, e);
    else if (fwrite(out->at, 1, out->n, stdout) != out->n)
        err_set(e, ERR_INTERNAL, "cannot write to standard output");
    if (e->code == OK && missing)
        err_set(e, ERR_INCOMPLETE, "%zu judgements are missing: have them made with llava-eval "
                "judge", missing);
    return e->code;
}

static enum status export_run(const struct options *o, struct judge *judge, struct split *s,
                              struct results *store, struct err *e)
{
    struct arena a = { 0 };
    struct results_run_row *runs = NULL;
    struct str out;
    const struct results_run_row *run;
    size_t n = 0, missing = 0;
    const char **replies = arena_array(&a, s->questions.n, sizeof *replies);

    str_init(&out, OUTPUT_LIMIT);
    if (!replies)
        err_set(e, ERR_MEMORY, "no memory for %zu replies", s->questions.n);
    else if (split_leave_out_unasked(s, e) == OK &&
             results_runs(store, &a, &runs, &n, e) == OK &&
             pairing_one(o, runs, n, s, o->models[0].label, &run, e) == OK &&
             results_replies(store, run->id, s->questions.n, &a, replies, NULL, e) == OK &&
             judge_export(judge, s, replies, store, &out, &missing, e) == OK)
        write_reviews(o, &out, missing, e);
    str_free(&out);
    arena_free(&a);
    return e->code;
}

static enum status export_reviews(const struct options *o, struct err *e)
{
    struct results *store = NULL;
    struct judge *judge = NULL;
    struct split s = { 0 };

    if (!o->suite_given || o->n_suite != 1 || o->n_models != 1 ||
        !benchmark_find(o->suite[0].benchmark)->judge_mark)
        return err_set(e, ERR_USAGE, "judge export needs one judged --benchmark and one --model");
    if (judge_open(&judge, o, run_stopped, e) == OK &&
        results_open(&store, o->db, RESULTS_READ, e) == OK &&
        split_open(&s, o, &o->suite[0], e) == OK)
        export_run(o, judge, &s, store, e);
    split_free(&s);
    judge_close(judge);
    results_close(store);
    return e->code;
}

/* ---- calibrate ------------------------------------------------------------------------------- */

/* The model whose published answers these are: --model; its name must be known. */
static enum status check_published(const struct options *o, const struct benchmark *b, struct err *e)
{
    struct str names;
    bool known = false;

    str_init(&names, 1000);
    for (const struct published *p = b->published; p->model; p++) {
        known = known || !strcmp(p->model, o->models[0].label);
        if (p == b->published || strcmp(p->model, p[-1].model) != 0)
            str_addf(&names, "%s%s", names.n ? ", " : "", p->model);
    }
    if (!known)
        err_set(e, ERR_USAGE, "%s: no figures were published for \"%s\": answers of %s can be judged "
                "again", b->name, o->models[0].label, names.at);
    str_free(&names);
    return e->code;
}

static void print_offsets(const struct options *o, const struct split *s, const char *judge,
                          const struct scores *sc, size_t missing)
{
    const char *model = o->models[0].label;
    struct str out;
    bool first = true;

    str_init(&out, OUTPUT_LIMIT);
    if (o->json) {
        str_addf(&out, "{\"benchmark\":\"%s\",\"model\":", s->benchmark->name);
        str_add_json(&out, model);
        str_add(&out, ",\"judge\":");
        str_add_json(&out, judge);
        str_addf(&out, ",\"n\":%zu,\"missing\":%zu,\"metrics\":{", sc->n_questions, missing);
    } else {
        str_addf(&out, "%s, %s by %s%s\n  %-16s %10s %10s %10s\n", s->benchmark->title, model, judge,
                 missing ? " †" : "", "metric", "published", "here", "offset");
    }
    for (const struct published *p = s->benchmark->published; p->model; p++) {
        double value = scores_get(sc, p->metric), offset = value - p->value;
        if (strcmp(p->model, model) != 0)
            continue;
        if (o->json) {
            str_add(&out, first ? "\"" : ",\"");
            str_addf(&out, "%s\":{\"published\":", p->metric);
            str_add_number(&out, p->value);
            str_add(&out, ",\"value\":");
            str_add_number(&out, value);
            str_add(&out, ",\"offset\":");
            str_add_number(&out, offset);
            str_addc(&out, '}');
        } else {
            str_addf(&out, "  %-16s %10.1f %10.1f %+10.1f\n", p->metric, p->value, value, offset);
        }
        first = false;
    }
    if (o->json)
        str_add(&out, "}}\n");
    else if (missing)
        str_addf(&out, "† %zu questions lack a judgement\n", missing);
    fwrite(out.at, 1, out.n, stdout);
    str_free(&out);
}

static enum status judge_answers(const struct options *o, struct split *s, struct judge *judge,
                                 struct results *store, struct err *e)
{
    struct arena a = { 0 };
    struct answers given = { 0 };
    struct scores sc;
    struct mark *marks = NULL;
    size_t missing = 0;
    int passes = 0;

    scores_init(&sc, &a);
    if (import_answers(s->benchmark, &s->questions, o->answers, &given, &a, e) != OK ||
        judge_passes(judge, s, &passes, e) != OK)
        goto done;
    import_warn(&given, o->answers);
    marks = arena_array(&a, (size_t)passes * s->questions.n, sizeof *marks);
    if (!marks)
        err_set(e, ERR_MEMORY, "no memory to judge %zu answers", s->questions.n);
    else if (judge_all(judge, s, o->models[0].label, given.text, store, marks, e) == OK &&
             !o->dry_run && judge_name(judge) &&
             run_tally(s, given.text, marks, passes, true, 0, &sc, &missing, e) == OK)
        print_offsets(o, s, judge_name(judge), &sc, missing);
    if (e->code == OK && !o->dry_run && (missing || !judge_name(judge)))
        err_set(e, ERR_INCOMPLETE, "%zu questions lack an answer or a judgement",
                judge_name(judge) ? missing : s->questions.n);
done:
    answers_free(&given);
    scores_free(&sc);
    arena_free(&a);
    return e->code;
}

static enum status calibrate(const struct options *o, struct err *e)
{
    struct results *store = NULL;
    struct judge *judge = NULL;
    struct split s = { 0 };

    if (!o->suite_given || o->n_suite != 1 || o->n_models != 1 || !o->answers ||
        !benchmark_find(o->suite[0].benchmark)->published)
        return err_set(e, ERR_USAGE, "judge calibrate needs one judged --benchmark, --answers FILE (those "
                       "that LLaVA published) and --model, whose they are");
    run_catch_signals();
    if (check_published(o, benchmark_find(o->suite[0].benchmark), e) == OK &&
        judge_open(&judge, o, run_stopped, e) == OK &&
        results_open(&store, o->db, RESULTS_WRITE, e) == OK &&
        split_open(&s, o, &o->suite[0], e) == OK)
        judge_answers(o, &s, judge, store, e);
    split_free(&s);
    judge_close(judge);
    results_close(store);
    return e->code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

enum status verb_judge(struct options *o, struct err *e)
{
    bool exports = o->n_words && !strcmp(o->words[0], "export");
    bool calibrates = o->n_words && !strcmp(o->words[0], "calibrate");

    if (o->n_words && !exports && !calibrates)
        return err_set(e, ERR_USAGE, "judge does not know \"%s\", only export and calibrate",
                       o->words[0]);
    if (o->answers && !calibrates)
        return err_set(e, ERR_USAGE, "judge judges stored replies: --answers FILE goes with judge calibrate "
                       "(to store a file's answers: score --answers FILE --as LABEL)");
    if (o->out && !exports)
        return err_set(e, ERR_USAGE, "judge keeps what is said in the store: --out goes with judge export");
    if (exports || calibrates)
        return exports ? export_reviews(o, e) : calibrate(o, e);
    run_catch_signals();
    enum status status = run_score_stored(o, false, true, e);
    return o->dry_run ? status : then_leaderboard(o, status);
}
