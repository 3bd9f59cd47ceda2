/* machine.c -- which backend a device's name means, and what this machine has. */
#include <stdlib.h>
#include <string.h>
#include "engine/base/str.h"
#include "engine/image.h"
#include "engine/private.h"

static enum status read_dtype(const char *name, bool gpu, enum dtype *type, struct err *e)
{
    static const struct { const char *name; enum dtype type; } names[] = {
        { "fp32", F32 }, { "bf16", BF16 }, { "fp16", F16 }, { "fp8", E4M3 },
    };
    *type = gpu ? F16 : F32;                                /* auto */
    if (!name || !strcmp(name, "auto"))
        return OK;
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(name, names[i].name)) {
            *type = names[i].type;
            if ((*type == F16 || *type == E4M3) && !gpu)
                return err_set(e, ERR_USAGE, "dtype %s needs a GPU%s; on the CPU use fp32, the "
                               "reference, or bf16, the fast one", name,
                               *type == E4M3 ? " of compute capability 9.0 or newer" : "");
            return OK;
        }
    return err_set(e, ERR_USAGE, "unknown dtype \"%s\": expected auto, fp32, bf16, fp16 or "
                   "fp8", name);
}

/* "cuda", "cuda:3": the number; -1 for anything else. */
static int gpu_number(const char *name)
{
    int64_t n = 0;
    if (!strcmp(name, "cuda"))
        return 0;
    return !strncmp(name, "cuda:", 5) && str_to_int(name + 5, &n) && n >= 0 && n < 1024 ? (int)n
                                                                                         : -1;
}

enum status machine_open(struct backend **out, const struct llava_options *o, enum dtype *type,
                         struct err *why_not_gpu, struct err *e)
{
    const char *name = o->device ? o->device : "auto";
    int n = 0, gpu = gpu_number(name);
    bool chosen = gpu >= 0;
    *out = NULL;
    if (!chosen && strcmp(name, "auto") && strcmp(name, "cpu"))
        return err_set(e, ERR_USAGE, "unknown device \"%s\": expected auto, cpu, cuda or cuda:N",
                       name);
    if (!strcmp(name, "auto") && backend_cuda_count(&n, why_not_gpu) == OK)
        gpu = 0;
    if (read_dtype(o->dtype, gpu >= 0, type, e) != OK)
        return e->code;
    if (chosen)
        return backend_cuda_open(out, *type, gpu, e);
    if (gpu >= 0 && backend_cuda_open(out, *type, gpu, why_not_gpu) == OK)
        return OK;
    if (gpu >= 0 && read_dtype(o->dtype, false, type, e) != OK)
        return e->code;
    return backend_cpu_open(out, *type, o->simd, e);
}

int llava_gpus(struct llava_gpu *out, int most, struct err *why)
{
    int n = 0;
    if (backend_cuda_count(&n, why) != OK)
        return 0;
    for (int i = 0; i < n && i < most; i++)
        if (backend_cuda_describe(i, &out[i], why) != OK)
            return i;
    return n;
}

bool llava_has_cuda(char *versions, size_t size)
{
    backend_cuda_versions(versions, size);
    return backend_cuda_built();
}

void llava_image_libraries(char *text, size_t size)
{
    image_libraries(text, size);
}

const char *llava_simd(int i, bool *usable)
{
    const char *name = backend_cpu_level(i);
    struct backend *b = NULL;
    struct err e = { 0 };
    *usable = name && backend_cpu_open(&b, F32, name, &e) == OK;
    if (b)
        b->ops->close(b);
    return name;
}
