/* tokenizer.h -- text to LLaMA token ids and back, as the slow LlamaTokenizer does it.
 *
 * libsentencepiece does the pieces; this adds what Hugging Face adds around it: special tokens
 * found in the text, BOS, the <image> split, decoding with byte pieces. Immutable after open: any
 * thread may use it. The C face of tokenizer.cc. */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>
#include "engine/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tokenizer;

/* Reads tokenizer.model and, beside it, added_tokens.json / tokenizer_config.json if present.
 * use_im_start_end / use_im_patch_token: add those tokens if not known (model.md: order, ids). */
enum status tokenizer_open(struct tokenizer **out, const char *model_file, bool use_im_patch_token,
                           bool use_im_start_end, struct err *e);
void tokenizer_close(struct tokenizer *t);

/* SHA-256 of all that ids and text depend on: tokenizer.model's bytes, the added tokens in effect. */
void tokenizer_hash(const struct tokenizer *t, unsigned char out[32]);

int tokenizer_size(const struct tokenizer *t);              /* pieces plus added tokens */
/* Ids < tokenizer_size that a reply may contain: not control/unknown but EOS is allowed. */
bool tokenizer_can_decode(const struct tokenizer *t, int32_t id);

/* One text on its own: BOS if asked, then pieces (with LLaMA's prefix space). The caller frees. */
enum status tokenizer_encode(const struct tokenizer *t, const char *text, bool bos, int32_t **ids,
                             size_t *n, struct err *e);
/* A prompt split at "<image>": BOS, chunk, LLAVA_IMAGE (-200), chunk, ...; each chunk on its own. */
enum status tokenizer_prompt(const struct tokenizer *t, const char *prompt, int32_t **ids,
                             size_t *n, struct err *e);
/* Without special ids; not yet stripped when `strip` is false. The caller frees; NULL: no memory. */
char *tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool strip);

#ifdef __cplusplus
}
#endif

#endif
