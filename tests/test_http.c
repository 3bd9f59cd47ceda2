/* Downloads over a loopback server that breaks, lies, stalls and redirects. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "harness/http.h"
#include "tests/check.h"
#include "tests/fixture.h"
#include "tests/httpd.h"

enum { BIG = 300000 };
static char big[BIG];

static const char *fill(void)
{
    for (int i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 + i / 251);
    return big;
}

static bool holds(const char *path, const void *bytes, size_t n)
{
    struct err e = { 0 };
    struct file f;
    bool same = file_open(&f, path, ERR_DATA, &e) == OK && f.n == n && !memcmp(f.at, bytes, n);
    file_close(&f);
    return same;
}

static struct http_get get_of(struct httpd *s, const char *path)
{
    static char url[200];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", httpd_port(s), path);
    return (struct http_get){ .url = url, .wait_ms = 10 };
}

/* The first answer breaks off in the middle; what follows must be asked for as a range. */
static void break_once(struct httpd_call *c)
{
    char *ranges = c->user;
    if (c->number > 1)
        snprintf(ranges, 64, "%s", c->range);
    httpd_send_range(c, "\"v1\"", big, BIG, c->number == 1 ? BIG / 3 : BIG);
}

TEST(http_goes_on_where_a_transfer_broke)
{
    char range[64] = "";
    struct http_answer answer;
    struct err e = { 0 };
    fill();
    struct httpd *s = httpd_start(break_once, range);
    struct http_get get = get_of(s, "/big");
    CHECK_OK(http_to_file(&get, "big", &answer, &e), e);
    CHECK(holds("big", big, BIG));
    CHECK_INT(answer.bytes, BIG);
    CHECK_INT(httpd_calls(s), 2);
    size_t from = 0;
    CHECK_INT(sscanf(range, "bytes=%zu-", &from), 1);
    CHECK(from > 0 && from <= BIG / 3);
    CHECK(!file_exists("big.part"));
    CHECK(!file_exists("big.part.from"));
    httpd_stop(s);
}

static void link_next(struct httpd_call *c)
{
    char header[300];
    snprintf(header, sizeof header, "Link: <%s>; rel=\"next\"\r\n", (const char *)c->user);
    httpd_send(c, 200, header, "[]", 2);
}

