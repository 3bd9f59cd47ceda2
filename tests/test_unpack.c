/* Archives made here, good and evil: what lands where, and what is refused. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/unpack.h"
#include "tests/check.h"

struct member { const char *name, *content, *link; int type; };     /* type 0: a file */

static int layers = 1;                                      /* of gzip around a tar */

static void make(const char *path, bool zip, const struct member *members, size_t n)
{
    struct archive *a = archive_write_new();
    if (zip) {
        archive_write_set_format_zip(a);
    } else {
        archive_write_set_format_pax_restricted(a);
        for (int i = 0; i < layers; i++)
            archive_write_add_filter_gzip(a);
    }
    CHECK_INT(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        size_t size = members[i].content ? strlen(members[i].content) : 0;
        archive_entry_set_pathname(e, members[i].name);
        archive_entry_set_filetype(e, members[i].type ? (unsigned)members[i].type : AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)size);
        if (members[i].type == AE_IFLNK)
            archive_entry_set_symlink(e, members[i].link);
        else if (members[i].link)
            archive_entry_set_hardlink(e, members[i].link);
        CHECK_INT(archive_write_header(a, e), ARCHIVE_OK);
        if (size)
            archive_write_data(a, members[i].content, size);
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
}

static bool holds(const char *path, const char *text)
{
    struct err e = { 0 };
    struct file f;
    bool same = file_open(&f, path, ERR_DATA, &e) == OK && f.n == strlen(text) &&
                (f.n == 0 || !memcmp(f.at, text, f.n));
    file_close(&f);
    return same;
}

static enum status run(struct unpack u, uint64_t *n, struct err *e)
{
    struct err ours = { 0 };
    *e = (struct err){ 0 };
    u.into = "into";
    CHECK_OK(file_remove_all("into", &ours), ours);
    CHECK_OK(file_mkdirs("into", &ours), ours);
    return unpack(&u, n, e);
}

TEST(unpack_writes_what_is_asked_for)
{
    static const struct member members[] = {
        { "Top/", NULL, NULL, AE_IFDIR }, { "Top/val.json", "[1]", NULL, 0 },
        { "Top/train.json", "[2]", NULL, 0 }, { "Top/deep/er/x.json", "[3]", NULL, 0 },
        { "__MACOSX/Top/._val.json", "junk", NULL, 0 }, { "Top/._val.json", "junk", NULL, 0 },
        { "Top/.DS_Store", "junk", NULL, 0 }, { "Top/empty.json", "", NULL, 0 },
        { "outside.json", "[4]", NULL, 0 },
    };
    for (int zip = 0; zip < 2; zip++) {
        struct err e;
        uint64_t n;
        make("a", zip, members, COUNT(members));
        CHECK_OK(run((struct unpack){ .archive = "a" }, &n, &e), e);
        CHECK_INT(n, 5);
        CHECK(holds("into/Top/val.json", "[1]") && holds("into/Top/empty.json", ""));
        CHECK(holds("into/Top/deep/er/x.json", "[3]"));
        CHECK(!file_exists("into/__MACOSX") && !file_exists("into/Top/.DS_Store"));
        CHECK(!file_exists("into/Top/._val.json"));

        CHECK_OK(run((struct unpack){ .archive = "a", .strip = "Top/" }, &n, &e), e);
        CHECK(holds("into/val.json", "[1]") && holds("into/outside.json", "[4]"));

        CHECK_OK(run((struct unpack){ .archive = "a", .strip = "Top",
                                      .members = "val.json,tr*.json" }, &n, &e), e);
        CHECK_INT(n, 2);
        CHECK(holds("into/train.json", "[2]") && !file_exists("into/empty.json"));
    }
}

struct seen { int asked, wrote; char hash[SHA256_HEX]; };

static bool only_two(void *user, const char *name)
{
    ((struct seen *)user)->asked++;
    return !strcmp(name, "two");
}

static void note(void *user, const char *name, const unsigned char hash[32])
{
    struct seen *s = user;
    s->wrote += !strcmp(name, "two");
    sha256_hex(hash, s->hash);
}

