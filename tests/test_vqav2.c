/* VQAv2 against the official evaluator, on files in the official form. */
#include "tests/fixture.h"
#include "tests/vqa_vectors.h"

#define QUESTIONS "v2_OpenEnded_mscoco_val2014_questions.json"
#define ANNOTATIONS "v2_mscoco_val2014_annotations.json"
#define TEST2015 "v2_OpenEnded_mscoco_test2015_questions.json"
#define TESTDEV "v2_OpenEnded_mscoco_test-dev2015_questions.json"

#define QUESTION(id, image, text) \
    "{\"image_id\": " #image ", \"question\": \"" text "\", \"question_id\": " #id "}"
#define ONE(a) "{\"answer\": \"" a "\", \"answer_confidence\": \"yes\"}, "
#define TEN(a, b) "[" ONE(a) ONE(a) ONE(a) ONE(b) ONE(b) ONE(b) ONE(b) ONE(b) ONE(b) \
    "{\"answer\": \"" b "\"}]"
#define ANNOTATION(id, type, a, b) \
    "{\"question_type\": \"none of the above\", \"multiple_choice_answer\": \"" b "\", " \
    "\"answers\": " TEN(a, b) ", \"image_id\": 1, \"answer_type\": \"" type "\", " \
    "\"question_id\": " #id "}"
#define ENVELOPE(what, list) \
    "{\"info\": {\"year\": 2017}, \"task_type\": \"Open-Ended\", \"" what "\": [" list "], " \
    "\"data_type\": \"mscoco\", \"license\": {}}"

TEST(vqav2_gives_the_official_credit)
{
    struct arena a = { 0 };
    struct vqa_vector rows[VQA_VECTORS];
    struct fixture f;
    struct str questions, annotations;
    size_t n = vqa_vectors("vqav2", &a, rows);
    CHECK_INT(n, VQA_VECTORS_SHARED);
    str_init(&questions, 1 << 20);
    str_init(&annotations, 1 << 20);
    str_add(&questions, "{\"questions\": [");
    str_add(&annotations, "{\"annotations\": [");
    for (size_t i = 0; i < n; i++) {
        str_addf(&questions, "%s{\"question_id\": %zu, \"image_id\": 1, \"question\": \"What?\"}",
                 i ? ", " : "", i);
        str_addf(&annotations, "%s{\"question_id\": %zu, \"answer_type\": \"other\", ",
                 i ? ", " : "", n - 1 - i);                 /* in another order */
        vqa_vector_answers(&annotations, &rows[n - 1 - i], true);
        str_addc(&annotations, '}');
    }
    str_add(&questions, "]}");
    str_add(&annotations, "]}");
    put(QUESTIONS, questions.at);
    put(ANNOTATIONS, annotations.at);
    CHECK_OK(fixture_read(&f, "vqav2", "val"), f.err);
    if (CHECK_INT(f.questions.n, n))
        for (size_t i = 0; i < n; i++)
            if (!CHECK_NEAR(100 * fixture_mark(&f, i, rows[i].reply), rows[i].score, 1e-12))
                CHECK_STR(rows[i].reply, "");               /* which one it was */
    fixture_free(&f);
    str_free(&questions);
    str_free(&annotations);
    arena_free(&a);
}

static void put_val(void)
{
    put(QUESTIONS, ENVELOPE("questions", QUESTION(9001, 42, "Is it red?") ", "
        QUESTION(9000, 42, "How many?") ", " QUESTION(17, 581929, "Caf\\u00e9?")));
    put(ANNOTATIONS, ENVELOPE("annotations", ANNOTATION(17, "other", "Red", "blue") ", "
        ANNOTATION(9001, "yes/no", "no", "yes") ", " ANNOTATION(9000, "number", "2", "two")));
}

TEST(vqav2_reads_val_and_scores_it)
{
    struct fixture f;
    put_val();
    CHECK_OK(fixture_read(&f, "vqav2", "val"), f.err);
    CHECK_INT(f.questions.n, 3);
    CHECK_STR(f.questions.at[0].id, "9001");
    CHECK_STR(f.questions.at[0].category, "yes/no");
    CHECK_STR(f.questions.at[0].image, "val2014/COCO_val2014_000000000042.jpg");
    CHECK_STR(f.questions.at[2].image, "val2014/COCO_val2014_000000581929.jpg");
    CHECK_STR(f.questions.at[2].text, "Caf\u00e9?");
    CHECK_STR(f.questions.at[2].reference, "blue");
    CHECK_INT(f.questions.at[2].n_answers, 10);
    CHECK(f.questions.at[2].answers[0] == f.questions.at[2].answers[2]);    /* kept once */
    CHECK_STR(fixture_prompt(&f, 0), "Is it red?\nAnswer the question using a single word or "
              "phrase.");
    /* The later of two lines wins; a string of the id will do; strangers are passed over. */
    CHECK_OK(fixture_score(&f, "{\"question_id\": 9001, \"text\": \"wrong\"}\n"
                               "{\"question_id\": 9001, \"text\": \"Yes.\"}\n"
                               "no json\n"
                               "{\"question_id\": 5, \"text\": \"red\"}\n"
                               "{\"question_id\": \"9000\", \"text\": \"Two\"}\n"
                               "{\"question_id\": 17, \"text\": \"red\", \"prompt\": \"x\"}\n",
                           false), f.err);
    CHECK_INT(f.answers.repeated, 1);
    CHECK_INT(f.answers.unknown, 1);
    CHECK_INT(f.answers.unreadable, 1);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 290 / 3.0, 1e-12);
    CHECK_NEAR(scores_get(&f.scores, "yes_no"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "number"), 100, 0);
    CHECK_NEAR(scores_get(&f.scores, "other"), 90, 1e-12);
    CHECK_INT(f.scores.n_questions, 3);
    fixture_free(&f);
}