/* A server that names the next page names a page, no file of this machine. */
TEST(http_takes_only_pages_for_the_next_one)
{
    static const struct { const char *url; bool taken; } rows[] = {
        { "https://hub.example/api?cursor=2", true }, { "HTTP://hub.example/api", true },
        { "file:///etc/passwd", false }, { "FILE:/etc/passwd", false }, { "/api?cursor=2", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct httpd *s = httpd_start(link_next, (void *)(uintptr_t)rows[i].url);
        struct http_get get = get_of(s, "/list");
        struct http_answer answer;
        struct err e = { 0 };
        struct str body;
        str_init(&body, 100);
        CHECK_OK(http_to_str(&get, &body, &answer, &e), e);
        CHECK_STR(answer.next, rows[i].taken ? rows[i].url : "");
        str_free(&body);
        httpd_stop(s);
    }
}

struct versions { const char *etag; int breaks; size_t ranges; };

static void serve_version(struct httpd_call *c)
{
    struct versions *v = c->user;
    v->ranges += c->range[0] != '\0';
    httpd_send_range(c, v->etag, big, BIG, v->breaks-- > 0 ? BIG / 2 : BIG);
}

/* A call that failed leaves FILE.part; the next call goes on, or starts again where the file has
 * changed. */
static void two_calls(const char *second_etag, int requests, struct httpd **server,
                      struct versions *v)
{
    struct http_answer answer;
    struct err e = { 0 };
    *v = (struct versions){ "\"v1\"", 1, 0 };
    fill();
    struct httpd *s = *server = httpd_start(serve_version, v);
    struct http_get get = get_of(s, "/big");
    get.attempts = 1;
    CHECK_INT(http_to_file(&get, "big", &answer, &e), ERR_DATA);
    CHECK(strstr(e.text, "/big") != NULL);
    CHECK(!file_exists("big"));
    CHECK_INT(file_size("big.part"), BIG / 2);
    v->etag = second_etag;
    if (strcmp(second_etag, "\"v1\""))
        big[5]++;
    err_clear(&e);
    CHECK_OK(http_to_file(&get, "big", &answer, &e), e);
    CHECK(holds("big", big, BIG));
    CHECK_INT(httpd_calls(s), requests);
    httpd_stop(s);
}

TEST(http_goes_on_in_the_next_call)
{
    struct httpd *s;
    struct versions v;
    two_calls("\"v1\"", 2, &s, &v);
    CHECK_INT(v.ranges, 1);
}

TEST(http_starts_again_when_the_file_has_changed)
{
    struct httpd *s;
    struct versions v;
    two_calls("\"v2\"", 2, &s, &v);
}

TEST(http_finds_a_whole_part_whole)
{
    struct versions v = { "\"v1\"", 0, 0 };
    struct http_answer answer;
    struct err e = { 0 };
    char from[300];
    fill();
    struct httpd *s = httpd_start(serve_version, &v);
    struct http_get get = get_of(s, "/big");
    snprintf(from, sizeof from, "%s\n\"v1\"\n", get.url);
    CHECK_OK(file_write("big.part", big, BIG, &e), e);
    put("big.part.from", from);
    CHECK_OK(http_to_file(&get, "big", &answer, &e), e);    /* 416, with the size */
    CHECK(holds("big", big, BIG));
    CHECK_INT(httpd_calls(s), 1);
    httpd_stop(s);
}

static void lie_about_range(struct httpd_call *c)
{
    if (c->range[0])
        httpd_send(c, 206, "ETag: \"v1\"\r\nContent-Range: bytes 7-299999/300000\r\n", big + 7,
                   BIG - 7);
    else
        httpd_send(c, 200, "ETag: \"v1\"\r\n", big, BIG);
}

TEST(http_does_not_append_another_range)
{
    struct http_answer answer;
    struct err e = { 0 };
    char from[300];
    fill();
    struct httpd *s = httpd_start(lie_about_range, NULL);
    struct http_get get = get_of(s, "/big");
    snprintf(from, sizeof from, "%s\n\"v1\"\n", get.url);
    CHECK_OK(file_write("big.part", big, 1000, &e), e);
    put("big.part.from", from);
    CHECK_OK(http_to_file(&get, "big", &answer, &e), e);
    CHECK(holds("big", big, BIG));
    httpd_stop(s);
}

/* A server that does not know If-Range, and one that does not say how long the whole is. */
static void part_of_another(struct httpd_call *c)
{
    const char *header = c->user;
    if (c->range[0])
        httpd_send(c, 206, header, big + 1000, BIG - 2000);
    else
        httpd_send(c, 200, "ETag: \"v2\"\r\n", big, BIG);
}

TEST(http_takes_no_part_that_may_be_anothers_or_too_short)
{
    static const char *const headers[] = {
        "ETag: \"v2\"\r\nContent-Range: bytes 1000-298999/300000\r\n",
        "ETag: \"v1\"\r\nContent-Range: bytes 1000-298999/*\r\n",
        "Content-Range: bytes 1000-298999/*\r\n",
    };
    for (size_t i = 0; i < COUNT(headers); i++) {
        struct http_answer answer;
        struct err e = { 0 };
        char from[300];
        fill();
        struct httpd *s = httpd_start(part_of_another, (void *)(uintptr_t)headers[i]);
        struct http_get get = get_of(s, "/big");
        snprintf(from, sizeof from, "%s\n\"v1\"\n", get.url);
        remove("big");
        CHECK_OK(file_write("big.part", "old bytes", 9, &e), e);
        CHECK_INT(truncate("big.part", 1000), 0);
        put("big.part.from", from);
        CHECK_OK(http_to_file(&get, "big", &answer, &e), e);
        CHECK(holds("big", big, BIG));
        httpd_stop(s);
    }
}

static void busy_twice(struct httpd_call *c)
{
    if (c->number <= 2)
        httpd_send(c, c->number == 1 ? 503 : 429, "Retry-After: 0\r\n", "busy", 4);
    else
        httpd_send(c, 200, "", "ready", 5);
}

TEST(http_tries_again_when_the_server_is_busy)
{
    struct http_answer answer;
    struct err e = { 0 };
    struct str body;
    struct httpd *s = httpd_start(busy_twice, NULL);
    struct http_get get = get_of(s, "/x");
    str_init(&body, 100);
    CHECK_OK(http_to_str(&get, &body, &answer, &e), e);
    CHECK_STR(body.at, "ready");
    CHECK_INT(httpd_calls(s), 3);
    str_free(&body);
    httpd_stop(s);
}

/* 429: as long as Retry-After says, or else as long as we think. */
static void busy_once(struct httpd_call *c)
{
    const char *wait = c->user;
    if (c->number == 1)
        httpd_send(c, 429, wait, "", 0);
    else
        httpd_send(c, 200, "", "ready", 5);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

TEST(http_waits_as_long_as_it_is_told)
{
    static const struct { const char *header; double least, most; } rows[] = {
        { "Retry-After: 2\r\n", 1.9, 30 }, { "", 0, 1.9 }, { "Retry-After: soon\r\n", 0, 1.9 } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_answer answer;
        struct err e = { 0 };
        struct httpd *s = httpd_start(busy_once, (void *)rows[i].header);
        struct http_get get = get_of(s, "/x");
        double started = now();
        CHECK_OK(http_to_file(&get, "x", &answer, &e), e);
        CHECK(now() - started >= rows[i].least);
        CHECK(now() - started < rows[i].most);
        httpd_stop(s);
    }
}

/* Less than was announced, every time: never a file, and an end to it. */
static void always_short(struct httpd_call *c)
{
    httpd_send_part(c, 200, c->user, big, BIG, BIG / 2);
}

TEST(http_never_takes_a_part_for_the_whole)
{
    static const char *const headers[] = { "", "ETag: \"v1\"\r\n", "Accept-Ranges: bytes\r\n" };
    for (size_t i = 0; i < COUNT(headers); i++) {
        struct http_answer answer;
        struct err e = { 0 };
        struct str body;
        fill();
        struct httpd *s = httpd_start(always_short, (void *)headers[i]);
        struct http_get get = get_of(s, "/x");
        get.attempts = 3;
        CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_DATA);
        CHECK(!file_exists("x"));
        err_clear(&e);
        str_init(&body, 2 * BIG);
        CHECK_INT(http_to_str(&get, &body, &answer, &e), ERR_DATA);
        CHECK(httpd_calls(s) <= 7);
        str_free(&body);
        httpd_stop(s);
    }
}

/* More than the disk holds is refused before a byte of it is written. */
static void announce(struct httpd_call *c)
{
    httpd_send_part(c, 200, "", big, *(const size_t *)c->user, 1000);
}

TEST(http_looks_for_room_first)
{
    struct statvfs fs;
    struct http_answer answer;
    struct err e = { 0 };
    CHECK_INT(statvfs(".", &fs), 0);
    size_t more = (size_t)fs.f_bavail * fs.f_frsize + ((size_t)100 << 30);
    struct httpd *s = httpd_start(announce, &more);
    struct http_get get = get_of(s, "/x");
    get.max_bytes = (int64_t)1 << 60;
    CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_INTERNAL);
    CHECK(strstr(e.text, "GB are free") != NULL);
    CHECK(!file_exists("x") && !file_exists("x.part"));
    CHECK_INT(httpd_calls(s), 1);
    httpd_stop(s);
}

