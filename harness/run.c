/* run.c -- one model asked one split: the engine's loop with the store behind it.
 *
 *     prepare threads --groups--> engine threads (devices.c) --answered--> main thread --> store
 *
 * The main thread owns the store. Replies that a step finishes are committed together right after
 * it, while the next step is under way: kill -9 loses at most the steps in flight. A question that cannot be asked
 * (its picture is damaged, its prompt too long) is stored as failed with the reason: counted as
 * missing, never scored, asked again with --retry-failed. */
#include "harness/run.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/devices.h"
#include "harness/prepare.h"
#include "harness/say.h"
#include "harness/version.h"

enum { AHEAD = 32, SCORE_EVERY_S = 5 };

/* ---- signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t caught;        /* the signal, or 0 */

static void on_signal(int number)
{
    if (caught)
        _exit(number == SIGINT ? 130 : 143);
    caught = number;
}

void run_catch_signals(void)
{
    struct sigaction act = { .sa_handler = on_signal };

    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
}

enum status run_stopped(void)
{
    return caught == 0 ? OK : caught == SIGINT ? ERR_INTERRUPTED : ERR_TERMINATED;
}

/* ---- the loop ------------------------------------------------------------------------------- */

struct asking {
    const struct options *o;
    struct devices *devices;
    struct prepare *prepare;
    struct split *split;
    struct results *store;
    int64_t run_id;
    const char *stop;
    size_t done, cut;           /* cut: prompts that lost their end to the checkpoint's maximum */
    const char **replies;       /* [questions.n], for the running score */
    struct arena texts;
    double started, score_at;
    uint64_t tokens;
    struct progress progress;
    struct err *e;              /* first error of the store */
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void let_go(struct job *j)
{
    free((void *)j->request.ids);
    free(j->text);
    picture_release(j->picture);
    free(j);
}

static void let_all_go(struct job *list)
{
    for (struct job *next; list; list = next) {
        next = list->next;
        let_go(list);
    }
}

/* A reply, or why there is none, goes to the store. */
static void keep(struct asking *run, const struct job *j)
{
    bool failed = j->finish == LLAVA_FAILED || j->finish == LLAVA_CANCELLED || !j->text;
    const char *text = j->text ? j->text : "no memory for the reply";
    struct results_reply reply = {
        .text = failed ? NULL : text, .error = failed ? text : NULL,
        .finish = failed ? "failed" : j->finish == LLAVA_STOP ? "stop" : "length",
        .prompt_tokens = j->prompt_tokens, .reply_tokens = j->reply_tokens, .ms = j->ms,
    };
    if (failed && !j->prompt_tokens)
        say_detail("%s", text);
    results_reply_add(run->store, run->run_id, j->ordinal, &reply, run->e);
    run->done++;
    run->cut += j->cut;
    run->tokens += (uint64_t)j->prompt_tokens + (uint64_t)j->reply_tokens;
    if (!failed)
        run->replies[j->ordinal] = arena_str(&run->texts, text);
}

/* What a step finished, in one transaction. */
static void keep_all(struct asking *run, struct job *list)
{
    if (list)
        results_begin(run->store, run->e);
    for (struct job *next; list; list = next) {
        next = list->next;
        if (run->e->code == OK)
            keep(run, list);
        let_go(list);
    }
    results_commit(run->store, run->e);
}

/* FNV-1a of the id: a question draws the same numbers wherever it stands in a batch. */
static uint64_t seed_of(const struct options *o, const char *id)
{
    uint64_t h = 0xcbf29ce484222325u ^ o->seed;
    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 0x100000001b3u;
    return h;
}

static struct job *job_of(const struct asking *run, struct prepared *item)
{
    const struct options *o = run->o;
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    *j = (struct job){ .ordinal = item->ordinal, .picture = item->picture };
    if (item->err.code != OK) {
        j->finish = LLAVA_FAILED;
        j->text = strdup(item->err.text);
    }
    j->request = (struct llava_request){
        .ids = item->ids, .n_ids = item->n_ids,
        .image = item->picture ? picture_pixels(item->picture) : NULL,
        .max_new_tokens = o->max_new_tokens ? o->max_new_tokens
                                            : run->split->benchmark->max_new_tokens,
        .n_beams = o->num_beams ? o->num_beams : 1,
        .temperature = (float)o->temperature, .top_p = (float)o->top_p, .top_k = o->top_k,
        .seed = seed_of(o, run->split->questions.at[item->ordinal].id), .stop = run->stop,
    };
    return j;
}

/* The questions about the next image. On a device's thread: reads of `run` what does not change. */
static struct job *next_jobs(void *user, bool wait, bool *end, struct err *e)
{
    const struct asking *run = user;
    struct prepared *items;
    struct job *list = NULL, **tail = &list;
    size_t n;

