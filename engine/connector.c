/* connector.c -- what joins eye and tongue: linear, or mlpNx_gelu.
 *
 *     linear      y = W0 x + b0
 *     mlp2x_gelu  y = W2 gelu(W0 x + b0) + b2            gelu: the exact one, with erf
 *     identity    y = x
 *
 * haotian-liu/LLaVA llava/model/multimodal_projector/builder.py; the numbers in the tensors' names
 * count the GELUs between the layers, hence 0, 2, 4, ... */
#include "engine/private.h"
#include <stdio.h>
#include <stdlib.h>

struct connector {
    struct device *device;
    int depth, rows, skip;      /* layers; rows of a picture that x holds; of these not selected */
    int tokens;                 /* selected rows of a picture */
    struct matrix w[CONNECTOR_MAX];
    struct tensor b[CONNECTOR_MAX];
    struct tensor in;           /* [T, tower's D]: the selected rows */
    struct tensor middle[2];    /* [T, D], in turns */
    int32_t *row;               /* [T]: which they are */
};

enum status connector_open(struct connector **out, struct loader *l, const struct model_config *c,
                           int pictures)
{
    struct connector *n = *out = calloc(1, sizeof *n);
    int T = pictures * image_tokens(c), D = c->language.hidden;
    int32_t *row = calloc((size_t)T, sizeof *row);
    if (!n || !row) {
        free(row);
        return err_set(l->e, ERR_MEMORY, "no memory for the connector");
    }
    *n = (struct connector){ .device = l->device, .depth = c->connector_depth, .row = row,
                             .rows = 1 + c->tower.patches, .skip = c->tower.keep_class ? 0 : 1,
                             .tokens = image_tokens(c) };
    for (int t = 0; t < T; t++)
        row[t] = t / n->tokens * n->rows + n->skip + t % n->tokens;
    for (int i = 0; i < n->depth; i++) {
        char at[64];
        snprintf(at, sizeof at, "model.mm_projector.%d.", 2 * i);
        load_matrix(l, &n->w[i], false, at, (const char *const[]){ "weight", NULL });
        load_floats(l, &n->b[i], at, (const char *const[]){ "bias", NULL });
    }
    enum dtype act = l->device->act;
    (void)(l->e->code || device_alloc(l->device, &n->in, act, T, c->tower.hidden, l->e) ||
           (n->depth > 1 && device_alloc(l->device, &n->middle[0], act, T, D, l->e)) ||
           (n->depth > 2 && device_alloc(l->device, &n->middle[1], act, T, D, l->e)));
    return l->e->code;
}

void connector_close(struct connector *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->depth; i++) {
        device_unpack(c->device, &c->w[i]);
        device_free(c->device, &c->b[i]);
    }
    device_free(c->device, &c->in);
    device_free(c->device, &c->middle[0]);
    device_free(c->device, &c->middle[1]);
    free(c->row);
    free(c);
}

enum status connector_run(struct connector *c, struct tensor *y, const struct tensor *x, int n,
                          struct err *e)
{
    struct device *d = c->device;
    device_stage(d, STAGE_VISION);
    struct tensor in = c->depth ? tensor_rows(c->in, 0, n * c->tokens) : *y;
    if (d->ops->gather(d->backend, &in, x, c->row, e) != OK)
        return e->code;
    for (int i = 0; i < c->depth; i++) {
        bool last = i == c->depth - 1;
        struct tensor out = last ? *y : tensor_rows(c->middle[i % 2], 0, in.rows);
        struct epilogue ep = { .bias = &c->b[i], .act = last ? ACT_NONE : ACT_GELU };
        if (d->ops->matmul(d->backend, &out, &in, &c->w[i], &ep, e) != OK)
            return e->code;
        in = out;
    }
    return device_dump(d, y, e, "connector");
}

double connector_flops(const struct model_config *c)
{
    double D = c->language.hidden;
    if (!c->connector_depth)
        return 0;
    return 2.0 * image_tokens(c) * (c->tower.hidden * D + (c->connector_depth - 1) * D * D);
}
