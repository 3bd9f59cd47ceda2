/* judge_ask.c -- asking an endpoint: cost first, then many calls at once, each reply stored before it
 * is used. Every try that gave no reply goes into the store's log, for people to read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/judge_private.h"

enum { TEXT_LIMIT = 32 << 20, NAMED = 5 };

/* ---- cost ------------------------------------------------------------------------------------- */

static double cost(const struct judge *j, int64_t prompt_tokens, int64_t reply_tokens)
{
    return ((double)prompt_tokens * j->o->judge_price_in +
            (double)reply_tokens * j->o->judge_price_out) / 1e6;
}

static void say_estimate(const struct job *job, const char *label, size_t n_draws, struct str *out)
{
    const struct judge *j = job->j;
    int64_t prompt = 0, usual = 0, most = 0;

    for (size_t i = 0; i < job->n; i++) {
        prompt += job->draws[i].prompt_tokens;
        usual += judge_usual_tokens(&j->manner, job->draws[i].most_tokens);
        most += job->draws[i].most_tokens;
    }
    str_addf(out, "%s %s: %zu calls to %s at %s (%zu of %zu judgements are stored), about %lld "
             "prompt tokens and %lld of replies (at most %lld)", job->s->benchmark->name, label, job->n,
             j->manner.model, chat_host(j->chat), n_draws - job->n, n_draws, (long long)prompt,
             (long long)usual, (long long)most);
    if (j->o->judge_price_in > 0 || j->o->judge_price_out > 0)
        str_addf(out, ", cost %.2f (at most %.2f)", cost(j, prompt, usual), cost(j, prompt, most));
    if (j->first_pass)
        str_addf(out, "; passes from %d on", j->first_pass);
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
    if (job->n && judge_due(job, &job->draws[0], &r, e)) {
        judge_request_body(&job->j->manner, &r, &body);
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

/* ---- calls ------------------------------------------------------------------------------------ */

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
    if (!judge_due(job, d, &r, e)) {
        job->progress.done += e->code == OK;
        return e->code;
    }
    judge_estimate(j, d, &r);
    if (!affordable(j, d)) {
        say_warning("the next call could pass --judge-max-cost: no more are made");
        j->may_ask = false;
        return OK;
    }
    d->reasoning = j->manner.reasoning;
    str_init(&body, TEXT_LIMIT);
    judge_request_body(&j->manner, &r, &body);
    if (body.failed)
        err_set(e, ERR_MEMORY, "no memory for what the judge is asked");
    else if (chat_ask(j->chat, body.at, body.n, d)) {
        j->reserved += cost(j, d->prompt_tokens, d->most_tokens);
        job->under_way++;
    }
    str_free(&body);
    return e->code;
}

/* --judge-profile auto: the first refusal of the classic parameters changes how all are put. */
static enum status put_otherwise(struct job *job, struct draw *d, const struct chat_reply *reply,
                                 struct err *e)
{
    struct judge *j = job->j;

    if (d->reasoning) {
        d->missing = arena_str(&job->keep, reply->missing);
        return OK;
    }
    if (!j->manner.reasoning)
        say_warning("%s does not take the classic parameters: asked with the profile reasoning from "
                    "here on; the judge's name says so", j->manner.model);
    j->manner.reasoning = j->was_refused = true;
    return send_draw(job, d, e);
}

static enum status keep_reply(struct job *job, struct draw *d, const struct chat_reply *reply,
                              struct err *e)
{
    struct judge *j = job->j;
    bool counted = reply->prompt_tokens >= 0 && reply->completion_tokens >= 0;
    int64_t usual = judge_usual_tokens(&j->manner, d->most_tokens);

    j->reserved -= cost(j, d->prompt_tokens, d->most_tokens);
    if (reply->missing && reply->refused)
        return put_otherwise(job, d, reply, e);
    if (reply->missing) {
        d->missing = arena_str(&job->keep, reply->missing);
        return OK;
    }
    struct results_judgement row = judge_row(job, d);
    row.judge = j->manner.model;
    row.served = reply->served;
    row.profile = d->reasoning ? "reasoning" : "classic";
    row.finish = reply->finish;
    row.reply = reply->text;
    row.host = chat_host(j->chat);
    row.response_id = reply->id;
    row.fingerprint = reply->fingerprint;
    row.usage_estimated = !counted;
    row.prompt_tokens = counted ? reply->prompt_tokens : d->prompt_tokens;
    row.completion_tokens = counted ? reply->completion_tokens : usual;
    row.http_ms = reply->ms;
    j->spent += cost(j, row.prompt_tokens, row.completion_tokens);
    if (results_judgement_add(job->store, &row, e) != OK)
        return e->code;
    return send_draw(job, d, e);                            /* reads it, and may ask once more */
}

/* chat.c tells of each try that gave no reply: it may stand on the bill, at its most. May it be tried
 * again? What that can cost is reserved still. That the log cannot be written stops nothing. */
static bool note_failure(void *user, const struct chat_failure *f)
{
    struct judge *j = user;
    struct job *job = j->job;
    const struct draw *d = f->tag;
    struct err ignored = { 0 };

    if (!job)
        return true;
    if (f->billed)
        j->spent += cost(j, d->prompt_tokens, d->most_tokens);
    struct results_judge_error row = {
        .benchmark = job->s->benchmark->name, .question = job->s->questions.at[d->question].id,
        .judge = j->manner.model, .host = chat_host(j->chat), .pass = d->pass,
        .attempt = d->attempt, .status = f->status, .code = f->code, .excerpt = f->excerpt };
    results_judge_error_add(job->store, &row, &ignored);
    return j->o->judge_max_cost < 0 || j->spent + j->reserved <= j->o->judge_max_cost;
}

/* An endpoint that cannot be used ends the asking, not the command: other scores still come. */
static enum status ask_all(struct job *job, struct err *e)
{
    struct judge *j = job->j;
    size_t next = 0;

    j->job = job;
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
    j->job = NULL;
    say_progress_end(&job->progress);
    return e->code;
}

enum status judge_by_endpoint(struct job *job, const char *label, size_t n_draws, struct err *e)
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
            ask_all(job, e);
    }
    str_free(&text);
    return e->code;
}

