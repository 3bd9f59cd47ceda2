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

/* Who takes a picture's rows as they are decoded, `room` for a few at a time. begin() is told the
 * size, and says where rows go; then as often as it takes rows are written there, n <= n_rows of them
 * `stride` bytes apart, and take(n) is called. All rows come, in order, or an error. */
struct image_sink {
    enum status (*begin)(struct image_sink *s, int width, int height, struct err *e);
    void (*take)(struct image_sink *s, int n);
    uint8_t *room;              /* [n_rows, width, 3]; the sink's, and it may change with each take */
    size_t stride;
    int n_rows;
};

/* JPEG, PNG, WebP, BMP, GIF (first frame), by their magic bytes. EXIF turn, gamma and profiles are
 * ignored. ERR_DATA with the reason for anything cut short, damaged or too large. */
enum status image_decode(struct image *out, const void *bytes, size_t n, struct err *e);
void image_free(struct image *im);

/* The same, row by row; only a JPEG's come while it is decoded. */
enum status image_decode_rows(struct image_sink *to, const void *bytes, size_t n, struct err *e);
enum status image_give_rows(struct image_sink *to, const struct image *im, struct err *e);

/* "libjpeg-turbo 2.1.5, libpng 1.6.39, libwebp 1.2.4"; the first as built: it cannot be asked. */
void image_libraries(char *text, size_t size);

#endif
