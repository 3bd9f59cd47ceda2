/* preprocess.c -- pad or crop, resize, normalise: the integers of Pillow's libImaging/Resample.c.
 *
 * Along one axis, n_in -> n_out, in doubles without contraction:
 *     scale = n_in / n_out, s = max(scale, 1), centre of output i: c = (i + 0.5) scale
 *     taps x from trunc(c - 2s + 0.5) to below trunc(c + 2s + 0.5), cut to the picture
 *     weight f((x - c + 0.5) / s), f the cubic with a = -0.5; divided by their sum
 *     in 22 bits of fraction: k = trunc(2^22 weight +- 0.5); pixel = clamp((2^21 + sum k p) >> 22)
 * Rows first, to 8 bits, then columns. An axis that keeps its size is left alone. Only what the
 * crop shows is computed, and a padded picture's border is never built: its rows are all one row.
 *
 * The AVX2 form gives the same bits: k = 4096 high + low, so that both halves fit the 16-bit
 * multiply-add, and (sum high p) 4096 + (sum low p) is the same number. */
#include "engine/preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { FRACTION = 22, HALF = 1 << (FRACTION - 1), LOW = 12, BAND = 4, SLACK = 64 };
static const size_t TABLE_MAX = (size_t)1 << 30;            /* bytes of weights, or of rows */
static const uint8_t border[3] = { 122, 116, 104 };         /* int(255 mean), what pad fills with */

/* Where the pixels come from: the picture [h,w,3] at (x,y) of a canvas, the rest of it border. */
struct canvas { const uint8_t *rgb; int w, h, x, y, width, height; };

