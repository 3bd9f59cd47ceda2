/* random_weights.c -- see random_weights.h. A prime number of pages to a block, so that rows, whose
 * size is usually a power of two, do not repeat every few. */
#include "engine/random_weights.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 1 << 16, BLOCK = 61 * PAGE, BLOCK_VALUES = BLOCK / 2 };   /* largest page in use */
static const size_t REACH_MAX = (size_t)1 << 40;

static uint16_t to_bf16(float x)                            /* nearest even; x is finite */
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Uniform with standard deviation 1/sqrt(cols), or ones. */
static void fill(uint16_t *out, int cols)
{
    float width = cols ? 2 * sqrtf(3.0f / (float)cols) : 0;
    uint64_t state = (uint64_t)cols;
    for (int i = 0; i < BLOCK_VALUES; i++) {
        uint64_t z = state += 0x9E3779B97F4A7C15;           /* splitmix64 */
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        z ^= z >> 31;
        out[i] = to_bf16(cols ? ((float)(z >> 40) * 0x1p-24f - 0.5f) * width : 1);
    }
}

/* One block, filled and mapped end to end over `reach` bytes. */
static unsigned char *map_blocks(int cols, size_t reach)
{
    uint16_t *values = malloc(BLOCK);
    int fd = memfd_create("random weights", MFD_CLOEXEC);
    unsigned char *at = MAP_FAILED;
    if (!values || fd < 0)
        goto done;
    fill(values, cols);
    for (size_t n = 0; n < BLOCK;) {
        ssize_t k = write(fd, (char *)values + n, BLOCK - n);
        if (k < 0 && errno != EINTR)
            goto done;
        n += k > 0 ? (size_t)k : 0;
    }
    at = mmap(NULL, reach, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t i = 0; at != MAP_FAILED && i < reach; i += BLOCK)
        if (mmap(at + i, BLOCK, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
            munmap(at, reach);
            at = MAP_FAILED;
        }
done:
    free(values);
    if (fd >= 0)
        close(fd);
    return at == MAP_FAILED ? NULL : at;
}

enum status random_weights_take(struct random_weights *r, const char *name, int cols, size_t n,
                                const void **data, struct err *e)
{
    size_t reach = n < REACH_MAX ? (n * 2 / BLOCK + 2) * BLOCK : 0;
    int i = 0;
    while (i < r->n_kinds && r->kind[i].cols != cols)
        i++;
    if (i == r->n_kinds) {
        unsigned char *at = i < RANDOM_KINDS && reach ? map_blocks(cols, reach) : NULL;
        if (!at)
            return err_set(e, ERR_MEMORY, "%s: cannot map random weights of %d columns", name,
                           cols);
        r->kind[i].cols = cols;
        r->kind[i].at = at;
        r->kind[i].n = reach;
        r->n_kinds++;
    }
    if (!reach || reach > r->kind[i].n)
        return err_set(e, ERR_INTERNAL, "%s: more random weights than were asked for first", name);
    uint64_t hash = 0xcbf29ce484222325;                     /* FNV-1a */
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    *data = r->kind[i].at + hash % (BLOCK / PAGE) * PAGE;
    return OK;
}

void random_weights_close(struct random_weights *r)
{
    for (int i = 0; i < r->n_kinds; i++)
        munmap(r->kind[i].at, r->kind[i].n);
    r->n_kinds = 0;
}
