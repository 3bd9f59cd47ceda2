/* report_answers.c -- every answer of a split, as data for the browser of a report.
 *
 *   data/NAME/index.js    of each question its category and what each side's reply is worth: enough to
 *                         filter a hundred thousand without reading one reply
 *   data/NAME/K.js        REPORT_CHUNK questions whole, read when they are looked at
 *   images/NAME/N.jpg     pictures, each once
 *
 * Only questions that some side was asked are there, in the order of the official file. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/prepare.h"
#include "harness/report_private.h"
#include "harness/say.h"

struct said { const char *text; int64_t pass, attempt; struct said *next; };

struct voice {                              /* one side, about this split */
    int side;
    const char **replies;                   /* [n], NULL: none, or it failed */
    bool *answered;                         /* [n] failed ones too */
    double *worth;                          /* [n] NaN: not known */
    struct said **judge;                    /* [n] or NULL: what the judge said, in order */
    struct prompt_set *prompts;             /* NULL: the set's text is not at hand */
    const char *conversation;
};

struct browser {
    struct report *r;
    struct report_set *set;
    struct split split;
    struct voice *voices;
    int n_voices;
    const char **image;                     /* [n] file below images/NAME, or NULL */
    const char **categories;                /* those that occur, in order */
    int n_categories;
    size_t *rows, n_rows;                   /* ordinals of the questions shown */
    struct arena arena;
};

/* ---- what was said, and what it is worth ------------------------------------------------------- */

/* Means over passes; a judgement that is missing leaves the others. */
static void weigh(const struct browser *w, const struct voice *v, const struct mark *marks, int passes)
{
    const struct benchmark *b = w->set->benchmark;
    const struct questions *qs = &w->split.questions;

    for (size_t i = 0; i < qs->n; i++) {
        double sum = 0;
        int n = 0;
        for (int p = 0; p < passes; p++) {
            const struct mark *m = &marks[(size_t)p * qs->n + i];
            if (m->missing || m->unread)
                continue;
            sum += b->worth ? b->worth(qs, i, m) : m->a;
            n++;
        }
        v->worth[i] = n && v->replies[i] ? sum / n : NAN;
    }
}

/* The reviews, JSON lines, to their questions. */
static enum status keep_reviews(struct browser *w, struct voice *v, const struct str *lines,
                                struct err *e)
{
    struct questions *qs = &w->split.questions;

    v->judge = arena_array(&w->arena, qs->n + 1, sizeof *v->judge);
    for (const char *at = lines->at; *at && v->judge && e->code == OK;) {
        size_t n = strcspn(at, "\n");
        const struct json *line = json_parse(&w->arena, "a judge's reply", at, n, e);
        const struct json *id = json_get(line, "question_id");
        const char *key = !id ? "" : id->type == JSON_STRING ? id->string
                        : arena_fmt(&w->arena, "%lld", (long long)id->integer);
        size_t i = line ? questions_find(qs, key, SIZE_MAX) : SIZE_MAX;
        if (i != SIZE_MAX) {
            struct said *s = arena_alloc(&w->arena, sizeof *s), **end = &v->judge[i];
            if (!s)
                break;
            *s = (struct said){ json_get_str(line, "reply", ""), json_get_int(line, "run", 0),
                                json_get_int(line, "attempt", 0), NULL };
            while (*end)
                end = &(*end)->next;
            *end = s;
        }
        at += n + (at[n] == '\n');
    }
    return e->code;
}

static enum status judged(struct browser *w, struct voice *v, struct err *e)
{
    struct options judging;
    struct judge *judge = NULL;
    struct str lines;
    int passes = 0;
    size_t missing;

    if (!report_judge(w->r, w->set, &judging)) {
        say_note("%s: %s: its answers stand without a score", w->set->name,
                 w->set->judge ? "name its judge with --judge and --judge-model" : "not judged");
        return OK;
    }
    str_init(&lines, REPORT_FILE_LIMIT);
    if (judge_open(&judge, &judging, run_stopped, e) == OK &&
        judge_passes(judge, &w->split, &passes, e) == OK) {
        struct mark *marks = arena_array(&w->arena, (size_t)passes * w->split.questions.n + 1,
                                         sizeof *marks);
        if (!marks)
            err_set(e, ERR_MEMORY, "no memory for judgements");
        else if (judge_all(judge, &w->split, w->r->sides[v->side].title, v->replies, w->r->store,
                           marks, e) == OK)
            weigh(w, v, marks, passes);
        if (e->code == OK && judge_export(judge, &w->split, v->replies, w->r->store, &lines, &missing,
                                          e) == OK)
            keep_reviews(w, v, &lines, e);
    }
    judge_close(judge);
    str_free(&lines);
    return e->code;
}

