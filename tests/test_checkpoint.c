/* Checkpoints: one tiny model in every layout must give the same tensors; everything else must be
 * refused by name. Readers on their own: tests/test_weights.c.
 *
 * The model: tower of width 16, 2 heads, 3 layers, image 28, patch 14; language model of width
 * 24, 3 heads, 2 layers, vocabulary 32; connector mlp2x_gelu. */
#include "engine/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/problems.h"
#include "tests/check.h"
#include "tests/made.h"

enum { TOWER = 1, CONNECTOR = 2, LANGUAGE = 4, ALL = 7 };

#define LANGUAGE_CONFIG "\"hidden_size\": 24, \"intermediate_size\": 40, \"num_hidden_layers\": 2, " \
    "\"num_attention_heads\": 3, \"vocab_size\": 32, \"rms_norm_eps\": 1e-5, " \
    "\"max_position_embeddings\": 512"
#define VISION_CONFIG "\"vision_config\": {\"hidden_size\": 16, \"intermediate_size\": 32, " \
    "\"num_hidden_layers\": 3, \"num_attention_heads\": 2, \"image_size\": 28, \"patch_size\": 14}"
#define LLAVA_HEAD "{\"model_type\": \"llava\", \"architectures\": [\"LlavaLlamaForCausalLM\"], " \
    "\"mm_projector_type\": \"mlp2x_gelu\", \"mm_hidden_size\": 16, " \
    "\"image_aspect_ratio\": \"pad\", "
static const char llava_config[] =
    LLAVA_HEAD "\"unfreeze_mm_vision_tower\": true, " VISION_CONFIG ", "
    LANGUAGE_CONFIG "}";
static const char hf_config[] = "{\"model_type\": \"llava\", \"architectures\": "
    "[\"LlavaForConditionalGeneration\"], \"text_config\": {\"model_type\": \"llama\", "
    LANGUAGE_CONFIG "}, " VISION_CONFIG "}";

/* How a layout calls what we call `name`. */
enum spelling { OURS, IN_LLAVA, IN_HF, IN_NEW_HF, IN_HF_5, ALONE_5, UNDER_PEFT };

static const char *spelled(char out[200], const char *name, enum spelling how)
{
    static const char vision[] = "vision_model.", language[] = "model.",
        connector[] = "model.mm_projector.";
    bool is_vision = !strncmp(name, vision, strlen(vision));
    bool is_connector = !strncmp(name, connector, strlen(connector));
    bool is_language = !is_connector && !strncmp(name, language, strlen(language));
    const char *part = name + strlen(connector) + 2;        /* behind "model.mm_projector.N." */
    if (how == IN_LLAVA && is_vision)
        snprintf(out, 200, "model.vision_tower.vision_tower.%s", name);
    else if ((how == IN_HF || how == IN_NEW_HF) && is_vision)
        snprintf(out, 200, "%svision_tower.%s", how == IN_HF ? "" : "model.", name);
    else if (how == IN_HF_5 && is_vision)
        snprintf(out, 200, "vision_tower.%s", name + strlen(vision));
    else if (how == ALONE_5)
        snprintf(out, 200, "%s", name + strlen(vision));
    else if ((how == IN_HF || how == IN_NEW_HF || how == IN_HF_5) && is_connector)
        snprintf(out, 200, "%smulti_modal_projector.linear_%d.%s", how == IN_NEW_HF ? "model." : "",
                 name[strlen(connector)] == '0' ? 1 : 2, part);
    else if (how == IN_HF || how == IN_HF_5)
        snprintf(out, 200, "language_model.%s", name);
    else if (how == IN_NEW_HF && is_language)
        snprintf(out, 200, "model.language_model.%s", name + strlen(language));
    else
        snprintf(out, 200, "%s%s", how == UNDER_PEFT ? "base_model.model." : "", name);
    return out;
}

static void add(struct made *m, enum spelling how, const char *name, int n_dims, int a, int b)
{
    char text[200];
    int shape[] = { a, b, 14, 14 };
    made_add(m, name, spelled(text, name, how), "F16", n_dims, shape);
}

static void add_linear(struct made *m, enum spelling how, const char *prefix, int rows, int cols)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", prefix);
    add(m, how, name, 2, rows, cols);
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(m, how, name, 1, rows, 0);
}

static void add_norm(struct made *m, enum spelling how, const char *prefix, int n)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", prefix);
    add(m, how, name, 1, n, 0);
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(m, how, name, 1, n, 0);
}

