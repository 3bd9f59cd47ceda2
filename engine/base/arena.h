/* arena.h -- many small things of one life, freed together.
 *
 * Failure is sticky: when memory runs out, arena_alloc returns NULL, the string functions return
 * "" (never NULL), and a->failed stays true, so that a long reader checks once, at its end.
 * One thread at a time. A zeroed struct is a valid empty arena. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "engine/base/err.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used, size;          /* of the newest block, in bytes */
    size_t total;               /* bytes handed out so far */
    bool failed;
};

/* n bytes, zeroed, aligned to 16; never moves. */
void *arena_alloc(struct arena *a, size_t n);

/* count elements of size bytes each, zeroed; a product that overflows counts as out of memory. */
void *arena_array(struct arena *a, size_t count, size_t size);

char *arena_str(struct arena *a, const char *text);
char *arena_strn(struct arena *a, const char *text, size_t n);      /* adds the NUL */
char *arena_fmt(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);

/* Forgets everything but keeps one block for use again; a->failed is cleared. */
void arena_reset(struct arena *a);

/* Frees everything; the arena is empty and usable after it. */
void arena_free(struct arena *a);

#endif
