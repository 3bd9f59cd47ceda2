/* bench_picture.c -- a few pictures are encoded once; each number gets a file of its own from them.
 *
 * The files have a restart marker behind each row of blocks, so that rows of different pictures can
 * stand in one file: row r shows the picture that digit r of the number names. */
#include "harness/bench_picture.h"

#include <assert.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

enum {
    PICTURES = 8,
    BLOCK = 16,                             /* pixels a row of blocks is high: colour is halved */
    ROWS = BENCH_HEIGHT / BLOCK, QUALITY = 90, MARKER = 2,
};

struct bench_pictures {
    unsigned char *jpeg[PICTURES];
    size_t row[PICTURES][ROWS + 1];         /* where each begins; row[0]: the end of the header */
    size_t longest;                         /* row */
};

/* Soft waves of one colour, and noise as a photo's grain and texture have it. */
static void paint_row(unsigned char *rgb, int y, int picture, uint32_t *noise)
{
    for (int x = 0; x < BENCH_WIDTH; x++)
        for (int c = 0; c < 3; c++) {
            *noise = *noise * 1664525u + 1013904223u;
            int wave = (x * (picture + 2) + y * (c + 1)) / 8 % 128;
            int grain = (int)(*noise >> 24) % 64 - 32;
            int colour = 40 + (picture >> c & 1) * 96;
            rgb[3 * x + c] = (unsigned char)(colour + (wave < 64 ? wave : 127 - wave) + grain);
        }
}

struct encoder {                            /* everything that must survive a longjmp lives here */
    struct jpeg_compress_struct lib;
    struct jpeg_error_mgr errors;
    jmp_buf out;
    unsigned char *jpeg;
    unsigned long n;
    bool done;
};

static void encoder_failed(j_common_ptr lib)
{
    longjmp(((struct encoder *)lib->client_data)->out, 1);
}

static void compress(struct encoder *c, int picture)
{
    unsigned char rgb[BENCH_WIDTH * 3];
    uint32_t noise = (uint32_t)picture;
    JSAMPROW row = rgb;

    jpeg_create_compress(&c->lib);
    jpeg_mem_dest(&c->lib, &c->jpeg, &c->n);
    c->lib.image_width = BENCH_WIDTH;
    c->lib.image_height = BENCH_HEIGHT;
    c->lib.input_components = 3;
    c->lib.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c->lib);
    jpeg_set_quality(&c->lib, QUALITY, TRUE);
    c->lib.restart_in_rows = 1;
    jpeg_start_compress(&c->lib, TRUE);
    for (int y = 0; y < BENCH_HEIGHT; y++) {
        paint_row(rgb, y, picture, &noise);
        jpeg_write_scanlines(&c->lib, &row, 1);
    }
    jpeg_finish_compress(&c->lib);
}

/* False: no memory, which is all that a picture of this size may lack. */
static bool encode(struct encoder *c, int picture)
{
    *c = (struct encoder){ .n = 0 };
    c->lib.err = jpeg_std_error(&c->errors);
    c->errors.error_exit = encoder_failed;
    c->lib.client_data = c;
    if (setjmp(c->out) == 0) {
        compress(c, picture);
        c->done = true;
    }
    jpeg_destroy_compress(&c->lib);
    return c->done;
}

/* Where the header ends and the rows begin. Behind the header, the only markers are those between
 * the rows. */
static void find_rows(const unsigned char *at, size_t n, size_t row[ROWS + 1])
{
    size_t i = MARKER;
    int found = 0;
    for (bool header = true; header; i += MARKER + ((size_t)at[i + 2] << 8 | at[i + 3]))
        header = at[i + 1] != 0xda;         /* start of the scan */
    row[found++] = i;
    for (; i + 1 < n; i++)
        if (at[i] == 0xff && at[i + 1] >= JPEG_RST0 && at[i + 1] < JPEG_RST0 + 8)
            row[found++] = i + MARKER;
    row[found++] = n;                       /* the last row's has the end marker */
    assert(found == ROWS + 1);
}

enum status bench_pictures_open(struct bench_pictures **out, struct err *e)
{
    struct bench_pictures *p = *out = calloc(1, sizeof *p);
    struct encoder *c = calloc(1, sizeof *c);
    bool made = p && c;

    for (int i = 0; made && i < PICTURES; i++) {
        made = encode(c, i);
        p->jpeg[i] = c->jpeg;
        if (!made)
            break;
        find_rows(c->jpeg, c->n, p->row[i]);
        for (int r = 0; r < ROWS; r++)
            if (p->row[i][r + 1] - p->row[i][r] > p->longest)
                p->longest = p->row[i][r + 1] - p->row[i][r];
    }
    free(c);
    if (made)
        return OK;
    bench_pictures_close(p);
    *out = NULL;
    return err_set(e, ERR_MEMORY, "no memory for the pictures to decode");
}

void bench_pictures_close(struct bench_pictures *p)
{
    for (int i = 0; p && i < PICTURES; i++)
        free(p->jpeg[i]);
    free(p);
}

unsigned char *bench_picture(const struct bench_pictures *p, size_t number, size_t *n)
{
    size_t header = p->row[0][0];
    unsigned char *file = malloc(header + ROWS * p->longest);
    if (!file)
        return NULL;
    memcpy(file, p->jpeg[0], header);
    *n = header;
    for (int r = 0; r < ROWS; r++) {
        size_t i = number % PICTURES, bytes = p->row[i][r + 1] - p->row[i][r];
        number /= PICTURES;
        memcpy(file + *n, p->jpeg[i] + p->row[i][r], bytes);
        *n += bytes;
    }
    return file;
}
