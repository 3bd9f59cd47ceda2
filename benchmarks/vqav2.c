/* VQAv2: open questions about COCO pictures, ten human answers each.
 *
 * Splits  testdev (the paper's figure; exported, scored by EvalAI) and val (scored here).
 * Data    two JSON files per split, joined by question_id. Those of val hold 214,354 questions and
 *         2.1 million answers: they are walked element by element, and equal answers to one
 *         question are kept once (three in ten are left), which keeps the split below 150 MB.
 * Score   a reply is first cleaned as LLaVA cleans its submissions (N-M4C), then scored as
 *         GT-Vision-Lab/VQA, PythonEvaluationTools/vqaEvaluation/vqaEval.py does. There, answers
 *         that are all alike are compared as they are: "Zebra" never earns anything against ten
 *         times "Zebra.", nor "1000" against ten times "1,000".
 * Export  the server wants all of test2015, of which test-dev is a quarter: "" for the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/python.h"
#include "benchmarks/vqa_answer.h"

#define VQA(file) { "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa/" file, \
                    "https://cvmlp.s3.amazonaws.com/vqa/mscoco/vqa/" file }
#define COCO(file) { "http://images.cocodataset.org/zips/" file, \
                     "https://s3.amazonaws.com/images.cocodataset.org/zips/" file }
#define TESTDEV_QUESTIONS "v2_OpenEnded_mscoco_test-dev2015_questions.json"
#define TEST_QUESTIONS    "v2_OpenEnded_mscoco_test2015_questions.json"
#define VAL_QUESTIONS     "v2_OpenEnded_mscoco_val2014_questions.json"
#define VAL_ANNOTATIONS   "v2_mscoco_val2014_annotations.json"

static const struct source sources[] = {
    { .path = "./", .url = VQA("v2_Questions_Test_mscoco.zip"), .splits = "testdev",
      .members = TESTDEV_QUESTIONS "," TEST_QUESTIONS },
    { .path = "./", .url = VQA("v2_Questions_Val_mscoco.zip"), .splits = "val",
      .members = VAL_QUESTIONS, .bytes = 3494929 },
    { .path = "./", .url = VQA("v2_Annotations_Val_mscoco.zip"), .splits = "val",
      .members = VAL_ANNOTATIONS, .bytes = 10518930 },
    { .path = "test2015/", .url = COCO("test2015.zip"), .splits = "testdev", .strip = "test2015",
      .images = true },
    { .path = "val2014/", .url = COCO("val2014.zip"), .splits = "val", .strip = "val2014",
      .bytes = 6645013297, .images = true },
};

/* In the order of the metrics; mark.b is a place in it. */
static const char *const types[] = { "yes/no", "number", "other" };
static const char *const metrics[] = { "yes_no", "number", "other" };

static const char *const *question_files(const char *split)
{
    static const char *const testdev[] = { TESTDEV_QUESTIONS, NULL };
    static const char *const val[] = { VAL_QUESTIONS, VAL_ANNOTATIONS, NULL };
    return strcmp(split, "val") ? testdev : val;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool has_int(const struct json *o, const char *key)
{
    const struct json *m = json_get(o, key);
    return m && m->is_int;
}

/* The elements of "questions", in order; ids as text. */
static enum status read_questions(const char *path, const char *images, struct questions *qs,
                                  struct err *e)
{
    struct arena scratch = { 0 };
    struct json_items in;
    const struct json *item;
    json_items_open(&in, path, "questions", &scratch, e);
    while ((item = json_items_next(&in)) != NULL) {
        const char *text = json_get_str(item, "question", NULL);
        if (!has_int(item, "question_id") || !has_int(item, "image_id") || !text) {
            err_set(e, ERR_DATA, "%s: questions[%zu] should have the integers \"question_id\" and "
                    "\"image_id\" and the text \"question\"", path, in.index);
            break;
        }
        long long image = json_get_int(item, "image_id", 0);
        questions_add(qs, (struct question){
            .id = arena_fmt(qs->arena, "%lld", (long long)json_get_int(item, "question_id", 0)),
            .category = "",
            .image = arena_fmt(qs->arena, "%s%012lld.jpg", images, image),
            .text = arena_str(qs->arena, text) });
    }
    json_items_close(&in);
    arena_free(&scratch);
    for (size_t i = 0; e->code == OK && !qs->failed && i < qs->n; i++)
        if (questions_find(qs, qs->at[i].id, SIZE_MAX) != i)
            err_set(e, ERR_DATA, "%s: question_id %s stands twice", path, qs->at[i].id);
    return e->code;
}

static const char *known_type(const char *type)
{
    for (size_t i = 0; type && i < COUNT(types); i++)
        if (!strcmp(types[i], type))
            return types[i];
    return NULL;
}

static enum status read_annotations(const char *path, struct questions *qs, struct err *e)
{
    struct arena scratch = { 0 };
    struct json_items in;
    const struct json *item;
    json_items_open(&in, path, "annotations", &scratch, e);
    while (e->code == OK && (item = json_items_next(&in)) != NULL) {
        char id[32], where[600];
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(item, "question_id", -1));
        snprintf(where, sizeof where, "%s: question_id %s", path, id);
        const char *type = json_get_str(item, "answer_type", NULL);
        size_t i = questions_find(qs, id, SIZE_MAX);
        if (!has_int(item, "question_id"))
            err_set(e, ERR_DATA, "%s: annotations[%zu] has no integer \"question_id\"", path,
                    in.index);
        else if (i == SIZE_MAX)
            err_set(e, ERR_DATA, "%s is in no question", where);
        else if (!known_type(type))
            err_set(e, ERR_DATA, "%s: \"answer_type\" is \"%.40s\", expected yes/no, number or "
                    "other", where, type ? type : "");
        else if (vqa_answers(qs->arena, json_get(item, "answers"), where, &qs->at[i], e) == OK)
            qs->at[i].category = known_type(type);
    }
    json_items_close(&in);
    arena_free(&scratch);
    for (size_t i = 0; e->code == OK && i < qs->n; i++)
        if (!qs->at[i].answers)
            err_set(e, ERR_DATA, "%s: question_id %s has no annotation", path, qs->at[i].id);
    return e->code;
}

