/* options.c -- the command line, as two tables: verbs and options.
 *
 * Everything a user can read about them (--help, the manual page, completion) is printed from the
 * tables that the parser reads, so that the three cannot disagree. To add an option: a field in
 * struct options, a row in `options`. To add a verb: a row in `verbs`, and its function in main.c.
 *
 * The environment is read here and nowhere else; a flag wins over a variable. */
#include "harness/options.h"

#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/benchmark.h"
#include "engine/base/file.h"
#include "engine/base/str.h"
#include "prompts/prompt.h"

#ifndef DEMO_DIR
#define DEMO_DIR ""
#endif

enum { IDS_FILE_LIMIT = 64 << 20, MOST_SHARDS = 1000000 };

/* ---- the tables ------------------------------------------------------------------------------- */

enum {                                                      /* verbs, as bits */
    RUN = 1 << 0, FETCH = 1 << 1, SCORE = 1 << 2, EXPORT = 1 << 3, LEADERBOARD = 1 << 4,
    SHOW = 1 << 5, ASK = 1 << 6, INSPECT = 1 << 7, LIST = 1 << 8, DESCRIBE = 1 << 9,
    BENCH = 1 << 10, HELP = 1 << 11, VERSION_VERB = 1 << 12, JUDGE = 1 << 13,
    COMPARE = 1 << 14, REPORT = 1 << 15, DOCTOR = 1 << 16, MERGE = 1 << 17,
    EVERY = ~0, DATA = RUN | FETCH | SCORE | JUDGE | EXPORT | SHOW | REPORT,
    MODEL = RUN | ASK | INSPECT | BENCH, JUDGED = RUN | SCORE | MERGE | JUDGE | COMPARE | REPORT,
};

static const struct verb_text {
    const char *name;
    unsigned bit;
    const char *words;                                      /* what may follow, for the reader */
    int most_words;
    const char *summary, *more, *example;
} verbs[] = {
    { "run", RUN, "", 0, "ask a model the questions of a suite, score, print the leaderboard",
      "For each model and benchmark: make sure of the data (what is missing is fetched, sizes said "
      "first), ask what has no reply yet, score, and print the table. The same command goes on "
      "where an earlier one stopped. Without --model the embedded demonstration runs: two tiny "
      "checkpoints on a mini-suite made for them.",
      "llava-eval run --suite pope,vqav2:val --model path/to/llava-v1.5-7b" },
    { "fetch", FETCH, "", 0, "download, verify and unpack benchmarks or a checkpoint",
      "Downloads go on where they stopped. What is there already, put there by fetch or by hand, "
      "is not downloaded again. An archive is unpacked beside its place and moved in when whole; "
      "of an image archive only the pictures that the split asks about are kept.",
      "llava-eval fetch --suite pope,mme --dry-run" },
    { "score", SCORE, "", 0, "score stored replies again, or a file of answers",
      "With --answers FILE: JSON lines with question_id and text, made by any program; lmms-eval's "
      "samples (.jsonl); VLMEvalKit's predictions (.xlsx, .tsv, .json). The store is left alone "
      "unless --as gives them a label of their own.",
      "llava-eval score --benchmark pope --answers answers.jsonl --json" },
    { "judge", JUDGE, "[export|calibrate]", 1,
      "have stored replies judged (llavabench, mmvet), and score them",
      "Calls, tokens and, with prices, the cost are said first. What was judged is stored and not "
      "asked again; a judgement that failed is missing, never a score. The judge's name is part of "
      "the score. judge export writes what it said, for score --reviews (one --benchmark, one "
      "--model; to --out, or standard output). judge calibrate judges the answers that LLaVA "
      "published (--answers FILE --model llava-v1.5-13b) and prints this judge's offset from the "
      "published figures.",
      "llava-eval judge --suite llavabench --judge https://api.openai.com/v1 --judge-model NAME "
      "--dry-run" },
    { "merge", MERGE, "OUT.db IN.db...", INT_MAX, "join the stores of shards, score the whole",
      "By run and question, in any order, any number of times, from any number of shards; OUT.db "
      "is made, or added to, and replaced when all is well. Two stores that hold different replies "
      "of one run to one question are refused, by name. What --data has the question files of is "
      "then scored as a plain run would have, and the leaderboard printed.",
      "llava-eval merge all.db shards/*.db" },
    { "leaderboard", LEADERBOARD, "", 0, "tables from the store",
      "The newest scored run of each model, prompt set and split; other settings (fp8, crop, sampling) "
      "have a line of their own. Marks, explained below the table, say what a figure is not: "
      "partial, not the published data or split. A judged figure stands in a column of its judge. csv, "
      "tsv and json give full precision; json has each published figure's source, and where it was "
      "checked.",
      "llava-eval leaderboard --layout table3 --reference paper --baseline LLaVA-1.5-7B" },
    { "compare", COMPARE, "A B", 2, "two models, paired on the same questions",
      "Both scores, their difference with a 95 % interval (bootstrap over pictures, 10,000 draws, the "
      "same in each run), a p-value (exact McNemar where the metric is a share of right answers, else "
      "exchanging the runs picture by picture), Holm's correction over each table, and on how many "
      "questions either is better. A and B are labels of models, LABEL:SET with a prompt set, or "
      "numbers of runs; the newest run of each benchmark counts. Only questions that both answered "
      "are compared. compare A B --prompts paper --prompts none is the table of both models under "
      "both sets, with the interaction; compare A with two --prompts, one model under both.",
      "llava-eval compare my-linear my-mlp --suite gqa,pope" },
    { "report", REPORT, "DIR [A B]", 3, "a static site: scores, charts, comparison, every answer",
      "DIR/index.html opens in any browser, without a server or a network, and DIR can be copied or "
      "put on a web server as it is. The newest run of each model and prompt set counts; A B names the "
      "two that are compared, else the first is compared with each other one. Answers need the "
      "benchmarks' files (--data); pictures are linked, where the file system can, else copied.",
      "llava-eval report site --data data" },
    { "export", EXPORT, "", 0, "write the files that a benchmark's server or official tool reads",
      "Of --answers FILE, or of the run in the store that --model names: LABEL (the prompt set paper "
      "before others), LABEL:SET, or a run's number. All is checked before anything is written. vqav2, vizwiz, gqa, mmvet: JSON; seed: JSON lines; mmbench: .xlsx; mme: "
      "a folder with a file per task. With --reviews FILE (llavabench, mmvet): a folder with the "
      "official script's own result files.",
      "llava-eval export --benchmark vqav2 --answers answers.jsonl --out upload.json" },
    { "show", SHOW, "[QUESTION_ID...]", INT_MAX, "questions with image path, prompt and reference",
      "Without a model: exactly what a model would read. With a store (--db) a page also has what "
      "each model replied. Without ids: all questions with --json, else the first.",
      "llava-eval show --benchmark pope random/1" },
    { "ask", ASK, "", 0, "one image, one question, one answer",
      "The first try of any checkpoint; the reply is printed as it is made.",
      "llava-eval ask --model path/to/llava-v1.5-7b --image x.jpg --prompt 'What is this?'" },
    { "inspect", INSPECT, "[CHECKPOINT...]", INT_MAX, "what a checkpoint is, and what it lacks",
      "Layout, connector, shapes, dtypes, bytes. Reads no weights into memory.",
      "llava-eval inspect --model path/to/llava-v1.5-7b" },
    { "list", LIST, "", 0, "benchmarks, splits, headline metrics", NULL, "llava-eval list" },
    { "describe", DESCRIBE, "NAME...", INT_MAX, "a benchmark: metric, sources, licence",
      "The definition of the headline metric, and every file with its URL, size and SHA-256.",
      "llava-eval describe pope" },
    { "bench", BENCH, "", 0, "speed, against the machine's own limit",
      "From the bytes of JPEG files to replies; where the time went goes to stderr. With "
      "--random-weights CONFIG a config.json is enough: full-size speed without a download.",
      "llava-eval bench --model path/to/llava-v1.5-7b --images 4 --questions-per-image 6" },
    { "doctor", DOCTOR, "", 0, "what this machine has, and whether it computes rightly",
      "Processors, memory, disk, vector instructions, CUDA and GPUs, or why there are none; each "
      "way to compute is held against plain arithmetic, the scorers against official results.",
      "llava-eval doctor" },
    { "help", HELP, "[VERB]", 1, "this page, or that of one verb", NULL, "llava-eval help run" },
    { "version", VERSION_VERB, "", 0, "the program's version", NULL, "llava-eval version" },
};

