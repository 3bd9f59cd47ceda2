/* names.c -- see names.h. */
#include "benchmarks/names.h"

#include <stdlib.h>
#include <string.h>

bool names_init(struct names *s, struct arena *a, size_t most)
{
    *s = (struct names){ .list = arena_array(a, most, sizeof *s->list) };
    return s->list != NULL;
}

void names_add(struct names *s, const char *text, size_t at)
{
    s->list[s->n++] = (struct name){ text, at };
}

static int by_text(const void *x, const void *y)
{
    const struct name *a = x, *b = y;
    int order = strcmp(a->text, b->text);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

void names_sort(struct names *s)
{
    qsort(s->list, s->n, sizeof *s->list, by_text);
}

size_t names_find(const struct names *s, const char *text)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(s->list[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && !strcmp(s->list[low].text, text) ? low : s->n;
}
