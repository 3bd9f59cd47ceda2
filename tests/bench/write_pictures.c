/* write_pictures.c -- DIR N: the first N of bench's JPEG files, as DIR/0.jpg and so on. */
#include <stdio.h>
#include <stdlib.h>
#include "harness/bench_picture.h"

int main(int argc, char **argv)
{
    struct bench_pictures *p = NULL;
    struct err e = { 0 };
    size_t n, number = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    bool fine = number && bench_pictures_open(&p, &e) == OK;
    for (size_t i = 0; fine && i < number; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%zu.jpg", argv[1], i);
        unsigned char *jpeg = bench_picture(p, i, &n);
        FILE *f = jpeg ? fopen(path, "wb") : NULL;
        fine = f && fwrite(jpeg, 1, n, f) == n;
        fine = f && fclose(f) == 0 && fine;
        free(jpeg);
    }
    bench_pictures_close(p);
    if (!fine)
        fprintf(stderr, "usage: %s DIR N, where DIR can be written to\n", argv[0]);
    return !fine;
}
