/* judge.c -- what to ask, what is known already, what it costs.
 *
 * A draw is one question in one pass. Its attempts are asked one after the other, the next one only
 * when the last reply cannot be read (MM-Vet has five); all draws are independent of each other, so
 * the marks do not depend on how many are under way.
 *
 *     request = SHA-256 of {"base","model","profile","messages","temperature","cap"}
 *
 * names a call, with pass and attempt beside it: an answer, a rule or a judge that changes is a new
 * request; what stays the same is read from the store, across runs and models. */
#include "harness/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/sha256.h"
#include "harness/chat.h"
#include "harness/overlap.h"
#include "harness/say.h"

enum { REASONING_CAP = 4096, USUAL_REPLY = 140, TEXT_LIMIT = 32 << 20, MOST_NAMES = 16,
       NAMED = 5 };

struct judge {
    const struct options *o;
    enum { NOBODY, DEMO, ENDPOINT } kind;
    bool may_ask;                       /* calls are allowed, and nothing spoke against them yet */
    struct chat *chat;
    double spent, reserved;             /* cost so far; most that the calls under way can add */
    struct arena arena;
    const char *served[MOST_NAMES];     /* in the last judge_all, sorted */
    int n_served;
    const char *name;
};

struct draw {
    size_t question;
    int pass, attempt;
    unsigned char request[SHA256_SIZE];
    struct mark *mark;
    int64_t prompt_tokens, most_tokens; /* estimates of the attempt to be asked */
    const char *missing;                /* why the judge gave no reply */
};

/* One judge_all. */
struct job {
    struct judge *j;
    const struct split *s;
    const char *const *replies;
    struct results *store;
    struct str *reviews;                /* what is stored is also written there; or NULL */
    struct arena keep, scratch;         /* for the whole job; for one request */
    struct draw *draws;
    size_t n;                           /* to be asked */
    struct progress progress;
    int under_way;
};

/* ---- a request -------------------------------------------------------------------------------- */

static bool reasoning(const struct judge *j)
{
    return j->kind == ENDPOINT && !strcmp(j->o->judge_profile, "reasoning");
}

static const char *asked_name(const struct judge *j)
{
    return j->kind == DEMO ? "demo" : j->o->judge_model;
}

static int cap_of(const struct judge *j, const struct judge_request *r)
{
    return reasoning(j) ? REASONING_CAP : r->max_tokens;
}

static void add_messages(struct str *out, const struct judge_request *r)
{
    str_addc(out, '[');
    if (r->system) {
        str_add(out, "{\"role\":\"system\",\"content\":");
        str_add_json(out, r->system);
        str_add(out, "},");
    }
    str_add(out, "{\"role\":\"user\",\"content\":");
    str_add_json(out, r->user);
    str_add(out, "}]");
}

static void request_body(const struct judge *j, const struct judge_request *r, struct str *out)
{
    str_add(out, "{\"model\":");
    str_add_json(out, j->o->judge_model);
    str_add(out, ",\"messages\":");
    add_messages(out, r);
    if (reasoning(j)) {
        str_addf(out, ",\"max_completion_tokens\":%d}", REASONING_CAP);
    } else {
        str_add(out, ",\"temperature\":");
        str_add_number(out, r->temperature);
        str_addf(out, ",\"max_tokens\":%d}", r->max_tokens);
    }
}

static enum status hash_request(const struct judge *j, const struct judge_request *r,
                                unsigned char out[SHA256_SIZE], struct err *e)
{
    struct sha256 hash;
    struct str text;

    str_init(&text, TEXT_LIMIT);
    str_add(&text, "{\"base\":");
    str_add_json(&text, j->kind == DEMO ? "demo" : chat_url(j->chat));
    str_add(&text, ",\"model\":");
    str_add_json(&text, asked_name(j));
    str_add(&text, ",\"profile\":");
    str_add_json(&text, reasoning(j) ? "reasoning" : "classic");
    str_add(&text, ",\"messages\":");
    add_messages(&text, r);
    if (reasoning(j))
        str_add(&text, ",\"temperature\":null");
    else
        str_addf(&text, ",\"temperature\":%.17g", r->temperature);
    str_addf(&text, ",\"cap\":%d}", cap_of(j, r));
    if (text.failed)
        err_set(e, ERR_MEMORY, "no memory for what the judge is asked");
    sha256_init(&hash);
    sha256_add(&hash, text.at, text.n);
    sha256_end(&hash, out);
    str_free(&text);
    return e->code;
}

