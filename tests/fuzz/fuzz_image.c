/* Any bytes as an image file; what decodes goes the whole way to a small square, padded and
 * cropped, by whatever vectors this machine has. Pictures of more than a megapixel are only decoded,
 * so that a run stays fast. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "engine/preprocess.h"

enum { SIDE = 28 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static uint8_t square[SIDE * SIDE * 3], again[SIDE * SIDE * 3];
    struct image im;
    struct err e = { 0 };
    if (image_decode(&im, bytes, n, &e) == OK && im.width < 1000 && im.height < 1000)
        for (int pad = 0; pad < 2; pad++) {
            struct err why = { 0 };
            enum status s = preprocess(square, bytes, n, SIDE, pad, resize_best_level(), &why);
            assert(s == OK || s == ERR_DATA);
            if (s == OK && preprocess_image(again, &im, SIDE, pad, RESIZE_PORTABLE, &why) == OK)
                assert(!memcmp(square, again, sizeof square));
        }
    image_free(&im);
    return 0;
}
