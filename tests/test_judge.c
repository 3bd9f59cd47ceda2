/* The judge client against a server on the loopback that answers by a script: what is a reply, what
 * is asked again, what stops everything; what is stored, and that the key is nowhere. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "benchmarks/reviews.h"
#include "engine/base/file.h"
#include "harness/chat.h"
#include "harness/chat_answer.h"
#include "harness/judge.h"
#include "harness/judge_request.h"
#include "harness/say.h"
#include "tests/fixture.h"
#include "tests/httpd.h"

#define KEY "sk-Nobody/Reads=This"
#define SAYS(text) "{\"id\":\"x\",\"model\":\"judge-2024\",\"choices\":[{\"message\":{\"role\":" \
    "\"assistant\",\"content\":" text "},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":" \
    "10,\"completion_tokens\":3}}"
#define FAILS(member, word) "{\"error\":{\"message\":\"no luck\",\"" member "\":\"" word "\"}}"

enum { MOST_CALLS = 64, LONGEST_BODY = 600 };

/* ---- the server ------------------------------------------------------------------------------- */

/* The n-th request gets the n-th step; the last one stands for all that follow. */
struct step {
    int status;                     /* 0: closes without a byte */
    const char *headers, *body;
    size_t cut;                     /* bytes left out at the end of the body */
    int after_ms;
};
struct script {
    const struct step *steps;
    int n;
    int64_t arrival[MOST_CALLS];    /* ms */
    char authorization[200];        /* of the last request */
    char body[MOST_CALLS][LONGEST_BODY];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void note(struct script *s, const struct httpd_call *c)
{
    if (c->number <= MOST_CALLS) {
        s->arrival[c->number - 1] = now_ms();
        snprintf(s->body[c->number - 1], LONGEST_BODY, "%s", c->body ? c->body : "");
    }
    snprintf(s->authorization, sizeof s->authorization, "%s", c->authorization);
}

static void play(struct httpd_call *c)
{
    struct script *s = c->user;
    const struct step *step = &s->steps[c->number < s->n ? c->number - 1 : s->n - 1];
    const char *body = step->body ? step->body : "";

    note(s, c);
    if (step->after_ms)
        nanosleep(&(struct timespec){ step->after_ms / 1000, step->after_ms % 1000 * 1000000L },
                  NULL);
    if (step->status)
        httpd_send_part(c, step->status, step->headers ? step->headers : "", body, strlen(body),
                        strlen(body) - step->cut);
}

/* Puts the header that came, key and all, into the answer. */
static void echo(struct httpd_call *c)
{
    struct script *s = c->user;
    char body[1000];

    note(s, c);
    if (c->number == 1) {
        snprintf(body, sizeof body, "{\"error\":{\"message\":\"you sent %s\"}}", c->authorization);
        httpd_send(c, 422, "", body, strlen(body));
    } else if (c->number == 2) {
        snprintf(body, sizeof body, "{\"model\":\"%s\",\"choices\":[{\"message\":{\"content\":"
                 "\"0.5 %s\"},\"finish_reason\":\"%s\"}]}", c->authorization, c->authorization,
                 c->authorization);
        httpd_send(c, 200, "", body, strlen(body));
    } else {
        snprintf(body, sizeof body, "{\"message\":\"%s %s\",\"object\":\"error\"}", c->authorization,
                 c->authorization);
        httpd_send(c, 401, "", body, strlen(body));
    }
}

static const char *base_of(const struct httpd *s, char out[64])
{
    snprintf(out, 64, "http://127.0.0.1:%d/v1", httpd_port(s));
    return out;
}

/* ---- one call --------------------------------------------------------------------------------- */

struct outcome {
    enum status status;
    struct err err;
    int calls, lost;
    int64_t ms;
    bool replied, has_text;
    char text[400], missing[400], served[100], finish[100];
    int64_t prompt_tokens;
};

static enum status go_on(void)
{
    return OK;
}

static struct outcome call(const struct step *steps, int n, int tries)
{
    struct outcome out = { 0 };
    struct script script = { .steps = steps, .n = n };
    struct httpd *server = httpd_start(play, &script);
    struct chat *c = NULL;
    struct chat_reply r = { 0 };
    char url[64];
    struct chat_options o = { .url = base_of(server, url), .key = KEY "\n", .concurrency = 4,
                              .timeout_s = 5, .tries = tries, .wait_ms = 2, .stopped = go_on };
    int64_t before = now_ms();

