/* Things made ahead by worker threads: their order, how far ahead, and that none is lost. */
#include "harness/ahead.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "tests/check.h"

struct made {
    atomic_int begun, alive, most_ahead;
    atomic_int taken;
    size_t lacking;             /* there is no memory for this one */
};

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void *make(void *user, size_t i)
{
    struct made *m = user;
    int ahead = atomic_fetch_add(&m->begun, 1) + 1 - m->taken, most = m->most_ahead;
    while (ahead > most && !atomic_compare_exchange_weak(&m->most_ahead, &most, ahead))
        ;
    if (i % 7 == 0)
        wait_ms(1);                                         /* those behind it are ready first */
    size_t *it = i == m->lacking ? NULL : malloc(sizeof *it);
    if (it) {
        m->alive++;
        *it = i;
    }
    return it;
}

static void drop(void *user, size_t i, void *made)
{
    struct made *m = user;
    CHECK_INT(*(size_t *)made, i);
    m->alive--;
    free(made);
}

TEST(ahead_keeps_the_order)
{
    for (int threads = 1; threads <= 8; threads *= 2) {
        struct made m = { .lacking = 20 };
        struct ahead_job job = { .n = 50, .ahead = 5, .threads = threads, .make = make,
                                 .drop = drop, .user = &m };
        struct ahead *a;
        struct err e = { 0 };
        size_t i;
        void *it;
        if (!CHECK_OK(ahead_start(&a, &job, &e), e))
            continue;
        CHECK_INT(ahead_threads(a), threads);
        for (size_t want = 0; want < 50; want++) {
            m.taken++;                                      /* before: a worker may be quicker */
            CHECK(ahead_next(a, &i, &it));
            CHECK_INT(i, want);
            CHECK(want == 20 ? !it : it && *(size_t *)it == want);
            if (it)
                drop(&m, i, it);
        }
        CHECK(ahead_ready(a) && !ahead_next(a, &i, &it));
        ahead_stop(a);
        CHECK_INT(m.begun, 50);
        CHECK_INT(m.alive, 0);
        CHECK(m.most_ahead <= 5);
    }
}

TEST(ahead_waits_for_its_takers)
{
    struct made m = { .lacking = 1000 };
    struct ahead_job job = { .n = 1000, .ahead = 6, .make = make, .drop = drop, .user = &m };
    struct ahead *a;
    struct err e = { 0 };
    size_t i = 0;
    void *it = NULL;
    if (!CHECK_OK(ahead_start(&a, &job, &e), e))
        return;
    for (int ms = 0; m.alive < 6 && ms < 5000; ms++)
        wait_ms(1);
    wait_ms(5);
    CHECK_INT(m.begun, 6);                                  /* and no more, while nobody takes */
    CHECK(ahead_ready(a) && ahead_next(a, &i, &it));
    drop(&m, i, it);
    ahead_stop(a);                                          /* drops what it made besides */
    CHECK_INT(m.alive, 0);
    CHECK(m.begun <= 7);
}

TEST(ahead_of_nothing)
{
    struct made m = { .lacking = 1000 };
    struct ahead_job job = { .ahead = 1, .make = make, .drop = drop, .user = &m };
    struct ahead *a;
    struct err e = { 0 };
    size_t i;
    void *it;
    if (!CHECK_OK(ahead_start(&a, &job, &e), e))
        return;
    CHECK(ahead_ready(a) && !ahead_next(a, &i, &it));
    ahead_stop(a);
    ahead_stop(NULL);
}
