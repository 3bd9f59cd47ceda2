/* judge.c -- what is due, what is known already, who judged.
 *
 * A draw is one question in one pass; its attempts follow each other, draws do not depend on each
 * other, so the marks do not depend on how many are under way, nor on which came first. */
#include "harness/judge.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "harness/judge_private.h"
#include "harness/overlap.h"

enum { NAMED = 5, HASH_SHOWN = 12 };

/* ---- draws ------------------------------------------------------------------------------------ */

/* Keeps the names sorted: they do not tell which reply came first. */
static void note_served(struct judge *j, const char *name)
{
    int at = 0;
    while (at < j->n_served && strcmp(j->served[at], name) < 0)
        at++;
    if (j->n_served == JUDGE_MOST_NAMES || (at < j->n_served && !strcmp(j->served[at], name)))
        return;
    memmove(j->served + at + 1, j->served + at, (size_t)(j->n_served++ - at) * sizeof *j->served);
    j->served[at] = arena_str(&j->arena, name);
}

/* Reads one reply; true when no further attempt is due. */
static bool settled(const struct job *job, struct draw *d, const char *said)
{
    const struct benchmark *b = job->s->benchmark;
    struct mark m = { 0 };
    m.unread = !b->judge_mark(review_text(said, job->j->manner.strip_think), d->attempt, &m);
    if (m.unread && d->attempt + 1 < b->judge_attempts)
        return false;
    m.missing = false;
    *d->mark = m;
    return true;
}

static void add_review(const struct job *job, const struct draw *d, const char *said,
                       const char *served)
{
    const char *id = job->s->questions.at[d->question].id;
    int64_t number;

    str_add(job->reviews, "{\"question_id\":");
    if (str_to_int(id, &number))
        str_add(job->reviews, id);
    else
        str_add_json(job->reviews, id);
    str_addf(job->reviews, ",\"run\":%d,\"attempt\":%d,\"reply\":", d->pass, d->attempt);
    str_add_json(job->reviews, said);
    str_add(job->reviews, ",\"judge\":");
    str_add_json(job->reviews, job->j->manner.model);
    if (served) {
        str_add(job->reviews, ",\"model_served\":");
        str_add_json(job->reviews, served);
    }
    str_add(job->reviews, "}\n");
}

/* What is stored of this attempt, or NULL; with --judge-profile auto, by either profile. The first one found
 * by the second says that the first is refused. */
static const char *find_said(struct job *job, struct draw *d, const struct judge_request *r,
                             const char **served, struct err *e)
{
    struct judge_manner *m = &job->j->manner, other = *m;
    const char *said = NULL;

    if (judge_request_hash(m, r, d->request, e) != OK || !job->store ||
        results_judgement_find(job->store, d->request, d->pass, d->attempt, &job->scratch, &said, served,
                               e) != OK ||
        said || !job->j->is_auto)
        return said;
    unsigned char request[SHA256_SIZE];
    other.reasoning = !m->reasoning;
    if (judge_request_hash(&other, r, request, e) == OK &&
        results_judgement_find(job->store, request, d->pass, d->attempt, &job->scratch, &said, served,
                               e) == OK && said) {
        memcpy(d->request, request, sizeof request);
        m->reasoning = true;
    }
    return said;
}

/* Other runs' judgements say nothing of this one's: only a refusal does. */
static void begin_manner(struct judge *j)
{
    if (j->is_auto)
        j->manner.reasoning = j->was_refused;
}

bool judge_due(struct job *job, struct draw *d, struct judge_request *r, struct err *e)
{
    const struct benchmark *b = job->s->benchmark;

    for (; d->attempt < b->judge_attempts; d->attempt++) {
        const char *served = NULL;
        arena_reset(&job->scratch);
        if (b->judge_request(&job->s->questions, d->question, job->replies[d->question], d->attempt,
                             &job->scratch, r, e) != OK)
            return false;
        const char *said = find_said(job, d, r, &served, e);
        if (e->code != OK)
            return false;
        if (!said)
            return true;
        if (job->reviews)
            add_review(job, d, said, served);
        note_served(job->j, served ? served : job->j->manner.model);
        if (settled(job, d, said))
            return false;
    }
    return false;
}

void judge_estimate(const struct judge *j, struct draw *d, const struct judge_request *r)
{
    d->prompt_tokens = judge_prompt_tokens(r);
    d->most_tokens = judge_most_tokens(&j->manner, r);
}