    if (CHECK_OK(chat_open(&c, &o, &out.err), out.err)) {
        CHECK(chat_ask(c, "{}", 2, &out));
        out.status = chat_next(c, &r, &out.err);
        out.replied = out.status == OK && r.tag == &out && !r.missing;
        out.has_text = r.text != NULL;
        out.lost = r.lost;
        out.prompt_tokens = r.prompt_tokens;
        snprintf(out.text, sizeof out.text, "%s", r.text ? r.text : "");
        snprintf(out.missing, sizeof out.missing, "%s", r.missing ? r.missing : "");
        snprintf(out.served, sizeof out.served, "%s", r.served ? r.served : "");
        snprintf(out.finish, sizeof out.finish, "%s", r.finish ? r.finish : "");
    }
    out.ms = now_ms() - before;
    chat_close(c);
    out.calls = httpd_calls(server);
    httpd_stop(server);
    CHECK_STR(script.authorization, "Bearer " KEY);
    return out;
}

TEST(judge_reads_replies)
{
    static const struct { const char *body, *text, *finish; bool has_text; } rows[] = {
        { SAYS("\"7 8\\nok\""), "7 8\nok", "stop", true },
        { SAYS("\"\""), "", "stop", true },
        { SAYS("null"), "", "stop", false },
        { SAYS("[{\"type\":\"text\",\"text\":\"7 \"},{\"type\":\"image\"},{\"type\":\"text\","
               "\"text\":\"8\"}]"), "7 8", "stop", true },
        { SAYS("[]"), "", "stop", false },
        { "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"content_filter\"}]}", "",
          "content_filter", false },
        { "{\"choices\":[{\"message\":{}}]}", "", "", false },
        { "{\"choices\":[{\"message\":{\"content\":\"7\"},\"finish_reason\":\"length\"}]}", "7",
          "length", true },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct step step = { 200, NULL, rows[i].body, 0, 0 };
        struct outcome got = call(&step, 1, 3);
        if (!CHECK(got.replied) || !CHECK_INT(got.calls, 1) || !CHECK_STR(got.text, rows[i].text) ||
            !CHECK_STR(got.finish, rows[i].finish) || !CHECK(got.has_text == rows[i].has_text))
            CHECK_STR(rows[i].body, "");
        CHECK_INT(got.prompt_tokens, i < 5 ? 10 : -1);
        CHECK_STR(got.served, i < 5 ? "judge-2024" : "");
    }
}

TEST(judge_tries_again_what_may_pass)
{
    static const struct { struct step first; int lost; } rows[] = {
        { { 500, NULL, FAILS("code", "x"), 0, 0 }, 0 }, { { 502, NULL, "<html>", 0, 0 }, 0 },
        { { 503, NULL, NULL, 0, 0 }, 0 },               { { 504, NULL, NULL, 0, 0 }, 0 },
        { { 520, NULL, NULL, 0, 0 }, 0 },               { { 529, NULL, NULL, 0, 0 }, 0 },
        { { 408, NULL, NULL, 0, 0 }, 0 },               { { 409, NULL, NULL, 0, 0 }, 0 },
        { { 425, NULL, NULL, 0, 0 }, 0 },               { { 429, NULL, NULL, 0, 0 }, 0 },
        { { 429, NULL, FAILS("code", "rate_limit_exceeded"), 0, 0 }, 0 },
        { { 200, NULL, "<html>a portal</html>", 0, 0 }, 1 },
        { { 200, NULL, "{\"choices\":[]}", 0, 0 }, 1 }, { { 200, NULL, "{\"choices\":[", 0, 0 }, 1 },
        { { 200, NULL, NULL, 0, 0 }, 1 },               { { 204, NULL, NULL, 0, 0 }, 1 },
        { { 200, NULL, SAYS("\"7 8\""), 20, 0 }, 1 },   { { 0, NULL, NULL, 0, 0 }, 1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct step steps[] = { rows[i].first, { 200, NULL, SAYS("\"7 8\""), 0, 0 } };
        struct outcome got = call(steps, 2, 3);
        if (!CHECK(got.replied) || !CHECK_INT(got.calls, 2) || !CHECK_STR(got.text, "7 8") ||
            !CHECK_INT(got.lost, rows[i].lost))
            CHECK_INT(i, -1);
    }
    struct step always = { 500, NULL, FAILS("code", "x"), 0, 0 };
    struct outcome got = call(&always, 1, 4);
    CHECK_INT(got.status, OK);
    CHECK(!got.replied);
    CHECK_INT(got.calls, 4);
    CHECK_STR(got.missing, "HTTP 500: no luck");
}

TEST(judge_gives_up_one_item)
{
    static const struct step rows[] = {
        { 400, NULL, FAILS("code", "context_length_exceeded"), 0, 0 }, { 413, NULL, "", 0, 0 },
        { 422, NULL, FAILS("code", "x"), 0, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome got = call(&rows[i], 1, 6);
        CHECK_INT(got.status, OK);
        CHECK(!got.replied);
        CHECK_INT(got.calls, 1);
        CHECK(strstr(got.missing, "HTTP 4") != NULL);
    }
}

TEST(judge_stops_where_nothing_helps)
{
    static const struct { struct step step; const char *says; } rows[] = {
        { { 401, NULL, FAILS("code", "invalid_api_key"), 0, 0 }, "does not accept the key" },
        { { 403, NULL, "<html>", 0, 0 }, "does not accept the key" },
        { { 404, NULL, FAILS("code", "model_not_found"), 0, 0 }, "no such path or model" },
        { { 402, NULL, NULL, 0, 0 }, "account is empty" },
        { { 429, NULL, FAILS("code", "insufficient_quota"), 0, 0 }, "account is empty" },
        { { 429, NULL, FAILS("type", "insufficient_quota"), 0, 0 }, "account is empty" },
        { { 429, NULL, FAILS("code", "credit_balance_exhausted"), 0, 0 }, "account is empty" },
        { { 400, NULL, FAILS("code", "x"), 0, 0 }, "refuses the request: no luck" },
        { { 400, NULL, FAILS("param", "max_tokens"), 0, 0 }, "--judge-profile reasoning" },
        { { 400, NULL, FAILS("param", "temperature"), 0, 0 }, "--judge-profile reasoning" },
        { { 501, NULL, NULL, 0, 0 }, "HTTP 501" },
        { { 429, "Retry-After: 301\r\n", NULL, 0, 0 }, "five minutes" },
        { { 200, NULL, "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"length\"}]}",
            0, 0 }, "token limit" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome got = call(&rows[i].step, 1, 6);
        CHECK_INT(got.status, ERR_INCOMPLETE);
        CHECK_INT(got.calls, 1);
        if (!CHECK(strstr(got.err.text, rows[i].says) != NULL))
            CHECK_STR(got.err.text, rows[i].says);
    }
}

TEST(judge_waits_as_long_as_it_is_asked)
{
    static const struct { const char *headers; int least_ms; } rows[] = {
        { "Retry-After: 1\r\n", 1000 }, { "Retry-After: 0.3\r\n", 300 },
        { "retry-after-ms: 200\r\nRetry-After: 9\r\n", 200 },
        { "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
          1000 },
        { "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n", 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct step steps[] = { { i & 1 ? 503 : 429, rows[i].headers, NULL, 0, 0 },
                                { 200, NULL, SAYS("\"1\""), 0, 0 } };
        struct outcome got = call(steps, 2, 3);
        CHECK(got.replied);
        if (!CHECK(got.ms >= rows[i].least_ms && got.ms < rows[i].least_ms + 4000))
            CHECK_INT(got.ms, rows[i].least_ms);
    }
}

/* The server sleeps under its lock: the second try is answered when the first has been. */
TEST(judge_tries_again_after_a_timeout)
{
    static const struct step steps[] = { { 200, NULL, SAYS("\"late\""), 0, 1300 },
                                         { 200, NULL, SAYS("\"1\""), 0, 0 } };
    struct script script = { .steps = steps, .n = 2 };
    struct httpd *server = httpd_start(play, &script);
    struct err e = { 0 };
    struct chat *c;
    struct chat_reply r;
    char url[64];
    struct chat_options o = { .url = base_of(server, url), .concurrency = 1, .timeout_s = 1,
                              .tries = 3, .wait_ms = 1 };

    CHECK_OK(chat_open(&c, &o, &e), e);
    CHECK(chat_ask(c, "a", 1, &r));
    CHECK_OK(chat_next(c, &r, &e), e);
    CHECK_STR(r.text, "1");
    CHECK_INT(r.lost, 1);                                   /* it may be on the bill */
    CHECK_INT(httpd_calls(server), 2);
    chat_close(c);
    httpd_stop(server);
}

TEST(judge_holds_all_calls_after_a_429)
{
    static const struct step steps[] = { { 429, "retry-after-ms: 500\r\n", NULL, 0, 0 },
                                         { 200, NULL, SAYS("\"1\""), 0, 150 },
                                         { 200, NULL, SAYS("\"1\""), 0, 0 } };
    struct script script = { .steps = steps, .n = 3 };
    struct httpd *server = httpd_start(play, &script);
    struct err e = { 0 };
    struct chat *c;
    struct chat_reply r;
    char url[64];
    struct chat_options o = { .url = base_of(server, url), .concurrency = 2, .timeout_s = 5,
                              .tries = 3, .wait_ms = 1 };
    int a, b, third;

    CHECK_OK(chat_open(&c, &o, &e), e);
    CHECK(chat_ask(c, "a", 1, &a));
    CHECK(chat_ask(c, "b", 1, &b));
    CHECK(!chat_ask(c, "c", 1, &third));                    /* two at once, no more */
    CHECK_OK(chat_next(c, &r, &e), e);
    CHECK(chat_ask(c, "c", 1, &third));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(chat_next(c, &r, &e), e);
        CHECK(!r.missing);
    }
    CHECK_OK(chat_next(c, &r, &e), e);
    CHECK(r.tag == NULL);
    chat_close(c);
    CHECK_INT(httpd_calls(server), 4);
    CHECK(script.arrival[2] - script.arrival[0] >= 500);
    CHECK(script.arrival[3] - script.arrival[0] >= 500);
    CHECK_STR(script.authorization, "");                    /* no key, no header */
    httpd_stop(server);
}

TEST(judge_stops_for_a_wrong_key_with_all_calls)
{
    static const struct step no = { 401, NULL, "", 0, 20 };
    struct script script = { .steps = &no, .n = 1 };
    struct httpd *server = httpd_start(play, &script);
    struct err e = { 0 };
    struct chat *c;
    struct chat_reply r;
    char url[64];
    struct chat_options o = { .url = base_of(server, url), .key = KEY, .concurrency = 8,
                              .timeout_s = 5, .tries = 6 };
    CHECK_OK(chat_open(&c, &o, &e), e);
    for (int i = 0; i < 8; i++)
        CHECK(chat_ask(c, "a", 1, &r));
    CHECK_INT(chat_next(c, &r, &e), ERR_INCOMPLETE);
    err_clear(&e);
    CHECK_OK(chat_next(c, &r, &e), e);                      /* nothing is left in flight */
    CHECK(r.tag == NULL);
    chat_close(c);
    CHECK(httpd_calls(server) <= 8);
    httpd_stop(server);
}

TEST(judge_key_follows_no_redirect)
{
    static const struct step yes = { 200, NULL, SAYS("\"1\""), 0, 0 };
    struct script script = { .steps = &yes, .n = 1 };
    struct httpd *other = httpd_start(play, &script);
    char headers[100], port[16];
    snprintf(port, sizeof port, ":%d/", httpd_port(other));
    snprintf(headers, sizeof headers, "Location: http://localhost%sv1\r\n", port);
    static const int statuses[] = { 301, 302, 303, 307, 308 };
    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct step step = { statuses[i], headers, "", 0, 0 };
        struct outcome got = call(&step, 1, 3);
        CHECK_INT(got.status, ERR_INCOMPLETE);
        CHECK_INT(got.calls, 1);
        CHECK(strstr(got.err.text, port) != NULL);
    }
    CHECK_INT(httpd_calls(other), 0);
    httpd_stop(other);
}

TEST(judge_address_has_one_form)
{
    static const struct { const char *url, *whole, *error; bool local; } rows[] = {
        { "https://api.example.org/v1", "https://api.example.org/v1/chat/completions", NULL, false },
        { "https://api.example.org/v1/", "https://api.example.org/v1/chat/completions", NULL, false },
        { "https://api.example.org/v1/chat/completions",
          "https://api.example.org/v1/chat/completions", NULL, false },
        { "http://localhost:8000/v1", "http://localhost:8000/v1/chat/completions", NULL, true },
        { "http://[::1]:8000", "http://[::1]:8000/chat/completions", NULL, true },
        { "http://10.0.0.7/v1", "http://10.0.0.7/v1/chat/completions", NULL, false },
        { "http://172.16.0.1/v1", "http://172.16.0.1/v1/chat/completions", NULL, false },
        { "http://172.32.0.1/v1", NULL, "without https", false },
        { "http://api.example.org/v1", NULL, "without https", false },
        { "http://localhost.example.org/v1", NULL, "without https", false },
        { "https://me:hunter2@api.example.org/v1", NULL, "belongs into the environment", false },
        { "https://me:" KEY "@api.example.org/v1", NULL, "expected demo or an address", false },
        { "https://api.example.org/v1?key=" KEY, NULL, "belongs into the environment", false },
        { "ftp://127.0.0.1/v1", NULL, "expected demo or an address", false },
        { "file:///etc/passwd", NULL, "expected demo or an address", false },
        { "https://", NULL, "expected demo or an address", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct chat_options o = { .url = rows[i].url, .key = KEY, .concurrency = 1, .timeout_s = 1,
                                  .tries = 1 };
        struct chat *c = NULL;
        struct err e = { 0 };
        enum status status = chat_open(&c, &o, &e);
        if (rows[i].whole && CHECK_OK(status, e)) {
            CHECK_STR(chat_url(c), rows[i].whole);
            CHECK(chat_is_local(c) == rows[i].local);
        } else if (!rows[i].whole) {
            CHECK_INT(status, ERR_USAGE);
            if (!CHECK(strstr(e.text, rows[i].error) != NULL))
                CHECK_STR(e.text, rows[i].error);
            CHECK(!strstr(e.text, KEY) && !strstr(e.text, "hunter2"));
        }
        chat_close(c);
    }
    static const char *const keys[] = { "x y", "a\r\nX-Evil: 1", "a\tb", "\x7f", "k\xc3\xa9y" };
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct chat_options o = { .url = "http://localhost/v1", .key = keys[i], .concurrency = 1 };
        struct chat *c = NULL;
        struct err e = { 0 };
        CHECK_INT(chat_open(&c, &o, &e), ERR_USAGE);
        CHECK(strstr(e.text, keys[i]) == NULL);
    }
}

TEST(judge_that_is_not_there_is_given_up)
{
    static const struct step none = { 200, NULL, "", 0, 0 };
    struct script script = { .steps = &none, .n = 1 };
    struct httpd *server = httpd_start(play, &script);
    struct err e = { 0 };
    struct chat *c;
    struct chat_reply r;
    char url[64];
    struct chat_options o = { .url = base_of(server, url), .concurrency = 1, .timeout_s = 5,
                              .tries = 50, .wait_ms = 1 };
    httpd_stop(server);                                     /* a port that nobody listens at */
    CHECK_OK(chat_open(&c, &o, &e), e);
    CHECK(chat_ask(c, "a", 1, &r));
    CHECK_INT(chat_next(c, &r, &e), ERR_INCOMPLETE);
    chat_close(c);
}

/* ---- a benchmark's replies, judged ------------------------------------------------------------- */

enum { N = 4, PASSES = 2 };

static const char questions[] =
    "{\"v1_0\": {\"imagename\": \"a.png\", \"question\": \"q zero?\", \"answer\": \"12\", "
    "\"capability\": [\"ocr\"]},\n"
    "\"v1_1\": {\"imagename\": \"a.png\", \"question\": \"q one?\", \"answer\": \"a\", "
    "\"capability\": [\"rec\"]},\n"
    "\"v1_2\": {\"imagename\": \"b.png\", \"question\": \"q two?\", \"answer\": \"b\", "
    "\"capability\": [\"ocr\"]},\n"
    "\"v1_3\": {\"imagename\": \"c.jpg\", \"question\": \"q three?\", \"answer\": \"c\", "
    "\"capability\": [\"math\"]}}";

static const char *const replies[N] = { "twelve", "an \"a\"\n", "\xc3\xa9", "c\x01" };

struct bench {
    struct fixture fixture;
    struct split split;
    bool selected[N];
    size_t order[N];
    struct options o;
    struct httpd *server;
    struct script script;
    char url[64];
    struct mark marks[PASSES][N];
    char name[200];
    struct err err;
};

static void bench_open(struct bench *b, void (*answer)(struct httpd_call *))
{
    *b = (struct bench){ .o = {
        .verb = "judge", .judge_model = "judge", .judge_profile = "classic", .judge_runs = PASSES,
        .judge_key = KEY, .judge_concurrency = 1, .judge_timeout = 5, .judge_retries = 2,
        .judge_max_cost = -1 } };
    say_setup(true, 0, false);
    put("mm-vet.json", questions);
    put("mm-vet_evaluator.py", "prompt = \"\"\"Table\nQ | G | P | C\n\"\"\"\n");
    CHECK_OK(fixture_read(&b->fixture, "mmvet", "test"), b->fixture.err);
    for (size_t i = 0; i < N; i++) {
        b->selected[i] = true;
        b->order[i] = i;
    }
    b->split = (struct split){ .benchmark = b->fixture.benchmark, .name = "test", .dir = ".",
                               .questions = b->fixture.questions, .selected = b->selected,
                               .order = b->order, .n_order = N, .whole = true };
    b->server = httpd_start(answer, &b->script);
    b->o.judge = base_of(b->server, b->url);
}

static void bench_close(struct bench *b)
{
    httpd_stop(b->server);
    if (!b->fixture.questions.index)                        /* the split's copy may have made it */
        b->fixture.questions.index = b->split.questions.index;
    fixture_free(&b->fixture);
}

static int n_read(const struct bench *b)
{
    int n = 0;
    for (int p = 0; p < PASSES; p++)
        for (int i = 0; i < N; i++)
            n += !b->marks[p][i].missing;
    return n;
}

/* One command: opens all, judges, closes. */
static enum status judge(struct bench *b, enum status (*stopped)(void))
{
    struct judge *j = NULL;
    struct results *store = NULL;

    err_clear(&b->err);
    b->name[0] = '\0';
    if (results_open(&store, "store.db", RESULTS_WRITE, &b->err) == OK &&
        judge_open(&j, &b->o, stopped, &b->err) == OK) {
        int passes = 0;
        CHECK_OK(judge_passes(j, &b->split, &passes, &b->err), b->err);
        CHECK_INT(passes, PASSES);
        judge_all(j, &b->split, "model", replies, store, b->marks[0], &b->err);
        if (judge_name(j))
            snprintf(b->name, sizeof b->name, "%s", judge_name(j));
    }
    judge_close(j);
    results_close(store);
    return b->err.code;
}

/* A grade for each question; the second pass of each gets another one. */
static void grade(struct httpd_call *c)
{
    struct script *s = c->user;
    static const char *const words[N] = { "zero", "one", "two", "three" };
    char body[300];
    int seen = 0, which = 0;

    note(s, c);
    for (int i = 0; i < N; i++)
        if (strstr(c->body, words[i]))
            which = i;
    for (int i = 0; i < c->number; i++)
        seen += !strcmp(s->body[i], c->body);
    snprintf(body, sizeof body, SAYS("\"0.%d%d\""), which + 1, seen);
    nanosleep(&(struct timespec){ 0, (4 - which) * 3000000L }, NULL);
    httpd_send(c, 200, "", body, strlen(body));
}

TEST(judge_marks_depend_on_no_concurrency)
{
    struct bench b;
    struct mark alone[PASSES][N];
    char body[1000];

    bench_open(&b, grade);
    CHECK_OK(judge(&b, go_on), b.err);
    memcpy(alone, b.marks, sizeof alone);
    CHECK_INT(httpd_calls(b.server), N * PASSES);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < PASSES; p++) {
            CHECK_NEAR(b.marks[p][i].a, 0.1 * (i + 1) + 0.01 * (p + 1), 1e-12);
            CHECK(!b.marks[p][i].missing && !b.marks[p][i].unread);
        }
    CHECK_STR(b.name, "judge-2024 as judge, prompt fbd9ef55e056");   /* not the official table */
    snprintf(body, sizeof body, "{\"model\":\"judge\",\"messages\":[{\"role\":\"user\",\"content\":"
             "\"Table\\nQ | G | P | C\\n\\nq one? | a | an \\\"a\\\"\\n | \"}],\"temperature\":0.0,"
             "\"max_tokens\":3}");
    CHECK_STR(b.script.body[1], body);

    memset(b.marks, 0, sizeof b.marks);                     /* again: all from the store */
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), N * PASSES);
    CHECK_INT(memcmp(alone, b.marks, sizeof alone), 0);
    b.o.verb = "score";
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(memcmp(alone, b.marks, sizeof alone), 0);
    bench_close(&b);

