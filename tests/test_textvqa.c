/* TextVQA against the official evaluator, both dialects of answers. */
#include <stdio.h>

#include "tests/fixture.h"
#include "tests/vqa_vectors.h"

#define QUESTIONS "TextVQA_0.5.1_val.json"
#define TOKENS "TextVQA_Rosetta_OCR_v0.2_val.json"

TEST(textvqa_gives_the_official_credit)
{
    struct arena a = { 0 };
    struct vqa_vector rows[VQA_VECTORS];
    struct fixture f;
    struct str file;
    size_t n = vqa_vectors("textvqa", &a, rows);
    CHECK_INT(n, VQA_VECTORS);
    str_init(&file, 1 << 20);
    str_add(&file, "{\"dataset_type\": \"val\", \"data\": [");
    for (size_t i = 0; i < n; i++) {
        str_addf(&file, "%s{\"question_id\": %zu, \"image_id\": \"00%zu\", "
                 "\"question\": \"What?\", ", i ? ", " : "", i, i);
        vqa_vector_answers(&file, &rows[i], false);
        str_addc(&file, '}');
    }
    str_add(&file, "]}");
    put(QUESTIONS, file.at);
    put(TOKENS, "{\"data\": []}");
    CHECK_OK(fixture_read(&f, "textvqa", "val"), f.err);
    if (CHECK_INT(f.questions.n, n))
        for (size_t i = 0; i < n; i++)
            if (!CHECK_NEAR(100 * fixture_mark(&f, i, rows[i].reply), rows[i].score, 1e-12))
                CHECK_STR(rows[i].reply, "");               /* which one it was */
    fixture_free(&f);
    str_free(&file);
    arena_free(&a);
}

#define FOUR(y) "\"" y "\", \"" y "\", \"" y "\", \"" y "\""
#define TEN(x, y) "[\"" x "\", \"" x "\", " FOUR(y) ", " FOUR(y) "]"
#define ITEM(id, image, question, x, y) \
    "{\"question_id\": " #id ", \"image_id\": \"" image "\", \"question\": \"" question \
    "\", \"answers\": " TEN(x, y) ", \"set_name\": \"val\"}"

static void put_files(void)
{
    put(QUESTIONS, "{\"dataset_name\": \"textvqa\", \"data\": ["
        ITEM(34602, "003a8ae2ef43b901", "what is the brand of this camera?", "Nous les gosses",
             "dakota") ", "
        ITEM(34603, "0000000000000017", "is this a BMW  or a vw?", "vw", "bmw") ", "
        ITEM(34604, "0000000000000017", "2 or 3 Items?", "2", "3") ", "
        ITEM(34605, "00ff", "\u00e9cole or STORE?", "store", "\u00e9cole") "]}");
    put(TOKENS, "{\"data\": [{\"image_id\": \"0000000000000017\", \"ocr_tokens\": [\"S,\", \"\", "
        "\"\\\"x\\\"\"], \"ocr_info\": [{\"word\": \"S\"}]}, "
        "{\"image_id\": \"elsewhere\", \"ocr_tokens\": [\"n\"]}, "
        "{\"image_id\": \"003a8ae2ef43b901\", \"ocr_tokens\": [\"DAKOTA\", \"DIGITAL\"]}, "
        "{\"image_id\": \"00ff\", \"ocr_tokens\": []}]}");
}

#define SHORT "\nAnswer the question using a single word or phrase."

TEST(textvqa_reads_questions_and_tokens)
{
    struct fixture f;
    put_files();
    CHECK_OK(fixture_read(&f, "textvqa", "val"), f.err);
    CHECK_INT(f.questions.n, 4);
    CHECK_STR(f.questions.at[0].id, "34602");
    CHECK_STR(f.questions.at[0].image, "train_images/003a8ae2ef43b901.jpg");
    CHECK_STR(f.questions.at[0].reference, "dakota");
    CHECK_STR(fixture_prompt(&f, 0), "What is the brand of this camera?\n"
              "Reference OCR token: DAKOTA, DIGITAL" SHORT);
    CHECK_STR(fixture_prompt(&f, 1), "Is this a bmw  or a vw?\n"
              "Reference OCR token: S,, , \"x\"" SHORT);
    CHECK_STR(fixture_prompt(&f, 2), "2 or 3 items?\nReference OCR token: S,, , \"x\"" SHORT);
    CHECK_STR(fixture_prompt(&f, 3), "\u00c9cole or store?\nReference OCR token: " SHORT);
    fixture_free(&f);
}

