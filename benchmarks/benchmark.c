/* benchmark.c -- what all benchmarks share: lists of scores, answers files, scoring with errors.
 *
 * The standard error of a metric is its standard deviation over bootstrap draws. Questions about
 * one picture are not independent, so whole pictures are drawn, with replacement, as many as there
 * are; a question without one stands for itself. A draw is a weight per question, then the same
 * tally as for the figure itself. The generator is our own and always starts alike: the same
 * replies give the same digits on every machine. */
#include "benchmarks/benchmark.h"

#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- scores ---------------------------------------------------------------------------------- */

void scores_init(struct scores *s, struct arena *a)
{
    *s = (struct scores){ .arena = a };
}

void scores_free(struct scores *s)
{
    free(s->at);
    *s = (struct scores){ .arena = s->arena };
}

void scores_add(struct scores *s, double value, size_t n, const char *metric_format, ...)
{
    char name[200];
    va_list args;
    va_start(args, metric_format);
    vsnprintf(name, sizeof name, metric_format, args);
    va_end(args);
    if (s->n == s->size) {
        size_t size = s->size ? s->size * 2 : 32;
        struct score *at = realloc(s->at, size * sizeof *at);
        if (!at) {
            s->failed = true;
            return;
        }
        s->at = at;
        s->size = size;
    }
    s->at[s->n++] = (struct score){ arena_str(s->arena, name), value, NAN, n };
    s->failed = s->failed || s->arena->failed;
}

static struct score *find_score(const struct scores *s, const char *metric)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->at[i].metric, metric))
            return &s->at[i];
    return NULL;
}

double scores_get(const struct scores *s, const char *metric)
{
    const struct score *found = find_score(s, metric);
    return found ? found->value : NAN;
}

size_t scores_headline(const struct scores *s, const struct benchmark *b)
{
    const struct score *found = find_score(s, b->headline);
    return found ? (size_t)(found - s->at) : 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

const struct benchmark *benchmark_find(const char *name)
{
    for (int i = 0; benchmarks[i]; i++)
        if (!strcmp(benchmarks[i]->name, name))
            return benchmarks[i];
    return NULL;
}

bool benchmark_lists(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (!strncmp(p, word, n) && (p[n] == '\0' || p[n] == ','))
            return true;
    }
    return !list;
}

bool benchmark_matches(const char *patterns, const char *metric)
{
    char one[64];
    for (const char *p = patterns; *p; p += p[strcspn(p, ",")] == ',' ? strcspn(p, ",") + 1
                                                                      : strcspn(p, ",")) {
        snprintf(one, sizeof one, "%.*s", (int)strcspn(p, ","), p);
        if (!fnmatch(one, metric, 0))
            return true;
    }
    return false;
}

void benchmark_default_split(const struct benchmark *b, char out[32])
{
    snprintf(out, 32, "%.*s", (int)strcspn(b->splits, ","), b->splits);
}

size_t benchmark_official_n(const struct benchmark *b, const char *split)
{
    const char *name = b->splits;
    for (size_t i = 0; name && i < COUNT(b->official_n); i++) {
        size_t n = strcspn(name, ",");
        if (n == strlen(split) && !strncmp(name, split, n))
            return b->official_n[i];
        name = name[n] ? name + n + 1 : NULL;
    }
    return 0;
}

enum status benchmark_check_prompts(const struct prompt_set *set, struct err *e)
{
    for (const char *const *name = prompt_set_overrides(set); *name; name++)
        if (strcmp(*name, "*") != 0 && !benchmark_find(*name))
            return err_set(e, ERR_USAGE, "prompt set \"%s\": no benchmark is named \"%s\"",
                           prompt_set_name(set), *name);
    return OK;
}

struct prompt_item question_item(const struct question *q)
{
    return (struct prompt_item){ .question = q->text, .context = q->context,
                                 .options = q->options, .n_options = q->n_options,
                                 .has_image = q->image != NULL };
}

/* ---- answers files --------------------------------------------------------------------------- */

