/* engine/base, but for JSON (test_json.c).
 *
 * Provenance: SHA-256 vectors are FIPS 180-2, appendix B. The six recorded hashes stand for what
 * CPython 3.11.7 (Unicode 14.0.0) says; tests/vectors/base/recorded.py makes them again. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"
#include "tests/check.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* ---- err ------------------------------------------------------------------------------------- */

TEST(err_keeps_the_first_error)
{
    struct err e = { 0 };
    CHECK_INT(err_set(&e, ERR_DATA, "x.json:%d: bad", 17), ERR_DATA);
    CHECK_INT(err_set(&e, ERR_DEVICE, "later"), ERR_DATA);
    CHECK_STR(e.text, "x.json:17: bad");
    CHECK_INT(err_in(&e, "reading %s", "pope"), ERR_DATA);
    CHECK_STR(e.text, "reading pope: x.json:17: bad");
    err_clear(&e);
    CHECK_INT(e.code, OK);
    CHECK_INT(err_in(&e, "nothing"), OK);
    CHECK_STR(e.text, "");
}

TEST(err_cuts_long_texts)
{
    char text[3000];
    struct err e = { 0 };
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_DATA, "%s", text);
    CHECK_INT(strlen(e.text), sizeof e.text - 1);
    err_in(&e, "head");
    CHECK(!strncmp(e.text, "head: xxx", 9));
    CHECK_INT(strlen(e.text), sizeof e.text - 1);
    err_in(&e, "%s", text);
    CHECK(strlen(e.text) < sizeof e.text);
}

/* ---- arena ----------------------------------------------------------------------------------- */

TEST(arena_gives_zeroed_aligned_memory_that_stays)
{
    struct arena a = { 0 };
    unsigned char *at[500];
    size_t size[500];
    uint64_t seed = 1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            size[i] = splitmix(&seed) % (i % 50 ? 300 : 200000);
            at[i] = arena_alloc(&a, size[i]);
            CHECK(at[i] && (uintptr_t)at[i] % 16 == 0);
            for (size_t k = 0; k < size[i]; k++)
                if (at[i][k] && !CHECK(!"zeroed"))
                    return;
            memset(at[i], i, size[i]);
        }
        for (int i = 0; i < 500; i++)                       /* nobody wrote over another's */
            for (size_t k = 0; k < size[i]; k++)
                if (at[i][k] != (unsigned char)i && !CHECK(!"kept"))
                    return;
        CHECK(!a.failed && a.total > 0);
        arena_reset(&a);
        CHECK_INT(a.total, 0);
    }
    arena_free(&a);
    CHECK_STR(arena_fmt(&a, "%s-%d", "usable", 7), "usable-7");
    CHECK_STR(arena_strn(&a, "cut off", 3), "cut");
    CHECK(arena_alloc(&a, 0) != NULL);
    arena_free(&a);
    CHECK(arena_alloc(&a, 0) != NULL);
    arena_free(&a);
}

TEST(arena_failure_sticks)
{
    struct arena a = { 0 };
    CHECK(arena_array(&a, SIZE_MAX, 2) == NULL);
    CHECK(a.failed);
    arena_reset(&a);
    CHECK(!a.failed);
    CHECK(arena_array(&a, SIZE_MAX / 16 + 1, 16) == NULL && a.failed);
    CHECK_STR(arena_str(&a, "goes on"), "goes on");
    CHECK(a.failed);
    arena_free(&a);
    CHECK(!a.failed);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL && arena_alloc(&a, SIZE_MAX / 2 - 64) == NULL);
    CHECK_STR(arena_strn(&a, "x", SIZE_MAX), "");           /* never NULL */
    CHECK(arena_array(&a, 0, SIZE_MAX) != NULL);
    arena_free(&a);
}

/* ---- str ------------------------------------------------------------------------------------- */

TEST(str_grows_up_to_its_maximum)
{
    struct str s;
    str_init(&s, 10);
    CHECK_STR(s.at, "");
    str_add(&s, "hello");
    str_addc(&s, ' ');
    str_addf(&s, "%d", 1234);
    CHECK_STR(s.at, "hello 1234");
    CHECK(!s.failed);
    str_addc(&s, 'x');
    CHECK(s.failed);
    CHECK_STR(s.at, "hello 1234");
    str_clear(&s);
    str_addf(&s, "%s", "longer than ten bytes");
    CHECK(s.failed && s.n == 0);
    str_clear(&s);
    CHECK(!s.failed);
    str_addn(&s, "a\0b", 3);
    CHECK_INT(s.n, 3);
    str_free(&s);
    CHECK_STR(s.at, "");
    CHECK_INT(s.max, 10);
    str_free(&s);
}

