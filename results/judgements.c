/* judgements.c -- what judges said, by what they were asked; and the calls that gave nothing. */
#include "results/private.h"

enum status results_judgement_add(struct results *r, const struct results_judgement *j,
                                  struct err *e)
{
    char now[RESULTS_TIME];

    if (!r->add_judgement &&
        results_prepare(r, &r->add_judgement, "INSERT OR IGNORE INTO judgement (request, pass,"
                        " attempt, benchmark, question, judge, served, profile, finish, reply,"
                        " prompt_tokens, completion_tokens, http_ms, created, host, response_id,"
                        " fingerprint, usage_estimated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
                        " ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)", "writing a judgement",
                        e) != OK)
        return e->code;
    sqlite3_stmt *q = r->add_judgement;
    results_now(now);
    sqlite3_bind_blob(q, 1, j->request_sha256, sizeof j->request_sha256, SQLITE_STATIC);
    sqlite3_bind_int(q, 2, j->pass);
    sqlite3_bind_int(q, 3, j->attempt);
    results_bind(q, 4, j->benchmark);
    results_bind(q, 5, j->question);
    results_bind(q, 6, j->judge);
    results_bind(q, 7, j->served);
    results_bind(q, 8, j->profile);
    results_bind(q, 9, j->finish);
    results_bind(q, 10, j->reply);
    sqlite3_bind_int64(q, 11, j->prompt_tokens);
    sqlite3_bind_int64(q, 12, j->completion_tokens);
    sqlite3_bind_int64(q, 13, j->http_ms);
    results_bind(q, 14, now);
    results_bind(q, 15, j->host);
    results_bind(q, 16, j->response_id);
    results_bind(q, 17, j->fingerprint);
    sqlite3_bind_int(q, 18, j->usage_estimated);
    if (sqlite3_step(q) != SQLITE_DONE)
        results_fail(r, e, "writing a judgement");
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return e->code;
}

enum status results_judgement_find(struct results *r, const unsigned char request_sha256[32],
                                   int pass, int attempt, struct arena *a, const char **reply,
                                   const char **served, struct err *e)
{
    *reply = NULL;
    if (served)
        *served = NULL;
    if (!r->find_judgement &&
        results_prepare(r, &r->find_judgement, "SELECT reply, served FROM judgement WHERE request ="
                        " ?1 AND pass = ?2 AND attempt = ?3", "reading a judgement", e) != OK)
        return e->code;
    sqlite3_stmt *q = r->find_judgement;
    sqlite3_bind_blob(q, 1, request_sha256, 32, SQLITE_STATIC);
    sqlite3_bind_int(q, 2, pass);
    sqlite3_bind_int(q, 3, attempt);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *reply = sqlite3_column_type(q, 0) == SQLITE_NULL ? "" : results_text(a, q, 0);
        if (served && sqlite3_column_type(q, 1) != SQLITE_NULL)
            *served = results_text(a, q, 1);
    } else if (rc != SQLITE_DONE) {
        results_fail(r, e, "reading a judgement");
    }
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return e->code;
}

enum status results_judgement_next_pass(struct results *r, const char *benchmark, const char *judge,
                                        int *pass, struct err *e)
{
    static const char doing[] = "counting passes";
    sqlite3_stmt *q;

    if (results_prepare(r, &q, "SELECT coalesce(max(pass) + 1, 0) FROM judgement WHERE benchmark = ?1"
                        " AND judge = ?2", doing, e) != OK)
        return e->code;
    results_bind(q, 1, benchmark);
    results_bind(q, 2, judge);
    if (sqlite3_step(q) == SQLITE_ROW)
        *pass = sqlite3_column_int(q, 0);
    else
        results_fail(r, e, doing);
    sqlite3_finalize(q);
    return e->code;
}

enum status results_judge_error_add(struct results *r, const struct results_judge_error *f,
                                    struct err *e)
{
    static const char doing[] = "noting a judge's error";
    char now[RESULTS_TIME];

    if (!r->add_error &&
        results_prepare(r, &r->add_error, "INSERT INTO judge_error (time, benchmark, question, pass,"
                        " attempt, judge, host, status, code, excerpt) VALUES (?1, ?2, ?3, ?4, ?5,"
                        " ?6, ?7, ?8, ?9, ?10)", doing, e) != OK)
        return e->code;
    sqlite3_stmt *q = r->add_error;
    results_now(now);
    results_bind(q, 1, now);
    results_bind(q, 2, f->benchmark);
    results_bind(q, 3, f->question);
    sqlite3_bind_int(q, 4, f->pass);
    sqlite3_bind_int(q, 5, f->attempt);
    results_bind(q, 6, f->judge);
    results_bind(q, 7, f->host);
    sqlite3_bind_int64(q, 8, f->status);
    results_bind(q, 9, f->code);
    results_bind(q, 10, f->excerpt);
    if (sqlite3_step(q) != SQLITE_DONE)
        results_fail(r, e, doing);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return e->code;
}
