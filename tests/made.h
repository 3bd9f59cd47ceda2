/* made.h -- small files of weights, written by the tests: safetensors, and PyTorch's zip form.
 *
 *     struct made m;
 *     made_open(&m);
 *     made_add(&m, "lm_head.weight", "model.lm_head.weight", "F16", 2, (int[]){ 32, 24 });
 *     made_safetensors(&m, "model.safetensors");      or made_torch(&m, "pytorch_model.bin")
 *     made_close(&m);
 * What a tensor holds follows from the first of its two names, the second is written. */
#ifndef TESTS_MADE_H
#define TESTS_MADE_H

#include "engine/base/str.h"

enum { MADE_MAX = 256, MADE_DIMS = 4 };

struct made {
    struct { char name[160], type[8]; int n_dims, shape[MADE_DIMS]; size_t from,
             bytes; } at[MADE_MAX];
    bool transposed;            /* matrices are stored by columns, as PyTorch may: for made_torch */
    int n;
    struct str data;
};

void made_open(struct made *m);
void made_close(struct made *m);
void made_add(struct made *m, const char *seed, const char *name, const char *type, int n_dims,
              const int *shape);
void made_drop(struct made *m, const char *name);           /* as if it had never been added */
void made_safetensors(const struct made *m, const char *path);
void made_torch(const struct made *m, const char *path);
void made_torch_to(const struct made *m, struct str *out);
void made_safetensors_to(const struct made *m, struct str *out);

/* A zip archive of one entry, X/data.pkl, that holds this pickle. */
void made_pickle_to(const void *pickle, size_t n, struct str *out);

/* Writes text to a file, with the folders it needs. */
void made_text(const char *path, const char *text);

#endif
