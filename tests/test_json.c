/* engine/base/json.c: what it takes, what it refuses, and where it says the fault is.
 *
 * The cases follow RFC 8259 and the corners that JSONTestSuite collects; where Python's json is
 * laxer (NaN, Infinity) we follow Python. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "tests/check.h"

static const struct json *parse(struct arena *a, const char *text, struct err *e)
{
    err_clear(e);
    return json_parse(a, "x.json", text, strlen(text), e);
}

TEST(json_takes_good_documents)
{
    static const char *const good[] = {
        "null", "true", "false", "0", "-0", "1", "-12", "1.5", "1e5", "1E+5", "1.25e-3", "\"\"",
        "[]", "{}", "[[]]", "[{}]", " [ 1 , 2 ] ", "\t\r\n{ \"a\" : 1 }\n", "{\"\":0}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e9\\ud83d\\ude00\"", "\"\x7f\"", "NaN",
        "[Infinity, -Infinity]", "\xef\xbb\xbf{\"mark\":1}", "{\"a\":1,\"a\":2}",
        "123456789012345678901234567890", "1e400", "-1e-400", "\"\xf0\x9f\x98\x80\"",
    };
    struct arena a = { 0 };
    struct err e = { 0 };
    for (size_t i = 0; i < COUNT(good); i++)
        if (!CHECK(parse(&a, good[i], &e) != NULL))
            printf("  %s: %s\n", good[i], e.text);
    arena_free(&a);
}

TEST(json_refuses_bad_documents)
{
    static const char *const bad[] = {
        "", " ", "nul", "True", "nulll", "+1", "01", "-", "-01", "1.", ".5", "1e", "1e+", "0x1", "1_0",
        "- 1", "-NaN", "Inf", "-Inf", "nan", "[1,]", "[,1]", "[1 2]", "[", "]", "[1", "{", "}", "{a:1}",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{1:2}", "{\"a\":1 \"b\":2}", "[1]2",
        "[1]]", "\"", "\"a", "'a'", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u0000\"",
        "\"\n\"", "\"\t\"", "\"\x01\"", "\"\x80\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf5\"",
        "\xff", "[1]\xef\xbb\xbf", "\xef\xbb[1]", "/* */1", "1//", "{\"a\":1}x", "[\"a\",\n\"b]", "\v1",
        "\"\\u+123\"", "\"\\ud800\\u\"", "\"\\", "\"\\u", "{\"\\u0000\":1}", "\xc2\xa0 1",
    };
    struct arena a = { 0 };
    struct err e = { 0 };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (!CHECK(parse(&a, bad[i], &e) == NULL))
            printf("  %s\n", bad[i]);
        CHECK_INT(e.code, ERR_DATA);
        CHECK(!strncmp(e.text, "x.json: byte ", 13));
    }
    CHECK(json_parse(&a, "x", "1\0", 2, (err_clear(&e), &e)) == NULL);
    CHECK(json_parse(&a, "x", "\"a\0b\"", 5, (err_clear(&e), &e)) == NULL);
    CHECK(json_parse(&a, "x", NULL, 0, (err_clear(&e), &e)) == NULL);
    arena_free(&a);
}

TEST(json_says_where)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    parse(&a, "{\"a\": [1, 2, x]}", &e);
    CHECK_STR(e.text, "x.json: byte 13: bad JSON: found \"x\", expected a value");
    parse(&a, "{\"a\": 1", &e);
    CHECK_STR(e.text, "x.json: byte 7: bad JSON: found the end, expected \",\" or \"}\"");
    parse(&a, "\"ab\xff\"", &e);
    CHECK_STR(e.text, "x.json: byte 3: bad JSON: found byte 0xff, expected valid UTF-8");
    arena_free(&a);
}

