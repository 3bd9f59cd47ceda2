/* unpack.h -- libarchive, wrapped once: an archive that nobody vouches for becomes files in a folder.
 *
 * Zip and tar (gzip, bzip2, xz, zstd). Refused, with the member's name: absolute names, "..", links,
 * devices, and more bytes or members than such an archive may honestly hold. */
#ifndef HARNESS_UNPACK_H
#define HARNESS_UNPACK_H

#include <stdint.h>
#include "engine/base/err.h"

struct unpack {
    const char *archive, *into;     /* into: a folder that is there, and empty */
    const char *strip;              /* leading folder to take off, where a member has it; or NULL */
    const char *members;            /* only these: fnmatch patterns, comma separated; or NULL */
    bool (*wanted)(void *user, const char *name);   /* after strip; NULL: all */
    void (*wrote)(void *user, const char *name, const unsigned char sha256[32]);    /* or NULL */
    void (*progress)(void *user, uint64_t bytes);   /* or NULL */
    enum status (*stopped)(void);   /* or NULL */
    void *user;
    uint64_t max_bytes;             /* 0: 64 GiB, and no more than 200 times the archive + 256 MiB */
};

/* A relative name of plain parts, without "..": it stays below the folder it is put into. */
bool unpack_safe_name(const char *name);
/* Is the name one of these fnmatch patterns, comma separated? */
bool unpack_matches(const char *patterns, const char *name);

/* Would this member of the archive be written? (Of an unsafe name: no.) */
bool unpack_wants(const struct unpack *u, const char *name);

/* The member of that name, whole, in memory that the caller frees; *bytes is NULL when the archive
 * has none. More than `most` bytes, as stated or as they come out, are ERR_DATA. */
enum status unpack_member(const char *archive, const char *name, size_t most, char **bytes,
                          size_t *n, struct err *e);

/* Extracts; *n_files counts. On failure, what lies in `into` is worth nothing. */
enum status unpack(const struct unpack *u, uint64_t *n_files, struct err *e);

#endif
