/* resize.c -- see resize.h. The integers of Pillow's resize, along one axis n_in -> n_out, in doubles
 * without contraction:
 *     scale = n_in / n_out, s = max(scale, 1), centre of output i: c = (i + 0.5) scale
 *     taps x from trunc(c - 2s + 0.5) to below trunc(c + 2s + 0.5), cut to the picture
 *     weight f((x - c + 0.5) / s), f the cubic with a = -0.5; divided by their sum
 *     in 22 bits of fraction: k = trunc(2^22 weight +- 0.5); pixel = clamp((2^21 + sum k p) >> 22)
 * Along rows first, to 8 bits, then along columns. An axis that keeps its size has the one weight
 * 2^22, which is the same as leaving it alone. Rows that were resized wait in a ring for the outputs
 * that need them; a row of the canvas without picture is the same wherever it lies: the edge. */
#include "engine/resize_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t TABLE_MAX = (size_t)1 << 30;            /* bytes of weights, or of rows */

struct resizer {
    struct resize_frame frame;
    struct axis across, down;
    const struct resize_kernels *kernels;
    uint8_t *out;
    uint8_t *room;              /* RESIZE_ROWS rows of the canvas, border where no picture is */
    size_t stride;              /* of room */
    uint8_t *ring;              /* [n_ring] rows [across.n,3]; canvas row y in slot y % n_ring */
    uint8_t *edge;              /* the slot behind them */
    int n_ring;
    size_t ring_stride;
    const uint8_t **in;         /* [down.taps] */
    int taken, done;            /* rows of the picture, rows of out */
};

static double cubic(double t)
{
    static const double a = -0.5;
    t = fabs(t);
    if (t < 1)
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    if (t < 2)
        return (((t - 5) * t + 8) * t - 4) * a;
    return 0;
}

/* ---- weights -------------------------------------------------------------------------------- */

/* Centre of output i and the inputs low .. high that count. */
static double place(const struct axis *a, int i, int *low, int *high)
{
    double scale = (double)a->n_in / a->n_out, support = 2 * (scale < 1 ? 1 : scale);
    double centre = (a->first + i + 0.5) * scale;
    *low = (int)(centre - support + 0.5);
    *high = (int)(centre + support + 0.5);
    if (*low < 0)
        *low = 0;
    if (*high > a->n_in)
        *high = a->n_in;
    return centre;
}

/* The weights of output i, into k; w has room for all taps. */
static void weigh(const struct axis *a, int i, int32_t *k, double *w)
{
    double scale = (double)a->n_in / a->n_out, inverse = 1 / (scale < 1 ? 1 : scale), sum = 0;
    int low, high;
    double centre = place(a, i, &low, &high);
    for (int x = 0; x < high - low; x++)
        sum += w[x] = cubic((x + low - centre + 0.5) * inverse);
    for (int x = 0; x < high - low; x++) {
        if (sum != 0)
            w[x] /= sum;
        k[x] = (int32_t)(w[x] * (1 << RESIZE_FRACTION) + (w[x] < 0 ? -0.5 : 0.5));
    }
}

/* Which inputs each output takes, and the most of them. */
static int find_taps(struct axis *a)
{
    int most = 1;
    for (int i = 0; i < a->n; i++) {
        int low = a->first + i, high = low + 1;
        if (a->n_in != a->n_out)
            place(a, i, &low, &high);
        a->start[i] = low;
        a->count[i] = high - low;
        if (high - low > most)
            most = high - low;
    }
    return most;
}

static enum status axis_make(struct axis *a, int step, struct err *e)
{
    size_t n = (size_t)a->n;
    a->start = calloc(n, sizeof *a->start);
    a->count = calloc(n, sizeof *a->count);
    if (!a->start || !a->count)
        return err_set(e, ERR_MEMORY, "no memory for the weights of a resize");
    size_t taps = ((size_t)find_taps(a) + (size_t)step - 1) / (size_t)step * (size_t)step;
    if (taps > TABLE_MAX / sizeof *a->k / n)
        return err_set(e, ERR_DATA, "a picture of %d pixels along one side cannot be resized to %d",
                       a->n_in, a->n_out);
    a->taps = (int)taps;
    a->k = calloc(n * taps, sizeof *a->k);
    double *w = malloc(taps * sizeof *w);
    if (!a->k || !w)
        err_set(e, ERR_MEMORY, "no memory for the weights of a resize");
    for (int i = 0; e->code == OK && i < a->n; i++)
        if (a->n_in == a->n_out)
            a->k[(size_t)i * taps] = 1 << RESIZE_FRACTION;
        else
            weigh(a, i, a->k + (size_t)i * taps, w);
    free(w);
    return e->code;
}

