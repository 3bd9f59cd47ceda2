/* MM-Vet (v1): 218 open questions, each tagged with the capabilities it needs, graded by a judge.
 *
 * Judge   completes a table of examples with one number from 0 to 1. A reply that cannot be read is
 *         asked again, up to five attempts, ever hotter; then the grade is 0.
 * Score   yuweihao/MM-Vet acde843, mm-vet_evaluator.py: means over questions, then over passes,
 *         rounded as numpy rounds.
 * Ids     "v1_7"; answers files also say 7 or "7", as LLaVA's.
 * The table is a third-party text, cut out of the downloaded evaluator: it is data to us, never
 * run, and never part of the program. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/python.h"
#include "benchmarks/reviews.h"

#define EVALUATOR "mm-vet_evaluator.py"
static const struct source sources[] = {
    { .path = "./", .strip = "mm-vet", .members = "mm-vet.json,images/*",
      .url = { "https://github.com/yuweihao/MM-Vet/releases/download/v1/mm-vet.zip" } },
    { .path = EVALUATOR, .bytes = 15232,
      .url = { "https://raw.githubusercontent.com/yuweihao/MM-Vet/"
               "acde843e02dae30047bb456ee4a8ab28dee7e0ae/" EVALUATOR },
      .sha256 = "68cfd25dc1c83d9dbf695c86854749083fc3899398ef88ca2d70cea3ddd82cbf" },
};

/* In the order in which sets are named: bit c of a set is capabilities[c]. */
static const char *const capabilities[] = { "rec", "ocr", "know", "gen", "spat", "math" };
enum { SETS = 1 << COUNT(capabilities) };

static const double temperatures[] = { 0, 0, 0.5, 1.0, 1.5 };   /* by attempt */
enum { ATTEMPTS = COUNT(temperatures) };

struct whole {                  /* questions.more */
    const char *table;          /* from judge_open, or NULL */
    const int64_t *runs;        /* labels of the passes, or NULL: 0, 1, ... */
};

