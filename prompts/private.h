/* private.h -- what the files of prompts/ tell each other. */
#ifndef PROMPTS_PRIVATE_H
#define PROMPTS_PRIVATE_H

#include "prompts/prompt.h"

struct sha256;
void conversation_hash(struct sha256 *s, const char *name);     /* the texts around a message */

enum { FORMATS = FORMAT_PLAIN + 1 };

/* A set as the table of formats.c has it: one template per format, NULL where it is the paper's.
 * A template's placeholders are those of prompt_set_open's files. */
struct formats {
    const char *name;
    const char *conversation;   /* or NULL: the checkpoint's */
    bool image_last;
    const char *template[FORMATS];
};
extern const struct formats formats_paper;                      /* has no NULL template */
const struct formats *formats_find(const char *name);           /* NULL: no such set */
const char *formats_key(enum prompt_format format);             /* its name in hashes */

#endif
