/* pick.c -- see pick.h. The small zip in the making, FILE.part:
 *
 *     [member][member]...[member][directory][end]
 *
 * Each member takes up the bytes from its local header to the next member's (header, data and what
 * may stand behind it), at a place that is known beforehand. Its first four bytes, which every
 * local header begins with, are written last: where they stand, the whole member is there. So a
 * call that was broken off is gone on with; FILE's name tells the archive's version and the
 * choice.
 *
 * The zip format: PKWARE's APPNOTE 6.3.x, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16. Members that
 * are encrypted or past 4 GiB are left to the plain way. */
#include "harness/pick.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/say.h"

enum { TAIL = 66 << 10, END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, ENTRY_SIZE = 46,
       DIRECTORY_MAX = 256 << 20, MEMBERS_MAX = 2000000, CHUNK = 8 << 20, JOBS = 4,
       NAME_SIZE = PATH_MAX + 32 };
static const int64_t WORTH_IT = 1 << 20;            /* a smaller archive is fetched whole */

struct member {
    size_t entry, entry_n;          /* its directory record, in the text */
    int64_t from, n;                /* bytes in the archive */
    int64_t to;                     /* place in the small zip */
    bool wanted;
};

struct zip {
    const struct pick *p;
    struct http_answer same;        /* what the archive is known by */
    struct str text;                /* its directory */
    int64_t directory_from;
    struct member *at;              /* by place in the archive */
    size_t n, n_wanted;
    int64_t picked;                 /* bytes of all wanted members */
    int fd;                         /* FILE.part */
    char part[NAME_SIZE];

    pthread_mutex_t lock;           /* guards what follows */
    size_t next;
    int64_t got;
    bool parts;                     /* the server still serves them */
    struct err first;
};

static uint64_t little(const char *at, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i--;)
        v = v << 8 | (unsigned char)at[i];
    return v;
}

static void put_little(char *at, int bytes, uint64_t v)
{
    for (int i = 0; i < bytes; i++, v >>= 8)
        at[i] = (char)(v & 0xff);
}

/* ---- the directory --------------------------------------------------------------------------- */

static struct http_get request(const struct pick *p, struct http_session *session)
{
    return (struct http_get){ .url = p->url, .bearer = p->bearer, .stopped = p->stopped,
                              .session = session };
}

