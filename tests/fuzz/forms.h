/* forms.h -- every split that can be read, with its files below DATA/<benchmark>: those of a run, and what
 * its judge or its server's format needs besides. Good ones, a few questions each, are in tests/fuzz/good. */
#ifndef TESTS_FUZZ_FORMS_H
#define TESTS_FUZZ_FORMS_H

#include <stdlib.h>
#include "engine/base/arena.h"

static const struct form { const char *benchmark, *split, *files[5]; } forms[] = {
    { "vqav2", "val", { "v2_OpenEnded_mscoco_val2014_questions.json",
                        "v2_mscoco_val2014_annotations.json" } },
    { "vqav2", "testdev", { "v2_OpenEnded_mscoco_test-dev2015_questions.json",
                            "v2_OpenEnded_mscoco_test2015_questions.json" } },
    { "gqa", "testdev_balanced", { "testdev_balanced_questions.json" } },
    { "vizwiz", "test", { "Annotations/test.json" } },
    { "vizwiz", "val", { "Annotations/val.json" } },
    { "scienceqa", "test", { "pid_splits.json", "problems.json" } },
    { "textvqa", "val", { "TextVQA_0.5.1_val.json", "TextVQA_Rosetta_OCR_v0.2_val.json" } },
    { "pope", "test", { "coco_pope_random.json", "coco_pope_popular.json",
                        "coco_pope_adversarial.json" } },
    { "mme", "test", { "MME_Benchmark_release_version/existence/000001.txt",
                       "MME_Benchmark_release_version/posters/questions_answers_YN/tt1.txt" } },
    { "mmbench", "dev", { "mmbench_dev_20230712.tsv" } },
    { "mmbench", "dev_cn", { "mmbench_dev_cn_20231003.tsv" } },
    { "seed", "test", { "SEED-Bench.json" } },
    { "llavabench", "test", { "questions.jsonl", "answers_gpt4.jsonl", "context.jsonl", "rule.json" } },
    { "mmvet", "test", { "mm-vet.json", "mm-vet_evaluator.py" } },
};

/* Of the repository, for the good files; NULL: the environment says it. */
static const char *fuzz_root;

static inline const char *good_folder(const struct form *form, struct arena *a)
{
    const char *root = fuzz_root ? fuzz_root : getenv("LLAVA_ROOT");
    return arena_fmt(a, "%s/tests/fuzz/good/%s", root ? root : ".", form->benchmark);
}

#endif
