/* GQA: compositional questions made from scene graphs, one short answer each, exact match.
 *
 * Split   testdev_balanced (the paper's figure). Both archives are far larger than what is needed:
 *         one member of 1.5 GB of questions, 398 files of 21 GB of pictures.
 * Data    one JSON object, question id -> record, in the order of the file; records with
 *         isBalanced false are left out of everything.
 * Score   scripts/convert_gqa_for_eval.py of haotian-liu/LLaVA (trailing full stops go, then lower
 *         case; nothing is trimmed), then the official eval.py as LLaVA's edited copy runs it. Its
 *         validity, plausibility, consistency and grounding need files that test-dev lacks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/python.h"
#include "benchmarks/benchmark.h"
#include "engine/base/utf8.h"

#define QUESTIONS "testdev_balanced_questions.json"
#define GQA "https://downloads.cs.stanford.edu/nlp/data/gqa/"

static const struct source sources[] = {
    { .path = "./", .url = { GQA "questions1.2.zip" }, .members = QUESTIONS },
    { .path = "images/", .url = { GQA "images.zip" }, .strip = "images", .members = "*.jpg",
      .images = true },
};

/* In the order of the metrics. "binary" is whatever is not a query, also choose and compare. */
static const char *const structurals[] = { "query", "verify", "logical", "choose", "compare" };
static const struct { const char *name, *metric; } semantics[] = {
    { "attr", "attribute" }, { "cat", "category" }, { "global", "scene" }, { "obj", "object" },
    { "rel", "relation" },
};

struct gqa {                    /* question.more */
    const char *semantic;       /* as in semantics[], or "" */
    const char *group;          /* groups.global, or NULL */
    int words, steps;
};

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { QUESTIONS, NULL };
    (void)split;                                            /* there is one */
    return files;
}

/* len(question.split()) */
static int count_words(const char *text)
{
    int n = 0;
    bool inside = false;
    size_t size = strlen(text);
    for (size_t i = 0, length; i < size; i += length) {
        bool space = utf8_is_space(utf8_get(text + i, size - i, &length));
        n += !space && !inside;
        inside = !space;
    }
    return n;
}

/* Operations that count as reasoning. The words are looked for anywhere in "operation: argument":
 * "select: existing table" does not count, nor does "query: named". */
static int count_steps(const struct json *semantic, struct arena *scratch)
{
    int n = 0;
    if (semantic && semantic->type == JSON_ARRAY)
        for (const struct json *s = semantic->first; s; s = s->next) {
            const char *step = arena_fmt(scratch, "%s: %s", json_get_str(s, "operation", ""),
                                         json_get_str(s, "argument", ""));
            n += !strstr(step, "exist") && !strstr(step, "query: name") &&
                 !strstr(step, "choose name");
        }
    return n;
}

static enum status read_gqa(const char *dir, const char *split, struct questions *qs,
                            struct err *e)
{
    (void)split;
    struct arena scratch = { 0 }, *a = qs->arena;
    struct json_items in;
    const struct json *item;
    const char *path = path_join(a, dir, QUESTIONS);
    json_items_open(&in, path, "", &scratch, e);
    while (e->code == OK && (item = json_items_next(&in)) != NULL) {
        const char *text = json_get_str(item, "question", NULL);
        const char *image = json_get_str(item, "imageId", NULL);
        const char *answer = json_get_str(item, "answer", NULL);
        const char *id = item->key ? item->key : "";
        const struct json *type = json_get(item, "types");
        const char *group = json_get_str(json_get(item, "groups"), "global", NULL);
        struct gqa *more = arena_alloc(a, sizeof *more);
        if (!json_get_bool(item, "isBalanced", true))
            continue;
        if (!in.is_object || !text || !image || !answer || !more) {
            err_set(e, ERR_DATA, "%s: question \"%s\" should have the texts \"question\", "
                    "\"imageId\" and \"answer\"", path, id);
            break;
        }
        *more = (struct gqa){ arena_str(a, json_get_str(type, "semantic", "")),
                              group ? arena_str(a, group) : NULL, count_words(text),
                              count_steps(json_get(item, "semantic"), &scratch) };
        questions_add(qs, (struct question){
            .id = arena_str(a, id), .category = arena_str(a, json_get_str(type, "structural", "")),
            .image = arena_fmt(a, "images/%s.jpg", image), .text = arena_str(a, text),
            .reference = arena_str(a, answer), .more = more });
    }
    json_items_close(&in);
    arena_free(&scratch);
    return e->code;
}

