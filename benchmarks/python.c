/* python.c -- see python.h. Sources: CPython Objects/floatobject.c, Python/pystrtod.c and
 * Lib/json/encoder.py; numpy/core/fromnumeric.py. */
#include "benchmarks/python.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "engine/base/utf8.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Leaves what stands between the white space at both ends. */
static void strip(const char **text, size_t *n)
{
    const char *end = *text + *n, *last = *text;            /* last: behind the last other character */
    bool began = false;
    for (const char *p = *text; p < end;) {
        size_t length;
        bool space = utf8_is_space(utf8_get(p, (size_t)(end - p), &length));
        if (!space && !began)
            *text = p;
        p += length;
        if (!space) {
            began = true;
            last = p;
        }
    }
    *n = began ? (size_t)(last - *text) : 0;
}

bool python_float(const char *text, size_t n, double *out)
{
    char plain[400];                                        /* without the underscores */
    size_t used = 0;
    strip(&text, &n);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '_') {
            if (i == 0 || i + 1 == n || !is_digit(text[i - 1]) || !is_digit(text[i + 1]))
                return false;
        } else if (used == sizeof plain) {
            return false;
        } else {
            plain[used++] = text[i];
        }
    }
    double value;
    if (!str_to_double_n(plain, used, &value) || !isfinite(value))
        return false;
    *out = value;
    return true;
}

double python_round(double value, int digits)
{
    char text[400];                                         /* 309 digits before the point at most */
    if (!isfinite(value))
        return value;
    int n = snprintf(text, sizeof text, "%.*f", digits, value);
    for (int i = 0; i < n; i++)
        if (!is_digit(text[i]) && text[i] != '-')
            text[i] = '.';                                  /* the locale's point */
    double rounded = value;
    str_to_double_n(text, (size_t)n, &rounded);
    return rounded;
}

double numpy_round1(double value)
{
    return rint(value * 10) / 10;
}

void python_json(struct str *s, const char *text)
{
    size_t n = strlen(text), length;
    str_addc(s, '"');
    for (size_t i = 0; i < n; i += length) {
        uint32_t c = utf8_get(text + i, n - i, &length);
        switch (c) {
        case '"':  str_add(s, "\\\""); break;
        case '\\': str_add(s, "\\\\"); break;
        case '\n': str_add(s, "\\n"); break;
        case '\r': str_add(s, "\\r"); break;
        case '\t': str_add(s, "\\t"); break;
        case '\f': str_add(s, "\\f"); break;
        case '\b': str_add(s, "\\b"); break;
        default:
            if (c >= 0x20 && c < 0x7f)
                str_addc(s, (char)c);
            else if (c < 0x10000)
                str_addf(s, "\\u%04x", (unsigned)c);
            else
                str_addf(s, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                         (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
        }
    }
    str_addc(s, '"');
}
