/* prompt.c -- a question and a template become the text of the user's turn.
 *
 * A set is a table of templates (formats.c) with, for a set from a file, templates by benchmark on
 * top. A template is literal text but for its placeholders, which prompt.h lists. ScienceQA's own
 * part (all from its first placeholder to its last) has doubled blanks squashed and is trimmed, as
 * LLaVA's question file has it; an instruction around it stays as written. */
#include "prompts/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"
#include "prompts/private.h"

enum { PROMPT_MAX = 1 << 24 };                              /* bytes of one prompt */

struct override {
    const char *benchmark, *template;                       /* "*": every benchmark not named */
};

struct prompt_set {
    const char *name, *conversation;
    bool image_last;
    const struct formats *formats;
    struct override *overrides;
    size_t n_overrides;
    const char **names;                                     /* of the overrides; NULL ends */
    struct arena arena;
};

/* ---- placeholders ---------------------------------------------------------------------------- */

enum part { QUESTION, ORIGINAL, HINT, OCR, OPTIONS, INLINE, PARTS };
static const char *const parts[PARTS + 1] = { "question", "original", "hint", "ocr", "options",
                                              "inline", NULL };

/* Reads "{name}" at text: its length and which it is; 0 when it is none. */
static size_t placeholder(const char *text, enum part *which)
{
    const char *end = strchr(text, '}');
    size_t n = end ? (size_t)(end - text) - 1 : 0;
    for (int p = 0; end && p < PARTS; p++)
        if (strlen(parts[p]) == n && !memcmp(text + 1, parts[p], n)) {
            *which = (enum part)p;
            return n + 2;
        }
    return 0;
}

/* The question as the paper's format reads it. */
static const char *question_of(enum prompt_format format, const struct prompt_item *item,
                               struct arena *a)
{
    static const char ending[] = "Please answer yes or no.";
    if (format == FORMAT_UNANSWERABLE || format == FORMAT_OCR)
        return utf8_capitalize(a, item->question);
    if (format != FORMAT_YESNO)
        return item->question;
    char *text = arena_str(a, item->question);
    for (char *at = text; (at = strstr(at, ending)); )
        memmove(at, at + sizeof ending - 1, strlen(at + sizeof ending - 1) + 1);
    return utf8_strip(a, text);
}

static void add_part(struct str *s, enum part part, enum prompt_format format,
                     const struct prompt_item *item, struct arena *a)
{
    const char *context = item->context ? item->context : "";
    switch (part) {
    case QUESTION:
        str_add(s, question_of(format, item, a));
        break;
    case ORIGINAL:
        str_add(s, item->question);
        break;
    case HINT:
        if (*context && format != FORMAT_OCR)
            str_addf(s, "%s%s\n", format == FORMAT_SCIENCE ? "Context: " : "", context);
        break;
    case OCR:
        str_addf(s, "Reference OCR token: %s", context);
        break;
    case OPTIONS:                                           /* each behind a line feed: none without */
        if (item->n_options == 0 && s->n && s->at[s->n - 1] == '\n')
            s->at[--s->n] = '\0';
        for (int i = 0; i < item->n_options; i++)
            str_addf(s, "%s%c. %s", i ? "\n" : "", 'A' + i, item->options[i]);
        break;
    case INLINE:
        for (int i = 0; i < item->n_options; i++)
            str_addf(s, "%s(%c) %s", i ? " " : "", 'a' + i, item->options[i]);
        break;
    case PARTS:
        break;
    }
}

/* s[from..to) with every two consecutive blanks made one, in one pass, and trimmed. */
static void squash(struct str *s, size_t from, size_t to, struct arena *a)
{
    char *inside = arena_strn(a, s->at + from, to - from);
    const char *behind = arena_strn(a, s->at + to, s->n - to);
    char *out = inside;
    for (const char *p = inside; *p; p++) {
        *out++ = *p;
        if (p[0] == ' ' && p[1] == ' ')
            p++;
    }
    if (*inside)                                            /* "" of a failed arena is not ours */
        *out = '\0';
    const char *before = arena_strn(a, s->at, from);
    str_clear(s);
    str_add(s, before);
    str_add(s, utf8_strip(a, inside));
    str_add(s, behind);
}

