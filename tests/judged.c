/* judged.c -- see judged.h. */
#include "tests/judged.h"

#include "benchmarks/reviews.h"

enum status judged_score(struct fixture *f, const char *reviews, bool partial)
{
    struct review_rules rules = { .partial = partial };
    struct mark *marks = NULL;
    struct scores extra;
    int passes = 0;
    const char *replies[64];
    put("reviews.jsonl", reviews);
    scores_init(&extra, &f->arena);
    enum status s = f->benchmark->reviews(&f->questions, "reviews.jsonl", &rules, &f->arena,
                                          &marks, &passes, &extra, &f->err);
    for (size_t i = 0; i < f->questions.n && CHECK(i < COUNT(replies)); i++)
        replies[i] = "";
    if (s == OK)
        s = benchmark_score(f->benchmark, &f->questions, replies, marks, passes, partial, 0,
                            &f->scores, &f->err);
    for (size_t i = 0; i < extra.n; i++)
        scores_add(&f->scores, extra.at[i].value, extra.at[i].n, "%s", extra.at[i].metric);
    scores_free(&extra);
    return s;
}

void judged_check(const struct fixture *f, const char *metric, double want)
{
    if (!CHECK_NEAR(scores_get(&f->scores, metric), want, 0))
        CHECK_STR(metric, "");                              /* which one it was */
}

const char *judged_hash(const char *text, char hex[SHA256_HEX])
{
    unsigned char hash[SHA256_SIZE];
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, text, strlen(text));
    sha256_end(&s, hash);
    sha256_hex(hash, hex);
    return hex;
}
