/* unpack.c -- libarchive reads; we write, below one folder and never through a link.
 *
 * libarchive's own disk writer would also restore links, owners and modes; none of that belongs to a
 * data set. Members are written by names that were checked part by part, into a folder that held
 * nothing before, so that nothing in the way can be a link. What macOS leaves in archives
 * (__MACOSX/, ._x, .DS_Store) is passed over. */
#include "harness/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"

enum { MEMBERS_MAX = 2000000, BLOCK = 1 << 18, RATIO = 200 };
static const uint64_t SMALL = (uint64_t)256 << 20, LARGEST = (uint64_t)64 << 30;

struct job {
    const struct unpack *u;
    struct archive *a;
    uint64_t bytes, max;
    uint64_t passed, passed_max;            /* of members that are not wanted */
    struct err *e;
};

/* A relative name of plain parts: no "", ".", ".." between slashes, nothing that a terminal or
 * another system would read as more than a name. A trailing slash (a folder) is fine. */
bool unpack_safe_name(const char *name)
{
    if (!*name || *name == '/')
        return false;
    for (const char *part = name; *part;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > NAME_MAX || (n == 1 && part[0] == '.') || (n == 2 && !memcmp(part, "..", 2)))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < ' ' || part[i] == 0x7f || part[i] == '\\')
                return false;
        part += n + (part[n] == '/');
    }
    return strlen(name) < PATH_MAX / 2;
}

static bool is_litter(const char *name)
{
    const char *base = name;
    if (!strncmp(name, "__MACOSX/", 9))
        return true;
    for (const char *c = name; *c; c++)
        if (*c == '/' && c[1])
            base = c + 1;
    return !strncmp(base, "._", 2) || !strcmp(base, ".DS_Store");
}

bool unpack_matches(const char *patterns, const char *name)
{
    char one[256];
    while (patterns && *patterns) {
        size_t n = strcspn(patterns, ",");
        if (n < sizeof one) {
            memcpy(one, patterns, n);
            one[n] = '\0';
            if (fnmatch(one, name, 0) == 0)
                return true;
        }
        patterns += n + (patterns[n] == ',');
    }
    return false;
}

/* What is left of the name without the leading folder; the name itself where it has none. */
static const char *stripped(const char *name, const char *folder)
{
    size_t n = folder ? strlen(folder) : 0;
    while (n && folder[n - 1] == '/')
        n--;
    return n && !strncmp(name, folder, n) && name[n] == '/' ? name + n + 1 : name;
}

static enum status failed(struct job *j, const char *name, const char *what)
{
    return err_set(j->e, ERR_DATA, "%s: member \"%s\" %s", j->u->archive, name, what);
}

static enum status stopped(struct job *j)
{
    return j->u->stopped && j->u->stopped() != OK
         ? err_set(j->e, j->u->stopped(), "%s: unpacking was stopped by a signal", j->u->archive) : OK;
}

/* Copies the open member to fd, counting and hashing. */
static enum status copy(struct job *j, const char *name, const char *path, int fd,
                        unsigned char hash[SHA256_SIZE])
{
    static _Thread_local char block[BLOCK];
    struct sha256 sha;
    sha256_init(&sha);
    for (;;) {
        la_ssize_t n = archive_read_data(j->a, block, sizeof block);
        if (n == 0)
            break;
        if (n < 0)
            return err_set(j->e, ERR_DATA, "%s: member \"%s\": %s: the archive is damaged",
                           j->u->archive, name, archive_error_string(j->a));
        j->bytes += (uint64_t)n;
        if (j->bytes > j->max)
            return err_set(j->e, ERR_DATA, "%s: unpacks to more than %llu bytes: refused",
                           j->u->archive, (unsigned long long)j->max);
        if (stopped(j) != OK)
            return j->e->code;
        sha256_add(&sha, block, (size_t)n);
        for (la_ssize_t at = 0; at < n;) {
            ssize_t k = write(fd, block + at, (size_t)(n - at));
            if (k < 0 && errno == EINTR)
                continue;
            if (k <= 0)
                return err_set(j->e, ERR_INTERNAL, "%s: cannot write: %s", path,
                               strerror(k < 0 ? errno : ENOSPC));
            at += k;
        }
        if (j->u->progress)
            j->u->progress(j->u->user, j->bytes);
    }
    sha256_end(&sha, hash);
    return OK;
}

