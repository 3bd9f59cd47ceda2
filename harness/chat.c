/* chat.c -- libcurl's multi handle, one slot for each request under way.
 *
 *     FREE --ask--> WAITING --due--> FLYING --reply, or given up--> FREE
 *                      ^---- may pass ----'
 *
 * A 429, and a 503 that says when to come back, hold all slots. Waits follow the monotonic clock. */
#include "harness/chat.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/base/str.h"
#include "harness/chat_answer.h"
#include "harness/chat_url.h"
#include "harness/version.h"

enum { MOST_SLOTS = 64, CONNECT_S = 10, ANSWER_LIMIT = 8 << 20, BODY_LIMIT = 64 << 20, NAP_MS = 100,
       LONGEST_BACKOFF_MS = 60000, LONGEST_ASKED_MS = 300000, REFUSALS = 3, EXCERPT = 300,
       LOGGED = 500 };

struct slot {
    CURL *curl;
    enum { FREE, WAITING, FLYING } state;
    int64_t due_ms, started_ms;
    int tries, lost;
    void *tag;
    struct str body, answer;
    int64_t retry_after_ms;                     /* what the answer's headers say; -1: nothing */
    time_t retry_date, server_date;             /* Retry-After as a date, Date; -1: none */
    char location[300], detail[CURL_ERROR_SIZE];
};

struct chat {
    struct chat_options set;
    struct chat_url url;
    char *key;                                  /* without its line feed; "": none */
    CURLM *multi;
    struct curl_slist *headers;
    struct slot slots[MOST_SLOTS];
    int64_t not_before_ms, next_start_ms;
    int refused;                                /* connections in a row, before any answer */
    bool answered;                              /* the endpoint has answered something */
    uint64_t random;
    struct arena arena;                         /* what the last chat_next handed out */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the key ----------------------------------------------------------------------------------- */

static enum status take_key(struct chat *c, const char *key, struct err *e)
{
    size_t n = key ? strlen(key) : 0;
    if (n && key[n - 1] == '\n')
        n--;
    if (n && key[n - 1] == '\r')
        n--;
    c->key = strndup(key ? key : "", n);
    if (!c->key)
        return err_set(e, ERR_MEMORY, "no memory");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)c->key[i] <= ' ' || (unsigned char)c->key[i] >= 127)
            return err_set(e, ERR_USAGE, "the judge's key has a blank or a control character at "
                           "place %zu: it is no key", i + 1);
    return OK;
}

/* ---- what libcurl calls ----------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct slot *s = user;
    str_addn(&s->answer, bytes, size * count);
    return s->answer.failed ? 0 : size * count;
}

/* Is the line this header? Its value then stands in out, without blanks around it. */
static bool header(const char *line, size_t n, const char *name, char *out, size_t size)
{
    size_t from = strlen(name) + 1;
    if (n < from || strncasecmp(line, name, from - 1) || line[from - 1] != ':')
        return false;
    while (from < n && strchr(" \t", line[from]))
        from++;
    while (n > from && strchr(" \t\r\n", line[n - 1]))
        n--;
    if (n - from >= size)
        n = from + size - 1;
    memcpy(out, line + from, n - from);
    out[n - from] = '\0';
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct slot *s = user;
    size_t n = size * count;
    char value[300];
    double number;

    if (header(line, n, "retry-after-ms", value, sizeof value)) {
        if (str_to_double(value, &number) && number >= 0 && number < 1e12)
            s->retry_after_ms = (int64_t)number;
    } else if (header(line, n, "retry-after", value, sizeof value)) {
        if (!str_to_double(value, &number))
            s->retry_date = curl_getdate(value, NULL);
        else if (number >= 0 && number < 1e9 && s->retry_after_ms < 0)
            s->retry_after_ms = (int64_t)(number * 1000);
    } else if (header(line, n, "date", value, sizeof value)) {
        s->server_date = curl_getdate(value, NULL);
    } else if (header(line, n, "location", value, sizeof value)) {
        memcpy(s->location, value, sizeof value);
    }
    return n;
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static double draw(struct chat *c)                          /* 0 to 1; xorshift64 */
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (double)(c->random >> 11) / 9007199254740992.0;
}

/* What the server asked for, -1 if nothing. */
static int64_t asked_ms(const struct slot *s)
{
    if (s->retry_after_ms >= 0 || s->retry_date == -1)
        return s->retry_after_ms;
    int64_t wait_s = (int64_t)s->retry_date - (s->server_date != -1 ? s->server_date : time(NULL));
    return wait_s > 0 ? wait_s * 1000 : 0;
}

