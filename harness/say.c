/* say.c -- everything that goes to stderr: one writer, one lock, one progress line.
 *
 * On a terminal the line in work is redrawn in place; any other message first wipes it and draws it
 * again below. Elsewhere (a file, a pipe, a batch system's log) it is a plain line every few
 * seconds. Speed is the mean of the last seconds, so that an ETA follows a change of pace.
 *
 * What a message quotes may come from a server or a file: control characters are shown as '?', so
 * that nobody's text can drive the terminal. The state below is the one mutable global of the
 * program: a process has one stderr. */
#include "harness/say.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/utf8.h"

enum { LINE_SIZE = 2048, N_SAMPLES = 16 };
static const double REDRAW_S = 0.1, PLAIN_S = 5, SAMPLE_S = 1;

struct sample { double at; uint64_t done; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards everything below */
static bool quiet, color, terminal;
static int verbose;
static char drawn[LINE_SIZE];                               /* the line on the terminal, or "" */
static struct {
    char what[200];                                         /* whose samples these are */
    double started, shown;                                  /* seconds of the monotonic clock */
    struct sample ring[N_SAMPLES];                          /* a second apart; oldest at `first` */
    int first, n;
    uint64_t from;                                          /* done when it started: a resumed job */
} job;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A stderr that is closed or full is nobody's to tell. */
static void put(const char *text, size_t n)
{
    while (n) {
        ssize_t k = write(STDERR_FILENO, text, n);
        if (k <= 0)
            return;
        text += k;
        n -= (size_t)k;
    }
}

static void wipe(void)
{
    if (drawn[0])
        put("\r\033[K", 4);
}

static void disarm(char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\n' && *text != '\t') || *text == 0x7f)
            *text = '?';
}

void say_setup(bool q, int v, bool c)
{
    pthread_mutex_lock(&lock);
    quiet = q;
    verbose = v;
    color = c;
    terminal = isatty(STDERR_FILENO);
    pthread_mutex_unlock(&lock);
}

static void say(const char *kind, const char *ansi, const char *format, va_list args)
{
    char text[LINE_SIZE], line[LINE_SIZE + 100];
    if (vsnprintf(text, sizeof text, format, args) < 0)
        return;
    disarm(text);
    pthread_mutex_lock(&lock);
    bool paint = color && *ansi;
    int n = snprintf(line, sizeof line, "llava-eval: %s%s%s%s\n", paint ? ansi : "", kind,
                     paint ? "\033[0m" : "", text);
    wipe();
    put(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    put(drawn, strlen(drawn));
    pthread_mutex_unlock(&lock);
}

#define SAY(kind, ansi)                                                                           \
    va_list args;                                                                                 \
    va_start(args, format);                                                                       \
    say(kind, ansi, format, args);                                                                \
    va_end(args)

void say_error(const char *format, ...)
{
    SAY("error: ", "\033[1;31m");
}

void say_warning(const char *format, ...)
{
    if (quiet)
        return;
    SAY("warning: ", "\033[1;33m");
}

void say_note(const char *format, ...)
{
    if (quiet)
        return;
    SAY("", "");
}

void say_detail(const char *format, ...)
{
    if (quiet || verbose < 1)
        return;
    SAY("", "");
}

/* ---- progress ------------------------------------------------------------------------------- */

/* "1:05" or "2:03:04"; "?" where nothing is known. */
static void add_time(char *out, size_t size, double s)
{
    if (!(s < 360000)) {
        snprintf(out, size, "?");
        return;
    }
    int t = (int)(s + 0.5);
    if (t >= 3600)
        snprintf(out, size, "%d:%02d:%02d", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(out, size, "%d:%02d", t / 60, t % 60);
}

static void add_bytes(char *out, size_t size, double n)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    size_t u = 0;
    while (n >= 999.5 && u + 1 < COUNT(units)) {
        n /= 1000;
        u++;
    }
    snprintf(out, size, u && n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[u]);
}

static void start_or_sample(const struct progress *p, double t)
{
    if (strncmp(job.what, p->what, sizeof job.what - 1) || p->done < job.from || job.n == 0) {
        memset(&job, 0, sizeof job);
        snprintf(job.what, sizeof job.what, "%s", p->what);
        job.started = t;
        job.from = p->done;
        job.shown = terminal ? -1 : t - PLAIN_S + 1;        /* a short job prints no line in work */
    }
    const struct sample *last = &job.ring[(job.first + job.n - 1 + N_SAMPLES) % N_SAMPLES];
    if (job.n == 0 || t - last->at >= SAMPLE_S) {
        int at = (job.first + job.n) % N_SAMPLES;
        if (job.n == N_SAMPLES)
            job.first = (job.first + 1) % N_SAMPLES;
        else
            job.n++;
        job.ring[at] = (struct sample){ t, p->done };
    }
}

/* "pope tiny-mlp  1200/8910 13%  57.3/s  88 tok/s  ETA 2:15  f1 85.9" */
static void format_line(const struct progress *p, double t, bool last, char out[LINE_SIZE])
{
    char done[32], total[32], rate[32], time[32], extra[96] = "";
    struct sample from = last ? (struct sample){ job.started, job.from } : job.ring[job.first];
    double dt = t - from.at, per_s = dt > 0 ? (double)(p->done - from.done) / dt : 0;

    if (p->is_bytes) {
        add_bytes(done, sizeof done, (double)p->done);
        add_bytes(total, sizeof total, (double)p->total);
        add_bytes(rate, sizeof rate, per_s);
    } else {
        snprintf(done, sizeof done, "%llu", (unsigned long long)p->done);
        snprintf(total, sizeof total, "%llu", (unsigned long long)p->total);
        snprintf(rate, sizeof rate, per_s < 100 ? "%.1f" : "%.0f", per_s);
    }
    add_time(time, sizeof time, last ? t - job.started
             : per_s > 0 && p->total >= p->done ? (double)(p->total - p->done) / per_s : INFINITY);
    int n = 0;
    if (p->tokens_per_s > 0)
        n = snprintf(extra, sizeof extra, "  %.0f tok/s", p->tokens_per_s);
    if (p->score_name && !isnan(p->score))
        snprintf(extra + n, sizeof extra - (size_t)n, "  %.40s %.1f", p->score_name, p->score);
    if (p->total)
        n = snprintf(out, LINE_SIZE, "%s  %s/%s %d%%", p->what, done, total,
                     (int)(100 * (double)p->done / (double)p->total));
    else
        n = snprintf(out, LINE_SIZE, "%s  %s", p->what, done);
    if (n > 0 && n < LINE_SIZE)
        snprintf(out + n, LINE_SIZE - (size_t)n, "  %s/s  %s%s%s", rate,
                 last ? "" : p->total ? "ETA " : "", last || p->total ? time : "", extra);
    disarm(out);
}

/* A line longer than the terminal would scroll on each redraw. */
static void cut_to_terminal(char *line)
{
    struct winsize w;
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
    size_t length;
    for (char *at = line; *at; at += length) {
        utf8_get(at, strlen(at), &length);
        if (--columns == 0) {
            *at = '\0';
            return;
        }
    }
}

void say_progress(const struct progress *p)
{
    double t = now();
    pthread_mutex_lock(&lock);
    if (!quiet) {
        start_or_sample(p, t);
        if (t - job.shown >= (terminal ? REDRAW_S : PLAIN_S)) {
            char line[LINE_SIZE];
            job.shown = t;
            format_line(p, t, false, line);
            if (terminal) {
                cut_to_terminal(line);
                wipe();
                snprintf(drawn, sizeof drawn, "%s", line);
                put(drawn, strlen(drawn));
            } else {
                size_t n = strlen(line);
                line[n < LINE_SIZE - 1 ? n++ : n - 1] = '\n';
                put(line, n);
            }
        }
    }
    pthread_mutex_unlock(&lock);
}

void say_progress_end(const struct progress *p)
{
    double t = now();
    pthread_mutex_lock(&lock);
    if (!quiet) {
        char line[LINE_SIZE];
        start_or_sample(p, t);
        format_line(p, t, true, line);
        size_t n = strlen(line);
        line[n < LINE_SIZE - 1 ? n++ : n - 1] = '\n';
        wipe();
        put(line, n);
        drawn[0] = '\0';
    }
    memset(&job, 0, sizeof job);
    pthread_mutex_unlock(&lock);
}

void say_progress_clear(void)
{
    pthread_mutex_lock(&lock);
    wipe();
    drawn[0] = '\0';
    memset(&job, 0, sizeof job);
    pthread_mutex_unlock(&lock);
}