static const char *const *question_files(const char *split)
{
    static const char *const files[] = { "mm-vet.json", NULL };
    (void)split;                                            /* there is one */
    return files;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* "rec_know_gen" */
static const char *name_of(unsigned set, struct arena *a)
{
    const char *name = "";
    for (size_t c = 0; c < COUNT(capabilities); c++)
        if (set >> c & 1)
            name = *name ? arena_fmt(a, "%s_%s", name, capabilities[c]) : capabilities[c];
    return name;
}

/* The set of a list, in which order and repeats mean nothing; false when a word is unknown. */
static bool read_set(const struct json *list, unsigned *set)
{
    *set = 0;
    if (!list || list->type != JSON_ARRAY)
        return false;
    for (const struct json *item = list->first; item; item = item->next) {
        unsigned bit = 0;
        for (size_t c = 0; item->type == JSON_STRING && c < COUNT(capabilities); c++)
            if (!strcmp(item->string, capabilities[c]))
                bit = 1u << c;
        if (!bit)
            return false;
        *set |= bit;
    }
    return true;
}

static enum status read_mmvet(const char *dir, const char *split, struct questions *qs,
                              struct err *e)
{
    (void)split;
    struct arena scratch = { 0 }, *a = qs->arena;
    struct json_items in;
    const struct json *item;
    const char *path = path_join(a, dir, "mm-vet.json");
    qs->more = arena_alloc(a, sizeof(struct whole));
    json_items_open(&in, path, "", &scratch, e);
    while (e->code == OK && (item = json_items_next(&in)) != NULL) {
        const char *image = json_get_str(item, "imagename", NULL);
        const char *text = json_get_str(item, "question", NULL);
        const char *answer = json_get_str(item, "answer", NULL);
        unsigned *set = arena_alloc(a, sizeof *set);
        if (!in.is_object || !image || !text || !answer || !set ||
            !read_set(json_get(item, "capability"), set)) {
            err_set(e, ERR_DATA, "%s: question \"%s\" should have the texts \"imagename\", "
                    "\"question\" and \"answer\" and the list \"capability\" out of rec, ocr, "
                    "know, gen, spat, math", path, item->key ? item->key : "");
            break;
        }
        questions_add(qs, (struct question){
            .id = arena_str(a, item->key), .category = name_of(*set, a), .text = arena_str(a, text),
            .image = arena_fmt(a, "images/%s", image), .reference = arena_str(a, answer),
            .more = set });
    }
    json_items_close(&in);
    arena_free(&scratch);
    return e->code;
}

/* N, "N" and "v1_N" are one. */
static size_t ordinal_of(struct questions *qs, const struct json *id)
{
    char name[40];
    int64_t number = id->integer;
    if (id->type == JSON_STRING && (id->string[0] == '-' || !str_to_int(id->string, &number)))
        return questions_find(qs, id->string, SIZE_MAX);
    snprintf(name, sizeof name, "v1_%lld", (long long)number);
    return questions_find(qs, name, SIZE_MAX);
}

static bool match_mmvet(struct questions *qs, const struct json *line, struct answers *into,
                        struct err *e)
{
    (void)e;                                                /* no line is worse than unknown */
    size_t i = ordinal_of(qs, json_get(line, "question_id"));
    if (i != SIZE_MAX)
        answers_give(into, i, json_get_str(line, "text", ""));
    return i != SIZE_MAX;
}

/* ---- the judge ------------------------------------------------------------------------------- */

/* The table: what follows the first line that begins with  prompt = """  up to the next """. It
 * has no escapes; a file that has is refused. */
static enum status judge_open(const char *dir, struct questions *qs, struct err *e)
{
    static const char start[] = "prompt = \"\"\"";
    struct whole *whole = qs->more;
    struct file file;
    const char *path = path_join(qs->arena, dir, EVALUATOR);
    if (file_open(&file, path, ERR_DATA, e) != OK)
        return e->code;
    const char *end = file.at + file.n, *from = NULL, *to = NULL;
    for (const char *line = file.at; line && line < end && !from;) {
        if ((size_t)(end - line) >= strlen(start) && !memcmp(line, start, strlen(start)))
            from = line + strlen(start);
        line = memchr(line, '\n', (size_t)(end - line));
        line = line ? line + 1 : NULL;
    }
    if (from)
        to = memmem(from, (size_t)(end - from), "\"\"\"", 3);
    if (!to)
        err_set(e, ERR_DATA, "%s: no line begins with %s, or it has no end", path, start);
    else if (memchr(from, '\\', (size_t)(to - from)) || memchr(from, '\r', (size_t)(to - from)) ||
             memchr(from, '\0', (size_t)(to - from)))
        err_set(e, ERR_DATA, "%s: its prompt has a backslash, a carriage return or a zero byte, "
                "which the official one has not", path);
    else
        whole->table = arena_strn(qs->arena, from, (size_t)(to - from));
    file_close(&file);
    return e->code;
}

static enum status judge_request(const struct questions *qs, size_t i, const char *reply,
                                 int attempt, struct arena *a, struct judge_request *out,
                                 struct err *e)
{
    const struct question *q = &qs->at[i];
    const struct whole *whole = qs->more;
    *out = (struct judge_request){
        .temperature = temperatures[attempt < ATTEMPTS ? attempt : ATTEMPTS - 1], .max_tokens = 3,
        .user = judge_mmvet_user(a, whole->table, q->text, q->reference, reply, attempt) };
    return a->failed ? err_set(e, ERR_MEMORY, "mmvet: no memory for question %s", q->id) : OK;
}

/* A number from 0 to 1 before the first blank: "0.4\nok" is none. a: the grade; b: the attempt it
 * was read at, -1 when none could be. */
static bool judge_mark(const char *reply, int attempt, struct mark *out)
{
    double grade;
    bool read = reply && python_float(reply, strcspn(reply, " "), &grade) && grade >= 0 &&
                grade <= 1;
    *out = read ? (struct mark){ .a = grade, .b = attempt }
                : (struct mark){ .a = 0, .b = -1, .unread = true };
    return read;
}

static void judge_demo(double overlap, char out[64])
{
    snprintf(out, 64, "%.2f", overlap);
}

/* ---- recorded reviews ------------------------------------------------------------------------ */

static enum status alloc_marks(size_t n, int passes, const char *path, struct arena *a,
                               struct mark **marks, struct err *e)
{
    *marks = arena_array(a, (size_t)passes * n, sizeof **marks);
    if (!*marks)
        return err_set(e, ERR_MEMORY, "%s: no memory for %d runs", path, passes);
    for (size_t i = 0; i < (size_t)passes * n; i++)
        (*marks)[i].missing = true;
    return OK;
}

/* The evaluator's own file of grades: {"v1_0": {"score": [run 0, run 1, ...], ...}, ...}. */
static enum status read_grades(const struct json *grades, struct questions *qs, const char *path,
                               bool partial, struct arena *a, struct mark **marks, int *passes,
                               struct scores *extra, struct err *e)
{
    size_t missing = 0, most = 0;
    for (const struct json *g = grades->first; g; g = g->next) {
        const struct json *score = json_get(g, "score");
        if (score && score->type == JSON_ARRAY && score->n > most)
            most = score->n;
    }
    if (most == 0 || most > 1000)
        return err_set(e, ERR_DATA, "%s: is neither JSON lines with \"question_id\" nor a file of "
                       "grades with lists \"score\"", path);
    *passes = (int)most;
    if (alloc_marks(qs->n, *passes, path, a, marks, e) != OK)
        return e->code;
    for (size_t i = 0; i < qs->n; i++) {
        const struct json *score = json_get(json_get(grades, qs->at[i].id), "score");
        const struct json *s = score && score->type == JSON_ARRAY ? score->first : NULL;
        for (size_t p = 0; p < most; p++, s = s ? s->next : NULL) {
            if (s && s->type != JSON_NUMBER)
                return err_set(e, ERR_DATA, "%s: question %s: its \"score\" holds what is no "
                               "number", path, qs->at[i].id);
            if (s && !(s->number >= 0 && s->number <= 1))
                return err_set(e, ERR_DATA, "%s: question %s: its grade in run %zu is %g, expected 0 to "
                               "1", path, qs->at[i].id, p, s->number);
            if (s) {
                (*marks)[p * qs->n + i] = (struct mark){ .a = s->number };
                continue;
            }
            missing++;
            if (!partial)
                return err_set(e, ERR_INCOMPLETE, "%s: question %s has no grade in run %zu "
                               "(--partial scores what is there)", path, qs->at[i].id, p);
        }
    }
    if (partial)
        scores_add(extra, (double)missing, qs->n, "n_missing");
    return OK;
}

/* The whole file as one object, or NULL: then it holds JSON lines. */
static const struct json *as_grades(const char *path, struct arena *a, struct err *e)
{
    struct file file;
    struct err none = { 0 };
    if (file_open(&file, path, ERR_DATA, e) != OK)
        return NULL;
    const struct json *whole = json_parse(a, path, file.at, file.n, &none);
    file_close(&file);
    return whole && whole->type == JSON_OBJECT && !json_get(whole, "question_id") ? whole : NULL;
}

static void mark_reviews(const struct reviews *in, size_t n, struct mark *marks)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct review *r = &in->at[i];
        struct mark *m = &marks[(size_t)reviews_pass(in, r->run) * n + r->question];
        if (m->missing || m->unread)
            judge_mark(r->attempt < ATTEMPTS ? r->reply : NULL,
                       r->attempt < ATTEMPTS ? (int)r->attempt : ATTEMPTS, m);
    }
}

