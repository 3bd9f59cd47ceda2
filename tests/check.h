/* check.h -- the tests' few words. A test file is a list of TEST(name) { ... }; tests/main.c finds
 * them by their constructors, runs each in a fresh empty folder, and prints the closing line.
 *
 *     TEST(arena_survives_overflow)
 *     {
 *         CHECK(arena_array(&a, SIZE_MAX, 2) == NULL);
 *         CHECK_INT(a.total, 0);
 *         CHECK_STR(text, "expected");
 *         CHECK_NEAR(value, 0.25, 1e-12);
 *         CHECK_OK(f(..., &e), e);
 *         SKIP("no tokenizer.model: set LLAVA_TOKENIZER");   says why, and returns
 *     }
 * A failed check prints file, line, both expressions and both values, and the test goes on. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "engine/base/err.h"

struct test { const char *name, *file; void (*run)(void); struct test *next; };
void test_add(struct test *t);

#define TEST(test_name)                                                                           \
    static void run_##test_name(void);                                                            \
    __attribute__((constructor)) static void add_##test_name(void)                                \
    {                                                                                             \
        static struct test t = { #test_name, __FILE__, run_##test_name, NULL };                   \
        test_add(&t);                                                                             \
    }                                                                                             \
    static void run_##test_name(void)

bool check_true(bool holds, const char *what, const char *file, int line);
bool check_int(long long got, long long want, const char *what, const char *file, int line);
bool check_str(const char *got, const char *want, const char *what, const char *file, int line);
bool check_near(double got, double want, double within, const char *what, const char *file,
                int line);
bool check_ok(enum status s, const struct err *e, const char *what, const char *file, int line);
void check_skip(const char *why);

/* The repository's root, for fixtures: tests run in a folder of their own. */
const char *test_root(void);

/* A test of the GPU: the real one, or in cuda-host/ the emulated one. */
#if defined(CUDA_HOST)
#define GPU_TEST(name) TEST(cuda_host_##name)
#else
#define GPU_TEST(name) TEST(cuda_##name)
#endif

#define CHECK(x)              check_true((x), #x, __FILE__, __LINE__)
#define CHECK_INT(x, y)       check_int((long long)(x), (long long)(y), #x, __FILE__, __LINE__)
#define CHECK_STR(x, y)       check_str((x), (y), #x, __FILE__, __LINE__)
#define CHECK_NEAR(x, y, eps) check_near((x), (y), (eps), #x, __FILE__, __LINE__)
#define CHECK_OK(x, e)        check_ok((x), &(e), #x, __FILE__, __LINE__)
#define SKIP(why)             do { check_skip(why); return; } while (0)

#endif
