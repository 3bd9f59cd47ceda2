/* pairing.c -- from two names on the command line to paired figures.
 *
 * Only questions that every arm answered are compared: what is missing is counted, never scored. */
#include "harness/pairing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/cells.h"
#include "harness/say.h"
#include "results/stats.h"

enum { SEED = 0, NAMES_LIMIT = 4000 };

static const struct contrast contrasts[PAIRING_CONTRASTS] = {
    [PAIRING_SET_FIRST]    = { { -1, 1, 0, 0 } },           /* also the difference of two arms */
    [PAIRING_SET_SECOND]   = { { 0, 0, -1, 1 } },
    [PAIRING_MODEL_FIRST]  = { { -1, 0, 1, 0 } },
    [PAIRING_MODEL_SECOND] = { { 0, -1, 0, 1 } },
    [PAIRING_INTERACTION]  = { { 1, -1, -1, 1 } },
};

/* ---- names ------------------------------------------------------------------------------------ */

static bool has_model(const struct results_run_row *runs, size_t n, const char *label)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(runs[i].model, label))
            return true;
    return false;
}

/* ERR_USAGE with the models of the store. */
static enum status refuse_name(const struct options *o, const struct results_run_row *runs, size_t n,
                               const char *why, struct err *e)
{
    struct str names;

    str_init(&names, NAMES_LIMIT);
    for (size_t i = 0; i < n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first = first && strcmp(runs[k].model, runs[i].model) != 0;
        if (first)
            str_addf(&names, "%s%s", names.n ? ", " : "", runs[i].model);
    }
    err_set(e, ERR_USAGE, "%s (%s has: %s)", why, o->db, names.n ? names.at : "no run");
    str_free(&names);
    return e->code;
}

/* LABEL, LABEL:SET, or the number of a run. */
static enum status read_arm(const struct options *o, const struct results_run_row *runs, size_t n,
                            const char *word, struct arena *a, struct arm *arm, struct err *e)
{
    const char *colon = strrchr(word, ':');
    int64_t number;

    *arm = (struct arm){ .model = word, .title = word };
    if (has_model(runs, n, word))
        return OK;
    if (str_to_int(word, &number))
        for (size_t i = 0; i < n; i++)
            if (runs[i].id == number) {
                arm->model = runs[i].model;
                arm->prompts = runs[i].prompts;
                arm->run = number;
                arm->title = arena_fmt(a, "%s #%lld", runs[i].model, (long long)number);
                return OK;
            }
    if (colon && has_model(runs, n, arena_strn(a, word, (size_t)(colon - word)))) {
        arm->model = arena_strn(a, word, (size_t)(colon - word));
        arm->prompts = colon + 1;
        for (size_t i = 0; i < n; i++)
            if (!strcmp(runs[i].model, arm->model) && !strcmp(runs[i].prompts, arm->prompts))
                return OK;
        return err_set(e, ERR_USAGE, "%s: no run of %s has the prompt set \"%s\"", o->db, arm->model,
                       arm->prompts);
    }
    return refuse_name(o, runs, n, arena_fmt(a, "there is no model, nor run, \"%s\"", word), e);
}

enum status pairing_arms(const struct options *o, const struct results_run_row *runs, size_t n_runs,
                         struct arena *a, struct arm arms[COMPARE_RUNS], int *n_arms, struct err *e)
{
    struct arm named[2];
    int sets = o->n_prompts ? o->n_prompts : 1;