TEST(str_add_json_escapes)
{
    struct str s;
    str_init(&s, 1000);
    str_add_json(&s, "a\"b\\c/\n\r\t\x01\x1f\x7f \xc3\xa9 \xff\xc3 \xed\xa0\x80 \xef\xbf\xbd \xf0\x9f\x98\x80");
    CHECK_STR(s.at, "\"a\\\"b\\\\c/\\n\\r\\t\\u0001\\u001f\\u007f \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd "
                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd \xf0\x9f\x98\x80\"");
    str_clear(&s);
    str_add_json(&s, "");
    CHECK_STR(s.at, "\"\"");
    str_free(&s);
}

static const struct { double value; const char *text; } reprs[] = {
    { 0, "0.0" }, { -0.0, "-0.0" }, { 1, "1.0" }, { 50, "50.0" }, { 0.1, "0.1" }, { -2.5, "-2.5" },
    { 0.1 + 0.2, "0.30000000000000004" }, { 67.68707482993197, "67.68707482993197" },
    { 1e-5, "1e-05" }, { 1.5e-5, "1.5e-05" }, { 1e-4, "0.0001" }, { 0.00123, "0.00123" },
    { 1e15, "1000000000000000.0" }, { 1e16, "1e+16" }, { 123456789012345680.0, "1.2345678901234568e+17" },
    { 9007199254740993.0, "9007199254740992.0" }, { 1e22, "1e+22" }, { 1e100, "1e+100" },
    { 5e-324, "5e-324" }, { 2.2250738585072014e-308, "2.2250738585072014e-308" },
    { 1.7976931348623157e308, "1.7976931348623157e+308" }, { 0x1p-44, "5.684341886080802e-14" },
    { 100.0 / 3, "33.333333333333336" }, { 2.0 / 3, "0.6666666666666666" },
};

TEST(str_add_number_is_pythons_repr)
{
    struct str s;
    str_init(&s, 100);
    for (size_t i = 0; i < COUNT(reprs); i++) {
        str_clear(&s);
        str_add_number(&s, reprs[i].value);
        CHECK_STR(s.at, reprs[i].text);
    }
    str_clear(&s);
    str_add_number(&s, NAN);
    str_add_number(&s, -INFINITY);
    CHECK_STR(s.at, "nullnull");
    str_free(&s);
}

static void add_repr(struct sha256 *h, struct str *s, uint64_t bits, long *wrong)
{
    double value, back;
    memcpy(&value, &bits, sizeof value);
    str_clear(s);
    str_add_number(s, value);
    *wrong += !str_to_double(s->at, &back) || memcmp(&back, &value, sizeof value) != 0;
    str_addc(s, '\n');
    sha256_add(h, s->at, s->n);
}

static void check_hash(struct sha256 *h, const char *want)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    sha256_end(h, hash);
    sha256_hex(hash, hex);
    CHECK_STR(hex, want);
}

TEST(str_add_number_agrees_with_python_on_106000_doubles)
{
    struct sha256 h;
    struct str s;
    long wrong = 0;
    uint64_t seed = 0;
    sha256_init(&h);
    str_init(&s, 100);
    for (uint64_t e = 0; e < 2047; e++)
        for (int d = -1; d <= 1; d++)
            add_repr(&h, &s, (e << 52) + (e || d >= 0 ? (uint64_t)d : 0), &wrong);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = splitmix(&seed);
        if ((bits >> 52 & 0x7ff) != 0x7ff)
            add_repr(&h, &s, bits, &wrong);
    }
    CHECK_INT(wrong, 0);                                    /* each reads back as itself */
    check_hash(&h, "04651961c539176f30a5095478314458b6bf598f9bf1922b60e187a59255f90d");
    str_free(&s);
}

