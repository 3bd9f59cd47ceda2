/* The store: what is found again, what survives, what is refused. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "engine/base/file.h"
#include "results/private.h"
#include "tests/check.h"

enum { N = 40 };                                            /* questions of the test's data set */

static const struct results_model a_model = {
    .label = "tiny", .weights_sha256 = "aa", .connector = "linear", .config = "{}", .n_parameters = 7,
};
static const struct results_dataset a_dataset = { "pope", "test", "dd", N, true };

static struct results_run a_run(int64_t model, int64_t dataset)
{
    return (struct results_run){
        .model = model, .dataset = dataset, .prompts = "paper", .prompt_sha256 = "pp",
        .conversation = "vicuna_v1", .image_mode = "config", .dtype = "fp32",
        .decode = "{\"temperature\":0}", .program = "1", .device = "cpu", .host = "here",
    };
}

enum { VERSION = 2 };
extern const char schema_sql[];

static struct results *open_store(enum results_mode mode, struct err *e)
{
    struct results *r = NULL;
    CHECK_OK(results_open(&r, "x.db", mode, e), *e);
    return r;
}

/* The store x.db with one model, data set and run. */
static struct results *make_store(int64_t *run, struct err *e)
{
    struct results *r = open_store(RESULTS_WRITE, e);
    struct results_question qs[N];
    int64_t model, dataset;
    for (int i = 0; i < N; i++)
        qs[i] = (struct results_question){ i % 2 ? "odd" : "even", i % 3 ? "a.jpg" : NULL, "Is it?",
                                           i % 5 ? "yes" : NULL, "random" };
    CHECK_OK(results_model(r, &a_model, &model, e), *e);
    CHECK_OK(results_dataset(r, &a_dataset, &dataset, e), *e);
    CHECK_OK(results_questions(r, dataset, qs, N, e), *e);
    struct results_run it = a_run(model, dataset);
    CHECK_OK(results_run(r, &it, false, run, e), *e);
    return r;
}

static void reply(struct results *r, int64_t run, size_t ordinal, const char *text, struct err *e)
{
    struct results_reply it = { .text = text, .error = text ? NULL : "no image", .reply_tokens = 3,
                                .finish = text ? "stop" : "failed", .ms = 1.5 };
    CHECK_OK(results_reply_add(r, run, ordinal, &it, e), *e);
}

