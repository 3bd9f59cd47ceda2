/* benchmark.h -- what a benchmark is: where its files are, how they are read, how replies count.
 *
 * One benchmark, one file, one constant struct; a line in registry.c adds it. Nothing here knows a
 * model, a network or a store.
 *
 * Scoring has two steps, so that a metric can be resampled cheaply:
 *   mark    one reply -> what it is worth by itself (right or wrong, yes or no, a grade)
 *   tally   the marks of all questions, each counted weight[i] times -> the metrics
 * `tally` with all weights 1 is the official evaluator's figure to the last digit. */
#ifndef BENCHMARKS_BENCHMARK_H
#define BENCHMARKS_BENCHMARK_H

#include <stdint.h>
#include "benchmarks/exports.h"
#include "benchmarks/questions.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "prompts/prompt.h"

/* One asset of the official release. */
struct source {
    const char *path;           /* below DATA/<name>/: a file; "dir/": an archive unpacked there;
                                   "dir/<star>" (a star at the end): one file for each question's
                                   image that lies in dir, from url with the star replaced */
    const char *url[4];         /* the official one first, then mirrors; NULL ends */
    const char *members;        /* archive: only these (fnmatch patterns, comma separated); or NULL */
    const char *strip;          /* archive: leading folder (no slash) to take off names, if there */
    const char *splits;         /* needed for these splits only (comma separated); NULL: all */
    const char *sha256;         /* pinned, or NULL: recorded on the first download */
    int64_t bytes;              /* of the download, 0 when not known exactly */
    bool images;                /* left out by --scoring-only */
    bool optional;              /* fetched only when asked for by name */
};

/* An image that is one frame of a video: cut out by fetch, once the video was put there. */
struct video_frame {
    const char *video;          /* below DATA/<name> */
    int type;                   /* the benchmark's own */
    double start, end;          /* of the segment in question, in the benchmark's unit */
    bool has_segment;
    /* Which frame, from 0, of a video of n frames? */
    int64_t (*pick)(const struct video_frame *f, int64_t n, double frames_per_second);
};

/* Meaning of a and b by benchmark; missing: no reply (or no judgement) is there; unread: the judge
 * replied, but no attempt could be read. */
struct mark { double a, b; bool missing, unread; };

struct score { const char *metric; double value, stderror; size_t n; };     /* NaN: undefined */
struct scores {
    struct score *at;
    size_t n, size;
    size_t n_questions;         /* the n of `score --json`; a tally that leaves 0 means: all */
    struct arena *arena;        /* owns the names */
    bool failed;
};
void scores_init(struct scores *s, struct arena *a);
void scores_add(struct scores *s, double value, size_t n, const char *metric_format, ...)
    PRINTF_LIKE(4, 5);
double scores_get(const struct scores *s, const char *metric);  /* NaN when absent */
void scores_free(struct scores *s);

/* Everything a tally may look at. */
struct tally_input {
    const struct questions *qs;
    const char *const *replies; /* [n], NULL where missing; NULL itself while resampling */
    const struct mark *marks;   /* [passes][n] */
    int passes;                 /* 1 but for judged benchmarks */
    const uint32_t *weight;     /* [n] how often each question counts; NULL: once */
    const uint32_t *unit;       /* [n] below n: questions that count as one have one number, where
                                   the benchmark's own would not do (cells.h); NULL elsewhere */
    bool partial;               /* leave out what is missing where the official rule would stop */
};

/* Answers given to a split: replies by ordinal. */
struct answers {
    const char **text;          /* [n], NULL: missing; "" is an answer */
    size_t n, missing, unknown, repeated, unreadable;
    size_t ambiguous, failed;   /* foreign files: rows that fit several questions; without an answer */
    bool (*accept)(void *user, size_t i);       /* NULL, or asked before an answer is taken */
    void *user;
    struct arena *arena;
    void *state;                /* a matcher's own */
};

struct reviews;                 /* benchmarks/reviews.h */
struct review_rules;

/* A figure that a judge gave answers which are public: what another judge is held against. */
struct published { const char *model, *metric; double value; };     /* model NULL ends */

struct judge_request {          /* one call to a judge */
    const char *system;         /* or NULL */
    const char *user;
    double temperature;
    int max_tokens;
};

struct benchmark {
    const char *name, *title;
    int version;                /* of the scorer: raised when a rule changes */
    const char *splits;         /* "testdev,val": default first */
    size_t official_n[2];       /* questions of each split in the official release; 0: not known */
    const char *exported;       /* splits whose references are hidden: "testdev", or NULL */
    const char *headline;       /* metric that stands in tables */
    const char *headline_text;  /* one line for `describe`: what it is, unit, direction */
    double scale;               /* a perfect headline: 100, or 2000 for MME */
    enum prompt_format format;  /* LETTER_CN for dev_cn is decided by format_of */
    enum prompt_format (*format_of)(const char *split);    /* or NULL: format */
    int max_new_tokens;
    bool integer_ids;           /* question_id is a number in the official files */
    bool missing_is_wrong;      /* scienceqa, mmbench, seed: as their evaluators do */
    const struct source *sources;
    int n_sources;
    const char *licence, *homepage;

    /* Reads the split's question files from DATA/<name> (never an image). */
    enum status (*read)(const char *dir, const char *split, struct questions *qs, struct err *e);
    /* Files whose bytes make the dataset's identity: question files of this split, NULL-ended.
     * NULL itself: what was read makes it (questions_hash). */
    const char *const *(*question_files)(const char *split);
    /* Bytes of a question's image where it is no file of its own (MMBench's table); NULL: a file.
     * *bytes is malloc'd for the caller. May be called from several threads. */
    enum status (*image)(const char *dir, const struct question *q, void **bytes, size_t *n,
                         struct err *e);

