/* MME: two yes/no questions about each picture, in 14 tasks; perception (10 tasks) and cognition (4)
 * are sums of points, 200 at most for a task.
 *
 * Data    a folder per task: "flat" ones hold <stem>.txt beside <stem>.jpg or .png, "split" ones have
 *         images/ and questions_answers_YN/. A .txt is two lines "question TAB Yes|No". The archive
 *         of today has the tasks one level deeper than that of 2023; both are taken. A task whose
 *         folder is not there has no questions and adds nothing to its sum.
 * Score   MME tools/eval_tool.zip, calculation.py.
 * Ids     "<task>/<image file>#<line>". LLaVA's files name both questions of a picture alike, without
 *         the line: the prompt says which it is; without one, the first time a picture is met it is #1,
 *         the second time #2. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/benchmark.h"
#include "engine/base/file.h"
#include "engine/base/utf8.h"

static const struct source sources[] = {
    { .path = "MME_Benchmark_release_version/",
      .url = { "https://huggingface.co/datasets/darkyarding/MME/resolve/main/"
               "MME_Benchmark_release_version.zip" },
      .strip = "MME_Benchmark_release_version" },
};

static const struct { const char *name, *suffix; bool perception; } tasks[] = {
    { "existence", ".jpg", true }, { "count", ".jpg", true },     { "position", ".jpg", true },
    { "color", ".jpg", true },     { "posters", ".jpg", true },   { "celebrity", ".jpg", true },
    { "scene", ".jpg", true },     { "landmark", ".jpg", true },  { "artwork", ".jpg", true },
    { "OCR", ".jpg", true },
    { "commonsense_reasoning", ".png", false }, { "numerical_calculation", ".png", false },
    { "text_translation", ".png", false },      { "code_reasoning", ".png", false } };
enum { TASKS = COUNT(tasks), LINES = 2 };

/* ---- reading --------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The names without suffix of the .txt files of a folder, sorted; malloc'd, names in the arena. */
static enum status list_stems(const char *folder, struct arena *a, const char ***out, size_t *n,
                              struct err *e)
{
    DIR *d = opendir(folder);
    const struct dirent *entry;
    size_t size = 0;
    *out = NULL;
    *n = 0;
    if (!d)
        return err_set(e, ERR_DATA, "%s: %s, expected a folder of questions", folder,
                       strerror(errno));
    while ((entry = readdir(d))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".txt") != 0 || entry->d_name[0] == '.')
            continue;
        if (*n == size) {
            size = size ? size * 2 : 64;
            const char **grown = realloc(*out, size * sizeof **out);
            if (!grown) {
                err_set(e, ERR_MEMORY, "%s: out of memory", folder);
                break;
            }
            *out = grown;
        }
        (*out)[(*n)++] = arena_strn(a, entry->d_name, (size_t)(dot - entry->d_name));
    }
    closedir(d);
    if (*n)
        qsort(*out, *n, sizeof **out, by_name);
    return e->code;
}

/* The file of a picture below `root`; by the table when none is there. */
static const char *image_file(const char *root, const char *folder, const char *stem,
                              const char *suffix, struct arena *a)
{
    static const char *const suffixes[] = { ".jpg", ".png", ".jpeg" };
    const char *usual = arena_fmt(a, "%s%s", stem, suffix);
    if (file_exists(arena_fmt(a, "%s/%s/%s", root, folder, usual)))
        return usual;
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        const char *name = arena_fmt(a, "%s%s", stem, suffixes[i]);
        if (file_exists(arena_fmt(a, "%s/%s/%s", root, folder, name)))
            return name;
    }
    return usual;
}

