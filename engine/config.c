/* config.c -- see config.h. A key that is absent or null takes the default of the class that the
 * original reads it with; a key of the wrong type or out of range is an error that names it. */
#include "engine/config.h"

#include <stdio.h>
#include <string.h>

enum { SIZE_LIMIT = 1 << 20, LAYER_LIMIT = 1 << 10 };       /* far above any, far below overflow */
enum { REQUIRED = -1 };

/* o[key] in 1..limit; `otherwise` where it is absent. */
static int size_of(const struct json *o, const char *key, int otherwise, int limit,
                   const char *path, struct err *e)
{
    const struct json *m = json_get(o, key);
    if ((!m || m->type == JSON_NULL) && otherwise != REQUIRED)
        return otherwise;
    if (!m)
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is missing", path, key);
    else if (m->type != JSON_NUMBER || !m->is_int || m->integer < 1 || m->integer > limit)
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is no whole number from 1 to %d", path, key, limit);
    else
        return (int)m->integer;
    return 1;
}

/* o[key], a number in (0, limit]. */
static float positive(const struct json *o, const char *key, double otherwise, double limit,
                      const char *path, struct err *e)
{
    const struct json *m = json_get(o, key);
    if (!m || m->type == JSON_NULL)
        return (float)otherwise;
    if (m->type == JSON_NUMBER && m->number > 0 && m->number <= limit)
        return (float)m->number;
    err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is no number above 0 and up to %g", path, key, limit);
    return 1;
}

/* A key that must have this text, or be absent. */
static void must_be(const struct json *o, const char *key, const char *only, const char *path,
                    struct err *e)
{
    const struct json *m = json_get(o, key);
    if (m && m->type != JSON_NULL && (m->type != JSON_STRING || strcmp(m->string, only)))
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is \"%.60s\"; only \"%s\" is run", path, key,
                m->type == JSON_STRING ? m->string : "?", only);
}

static void must_not_be_true(const struct json *o, const char *key, const char *path, struct err *e)
{
    if (json_get_bool(o, key, false))
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is true, which is not run", path, key);
}

bool config_is_hf(const struct json *o)
{
    const struct json *text = json_get(o, "text_config"), *vision = json_get(o, "vision_config");
    return text && text->type == JSON_OBJECT && vision && vision->type == JSON_OBJECT;
}

/* What the folder says it is; the error says what we would run instead. */
static void check_kind(const struct json *o, const char *path, struct err *e)
{
    const char *type = json_get_str(o, "model_type", "");
    const struct json *names = json_get(o, "architectures"), *first = NULL;
    if (names && names->type == JSON_ARRAY && names->first && names->first->type == JSON_STRING)
        first = names->first;
    const char *class = first ? first->string : "";
    const struct json *quantized = json_get(o, "quantization_config");
    bool known_class = !*class || !strcmp(class, "LlavaLlamaForCausalLM") ||
                       !strcmp(class, "LlavaForConditionalGeneration") ||
                       (*type && !strcmp(class, "LlamaForCausalLM"));   /* in adapters */

    if (quantized && quantized->type != JSON_NULL)
        err_set(e, ERR_CHECKPOINT,
                "%s: quantized weights (\"quantization_config\", %.40s) are not run; "
                "use the checkpoint they were made from", path,
                json_get_str(quantized, "quant_method", "no method named"));
    else if ((*type && strcmp(type, "llava") && strcmp(type, "llava_llama")) || !known_class)
        err_set(e, ERR_CHECKPOINT, "%s: a model of type \"%.40s\" (%.60s) is not run; LLaVA-1.5 "
                "checkpoints over LLaMA are", path, type, *class ? class : "no class named");
    else if (!*type && !*class)
        err_set(e, ERR_CHECKPOINT,
                "%s: names neither \"model_type\" nor \"architectures\": no LLaVA "
                "checkpoint", path);
}

static void read_rope(struct language_config *l, const struct json *o, const char *path,
                      struct err *e)
{
    const struct json *scaling = json_get(o, "rope_scaling"),
                      *newer = json_get(o, "rope_parameters");      /* transformers 5 */
    if (scaling && scaling->type != JSON_NULL)
        err_set(e, ERR_CHECKPOINT,
                "%s: \"rope_scaling\" is set; only plain rotary positions are run",
                path);
    if (newer)
        must_be(newer, "rope_type", "default", path, e);
    l->theta = positive(o, "rope_theta", json_get_double(newer, "rope_theta", 10000), 1e9, path, e);
}

/* A token's id; a list gives its first. */
static int token_id(const struct json *o, const char *key, int otherwise)
{
    const struct json *m = json_get(o, key);
    if (m && m->type == JSON_ARRAY)
        m = m->first;
    bool id = m && m->type == JSON_NUMBER && m->is_int && m->integer >= 0 &&
        m->integer < SIZE_LIMIT;
    return id ? (int)m->integer : otherwise;
}

