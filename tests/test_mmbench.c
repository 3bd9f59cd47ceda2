/* MMBench against its official code.
 *
 * Provenance: open-compass/VLMEvalKit e8e78f05, can_infer and multiple_choice.py, run on these
 * replies; cells by pandas' read_table 1.5.3. */
#include <stdio.h>
#include <stdlib.h>
#include "benchmarks/choice.h"
#include "benchmarks/tsv.h"
#include "tests/fixture.h"

static const char *const tableware[] = { "cup", "cupcake", "A fork", "2.5 spoons" };
static const char *const yes_no[] = { "yes", "no", NULL, NULL };
static const struct { const char *const *texts; const char *reply; char letter; } replies[] = {
    { tableware, "B. cupcake", 'B' },           { tableware, "**B**", 'B' },
    { tableware, "(C)", 'C' },                  { tableware, "[A]", 'A' },
    { tableware, "The answer is D", 'D' },      { tableware, "D)", 'D' },
    { tableware, "A fork", 'A' },               { tableware, "A cup", 'A' },
    { tableware, "a fork", 'C' },               { tableware, "cup", 'A' },
    { tableware, "the cup", 'A' },              { tableware, "cupcake", 0 },
    { tableware, "It is 2.5 spoons", 'D' },     { tableware, "2.5 SPOONS!", 'D' },
    { tableware, "A fork and 2.5 spoons", 0 },  { tableware, "spoon", 0 },
    { tableware, "b", 0 },                      { tableware, "E", 0 },
    { tableware, "", 0 },                       { tableware, "B-C", 0 },
    { tableware, "B/C", 0 },                    { tableware, "\"B\"", 0 },
    { tableware, "B\u3002", 0 },
    { tableware, "the long reply that names 2.5 spoons at its very end, 2.5 spoons", 0 },
    { tableware, "The correct answer is **C**: the fork lies next to the plate on the left side of "
                 "it", 'C' },
    { tableware, "Failed to obtain answer via API. B", 0 },
    { tableware, "I would say B here", 'B' },
    { tableware, "B is the one I would choose here", 0 },
    { tableware, "B I would say it", 0 },
    { tableware, "I would say it is B here for sure you", 0 },
    { tableware, "C C is it I would say so", 0 },
    { tableware, "A or B", 0 },                 { tableware, "A or B? The answer is B", 'B' },
    { tableware, "answer is A or B", 'A' },     { tableware, "answer is bright", 'B' },
    { tableware, "Z", 'Z' },                    { tableware, "Z or B", 'B' },
    { tableware, "B\u00a0or\u00a0so", 'B' },    { tableware, "B B", 'B' },
    { tableware, "Sorry, I can't help with images of people yet. B", 'Z' },
    { tableware, "Cannot determine the answer: B", 'Z' },
    { tableware, "Failed to obtain answer via API. 2.5 spoons", 'D' },
    { yes_no, "C", 0 },                         { yes_no, "D. yes", 'A' },
    { yes_no, "No", 'B' },                      { yes_no, "I know", 'B' },
    { yes_no, "not at all", 'B' },              { yes_no, "answer is d", 0 },
    { yes_no, "answer is a no", 'A' },          { yes_no, "Yes no", 0 },
};

TEST(mmbench_infers_letters_as_the_official_code)
{
    for (size_t i = 0; i < COUNT(replies); i++)
        if (!CHECK_INT(choice_infer(replies[i].reply, replies[i].texts, 4), replies[i].letter))
            CHECK_STR(replies[i].reply, "");
}

