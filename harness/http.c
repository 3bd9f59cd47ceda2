/* http.c -- libcurl, one easy handle for each call.
 *
 * How a broken transfer goes on. The next request asks for "Range: bytes=N-" with "If-Range: V",
 * where V is the strong ETag, or else the date, that came with the first N bytes:
 *
 *     206, starting at N   the same file: append
 *     200                  changed, or no ranges here: from the start
 *     416                  N is the whole size: done; anything else: from the start
 *
 * Without a validator nothing can be resumed safely. Headers that count are the last answer's: a
 * hub redirects to a host with validators of its own. */
#include "harness/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/version.h"

enum { REDIRECTS = 10, CONNECT_S = 30, NAP_MS = 100, LONGEST_WAIT_MS = 120000,
       RANGE_SIZE = 48, PAGE_MAX = 1 << 20 };
static const int64_t ANY_SIZE = (int64_t)1 << 40;

struct transfer {
    const struct http_get *get;
    struct http_answer *answer;
    CURL *curl;
    struct str *body;               /* where it goes: a text, */
    int fd;                         /* or a file, -1 without */
    const char *path;               /* of FILE.part, for messages */
    int64_t have;                   /* bytes that are in it */
    int64_t asked_from;             /* Range of this attempt, 0: none */
    char resume[200];               /* and the validator that it depends on */
    const char *part_of;            /* validator of the file of which a part is asked; NULL: all of it */
    int64_t part_from, part_n;
    int64_t range_from;             /* of a 206; -1: none was said */
    int64_t range_total;            /* of a 206 or 416; -1: none */
    bool started;                   /* the first byte of this attempt is in */
    bool is_file;                   /* the URL is file:// */
    int64_t page;                   /* bytes of an error's page so far */
    enum { FINE, TOO_LONG, DISK, STOPPED, RANGE_LIES, NO_PARTS, NO_ROOM } why;
    int disk_errno;
    double needed, room;            /* bytes, with NO_ROOM */
};

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- what libcurl calls ---------------------------------------------------------------------- */

static void copy_value(char *out, size_t size, const char *value, size_t n)
{
    while (n && strchr(" \t\r\n", value[0]))
        value++, n--;
    while (n && strchr(" \t\r\n", value[n - 1]))
        n--;
    if (n < size) {
        memcpy(out, value, n);
        out[n] = '\0';
    }
}

static const char *header_is(const char *line, size_t n, const char *name)
{
    size_t length = strlen(name);
    return n > length && !strncasecmp(line, name, length) && line[length] == ':'
         ? line + length + 1 : NULL;
}

static int64_t whole_number(const char *text, size_t n)
{
    char digits[24] = "";
    int64_t value;
    copy_value(digits, sizeof digits, text, n);
    return str_to_int(digits, &value) && value >= 0 ? value : -1;
}

/* "bytes 100-199/1000" of a 206, or "bytes * / 1000" (without the blanks) of a 416. */
static void read_content_range(struct transfer *t, const char *value, size_t n)
{
    char text[100] = "", *slash, *dash;
    copy_value(text, sizeof text, value, n);
    if (strncasecmp(text, "bytes ", 6) || !(slash = strchr(text, '/')))
        return;
    t->range_total = whole_number(slash + 1, strlen(slash + 1));
    if ((dash = strchr(text, '-')))
        t->range_from = whole_number(text + 6, (size_t)(dash - text - 6));
}

/* Link: <https://...>; rel="next". A server names no file of this machine. */
static void read_link(struct transfer *t, const char *value, size_t n)
{
    const char *end = value + n, *open = memchr(value, '<', n);
    const char *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;
    if (close && memmem(close, (size_t)(end - close), "rel=\"next\"", 10) &&
        (!strncasecmp(open, "<https://", 9) || !strncasecmp(open, "<http://", 8)))
        copy_value(t->answer->next, sizeof t->answer->next, open + 1, (size_t)(close - open - 1));
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    struct http_answer *a = t->answer;
    size_t n = size * count;
    const char *v;

    if (n > 5 && !strncmp(line, "HTTP/", 5)) {              /* a new answer: forget the last one's, */
        struct http_answer fresh = { .bytes = -1 };         /* but for what only the hub's own says */
        memcpy(fresh.commit, a->commit, sizeof a->commit);
        memcpy(fresh.linked_etag, a->linked_etag, sizeof a->linked_etag);
        *a = fresh;
        t->range_from = t->range_total = -1;
    }
#define VALUE (size_t)(line + n - v)
    if ((v = header_is(line, n, "etag")))
        copy_value(a->etag, sizeof a->etag, v, VALUE);
    else if ((v = header_is(line, n, "last-modified")))
        copy_value(a->date, sizeof a->date, v, VALUE);
    else if ((v = header_is(line, n, "content-length")))
        a->bytes = whole_number(v, VALUE);
    else if ((v = header_is(line, n, "content-range")))
        read_content_range(t, v, VALUE);
    else if ((v = header_is(line, n, "x-repo-commit")))
        copy_value(a->commit, sizeof a->commit, v, VALUE);
    else if ((v = header_is(line, n, "x-linked-etag")))
        copy_value(a->linked_etag, sizeof a->linked_etag, v, VALUE);
    else if ((v = header_is(line, n, "x-error-code")))
        copy_value(a->error_code, sizeof a->error_code, v, VALUE);
    else if ((v = header_is(line, n, "link")))
        read_link(t, v, VALUE);
    else if ((v = header_is(line, n, "content-type")))
        a->is_html = memmem(v, VALUE, "text/html", 9) != NULL;
#undef VALUE
    return n;
}