/* ---- scoring --------------------------------------------------------------------------------- */

/* All full stops at the very end go, white space stays: "Red. " is "red. ". */
static const char *prediction(struct arena *a, const char *reply)
{
    size_t n = strlen(reply);
    while (n && reply[n - 1] == '.')
        n--;
    return utf8_lower(a, arena_strn(a, reply, n));
}

/* a: right or wrong, 1 or 0. */
static void mark_gqa(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    struct arena a = { 0 };
    *out = (struct mark){ .a = !strcmp(prediction(&a, reply), qs->at[i].reference) };
    arena_free(&a);
}

struct rate { double right; size_t n; };

static void count(struct rate *r, double right, uint32_t weight)
{
    r->right += weight * right;
    r->n += weight;
}

static double percent(struct rate r, double empty)
{
    return r.n ? 100 * r.right / (double)r.n : empty;
}

/* One question as the distribution sees it. */
struct told { const char *group, *gold, *predicted; };

static int by_group_and_gold(const void *x, const void *y)
{
    const struct told *a = x, *b = y;
    int order = strcmp(a->group, b->group);
    return order ? order : strcmp(a->gold, b->gold);
}

/* How far the predictions of each group are from its gold answers, weighted by the group's size:
 *     chi(g) = sum over gold answers a of (observed(a) - expected(a))^2 / expected(a)
 * Predictions that are no gold answer of the group do not enter. */
static double distribution(const struct tally_input *in, struct arena *a)
{
    struct told *at = arena_array(a, in->qs->n, sizeof *at);
    size_t n = 0;
    double sum = 0;
    if (!at)
        return NAN;
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct question *q = &in->qs->at[i];
        const struct gqa *more = q->more;
        if (in->replies[i] && more->group)
            at[n++] = (struct told){ more->group, q->reference, prediction(a, in->replies[i]) };
    }
    qsort(at, n, sizeof *at, by_group_and_gold);
    for (size_t from = 0, to; from < n; from = to) {        /* a group */
        for (to = from; to < n && !strcmp(at[to].group, at[from].group); to++)
            ;
        double chi = 0;
        for (size_t g = from, next; g < to; g = next) {     /* one of its gold answers */
            double expected, observed = 0;
            for (next = g; next < to && !strcmp(at[next].gold, at[g].gold); next++)
                ;
            expected = (double)(next - g);
            for (size_t i = from; i < to; i++)
                observed += !strcmp(at[i].predicted, at[g].gold);
            chi += (observed - expected) * (observed - expected) / expected;
        }
        sum += chi * (double)(to - from);
    }
    return n ? sum / (double)n / 100 : NAN;
}

/* The places of the question's words in the tables below, one behind the other. */
static uint64_t kind_gqa(const struct questions *qs, size_t i)
{
    const struct gqa *more = qs->at[i].more;
    size_t semantic = 0;
    while (semantic < COUNT(semantics) && strcmp(semantics[semantic].name, more->semantic) != 0)
        semantic++;
    return (uint64_t)more->words << 40 | (uint64_t)more->steps << 16 | semantic;
}

