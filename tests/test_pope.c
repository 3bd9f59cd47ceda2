/* POPE against the official evaluator.
 *
 * Provenance: haotian-liu/LLaVA c121f04, llava/eval/eval_pope.py, run on these replies. */
#include "tests/fixture.h"

static const struct { const char *reply; bool yes; } replies[] = {
    { "Yes", true },                            { "n,ot here", false },
    { "No, the bench is empty.", false },       { "yes,no clock", true },
    { "There is no clock on the wall", false }, { "there is\nno clock", true },
    { "A clock is not visible. Yes", false },   { "No\n", true },
    { "Yes, a clock. It is not broken.", true }, { "is  no clock", false },
    { "NO CLOCK", true },                       { "no\u00a0clock", true },
    { "none of them", true },                   { "no-clock", true },
    { "There isn't one", true },                { "(no) clock", true },
    { "no!", true },                            { "no;clock no", false },
    { ".no", true },                            { "Is no. 3 shown", false },
    { "", true },                               { "clock: no", false },
    { "Not here", true },                       { "\"no\" it says", true },
};

TEST(pope_reads_replies_as_the_official_script)
{
    struct fixture f = { .benchmark = benchmark_find("pope") };
    for (size_t i = 0; i < COUNT(replies); i++)
        if (!CHECK_INT(fixture_mark(&f, 0, replies[i].reply), replies[i].yes))
            CHECK_STR(replies[i].reply, "");
}

#define ROW(id, image, label) \
    "{\"question_id\": " #id ", \"image\": \"" image ".jpg\", \"text\": \"Is there a dog " \
    "in the imange?\", \"label\": \"" label "\"}"

static void put_three(const char *random)
{
    put("coco_pope_random.json", random);
    put("coco_pope_popular.json", ROW(1, "a", "yes") "\r\n" ROW(2, "a", "no"));
    put("coco_pope_adversarial.json", ROW(1, "b", "yes") "\n");
}

TEST(pope_reads_its_files)
{
    struct fixture f;
    put_three(ROW(1, "a", "yes") "\r\n\r\n" ROW(2, "b", "no") "\r\n");
    CHECK_OK(fixture_read(&f, "pope", "test"), f.err);
    CHECK_INT(f.questions.n, 5);
    CHECK_STR(f.questions.at[1].id, "random/2");
    CHECK_STR(f.questions.at[1].image, "val2014/b.jpg");
    CHECK_STR(f.questions.at[1].reference, "no");
    CHECK_STR(f.questions.at[4].id, "adversarial/1");
    CHECK_STR(f.questions.at[4].category, "adversarial");
    CHECK_STR(fixture_prompt(&f, 0), "Is there a dog in the imange?\n"
              "Answer the question using a single word or phrase.");
    fixture_free(&f);
}

TEST(pope_refuses_other_labels)
{
    struct fixture f;
    put_three(ROW(1, "a", "yes") "\r\n" ROW(2, "a", "maybe") "\r\n");
    CHECK_INT(fixture_read(&f, "pope", "test"), ERR_DATA);
    CHECK_STR(f.err.text, "./coco_pope_random.json:2: \"label\" is \"maybe\", "
              "expected \"yes\" or \"no\"");
    fixture_free(&f);
}

TEST(pope_names_a_missing_file)
{
    struct fixture f;
    CHECK_INT(fixture_read(&f, "pope", "test"), ERR_DATA);
    CHECK(strstr(f.err.text, "coco_pope_random.json") != NULL);
    fixture_free(&f);
}

/* Labels yes yes yes no no no no yes: TP 2, FP 2, TN 2, FN 2. */
TEST(pope_scores_as_the_official_script)
{
    struct fixture f;
    put_three(ROW(1, "a", "yes") "\n" ROW(2, "a", "yes") "\n" ROW(3, "a", "yes") "\n"
              ROW(4, "a", "no") "\n" ROW(5, "a", "no") "\n" ROW(6, "a", "no") "\n"
              ROW(7, "a", "no") "\n" ROW(8, "a", "yes") "\n");
    CHECK_OK(fixture_read(&f, "pope", "test"), f.err);
    CHECK_OK(fixture_score(&f,
        "{\"question_id\": \"random/1\", \"text\": \"Yes\"}\n"
        "{\"question_id\": \"random/2\", \"text\": \"No\"}\n"
        "{\"question_id\": \"random/3\", \"text\": \"Yes, two.\"}\n"
        "{\"question_id\": \"random/4\", \"text\": \"no\"}\n"
        "{\"question_id\": \"random/5\", \"text\": \"Yes\"}\n"
        "{\"question_id\": \"random/6\", \"text\": \"No.\"}\n"
        "{\"question_id\": \"random/7\", \"text\": \"Not sure\"}\n"
        "{\"question_id\": 10000008, \"text\": \"there is no\"}\n"      /* LLaVA's numbers */
        "{\"question_id\": 20000001, \"text\": \"no\"}\n"
        "{\"question_id\": \"20000002\", \"text\": \"no\"}\n"
        "{\"question_id\": 1, \"text\": \"yes\"}\n"
        "{\"question_id\": 20000003, \"text\": \"yes\"}\n", false), f.err);
    static const char *const half[] = { "random_f1", "random_accuracy", "random_precision",
                                        "random_recall", "random_yes_ratio" };
    for (size_t i = 0; i < COUNT(half); i++)
        CHECK_NEAR(scores_get(&f.scores, half[i]), 50, 0);
    CHECK_NEAR(scores_get(&f.scores, "popular_f1"), 0, 0);              /* no yes: undefined, 0 */
    CHECK_NEAR(scores_get(&f.scores, "popular_precision"), 0, 0);
    CHECK_NEAR(scores_get(&f.scores, "popular_accuracy"), 50, 0);
    CHECK_NEAR(scores_get(&f.scores, "popular_yes_ratio"), 0, 0);
    CHECK_NEAR(scores_get(&f.scores, "adversarial_f1"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "f1"), 50, 1e-12);
    CHECK_INT(f.scores.n_questions, 11);
    CHECK_INT(f.answers.unknown, 1);
    fixture_free(&f);
}

TEST(pope_stops_at_missing_answers)
{
    struct fixture f;
    put_three(ROW(1, "a", "yes") "\n");
    CHECK_OK(fixture_read(&f, "pope", "test"), f.err);
    static const char answers[] = "{\"question_id\": \"random/1\", \"text\": \"yes\"}\n";
    CHECK_INT(fixture_score(&f, answers, false), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "popular/1, popular/2, adversarial/1") != NULL);
    CHECK_INT(f.scores.n, 0);
    CHECK_OK(fixture_score(&f, answers, true), f.err);
    CHECK_NEAR(scores_get(&f.scores, "random_f1"), 100, 0);
    CHECK_INT(f.answers.missing, 3);
    fixture_free(&f);
}
