/* verb_data.c -- fetch, list, describe, show: a benchmark by itself, without a checkpoint. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "harness/fetch.h"
#include "harness/prepare.h"
#include "harness/run.h"
#include "harness/say.h"
#include "harness/table.h"
#include "harness/verbs.h"

enum { OUTPUT_LIMIT = 1 << 30, FLUSH_AT = 1 << 20 };

/* Prints what is in the string, and empties it. */
static enum status put(struct str *s, struct err *e)
{
    if (s->failed)
        return err_set(e, ERR_MEMORY, "no memory for the output");
    if (fwrite(s->at, 1, s->n, stdout) != s->n)
        return err_set(e, ERR_INTERNAL, "cannot write to standard output: %s", strerror(errno));
    str_clear(s);
    return OK;
}

/* ---- fetch ------------------------------------------------------------------------------------ */

/* One after the other; what fails is said, and the others go on. */
enum status verb_fetch(struct options *o, struct err *e)
{
    enum status first = OK;
    int failed = 0, n = o->n_suite + o->n_models;

    if (n == 0)
        return err_set(e, ERR_USAGE, "fetch what? --suite NAME,... or all; --model HUB_ID");
    run_catch_signals();
    for (int i = 0; i < n; i++) {
        struct err one = { 0 };
        struct fetch_state state = { 0 };
        const char *path = NULL;
        struct llava_options apart = { 0 };
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "stopped by a signal; the same command goes on where it "
                           "stopped");
        if (i < o->n_suite) {
            const struct suite_item *item = &o->suite[i];
            fetch_benchmark(o, benchmark_find(item->benchmark), item->split, &state, &one);
            if (one.code == OK && !o->dry_run)
                printf("%s:%s\t%s/%s%s%s\n", item->benchmark, item->split, o->data, item->benchmark,
                       o->scoring_only ? "\twithout images" : "",
                       state.official ? "" : "\tnot the official files");
            if (one.code != OK)
                err_in(&one, "%s:%s", item->benchmark, item->split);
        } else if (hub_find_model(o, o->models[i - o->n_suite].path, &apart, &path, &one) == OK &&
                   !o->dry_run) {
            printf("%s\t%s\n", o->models[i - o->n_suite].path, path);
        }
        if (one.code == OK)
            continue;
        if (n == 1 || one.code == ERR_INTERRUPTED || one.code == ERR_TERMINATED)
            return err_set(e, one.code, "%s", one.text);
        say_error("%s", one.text);
        first = first == OK ? one.code : first;
        failed++;
    }
    return first == OK ? OK : err_set(e, first, "%d of %d could not be fetched", failed, n);
}

/* ---- list, describe --------------------------------------------------------------------------- */

enum status verb_list(struct options *o, struct err *e)
{
    static const struct table_column columns[] = {
        { "name", NULL, false }, { "title", NULL, false }, { "splits", NULL, false },
        { "metric", NULL, false }, { "data", NULL, false },
    };
    enum { N = COUNT(columns) };
    struct arena *a = &o->arena;
    struct str out;
    int n = 0;
    while (benchmarks[n])
        n++;
    struct table_cell (*cells)[N] = arena_array(a, (size_t)n, sizeof *cells);
    if (!cells)
        return err_set(e, ERR_MEMORY, "no memory for the table");
    for (int i = 0; i < n; i++) {
        const struct benchmark *b = benchmarks[i];
        char split[32];
        benchmark_default_split(b, split);
        const char *dir = path_join(a, o->data, b->name);
        const char *const *files = b->question_files ? b->question_files(split) : NULL;
        bool there = files || file_is_dir(path_join(a, dir, b->sources[0].path));
        for (size_t k = 0; files && files[k]; k++)
            there = there && file_size(path_join(a, dir, files[k])) >= 0;
        cells[i][0].text = b->name;
        cells[i][1].text = b->title;
        cells[i][2].text = b->splits;
        cells[i][3].text = b->headline;
        cells[i][4].text = there ? dir : NULL;
    }
    struct table t = {
        .columns = columns, .n_columns = N, .cells = cells[0], .n_rows = n,
        .notes = "The first split is the default: --suite vqav2 means --suite vqav2:testdev. "
                 "llava-eval describe NAME says more.",
    };
    str_init(&out, OUTPUT_LIMIT);
    table_format(&t, o->format, &out);
    put(&out, e);
    str_free(&out);
    return e->code;
}

static void describe_source(const struct source *s, struct str *out)
{
    str_addf(out, "  %s\n", s->path);
    for (size_t i = 0; i < COUNT(s->url) && s->url[i]; i++)
        str_addf(out, "    %s%s\n", i ? "or " : "", s->url[i]);
    if (s->sha256)
        str_addf(out, "    SHA-256 %s\n", s->sha256);
    if (s->bytes)
        str_addf(out, "    %lld bytes\n", (long long)s->bytes);
    if (s->members)
        str_addf(out, "    of the archive only %s\n", s->members);
    if (s->splits)
        str_addf(out, "    for %s\n", s->splits);
    if (s->images)
        str_add(out, "    pictures: left out by --scoring-only\n");
    if (s->optional)
        str_add(out, "    optional: fetched with --optional\n");
}

