/* import.c -- whose answer is this row?
 *
 * LLaVA's files name their questions. Other programs number them in their own way, so a row's id is
 * taken at its word only if every row of the file whose id is known also asks that question:
 *
 *   1. by id             lmms-eval: question_id or index, in doc or beside a metric; VLMEvalKit: index
 *   2. by what it asks   the question, or the paper's whole prompt; with picture, options and
 *                        category where the row has them; if it fits one question only
 *   3. by place          if every row fits the question at its place (doc_id, or the row's number)
 *   4. among equals      rows that ask the same words stand for the questions that do, in order, if
 *                        there are as many and every reference agrees: then no figure depends on
 *                        which is which
 * A row that fits none, or several, is counted and said; its question stays missing. */
#include "harness/import.h"

#include <stdlib.h>
#include <string.h>

#include "benchmarks/names.h"
#include "benchmarks/tsv.h"
#include "engine/base/utf8.h"
#include "harness/say.h"
#include "harness/xlsx.h"

enum { IDS = 12, OPTIONS = 5, CATEGORIES = 16 };

struct row {
    const char *ids[IDS];
    int n_ids;
    const char *asked;          /* the question, or the whole prompt; NULL: not said */
    const char *category, *image, *reference, *options[OPTIONS];
    const char *reply;
    int64_t place;              /* in the data set it was asked from; -1: not said */
    size_t found;               /* ordinal, or SIZE_MAX */
    size_t key;                 /* place in keys of what it asks, where that fits several */
};

struct import {
    const struct benchmark *b;
    struct questions *qs;
    struct answers *out;
    struct arena *arena;
    struct err *e;
    struct row *rows;
    size_t n, size;
    const char **plain;         /* [qs->n] texts as compared; made when needed */
    struct names keys;          /* plain text, and plain prompt, of every question */
    size_t room;                /* bytes that may still be kept */
    bool qualified;             /* ids are "category/...": a bare number says too little */
    size_t offered, fitted;     /* of the row that is being probed */
    const struct row *probing;
};

/* ---- comparing ------------------------------------------------------------------------------- */

/* In lower case, white space as single blanks, without the image's slot and MME's ending: what is
 * left of a question in every program's prompt. */
static const char *plain(struct arena *a, const char *text)
{
    static const char *const fillers[] = { "<image>", "please answer yes or no." };
    char *copy = utf8_lower(a, text), *out = copy;
    size_t n = strlen(copy), length;

    if (n == 0)
        return copy;
    for (size_t f = 0; f < COUNT(fillers); f++)
        for (char *at = copy; (at = strstr(at, fillers[f]));)
            memset(at, ' ', strlen(fillers[f]));
    for (size_t i = 0; i < n; i += length) {
        bool space = utf8_is_space(utf8_get(copy + i, n - i, &length));
        if (!space) {
            memmove(out, copy + i, length);
            out += length;
        } else if (out > copy && out[-1] != ' ') {
            *out++ = ' ';
        }
    }
    while (out > copy && out[-1] == ' ')
        out--;
    *out = '\0';
    return copy;
}

static bool alike(const char *x, const char *y)
{
    struct arena a = { 0 };
    bool same = !strcmp(plain(&a, x), plain(&a, y)) && !a.failed;
    arena_free(&a);
    return same;
}

/* The same file but for folder and suffix? */
static bool same_picture(const char *x, const char *y)
{
    x = path_base(x);
    y = path_base(y);
    const char *dot = strrchr(x, '.'), *end = strrchr(y, '.');
    size_t n = dot ? (size_t)(dot - x) : strlen(x), m = end ? (size_t)(end - y) : strlen(y);
    return n == m && !memcmp(x, y, n);
}

static const char *plain_of(struct import *im, size_t i)
{
    if (!im->plain[i])
        im->plain[i] = plain(im->arena, im->qs->at[i].text);
    return im->plain[i];
}

/* Does nothing that the row says speak against this question? */
static bool fits(struct import *im, const struct row *r, size_t i)
{
    const struct question *q = &im->qs->at[i];
    struct arena a = { 0 };
    bool good = !r->asked || strstr(plain(&a, r->asked), plain_of(im, i));

    arena_free(&a);
    if (good && r->image && q->image && !strchr(q->image, '#'))
        good = same_picture(r->image, q->image);
    if (good && im->qualified && r->category)
        good = !strcmp(r->category, q->category);
    for (int k = 0; good && k < OPTIONS && k < q->n_options; k++)
        good = !r->options[k] || alike(r->options[k], q->options[k]);
    return good;
}

