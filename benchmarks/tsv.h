/* tsv.h -- tables of tab-separated cells, as pandas' read_table takes them (C parser of 1.5.3).
 *
 * UTF-8, a byte order mark is skipped. Rows end with LF, CRLF or CR; empty rows and rows of blanks
 * only are skipped. A cell is quoted only if its first character is '"': inside, "" is one quote and
 * TAB, CR, LF are data; what follows the closing quote is appended as it is. Nothing is trimmed.
 *
 *     struct tsv t;
 *     tsv_open(&t, path, &arena, e);              reads the names of the columns
 *     int q = tsv_column(&t, "question");         -1 when there is none
 *     while (tsv_next(&t)) text = tsv_text(&t, q, &arena);
 *     return tsv_close(&t);                       e->code
 * Rows are not copied: a table far larger than memory is read in one pass. */
#ifndef BENCHMARKS_TSV_H
#define BENCHMARKS_TSV_H

#include "engine/base/arena.h"
#include "engine/base/file.h"

struct tsv_cell { size_t at, n; };          /* bytes of the file, quotes included */

struct tsv {
    struct file file;
    const char *path;                       /* borrowed */
    struct err *e;
    size_t next, row;                       /* where the next and the current row begin */
    const char **names;                     /* [n_columns], in the arena */
    struct tsv_cell *cells;                 /* [n_columns] of the current row, in the arena */
    int n_columns, n_cells;                 /* n_cells: in the current row; fewer when it is short */
};

enum status tsv_open(struct tsv *t, const char *path, struct arena *a, struct err *e);
int tsv_column(const struct tsv *t, const char *name);
bool tsv_next(struct tsv *t);               /* false at the end, or with the error set */
enum status tsv_close(struct tsv *t);

/* The line of the file, from 1, where the current row begins. */
size_t tsv_line(const struct tsv *t);

/* The cell's text in the arena; NULL when it is absent: column -1, a short row, or a text that
 * pandas takes for a missing value ("", NA, nan, None, ...). Text that is no UTF-8 sets the error. */
const char *tsv_text(struct tsv *t, int column, struct arena *a);

/* Where the cell lies; n is 0 when the row has none. */
struct tsv_cell tsv_cell(const struct tsv *t, int column);

/* A cell without its quotes, in the arena; bytes[0..n) as tsv_cell found them. */
char *tsv_unquote(const char *bytes, size_t n, struct arena *a);

#endif