TEST(textvqa_reads_its_own_dialect)
{
    struct fixture f;
    put_files();
    CHECK_OK(fixture_read(&f, "textvqa", "val"), f.err);
    const char *lines = "{\"question_id\": 34602, \"text\": \"x\"}\n"
                        "{\"question_id\": 34602, \"text\": \"Dakota\"}\n"
                        "{\"question_id\": \"34603\", \"text\": \"VW\"}\n"
                        "{\"question_id\": \"0034604\", \"text\": \"three\"}\n"
                        "{\"question_id\": 1, \"text\": \"x\"}\n"
                        "{\"question_id\": \"-34604\", \"text\": \"x\"}\n"
                        "{\"question_id\": \"feed\", \"text\": \"x\", \"prompt\": \"x\"}\n";
    CHECK_INT(fixture_score(&f, lines, false), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "34605") != NULL);
    CHECK_OK(fixture_score(&f, lines, true), f.err);
    CHECK_INT(f.answers.unknown, 3);
    CHECK_INT(f.scores.n_questions, 3);                     /* n says how many */
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 260 / 3.0, 1e-12);
    fixture_free(&f);
}

/* Every line counts: 100 and 60 for one question, 60, 0 and 100 for the others. */
TEST(textvqa_reads_the_dialect_of_llava)
{
    struct fixture f;
    put_files();
    CHECK_OK(fixture_read(&f, "textvqa", "val"), f.err);
    CHECK_OK(fixture_score(&f,
        "{\"question_id\": \"003a8ae2ef43b901\", \"prompt\": \"What is the brand of this camera?\\n"
        "Reference OCR token: DAKOTA\\nAnswer it.\", \"text\": \"Dakota\"}\n"
        "{\"question_id\": \"0000000000000017\", \"prompt\": \"Is this a BMW  or a "
        "vw?\\nAnswer it.\", \"text\": \"vw\"}\n"
        "{\"question_id\": \"0000000000000017\", \"prompt\": \"Reference OCR token: a"
        "\\n2 or 3 items?\\nAnswer it.\", \"text\": \"4\"}\n"
        "{\"question_id\": \"00ff\", \"prompt\": \"OCR tokens: a\\nb\\nc Question: "
        "\u00c9cole or store? Short answer: Short answer:\", \"text\": \"ecole\"}\n"
        "{\"question_id\": \"003a8ae2ef43b901\", \"prompt\": \"what is the brand of this camera?\\n"
        "Reference OCR token: \\nAnswer it.\", \"text\": \"nous les gosses\"}\n", false), f.err);
    CHECK_NEAR(scores_get(&f.scores, "accuracy"), 100 * (1 + 0.6 + 0 + 0 + 0.6) / 5, 1e-12);
    CHECK_INT(f.scores.at[0].n, 5);
    CHECK_INT(f.scores.n_questions, 4);
    fixture_free(&f);
}

TEST(textvqa_refuses_prompts_without_a_question)
{
    static const struct { const char *prompt, *why; } rows[] = {
        { "One line", "no question can be read" },
        { "what is the brand of this camera?\\nx\\ny", "no question can be read" },
        { "a\\nReference OCR token: b\\nc\\nd", "no question can be read" },
        { "OCR tokens: a Question: what?", "no question can be read" },
        { "Another question?\\nAnswer it.", "has no question \"another question?\"" },
    };
    struct fixture f;
    put_files();
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[500];
        CHECK_OK(fixture_read(&f, "textvqa", "val"), f.err);
        snprintf(line, sizeof line, "{\"question_id\": \"003a8ae2ef43b901\", \"prompt\": \"%s\", "
                 "\"text\": \"x\"}\n", rows[i].prompt);
        CHECK_INT(fixture_score(&f, line, true), ERR_DATA);
        CHECK(strstr(f.err.text, "answers.jsonl:1") != NULL);
        if (!CHECK(strstr(f.err.text, rows[i].why) != NULL))
            CHECK_STR(f.err.text, rows[i].why);
        fixture_free(&f);
    }
}

TEST(textvqa_names_what_is_wrong_in_its_files)
{
    struct fixture f;
    put_files();
    put(QUESTIONS, "{\"data\": [{\"question_id\": 1, \"image_id\": \"a\", \"question\": \"?\", "
                   "\"answers\": [\"a\", \"b\"]}]}");
    CHECK_INT(fixture_read(&f, "textvqa", "val"), ERR_DATA);
    CHECK(strstr(f.err.text, "2 answers, expected ten") != NULL);
    fixture_free(&f);
    put(QUESTIONS, "{\"data\": [{\"question_id\": \"1\", \"image_id\": \"a\"}]}");
    CHECK_INT(fixture_read(&f, "textvqa", "val"), ERR_DATA);
    CHECK(strstr(f.err.text, "data[0] should have") != NULL);
    fixture_free(&f);
}
