/* json.c -- one recursive reader, used on whole documents, on elements and on lines.
 *
 * The reader fills a node that its caller provides. With no arena it only checks: that is how
 * json_items passes over the members that nobody asked for without keeping them. Written for the
 * 180 MB of VQAv2's annotations: strings are copied in one piece where nothing is escaped. */
#include "engine/base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "engine/base/str.h"
#include "engine/base/utf8.h"

enum { DEPTH_MAX = 64 };

struct reader {
    const char *at, *end;
    const char *start;          /* of the file: messages count bytes from here */
    const char *name;
    size_t line;                /* 0: messages name the byte instead */
    struct arena *arena;        /* NULL: check only */
    struct err *e;
};

/* Always false, so that failing is one line. Shows what stands there. */
static bool expected(const struct reader *r, const char *what)
{
    char where[48], found[16] = "the end";
    if (r->line)
        snprintf(where, sizeof where, "%zu", r->line);
    else
        snprintf(where, sizeof where, " byte %zu", (size_t)(r->at - r->start));
    if (r->at < r->end) {
        unsigned char c = (unsigned char)*r->at;
        snprintf(found, sizeof found, c > 0x20 && c < 0x7f ? "\"%c\"" : "byte 0x%02x", c);
    }
    err_set(r->e, ERR_DATA, "%s:%s: bad JSON: found %s, expected %s", r->name, where, found, what);
    return false;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static bool next_is(const struct reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* The four digits of \uXXXX; -1 when they are not four. */
static long hex4(const char *p, const char *end)
{
    long value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* One escape, r->at behind its backslash; writes what it means to out and returns how many bytes,
 * 0 on error. */
static size_t read_escape(struct reader *r, char out[UTF8_MAX])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *which = r->at < r->end && *r->at ? strchr(from, *r->at) : NULL;
    if (which) {
        out[0] = to[which - from];
        r->at++;
        return 1;
    }
    if (!next_is(r, 'u')) {
        expected(r, "an escape");
        return 0;
    }
    r->at++;
    long c = hex4(r->at, r->end);
    if (c <= 0) {
        expected(r, c == 0 ? "a string without U+0000" : "four hexadecimal digits");
        return 0;
    }
    r->at += 4;
    if (c >= 0xd800 && c < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        long low = hex4(r->at + 2, r->end);
        if (low >= 0xdc00 && low < 0xe000) {
            r->at += 6;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return utf8_put(out, (uint32_t)c);                      /* a lone surrogate: U+FFFD */
}

/* r->at behind the opening quote. Passes first over text that means itself; if the string ends
 * there it is copied in one piece. An escape never means more bytes than it is written with, so
 * the rest, up to the closing quote, bounds the room needed. */
static bool read_string(struct reader *r, const char **text, size_t *n)
{
    const char *from = r->at, *p = from;
    bool escapes = false;
    while (p < r->end && *p != '"') {
        unsigned char c = (unsigned char)*p;
        size_t length = 1;
        if (c < 0x20 || (c >= 0x80 && utf8_get(p, (size_t)(r->end - p), &length) == UTF8_BAD &&
                         length == 1)) {
            r->at = p;
            return expected(r, c < 0x20 ? "control characters to be escaped" : "valid UTF-8");
        }
        if (c == '\\') {
            escapes = true;
            if (++p == r->end)
                break;
        }
        p += c == '\\' ? 1 : length;
    }
    if (p >= r->end) {
        r->at = r->end;
        return expected(r, "the end of a string");
    }
    if (!escapes) {
        r->at = p + 1;
        if (r->arena) {
            *text = arena_strn(r->arena, from, (size_t)(p - from));
            *n = (size_t)(p - from);
        }
        return true;
    }
    char *out = r->arena ? arena_alloc(r->arena, (size_t)(p - from) + 1) : NULL;
    size_t used = 0;
    while (r->at < p) {
        char one[UTF8_MAX];
        const char *copy = r->at;
        size_t length;
        if (*r->at == '\\') {
            r->at++;
            length = read_escape(r, one);
            if (!length)
                return false;
            copy = one;
        } else {
            const char *next = memchr(r->at, '\\', (size_t)(p - r->at));
            length = (size_t)((next ? next : p) - r->at);
            r->at += length;
        }
        if (out)
            memcpy(out + used, copy, length);
        used += length;
    }
    r->at = p + 1;
    *text = out ? out : "";
    *n = out ? used : 0;
    return true;
}

static bool read_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return expected(r, "a value");
    r->at += n;
    return true;
}

static bool read_digits(struct reader *r)
{
    if (r->at == r->end || *r->at < '0' || *r->at > '9')
        return expected(r, "a digit");
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return true;
}

static bool read_number(struct reader *r, struct json *out)
{
    const char *from = r->at;
    bool minus = next_is(r, '-');
    out->type = JSON_NUMBER;
    if (minus)
        r->at++;
    if (next_is(r, 'I') || next_is(r, 'N')) {               /* as Python writes them */
        bool inf = *r->at == 'I';
        out->number = inf ? (minus ? -INFINITY : INFINITY) : NAN;
        return minus && !inf ? expected(r, "a digit") : read_word(r, inf ? "Infinity" : "NaN");
    }
    if (next_is(r, '0'))
        r->at++;                                            /* 01 is no number */
    else if (!read_digits(r))
        return false;
    bool whole = true;
    if (next_is(r, '.')) {
        whole = false;
        r->at++;
        if (!read_digits(r))
            return false;
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        whole = false;
        r->at++;
        if (next_is(r, '+') || next_is(r, '-'))
            r->at++;
        if (!read_digits(r))
            return false;
    }
    size_t n = (size_t)(r->at - from);
    if (whole && n <= 20) {
        char text[21];
        memcpy(text, from, n);
        text[n] = '\0';
        out->is_int = str_to_int(text, &out->integer);
    }
    if (!str_to_double_n(from, n, &out->number))
        err_set(r->e, ERR_MEMORY, "%s: out of memory", r->name);
    return r->e->code == OK;
}

static bool read_value(struct reader *r, struct json *out, int depth);

/* The children of an array or object, r->at behind its opening bracket. */
static bool read_children(struct reader *r, struct json *out, int depth)
{
    bool is_object = out->type == JSON_OBJECT;
    char close = is_object ? '}' : ']';
    struct json *last = NULL;
    if (depth == DEPTH_MAX)
        return expected(r, "at most 64 levels");
    skip_space(r);
    if (next_is(r, close)) {
        r->at++;
        return true;
    }
    for (;;) {
        struct json unused = { 0 }, *child = &unused;
        if (r->arena) {
            child = arena_alloc(r->arena, sizeof *child);
            if (!child)
                return false;
        }
        skip_space(r);
        if (is_object) {
            size_t n;
            if (!next_is(r, '"'))
                return expected(r, "a key in quotes");
            r->at++;
            if (!read_string(r, &child->key, &n))
                return false;
            skip_space(r);
            if (!next_is(r, ':'))
                return expected(r, "\":\"");
            r->at++;
        }
        if (!read_value(r, child, depth + 1))
            return false;
        if (r->arena) {
            if (last)
                last->next = child;
            else
                out->first = child;
            last = child;
        }
        out->n++;
        skip_space(r);
        if (next_is(r, close)) {
            r->at++;
            return true;
        }
        if (!next_is(r, ','))
            return expected(r, is_object ? "\",\" or \"}\"" : "\",\" or \"]\"");
        r->at++;
    }
}

static bool read_value(struct reader *r, struct json *out, int depth)
{
    skip_space(r);
    if (r->at == r->end)
        return expected(r, "a value");
    switch (*r->at) {
    case '"':
        r->at++;
        out->type = JSON_STRING;
        return read_string(r, &out->string, &out->n);
    case '[': case '{':
        out->type = *r->at++ == '{' ? JSON_OBJECT : JSON_ARRAY;
        return read_children(r, out, depth);
    case 't':
        out->type = JSON_TRUE;
        return read_word(r, "true");
    case 'f':
        out->type = JSON_FALSE;
        return read_word(r, "false");
    case 'n':
        out->type = JSON_NULL;
        return read_word(r, "null");
    case '-': case 'I': case 'N':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return read_number(r, out);
    default:
        return expected(r, "a value");
    }
}

/* One value into the arena; NULL on a syntax error or when memory ran out. */
static const struct json *read_tree(struct reader *r)
{
    struct json *root = arena_alloc(r->arena, sizeof *root);
    bool good = root && read_value(r, root, 0);
    if (r->arena->failed)
        err_set(r->e, ERR_MEMORY, "%s: out of memory", r->name);
    return good && !r->arena->failed ? root : NULL;
}

static const char *behind_mark(const char *at, const char *end)
{
    return end - at >= 3 && !memcmp(at, "\xef\xbb\xbf", 3) ? at + 3 : at;
}

static bool at_end(struct reader *r)
{
    skip_space(r);
    return r->at == r->end || expected(r, "the end");
}

const struct json *json_parse(struct arena *a, const char *name, const char *text, size_t n,
                              struct err *e)
{
    if (!n)
        text = "";
    struct reader r = { behind_mark(text, text + n), text + n, text, name, 0, a, e };
    const struct json *root = read_tree(&r);
    return root && at_end(&r) ? root : NULL;
}

const struct json *json_get(const struct json *o, const char *key)
{
    const struct json *found = NULL;
    if (o && o->type == JSON_OBJECT)
        for (const struct json *m = o->first; m; m = m->next)
            if (!strcmp(m->key, key))
                found = m;
    return found;
}

const char *json_get_str(const struct json *o, const char *key, const char *otherwise)
{
    const struct json *m = json_get(o, key);
    return m && m->type == JSON_STRING ? m->string : otherwise;
}

int64_t json_get_int(const struct json *o, const char *key, int64_t otherwise)
{
    const struct json *m = json_get(o, key);
    return m && m->is_int ? m->integer : otherwise;
}

double json_get_double(const struct json *o, const char *key, double otherwise)
{
    const struct json *m = json_get(o, key);
    return m && m->type == JSON_NUMBER ? m->number : otherwise;
}

bool json_get_bool(const struct json *o, const char *key, bool otherwise)
{
    const struct json *m = json_get(o, key);
    return m && (m->type == JSON_TRUE || m->type == JSON_FALSE) ? m->type == JSON_TRUE : otherwise;
}

/* ---- elements of a big file ------------------------------------------------------------------ */

static struct reader reader_of(struct json_items *it, struct arena *a)
{
    return (struct reader){ it->at, it->end, it->file.at, it->path, 0, a, it->e };
}

/* Passes over the members of the outermost object up to the value of `member`, or, when that is
 * NULL, over all that are left; r->at behind "{" or behind a member's value. */
static bool find_member(struct reader *r, const char *member, bool first)
{
    for (;; first = false) {
        skip_space(r);
        if (next_is(r, '}') && (first || !member)) {
            r->at++;
            return member ? expected(r, "a member of the name asked for") : at_end(r);
        }
        if (!first) {
            if (next_is(r, '}'))
                return expected(r, "a member of the name asked for");
            if (!next_is(r, ','))
                return expected(r, "\",\" or \"}\"");
            r->at++;
            skip_space(r);
        }
        if (!next_is(r, '"'))
            return expected(r, "a key in quotes");
        r->at++;
        struct arena key_arena = { 0 };
        struct reader key_reader = *r;
        const char *key = "";
        size_t n;
        key_reader.arena = &key_arena;
        bool good = read_string(&key_reader, &key, &n);
        bool found = good && member && !strcmp(key, member);
        arena_free(&key_arena);
        r->at = key_reader.at;
        if (!good)
            return false;
        skip_space(r);
        if (!next_is(r, ':'))
            return expected(r, "\":\"");
        r->at++;
        if (found)
            return true;
        struct json unused = { 0 };
        if (!read_value(r, &unused, 1))
            return false;
    }
}

enum status json_items_open(struct json_items *it, const char *path, const char *member,
                            struct arena *scratch, struct err *e)
{
    *it = (struct json_items){ .scratch = scratch, .e = e, .path = path, .done = true };
    if (file_open(&it->file, path, ERR_DATA, e) != OK)
        return e->code;
    const char *start = it->file.at;
    it->end = start + it->file.n;
    it->at = behind_mark(start, it->end);
    struct reader r = reader_of(it, NULL);
    skip_space(&r);
    it->inside = *member != '\0';
    if (it->inside) {
        if (!next_is(&r, '{')) {
            expected(&r, "an object");
            return e->code;
        }
        r.at++;
        if (!find_member(&r, member, true))
            return err_in(e, "looking for \"%s\"", member);
        skip_space(&r);
    }
    it->is_object = next_is(&r, '{');
    if (!it->is_object && !next_is(&r, '[')) {
        expected(&r, "an array or object");
        return e->code;
    }
    it->at = r.at + 1;
    it->done = false;
    return OK;
}

const struct json *json_items_next(struct json_items *it)
{
    if (it->done || it->e->code != OK)
        return NULL;
    arena_reset(it->scratch);
    struct reader r = reader_of(it, it->scratch);
    const char *key = NULL;
    struct json *item = NULL;
    size_t n;
    it->done = true;                                        /* unless all goes well */
    skip_space(&r);
    if (next_is(&r, it->is_object ? '}' : ']')) {
        r.at++;
        r.arena = NULL;
        if (it->inside)
            find_member(&r, NULL, false);
        else
            at_end(&r);
        return NULL;
    }
    if (it->started) {
        if (!next_is(&r, ',')) {
            expected(&r, it->is_object ? "\",\" or \"}\"" : "\",\" or \"]\"");
            return NULL;
        }
        r.at++;
        skip_space(&r);
    }
    if (it->is_object) {
        if (!next_is(&r, '"')) {
            expected(&r, "a key in quotes");
            return NULL;
        }
        r.at++;
        if (!read_string(&r, &key, &n))
            return NULL;
        skip_space(&r);
        if (!next_is(&r, ':')) {
            expected(&r, "\":\"");
            return NULL;
        }
        r.at++;
    }
    item = arena_alloc(it->scratch, sizeof *item);
    if (item) {
        item->key = key;
        if (!read_value(&r, item, it->inside ? 2 : 1))
            item = NULL;
    }
    if (it->scratch->failed) {
        err_set(it->e, ERR_MEMORY, "%s: out of memory", it->path);
        return NULL;
    }
    if (item) {
        it->index += it->started;
        it->started = true;
        it->done = false;
        it->at = r.at;
    }
    return item;
}

enum status json_items_close(struct json_items *it)
{
    file_close(&it->file);
    it->done = true;
    return it->e ? it->e->code : OK;
}

/* ---- JSON lines ------------------------------------------------------------------------------ */

enum status jsonl_open(struct jsonl *in, struct arena *a, struct err *e, const char *format, ...)
{
    char path[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    *in = (struct jsonl){ .arena = a, .e = e, .path = arena_str(a, path) };
    if (e->code != OK || file_open(&in->file, path, ERR_DATA, e) != OK)
        return e->code;
    in->opened = true;
    in->at = in->file.at;
    in->end = in->at + in->file.n;
    in->at = behind_mark(in->at, in->end);
    return OK;
}

/* The next line that is not blank, as a tree in the scratch arena. False at the end. */
static bool next_line(struct jsonl *in, struct err *e)
{
    in->object = NULL;
    while (in->opened && in->at < in->end) {
        const char *stop = memchr(in->at, '\n', (size_t)(in->end - in->at));
        struct reader r = { in->at, stop ? stop : in->end, in->at, in->path, ++in->line,
                            &in->scratch, e };
        in->at = stop ? stop + 1 : in->end;
        skip_space(&r);
        if (r.at == r.end)
            continue;
        arena_reset(&in->scratch);
        const struct json *line = read_tree(&r);
        if (line && at_end(&r)) {
            if (line->type == JSON_OBJECT)
                in->object = line;
            else
                err_set(e, ERR_DATA, "%s:%zu: expected an object", in->path, in->line);
        }
        return true;
    }
    return false;
}

bool jsonl_next(struct jsonl *in)
{
    return in->e->code == OK && next_line(in, in->e) && in->e->code == OK;
}

bool jsonl_next_lenient(struct jsonl *in, size_t *bad)
{
    struct err line = { 0 };
    while (in->e->code == OK && next_line(in, &line)) {
        if (line.code == OK)
            return true;
        if (line.code == ERR_MEMORY)
            err_set(in->e, line.code, "%s", line.text);
        ++*bad;
        err_clear(&line);
    }
    return false;
}

/* The member `key` if it is of the type wanted; else NULL with an error. */
static const struct json *field(struct jsonl *in, const char *key, enum json_type type,
                                const char *type_name)
{
    static const char *const names[] = { "null", "false", "true", "a number", "a string",
                                         "an array", "an object" };
    if (!in->object || in->e->code != OK)
        return NULL;
    const struct json *m = json_get(in->object, key);
    if (m && m->type == type && (type != JSON_NUMBER || m->is_int))
        return m;
    if (!m)
        err_set(in->e, ERR_DATA, "%s:%zu: \"%s\" is missing, expected %s", in->path, in->line, key,
                type_name);
    else
        err_set(in->e, ERR_DATA, "%s:%zu: \"%s\" is %s, expected %s", in->path, in->line, key,
                names[m->type], type_name);
    return NULL;
}

const char *jsonl_str(struct jsonl *in, const char *key)
{
    const struct json *m = field(in, key, JSON_STRING, "a string");
    if (!m)
        return "";
    const char *text = arena_strn(in->arena, m->string, m->n);
    if (in->arena->failed)
        err_set(in->e, ERR_MEMORY, "%s: out of memory", in->path);
    return text;
}

int64_t jsonl_int(struct jsonl *in, const char *key)
{
    const struct json *m = field(in, key, JSON_NUMBER, "an integer");
    return m ? m->integer : 0;
}

const char *jsonl_one_of(struct jsonl *in, const char *key, const char *a, const char *b)
{
    const struct json *m = field(in, key, JSON_STRING, "a string");
    if (!m)
        return "";
    if (!strcmp(m->string, a))
        return a;
    if (!strcmp(m->string, b))
        return b;
    err_set(in->e, ERR_DATA, "%s:%zu: \"%s\" is \"%.100s\", expected \"%s\" or \"%s\"", in->path,
            in->line, key, m->string, a, b);
    return "";
}

enum status jsonl_close(struct jsonl *in)
{
    file_close(&in->file);
    arena_free(&in->scratch);
    in->object = NULL;
    in->opened = false;
    return in->e->code;
}
