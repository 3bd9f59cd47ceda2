/* verb_run.c -- run: for each model and benchmark, answers come in, the table goes out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/devices.h"
#include "harness/fetch.h"
#include "harness/judge.h"
#include "harness/say.h"
#include "harness/verbs.h"

/* Keeps the first failure of several steps that go on after one. */
static void remember(enum status *first, enum status s)
{
    if (*first == OK)
        *first = s;
}

static bool has_split(const struct options *o, int upto, const struct suite_item *item)
{
    for (int i = 0; i < upto; i++)
        if (!strcmp(o->suite[i].benchmark, item->benchmark) &&
            !strcmp(o->suite[i].split, item->split))
            return true;
    return false;
}

/* How the split's questions lie in shards; said once its question files are there. */
static enum status print_shards(const struct options *o, const struct suite_item *item,
                                struct err *e)
{
    struct options all = *o;
    struct split s;
    struct shard *at = calloc((size_t)o->n_shards, sizeof *at);
    struct err why = { 0 };

    all.n_shards = all.shard_index = 1;
    if (!at)
        err_set(e, ERR_MEMORY, "no memory for %d shards", o->n_shards);
    else if (split_open(&s, &all, item, &why) != OK) {
        say_note("%s:%s: its shards are known once the question files are there", item->benchmark,
                 item->split);
    } else {
        split_shards(&s, o->n_shards, at);
        for (int i = 0; i < o->n_shards; i++)
            printf("%s:%s\t%d/%d\t%zu groups\t%zu questions\t%llu tokens%s\n", item->benchmark,
                   item->split, i + 1, o->n_shards, at[i].groups, at[i].questions,
                   (unsigned long long)at[i].cost, i + 1 == o->shard_index ? "\tthis one" : "");
    }
    if (at)
        split_free(&s);
    free(at);
    return e->code;
}

/* Makes sure of the data and reads the questions. A benchmark whose data cannot be had is said and
 * left out: the others run, and the exit status tells. */
static enum status open_splits(const struct options *o, struct split *splits, int *n,
                               struct err *e)
{
    enum status first = OK;

    *n = 0;
    for (int i = 0; i < o->n_suite; i++) {
        const struct suite_item *item = &o->suite[i];
        const struct benchmark *b = benchmark_find(item->benchmark);
        struct fetch_state state = { 0 };
        struct err one = { 0 };

        if (has_split(o, i, item))
            continue;
        if (run_stopped() != OK)
            return err_set(e, run_stopped(), "stopped by a signal while fetching");
        fetch_benchmark(o, b, item->split, &state, &one);
        if (one.code == OK && o->dry_run && o->n_shards > 1)
            print_shards(o, item, &one);
        if (one.code == OK && !o->dry_run &&
            split_open(&splits[*n], o, item, &one) == OK &&
            split_leave_out_unasked(&splits[*n], &one) == OK)
            splits[*n].official = state.official;
        if (one.code != OK) {
            say_error("%s:%s: %s", item->benchmark, item->split, one.text);
            remember(&first, one.code);
            split_free(&splits[*n]);
        } else if (!o->dry_run) {
            (*n)++;
        }
    }
    return first;
}

/* Under -v: where the time since the model was opened went; idle is what was spent outside of the
 * engine: waiting for prompts and pixels, the store, scoring. */
static void say_stages(const char *label, const struct llava *m)
{
    struct llava_stats st;
    struct str line;

    llava_stats(m, &st);
    str_init(&line, 4096);
    for (int i = 0; i < LLAVA_STAGES && st.stage[i].name; i++)
        str_addf(&line, "%s %s %.2f s", i ? "," : "", st.stage[i].name, st.stage[i].seconds);
    say_detail("%s:%s", label, line.failed ? "" : line.at);
    str_free(&line);
}

/* One model through all splits and prompt sets. */
static enum status run_model(struct options *o, const struct model_choice *choice,
                             struct split *splits, int n_splits, struct judge *judge,
                             struct results *store, struct err *e)
{
    struct devices *d = NULL;
    const char *path;
    enum status first = OK;

