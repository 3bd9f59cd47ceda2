/* conversation.c -- conversation templates: what stands around one message.
 *
 *     system text + how the user's turn opens + M + how the assistant's turn opens
 *
 * Source: haotian-liu/LLaVA c121f04, llava/conversation.py (conv_templates), get_prompt() with one
 * message and an open answer. The leading <s> of llava_llama_2 is the tokenizer's BOS, not text. */
#include <string.h>

#include "engine/base/sha256.h"
#include "prompts/private.h"
#include "prompts/prompt.h"

#define S1 "A chat between a curious user and an artificial intelligence assistant. The assistant " \
           "gives helpful, detailed, and polite answers to the user's questions."
#define S2 "A chat between a curious human and an artificial intelligence assistant. The assistant " \
           "gives helpful, detailed, and polite answers to the human's questions."
#define S3 "A chat between a curious user and an artificial intelligence assistant. The assistant " \
           "is able to understand the visual content that the user provides, and assist the user " \
           "with a variety of tasks using natural language.The visual content will be provided " \
           "with the following format: <Image>visual content</Image>."
#define S4 "You are a helpful language and vision assistant. You are able to understand the visual " \
           "content that the user provides, and assist the user with a variety of tasks using " \
           "natural language."

static const struct conversation {
    const char *name, *before, *after;                      /* of the message */
    const char *stop;                                       /* text that ends a reply, or NULL */
} conversations[] = {
    { "vicuna_v1", S1 " USER: ", " ASSISTANT:", NULL },
    { "v1", S1 " USER: ", " ASSISTANT:", NULL },
    { "llava_v1", S2 " USER: ", " ASSISTANT:", NULL },
    { "llava_llama_2", "[INST] <<SYS>>\n" S4 "\n<</SYS>>\n\n", " [/INST]", NULL },
    { "llava_v0", S2 "###Human: ", "###Assistant:", "###" },
    { "v1_mmtag", S3 " USER: ", " ASSISTANT:", NULL },
    { "v0_mmtag", S3 "###Human: ", "###Assistant:", "###" },
    { "plain", "", "\n", NULL },
};

static const struct conversation *find(const char *name)
{
    for (size_t i = 0; i < COUNT(conversations); i++)
        if (!strcmp(conversations[i].name, name))
            return &conversations[i];
    return NULL;
}

bool conversation_known(const char *name)
{
    return find(name) != NULL;
}

const char *const *conversation_names(void)
{
    static const char *const names[] = { "vicuna_v1", "v1", "llava_v1", "llava_llama_2", "llava_v0",
                                         "v1_mmtag", "v0_mmtag", "plain", NULL };
    return names;
}

const char *conversation_stop(const char *name)
{
    const struct conversation *c = find(name);
    return c ? c->stop : NULL;
}

const char *conversation_default(bool has_projector_type, const char *checkpoint_name)
{
    if (has_projector_type)
        return "vicuna_v1";
    if (strcasestr(checkpoint_name, "llama-2"))
        return "llava_llama_2";
    return strcasestr(checkpoint_name, "v1") ? "llava_v1" : "llava_v0";
}

enum status conversation_render(const char *name, const char *T, bool has_image,
                                bool use_im_start_end, bool image_last, struct arena *a,
                                const char **out, struct err *e)
{
    *out = "";
    const struct conversation *c = find(name);
    if (!c)
        return err_set(e, ERR_USAGE, "no conversation template is named \"%s\"", name);
    if (strstr(T, "<image>"))
        return err_set(e, ERR_DATA, "the text holds \"<image>\", which stands for the picture: "
                       "expected a text without it");
    const char *slot = !has_image ? "" : use_im_start_end ? "<im_start><image><im_end>" : "<image>";
    const char *line = has_image ? "\n" : "";
    *out = image_last ? arena_fmt(a, "%s%s%s%s%s", c->before, T, line, slot, c->after)
                      : arena_fmt(a, "%s%s%s%s%s", c->before, slot, line, T, c->after);
    return a->failed ? err_set(e, ERR_MEMORY, "no memory for a prompt") : OK;
}

void conversation_hash(struct sha256 *s, const char *name)
{
    const struct conversation *c = find(name);
    const char *before = c ? c->before : name, *after = c ? c->after : "";
    sha256_add(s, before, strlen(before) + 1);
    sha256_add(s, after, strlen(after) + 1);
}
