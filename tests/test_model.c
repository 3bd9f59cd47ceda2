/* The model's arithmetic, end to end.
 *
 * 1. A model so small that its numbers fit on a page. Weights are a hash of the tensor's name and
 *    index; the expected figures were computed in double by an implementation that was written from
 *    the papers and transformers' source alone. It catches wrong halves in the rotary embedding,
 *    the tanh form of GELU, transposes, the wrong layer, the wrong order of patches.
 * 2. tests/golden: what transformers computes with the checkpoints of demo/ (logits.py records it).
 * 3. A reply is the same, to the bit of its logits, in any batch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "engine/private.h"
#include "tests/check.h"
#if defined(CUDA_HOST)
#include "tests/cuda_host/cuda_host.h"
#endif

/* ---- 1. the tiny model ---------------------------------------------------------------------- */

enum { SIDE = 28, TOWER_D = 16, D = 24, V = 32, N_IMAGE = 4, ROWS = 64, COLUMNS = 256 };

static float weight(const char *name, uint64_t i)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    uint64_t z = h + i + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    float x = (float)(((double)(z >> 40) - 0x1p23) * 0x1p-25);
    const char *last = strrchr(name, '.');
    bool norm = strstr(name, "norm") && last && !strcmp(last, ".weight");
    return norm ? 1 + x : x;
}

struct writer { struct str header, data; };

static void add(struct writer *w, const char *file_prefix, const char *name, const char *shape,
                size_t n)
{
    size_t at = w->data.n;
    for (size_t i = 0; i < n; i++) {
        float x = weight(name, i);
        str_addn(&w->data, (const char *)&x, sizeof x);
    }
    str_addf(&w->header, "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
             w->header.n ? "," : "{", file_prefix, name, shape, at, w->data.n);
}

static void add_tower(struct writer *w)
{
    static const char in[] = "model.vision_tower.vision_tower.", v[] = "vision_model.";
    static const struct { const char *name, *shape; size_t n; } block[] = {
        { "layer_norm1.weight", "16", 16 },          { "layer_norm1.bias", "16", 16 },
        { "layer_norm2.weight", "16", 16 },          { "layer_norm2.bias", "16", 16 },
        { "self_attn.q_proj.weight", "16,16", 256 }, { "self_attn.q_proj.bias", "16", 16 },
        { "self_attn.k_proj.weight", "16,16", 256 }, { "self_attn.k_proj.bias", "16", 16 },
        { "self_attn.v_proj.weight", "16,16", 256 }, { "self_attn.v_proj.bias", "16", 16 },
        { "self_attn.out_proj.weight", "16,16", 256 }, { "self_attn.out_proj.bias", "16", 16 },
        { "mlp.fc1.weight", "32,16", 512 },          { "mlp.fc1.bias", "32", 32 },
        { "mlp.fc2.weight", "16,32", 512 },          { "mlp.fc2.bias", "16", 16 },
    };
    char name[128];
    add(w, in, "vision_model.embeddings.class_embedding", "16", 16);
    add(w, in, "vision_model.embeddings.patch_embedding.weight", "16,3,14,14", 16 * 588);
    add(w, in, "vision_model.embeddings.position_embedding.weight", "5,16", 5 * 16);
    add(w, in, "vision_model.pre_layrnorm.weight", "16", 16);
    add(w, in, "vision_model.pre_layrnorm.bias", "16", 16);
    for (int layer = 0; layer < 3; layer++)
        for (size_t i = 0; i < COUNT(block); i++) {
            snprintf(name, sizeof name, "%sencoder.layers.%d.%s", v, layer, block[i].name);
            add(w, in, name, block[i].shape, block[i].n);
        }
}

static void add_language(struct writer *w)
{
    static const struct { const char *name, *shape; size_t n; } block[] = {
        { "input_layernorm.weight", "24", 24 }, { "post_attention_layernorm.weight", "24", 24 },
        { "self_attn.q_proj.weight", "24,24", 576 }, { "self_attn.k_proj.weight", "24,24", 576 },
        { "self_attn.v_proj.weight", "24,24", 576 }, { "self_attn.o_proj.weight", "24,24", 576 },
        { "mlp.gate_proj.weight", "40,24", 960 }, { "mlp.up_proj.weight", "40,24", 960 },
        { "mlp.down_proj.weight", "24,40", 960 },
    };
    char name[128];
    add(w, "", "model.embed_tokens.weight", "32,24", V * D);
    for (int layer = 0; layer < 2; layer++)
        for (size_t i = 0; i < COUNT(block); i++) {
            snprintf(name, sizeof name, "model.layers.%d.%s", layer, block[i].name);
            add(w, "", name, block[i].shape, block[i].n);
        }
    add(w, "", "model.norm.weight", "24", D);
    add(w, "", "lm_head.weight", "32,24", V * D);
}

