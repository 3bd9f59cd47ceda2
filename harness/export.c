/* export.c -- see export.h; libxlsxwriter, wrapped once.
 *
 * Everything is written beside its place first. The table has one sheet, "Sheet1", its strings stand
 * in their cells (no table of shared strings), as in the files that LLaVA published. */
#include "harness/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include "engine/base/file.h"

static const char *beside(struct arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_fmt(a, "%.*s.part-%ld", (int)n, path, (long)getpid());
}

/* ---- a folder -------------------------------------------------------------------------------- */

static enum status write_folder(const struct exports *x, const char *path, size_t *bytes,
                                struct err *e)
{
    struct arena a = { 0 };
    const char *part = beside(&a, path);

    if (file_mkdirs(part, e) == OK)
        for (int i = 0; i < x->n_files && e->code == OK; i++) {
            const struct exports_file *f = &x->files[i];
            file_write(path_join(&a, part, f->name), f->text.at, f->text.n, e);
            *bytes += f->text.n;
        }
    if (e->code == OK && rename(part, path) != 0)           /* an empty folder gives way */
        err_set(e, errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ? ERR_USAGE
                                                                             : ERR_INTERNAL,
                "%s: cannot become the folder of these files: %s: name another", path,
                strerror(errno));
    if (e->code != OK) {
        struct err late = { 0 };
        file_remove_all(part, &late);
    }
    arena_free(&a);
    return e->code;
}

/* ---- a table --------------------------------------------------------------------------------- */

/* What XML can hold, as it would be read back: without control characters, line ends as LF. */
static const char *cell_text(struct arena *a, const char *text)
{
    char *copy = arena_str(a, text), *out = copy;
    if (!*copy)                                             /* nothing, or no memory: not ours to write */
        return copy;
    for (const char *p = copy; *p; p++)
        if (*p == '\r')
            *out++ = p[1] == '\n' ? *++p : '\n';
        else if ((unsigned char)*p >= ' ' || *p == '\t' || *p == '\n')
            *out++ = *p;
    *out = '\0';
    return copy;
}

static lxw_error write_cell(lxw_worksheet *sheet, size_t row, int column, bool number,
                            const char *text, struct arena *a)
{
    int64_t value;
    arena_reset(a);
    if (!text)
        return LXW_NO_ERROR;
    if (number && str_to_int(text, &value))
        return worksheet_write_number(sheet, (lxw_row_t)row, (lxw_col_t)column, (double)value, NULL);
    return worksheet_write_string(sheet, (lxw_row_t)row, (lxw_col_t)column, cell_text(a, text), NULL);
}

static enum status fill_sheet(const struct exports *x, lxw_worksheet *sheet, const char *path,
                              struct err *e)
{
    struct arena a = { 0 };
    size_t rows = x->n_cells / (size_t)x->n_columns;

    if (rows >= LXW_ROW_MAX)
        err_set(e, ERR_DATA, "%s: %zu rows, a sheet has at most %d", path, rows + 1, LXW_ROW_MAX);
    for (size_t i = 0; i < x->n_cells + (size_t)x->n_columns && e->code == OK; i++) {
        size_t row = i / (size_t)x->n_columns;              /* row 0: the names */
        int column = (int)(i % (size_t)x->n_columns);
        const char *text = row ? x->cells[i - (size_t)x->n_columns] : x->columns[column].name;
        lxw_error rc = write_cell(sheet, row, column, row && x->columns[column].number, text, &a);
        if (rc != LXW_NO_ERROR)
            err_set(e, ERR_DATA, "%s: row %zu, \"%s\": %s", path, row + 1, x->columns[column].name,
                    lxw_strerror(rc));
    }
    if (a.failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the table", path);
    arena_free(&a);
    return e->code;
}

static enum status write_table(const struct exports *x, const char *path, size_t *bytes,
                               struct err *e)
{
    struct arena a = { 0 };
    struct file whole = { 0 };
    const char *part = beside(&a, path);
    lxw_workbook_options by_rows = { .constant_memory = LXW_TRUE };
    lxw_workbook *book = NULL;
    lxw_worksheet *sheet = NULL;

    /* The library would complain of a bad place on stderr, and only at the end. */
    if (file_write(part, "", 0, e) == OK && (book = workbook_new_opt(part, &by_rows)))
        sheet = workbook_add_worksheet(book, NULL);
    if (!sheet)
        err_set(e, ERR_MEMORY, "%s: no memory for the table", path);
    else
        fill_sheet(x, sheet, path, e);
    lxw_error rc = book ? workbook_close(book) : LXW_NO_ERROR;  /* frees it, too */
    if (rc != LXW_NO_ERROR)
        err_set(e, ERR_INTERNAL, "%s: cannot write: %s", path, lxw_strerror(rc));
    if (e->code == OK && file_open(&whole, part, ERR_INTERNAL, e) == OK)
        file_write(path, whole.at, *bytes = whole.n, e);
    file_close(&whole);
    unlink(part);
    arena_free(&a);
    return e->code;
}

enum status export_write(const struct exports *x, const char *path, size_t *bytes, struct err *e)
{
    *bytes = 0;
    if (x->columns)
        return write_table(x, path, bytes, e);
    if (x->n_files == 1 && !x->files[0].name) {
        *bytes = x->files[0].text.n;
        return file_write(path, x->files[0].text.at, x->files[0].text.n, e);
    }
    return write_folder(x, path, bytes, e);
}
