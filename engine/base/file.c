/* file.c -- files as a whole. A file that is cut short while it is mapped kills the reader
 * (SIGBUS): nobody else is expected to write into the folders we read. */
#include "engine/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum status file_open(struct file *f, const char *path, enum status code, struct err *e)
{
    *f = (struct file){ 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0)
        return err_set(e, code, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0)
        err_set(e, code, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err_set(e, code, "%s: is %s, expected a file", path,
                S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    else if (st.st_size == 0)
        f->at = "";                                         /* nothing to map, but to point at */
    else {
        void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED)
            err_set(e, errno == ENOMEM ? ERR_MEMORY : code, "%s: cannot map %lld bytes: %s", path,
                    (long long)st.st_size, strerror(errno));
        else
            *f = (struct file){ at, (size_t)st.st_size };
    }
    close(fd);
    return e->code;
}

void file_close(struct file *f)
{
    if (f->n)
        munmap((void *)(uintptr_t)f->at, f->n);             /* the cast takes const away */
    *f = (struct file){ 0 };
}

static void advise(const void *at, size_t n, int advice)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)at, last = first + n;
    first = (first + page - 1) / page * page;               /* whole pages: neighbours keep theirs */
    last = last / page * page;
    if (first < last)
        (void)madvise((void *)first, last - first, advice);
}

void file_expect(const void *at, size_t n)
{
    advise(at, n, MADV_WILLNEED);
}

void file_forget(const void *at, size_t n)
{
    advise(at, n, MADV_DONTNEED);
}

static enum status failed(struct err *e, const char *what, const char *path)
{
    return err_set(e, ERR_INTERNAL, "%s: cannot %s: %s", path, what, strerror(errno));
}

static bool write_all(int fd, const char *at, size_t n)
{
    while (n) {
        ssize_t k = write(fd, at, n < INT_MAX ? n : INT_MAX);
        if (k < 0 && errno != EINTR)
            return false;
        if (k > 0) {
            at += k;
            n -= (size_t)k;
        }
    }
    return true;
}

/* A rename lasts once its folder is on disk too. Where the file system cannot do that, we go on:
 * readers see one whole file either way. */
static void sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1,
                     slash ? path : ".");
    int fd = n > 0 && (size_t)n < sizeof dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* /dev/stdout, a pipe: there is nothing to rename over. */
static enum status write_through(const char *path, const void *bytes, size_t n, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(e, "open", path);
    if (!write_all(fd, bytes, n))
        failed(e, "write", path);
    close(fd);
    return e->code;
}

enum status file_write(const char *path, const void *bytes, size_t n, struct err *e)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return write_through(path, bytes, n, e);

    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return failed(e, "create", path);
    if (!write_all(fd, bytes, n) || fsync(fd) != 0)
        failed(e, "write", path);
    if (close(fd) != 0)
        failed(e, "write", path);
    if (e->code == OK && rename(temporary, path) != 0)
        failed(e, "replace", path);
    if (e->code != OK)
        unlink(temporary);
    else
        sync_folder_of(path);
    return e->code;
}

enum status file_replace(const char *made, const char *path, struct err *e)
{
    int fd = open(made, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(e, "open", made);
    if (fsync(fd) != 0)
        failed(e, "write", made);
    close(fd);
    if (e->code == OK && rename(made, path) != 0)
        failed(e, "replace", path);
    if (e->code == OK)
        sync_folder_of(path);
    return e->code;
}

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

enum status file_mkdirs(const char *path, struct err *e)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return err_set(e, ERR_INTERNAL, "%.200s...: the name is too long", path);
    for (size_t i = 1; i <= n; i++)                         /* each prefix that ends a name */
        if ((path[i] == '/' || path[i] == '\0') && path[i - 1] != '/') {
            memcpy(part, path, i);
            part[i] = '\0';
            if (mkdir(part, 0777) == 0)
                continue;
            int why = errno;                                /* the look at what is there has its own */
            if (file_is_dir(part))
                continue;
            if (why == EEXIST)
                return err_set(e, ERR_INTERNAL, "%s: is a file, expected a folder", part);
            return err_set(e, ERR_INTERNAL, "%s: cannot create: %s", part, strerror(why));
        }
    return OK;
}

/* Removes name under the open folder `at`; links are removed, not followed. */
static bool remove_at(int at, const char *name)
{
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)                  /* Linux, POSIX: it is a folder */
        return false;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            good = remove_at(fd, entry->d_name);
    int why = errno;
    closedir(d);
    errno = why;
    return good && (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

enum status file_remove_all(const char *path, struct err *e)
{
    return remove_at(AT_FDCWD, path) ? OK : failed(e, "remove", path);
}

char *path_join(struct arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (n == 0 || name[0] == '/')
        return arena_str(a, name);
    return arena_fmt(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