TEST(numbers_do_not_follow_the_locale)
{
    static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "de_DE" };
    bool found = false;
    for (size_t i = 0; i < COUNT(commas) && !found; i++)
        found = setlocale(LC_ALL, commas[i]) != NULL;
    if (!found)
        SKIP("no locale with a decimal comma (de_DE, fr_FR) is installed");
    struct str s;
    double value;
    str_init(&s, 100);
    str_add_number(&s, 67.68707482993197);
    CHECK_STR(s.at, "67.68707482993197");
    CHECK(str_to_double("67.68707482993197123456", &value) && value == 67.68707482993197);
    CHECK(!str_to_double("67,5", &value));
    str_free(&s);
}

TEST(str_to_numbers_take_the_whole_text)
{
    static const char *const no_int[] = { "", "-", "+", " 1", "1 ", "1.0", "0x1", "1e3",
        "9223372036854775808", "-9223372036854775809", "99999999999999999999" };
    static const char *const no_double[] = { "", "-", ".", "e5", "1e", "1e+", " 1", "1 ", "0x1p3",
        "nan", "inf", "infinity", "1e999", "-1e999", "1..2", "1.2.3", "1,5", "--1", "1e5.0" };
    static const struct { const char *text; double value; } doubles[] = {
        { "0", 0 }, { "-0", -0.0 }, { ".5", 0.5 }, { "5.", 5 }, { "+1.25e2", 125 }, { "1E-2", 0.01 },
        { "0.1", 0.1 }, { "1e22", 1e22 }, { "1e23", 1e23 }, { "9007199254740993", 9007199254740992.0 },
        { "4.9e-324", 5e-324 }, { "1e-400", 0 }, { "0e999999999999", 0 }, { "00012", 12 },
        { "0.000000000000000000000000000000000000000001", 1e-42 },
        { "123456789012345678901234567890", 123456789012345678901234567890.0 },
        { "8.98846567431157953864652595394512366808988489471153286367150405788663379027504815663"
          "5424e307", 8.98846567431158e307 },
        { "3.141592653589793238462643383279", 3.141592653589793 },
    };
    int64_t i;
    double d;
    for (size_t k = 0; k < COUNT(no_int); k++)
        if (!CHECK(!str_to_int(no_int[k], &i)))
            printf("  %s\n", no_int[k]);
    for (size_t k = 0; k < COUNT(no_double); k++)
        if (!CHECK(!str_to_double(no_double[k], &d)))
            printf("  %s\n", no_double[k]);
    for (size_t k = 0; k < COUNT(doubles); k++) {
        CHECK(str_to_double(doubles[k].text, &d));
        if (!CHECK(!memcmp(&d, &doubles[k].value, sizeof d)))
            printf("  %s gave %.17g\n", doubles[k].text, d);
    }
    CHECK(str_to_int("9223372036854775807", &i) && i == INT64_MAX);
    CHECK(str_to_int("-9223372036854775808", &i) && i == INT64_MIN);
    CHECK(str_to_int("+007", &i) && i == 7);
    CHECK(str_to_double_n("2.5xyz", 3, &d) && d == 2.5);
}

/* ---- sha256 ---------------------------------------------------------------------------------- */