    unlink("store.db");
    bench_open(&b, grade);
    b.o.judge_concurrency = 8;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), N * PASSES);
    for (int i = 0; i < N; i++)                             /* which draw came first is chance */
        CHECK_NEAR(b.marks[0][i].a + b.marks[1][i].a, alone[0][i].a + alone[1][i].a, 1e-12);
    bench_close(&b);
}

static struct httpd *watched;
static int stop_after;

static enum status stop_soon(void)
{
    return httpd_calls(watched) >= stop_after ? ERR_INTERRUPTED : OK;
}

TEST(judge_goes_on_after_a_signal_and_after_a_kill)
{
    struct bench b;
    struct results *store;
    struct err e = { 0 };
    int calls, stored;

    bench_open(&b, grade);
    watched = b.server;
    stop_after = 3;
    CHECK_INT(judge(&b, stop_soon), ERR_INTERRUPTED);
    calls = httpd_calls(b.server);
    CHECK(calls >= 3 && calls < N * PASSES);

    pid_t child = fork();
    if (child == 0) {
        judge(&b, go_on);
        _exit(0);
    }
    while (httpd_calls(b.server) < calls + 2)
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    nanosleep(&(struct timespec){ 0, 50000000 }, NULL);     /* what it sent last is answered */
    calls = httpd_calls(b.server);

    b.o.verb = "score";                                     /* what is there, without asking */
    CHECK_OK(judge(&b, go_on), b.err);
    stored = n_read(&b);
    CHECK(stored >= 2 && stored < N * PASSES);
    CHECK_INT(httpd_calls(b.server), calls);

    b.o.verb = "judge";
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), calls + N * PASSES - stored);
    CHECK_INT(n_read(&b), N * PASSES);
    CHECK_OK(results_open(&store, "store.db", RESULTS_READ, &e), e);
    results_close(store);
    bench_close(&b);
}

