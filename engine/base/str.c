/* str.c -- growing text, and numbers that mean the same under every locale.
 *
 * printf and strtod use the decimal point of the locale, which a library may have set. Both
 * directions exchange it here: str_add_number takes the digits out of "%e", str_to_double does
 * the usual short numbers itself and hands strtod the locale's point for the rest. */
#include "engine/base/str.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/base/utf8.h"

void str_init(struct str *s, size_t max)
{
    *s = (struct str){ .at = "", .max = max };              /* size 0: "" is not ours to write */
}

void str_free(struct str *s)
{
    if (s->size)
        free(s->at);
    str_init(s, s->max);
}

void str_clear(struct str *s)
{
    s->n = 0;
    s->failed = false;
    if (s->size)
        s->at[0] = '\0';
}

/* Makes room for n more bytes and the NUL. */
static bool grow(struct str *s, size_t n)
{
    if (s->failed || n > s->max - s->n) {
        s->failed = true;
        return false;
    }
    size_t want = s->n + n + 1, size = s->size ? s->size : 64;
    if (want <= s->size)
        return true;
    if (want == 0) {                                        /* SIZE_MAX bytes and a NUL */
        s->failed = true;
        return false;
    }
    while (size < want)
        size = size > SIZE_MAX / 2 ? want : size * 2;
    char *at = realloc(s->size ? s->at : NULL, size);
    if (!at) {
        s->failed = true;
        return false;
    }
    s->at = at;
    s->size = size;
    return true;
}

void str_addn(struct str *s, const char *bytes, size_t n)
{
    if (n == 0 || !grow(s, n))
        return;
    memcpy(s->at + s->n, bytes, n);
    s->n += n;
    s->at[s->n] = '\0';
}

