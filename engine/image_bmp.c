/* image_bmp.c -- Windows bitmaps, not compressed: 1, 4 and 8 bits with a palette, 16, 24, 32 bits.
 *
 *     14  "BM", file size, reserved, offset of the pixels
 *     n   header: its size n (12 or 40 and more), width, height (negative: top row first), planes,
 *         bits, compression (0 none, 3 masks), ...
 *     .   masks, palette of BGR or BGRX, rows from the bottom up, each padded to 4 bytes */
#include "engine/image_private.h"

#include <stdlib.h>

static int64_t little(const unsigned char *p, int n)
{
    int64_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

struct bmp {
    const unsigned char *at;
    size_t n;
    int64_t width, height, pixels, header;
    int bits, compression;
    bool top_down;
    uint32_t mask[3];           /* red, green, blue; 16 and 32 bits */
    uint8_t palette[256][3];
};

static enum status read_header(struct bmp *b, struct err *e)
{
    if (b->n < 26)
        return err_set(e, ERR_DATA, "BMP cut short in its header");
    const unsigned char *h = b->at + 14;
    b->pixels = little(b->at + 10, 4);
    b->header = little(h, 4);
    if (b->header != 12 && (b->header < 40 || b->n < 54))
        return err_set(e, ERR_DATA, "BMP with an unknown header");
    bool old = b->header == 12;
    b->width = old ? little(h + 4, 2) : (int32_t)little(h + 4, 4);
    b->height = old ? little(h + 6, 2) : (int32_t)little(h + 8, 4);
    b->bits = (int)little(h + (old ? 10 : 14), 2);
    b->compression = old ? 0 : (int)little(h + 16, 4);
    b->top_down = b->height < 0;
    if (b->top_down)
        b->height = -b->height;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 &&
        b->bits != 32)
        return err_set(e, ERR_DATA, "BMP of %d bits", b->bits);
    if (b->compression != 0 && !(b->compression == 3 && (b->bits == 16 || b->bits == 32)))
        return err_set(e, ERR_DATA, "compressed BMP (%d): not read", b->compression);
    return OK;
}

static enum status read_colours(struct bmp *b, struct err *e)
{
    size_t at = 14 + (size_t)b->header, entry = b->header == 12 ? 3 : 4;
    image_grey_palette(b->palette);
    if (b->bits == 16 || b->bits == 32) {
        const uint32_t fixed[2][3] = { { 0x7c00, 0x3e0, 0x1f }, { 0xff0000, 0xff00, 0xff } };
        for (int c = 0; c < 3; c++)
            b->mask[c] = fixed[b->bits == 32][c];
        if (b->compression == 3) {                          /* in the header, or right behind it */
            if (b->n < 66)
                return err_set(e, ERR_DATA, "BMP cut short in its masks");
            for (int c = 0; c < 3; c++)
                b->mask[c] = (uint32_t)little(b->at + 54 + 4 * c, 4);
        }
        return OK;
    }
    if (b->bits == 24)
        return OK;
    int64_t said = b->header == 12 ? 0 : little(b->at + 46, 4), most = (int64_t)1 << b->bits;
    size_t count = (size_t)(said > 0 && said < most ? said : most);
    for (size_t i = 0; i < count && at + entry <= b->n && at + entry <= (size_t)b->pixels;
         i++, at += entry)
        for (int c = 0; c < 3; c++)
            b->palette[i][c] = b->at[at + 2 - (size_t)c];
    return OK;
}

/* The bits under a mask, stretched to 0..255. */
static uint8_t under_mask(uint32_t pixel, uint32_t mask)
{
    if (!mask)
        return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift;
    return (uint8_t)(((uint64_t)(pixel & mask) >> shift) * 255 / most);
}

static void read_row(const struct bmp *b, const unsigned char *row, uint8_t *out)
{
    for (size_t x = 0; x < (size_t)b->width; x++, out += 3) {
        if (b->bits <= 8) {
            size_t bit = x * (size_t)b->bits;
            int index = row[bit / 8] >> (8 - b->bits - (int)(bit % 8)) & ((1 << b->bits) - 1);
            for (int c = 0; c < 3; c++)
                out[c] = b->palette[index][c];
        } else if (b->bits == 24) {
            for (size_t c = 0; c < 3; c++)
                out[c] = row[3 * x + 2 - c];
        } else {
            size_t bytes = (size_t)b->bits / 8;
            uint32_t pixel = (uint32_t)little(row + bytes * x, (int)bytes);
            for (int c = 0; c < 3; c++)
                out[c] = under_mask(pixel, b->mask[c]);
        }
    }
}

enum status image_decode_bmp(struct image *out, const unsigned char *at, size_t n, struct err *e)
{
    struct bmp b = { .at = at, .n = n };
    if (read_header(&b, e) != OK || read_colours(&b, e) != OK ||
        image_allocate(out, b.width, b.height, e) != OK)
        return e->code;
    size_t stride = ((size_t)b.width * (size_t)b.bits + 31) / 32 * 4;
    size_t last = ((size_t)b.width * (size_t)b.bits + 7) / 8;   /* what the last row must have */
    size_t rows = (size_t)b.height, pixels = (size_t)b.pixels;
    if (pixels > n || last > n - pixels || (rows - 1) > (n - pixels - last) / stride)
        return err_set(e, ERR_DATA, "BMP cut short: its pixels end before the last row");
    for (size_t y = 0; y < rows; y++)
        read_row(&b, at + pixels + y * stride,
                 out->rgb + (b.top_down ? y : rows - 1 - y) * (size_t)b.width * 3);
    return OK;
}
