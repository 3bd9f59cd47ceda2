/* sha256.h -- FIPS 180-4, for weights, data, prompts and requests. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdint.h>
#include "engine/base/err.h"

struct sha256 {
    uint32_t state[8];
    uint64_t n;                 /* bytes so far */
    unsigned char block[64];
};

enum { SHA256_SIZE = 32, SHA256_HEX = 65 };

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t n);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE]);

void sha256_hex(const unsigned char hash[SHA256_SIZE], char out[SHA256_HEX]);   /* with its NUL */
enum status sha256_file(const char *path, unsigned char out[SHA256_SIZE], struct err *e);

#endif
