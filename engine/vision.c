/* vision.c -- the vision tower: CLIP's ViT, up to the block that LLaVA reads.
 *
 *     x = [class; patches W] + positions;  x = LN_pre(x)
 *     each block:  x += O attention(LN1(x)),  x += W2 quick_gelu(W1 LN2(x) + b1) + b2
 *
 * transformers models/clip. hidden_states[i] is what block i leaves, so mm_vision_select_layer -2
 * of 24 means 23 blocks; the last block and post_layernorm are neither loaded nor run. A picture is
 * 1 + P rows that all see each other: in the cache of one layer that every block uses anew, it is a
 * range whose "prefix" is all of its rows. */
#include "engine/private.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/kvcache.h"

struct tower_block {
    struct tensor norm1_w, norm1_b, norm2_w, norm2_b;       /* [1,D] */
    struct matrix qkv, out, fc1, fc2;                       /* [3D,D] [D,D] [F,D] [D,F] */
    struct tensor qkv_b, out_b, fc1_b, fc2_b;               /* [1,3D] [1,D] [1,F] [1,D] */
};

struct vision {
    struct device *device;
    struct tower_config c;
    int rows;                   /* of one picture: 1 + P */
    struct matrix patch_w;      /* [D, 3*p*p] */
    struct tensor cls, pos, pre_w, pre_b;                   /* [1,D] [1+P,D] [1,D] [1,D] */
    struct tower_block *block;  /* [run_layers] */
    /* For `pictures` pictures, T rows in all: */
    struct tensor pixels;       /* U8 [pictures, R*R*3] */
    struct tensor patches, embedded;                        /* [.., 3*p*p], F32 [.., D] */
    struct tensor x;            /* F32 [T,D], the residual stream */
    struct tensor n, qkv, a, h; /* [T,D] [T,3D] [T,D] [T,F] */
    struct kvcache cache;
    struct kv_row *at;          /* [T] */
};

static void load(struct vision *v, struct loader *l)
{
    static const char pre[] = "vision_model.";
    #define ONE(name) (const char *const[]){ name, NULL }
    load_matrix(l, &v->patch_w, false, pre, ONE("embeddings.patch_embedding.weight"));
    load_floats(l, &v->cls, pre, ONE("embeddings.class_embedding"));
    load_floats(l, &v->pos, pre, ONE("embeddings.position_embedding.weight"));
    load_floats(l, &v->pre_w, pre, ONE("pre_layrnorm.weight"));
    load_floats(l, &v->pre_b, pre, ONE("pre_layrnorm.bias"));
    for (int i = 0; i < v->c.run_layers; i++) {
        struct tower_block *b = &v->block[i];
        char at[64];
        snprintf(at, sizeof at, "%sencoder.layers.%d.", pre, i);
        load_floats(l, &b->norm1_w, at, ONE("layer_norm1.weight"));
        load_floats(l, &b->norm1_b, at, ONE("layer_norm1.bias"));
        load_floats(l, &b->norm2_w, at, ONE("layer_norm2.weight"));
        load_floats(l, &b->norm2_b, at, ONE("layer_norm2.bias"));
        load_block_matrix(l, &b->qkv, false, at, (const char *const[]){ "self_attn.q_proj.weight",
                          "self_attn.k_proj.weight", "self_attn.v_proj.weight", NULL });
        load_floats(l, &b->qkv_b, at, (const char *const[]){ "self_attn.q_proj.bias",
                    "self_attn.k_proj.bias", "self_attn.v_proj.bias", NULL });
        load_block_matrix(l, &b->out, false, at, ONE("self_attn.out_proj.weight"));
        load_floats(l, &b->out_b, at, ONE("self_attn.out_proj.bias"));
        load_block_matrix(l, &b->fc1, false, at, ONE("mlp.fc1.weight"));
        load_floats(l, &b->fc1_b, at, ONE("mlp.fc1.bias"));
        load_block_matrix(l, &b->fc2, false, at, ONE("mlp.fc2.weight"));
        load_floats(l, &b->fc2_b, at, ONE("mlp.fc2.bias"));
    }
    #undef ONE
}

/* Memory for the largest batch, and where its rows stand. */
static void plan(struct vision *v, int pictures, struct err *e)
{
    struct device *d = v->device;
    const struct tower_config *c = &v->c;
    int T = pictures * v->rows, P = pictures * c->patches, slot = kv_aligned(v->rows);
    v->cache = (struct kvcache){ .type = d->act, .layers = 1, .columns = pictures * slot,
                                 .kv_heads = c->heads, .head_size = c->hidden / c->heads };
    v->at = calloc((size_t)T, sizeof *v->at);
    if (!v->at) {
        err_set(e, ERR_MEMORY, "no memory for %d rows of the vision tower", T);
        return;
    }
    for (int t = 0; t < T; t++) {
        int base = t / v->rows * slot;
        v->at[t] = (struct kv_row){ .base = base, .prefix = v->rows, .lo = base,
                                    .col = base + t % v->rows };
    }
    (void)(device_alloc(d, &v->pixels, U8, pictures, 3 * c->side * c->side, e) ||
           device_alloc(d, &v->patches, d->act, P, 3 * c->patch * c->patch, e) ||
           device_alloc(d, &v->embedded, F32, P, c->hidden, e) ||
           device_alloc(d, &v->x, F32, T, c->hidden, e) ||
           device_alloc(d, &v->n, d->act, T, c->hidden, e) ||
           device_alloc(d, &v->qkv, d->act, T, 3 * c->hidden, e) ||
           device_alloc(d, &v->a, d->act, T, c->hidden, e) ||
           device_alloc(d, &v->h, d->act, T, c->ffn, e) ||
           d->ops->kv_alloc(d->backend, &v->cache, e));
}

