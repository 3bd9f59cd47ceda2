/* merge.c -- many stores into one: what the shards of a job wrote becomes the store of a plain run.
 *
 *     survey each store   which models, data sets and runs there are       -> temp.*_seen
 *     lay out             their rows, in an order that the order of the stores has no part in; a label
 *                         that two checkpoints have is the later one's (results_own_label)
 *     copy each store     questions, replies, judgements
 *     keep scores         of runs that one store holds all of
 *
 * A run is found by what makes it (store.c), so a reply has one place: run and question. A store's
 * newest run of a kind is the one that commands go on with, and joins the others' newest; older ones
 * (before a --fresh) stay runs of their own, told apart by when and where they began.
 *
 * The result is made in a file of its own beside OUT, flushed, and renamed over it: a merge that fails,
 * or is killed, leaves OUT as it was. OUT's lock is held all the while. */
#include "results/private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"

struct merge {
    struct results *out;        /* its path is OUT's, its database the file that will be OUT */
    struct arena arena;
    const char **store; size_t n;           /* what is read: OUT itself first, where it is there */
    size_t at;                  /* the store that is attached, or n */
    struct err *e;
};

/* ---- the statements -------------------------------------------------------------------------- */

#define MODEL_KEY "CASE m.weights WHEN '' THEN 'label ' || m.label ELSE m.weights || ' ' || m.connector END"
#define SAME_KIND(a, b) a ".prompt_hash = " b ".prompt_hash AND " a ".image_mode = " b ".image_mode" \
    " AND " a ".dtype = " b ".dtype AND " a ".decode = " b ".decode"
#define AGE "CASE WHEN r.id = (SELECT max(y.id) FROM src.run y WHERE y.model = r.model AND" \
    " y.dataset = r.dataset AND " SAME_KIND("y", "r") ") THEN ''" \
    " ELSE r.started || ' ' || r.host || ' ' || r.program END"

#define BEGAN "r.started || ' ' || r.host || ' ' || r.program"
#define AT_PLACE(a, b) a ".key = " b ".key AND " a ".benchmark = " b ".benchmark AND " a ".split = " b \
    ".split AND " a ".hash = " b ".hash AND " SAME_KIND(a, b) " AND " a ".age = " b ".age"
#define EARLIER(column) column " = CASE WHEN excluded.began < began THEN excluded." column " ELSE " \
    column " END"

static const char prepare_sql[] =
    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA main.locking_mode=EXCLUSIVE;"
    "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-262144; PRAGMA foreign_keys=OFF;"
    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
    "CREATE TEMP TABLE model_seen (key TEXT PRIMARY KEY, weights, connector, label, config,"
    " n_parameters, first, newest, place);"
    "CREATE TEMP TABLE dataset_seen (benchmark, split, hash, n, official, place,"
    " PRIMARY KEY (benchmark, split, hash));"
    "CREATE TEMP TABLE run_seen (key, benchmark, split, hash, prompt_hash, image_mode, dtype, decode,"
    " age, began, prompts, conversation, dtype_note, program, device, host, started, finished, n_open,"
    " place, PRIMARY KEY (key, benchmark, split, hash, prompt_hash, image_mode, dtype, decode, age));"
    "CREATE TEMP TABLE map (src INTEGER PRIMARY KEY, dst, dataset);"
    "CREATE TEMP TABLE part (store, src, dst, n, n_text, scored);";

/* Models stand in the order in which they first ran, as in the store of a plain run. */
static const char survey_sql[] =
    "INSERT INTO temp.model_seen SELECT " MODEL_KEY ", m.weights, m.connector, m.label, m.config,"
    " m.n_parameters, coalesce((SELECT min(started) FROM src.run WHERE model = m.id), '9'),"
    " coalesce((SELECT max(started) FROM src.run WHERE model = m.id), ''), m.id"
    " FROM src.model m WHERE true ON CONFLICT DO UPDATE SET first = min(first, excluded.first),"
    " place = min(place, excluded.place), newest = max(newest, excluded.newest),"
    " label = CASE WHEN (excluded.newest, excluded.label) > (newest, label) THEN excluded.label"
    " ELSE label END;"
    "INSERT INTO temp.dataset_seen SELECT benchmark, split, hash, n, official, id FROM src.dataset"
    " WHERE true ON CONFLICT DO UPDATE SET place = min(place, excluded.place),"
    " official = min(official, excluded.official);"
    "INSERT INTO temp.run_seen SELECT " MODEL_KEY ", d.benchmark, d.split, d.hash, r.prompt_hash,"
    " r.image_mode, r.dtype, r.decode, " AGE ", " BEGAN ", r.prompts, r.conversation, r.dtype_note,"
    " r.program, r.device, r.host, r.started, r.finished, r.finished IS NULL, r.id"
    " FROM src.run r JOIN src.model m ON m.id = r.model JOIN src.dataset d ON d.id = r.dataset"
    " WHERE true ON CONFLICT DO UPDATE SET " EARLIER("prompts") ", " EARLIER("conversation") ", "
    EARLIER("dtype_note") ", " EARLIER("program") ", " EARLIER("device") ", " EARLIER("host") ", "
    EARLIER("started") ", began = min(began, excluded.began), n_open = n_open + excluded.n_open,"
    " place = min(place, excluded.place),"
    " finished = CASE WHEN excluded.finished > coalesce(finished, '') THEN excluded.finished"
    " ELSE finished END;";

