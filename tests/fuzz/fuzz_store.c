/* Any bytes as a store: read as leaderboard, show and report do, then written to, then merged. SQLite is a
 * library of the system and not instrumented; what it hands out of a damaged file is what we must bear. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>
#include "results/results.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { REPLIES = 50 };
static const char store[] = "fuzz.db", merged[] = "merged.db";

/* None is NULL, and each can be read to its end. */
#define NEED(...) need((const char *const[]){ __VA_ARGS__, NULL }, \
                       sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))
static void need(const char *const *texts, size_t n)
{
    static volatile size_t sum;
    for (size_t i = 0; i < n; i++) {
        if (!texts[i])
            abort();
        sum = sum + strlen(texts[i]);
    }
}

static void on_reply(void *user, const char *key, const char *text, const char *reply)
{
    (void)user;
    NEED(key, text, reply);
}

static void read_run(struct results *r, const struct results_run_row *run, struct arena *a)
{
    struct err e = { 0 };
    const char *texts[REPLIES] = { NULL }, *judged, *served;
    bool answered[REPLIES], found;
    struct results_reply reply;
    size_t n = 0, at_limit;
    double mean;
    unsigned char request[32] = { 1 };

    NEED(run->model, run->benchmark, run->split, run->dataset_sha256, run->prompts, run->conversation,
         run->decode, run->dtype, run->started, run->prompt_sha256, run->image_mode);
    results_replies(r, run->id, REPLIES, a, texts, answered, &e);
    err_clear(&e);
    results_lengths(r, run->id, &n, &mean, &at_limit, &e);
    err_clear(&e);
    results_replies_told(r, run->id, on_reply, NULL, &e);
    err_clear(&e);
    if (results_reply_find(r, run->id, 0, a, &reply, &found, &e) == OK && found)
        NEED(reply.finish);
    err_clear(&e);
    results_judgement_find(r, request, 0, 0, a, &judged, &served, &e);
}

static void read_store(struct results *r)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct results_score_row *scores;
    struct results_model_row *models;
    struct results_run_row *runs;
    size_t n;

    if (results_leaderboard(r, &a, &scores, &n, &e) == OK)
        for (size_t i = 0; i < n; i++) {
            const struct results_score_row *s = &scores[i];
            NEED(s->model, s->benchmark, s->split, s->metric, s->prompts, s->image_mode, s->dtype,
                 s->decode);
        }
    err_clear(&e);
    if (results_models(r, &a, &models, &n, &e) == OK)
        for (size_t i = 0; i < n; i++)
            NEED(models[i].label);
    err_clear(&e);
    if (results_runs(r, &a, &runs, &n, &e) == OK)
        for (size_t i = 0; i < n && i < 3; i++)
            read_run(r, &runs[i], &a);
    arena_free(&a);
}

/* A whole small run, as `run`, `judge` and `score` note it. */
static void write_store(struct results *r, struct err *e)
{
    int64_t model, dataset, run;
    int pass;
    struct results_question question = { "q1", "a.jpg", "What?", "cup", "c" };
    struct results_reply reply = { .text = "A cup.", .finish = "stop", .reply_tokens = 3 };
    struct results_judgement judged = {
        .request_sha256 = { 1 }, .benchmark = "gqa", .question = "q1", .judge = "j", .reply = "7 8" };
    struct results_judge_error failed = { "gqa", "q1", "j", "h", 0, 0, 500, NULL, "no" };
    struct results_score score = { .metric = "accuracy", .value = 50, .n = 1, .headline = true };
    struct results_run row = {
        .prompts = "paper", .prompt_sha256 = "p", .conversation = "v1", .image_mode = "pad",
        .dtype = "fp32", .decode = "{}", .program = "0", .device = "cpu", .host = "h" };

    if (results_model(r, &(struct results_model){ "tiny", "w", "linear", "{}", 9 }, &model, e) != OK ||
        results_dataset(r, &(struct results_dataset){ "gqa", "test", "d", 1, true }, &dataset, e) != OK)
        return;
    row.model = model;
    row.dataset = dataset;
    if (results_questions(r, dataset, &question, 1, e) == OK && results_run(r, &row, false, &run, e) == OK &&
        results_run_open(r, run, e) == OK && results_begin(r, e) == OK) {
        results_reply_add(r, run, 0, &reply, e);
        results_commit(r, e);
        results_judgement_add(r, &judged, e);
        results_judge_error_add(r, &failed, e);
        results_judgement_next_pass(r, "gqa", "j", &pass, e);
        results_scores(r, run, &score, 1, e);
        results_run_finish(r, run, e);
    }
}

static void forget(const char *path)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal", "-lock", "-merging" };
    char name[200];
    for (size_t i = 0; i < COUNT(ends); i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct results *r;
    struct results_merged what;
    struct err e = { 0 };
    const char *in[] = { store };

    forget(store);
    forget(merged);
    int fd = open(store, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
    if (results_open(&r, store, RESULTS_READ, &e) == OK)
        read_store(r);
    results_close(r);
    err_clear(&e);
    results_merge(merged, in, 1, &what, &e);
    err_clear(&e);
    if (results_open(&r, store, RESULTS_WRITE, &e) == OK)
        write_store(r, &e);
    if ((e.code != OK) != (*e.text != '\0'))
        abort();
    results_close(r);
    return 0;
}

/* LLAVA_SEEDS: writes good stores into that folder, of pages as small as can be, and does nothing else. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *seeds = getenv("LLAVA_SEEDS");
    char path[4096];
    struct results *r;
    struct err e = { 0 };
    sqlite3 *db;
    (void)argc, (void)argv;
    if (!seeds)
        return 0;
    snprintf(path, sizeof path, "%s/store", seeds);
    forget(path);
    if (results_open(&r, path, RESULTS_WRITE, &e) == OK)
        write_store(r, &e);
    results_close(r);
    if (e.code != OK || sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA journal_mode=DELETE; PRAGMA page_size=512; VACUUM", NULL, NULL,
                     NULL) != SQLITE_OK)
        abort();
    sqlite3_close(db);
    snprintf(path, sizeof path, "%s/store-lock", seeds);
    unlink(path);
    exit(0);
}