    if (!wait && !prepare_ready(run->prepare))
        return NULL;
    if (!prepare_next(run->prepare, &items, &n)) {
        *end = true;
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        struct job *j = items && e->code == OK ? job_of(run, &items[i]) : NULL;
        if (j) {
            *tail = j;
            tail = &j->next;
        } else {
            err_set(e, ERR_MEMORY, "no memory for the questions about an image");
            if (items) {
                free(items[i].ids);
                picture_release(items[i].picture);
            }
        }
    }
    free(items);
    return list;
}

/* The headline over what is answered by now: a partial figure, for the progress line alone. */
static void score_so_far(struct asking *run)
{
    struct split answered = *run->split;
    struct arena a = { 0 };
    struct scores sc;
    struct err ignored = { 0 };
    size_t missing;

    scores_init(&sc, &a);
    answered.selected = arena_array(&a, answered.questions.n, sizeof *answered.selected);
    answered.n_order = 0;
    for (size_t i = 0; answered.selected && i < answered.questions.n; i++)
        answered.n_order += answered.selected[i] = run->replies[i] != NULL;
    if (answered.n_order && run_tally(&answered, run->replies, NULL, 1, true, 0, &sc, &missing,
                                      &ignored) == OK) {
        run->progress.score_name = answered.benchmark->headline;
        run->progress.score = scores_get(&sc, answered.benchmark->headline);
    }
    scores_free(&sc);
    arena_free(&a);
}

static void show_progress(struct asking *run)
{
    const struct benchmark *b = run->split->benchmark;
    double now = seconds();

    run->progress.done = run->done;
    run->progress.tokens_per_s = (double)run->tokens / (now - run->started + 1e-9);
    if (now > run->score_at && !b->judge_mark &&
        !(b->exported && benchmark_lists(b->exported, run->split->name))) {
        score_so_far(run);
        double cost = seconds() - now;
        run->score_at = now + (SCORE_EVERY_S > 50 * cost ? SCORE_EVERY_S : 50 * cost);
    }
    say_progress(&run->progress);
}

static enum status ask_all(struct asking *run, struct err *e)
{
    struct job *answered, *unanswered;
    char failure[sizeof e->text + 100];

