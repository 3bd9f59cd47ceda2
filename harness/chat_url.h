/* chat_url.h -- a judge's address in one form, and whether it may be used. */
#ifndef HARNESS_CHAT_URL_H
#define HARNESS_CHAT_URL_H

#include "engine/base/err.h"

struct chat_url {
    char *completions, *models;     /* https://host/v1/chat/completions, .../v1/models; malloc'd */
    char *host;
    bool local;                     /* this machine: nobody sends a bill */
};

/* Takes http(s)://host/v1, with or without a slash or /chat/completions behind it. ERR_USAGE: no such
 * address, one that holds a name, a password or a query, or http:// beyond this machine and network
 * (unless insecure_http). */
enum status chat_url_read(struct chat_url *out, const char *text, bool insecure_http, struct err *e);
void chat_url_free(struct chat_url *u);

#endif
