/* bench.h -- the speed of an opened model, as one line of JSON. */
#ifndef HARNESS_BENCH_H
#define HARNESS_BENCH_H

#include "engine/base/str.h"
#include "engine/llava.h"

struct bench_size { int images, questions_per_image, reply_tokens; };
/* Appends the line to json. Loading and the measuring of the machine's peak are not in its times. */
enum status bench_run(struct llava *m, const struct bench_size *size, enum llava_image_mode mode,
                      struct str *json, struct err *e);

#endif
