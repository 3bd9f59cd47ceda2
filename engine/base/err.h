/* err.h -- how every function of the project says that it failed.
 *
 * A function that can fail returns enum status (OK is 0) and takes a struct err, which the caller
 * owns: a fixed array, so that reporting never allocates. The text is one sentence for the reader:
 * where (file:line, tensor, URL), what was found, what was expected, what to do.
 *
 *     if (n > limit)
 *         return err_set(e, ERR_DATA, "%s: %zu rows, expected at most %zu", path, n, limit);
 *
 * The first error stays: err_set on a struct err that already holds one keeps the old text. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(text_at, first_at) __attribute__((format(printf, text_at, first_at)))
#else
#define PRINTF_LIKE(text_at, first_at)
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum status {
    OK = 0,
    ERR_INTERNAL,               /* our own mistake, or an operating system that refuses a write */
    ERR_USAGE,                  /* the command line */
    ERR_DATA,                   /* a benchmark's files are missing or bad, or cannot be fetched */
    ERR_CHECKPOINT,             /* a model's files are missing, bad or of a kind we do not run */
    ERR_INCOMPLETE,             /* some answers or judgements are missing */
    ERR_DEVICE,                 /* no such device, or it failed */
    ERR_MEMORY,                 /* host or device memory ran out */
    ERR_INTERRUPTED,            /* stopped by SIGINT; the same command goes on */
    ERR_TERMINATED,             /* stopped by SIGTERM or SIGUSR1; the same command goes on */
};

struct err {
    enum status code;
    char text[3000];            /* room for all that may be wrong with a checkpoint's tensors */
};

/* Keeps the first error; returns e->code in either case, so that failing is one line. */
enum status err_set(struct err *e, enum status code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "format: " in front of an error already set, where it helps the reader act. */
enum status err_in(struct err *e, const char *format, ...) PRINTF_LIKE(2, 3);

void err_clear(struct err *e);

#endif
