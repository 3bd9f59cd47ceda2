/* MM-Vet: the judge's message and ladder, reading of grades, aggregation.
 *
 * Provenance: yuweihao/MM-Vet acde843, mm-vet_evaluator.py, run with a client that plays back. */
#include <math.h>
#include <stdio.h>

#include "tests/judged.h"

static const char four[] =
    "{\"v1_0\": {\"imagename\": \"v1_0.png\", \"question\": \"What is the total?\", \"answer\": "
    "\"12<OR> twelve\", \"imagesource\": \"x\", \"capability\": [\"ocr\", \"math\"]},\n"
    "\"v1_1\": {\"imagename\": \"v1_1.png\", "
    "\"question\": \"Who is left of the door?\", \"answer\": \"a boy<AND>a cat\", "
    "\"capability\": [\"spat\", \"rec\", \"spat\"]},\n"
    "\"v1_2\": {\"imagename\": \"v1_1.png\", \"question\": \" a\\nb \", \"answer\": \"x\", "
    "\"capability\": [\"ocr\"]},\n"
    "\"v1_3\": {\"imagename\": \"v1_3.jpg\", \"question\": \"c\", \"answer\": \"x\", "
    "\"capability\": [\"math\", \"ocr\"]}}";

TEST(mmvet_reads_its_questions)
{
    struct fixture f;
    put("mm-vet.json", four);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(f.questions.n, 4);
    CHECK_STR(f.questions.at[2].id, "v1_2");
    CHECK_STR(f.questions.at[2].image, "images/v1_1.png");
    CHECK_STR(f.questions.at[0].category, "ocr_math");      /* a set: in the canonical order */
    CHECK_STR(f.questions.at[1].category, "rec_spat");
    CHECK_STR(fixture_prompt(&f, 2), " a\nb ");             /* not trimmed */
    fixture_free(&f);
    put("mm-vet.json", "{\"v1_7\": {\"imagename\": \"a\", \"question\": \"b\", \"answer\": \"c\", "
                       "\"capability\": [\"rec\", \"smell\"]}}");
    CHECK_INT(fixture_read(&f, "mmvet", "test"), ERR_DATA);
    CHECK(strstr(f.err.text, "\"v1_7\"") != NULL);
    fixture_free(&f);
}

TEST(mmvet_asks_the_judge_as_the_original)
{
    static const double temperatures[] = { 0, 0, 0.5, 1.0, 1.5 };
    struct fixture f;
    struct judge_request r;
    char hex[SHA256_HEX];
    put("mm-vet.json", four);
    put("mm-vet_evaluator.py", "import os\n# prompt = \"\"\"no\"\"\"\n  prompt = \"\"\"no\"\"\"\n"
                               "prompt = \"\"\"Table\nQ | G | P | C\n\"\"\"\n"
                               "prompt = \"\"\"late\"\"\"\n");
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(f.benchmark->judge_open(".", &f.questions, &f.err), f.err);
    CHECK_OK(f.benchmark->judge_request(&f.questions, 0, "12 dollars", 0, &f.arena, &r, &f.err),
             f.err);
    CHECK_STR(r.user, "Table\nQ | G | P | C\n\n"
                      "What is the total? | 12 <OR>  twelve | 12 dollars | ");
    CHECK_STR(judged_hash(r.user, hex),
              "cd58774e757915d187bc422f0f0f5468a7f3a38d975bdafa230820b5f8473943");
    CHECK(r.system == NULL);
    CHECK_INT(r.max_tokens, 3);
    CHECK_INT(f.benchmark->judge_attempts, COUNT(temperatures));
    for (int k = 0; k < f.benchmark->judge_attempts; k++) {
        CHECK_OK(f.benchmark->judge_request(&f.questions, 1, "A cat.", k, &f.arena, &r, &f.err),
                 f.err);
        CHECK_NEAR(r.temperature, temperatures[k], 0);
        CHECK_INT(strlen(r.user), k ? 125 : 77);
        CHECK_STR(judged_hash(r.user, hex),
                  k ? "9eec965f20abcf98eae4f19125ab408011bab582ed73022d2a4d709fbf727712"
                    : "022c70f849a4ccc349e28ade36a36d140c07fd2e2a3a12b04326f9c08f9ca186");
    }
    fixture_free(&f);
}

