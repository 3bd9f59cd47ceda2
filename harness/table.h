/* table.h -- one table, seven formats: text md csv tsv latex json html. */
#ifndef HARNESS_TABLE_H
#define HARNESS_TABLE_H

#include "engine/base/str.h"
#include "harness/options.h"

struct table_column {
    const char *title;          /* as people read it */
    const char *key;            /* in json and csv headers; NULL: the title */
    bool right;                 /* numbers: set flush right */
};
struct table_cell {
    const char *text;           /* as people read it: "85.9†"; NULL: absent, shown as – */
    double value;               /* for machines, full precision; NaN: text is the value */
    bool is_number;
    bool is_flag, is_count;     /* for machines: true or false; a whole number */
    bool best, second;          /* bold, underlined where the format can */
};
struct table {
    const char *caption;        /* or NULL */
    const struct table_column *columns; int n_columns;
    struct table_cell *cells;   /* [rows][columns] */
    int n_rows;
    const bool *rule_above;     /* [rows], or NULL: a line above this row */
    const char *notes;          /* what the marks mean; or NULL */
};

/* Appends the table to out; every cell escaped as the format needs; UTF-8 widths respected. */
void table_format(const struct table *t, enum table_format format, struct str *out);

#endif