/* hf: what text_config leaves out has the defaults of transformers' LlamaConfig. */
static void read_language(struct language_config *l, const struct json *o, bool hf,
                          const struct json *generation, const char *path, struct err *e)
{
    l->hidden = size_of(o, "hidden_size", hf ? 4096 : REQUIRED, SIZE_LIMIT, path, e);
    l->ffn = size_of(o, "intermediate_size", hf ? 11008 : REQUIRED, SIZE_LIMIT, path, e);
    l->layers = size_of(o, "num_hidden_layers", hf ? 32 : REQUIRED, LAYER_LIMIT, path, e);
    l->heads = size_of(o, "num_attention_heads", hf ? 32 : REQUIRED, SIZE_LIMIT, path, e);
    l->kv_heads = size_of(o, "num_key_value_heads", l->heads, SIZE_LIMIT, path, e);
    l->vocabulary = size_of(o, "vocab_size", hf ? 32000 : REQUIRED, SIZE_LIMIT, path, e);
    l->max_positions = size_of(o, "max_position_embeddings", 2048, SIZE_LIMIT, path, e);
    l->eps = positive(o, "rms_norm_eps", 1e-6, 1, path, e);
    l->tied = json_get_bool(o, "tie_word_embeddings", false);
    l->bos = token_id(generation, "bos_token_id", token_id(o, "bos_token_id", 1));
    l->eos = token_id(generation, "eos_token_id", token_id(o, "eos_token_id", 2));
    read_rope(l, o, path, e);
    must_be(o, "hidden_act", "silu", path, e);
    must_not_be_true(o, "attention_bias", path, e);
    must_not_be_true(o, "mlp_bias", path, e);
    if (e->code != OK)
        return;
    l->head_size = l->hidden / l->heads;
    int head_size = size_of(o, "head_dim", l->head_size, SIZE_LIMIT, path, e);
    if (l->hidden % l->heads || l->head_size % 2 || head_size != l->head_size ||
        l->heads % l->kv_heads)
        err_set(e, ERR_CHECKPOINT,
                "%s: hidden size %d does not fit %d heads of an even size over %d "
                "key/value heads", path, l->hidden, l->heads, l->kv_heads);
}

/* "linear", "mlp2x_gelu", "identity" to a depth; -1: something else. */
static int connector_depth(const char *name)
{
    if (!strcmp(name, "identity"))
        return 0;
    if (!strcmp(name, "linear"))
        return 1;
    if (strncmp(name, "mlp", 3) || name[3] < '1' || name[3] > '0' + CONNECTOR_MAX ||
        strcmp(name + 4, "x_gelu"))
        return -1;
    return name[3] - '0';
}

static void read_connector(struct model_config *c, const struct json *o, bool hf, const char *path,
                           struct err *e)
{
    const char *name = json_get_str(o, "mm_projector_type", NULL);
    c->has_projector_type = name || hf;
    name = hf ? "mlp2x_gelu" : name ? name : "linear";
    c->connector_depth = connector_depth(name);
    snprintf(c->connector, sizeof c->connector, "%s", name);
    if (c->connector_depth < 0)
        err_set(e, ERR_CHECKPOINT,
                "%s: connector \"%.60s\" is not run; linear, mlpNx_gelu with N from "
                "1 to %d and identity are", path, name, CONNECTOR_MAX);
    if (hf) {
        must_be(o, "projector_hidden_act", "gelu", path, e);
        if (!json_get_bool(o, "multimodal_projector_bias", true))
            err_set(e, ERR_CHECKPOINT, "%s: a connector without bias is not run", path);
    }
}

enum status config_read(struct model_config *c, const struct json *o, const char *path,
                        const struct json *generation, struct err *e)
{
    bool hf = config_is_hf(o);
    const struct json *text = hf ? json_get(o, "text_config") : o;
    const char *aspect = json_get_str(o, "image_aspect_ratio", "");
    memset(c, 0, sizeof *c);
    check_kind(o, path, e);
    if (!strncmp(aspect, "anyres", 6))
        err_set(e, ERR_CHECKPOINT,
                "%s: image_aspect_ratio \"%.40s\" is LLaVA-1.6, which is not run",
                path, aspect);
    must_not_be_true(o, "s2", path, e);
    if (hf)
        must_be(text, "model_type", "llama", path, e);
    read_language(&c->language, text, hf, generation, path, e);
    read_connector(c, o, hf, path, e);
    c->language.cut_at = hf ? 0 : size_of(o, "tokenizer_model_max_length", 0, SIZE_LIMIT, path, e);
    c->use_im_start_end = json_get_bool(o, "mm_use_im_start_end", false);
    c->use_im_patch_token = json_get_bool(o, "mm_use_im_patch_token", !hf);
    c->pad = hf || !strcmp(aspect, "pad");  /* llava-hf changed the pipeline, not the weights */
    return e->code;
}

