/* options.h -- the command line: one table, from which parsing, --help, completion and the man
 * page come. Flags mean the same in every verb; - and _ are interchangeable; a typo gets a
 * "did you mean". Also the only reader of environment variables. */
#ifndef HARNESS_OPTIONS_H
#define HARNESS_OPTIONS_H

#include <stdio.h>
#include "engine/base/arena.h"
#include "engine/llava.h"

enum table_format { TABLE_TEXT, TABLE_MD, TABLE_CSV, TABLE_TSV, TABLE_LATEX, TABLE_JSON,
                    TABLE_HTML };

struct model_choice { const char *path, *label; };      /* --model PATH|HUB_ID[=LABEL] */
struct suite_item { const char *benchmark, *split; };   /* --suite vqav2:val; split never NULL */

struct options {
    struct arena arena;                     /* owns every string below */
    const char *verb;                       /* "run", ... */
    const char *const *words; int n_words;  /* what follows the verb and is no flag */

    const struct model_choice *models; int n_models;
    bool demo;                              /* run without --model: the embedded default */
    const struct suite_item *suite; int n_suite;    /* --suite or --benchmark; default all */
    bool suite_given;
    const char *split;                      /* --split for single-benchmark verbs, or NULL */
    const char *data, *db, *mirror;         /* mirror: URL prefix that replaces scheme://, or NULL */
    const char *model_base, *vision_tower, *device, *dtype, *template, *simd;
    const char *const *prompts; int n_prompts;      /* at least "paper" */
    enum llava_image_mode image_mode;
    const char *image_mode_name;            /* "config", "pad", "crop" */
    double limit;                           /* 0: all; below 1: share; else a count */
    const char *const *ids; int n_ids;      /* --ids, @FILE read */
    int batch_tokens, shard_index, n_shards;        /* shard 1/1: the whole */
    double temperature, top_p;
    int top_k, num_beams, max_new_tokens;   /* 0: the benchmark's own */
    uint64_t seed;
    const char *judge, *judge_model;        /* URL or "demo"; NULL */
    const char *judge_profile, *judge_key_env;      /* "classic", "reasoning", "auto"; a variable */
    const char *judge_system, *judge_label;         /* "separate", "merge"; words for the name, or NULL */
    const char *judge_replay;               /* a reviews file that answers in the judge's place */
    bool judge_strip_think, judge_refresh;
    int judge_first_pass;
    int judge_runs;                         /* 0: the benchmark's own */
    int judge_concurrency, judge_timeout, judge_retries, judge_rpm;     /* rpm 0: any number */
    double judge_max_cost;                  /* below 0: none */
    double judge_price_in, judge_price_out; /* per million tokens; 0: unknown */
    bool judge_insecure_http, yes;
    bool fresh, retry_failed, partial, offline, dry_run, json, quiet, verify, scoring_only;
    bool keep_archives, optional;           /* fetch: downloaded archives; optional sources too */
    int verbose;

    const char *answers, *as, *reviews, *out;       /* score, export */
    const char *image, *prompt; bool prompt_raw;    /* ask */
    const char *logits, *pixels;                    /* ask: .npy files to write */
    enum table_format format;
    const char *reference, *layout, *baseline;      /* leaderboard; NULL: none, wide, none */
    const char *allow;                      /* compare: "data,prompts,decode", or NULL */
    int images, questions_per_image, reply_tokens;  /* bench */
    const char *random_weights;             /* bench: a config.json */

    bool man, completion;                   /* help */

    /* from the environment */
    const char *judge_key;                  /* goes into one request header, nowhere else; or NULL */
    const char *hf_token, *hf_endpoint, *hf_hub_cache, *cache_dir;  /* cache_dir: ours, absolute */
    bool hub_offline;                       /* HF_HUB_OFFLINE, or offline */
    bool shard_from_slurm;
    const char *demo_dir;                   /* folder of the embedded default, or NULL: not found */
    bool color;                             /* stdout and stderr may be coloured */
};

/* Fills o from argv and the environment. ERR_USAGE says what is wrong and what was meant.
 * --help and --version are verbs of their own here ("help", "version"); the word behind "help" is
 * the verb whose page is wanted. options_free() is due in either case. */
enum status options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_free(struct options *o);

void options_help(FILE *out, const char *verb);     /* verb NULL: the program's own page */
void options_man(FILE *out);                        /* docs/llava-eval.1, made from the table */
void options_completion(FILE *out);                 /* for bash */

#endif