/* Readable at temperature 0.5 only; for "three" never; "two" is too long for it. */
static void climb(struct httpd_call *c)
{
    struct script *s = c->user;
    static const char maybe[] = SAYS("\"maybe\""), half[] = SAYS("\"0.5\"");
    note(s, c);
    if (strstr(c->body, "two"))
        httpd_send(c, 422, "", "{}", 2);
    else if (strstr(c->body, "\"temperature\":0.5") && !strstr(c->body, "three"))
        httpd_send(c, 200, "", half, strlen(half));
    else
        httpd_send(c, 200, "", maybe, strlen(maybe));
}

TEST(judge_climbs_the_ladder)
{
    struct bench b;
    struct mark before[PASSES][N];

    bench_open(&b, climb);
    CHECK_OK(judge(&b, go_on), b.err);
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < 2; i++) {
            CHECK_NEAR(b.marks[p][i].a, 0.5, 0);
            CHECK_NEAR(b.marks[p][i].b, 2, 0);              /* read at attempt 2 */
            CHECK(!b.marks[p][i].missing && !b.marks[p][i].unread);
        }
        CHECK(b.marks[p][2].missing);                       /* failed: missing, not 0 */
        CHECK(!b.marks[p][3].missing && b.marks[p][3].unread);
    }
    CHECK_INT(httpd_calls(b.server), PASSES * (3 + 3 + 1 + 5));
    memcpy(before, b.marks, sizeof before);
    unlink("store.db");
    b.o.judge_concurrency = 8;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(memcmp(before, b.marks, sizeof before), 0);
    CHECK_INT(httpd_calls(b.server), 2 * PASSES * (3 + 3 + 1 + 5));
    CHECK_OK(judge(&b, go_on), b.err);                      /* only what failed is asked again */
    CHECK_INT(httpd_calls(b.server), 2 * PASSES * (3 + 3 + 1 + 5) + PASSES);
    bench_close(&b);
}

