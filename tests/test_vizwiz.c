/* VizWiz against its official evaluator, on files in the official form. */
#include "tests/fixture.h"
#include "tests/vqa_vectors.h"

TEST(vizwiz_gives_the_official_credit)
{
    struct arena a = { 0 };
    struct vqa_vector rows[VQA_VECTORS];
    struct fixture f;
    struct str file;
    size_t n = vqa_vectors("vizwiz", &a, rows);
    CHECK_INT(n, VQA_VECTORS_SHARED);
    str_init(&file, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        str_addf(&file, "%s{\"image\": \"VizWiz_val_%08zu.jpg\", \"question\": \"What?\", "
                 "\"answer_type\": \"other\", \"answerable\": 1, ", i ? ", " : "[", i);
        vqa_vector_answers(&file, &rows[i], true);
        str_addc(&file, '}');
    }
    str_addc(&file, ']');
    put("Annotations/val.json", file.at);
    CHECK_OK(fixture_read(&f, "vizwiz", "val"), f.err);
    if (CHECK_INT(f.questions.n, n))
        for (size_t i = 0; i < n; i++)
            if (!CHECK_NEAR(100 * fixture_mark(&f, i, rows[i].reply), rows[i].score, 1e-12))
                CHECK_STR(rows[i].reply, "");               /* which one it was */
    fixture_free(&f);
    str_free(&file);
    arena_free(&a);
}

#define ONE(a) "{\"answer\": \"" a "\", \"answer_confidence\": \"maybe\"}, "
#define TEN(x, y) "[" ONE(x) ONE(x) ONE(y) ONE(y) ONE(y) ONE(y) ONE(y) ONE(y) ONE(y) \
    "{\"answer\": \"" y "\"}]"
#define ITEM(image, question, type, x, y) \
    "{\"image\": \"" image "\", \"question\": \"" question "\", \"answers\": " TEN(x, y) \
    ", \"answer_type\": \"" type "\", \"answerable\": 0}"

TEST(vizwiz_reads_val_and_scores_it)
{
    struct fixture f;
    put("Annotations/val.json", "["
        ITEM("VizWiz_val_00000009.jpg", "What is this? And what COLOR is it? ", "unanswerable",
             "Unanswerable", "unanswerable") ", "
        ITEM("VizWiz_val_00000003.jpg", "Is it?", "yes/no", "no", "yes") ", "
        ITEM("b.jpg", "How many?", "number", "2", "3") "]");
    CHECK_OK(fixture_read(&f, "vizwiz", "val"), f.err);
    CHECK_INT(f.questions.n, 3);
    CHECK_STR(f.questions.at[0].id, "0");                   /* the place, whatever the image */
    CHECK_STR(f.questions.at[0].image, "val/VizWiz_val_00000009.jpg");
    CHECK_STR(f.questions.at[0].reference, "unanswerable");
    CHECK_STR(fixture_prompt(&f, 0), "What is this? and what color is it? \n"
              "When the provided information is insufficient, respond with 'Unanswerable'.\n"
              "Answer the question using a single word or phrase.");
    CHECK_OK(fixture_score(&f, "{\"question_id\": \"VizWiz_val_00000009.jpg\", \"text\": "
                               "\"Unanswerable\"}\n"
                               "{\"question_id\": 1, \"text\": \"No\"}\n"
                               "{\"question_id\": \"VizWiz_val_00000001.jpg\", \"text\": \"x\"}\n"
                               "{\"question_id\": \"2\", \"text\": \"two\"}\n", false), f.err);
    CHECK_INT(f.answers.unknown, 1);
    CHECK_NEAR(scores_get(&f.scores, "unanswerable"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "yes_no"), 60, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "number"), 60, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 220 / 3.0, 1e-12);
    double none = scores_get(&f.scores, "other");
    CHECK(none != none);
    fixture_free(&f);
}

TEST(vizwiz_names_what_is_wrong_in_its_file)
{
    struct fixture f;
    static const struct { const char *file, *why; } rows[] = {
        { "[" ITEM("a.jpg", "What?", "colour", "x", "y") "]", "\"answer_type\" is \"colour\"" },
        { "[{\"image\": \"a.jpg\"}]", "[0] should have" },
        { "[{\"image\": \"a.jpg\", \"question\": \"?\", \"answer_type\": \"other\"}]",
          "\"answers\"" },
        { "[" ITEM("a.jpg", "What?", "other", "x", "y"), "val.json" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        put("Annotations/val.json", rows[i].file);
        CHECK_INT(fixture_read(&f, "vizwiz", "val"), ERR_DATA);
        if (!CHECK(strstr(f.err.text, rows[i].why) != NULL))
            CHECK_STR(f.err.text, rows[i].why);
        fixture_free(&f);
    }
}

TEST(vizwiz_exports_test)
{
    struct fixture f;
    struct exports out = { 0 };
    put("Annotations/test.json", "["
        "{\"image\": \"VizWiz_test_00000000.jpg\", \"question\": \"What?\"}, "
        "{\"image\": \"VizWiz_test_00000001.jpg\", \"question\": \"Is it?\"}]");
    CHECK_OK(fixture_read(&f, "vizwiz", "test"), f.err);
    CHECK_STR(f.questions.at[1].image, "test/VizWiz_test_00000001.jpg");
    CHECK(f.questions.at[1].reference == NULL);
    CHECK_OK(fixture_score(&f, "{\"question_id\": 1, \"text\": \"\u00c9clair\"}\n", true), f.err);
    CHECK_INT(f.scores.n, 0);
    CHECK_INT(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), ERR_INCOMPLETE);
    CHECK_INT(out.n_files, 0);
    CHECK(strstr(f.err.text, "VizWiz_test_00000000.jpg") != NULL);
    CHECK_OK(fixture_score(&f, "{\"question_id\": 1, \"text\": \"\u00c9clair\"}\n"
                               "{\"question_id\": 0, \"text\": \"The \\\"Black\\\"\"}\n", true),
             f.err);
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), f.err);
    CHECK_STR(out.files[0].text.at, "[{\"image\": \"VizWiz_test_00000000.jpg\", \"answer\": \"black\"}, "
                      "{\"image\": \"VizWiz_test_00000001.jpg\", \"answer\": \"\\u00e9clair\"}]");
    exports_free(&out);
    fixture_free(&f);
}
