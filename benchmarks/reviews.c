/* reviews.c -- see reviews.h. The whole file is kept: a few thousand short lines at most. */
#include "benchmarks/reviews.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

enum { RUNS_MAX = 1000, JUDGES_TOLD = 8 };

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int in_order(const void *x, const void *y)
{
    const struct review *a = x, *b = y;
    int order = compare_int(a->run, b->run);
    if (!order)
        order = (a->question > b->question) - (a->question < b->question);
    return order ? order : compare_int(a->attempt, b->attempt);
}

static double number_of(const struct json *item)
{
    return item && item->type == JSON_NUMBER ? item->number : NAN;
}

static const char *name_of(const struct json *line, const char *key, struct arena *a)
{
    const char *name = json_get_str(line, key, NULL);
    return name ? arena_str(a, name) : NULL;
}

const char *review_text(const char *reply, bool strip_think)
{
    static const char end[] = "</think>";
    const char *behind = strip_think && reply ? strstr(reply, end) : NULL;
    if (!behind)
        return reply;
    for (behind += strlen(end); *behind;) {
        size_t length;
        if (!utf8_is_space(utf8_get(behind, strnlen(behind, 4), &length)))
            break;
        behind += length;
    }
    return behind;
}

/* The line's review; what it lacks is an error. LLaVA's own files say "content" for "reply". */
static bool read_line(const struct jsonl *in, bool strip_think, struct arena *a, struct review *out,
                      struct err *e)
{
    const struct json *reply = json_get(in->object, "reply"), *run = json_get(in->object, "run");
    const struct json *attempt = json_get(in->object, "attempt");
    const struct json *tuple = json_get(in->object, "tuple");
    if (!reply)
        reply = json_get(in->object, "content");
    bool has_pair = tuple && tuple->type == JSON_ARRAY && tuple->n == 2;
    if (!reply || (reply->type != JSON_STRING && reply->type != JSON_NULL))
        err_set(e, ERR_DATA, "%s:%zu: \"reply\" should be a text, or null", in->path, in->line);
    else if ((run && (!run->is_int || run->integer < 0)) ||
             (attempt && (!attempt->is_int || attempt->integer < 0)))
        err_set(e, ERR_DATA, "%s:%zu: \"run\" and \"attempt\" should be integers from 0", in->path,
                in->line);
    else
        *out = (struct review){
            .run = run ? run->integer : 0, .attempt = attempt ? attempt->integer : 0,
            .reply = reply->type == JSON_STRING
                   ? arena_str(a, review_text(reply->string, strip_think)) : NULL,
            .judge = name_of(in->object, "judge", a),
            .served = name_of(in->object, "model_served", a),
            .tuple = { number_of(has_pair ? tuple->first : NULL),
                       number_of(has_pair ? tuple->first->next : NULL) } };
    return e->code == OK;
}