/* Not used, but a checkpoint has one. */
static void copy_tokenizer(void)
{
    char path[4096];
    struct file f = { 0 };
    struct err e = { 0 };
    snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp/tokenizer.model", test_root());
    CHECK_OK(file_open(&f, path, ERR_CHECKPOINT, &e), e);
    CHECK_OK(file_write("tiny/tokenizer.model", f.at, f.n, &e), e);
    file_close(&f);
}

/* Writes the checkpoint into ./tiny. */
static void write_tiny(bool mlp)
{
    static const char config[] =
        "{\"model_type\":\"llava\",\"architectures\":[\"LlavaLlamaForCausalLM\"],"
        "\"hidden_size\":24,\"intermediate_size\":40,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":3,\"vocab_size\":32,\"max_position_embeddings\":128,"
        "\"rms_norm_eps\":1e-5,\"mm_hidden_size\":16,\"mm_vision_tower\":\"tiny\","
        "\"unfreeze_mm_vision_tower\":true,\"mm_vision_select_layer\":-2,"
        "\"mm_use_im_patch_token\":false,\"mm_projector_type\":\"%s\",\"vision_config\":"
        "{\"hidden_size\":16,\"intermediate_size\":32,\"num_hidden_layers\":3,"
        "\"num_attention_heads\":2,\"image_size\":28,\"patch_size\":14,\"layer_norm_eps\":1e-5,"
        "\"hidden_act\":\"quick_gelu\"}}";
    struct writer w;
    struct str file;
    struct err e = { 0 };

    str_init(&w.header, 1 << 20);
    str_init(&w.data, 1 << 20);
    str_init(&file, 1 << 21);
    add_tower(&w);
    add_language(&w);
    if (mlp) {
        add(&w, "", "model.mm_projector.0.weight", "24,16", D * TOWER_D);
        add(&w, "", "model.mm_projector.0.bias", "24", D);
        add(&w, "", "model.mm_projector.2.weight", "24,24", D * D);
        add(&w, "", "model.mm_projector.2.bias", "24", D);
    } else {
        add(&w, "", "model.mm_projector.weight", "24,16", D * TOWER_D);
        add(&w, "", "model.mm_projector.bias", "24", D);
    }
    str_addc(&w.header, '}');
    uint64_t n = w.header.n;
    str_addn(&file, (const char *)&n, sizeof n);
    str_addn(&file, w.header.at, w.header.n);
    str_addn(&file, w.data.at, w.data.n);
    CHECK_OK(file_mkdirs("tiny", &e), e);
    CHECK_OK(file_write("tiny/model.safetensors", file.at, file.n, &e), e);
    str_clear(&file);
    str_addf(&file, config, mlp ? "mlp2x_gelu" : "linear");
    CHECK_OK(file_write("tiny/config.json", file.at, file.n, &e), e);
    copy_tokenizer();
    CHECK(!w.header.failed && !w.data.failed && !file.failed);
    str_free(&w.header);
    str_free(&w.data);
    str_free(&file);
}

struct tiny {
    struct checkpoint *checkpoint;
    struct device device;
    struct vision *vision;
    struct connector *connector;
    struct language *language;
    struct tensor pictures;     /* F32 [4, D] */
};

static bool open_tiny(struct tiny *t, const char *backend, bool mlp)
{
    struct err e = { 0 };
    struct backend *b = NULL;
    *t = (struct tiny){ 0 };
    write_tiny(mlp);
    if (backend && !strcmp(backend, "plain"))
        backend_plain_open(&b, &e);
    else if (backend && !strcmp(backend, "cuda"))
        backend_cuda_open(&b, F32, 0, &e);
    else
        backend_cpu_open(&b, F32, backend, &e);
    if (e.code == ERR_DEVICE)
        return false;                                       /* not on this machine */
    if (!check_ok(e.code, &e, "the backend opens", __FILE__, __LINE__))
        return false;
    device_open(&t->device, b, F32, NULL, false);
    struct loader l = { .device = &t->device, .e = &e };
    if (checkpoint_open(&t->checkpoint, "tiny", &(struct llava_options){ 0 }, &e) == OK) {
        const struct model_config *c = checkpoint_config(t->checkpoint);
        l.checkpoint = t->checkpoint;
        (void)(vision_open(&t->vision, &l, &c->tower, 2) ||
               connector_open(&t->connector, &l, c, 2) ||
               language_open(&t->language, &l, &c->language, ROWS, 4, COLUMNS) ||
               device_alloc(&t->device, &t->pictures, F32, N_IMAGE, D, &e));
    }
    return check_ok(e.code, &e, "the tiny model opens", __FILE__, __LINE__);
}