static void add_tower(struct made *m, enum spelling how)
{
    static const struct { const char *name; int rows, cols; } linear[] = {
        { "self_attn.q_proj", 16, 16 }, { "self_attn.k_proj", 16, 16 },
        { "self_attn.v_proj", 16, 16 }, { "self_attn.out_proj", 16, 16 },
        { "mlp.fc1", 32, 16 }, { "mlp.fc2", 16, 32 },
    };
    char prefix[120];
    add(m, how, "vision_model.embeddings.class_embedding", 1, 16, 0);
    add(m, how, "vision_model.embeddings.patch_embedding.weight", 4, 16, 3);
    add(m, how, "vision_model.embeddings.position_embedding.weight", 2, 5, 16);
    add_norm(m, how, "vision_model.pre_layrnorm", 16);
    add_norm(m, how, "vision_model.post_layernorm", 16);    /* never used */
    for (int layer = 0; layer < 3; layer++) {
        for (int i = 1; i <= 2; i++) {
            snprintf(prefix, sizeof prefix, "vision_model.encoder.layers.%d.layer_norm%d", layer,
                     i);
            add_norm(m, how, prefix, 16);
        }
        for (size_t i = 0; i < COUNT(linear); i++) {
            snprintf(prefix, sizeof prefix, "vision_model.encoder.layers.%d.%s", layer,
                     linear[i].name);
            add_linear(m, how, prefix, linear[i].rows, linear[i].cols);
        }
    }
}

static const struct { const char *name; int rows, cols; } projections[] = {
    { "self_attn.q_proj", 24, 24 }, { "self_attn.k_proj", 24, 24 }, { "self_attn.v_proj", 24, 24 },
    { "self_attn.o_proj", 24, 24 }, { "mlp.gate_proj", 40, 24 }, { "mlp.up_proj", 40, 24 },
    { "mlp.down_proj", 24, 40 },
};

static void add_language(struct made *m, enum spelling how)
{
    char name[120];
    add(m, how, "model.embed_tokens.weight", 2, 32, 24);
    add(m, how, "model.norm.weight", 1, 24, 0);
    add(m, how, "lm_head.weight", 2, 32, 24);
    for (int layer = 0; layer < 2; layer++) {
        snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", layer);
        add(m, how, name, 1, 24, 0);
        snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", layer);
        add(m, how, name, 1, 24, 0);
        for (size_t i = 0; i < COUNT(projections); i++) {
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, projections[i].name);
            add(m, how, name, 2, projections[i].rows, projections[i].cols);
        }
    }
}

static void add_parts(struct made *m, enum spelling how, int parts)
{
    if (parts & TOWER)
        add_tower(m, how);
    if (parts & CONNECTOR) {
        add_linear(m, how, "model.mm_projector.0", 24, 16);
        add_linear(m, how, "model.mm_projector.2", 24, 24);
    }
    if (parts & LANGUAGE)
        add_language(m, how);
}

static void copy_tokenizer(const char *dir)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct file f;
    file_mkdirs(dir, &e);
    file_open(&f, path_join(&a, test_root(), "demo/checkpoints/tiny-mlp/tokenizer.model"), ERR_DATA,
              &e);
    CHECK_OK(file_write(path_join(&a, dir, "tokenizer.model"), f.at, f.n, &e), e);
    file_close(&f);
    arena_free(&a);
}

/* A whole folder: config.json, weights, tokenizer. */
static void write_folder(const char *dir, const char *config, enum spelling how, int parts,
                         const char *weights)
{
    char path[256];
    struct made m;
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (config)
        made_text(path, config);
    made_open(&m);
    add_parts(&m, how, parts);
    snprintf(path, sizeof path, "%s/%s", dir, weights);
    if (strstr(weights, ".bin"))
        made_torch(&m, path);
    else
        made_safetensors(&m, path);
    made_close(&m);
    copy_tokenizer(dir);
}

/* Opens and checks a good checkpoint; its hash. */
static void hash_of(const char *dir, const struct llava_options *o, const char *layout,
                    char hash[65])
{
    static const struct llava_options none;
    struct checkpoint *c = NULL;
    struct err e = { 0 };
    hash[0] = '\0';
    if (!CHECK_OK(checkpoint_open(&c, dir, o ? o : &none, &e), e))
        return;
    CHECK_STR(checkpoint_layout(c), layout);
    CHECK_OK(checkpoint_hash(c, hash, &e), e);
    const struct model_config *m = checkpoint_config(c);
    CHECK_INT(m->tower.hidden, 16);
    CHECK_INT(m->tower.run_layers, 2);
    CHECK_INT(m->tower.patches, 4);
    CHECK_INT(m->language.head_size, 8);
    CHECK_INT(m->connector_depth, 2);
    CHECK(m->pad);
    struct view v = checkpoint_view(c, "vision_model.embeddings.patch_embedding.weight");
    CHECK_INT(v.rows, 16);
    CHECK_INT(v.cols, 588);
    v = checkpoint_view(c, "model.norm.weight");
    CHECK_INT(v.rows, 1);
    CHECK_INT(v.cols, 24);
    CHECK_INT(v.type, F16);
    CHECK(checkpoint_has(c, "lm_head.weight") && !checkpoint_has(c, "vision_model.encoder.layers.2."
                                                                    "layer_norm1.weight"));
    CHECK(file_size(checkpoint_tokenizer(c)) > 0);
    checkpoint_close(c);
}

