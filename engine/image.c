/* image.c -- the image libraries, wrapped once: JPEG, PNG, WebP; the first bytes tell the format.
 *
 * The rules are Pillow 9's (the version the original ran with), which convert("RGB") follows:
 *     JPEG   grey to R=G=B; four components are inverted CMYK, whatever their markers say
 *     PNG    alpha and tRNS are dropped, not blended; 16-bit grey is clamped to 255, other 16-bit
 *            samples keep their high byte; palette indices beyond PLTE are greys
 *     all    no gamma, no profile, no EXIF turn
 * A file whose pixels end early is an error; a wrong checksum of pixels, or no end, is not. With
 * JPEG_ONLY the other two libraries are not needed, nor their formats read. */
#include "engine/image_private.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#if !defined(JPEG_ONLY)
#include <png.h>
#include <webp/decode.h>
#endif

enum { REASON = 200, SCANS_MAX = 500 };

enum status image_check_size(int64_t width, int64_t height, struct err *e)
{
    if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX)
        return err_set(e, ERR_DATA, "an image of %lld x %lld pixels", (long long)width,
                       (long long)height);
    if (height > IMAGE_MAX_PIXELS / width)
        return err_set(e, ERR_DATA, "an image of %lld x %lld pixels, expected at most %d in all",
                       (long long)width, (long long)height, IMAGE_MAX_PIXELS);
    return OK;
}

enum status image_allocate(struct image *out, int64_t width, int64_t height, struct err *e)
{
    if (image_check_size(width, height, e) != OK)
        return e->code;
    out->width = (int)width;
    out->height = (int)height;
    out->rgb = malloc((size_t)width * (size_t)height * 3);
    if (!out->rgb)
        return err_set(e, ERR_MEMORY, "no memory for an image of %lld x %lld pixels",
                       (long long)width, (long long)height);
    return OK;
}

void image_grey_palette(uint8_t palette[256][3])
{
    for (int i = 0; i < 256; i++)
        palette[i][0] = palette[i][1] = palette[i][2] = (uint8_t)i;
}

void image_free(struct image *im)
{
    free(im->rgb);
    *im = (struct image){ 0 };
}

/* ---- rows ----------------------------------------------------------------------------------- */

enum status image_give_rows(struct image_sink *to, const struct image *im, struct err *e)
{
    size_t bytes = (size_t)im->width * 3;
    if (to->begin(to, im->width, im->height, e) != OK)
        return e->code;
    for (int y = 0, n; y < im->height; y += n) {
        n = im->height - y < to->n_rows ? im->height - y : to->n_rows;
        for (int i = 0; i < n; i++)
            memcpy(to->room + (size_t)i * to->stride, im->rgb + (size_t)(y + i) * bytes, bytes);
        to->take(to, n);
    }
    return OK;
}

struct whole { struct image_sink sink; struct image *image; }; 

static enum status whole_begin(struct image_sink *sink, int width, int height, struct err *e)
{
    struct whole *w = (struct whole *)sink;
    if (image_allocate(w->image, width, height, e) != OK)
        return e->code;
    sink->room = w->image->rgb;
    sink->stride = (size_t)width * 3;
    sink->n_rows = height;
    return OK;
}

static void whole_take(struct image_sink *sink, int n)
{
    sink->room += (size_t)n * sink->stride;
    sink->n_rows -= n;
}

/* ---- JPEG ----------------------------------------------------------------------------------- */

struct jpeg {                   /* everything that must survive a longjmp lives here */
    struct jpeg_decompress_struct lib;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    char reason[JMSG_LENGTH_MAX];
    bool ended;                 /* the library asked for more than the file has */
    struct image_sink *to;
    uint8_t *cmyk;              /* one row */
    struct err *e;
};

static void jpeg_failed(j_common_ptr lib)
{
    struct jpeg *j = lib->client_data;
    lib->err->format_message(lib, j->reason);
    longjmp(j->out, 1);
}

static void jpeg_warns(j_common_ptr lib, int level)
{
    if (level < 0)
        lib->err->num_warnings++;
}

static void jpeg_nothing(j_decompress_ptr lib)
{
    (void)lib;
}

/* At the end of the file: an end marker, so that the library stops by itself. */
static boolean jpeg_fill(j_decompress_ptr lib)
{
    static const JOCTET eoi[] = { 0xff, JPEG_EOI };
    struct jpeg *j = lib->client_data;
    j->ended = true;
    lib->src->next_input_byte = eoi;
    lib->src->bytes_in_buffer = sizeof eoi;
    return TRUE;
}

static void jpeg_skip(j_decompress_ptr lib, long n)
{
    if (n > (long)lib->src->bytes_in_buffer)
        jpeg_fill(lib);
    else if (n > 0) {
        lib->src->next_input_byte += n;
        lib->src->bytes_in_buffer -= (size_t)n;
    }
}