    *n_arms = 0;
    if (o->n_words < 1 || sets > 2 || o->n_words * sets < 2)
        return refuse_name(o, runs, n_runs, "compare needs two models, or one and two --prompts", e);
    for (int w = 0; w < o->n_words; w++) {
        if (read_arm(o, runs, n_runs, o->words[w], a, &named[w], e) != OK)
            return e->code;
        if (o->n_prompts && named[w].prompts)
            return err_set(e, ERR_USAGE, "\"%s\" names its prompt set: --prompts cannot do so again",
                           o->words[w]);
        for (int s = 0; s < sets; s++) {
            struct arm *arm = &arms[(*n_arms)++];
            *arm = named[w];
            if (o->n_prompts) {
                arm->prompts = o->prompts[s];
                arm->title = arena_fmt(a, "%s:%s", arm->model, arm->prompts);
            }
        }
    }
    for (int i = 1; i < *n_arms; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(arms[i].title, arms[k].title))
                return err_set(e, ERR_USAGE, "\"%s\" cannot be compared with itself", arms[i].title);
    return OK;
}

const struct results_run_row *pairing_run(const struct arm *arm, const struct results_run_row *runs,
                                          size_t n_runs, const char *benchmark, const char *split)
{
    const struct results_run_row *found = NULL;

    for (size_t i = 0; i < n_runs; i++) {                   /* oldest first */
        const struct results_run_row *r = &runs[i];
        if (strcmp(r->benchmark, benchmark) || strcmp(r->split, split) ||
            strcmp(r->model, arm->model) || (arm->run && r->id != arm->run) ||
            (arm->prompts && strcmp(r->prompts, arm->prompts)))
            continue;
        if (!found || arm->prompts || !strcmp(r->prompts, "paper") ||
            strcmp(found->prompts, "paper"))
            found = r;
    }
    return found;
}

enum status pairing_one(const struct options *o, const struct results_run_row *runs, size_t n,
                        const struct split *s, const char *word, const struct results_run_row **run,
                        struct err *e)
{
    struct arena a = { 0 };
    struct results_run_row *over = arena_array(&a, n + 1, sizeof *over);
    size_t n_over = 0, at = 0;
    struct arm arm;

    *run = NULL;
    for (size_t i = 0; over && i < n; i++)
        if (!strcmp(runs[i].dataset_sha256, s->hash))
            over[n_over++] = runs[i];
    if (a.failed)
        err_set(e, ERR_MEMORY, "no memory for %zu runs", n);
    else if (read_arm(o, runs, n, word, &a, &arm, e) == OK) {
        const struct results_run_row *found = pairing_run(&arm, over, n_over, s->benchmark->name, s->name);
        while (found && runs[at].id != found->id)
            at++;
        *run = found ? &runs[at] : NULL;
        if (!found)
            err_set(e, ERR_DATA, "%s: no run of %s over this %s:%s", o->db, word, s->benchmark->name,
                    s->name);
        else
            say_note("run %lld: %s, prompts %s, %s, %zu of %zu questions answered", (long long)found->id,
                     found->model, found->prompts, found->dtype, found->answered, found->n);
    }
    arena_free(&a);
    return e->code;
}

/* ---- what must be alike ----------------------------------------------------------------------- */

static bool allowed(const struct options *o, const char *what)
{
    return o->allow && benchmark_lists(o->allow, what);
}

/* Two arms that name different sets mean to differ; one set must be one text. */
static bool same_prompts(const struct results_run_row *x, const struct results_run_row *y,
                         const struct arm *a, const struct arm *b)
{
    if (!strcmp(x->prompt_sha256, y->prompt_sha256))
        return true;
    return a->prompts && b->prompts && !a->run && !b->run && strcmp(a->prompts, b->prompts) != 0;
}

