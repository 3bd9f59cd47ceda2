/* chat_answer.h -- what an answer of a chat endpoint means; bytes that nobody vouches for.
 *
 * The HTTP status decides first, error.code second, a message's text never. The key is cut out of all
 * that is kept. */
#ifndef HARNESS_CHAT_ANSWER_H
#define HARNESS_CHAT_ANSWER_H

#include "harness/chat.h"

struct chat_answer {
    const char *key, *host;         /* key: "" when there is none */
    long status;
    const char *body;
    size_t n;
    bool whole;                     /* the transfer came to its end */
    const char *location;           /* of a redirect, or "" */
    bool may_refuse;                /* refused parameters are the caller's to change, no stop */
};

enum chat_outcome {
    CHAT_DONE, CHAT_AGAIN,          /* r holds the reply; nothing yet, it may pass */
    CHAT_GIVEN_UP, CHAT_STOP,       /* this request will never have one; none will: e says why */
};

/* Strings of r lie in the arena. Not for a transfer that never had a status. */
enum chat_outcome chat_answer_read(const struct chat_answer *in, struct arena *a,
                                   struct chat_reply *r, struct err *e);

/* The only entry of a list of models, in the arena. ERR_USAGE when there are several, or none. */
enum status chat_answer_model(const struct chat_answer *in, struct arena *a, const char **name,
                              struct err *e);

/* Foreign text as part of one of our sentences: at most `most` bytes, the key as ***, no control
 * characters. */
const char *chat_excerpt(struct arena *a, const char *key, const char *text, size_t n, size_t most);

/* Ends the asking with one sentence. */
enum chat_outcome chat_stop(const char *host, long status, const char *meaning, const char *said,
                            struct err *e);

#endif