TEST(vqav2_stops_at_missing_answers_unless_partial)
{
    struct fixture f;
    const char *one = "{\"question_id\": 17, \"text\": \"blue\"}\n";
    put_val();
    CHECK_OK(fixture_read(&f, "vqav2", "val"), f.err);
    CHECK_INT(fixture_score(&f, one, false), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "9001") != NULL);
    CHECK_OK(fixture_score(&f, one, true), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100, 0);
    double none = scores_get(&f.scores, "number");
    CHECK(none != none);
    fixture_free(&f);
}

static void check_refused(const char *why)
{
    struct fixture f;
    CHECK_INT(fixture_read(&f, "vqav2", "val"), ERR_DATA);
    if (!CHECK(strstr(f.err.text, why) != NULL))
        CHECK_STR(f.err.text, why);
    fixture_free(&f);
}

TEST(vqav2_names_what_is_wrong_in_its_files)
{
    put_val();
    put(ANNOTATIONS, ENVELOPE("annotations", ANNOTATION(17, "other", "Red", "blue") ", "
        ANNOTATION(9001, "yes/no", "no", "yes")));
    check_refused("9000 has no annotation");
    put(ANNOTATIONS, ENVELOPE("annotations", ANNOTATION(4711, "other", "Red", "blue")));
    check_refused("4711 is in no question");
    put(ANNOTATIONS, ENVELOPE("annotations", ANNOTATION(17, "maybe", "Red", "blue")));
    check_refused("\"answer_type\" is \"maybe\"");
    put(ANNOTATIONS, ENVELOPE("annotations",
        "{\"question_id\": 17, \"answer_type\": \"other\", \"answers\": [{\"answer\": 4}]}"));
    check_refused("answer 1 is no text");
    put(ANNOTATIONS, "{\"annotations\": [{\"question_id\": 17, \"ans");
    check_refused(ANNOTATIONS);
    put(QUESTIONS, ENVELOPE("questions", QUESTION(17, 1, "a") ", " QUESTION(17, 2, "b")));
    check_refused("17 stands twice");
    put(QUESTIONS, ENVELOPE("questions", "{\"question_id\": \"17\", \"image_id\": 1}"));
    check_refused("questions[0]");
    put(QUESTIONS, ENVELOPE("other", QUESTION(17, 1, "a")));
    check_refused(QUESTIONS);
}

TEST(vqav2_exports_all_of_test2015)
{
    struct fixture f;
    struct exports out = { 0 };
    put(TESTDEV, ENVELOPE("questions", QUESTION(262144000, 262144, "Is it?") ", "
        QUESTION(3, 7, "What?") ", " QUESTION(4, 7, "Who?")));
    put(TEST2015, ENVELOPE("questions", QUESTION(1, 7, "Else?") ", " QUESTION(3, 7, "What?") ", "
        QUESTION(262144000, 262144, "Is it?") ", " QUESTION(4, 7, "Who?")));
    CHECK_OK(fixture_read(&f, "vqav2", "testdev"), f.err);
    CHECK_INT(f.questions.n, 3);
    CHECK_STR(f.questions.at[0].image, "test2015/COCO_test2015_000000262144.jpg");
    CHECK(f.questions.at[0].reference == NULL);
    CHECK_OK(fixture_score(&f, "{\"question_id\": 262144000, \"text\": \"Yes.\"}\n"
                               "{\"question_id\": 3, \"text\": \"The Caf\u00c9 \U0001f355\"}\n",
                           true), f.err);
    CHECK_INT(f.scores.n, 0);                               /* the server scores */
    CHECK_INT(f.answers.missing, 1);
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), f.err);
    CHECK_STR(out.files[0].text.at, "[{\"question_id\": 1, \"answer\": \"\"}, "
                      "{\"question_id\": 3, \"answer\": \"caf\\u00e9 \\ud83c\\udf55\"}, "
                      "{\"question_id\": 262144000, \"answer\": \"yes\"}, "
                      "{\"question_id\": 4, \"answer\": \"\"}]");
    exports_free(&out);
    put(TEST2015, ENVELOPE("questions", QUESTION(1, 7, "Else?")));
    CHECK_INT(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), ERR_DATA);
    CHECK(strstr(f.err.text, "0 of the 3") != NULL);
    exports_free(&out);
    fixture_free(&f);
}