static void close_tiny(struct tiny *t)
{
    vision_close(t->vision);
    connector_close(t->connector);
    language_close(t->language);
    device_free(&t->device, &t->pictures);
    checkpoint_close(t->checkpoint);
    if (t->device.ops)
        t->device.ops->close(t->device.backend);
}

static void get(struct tiny *t, float *out, const struct tensor *x)
{
    struct err e = { 0 };
    CHECK_OK(t->device.ops->read(t->device.backend, out, x, &e), e);
    CHECK_OK(t->device.ops->sync(t->device.backend, &e), e);
}

static void check_row(const float *got, const double *want, int n)
{
    for (int i = 0; i < n; i++)
        CHECK_NEAR(got[i], want[i], 1e-4);
}

static double sum(const float *x, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += x[i];
    return s;
}

/* Pixels that are no bytes, in patches: columns in (channel, y, x) order. Runs tower and connector,
 * of two equal pictures at once; keeps the second. */
static void see(struct tiny *t, const double *first, const double *last, double total)
{
    static float patches[2 * N_IMAGE][588];
    float tower[2 * (1 + N_IMAGE)][TOWER_D];
    struct tensor rows, both, to = vision_patch_rows(t->vision, 2);
    struct err e = { 0 };
    for (int p = 0; p < 2 * N_IMAGE; p++)
        for (int i = 0; i < 588; i++) {
            int c = i / 196, y = p % 4 / 2 * 14 + i % 196 / 14, x = p % 2 * 14 + i % 14;
            patches[p][i] = (float)(((c * SIDE + y) * SIDE + x) * 37 % 256) / 128.0f - 1;
        }
    CHECK_OK(t->device.ops->write(t->device.backend, &to, patches, &e), e);
    CHECK_OK(vision_run(t->vision, 2, &rows, &e), e);
    CHECK_INT(rows.rows, 2 * (1 + N_IMAGE));
    get(t, tower[0], &rows);
    check_row(tower[1 + N_IMAGE + 1], first, 8);
    check_row(tower[1 + N_IMAGE + 4], last, 8);
    CHECK_NEAR(sum(tower[1 + N_IMAGE + 1], N_IMAGE * TOWER_D), total, 1e-4);
    CHECK(memcmp(tower[0], tower[1 + N_IMAGE], sizeof tower / 2) == 0);

    CHECK_OK(device_alloc(&t->device, &both, F32, 2 * N_IMAGE, D, &e), e);
    CHECK_OK(connector_run(t->connector, &both, &rows, 2, &e), e);
    float values[2 * N_IMAGE][D];
    get(t, values[0], &both);
    CHECK_OK(t->device.ops->write(t->device.backend, &t->pictures, values[N_IMAGE], &e), e);
    device_free(&t->device, &both);
}

/* Positions first .. first + n of ids as rows of one sequence; the logits of the last. */
static void feed(struct tiny *t, const int32_t *ids, int first, int n, float *logits)
{
    struct kv_row at[ROWS];
    int32_t last = n - 1;
    struct tensor out;
    struct err e = { 0 };
    for (int i = 0; i < n; i++)
        at[i] = (struct kv_row){ .base = 64, .lo = 64, .col = 64 + first + i,
                                 .position = first + i };
    struct rows rows = { .n = n, .n_last = 1, .id = ids + first, .at = at, .last = &last };
    CHECK_OK(language_step(t->language, &rows, &t->pictures, &out, &e), e);
    get(t, logits, &out);
}

static int argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* The prompt in one step, or its first rows in one and the rest in another; then 6 tokens. */
static void reply(struct tiny *t, const int32_t *prompt, int n, const double *want, int n_want,
                  const int *tokens)
{
    for (int split = 0; split < n; split += n - 3) {
        int32_t ids[ROWS];
        float logits[V];
        memcpy(ids, prompt, (size_t)n * sizeof *ids);
        if (split)
            feed(t, ids, 0, split, logits);
        feed(t, ids, split, n - split, logits);
        check_row(logits, want, n_want);
        for (int i = 0; tokens && i < 6; i++) {
            ids[n + i] = argmax(logits, V);
            CHECK_INT(ids[n + i], tokens[i]);
            feed(t, ids, n + i, 1, logits);
        }
    }
}

static const int32_t image_ids[] = { 1, 5, 9, -1, -2, -3, -4, 7, 3, 11 };
static const int32_t text_ids[] = { 1, 5, 9, 7, 3, 11 };
static const double tower_first[] = { 0.343045, 1.165756, -0.362837, -0.679847, -0.651152, 1.275798,
                                      2.839448, 1.571662 };
