/* scheduler.h -- whose rows make the next step.
 *
 * Only decides and counts: it knows no tensor, no token and no clock, so that it is tested alone.
 *
 *   question   one request: the prompt's rows behind the prefix, then one row per reply token
 *   group      questions submitted next to each other that share a prefix (one picture and the
 *              same ids before it): one slot of the KV cache, its prefix computed once
 *   stem       the ids before the picture, which prompts of a run have in common: computed once, in
 *              a slot of its own, and copied into each group's. One is kept, until a prompt begins
 *              otherwise or a request needs its room; a group that finds no room for its stem
 *              computes those rows itself
 *   place      where the connector's output of a picture waits until its prefix is computed: two
 *              halves of `pictures` places; the tower fills one half while the other is in use
 *   plan       the rows of one step, at most `rows`, as segments, those of a group together; and
 *              the columns that are copied when the rows of a layer are written, before any look
 *
 * What always holds (tests/test_scheduler.c checks it after every step of random workloads):
 *   1. Slots do not overlap; nor do the prefix and the lanes in use of a slot. All start at
 *      multiples of KV_ALIGN.
 *   2. Every row is computed or copied exactly once, in order, in its own column; a question's row
 *      in the step that completes its prefix or later; a stem is copied when it is complete.
 *   3. A step has 1 to `rows` rows while anything is open; at most `running` ask for logits.
 *   4. Reply rows come before question rows, those before prefix rows, when room is short.
 *   5. A picture's place is not filled again before the rows that read it are computed.
 *   6. Slots are given in the order of submission: nobody waits for ever.
 * Nothing here may change a reply: which columns, which step and which neighbours a row gets is
 * invisible to the arithmetic (backend.h). */
#ifndef ENGINE_SCHEDULER_H
#define ENGINE_SCHEDULER_H

#include "engine/kvcache.h"

struct question {
    /* The caller's, before scheduler_add(): */
    int n_rows;                 /* rows of the prompt behind the prefix, at least 1 */
    int n_columns;              /* rows that may ever be computed: n_rows, reply tokens fed back */
    /* The scheduler's: */
    struct group *group;
    struct question *next;      /* in its group's list */
    int lane;                   /* of the group's slot; meaningful while running */
    int known;                  /* rows whose token is known: n_rows, then one per reply token */
    int computed;               /* rows computed or planned; == known: waits for its next token */
    int now;                    /* rows in the plan */
};

enum { KEY_SIZE = 32, GROUP_LANES = 64 };
struct prefix {                 /* equal keys, equal rows */
    unsigned char key[KEY_SIZE], stem_key[KEY_SIZE];
    int n_rows, n_stem;         /* n_stem: of the first rows, fewer than n_rows; 0: no stem */
    bool keeps_picture;         /* the questions' own rows read the picture too */
};
struct group {
    struct group *next;         /* in order of submission: those with a slot, then the waiting */
    bool shared;                /* has a picture, so others may join */
    struct prefix prefix;       /* n_stem 0: it is computed here */
    int prefix_done;            /* rows of it computed, copied or planned */
    int now;                    /* prefix rows in the plan */
    int place;                  /* of its picture, or -1 */
    int base, slot_columns;     /* base -1: waits for a slot */
    int lane_columns, n_lanes;
    uint64_t lanes_used;        /* bit per lane */
    struct question *running, *waiting, **waiting_end;
    struct question *first;     /* submitted first; alive while the prefix is not computed */
    int open;                   /* questions not finished */
};

struct stem {
    unsigned char key[KEY_SIZE];
    int n, done;                /* rows, 0: none is kept; computed or planned */
    int base;
    bool used;                  /* in the plan */
};

/* Rows first .. first + n of a question; or, if that is NULL, of the group's prefix; or of the stem,
 * whose ids are the group's. */
struct segment {
    struct group *group;
    struct question *question;
    const struct stem *stem;    /* NULL: none of its rows */
    int first, n;
    bool wants_token;           /* the last row's logits choose the question's next token */
};

struct plan {
    struct segment *segment;
    int n_segments, n_rows, n_tokens;
    struct kv_copy *copy;
    int n_copies;
    struct group **encode;      /* pictures to encode first, each into its ->place */
    int n_encode;
};

struct limits {
    int columns;                /* of the KV cache */
    int rows;                   /* of a step */
    int running;                /* questions that hold a lane */
    int pictures;               /* that the tower takes at once */
};

struct scheduler {
    struct limits limits;
    struct kvpool pool;
    struct stem stem;
    struct group *groups, *waiting, *newest;    /* waiting: the first without a slot */
    int running;
    int half_users[2];          /* groups that still need their place in that half */
    struct plan plan;
};

enum status scheduler_open(struct scheduler *s, const struct limits *l, struct err *e);
void scheduler_close(struct scheduler *s);                  /* a zeroed one is fine */

/* Can such a question run at all, alone in an empty cache? */
bool scheduler_fits(const struct scheduler *s, int n_prefix, int n_columns);

/* Takes the question (borrowed until scheduler_finish). prefix NULL: a text alone, which shares with
 * nobody. It must fit. */
enum status scheduler_add(struct scheduler *s, struct question *q, const struct prefix *prefix,
                          struct err *e);

/* The next step; valid until the next call. Each step must be run before the next is planned, and
 * each question with wants_token answered by scheduler_token() or scheduler_finish(). No rows: no
 * question is open. */
const struct plan *scheduler_plan(struct scheduler *s);
void scheduler_token(struct scheduler *s, struct question *q);
void scheduler_finish(struct scheduler *s, struct question *q);     /* frees its lane */

/* Where row i (of 0 .. n) of a segment stands. */
struct kv_row scheduler_row(const struct segment *g, int i);

#endif