TEST(judge_export_is_a_reviews_file)
{
    struct bench b;
    struct arena a = { 0 };
    struct judge *j = NULL;
    struct results *store = NULL;
    struct str out;
    struct scores extra;
    struct review_rules rules = { .partial = true };
    struct mark *marks = NULL;
    size_t missing = 0;
    int passes = 0, calls;

    str_init(&out, 1 << 20);
    scores_init(&extra, &a);
    bench_open(&b, climb);
    b.selected[2] = false;                                  /* the one that cannot be judged */
    CHECK_OK(judge(&b, go_on), b.err);
    calls = httpd_calls(b.server);
    CHECK_OK(results_open(&store, "store.db", RESULTS_WRITE, &b.err), b.err);
    CHECK_OK(judge_open(&j, &b.o, go_on, &b.err), b.err);
    CHECK_OK(judge_export(j, &b.split, replies, store, &out, &missing, &b.err), b.err);
    CHECK_INT(missing, 0);
    static const char line[] = "{\"question_id\":\"v1_0\",\"run\":0,\"attempt\":0,\"reply\":"
                               "\"maybe\",\"judge\":\"judge\",\"model_served\":\"judge-2024\"}\n";
    CHECK(!strncmp(out.at, line, strlen(line)));
    put("reviews.jsonl", out.at);
    CHECK_OK(b.split.benchmark->reviews(&b.fixture.questions, "reviews.jsonl", &rules, &a, &marks,
                                        &passes, &extra, &b.err), b.err);
    if (CHECK_INT(passes, PASSES))
        for (int p = 0; p < PASSES; p++)
            for (int i = 0; i < N; i++) {
                const struct mark *read = &marks[p * N + i];
                CHECK(read->missing == b.marks[p][i].missing);
                CHECK(i == 2 || (read->unread == b.marks[p][i].unread &&
                                 read->a == b.marks[p][i].a));
            }
    str_clear(&out);
    b.selected[2] = true;
    CHECK_OK(judge_export(j, &b.split, replies, store, &out, &missing, &b.err), b.err);
    CHECK_INT(missing, PASSES);
    CHECK_INT(httpd_calls(b.server), calls);                /* nobody was asked */
    judge_close(j);
    results_close(store);
    scores_free(&extra);
    str_free(&out);
    arena_free(&a);
    bench_close(&b);
}