/* One "question TAB Yes|No"; the two parts in the arena. */
static enum status read_line(const char *path, size_t number, const char *line, size_t n,
                             struct question *q, struct arena *a, struct err *e)
{
    if (memchr(line, '\0', n) || !utf8_valid(line, n))
        return err_set(e, ERR_DATA, "%s:%zu: no text in UTF-8", path, number);
    char *text = utf8_strip(a, arena_strn(a, line, n)), *tab = strchr(text, '\t');
    const char *label = tab ? tab + 1 : "";
    if (!strcasecmp(label, "yes"))
        q->reference = "Yes";
    else if (!strcasecmp(label, "no"))
        q->reference = "No";
    else
        return err_set(e, ERR_DATA, "%s:%zu: \"%.40s\" behind the tab, expected \"Yes\" or \"No\"",
                       path, number, label);
    *tab = '\0';
    q->text = text;
    return OK;
}

static bool is_blank(const char *line, size_t n)
{
    while (n && isspace((unsigned char)*line))
        line++, n--;
    return n == 0;
}

static enum status read_pair(const char *path, const struct question *proto, const char *name,
                             struct questions *qs, struct err *e)
{
    struct file file;
    size_t found = 0, number = 0;
    if (file_open(&file, path, ERR_DATA, e) != OK)
        return e->code;
    const char *at = file.at, *end = at + file.n;
    if (file.n >= 3 && !memcmp(at, "\xef\xbb\xbf", 3))
        at += 3;
    while (at < end && e->code == OK) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        number++;
        if (!is_blank(at, n)) {
            struct question q = *proto;
            q.id = arena_fmt(qs->arena, "%s/%s#%zu", q.category, name, ++found);
            if (read_line(path, number, at, n, &q, qs->arena, e) == OK && found <= LINES)
                questions_add(qs, q);
        }
        at += n + 1;
    }
    file_close(&file);
    if (e->code == OK && found != LINES)
        err_set(e, ERR_DATA, "%s: %zu lines with a question, expected %d", path, found, LINES);
    return e->code;
}

/* The folder of the tasks below dir, or NULL. */
static const char *find_root(const char *dir, struct arena *a)
{
    static const char *const roots[] = { "MME_Benchmark_release_version",
                                         "MME_Benchmark_release_version/MME_Benchmark" };
    for (size_t i = 0; i < COUNT(roots); i++)
        if (file_is_dir(arena_fmt(a, "%s/%s/%s", dir, roots[i], tasks[0].name)))
            return roots[i];
    return NULL;
}

static enum status read_task(const char *dir, const char *below, size_t t, struct questions *qs,
                             struct err *e)
{
    struct arena *a = qs->arena;
    const char *root = arena_fmt(a, "%s/%s", dir, below), *name = tasks[t].name, **stems;
    size_t n;
    if (!file_is_dir(arena_fmt(a, "%s/%s", root, name)))
        return OK;
    bool split = file_is_dir(arena_fmt(a, "%s/%s/images", root, name)) ||
                 file_is_dir(arena_fmt(a, "%s/%s/questions_answers_YN", root, name));
    const char *texts = arena_fmt(a, "%s%s", name, split ? "/questions_answers_YN" : "");
    const char *images = arena_fmt(a, "%s%s", name, split ? "/images" : "");
    list_stems(arena_fmt(a, "%s/%s", root, texts), a, &stems, &n, e);
    for (size_t i = 0; i < n && e->code == OK; i++) {
        const char *file = image_file(root, images, stems[i], tasks[t].suffix, a);
        struct question proto = { .category = name,
                                  .image = arena_fmt(a, "%s/%s/%s", below, images, file) };
        read_pair(arena_fmt(a, "%s/%s/%s.txt", root, texts, stems[i]), &proto, file, qs, e);
    }
    free(stems);
    return e->code;
}

static enum status read_mme(const char *dir, const char *split, struct questions *qs, struct err *e)
{
    const char *root = find_root(dir, qs->arena);
    (void)split;
    if (!root)
        return err_set(e, ERR_DATA, "%s/MME_Benchmark_release_version: no folder \"%s\" there, nor "
                       "in MME_Benchmark below it", dir, tasks[0].name);
    for (size_t t = 0; t < TASKS && e->code == OK; t++)
        read_task(dir, root, t, qs, e);
    return e->code;
}

/* ---- scoring --------------------------------------------------------------------------------- */

