/* Any bytes as a judge's answer: two for the HTTP status, the rest its body. Whatever it says, the key
 * comes out of it nowhere, and what is read as a mark is one. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/benchmark.h"
#include "harness/chat_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char key[] = "sk-12345";

static void check(const char *text)
{
    if (text && strstr(text, key))
        abort();
}

static void read_marks(const char *text)
{
    struct mark pair, grade;
    benchmark_find("llavabench")->judge_mark(text, 0, &pair);
    benchmark_find("mmvet")->judge_mark(text, 0, &grade);
    if (!isfinite(pair.a) || !isfinite(pair.b) || !(grade.a >= 0 && grade.a <= 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct err e = { 0 }, of_models = { 0 };
    struct chat_reply r = { 0 };
    const char *name = NULL;
    if (n < 2)
        return 0;
    struct chat_answer in = {
        .key = key, .host = "host", .status = bytes[0] & 1 ? 200 : 100 + (bytes[0] << 8 | bytes[1]) % 500,
        .body = (const char *)bytes + 2, .n = n - 2, .whole = !(bytes[0] & 2), .location = "",
        .may_refuse = bytes[0] & 4 };
    enum chat_outcome o = chat_answer_read(&in, &a, &r, &e);
    if ((o == CHAT_STOP) != (e.code != OK) || (o != CHAT_STOP && o != CHAT_DONE && !r.missing))
        abort();
    chat_answer_model(&in, &a, &name, &of_models);
    check(e.text);
    check(of_models.text);
    check(r.text);
    check(r.missing);
    check(r.finish);
    check(r.served);
    check(r.id);
    check(r.fingerprint);
    check(r.code);
    check(chat_excerpt(&a, key, in.body, in.n, 500));
    if (o == CHAT_DONE)
        read_marks(r.text);
    arena_free(&a);
    return 0;
}