TEST(mmvet_refuses_evaluators_without_a_plain_table)
{
    static const char *const files[] = {
        "", "x = 1\n", "prompt = \"\"\"no end", "prompt = \"\"\"a\\nb\"\"\"\n",
        "prompt = \"\"\"a\r\nb\"\"\"\n", " prompt = \"\"\"a\"\"\"\n",
    };
    struct fixture f;
    put("mm-vet.json", four);
    for (size_t i = 0; i < COUNT(files); i++) {
        put("mm-vet_evaluator.py", files[i]);
        CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
        CHECK_INT(f.benchmark->judge_open(".", &f.questions, &f.err), ERR_DATA);
        CHECK(strstr(f.err.text, "mm-vet_evaluator.py") != NULL);
        fixture_free(&f);
    }
}

TEST(mmvet_reads_grades_as_the_original)
{
    static const struct { const char *reply; double grade; } good[] = {
        { "0.35", 0.35 }, { "0.35 |", 0.35 }, { "1", 1 }, { "1.0\n", 1 }, { ".4", 0.4 },
        { "4e-1", 0.4 }, { "\n0.4", 0.4 }, { "-0", 0 }, { "0.0", 0 },
    };
    static const char *const bad[] = {
        "0.35|", "0,4", "**0.4**", "0x1", "0.4\nok", " 0.35", "", "Score: 0.4", "1.2", "-0.2",
        "inf", "nan", "1.0000001",
    };
    const struct benchmark *b = benchmark_find("mmvet");
    struct mark m;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!CHECK(b->judge_mark(good[i].reply, 2, &m) && !m.unread) ||
            !CHECK_NEAR(m.a, good[i].grade, 0) || !CHECK_NEAR(m.b, 2, 0))
            CHECK_STR(good[i].reply, "");
    for (size_t i = 0; i < COUNT(bad); i++)
        if (!CHECK(!b->judge_mark(bad[i], 2, &m) && m.unread && m.a == 0 && m.b == -1))
            CHECK_STR(bad[i], "");
    CHECK(!b->judge_mark(NULL, 0, &m));
    char said[64];
    b->judge_demo(0.7299, said);
    CHECK_STR(said, "0.73");
}

static void check_example(const struct fixture *f)
{
    judged_check(f, "total", 76.7);
    judged_check(f, "std", 6.6);
    judged_check(f, "total_run0", 82.5);
    judged_check(f, "total_run1", 67.5);
    judged_check(f, "total_run2", 80.0);
    judged_check(f, "ocr", 91.7);
    judged_check(f, "math", 87.5);
    judged_check(f, "rec", 31.7);
    judged_check(f, "spat", 31.7);
    judged_check(f, "int_ocr_math", 87.5);
    judged_check(f, "int_rec_spat", 31.7);
    judged_check(f, "int_ocr", 100.0);
    judged_check(f, "runs", 3);
    CHECK(isnan(scores_get(&f->scores, "know")));
}

#define REVIEW(id, run, attempt, reply) \
    "{\"question_id\": " id ", \"run\": " #run ", \"attempt\": " #attempt \
    ", \"reply\": \"" reply "\"}\n"

TEST(mmvet_aggregates_as_the_original)
{
    struct fixture f;
    put("mm-vet.json", four);                               /* nothing else is needed */
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(judged_score(&f,
        REVIEW("\"v1_1\"", 1, 1, "0.0") REVIEW("\"v1_1\"", 1, 0, "none") REVIEW("0", 0, 0, "1.0")
        "{\"question_id\": \"1\", \"reply\": \"0.45\"}\n"   /* run and attempt 0 */
        REVIEW("2", 0, 0, "1.0") REVIEW("3", 0, 0, "0.85 |")
        REVIEW("0", 1, 0, "0.9") REVIEW("2", 1, 0, "1") REVIEW("3", 1, 0, "0.8")
        REVIEW("3", 1, 1, "0.1") REVIEW("0", 2, 0, "0.9") REVIEW("1", 2, 0, "0.5")
        REVIEW("2", 2, 0, "1") REVIEW("3", 2, 3, "0.8"), false), f.err);
    check_example(&f);
    judged_check(&f, "n_unparsed", 0);
    judged_check(&f, "n_reasked", 2);
    fixture_free(&f);
}