TEST(judge_profile_and_name_are_part_of_the_request)
{
    struct bench b;

    bench_open(&b, grade);
    CHECK_OK(judge(&b, go_on), b.err);
    b.o.judge_profile = "reasoning";
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), 2 * N * PASSES);
    CHECK_STR(b.name, "judge-2024 as judge, reasoning, prompt fbd9ef55e056");
    CHECK(strstr(b.script.body[N * PASSES], "\"max_completion_tokens\":4096") != NULL);
    CHECK(strstr(b.script.body[N * PASSES], "temperature") == NULL);
    CHECK(strstr(b.script.body[N * PASSES], "max_tokens") == NULL);
    b.o.judge_profile = "classic";
    b.o.judge_model = "judge-2024";
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), 3 * N * PASSES);
    CHECK_STR(b.name, "judge-2024, prompt fbd9ef55e056");
    bench_close(&b);
}

TEST(judge_spends_what_it_may)
{
    struct bench b;
    int calls;

    bench_open(&b, grade);
    b.o.offline = true;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_STR(b.name, "");
    CHECK_INT(httpd_calls(b.server), 0);
    b.o.offline = false;
    b.o.judge_price_in = b.o.judge_price_out = 1e6;         /* 1 a token; a call: 13, as the server */
    b.o.judge_max_cost = 60;                                /* counts, and more by estimate */
    CHECK_OK(judge(&b, go_on), b.err);
    calls = httpd_calls(b.server);
    CHECK(calls >= 1 && calls * 13 <= 60);
    CHECK_INT(n_read(&b), calls);
    b.o.judge_max_cost = 0;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), calls);
    bench_close(&b);
}

static void oops(struct httpd_call *c)
{
    httpd_send(c, 200, "", "{\"oops\":1}", 10);
}

/* A try whose answer is of no use may stand on the bill, and so may the next one. */
TEST(judge_spends_no_more_by_trying_again)
{
    struct bench b;

    bench_open(&b, oops);
    b.o.judge_retries = 20;
    b.o.judge_price_in = b.o.judge_price_out = 1e6;
    b.o.judge_max_cost = 60;                                /* a call: 13 at least */
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK(httpd_calls(b.server) >= 1 && httpd_calls(b.server) * 13 <= 60);
    CHECK_INT(n_read(&b), 0);
    bench_close(&b);
}

/* A word that a server of one's own is content with is no secret, and may stand in a reply. */
TEST(judge_cuts_out_no_short_key)
{
    struct arena a = { 0 };
    CHECK_STR(chat_excerpt(&a, "1", "8 10", 4, 100), "8 10");
    CHECK_STR(chat_excerpt(&a, "12345678", "8 123456789", 11, 100), "8 ***9");
    arena_free(&a);
}

TEST(judge_asks_before_it_spends)
{
    struct bench b;
    int nobody = open("/dev/null", O_RDONLY);

    bench_open(&b, grade);
    dup2(nobody, STDIN_FILENO);                             /* no terminal */
    b.o.judge = "http://10.255.255.1:9/v1";
    CHECK_INT(judge(&b, go_on), ERR_USAGE);
    CHECK(strstr(b.err.text, "--yes") != NULL);
    bench_close(&b);
    close(nobody);
}

/* A run of these replies in a new store. */
static int64_t store_run(struct results *store, struct err *e)
{
    struct results_model model = { .label = "model", .weights_sha256 = "aa" };
    struct results_dataset dataset = { "mmvet", "test", "bb", N, true };
    struct results_question rows[N];
    struct results_run run = { .prompts = "paper", .prompt_sha256 = "cc", .conversation = "v1",
                               .image_mode = "pad", .dtype = "fp32", .decode = "{}",
                               .program = "x", .device = "cpu", .host = "here" };
    int64_t id = 0;

    for (int i = 0; i < N; i++)
        rows[i] = (struct results_question){ .key = "k", .text = "t" };
    CHECK_OK(results_model(store, &model, &run.model, e), *e);
    CHECK_OK(results_dataset(store, &dataset, &run.dataset, e), *e);
    CHECK_OK(results_questions(store, run.dataset, rows, N, e), *e);
    CHECK_OK(results_run(store, &run, false, &id, e), *e);
    CHECK_OK(results_begin(store, e), *e);
    for (int i = 0; i < N; i++)
        CHECK_OK(results_reply_add(store, id, (size_t)i, &(struct results_reply){
            .text = replies[i], .finish = "stop" }, e), *e);
    CHECK_OK(results_commit(store, e), *e);
    return id;
}

/* Judges and scores the run as the options say; the headline's row. */
static struct results_score_row score(struct bench *b, struct results *store, int64_t run,
                                      size_t *missing, struct arena *a)
{
    struct judge *j = NULL;
    struct results_score_row *rows = NULL, found = { 0 };
    size_t n = 0;

    if (CHECK_OK(judge_open(&j, &b->o, go_on, &b->err), b->err))
        CHECK_OK(run_score(j, &b->split, "model", store, run, missing, &b->err), b->err);
    judge_close(j);
    CHECK_OK(results_leaderboard(store, a, &rows, &n, &b->err), b->err);
    for (size_t i = 0; i < n; i++)
        if (rows[i].headline)
            found = rows[i];
    return found;
}

TEST(judge_is_part_of_the_score)
{
    struct bench b, other;
    struct results *store = NULL;
    struct results_score_row row;
    struct arena a = { 0 };
    struct err e = { 0 };
    size_t missing = 9;

    bench_open(&b, grade);
    bench_open(&other, climb);
    CHECK_OK(results_open(&store, "store.db", RESULTS_WRITE, &e), e);
    int64_t run = store_run(store, &e);
    b.o.judge = NULL;                                       /* nobody: no score at all */
    row = score(&b, store, run, &missing, &a);
    CHECK_INT(missing, N);
    CHECK(row.metric == NULL);
    b.o.judge = b.url;
    row = score(&b, store, run, &missing, &a);
    CHECK_INT(missing, 0);
    CHECK_STR(row.judge, "judge-2024 as judge, prompt fbd9ef55e056");
    CHECK_NEAR(row.value, 26.5, 1e-9);                      /* grades .11 .21 .31 .41, and .01 more */
    CHECK(!row.partial);
    row = score(&other, store, run, &missing, &a);          /* one of four cannot be judged */
    CHECK_INT(missing, 1);
    CHECK(row.partial);
    b.o.judge = "demo";
    row = score(&b, store, run, &missing, &a);
    CHECK_STR(row.judge, "demo");
    CHECK_INT(missing, 0);
    results_close(store);
    arena_free(&a);
    bench_close(&b);
    bench_close(&other);
}

