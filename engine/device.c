/* device.c -- a backend with its stopwatch and its dump. */
#include "engine/private.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "engine/base/npy.h"

const char *const stage_names[N_STAGES] = {
    "vision", "products", "attention", "elementwise", "sample", "host", "idle",
};

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void device_open(struct device *d, struct backend *b, enum dtype act, const char *dump_dir,
                 bool timeline)
{
    *d = (struct device){ .backend = b, .ops = b->ops, .act = act, .dump_dir = dump_dir,
                          .stage = STAGE_IDLE, .since = clock_seconds(),
                          .marks = timeline && b->ops->mark };
}

/* With marks, the host's clock stops where the device is first given something and goes on when it
 * is in sync; what the host does in between is a stage in the device's queue like any other, which
 * takes as long as the device waits for it. */
void device_stage(struct device *d, enum stage stage)
{
    if (stage == d->stage)
        return;
    if (!d->marked) {
        double now = clock_seconds();
        d->seconds[d->stage] += now - d->since;
        d->since = now;
        d->marked = d->marks && stage < STAGE_HOST;
    }
    if (d->marked)
        d->ops->mark(d->backend, stage);
    d->stage = stage;
}

enum status device_sync(struct device *d, struct err *e)
{
    if (d->marked)
        d->ops->mark(d->backend, -1);
    enum status s = d->ops->sync(d->backend, e);
    if (d->marked) {
        double took[N_STAGES] = { 0 }, now = clock_seconds(), rest = now - d->since;
        d->ops->marked(d->backend, took);
        for (int i = 0; i < N_STAGES; i++) {
            d->seconds[i] += took[i];
            rest -= took[i];
        }
        d->seconds[STAGE_HOST] += rest;                     /* before its first work, and waking up */
        d->since = now;
        d->stage = STAGE_HOST;
        d->marked = false;
    }
    device_stage(d, STAGE_HOST);
    return s;
}

enum status device_alloc(struct device *d, struct tensor *t, enum dtype type, int rows, int cols,
                         struct err *e)
{
    *t = (struct tensor){ .type = type, .rows = rows, .cols = cols };
    return d->ops->alloc(d->backend, t, e);
}

void device_free(struct device *d, struct tensor *t)
{
    if (t->data)
        d->ops->release(d->backend, t);
    t->data = NULL;
}

void device_unpack(struct device *d, struct matrix *m)
{
    if (m->data)
        d->ops->unpack(d->backend, m);
    m->data = NULL;
}

enum status device_dump(struct device *d, const struct tensor *t, struct err *e,
                        const char *format, ...)
{
    if (!d->dump_dir)
        return OK;
    assert(t->type == F32 || t->type == BF16 || t->type == F16);
    char name[64], path[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (snprintf(path, sizeof path, "%s/%04d-%s.npy", d->dump_dir, d->dumped++, name) >=
        (int)sizeof path)
        return err_set(e, ERR_USAGE, "%s: the name is too long to write activations there",
                       d->dump_dir);

    size_t n = (size_t)t->rows * (size_t)t->cols, shape[] = { (size_t)t->rows, (size_t)t->cols };
    float *values = malloc(n * sizeof *values + 1);
    if (!values)
        return err_set(e, ERR_MEMORY, "%s: no memory for %zu values", path, n);
    if (d->ops->read(d->backend, values, t, e) == OK && d->ops->sync(d->backend, e) == OK) {
        if (t->type != F32) {                               /* widened in place, from the end */
            const unsigned char *half = (const unsigned char *)values;
            for (size_t i = n; i-- > 0;)
                values[i] = half_value(t->type, (uint16_t)(half[2 * i + 1] << 8 | half[2 * i]));
        }
        npy_write(path, values, shape, 2, e);
    }
    free(values);
    return e->code;
}
