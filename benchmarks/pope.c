/* POPE: does the model see objects that are not in the picture?
 *
 * Data    three files of JSON lines, one yes/no question each, over 500 pictures of COCO val2014.
 *         The pinned revision is the one LLaVA-1.5 names; later ones have other questions.
 * Score   haotian-liu/LLaVA llava/eval/eval_pope.py, file by file; the headline is the mean F1.
 * Ids     question_id starts again at 1 in each file, so ours is "<category>/<question_id>". LLaVA's
 *         answer files count through: adversarial as it is, random + 10^7, popular + 2 * 10^7. */
#include <stdio.h>
#include <string.h>

#include "benchmarks/benchmark.h"

#define POPE "https://raw.githubusercontent.com/AoiDragon/POPE/" \
             "e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco/"
static const struct source sources[] = {
    { .path = "coco_pope_random.json", .url = { POPE "coco_pope_random.json" }, .bytes = 360212,
      .sha256 = "c16b65d2df6d70bb0814c8a4375833d39cdb09928fd936d3fc546491efa37f35" },
    { .path = "coco_pope_popular.json", .url = { POPE "coco_pope_popular.json" }, .bytes = 370234,
      .sha256 = "5b16653023bf4f64d57eb0d168259de6627f5cde7538b85ebed3cc33034aa6cc" },
    { .path = "coco_pope_adversarial.json", .url = { POPE "coco_pope_adversarial.json" },
      .bytes = 370459,
      .sha256 = "1d8f0906a9b50c05640f6f23abfac97523be2a1bed28f7eadc63b811699b2d26" },
    { .path = "val2014/*", .url = { "http://images.cocodataset.org/val2014/*" }, .images = true },
    { .path = "val2014/", .url = { "http://images.cocodataset.org/zips/val2014.zip" },
      .bytes = 6645013297, .strip = "val2014", .images = true, .optional = true },
};
static const char *const categories[] = { "random", "popular", "adversarial" };

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { "coco_pope_random.json", "coco_pope_popular.json",
                                         "coco_pope_adversarial.json", NULL };
    (void)split;                                            /* POPE has one */
    return files;
}

static enum status read_pope(const char *dir, const char *split, struct questions *qs,
                             struct err *e)
{
    (void)split;
    for (size_t c = 0; c < COUNT(categories); c++) {
        struct jsonl in;
        jsonl_open(&in, qs->arena, e, "%s/coco_pope_%s.json", dir, categories[c]);
        while (jsonl_next(&in))
            questions_add(qs, (struct question){
                .id = arena_fmt(qs->arena, "%s/%lld", categories[c],
                                (long long)jsonl_int(&in, "question_id")),
                .category = categories[c],
                .image = arena_fmt(qs->arena, "val2014/%s", jsonl_str(&in, "image")),
                .text = jsonl_str(&in, "text"),
                .reference = jsonl_one_of(&in, "label", "yes", "no") });
        if (jsonl_close(&in) != OK)
            return e->code;
    }
    return OK;
}

/* The official reading: up to the first full stop, commas dropped, split at single spaces; a no if
 * some word is exactly No, no or not. All else is a yes: "maybe", "NO", even "no\nwait". */
static bool says_no(const char *text)
{
    char word[4];                                           /* "not" and one more: a longer word */
    for (size_t n = 0;; text++) {                           /* matches nothing, so keep no more  */
        if (*text && !strchr(",. ", *text)) {
            if (n < sizeof word)
                word[n++] = *text;
        } else if (*text != ',') {                          /* a word ends */
            if ((n == 2 && (!memcmp(word, "No", 2) || !memcmp(word, "no", 2))) ||
                (n == 3 && !memcmp(word, "not", 3)))
                return true;
            if (*text != ' ')
                return false;
            n = 0;
        }
    }
}

static void mark_pope(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    (void)qs, (void)i;
    out->a = !says_no(reply);
}

static uint64_t kind_pope(const struct questions *qs, size_t i)
{
    return !strcmp(qs->at[i].reference, "yes");
}

static double worth_pope(const struct questions *qs, size_t i, const struct mark *m)
{
    return (m->a > 0) == !strcmp(qs->at[i].reference, "yes");
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;                    /* where the script would stop */
}

static void tally_pope(const struct tally_input *in, struct scores *out)
{
    double f1_sum = 0;
    for (size_t c = 0; c < COUNT(categories); c++) {
        double n[2][2] = { { 0 } };                         /* [reply says yes][reference is yes] */
        size_t rows = 0;
        for (size_t i = 0; i < in->qs->n; i++) {
            const struct question *q = &in->qs->at[i];
            if (in->marks[i].missing || strcmp(q->category, categories[c]) != 0)
                continue;
            rows++;
            n[in->marks[i].a > 0][!strcmp(q->reference, "yes")] += in->weight ? in->weight[i] : 1;
        }
        double tp = n[1][1], fp = n[1][0], fn = n[0][1], all = tp + fp + fn + n[0][0];
        double precision = ratio(tp, tp + fp), recall = ratio(tp, tp + fn);
        double f1 = 100 * ratio(2 * precision * recall, precision + recall);
        scores_add(out, f1, rows, "%s_f1", categories[c]);
        scores_add(out, 100 * ratio(tp + n[0][0], all), rows, "%s_accuracy", categories[c]);
        scores_add(out, 100 * precision, rows, "%s_precision", categories[c]);
        scores_add(out, 100 * recall, rows, "%s_recall", categories[c]);
        scores_add(out, 100 * ratio(tp + fp, all), rows, "%s_yes_ratio", categories[c]);
        f1_sum += f1;
    }
    scores_add(out, f1_sum / (double)COUNT(categories), in->qs->n, "f1");
}

/* Our own id, or LLaVA's number, as an integer or in digits. */
static bool match_pope(struct questions *qs, const struct json *line, struct answers *into,
                       struct err *e)
{
    static const struct { int64_t offset; const char *category; } llava[] = {
        { 20000000, "popular" }, { 10000000, "random" }, { 0, "adversarial" } };
    const struct json *id = json_get(line, "question_id");
    int64_t number = id->integer;
    char name[64];
    (void)e;
    size_t i = id->type == JSON_STRING ? questions_find(qs, id->string, SIZE_MAX) : SIZE_MAX;
    if (i == SIZE_MAX && (id->type != JSON_STRING || str_to_int(id->string, &number)))
        for (size_t k = 0; k < COUNT(llava); k++)
            if (number >= llava[k].offset) {
                snprintf(name, sizeof name, "%s/%lld", llava[k].category,
                         (long long)(number - llava[k].offset));
                i = questions_find(qs, name, SIZE_MAX);
                break;
            }
    if (i == SIZE_MAX)
        return false;
    answers_give(into, i, json_get_str(line, "text", ""));
    return true;
}

const struct benchmark bench_pope = {
    .name = "pope", .title = "POPE", .version = 1, .splits = "test",
    .official_n = { 8910 },
    .headline = "f1", .scale = 100,
    .headline_text = "mean F1 of the three question files, yes being positive; percent, higher is "
                     "better",
    .format = FORMAT_SHORT, .max_new_tokens = 128,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "MIT; COCO annotations CC BY 4.0, photographs under their Flickr terms",
    .homepage = "https://github.com/AoiDragon/POPE",
    .read = read_pope, .question_files = question_files,
    .categories = "*_f1,*_accuracy", .accuracies = "*_accuracy",
    .kind = kind_pope, .worth = worth_pope,
    .mark = mark_pope, .tally = tally_pope, .match = match_pope,
};
