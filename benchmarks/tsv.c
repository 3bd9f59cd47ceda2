/* tsv.c -- one pass over a mapped file; a cell is found before it is copied, if ever. */
#include "benchmarks/tsv.h"

#include <string.h>

#include "engine/base/utf8.h"

enum { COLUMNS_MAX = 256 };

static bool ends_row(char c)
{
    return c == '\n' || c == '\r';
}

size_t tsv_line(const struct tsv *t)
{
    size_t line = 1;
    for (size_t i = 0; i < t->row; i++)
        line += t->file.at[i] == '\n' || (t->file.at[i] == '\r' && t->file.at[i + 1] != '\n');
    return line;
}

/* Passes over one cell at `at`: behind its last byte, which is a separator, a row's end, or the
 * file's end. SIZE_MAX when the file ends inside quotes. */
static size_t behind_cell(const struct tsv *t, size_t at)
{
    const char *p = t->file.at;
    size_t n = t->file.n;
    if (at < n && p[at] == '"')
        for (at++;; at++) {
            const char *quote = memchr(p + at, '"', n - at);
            if (!quote)
                return SIZE_MAX;
            at = (size_t)(quote - p) + 1;
            if (at == n || p[at] != '"')
                break;
        }
    while (at < n && p[at] != '\t' && !ends_row(p[at]))
        at++;
    return at;
}

/* Skips rows that are empty or hold only blanks. */
static size_t behind_blank_rows(const struct tsv *t, size_t at)
{
    for (size_t p = at; p < t->file.n; p++) {
        if (ends_row(t->file.at[p]))
            at = p + 1;
        else if (t->file.at[p] != ' ')
            return at;
    }
    return t->file.n;
}

/* The cells of the row at t->next, at most `most`. */
static bool read_row(struct tsv *t, struct tsv_cell *cells, int most)
{
    size_t at = t->row = behind_blank_rows(t, t->next);
    t->next = t->file.n;
    t->n_cells = 0;
    if (at == t->file.n || t->e->code != OK)
        return false;
    for (;; at++) {
        size_t end = behind_cell(t, at);
        if (end == SIZE_MAX) {
            err_set(t->e, ERR_DATA, "%s:%zu: a quoted cell has no end", t->path, tsv_line(t));
            return false;
        }
        if (t->n_cells == most) {
            err_set(t->e, ERR_DATA, "%s:%zu: more than %d cells in a row, expected as many as there "
                    "are columns", t->path, tsv_line(t), most);
            return false;
        }
        cells[t->n_cells++] = (struct tsv_cell){ at, end - at };
        at = end;
        if (at == t->file.n || t->file.at[at] != '\t')
            break;
    }
    t->next = at + (at < t->file.n);                        /* the LF of a CRLF is an empty row */
    return true;
}

char *tsv_unquote(const char *bytes, size_t n, struct arena *a)
{
    char *text = arena_strn(a, bytes, n), *out = text;
    if (!n || *text != '"')
        return text;
    const char *p = text + 1, *end = text + n;
    while (p < end && !(p[0] == '"' && p[1] != '"')) {
        *out++ = *p;
        p += *p == '"' ? 2 : 1;
    }
    for (p++; p < end; p++)                                 /* behind the closing quote */
        *out++ = *p;
    *out = '\0';
    return text;
}

enum status tsv_open(struct tsv *t, const char *path, struct arena *a, struct err *e)
{
    struct tsv_cell cells[COLUMNS_MAX];
    *t = (struct tsv){ .path = path, .e = e };
    if (file_open(&t->file, path, ERR_DATA, e) != OK)
        return e->code;
    if (t->file.n >= 3 && !memcmp(t->file.at, "\xef\xbb\xbf", 3))
        t->next = 3;
    if (!read_row(t, cells, COLUMNS_MAX))
        return err_set(e, ERR_DATA, "%s: no row with the names of the columns", path);
    t->n_columns = t->n_cells;
    t->names = arena_array(a, (size_t)t->n_columns, sizeof *t->names);
    t->cells = arena_array(a, (size_t)t->n_columns, sizeof *t->cells);
    if (!t->names || !t->cells)
        return err_set(e, ERR_MEMORY, "%s: out of memory", path);
    for (int c = 0; c < t->n_columns; c++)
        t->names[c] = tsv_unquote(t->file.at + cells[c].at, cells[c].n, a);
    return OK;
}

enum status tsv_close(struct tsv *t)
{
    file_close(&t->file);
    return t->e->code;
}

int tsv_column(const struct tsv *t, const char *name)
{
    for (int c = 0; c < t->n_columns; c++)
        if (!strcmp(t->names[c], name))
            return c;
    return -1;
}

bool tsv_next(struct tsv *t)
{
    return t->e->code == OK && read_row(t, t->cells, t->n_columns);
}

struct tsv_cell tsv_cell(const struct tsv *t, int column)
{
    return column >= 0 && column < t->n_cells ? t->cells[column] : (struct tsv_cell){ 0, 0 };
}

static bool is_absent(const char *text)
{
    static const char *const absent[] = {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null" };
    for (size_t i = 0; i < COUNT(absent); i++)
        if (!strcmp(text, absent[i]))
            return true;
    return false;
}

const char *tsv_text(struct tsv *t, int column, struct arena *a)
{
    struct tsv_cell cell = tsv_cell(t, column);
    const char *bytes = t->file.at + cell.at;
    if (!cell.n)
        return NULL;
    if (memchr(bytes, '\0', cell.n) || !utf8_valid(bytes, cell.n)) {
        err_set(t->e, ERR_DATA, "%s:%zu: \"%s\" is no text in UTF-8", t->path, tsv_line(t),
                t->names[column]);
        return NULL;
    }
    const char *text = tsv_unquote(bytes, cell.n, a);
    return is_absent(text) ? NULL : text;
}