static enum status refuse_different(const struct options *o, const struct results_run_row *x,
                                    const struct results_run_row *y, const struct arm *a,
                                    const struct arm *b, struct err *e)
{
    static const char form[] = "%s: runs %lld (%s) and %lld (%s) differ in %s: %s and %s; compare "
                               "others, by their numbers, or --allow %s";
    struct { const char *what, *name, *one, *other; } decode[] = {
        { "image mode", "decode", x->image_mode, y->image_mode },
        { "number format", "decode", x->dtype, y->dtype },
        { "decode settings", "decode", x->decode, y->decode },
        { "data", "data", x->dataset_sha256, y->dataset_sha256 },
    };
    for (size_t i = 0; i < COUNT(decode); i++)
        if (strcmp(decode[i].one, decode[i].other) != 0 && !allowed(o, decode[i].name))
            return err_set(e, ERR_USAGE, form, x->benchmark, (long long)x->id, x->model,
                           (long long)y->id, y->model, decode[i].what, decode[i].one,
                           decode[i].other, decode[i].name);
    if (!same_prompts(x, y, a, b) && !allowed(o, "prompts"))
        return err_set(e, ERR_USAGE, "%s: runs %lld (%s) and %lld (%s) differ in prompts: %s with "
                       "%s and %s with %s; name the sets (%s:%s %s:%s), or --allow prompts",
                       x->benchmark, (long long)x->id, x->model, (long long)y->id, y->model,
                       x->prompts, x->conversation, y->prompts, y->conversation, x->model,
                       x->prompts, y->model, y->prompts);
    return OK;
}

/* ---- replies and marks ------------------------------------------------------------------------ */

/* One split under all arms. */
struct pairing {
    const struct options *o;
    struct results *store;
    struct judge *judge;
    struct split split;
    int n_arms, passes;
    const char **replies[COMPARE_RUNS];     /* [questions.n] */
    bool *asked;                            /* [questions.n]: by some arm */
    struct mark *marks[COMPARE_RUNS];       /* [passes][questions.n] */
    struct arena arena;
};

struct told { struct pairing *p; int arm; };

/* A reply of a run over other data: taken where the same id asks the same. */
static void take_reply(void *user, const char *key, const char *text, const char *reply)
{
    struct told *t = user;
    struct questions *qs = &t->p->split.questions;
    size_t i = questions_find(qs, key, SIZE_MAX);

    for (; i != SIZE_MAX; i = questions_find(qs, key, i))
        if (!strcmp(qs->at[i].text, text)) {
            t->p->replies[t->arm][i] = arena_str(&t->p->arena, reply);
            t->p->asked[i] = true;
        }
}

static enum status read_replies(struct pairing *p, const struct results_run_row *run, int arm,
                                struct err *e)
{
    size_t n = p->split.questions.n;

    p->replies[arm] = arena_array(&p->arena, n + 1, sizeof *p->replies[arm]);
    if (p->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for %zu replies", n);
    if (!strcmp(run->dataset_sha256, p->split.hash))
        return results_replies(p->store, run->id, n, &p->arena, p->replies[arm], p->asked, e);
    if (!allowed(p->o, "data"))
        return err_set(e, ERR_DATA, "%s: the question files in %s are not those that run %lld (%s) "
                       "was asked: name theirs with --data, or --allow data pairs equal questions",
                       run->benchmark, p->split.dir, (long long)run->id, run->model);
    return results_replies_told(p->store, run->id, take_reply, &(struct told){ p, arm }, e);
}

static enum status read_marks(struct pairing *p, const char *label, int arm, struct err *e)
{
    const struct benchmark *b = p->split.benchmark;
    size_t n = p->split.questions.n;
    bool demo = p->o->judge && !strcmp(p->o->judge, "demo");

    p->marks[arm] = arena_array(&p->arena, (size_t)p->passes * n + 1, sizeof *p->marks[arm]);
    if (p->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for %zu marks", n);
    if (b->judge_mark)                      /* what was judged is read, nobody is asked */
        return judge_all(p->judge, &p->split, label, p->replies[arm], demo ? NULL : p->store,
                         p->marks[arm], e);
    benchmark_mark(b, &p->split.questions, p->replies[arm], p->marks[arm]);
    return OK;
}

static size_t count_missing(const struct pairing *p)
{
    size_t n = p->split.questions.n, missing = 0;

    for (size_t i = 0; i < n; i++) {
        bool lacks = false;
        for (int arm = 0; arm < p->n_arms; arm++)
            for (int pass = 0; pass < p->passes; pass++)
                lacks = lacks || p->marks[arm][(size_t)pass * n + i].missing;
        missing += p->asked[i] && lacks;
    }
    return missing;
}

static enum status measure_form(struct pairing *p, const struct results_run_row *run, int arm,
                                struct paired_split *out, struct err *e)
{
    const struct benchmark *b = p->split.benchmark;
    enum prompt_format format = b->format_of ? b->format_of(p->split.name) : b->format;
    size_t n = 0, obeyed = 0, stored = 0, at_limit = 0;

