/* python.h -- the little of Python that the official evaluators lean on, to the last digit.
 *
 * Their figures come out of float(), round(), numpy.round() and json.dump(), each of which differs
 * from what C offers under a similar name. */
#ifndef BENCHMARKS_PYTHON_H
#define BENCHMARKS_PYTHON_H

#include <stddef.h>
#include "engine/base/str.h"

/* float(text[0..n)): white space at both ends, a sign, digits with single _ between them, "7.",
 * ".5", an exponent. False where Python raises ValueError, and also for nan, inf, what is too large
 * and digits outside ASCII, which no sensible judge writes. */
bool python_float(const char *text, size_t n, double *out);

/* round(value, digits) of a float: decided on the exact binary value. Digits 0 to 15. */
double python_round(double value, int digits);

/* numpy.round(value, 1): the product with 10 is rounded to an integer, halves to even. */
double numpy_round1(double value);

/* json.dumps(text): pure ASCII, astral characters as two \u escapes. */
void python_json(struct str *s, const char *text);

#endif