TEST(tsv_reads_cells_as_pandas)
{
    static const struct { const char *cell, *text; } cells[] = {
        { "\"x\ny\"", "x\ny" },         { "\"say \"\"hi\"\"\"", "say \"hi\"" },
        { "x\"y\"", "x\"y\"" },         { " \"ab\"", " \"ab\"" },
        { "\"NA\"", NULL },             { "NAN", "NAN" },
        { "\"\"", NULL },               { "\"ab\"cd\"e\"", "abcd\"e\"" },
        { "\"a\tb\r\nc\"", "a\tb\r\nc" }, { " NA", " NA" },
        { "nan ", "nan " },             { "0.80", "0.80" },
        { "a\\nb", "a\\nb" },           { "None", NULL },
        { "#N/A N/A", NULL },           { "-1.#QNAN", NULL },
        { "\"\"\"\"", "\"" },           { "# not a comment", "# not a comment" },
    };
    static const char *const ends[] = { "\n", "\r\n", "\r" };
    for (size_t i = 0; i < COUNT(cells); i++)
        for (size_t k = 0; k < COUNT(ends); k++) {
            struct arena a = { 0 };
            struct err e = { 0 };
            struct tsv t;
            put("t.tsv", arena_fmt(&a, "\xef\xbb\xbf" "one\ttwo\tthree%s%s   %s%s\t%s%sp\tq\tr",
                                   ends[k], ends[k], ends[k], cells[i].cell, cells[i].cell,
                                   ends[k]));
            CHECK_OK(tsv_open(&t, "t.tsv", &a, &e), e);
            CHECK_INT(tsv_column(&t, "one"), 0);
            CHECK_INT(tsv_column(&t, "four"), -1);
            CHECK(tsv_next(&t));
            CHECK_INT(tsv_line(&t), 4);
            CHECK_STR(tsv_text(&t, 0, &a), cells[i].text);
            CHECK_STR(tsv_text(&t, 1, &a), cells[i].text);
            CHECK_STR(tsv_text(&t, 2, &a), NULL);           /* a short row */
            CHECK(tsv_next(&t));
            CHECK_STR(tsv_text(&t, 2, &a), "r");
            CHECK(!tsv_next(&t));
            CHECK_OK(tsv_close(&t), e);
            arena_free(&a);
        }
}

