/* store.c -- open, migrate, write, read back.
 *
 * Durability: a WAL. What is committed survives the end of this process, however it ends; one commit
 * a second (so, with steps of a second, each) also waits until the disk has all so far, and survives a
 * power cut: a tiny model makes hundreds of steps a second, and would only wait. On a network file
 * system, where WAL must not be, a rollback journal, and every commit waits. The lock file PATH-lock is
 * held with flock() by whoever writes and holds its pid and host, for the message to others.
 *
 * Migrations: user_version counts; step k of migrations[] takes version k to k + 1, each in its own
 * transaction. Version 0 with no table is a new file; anything else without our application_id is
 * not ours and is left alone. */
#include "results/private.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/str.h"

extern const char schema_sql[], schema_2_sql[];

enum { APPLICATION_ID = 0x4C4C5645 };                       /* "LLVE" */

static const char *const migrations[] = { schema_sql, schema_2_sql };
enum { VERSION = COUNT(migrations) };

/* ---- small words ----------------------------------------------------------------------------- */

enum status results_fail(struct results *r, struct err *e, const char *doing)
{
    int code = r->db ? sqlite3_extended_errcode(r->db) : SQLITE_NOMEM;
    const char *text = r->db ? sqlite3_errmsg(r->db) : "out of memory";

    switch (code & 0xff) {
    case SQLITE_FULL:
        return err_set(e, ERR_INTERNAL, "%s: disk full while %s: make room and run the same command "
                       "again", r->path, doing);
    case SQLITE_NOMEM:
        return err_set(e, ERR_MEMORY, "%s: no memory while %s", r->path, doing);
    case SQLITE_NOTADB:
        return err_set(e, ERR_DATA, "%s: not a llava-eval store (no SQLite database)", r->path);
    case SQLITE_CORRUPT:
        return err_set(e, ERR_DATA, "%s: the store is damaged (%s while %s): take it back from a "
                       "copy, or name another with --db", r->path, text, doing);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return err_set(e, ERR_INTERNAL, "%s: cannot be %s (%s): name another store with --db",
                       r->path, r->lock < 0 ? "read" : "written", text);
    default:
        return err_set(e, ERR_INTERNAL, "%s: %s while %s", r->path, text, doing);
    }
}

enum status results_prepare(struct results *r, sqlite3_stmt **q, const char *sql, const char *doing,
                            struct err *e)
{
    *q = NULL;
    return sqlite3_prepare_v2(r->db, sql, -1, q, NULL) == SQLITE_OK ? OK
           : results_fail(r, e, doing);
}

enum status results_exec(struct results *r, const char *sql, const char *doing, struct err *e)
{
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? OK : results_fail(r, e, doing);
}

const char *results_text(struct arena *a, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? arena_str(a, text) : NULL;
}

/* Text that the schema has no NULL for, borrowed until the next step. */
static const char *peek(struct results *r, sqlite3_stmt *q, int column, struct err *e)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    if (!text && sqlite3_errcode(r->db) == SQLITE_NOMEM)
        results_fail(r, e, "reading it");
    else if (!text)
        err_set(e, ERR_DATA, "%s: the store is damaged (a \"%s\" is missing): take it back from a copy, "
                "or name another with --db", r->path, sqlite3_column_name(q, column));
    return text ? text : "";
}

const char *results_need(struct results *r, struct arena *a, sqlite3_stmt *q, int column,
                         struct err *e)
{
    return arena_str(a, peek(r, q, column, e));
}

void results_bind(sqlite3_stmt *q, int at, const char *text)
{
    sqlite3_bind_text(q, at, text, -1, SQLITE_STATIC);
}

static void bind_number(sqlite3_stmt *q, int at, double value)
{
    if (isnan(value))
        sqlite3_bind_null(q, at);
    else
        sqlite3_bind_double(q, at, value);
}