static const double tower_last[] = { 1.020262, -0.488961, 0.392316, 1.947062, 1.347473, 0.945520,
                                     -0.281333, 0.050435 };
static const double text_logits[] = { -0.736863, -2.069132, 1.197510, -1.228533, -0.382269,
                                      -1.050443, 0.337827, 0.204455 };

static void check_connector(struct tiny *t, const double *first, double total)
{
    float rows[N_IMAGE][D];
    get(t, rows[0], &t->pictures);
    check_row(rows[0], first, 4);
    CHECK_NEAR(sum(rows[0], N_IMAGE * D), total, 1e-4);
}

static void linear_on(const char *backend)
{
    static const double connector[] = { -1.117459, -1.021772, -1.431448, 0.288149 };
    static const double logits[V] = {
        0.191111, -1.605416, 0.032446, -0.608952, -0.670172, -0.687130, 0.613101, -0.696228,
        1.294129, -0.284754, 1.128491, 0.441853, -0.324566, -1.221566, -0.214768, 1.007693,
        0.025951, 0.243706, -0.791351, 0.271655, -0.132789, -0.178797, 0.162665, -0.202310,
        -0.104757, -0.922257, -1.813388, 1.230880, -1.145818, -0.854920, 0.130511, 1.328750 };
    static const int tokens[] = { 31, 8, 31, 8, 31, 8 };
    struct tiny t;
    if (open_tiny(&t, backend, false)) {
        see(&t, tower_first, tower_last, 22.151553);
        check_connector(&t, connector, -9.052676);
        reply(&t, image_ids, COUNT(image_ids), logits, V, tokens);
        reply(&t, text_ids, COUNT(text_ids), text_logits, COUNT(text_logits), NULL);
    }
    close_tiny(&t);
}

static void mlp_on(const char *backend)
{
    static const double connector[] = { -0.123642, 0.540972, -0.232015, -0.249058 };
    static const double logits[V] = {
        -0.632288, 0.188356, -0.043566, -0.526167, -0.095983, -0.140377, -0.092081, 0.872982,
        -0.304706, 0.141961, -0.576959, -1.126935, 0.596093, 0.187588, 0.089778, -0.357945,
        0.547261, -0.467269, 0.524171, -0.698047, -0.664443, 0.622924, 1.265891, 1.081725,
        0.553496, -0.424984, 0.661901, -1.276051, -0.046192, 0.731462, -0.088728, 0.037662 };
    static const int tokens[] = { 22, 3, 2, 17, 23, 8 };    /* EOS, 2, is passed over here */
    struct tiny t;
    if (open_tiny(&t, backend, true)) {
        see(&t, tower_first, tower_last, 22.151553);
        check_connector(&t, connector, 0.405277);
        reply(&t, image_ids, COUNT(image_ids), logits, V, tokens);
    }
    close_tiny(&t);
}

TEST(cpu_model_weights_are_the_stated_hash)
{
    CHECK_NEAR(weight("model.embed_tokens.weight", 0), -0.064355, 1e-6);
    CHECK_NEAR(weight("model.embed_tokens.weight", 3), -0.244933, 1e-6);
    CHECK_NEAR(weight("model.norm.weight", 1), 0.910651, 1e-6);
}

TEST(cpu_model_linear_plain)    { linear_on("plain"); }
TEST(cpu_model_mlp_plain)       { mlp_on("plain"); }
TEST(cpu_model_linear_portable) { linear_on("portable"); }
TEST(cpu_model_mlp_portable)    { mlp_on("portable"); }
TEST(cpu_model_mlp_avx2)        { mlp_on("avx2"); }
TEST(cpu_model_mlp_avx512)      { mlp_on("avx512"); }
TEST(cpu_model_linear_best)     { linear_on(NULL); }
TEST(cpu_model_mlp_best)        { mlp_on(NULL); }

/* LLaVA-1.5 7B: 0.366 TFLOP a picture, 12.95 GFLOP a row. */
TEST(cpu_model_counts_its_flops)
{
    struct model_config c = {
        .tower = { .hidden = 1024, .heads = 16, .ffn = 4096, .layers = 24, .run_layers = 23,
                   .side = 336, .patch = 14, .patches = 576 },
        .language = { .hidden = 4096, .layers = 32, .heads = 32, .kv_heads = 32, .head_size = 128,
                      .ffn = 11008, .vocabulary = 32000 },
        .connector_depth = 2,
    };
    CHECK_NEAR(vision_flops(&c.tower), 0.366e12, 0.0005e12);
    CHECK_NEAR(connector_flops(&c), 0.024e12, 0.0005e12);
    CHECK_NEAR(language_row_flops(&c.language), 12.95e9, 0.005e9);
    CHECK_NEAR(language_key_flops(&c.language), 0.524e6, 0.0005e6);
    CHECK_NEAR(language_logit_flops(&c.language), 0.262e9, 0.0005e9);
    c.connector_depth = 1;
    CHECK_NEAR(connector_flops(&c), 0.0048e12, 0.0001e12);
}

