/* LLaVA-Bench (In-the-Wild): 60 free questions on 24 pictures, scored by a judge.
 *
 * Judge   a text-only chat model sees a description of the picture, the question, a reference
 *         answer (always number 1) and the model's (number 2), and writes two scores from 1 to 10
 *         on its first line.
 * Score   haotian-liu/LLaVA c121f04, llava/eval/eval_gpt_review_bench.py (parse_score) and
 *         llava/eval/summarize_gpt_review.py: ratio of the two means, rounded on the way. A reply
 *         that cannot be read counts as the pair (-1, -1), which pulls the ratio towards 100: it is
 *         counted aloud, and rel_all_clean leaves it out.
 * Joins   by question_id; the original goes by line number.
 * The judge's rules are a third-party text: downloaded, never part of the program. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/python.h"
#include "benchmarks/reviews.h"

#define HUB "https://huggingface.co/datasets/liuhaotian/llava-bench-in-the-wild/resolve/main/"
static const struct source sources[] = {
    { .path = "questions.jsonl", .url = { HUB "questions.jsonl" } },
    { .path = "context.jsonl", .url = { HUB "context.jsonl" } },
    { .path = "answers_gpt4.jsonl", .url = { HUB "answers_gpt4.jsonl" } },
    { .path = "rule.json", .bytes = 9098,
      .url = { "https://raw.githubusercontent.com/haotian-liu/LLaVA/"
               "c121f0432da27facab705978f83c4ada465e46fd/llava/eval/table/rule.json" },
      .sha256 = "dd7345a44ce9f7a24e51a30ee030cdab32346f9d08e3359c80545ff1312b1e07" },
    { .path = "images/*", .url = { HUB "images/*" }, .images = true },
};

static const char *const groups[] = { "all", "conv", "detail", "complex" };

struct asked { const char *caption, *role, *rule, *reference_id; };  /* question.more: for the judge */
struct whole { const int64_t *runs; };                      /* questions.more: labels, or NULL */

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { "questions.jsonl", NULL };
    (void)split;                                            /* there is one */
    return files;
}

/* ---- reading --------------------------------------------------------------------------------- */

static size_t ordinal_of(struct questions *qs, const struct json *id)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)id->integer);
    return questions_find(qs, id->type == JSON_STRING ? id->string : digits, SIZE_MAX);
}

/* Puts the reference answers to their questions; those of no question are passed over. */
static enum status read_references(const char *path, struct questions *qs, struct err *e)
{
    struct jsonl in;
    for (size_t i = 0; i < qs->n; i++)
        qs->at[i].reference = NULL;
    jsonl_open(&in, qs->arena, e, "%s", path);
    while (jsonl_next(&in)) {
        char id[32];
        snprintf(id, sizeof id, "%lld", (long long)jsonl_int(&in, "question_id"));
        const char *text = jsonl_str(&in, "text");
        size_t i = e->code == OK ? questions_find(qs, id, SIZE_MAX) : SIZE_MAX;
        if (i == SIZE_MAX)
            continue;
        if (qs->at[i].reference)
            err_set(e, ERR_DATA, "%s:%zu: question_id %s stands twice", path, in.line, id);
        qs->at[i].reference = text;
        const char *name = json_get_str(in.object, "answer_id", NULL);
        ((struct asked *)qs->at[i].more)->reference_id = name ? arena_str(qs->arena, name) : NULL;
    }
    return jsonl_close(&in);
}

