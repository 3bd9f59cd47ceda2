/* scheduler.h -- whose rows make the next step.
 *
 * Only decides and counts: it knows no tensor, no token and no clock, so that it is tested alone.
 *
 *   question   one request: the prompt's rows behind the prefix, then one row per reply token
 *   group      questions submitted next to each other that share a prefix (one picture and the
 *              same ids before it): one slot of the KV cache, its prefix computed once
 *   place      where the connector's output of a picture waits until its prefix is computed: two
 *              halves of `pictures` places; the tower fills one half while the other is in use
 *   plan       the rows of one step, at most `rows`, as segments; those of a group together
 *
 * What always holds (tests/test_scheduler.c checks it after every step of random workloads):
 *   1. Slots do not overlap; nor do the prefix and the lanes in use of a slot. All start at
 *      multiples of KV_ALIGN.
 *   2. Every row is computed exactly once, in order, in its own column; a question's row in the
 *      step that completes its prefix or later.
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
struct group {
    struct group *next;         /* in order of submission: those with a slot, then the waiting */
    unsigned char key[KEY_SIZE];
    bool shared;                /* has a picture, so others may join */
    bool keeps_picture;         /* its questions' own rows read the picture too */
    int n_prefix, prefix_done;  /* rows; computed or planned */
    int now;                    /* prefix rows in the plan */
    int place;                  /* of its picture, or -1 */
    int base, slot_columns;     /* base -1: waits for a slot */
    int lane_columns, n_lanes;
    uint64_t lanes_used;        /* bit per lane */
    struct question *running, *waiting, **waiting_end;
    struct question *first;     /* submitted first; alive while the prefix is not computed */
    int open;                   /* questions not finished */
};

/* Rows first .. first + n of the group's prefix (question NULL) or of a question. */
struct segment {
    struct group *group;
    struct question *question;
    int first, n;
    bool wants_token;           /* the last row's logits choose the question's next token */
};

struct plan {
    struct segment *segment;
    int n_segments, n_rows, n_tokens;
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
    struct group *groups, *waiting, *newest;    /* waiting: the first without a slot */
    int running;
    int half_users[2];          /* groups that still need their place in that half */
    struct plan plan;
};

enum status scheduler_open(struct scheduler *s, const struct limits *l, struct err *e);
void scheduler_close(struct scheduler *s);                  /* a zeroed one is fine */

/* Can such a question run at all, alone in an empty cache? */
bool scheduler_fits(const struct scheduler *s, int n_prefix, int n_columns);

/* Takes the question (borrowed until scheduler_finish). key: what says that two prefixes are equal,
 * or NULL: a text alone, n_prefix 0, which shares with nobody. It must fit. */
enum status scheduler_add(struct scheduler *s, struct question *q, const unsigned char *key,
                          int n_prefix, bool keeps_picture, struct err *e);

/* The next step; valid until the next call. Each step must be run before the next is planned, and
 * each question with wants_token answered by scheduler_token() or scheduler_finish(). No rows: no
 * question is open. */
const struct plan *scheduler_plan(struct scheduler *s);
void scheduler_token(struct scheduler *s, struct question *q);
void scheduler_finish(struct scheduler *s, struct question *q);     /* frees its lane */

/* Where row i (of 0 .. n) of a segment stands. */
struct kv_row scheduler_row(const struct segment *g, int i);

#endif