/* Attempts in rising order until one can be read; the official loop never looks at a sixth. */
static enum status reviews(struct questions *qs, const char *path, const struct review_rules *rules,
                           struct arena *a, struct mark **marks, int *passes, struct scores *extra,
                           struct err *e)
{
    struct whole *whole = qs->more;
    const struct json *grades = as_grades(path, a, e);
    struct reviews in;
    if (e->code != OK)
        return e->code;
    if (grades)
        return read_grades(grades, qs, path, rules->partial, a, marks, passes, extra, e);
    if (reviews_read(qs, path, true, rules, ordinal_of, a, &in, e) != OK ||
        alloc_marks(qs->n, in.n_runs, path, a, marks, e) != OK)
        return e->code;
    *passes = in.n_runs;
    mark_reviews(&in, qs->n, *marks);
    if (!(whole->runs = reviews_labels(&in, qs->arena)))
        return err_set(e, ERR_MEMORY, "%s: no memory for %d runs", path, in.n_runs);
    if (rules->partial)
        scores_add(extra, (double)in.missing, qs->n, "n_missing");
    if (in.unknown)
        scores_add(extra, (double)in.unknown, qs->n, "n_unknown");
    return OK;
}

/* ---- scoring --------------------------------------------------------------------------------- */

/* Sums of one pass, over all, each capability and each set. */
struct sums {
    double all, capability[COUNT(capabilities)], set[SETS];
    size_t n_all, n_capability[COUNT(capabilities)], n_set[SETS];
};