TEST(tsv_takes_the_texts_of_pandas_for_absent)
{
    static const char *const absent[] = {
        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null" };
    static const char *const texts[] = { "none", "Null", "na", "NAN", "-", "N/a", "0" };
    struct arena a = { 0 };
    struct err e = { 0 };
    struct tsv t;
    for (size_t i = 0; i < COUNT(absent) + COUNT(texts); i++) {
        bool is_text = i >= COUNT(absent);
        const char *text = is_text ? texts[i - COUNT(absent)] : absent[i];
        put("t.tsv", arena_fmt(&a, "x\n%s\n", text));
        CHECK_OK(tsv_open(&t, "t.tsv", &a, &e), e);
        CHECK(tsv_next(&t));
        CHECK_STR(tsv_text(&t, 0, &a), is_text ? text : NULL);
        tsv_close(&t);
    }
    arena_free(&a);
}

TEST(tsv_names_what_is_wrong)
{
    static const struct { const char *file, *says; } bad[] = {
        { "", "no row" }, { "\n  \n", "no row" },
        { "a\tb\n1\t2\n1\t2\t3\n", "t.tsv:3: more than 2 cells" },
        { "a\tb\n1\t\"2\n3\n", "t.tsv:2: a quoted cell has no end" },
        { "a\tb\n\"x\ny\"\t2\n\xff\t2\n", "t.tsv:4: \"a\" is no text" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct arena a = { 0 };
        struct err e = { 0 };
        struct tsv t;
        put("t.tsv", bad[i].file);
        if (tsv_open(&t, "t.tsv", &a, &e) == OK)
            while (tsv_next(&t))
                tsv_text(&t, 0, &a);
        CHECK_INT(tsv_close(&t), ERR_DATA);
        if (!CHECK(strstr(e.text, bad[i].says) != NULL))
            CHECK_STR(e.text, bad[i].says);
        arena_free(&a);
    }
}

#define HEADER "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tsource\tl2-category\n"
/* 66 characters: the 49 bytes that count from 0x00 by 5. */
#define PICTURE "AAUKDxQZHiMoLTI3PEFGS1BVWl9kaW5zeH2Ch4yRlpugpaqvtLm+w8jN0tfc4ebr8A=="

static void put_table(const char *rows)
{
    struct arena a = { 0 };
    put("mmbench_dev_20230712.tsv", arena_fmt(&a, HEADER "%s", rows));
    arena_free(&a);
}

TEST(mmbench_reads_its_table)
{
    struct fixture f;
    put_table("1000007\tWhich?\t\tno\tyes\t\t\tB\tocr\t7\td\tperception\n"
              "7\tWhich?\tLook here.\tyes\tno\tnone\tAll\tA\tocr\t" PICTURE "\td\tperception\n"
              "9\t\"a\n\"\"b\"\"\"\t\tx\t\ty\tz\tC\tcolour\t" PICTURE "\td\tperception\n"
              "1000009\tWhich?\tNONE\tx\ty\t\t\tA\t\t123\td\t\n");
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    const struct question *q = f.questions.at;
    CHECK_INT(f.questions.n, 4);
    CHECK_STR(q[0].id, "1000007");
    CHECK_STR(q[0].image, "mmbench_dev_20230712.tsv#1000007");
    CHECK(questions_same_image(&q[0], &q[1]));              /* by reference */
    CHECK(!questions_same_image(&q[1], &q[2]));
    CHECK_STR(q[1].context, "Look here.");
    CHECK_INT(q[1].n_options, 2);                           /* LLaVA stops at "none" */
    CHECK_INT(q[2].n_options, 1);                           /* and at the first that is absent */
    CHECK_STR(q[2].text, "a\n\"b\"");
    CHECK_STR(q[3].reference, "A");
    CHECK(q[3].context == NULL);                            /* "NONE" is no hint to LLaVA */
    CHECK_STR(fixture_prompt(&f, 1), "Look here.\nWhich?\nA. yes\nB. no\n"
              "Answer with the option's letter from the given choices directly.");

    void *bytes;
    size_t n;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(f.benchmark->image(".", &q[i], &bytes, &n, &f.err), f.err);
        if (CHECK_INT(n, 49))
            for (size_t k = 0; k < n; k++)
                CHECK_INT(((unsigned char *)bytes)[k], 5 * k);
        free(bytes);
    }
    CHECK_INT(f.benchmark->image(".", &q[3], &bytes, &n, &f.err), ERR_DATA);
    CHECK(strstr(f.err.text, "1000009") != NULL);
    CHECK(bytes == NULL);
    fixture_free(&f);
}

/* A row that is cut off before its answer can only be scored wrong: it is refused. */
TEST(mmbench_refuses_rows_without_an_answer)
{
    static const char *const answers[] = { "", "nan", "F", "AB", "a" };
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct arena a = { 0 };
        struct fixture f;
        put_table(arena_fmt(&a, "9\tWhich?\t\tx\ty\t\t\t%s\tocr\t" PICTURE "\td\tp\n", answers[i]));
        CHECK_INT(fixture_read(&f, "mmbench", "dev"), ERR_DATA);
        CHECK(strstr(f.err.text, ":2: \"answer\" is \"") && strstr(f.err.text, "expected A to D"));
        fixture_free(&f);
        arena_free(&a);
    }
}

TEST(mmbench_chinese)
{
    struct fixture f;
    put("mmbench_dev_cn_20231003.tsv", HEADER "7\t哪个?\t\t杯\t叉\t\t\tA\tocr\t" PICTURE "\td\tp\n");
    CHECK_OK(fixture_read(&f, "mmbench", "dev_cn"), f.err);
    CHECK_STR(fixture_prompt(&f, 0), "哪个?\nA. 杯\nB. 叉\n请直接回答选项字母。");
    CHECK_STR(f.benchmark->question_files("dev_cn")[0], "mmbench_dev_cn_20231003.tsv");
    CHECK_STR(f.benchmark->question_files("dev")[0], "mmbench_dev_20230712.tsv");
    fixture_free(&f);
}