struct results_judgement judge_row(const struct job *job, const struct draw *d)
{
    struct results_judgement row = {
        .pass = d->pass, .attempt = d->attempt, .benchmark = job->s->benchmark->name,
        .question = job->s->questions.at[d->question].id,
    };
    memcpy(row.request_sha256, d->request, sizeof row.request_sha256);
    return row;
}

/* ---- judges that are here --------------------------------------------------------------------- */

static enum status ask_demo(struct job *job, struct draw *d, struct err *e)
{
    const struct benchmark *b = job->s->benchmark;
    struct judge_request r;
    char said[64];

    while (judge_due(job, d, &r, e)) {
        b->judge_demo(word_overlap(job->replies[d->question],
                                   job->s->questions.at[d->question].reference), said);
        struct results_judgement row = judge_row(job, d);
        row.judge = "demo";
        row.reply = said;
        note_served(job->j, "demo");
        if ((job->store && job->j->keeps && results_judgement_add(job->store, &row, e) != OK) ||
            settled(job, d, said))
            break;
        d->attempt++;
    }
    return e->code;
}

/* Answers every call from the file; one that it has not is missing. */
static enum status ask_recorded(struct job *job, struct draw *d, struct err *e)
{
    struct judge *j = job->j;
    struct judge_request r;

    while (judge_due(job, d, &r, e)) {
        const struct review *known = reviews_find(&j->recorded, d->question,
                                                   d->pass - j->first_pass, d->attempt);
        if (!known) {
            d->missing = "not recorded";
            job->draws[job->n++] = *d;
            break;
        }
        struct results_judgement row = judge_row(job, d);
        row.judge = known->judge ? known->judge : j->manner.model;
        row.served = known->served ? known->served : row.judge;
        row.reply = known->reply;
        note_served(j, row.served);
        if ((job->j->keeps && results_judgement_add(job->store, &row, e) != OK) ||
            settled(job, d, known->reply))
            break;
        d->attempt++;
    }
    return e->code;
}

static enum status read_recorded(struct judge *j, struct split *s, struct err *e)
{
    struct review_rules rules = { .partial = true };        /* strip_think: as they are used */
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    const char *path = j->o->judge_replay;

    if (sha256_file(path, hash, e) != OK ||
        reviews_read(&s->questions, path, s->benchmark->judge_attempts > 1, &rules,
                     s->benchmark->review_question, &j->arena, &j->recorded, e) != OK)
        return e->code;
    sha256_hex(hash, hex);
    j->manner.base = arena_fmt(&j->arena, "recorded:%s", hex);
    if (!j->o->judge_model)
        j->manner.model = j->recorded.at[0].judge ? j->recorded.at[0].judge : "recorded";
    return OK;
}

/* ---- the face --------------------------------------------------------------------------------- */

/* The judge's text that is not the pinned one makes another judge: the start of its hash. */
static const char *other_text(struct judge *j, const struct split *s)
{
    const struct benchmark *b = s->benchmark;
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    struct err none = { 0 };

    for (int i = 0; i < b->n_sources && b->judge_asset; i++)
        if (b->sources[i].sha256 && !strcmp(b->sources[i].path, b->judge_asset) &&
            sha256_file(path_join(&j->arena, s->dir, b->judge_asset), hash, &none) == OK) {
            sha256_hex(hash, hex);
            if (strcmp(hex, b->sources[i].sha256) != 0)
                return arena_strn(&j->arena, hex, HASH_SHOWN);
        }
    return NULL;
}

static void warn_of_names(const struct judge *j, const char *name)
{
    if (j->n_served > 1)
        say_warning("several judges answered under one name: %s", name);
    else if (j->kind == JUDGE_ENDPOINT && strcmp(j->served[0], j->manner.model) != 0)
        say_warning("%s is a name that moves, today it is %s: name that one, and figures compare",
                    j->manner.model, j->served[0]);
}

static enum status make_name(struct judge *j, const struct split *s, struct err *e)
{
    struct str name;
    const char *other;

    j->name = NULL;
    if (j->n_served == 0)
        return OK;
    str_init(&name, 4096);
    for (int i = 0; i < j->n_served; i++)
        str_addf(&name, "%s%s", i ? " + " : "", j->served[i]);
    if (j->kind == JUDGE_ENDPOINT && (j->n_served > 1 || strcmp(j->served[0], j->manner.model)))
        str_addf(&name, " as %s", j->manner.model);
    if (j->manner.label)
        str_addf(&name, " (%s)", j->manner.label);
    if (j->manner.reasoning)
        str_add(&name, ", reasoning");
    if (j->manner.merge_system)
        str_add(&name, ", system text merged");
    if (j->manner.strip_think)
        str_add(&name, ", thinking stripped");
    if (j->kind != JUDGE_DEMO && (other = other_text(j, s)))
        str_addf(&name, ", prompt %s", other);
    if (j->kind == JUDGE_RECORDED && strcmp(name.at, "recorded") != 0)
        str_add(&name, ", recorded");
    warn_of_names(j, name.at);
    j->name = arena_str(&j->arena, name.at);
    str_free(&name);
    return j->arena.failed ? err_set(e, ERR_MEMORY, "no memory for the judge's name") : OK;
}

