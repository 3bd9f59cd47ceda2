/* null_engine.c -- llava-eval without its engine's work, to time everything else that `run` does.
 *
 * Linked as the program is, but llava_submit, llava_step and llava_appetite are these (ld --wrap): a
 * step answers a batch of what was submitted with "yes". All else is real: reading, grouping,
 * prompts, tokenizing, opening pictures, the threads between, the store, scoring.
 *
 *     make build/null-engine
 *     build/null-engine run --suite vqav2:val --model demo/checkpoints/tiny-mlp --data DIR --offline */
#include <stdlib.h>

#include "engine/llava.h"

enum { OPEN = 64, BATCH = 16 };         /* about what a step of a 7B checkpoint finishes on a GPU */

static struct llava_request waiting[OPEN];
static size_t n;

enum status __wrap_llava_submit(struct llava *m, const struct llava_request *r, struct err *e);
enum status __wrap_llava_step(struct llava *m, size_t *unanswered, struct err *e);
size_t __wrap_llava_appetite(const struct llava *m);

enum status __wrap_llava_submit(struct llava *m, const struct llava_request *r, struct err *e)
{
    (void)m;
    if (n == OPEN)
        return err_set(e, ERR_INTERNAL, "more than %d requests at a time", OPEN);
    waiting[n++] = *r;
    return OK;
}

enum status __wrap_llava_step(struct llava *m, size_t *unanswered, struct err *e)
{
    (void)m;
    static const int32_t yes[] = { 4874 };
    size_t done = n < BATCH ? n : BATCH;
    for (size_t i = 0; i < done; i++) {
        struct llava_reply reply = { .text = "yes", .ids = yes, .n_ids = 1, .finish = LLAVA_STOP,
                                     .prompt_tokens = (int)waiting[i].n_ids };
        waiting[i].done(waiting[i].user, &reply);
    }
    for (size_t i = done; i < n; i++)
        waiting[i - done] = waiting[i];
    *unanswered = n -= done;
    return e->code;
}

size_t __wrap_llava_appetite(const struct llava *m)
{
    (void)m;
    return OPEN;
}
