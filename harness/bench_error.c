/* bench_error.c -- see bench_error.h. */
#include "harness/bench_error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As LLaVA-1.5's prompts have them: 35 ids before the picture, 30 behind it. */
enum { PICTURES = 4, BEFORE = 35, IDS = BEFORE + 1 + 30, END = -1 };

/* Smooth, with some detail; another one for each number. */
static enum status make_picture(struct llava_pixels *p, int side, int number, struct err *e)
{
    *p = (struct llava_pixels){ .rgb = malloc((size_t)side * (size_t)side * 3) };
    if (!p->rgb)
        return err_set(e, ERR_MEMORY, "no memory for a picture");
    p->sha256[0] = (unsigned char)(number + 1);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            uint8_t *at = p->rgb + ((size_t)y * (size_t)side + (size_t)x) * 3;
            at[0] = (uint8_t)(x + 7 * number);
            at[1] = (uint8_t)(y + x * number);
            at[2] = (uint8_t)(x * y / 64 + 13 * number);
        }
    return OK;
}

static void make_ids(int32_t ids[IDS], int question, int vocabulary)
{
    for (int i = 0; i < IDS; i++)
        ids[i] = i == 0 ? 1 : i == BEFORE ? LLAVA_IMAGE
               : 3 + (i < BEFORE ? 31 * i : 37 * i + 101 * question) % (vocabulary - 3);
}

struct asked { struct bench_replies *to; int prompt; bool failed; };

static void answered(void *user, const struct llava_reply *r)
{
    struct asked *a = user;
    int n = 0;
    for (; n < (int)r->n_ids && n < BENCH_TOKENS; n++)
        a->to->token[a->prompt][n] = r->ids[n];
    if (r->finish == LLAVA_STOP)
        a->to->token[a->prompt][n++] = END;
    a->to->n[a->prompt] = n;
    a->failed = r->finish == LLAVA_FAILED;
}

enum status bench_replies(struct llava *m, struct bench_replies *out, struct err *e)
{
    struct llava_pixels picture[PICTURES] = { 0 };
    struct asked asked[BENCH_PROMPTS];
    int32_t ids[BENCH_PROMPTS][IDS];
    size_t open = 0;
    int V = out->vocabulary = llava_info(m)->vocabulary;
    out->logits = calloc((size_t)BENCH_PROMPTS * (size_t)V, sizeof *out->logits);
    if (!out->logits)
        return err_set(e, ERR_MEMORY, "no memory for logits of %d prompts", BENCH_PROMPTS);
    for (int i = 0; i < PICTURES && e->code == OK; i++)
        make_picture(&picture[i], llava_info(m)->image_side, i, e);
    for (int i = 0; i < BENCH_PROMPTS && e->code == OK; i++) {
        make_ids(ids[i], i, V);
        asked[i] = (struct asked){ .to = out, .prompt = i };
        struct llava_request r = {
            .ids = ids[i], .n_ids = IDS, .image = &picture[i * PICTURES / BENCH_PROMPTS],
            .max_new_tokens = BENCH_TOKENS, .n_beams = 1,
            .logits = out->logits + (size_t)i * (size_t)V, .done = answered, .user = &asked[i],
        };
        llava_submit(m, &r, e);
        open = 1;
    }
    while (open && e->code == OK)
        llava_step(m, &open, e);
    for (int i = 0; i < BENCH_PROMPTS && e->code == OK; i++)
        if (asked[i].failed)
            err_set(e, ERR_DEVICE, "prompt %d of the comparison with fp16 failed", i);
    for (int i = 0; i < PICTURES; i++)
        llava_pixels_free(&picture[i]);
    return e->code;
}

void bench_replies_free(struct bench_replies *r)
{
    free(r->logits);
    r->logits = NULL;
}

struct bench_error bench_error(const struct bench_replies *fp8, const struct bench_replies *fp16)
{
    double off = 0, norm = 0;
    int equal = 0, compared = 0;
    size_t n = (size_t)BENCH_PROMPTS * (size_t)fp16->vocabulary;
    for (size_t i = 0; i < n; i++) {
        double a = (double)fp8->logits[i], b = (double)fp16->logits[i];
        off += (a - b) * (a - b);
        norm += b * b;
    }
    for (int p = 0; p < BENCH_PROMPTS; p++)
        for (int i = 0; i < fp8->n[p] && i < fp16->n[p]; i++) {
            compared++;
            if (fp8->token[p][i] != fp16->token[p][i])
                break;                                      /* from here on they read other texts */
            equal++;
        }
    return (struct bench_error){ sqrt(off / norm), (double)equal / (double)compared };
}

void bench_error_json(const struct bench_error *error, struct str *json)
{
    while (json->n && json->at[json->n - 1] != '}')
        json->at[--json->n] = '\0';
    if (!json->n)
        return;
    json->at[--json->n] = '\0';
    str_add(json, ",\"fp8_logits_error\":");
    str_add_number(json, error->logits);
    str_add(json, ",\"fp8_equal_tokens\":");
    str_add_number(json, error->equal_tokens);
    str_add(json, "}\n");
}
