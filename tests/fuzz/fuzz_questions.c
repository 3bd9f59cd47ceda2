/* Any bytes as a benchmark's question files: one byte says of which split, then come the files, apart by
 * byte 30, which no good file has. What is read goes the way of a run: asked, marked, scored, compared,
 * exported, shown to a judge. Files lie in the current folder. */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/benchmark.h"
#include "benchmarks/cells.h"
#include "engine/base/file.h"
#include "tests/fuzz/forms.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { APART = 30, QUESTIONS_MAX = 300 };

static void put_file(const char *dir, const char *name, const uint8_t *bytes, size_t n)
{
    char path[200];
    struct err e = { 0 };
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {                                           /* the first one needs its folder */
        *strrchr(path, '/') = '\0';
        file_mkdirs(path, &e);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    }
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

static void put_files(const struct form *form, const uint8_t *bytes, size_t n)
{
    for (const char *const *name = form->files; *name; name++) {
        const uint8_t *end = n ? memchr(bytes, APART, n) : NULL;
        size_t size = end && name[1] ? (size_t)(end - bytes) : n;
        put_file(form->benchmark, *name, bytes, size);
        bytes += size + (size < n);
        n -= size + (size < n);
    }
}

/* The good files of a form as one input. */
static void seed_of(size_t form, struct str *seed)
{
    str_addc(seed, (char)form);
    for (const char *const *name = forms[form].files; *name; name++) {
        struct arena a = { 0 };
        struct file file;
        struct err e = { 0 };
        if (name != forms[form].files)
            str_addc(seed, APART);
        if (file_open(&file, path_join(&a, good_folder(&forms[form], &a), *name), ERR_DATA, &e) != OK)
            abort();
        str_addn(seed, file.at, file.n);
        file_close(&file);
        arena_free(&a);
    }
}

/* One question, as the run, the judge and the pages look at it. */
static void use_question(const struct benchmark *b, const struct questions *qs, size_t i, bool judged)
{
    static struct prompt_set *paper;
    struct arena a = { 0 };
    struct err e = { 0 };
    const struct question *q = &qs->at[i];
    struct prompt_item item = question_item(q);
    struct video_frame frame;
    struct judge_request request;
    const char *whole;

    if (!paper && prompt_set_open(&paper, "paper", &e) != OK)
        abort();
    const char *T = prompt_text(paper, b->name, b->format_of ? b->format_of(qs->split) : b->format,
                                &item, &a);
    conversation_render("vicuna_v1", T, q->image, false, false, &a, &whole, &e);
    if (b->image && q->image) {
        void *bytes;
        size_t n;
        err_clear(&e);
        if (b->image(b->name, q, &bytes, &n, &e) == OK)
            free(bytes);
    }
    if (b->video_frame && b->video_frame(b->name, qs, i, &a, &frame)) {
        static const double rates[] = { 0, 25, 1e300, (double)NAN };
        for (size_t k = 0; k < COUNT(rates); k++) {
            int64_t at = frame.pick(&frame, 100, rates[k]);
            if (at < 0 || at >= 100)
                abort();
        }
    }
    for (int attempt = 0; judged && attempt < b->judge_attempts; attempt++) {
        err_clear(&e);
        b->judge_request(qs, i, "a cat", attempt, &a, &request, &e);
    }
    arena_free(&a);
}

/* Marks [passes][n], made up or of the replies. */
static struct mark *marks_of(const struct benchmark *b, const struct questions *qs,
                             const char *const *replies, int passes)
{
    size_t n = qs->n * (size_t)passes;
    struct mark *marks = calloc(n + 1, sizeof *marks);
    if (marks && !b->judge_mark)
        benchmark_mark(b, qs, replies, marks);
    for (size_t i = 0; marks && b->judge_mark && i < n; i++)
        marks[i] = (struct mark){ .a = (double)(i % 3) / 2, .b = 1, .missing = i % 7 == 6 };
    return marks;
}

static void compare(const struct benchmark *b, const struct questions *qs, const struct mark *x,
                    const struct mark *y, int passes)
{
    const struct mark *both[] = { x, y };
    struct cells c;
    struct err e = { 0 };

    if (cells_make(&c, b, qs, 2, both, passes, &e) == OK) {
        uint32_t *weight = calloc(c.n_cells + 1, sizeof *weight);
        double *metrics = calloc(c.n_metrics + 1, sizeof *metrics);
        struct flips *flips = calloc(c.n_metrics + 1, sizeof *flips);
        for (size_t k = 0; weight && k < c.n_cells; k++)
            weight[k] = (uint32_t)k % 3;
        if (weight && metrics && flips) {
            cells_tally(&c, weight, metrics);
            cells_flips(&c, qs, x, y, flips);
        }
        free(weight);
        free(metrics);
        free(flips);
    }
    cells_free(&c);
}

static void score_all(const struct benchmark *b, struct questions *qs)
{
    static const char *const said[] = { "yes", "A", "B. a cup", "", "No, 2 men.", "The answer is C.",
                                        "unanswerable", "a dog's  bone", "7", NULL };
    struct arena a = { 0 };
    struct scores scores;
    struct err e = { 0 };
    struct answers given;
    const char **other = arena_array(&a, qs->n, sizeof *other);
    int passes = b->judge_mark ? b->judge_passes : 1;

    scores_init(&scores, &a);
    if (other && answers_begin(&given, qs, &a, &e) == OK) {
        struct exports out = { 0 };
        for (size_t i = 0; i < qs->n; i++) {
            if (said[i % COUNT(said)])
                answers_give(&given, i, said[i % COUNT(said)]);
            other[i] = said[(i + qs->n) % COUNT(said)];
        }
        struct mark *x = marks_of(b, qs, given.text, passes), *y = marks_of(b, qs, other, passes);
        if (x && y) {
            benchmark_score(b, qs, given.text, b->judge_mark ? x : NULL, passes, true, 2, &scores, &e);
            compare(b, qs, x, y, passes);
        }
        for (size_t i = 0; i < qs->n; i++)
            answers_give(&given, i, said[i % 3]);
        err_clear(&e);
        if (b->export)
            b->export(qs, &given, &out, &e);
        exports_free(&out);
        free(x);
        free(y);
    }
    scores_free(&scores);
    arena_free(&a);
}

static void use_all(const struct benchmark *b, struct questions *qs)
{
    struct err e = { 0 };
    unsigned char hash[32];
    bool judged = b->judge_open && b->judge_open(b->name, qs, &e) == OK;

    err_clear(&e);
    free(questions_by_image(qs, &e));
    questions_hash(qs, hash);
    for (size_t i = 0; i < qs->n; i++)
        use_question(b, qs, i, judged);
    score_all(b, qs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct questions qs;
    struct err e = { 0 };
    if (n == 0)
        return 0;
    const struct form *form = &forms[*bytes % COUNT(forms)];
    const struct benchmark *b = benchmark_find(form->benchmark);
    put_files(form, bytes + 1, n - 1);
    questions_init(&qs, &a, form->split);
    if (b->read(b->name, form->split, &qs, &e) == OK && !qs.failed && !a.failed && qs.n &&
        qs.n <= QUESTIONS_MAX)
        use_all(b, &qs);
    if ((e.code != OK) != (*e.text != '\0'))
        abort();
    questions_free(&qs);
    arena_free(&a);
    return 0;
}

/* LLAVA_SEEDS: writes the good files as inputs into that folder, and does nothing else. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *seeds = getenv("LLAVA_SEEDS");
    (void)argc, (void)argv;
    for (size_t f = 0; seeds && f < COUNT(forms); f++) {
        struct str seed;
        char name[80];
        str_init(&seed, 1 << 20);
        seed_of(f, &seed);
        snprintf(name, sizeof name, "%s_%s", forms[f].benchmark, forms[f].split);
        put_file(seeds, name, (const uint8_t *)seed.at, seed.n);
        str_free(&seed);
    }
    if (seeds)
        exit(0);
    return 0;
}
