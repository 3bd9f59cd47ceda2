/* LLaVA-Bench: the judge's message, reading of scores, the official summary.
 *
 * Provenance: haotian-liu/LLaVA c121f04, llava/eval/eval_gpt_review_bench.py (messages, pairs) and
 * llava/eval/summarize_gpt_review.py (summaries), run on these inputs. */
#include <math.h>
#include <stdio.h>

#include "tests/judged.h"

static const char questions[] =
    "{\"question_id\": 0, \"image\": \"001.jpg\", \"category\": \"conv\", "
    "\"text\": \"What is in the sky?\"}\n"
    "{\"question_id\": 1, \"image\": \"002.jpg\", \"category\": \"conv\", "
    "\"text\": \"Describe it.\"}\n"
    "{\"question_id\": 2, \"image\": \"001.jpg\", \"category\": \"detail\", \"text\": \"c\"}\n"
    "{\"question_id\": 3, \"image\": \"001.jpg\", \"category\": \"detail\", \"text\": \"d\"}\n"
    "{\"question_id\": 4, \"image\": \"001.jpg\", \"category\": \"complex\", \"text\": \"e\"}\n"
    "{\"question_id\": 5, \"image\": \"001.jpg\", \"category\": \"complex\", \"text\": \"f\"}\n"
    "{\"question_id\": 6, \"image\": \"001.jpg\", \"category\": \"complex\", \"text\": \" g \"}\n";
static const char captions[] =
    "{\"id\": 0, \"image\": \"001.jpg\", \"caption\": \"old\"}\n"
    "{\"id\": 0, \"image\": \"001.jpg\", \"caption\": \"A red kite above a beach.\"}\n"
    "{\"id\": 1, \"image\": \"002.jpg\", \"caption\": [\"A desk.\", \"A lamp on it.\"]}\n";
static const char references[] =
    "{\"question_id\": 1, \"text\": \"A desk with a lamp.\"}\n"
    "{\"question_id\": 0, \"text\": \"A kite.\"}\n"
    "{\"question_id\": 2, \"text\": \"r\"}\n{\"question_id\": 3, \"text\": \"r\"}\n"
    "{\"question_id\": 4, \"text\": \"r\"}\n{\"question_id\": 5, \"text\": \"r\"}\n"
    "{\"question_id\": 6, \"text\": \"r\"}\n";
#define RULE(category) "\"llava_bench_" category "\": {\"role\": \"Assistant\", \"prompt\": " \
    "\"Rate both.\\nTwo numbers first.\"}"

static void put_files(void)
{
    put("questions.jsonl", questions);
    put("context.jsonl", captions);
    put("answers_gpt4.jsonl", references);
    put("rule.json", "{\"conv\": {\"role\": \"x\", \"prompt\": \"y\"}, " RULE("conv") ", "
        RULE("detail") ", " RULE("complex") "}");
}

TEST(llavabench_asks_the_judge_as_the_original)
{
    struct fixture f;
    struct judge_request r;
    char hex[SHA256_HEX];
    put_files();
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_INT(f.questions.n, 7);
    CHECK_STR(f.questions.at[1].image, "images/002.jpg");
    CHECK_STR(f.questions.at[4].category, "complex");
    CHECK_STR(f.questions.at[1].reference, "A desk with a lamp.");
    CHECK_STR(fixture_prompt(&f, 6), " g ");                /* not trimmed */
    CHECK_OK(f.benchmark->judge_open(".", &f.questions, &f.err), f.err);
    CHECK_OK(f.benchmark->judge_request(&f.questions, 0, "A red kite.\n", 0, &f.arena, &r, &f.err),
             f.err);
    CHECK_STR(r.system, "You are a helpful and precise assistant for checking the quality of the "
                        "answer.");
    CHECK_INT(strlen(r.user), 204);
    CHECK_STR(judged_hash(r.user, hex),
              "f427cda224bbb02ec4eabe2d1d466ef193725bf13f6d1e4ed8f7dd23aa45b7b6");
    CHECK_NEAR(r.temperature, 0.2, 0);
    CHECK_INT(r.max_tokens, 1024);
    CHECK_OK(f.benchmark->judge_request(&f.questions, 1, "", 0, &f.arena, &r, &f.err), f.err);
    CHECK_INT(strlen(r.user), 193);
    CHECK_STR(judged_hash(r.user, hex),
              "3c9d914c64a6451406a26476f75c30fadff054d21070ee65069c4947a1d7e76a");
    fixture_free(&f);
}

