/* report.h -- the store as a static site: tables, charts, a comparison, every answer. */
#ifndef HARNESS_REPORT_H
#define HARNESS_REPORT_H

#include "harness/options.h"

/* Makes the folder dir, which must not be there (or be empty): index.html and all it needs. It is made
 * beside its place and moved in when whole. pair: the two sides to compare, as tables call them, or
 * NULL: the first with each other. */
enum status report_write(struct options *o, const char *dir, const char *const *pair, struct err *e);

#endif
