/* GQA against haotian-liu/LLaVA's converter and the official eval.py. */
#include <math.h>

#include "tests/fixture.h"

#define FILE_NAME "testdev_balanced_questions.json"
#define RECORD(id, image, question, answer, structural, group, semantic) \
    "\"" id "\": {\"semantic\": " semantic ", \"entailed\": [\"" id "\"], \"equivalent\": [], " \
    "\"question\": \"" question "\", \"imageId\": \"" image "\", \"isBalanced\": true, " \
    "\"groups\": {\"global\": " group ", \"local\": \"x\"}, \"answer\": \"" answer "\", " \
    "\"types\": {\"detailed\": \"d\", \"semantic\": \"attr\", \"structural\": \"" structural \
    "\"}, \"annotations\": {}}"
#define STEP(operation, argument) \
    "{\"operation\": \"" operation "\", \"dependencies\": [], \"argument\": \"" argument "\"}"

TEST(gqa_compares_as_the_official_script)
{
    static const struct { const char *gold, *reply; bool right; } rows[] = {
        { "yes", "Yes", true },         { "yes", "yes.", true },    { "no", "No...", true },
        { "yes", "Yes, it is.", false }, { "red", "Red ", false },  { "red", "Red. ", false },
        { "red", "red.\n", false },     { "fire truck", "Fire truck", true },
        { "fire truck", "fire-truck", false },  { "dvd player", "DVD Player.", true },
        { "man", "A man", false },      { "man", "men", false },
        { "fa\u00e7ade", "FA\u00c7ADE", true }, { "u.s.a", "U.S.A.", true },
        { "2", "2.0", false },          { "", "", true },           { "", ".", true },
        { "left", "Left!", false },     { "none", "None", true },
    };
    struct fixture f = { .benchmark = benchmark_find("gqa") };
    struct question q = { 0 };
    f.questions = (struct questions){ .at = &q, .n = 1 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        q.reference = rows[i].gold;
        if (!CHECK_INT(fixture_mark(&f, 0, rows[i].reply), rows[i].right))
            CHECK_STR(rows[i].reply, rows[i].gold);
    }
}

/* The first group's predictions are red, red, green, blue; the second's cat, dog. */
static void put_groups(void)
{
    put(FILE_NAME, "{"
        RECORD("201", "n161313", "What  color is\\u00a0it?", "red", "query", "\"color\"",
               "[" STEP("select", "scene") ", " STEP("exist", "?") ", "
               STEP("select", "existing table") ", " STEP("query", "name") ", "
               STEP("query", "named") ", " STEP("query", "color") ", "
               STEP("choose name", "a|b") ", " STEP("choose color", "a|b") "]") ", "
        RECORD("11", "n2", "Is it red?", "red", "verify", "\"color\"", "[]") ", "
        RECORD("12", "n2", "Is it?", "red", "choose", "\"color\"", "[]") ", "
        RECORD("13", "n2", "Is it?", "blue", "compare", "\"color\"", "[]") ", "
        RECORD("14", "n2", "Who?", "dog", "query", "\"animal\"", "[]") ", "
        "\"15\": {\"question\": \"x\", \"imageId\": \"x\", \"answer\": \"x\", "
        "\"isBalanced\": false}, "
        RECORD("16", "n2", "Who?", "dog", "query", "\"animal\"", "[]") "}");
}

#define LINE(id, text) "{\"question_id\": " id ", \"text\": \"" text "\"}\n"
static const char replies[] = LINE("\"201\"", "Red.") LINE("11", "red") LINE("12", "green")
    LINE("\"13\"", "blue") LINE("14", "cat") LINE("\"16\"", "Dog") LINE("\"15\"", "x");

