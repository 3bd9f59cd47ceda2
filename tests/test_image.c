/* Pictures: decoding, resizing, the whole way to the tower's square, bit for bit as Pillow.
 *
 * Provenance: hashes and rows were recorded from Pillow 9.4.0 and transformers' CLIPImageProcessor,
 * on the picture g(w,h): R = 7x + 3y, G = x^2 + 5y, B = xy + 11x + 13y, all mod 256. The hundreds
 * of files in tests/golden/images.bin were made and decoded by Pillow 9.5.0:
 * tests/golden/images.py. */
#include "engine/preprocess.h"

#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "tests/check.h"

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

/* All of in [h,w,3] to out [oh,ow,3]. */
static enum status resize(uint8_t *out, int ow, int oh, const struct image *in,
                          enum resize_level level, struct err *e)
{
    const struct resize_frame f = { .w = in->width, .h = in->height, .width = in->width,
        .height = in->height, .out_width = ow, .out_height = oh, .n_across = ow, .n_down = oh };
    struct resizer *r;
    size_t stride, bytes = (size_t)in->width * 3;
    if (resizer_open(&r, &f, out, level, e) != OK)
        return e->code;
    uint8_t *room = resizer_room(r, &stride);
    for (int y = 0, n; y < in->height; y += n) {
        n = 1 + y % RESIZE_ROWS;                            /* as few or many as a decoder may */
        n = n < in->height - y ? n : in->height - y;
        for (int i = 0; i < n; i++)
            memcpy(room + (size_t)i * stride, in->rgb + (size_t)(y + i) * bytes, bytes);
        resizer_take(r, n);
    }
    resizer_close(r);
    return OK;
}

/* The first 16 bytes of the SHA-256, in hex. */
static const char *short_hash(const void *bytes, size_t n, char out[SHA256_HEX])
{
    struct sha256 s;
    unsigned char hash[SHA256_SIZE];
    sha256_init(&s);
    sha256_add(&s, bytes, n);
    sha256_end(&s, hash);
    sha256_hex(hash, out);
    out[32] = '\0';
    return out;
}

TEST(normalise_table_is_float32_of_the_processor)
{
    static const struct { int u; uint32_t bits[3]; } some[] = {
        { 0, { 0xbfe568dc, 0xbfe044b8, 0xbfbd77d8 } },
        { 1, { 0xbfe38a7f, 0xbfde58f1, 0xbfbba5e1 } },
        { 104, { 0xbe8c4d29, 0xbe43e151, 0xbaaeb487 } },
        { 122, { 0xbc3864e1, 0x3da17c6c, 0x3e825ea3 } },
        { 128, { 0x3d9c5620, 0x3e2cf36b, 0x3eae0dc4 } },
        { 255, { 0x3ff71541, 0x4004cae5, 0x40095660 } },
    };
    float table[3][256];
    char hex[SHA256_HEX];
    normalise_table(table);
    for (size_t i = 0; i < COUNT(some); i++)
        for (int c = 0; c < 3; c++) {
            uint32_t bits;
            memcpy(&bits, &table[c][some[i].u], sizeof bits);
            CHECK_INT(bits, some[i].bits[c]);
        }
    CHECK_STR(short_hash(table, sizeof table, hex), "5d23c0b115c373c73875b37dce36aa6a");
}