/* A number out of the store, by another connection. */
static int64_t ask(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    int64_t out = -1;
    if (sqlite3_open_v2("x.db", &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK) {
        while (sqlite3_step(q) == SQLITE_ROW)
            out = sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    return out;
}

static bool is_whole(void)
{
    return ask("SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1 &&
           ask("SELECT count(*) FROM pragma_foreign_key_check") == 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

TEST(results_open_makes_and_finds_a_store)
{
    struct err e = { 0 };
    struct results *r = NULL;
    CHECK_INT(results_open(&r, "x.db", RESULTS_READ, &e), ERR_DATA);
    CHECK_STR(e.text, "x.db: no such store: run something first, or name another with --db");
    CHECK(r == NULL && !file_exists("x.db"));
    err_clear(&e);
    results_close(open_store(RESULTS_WRITE, &e));
    CHECK(!file_exists("x.db-wal"));                        /* a closed store is one file */
    CHECK_INT(ask("PRAGMA user_version"), VERSION);
    CHECK_INT(ask("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    results_close(open_store(RESULTS_WRITE, &e));
    results_close(open_store(RESULTS_READ, &e));
    results_close(NULL);
}

TEST(results_migrate_an_empty_file)
{
    struct err e = { 0 };
    struct results *r = NULL;
    CHECK_OK(file_write("x.db", "", 0, &e), e);
    CHECK_INT(results_open(&r, "x.db", RESULTS_READ, &e), ERR_DATA);
    CHECK_STR(e.text, "x.db: holds nothing yet");
    err_clear(&e);
    results_close(open_store(RESULTS_WRITE, &e));
    CHECK_INT(ask("PRAGMA user_version"), VERSION);
}

/* What was judged by the program of version 1 is there in version 2, and asked for by nobody. */
TEST(results_migrate_a_store_of_version_1)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    sqlite3 *db = NULL;
    unsigned char request[32] = { 0 };
    const char *reply = NULL;
    CHECK_INT(sqlite3_open("x.db", &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, schema_sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, "PRAGMA application_id = 0x4C4C5645; PRAGMA user_version = 1;"
                           "INSERT INTO judgement VALUES (zeroblob(32), 0, 0, 'mmvet', 'v1_0', 'j', NULL,"
                           " 'classic', 'stop', '0.5', 1, 2, 3, 'then')", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct results *r = open_store(RESULTS_WRITE, &e);
    CHECK_OK(results_judgement_find(r, request, 0, 0, &a, &reply, NULL, &e), e);
    CHECK_STR(reply, "0.5");
    results_close(r);
    CHECK_INT(ask("PRAGMA user_version"), VERSION);
    CHECK_INT(ask("SELECT usage_estimated + (host IS NULL) FROM judgement"), 1);
    CHECK_INT(ask("SELECT count(*) FROM judge_error"), 0);
    CHECK(is_whole());
    arena_free(&a);
}

static void check_refused(const char *because)
{
    struct err before_e = { 0 }, e = { 0 };
    struct file before, after;
    struct results *r = NULL;
    for (int mode = RESULTS_READ; mode <= RESULTS_WRITE; mode++) {
        CHECK_OK(file_open(&before, "x.db", ERR_DATA, &before_e), before_e);
        char *copy = malloc(before.n);
        memcpy(copy, before.at, before.n);
        err_clear(&e);
        CHECK_INT(results_open(&r, "x.db", (enum results_mode)mode, &e), ERR_DATA);
        CHECK(r == NULL);
        if (!CHECK(strstr(e.text, because) && !strncmp(e.text, "x.db: ", 6)))
            printf("  %s\n", e.text);
        CHECK_OK(file_open(&after, "x.db", ERR_DATA, &before_e), before_e);
        CHECK(after.n == before.n && !memcmp(copy, after.at, after.n));     /* left alone */
        file_close(&before);
        file_close(&after);
        free(copy);
    }
}

TEST(results_refuse_what_is_not_ours)
{
    struct err e = { 0 };
    CHECK_OK(file_write("x.db", "these are no results, but some other text of mine, kept here\n", 62,
                        &e), e);
    check_refused("not a llava-eval store");
    remove("x.db");
    sqlite3 *db = NULL;
    sqlite3_open("x.db", &db);
    sqlite3_exec(db, "CREATE TABLE photo (id INTEGER)", NULL, NULL, NULL);
    sqlite3_close(db);
    check_refused("not a llava-eval store");
    remove("x.db");
    CHECK(mkdir("x.db", 0777) == 0);
    struct results *r = NULL;
    CHECK(results_open(&r, "x.db", RESULTS_READ, &e) != OK);
    CHECK(!strncmp(e.text, "x.db: ", 6));
    err_clear(&e);
    CHECK(results_open(&r, "no/such/folder/x.db", RESULTS_WRITE, &e) != OK);
    CHECK(strstr(e.text, "no/such/folder/x.db: ") != NULL);
}

TEST(results_refuse_a_newer_store)
{
    struct err e = { 0 };
    results_close(open_store(RESULTS_WRITE, &e));
    ask("PRAGMA user_version = 99");
    check_refused("made by a newer llava-eval (store version 99, this program knows up to 2)");
}

TEST(results_refuse_a_store_of_no_version)
{
    struct err e = { 0 };
    results_close(open_store(RESULTS_WRITE, &e));
    ask("PRAGMA user_version = -150994942");
    check_refused("a llava-eval store of version -150994942, which none is: it is damaged");
    ask("PRAGMA user_version = 0");
    check_refused("a llava-eval store of version 0, which none is: it is damaged");
}

/* Reads all there is to read. */
static void read_all(struct results *r)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    struct results_score_row *scores;
    struct results_run_row *runs;
    const char *texts[N] = { 0 };
    size_t n;
    results_leaderboard(r, &a, &scores, &n, &e);
    CHECK(e.code == OK || e.text[0]);
    err_clear(&e);
    results_runs(r, &a, &runs, &n, &e);
    err_clear(&e);
    results_replies(r, 1, N, &a, texts, NULL, &e);
    arena_free(&a);
}

static void count_told(void *user, const char *key, const char *text, const char *reply)
{
    *(size_t *)user += strlen(key) + strlen(text) + strlen(reply);
}

TEST(results_damaged_stores_are_refused_or_read)
{
    struct err e = { 0 };
    struct file f;
    int64_t run;
    struct results *r = make_store(&run, &e);
    results_begin(r, &e);
    for (size_t i = 0; i < N; i++)
        reply(r, run, i, "a reply of some length", &e);
    results_commit(r, &e);
    struct results_score score = { .metric = "f1", .value = 50, .stderror = NAN, .n = N };
    CHECK_OK(results_scores(r, run, &score, 1, &e), e);
    results_close(r);
    CHECK_OK(file_open(&f, "x.db", ERR_DATA, &e), e);
    size_t n = f.n;
    char *good = malloc(n), *bad = malloc(n);
    memcpy(good, f.at, n);
    file_close(&f);
    unsigned seed = 5;
    int refused = 0;
    for (int round = 0; round < 300; round++) {
        size_t length = n;
        memcpy(bad, good, n);
        for (size_t k = 0; k < 1 + n / 100; k++) {
            seed = seed * 1664525u + 1013904223u;
            bad[(seed >> 4) % n] ^= (char)(1 << (seed >> 29));
            if (round % 3 == 0)
                break;
        }
        if (round % 3 == 1) {
            memcpy(bad, good, n);
            length = (seed >> 4) % n;
        }
        err_clear(&e);
        CHECK_OK(file_write("x.db", bad, length, &e), e);
        if (results_open(&r, "x.db", round % 2 ? RESULTS_READ : RESULTS_WRITE, &e) == OK)
            read_all(r);
        else
            CHECK(!strncmp(e.text, "x.db: ", 6));
        refused += e.code != OK;
        results_close(r);
        remove("x.db-wal");
        remove("x.db-shm");
    }
    CHECK(refused > 100);
    bad = memcpy(bad, good, n);
    CHECK_OK(file_write("x.db", bad, n - 4096, (err_clear(&e), &e)), e);
    check_refused("damaged");
    free(good);
    free(bad);
}

/* What the schema forbids, and bytes in a file can hold all the same. */
TEST(results_damaged_stores_give_no_null)
{
    static const char *const doctor =
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '')";
    static const struct { const char *sql; bool scores, models, runs, told; } rows[] = {
        { "UPDATE model SET label = NULL", true, true, true, false },
        { "UPDATE dataset SET benchmark = NULL", false, false, true, false },
        { "UPDATE run SET decode = NULL", false, false, true, false },
        { "UPDATE run SET started = NULL", false, false, true, false },
        { "UPDATE question SET key = NULL", false, false, false, true },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct arena a = { 0 };
        struct results_score_row *scores;
        struct results_model_row *models;
        struct results_run_row *runs;
        sqlite3 *db;
        size_t n;
        int64_t run;
        remove("x.db");
        struct results *r = make_store(&run, &e);
        results_begin(r, &e);
        reply(r, run, 0, "yes", &e);
        results_commit(r, &e);
        struct results_score score = { .metric = "f1", .value = 50, .stderror = NAN, .n = N };
        CHECK_OK(results_scores(r, run, &score, 1, &e), e);
        results_close(r);
        for (int step = 0; step < 2; step++) {              /* the second one knows the new schema */
            CHECK_INT(sqlite3_open("x.db", &db), SQLITE_OK);
            CHECK_INT(sqlite3_exec(db, step ? rows[i].sql : doctor, NULL, NULL, NULL), SQLITE_OK);
            sqlite3_close(db);
        }
        r = open_store(RESULTS_READ, &e);
        CHECK_INT(results_leaderboard(r, &a, &scores, &n, &e), rows[i].scores ? ERR_DATA : OK);
        CHECK(!rows[i].scores || strstr(e.text, "x.db: the store is damaged"));
        err_clear(&e);
        CHECK_INT(results_models(r, &a, &models, &n, &e), rows[i].models ? ERR_DATA : OK);
        err_clear(&e);
        CHECK_INT(results_runs(r, &a, &runs, &n, &e), rows[i].runs ? ERR_DATA : OK);
        err_clear(&e);
        CHECK_INT(results_replies_told(r, run, count_told, &n, &e), rows[i].told ? ERR_DATA : OK);
        results_close(r);
        arena_free(&a);
    }
}

TEST(results_read_from_a_folder_that_cannot_be_written)
{
    struct err e = { 0 };
    int64_t run;
    struct results *r = make_store(&run, &e);
    results_begin(r, &e);
    reply(r, run, 3, "yes", &e);
    results_commit(r, &e);
    results_close(r);
    CHECK(mkdir("r%o?", 0755) == 0 && rename("x.db", "r%o?/x.db") == 0);
    CHECK(chmod("r%o?/x.db", 0444) == 0 && chmod("r%o?", 0555) == 0 && chmod(".", 0755) == 0);
    if (geteuid() == 0 && seteuid(65534) != 0)
        SKIP("root, and cannot become another user");
    const char *texts[N] = { 0 };
    struct arena a = { 0 };
    if (CHECK_OK(results_open(&r, "r%o?/x.db", RESULTS_READ, &e), e))
        CHECK_OK(results_replies(r, run, N, &a, texts, NULL, &e), e);
    CHECK_STR(texts[3], "yes");
    results_close(r);
    CHECK_INT(results_open(&r, "r%o?/x.db", RESULTS_WRITE, &e), ERR_INTERNAL);
    CHECK(strstr(e.text, "r%o?/x.db: cannot be written") != NULL);
    arena_free(&a);
    if (getuid() == 0)
        CHECK(seteuid(0) == 0);
    chmod("r%o?", 0755);
}

/* ---- identity and resume --------------------------------------------------------------------- */

TEST(results_run_is_found_by_what_makes_it)
{
    struct err e = { 0 };
    int64_t first, id, again, model, dataset;
    struct results *r = make_store(&first, &e);
    CHECK_OK(results_model(r, &a_model, &model, &e), e);
    CHECK_OK(results_dataset(r, &a_dataset, &dataset, &e), e);
    struct results_run same = a_run(model, dataset);
    same.program = "2", same.device = "cuda:0", same.host = "there";    /* who made it: no matter */
    CHECK_OK(results_run(r, &same, false, &id, &e), e);
    CHECK_INT(id, first);

    struct results_dataset other_data = a_dataset;
    struct results_model other_model = a_model;
    int64_t other_dataset_id, other_model_id;
    other_data.sha256 = "ee";
    other_model.connector = "mlp2x_gelu";
    CHECK_OK(results_dataset(r, &other_data, &other_dataset_id, &e), e);
    CHECK_OK(results_model(r, &other_model, &other_model_id, &e), e);
    struct results_run others[6];
    for (size_t i = 0; i < COUNT(others); i++)
        others[i] = a_run(model, dataset);
    others[0].model = other_model_id;
    others[1].dataset = other_dataset_id;
    others[2].prompt_sha256 = "qq";
    others[3].image_mode = "crop";
    others[4].dtype = "bf16";
    others[5].decode = "{\"temperature\":0.2}";
    for (size_t i = 0; i < COUNT(others); i++) {
        CHECK_OK(results_run(r, &others[i], false, &id, &e), e);
        CHECK_INT(id, first + 1 + (int64_t)i);
        CHECK_OK(results_run(r, &others[i], false, &again, &e), e);
        CHECK_INT(again, id);
    }
    CHECK_OK(results_run(r, &same, true, &id, &e), e);      /* --fresh; resumed from then on */
    CHECK(id > first);
    CHECK_OK(results_run(r, &same, false, &again, &e), e);
    CHECK_INT(again, id);
    results_close(r);
    CHECK(is_whole());
}

TEST(results_model_is_its_weights)
{
    struct err e = { 0 };
    struct results *r = open_store(RESULTS_WRITE, &e);
    struct results_model m = a_model;
    int64_t first, id;
    CHECK_OK(results_model(r, &m, &first, &e), e);
    m.label = "renamed";
    CHECK_OK(results_model(r, &m, &id, &e), e);
    CHECK_INT(id, first);
    CHECK_INT(ask("SELECT count(*) FROM model WHERE label = 'renamed'"), 1);
    m.connector = "mlp2x_gelu";
    CHECK_OK(results_model(r, &m, &id, &e), e);
    CHECK(id != first);
    struct results_model foreign = { .label = "published", .weights_sha256 = "" };
    int64_t one, two;
    CHECK_OK(results_model(r, &foreign, &one, &e), e);
    CHECK_OK(results_model(r, &foreign, &two, &e), e);
    CHECK_INT(one, two);
    foreign.label = "published elsewhere";
    CHECK_OK(results_model(r, &foreign, &two, &e), e);
    CHECK(one != two);
    results_close(r);
}

TEST(results_label_is_one_models)
{
    struct err e = { 0 };
    struct results *r = open_store(RESULTS_WRITE, &e);
    struct results_model old = a_model, new = a_model;
    int64_t first, second;
    size_t n;
    old.weights_sha256 = "0123456789abcdef";
    CHECK_OK(results_model(r, &old, &first, &e), e);
    CHECK_OK(results_own_label(r, first, &n, &e), e);
    CHECK_INT(n, 0);
    CHECK_OK(results_model(r, &new, &second, &e), e);       /* trained again in the same folder */
    CHECK_OK(results_own_label(r, second, &n, &e), e);
    CHECK_INT(n, 1);
    CHECK_INT(ask("SELECT count(*) FROM model WHERE label IN ('tiny', 'tiny@01234567')"), 2);
    CHECK_OK(results_model(r, &old, &first, &e), e);        /* and the old one asked once more */
    CHECK_OK(results_own_label(r, first, &n, &e), e);
    CHECK_INT(ask("SELECT count(*) FROM model WHERE label IN ('tiny', 'tiny@aa')"), 2);
    results_close(r);
}

TEST(results_questions_are_written_once)
{
    struct err e = { 0 };
    int64_t run, dataset;
    struct results *r = make_store(&run, &e);
    results_close(r);
    r = make_store(&run, &e);                               /* the second time changes nothing */
    CHECK_INT(run, 1);
    CHECK_OK(results_dataset(r, &a_dataset, &dataset, &e), e);
    results_close(r);
    CHECK_INT(ask("SELECT count(*) FROM question"), N);
    CHECK_INT(ask("SELECT count(*) FROM question WHERE key = 'odd'"), N / 2);   /* ids may repeat */
    CHECK_INT(ask("SELECT count(*) FROM question WHERE reference IS NULL"), N / 5);
    CHECK(is_whole());
}

/* ---- replies --------------------------------------------------------------------------------- */

TEST(results_replies_are_what_was_answered)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    int64_t run;
    struct results *r = make_store(&run, &e);
    const char *texts[N] = { 0 };
    bool answered[N] = { false }, found;
    struct results_reply one;
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 0, "", &e);                               /* empty is a reply */
    reply(r, run, 1, NULL, &e);
    reply(r, run, N - 1, "l\xc3\xa4st\n", &e);
    CHECK_OK(results_commit(r, &e), e);
    CHECK_OK(results_replies(r, run, N, &a, texts, answered, &e), e);
    CHECK_STR(texts[0], "");
    CHECK(texts[1] == NULL && texts[2] == NULL);
    CHECK_STR(texts[N - 1], "l\xc3\xa4st\n");
    CHECK(answered[0] && answered[1] && !answered[2] && answered[N - 1]);
    CHECK_OK(results_reply_find(r, run, 1, &a, &one, &found, &e), e);
    CHECK(found && one.text == NULL);
    CHECK_STR(one.error, "no image");
    CHECK_OK(results_reply_find(r, run, 0, &a, &one, &found, &e), e);
    CHECK(found && one.reply_tokens == 3);
    CHECK_NEAR(one.ms, 1.5, 0);
    CHECK_OK(results_reply_find(r, run, 2, &a, &one, &found, &e), e);
    CHECK(!found);

    struct results_run_row *runs;
    size_t n;
    CHECK_OK(results_runs(r, &a, &runs, &n, &e), e);
    CHECK(n == 1 && runs[0].answered == 2 && runs[0].failed == 1 && runs[0].n == N);
    CHECK(runs[0].finished == NULL);
    CHECK_OK(results_run_finish(r, run, &e), e);
    CHECK_OK(results_runs(r, &a, &runs, &n, &e), e);
    CHECK(runs[0].finished != NULL);

    CHECK_OK(results_run_open(r, run, &e), e);              /* --retry-failed */
    CHECK_OK(results_runs(r, &a, &runs, &n, &e), e);
    CHECK(runs[0].finished == NULL);
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 1, "retried", &e);
    CHECK_OK(results_commit(r, &e), e);
    CHECK_OK(results_reply_find(r, run, 1, &a, &one, &found, &e), e);
    CHECK_STR(one.text, "retried");
    CHECK(!one.error);
    results_close(r);
    arena_free(&a);
}

TEST(results_second_reply_is_refused)
{
    struct err e = { 0 };
    int64_t run;
    struct results *r = make_store(&run, &e);
    struct results_reply it = { .text = "second", .finish = "stop" };
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 5, "first", &e);
    CHECK_INT(results_reply_add(r, run, 5, &it, &e), ERR_INTERNAL);
    err_clear(&e);
    CHECK_INT(results_reply_add(r, run + 100, 6, &it, &e), ERR_INTERNAL);   /* no such run */
    err_clear(&e);
    CHECK_OK(results_commit(r, &e), e);
    results_close(r);
    CHECK_INT(ask("SELECT count(*) FROM reply WHERE text = 'first'"), 1);
    CHECK_INT(ask("SELECT count(*) FROM reply"), 1);
    CHECK(is_whole());
}

TEST(results_close_rolls_back)
{
    struct err e = { 0 };
    int64_t run;
    struct results *r = make_store(&run, &e);
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 0, "kept", &e);
    CHECK_OK(results_commit(r, &e), e);
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 1, "lost", &e);
    results_close(r);
    CHECK_INT(ask("SELECT count(*) FROM reply"), 1);
}