static bool holds(const char *path, const char *needle)
{
    struct file f;
    struct err e = { 0 };
    bool found = file_open(&f, path, ERR_DATA, &e) == OK && f.n &&
                 memmem(f.at, f.n, needle, strlen(needle));
    file_close(&f);
    return found;
}

TEST(judge_key_is_nowhere)
{
    static const char *const places[] = { "out", "err", "store.db", "store.db-wal", "said" };
    struct bench b;
    int out, err, kept[2];

    bench_open(&b, echo);
    say_setup(false, 9, false);                             /* all there is to say */
    kept[0] = dup(STDOUT_FILENO);
    kept[1] = dup(STDERR_FILENO);
    out = open("out", O_WRONLY | O_CREAT, 0600);
    err = open("err", O_WRONLY | O_CREAT, 0600);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    b.o.dry_run = true;
    enum status dry = judge(&b, go_on);
    int dry_calls = httpd_calls(b.server);
    b.o.dry_run = false;
    enum status status = judge(&b, go_on);
    fflush(stdout);
    dup2(kept[0], STDOUT_FILENO);
    dup2(kept[1], STDERR_FILENO);
    CHECK_INT(dry, OK);
    CHECK_INT(dry_calls, 0);
    CHECK_OK(status, b.err);
    put("said", b.name);
    CHECK_INT(httpd_calls(b.server), 3);
    CHECK_STR(b.script.authorization, "Bearer " KEY);
    CHECK(b.marks[0][0].missing && !b.marks[0][1].missing);
    for (size_t i = 0; i < COUNT(places); i++)
        if (!CHECK(!holds(places[i], KEY)))
            CHECK_STR(places[i], "");
    CHECK(holds("out", "q zero?"));                         /* it is not that nothing was written */
    CHECK(holds("err", "Bearer ***"));
    CHECK(holds("store.db", "Bearer ***") || holds("store.db-wal", "Bearer ***"));
    CHECK(holds("said", "Bearer ***"));
    for (int i = 0; i < 2; i++)
        close(kept[i]);
    close(out);
    close(err);
    bench_close(&b);
}

/* ---- more of the judge's identity --------------------------------------------------------------- */

static int64_t count(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    int64_t n = -1;
    if (sqlite3_open_v2("store.db", &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

/* The same figures from the recorded replies, with nobody there to ask. */
static void check_replay(void (*answer)(struct httpd_call *))
{
    struct bench b, replay;
    struct str out;
    struct judge *j = NULL;
    struct results *store = NULL;
    struct mark live[PASSES][N];
    size_t missing = 0;

    str_init(&out, 1 << 20);
    unlink("store.db");
    bench_open(&b, answer);
    b.selected[2] = false;                                  /* the one that cannot be judged */
    CHECK_OK(judge(&b, go_on), b.err);
    memcpy(live, b.marks, sizeof live);
    CHECK_OK(results_open(&store, "store.db", RESULTS_READ, &b.err), b.err);
    CHECK_OK(judge_open(&j, &b.o, go_on, &b.err), b.err);
    CHECK_OK(judge_export(j, &b.split, replies, store, &out, &missing, &b.err), b.err);
    put("recorded.jsonl", out.at);
    judge_close(j);
    results_close(store);
    bench_close(&b);

    unlink("store.db");
    bench_open(&replay, answer);
    replay.o.judge = replay.o.judge_model = NULL;
    replay.o.judge_replay = "recorded.jsonl";
    replay.o.judge_runs = 0;                                /* as many as there are */
    replay.selected[2] = false;
    CHECK_OK(judge(&replay, go_on), replay.err);
    CHECK_INT(httpd_calls(replay.server), 0);
    CHECK_INT(memcmp(live, replay.marks, sizeof live), 0);
    CHECK_STR(replay.name, "judge-2024, prompt fbd9ef55e056, recorded");
    replay.selected[2] = true;                              /* not recorded: missing, no grade */
    CHECK_OK(judge(&replay, go_on), replay.err);
    CHECK(replay.marks[0][2].missing && replay.marks[1][2].missing);
    CHECK_INT(n_read(&replay), PASSES * (N - 1));
    bench_close(&replay);
    str_free(&out);
}

TEST(judge_replay_equals_live)
{
    check_replay(climb);                                    /* several attempts to a draw */
    check_replay(grade);                                    /* no pass like another */
}

/* Old passes stay; new ones are counted on from there, and can be gone on with. */
TEST(judge_refresh_begins_behind_what_is_stored)
{
    struct bench b;

    bench_open(&b, grade);
    CHECK_OK(judge(&b, go_on), b.err);
    b.o.judge_refresh = true;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), 2 * N * PASSES);
    CHECK_NEAR(b.marks[0][0].a, 0.13, 1e-12);               /* the third draw of question 0 */
    CHECK_INT(count("SELECT count(DISTINCT pass) FROM judgement"), 2 * PASSES);
    b.o.judge_refresh = false;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_NEAR(b.marks[0][0].a, 0.11, 1e-12);
    b.o.judge_first_pass = PASSES;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_NEAR(b.marks[0][0].a, 0.13, 1e-12);
    CHECK_INT(httpd_calls(b.server), 2 * N * PASSES);       /* both are from the store */
    bench_close(&b);
}

/* Takes max_completion_tokens only, as some models do. */
static void modern(struct httpd_call *c)
{
    static const char no[] = "{\"error\":{\"message\":\"use max_completion_tokens\",\"type\":"
        "\"invalid_request_error\",\"param\":\"max_tokens\",\"code\":\"unsupported_parameter\"}}";
    static const char yes[] = SAYS("\"<think>0.1 or so</think>\\n\\n0.5\"");
    note(c->user, c);
    if (strstr(c->body, "max_completion_tokens"))
        httpd_send(c, 200, "", yes, strlen(yes));
    else
        httpd_send(c, 400, "", no, strlen(no));
}

TEST(judge_profile_auto_changes_once_and_says_so)
{
    struct bench b;

    bench_open(&b, modern);
    b.o.judge_strip_think = true;
    CHECK_OK(judge(&b, go_on), b.err);                      /* classic: it stops, and nothing is read */
    CHECK_INT(httpd_calls(b.server), 1);
    CHECK_INT(n_read(&b), 0);
    b.o.judge_profile = "auto";
    b.o.judge_label = "weights abc";
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), 2 + N * PASSES);
    CHECK_INT(n_read(&b), N * PASSES);
    CHECK_NEAR(b.marks[1][3].a, 0.5, 0);                    /* what stands behind </think> */
    CHECK_STR(b.name, "judge-2024 as judge (weights abc), reasoning, thinking stripped, "
              "prompt fbd9ef55e056");
    CHECK_INT(count("SELECT count(*) FROM judgement WHERE reply LIKE '<think>%' AND profile ="
                    " 'reasoning' AND response_id = 'x'"), N * PASSES);
    CHECK_INT(count("SELECT count(*) FROM judge_error WHERE status = 400 AND code ="
                    " 'unsupported_parameter'"), 2);
    b.o.offline = true;                                     /* and knows its own judgements again */
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(httpd_calls(b.server), 2 + N * PASSES);
    CHECK_INT(n_read(&b), N * PASSES);
    bench_close(&b);
}