/* ---- draws ------------------------------------------------------------------------------------ */

/* Keeps the names sorted: they do not tell which reply came first. */
static void note_served(struct judge *j, const char *name)
{
    int at = 0;
    while (at < j->n_served && strcmp(j->served[at], name) < 0)
        at++;
    if (j->n_served == MOST_NAMES || (at < j->n_served && !strcmp(j->served[at], name)))
        return;
    memmove(j->served + at + 1, j->served + at, (size_t)(j->n_served++ - at) * sizeof *j->served);
    j->served[at] = arena_str(&j->arena, name);
}

/* Reads one reply; true when no further attempt is due. */
static bool settled(const struct benchmark *b, struct draw *d, const char *said)
{
    struct mark m = { 0 };
    m.unread = !b->judge_mark(said, d->attempt, &m);
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
    str_add_json(job->reviews, asked_name(job->j));
    if (served) {
        str_add(job->reviews, ",\"model_served\":");
        str_add_json(job->reviews, served);
    }
    str_add(job->reviews, "}\n");
}

/* Goes through the attempts that are stored. True: *r is to be asked now; false: nothing is (the
 * mark stands), or e is set. */
static bool due(struct job *job, struct draw *d, struct judge_request *r, struct err *e)
{
    const struct benchmark *b = job->s->benchmark;
    const char *said = NULL, *served = NULL;

    for (; d->attempt < b->judge_attempts; d->attempt++) {
        arena_reset(&job->scratch);
        if (b->judge_request(&job->s->questions, d->question, job->replies[d->question], d->attempt,
                             &job->scratch, r, e) != OK ||
            hash_request(job->j, r, d->request, e) != OK)
            return false;
        if (job->store && results_judgement_find(job->store, d->request, d->pass, d->attempt,
                                                 &job->scratch, &said, &served, e) != OK)
            return false;
        if (!said)
            return true;
        if (job->reviews)
            add_review(job, d, said, served);
        note_served(job->j, served ? served : asked_name(job->j));
        if (settled(b, d, said))
            return false;
    }
    return false;
}

static struct results_judgement judgement_of(const struct job *job, const struct draw *d)
{
    struct results_judgement row = {
        .pass = d->pass, .attempt = d->attempt, .benchmark = job->s->benchmark->name,
        .question = job->s->questions.at[d->question].id,
    };
    memcpy(row.request_sha256, d->request, sizeof row.request_sha256);
    return row;
}

static enum status ask_demo(struct job *job, struct draw *d, struct err *e)
{
    const struct benchmark *b = job->s->benchmark;
    struct judge_request r;
    char said[64];

    while (due(job, d, &r, e)) {
        b->judge_demo(word_overlap(job->replies[d->question],
                                   job->s->questions.at[d->question].reference), said);
        struct results_judgement row = judgement_of(job, d);
        row.judge = "demo";
        row.reply = said;
        note_served(job->j, "demo");
        if ((job->store && results_judgement_add(job->store, &row, e) != OK) || settled(b, d, said))
            break;
        d->attempt++;
    }
    return e->code;
}

/* ---- cost ------------------------------------------------------------------------------------- */

static double cost(const struct judge *j, int64_t prompt_tokens, int64_t reply_tokens)
{
    return ((double)prompt_tokens * j->o->judge_price_in +
            (double)reply_tokens * j->o->judge_price_out) / 1e6;
}

static int64_t usual_reply(const struct judge *j, int64_t cap)
{
    return reasoning(j) || cap < USUAL_REPLY ? cap : USUAL_REPLY;
}

static void estimate(const struct judge *j, struct draw *d, const struct judge_request *r)
{
    d->prompt_tokens = ((int64_t)strlen(r->user) + 3) / 4 + 8;
    if (r->system)
        d->prompt_tokens += ((int64_t)strlen(r->system) + 3) / 4 + 8;
    d->most_tokens = cap_of(j, r);
}