static int64_t wait_before_retry(struct chat *c, const struct slot *s)
{
    int64_t asked = asked_ms(s), ms = c->set.wait_ms ? c->set.wait_ms : 1000;
    if (asked >= 0)
        return asked + (int64_t)(draw(c) * 0.1 * (double)asked);
    for (int i = 1; i < s->tries && ms < LONGEST_BACKOFF_MS; i++)
        ms *= 2;
    if (ms > LONGEST_BACKOFF_MS)
        ms = LONGEST_BACKOFF_MS;
    return (int64_t)((0.5 + 0.5 * draw(c)) * (double)ms);
}

/* ---- what an attempt comes to ----------------------------------------------------------------- */

/* Did the request reach anybody? Not before the transfer began: connecting, or TLS, may have failed. */
static bool was_connected(const struct slot *s)
{
    curl_off_t us = 0;
    return curl_easy_getinfo(s->curl, CURLINFO_PRETRANSFER_TIME_T, &us) == CURLE_OK && us > 0;
}

/* A transfer without a usable answer. */
static enum chat_outcome read_transfer(struct chat *c, const struct slot *s, CURLcode rc,
                                       struct chat_reply *r, struct err *e)
{
    const char *why = *s->detail ? s->detail : curl_easy_strerror(rc);

    r->missing = chat_excerpt(&c->arena, c->key, why, strlen(why), EXCERPT);
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        if (c->answered || was_connected(s) || ++c->refused < REFUSALS)
            return CHAT_AGAIN;
        break;
    case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CACERT_BADFILE: case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR: case CURLE_UNSUPPORTED_PROTOCOL: case CURLE_URL_MALFORMAT:
        break;
    case CURLE_OUT_OF_MEMORY:
        err_set(e, ERR_MEMORY, "no memory to ask the judge");
        return CHAT_STOP;
    default:
        return CHAT_AGAIN;
    }
    err_set(e, ERR_INCOMPLETE, "the judge at %s: %s", c->url.host, r->missing);
    return CHAT_STOP;
}

static struct chat_answer answer_of(const struct chat *c, const struct slot *s, CURLcode rc)
{
    struct chat_answer in = {
        .key = c->key, .host = c->url.host, .body = s->answer.at, .n = s->answer.n,
        .whole = rc == CURLE_OK, .location = s->location, .may_refuse = c->set.may_refuse };
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &in.status);
    return in;
}

static enum chat_outcome read_attempt(struct chat *c, struct slot *s, CURLcode rc,
                                      struct chat_reply *r, struct err *e)
{
    struct chat_answer in = answer_of(c, s, rc);

    c->answered = c->answered || in.status;
    r->status = in.status;
    if (in.status >= 300 || rc == CURLE_OK || rc == CURLE_WRITE_ERROR) {
        enum chat_outcome o = chat_answer_read(&in, &c->arena, r, e);
        s->lost += o == CHAT_AGAIN && in.status < 300;      /* it may be on the bill */
        return o;
    }
    s->lost += was_connected(s);
    return read_transfer(c, s, rc, r, e);
}

static bool tell_failure(struct chat *c, const struct slot *s, const struct chat_reply *r, bool billed)
{
    bool body = s->answer.n > 0 && r->status;
    const char *text = body ? s->answer.at : r->missing ? r->missing : "";
    struct chat_failure f = {
        .tag = s->tag, .status = r->status, .code = r->code, .billed = billed,
        .excerpt = chat_excerpt(&c->arena, c->key, text, body ? s->answer.n : strlen(text),
                                LOGGED) };
    return !c->set.failed || c->set.failed(c->set.user, &f);
}

/* Puts the slot back in line; the endpoint's wish may hold all others too. */
static enum chat_outcome retry(struct chat *c, struct slot *s, struct err *e)
{
    long status = 0;
    int64_t wait, asked = asked_ms(s);

    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (asked > LONGEST_ASKED_MS)
        return chat_stop(c->url.host, status, "it asks to be left alone for more than five minutes", "",
                         e);
    if (s->tries >= c->set.tries)
        return CHAT_GIVEN_UP;
    wait = wait_before_retry(c, s);
    s->state = WAITING;
    s->due_ms = now_ms() + wait;
    if ((status == 429 || (status == 503 && asked >= 0)) && s->due_ms > c->not_before_ms)
        c->not_before_ms = s->due_ms;
    return CHAT_AGAIN;
}

/* ---- the loop --------------------------------------------------------------------------------- */