TEST(checkpoint_layouts_give_the_same_tensors)
{
    char hash[65], other[65];
    write_folder("plain", llava_config, IN_LLAVA, ALL, "model.safetensors");
    hash_of("plain", NULL, "llava", hash);
    CHECK_INT(strlen(hash), 64);

    write_folder("torch", llava_config, IN_LLAVA, ALL, "pytorch_model.bin");
    hash_of("torch/", NULL, "llava", other);
    CHECK_STR(other, hash);
    write_folder("hf", hf_config, IN_HF, ALL, "model.safetensors");
    hash_of("hf", NULL, "llava-hf", other);
    CHECK_STR(other, hash);
    write_folder("new-hf", hf_config, IN_NEW_HF, ALL, "model.safetensors");
    hash_of("new-hf", NULL, "llava-hf", other);
    CHECK_STR(other, hash);
    write_folder("hf-5", hf_config, IN_HF_5, ALL, "model.safetensors");
    hash_of("hf-5", NULL, "llava-hf", other);
    CHECK_STR(other, hash);

    /* Shards with an index, one per part. */
    static const struct { int part; const char *name, *tensor; } shards[] = {
        { TOWER, "a.safetensors",
          "model.vision_tower.vision_tower.vision_model.pre_layrnorm.bias" },
        { CONNECTOR, "b.safetensors", "model.mm_projector.0.bias" },
        { LANGUAGE, "c.safetensors", "model.norm.weight" },
    };
    struct str index;
    str_init(&index, 4096);
    for (size_t i = 0; i < COUNT(shards); i++) {
        write_folder("shards", llava_config, IN_LLAVA, shards[i].part, shards[i].name);
        str_addf(&index, "%s\"%s\": \"%s\"", i ? ", " : "{\"weight_map\": {", shards[i].tensor,
                 shards[i].name);
    }
    str_add(&index, "}}");
    made_text("shards/model.safetensors.index.json", index.at);
    hash_of("shards", NULL, "llava", other);
    CHECK_STR(other, hash);
    str_free(&index);
}

