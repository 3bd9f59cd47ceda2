/* faults.c -- a machine that fails on demand: preloaded before the program (LD_PRELOAD), it makes one
 * kind of call fail, the N-th time it is made.
 *
 *     FAULT=KIND      malloc, open, write, fsync, sqlite, or none (only counting)
 *     FAULT_AT=N      the N-th such call fails (from 1); 0: none
 *     FAULT_ON=1      and every later one too: a disk that stays broken
 *     FAULT_COUNT=F   at the end, F gets the number of calls of this kind
 *     FAULT_QUOTA=B   regular files take B bytes in all, then the disk is full
 *     FAULT_STATFS=X  every folder lies on the file system with this magic number (NFS: 0x6969)
 *     FAULT_CLOCK=S   the wall clock jumps back by S seconds after its tenth reading
 *
 * Only calls that the program and its libraries make by name are seen; those inside libc are not, nor
 * what happens before main(). Memory that C++ and OpenMP ask for does not fail: protobuf, below
 * sentencepiece, and libgomp end the process, and nothing of ours can help it. Of SQLite's steps only
 * the program's own count: one inside sqlite3_exec cannot fail by itself. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum kind { NONE, MALLOC, OPEN, WRITE, FSYNC, SQLITE };
static const char *const names[] = { "none", "malloc", "open", "write", "fsync", "sqlite" };

static enum kind wanted;
static long fail_at, quota = -1, magic, clock_back;
static bool stays, began;
static atomic_long count, written, readings;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 0) : otherwise;
}

__attribute__((constructor)) static void set_up(void)
{
    const char *kind = getenv("FAULT");
    fail_at = number("FAULT_AT", 0);
    stays = number("FAULT_ON", 0);
    quota = number("FAULT_QUOTA", -1);
    magic = number("FAULT_STATFS", 0);
    clock_back = number("FAULT_CLOCK", 0);
    for (int i = 0; kind && i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(kind, names[i]))
            wanted = (enum kind)i;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f) {
        fprintf(f, "%ld\n", atomic_load(&count));
        fclose(f);
    }
}

static bool fails(enum kind kind)
{
    if (kind != wanted || !began)
        return false;
    long n = atomic_fetch_add(&count, 1) + 1;
    return fail_at && (n == fail_at || (stays && n > fail_at));
}

static void *next(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    return p;
}
#define NEXT(name) (__extension__(__typeof__(&name))next(#name))

/* main() is where the counting begins. */
static int (*real_main)(int, char **, char **);

static int counted_main(int argc, char **argv, char **environment)
{
    began = true;
    return real_main(argc, argv, environment);
}

int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*late)(void), void *stack);
int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*late)(void), void *stack)
{
    real_main = start;
    return NEXT(__libc_start_main)(counted_main, argc, argv, init, fini, late, stack);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Does this caller live with NULL? */
static bool copes(void *caller)
{
    static const char *const cannot[] = { "libstdc++", "libsentencepiece", "libprotobuf", "libgomp" };
    Dl_info from;
    if (wanted != MALLOC || !began || !dladdr(caller, &from))
        return false;
    for (size_t i = 0; i < sizeof cannot / sizeof *cannot; i++)
        if (strstr(from.dli_fname, cannot[i]))
            return false;
    return true;
}

void *malloc(size_t n)
{
    if (copes(__builtin_return_address(0)) && fails(MALLOC)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    if (copes(__builtin_return_address(0)) && fails(MALLOC)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    if (copes(__builtin_return_address(0)) && fails(MALLOC)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(p, n);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define OPENS(name)                                                                               \
    int name(const char *path, int flags, ...)                                                    \
    {                                                                                             \
        va_list at;                                                                               \
        va_start(at, flags);                                                                      \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(at, mode_t) : 0;                     \
        va_end(at);                                                                               \
        if (fails(OPEN)) {                                                                        \
            errno = EIO;                                                                          \
            return -1;                                                                            \
        }                                                                                         \
        return NEXT(name)(path, flags, mode);                                                     \
    }
OPENS(open)
OPENS(open64)

/* Is there room for n bytes more? */
static bool has_room(size_t n)
{
    if (quota < 0)
        return true;
    return atomic_fetch_add(&written, (long)n) + (long)n <= quota;
}

static bool refuses(int fd, size_t n)
{
    struct stat st;
    if (fd == STDERR_FILENO || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (!fails(WRITE) && has_room(n)))
        return false;                       /* messages are not what is tested */
    errno = ENOSPC;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    return refuses(fd, n) ? -1 : NEXT(write)(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return refuses(fd, n) ? -1 : NEXT(pwrite)(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return refuses(fd, n) ? -1 : NEXT(pwrite64)(fd, bytes, n, at);
}

int fsync(int fd)
{
    if (fails(FSYNC)) {
        errno = EIO;
        return -1;
    }
    return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    if (fails(FSYNC)) {
        errno = EIO;
        return -1;
    }
    return NEXT(fdatasync)(fd);
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

struct sqlite3_stmt;
int sqlite3_step(struct sqlite3_stmt *q);
int sqlite3_step(struct sqlite3_stmt *q)
{
    enum { SQLITE_IOERR = 10 };
    Dl_info from;
    bool ours = dladdr(__builtin_return_address(0), &from) && !strstr(from.dli_fname, "libsqlite3");
    return ours && fails(SQLITE) ? SQLITE_IOERR : NEXT(sqlite3_step)(q);
}

/* ---- where and when -------------------------------------------------------------------------- */

#define STATFS(name, type)                                                                        \
    int name(const char *path, struct type *out)                                                  \
    {                                                                                             \
        int rc = NEXT(name)(path, out);                                                           \
        if (magic)                                                                                \
            out->f_type = magic;                                                                  \
        return rc;                                                                                \
    }
STATFS(statfs, statfs)
STATFS(statfs64, statfs64)

time_t time(time_t *out)
{
    struct timespec t;
    NEXT(clock_gettime)(CLOCK_REALTIME, &t);
    if (clock_back && atomic_fetch_add(&readings, 1) >= 10)
        t.tv_sec -= clock_back;
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}