TEST(json_values_mean_what_they_say)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    const struct json *o = parse(&a, "{\"s\":\"a\\u00e9\\n\\ud83d\\ude00z\",\"i\":-42,\"d\":2.5,\"t\":true,"
        "\"f\":false,\"n\":null,\"l\":[1,\"two\",[3]],\"o\":{\"k\":\"v\"},\"i\":7,"
        "\"big\":9223372036854775807,\"over\":9223372036854775808,\"whole\":5.0,"
        "\"lone\":\"\\ud800x\\udc00\",\"swap\":\"\\udc00\\ud800\",\"half\":\"\\ud800\\u0041\","
        "\"inf\":1e999,\"nan\":NaN,\"minus\":-0,\"key \\u0041\\\"\":1}", &e);
    if (!CHECK(o != NULL))
        return;
    CHECK_STR(json_get_str(o, "s", ""), "a\xc3\xa9\n\xf0\x9f\x98\x80z");
    CHECK_INT(json_get(o, "s")->n, 9);
    CHECK_INT(json_get_int(o, "i", 0), 7);                  /* the last one wins */
    CHECK_NEAR(json_get_double(o, "d", 0), 2.5, 0);
    CHECK_NEAR(json_get_double(o, "big", 0), 9223372036854775808.0, 0);
    CHECK(json_get_bool(o, "t", false) && !json_get_bool(o, "f", true));
    CHECK(json_get_bool(o, "n", true) && json_get_bool(o, "absent", true));
    CHECK_INT(json_get_int(o, "big", 0), INT64_MAX);
    CHECK_INT(json_get_int(o, "over", -1), -1);
    CHECK_NEAR(json_get_double(o, "over", 0), 9223372036854775808.0, 0);
    CHECK_INT(json_get_int(o, "whole", -1), -1);
    CHECK_INT(json_get_int(o, "d", -1), -1);
    CHECK_INT(json_get_int(o, "s", -1), -1);
    CHECK_STR(json_get_str(o, "i", "no"), "no");
    CHECK_STR(json_get_str(o, "n", "no"), "no");
    CHECK_STR(json_get_str(o, "lone", ""), "\xef\xbf\xbdx\xef\xbf\xbd");
    CHECK_STR(json_get_str(o, "swap", ""), "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(json_get_str(o, "half", ""), "\xef\xbf\xbd" "A");
    CHECK(isinf(json_get_double(o, "inf", 0)) && isnan(json_get_double(o, "nan", 0)));
    CHECK(json_get(o, "minus")->is_int && json_get(o, "minus")->integer == 0);
    CHECK_INT(json_get_int(o, "key A\"", 0), 1);
    const struct json *l = json_get(o, "l");
    CHECK(l->type == JSON_ARRAY && l->n == 3);
    CHECK_STR(l->first->next->string, "two");
    CHECK_INT(l->first->next->next->first->integer, 3);
    CHECK(l->first->next->next->next == NULL);
    CHECK_STR(json_get_str(json_get(o, "o"), "k", ""), "v");
    CHECK(json_get(l, "k") == NULL && json_get(NULL, "k") == NULL && json_get(o, "zz") == NULL);
    arena_free(&a);
}

TEST(json_nests_64_deep_and_no_deeper)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    char text[200001];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    CHECK(json_parse(&a, "x", text, 128, &e) != NULL);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    CHECK(json_parse(&a, "x", text, 130, &e) == NULL);
    CHECK_STR(e.text, "x: byte 65: bad JSON: found \"]\", expected at most 64 levels");
    memset(text, '[', sizeof text);
    err_clear(&e);
    CHECK(json_parse(&a, "x", text, sizeof text, &e) == NULL);
    for (size_t i = 0; i + 5 < sizeof text; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    err_clear(&e);
    CHECK(json_parse(&a, "x", text, sizeof text - 1, &e) == NULL);
    arena_free(&a);
}

static const char fixture[] =
    "{\"info\": {\"x\": [1, 2.5e3, -0, {\"deep\": [[]]}]}, \"license\": \"a\\\"b\\u00e9\\ud83d\\ude00\","
    " \"questions\": [{\"id\": 1, \"text\": \"What is\\n this?\", \"ok\": true}, {\"id\": 2, \"text\":"
    " \"\xe4\xb8\xad\xe6\x96\x87\", \"ok\": null}, [], \"plain\", -17.25, false], \"tail\": {\"a\":"
    " [NaN, -Infinity]}}";

