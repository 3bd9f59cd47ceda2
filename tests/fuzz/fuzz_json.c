/* Any bytes as a JSON document. */
#include <stdint.h>
#include "engine/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    json_parse(&a, "fuzz", (const char *)bytes, n, &e);
    arena_free(&a);
    return 0;
}