static void say_estimate(const struct job *job, const char *label, size_t n_draws, struct str *out)
{
    const struct judge *j = job->j;
    int64_t prompt = 0, usual = 0, most = 0;

    for (size_t i = 0; i < job->n; i++) {
        prompt += job->draws[i].prompt_tokens;
        usual += usual_reply(j, job->draws[i].most_tokens);
        most += job->draws[i].most_tokens;
    }
    str_addf(out, "%s %s: %zu calls to %s at %s (%zu of %zu judgements are stored), about %lld "
             "prompt tokens and %lld of replies (at most %lld)", job->s->benchmark->name, label, job->n,
             j->o->judge_model, chat_host(j->chat), n_draws - job->n, n_draws, (long long)prompt,
             (long long)usual, (long long)most);
    if (j->o->judge_price_in > 0 || j->o->judge_price_out > 0)
        str_addf(out, ", cost %.2f (at most %.2f)", cost(j, prompt, usual), cost(j, prompt, most));
    if (job->s->benchmark->judge_attempts > 1)
        str_add(out, "; replies that cannot be read are asked for again");
}

/* Prints what would be asked, and the first request as it would be sent. */
static enum status dry_run(struct job *job, const char *text, struct err *e)
{
    struct judge_request r;
    struct str body;

    str_init(&body, TEXT_LIMIT);
    printf("%s\n", text);
    if (job->n && due(job, &job->draws[0], &r, e)) {
        request_body(job->j, &r, &body);
        printf("%s\n", body.at);
    }
    str_free(&body);
    return e->code;
}

static bool free_to_ask(const struct judge *j)
{
    return chat_is_local(j->chat) || j->o->yes || j->o->judge_max_cost >= 0;
}

static enum status consent(const struct judge *j, struct err *e)
{
    char answer[16] = "";

