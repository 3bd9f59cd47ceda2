/* checkpoint.h -- a folder on disk becomes a config and named tensors.
 *
 * Every published layout is read (LLaVA's own, llava-hf, LoRA, connector only; model.md in docs/);
 * whatever the layout, tensors are asked for by one set of names:
 *   language    model.embed_tokens.weight, model.layers.N.self_attn.q_proj.weight, ...,
 *               model.norm.weight, lm_head.weight
 *   connector   model.mm_projector.N.weight, .bias with N = 0, 2, 4, ... (0 for a linear one too)
 *   tower       vision_model.embeddings.patch_embedding.weight, vision_model.encoder.layers.N...
 * checkpoint_open checks presence, dtype and shape of all that the model needs and names everything
 * missing or misshapen in one error, before a byte of the data is read. */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/llava.h"
#include "engine/model.h"
#include "engine/tensor.h"

struct checkpoint;

/* Opens and maps; o gives model_base, vision_tower and random_weights (which may be NULL/false). */
enum status checkpoint_open(struct checkpoint **out, const char *path,
                            const struct llava_options *o, struct err *e);
void checkpoint_close(struct checkpoint *c);                /* views die with it; NULL is fine */
char *checkpoint_missing_tower(const char *path, const struct llava_options *o);    /* llava.h */

const struct model_config *checkpoint_config(const struct checkpoint *c);
const char *checkpoint_layout(const struct checkpoint *c);      /* "llava", "llava-hf", ... */
const char *checkpoint_config_json(const struct checkpoint *c);
const char *checkpoint_tokenizer(const struct checkpoint *c);   /* path of tokenizer.model */

/* The tensor as it lies in its file; shape checked at open: a patch embedding [D,3,p,p] comes as
 * [D, 3*p*p], a vector [N] as [1, N]. A name that the model does not have is our own mistake. */
struct view checkpoint_view(const struct checkpoint *c, const char *name);
bool checkpoint_has(const struct checkpoint *c, const char *name);

/* Says that the tensor has been read: its pages leave memory (and come back, should anyone read it
 * again), so that loading holds the packed weights and not the files too. */
void checkpoint_release(const struct checkpoint *c, const char *name);

/* Hex SHA-256 over what of the config changes replies, and over all tensors that the model uses, in name
 * order: a line of name, dtype and shape, then the SHA-256 of its bytes. Random weights: of config.json
 * and names. The bytes are read in the order
 * in which a model is loaded: run beside loading, the two share one reading of the files. */
enum status checkpoint_hash(struct checkpoint *c, char out[65], struct err *e);

/* Sums over the used tensors. */
int64_t checkpoint_parameters(const struct checkpoint *c);

/* Text for `inspect`; the caller frees. */
enum status checkpoint_describe(const char *path, const struct llava_options *o, bool json,
                                char **text, struct err *e);

#endif
