/* names.h -- questions by a second name: the file name or the id of their image.
 *
 * A sorted list in an arena. Build: names_init, names_add for each, names_sort. */
#ifndef BENCHMARKS_NAMES_H
#define BENCHMARKS_NAMES_H

#include "engine/base/arena.h"

struct names {
    struct name { const char *text; size_t at; } *list;     /* text is borrowed */
    size_t n;
};

/* Room for as many as there will be; false when memory ran out. */
bool names_init(struct names *s, struct arena *a, size_t most);
void names_add(struct names *s, const char *text, size_t at);
void names_sort(struct names *s);

/* Where in the list the name first stands, or s->n; equal ones follow in the order of `at`. */
size_t names_find(const struct names *s, const char *text);

#endif
