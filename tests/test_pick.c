/* Some members of a zip, by ranges, from a loopback server that serves them, or not, or wrongly. */
#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/fetch.h"
#include "harness/pick.h"
#include "harness/say.h"
#include "tests/fixture.h"
#include "tests/httpd.h"

enum { MEMBERS = 60, SIZE = 40000 };
static char content[MEMBERS][SIZE];

/* images/00.jpg ... images/59.jpg, of bytes that do not pack; zip64: with the records of large
 * ones. */
static void make_zip(const char *path, bool zip64)
{
    struct archive *a = archive_write_new();
    uint32_t x = 7;
    archive_write_set_format_zip(a);
    if (zip64)
        CHECK_INT(archive_write_set_format_option(a, "zip", "zip64", "1"), ARCHIVE_OK);
    CHECK_INT(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (int i = 0; i < MEMBERS; i++) {
        struct archive_entry *e = archive_entry_new();
        char name[40];
        for (int k = 0; k < SIZE; k++) {
            x = x * 1664525u + 1013904223u;
            content[i][k] = (char)(x >> 24);
        }
        snprintf(name, sizeof name, "%simages/%02d.jpg", i == 3 ? "./" : "", i);
        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, SIZE);
        archive_write_header(a, e);
        archive_write_data(a, content[i], SIZE);
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
}

struct server {
    struct file zip;
    size_t sent;                    /* bytes of bodies */
    int parts;                      /* ranges that were asked for */
    bool no_ranges, other_bytes;
    int drop_at, change_at;         /* the n-th range: cut in the middle; another ETag from then on */
};

static void serve(struct httpd_call *c)
{
    struct server *s = c->user;
    size_t from, last, n = s->zip.n;
    char headers[200];
    if (!strstr(c->path, ".zip")) {
        httpd_send(c, 404, "", "", 0);
        return;
    }
    const char *etag = s->change_at && s->parts >= s->change_at ? "\"v2\"" : "\"v1\"";
    snprintf(headers, sizeof headers, "ETag: %s\r\n", etag);
    if (s->no_ranges || sscanf(c->range, "bytes=%zu-%zu", &from, &last) != 2 ||
        strcmp(c->if_range, etag)) {
        if (strcmp(c->method, "HEAD"))
            s->sent += n;
        httpd_send(c, 200, headers, s->zip.at, n);
        return;
    }
    s->parts++;
    snprintf(headers, sizeof headers, "ETag: %s\r\nContent-Range: bytes %zu-%zu/%zu\r\n", etag,
             s->other_bytes ? from + 1 : from, last, n);
    s->sent += last + 1 - from;
    httpd_send_part(c, 206, headers, s->zip.at + from, last + 1 - from,
                    s->parts == s->drop_at ? (last + 1 - from) / 2 : last + 1 - from);
}

static bool every_tenth(void *user, const char *name)
{
    (void)user;
    return strlen(name) == 13 && name[8] == '3';
}

static enum status go_on(void)
{
    return OK;
}

/* Picks images/?3.jpg and unpacks what came. */
static enum status pick(struct server *s, bool *done, struct err *e)
{
    char url[100], out[PATH_MAX];
    struct http_answer answer;
    struct err ours = { 0 };
    CHECK_OK(file_open(&s->zip, "all.zip", ERR_DATA, &ours), ours);
    struct httpd *server = httpd_start(serve, s);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/all.zip", httpd_port(server));
    struct unpack u = { .into = "into", .wanted = every_tenth };
    struct pick p = { .url = url, .members = &u, .stopped = go_on };
    say_setup(true, 0, false);
    *e = (struct err){ 0 };
    pick_zip(&p, "some.zip", out, &answer, done, e);
    httpd_stop(server);
    if (e->code == OK && *done) {
        uint64_t n = 0;
        CHECK_INT(answer.bytes, s->zip.n);
        u.archive = out;
        CHECK_OK(file_remove_all("into", &ours), ours);
        CHECK_OK(file_mkdirs("into", &ours), ours);
        CHECK_OK(unpack(&u, &n, &ours), ours);
        CHECK_INT(n, MEMBERS / 10);
        for (int i = 3; i < MEMBERS; i += 10) {
            struct file f;
            char name[40];
            snprintf(name, sizeof name, "into/images/%02d.jpg", i);
            CHECK_OK(file_open(&f, name, ERR_DATA, &ours), ours);
            CHECK(f.n == SIZE && !memcmp(f.at, content[i], SIZE));
            file_close(&f);
        }
        CHECK_INT(unlink(out), 0);
    }
    file_close(&s->zip);
    return e->code;
}

TEST(pick_takes_only_what_is_wanted)
{
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct server s = { 0 };
        struct err e;
        bool done;
        make_zip("all.zip", zip64);
        CHECK_OK(pick(&s, &done, &e), e);
        CHECK(done);
        CHECK(s.sent < MEMBERS / 10 * (SIZE + 1000) + (80 << 10));
    }
}