/* A run's id is its age: the newest of a kind must come last, as where it was made. */
static const char lay_out_sql[] =
    "INSERT INTO main.model (weights, connector, label, config, n_parameters) SELECT weights,"
    " connector, label, config, n_parameters FROM temp.model_seen ORDER BY first, place, label, key;"
    "UPDATE main.model AS m SET label = label || '@' || substr(weights, 1, 8) WHERE EXISTS (SELECT 1"
    " FROM temp.model_seen mine, temp.model_seen other WHERE mine.key = " MODEL_KEY " AND mine.weights <> ''"
    " AND other.weights <> '' AND other.label = mine.label AND"
    " (other.newest, other.key) > (mine.newest, mine.key));"
    "INSERT INTO main.dataset (benchmark, split, hash, official, n) SELECT benchmark, split, hash,"
    " official, n FROM temp.dataset_seen ORDER BY place, benchmark, split, hash;"
    "CREATE TEMP TABLE run_at AS SELECT row_number() OVER (ORDER BY s.age = '', s.began, s.place, m.id,"
    " d.id, s.prompt_hash, s.image_mode, s.dtype, s.decode) AS id, m.id AS model, d.id AS dataset, s.*"
    " FROM temp.run_seen s JOIN main.model m ON " MODEL_KEY " = s.key JOIN main.dataset d ON"
    " d.benchmark = s.benchmark AND d.split = s.split AND d.hash = s.hash;"
    "CREATE UNIQUE INDEX temp.run_place ON run_at (key, benchmark, split, hash, prompt_hash,"
    " image_mode, dtype, decode, age);"
    "INSERT INTO main.run (id, model, dataset, prompts, prompt_hash, conversation, image_mode, dtype,"
    " decode, dtype_note, program, device, host, started, finished) SELECT id, model, dataset,"
    " prompts, prompt_hash, conversation, image_mode, dtype, decode, dtype_note, program, device,"
    " host, started, finished FROM temp.run_at;";

static const char map_sql[] =
    "DELETE FROM temp.map;"
    "INSERT INTO temp.map SELECT x.id, t.id, t.dataset FROM (SELECT r.id, " MODEL_KEY " AS key,"
    " d.benchmark, d.split, d.hash, r.prompt_hash, r.image_mode, r.dtype, r.decode, " AGE " AS age"
    " FROM src.run r JOIN src.model m ON m.id = r.model JOIN src.dataset d ON d.id = r.dataset) x"
    " JOIN temp.run_at t ON " AT_PLACE("t", "x") ";";

static const char contradiction_sql[] =
    "SELECT m.dst, s.ordinal, t.text, s.text, d.benchmark || ':' || d.split, o.label,"
    " coalesce((SELECT key FROM src.question q JOIN src.run y ON y.dataset = q.dataset"
    " WHERE y.id = s.run AND q.ordinal = s.ordinal), s.ordinal)"
    " FROM temp.map m JOIN src.reply s ON s.run = m.src"
    " JOIN main.reply t ON t.run = m.dst AND t.ordinal = s.ordinal"
    " JOIN main.run r ON r.id = m.dst JOIN main.dataset d ON d.id = r.dataset"
    " JOIN main.model o ON o.id = r.model WHERE s.text <> t.text LIMIT 1";