/* The prompt set by its name, if its text is still the one that was asked with. */
static void find_prompts(struct browser *w, struct voice *v, const struct results_run_row *run)
{
    const struct benchmark *b = w->set->benchmark;
    struct err none = { 0 };
    char hash[65] = "";

    v->conversation = run->conversation;
    if (!conversation_known(run->conversation) ||
        prompt_set_open(&v->prompts, run->prompts, &none) != OK)
        return;
    prompt_hash(v->prompts, b->name, b->format_of ? b->format_of(w->split.name) : b->format,
                run->conversation, hash);
    if (strcmp(hash, run->prompt_sha256) != 0) {
        prompt_set_close(v->prompts);
        v->prompts = NULL;
    }
}

static enum status hear(struct browser *w, int side, struct err *e)
{
    const struct results_run_row *run = w->set->run[side];
    const struct benchmark *b = w->set->benchmark;
    size_t n = w->split.questions.n;
    struct voice *v = &w->voices[w->n_voices];

    if (!run)
        return OK;
    if (strcmp(run->dataset_sha256, w->split.hash) != 0) {
        say_note("%s: %s was asked other data than what is in %s: its answers are left out",
                 w->set->name, w->r->sides[side].title, w->split.dir);
        return OK;
    }
    v->side = side;
    v->replies = arena_array(&w->arena, n + 1, sizeof *v->replies);
    v->answered = arena_array(&w->arena, n + 1, sizeof *v->answered);
    v->worth = arena_array(&w->arena, n + 1, sizeof *v->worth);
    struct mark *marks = arena_array(&w->arena, n + 1, sizeof *marks);
    if (w->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for %zu replies", n);
    w->n_voices++;
    find_prompts(w, v, run);
    for (size_t i = 0; i < n; i++)
        v->worth[i] = NAN;
    if (results_replies(w->r->store, run->id, n, &w->arena, v->replies, v->answered, e) != OK)
        return e->code;
    if (b->judge_mark)
        return judged(w, v, e);
    if (!b->exported || !benchmark_lists(b->exported, w->split.name)) {
        benchmark_mark(b, &w->split.questions, v->replies, marks);
        weigh(w, v, marks, 1);
    }
    return OK;
}

static enum status choose_rows(struct browser *w, struct err *e)
{
    size_t n = w->split.questions.n;

    w->rows = arena_array(&w->arena, n + 1, sizeof *w->rows);
    w->image = arena_array(&w->arena, n + 1, sizeof *w->image);
    w->categories = arena_array(&w->arena, n + 1, sizeof *w->categories);
    if (w->arena.failed)
        return err_set(e, ERR_MEMORY, "no memory for %zu questions", n);
    for (size_t i = 0; i < n; i++) {
        bool asked = false;
        for (int v = 0; v < w->n_voices; v++)
            asked = asked || w->voices[v].answered[i];
        if (asked && w->split.selected[i])
            w->rows[w->n_rows++] = i;
    }
    return OK;
}

/* ---- pictures --------------------------------------------------------------------------------- */

/* What the first bytes say it is; NULL: no picture that a page may show. */
static const char *picture_kind(const char *at, size_t n)
{
    static const struct { const char *start; size_t n; const char *kind; } kinds[] = {
        { "\xff\xd8\xff", 3, "jpg" }, { "\x89PNG\r\n", 6, "png" }, { "GIF8", 4, "gif" },
        { "BM", 2, "bmp" },
    };
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (n > kinds[i].n && !memcmp(at, kinds[i].start, kinds[i].n))
            return kinds[i].kind;
    return n > 12 && !memcmp(at, "RIFF", 4) && !memcmp(at + 8, "WEBP", 4) ? "webp" : NULL;
}

/* NULL where it cannot be had; e is for what cannot be written. */
static const char *bring_picture(struct browser *w, const struct question *q, size_t number,
                                 struct err *e)
{
    const struct benchmark *b = w->set->benchmark;
    struct arena a = { 0 };
    struct file f = { 0 };
    struct err none = { 0 };
    void *owned = NULL;
    const char *name = NULL, *source = path_join(&a, w->split.dir, q->image);

