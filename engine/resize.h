/* resize.h -- Pillow's bicubic for 8-bit RGB (libImaging/Resample.c), bit for bit, row by row.
 *
 * A picture [h,w,3] stands on a canvas whose other pixels are one border colour; the canvas is
 * resized and a part of the result is wanted. Rows are handed over as they are decoded: only as many
 * of them are held as one row of the result needs, and the canvas itself is never built.
 *
 *     resizer_open(&r, &frame, out, level, &e);
 *     for each few rows:  write up to RESIZE_ROWS of them to resizer_room(r, &stride)
 *                         resizer_take(r, n)
 *     resizer_close(r);                                    after the last row out is complete
 *
 * One thread to a resizer. */
#ifndef ENGINE_RESIZE_H
#define ENGINE_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/base/err.h"

enum { RESIZE_ROWS = 8 };

/* All give the same bits. AVX512 is that with VBMI and VNNI: Ice Lake, Zen 4 and later. */
enum resize_level { RESIZE_PORTABLE, RESIZE_AVX2, RESIZE_AVX512, RESIZE_LEVELS };
bool resize_runs_on(enum resize_level level);               /* this machine has it */
enum resize_level resize_best_level(void);

struct resize_frame {
    int w, h;                   /* the picture */
    int x, y, width, height;    /* its place on the canvas, and the canvas */
    uint8_t border[3];
    int out_width, out_height;  /* the canvas becomes this large */
    int left, top, n_across, n_down;    /* the part that is wanted: [n_down, n_across, 3] */
};

struct resizer;

/* out [n_down, n_across, 3] is the caller's and must outlive the resizer. ERR_DATA for sides that no
 * memory could hold; on failure *r is NULL. */
enum status resizer_open(struct resizer **r, const struct resize_frame *frame, uint8_t *out,
                         enum resize_level level, struct err *e);
uint8_t *resizer_room(const struct resizer *r, size_t *stride);
void resizer_take(struct resizer *r, int n);
void resizer_close(struct resizer *r);                      /* NULL is fine */

#endif
