/* Any bytes as the XML parts of an .xlsx, split at bytes 0xff: strings and sheet, or behind a leading
 * '#' all four. libarchive, which takes the zip apart, is fuzzed by its own people. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/unpack.h"
#include "harness/xlsx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { WORKBOOK, RELATIONS, STRINGS, SHEET, PARTS };
static struct { const uint8_t *at; size_t n; } parts[PARTS];

static void split(const uint8_t *bytes, size_t n)
{
    static const char workbook[] = "<workbook><sheets><sheet r:id=\"a\"/></sheets></workbook>";
    static const char relations[] = "<Relationships><Relationship Id=\"a\" Target=\"s.xml\"/></Relationships>";
    bool all = n && *bytes == '#';
    parts[WORKBOOK].at = (const uint8_t *)workbook;
    parts[WORKBOOK].n = strlen(workbook);
    parts[RELATIONS].at = (const uint8_t *)relations;
    parts[RELATIONS].n = strlen(relations);
    bytes += all;
    n -= all;
    for (int p = all ? WORKBOOK : STRINGS; p < PARTS; p++) {
        const uint8_t *end = n ? memchr(bytes, 0xff, n) : NULL;
        size_t size = end && p < SHEET ? (size_t)(end - bytes) : n;
        parts[p].at = bytes;
        parts[p].n = size;
        bytes += size + (size < n);
        n -= size + (size < n);
    }
}

/* In place of harness/unpack.c. */
enum status unpack_member(const char *archive, const char *name, size_t most, char **bytes, size_t *n,
                          struct err *e)
{
    int p = !strcmp(name, "xl/workbook.xml") ? WORKBOOK : strstr(name, ".rels") ? RELATIONS
          : !strcmp(name, "xl/sharedStrings.xml") ? STRINGS : SHEET;
    (void)archive, (void)most;
    *n = parts[p].n;
    *bytes = malloc(*n + 1);
    if (!*bytes)
        return err_set(e, ERR_MEMORY, "no memory");
    memcpy(*bytes, parts[p].at, *n);
    char *exact = realloc(*bytes, *n ? *n : 1);             /* a byte too far is seen */
    *bytes = exact ? exact : *bytes;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct xlsx *t;
    struct err e = { 0 };
    const char *const *cells;
    volatile size_t sum = 0;
    int width;

    split(bytes, n);
    if (xlsx_open(&t, "fuzz.xlsx", &e) == OK)
        while (xlsx_next(t, &cells, &width))
            for (int c = 0; c < width; c++)
                sum = sum + (cells[c] ? strlen(cells[c]) : 0);
    xlsx_close(t);
    return 0;
}