enum kind {
    FLAG,                                                   /* bool */
    COUNTED,                                                /* int: how often it was given */
    TEXT,                                                   /* const char * */
    ONE_OF,                                                 /* const char *; argument lists them */
    WHOLE, REAL,                                            /* int, double: from least to most */
    SEED, SUITE, MODELS, PROMPTS, SHARD, LIMIT, IDS, FORMAT,    /* as set_value has them */
};
enum group { G_WHAT, G_MODEL, G_HOW, G_JUDGE, G_OUT, G_COMMON, N_GROUPS };
static const char *const group_titles[N_GROUPS] = {
    "What is asked", "Models", "How it is asked", "Who judges", "In and out", "Everywhere",
};

static const struct option_text {
    const char *name, *aliases;                             /* aliases: comma separated, or NULL */
    char letter;                                            /* -q, or 0 */
    const char *argument;                                   /* NULL: a flag */
    enum kind kind;
    size_t at;                                              /* offset in struct options */
    double least, most;
    unsigned verbs;
    enum group group;
    const char *help;
} options[] = {
#define AT(field) offsetof(struct options, field)
    { "suite", "tasks,benchmarks,benchmark", 0, "NAME[:SPLIT],...", SUITE, AT(suite), 0, 0,
      DATA | LEADERBOARD | COMPARE, G_WHAT, "benchmarks, joined by commas, or all (the default of run)" },
    { "split", NULL, 0, "SPLIT", TEXT, AT(split), 0, 0, DATA | LEADERBOARD | COMPARE, G_WHAT,
      "the split, where the name has none: --suite vqav2 --split val is --suite vqav2:val" },
    { "ids", NULL, 0, "ID,...|@FILE", IDS, AT(ids), 0, 0, RUN | SHOW, G_WHAT,
      "only these questions; @FILE holds one id a line" },
    { "limit", NULL, 0, "N|SHARE", LIMIT, AT(limit), 0, 0, RUN | SHOW | REPORT, G_WHAT,
      "only so many questions, or such a share of them (0.1)" },
    { "shard", NULL, 0, "I/N", SHARD, AT(shard_index), 0, 0, RUN, G_WHAT,
      "the I-th of N parts; by default from SLURM_ARRAY_TASK_* or SLURM_PROCID" },
    { "fresh", NULL, 0, NULL, FLAG, AT(fresh), 0, 0, RUN, G_WHAT,
      "a new run: ask everything again, whatever is stored" },
    { "retry-failed", NULL, 0, NULL, FLAG, AT(retry_failed), 0, 0, RUN, G_WHAT,
      "ask again what failed (an image that could not be read, say)" },
    { "partial", NULL, 0, NULL, FLAG, AT(partial), 0, 0, SCORE, G_WHAT,
      "figures over what is answered, where the official rule would give none" },

    { "model", "model-path", 0, "PATH|HUB_ID[=LABEL]", MODELS, AT(models), 0, 0,
      MODEL | FETCH | JUDGE | EXPORT, G_MODEL,
      "a checkpoint; may be given several times. LABEL: its name in tables, enough for judge and "
      "export" },
    { "model-base", NULL, 0, "PATH|HUB_ID", TEXT, AT(model_base), 0, 0, MODEL, G_MODEL,
      "the language model below a LoRA or a connector" },
    { "vision-tower", NULL, 0, "PATH|HUB_ID", TEXT, AT(vision_tower), 0, 0, MODEL, G_MODEL,
      "a CLIP tower that stands apart from the checkpoint; by default the one its config.json names, "
      "beside it, in a cache, or from the hub" },
    { "device", NULL, 0, "auto|cpu|cuda[:N,...]", TEXT, AT(device), 0, 0, RUN | ASK | BENCH, G_MODEL,
      "where it runs: auto takes the GPU if there is one; run shares its work among several" },
    { "dtype", NULL, 0, "auto|fp16|bf16|fp32|fp8", ONE_OF, AT(dtype), 0, 0, RUN | ASK | BENCH, G_MODEL,
      "number format of weights and activations; auto: fp16 on a GPU, fp32 on the CPU; fp8: e4m3 "
      "products, on GPUs of compute capability 9.0 and newer" },
    { "batch-tokens", NULL, 0, "N", WHOLE, AT(batch_tokens), 1, 1 << 24, RUN | ASK | BENCH,
      G_MODEL, "rows of one step; replies do not depend on it. By default 1024 in fp32 and 2048 in bf16 on "
      "the CPU, up to 4096 on a GPU" },

    { "prompts", "prompt-set", 0, "SET|FILE", PROMPTS, AT(prompts), 0, 0, RUN | SHOW | COMPARE, G_HOW,
      "a prompt set, paper by default; run takes several, compare two" },
    { "template", NULL, 0, "auto|NAME", TEXT, AT(template), 0, 0, RUN | SHOW | ASK, G_HOW,
      "the conversation template; auto chooses by checkpoint, never by connector" },
    { "image-mode", NULL, 0, "config|pad|crop", ONE_OF, AT(image_mode_name), 0, 0, RUN | ASK, G_HOW,
      "pad to a square, or crop, or what the checkpoint's config says" },
    { "temperature", NULL, 0, "X", REAL, AT(temperature), 0, 100, RUN | ASK, G_HOW,
      "0 (the default): the likeliest token" },
    { "top-p", NULL, 0, "X", REAL, AT(top_p), 0, 1, RUN | ASK, G_HOW,
      "sample from the likeliest tokens that make up this share" },
    { "top-k", NULL, 0, "N", WHOLE, AT(top_k), 0, 1 << 20, RUN | ASK, G_HOW,
      "sample from the N likeliest tokens; 0 (the default): 50, as transformers does" },
    { "num-beams", NULL, 0, "N", WHOLE, AT(num_beams), 1, 64, RUN | ASK, G_HOW,
      "1; more are refused (LLaVA's scripts use one)" },
    { "max-new-tokens", NULL, 0, "N", WHOLE, AT(max_new_tokens), 1, 1 << 20, RUN | ASK, G_HOW,
      "longest reply; by default the benchmark's own, for ask 1024" },
    { "seed", NULL, 0, "N", SEED, AT(seed), 0, 0, RUN | ASK, G_HOW, "for sampling" },

    { "judge", NULL, 0, "URL|demo", TEXT, AT(judge), 0, 0, JUDGED, G_JUDGE,
      "who judges llavabench and mmvet: an OpenAI-compatible https://host/v1 (score, merge and "
      "compare only read what it said before); demo: word overlap, for the demonstration" },
    { "judge-model", NULL, 0, "NAME|auto", TEXT, AT(judge_model), 0, 0,
      JUDGED | EXPORT, G_JUDGE,
      "the judge's exact name there; auto: the only one that the endpoint lists" },
    { "judge-label", NULL, 0, "TEXT", TEXT, AT(judge_label), 0, 0,
      JUDGED, G_JUDGE,
      "more of the judge's identity: the hash of a local judge's weights, say" },
    { "judge-replay", NULL, 0, "FILE", TEXT, AT(judge_replay), 0, 0,
      JUDGED & ~(unsigned)MERGE, G_JUDGE,
      "recorded replies answer in a judge's place (of one benchmark); what they lack is missing" },
    { "judge-runs", NULL, 0, "N", WHOLE, AT(judge_runs), 1, 100, JUDGED, G_JUDGE,
      "how often the whole set is judged; 3 by default" },
    { "judge-refresh", NULL, 0, NULL, FLAG, AT(judge_refresh), 0, 0, RUN | JUDGE, G_JUDGE,
      "judge again, behind the passes that are stored; those stay" },
    { "judge-first-pass", NULL, 0, "N", WHOLE, AT(judge_first_pass), 0, 1000000,
      JUDGED, G_JUDGE, "number of the first pass, 0 by default" },
    { "judge-profile", NULL, 0, "classic|reasoning|auto", ONE_OF, AT(judge_profile), 0, 0,
      JUDGED, G_JUDGE,
      "classic: temperature and token limit as the official script; reasoning: no temperature, 4096 "
      "tokens; auto: the second once the first is refused" },
    { "judge-system", NULL, 0, "separate|merge", ONE_OF, AT(judge_system), 0, 0,
      JUDGED, G_JUDGE,
      "merge: no system message, its text in front of the user's" },
    { "judge-strip-think", NULL, 0, NULL, FLAG, AT(judge_strip_think), 0, 0,
      JUDGED | EXPORT, G_JUDGE, "read replies behind their first </think>" },
    { "judge-key-env", NULL, 0, "NAME", TEXT, AT(judge_key_env), 0, 0, RUN | JUDGE, G_JUDGE,
      "the variable that holds the key, OPENAI_API_KEY by default" },
    { "judge-concurrency", NULL, 0, "N", WHOLE, AT(judge_concurrency), 1, 64, RUN | JUDGE, G_JUDGE,
      "calls in flight, 4 by default; figures do not depend on it" },
    { "judge-timeout", NULL, 0, "SECONDS", WHOLE, AT(judge_timeout), 1, 86400, RUN | JUDGE, G_JUDGE,
      "of one call, 120 by default" },
    { "judge-retries", NULL, 0, "N", WHOLE, AT(judge_retries), 1, 100, RUN | JUDGE, G_JUDGE,
      "tries of one call, 6 by default" },
    { "judge-rpm", NULL, 0, "N", WHOLE, AT(judge_rpm), 1, 60000, RUN | JUDGE, G_JUDGE,
      "at most so many calls a minute" },
    { "judge-price-in", NULL, 0, "X", REAL, AT(judge_price_in), 0, 1e6, RUN | JUDGE, G_JUDGE,
      "price of a million prompt tokens" },
    { "judge-price-out", NULL, 0, "X", REAL, AT(judge_price_out), 0, 1e6, RUN | JUDGE, G_JUDGE,
      "price of a million tokens of the judge's replies" },
    { "judge-max-cost", NULL, 0, "X", REAL, AT(judge_max_cost), 0, 1e9, RUN | JUDGE, G_JUDGE,
      "make no call that could cost more than this in all" },
    { "judge-insecure-http", NULL, 0, NULL, FLAG, AT(judge_insecure_http), 0, 0, RUN | JUDGE, G_JUDGE,
      "allow http:// beyond this machine and its network" },
    { "yes", NULL, 0, NULL, FLAG, AT(yes), 0, 0, RUN | JUDGE, G_JUDGE,
      "make the calls without asking" },

    { "data", NULL, 0, "DIR", TEXT, AT(data), 0, 0, DATA | MERGE | COMPARE | LIST |
      DESCRIBE | DOCTOR, G_OUT,
      "benchmarks, each in its official layout below DIR/NAME" },
    { "db", NULL, 0, "FILE", TEXT, AT(db), 0, 0,
      RUN | SCORE | JUDGE | EXPORT | LEADERBOARD | COMPARE | SHOW | REPORT, G_OUT,
      "the store of replies and scores; llava-eval.db by default. {shard} in it becomes I-of-N; a "
      "task of Slurm that names none writes llava-eval.I-of-N.db" },
    { "mirror", NULL, 0, "URL|DIR", TEXT, AT(mirror), 0, 0, RUN | FETCH, G_OUT,
      "take https://host/path from URL/host/path instead" },
    { "offline", NULL, 0, NULL, FLAG, AT(offline), 0, 0, RUN | FETCH | MODEL, G_OUT,
      "open no connection; what is missing is an error" },
    { "dry-run", NULL, 0, NULL, FLAG, AT(dry_run), 0, 0, RUN | FETCH | JUDGE, G_OUT,
      "only say what would be downloaded, with sizes, how the questions lie in shards, or what "
      "would be asked of a judge, with the cost" },
    { "scoring-only", NULL, 0, NULL, FLAG, AT(scoring_only), 0, 0, FETCH | REPORT, G_OUT,
      "leave images out: enough for score, show and export; a report without pictures" },
    { "verify", NULL, 0, NULL, FLAG, AT(verify), 0, 0, FETCH, G_OUT,
      "check what is there against the pinned and the recorded hashes" },
    { "keep-archives", NULL, 0, NULL, FLAG, AT(keep_archives), 0, 0, RUN | FETCH, G_OUT,
      "keep downloaded archives once they are unpacked" },
    { "optional", NULL, 0, NULL, FLAG, AT(optional), 0, 0, FETCH, G_OUT,
      "fetch what describe calls optional, too" },
    { "answers", NULL, 0, "FILE", TEXT, AT(answers), 0, 0, SCORE | EXPORT | JUDGE, G_OUT,
      "answers of any program: LLaVA's, lmms-eval's or VLMEvalKit's file" },
    { "as", NULL, 0, "LABEL", TEXT, AT(as), 0, 0, SCORE, G_OUT,
      "keep the answers of --answers in the store, under this name" },
    { "reviews", NULL, 0, "FILE", TEXT, AT(reviews), 0, 0, SCORE | EXPORT, G_OUT,
      "recorded judge replies (llavabench, mmvet)" },
    { "out", NULL, 0, "FILE", TEXT, AT(out), 0, 0, EXPORT | JUDGE, G_OUT,
      "the file, or the folder, to write" },
    { "image", NULL, 0, "FILE", TEXT, AT(image), 0, 0, ASK, G_OUT, "a picture" },
    { "prompt", NULL, 0, "TEXT", TEXT, AT(prompt), 0, 0, ASK, G_OUT, "the question" },
    { "prompt-raw", NULL, 0, NULL, FLAG, AT(prompt_raw), 0, 0, ASK, G_OUT,
      "--prompt is the whole text, <image> included" },
    { "logits", NULL, 0, "FILE.npy", TEXT, AT(logits), 0, 0, ASK, G_OUT,
      "write the float32 logits of the last prompt position" },
    { "pixels", NULL, 0, "FILE.npy", TEXT, AT(pixels), 0, 0, ASK, G_OUT,
      "write the normalised picture, float32 [3,R,R]" },
    { "images", NULL, 0, "N", WHOLE, AT(images), 1, 1 << 20, BENCH, G_OUT, "pictures; 8 by default" },
    { "questions-per-image", NULL, 0, "N", WHOLE, AT(questions_per_image), 1, 1 << 20, BENCH, G_OUT,
      "questions to each; 6 by default" },
    { "reply-tokens", NULL, 0, "N", WHOLE, AT(reply_tokens), 1, 1 << 20, BENCH, G_OUT,
      "tokens of each reply; 3 by default" },
    { "random-weights", NULL, 0, "CONFIG", TEXT, AT(random_weights), 0, 0, BENCH, G_OUT,
      "a config.json; weights are drawn" },
    { "format", NULL, 0, "text|md|csv|tsv|latex|json|html", FORMAT, AT(format), 0, 0,
      LEADERBOARD | MERGE | COMPARE | LIST, G_OUT, "of the table" },
    { "allow", NULL, 0, "data,prompts,decode", TEXT, AT(allow), 0, 0, COMPARE | REPORT, G_HOW,
      "compare runs that differ in these; over other data, where the same id asks the same" },
    { "layout", NULL, 0, "wide|table3|table4", ONE_OF, AT(layout), 0, 0, LEADERBOARD, G_OUT,
      "a column for each headline, or as the paper's tables 3 and 4" },
    { "reference", NULL, 0, "paper|scaling|zoo", ONE_OF, AT(reference), 0, 0, LEADERBOARD, G_OUT,
      "add published figures: the paper's tables 3 and 4, its table 2, LLaVA's model zoo (LoRA)" },
    { "baseline", NULL, 0, "MODEL", TEXT, AT(baseline), 0, 0, LEADERBOARD, G_OUT,
      "add the difference to this line (LLaVA-1.5-7B, say, or LABEL:SET), and the mean ratio to it" },
    { "json", NULL, 0, NULL, FLAG, AT(json), 0, 0,
      SCORE | MERGE | JUDGE | LEADERBOARD | COMPARE | SHOW | ASK | INSPECT | LIST | BENCH | DOCTOR,
      G_OUT, "JSON on stdout" },
    { "man", NULL, 0, NULL, FLAG, AT(man), 0, 0, HELP, G_OUT, "the manual page, as troff" },
    { "completion", NULL, 0, NULL, FLAG, AT(completion), 0, 0, HELP, G_OUT,
      "completion for bash" },

    { "quiet", NULL, 'q', NULL, FLAG, AT(quiet), 0, 0, EVERY, G_COMMON, "errors only" },
    { "verbose", NULL, 'v', NULL, COUNTED, AT(verbose), 0, 0, EVERY, G_COMMON, "say more" },
};