/* The items under a member of a file: count, and all their strings and numbers in a row. */
static enum status walk(const char *path, const char *member, struct str *seen, struct err *e)
{
    struct json_items it;
    struct arena scratch = { 0 };
    const struct json *item;
    err_clear(e);
    str_clear(seen);
    json_items_open(&it, path, member, &scratch, e);
    while ((item = json_items_next(&it)))
        str_addf(seen, "%zu%s%s=%d:%s ", it.index, item->key ? "." : "", item->key ? item->key : "",
                 (int)item->type, json_get_str(item, "text", ""));
    CHECK(json_items_next(&it) == NULL);
    enum status s = json_items_close(&it);
    arena_free(&scratch);
    return s;
}

TEST(json_items_walk_arrays_and_objects)
{
    struct err e = { 0 };
    struct str seen;
    str_init(&seen, 10000);
    CHECK_OK(file_write("x.json", fixture, sizeof fixture - 1, &e), e);
    CHECK_OK(walk("x.json", "questions", &seen, &e), e);
    CHECK_STR(seen.at, "0=6:What is\n this? 1=6:\xe4\xb8\xad\xe6\x96\x87 2=5: 3=4: 4=3: 5=1: ");
    CHECK_OK(walk("x.json", "", &seen, &e), e);
    CHECK_STR(seen.at, "0.info=6: 1.license=4: 2.questions=5: 3.tail=6: ");
    CHECK_OK(walk("x.json", "info", &seen, &e), e);
    CHECK_STR(seen.at, "0.x=5: ");
    CHECK_INT(walk("x.json", "absent", &seen, &e), ERR_DATA);
    CHECK(strstr(e.text, "looking for \"absent\": x.json: byte ") != NULL);
    CHECK_INT(walk("x.json", "license", &seen, &e), ERR_DATA);
    CHECK_INT(walk("absent", "", &seen, &e), ERR_DATA);
    static const struct { const char *text, *member; bool good; } cases[] = {
        { "[]", "", true }, { "{}", "", true }, { " [ ] ", "", true }, { "{\"q\":[]}", "q", true },
        { "{\"q\":{}}", "q", true }, { "{\"a\":1,\"q\":[1,2],\"b\":[3]}", "q", true },
        { "\xef\xbb\xbf[1]", "", true }, { "{\"\\u0071\":[1]}", "q", true },
        { "[1,]", "", false }, { "[1", "", false }, { "[1]]", "", false }, { "", "", false },
        { "1", "", false }, { "[]", "q", false }, { "{\"q\":[1]", "q", false }, { "{}", "q", false },
        { "{\"q\":[1],}", "q", false }, { "{\"q\":[1]}x", "q", false }, { "{\"a\":x,\"q\":[]}", "q", false },
        { "{\"q\":[],\"b\":}", "q", false }, { "{\"a\" 1}", "", false }, { "{1:2}", "", false },
    };
    err_clear(&e);
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK_OK(file_write("y.json", cases[i].text, strlen(cases[i].text), &e), e);
        if (!CHECK((walk("y.json", cases[i].member, &seen, &e) == OK) == cases[i].good))
            printf("  %s\n", cases[i].text);
        err_clear(&e);
    }
    str_free(&seen);
}

/* Depth counts from the document, so an element has less left: both ways refuse the same text. */
TEST(json_items_count_depth_from_the_document)
{
    struct err e = { 0 };
    struct str text, seen;
    str_init(&text, 1000);
    str_init(&seen, 1000);
    for (int depth = 60; depth <= 66; depth++) {
        str_clear(&text);
        str_add(&text, "{\"q\":");
        for (int i = 1; i < depth; i++)
            str_addc(&text, '[');
        for (int i = 1; i < depth; i++)
            str_addc(&text, ']');
        str_addc(&text, '}');
        struct arena a = { 0 };
        bool whole = parse(&a, text.at, &e) != NULL;
        err_clear(&e);
        CHECK(whole == (depth <= 64));
        CHECK_OK(file_write("x", text.at, text.n, &e), e);
        CHECK((walk("x", "q", &seen, &e) == OK) == whole);
        CHECK((walk("x", "", &seen, &e) == OK) == whole);
        err_clear(&e);
        arena_free(&a);
    }
    str_free(&text);
    str_free(&seen);
}