enum status judge_open_endpoint(struct judge *j, enum status (*stopped)(void), struct err *e)
{
    const struct options *o = j->o;
    struct chat_options c = {
        .url = o->judge, .key = o->judge_key, .concurrency = o->judge_concurrency,
        .timeout_s = o->judge_timeout, .tries = o->judge_retries, .per_minute = o->judge_rpm,
        .insecure_http = o->judge_insecure_http, .may_refuse = !strcmp(o->judge_profile, "auto"),
        .stopped = stopped, .failed = note_failure, .user = j,
    };
    bool exports = o->n_words && !strcmp(o->words[0], "export");

    j->kind = JUDGE_ENDPOINT;
    j->may_ask = j->keeps && !o->offline && !o->dry_run && strcmp(o->verb, "score") &&
                strcmp(o->verb, "merge") && !exports;
    if (chat_open(&j->chat, &c, e) != OK)
        return e->code;
    j->manner.base = chat_url(j->chat);
    if (j->may_ask && !free_to_ask(j) && !isatty(STDIN_FILENO))
        return err_set(e, ERR_USAGE, "calls to a judge may cost money: allow them with --yes, or up "
                       "to a sum with --judge-max-cost");
    if (strcmp(o->judge_model, "auto") != 0)
        return OK;
    if (!j->may_ask)
        return err_set(e, ERR_USAGE, "--judge-model auto asks the endpoint for its name: name the "
                       "model where nothing may be asked");
    return chat_find_model(j->chat, &j->arena, &j->manner.model, e);
}
