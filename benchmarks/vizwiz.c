/* VizWiz-VQA: what blind people asked about photographs they took; many cannot be answered.
 *
 * Splits  test (the paper's figure; exported, scored by EvalAI) and val (scored here).
 * Ids     there are none in the files: ours is the place in the file, from 0, as LLaVA's. Answers
 *         files may also name the image.
 * Score   PythonEvaluationTools/vqaEvaluation/vqaEval.py of VizWiz's API: as VQAv2's, but the
 *         human answers are taken raw ("Zebra" never matches), there is no exception for answers
 *         that are all alike, and most apostrophes of its contraction table are curly. */
#include <stdio.h>
#include <string.h>

#include "benchmarks/names.h"
#include "benchmarks/python.h"
#include "benchmarks/vqa_answer.h"

#define VIZWIZ "https://vizwiz.cs.colorado.edu/VizWiz_final/"
static const struct source sources[] = {
    { .path = "Annotations/", .url = { VIZWIZ "vqa_data/Annotations.zip" },
      .strip = "Annotations", .members = "val.json,test.json" },
    { .path = "test/", .url = { VIZWIZ "images/test.zip" }, .splits = "test", .strip = "test",
      .members = "VizWiz_test_*.jpg", .images = true },
    { .path = "val/", .url = { VIZWIZ "images/val.zip" }, .splits = "val", .strip = "val",
      .members = "VizWiz_val_*.jpg", .images = true },
};

/* In the order of the metrics; mark.b is a place in it. */
static const char *const types[] = { "yes/no", "number", "other", "unanswerable" };
static const char *const metrics[] = { "yes_no", "number", "other", "unanswerable" };

static const char *const *question_files(const char *split)
{
    static const char *const test[] = { "Annotations/test.json", NULL };
    static const char *const val[] = { "Annotations/val.json", NULL };
    return strcmp(split, "val") ? test : val;
}

static enum status read_item(const struct json *item, const char *path, bool val,
                             struct questions *qs, struct err *e)
{
    struct arena *a = qs->arena;
    const char *image = json_get_str(item, "image", NULL), *text = json_get_str(item, "question",
                                                                                NULL);
    const char *type = json_get_str(item, "answer_type", "");
    char where[600];
    snprintf(where, sizeof where, "%s: [%zu]", path, qs->n);
    if (!image || !text)
        return err_set(e, ERR_DATA, "%s should have the texts \"image\" and \"question\"", where);
    struct question q = { .id = arena_fmt(a, "%zu", qs->n), .category = "",
                          .image = arena_fmt(a, "%s/%s", val ? "val" : "test", image),
                          .text = arena_str(a, text) };
    if (val) {
        for (size_t i = 0; i < COUNT(types); i++)
            if (!strcmp(types[i], type))
                q.category = types[i];
        if (!*q.category)
            return err_set(e, ERR_DATA, "%s: \"answer_type\" is \"%.40s\", expected yes/no, "
                           "number, other or unanswerable", where, type);
        if (vqa_answers(a, json_get(item, "answers"), where, &q, e) != OK)
            return e->code;
    }
    questions_add(qs, q);
    return OK;
}

static enum status read_vizwiz(const char *dir, const char *split, struct questions *qs,
                               struct err *e)
{
    struct arena scratch = { 0 };
    struct json_items in;
    const struct json *item;
    bool val = !strcmp(split, "val");
    const char *path = path_join(qs->arena, dir, question_files(split)[0]);
    json_items_open(&in, path, "", &scratch, e);
    while (e->code == OK && (item = json_items_next(&in)) != NULL)
        read_item(item, path, val, qs, e);
    json_items_close(&in);
    arena_free(&scratch);
    struct names *by_image = arena_alloc(qs->arena, sizeof *by_image);
    if (e->code != OK || !by_image || !names_init(by_image, qs->arena, qs->n))
        return err_set(e, ERR_MEMORY, "%s: no memory for %zu questions", path, qs->n);
    for (size_t i = 0; i < qs->n; i++)
        names_add(by_image, path_base(qs->at[i].image), i);
    names_sort(by_image);
    qs->more = by_image;
    return OK;
}