/* ---- 2. what transformers computes ---------------------------------------------------------- */

struct asking {                 /* one case of tests/golden, and what came of it */
    const char *prompt;
    int32_t *ids, *want_reply;
    size_t n_ids, n_want;
    int max_new_tokens, image;  /* image -1: a text alone */
    float *logits;              /* [vocabulary] */
    int32_t reply[64];
    size_t n_reply;
    enum llava_finish finish;
    int answered;
};
struct golden {
    struct arena arena;
    struct llava *model;
    struct llava_pixels pixels[8];
    const char *image[8];
    int n_images;
    struct asking *at;
    int n;
    const char *checkpoint;
};

static int32_t *integers(struct arena *a, const struct json *array, size_t *n)
{
    int32_t *out = arena_array(a, array ? array->n : 0, sizeof *out);
    *n = 0;
    for (const struct json *j = array ? array->first : NULL; j; j = j->next)
        out[(*n)++] = (int32_t)j->integer;
    return out;
}

static int image_of(struct golden *g, const char *name)
{
    struct err e = { 0 };
    struct file f = { 0 };
    for (int i = 0; i < g->n_images; i++)
        if (!strcmp(g->image[i], name))
            return i;
    const char *path = arena_fmt(&g->arena, "%s/tests/golden/%s", test_root(), name);
    CHECK_OK(file_open(&f, path, ERR_DATA, &e), e);
    struct llava_pixels *p = &g->pixels[g->n_images];
    CHECK_OK(llava_preprocess(g->model, LLAVA_AS_CONFIG, f.at, f.n, p, &e), e);
    file_close(&f);
    g->image[g->n_images] = name;
    return g->n_images++;
}

static void golden_close(struct golden *g)
{
    for (int i = 0; i < g->n_images; i++)
        llava_pixels_free(&g->pixels[i]);
    for (int i = 0; i < g->n; i++)
        free(g->at[i].logits);
    llava_close(g->model);
    arena_free(&g->arena);
}

static bool reopen(struct golden *g, const struct llava_options *o)
{
    struct err e = { 0 };
    llava_close(g->model);
    return CHECK_OK(llava_open(&g->model, g->checkpoint, o, &e), e);
}

/* Reads tests/golden/NAME.json and opens its checkpoint. */
static bool golden_open(struct golden *g, const char *name, const struct llava_options *o)
{
    struct err e = { 0 };
    struct file f = { 0 };
    unsigned char sha[SHA256_SIZE];
    char hex[SHA256_HEX] = "";
    *g = (struct golden){ 0 };
    const char *path = arena_fmt(&g->arena, "%s/tests/golden/%s.json", test_root(), name);
    CHECK_OK(file_open(&f, path, ERR_DATA, &e), e);
    const struct json *j = json_parse(&g->arena, path, f.at, f.n, &e);
    g->checkpoint = arena_fmt(&g->arena, "%s/%s", test_root(), json_get_str(j, "checkpoint", ""));
    if (sha256_file(arena_fmt(&g->arena, "%s/model.safetensors", g->checkpoint), sha, &e) == OK)
        sha256_hex(sha, hex);
    if (!CHECK_STR(hex, json_get_str(j, "model.safetensors", ""))) {
        printf("%s is of other weights: run tests/golden/logits.py again\n", path);
    } else if (reopen(g, o)) {
        const struct json *cases = json_get(j, "cases");
        g->at = arena_array(&g->arena, cases->n, sizeof *g->at);
        for (const struct json *c = cases->first; c; c = c->next) {
            struct asking *a = &g->at[g->n++];
            const char *image = json_get_str(c, "image", NULL);
            a->prompt = json_get_str(c, "prompt", "");
            a->ids = integers(&g->arena, json_get(c, "ids"), &a->n_ids);
            a->want_reply = integers(&g->arena, json_get(c, "reply"), &a->n_want);
            a->max_new_tokens = (int)json_get_int(c, "max_new_tokens", 0);
            a->image = image ? image_of(g, image) : -1;
            a->logits = calloc((size_t)llava_info(g->model)->vocabulary, sizeof *a->logits);
        }
    }
    file_close(&f);
    return g->n > 0;
}

static void answered(void *user, const struct llava_reply *r)
{
    struct asking *a = user;
    a->answered++;
    a->finish = r->finish;
    a->n_reply = r->n_ids < COUNT(a->reply) ? r->n_ids : COUNT(a->reply);
    memcpy(a->reply, r->ids, a->n_reply * sizeof *a->reply);
}