TEST(mmvet_reads_the_official_grades)
{
    struct fixture f;
    put("mm-vet.json", four);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(judged_score(&f, "{\"v1_0\": {\"model\": [\"gpt-4\"], \"content\": [\"1.0\"], "
        "\"score\": [1.0, 0.9, 0.9]},\n\"v1_1\": {\"score\": [0.45, 0.0, 0.5]}, \"v1_2\": "
        "{\"score\": [1.0, 1, 1]}, \"v1_3\": {\"score\": [0.85, 0.8, 0.8]}}", false), f.err);
    check_example(&f);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(judged_score(&f, "{\"v1_0\": {\"score\": [1.0]}}", false), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "v1_1") != NULL);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(judged_score(&f, "{\"v1_0\": {\"score\": [\"1\"]}}", false), ERR_DATA);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(judged_score(&f, "{\"v1_0\": {\"score\": [55]}}", true), ERR_DATA);
    CHECK(strstr(f.err.text, "question v1_0: its grade in run 0 is 55, expected 0 to 1") != NULL);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(judged_score(&f, "{\"a\": 1}", false), ERR_DATA);
    fixture_free(&f);
}

/* The mean 12.25 is a tie of the product with ten; no attempt read is a zero that is counted, and
 * the sixth attempt is never looked at. */
TEST(mmvet_rounds_as_numpy_and_counts_the_unparsed)
{
    struct fixture f;
    put("mm-vet.json", four);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(judged_score(&f, REVIEW("0", 0, 0, "0.49") REVIEW("1", 0, 0, "x")
        REVIEW("1", 0, 5, "1.0") REVIEW("2", 0, 7, "1.0")
        "{\"question_id\": 3, \"reply\": null}\n", false), f.err);
    judged_check(&f, "total", 12.2);
    judged_check(&f, "std", 0);
    judged_check(&f, "n_unparsed", 3);
    judged_check(&f, "n_reasked", 0);
    fixture_free(&f);
}

TEST(mmvet_wants_every_run_whole)
{
    struct fixture f;
    static const char gap[] = REVIEW("0", 0, 0, "1") REVIEW("1", 0, 0, "1") REVIEW("3", 0, 0, "0");
    put("mm-vet.json", four);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(judged_score(&f, gap, false), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "v1_2") != NULL);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(judged_score(&f, gap, true), f.err);
    judged_check(&f, "total", 66.7);
    judged_check(&f, "n_missing", 1);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_INT(judged_score(&f, REVIEW("0", 2, 1, "1") REVIEW("\"v1_0\"", 2, 1, "1"), false),
              ERR_DATA);
    CHECK(strstr(f.err.text, "v1_0 stands twice in run 2 (attempt 1)") != NULL);
    fixture_free(&f);
}

TEST(mmvet_takes_ids_in_three_forms_and_exports)
{
    struct fixture f;
    struct exports out = { 0 };
    put("mm-vet.json", four);
    put("answers.jsonl", "{\"question_id\": 0, \"text\": \"a\\nb\"}\n"
        "{\"question_id\": \"1\", \"text\": \" \u00e9 \"}\n"
        "{\"question_id\": \"v1_2\", \"text\": \"\"}\n"
        "{\"question_id\": 99, \"text\": \"x\"}\n{\"question_id\": \"-1\", \"text\": \"x\"}\n");
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(answers_read(f.benchmark, &f.questions, "answers.jsonl", &f.answers, &f.arena, &f.err),
             f.err);
    CHECK_INT(f.answers.unknown, 2);
    CHECK_INT(f.answers.missing, 1);
    CHECK_INT(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "v1_3") != NULL);
    err_clear(&f.err);
    answers_give(&f.answers, 3, "d");
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &out, &f.err), f.err);
    CHECK_STR(out.files[0].text.at, "{\n  \"v1_0\": \"a\\nb\",\n  \"v1_1\": \" \\u00e9 \",\n  \"v1_2\": \"\",\n"
                      "  \"v1_3\": \"d\"\n}");
    exports_free(&out);
    fixture_free(&f);
}
