/* prompt.h -- every text that a model or a judge reads; frozen, hashed, each with its source.
 *
 *   question  --prompt_text-->  T, what follows "<image>\n" in the user's turn
 *             --conversation_render-->  the whole prompt string, assistant turn left open
 *
 * Knows no benchmark: a benchmark names a format and hands its parts over. */
#ifndef PROMPTS_PROMPT_H
#define PROMPTS_PROMPT_H

#include "engine/base/arena.h"

enum prompt_format {            /* LLaVA-1.5, Table 8; layout from its released question files */
    FORMAT_SHORT,               /* VQAv2, GQA, POPE: Q, then SHORT */
    FORMAT_UNANSWERABLE,        /* VizWiz: capitalised Q, UNANS, SHORT */
    FORMAT_OCR,                 /* TextVQA: capitalised Q, OCR line (context: tokens joined), SHORT */
    FORMAT_YESNO,               /* MME: Q without its "Please answer yes or no.", SHORT */
    FORMAT_SCIENCE,             /* ScienceQA: "Context: " hint, Q, options, LETTER, blanks squashed */
    FORMAT_LETTER,              /* MMBench: hint, Q, options, LETTER; SEED-Bench has no hint */
    FORMAT_LETTER_CN,           /* MMBench-CN: the Chinese instruction */
    FORMAT_PLAIN,               /* LLaVA-Bench, MM-Vet: Q alone */
};

struct prompt_item {
    const char *question;       /* as in the benchmark's file */
    const char *context;        /* hint, or OCR tokens joined by ", " ("" is a line without); NULL */
    const char *const *options; /* texts, without letters */
    int n_options;
    bool has_image;
};

struct prompt_set;              /* immutable once open */

/* "paper", another named set, or a file (a path with a slash, a name ending in .json, or a file that
 * is there) that puts other templates in place of the paper's:
 *
 *     {"name": "terse", "conversation": "llava_v1", "image_last": false,
 *      "benchmarks": {"pope": "{question}\nYes or no?", "*": "{hint}{question}\n{options}"}}
 *
 * Only "name" and "benchmarks" must be there; "*" stands for every benchmark not named. In a
 * template, T of the paper is its text with
 *     {question}  the question as the paper's format reads it (VizWiz and TextVQA capitalised, MME
 *                 without its ending)          {original}  the question as in the benchmark's file
 *     {hint}      "Context: H\n" (ScienceQA), "H\n" (MMBench), or nothing without a hint
 *     {ocr}       "Reference OCR token: t1, t2"
 *     {options}   "A. first\nB. second"        {inline}    "(a) first (b) second"
 *     {{          a brace
 * ERR_USAGE names the known sets and the nearest one for a typo, or the file and what is wrong. */
enum status prompt_set_open(struct prompt_set **out, const char *name_or_file, struct err *e);
void prompt_set_close(struct prompt_set *set);
const char *prompt_set_name(const struct prompt_set *set);

/* Benchmarks that a file names ("*" included), NULL-terminated; none for a built-in set. */
const char *const *prompt_set_overrides(const struct prompt_set *set);

/* T in the arena, "" and a->failed when memory ran out. `benchmark` as in --suite: sets may differ
 * by it ("noocr" only changes textvqa). */
const char *prompt_text(const struct prompt_set *set, const char *benchmark,
                        enum prompt_format format, const struct prompt_item *item,
                        struct arena *a);

/* Hex SHA-256 of the set's exact template text for this benchmark and format, with the texts of the
 * conversation template: equal hashes mean equal prompts for equal questions. */
void prompt_hash(const struct prompt_set *set, const char *benchmark, enum prompt_format format,
                 const char *conversation, char out[65]);

/* Is the reply of the form that this format asks for: a word or phrase (five words at most), yes or
 * no, one letter, or, where it asks for none, a sentence (several words and a full stop, a question
 * or an exclamation mark at the end)? */
bool format_obeyed(enum prompt_format format, const char *reply);
const char *format_expects(enum prompt_format format);      /* "a word or phrase", ... */

/* A set may ask for a conversation template of its own ("sys-human"), or NULL. */
const char *prompt_set_conversation(const struct prompt_set *set);

/* Names of all sets, NULL-terminated. */
const char *const *prompt_set_names(void);

/* The template for a checkpoint, never by its connector: vicuna_v1 when config.json names its
 * projector type (or is llava-hf's), else by name as run_llava.py: llama-2, v1, else v0. */
const char *conversation_default(bool has_projector_type, const char *checkpoint_name);
bool conversation_known(const char *name);
const char *const *conversation_names(void);

/* The whole prompt string for one message T, in the arena; ERR_DATA when T itself holds "<image>"
 * (a second slot). image-last sets put the image behind T. */
enum status conversation_render(const char *name, const char *T, bool has_image,
                                bool use_im_start_end, bool image_last, struct arena *a,
                                const char **out, struct err *e);
bool prompt_set_image_last(const struct prompt_set *set);
const char *conversation_stop(const char *name);            /* "###" or NULL: the end token does */

/* What the judges read, byte for byte. All in the arena. MM-Vet's reference is the file's: blanks
 * are put around its <AND> and <OR> here. */
const char *judge_llavabench_user(struct arena *a, const char *caption, const char *question,
                                  const char *reference, const char *answer, const char *role,
                                  const char *rule);
extern const char judge_llavabench_system[];
const char *judge_mmvet_user(struct arena *a, const char *table, const char *question,
                             const char *reference, const char *answer, int attempt);

#endif