    out->expected = format_expects(format);
    for (size_t i = 0; i < p->split.questions.n; i++)
        if (p->replies[arm][i]) {
            n++;
            obeyed += format_obeyed(format, p->replies[arm][i]);
        }
    if (results_lengths(p->store, run->id, &stored, &out->form[arm].tokens, &at_limit, e) == OK) {
        out->form[arm].obeyed = n ? 100 * (double)obeyed / (double)n : NAN;
        out->form[arm].at_limit = stored ? 100 * (double)at_limit / (double)stored : NAN;
    }
    return e->code;
}

/* ---- figures ---------------------------------------------------------------------------------- */

static bool shown(const struct cells *c, size_t m, bool all)
{
    return m == c->headline || all || benchmark_matches(c->benchmark->categories, c->metrics[m]);
}

/* Is there a metric whose p-value McNemar's test does not give? */
static bool needs_exchange(const struct cells *c, const struct options *o)
{
    for (size_t m = 0; m < c->n_metrics && c->n_runs == 2; m++)
        if (shown(c, m, o->verbose > 0) &&
            !benchmark_matches(c->benchmark->accuracies, c->metrics[m]))
            return true;
    return false;
}

static void fill_metric(const struct cells *c, size_t m, const double *values,
                        const struct interval *intervals, int n_contrasts, struct paired_metric *out)
{
    *out = (struct paired_metric){ .metric = c->metrics[m], .headline = m == c->headline,
                                   .p = NAN, .p_holm = NAN };
    for (int r = 0; r < c->n_runs; r++)
        out->value[r] = values[(size_t)r * c->n_metrics + m];
    for (int k = 0; k < n_contrasts; k++) {
        for (int r = 0; r < c->n_runs; r++)
            if (contrasts[k].of_run[r] != 0)
                out->contrast[k] += contrasts[k].of_run[r] * out->value[r];
        out->interval[k] = intervals[(size_t)k * c->n_metrics + m];
    }
}

static void test_metric(const struct cells *c, const struct flips *flips, double permuted,
                        struct paired_metric *out)
{
    bool exact = benchmark_matches(c->benchmark->accuracies, out->metric);

    out->n = flips->of;
    out->gained = flips->gained;
    out->lost = flips->lost;
    if (c->n_runs != 2 || isnan(out->contrast[PAIRING_DIFFERENCE]))
        return;
    out->test = exact ? "mcnemar" : "permutation";
    out->p = exact ? stats_mcnemar(flips->gained, flips->lost) : permuted;
}

static enum status measure(const struct cells *c, const struct pairing *p, struct arena *a,
                           struct paired_split *out, struct err *e)
{
    int n_contrasts = c->n_runs == 2 ? 1 : PAIRING_CONTRASTS;
    struct paired paired = { .n_runs = c->n_runs, .n_pictures = c->n_pictures,
                             .n_cells = c->n_cells, .n_metrics = c->n_metrics, .first = c->first,
                             .tally = cells_tally, .what = c };
    double *values = arena_array(a, (size_t)c->n_runs * c->n_metrics + 1, sizeof *values);
    double *p_values = arena_array(a, c->n_metrics + 1, sizeof *p_values);
    struct flips *flips = arena_array(a, c->n_metrics + 1, sizeof *flips);
    struct interval *intervals = arena_array(a, (size_t)n_contrasts * c->n_metrics + 1,
                                             sizeof *intervals);