/* Will what is announced fit on the disk? Where that cannot be known, yes. */
static bool has_room(struct transfer *t)
{
    struct statvfs fs;
    curl_off_t announced = -1;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced <= 0 || fstatvfs(t->fd, &fs) != 0)
        return true;
    t->needed = (double)announced;
    t->room = (double)fs.f_bavail * (double)fs.f_frsize;
    return t->needed <= t->room;
}

/* Is a part of an answer what was asked for: from there, of the same file, of which it says the whole
 * size? A server may not know If-Range. */
static bool goes_on(const struct transfer *t)
{
    const char *now = t->resume[0] == '"' ? t->answer->etag : t->answer->date;
    return t->asked_from && t->range_from == t->asked_from && t->range_total > t->asked_from &&
           (!*now || !strcmp(now, t->resume));
}

/* The first bytes of an answer decide whether they go behind what is there or replace it. */
static bool begin(struct transfer *t)
{
    t->started = true;
    if (t->fd < 0)
        return true;
    if (!has_room(t)) {
        t->why = NO_ROOM;
        return false;
    }
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 206 && goes_on(t))
        return true;
    if (status == 206) {
        t->why = RANGE_LIES;
        return false;
    }
    t->have = 0;
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0) {
        t->why = DISK;
        t->disk_errno = errno;
        return false;
    }
    return true;
}

static bool write_from(struct transfer *t);

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t n = size * count;
    int64_t max = t->get->max_bytes ? t->get->max_bytes : ANY_SIZE;
    long status = 0;

    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300) {                                    /* an error's page is not the file; one */
        t->page += (int64_t)n;                              /* that does not end is not waited for  */
        return t->page > PAGE_MAX ? 0 : n;
    }
    if (t->part_of && (status != 206 || t->range_from != t->part_from)) {
        t->why = status == 206 ? RANGE_LIES : NO_PARTS;
        return 0;
    }
    if (!t->started && (!begin(t) || !write_from(t)))
        return 0;
    if ((int64_t)n > max - t->have) {
        t->why = TOO_LONG;
        return 0;
    }
    t->have += (int64_t)n;
    if (t->body) {
        str_addn(t->body, bytes, n);
        if (t->body->failed)
            t->why = TOO_LONG;
        return t->body->failed ? 0 : n;
    }
    for (size_t done = 0; done < n;) {
        ssize_t k = write(t->fd, bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            t->why = DISK;
            t->disk_errno = k < 0 ? errno : ENOSPC;
            t->have -= (int64_t)(n - done);
            return 0;
        }
        done += (size_t)k;
    }
    return n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t up_now)
{
    struct transfer *t = user;
    (void)up, (void)up_now;
    if (t->get->progress && t->started)
        t->get->progress(t->get->user, t->have, total > 0 ? t->have - now + total : -1);
    if (t->get->stopped && t->get->stopped() != OK) {
        t->why = STOPPED;
        return 1;
    }
    return 0;
}

/* ---- FILE.part.from -------------------------------------------------------------------------- */

enum { NOTE_SIZE = PATH_MAX + 8 };

static void note_name(const char *part, char out[NOTE_SIZE])
{
    snprintf(out, NOTE_SIZE, "%s.from", part);
}

/* The validator of this answer: a weak ETag does not promise equal bytes. */
static const char *validator(const struct http_answer *a)
{
    return a->etag[0] == '"' ? a->etag : a->date;
}