/* A proxy is asked for the whole address. */
static void as_proxy(struct httpd_call *c)
{
    httpd_send(c, 200, "", c->path, strlen(c->path));
}

TEST(http_goes_through_a_proxy)
{
    struct http_answer answer;
    struct err e = { 0 };
    struct str body;
    char proxy[100];
    struct httpd *s = httpd_start(as_proxy, NULL);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", httpd_port(s));
    CHECK_INT(setenv("http_proxy", proxy, 1), 0);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    struct http_get get = { .url = "http://own.example/a/b.zip", .wait_ms = 10 };
    str_init(&body, 1000);
    CHECK_OK(http_to_str(&get, &body, &answer, &e), e);
    CHECK_STR(body.at, "http://own.example/a/b.zip");
    str_free(&body);
    httpd_stop(s);
}

static void by_path(struct httpd_call *c)
{
    httpd_send(c, !strcmp(c->path, "/404") ? 404 : !strcmp(c->path, "/403") ? 403 : 500, "", "no", 2);
}

TEST(http_says_what_the_server_said)
{
    static const struct { const char *path, *text; int calls; } rows[] = {
        { "/404", "HTTP 404", 1 }, { "/403", "HTTP 403", 2 }, { "/500", "HTTP 500", 5 },
    };
    struct httpd *s = httpd_start(by_path, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_answer answer;
        struct err e = { 0 };
        struct http_get get = get_of(s, rows[i].path);
        get.attempts = 3;
        CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_DATA);
        CHECK(strstr(e.text, rows[i].text) && strstr(e.text, rows[i].path));
        CHECK_INT(httpd_calls(s), rows[i].calls);           /* only 500 is tried again */
        CHECK(!file_exists("x") && !file_exists("x.part"));
    }
    httpd_stop(s);
}

