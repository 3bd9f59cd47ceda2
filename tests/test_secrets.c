/* The program as it is run, with a token for the hub and a key for the judge: they go where they belong,
 * and are then found nowhere: not among its arguments, in what it says, in its store, in any file; and
 * the process that holds them leaves no core. */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/sha1.h"
#include "tests/fixture.h"
#include "tests/httpd.h"

#define TOKEN "hf_Token4711OfNobody"
#define KEY   "sk-Key0815OfNobody"
#define COMMIT "1234567890abcdef1234567890abcdef12345678"
static const char config[] = "{\"model_type\": \"llava\"}\n";

struct watch {                      /* of one run; the server's lock guards all but pid */
    atomic_int pid;
    int other_port;                 /* of the other host */
    bool in_argv, leaves_core, sent;        /* sent: a secret came here */
};

static bool holds_secret(const char *text, size_t n)
{
    return memmem(text, n, TOKEN, strlen(TOKEN)) || memmem(text, n, KEY, strlen(KEY));
}

static size_t read_proc(int pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* While the program waits for our answer. */
static void look_at_process(struct watch *w)
{
    char text[8192], size[32] = "";
    while (!atomic_load(&w->pid))
        usleep(1000);
    size_t n = read_proc(w->pid, "cmdline", text, sizeof text);
    w->in_argv |= n == 0 || holds_secret(text, n);
    read_proc(w->pid, "limits", text, sizeof text);
    const char *core = strstr(text, "Max core file size");
    w->leaves_core |= !core || sscanf(core + 18, "%31s", size) != 1 || strcmp(size, "0") != 0;
}

/* The header that came, as servers that are too helpful repeat it. */
static void refuse(struct httpd_call *c)
{
    char body[400];
    int n = snprintf(body, sizeof body, "{\"error\": {\"message\": \"not allowed: %s\", \"code\": \"%s\"}}",
                     c->authorization, c->authorization);
    httpd_send(c, 401, "", body, (size_t)n);
}

static void send_list(struct httpd_call *c)
{
    char blob[41], head[32], body[300];
    struct sha1 sha;
    sha1_init(&sha);
    sha1_add(&sha, head, (size_t)snprintf(head, sizeof head, "blob %zu", strlen(config)) + 1);
    sha1_add(&sha, config, strlen(config));
    sha1_hex(&sha, blob);
    int n = snprintf(body, sizeof body, "[{\"type\": \"file\", \"oid\": \"%s\", \"size\": %zu, \"path\": "
                     "\"config.json\"}]", blob, strlen(config));
    httpd_send(c, 200, "", body, (size_t)n);
}

/* A hub and a judge; what is "moved" is at the other host. */
static void serve(struct httpd_call *c)
{
    struct watch *w = c->user;
    char header[200], body[300];
    look_at_process(w);
    w->sent |= strstr(c->authorization, TOKEN) || strstr(c->authorization, KEY);
    if (strstr(c->path, "moved")) {
        snprintf(header, sizeof header, "Location: http://localhost:%d/x\r\n", w->other_port);
        httpd_send(c, 302, header, "", 0);
    } else if (strstr(c->path, "tiny/revision")) {
        httpd_send(c, 200, "", "{\"sha\": \"" COMMIT "\"}", 51);
    } else if (strstr(c->path, "tiny/tree")) {
        send_list(c);
    } else if (strstr(c->path, "/config.json")) {
        httpd_send(c, 200, "", config, strlen(config));
    } else if (strstr(c->path, "says")) {                   /* a judge that repeats it in its reply */
        int n = snprintf(body, sizeof body, "{\"model\": \"%s\", \"choices\": [{\"message\": {\"content\": "
                         "\"7 8\\nfor %s\"}, \"finish_reason\": \"stop\"}]}", c->authorization,
                         c->authorization);
        httpd_send(c, 200, "", body, (size_t)n);
    } else {
        refuse(c);
    }
}

static void serve_elsewhere(struct httpd_call *c)
{
    bool *sent = c->user;
    *sent |= c->authorization[0] != '\0';
    httpd_send(c, 404, "", "", 0);
}

/* Runs llava-eval, which lies beside the tests, with these words; its exit status. */
static int run(struct watch *w, const char *words)
{
    char program[4096], line[4096], here[4096], *argv[40] = { program };
    int status = -1, n = 1;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 20);
    program[length > 0 ? length : 0] = '\0';
    strcpy(strrchr(program, '/') + 1, "llava-eval");
    snprintf(line, sizeof line, "%s", words);
    for (char *save, *word = strtok_r(line, " ", &save); word && n < 39;
         word = strtok_r(NULL, " ", &save))
        argv[n++] = word;
    CHECK(getcwd(here, sizeof here) != NULL);
    fflush(NULL);
    int pid = fork();
    if (pid == 0) {
        struct rlimit core;
        getrlimit(RLIMIT_CORE, &core);
        core.rlim_cur = core.rlim_max;                      /* there would be one */
        setrlimit(RLIMIT_CORE, &core);
        setenv("HF_TOKEN", TOKEN, 1);
        setenv("OPENAI_API_KEY", KEY, 1);
        setenv("HOME", here, 1);
        unsetenv("XDG_CACHE_HOME");
        dup2(open("out", O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
        dup2(open("err", O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        execv(program, argv);
        _exit(126);
    }
    if (w)
        atomic_store(&w->pid, pid);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int check_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    struct file f;
    struct err e = { 0 };
    (void)at;
    if (kind != FTW_F || st->st_size == 0)
        return 0;
    CHECK_OK(file_open(&f, path, ERR_DATA, &e), e);
    if (!CHECK(!holds_secret(f.at, f.n)))
        CHECK_STR(path, "a file without a secret");
    file_close(&f);
    return 0;
}

static bool said(const char *text)
{
    struct file f;
    struct err e = { 0 };
    bool found = file_open(&f, "err", ERR_DATA, &e) == OK && f.n && memmem(f.at, f.n, text, strlen(text));
    file_close(&f);
    return found;
}

TEST(secrets_go_where_they_belong_and_are_found_nowhere)
{
    static const struct { const char *words, *judge; int status; bool sent; } runs[] = {
        { "fetch --data data --model org/tiny", NULL, 0, true },
        { "fetch --data data --model org/refused", NULL, 4, true },
        { "fetch --data data --model org/moved", NULL, 4, true },
        { "judge --data data --db store.db --judge-model j --judge-retries 1 --yes", "/v1", 5, true },
        { "judge --data data --db store.db --judge-model j --judge-retries 1 --yes", "/moved/v1", 5, true },
        { "judge --data data --db store.db --judge-model j --judge-retries 1 --yes", "/says/v1", 0, true },
        { "leaderboard --db store.db", NULL, 0, false },
    };
    bool elsewhere = false;
    struct arena a = { 0 };
    struct httpd *other = httpd_start(serve_elsewhere, &elsewhere);
    const char *good = arena_fmt(&a, "cp -R '%s/tests/fuzz/good' data", test_root());
    CHECK_INT(system(good), 0);
    put("answers.jsonl", "{\"question_id\": 0, \"text\": \"a\"}\n{\"question_id\": 1, \"text\": \"b\"}\n"
                         "{\"question_id\": 2, \"text\": \"c\"}\n");
    CHECK_INT(run(NULL, "score --benchmark llavabench --answers answers.jsonl --as m --judge demo --data "
                        "data --db store.db"), 0);
    for (size_t i = 0; i < COUNT(runs); i++) {
        struct watch w = { .other_port = httpd_port(other) };
        struct httpd *server = httpd_start(serve, &w);
        const char *url = arena_fmt(&a, "http://127.0.0.1:%d", httpd_port(server));
        const char *words = arena_fmt(&a, "%s -v", runs[i].words);
        if (runs[i].judge)
            words = arena_fmt(&a, "%s --judge %s%s", words, url, runs[i].judge);
        setenv("HF_ENDPOINT", url, 1);
        if (!CHECK_INT(run(&w, words), runs[i].status))
            CHECK_STR(words, "");
        CHECK(w.sent == runs[i].sent);
        CHECK(!w.in_argv && !w.leaves_core);
        httpd_stop(server);
    }
    CHECK(!elsewhere);
    CHECK_INT(httpd_calls(other), 1);                       /* a judge is not followed at all */
    CHECK(said("Bearer ***"));                              /* it is not that nobody repeated it */
    CHECK(file_exists(".cache/llava-eval/models/org--tiny/config.json"));
    CHECK_INT(nftw(".", check_file, 8, FTW_PHYS), 0);
    httpd_stop(other);
    arena_free(&a);
}