static enum status read_vqav2(const char *dir, const char *split, struct questions *qs,
                              struct err *e)
{
    bool val = !strcmp(split, "val");
    const char *const *files = question_files(split);
    read_questions(path_join(qs->arena, dir, files[0]),
                   val ? "val2014/COCO_val2014_" : "test2015/COCO_test2015_", qs, e);
    if (e->code == OK && val)
        read_annotations(path_join(qs->arena, dir, files[1]), qs, e);
    qs->more = path_join(qs->arena, dir, TEST_QUESTIONS);   /* the export walks it */
    return e->code;
}

/* ---- scoring --------------------------------------------------------------------------------- */

static double credit(const struct question *q, const char *reply, struct arena *a)
{
    const char **answers = arena_array(a, (size_t)q->n_answers, sizeof *answers);
    bool alike = true;
    if (!answers)
        return 0;
    reply = vqa_trim(a, vqa_submitted(a, reply));
    for (int i = 0; i < q->n_answers; i++) {
        answers[i] = i && q->answers[i] == q->answers[i - 1] ? answers[i - 1]
                                                             : vqa_trim(a, q->answers[i]);
        alike = alike && !strcmp(answers[i], answers[0]);
    }
    if (!alike) {
        reply = vqa_normal(a, reply, CONTRACTIONS_VQA);
        for (int i = 0; i < q->n_answers; i++)
            answers[i] = i && q->answers[i] == q->answers[i - 1]
                       ? answers[i - 1] : vqa_normal(a, answers[i], CONTRACTIONS_VQA);
    }
    return vqa_credit(reply, answers, q->n_answers);
}

/* a: credit, 0 to 1; b: place of the answer's type. */
static void mark_vqav2(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    const struct question *q = &qs->at[i];
    struct arena a = { 0 };
    *out = (struct mark){ .a = credit(q, reply, &a) };
    while ((size_t)out->b < COUNT(types) && strcmp(types[(size_t)out->b], q->category) != 0)
        out->b++;
    arena_free(&a);
}

static void tally_vqav2(const struct tally_input *in, struct scores *out)
{
    if (in->qs->n && in->qs->at[0].answers)                 /* testdev: the server's business */
        vqa_tally(in, metrics, COUNT(metrics), out);
}

/* ---- export ---------------------------------------------------------------------------------- */

static enum status export_vqav2(struct questions *qs, const struct answers *given,
                                struct exports *files, struct err *e)
{
    const char *path = qs->more;
    struct arena scratch = { 0 }, a = { 0 };
    struct json_items in;
    const struct json *item;
    size_t found = 0, n = 0;
    bool *seen;
    if (!strcmp(qs->split, "val"))
        return err_set(e, ERR_USAGE, "vqav2:val is scored here: the server takes testdev");
    if (!(seen = calloc(qs->n + 1, sizeof *seen)))
        return err_set(e, ERR_MEMORY, "vqav2: no memory for the export");
    struct str *out = exports_text(files, NULL);
    json_items_open(&in, path, "questions", &scratch, e);
    str_addc(out, '[');
    while (e->code == OK && (item = json_items_next(&in)) != NULL) {
        char id[32];
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(item, "question_id", -1));
        size_t i = questions_find(qs, id, SIZE_MAX);
        const char *reply = i == SIZE_MAX ? NULL : given->text[i];
        if (!has_int(item, "question_id"))
            err_set(e, ERR_DATA, "%s: questions[%zu] has no integer \"question_id\"", path,
                    in.index);
        else if (i != SIZE_MAX && seen[i])
            err_set(e, ERR_DATA, "%s: question_id %s stands twice", path, id);
        else if (i != SIZE_MAX)
            found += seen[i] = true;
        arena_reset(&a);
        str_addf(out, "%s{\"question_id\": %s, \"answer\": ", n++ ? ", " : "", id);
        python_json(out, reply ? vqa_submitted(&a, reply) : "");
        str_addc(out, '}');
    }
    str_addc(out, ']');
    json_items_close(&in);
    if (found != qs->n)
        err_set(e, ERR_DATA, "%s: holds %zu of the %zu questions of test-dev", path, found, qs->n);
    if (a.failed || out->failed)
        err_set(e, ERR_MEMORY, "vqav2: no memory for the export");
    free(seen);
    arena_free(&a);
    arena_free(&scratch);
    return e->code;
}

const struct benchmark bench_vqav2 = {
    .name = "vqav2", .integer_ids = true, .title = "VQAv2", .version = 1, .splits = "testdev,val",
    .exported = "testdev", .official_n = { 107394, 214354 }, .headline = "accuracy",
    .scale = 100,
    .headline_text = "partial credit by agreement with ten humans, %, higher is better",
    .format = FORMAT_SHORT, .max_new_tokens = 128,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "annotations CC BY 4.0; images under Flickr terms",
    .homepage = "https://visualqa.org",
    .read = read_vqav2, .question_files = question_files,
    .categories = "yes_no,number,other", .accuracies = "",
    .mark = mark_vqav2, .tally = tally_vqav2, .export = export_vqav2,
};