static void start_due(struct chat *c, struct err *e)
{
    int64_t now = now_ms();

    for (int i = 0; i < c->set.concurrency; i++) {
        struct slot *s = &c->slots[i];
        if (s->state != WAITING || s->due_ms > now || c->not_before_ms > now)
            continue;
        if (c->set.per_minute && c->next_start_ms > now)
            return;
        if (c->set.per_minute)
            c->next_start_ms = now + 60000 / c->set.per_minute;
        str_clear(&s->answer);
        s->retry_after_ms = -1;
        s->retry_date = s->server_date = -1;
        s->location[0] = s->detail[0] = '\0';
        curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->body.n);
        curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->body.at);
        if (s->body.failed || curl_multi_add_handle(c->multi, s->curl) != CURLM_OK) {
            err_set(e, ERR_MEMORY, "no memory to ask the judge");
            return;
        }
        s->state = FLYING;
        s->tries++;
        s->started_ms = now;
    }
}

/* Milliseconds until a waiting request may start; short enough to notice a signal. */
static int nap_ms(const struct chat *c)
{
    int64_t now = now_ms(), soonest = now + NAP_MS;
    for (int i = 0; i < c->set.concurrency; i++) {
        int64_t due = c->slots[i].due_ms;
        if (c->slots[i].state != WAITING)
            continue;
        if (due < c->not_before_ms)
            due = c->not_before_ms;
        if (due < c->next_start_ms)
            due = c->next_start_ms;
        if (due < soonest)
            soonest = due;
    }
    return soonest > now ? (int)(soonest - now) : 0;
}

static bool finish(struct chat *c, struct slot *s, CURLcode rc, struct chat_reply *r, struct err *e)
{
    arena_reset(&c->arena);
    curl_multi_remove_handle(c->multi, s->curl);
    *r = (struct chat_reply){ .tag = s->tag, .prompt_tokens = -1, .completion_tokens = -1,
                              .ms = now_ms() - s->started_ms };
    int lost = s->lost;
    enum chat_outcome o = read_attempt(c, s, rc, r, e);
    bool again = o == CHAT_DONE || tell_failure(c, s, r, s->lost > lost);
    if (o == CHAT_AGAIN)
        o = again ? retry(c, s, e) : CHAT_GIVEN_UP;
    if (c->arena.failed && o != CHAT_STOP)
        err_set(e, ERR_MEMORY, "no memory for what the judge says");
    r->lost = s->lost;
    if (o != CHAT_AGAIN)
        s->state = FREE;
    return o == CHAT_DONE || o == CHAT_GIVEN_UP;
}

static void leave(struct chat *c)
{
    for (int i = 0; i < MOST_SLOTS; i++) {
        if (c->slots[i].state == FLYING)
            curl_multi_remove_handle(c->multi, c->slots[i].curl);
        c->slots[i].state = FREE;
    }
}

static bool next(struct chat *c, struct chat_reply *reply, struct err *e)
{
    CURLMsg *m;
    int running, queued;

    if (c->set.stopped && c->set.stopped() != OK)
        err_set(e, c->set.stopped(), "stopped by a signal; the same command goes on");
    else
        start_due(c, e);
    if (e->code != OK)
        return true;
    curl_multi_perform(c->multi, &running);
    while ((m = curl_multi_info_read(c->multi, &queued))) {
        struct slot *s = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        if (finish(c, s, m->data.result, reply, e) || e->code != OK)
            return true;
    }
    curl_multi_poll(c->multi, NULL, 0, nap_ms(c), NULL);
    return false;
}

enum status chat_next(struct chat *c, struct chat_reply *reply, struct err *e)
{
    bool busy = false;

    *reply = (struct chat_reply){ 0 };
    for (int i = 0; i < c->set.concurrency; i++)
        busy = busy || c->slots[i].state != FREE;
    while (busy && !next(c, reply, e))
        ;
    if (e->code != OK)
        leave(c);
    return e->code;
}

bool chat_ask(struct chat *c, const char *body, size_t n, void *tag)
{
    for (int i = 0; i < c->set.concurrency; i++) {
        struct slot *s = &c->slots[i];
        if (s->state != FREE)
            continue;
        str_clear(&s->body);
        str_addn(&s->body, body, n);
        s->tag = tag;
        s->tries = s->lost = 0;
        s->due_ms = 0;
        s->state = WAITING;
        return true;
    }
    return false;
}

/* ---- open and close --------------------------------------------------------------------------- */

