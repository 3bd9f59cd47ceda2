/* memory.h -- what a model takes of a device's memory, known before any is taken.
 *
 * Weights come first, then what a step needs, then the KV cache takes what is left. Where little is
 * left, steps and batches of pictures become smaller before anything is refused: replies do not
 * depend on them. */
#ifndef ENGINE_MEMORY_H
#define ENGINE_MEMORY_H

#include "engine/llava.h"
#include "engine/model.h"
#include "engine/scheduler.h"

struct footprint {              /* bytes */
    size_t weights, step;       /* step: activations and scratch of rows, pictures and lasts */
    size_t column;              /* one column of the cache, in all layers */
};
/* type: of weights and activations, or E4M3 (private.h: fp8); table: of the embedding, which stays as
 * in the file. */
struct footprint memory_footprint(const struct model_config *c, enum dtype type, enum dtype table,
                                  const struct limits *l);

/* Limits for a GPU with so many bytes free. o's batch_tokens is the most rows, its cache_positions
 * the number of columns, where they are not 0. ERR_MEMORY, with the account, if no request with a
 * picture fits. */
enum status memory_plan(struct limits *out, const struct model_config *c, enum dtype type,
                        enum dtype table, size_t free_bytes, const struct llava_options *o,
                        struct err *e);
/* The fewest bytes with which a request may use all the positions the model has. */
size_t memory_least(const struct model_config *c, enum dtype type, enum dtype table);

/* Limits for the CPU, whose memory others use too: the cache, which holds numbers of the type `held`, gets
 * no more than a quarter. */
void memory_plan_host(struct limits *out, const struct model_config *c, enum dtype act, enum dtype held,
                      const struct llava_options *o);

#endif