    out->metrics = arena_array(a, c->n_metrics + 1, sizeof *out->metrics);
    if (a->failed)
        return err_set(e, ERR_MEMORY, "no memory for %zu metrics", c->n_metrics);
    for (int r = 0; r < c->n_runs; r++)
        paired.cell[r] = c->cell[r];
    if (compare_values(&paired, values, e) != OK ||
        compare_bootstrap(&paired, contrasts, n_contrasts, COMPARE_DRAWS, SEED, intervals,
                          e) != OK ||
        (needs_exchange(c, p->o) &&
         compare_permute(&paired, COMPARE_DRAWS, SEED, p_values, e) != OK))
        return e->code;
    cells_flips(c, &p->split.questions, p->marks[0], p->marks[1], flips);
    for (int headline = 1; headline >= 0; headline--)
        for (size_t m = 0; m < c->n_metrics; m++)
            if ((m == c->headline) == (headline == 1) && shown(c, m, p->o->verbose > 0)) {
                struct paired_metric *to = &out->metrics[out->n_metrics++];
                fill_metric(c, m, values, intervals, n_contrasts, to);
                test_metric(c, &flips[m], p_values[m], to);
                to->metric = arena_str(a, to->metric);
            }
    return a->failed ? err_set(e, ERR_MEMORY, "no memory for %zu metrics", c->n_metrics) : OK;
}

static enum status compare_cells(struct pairing *p, struct arena *a, struct paired_split *out,
                                 struct err *e)
{
    struct cells c = { 0 };

    if (cells_make(&c, p->split.benchmark, &p->split.questions, p->n_arms,
                   (const struct mark *const *)p->marks, p->passes, e) == OK) {
        out->n_questions = c.n_questions;
        out->n_pictures = c.n_pictures;
        out->partial = c.n_questions < p->split.questions.n;
        out->missing = count_missing(p);
        if (c.n_units)
            measure(&c, p, a, out, e);
    }
    cells_free(&c);
    return e->code;
}

enum status pairing_split(const struct options *o, struct results *store, struct judge *judge,
                          const struct suite_item *item, const struct results_run_row *const *runs,
                          const struct arm *arms, int n_arms, struct arena *a,
                          struct paired_split *out, struct err *e)
{
    struct pairing p = { .o = o, .store = store, .judge = judge, .n_arms = n_arms, .passes = 1 };

    *out = (struct paired_split){ .benchmark = benchmark_find(item->benchmark),
                                  .split = item->split, .official = runs[0]->official,
                                  .dtype = { runs[0]->dtype } };
    for (int i = 1; i < n_arms; i++) {
        out->dtype[i] = runs[i]->dtype;
        out->official = out->official && runs[i]->official;
        for (int k = 0; k < i; k++)
            if (refuse_different(o, runs[k], runs[i], &arms[k], &arms[i], e) != OK)
                return e->code;
    }
    if (split_open(&p.split, o, item, e) != OK)
        goto done;
    if (out->benchmark->judge_mark && judge_passes(judge, &p.split, &p.passes, e) != OK)
        goto done;
    p.asked = arena_array(&p.arena, p.split.questions.n + 1, sizeof *p.asked);
    for (int arm = 0; arm < n_arms && e->code == OK; arm++)
        if (read_replies(&p, runs[arm], arm, e) == OK &&
            read_marks(&p, arms[arm].title, arm, e) == OK)
            measure_form(&p, runs[arm], arm, out, e);
    if (e->code == OK && compare_cells(&p, a, out, e) == OK && out->benchmark->judge_mark)
        out->judge = judge_name(judge) ? arena_str(a, judge_name(judge)) : NULL;
done:
    split_free(&p.split);
    arena_free(&p.arena);
    return e->code;
}
