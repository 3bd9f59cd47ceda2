/* checkpoint_private.h -- what checkpoint.c and describe.c share. */
#ifndef ENGINE_CHECKPOINT_PRIVATE_H
#define ENGINE_CHECKPOINT_PRIVATE_H

#include "engine/checkpoint.h"
#include "engine/base/str.h"
#include "engine/random_weights.h"
#include "engine/source.h"

enum { NEED_DIMS = 4 };

enum layout { LLAVA, LLAVA_HF, LORA, CONNECTOR };

struct need {                   /* a tensor of the model, and where it lies */
    const char *name;
    int n_dims;
    int64_t shape[NEED_DIMS];
    bool ones;                  /* a norm's weight: what random weights put there */
    enum dtype type;
    const void *data;           /* NULL: not found */
    bool mapped;                /* data lies in a file */
    int place;                  /* in the order in which the model is loaded */
};

struct checkpoint {             /* immutable after open: any thread may take views and hashes */
    struct arena arena;
    const char *path, *base;    /* base: folder of the language model, where it is another */
    enum layout layout;
    struct model_config config;
    const struct json *json;    /* config.json's tree */
    const char *config_path, *config_text;
    const char *tokenizer;      /* path; NULL: none, which only random weights may have */
    const char *tower;          /* folder of a tower that stands apart; NULL: inside */
    const char *note;           /* what a user should know about the tower, or NULL */
    struct weight_files files;
    struct source own;          /* the folder's own */
    struct source apart;        /* a tower that stands apart */
    struct source low;          /* the base language model */
    struct source adapter;      /* LoRA's A and B */
    struct need *need;          /* sorted by name */
    size_t n_need, need_size;
    struct str problems;        /* one per line */
    size_t n_problems;
    bool random;
    struct random_weights weights;
    uint16_t *merged;           /* LoRA: all merged weights */
};

/* An empty checkpoint, or NULL with e set; then its files, as checkpoint_open reads them. When load
 * fails, what was found until then stands in c. dry: nothing is merged. */
struct checkpoint *checkpoint_new(const char *path, const struct llava_options *o, struct err *e);
enum status checkpoint_load(struct checkpoint *c, const struct llava_options *o, bool dry,
                            struct err *e);

const char *dtype_name(enum dtype t);           /* "F16", "BF16", "F32" */

#endif
