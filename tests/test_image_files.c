/* Every kind of image file against what Pillow makes of it: tests/golden/images.py wrote and
 * decoded them. Then all of them and many sizes more against CLIPImageProcessor's float32 pixels:
 * tests/golden/pixels.py. Then the same files damaged: an error or a picture, never a crash. */
#include "engine/preprocess.h"

#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "tests/check.h"

enum { NAME = 64, LINE = 200 };

struct recorded { char name[NAME], hash[40]; size_t offset, n; int width, height; };

/* The next line of images.txt; false at its end. */
static bool next_file(const char **at, const char *end, struct recorded *r)
{
    char line[LINE];
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    if (!stop || (size_t)(stop - *at) >= sizeof line)
        return false;
    memcpy(line, *at, (size_t)(stop - *at));
    line[stop - *at] = '\0';
    *at = stop + 1;
    return sscanf(line, "%63s %zu %zu %d %d %39s", r->name, &r->offset, &r->n, &r->width,
                  &r->height,
                  r->hash) == 6;
}

/* The lists and the bytes that they tell of. */
struct golden { struct file list, data, pixel_list, pixel_data; };

static bool open_golden(struct golden *g)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    const char *dir = path_join(&a, test_root(), "tests/golden");
    file_open(&g->list, path_join(&a, dir, "images.txt"), ERR_DATA, &e);
    file_open(&g->data, path_join(&a, dir, "images.bin"), ERR_DATA, &e);
    file_open(&g->pixel_list, path_join(&a, dir, "pixels.txt"), ERR_DATA, &e);
    file_open(&g->pixel_data, path_join(&a, dir, "pixels.bin"), ERR_DATA, &e);
    arena_free(&a);
    return CHECK_OK(e.code, e);
}

static void close_golden(struct golden *g)
{
    file_close(&g->list);
    file_close(&g->data);
    file_close(&g->pixel_list);
    file_close(&g->pixel_data);
}

static void short_hash(const void *at, size_t n, char hash[40])
{
    struct sha256 s;
    unsigned char bytes[SHA256_SIZE];
    char hex[SHA256_HEX];
    sha256_init(&s);
    sha256_add(&s, at, n);
    sha256_end(&s, bytes);
    sha256_hex(bytes, hex);
    memcpy(hash, hex, 32);
    hash[32] = '\0';
}

TEST(image_files_decode_as_pillow_decodes_them)
{
    struct golden g;
    struct recorded r;
    int n = 0;
    if (!open_golden(&g))
        return;
    for (const char *at = g.list.at, *end = at + g.list.n; next_file(&at, end, &r); n++) {
        struct image im;
        struct err e = { 0 };
        char got[40] = "error", label[NAME + 60];
        if (image_decode(&im, g.data.at + r.offset, r.n, &e) == OK)
            short_hash(im.rgb, (size_t)im.width * (size_t)im.height * 3, got);
        else
            CHECK(e.code == ERR_DATA && *e.text);
        snprintf(label, sizeof label, "%s %d x %d", r.name, im.width, im.height);
        if (!check_str(got, r.hash, label, __FILE__, __LINE__) && e.code != OK)
            printf("  %s\n", e.text);
        CHECK_INT(im.width, r.width);
        CHECK_INT(im.height, r.height);
        image_free(&im);
    }
    CHECK(n > 200);
    close_golden(&g);
}

/* ---- the whole way --------------------------------------------------------------------------- */

struct way { char name[NAME], source[16], pad[40], crop[40]; size_t from, n; int side; };

static bool next_way(const char **at, const char *end, struct way *w)
{
    char line[LINE];
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    if (!stop || (size_t)(stop - *at) >= sizeof line)
        return false;
    memcpy(line, *at, (size_t)(stop - *at));
    line[stop - *at] = '\0';
    *at = stop + 1;
    return sscanf(line, "%63s %15s %zu %zu %d %39s %39s", w->name, w->source, &w->from, &w->n,
                  &w->side, w->pad, w->crop) == 7;
}

