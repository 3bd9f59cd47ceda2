/* ScienceQA: multiple choice from school books; the paper reports the questions with a picture.
 *
 * Data    problems.json, one object of all 21,208 problems by id; pid_splits.json, the ids of each
 *         split. The order of the split's list is ours.
 * Score   haotian-liu/LLaVA llava/eval/eval_science_qa.py. That script takes "has a picture" from the
 *         stored prompt; here problems.json says it, so an unanswered one counts as wrong. */
#include <string.h>

#include "benchmarks/benchmark.h"
#include "benchmarks/choice.h"

#define SCIENCEQA "https://raw.githubusercontent.com/lupantech/ScienceQA/main/data/scienceqa/"
static const struct source sources[] = {
    { .path = "problems.json", .url = { SCIENCEQA "problems.json" } },
    { .path = "pid_splits.json", .url = { SCIENCEQA "pid_splits.json" }, .bytes = 502927 },
    { .path = "images/", .url = { "https://scienceqa.s3.us-west-1.amazonaws.com/images/test.zip" },
      .images = true },
};

enum { CHOICES_MIN = 2, CHOICES_MAX = 5 };

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { "problems.json", "pid_splits.json", NULL };
    (void)split;
    return files;
}

/* The ids of the split, in order, as questions without contents. */
static enum status read_ids(const char *path, const char *split, struct questions *qs,
                            struct err *e)
{
    struct json_items ids;
    struct arena scratch = { 0 };
    const struct json *id;
    if (json_items_open(&ids, path, split, &scratch, e) == OK)
        while ((id = json_items_next(&ids))) {
            if (id->type != JSON_STRING) {
                err_set(e, ERR_DATA, "%s: \"%s\"[%zu] is no string, expected an id", path, split,
                        ids.index);
                break;
            }
            questions_add(qs, (struct question){ .id = arena_str(qs->arena, id->string) });
        }
    json_items_close(&ids);
    arena_free(&scratch);
    return e->code;
}

static enum status bad_field(const char *path, const struct json *problem, const char *field,
                             const char *expected, struct err *e)
{
    return err_set(e, ERR_DATA, "%s: problem \"%s\": \"%s\" is missing or wrong, expected %s", path,
                   problem->key, field, expected);
}

static enum status read_problem(const char *path, const struct json *problem, const char *split,
                                struct arena *a, struct question *q, struct err *e)
{
    static const char *const letters[CHOICES_MAX] = { "A", "B", "C", "D", "E" };
    const struct json *choices = json_get(problem, "choices"), *image = json_get(problem, "image");
    const char *text = json_get_str(problem, "question", NULL);
    int64_t answer = json_get_int(problem, "answer", -1);
    if (!text)
        return bad_field(path, problem, "question", "a string", e);
    if (!choices || choices->type != JSON_ARRAY || choices->n < CHOICES_MIN ||
        choices->n > CHOICES_MAX)
        return bad_field(path, problem, "choices", "a list of 2 to 5 strings", e);
    if (answer < 0 || answer >= (int64_t)choices->n)
        return bad_field(path, problem, "answer", "the number of a choice, from 0", e);
    if (image && image->type != JSON_STRING && image->type != JSON_NULL)
        return bad_field(path, problem, "image", "a file name or null", e);
    const char **options = arena_array(a, choices->n, sizeof *options);
    int n = 0;
    for (const struct json *c = choices->first; options && c; c = c->next) {
        if (c->type != JSON_STRING)
            return bad_field(path, problem, "choices", "a list of 2 to 5 strings", e);
        options[n++] = arena_str(a, c->string);
    }
    q->text = arena_str(a, text);
    q->context = arena_str(a, json_get_str(problem, "hint", ""));
    q->category = arena_str(a, json_get_str(problem, "subject", ""));
    q->options = options;
    q->n_options = n;
    q->reference = letters[answer];
    if (image && image->type == JSON_STRING)
        q->image = arena_fmt(a, "images/%s/%s/%s", split, q->id, image->string);
    return OK;
}

static enum status read_scienceqa(const char *dir, const char *split, struct questions *qs,
                                  struct err *e)
{
    const char *problems = arena_fmt(qs->arena, "%s/problems.json", dir);
    const char *splits = arena_fmt(qs->arena, "%s/pid_splits.json", dir);
    struct json_items in = { 0 };
    struct arena scratch = { 0 };
    const struct json *problem;
    if (read_ids(splits, split, qs, e) != OK)
        return e->code;
    if (json_items_open(&in, problems, "", &scratch, e) == OK && !in.is_object)
        err_set(e, ERR_DATA, "%s: expected an object of problems by id", problems);
    while (e->code == OK && (problem = json_items_next(&in))) {
        size_t i = questions_find(qs, problem->key, SIZE_MAX);
        for (; i != SIZE_MAX && e->code == OK; i = questions_find(qs, problem->key, i))
            read_problem(problems, problem, split, qs->arena, &qs->at[i], e);
    }
    json_items_close(&in);
    arena_free(&scratch);
    for (size_t i = 0; i < qs->n && e->code == OK; i++)
        if (!qs->at[i].text)
            err_set(e, ERR_DATA, "%s: problem \"%s\" is missing, which %s has in \"%s\"", problems,
                    qs->at[i].id, splits, split);
    return e->code;
}

static void mark_scienceqa(const struct questions *qs, size_t i, const char *reply,
                           struct mark *out)
{
    char letter = choice_science(reply);
    out->a = letter && letter == qs->at[i].reference[0];
}

static void tally_scienceqa(const struct tally_input *in, struct scores *out)
{
    double right[2] = { 0 }, all[2] = { 0 };                /* [without, with picture] */
    size_t n[2] = { 0 };
    for (size_t i = 0; i < in->qs->n; i++) {
        int picture = in->qs->at[i].image != NULL;
        double weight = in->weight ? in->weight[i] : 1;
        n[picture]++;
        all[picture] += weight;
        right[picture] += in->marks[i].missing ? 0 : in->marks[i].a * weight;
    }
    scores_add(out, (right[0] + right[1]) / (all[0] + all[1]) * 100, n[0] + n[1], "accuracy");
    scores_add(out, right[1] / all[1] * 100, n[1], "image_accuracy");
}

const struct benchmark bench_scienceqa = {
    .name = "scienceqa", .title = "ScienceQA", .version = 1, .splits = "test",
    .official_n = { 4241 },
    .headline = "image_accuracy", .scale = 100,
    .headline_text = "share of the questions with a picture answered right; percent, higher is "
                     "better",
    .format = FORMAT_SCIENCE, .max_new_tokens = 1024, .missing_is_wrong = true,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "CC BY-NC-SA 4.0", .homepage = "https://scienceqa.github.io",
    .read = read_scienceqa, .question_files = question_files,
    .categories = "accuracy", .accuracies = "*",
    .mark = mark_scienceqa, .tally = tally_scienceqa,
};
