/* Any bytes as a PyTorch file; and, so that the pickle machine is reached without a zip around
 * it, any bytes as the data.pkl of one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "engine/torch_pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void read_all(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct store s = { .arena = &a };
    struct err e = { 0 };
    volatile unsigned char sum = 0;
    if (torch_read(&s, "fuzz", bytes, n, &e) == OK)
        for (size_t i = 0; i < s.n; i++)
            for (size_t k = 0; k < s.at[i].n_bytes; k++)
                sum = (unsigned char)(sum + s.at[i].data[k]);
    arena_free(&a);
}

static size_t put(uint8_t *out, size_t at, const char *text, size_t n)
{
    memcpy(out + at, text, n);
    return at + n;
}

/* One entry, local header and directory; sizes of 32 bits. */
static size_t put_entry(uint8_t *out, size_t at, bool central, const char *name, size_t size,
                        size_t local)
{
    size_t n = strlen(name), head = central ? 46 : 30;
    memset(out + at, 0, head);
    memcpy(out + at, central ? "PK\1\2" : "PK\3\4", 4);
    if (central) {
        uint32_t sizes[2] = { (uint32_t)size, (uint32_t)size }, where = (uint32_t)local;
        memcpy(out + at + 20, sizes, 8);
        memcpy(out + at + 42, &where, 4);
    }
    out[at + (central ? 28 : 26)] = (uint8_t)n;
    return put(out, at + head, name, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char storage[48] = "0123456789abcdef";
    read_all(bytes, n);
    uint8_t *zip = malloc(n + 1000);
    if (!zip || n > UINT32_MAX / 2) {
        free(zip);
        return 0;
    }
    size_t at = put_entry(zip, 0, false, "x/data.pkl", n, 0), second, directory;
    at = second = put(zip, at, (const char *)bytes, n);
    at = put_entry(zip, at, false, "x/data/0", sizeof storage, 0);
    at = directory = put(zip, at, storage, sizeof storage);
    at = put_entry(zip, at, true, "x/data.pkl", n, 0);
    at = put_entry(zip, at, true, "x/data/0", sizeof storage, second);
    uint32_t ends[2] = { (uint32_t)(at - directory), (uint32_t)directory };
    memset(zip + at, 0, 22);
    memcpy(zip + at, "PK\5\6", 4);
    zip[at + 8] = zip[at + 10] = 2;
    memcpy(zip + at + 12, ends, 8);
    read_all(zip, at + 22);
    free(zip);
    return 0;
}