/* Finds the directory by the archive's end; 0: it has none that we read. */
static int64_t find_directory(const struct str *tail, int64_t tail_from, int64_t *n_bytes)
{
    for (size_t at = tail->n >= END_SIZE ? tail->n - END_SIZE + 1 : 0; at--;) {
        const char *end = tail->at + at;
        if (memcmp(end, "PK\5\6", 4) || little(end + 20, 2) != tail->n - at - END_SIZE)
            continue;
        uint64_t bytes = little(end + 12, 4), from = little(end + 16, 4);
        const char *locator = at >= LOCATOR_SIZE ? end - LOCATOR_SIZE : NULL;
        if (locator && !memcmp(locator, "PK\6\7", 4)) {     /* zip64: its end stands before */
            uint64_t end64 = little(locator + 8, 8) - (uint64_t)tail_from;
            if (end64 > at || at - end64 < END64_SIZE || memcmp(tail->at + end64, "PK\6\6", 4))
                return 0;
            bytes = little(tail->at + end64 + 40, 8);
            from = little(tail->at + end64 + 48, 8);
        }
        uint64_t before = (uint64_t)tail_from + at;
        if (bytes == 0 || bytes > DIRECTORY_MAX || bytes > before || from > before - bytes)
            return 0;
        *n_bytes = (int64_t)bytes;
        return (int64_t)from;
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Reads one record at `at`; false: it is none, or one that is left to the plain way. */
static bool read_entry(const struct zip *z, size_t at, struct member *m)
{
    char name[PATH_MAX];
    const char *r = z->text.at + at;
    if (z->text.n - at < ENTRY_SIZE || memcmp(r, "PK\1\2", 4))
        return false;
    size_t n = (size_t)little(r + 28, 2), extra = (size_t)little(r + 30, 2);
    uint64_t packed = little(r + 20, 4), size = little(r + 24, 4), from = little(r + 42, 4);
    size_t comment = (size_t)little(r + 32, 2);
    *m = (struct member){ .entry = at, .entry_n = ENTRY_SIZE + n + extra + comment };
    if (m->entry_n > z->text.n - at || n == 0 || n >= sizeof name)
        return false;
    memcpy(name, r + ENTRY_SIZE, n);
    name[n] = '\0';
    const char *plain = name;
    while (!strncmp(plain, "./", 2))
        plain += 2;
    m->wanted = strlen(name) == n && unpack_wants(z->p->members, plain);
    const char *x = r + ENTRY_SIZE + n, *end = x + extra;   /* the place of one past 4 GiB */
    for (; end - x >= 4; x += 4 + little(x + 2, 2)) {
        size_t length = (size_t)little(x + 2, 2);
        size_t skip = 8 * ((size == UINT32_MAX) + (packed == UINT32_MAX));
        if (length > (size_t)(end - x) - 4)
            return false;
        if (little(x, 2) == 1 && from == UINT32_MAX && length >= skip + 8) {
            from = little(x + 4 + skip, 8);
            break;
        }
    }
    if (from > (uint64_t)z->directory_from)
        return false;
    m->from = (int64_t)from;
    return !m->wanted || (!(little(r + 8, 2) & 1) && size != UINT32_MAX && packed != UINT32_MAX);
}

static bool read_members(struct zip *z)
{
    size_t size = 0;
    for (size_t at = 0; at < z->text.n; at += z->at[z->n - 1].entry_n) {
        if (z->n == size) {
            size = size ? 2 * size : 4096;
            struct member *longer = size <= 2 * MEMBERS_MAX ? realloc(z->at, size * sizeof *longer)
                                                            : NULL;
            if (!longer)
                return false;
            z->at = longer;
        }
        if (!read_entry(z, at, &z->at[z->n]))
            return false;
        z->n++;
    }
    qsort(z->at, z->n, sizeof *z->at, by_place);
    for (size_t i = 0; i < z->n; i++) {
        struct member *m = &z->at[i];
        m->n = (i + 1 < z->n ? z->at[i + 1].from : z->directory_from) - m->from;
        if (m->n < 30)                                      /* a local header's size */
            return false;
        if (!m->wanted)
            continue;
        m->to = z->picked;
        z->picked += m->n;
        z->n_wanted++;
    }
    return true;
}

/* Reads the directory. *good false, with OK: fetch the whole. */
static enum status open_zip(struct zip *z, bool *good, struct err *e)
{
    struct http_get get = request(z->p, NULL);
    struct err one = { 0 };
    struct str tail;
    bool parts = false;
    int64_t bytes = 0;

    get.attempts = 2;
    *good = false;
    if (http_look(&get, &z->same, &one) != OK || z->same.bytes < WORTH_IT || z->same.is_html)
        return z->p->stopped() != OK ? err_set(e, one.code, "%s", one.text) : OK;
    get.attempts = 0;
    int64_t from = z->same.bytes > TAIL ? z->same.bytes - TAIL : 0;
    str_init(&tail, TAIL);
    if (http_part(&get, &z->same, from, z->same.bytes - from, &tail, &parts, e) == OK)
        z->directory_from = find_directory(&tail, from, &bytes);
    str_free(&tail);
    if (e->code == OK && z->directory_from > 0 &&
        http_part(&get, &z->same, z->directory_from, bytes, &z->text, &parts, e) == OK)
        *good = read_members(z) && z->n_wanted < UINT16_MAX &&
                z->picked < UINT32_MAX - 2 * (int64_t)z->text.n && 2 * z->picked < z->same.bytes;
    if (e->code != OK && !parts)
        err_clear(e);
    if (*good && z->n_wanted == 0)
        err_set(e, ERR_DATA, "%s: holds none of the files that are needed", z->p->url);
    return e->code;
}

/* ---- the members ----------------------------------------------------------------------------- */

static bool write_at(const struct zip *z, const char *bytes, size_t n, int64_t at)
{
    while (n) {
        ssize_t k = pwrite(z->fd, bytes, n, at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        bytes += k;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

static bool is_in_place(const struct zip *z, const struct member *m)
{
    char head[4];
    return pread(z->fd, head, 4, m->to) == 4 && !memcmp(head, "PK\3\4", 4);
}

/* Members i to last, which follow each other, in chunks; what a member begins with goes in last. */
static enum status fetch_members(struct zip *z, size_t i, size_t last, struct http_session *session,
                                 bool *parts, struct err *e)
{
    struct http_get get = request(z->p, session);
    struct str bytes;
    int64_t from = z->at[i].from, end = z->at[last].from + z->at[last].n, to = z->at[i].to;
    str_init(&bytes, CHUNK);
    for (int64_t at = from; at < end && e->code == OK; at += CHUNK) {
        int64_t n = end - at < CHUNK ? end - at : CHUNK;
        str_clear(&bytes);
        if (http_part(&get, &z->same, at, n, &bytes, parts, e) != OK)
            break;
        for (size_t k = i; k <= last; k++)
            if (z->at[k].from >= at && z->at[k].from + 4 <= at + n) {
                if (memcmp(bytes.at + (z->at[k].from - at), "PK\3\4", 4)) {
                    *parts = false;                         /* the directory does not tell the truth */
                    err_set(e, ERR_DATA, "%s: no member stands at byte %lld", z->p->url,
                            (long long)z->at[k].from);
                }
                memset(bytes.at + (z->at[k].from - at), 0, 4);
            }
        if (e->code == OK && !write_at(z, bytes.at, (size_t)n, to + (at - from)))
            err_set(e, ERR_INTERNAL, "%s: cannot write: %s", z->part, strerror(errno));
        pthread_mutex_lock(&z->lock);
        z->got += n;
        if (z->p->progress)
            z->p->progress(z->p->user, z->got, z->picked);
        pthread_mutex_unlock(&z->lock);
    }
    for (size_t k = i; k <= last && e->code == OK; k++)
        if (!write_at(z, "PK\3\4", 4, z->at[k].to))
            err_set(e, ERR_INTERNAL, "%s: cannot write: %s", z->part, strerror(errno));
    str_free(&bytes);
    return e->code;
}

/* The next run of members that are missing and stand side by side; z->n: none is left. */
static size_t take_run(struct zip *z, size_t *last)
{
    size_t i = z->next;
    while (i < z->n && (!z->at[i].wanted || is_in_place(z, &z->at[i]))) {
        z->got += z->at[i].wanted ? z->at[i].n : 0;
        i++;
    }
    *last = i;
    while (*last + 1 < z->n && z->at[*last + 1].wanted && !is_in_place(z, &z->at[*last + 1]) &&
           z->at[*last + 1].from + z->at[*last + 1].n - z->at[i].from <= CHUNK)
        ++*last;
    z->next = i < z->n ? *last + 1 : z->n;
    return i;
}

static void *work(void *argument)
{
    struct zip *z = argument;
    struct http_session *session = http_session_open();
    pthread_mutex_lock(&z->lock);
    while (z->first.code == OK) {
        size_t last, i = take_run(z, &last);
        struct err one = { 0 };
        bool parts = true;
        if (i == z->n)
            break;
        pthread_mutex_unlock(&z->lock);
        fetch_members(z, i, last, session, &parts, &one);
        pthread_mutex_lock(&z->lock);
        z->parts = z->parts && parts;
        if (one.code != OK && z->first.code == OK)
            z->first = one;
    }
    pthread_mutex_unlock(&z->lock);
    http_session_close(session);
    return NULL;
}

static enum status fetch_all(struct zip *z, struct err *e)
{
    pthread_t threads[JOBS - 1];
    int started = 0;
    pthread_mutex_init(&z->lock, NULL);
    z->parts = true;
    while (started < JOBS - 1 && pthread_create(&threads[started], NULL, work, z) == 0)
        started++;
    work(z);
    while (started--)
        pthread_join(threads[started], NULL);
    pthread_mutex_destroy(&z->lock);
    return z->first.code == OK ? OK : err_set(e, z->first.code, "%s", z->first.text);
}

/* ---- the small zip --------------------------------------------------------------------------- */

static enum status write_directory(struct zip *z, struct err *e)
{
    struct str out;
    char end[END_SIZE] = "PK\5\6";
    str_init(&out, DIRECTORY_MAX);
    for (size_t i = 0; i < z->n; i++) {
        char record[ENTRY_SIZE];
        const char *r = z->text.at + z->at[i].entry;
        if (!z->at[i].wanted)
            continue;
        memcpy(record, r, ENTRY_SIZE);
        put_little(record + 30, 2, 0);                      /* no extra field, no comment */
        put_little(record + 32, 2, 0);
        put_little(record + 42, 4, (uint64_t)z->at[i].to);
        str_addn(&out, record, ENTRY_SIZE);
        str_addn(&out, r + ENTRY_SIZE, (size_t)little(r + 28, 2));
    }
    put_little(end + 8, 2, z->n_wanted);
    put_little(end + 10, 2, z->n_wanted);
    put_little(end + 12, 4, out.n);
    put_little(end + 16, 4, (uint64_t)z->picked);
    str_addn(&out, end, sizeof end);
    if (out.failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the zip's directory", z->part);
    else if (!write_at(z, out.at, out.n, z->picked) || fsync(z->fd) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot write: %s", z->part, strerror(errno));
    str_free(&out);
    return e->code;
}

/* What is chosen of what: archive, validator, and every place. */
static void name_choice(const struct zip *z, char hex[SHA256_HEX])
{
    struct sha256 sha;
    unsigned char hash[SHA256_SIZE];
    sha256_init(&sha);
    sha256_add(&sha, z->p->url, strlen(z->p->url) + 1);
    sha256_add(&sha, z->same.etag, strlen(z->same.etag) + 1);
    sha256_add(&sha, z->same.date, strlen(z->same.date) + 1);
    for (size_t i = 0; i < z->n; i++)
        if (z->at[i].wanted) {
            sha256_add(&sha, &z->at[i].from, sizeof z->at[i].from);
            sha256_add(&sha, &z->at[i].n, sizeof z->at[i].n);
        }
    sha256_end(&sha, hash);
    sha256_hex(hash, hex);
}

static enum status make_zip(struct zip *z, const char *out, struct err *e)
{
    if ((size_t)snprintf(z->part, sizeof z->part, "%s.part", out) >= sizeof z->part)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", out);
    z->fd = open(z->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (z->fd < 0)
        return err_set(e, ERR_INTERNAL, "%s: cannot create: %s", z->part, strerror(errno));
    if (fetch_all(z, e) == OK)
        write_directory(z, e);
    if (close(z->fd) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot write: %s", z->part, strerror(errno));
    if (e->code == OK && rename(z->part, out) != 0)
        err_set(e, ERR_INTERNAL, "%s: cannot replace: %s", out, strerror(errno));
    return e->code;
}

enum status pick_zip(const struct pick *p, const char *path, char *out, struct http_answer *answer,
                     bool *done, struct err *e)
{
    struct zip z = { .p = p };
    char choice[SHA256_HEX];
    bool good;

    *done = false;
    str_init(&z.text, DIRECTORY_MAX);
    if (!strncmp(p->url, "http", 4) && open_zip(&z, &good, e) == OK && good) {
        say_note("%s: %zu of its %zu members are enough, %.1f of %.1f MB", p->url, z.n_wanted, z.n,
                 (double)z.picked / 1e6, (double)z.same.bytes / 1e6);
        name_choice(&z, choice);
        if ((size_t)snprintf(out, PATH_MAX, "%s.%.16s", path, choice) >= PATH_MAX)
            err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", path);
        else if (file_size(out) < 0 && make_zip(&z, out, e) != OK && !z.parts) {
            say_warning("%s; fetching the whole", e->text);
            err_clear(e);
            unlink(z.part);
        } else {
            *answer = z.same;
            *done = e->code == OK;
        }
    }
    free(z.at);
    str_free(&z.text);
    return e->code;
}