static const struct { int status; const char *meaning; } exit_table[] = {
    { 0, "complete" },
    { 1, "internal failure, or output that could not be written" },
    { 2, "usage" },
    { 3, "data missing or bad" },
    { 4, "checkpoint unusable" },
    { 5, "some answers or judgements are missing" },
    { 6, "device or memory" },
    { 130, "interrupted: the same command goes on" },
    { 141, "the reader of the output went away" },
    { 143, "terminated: the same command goes on" },
};

static const struct { const char *name, *meaning; } environment[] = {
    { "HF_TOKEN", "sent to the Hugging Face hub, and to nobody else" },
    { "HF_ENDPOINT", "the hub's address, https://huggingface.co by default" },
    { "HF_HUB_CACHE, HF_HOME", "where the hub's own tools keep checkpoints; read, never written" },
    { "HF_HUB_OFFLINE", "1: never ask the hub" },
    { "XDG_CACHE_HOME", "data and checkpoints go to llava-eval below it (~/.cache)" },
    { "OPENAI_API_KEY", "sent to the judge of --judge, and to nobody else" },
    { "OPENAI_BASE_URL", "the judge of judge, and of --judge-model, where --judge names none" },
    { "http_proxy, https_proxy, no_proxy", "as curl reads them" },
    { "SLURM_ARRAY_TASK_ID, ..., SLURM_PROCID", "the shard of run, unless --shard is given" },
    { "CUDA_VISIBLE_DEVICES", "the GPUs that cuda:0, cuda:1 ... count" },
    { "LLAVA_SIMD", "CPU kernels: amx, avx512_bf16, avx512, avx2, portable" },
    { "NO_COLOR", "no colours" },
};

