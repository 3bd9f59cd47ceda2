/* http.h -- libcurl, wrapped once: a URL becomes a file or a short text.
 *
 * https, http and, where the caller's own URL says so, file. A transfer that breaks goes on where it
 * stopped, within a call and in the next one: what is there of FILE stays in FILE.part, and
 * FILE.part.from holds the URL and the validator (ETag or date) that the server must still know it
 * by. A server whose file has changed is read from the start.
 * May be called from any thread. */
#ifndef HARNESS_HTTP_H
#define HARNESS_HTTP_H

#include <stdint.h>
#include "engine/base/str.h"

struct http_session;            /* a connection kept between calls; one thread's at a time */

struct http_get {
    const char *url;
    struct http_session *session;   /* or NULL: a connection for this call */
    const char *bearer;             /* token for the URL's own host, never for another; or NULL */
    int64_t max_bytes;              /* more is refused; 0: 1 TiB */
    int attempts;                   /* without progress between them; 0: 6 */
    int wait_ms;                    /* before the second attempt, doubled after each; 0: 1000 */
    int stall_s;                    /* give up an attempt that is this long without a byte; 0: 60 */
    void (*progress)(void *user, int64_t done, int64_t total);      /* total -1: not known */
    void *user;
    enum status (*stopped)(void);   /* not OK: leave at once with this status; or NULL */
};

struct http_answer {
    long status;                    /* the last one's; 0: none came. file: 200 or 404 */
    int64_t bytes;                  /* of the whole file; -1: not said */
    char etag[160], linked_etag[160], date[64], commit[64], error_code[64], next[600];
    bool is_html;                   /* a page in place of a file: a portal, or a licence to accept */
};

/* The file at path, whole. On failure FILE.part may stay, for the next call; path is not touched. */
enum status http_to_file(const struct http_get *get, const char *path, struct http_answer *answer,
                         struct err *e);

/* Appends the body to out, whose maximum holds. */
enum status http_to_str(const struct http_get *get, struct str *out, struct http_answer *answer,
                        struct err *e);

/* Appends bytes from, from + 1 ... (n of them) to out, of the file that `same` described: a server that
 * has another by now, or that serves no parts, is ERR_DATA with *parts false. */
enum status http_part(const struct http_get *get, const struct http_answer *same, int64_t from,
                      int64_t n, struct str *out, bool *parts, struct err *e);

struct http_session *http_session_open(void);           /* NULL: no memory, which is fine to pass on */
void http_session_close(struct http_session *s);        /* NULL is fine */

/* Only the headers: size and validators. */
enum status http_look(const struct http_get *get, struct http_answer *answer, struct err *e);

/* Text as one part of a URL's path: "a b" becomes "a%20b"; slashes stay. */
void http_add_path(struct str *url, const char *text);

#endif