/* A process writes replies one by one and says which are committed; it is killed at some moment.
 * Each one it spoke of must be there. */
TEST(results_survive_kill_9)
{
    struct err e = { 0 };
    int64_t run;
    size_t next = 0;
    results_close(make_store(&run, &e));
    for (int round = 0; round < 12; round++) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            struct results *r = NULL;
            if (results_open(&r, "x.db", RESULTS_WRITE, &e) != OK)
                _exit(1);
            for (size_t i = next; i < next + 100000; i += 3) {
                struct results_reply it = { .text = "a reply", .finish = "stop" };
                if (results_begin(r, &e) == OK)
                    for (size_t k = i; k < i + 3; k++)
                        results_reply_add(r, run, k, &it, &e);
                if (results_commit(r, &e) != OK || write(ends[1], &i, sizeof i) != sizeof i)
                    _exit(1);
            }
            _exit(0);
        }
        close(ends[1]);
        size_t last = next, i;                              /* at work, however busy the machine: */
        if (read(ends[0], &i, sizeof i) == sizeof i)        /* it has spoken once                 */
            last = i + 3;
        usleep(1000 + 1919 * (unsigned)round);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(ends[0], &i, sizeof i) == sizeof i)
            last = i + 3;
        close(ends[0]);
        CHECK(last > next);
        CHECK(is_whole());
        int64_t there = ask("SELECT count(*) FROM reply");
        CHECK(there == (int64_t)last || there == (int64_t)last + 3);    /* committed, not yet said */
        next = (size_t)there;
        CHECK_INT(ask("SELECT max(ordinal) + 1 FROM reply"), there ? there : -1);
    }
    results_close(open_store(RESULTS_WRITE, &e));           /* the lock went with its holder */
}

