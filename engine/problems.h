/* problems.h -- everything that does not fit about a checkpoint's tensors, in one sentence.
 *
 * A model has some 20 kinds of tensors and up to a hundred layers of each: what is wrong with the same
 * tensor of several layers is said once, "model.layers.N.mlp.up_proj.weight is missing (N = 0-31)". */
#ifndef ENGINE_PROBLEMS_H
#define ENGINE_PROBLEMS_H

#include "engine/base/str.h"

/* lines: "NAME what is wrong\n" each. Puts all that finds room into out, joined by commas, and how
 * many more there are. False: no memory. */
bool problems_text(struct str *out, const char *lines, size_t room);

#endif
