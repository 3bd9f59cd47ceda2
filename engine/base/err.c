/* err.c -- one sentence in a fixed array; the first error is the one that helps. */
#include "engine/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status err_set(struct err *e, enum status code, const char *format, ...)
{
    if (e->code != OK)
        return e->code;
    va_list args;
    va_start(args, format);
    if (vsnprintf(e->text, sizeof e->text, format, args) < 0)
        e->text[0] = '\0';
    va_end(args);
    e->code = code;
    return code;
}

enum status err_in(struct err *e, const char *format, ...)
{
    if (e->code == OK)
        return OK;
    char head[sizeof e->text] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(head, sizeof head, format, args);
    va_end(args);
    size_t n = strlen(head), last = sizeof e->text - 1;
    if (n + 2 < last) {                                     /* what does not fit is cut off */
        memmove(e->text + n + 2, e->text, last - n - 2);
        memcpy(e->text, head, n);
        memcpy(e->text + n, ": ", 2);
    }
    return e->code;
}

void err_clear(struct err *e)
{
    e->code = OK;
    e->text[0] = '\0';
}
