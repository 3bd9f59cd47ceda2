/* The command line: what it means, what it refuses, and in which words. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/str.h"
#include "harness/options.h"
#include "tests/check.h"
#include "tests/fixture.h"

/* Parses words split at spaces; the test's process has no variables but these. */
static enum status parse(struct options *o, const char *line, struct err *e)
{
    static char words[2000], *argv[64];
    int argc = 1;
    *e = (struct err){ 0 };
    argv[0] = "llava-eval";
    snprintf(words, sizeof words, "%s", line);
    for (char *at = words; *at && argc < 63;) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    argv[argc] = NULL;
    return options_parse(o, argc, argv, e);
}

static void bare(void)
{
    clearenv();
    setenv("HOME", "/home/somebody", 1);
}

TEST(options_have_their_defaults)
{
    struct options o;
    struct err e;
    bare();
    CHECK_OK(parse(&o, "run --model some/where/llava-7b/", &e), e);
    CHECK_STR(o.verb, "run");
    CHECK_INT(o.n_models, 1);
    CHECK_STR(o.models[0].path, "some/where/llava-7b");
    CHECK_STR(o.models[0].label, "llava-7b");
    CHECK_INT(o.n_suite, 11);
    CHECK(!o.suite_given && !o.demo);
    CHECK_STR(o.suite[0].benchmark, "vqav2");
    CHECK_STR(o.suite[0].split, "testdev");
    CHECK_STR(o.data, "/home/somebody/.cache/llava-eval/data");
    CHECK_STR(o.db, "llava-eval.db");
    CHECK_STR(o.device, "auto");
    CHECK_STR(o.hf_endpoint, "https://huggingface.co");
    CHECK_STR(o.hf_hub_cache, "/home/somebody/.cache/huggingface/hub");
    CHECK_INT(o.n_prompts, 1);
    CHECK_STR(o.prompts[0], "paper");
    CHECK_INT(o.shard_index, 1);
    CHECK_INT(o.n_shards, 1);
    CHECK(o.hf_token == NULL && o.simd == NULL && !o.offline && !o.hub_offline && !o.color);
    options_free(&o);
}

TEST(options_mean_what_they_say)
{
    struct options o;
    struct err e;
    bare();
    CHECK_OK(parse(&o, "--tasks pope,vqav2:val --model-path a/b=One --model=c/d --data x --db=y.db "
                   "--limit 0.25 --shard 2/8 --dtype bf16 --batch_tokens 99 --prompt-set qa "
                   "--prompts none --temperature .5 --top_p 0.9 --num-beams 3 --max-new-tokens 7 "
                   "--seed 12345678901 --image-mode crop --device cuda:0,1 --template vicuna_v1 "
                   "--fresh --retry_failed --offline -vvq", &e), e);
    CHECK_STR(o.verb, "run");
    CHECK(o.suite_given);
    CHECK_INT(o.n_suite, 2);
    CHECK_STR(o.suite[1].benchmark, "vqav2");
    CHECK_STR(o.suite[1].split, "val");
    CHECK_INT(o.n_models, 2);
    CHECK_STR(o.models[0].label, "One");
    CHECK_STR(o.models[1].label, "d");
    CHECK_STR(o.data, "x");
    CHECK_STR(o.db, "y.db");
    CHECK_NEAR(o.limit, 0.25, 0);
    CHECK_INT(o.shard_index, 2);
    CHECK_INT(o.n_shards, 8);
    CHECK_STR(o.dtype, "bf16");
    CHECK_INT(o.batch_tokens, 99);
    CHECK_INT(o.n_prompts, 2);
    CHECK_STR(o.prompts[1], "none");
    CHECK_NEAR(o.temperature, 0.5, 0);
    CHECK_NEAR(o.top_p, 0.9, 0);
    CHECK_INT(o.num_beams, 3);
    CHECK_INT(o.max_new_tokens, 7);
    CHECK(o.seed == 12345678901u);
    CHECK_INT(o.image_mode, LLAVA_CROP);
    CHECK_STR(o.device, "cuda:0,1");
    CHECK(o.fresh && o.retry_failed && o.offline && o.hub_offline && o.quiet);
    CHECK_INT(o.verbose, 2);
    options_free(&o);
}