static void add_pass(const struct tally_input *in, int pass, struct sums *s)
{
    *s = (struct sums){ 0 };
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct mark *m = &in->marks[(size_t)pass * in->qs->n + i];
        unsigned set = *(const unsigned *)in->qs->at[i].more;
        uint32_t weight = in->weight ? in->weight[i] : 1;
        if (m->missing)
            continue;
        s->all += weight * m->a;
        s->n_all += weight;
        s->set[set] += weight * m->a;
        s->n_set[set] += weight;
        for (size_t c = 0; c < COUNT(capabilities); c++)
            if (set >> c & 1) {
                s->capability[c] += weight * m->a;
                s->n_capability[c] += weight;
            }
    }
}

static double percent(double sum, size_t n)
{
    return n ? sum / (double)n * 100 : NAN;
}

/* Sums over passes of the percentages, and the largest counts. */
struct totals {
    double all, capability[COUNT(capabilities)], set[SETS];
    struct sums most;
};

static void add_totals(struct totals *t, const struct sums *s)
{
    t->all += percent(s->all, s->n_all);
    t->most.n_all = s->n_all > t->most.n_all ? s->n_all : t->most.n_all;
    for (size_t c = 0; c < COUNT(capabilities); c++) {
        t->capability[c] += percent(s->capability[c], s->n_capability[c]);
        if (s->n_capability[c] > t->most.n_capability[c])
            t->most.n_capability[c] = s->n_capability[c];
    }
    for (size_t k = 0; k < SETS; k++) {
        t->set[k] += percent(s->set[k], s->n_set[k]);
        if (s->n_set[k] > t->most.n_set[k])
            t->most.n_set[k] = s->n_set[k];
    }
}

/* The sets that occur, by falling count, ties by first appearance: the official columns. */
static size_t find_sets(const struct tally_input *in, const size_t n_set[SETS],
                        unsigned order[SETS])
{
    bool seen[SETS] = { false };
    size_t n = 0;
    for (size_t i = 0; i < in->qs->n; i++) {
        unsigned set = *(const unsigned *)in->qs->at[i].more;
        if (seen[set] || !n_set[set])
            continue;
        seen[set] = true;
        size_t at = n++;
        for (; at > 0 && n_set[order[at - 1]] < n_set[set]; at--)
            order[at] = order[at - 1];
        order[at] = set;
    }
    return n;
}