TEST(llavabench_reads_pairs_as_the_original)
{
    static const struct { const char *reply; double a, b; } good[] = {
        { "7 6.5\nBecause.", 7, 6.5 }, { "7 6.5", 7, 6.5 }, { "7,6\nx", 7, 6 }, 
        { "7 6\r\nx", 7, 6 }, { "7 6\t\nx", 7, 6 }, { "7 6.\nx", 7, 6 }, { "+7 .5", 7, 0.5 },
        { "7e0 1_0", 7, 10 }, { "-1 -1", -1, -1 },
    };
    static const char *const bad[] = {
        "7, 6\nx", "7 6 \nx", " 7 6", "\n7 6", "7  6", "Assistant 1: 7 6", "**7 6**", "7/10 6/10",
        "6", "7 6 5", "0x7 6", "", "7, ", "nan 6", "inf 6", "7\t6", " ", ",",
    };
    const struct benchmark *b = benchmark_find("llavabench");
    struct mark m;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!CHECK(b->judge_mark(good[i].reply, 0, &m) && !m.unread && !m.missing) ||
            !CHECK_NEAR(m.a, good[i].a, 0) || !CHECK_NEAR(m.b, good[i].b, 0))
            CHECK_STR(good[i].reply, "");
    for (size_t i = 0; i < COUNT(bad); i++)
        if (!CHECK(!b->judge_mark(bad[i], 0, &m) && m.unread && m.a == -1 && m.b == -1))
            CHECK_STR(bad[i], "");
    CHECK(!b->judge_mark(NULL, 0, &m) && m.a == -1 && m.unread);
}

TEST(llavabench_demo_judge_is_readable)
{
    const struct benchmark *b = benchmark_find("llavabench");
    char said[64];
    struct mark m;
    b->judge_demo(0.7234, said);
    CHECK_STR(said, "10 7.5\nWord overlap with the reference.");
    CHECK(b->judge_mark(said, 0, &m));
    CHECK_NEAR(m.b, 7.5, 0);
}

static void check_group(const struct fixture *f, const char *group, double rel, double reference,
                        double candidate)
{
    char name[40];
    snprintf(name, sizeof name, "rel_%s", group);
    judged_check(f, name, rel);
    snprintf(name, sizeof name, "ref_%s", group);
    judged_check(f, name, reference);
    snprintf(name, sizeof name, "cand_%s", group);
    judged_check(f, name, candidate);
}

#define REVIEW(id, run, reply) \
    "{\"question_id\": " #id ", \"run\": " #run ", \"reply\": \"" reply "\"}\n"

TEST(llavabench_summarizes_as_the_original)
{
    struct fixture f;
    put("questions.jsonl", questions);                      /* nothing else is needed */
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK(f.questions.at[0].reference == NULL);
    CHECK_OK(judged_score(&f, REVIEW(6, 0, "7 8.5") REVIEW(0, 0, "8 9\\nx") REVIEW(1, 0, "9 2")
        REVIEW(2, 0, "9 6.5") REVIEW(3, 0, "sorry") REVIEW(4, 0, "8 9") REVIEW(5, 0, ""), false),
        f.err);
    check_group(&f, "all", 84.6, 55.7, 47.1);
    check_group(&f, "complex", 117.8, 46.7, 55.0);
    check_group(&f, "conv", 64.7, 85.0, 55.0);
    check_group(&f, "detail", 68.8, 40.0, 27.5);
    judged_check(&f, "n_invalid", 2);
    judged_check(&f, "n_out_of_range", 0);
    judged_check(&f, "runs", 1);
    judged_check(&f, "rel_all_std", 0);
    judged_check(&f, "rel_all_run0", 84.6);
    judged_check(&f, "rel_all_clean", 85.4);                 /* 35 over 41 */
    CHECK(isnan(scores_get(&f.scores, "n_missing")));
    fixture_free(&f);
}

/* The three decimals in between are visible: 64.3 without them. */
TEST(llavabench_rounds_on_the_way)
{
    struct fixture f;
    put("questions.jsonl", questions);
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(judged_score(&f, REVIEW(0, 0, "7 5") REVIEW(1, 0, "7 8") REVIEW(2, 0, "7 3")
        REVIEW(3, 0, "9.5 5") REVIEW(4, 0, "8.5 8") REVIEW(5, 0, "10 6") REVIEW(6, 0, "8.5 2"),
        false), f.err);
    judged_check(&f, "rel_all", 64.4);
    fixture_free(&f);
}

static const char one_question[] =
    "{\"question_id\": 5, \"image\": \"001.jpg\", \"category\": \"conv\", \"text\": \"a\"}\n";

/* The mean over passes of what is rounded: the three released passes of 7B, 64.7 65.3 66.3, gave
 * the published 65.4. Labels of runs need not be dense. */