    devices_start(run->devices, next_jobs, run, e);
    while (e->code == OK && run_stopped() == OK && devices_take(run->devices, &answered, e)) {
        while (devices_failure(run->devices, failure, sizeof failure))
            say_warning("%s", failure);
        keep_all(run, answered);
        if (answered && e->code == OK)
            show_progress(run);
    }
    devices_stop(run->devices, &answered, &unanswered);
    struct err late = { 0 };                /* what was made is kept even after an error */
    run->e = e->code == OK ? e : &late;
    keep_all(run, answered);
    let_all_go(unanswered);
    run->e = e;
    return e->code;
}

/* ---- a run ---------------------------------------------------------------------------------- */

static const char *decode_settings(const struct options *o, const struct benchmark *b,
                                   struct arena *a)
{
    if (o->temperature > 0)
        return arena_fmt(a, "{\"temperature\":%.6g,\"top_p\":%.6g,\"top_k\":%d,\"seed\":%llu,"
                         "\"max_new_tokens\":%d}", o->temperature, o->top_p, o->top_k,
                         (unsigned long long)o->seed,
                         o->max_new_tokens ? o->max_new_tokens : b->max_new_tokens);
    return arena_fmt(a, "{\"temperature\":0,\"max_new_tokens\":%d}",
                     o->max_new_tokens ? o->max_new_tokens : b->max_new_tokens);
}

enum status run_note_split(const struct split *s, struct results *store, int64_t *dataset,
                           struct err *e)
{
    struct results_dataset rd = { .benchmark = s->benchmark->name, .split = s->name,
                                  .sha256 = s->hash, .n = s->questions.n,
                                  .official = s->official };
    if (results_dataset(store, &rd, dataset, e) != OK)
        return e->code;
    struct results_question *qs = calloc(s->questions.n + 1, sizeof *qs);
    if (!qs)
        return err_set(e, ERR_MEMORY, "no memory for %zu questions", s->questions.n);
    for (size_t i = 0; i < s->questions.n; i++) {
        const struct question *q = &s->questions.at[i];
        if (s->selected[i])                 /* a shard's store holds its own questions only */
            qs[i] = (struct results_question){ .key = q->id, .image = q->image, .text = q->text,
                                               .reference = q->reference,
                                               .category = q->category };
    }
    results_questions(store, *dataset, qs, s->questions.n, e);
    free(qs);
    return e->code;
}

static enum status find_run(const struct options *o, const struct devices *d, const char *label,
                            const struct prompt_set *set, const char *conversation,
                            struct split *s, struct results *store, struct arena *a,
                            int64_t *run_id, struct err *e)
{
    const struct llava_info *info = llava_info(devices_model(d, 0));
    const struct benchmark *b = s->benchmark;
    char prompt_sha[65], host[256] = "";
    int64_t model, dataset;

    gethostname(host, sizeof host - 1);
    prompt_hash(set, b->name, b->format_of ? b->format_of(s->name) : b->format, conversation,
                prompt_sha);
    struct results_model rm = { .label = label, .weights_sha256 = info->weights_sha256,
                                .connector = info->connector, .config = info->config_json,
                                .n_parameters = info->n_parameters };
    size_t others = 0;
    if (results_model(store, &rm, &model, e) != OK ||
        results_own_label(store, model, &others, e) != OK || run_note_split(s, store, &dataset, e) != OK)
        return e->code;
    if (others)
        say_warning("%s: another checkpoint had this label in %s (other tensors, config.json or "
                    "tokenizer, or hashed by an older llava-eval): it is called %s@ and the start of its hash now", label, o->db, label);
    struct results_run rr = {
        .model = model, .dataset = dataset, .prompts = prompt_set_name(set),
        .prompt_sha256 = prompt_sha, .conversation = conversation,
        .image_mode = o->image_mode_name, .dtype = info->dtype, .dtype_note = info->dtype_note,
        .decode = decode_settings(o, b, a), .program = llava_eval_version,
        .device = devices_describe(d), .host = host,
    };
    const char *before = NULL;
    if (results_run_over_other_data(store, &rr, a, &before, e) != OK)
        return e->code;
    if (before)
        say_warning("%s:%s %s: the question files have changed since this was asked: their hash is "
                    "%.12s, it was %.12s; all is asked anew, the old run stays", b->name, s->name,
                    label, s->hash, before);
    return results_run(store, &rr, o->fresh, run_id, e);
}

/* The selection's ordinals that have no reply yet (with --retry-failed: none but a failure), in asking
 * order, into pending; replies that are there go to run->replies. */
static enum status unanswered(struct asking *run, size_t *pending, size_t *n, struct err *e)
{
    struct split *s = run->split;