/* Lists the draws; those that are stored become marks, the others stay, with what they would
 * cost. Returns how many there are in all. */
static size_t plan(struct job *job, int passes, struct mark *marks, struct err *e)
{
    const struct split *s = job->s;
    struct judge *j = job->j;
    size_t n_draws = 0;

    job->draws = arena_array(&job->keep, (size_t)passes * s->questions.n + 1, sizeof *job->draws);
    if (!job->draws) {
        err_set(e, ERR_MEMORY, "no memory to judge %zu questions", s->questions.n);
        return 0;
    }
    for (int p = 0; p < passes; p++)
        for (size_t i = 0; i < s->questions.n && e->code == OK; i++) {
            struct judge_request r;
            struct draw d = { .question = i, .pass = j->first_pass + p,
                              .mark = &marks[(size_t)p * s->questions.n + i] };
            if (!job->replies[i] || !s->selected[i])
                continue;
            n_draws++;
            if (j->kind == JUDGE_DEMO && !job->reviews)
                ask_demo(job, &d, e);
            else if (j->kind == JUDGE_RECORDED && !job->reviews)
                ask_recorded(job, &d, e);
            else if (judge_due(job, &d, &r, e)) {
                judge_estimate(j, &d, &r);
                job->draws[job->n++] = d;
            }
        }
    return n_draws;
}

static void say_missing(const struct job *job)
{
    struct str text;
    size_t n = 0;

    str_init(&text, 4096);
    for (size_t i = 0; i < job->n; i++)
        if (job->draws[i].mark->missing && n++ < NAMED) {
            str_addf(&text, "%s %s", n > 1 ? "," : "",
                     job->s->questions.at[job->draws[i].question].id);
            if (job->draws[i].missing)
                str_addf(&text, " (%s)", job->draws[i].missing);
        }
    if (n)
        say_warning("%zu judgements are missing:%s%s", n, text.at, n > NAMED ? ", ..." : "");
    str_free(&text);
}

/* What a judge's reply counts for when it cannot be read is the official script's rule: it is said. */
static void say_unread(const struct job *job, const struct mark *marks, size_t n)
{
    size_t unread = 0, all = 0;

    for (size_t i = 0; i < n; i++) {
        unread += marks[i].unread && !marks[i].missing;
        all += !marks[i].missing;
    }
    if (unread)
        say_warning("%s: %zu of %zu replies of the judge hold no score that can be read; they count as in "
                    "the official script", job->s->benchmark->name, unread, all);
}

/* Passes are numbered through in the store; --judge-refresh begins behind all that were there when the
 * benchmark was met first: the same for every model. */
static enum status find_first_pass(struct judge *j, const struct split *s, struct results *store,
                                   struct err *e)
{
    int at = 0;

    if (!j->o->judge_refresh || !store)
        return OK;
    while (at < j->n_refreshed && j->refreshed[at].benchmark != s->benchmark)
        at++;
    if (at == j->n_refreshed && at < (int)COUNT(j->refreshed)) {
        int first = 0;
        if (results_judgement_next_pass(store, s->benchmark->name, j->manner.model, &first, e) != OK)
            return e->code;
        if (first)
            say_note("%s: passes from %d on (--judge-first-pass %d goes on with them)",
                     s->benchmark->name, first, first);
        j->refreshed[j->n_refreshed].benchmark = s->benchmark;
        j->refreshed[j->n_refreshed++].first_pass = first;
    }
    j->first_pass = j->refreshed[at].first_pass;
    return OK;
}

static enum status check_judge(const struct judge *j, const struct split *s,
                               const struct results *store, struct err *e)
{
    if (j->kind == JUDGE_NOBODY)
        say_note("%s: replies are stored, not judged: no score (name a judge with --judge)",
                 s->benchmark->name);
    else if (j->kind != JUDGE_DEMO && !store)
        err_set(e, ERR_USAGE, "what a judge says is kept in the store: judge stored replies with "
                "llava-eval judge, or give recorded ones with --reviews");
    return e->code;
}

