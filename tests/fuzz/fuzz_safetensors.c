/* Any bytes as a safetensors file; every byte of every tensor that is found must be readable. */
#include <stdint.h>
#include "engine/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct store s = { .arena = &a };
    struct err e = { 0 };
    volatile unsigned char sum = 0;
    if (safetensors_read(&s, "fuzz", bytes, n, &e) == OK)
        for (size_t i = 0; i < s.n; i++)
            for (size_t k = 0; k < s.at[i].n_bytes; k++)
                sum = (unsigned char)(sum + s.at[i].data[k]);
    arena_free(&a);
    return 0;
}
