/* SEED-Bench against haotian-liu/LLaVA c121f04, scripts/convert_seed_for_submission.py, run on these
 * replies: the answer is B. */
#include "tests/fixture.h"

#define ROW(id, type, kind, name) \
    "{\"question_id\": \"" id "\", \"question_type_id\": " #type ", \"data_type\": \"" kind \
    "\", \"data_id\": \"" name "\", \"question\": \"How many towels?\", \"choice_a\": \"One\", " \
    "\"choice_b\": \"Two\", \"choice_c\": \"Three\", \"choice_d\": \"Four\", \"answer\": \"B\"}"
#define FILE_OF(rows) "{\"questions\": [" rows "], \"question_type\": {\"Scene Understanding\": 1}}"

TEST(seed_compares_exactly)
{
    static const char *const wrong[] = { "b", "B.", " B", "B\n", "(B)", "B. Two", "Two", "",
                                         "\uff22" };
    struct question q = { .reference = "B" };
    struct fixture f = { .benchmark = benchmark_find("seed"), .questions = { .at = &q, .n = 1 } };
    CHECK_INT(fixture_mark(&f, 0, "B"), 1);
    for (size_t i = 0; i < COUNT(wrong); i++)
        CHECK_INT(fixture_mark(&f, 0, wrong[i]), 0);
}

TEST(seed_scores_by_kind_and_type)
{
    struct fixture f;
    put("SEED-Bench-video-image/10_v7.png", "");
    put("SEED-Bench.json", FILE_OF(ROW("1", 1, "image", "x_1") ", " ROW("2", 1, "image", "x_2") ", "
                                   ROW("3", 1, "image", "x_1") ", " ROW("v7", 10, "video", "7.webm")));
    CHECK_OK(fixture_read(&f, "seed", "test"), f.err);
    CHECK_STR(f.questions.at[0].image, "SEED-Bench-image/x_1");
    CHECK_STR(f.questions.at[0].category, "Scene Understanding");
    CHECK_STR(f.questions.at[3].image, "SEED-Bench-video-image/10_v7.png");
    CHECK_STR(fixture_prompt(&f, 0), "How many towels?\nA. One\nB. Two\nC. Three\nD. Four\n"
              "Answer with the option's letter from the given choices directly.");
    CHECK_OK(fixture_score(&f, "{\"question_id\": 1, \"text\": \"B\"}\n"    /* integers are ids too */
                               "{\"question_id\": \"2\", \"text\": \"B\"}\n"
                               "{\"question_id\": \"2\", \"text\": \"C\"}\n"
                               "{\"question_id\": \"v7\", \"text\": \"B\"}\n", false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 50, 0);
    CHECK_NEAR(scores_get(&f.scores, "image_accuracy"), 100 / 3.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "video_accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "type/Scene Understanding"), 100 / 3.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "type/Action Recognition"), 100, 0);
    CHECK_INT(f.scores.n, 5);                               /* types without rows are left out */
    struct exports out = { 0 };
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), f.err);
    CHECK_STR(out.files[0].text.at, "{\"question_id\": \"1\", \"prediction\": \"B\"}\n"
                      "{\"question_id\": \"2\", \"prediction\": \"C\"}\n"
                      "{\"question_id\": \"3\", \"prediction\": \"\"}\n"
                      "{\"question_id\": \"v7\", \"prediction\": \"B\"}\n");
    exports_free(&out);
    fixture_free(&f);
}

TEST(seed_one_id_two_rows)
{
    struct fixture f;
    put("SEED-Bench.json", FILE_OF(ROW("49914", 2, "image", "x") ", " ROW("49914", 5, "image", "y")));
    CHECK_OK(fixture_read(&f, "seed", "test"), f.err);
    CHECK_OK(fixture_score(&f, "{\"question_id\": 49914, \"text\": \"B\"}\n", false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100, 0);
    CHECK_INT(f.answers.missing, 0);
    CHECK_INT(f.scores.n_questions, 2);
    fixture_free(&f);
}

/* Frames that are not there: a run leaves them out and has no figure over all; answers from
 * elsewhere are scored over every row. */
TEST(seed_frames)
{
    struct fixture f;
    put("v1_video/task11/kitchen_8_frame/v2/4.png", "");
    put("SEED-Bench.json", FILE_OF(ROW("1", 1, "image", "x") ", " ROW("v2", 11, "video", "2") ", "
                                   ROW("v3", 12, "video", "3")));
    CHECK_OK(fixture_read(&f, "seed", "test"), f.err);
    CHECK_STR(f.questions.at[1].image, "v1_video/task11/kitchen_8_frame/v2/4.png");
    CHECK(!f.questions.at[1].unasked);
    CHECK(f.questions.at[2].unasked);
    CHECK_STR(f.questions.at[2].image, "SEED-Bench-video-image/12_v3.png");
    CHECK_OK(fixture_score(&f, "{\"question_id\": 1, \"text\": \"B\"}\n", false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100 / 3.0, 1e-12);
    f.questions.n = 2;                                      /* what a run asks */
    scores_free(&f.scores);
    CHECK_OK(benchmark_score(f.benchmark, &f.questions, f.answers.text, NULL, 1, true, 0, &f.scores,
                             &f.err), f.err);
    CHECK(scores_get(&f.scores, "accuracy") != scores_get(&f.scores, "accuracy"));
    CHECK_NEAR(scores_get(&f.scores, "image_accuracy"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "video_accuracy"), 0, 0);
    fixture_free(&f);
}

TEST(seed_names_what_is_wrong)
{
    static const struct { const char *file, *says; } bad[] = {
        { "{}", "questions" },
        { FILE_OF(ROW("1", 13, "image", "x")), "question 0 (from 0): \"question_type_id\"" },
        { FILE_OF(ROW("1", 1, "image", "x") ", " ROW("1", 1, "sound", "x")), "question 1 (from 0)" },
        { FILE_OF("{\"question_id\": 1.5}"), "\"question_id\"" },
        { FILE_OF("3"), "\"question_id\"" },
        { "{\"questions\": [", "SEED-Bench.json" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct fixture f;
        put("SEED-Bench.json", bad[i].file);
        CHECK_INT(fixture_read(&f, "seed", "test"), ERR_DATA);
        if (!CHECK(strstr(f.err.text, bad[i].says) != NULL))
            CHECK_STR(f.err.text, bad[i].says);
        fixture_free(&f);
    }
}