TEST(results_one_process_writes)
{
    struct err e = { 0 };
    int64_t run;
    int ready[2];
    CHECK(pipe(ready) == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct results *r = make_store(&run, &e);
        results_begin(r, &e);
        reply(r, run, 0, "one", &e);
        results_commit(r, &e);
        results_begin(r, &e);                               /* an open transaction */
        reply(r, run, 1, "two", &e);
        _exit(write(ready[1], "x", 1) == 1 ? pause() : 1);
    }
    char x, text[100];
    struct results *r = NULL;
    CHECK_INT(read(ready[0], &x, 1), 1);
    CHECK_INT(results_open(&r, "x.db", RESULTS_WRITE, &e), ERR_INTERNAL);
    snprintf(text, sizeof text, "x.db: another llava-eval (process %ld) is writing", (long)pid);
    CHECK(r == NULL && strstr(e.text, text));
    err_clear(&e);
    r = open_store(RESULTS_READ, &e);                       /* readers may look on */
    struct arena a = { 0 };
    const char *texts[N] = { 0 };
    CHECK_OK(results_replies(r, 1, N, &a, texts, NULL, &e), e);
    CHECK_STR(texts[0], "one");
    CHECK(texts[1] == NULL);
    results_close(r);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    results_close(open_store(RESULTS_WRITE, &e));
    arena_free(&a);
}