enum status judge_all(struct judge *j, struct split *s, const char *label,
                      const char *const *replies, struct results *store, struct mark *marks,
                      struct err *e)
{
    struct job job = { .j = j, .s = s, .replies = replies, .store = store };
    bool together = store && j->keeps && j->kind != JUDGE_ENDPOINT; /* its are kept one by one */
    int passes = 0;

    j->n_served = 0;
    j->name = NULL;
    begin_manner(j);
    if (judge_passes(j, s, &passes, e) != OK)
        return e->code;
    for (size_t i = 0; i < (size_t)passes * s->questions.n; i++)
        marks[i] = (struct mark){ .missing = true };
    if (check_judge(j, s, store, e) != OK || j->kind == JUDGE_NOBODY ||
        find_first_pass(j, s, store, e) != OK ||
        s->benchmark->judge_open(s->dir, &s->questions, e) != OK ||
        (together && results_begin(store, e) != OK))
        return e->code;
    size_t n_draws = plan(&job, passes, marks, e);
    if (together) {
        struct err late = { 0 };
        results_commit(store, e->code == OK ? e : &late);
    }
    if (e->code == OK && j->kind == JUDGE_ENDPOINT)
        judge_by_endpoint(&job, label, n_draws, e);
    if (e->code == OK && !j->o->dry_run) {
        say_missing(&job);
        say_unread(&job, marks, (size_t)passes * s->questions.n);
        make_name(j, s, e);
    }
    arena_free(&job.keep);
    arena_free(&job.scratch);
    return e->code;
}

enum status judge_export(struct judge *j, struct split *s, const char *const *replies,
                         struct results *store, struct str *out, size_t *missing, struct err *e)
{
    struct job job = { .j = j, .s = s, .replies = replies, .store = store, .reviews = out };
    int passes = 0;

    *missing = 0;
    begin_manner(j);
    if (judge_passes(j, s, &passes, e) != OK)
        return e->code;
    struct mark *marks = arena_array(&job.keep, (size_t)passes * s->questions.n, sizeof *marks);
    if (!marks)
        err_set(e, ERR_MEMORY, "no memory to write %zu judgements", s->questions.n);
    else if (s->benchmark->judge_open(s->dir, &s->questions, e) == OK)
        plan(&job, passes, marks, e);
    *missing = job.n;
    arena_free(&job.keep);
    arena_free(&job.scratch);
    return e->code;
}

enum status judge_passes(struct judge *j, struct split *s, int *passes, struct err *e)
{
    const struct options *o = j->o;

    *passes = 1;
    if (j->kind == JUDGE_RECORDED && !j->recorded.n && read_recorded(j, s, e) != OK)
        return e->code;
    if (j->kind == JUDGE_RECORDED)
        *passes = o->judge_runs ? o->judge_runs : j->recorded.n_runs;
    else if (j->kind == JUDGE_ENDPOINT)
        *passes = o->judge_runs ? o->judge_runs : s->benchmark->judge_passes;
    return OK;
}

const char *judge_name(const struct judge *j)
{
    return j->name;
}

enum status judge_open(struct judge **out, const struct options *o, enum status (*stopped)(void),
                       struct err *e)
{
    struct judge *j = *out = calloc(1, sizeof *j);

    if (!j)
        return err_set(e, ERR_MEMORY, "no memory");
    j->o = o;
    j->first_pass = o->judge_first_pass;
    j->is_auto = !strcmp(o->judge_profile, "auto");
    j->keeps = strcmp(o->verb, "compare") != 0 && strcmp(o->verb, "report") != 0;
    j->manner = (struct judge_manner){
        .model = o->judge_model, .reasoning = !strcmp(o->judge_profile, "reasoning"),
        .merge_system = o->judge_system && !strcmp(o->judge_system, "merge"), .strip_think = o->judge_strip_think,
        .label = o->judge_label };
    if (o->judge_replay)
        j->kind = JUDGE_RECORDED;
    else if (o->judge && !strcmp(o->judge, "demo")) {
        j->kind = JUDGE_DEMO;
        j->first_pass = 0;
        j->manner = (struct judge_manner){ .base = "demo", .model = "demo" };
    } else if (o->judge && judge_open_endpoint(j, stopped, e) != OK) {
        judge_close(j);
        *out = NULL;
    }
    return e->code;
}

void judge_close(struct judge *j)
{
    if (!j)
        return;
    chat_close(j->chat);
    arena_free(&j->arena);
    free(j);
}
