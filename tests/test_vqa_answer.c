/* Cleaning and credit of the VQA family against the official evaluators: tests/vectors/vqa. */
#include "benchmarks/vqa_answer.h"
#include "engine/base/json.h"
#include "tests/check.h"

TEST(vqa_cleans_as_the_official_scripts)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    size_t n = 0;
    jsonl_open(&in, &a, &e, "%s/tests/vectors/vqa/normal.jsonl", test_root());
    while (jsonl_next(&in)) {
        const char *text = jsonl_str(&in, "text");
        bool same = CHECK_STR(vqa_normal(&a, text, CONTRACTIONS_VQA), jsonl_str(&in, "vqa"));
        same = CHECK_STR(vqa_submitted(&a, text), jsonl_str(&in, "m4c")) && same;
        if (!same)
            CHECK_STR(text, jsonl_str(&in, "shows"));       /* which one it was */
        n++;
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK_INT(n, 76);
    arena_free(&a);
}

TEST(vizwiz_cleans_with_its_own_contractions)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    size_t n = 0;
    jsonl_open(&in, &a, &e, "%s/tests/vectors/vqa/vizwiz.jsonl", test_root());
    while (jsonl_next(&in)) {
        const char *text = jsonl_str(&in, "text"), *submitted = vqa_submitted(&a, text);
        CHECK_STR(vqa_normal(&a, text, CONTRACTIONS_VIZWIZ), jsonl_str(&in, "vizwiz"));
        CHECK_STR(submitted, jsonl_str(&in, "m4c"));
        CHECK_STR(vqa_normal(&a, submitted, CONTRACTIONS_VIZWIZ), jsonl_str(&in, "both"));
        n++;
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK_INT(n, 13);
    arena_free(&a);
}

/* Eight values of VizWiz's table keep the ASCII apostrophe, and two keys do. */
TEST(vizwiz_contractions_that_stay_plain)
{
    static const char *const rows[][2] = {
        { "aint", "ain't" }, { "arent", "aren't" }, { "cant", "can't" },
        { "couldve", "could've" }, { "couldnt", "couldn't" }, { "weve", "we've" },
        { "wheres", "where's" }, { "whove", "who've" },
        { "couldn'tve", "couldn\u2019t\u2019ve" }, { "hadn'tve", "hadn\u2019t\u2019ve" },
        { "dont", "don\u2019t" }, { "couldn\u2019tve", "couldn\u2019tve" },
        { "mightn'tve", "mightn'tve" }, { "\u2019ow\u2019sat", "\u2019ow\u2019s\u2019at" },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_STR(vqa_normal(&a, rows[i][0], CONTRACTIONS_VIZWIZ), rows[i][1]);
    arena_free(&a);
}

TEST(vqa_contractions_are_looked_up_once)
{
    static const char *const rows[][2] = {
        { "ain't arent", "ain't aren't" }, { "ow's'at", "'ow's'at" }, { "'ows'at", "'ow's'at" },
        { "'ow'sat", "'ow's'at" }, { "somebodyd", "somebodyd" },
        { "somebodyd've", "somebody'd've" }, { "yall'd've", "y'all'd've" }, { "youve", "you've" },
        { "ill well shed wed id", "ill well shed wed id" }, { "maam", "ma'am" },
        { "twas oclock", "'twas o'clock" }, { "y'allll", "y'all'll" },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_STR(vqa_normal(&a, rows[i][0], CONTRACTIONS_VQA), rows[i][1]);
    arena_free(&a);
}

TEST(vqa_submitted_splits_every_possessive)
{
    struct arena a = { 0 };
    CHECK_STR(vqa_submitted(&a, "'s's'S's"), "'s 's 's 's");
    CHECK_STR(vqa_submitted(&a, "boy',s"), "boy 's");       /* once the comma is gone */
    CHECK_STR(vqa_submitted(&a, "'"), "'");
    CHECK_STR(vqa_submitted(&a, ",?,"), "");
    CHECK_STR(vqa_trim(&a, "\t a\n\tb \u3000\n"), "a  b");
    arena_free(&a);
}

/* Leaving one out, added in the order of the humans as the original does. */
TEST(vqa_credit_leaves_one_human_out)
{
    static const double want[] = { 0, 0.3, 0.6, 0.9, 1, 1, 1, 1, 1, 1, 1 };
    const char *answers[10];
    for (int k = 0; k <= 10; k++) {
        for (int i = 0; i < 10; i++)
            answers[i] = i < k ? "x" : "y";
        CHECK_NEAR(vqa_credit("x", answers, 10), want[k], 1e-15);
    }
    CHECK_NEAR(vqa_credit("x", answers, 0), 0, 0);
}

/* Whatever the bytes: the result is words with single blanks between, none at the ends. */
TEST(vqa_survives_bytes_that_are_no_text)
{
    struct arena a = { 0 };
    char text[64];
    unsigned state = 1;
    bool good = true;
    for (int round = 0; good && round < 20000; round++) {
        size_t n = (size_t)round % 63;
        for (size_t i = 0; i < n; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = (char)(state >> 24 ? state >> 24 : 1);
        }
        text[n] = '\0';
        arena_reset(&a);
        const char *both[] = { vqa_normal(&a, text, CONTRACTIONS_VIZWIZ), vqa_submitted(&a, text) };
        for (size_t k = 0; k < COUNT(both); k++)
            good = good && both[k][0] != ' ' && !strstr(both[k], "  ") &&
                   (!*both[k] || both[k][strlen(both[k]) - 1] != ' ');
    }
    CHECK(good);
    arena_free(&a);
}
