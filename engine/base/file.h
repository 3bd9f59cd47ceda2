/* file.h -- whole files: read through mmap, written so that they are there entirely or not. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdint.h>
#include "engine/base/arena.h"

struct file {
    const char *at;             /* n bytes, read-only; not NUL-terminated; never NULL once opened */
    size_t n;
};

/* Maps path; code is what a failure counts as (ERR_DATA for a benchmark's file, ERR_CHECKPOINT
 * for a model's). On failure f is empty and file_close is harmless. */
enum status file_open(struct file *f, const char *path, enum status code, struct err *e);
void file_close(struct file *f);

/* Only for bytes inside a struct file. Needed soon: the system reads ahead. Not needed any more: they
 * leave this process's memory; whoever reads them again gets them from the file. */
void file_expect(const void *at, size_t n);
void file_forget(const void *at, size_t n);

/* Writes to path.tmp-PID, flushes to disk, renames: readers see the old file or the new one. */
enum status file_write(const char *path, const void *bytes, size_t n, struct err *e);

/* Flushes what was made to disk and renames it over path. */
enum status file_replace(const char *made, const char *path, struct err *e);

bool file_exists(const char *path);                     /* anything at all */
bool file_is_dir(const char *path);
int64_t file_size(const char *path);                    /* -1: not there or no regular file */

/* mkdir -p; an existing folder is fine. */
enum status file_mkdirs(const char *path, struct err *e);

/* Removes a file or a whole folder without following links; absent is fine. */
enum status file_remove_all(const char *path, struct err *e);

/* "a/b" from "a" and "b", "a/" and "b"; in the arena. An absolute name wins over its folder. */
char *path_join(struct arena *a, const char *dir, const char *name);
const char *path_base(const char *path);                /* what follows the last slash */

#endif