/* question_id is the place, or the name of the image. */
static bool match_vizwiz(struct questions *qs, const struct json *line, struct answers *into,
                         struct err *e)
{
    (void)e;                                                /* no line is worse than unknown */
    const struct names *by_image = qs->more;
    const struct json *id = json_get(line, "question_id");
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)id->integer);
    size_t i = questions_find(qs, id->type == JSON_STRING ? id->string : digits, SIZE_MAX);
    if (i == SIZE_MAX && id->type == JSON_STRING) {
        size_t at = names_find(by_image, id->string);
        i = at < by_image->n ? by_image->list[at].at : SIZE_MAX;
    }
    if (i == SIZE_MAX)
        return false;
    answers_give(into, i, json_get_str(line, "text", ""));
    return true;
}

/* a: credit, 0 to 1; b: place of the answer's type. */
static void mark_vizwiz(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    const struct question *q = &qs->at[i];
    struct arena a = { 0 };
    reply = vqa_normal(&a, vqa_submitted(&a, reply), CONTRACTIONS_VIZWIZ);
    *out = (struct mark){ .a = vqa_credit(reply, q->answers, q->n_answers) };
    while ((size_t)out->b < COUNT(types) && strcmp(types[(size_t)out->b], q->category) != 0)
        out->b++;
    arena_free(&a);
}

static void tally_vizwiz(const struct tally_input *in, struct scores *out)
{
    if (in->qs->n && in->qs->at[0].answers)                 /* test: the server's business */
        vqa_tally(in, metrics, COUNT(metrics), out);
}

/* LLaVA's scripts/convert_vizwiz_for_submission.py, which stops at a missing answer. */
static enum status export_vizwiz(struct questions *qs, const struct answers *given,
                                 struct exports *files, struct err *e)
{
    struct arena a = { 0 };
    if (!strcmp(qs->split, "val"))
        return err_set(e, ERR_USAGE, "vizwiz:val is scored here: the server takes test");
    for (size_t i = 0; i < qs->n; i++)
        if (!given->text[i])
            return err_set(e, ERR_INCOMPLETE, "vizwiz: %zu of %zu questions have no answer, the "
                           "first is %s (%s)", given->missing, qs->n, qs->at[i].id,
                           path_base(qs->at[i].image));
    struct str *out = exports_text(files, NULL);
    str_addc(out, '[');
    for (size_t i = 0; i < qs->n; i++) {
        arena_reset(&a);
        str_add(out, i ? ", {\"image\": " : "{\"image\": ");
        python_json(out, path_base(qs->at[i].image));
        str_add(out, ", \"answer\": ");
        python_json(out, vqa_submitted(&a, given->text[i]));
        str_addc(out, '}');
    }
    str_addc(out, ']');
    if (a.failed || out->failed)
        err_set(e, ERR_MEMORY, "vizwiz: no memory for the export");
    arena_free(&a);
    return e->code;
}

const struct benchmark bench_vizwiz = {
    .name = "vizwiz", .integer_ids = true, .title = "VizWiz", .version = 1, .splits = "test,val",
    .exported = "test", .official_n = { 8000, 4319 }, .headline = "accuracy", .scale = 100,
    .headline_text = "partial credit by agreement with ten humans, %, higher is better",
    .format = FORMAT_UNANSWERABLE, .max_new_tokens = 128,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "CC BY 4.0", .homepage = "https://vizwiz.org/tasks-and-datasets/vqa/",
    .read = read_vizwiz, .question_files = question_files,
    .categories = "yes_no,number,other,unanswerable", .accuracies = "",
    .mark = mark_vizwiz, .tally = tally_vizwiz, .match = match_vizwiz, .export = export_vizwiz,
};