#define CALL "time, benchmark, question, pass, attempt, judge, host, status, code, excerpt"
static const char copy_sql[] =
    "INSERT INTO main.reply SELECT m.dst, s.ordinal, s.text, s.error, s.finish, s.prompt_tokens,"
    " s.reply_tokens, s.ms FROM temp.map m JOIN src.reply s ON s.run = m.src"
    " WHERE true ON CONFLICT DO UPDATE SET text = excluded.text, error = excluded.error,"
    " finish = excluded.finish, prompt_tokens = excluded.prompt_tokens,"
    " reply_tokens = excluded.reply_tokens, ms = excluded.ms WHERE text IS NULL AND"
    " (excluded.text IS NOT NULL OR excluded.error < error);"
    "INSERT INTO main.question SELECT x.id, q.ordinal, q.key, q.image, q.text, q.reference, q.category"
    " FROM src.dataset d JOIN main.dataset x ON x.benchmark = d.benchmark AND x.split = d.split AND"
    " x.hash = d.hash JOIN src.question q ON q.dataset = d.id WHERE true ON CONFLICT DO NOTHING;"
    "INSERT OR REPLACE INTO main.judgement SELECT * FROM src.judgement s WHERE NOT EXISTS"
    " (SELECT 1 FROM main.judgement t WHERE t.request = s.request AND t.pass = s.pass AND"
    " t.attempt = s.attempt AND (t.created, coalesce(t.reply, '')) <="
    " (s.created, coalesce(s.reply, '')));"
    "INSERT INTO main.judge_error (" CALL ") SELECT " CALL " FROM src.judge_error EXCEPT"
    " SELECT " CALL " FROM main.judge_error;";

static const char part_sql[] =
    "INSERT INTO temp.part SELECT %zu, m.src, m.dst, count(s.run), count(s.text),"
    " EXISTS (SELECT 1 FROM src.score c WHERE c.run = m.src)"
    " FROM temp.map m LEFT JOIN src.reply s ON s.run = m.src GROUP BY m.src";

/* What is whole in one store was scored there; a run is open while a part of it is. */
static const char whole_sql[] =
    "CREATE TEMP TABLE held AS SELECT run, count(*) AS n, count(text) AS n_text FROM main.reply"
    " GROUP BY run;"
    "CREATE TEMP TABLE whole AS SELECT p.dst, p.src, min(p.store) AS store FROM temp.part p"
    " JOIN temp.held h ON h.run = p.dst AND h.n = p.n AND h.n_text = p.n_text WHERE p.scored"
    " GROUP BY p.dst;"
    "UPDATE main.run SET finished = NULL WHERE id IN (SELECT t.id FROM temp.run_at t"
    " JOIN main.dataset d ON d.id = t.dataset LEFT JOIN temp.held h ON h.run = t.id"
    " WHERE t.n_open > 0 AND coalesce(h.n, 0) < d.n);";

static const char score_sql[] =
    "INSERT INTO main.score SELECT w.dst, s.metric, s.place, s.value, s.stderr, s.n, s.headline,"
    " s.partial, s.version, s.judge FROM temp.whole w JOIN src.score s ON s.run = w.src"
    " WHERE w.store = %zu";

/* ---- one store at a time --------------------------------------------------------------------- */

/* SQLite's failure is OUT's where it is about room, else that of the store being read. */
static enum status failed(struct merge *m, const char *doing)
{
    char *path = m->out->path;
    int code = sqlite3_errcode(m->out->db);

    if (m->at < m->n && code != SQLITE_FULL && code != SQLITE_NOMEM && code != SQLITE_READONLY) {
        m->out->path = arena_str(&m->arena, m->store[m->at]);
        results_fail(m->out, m->e, doing);
        m->out->path = path;
        return m->e->code;
    }
    return results_fail(m->out, m->e, doing);
}

static enum status run_sql(struct merge *m, const char *sql, const char *doing)
{
    return sqlite3_exec(m->out->db, sql, NULL, NULL, NULL) == SQLITE_OK ? OK : failed(m, doing);
}

static enum status attach(struct merge *m, size_t at)
{
    static const char doing[] = "reading it for a merge";
    sqlite3_stmt *q = NULL;
    struct str uri;

    m->at = at;
    str_init(&uri, RESULTS_URI_LIMIT);
    results_uri(m->store[at], false, &uri);
    if (uri.failed)
        err_set(m->e, ERR_MEMORY, "%s: no memory", m->store[at]);
    else if (sqlite3_prepare_v2(m->out->db, "ATTACH ?1 AS src", -1, &q, NULL) != SQLITE_OK ||
             sqlite3_bind_text(q, 1, uri.at, -1, SQLITE_STATIC) != SQLITE_OK ||
             sqlite3_step(q) != SQLITE_DONE)
        failed(m, doing);
    sqlite3_finalize(q);
    str_free(&uri);
    return m->e->code;
}