struct axis {                   /* outputs first .. first + n of n_out */
    int n_in, n_out, first, n;
    int taps;                   /* per output, a multiple of 4; what is not needed weighs 0 */
    int *start;                 /* [n] first input */
    int32_t *k;                 /* [n, taps]; NULL: the size stays */
    int16_t *pairs;             /* rows, AVX2: [n, taps/4, 2 (high, low), 16]; or NULL */
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

static void axis_free(struct axis *a)
{
    free(a->start);
    free(a->k);
    free(a->pairs);
}

/* The weights of output i, into k; w has room for all taps. */
static void weigh(const struct axis *a, int i, int *start, int32_t *k, double *w)
{
    double scale = (double)a->n_in / a->n_out, s = scale < 1 ? 1 : scale;
    double support = 2 * s, inverse = 1 / s, centre = (a->first + i + 0.5) * scale, sum = 0;
    int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
    if (low < 0)
        low = 0;
    if (high > a->n_in)
        high = a->n_in;
    for (int x = 0; x < high - low; x++)
        sum += w[x] = cubic((x + low - centre + 0.5) * inverse);
    for (int x = 0; x < high - low; x++) {
        if (sum != 0)
            w[x] /= sum;
        k[x] = (int32_t)(w[x] * (1 << FRACTION) + (w[x] < 0 ? -0.5 : 0.5));
    }
    *start = low;
}

static enum status axis_make(struct axis *a, struct err *e)
{
    if (a->n_in == a->n_out)
        return OK;
    double s = (double)a->n_in / a->n_out;
    size_t taps = ((size_t)ceil(2 * (s < 1 ? 1 : s)) * 2 + 1 + 3) / 4 * 4, n = (size_t)a->n;
    if (taps > TABLE_MAX / sizeof *a->k / n)
        return err_set(e, ERR_DATA, "a picture of %d pixels along one side cannot be resized to %d",
                       a->n_in, a->n_out);
    a->taps = (int)taps;
    a->start = calloc(n, sizeof *a->start);
    a->k = calloc(n * taps, sizeof *a->k);
    double *w = malloc(taps * sizeof *w);
    if (!a->start || !a->k || !w)
        err_set(e, ERR_MEMORY, "no memory for the weights of a resize");
    for (int i = 0; e->code == OK && i < a->n; i++)
        weigh(a, i, &a->start[i], a->k + (size_t)i * taps, w);
    free(w);
    return e->code;
}

static uint8_t clamp(int32_t sum)
{
    int32_t v = sum >> FRACTION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* One row [n_in,3] to the outputs [n,3]. */
static void row_plain(uint8_t *out, const uint8_t *in, const struct axis *a)
{
    for (int i = 0; i < a->n; i++, out += 3) {
        const int32_t *k = a->k + (size_t)i * (size_t)a->taps;
        int32_t sum[3] = { HALF, HALF, HALF };
        const uint8_t *p = in + 3 * (size_t)a->start[i];
        int n = a->n_in - a->start[i] < a->taps ? a->n_in - a->start[i] : a->taps;
        for (int x = 0; x < n; x++, p += 3)
            for (int c = 0; c < 3; c++)
                sum[c] += k[x] * p[c];
        for (int c = 0; c < 3; c++)
            out[c] = clamp(sum[c]);
    }
}

/* Row y of the columns' outputs from the n rows at in[], weights k; bytes = 3 columns. */
static void column_plain(uint8_t *out, const uint8_t *const *in, const int32_t *k, int n,
                         size_t from, size_t bytes)
{
    for (size_t b = from; b < bytes; b++) {
        int32_t sum = HALF;
        for (int y = 0; y < n; y++)
            sum += k[y] * in[y][b];
        out[b] = clamp(sum);
    }
}

#if defined(__x86_64__)

static bool have_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

/* Weights as rows_avx2 takes them: for four taps, (k0,k1) four times, then (k2,k3) four times. */
static void axis_pairs(struct axis *a)
{
    size_t groups = (size_t)a->taps / 4, n = (size_t)a->n * groups;
    if (!a->k || n > TABLE_MAX / 64 || !(a->pairs = malloc(n * 64)))
        return;                                             /* row_plain needs none */
    for (size_t i = 0; i < n; i++)
        for (int lane = 0; lane < 16; lane++) {
            int32_t k = a->k[4 * i + (size_t)(lane / 8 * 2 + lane % 2)];
            a->pairs[32 * i + (size_t)lane] = (int16_t)(k >> LOW);
            a->pairs[32 * i + 16 + (size_t)lane] = (int16_t)(k & ((1 << LOW) - 1));
        }
}

/* BAND rows at once, so that weights are loaded once for all. Reads up to 13 bytes behind a row. */
__attribute__((target("avx2")))
static void rows_avx2(uint8_t *const *out, const uint8_t *const *in, const struct axis *a)
{
    const __m128i spread = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1);
    size_t groups = (size_t)a->taps / 4;
    for (size_t i = 0; i < (size_t)a->n; i++) {
        const int16_t *k = a->pairs + i * groups * 32;
        size_t at = 3 * (size_t)a->start[i], n = (size_t)(a->n_in - a->start[i] + 3) / 4;
        __m256i high[BAND], low[BAND];
        for (int r = 0; r < BAND; r++)
            high[r] = low[r] = _mm256_setzero_si256();
        for (size_t g = 0; g < groups && g < n; g++, at += 12, k += 32) {
            __m256i kh = _mm256_loadu_si256((const __m256i *)(const void *)k);
            __m256i kl = _mm256_loadu_si256((const __m256i *)(const void *)(k + 16));
            for (int r = 0; r < BAND; r++) {
                __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(in[r] + at));
                __m256i wide = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(p, spread));
                high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(wide, kh));
                low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(wide, kl));
            }
        }
        for (int r = 0; r < BAND; r++) {
            __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high[r], LOW), low[r]);
            __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both),
                                        _mm256_extracti128_si256(both, 1));
            sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(HALF)), FRACTION);
            sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
            uint32_t rgb = (uint32_t)_mm_cvtsi128_si32(sum);
            uint8_t *o = out[r] + 3 * i;
            o[0] = (uint8_t)rgb;
            o[1] = (uint8_t)(rgb >> 8);
            o[2] = (uint8_t)(rgb >> 16);
        }
    }
}

/* As column_plain for 16 bytes at a time; returns how many bytes are done. n is even. */
__attribute__((target("avx2")))
static size_t column_avx2(uint8_t *out, const uint8_t *const *in, const int32_t *k, int n,
                          size_t bytes)
{
    size_t b = 0;
    for (; b + 16 <= bytes; b += 16) {
        __m256i high[2], low[2], sum[2];
        for (int half = 0; half < 2; half++)
            high[half] = low[half] = _mm256_setzero_si256();
        for (int y = 0; y < n; y += 2) {
            uint32_t h = (uint32_t)(k[y] >> LOW & 0xffff) | (uint32_t)(k[y + 1] >> LOW) << 16;
            uint32_t l = (uint32_t)(k[y] & 0xfff) | (uint32_t)(k[y + 1] & 0xfff) << 16;
            __m256i kh = _mm256_set1_epi32((int)h), kl = _mm256_set1_epi32((int)l);
            __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(in[y] + b));
            __m128i q = _mm_loadu_si128((const __m128i *)(const void *)(in[y + 1] + b));
            __m256i first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(p, q));
            __m256i second = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(p, q));
            high[0] = _mm256_add_epi32(high[0], _mm256_madd_epi16(first, kh));
            low[0] = _mm256_add_epi32(low[0], _mm256_madd_epi16(first, kl));
            high[1] = _mm256_add_epi32(high[1], _mm256_madd_epi16(second, kh));
            low[1] = _mm256_add_epi32(low[1], _mm256_madd_epi16(second, kl));
        }
        for (int half = 0; half < 2; half++) {
            sum[half] = _mm256_add_epi32(_mm256_slli_epi32(high[half], LOW), low[half]);
            sum[half] = _mm256_srai_epi32(_mm256_add_epi32(sum[half], _mm256_set1_epi32(HALF)),
                                          FRACTION);
        }
        __m256i words = _mm256_packs_epi32(sum[0], sum[1]); /* by halves: 0-3 8-11 4-7 12-15 */
        words = _mm256_permute4x64_epi64(words, 0xd8);
        __m128i done = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                        _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)(void *)(out + b), done);
    }
    return b;
}

