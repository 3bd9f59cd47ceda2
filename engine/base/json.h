/* json.h -- reading JSON that nobody vouches for.
 *
 * Three ways in, all bounded (depth 64; errors name file, line or byte, and what was expected):
 *   json_parse        a whole small document as a tree in an arena
 *   json_items_*      the elements of one big array (or members of one big object) inside a big
 *                     file, one small tree at a time: memory does not grow with the file
 *   jsonl_*           JSON lines, with typed field access whose first error sticks
 * Strict RFC 8259 but for two things that Python's json also takes: NaN and Infinity as numbers,
 * and a leading UTF-8 byte order mark is skipped. Lone surrogate escapes become U+FFFD. Strings
 * hold no NUL: an escaped U+0000 is an error. Where a key stands twice the last one wins. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdint.h>
#include "engine/base/arena.h"
#include "engine/base/file.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY,
                 JSON_OBJECT };

struct json {
    enum json_type type;
    bool is_int;                /* a number written without fraction or exponent that fits */
    union {
        double number;          /* JSON_NUMBER; with is_int see integer as well */
        const char *string;     /* JSON_STRING: UTF-8, NUL-terminated, in the arena */
        struct json *first;     /* JSON_ARRAY, JSON_OBJECT: children in order, by ->next */
    };
    int64_t integer;
    const char *key;            /* member of an object, else NULL */
    struct json *next;
    size_t n;                   /* children, or bytes of the string */
};

/* The tree of text[0..n), or NULL with e set ("NAME: byte 17: ..."). NAME is for messages. */
const struct json *json_parse(struct arena *a, const char *name, const char *text, size_t n,
                              struct err *e);

/* The member, or NULL: no such key, o is NULL, or o is no object. */
const struct json *json_get(const struct json *o, const char *key);

/* Typed members with a default for absent or null; a member of another type also gives it. */
const char *json_get_str(const struct json *o, const char *key, const char *otherwise);
int64_t json_get_int(const struct json *o, const char *key, int64_t otherwise);
double json_get_double(const struct json *o, const char *key, double otherwise);
bool json_get_bool(const struct json *o, const char *key, bool otherwise);

/* Walks the array or object that is `member` of the outermost object ("questions"), or with "" the
 * document itself. Each step resets `scratch` and parses one element into it; strings to keep are copied by
 * the caller. item.key is the member's name when walking an object. What stands
 * before and behind is checked, not kept. */
struct json_items {
    struct file file;
    const char *at, *end;       /* what is not read yet */
    struct arena *scratch;
    struct err *e;
    const char *path;           /* borrowed: file name, for messages */
    size_t index;               /* of the item last returned */
    bool is_object, done, started;
    bool inside;                /* a member of the document, which goes on behind it */
};
enum status json_items_open(struct json_items *it, const char *path, const char *member,
                            struct arena *scratch, struct err *e);
const struct json *json_items_next(struct json_items *it);  /* NULL at the end or on error (e) */
enum status json_items_close(struct json_items *it);        /* e->code; NULL-safe after failed open */

/* JSON lines. Blank lines are skipped; LF and CRLF; the last line may lack its end.
 *     struct jsonl in;
 *     jsonl_open(&in, arena, e, "%s/x.jsonl", dir);
 *     while (jsonl_next(&in)) use(jsonl_str(&in, "text"), jsonl_int(&in, "id"));
 *     return jsonl_close(&in);
 * A missing or mistyped field sets e ("FILE:LINE: ...") and ends the loop; field functions then
 * return "" or 0. Strings live in the arena given to jsonl_open. */
struct jsonl {
    struct file file;
    const char *at, *end;
    const char *path;
    size_t line;                /* of the current object, from 1 */
    struct arena *arena;
    struct arena scratch;       /* the current tree */
    const struct json *object;  /* the current line */
    struct err *e;
    bool opened;
};
enum status jsonl_open(struct jsonl *in, struct arena *a, struct err *e, const char *format, ...)
    PRINTF_LIKE(4, 5);
bool jsonl_next(struct jsonl *in);
/* As jsonl_next, but a line that is no JSON object only counts in *bad and is passed over. */
bool jsonl_next_lenient(struct jsonl *in, size_t *bad);
const char *jsonl_str(struct jsonl *in, const char *key);
int64_t jsonl_int(struct jsonl *in, const char *key);
const char *jsonl_one_of(struct jsonl *in, const char *key, const char *a, const char *b);
enum status jsonl_close(struct jsonl *in);

#endif