static struct image drawn(int w, int h)
{
    struct image im = { malloc((size_t)w * (size_t)h * 3), w, h };
    uint8_t *p = im.rgb;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, p += 3) {
            p[0] = (uint8_t)(7 * x + 3 * y);
            p[1] = (uint8_t)(x * x + 5 * y);
            p[2] = (uint8_t)(x * y + 11 * x + 13 * y);
        }
    return im;
}

/* Squared by one level, normalised, hashed. */
static void go(const struct golden *g, const struct way *w, bool pad, enum resize_level level,
               char got[40])
{
    size_t n = (size_t)w->side * (size_t)w->side;
    uint8_t *square = malloc(n * 3);
    float *normal = malloc(n * 3 * sizeof *normal), table[3][256];
    const struct file *file = !strcmp(w->source, "images.bin") ? &g->data : &g->pixel_data;
    struct err e = { 0 };
    if (!strcmp(w->source, "drawn")) {
        struct image im = drawn((int)w->from, (int)w->n);
        preprocess_image(square, &im, w->side, pad, level, &e);
        image_free(&im);
    } else
        preprocess(square, file->at + w->from, w->n, w->side, pad, level, &e);
    snprintf(got, 40, "error");
    normalise_table(table);
    if (e.code == OK) {
        for (size_t i = 0; i < 3 * n; i++)
            normal[i % 3 * n + i / 3] = table[i % 3][square[i]];
        short_hash(normal, 3 * n * sizeof *normal, got);
    } else
        CHECK(e.code == ERR_DATA && *e.text);
    free(square);
    free(normal);
}

/* Every picture by every level would take long: the portable one takes each seventh. */
static void the_whole_way(enum resize_level level, int step)
{
    struct golden g;
    struct way w;
    int n = 0, compared = 0;
    if (!resize_runs_on(level))
        SKIP("this processor does not have it");
    if (!open_golden(&g))
        return;
    for (const char *at = g.pixel_list.at, *end = at + g.pixel_list.n; next_way(&at, end, &w); n++)
        for (int pad = 0; n % step == 0 && pad < 2; pad++) {
            const char *want = pad ? w.pad : w.crop;
            char got[40], label[NAME + 20];
            if (!strcmp(want, "-"))
                continue;
            go(&g, &w, pad, level, got);
            snprintf(label, sizeof label, "%s %s", w.name, pad ? "pad" : "crop");
            check_str(got, want, label, __FILE__, __LINE__);
            compared++;
        }
    CHECK(n > 400);
    CHECK(compared > 700 / step);
    close_golden(&g);
}

TEST(pixels_are_those_of_clip_image_processor)  { the_whole_way(resize_best_level(), 1); }
TEST(pixels_by_portable_code)                   { the_whole_way(RESIZE_PORTABLE, 7); }
TEST(pixels_by_avx2)                            { the_whole_way(RESIZE_AVX2, 3); }

TEST(damaged_image_files_are_refused_or_decoded)
{
    struct golden g;
    struct recorded r;
    uint32_t noise = 7;
    size_t refused = 0, taken = 0;
    if (!open_golden(&g))
        return;
    for (const char *at = g.list.at, *end = at + g.list.n; next_file(&at, end, &r);) {
        unsigned char *bytes = malloc(r.n + 1);
        for (int variant = 0; variant < 12 && r.n; variant++) {
            size_t n = r.n;
            memcpy(bytes, g.data.at + r.offset, n);
            if (variant < 8)                                /* one byte in a hundred, or one */
                for (size_t k = 0; k <= n / 100; k++) {
                    noise = noise * 1664525 + 1013904223;
                    bytes[noise % n] = (unsigned char)(noise >> 24);
                }
            else
                n = n * (size_t)(variant - 8) / 4;
            struct image im;
            struct err e = { 0 };
            *(image_decode(&im, bytes, n, &e) == OK ? &taken : &refused) += 1;
            image_free(&im);
        }
        free(bytes);
    }
    CHECK(refused > 200);
    CHECK(taken > 200);
    close_golden(&g);
}