/* Every prefix is refused by both ways in; neither reads past the end (the copy has no NUL). */
TEST(json_cut_short_at_every_byte)
{
    struct err e = { 0 };
    struct str seen;
    str_init(&seen, 10000);
    for (size_t n = 0; n < sizeof fixture - 1; n++) {
        struct arena a = { 0 };
        char *cut = malloc(n + 1);
        memcpy(cut, fixture, n);
        cut = realloc(cut, n ? n : 1);
        err_clear(&e);
        CHECK(json_parse(&a, "x", cut, n, &e) == NULL && e.code == ERR_DATA);
        err_clear(&e);
        CHECK_OK(file_write("x", cut, n, &e), e);
        CHECK_INT(walk("x", "questions", &seen, &e), ERR_DATA);
        free(cut);
        arena_free(&a);
    }
    str_free(&seen);
}

/* 1 % of the bytes changed, 20,000 times: no crash, and both ways agree on what is JSON. */
TEST(json_damaged)
{
    struct err e = { 0 };
    struct str seen;
    unsigned seed = 1;
    long taken = 0;
    str_init(&seen, 10000);
    for (int round = 0; round < 20000; round++) {
        struct arena a = { 0 };
        size_t n = sizeof fixture - 1;
        char *text = malloc(n);
        memcpy(text, fixture, n);
        for (size_t k = 0; k < 1 + n / 100; k++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = (seed >> 8) % n;
            seed = seed * 1664525u + 1013904223u;
            text[at] = (char)(round % 2 ? seed >> 16 : (unsigned)"{}[]\",:\\u0e-. \n"[(seed >> 16) % 15]);
        }
        err_clear(&e);
        bool good = json_parse(&a, "x", text, n, &e) != NULL;
        CHECK(good == (e.code == OK));
        taken += good;
        if (round % 20 == 0) {
            err_clear(&e);
            CHECK_OK(file_write("x", text, n, &e), e);
            CHECK((walk("x", "", &seen, &e) == OK) == good);
        }
        free(text);
        arena_free(&a);
    }
    CHECK(taken > 100 && taken < 19000);
    str_free(&seen);
}

TEST(json_says_when_memory_is_out)
{
    struct arena a = { .failed = true };                    /* as after a failed allocation */
    struct err e = { 0 };
    CHECK(json_parse(&a, "x", "[1,2]", 5, &e) == NULL);
    CHECK_INT(e.code, ERR_MEMORY);
    arena_free(&a);
}

static enum status sum_lines(const char *text, long long *sum, char *texts, struct err *e)
{
    struct jsonl in;
    struct arena a = { 0 };
    err_clear(e);
    file_write("in.jsonl", text, strlen(text), e);
    *sum = 0;
    texts[0] = '\0';
    jsonl_open(&in, &a, e, "%s.jsonl", "in");
    while (jsonl_next(&in)) {
        *sum = *sum * 10 + jsonl_int(&in, "id");
        const char *t = jsonl_str(&in, "text");
        memcpy(texts + strlen(texts), t, strlen(t) + 1);
    }
    CHECK(!jsonl_next(&in));
    CHECK_INT(jsonl_int(&in, "id"), 0);
    CHECK_STR(jsonl_str(&in, "text"), "");
    enum status s = jsonl_close(&in);
    arena_free(&a);
    return s;
}

TEST(jsonl_reads_lines)
{
    struct err e = { 0 };
    long long sum;
    char texts[1000];
    CHECK_OK(sum_lines("\xef\xbb\xbf{\"id\":1,\"text\":\"a\"}\r\n\n  \t\r\n{\"id\":2,\"text\":\"b\"}\n"
                       "{\"text\":\"c\",\"id\":3,\"x\":[]}", &sum, texts, &e), e);
    CHECK_INT(sum, 123);
    CHECK_STR(texts, "abc");
    CHECK_OK(sum_lines("", &sum, texts, &e), e);
    CHECK_OK(sum_lines("\n\n", &sum, texts, &e), e);
}