/* ---- finding one ------------------------------------------------------------------------------ */

static const struct verb_text *find_verb(const char *name)
{
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (!strcmp(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

/* Equal but for - and _; n bytes of a. */
static bool same_name(const char *a, size_t n, const char *b)
{
    size_t i = 0;
    for (; i < n && b[i] && (a[i] == '_' ? '-' : a[i]) == b[i]; i++)
        ;
    return i == n && !b[i];
}

static const struct option_text *find_option(const char *name, size_t n)
{
    for (size_t i = 0; i < COUNT(options); i++) {
        if (same_name(name, n, options[i].name))
            return &options[i];
        for (const char *alias = options[i].aliases; alias;) {
            char one[32] = "";
            size_t length = strcspn(alias, ",");
            memcpy(one, alias, length < sizeof one ? length : sizeof one - 1);
            if (same_name(name, n, one))
                return &options[i];
            alias = alias[length] ? alias + length + 1 : NULL;
        }
    }
    return NULL;
}

static const char *nearest_verb(const char *word)
{
    const char *names[COUNT(verbs) + 1] = { 0 };
    for (size_t i = 0; i < COUNT(verbs); i++)
        names[i] = verbs[i].name;
    return str_nearest(word, names);
}

static const char *nearest_option(const char *word, unsigned verb)
{
    static const char *const aliases[] = { "tasks", "benchmarks", "benchmark", "model-path",
                                           "prompt-set" };
    const char *names[COUNT(options) + COUNT(aliases) + 3] = { "help", "version" };
    size_t n = 2;
    for (size_t i = 0; i < COUNT(options); i++)
        if (options[i].verbs & verb) {
            if (strlen(word) > 2 && !strncmp(options[i].name, word, strlen(word)))
                return options[i].name;                     /* --temper */
            names[n++] = options[i].name;
        }
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (find_option(aliases[i], strlen(aliases[i]))->verbs & verb)
            names[n++] = aliases[i];
    return str_nearest(word, names);
}

/* "; did you mean X?", or "". */
static const char *meant(struct options *o, const char *prefix, const char *nearest)
{
    return nearest ? arena_fmt(&o->arena, "; did you mean %s%s?", prefix, nearest) : "";
}

/* ---- values ----------------------------------------------------------------------------------- */

/* The list [n] with one more at its end; a list lives in the arena and is copied as it grows. */
static void *append(struct options *o, const void *list, int n, size_t size, const void *element)
{
    char *longer = arena_array(&o->arena, (size_t)n + 1, size);
    if (!longer)
        return NULL;
    if (n)
        memcpy(longer, list, (size_t)n * size);
    memcpy(longer + (size_t)n * size, element, size);
    return longer;
}

static bool takes(const char *alternatives, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = alternatives; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strcspn(at, "|") == n && !strncmp(at, word, n))
            return n > 0;
    return false;
}

static enum status add_suite_item(struct options *o, const char *word, struct err *e)
{
    char *name = arena_str(&o->arena, word), *colon = strchr(name, ':');
    if (colon)
        *colon = '\0';
    const struct benchmark *b = benchmark_find(name);
    if (!b) {
        const char *names[64] = { "all" };
        for (size_t i = 0; benchmarks[i] && i + 2 < COUNT(names); i++)
            names[i + 1] = benchmarks[i]->name;
        return err_set(e, ERR_USAGE, "there is no benchmark \"%s\"%s (llava-eval list shows all)",
                       name, meant(o, "", str_nearest(name, names)));
    }
    if (colon && (!colon[1] || strchr(colon + 1, ',') || !benchmark_lists(b->splits, colon + 1)))
        return err_set(e, ERR_USAGE, "%s has no split \"%s\": it has %s", b->name, colon + 1,
                       b->splits);
    struct suite_item item = { b->name, colon ? colon + 1 : NULL };
    o->suite = append(o, o->suite, o->n_suite, sizeof item, &item);
    if (o->suite)
        o->n_suite++;
    return OK;
}

static enum status add_all(struct options *o)
{
    for (size_t i = 0; benchmarks[i]; i++) {
        struct suite_item item = { benchmarks[i]->name, NULL };
        o->suite = append(o, o->suite, o->n_suite, sizeof item, &item);
        if (o->suite)
            o->n_suite++;
    }
    return OK;
}

/* Calls add() for each of the words between commas; blanks around them do not count. */
static enum status each_word(struct options *o, const char *list, const char *separators,
                             enum status (*add)(struct options *, const char *, struct err *),
                             struct err *e)
{
    while (*list && e->code == OK) {
        size_t n = strcspn(list, separators), from = strspn(list, " \t\r");
        size_t to = n;
        while (to > from && strchr(" \t\r", list[to - 1]))
            to--;
        if (to > from)
            add(o, arena_strn(&o->arena, list + from, to - from), e);
        list += n + (list[n] != '\0');
    }
    return e->code;
}

static enum status add_suite_word(struct options *o, const char *word, struct err *e)
{
    return strcmp(word, "all") ? add_suite_item(o, word, e) : add_all(o);
}

static enum status add_id(struct options *o, const char *word, struct err *e)
{
    (void)e;
    o->ids = append(o, o->ids, o->n_ids, sizeof word, &word);
    if (o->ids)
        o->n_ids++;
    return OK;
}

static enum status add_ids(struct options *o, const char *value, struct err *e)
{
    struct file f;
    if (value[0] != '@')
        each_word(o, value, ",", add_id, e);
    else if (file_open(&f, value + 1, ERR_USAGE, e) == OK) {
        if (f.n > IDS_FILE_LIMIT)
            err_set(e, ERR_USAGE, "%s: %zu bytes are too many for a list of ids", value + 1, f.n);
        else
            each_word(o, arena_strn(&o->arena, f.at, f.n), "\n", add_id, e);
        file_close(&f);
    }
    if (e->code == OK && o->n_ids == 0)
        err_set(e, ERR_USAGE, "--ids %s: no id in it", value);
    return e->code;
}

/* PATH|HUB_ID[=LABEL]: split at the last '=', unless all of it is a path that exists. */
static enum status add_model(struct options *o, const char *value, struct err *e)
{
    char *path = arena_str(&o->arena, value), *equals = strrchr(path, '=');
    const char *label = NULL;
    if (equals && !file_exists(path)) {
        *equals = '\0';
        label = equals + 1;
    }
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    if (!label)
        label = path_base(path);
    if (!n || !*label)
        return err_set(e, ERR_USAGE, "--model %s: expected PATH, HUB_ID or either with =LABEL",
                       value);
    struct model_choice model = { path, label };
    o->models = append(o, o->models, o->n_models, sizeof model, &model);
    if (o->models)
        o->n_models++;
    return OK;
}

static enum status set_shard(struct options *o, const char *value, struct err *e)
{
    int64_t i = 0, n = 0;
    char *first = arena_str(&o->arena, value), *slash = strchr(first, '/');
    if (slash)
        *slash = '\0';
    if (!slash || !str_to_int(first, &i) || !str_to_int(slash + 1, &n) || n < 1 || n > MOST_SHARDS ||
        i < 1 || i > n)
        return err_set(e, ERR_USAGE, "--shard %s: expected I/N with I from 1 to N, as 2/8", value);
    o->shard_index = (int)i;
    o->n_shards = (int)n;
    return OK;
}

static enum status set_limit(struct options *o, const char *value, struct err *e)
{
    double x;
    if (!str_to_double(value, &x) || x <= 0 || x > 1e9 || (x >= 1 && x != floor(x)))
        return err_set(e, ERR_USAGE, "--limit %s: expected a count (200) or a share (0.1)", value);
    o->limit = x;
    return OK;
}

static enum status check_allowed(struct options *o, const char *word, struct err *e)
{
    (void)o;
    return takes("data|prompts|decode", word) ? OK
           : err_set(e, ERR_USAGE, "--allow %s: expected data, prompts or decode", word);
}

static enum status set_device(const char *value, struct err *e)
{
    if (!strcmp(value, "auto") || !strcmp(value, "cpu") || !strcmp(value, "cuda"))
        return OK;
    size_t n = strlen(value);
    if (!strncmp(value, "cuda:", 5) && n > 5 && strspn(value + 5, "0123456789,") == n - 5)
        return OK;
    return err_set(e, ERR_USAGE, "--device %s: expected auto, cpu, cuda, cuda:1 or cuda:0,1", value);
}

static enum status set_template(struct options *o, const char *value, struct err *e)
{
    if (!strcmp(value, "auto") || conversation_known(value))
        return OK;
    struct str known;
    str_init(&known, 4096);
    for (const char *const *name = conversation_names(); *name; name++)
        str_addf(&known, ", %s", *name);
    err_set(e, ERR_USAGE, "there is no conversation template \"%s\"%s (known: auto%s)", value,
            meant(o, "", str_nearest(value, conversation_names())), known.at);
    str_free(&known);
    return e->code;
}

static enum status set_value(struct options *o, const struct option_text *t, const char *value,
                             struct err *e)
{
    static const char *const formats[] = { "text", "md", "csv", "tsv", "latex", "json", "html" };
    char *field = (char *)o + t->at;
    int64_t whole;
    double real;

    switch (t->kind) {
    case FLAG:
        *(bool *)field = true;
        return OK;
    case COUNTED:
        ++*(int *)field;
        return OK;
    case TEXT:
        *(const char **)field = value;
        if (t->at == AT(device))
            return set_device(value, e);
        if (t->at == AT(allow))
            return each_word(o, value, ",", check_allowed, e);
        if (t->at == AT(template))
            return set_template(o, value, e);
        if (!*value && t->at != AT(prompt))
            return err_set(e, ERR_USAGE, "--%s needs %s, and was given nothing", t->name,
                           t->argument);
        return OK;
    case ONE_OF:
        *(const char **)field = value;
        if (!takes(t->argument, value))
            return err_set(e, ERR_USAGE, "--%s %s: expected %s", t->name, value, t->argument);
        return OK;
    case WHOLE:
        if (!str_to_int(value, &whole) || (double)whole < t->least || (double)whole > t->most)
            return err_set(e, ERR_USAGE, "--%s %s: expected a whole number from %.0f to %.0f",
                           t->name, value, t->least, t->most);
        *(int *)field = (int)whole;
        return OK;
    case REAL:
        if (!str_to_double(value, &real) || real < t->least || real > t->most)
            return err_set(e, ERR_USAGE, "--%s %s: expected a number from %.0f to %.0f", t->name,
                           value, t->least, t->most);
        *(double *)field = real;
        return OK;
    case SEED:
        if (!str_to_int(value, &whole) || whole < 0)
            return err_set(e, ERR_USAGE, "--seed %s: expected a whole number from 0", value);
        o->seed = (uint64_t)whole;
        return OK;
    case FORMAT:
        for (size_t i = 0; i < COUNT(formats); i++)
            if (!strcmp(value, formats[i])) {
                o->format = (enum table_format)i;
                return OK;
            }
        return err_set(e, ERR_USAGE, "--format %s: expected %s", value, t->argument);
    case SUITE:
        o->suite_given = true;
        if (each_word(o, value, ",", add_suite_word, e) == OK && o->n_suite == 0)
            err_set(e, ERR_USAGE, "--suite \"%s\": no benchmark in it", value);
        return e->code;
    case PROMPTS:
        o->prompts = append(o, o->prompts, o->n_prompts, sizeof value, &value);
        if (o->prompts)
            o->n_prompts++;
        return OK;
    case MODELS: return add_model(o, value, e);
    case SHARD:  return set_shard(o, value, e);
    case LIMIT:  return set_limit(o, value, e);
    case IDS:    return add_ids(o, value, e);
    }
    return OK;
}

/* ---- the environment -------------------------------------------------------------------------- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool switched_on(const char *name)                   /* as the hub's own tools read it */
{
    const char *value = variable(name);
    return value && (!strcasecmp(value, "1") || !strcasecmp(value, "true") ||
                     !strcasecmp(value, "yes") || !strcasecmp(value, "on"));
}

static bool number_of(const char *name, int64_t *out)
{
    const char *value = variable(name);
    return value && str_to_int(value, out);
}

/* An array task is a shard; else a task of a job step is. In a batch script outside of any step
 * SLURM_PROCID is 0 for the one process there is: that is no shard. Numbers that do not fit together
 * (an array with holes, --array=2,5) are refused: they would ask some questions twice and others
 * never. */
static enum status shard_from_slurm(struct options *o, struct err *e)
{
    int64_t id, n, from = 0, step = 1, last;

    if (number_of("SLURM_ARRAY_TASK_ID", &id)) {
        if (!number_of("SLURM_ARRAY_TASK_COUNT", &n))
            return OK;
        if (!number_of("SLURM_ARRAY_TASK_MIN", &from))
            from = 0;
        if (!number_of("SLURM_ARRAY_TASK_STEP", &step) || step < 1)
            step = 1;
        if (n < 1 || n > MOST_SHARDS || from < 0 || id < from || (id - from) % step ||
            (id - from) / step >= n)
            return err_set(e, ERR_USAGE, "SLURM_ARRAY_TASK_ID %lld is none of SLURM_ARRAY_TASK_COUNT "
                           "%lld tasks from %lld in steps of %lld: say which part this is with "
                           "--shard I/N", (long long)id, (long long)n, (long long)from,
                           (long long)step);
        if (number_of("SLURM_ARRAY_TASK_MAX", &last) && (last < from || (last - from) / step != n - 1))
            return err_set(e, ERR_USAGE, "the array has holes (SLURM_ARRAY_TASK_COUNT %lld, from %lld to "
                           "%lld in steps of %lld) and is no cut of the whole: say which part this is "
                           "with --shard I/N", (long long)n, (long long)from, (long long)last,
                           (long long)step);
        id = (id - from) / step;
    } else if (!number_of("SLURM_PROCID", &id) ||
               (!number_of("SLURM_STEP_NUM_TASKS", &n) && !number_of("SLURM_NTASKS", &n)) ||
               (variable("SLURM_JOB_ID") && !variable("SLURM_STEP_ID"))) {
        return OK;
    } else if (n < 1 || n > MOST_SHARDS || id < 0 || id >= n) {
        return err_set(e, ERR_USAGE, "SLURM_PROCID %lld is none of %lld tasks: say which part this is "
                       "with --shard I/N", (long long)id, (long long)n);
    }
    if (n > 1) {
        o->shard_index = (int)id + 1;
        o->n_shards = (int)n;
        o->shard_from_slurm = true;
    }
    return OK;
}

/* The store of this shard: {shard} becomes I-of-N. */
static void settle_store(struct options *o, bool by_default)
{
    static const char mark[] = "{shard}";
    const char *at = strstr(o->db, mark);

    if (by_default && o->shard_from_slurm)
        o->db = arena_fmt(&o->arena, "llava-eval.%d-of-%d.db", o->shard_index, o->n_shards);
    else if (at)
        o->db = arena_fmt(&o->arena, "%.*s%d-of-%d%s", (int)(at - o->db), o->db, o->shard_index,
                          o->n_shards, at + strlen(mark));
}

static const char *home_dir(void)
{
    const struct passwd *user;
    const char *home = variable("HOME");
    return home ? home : (user = getpwuid(getuid())) ? user->pw_dir : "/";
}

/* The embedded default stands beside the program, or where `make install` puts it. */
static void find_demo(struct options *o)
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    const char *places[3] = { NULL, NULL, *DEMO_DIR ? DEMO_DIR : NULL };
    if (n > 0) {
        program[n] = '\0';
        *strrchr(program, '/') = '\0';
        places[0] = arena_fmt(&o->arena, "%s/demo", program);
        places[1] = arena_fmt(&o->arena, "%s/../share/llava-eval/demo", program);
    }
    for (size_t i = 0; i < COUNT(places) && !o->demo_dir; i++)
        if (places[i] && file_is_dir(path_join(&o->arena, places[i], "mirror")))
            o->demo_dir = places[i];
}

static void read_environment(struct options *o)
{
    struct arena *a = &o->arena;
    const char *home = home_dir(), *cache = variable("XDG_CACHE_HOME"), *hf = variable("HF_HOME");

    if (!cache || cache[0] != '/')                          /* relative ones: to be ignored */
        cache = path_join(a, home, ".cache");
    o->cache_dir = path_join(a, cache, "llava-eval");
    o->hf_token = variable("HF_TOKEN");
    o->hf_endpoint = variable("HF_ENDPOINT");
    if (!o->hf_endpoint)
        o->hf_endpoint = "https://huggingface.co";
    o->hf_hub_cache = variable("HF_HUB_CACHE");
    if (!o->hf_hub_cache)
        o->hf_hub_cache = path_join(a, hf ? hf : path_join(a, cache, "huggingface"), "hub");
    o->hub_offline = switched_on("HF_HUB_OFFLINE");
    o->simd = variable("LLAVA_SIMD");
    const char *term = variable("TERM");
    o->color = !variable("NO_COLOR") && term && strcmp(term, "dumb") && isatty(STDOUT_FILENO) &&
               isatty(STDERR_FILENO);
    find_demo(o);
}

/* ---- parsing ---------------------------------------------------------------------------------- */

/* Names the verbs an option belongs to: "run and score". */
static const char *owners(struct options *o, unsigned bits)
{
    char *list = "";
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (bits & verbs[i].bit)
            list = arena_fmt(&o->arena, "%s%s%s", list, *list ? ", " : "", verbs[i].name);
    return list;
}

static enum status take_option(struct options *o, const struct verb_text *verb, int argc,
                               char **argv, int *i, struct err *e)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    const struct option_text *t = find_option(word, n);
    const char *name = arena_strn(&o->arena, word, n);

    if (!t)
        return err_set(e, ERR_USAGE, "%s has no option --%s%s (llava-eval %s --help)", verb->name,
                       name, meant(o, "--", nearest_option(name, verb->bit)), verb->name);
    if (!(t->verbs & verb->bit))
        return err_set(e, ERR_USAGE, "--%s is no option of %s, but of %s", name, verb->name,
                       owners(o, t->verbs));
    if (!t->argument) {
        if (equals)
            return err_set(e, ERR_USAGE, "--%s takes no value, and was given \"%s\"", name,
                           equals + 1);
        return set_value(o, t, NULL, e);
    }
    if (equals)
        return set_value(o, t, equals + 1, e);
    if (++*i >= argc)
        return err_set(e, ERR_USAGE, "--%s needs %s behind it", name, t->argument);
    return set_value(o, t, argv[*i], e);
}