static bool write_from(struct transfer *t)
{
    char name[NOTE_SIZE], text[4096];
    struct err ignored = { 0 };
    if (t->fd < 0 || t->is_file)
        return true;
    note_name(t->path, name);
    int n = snprintf(text, sizeof text, "%s\n%s\n", t->get->url, validator(t->answer));
    if (n < 0 || (size_t)n >= sizeof text || !*validator(t->answer))
        unlink(name);                                       /* nothing to resume by */
    else if (file_write(name, text, (size_t)n, &ignored) != OK) {
        t->why = DISK;
        t->disk_errno = errno;
        return false;
    }
    return true;
}

/* The validator that came with FILE.part, or "": it cannot be gone on with. */
static void read_from(const struct transfer *t, char *out, size_t size)
{
    char name[NOTE_SIZE];
    struct err ignored = { 0 };
    struct file f;
    out[0] = '\0';
    note_name(t->path, name);
    if (file_open(&f, name, ERR_DATA, &ignored) == OK) {
        size_t n = strlen(t->get->url);
        const char *end = f.n > n + 1 ? memchr(f.at + n + 1, '\n', f.n - n - 1) : NULL;
        if (end && !memcmp(f.at, t->get->url, n) && f.at[n] == '\n')
            copy_value(out, size, f.at + n + 1, (size_t)(end - f.at) - n - 1);
    }
    file_close(&f);
}

/* ---- one attempt ----------------------------------------------------------------------------- */

static bool prepare(struct transfer *t, bool only_look, struct curl_slist **headers, char *range)
{
    const struct http_get *get = t->get;
    CURL *c = t->curl;
    char line[300];
    bool secure = !strncasecmp(get->url, "https:", 6);
    long stall = get->stall_s ? get->stall_s : 60;

    curl_easy_reset(c);
    struct curl_slist *list = curl_slist_append(NULL, "Accept-Encoding: identity");
    t->started = false;
    t->why = FINE;
    t->asked_from = t->page = 0;
    t->resume[0] = '\0';
    t->range_from = t->range_total = -1;
    *t->answer = (struct http_answer){ .bytes = -1 };
    if (t->fd >= 0 && !t->is_file && t->have > 0) {
        read_from(t, t->resume, sizeof t->resume);
        if (t->resume[0]) {
            t->asked_from = t->have;
            snprintf(range, RANGE_SIZE, "%" PRId64 "-", t->have);
            snprintf(line, sizeof line, "If-Range: %s", t->resume);
            struct curl_slist *longer = curl_slist_append(list, line);
            list = longer ? longer : list;
            curl_easy_setopt(c, CURLOPT_RANGE, range);
        }
    }
    if (t->part_of) {
        t->asked_from = t->part_from;
        snprintf(range, RANGE_SIZE, "%" PRId64 "-%" PRId64, t->part_from, t->part_from + t->part_n - 1);
        snprintf(line, sizeof line, "If-Range: %s", t->part_of);
        struct curl_slist *longer = curl_slist_append(list, line);
        list = longer ? longer : list;
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    *headers = list;
    curl_easy_setopt(c, CURLOPT_URL, get->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, t->is_file ? "file" : "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_NOBODY, only_look ? 1L : 0L);
    char agent[100];
    snprintf(agent, sizeof agent, "llava-eval/%s", llava_eval_version);
    curl_easy_setopt(c, CURLOPT_USERAGENT, agent);
    if (get->bearer) {                                      /* libcurl drops it at another host */
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, get->bearer);
    }
    return list != NULL;
}

static bool worth_retrying(CURLcode rc, long status)
{
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: case CURLE_PARTIAL_FILE: case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: case CURLE_GOT_NOTHING: case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2: case CURLE_HTTP2_STREAM: case CURLE_AGAIN:
        return true;
    case CURLE_OK:
        return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
               status == 503 || status == 504;
    default:
        return false;
    }
}

static const char *meaning_of(long status)
{
    switch (status) {
    case 401: case 403: return " (a permission is wanted; on Hugging Face: accept the terms on its "
                              "page and set HF_TOKEN)";
    case 404: return " (there is no such file)";
    case 407: return " (the proxy wants a password)";
    case 410: return " (it is gone)";
    case 429: return " (too many requests: try again later)";
    case 500: case 502: case 503: case 504: return " (the server has a problem: try again later)";
    default: return "";
    }
}

/* Puts the attempt's failure into words. */
static enum status explain(struct transfer *t, CURLcode rc, const char *detail, struct err *e)
{
    const char *url = t->get->url;
    long status = t->answer->status;
    int64_t max = t->get->max_bytes ? t->get->max_bytes : ANY_SIZE;