static enum status read_lines(struct questions *qs, const char *path, bool attempts,
                              bool strip_think,
                              size_t (*ordinal)(struct questions *qs, const struct json *id),
                              struct arena *a, struct reviews *out, struct err *e)
{
    struct jsonl in;
    size_t size = 0;
    jsonl_open(&in, a, e, "%s", path);
    while (jsonl_next(&in)) {
        struct review one = { 0 };
        const struct json *id = json_get(in.object, "question_id");
        if (!id || (id->type != JSON_STRING && !id->is_int)) {
            err_set(e, ERR_DATA, "%s:%zu: \"question_id\" should be an integer or a text", path,
                    in.line);
            break;
        }
        if (!read_line(&in, strip_think, a, &one, e))
            break;
        if ((one.question = ordinal(qs, id)) == SIZE_MAX) {
            out->unknown++;
            continue;
        }
        if (!attempts)
            one.attempt = 0;
        if (out->n == size) {
            size = size ? size * 2 : 256;
            struct review *more = arena_array(a, size, sizeof *more);
            if (!more)
                break;
            if (out->n)
                memcpy(more, out->at, out->n * sizeof *more);
            out->at = more;
        }
        out->at[out->n++] = one;
    }
    if (a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the reviews", path);
    return jsonl_close(&in);
}

/* Every run must have every question; out->at is in order. */
static enum status check_runs(const struct questions *qs, const char *path, bool partial,
                              struct reviews *out, struct err *e)
{
    size_t i = 0;
    for (int p = 0; p < out->n_runs; p++)
        for (size_t q = 0; q < qs->n; q++) {
            bool there = i < out->n && out->at[i].run == out->runs[p] && out->at[i].question == q;
            while (i < out->n && out->at[i].run == out->runs[p] && out->at[i].question == q)
                i++;
            if (there)
                continue;
            out->missing++;
            if (!partial)
                return err_set(e, ERR_INCOMPLETE, "%s: question %s has no reply of the judge in "
                               "run %lld (--partial scores what is there)", path, qs->at[q].id,
                               (long long)out->runs[p]);
        }
    return OK;
}

enum status reviews_read(struct questions *qs, const char *path, bool attempts,
                         const struct review_rules *rules,
                         size_t (*ordinal)(struct questions *qs, const struct json *id),
                         struct arena *a, struct reviews *out, struct err *e)
{
    *out = (struct reviews){ .arena = a };
    if (read_lines(qs, path, attempts, rules->strip_think, ordinal, a, out, e) != OK)
        return e->code;
    if (out->n == 0)
        return err_set(e, ERR_INCOMPLETE, "%s: holds no review of this split", path);
    qsort(out->at, out->n, sizeof *out->at, in_order);
    out->runs = arena_array(a, out->n, sizeof *out->runs);
    if (!out->runs)
        return err_set(e, ERR_MEMORY, "%s: no memory for the reviews", path);
    for (size_t i = 0; i < out->n; i++) {
        const struct review *r = &out->at[i];
        if (i && !in_order(r - 1, r))
            return err_set(e, ERR_DATA, "%s: question %s stands twice in run %lld (attempt %lld)",
                           path, qs->at[r->question].id, (long long)r->run, (long long)r->attempt);
        if (i == 0 || r->run != out->runs[out->n_runs - 1])
            out->runs[out->n_runs++] = r->run;
        if (out->n_runs > RUNS_MAX)
            return err_set(e, ERR_DATA, "%s: names more than %d runs", path, RUNS_MAX);
    }
    return check_runs(qs, path, rules->partial, out, e);
}

const struct review *reviews_find(const struct reviews *r, size_t question, int pass, int attempt)
{
    if (pass >= r->n_runs || r->n == 0)
        return NULL;
    struct review wanted = { .question = question, .run = r->runs[pass], .attempt = attempt };
    return bsearch(&wanted, r->at, r->n, sizeof *r->at, in_order);
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

const char *reviews_judge(const struct reviews *r, struct arena *a)
{
    const char **names = arena_array(a, r->n, sizeof *names), *all = "";
    size_t n = 0, told = 0, others = 0;

    for (size_t i = 0; names && i < r->n; i++) {
        const char *asked = r->at[i].judge, *served = r->at[i].served;
        if (asked && served && strcmp(asked, served) != 0)
            names[n++] = arena_fmt(a, "%s as %s", served, asked);
        else if (asked || served)
            names[n++] = served ? served : asked;
    }
    if (n)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        if (i && strcmp(names[i], names[i - 1]) == 0)
            continue;
        else if (told++ < JUDGES_TOLD)
            all = arena_fmt(a, "%s%s%s", all, *all ? " + " : "", names[i]);
        else
            others++;
    if (others)
        all = arena_fmt(a, "%s + %zu others", all, others);
    return arena_fmt(a, "%s%srecorded", all, *all ? ", " : "");
}

int reviews_pass(const struct reviews *r, int64_t run)
{
    int p = 0;
    while (p < r->n_runs && r->runs[p] != run)
        p++;
    return p;
}

const int64_t *reviews_labels(const struct reviews *r, struct arena *a)
{
    int64_t *copy = arena_array(a, (size_t)r->n_runs, sizeof *copy);
    if (copy)
        memcpy(copy, r->runs, (size_t)r->n_runs * sizeof *copy);
    return copy;
}