/* The connector of a linear checkpoint has no number in its name. */
TEST(checkpoint_with_a_linear_connector)
{
    struct made m;
    struct checkpoint *c = NULL;
    struct llava_options o = { 0 };
    struct err e = { 0 };
    made_open(&m);
    add_parts(&m, IN_LLAVA, TOWER | LANGUAGE);
    made_add(&m, "x", "model.mm_projector.weight", "BF16", 2, (int[]){ 24, 16 });
    made_add(&m, "y", "model.mm_projector.bias", "F32", 1, (int[]){ 24 });
    made_text("linear/config.json",
              "{\"model_type\": \"llava\", \"unfreeze_mm_vision_tower\": true, "
              "\"mm_use_im_patch_token\": false, " VISION_CONFIG ", " LANGUAGE_CONFIG "}");
    made_safetensors(&m, "linear/model.safetensors");
    copy_tokenizer("linear");
    if (CHECK_OK(checkpoint_open(&c, "linear", &o, &e), e)) {
        const struct model_config *config = checkpoint_config(c);
        CHECK_STR(config->connector, "linear");
        CHECK(!config->has_projector_type && !config->pad && !config->use_im_patch_token);
        struct view v = checkpoint_view(c, "model.mm_projector.0.weight");
        CHECK_INT(v.type, BF16);
        CHECK_INT(v.rows * 100 + v.cols, 2416);
        CHECK_INT(checkpoint_view(c, "model.mm_projector.0.bias").type, F32);
    }
    checkpoint_close(c);

    made_text("linear/config.json", llava_config);
    err_clear(&e);
    CHECK_INT(checkpoint_open(&c, "linear", &o, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "linear: the connector is mlp2x_gelu by config.json, linear by its tensors");
    made_close(&m);
}

/* A tower apart: beside, by option, in the neighbourhood of a hub cache; else the copy inside. */
TEST(checkpoint_finds_its_vision_tower)
{
    static const char config[] = LLAVA_HEAD "\"mm_vision_tower\": \"/home/somebody/little-clip\", "
                                 LANGUAGE_CONFIG "}";
    static const char tower[] = "{\"model_type\": \"clip\", " VISION_CONFIG "}";
    char hash[65], other[65];
    struct llava_options o = { 0 };
    struct checkpoint *c = NULL;
    struct err e = { 0 };
    write_folder("plain", llava_config, IN_LLAVA, ALL, "model.safetensors");
    hash_of("plain", NULL, "llava", hash);

    write_folder("models/apart", config, IN_LLAVA, CONNECTOR | LANGUAGE, "model.safetensors");
    CHECK_INT(checkpoint_open(&c, "models/apart", &o, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "little-clip") && strstr(e.text, "--vision-tower"));
    write_folder("elsewhere", tower, OURS, TOWER, "pytorch_model.bin");
    o.vision_tower = "elsewhere";
    hash_of("models/apart", &o, "llava", other);
    CHECK_STR(other, hash);
    write_folder("models/little-clip", tower, ALONE_5, TOWER, "model.safetensors");
    hash_of("models/apart", NULL, "llava", other);
    CHECK_STR(other, hash);

    write_folder("hub/models--l--llava/snapshots/1", config, IN_LLAVA, CONNECTOR | LANGUAGE,
                 "model.safetensors");
    write_folder("hub/models--openai--little-clip/snapshots/2", tower, OURS, TOWER,
                 "model.safetensors");
    hash_of("hub/models--l--llava/snapshots/1", NULL, "llava", other);
    CHECK_STR(other, hash);

    /* No tower apart: the copy inside, with a note. */
    write_folder("copy", LLAVA_HEAD "\"mm_vision_tower\": \"absent-clip\", " VISION_CONFIG ", "
                 LANGUAGE_CONFIG "}", IN_LLAVA, ALL, "model.safetensors");
    hash_of("copy", NULL, "llava", other);
    CHECK_STR(other, hash);
    char *text = NULL;
    o.vision_tower = NULL;
    err_clear(&e);
    CHECK_OK(checkpoint_describe("copy", &o, false, &text, &e), e);
    CHECK(text && strstr(text, "\nnote") && strstr(text, "the copy inside the checkpoint"));
    free(text);
}

static const char adapter_config[] =
    "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"bias\": "
                                     "\"none\", \"target_modules\": [\"q_proj\", \"down_proj\"]}";

/* Writes an adapter of r 2 for two projections of each layer; B is zero when `zero` is set. */
static void write_lora(const char *dir, bool zero)
{
    static const struct { const char *name; int rows, cols; } target[] = {
        { "self_attn.q_proj", 24, 24 }, { "mlp.down_proj", 24, 40 },
    };
    char path[256], name[200];
    struct made m;
    made_open(&m);
    for (int layer = 0; layer < 2; layer++)
        for (size_t i = 0; i < COUNT(target); i++) {
            snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_A.weight", layer,
                     target[i].name);
            made_add(&m, name, name, "F16", 2, (int[]){ 2, target[i].cols });
            name[strlen(name) - strlen("A.weight")] = 'B';
            made_add(&m, name, name, "F16", 2, (int[]){ target[i].rows, 2 });
            if (zero)
                memset(m.data.at + m.at[m.n - 1].from, 0, m.at[m.n - 1].bytes);
        }
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", dir);
    made_safetensors(&m, path);
    snprintf(path, sizeof path, "%s/adapter_config.json", dir);
    made_text(path, adapter_config);
    made_close(&m);
}

static const char lora_config[] =
    LLAVA_HEAD "\"mm_vision_tower\": \"little-clip\", " LANGUAGE_CONFIG
    ", \"architectures\": [\"LlamaForCausalLM\"]}";         /* as adapters have it */

TEST(checkpoint_lora_and_connector_over_a_base)
{
    char hash[65], other[65];
    struct llava_options o = { .model_base = "base", .vision_tower = "tower" };
    struct checkpoint *c = NULL;
    struct err e = { 0 };
    write_folder("plain", llava_config, IN_LLAVA, ALL, "model.safetensors");
    hash_of("plain", NULL, "llava", hash);
    write_folder("base", "{}", OURS, LANGUAGE, "pytorch_model.bin");
    write_folder("tower", "{\"model_type\": \"clip\", " VISION_CONFIG "}", OURS, TOWER,
                 "model.safetensors");

    write_folder("connector", lora_config, OURS, CONNECTOR, "mm_projector.bin");
    hash_of("connector", &o, "connector", other);
    CHECK_STR(other, hash);
    write_folder("lora", lora_config, UNDER_PEFT, CONNECTOR, "non_lora_trainables.bin");
    write_lora("lora", true);
    hash_of("lora", &o, "lora", other);
    CHECK_STR(other, hash);                                 /* zeros change nothing */

    write_lora("lora", false);
    if (CHECK_OK(checkpoint_open(&c, "lora", &o, &e), e)) {
        CHECK_OK(checkpoint_hash(c, other, &e), e);
        CHECK(strcmp(other, hash));
        CHECK(strstr(checkpoint_tokenizer(c), "base/"));
        CHECK_INT(checkpoint_view(c, "model.layers.1.mlp.down_proj.weight").type, F16);
    }
    checkpoint_close(c);

    struct llava_options lone = { .vision_tower = "tower" };
    CHECK_INT(checkpoint_open(&c, "lora", &lone, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "--model-base"));
}

