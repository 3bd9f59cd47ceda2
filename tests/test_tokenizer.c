/* The tokenizer against transformers 4.37.2's slow LlamaTokenizer on the demo's model: ids and
 * decoded texts that tests/golden/tokens.py recorded; on 20,000 texts more, there and on a model
 * made with the settings of LLaMA's, by hash; and, where LLaMA's own tokenizer.model is
 * at hand (LLAVA_TOKENIZER names it), against known ids of it. */
#include "engine/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"
#include "tests/check.h"

static struct tokenizer *open_demo(bool patch, bool start_end)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, path_join(&a, test_root(),
                                          "demo/checkpoints/tiny-mlp/tokenizer.model"),
                            patch, start_end, &e), e);
    arena_free(&a);
    return t;
}

/* "1 2 -200" into the arena. */
static const char *ids_text(struct arena *a, const int32_t *ids, size_t n)
{
    struct str s;
    str_init(&s, 1 << 20);
    for (size_t i = 0; i < n; i++)
        str_addf(&s, i ? " %d" : "%d", ids[i]);
    const char *text = arena_str(a, s.at);
    str_free(&s);
    return text;
}

TEST(tokenizer_as_the_slow_llama_tokenizer)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    struct tokenizer *t = open_demo(false, false);
    int n = 0;
    if (!t)
        return;
    jsonl_open(&in, &a, &e, "%s/tests/golden/tokens.jsonl", test_root());
    for (; jsonl_next(&in); n++) {
        int32_t want[4096], *got = NULL;
        size_t n_want = 0, n_got = 0;
        for (const struct json *id = json_get(in.object, "ids")->first; id; id = id->next)
            want[n_want++] = (int32_t)id->integer;
        const char *text = json_get_str(in.object, "text", NULL);
        if (text) {
            CHECK_OK(tokenizer_prompt(t, text, &got, &n_got, &e), e);
            CHECK_STR(ids_text(&a, got, n_got), ids_text(&a, want, n_want));
            free(got);
        }
        char *decoded = tokenizer_decode(t, want, n_want, true);
        CHECK_STR(decoded, json_get_str(in.object, "decoded", NULL));
        free(decoded);
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK(n > 400);
    tokenizer_close(t);
    arena_free(&a);
}

TEST(tokenizer_knows_what_a_reply_may_hold)
{
    struct tokenizer *t = open_demo(false, false);
    if (!t)
        return;
    CHECK_INT(tokenizer_size(t), 768);
    CHECK(!tokenizer_can_decode(t, 0) && !tokenizer_can_decode(t, 1));  /* unknown, begin */
    CHECK(tokenizer_can_decode(t, 2));                                  /* end */
    CHECK(tokenizer_can_decode(t, 3) && tokenizer_can_decode(t, 767));
    CHECK(!tokenizer_can_decode(t, 768) && !tokenizer_can_decode(t, -1));
    tokenizer_close(t);
}

/* Old checkpoints: <im_patch>, <im_start>, <im_end> behind the pieces; white space around them
 * goes. */
TEST(tokenizer_marks_of_old_checkpoints)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct tokenizer *t = open_demo(true, true);
    int32_t *marked = NULL, *plain = NULL;
    size_t n = 0, m = 0;
    if (!t)
        return;
    CHECK_INT(tokenizer_size(t), 771);
    CHECK(!tokenizer_can_decode(t, 769));
    CHECK_OK(tokenizer_prompt(t, "USER: <im_start><image><im_end>\nyes", &marked, &n, &e), e);
    CHECK_OK(tokenizer_prompt(t, "USER:<image>yes", &plain, &m, &e), e);
    CHECK_INT(n, m + 2);
    for (size_t i = 0, k = 0; i < n && k < m; i++)
        if (marked[i] != 769 && marked[i] != 770)
            CHECK_INT(marked[i], plain[k++]);
    char *text = tokenizer_decode(t, marked, n, true);
    CHECK_STR(text, "USER: yes");
    free(text);
    free(marked);
    free(plain);
    tokenizer_close(t);
    arena_free(&a);
}

