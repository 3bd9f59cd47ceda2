/* fixture.c -- see fixture.h. */
#include "tests/fixture.h"

#include <string.h>
#include "engine/base/file.h"

void put(const char *path, const char *content)
{
    struct err e = { 0 };
    struct arena a = { 0 };
    const char *slash = strrchr(path, '/');
    if (slash)
        CHECK_OK(file_mkdirs(arena_strn(&a, path, (size_t)(slash - path)), &e), e);
    CHECK_OK(file_write(path, content, strlen(content), &e), e);
    arena_free(&a);
}

enum status fixture_read(struct fixture *f, const char *benchmark, const char *split)
{
    *f = (struct fixture){ .benchmark = benchmark_find(benchmark) };
    questions_init(&f->questions, &f->arena, split);
    scores_init(&f->scores, &f->arena);
    return f->benchmark->read(".", split, &f->questions, &f->err);
}

enum status fixture_score(struct fixture *f, const char *answers, bool partial)
{
    put("answers.jsonl", answers);
    err_clear(&f->err);
    scores_free(&f->scores);
    if (answers_read(f->benchmark, &f->questions, "answers.jsonl", &f->answers, &f->arena,
                     &f->err) != OK)
        return f->err.code;
    return benchmark_score(f->benchmark, &f->questions, f->answers.text, NULL, 1, partial, 0,
                           &f->scores, &f->err);
}

void fixture_free(struct fixture *f)
{
    answers_free(&f->answers);
    scores_free(&f->scores);
    questions_free(&f->questions);
    arena_free(&f->arena);
}

double fixture_mark(const struct fixture *f, size_t i, const char *reply)
{
    struct mark m = { 0 };
    f->benchmark->mark(&f->questions, i, reply, &m);
    return m.a;
}

const char *fixture_prompt(struct fixture *f, size_t i)
{
    struct prompt_set *set;
    struct prompt_item item = question_item(&f->questions.at[i]);
    const struct benchmark *b = f->benchmark;
    CHECK_OK(prompt_set_open(&set, "paper", &f->err), f->err);
    const char *T = prompt_text(set, b->name, b->format_of ? b->format_of(f->questions.split)
                                                           : b->format, &item, &f->arena);
    prompt_set_close(set);
    return T;
}