static enum status read_llavabench(const char *dir, const char *split, struct questions *qs,
                                   struct err *e)
{
    (void)split;
    struct jsonl in;
    struct arena *a = qs->arena;
    qs->more = arena_alloc(a, sizeof(struct whole));
    jsonl_open(&in, a, e, "%s/questions.jsonl", dir);
    while (jsonl_next(&in)) {
        const char *category = jsonl_str(&in, "category"), *known = NULL;
        for (size_t g = 1; g < COUNT(groups); g++)
            if (!strcmp(category, groups[g]))
                known = groups[g];
        if (!known && e->code == OK)
            err_set(e, ERR_DATA, "%s:%zu: \"category\" is \"%.40s\", expected conv, detail or "
                    "complex", in.path, in.line, category);
        questions_add(qs, (struct question){
            .id = arena_fmt(a, "%lld", (long long)jsonl_int(&in, "question_id")),
            .category = known, .image = arena_fmt(a, "images/%s", jsonl_str(&in, "image")),
            .text = jsonl_str(&in, "text"), .more = arena_alloc(a, sizeof(struct asked)) });
    }
    if (jsonl_close(&in) != OK)
        return e->code;
    for (size_t i = 0; !qs->failed && i < qs->n; i++)
        if (questions_find(qs, qs->at[i].id, SIZE_MAX) != i)
            return err_set(e, ERR_DATA, "%s/questions.jsonl: question_id %s stands twice", dir,
                           qs->at[i].id);
    /* Recorded reviews can be scored without the reference answers; to show them is better. */
    const char *references = path_join(a, dir, "answers_gpt4.jsonl");
    return file_exists(references) ? read_references(references, qs, e) : OK;
}

/* ---- the judge ------------------------------------------------------------------------------- */

static const char *joined(const struct json *caption, struct arena *a)
{
    struct str s;
    if (caption && caption->type == JSON_STRING)
        return arena_str(a, caption->string);
    if (!caption || caption->type != JSON_ARRAY)
        return NULL;
    str_init(&s, 1 << 20);
    for (const struct json *line = caption->first; line; line = line->next) {
        if (line != caption->first)
            str_addc(&s, '\n');
        str_add(&s, line->type == JSON_STRING ? line->string : "");
    }
    const char *text = arena_strn(a, s.at, s.n);
    a->failed = a->failed || s.failed;
    str_free(&s);
    return text;
}

/* Of two captions of one image the later one wins. */
static enum status read_captions(const char *path, struct questions *qs, struct err *e)
{
    struct jsonl in;
    jsonl_open(&in, qs->arena, e, "%s", path);
    while (jsonl_next(&in)) {
        const char *image = jsonl_str(&in, "image");
        const char *caption = joined(json_get(in.object, "caption"), qs->arena);
        if (!caption)
            err_set(e, ERR_DATA, "%s:%zu: \"caption\" should be a text or a list of texts", path,
                    in.line);
        for (size_t i = 0; caption && i < qs->n; i++)
            if (!strcmp(path_base(qs->at[i].image), image))
                ((struct asked *)qs->at[i].more)->caption = caption;
    }
    return jsonl_close(&in);
}

static enum status read_rules(const char *path, struct questions *qs, struct err *e)
{
    struct file file;
    if (file_open(&file, path, ERR_DATA, e) != OK)
        return e->code;
    const struct json *rules = json_parse(qs->arena, path, file.at, file.n, e);
    for (size_t i = 0; rules && e->code == OK && i < qs->n; i++) {
        char key[64];
        struct asked *asked = (struct asked *)qs->at[i].more;
        snprintf(key, sizeof key, "llava_bench_%s", qs->at[i].category);
        asked->role = json_get_str(json_get(rules, key), "role", NULL);
        asked->rule = json_get_str(json_get(rules, key), "prompt", NULL);
        if (!asked->role || !asked->rule)
            err_set(e, ERR_DATA, "%s: \"%s\" should have the texts \"role\" and \"prompt\"", path,
                    key);
    }
    file_close(&file);
    return e->code;
}

