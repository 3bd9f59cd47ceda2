/* httpd.c -- HTTP/1.1 with "Connection: close", as much as the tests need. */
#include "tests/httpd.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/file.h"

struct httpd {
    int fd, port, calls, open, most;    /* open: connections that are served; most of them ever */
    void (*answer)(struct httpd_call *);
    void *user;
    pthread_t acceptor;
    pthread_mutex_t lock;           /* guards calls, open, and answer() */
    pthread_cond_t closed;
};
struct connection { struct httpd *s; int fd; };

static void send_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k <= 0)
            return;
        at += k;
        n -= (size_t)k;
    }
}

static void read_header(const char *request, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(request, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':') {
            const char *value = line + 3 + n + strspn(line + 3 + n, " ");
            snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        }
}

static void *serve(void *argument)
{
    struct connection *c = argument;
    struct httpd_call call = { .fd = c->fd, .user = c->s->user };
    char request[32768] = "", length[24];
    size_t n = 0, whole = sizeof request - 1;               /* until its length is known */
    while (n < whole) {
        ssize_t k = recv(c->fd, request + n, sizeof request - 1 - n, 0);
        if (k <= 0)
            break;
        n += (size_t)k;
        request[n] = '\0';
        call.body = strstr(request, "\r\n\r\n");
        if (!call.body)
            continue;
        call.body += 4;
        read_header(request, "Content-Length", length, sizeof length);
        whole = (size_t)(call.body - request) + strtoul(length, NULL, 10);
    }
    if (sscanf(request, "%7s %599s", call.method, call.path) == 2) {
        read_header(request, "Range", call.range, sizeof call.range);
        read_header(request, "If-Range", call.if_range, sizeof call.if_range);
        read_header(request, "Authorization", call.authorization, sizeof call.authorization);
        pthread_mutex_lock(&c->s->lock);
        call.number = ++c->s->calls;
        c->s->answer(&call);
        pthread_mutex_unlock(&c->s->lock);
    }
    shutdown(c->fd, SHUT_WR);
    close(c->fd);
    pthread_mutex_lock(&c->s->lock);
    c->s->open--;
    pthread_cond_signal(&c->s->closed);
    pthread_mutex_unlock(&c->s->lock);
    free(c);
    return NULL;
}

static void *accept_all(void *argument)
{
    struct httpd *s = argument;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct connection *c = malloc(sizeof *c);
        pthread_t thread;
        *c = (struct connection){ s, fd };
        pthread_mutex_lock(&s->lock);
        if (++s->open > s->most)
            s->most = s->open;
        pthread_mutex_unlock(&s->lock);
        if (pthread_create(&thread, NULL, serve, c) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

struct httpd *httpd_start(void (*answer)(struct httpd_call *), void *user)
{
    struct httpd *s = calloc(1, sizeof *s);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    s->answer = answer;
    s->user = user;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->closed, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&at, size) != 0 || listen(s->fd, 16) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&at, &size) != 0 ||
        pthread_create(&s->acceptor, NULL, accept_all, s) != 0)
        abort();
    s->port = ntohs(at.sin_port);
    return s;
}

int httpd_port(const struct httpd *s)
{
    return s->port;
}

int httpd_calls(struct httpd *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->calls;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int httpd_most(struct httpd *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->most;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void httpd_stop(struct httpd *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    close(s->fd);
    pthread_mutex_lock(&s->lock);
    while (s->open)
        pthread_cond_wait(&s->closed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    free(s);
}

void httpd_send_part(struct httpd_call *c, int status, const char *headers, const void *body,
                     size_t n, size_t sent)
{
    char head[2048];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n"
                          "Connection: close\r\n%s\r\n", status, n, headers);
    send_all(c->fd, head, (size_t)length);
    if (strcmp(c->method, "HEAD"))
        send_all(c->fd, body, sent);
}

void httpd_send(struct httpd_call *c, int status, const char *headers, const void *body, size_t n)
{
    httpd_send_part(c, status, headers, body, n, n);
}

void httpd_send_range(struct httpd_call *c, const char *etag, const void *body, size_t n, size_t sent)
{
    char headers[300];
    size_t from = 0;
    int length = snprintf(headers, sizeof headers, "ETag: %s\r\n", etag);
    if (sscanf(c->range, "bytes=%zu-", &from) != 1 || strcmp(c->if_range, etag)) {
        httpd_send_part(c, 200, headers, body, n, sent);
        return;
    }
    if (from >= n) {
        snprintf(headers + length, sizeof headers - (size_t)length, "Content-Range: bytes */%zu\r\n",
                 n);
        httpd_send(c, 416, headers, "", 0);
        return;
    }
    snprintf(headers + length, sizeof headers - (size_t)length, "Content-Range: bytes %zu-%zu/%zu\r\n",
             from, n - 1, n);
    n -= from;
    httpd_send_part(c, 206, headers, (const char *)body + from, n, sent < n ? sent : n);
}

void httpd_send_file(struct httpd_call *c, const char *root)
{
    char path[2048];
    struct file f;
    struct err e = { 0 };
    snprintf(path, sizeof path, "%s%s", root, c->path);
    if (file_open(&f, path, ERR_DATA, &e) == OK)
        httpd_send(c, 200, "", f.at ? f.at : "", f.n);
    else
        httpd_send(c, 404, "", "gone\n", 5);
    file_close(&f);
}
