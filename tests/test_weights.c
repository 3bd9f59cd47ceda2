/* The readers of weights on their own: safetensors, PyTorch's zip and pickle, LoRA's merge.
 *
 * tests/golden/torch.bin, legacy.bin and lora.bin were written by torch 2.15.0, see
 * tests/golden/make_checkpoints.py; torch.jsonl is what torch says is in the first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/lora.h"
#include "engine/safetensors.h"
#include "engine/torch_pickle.h"
#include "tests/check.h"
#include "tests/made.h"

typedef enum status reader(struct store *s, const char *name, const void *bytes, size_t n,
                           struct err *e);

/* Bytes in memory of their very size, so that a sanitizer sees a read behind them. */
static enum status read_exact(reader *read, struct store *s, const void *bytes, size_t n,
                              struct err *e)
{
    void *copy = malloc(n ? n : 1);
    if (n)
        memcpy(copy, bytes, n);
    read(s, "x", copy, n, e);
    for (size_t i = 0; e->code == OK && i < s->n; i++) {    /* every byte of every tensor */
        volatile unsigned char last = 0;
        for (size_t k = 0; k < s->at[i].n_bytes; k++)
            last = (unsigned char)(last ^ s->at[i].data[k]);
    }
    free(copy);
    return e->code;
}

