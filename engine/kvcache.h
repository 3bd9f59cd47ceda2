/* kvcache.h -- which columns of the KV cache's pool are taken.
 *
 * The columns themselves are a backend's (struct kvcache of backend.h); here is only the book. An
 * image group owns one contiguous range, its slot:
 *
 *     base                                  starts at multiples of KV_ALIGN:  |
 *     | prefix: system prompt, image |    lane 0: question, reply  |  lane 1  |  ...
 *
 * A lane belongs to one question at a time and is used again by the group's next one. The stem
 * (scheduler.h) has a range too. Ranges are taken first fit, in blocks of KV_ALIGN columns. One
 * thread. */
#ifndef ENGINE_KVCACHE_H
#define ENGINE_KVCACHE_H

#include "engine/backend.h"

struct kvpool {
    unsigned char *taken;       /* [blocks] */
    int blocks;                 /* of KV_ALIGN columns */
};

static inline int kv_aligned(int columns)                   /* up to a multiple of KV_ALIGN */
{
    return (columns + KV_ALIGN - 1) / KV_ALIGN * KV_ALIGN;
}

enum status kvpool_open(struct kvpool *p, int columns, struct err *e);
void kvpool_close(struct kvpool *p);                        /* a zeroed one is fine */

/* The first of n free columns in a row, or -1; n a multiple of KV_ALIGN, at least one block. */
int  kvpool_take(struct kvpool *p, int n);
void kvpool_give(struct kvpool *p, int first, int n);

#endif
