/* stored.h -- tensors as they lie in their files: what the readers give and checkpoint.c takes.
 *
 * A store gathers the tensors of any number of files. Names and shapes live in its arena; the data
 * stays in the caller's memory (a mapped file), which must outlive the store. */
#ifndef ENGINE_STORED_H
#define ENGINE_STORED_H

#include "engine/base/arena.h"
#include "engine/tensor.h"

enum { STORED_DIMS = 8 };

struct stored {
    const char *name;
    const char *type_name;      /* as safetensors spells it: "F16", "I64", ... */
    bool is_float;              /* F32, BF16 or F16: `type` holds */
    enum dtype type;
    int n_dims;
    int64_t shape[STORED_DIMS]; /* row-major; [] is a scalar */
    const unsigned char *data;  /* little-endian, perhaps unaligned */
    bool copied;                /* data is memory of the store's arena, not of the file */
    size_t n_bytes;
};

struct store {
    struct arena *arena;        /* the caller's */
    struct stored *at;
    size_t n, size;
};

/* Adds a tensor of that name; the rest is the caller's to fill. NULL: no memory. */
struct stored *store_add(struct store *s, const char *name, struct err *e);

/* "[2,3]" into text; returns text. */
enum { SHAPE_TEXT = 180 };
const char *shape_text(char text[SHAPE_TEXT], const int64_t *shape, int n_dims);

/* Product of the shape, or -1 if one is negative or the product passes 2^62. */
int64_t shape_elements(const int64_t *shape, int n_dims);

#endif
