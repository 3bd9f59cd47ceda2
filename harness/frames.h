/* frames.h -- FFmpeg's libraries, wrapped once: one frame of a video becomes a PNG file.
 *
 * They are optional: a program that was built without them says so and cuts nothing. Frames are
 * counted from 0 in the order they are shown. A struct frames belongs to one thread. */
#ifndef HARNESS_FRAMES_H
#define HARNESS_FRAMES_H

#include <stdint.h>
#include "engine/base/err.h"

struct frames;                  /* an open video */

bool frames_available(void);    /* was the program built with FFmpeg's libraries? */
const char *frames_version(void);                           /* FFmpeg's; NULL: built without */

/* Opens a video file and counts its frames. On failure *out is NULL. */
enum status frames_open(struct frames **out, const char *path, struct err *e);
void frames_close(struct frames *v);
int64_t frames_count(const struct frames *v);
double frames_per_second(const struct frames *v);

/* Writes frame `index` as a PNG, whole or not at all; the folder is there. */
enum status frames_write_png(struct frames *v, int64_t index, const char *png, struct err *e);

#endif
