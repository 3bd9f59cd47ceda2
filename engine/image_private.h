/* image_private.h -- the decoders behind image_decode, one per format that no library is used for.
 *
 * Each is given a whole file whose first bytes have been recognised, and fills out with malloc. */
#ifndef ENGINE_IMAGE_PRIVATE_H
#define ENGINE_IMAGE_PRIVATE_H

#include "engine/image.h"

enum status image_decode_bmp(struct image *out, const unsigned char *at, size_t n, struct err *e);
enum status image_decode_gif(struct image *out, const unsigned char *at, size_t n, struct err *e);

/* ERR_DATA for what is no size, or above IMAGE_MAX_PIXELS. */
enum status image_check_size(int64_t width, int64_t height, struct err *e);

/* out->rgb for width x height, after that check. */
enum status image_allocate(struct image *out, int64_t width, int64_t height, struct err *e);

/* An index that the file's palette does not reach is that grey: Pillow's palettes start so. */
void image_grey_palette(uint8_t palette[256][3]);

#endif
