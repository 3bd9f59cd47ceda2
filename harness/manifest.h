/* manifest.h -- what fetch knows of a benchmark's folder: DATA/<name>/.manifest.json and, for every
 * file it put there, a line in DATA/<name>/.SHA256SUMS (sha256sum -c reads it). One thread. */
#ifndef HARNESS_MANIFEST_H
#define HARNESS_MANIFEST_H

#include <stdint.h>
#include "engine/base/arena.h"

struct manifest_source {            /* one download; strings in the arena, never NULL */
    const char *source;             /* its official address: what it is found by */
    const char *url;                /* where it was taken from */
    const char *sha256, *etag, *date, *commit;
    const char *splits;             /* those it was unpacked for, comma separated; "" while unpacking */
    int64_t bytes;
    int64_t absent;                 /* pictures that its archive does not hold */
    bool replaced_pin;              /* checked against a mirror's own SHA256SUMS, not the official */
    bool picked;                    /* only what was needed was downloaded: no hash of the whole */
    bool complete;                  /* false: unpacking was begun, and not ended */
};

struct manifest_file { const char *name, *sha256; };    /* name: below the folder */

struct manifest {
    struct arena *arena;
    const char *dir;
    struct manifest_source *sources; size_t n_sources;
    struct manifest_file *files; size_t n_files, size;  /* in no order; the later of two is true */
};

/* Reads what is there; a folder without a manifest, or with one that cannot be read, gives an empty
 * one (*damaged tells). Memory is the arena's. */
void manifest_read(struct manifest *m, struct arena *a, const char *dir, bool *damaged);
struct manifest_source *manifest_find(const struct manifest *m, const char *source);
struct manifest_source *manifest_add(struct manifest *m, const char *source);   /* or what is there */
void manifest_add_file(struct manifest *m, const char *name, const char *sha256);
/* The file's recorded hash, or NULL. */
const char *manifest_hash(const struct manifest *m, const char *name);
/* Adds one line to .SHA256SUMS, for a file that is put in place right after. Any thread. */
enum status manifest_append(const char *dir, const char *name, const char *sha256, struct err *e);
/* Writes both files. */
enum status manifest_write(const struct manifest *m, struct err *e);

#endif