/* ---- full disks ------------------------------------------------------------------------------ */

TEST(results_disk_full_loses_only_what_was_not_committed)
{
    struct err e = { 0 };
    int64_t run;
    struct results *r = make_store(&run, &e);
    char *big = malloc(100001);
    memset(big, 'x', 100000);
    big[100000] = '\0';
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 0, "kept", &e);
    CHECK_OK(results_commit(r, &e), e);
    CHECK(sqlite3_exec(r->db, "PRAGMA max_page_count = 30", NULL, NULL, NULL) == SQLITE_OK);
    CHECK_OK(results_begin(r, &e), e);
    struct results_reply it = { .text = big, .finish = "stop" };
    for (size_t i = 1; i < N && e.code == OK; i++)
        results_reply_add(r, run, i, &it, &e);
    CHECK_INT(e.code, ERR_INTERNAL);
    CHECK(!strncmp(e.text, "x.db: disk full while writing a reply", 37));
    struct err late = { 0 };
    results_commit(r, &late);                               /* must not hang or crash */
    results_close(r);
    CHECK_INT(ask("SELECT count(*) FROM reply WHERE text = 'kept'"), 1);
    CHECK(is_whole());
    free(big);
}

/* The same from below: the file system takes no more. */
TEST(results_refused_writes_leave_a_whole_store)
{
    struct err e = { 0 };
    int64_t run;
    struct results *r = make_store(&run, &e);
    char *big = malloc(100001);
    memset(big, 'x', 100000);
    big[100000] = '\0';
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 300000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    size_t committed = 0;
    for (size_t i = 0; i < N && e.code == OK; i++) {
        struct results_reply it = { .text = big, .finish = "stop" };
        if (results_begin(r, &e) == OK && results_reply_add(r, run, i, &it, &e) == OK &&
            results_commit(r, &e) == OK)
            committed++;
    }
    CHECK_INT(e.code, ERR_INTERNAL);
    CHECK(!strncmp(e.text, "x.db: ", 6) && committed > 0 && committed < N);
    results_close(r);
    limit.rlim_cur = before;
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK(ask("SELECT count(*) FROM reply") >= (int64_t)committed);
    CHECK(is_whole());
    err_clear(&e);
    r = open_store(RESULTS_WRITE, &e);                      /* room again: it goes on */
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, N - 1, "after", &e);
    CHECK_OK(results_commit(r, &e), e);
    results_close(r);
    free(big);
}

