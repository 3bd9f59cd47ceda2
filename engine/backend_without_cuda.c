/* backend_without_cuda.c -- in the place of backend_cuda.c where the build found no CUDA. */
#include <stdio.h>
#include "engine/backend.h"
#include "engine/llava.h"

static enum status absent(struct err *e)
{
    return err_set(e, ERR_DEVICE, "built without CUDA, since there was no nvcc in PATH; use --device "
                                  "cpu");
}

enum status backend_cuda_open(struct backend **out, enum dtype type, int device, struct err *e)
{
    (void)type, (void)device;
    *out = NULL;
    return absent(e);
}

enum status backend_cuda_count(int *n, struct err *e)
{
    *n = 0;
    return absent(e);
}

enum status backend_cuda_describe(int device, struct llava_gpu *out, struct err *e)
{
    (void)device;
    *out = (struct llava_gpu){ .major = 0 };
    return absent(e);
}

bool backend_cuda_built(void)
{
    return false;
}

void backend_cuda_versions(char *text, size_t size)
{
    snprintf(text, size, "built without CUDA");
}