static enum status detach(struct merge *m)
{
    enum status s = m->e->code == OK ? run_sql(m, "DETACH src", "ending to read it") : m->e->code;
    m->at = m->n;
    return s;
}

/* The store that a reply came from: the first one read that holds it. */
static const char *holder(struct merge *m, size_t before, int64_t run, int64_t ordinal)
{
    const char *found = m->out->path;

    for (size_t i = 0; i < before && found == m->out->path && m->e->code == OK; i++) {
        sqlite3_stmt *q = NULL;
        if (attach(m, i) == OK && run_sql(m, map_sql, "looking for a reply") == OK &&
            sqlite3_prepare_v2(m->out->db, "SELECT 1 FROM temp.map m JOIN src.reply s ON s.run = m.src"
                               " WHERE m.dst = ?1 AND s.ordinal = ?2 AND s.text IS NOT NULL", -1, &q,
                               NULL) == SQLITE_OK) {
            sqlite3_bind_int64(q, 1, run);
            sqlite3_bind_int64(q, 2, ordinal);
            if (sqlite3_step(q) == SQLITE_ROW)
                found = m->store[i];
        }
        sqlite3_finalize(q);
        detach(m);
    }
    return found;
}

static enum status refuse_contradiction(struct merge *m, sqlite3_stmt *q)
{
    struct arena *a = &m->arena;
    size_t at = m->at;
    int64_t run = sqlite3_column_int64(q, 0), ordinal = sqlite3_column_int64(q, 1);
    const char *there = results_text(a, q, 2), *here = results_text(a, q, 3);
    const char *split = results_text(a, q, 4), *label = results_text(a, q, 5);
    const char *key = results_text(a, q, 6);

    sqlite3_finalize(q);
    if (run_sql(m, "COMMIT", "merging") == OK)
        detach(m);
    const char *other = holder(m, at, run, ordinal);
    return err_set(m->e, ERR_DATA, "%s and %s contradict each other: to question %s of %s, the same "
                   "run of %s replies \"%.60s\" in the one, \"%.60s\" in the other; leave out the one "
                   "that is wrong", other, m->store[at], key, split, label, there, here);
}

static enum status refuse_contradictions(struct merge *m)
{
    static const char doing[] = "comparing replies";
    sqlite3_stmt *q = NULL;

    if (sqlite3_prepare_v2(m->out->db, contradiction_sql, -1, &q, NULL) != SQLITE_OK)
        return failed(m, doing);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        return refuse_contradiction(m, q);
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? OK : failed(m, doing);
}

static enum status copy(struct merge *m, size_t at)
{
    static const char doing[] = "merging";

    if (attach(m, at) == OK && run_sql(m, "BEGIN", doing) == OK &&
        run_sql(m, map_sql, doing) == OK && refuse_contradictions(m) == OK &&
        run_sql(m, copy_sql, doing) == OK &&
        run_sql(m, arena_fmt(&m->arena, part_sql, at), doing) == OK)
        run_sql(m, "COMMIT", doing);
    return detach(m);
}

static enum status keep_scores(struct merge *m)
{
    if (run_sql(m, whole_sql, "counting replies") != OK)
        return m->e->code;
    bool *any = arena_array(&m->arena, m->n + 1, sizeof *any);
    sqlite3_stmt *q = NULL;
    if (any && sqlite3_prepare_v2(m->out->db, "SELECT DISTINCT store FROM temp.whole", -1, &q, NULL) ==
               SQLITE_OK)
        while (sqlite3_step(q) == SQLITE_ROW)
            any[sqlite3_column_int64(q, 0)] = true;
    sqlite3_finalize(q);
    for (size_t i = 0; any && i < m->n && m->e->code == OK; i++)
        if (any[i] && attach(m, i) == OK) {
            run_sql(m, arena_fmt(&m->arena, score_sql, i), "keeping scores");
            detach(m);
        }
    return m->e->code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Each store once, and each one that can be read: looked at before anything is made. */
static enum status list_stores(struct merge *m, const char *const *in, size_t n)
{
    m->store = arena_array(&m->arena, n + 1, sizeof *m->store);
    if (!m->store)
        return err_set(m->e, ERR_MEMORY, "no memory for %zu stores", n);
    if (file_size(m->out->path) > 0)
        m->store[m->n++] = m->out->path;
    for (size_t i = 0; i < n && m->e->code == OK; i++) {
        struct results *r = NULL;
        if (m->n && same_file(m->store[0], in[i]))
            continue;
        if (results_open(&r, in[i], RESULTS_READ, m->e) == OK)
            m->store[m->n++] = in[i];
        results_close(r);
    }
    m->at = m->n;
    return m->e->code;
}

static bool is_there(const struct merge *m)                 /* OUT, before the merge */
{
    return m->n && m->store[0] == m->out->path;
}

/* OUT as it is, brought up to date before it is read. `replace`: it must be one file when another takes
 * its place, or its WAL would be read as the new one's. */
static enum status ready_out(struct merge *m, const char *path, bool replace)
{
    struct results *r = calloc(1, sizeof *r);