/* A small file of many scans over a large picture could take hours. */
static void jpeg_watch(j_common_ptr lib)
{
    struct jpeg *j = lib->client_data;
    if (lib->is_decompressor && j->lib.input_scan_number > SCANS_MAX) {
        snprintf(j->reason, sizeof j->reason, "more than %d scans", SCANS_MAX);
        longjmp(j->out, 1);
    }
}

/* Pillow's conversion of CMYK, from the file's inverted bytes. */
static void cmyk_to_rgb(uint8_t *out, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++, in += 4, out += 3) {
        int white = in[3];                                  /* 255 - K */
        for (int c = 0; c < 3; c++) {
            int t = (255 - in[c]) * white + 128, v = white - (((t >> 8) + t) >> 8);
            out[c] = (uint8_t)(v < 0 ? 0 : v);
        }
    }
}

/* A row as the library gives it, to RGB. */
static void jpeg_row(const struct jpeg *j, uint8_t *out)
{
    size_t width = j->lib.output_width;
    if (j->lib.out_color_space == JCS_CMYK)
        cmyk_to_rgb(out, j->cmyk, width);
    else if (j->lib.out_color_space == JCS_GRAYSCALE)
        for (size_t x = width; x--;)                        /* in place, from the end */
            out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = out[x];
}

static void jpeg_rows(struct jpeg *j)
{
    enum { AT_ONCE = 8 };
    j_decompress_ptr lib = &j->lib;
    struct image_sink *to = j->to;
    while (lib->output_scanline < lib->output_height) {
        int n = to->n_rows < AT_ONCE ? to->n_rows : AT_ONCE;
        int left = (int)(lib->output_height - lib->output_scanline), got = 0;
        if (n > left)
            n = left;
        JSAMPROW rows[AT_ONCE];
        for (int i = 0; i < n; i++)
            rows[i] = j->cmyk ? j->cmyk : to->room + (size_t)i * to->stride;
        while (got < n) {
            int k = (int)jpeg_read_scanlines(lib, rows + got, j->cmyk ? 1 : (JDIMENSION)(n - got));
            for (int i = got; i < got + k; i++)
                jpeg_row(j, to->room + (size_t)i * to->stride);
            got += k;
        }
        to->take(to, n);
    }
}

static void jpeg_read(struct jpeg *j, const unsigned char *at, size_t n)
{
    j_decompress_ptr lib = &j->lib;
    lib->err = jpeg_std_error(&j->errors);
    j->errors.error_exit = jpeg_failed;
    j->errors.emit_message = jpeg_warns;
    lib->client_data = j;
    if (setjmp(j->out)) {
        err_set(j->e, ERR_DATA, "JPEG: %.150s", j->reason);
        return;
    }
    jpeg_create_decompress(lib);
    j->source = (struct jpeg_source_mgr){ .next_input_byte = at, .bytes_in_buffer = n,
        .init_source = jpeg_nothing, .fill_input_buffer = jpeg_fill, .skip_input_data = jpeg_skip,
        .resync_to_restart = jpeg_resync_to_restart, .term_source = jpeg_nothing };
    j->progress.progress_monitor = jpeg_watch;
    lib->src = &j->source;
    lib->progress = &j->progress;
    jpeg_read_header(lib, TRUE);
    if (lib->num_components != 1 && lib->num_components != 3 && lib->num_components != 4) {
        err_set(j->e, ERR_DATA, "JPEG of %d components", lib->num_components);
        return;
    }
    lib->out_color_space = lib->num_components == 1 ? JCS_GRAYSCALE :
                           lib->num_components == 3 ? JCS_RGB : JCS_CMYK;
    if (image_check_size(lib->image_width, lib->image_height, j->e) != OK ||
        j->to->begin(j->to, (int)lib->image_width, (int)lib->image_height, j->e) != OK)
        return;
    if (lib->num_components == 4 && !(j->cmyk = malloc((size_t)lib->image_width * 4))) {
        err_set(j->e, ERR_MEMORY, "no memory for a row of a JPEG");
        return;
    }
    jpeg_start_decompress(lib);
    jpeg_rows(j);
    /* Whole if only its end marker is missing; not if it ended while bits were wanted. Of arithmetic
     * coding libjpeg does not tell, and of several scans the rest may be missing. */
    if (j->ended && (j->errors.num_warnings || lib->arith_code || jpeg_has_multiple_scans(lib)))
        err_set(j->e, ERR_DATA, "JPEG cut short: its data end before the last row");
}

static enum status decode_jpeg(struct image_sink *to, const unsigned char *at, size_t n,
                               struct err *e)
{
    struct jpeg *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_MEMORY, "no memory for a JPEG decoder");
    j->to = to;
    j->e = e;
    jpeg_read(j, at, n);
    jpeg_destroy_decompress(&j->lib);
    free(j->cmyk);
    free(j);
    return e->code;
}