/* A copy of the demo's model in the test's folder, with added tokens beside it. */
static bool copy_model(void)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct file f;
    file_open(&f, path_join(&a, test_root(), "demo/checkpoints/tiny-mlp/tokenizer.model"), ERR_DATA,
              &e);
    file_write("tokenizer.model", f.at, f.n, &e);
    file_close(&f);
    arena_free(&a);
    return CHECK_OK(e.code, e);
}

static void write_text(const char *path, const char *text)
{
    struct err e = { 0 };
    CHECK_OK(file_write(path, text, strlen(text), &e), e);
}

TEST(tokenizer_reads_added_tokens)
{
    struct err e = { 0 };
    struct tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    if (!copy_model())
        return;
    write_text("added_tokens.json", "{\"[PAD]\": 768, \"<im_start>\": 769, \"new\": 770}");
    write_text("special_tokens_map.json", "{\"pad_token\": {\"content\": \"[PAD]\"}}");
    write_text("tokenizer_config.json", "{\"clean_up_tokenization_spaces\": true}");
    CHECK_OK(tokenizer_open(&t, "tokenizer.model", false, true, &e), e);
    if (!t)
        return;
    CHECK_INT(tokenizer_size(t), 772);                      /* <im_end> is new: 771 */
    CHECK(!tokenizer_can_decode(t, 768) && tokenizer_can_decode(t, 770));
    CHECK_OK(tokenizer_encode(t, "[PAD]new<im_end>", true, &ids, &n, &e), e);
    CHECK_INT(n, 4);
    CHECK(n == 4 && ids[0] == 1 && ids[1] == 768 && ids[2] == 770 && ids[3] == 771);
    free(ids);
    CHECK_OK(tokenizer_encode(t, "It is n't , yes .", false, &ids, &n, &e), e);
    char *text = tokenizer_decode(t, ids, n, true);
    CHECK_STR(text, "It isn't, yes.");
    free(text);
    free(ids);
    tokenizer_close(t);
}