    switch (t->why) {
    case STOPPED:
        return err_set(e, t->get->stopped(), "%s: stopped by a signal; the same command goes on "
                       "where it stopped", url);
    case DISK:
        return err_set(e, ERR_INTERNAL, "%s: cannot write: %s", t->path, strerror(t->disk_errno));
    case TOO_LONG:
        return err_set(e, ERR_DATA, "%s: is longer than the %" PRId64 " bytes expected at most", url,
                       t->body && (int64_t)t->body->max < max ? (int64_t)t->body->max : max);
    case NO_ROOM:
        return err_set(e, ERR_INTERNAL, "%s: %.2f GB are to come, %.2f GB are free at %s", url,
                       t->needed / 1e9, t->room / 1e9, t->path);
    case NO_PARTS:
        return err_set(e, ERR_DATA, "%s: the server does not serve parts of it, or has another file by "
                       "now", url);
    case RANGE_LIES:
        return err_set(e, ERR_DATA, "%s: the server was asked for bytes from %" PRId64 " and "
                       "answered with others", url, t->asked_from);
    case FINE:
        break;
    }
    if (rc == CURLE_FILE_COULDNT_READ_FILE)
        return err_set(e, ERR_DATA, "%s: there is no such file", url);
    if (rc == CURLE_OK || rc == CURLE_HTTP_RETURNED_ERROR || t->page > PAGE_MAX)
        return err_set(e, ERR_DATA, "%s: HTTP %ld%s", url, status, meaning_of(status));
    if (rc == CURLE_OUT_OF_MEMORY)
        return err_set(e, ERR_MEMORY, "%s: no memory", url);
    return err_set(e, ERR_DATA, "%s: %s", url, *detail ? detail : curl_easy_strerror(rc));
}

/* Sleeps in naps, so that a signal ends the wait. */
static bool wait_ms(const struct transfer *t, int64_t ms)
{
    for (; ms > 0; ms -= NAP_MS) {
        if (t->get->stopped && t->get->stopped() != OK)
            return false;
        struct timespec nap = { 0, (ms < NAP_MS ? ms : NAP_MS) * 1000000L };
        nanosleep(&nap, NULL);
    }
    return true;
}

static int64_t pause_after(const struct transfer *t, int failures)
{
    int64_t ms = t->get->wait_ms ? t->get->wait_ms : 1000;
    curl_off_t asked_s = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &asked_s);
    for (int i = 1; i < failures && ms < LONGEST_WAIT_MS / 4; i++)
        ms *= 2;
    if (asked_s > 0)
        ms = asked_s < LONGEST_WAIT_MS / 1000 ? (int64_t)asked_s * 1000 : LONGEST_WAIT_MS;
    return ms;
}

/* A whole answer that is really the whole file. */
static bool good(const struct transfer *t, CURLcode rc, bool only_look)
{
    long status = t->answer->status;
    if (rc != CURLE_OK || t->why != FINE)
        return false;
    if (t->is_file)
        return true;
    if (t->part_of)
        return status == 206 && t->have == t->part_n;
    if (status == 416)
        return t->asked_from && t->range_total == t->have;
    if (status != 200 && status != 206)
        return false;
    return only_look || t->fd < 0 || status != 206 || t->have == t->range_total;
}

static enum status transfer(struct transfer *t, bool only_look, struct err *e)
{
    int failures = 0, most = t->get->attempts ? t->get->attempts : 6;

    while (e->code == OK) {
        struct curl_slist *headers = NULL;
        char detail[CURL_ERROR_SIZE] = "", range[RANGE_SIZE];
        int64_t before = t->have;
        if (!prepare(t, only_look, &headers, range)) {
            curl_slist_free_all(headers);
            return err_set(e, ERR_MEMORY, "%s: no memory", t->get->url);
        }
        curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, detail);
        CURLcode rc = curl_easy_perform(t->curl);
        curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->answer->status);
        curl_slist_free_all(headers);
        if (t->is_file)
            t->answer->status = rc == CURLE_OK ? 200 : 404;
        else if (t->answer->status == 206)
            t->answer->bytes = t->range_total;
        if (good(t, rc, only_look)) {
            if (t->fd >= 0 && !t->started && t->answer->status != 416)
                begin(t);                                   /* an empty file has no first byte */
            return t->why == FINE ? OK : explain(t, rc, detail, e);
        }
        bool part = rc == CURLE_OK && t->answer->status == 206 && t->have > before;
        bool again = t->why == FINE && (part || worth_retrying(rc, t->answer->status));
        if ((t->answer->status == 416 || t->why == RANGE_LIES) && t->asked_from && t->fd >= 0) {
            t->have = 0;                                    /* what we have is of no use there */
            again = ftruncate(t->fd, 0) == 0 && lseek(t->fd, 0, SEEK_SET) == 0;
        } else if (t->fd >= 0 && t->have > before)
            failures = 0;                                   /* a text gains nothing: it begins again */
        bool nobody = rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_CONNECT;
        if (!again || ++failures >= (nobody && most > 3 ? 3 : most))
            return explain(t, rc, detail, e);
        if (!wait_ms(t, pause_after(t, failures))) {
            t->why = STOPPED;
            return explain(t, rc, detail, e);
        }
        if (t->body && t->have) {                           /* a text begins again */
            t->body->n -= (size_t)t->have;
            t->body->at[t->body->n] = '\0';
            t->have = 0;
        }
    }
    return e->code;
}

