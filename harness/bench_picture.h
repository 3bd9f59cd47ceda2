/* bench_picture.h -- JPEG files that `bench` decodes: of a photo's size and detail, no two alike. */
#ifndef HARNESS_BENCH_PICTURE_H
#define HARNESS_BENCH_PICTURE_H

#include <stddef.h>
#include "engine/base/err.h"

enum { BENCH_WIDTH = 640, BENCH_HEIGHT = 480 };             /* most of COCO's are of this size */

struct bench_pictures;
enum status bench_pictures_open(struct bench_pictures **out, struct err *e);
void bench_pictures_close(struct bench_pictures *p);        /* NULL is fine */
/* The file of that number; the caller frees; NULL: no memory. Costs little more than its copy. */
unsigned char *bench_picture(const struct bench_pictures *p, size_t number, size_t *n);

#endif
