/* devices.h -- one model on one or several devices: an engine and a thread for each.
 *
 * Work comes as groups, the questions about one image, which share its prefix and so go to one
 * device. A thread fetches the next group when its engine has appetite for it; what is answered
 * comes back to the main thread. A device that fails hands back what it has not answered, and the
 * others go on: no reply depends on where it was made. */
#ifndef HARNESS_DEVICES_H
#define HARNESS_DEVICES_H

#include "engine/llava.h"

struct devices;
/* o->device may name several: "cuda:0,1". All must open. */
enum status devices_open(struct devices **out, const char *path, const struct llava_options *o,
                         struct err *e);
void devices_close(struct devices *d);                      /* NULL is fine */
/* The i-th device's; the first one is for host work and information. NULL behind the last. */
const struct llava *devices_model(const struct devices *d, int i);
const char *devices_describe(const struct devices *d);      /* "2 x cuda NVIDIA H100 fp16" */

/* A question on its way. The caller allocates it, and has it back from devices_take(). */
struct job {
    struct job *next;
    size_t ordinal;                         /* the caller's */
    struct picture *picture;                /* the caller's */
    struct llava_request request;           /* done and user are set on the way */
    char *text;                             /* malloc; of a failed one the reason; NULL: no memory */
    enum llava_finish finish;
    int prompt_tokens, reply_tokens;
    bool cut;
    double ms;
    struct engine *engine;                  /* these two are the device's */
    struct job **link;
};

/* The next group as a list; NULL: the last was given (*end), or none is ready and it may not wait.
 * Called by the devices' threads, several at a time. Jobs with `text` set come back at once. */
typedef struct job *next_group(void *user, bool wait, bool *end, struct err *e);

/* One course of work at a time: start, take until it says false, stop. */
enum status devices_start(struct devices *d, next_group *next, void *user, struct err *e);
/* What was answered since, in *out: NULL after a tenth of a second without any. False: all is
 * answered, or e says what ended the work. */
bool devices_take(struct devices *d, struct job **out, struct err *e);
/* A device that failed since the last call; false: none. text: which and why, for the user. */
bool devices_failure(struct devices *d, char *text, size_t size);
/* Waits for the steps under way. What was answered meanwhile is in *answered; what was not, in
 * *unanswered. */
void devices_stop(struct devices *d, struct job **answered, struct job **unanswered);

#endif