static void tally_gqa(const struct tally_input *in, struct scores *out)
{
    enum { MOST = 64 };                                     /* words or steps; more are not told */
    struct rate all = { 0 }, open = { 0 }, binary = { 0 };
    struct rate structural[COUNT(structurals)] = { 0 }, semantic[COUNT(semantics)] = { 0 };
    struct rate words[MOST] = { 0 }, steps[MOST] = { 0 };
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct question *q = &in->qs->at[i];
        const struct gqa *more = q->more;
        uint32_t weight = in->weight ? in->weight[i] : 1;
        double right = in->marks[i].a;
        if (in->marks[i].missing || !weight)
            continue;
        count(&all, right, weight);
        count(strcmp(q->category, "query") ? &binary : &open, right, weight);
        for (size_t t = 0; t < COUNT(structurals); t++)
            if (!strcmp(q->category, structurals[t]))
                count(&structural[t], right, weight);
        for (size_t t = 0; t < COUNT(semantics); t++)
            if (!strcmp(more->semantic, semantics[t].name))
                count(&semantic[t], right, weight);
        if (more->words < MOST)
            count(&words[more->words], right, weight);
        if (more->steps < MOST)
            count(&steps[more->steps], right, weight);
    }
    scores_add(out, percent(all, NAN), all.n, "accuracy");
    scores_add(out, percent(binary, 0), binary.n, "binary");
    scores_add(out, percent(open, 0), open.n, "open");
    if (in->replies) {                                      /* none while resampling */
        struct arena a = { 0 };
        scores_add(out, distribution(in, &a), all.n, "distribution");
        out->failed = out->failed || a.failed;
        arena_free(&a);
    }
    for (size_t t = 0; t < COUNT(structurals); t++)
        if (structural[t].n)
            scores_add(out, percent(structural[t], NAN), structural[t].n, "%s", structurals[t]);
    for (size_t t = 0; t < COUNT(semantics); t++)
        if (semantic[t].n)
            scores_add(out, percent(semantic[t], NAN), semantic[t].n, "%s", semantics[t].metric);
    for (int k = 0; k < MOST; k++)
        if (words[k].n)
            scores_add(out, percent(words[k], NAN), words[k].n, "words_%d", k);
    for (int k = 0; k < MOST; k++)
        if (steps[k].n)
            scores_add(out, percent(steps[k], NAN), steps[k].n, "steps_%d", k);
}

/* The official script's own input: LLaVA's testdev_balanced_predictions.json. */
static enum status export_gqa(struct questions *qs, const struct answers *given,
                              struct exports *files, struct err *e)
{
    struct arena a = { 0 };
    for (size_t i = 0; i < qs->n; i++)
        if (!given->text[i])
            return err_set(e, ERR_INCOMPLETE, "gqa: %zu of %zu questions have no answer, the first "
                           "is %s", given->missing, qs->n, qs->at[i].id);
    struct str *out = exports_text(files, NULL);
    str_addc(out, '[');
    for (size_t i = 0; i < qs->n; i++) {
        arena_reset(&a);
        str_add(out, i ? ", {\"questionId\": " : "{\"questionId\": ");
        python_json(out, qs->at[i].id);
        str_add(out, ", \"prediction\": ");
        python_json(out, prediction(&a, given->text[i]));
        str_addc(out, '}');
    }
    str_addc(out, ']');
    if (a.failed || out->failed)
        err_set(e, ERR_MEMORY, "gqa: no memory for the export");
    arena_free(&a);
    return e->code;
}

const struct benchmark bench_gqa = {
    .name = "gqa", .title = "GQA", .version = 1, .splits = "testdev_balanced",
    .official_n = { 12578 },
    .headline = "accuracy", .scale = 100,
    .headline_text = "share of answers equal to the gold one, %, higher is better",
    .format = FORMAT_SHORT, .max_new_tokens = 128,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "CC BY 4.0", .homepage = "https://cs.stanford.edu/people/dorarad/gqa/",
    .read = read_gqa, .question_files = question_files,
    .categories = "binary,open,query,verify,logical,choose,compare,attribute,category,scene,object,"
                  "relation",
    .accuracies = "binary,open,accuracy,query,verify,logical,choose,compare,attribute,category,"
                  "scene,object,relation,words_*,steps_*",
    .kind = kind_gqa, .mark = mark_gqa, .tally = tally_gqa, .export = export_gqa,
};
