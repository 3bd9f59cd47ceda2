/* Any bytes as a tokenizer.model. One that is taken encodes a prompt and decodes what came out, all
 * its ids and some that are none. libsentencepiece is a library of the system and not instrumented:
 * what is searched is whether anything that check_model() lets through brings it down. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "engine/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void try_tokenizer(const struct tokenizer *t)
{
    static const char prompt[] = "USER: <s><image>\nIs  it? <0x0A> \xe2\x96\x81\xf0\x9f\x98\x80\xff a"
                                 "\xe4\xbd\xa0\tbb</s><unk>cc dd<im_start> ASSISTANT:";
    struct err e = { 0 };
    int32_t *ids = NULL, some[32];
    size_t n_ids = 0;
    if (tokenizer_prompt(t, prompt, &ids, &n_ids, &e) == OK)
        free(tokenizer_decode(t, ids, n_ids, true));
    free(ids);
    for (int from = -8; from < tokenizer_size(t) + 8 && from < 4096; from += 32) {
        for (int i = 0; i < 32; i++) {
            some[i] = from + i;
            tokenizer_can_decode(t, some[i]);
        }
        free(tokenizer_decode(t, some, 32, false));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static int fd = -1;
    static char path[40];
    if (fd < 0) {
        fd = memfd_create("tokenizer.model", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, bytes, n, 0) != (ssize_t)n)
        return 0;
    struct tokenizer *t = NULL;
    struct err e = { 0 };
    if (tokenizer_open(&t, path, n % 2, n % 3 == 0, &e) == OK)
        try_tokenizer(t);
    assert((t == NULL) == (e.code != OK));
    tokenizer_close(t);
    return 0;
}