#if !defined(JPEG_ONLY)
/* ---- PNG ------------------------------------------------------------------------------------ */

struct png {                    /* as struct jpeg */
    png_structp lib;
    png_infop info;
    const unsigned char *at;
    size_t n;
    char reason[REASON];
    struct image *image;
    uint8_t *samples;           /* all rows, as the library gives them; NULL: straight to rgb */
    png_bytep *rows;
    struct err *e;
};

static uint32_t big(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t crc32_of(const uint32_t table[256], const unsigned char *at, size_t n)
{
    uint32_t crc = 0xffffffff;
    while (n--)
        crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
    return ~crc;
}

/* Checksums of everything in front of the pixels: libpng will be told to ignore all of them. */
static enum status check_chunks(const unsigned char *at, size_t n, struct err *e)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
    }
    for (size_t i = 8; n - i >= 12;) {
        size_t length = big(at + i);
        if (!memcmp(at + i + 4, "IDAT", 4))
            return OK;
        if (length > n - i - 12)
            break;
        if (crc32_of(table, at + i + 4, length + 4) != big(at + i + 8 + length))
            return err_set(e, ERR_DATA, "PNG: wrong checksum in chunk %.4s",
                           (const char *)at + i + 4);
        i += 12 + length;
    }
    return err_set(e, ERR_DATA, "PNG cut short: no pixels");
}

static void png_failed(png_structp lib, png_const_charp reason)
{
    struct png *p = png_get_error_ptr(lib);
    snprintf(p->reason, sizeof p->reason, "%s", reason);
    longjmp(png_jmpbuf(lib), 1);
}

static void png_warns(png_structp lib, png_const_charp reason)
{
    (void)lib;
    (void)reason;
}

static void png_give(png_structp lib, png_bytep to, size_t n)
{
    struct png *p = png_get_io_ptr(lib);
    if (n > p->n)
        png_error(lib, "cut short: its data end before the last row");
    memcpy(to, p->at, n);
    p->at += n;
    p->n -= n;
}

/* One pixel of 1 or 2 bytes to grey or palette colour. */
static void widen_samples(struct png *p, int type, int depth)
{
    size_t count = (size_t)p->image->width * (size_t)p->image->height;
    uint8_t palette[256][3], *out = p->image->rgb;
    png_colorp colours = NULL;
    int n_colours = 0;
    image_grey_palette(palette);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_get_PLTE(p->lib, p->info, &colours, &n_colours);
    for (int i = 0; i < n_colours; i++) {
        palette[i][0] = colours[i].red;
        palette[i][1] = colours[i].green;
        palette[i][2] = colours[i].blue;
    }
    for (size_t i = 0; i < count; i++, out += 3) {
        int v = p->samples[i];
        if (type == PNG_COLOR_TYPE_GRAY && depth == 16)
            v = p->samples[2 * i] ? 255 : p->samples[2 * i + 1];
        memcpy(out, palette[v], 3);
    }
}