#else

static bool have_avx2(void)
{
    return false;
}

#endif

/* Row y of the canvas [width,3]; put together in `room`, a row of border, where it must be. */
static const uint8_t *canvas_row(const struct canvas *c, int y, uint8_t *room, bool must_copy)
{
    if (y < c->y || y >= c->y + c->h)
        return room;
    const uint8_t *row = c->rgb + (size_t)(y - c->y) * (size_t)c->w * 3;
    if (c->w == c->width && !must_copy)
        return row;
    memcpy(room + 3 * (size_t)c->x, row, (size_t)c->w * 3);
    return room;
}

/* BAND rows of border, each with zeros behind it, which vectors may read. */
static uint8_t *make_room(size_t width)
{
    uint8_t *room = calloc(BAND, width + SLACK);
    for (size_t r = 0; room && r < BAND; r++)
        for (size_t i = 0; i < width; i += 3)
            memcpy(room + r * (width + SLACK) + i, border, 3);
    return room;
}

/* Rows from .. from + n of the canvas, all of the picture or all of border, to out [n, a->n, 3]. */
static enum status do_rows(uint8_t *out, const struct canvas *c, const struct axis *a, int from,
                           int n,
                           struct err *e)
{
    size_t width = (size_t)c->width * 3, bytes = (size_t)a->n * 3;
    if (width > TABLE_MAX / BAND)
        return err_set(e, ERR_DATA, "a picture %d pixels wide is too wide", c->width);
    uint8_t *room = make_room(width);
    if (!room)
        return err_set(e, ERR_MEMORY, "no memory for rows of %d pixels", c->width);
    for (int y = 0; y < n; y += BAND) {
        const uint8_t *in[BAND];
        uint8_t *to[BAND];
        for (int r = 0; r < BAND; r++) {
            int row = y + r < n ? y + r : n - 1;            /* the last fills the band */
            /* Vectors read behind a row: what stands there must be ours. */
            bool last = a->pairs && (size_t)(c->y + c->h - 1 - (from + row)) * width < SLACK;
            in[r] = canvas_row(c, from + row, room + (size_t)r * (width + SLACK), last);
            to[r] = out + (size_t)row * bytes;
            if (!a->k)
                memcpy(to[r], in[r] + 3 * (size_t)a->first, bytes);
            else if (!a->pairs)
                row_plain(to[r], in[r], a);
        }
#if defined(__x86_64__)
        if (a->pairs)
            rows_avx2(to, in, a);
#endif
    }
    free(room);
    return OK;
}

/* ---- columns -------------------------------------------------------------------------------- */

/* The rows of the canvas that have been resized: those of the picture's, and one for the border. */
struct strip { const uint8_t *rows, *edge; int from, n; };

static const uint8_t *strip_row(const struct strip *s, int y, size_t bytes)
{
    return y >= s->from && y < s->from + s->n ? s->rows + (size_t)(y - s->from) * bytes : s->edge;
}

static enum status do_columns(uint8_t *out, const struct strip *s, const struct axis *a,
                              size_t bytes, bool vectors, struct err *e)
{
    if (!a->k) {
        for (int i = 0; i < a->n; i++)
            memcpy(out + (size_t)i * bytes, strip_row(s, a->first + i, bytes), bytes);
        return OK;
    }
    const uint8_t **in = malloc((size_t)a->taps * sizeof *in);
    if (!in)
        return err_set(e, ERR_MEMORY, "no memory for the rows of a resize");
    for (int i = 0; i < a->n; i++, out += bytes) {
        const int32_t *k = a->k + (size_t)i * (size_t)a->taps;
        int n = a->n_in - a->start[i] < a->taps ? a->n_in - a->start[i] : a->taps;
        for (int y = 0; y < a->taps; y++)                   /* behind the last: any, times 0 */
            in[y] = strip_row(s, a->start[i] + (y < n ? y : n - 1), bytes);
        size_t done = 0;
#if defined(__x86_64__)
        if (vectors)
            done = column_avx2(out, in, k, a->taps, bytes);
#endif
        (void)vectors;
        column_plain(out, in, k, a->taps, done, bytes);
    }
    free(in);
    return OK;
}