    if (b->image ? b->image(w->split.dir, q, &owned, &f.n, &none) == OK
                 : file_open(&f, source, ERR_DATA, &none) == OK) {
        const char *at = b->image ? owned : f.at, *kind = at ? picture_kind(at, f.n) : NULL;
        if (kind) {
            name = arena_fmt(&w->arena, "%zu.%s", number, kind);
            const char *to = arena_fmt(&a, "%s/images/%s/%s", w->r->part, w->set->name, name);
            if (b->image || linkat(AT_FDCWD, source, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0)
                file_write(to, at, f.n, e);
        }
        if (!b->image)
            file_close(&f);
    }
    free(owned);
    arena_free(&a);
    return name;
}

static enum status bring_pictures(struct browser *w, struct err *e)
{
    const struct questions *qs = &w->split.questions;
    const struct question *last = NULL;
    const char *name = NULL;
    size_t number = 0, without = 0;

    if (w->r->o->scoring_only || w->n_rows == 0)
        return OK;
    bool *shown = arena_array(&w->arena, qs->n + 1, sizeof *shown);
    size_t *order = questions_by_image(qs, e);
    if (!shown || !order)
        err_set(e, ERR_MEMORY, "no memory for %zu questions", qs->n);
    for (size_t k = 0; k < w->n_rows && e->code == OK; k++)
        shown[w->rows[k]] = true;
    if (e->code == OK)
        file_mkdirs(arena_fmt(&w->arena, "%s/images/%s", w->r->part, w->set->name), e);
    for (size_t k = 0; k < qs->n && e->code == OK && run_stopped() == OK; k++) {
        const struct question *q = &qs->at[order[k]];
        if (!shown[order[k]] || !q->image)
            continue;
        if (!last || !questions_same_image(last, q))
            name = bring_picture(w, q, ++number, e);
        last = q;
        w->image[order[k]] = name;
        without += !name;
    }
    free(order);
    if (without)
        say_note("%s: %zu questions are shown without their picture, which is not in %s",
                 w->set->name, without, w->split.dir);
    return e->code;
}

/* ---- files ------------------------------------------------------------------------------------ */

/* Four digits are enough to filter by, and mostly one is. */
static void add_worth(struct str *out, double worth)
{
    if (worth == 0 || worth == 1)
        str_addc(out, worth == 0 ? '0' : '1');
    else
        str_add_number(out, isnan(worth) ? worth : round(worth * 1e4) / 1e4);
}

static int category_of(struct browser *w, const char *name)
{
    int c = 0;
    while (c < w->n_categories && strcmp(w->categories[c], name) != 0)
        c++;
    if (c == w->n_categories)
        w->categories[w->n_categories++] = name;
    return c;
}

static enum status write_index(struct browser *w, struct err *e)
{
    struct str out;

    str_init(&out, REPORT_FILE_LIMIT);
    str_add(&out, "{");
    report_text(&out, "name", w->set->name);
    str_add(&out, ",\"category\":[");
    for (size_t k = 0; k < w->n_rows; k++) {
        const char *category = w->split.questions.at[w->rows[k]].category;
        str_addf(&out, "%s%d", k ? "," : "", category_of(w, category ? category : ""));
    }
    str_add(&out, "],\n\"categories\":[");
    for (int c = 0; c < w->n_categories; c++) {
        str_add(&out, c ? "," : "");
        str_add_json(&out, w->categories[c]);
    }
    str_add(&out, "],\n\"voices\":[");
    for (int v = 0; v < w->n_voices; v++) {
        str_addf(&out, "%s\n{\"side\":%d,\"worth\":[", v ? "," : "", w->voices[v].side);
        for (size_t k = 0; k < w->n_rows; k++) {
            str_add(&out, k ? "," : "");
            add_worth(&out, w->voices[v].worth[w->rows[k]]);
        }
        str_add(&out, "]}");
    }
    str_add(&out, "]}");
    report_script(w->r, arena_fmt(&w->arena, "data/%s/index.js", w->set->name), "report_index", &out,
                  e);
    str_free(&out);
    return e->code;
}

static void add_reply(const struct voice *v, size_t i, const char *prompt, struct str *out)
{
    str_addf(out, "{\"side\":%d,\"asked\":%d,", v->side, v->answered[i]);
    report_text(out, "text", v->replies[i]);
    str_addc(out, ',');
    report_text(out, "prompt", prompt);
    str_add(out, ",\"worth\":");
    add_worth(out, v->worth[i]);
    str_add(out, ",\"judge\":[");
    for (const struct said *s = v->judge ? v->judge[i] : NULL; s; s = s->next) {
        str_addf(out, "{\"pass\":%lld,\"attempt\":%lld,", (long long)s->pass, (long long)s->attempt);
        report_text(out, "text", s->text);
        str_add(out, s->next ? "}," : "}");
    }
    str_add(out, "]}");
}

static enum status add_question(const struct browser *w, size_t i, struct arena *a, struct str *out,
                                struct err *e)
{
    const struct question *q = &w->split.questions.at[i];
    const char *text, *prompt;