void results_now(char out[RESULTS_TIME])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(out, RESULTS_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* One step that must give no row. Finalizes. */
static enum status finish(struct results *r, sqlite3_stmt *q, const char *doing, struct err *e)
{
    int rc = sqlite3_step(q);
    enum status s = rc == SQLITE_DONE ? OK : results_fail(r, e, doing);
    sqlite3_finalize(q);
    return s;
}

/* The integer of the first row and column into *out; *found says whether there was a row. */
static enum status find_id(struct results *r, sqlite3_stmt *q, int64_t *out, bool *found,
                           const char *doing, struct err *e)
{
    int rc = sqlite3_step(q);
    *found = rc == SQLITE_ROW;
    if (*found)
        *out = sqlite3_column_int64(q, 0);
    enum status s = rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : results_fail(r, e, doing);
    sqlite3_finalize(q);
    return s;
}

/* ---- open ------------------------------------------------------------------------------------ */

/* "another llava-eval (process 12 on node3) is writing": what the lock file's holder wrote there. */
static enum status say_holder(struct results *r, struct err *e)
{
    char text[320] = "", here[256] = "";
    ssize_t n = read(r->lock, text, sizeof text - 1);
    char *host = n > 0 ? strchr(text, '\n') : NULL;

    gethostname(here, sizeof here - 1);
    if (host) {
        *host++ = '\0';
        host[strcspn(host, "\n")] = '\0';
    }
    bool elsewhere = host && *host && strcmp(host, here);
    return err_set(e, ERR_INTERNAL, "%s: another llava-eval (process %s%s%s) is writing this store: "
                   "wait for it, or name another with --db", r->path, *text ? text : "?",
                   elsewhere ? " on " : "", elsewhere ? host : "");
}

enum status results_take_lock(struct results *r, struct err *e)
{
    struct arena a = { 0 };
    char *real = realpath(r->path, NULL);   /* two names of one store, one lock */
    const char *path = arena_fmt(&a, "%s-lock", real ? real : r->path);
    char text[320], host[256] = "";

    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0) {
        err_set(e, ERR_INTERNAL, "%s: cannot be written (%s): name another store with --db", r->path,
                strerror(errno));
    } else if (flock(r->lock, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            say_holder(r, e);
        else
            err_set(e, ERR_INTERNAL, "%s: this file system cannot lock files (%s): name a store on "
                    "another with --db", r->path, strerror(errno));
    } else if (ftruncate(r->lock, 0) == 0) {
        gethostname(host, sizeof host - 1);
        int n = snprintf(text, sizeof text, "%ld\n%s\n", (long)getpid(), host);
        if (write(r->lock, text, (size_t)n) != n)
            lseek(r->lock, 0, SEEK_SET);    /* only the message to others lacks it */
    }
    free(real);
    arena_free(&a);
    return e->code;
}

/* Is the file in WAL mode, by its header? */
static bool is_wal(const char *path)
{
    unsigned char head[20] = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    bool wal = fd >= 0 && read(fd, head, sizeof head) == sizeof head && head[18] == 2;
    if (fd >= 0)
        close(fd);
    return wal;
}

/* SQLite reads a file in WAL mode only where it may put its own two files next to it, and only who may
 * write takes them away again: so a reader opens the store as a writer would, and then keeps to
 * reading (query_only). In a folder that cannot be written, and on a network file system, such a store that
 * was closed well (nothing in its -wal) is read as a file that nobody can change. One with a rollback
 * journal is read with locks, wherever it lies: a run may be writing it. */
void results_uri(const char *path, bool write, struct str *out)
{
    struct arena a = { 0 };
    const char *slash = strrchr(path, '/');
    const char *dir = !slash ? "." : slash == path ? "/"
                    : arena_strn(&a, path, (size_t)(slash - path));
    bool writable = eaccess(dir, W_OK) == 0 && eaccess(path, W_OK) == 0;
    bool still = !write && is_wal(path) && file_size(arena_fmt(&a, "%s-wal", path)) <= 0 &&
                 (!writable || results_network_of(path));

    str_add(out, path[0] == '/' ? "file://" : "file:");
    for (const char *p = path; *p; p++)
        str_addf(out, strchr("%?#", *p) ? "%%%02X" : "%c", (unsigned char)*p);
    str_add(out, write ? "?mode=rwc" : still ? "?immutable=1" : writable ? "?mode=rw"
            : "?mode=ro");
    out->failed = out->failed || a.failed;
    arena_free(&a);
}

static int open_database(struct results *r, bool write)
{
    struct str uri;

    str_init(&uri, RESULTS_URI_LIMIT);
    results_uri(r->path, write, &uri);
    int rc = uri.failed ? SQLITE_NOMEM
             : sqlite3_open_v2(uri.at, &r->db, SQLITE_OPEN_URI | SQLITE_OPEN_READWRITE |
                               SQLITE_OPEN_CREATE, NULL);
    str_free(&uri);
    return rc;
}

static enum status pragma_int(struct results *r, const char *sql, int64_t *out, struct err *e)
{
    sqlite3_stmt *q;
    bool found;
    return results_prepare(r, &q, sql, "opening it", e) != OK ? e->code
           : find_id(r, q, out, &found, "opening it", e);
}

enum status results_migrate(struct results *r, bool may_write, struct err *e)
{
    int64_t version = 0, id = 0, tables = 0;

    if (pragma_int(r, "PRAGMA user_version", &version, e) != OK ||
        pragma_int(r, "PRAGMA application_id", &id, e) != OK ||
        pragma_int(r, "SELECT count(*) FROM sqlite_schema", &tables, e) != OK)
        return e->code;
    if (id != APPLICATION_ID && (version || tables))
        return err_set(e, ERR_DATA, "%s: an SQLite database, but not a llava-eval store: name "
                       "another with --db", r->path);
    if (version < 0 || (version == 0 && tables))
        return err_set(e, ERR_DATA, "%s: says that it is a llava-eval store of version %lld, which "
                       "none is: it is damaged", r->path, (long long)version);
    if (version > VERSION)
        return err_set(e, ERR_DATA, "%s: made by a newer llava-eval (store version %lld, this "
                       "program knows up to %d)", r->path, (long long)version, (int)VERSION);
    if (version < VERSION && !may_write)
        return err_set(e, ERR_DATA, version ? "%s: made by an older llava-eval: open it once with a "
                       "verb that writes (score) to bring it up to date"
                       : "%s: holds nothing yet", r->path);
    for (; version < VERSION && e->code == OK; version++) {
        struct arena a = { 0 };
        if (results_exec(r, "BEGIN IMMEDIATE", "migrating it", e) == OK &&
            results_exec(r, migrations[version], "migrating it", e) == OK &&
            results_exec(r, arena_fmt(&a, "PRAGMA application_id=%d; PRAGMA user_version=%lld",
                                      (int)APPLICATION_ID, (long long)version + 1),
                         "migrating it", e) == OK)
            results_exec(r, "COMMIT", "migrating it", e);
        arena_free(&a);
    }
    return e->code;
}

/* Exclusive while the mode changes: a file that was in WAL mode is then read without shared memory. */
static const char to_network[] = "PRAGMA locking_mode=EXCLUSIVE";
static const char on_network[] =
    "PRAGMA journal_mode=DELETE; PRAGMA locking_mode=NORMAL; PRAGMA foreign_keys=ON;"
    "SELECT count(*) FROM model";
static const char on_disk[] =
    "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON";

/* A store may come from anybody: its views and triggers call nothing that reaches beyond it. */
static const char distrust[] = "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON";

enum status results_connect(struct results *r, bool write, struct err *e)
{
    static const char doing[] = "opening it";

    r->network = results_network_of(r->path);
    if (open_database(r, write) != SQLITE_OK)
        return results_fail(r, e, doing);
    sqlite3_extended_result_codes(r->db, 1);
    sqlite3_busy_timeout(r->db, RESULTS_BUSY_MS);
    results_exec(r, distrust, doing, e);
    if (e->code == OK && write && r->network)
        results_exec(r, to_network, doing, e);
    if (e->code == OK && results_migrate(r, write, e) == OK)
        results_exec(r, !write ? "PRAGMA query_only=ON" : r->network ? on_network : on_disk, doing, e);
    return e->code;
}

enum status results_open(struct results **out, const char *path, enum results_mode mode,
                         struct err *e)
{
    bool write = mode == RESULTS_WRITE;
    struct results *r = calloc(1, sizeof *r);

    *out = NULL;
    if (!r || !(r->path = strdup(path))) {
        free(r);
        return err_set(e, ERR_MEMORY, "%s: no memory", path);
    }
    r->lock = -1;
    if (!write && !file_exists(path))
        err_set(e, ERR_DATA, "%s: no such store: run something first, or name another with --db",
                path);
    else if (!write || results_take_lock(r, e) == OK)
        results_connect(r, write, e);
    if (e->code != OK) {
        results_close(r);
        return e->code;
    }
    *out = r;
    return OK;
}

const char *results_network(const struct results *r)
{
    return r->network;
}

void results_close(struct results *r)
{
    if (!r)
        return;
    sqlite3_finalize(r->add_reply);
    sqlite3_finalize(r->add_judgement);
    sqlite3_finalize(r->find_judgement);
    sqlite3_finalize(r->add_error);
    sqlite3_close(r->db);                   /* rolls back what was not committed; merges the WAL */
    if (r->lock >= 0)
        close(r->lock);
    free(r->path);
    free(r);
}

/* ---- models, data sets, questions, runs ------------------------------------------------------ */

enum status results_model(struct results *r, const struct results_model *m, int64_t *id,
                          struct err *e)
{
    static const char doing[] = "noting a model";
    const char *connector = m->connector ? m->connector : "";
    sqlite3_stmt *q;
    bool found;

    if (results_prepare(r, &q, *m->weights_sha256
                        ? "UPDATE model SET label = ?3 WHERE weights = ?1 AND connector = ?2 RETURNING id"
                        : "UPDATE model SET label = ?3 WHERE weights = ?1 AND ?2 = ?2 AND label = ?3"
                          " RETURNING id", doing, e) != OK)
        return e->code;
    results_bind(q, 1, m->weights_sha256);
    results_bind(q, 2, connector);
    results_bind(q, 3, m->label);
    if (find_id(r, q, id, &found, doing, e) != OK || found)
        return e->code;
    if (results_prepare(r, &q, "INSERT INTO model (weights, connector, label, config, n_parameters)"
                        " VALUES (?1, ?2, ?3, ?4, ?5)", doing, e) != OK)
        return e->code;
    results_bind(q, 1, m->weights_sha256);
    results_bind(q, 2, connector);
    results_bind(q, 3, m->label);
    results_bind(q, 4, m->config);
    sqlite3_bind_int64(q, 5, m->n_parameters);
    enum status s = finish(r, q, doing, e);
    *id = sqlite3_last_insert_rowid(r->db);
    return s;
}

enum status results_own_label(struct results *r, int64_t model, size_t *n, struct err *e)
{
    static const char doing[] = "noting a model's label";
    sqlite3_stmt *q;

    *n = 0;
    if (results_prepare(r, &q, "UPDATE model SET label = label || '@' || substr(weights, 1, 8)"
                        " WHERE weights <> '' AND id <> ?1 AND"
                        " label = (SELECT label FROM model WHERE id = ?1)", doing, e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, model);
    if (finish(r, q, doing, e) == OK)
        *n = (size_t)sqlite3_changes(r->db);
    return e->code;
}

enum status results_dataset(struct results *r, const struct results_dataset *d, int64_t *id,
                            struct err *e)
{
    static const char doing[] = "noting a data set";
    sqlite3_stmt *q;
    bool found;

    if (results_prepare(r, &q, "UPDATE dataset SET official = ?4 WHERE benchmark = ?1 AND split = ?2"
                        " AND hash = ?3 RETURNING id", doing, e) != OK)
        return e->code;
    results_bind(q, 1, d->benchmark);
    results_bind(q, 2, d->split);
    results_bind(q, 3, d->sha256);
    sqlite3_bind_int(q, 4, d->official);
    if (find_id(r, q, id, &found, doing, e) != OK || found)
        return e->code;
    if (results_prepare(r, &q, "INSERT INTO dataset (benchmark, split, hash, official, n)"
                        " VALUES (?1, ?2, ?3, ?4, ?5)", doing, e) != OK)
        return e->code;
    results_bind(q, 1, d->benchmark);
    results_bind(q, 2, d->split);
    results_bind(q, 3, d->sha256);
    sqlite3_bind_int(q, 4, d->official);
    sqlite3_bind_int64(q, 5, (sqlite3_int64)d->n);
    enum status s = finish(r, q, doing, e);
    *id = sqlite3_last_insert_rowid(r->db);
    return s;
}

static enum status add_questions(struct results *r, int64_t dataset,
                                 const struct results_question *qs, size_t n, struct err *e)
{
    static const char doing[] = "noting questions";
    sqlite3_stmt *q;

    if (results_prepare(r, &q, "INSERT INTO question (dataset, ordinal, key, image, text, reference,"
                        " category) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING", doing,
                        e) != OK)
        return e->code;
    for (size_t i = 0; i < n && e->code == OK; i++) {
        if (!qs[i].key)
            continue;
        sqlite3_bind_int64(q, 1, dataset);
        sqlite3_bind_int64(q, 2, (sqlite3_int64)i);
        results_bind(q, 3, qs[i].key);
        results_bind(q, 4, qs[i].image);
        results_bind(q, 5, qs[i].text);
        results_bind(q, 6, qs[i].reference);
        results_bind(q, 7, qs[i].category);
        if (sqlite3_step(q) != SQLITE_DONE)
            results_fail(r, e, doing);
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    return e->code;
}

enum status results_questions(struct results *r, int64_t dataset,
                              const struct results_question *qs, size_t n, struct err *e)
{
    sqlite3_stmt *q;
    int64_t there = 0;
    bool found;

    if (results_prepare(r, &q, "SELECT count(*) FROM question WHERE dataset = ?1",
                        "counting questions", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, dataset);
    if (find_id(r, q, &there, &found, "counting questions", e) != OK || there == (int64_t)n)
        return e->code;
    if (results_begin(r, e) == OK && add_questions(r, dataset, qs, n, e) == OK)
        return results_commit(r, e);
    sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    r->in_transaction = false;
    return e->code;
}

static void bind_identity(sqlite3_stmt *q, const struct results_run *run)
{
    sqlite3_bind_int64(q, 1, run->model);
    sqlite3_bind_int64(q, 2, run->dataset);
    results_bind(q, 3, run->prompt_sha256);
    results_bind(q, 4, run->image_mode);
    results_bind(q, 5, run->dtype);
    results_bind(q, 6, run->decode);
}

enum status results_run_over_other_data(struct results *r, const struct results_run *run,
                                        struct arena *a, const char **hash, struct err *e)
{
    static const char doing[] = "looking for runs";
    sqlite3_stmt *q;

    *hash = NULL;
    if (results_prepare(r, &q, "SELECT d.hash FROM dataset mine JOIN dataset d ON d.benchmark ="
                        " mine.benchmark AND d.split = mine.split AND d.id <> mine.id JOIN run x ON"
                        " x.dataset = d.id WHERE mine.id = ?2 AND x.model = ?1 AND x.prompt_hash = ?3"
                        " AND x.image_mode = ?4 AND x.dtype = ?5 AND x.decode = ?6 AND NOT EXISTS"
                        " (SELECT 1 FROM run y WHERE y.model = ?1 AND y.dataset = ?2 AND"
                        " y.prompt_hash = ?3 AND y.image_mode = ?4 AND y.dtype = ?5 AND y.decode = ?6)"
                        " ORDER BY x.id DESC LIMIT 1", doing, e) != OK)
        return e->code;
    bind_identity(q, run);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *hash = results_text(a, q, 0);
    else if (rc != SQLITE_DONE)
        results_fail(r, e, doing);
    sqlite3_finalize(q);
    return e->code;
}

enum status results_run(struct results *r, const struct results_run *run, bool fresh, int64_t *id,
                        struct err *e)
{
    static const char doing[] = "noting a run";
    char now[RESULTS_TIME];
    sqlite3_stmt *q;
    bool found = false;

    if (!fresh) {
        if (results_prepare(r, &q, "SELECT max(id) FROM run WHERE model = ?1 AND dataset = ?2 AND"
                            " prompt_hash = ?3 AND image_mode = ?4 AND dtype = ?5 AND decode = ?6"
                            " HAVING max(id) IS NOT NULL", doing, e) != OK)
            return e->code;
        bind_identity(q, run);
        if (find_id(r, q, id, &found, doing, e) != OK || found)
            return e->code;
    }
    if (results_prepare(r, &q, "INSERT INTO run (model, dataset, prompt_hash, image_mode, dtype,"
                        " decode, prompts, conversation, dtype_note, program, device, host, started)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                        doing, e) != OK)
        return e->code;
    results_now(now);
    bind_identity(q, run);
    results_bind(q, 7, run->prompts);
    results_bind(q, 8, run->conversation);
    results_bind(q, 9, run->dtype_note);
    results_bind(q, 10, run->program);
    results_bind(q, 11, run->device);
    results_bind(q, 12, run->host);
    results_bind(q, 13, now);
    enum status s = finish(r, q, doing, e);
    *id = sqlite3_last_insert_rowid(r->db);
    return s;
}

enum status results_run_finish(struct results *r, int64_t run, struct err *e)
{
    char now[RESULTS_TIME];
    sqlite3_stmt *q;

    if (results_prepare(r, &q, "UPDATE run SET finished = coalesce(finished, ?2) WHERE id = ?1",
                        "finishing a run", e) != OK)
        return e->code;
    results_now(now);
    sqlite3_bind_int64(q, 1, run);
    results_bind(q, 2, now);
    return finish(r, q, "finishing a run", e);
}

enum status results_run_open(struct results *r, int64_t run, struct err *e)
{
    sqlite3_stmt *q;

    if (results_prepare(r, &q, "UPDATE run SET finished = NULL WHERE id = ?1", "beginning a run", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    return finish(r, q, "beginning a run", e);
}

enum status results_run_is_open(struct results *r, int64_t run, bool *open, struct err *e)
{
    sqlite3_stmt *q;
    int64_t is = 0;
    bool found = false;

    if (results_prepare(r, &q, "SELECT finished IS NULL AND EXISTS (SELECT 1 FROM reply WHERE run = ?1)"
                        " FROM run WHERE id = ?1", "looking at a run", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    find_id(r, q, &is, &found, "looking at a run", e);
    *open = is;
    return e->code;
}

/* ---- replies --------------------------------------------------------------------------------- */

/* Flushing a commit flushes those before it: the WAL is one file. A rollback journal is one a commit. */
enum status results_begin(struct results *r, struct err *e)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    bool flush = now.tv_sec != r->flushed;

    if (results_exec(r, r->network ? "PRAGMA synchronous=EXTRA; BEGIN IMMEDIATE"
                        : flush ? "PRAGMA synchronous=FULL; BEGIN IMMEDIATE"
                              : "PRAGMA synchronous=NORMAL; BEGIN IMMEDIATE",
                     "beginning to write", e) != OK)
        return e->code;
    r->flushed = now.tv_sec;
    r->in_transaction = true;
    return OK;
}

enum status results_commit(struct results *r, struct err *e)
{
    if (!r->in_transaction)
        return e->code;
    r->in_transaction = false;
    if (results_exec(r, "COMMIT", "writing replies", e) != OK)
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    else if (!r->network)                   /* what is written alone, a judgement, is flushed */
        results_exec(r, "PRAGMA synchronous=FULL", "writing replies", e);
    return e->code;
}

enum status results_reply_add(struct results *r, int64_t run, size_t ordinal,
                              const struct results_reply *reply, struct err *e)
{
    if (!r->add_reply &&
        results_prepare(r, &r->add_reply, "INSERT INTO reply (run, ordinal, text, error, finish,"
                        " prompt_tokens, reply_tokens, ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                        " ON CONFLICT DO UPDATE SET text = excluded.text, error = excluded.error,"
                        " finish = excluded.finish, prompt_tokens = excluded.prompt_tokens,"
                        " reply_tokens = excluded.reply_tokens, ms = excluded.ms WHERE text IS NULL",
                        "writing a reply", e) != OK)
        return e->code;
    sqlite3_stmt *q = r->add_reply;
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)ordinal);
    results_bind(q, 3, reply->text);
    results_bind(q, 4, reply->error);
    results_bind(q, 5, reply->finish);
    sqlite3_bind_int(q, 6, reply->prompt_tokens);
    sqlite3_bind_int(q, 7, reply->reply_tokens);
    sqlite3_bind_double(q, 8, reply->ms);
    if (sqlite3_step(q) != SQLITE_DONE)
        results_fail(r, e, "writing a reply");
    else if (sqlite3_changes(r->db) != 1)
        err_set(e, ERR_INTERNAL, "%s: question %zu of run %lld has a reply already", r->path, ordinal,
                (long long)run);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return e->code;
}

enum status results_replies(struct results *r, int64_t run, size_t n, struct arena *a,
                            const char **texts, bool *answered, struct err *e)
{
    sqlite3_stmt *q;
    int rc;

    if (results_prepare(r, &q, "SELECT ordinal, text FROM reply WHERE run = ?1 ORDER BY ordinal",
                        "reading replies", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        sqlite3_int64 i = sqlite3_column_int64(q, 0);
        if (i < 0 || (size_t)i >= n)
            continue;                       /* a longer data set's: not of these questions */
        texts[i] = results_text(a, q, 1);
        if (answered)
            answered[i] = true;
    }
    if (rc != SQLITE_DONE)
        results_fail(r, e, "reading replies");
    sqlite3_finalize(q);
    return a->failed ? err_set(e, ERR_MEMORY, "%s: no memory for the replies", r->path) : e->code;
}

enum status results_lengths(struct results *r, int64_t run, size_t *n, double *mean_tokens,
                            size_t *at_limit, struct err *e)
{
    static const char doing[] = "measuring replies";
    sqlite3_stmt *q;

    if (results_prepare(r, &q, "SELECT count(*), avg(reply_tokens), count(*) FILTER (WHERE finish ="
                        " 'length') FROM reply WHERE run = ?1 AND text IS NOT NULL AND"
                        " finish <> 'unknown'", doing, e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    if (sqlite3_step(q) == SQLITE_ROW) {
        *n = (size_t)sqlite3_column_int64(q, 0);
        *mean_tokens = *n ? sqlite3_column_double(q, 1) : NAN;
        *at_limit = (size_t)sqlite3_column_int64(q, 2);
    } else {
        results_fail(r, e, doing);
    }
    sqlite3_finalize(q);
    return e->code;
}

enum status results_replies_told(struct results *r, int64_t run,
                                 void (*told)(void *user, const char *key, const char *text,
                                              const char *reply), void *user, struct err *e)
{
    sqlite3_stmt *q;
    int rc;

    if (results_prepare(r, &q, "SELECT q.key, q.text, r.text FROM run JOIN reply r ON r.run = run.id"
                        " JOIN question q ON q.dataset = run.dataset AND q.ordinal = r.ordinal"
                        " WHERE run.id = ?1 AND r.text IS NOT NULL ORDER BY r.ordinal",
                        "reading replies", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        told(user, peek(r, q, 0, e), peek(r, q, 1, e), peek(r, q, 2, e));
    if (rc != SQLITE_DONE)
        results_fail(r, e, "reading replies");
    sqlite3_finalize(q);
    return e->code;
}

enum status results_reply_find(struct results *r, int64_t run, size_t ordinal, struct arena *a,
                               struct results_reply *reply, bool *found, struct err *e)
{
    sqlite3_stmt *q;

    *found = false;
    if (results_prepare(r, &q, "SELECT text, error, finish, prompt_tokens, reply_tokens, ms FROM"
                        " reply WHERE run = ?1 AND ordinal = ?2", "reading a reply", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)ordinal);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *found = true;
        *reply = (struct results_reply){
            .text = results_text(a, q, 0), .error = results_text(a, q, 1),
            .finish = results_need(r, a, q, 2, e), .prompt_tokens = sqlite3_column_int(q, 3),
            .reply_tokens = sqlite3_column_int(q, 4), .ms = sqlite3_column_double(q, 5),
        };
    } else if (rc != SQLITE_DONE) {
        results_fail(r, e, "reading a reply");
    }
    sqlite3_finalize(q);
    return e->code;
}

/* ---- scores ---------------------------------------------------------------------------------- */

static enum status add_scores(struct results *r, int64_t run, const struct results_score *rows,
                              size_t n, struct err *e)
{
    sqlite3_stmt *q;

    if (results_prepare(r, &q, "DELETE FROM score WHERE run = ?1", "writing scores", e) != OK)
        return e->code;
    sqlite3_bind_int64(q, 1, run);
    if (finish(r, q, "writing scores", e) != OK ||
        results_prepare(r, &q, "INSERT INTO score (run, metric, place, value, stderr, n, headline,"
                        " partial, version, judge) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                        "writing scores", e) != OK)
        return e->code;
    for (size_t i = 0; i < n && e->code == OK; i++) {
        sqlite3_bind_int64(q, 1, run);
        results_bind(q, 2, rows[i].metric);
        sqlite3_bind_int64(q, 3, (sqlite3_int64)i);
        bind_number(q, 4, rows[i].value);
        bind_number(q, 5, rows[i].stderror);
        sqlite3_bind_int64(q, 6, (sqlite3_int64)rows[i].n);
        sqlite3_bind_int(q, 7, rows[i].headline);
        sqlite3_bind_int(q, 8, rows[i].partial);
        sqlite3_bind_int(q, 9, rows[i].version);
        results_bind(q, 10, rows[i].judge);
        if (sqlite3_step(q) != SQLITE_DONE)
            results_fail(r, e, "writing scores");
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    return e->code;
}

enum status results_scores(struct results *r, int64_t run, const struct results_score *rows,
                           size_t n, struct err *e)
{
    if (results_begin(r, e) == OK && add_scores(r, run, rows, n, e) == OK)
        return results_commit(r, e);
    sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    r->in_transaction = false;
    return e->code;
}
