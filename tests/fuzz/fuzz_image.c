/* Any bytes as an image file; what decodes goes the whole way to a small square, padded and
 * cropped. Pictures of more than a megapixel are only decoded, so that a run stays fast. */
#include <stdint.h>
#include "engine/preprocess.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static uint8_t square[28 * 28 * 3];
    struct image im;
    struct err e = { 0 };
    if (image_decode(&im, bytes, n, &e) == OK && im.width < 2000 && im.height < 2000) {
        preprocess(square, &im, 28, true, &e);
        preprocess(square, &im, 28, false, &e);
    }
    image_free(&im);
    return 0;
}