/* The part of the resized canvas that `across` and `down` name, to out [down->n, across->n, 3]. */
static enum status resize(uint8_t *out, const struct canvas *c, struct axis *across,
                          struct axis *down, bool vectors, struct err *e)
{
    uint8_t *rows = NULL;
    size_t bytes = (size_t)across->n * 3;
    if (axis_make(across, e) != OK || axis_make(down, e) != OK)
        goto done;
#if defined(__x86_64__)
    if (vectors)
        axis_pairs(across);
#endif
    /* Of the canvas's rows, those that some output needs; of those, the picture's own. */
    int first = down->k ? down->start[0] : down->first;
    int last = down->k ? down->start[down->n - 1] + down->taps : down->first + down->n;
    struct strip s = { .from = first > c->y ? first : c->y };
    s.n = (last < c->y + c->h ? last : c->y + c->h) - s.from;
    if (s.n < 0)
        s.n = 0;
    if (((size_t)s.n + 1) > TABLE_MAX / bytes) {
        err_set(e, ERR_DATA, "a picture %d pixels high is too high", c->height);
        goto done;
    }
    rows = malloc(((size_t)s.n + 1) * bytes);
    if (!rows) {
        err_set(e, ERR_MEMORY, "no memory for %d rows of %d pixels", s.n, across->n);
        goto done;
    }
    s.rows = rows;
    s.edge = rows + (size_t)s.n * bytes;
    if ((s.n && do_rows(rows, c, across, s.from, s.n, e) != OK) ||
        (c->h < c->height && do_rows(rows + (size_t)s.n * bytes, c, across, -1, 1, e) != OK))
        goto done;
    do_columns(out, &s, down, bytes, vectors, e);
done:
    axis_free(across);
    axis_free(down);
    free(rows);
    return e->code;
}

enum status resize_bicubic(uint8_t *out, int ow, int oh, const uint8_t *in, int w, int h,
                           struct err *e)
{
    struct canvas c = { .rgb = in, .w = w, .h = h, .width = w, .height = h };
    struct axis across = { .n_in = w, .n_out = ow, .n = ow };
    struct axis down = { .n_in = h, .n_out = oh, .n = oh };
    return resize(out, &c, &across, &down, have_avx2(), e);
}

enum status resize_bicubic_plain(uint8_t *out, int ow, int oh, const uint8_t *in, int w, int h,
                                 struct err *e)
{
    struct canvas c = { .rgb = in, .w = w, .h = h, .width = w, .height = h };
    struct axis across = { .n_in = w, .n_out = ow, .n = ow };
    struct axis down = { .n_in = h, .n_out = oh, .n = oh };
    return resize(out, &c, &across, &down, false, e);
}

enum status preprocess(uint8_t *out, const struct image *in, int side, bool pad, struct err *e)
{
    int w = in->width, h = in->height, n = w > h ? w : h, least = w < h ? w : h;
    struct canvas c = { .rgb = in->rgb, .w = w, .h = h, .width = w, .height = h };
    int64_t ow = side, oh = side;
    if (pad) {
        c.x = (n - w) / 2;
        c.y = (n - h) / 2;
        c.width = c.height = n;
    } else {
        ow = w == least ? side : (int64_t)side * w / h;     /* the shortest edge becomes side */
        oh = h == least ? side : (int64_t)side * h / w;
    }
    if (ow > INT32_MAX || oh > INT32_MAX)
        return err_set(e, ERR_DATA, "a picture of %d x %d pixels is too narrow to crop", w, h);
    struct axis across = { .n_in = c.width, .n_out = (int)ow, .first = (int)((ow - side) / 2),
                           .n = side };
    struct axis down = { .n_in = c.height, .n_out = (int)oh, .first = (int)((oh - side) / 2),
                         .n = side };
    return resize(out, &c, &across, &down, have_avx2(), e);
}

void normalise_table(float table[3][256])
{
    static const float mean[] = { 0.48145466f, 0.4578275f, 0.40821073f },
                       deviation[] = { 0.26862954f, 0.26130258f, 0.27577711f };
    for (int c = 0; c < 3; c++)
        for (int u = 0; u < 256; u++)
            table[c][u] = ((float)(u * (1.0 / 255)) - mean[c]) / deviation[c];
}
