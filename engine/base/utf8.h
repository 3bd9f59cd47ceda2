/* utf8.h -- text as code points, with the meanings that Python 3 gives them, since the official
 * evaluators are Python: white space, decimal digits, lower case. Tables: Unicode 14/15. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>
#include "engine/base/arena.h"

enum { UTF8_MAX = 4, UTF8_BAD = 0xFFFD };

/* The code point at text[0..n), n > 0, and in *length the bytes it takes. A byte that starts no
 * valid character (overlong, surrogate, cut short, above U+10FFFF) is UTF8_BAD of length 1. */
uint32_t utf8_get(const char *text, size_t n, size_t *length);

/* Writes 1 to 4 bytes and returns how many; a surrogate or a value too large is U+FFFD. */
size_t utf8_put(char out[UTF8_MAX], uint32_t c);

bool utf8_valid(const char *text, size_t n);
size_t utf8_count(const char *text);                    /* code points of a NUL-terminated text */

bool utf8_is_space(uint32_t c);                         /* str.isspace / str.strip / str.split */
bool utf8_is_digit(uint32_t c);                         /* category Nd, \d of re */
uint32_t utf8_lower_simple(uint32_t c);                 /* one-to-one mapping */
uint32_t utf8_upper_simple(uint32_t c);

/* str.lower(): with U+0130 -> U+0069 U+0307 and the final sigma rule. */
char *utf8_lower(struct arena *a, const char *text);

/* str.capitalize(): first code point to title case, all others lower. */
char *utf8_capitalize(struct arena *a, const char *text);

/* str.strip(): a copy without white space at both ends. */
char *utf8_strip(struct arena *a, const char *text);

#endif