static void stall(struct httpd_call *c)
{
    struct pollfd client = { .fd = c->fd, .events = POLLRDHUP };
    httpd_send_part(c, 200, "", "abcdef", 6, 3);
    poll(&client, 1, 20000);                                /* until the other side gives up */
}

TEST(http_gives_up_on_a_stalled_server)
{
    struct http_answer answer;
    struct err e = { 0 };
    struct httpd *s = httpd_start(stall, NULL);
    struct http_get get = get_of(s, "/x");
    get.attempts = 1;
    get.stall_s = 1;
    CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_DATA);
    CHECK(!file_exists("x"));
    httpd_stop(s);
}

static void send_big(struct httpd_call *c)
{
    httpd_send(c, 200, "", big, BIG);
}

TEST(http_refuses_more_than_expected)
{
    struct http_answer answer;
    struct err e = { 0 };
    struct str body;
    struct httpd *s = httpd_start(send_big, NULL);
    struct http_get get = get_of(s, "/x");
    get.max_bytes = 1000;
    CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_DATA);
    CHECK(strstr(e.text, "1000 bytes") != NULL);
    CHECK(!file_exists("x"));
    get.max_bytes = 0;
    err_clear(&e);
    str_init(&body, 5000);
    CHECK_INT(http_to_str(&get, &body, &answer, &e), ERR_DATA);
    CHECK(strstr(e.text, "5000 bytes") != NULL);
    str_free(&body);
    httpd_stop(s);
}

struct hosts { int port; char here[200], there[200]; };

static void redirect(struct httpd_call *c)
{
    struct hosts *h = c->user;
    char location[200];
    if (!strcmp(c->path, "/start")) {
        snprintf(h->here, sizeof h->here, "%s", c->authorization);
        snprintf(location, sizeof location, "X-Repo-Commit: abc\r\nX-Linked-Etag: \"f00\"\r\n"
                 "Location: http://localhost:%d/signed\r\n", h->port);
        httpd_send(c, 302, location, "moved", 5);
    } else if (!strcmp(c->path, "/to-a-file")) {
        httpd_send(c, 302, "Location: file:///etc/passwd\r\n", "", 0);
    } else if (!strcmp(c->path, "/for-ever")) {
        httpd_send(c, 302, "Location: /for-ever\r\n", "", 0);
    } else {
        snprintf(h->there, sizeof h->there, "%s", c->authorization);
        httpd_send(c, 200, "ETag: \"cdn\"\r\n", "bytes", 5);
    }
}