static enum status take_letters(struct options *o, const struct verb_text *verb, const char *word,
                                struct err *e)
{
    for (const char *letter = word + 1; *letter && e->code == OK; letter++) {
        const struct option_text *t = NULL;
        for (size_t k = 0; k < COUNT(options); k++)
            if (options[k].letter == *letter)
                t = &options[k];
        if (!t)
            return err_set(e, ERR_USAGE, "%s has no option %s (llava-eval %s --help)", verb->name,
                           word, verb->name);
        set_value(o, t, NULL, e);
    }
    return e->code;
}

static bool wants_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static bool wants_version(const char *word)
{
    return !strcmp(word, "--version") || !strcmp(word, "-V");
}

static void become_help(struct options *o, const char *topic)
{
    const char **words = arena_array(&o->arena, 1, sizeof *words);
    o->verb = "help";
    o->n_words = topic && words ? 1 : 0;
    if (words)
        words[0] = topic;
    o->words = words;
}

/* Splits that were left open: --split, else the demo's, else the benchmark's default. */
static enum status settle_suite(struct options *o, struct err *e)
{
    if (!o->suite_given && strcmp(o->verb, "score") && strcmp(o->verb, "show") &&
        strcmp(o->verb, "export") && strcmp(o->verb, "fetch"))
        add_all(o);
    struct suite_item *items = arena_array(&o->arena, (size_t)o->n_suite, sizeof *items);
    if (!items)
        return OK;                                          /* seen by the caller: arena.failed */
    for (int i = 0; i < o->n_suite; i++) {
        const struct benchmark *b = benchmark_find(o->suite[i].benchmark);
        char first[32];
        benchmark_default_split(b, first);
        const char *split = o->suite[i].split ? o->suite[i].split : o->split;
        if (split && (strchr(split, ',') || !benchmark_lists(b->splits, split)))
            return err_set(e, ERR_USAGE, "%s has no split \"%s\": it has %s", b->name, split,
                           b->splits);
        if (!split && o->demo && benchmark_lists(b->exported ? b->exported : "", first))
            split = "val";                                  /* the demo scores what it asks */
        items[i] = (struct suite_item){ b->name, split ? split : arena_str(&o->arena, first) };
    }
    o->suite = items;
    return OK;
}