TEST(unpack_asks_before_and_tells_after)
{
    static const struct member members[] = { { "one", "1", NULL, 0 }, { "two", "abc", NULL, 0 } };
    struct seen seen = { 0 };
    struct err e;
    uint64_t n;
    make("a", true, members, COUNT(members));
    CHECK_OK(run((struct unpack){ .archive = "a", .wanted = only_two, .wrote = note,
                                  .user = &seen }, &n, &e), e);
    CHECK_INT(n, 1);
    CHECK_INT(seen.asked, 2);
    CHECK_INT(seen.wrote, 1);
    CHECK_STR(seen.hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(!file_exists("into/one"));
}

TEST(unpack_refuses_what_leaves_its_folder)
{
    static const struct member evil[] = {
        { "../out", "x", NULL, 0 }, { "a/../../out", "x", NULL, 0 }, { "/tmp/llava-eval-out", "x",
        NULL, 0 }, { "a//b", "x", NULL, 0 }, { "a/./b", "x", NULL, 0 }, { "a\\..\\b", "x", NULL, 0 },
        { "esc\033[2J", "x", NULL, 0 }, { "link", NULL, "/etc/passwd", AE_IFLNK },
        { "hard", NULL, "good", 0 }, { "pipe", NULL, NULL, AE_IFIFO },
        { "device", NULL, NULL, AE_IFCHR },
    };
    for (size_t i = 0; i < COUNT(evil); i++) {
        struct member members[] = { { "good", "x", NULL, 0 }, evil[i] };
        struct err e;
        uint64_t n;
        make("a", false, members, COUNT(members));
        CHECK_INT(run((struct unpack){ .archive = "a" }, &n, &e), ERR_DATA);
        CHECK(strstr(e.text, "refused") != NULL);
        CHECK(!file_exists("out") && !file_exists("/tmp/llava-eval-out"));
    }
}

TEST(unpack_refuses_a_bomb)
{
    enum { SIZE = 8 << 20 };
    char *zeros = calloc(SIZE + 1, 1);
    memset(zeros, '0', SIZE);
    struct member members[] = { { "zeros", zeros, NULL, 0 } };
    struct err e;
    uint64_t n;
    make("a", false, members, 1);
    CHECK(file_size("a") < SIZE / 100);
    CHECK_INT(run((struct unpack){ .archive = "a", .max_bytes = 1 << 20 }, &n, &e), ERR_DATA);
    CHECK(strstr(e.text, "1048576 bytes") != NULL);
    CHECK(file_size("into/zeros") <= 1 << 20);
    CHECK_OK(run((struct unpack){ .archive = "a" }, &n, &e), e);
    free(zeros);
}

static int asked;

static enum status stop_later(void)
{
    return ++asked < 3 ? OK : ERR_INTERRUPTED;
}

/* What is not wanted costs time as well: it is counted, a signal ends it, and gzip in gzip is refused. */
TEST(unpack_passes_over_no_bomb)
{
    enum { SIZE = 300 << 20 };
    char *zeros = calloc(SIZE + 1, 1);
    memset(zeros, '0', SIZE);
    struct member members[] = { { "big", zeros, NULL, 0 }, { "small", "x", NULL, 0 } };
    struct unpack u = { .archive = "a", .members = "small" };
    struct err e;
    uint64_t n;
    make("a", false, members, COUNT(members));
    u.stopped = stop_later;
    CHECK_INT(run(u, &n, &e), ERR_INTERRUPTED);
    u.stopped = NULL;
    int64_t limit = file_size("a") * 200 + (256 << 20);
    CHECK_INT(run(u, &n, &e), limit < SIZE ? ERR_DATA : OK);
    CHECK(limit >= SIZE || strstr(e.text, "what is not wanted of it unpacks to more than") != NULL);
    layers = 2;
    make("a", false, members + 1, 1);
    layers = 1;
    CHECK_INT(run(u, &n, &e), ERR_DATA);
    CHECK_STR(e.text, "a: is compressed more than once: refused");
    free(zeros);
}

TEST(unpack_refuses_what_is_no_archive)
{
    struct err e = { 0 };
    uint64_t n;
    CHECK_OK(file_write("page", "<html>not found</html>", 22, &e), e);
    CHECK_OK(file_write("nothing", "", 0, &e), e);
    CHECK_INT(run((struct unpack){ .archive = "page" }, &n, &e), ERR_DATA);
    CHECK_INT(run((struct unpack){ .archive = "nothing" }, &n, &e), ERR_DATA);
    CHECK_INT(run((struct unpack){ .archive = "missing" }, &n, &e), ERR_DATA);
    CHECK(strstr(e.text, "missing") != NULL);
}

/* libarchive knows compressions that it leaves to programs: an archive must not choose one to run. */
TEST(unpack_starts_no_program)
{
    static const struct { const char *name, *magic; size_t n; } rows[] = {
        { "grzip", "GRZipII\0\2\4:)", 12 }, { "lrzip", "LRZI\0\6\0\0\0\0\0\0", 12 },
    };
    struct err e = { 0 };
    uint64_t n;
    char bytes[2000] = "", path[1000];
    CHECK(getcwd(path, sizeof path - 1) != NULL);
    setenv("PATH", path, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        static const char program[] = "#!/bin/sh\n>ran\n";
        CHECK_OK(file_write(rows[i].name, program, strlen(program), &e), e);
        CHECK_INT(chmod(rows[i].name, 0755), 0);
        memcpy(bytes, rows[i].magic, rows[i].n);
        CHECK_OK(file_write("a", bytes, sizeof bytes, &e), e);
        CHECK_INT(run((struct unpack){ .archive = "a" }, &n, &e), ERR_DATA);
        CHECK(!file_exists("ran"));
        e = (struct err){ 0 };
    }
}

/* Cut at every length and with bytes changed: an error or the right content, never a crash, never a
 * file elsewhere. */
TEST(unpack_survives_damage)
{
    static const struct member members[] = {
        { "d/one", "content of the first file, long enough to be compressed, compressed", NULL, 0 },
        { "two", "and the second", NULL, 0 },
    };
    unsigned seed = 12345;
    for (int zip = 0; zip < 2; zip++) {
        struct err e = { 0 };
        struct file good;
        uint64_t n;
        make("good", zip, members, COUNT(members));
        CHECK_OK(file_open(&good, "good", ERR_DATA, &e), e);
        char *copy = malloc(good.n);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            size_t length = good.n;
            memcpy(copy, good.at, good.n);
            if (i < 100)
                length = good.n * (size_t)i / 100;
            for (int k = 0; i >= 100 && k < 1 + i % 3; k++) {
                seed = seed * 1103515245u + 12345u;
                copy[seed / 65536 % good.n] = (char)(seed >> 8);
            }
            CHECK_OK(file_write("bad", copy, length, &e), e);
            enum status s = run((struct unpack){ .archive = "bad" }, &n, &e);
            CHECK(s == OK || s == ERR_DATA);
            refused += s != OK;
            if (zip && i < 100)
                CHECK(s == ERR_DATA || n < 2 || holds("into/two", "and the second"));
            e = (struct err){ 0 };
        }
        CHECK(refused > 50);
        free(copy);
        file_close(&good);
    }
}
