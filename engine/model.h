/* model.h -- the shapes of a LLaVA-1.5 style model, and the letters they are written with.
 *
 *   T  rows of a step (tokens of all sequences, packed)      L  layers
 *   D  hidden size       F  feed-forward size                V  vocabulary
 *   H  heads             G  key/value heads                  d  head size
 *   P  patches (576)     R  image side (336)                 N, K  a product's outputs, inputs
 */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct tower_config {           /* CLIP ViT; defaults are ViT-L/14-336's */
    int hidden, heads, ffn;     /* 1024, 16, 4096 */
    int layers;                 /* in the checkpoint: 24 */
    int run_layers;             /* blocks to run for mm_vision_select_layer: 23 of 24 for -2 */
    int side, patch;            /* 336, 14 */
    int patches;                /* (side / patch)^2 = 576 */
    bool keep_class;            /* mm_vision_select_feature cls_patch: 1 + P rows, not P */
    float eps;                  /* 1e-5 */
};

struct language_config {        /* LLaMA / Vicuna; the 7B's */
    int hidden, layers, heads, kv_heads, head_size, ffn, vocabulary;    /* 4096 32 32 32 128 11008 32000 */
    int max_positions;          /* 4096 */
    int cut_at;                 /* tokenizer_model_max_length, or 0: prompts are cut to this many */
    float eps, theta;           /* 1e-5 (or 1e-6), 10000 */
    bool tied;                  /* lm_head is embed_tokens */
    int bos, eos;               /* 1, 2 */
};

enum { CONNECTOR_MAX = 8 };     /* deepest mlpNx_gelu that we run */

struct model_config {
    struct tower_config tower;
    struct language_config language;
    int connector_depth;        /* 0 identity, 1 linear, N mlpNx_gelu */
    char connector[32];         /* its name, as config.json has it; "linear" where it has none */
    bool has_projector_type, use_im_start_end, use_im_patch_token;
    bool pad;                   /* image_aspect_ratio "pad": what LLAVA_AS_CONFIG means */
};

static inline int image_tokens(const struct model_config *c)
{
    return c->tower.patches + (c->tower.keep_class ? 1 : 0);
}

#endif