    bool *answered = calloc(s->questions.n, sizeof *answered);
    if (!answered)
        return err_set(e, ERR_MEMORY, "no memory for %zu questions", s->questions.n);
    if (results_replies(run->store, run->run_id, s->questions.n, &run->texts, run->replies,
                        answered, e) == OK)
        for (size_t k = 0; k < s->n_order; k++)
            if (!answered[s->order[k]] || (run->o->retry_failed && !run->replies[s->order[k]]))
                pending[(*n)++] = s->order[k];
    free(answered);
    return e->code;
}

static enum status ask_split(struct asking *run, const struct prompt_set *set,
                             const char *conversation, struct err *e)
{
    struct split *s = run->split;
    size_t *pending = calloc(s->n_order + 1, sizeof *pending), n = 0;

    run->replies = calloc(s->questions.n, sizeof *run->replies);
    if (!pending || !run->replies) {
        err_set(e, ERR_MEMORY, "no memory for %zu questions", s->n_order);
        goto done;
    }
    bool limited = run->o->limit > 0 || run->o->n_ids, open = false;
    if (results_run_is_open(run->store, run->run_id, &open, e) != OK ||
        unanswered(run, pending, &n, e) != OK)
        goto done;
    if (n == 0)
        say_note("%s: nothing to ask, all %zu questions are answered", run->progress.what, s->n_order);
    else if (n < s->n_order)
        say_note("%s: %zu of %zu questions to ask, the others are answered", run->progress.what, n, s->n_order);
    struct prepare_job job = {
        .model = devices_model(run->devices, 0), .benchmark = s->benchmark, .dir = s->dir, .questions = &s->questions,
        .order = pending, .n = n, .prompts = set, .conversation = conversation,
        .image_mode = run->o->image_mode, .ahead = AHEAD,
    };
    run->progress.total = n;
    run->started = seconds();
    run->score_at = run->started + 1;
    if (n && results_run_open(run->store, run->run_id, e) == OK &&
        prepare_start(&run->prepare, &job, e) == OK && ask_all(run, e) == OK) {
        run->score_at = 0;                  /* the last line holds the whole figure */
        show_progress(run);
        say_progress_end(&run->progress);
    }
    if (run->cut)
        say_warning("%s: %zu prompts are longer than the checkpoint's tokenizer_model_max_length and "
                    "lost their end", run->progress.what, run->cut);
    if (e->code == OK && run_stopped() == OK && !(open && limited))     /* more was asked for before */
        results_run_finish(run->store, run->run_id, e);
done:
    prepare_stop(run->prepare);
    free(pending);
    return e->code;
}

enum status run_split(const struct options *o, struct devices *d, const char *label,
                      const char *prompts, struct split *s, struct results *store,
                      int64_t *run_id, struct err *e)
{
    const struct llava_info *info = llava_info(devices_model(d, 0));
    struct prompt_set *set = NULL;
    struct arena a = { 0 };
    struct asking run = { .o = o, .devices = d, .split = s, .store = store, .e = e };

    if (prompt_set_open(&set, prompts, e) != OK || benchmark_check_prompts(set, e) != OK)
        goto done;
    const char *conversation = o->template && strcmp(o->template, "auto") ? o->template
        : prompt_set_conversation(set) ? prompt_set_conversation(set)
        : conversation_default(info->has_projector_type, info->name);
    if (!conversation_known(conversation)) {
        err_set(e, ERR_USAGE, "--template %s is not known", conversation);
        goto done;
    }
    run.stop = conversation_stop(conversation);
    run.progress.what = arena_fmt(&a, "%s %s%s%s", s->benchmark->name, label,
                                  strcmp(prompts, "paper") ? " " : "",
                                  strcmp(prompts, "paper") ? prompts : "");
    if (find_run(o, d, label, set, conversation, s, store, &a, &run.run_id, e) == OK) {
        *run_id = run.run_id;
        ask_split(&run, set, conversation, e);
    }
    if (e->code == OK && run_stopped() != OK)
        err_set(e, run_stopped(), "stopped by a signal: every reply made is stored in %s; the same "
                "command%s goes on from here", o->db, o->fresh ? " without --fresh" : "");
done:
    free(run.replies);
    arena_free(&run.texts);
    arena_free(&a);
    prompt_set_close(set);
    return e->code;
}
