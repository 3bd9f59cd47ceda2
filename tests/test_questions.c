/* Lists of questions, answers files, standard errors. */
#include "benchmarks/questions.h"

#include <math.h>
#include <stdlib.h>
#include "engine/base/sha256.h"
#include "tests/fixture.h"

TEST(questions_are_found_by_id)
{
    struct arena a = { 0 };
    struct questions qs;
    questions_init(&qs, &a, "test");
    CHECK_INT(questions_find(&qs, "1", SIZE_MAX), SIZE_MAX);
    questions_free(&qs);
    for (int i = 0; i < 3000; i++)
        questions_add(&qs, (struct question){ .id = arena_fmt(&a, "q%d", i % 1000) });
    CHECK_INT(qs.n, 3000);
    size_t i = questions_find(&qs, "q17", SIZE_MAX);
    CHECK_INT(i, 17);
    CHECK_INT(i = questions_find(&qs, "q17", i), 1017);
    CHECK_INT(i = questions_find(&qs, "q17", i), 2017);
    CHECK_INT(questions_find(&qs, "q17", i), SIZE_MAX);
    CHECK_INT(questions_find(&qs, "q1000", SIZE_MAX), SIZE_MAX);
    CHECK_INT(questions_find(&qs, "", SIZE_MAX), SIZE_MAX);
    questions_free(&qs);
    arena_free(&a);
}

TEST(questions_by_image_keeps_pictures_together)
{
    struct question q[] = { { .image = "b" }, { .image = NULL }, { .image = "a" }, { .image = "b" },
                            { .image = "t#1", .picture = "a" }, { .image = NULL } };
    static const size_t want[] = { 2, 4, 0, 3, 1, 5 };
    struct questions qs = { .at = q, .n = COUNT(q) };
    struct err e = { 0 };
    size_t *order = questions_by_image(&qs, &e);
    for (size_t i = 0; i < COUNT(want); i++)
        CHECK_INT(order[i], want[i]);
    CHECK(questions_same_image(&q[2], &q[4]));
    CHECK(!questions_same_image(&q[1], &q[5]));
    free(order);
    qs.n = 0;
    order = questions_by_image(&qs, &e);
    CHECK(order != NULL);
    free(order);
}

TEST(questions_hash_sees_every_field)
{
    static const char *const one[] = { "a" }, *const two[] = { "a", "b" };
    const struct question base = { .id = "1", .category = "c", .image = "i", .text = "t",
                                   .context = "", .options = one, .n_options = 1, .reference = "r",
                                   .answers = one, .n_answers = 1 };
    struct question other[9];
    for (size_t i = 0; i < COUNT(other); i++)
        other[i] = base;
    other[0].id = "2";        other[1].category = "d";  other[2].image = NULL;
    other[3].text = "u";      other[4].context = NULL;  other[5].options = two, other[5].n_options = 2;
    other[6].reference = "s"; other[7].answers = two, other[7].n_answers = 2;
    other[8].id = "1\0c", other[8].text = "";
    unsigned char first[32], again[32];
    struct question q = base;
    struct questions qs = { .at = &q, .n = 1 };
    questions_hash(&qs, first);
    questions_hash(&qs, again);
    CHECK(!memcmp(first, again, sizeof first));
    for (size_t i = 0; i < COUNT(other); i++) {
        q = other[i];
        questions_hash(&qs, again);
        CHECK(memcmp(first, again, sizeof first) != 0);
    }
}

TEST(benchmark_lists_words)
{
    CHECK(benchmark_lists(NULL, "dev"));
    CHECK(benchmark_lists("dev,dev_cn", "dev"));
    CHECK(benchmark_lists("dev,dev_cn", "dev_cn"));
    CHECK(benchmark_lists("dev_cn,dev", "dev"));
    CHECK(!benchmark_lists("dev_cn", "dev"));
    CHECK(!benchmark_lists("", "dev"));
    CHECK(!benchmark_lists("dev,,x", "cn"));
    char split[32];
    benchmark_default_split(&(struct benchmark){ .splits = "testdev,val" }, split);
    CHECK_STR(split, "testdev");
    benchmark_default_split(&(struct benchmark){ .splits = "test" }, split);
    CHECK_STR(split, "test");
}

TEST(benchmark_registry_is_sound)
{
    static const char *const names[] = { "vqav2", "gqa", "vizwiz", "scienceqa", "textvqa", "pope",
                                         "mme", "mmbench", "seed", "llavabench", "mmvet" };
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct benchmark *b = benchmarks[i];
        if (!CHECK(b != NULL))
            return;
        CHECK_STR(b->name, names[i]);
        CHECK(benchmark_find(names[i]) == b);
        CHECK(b->title && b->splits && b->headline && b->headline_text && b->read && b->tally);
        CHECK(b->licence && b->homepage && b->version > 0 && b->scale > 0 && b->n_sources > 0);
        CHECK(b->max_new_tokens == 128 || b->max_new_tokens == 1024);
        CHECK(b->mark || b->judge_mark);
        for (int s = 0; s < b->n_sources; s++)
            CHECK(b->sources[s].path && b->sources[s].url[0]);
    }
    CHECK(benchmarks[COUNT(names)] == NULL);
    CHECK(benchmark_find("Pope") == NULL);
}