static const char *template_of(const struct prompt_set *set, const char *benchmark,
                               enum prompt_format format)
{
    const char *any = NULL;
    for (size_t i = 0; i < set->n_overrides; i++) {
        if (!strcmp(set->overrides[i].benchmark, benchmark))
            return set->overrides[i].template;
        if (!strcmp(set->overrides[i].benchmark, "*"))
            any = set->overrides[i].template;
    }
    if (any)
        return any;
    const char *own = set->formats->template[format];
    return own ? own : formats_paper.template[format];
}

const char *prompt_text(const struct prompt_set *set, const char *benchmark,
                        enum prompt_format format, const struct prompt_item *item, struct arena *a)
{
    struct str s;
    str_init(&s, PROMPT_MAX);
    size_t from = SIZE_MAX, to = 0, n;
    enum part part = PARTS;
    for (const char *p = template_of(set, benchmark, format); *p; p += n) {
        if (*p == '{' && (n = placeholder(p, &part)) > 0) {
            if (from == SIZE_MAX)
                from = s.n;
            add_part(&s, part, format, item, a);
            to = s.n;
        } else {
            n = p[0] == '{' && p[1] == '{' ? 2 : 1;
            str_addc(&s, *p);
        }
    }
    if (format == FORMAT_SCIENCE && from < to)
        squash(&s, from, to, a);
    const char *text = s.failed ? "" : arena_strn(a, s.at, s.n);
    a->failed = a->failed || s.failed;
    str_free(&s);
    return a->failed ? "" : text;
}

void prompt_hash(const struct prompt_set *set, const char *benchmark, enum prompt_format format,
                 const char *conversation, char out[65])
{
    const char *template = template_of(set, benchmark, format), *key = formats_key(format);
    unsigned char hash[SHA256_SIZE];
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, key, strlen(key) + 1);                   /* how the parts are prepared */
    sha256_add(&s, template, strlen(template) + 1);
    sha256_add(&s, set->image_last ? "last" : "first", 5);
    conversation_hash(&s, conversation);
    sha256_end(&s, hash);
    sha256_hex(hash, out);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static enum status check_template(const char *path, const char *benchmark, const char *text,
                                  struct err *e)
{
    bool asks = false;
    size_t n;
    enum part part = PARTS;
    for (const char *p = text; *p; p += n) {
        n = p[0] == '{' && p[1] == '{' ? 2 : 1;
        if (*p != '{' || n == 2)
            continue;
        if (!(n = placeholder(p, &part)))
            return err_set(e, ERR_USAGE, "%s: \"%s\": \"%.20s\" is no placeholder, expected "
                           "{question}, {original}, {hint}, {ocr}, {options}, {inline}, or {{ for "
                           "a brace", path, benchmark, p);
        asks = asks || part == QUESTION || part == ORIGINAL;
    }
    if (!asks)
        return err_set(e, ERR_USAGE, "%s: \"%s\": the template has neither {question} nor "
                       "{original}", path, benchmark);
    return OK;
}

static enum status read_overrides(struct prompt_set *set, const char *path,
                                  const struct json *benchmarks, struct err *e)
{
    struct arena *a = &set->arena;
    set->overrides = arena_array(a, benchmarks->n, sizeof *set->overrides);
    set->names = arena_array(a, benchmarks->n + 1, sizeof *set->names);
    if (a->failed)
        return err_set(e, ERR_MEMORY, "%s: out of memory", path);
    for (const struct json *m = benchmarks->first; m; m = m->next) {
        if (m->type != JSON_STRING)
            return err_set(e, ERR_USAGE, "%s: \"%s\" is no string, expected a template", path,
                           m->key);
        if (check_template(path, m->key, m->string, e) != OK)
            return e->code;
        set->names[set->n_overrides] = m->key;
        set->overrides[set->n_overrides++] = (struct override){ m->key, m->string };
    }
    return OK;
}