static enum status add_header(struct chat *c, const char *line, struct err *e)
{
    struct curl_slist *longer = curl_slist_append(c->headers, line);
    if (!longer)
        return err_set(e, ERR_MEMORY, "no memory");
    c->headers = longer;
    return OK;
}

static enum status make_headers(struct chat *c, struct err *e)
{
    struct str line;

    str_init(&line, 1 << 16);
    str_addf(&line, "Authorization: Bearer %s", c->key);
    if (line.failed)
        err_set(e, ERR_USAGE, "the judge's key is too long: it is no key");
    else if (add_header(c, "Content-Type: application/json", e) == OK &&
             add_header(c, "Expect:", e) == OK && *c->key)  /* no "100 Continue" first */
        add_header(c, line.at, e);
    str_free(&line);
    return e->code;
}

static enum status slot_open(struct chat *c, struct slot *s, struct err *e)
{
    char agent[100] = "llava-eval/";

    strncat(agent, llava_eval_version, sizeof agent - strlen(agent) - 1);
    str_init(&s->body, BODY_LIMIT);
    str_init(&s->answer, ANSWER_LIMIT);
    s->curl = curl_easy_init();
    if (!s->curl)
        return err_set(e, ERR_MEMORY, "no memory");
    curl_easy_setopt(s->curl, CURLOPT_URL, c->url.completions);
    curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(s->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(s->curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, (long)c->set.timeout_s);
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(s->curl, CURLOPT_USERAGENT, agent);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(s->curl, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->detail);
    curl_easy_setopt(s->curl, CURLOPT_PRIVATE, s);
    return OK;
}

enum status chat_open(struct chat **out, const struct chat_options *o, struct err *e)
{
    struct chat *c = *out = calloc(1, sizeof *c);

    if (!c)
        return err_set(e, ERR_MEMORY, "no memory");
    curl_global_init(CURL_GLOBAL_DEFAULT);                  /* counted: http.c does it, too */
    c->set = *o;
    c->random = (uint64_t)now_ms() * 0x9e3779b97f4a7c15u | 1;
    if (c->set.concurrency < 1 || c->set.concurrency > MOST_SLOTS)
        err_set(e, ERR_INTERNAL, "%d requests in flight", c->set.concurrency);
    else if (!(c->multi = curl_multi_init()))
        err_set(e, ERR_MEMORY, "no memory");
    else if (take_key(c, o->key, e) == OK &&
             chat_url_read(&c->url, o->url, o->insecure_http, e) == OK && make_headers(c, e) == OK)
        for (int i = 0; i < c->set.concurrency && e->code == OK; i++)
            slot_open(c, &c->slots[i], e);
    if (e->code != OK) {
        chat_close(c);
        *out = NULL;
    }
    return e->code;
}

void chat_close(struct chat *c)
{
    if (!c)
        return;
    leave(c);
    for (int i = 0; i < MOST_SLOTS; i++) {
        curl_easy_cleanup(c->slots[i].curl);
        str_free(&c->slots[i].body);
        str_free(&c->slots[i].answer);
    }
    curl_slist_free_all(c->headers);
    curl_multi_cleanup(c->multi);
    if (c->key)
        explicit_bzero(c->key, strlen(c->key));
    free(c->key);
    chat_url_free(&c->url);
    arena_free(&c->arena);
    curl_global_cleanup();
    free(c);
}

enum status chat_find_model(struct chat *c, struct arena *a, const char **name, struct err *e)
{
    struct slot one = { 0 };

    *name = NULL;
    if (slot_open(c, &one, e) == OK) {
        curl_easy_setopt(one.curl, CURLOPT_URL, c->url.models);
        curl_easy_setopt(one.curl, CURLOPT_HTTPGET, 1L);
        CURLcode rc = curl_easy_perform(one.curl);
        struct chat_answer in = answer_of(c, &one, rc);
        const char *why = *one.detail ? one.detail : curl_easy_strerror(rc);
        if (rc != CURLE_OK)
            err_set(e, ERR_INCOMPLETE, "the judge at %s: %s", c->url.host,
                    chat_excerpt(a, c->key, why, strlen(why), EXCERPT));
        else
            chat_answer_model(&in, a, name, e);
    }
    curl_easy_cleanup(one.curl);
    str_free(&one.body);
    str_free(&one.answer);
    return e->code;
}

const char *chat_url(const struct chat *c)
{
    return c->url.completions;
}

const char *chat_host(const struct chat *c)
{
    return c->url.host;
}

bool chat_is_local(const struct chat *c)
{
    return c->url.local;
}