/* ---- judgements ------------------------------------------------------------------------------ */

TEST(results_judgements_keep_the_older_row)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    struct results *r = open_store(RESULTS_WRITE, &e);
    struct results_judgement j = { .request_sha256 = { 1, 0, 3 }, .benchmark = "mmvet",
        .question = "v1_0", .judge = "gpt", .served = "gpt-x", .finish = "stop", .reply = "0.7" };
    const char *got;
    CHECK_OK(results_judgement_add(r, &j, &e), e);
    j.reply = "0.1";
    CHECK_OK(results_judgement_add(r, &j, &e), e);
    CHECK_OK(results_judgement_find(r, j.request_sha256, 0, 0, &a, &got, NULL, &e), e);
    CHECK_STR(got, "0.7");
    CHECK_OK(results_judgement_find(r, j.request_sha256, 1, 0, &a, &got, NULL, &e), e);
    CHECK(got == NULL);
    j.attempt = 1;                                          /* another draw */
    CHECK_OK(results_judgement_add(r, &j, &e), e);
    CHECK_OK(results_judgement_find(r, j.request_sha256, 0, 1, &a, &got, NULL, &e), e);
    CHECK_STR(got, "0.1");
    j.attempt = 2;
    j.reply = NULL;                                         /* the judge said nothing: not asked again */
    CHECK_OK(results_judgement_add(r, &j, &e), e);
    CHECK_OK(results_judgement_find(r, j.request_sha256, 0, 2, &a, &got, NULL, &e), e);
    CHECK_STR(got, "");
    unsigned char other[32] = { 1, 0, 4 };
    CHECK_OK(results_judgement_find(r, other, 0, 0, &a, &got, NULL, &e), e);
    CHECK(got == NULL);
    results_close(r);
    CHECK_INT(ask("SELECT count(*) FROM judgement"), 3);
    arena_free(&a);
}

/* ---- scores ---------------------------------------------------------------------------------- */

static struct results_score_row *leaderboard(struct results *r, struct arena *a, size_t *n)
{
    struct err e = { 0 };
    struct results_score_row *rows = NULL;
    CHECK_OK(results_leaderboard(r, a, &rows, n, &e), e);
    return rows;
}

TEST(results_scores_replace_and_read_back)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    int64_t run;
    size_t n;
    struct results *r = make_store(&run, &e);
    CHECK(leaderboard(r, &a, &n) == NULL && n == 0);
    struct results_score scores[] = {
        { .metric = "zz_first", .value = 1.0 / 3, .stderror = NAN, .n = 10, .version = 1 },
        { .metric = "f1", .value = NAN, .stderror = 0.5, .n = N, .headline = true, .partial = true,
          .version = 1, .judge = "gpt" },
        { .metric = "accuracy", .value = -0.0, .stderror = 0, .n = N, .version = 1 },
    };
    CHECK_OK(results_scores(r, run, scores, 3, &e), e);
    struct results_score_row *rows = leaderboard(r, &a, &n);
    CHECK_INT(n, 3);
    CHECK_STR(rows[0].metric, "f1");                        /* headline first, then as scored */
    CHECK_STR(rows[1].metric, "zz_first");
    CHECK_STR(rows[2].metric, "accuracy");
    CHECK(isnan(rows[0].value) && rows[0].partial && rows[0].headline && rows[0].official);
    CHECK_STR(rows[0].judge, "gpt");
    CHECK(rows[1].value == 1.0 / 3 && isnan(rows[1].stderror) && rows[1].judge == NULL);
    CHECK_STR(rows[0].model, "tiny");
    CHECK_STR(rows[0].connector, "linear");
    CHECK_STR(rows[0].benchmark, "pope");
    CHECK_STR(rows[0].prompts, "paper");
    scores[1].value = 86.1;
    CHECK_OK(results_scores(r, run, scores + 1, 1, &e), e);
    rows = leaderboard(r, &a, &n);
    CHECK(n == 1 && rows[0].value == 86.1 && rows[0].run == run);
    CHECK_INT(results_scores(r, run, (struct results_score[2]){ scores[1], scores[1] }, 2, &e),
              ERR_INTERNAL);                                /* one metric twice: all is left as it was */
    rows = leaderboard(r, &a, &n);
    CHECK(n == 1 && rows[0].value == 86.1);
    err_clear(&e);
    CHECK_OK(results_scores(r, run, NULL, 0, &e), e);
    CHECK(leaderboard(r, &a, &n) == NULL && n == 0);
    results_close(r);
    arena_free(&a);
}

