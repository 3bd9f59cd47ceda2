/* exports.h -- what a benchmark hands out for a server or an official tool, before it is a file.
 *
 * One text, the texts of a folder, or the rows of a table. A benchmark fills it only with what it has
 * checked; the harness writes all of it or nothing. Failure is sticky: exports_failed() at the end. */
#ifndef BENCHMARKS_EXPORTS_H
#define BENCHMARKS_EXPORTS_H

#include "engine/base/arena.h"
#include "engine/base/str.h"

enum { EXPORTS_FILES = 32 };

struct exports_file { const char *name; struct str text; };
struct exports_column { const char *name; bool number; };   /* number: cells are integers */

struct exports {
    struct arena arena;                 /* owns names and cells */
    struct exports_file files[EXPORTS_FILES];   /* name NULL: the one file is what was asked for */
    int n_files;
    const struct exports_column *columns;       /* not NULL: a table */
    int n_columns;
    const char **cells;                 /* [rows][columns]; NULL: an empty cell */
    size_t n_cells, size;
    bool failed;
};

/* The text of a new file of the folder, to be filled; name NULL: of the only file. */
struct str *exports_text(struct exports *x, const char *name);

/* Makes x a table; columns live as long as the program. */
void exports_table(struct exports *x, const struct exports_column *columns, int n);
void exports_cell(struct exports *x, const char *text);     /* copied; the next one of its row */

bool exports_failed(const struct exports *x);               /* memory ran out, or a limit */
void exports_free(struct exports *x);                       /* a zeroed struct is empty, and fine */

#endif