/* "yes", "no" or "other": without CR, LF and TAB, the first four code points in lower case. */
static const char *label_of(const char *reply)
{
    char head[5] = "";
    size_t n = strlen(reply), length;
    int taken = 0;
    for (size_t i = 0; i < n && taken < 4; i += length) {
        uint32_t c = utf8_get(reply + i, n - i, &length);
        if (c != '\r' && c != '\n' && c != '\t')
            head[taken++] = c < 0x80 ? (char)tolower((int)c) : '?';
    }
    return strstr(head, "yes") ? "yes" : strstr(head, "no") ? "no" : "other";
}

static void mark_mme(const struct questions *qs, size_t i, const char *reply, struct mark *out)
{
    out->a = !strcasecmp(label_of(reply), qs->at[i].reference);
}

struct task { double right, questions, both, images; size_t n; };

/* The questions of the picture that begins at ordinal i; they stand together. */
static size_t behind_picture(const struct tally_input *in, size_t i)
{
    size_t end = i + 1;
    while (end < in->qs->n && (in->unit ? in->unit[i] == in->unit[end]
                                        : questions_same_image(&in->qs->at[i], &in->qs->at[end])))
        end++;
    return end;
}

static size_t unit_mme(const struct questions *qs, size_t i)
{
    while (i && questions_same_image(&qs->at[i - 1], &qs->at[i]))
        i--;
    return i;
}

/* A picture with a question that has no reply is left out: the script cannot score half of one. */
static void count_picture(const struct tally_input *in, size_t i, size_t end, struct task *t)
{
    double weight = in->weight ? in->weight[i] : 1, right = 0;
    for (size_t k = i; k < end; k++) {
        if (in->marks[k].missing)
            return;
        right += in->marks[k].a;
    }
    size_t n = end - i;
    t->right += right * weight;
    t->questions += (double)n * weight;
    t->both += right < (double)n ? 0 : weight;
    t->images += weight;
    t->n += n;
}

static void tally_mme(const struct tally_input *in, struct scores *out)
{
    struct task task[TASKS] = { { 0 } };
    double sum[2] = { 0 }, points[TASKS];                   /* [cognition, perception] */
    size_t n[2] = { 0 };
    for (size_t i = 0, end; i < in->qs->n; i = end) {
        end = behind_picture(in, i);
        for (size_t t = 0; t < TASKS; t++)
            if (!strcmp(tasks[t].name, in->qs->at[i].category))
                count_picture(in, i, end, &task[t]);
    }
    for (size_t t = 0; t < TASKS; t++) {
        const struct task *k = &task[t];
        points[t] = 100 * (k->right / k->questions) + 100 * (k->both / k->images);
        if (k->n)                                           /* while resampling perhaps NaN: none of */
            sum[tasks[t].perception] += points[t];          /* its pictures drawn, no sum then       */
        n[tasks[t].perception] += k->n;
    }
    scores_add(out, n[1] ? sum[1] : NAN, n[1], "perception");
    scores_add(out, n[0] ? sum[0] : NAN, n[0], "cognition");
    for (size_t t = 0; t < TASKS; t++)
        scores_add(out, points[t], task[t].n, "task/%s", tasks[t].name);
    out->n_questions = n[0] + n[1];
}

/* ---- answers --------------------------------------------------------------------------------- */

/* What is left of a question without what prompts put behind it. */
static const char *core(struct arena *a, const char *text)
{
    static const char *const endings[] = { "Answer the question using a single word or phrase.",
                                           "Please answer yes or no." };
    char *copy = arena_str(a, text);
    for (size_t i = 0; i < COUNT(endings); i++)
        for (char *at = copy; (at = strstr(at, endings[i])); )
            memset(at, ' ', strlen(endings[i]));
    return utf8_strip(a, copy);
}

/* Which of a picture's two questions a prompt asks: 0 or 1; -1: neither, or both. */
static int asked_by(const struct questions *qs, const size_t of[2], const char *prompt)
{
    struct arena a = { 0 };
    const char *asked = core(&a, prompt);
    bool is[2];
    for (int i = 0; i < 2; i++)
        is[i] = !strcmp(asked, core(&a, qs->at[of[i]].text));
    int found = a.failed || is[0] == is[1] ? -1 : is[1];
    arena_free(&a);
    return found;
}