TEST(options_take_ids_from_a_list_or_a_file)
{
    struct options o;
    struct err e;
    bare();
    put("ids.txt", "random/1\r\n\n  random/2  \nwith, comma\n");
    CHECK_OK(parse(&o, "run --model m --ids 1,2,,x", &e), e);
    CHECK_INT(o.n_ids, 3);
    CHECK_STR(o.ids[2], "x");
    options_free(&o);
    CHECK_OK(parse(&o, "run --model m --ids @ids.txt", &e), e);
    CHECK_INT(o.n_ids, 3);
    CHECK_STR(o.ids[1], "random/2");
    CHECK_STR(o.ids[2], "with, comma");
    options_free(&o);
    CHECK_INT(parse(&o, "run --model m --ids @nothing.txt", &e), ERR_USAGE);
    CHECK(strstr(e.text, "nothing.txt") != NULL);
    options_free(&o);
}

/* A folder whose name has '=' in it is a folder. */
TEST(options_split_a_label_off_unless_it_is_a_path)
{
    struct options o;
    struct err e;
    bare();
    put("lr=1e-3/config.json", "{}");
    CHECK_OK(parse(&o, "run --model lr=1e-3 --model lr=1e-3=mine", &e), e);
    CHECK_STR(o.models[0].path, "lr=1e-3");
    CHECK_STR(o.models[0].label, "lr=1e-3");
    CHECK_STR(o.models[1].path, "lr=1e-3");
    CHECK_STR(o.models[1].label, "mine");
    options_free(&o);
}

TEST(options_refuse_and_say_what_was_meant)
{
    static const struct { const char *line, *text; } rows[] = {
        { "rum", "did you mean run?" },
        { "run --modle x", "did you mean --model?" },
        { "run --model x --temper 1", "did you mean --temperature?" },
        { "run --model x --suite pop", "did you mean pope?" },
        { "run --model x --suite pope:val", "no split \"val\": it has test" },
        { "run --model x --suite pope:", "no split" },
        { "run --model x --suite ,", "no benchmark in it" },
        { "run --model x --suite gqa --split val", "gqa has no split" },
        { "run --model x --limit -1", "--limit -1" },
        { "run --model x --limit 1.5", "--limit 1.5" },
        { "run --model x --limit nan", "--limit nan" },
        { "run --model x --shard 0/2", "I from 1 to N" },
        { "run --model x --shard 3/2", "I from 1 to N" },
        { "run --model x --shard 3", "I from 1 to N" },
        { "run --model x --dtype int8", "auto|fp16|bf16|fp32|fp8" },
        { "run --model x --device gpu", "--device gpu" },
        { "run --model x --device cuda:", "--device cuda:" },
        { "run --model x --template vicuna", "vicuna_v1" },
        { "run --model x --temperature hot", "number" },
        { "run --model x --top-p 1.1", "from 0 to 1" },
        { "run --model x --batch-tokens 0", "whole number from 1" },
        { "run --model x --num-beams 1.5", "whole number" },
        { "run --model x --seed -1", "--seed -1" },
        { "run --model x --model y/x", "both be called \"x\"" },
        { "run --model =x", "PATH" },
        { "run --model x --fresh=yes", "takes no value" },
        { "run --model", "needs PATH" },
        { "run --model x --data=", "was given nothing" },
        { "run x", "\"x\"" },
        { "run --model x -z", "-z" },
        { "run --model x --answers f", "is no option of run, but of score" },
        { "leaderboard --format pdf", "text|md|csv" },
        { "help nonsense", "no verb" },
        { "show --benchmark pope --prompts a --prompts b", "one --prompts" },
    };
    bare();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct options o;
        struct err e;
        CHECK_INT(parse(&o, rows[i].line, &e), ERR_USAGE);
        if (!strstr(e.text, rows[i].text))
            CHECK_STR(e.text, rows[i].text);
        options_free(&o);
    }
}