/* ---- by id ----------------------------------------------------------------------------------- */

/* The line of a LLaVA answers file that this row would be under one of its ids. */
static bool match(struct import *im, const struct row *r, int id, struct answers *into)
{
    struct err none = { 0 };
    struct json text = { .type = JSON_STRING, .string = r->reply, .n = strlen(r->reply),
                         .key = "text" };
    struct json name = { .type = JSON_STRING, .string = r->ids[id], .n = strlen(r->ids[id]),
                         .key = "question_id", .next = &text };
    struct json line = { .type = JSON_OBJECT, .first = &name, .n = 2 };
    return answers_take(im->b, im->qs, &line, into, &none);
}

/* answers_give asks here before it takes an answer. */
static bool only_look(void *user, size_t i)
{
    struct import *im = user;
    im->offered++;
    im->fitted += fits(im, im->probing, i);
    return false;
}

static bool ids_are_ours(struct import *im)
{
    struct answers probe = { .text = im->out->text, .n = im->qs->n, .arena = im->arena,
                             .accept = only_look, .user = im };
    bool any = false;

    for (size_t r = 0; r < im->n; r++) {
        im->probing = &im->rows[r];
        for (int id = 0; id < im->rows[r].n_ids; id++) {
            im->offered = im->fitted = 0;
            if (!match(im, im->probing, id, &probe))
                continue;
            if (im->fitted < im->offered)
                return false;
            any = true;
            break;
        }
    }
    return any;
}

static bool give_by_id(struct import *im, struct row *r)
{
    for (int id = 0; id < r->n_ids; id++)
        if (match(im, r, id, im->out))
            return true;
    return false;
}

/* ---- by what it asks, by place, among equals --------------------------------------------------- */

static enum status make_keys(struct import *im)
{
    struct prompt_set *paper = NULL;
    struct names *keys = &im->keys;
    const struct benchmark *b = im->b;
    size_t most = im->qs->n * 2, n = 0;
    struct name *list = arena_array(im->arena, most + 1, sizeof *list);

    if (!list || prompt_set_open(&paper, "paper", im->e) != OK)
        return err_set(im->e, ERR_MEMORY, "no memory to match answers to questions");
    for (size_t i = 0; i < im->qs->n; i++) {
        struct prompt_item item = question_item(&im->qs->at[i]);
        struct arena a = { 0 };
        const char *T = prompt_text(paper, b->name, b->format_of ? b->format_of(im->qs->split)
                                                                 : b->format, &item, &a);
        const char *prompt = plain(im->arena, T);
        list[n++] = (struct name){ plain_of(im, i), i };
        if (strcmp(prompt, plain_of(im, i)) != 0)
            list[n++] = (struct name){ prompt, i };
        arena_free(&a);
    }
    prompt_set_close(paper);
    keys->list = list;
    keys->n = n;
    names_sort(keys);
    return OK;
}

/* The first key that this text is, of keys.n when none; with its last line, or without. */
static size_t find_key(struct import *im, const char *asked)
{
    struct arena a = { 0 };
    size_t at = names_find(&im->keys, plain(&a, asked));
    const char *end = strrchr(asked, '\n');

    if (at == im->keys.n && end)
        at = names_find(&im->keys, plain(&a, arena_strn(&a, asked, (size_t)(end - asked))));
    arena_free(&a);
    return at;
}

/* How many questions of this key the row fits; the last of them into *found. */
static size_t count_fits(struct import *im, const struct row *r, size_t key, size_t *found)
{
    size_t n = 0;
    for (size_t k = key; k < im->keys.n && !strcmp(im->keys.list[k].text, im->keys.list[key].text);
         k++)
        if (fits(im, r, im->keys.list[k].at)) {
            *found = im->keys.list[k].at;
            n++;
        }
    return n;
}

static void find_by_text(struct import *im, struct row *r)
{
    size_t found = SIZE_MAX, key = r->asked ? find_key(im, r->asked) : im->keys.n, n;
    if (key == im->keys.n)
        return;
    n = count_fits(im, r, key, &found);
    if (n == 1)
        r->found = found;
    else if (n > 1)
        r->key = key;
}