static void axis_free(struct axis *a)
{
    free(a->start);
    free(a->count);
    free(a->k);
    free(a->packed);
}

/* ---- the portable kernels ------------------------------------------------------------------- */

static uint8_t clamp(int32_t sum)
{
    int32_t v = sum >> RESIZE_FRACTION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void rows_portable(uint8_t *const *out, const uint8_t *const *in, const struct axis *a)
{
    for (int r = 0; r < RESIZE_BAND; r++)
        for (int i = 0; i < a->n; i++) {
            const int32_t *k = a->k + (size_t)i * (size_t)a->taps;
            const uint8_t *p = in[r] + 3 * (size_t)a->start[i];
            int32_t sum[3] = { RESIZE_HALF, RESIZE_HALF, RESIZE_HALF };
            for (int x = 0; x < a->count[i]; x++, p += 3)
                for (int c = 0; c < 3; c++)
                    sum[c] += k[x] * p[c];
            for (int c = 0; c < 3; c++)
                out[r][3 * i + c] = clamp(sum[c]);
        }
}

void resize_column_bytes(uint8_t *out, const uint8_t *const *in, const struct axis *a, int i,
                         size_t from, size_t bytes)
{
    enum { BLOCK = 64 };
    const int32_t *k = a->k + (size_t)i * (size_t)a->taps;
    for (; from < bytes; from += BLOCK) {
        int32_t sum[BLOCK];
        size_t n = bytes - from < BLOCK ? bytes - from : BLOCK;
        for (size_t b = 0; b < n; b++)
            sum[b] = RESIZE_HALF;
        for (int y = 0; y < a->count[i]; y++)
            for (size_t b = 0; b < n; b++)
                sum[b] += k[y] * in[y][from + b];
        for (size_t b = 0; b < n; b++)
            out[from + b] = clamp(sum[b]);
    }
}

static void columns_portable(uint8_t *out, const uint8_t *const *in, const struct axis *a, int i,
                             size_t bytes)
{
    resize_column_bytes(out, in, a, i, 0, bytes);
}

static const struct resize_kernels portable = { 1, 1, NULL, NULL, rows_portable,
                                                columns_portable };

/* ---- levels --------------------------------------------------------------------------------- */

bool resize_runs_on(enum resize_level level)
{
#if defined(__x86_64__)
    if (level == RESIZE_AVX2)
        return __builtin_cpu_supports("avx2");
    if (level == RESIZE_AVX512)
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
#endif
    return level == RESIZE_PORTABLE;
}

enum resize_level resize_best_level(void)
{
    return resize_runs_on(RESIZE_AVX512) ? RESIZE_AVX512 :
           resize_runs_on(RESIZE_AVX2) ? RESIZE_AVX2 : RESIZE_PORTABLE;
}

static const struct resize_kernels *kernels_of(enum resize_level level)
{
#if defined(__x86_64__)
    return level == RESIZE_AVX512 ? &resize_avx512 : level == RESIZE_AVX2 ? &resize_avx2 : &portable;
#else
    (void)level;
    return &portable;
#endif
}

/* ---- the way of the rows -------------------------------------------------------------------- */

static enum status make_weights(struct resizer *r, struct err *e)
{
    const struct resize_frame *f = &r->frame;
    const struct resize_kernels *k = r->kernels;
    r->across = (struct axis){ .n_in = f->width, .n_out = f->out_width, .first = f->left,
                               .n = f->n_across };
    r->down = (struct axis){ .n_in = f->height, .n_out = f->out_height, .first = f->top,
                             .n = f->n_down };
    if (axis_make(&r->across, k->row_step, e) != OK || axis_make(&r->down, k->column_step, e) != OK)
        return e->code;
    if ((k->pack_rows && !(r->across.packed = k->pack_rows(&r->across))) ||
        (k->pack_columns && !(r->down.packed = k->pack_columns(&r->down))))
        return err_set(e, ERR_MEMORY, "no memory for the weights of a resize");
    return OK;
}

static enum status make_room(struct resizer *r, struct err *e)
{
    const struct resize_frame *f = &r->frame;
    size_t width = (size_t)f->width * 3, taps = (size_t)r->down.taps;
    r->stride = width + RESIZE_SLACK;
    r->ring_stride = ((size_t)f->n_across * 3 + RESIZE_SLACK) / RESIZE_SLACK * RESIZE_SLACK;
    r->n_ring = r->down.taps + RESIZE_ROWS;
    if (r->stride > TABLE_MAX / RESIZE_ROWS || taps + RESIZE_ROWS + 1 > TABLE_MAX / r->ring_stride)
        return err_set(e, ERR_DATA, "a picture of %d x %d pixels is too large to resize", f->w,
                       f->h);
    r->room = calloc(RESIZE_ROWS, r->stride);
    r->ring = calloc((size_t)r->n_ring + 1, r->ring_stride);
    r->in = calloc(taps, sizeof *r->in);
    if (!r->room || !r->ring || !r->in)
        return err_set(e, ERR_MEMORY, "no memory to resize a picture of %d x %d pixels", f->w,
                       f->h);
    r->edge = r->ring + (size_t)r->n_ring * r->ring_stride;
    if (f->w < f->width || f->h < f->height)
        for (size_t row = 0; row < RESIZE_ROWS; row++)
            for (size_t b = 0; b < width; b += 3)
                memcpy(r->room + row * r->stride + b, f->border, 3);
    return OK;
}

enum status resizer_open(struct resizer **out, const struct resize_frame *frame, uint8_t *pixels,
                         enum resize_level level, struct err *e)
{
    struct resizer *r = *out = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_MEMORY, "no memory for a resize");
    r->frame = *frame;
    r->out = pixels;
    r->kernels = kernels_of(level);
    if (make_weights(r, e) != OK || make_room(r, e) != OK) {
        resizer_close(r);
        *out = NULL;
        return e->code;
    }
    if (frame->h < frame->height) {                         /* the room is all border still */
        uint8_t *to[RESIZE_BAND];
        const uint8_t *in[RESIZE_BAND];
        for (int i = 0; i < RESIZE_BAND; i++) {
            to[i] = r->edge;
            in[i] = r->room;
        }
        r->kernels->rows(to, in, &r->across);
    }
    return OK;
}

