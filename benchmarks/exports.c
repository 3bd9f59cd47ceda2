/* exports.c -- see exports.h. */
#include "benchmarks/exports.h"

#include <assert.h>
#include <stdlib.h>

enum { TEXT_LIMIT = 1 << 30 };                              /* bytes of one file */

struct str *exports_text(struct exports *x, const char *name)
{
    assert(x->n_files < EXPORTS_FILES);
    struct exports_file *f = &x->files[x->n_files++];
    f->name = name ? arena_str(&x->arena, name) : NULL;
    str_init(&f->text, TEXT_LIMIT);
    return &f->text;
}

void exports_table(struct exports *x, const struct exports_column *columns, int n)
{
    x->columns = columns;
    x->n_columns = n;
}

void exports_cell(struct exports *x, const char *text)
{
    if (x->n_cells == x->size) {
        size_t size = x->size ? x->size * 2 : 1024;
        const char **cells = realloc(x->cells, size * sizeof *cells);
        if (!cells) {
            x->failed = true;
            return;
        }
        x->cells = cells;
        x->size = size;
    }
    x->cells[x->n_cells++] = text ? arena_str(&x->arena, text) : NULL;
}

bool exports_failed(const struct exports *x)
{
    bool failed = x->failed || x->arena.failed;
    for (int i = 0; i < x->n_files; i++)
        failed = failed || x->files[i].text.failed;
    return failed;
}

void exports_free(struct exports *x)
{
    for (int i = 0; i < x->n_files; i++)
        str_free(&x->files[i].text);
    free(x->cells);
    arena_free(&x->arena);
    *x = (struct exports){ 0 };
}
