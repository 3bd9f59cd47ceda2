/* crash.h -- kill -9 at a moment of the test's choice.
 *
 * What a process has put in place it has renamed: so the moments that differ for whoever comes
 * next lie just before and just after each rename. tests/crash.c stands in for the C library's
 * rename(). */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include <stdbool.h>

/* Runs work(user) in a process of its own, which dies at its n-th rename (from 1), before or after
 * it is done. True: it died there; false: it ended by itself, with fewer renames. */
bool crash_at_rename(int n, bool after, void (*work)(void *user), void *user);

#endif