/* Memory that was taken for a strided tensor is not a file's: when it has been read it is still there. */
TEST(checkpoint_keeps_strided_tensors)
{
    struct made m;
    struct checkpoint *c = NULL;
    struct err e = { 0 };
    struct llava_options o = { 0 };
    char config[2000], hash[65], again[65];
    snprintf(config, sizeof config, "%s", llava_config);
    memcpy(strstr(config, "\"vocab_size\": 32") + 14, "99", 2);
    made_open(&m);
    add_parts(&m, IN_LLAVA, ALL);
    made_drop(&m, "model.embed_tokens.weight");
    made_add(&m, "x", "model.embed_tokens.weight", "F32", 2, (int[]){ 99, 24 });
    made_drop(&m, "lm_head.weight");
    made_add(&m, "y", "lm_head.weight", "F32", 2, (int[]){ 99, 24 });
    m.transposed = true;
    made_text("x/config.json", config);
    made_torch(&m, "x/pytorch_model.bin");
    made_close(&m);
    copy_tokenizer("x");
    if (CHECK_OK(checkpoint_open(&c, "x", &o, &e), e)) {
        CHECK_OK(checkpoint_hash(c, hash, &e), e);
        checkpoint_release(c, "lm_head.weight");
        CHECK_OK(checkpoint_hash(c, again, &e), e);
        CHECK_STR(again, hash);
    }
    checkpoint_close(c);
}

TEST(checkpoint_refuses_a_tensor_of_two_files)
{
    struct made m;
    struct checkpoint *c = NULL;
    struct err e = { 0 };
    struct llava_options o = { 0 };
    write_folder("x", llava_config, IN_LLAVA, ALL, "one.safetensors");
    made_open(&m);
    made_add(&m, "other", "model.norm.weight", "F16", 1, (int[]){ 24 });
    made_safetensors(&m, "x/two.safetensors");
    made_close(&m);
    made_text("x/model.safetensors.index.json", "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": "
              "\"two.safetensors\"}}");
    CHECK_INT(checkpoint_open(&c, "x", &o, &e), ERR_CHECKPOINT);
    if (!CHECK(strstr(e.text, "model.norm.weight stands twice in the files")))
        printf("  %s\n", e.text);
}

TEST(checkpoint_lora_refusals)
{
    static const struct { const char *config, *part; } cases[] = {
        { "{\"r\": 2, \"lora_alpha\": 4, \"use_dora\": true}", "use_dora" },
        { "{\"r\": 2, \"lora_alpha\": 4, \"bias\": \"all\"}", "bias" },
        { "{\"r\": 2, \"lora_alpha\": 4, \"rank_pattern\": {\"x\": 3}}", "rank_pattern" },
        { "{\"r\": 2, \"lora_alpha\": 4, \"modules_to_save\": [\"lm_head\"]}", "modules_to_save" },
        { "{\"peft_type\": \"LOHA\", \"r\": 2, \"lora_alpha\": 4}", "LOHA" },
        { "{\"r\": 0, \"lora_alpha\": 4}", "\"r\"" },
        { "{\"r\": 2, \"lora_alpha\": 4, \"init_lora_weights\": \"pissa_niter_4\"}", "pissa_niter_4" },
        { "[]", "object" },
    };
    struct llava_options o = { .model_base = "base", .vision_tower = "tower" };
    struct checkpoint *c = NULL;
    write_folder("base", "{}", OURS, LANGUAGE, "model.safetensors");
    write_folder("tower", "{\"model_type\": \"clip\", " VISION_CONFIG "}", OURS, TOWER,
                 "model.safetensors");
    write_folder("lora", lora_config, UNDER_PEFT, CONNECTOR, "non_lora_trainables.bin");
    write_lora("lora", false);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = { 0 };
        made_text("lora/adapter_config.json", cases[i].config);
        CHECK_INT(checkpoint_open(&c, "lora", &o, &e), ERR_CHECKPOINT);
        if (!CHECK(strstr(e.text, cases[i].part)))
            printf("  %s\n", e.text);
    }
    /* A tensor of the adapter that belongs nowhere: another layer's, adapter's, an embedding's, the tower's. */
    static const char *const strangers[] = {
        "model.layers.9.self_attn.q_proj.lora_A.weight", "model.layers.0.self_attn.q_proj.lora_A.other.weight",
        "model.embed_tokens.lora_embedding_A", "vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
    };
    made_text("lora/adapter_config.json", adapter_config);
    for (size_t i = 0; i < COUNT(strangers); i++) {
        struct made m;
        struct err e = { 0 };
        char name[200];
        made_open(&m);
        snprintf(name, sizeof name, "base_model.model.%s", strangers[i]);
        made_add(&m, "x", name, "F16", 2, (int[]){ 2, 24 });
        made_safetensors(&m, "lora/adapter_model.safetensors");
        made_close(&m);
        CHECK_INT(checkpoint_open(&c, "lora", &o, &e), ERR_CHECKPOINT);
        if (!CHECK(strstr(e.text, "belongs to no weight") && strstr(e.text, strangers[i])))
            printf("  %s\n", e.text);
    }
}

