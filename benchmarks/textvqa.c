/* TextVQA: questions about text in OpenImages photographs, ten human answers each.
 *
 * Split   val (the paper's figure).
 * Prompt  holds the words that an OCR system found (LLaVA uses Rosetta's, v0.2), worth some 12
 *         points; an image without a record there has none.
 * Score   TextVQAAccuracyEvaluator of haotian-liu/LLaVA, llava/eval/m4c_evaluator.py: N-M4C on both
 *         sides, always.
 * Answers in two dialects: question_id is the annotation's integer; or, as in LLaVA's files, it is
 *         the image's id, and the question is dug out of "prompt" (eval_textvqa.py). There every
 *         line is scored, repeated ones too, so a question keeps its earlier replies. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/names.h"
#include "benchmarks/vqa_answer.h"
#include "engine/base/utf8.h"

#define QUESTIONS "TextVQA_0.5.1_val.json"
#define TOKENS    "TextVQA_Rosetta_OCR_v0.2_val.json"
#define TEXTVQA   "https://dl.fbaipublicfiles.com/textvqa/"

static const struct source sources[] = {
    { .path = QUESTIONS, .url = { TEXTVQA "data/" QUESTIONS }, .bytes = 3116162 },
    { .path = TOKENS, .url = { TEXTVQA "data/" TOKENS }, .bytes = 9830753,
      .sha256 = "5fe60362e43381e10b29bf25cc84bb0cebcabf155a32e7121208b51a5a02715c" },
    { .path = "train_images/", .url = { TEXTVQA "images/train_val_images.zip" },
      .strip = "train_images", .members = "*.jpg", .bytes = 7072297970, .images = true },
};

enum { HUMANS = 10 };

struct reply { const char *text; struct reply *next; };

struct textvqa {                /* question.more, in the arena of the questions */
    const char *lower;          /* the question as answers in LLaVA's dialect are looked up */
    struct reply *earlier;      /* lines before the last one, in LLaVA's dialect */
};

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { QUESTIONS, TOKENS, NULL };
    (void)split;                                            /* there is one */
    return files;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum status read_questions(const char *path, struct questions *qs, struct names *by_image,
                                  struct err *e)
{
    struct arena scratch = { 0 }, *a = qs->arena;
    struct json_items in;
    const struct json *item;
    json_items_open(&in, path, "data", &scratch, e);
    while (e->code == OK && (item = json_items_next(&in)) != NULL) {
        const struct json *id = json_get(item, "question_id");
        const char *image = json_get_str(item, "image_id", NULL);
        const char *text = json_get_str(item, "question", NULL);
        char where[600];
        snprintf(where, sizeof where, "%s: data[%zu]", path, in.index);
        struct textvqa *more = arena_alloc(a, sizeof *more);
        if (!id || !id->is_int || !image || !text || !more) {
            err_set(e, ERR_DATA, "%s should have the integer \"question_id\" and the texts "
                    "\"image_id\" and \"question\"", where);
            break;
        }
        struct question q = { .id = arena_fmt(a, "%lld", (long long)id->integer), .category = "",
                              .image = arena_fmt(a, "train_images/%s.jpg", image),
                              .text = arena_str(a, text), .context = "", .more = more };
        more->lower = utf8_lower(a, text);
        if (vqa_answers(a, json_get(item, "answers"), where, &q, e) == OK && q.n_answers != HUMANS)
            err_set(e, ERR_DATA, "%s: %d answers, expected ten", where, q.n_answers);
        questions_add(qs, q);
    }
    json_items_close(&in);
    arena_free(&scratch);
    if (e->code != OK || !names_init(by_image, a, qs->n))
        return err_set(e, ERR_MEMORY, "%s: no memory for %zu questions", path, qs->n);
    for (size_t i = 0; i < qs->n; i++) {
        const char *name = path_base(qs->at[i].image);
        names_add(by_image, arena_strn(a, name, strlen(name) - strlen(".jpg")), i);
    }
    names_sort(by_image);
    return OK;
}

/* "t1, t2, ...": each as it is, empty ones too. */
static const char *join(const struct json *tokens, struct arena *a)
{
    struct str s;
    str_init(&s, 1 << 20);
    if (tokens && tokens->type == JSON_ARRAY)
        for (const struct json *t = tokens->first; t; t = t->next) {
            if (t != tokens->first)
                str_add(&s, ", ");
            str_add(&s, t->type == JSON_STRING ? t->string : "");
        }
    const char *text = arena_strn(a, s.at, s.n);
    a->failed = a->failed || s.failed;
    str_free(&s);
    return text;
}

static enum status read_tokens(const char *path, struct questions *qs,
                               const struct names *by_image, struct err *e)
{
    struct arena scratch = { 0 };
    struct json_items in;
    const struct json *item;
    json_items_open(&in, path, "data", &scratch, e);
    while ((item = json_items_next(&in)) != NULL) {
        const char *image = json_get_str(item, "image_id", "");
        size_t i = names_find(by_image, image);
        if (i == by_image->n)
            continue;                                       /* of no question */
        const char *tokens = join(json_get(item, "ocr_tokens"), qs->arena);
        for (; i < by_image->n && !strcmp(by_image->list[i].text, image); i++)
            qs->at[by_image->list[i].at].context = tokens;
    }
    json_items_close(&in);
    arena_free(&scratch);
    return e->code;
}

