/* Benchmarks from mirrors that are whole, wrong, damaged or slow: what comes to lie in DATA, and
 * what never does. The mirror is demo/mirror, over file:// and over the loopback server. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/fetch.h"
#include "harness/http.h"
#include "harness/manifest.h"
#include "harness/say.h"
#include "tests/check.h"
#include "tests/crash.h"
#include "tests/fixture.h"
#include "tests/httpd.h"

static struct options options_with(const char *mirror)
{
    say_setup(true, 0, false);
    return (struct options){ .data = "data", .mirror = mirror, .quiet = true,
                             .hf_endpoint = "https://huggingface.co", .cache_dir = "cache" };
}

static const char *demo_mirror(void)
{
    static char url[2000];
    struct str path;
    str_init(&path, sizeof url);
    http_add_path(&path, test_root());
    snprintf(url, sizeof url, "file://%s/demo/mirror", path.at);
    str_free(&path);
    return url;
}

static enum status fetch(const struct options *o, const char *name, const char *split,
                         struct fetch_state *state, struct err *e)
{
    *e = (struct err){ 0 };
    return fetch_benchmark(o, benchmark_find(name), split, state, e);
}

TEST(fetch_brings_every_benchmark_of_the_demo)
{
    static const char *const suite[][2] = {
        { "vqav2", "testdev" }, { "vqav2", "val" }, { "gqa", "testdev_balanced" },
        { "vizwiz", "test" }, { "vizwiz", "val" }, { "scienceqa", "test" }, { "textvqa", "val" },
        { "pope", "test" }, { "mme", "test" }, { "mmbench", "dev" }, { "mmbench", "dev_cn" },
        { "seed", "test" }, { "llavabench", "test" }, { "mmvet", "test" },
    };
    struct options o = options_with(demo_mirror());
    for (size_t i = 0; i < COUNT(suite); i++) {
        struct fetch_state state;
        struct err e;
        CHECK_OK(fetch(&o, suite[i][0], suite[i][1], &state, &e), e);
        CHECK(state.complete && state.questions);
        CHECK(!state.official);                             /* the mirror has hashes of its own */
        CHECK_INT(state.bytes_missing, 0);
    }
    CHECK(!file_exists("data/vqav2/.download") && !file_exists("data/vqav2/.unpack"));
    o.mirror = NULL;                                        /* all is there: nobody is asked */
    o.offline = true;
    for (size_t i = 0; i < COUNT(suite); i++) {
        struct fetch_state state;
        struct err e = { 0 };
        CHECK_OK(fetch_look(&o, benchmark_find(suite[i][0]), suite[i][1], &state, &e), e);
        CHECK(state.complete);
        CHECK_OK(fetch(&o, suite[i][0], suite[i][1], &state, &e), e);
    }
}

TEST(fetch_leaves_pictures_out_for_scoring)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct err e;
    o.scoring_only = true;
    CHECK_OK(fetch(&o, "pope", "test", &state, &e), e);
    CHECK(state.complete && file_exists("data/pope/coco_pope_random.json"));
    CHECK(!file_exists("data/pope/val2014"));
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    CHECK(!file_exists("data/gqa/images"));
    o.scoring_only = false;
    CHECK_OK(fetch_look(&o, benchmark_find("pope"), "test", &state, &e), e);
    CHECK(!state.complete && state.questions);
}