TEST(llavabench_means_over_passes)
{
    struct fixture f;
    put("questions.jsonl", one_question);
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(judged_score(&f, REVIEW(5, 9, "10 6.63") REVIEW(5, 1, "10 6.47")
        "{\"question_id\": \"5\", \"run\": 4, \"content\": \"10 6.53\", \"tuple\": [10, 6.53]}\n",
        false), f.err);
    judged_check(&f, "rel_all_run1", 64.7);
    judged_check(&f, "rel_all_run4", 65.3);
    judged_check(&f, "rel_all_run9", 66.3);
    judged_check(&f, "rel_all", 65.4);
    judged_check(&f, "rel_all_std", 0.7);
    judged_check(&f, "runs", 3);
    judged_check(&f, "cand_conv", 65.4);
    CHECK(isnan(scores_get(&f.scores, "rel_detail")));
    CHECK(isnan(scores_get(&f.scores, "n_tuple_differs")));
    fixture_free(&f);
}

/* A pass of nothing but failures reports 100; a literal "-1 -1" is a readable pair. */
TEST(llavabench_counts_what_cannot_be_read)
{
    struct fixture f;
    put("questions.jsonl", one_question);
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(judged_score(&f, "{\"question_id\": 5, \"reply\": null, \"tuple\": [3, 4]}\n", false),
             f.err);
    judged_check(&f, "rel_all", 100);
    judged_check(&f, "n_invalid", 1);
    judged_check(&f, "n_out_of_range", 0);
    judged_check(&f, "n_tuple_differs", 1);
    CHECK(isnan(scores_get(&f.scores, "rel_all_clean")));
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(judged_score(&f, REVIEW(5, 0, "-1 -1"), false), f.err);
    judged_check(&f, "n_invalid", 0);
    judged_check(&f, "n_out_of_range", 1);
    fixture_free(&f);
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(judged_score(&f, REVIEW(5, 0, "0 5"), false), f.err);
    CHECK(isnan(scores_get(&f.scores, "rel_all")));         /* the original divides by zero */
    judged_check(&f, "cand_all", 50);
    fixture_free(&f);
}

TEST(llavabench_wants_every_pass_whole)
{
    static const struct { const char *reviews; enum status code; const char *why; } rows[] = {
        { REVIEW(0, 0, "7 6") REVIEW(1, 0, "7 6"), ERR_INCOMPLETE, "question 2 has no reply" },
        { REVIEW(0, 3, "7 6") REVIEW(0, 3, "7 5"), ERR_DATA, "question 0 stands twice in run 3" },
        { "{\"question_id\": 0}\n", ERR_DATA, "\"reply\"" },
        { "{\"question_id\": 0, \"reply\": \"7 6\", \"run\": \"a\"}\n", ERR_DATA, "\"run\"" },
        { "{\"reply\": \"7 6\"}\n", ERR_DATA, "\"question_id\"" },
        { "", ERR_INCOMPLETE, "no review" },
    };
    struct fixture f;
    put("questions.jsonl", questions);
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
        CHECK_INT(judged_score(&f, rows[i].reviews, false), rows[i].code);
        if (!CHECK(strstr(f.err.text, rows[i].why) != NULL))
            CHECK_STR(f.err.text, rows[i].why);
        fixture_free(&f);
    }
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(judged_score(&f, rows[0].reviews, true), f.err);
    judged_check(&f, "rel_conv", 85.7);
    judged_check(&f, "n_missing", 5);
    fixture_free(&f);
}

static void check_refused(const char *why)
{
    struct fixture f;
    enum status s = fixture_read(&f, "llavabench", "test");
    if (s == OK)
        s = f.benchmark->judge_open(".", &f.questions, &f.err);
    CHECK_INT(s, ERR_DATA);
    if (!CHECK(strstr(f.err.text, why) != NULL))
        CHECK_STR(f.err.text, why);
    fixture_free(&f);
}

TEST(llavabench_names_what_its_files_lack)
{
    put_files();
    put("context.jsonl", "{\"image\": \"001.jpg\", \"caption\": \"x\"}\n");
    check_refused("no caption of 002.jpg");
    put("context.jsonl", "{\"image\": \"001.jpg\", \"caption\": 5}\n");
    check_refused("context.jsonl:1");
    put_files();
    put("rule.json", "{" RULE("conv") "}");
    check_refused("llava_bench_detail");
    put_files();
    put("answers_gpt4.jsonl", "{\"question_id\": 0, \"text\": \"A kite.\"}\n");
    check_refused("no answer to question_id 1");
    put("answers_gpt4.jsonl", "{\"question_id\": 0, \"text\": \"A\"}\n"
                              "{\"question_id\": 0, \"text\": \"B\"}\n");
    check_refused("answers_gpt4.jsonl:2: question_id 0 stands twice");
    put_files();
    char twice[2 * sizeof one_question];
    snprintf(twice, sizeof twice, "%s%s", one_question, one_question);
    put("questions.jsonl", twice);
    check_refused("question_id 5 stands twice");
    put("questions.jsonl", "{\"question_id\": 5, \"image\": \"1\", \"category\": \"chat\", "
                           "\"text\": \"a\"}\n");
    check_refused("\"category\" is \"chat\"");
}