TEST(pick_goes_on_where_a_part_broke)
{
    struct server s = { .drop_at = 4 };
    struct err e;
    bool done;
    make_zip("all.zip", false);
    CHECK_OK(pick(&s, &done, &e), e);
    CHECK(done);
}

/* What stands in FILE.part from a call that was broken off is not asked for again. */
TEST(pick_goes_on_in_the_next_call)
{
    struct server s = { 0 };
    struct err e = { 0 };
    bool done;
    say_setup(true, 0, false);
    make_zip("all.zip", false);
    char url[100], out[PATH_MAX], part[PATH_MAX + 8];
    struct http_answer answer;
    CHECK_OK(file_open(&s.zip, "all.zip", ERR_DATA, &e), e);
    struct httpd *server = httpd_start(serve, &s);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/all.zip", httpd_port(server));
    struct unpack u = { .into = "into", .wanted = every_tenth };
    struct pick p = { .url = url, .members = &u, .stopped = go_on };
    CHECK_OK(pick_zip(&p, "some.zip", out, &answer, &done, &e), e);
    CHECK(done);
    int whole = s.parts;
    snprintf(part, sizeof part, "%s.part", out);            /* as if the last member were not there */
    CHECK_INT(rename(out, part), 0);
    FILE *edit = fopen(part, "r+b");
    CHECK(edit != NULL);
    if (edit) {
        static const char nothing[4];
        struct file small;
        CHECK_OK(file_open(&small, part, ERR_DATA, &e), e);
        size_t at = 0;
        for (size_t k = 0; k + 4 < small.n; k++)
            if (!memcmp(small.at + k, "PK\3\4", 4))
                at = k;
        file_close(&small);
        fseek(edit, (long)at, SEEK_SET);
        fwrite(nothing, 1, 4, edit);
        fclose(edit);
    }
    s.parts = 0;
    CHECK_OK(pick_zip(&p, "some.zip", out, &answer, &done, &e), e);
    CHECK(done && file_exists(out) && !file_exists(part));
    CHECK_INT(s.parts, 3);                                  /* end, directory, one member */
    CHECK(whole > 3);
    httpd_stop(server);
    file_close(&s.zip);
}

TEST(pick_leaves_the_rest_to_the_plain_way)
{
    struct server plain = { .no_ranges = true }, changed = { .change_at = 3 };
    struct server lying = { .other_bytes = true };
    struct server *const servers[] = { &plain, &changed, &lying };
    struct err e;
    bool done;
    make_zip("all.zip", false);
    for (size_t i = 0; i < COUNT(servers); i++) {
        CHECK_OK(pick(servers[i], &done, &e), e);
        CHECK(!done);
    }
    put("all.zip", "small");
    struct server s = { 0 };
    CHECK_OK(pick(&s, &done, &e), e);
    CHECK(!done);
    CHECK_INT(s.parts, 0);
}