TEST(results_leaderboard_takes_the_newest_scored_run)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    int64_t first, second, model, dataset;
    size_t n;
    struct results *r = make_store(&first, &e);
    struct results_score score = { .metric = "f1", .value = 10, .stderror = NAN, .n = N };
    CHECK_OK(results_scores(r, first, &score, 1, &e), e);
    CHECK_OK(results_model(r, &a_model, &model, &e), e);
    CHECK_OK(results_dataset(r, &a_dataset, &dataset, &e), e);
    struct results_run again = a_run(model, dataset);
    CHECK_OK(results_run(r, &again, true, &second, &e), e);
    struct results_score_row *rows = leaderboard(r, &a, &n);
    CHECK(n == 1 && rows[0].value == 10);                   /* not scored yet: the old one stands */
    score.value = 5;
    CHECK_OK(results_scores(r, second, &score, 1, &e), e);
    rows = leaderboard(r, &a, &n);
    CHECK(n == 1 && rows[0].value == 5 && rows[0].run == second);   /* newest, not best */

    again.prompts = "qa";                                   /* another way of asking: a row more */
    again.prompt_sha256 = "qq";
    CHECK_OK(results_run(r, &again, false, &second, &e), e);
    score.value = 7;
    CHECK_OK(results_scores(r, second, &score, 1, &e), e);
    struct results_model other = { .label = "A first by name", .weights_sha256 = "" };
    CHECK_OK(results_model(r, &other, &model, &e), e);
    again = a_run(model, dataset);
    CHECK_OK(results_run(r, &again, false, &second, &e), e);
    CHECK_OK(results_scores(r, second, &score, 1, &e), e);
    rows = leaderboard(r, &a, &n);
    CHECK_INT(n, 3);
    CHECK_STR(rows[0].prompts, "paper");
    CHECK_STR(rows[1].prompts, "qa");
    CHECK_STR(rows[2].model, "A first by name");            /* in order of appearance */
    CHECK(rows[2].connector == NULL);
    struct results_run_row *runs;
    CHECK_OK(results_runs(r, &a, &runs, &n, &e), e);
    CHECK(n == 4 && runs[0].id == first && runs[3].id == second);
    results_close(r);
    arena_free(&a);
}

/* Corrected data under the same split name is another data set: its newest run stands. */
TEST(results_leaderboard_knows_other_data)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    int64_t first, second, model, dataset;
    size_t n;
    struct results *r = make_store(&first, &e);
    struct results_score score = { .metric = "f1", .value = 10, .stderror = NAN, .n = N };
    struct results_dataset other = a_dataset;
    CHECK_OK(results_scores(r, first, &score, 1, &e), e);
    other.sha256 = "ee";
    other.official = false;
    CHECK_OK(results_model(r, &a_model, &model, &e), e);
    CHECK_OK(results_dataset(r, &other, &dataset, &e), e);
    struct results_run run = a_run(model, dataset);
    CHECK_OK(results_run(r, &run, false, &second, &e), e);
    CHECK_OK(results_scores(r, second, &score, 1, &e), e);
    struct results_score_row *rows = leaderboard(r, &a, &n);
    CHECK(n == 1 && rows[0].run == second && !rows[0].official);
    results_close(r);
    arena_free(&a);
}

/* ---- on a network ---------------------------------------------------------------------------- */

