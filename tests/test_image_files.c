/* Every kind of image file against what Pillow makes of it: tests/golden/images.py wrote and
 * decoded them. Then the same files damaged: an error or a picture, never a crash. */
#include "engine/image.h"

#include <stdio.h>
#include <stdlib.h>
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

struct golden { struct file list, data; };

static bool open_golden(struct golden *g)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    file_open(&g->list, path_join(&a, test_root(), "tests/golden/images.txt"), ERR_DATA, &e);
    file_open(&g->data, path_join(&a, test_root(), "tests/golden/images.bin"), ERR_DATA, &e);
    arena_free(&a);
    return CHECK_OK(e.code, e);
}

static void close_golden(struct golden *g)
{
    file_close(&g->list);
    file_close(&g->data);
}

static void decoded(const struct image *im, char hash[40])
{
    struct sha256 s;
    unsigned char bytes[SHA256_SIZE];
    char hex[SHA256_HEX];
    sha256_init(&s);
    sha256_add(&s, im->rgb, (size_t)im->width * (size_t)im->height * 3);
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
            decoded(&im, got);
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

TEST(image_of_too_many_pixels_is_refused_before_memory_is_asked_for)
{
    /* A 24-bit BMP of 20000 x 20000 pixels, header alone. */
    unsigned char bmp[54] = { 'B', 'M', 54, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 0x20,
                              0x4e, 0, 0, 0x20, 0x4e, 0, 0, 1, 0, 24, 0 };
    struct image im;
    struct err e = { 0 };
    CHECK_INT(image_decode(&im, bmp, sizeof bmp, &e), ERR_DATA);
    CHECK_STR(e.text, "an image of 20000 x 20000 pixels, expected at most 178956970 in all");
}
