/* exact_file.c -- file_open() of the fuzz targets: a mapping ends with zeros up to the next page, memory of
 * the file's own size does not. With --wrap=file_open,--wrap=file_close a byte read too far is seen. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"

enum status __real_file_open(struct file *f, const char *path, enum status code, struct err *e);
void __real_file_close(struct file *f);
enum status __wrap_file_open(struct file *f, const char *path, enum status code, struct err *e);
void __wrap_file_close(struct file *f);

enum status __wrap_file_open(struct file *f, const char *path, enum status code, struct err *e)
{
    struct file mapped;
    *f = (struct file){ 0 };
    if (__real_file_open(&mapped, path, code, e) != OK)
        return e->code;
    char *exact = malloc(mapped.n);
    if (exact)
        *f = (struct file){ memcpy(exact, mapped.at, mapped.n), mapped.n };
    __real_file_close(&mapped);
    return exact ? OK : err_set(e, ERR_MEMORY, "%s: no memory", path);
}

void __wrap_file_close(struct file *f)
{
    free((void *)(uintptr_t)f->at);                         /* the cast takes const away */
    *f = (struct file){ 0 };
}