bool config_known_tower(struct tower_config *t, const char *name)
{
    static const struct { const char *name; int side; } known[] = {
        { "clip-vit-large-patch14-336", 336 }, { "clip-vit-large-patch14", 224 },
    };
    size_t n = strlen(name);
    while (n && name[n - 1] == '/')
        n--;
    for (size_t i = 0; i < COUNT(known); i++) {
        size_t k = strlen(known[i].name);
        bool alone = n == k || (n > k && (name[n - k - 1] == '/' || name[n - k - 1] == '-'));
        if (n >= k && alone && !memcmp(name + n - k, known[i].name, k)) {
            *t = (struct tower_config){ .hidden = 1024, .heads = 16, .ffn = 4096, .layers = 24,
                                        .side = known[i].side, .patch = 14, .eps = 1e-5f };
            return true;
        }
    }
    return false;
}

enum status config_read_tower(struct tower_config *t, const struct json *vision, const char *path,
                              struct err *e)
{
    const char *type = json_get_str(vision, "model_type", "clip_vision_model");
    if (strcmp(type, "clip_vision_model") && strcmp(type, "clip"))
        return err_set(e, ERR_CHECKPOINT,
                       "%s: a vision tower of type \"%.40s\" is not run; CLIP's are",
                       path, type);
    t->hidden = size_of(vision, "hidden_size", t->hidden, SIZE_LIMIT, path, e);
    t->ffn = size_of(vision, "intermediate_size", t->ffn, SIZE_LIMIT, path, e);
    t->layers = size_of(vision, "num_hidden_layers", t->layers, LAYER_LIMIT, path, e);
    t->heads = size_of(vision, "num_attention_heads", t->heads, SIZE_LIMIT, path, e);
    t->side = size_of(vision, "image_size", t->side, 1 << 13, path, e);
    t->patch = size_of(vision, "patch_size", t->patch, 1 << 10, path, e);
    t->eps = positive(vision, "layer_norm_eps", t->eps, 1, path, e);
    must_be(vision, "hidden_act", "quick_gelu", path, e);
    return e->code;
}

/* How many blocks to run: layer `select` of hidden states 0 (the embeddings) to `layers`. */
static int blocks_to_run(const struct json *o, const char *key, int layers, const char *path,
                         struct err *e)
{
    const struct json *m = json_get(o, key);
    int64_t select = !m || m->type == JSON_NULL ? -2 : m->integer;
    if (m && m->type != JSON_NULL && (m->type != JSON_NUMBER || !m->is_int))
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is no whole number: one layer of the tower is taken",
                path, key);
    else if (select < -layers - 1 || select > layers)
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is %lld, the tower has %d layers", path, key,
                (long long)select, layers);
    else
        return (int)(select < 0 ? layers + 1 + select : select);
    return 0;
}

enum status config_select(struct model_config *c, const struct json *o, const char *path,
                          struct err *e)
{
    bool hf = config_is_hf(o);
    struct tower_config *t = &c->tower;
    const char *key = hf ? "vision_feature_select_strategy" : "mm_vision_select_feature";
    const char *feature = json_get_str(o, key, "patch");
    if (t->hidden < 1 || t->heads < 1 || t->hidden % t->heads || t->patch < 1 ||
        t->side % t->patch || t->side < t->patch)
        return err_set(e, ERR_CHECKPOINT, "%s: a vision tower of width %d with %d heads, image %d, "
                       "patch %d does not divide", path, t->hidden, t->heads, t->side, t->patch);
    t->run_layers = blocks_to_run(o, hf ? "vision_feature_layer" : "mm_vision_select_layer",
                                  t->layers, path, e);
    t->patches = (t->side / t->patch) * (t->side / t->patch);
    t->keep_class = !strcmp(feature, "cls_patch") || !strcmp(feature, "full");
    if (!t->keep_class && strcmp(feature, "patch") && strcmp(feature, "default"))
        err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is \"%.40s\", expected patch or cls_patch", path,
                key, feature);
    int width = size_of(o, "mm_hidden_size", t->hidden, SIZE_LIMIT, path, e);
    if (width != t->hidden)
        err_set(e, ERR_CHECKPOINT, "%s: \"mm_hidden_size\" is %d, but the vision tower is %d wide",
                path, width, t->hidden);
    if (c->connector_depth == 0 && t->hidden != c->language.hidden)
        err_set(e, ERR_CHECKPOINT, "%s: an identity connector between widths %d and %d", path,
                t->hidden, c->language.hidden);
    return e->code;
}