TEST(safetensors_refusals)
{
#define HEAD(dtype, shape, range) "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape \
    ",\"data_offsets\":" range "}}"
    static const struct { const char *head; size_t data; const char *part; } cases[] = {
        { HEAD("F32", "[2]", "[0,8]"), 8, NULL },
        { HEAD("F32", "[]", "[0,4]"), 4, NULL },
        { HEAD("F32", "[0,5]", "[0,0]"), 0, NULL },
        { "{}", 0, NULL }, { "{}      ", 0, NULL },
        { "{\"__metadata__\":{\"a\":\"b\"}}", 0, NULL },
        { HEAD("I64", "[1]", "[0,8]"), 8, NULL },
        { HEAD("F32", "[2]", "[0,8]"), 9, "take 8" },
        { HEAD("F32", "[2]", "[0,8]"), 7, "do not lie" },
        { HEAD("F32", "[2]", "[4,12]"), 12, "hole" },
        { HEAD("F32", "[2]", "[8,0]"), 8, "do not lie" },
        { HEAD("F32", "[2]", "[0]"), 8, "do not lie" },
        { HEAD("F32", "[2]", "[0,8.0]"), 8, "do not lie" },
        { HEAD("F32", "[3]", "[0,8]"), 8, "does not take" },
        { HEAD("F32", "[-2]", "[0,8]"), 8, "no size" },
        { HEAD("F32", "[4611686018427387904,4]", "[0,8]"), 8, "does not take" },
        { HEAD("F32", "[9223372036854775807,9223372036854775807]", "[0,8]"), 8, "does not take" },
        { HEAD("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8, "dimensions" },
        { HEAD("Q4_0", "[2]", "[0,8]"), 8, "Q4_0" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "missing" },
        { "{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "wrong type" },
        { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
          "twice" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16, "twice" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "overlap" },
        { "{\"a\":7}", 8, "no object" }, { "[]", 0, "begin with {" }, { "{\"a\"", 0, "x" },
        { "{\"\xff\":1}", 0, "x" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a = { 0 };
        struct store s = { .arena = &a };
        struct err e = { 0 };
        struct str file;
        size_t n = strlen(cases[i].head);
        str_init(&file, 1 << 16);
        for (int k = 0; k < 8; k++)
            str_addc(&file, (char)(n >> 8 * k & 0xff));
        str_add(&file, cases[i].head);
        for (size_t k = 0; k < cases[i].data; k++)
            str_addc(&file, (char)k);
        CHECK_INT(read_exact(safetensors_read, &s, file.at, file.n, &e),
                  cases[i].part ? ERR_CHECKPOINT : OK);
        if (!CHECK(!cases[i].part || strstr(e.text, cases[i].part)))
            printf("  case %zu: %s\n", i, e.text);
        str_free(&file);
        arena_free(&a);
    }
}

/* Element i as a double. */
static double value_of(const struct stored *t, size_t i)
{
    size_t n = (size_t)shape_elements(t->shape, t->n_dims);
    const unsigned char *p = t->data + i * (t->n_bytes / n);
    uint16_t h = (uint16_t)(p[0] | p[1] << 8);
    if (!strcmp(t->type_name, "F32")) {
        float x;
        memcpy(&x, p, sizeof x);
        return (double)x;
    }
    if (!strcmp(t->type_name, "BF16")) {
        uint32_t bits = (uint32_t)h << 16;
        float x;
        memcpy(&x, &bits, sizeof x);
        return (double)x;
    }
    if (!strcmp(t->type_name, "F16")) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        double x = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        return h & 0x8000 ? -x : x;
    }
    if (!strcmp(t->type_name, "I64")) {
        int64_t x;
        memcpy(&x, p, sizeof x);
        return (double)x;
    }
    double x;
    memcpy(&x, p, sizeof x);
    return x;
}

static const struct stored *find(const struct store *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->at[i].name, name))
            return &s->at[i];
    return NULL;
}

static bool read_golden(struct store *s, struct file *f, const char *name)
{
    struct err e = { 0 };
    file_open(f, path_join(s->arena, path_join(s->arena, test_root(), "tests/golden"), name),
              ERR_DATA, &e);
    return CHECK_OK(torch_read(s, name, f->at, f->n, &e), e);
}

TEST(torch_file_holds_what_torch_says)
{
    struct arena a = { 0 };
    struct store s = { .arena = &a };
    struct file f;
    struct err e = { 0 };
    struct jsonl in;
    size_t n = 0;
    read_golden(&s, &f, "torch.bin");
    jsonl_open(&in, &a, &e, "%s/tests/golden/torch.jsonl", test_root());
    for (; jsonl_next(&in); n++) {
        const struct stored *t = find(&s, jsonl_str(&in, "name"));
        const struct json *shape = json_get(in.object, "shape");
        const struct json *values = json_get(in.object, "values");
        if (!CHECK(t != NULL))
            continue;
        CHECK_STR(t->type_name, jsonl_str(&in, "type"));
        CHECK_INT(t->n_dims, shape->n);
        size_t i = 0;
        for (const struct json *d = shape->first; d; d = d->next)
            CHECK_INT(t->shape[i++], d->integer);
        CHECK_INT(shape_elements(t->shape, t->n_dims), values->n);
        i = 0;
        for (const struct json *v = values->first; v; v = v->next)
            CHECK_NEAR(value_of(t, i++), v->number, 0);
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK_INT(s.n, n);                                      /* and nothing else */
    file_close(&f);
    arena_free(&a);
}

TEST(lora_merge_rounds_as_fp16_does)
{
    struct arena a = { 0 };
    struct store s = { .arena = &a };
    struct file f;
    struct err e = { 0 };
    uint16_t out[12 * 20];
    if (!read_golden(&s, &f, "lora.bin"))
        return;
    const struct stored *want = find(&s, "merged");
    CHECK_OK(lora_merge(out, find(&s, "w"), find(&s, "a"), find(&s, "b"), 2, &e), e);
    CHECK_INT(want->n_bytes, sizeof out);
    CHECK(!memcmp(out, want->data, sizeof out));
    file_close(&f);
    arena_free(&a);
}

TEST(torch_refusals)
{
    struct arena a = { 0 };
    struct store s = { .arena = &a };
    struct err e = { 0 };
    struct file f;
    CHECK_OK(file_open(&f, path_join(&a, test_root(), "tests/golden/legacy.bin"), ERR_DATA, &e), e);
    CHECK_INT(torch_read(&s, "x", f.at, f.n, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "legacy"));
    file_close(&f);
    err_clear(&e);
    CHECK_INT(torch_read(&s, "x", "hello", 5, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "no PyTorch checkpoint"));

    /* What a pickle must not do. */
#define STORAGE "(X\7\0\0\0storagectorch\nHalfStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\6tQ"
    static const struct { const char *pickle; size_t n; const char *part; } cases[] = {
#define CASE(text, part) { text, sizeof text - 1, part }
        CASE("\x80\2cos\nsystem\n(X\2\0\0\0lstR.", "os.system"),
        CASE("\x80\2cbuiltins\neval\n.", "builtins.eval"),
        CASE("\x80\2ctorch\nload\n.", "torch.load"),
        CASE("\x80\2}V.", "opcode 0x56"), CASE("\x80\2o.", "opcode 0x6f"),
        CASE("\x80\2" "R.", "empty"), CASE("\x80\2.", "empty"), CASE("\x80\2u.", "no mark"),
        CASE("\x80\2h\5.", "never written"), CASE("\x80\2}r\xff\xff\xff\xff.", "cannot be"),
        CASE("\x80\2}", "cut short"), CASE("\x80\2X\xff\xff\xff\x7f" "a.", "cut short"),
        CASE("\x80\2K\1.", "no dict"), CASE("\x80\2" STORAGE ".", "data/0"),
        CASE("\x80\2}}R.", "no function"), CASE("\x80\x09.", "protocol"),
        CASE("\x80\2ccollections\nOrderedDict\n(K\1tR.", "other arguments"),
        CASE("\x80\2" "\x8a\x09" "123456789.", "64 bits"), CASE("\x80\2(}}}u.", "no dict"),
        CASE("\x80\2}}}s.", NULL),
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str file;
        str_init(&file, 1 << 16);
        made_pickle_to(cases[i].pickle, cases[i].n, &file);
        err_clear(&e);
        CHECK_INT(read_exact(torch_read, &s, file.at, file.n, &e),
                  cases[i].part ? ERR_CHECKPOINT : OK);
        if (!CHECK(!cases[i].part || strstr(e.text, cases[i].part)))
            printf("  case %zu: %s\n", i, e.text);
        str_free(&file);
    }
    arena_free(&a);
}

/* Offsets, sizes and strides that leave the storage of six elements. */
TEST(torch_tensors_stay_in_their_storage)
{
    static const struct { int at, rows, cols, down, across; bool good; } cases[] = {
        { 0, 2, 3, 3, 1, true }, { 0, 3, 2, 1, 3, true }, { 5, 1, 1, 1, 1, true },
        { 6, 1, 1, 1, 1, false }, { 1, 2, 3, 3, 1, false }, { 0, 2, 3, 4, 1, false },
        { 0, 7, 1, 0, 1, false }, { 0, 6, 1, 0, 1, true }, { 0, 2, 2, 0x7fffffff, 1, false },
        { 0x7fffffff, 1, 1, 1, 1, false }, { -1, 1, 1, 1, 1, false }, { 0, -1, 1, 1, 1, false },
        { 6, 0, 3, 3, 1, true }, { 0, 0x7fffffff, 0x7fffffff, 0, 0, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a = { 0 };
        struct store s = { .arena = &a };
        struct err e = { 0 };
        struct made m;
        struct str file;
        made_open(&m);
        made_add(&m, "t", "t", "F16", 2, (int[]){ 2, 3 });
        str_init(&file, 1 << 16);
        made_torch_to(&m, &file);
        /* In the pickle: J offset ( J rows J cols t ( J down J across t */
        const int numbers[] = { cases[i].at, cases[i].rows, cases[i].cols, cases[i].down,
                                cases[i].across };
        char *p = memmem(file.at, file.n, "tQJ", 3);
        size_t place[] = { 3, 9, 14, 21, 26 };
        for (size_t k = 0; p && k < COUNT(numbers); k++)
            memcpy(p + place[k], &numbers[k], 4);
        read_exact(torch_read, &s, file.at, file.n, &e);
        if (!CHECK_INT(e.code, cases[i].good ? OK : ERR_CHECKPOINT))
            printf("  case %zu: %s\n", i, e.text);
        if (cases[i].good && i == 1) {                      /* transposed: a row-major copy */
            uint16_t first[6], turned[6];
            memcpy(first, m.data.at, sizeof first);
            memcpy(turned, s.at[0].data, sizeof turned);
            for (int k = 0; k < 6; k++)
                CHECK_INT(turned[k], first[k / 2 + k % 2 * 3]);
        }
        str_free(&file);
        made_close(&m);
        arena_free(&a);
    }
}

/* Entries of x/data.pkl, x/data/0 and x/data/1 renamed, in both of their headers. */
TEST(torch_entries_stay_apart)
{
    static const struct { const char *from, *to, *part; } cases[] = {
        { "archive/data/1", "archive/data/0", "stands twice" },      /* both headers */
        { "archive/data/1", "archive/tada/1", "missing" },           /* no storage */
        { "archive/data/1", "brchive/data/1", "more than one folder" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a = { 0 };
        struct store s = { .arena = &a };
        struct err e = { 0 };
        struct made m;
        struct str file;
        size_t n = strlen(cases[i].from);
        made_open(&m);
        made_add(&m, "t", "t", "F16", 2, (int[]){ 2, 3 });
        made_add(&m, "u", "u", "F16", 2, (int[]){ 2, 3 });
        str_init(&file, 1 << 16);
        made_torch_to(&m, &file);
        for (char *p = file.at; (p = memmem(p, (size_t)(file.at + file.n - p), cases[i].from, n));)
            memcpy(p, cases[i].to, n);
        read_exact(torch_read, &s, file.at, file.n, &e);
        if (!CHECK(e.code == ERR_CHECKPOINT && strstr(e.text, cases[i].part)))
            printf("  case %zu: %s\n", i, e.text);
        str_free(&file);
        made_close(&m);
        arena_free(&a);
    }
}

/* The directory's second storage moved onto the first one; then its local name changed alone. */
TEST(torch_entries_are_what_the_directory_says)
{
    for (int overlap = 0; overlap < 2; overlap++) {
        struct arena a = { 0 };
        struct store s = { .arena = &a };
        struct err e = { 0 };
        struct made m;
        struct str file;
        made_open(&m);
        made_add(&m, "t", "t", "F16", 2, (int[]){ 2, 3 });
        made_add(&m, "u", "u", "F16", 2, (int[]){ 2, 3 });
        str_init(&file, 1 << 16);
        made_torch_to(&m, &file);
        char *local = memmem(file.at, file.n, "archive/data/1", 14);
        char *central = local ? memmem(local + 1, (size_t)(file.at + file.n - local - 1),
                                       "archive/data/1", 14) : NULL;
        if (CHECK(central != NULL)) {
            uint32_t size;
            if (overlap) {                                  /* the entry before it grows into it */
                char *before = memmem(local + 1, (size_t)(file.at + file.n - local - 1),
                                      "archive/data/0", 14);
                memcpy(&size, before - 46 + 20, 4);
                size += 50;                                 /* over the header, into the bytes */
                memcpy(before - 46 + 20, &size, 4);
                memcpy(before - 46 + 24, &size, 4);
            } else
                local[13] = '2';
            CHECK_INT(read_exact(torch_read, &s, file.at, file.n, &e), ERR_CHECKPOINT);
            if (!CHECK(strstr(e.text, overlap ? "overlap" : "disagree")))
                printf("  %s\n", e.text);
        }
        str_free(&file);
        made_close(&m);
        arena_free(&a);
    }
}

/* A file with zip64 sizes: the 32-bit fields are all ones. */
TEST(torch_zip64_directory)
{
    struct arena a = { 0 };
    struct store s = { .arena = &a };
    struct err e = { 0 };
    struct str file, big;
    struct made m;
    made_open(&m);
    made_add(&m, "t", "t", "F32", 1, (int[]){ 3 });
    str_init(&file, 1 << 16);
    str_init(&big, 1 << 16);
    made_torch_to(&m, &file);
    const unsigned char *end = (const unsigned char *)file.at + file.n - 22;
    uint64_t size, at, count = end[10];
    uint32_t size32, at32;
    memcpy(&size32, end + 12, 4);
    memcpy(&at32, end + 16, 4);
    size = size32;
    at = at32;
    str_addn(&big, file.at, file.n - 22);
    size_t end64 = big.n;
    unsigned char record[56] = { 'P', 'K', 6, 6, 44 }, locator[20] = { 'P', 'K', 6, 7 },
                  last[22] = { 'P', 'K', 5, 6 };
    memcpy(record + 32, &count, 8);
    memcpy(record + 40, &size, 8);
    memcpy(record + 48, &at, 8);
    memcpy(locator + 8, &end64, 8);
    memset(last + 8, 0xff, 12);
    str_addn(&big, (char *)record, sizeof record);
    str_addn(&big, (char *)locator, sizeof locator);
    str_addn(&big, (char *)last, sizeof last);
    CHECK_OK(torch_read(&s, "x", big.at, big.n, &e), e);
    CHECK_INT(s.n, 1);
    CHECK(s.n == 1 && !memcmp(s.at[0].data, m.data.at, 12));
    str_free(&file);
    str_free(&big);
    made_close(&m);
    arena_free(&a);
}

/* One byte in a hundred changed, 500 times; then cut at every length in steps. */
static void damage(reader *read, const struct str *good)
{
    uint32_t noise = 99;
    char *bytes = malloc(good->n);
    size_t refused = 0;
    for (int variant = 0; variant < 500; variant++) {
        struct arena a = { 0 };
        struct store s = { .arena = &a };
        struct err e = { 0 };
        memcpy(bytes, good->at, good->n);
        for (size_t k = 0; k <= good->n / 100; k++) {
            noise = noise * 1664525 + 1013904223;
            bytes[(noise >> 8) % good->n] = (char)(noise >> 3);
        }
        refused += read_exact(read, &s, bytes, good->n, &e) != OK;
        arena_free(&a);
    }
    CHECK(refused > 300);
    for (size_t n = 0; n < good->n; n += 1 + good->n / 400) {
        struct arena a = { 0 };
        struct store s = { .arena = &a };
        struct err e = { 0 };
        CHECK_INT(read_exact(read, &s, good->at, n, &e), ERR_CHECKPOINT);
        arena_free(&a);
    }
    free(bytes);
}

TEST(weights_damaged_or_cut_short)
{
    struct made m;
    struct str file;
    made_open(&m);
    for (int i = 0; i < 12; i++) {
        char name[40];
        snprintf(name, sizeof name, "model.layers.%d.weight", i);
        made_add(&m, name, name, i % 3 ? "F16" : "F32", 2, (int[]){ 3, 4 });
    }
    str_init(&file, 1 << 20);
    made_safetensors_to(&m, &file);
    damage(safetensors_read, &file);
    str_clear(&file);
    made_torch_to(&m, &file);
    damage(torch_read, &file);
    str_free(&file);
    made_close(&m);
}
