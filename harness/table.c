/* table.c -- one table, seven formats.
 *
 * People read text, md, latex and html: cells as they are worded, marks and notes included. Machines
 * read csv, tsv and json: keys, full precision, no marks; an absent cell is empty or null. */
#include "harness/table.h"

#include <math.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/utf8.h"

#define ABSENT "\xE2\x80\x93"                               /* an en dash */
#define LINE "\xE2\x94\x80"                                 /* box drawings light horizontal */

static const struct table_cell *cell_at(const struct table *t, int row, int column)
{
    return &t->cells[(size_t)row * (size_t)t->n_columns + (size_t)column];
}

static const char *key_of(const struct table_column *c)
{
    return c->key ? c->key : c->title;
}

static bool rule_above(const struct table *t, int row)
{
    return row > 0 && t->rule_above && t->rule_above[row];
}

/* ---- text ----------------------------------------------------------------------------------- */

enum { WIDE = 80 };             /* wider tables have their titles broken at blanks */

/* Columns a terminal gives n bytes of text: none to combining marks, two to East Asian letters. */
static size_t width_of(const char *text, size_t n)
{
    static const struct { uint32_t from, to; int width; } ranges[] = {
        { 0x0300, 0x036F, 0 }, { 0x200B, 0x200F, 0 }, { 0xFE00, 0xFE0F, 0 },
        { 0x1100, 0x115F, 2 }, { 0x2E80, 0xA4CF, 2 }, { 0xAC00, 0xD7A3, 2 },
        { 0xF900, 0xFAFF, 2 }, { 0xFE30, 0xFE6F, 2 }, { 0xFF01, 0xFF60, 2 },
        { 0xFFE0, 0xFFE6, 2 }, { 0x1F300, 0x1FAFF, 2 }, { 0x20000, 0x3FFFD, 2 },
    };
    size_t columns = 0, length;
    for (size_t i = 0; i < n; i += length) {
        uint32_t c = utf8_get(text + i, n - i, &length);
        int w = 1;
        for (size_t r = 0; r < COUNT(ranges); r++)
            if (c >= ranges[r].from && c <= ranges[r].to)
                w = ranges[r].width;
        columns += (size_t)w;
    }
    return columns;
}

static size_t width(const char *text)
{
    return width_of(text, strlen(text));
}

static const char *shown(const struct table_cell *c)
{
    return c->text ? c->text : ABSENT;
}

static void add_times(struct str *out, const char *text, size_t n)
{
    while (n--)
        str_add(out, text);
}