/* As a URL's path: what a URL would read as its own is written as %XX. */
static const char *as_file_url(struct options *o, const char *path)
{
    struct str url;
    char here[PATH_MAX];
    if (path[0] != '/' && getcwd(here, sizeof here))
        path = path_join(&o->arena, here, path);
    str_init(&url, 4 * PATH_MAX);
    str_add(&url, "file://");
    for (; *path; path++)
        if (strchr("%?# \"<>[]\\^`{|}", *path) || (unsigned char)*path < ' ' || *path & 0x80)
            str_addf(&url, "%%%02X", (unsigned)(unsigned char)*path);
        else
            str_addc(&url, *path);
    const char *copy = arena_str(&o->arena, url.at);
    str_free(&url);
    return copy;
}

static enum status settle_demo(struct options *o, struct err *e)
{
    struct arena *a = &o->arena;
    if (!o->demo_dir)
        return err_set(e, ERR_USAGE, "run needs --model PATH|HUB_ID: the folder of the "
                       "demonstration is not beside the program, nor in %s",
                       *DEMO_DIR ? DEMO_DIR : "any installed place");
    o->demo = true;
    add_model(o, path_join(a, o->demo_dir, "checkpoints/tiny-linear"), e);
    add_model(o, path_join(a, o->demo_dir, "checkpoints/tiny-mlp"), e);
    if (!o->mirror)
        o->mirror = as_file_url(o, path_join(a, o->demo_dir, "mirror"));
    if (!o->data)
        o->data = path_join(a, o->cache_dir, "demo-data");
    if (!o->judge)
        o->judge = "demo";
    return e->code;
}

