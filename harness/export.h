/* export.h -- exported files onto disk: all of it, or nothing. */
#ifndef HARNESS_EXPORT_H
#define HARNESS_EXPORT_H

#include "benchmarks/exports.h"
#include "engine/base/err.h"

/* One text becomes the file `path`; named texts become files of the new folder `path` (ERR_USAGE if
 * something is in it already); a table becomes an .xlsx. What stood at `path` before a failure
 * stands there after it. *bytes: what was written. */
enum status export_write(const struct exports *x, const char *path, size_t *bytes, struct err *e);

#endif
