/* preprocess.h -- a picture to the tower's square, bit for bit as CLIPImageProcessor on Pillow. */
#ifndef ENGINE_PREPROCESS_H
#define ENGINE_PREPROCESS_H

#include "engine/image.h"

/* out [side, side, 3], the caller's. pad: to a square filled with (122,116,104) first; else the
 * shortest edge is resized to side and the centre is cut out. */
enum status preprocess(uint8_t *out, const struct image *in, int side, bool pad, struct err *e);

/* Pillow's bicubic, 8 bits, RGB: in [h,w,3] -> out [oh,ow,3], the caller's. */
enum status resize_bicubic(uint8_t *out, int ow, int oh, const uint8_t *in, int w, int h,
                           struct err *e);

/* The same bits without vectors: what the other is tested against. */
enum status resize_bicubic_plain(uint8_t *out, int ow, int oh, const uint8_t *in, int w, int h,
                                 struct err *e);

/* Rescale and normalise: table[c][u] = ((float)(u * (1.0/255)) - mean[c]) / std[c]. */
void normalise_table(float table[3][256]);

#endif
