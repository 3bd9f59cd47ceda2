/* Several GPUs at one course of work: how it ends. On the emulated GPU, which there may be two of. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "harness/devices.h"
#include "tests/check.h"
#include "tests/cuda_host/cuda_host.h"

struct feed { struct job *last; atomic_int calls; atomic_bool ended; };

/* The one group goes to the thread that asks first, a while after the other has seen the end. */
static struct job *slow_group(void *user, bool wait, bool *end, struct err *e)
{
    struct feed *feed = user;
    (void)wait;
    (void)e;
    if (atomic_fetch_add(&feed->calls, 1) > 0) {
        *end = true;
        atomic_store(&feed->ended, true);
        return NULL;
    }
    while (!atomic_load(&feed->ended))
        usleep(1000);
    usleep(300000);
    return feed->last;
}

TEST(devices_wait_for_a_group_that_another_thread_still_takes)
{
    static const int32_t ids[] = { 1, 268, 340, 348, 259, 349, 284, 277 };
    struct devices *d = NULL;
    struct job *answered = NULL, *rest = NULL, *unanswered = NULL, *got = NULL;
    struct feed feed = { .last = calloc(1, sizeof *feed.last) };
    struct err e = { 0 };
    char path[4096];

    feed.last->request = (struct llava_request){ .ids = ids, .n_ids = COUNT(ids), .max_new_tokens = 3,
                                                 .n_beams = 1 };
    snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp", test_root());
    cuda_host_devices(2);
    if (CHECK_OK(devices_open(&d, path, &(struct llava_options){ .device = "cuda:0,1" }, &e), e)) {
        CHECK_OK(devices_start(d, slow_group, &feed, &e), e);
        while (devices_take(d, &answered, &e))
            if (answered)
                got = answered;
        devices_stop(d, &rest, &unanswered);
        CHECK(got == feed.last && got->text && got->finish != LLAVA_FAILED);
        CHECK(!rest && !unanswered);
    }
    devices_close(d);
    free(feed.last->text);
    free(feed.last);
}
