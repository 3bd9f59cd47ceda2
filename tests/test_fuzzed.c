/* What fuzzing found, once more through the targets that found it: tests/fuzz/found/TARGET/. The
 * sanitizers of `make test SANITIZE=1` say what was wrong with each; without them a crash does. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "tests/check.h"

#define LLVMFuzzerTestOneInput fuzz_safetensors
#include "tests/fuzz/fuzz_safetensors.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_torch
#include "tests/fuzz/fuzz_torch.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_json
#include "tests/fuzz/fuzz_json.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_tokenizer
#include "tests/fuzz/fuzz_tokenizer.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_image
#include "tests/fuzz/fuzz_image.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_questions
#define LLVMFuzzerInitialize fuzz_questions_seeds
#include "tests/fuzz/fuzz_questions.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_answers
#include "tests/fuzz/fuzz_answers.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_archive
#include "tests/fuzz/fuzz_archive.c"
#undef LLVMFuzzerTestOneInput

/* How many files there were. */
static int replay(const char *target, int (*run)(const uint8_t *, size_t))
{
    struct arena a = { 0 };
    const char *dir = arena_fmt(&a, "%s/tests/fuzz/found/%s", test_root(), target);
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        struct file f;
        struct err e = { 0 };
        if (entry->d_name[0] == '.')
            continue;
        if (CHECK_OK(file_open(&f, path_join(&a, dir, entry->d_name), ERR_DATA, &e), e)) {
            CHECK_INT(run((const uint8_t *)f.at, f.n), 0);
            n++;
        }
        file_close(&f);
    }
    if (d)
        closedir(d);
    arena_free(&a);
    return n;
}

TEST(fuzzing_found_in_safetensors) { CHECK(replay("safetensors", fuzz_safetensors) >= 1); }
TEST(fuzzing_found_in_torch)       { CHECK(replay("torch", fuzz_torch) >= 1); }
TEST(fuzzing_found_in_json)        { CHECK(replay("json", fuzz_json) >= 0); }
TEST(fuzzing_found_in_tokenizer)   { CHECK(replay("tokenizer", fuzz_tokenizer) >= 1); }
TEST(fuzzing_found_in_images)      { CHECK(replay("image", fuzz_image) >= 0); }
TEST(fuzzing_found_in_questions)   { CHECK(replay("questions", fuzz_questions) >= 1); }
TEST(fuzzing_found_in_archives)    { CHECK(replay("archive", fuzz_archive) >= 0); }

TEST(fuzzing_found_in_answers)
{
    fuzz_root = test_root();
    CHECK(replay("answers", fuzz_answers) >= 0);
}

/* A fuzzer that starts from nothing good finds nothing: each split's files are read. */
TEST(fuzzing_begins_with_good_questions)
{
    fuzz_root = test_root();
    for (size_t f = 0; f < COUNT(forms); f++) {
        struct arena a = { 0 };
        struct questions qs;
        struct err e = { 0 };
        questions_init(&qs, &a, forms[f].split);
        CHECK_OK(benchmark_find(forms[f].benchmark)->read(good_folder(&forms[f], &a), forms[f].split,
                                                          &qs, &e), e);
        CHECK(qs.n >= 3);
        questions_free(&qs);
        arena_free(&a);
    }
}