    /* Fills *out when the image of question i is a frame of a video that lies in dir; the paths in
     * the arena. NULL: none is, ever. by_hand then says which videos to get, where, and where to put them. */
    bool (*video_frame)(const char *dir, const struct questions *qs, size_t i, struct arena *a,
                        struct video_frame *out);
    const char *by_hand;

    /* Safe in several threads at once, both. */
    void (*mark)(const struct questions *qs, size_t i, const char *reply, struct mark *out);
    void (*tally)(const struct tally_input *in, struct scores *out);

    /* For comparisons (cells.h). Metrics are patterns of fnmatch, comma separated. */
    const char *categories;     /* metrics that stand below the headline; "": none */
    const char *accuracies;     /* metrics that are the share of questions answered right; or "" */
    /* What the tally looks at besides category, picture and marks, as a number; NULL: nothing. */
    uint64_t (*kind)(const struct questions *qs, size_t i);
    /* A number below qs->n that questions counted as one share; NULL: each counts by itself. */
    size_t (*unit)(const struct questions *qs, size_t i);
    bool all_or_nothing;        /* such questions are right when all of them are */
    double (*worth)(const struct questions *qs, size_t i, const struct mark *m);   /* NULL: m->a */

    /* Which ordinals does this line of an answers file answer? Calls answers_give() for each with
     * the line's "text", which is a string; false when none. e is set by a line that must not be:
     * reading stops. NULL: question_id, an integer or a string, is the id. */
    bool (*match)(struct questions *qs, const struct json *line, struct answers *into,
                  struct err *e);

    /* What the official server or tool reads, or NULL. Checks all before it fills out. */
    enum status (*export)(struct questions *qs, const struct answers *a, struct exports *out,
                          struct err *e);

    /* Judged benchmarks; NULL elsewhere. judge_open reads the judge's assets below dir. */
    enum status (*judge_open)(const char *dir, struct questions *qs, struct err *e);
    enum status (*judge_request)(const struct questions *qs, size_t i, const char *reply,
                                 int attempt, struct arena *a, struct judge_request *out,
                                 struct err *e);
    /* Reads one judge reply (NULL: no text). false: not readable, ask attempt + 1 (up to
     * judge_attempts); after the last attempt *out holds what an unreadable reply counts as. */
    bool (*judge_mark)(const char *judge_reply, int attempt, struct mark *out);
    int judge_attempts, judge_passes;
    /* The demo's offline judge: a reply of the judge's form for this overlap (0..1). */
    void (*judge_demo)(double overlap, char out[64]);
    const struct published *published;          /* one model after the other */
    const char *judge_asset;    /* the file below dir that holds the judge's text, pinned */
    /* The question that a line of a reviews file is about; SIZE_MAX: none of ours. */
    size_t (*review_question)(struct questions *qs, const struct json *id);
    /* Reads a recorded reviews file into marks [passes][n], allocated in the arena. */
    enum status (*reviews)(struct questions *qs, const char *path, const struct review_rules *rules,
                           struct arena *a, struct mark **marks, int *passes, struct scores *extra,
                           struct err *e);
    /* The official script's own result files, from a whole set of reviews. */
    enum status (*export_reviews)(struct questions *qs, const struct reviews *r, const char *model,
                                  const char *judge, struct exports *out, struct err *e);
};

extern const struct benchmark *const benchmarks[];          /* in the order of tables; NULL ends */
const struct benchmark *benchmark_find(const char *name);
/* Does the comma separated list hold this word? A NULL list holds everything. */
bool benchmark_lists(const char *list, const char *word);
/* Does one of the comma separated patterns (fnmatch) match this metric? */
bool benchmark_matches(const char *patterns, const char *metric);
/* The default (first) split, into out. */
void benchmark_default_split(const struct benchmark *b, char out[32]);

/* How many questions the split has in the official release; 0: not known. */
size_t benchmark_official_n(const struct benchmark *b, const char *split);

/* A file of prompts may name benchmarks: ERR_USAGE for one that does not exist. */
enum status benchmark_check_prompts(const struct prompt_set *set, struct err *e);

/* Where the headline stands among the scores: the first one stands in where it cannot be had. */
size_t scores_headline(const struct scores *s, const struct benchmark *b);

/* The prompt parts of a question. */
struct prompt_item question_item(const struct question *q);

/* Reads an answers file (JSON lines) into answers by ordinal; counts what it passed over. */
enum status answers_read(const struct benchmark *b, struct questions *qs, const char *path,
                         struct answers *out, struct arena *a, struct err *e);
enum status answers_begin(struct answers *out, const struct questions *qs, struct arena *a,
                          struct err *e);                   /* none is given yet */
void answers_free(struct answers *a);

/* Takes one line, an object with question_id and text; false when it answers no question. */
bool answers_take(const struct benchmark *b, struct questions *qs, const struct json *line,
                  struct answers *into, struct err *e);

/* Question i is answered by this text, copied into a->arena; replaces what was given before (and
 * counts it in a->repeated). */
void answers_give(struct answers *a, size_t i, const char *text);

/* Marks of replies by ordinal, NULL ones missing: marks [n]. */
void benchmark_mark(const struct benchmark *b, const struct questions *qs,
                    const char *const *replies, struct mark *marks);

/* Replies -> marks -> metrics, with standard errors by bootstrap over images for the headline and
 * every other metric (draws, seeded; 0 draws: none). Without partial, a missing reply where the
 * evaluator stops is ERR_INCOMPLETE naming the first few ids. Judged benchmarks pass their marks. */
enum status benchmark_score(const struct benchmark *b, const struct questions *qs,
                            const char *const *replies, const struct mark *marks, int passes,
                            bool partial, int draws, struct scores *out, struct err *e);

#endif