static enum status read_set(struct prompt_set *set, const char *path, struct err *e)
{
    static const char *const keys[] = { "name", "conversation", "image_last", "benchmarks", NULL };
    struct file file;
    if (file_open(&file, path, ERR_USAGE, e) != OK)
        return e->code;
    const struct json *root = json_parse(&set->arena, path, file.at, file.n, e);
    file_close(&file);
    if (!root) {
        e->code = e->code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE;
        return e->code;
    }
    if (root->type != JSON_OBJECT)
        return err_set(e, ERR_USAGE, "%s: expected an object with \"name\" and \"benchmarks\"",
                       path);
    for (const struct json *m = root->first; m; m = m->next) {
        bool known = false;
        for (int i = 0; keys[i]; i++)
            known = known || !strcmp(keys[i], m->key);
        if (!known) {
            const char *near = str_nearest(m->key, keys);
            return err_set(e, ERR_USAGE, "%s: unknown key \"%s\"%s%s%s", path, m->key,
                           near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        }
    }
    const struct json *conversation = json_get(root, "conversation");
    const struct json *benchmarks = json_get(root, "benchmarks");
    const struct json *last = json_get(root, "image_last");
    set->name = json_get_str(root, "name", "");
    set->conversation = json_get_str(root, "conversation", NULL);
    set->image_last = json_get_bool(root, "image_last", false);
    if (!*set->name || formats_find(set->name))
        return err_set(e, ERR_USAGE, "%s: \"name\" is %s, expected a name of its own", path,
                       *set->name ? "that of a built-in set" : "missing or no text");
    if (conversation && !(set->conversation && conversation_known(set->conversation)))
        return err_set(e, ERR_USAGE, "%s: \"conversation\" names no template", path);
    if (last && last->type != JSON_TRUE && last->type != JSON_FALSE)
        return err_set(e, ERR_USAGE, "%s: \"image_last\" is neither true nor false", path);
    if (!benchmarks || benchmarks->type != JSON_OBJECT)
        return err_set(e, ERR_USAGE, "%s: \"benchmarks\" is missing or no object, expected "
                       "templates by benchmark", path);
    return read_overrides(set, path, benchmarks, e);
}

static enum status unknown_set(const char *name, struct err *e)
{
    const char *const *names = prompt_set_names();
    const char *near = str_nearest(name, names);
    struct str known;
    str_init(&known, 500);
    for (; *names; names++)
        str_addf(&known, "%s%s", known.n ? ", " : "", *names);
    err_set(e, ERR_USAGE, "no prompt set is named \"%.200s\"%s%s%s (there are %s, or a file)", name,
            near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "", known.at);
    str_free(&known);
    return e->code;
}

enum status prompt_set_open(struct prompt_set **out, const char *name_or_file, struct err *e)
{
    *out = NULL;
    const struct formats *formats = formats_find(name_or_file);
    const char *dot = strrchr(name_or_file, '.');
    bool is_file = strchr(name_or_file, '/') || (dot && !strcmp(dot, ".json")) ||
                   file_exists(name_or_file);
    if (!formats && !is_file)
        return unknown_set(name_or_file, e);
    struct prompt_set *set = calloc(1, sizeof *set);
    if (!set)
        return err_set(e, ERR_MEMORY, "no memory for a prompt set");
    set->formats = formats ? formats : &formats_paper;
    if (formats) {
        set->name = formats->name;
        set->conversation = formats->conversation;
        set->image_last = formats->image_last;
    } else if (read_set(set, name_or_file, e) != OK) {
        prompt_set_close(set);
        return e->code;
    }
    *out = set;
    return OK;
}

void prompt_set_close(struct prompt_set *set)
{
    if (!set)
        return;
    arena_free(&set->arena);
    free(set);
}

const char *prompt_set_name(const struct prompt_set *set)
{
    return set->name;
}

const char *prompt_set_conversation(const struct prompt_set *set)
{
    return set->conversation;
}

bool prompt_set_image_last(const struct prompt_set *set)
{
    return set->image_last;
}

const char *const *prompt_set_overrides(const struct prompt_set *set)
{
    static const char *const none[] = { NULL };
    return set->names ? set->names : none;
}