TEST(options_ask_for_help)
{
    static const char *const lines[][2] = {
        { "", NULL }, { "--help", NULL }, { "-h", NULL }, { "run --help", "run" },
        { "fetch --suite pope -h", "fetch" }, { "help", NULL }, { "help score", "score" },
    };
    bare();
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct options o;
        struct err e;
        CHECK_OK(parse(&o, lines[i][0], &e), e);
        CHECK_STR(o.verb, "help");
        CHECK_INT(o.n_words, lines[i][1] != NULL);
        if (o.n_words)
            CHECK_STR(o.words[0], lines[i][1]);
        options_free(&o);
    }
    struct options o;
    struct err e;
    CHECK_OK(parse(&o, "--version", &e), e);
    CHECK_STR(o.verb, "version");
    options_free(&o);
}

TEST(options_read_the_environment)
{
    struct options o;
    struct err e;
    bare();
    setenv("XDG_CACHE_HOME", "/cache", 1);
    setenv("HF_TOKEN", "secret", 1);
    setenv("HF_ENDPOINT", "https://mirror.example", 1);
    setenv("HF_HOME", "/hf", 1);
    setenv("HF_HUB_OFFLINE", "1", 1);
    setenv("LLAVA_SIMD", "avx2", 1);
    CHECK_OK(parse(&o, "run --model m", &e), e);
    CHECK_STR(o.cache_dir, "/cache/llava-eval");
    CHECK_STR(o.hf_token, "secret");
    CHECK_STR(o.hf_endpoint, "https://mirror.example");
    CHECK_STR(o.hf_hub_cache, "/hf/hub");
    CHECK_STR(o.simd, "avx2");
    CHECK(o.hub_offline && !o.offline);
    options_free(&o);
    setenv("HF_HUB_CACHE", "/hub", 1);
    setenv("XDG_CACHE_HOME", "relative", 1);                /* to be ignored, says its standard */
    CHECK_OK(parse(&o, "run --model m", &e), e);
    CHECK_STR(o.hf_hub_cache, "/hub");
    CHECK_STR(o.cache_dir, "/home/somebody/.cache/llava-eval");
    options_free(&o);
}

static void check_shard(const char *line, int index, int n)
{
    struct options o;
    struct err e;
    CHECK_OK(parse(&o, line, &e), e);
    CHECK_INT(o.shard_index, index);
    CHECK_INT(o.n_shards, n);
    options_free(&o);
}

TEST(options_take_the_shard_from_slurm)
{
    bare();
    setenv("SLURM_PROCID", "2", 1);
    setenv("SLURM_NTASKS", "4", 1);
    check_shard("run --model m", 3, 4);
    check_shard("run --model m --shard 1/2", 1, 2);         /* the flag wins */
    setenv("SLURM_JOB_ID", "77", 1);                        /* a batch script, outside of any step */
    check_shard("run --model m", 1, 1);
    setenv("SLURM_STEP_ID", "0", 1);
    check_shard("run --model m", 3, 4);
    setenv("SLURM_ARRAY_TASK_ID", "14", 1);
    setenv("SLURM_ARRAY_TASK_COUNT", "5", 1);
    setenv("SLURM_ARRAY_TASK_MIN", "10", 1);
    setenv("SLURM_ARRAY_TASK_STEP", "2", 1);
    check_shard("run --model m", 3, 5);                     /* 10 12 14 16 18 */
    setenv("SLURM_ARRAY_TASK_ID", "13", 1);                 /* an array with holes is no cut */
    struct options o;
    struct err e;
    CHECK_INT(parse(&o, "run --model m", &e), ERR_USAGE);
    CHECK(strstr(e.text, "SLURM_ARRAY_TASK_ID 13 is none of SLURM_ARRAY_TASK_COUNT 5 tasks from 10 in "
                 "steps of 2") != NULL);
    options_free(&o);
    check_shard("run --model m --shard 1/1", 1, 1);
    setenv("SLURM_ARRAY_TASK_ID", "10", 1);
    setenv("SLURM_ARRAY_TASK_MAX", "18", 1);
    check_shard("run --model m", 1, 5);
    setenv("SLURM_ARRAY_TASK_MAX", "30", 1);                /* nor is its first task a part */
    CHECK_INT(parse(&o, "run --model m", &e), ERR_USAGE);
    CHECK(strstr(e.text, "has holes (SLURM_ARRAY_TASK_COUNT 5, from 10 to 30 in steps of 2)") != NULL);
    options_free(&o);
    unsetenv("SLURM_ARRAY_TASK_MAX");
    setenv("SLURM_ARRAY_TASK_ID", "20", 1);
    CHECK_INT(parse(&o, "run --model m", &e), ERR_USAGE);
    options_free(&o);
}