static void count_attempts(const struct tally_input *in, size_t n, struct scores *out)
{
    size_t unparsed = 0, reasked = 0;
    for (size_t i = 0; i < in->qs->n * (size_t)in->passes; i++) {
        const struct mark *m = &in->marks[i];
        uint32_t weight = in->weight ? in->weight[i % in->qs->n] : 1;
        unparsed += !m->missing && m->unread ? weight : 0;
        reasked += !m->missing && !m->unread && m->b >= 1 ? weight : 0;
    }
    scores_add(out, (double)unparsed, n, "n_unparsed");
    scores_add(out, (double)reasked, n, "n_reasked");
}

static uint64_t kind_mmvet(const struct questions *qs, size_t i)
{
    return *(const unsigned *)qs->at[i].more;
}

static void tally_mmvet(const struct tally_input *in, struct scores *out)
{
    const struct whole *whole = in->qs->more;
    struct totals t = { 0 };
    struct sums s;
    double squares = 0, passes = in->passes;
    unsigned order[SETS];
    for (int p = 0; p < in->passes; p++) {
        add_pass(in, p, &s);
        add_totals(&t, &s);
    }
    size_t n = t.most.n_all;
    for (int p = 0; p < in->passes; p++) {                  /* std of what is not rounded */
        add_pass(in, p, &s);
        double above = percent(s.all, s.n_all) - t.all / passes;
        squares += above * above;
    }
    scores_add(out, numpy_round1(t.all / passes), n, "total");
    scores_add(out, numpy_round1(sqrt(squares / passes)), n, "std");
    for (size_t c = 0; c < COUNT(capabilities); c++)
        if (t.most.n_capability[c])
            scores_add(out, numpy_round1(t.capability[c] / passes), t.most.n_capability[c], "%s",
                       capabilities[c]);
    size_t n_sets = find_sets(in, t.most.n_set, order);
    struct arena a = { 0 };
    for (size_t k = 0; k < n_sets; k++)
        scores_add(out, numpy_round1(t.set[order[k]] / passes), t.most.n_set[order[k]], "int_%s",
                   name_of(order[k], &a));
    out->failed = out->failed || a.failed;
    arena_free(&a);
    for (int p = 0; p < in->passes; p++) {
        add_pass(in, p, &s);
        scores_add(out, numpy_round1(percent(s.all, s.n_all)), s.n_all, "total_run%lld",
                   whole && whole->runs ? (long long)whole->runs[p] : (long long)p);
    }
    scores_add(out, passes, n, "runs");
    count_attempts(in, n, out);
}

/* LLaVA's scripts/convert_mmvet_for_eval.py: json.dump(..., indent=2). */
static enum status export_mmvet(struct questions *qs, const struct answers *given,
                                struct exports *files, struct err *e)
{
    struct str *out;
    for (size_t i = 0; i < qs->n; i++)
        if (!given->text[i])
            return err_set(e, ERR_INCOMPLETE, "mmvet: %zu of %zu questions have no answer, the "
                           "first is %s", given->missing, qs->n, qs->at[i].id);
    out = exports_text(files, NULL);
    str_addc(out, '{');
    for (size_t i = 0; i < qs->n; i++) {
        str_add(out, i ? ",\n  " : "\n  ");
        python_json(out, qs->at[i].id);
        str_add(out, ": ");
        python_json(out, given->text[i]);
    }
    str_add(out, qs->n ? "\n}" : "}");
    return out->failed ? err_set(e, ERR_MEMORY, "mmvet: no memory for the export") : OK;
}

/* ---- the evaluator's own files ----------------------------------------------------------------- */

