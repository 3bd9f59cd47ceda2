/* arena.c -- a list of blocks, each twice as large as the one before up to a limit.
 *
 *     blocks -> [ used ....... free ]  newest, small things go here
 *               -> [ full ]  -> [ one big thing ]  -> ...
 * What does not fit into a fresh block of the usual size gets a block of its own, placed behind
 * the newest, so that the newest keeps its free room. */
#include "engine/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_MIN = 4 << 10, BLOCK_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t size;                                            /* of at[] */
    _Alignas(ALIGN) unsigned char at[];
};

static void *out_of_memory(struct arena *a)
{
    a->failed = true;
    return NULL;
}

static struct arena_block *new_block(size_t size)
{
    struct arena_block *b = malloc(sizeof *b + size);
    if (b)
        b->size = size;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return out_of_memory(a);
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);             /* 0 bytes: a pointer nobody reads */
    if (n > a->size - a->used) {
        size_t usual = a->size < BLOCK_MIN / 2 ? BLOCK_MIN
                     : a->size < BLOCK_MAX / 2 ? a->size * 2 : BLOCK_MAX;
        bool alone = n > usual / 4 && a->blocks;
        struct arena_block *b = new_block(alone || n > usual ? n : usual);
        if (!b)
            return out_of_memory(a);
        if (alone) {
            b->next = a->blocks->next;
            a->blocks->next = b;
            a->total += n;
            return memset(b->at, 0, n);
        }
        b->next = a->blocks;
        a->blocks = b;
        a->used = 0;
        a->size = b->size;
    }
    unsigned char *at = a->blocks ? a->blocks->at + a->used : NULL;
    if (!at)                                                /* 0 bytes from an empty arena */
        return arena_alloc(a, 1);
    a->used += n;
    a->total += n;
    return memset(at, 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return out_of_memory(a);
    return arena_alloc(a, count * size);
}

char *arena_strn(struct arena *a, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : out_of_memory(a);
    if (!copy)
        return "";
    if (n)
        memcpy(copy, text, n);
    return copy;
}

char *arena_str(struct arena *a, const char *text)
{
    return arena_strn(a, text, strlen(text));
}

char *arena_fmt(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? out_of_memory(a) : arena_alloc(a, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text ? text : "";
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = a->blocks;
    if (keep) {
        a->blocks = keep->next;
        size_t size = a->size;
        arena_free(a);
        keep->next = NULL;
        a->blocks = keep;
        a->size = size;
    }
    a->used = a->total = 0;
    a->failed = false;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){ 0 };
}