TEST(resize_of_small_pictures)
{
    static const uint8_t two[] = { 5, 3, 10, 18, 8, 32, 9, 9, 30, 22, 14, 52 },
        three[] = { 1, 0, 2, 11, 2, 17, 20, 8, 31, 4, 5, 15, 14, 7, 31, 23, 13, 47,
                    7, 10, 28, 17, 12, 46, 26, 18, 63 },
        six_first[] = { 0, 0, 0, 3, 0, 4, 8, 1, 12, 13, 3, 19, 18, 7, 27, 21, 9, 33 },
        six_last[] = { 6, 10, 26, 9, 10, 32, 14, 11, 42, 19, 13, 51, 24, 17, 61, 27, 19, 67 },
        tall_row[] = { 1, 2, 4, 8, 3, 15, 15, 6, 27, 22, 11, 38 },
        wide_row[] = { 0, 0, 0, 2, 0, 3, 6, 1, 10, 11, 2, 17, 15, 4, 23, 19, 8, 30, 22, 9, 34 };
    static const struct { int w, h, row; const uint8_t *bytes; size_t n; } cases[] = {
        { 2, 2, 0, two, sizeof two }, { 3, 3, 0, three, sizeof three },
        { 6, 5, 0, six_first, sizeof six_first }, { 6, 5, 4, six_last, sizeof six_last },
        { 4, 5, 1, tall_row, sizeof tall_row }, { 7, 3, 0, wide_row, sizeof wide_row },
    };
    struct image im = drawn(4, 3);
    struct err e = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t out[7 * 7 * 3];
        CHECK_OK(resize(out, cases[i].w, cases[i].h, &im, resize_best_level(), &e), e);
        CHECK(!memcmp(out + 3 * cases[i].w * cases[i].row, cases[i].bytes, cases[i].n));
    }
    image_free(&im);

    static const uint8_t stripes[] = { 255, 0, 255, 0, 255, 0, 255, 0 };
    static const struct { int n; uint8_t want[12]; } rows[] = {
        { 3, { 143, 127, 112 } }, { 5, { 151, 133, 128, 122, 104 } },
        { 12, { 255, 120, 19, 236, 128, 19, 236, 128, 19, 236, 135, 0 } },
    };
    uint8_t grey[24], out[36];
    struct image row = { grey, 8, 1 };
    for (int i = 0; i < 24; i++)
        grey[i] = stripes[i / 3];
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_OK(resize(out, rows[i].n, 1, &row, resize_best_level(), &e), e);
        for (int x = 0; x < rows[i].n; x++)
            CHECK_INT(out[3 * x + 1], rows[i].want[x]);
    }
}

static void same_bits(enum resize_level level)
{
    static const struct { int w, h, ow, oh; } sizes[] = {
        { 640, 480, 448, 336 }, { 5, 3, 560, 336 }, { 1, 1, 7, 9 }, { 333, 500, 336, 504 },
        { 17, 33, 16, 34 }, { 1000, 3, 336, 1 }, { 3, 1000, 1, 336 }, { 2, 2, 3, 3 },
        { 336, 336, 84, 84 }, { 84, 85, 84, 84 }, { 85, 84, 84, 84 }, { 999, 998, 31, 29 },
        { 64, 64, 64, 64 }, { 5000, 7, 336, 3 }, { 7, 5000, 22, 336 }, { 1, 70, 65, 1 },
    };
    uint32_t noise = 1;
    if (!resize_runs_on(level))
        SKIP("this processor does not have it");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct image im = drawn(sizes[i].w, sizes[i].h);
        size_t n = (size_t)sizes[i].w * (size_t)sizes[i].h * 3;
        size_t m = (size_t)sizes[i].ow * (size_t)sizes[i].oh * 3;
        uint8_t *fast = malloc(m), *plain = malloc(m);
        struct err e = { 0 };
        for (size_t k = 0; k < n; k++)                      /* noise reaches both clamps */
            im.rgb[k] = (noise = noise * 1664525 + 1013904223) >> 31 ? 255 : 0;
        CHECK_OK(resize(fast, sizes[i].ow, sizes[i].oh, &im, level, &e), e);
        CHECK_OK(resize(plain, sizes[i].ow, sizes[i].oh, &im, RESIZE_PORTABLE, &e), e);
        if (!CHECK(!memcmp(fast, plain, m)))
            printf("  case %zu\n", i);
        free(fast);
        free(plain);
        image_free(&im);
    }
}

TEST(resize_avx2_gives_the_portable_bits)   { same_bits(RESIZE_AVX2); }
TEST(resize_avx512_gives_the_portable_bits) { same_bits(RESIZE_AVX512); }

