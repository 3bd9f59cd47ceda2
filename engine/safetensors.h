/* safetensors.h -- reads the table of a .safetensors file. The format:
 *
 *     u64    N, little-endian
 *     N      bytes of JSON: {"name": {"dtype": "F16", "shape": [2,3], "data_offsets": [b,e]}, ...,
 *            "__metadata__": {"key": "text"}}; offsets count from the byte behind the JSON
 *     ...    the tensors, row-major, little-endian; they cover the rest of the file exactly */
#ifndef ENGINE_SAFETENSORS_H
#define ENGINE_SAFETENSORS_H

#include "engine/stored.h"

/* Adds every tensor of bytes[0..n) to s, checked; name is for messages. Any byte is looked at but
 * the data's own. On failure s may hold some of the tensors. */
enum status safetensors_read(struct store *s, const char *name, const void *bytes, size_t n,
                             struct err *e);

#endif
