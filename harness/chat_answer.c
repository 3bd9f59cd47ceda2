/* chat_answer.c -- see chat_answer.h. Knows no transport. */
#include "harness/chat_answer.h"

#include <string.h>

#include "engine/base/json.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"

enum { ANSWER_LIMIT = 8 << 20, IN_A_SENTENCE = 300, KEY_LEAST = 8 };

/* ---- the key ---------------------------------------------------------------------------------- */

/* In place: the key reads ***. A word as short as "x" or "1", which servers of one's own are content with,
 * is no secret, and would be cut out of what a judge says. */
static char *redact(char *text, const char *key)
{
    size_t n = strlen(key);

    for (char *at = text; at && n >= KEY_LEAST && (at = strstr(at, key)); ) {
        memset(at, '*', 3);
        memmove(at + 3, at + n, strlen(at + n) + 1);
        at += 3;
    }
    return text;
}

/* A copy; NULL stays NULL. */
static char *redacted(const struct chat_answer *in, struct arena *a, const char *text)
{
    return text ? redact(arena_str(a, text), in->key) : NULL;
}

const char *chat_excerpt(struct arena *a, const char *key, const char *text, size_t n, size_t most)
{
    struct str valid;
    char *copy, bytes[UTF8_MAX];
    size_t length;

    str_init(&valid, UTF8_MAX * n + 1);
    for (size_t i = 0; i < n; i += length) {                /* a NUL inside ends nothing */
        uint32_t c = utf8_get(text + i, n - i, &length);
        str_addn(&valid, bytes, utf8_put(bytes, c < ' ' || c == 127 ? ' ' : c));
    }
    copy = redact(arena_strn(a, valid.at, valid.n), key);
    str_free(&valid);
    n = strlen(copy);
    if (n > most) {
        for (n = most; n && ((unsigned char)copy[n] & 0xc0) == 0x80; n--)
            ;
        copy[n] = '\0';
    }
    return copy;
}

/* ---- a completion ----------------------------------------------------------------------------- */

static const char *string_of(const struct json *j)
{
    return j && j->type == JSON_STRING ? j->string : NULL;
}

/* A string, or the text parts of a list joined; NULL: no text. */
static const char *content_text(const struct json *content, struct arena *a)
{
    struct str joined;
    const char *text = NULL;

    if (!content || content->type != JSON_ARRAY)
        return string_of(content);
    str_init(&joined, ANSWER_LIMIT);
    for (const struct json *part = content->first; part; part = part->next)
        if (!strcmp(json_get_str(part, "type", ""), "text")) {
            str_add(&joined, json_get_str(part, "text", ""));
            text = "";
        }
    if (text)
        text = arena_str(a, joined.at);
    str_free(&joined);
    return text;
}

static const struct json *parse(const struct chat_answer *in, struct arena *a)
{
    struct err ignored = { 0 };
    return json_parse(a, "answer", in->body, in->n, &ignored);
}

/* False: no completion is in it, whatever its status says. */
static bool read_completion(const struct chat_answer *in, struct arena *a, struct chat_reply *r)
{
    const struct json *doc = parse(in, a), *choices = json_get(doc, "choices");
    const struct json *usage = json_get(doc, "usage");
    const struct json *first = choices && choices->type == JSON_ARRAY ? choices->first : NULL;
    const struct json *message = json_get(first, "message");

    if (!message || message->type != JSON_OBJECT)
        return false;
    r->text = redacted(in, a, content_text(json_get(message, "content"), a));
    r->finish = redacted(in, a, json_get_str(first, "finish_reason", NULL));
    r->served = redacted(in, a, json_get_str(doc, "model", NULL));
    r->id = redacted(in, a, json_get_str(doc, "id", NULL));
    r->fingerprint = redacted(in, a, json_get_str(doc, "system_fingerprint", NULL));
    r->prompt_tokens = json_get_int(usage, "prompt_tokens", -1);
    r->completion_tokens = json_get_int(usage, "completion_tokens", -1);
    if (r->finish && !strcmp(r->finish, "content_filter"))
        r->text = NULL;
    return true;
}

/* ---- a complaint ------------------------------------------------------------------------------ */

struct complaint { const char *code, *type, *param, *message; };

