/* xlsx.h -- the first sheet of an .xlsx, row by row: what pandas would read from it.
 *
 *     struct xlsx *t;
 *     if (xlsx_open(&t, path, e) == OK)
 *         while (xlsx_next(t, &cells, &n)) ...             cells[n]: texts, NULL where empty
 *     xlsx_close(t);                                       e says what went wrong
 *
 * A zip of XML, and hostile: every part, text, row and column is bounded. Numbers are texts as they
 * are written; a formula is its stored result. */
#ifndef HARNESS_XLSX_H
#define HARNESS_XLSX_H

#include "engine/base/err.h"

struct xlsx;
enum status xlsx_open(struct xlsx **out, const char *path, struct err *e);  /* keeps e */
/* The next row that is there; cells live until the next call. False at the end or with e set. */
bool xlsx_next(struct xlsx *t, const char *const **cells, int *n);
void xlsx_close(struct xlsx *t);                            /* NULL is fine */

#endif
