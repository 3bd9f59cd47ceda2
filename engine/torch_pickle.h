/* torch_pickle.h -- reads the tensors of a .bin file as torch.save writes it since 1.6:
 *
 *     a zip archive whose entries are stored, not compressed, under one top folder X:
 *     X/data.pkl       pickle protocol 2: a dict of name -> tensor, which names its storage,
 *                      offset, shape and strides
 *     X/data/<key>     a storage: numbers, little-endian; several tensors may share one
 *
 * The pickle is run by a machine of our own that builds values and never calls anything. */
#ifndef ENGINE_TORCH_PICKLE_H
#define ENGINE_TORCH_PICKLE_H

#include "engine/stored.h"

/* Adds every tensor of bytes[0..n) to s; name is for messages. Data points into bytes, but for
 * tensors that are not contiguous, which are copied to the store's arena. On failure s may hold
 * some of the tensors. */
enum status torch_read(struct store *s, const char *name, const void *bytes, size_t n,
                       struct err *e);

#endif
