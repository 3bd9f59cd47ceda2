/* xml.h -- XML that nobody vouches for, token by token, in memory.
 *
 *     struct xml x;
 *     xml_open(&x, "sheet1.xml", text, n, e);
 *     while (xml_next(&x))
 *         if (x.token == XML_START && xml_is(&x, "row")) ...
 *     return e->code;                                      the first error ends it
 *
 * As much of XML 1.0 as tables in .xlsx use: UTF-8, elements, attributes, text, CDATA, the five named
 * entities and character references. A document type is refused: nothing is declared, nothing expands.
 * Names are taken without their prefix. Depth is bounded, and every end must fit its start. */
#ifndef HARNESS_XML_H
#define HARNESS_XML_H

#include "engine/base/arena.h"
#include "engine/base/str.h"

enum { XML_DEPTH = 64 };
enum xml_token { XML_START, XML_END, XML_TEXT };

struct xml {
    const char *name;               /* of the document, for messages */
    const char *text, *at, *end;
    struct err *e;
    enum xml_token token;
    struct xml_part { const char *at; size_t n; } part;     /* START, END: the name; TEXT: raw */
    struct xml_part attributes;     /* of a START, raw */
    bool cdata;                     /* TEXT: nothing in it is a reference */
    bool ends;                      /* <a/>: an END follows */
    struct xml_part open[XML_DEPTH];
    int depth;                      /* elements around what comes next */
};

void xml_open(struct xml *x, const char *name, const char *text, size_t n, struct err *e);
bool xml_next(struct xml *x);       /* false at the end, or with the error set */
bool xml_is(const struct xml *x, const char *name);         /* START or END of this name */

/* The attribute's value, decoded, in the arena; NULL when it is not there. */
const char *xml_attribute(struct xml *x, const char *name, struct arena *a);

/* Appends a TEXT, decoded. */
void xml_add_text(struct xml *x, struct str *out);

#endif
