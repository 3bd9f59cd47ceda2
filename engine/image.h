/* image.h -- an image file's bytes to RGB, exactly as Pillow's Image.open(f).convert("RGB"). */
#ifndef ENGINE_IMAGE_H
#define ENGINE_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "engine/base/err.h"

struct image {
    uint8_t *rgb;               /* [height, width, 3]; malloc, image_free */
    int width, height;
};

enum { IMAGE_MAX_PIXELS = 178956970 };      /* Pillow's decompression-bomb error limit */

/* JPEG, PNG, WebP, BMP, GIF (first frame), by their magic bytes. EXIF turn, gamma and profiles are
 * ignored. ERR_DATA with the reason for anything cut short, damaged or too large. */
enum status image_decode(struct image *out, const void *bytes, size_t n, struct err *e);
void image_free(struct image *im);

#endif