TEST(jsonl_names_file_and_line)
{
    static const struct { const char *text, *error; } cases[] = {
        { "{\"id\":1,\"text\":\"a\"}\n\n{\"id\":2}\n{\"id\":3,\"text\":\"\"}",
          "in.jsonl:3: \"text\" is missing, expected a string" },
        { "{\"id\":\"1\",\"text\":\"a\"}", "in.jsonl:1: \"id\" is a string, expected an integer" },
        { "{\"id\":1.5,\"text\":\"a\"}", "in.jsonl:1: \"id\" is a number, expected an integer" },
        { "{\"id\":null,\"text\":\"a\"}", "in.jsonl:1: \"id\" is null, expected an integer" },
        { "\n[1]\n", "in.jsonl:2: expected an object" },
        { "{\"id\":1,\"text\":\"a\"}\n{\"id\":1,\n\"text\":\"a\"}\n",
          "in.jsonl:2: bad JSON: found the end, expected a key in quotes" },
        { "{\"id\":1} {\"id\":2}", "in.jsonl:1: bad JSON: found \"{\", expected the end" },
        { "x", "in.jsonl:1: bad JSON: found \"x\", expected a value" },
    };
    struct err e = { 0 };
    long long sum;
    char texts[1000];
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK_INT(sum_lines(cases[i].text, &sum, texts, &e), ERR_DATA);
        CHECK_STR(e.text, cases[i].error);
    }
    struct jsonl in;
    struct arena a = { 0 };
    err_clear(&e);
    CHECK_INT(jsonl_open(&in, &a, &e, "no/%s", "such"), ERR_DATA);
    CHECK(!jsonl_next(&in));
    CHECK_INT(jsonl_close(&in), ERR_DATA);
    CHECK_STR(e.text, "no/such: No such file or directory");
    arena_free(&a);
}

TEST(jsonl_one_of_and_lenient)
{
    static const char text[] = "{\"l\":\"yes\"}\nbroken {\n[]\n{\"l\":\"no\"}\n\xff\n\n{\"l\":\"maybe\"}\n";
    struct err e = { 0 };
    struct jsonl in;
    struct arena a = { 0 };
    size_t bad = 0;
    CHECK_OK(file_write("x", text, sizeof text - 1, &e), e);
    jsonl_open(&in, &a, &e, "x");
    CHECK(jsonl_next_lenient(&in, &bad));
    CHECK_STR(jsonl_one_of(&in, "l", "yes", "no"), "yes");
    CHECK(jsonl_next_lenient(&in, &bad));
    CHECK_INT(bad, 2);
    CHECK_INT(in.line, 4);
    CHECK_STR(jsonl_one_of(&in, "l", "yes", "no"), "no");
    CHECK(jsonl_next_lenient(&in, &bad));
    CHECK_INT(bad, 3);
    CHECK_STR(jsonl_one_of(&in, "l", "yes", "no"), "");
    CHECK_STR(e.text, "x:7: \"l\" is \"maybe\", expected \"yes\" or \"no\"");
    CHECK(!jsonl_next_lenient(&in, &bad));
    CHECK_INT(jsonl_close(&in), ERR_DATA);
    arena_free(&a);
}

/* Strings outlive the line they came from; the tree does not. */
TEST(jsonl_memory_does_not_grow_with_what_is_not_asked_for)
{
    struct err e = { 0 };
    struct jsonl in;
    struct arena a = { 0 };
    struct str text;
    str_init(&text, 100 << 20);
    for (int i = 0; i < 20000; i++)
        str_addf(&text, "{\"id\":%d,\"rest\":[[1,2,3],\"%064d\"]}\n", i, i);
    CHECK_OK(file_write("x", text.at, text.n, &e), e);
    str_free(&text);
    jsonl_open(&in, &a, &e, "x");
    int64_t sum = 0;
    while (jsonl_next(&in))
        sum += jsonl_int(&in, "id");
    CHECK_INT(sum, 20000 * 19999 / 2);
    CHECK(a.total < 1000 && in.scratch.total < 10000);
    CHECK_OK(jsonl_close(&in), e);
    arena_free(&a);
}
