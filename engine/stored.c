/* stored.c -- the list that the readers fill. */
#include "engine/stored.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct stored *store_add(struct store *s, const char *name, struct err *e)
{
    if (s->n == s->size) {
        size_t size = s->size ? s->size * 2 : 256;
        struct stored *at = arena_array(s->arena, size, sizeof *at);
        if (!at) {
            err_set(e, ERR_MEMORY, "no memory for a list of %zu tensors", size);
            return NULL;
        }
        if (s->n)
            memcpy(at, s->at, s->n * sizeof *at);
        s->at = at;
        s->size = size;
    }
    struct stored *t = &s->at[s->n++];
    *t = (struct stored){ .name = arena_str(s->arena, name) };
    return t;
}

const char *shape_text(char text[SHAPE_TEXT], const int64_t *shape, int n_dims)
{
    size_t n = 0;
    text[n++] = '[';
    for (int i = 0; i < n_dims; i++)
        n += (size_t)snprintf(text + n, SHAPE_TEXT - n, "%s%" PRId64, i ? "," : "", shape[i]);
    text[n++] = ']';
    text[n] = '\0';
    return text;
}

int64_t shape_elements(const int64_t *shape, int n_dims)
{
    bool empty = false;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0)
            return -1;
        empty |= shape[i] == 0;
    }
    if (empty)
        return 0;
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] > ((int64_t)1 << 62) / n)
            return -1;
        n *= shape[i];
    }
    return n;
}