static bool in_order(struct import *im)
{
    for (size_t r = 0; r < im->n; r++) {
        const struct row *row = &im->rows[r];
        if (!row->asked || row->place < 0 || (uint64_t)row->place >= im->qs->n ||
            !fits(im, row, (size_t)row->place))
            return false;
    }
    return im->n > 0;
}

static int by_key(const void *x, const void *y)
{
    const struct row *a = *(const struct row *const *)x, *b = *(const struct row *const *)y;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool same_reference(const struct row *r, const struct question *q)
{
    return r->reference && q->reference && alike(r->reference, q->reference);
}

/* group[n]: rows that ask the same words, in order of the file. */
static void share_out(struct import *im, struct row **group, size_t n)
{
    const struct name *equal = &im->keys.list[group[0]->key];
    size_t last = SIZE_MAX;
    bool good = true;

    if (count_fits(im, group[0], group[0]->key, &last) != n)
        return;
    for (int step = 0; step < 2 && good; step++) {          /* all agree; then all are given */
        size_t k = 0;
        for (size_t r = 0; r < n && good; r++, k++) {
            while (!fits(im, group[0], equal[k].at))
                k++;
            good = same_reference(group[r], &im->qs->at[equal[k].at]);
            if (step)
                group[r]->found = equal[k].at;
        }
    }
}

static void find_among_equals(struct import *im)
{
    struct row **open = arena_array(im->arena, im->n + 1, sizeof *open);
    size_t n = 0;

    for (size_t r = 0; open && r < im->n; r++)
        if (im->rows[r].found == SIZE_MAX && im->rows[r].key != SIZE_MAX)
            open[n++] = &im->rows[r];
    if (n)
        qsort(open, n, sizeof *open, by_key);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && open[to]->key == open[from]->key; to++)
            ;
        share_out(im, open + from, to - from);
    }
}

static enum status give_all(struct import *im)
{
    bool by_id = false, by_place;