static enum status judge_open(const char *dir, struct questions *qs, struct err *e)
{
    const char *captions = path_join(qs->arena, dir, "context.jsonl");
    const char *references = path_join(qs->arena, dir, "answers_gpt4.jsonl");
    if (read_rules(path_join(qs->arena, dir, "rule.json"), qs, e) != OK ||
        read_captions(captions, qs, e) != OK || read_references(references, qs, e) != OK)
        return e->code;
    for (size_t i = 0; i < qs->n; i++) {
        const struct asked *asked = qs->at[i].more;
        if (!asked->caption)
            return err_set(e, ERR_DATA, "%s: no caption of %s, which question_id %s asks about",
                           captions, path_base(qs->at[i].image), qs->at[i].id);
        if (!qs->at[i].reference)
            return err_set(e, ERR_DATA, "%s: no answer to question_id %s", references,
                           qs->at[i].id);
    }
    return OK;
}

static enum status judge_request(const struct questions *qs, size_t i, const char *reply,
                                 int attempt, struct arena *a, struct judge_request *out,
                                 struct err *e)
{
    (void)attempt;                                          /* there is one */
    const struct question *q = &qs->at[i];
    const struct asked *asked = q->more;
    *out = (struct judge_request){
        .system = judge_llavabench_system, .temperature = 0.2, .max_tokens = 1024,
        .user = judge_llavabench_user(a, asked->caption, q->text, q->reference, reply, asked->role,
                                      asked->rule) };
    return a->failed ? err_set(e, ERR_MEMORY, "llavabench: no memory for question_id %s", q->id)
                     : OK;
}

/* The first line, commas taken for blanks, must be two numbers with one blank between: "7 6\r" is,
 * "7, 6" is not. a: the reference's score; b: the model's; unread: (-1, -1). */
static bool judge_mark(const char *reply, int attempt, struct mark *out)
{
    (void)attempt;
    struct mark pair = { 0 };
    size_t n = reply ? strcspn(reply, "\n") : 0, first = n, separators = 0;
    for (size_t i = 0; i < n; i++)
        if (reply[i] == ' ' || reply[i] == ',') {
            first = i;
            separators++;
        }
    bool read = separators == 1 && python_float(reply, first, &pair.a) &&
                python_float(reply + first + 1, n - first - 1, &pair.b);
    *out = read ? pair : (struct mark){ .a = -1, .b = -1, .unread = true };
    return read;
}

static void judge_demo(double overlap, char out[64])
{
    snprintf(out, 64, "10 %.1f\nWord overlap with the reference.", 1 + 9 * overlap);
}

static enum status reviews(struct questions *qs, const char *path, const struct review_rules *rules,
                           struct arena *a, struct mark **marks, int *passes, struct scores *extra,
                           struct err *e)
{
    struct reviews in;
    struct whole *whole = qs->more;
    size_t differ = 0;
    if (reviews_read(qs, path, false, rules, ordinal_of, a, &in, e) != OK)
        return e->code;
    *passes = in.n_runs;
    *marks = arena_array(a, (size_t)in.n_runs * qs->n, sizeof **marks);
    if (!*marks)
        return err_set(e, ERR_MEMORY, "%s: no memory for %d runs", path, in.n_runs);
    for (size_t i = 0; i < (size_t)in.n_runs * qs->n; i++)
        (*marks)[i].missing = true;
    for (size_t i = 0; i < in.n; i++) {
        const struct review *r = &in.at[i];
        struct mark *m = &(*marks)[(size_t)reviews_pass(&in, r->run) * qs->n + r->question];
        judge_mark(r->reply, 0, m);
        differ += !isnan(r->tuple[0]) && (r->tuple[0] != m->a || r->tuple[1] != m->b);
    }
    if (!(whole->runs = reviews_labels(&in, qs->arena)))
        return err_set(e, ERR_MEMORY, "%s: no memory for %d runs", path, in.n_runs);
    if (rules->partial)
        scores_add(extra, (double)in.missing, qs->n, "n_missing");
    if (in.unknown)
        scores_add(extra, (double)in.unknown, qs->n, "n_unknown");
    if (differ)                                             /* LLaVA's "tuple" is made again */
        scores_add(extra, (double)differ, qs->n, "n_tuple_differs");
    return OK;
}