TEST(preprocess_as_the_reference)
{
    static const struct { int w, h, side; const char *pad, *crop, *pad_f32, *crop_f32; } cases[] = {
        { 640, 480, 336, "2cd7bf1f08cf3680a8983438ef0dccb9", "8b5f7616f0791f0da5ecb74c58ac6fd5",
          "1a0076774d6000e4fe3fb4cb00b05045", "8a50187e7340453ca81cb86b8009c14a" },
        { 480, 640, 336, "8ce6b09c856060e7b1f1b145b6e56cb1", "cd72368405db41d343dde66939776eba",
          "8801e855251ee8f78b8cae023aac7f7c", "0b890ce84aded6d2b7bb442247bc00c4" },
        { 333, 500, 336, "8205a14df0c834e0fb6d0a5d39ef5e70", "b851969be9911935620228cdc9e99517",
          "8a9f60493c23eb9ea3274c80aea8be08", "c5f036aa5b947dc3565cb7602927d170" },
        { 1024, 683, 336, "c314f4ba8ee7c4ddb4588fc6f3479eba", "5fe5cdf0b7c86f77f565ee77bb0e4bed",
          "6e99204731724e9ea398f68c02bdf0db", "d48541ec1ca09e13c9454542c4968122" },
        { 336, 336, 336, "853e245130480e7c03e84d56a71ac25c", "853e245130480e7c03e84d56a71ac25c",
          "5b28125cd1e3523e2161e79514523902", "5b28125cd1e3523e2161e79514523902" },
        { 100, 100, 336, "85a48493e1c68eb208ea0e3ad838f3f9", "85a48493e1c68eb208ea0e3ad838f3f9",
          "d38116f6f4ebeade4783faee5237fdf7", "d38116f6f4ebeade4783faee5237fdf7" },
        { 5, 3, 336, "851c6fada54b6cbd030b3268c889b22a", "f60193a4ce1b5abf5e5a121ff184d037",
          "91d80d46059d04f489a0e34c984605f5", "b3432d92769c7d3a04eae4aa83706f81" },
        { 640, 480, 224, "81c54c733e907889f235ceb3a758fbde", "69b5ce79dd0ac5dd688c4c859bc68722",
          NULL, NULL },
    };
    float table[3][256];
    normalise_table(table);
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int pad = 0; pad < 2; pad++) {
            size_t pixels = (size_t)cases[i].side * (size_t)cases[i].side;
            uint8_t *out = malloc(pixels * 3);
            float *normal = malloc(pixels * 3 * sizeof *normal);
            struct image im = drawn(cases[i].w, cases[i].h);
            struct err e = { 0 };
            char hex[SHA256_HEX];
            const char *want = pad ? cases[i].pad_f32 : cases[i].crop_f32;
            CHECK_OK(preprocess_image(out, &im, cases[i].side, pad, resize_best_level(), &e),
                     e);
            CHECK_STR(short_hash(out, pixels * 3, hex), pad ? cases[i].pad : cases[i].crop);
            for (size_t c = 0; c < 3; c++)
                for (size_t k = 0; k < pixels; k++)
                    normal[c * pixels + k] = table[c][out[3 * k + c]];
            if (want)
                CHECK_STR(short_hash(normal, pixels * 3 * sizeof *normal, hex), want);
            free(normal);
            free(out);
            image_free(&im);
        }
}

TEST(preprocess_of_extreme_shapes)
{
    static const struct { int w, h; bool pad; enum status want; } cases[] = {
        { 6000, 1, true, OK }, { 1, 6000, true, OK }, { 60000, 1, false, OK },
        { 1, 60000, false, OK }, { 1, 1, true, OK }, { 8000000, 1, false, ERR_DATA },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct image im = { calloc((size_t)cases[i].w * (size_t)cases[i].h, 3), cases[i].w,
                            cases[i].h };
        uint8_t *out = malloc(336 * 336 * 3);
        struct err e = { 0 };
        CHECK_INT(preprocess_image(out, &im, 336, cases[i].pad, resize_best_level(), &e),
                  cases[i].want);
        free(out);
        image_free(&im);
    }
}