    im->plain = arena_array(im->arena, im->qs->n, sizeof *im->plain);
    if (!im->plain)
        return err_set(im->e, ERR_MEMORY, "no memory to match answers to questions");
    by_id = ids_are_ours(im);
    by_place = !by_id && in_order(im);
    if (!by_id && !by_place && make_keys(im) != OK)
        return im->e->code;
    for (size_t r = 0; r < im->n; r++) {
        struct row *row = &im->rows[r];
        if (by_place)
            row->found = (size_t)row->place;
        else if (!by_id)
            find_by_text(im, row);
    }
    if (!by_id && !by_place)
        find_among_equals(im);
    for (size_t r = 0; r < im->n; r++) {
        struct row *row = &im->rows[r];
        if (row->found != SIZE_MAX)
            answers_give(im->out, row->found, row->reply);
        else if (row->key != SIZE_MAX)
            im->out->ambiguous++;
        else if (!by_id || !give_by_id(im, row))
            im->out->unknown++;
    }
    size_t lost = im->out->unknown + im->out->ambiguous;
    if (!by_id && lost > im->n / 2)                         /* what fits may fit by chance */
        err_set(im->e, ERR_DATA, "only %zu of %zu answers are to questions of %s:%s, by id or by "
                "what they ask: is this another benchmark or split?", im->n - lost, im->n,
                im->b->name, im->qs->split);
    return im->arena->failed ? err_set(im->e, ERR_MEMORY, "no memory for the answers")
                             : im->e->code;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A sheet may name one long text in a million cells: what is kept stays in proportion to the file. */
static bool has_room(struct import *im, size_t n)
{
    if (n > im->room) {
        err_set(im->e, ERR_DATA, "its cells come to more than 64 times its size and 64 MiB: refused");
        return false;
    }
    im->room -= n;
    return true;
}

static struct row *add_row(struct import *im)
{
    if (!has_room(im, sizeof *im->rows))
        return NULL;
    if (im->n == im->size) {
        size_t size = im->size ? im->size * 2 : 1024;
        struct row *more = realloc(im->rows, size * sizeof *more);
        if (!more) {
            err_set(im->e, ERR_MEMORY, "no memory for %zu answers", size);
            return NULL;
        }
        im->rows = more;
        im->size = size;
    }
    struct row *r = &im->rows[im->n++];
    *r = (struct row){ .place = -1, .found = SIZE_MAX, .key = SIZE_MAX };
    return r;
}

static const char *keep(struct import *im, const char *text)
{
    return text && has_room(im, strlen(text) + 1) ? arena_str(im->arena, text) : NULL;
}

static void add_id(struct import *im, struct row *r, const char *id)
{
    int64_t number;
    if (!id || !*id || r->n_ids == IDS || (im->qualified && !strchr(id, '/') &&
                                           str_to_int(id, &number)))
        return;
    if ((id = keep(im, id)))
        r->ids[r->n_ids++] = id;
}

/* An id as programs write it: bare, as a picture's name, below its category. */
static void add_ids(struct import *im, struct row *r, const char *id)
{
    if (!id)
        return;
    size_t n = strlen(id);
    if (im->qualified && r->category && !strchr(id, '/'))
        add_id(im, r, arena_fmt(im->arena, "%s/%s", r->category, id));
    add_id(im, r, id);
    if (n > 4 && !strcmp(id + n - 4, ".jpg"))
        add_id(im, r, arena_strn(im->arena, id, n - 4));
    else
        add_id(im, r, arena_fmt(im->arena, "%s.jpg", id));
}

/* ---- lmms-eval ------------------------------------------------------------------------------- */

/* "x", ["x"] or [["x"]], by version; NULL when it is no single text. */
static const char *single_text(const struct json *j)
{
    while (j && j->type == JSON_ARRAY && j->n == 1)
        j = j->first;
    return j && j->type == JSON_STRING ? j->string : NULL;
}

static const char *first_text(const struct json *j)
{
    while (j && j->type == JSON_ARRAY)
        j = j->first;
    return j && j->type == JSON_STRING ? j->string : NULL;
}

static const char *as_text(struct import *im, const struct json *j)
{
    if (j && j->type == JSON_NUMBER && j->is_int)
        return arena_fmt(im->arena, "%lld", (long long)j->integer);
    return j && j->type == JSON_STRING ? j->string : NULL;
}

static void take_ids(struct import *im, struct row *r, const struct json *object)
{
    static const char *const names[] = { "question_id", "questionId", "index", "id", "image" };
    for (size_t k = 0; k < COUNT(names); k++)
        add_ids(im, r, as_text(im, json_get(object, names[k])));
}

/* doc, and what stands beside metrics, hold what is known of the question. */
static void take_sample(struct import *im, const struct json *line, struct row *r)
{
    const struct json *doc = json_get(line, "doc");
    const char *image = NULL, *question = json_get_str(doc, "question", NULL);
    const char *category = json_get_str(doc, "category", NULL);

    for (const struct json *m = line->first; m; m = m->next) {
        category = category ? category : json_get_str(m, "category", NULL);
        question = question ? question : json_get_str(m, "question", NULL);
        image = image ? image : json_get_str(m, "image", NULL);
    }
    r->category = keep(im, category);
    take_ids(im, r, doc);
    for (const struct json *m = line->first; m; m = m->next)
        if (m->type == JSON_OBJECT && m != doc)
            take_ids(im, r, m);
    const char *input = first_text(json_get(line, "input"));
    input = input ? input : first_text(json_get(line, "arguments"));
    r->asked = keep(im, question ? question : input);
    r->reference = keep(im, as_text(im, json_get(line, "target")));
    if (!image && r->n_ids && strchr(r->ids[0], '/') && im->qualified)
        image = r->ids[0];                                  /* MME's: category/picture */
    r->image = keep(im, image);
    r->place = json_get_int(line, "doc_id", -1);
}

static void read_samples(struct import *im, const char *path)
{
    struct jsonl in;
    jsonl_open(&in, im->arena, im->e, "%s", path);
    while (jsonl_next_lenient(&in, &im->out->unreadable)) {
        const struct json *replies = json_get(in.object, "filtered_resps");
        const char *reply = single_text(replies ? replies : json_get(in.object, "resps"));
        struct row *r = reply ? add_row(im) : NULL;
        im->out->unreadable += !reply;
        if (!r)
            continue;
        r->reply = keep(im, reply);
        take_sample(im, in.object, r);
    }
    jsonl_close(&in);
}

/* ---- VLMEvalKit ------------------------------------------------------------------------------ */

enum field { INDEX, QUESTION_ID, ID, QUESTION, CATEGORY, IMAGE, ANSWER, PREDICTION, A, B, C, D, E,
             FIELDS };
static const char *const field_names[FIELDS] = {
    "index", "question_id", "id", "question", "category", "image_path", "answer", "prediction",
    "A", "B", "C", "D", "E" };

/* What it writes in place of a reply that it did not get. */
static bool is_failure(const char *reply)
{
    static const char failure[] = "Failed to obtain answer";
    return !strncmp(reply, failure, strlen(failure));
}

/* cell[]: NULL where the row has none. An empty prediction is a reply. Where ids have a category, a
 * row may stand for several: "adversarial,popular". */
static void take_record(struct import *im, const char *const cell[FIELDS], size_t place)
{
    const char *reply = cell[PREDICTION] ? cell[PREDICTION] : "", *category = cell[CATEGORY];
    if (is_failure(reply)) {
        im->out->failed++;
        return;
    }
    struct row whole = {
        .reply = keep(im, reply), .asked = keep(im, cell[QUESTION]), .image = keep(im, cell[IMAGE]),
        .reference = keep(im, cell[ANSWER]), .place = (int64_t)place, .found = SIZE_MAX,
        .key = SIZE_MAX };
    for (int k = 0; k < OPTIONS; k++)
        whole.options[k] = keep(im, cell[A + k]);
    for (int k = 0; k < CATEGORIES && im->e->code == OK; k++) {
        size_t n = !category ? 0 : im->qualified ? strcspn(category, ",") : strlen(category);
        struct row *r = add_row(im);
        if (!r)
            return;
        *r = whole;
        if (category && has_room(im, 2 * (n + 1)))
            r->category = utf8_strip(im->arena, arena_strn(im->arena, category, n));
        for (int f = INDEX; f <= ID; f++)
            add_ids(im, r, cell[f]);
        if (!category || !category[n])
            break;
        category += n + 1;
    }
}

static enum status need_column(const struct import *im, const char *path, bool there)
{
    return there ? OK
           : err_set(im->e, ERR_DATA, "%s: no column \"prediction\": neither LLaVA's answers nor "
                     "VLMEvalKit's predictions", path);
}

static void read_sheet(struct import *im, const char *path)
{
    struct xlsx *t;
    const char *const *cells;
    int column[FIELDS], n, there = 0;

    if (xlsx_open(&t, path, im->e) == OK && xlsx_next(t, &cells, &n)) {
        for (int f = 0; f < FIELDS; f++)
            column[f] = -1;
        for (int c = 0; c < n; c++)
            for (int f = 0; f < FIELDS; f++)
                if (cells[c] && !strcmp(cells[c], field_names[f]) && column[f] < 0)
                    column[f] = c;
        there = column[PREDICTION] >= 0;
    }
    if (im->e->code == OK && need_column(im, path, there) == OK)
        for (size_t place = 0; im->e->code == OK && xlsx_next(t, &cells, &n); place++) {
            const char *cell[FIELDS];
            for (int f = 0; f < FIELDS; f++)
                cell[f] = column[f] >= 0 && column[f] < n ? cells[column[f]] : NULL;
            take_record(im, cell, place);
        }
    xlsx_close(t);
}

static void read_tsv(struct import *im, const char *path)
{
    struct tsv t;
    struct arena a = { 0 };
    int column[FIELDS];

    if (tsv_open(&t, path, im->arena, im->e) == OK) {
        for (int f = 0; f < FIELDS; f++)
            column[f] = tsv_column(&t, field_names[f]);
        need_column(im, path, column[PREDICTION] >= 0);
    }
    for (size_t place = 0; im->e->code == OK && tsv_next(&t); place++) {
        const char *cell[FIELDS];
        arena_reset(&a);
        for (int f = 0; f < FIELDS; f++)
            cell[f] = tsv_text(&t, column[f], &a);
        if (column[PREDICTION] >= t.n_cells) {              /* a row that was cut off */
            im->out->unreadable++;
            continue;
        }
        struct tsv_cell raw = tsv_cell(&t, column[PREDICTION]);
        cell[PREDICTION] = tsv_unquote(t.file.at + raw.at, raw.n, &a);  /* "None" is a reply */
        take_record(im, cell, place);
    }
    tsv_close(&t);
    arena_free(&a);
}

static void read_records(struct import *im, const char *path)
{
    struct json_items in;
    struct arena scratch = { 0 };
    const struct json *item;

    json_items_open(&in, path, "", &scratch, im->e);
    for (size_t place = 0; im->e->code == OK && (item = json_items_next(&in)); place++) {
        const char *cell[FIELDS];
        for (int f = 0; f < FIELDS; f++)
            cell[f] = as_text(im, json_get(item, field_names[f]));
        if (place == 0 && need_column(im, path, json_get(item, field_names[PREDICTION])) != OK)
            break;
        if (cell[PREDICTION])
            take_record(im, cell, place);
        else
            im->out->unreadable++;
    }
    json_items_close(&in);
    arena_free(&scratch);
}

/* ---- which of them --------------------------------------------------------------------------- */

typedef void reader(struct import *im, const char *path);

/* The first line that is an object says whose JSON lines these are. */
static bool is_sample_file(const char *path, struct err *e)
{
    struct jsonl in;
    struct arena a = { 0 };
    size_t bad = 0;
    bool sample = false;

    jsonl_open(&in, &a, e, "%s", path);
    if (jsonl_next_lenient(&in, &bad))
        sample = json_get(in.object, "doc_id") && !json_get(in.object, "text");
    jsonl_close(&in);
    arena_free(&a);
    return sample;
}

/* A table whose first row names a column "prediction". */
static bool is_tsv(const char *at, size_t n)
{
    const char *end = memchr(at, '\n', n);
    const char *tab = memchr(at, '\t', end ? (size_t)(end - at) : n);
    return tab && memmem(at, end ? (size_t)(end - at) : n, "prediction", 10);
}

/* NULL: LLaVA's answers. */
static reader *reader_of(const char *path, struct err *e)
{
    struct file file;
    reader *found = NULL;

    if (file_open(&file, path, ERR_DATA, e) != OK)
        return NULL;
    const char *at = file.at;
    size_t n = file.n;
    if (n >= 3 && !memcmp(at, "\xef\xbb\xbf", 3))
        at += 3, n -= 3;
    while (n && strchr(" \t\r\n", *at) && *at)
        at++, n--;
    if (n >= 4 && !memcmp(at, "PK\3\4", 4))
        found = read_sheet;
    else if (n && *at == '[')
        found = read_records;
    else if (n && *at == '{')
        found = is_sample_file(path, e) ? read_samples : NULL;
    else if (is_tsv(at, n))
        found = read_tsv;
    file_close(&file);
    return found;
}

enum status import_answers(const struct benchmark *b, struct questions *qs, const char *path,
                           struct answers *out, struct arena *a, struct err *e)
{
    struct import im = { .b = b, .qs = qs, .out = out, .arena = a, .e = e };
    reader *read = reader_of(path, e);
    int64_t size = file_size(path);