static struct complaint read_complaint(const struct chat_answer *in, struct arena *a)
{
    const struct json *doc = parse(in, a), *error = json_get(doc, "error");
    if (!error || error->type != JSON_OBJECT)
        error = doc;                                        /* some put it at the top */
    const char *message = json_get_str(error, "message", "");
    return (struct complaint){
        json_get_str(error, "code", ""), json_get_str(error, "type", ""),
        json_get_str(error, "param", ""),
        chat_excerpt(a, in->key, message, strlen(message), IN_A_SENTENCE) };
}

static bool among(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(word, *list))
            return true;
    return false;
}

static bool account_is_empty(const struct complaint *k, long status)
{
    static const char *const codes[] = {
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded", NULL };
    return status == 402 ||
           (status == 429 && (among(k->code, codes) || !strcmp(k->type, "insufficient_quota")));
}

static bool may_pass(long status)
{
    return status == 408 || status == 409 || status == 425 || status == 429 || status == 500 ||
           (status >= 502 && status <= 504) || (status >= 520 && status <= 529);
}

enum chat_outcome chat_stop(const char *host, long status, const char *meaning, const char *said,
                            struct err *e)
{
    err_set(e, ERR_INCOMPLETE, "the judge at %s: HTTP %ld: %s%s%s", host, status, meaning,
            *said ? ": " : "", said);
    return CHAT_STOP;
}

static enum chat_outcome read_failure(const struct chat_answer *in, struct arena *a,
                                      struct chat_reply *r, struct err *e)
{
    struct complaint k = read_complaint(in, a);
    long status = in->status;

    r->code = *k.code ? redacted(in, a, k.code) : NULL;
    r->missing = arena_fmt(a, "HTTP %ld%s%s", status, *k.message ? ": " : "", k.message);
    if (status == 401 || status == 403)
        return chat_stop(in->host, status, "it does not accept the key", k.message, e);
    if (account_is_empty(&k, status))
        return chat_stop(in->host, status, "the account is empty, waiting does not help", k.message,
                         e);
    if (status >= 300 && status < 400)
        return chat_stop(in->host, status, "it sends us elsewhere, and the key does not follow",
                         chat_excerpt(a, in->key, in->location, strlen(in->location),
                                      IN_A_SENTENCE), e);
    if (may_pass(status))
        return CHAT_AGAIN;
    if (status == 413 || status == 422 ||
        (status == 400 && !strcmp(k.code, "context_length_exceeded")))
        return CHAT_GIVEN_UP;
    r->refused = status == 400 && (!strcmp(k.param, "max_tokens") || !strcmp(k.param, "temperature"));
    if (r->refused && in->may_refuse)
        return CHAT_GIVEN_UP;
    if (r->refused)
        return chat_stop(in->host, status, "the model does not take the classic parameters (try "
                         "--judge-profile reasoning)", k.message, e);
    return chat_stop(in->host, status, status == 404 ? "no such path or model there"
                                                     : "it refuses the request", k.message, e);
}

enum chat_outcome chat_answer_read(const struct chat_answer *in, struct arena *a,
                                   struct chat_reply *r, struct err *e)
{
    if (in->status >= 300)
        return read_failure(in, a, r, e);
    if (in->status != 200 || !in->whole || !read_completion(in, a, r)) {
        r->missing = arena_fmt(a, "HTTP %ld, but no completion is in the answer", in->status);
        return CHAT_AGAIN;
    }
    if (r->text && !*r->text && r->finish && !strcmp(r->finish, "length"))
        return chat_stop(in->host, in->status, "the token limit ends its replies before their first "
                         "word (try --judge-profile reasoning)", "", e);
    return CHAT_DONE;
}

enum status chat_answer_model(const struct chat_answer *in, struct arena *a, const char **name,
                              struct err *e)
{
    const struct json *list = in->status == 200 && in->whole ? json_get(parse(in, a), "data") : NULL;

    *name = list && list->type == JSON_ARRAY ? json_get_str(list->first, "id", NULL) : NULL;
    if (*name && list->n == 1)
        return OK;
    if (*name)
        return err_set(e, ERR_USAGE, "the judge at %s serves %zu models, %s and others: name one with "
                       "--judge-model", in->host, list->n, redacted(in, a, *name));
    return err_set(e, ERR_USAGE, "the judge at %s does not list its models (HTTP %ld): name one with "
                   "--judge-model", in->host, in->status);
}
