/* preprocess.h -- a picture to the tower's square, bit for bit as CLIPImageProcessor on Pillow. */
#ifndef ENGINE_PREPROCESS_H
#define ENGINE_PREPROCESS_H

#include "engine/image.h"
#include "engine/resize.h"

/* An image file's bytes to out [side, side, 3], the caller's. pad: to a square filled with
 * (122,116,104) first; else the shortest edge is resized to side and the centre is cut out. A JPEG
 * is resized while it is decoded, so that its pixels never stand in memory all at once. Errors are
 * image_decode's, and ERR_DATA for a shape that cannot be resized. */
enum status preprocess(uint8_t *out, const void *bytes, size_t n, int side, bool pad,
                       enum resize_level level, struct err *e);

/* The same from pixels. */
enum status preprocess_image(uint8_t *out, const struct image *in, int side, bool pad,
                             enum resize_level level, struct err *e);

/* Rescale and normalise: table[c][u] = ((float)(u * (1.0/255)) - mean[c]) / std[c]. */
void normalise_table(float table[3][256]);

#endif