/* ---- scoring --------------------------------------------------------------------------------- */

struct means { double rel, reference, candidate; size_t n; };

static bool is_clean(const struct mark *m)
{
    return !m->unread && m->a >= 1 && m->a <= 10 && m->b >= 1 && m->b <= 10;
}

/* One pass, one group, as summarize_gpt_review.py prints it. */
static struct means summarize(const struct tally_input *in, int pass, const char *group,
                              bool clean_only)
{
    const struct mark *marks = in->marks + (size_t)pass * in->qs->n;
    double a = 0, b = 0;
    size_t n = 0;
    for (size_t i = 0; i < in->qs->n; i++) {
        uint32_t weight = in->weight ? in->weight[i] : 1;
        if (marks[i].missing || (clean_only && !is_clean(&marks[i])) ||
            (strcmp(group, "all") != 0 && strcmp(group, in->qs->at[i].category) != 0))
            continue;
        a += weight * marks[i].a;
        b += weight * marks[i].b;
        n += weight;
    }
    if (!n)
        return (struct means){ NAN, NAN, NAN, 0 };
    a = python_round(a / (double)n, 3);
    b = python_round(b / (double)n, 3);
    return (struct means){ a == 0 ? NAN : python_round(b / a * 100, 1), python_round(a * 10, 1),
                           python_round(b * 10, 1), n };
}

/* Each number is the mean over passes of what is rounded already. */
static struct means over_passes(const struct tally_input *in, const char *group, bool clean_only)
{
    struct means sum = { 0 };
    for (int p = 0; p < in->passes; p++) {
        struct means m = summarize(in, p, group, clean_only);
        sum.rel += m.rel;
        sum.reference += m.reference;
        sum.candidate += m.candidate;
        sum.n = m.n > sum.n ? m.n : sum.n;
    }
    return (struct means){ python_round(sum.rel / in->passes, 1),
                           python_round(sum.reference / in->passes, 1),
                           python_round(sum.candidate / in->passes, 1), sum.n };
}

/* The candidate's points. */
static double worth_llavabench(const struct questions *qs, size_t i, const struct mark *m)
{
    (void)qs, (void)i;
    return m->b;
}

static void tally_llavabench(const struct tally_input *in, struct scores *out)
{
    const struct whole *whole = in->qs->more;
    size_t unread = 0, out_of_range = 0, n = 0;
    double sum = 0, squares = 0;
    struct means of[COUNT(groups)];
    for (size_t g = 0; g < COUNT(groups); g++) {
        of[g] = over_passes(in, groups[g], false);
        scores_add(out, of[g].rel, of[g].n, "rel_%s", groups[g]);
    }
    for (size_t g = 0; g < COUNT(groups); g++)
        scores_add(out, of[g].reference, of[g].n, "ref_%s", groups[g]);
    for (size_t g = 0; g < COUNT(groups); g++)
        scores_add(out, of[g].candidate, of[g].n, "cand_%s", groups[g]);
    n = of[0].n;
    for (int p = 0; p < in->passes; p++)
        sum += summarize(in, p, "all", false).rel;
    for (int p = 0; p < in->passes; p++) {
        double above = summarize(in, p, "all", false).rel - sum / in->passes;
        squares += above * above;
    }
    scores_add(out, python_round(sqrt(squares / in->passes), 1), n, "rel_all_std");
    for (int p = 0; p < in->passes; p++)
        scores_add(out, summarize(in, p, "all", false).rel, n, "rel_all_run%lld",
                   whole && whole->runs ? (long long)whole->runs[p] : (long long)p);
    struct means clean = over_passes(in, "all", true);
    scores_add(out, clean.rel, clean.n, "rel_all_clean");
    for (size_t i = 0; i < in->qs->n * (size_t)in->passes; i++) {
        const struct mark *m = &in->marks[i];
        uint32_t weight = in->weight ? in->weight[i % in->qs->n] : 1;
        if (m->missing)
            continue;
        unread += m->unread ? weight : 0;
        out_of_range += !m->unread && !is_clean(m) ? weight : 0;
    }
    scores_add(out, in->passes, n, "runs");
    scores_add(out, (double)unread, n, "n_invalid");
    scores_add(out, (double)out_of_range, n, "n_out_of_range");
}