/* Headers of pictures of 400 megapixels (WebP has no size of 20000: 268) with hardly a byte behind
 * them: the limit speaks, not a lack of memory or of pixels. */
TEST(images_of_too_many_pixels_are_refused_before_memory_is_asked_for)
{
    static const struct { const char *kind; size_t n; const char *bytes; int side; } cases[] = {
        { "BMP", 54,
          "\102\115\66\0\0\0\0\0\0\000\66\0\0\0\50\0\0\0\40\116\0\0\40\116\0\0\1\0\30\0\0"
          "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20000 },
        { "JPEG", 35,
          "\377\330\377\300\0\21\10\116\40\116\40\3\1\21\0\2\21\0\3\21\0\377\332\0\14\3\1"
          "\0\2\0\3\0\0\77\0", 20000 },
        { "PNG", 45,
          "\211\120\116\107\15\12\32\12\0\0\0\15\111\110\104\122\0\0\116\40\0\0\116\40\10"
          "\2\0\0\0\154\22\321\156\0\0\0\0\111\104\101\124\65\257\6\36", 20000 },
        { "GIF", 35,
          "\107\111\106\70\71\141\40\116\40\116\200\0\0\0\0\0\377\377\377\54\0\0\0\0\40"
          "\116\40\116\0\2\2\114\1\0\73", 20000 },
        { "WebP", 34,
          "\122\111\106\106\32\0\0\0\127\105\102\120\126\120\70\114\15\0\0\0\57\376\277"
          "\377\17\0\0\0\0\0\0\0\0\0", 16383 },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int whole = 0; whole < 2; whole++) {
            uint8_t square[28 * 28 * 3];
            char want[100];
            struct image im = { 0 };
            struct err e = { 0 };
            snprintf(want, sizeof want, "an image of %d x %d pixels, expected at most 178956970 in "
                     "all", cases[i].side, cases[i].side);
            if (whole)
                image_decode(&im, cases[i].bytes, cases[i].n, &e);
            else
                preprocess(square, cases[i].bytes, cases[i].n, 28, true, RESIZE_PORTABLE, &e);
            CHECK_INT(e.code, ERR_DATA);
            check_str(e.text, want, cases[i].kind, __FILE__, __LINE__);
            image_free(&im);
        }
}

/* A JPEG of noise: `arithmetic` coded, or a scan for each component. malloc'ed. */
static unsigned char *make_jpeg(bool arithmetic, unsigned long *n)
{
    enum { SIDE = 128 };
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    static const jpeg_scan_info scans[] = { { 1, { 0 }, 0, 63, 0, 0 }, { 1, { 1 }, 0, 63, 0, 0 },
                                            { 1, { 2 }, 0, 63, 0, 0 } };
    unsigned char *out = NULL, row[3 * SIDE];
    unsigned noise = 1;

    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, n);
    c.image_width = c.image_height = SIDE;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    c.arith_code = arithmetic;
    if (!arithmetic) {
        c.scan_info = scans;
        c.num_scans = 3;
    }
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < SIDE) {
        for (size_t i = 0; i < sizeof row; i++)
            row[i] = (unsigned char)((noise = noise * 1103515245 + 12345) >> 16);
        jpeg_write_scanlines(&c, (JSAMPARRAY)&(unsigned char *){ row }, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return out;
}

/* libjpeg says nothing where arithmetic coding ends early, nor where a later scan is missing. */
TEST(image_refuses_cut_jpegs_of_every_coding)
{
    for (int arithmetic = 0; arithmetic < 2; arithmetic++) {
        unsigned long n = 0;
        unsigned char *jpeg = make_jpeg(arithmetic, &n);
        for (unsigned long part = 1; part <= 10; part++) {
            struct image im = { 0 };
            struct err e = { 0 };
            enum status s = image_decode(&im, jpeg, n * part / 10, &e);
            if (!CHECK_INT(s, part == 10 ? OK : ERR_DATA))
                printf("  arithmetic %d, %lu of 10 parts\n", arithmetic, part);
            image_free(&im);
        }
        free(jpeg);
    }
}
