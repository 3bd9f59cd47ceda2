/* lora.h -- a low-rank adapter added to the weight that it adapts. */
#ifndef ENGINE_LORA_H
#define ENGINE_LORA_H

#include "engine/base/json.h"
#include "engine/stored.h"

/* alpha / r, or alpha / sqrt(r) with "use_rslora". ERR_CHECKPOINT for what is not run (other
 * kinds of adapters, biases, patterns, DoRA); path is for messages. */
enum status lora_read_config(double *scale, const struct json *adapter, const char *path,
                             struct err *e);

/* out [N,K] F16 = fp16(w + fp16(fp16(scale) * fp16(B A))), as peft merges on a GPU: every step
 * rounded to fp16, sums in fp32. w [N,K], a [r,K], b [N,r]; shapes checked by the caller. */
enum status lora_merge(uint16_t *out, const struct stored *w, const struct stored *a,
                       const struct stored *b, double scale, struct err *e);

#endif