static enum status read_textvqa(const char *dir, const char *split, struct questions *qs,
                                struct err *e)
{
    (void)split;
    struct names *by_image = arena_alloc(qs->arena, sizeof *by_image);
    qs->more = by_image;
    if (!by_image)
        return err_set(e, ERR_MEMORY, "textvqa: no memory for its questions");
    if (read_questions(path_join(qs->arena, dir, QUESTIONS), qs, by_image, e) == OK)
        read_tokens(path_join(qs->arena, dir, TOKENS), qs, by_image, e);
    return e->code;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The question in a prompt of LLaVA's answers file: lines end at line feeds only. NULL: none. */
static const char *question_of(const char *prompt, struct arena *a)
{
    static const char ocr[] = "OCR tokens: ", before[] = "Question: ", behind[] = " Short answer:",
                      reference[] = "Reference OCR token:";
    if (!strncmp(prompt, ocr, strlen(ocr))) {
        const char *from = strstr(prompt, before);
        from = from ? from + strlen(before) : NULL;
        const char *to = from ? strstr(from, behind) : NULL;
        return to ? utf8_lower(a, arena_strn(a, from, (size_t)(to - from))) : NULL;
    }
    const char *second = strchr(prompt, '\n'), *third = second ? strchr(second + 1, '\n') : NULL;
    if (!second || (third && strchr(third + 1, '\n')))
        return NULL;                                        /* neither two lines nor three */
    if (third && !strstr(prompt, "Reference OCR token: "))
        return NULL;
    if (third && !strncmp(prompt, reference, strlen(reference)))
        return utf8_lower(a, arena_strn(a, second + 1, (size_t)(third - second - 1)));
    return utf8_lower(a, arena_strn(a, prompt, (size_t)(second - prompt)));
}

/* Another line of LLaVA's dialect for a question that has a reply: both will count. */
static void give_another(struct answers *into, struct questions *qs, size_t i, const char *text)
{
    struct textvqa *more = (struct textvqa *)qs->at[i].more;    /* ours; const to the others */
    struct reply *earlier = into->text[i] ? arena_alloc(qs->arena, sizeof *earlier) : NULL;
    if (earlier) {
        *earlier = (struct reply){ arena_str(qs->arena, into->text[i]), more->earlier };
        more->earlier = earlier;
    }
    answers_give(into, i, text);
}

static bool match_textvqa(struct questions *qs, const struct json *line, struct answers *into,
                          struct err *e)
{
    const struct names *by_image = qs->more;
    const struct json *id = json_get(line, "question_id");
    const char *text = json_get_str(line, "text", ""), *prompt = json_get_str(line, "prompt", NULL);
    int64_t number = id->integer;
    size_t at = id->type == JSON_STRING ? names_find(by_image, id->string) : by_image->n;
    if (at < by_image->n) {                                 /* LLaVA's dialect */
        struct arena a = { 0 };
        const char *asked = prompt ? question_of(prompt, &a) : NULL;
        size_t found = SIZE_MAX;                            /* the last, as a Python dict has it */
        for (; asked && at < by_image->n && !strcmp(by_image->list[at].text, id->string); at++) {
            const struct textvqa *more = qs->at[by_image->list[at].at].more;
            if (!strcmp(more->lower, asked))
                found = by_image->list[at].at;
        }
        if (!asked)
            err_set(e, ERR_DATA, "no question can be read from \"prompt\" (expected "
                    "\"question\\nReference OCR token: ...\\nAnswer ...\")");
        else if (found == SIZE_MAX)
            err_set(e, ERR_DATA, "image %s has no question \"%.200s\"", id->string, asked);
        else
            give_another(into, qs, found, text);
        arena_free(&a);
        return found != SIZE_MAX;
    }
    if (id->type == JSON_STRING && (id->string[0] == '-' || id->string[0] == '+' ||
                                    !str_to_int(id->string, &number)))
        return false;
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)number);
    size_t i = questions_find(qs, digits, SIZE_MAX);
    if (i == SIZE_MAX)
        return false;
    ((struct textvqa *)qs->at[i].more)->earlier = NULL;     /* the later line replaces them all */
    answers_give(into, i, text);
    return true;
}

/* ---- scoring --------------------------------------------------------------------------------- */

/* a: the credit of all lines that answer the question; b: how many those are. */
static void mark_textvqa(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    const struct question *q = &qs->at[i];
    const struct textvqa *more = q->more;
    const char *answers[HUMANS];
    struct arena a = { 0 };
    for (int k = 0; k < HUMANS; k++)
        answers[k] = vqa_submitted(&a, q->answers[k]);
    *out = (struct mark){ vqa_credit(vqa_submitted(&a, reply), answers, HUMANS), 1, false, false };
    for (const struct reply *r = more->earlier; r; r = r->next) {
        out->a += vqa_credit(vqa_submitted(&a, r->text), answers, HUMANS);
        out->b++;
    }
    arena_free(&a);
}

static void tally_textvqa(const struct tally_input *in, struct scores *out)
{
    double sum = 0, lines = 0;
    size_t n = 0;
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct mark *m = &in->marks[i];
        uint32_t weight = in->weight ? in->weight[i] : 1;
        if (m->missing)
            continue;
        sum += weight * m->a;
        lines += weight * m->b;
        n += weight;
    }
    scores_add(out, lines ? 100 * (sum / lines) : NAN, (size_t)lines, "accuracy");
    out->n_questions = n;
}

const struct benchmark bench_textvqa = {
    .name = "textvqa", .integer_ids = true, .title = "TextVQA", .version = 1, .splits = "val",
    .official_n = { 5000 },
    .headline = "accuracy", .scale = 100,
    .headline_text = "partial credit by agreement with ten humans, %, higher is better",
    .format = FORMAT_OCR, .max_new_tokens = 128,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "CC BY 4.0", .homepage = "https://textvqa.org",
    .read = read_textvqa, .question_files = question_files,
    .categories = "", .accuracies = "",
    .mark = mark_textvqa, .tally = tally_textvqa, .match = match_textvqa,
};
