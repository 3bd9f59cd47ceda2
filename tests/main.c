/* main.c -- runs the tests, each in a process and an empty folder of its own.
 *
 *     tests [-v] [PART...]     all, or those whose name or file contains a PART
 * A crash, an endless loop or a leaked file of one test does not reach the next. Output: a line per
 * failed check, then "FAIL name" (with -v also "ok name" and "skip name: why"); the last line is
 * always "N passed, N failed, N skipped". Exit status 1 if any failed or none was found. With LLAVA_SLOW
 * set a test may take longer. */
#include "tests/check.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "engine/base/file.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

enum { TIME_LIMIT_S = 120, SLOW_TIME_LIMIT_S = 900, ROOT_MAX = 4096 };

/* What a test's process tells the runner; in memory that both share. */
struct outcome { int failed_checks; bool skipped; char why[300]; };

static struct test *tests, **tests_end = &tests;
static struct outcome *outcome;
static char root[ROOT_MAX];
static unsigned time_limit_s = TIME_LIMIT_S;
static volatile sig_atomic_t stopped;                       /* by this signal */

/* A test may ask for more memory than there is: NULL, as without the sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

void test_add(struct test *t)
{
    *tests_end = t;
    tests_end = &t->next;
}

const char *test_root(void)
{
    return root;
}

static bool fail(const char *file, int line)
{
    outcome->failed_checks++;
    printf("%s:%d: ", file, line);
    return false;
}

bool check_true(bool holds, const char *what, const char *file, int line)
{
    if (holds)
        return true;
    fail(file, line);
    printf("%s: does not hold\n", what);
    return false;
}

bool check_int(long long got, long long want, const char *what, const char *file, int line)
{
    if (got == want)
        return true;
    fail(file, line);
    printf("%s: got %lld, expected %lld\n", what, got, want);
    return false;
}

bool check_str(const char *got, const char *want, const char *what, const char *file, int line)
{
    if (got == want || (got && want && !strcmp(got, want)))
        return true;
    fail(file, line);
    printf("%s:\n  got      %s%s%s\n  expected %s%s%s\n", what, got ? "\"" : "", got ? got : "NULL",
           got ? "\"" : "", want ? "\"" : "", want ? want : "NULL", want ? "\"" : "");
    return false;
}

bool check_near(double got, double want, double within, const char *what, const char *file,
                int line)
{
    if (fabs(got - want) <= within || (isnan(got) && isnan(want)) || got == want)
        return true;
    fail(file, line);
    printf("%s: got %.17g, expected %.17g within %g\n", what, got, want, within);
    return false;
}

bool check_ok(enum status s, const struct err *e, const char *what, const char *file, int line)
{
    if (s == OK)
        return true;
    fail(file, line);
    printf("%s: status %d: %s\n", what, (int)s, e->text);
    return false;
}

void check_skip(const char *why)
{
    outcome->skipped = true;
    snprintf(outcome->why, sizeof outcome->why, "%s", why);
}

static void stop(int number)
{
    stopped = number;
}

/* SIGINT and SIGTERM end the wait for a test, not the runner: it clears up first. */
static void catch_stops(void (*how)(int))
{
    struct sigaction act = { .sa_handler = how };
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

/* The test's process; does not return. */
static void run_here(const struct test *t, const char *folder)
{
    catch_stops(SIG_DFL);
    setpgid(0, 0);                                          /* its children end with it */
    alarm(time_limit_s);
    if (chdir(folder) != 0) {
        perror(folder);
        _exit(1);
    }
    t->run();
    fflush(NULL);
    exit(outcome->failed_checks != 0);                      /* not _exit: leaks are found then */
}

/* 1 passed, 0 failed, -1 skipped. */
static int run_one(const struct test *t, bool verbose)
{
    char folder[ROOT_MAX];
    const char *temporary = getenv("TMPDIR");
    struct err e = { 0 };
    snprintf(folder, sizeof folder, "%s/llava-eval-test-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 0;
    }
    *outcome = (struct outcome){ 0 };
    fflush(NULL);
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        run_here(t, folder);
    bool ended = pid > 0 && waitpid(pid, &status, 0) == pid;
    if (pid > 0)
        kill(-pid, SIGKILL);                                /* what it left running */
    if (pid > 0 && !ended)
        waitpid(pid, &status, 0);
    if (file_remove_all(folder, &e) != OK)
        fprintf(stderr, "%s\n", e.text);

    if (stopped) {
        catch_stops(SIG_DFL);
        raise(stopped);
    }
    if (!ended)
        perror(t->name);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("%s: %s: not done after %u s\n", t->file, t->name, time_limit_s);
    else if (WIFSIGNALED(status))
        printf("%s: %s: killed: %s\n", t->file, t->name, strsignal(WTERMSIG(status)));
    bool good = ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!good)
        printf("FAIL %s\n", t->name);
    else if (verbose && outcome->skipped)
        printf("skip %s: %s\n", t->name, outcome->why);
    else if (verbose)
        printf("ok %s\n", t->name);
    return !good ? 0 : outcome->skipped ? -1 : 1;
}

static bool wanted(const struct test *t, char **parts, int n)
{
    for (int i = 0; i < n; i++) {
        for (char *p = parts[i]; *p; p++)                   /* cuda-host means cuda_host_... */
            *p = *p == '-' ? '_' : *p;
        if (strstr(t->name, parts[i]) || strstr(t->file, parts[i]))
            return true;
    }
    return n == 0;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && !strcmp(argv[1], "-v");
    int first = verbose ? 2 : 1, passed = 0, failed = 0, skipped = 0;
    const char *given = getenv("LLAVA_ROOT");
    if (!realpath(given ? given : TEST_ROOT, root)) {
        perror(given ? given : TEST_ROOT);
        return 1;
    }
    if (getenv("LLAVA_SLOW"))
        time_limit_s = SLOW_TIME_LIMIT_S;
    catch_stops(stop);
    setvbuf(stdout, NULL, _IOLBF, 0);                       /* a crash must not lose lines */
    outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcome == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    for (const struct test *t = tests; t; t = t->next) {
        if (!wanted(t, argv + first, argc - first))
            continue;
        int result = run_one(t, verbose);
        passed += result > 0;
        failed += result == 0;
        skipped += result < 0;
    }
    if (passed + failed + skipped == 0)
        printf("no test of that name\n");
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed || passed + failed + skipped == 0;
}
