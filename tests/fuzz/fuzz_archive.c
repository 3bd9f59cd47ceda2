/* Any bytes as an archive; one byte says what is wanted of it. Whatever it holds, nothing appears outside
 * of the folder it is put into, and in there plain files and folders only, as many bytes as allowed.
 * libarchive is a library of the system and not instrumented. */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { STRIP = 1, MEMBERS = 2, WANTED = 4, MOST = 1 << 20 };
static const char top[] = "archive", into[] = "archive/a/b/into", packed[] = "archive/a/b/packed";
static size_t n_files;
static int64_t n_bytes;

static bool short_name(void *user, const char *name)
{
    (void)user;
    return strlen(name) < 8;
}

static void on_file(void *user, const char *name, const unsigned char sha256[32])
{
    (void)user, (void)sha256;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/' && part != name;
        if (!*part || *part == '/' || !strncmp(part, "../", 3) || !strcmp(part, ".."))
            abort();
    }
}

static int look(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    bool inside = !strncmp(path, into, strlen(into)) && path[strlen(into)] == '/';
    bool ours = !strncmp(into, path, strlen(path)) || !strcmp(path, packed);
    if ((!inside && !ours) || (kind != FTW_D && kind != FTW_F) ||
        (kind == FTW_F && (!S_ISREG(st->st_mode) || st->st_nlink != 1)))
        abort();
    if (inside && kind == FTW_F) {
        n_files++;
        n_bytes += st->st_size;
    }
    return 0;
}

static void put_archive(const uint8_t *bytes, size_t n)
{
    struct err e = { 0 };
    file_remove_all(into, &e);
    int fd = file_mkdirs(into, &e) == OK ? open(packed, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct err e = { 0 }, none = { 0 };
    uint64_t written = 0;
    char *member;
    size_t size;
    if (n == 0)
        return 0;
    struct unpack u = { .archive = packed, .into = into, .wrote = on_file, .max_bytes = MOST,
                        .strip = *bytes & STRIP ? "top" : NULL,
                        .members = *bytes & MEMBERS ? "*.json,a*" : NULL,
                        .wanted = *bytes & WANTED ? short_name : NULL };
    put_archive(bytes + 1, n - 1);
    unpack(&u, &written, &e);
    n_files = 0;
    n_bytes = 0;
    if (nftw(top, look, 8, FTW_PHYS) != 0 || n_bytes > MOST || (e.code == OK && n_files > written) ||
        (e.code != OK) != (*e.text != '\0'))
        abort();
    if (unpack_member(packed, "a.json", MOST, &member, &size, &none) == OK && size > MOST)
        abort();
    free(member);
    return 0;
}
