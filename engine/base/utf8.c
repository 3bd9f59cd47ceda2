/* utf8.c -- UTF-8 by the table of RFC 3629, section 4, and what Python makes of code points.
 *
 * ASCII is answered without the tables; the rest by bisection over ranges that do not overlap. */
#include "engine/base/utf8.h"

#include <string.h>

struct range { uint32_t first, last; };
struct mapped { uint32_t first, last, stride; int32_t delta; };  /* first, first + stride .. last */
struct expanded { uint32_t c, to[3]; };                     /* ends with 0 where it is two */

#include "engine/base/utf8_tables.h"

uint32_t utf8_get(const char *text, size_t n, size_t *length)
{
    const unsigned char *p = (const unsigned char *)text;
    *length = 1;
    if (p[0] < 0x80)
        return p[0];
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return UTF8_BAD;
    size_t need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < need)
        return UTF8_BAD;
    unsigned low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;    /* no overlong forms */
    unsigned high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;   /* no surrogates */
    if (p[1] < low || p[1] > high)
        return UTF8_BAD;
    uint32_t c = (uint32_t)(p[0] & (0x7f >> need)) << 6 | (p[1] & 0x3f);
    for (size_t i = 2; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return UTF8_BAD;
        c = c << 6 | (p[i] & 0x3f);
    }
    *length = need;
    return c;
}

size_t utf8_put(char out[UTF8_MAX], uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = UTF8_BAD;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(0xf00u >> n | c);                       /* 110..., 1110..., 11110... */
    return n;
}

bool utf8_valid(const char *text, size_t n)
{
    for (size_t i = 0, length; i < n; i += length)
        if (utf8_get(text + i, n - i, &length) == UTF8_BAD && length == 1)
            return false;
    return true;
}

size_t utf8_count(const char *text)
{
    size_t count = 0, n = strlen(text);
    for (size_t i = 0, length; i < n; i += length, count++)
        utf8_get(text + i, n - i, &length);
    return count;
}

static bool in_ranges(const struct range *r, size_t n, uint32_t c)
{
    for (size_t low = 0, high = n; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (c < r[middle].first)
            high = middle;
        else if (c > r[middle].last)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

/* The script starts a new range wherever another delta intervenes, so ranges never interlace. */
static const struct mapped *find(const struct mapped *m, size_t n, uint32_t c)
{
    for (size_t low = 0, high = n; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (c < m[middle].first)
            high = middle;
        else if (c > m[middle].last)
            low = middle + 1;
        else
            return (c - m[middle].first) % m[middle].stride == 0 ? m + middle : NULL;
    }
    return NULL;
}

static uint32_t map(const struct mapped *m, size_t n, uint32_t c)
{
    const struct mapped *found = find(m, n, c);
    return found ? (uint32_t)((int32_t)c + found->delta) : c;
}

bool utf8_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool utf8_is_digit(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : in_ranges(digit_ranges, COUNT(digit_ranges), c);
}

uint32_t utf8_lower_simple(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return map(lower_map, COUNT(lower_map), c);
}

uint32_t utf8_upper_simple(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    return map(upper_map, COUNT(upper_map), c);
}

/* Is the capital sigma at text[at..at+2) the last letter of its word? The nearest code point in
 * front of it that is not case-ignorable must be cased, the nearest behind it must not be. */
static bool sigma_is_final(const char *text, size_t n, size_t at)
{
    bool before = false;
    for (size_t i = at; i > 0 && !before;) {
        size_t length, start = i - 1;
        while (start > 0 && i - start < UTF8_MAX && ((unsigned char)text[start] & 0xc0) == 0x80)
            start--;
        uint32_t c = utf8_get(text + start, i - start, &length);
        if (length != i - start)                            /* no character ends here */
            return false;
        if (!in_ranges(ignorable_ranges, COUNT(ignorable_ranges), c)) {
            if (!in_ranges(cased_ranges, COUNT(cased_ranges), c))
                return false;
            before = true;
        }
        i = start;
    }
    for (size_t i = at + 2, length; i < n && before; i += length) {
        uint32_t c = utf8_get(text + i, n - i, &length);
        if (!in_ranges(ignorable_ranges, COUNT(ignorable_ranges), c))
            return !in_ranges(cased_ranges, COUNT(cased_ranges), c);
    }
    return before;
}

/* A lower-case letter may take more bytes than its capital: U+023A (2) has U+2C65 (3), U+0130 (2)
 * becomes two code points of 3 together; U+FFFD for a bad byte takes 3. A title form takes up to
 * three code points. Three times the bytes, and some, always do. */
static char *lower_from(struct arena *a, const char *text, bool title_first)
{
    size_t n = strlen(text), used = 0;
    char *out = arena_array(a, n + UTF8_MAX, 3);
    if (!out)
        return "";
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t c = utf8_get(text + i, n - i, &length);
        const struct expanded *many = NULL;
        if (title_first && i == 0)
            for (size_t k = 0; k < COUNT(title_many) && !many; k++)
                many = title_many[k].c == c ? title_many + k : NULL;
        if (many) {
            for (size_t k = 0; k < COUNT(many->to) && many->to[k]; k++)
                used += utf8_put(out + used, many->to[k]);
        } else if (title_first && i == 0) {
            bool own = find(title_map, COUNT(title_map), c) != NULL;
            used += utf8_put(out + used, own ? map(title_map, COUNT(title_map), c)
                                             : utf8_upper_simple(c));
        } else if (c == 0x130) {
            used += utf8_put(out + used, 'i');
            used += utf8_put(out + used, 0x307);
        } else if (c == 0x3a3) {
            used += utf8_put(out + used, sigma_is_final(text, n, i) ? 0x3c2 : 0x3c3);
        } else {
            used += utf8_put(out + used, utf8_lower_simple(c));
        }
    }
    out[used] = '\0';
    return out;
}

char *utf8_lower(struct arena *a, const char *text)
{
    return lower_from(a, text, false);
}

char *utf8_capitalize(struct arena *a, const char *text)
{
    return lower_from(a, text, true);
}

char *utf8_strip(struct arena *a, const char *text)
{
    size_t n = strlen(text), first = n, last = 0;           /* of what is no white space */
    for (size_t i = 0, length; i < n; i += length) {
        if (!utf8_is_space(utf8_get(text + i, n - i, &length))) {
            first = first < n ? first : i;
            last = i + length;
        }
    }
    return first < n ? arena_strn(a, text + first, last - first) : arena_str(a, "");
}