/* 1 % of the bytes of the directory and the end changed: never a crash, never a wrong file. */
TEST(pick_survives_a_damaged_directory)
{
    struct file f;
    struct err e = { 0 };
    uint32_t x = 1;
    make_zip("good.zip", true);
    CHECK_OK(file_open(&f, "good.zip", ERR_DATA, &e), e);
    char *copy = malloc(f.n);
    for (int round = 0; copy && round < 60; round++) {
        memcpy(copy, f.at, f.n);
        size_t from = f.n - MEMBERS * 100;
        for (int k = 0; k < 1 + round % 8; k++) {
            x = x * 1664525u + 1013904223u;
            copy[from + (x >> 8) % (f.n - from)] = (char)x;
        }
        CHECK_OK(file_write("all.zip", copy, f.n, &e), e);
        char url[100], out[PATH_MAX];
        struct http_answer answer;
        struct server s = { 0 };
        struct err one = { 0 };
        bool done;
        CHECK_OK(file_open(&s.zip, "all.zip", ERR_DATA, &e), e);
        struct httpd *server = httpd_start(serve, &s);
        snprintf(url, sizeof url, "http://127.0.0.1:%d/%d.zip", httpd_port(server), round);
        struct unpack u = { .into = "into", .wanted = every_tenth };
        struct pick p = { .url = url, .members = &u, .stopped = go_on };
        say_setup(true, 0, false);
        pick_zip(&p, "some.zip", out, &answer, &done, &one);
        CHECK(one.code == OK || one.code == ERR_DATA);
        httpd_stop(server);
        file_close(&s.zip);
    }
    free(copy);
    file_close(&f);
}

/* ---- through fetch ------------------------------------------------------------------------------ */

static enum status read_own(const char *dir, const char *split, struct questions *qs, struct err *e)
{
    (void)dir, (void)split, (void)e;
    questions_add(qs, (struct question){ .id = "1", .image = "images/13.jpg", .text = "?" });
    questions_add(qs, (struct question){ .id = "2", .image = "images/42.jpg", .text = "?" });
    questions_add(qs, (struct question){ .id = "3", .image = "images/99.jpg", .text = "?" });
    return OK;
}

static const char *const *own_files(const char *split)
{
    static const char *const files[] = { "q.json", NULL };
    (void)split;
    return files;
}

TEST(fetch_takes_pictures_out_of_an_archive)
{
    struct source sources[] = {
        { .path = "q.json", .url = { "https://own.example/q.json" } },
        { .path = "images/", .url = { "https://own.example/images.zip" }, .strip = "images",
          .images = true },
    };
    struct benchmark own = { .name = "own", .splits = "test", .sources = sources, .n_sources = 2,
                             .read = read_own, .question_files = own_files };
    struct server s = { 0 };
    struct fetch_state state;
    struct err e = { 0 };
    char url[100];
    make_zip("all.zip", false);
    CHECK_OK(file_open(&s.zip, "all.zip", ERR_DATA, &e), e);
    struct httpd *server = httpd_start(serve, &s);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", httpd_port(server));
    say_setup(true, 0, false);
    struct options o = { .data = "data", .mirror = url, .quiet = true,
                         .hf_endpoint = "https://huggingface.co", .cache_dir = "cache" };
    put("data/own/q.json", "[]");
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);     /* one is not in it: said, counted */
    CHECK(state.complete);
    CHECK_INT(file_size("data/own/images/13.jpg"), SIZE);
    CHECK_INT(file_size("data/own/images/42.jpg"), SIZE);
    CHECK(!file_exists("data/own/images/14.jpg") && !file_exists("data/own/.download"));
    CHECK(s.sent < 2 * (SIZE + 1000) + (80 << 10));
    CHECK_INT(unlink("data/own/images/42.jpg"), 0);         /* lost: it alone comes again */
    s.sent = 0;
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK_INT(file_size("data/own/images/42.jpg"), SIZE);
    CHECK(s.sent < SIZE + 1000 + (80 << 10));
    s.no_ranges = true;                                     /* no ranges: the whole, and the same files */
    CHECK_OK(file_remove_all("data/own/images", &e), e);
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.complete);
    CHECK_INT(file_size("data/own/images/42.jpg"), SIZE);
    httpd_stop(server);
    file_close(&s.zip);
}
