/* language.c -- the language model: LLaMA over packed rows.
 *
 *     each block:  x += O attention(rotate(RMS1(x)));  x += down(silu(gate m) * up m), m = RMS2(x)
 *     end:         logits = lm_head RMS(x), of the rows that were asked for
 *
 * transformers models/llama. A step is T rows of any sequences: prefixes, questions and replies
 * alike; what a row sees, and where it writes, is in its kv_row. Columns that are to stand in other
 * places too are copied layer by layer, between writing and seeing: so those of a row of this very
 * step can be. Query, key and value are one product, gate and up another. All memory is taken at
 * open, so a step allocates nothing. */
#include "engine/private.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct language_block {
    struct tensor norm1, norm2;                             /* [1,D] */
    struct matrix qkv, out, gate_up, down;                  /* [(H+2G)d,D] [D,Hd] [2F,D] [D,F] */
};

struct language {
    struct device *device;
    struct language_config c;
    struct tensor table;        /* [V,D], as in the file */
    struct language_block *block;
    struct tensor norm;         /* [1,D] */
    struct matrix head;         /* [V,D] */
    struct kvcache cache;
    struct tensor x;            /* F32 [T,D], the residual stream */
    struct tensor n, qkv, a, h; /* [T,D] [T,(H+2G)d] [T,Hd] [T,F] */
    struct tensor last, last_n, logits;                     /* F32 [S,D], [S,D], F32 [S,V] */
    struct tensor narrow;       /* F16 [S,V]: logits on their way, where 16 bits round them */
    int32_t *in_order;          /* [S]: 0, 1, 2, ... */
};

static void load(struct language *m, struct loader *l)
{
    #define ONE(name) (const char *const[]){ name, NULL }
    load_table(l, &m->table, "model.embed_tokens.weight");
    for (int i = 0; i < m->c.layers; i++) {
        struct language_block *b = &m->block[i];
        char at[64];
        snprintf(at, sizeof at, "model.layers.%d.", i);
        load_floats(l, &b->norm1, at, ONE("input_layernorm.weight"));
        load_floats(l, &b->norm2, at, ONE("post_attention_layernorm.weight"));
        load_block_matrix(l, &b->qkv, false, at, (const char *const[]){ "self_attn.q_proj.weight",
                          "self_attn.k_proj.weight", "self_attn.v_proj.weight", NULL });
        load_block_matrix(l, &b->out, false, at, ONE("self_attn.o_proj.weight"));
        load_block_matrix(l, &b->gate_up, true, at, (const char *const[]){ "mlp.gate_proj.weight",
                          "mlp.up_proj.weight", NULL });
        load_block_matrix(l, &b->down, false, at, ONE("mlp.down_proj.weight"));
    }
    load_floats(l, &m->norm, "model.norm.", ONE("weight"));
    load_matrix(l, &m->head, false, m->c.tied ? "model.embed_tokens." : "lm_head.", ONE("weight"));
    #undef ONE
}

enum status language_open(struct language **out, struct loader *l, const struct language_config *c,
                          int rows, int last, int columns)
{
    struct language *m = *out = calloc(1, sizeof *m);
    struct language_block *blocks = calloc((size_t)c->layers + 1, sizeof *blocks);
    int32_t *in_order = calloc((size_t)last + 1, sizeof *in_order);
    if (!m || !blocks || !in_order) {
        free(blocks);
        free(in_order);
        return err_set(l->e, ERR_MEMORY, "no memory for the language model");
    }
    struct device *d = l->device;
    struct err *e = l->e;
    for (int i = 0; i < last; i++)
        in_order[i] = i;
    *m = (struct language){ .device = d, .c = *c, .block = blocks, .in_order = in_order,
                            .cache = { .type = d->act, .layers = c->layers, .columns = columns,
                                       .kv_heads = c->kv_heads, .head_size = c->head_size } };
    load(m, l);
    int qkv = (c->heads + 2 * c->kv_heads) * c->head_size;
    (void)(e->code || device_alloc(d, &m->x, F32, rows, c->hidden, e) ||
           device_alloc(d, &m->n, d->act, rows, c->hidden, e) ||
           device_alloc(d, &m->qkv, d->act, rows, qkv, e) ||
           device_alloc(d, &m->a, d->act, rows, c->heads * c->head_size, e) ||
           device_alloc(d, &m->h, d->act, rows, c->ffn, e) ||
           device_alloc(d, &m->last, F32, last, c->hidden, e) ||
           device_alloc(d, &m->last_n, d->act, last, c->hidden, e) ||
           device_alloc(d, &m->logits, F32, last, c->vocabulary, e) ||
           (d->act == F16 && device_alloc(d, &m->narrow, F16, last, c->vocabulary, e)) ||
           d->ops->kv_alloc(d->backend, &m->cache, e));
    return e->code;
}

void language_close(struct language *m)
{
    if (!m)
        return;
    struct device *d = m->device;
    for (int i = 0; i < m->c.layers; i++) {
        struct language_block *b = &m->block[i];
        device_free(d, &b->norm1);
        device_free(d, &b->norm2);
        device_unpack(d, &b->qkv);
        device_unpack(d, &b->out);
        device_unpack(d, &b->gate_up);
        device_unpack(d, &b->down);
    }
    struct tensor *t[] = { &m->table, &m->norm, &m->x, &m->n, &m->qkv, &m->a, &m->h, &m->last,
                           &m->last_n, &m->logits, &m->narrow };
    for (size_t j = 0; j < COUNT(t); j++)
        device_free(d, t[j]);
    device_unpack(d, &m->head);
    if (m->cache.k)
        d->ops->kv_release(d->backend, &m->cache);
    free(m->block);
    free(m->in_order);
    free(m);
}

