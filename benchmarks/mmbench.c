/* MMBench: multiple choice, each question asked once per rotation of its options; it counts only if
 * all passes are right.
 *
 * Data    one table with pictures in base64 (138 MB), read through a mapping: a row keeps where its
 *         picture's cell lies, the picture itself is decoded when it is asked for. A cell of at most
 *         64 characters is the index of the row that holds the picture (later editions).
 * Prompt  haotian-liu/LLaVA llava/eval/model_vqa_mmbench.py with --single-pred-prompt.
 * Score   open-compass/VLMEvalKit e8e78f05, vlmeval/dataset/utils/multiple_choice.py, with exact
 *         matching: what cannot be inferred is wrong. The submission server is closed; dev has its
 *         answers.
 * Ids     index = question + 1000000 * pass. All passes are in the file. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/benchmark.h"
#include "benchmarks/choice.h"
#include "benchmarks/tsv.h"

#define OPENMMLAB "https://download.openmmlab.com/mmclassification/datasets/mmbench/"
#define MIRROR "https://huggingface.co/datasets/studymakesmehappyyyyy/llava_eval/resolve/main/MMB/"
#define DEV    "mmbench_dev_20230712.tsv"
#define DEV_CN "mmbench_dev_cn_20231003.tsv"
static const struct source sources[] = {
    { .path = DEV, .url = { OPENMMLAB DEV, MIRROR DEV }, .splits = "dev" },
    { .path = DEV_CN, .url = { OPENMMLAB DEV_CN, MIRROR DEV_CN }, .splits = "dev_cn" },
};

enum { OPTIONS = 4, REFERENCE_MAX = 64, PASS = 1000000, GROUPS_MAX = 64 };

struct row {                                                /* question.more */
    const char *texts[OPTIONS];                             /* every option that is there */
    struct tsv_cell image;                                  /* n 0: not found */
    size_t number;                                          /* of its question, from 0 */
    bool first;                                             /* pass 0 */
    int category, l2;                                       /* number in whole, -1: none */
    const char *split;                                      /* cell of this name, or NULL */
};

struct names { const char *at[GROUPS_MAX]; int n; };
struct whole {                                              /* questions.more */
    size_t n_numbers;
    struct names categories, l2;
};

static const char *file_of(const char *split)
{
    return strcmp(split, "dev_cn") ? DEV : DEV_CN;
}

static const char *const *question_files(const char *split)
{
    static const char *const dev[] = { DEV, NULL }, *const dev_cn[] = { DEV_CN, NULL };
    return strcmp(split, "dev_cn") ? dev : dev_cn;
}