/* LLaVA's own review files, a file per pass: what summarize_gpt_review.py reads. The candidate's
 * answer_id is not known here. */
static enum status export_reviews(struct questions *qs, const struct reviews *in, const char *model,
                                  const char *judge, struct exports *out, struct err *e)
{
    if (in->n_runs > EXPORTS_FILES)
        return err_set(e, ERR_DATA, "llavabench: %d runs, expected at most %d", in->n_runs,
                       EXPORTS_FILES);
    for (int p = 0; p < in->n_runs; p++) {
        struct str *text = exports_text(out, arena_fmt(&out->arena, "%s_%s-review-run%d.jsonl", model,
                                                       judge, p));
        for (size_t i = 0; i < qs->n; i++) {
            const struct review *r = reviews_find(in, i, p, 0);
            const struct asked *asked = qs->at[i].more;
            struct mark m;
            judge_mark(r ? r->reply : NULL, 0, &m);
            str_addf(text, "{\"id\": %zu, \"question_id\": %s, \"answer1_id\": ", i + 1,
                     qs->at[i].id);
            if (asked->reference_id)
                python_json(text, asked->reference_id);
            else
                str_add(text, qs->at[i].id);                /* as the script does */
            str_addf(text, ", \"answer2_id\": null, \"category\": \"llava_bench_%s\", \"content\": ",
                     qs->at[i].category);
            python_json(text, r && r->reply ? r->reply : "");
            str_add(text, ", \"tuple\": [");
            str_add_number(text, m.a);
            str_add(text, ", ");
            str_add_number(text, m.b);
            str_add(text, "]}\n");
        }
    }
    return exports_failed(out) ? err_set(e, ERR_MEMORY, "llavabench: no memory for the export") : OK;
}

/* Means of the three passes of gpt-4-0314 that LLaVA published (eval.zip), rounded each; rel_all as
 * in the paper's Table 4. */
static const struct published published[] = {
    { "llava-v1.5-7b", "rel_all", 65.4 },      { "llava-v1.5-7b", "rel_conv", 59.1 },
    { "llava-v1.5-7b", "rel_detail", 49.0 },   { "llava-v1.5-7b", "rel_complex", 78.7 },
    { "llava-v1.5-13b", "rel_all", 72.5 },     { "llava-v1.5-13b", "rel_conv", 74.0 },
    { "llava-v1.5-13b", "rel_detail", 51.6 },  { "llava-v1.5-13b", "rel_complex", 83.3 },
    { 0 },
};

const struct benchmark bench_llavabench = {
    .name = "llavabench", .integer_ids = true, .title = "LLaVA-Bench", .version = 1, .splits = "test",
    .official_n = { 60 },
    .headline = "rel_all", .scale = 100,
    .headline_text = "the judge's mean score of the replies over that of reference answers, %, "
                     "higher is better",
    .format = FORMAT_PLAIN, .max_new_tokens = 1024,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "code and rules Apache-2.0; data: see the homepage",
    .homepage = "https://huggingface.co/datasets/liuhaotian/llava-bench-in-the-wild",
    .categories = "rel_conv,rel_detail,rel_complex", .accuracies = "",
    .worth = worth_llavabench, .read = read_llavabench, .question_files = question_files, .tally = tally_llavabench,
    .judge_open = judge_open, .judge_request = judge_request, .judge_mark = judge_mark,
    .judge_attempts = 1, .judge_passes = 3, .judge_demo = judge_demo, .reviews = reviews,
    .published = published, .judge_asset = "rule.json", .review_question = ordinal_of, .export_reviews = export_reviews,
};