static void submit(struct llava *m, struct asking *a, const struct llava_pixels *pixels)
{
    struct err e = { 0 };
    struct llava_request r = {
        .ids = a->ids, .n_ids = a->n_ids, .image = a->image < 0 ? NULL : &pixels[a->image],
        .max_new_tokens = a->max_new_tokens, .n_beams = 1, .logits = a->logits,
        .done = answered, .user = a,
    };
    CHECK_OK(llava_submit(m, &r, &e), e);
}

static void finish(struct llava *m)
{
    struct err e = { 0 };
    size_t open = 1;
    while (open && CHECK_OK(llava_step(m, &open, &e), e))
        ;
}

/* How far the logits are from the recorded ones, as a share of the largest of a prompt; the worst. The
 * recorded: the data of NAME.npy, behind a header whose length stands at byte 8. */
static double logits_off(struct golden *g, const char *name)
{
    double worst = 0;
    struct err e = { 0 };
    struct file f = { 0 };
    size_t V_ = (size_t)llava_info(g->model)->vocabulary;
    const char *path = arena_fmt(&g->arena, "%s/tests/golden/%s.npy", test_root(), name);
    CHECK_OK(file_open(&f, path, ERR_DATA, &e), e);
    size_t head = f.n > 10 ? 10 + (unsigned char)f.at[8] + 256u * (unsigned char)f.at[9] : 0;
    if (CHECK_INT(f.n, head + (size_t)g->n * V_ * sizeof(float)))
        for (int i = 0; i < g->n; i++) {
            double most = 0, off = 0;
            for (size_t v = 0; v < V_; v++) {
                float want;
                memcpy(&want, f.at + head + ((size_t)i * V_ + v) * sizeof want, sizeof want);
                most = fmax(most, fabs((double)want));
                off = fmax(off, fabs((double)g->at[i].logits[v] - (double)want));
            }
            worst = off <= worst * most ? worst : off / most;       /* NaN stays */
        }
    file_close(&f);
    return worst;
}

static void ask_recorded(struct golden *g)
{
    for (int i = 0; i < g->n; i++) {
        struct err e = { 0 };
        int32_t *ids = NULL;
        size_t n = 0;
        CHECK_OK(llava_tokenize(g->model, g->at[i].prompt, &ids, &n, &e), e);
        CHECK(n == g->at[i].n_ids && !memcmp(ids, g->at[i].ids, n * sizeof *ids));
        free(ids);
        submit(g->model, &g->at[i], g->pixels);
    }
    finish(g->model);
}

/* within: of the logits, as a share of the largest. The replies must be the recorded ones. */
static void replay(const char *name, const char *device, const char *dtype, double within)
{
    struct golden g;
    if (golden_open(&g, name, &(struct llava_options){ .device = device, .dtype = dtype })) {
        ask_recorded(&g);
        CHECK_NEAR(logits_off(&g, name), 0, within);
        for (int i = 0; i < g.n; i++) {
            const struct asking *a = &g.at[i];
            CHECK_INT(a->answered, 1);
            CHECK_INT(a->finish, (int)a->n_want < a->max_new_tokens ? LLAVA_STOP : LLAVA_LENGTH);
            CHECK_INT(a->n_reply, a->n_want);
            CHECK(!memcmp(a->reply, a->want_reply, a->n_want * sizeof *a->reply));
        }
    }
    golden_close(&g);
}

TEST(cpu_model_is_transformers_linear) { replay("tiny-linear", "cpu", "fp32", 1e-4); }
TEST(cpu_model_is_transformers_mlp)    { replay("tiny-mlp", "cpu", "fp32", 1e-4); }
TEST(cpu_model_is_transformers_bf16)   { replay("tiny-mlp", "cpu", "bf16", 6e-2); }

/* ---- 3. the same in any batch --------------------------------------------------------------- */

#if defined(CUDA_HOST)                                      /* an emulated GPU takes its time */
enum { IMAGES_EACH = 2 };
#else
enum { IMAGES_EACH = 8 };
#endif

/* Every question on every image, or so many of them, grouped by image; texts alone in between. */
static struct asking *all_pairs(const struct golden *g, int *n)
{
    struct asking *out = calloc((size_t)(g->n * (g->n_images + 1)), sizeof *out);
    size_t bytes = (size_t)llava_info(g->model)->vocabulary * sizeof(float);
    *n = 0;
    for (int image = -1; image < g->n_images; image++)
        for (int i = 0; i < g->n; i++)
            if (image < 0 ? g->at[i].image < 0
                          : g->at[i].image >= 0 && (image + i) % g->n_images < IMAGES_EACH) {
                struct asking *a = &out[(*n)++];
                *a = g->at[i];
                a->image = image;
                a->max_new_tokens = 3 + i;
                a->logits = calloc(1, bytes);
            }
    return out;
}