TEST(http_keeps_the_token_at_its_host)
{
    struct hosts hosts = { 0 };
    struct http_answer answer;
    struct err e = { 0 };
    struct httpd *s = httpd_start(redirect, &hosts);
    hosts.port = httpd_port(s);
    struct http_get get = get_of(s, "/start");
    get.bearer = "secret";
    CHECK_OK(http_to_file(&get, "x", &answer, &e), e);
    CHECK(holds("x", "bytes", 5));
    CHECK_STR(hosts.here, "Bearer secret");
    CHECK_STR(hosts.there, "");
    CHECK_STR(answer.commit, "abc");
    CHECK_STR(answer.linked_etag, "\"f00\"");
    CHECK_STR(answer.etag, "\"cdn\"");
    httpd_stop(s);
}

TEST(http_follows_no_redirect_to_a_file)
{
    static const char *const paths[] = { "/to-a-file", "/for-ever" };
    struct hosts hosts = { 0 };
    struct httpd *s = httpd_start(redirect, &hosts);
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct http_answer answer;
        struct err e = { 0 };
        struct http_get get = get_of(s, paths[i]);
        CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_DATA);
        CHECK(!file_exists("x"));
    }
    httpd_stop(s);
}

TEST(http_reads_file_urls)
{
    struct http_answer answer;
    struct err e = { 0 };
    char here[1000], url[1100];
    put("in/a file", "content");
    put("in/empty", "");
    CHECK(getcwd(here, sizeof here) != NULL);
    snprintf(url, sizeof url, "file://%s/in/a%%20file", here);
    struct http_get get = { .url = url };
    CHECK_OK(http_to_file(&get, "out", &answer, &e), e);
    CHECK(holds("out", "content", 7));
    CHECK_OK(http_look(&get, &answer, &e), e);
    CHECK_INT(answer.bytes, 7);
    snprintf(url, sizeof url, "file://%s/in/empty", here);
    CHECK_OK(http_to_file(&get, "none", &answer, &e), e);
    CHECK_INT(file_size("none"), 0);
    snprintf(url, sizeof url, "file://%s/in/missing", here);
    CHECK_INT(http_to_file(&get, "no", &answer, &e), ERR_DATA);
    CHECK_INT(answer.status, 404);
    CHECK(strstr(e.text, "no such file") != NULL);
    CHECK(!file_exists("no"));
    err_clear(&e);
    get.url = "ftp://127.0.0.1/x";
    CHECK_INT(http_to_file(&get, "no", &answer, &e), ERR_DATA);
}

TEST(http_reports_a_disk_that_refuses)
{
    struct http_answer answer;
    struct err e = { 0 };
    fill();
    struct httpd *s = httpd_start(send_big, NULL);
    struct http_get get = get_of(s, "/x");
    CHECK_INT(symlink("/dev/full", "y.part"), 0);           /* a link is not written through */
    CHECK_INT(http_to_file(&get, "y", &answer, &e), ERR_INTERNAL);
    CHECK(strstr(e.text, "y.part") != NULL);
    err_clear(&e);
    CHECK_INT(http_to_file(&get, "no/such/folder/z", &answer, &e), ERR_INTERNAL);
    err_clear(&e);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1000, 1000 }), 0);      /* "full" */
    CHECK_INT(http_to_file(&get, "z", &answer, &e), ERR_INTERNAL);
    CHECK(strstr(e.text, "z.part") != NULL && !file_exists("z"));
    httpd_stop(s);
}

static enum status stop_now(void)
{
    return ERR_INTERRUPTED;
}

TEST(http_stops_and_keeps_what_it_has)
{
    struct http_answer answer;
    struct err e = { 0 };
    struct httpd *s = httpd_start(stall, NULL);
    struct http_get get = get_of(s, "/x");
    get.stopped = stop_now;
    CHECK_INT(http_to_file(&get, "x", &answer, &e), ERR_INTERRUPTED);
    CHECK(!file_exists("x"));
    httpd_stop(s);
}

TEST(http_writes_paths_as_a_url_needs_them)
{
    struct str url;
    str_init(&url, 100);
    http_add_path(&url, "a b/\xC3\xA4%?#_-.~1");
    CHECK_STR(url.at, "a%20b/%C3%A4%25%3F%23_-.~1");
    str_free(&url);
}