/* A file of recorded replies is of one benchmark. */
static enum status settle_replay(struct options *o, struct err *e)
{
    int judged = 0;
    for (int i = 0; i < o->n_suite; i++)
        judged += benchmark_find(o->suite[i].benchmark)->judge_mark != NULL;
    if (judged != 1)
        return err_set(e, ERR_USAGE, "--judge-replay holds the replies to one judged benchmark: name it "
                       "with --suite (%d are)", judged);
    if (o->judge && !o->demo)
        return err_set(e, ERR_USAGE, "--judge-replay answers in the judge's place: leave --judge out");
    return OK;
}

/* The judge's address and key: no default but the verb's own variable. */
static enum status settle_judge(struct options *o, const struct verb_text *verb, struct err *e)
{
    if (o->judge_replay)
        return settle_replay(o, e);
    if (!o->judge && (verb->bit == JUDGE || (o->judge_model && verb->bit & (RUN | SCORE))))
        o->judge = variable("OPENAI_BASE_URL");
    if (verb->bit == JUDGE && !o->judge)
        return err_set(e, ERR_USAGE, "judge needs --judge URL and --judge-model NAME: there is no "
                       "default judge");
    if (!o->judge || !strcmp(o->judge, "demo"))
        return OK;
    if (!strstr(o->judge, "://"))
        return err_set(e, ERR_USAGE, "--judge: expected demo or an address as https://host/v1");
    if (!o->judge_model)
        return err_set(e, ERR_USAGE, "--judge URL needs --judge-model NAME: the judge is part of "
                       "the score");
    if (o->judge_max_cost >= 0 && !(o->judge_price_in > 0 && o->judge_price_out > 0))
        return err_set(e, ERR_USAGE, "--judge-max-cost needs --judge-price-in and "
                       "--judge-price-out: no prices are built in");
    o->judge_key = variable(o->judge_key_env);
    return OK;
}

static enum status settle(struct options *o, const struct verb_text *verb, struct err *e)
{
    static const struct { const char *name; enum llava_image_mode mode; } modes[] = {
        { "config", LLAVA_AS_CONFIG }, { "pad", LLAVA_PAD }, { "crop", LLAVA_CROP },
    };
    bool db_by_default = !o->db;
    if (db_by_default)
        o->db = "llava-eval.db";
    if (verb->bit == RUN && !o->n_models && settle_demo(o, e) != OK)
        return e->code;
    if (verb->bit & (DATA | LEADERBOARD | COMPARE) && settle_suite(o, e) != OK)
        return e->code;
    if (settle_judge(o, verb, e) != OK)
        return e->code;
    for (size_t i = 0; i < COUNT(modes); i++)
        if (!strcmp(o->image_mode_name, modes[i].name))
            o->image_mode = modes[i].mode;
    for (int i = 0; i < o->n_models; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(o->models[i].label, o->models[k].label))
                return err_set(e, ERR_USAGE, "two models would both be called \"%s\" in tables: "
                               "tell them apart with --model %s=LABEL", o->models[i].label,
                               o->models[i].path);
    if (!o->data)
        o->data = path_join(&o->arena, o->cache_dir, "data");
    if (o->mirror && !strstr(o->mirror, "://"))
        o->mirror = as_file_url(o, o->mirror);
    if (o->n_prompts == 0 && verb->bit != COMPARE) {        /* there the words may name them */
        const char *paper = "paper";
        o->prompts = append(o, NULL, 0, sizeof paper, &paper);
        o->n_prompts = o->prompts ? 1 : 0;
    }
    if (verb->bit == SHOW && o->n_prompts > 1)
        return err_set(e, ERR_USAGE, "show takes one --prompts, %d are given", o->n_prompts);
    if (o->json && o->format != TABLE_TEXT && o->format != TABLE_JSON)
        return err_set(e, ERR_USAGE, "--json is --format json: leave one of them out");
    if (o->json)
        o->format = TABLE_JSON;
    if (o->n_ids && o->limit > 0)
        return err_set(e, ERR_USAGE, "--ids names the questions: leave --limit out");
    if (o->offline)
        o->hub_offline = true;
    if (verb->bit == RUN && !o->n_shards)
        shard_from_slurm(o, e);
    if (!o->n_shards)
        o->shard_index = o->n_shards = 1;
    if (verb->bit == RUN)
        settle_store(o, db_by_default);
    return e->code;
}

enum status options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    *o = (struct options){ .device = "auto", .dtype = "auto",
                           .template = "auto", .image_mode_name = "config", .top_p = 1,
                           .judge_profile = "classic", .judge_system = "separate", .judge_key_env = "OPENAI_API_KEY",
                           .judge_concurrency = 4, .judge_timeout = 120, .judge_retries = 6,
                           .judge_max_cost = -1, .images = 8, .questions_per_image = 6,
                           .reply_tokens = 3 };
    read_environment(o);

    int i = 1;
    const struct verb_text *verb = find_verb("run");        /* llava-eval --suite all */
    if (argc < 2 || wants_help(argv[1])) {
        become_help(o, NULL);
        return OK;
    }
    if (wants_version(argv[1])) {
        o->verb = "version";
        return OK;
    }
    if (argv[1][0] != '-') {
        verb = find_verb(argv[i++]);
        if (!verb)
            return err_set(e, ERR_USAGE, "there is no verb \"%s\"%s (llava-eval --help)", argv[1],
                           meant(o, "", nearest_verb(argv[1])));
    }
    o->verb = verb->name;
    const char **words = arena_array(&o->arena, (size_t)argc, sizeof *words);
    bool only_words = false;
    for (; i < argc && words && e->code == OK; i++) {
        const char *word = argv[i];
        if (only_words || word[0] != '-' || !word[1]) {
            words[o->n_words++] = word;
        } else if (wants_help(word)) {
            become_help(o, verb->name);
            return OK;
        } else if (!strcmp(word, "--")) {
            only_words = true;
        } else if (word[1] == '-') {
            take_option(o, verb, argc, argv, &i, e);
        } else {
            take_letters(o, verb, word, e);
        }
    }
    o->words = words;
    if (e->code == OK && o->n_words > verb->most_words)
        err_set(e, ERR_USAGE, "%s does not know what to do with \"%s\" (llava-eval %s --help)",
                verb->name, words[verb->most_words], verb->name);
    if (e->code == OK && verb->bit == HELP && o->n_words && !find_verb(words[0]))
        err_set(e, ERR_USAGE, "there is no verb \"%s\"%s (llava-eval --help)", words[0],
                meant(o, "", nearest_verb(words[0])));
    if (e->code == OK)
        settle(o, verb, e);
    if (e->code == OK && o->arena.failed)
        err_set(e, ERR_MEMORY, "no memory for the command line");
    return e->code;
}

void options_free(struct options *o)
{
    arena_free(&o->arena);
    *o = (struct options){ 0 };
}

/* ---- help ------------------------------------------------------------------------------------- */

enum { WIDE = 80, HELP_AT = 30 };