    if (!r || !(r->path = strdup(path))) {
        free(r);
        return err_set(m->e, ERR_MEMORY, "%s: no memory", path);
    }
    r->lock = -1;
    if (results_connect(r, true, m->e) == OK && replace)
        results_exec(r, "PRAGMA journal_mode=DELETE", "closing it for a merge", m->e);
    results_close(r);
    const char *wal = arena_fmt(&m->arena, "%s-wal", path);
    if (m->e->code == OK && replace && file_exists(wal))
        err_set(m->e, ERR_INTERNAL, "%s: another program reads this store: wait for it, then merge "
                "again", path);
    return m->e->code;
}

/* What is left beside a store that was deleted: SQLite would read it as the new one's. */
static void forget_old(struct merge *m, const char *path)
{
    static const char *const ends[] = { "-wal", "-shm", "-journal" };
    for (size_t i = 0; i < COUNT(ends); i++)
        remove(arena_fmt(&m->arena, "%s%s", path, ends[i]));
}

static enum status count(struct merge *m, const char *sql, size_t *out)
{
    sqlite3_stmt *q = NULL;
    if (results_prepare(m->out, &q, sql, "counting", m->e) == OK && sqlite3_step(q) == SQLITE_ROW)
        *out = (size_t)sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return m->e->code;
}

static enum status make(struct merge *m, struct results_merged *what)
{
    if (run_sql(m, prepare_sql, "beginning to merge") != OK || results_migrate(m->out, true, m->e) != OK)
        return m->e->code;
    for (size_t i = 0; i < m->n && m->e->code == OK; i++)
        if (attach(m, i) == OK) {
            run_sql(m, survey_sql, "reading its runs");
            detach(m);
        }
    if (m->e->code == OK)
        run_sql(m, lay_out_sql, "laying out runs");
    for (size_t i = 0; i < m->n && m->e->code == OK; i++)
        copy(m, i);
    if (m->e->code == OK && keep_scores(m) == OK) {
        what->stores = m->n;
        count(m, "SELECT count(*) FROM main.run", &what->runs);
        count(m, "SELECT sum(n) FROM temp.held", &what->replies);
    }
    return m->e->code;
}

enum status results_merge(const char *out, const char *const *in, size_t n,
                          struct results_merged *what, struct err *e)
{
    struct results r = { .lock = -1 };
    struct merge m = { .out = &r, .e = e };
    const char *made = arena_fmt(&m.arena, "%s-merging", out);

    *what = (struct results_merged){ 0 };
    r.path = arena_str(&m.arena, out);
    if (m.arena.failed)
        err_set(e, ERR_MEMORY, "%s: no memory", out);
    else if (results_take_lock(&r, e) == OK && list_stores(&m, in, n) == OK &&
             (!is_there(&m) || ready_out(&m, out, false) == OK) &&
             file_remove_all(made, e) == OK) {
        if (sqlite3_open_v2(made, &r.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
                            NULL) != SQLITE_OK)
            results_fail(&r, e, "beginning to merge");
        else {
            sqlite3_busy_timeout(r.db, RESULTS_BUSY_MS);
            make(&m, what);
        }
        sqlite3_close(r.db);
        if (!is_there(&m))
            forget_old(&m, out);
        else if (e->code == OK)
            ready_out(&m, out, true);
        if (e->code == OK)
            file_replace(made, out, e);
        if (e->code != OK)
            remove(made);
    }
    if (r.lock >= 0)
        close(r.lock);
    arena_free(&m.arena);
    return e->code;
}
