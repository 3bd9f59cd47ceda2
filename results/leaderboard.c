/* leaderboard.c -- the questions that tables ask: which scores are there, which runs?
 *
 * A model stands by its newest scored run of each kind; one that lacks replies keeps its place,
 * marked partial: it is neither hidden nor taken for a weaker model. */
#include "results/private.h"

#include <math.h>
#include <string.h>

static double column_number(sqlite3_stmt *q, int at)
{
    return sqlite3_column_type(q, at) == SQLITE_NULL ? NAN : sqlite3_column_double(q, at);
}

/* A growing array in an arena: doubles by copying; the old ones die with the arena. */
static void *grow(struct arena *a, void *rows, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return rows;
    *room = *room ? 2 * *room : 64;
    void *more = arena_array(a, *room, size);
    if (more && n)
        memcpy(more, rows, n * size);
    return more;
}

enum status results_leaderboard(struct results *r, struct arena *a,
                                struct results_score_row **rows, size_t *n, struct err *e)
{
    sqlite3_stmt *q;
    size_t room = 0;
    int rc;

    *rows = NULL;
    *n = 0;
    if (results_prepare(r, &q, "SELECT model, connector, benchmark, split, metric, prompts,"
                        " image_mode, dtype, decode, judge, value, stderr, n, headline, partial,"
                        " official, run FROM leaderboard ORDER BY model_id, benchmark, split,"
                        " prompts <> 'paper', prompts, run, headline DESC, place",
                        "reading scores", e) != OK)
        return e->code;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (!(*rows = grow(a, *rows, *n, &room, sizeof **rows)))
            break;
        (*rows)[(*n)++] = (struct results_score_row){
            .model = results_need(r, a, q, 0, e), .connector = results_text(a, q, 1),
            .benchmark = results_need(r, a, q, 2, e), .split = results_need(r, a, q, 3, e),
            .metric = results_need(r, a, q, 4, e), .prompts = results_need(r, a, q, 5, e),
            .image_mode = results_need(r, a, q, 6, e), .dtype = results_need(r, a, q, 7, e),
            .decode = results_need(r, a, q, 8, e), .judge = results_text(a, q, 9),
            .value = column_number(q, 10), .stderror = column_number(q, 11),
            .n = (size_t)sqlite3_column_int64(q, 12), .headline = sqlite3_column_int(q, 13),
            .partial = sqlite3_column_int(q, 14), .official = sqlite3_column_int(q, 15),
            .run = sqlite3_column_int64(q, 16),
        };
    }
    if (a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the scores", r->path);
    else if (rc != SQLITE_DONE)
        results_fail(r, e, "reading scores");
    sqlite3_finalize(q);
    return e->code;
}

enum status results_runs(struct results *r, struct arena *a, struct results_run_row **rows,
                         size_t *n, struct err *e)
{
    sqlite3_stmt *q;
    size_t room = 0;
    int rc;

    *rows = NULL;
    *n = 0;
    if (results_prepare(r, &q, "SELECT r.id, m.label, d.benchmark, d.split, d.hash, r.prompts,"
                        " r.conversation, r.decode, r.dtype, r.started, r.finished, d.n,"
                        " (SELECT count(text) FROM reply WHERE run = r.id),"
                        " (SELECT count(*) - count(text) FROM reply WHERE run = r.id),"
                        " r.prompt_hash, r.image_mode, d.official"
                        " FROM run r JOIN model m ON m.id = r.model JOIN dataset d ON d.id = r.dataset"
                        " ORDER BY r.id", "listing runs", e) != OK)
        return e->code;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (!(*rows = grow(a, *rows, *n, &room, sizeof **rows)))
            break;
        (*rows)[(*n)++] = (struct results_run_row){
            .id = sqlite3_column_int64(q, 0), .model = results_need(r, a, q, 1, e),
            .benchmark = results_need(r, a, q, 2, e), .split = results_need(r, a, q, 3, e),
            .dataset_sha256 = results_need(r, a, q, 4, e), .prompts = results_need(r, a, q, 5, e),
            .conversation = results_need(r, a, q, 6, e), .decode = results_need(r, a, q, 7, e),
            .dtype = results_need(r, a, q, 8, e), .started = results_need(r, a, q, 9, e),
            .finished = results_text(a, q, 10), .n = (size_t)sqlite3_column_int64(q, 11),
            .answered = (size_t)sqlite3_column_int64(q, 12),
            .failed = (size_t)sqlite3_column_int64(q, 13),
            .prompt_sha256 = results_need(r, a, q, 14, e), .image_mode = results_need(r, a, q, 15, e),
            .official = sqlite3_column_int(q, 16),
        };
    }
    if (a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the list of runs", r->path);
    else if (rc != SQLITE_DONE)
        results_fail(r, e, "listing runs");
    sqlite3_finalize(q);
    return e->code;
}

enum status results_models(struct results *r, struct arena *a, struct results_model_row **rows,
                           size_t *n, struct err *e)
{
    sqlite3_stmt *q;
    size_t room = 0;
    int rc;

    *rows = NULL;
    *n = 0;
    if (results_prepare(r, &q, "SELECT label, nullif(connector, ''), config, n_parameters FROM model"
                        " ORDER BY id", "listing models", e) != OK)
        return e->code;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (!(*rows = grow(a, *rows, *n, &room, sizeof **rows)))
            break;
        (*rows)[(*n)++] = (struct results_model_row){
            .label = results_need(r, a, q, 0, e), .connector = results_text(a, q, 1),
            .config = results_text(a, q, 2), .n_parameters = sqlite3_column_int64(q, 3),
        };
    }
    if (a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the list of models", r->path);
    else if (rc != SQLITE_DONE)
        results_fail(r, e, "listing models");
    sqlite3_finalize(q);
    return e->code;
}