/* Words broken at WIDE columns, every line but the first indented. */
static void wrap(FILE *out, const char *text, int column, int indent)
{
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (column > indent && column + 1 + n > WIDE) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void pair(FILE *out, const char *left, const char *right, int at)
{
    int n = fprintf(out, "  %s", left);
    if (n > at - 2) {
        fputc('\n', out);
        n = 0;
    }
    fprintf(out, "%*s", at - n, "");
    wrap(out, right, at, at);
}

static void option_left(const struct option_text *t, char *out, size_t size)
{
    char letter[8] = "";
    if (t->letter)
        snprintf(letter, sizeof letter, "-%c, ", t->letter);
    snprintf(out, size, "%s--%s%s%s", letter, t->name, t->argument ? " " : "",
             t->argument ? t->argument : "");
}

static void help_options(FILE *out, unsigned bit)
{
    for (int g = 0; g < N_GROUPS; g++) {
        bool titled = false;
        for (size_t i = 0; i < COUNT(options); i++) {
            const struct option_text *t = &options[i];
            char left[96];
            if (t->group != (enum group)g || !(t->verbs & bit))
                continue;
            if (!titled)
                fprintf(out, "\n%s\n", group_titles[g]);
            titled = true;
            option_left(t, left, sizeof left);
            pair(out, left, t->help, HELP_AT);
            if (t->aliases)
                fprintf(out, "%*s(also --%s)\n", HELP_AT, "", t->aliases);
        }
    }
}

static void help_exit(FILE *out)
{
    fprintf(out, "\nExit status\n");
    for (size_t i = 0; i < COUNT(exit_table); i++)
        fprintf(out, "  %3d  %s\n", exit_table[i].status, exit_table[i].meaning);
}

void options_help(FILE *out, const char *name)
{
    const struct verb_text *verb = name ? find_verb(name) : NULL;
    if (verb) {
        fprintf(out, "llava-eval %s%s%s [option...]\n\n", verb->name, *verb->words ? " " : "",
                verb->words);
        fputs("  ", out);
        wrap(out, verb->summary, 2, 2);
        if (verb->more) {
            fputs("\n  ", out);
            wrap(out, verb->more, 2, 2);
        }
        help_options(out, verb->bit);
        fprintf(out, "\nExample\n  %s\n", verb->example);
        help_exit(out);
        return;
    }
    fprintf(out, "llava-eval evaluates LLaVA-1.5 style checkpoints on the eleven benchmarks of the "
                 "paper.\n\n  llava-eval VERB [option...]       llava-eval VERB --help says more\n"
                 "\nVerbs\n");
    for (size_t i = 0; i < COUNT(verbs); i++)
        pair(out, verbs[i].name, verbs[i].summary, 16);
    fprintf(out, "\nCommon options\n");
    for (size_t i = 0; i < COUNT(options); i++) {
        static const char *const common[] = { "suite", "model", "data", "db", "device", "dtype",
                                              "prompts", "limit", "offline", "quiet", "verbose" };
        for (size_t k = 0; k < COUNT(common); k++)
            if (!strcmp(options[i].name, common[k])) {
                char left[96];
                option_left(&options[i], left, sizeof left);
                pair(out, left, options[i].help, HELP_AT);
            }
    }
    fprintf(out, "\nExamples\n"
                 "  llava-eval --suite all                    the demonstration\n");
    for (size_t i = 0; i < 4; i++)
        fprintf(out, "  %s\n", verbs[i].example);
    fprintf(out, "\nEnvironment\n");
    for (size_t i = 0; i < COUNT(environment); i++)
        pair(out, environment[i].name, environment[i].meaning, HELP_AT);
    help_exit(out);
}

/* ---- the manual page, and completion ---------------------------------------------------------- */

/* troff reads a leading dot or quote as a request, - as a hyphen, \ as its escape. */
static void troff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++)
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
}

static void troff_item(FILE *out, const char *term, const char *text)
{
    fputs(".TP\n.B \"", out);
    troff(out, term);
    fputs("\"\n", out);
    troff(out, text);
    fputc('\n', out);
}

void options_man(FILE *out)
{
    fputs(".TH LLAVA\\-EVAL 1\n.SH NAME\nllava\\-eval \\- evaluate LLaVA\\-1.5 style checkpoints\n"
          ".SH SYNOPSIS\n.B llava\\-eval\n.I VERB\n[option...]\n.SH DESCRIPTION\n"
          "Fetches benchmarks, asks a checkpoint every question with the paper's prompts, scores as "
          "the\nofficial evaluators do, and keeps every reply. Results go to standard output, "
          "messages to\nstandard error. Without a verb, options mean\n.BR run .\n.SH VERBS\n", out);
    for (size_t i = 0; i < COUNT(verbs); i++) {
        char term[64];
        snprintf(term, sizeof term, "%s%s%s", verbs[i].name, *verbs[i].words ? " " : "",
                 verbs[i].words);
        troff_item(out, term, verbs[i].summary);
        if (verbs[i].more) {
            fputs(".br\n", out);
            troff(out, verbs[i].more);
            fputc('\n', out);
        }
    }
    fputs(".SH OPTIONS\nIn names - and _ mean the same. \\-h and \\-\\-help print a verb's page, \\-V and "
          "\\-\\-version the program's version.\n", out);
    struct options scratch = { 0 };
    for (int g = 0; g < N_GROUPS; g++) {
        fprintf(out, ".SS %s\n", group_titles[g]);
        for (size_t i = 0; i < COUNT(options); i++) {
            char left[96];
            if (options[i].group != (enum group)g)
                continue;
            option_left(&options[i], left, sizeof left);
            troff_item(out, left, options[i].help);
            if (options[i].aliases)
                fprintf(out, "(also \\-\\-%s)\n", options[i].aliases);
            if (options[i].verbs != (unsigned)EVERY)
                fprintf(out, "(%s)\n", owners(&scratch, options[i].verbs));
        }
    }
    options_free(&scratch);
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < COUNT(exit_table); i++) {
        char status[8];
        snprintf(status, sizeof status, "%d", exit_table[i].status);
        troff_item(out, status, exit_table[i].meaning);
    }
    fputs(".SH ENVIRONMENT\n", out);
    for (size_t i = 0; i < COUNT(environment); i++)
        troff_item(out, environment[i].name, environment[i].meaning);
    fputs(".SH EXAMPLES\n.nf\n", out);
    for (size_t i = 0; i < COUNT(verbs); i++) {
        troff(out, verbs[i].example);
        fputc('\n', out);
    }
    fputs(".fi\n", out);
}

void options_completion(FILE *out)
{
    fputs("# bash completion for llava-eval\n_llava_eval()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} words\n"
          "    case $last in\n    --suite|--tasks|--benchmarks|--benchmark|describe) words='all", out);
    for (size_t i = 0; benchmarks[i]; i++)
        fprintf(out, " %s", benchmarks[i]->name);
    fputs("' ;;\n    --prompts|--prompt-set) words='", out);
    for (const char *const *name = prompt_set_names(); *name; name++)
        fprintf(out, "%s ", *name);
    fputs("' ;;\n", out);
    for (size_t i = 0; i < COUNT(options); i++)
        if (options[i].kind == ONE_OF || options[i].kind == FORMAT) {
            fprintf(out, "    --%s) words='", options[i].name);
            for (const char *c = options[i].argument; *c; c++)
                fputc(*c == '|' ? ' ' : *c, out);
            fputs("' ;;\n", out);
        }
    fputs("    *) case ${COMP_WORDS[1]} in\n", out);
    for (size_t v = 0; v < COUNT(verbs); v++) {
        fprintf(out, "        %s) words='--help", verbs[v].name);
        for (size_t i = 0; i < COUNT(options); i++)
            if (options[i].verbs & verbs[v].bit)
                fprintf(out, " --%s", options[i].name);
        fputs("' ;;\n", out);
    }
    fputs("        *) words='", out);
    for (size_t v = 0; v < COUNT(verbs); v++)
        fprintf(out, "%s ", verbs[v].name);
    fputs("' ;;\n        esac ;;\n    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n}\n"
          "complete -F _llava_eval llava-eval\n", out);
}
