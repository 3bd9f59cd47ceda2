/* bench_preprocess FILE REPEATS -- an image file's bytes to normalised float32 pixels [3,336,336],
 * padded: milliseconds, the best and the median of REPEATS, for each level of vectors that this
 * machine has. One thread. tests/bench/compare_pillow.py runs it beside Pillow. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "engine/base/file.h"
#include "engine/preprocess.h"

enum { SIDE = 336, REPEATS_MAX = 1000 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void once(const struct file *f, enum resize_level level, uint8_t *square, float *normal,
                 struct err *e)
{
    const size_t n = SIDE * SIDE;
    float table[3][256];
    preprocess(square, f->at, f->n, SIDE, true, level, e);
    normalise_table(table);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            normal[c * n + i] = table[c][square[3 * i + c]];
}

int main(int argc, char **argv)
{
    static const char *const names[RESIZE_LEVELS] = { "portable", "avx2", "avx512" };
    static uint8_t square[SIDE * SIDE * 3];
    static float normal[SIDE * SIDE * 3];
    static double ms[REPEATS_MAX];
    struct err e = { 0 };
    struct file f;
    int64_t repeats = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (repeats < 1 || repeats > REPEATS_MAX) {
        fprintf(stderr, "usage: bench_preprocess FILE REPEATS\n");
        return 2;
    }
    file_open(&f, argv[1], ERR_DATA, &e);
    for (enum resize_level level = 0; e.code == OK && level < RESIZE_LEVELS; level++) {
        if (!resize_runs_on(level))
            continue;
        for (int64_t i = 0; i < repeats && e.code == OK; i++) {
            double start = now_ms();
            once(&f, level, square, normal, &e);
            ms[i] = now_ms() - start;
        }
        qsort(ms, (size_t)repeats, sizeof *ms, ascending);
        if (e.code == OK)
            printf("%s %.3f %.3f\n", names[level], ms[0], ms[repeats / 2]);
    }
    if (e.code != OK)
        fprintf(stderr, "bench_preprocess: %s\n", e.text);
    file_close(&f);
    return e.code != OK;
}