/* A control character would break the line or drive the terminal. */
static void add_plain(struct str *out, const char *text)
{
    for (; *text; text++)
        str_addc(out, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

/* As add_plain, but for line feeds. */
static void add_lines(struct str *out, const char *text, const char *end)
{
    for (; *text; text++)
        str_addc(out, *text != '\n' && ((unsigned char)*text < ' ' || *text == 0x7f) ? ' ' : *text);
    str_add(out, end);
}

static void add_padded(struct str *out, const char *text, size_t to, bool right, bool last)
{
    size_t pad = to - width(text);
    if (right)
        add_times(out, " ", pad);
    add_plain(out, text);
    if (!right && !last)
        add_times(out, " ", pad);
    while (last && out->n && out->at[out->n - 1] == ' ')    /* no blanks at the end of a line */
        out->at[--out->n] = '\0';
    str_add(out, last ? "\n" : "  ");
}

static size_t longest_word(const char *title)
{
    size_t most = 0;
    while (*title) {
        size_t n = strcspn(title, " "), w = width_of(title, n);
        most = w > most ? w : most;
        title += n + (title[n] == ' ');
    }
    return most;
}

/* Bytes of the title's next line of at most `wide` columns, broken at blanks; one word at least. */
static size_t next_line(const char *title, size_t wide)
{
    size_t n = strcspn(title, " ");
    while (title[n]) {
        size_t more = n + 1 + strcspn(title + n + 1, " ");
        if (width_of(title, more) > wide)
            break;
        n = more;
    }
    return n;
}

static size_t count_lines(const char *title, size_t wide)
{
    size_t lines = 0;
    do {
        size_t n = next_line(title, wide);
        title += n + (title[n] == ' ');
        lines++;
    } while (*title);
    return lines;
}

/* Line `line` of a title that ends on line lines - 1; "" above it. */
static const char *title_line(struct arena *a, const char *title, size_t wide, size_t line,
                              size_t lines)
{
    size_t empty = lines - count_lines(title, wide);
    for (; line > empty; line--) {
        title += next_line(title, wide);
        title += *title == ' ';
    }
    return line < empty ? "" : arena_strn(a, title, next_line(title, wide));
}

/* Widths of the columns; of all together. Titles count whole, or with their longest word. */
static size_t measure(const struct table *t, bool broken, size_t *wide)
{
    size_t all = 0;
    for (int c = 0; c < t->n_columns; c++) {
        const char *title = t->columns[c].title;
        wide[c] = broken ? longest_word(title) : width(title);
        for (int r = 0; r < t->n_rows; r++) {
            size_t w = width(shown(cell_at(t, r, c)));
            wide[c] = w > wide[c] ? w : wide[c];
        }
        all += wide[c] + (c ? 2 : 0);
    }
    return all;
}

static void add_titles(const struct table *t, const size_t *wide, struct arena *a, struct str *out)
{
    size_t lines = 1;
    for (int c = 0; c < t->n_columns; c++) {
        size_t n = count_lines(t->columns[c].title, wide[c]);
        lines = n > lines ? n : lines;
    }
    for (size_t line = 0; line < lines; line++)
        for (int c = 0; c < t->n_columns; c++)
            add_padded(out, title_line(a, t->columns[c].title, wide[c], line, lines), wide[c],
                       t->columns[c].right, c + 1 == t->n_columns);
}

static void format_text(const struct table *t, struct str *out)
{
    struct arena a = { 0 };
    size_t *wide = arena_array(&a, (size_t)t->n_columns + 1, sizeof *wide);
    if (!wide) {
        out->failed = true;
        return;
    }
    size_t all = measure(t, false, wide);
    if (all > WIDE)
        all = measure(t, true, wide);
    if (t->caption)
        add_lines(out, t->caption, "\n\n");
    add_titles(t, wide, &a, out);
    for (int r = 0; r < t->n_rows; r++) {
        if (r == 0 || rule_above(t, r)) {
            add_times(out, LINE, all);
            str_addc(out, '\n');
        }
        for (int c = 0; c < t->n_columns; c++)
            add_padded(out, shown(cell_at(t, r, c)), wide[c], t->columns[c].right,
                       c + 1 == t->n_columns);
    }
    if (t->notes && *t->notes) {
        str_addc(out, '\n');
        add_lines(out, t->notes, "\n");
    }
    out->failed = out->failed || a.failed;
    arena_free(&a);
}

/* ---- the others that people read: text goes through one escape each ------------------------- */

static void add_escaped(struct str *out, const char *text, const char *const escapes[][2], size_t n)
{
    while (*text) {
        size_t i = 0;
        while (i < n && strncmp(text, escapes[i][0], strlen(escapes[i][0])))
            i++;
        if (i < n) {
            str_add(out, escapes[i][1]);
            text += strlen(escapes[i][0]);
        } else {
            str_addc(out, (unsigned char)*text < ' ' ? ' ' : *text);
            text++;
        }
    }
}

static const char *const md_escapes[][2] = {
    { "|", "\\|" }, { "\\", "\\\\" }, { "*", "\\*" }, { "_", "\\_" }, { "`", "\\`" },
    { "[", "\\[" }, { "<", "&lt;" }, { "&", "&amp;" },
};
static const char *const html_escapes[][2] = {
    { "&", "&amp;" }, { "<", "&lt;" }, { ">", "&gt;" }, { "\"", "&quot;" },
};
static const char *const latex_escapes[][2] = {
    { "\\", "\\textbackslash{}" }, { "{", "\\{" }, { "}", "\\}" }, { "#", "\\#" }, { "$", "\\$" },
    { "%", "\\%" }, { "&", "\\&" }, { "_", "\\_" }, { "~", "\\textasciitilde{}" },
    { "^", "\\textasciicircum{}" }, { "<", "\\textless{}" }, { ">", "\\textgreater{}" },
    { "\xE2\x80\xA0", "\\textdagger{}" }, { "\xE2\x80\xA1", "\\textdaggerdbl{}" },
    { ABSENT, "--" }, { "\xC2\xB1", "\\ensuremath{\\pm}" }, { "\xC3\x97", "\\ensuremath{\\times}" },
    { "\xC2\xA7", "\\S{}" }, { "\xE2\x88\x92", "\\ensuremath{-}" },
};

static void add_md(struct str *out, const char *text)
{
    add_escaped(out, text, md_escapes, COUNT(md_escapes));
}

static void add_html(struct str *out, const char *text)
{
    add_escaped(out, text, html_escapes, COUNT(html_escapes));
}

static void add_latex(struct str *out, const char *text)
{
    add_escaped(out, text, latex_escapes, COUNT(latex_escapes));
}

/* before TEXT after, where the cell stands out. */
static void add_cell(struct str *out, const struct table_cell *c,
                     void (*add)(struct str *, const char *), const char *const best[2],
                     const char *const second[2])
{
    const char *const none[2] = { "", "" };
    const char *const *around = !c->text ? none : c->best ? best : c->second ? second : none;
    str_add(out, around[0]);
    add(out, shown(c));
    str_add(out, around[1]);
}

static void format_md(const struct table *t, struct str *out)
{
    static const char *const best[2] = { "**", "**" }, *const second[2] = { "<u>", "</u>" };
    if (t->caption) {
        add_md(out, t->caption);
        str_add(out, "\n\n");
    }
    for (int c = 0; c < t->n_columns; c++) {
        str_add(out, "| ");
        add_md(out, t->columns[c].title);
        str_addc(out, ' ');
    }
    str_add(out, "|\n");
    for (int c = 0; c < t->n_columns; c++)
        str_add(out, t->columns[c].right ? "| ---: " : "| --- ");
    str_add(out, "|\n");
    for (int r = 0; r < t->n_rows; r++) {
        for (int c = 0; c < t->n_columns; c++) {
            str_add(out, "| ");
            add_cell(out, cell_at(t, r, c), add_md, best, second);
            str_addc(out, ' ');
        }
        str_add(out, "|\n");
    }
    if (t->notes && *t->notes) {
        str_addc(out, '\n');
        add_md(out, t->notes);
        str_addc(out, '\n');
    }
}

static void format_html(const struct table *t, struct str *out)
{
    static const char *const best[2] = { "<b>", "</b>" }, *const second[2] = { "<u>", "</u>" };
    static const char *const right[2] = { "", " style=\"text-align:right\"" };
    str_add(out, "<table>\n");
    if (t->caption) {
        str_add(out, "<caption>");
        add_html(out, t->caption);
        str_add(out, "</caption>\n");
    }
    str_add(out, "<thead><tr>");
    for (int c = 0; c < t->n_columns; c++) {
        str_addf(out, "<th%s>", right[t->columns[c].right]);
        add_html(out, t->columns[c].title);
        str_add(out, "</th>");
    }
    str_add(out, "</tr></thead>\n<tbody>\n");
    for (int r = 0; r < t->n_rows; r++) {
        if (rule_above(t, r))
            str_add(out, "</tbody>\n<tbody>\n");
        str_add(out, "<tr>");
        for (int c = 0; c < t->n_columns; c++) {
            str_addf(out, "<td%s>", right[t->columns[c].right]);
            add_cell(out, cell_at(t, r, c), add_html, best, second);
            str_add(out, "</td>");
        }
        str_add(out, "</tr>\n");
    }
    str_add(out, "</tbody>\n</table>\n");
    if (t->notes && *t->notes) {
        str_add(out, "<p>");
        add_html(out, t->notes);
        str_add(out, "</p>\n");
    }
}

static void format_latex(const struct table *t, struct str *out)        /* needs booktabs */
{
    static const char *const best[2] = { "\\textbf{", "}" };
    static const char *const second[2] = { "\\underline{", "}" };
    str_add(out, "\\begin{table}\n\\centering\n");
    if (t->caption) {
        str_add(out, "\\caption{");
        add_latex(out, t->caption);
        str_add(out, "}\n");
    }
    str_add(out, "\\begin{tabular}{");
    for (int c = 0; c < t->n_columns; c++)
        str_addc(out, t->columns[c].right ? 'r' : 'l');
    str_add(out, "}\n\\toprule\n");
    for (int c = 0; c < t->n_columns; c++) {
        add_latex(out, t->columns[c].title);
        str_add(out, c + 1 < t->n_columns ? " & " : " \\\\\n\\midrule\n");
    }
    for (int r = 0; r < t->n_rows; r++) {
        if (rule_above(t, r))
            str_add(out, "\\midrule\n");
        for (int c = 0; c < t->n_columns; c++) {
            add_cell(out, cell_at(t, r, c), add_latex, best, second);
            str_add(out, c + 1 < t->n_columns ? " & " : " \\\\\n");
        }
    }
    str_add(out, "\\bottomrule\n\\end{tabular}\n");
    if (t->notes && *t->notes) {
        str_add(out, "\\par\\smallskip{\\footnotesize ");
        add_latex(out, t->notes);
        str_add(out, "}\n");
    }
    str_add(out, "\\end{table}\n");
}

/* ---- for machines --------------------------------------------------------------------------- */

/* RFC 4180: quotes where the text holds a quote, a comma or an end of line. */
static void add_csv(struct str *out, const char *text)
{
    bool quotes = strpbrk(text, "\",\r\n") != NULL;
    if (quotes)
        str_addc(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            str_addc(out, '"');
        str_addc(out, *text);
    }
    if (quotes)
        str_addc(out, '"');
}

/* A number, a flag or a count as machines read it; false: the cell is text. */
static bool add_value(struct str *out, const struct table_cell *cell)
{
    if (cell->is_flag)
        str_add(out, cell->value != 0 ? "true" : "false");
    else if (cell->is_count)
        str_addf(out, "%.0f", cell->value);
    else if (cell->is_number)
        str_add_number(out, cell->value);                   /* null for NaN */
    return cell->is_flag || cell->is_count || cell->is_number;
}

static void format_separated(const struct table *t, char separator,
                             void (*add)(struct str *, const char *), struct str *out)
{
    for (int r = -1; r < t->n_rows; r++) {                  /* row -1: the keys */
        for (int c = 0; c < t->n_columns; c++) {
            if (c)
                str_addc(out, separator);
            if (r < 0) {
                add(out, key_of(&t->columns[c]));
                continue;
            }
            const struct table_cell *cell = cell_at(t, r, c);
            bool absent = cell->is_number && !isfinite(cell->value);
            if (!absent && !add_value(out, cell) && cell->text)
                add(out, cell->text);
        }
        str_addc(out, '\n');
    }
}

static void format_json(const struct table *t, struct str *out)
{
    str_addc(out, '[');
    for (int r = 0; r < t->n_rows; r++) {
        str_add(out, r ? ",\n {" : "\n {");
        for (int c = 0; c < t->n_columns; c++) {
            const struct table_cell *cell = cell_at(t, r, c);
            if (c)
                str_addc(out, ',');
            str_add_json(out, key_of(&t->columns[c]));
            str_addc(out, ':');
            if (add_value(out, cell))
                continue;
            if (cell->text)
                str_add_json(out, cell->text);
            else
                str_add(out, "null");
        }
        str_addc(out, '}');
    }
    str_add(out, t->n_rows ? "\n]\n" : "]\n");
}

void table_format(const struct table *t, enum table_format format, struct str *out)
{
    switch (format) {
    case TABLE_TEXT:  format_text(t, out); break;
    case TABLE_MD:    format_md(t, out); break;
    case TABLE_CSV:   format_separated(t, ',', add_csv, out); break;
    case TABLE_TSV:   format_separated(t, '\t', add_plain, out); break;
    case TABLE_LATEX: format_latex(t, out); break;
    case TABLE_JSON:  format_json(t, out); break;
    case TABLE_HTML:  format_html(t, out); break;
    }
}