static void check_store(const char *line, const char *db)
{
    struct options o;
    struct err e;
    CHECK_OK(parse(&o, line, &e), e);
    CHECK_STR(o.db, db);
    options_free(&o);
}

TEST(options_give_each_task_a_store_of_its_own)
{
    bare();
    check_store("run --model m", "llava-eval.db");
    check_store("run --model m --shard 2/3", "llava-eval.db");
    check_store("run --model m --shard 2/3 --db a/{shard}.db", "a/2-of-3.db");
    check_store("run --model m --db a/{shard}.db", "a/1-of-1.db");
    check_store("leaderboard --db a/{shard}.db", "a/{shard}.db");
    setenv("SLURM_PROCID", "2", 1);
    setenv("SLURM_NTASKS", "4", 1);
    check_store("run --model m", "llava-eval.3-of-4.db");
    check_store("run --model m --db x.db", "x.db");
    check_store("run --model m --db {shard}", "3-of-4");
}

TEST(options_run_the_demonstration_without_a_model)
{
    struct options o;
    struct err e;
    char program[4096], demo[4200];
    struct err mine = { 0 };
    bare();
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    CHECK(n > 0);
    program[n > 0 ? n : 0] = '\0';
    *strrchr(program, '/') = '\0';
    snprintf(demo, sizeof demo, "%s/demo", program);
    if (file_exists(demo))
        SKIP("a demo lies beside the tests already");
    snprintf(demo, sizeof demo, "%s/demo/mirror", program);
    CHECK_OK(file_mkdirs(demo, &mine), mine);
    CHECK_OK(parse(&o, "--suite all", &e), e);
    CHECK(o.demo);
    CHECK_INT(o.n_models, 2);
    CHECK_STR(o.models[0].label, "tiny-linear");
    CHECK_STR(o.models[1].label, "tiny-mlp");
    CHECK(strstr(o.mirror, "/demo/mirror") && !strncmp(o.mirror, "file:///", 8));
    CHECK_STR(o.data, "/home/somebody/.cache/llava-eval/demo-data");
    CHECK_STR(o.judge, "demo");
    for (int i = 0; i < o.n_suite; i++)                     /* what it asks, it can score */
        if (!strcmp(o.suite[i].benchmark, "vqav2") || !strcmp(o.suite[i].benchmark, "vizwiz"))
            CHECK_STR(o.suite[i].split, "val");
    options_free(&o);
    CHECK_OK(parse(&o, "run --suite vqav2:testdev --data d --mirror m#x", &e), e);
    CHECK_STR(o.suite[0].split, "testdev");
    CHECK_STR(o.data, "d");
    CHECK(strstr(o.mirror, "/m%23x") != NULL);              /* a folder becomes a URL */
    options_free(&o);
    snprintf(demo, sizeof demo, "%s/demo", program);
    CHECK_OK(file_remove_all(demo, &mine), mine);
}

/* Every page comes out, and names what the tables hold. */
TEST(options_print_their_pages)
{
    static const char *const names[] = { "run", "fetch", "score", "show", "leaderboard" };
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    options_help(out, NULL);
    for (size_t i = 0; i < COUNT(names); i++)
        options_help(out, names[i]);
    fclose(out);
    CHECK(strstr(text, "Exit status") && strstr(text, "--suite") && strstr(text, "HF_TOKEN"));
    CHECK(strstr(text, "some answers or judgements are missing") != NULL);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        CHECK(strcspn(line, "\n") <= 100);
    }
    free(text);

    out = open_memstream(&text, &n);
    options_man(out);
    fclose(out);
    CHECK(!strncmp(text, ".TH", 3));
    CHECK(strstr(text, "\\-\\-retry\\-failed") && strstr(text, ".SH EXIT STATUS"));
    free(text);

    out = open_memstream(&text, &n);
    options_completion(out);
    fclose(out);
    CHECK(strstr(text, "--scoring-only") && strstr(text, "mmvet"));
    free(text);
}
