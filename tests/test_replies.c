/* Random replies read as the evaluators' Python reads them: tests/vectors/replies/record.py, which
 * says the rules a second time. LLAVA_REPLIES names another file of it, for more of them. */
#include <stdio.h>
#include <stdlib.h>

#include "benchmarks/choice.h"
#include "benchmarks/vqa_answer.h"
#include "tests/fixture.h"

static double mark(const char *benchmark, const char *reference, const char *reply)
{
    struct question q = { .reference = reference };
    struct fixture f = { .benchmark = benchmark_find(benchmark), .questions = { .at = &q, .n = 1 } };
    return fixture_mark(&f, 0, reply);
}

static bool same_letter(char got, const char *want)
{
    return got == want[0];
}

static bool judged(const struct benchmark *b, struct jsonl *in, const char *reply)
{
    struct mark m = { 0 };
    bool read = b->judge_mark(reply, 0, &m);
    return read == json_get_bool(in->object, "read", false) &&
           (!read || (m.a == json_get_double(in->object, "a", 0) &&
                      m.b == json_get_double(in->object, "b", m.b)));
}

static bool reads_alike(struct jsonl *in, const char *rule, struct arena *a)
{
    const char *reply = jsonl_str(in, "reply");
    if (!strcmp(rule, "pair"))
        return judged(benchmark_find("llavabench"), in, reply);
    if (!strcmp(rule, "grade"))
        return judged(benchmark_find("mmvet"), in, reply);
    const char *want = jsonl_str(in, "want");
    if (!strcmp(rule, "pope"))
        return (mark("pope", "yes", reply) > 0) == !strcmp(want, "yes");
    if (!strcmp(rule, "mme"))
        return mark("mme", "yes", reply) == !strcmp(want, "yes") &&
               mark("mme", "no", reply) == !strcmp(want, "no");
    if (!strcmp(rule, "scienceqa"))
        return same_letter(choice_science(reply), want);
    if (!strcmp(rule, "gqa"))
        return mark("gqa", want, reply) == 1;
    if (!strcmp(rule, "vqa"))
        return !strcmp(vqa_normal(a, reply, CONTRACTIONS_VQA), want);
    if (!strcmp(rule, "m4c"))
        return !strcmp(vqa_submitted(a, reply), want);
    const char *texts[4] = { NULL };
    int n = 0;
    for (const struct json *c = json_get(in->object, "choices")->first; c && n < 4; c = c->next)
        texts[n++] = c->string;
    return same_letter(choice_infer(reply, texts, 4), want);
}

TEST(replies_are_read_as_python_reads_them)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    const char *other = getenv("LLAVA_REPLIES");
    size_t n = 0;
    if (other)
        jsonl_open(&in, &a, &e, "%s", other);
    else
        jsonl_open(&in, &a, &e, "%s/tests/vectors/replies/replies.jsonl", test_root());
    while (jsonl_next(&in)) {
        const char *rule = jsonl_str(&in, "rule");
        if (!CHECK(reads_alike(&in, rule, &a)))
            printf("replies.jsonl:%zu (%s)\n", in.line, rule);
        n++;
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK(other || n == 220 * 15);
    arena_free(&a);
}
