/* chat_url.c -- see chat_url.h. libcurl's parser; a text it refuses is not repeated: it may hold a key. */
#include "harness/chat_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/str.h"

enum { LONGEST_PATH = 4096 };
static const char end[] = "/chat/completions";

static bool loopback(const char *host)
{
    unsigned char ip[16];
    if (!strcasecmp(host, "localhost"))
        return true;
    if (inet_pton(AF_INET, host, ip) == 1)
        return ip[0] == 127;
    return !strcmp(host, "[::1]");
}

static bool private_network(const char *host)
{
    unsigned char ip[4];
    if (inet_pton(AF_INET, host, ip) == 1)
        return ip[0] == 10 || (ip[0] == 192 && ip[1] == 168) || (ip[0] == 172 && ip[1] >> 4 == 1) ||
               (ip[0] == 169 && ip[1] == 254);
    return !strncasecmp(host, "[fc", 3) || !strncasecmp(host, "[fd", 3) ||
           !strncasecmp(host, "[fe80", 5);
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *value = NULL;
    bool there = curl_url_get(u, part, &value, 0) == CURLUE_OK;
    curl_free(value);
    return there;
}

/* The address with `tail` in place of its /chat/completions; malloc'd, NULL when it is too long. */
static char *with_tail(CURLU *u, const char *path, const char *tail)
{
    struct str longer;
    char *whole = NULL, *copy = NULL;
    size_t n = strlen(path);

    while (n && path[n - 1] == '/')
        n--;
    if (n >= strlen(end) && !strncmp(path + n - strlen(end), end, strlen(end)))
        n -= strlen(end);
    str_init(&longer, LONGEST_PATH);
    str_addn(&longer, path, n);
    str_add(&longer, tail);
    if (!longer.failed && curl_url_set(u, CURLUPART_PATH, longer.at, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK)
        copy = strdup(whole);
    curl_free(whole);
    str_free(&longer);
    return copy;
}

static enum status read_parts(struct chat_url *out, CURLU *u, const char *text, bool insecure_http,
                              struct err *e)
{
    char *scheme = NULL, *path = NULL, *host = NULL;

    if (curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") && strcmp(scheme, "https")) ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK) {
        err_set(e, ERR_USAGE, "--judge: expected demo or an address as https://host/v1");
        goto done;
    }
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD) ||
        has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT)) {
        err_set(e, ERR_USAGE, "--judge: the address of %s holds a name, a password or a query; a "
                "key belongs into the environment", host);
        goto done;
    }
    out->local = loopback(host);
    if (!strcmp(scheme, "http") && !out->local && !private_network(host) && !insecure_http) {
        err_set(e, ERR_USAGE, "--judge http://%s: without https the key and all texts can be read "
                "on the way (--judge-insecure-http allows it)", host);
        goto done;
    }
    out->host = strdup(host);
    out->models = with_tail(u, path, "/models");
    out->completions = with_tail(u, path, end);
    if (!out->host || !out->models || !out->completions)
        err_set(e, ERR_USAGE, "--judge %s: the address is too long", host);
done:
    curl_free(scheme);
    curl_free(host);
    curl_free(path);
    return e->code;
}

enum status chat_url_read(struct chat_url *out, const char *text, bool insecure_http, struct err *e)
{
    CURLU *u = curl_url();

    *out = (struct chat_url){ 0 };
    if (!u)
        return err_set(e, ERR_MEMORY, "no memory");
    read_parts(out, u, text, insecure_http, e);
    curl_url_cleanup(u);
    return e->code;
}

void chat_url_free(struct chat_url *u)
{
    free(u->completions);
    free(u->models);
    free(u->host);
    *u = (struct chat_url){ 0 };
}
