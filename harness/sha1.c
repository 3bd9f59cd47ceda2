/* sha1.c -- straight from the standard, section 6.1.2; its files are a few kilobytes. */
#include "harness/sha1.h"

#include <stdio.h>
#include <string.h>

static uint32_t rotated(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void take_block(uint32_t state[5], const unsigned char *block)
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 80; t++)
        w[t] = rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        uint32_t f = t < 20 ? ((b & c) | (~b & d)) + 0x5A827999
                   : t < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                   : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                            : (b ^ c ^ d) + 0xCA62C1D6;
        uint32_t next = rotated(a, 5) + f + e + w[t];
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_init(struct sha1 *s)
{
    *s = (struct sha1){ .state = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0 } };
}

void sha1_add(struct sha1 *s, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    for (; n; n--) {
        s->block[s->n++ % 64] = *at++;
        if (s->n % 64 == 0)
            take_block(s->state, s->block);
    }
}

void sha1_hex(struct sha1 *s, char out[41])
{
    uint64_t bits = s->n * 8;
    sha1_add(s, "\x80", 1);
    while (s->n % 64 != 56)
        sha1_add(s, "", 1);
    for (int i = 7; i >= 0; i--) {
        unsigned char byte = (unsigned char)(bits >> (8 * i));
        sha1_add(s, &byte, 1);
    }
    for (int i = 0; i < 5; i++)
        snprintf(out + 8 * i, 9, "%08x", s->state[i]);
}