TEST(tokenizer_refuses_what_is_no_llama_model)
{
    static const struct { const char *bytes, *part; } cases[] = {
        { "", "no sentencepiece model" }, { "hello", "no sentencepiece model" },
        { "\x0a\x03\x0a\x01" "a\x0a\x03\x0a\x01" "b\x0a\x03\x0a\x01" "c\x12\x02\x18\x01",
          "is not of type BPE" },
        { "\x0a\x03\x0a\x01" "a\x0a\x03\x0a\x01" "b\x0a\x03\x0a\x01" "c\x12\x02\x18\x02",
          "has no byte pieces" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tokenizer *t = NULL;
        struct err e = { 0 };
        write_text("x.model", cases[i].bytes);
        CHECK_INT(tokenizer_open(&t, "x.model", false, false, &e), ERR_CHECKPOINT);
        CHECK(t == NULL && strstr(e.text, cases[i].part));
    }
    struct tokenizer *t = NULL;
    struct err e = { 0 };
    CHECK_INT(tokenizer_open(&t, "absent.model", false, false, &e), ERR_CHECKPOINT);
    err_clear(&e);
    if (!copy_model())
        return;
    write_text("added_tokens.json", "{\"x\": -4}");
    CHECK_INT(tokenizer_open(&t, "tokenizer.model", false, false, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "\"x\""));
    err_clear(&e);
    write_text("added_tokens.json", "{");
    CHECK_INT(tokenizer_open(&t, "tokenizer.model", false, false, &e), ERR_CHECKPOINT);
}

TEST(tokenizer_model_cut_short_is_refused_or_taken)
{
    struct file f;
    struct err e = { 0 };
    if (!copy_model() || !CHECK_OK(file_open(&f, "tokenizer.model", ERR_DATA, &e), e))
        return;
    int refused = 0;
    for (size_t n = 0; n < f.n; n += 1 + f.n / 60) {
        struct tokenizer *t = NULL;
        err_clear(&e);
        file_write("cut.model", f.at, n, &e);
        if (tokenizer_open(&t, "cut.model", false, false, &e) != OK)
            refused++;
        tokenizer_close(t);
    }
    CHECK(refused > 50);
    file_close(&f);
}

TEST(tokenizer_of_llama)
{
    static const struct { const char *text, *ids; } cases[] = {
        { "\n", "29871 13" }, { "Hello", "15043" }, { " Hello", "29871 15043" },
        { "  Hello", "259 15043" }, { "a  b   c", "263 29871 289 259 274" },
        { "a      b", "263 418 289" }, { "        ", "3986" },
        { "x                 y", "921 462 343" }, { "  \n  ", "1678 13 259" },
        { "\r\n", "6756 13" }, { "\t", "29871 12" }, { "a\nb\r\nc", "263 13 29890 30004 13 29883" },
        { "1234567890", "29871 29896 29906 29941 29946 29945 29953 29955 29947 29929 29900" },
        { "3.14", "29871 29941 29889 29896 29946" }, { "don't", "1016 29915 29873" },
        { "na\u00efve caf\u00e9", "1055 30085 345 274 28059" },
        { "\u4f60\u597d\uff0c\u4e16\u754c", "29871 30919 31076 30214 30793 30967" },
        { "\U0001F600", "29871 243 162 155 131" }, { "\u2581", "259" }, { "\u00a0", "20246" },
        { "Answer the question using a single word or phrase.",
          "673 278 1139 773 263 2323 1734 470 16549 29889" },
        { "###", "835" }, { "Yes", "3869" }, { "No", "1939" },
        { "Unanswerable", "853 12011 519" },
    };
    static const struct { int32_t ids[8]; const char *text; } replies[] = {
        { { 3869, 2 }, "Yes" }, { { 29871, 243, 162, 155, 131, 2 }, "\U0001F600" },
        { { 29871, 243, 162 }, "\ufffd\ufffd" }, { { 29871, 195, 40 }, "\ufffd%" },
        { { 450, 11203, 338, 4796, 29889, 13, 2 }, "The dog is white." },
    };
    const char *path = getenv("LLAVA_TOKENIZER");
    struct tokenizer *t = NULL;
    struct arena a = { 0 };
    struct err e = { 0 };
    if (!path)
        SKIP("LLaMA's tokenizer.model is not here: set LLAVA_TOKENIZER to its path");
    CHECK_OK(tokenizer_open(&t, path, false, false, &e), e);
    for (size_t i = 0; t && i < COUNT(cases); i++) {
        int32_t *ids = NULL;
        size_t n = 0;
        CHECK_OK(tokenizer_encode(t, cases[i].text, false, &ids, &n, &e), e);
        CHECK_STR(ids_text(&a, ids, n), cases[i].ids);
        free(ids);
    }
    for (size_t i = 0; t && i < COUNT(replies); i++) {
        size_t n = 0;
        while (n < COUNT(replies[i].ids) && replies[i].ids[n])
            n++;
        char *text = tokenizer_decode(t, replies[i].ids, n, true);
        CHECK_STR(text, replies[i].text);
        free(text);
    }
    tokenizer_close(t);
    arena_free(&a);
}

/* ---- many strings, by hash: tests/golden/many_tokens.py ----------------------------------------- */

struct draws { uint64_t state; };

static uint64_t below(struct draws *d, uint64_t n)          /* splitmix64 */
{
    uint64_t z = d->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % n;
}

struct fragments { const char *at[256]; size_t n; };

static void many_text(struct str *out, uint64_t k, const struct fragments *f)
{
    static const uint32_t ranges[][2] = {
        { 0x20, 0x7f }, { 0x20, 0x7f }, { 0xa0, 0x250 }, { 0x370, 0x600 }, { 0x3040, 0x3100 },
        { 0x4e00, 0x9fff }, { 0x1f300, 0x1f700 }, { 0x1, 0x20 },
    };
    struct draws d = { k };
    str_clear(out);
    for (uint64_t n = 1 + below(&d, 20); n--;) {
        uint64_t i = below(&d, f->n + 20);
        if (i < f->n)
            str_add(out, f->at[i]);
        else {
            const uint32_t *r = ranges[below(&d, COUNT(ranges))];
            char c[UTF8_MAX];
            str_addn(out, c, utf8_put(c, r[0] + (uint32_t)below(&d, r[1] - r[0])));
        }
    }
}

static size_t many_ids(int32_t ids[24], uint64_t k, int size)
{
    struct draws d = { k };
    size_t n = 1 + below(&d, 24);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(below(&d, 3) == 0 ? 3 + below(&d, 256) : below(&d, (uint64_t)size));
    return n;
}

/* Adds a text's ids and what they decode to, or what a list of ids decodes to. */
static void many_line(struct str *out, const struct tokenizer *t, const struct fragments *f,
                      bool texts, uint64_t k)
{
    int32_t some[24], *ids = some;
    size_t n = 0;
    struct err e = { 0 };
    if (texts) {
        struct str text;
        str_init(&text, 1 << 16);
        many_text(&text, k, f);
        CHECK_OK(tokenizer_prompt(t, text.at, &ids, &n, &e), e);
        for (size_t i = 0; i < n; i++)
            str_addf(out, i ? " %d" : "%d", ids[i]);
        str_addc(out, '\n');
        str_free(&text);
    } else
        n = many_ids(some, k, tokenizer_size(t));
    char *decoded = tokenizer_decode(t, ids, n, true);
    str_addf(out, "%s\n", decoded);
    free(decoded);
    if (ids != some)
        free(ids);
}

/* The blocks of one model and kind; how many texts or lists they hold. */
static int many_of(const char *model, const char *path, const char *kind)
{
    struct arena a = { 0 }, keep = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    struct file list;
    struct fragments f = { .n = 0 };
    struct tokenizer *t = NULL;
    int all = 0, wrong = 0;
    jsonl_open(&in, &a, &e, "%s/tests/golden/fragments.jsonl", test_root());
    while (jsonl_next(&in) && f.n < COUNT(f.at))
        f.at[f.n++] = arena_str(&keep, json_get_str(in.object, "text", ""));   /* lines pass */
    CHECK_OK(jsonl_close(&in), e);
    CHECK_OK(tokenizer_open(&t, path_join(&a, test_root(), path), false, false, &e), e);
    CHECK_OK(file_open(&list, path_join(&a, test_root(), "tests/golden/many_tokens.txt"), ERR_DATA,
                       &e), e);
    const char *at = list.at, *end = at + list.n;
    while (t && at && at < end && wrong < 2) {
        char name[16], what[16], want[40], got[SHA256_HEX], label[80];
        int first, count;
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char *line = arena_strn(&a, at, (size_t)((stop ? stop : end) - at));
        at = stop ? stop + 1 : end;
        if (sscanf(line, "%15s %15s %d %d %39s", name, what, &first, &count, want) != 5 ||
            strcmp(name, model) || strcmp(what, kind))
            continue;
        struct str out;
        str_init(&out, 1 << 22);
        for (int k = first; k < first + count; k++)
            many_line(&out, t, &f, !strcmp(kind, "texts"), (uint64_t)k);
        unsigned char hash[SHA256_SIZE];
        struct sha256 s;
        sha256_init(&s);
        sha256_add(&s, out.at, out.n);
        sha256_end(&s, hash);
        sha256_hex(hash, got);
        got[32] = '\0';
        snprintf(label, sizeof label, "%s %s from %d", model, kind, first);
        if (!check_str(got, want, label, __FILE__, __LINE__) && wrong++ == 0)
            file_write("got.txt", out.at, out.n, &e);       /* to lay beside the script's `show` */
        str_free(&out);
        all += count;
    }
    file_close(&list);
    tokenizer_close(t);
    arena_free(&keep);
    arena_free(&a);
    return all;
}

TEST(tokenizer_on_twenty_thousand_texts)
{
    CHECK_INT(many_of("demo", "demo/checkpoints/tiny-mlp/tokenizer.model", "texts"), 20000);
    CHECK_INT(many_of("llama-like", "tests/golden/llama-like.model", "texts"), 20000);
}

TEST(tokenizer_decodes_five_thousand_lists)
{
    CHECK_INT(many_of("demo", "demo/checkpoints/tiny-mlp/tokenizer.model", "ids"), 5000);
    CHECK_INT(many_of("llama-like", "tests/golden/llama-like.model", "ids"), 5000);
}