TEST(checkpoint_names_all_that_does_not_fit)
{
    struct made m;
    struct checkpoint *c = NULL;
    struct llava_options o = { 0 };
    struct err e = { 0 };
    made_open(&m);
    add_parts(&m, IN_LLAVA, ALL);
    made_drop(&m, "model.norm.weight");
    made_drop(&m, "lm_head.weight");
    made_add(&m, "x", "lm_head.weight", "F16", 2, (int[]){ 24, 32 });
    made_drop(&m, "model.layers.0.self_attn.q_proj.weight");
    made_add(&m, "x", "model.layers.0.self_attn.q_proj.weight", "I64", 2, (int[]){ 24, 24 });
    made_add(&m, "x", "model.layers.0.self_attn.q_proj.bias", "F16", 1, (int[]){ 24 });
    made_add(&m, "x", "model.layers.0.self_attn.rotary_emb.inv_freq", "F32", 1, (int[]){ 4 });
    made_text("odd/config.json", llava_config);
    made_safetensors(&m, "odd/model.safetensors");
    copy_tokenizer("odd");
    CHECK_INT(checkpoint_open(&c, "odd", &o, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "odd: 4 tensors of the model do not fit: lm_head.weight is [24,32], expected "
              "[32,24], model.layers.0.self_attn.q_proj.weight is of dtype I64, expected F16, "
              "BF16 or F32, model.norm.weight is missing, model.layers.0.self_attn.q_proj.bias is "
              "not part of such a model");

    /* Many: alike ones of all layers together. */
    made_close(&m);
    made_open(&m);
    add_parts(&m, IN_LLAVA, TOWER | CONNECTOR);
    made_safetensors(&m, "odd/model.safetensors");
    err_clear(&e);
    CHECK_INT(checkpoint_open(&c, "odd", &o, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "odd: 21 tensors of the model do not fit: lm_head.weight is missing, "
              "model.embed_tokens.weight is missing, "
              "model.layers.N.input_layernorm.weight is missing (N = 0-1), "
              "model.layers.N.mlp.down_proj.weight is missing (N = 0-1), "
              "model.layers.N.mlp.gate_proj.weight is missing (N = 0-1), "
              "model.layers.N.mlp.up_proj.weight is missing (N = 0-1), "
              "model.layers.N.post_attention_layernorm.weight is missing (N = 0-1), "
              "model.layers.N.self_attn.k_proj.weight is missing (N = 0-1), "
              "model.layers.N.self_attn.o_proj.weight is missing (N = 0-1), "
              "model.layers.N.self_attn.q_proj.weight is missing (N = 0-1), "
              "model.layers.N.self_attn.v_proj.weight is missing (N = 0-1), "
              "model.norm.weight is missing");
    char *text = NULL;
    err_clear(&e);
    CHECK_INT(checkpoint_describe("odd", &o, true, &text, &e), ERR_CHECKPOINT);
    struct arena a = { 0 };
    struct err bad = { 0 };
    const struct json *j = text ? json_parse(&a, "inspect", text, strlen(text), &bad) : NULL;
    CHECK_OK(bad.code, bad);
    CHECK(j && !json_get_bool(j, "runs", true));
    CHECK_STR(json_get_str(j, "problem", ""), e.text);
    CHECK_INT(j ? json_get(j, "problems")->n : 0, 21);
    arena_free(&a);
    free(text);
    made_close(&m);
}

/* Thousands of foreign names: some are named, the rest are counted. */
TEST(problems_have_a_limit)
{
    struct str lines, text;
    str_init(&lines, 1 << 20);
    str_init(&text, 1 << 20);
    for (int i = 0; i < 3000; i++)
        str_addf(&lines, "model.x%d.weight is not part of such a model\n", i);
    str_add(&lines, "model.layers.7.x is missing\nmodel.layers.9.x is missing\n"
                    "model.layers.8.x is missing\nmodel.layers.5000.x is missing\n");
    CHECK(problems_text(&text, lines.at, 100));
    CHECK_STR(text.at, "model.x0.weight is not part of such a model, model.x1.weight is not part of "
              "such a model and 3002 more");
    str_clear(&text);
    CHECK(problems_text(&text, strstr(lines.at, "model.layers.7"), 1000));
    CHECK_STR(text.at, "model.layers.N.x is missing (N = 7-9), model.layers.5000.x is missing");
    str_free(&lines);
    str_free(&text);
}

/* One change of a good config.json each; what the refusal must name. */
TEST(checkpoint_config_refusals)
{
    static const struct { const char *from, *to, *part; } cases[] = {
        { "\"llava\"", "\"llava_mpt\"", "llava_mpt" },
        { "\"llava\"", "\"llava_mistral\"", "mistral" },
        { "LlavaLlamaForCausalLM", "LlavaQwenForCausalLM", "LlavaQwen" },
        { "mlp2x_gelu", "cabstractor", "cabstractor" },
        { "mlp2x_gelu", "mlp2x_relu", "mlp2x_relu" },
        { "mlp2x_gelu", "mlp9x_gelu", "mlp9x_gelu" }, { "mlp2x_gelu", "mlp3x_gelu", "mlp3x_gelu" },
        { "\"pad\"", "\"anyres\"", "1.6" }, { "\"pad\"", "\"anyres_max_9\"", "anyres_max_9" },
        { "{", "{\"s2\": true, ", "s2" },
        { "{", "{\"quantization_config\": {\"quant_method\": \"bitsandbytes\"}, ", "bitsandbytes" },
        { "{", "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, ", "rope_scaling" },
        { "{", "{\"mm_vision_tower\": \"google/siglip-so400m\", ", "siglip" },
        { "{", "{\"mm_vision_tower\": \"EVA02-CLIP-L\", ", "EVA02" },
        { "{", "{\"mm_vision_select_layer\": -9, ", "mm_vision_select_layer" },
        { "{", "{\"mm_vision_select_feature\": \"pooled\", ", "pooled" },
        { "{", "{\"hidden_act\": \"gelu\", ", "hidden_act" },
        { "{", "{\"attention_bias\": true, ", "attention_bias" },
        { "{", "{\"head_dim\": 16, ", "heads" },
        { "\"hidden_size\": 24", "\"hidden_size\": 25", "25" },
        { "\"hidden_size\": 24", "\"hidden_size\": -24", "hidden_size" },
        { "\"hidden_size\": 24", "\"hidden_size\": 1e99", "hidden_size" },
        { "\"hidden_size\": 24", "\"hidden_size\": \"24\"", "hidden_size" },
        { "\"hidden_size\": 24, ", "", "hidden_size" },
        { "\"mm_hidden_size\": 16", "\"mm_hidden_size\": 1024", "1024" },
        { "\"image_size\": 28", "\"image_size\": 29", "29" },
        { "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "layers.1" },
        { "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "layers.2" },
        { "\"rms_norm_eps\": 1e-5", "\"rms_norm_eps\": 0", "rms_norm_eps" },
        { "{", "[", "config.json" }, { "{", "", "config.json" },
    };
    struct llava_options o = { 0 };
    struct checkpoint *c = NULL;
    write_folder("x", llava_config, IN_LLAVA, ALL, "model.safetensors");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str s;
        struct err e = { 0 };
        const char *at = strstr(llava_config, cases[i].from);
        str_init(&s, 1 << 16);
        str_addn(&s, llava_config, (size_t)(at - llava_config));
        str_add(&s, cases[i].to);
        str_add(&s, at + strlen(cases[i].from));
        made_text("x/config.json", s.at);
        CHECK_INT(checkpoint_open(&c, "x", &o, &e), ERR_CHECKPOINT);
        if (!CHECK(c == NULL && strstr(e.text, cases[i].part)))
            printf("  case %zu: %s\n", i, e.text);
        str_free(&s);
    }
}

TEST(checkpoint_refuses_files_of_other_kinds)
{
    static const struct { const char *path, *text, *part; } cases[] = {
        { "x/model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
          "git lfs" },
        { "x/model.safetensors", "<!DOCTYPE html><html>", "web page" },
        { "x/model.safetensors", "\n<html lang=en>", "web page" },
        { "x/model.safetensors", "GGUF....", "GGUF" },
        { "x/model.safetensors", "", "empty" },
        { "x/config.json", "version https://git-lfs.github.com/spec/v1\n", "git lfs" },
    };
    struct llava_options o = { 0 };
    struct checkpoint *c = NULL;
    struct err e = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_folder("x", llava_config, IN_LLAVA, ALL, "model.safetensors");
        made_text(cases[i].path, cases[i].text);
        err_clear(&e);
        CHECK_INT(checkpoint_open(&c, "x", &o, &e), ERR_CHECKPOINT);
        if (!CHECK(strstr(e.text, cases[i].part)))
            printf("  %s\n", e.text);
    }
    err_clear(&e);
    CHECK_INT(checkpoint_open(&c, "absent", &o, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "absent: no such folder");
    made_text("gguf/model.gguf", "GGUF");
    err_clear(&e);
    CHECK_INT(checkpoint_open(&c, "gguf", &o, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "GGUF"));
    err_clear(&e);
    CHECK_INT(checkpoint_open(&c, "gguf/model.gguf", &o, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "GGUF"));
    write_folder("LLaVA-7b-delta-v0", llava_config, IN_LLAVA, ALL, "model.safetensors");
    err_clear(&e);
    CHECK_INT(checkpoint_open(&c, "LLaVA-7b-delta-v0", &o, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "delta"));
}

TEST(checkpoint_index_names_files_beside_it)
{
    static const struct { const char *index, *part; } cases[] = {
        { "{\"weight_map\": {\"a\": \"absent.safetensors\"}}", "absent.safetensors" },
        { "{\"weight_map\": {\"a\": \"../x/model.safetensors\"}}", "../x/model.safetensors" },
        { "{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "/etc/passwd" },
        { "{\"weight_map\": {\"a\": \"..\"}}", ".." }, { "{\"weight_map\": {\"a\": 1}}", "\"a\"" },
        { "{\"weight_map\": []}", "weight_map" }, { "{}", "weight_map" }, { "", "byte" },
    };
    struct llava_options o = { 0 };
    struct checkpoint *c = NULL;
    write_folder("x", llava_config, IN_LLAVA, ALL, "other.safetensors");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = { 0 };
        made_text("x/model.safetensors.index.json", cases[i].index);
        CHECK_INT(checkpoint_open(&c, "x", &o, &e), ERR_CHECKPOINT);
        if (!CHECK(strstr(e.text, cases[i].part)))
            printf("  case %zu: %s\n", i, e.text);
    }
}

TEST(checkpoint_of_random_weights)
{
    struct llava_options o = { .random_weights = true };
    struct checkpoint *c = NULL, *d = NULL;
    struct err e = { 0 };
    char hash[65], other[65];
    made_text("x/config.json", llava_config);
    if (!CHECK_OK(checkpoint_open(&c, "x", &o, &e), e) ||
        !CHECK_OK(checkpoint_open(&d, "x/config.json", &o, &e), e))
        return;
    CHECK(checkpoint_tokenizer(c) == NULL);
    checkpoint_hash(c, hash, &e);
    checkpoint_hash(d, other, &e);
    CHECK_STR(hash, other);
    struct view ones = checkpoint_view(c, "model.norm.weight"),
                w = checkpoint_view(c, "model.layers.1.mlp.down_proj.weight"),
                same = checkpoint_view(d, "model.layers.1.mlp.down_proj.weight"),
                next = checkpoint_view(c, "model.layers.0.mlp.down_proj.weight");
    const uint16_t *one = ones.data, *bits = w.data;
    size_t n = (size_t)w.rows * (size_t)w.cols;
    double squares = 0;
    for (int i = 0; i < ones.cols; i++)
        CHECK_INT(one[i], 0x3f80);
    for (size_t i = 0; i < n; i++) {
        uint32_t wide = (uint32_t)bits[i] << 16;
        float x;
        memcpy(&x, &wide, sizeof x);
        squares += (double)x * x;
    }
    CHECK_NEAR(squares / (double)n * w.cols, 1, 0.2);       /* spread 1/sqrt(K): 960 samples */
    CHECK(!memcmp(w.data, same.data, n * 2) && memcmp(w.data, next.data, n * 2));
    checkpoint_close(c);
    checkpoint_close(d);
}

TEST(checkpoints_of_the_demo)
{
    static const struct { const char *path, *connector; } both[] = {
        { "demo/checkpoints/tiny-linear", "linear" }, { "demo/checkpoints/tiny-mlp", "mlp2x_gelu" },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < COUNT(both); i++) {
        struct llava_options o = { 0 };
        struct checkpoint *c = NULL;
        struct err e = { 0 };
        if (!CHECK_OK(checkpoint_open(&c, path_join(&a, test_root(), both[i].path), &o, &e), e))
            continue;
        CHECK_STR(checkpoint_config(c)->connector, both[i].connector);
        CHECK(checkpoint_parameters(c) > 2000000);
        CHECK_INT(checkpoint_config(c)->tower.side, 84);
        checkpoint_close(c);
    }
    arena_free(&a);
}