enum order { GROUPED, SHUFFLED, ALONE };

/* Asks everything again and compares with the first time, bit by bit. Returns the rows computed. */
static int ask_again(struct llava *m, const struct golden *g, const struct asking *first, int n,
                     enum order order)
{
    struct llava_stats st;
    size_t bytes = (size_t)llava_info(m)->vocabulary * sizeof(float);
    struct asking *again = calloc((size_t)n, sizeof *again);
    int different = 0;
    for (int i = 0; i < n; i++) {
        again[i] = first[i];
        again[i].answered = 0;
        again[i].logits = calloc(1, bytes);
    }
    for (int i = 0; i < n; i++) {
        submit(m, &again[order == SHUFFLED ? i * 17 % n : i], g->pixels);
        if (order == ALONE)
            finish(m);
    }
    finish(m);
    for (int i = 0; i < n; i++) {
        different += again[i].answered != 1 || again[i].n_reply != first[i].n_reply ||
                     memcmp(again[i].reply, first[i].reply, first[i].n_reply * sizeof(int32_t)) ||
                     memcmp(again[i].logits, first[i].logits, bytes);
        free(again[i].logits);
    }
    CHECK_INT(different, 0);
    free(again);
    llava_stats(m, &st);
    return (int)st.computed_tokens;
}

static void same_in_any_batch(const char *device, const char *dtype)
{
    static const struct { int rows, positions; enum order order; } way[] = {
#if defined(CUDA_HOST)
        { 7, 0, GROUPED }, { 100, 512, SHUFFLED },
#else
        { 1, 0, GROUPED }, { 7, 0, GROUPED }, { 100, 0, GROUPED }, { 100, 0, SHUFFLED },
        { 0, 0, SHUFFLED }, { 0, 0, ALONE }, { 8192, 0, GROUPED }, { 100, 512, GROUPED },
        { 33, 384, SHUFFLED },
#endif
    };
    struct golden g;
    int n = 0;
    if (golden_open(&g, "tiny-mlp", &(struct llava_options){ .device = device, .dtype = dtype })) {
        struct asking *first = all_pairs(&g, &n);
        CHECK(n % 17 != 0);                                 /* so that the shuffle meets everyone */
        for (int i = 0; i < n; i++)
            submit(g.model, &first[i], g.pixels);
        finish(g.model);
        for (size_t w = 0; w < COUNT(way); w++) {
            struct llava_options o = { .device = device, .dtype = dtype, .batch_tokens = way[w].rows,
                                       .cache_positions = way[w].positions };
            if (reopen(&g, &o))
                ask_again(g.model, &g, first, n, way[w].order);
        }
        for (int i = 0; i < n; i++)
            free(first[i].logits);
        free(first);
    }
    golden_close(&g);
}

/* The ids before an image are computed once and copied, but where the cache holds one request and
 * nothing else: there each prompt's are computed. */
static void copied_as_computed(const char *device, const char *dtype)
{
    struct golden g;
    int n = 0, which = 0, slot = 0;
    if (golden_open(&g, "tiny-mlp", &(struct llava_options){ .device = device, .dtype = dtype })) {
        struct asking *all = all_pairs(&g, &n);
        while (all[which].image < 0)
            which++;
        struct asking *one = &all[which], *each = calloc((size_t)g.n_images, sizeof *each);
        while (one->ids[slot] != LLAVA_IMAGE)
            slot++;
        for (int i = 0; i < g.n_images; i++) {              /* the same question on every image */
            each[i] = *one;
            each[i].image = i;
            each[i].logits = calloc((size_t)llava_info(g.model)->vocabulary, sizeof(float));
        }
        int prefix = slot + llava_info(g.model)->image_tokens;
        int rest = (int)one->n_ids - slot - 1 + one->max_new_tokens - 1;
        struct llava_options o = { .device = device, .dtype = dtype,
                                   .cache_positions = (prefix + 63) / 64 * 64 + (rest + 63) / 64 * 64 };
        int computed = 0, copied = 0;
        if (reopen(&g, &o)) {
            struct llava_stats st;
            for (int i = 0; i < g.n_images; i++)
                submit(g.model, &each[i], g.pixels);
            finish(g.model);
            llava_stats(g.model, &st);
            computed = (int)st.computed_tokens;
        }
        o.cache_positions = 0;
        if (reopen(&g, &o))
            copied = ask_again(g.model, &g, each, g.n_images, GROUPED);
        CHECK(slot > 10 && g.n_images > 2 && each[0].answered == 1);
        CHECK_INT(computed - copied, (g.n_images - 1) * slot);
        for (int i = 0; i < g.n_images; i++)
            free(each[i].logits);
        for (int i = 0; i < n; i++)
            free(all[i].logits);
        free(each);
        free(all);
    }
    golden_close(&g);
}

