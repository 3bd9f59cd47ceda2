/* httpd.h -- a web server on the loopback, for tests, that misbehaves as it is told.
 *
 *     static void answer(struct httpd_call *c) { httpd_send(c, 200, "ETag: \"1\"\r\n", "text", 4); }
 *     struct httpd *s = httpd_start(answer, NULL);
 *     ... httpd_port(s) ...; httpd_stop(s);
 * Each connection has a thread and one request; answer() runs under one lock. */
#ifndef TESTS_HTTPD_H
#define TESTS_HTTPD_H

#include <stddef.h>

struct httpd;
struct httpd_call {
    int fd, number;                 /* number: of this request, from 1 */
    void *user;
    char method[8], path[600], range[64], if_range[160], authorization[200];
    const char *body;               /* of a POST; of the call */
};

struct httpd *httpd_start(void (*answer)(struct httpd_call *), void *user);
int httpd_port(const struct httpd *s);
int httpd_calls(struct httpd *s);
int httpd_most(struct httpd *s);                    /* connections that were open at one time */
void httpd_stop(struct httpd *s);

/* The whole answer; headers end in \r\n each, or "". A HEAD gets no body. */
void httpd_send(struct httpd_call *c, int status, const char *headers, const void *body, size_t n);
/* As httpd_send, but the connection ends behind `sent` bytes of the body. */
void httpd_send_part(struct httpd_call *c, int status, const char *headers, const void *body,
                     size_t n, size_t sent);
/* Honours Range, and If-Range against this ETag. */
void httpd_send_range(struct httpd_call *c, const char *etag, const void *body, size_t n,
                      size_t sent);
/* The file below root that the path names, or 404. */
void httpd_send_file(struct httpd_call *c, const char *root);

#endif
