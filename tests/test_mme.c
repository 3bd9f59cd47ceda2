/* MME against tools/eval_tool.zip, calculation.py, run on these replies. */
#include "tests/fixture.h"

#define ROOT "MME_Benchmark_release_version/"

static const struct { const char *reply, *label; } replies[] = {
    { "Yes, it is a park", "yes" }, { "ayes", "yes" },      { "*Yes*", "yes" },
    { "NO WAY", "no" },             { "aayes", "other" },   { "**No**", "no" },
    { "  Yes", "other" },           { "eyesight", "yes" },  { "***No", "other" },
    { " no", "no" },                { "Know-how", "no" },   { "noyes", "no" },
    { "   no", "other" },           { "none", "no" },       { "\u00bfyes", "yes" },
    { "Nay", "other" },             { "it's no", "other" }, { "\u00bf\u00bfyes", "other" },
    { "y", "other" },               { "", "other" },        { "\u4e0d no", "no" },
    { "I'd say no", "other" },      { "kno", "no" },        { "\u00bf\u00bf\u00bfno", "other" },
    { "y\r\ne\ts", "yes" },         { "\tYes\n", "yes" },
};

TEST(mme_reads_labels_as_the_official_script)
{
    struct question yes = { .reference = "Yes" }, no = { .reference = "No" };
    struct fixture f = { .benchmark = benchmark_find("mme") };
    for (size_t i = 0; i < COUNT(replies); i++) {
        f.questions.at = &yes;
        bool is_yes = CHECK_INT(fixture_mark(&f, 0, replies[i].reply),
                                !strcmp(replies[i].label, "yes"));
        f.questions.at = &no;
        if (!CHECK_INT(fixture_mark(&f, 0, replies[i].reply), !strcmp(replies[i].label, "no")) ||
            !is_yes)
            CHECK_STR(replies[i].reply, replies[i].label);
    }
}

#define PAIR(q) q "  Please answer yes or no.\tYes\r\n" q " not? Please answer yes or no.\tNo"

TEST(mme_reads_both_layouts)
{
    struct fixture f;
    put(ROOT "MME_Benchmark/existence/000002.txt", PAIR("Is it b?"));
    put(ROOT "MME_Benchmark/existence/000001.txt", "\n" PAIR("Is it a?") "\n\n");
    put(ROOT "MME_Benchmark/existence/000001.png", "");     /* the file that is there */
    put(ROOT "MME_Benchmark/existence/.DS_Store", "x");
    put(ROOT "MME_Benchmark/scene/questions_answers_YN/p_1.txt", PAIR("Is it c?"));
    put(ROOT "MME_Benchmark/scene/images/p_1.jpg", "");
    put(ROOT "MME_Benchmark/code_reasoning/0020.txt", PAIR("Is it d?"));
    put(ROOT "MME_Benchmark/extra/0020.txt", "none of the 14");
    CHECK_OK(fixture_read(&f, "mme", "test"), f.err);
    CHECK_INT(f.questions.n, 8);
    CHECK_STR(f.questions.at[0].id, "existence/000001.png#1");
    CHECK_STR(f.questions.at[1].id, "existence/000001.png#2");
    CHECK_STR(f.questions.at[1].reference, "No");
    CHECK_STR(f.questions.at[0].image, ROOT "MME_Benchmark/existence/000001.png");
    CHECK_STR(f.questions.at[2].id, "existence/000002.jpg#1");
    CHECK_STR(f.questions.at[4].id, "scene/p_1.jpg#1");
    CHECK_STR(f.questions.at[4].image, ROOT "MME_Benchmark/scene/images/p_1.jpg");
    CHECK_STR(f.questions.at[6].id, "code_reasoning/0020.png#1");
    CHECK_STR(fixture_prompt(&f, 0),
              "Is it a?\nAnswer the question using a single word or phrase.");
    fixture_free(&f);
}

