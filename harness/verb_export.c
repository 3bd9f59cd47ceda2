/* verb_export.c -- export: answers, or a judge's reviews, as the files that others read. */
#include <string.h>

#include "benchmarks/reviews.h"
#include "harness/export.h"
#include "harness/import.h"
#include "harness/marks.h"
#include "harness/pairing.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/verbs.h"

/* The run that --model names over this split: LABEL (paper's prompts before others), LABEL:SET, a number. */
static enum status answers_of_run(const struct options *o, const struct split *s,
                                  struct answers *given, struct arena *a, struct err *e)
{
    struct results *store = NULL;
    struct results_run_row *runs = NULL;
    const struct results_run_row *run = NULL;
    size_t n = 0;

    if (answers_begin(given, &s->questions, a, e) == OK &&
        results_open(&store, o->db, RESULTS_READ, e) == OK &&
        results_runs(store, a, &runs, &n, e) == OK &&
        pairing_one(o, runs, n, s, o->models[0].label, &run, e) == OK)
        results_replies(store, run->id, s->questions.n, a, given->text, NULL, e);
    if (run && marks_of_dtype(run->dtype))                  /* the server's form has no place for it */
        say_note("%s: these answers were made in fp8", o->out);
    for (size_t i = 0; e->code == OK && i < s->questions.n; i++)
        given->missing -= given->text[i] != NULL;
    results_close(store);
    return e->code;
}

static enum status write_files(const struct options *o, const struct exports *files, struct err *e)
{
    size_t bytes;
    if (export_write(files, o->out, &bytes, e) != OK)
        return e->code;
    if (files->n_files > 1)
        say_note("%s: %d files, %zu bytes", o->out, files->n_files, bytes);
    else
        say_note("%s: %zu bytes", o->out, bytes);
    return OK;
}

static enum status export_answers(const struct options *o, struct split *s, struct err *e)
{
    struct arena a = { 0 };
    struct answers given = { 0 };
    struct exports files = { 0 };

    if (o->answers) {
        if (import_answers(s->benchmark, &s->questions, o->answers, &given, &a, e) == OK)
            import_warn(&given, o->answers);
    } else {
        answers_of_run(o, s, &given, &a, e);
    }
    if (e->code == OK && s->benchmark->export(&s->questions, &given, &files, e) == OK &&
        write_files(o, &files, e) == OK && given.missing)
        err_set(e, ERR_INCOMPLETE, "%s: %zu of %zu questions have no answer", o->out, given.missing,
                s->questions.n);
    exports_free(&files);
    answers_free(&given);
    arena_free(&a);
    return e->code;
}

/* As part of a file's name. */
static const char *file_safe(struct arena *a, const char *name)
{
    char *copy = arena_str(a, name);
    for (char *p = copy; *p; p++)
        if (*p == '/' || (unsigned char)*p <= ' ')
            *p = '_';
    return copy;
}

static enum status export_reviews(const struct options *o, struct split *s, struct err *e)
{
    const struct benchmark *b = s->benchmark;
    struct arena a = { 0 };
    struct reviews in;
    struct exports files = { 0 };
    struct review_rules rules = { .strip_think = o->judge_strip_think };

    if (reviews_read(&s->questions, o->reviews, b->judge_attempts > 1, &rules, b->review_question, &a,
                     &in, e) == OK) {
        const char *judge = o->judge_model ? o->judge_model : in.at[0].judge ? in.at[0].judge
                                                                             : "judge";
        if (b->export_reviews(&s->questions, &in, file_safe(&a, o->models[0].label),
                              file_safe(&a, judge), &files, e) == OK)
            write_files(o, &files, e);
    }
    exports_free(&files);
    arena_free(&a);
    return e->code;
}

enum status verb_export(struct options *o, struct err *e)
{
    struct split s = { 0 };

    if (!o->suite_given || o->n_suite != 1 || !o->out)
        return err_set(e, ERR_USAGE, "export needs one --benchmark NAME, and --out FILE");
    const struct benchmark *b = benchmark_find(o->suite[0].benchmark);
    if (o->reviews && !b->export_reviews)
        return err_set(e, ERR_USAGE, "%s is not judged: export needs --answers FILE, or --model LABEL "
                       "for a stored run", b->name);
    if (o->reviews ? o->n_models != 1 : !o->answers && o->n_models != 1)
        return err_set(e, ERR_USAGE, o->reviews
                       ? "export --reviews needs --model LABEL: the files bear the model's name"
                       : "export needs --answers FILE, or --model LABEL for a stored run");
    if (!o->reviews && !b->export)
        return err_set(e, ERR_USAGE, b->export_reviews
                       ? "%s has no server: export its reviews (--reviews FILE), which llava-eval "
                         "judge export writes"
                       : "%s has no server file to write: score it with llava-eval score", b->name);
    if (split_open(&s, o, &o->suite[0], e) == OK)
        o->reviews ? export_reviews(o, &s, e) : export_answers(o, &s, e);
    split_free(&s);
    return e->code;
}
