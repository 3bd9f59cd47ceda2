/* source.h -- a folder's weights as one list of tensors under our names.
 *
 * Whatever the form (safetensors or PyTorch, one file or shards with an index) and whatever the
 * layout's prefixes, source_find() takes the names that checkpoint.h lists. */
#ifndef ENGINE_SOURCE_H
#define ENGINE_SOURCE_H

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/stored.h"

enum { FILES_MAX = 1024 };

struct weight_files {           /* every file that was mapped; zeroed but for the arena is empty */
    struct arena *arena;        /* paths, names, trees */
    struct { const char *path; struct file file; size_t n_tensors; } at[FILES_MAX];
    int n;
};
void weight_files_close(struct weight_files *f);

enum { PART_TOWER = 1, PART_REST = 2 };     /* which tensors of a source count */
struct source {
    struct store store;
    int parts;
    int connector_depth;        /* of its connector's tensors: 0 none, 1 linear, N mlpNx_gelu */
};

/* One file, or a folder's model.safetensors or pytorch_model.bin, whole or in shards; the first
 * form that is complete. *found is false where there is neither. */
enum status source_read_file(struct source *s, struct weight_files *f, const char *path,
                             struct err *e);
enum status source_read_folder(struct source *s, struct weight_files *f, const char *dir,
                               bool *found,
                               struct err *e);

/* For files that a LoRA trainer wrote: takes off what it wraps around the names. */
void source_strip_wrapping(struct source *s);

/* After the last file: to our names, in order. Before it source_find finds nothing. */
void source_finish(struct source *s, struct arena *a, int parts);
const struct stored *source_find(const struct source *s, const char *name);
/* Does another tensor of this source have its name? False for one of another source. */
bool source_twice(const struct source *s, const struct stored *t);

/* Whether the folder has weights of its own, by the names of its files. */
bool has_weights(struct arena *a, const char *dir);

/* ERR_CHECKPOINT if these are the bytes of something else: an LFS pointer, a web page, GGUF. */
enum status check_download(const char *path, const struct file *f, struct err *e);

/* The tree of a file that holds a JSON object, and its text if asked for. NULL where there is no
 * such file, or with e set. */
const struct json *read_json_file(struct arena *a, const char *path, const char **text,
                                  struct err *e);

bool starts(const char *text, const char *with);
bool ends(const char *text, const char *with);

#endif