TEST(gqa_reads_and_scores)
{
    struct fixture f;
    put_groups();
    CHECK_OK(fixture_read(&f, "gqa", "testdev_balanced"), f.err);
    CHECK_INT(f.questions.n, 6);                            /* without the unbalanced one */
    CHECK_STR(f.questions.at[0].id, "201");
    CHECK_STR(f.questions.at[0].image, "images/n161313.jpg");
    CHECK_STR(f.questions.at[0].category, "query");
    CHECK_STR(f.questions.at[0].reference, "red");
    CHECK_STR(fixture_prompt(&f, 0), "What  color is\u00a0it?\n"
              "Answer the question using a single word or phrase.");
    CHECK_OK(fixture_score(&f, replies, false), f.err);
    CHECK_INT(f.answers.unknown, 1);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100 * 4 / 6.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "open"), 100 * 2 / 3.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "binary"), 100 * 2 / 3.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "distribution"), (4 / 3.0 + 1) / 6 / 100, 1e-15);
    CHECK_NEAR(scores_get(&f.scores, "choose"), 0, 0);
    CHECK_NEAR(scores_get(&f.scores, "compare"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "attribute"), 100 * 4 / 6.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "words_4"), 100, 0);   /* no-break spaces part words, too */
    CHECK_NEAR(scores_get(&f.scores, "steps_3"), 100, 0);   /* scene, color, choose color */
    CHECK_NEAR(scores_get(&f.scores, "steps_0"), 60, 1e-12);
    CHECK(isnan(scores_get(&f.scores, "logical")));
    fixture_free(&f);
}

TEST(gqa_partial_and_without_groups)
{
    struct fixture f;
    put(FILE_NAME, "{" RECORD("1", "n1", "Is it?", "yes", "verify", "null", "[]") ", "
        RECORD("2", "n1", "Is it?", "yes", "verify", "null", "[]") "}");
    CHECK_OK(fixture_read(&f, "gqa", "testdev_balanced"), f.err);
    CHECK_INT(fixture_score(&f, LINE("2", "yes"), false), ERR_INCOMPLETE);
    CHECK_OK(fixture_score(&f, LINE("2", "yes"), true), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "open"), 0, 0);        /* an empty class */
    CHECK(isnan(scores_get(&f.scores, "distribution")));
    fixture_free(&f);
}

TEST(gqa_exports_predictions)
{
    struct fixture f;
    struct exports out = { 0 };
    put_groups();
    CHECK_OK(fixture_read(&f, "gqa", "testdev_balanced"), f.err);
    CHECK_OK(fixture_score(&f, LINE("201", "Red."), true), f.err);
    CHECK_INT(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "the first is 11") != NULL);
    CHECK_OK(fixture_score(&f, replies, false), f.err);
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), f.err);
    CHECK_STR(out.files[0].text.at, "[{\"questionId\": \"201\", \"prediction\": \"red\"}, "
                      "{\"questionId\": \"11\", \"prediction\": \"red\"}, "
                      "{\"questionId\": \"12\", \"prediction\": \"green\"}, "
                      "{\"questionId\": \"13\", \"prediction\": \"blue\"}, "
                      "{\"questionId\": \"14\", \"prediction\": \"cat\"}, "
                      "{\"questionId\": \"16\", \"prediction\": \"dog\"}]");
    exports_free(&out);
    fixture_free(&f);
}

TEST(gqa_names_the_record_that_is_wrong)
{
    struct fixture f;
    put(FILE_NAME, "{\"7\": {\"question\": \"x\", \"imageId\": 5, \"answer\": \"x\"}}");
    CHECK_INT(fixture_read(&f, "gqa", "testdev_balanced"), ERR_DATA);
    CHECK(strstr(f.err.text, "question \"7\"") != NULL);
    fixture_free(&f);
    put(FILE_NAME, "[{\"question\": \"x\", \"imageId\": \"x\", \"answer\": \"x\"}]");
    CHECK_INT(fixture_read(&f, "gqa", "testdev_balanced"), ERR_DATA);
    fixture_free(&f);
}
