/* sha1.h -- FIPS 180-4 SHA-1, for git's blob hashes only: the hub names its small files by them. */
#ifndef HARNESS_SHA1_H
#define HARNESS_SHA1_H

#include <stddef.h>
#include <stdint.h>

struct sha1 {
    uint32_t state[5];
    uint64_t n;                     /* bytes so far */
    unsigned char block[64];
};

void sha1_init(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *bytes, size_t n);
void sha1_hex(struct sha1 *s, char out[41]);    /* ends it */

#endif
