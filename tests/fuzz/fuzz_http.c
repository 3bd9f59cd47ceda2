/* Any bytes as what a server says and what a download left behind. The first byte picks: an answer's
 * headers, line by line; FILE.part.from; a hub's list of files; a data folder's .manifest.json and, behind
 * byte 30, .SHA256SUMS. No network: libcurl's callbacks are called as it would. Not part of
 * test_fuzzed.c: it takes two files of the harness in, to reach what is static there. */
#include "harness/http.c"
#include "harness/hub.c"

#include "harness/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

const char llava_eval_version[] = "fuzz";

enum status run_stopped(void)
{
    return OK;
}

char *llava_missing_tower(const char *checkpoint, const struct llava_options *o)
{
    (void)checkpoint, (void)o;
    return NULL;
}

static void put_text(const char *path, const uint8_t *bytes, size_t n)
{
    struct err e = { 0 };
    if (file_write(path, (const char *)bytes, n, &e) != OK)
        abort();
}

static void must_end(const char *text, size_t size)
{
    if (strnlen(text, size) == size)
        abort();
}

static void read_headers(const uint8_t *bytes, size_t n)
{
    static const struct http_get get = { .url = "http://h/x" };
    struct http_answer a = { .bytes = -1 };
    struct transfer t = { .get = &get, .answer = &a, .fd = -1, .path = "p", .have = 100,
                          .asked_from = 100, .range_from = -1, .range_total = -1 };
    while (n) {
        const uint8_t *end = memchr(bytes, '\n', n);
        size_t length = end ? (size_t)(end - bytes) + 1 : n;
        char *line = malloc(length);                        /* of its own, and without a NUL */
        if (!line)
            return;
        memcpy(line, bytes, length);
        if (on_header(line, 1, length, &t) != length)
            abort();
        free(line);
        bytes += length;
        n -= length;
    }
    must_end(a.etag, sizeof a.etag);
    must_end(a.linked_etag, sizeof a.linked_etag);
    must_end(a.date, sizeof a.date);
    must_end(a.commit, sizeof a.commit);
    must_end(a.error_code, sizeof a.error_code);
    must_end(a.next, sizeof a.next);
    if (a.bytes < -1 || t.range_from < -1 || t.range_total < -1 ||
        (*a.next && strncasecmp(a.next, "http", 4)))
        abort();
    a.status = 206;
    good(&t, CURLE_OK, false);
    a.status = 416;
    good(&t, CURLE_OK, false);
}

static void read_note(const uint8_t *bytes, size_t n)
{
    static const struct http_get get = { .url = "http://h/x" };
    struct transfer t = { .get = &get, .fd = -1, .path = "p" };
    char out[200];
    put_text("p.from", bytes, n);
    read_from(&t, out, sizeof out);
    must_end(out, sizeof out);
}

static void read_listing(const uint8_t *bytes, size_t n)
{
    struct options o = { 0 };
    struct hub h = { .o = &o, .id = "org/name", .api = "http://h/api" };
    struct err e = { 0 };
    cJSON *page = cJSON_ParseWithLength((const char *)bytes, n);
    if (page)
        take_page(&h, page, "http://h/api", &e);
    for (size_t i = 0; e.code == OK && i < h.n_files; i++) {
        const char *path = h.files[i].path;
        if (is_wanted(&h, path) && (strchr(path, '/') || !strcmp(path, "..")))
            abort();
    }
    cJSON_Delete(page);
    arena_free(&o.arena);
}

/* What was read can be written, and is then read whole. */
static void read_manifest(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct manifest m, again;
    struct err e = { 0 };
    bool damaged = false;
    const uint8_t *apart = n ? memchr(bytes, 30, n) : NULL;
    size_t first = apart ? (size_t)(apart - bytes) : n;

    put_text(".manifest.json", bytes, first);
    put_text(".SHA256SUMS", apart ? apart + 1 : bytes, apart ? n - first - 1 : 0);
    manifest_read(&m, &a, ".", &damaged);
    manifest_hash(&m, "x");
    if (manifest_write(&m, &e) != OK)
        abort();
    manifest_read(&again, &a, ".", &damaged);
    if (damaged || again.n_sources != m.n_sources || again.n_files > m.n_files)
        abort();
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static void (*const readers[])(const uint8_t *, size_t) = { read_headers, read_note, read_listing,
                                                                read_manifest };
    if (n)
        readers[*bytes % COUNT(readers)](bytes + 1, n - 1);
    return 0;
}
