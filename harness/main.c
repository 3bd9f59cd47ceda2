/* main.c -- verb -> function, status -> exit status; and the last word on standard output. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/say.h"
#include "harness/verbs.h"
#include "harness/version.h"

static enum status verb_help(struct options *o, struct err *e)
{
    (void)e;
    if (o->man)
        options_man(stdout);
    else if (o->completion)
        options_completion(stdout);
    else
        options_help(stdout, o->n_words ? o->words[0] : NULL);
    return OK;
}

static enum status verb_version(struct options *o, struct err *e)
{
    (void)o, (void)e;
    printf("llava-eval %s\n", llava_eval_version);
    return OK;
}

static const struct { const char *name; enum status (*function)(struct options *, struct err *); }
verbs[] = {
    { "run", verb_run },                 { "fetch", verb_fetch },   { "score", verb_score },
    { "judge", verb_judge },             { "leaderboard", verb_leaderboard },
    { "compare", verb_compare },         { "report", verb_report },
             { "export", verb_export },           { "show", verb_show },     { "ask", verb_ask },
    { "inspect", verb_inspect },         { "list", verb_list },     { "describe", verb_describe },
    { "bench", verb_bench },             { "doctor", verb_doctor },
                 { "help", verb_help },     { "version", verb_version },
    { "merge", verb_merge },
};

/* --help prints the same table (options.c). */
static const unsigned char exit_status[] = {
    [OK] = 0, [ERR_INTERNAL] = 1, [ERR_USAGE] = 2, [ERR_DATA] = 3, [ERR_CHECKPOINT] = 4,
    [ERR_INCOMPLETE] = 5, [ERR_DEVICE] = 6, [ERR_MEMORY] = 6, [ERR_INTERRUPTED] = 130,
    [ERR_TERMINATED] = 143,
};

/* Has the reader of our output left? */
static bool reader_left(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return ferror(stdout) && poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* What a verb printed may still sit in a buffer, for a disk that is full or a reader that left. A
 * reader that left (| head) is told nothing: we end as any filter does. */
static enum status close_output(struct err *e)
{
    errno = 0;
    bool good = fflush(stdout) == 0 && !ferror(stdout);
    int why = errno;
    if (reader_left()) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (good)
        good = fclose(stdout) == 0 || (why = errno) == EBADF;   /* closed by the caller: fine */
    if (!good)
        err_set(e, ERR_INTERNAL, "cannot write to standard output%s%s", why ? ": " : "",
                why ? strerror(why) : "");
    return e->code;
}

/* Standard files that the caller closed are opened again, so that no file of ours gets their number
 * and with it what is printed; the wrong way, so that writing still fails. */
static void fill_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* A core holds all that the process held: one that was given a secret leaves none. */
static void leave_no_core(const struct options *o)
{
    static const struct rlimit none = { 0, 0 };
    if (o->hf_token || o->judge_key)
        (void)setrlimit(RLIMIT_CORE, &none);
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = { 0 };

    fill_standard_files();
    signal(SIGPIPE, SIG_IGN);                               /* a server or a reader that leaves */
    signal(SIGXFSZ, SIG_IGN);                               /* a file limit is an error like others */
    enum status status = options_parse(&o, argc, argv, &e);
    leave_no_core(&o);
    say_setup(o.quiet, o.verbose, o.color);
    if (status == OK) {
        if (o.shard_from_slurm)
            say_note("shard %d of %d, as SLURM's variables say", o.shard_index, o.n_shards);
        for (size_t i = 0; i < COUNT(verbs); i++)
            if (!strcmp(verbs[i].name, o.verb))
                status = verbs[i].function(&o, &e);
    }
    if (status != OK && !(status == ERR_INTERNAL && reader_left()))
        say_error("%s", e.code != OK ? e.text : "failed without saying why");
    struct err last = { 0 };
    if (close_output(&last) != OK && status == OK) {
        say_error("%s", last.text);
        status = last.code;
    }
    options_free(&o);
    return exit_status[status];
}