/* How many questions each split has, where its files are there. */
static void count_questions(const struct options *o, const struct benchmark *b, struct str *out)
{
    const char *at = b->splits;
    while (*at) {
        struct arena a = { 0 };
        struct questions qs;
        struct err ignored = { 0 };
        size_t n = strcspn(at, ",");
        const char *split = arena_strn(&a, at, n);
        const char *dir = path_join(&a, o->data, b->name);
        questions_init(&qs, &a, split);
        bool hidden = b->exported && benchmark_lists(b->exported, split);
        str_addf(out, "  %s%s", split, at == b->splits ? " (default)" : "");
        if (hidden)
            str_add(out, ", answers hidden: exported for the official server");
        if (b->read(dir, split, &qs, &ignored) == OK && !qs.failed && !a.failed)
            str_addf(out, ", %zu questions in %s", qs.n, dir);
        str_addc(out, '\n');
        questions_free(&qs);
        arena_free(&a);
        at += n + (at[n] == ',');
    }
}

enum status verb_describe(struct options *o, struct err *e)
{
    struct str out;
    if (o->n_words == 0)
        return err_set(e, ERR_USAGE, "describe which benchmark? llava-eval list shows all");
    str_init(&out, OUTPUT_LIMIT);
    for (int i = 0; i < o->n_words && e->code == OK; i++) {
        const struct benchmark *b = benchmark_find(o->words[i]);
        if (!b) {
            const char *names[64] = { NULL };
            for (size_t k = 0; benchmarks[k] && k + 1 < COUNT(names); k++)
                names[k] = benchmarks[k]->name;
            const char *near = str_nearest(o->words[i], names);
            err_set(e, ERR_USAGE, "there is no benchmark \"%s\"%s%s%s", o->words[i],
                    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
            break;
        }
        str_addf(&out, "%s%s (%s)\n\nSplits\n", i ? "\n" : "", b->title, b->name);
        count_questions(o, b, &out);
        str_addf(&out, "\nMetric\n  %s: %s\n\nSources\n", b->headline, b->headline_text);
        for (int k = 0; k < b->n_sources; k++)
            describe_source(&b->sources[k], &out);
        if (b->by_hand)
            str_addf(&out, "\nBy hand, for questions about videos\n  %s\n", b->by_hand);
        str_addf(&out, "\nLicence\n  %s\n\nHome page\n  %s\n", b->licence, b->homepage);
        put(&out, e);
    }
    str_free(&out);
    return e->code;
}

/* ---- show ------------------------------------------------------------------------------------- */

struct shown {                      /* what `show` knows of all its questions */
    struct options *o;
    struct split *split;
    struct prompt_set *prompts;
    const char *conversation;
    struct results *store;          /* or NULL: no store, no replies */
    struct results_run_row *runs; size_t n_runs;
};

static void add_reference(const struct question *q, struct str *out)
{
    if (q->n_answers && q->answers) {
        str_addc(out, '[');
        for (int i = 0; i < q->n_answers; i++) {
            str_add(out, i ? "," : "");
            str_add_json(out, q->answers[i]);
        }
        str_addc(out, ']');
    } else if (q->reference) {
        str_add_json(out, q->reference);
    } else {
        str_add(out, "null");
    }
}

static enum status show_line(const struct shown *s, size_t i, struct arena *a, struct str *out,
                             struct err *e)
{
    const struct question *q = &s->split->questions.at[i];
    const char *text, *prompt;
    if (prepare_prompt(s->split->benchmark, &s->split->questions, i, s->prompts, s->conversation,
                       false, a, &text, &prompt, e) != OK)
        return e->code;
    str_add(out, "{\"question_id\":");
    if (s->split->benchmark->integer_ids)
        str_add(out, q->id);
    else
        str_add_json(out, q->id);
    str_add(out, ",\"image\":");
    if (q->image)
        str_add_json(out, path_join(a, s->split->dir, q->image));
    else
        str_add(out, "null");
    str_add(out, ",\"text\":");
    str_add_json(out, text);
    str_add(out, ",\"prompt\":");
    str_add_json(out, prompt);
    str_add(out, ",\"reference\":");
    add_reference(q, out);
    str_add(out, ",\"category\":");
    str_add_json(out, q->category ? q->category : "");
    str_add(out, "}\n");
    return OK;
}

/* What this one reply would score if it were all there is; NaN where the metric says nothing of it. */
static double score_alone(const struct split *s, size_t i, const char *reply)
{
    struct arena a = { 0 };
    size_t n = s->questions.n;
    const char **replies = calloc(n, sizeof *replies);
    struct mark *marks = calloc(n, sizeof *marks);
    uint32_t *weight = calloc(n, sizeof *weight);
    struct scores scores;
    double value = NAN;
    scores_init(&scores, &a);
    if (replies && marks && weight && s->benchmark->mark) {
        for (size_t k = 0; k < n; k++)
            marks[k].missing = k != i;
        replies[i] = reply;
        weight[i] = 1;
        s->benchmark->mark(&s->questions, i, reply, &marks[i]);
        struct tally_input in = { .qs = &s->questions, .replies = replies, .marks = marks,
                                  .passes = 1, .weight = weight, .partial = true };
        s->benchmark->tally(&in, &scores);
        value = scores_get(&scores, "accuracy");
    }
    scores_free(&scores);
    free(replies);
    free(marks);
    free(weight);
    arena_free(&a);
    return value;
}

static enum status add_replies(const struct shown *s, size_t i, struct arena *a, struct str *out,
                               struct err *e)
{
    const struct split *split = s->split;
    for (size_t k = 0; k < s->n_runs && e->code == OK; k++) {
        const struct results_run_row *run = &s->runs[k];
        struct results_reply reply;
        bool found;
        if (strcmp(run->benchmark, split->benchmark->name) || strcmp(run->split, split->name) ||
            strcmp(run->dataset_sha256, split->hash) ||
            results_reply_find(s->store, run->id, i, a, &reply, &found, e) != OK || !found)
            continue;
        str_addf(out, "\n%s, prompts %s, %s, %s\n", run->model, run->prompts, run->dtype,
                 run->started);
        if (!reply.text) {
            str_addf(out, "  failed: %s\n", reply.error ? reply.error : "no reason was kept");
            continue;
        }
        str_addf(out, "  %s\n", reply.text);
        double score = split->benchmark->judge_mark || !split->questions.at[i].reference
                     ? NAN : score_alone(split, i, reply.text);
        if (!isnan(score))
            str_addf(out, "  accuracy of this reply: %.1f\n", score);
    }
    return e->code;
}

static enum status show_page(const struct shown *s, size_t i, struct arena *a, struct str *out,
                             struct err *e)
{
    const struct question *q = &s->split->questions.at[i];
    const char *text, *prompt, *path = q->image ? path_join(a, s->split->dir, q->image) : "none";
    if (prepare_prompt(s->split->benchmark, &s->split->questions, i, s->prompts, s->conversation,
                       false, a, &text, &prompt, e) != OK)
        return e->code;
    bool there = !q->image || s->split->benchmark->image || file_size(path) >= 0;
    str_addf(out, "%s:%s %s%s%s\n\nImage      %s%s\nReference  ", s->split->benchmark->name,
             s->split->name, q->id, q->category && *q->category ? ", " : "",
             q->category ? q->category : "", path, there ? "" : " (not there)");
    if (q->n_answers || q->reference)
        add_reference(q, out);
    else
        str_add(out, "hidden");
    str_addf(out, "\n\nText after the image\n%s\n\nPrompt (%s)\n%s\n", text, s->conversation, prompt);
    return add_replies(s, i, a, out, e);
}

static enum status show_all(const struct shown *s, struct err *e)
{
    struct arena a = { 0 };
    struct str out;
    bool first = true;
    str_init(&out, OUTPUT_LIMIT);
    for (size_t i = 0; i < s->split->questions.n && e->code == OK; i++) {
        if (!s->split->selected[i])
            continue;
        if (s->o->json)
            show_line(s, i, &a, &out, e);
        else {
            str_add(&out, first ? "" : "\n----\n\n");
            show_page(s, i, &a, &out, e);
        }
        first = false;
        if (a.failed)
            err_set(e, ERR_MEMORY, "no memory for the output");
        arena_reset(&a);
        if (out.n > FLUSH_AT)
            put(&out, e);
    }
    put(&out, e);
    str_free(&out);
    arena_free(&a);
    return e->code;
}

enum status verb_show(struct options *o, struct err *e)
{
    struct split split = { 0 };
    struct shown s = { .o = o, .split = &split };

    if (o->n_suite != 1)
        return err_set(e, ERR_USAGE, "show needs one --benchmark NAME");
    if (o->n_words) {
        o->ids = o->words;
        o->n_ids = o->n_words;
    } else if (!o->json && !o->n_ids && o->limit == 0) {
        o->limit = 1;
    }
    if (prompt_set_open(&s.prompts, o->prompts[0], e) != OK ||
        benchmark_check_prompts(s.prompts, e) != OK || split_open(&split, o, &o->suite[0], e) != OK)
        goto done;
    s.conversation = strcmp(o->template, "auto") ? o->template
                   : prompt_set_conversation(s.prompts) ? prompt_set_conversation(s.prompts)
                   : "vicuna_v1";
    if (!o->json && file_exists(o->db) &&
        (results_open(&s.store, o->db, RESULTS_READ, e) != OK ||
         results_runs(s.store, &o->arena, &s.runs, &s.n_runs, e) != OK))
        goto done;
    show_all(&s, e);
done:
    results_close(s.store);
    split_free(&split);
    prompt_set_close(s.prompts);
    return e->code;
}