/* The ops of a block, each with its stage. */
static enum status norm(struct device *d, struct tensor *y, const struct tensor *x,
                        const struct tensor *w, float eps, struct err *e)
{
    device_stage(d, STAGE_ELEMENTWISE);
    return d->ops->rmsnorm(d->backend, y, x, w, eps, e);
}

static enum status product(struct device *d, struct tensor *y, const struct tensor *x,
                           const struct matrix *w, enum act act, const struct tensor *residual,
                           struct err *e)
{
    struct epilogue ep = { .act = act, .residual = residual };
    device_stage(d, STAGE_PRODUCTS);
    return d->ops->matmul(d->backend, y, x, w, &ep, e);
}

static enum status attention(struct language *m, struct tensor *y, struct tensor *qkv, int layer,
                             const struct rows *rows, struct err *e)
{
    struct device *d = m->device;
    device_stage(d, STAGE_ATTENTION);
    if (d->ops->cache(d->backend, qkv, &m->cache, layer, m->c.heads, m->c.theta, rows->at, e) ||
        (rows->n_copies &&
         d->ops->kv_copy(d->backend, &m->cache, layer, rows->copy, rows->n_copies, e)))
        return e->code;
    return d->ops->attend(d->backend, y, qkv, &m->cache, layer, m->c.heads, rows->at, e);
}

static enum status run_block(struct language *m, int layer, const struct rows *rows,
                             struct err *e)
{
    struct device *d = m->device;
    int T = rows->n;
    const struct language_block *w = &m->block[layer];
    struct tensor x = tensor_rows(m->x, 0, T), n = tensor_rows(m->n, 0, T);
    struct tensor qkv = tensor_rows(m->qkv, 0, T), a = tensor_rows(m->a, 0, T);
    struct tensor h = tensor_rows(m->h, 0, T);

    if (norm(d, &n, &x, &w->norm1, m->c.eps, e) ||
        product(d, &qkv, &n, &w->qkv, ACT_NONE, NULL, e) ||
        attention(m, &a, &qkv, layer, rows, e) ||
        product(d, &x, &a, &w->out, ACT_NONE, &x, e) ||
        norm(d, &n, &x, &w->norm2, m->c.eps, e) ||
        product(d, &h, &n, &w->gate_up, ACT_SWIGLU, NULL, e) ||
        product(d, &x, &h, &w->down, ACT_NONE, &x, e))
        return e->code;
    return device_dump(d, &x, e, "layer%02d", layer);
}

/* logits = lm_head of the normed last rows. In fp16 the original's are rounded to 16 bits, and of
 * equal ones the lowest id is taken: so they are here. */
static enum status head(struct language *m, struct tensor *logits, const struct tensor *last_n,
                        struct err *e)
{
    struct device *d = m->device;
    struct tensor narrow = tensor_rows(m->narrow, 0, logits->rows);
    if (d->act != F16)
        return product(d, logits, last_n, &m->head, ACT_NONE, NULL, e);
    if (product(d, &narrow, last_n, &m->head, ACT_NONE, NULL, e) != OK)
        return e->code;
    return d->ops->gather(d->backend, logits, &narrow, m->in_order, e);
}

enum status language_step(struct language *m, const struct rows *rows,
                          const struct tensor *pictures, struct tensor *logits, struct err *e)
{
    struct device *d = m->device;
    struct tensor x = tensor_rows(m->x, 0, rows->n), last = tensor_rows(m->last, 0, rows->n_last);
    struct tensor last_n = tensor_rows(m->last_n, 0, rows->n_last);
    *logits = tensor_rows(m->logits, 0, rows->n_last);
    assert(rows->n <= m->x.rows && rows->n_last <= m->logits.rows);

    device_stage(d, STAGE_ELEMENTWISE);
    if (d->ops->embed(d->backend, &x, rows->id, &m->table, pictures, e) != OK ||
        device_dump(d, &x, e, "embed") != OK)
        return e->code;
    for (int layer = 0; layer < m->c.layers; layer++)
        if (run_block(m, layer, rows, e) != OK)
            return e->code;
    if (!rows->n_last)
        return OK;
    device_stage(d, STAGE_ELEMENTWISE);
    if (d->ops->gather(d->backend, &last, &x, rows->last, e) != OK ||
        norm(d, &last_n, &last, &m->norm, m->c.eps, e) != OK ||
        head(m, logits, &last_n, e) != OK)
        return e->code;
    return device_dump(d, logits, e, "logits");
}

double language_row_flops(const struct language_config *c)
{
    double D = c->hidden, Hd = (double)c->heads * c->head_size;
    double Gd = (double)c->kv_heads * c->head_size;
    return 2.0 * c->layers * (D * (Hd + 2 * Gd) + Hd * D + 3 * D * c->ffn);
}

double language_key_flops(const struct language_config *c)
{
    return 4.0 * c->layers * c->heads * c->head_size;
}

double language_logit_flops(const struct language_config *c)
{
    return 2.0 * c->hidden * c->vocabulary;
}
