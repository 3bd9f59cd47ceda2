/* damage.c -- `damage FILE SEED`: spoils a file in place, the same way each time. By the seed: a bit here
 * and there (one in about a hundred bytes, at most 200), one single bit, the end cut off, a stretch put
 * elsewhere, or a stretch of zeros, so that both headers and contents are met. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static size_t draw(size_t below)                            /* xorshift64* */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 0x2545F4914F6CDD1Du >> 16) % below);
}

static size_t spoil(unsigned char *bytes, size_t n)
{
    size_t from = draw(n), to = draw(n), length = 1 + draw(64);

    switch (draw(6)) {
    case 0:
        for (size_t k = 0; k < 1 + n / 100 && k < 200; k++)
            bytes[draw(n)] ^= (unsigned char)(1u << draw(8));
        return n;
    case 1:
        bytes[draw(n < 400 ? n : 400)] ^= (unsigned char)(1u << draw(8));   /* a header's */
        return n;
    case 2:
        bytes[from] ^= (unsigned char)(1u << draw(8));
        return n;
    case 3:
        return from;
    case 4:
        if (length > n - (from > to ? from : to))
            length = n - (from > to ? from : to);
        memmove(bytes + to, bytes + from, length);
        return n;
    default:
        memset(bytes + from, 0, length < n - from ? length : n - from);
        return n;
    }
}

int main(int argc, char **argv)
{
    FILE *f = argc == 3 ? fopen(argv[1], "r+b") : NULL;
    unsigned char *bytes = NULL;
    long size = 0;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0 || !(bytes = malloc((size_t)size)))
        return 2;
    rewind(f);
    if (fread(bytes, 1, (size_t)size, f) != (size_t)size)
        return 2;
    fclose(f);
    state = strtoull(argv[2], NULL, 10) * 0x9E3779B97F4A7C15u + 1;
    for (int i = 0; i < 8; i++)
        draw(2);
    size_t n = spoil(bytes, (size_t)size);
    if (!(f = fopen(argv[1], "wb")) || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        return 2;
    free(bytes);
    return 0;
}
