/* preprocess.c -- pad or crop, resize, normalise: which part of which canvas the tower's square is.
 *
 * Padded, a picture stands in the middle of a square canvas, all of which is wanted. Cropped, the
 * picture is the canvas, its shortest edge becomes the side, and the middle of the result is wanted:
 * only that is computed. The resize itself is resize.c's. */
#include "engine/preprocess.h"

#include <string.h>

/* What pad fills with: int(255 mean). */
#define BORDER { 122, 116, 104 }

struct square {                 /* a sink of rows */
    struct image_sink sink;     /* first: a sink's address is its square's */
    int side;
    bool pad;
    enum resize_level level;
    uint8_t *out;
    struct resizer *resizer;
};

static enum status frame_of(struct resize_frame *f, int w, int h, int side, bool pad, struct err *e)
{
    int n = w > h ? w : h, least = w < h ? w : h;
    int64_t width = side, height = side;
    *f = (struct resize_frame){ .w = w, .h = h, .width = w, .height = h, .border = BORDER,
                                .n_across = side, .n_down = side };
    if (pad) {
        f->x = (n - w) / 2;
        f->y = (n - h) / 2;
        f->width = f->height = n;
    } else {
        width = w == least ? side : (int64_t)side * w / h;  /* the shortest edge becomes side */
        height = h == least ? side : (int64_t)side * h / w;
    }
    if (width > INT32_MAX || height > INT32_MAX)
        return err_set(e, ERR_DATA, "a picture of %d x %d pixels is too narrow to crop", w, h);
    f->out_width = (int)width;
    f->out_height = (int)height;
    f->left = (int)((width - side) / 2);
    f->top = (int)((height - side) / 2);
    return OK;
}

static enum status square_begin(struct image_sink *sink, int width, int height, struct err *e)
{
    struct square *s = (struct square *)sink;
    struct resize_frame f;
    if (frame_of(&f, width, height, s->side, s->pad, e) != OK ||
        resizer_open(&s->resizer, &f, s->out, s->level, e) != OK)
        return e->code;
    sink->room = resizer_room(s->resizer, &sink->stride);
    sink->n_rows = RESIZE_ROWS;
    return OK;
}

static void square_take(struct image_sink *sink, int n)
{
    resizer_take(((struct square *)sink)->resizer, n);
}

static struct square square_of(uint8_t *out, int side, bool pad, enum resize_level level)
{
    return (struct square){ .sink = { .begin = square_begin, .take = square_take }, .side = side,
                            .pad = pad, .level = level, .out = out };
}

enum status preprocess(uint8_t *out, const void *bytes, size_t n, int side, bool pad,
                       enum resize_level level, struct err *e)
{
    struct square s = square_of(out, side, pad, level);
    image_decode_rows(&s.sink, bytes, n, e);
    resizer_close(s.resizer);
    return e->code;
}

enum status preprocess_image(uint8_t *out, const struct image *in, int side, bool pad,
                             enum resize_level level, struct err *e)
{
    struct square s = square_of(out, side, pad, level);
    image_give_rows(&s.sink, in, e);
    resizer_close(s.resizer);
    return e->code;
}

void normalise_table(float table[3][256])
{
    static const float mean[] = { 0.48145466f, 0.4578275f, 0.40821073f },
                       deviation[] = { 0.26862954f, 0.26130258f, 0.27577711f };
    for (int c = 0; c < 3; c++)
        for (int u = 0; u < 256; u++)
            table[c][u] = ((float)(u * (1.0 / 255)) - mean[c]) / deviation[c];
}