TEST(results_know_local_disks)
{
    CHECK(results_network_of("x.db") == NULL);              /* tests run on a local one */
    CHECK(results_network_of("/x.db") == NULL);
    CHECK(results_network_of("no/such/folder/x.db") == NULL);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* A store with one run of a model, replies texts[N] (NULL: none; "!": failed), begun at `started`. */
static void make_part(const char *path, const char *label, const char *connector,
                      const char *started, const char *const *texts)
{
    struct err e = { 0 };
    struct results *r = NULL;
    struct results_model m = a_model;
    struct results_question qs[N] = { 0 };
    int64_t model, dataset, run;
    m.label = label;
    m.connector = connector;
    for (size_t i = 0; i < N; i++)
        if (texts[i])
            qs[i] = (struct results_question){ "key", NULL, "Is it?", "yes", "" };
    CHECK_OK(results_open(&r, path, RESULTS_WRITE, &e), e);
    CHECK_OK(results_model(r, &m, &model, &e), e);
    CHECK_OK(results_dataset(r, &a_dataset, &dataset, &e), e);
    CHECK_OK(results_questions(r, dataset, qs, N, &e), e);
    struct results_run it = a_run(model, dataset);
    CHECK_OK(results_run(r, &it, false, &run, &e), e);
    CHECK_OK(results_begin(r, &e), e);
    for (size_t i = 0; i < N; i++)
        if (texts[i])
            reply(r, run, i, strcmp(texts[i], "!") ? texts[i] : NULL, &e);
    CHECK_OK(results_commit(r, &e), e);
    CHECK_OK(results_run_finish(r, run, &e), e);
    char sql[100];
    snprintf(sql, sizeof sql, "UPDATE run SET started = '%s' WHERE id = %lld", started,
             (long long)run);
    CHECK(sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK);
    results_close(r);
}

static enum status merge(const char *out, const char *a, const char *b, struct err *e)
{
    struct results_merged what;
    const char *in[] = { a, b };
    err_clear(e);
    return results_merge(out, in, b ? 2 : 1, &what, e);
}

static const char *text_of(int run, int ordinal)            /* out of x.db */
{
    static char text[100];
    char sql[200];
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    snprintf(sql, sizeof sql, "SELECT coalesce(text, 'failed') FROM reply WHERE run = %d AND ordinal ="
             " %d", run, ordinal);
    snprintf(text, sizeof text, "none");
    if (sqlite3_open("x.db", &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(db);
    return text;
}

TEST(results_merge_joins_by_run_and_question)
{
    struct err e = { 0 };
    const char *first[N] = { "a0", "!", "a2", "!" }, *second[N] = { NULL, "b1", "a2", "!", "b4" };
    make_part("1.db", "tiny", "linear", "2026-01-02", first);
    make_part("2.db", "tiny", "linear", "2026-01-01", second);
    make_part("2.db", "early", "mlp2x_gelu", "2025-12-31", second);
    for (int round = 0; round < 4; round++) {               /* whatever the order; and once more */
        if (round != 3)
            remove("x.db");
        CHECK_OK(merge("x.db", round % 2 ? "2.db" : "1.db", round % 2 ? "1.db" : "2.db", &e), e);
        CHECK_INT(ask("SELECT count(*) FROM run"), 2);
        CHECK_INT(ask("SELECT count(*) FROM model WHERE id = 1 AND label = 'early'"), 1);
        CHECK_INT(ask("SELECT started = '2026-01-01' FROM run WHERE model = 2"), 1);
        CHECK_STR(text_of(2, 0), "a0");
        CHECK_STR(text_of(2, 1), "b1");                     /* a reply wins over a failure */
        CHECK_STR(text_of(2, 2), "a2");
        CHECK_STR(text_of(2, 3), "failed");
        CHECK_STR(text_of(2, 4), "b4");
        CHECK_INT(ask("SELECT count(*) FROM reply WHERE run = 2"), 5);
        CHECK_INT(ask("SELECT count(*) FROM question"), 5);
        CHECK(is_whole());
    }
    CHECK(!file_exists("x.db-merging") && !file_exists("x.db-wal"));
    results_close(open_store(RESULTS_WRITE, &e));
}

TEST(results_merge_gives_a_label_to_the_later_model)
{
    struct err e = { 0 };
    const char *texts[N] = { "a0" };
    make_part("1.db", "tiny", "linear", "2026-01-01", texts);
    make_part("2.db", "tiny", "mlp2x_gelu", "2026-01-02", texts);
    for (int round = 0; round < 3; round++) {
        CHECK_OK(merge("x.db", round ? "2.db" : "1.db", round ? "1.db" : "2.db", &e), e);
        CHECK_INT(ask("SELECT connector = 'mlp2x_gelu' FROM model WHERE label = 'tiny'"), 1);
        CHECK_INT(ask("SELECT connector = 'linear' FROM model WHERE label = 'tiny@aa'"), 1);
    }
}

/* A store that was deleted by its name alone: what lies beside it is not the merged one's. */
TEST(results_merge_takes_no_old_wal)
{
    struct err e = { 0 };
    const char *texts[N] = { "a0", "a1" };
    int64_t run;
    struct results *r = make_store(&run, &e);
    CHECK_OK(results_begin(r, &e), e);
    reply(r, run, 0, "old", &e);
    CHECK_OK(results_commit(r, &e), e);
    CHECK(rename("x.db-wal", "kept") == 0);                 /* as SIGKILL would leave it */
    results_close(r);
    CHECK(remove("x.db") == 0 && rename("kept", "x.db-wal") == 0);
    make_part("1.db", "tiny", "linear", "2026-01-01", texts);
    CHECK_OK(merge("x.db", "1.db", NULL, &e), e);
    results_close(open_store(RESULTS_READ, &e));
    CHECK_STR(text_of(1, 0), "a0");
    CHECK_INT(ask("SELECT count(*) FROM reply"), 2);
    CHECK(is_whole());
}

TEST(results_merge_refuses_what_contradicts)
{
    struct err e = { 0 };
    const char *first[N] = { "a0", "a1" }, *second[N] = { NULL, "b1" }, *third[N] = { [7] = "c7" };
    make_part("1.db", "tiny", "linear", "2026-01-01", first);
    make_part("2.db", "tiny", "linear", "2026-01-01", second);
    make_part("3.db", "tiny", "linear", "2026-01-01", third);
    CHECK_OK(merge("x.db", "3.db", NULL, &e), e);
    CHECK_INT(merge("x.db", "1.db", "2.db", &e), ERR_DATA);
    CHECK_STR(e.text, "1.db and 2.db contradict each other: to question key of pope:test, the same run "
              "of tiny replies \"a1\" in the one, \"b1\" in the other; leave out the one that is wrong");
    CHECK_INT(ask("SELECT count(*) FROM reply"), 1);        /* as it was */
    CHECK_OK(merge("x.db", "1.db", NULL, &e), e);
    CHECK_INT(merge("x.db", "2.db", NULL, &e), ERR_DATA);
    CHECK(!strncmp(e.text, "x.db and 2.db contradict", 24));
    CHECK_INT(merge("new.db", "2.db", "none.db", &e), ERR_DATA);
    CHECK(!strncmp(e.text, "none.db: no such store", 22) && !file_exists("new.db"));
    err_clear(&e);
    struct results *busy = open_store(RESULTS_WRITE, &e);   /* a run goes on in it */
    CHECK_INT(merge("x.db", "3.db", NULL, &e), ERR_INTERNAL);
    CHECK(strstr(e.text, "is writing this store") != NULL);
    results_close(busy);
}

TEST(results_merge_keeps_scores_of_what_is_whole)
{
    struct err e = { 0 };
    struct results_score score = { .metric = "f1", .value = 10, .stderror = NAN, .n = 2 };
    const char *first[N] = { "a0", "a1" }, *second[N] = { [2] = "b2" };
    make_part("1.db", "tiny", "linear", "2026-01-01", first);
    make_part("2.db", "tiny", "linear", "2026-01-01", second);
    struct results *r = NULL;
    CHECK_OK(results_open(&r, "1.db", RESULTS_WRITE, &e), e);
    CHECK_OK(results_scores(r, 1, &score, 1, &e), e);
    results_close(r);
    CHECK_OK(merge("x.db", "1.db", NULL, &e), e);
    CHECK_INT(ask("SELECT value = 10 FROM score"), 1);
    CHECK_OK(merge("x.db", "1.db", "2.db", &e), e);         /* no longer the whole */
    CHECK_INT(ask("SELECT count(*) FROM score"), 0);
}