static enum prompt_format format_of(const char *split)
{
    return strcmp(split, "dev_cn") ? FORMAT_LETTER : FORMAT_LETTER_CN;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct columns { int index, question, hint, options[OPTIONS], answer, category, l2, image, split; };

static enum status find_columns(const struct tsv *t, struct columns *c, struct err *e)
{
    const struct { int *at; const char *name; bool required; } wanted[] = {
        { &c->index, "index", true },         { &c->question, "question", true },
        { &c->options[0], "A", true },        { &c->options[1], "B", true },
        { &c->options[2], "C", true },        { &c->options[3], "D", true },
        { &c->answer, "answer", true },       { &c->image, "image", true },
        { &c->hint, "hint", false },          { &c->category, "category", false },
        { &c->l2, "l2-category", false },     { &c->split, "split", false },
    };
    for (size_t i = 0; i < COUNT(wanted); i++) {
        *wanted[i].at = tsv_column(t, wanted[i].name);
        if (*wanted[i].at < 0 && wanted[i].required)
            return err_set(e, ERR_DATA, "%s: no column \"%s\"", t->path, wanted[i].name);
    }
    if (c->l2 < 0)
        c->l2 = tsv_column(t, "L2-category");
    return OK;
}

static int number_of(struct names *names, const char *name)
{
    for (int i = 0; name && i < names->n; i++)
        if (!strcmp(names->at[i], name))
            return i;
    if (!name || names->n == GROUPS_MAX)
        return name ? GROUPS_MAX : -1;
    names->at[names->n] = name;
    return names->n++;
}

/* LLaVA takes "nan" and "none" in any case as the end of the options, and as no hint; VLMEvalKit does
 * not. */
static bool ends_options(const char *text)
{
    return !text || !strcasecmp(text, "nan") || !strcasecmp(text, "none");
}

static enum status read_row(struct tsv *t, const struct columns *c, struct whole *whole,
                            struct questions *qs, struct err *e)
{
    struct arena *a = qs->arena;
    struct row *row = arena_alloc(a, sizeof *row);
    const char **options = arena_array(a, OPTIONS, sizeof *options);
    const char *index = tsv_text(t, c->index, a), *text = tsv_text(t, c->question, a);
    const char *category = tsv_text(t, c->category, a), *l2 = tsv_text(t, c->l2, a);
    const char *hint = tsv_text(t, c->hint, a), *answer = tsv_text(t, c->answer, a);
    int64_t number;
    struct question q = { .category = category ? category : "", .text = text, .options = options,
                          .context = ends_options(hint) ? NULL : hint, .reference = answer,
                          .more = row };
    if (!row || !options)
        return err_set(e, ERR_MEMORY, "%s: out of memory", t->path);
    for (int i = 0; i < OPTIONS; i++)
        row->texts[i] = tsv_text(t, c->options[i], a);
    while (q.n_options < OPTIONS && !ends_options(row->texts[q.n_options])) {
        options[q.n_options] = row->texts[q.n_options];
        q.n_options++;
    }
    if (e->code != OK)
        return e->code;
    if (!index || !str_to_int(index, &number) || number < 0)
        return err_set(e, ERR_DATA, "%s:%zu: \"index\" is \"%.40s\", expected an integer", t->path,
                       tsv_line(t), index ? index : "");
    if (!text)
        return err_set(e, ERR_DATA, "%s:%zu: \"question\" is missing", t->path, tsv_line(t));
    if (!answer || strlen(answer) != 1 || answer[0] < 'A' || answer[0] >= 'A' + OPTIONS)
        return err_set(e, ERR_DATA, "%s:%zu: \"answer\" is \"%.40s\", expected A to %c", t->path,
                       tsv_line(t), answer ? answer : "", 'A' + OPTIONS - 1);
    row->image = tsv_cell(t, c->image);
    row->split = tsv_text(t, c->split, a);
    row->number = (size_t)(number % PASS);
    row->first = number < PASS;
    row->category = number_of(&whole->categories, category);
    row->l2 = number_of(&whole->l2, l2);
    if (row->category == GROUPS_MAX || row->l2 == GROUPS_MAX)
        return err_set(e, ERR_DATA, "%s:%zu: more than %d categories", t->path, tsv_line(t),
                       GROUPS_MAX);
    q.id = arena_fmt(a, "%lld", (long long)number);
    q.image = arena_fmt(a, "%s#%s", file_of(qs->split), q.id);
    questions_add(qs, q);
    return OK;
}

static bool is_reference(const struct tsv_cell *cell)
{
    return cell->n <= REFERENCE_MAX;
}

/* Gives rows without a picture of their own that of the row they name, if it has one. */
static void follow_references(const struct tsv *t, struct questions *qs)
{
    for (size_t i = 0; i < qs->n; i++) {
        struct row *row = (struct row *)qs->at[i].more;
        if (!is_reference(&row->image))
            continue;
        const char *index = tsv_unquote(t->file.at + row->image.at, row->image.n, qs->arena);
        size_t holder = questions_find(qs, index, SIZE_MAX);
        const struct row *there = holder == SIZE_MAX ? NULL : qs->at[holder].more;
        row->image.n = 0;
        if (there && !is_reference(&there->image)) {
            row->image = there->image;
            qs->at[i].picture = qs->at[holder].image;
        }
    }
}

static int by_number(const void *left, const void *right, void *questions)
{
    const struct question *at = questions;
    size_t l = *(const size_t *)left, r = *(const size_t *)right;
    const struct row *a = at[l].more, *b = at[r].more;
    return a->number != b->number ? (a->number < b->number ? -1 : 1) : l < r ? -1 : l > r;
}

/* Numbers the questions from 0, and lets the rows of one share a picture where it is the same. */
static enum status group_rows(const struct tsv *t, struct questions *qs, struct whole *whole,
                              struct err *e)
{
    size_t *order = calloc(qs->n + 1, sizeof *order), previous = 0;
    const struct question *first = NULL;
    if (!order)
        return err_set(e, ERR_MEMORY, "%s: out of memory", t->path);
    for (size_t i = 0; i < qs->n; i++)
        order[i] = i;
    if (qs->n)
        qsort_r(order, qs->n, sizeof *order, by_number, qs->at);
    for (size_t k = 0; k < qs->n; k++) {
        struct question *q = &qs->at[order[k]];
        struct row *row = (struct row *)q->more;
        bool starts = k == 0 || row->number != previous;
        previous = row->number;
        whole->n_numbers += starts;
        row->number = whole->n_numbers - 1;
        if (starts)
            first = q;
        const struct tsv_cell *a = &row->image, *b = &((const struct row *)first->more)->image;
        if (q != first && !q->picture && a->n && a->n == b->n &&
            !memcmp(t->file.at + a->at, t->file.at + b->at, a->n))
            q->picture = first->picture ? first->picture : first->image;
    }
    free(order);
    return OK;
}

static enum status read_mmbench(const char *dir, const char *split, struct questions *qs,
                                struct err *e)
{
    const char *path = arena_fmt(qs->arena, "%s/%s", dir, file_of(split));
    struct whole *whole = arena_alloc(qs->arena, sizeof *whole);
    struct tsv t;
    struct columns c;
    if (!whole)
        return err_set(e, ERR_MEMORY, "%s: out of memory", path);
    if (tsv_open(&t, path, qs->arena, e) == OK && find_columns(&t, &c, e) == OK)
        while (tsv_next(&t) && read_row(&t, &c, whole, qs, e) == OK)
            continue;
    if (e->code == OK) {
        follow_references(&t, qs);
        group_rows(&t, qs, whole, e);
    }
    qs->more = whole;
    return tsv_close(&t);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static int base64_value(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A'      : c >= 'a' && c <= 'z' ? c - 'a' + 26
         : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Standard alphabet, padded or not, white space passed over. False when it is something else. */
static bool decode_base64(const char *text, unsigned char *out, size_t *n)
{
    uint32_t bits = 0;
    int n_bits = 0;
    *n = 0;
    for (; *text && *text != '='; text++) {
        int value = base64_value(*text);
        if (value < 0 && strchr(" \t\r\n", *text))
            continue;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[(*n)++] = (unsigned char)(bits >> n_bits);
        }
    }
    return text[strspn(text, "= \t\r\n")] == '\0' && n_bits < 6;
}

static enum status image_mmbench(const char *dir, const struct question *q, void **bytes, size_t *n,
                                 struct err *e)
{
    const struct row *row = q->more;
    struct arena a = { 0 };
    struct file file = { 0 };
    const char *path = arena_fmt(&a, "%s/%.*s", dir, (int)strcspn(q->image, "#"), q->image);
    *bytes = NULL;
    *n = 0;
    if (!row->image.n)
        err_set(e, ERR_DATA, "%s: row %s has no image, nor the index of a row with one", path,
                q->id);
    else if (file_open(&file, path, ERR_DATA, e) == OK && file.n < row->image.at + row->image.n)
        err_set(e, ERR_DATA, "%s: shorter than when it was read", path);
    if (e->code != OK)
        goto done;
    const char *text = tsv_unquote(file.at + row->image.at, row->image.n, &a);
    unsigned char *out = malloc(row->image.n);
    if (a.failed || !out)
        err_set(e, ERR_MEMORY, "%s: no memory for the image of row %s", path, q->id);
    else if (!decode_base64(text, out, n))
        err_set(e, ERR_DATA, "%s: the image of row %s is not in base64", path, q->id);
    if (e->code == OK)
        *bytes = out;
    else
        free(out);
done:
    file_close(&file);
    arena_free(&a);
    return e->code;
}

/* ---- scoring --------------------------------------------------------------------------------- */

static void mark_mmbench(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    const struct question *q = &qs->at[i];
    const struct row *row = q->more;
    char letter = choice_infer(reply, row->texts, OPTIONS);
    out->a = letter && q->reference[0] == letter;           /* one letter: read_row() */
}

struct share { double right, all; size_t n; };

static void count(struct share *s, bool right, double weight)
{
    s->right += right ? weight : 0;
    s->all += weight;
    s->n++;
}

static void add_share(struct scores *out, const struct share *s, const char *prefix,
                      const char *name)
{
    if (s->n || !*prefix)
        scores_add(out, 100 * s->right / s->all, s->n, "%s%s", prefix, name);
}

static size_t unit_mmbench(const struct questions *qs, size_t i)
{
    return ((const struct row *)qs->at[i].more)->number;
}

static uint64_t kind_mmbench(const struct questions *qs, size_t i)
{
    const struct row *row = qs->at[i].more;
    return (uint64_t)(row->category + 1) << 32 | (uint64_t)(row->l2 + 1) << 1 | row->first;
}

/* The rows of a question share a picture, so while resampling they also share a weight. */
static void tally_mmbench(const struct tally_input *in, struct scores *out)
{
    const struct whole *whole = in->qs->more;
    size_t n_numbers = in->unit ? in->qs->n : whole->n_numbers;
    bool *missed = calloc(n_numbers + 1, sizeof *missed);           /* some row of it is wrong */
    struct share circular = { 0 }, vanilla = { 0 }, all = { 0 };
    struct share category[GROUPS_MAX] = { { 0 } }, l2[GROUPS_MAX] = { { 0 } };
    if (!missed) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct row *row = in->qs->at[i].more;
        bool hit = !in->marks[i].missing && in->marks[i].a > 0;
        size_t number = in->unit ? in->unit[i] : row->number;
        missed[number] = missed[number] || !hit;
        count(&all, hit, in->weight ? in->weight[i] : 1);
    }
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct row *row = in->qs->at[i].more;
        double weight = in->weight ? in->weight[i] : 1;
        bool whole_hit = !missed[in->unit ? in->unit[i] : row->number];
        if (!row->first)
            continue;
        count(&circular, whole_hit, weight);
        count(&vanilla, !in->marks[i].missing && in->marks[i].a > 0, weight);
        if (row->category >= 0)
            count(&category[row->category], whole_hit, weight);
        if (row->l2 >= 0)
            count(&l2[row->l2], whole_hit, weight);
    }
    free(missed);
    add_share(out, &circular, "", "accuracy");
    add_share(out, &vanilla, "", "vanilla_accuracy");
    add_share(out, &all, "", "vanilla_all_accuracy");
    for (int i = 0; i < whole->categories.n; i++)
        add_share(out, &category[i], "category/", whole->categories.at[i]);
    for (int i = 0; i < whole->l2.n; i++)
        add_share(out, &l2[i], "l2/", whole->l2.at[i]);
    out->n_questions = circular.n;
}

