/* crash.c -- a rename() that counts, and kills its own process at the one it was told of.
 *
 * From the first such death on nothing waits for the disk: what kill -9 leaves is in the page
 * cache, and a test that dies a hundred times would do nothing but wait. */
#include "tests/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int renames_left;         /* 0: renames are renames */
static bool die_after, no_disk;

int fsync(int fd)
{
    return no_disk ? 0 : (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
    return no_disk ? 0 : (int)syscall(SYS_syncfs, fd);
}

int rename(const char *from, const char *to)
{
    bool last = atomic_load(&renames_left) > 0 && atomic_fetch_sub(&renames_left, 1) == 1;
    if (last && !die_after)
        raise(SIGKILL);
    int rc = renameat(AT_FDCWD, from, AT_FDCWD, to);
    if (last)
        raise(SIGKILL);
    return rc;
}

bool crash_at_rename(int n, bool after, void (*work)(void *user), void *user)
{
    int status = 0;
    no_disk = true;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        die_after = after;
        atomic_store(&renames_left, n);
        work(user);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