TEST(sha256_standard_vectors)
{
    static const struct { const char *text, *hash; } vectors[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    struct sha256 h;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        sha256_init(&h);
        sha256_add(&h, vectors[i].text, strlen(vectors[i].text));
        check_hash(&h, vectors[i].hash);
    }
    char a[997];
    memset(a, 'a', sizeof a);
    sha256_init(&h);
    for (size_t left = 1000000, n; left; left -= n)
        sha256_add(&h, a, n = left < sizeof a ? left : sizeof a);
    check_hash(&h, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Long pieces may go through the processor's own instructions, single blocks never do. */
TEST(sha256_does_not_depend_on_the_pieces)
{
    enum { N = 5000 };
    unsigned char data[N], whole[SHA256_SIZE], parts[SHA256_SIZE];
    uint64_t seed = 3;
    for (size_t i = 0; i < N; i++)
        data[i] = (unsigned char)splitmix(&seed);
    for (size_t n = 0; n < N; n += 1 + n / 16) {
        struct sha256 h;
        sha256_init(&h);
        sha256_add(&h, data, n);
        sha256_end(&h, whole);
        for (size_t piece = 1; piece <= 64; piece += 7) {
            sha256_init(&h);
            for (size_t i = 0; i < n; i += piece)
                sha256_add(&h, data + i, piece < n - i ? piece : n - i);
            sha256_end(&h, parts);
            if (!CHECK(!memcmp(whole, parts, sizeof whole)))
                return;
        }
    }
}

TEST(sha256_file_reads_to_the_end)
{
    struct err e = { 0 };
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    char *a = malloc(1000000);
    memset(a, 'a', 1000000);
    CHECK_OK(file_write("a", a, 1000000, &e), e);
    CHECK_OK(sha256_file("a", hash, &e), e);
    sha256_hex(hash, hex);
    CHECK_STR(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK_INT(sha256_file("absent", hash, &e), ERR_DATA);
    CHECK_STR(e.text, "absent: No such file or directory");
    err_clear(&e);
    CHECK_INT(sha256_file(".", hash, &e), ERR_DATA);
    free(a);
}

/* ---- files ----------------------------------------------------------------------------------- */

TEST(file_open_says_what_is_wrong)
{
    struct file f;
    struct err e = { 0 };
    CHECK_INT(file_open(&f, "absent", ERR_CHECKPOINT, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "absent: No such file or directory");
    file_close(&f);
    err_clear(&e);
    CHECK_INT(file_open(&f, ".", ERR_DATA, &e), ERR_DATA);
    CHECK_STR(e.text, ".: is a folder, expected a file");
    err_clear(&e);
    CHECK(mkfifo("pipe", 0600) == 0);
    CHECK_INT(file_open(&f, "pipe", ERR_DATA, &e), ERR_DATA);   /* and does not wait */
    err_clear(&e);
    CHECK_OK(file_write("empty", NULL, 0, &e), e);
    CHECK_OK(file_open(&f, "empty", ERR_DATA, &e), e);
    CHECK(f.n == 0 && f.at != NULL);
    file_close(&f);
    CHECK_INT(file_size("empty"), 0);
    CHECK_INT(file_size("absent"), -1);
    CHECK_INT(file_size("."), -1);
    CHECK(file_is_dir(".") && !file_is_dir("empty") && file_exists("empty"));
}

TEST(file_write_leaves_the_old_file_on_failure)
{
    struct err e = { 0 };
    struct file f;
    CHECK_OK(file_write("kept", "old", 3, &e), e);
    CHECK_OK(file_write("kept", "newer", 5, &e), e);
    char *big = calloc(1, 1 << 20);
    struct rlimit limit = { 4096, 4096 };
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);                        /* the disk is full after 4 kB */
    CHECK_INT(file_write("kept", big, 1 << 20, &e), ERR_INTERNAL);
    CHECK(strstr(e.text, "kept: cannot write") != NULL);
    err_clear(&e);
    CHECK_OK(file_open(&f, "kept", ERR_DATA, &e), e);
    CHECK(f.n == 5 && !memcmp(f.at, "newer", 5));
    file_close(&f);
    CHECK_INT(system("test \"$(ls | wc -l)\" = 1"), 0);     /* no remains */
    CHECK_INT(file_write("no/such/folder/x", "x", 1, &e), ERR_INTERNAL);
    free(big);
}

/* A reader during many writes, the writer killed in between: always one whole version. */
TEST(file_write_is_seen_whole_or_not_at_all)
{
    enum { N = 200000 };
    struct err e = { 0 };
    char *bytes = malloc(N);
    memset(bytes, 'a', N);
    CHECK_OK(file_write("x", bytes, N, &e), e);
    for (int round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0)
            for (int i = 0;; i++) {
                memset(bytes, 'a' + i % 26, N);
                file_write("x", bytes, N, &e);
            }
        for (int i = 0; i < 40; i++) {
            struct file f;
            CHECK_OK(file_open(&f, "x", ERR_DATA, &e), e);
            CHECK(f.n == N && f.at[0] == f.at[N - 1] && f.at[0] == f.at[N / 2]);
            file_close(&f);
            usleep(500);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    free(bytes);
}

TEST(file_write_goes_through_to_a_pipe)
{
    struct err e = { 0 };
    char got[4] = "";
    CHECK(mkfifo("pipe", 0600) == 0);
    int fd = open("pipe", O_RDWR | O_NONBLOCK);
    CHECK_OK(file_write("pipe", "yes", 3, &e), e);
    CHECK_INT(read(fd, got, 3), 3);
    CHECK_STR(got, "yes");
    close(fd);
}

TEST(folders_are_made_and_removed)
{
    struct err e = { 0 };
    CHECK_OK(file_mkdirs("a/b//c/", &e), e);
    CHECK_OK(file_mkdirs("a/b/c", &e), e);
    CHECK(file_is_dir("a/b/c"));
    CHECK_OK(file_write("a/b/file", "x", 1, &e), e);
    CHECK_INT(file_mkdirs("a/b/file/d", &e), ERR_INTERNAL);
    CHECK_STR(e.text, "a/b/file: is a file, expected a folder");
    err_clear(&e);
    CHECK_OK(file_mkdirs("outside", &e), e);
    CHECK_OK(file_write("outside/kept", "x", 1, &e), e);
    CHECK(symlink("../../outside", "a/b/link") == 0);
    CHECK(symlink("nowhere", "a/dangling") == 0);
    CHECK_OK(file_remove_all("a", &e), e);
    CHECK(!file_exists("a"));
    CHECK(file_exists("outside/kept"));                     /* the link was removed, not followed */
    CHECK(symlink("outside", "link") == 0);
    CHECK_OK(file_remove_all("link", &e), e);
    CHECK(file_exists("outside/kept") && !file_exists("link"));
    CHECK_OK(file_remove_all("absent", &e), e);
    CHECK_OK(file_remove_all("outside/kept", &e), e);
    CHECK(!file_exists("outside/kept"));
}

TEST(paths_join)
{
    struct arena a = { 0 };
    CHECK_STR(path_join(&a, "a", "b"), "a/b");
    CHECK_STR(path_join(&a, "a/", "b"), "a/b");
    CHECK_STR(path_join(&a, "/", "b"), "/b");
    CHECK_STR(path_join(&a, "", "b"), "b");
    CHECK_STR(path_join(&a, "a", "/b"), "/b");
    CHECK_STR(path_base("a/b.c"), "b.c");
    CHECK_STR(path_base("b"), "b");
    CHECK_STR(path_base("a/"), "");
    arena_free(&a);
}

/* ---- utf8 ------------------------------------------------------------------------------------ */

TEST(utf8_takes_every_code_point_and_no_bad_byte)
{
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf",
        "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
        "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
    };
    char out[UTF8_MAX];
    size_t length;
    long wrong = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        size_t n = utf8_put(out, c);
        wrong += utf8_get(out, n, &length) != c || length != n || !utf8_valid(out, n) ||
                 (n > 1 && utf8_get(out, n - 1, &length) != UTF8_BAD);
    }
    CHECK_INT(wrong, 0);
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_INT(utf8_get(bad[i], strlen(bad[i]), &length), UTF8_BAD);
        CHECK_INT(length, 1);
        CHECK(!utf8_valid(bad[i], strlen(bad[i])));
    }
    CHECK(utf8_put(out, 0xd800) == 3 && !memcmp(out, "\xef\xbf\xbd", 3));
    CHECK(utf8_put(out, 0x110000) == 3 && !memcmp(out, "\xef\xbf\xbd", 3));
    CHECK(utf8_valid("", 0));
    CHECK_INT(utf8_count("a\xc3\xa9\xf0\x9f\x98\x80\xff"), 4);
}

typedef char *text_function(struct arena *, const char *);

static void check_all(text_function *f, const char *want)
{
    struct sha256 h;
    struct arena a = { 0 };
    sha256_init(&h);
    for (uint32_t c = 1; c < 0x110000; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        char text[UTF8_MAX + 1];
        text[utf8_put(text, c)] = '\0';
        const char *out = f(&a, text);
        sha256_add(&h, out, strlen(out));
        sha256_add(&h, "\n", 1);
        arena_reset(&a);
    }
    check_hash(&h, want);
    arena_free(&a);
}

TEST(utf8_case_agrees_with_python_on_every_code_point)
{
    check_all(utf8_lower, "0fd52b670bc397db29b61a6c7472d017db8c761db2e65691a2fae559d55f1e00");
    check_all(utf8_capitalize, "60ae0bf6369f540bdd8ab5a2e3f95acc04ccec3b5e5b7d09313051010d39cc5b");
}

static void check_members(bool (*is)(uint32_t), const char *want)
{
    struct sha256 h;
    char line[16];
    sha256_init(&h);
    for (uint32_t c = 1; c < 0x110000; c++)
        if (!(c >= 0xd800 && c < 0xe000) && is(c))
            sha256_add(&h, line, (size_t)snprintf(line, sizeof line, "%x\n", (unsigned)c));
    check_hash(&h, want);
}

TEST(utf8_space_and_digits_agree_with_python)
{
    int spaces = 0;
    for (uint32_t c = 0; c < 0x110000; c++)
        spaces += utf8_is_space(c);
    CHECK_INT(spaces, 29);
    CHECK(!utf8_is_space(0x200b) && !utf8_is_space(0x180e) && !utf8_is_space(0xfeff));
    check_members(utf8_is_space, "96bbd99492816c4c8d868ecc18007c3dda12bcda963267e7496c79999b90c770");
    check_members(utf8_is_digit, "47eadb393e136d47a237aac67eeed9f6541df17de9fab4ab75902dafc5105d7a");
}

TEST(utf8_words_agree_with_python)
{
    static const uint32_t alphabet[] = {                    /* as in recorded.py */
        'a', 'Z', 0x3a3, 0x3c3, 0x391, 0x130, 0xad, 0x301, '\'', '.', ':', 0x2019, ' ', '1', '-',
        0x1c5, 0x2b0, 0x2160, 0x1f130, 0xdf, 0x4e00, '_', 0x1e9e,
    };
    struct sha256 h;
    struct arena a = { 0 };
    uint64_t seed = 0;
    sha256_init(&h);
    for (int i = 0; i < 20000; i++) {
        char word[64];
        size_t n = 0;
        for (uint64_t left = 1 + splitmix(&seed) % 8; left; left--)
            n += utf8_put(word + n, alphabet[splitmix(&seed) % COUNT(alphabet)]);
        word[n] = '\0';
        const char *line = arena_fmt(&a, "%s %s\n", utf8_lower(&a, word), utf8_capitalize(&a, word));
        sha256_add(&h, line, strlen(line));
        arena_reset(&a);
    }
    check_hash(&h, "ef889d5ecee1bebd3e545fddd50a3e16781eebdc2eff987754bc20858ee8ee71");
    arena_free(&a);
}

TEST(utf8_known_cases)
{
    struct arena a = { 0 };
    CHECK_STR(utf8_lower(&a, "\xce\x91\xce\xa3"), "\xce\xb1\xcf\x82");              /* ΑΣ -> ας */
    CHECK_STR(utf8_lower(&a, "\xce\xa3"), "\xcf\x83");                              /* Σ -> σ */
    CHECK_STR(utf8_lower(&a, "\xce\x91\xce\xa3."), "\xce\xb1\xcf\x82.");
    CHECK_STR(utf8_lower(&a, "\xce\x91\xce\xa3\xce\x91"), "\xce\xb1\xcf\x83\xce\xb1");
    CHECK_STR(utf8_lower(&a, "\xc4\xb0" "X"), "i\xcc\x87x");                        /* U+0130 */
    CHECK_STR(utf8_lower(&a, "A\xff\xce\xa3"), "a\xef\xbf\xbd\xcf\x83");            /* bad byte */
    CHECK_STR(utf8_lower(&a, "A\x80\xce\xa3"), "a\xef\xbf\xbd\xcf\x83");
    CHECK_STR(utf8_lower(&a, "\xce\xa3\xbf"), "\xcf\x83\xef\xbf\xbd");
    CHECK_STR(utf8_capitalize(&a, "hELLO wORLD"), "Hello world");
    CHECK_STR(utf8_capitalize(&a, "\xc3\x9f" "X"), "Ssx");
    CHECK_STR(utf8_capitalize(&a, "\xef\xac\x83"), "Ffi");
    CHECK_STR(utf8_capitalize(&a, ""), "");
    CHECK_STR(utf8_strip(&a, " \t\xe3\x80\x80 a b \xc2\x85\n"), "a b");
    CHECK_STR(utf8_strip(&a, "\xe2\x80\x8b x"), "\xe2\x80\x8b x");
    CHECK_STR(utf8_strip(&a, " \n "), "");
    CHECK_STR(utf8_strip(&a, ""), "");
    CHECK_INT(utf8_upper_simple(0x1fb3), 0x1fbc);
    CHECK_INT(utf8_upper_simple(0xdf), 0xdf);
    CHECK_INT(utf8_lower_simple(0x130), 'i');
    arena_free(&a);
}