void answers_give(struct answers *a, size_t i, const char *text)
{
    if (a->accept && !a->accept(a->user, i))
        return;
    if (a->text[i])
        a->repeated++;
    else
        a->missing--;
    a->text[i] = arena_str(a->arena, text);
}

void answers_free(struct answers *a)
{
    *a = (struct answers){ 0 };                             /* all of it lies in the arena */
}

/* question_id, an integer or a string, is the id; every question with that id is answered. */
static bool match_by_id(struct questions *qs, const struct json *line, struct answers *into)
{
    const struct json *id = json_get(line, "question_id");
    char digits[32];
    const char *name = digits;
    if (id->type == JSON_STRING)
        name = id->string;
    else
        snprintf(digits, sizeof digits, "%lld", (long long)id->integer);
    size_t i = questions_find(qs, name, SIZE_MAX);
    if (i == SIZE_MAX)
        return false;
    for (; i != SIZE_MAX; i = questions_find(qs, name, i))
        answers_give(into, i, json_get_str(line, "text", ""));
    return true;
}

bool answers_take(const struct benchmark *b, struct questions *qs, const struct json *line,
                  struct answers *into, struct err *e)
{
    return b->match ? b->match(qs, line, into, e) : match_by_id(qs, line, into);
}

enum status answers_begin(struct answers *out, const struct questions *qs, struct arena *a,
                          struct err *e)
{
    *out = (struct answers){ .n = qs->n, .missing = qs->n, .arena = a };
    out->text = arena_array(a, qs->n, sizeof *out->text);
    return out->text ? OK : err_set(e, ERR_MEMORY, "no memory for %zu answers", qs->n);
}