static enum status write_member(struct job *j, const char *name)
{
    char path[PATH_MAX];
    unsigned char hash[SHA256_SIZE];
    int n = snprintf(path, sizeof path, "%s/%s", j->u->into, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return failed(j, name, "has too long a name");
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (file_mkdirs(path, j->e) != OK)
        return j->e->code;
    *slash = '/';
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(j->e, ERR_INTERNAL, "%s: cannot create: %s", path, strerror(errno));
    copy(j, name, path, fd, hash);
    if (close(fd) != 0)
        err_set(j->e, ERR_INTERNAL, "%s: cannot write: %s", path, strerror(errno));
    if (j->e->code == OK && j->u->wrote)
        j->u->wrote(j->u->user, name, hash);
    return j->e->code;
}

static bool is_asked_for(const struct unpack *u, const char *name)
{
    size_t n = strlen(name);
    return n && name[n - 1] != '/' && (!u->members || unpack_matches(u->members, name)) &&
           (!u->wanted || u->wanted(u->user, name));
}

bool unpack_wants(const struct unpack *u, const char *name)
{
    return !is_litter(name) && unpack_safe_name(name) && is_asked_for(u, stripped(name, u->strip));
}

/* One member: passed over, refused, or written. */
static enum status take(struct job *j, struct archive_entry *entry, uint64_t *n_files)
{
    const char *name = archive_entry_pathname_utf8(entry);
    if (!name)
        name = archive_entry_pathname(entry);
    if (!name)
        return err_set(j->e, ERR_DATA, "%s: a member's name cannot be read", j->u->archive);
    while (!strncmp(name, "./", 2))                         /* as tar writes them */
        name += 2;
    if (!*name || !strcmp(name, ".") || is_litter(name))
        return OK;
    if (!unpack_safe_name(name))
        return failed(j, name, "would land outside of its folder, or has a name we do not write: "
                      "refused");
    if (archive_entry_hardlink(entry) || archive_entry_symlink(entry))
        return failed(j, name, "is a link: refused");
    if (archive_entry_filetype(entry) == AE_IFDIR)
        return OK;
    if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != 0)
        return failed(j, name, "is neither file nor folder: refused");
    name = stripped(name, j->u->strip);
    if (!is_asked_for(j->u, name))
        return OK;
    if (write_member(j, name) == OK)
        ++*n_files;
    return j->e->code;
}

/* What is left of a member. Where the whole archive is compressed, libarchive would undo it to find the
 * next one, however long that takes; a zip's members are skipped by their sizes. */
static enum status pass_over(struct job *j)
{
    const void *block;
    la_int64_t offset;
    size_t n;

    if (archive_filter_count(j->a) < 2)                     /* the last one is the file itself */
        return OK;
    while (archive_read_data_block(j->a, &block, &n, &offset) == ARCHIVE_OK) {
        j->passed += n;
        if (j->passed > j->passed_max)
            return err_set(j->e, ERR_DATA, "%s: what is not wanted of it unpacks to more than %llu bytes: "
                           "refused", j->u->archive, (unsigned long long)j->passed_max);
        if (stopped(j) != OK)
            return j->e->code;
    }
    return OK;                                              /* damage shows at the next member */
}

/* A reader on the archive, or NULL with e set. */
static struct archive *open_archive(const char *path, struct err *e)
{
    struct archive *a = archive_read_new();

