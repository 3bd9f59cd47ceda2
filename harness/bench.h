/* bench.h -- the speed of an opened model: from the bytes of JPEG files to replies. */
#ifndef HARNESS_BENCH_H
#define HARNESS_BENCH_H

#include "engine/base/str.h"
#include "engine/llava.h"

struct bench_size { int images, questions_per_image, reply_tokens; };

struct bench_figures {
    struct bench_size size;
    struct llava_stats stats;   /* of the timed part alone, but for the peak of memory */
    double elapsed, peak_flops_per_s;
    double decoding;            /* processor seconds of the worker threads, beside the engine's thread */
    int workers;
};
/* Open the model with .timeline. Loading and the measuring of the machine's peak are in no time. */
enum status bench_run(struct llava *m, const struct bench_size *size, enum llava_image_mode mode,
                      struct bench_figures *out, struct err *e);

void bench_json(const struct bench_figures *f, struct str *out);        /* one line */
/* Where the time went, a line for each stage, for people: the i-th; false behind the last. */
enum { BENCH_LINE = 160 };
bool bench_timeline(const struct bench_figures *f, int i, char line[BENCH_LINE]);

#endif