    if (free_to_ask(j))
        return OK;
    say_note("make these calls? (y or n)");
    if (!fgets(answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(e, ERR_USAGE, "no judge was asked");
    return OK;
}

/* ---- asking an endpoint ------------------------------------------------------------------------ */

static bool affordable(const struct judge *j, const struct draw *d)
{
    return j->o->judge_max_cost < 0 ||
           j->spent + j->reserved + cost(j, d->prompt_tokens, d->most_tokens) <=
               j->o->judge_max_cost;
}

/* Sends the draw's next attempt, if one is due. */
static enum status send_draw(struct job *job, struct draw *d, struct err *e)
{
    struct judge *j = job->j;
    struct judge_request r;
    struct str body;

    if (!j->may_ask)
        return OK;
    if (!due(job, d, &r, e)) {
        job->progress.done += e->code == OK;
        return e->code;
    }
    estimate(j, d, &r);
    if (!affordable(j, d)) {
        say_warning("the next call could pass --judge-max-cost: no more are made");
        j->may_ask = false;
        return OK;
    }
    str_init(&body, TEXT_LIMIT);
    request_body(j, &r, &body);
    if (body.failed)
        err_set(e, ERR_MEMORY, "no memory for what the judge is asked");
    else if (chat_ask(j->chat, body.at, body.n, d)) {
        j->reserved += cost(j, d->prompt_tokens, d->most_tokens);
        job->under_way++;
    }
    str_free(&body);
    return e->code;
}

static enum status keep_reply(struct job *job, struct draw *d, const struct chat_reply *reply,
                              struct err *e)
{
    struct judge *j = job->j;
    bool counted = reply->prompt_tokens >= 0 && reply->completion_tokens >= 0;
    int64_t usual = usual_reply(j, d->most_tokens);

    j->reserved -= cost(j, d->prompt_tokens, d->most_tokens);
    j->spent += reply->lost * cost(j, d->prompt_tokens, usual);
    if (reply->missing) {
        d->missing = arena_str(&job->keep, reply->missing);
        return OK;
    }
    struct results_judgement row = judgement_of(job, d);
    row.judge = j->o->judge_model;
    row.served = reply->served;
    row.profile = j->o->judge_profile;
    row.finish = reply->finish;
    row.reply = reply->text;
    row.prompt_tokens = counted ? reply->prompt_tokens : d->prompt_tokens;
    row.completion_tokens = counted ? reply->completion_tokens : usual;
    row.http_ms = reply->ms;
    j->spent += cost(j, row.prompt_tokens, row.completion_tokens);
    if (results_judgement_add(job->store, &row, e) != OK)
        return e->code;
    return send_draw(job, d, e);                            /* reads it, and may ask once more */
}

/* An endpoint that cannot be used ends the asking, not the command: other scores still come. */
static enum status ask_endpoint(struct job *job, struct err *e)
{
    struct judge *j = job->j;
    size_t next = 0;

    while (e->code == OK) {
        struct chat_reply reply;
        struct err why = { 0 };
        while (next < job->n && job->under_way < j->o->judge_concurrency && j->may_ask &&
               e->code == OK)
            send_draw(job, &job->draws[next++], e);
        if (job->under_way == 0 || e->code != OK)
            break;
        if (chat_next(j->chat, &reply, &why) != OK) {
            j->may_ask = false;
            job->under_way = 0;
            if (why.code == ERR_INCOMPLETE)
                say_error("%s", why.text);
            else
                err_set(e, why.code, "%s", why.text);
            break;
        }
        job->under_way--;
        keep_reply(job, reply.tag, &reply, e);
        say_progress(&job->progress);
    }
    say_progress_end(&job->progress);
    return e->code;
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

static enum status judge_by_endpoint(struct job *job, const char *label, size_t n_draws,
                                     struct err *e)
{
    struct judge *j = job->j;
    struct str text;

    str_init(&text, 4096);
    say_estimate(job, label, n_draws, &text);
    if (j->o->dry_run) {
        dry_run(job, text.at, e);
    } else if (job->n && j->may_ask) {
        say_note("%s", text.at);
        job->progress = (struct progress){ .what = "judging", .total = job->n };
        if (consent(j, e) == OK)
            ask_endpoint(job, e);
    }
    if (e->code == OK && !j->o->dry_run)
        say_missing(job);
    str_free(&text);
    return e->code;
}

/* ---- the face --------------------------------------------------------------------------------- */

static enum status make_name(struct judge *j, struct err *e)
{
    struct str name;

    j->name = NULL;
    if (j->n_served == 0)
        return OK;
    str_init(&name, 4096);
    for (int i = 0; i < j->n_served; i++)
        str_addf(&name, "%s%s", i ? " + " : "", j->served[i]);
    if (j->kind == ENDPOINT && (j->n_served > 1 || strcmp(j->served[0], j->o->judge_model)))
        str_addf(&name, " as %s", j->o->judge_model);
    if (reasoning(j))
        str_add(&name, ", reasoning");
    if (j->n_served > 1)
        say_warning("several judges answered under one name: %s", name.at);
    j->name = arena_str(&j->arena, name.at);
    str_free(&name);
    return j->arena.failed ? err_set(e, ERR_MEMORY, "no memory for the judge's name") : OK;
}

/* Lists the draws; those that are stored become marks, the others stay, with what they would
 * cost. Returns how many there are in all. */
static size_t plan(struct job *job, struct mark *marks, struct err *e)
{
    const struct split *s = job->s;
    int passes = judge_passes(job->j, s->benchmark);
    size_t n_draws = 0;

    job->draws = arena_array(&job->keep, (size_t)passes * s->questions.n + 1, sizeof *job->draws);
    if (!job->draws) {
        err_set(e, ERR_MEMORY, "no memory to judge %zu questions", s->questions.n);
        return 0;
    }
    for (int p = 0; p < passes; p++)
        for (size_t i = 0; i < s->questions.n && e->code == OK; i++) {
            struct judge_request r;
            struct draw d = { .question = i, .pass = p,
                              .mark = &marks[(size_t)p * s->questions.n + i] };
            if (!job->replies[i] || !s->selected[i])
                continue;
            n_draws++;
            if (job->j->kind == DEMO && !job->reviews)
                ask_demo(job, &d, e);
            else if (due(job, &d, &r, e)) {
                estimate(job->j, &d, &r);
                job->draws[job->n++] = d;
            }
        }
    return n_draws;
}

enum status judge_all(struct judge *j, struct split *s, const char *label,
                      const char *const *replies, struct results *store, struct mark *marks,
                      struct err *e)
{
    struct job job = { .j = j, .s = s, .replies = replies, .store = store };
    size_t n_marks = (size_t)judge_passes(j, s->benchmark) * s->questions.n;
    bool together = store && j->kind == DEMO;               /* an endpoint's are kept one by one */

    for (size_t i = 0; i < n_marks; i++)
        marks[i] = (struct mark){ .missing = true };
    j->n_served = 0;
    j->name = NULL;
    if (j->kind == NOBODY) {
        say_note("%s: replies are stored, not judged: no score (name a judge with --judge)",
                 s->benchmark->name);
        return OK;
    }
    if (j->kind == ENDPOINT && !store)
        return err_set(e, ERR_USAGE, "what a judge says is kept in the store: judge stored replies "
                       "with llava-eval judge, or give recorded ones with --reviews");
    if (s->benchmark->judge_open(s->dir, &s->questions, e) != OK)
        return e->code;
    if (together && results_begin(store, e) != OK)
        return e->code;
    size_t n_draws = plan(&job, marks, e);
    if (together) {
        struct err late = { 0 };
        results_commit(store, e->code == OK ? e : &late);
    }
    if (e->code == OK && j->kind == ENDPOINT)
        judge_by_endpoint(&job, label, n_draws, e);
    if (e->code == OK && !j->o->dry_run)
        make_name(j, e);
    arena_free(&job.keep);
    arena_free(&job.scratch);
    return e->code;
}

enum status judge_export(struct judge *j, struct split *s, const char *const *replies,
                         struct results *store, struct str *out, size_t *missing, struct err *e)
{
    struct job job = { .j = j, .s = s, .replies = replies, .store = store, .reviews = out };
    size_t n_marks = (size_t)judge_passes(j, s->benchmark) * s->questions.n;
    struct mark *marks = arena_array(&job.keep, n_marks, sizeof *marks);

    if (!marks)
        err_set(e, ERR_MEMORY, "no memory to write %zu judgements", n_marks);
    else if (s->benchmark->judge_open(s->dir, &s->questions, e) == OK)
        plan(&job, marks, e);
    *missing = job.n;
    arena_free(&job.keep);
    arena_free(&job.scratch);
    return e->code;
}

int judge_passes(const struct judge *j, const struct benchmark *b)
{
    if (j->kind != ENDPOINT)
        return 1;
    return j->o->judge_runs ? j->o->judge_runs : b->judge_passes;
}

const char *judge_name(const struct judge *j)
{
    return j->name;
}

static enum status open_endpoint(struct judge *j, enum status (*stopped)(void), struct err *e)
{
    struct chat_options c = {
        .url = j->o->judge, .key = j->o->judge_key, .concurrency = j->o->judge_concurrency,
        .timeout_s = j->o->judge_timeout, .tries = j->o->judge_retries,
        .per_minute = j->o->judge_rpm, .insecure_http = j->o->judge_insecure_http,
        .stopped = stopped,
    };
    j->kind = ENDPOINT;
    j->may_ask = !j->o->offline && !j->o->dry_run && strcmp(j->o->verb, "score") &&
                 j->o->n_words == 0;                        /* judge export asks nobody */
    if (chat_open(&j->chat, &c, e) == OK && j->may_ask && !free_to_ask(j) && !isatty(STDIN_FILENO))
        err_set(e, ERR_USAGE, "calls to a judge may cost money: allow them with --yes, or up to a "
                "sum with --judge-max-cost");
    return e->code;
}

enum status judge_open(struct judge **out, const struct options *o, enum status (*stopped)(void),
                       struct err *e)
{
    struct judge *j = *out = calloc(1, sizeof *j);

    if (!j)
        return err_set(e, ERR_MEMORY, "no memory");
    j->o = o;
    if (o->judge && !strcmp(o->judge, "demo"))
        j->kind = DEMO;
    else if (o->judge && open_endpoint(j, stopped, e) != OK) {
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