    if (!a) {
        err_set(e, ERR_MEMORY, "%s: no memory", path);
        return NULL;
    }
    archive_read_support_format_zip(a);
    archive_read_support_format_tar(a);
    archive_read_support_filter_gzip(a);                    /* not all: some filters start programs */
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    if (archive_read_open_filename(a, path, BLOCK) == ARCHIVE_OK && archive_filter_count(a) <= 2)
        return a;
    if (archive_filter_count(a) > 2)                        /* each could be a thousand times longer */
        err_set(e, ERR_DATA, "%s: is compressed more than once: refused", path);
    err_set(e, ERR_DATA, "%s: is no zip or tar archive: %s", path, archive_error_string(a));
    archive_read_free(a);
    return NULL;
}

/* The next member; NULL behind the last, or with e set. *seen counts. */
static struct archive_entry *next_member(struct archive *a, const char *path, size_t *seen,
                                         struct err *e)
{
    struct archive_entry *entry;
    int rc = archive_read_next_header(a, &entry);

    if (rc == ARCHIVE_EOF && *seen == 0)
        err_set(e, ERR_DATA, "%s: is no zip or tar archive, or holds nothing", path);
    else if (rc == ARCHIVE_FATAL || rc == ARCHIVE_FAILED || rc == ARCHIVE_RETRY)
        err_set(e, ERR_DATA, "%s: the archive is damaged: %s", path, archive_error_string(a));
    else if (rc != ARCHIVE_EOF && ++*seen > MEMBERS_MAX)
        err_set(e, ERR_DATA, "%s: holds more than %d members: refused", path, MEMBERS_MAX);
    return rc == ARCHIVE_EOF || e->code != OK ? NULL : entry;
}

enum status unpack(const struct unpack *u, uint64_t *n_files, struct err *e)
{
    struct job j = { .u = u, .a = open_archive(u->archive, e), .e = e };
    struct archive_entry *entry;
    int64_t size = file_size(u->archive);
    size_t seen = 0;

    *n_files = 0;
    if (!j.a)
        return e->code;
    j.max = u->max_bytes ? u->max_bytes : LARGEST;
    j.passed_max = LARGEST;
    if (size >= 0 && (uint64_t)size < LARGEST / RATIO)
        j.passed_max = (uint64_t)size * RATIO + SMALL < LARGEST ? (uint64_t)size * RATIO + SMALL : LARGEST;
    if (!u->max_bytes)
        j.max = j.passed_max;
    while (e->code == OK && (entry = next_member(j.a, u->archive, &seen, e)))
        if (take(&j, entry, n_files) == OK)
            pass_over(&j);
    archive_read_free(j.a);
    return e->code;
}

/* The open member into memory that grows as the bytes come: its stated size is not believed. */
static enum status read_member(struct archive *a, const char *archive, const char *name, size_t most,
                               char **bytes, size_t *n, struct err *e)
{
    size_t size = 0;
    for (;;) {
        if (*n == size) {
            size = size ? size * 2 : BLOCK;
            char *more = realloc(*bytes, size);
            if (!more)
                return err_set(e, ERR_MEMORY, "%s: no memory for member \"%s\"", archive, name);
            *bytes = more;
        }
        la_ssize_t k = archive_read_data(a, *bytes + *n, size - *n);
        if (k < 0)
            return err_set(e, ERR_DATA, "%s: member \"%s\": %s: the archive is damaged", archive,
                           name, archive_error_string(a));
        if (k == 0)
            return OK;
        *n += (size_t)k;
        if (*n > most)
            return err_set(e, ERR_DATA, "%s: member \"%s\" unpacks to more than %zu bytes: refused",
                           archive, name, most);
    }
}

enum status unpack_member(const char *archive, const char *name, size_t most, char **bytes,
                          size_t *n, struct err *e)
{
    struct archive *a = open_archive(archive, e);
    struct archive_entry *entry;
    size_t seen = 0;

    *bytes = NULL;
    *n = 0;
    while (a && (entry = next_member(a, archive, &seen, e))) {
        const char *there = archive_entry_pathname_utf8(entry);
        if (!there || strcmp(there, name) != 0)
            continue;
        read_member(a, archive, name, most, bytes, n, e);
        break;
    }
    if (e->code != OK) {
        free(*bytes);
        *bytes = NULL;
    }
    archive_read_free(a);
    return e->code;
}