enum status answers_read(const struct benchmark *b, struct questions *qs, const char *path,
                         struct answers *out, struct arena *a, struct err *e)
{
    struct jsonl in;
    if (answers_begin(out, qs, a, e) != OK)
        return e->code;
    jsonl_open(&in, a, e, "%s", path);
    while (jsonl_next_lenient(&in, &out->unreadable)) {
        const struct json *id = json_get(in.object, "question_id");
        bool good_id = id && (id->type == JSON_STRING || (id->type == JSON_NUMBER && id->is_int));
        if (!good_id || !json_get_str(in.object, "text", NULL))
            out->unreadable++;
        else if (!answers_take(b, qs, in.object, out, e))
            out->unknown++;
        if (e->code != OK)
            err_in(e, "%s:%zu", path, in.line);
    }
    if (qs->failed || a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the answers", path);
    return jsonl_close(&in);
}

/* ---- scoring --------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): every 64-bit seed gives a good sequence. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Numbers the pictures: cluster[i] for each question. Returns how many. */
static size_t find_clusters(const struct questions *qs, const size_t *order, uint32_t *cluster)
{
    size_t n = 0;
    for (size_t k = 0; k < qs->n; k++) {
        n += k == 0 || !questions_same_image(&qs->at[order[k - 1]], &qs->at[order[k]]);
        cluster[order[k]] = (uint32_t)n - 1;
    }
    return n;
}

struct moments { double mean, squares; size_t n; };         /* Welford 1962 */

static void add_moment(struct moments *m, double x)
{
    double above = x - m->mean;
    m->n++;
    m->mean += above / (double)m->n;
    m->squares += above * (x - m->mean);
}

static enum status bootstrap(const struct benchmark *b, const struct tally_input *whole, int draws,
                             struct scores *out, struct err *e)
{
    size_t n = whole->qs->n;
    struct arena scratch = { 0 };
    struct scores drawn;
    uint64_t state = 0;
    scores_init(&drawn, &scratch);
    size_t *order = questions_by_image(whole->qs, e);
    uint32_t *cluster = calloc(n + 1, sizeof *cluster), *times = calloc(n + 1, sizeof *times);
    uint32_t *weight = calloc(n + 1, sizeof *weight);
    struct moments *moments = calloc(out->n + 1, sizeof *moments);
    if (!order || !cluster || !times || !weight || !moments) {
        err_set(e, ERR_MEMORY, "no memory for the standard errors");
        goto done;
    }
    size_t n_clusters = find_clusters(whole->qs, order, cluster);
    if (n_clusters < 2)                                     /* nothing to vary: errors stay NaN */
        goto done;
    struct tally_input in = *whole;
    in.replies = NULL;
    in.weight = weight;
    for (int d = 0; d < draws; d++) {
        memset(times, 0, n_clusters * sizeof *times);
        for (size_t k = 0; k < n_clusters; k++)             /* high bits of a product: no division */
            times[(next_random(&state) >> 32) * n_clusters >> 32]++;
        for (size_t i = 0; i < n; i++)
            weight[i] = times[cluster[i]];
        arena_reset(&scratch);
        drawn.n = 0;
        b->tally(&in, &drawn);
        for (size_t m = 0; m < out->n; m++) {
            const struct score *s = m < drawn.n && !strcmp(drawn.at[m].metric, out->at[m].metric)
                                  ? &drawn.at[m] : find_score(&drawn, out->at[m].metric);
            if (s && isfinite(s->value))
                add_moment(&moments[m], s->value);
        }
    }
    if (drawn.failed)
        err_set(e, ERR_MEMORY, "no memory for the standard errors");
    for (size_t m = 0; m < out->n; m++)
        if (moments[m].n > 1 && isfinite(out->at[m].value))
            out->at[m].stderror = sqrt(moments[m].squares / (double)(moments[m].n - 1));
done:
    free(moments);
    free(weight);
    free(times);
    free(cluster);
    free(order);
    scores_free(&drawn);
    arena_free(&scratch);
    return e->code;
}

/* ERR_INCOMPLETE with the first few ids that lack a reply or, in some pass, a judgement. */
static enum status refuse_missing(const struct questions *qs, const char *const *replies,
                                  const struct mark *marks, int passes, struct err *e)
{
    enum { NAMED = 5 };
    struct str ids;
    size_t missing = 0;
    str_init(&ids, 600);
    for (size_t i = 0; i < qs->n; i++) {
        bool lacks = !replies[i];
        for (int p = 0; p < passes; p++)
            lacks = lacks || marks[(size_t)p * qs->n + i].missing;
        if (lacks && missing++ < NAMED)
            str_addf(&ids, "%s%.100s", missing > 1 ? ", " : "", qs->at[i].id);
    }
    if (missing)
        err_set(e, ERR_INCOMPLETE, "%zu of %zu questions have no answer: %s%s (--partial scores "
                "what is there)", missing, qs->n, ids.at, missing > NAMED ? ", ..." : "");
    str_free(&ids);
    return e->code;
}

void benchmark_mark(const struct benchmark *b, const struct questions *qs,
                    const char *const *replies, struct mark *marks)
{
    #pragma omp parallel for schedule(dynamic, 256)
    for (size_t i = 0; i < qs->n; i++) {
        marks[i] = (struct mark){ .missing = !replies[i] };
        if (replies[i])
            b->mark(qs, i, replies[i], &marks[i]);
    }
}

enum status benchmark_score(const struct benchmark *b, const struct questions *qs,
                            const char *const *replies, const struct mark *marks, int passes,
                            bool partial, int draws, struct scores *out, struct err *e)
{
    struct mark *own = NULL;
    if (!marks) {
        if (!(own = calloc(qs->n + 1, sizeof *own)))
            return err_set(e, ERR_MEMORY, "no memory to score %zu questions", qs->n);
        benchmark_mark(b, qs, replies, own);
        marks = own;
        passes = 1;
    }
    struct tally_input in = { .qs = qs, .replies = replies, .marks = marks, .passes = passes,
                              .partial = partial };
    if (!partial && !b->missing_is_wrong && refuse_missing(qs, replies, marks, passes, e) != OK)
        goto done;
    b->tally(&in, out);
    if (!out->n_questions)
        out->n_questions = qs->n;
    if (out->failed)
        err_set(e, ERR_MEMORY, "no memory for the scores");
    else if (draws > 0)
        bootstrap(b, &in, draws, out, e);
done:
    free(own);
    return e->code;
}