/* The reply that gave the grade, else the last one. */
static const struct review *review_that_counts(const struct reviews *in, size_t question, int pass)
{
    const struct review *last = NULL, *r;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct mark ignored;
        if (!(r = reviews_find(in, question, pass, attempt)))
            continue;
        last = r;
        if (judge_mark(r->reply, attempt, &ignored))
            break;
    }
    return last;
}

/* One member of a record: a list over the runs, as json.dump(indent=4) breaks it. */
static void add_list(struct str *out, const struct reviews *in, const struct mark *marks, size_t n,
                     size_t question, const char *name)
{
    str_addf(out, "        \"%s\": [", name);
    for (int p = 0; p < in->n_runs; p++) {
        const struct review *r = review_that_counts(in, question, p);
        const struct mark *m = &marks[(size_t)p * n + question];
        const char *reply = r && r->reply ? r->reply : "";
        const char *model = r && r->served ? r->served : r && r->judge ? r->judge : "unknown";
        str_add(out, p ? ",\n            " : "\n            ");
        if (!strcmp(name, "score"))
            str_add_number(out, m->a);
        else if (!strcmp(name, "model"))
            python_json(out, model);
        else if (!m->unread)                                /* the part that was read */
            python_json(out, arena_strn(in->arena, reply, strcspn(reply, " ")));
        else
            python_json(out, reply);
    }
    str_add(out, "\n        ]");
}

static void add_grades(struct str *out, const struct questions *qs, const struct reviews *in,
                       const struct mark *marks)
{
    str_addc(out, '{');
    for (size_t i = 0; i < qs->n; i++) {
        str_add(out, i ? ",\n    " : "\n    ");
        python_json(out, qs->at[i].id);
        str_add(out, ": {\n");
        add_list(out, in, marks, qs->n, i, "model");
        str_add(out, ",\n");
        add_list(out, in, marks, qs->n, i, "content");
        str_add(out, ",\n");
        add_list(out, in, marks, qs->n, i, "score");
        str_add(out, "\n    }");
    }
    str_add(out, "\n}");
}

/* A cell of pandas' to_csv: quoted where it must be. */
static void add_csv(struct str *out, const char *text)
{
    bool quote = strpbrk(text, ",\"\r\n");
    if (quote)
        str_addc(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            str_addc(out, '"');
        str_addc(out, *text);
    }
    if (quote)
        str_addc(out, '"');
}

static int by_falling_count(const void *x, const void *y)
{
    const struct score *const *a = x, *const *b = y;
    if ((*a)->n != (*b)->n)
        return (*a)->n > (*b)->n ? -1 : 1;
    return *a < *b ? -1 : *a > *b;
}

/* Header and one row: capabilities (or, with sets, their combinations) by falling count. */
static void add_table(struct str *out, const struct scores *s, bool sets, int passes,
                      const char *model)
{
    static const char prefix[] = "int_";
    const struct score *columns[SETS];
    size_t n = 0;
    for (size_t i = 0; i < s->n && n < SETS; i++) {
        const char *metric = s->at[i].metric;
        bool is_set = !strncmp(metric, prefix, strlen(prefix)), is_capability = false;
        for (size_t c = 0; c < COUNT(capabilities); c++)
            is_capability = is_capability || !strcmp(metric, capabilities[c]);
        if (sets ? is_set : is_capability)
            columns[n++] = &s->at[i];
    }
    qsort(columns, n, sizeof *columns, by_falling_count);
    for (size_t c = 0; c < n; c++)
        str_addf(out, ",%s", columns[c]->metric + (sets ? strlen(prefix) : 0));
    str_add(out, ",total,std,runs\n");
    add_csv(out, model);
    for (size_t c = 0; c <= n + 1; c++) {
        str_addc(out, ',');
        str_add_number(out, c < n ? columns[c]->value : scores_get(s, c == n ? "total" : "std"));
    }
    struct str runs;
    str_init(&runs, 1 << 16);
    for (int p = 0, i = 0; p < passes; i++)
        if (!strncmp(s->at[i].metric, "total_run", strlen("total_run"))) {
            str_add(&runs, p++ ? ", " : "[");
            str_add_number(&runs, s->at[i].value);
        }
    str_addc(&runs, ']');
    str_addc(out, ',');
    add_csv(out, runs.at);
    str_addc(out, '\n');
    str_free(&runs);
}

