/* str.h -- one growing string, with a maximum.
 *
 * s->at is always NUL-terminated and never NULL (after str_init, also when nothing was added).
 * Failure is sticky: past the maximum, or out of memory, s->failed is set and further text is
 * dropped; check once, at the end. Numbers never follow the user's locale. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdint.h>
#include "engine/base/err.h"

struct str {
    char *at;
    size_t n, size;             /* bytes used without the NUL; bytes allocated */
    size_t max;                 /* most bytes that n may become */
    bool failed;
};

void str_init(struct str *s, size_t max);
void str_free(struct str *s);                           /* and leaves it empty, usable */
void str_clear(struct str *s);                          /* n = 0; keeps memory and maximum */
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *bytes, size_t n);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* Text as a JSON string with its quotes: escapes " \ and control characters; bytes that are no
 * UTF-8 become U+FFFD. */
void str_add_json(struct str *s, const char *text);

/* The shortest decimal form that reads back as the same double (what Python's repr gives: 0.1,
 * 67.68707482993197, 50.0 as 50.0); NaN and infinities as null. */
void str_add_number(struct str *s, double value);

/* Whole-string numbers, independent of locale; false when text is not exactly one. */
bool str_to_int(const char *text, int64_t *out);
bool str_to_double(const char *text, double *out);

/* As str_to_double for text[0..n), but what is too large for a double becomes an infinity. */
bool str_to_double_n(const char *text, size_t n, double *out);

/* What was meant by a mistyped word: the nearest of names (NULL ends) by added, lost, changed and
 * swapped letters, case aside and - and _ being one; NULL when none is near. */
const char *str_nearest(const char *word, const char *const *names);

#endif
