/* image_gif.c -- the first picture of a GIF, on its screen, as Pillow shows it.
 *
 *     13  "GIF8", version, screen's width and height, flags, background, aspect; then its palette
 *     .   extensions '!' (one may name a transparent index), then ',' with place, size, flags and
 *         palette, and the pixels' indices, LZW-coded in blocks of up to 255 bytes
 * What the picture leaves uncovered of the screen has index 0, or the transparent one. */
#include "engine/image_private.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_BITS = 12, CODES = 1 << CODE_BITS };

struct gif {
    const unsigned char *at, *end;
    bool ended;                 /* somebody wanted more than there is */
    int transparent;            /* -1: none */
    bool has_palette;
    uint8_t palette[256][3];
};

static int next_byte(struct gif *g)
{
    if (g->at == g->end) {
        g->ended = true;
        return 0;
    }
    return *g->at++;
}

static int next_two(struct gif *g)
{
    int low = next_byte(g);
    return low | next_byte(g) << 8;
}

static void read_palette(struct gif *g, int flags)
{
    if (!(flags & 0x80))
        return;
    image_grey_palette(g->palette);
    g->has_palette = true;
    for (int i = 0; i < 2 << (flags & 7); i++)
        for (int c = 0; c < 3; c++)
            g->palette[i][c] = (uint8_t)next_byte(g);
}

static void skip_blocks(struct gif *g)
{
    for (int n; (n = next_byte(g)) && !g->ended;)
        while (n-- && !g->ended)
            next_byte(g);
}

/* Up to the first picture's descriptor; false if there is none. */
static bool find_picture(struct gif *g)
{
    while (!g->ended) {
        int what = next_byte(g);
        if (what == ',')
            return true;
        if (what == ';')
            return false;
        if (what != '!')
            continue;                                       /* stray bytes, as Pillow takes them */
        if (next_byte(g) == 0xf9 && g->end - g->at >= 5 && g->at[0] == 4 && g->at[1] & 1)
            g->transparent = g->at[4];
        skip_blocks(g);
    }
    return false;
}

struct lzw {                    /* codes of the data in blocks */
    struct gif *gif;
    uint32_t bits;
    int n_bits, left;           /* left: bytes of the current block */
};

/* -1 at the end of the data. */
static int next_code(struct lzw *z, int size)
{
    while (z->n_bits < size) {
        if (z->left == 0 && (z->left = next_byte(z->gif)) == 0)
            return -1;
        z->bits |= (uint32_t)next_byte(z->gif) << z->n_bits;
        if (z->gif->ended)
            return -1;
        z->n_bits += 8;
        z->left--;
    }
    int code = (int)(z->bits & ((1u << size) - 1));
    z->bits >>= size;
    z->n_bits -= size;
    return code;
}

/* Fills n indices; how many came out. */
static size_t read_indices(struct gif *g, uint8_t *out, size_t n)
{
    static const int least = 1, most = 8;
    uint16_t before[CODES];
    uint8_t last[CODES], word[CODES];
    struct lzw z = { .gif = g };
    int start = next_byte(g);
    if (start < least || start > most)
        return 0;
    int clear = 1 << start, next = clear + 2, size = start + 1, old = -1, first = 0;
    for (int i = 0; i < clear; i++)
        last[i] = (uint8_t)i;
    size_t done = 0;
    while (done < n) {
        int code = next_code(&z, size), at = code, length = 0;
        if (code < 0 || code == clear + 1 || code > next || (code == next && old < 0))
            break;
        if (code == clear) {
            next = clear + 2;
            size = start + 1;
            old = -1;
            continue;
        }
        if (code == next) {                                 /* the word being made: old, first */
            word[length++] = (uint8_t)first;
            at = old;
        }
        for (; at >= clear; at = before[at])
            word[length++] = last[at];
        word[length++] = last[at];
        first = last[at];
        while (length && done < n)
            out[done++] = word[--length];
        if (old >= 0 && next < CODES) {
            before[next] = (uint16_t)old;
            last[next++] = (uint8_t)first;
            if (next == 1 << size && size < CODE_BITS)
                size++;
        }
        old = code;
    }
    return done;
}

/* Row r of an interlaced picture of h rows lies in line...: passes start 0 4 2 1, steps 8 8 4 2. */
static int interlaced_row(int r, int h)
{
    static const struct { int from, step; } pass[] = { { 0, 8 }, { 4, 8 }, { 2, 4 }, { 1, 2 } };
    for (size_t i = 0; i < COUNT(pass); i++) {
        int rows = h > pass[i].from ? (h - pass[i].from + pass[i].step - 1) / pass[i].step : 0;
        if (r < rows)
            return pass[i].from + r * pass[i].step;
        r -= rows;
    }
    return 0;
}

enum status image_decode_gif(struct image *out, const unsigned char *at, size_t n, struct err *e)
{
    struct gif g = { .at = at, .end = at + n, .transparent = -1 };
    if (n < 13)
        return err_set(e, ERR_DATA, "GIF cut short in its header");
    g.at += 6;
    int width = next_two(&g), height = next_two(&g), flags = next_byte(&g);
    g.at += 2;
    image_grey_palette(g.palette);
    read_palette(&g, flags);
    if (!find_picture(&g))
        return err_set(e, ERR_DATA, "GIF without a picture");
    int x0 = next_two(&g), y0 = next_two(&g), w = next_two(&g), h = next_two(&g);
    flags = next_byte(&g);
    read_palette(&g, flags);
    if (g.ended || w == 0 || h == 0)
        return err_set(e, ERR_DATA, "GIF cut short, or of an empty picture");
    if (image_allocate(out, x0 + w > width ? x0 + w : width, y0 + h > height ? y0 + h : height, e))
        return e->code;

    size_t count = (size_t)w * (size_t)h;
    uint8_t *indices = malloc(count);
    if (!indices)
        return err_set(e, ERR_MEMORY, "no memory for a picture of %d x %d", w, h);
    if (read_indices(&g, indices, count) < count)
        err_set(e, ERR_DATA, "GIF damaged or cut short: its data end before the last row");
    else {
        const uint8_t *ground = g.palette[g.transparent >= 0 ? g.transparent : 0];
        for (size_t i = 0; i < (size_t)out->width * (size_t)out->height; i++)
            memcpy(out->rgb + 3 * i, ground, 3);
        for (int r = 0; r < h; r++) {
            int y = y0 + (flags & 0x40 ? interlaced_row(r, h) : r);
            uint8_t *row = out->rgb + 3 * ((size_t)y * (size_t)out->width + (size_t)x0);
            for (int x = 0; x < w; x++)
                memcpy(row + 3 * x, g.palette[indices[(size_t)r * (size_t)w + (size_t)x]], 3);
        }
    }
    free(indices);
    return e->code;
}
