/* private.h -- the handle, for the files of results/ alone. */
#ifndef RESULTS_PRIVATE_H
#define RESULTS_PRIVATE_H

#include <sqlite3.h>
#include <time.h>
#include "engine/base/str.h"
#include "results/results.h"

struct results {
    sqlite3 *db;
    sqlite3_stmt *add_reply, *add_judgement, *find_judgement, *add_error;    /* prepared once */
    char *path;
    int lock;                   /* descriptor of the lock file; -1 when reading */
    const char *network;        /* the network file system it lies on, or NULL */
    bool in_transaction;
    time_t flushed;             /* the second in which a transaction last began that is flushed */
};

enum { RESULTS_BUSY_MS = 20000 };           /* how long a locked store is waited for */

/* The name of the network file system that path lies on (or its folder, where it is not there yet), or
 * NULL. */
const char *results_network_of(const char *path);

/* What SQLite opens path by: a URI that says how it may be used. */
enum { RESULTS_URI_LIMIT = 1 << 16 };
void results_uri(const char *path, bool write, struct str *out);

/* Takes r->path's lock for a writer; ERR_INTERNAL says who holds it. */
enum status results_take_lock(struct results *r, struct err *e);

/* Opens r->path's database, brings it up to date (write) and into its journal mode. */
enum status results_connect(struct results *r, bool write, struct err *e);

/* Makes the tables in a new database, brings an older one up to date; refuses what is not ours. */
enum status results_migrate(struct results *r, bool may_write, struct err *e);

/* Puts SQLite's last failure into words: the file, what was being done, what is wrong; a full disk
 * is named as such. */
enum status results_fail(struct results *r, struct err *e, const char *doing);

/* Prepares `sql` into *q; on failure *q is NULL. */
enum status results_prepare(struct results *r, sqlite3_stmt **q, const char *sql, const char *doing,
                            struct err *e);

/* Runs statements without a result. */
enum status results_exec(struct results *r, const char *sql, const char *doing, struct err *e);

/* Binds a text that is borrowed until the step; NULL binds NULL. */
void results_bind(sqlite3_stmt *q, int at, const char *text);

/* Now, UTC, ISO 8601. */
enum { RESULTS_TIME = 24 };
void results_now(char out[RESULTS_TIME]);

/* Text of a column, copied into the arena; NULL for NULL. */
const char *results_text(struct arena *a, sqlite3_stmt *q, int column);

/* The same where the schema has no NULL: a file that has one all the same is damaged, and "" is given. */
const char *results_need(struct results *r, struct arena *a, sqlite3_stmt *q, int column,
                         struct err *e);

#endif