/* <model>_<judge>-grade-<R>runs.json and the two tables of mm-vet_evaluator.py. */
static enum status export_reviews(struct questions *qs, const struct reviews *in, const char *model,
                                  const char *judge, struct exports *out, struct err *e)
{
    struct mark *marks;
    struct scores s;
    struct tally_input tally = { .qs = qs, .passes = in->n_runs };
    if (alloc_marks(qs->n, in->n_runs, "mmvet", &out->arena, &marks, e) != OK)
        return e->code;
    mark_reviews(in, qs->n, marks);
    tally.marks = marks;
    scores_init(&s, &out->arena);
    tally_mmvet(&tally, &s);
    const char *stem = arena_fmt(&out->arena, "%s_%s", model, judge);
    add_grades(exports_text(out, arena_fmt(&out->arena, "%s-grade-%druns.json", stem, in->n_runs)),
               qs, in, marks);
    add_table(exports_text(out, arena_fmt(&out->arena, "%s-cap-score-%druns.csv", stem, in->n_runs)),
              &s, false, in->n_runs, model);
    add_table(exports_text(out, arena_fmt(&out->arena, "%s-cap-int-score-%druns.csv", stem,
                                          in->n_runs)), &s, true, in->n_runs, model);
    if (s.failed || exports_failed(out))
        err_set(e, ERR_MEMORY, "mmvet: no memory for the export");
    scores_free(&s);
    return e->code;
}

/* The result files that LLaVA published (eval.zip, judged by "gpt-4"): three runs for 7B, one for 13B,
 * as the paper's Table 4 has them. */
static const struct published published[] = {
    { "llava-v1.5-7b", "total", 31.1 },  { "llava-v1.5-7b", "rec", 36.8 },
    { "llava-v1.5-7b", "ocr", 21.1 },    { "llava-v1.5-7b", "know", 17.3 },
    { "llava-v1.5-7b", "gen", 19.9 },    { "llava-v1.5-7b", "spat", 24.9 },
    { "llava-v1.5-7b", "math", 7.7 },
    { "llava-v1.5-13b", "total", 36.1 }, { "llava-v1.5-13b", "rec", 40.6 },
    { "llava-v1.5-13b", "ocr", 28.0 },   { "llava-v1.5-13b", "know", 23.5 },
    { "llava-v1.5-13b", "gen", 24.4 },   { "llava-v1.5-13b", "spat", 34.7 },
    { "llava-v1.5-13b", "math", 7.7 },
    { 0 },
};

const struct benchmark bench_mmvet = {
    .name = "mmvet", .title = "MM-Vet", .version = 1, .splits = "test",
    .official_n = { 218 },
    .headline = "total", .scale = 100,
    .headline_text = "mean of the judge's grades, %, higher is better",
    .format = FORMAT_PLAIN, .max_new_tokens = 1024,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "code Apache-2.0, data CC BY-NC 4.0",
    .homepage = "https://github.com/yuweihao/MM-Vet",
    .categories = "rec,ocr,know,gen,spat,math", .accuracies = "",
    .kind = kind_mmvet, .read = read_mmvet, .question_files = question_files, .match = match_mmvet,
    .tally = tally_mmvet, .export = export_mmvet,
    .judge_open = judge_open, .judge_request = judge_request, .judge_mark = judge_mark,
    .judge_attempts = ATTEMPTS, .judge_passes = 3, .judge_demo = judge_demo, .reviews = reviews,
    .published = published, .judge_asset = EVALUATOR, .review_question = ordinal_of, .export_reviews = export_reviews,
};