/* Question 7: rows 7, 1000007, 2000007, answers B, C, A. */
TEST(mmbench_counts_in_circles)
{
    struct fixture f;
    put_table("2000007\tq\t\tu\tv\tw\t\tA\tocr\t" PICTURE "\td\tp\n"
              "7\tq\t\tu\tv\tw\t\tB\tocr\t" PICTURE "\td\tp\n"
              "1000007\tq\t\tu\tv\tw\t\tC\tocr\t" PICTURE "\td\tp\n");
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK(questions_same_image(&f.questions.at[0], &f.questions.at[2]));
#define ANSWERS(last) "{\"question_id\": 7, \"text\": \"B\"}\n" \
                      "{\"question_id\": \"1000007\", \"text\": \"C.\"}\n" \
                      "{\"question_id\": 2000007, \"text\": \"" last "\"}\n"
    CHECK_OK(fixture_score(&f, ANSWERS("A"), false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "vanilla_accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "vanilla_all_accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "category/ocr"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "l2/p"), 100, 0);
    CHECK_INT(f.scores.n_questions, 1);
    CHECK_OK(fixture_score(&f, ANSWERS(""), false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 0, 0);
    CHECK_NEAR(scores_get(&f.scores, "category/ocr"), 0, 0);
    CHECK_NEAR(scores_get(&f.scores, "vanilla_accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "vanilla_all_accuracy"), 200 / 3.0, 1e-12);
    fixture_free(&f);
    put_table("1000007\tq\t\tu\tv\tw\t\tC\tocr\t" PICTURE "\td\tp\n"        /* no pass 0 */
              "8\tq\t\tu\tv\tw\t\tC\tocr\t" PICTURE "\td\tp\n");            /* missing: wrong */
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK_OK(fixture_score(&f, ANSWERS(""), false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 0, 0);
    CHECK_NEAR(scores_get(&f.scores, "vanilla_all_accuracy"), 50, 0);
    CHECK_INT(f.scores.n_questions, 1);
    CHECK_INT(f.answers.missing, 1);
    CHECK_INT(f.answers.unknown, 2);
    fixture_free(&f);
}

TEST(mmbench_names_what_is_wrong)
{
    struct fixture f;
    put("mmbench_dev_20230712.tsv", "index\tquestion\tA\tB\tC\tanswer\timage\n1\tq\ta\tb\tc\tA\tx\n");
    CHECK_INT(fixture_read(&f, "mmbench", "dev"), ERR_DATA);
    CHECK(strstr(f.err.text, "no column \"D\"") != NULL);
    fixture_free(&f);
    put_table("7\tq\t\tu\tv\tw\t\tA\tocr\tx\td\tp\nseven\tq\t\tu\tv\tw\t\tA\tocr\tx\td\tp\n");
    CHECK_INT(fixture_read(&f, "mmbench", "dev"), ERR_DATA);
    CHECK(strstr(f.err.text, "20230712.tsv:3: \"index\" is \"seven\"") != NULL);
    fixture_free(&f);
    put_table("7\t\t\tu\tv\tw\t\tA\tocr\tx\td\tp\n");
    CHECK_INT(fixture_read(&f, "mmbench", "dev"), ERR_DATA);
    CHECK(strstr(f.err.text, "\"question\" is missing") != NULL);
    fixture_free(&f);

    void *bytes;
    size_t n;
    put_table("7\tq\t\tu\tv\tw\t\tA\tocr\t" PICTURE "!!\td\tp\n");
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK_INT(f.benchmark->image(".", f.questions.at, &bytes, &n, &f.err), ERR_DATA);
    CHECK(strstr(f.err.text, "not in base64") != NULL);
    err_clear(&f.err);
    put("mmbench_dev_20230712.tsv", "cut");
    CHECK_INT(f.benchmark->image(".", f.questions.at, &bytes, &n, &f.err), ERR_DATA);
    CHECK(strstr(f.err.text, "shorter than when it was read") != NULL);
    fixture_free(&f);
}