/* "<task>/<file>" or "<task>/images/<file>", twice for a picture: the question that the line's prompt
 * asks, as LLaVA's convert_answer_to_mme.py finds it; else odd times #1, even times #2. */
static bool match_mme(struct questions *qs, const struct json *line, struct answers *into,
                      struct err *e)
{
    const struct json *id = json_get(line, "question_id");
    const char *text = json_get_str(line, "text", ""), *slash;
    bool *second_next = into->state;
    if (id->type != JSON_STRING)
        return false;
    size_t i = questions_find(qs, id->string, SIZE_MAX);
    if (i != SIZE_MAX) {
        answers_give(into, i, text);
        return true;
    }
    if (!(slash = strchr(id->string, '/')))
        return false;
    const char *file = strncmp(slash + 1, "images/", 7) ? slash + 1 : slash + 8;
    struct arena a = { 0 };
    const char *stem = arena_fmt(&a, "%.*s/%s", (int)(slash - id->string), id->string, file);
    size_t of[2] = { questions_find(qs, arena_fmt(&a, "%s#1", stem), SIZE_MAX),
                     questions_find(qs, arena_fmt(&a, "%s#2", stem), SIZE_MAX) };
    arena_free(&a);
    if (of[0] == SIZE_MAX || of[1] == SIZE_MAX)
        return false;
    int asked = asked_by(qs, of, json_get_str(line, "prompt", ""));
    if (!second_next && !(second_next = into->state = arena_array(into->arena, qs->n, 1))) {
        err_set(e, ERR_MEMORY, "no memory for the answers");
        return false;
    }
    answers_give(into, of[asked >= 0 ? asked : second_next[of[0]]], text);
    second_next[of[0]] = !second_next[of[0]];
    return true;
}

/* The reply as the tool's readme wants it: a line of a table. */
static void add_in_one_line(struct str *out, const char *reply)
{
    for (; *reply; reply++)
        if (!strchr("\r\n\t", *reply))
            str_addc(out, *reply);
}

/* What calculation.py reads: a file per task, "image TAB question TAB Yes|No TAB reply". It takes
 * lines two by two, and stops at half a picture. */
static enum status export_mme(struct questions *qs, const struct answers *given,
                              struct exports *out, struct err *e)
{
    for (size_t i = 0; i < qs->n; i++)
        if (!given->text[i])
            return err_set(e, ERR_INCOMPLETE, "mme: %zu of %zu questions have no answer, the first "
                           "is %s", given->missing, qs->n, qs->at[i].id);
    for (size_t t = 0; t < TASKS; t++) {
        struct str *text = NULL;
        for (size_t i = 0; i < qs->n; i++) {
            const struct question *q = &qs->at[i];
            if (strcmp(q->category, tasks[t].name) != 0)
                continue;
            if (!text)
                text = exports_text(out, arena_fmt(&out->arena, "%s.txt", tasks[t].name));
            str_addf(text, "%s\t%s\t%s\t", path_base(q->image), q->text, q->reference);
            add_in_one_line(text, given->text[i]);
            str_addc(text, '\n');
        }
    }
    return exports_failed(out) ? err_set(e, ERR_MEMORY, "mme: no memory for the export") : OK;
}

const struct benchmark bench_mme = {
    .name = "mme", .title = "MME", .version = 1, .splits = "test",
    .official_n = { 2374 },
    .headline = "perception", .scale = 2000,
    .headline_text = "sum of ten task scores, each accuracy + accuracy over pictures in percent; "
                     "points of 2000, higher is better",
    .format = FORMAT_YESNO, .max_new_tokens = 128,
    .sources = sources, .n_sources = COUNT(sources),
    .licence = "for academic use",
    .homepage = "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation",
    .read = read_mme,
    .categories = "cognition,task/*", .accuracies = "",
    .unit = unit_mme, .mark = mark_mme, .tally = tally_mme, .match = match_mme,
    .export = export_mme,
};