/* Three pictures, truths (Yes, No), replies (Yes, no), (yes, Yes), (Maybe, No.): 4/6 and 1/3. */
TEST(mme_scores_as_the_official_script)
{
    struct fixture f;
    put(ROOT "existence/1.txt", PAIR("a"));
    put(ROOT "existence/2.txt", PAIR("b"));
    put(ROOT "existence/3.txt", PAIR("c"));
    put(ROOT "landmark/images/1.jpg", "");
    put(ROOT "landmark/questions_answers_YN/1.txt", PAIR("d"));
    CHECK_OK(fixture_read(&f, "mme", "test"), f.err);
    CHECK_OK(fixture_score(&f,
        "{\"question_id\": \"existence/1.jpg#1\", \"text\": \"Yes\"}\n"
        "{\"question_id\": \"existence/1.jpg#2\", \"text\": \"no\"}\n"
        "{\"question_id\": \"existence/2.jpg\", \"text\": \"yes\"}\n"       /* LLaVA's ids */
        "{\"question_id\": \"existence/3.jpg\", \"text\": \"Maybe\"}\n"
        "{\"question_id\": \"existence/2.jpg\", \"text\": \"Yes\"}\n"
        "{\"question_id\": \"existence/3.jpg\", \"text\": \"No.\"}\n"
        "{\"question_id\": \"landmark/images/1.jpg\", \"text\": \"Yes\"}\n"
        "{\"question_id\": \"landmark/images/1.jpg\", \"text\": \"No\"}\n"
        "{\"question_id\": \"landmark/9.jpg\", \"text\": \"No\"}\n"
        "{\"question_id\": 4, \"text\": \"No\"}\n", false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "task/existence"), 100, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "task/landmark"), 200, 0);
    CHECK_NEAR(scores_get(&f.scores, "perception"), 300, 1e-12);
    CHECK(scores_get(&f.scores, "cognition") != scores_get(&f.scores, "cognition"));
    CHECK_INT(f.scores.n_questions, 8);
    CHECK_INT(f.answers.unknown, 2);

    static const char half[] = "{\"question_id\": \"existence/1.jpg#1\", \"text\": \"Yes\"}\n"
                               "{\"question_id\": \"existence/1.jpg#2\", \"text\": \"No\"}\n"
                               "{\"question_id\": \"existence/2.jpg#1\", \"text\": \"No\"}\n";
    CHECK_INT(fixture_score(&f, half, false), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "existence/2.jpg#2") != NULL);
    CHECK_OK(fixture_score(&f, half, true), f.err);         /* without the half picture */
    CHECK_NEAR(scores_get(&f.scores, "task/existence"), 200, 0);
    CHECK_INT(f.scores.n_questions, 2);
    fixture_free(&f);
}

/* LLaVA's lines name no question, but hold its prompt: either order is right, as in its converter. */
TEST(mme_pairs_lines_by_their_prompt)
{
    struct fixture f;
    put(ROOT "existence/1.txt", "Is it a? Please answer yes or no.\tYes\nIs it b? Please answer yes or no.\tNo\n");
    put(ROOT "existence/2.txt", "Is it a? Please answer yes or no.\tYes\nIs it b? Please answer yes or no.\tNo\n");
    CHECK_OK(fixture_read(&f, "mme", "test"), f.err);
#define LINE(picture, letter, reply) "{\"question_id\": \"existence/" picture ".jpg\", \"prompt\": \"Is it " \
        letter "?\\nAnswer the question using a single word or phrase.\", \"text\": \"" reply "\"}\n"
    CHECK_OK(fixture_score(&f, LINE("1", "b", "No") LINE("1", "a", "Yes") LINE("2", "a", "Yes")
                           LINE("2", "b", "No"), false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "task/existence"), 200, 0);
    fixture_free(&f);
}

TEST(mme_names_what_is_wrong)
{
    static const struct { const char *file, *says; } bad[] = {
        { "Is it?\tYes\nIs it?\tPerhaps\n", "1.txt:2: \"Perhaps\"" },
        { "Is it? Yes\nIs it?\tNo\n", "1.txt:1" },
        { "Is it?\tYes\n", "1 lines with a question" },
        { PAIR("a") "\n" PAIR("b"), "4 lines with a question" },
        { "Is it \xff?\tYes\n", "1.txt:1: no text in UTF-8" },
    };
    struct fixture f;
    CHECK_INT(fixture_read(&f, "mme", "test"), ERR_DATA);
    CHECK(strstr(f.err.text, "existence") != NULL);
    fixture_free(&f);
    for (size_t i = 0; i < COUNT(bad); i++) {
        put(ROOT "existence/1.txt", bad[i].file);
        CHECK_INT(fixture_read(&f, "mme", "test"), ERR_DATA);
        if (!CHECK(strstr(f.err.text, bad[i].says) != NULL))
            CHECK_STR(f.err.text, bad[i].says);
        fixture_free(&f);
    }
}