/* The server's table, haotian-liu/LLaVA scripts/convert_mmbench_for_submission.py: the TSV without
 * hint, category, source, image, comment and l2-category, prediction behind D. A row without an
 * answer has an empty cell there, and counts as wrong. */
static enum status export_mmbench(struct questions *qs, const struct answers *given,
                                  struct exports *out, struct err *e)
{
    static const struct exports_column columns[] = {
        { "index", true }, { "question", false }, { "A", false }, { "B", false }, { "C", false },
        { "D", false }, { "prediction", false }, { "answer", false }, { "split", false } };
    for (size_t i = 0; i < qs->n; i++)
        if (questions_find(qs, qs->at[i].id, SIZE_MAX) != i)
            return err_set(e, ERR_DATA, "mmbench: index %s stands twice in the table", qs->at[i].id);
    exports_table(out, columns, COUNT(columns));
    for (size_t i = 0; i < qs->n; i++) {
        const struct question *q = &qs->at[i];
        const struct row *row = q->more;
        exports_cell(out, q->id);
        exports_cell(out, q->text);
        for (int k = 0; k < OPTIONS; k++)
            exports_cell(out, row->texts[k]);
        exports_cell(out, given->text[i]);
        exports_cell(out, q->reference);
        exports_cell(out, row->split);
    }
    return exports_failed(out) ? err_set(e, ERR_MEMORY, "mmbench: no memory for the export") : OK;
}

const struct benchmark bench_mmbench = {
    .name = "mmbench", .integer_ids = true, .title = "MMBench", .version = 1, .splits = "dev,dev_cn",
    .official_n = { 4377 },
    .headline = "accuracy", .scale = 100,
    .headline_text = "share of questions answered right in every rotation of their options; "
                     "percent, higher is better",
    .format = FORMAT_LETTER, .format_of = format_of, .max_new_tokens = 1024,
    .missing_is_wrong = true,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "Apache-2.0; pictures from many sources",
    .homepage = "https://github.com/open-compass/MMBench",
    .read = read_mmbench, .question_files = question_files, .image = image_mmbench,
    .categories = "category/*,l2/*", .accuracies = "accuracy,category/*,l2/*",
    .unit = unit_mmbench, .kind = kind_mmbench, .all_or_nothing = true,
    .mark = mark_mmbench, .tally = tally_mmbench, .export = export_mmbench,
};