TEST(cpu_model_copies_as_it_computes_fp32) { copied_as_computed("cpu", "fp32"); }
TEST(cpu_model_copies_as_it_computes_bf16) { copied_as_computed("cpu", "bf16"); }

TEST(cpu_model_replies_the_same_in_any_batch_fp32) { same_in_any_batch("cpu", "fp32"); }
TEST(cpu_model_replies_the_same_in_any_batch_bf16) { same_in_any_batch("cpu", "bf16"); }

/* ---- 4. all of it on a GPU ------------------------------------------------------------------ */

static bool no_gpu(void)
{
    struct llava_gpu gpu;
    struct err why = { 0 };
    if (llava_gpus(&gpu, 1, &why))
        return false;
    check_skip(why.text);
    return true;
}

GPU_TEST(model_linear) { if (!no_gpu()) linear_on("cuda"); }
GPU_TEST(model_mlp)    { if (!no_gpu()) mlp_on("cuda"); }

/* In 16 bits the logits are off by what the roundings of nine layers add up to: in bf16 by 3.9 % of
 * the largest in the worst case on the CPU, 3.3 % on the GPU; in fp16, with three bits more, by an
 * eighth of that. The replies are the recorded ones even so. */
GPU_TEST(model_is_transformers_fp32) { if (!no_gpu()) replay("tiny-linear", "cuda", "fp32", 1e-4); }
GPU_TEST(model_is_transformers_mlp)  { if (!no_gpu()) replay("tiny-mlp", "cuda", "fp32", 1e-4); }
GPU_TEST(model_is_transformers_fp16) { if (!no_gpu()) replay("tiny-mlp", "cuda", "fp16", 8e-3); }
GPU_TEST(model_is_transformers_bf16) { if (!no_gpu()) replay("tiny-mlp", "cuda", "bf16", 6e-2); }

/* fp8 is off by what products off by 3.6 % (test_ops.c) add up to in nine layers. That it is off by so
 * much, and no less, says that it is fp8; replies may be others where two tokens are near. */
static void fp8_logits(const char *name)
{
    struct golden g;
    if (golden_open(&g, name, &(struct llava_options){ .device = "cuda", .dtype = "fp8" })) {
        ask_recorded(&g);
        double off = logits_off(&g, name);
        CHECK(off > 0.01);
        CHECK_NEAR(off, 0, 0.2);
    }
    golden_close(&g);
}

/* No GPU that has fp8? Those of compute capability 9.0 and newer do. */
static bool no_fp8(void)
{
    struct llava_gpu gpu;
    if (no_gpu())
        return true;
    if (llava_gpus(&gpu, 1, &(struct err){ 0 }) && gpu.major >= 9)
        return false;
    check_skip("fp8 needs a GPU of compute capability 9.0 or newer");
    return true;
}

GPU_TEST(model_in_fp8_is_near_linear) { if (!no_fp8()) fp8_logits("tiny-linear"); }
#if defined(CUDA_HOST)                                      /* where cuBLASLt takes no scales of rows */
GPU_TEST(model_in_fp8_on_10_is_near)
{
    cuda_host_capability(100);
    fp8_logits("tiny-mlp");
}
#else
GPU_TEST(model_in_fp8_is_near_mlp)    { if (!no_fp8()) fp8_logits("tiny-mlp"); }
#endif

GPU_TEST(model_replies_the_same_in_any_batch_fp8)
{
    if (!no_fp8())
        same_in_any_batch("cuda", "fp8");
}

GPU_TEST(model_replies_the_same_in_any_batch_fp32)
{
    if (!no_gpu())
        same_in_any_batch("cuda", "fp32");
}

GPU_TEST(model_replies_the_same_in_any_batch_fp16)
{
    if (!no_gpu())
        same_in_any_batch("cuda", "fp16");
}

GPU_TEST(model_replies_the_same_in_any_batch_bf16)
{
    if (!no_gpu())
        same_in_any_batch("cuda", "bf16");
}

GPU_TEST(model_copies_as_it_computes_fp32) { if (!no_gpu()) copied_as_computed("cuda", "fp32"); }
GPU_TEST(model_copies_as_it_computes_fp16) { if (!no_gpu()) copied_as_computed("cuda", "fp16"); }
GPU_TEST(model_copies_as_it_computes_bf16) { if (!no_gpu()) copied_as_computed("cuda", "bf16"); }
