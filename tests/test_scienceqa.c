/* ScienceQA against the official evaluator.
 *
 * Provenance: haotian-liu/LLaVA c121f04, llava/eval/eval_science_qa.py, run on these replies. */
#include "benchmarks/choice.h"
#include "tests/fixture.h"

static const struct { const char *reply; int choices; char letter; int index; } replies[] = {
    { "C", 4, 'C', 2 },              { "The answer is D", 4, 0, -1 },
    { "D", 3, 'D', -1 },             { "The answer is D\n", 4, 0, -1 },
    { "E", 5, 'E', 4 },              { "The answer is Dog", 4, 'D', 3 },
    { "B.", 2, 0, -1 },              { "the answer is D.", 4, 0, -1 },
    { "B. ", 2, 'B', 1 },            { "So... The answer is C, since it sinks. ", 4, 'C', 2 },
    { "B. oxygen", 2, 'B', 1 },      { "The answer is C. The answer is C.", 4, 0, -1 },
    { "B.oxygen", 2, 0, -1 },        { "C. The answer is A.", 4, 'C', 2 },
    { " B", 2, 0, -1 },              { "The answer is (C).", 4, 0, -1 },
    { "b", 2, 0, -1 },               { "The answer is G.", 5, 'G', -1 },
    { "(B)", 2, 0, -1 },             { "Both. The answer is A\u3002", 2, 'A', 0 },
    { "B) oxygen", 2, 0, -1 },       { "The answer is A because The answer is obvious.", 2, 'A', 0 },
    { "AB", 2, 0, -1 },              { "E. none", 4, 'E', -1 },
    { "A, B", 2, 0, -1 },            { "", 2, 0, -1 },
    { "The answer is AThe answer is B.", 2, 'A', 0 },       /* the T behind A is taken with it */
    { "The answer is A\u00e9The answer is B.", 2, 0, -1 },
};

TEST(scienceqa_reads_letters_as_the_official_script)
{
    static const char *const letters[] = { "A", "B", "C", "D", "E" };
    const struct benchmark *b = benchmark_find("scienceqa");
    for (size_t i = 0; i < COUNT(replies); i++) {
        if (!CHECK_INT(choice_science(replies[i].reply), replies[i].letter))
            CHECK_STR(replies[i].reply, "");
        for (int answer = 0; answer < replies[i].choices; answer++) {
            struct question q = { .reference = letters[answer] };
            struct mark m = { 0 };
            b->mark(&(struct questions){ .at = &q, .n = 1 }, 0, replies[i].reply, &m);
            CHECK_INT(m.a, answer == replies[i].index);
        }
    }
}

#define PROBLEM(pid, image, choices, answer) \
    "\"" pid "\": {\"question\": \"Which melts first?\", \"choices\": " choices ", \"answer\": " \
    answer ", \"hint\": \"Look at  the chart.\", \"image\": " image ", \"subject\": \"physics\"}"
#define TWO "[\"ice\", \"iron\"]"

TEST(scienceqa_reads_its_files)
{
    struct fixture f;
    put("pid_splits.json", "{\"train\": [\"9\"], \"test\": [\"7\", \"12\", \"3\"], \"val\": []}");
    put("problems.json", "{" PROBLEM("3", "null", TWO, "1") ", " PROBLEM("9", "null", TWO, "0") ", "
        PROBLEM("12", "\"image.png\"", "[\"a\\nb\", \"c\", \"d\", \"e\", \"f\"]", "4") ", "
        PROBLEM("7", "\"image.png\"", TWO, "0") "}");
    CHECK_OK(fixture_read(&f, "scienceqa", "test"), f.err);
    CHECK_INT(f.questions.n, 3);
    CHECK_STR(f.questions.at[0].id, "7");
    CHECK_STR(f.questions.at[0].image, "images/test/7/image.png");
    CHECK_STR(f.questions.at[0].reference, "A");
    CHECK_STR(f.questions.at[0].category, "physics");
    CHECK_STR(f.questions.at[1].reference, "E");
    CHECK_STR(f.questions.at[1].options[0], "a\nb");
    CHECK(f.questions.at[2].image == NULL);
    CHECK_STR(fixture_prompt(&f, 0), "Context: Look at the chart.\nWhich melts first?\nA. ice\n"
              "B. iron\nAnswer with the option's letter from the given choices directly.");

    CHECK_OK(fixture_score(&f, "{\"question_id\": 7, \"text\": \"B\"}\n"
                               "{\"question_id\": \"7\", \"text\": \"A\"}\n"    /* the last counts */
                               "{\"question_id\": \"3\", \"text\": \"A\"}\n", false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100 / 3.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "image_accuracy"), 50, 0);     /* "12" is unanswered: wrong */
    CHECK_INT(f.answers.missing, 1);
    CHECK_INT(f.answers.repeated, 1);
    CHECK_INT(f.scores.n_questions, 3);
    fixture_free(&f);
}

TEST(scienceqa_names_what_is_wrong)
{
    static const struct { const char *problems, *says; } bad[] = {
        { "{}", "problem \"7\" is missing" },
        { "[]", "expected an object" },
        { "{" PROBLEM("7", "null", TWO, "2") "}", "\"answer\"" },
        { "{" PROBLEM("7", "null", TWO, "-1") "}", "\"answer\"" },
        { "{" PROBLEM("7", "3", TWO, "1") "}", "\"image\"" },
        { "{" PROBLEM("7", "null", "[\"ice\"]", "0") "}", "\"choices\"" },
        { "{" PROBLEM("7", "null", "[\"ice\", 3]", "0") "}", "\"choices\"" },
        { "{\"7\": {}}", "\"question\"" },
        { "{\"7\": ", "problems.json" },
    };
    put("pid_splits.json", "{\"test\": [\"7\"]}");
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct fixture f;
        put("problems.json", bad[i].problems);
        CHECK_INT(fixture_read(&f, "scienceqa", "test"), ERR_DATA);
        if (!CHECK(strstr(f.err.text, bad[i].says) != NULL))
            CHECK_STR(f.err.text, bad[i].says);
        fixture_free(&f);
    }
    struct fixture f;
    put("pid_splits.json", "{\"test\": [7]}");
    CHECK_INT(fixture_read(&f, "scienceqa", "test"), ERR_DATA);
    CHECK(strstr(f.err.text, "\"test\"[0]") != NULL);
    fixture_free(&f);
}