TEST(judge_system_text_can_be_merged)
{
    struct judge_request r = { .system = "sys", .user = "user", .temperature = 0.2, .max_tokens = 9 };
    struct judge_manner m = { .base = "b", .model = "m" };
    unsigned char plain[SHA256_SIZE], merged[SHA256_SIZE], labelled[SHA256_SIZE];
    struct err e = { 0 };
    struct str out;

    str_init(&out, 1000);
    judge_request_body(&m, &r, &out);
    CHECK_STR(out.at, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"sys\"},{\"role\":"
              "\"user\",\"content\":\"user\"}],\"temperature\":0.2,\"max_tokens\":9}");
    CHECK_OK(judge_request_hash(&m, &r, plain, &e), e);
    m.merge_system = true;
    str_clear(&out);
    judge_request_body(&m, &r, &out);
    CHECK_STR(out.at, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"sys\\n\\nuser\"}],"
              "\"temperature\":0.2,\"max_tokens\":9}");
    CHECK_OK(judge_request_hash(&m, &r, merged, &e), e);
    m.merge_system = false;
    m.label = "l";
    CHECK_OK(judge_request_hash(&m, &r, labelled, &e), e);
    CHECK(memcmp(plain, merged, SHA256_SIZE) && memcmp(plain, labelled, SHA256_SIZE));
    str_free(&out);
}

/* GET /models: one entry is the judge's name; several, or none, are no choice of ours. */
static const char *models_body;

static void list_models(struct httpd_call *c)
{
    if (!strcmp(c->method, "GET") && !strcmp(c->path, "/v1/models"))
        httpd_send(c, models_body ? 200 : 404, "", models_body ? models_body : "", models_body
                   ? strlen(models_body) : 0);
    else
        httpd_send(c, 404, "", "", 0);
}

TEST(judge_model_auto_is_the_only_one_listed)
{
    static const struct { const char *body, *name, *says; } rows[] = {
        { "{\"object\":\"list\",\"data\":[{\"id\":\"qwen\",\"object\":\"model\"}]}", "qwen", NULL },
        { "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}", NULL, "serves 2 models" },
        { "{\"data\":[]}", NULL, "does not list" }, { "{\"data\":[", NULL, "does not list" },
        { NULL, NULL, "HTTP 404" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct httpd *server = httpd_start(list_models, NULL);
        struct arena a = { 0 };
        struct err e = { 0 };
        struct chat *c;
        const char *name = NULL;
        char url[64];
        struct chat_options o = { .url = base_of(server, url), .key = KEY, .concurrency = 1,
                                  .timeout_s = 5, .tries = 1 };
        models_body = rows[i].body;
        CHECK_OK(chat_open(&c, &o, &e), e);
        enum status status = chat_find_model(c, &a, &name, &e);
        if (rows[i].name && CHECK_OK(status, e))
            CHECK_STR(name, rows[i].name);
        else if (!rows[i].name && CHECK_INT(status, ERR_USAGE))
            CHECK(strstr(e.text, rows[i].says) != NULL);
        chat_close(c);
        arena_free(&a);
        httpd_stop(server);
    }
}

/* Every failed try is on record, with its status and without the key; scorers never look there. */
TEST(judge_failures_are_logged)
{
    static const struct step steps[] = {
        { 500, NULL, "{\"error\":{\"message\":\"" KEY " \\u0007\",\"code\":\"server_error\"}}", 0, 0 },
        { 0, NULL, NULL, 0, 0 }, { 200, NULL, SAYS("\"0.5\""), 5, 0 },
        { 200, NULL, SAYS("\"0.5\""), 0, 0 } };
    struct bench b;

    bench_open(&b, play);
    b.script.steps = steps;
    b.script.n = COUNT(steps);
    b.o.judge_retries = 4;
    b.o.judge_timeout = 30;
    CHECK_OK(judge(&b, go_on), b.err);
    CHECK_INT(n_read(&b), N * PASSES);
    CHECK_INT(count("SELECT count(*) FROM judge_error"), 3);
    CHECK_INT(count("SELECT count(*) FROM judge_error WHERE status = 500 AND code = 'server_error' AND"
                    " question = 'v1_0' AND pass = 0 AND excerpt LIKE '%***%'"), 1);
    CHECK_INT(count("SELECT count(*) FROM judge_error WHERE status = 0 AND excerpt <> ''"), 1);
    CHECK_INT(count("SELECT count(*) FROM judge_error WHERE status = 200 AND excerpt LIKE '{\"id%'"), 1);
    CHECK_INT(count("SELECT count(*) FROM judge_error WHERE length(excerpt) > 500"), 0);
    CHECK_INT(count("SELECT count(*) FROM judgement WHERE host = '127.0.0.1' AND usage_estimated = 0"),
              N * PASSES);
    bench_close(&b);
}

/* A body in pieces of no stated length. */
static void in_chunks(struct httpd_call *c)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "21\r\n{\"choices\":[{\"message\":{\"content\"\r\n"
        "a\r\n:\"7 8\"}}]}\r\n0\r\n\r\n";
    if (write(c->fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
}

TEST(judge_reads_chunks)
{
    struct httpd *server = httpd_start(in_chunks, NULL);
    struct err e = { 0 };
    struct chat *c;
    struct chat_reply r;
    char url[64];
    struct chat_options o = { .url = base_of(server, url), .concurrency = 1, .timeout_s = 5, .tries = 1 };
    CHECK_OK(chat_open(&c, &o, &e), e);
    CHECK(chat_ask(c, "{}", 2, &r));
    CHECK_OK(chat_next(c, &r, &e), e);
    CHECK_STR(r.text, "7 8");
    CHECK(r.missing == NULL);
    chat_close(c);
    httpd_stop(server);
}