TEST(benchmark_checks_the_names_in_a_file_of_prompts)
{
    struct prompt_set *set;
    struct err e = { 0 };
    put("p.json", "{\"name\": \"x\", \"benchmarks\": {\"pope\": \"{question}\", \"*\": \"{question}\"}}");
    CHECK_OK(prompt_set_open(&set, "p.json", &e), e);
    CHECK_OK(benchmark_check_prompts(set, &e), e);
    prompt_set_close(set);
    put("p.json", "{\"name\": \"x\", \"benchmarks\": {\"popo\": \"{question}\"}}");
    CHECK_OK(prompt_set_open(&set, "p.json", &e), e);
    CHECK_INT(benchmark_check_prompts(set, &e), ERR_USAGE);
    CHECK(strstr(e.text, "popo") != NULL);
    prompt_set_close(set);
}

/* ---- a benchmark of our own ------------------------------------------------------------------ */

static void mark_length(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    (void)qs, (void)i;
    out->a = (double)strlen(reply);
}

static void tally_mean(const struct tally_input *in, struct scores *out)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < in->qs->n; i++)
        if (!in->marks[i].missing) {
            double weight = in->weight ? in->weight[i] : 1;
            sum += weight * in->marks[i].a;
            n += weight;
        }
    scores_add(out, 7, in->qs->n, "constant");
    scores_add(out, sum / n, in->qs->n, "mean");
    scores_add(out, NAN, 0, "undefined");
}

static const struct benchmark length = { .name = "length", .mark = mark_length,
                                         .tally = tally_mean };

TEST(answers_files_count_what_they_pass_over)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct questions qs;
    struct answers got;
    questions_init(&qs, &a, "test");
    questions_add(&qs, (struct question){ .id = "1" });
    questions_add(&qs, (struct question){ .id = "two" });
    questions_add(&qs, (struct question){ .id = "3" });
    put("a.jsonl", "{\"question_id\": 1, \"text\": \"first\", \"model_id\": \"m\"}\r\n"
        "\n"
        "not json\n"
        "[1]\n"
        "{\"question_id\": \"1\", \"text\": \"\"}\n"        /* an empty answer is an answer */
        "{\"question_id\": 1.5, \"text\": \"x\"}\n"
        "{\"text\": \"x\"}\n"
        "{\"question_id\": 3}\n"
        "{\"question_id\": 3, \"text\": null}\n"
        "{\"question_id\": \"four\", \"text\": \"x\"}\n"
        "{\"question_id\": \"two\", \"text\": \"é\\u0021\"}");
    CHECK_OK(answers_read(&length, &qs, "a.jsonl", &got, &a, &e), e);
    CHECK_STR(got.text[0], "");
    CHECK_STR(got.text[1], "é!");
    CHECK(got.text[2] == NULL);
    CHECK_INT(got.missing, 1);
    CHECK_INT(got.repeated, 1);
    CHECK_INT(got.unknown, 1);
    CHECK_INT(got.unreadable, 6);
    answers_free(&got);
    CHECK_INT(answers_read(&length, &qs, "absent.jsonl", &got, &a, &e), ERR_DATA);
    answers_free(&got);
    questions_free(&qs);
    arena_free(&a);
}

enum { PICTURES = 400, EACH = 5 };

/* Pictures with five questions of one value each: the error of the mean is that of 400 draws, not
 * of 2000. Values are 0 or 1, so it is near sqrt(1/4 / 400) = 0.025. */
TEST(benchmark_errors_are_of_pictures)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct questions qs;
    struct scores one, two;
    const char *replies[PICTURES * EACH];
    questions_init(&qs, &a, "test");
    for (int i = 0; i < PICTURES * EACH; i++) {
        questions_add(&qs, (struct question){ .id = "x", .image = arena_fmt(&a, "%d", i / EACH) });
        replies[i] = i / EACH % 2 ? "1" : "";
    }
    scores_init(&one, &a);
    scores_init(&two, &a);
    CHECK_OK(benchmark_score(&length, &qs, replies, NULL, 1, false, 1000, &one, &e), e);
    CHECK_OK(benchmark_score(&length, &qs, replies, NULL, 1, false, 1000, &two, &e), e);
    CHECK_NEAR(scores_get(&one, "mean"), 0.5, 1e-15);
    CHECK_INT(one.n, 3);
    CHECK_NEAR(one.at[0].stderror, 0, 0);
    CHECK_NEAR(one.at[1].stderror, 0.025, 0.0025);          /* four errors of its own error */
    CHECK_NEAR(one.at[1].stderror, two.at[1].stderror, 0);  /* the same draws each time */
    CHECK(isnan(one.at[2].stderror));
    CHECK_INT(one.n_questions, PICTURES * EACH);
    for (int i = 0; i < PICTURES * EACH; i++)
        qs.at[i].image = NULL;                              /* text only: each for itself */
    scores_free(&two);
    CHECK_OK(benchmark_score(&length, &qs, replies, NULL, 1, false, 1000, &two, &e), e);
    CHECK_NEAR(two.at[1].stderror, sqrt(0.25 / (PICTURES * EACH)), 0.0012);
    for (int i = 0; i < PICTURES * EACH; i++)
        qs.at[i].image = "one";                             /* nothing to vary */
    scores_free(&two);
    CHECK_OK(benchmark_score(&length, &qs, replies, NULL, 1, false, 1000, &two, &e), e);
    CHECK(isnan(two.at[1].stderror));
    scores_free(&one);
    scores_free(&two);
    questions_free(&qs);
    arena_free(&a);
}