TEST(fetch_offline_names_what_is_missing)
{
    struct options o = options_with(NULL);
    struct fetch_state state;
    struct err e;
    o.offline = true;
    CHECK_INT(fetch(&o, "pope", "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "data/pope/coco_pope_random.json") != NULL);
    CHECK(strstr(e.text, "fetch --suite pope:test") != NULL);
    CHECK(!file_exists("data"));
}

/* Data that a user put there: nothing is written beside it, not even a lock. */
TEST(fetch_takes_data_that_lies_there)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct err e;
    CHECK_OK(fetch(&o, "pope", "test", &state, &e), e);
    CHECK_INT(unlink("data/pope/.manifest.json") | unlink("data/pope/.SHA256SUMS") |
              unlink("data/pope/.lock"), 0);
    o.mirror = "file:///nowhere";
    CHECK_OK(fetch(&o, "pope", "test", &state, &e), e);
    CHECK(state.complete);
    CHECK(!state.official);                                 /* its bytes are not the pinned ones */
    CHECK(!file_exists("data/pope/.lock") && !file_exists("data/pope/.manifest.json"));
    o.mirror = demo_mirror();                               /* one picture is lost: it alone comes */
    CHECK_INT(unlink("data/pope/val2014/COCO_val2014_000000310196.jpg"), 0);
    struct stat before, after;
    CHECK_INT(stat("data/pope/coco_pope_random.json", &before), 0);
    CHECK_OK(fetch(&o, "pope", "test", &state, &e), e);
    CHECK(file_exists("data/pope/val2014/COCO_val2014_000000310196.jpg"));
    CHECK_INT(stat("data/pope/coco_pope_random.json", &after), 0);
    CHECK_INT(before.st_ino, after.st_ino);
}

/* A mirror in this folder, of one file. */
static const char *own_mirror(const char *official, const char *content)
{
    static char url[2000];
    char path[2000], here[1000];
    snprintf(path, sizeof path, "mirror/%s", strstr(official, "://") + 3);
    put(path, content);
    if (!getcwd(here, sizeof here))
        return "";
    snprintf(url, sizeof url, "file://%s/mirror", here);
    return url;
}

TEST(fetch_refuses_another_hash_and_keeps_nothing)
{
    const struct source *s = &benchmark_find("pope")->sources[0];
    struct options o = options_with(own_mirror(s->url[0], "{}\n"));
    struct fetch_state state;
    struct err e;
    CHECK_INT(fetch(&o, "pope", "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, s->sha256) != NULL);               /* both hashes are named */
    CHECK(strstr(e.text, "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356") != NULL);
    CHECK(!file_exists("data/pope/coco_pope_random.json"));
    CHECK(!file_exists("data/pope/.download/coco_pope_random.json"));
}

TEST(fetch_checks_a_mirror_by_its_own_sums)
{
    const struct source *s = &benchmark_find("pope")->sources[0];
    struct options o = options_with(own_mirror(s->url[0], "{}\n"));
    struct fetch_state state;
    struct err e;
    char sums[1000];
    snprintf(sums, sizeof sums, "%064d  %s\n", 0, strstr(s->url[0], "://") + 3);
    put("mirror/SHA256SUMS", sums);
    CHECK_INT(fetch(&o, "pope", "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "0000000000000000") != NULL);
    CHECK(!file_exists("data/pope/coco_pope_random.json"));
}

static void copy_mirror(const char *official)
{
    char from[2000], to[2000];
    struct err e = { 0 };
    struct file f;
    snprintf(from, sizeof from, "%s/demo/mirror/%s", test_root(), strstr(official, "://") + 3);
    snprintf(to, sizeof to, "mirror/%s", strstr(official, "://") + 3);
    CHECK_OK(file_open(&f, from, ERR_DATA, &e), e);
    put(to, "");
    CHECK_OK(file_write(to, f.at, f.n, &e), e);
    file_close(&f);
}

TEST(fetch_leaves_nothing_of_a_damaged_archive)
{
    const struct benchmark *b = benchmark_find("vqav2");
    const struct source *questions = &b->sources[0];
    struct options o;
    struct fetch_state state;
    struct err e;
    for (int i = 0; i < b->n_sources; i++)
        copy_mirror(b->sources[i].url[0]);
    o = options_with(own_mirror("x://unused", ""));
    char zip[1000];
    struct file f;
    struct err mine = { 0 };
    snprintf(zip, sizeof zip, "mirror/%s", strstr(questions->url[0], "://") + 3);
    CHECK_OK(file_open(&f, zip, ERR_DATA, &mine), mine);
    CHECK_OK(file_write("cut", f.at, f.n / 2, &mine), mine);
    file_close(&f);
    CHECK_INT(rename("cut", zip), 0);
    CHECK_INT(fetch(&o, "vqav2", "testdev", &state, &e), ERR_DATA);
    CHECK(!file_exists("data/vqav2/v2_OpenEnded_mscoco_test-dev2015_questions.json"));
    CHECK(!file_exists("data/vqav2/.unpack"));
    copy_mirror(questions->url[0]);                         /* mended: the same command goes on */
    CHECK_OK(fetch(&o, "vqav2", "testdev", &state, &e), e);
    CHECK(state.complete);
}

/* kill -9 between the two writes of the manifest: the folder looks full, but is not believed. */
TEST(fetch_does_not_believe_a_half_unpacked_folder)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct arena a = { 0 };
    struct manifest m;
    struct err e;
    bool damaged = false;
    CHECK_OK(fetch(&o, "mme", "test", &state, &e), e);
    manifest_read(&m, &a, "data/mme", &damaged);
    CHECK(!damaged && m.n_sources == 1 && m.sources[0].complete && m.n_files > 50);
    m.sources[0].complete = false;
    CHECK_OK(manifest_write(&m, &e), e);
    CHECK_OK(fetch_look(&o, benchmark_find("mme"), "test", &state, &e), e);
    CHECK(!state.complete);
    CHECK_OK(fetch(&o, "mme", "test", &state, &e), e);
    CHECK(state.complete);
    arena_free(&a);
}

struct fetching { const struct options *o; const char *name, *split; };

static void fetch_in_child(void *user)
{
    const struct fetching *f = user;
    struct fetch_state state;
    struct err e;
    CHECK_OK(fetch(f->o, f->name, f->split, &state, &e), e);
}

/* Pictures in place are on record: "recorded on first download" holds for what kill -9 left. */
static bool on_record(void)
{
    struct arena a = { 0 };
    struct manifest m;
    bool damaged = false, good = true;
    char name[64];
    manifest_read(&m, &a, "data/llavabench", &damaged);
    for (int i = 1; i <= 24; i++) {
        snprintf(name, sizeof name, "images/%03d.jpg", i);
        char path[100];
        snprintf(path, sizeof path, "data/llavabench/%s", name);
        good = good && (!file_exists(path) || manifest_hash(&m, name) != NULL);
    }
    arena_free(&a);
    return good;
}

/* kill -9 at every moment that leaves another folder behind: before and after each rename. What is
 * found complete then is whole, and the same command ends well and verifies. */
TEST(fetch_killed_at_any_moment_ends_well)
{
    static const char *const suite[][2] = {                 /* every kind of source */
        { "mmvet", "test" },                                /* an archive, then a pinned file */
        { "llavabench", "test" },                           /* files of which one is pinned; pictures */
        { "gqa", "testdev_balanced" },                      /* two archives */
    };
    for (size_t i = 0; i < COUNT(suite); i++)
        for (int after = 0; after < 2; after++)
            for (int n = 1;; n++) {
                struct options o = options_with(demo_mirror());
                struct fetching f = { &o, suite[i][0], suite[i][1] };
                struct fetch_state state = { 0 };
                struct err e = { 0 };
                CHECK_OK(file_remove_all("data", &e), e);
                if (!crash_at_rename(n, after, fetch_in_child, &f)) {
                    CHECK(n > 5);                           /* it did die before */
                    break;
                }
                CHECK_OK(fetch_look(&o, benchmark_find(f.name), f.split, &state, &e), e);
                o.verify = o.offline = true;
                if (state.complete)
                    CHECK_OK(fetch(&o, f.name, f.split, &state, &e), e);
                o.verify = o.offline = false;
                CHECK(on_record());
                CHECK_OK(fetch(&o, f.name, f.split, &state, &e), e);
                CHECK(state.complete && !state.official);
                o.verify = true;
                if (!CHECK_OK(fetch(&o, f.name, f.split, &state, &e), e)) {
                    printf("%s, killed %s rename %d\n", f.name, after ? "after" : "before", n);
                    return;
                }
            }
}

TEST(fetch_verify_finds_a_changed_file)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct err e;
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    o.verify = true;
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    put("data/gqa/images/n161313.jpg", "another picture");
    CHECK_INT(fetch(&o, "gqa", "testdev_balanced", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "data/gqa/images/n161313.jpg") != NULL);
    CHECK_INT(unlink("data/gqa/images/n161313.jpg"), 0);
    o.offline = true;                                       /* gone: missing, which is not changed */
    CHECK_INT(fetch(&o, "gqa", "testdev_balanced", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "n161313.jpg is missing") != NULL);
    o.offline = false;
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
}

TEST(fetch_goes_by_the_files_where_the_manifest_is_damaged)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct err e;
    CHECK_OK(fetch(&o, "textvqa", "val", &state, &e), e);
    put("data/textvqa/.manifest.json", "{\"version\": 1, \"sources\": [{");
    CHECK_OK(fetch(&o, "textvqa", "val", &state, &e), e);
    CHECK(state.complete);
}

TEST(fetch_keeps_archives_when_told)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct err e;
    o.keep_archives = true;
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    CHECK(file_exists("data/gqa/.download/images.zip"));
}

/* An image name of a question file is foreign text: it must not lead out of DATA. */
TEST(fetch_refuses_a_picture_outside_of_its_folder)
{
    struct options o = options_with(demo_mirror());
    struct fetch_state state;
    struct err e;
    o.scoring_only = true;
    CHECK_OK(fetch(&o, "pope", "test", &state, &e), e);
    o.scoring_only = false;
    put("data/pope/coco_pope_random.json", "{\"question_id\": 1, \"image\": \"../../../evil.jpg\", "
        "\"text\": \"Is there a dog?\", \"label\": \"yes\"}\n");
    CHECK_INT(fetch(&o, "pope", "test", &state, &e), ERR_DATA);
    CHECK(!file_exists("evil.jpg") && !file_exists("data/evil.jpg"));
}

/* ---- over http --------------------------------------------------------------------------------- */

struct trouble { const char *root; int broken; };

/* Serves the demo's mirror; of every path the first answer is a failure. */
static void serve_mirror(struct httpd_call *c)
{
    struct trouble *t = c->user;
    if (c->number % 3 == 1) {
        t->broken++;
        httpd_send(c, 503, "Retry-After: 0\r\n", "", 0);
    } else {
        httpd_send_file(c, t->root);
    }
}

TEST(fetch_comes_through_a_bad_connection)
{
    char root[2000], url[100];
    struct fetch_state state;
    struct err e;
    snprintf(root, sizeof root, "%s/demo/mirror", test_root());
    struct trouble trouble = { root, 0 };
    struct httpd *s = httpd_start(serve_mirror, &trouble);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", httpd_port(s));
    struct options o = options_with(url);
    CHECK_OK(fetch(&o, "mmvet", "test", &state, &e), e);
    CHECK(state.complete && !state.official);
    CHECK(trouble.broken > 0);
    httpd_stop(s);
}

/* Several files at a time; one that fails then is had by the plain way. */
static void serve_slowly(struct httpd_call *c)
{
    const struct trouble *t = c->user;
    usleep(100000);
    if (strstr(c->path, "SHA256SUMS"))
        httpd_send(c, 404, "", "", 0);
    else if (strstr(c->path, "answers_gpt4") && c->number <= 5)
        httpd_send(c, 503, "Retry-After: 0\r\n", "", 0);
    else
        httpd_send_file(c, t->root);
}

TEST(fetch_brings_several_files_at_once)
{
    char root[2000], url[100];
    struct fetch_state state;
    struct err e;
    snprintf(root, sizeof root, "%s/demo/mirror", test_root());
    struct trouble trouble = { root, 0 };
    struct httpd *s = httpd_start(serve_slowly, &trouble);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", httpd_port(s));
    struct options o = options_with(url);
    o.scoring_only = true;
    CHECK_INT(fetch(&o, "llavabench", "test", &state, &e), ERR_DATA);   /* rule.json is the demo's own */
    CHECK(strstr(e.text, "rule.json") != NULL);
    CHECK(file_exists("data/llavabench/questions.jsonl") && file_exists("data/llavabench/answers_gpt4.jsonl"));
    CHECK(httpd_most(s) > 1);
    httpd_stop(s);
}

static void serve_page(struct httpd_call *c)
{
    if (strstr(c->path, "SHA256SUMS"))
        httpd_send(c, 404, "", "", 0);
    else
        httpd_send(c, 200, "Content-Type: text/html; charset=utf-8\r\n", "<html>log in</html>", 19);
}

TEST(fetch_takes_no_web_page_for_data)
{
    char url[100];
    struct fetch_state state;
    struct err e;
    struct httpd *s = httpd_start(serve_page, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", httpd_port(s));
    struct options o = options_with(url);
    CHECK_INT(fetch(&o, "scienceqa", "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "web page") != NULL);
    CHECK(!file_exists("data/scienceqa/problems.json"));
    httpd_stop(s);
}

/* ---- a benchmark of our own: pins, fall-back addresses, absent pictures ------------------------- */

static enum status read_own(const char *dir, const char *split, struct questions *qs, struct err *e)
{
    (void)dir, (void)split, (void)e;
    questions_add(qs, (struct question){ .id = "1", .image = "pics/a.jpg", .text = "?" });
    questions_add(qs, (struct question){ .id = "2", .image = "pics/b.jpg", .text = "?" });
    return OK;
}

static const char *const *own_files(const char *split)
{
    static const char *const files[] = { "q.json", NULL };
    (void)split;
    return files;
}

TEST(fetch_tries_the_next_address_and_knows_the_official_file)
{
    struct source sources[] = {
        { .path = "q.json", .url = { "https://first.example/q.json", "https://second.example/q.json" },
          .sha256 = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356" },
        { .path = "pics/*", .url = { "https://first.example/pics/*" }, .images = true },
    };
    struct benchmark own = { .name = "own", .splits = "test", .sources = sources, .n_sources = 2,
                             .read = read_own, .question_files = own_files };
    struct options o = options_with(own_mirror("https://second.example/q.json", "{}\n"));
    struct fetch_state state;
    struct err e = { 0 };
    o.scoring_only = true;
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.complete && state.official);
    put("data/own/q.json", "{ }\n");                        /* changed by hand: used, not official */
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.complete && !state.official);
    o.verify = true;                                        /* and refused where asked to check */
    CHECK_INT(fetch_benchmark(&o, &own, "test", &state, &e), ERR_DATA);

    o.verify = o.scoring_only = false;                      /* pictures: one of two is there */
    put("mirror/first.example/pics/a.jpg", "picture");
    e = (struct err){ 0 };
    CHECK_INT(fetch_benchmark(&o, &own, "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "pics/b.jpg") != NULL);
    CHECK(file_exists("data/own/pics/a.jpg"));              /* it stays; the other is asked again */
    put("mirror/first.example/pics/b.jpg", "picture");
    e = (struct err){ 0 };
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.complete);
}

/* Without a pin: what fetch brought must be unchanged, what was put there must have the right number. */
TEST(fetch_knows_data_that_was_altered)
{
    struct source sources[] = { { .path = "q.json", .url = { "https://first.example/q.json" } } };
    struct benchmark own = { .name = "own", .splits = "test", .sources = sources, .n_sources = 1,
                             .read = read_own, .question_files = own_files, .official_n = { 2 } };
    struct options o = options_with(own_mirror("https://first.example/q.json", "{}\n"));
    struct fetch_state state;
    struct err e = { 0 };
    bool official = false;
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.official);
    CHECK_OK(fetch_is_official(&o, &own, "test", 2, &official, &e), e);
    CHECK(official);
    put("data/own/q.json", "{ }\n");
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);     /* used, and it shows */
    CHECK(state.complete && !state.official);
    CHECK_OK(fetch_is_official(&o, &own, "test", 2, &official, &e), e);
    CHECK(!official);
    CHECK_OK(file_remove_all("data", &e), e);               /* put there by hand */
    put("data/own/q.json", "{ }\n");
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.official);
    own.official_n[0] = 3;
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK(state.complete && !state.official);
}

TEST(fetch_official_numbers_of_questions)
{
    CHECK_INT(benchmark_official_n(benchmark_find("vqav2"), "val"), 214354);
    CHECK_INT(benchmark_official_n(benchmark_find("vqav2"), "testdev"), 107394);
    CHECK_INT(benchmark_official_n(benchmark_find("vizwiz"), "val"), 4319);
    CHECK_INT(benchmark_official_n(benchmark_find("mmbench"), "dev_cn"), 0);
    CHECK_INT(benchmark_official_n(benchmark_find("pope"), "test"), 8910);
}

/* ---- by hand, by token --------------------------------------------------------------------------- */

/* What cannot be had from here: where to put it is said, and it is picked up from there. */
TEST(fetch_picks_up_what_was_put_there)
{
    struct options o = options_with("file:///nowhere");
    struct fetch_state state;
    struct err e;
    const struct benchmark *b = benchmark_find("gqa");
    CHECK_INT(fetch(&o, "gqa", "testdev_balanced", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "put it at data/gqa/questions1.2.zip") != NULL);
    for (int i = 0; i < b->n_sources; i++) {
        char to[200];
        copy_mirror(b->sources[i].url[0]);
        char from[2000];
        snprintf(from, sizeof from, "mirror/%s", strstr(b->sources[i].url[0], "://") + 3);
        snprintf(to, sizeof to, "data/gqa/%s", path_base(from));
        CHECK_INT(rename(from, to), 0);
    }
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    CHECK(state.complete && !state.official);               /* too few questions */
    CHECK(file_exists("data/gqa/images.zip"));              /* it is the user's: it stays */
    o.verify = true;
    CHECK_OK(fetch(&o, "gqa", "testdev_balanced", &state, &e), e);
    put("data/pope/coco_pope_random.json", "");             /* a single file: at its own place */
    CHECK_INT(unlink("data/pope/coco_pope_random.json"), 0);
    o.verify = false;
    CHECK_INT(fetch(&o, "pope", "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "put it at data/pope/coco_pope_random.json") != NULL);
}

struct seen { char hub[200], elsewhere[200]; };

static void note_tokens(struct httpd_call *c)
{
    struct seen *seen = c->user;
    snprintf(strstr(c->path, "/datasets/") ? seen->hub : seen->elsewhere, sizeof seen->hub, "%s",
             *c->authorization ? c->authorization : "none");
    if (!strcmp(c->path, "/datasets/gated.json") && !*c->authorization)
        httpd_send(c, 401, "", "", 0);
    else
        httpd_send(c, 200, "", "{}\n", 3);
}

TEST(fetch_shows_the_token_to_the_hub_alone)
{
    struct seen seen = { "", "" };
    char endpoint[100], elsewhere[100];
    struct fetch_state state;
    struct err e = { 0 };
    struct httpd *s = httpd_start(note_tokens, &seen);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", httpd_port(s));
    snprintf(elsewhere, sizeof elsewhere, "http://localhost:%d/other.json", httpd_port(s));
    struct source sources[] = {
        { .path = "q.json", .url = { "https://huggingface.co/datasets/gated.json" } },
        { .path = "other.json", .url = { elsewhere } } };
    struct benchmark own = { .name = "own", .splits = "test", .sources = sources, .n_sources = 2,
                             .read = read_own, .question_files = own_files };
    struct options o = options_with(NULL);
    o.hf_endpoint = endpoint;                               /* HF_ENDPOINT stands in for the hub */
    CHECK_INT(fetch_benchmark(&o, &own, "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "HF_TOKEN") != NULL);
    o.hf_token = "secret";
    e = (struct err){ 0 };
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    CHECK_STR(seen.hub, "Bearer secret");
    CHECK_STR(seen.elsewhere, "none");
    httpd_stop(s);
}

/* A small archive of half a gigabyte of nothing: given up long before that, and nothing stays. */
TEST(fetch_refuses_a_bomb)
{
    struct source sources[] = {
        { .path = "q.json", .url = { "https://own.example/q.json" } },
        { .path = "pics/", .url = { "https://own.example/bomb.zip" },
          .images = true } };
    struct benchmark own = { .name = "own", .splits = "test", .sources = sources, .n_sources = 2,
                             .read = read_own, .question_files = own_files };
    struct options o = options_with(own_mirror("https://own.example/q.json", "{}\n"));
    static char nothing[1 << 20];
    struct fetch_state state;
    struct err e = { 0 };
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    CHECK_INT(archive_write_open_filename(a, "mirror/own.example/bomb.zip"), ARCHIVE_OK);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, "a.jpg");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, 512 << 20);
    archive_write_header(a, entry);
    for (int i = 0; i < 512; i++)
        archive_write_data(a, nothing, sizeof nothing);
    archive_entry_free(entry);
    archive_write_close(a);
    archive_write_free(a);
    CHECK_INT(fetch_benchmark(&o, &own, "test", &state, &e), ERR_DATA);
    CHECK(strstr(e.text, "unpacks to more than") != NULL);
    CHECK(!file_exists("data/own/pics") && !file_exists("data/own/.unpack"));
    CHECK(!file_exists("data/own/.download/bomb.zip"));
}

/* tar -r puts a member behind its older self: the last one counts. */
TEST(fetch_takes_the_last_of_two_members_of_one_name)
{
    struct source sources[] = {
        { .path = "q.json", .url = { "https://own.example/q.json" } },
        { .path = "pics/", .url = { "https://own.example/pics.tar" }, .images = true } };
    struct benchmark own = { .name = "own", .splits = "test", .sources = sources, .n_sources = 2,
                             .read = read_own, .question_files = own_files };
    struct options o = options_with(own_mirror("https://own.example/q.json", "{}\n"));
    struct fetch_state state;
    struct err e = { 0 };
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    CHECK_INT(archive_write_open_filename(a, "mirror/own.example/pics.tar"), ARCHIVE_OK);
    for (int i = 0; i < 2; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, "a.jpg");
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_size(entry, 3);
        archive_write_header(a, entry);
        archive_write_data(a, i ? "new" : "old", 3);
        archive_entry_free(entry);
    }
    archive_write_close(a);
    archive_write_free(a);
    CHECK_OK(fetch_benchmark(&o, &own, "test", &state, &e), e);
    struct file f;
    CHECK_OK(file_open(&f, "data/own/pics/a.jpg", ERR_DATA, &e), e);
    CHECK(f.n == 3 && !memcmp(f.at, "new", 3));
    file_close(&f);
}
