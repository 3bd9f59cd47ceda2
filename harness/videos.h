/* videos.h -- a benchmark's questions about videos: which frames are not there, and cutting them
 * out. */
#ifndef HARNESS_VIDEOS_H
#define HARNESS_VIDEOS_H

#include "benchmarks/benchmark.h"

struct videos_report {
    size_t n_due;               /* frames that are not there, whose videos are */
    size_t n_without;           /* questions with neither */
};

/* For a benchmark with video_frame, in dir = DATA/<name>. Reads the questions, writes nothing. */
enum status videos_look(const struct benchmark *b, const char *dir, const char *split,
                        struct videos_report *out, struct err *e);

/* Writes every frame that is due, one PNG each, video after video, and reports what is left. A
 * video that cannot be read is counted with the rest: e names the first after all others were cut. */
enum status videos_cut(const struct benchmark *b, const char *dir, const char *split,
                       enum status (*stopped)(void), struct videos_report *out, struct err *e);

#endif