    struct llava_options lo = {
        .device = o->device, .dtype = o->dtype, .batch_tokens = o->batch_tokens, .simd = o->simd,
        .timeline = o->verbose > 0,
    };
    if (hub_find_model(o, choice->path, &lo, &path, e) != OK ||
        devices_open(&d, path, &lo, e) != OK)
        return e->code;
    const struct llava_info *info = llava_info(devices_model(d, 0));
    if (info->device_note)
        say_note("%s", info->device_note);
    say_note("%s: %s connector, %s, %s", choice->label, info->connector, devices_describe(d),
             info->dtype);
    if (info->dtype_note)
        say_note("%s: %s", choice->label, info->dtype_note);
    for (int p = 0; p < o->n_prompts && e->code == OK; p++)
        for (int i = 0; i < n_splits && e->code == OK; i++) {
            int64_t run_id;
            size_t missing = 0;
            if (run_split(o, d, choice->label, o->prompts[p], &splits[i], store, &run_id, e) == OK &&
                run_score(judge, &splits[i], choice->label, store, run_id, &missing, e) == OK &&
                missing)
                remember(&first, ERR_INCOMPLETE);
        }
    for (int i = 0; devices_model(d, i); i++)
        say_stages(choice->label, devices_model(d, i));
    devices_close(d);
    return e->code == OK ? first : e->code;
}

static enum status check_prompts(const struct options *o, struct err *e)
{
    for (int i = 0; i < o->n_prompts && e->code == OK; i++) {
        struct prompt_set *set = NULL;
        if (prompt_set_open(&set, o->prompts[i], e) == OK)
            benchmark_check_prompts(set, e);
        prompt_set_close(set);
    }
    return e->code;
}

enum status verb_run(struct options *o, struct err *e)
{
    struct split *splits = calloc((size_t)o->n_suite, sizeof *splits);
    struct results *store = NULL;
    struct judge *judge = NULL;
    int n_splits = 0;
    enum status first = OK;

    if (!splits)
        return err_set(e, ERR_MEMORY, "no memory");
    run_catch_signals();
    if (o->demo)
        say_note("no --model: running the demonstration, two tiny checkpoints on a mini-suite made "
                 "for them; its figures say nothing about LLaVA-1.5");
    if (check_prompts(o, e) != OK || (!o->dry_run && judge_open(&judge, o, run_stopped, e) != OK))
        goto done;                          /* before anything is fetched or loaded */
    first = open_splits(o, splits, &n_splits, e);
    if (e->code != OK || o->dry_run)
        goto done;
    if (n_splits == 0) {
        err_set(e, first, "no benchmark of the suite can be run");
        goto done;
    }
    if (results_open(&store, o->db, RESULTS_WRITE, e) != OK)
        goto done;
    if (results_network(store))
        say_note("%s lies on a network file system (%s): written with a rollback journal, not in WAL "
                 "mode", o->db, results_network(store));
    for (int i = 0; i < o->n_models && e->code == OK; i++) {
        struct err one = { 0 };
        enum status s = run_model(o, &o->models[i], splits, n_splits, judge, store, &one);
        remember(&first, s);
        if (one.code == ERR_CHECKPOINT || one.code == ERR_DATA)
            say_error("%s: %s", o->models[i].label, one.text);  /* the other models still run */
        else if (one.code != OK)
            *e = one;
    }
    results_close(store);
    store = NULL;
    if (e->code == OK)
        verb_leaderboard(o, e);
done:
    for (int i = 0; i < n_splits; i++)
        split_free(&splits[i]);
    free(splits);
    judge_close(judge);
    results_close(store);
    if (e->code == OK && first == ERR_INCOMPLETE)
        return err_set(e, first, "some answers or judgements are missing: see the marks in the table");
    if (e->code == OK && first != OK)
        return err_set(e, first, "not everything could be run: see the messages above");
    return e->code;
}