static CURL *new_curl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    return curl_easy_init();
}

struct http_session { CURL *curl; };

struct http_session *http_session_open(void)
{
    struct http_session *s = calloc(1, sizeof *s);
    if (s && !(s->curl = new_curl())) {
        free(s);
        s = NULL;
    }
    return s;
}

void http_session_close(struct http_session *s)
{
    if (s)
        curl_easy_cleanup(s->curl);
    free(s);
}

static enum status run(struct transfer *t, bool only_look, struct err *e)
{
    t->is_file = !strncasecmp(t->get->url, "file://", 7);
    t->curl = t->get->session ? t->get->session->curl : new_curl();
    if (!t->curl)
        return err_set(e, ERR_MEMORY, "%s: no memory", t->get->url);
    transfer(t, only_look, e);
    if (!t->get->session)
        curl_easy_cleanup(t->curl);
    return e->code;
}

/* ---- the face -------------------------------------------------------------------------------- */

enum status http_to_str(const struct http_get *get, struct str *out, struct http_answer *answer,
                        struct err *e)
{
    struct transfer t = { .get = get, .answer = answer, .body = out, .fd = -1, .path = "" };
    return run(&t, false, e);
}

enum status http_part(const struct http_get *get, const struct http_answer *same, int64_t from,
                      int64_t n, struct str *out, bool *parts, struct err *e)
{
    struct http_answer answer = { 0 };
    struct transfer t = { .get = get, .answer = &answer, .body = out, .fd = -1, .path = "",
                          .part_of = validator(same), .part_from = from, .part_n = n };
    *parts = *t.part_of && same->bytes > 0 && from >= 0 && n > 0 && from <= same->bytes && n <= same->bytes - from;
    if (!*parts)
        return err_set(e, ERR_DATA, "%s: cannot be asked for in parts", get->url);
    run(&t, false, e);
    *parts = t.why != NO_PARTS && t.why != RANGE_LIES && answer.status != 416;
    if (e->code == OK && (t.range_total != same->bytes || strcmp(validator(&answer), t.part_of))) {
        *parts = false;
        err_set(e, ERR_DATA, "%s: has changed while it was read", get->url);
    }
    return e->code;
}

enum status http_look(const struct http_get *get, struct http_answer *answer, struct err *e)
{
    struct str none;
    str_init(&none, 0);
    struct transfer t = { .get = get, .answer = answer, .body = &none, .fd = -1, .path = "" };
    return run(&t, true, e);
}

enum status http_to_file(const struct http_get *get, const char *path, struct http_answer *answer,
                         struct err *e)
{
    char part[PATH_MAX], note[NOTE_SIZE];
    if ((size_t)snprintf(part, sizeof part, "%s.part", path) >= sizeof part - 8)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", path);
    struct transfer t = { .get = get, .answer = answer, .path = part };
    t.fd = open(part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (t.fd < 0)
        return err_set(e, ERR_INTERNAL, "%s: cannot create: %s", part, strerror(errno));
    t.have = (int64_t)lseek(t.fd, 0, SEEK_END);
    run(&t, false, e);
    if (e->code == OK && fsync(t.fd) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot write: %s", part, strerror(errno));
    if (close(t.fd) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot write: %s", part, strerror(errno));
    note_name(part, note);
    if (e->code == OK) {
        if (rename(part, path) != 0)
            return err_set(e, ERR_INTERNAL, "%s: cannot replace: %s", path, strerror(errno));
        unlink(note);
        answer->bytes = t.have;
    } else if (t.have == 0) {
        unlink(part);
        unlink(note);
    }
    return e->code;
}

void http_add_path(struct str *url, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("/-_.~", c))
            str_addc(url, *text);
        else
            str_addf(url, "%%%02X", c);
    }
}
