/* xlsx.c -- ECMA-376, as much as a table of texts and numbers needs.
 *
 *     xl/workbook.xml              <sheet r:id="rId1">, the first one
 *     xl/_rels/workbook.xml.rels   rId1 -> worksheets/sheet1.xml
 *     xl/sharedStrings.xml         <si><t>text</t></si>, or <si><r><t>te</t></r><r><t>xt</t></r></si>
 *     xl/worksheets/sheet1.xml     <row><c r="B2" t="s"><v>number of the string</v></c></row>
 *                                  <c t="inlineStr"><is><t>text</t></is></c>
 * Phonetic notes (<rPh>) are no part of a text. _x0041_ stands for a character by its number. */
#include "harness/xlsx.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"
#include "harness/unpack.h"
#include "harness/xml.h"

enum { PART_LIMIT = 256 << 20, TEXT_LIMIT = 1 << 20, COLUMNS_MAX = 256, STRINGS_MAX = 1 << 24 };

struct xlsx {
    const char *path;
    struct err *e;
    struct arena keep, row;             /* shared strings and names; the current row */
    char *sheet;                        /* its bytes */
    struct xml xml;
    const char **strings;               /* [n_strings] */
    size_t n_strings, size;
    const char *cells[COLUMNS_MAX];
};

/* ---- texts ----------------------------------------------------------------------------------- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* _x0041_ at p: its character, else 0. */
static uint32_t escaped(const char *p)
{
    uint32_t c = 0;
    if (p[0] != '_' || p[1] != 'x')
        return 0;
    for (int i = 2; i < 6; i++) {
        if (!is_hex(p[i]))
            return 0;
        c = c * 16 + (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    }
    return p[6] == '_' ? c : 0;
}

static const char *unescaped(struct arena *a, const char *text)
{
    char *copy = arena_str(a, text), *out = copy;
    if (!*copy)                                             /* nothing, or no memory: not ours to write */
        return copy;
    for (const char *p = copy; *p;) {
        uint32_t c = escaped(p);
        if (c) {
            out += utf8_put(out, c);
            p += 7;
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
    return copy;
}

/* The text of the element whose START was just read, all its <t> joined, up to its END. With
 * `any`, of every text in it (a <v>). */
static const char *element_text(struct xml *x, bool any, struct arena *a)
{
    struct str text;
    int depth = x->depth, in_text = 0, in_note = 0;
    const char *copy = "";

    str_init(&text, TEXT_LIMIT);
    while (x->depth >= depth && xml_next(x)) {
        int step = x->token == XML_START ? 1 : -1;
        if (x->token == XML_TEXT) {
            if (!in_note && (any || in_text))
                xml_add_text(x, &text);
        } else if (xml_is(x, "t")) {
            in_text += step;
        } else if (xml_is(x, "rPh")) {
            in_note += step;
        }
    }
    if (text.failed)
        err_set(x->e, ERR_DATA, "%s: a text of more than %d bytes", x->name, TEXT_LIMIT);
    else
        copy = unescaped(a, text.at);
    str_free(&text);
    return copy;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* *bytes is the caller's; NULL when there is no such part, which is an error if it is needed. */
static bool read_part(struct xlsx *t, const char *name, bool needed, char **bytes, size_t *n)
{
    *bytes = NULL;
    if (t->e->code == OK &&
        unpack_member(t->path, name, PART_LIMIT, bytes, n, t->e) == OK && !*bytes && needed)
        err_set(t->e, ERR_DATA, "%s: no table: it has no part %s", t->path, name);
    return t->e->code == OK && *bytes;
}

static const char *part_name(struct xlsx *t, const char *name)
{
    return arena_fmt(&t->keep, "%s: %s", t->path, name);
}

/* The id of the first sheet. */
static const char *first_sheet(struct xlsx *t)
{
    static const char part[] = "xl/workbook.xml";
    char *bytes;
    size_t n;
    struct xml x;
    const char *id = NULL;

    if (!read_part(t, part, true, &bytes, &n))
        return NULL;
    xml_open(&x, part_name(t, part), bytes, n, t->e);
    while (!id && xml_next(&x))
        if (x.token == XML_START && xml_is(&x, "sheet"))
            id = xml_attribute(&x, "id", &t->keep);
    free(bytes);
    if (!id)
        err_set(t->e, ERR_DATA, "%s: no table: its workbook has no sheet", t->path);
    return id;
}

/* The part that an id of the workbook stands for. */
static const char *part_of(struct xlsx *t, const char *id)
{
    static const char part[] = "xl/_rels/workbook.xml.rels";
    char *bytes;
    size_t n;
    struct xml x;
    const char *target = NULL;

    if (!id || !read_part(t, part, true, &bytes, &n))
        return NULL;
    xml_open(&x, part_name(t, part), bytes, n, t->e);
    while (!target && xml_next(&x)) {
        const char *its = x.token == XML_START ? xml_attribute(&x, "Id", &t->keep) : NULL;
        if (its && !strcmp(its, id))
            target = xml_attribute(&x, "Target", &t->keep);
    }
    free(bytes);
    if (!target) {
        err_set(t->e, ERR_DATA, "%s: no table: sheet %.40s lies nowhere", t->path, id);
        return NULL;
    }
    return *target == '/' ? target + 1 : arena_fmt(&t->keep, "xl/%s", target);
}

static void read_strings(struct xlsx *t)
{
    static const char part[] = "xl/sharedStrings.xml";
    char *bytes;
    size_t n;
    struct xml x;

    if (!read_part(t, part, false, &bytes, &n))
        return;
    xml_open(&x, part_name(t, part), bytes, n, t->e);
    while (xml_next(&x)) {
        if (x.token != XML_START || !xml_is(&x, "si"))
            continue;
        if (t->n_strings == t->size) {
            size_t size = t->size ? t->size * 2 : 1024;
            const char **more = size <= STRINGS_MAX ? realloc(t->strings, size * sizeof *more) : NULL;
            if (!more) {
                err_set(t->e, ERR_MEMORY, "%s: no memory for %zu strings", t->path, size);
                break;
            }
            t->strings = more;
            t->size = size;
        }
        t->strings[t->n_strings++] = element_text(&x, false, &t->keep);
    }
    free(bytes);
}

enum status xlsx_open(struct xlsx **out, const char *path, struct err *e)
{
    struct xlsx *t = *out = calloc(1, sizeof *t);
    size_t n = 0;

    if (!t)
        return err_set(e, ERR_MEMORY, "%s: no memory", path);
    t->path = path;
    t->e = e;
    const char *part = part_of(t, first_sheet(t));
    if (e->code == OK)
        read_strings(t);
    if (e->code == OK && read_part(t, part, true, &t->sheet, &n))
        xml_open(&t->xml, part_name(t, part), t->sheet, n, e);
    if (e->code == OK && t->keep.failed)
        err_set(e, ERR_MEMORY, "%s: no memory for its texts", path);
    return e->code;
}

void xlsx_close(struct xlsx *t)
{
    if (!t)
        return;
    free(t->sheet);
    free(t->strings);
    arena_free(&t->keep);
    arena_free(&t->row);
    free(t);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* "BC12" -> 54; -1 when it names no column. */
static int column_of(const char *at)
{
    int column = 0;
    while (at && ((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z')) && column < COLUMNS_MAX)
        column = column * 26 + (*at++ & 0x1f);
    return column - 1;
}

static const char *shared(struct xlsx *t, const char *number)
{
    int64_t i;
    if (str_to_int(number, &i) && i >= 0 && (uint64_t)i < t->n_strings)
        return t->strings[i];
    err_set(t->e, ERR_DATA, "%s: string %.20s, of %zu that there are", t->xml.name, number,
            t->n_strings);
    return NULL;
}

/* The cell whose START was just read, up to its END; NULL when it is empty. */
static const char *read_cell(struct xlsx *t)
{
    struct xml *x = &t->xml;
    const char *type = xml_attribute(x, "t", &t->row), *text = NULL;
    int depth = x->depth;

    while (x->depth >= depth && xml_next(x)) {
        if (x->token != XML_START)
            continue;
        if (xml_is(x, "v"))
            text = element_text(x, true, &t->row);
        else if (xml_is(x, "is"))
            text = element_text(x, false, &t->row);
    }
    return text && type && !strcmp(type, "s") ? shared(t, text) : text;
}

bool xlsx_next(struct xlsx *t, const char *const **cells, int *n)
{
    struct xml *x = &t->xml;
    int column = -1;

    arena_reset(&t->row);
    do {
        if (!xml_next(x))
            return false;
    } while (x->token != XML_START || !xml_is(x, "row"));
    int depth = x->depth;
    *n = 0;
    while (x->depth >= depth && xml_next(x)) {
        if (x->token != XML_START || !xml_is(x, "c"))
            continue;
        const char *at = xml_attribute(x, "r", &t->row);
        column = at ? column_of(at) : column + 1;
        if (column < 0 || column >= COLUMNS_MAX) {
            err_set(t->e, ERR_DATA, "%s: a cell \"%.20s\", expected one of %d columns", x->name,
                    at ? at : "", COLUMNS_MAX);
            return false;
        }
        while (*n <= column)
            t->cells[(*n)++] = NULL;
        t->cells[column] = read_cell(t);
    }
    if (t->row.failed)
        err_set(t->e, ERR_MEMORY, "%s: no memory for a row", x->name);
    *cells = t->cells;
    return t->e->code == OK;
}
