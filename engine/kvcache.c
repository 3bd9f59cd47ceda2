/* kvcache.c -- first fit over a byte per block. A pool has some hundreds of blocks and is searched
 * once per image, so the plain scan is the right size of tool. */
#include "engine/kvcache.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum status kvpool_open(struct kvpool *p, int columns, struct err *e)
{
    p->blocks = columns / KV_ALIGN;
    p->taken = calloc((size_t)p->blocks + 1, 1);
    return p->taken ? OK : err_set(e, ERR_MEMORY, "no memory for the KV cache's book");
}

void kvpool_close(struct kvpool *p)
{
    free(p->taken);
    *p = (struct kvpool){ 0 };
}

int kvpool_take(struct kvpool *p, int n)
{
    int want = n / KV_ALIGN, free_blocks = 0;
    assert(want > 0 && n % KV_ALIGN == 0);
    for (int b = 0; b < p->blocks; b++) {
        free_blocks = p->taken[b] ? 0 : free_blocks + 1;
        if (free_blocks == want) {
            int first = b + 1 - want;
            memset(p->taken + first, 1, (size_t)want);
            return first * KV_ALIGN;
        }
    }
    return -1;
}

void kvpool_give(struct kvpool *p, int first, int n)
{
    assert(first % KV_ALIGN == 0 && n % KV_ALIGN == 0);
    assert(first / KV_ALIGN + n / KV_ALIGN <= p->blocks);
    memset(p->taken + first / KV_ALIGN, 0, (size_t)(n / KV_ALIGN));
}