    if (e->code != OK)
        return e->code;
    if (!read)
        return answers_read(b, qs, path, out, a, e);
    if (answers_begin(out, qs, a, e) != OK)
        return e->code;
    for (size_t i = 0; i < qs->n && !im.qualified; i++)
        im.qualified = strchr(qs->at[i].id, '/');
    im.room = ((size_t)1 << 26) + 64 * (size_t)(size > 0 ? size : 0);
    read(&im, path);
    if (e->code == OK)
        give_all(&im);
    if (e->code != OK && strncmp(e->text, path, strlen(path)))
        err_in(e, "%s", path);
    free(im.rows);
    if (qs->failed || a->failed)
        err_set(e, ERR_MEMORY, "%s: no memory for the answers", path);
    return e->code;
}

void import_warn(const struct answers *a, const char *path)
{
    const struct { size_t n; const char *what; } counts[] = {
        { a->unreadable, "lines are no JSON object with an answer: skipped" },
        { a->unknown, "answers are to no question of the split: skipped" },
        { a->ambiguous, "answers fit several questions, and nothing says which: skipped" },
        { a->failed, "rows say that the other program had no answer: skipped" },
        { a->repeated, "answers replaced an earlier one to the same question" },
    };
    for (size_t i = 0; i < COUNT(counts); i++)
        if (counts[i].n)
            say_warning("%s: %zu %s", path, counts[i].n, counts[i].what);
}