    str_add(out, "{");
    report_text(out, "id", q->id);
    str_addc(out, ',');
    report_text(out, "category", q->category);
    str_addc(out, ',');
    report_text(out, "image", w->image[i]);
    str_addc(out, ',');
    report_text(out, "question", q->text);
    str_addc(out, ',');
    report_text(out, "reference", q->reference);
    str_add(out, ",\"answers\":[");
    for (int k = 0; k < q->n_answers && q->answers; k++) {
        str_add(out, k ? "," : "");
        str_add_json(out, q->answers[k]);
    }
    str_add(out, "],\"replies\":[");
    for (int v = 0; v < w->n_voices && e->code == OK; v++) {
        const struct voice *voice = &w->voices[v];
        prompt = NULL;
        if (voice->prompts && prepare_prompt(w->set->benchmark, &w->split.questions, i, voice->prompts,
                                             voice->conversation, false, a, &text, &prompt, e) != OK)
            return e->code;
        str_add(out, v ? "," : "");
        add_reply(voice, i, prompt, out);
    }
    str_add(out, "]}");
    return a->failed ? err_set(e, ERR_MEMORY, "no memory for a prompt") : e->code;
}

static enum status write_chunk(const struct browser *w, size_t chunk, struct err *e)
{
    struct arena a = { 0 };
    struct str out;
    size_t first = chunk * REPORT_CHUNK, end = first + REPORT_CHUNK;

    str_init(&out, REPORT_FILE_LIMIT);
    str_add(&out, "{");
    report_text(&out, "name", w->set->name);
    str_addf(&out, ",\"chunk\":%zu,\"rows\":[", chunk);
    for (size_t k = first; k < w->n_rows && k < end && e->code == OK; k++) {
        str_add(&out, k > first ? ",\n" : "\n");
        add_question(w, w->rows[k], &a, &out, e);
    }
    str_add(&out, "]}");
    if (e->code == OK)
        report_script(w->r, arena_fmt(&a, "data/%s/%zu.js", w->set->name, chunk), "report_chunk", &out,
                      e);
    str_free(&out);
    arena_free(&a);
    return e->code;
}

enum status report_answers(struct report *r, struct report_set *set, struct err *e)
{
    struct browser w = { .r = r, .set = set };
    struct suite_item item = { set->benchmark->name, set->split };
    struct err why = { 0 };

    w.voices = arena_array(&w.arena, REPORT_SIDES, sizeof *w.voices);
    if (!w.voices) {
        err_set(e, ERR_MEMORY, "no memory for answers");
    } else if (split_open(&w.split, r->o, &item, &why) != OK) {
        if (why.code == ERR_DATA)
            say_note("%s: its answers are left out: %s", set->name, why.text);
        else
            err_set(e, why.code, "%s", why.text);
    } else {
        for (int side = 0; side < r->n_sides && e->code == OK; side++)
            hear(&w, side, e);
        if (e->code == OK && choose_rows(&w, e) == OK && bring_pictures(&w, e) == OK && w.n_rows &&
            file_mkdirs(arena_fmt(&w.arena, "%s/data/%s", r->part, set->name), e) == OK &&
            write_index(&w, e) == OK)
            for (size_t c = 0; c * REPORT_CHUNK < w.n_rows && e->code == OK; c++)
                write_chunk(&w, c, e);
        set->n_answers = w.n_rows;
    }
    for (int v = 0; v < w.n_voices; v++)
        prompt_set_close(w.voices[v].prompts);
    split_free(&w.split);
    arena_free(&w.arena);
    return e->code;
}
