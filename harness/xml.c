/* xml.c -- see xml.h. The text is not NUL-terminated; nothing before xml.at is looked at again. */
#include "harness/xml.h"

#include <string.h>

#include "engine/base/utf8.h"

static bool fail(struct xml *x, const char *what)
{
    err_set(x->e, ERR_DATA, "%s: byte %zu: %s", x->name, (size_t)(x->at - x->text), what);
    return false;
}

void xml_open(struct xml *x, const char *name, const char *text, size_t n, struct err *e)
{
    *x = (struct xml){ .name = name, .text = text, .at = text, .end = text + n, .e = e };
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        x->at += 3;
    if (memchr(text, '\0', n) || !utf8_valid(text, n))
        fail(x, "no text in UTF-8");
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(char c)
{
    return (unsigned char)c > ' ' && !strchr("<>/=\"'&!?", c);
}

static bool looking_at(const struct xml *x, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(x->end - x->at) >= n && !memcmp(x->at, word, n);
}

/* Moves behind the next `word`; false when there is none. */
static bool skip_behind(struct xml *x, const char *word)
{
    const char *found = memmem(x->at, (size_t)(x->end - x->at), word, strlen(word));
    if (found)
        x->at = found + strlen(word);
    return found;
}

static struct xml_part take_name(struct xml *x)
{
    struct xml_part p = { x->at, 0 };
    while (x->at < x->end && is_name(*x->at))
        if (*x->at++ == ':')
            p.at = x->at;
    p.n = (size_t)(x->at - p.at);
    return p;
}

static bool take_end(struct xml *x)
{
    x->at += 2;
    x->part = take_name(x);
    while (x->at < x->end && is_space(*x->at))
        x->at++;
    if (x->at == x->end || *x->at != '>')
        return fail(x, "an end tag has no >");
    x->at++;
    if (!x->depth)
        return fail(x, "an end without a start");
    const struct xml_part *start = &x->open[--x->depth];
    if (start->n != x->part.n || memcmp(start->at, x->part.at, x->part.n) != 0)
        return fail(x, "an end that does not fit its start");
    x->token = XML_END;
    return true;
}

static bool take_start(struct xml *x)
{
    x->at++;
    x->part = take_name(x);
    if (!x->part.n)
        return fail(x, "expected the name of an element");
    x->attributes.at = x->at;
    char quote = 0;
    for (; x->at < x->end && (quote || *x->at != '>'); x->at++)
        if (quote ? *x->at == quote : *x->at == '"' || *x->at == '\'')
            quote = quote ? 0 : *x->at;
        else if (!quote && *x->at == '<')
            return fail(x, "a < inside of a tag");
    if (x->at == x->end)
        return fail(x, "a tag has no end");
    x->ends = x->at > x->attributes.at && x->at[-1] == '/';
    x->attributes.n = (size_t)(x->at - x->attributes.at) - x->ends;
    x->at++;
    if (x->depth == XML_DEPTH)
        return fail(x, "elements nested too deep");
    x->open[x->depth++] = x->part;
    x->token = XML_START;
    return true;
}

static bool take_text(struct xml *x)
{
    const char *stop = memchr(x->at, '<', (size_t)(x->end - x->at));
    x->part.at = x->at;
    x->at = stop ? stop : x->end;
    x->part.n = (size_t)(x->at - x->part.at);
    x->cdata = false;
    x->token = XML_TEXT;
    return true;
}

static bool take_cdata(struct xml *x)
{
    x->at += strlen("<![CDATA[");
    x->part.at = x->at;
    if (!skip_behind(x, "]]>"))
        return fail(x, "a CDATA section has no end");
    x->part.n = (size_t)(x->at - x->part.at) - 3;
    x->cdata = true;
    x->token = XML_TEXT;
    return true;
}

bool xml_next(struct xml *x)
{
    if (x->e->code != OK)
        return false;
    if (x->ends) {                                          /* the part is still its name */
        x->ends = false;
        x->depth--;
        x->token = XML_END;
        return true;
    }
    while (x->at < x->end) {
        if (*x->at != '<') {
            if (x->depth)
                return take_text(x);
            if (!is_space(*x->at))
                return fail(x, "text outside of all elements");
            x->at++;
        } else if (looking_at(x, "<?")) {
            if (!skip_behind(x, "?>"))
                return fail(x, "an instruction has no end");
        } else if (looking_at(x, "<!--")) {
            x->at += 4;
            if (!skip_behind(x, "-->"))
                return fail(x, "a comment has no end");
        } else if (looking_at(x, "<![CDATA[") && x->depth) {
            return take_cdata(x);
        } else if (looking_at(x, "<!")) {
            return fail(x, "a document type: refused");
        } else {
            return looking_at(x, "</") ? take_end(x) : take_start(x);
        }
    }
    return x->depth ? fail(x, "ends inside of an element") : false;
}

bool xml_is(const struct xml *x, const char *name)
{
    return x->token != XML_TEXT && x->part.n == strlen(name) && !memcmp(x->part.at, name, x->part.n);
}

/* &...; at the front of p: its code point into *c; the bytes it takes, 0 when it is none. */
static size_t reference(const char *p, size_t n, uint32_t *c)
{
    static const struct { const char *name; char is; } named[] = {
        { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' } };
    for (size_t i = 0; i < COUNT(named); i++)
        if (n >= strlen(named[i].name) && !memcmp(p, named[i].name, strlen(named[i].name))) {
            *c = (unsigned char)named[i].is;
            return strlen(named[i].name);
        }
    if (n < 4 || p[1] != '#')
        return 0;
    bool hex = p[2] == 'x';
    size_t from = hex ? 3 : 2, i = from;
    for (*c = 0; i < n && i < from + 8 && p[i] != ';'; i++) {
        const char *digits = "0123456789abcdef", *found = strchr(digits, p[i] | 0x20);
        uint32_t value = found ? (uint32_t)(found - digits) : 99;
        if (p[i] < '0' || value >= (hex ? 16u : 10u))
            return 0;
        *c = *c * (hex ? 16 : 10) + value;
    }
    bool character = *c == '\t' || *c == '\n' || *c == '\r' ||
                     (*c >= ' ' && *c <= 0x10ffff && (*c & 0xfffff800u) != 0xd800);
    return i > from && i < n && p[i] == ';' && character ? i + 1 : 0;
}

static void add_decoded(struct xml *x, const char *p, size_t n, struct str *out)
{
    while (n) {
        const char *stop = memchr(p, '&', n);
        size_t plain = stop ? (size_t)(stop - p) : n;
        str_addn(out, p, plain);
        p += plain;
        n -= plain;
        if (!n)
            return;
        uint32_t c;
        char bytes[4];
        size_t taken = reference(p, n, &c);
        if (!taken) {
            fail(x, "an & that begins no character");
            return;
        }
        str_addn(out, bytes, utf8_put(bytes, c));
        p += taken;
        n -= taken;
    }
}

const char *xml_attribute(struct xml *x, const char *name, struct arena *a)
{
    const char *p = x->attributes.at, *end = p + x->attributes.n;
    while (x->token == XML_START) {
        struct xml_part found;
        while (p < end && is_space(*p))
            p++;
        found = (struct xml_part){ p, 0 };
        for (; p < end && is_name(*p); p++)
            if (*p == ':')
                found.at = p + 1;
        found.n = (size_t)(p - found.at);
        while (p < end && (is_space(*p) || *p == '='))
            p++;
        const char *value = p + 1, *stop = p < end && (*p == '"' || *p == '\'')
                                         ? memchr(p + 1, *p, (size_t)(end - p - 1)) : NULL;
        if (!stop)
            return NULL;
        p = stop + 1;
        if (found.n != strlen(name) || memcmp(found.at, name, found.n) != 0)
            continue;
        struct str text;
        str_init(&text, (size_t)(stop - value) + 1);
        add_decoded(x, value, (size_t)(stop - value), &text);
        char *copy = arena_strn(a, text.at, text.n);
        a->failed = a->failed || text.failed;
        str_free(&text);
        return copy;
    }
    return NULL;
}

void xml_add_text(struct xml *x, struct str *out)
{
    if (x->cdata)
        str_addn(out, x->part.at, x->part.n);
    else
        add_decoded(x, x->part.at, x->part.n, out);
}