void resizer_close(struct resizer *r)
{
    if (!r)
        return;
    axis_free(&r->across);
    axis_free(&r->down);
    free(r->room);
    free(r->ring);
    free(r->in);
    free(r);
}

uint8_t *resizer_room(const struct resizer *r, size_t *stride)
{
    *stride = r->stride;
    return r->room + 3 * (size_t)r->frame.x;
}

static uint8_t *ring_row(const struct resizer *r, int y)
{
    return r->ring + (size_t)(y % r->n_ring) * r->ring_stride;
}

/* Rows of the canvas that some output needs: first .. last. */
static void needed_rows(const struct resizer *r, int *first, int *last)
{
    const struct axis *a = &r->down;
    *first = a->start[0];
    *last = a->start[a->n - 1] + a->count[a->n - 1];
}

/* The n rows in the room, canvas rows y and on, into the ring. */
static void put_rows(struct resizer *r, int y, int n)
{
    int first, last;
    needed_rows(r, &first, &last);
    for (int i = 0; i < n; i += RESIZE_BAND) {
        uint8_t *to[RESIZE_BAND];
        const uint8_t *in[RESIZE_BAND];
        if (y + i + RESIZE_BAND <= first || y + i >= last)
            continue;
        for (int b = 0; b < RESIZE_BAND; b++) {
            int row = i + b < n ? i + b : n - 1;            /* the last fills the band */
            in[b] = r->room + (size_t)row * r->stride;
            to[b] = ring_row(r, y + row);
        }
        r->kernels->rows(to, in, &r->across);
    }
}

void resizer_take(struct resizer *r, int n)
{
    const struct resize_frame *f = &r->frame;
    const struct axis *a = &r->down;
    size_t bytes = (size_t)f->n_across * 3;
    put_rows(r, f->y + r->taken, n);
    r->taken += n;
    for (int have = f->y + r->taken; r->done < a->n; r->done++) {
        int start = a->start[r->done], end = start + a->count[r->done], i = r->done;
        if ((end < f->y + f->h ? end : f->y + f->h) > have)
            return;
        for (int t = 0; t < a->taps; t++) {                 /* behind the last: any, times 0 */
            int y = start + t < end ? start + t : end - 1;
            r->in[t] = y >= f->y && y < f->y + f->h ? ring_row(r, y) : r->edge;
        }
        r->kernels->columns(r->out + (size_t)i * bytes, r->in, a, i, bytes);
    }
}
