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

void device_open(struct device *d, struct backend *b, enum dtype act, const char *dump_dir)
{
    *d = (struct device){ .backend = b, .ops = b->ops, .act = act, .dump_dir = dump_dir,
                          .stage = STAGE_IDLE, .since = clock_seconds() };
}

void device_stage(struct device *d, enum stage stage)
{
    if (stage == d->stage)
        return;
    double now = clock_seconds();
    d->seconds[d->stage] += now - d->since;
    d->since = now;
    d->stage = stage;
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
