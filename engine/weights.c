/* weights.c -- named tensors of a checkpoint to the device.
 *
 * Matrices go through pack(), which converts while it reads the mapped file; vectors (norms,
 * biases) become F32; the embedding table stays as in the file, since it is only read by rows. */
#include "engine/private.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

float half_value(enum dtype type, uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff, bits = (uint32_t)h << 16;
    float x;
    if (type == BF16) {                                     /* the upper half of a float32 */
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    if (rest < 0x400) {                                     /* zero and subnormals */
        x = (float)rest * 0x1p-24f;
        return sign ? -x : x;
    }
    bits = sign | (rest >= 0x7c00 ? 0x7f800000 | (rest & 0x3ff) << 13
                                  : (rest << 13) + ((127u - 15) << 23));
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint16_t half_of(enum dtype type, float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if (type == BF16)
        return (uint16_t)(u >> 16);
    uint32_t sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    return (uint16_t)(a < 0x38800000 ? sign : sign | (a - ((127u - 15) << 23)) >> 13);
}

static void widen(float *out, const struct view *v)
{
    size_t n = (size_t)v->rows * (size_t)v->cols;
    const unsigned char *at = v->data;                      /* perhaps unaligned */
    if (v->type == F32) {
        memcpy(out, at, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h = (uint16_t)(at[2 * i] | at[2 * i + 1] << 8);
        out[i] = half_value(v->type, h);
    }
}

enum { MAX_PARTS = 4, TENSOR_NAME = 256 };

/* The parts' views; returns how many, 0 after an error. */
static int find(struct loader *l, struct view *out, const char *prefix, const char *const *parts)
{
    int n = 0;
    if (l->e->code != OK)
        return 0;
    for (; parts[n]; n++) {
        char name[TENSOR_NAME];
        assert(n < MAX_PARTS);
        snprintf(name, sizeof name, "%s%s", prefix, parts[n]);
        out[n] = checkpoint_view(l->checkpoint, name);
        if (out[n].type == F32 || (out[n].type == F16 && l->widest == BF16))
            l->widest = out[n].type;
    }
    return n;
}

/* The parts are on the device: their pages may leave memory. */
static void release(const struct loader *l, const char *prefix, const char *const *parts)
{
    for (int i = 0; parts[i]; i++) {
        char name[TENSOR_NAME];
        snprintf(name, sizeof name, "%s%s", prefix, parts[i]);
        checkpoint_release(l->checkpoint, name);
    }
}

void load_floats(struct loader *l, struct tensor *t, const char *prefix, const char *const *parts)
{
    struct view v[MAX_PARTS];
    int n = find(l, v, prefix, parts), cols = 0;
    if (!n)
        return;
    for (int i = 0; i < n; i++) {
        assert(n == 1 || v[i].rows == 1);
        cols += v[i].cols;
    }
    size_t total = (size_t)v[0].rows * (size_t)cols;
    float *values = malloc(total * sizeof *values + 1), *at = values;
    if (!values) {
        err_set(l->e, ERR_MEMORY, "no memory for %s%s", prefix, parts[0]);
        return;
    }
    for (int i = 0; i < n; at += v[i].cols, i++)
        widen(at, &v[i]);
    const struct device *d = l->device;
    if (device_alloc(l->device, t, F32, v[0].rows, cols, l->e) == OK &&
        d->ops->write(d->backend, t, values, l->e) == OK)
        d->ops->sync(d->backend, l->e);                     /* values is freed now */
    free(values);
}

void load_table(struct loader *l, struct tensor *t, const char *name)
{
    struct view v[MAX_PARTS];
    if (!find(l, v, name, (const char *const[]){ "", NULL }))
        return;
    const struct device *d = l->device;
    if (device_alloc(l->device, t, v->type, v->rows, v->cols, l->e) == OK &&
        d->ops->write(d->backend, t, v->data, l->e) == OK)
        d->ops->sync(d->backend, l->e);
    release(l, name, (const char *const[]){ "", NULL });
}

static void load_as(struct loader *l, struct matrix *m, enum dtype type, bool paired,
                    const char *prefix, const char *const *parts)
{
    struct view v[MAX_PARTS];
    int n = find(l, v, prefix, parts);
    if (!n)
        return;
    *m = (struct matrix){ .type = v[0].type, .K = v[0].cols, .paired = paired };
    for (int i = 0; i < n; i++) {
        assert(v[i].cols == m->K);
        m->N += v[i].rows;
        if (v[i].type != m->type)
            m->type = F32;                                  /* holds both 16-bit types exactly */
    }
    if (type != F32)
        m->type = type;
    if (l->device->ops->pack(l->device->backend, m, v, n, l->e) != OK)
        err_in(l->e, "%s%s", prefix, parts[0]);
    release(l, prefix, parts);
}

void load_matrix(struct loader *l, struct matrix *m, bool paired, const char *prefix,
                 const char *const *parts)
{
    load_as(l, m, l->device->act, paired, prefix, parts);
}

void load_block_matrix(struct loader *l, struct matrix *m, bool paired, const char *prefix,
                       const char *const *parts)
{
    load_as(l, m, l->device->fp8 ? E4M3 : l->device->act, paired, prefix, parts);
}
