/* patches.c -- bytes of a picture to normalised patches, as CLIP's preprocessing has them.
 *
 * x = (float)((double)byte * (1.0 / 255)), then (x - mean) / std in float32: one rounding for each
 * of three operations. There are only 3 x 256 results, so they are a table. */
#include "kernels/float16.h"
#include "kernels/kernels.h"

void patches(void *y, enum number y_type, const uint8_t *x, int images, int side, int patch)
{
    static const float mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
    static const float std[3] = { 0.26862954f, 0.26130258f, 0.27577711f };
    float value[3][256];
    int across = side / patch, area = patch * patch;
    for (int c = 0; c < 3; c++)
        for (int u = 0; u < 256; u++) {
            float scaled = (float)(u * (1.0 / 255));
            float centred = scaled - mean[c];
            value[c][u] = centred / std[c];
        }
#pragma omp parallel for schedule(static)
    for (int t = 0; t < images * across * across; t++) {
        int p = t % (across * across);
        size_t to = (size_t)t * 3 * (size_t)area;
        size_t pixels = (size_t)side * (size_t)side;
        const uint8_t *image = x + (size_t)(t / (across * across)) * 3 * pixels;
        for (int c = 0; c < 3; c++)
            for (int j = 0; j < area; j++, to++) {
                int row = p / across * patch + j / patch, col = p % across * patch + j % patch;
                size_t pixel = (size_t)row * (size_t)side + (size_t)col;
                float v = value[c][image[pixel * 3 + (size_t)c]];
                if (y_type == NUM_F32)
                    ((float *)y)[to] = v;
                else
                    ((uint16_t *)y)[to] = bf16_of_float(v);
            }
    }
}