void str_add(struct str *s, const char *text)
{
    str_addn(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
    str_addn(s, &c, 1);
}

void str_addf(struct str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        s->failed = true;
    else if (n > 0 && grow(s, (size_t)n)) {
        vsnprintf(s->at + s->n, (size_t)n + 1, format, again);
        s->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void str_add_json(struct str *s, const char *text)
{
    size_t n = strlen(text), plain = 0, i = 0;              /* text[plain..i) needs no escape */
    str_addc(s, '"');
    while (i < n) {
        unsigned char c = (unsigned char)text[i];
        size_t length = 1;
        const char *escape = NULL;
        char hex[8];
        if (c == '"')
            escape = "\\\"";
        else if (c == '\\')
            escape = "\\\\";
        else if (c == '\n')
            escape = "\\n";
        else if (c == '\r')
            escape = "\\r";
        else if (c == '\t')
            escape = "\\t";
        else if (c < 0x20 || c == 0x7f) {
            snprintf(hex, sizeof hex, "\\u%04x", c);
            escape = hex;
        } else if (c >= 0x80 && utf8_get(text + i, n - i, &length) == UTF8_BAD && length == 1)
            escape = "\xef\xbf\xbd";                        /* U+FFFD itself has length 3 */
        if (escape) {
            str_addn(s, text + plain, i - plain);
            str_add(s, escape);
            plain = i + length;
        }
        i += length;
    }
    str_addn(s, text + plain, n - plain);
    str_addc(s, '"');
}

/* A positive finite number as digits[0] . digits[1..n) times ten to the power *exponent. */
static int digits_of(double value, int n, char digits[DBL_DECIMAL_DIG + 1], int *exponent)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", n - 1, value);
    int count = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')                         /* not the point, whatever it is */
            digits[count++] = *p;
    digits[count] = '\0';
    *exponent = (int)strtol(p + 1, NULL, 10);
    return count;
}

static bool reads_back(const char *digits, int exponent, double value)
{
    char text[64];
    double back;
    int n = snprintf(text, sizeof text, "%se%d", digits, exponent - (int)strlen(digits) + 1);
    return str_to_double_n(text, (size_t)n, &back) && back == value;
}

/* The next decimal above, where it has as many digits. */
static bool next_up(char *digits)
{
    size_t i = strlen(digits);
    while (i > 0 && digits[i - 1] == '9')
        digits[--i] = '0';
    if (i == 0)
        return false;
    digits[i - 1]++;
    return true;
}

/* At most 15 digits always come back if the value was written with them; below the normal numbers
 * fewer may do. With 16, the nearest decimal may lie outside of what reads back while the next
 * one above lies inside: at powers of two, where the gap below is half the gap above. */
static void shortest(double value, char digits[DBL_DECIMAL_DIG + 1], int *exponent)
{
    for (int n = value < DBL_MIN ? 1 : DBL_DIG; n < DBL_DECIMAL_DIG; n++) {
        digits_of(value, n, digits, exponent);
        if (reads_back(digits, *exponent, value))
            return;
        if (next_up(digits) && reads_back(digits, *exponent, value))
            return;
    }
    digits_of(value, DBL_DECIMAL_DIG, digits, exponent);
}

void str_add_number(struct str *s, double value)
{
    if (!isfinite(value)) {
        str_add(s, "null");
        return;
    }
    if (signbit(value))
        str_addc(s, '-');
    value = fabs(value);
    char digits[DBL_DECIMAL_DIG + 1] = "0";
    int exponent = 0;
    if (value > 0)
        shortest(value, digits, &exponent);
    int n = (int)strlen(digits);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (exponent < -4 || exponent >= 16) {                  /* as Python: 1e-05, 1.5e+16 */
        str_addn(s, digits, 1);
        if (n > 1)
            str_addf(s, ".%.*s", n - 1, digits + 1);
        str_addf(s, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        str_addf(s, "0.%.*s%.*s", -exponent - 1, "0000", n, digits);
    } else {
        int whole = exponent + 1;                           /* digits in front of the point */
        str_addn(s, digits, (size_t)(n < whole ? n : whole));
        for (int i = n; i < whole; i++)
            str_addc(s, '0');
        str_addc(s, '.');
        if (n > whole)
            str_addn(s, digits + whole, (size_t)(n - whole));
        else
            str_addc(s, '0');
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_to_int(const char *text, int64_t *out)
{
    bool minus = *text == '-';
    uint64_t value = 0, most = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    if (*text == '-' || *text == '+')
        text++;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (!is_digit(*text))
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = minus ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* What the short way below cannot do exactly, by strtod with the locale's own point. */
static bool slow_double(const char *text, size_t n, double *out)
{
    const char *point = localeconv()->decimal_point;
    struct str copy;
    str_init(&copy, SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        if (text[i] == '.')
            str_add(&copy, point);
        else
            str_addc(&copy, text[i]);
    char *end = copy.at;
    if (!copy.failed)
        *out = strtod(copy.at, &end);
    bool whole = !copy.failed && end == copy.at + copy.n;
    str_free(&copy);
    return whole;
}

bool str_to_double_n(const char *text, size_t n, double *out)
{
    static const double ten_to[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
                                     1e22 };                /* the exact ones */
    uint64_t mantissa = 0;
    int n_digits = 0, scale = 0, exponent = 0;              /* n_digits: without leading zeros */
    bool any = false, fraction = false;
    size_t i = 0;
    bool minus = n && text[0] == '-';
    if (n && (text[0] == '-' || text[0] == '+'))
        i++;
    for (; i < n && (is_digit(text[i]) || (text[i] == '.' && !fraction)); i++) {
        if (text[i] == '.') {
            fraction = true;
            continue;
        }
        any = true;
        if (n_digits < 19 && (n_digits || text[i] != '0')) {
            mantissa = mantissa * 10 + (uint64_t)(text[i] - '0');
            n_digits++;
        } else if (n_digits) {
            n_digits = 20;                                  /* too many for the short way */
        }
        if (fraction && scale > -10000)
            scale--;
    }
    if (!any)
        return false;
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        bool down = ++i < n && text[i] == '-';
        if (i < n && (text[i] == '-' || text[i] == '+'))
            i++;
        if (i == n || !is_digit(text[i]))
            return false;
        for (; i < n && is_digit(text[i]); i++)
            if (exponent < 100000)
                exponent = exponent * 10 + (text[i] - '0');
        scale += down ? -exponent : exponent;
    }
    if (i != n)
        return false;
    /* An integer below 2^53 times or over an exact power of ten is rounded once: Clinger 1990. */
    if (n_digits > 19 || mantissa >> 53 || scale < -22 || scale > 22)
        return slow_double(text, n, out);
    double value = (double)mantissa;
    value = scale < 0 ? value / ten_to[-scale] : value * ten_to[scale];
    *out = minus ? -value : value;
    return true;
}

bool str_to_double(const char *text, double *out)
{
    double value;
    if (!str_to_double_n(text, strlen(text), &value) || isinf(value))
        return false;
    *out = value;
    return true;
}

enum { NAME_MAX_LENGTH = 63 };

static char folded(char c)
{
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits from a to b, a swap of neighbours being one; both at most NAME_MAX_LENGTH long. */
static unsigned distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    unsigned row[3][NAME_MAX_LENGTH + 1];                   /* row[i % 3][j]: a[0..i) to b[0..j) */
    for (size_t i = 0; i <= n_a; i++)
        for (size_t j = 0; j <= n_b; j++) {
            unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *two = row[(i + 1) % 3];
            if (i == 0 || j == 0) {
                now[j] = (unsigned)(i + j);
                continue;
            }
            bool same = folded(a[i - 1]) == folded(b[j - 1]);
            now[j] = smaller(smaller(above[j], now[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                now[j] = smaller(now[j], two[j - 2] + 1);
        }
    return row[n_a % 3][n_b];
}

const char *str_nearest(const char *word, const char *const *names)
{
    size_t n = strlen(word);
    unsigned best = (unsigned)(n + 2) / 3 + 1;              /* farther is no misspelling */
    const char *found = NULL;
    if (n > NAME_MAX_LENGTH)
        return NULL;
    for (; *names; names++) {
        size_t length = strlen(*names);
        unsigned d = length > NAME_MAX_LENGTH ? best : distance(word, n, *names, length);
        if (d < best) {
            best = d;
            found = *names;
        }
    }
    return found;
}