static void png_read(struct png *p)
{
    png_structp lib = p->lib;
    if (setjmp(png_jmpbuf(lib))) {
        err_set(p->e, ERR_DATA, "PNG: %s", p->reason);
        return;
    }
    png_set_read_fn(lib, p, png_give);
    png_set_crc_action(lib, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_keep_unknown_chunks(lib, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(lib, 0x7fffffff, 0x7fffffff);
    png_set_benign_errors(lib, 1);
    png_read_info(lib, p->info);
    int type = png_get_color_type(lib, p->info), depth = png_get_bit_depth(lib, p->info);
    size_t width = png_get_image_width(lib, p->info), height = png_get_image_height(lib, p->info);
    bool one = type == PNG_COLOR_TYPE_PALETTE || type == PNG_COLOR_TYPE_GRAY ||
               type == PNG_COLOR_TYPE_GRAY_ALPHA;
    if (image_allocate(p->image, (int64_t)width, (int64_t)height, p->e) != OK)
        return;

    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_packing(lib);
    else if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(lib);
    else if (type != PNG_COLOR_TYPE_GRAY && depth == 16)
        png_set_strip_16(lib);
    if (type & PNG_COLOR_MASK_ALPHA)
        png_set_strip_alpha(lib);
    png_set_interlace_handling(lib);
    png_read_update_info(lib, p->info);

    size_t stride = png_get_rowbytes(lib, p->info);
    p->samples = one ? calloc(height, stride) : NULL;
    p->rows = calloc(height, sizeof *p->rows);
    if ((one && !p->samples) || !p->rows) {
        err_set(p->e, ERR_MEMORY, "no memory for a PNG of %zu x %zu pixels", width, height);
        return;
    }
    for (size_t y = 0; y < height; y++)
        p->rows[y] = (one ? p->samples : p->image->rgb) + y * stride;
    png_read_image(lib, p->rows);
    if (one)
        widen_samples(p, type, depth);
}

static enum status decode_png(struct image *out, const unsigned char *at, size_t n, struct err *e)
{
    struct png p = { .at = at, .n = n, .image = out, .e = e };
    if (check_chunks(at, n, e) != OK)
        return e->code;
    p.lib = png_create_read_struct(PNG_LIBPNG_VER_STRING, &p, png_failed, png_warns);
    p.info = p.lib ? png_create_info_struct(p.lib) : NULL;
    if (p.info)
        png_read(&p);
    else
        err_set(e, ERR_MEMORY, "no memory for a PNG decoder");
    png_destroy_read_struct(&p.lib, &p.info, NULL);
    free(p.samples);
    free(p.rows);
    return e->code;
}

/* ---- WebP ----------------------------------------------------------------------------------- */

static enum status decode_webp(struct image *out, const unsigned char *at, size_t n, struct err *e)
{
    WebPBitstreamFeatures f;
    if (WebPGetFeatures(at, n, &f) != VP8_STATUS_OK)
        return err_set(e, ERR_DATA, "WebP: damaged or cut short");
    if (f.has_animation)
        return err_set(e, ERR_DATA, "WebP: an animation, which is not read");
    if (image_allocate(out, f.width, f.height, e) != OK)
        return e->code;
    size_t stride = (size_t)f.width * 3;
    if (!WebPDecodeRGBInto(at, n, out->rgb, stride * (size_t)f.height, (int)stride))
        return err_set(e, ERR_DATA, "WebP: damaged or cut short");
    return OK;
}

#else                           /* the engine's tools (make engine-tools) take JPEG, BMP and GIF */
static enum status decode_png(struct image *out, const unsigned char *at, size_t n, struct err *e)
{
    (void)out, (void)at, (void)n;
    return err_set(e, ERR_DATA, "this program was built without PNG and WebP");
}

static enum status decode_webp(struct image *out, const unsigned char *at, size_t n, struct err *e)
{
    return decode_png(out, at, n, e);
}
#endif

static bool is_jpeg(const unsigned char *at, size_t n)
{
    return n >= 3 && !memcmp(at, "\xff\xd8\xff", 3);
}

enum status image_decode(struct image *out, const void *bytes, size_t n, struct err *e)
{
    const unsigned char *at = bytes;
    struct whole w = { .sink = { .begin = whole_begin, .take = whole_take }, .image = out };
    *out = (struct image){ 0 };
    if (is_jpeg(at, n))
        decode_jpeg(&w.sink, at, n, e);
    else if (n >= 8 && !memcmp(at, "\x89PNG\r\n\x1a\n", 8))
        decode_png(out, at, n, e);
    else if (n >= 12 && !memcmp(at, "RIFF", 4) && !memcmp(at + 8, "WEBP", 4))
        decode_webp(out, at, n, e);
    else if (n >= 2 && !memcmp(at, "BM", 2))
        image_decode_bmp(out, at, n, e);
    else if (n >= 6 && (!memcmp(at, "GIF87a", 6) || !memcmp(at, "GIF89a", 6)))
        image_decode_gif(out, at, n, e);
    else
        err_set(e, ERR_DATA, "no image: neither JPEG, PNG, WebP, BMP nor GIF by its %zu bytes", n);
    if (e->code != OK)
        image_free(out);
    return e->code;
}

enum status image_decode_rows(struct image_sink *to, const void *bytes, size_t n, struct err *e)
{
    struct image im;
    if (is_jpeg(bytes, n))
        return decode_jpeg(to, bytes, n, e);
    if (image_decode(&im, bytes, n, e) == OK)
        image_give_rows(to, &im, e);
    image_free(&im);
    return e->code;
}

#if !defined(LIBJPEG_TURBO_VERSION_NUMBER)
#define LIBJPEG_TURBO_VERSION_NUMBER 0                      /* another libjpeg */
#endif

void image_libraries(char *text, size_t size)
{
    int v = LIBJPEG_TURBO_VERSION_NUMBER;
    char others[100] = "";
#if !defined(JPEG_ONLY)
    unsigned png = png_access_version_number();
    int webp = WebPGetDecoderVersion();
    snprintf(others, sizeof others, ", libpng %u.%u.%u, libwebp %d.%d.%d", png / 10000,
             png / 100 % 100, png % 100, webp >> 16, webp >> 8 & 255, webp & 255);
#endif
    if (v)
        snprintf(text, size, "libjpeg-turbo %d.%d.%d%s", v / 1000000, v / 1000 % 1000, v % 1000,
                 others);
    else
        snprintf(text, size, "libjpeg %d%s", JPEG_LIB_VERSION, others);
}