enum status vision_open(struct vision **out, struct loader *l, const struct tower_config *c,
                        int pictures)
{
    struct vision *v = *out = calloc(1, sizeof *v);
    struct tower_block *blocks = calloc((size_t)c->run_layers + 1, sizeof *blocks);
    if (!v || !blocks) {
        free(blocks);
        return err_set(l->e, ERR_MEMORY, "no memory for the vision tower");
    }
    *v = (struct vision){ .device = l->device, .c = *c, .rows = 1 + c->patches, .block = blocks };
    load(v, l);
    if (l->e->code == OK)
        plan(v, pictures, l->e);
    return l->e->code;
}

void vision_close(struct vision *v)
{
    if (!v)
        return;
    struct device *d = v->device;
    for (int i = 0; i < v->c.run_layers; i++) {
        struct tower_block *b = &v->block[i];
        struct tensor *t[] = { &b->norm1_w, &b->norm1_b, &b->norm2_w, &b->norm2_b, &b->qkv_b,
                               &b->out_b, &b->fc1_b, &b->fc2_b };
        struct matrix *m[] = { &b->qkv, &b->out, &b->fc1, &b->fc2 };
        for (size_t j = 0; j < COUNT(t); j++)
            device_free(d, t[j]);
        for (size_t j = 0; j < COUNT(m); j++)
            device_unpack(d, m[j]);
    }
    struct tensor *t[] = { &v->cls, &v->pos, &v->pre_w, &v->pre_b, &v->pixels, &v->patches,
                           &v->embedded, &v->x, &v->n, &v->qkv, &v->a, &v->h };
    for (size_t j = 0; j < COUNT(t); j++)
        device_free(d, t[j]);
    device_unpack(d, &v->patch_w);
    if (v->cache.k)
        d->ops->kv_release(d->backend, &v->cache);
    free(v->block);
    free(v->at);
    free(v);
}

enum status vision_put(struct vision *v, int i, const uint8_t *rgb, struct err *e)
{
    struct tensor row = tensor_rows(v->pixels, i, 1);
    return v->device->ops->write(v->device->backend, &row, rgb, e);
}

struct tensor vision_patch_rows(struct vision *v, int n)
{
    return tensor_rows(v->patches, 0, n * v->c.patches);
}

enum status vision_patches(struct vision *v, int n, struct err *e)
{
    struct tensor x = tensor_rows(v->pixels, 0, n), y = vision_patch_rows(v, n);
    device_stage(v->device, STAGE_VISION);
    return v->device->ops->patches(v->device->backend, &y, &x, v->c.side, v->c.patch, e);
}

static enum status run_block(struct vision *v, const struct tower_block *w, int T, struct err *e)
{
    const struct backend_ops *ops = v->device->ops;
    struct backend *b = v->device->backend;
    struct tensor x = tensor_rows(v->x, 0, T), n = tensor_rows(v->n, 0, T);
    struct tensor qkv = tensor_rows(v->qkv, 0, T), a = tensor_rows(v->a, 0, T);
    struct tensor h = tensor_rows(v->h, 0, T);
    const int heads = v->c.heads;
    const float eps = v->c.eps;

    if (ops->layernorm(b, &n, &x, &w->norm1_w, &w->norm1_b, eps, e) ||
        ops->matmul(b, &qkv, &n, &w->qkv, &(struct epilogue){ .bias = &w->qkv_b }, e) ||
        ops->cache(b, &qkv, &v->cache, 0, heads, 0, v->at, e) ||
        ops->attend(b, &a, &qkv, &v->cache, 0, heads, v->at, e) ||
        ops->matmul(b, &x, &a, &w->out,
                    &(struct epilogue){ .bias = &w->out_b, .residual = &x }, e) ||
        ops->layernorm(b, &n, &x, &w->norm2_w, &w->norm2_b, eps, e) ||
        ops->matmul(b, &h, &n, &w->fc1,
                    &(struct epilogue){ .bias = &w->fc1_b, .act = ACT_QUICK_GELU }, e) ||
        ops->matmul(b, &x, &h, &w->fc2,
                    &(struct epilogue){ .bias = &w->fc2_b, .residual = &x }, e))
        return e->code;
    return OK;
}

enum status vision_run(struct vision *v, int n, struct tensor *rows, struct err *e)
{
    const struct backend_ops *ops = v->device->ops;
    struct backend *b = v->device->backend;
    struct tensor patches = vision_patch_rows(v, n), x = tensor_rows(v->x, 0, n * v->rows);
    struct tensor embedded = tensor_rows(v->embedded, 0, patches.rows);

    device_stage(v->device, STAGE_VISION);
    if (ops->matmul(b, &embedded, &patches, &v->patch_w, &(struct epilogue){ .bias = NULL }, e) ||
        ops->tower_embed(b, &x, &embedded, &v->cls, &v->pos, e) ||
        ops->layernorm(b, &x, &x, &v->pre_w, &v->pre_b, v->c.eps, e))
        return e->code;
    for (int i = 0; i < v->c.run_layers; i++)
        if (run_block(v, &v->block[i], x.rows, e) != OK)
            return e->code;
    *rows = x;
    return device_dump(v->device, &x, e, "tower");
}

double vision_flops(const struct tower_config *c)
{
    double rows = 1.0 + c->patches, D = c->hidden;
    double block = 2 * rows * (4 * D * D + 2 * D * c->ffn) + 4 * D * rows * rows;
    return 2.0 * c->patches * 3 * c->patch * c->patch * D + c->run_layers * block;
}
