/* chat.h -- an OpenAI-compatible "chat completions" endpoint, several requests in flight.
 *
 * Says of each request whether there is a reply. What may pass is tried again, with growing waits
 * (or as the server's Retry-After says), what cannot help stops everything with one sentence. The
 * key stands in one header and nowhere else: of 8 bytes or more it is cut out of all text that comes back; it does
 * not follow a redirect. One thread. */
#ifndef HARNESS_CHAT_H
#define HARNESS_CHAT_H

#include <stdint.h>
#include "engine/base/arena.h"

struct chat_failure {
    void *tag;                      /* of the request */
    long status;                    /* HTTP, 0: none came */
    const char *code, *excerpt;     /* error.code or NULL; what came, without the key */
    bool billed;                    /* the try may stand on the bill */
};

struct chat_options {
    const char *url;                /* http(s)://host/v1, or all of .../v1/chat/completions */
    const char *key;                /* or NULL: no Authorization header */
    int concurrency;                /* requests in flight, 1 to 64 */
    int timeout_s, tries;           /* of one request */
    int per_minute;                 /* most requests a minute; 0: any number */
    int wait_ms;                    /* before the second try, doubled after each; 0: 1000 */
    bool insecure_http;             /* http:// to any host, not just to this machine and network */
    bool may_refuse;                /* a refused temperature or max_tokens ends the request, not all */
    enum status (*stopped)(void);   /* not OK: leave at once with this status; or NULL */
    /* Told of every try that gave no reply, the last ones included; or NULL. False: try no more. */
    bool (*failed)(void *user, const struct chat_failure *f);
    void *user;
};

struct chat;                        /* borrows the strings of its options */
enum status chat_open(struct chat **out, const struct chat_options *o, struct err *e);
void chat_close(struct chat *c);    /* ends what is in flight; NULL is fine */

const char *chat_url(const struct chat *c);     /* in one form: https://host/v1/chat/completions */
const char *chat_host(const struct chat *c);
bool chat_is_local(const struct chat *c);       /* this machine: nobody sends a bill */

/* The one model that the endpoint lists, in the arena; asks it. ERR_USAGE when it lists several or
 * none. For before the first chat_ask. */
enum status chat_find_model(struct chat *c, struct arena *a, const char **name, struct err *e);

/* Sends the body (copied), whose reply comes with this tag. False: as many as allowed are under
 * way; take one with chat_next first. */
bool chat_ask(struct chat *c, const char *body, size_t n, void *tag);

struct chat_reply {
    void *tag;                      /* NULL: nothing was under way */
    const char *missing;            /* why there is no reply, else NULL */
    const char *text;               /* NULL: a reply without a text (a content filter) */
    const char *finish, *served;    /* finish_reason, the model's name; or NULL */
    const char *id, *fingerprint;   /* the reply's, the system's; or NULL */
    long status;                    /* HTTP, of the last try; 0: none came */
    const char *code;               /* error.code, or NULL */
    bool refused;                   /* missing since it does not take temperature or max_tokens */
    int64_t prompt_tokens, completion_tokens;   /* -1: the server did not say */
    int64_t ms;
    int lost;                       /* tries without an answer that may have been billed */
};

/* Waits for one request to end. Not OK: the endpoint cannot be used as asked (a wrong key, an empty
 * account, a name it does not know ...); nothing is in flight any more. Strings live until the next
 * call. */
enum status chat_next(struct chat *c, struct chat_reply *reply, struct err *e);

#endif
