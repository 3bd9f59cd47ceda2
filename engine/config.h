/* config.h -- config.json to the shapes of a model, and the refusal of what we do not run.
 *
 * Two forms: LLaVA's own (flat, "mm_..." keys; our demo adds "vision_config") and llava-hf
 * ("text_config", "vision_config"). Nothing here looks at tensors. */
#ifndef ENGINE_CONFIG_H
#define ENGINE_CONFIG_H

#include "engine/base/json.h"
#include "engine/model.h"

/* Whether o is the config of transformers' own LlavaForConditionalGeneration. */
bool config_is_hf(const struct json *o);

/* Everything but the tower. path is for messages; generation, generation_config.json's tree, may be
 * NULL. ERR_CHECKPOINT names what is missing, out of range or not run. */
enum status config_read(struct model_config *c, const struct json *o, const char *path,
                        const struct json *generation, struct err *e);

/* The tower: vision is the object with its fields, what it leaves out is taken from *t. */
enum status config_read_tower(struct tower_config *t, const struct json *vision, const char *path,
                              struct err *e);

/* The shapes of a tower known by name (openai/clip-vit-large-patch14-336): false if it is not. */
bool config_known_tower(struct tower_config *t, const char *name);

/* Once the tower is known: which layer and rows are taken from it, and whether all sizes agree. */
enum status config_select(struct model_config *c, const struct json *o, const char *path,
                          struct err *e);

#endif
