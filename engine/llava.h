/* llava.h -- ask a LLaVA-1.5 style checkpoint questions about images.
 *
 * Knows nothing of benchmarks, prompts or stores; its callers know nothing of tensors. Submit any
 * number of requests, then step until all are answered: the scheduler packs, shares and reorders
 * as it likes, and no reply depends on what it was packed with.
 *
 *     llava_open(&m, "path/to/checkpoint", &options, &e);
 *     llava_tokenize(m, prompt, &ids, &n, &e);  llava_preprocess(m, LLAVA_AS_CONFIG, ...);
 *     llava_submit(m, &request, &e);
 *     while (llava_step(m, &unanswered, &e) == OK && unanswered) ;
 *
 * struct llava belongs to one thread; llava_tokenize(), llava_decode(), llava_preprocess() and
 * llava_info() only read it and may run on any thread at any time after llava_open(). */
#ifndef LLAVA_H
#define LLAVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/base/err.h"

struct llava;                                               /* a loaded checkpoint on one device */

struct llava_options {
    const char *device;         /* "auto" (NULL), "cpu", "cuda", "cuda:1" */
    const char *dtype;          /* "auto" (NULL), "fp32", "bf16", "fp16", "fp8" */
    const char *model_base;     /* folder of the base language model of a LoRA or connector, or NULL */
    const char *vision_tower;   /* folder of a CLIP tower that stands apart, or NULL */
    const char *simd;           /* the CPU's instruction level, or NULL: the best (backend.h) */
    const char *dump_dir;       /* write each named activation there as .npy; NULL: none */
    bool timeline;              /* where a GPU's time goes is asked of the GPU: llava_stats.stage */
    int batch_tokens;           /* rows of a step, at least 1; 0: the backend's choice */
    int cache_positions;        /* columns of the KV cache; 0: what memory allows */
    bool random_weights;        /* only config.json is read; weights are drawn (for bench) */
    const char *weights_sha256; /* where it is known, from another device; NULL: it is computed */
};

struct llava_info {
    const char *path, *label;   /* as opened; last component of the path */
    const char *name;           /* what templates are chosen by: the folder's or hub's name */
    const char *layout;         /* "llava", "llava-hf", "lora", "connector" */
    const char *connector;      /* "linear", "mlp2x_gelu", ..., "identity" */
    const char *device, *dtype; /* as they run: "cpu avx512_bf16", "bf16" */
    const char *device_note;    /* "auto" found no GPU, though the build has CUDA: why; or NULL */
    const char *dtype_note;     /* what the dtype costs, for the provenance of a score; or NULL */
    char weights_sha256[65];    /* of every tensor that is used, of what config.json decides of replies, */
                                /* and of the tokenizer */
    bool has_projector_type;    /* config.json names its connector (written since LLaVA v1.1) */
    bool use_im_start_end;
    int hidden, layers, heads, kv_heads, ffn, vocabulary, image_tokens, image_side, max_positions;
    int64_t n_parameters;
    const char *config_json;    /* the config.json as read */
};

enum status llava_open(struct llava **out, const char *checkpoint, const struct llava_options *o,
                       struct err *e);                      /* on failure *out is NULL */
void        llava_close(struct llava *m);                   /* NULL is fine */
const struct llava_info *llava_info(const struct llava *m); /* lives as long as m */

/* What a checkpoint is and what is missing, as text for people, without loading weights. The
 * caller frees *text. A folder that cannot run is still described; status says it cannot. */
enum status llava_inspect(const char *checkpoint, const struct llava_options *o, bool json,
                          char **text, struct err *e);

/* The vision tower that a checkpoint needs and that is nowhere beside it, by the name that a hub has it
 * under: "openai/clip-vit-large-patch14-336", or what config.json calls it. NULL where none is missing,
 * or none can be told: llava_open says why. The caller frees it. */
char *llava_missing_tower(const char *checkpoint, const struct llava_options *o);

/* Host work. The caller frees *ids. An image slot is the id LLAVA_IMAGE; the prompt holds it as
 * "<image>" (or "<im_start><image><im_end>"). */
enum { LLAVA_IMAGE = -200 };
enum status llava_tokenize(const struct llava *m, const char *prompt, int32_t **ids, size_t *n,
                           struct err *e);
/* Ids to text as the original decodes a reply (special ids skipped, outer white space stripped).
 * The caller frees the result; NULL when memory ran out. */
char *llava_decode(const struct llava *m, const int32_t *ids, size_t n);

enum llava_image_mode { LLAVA_AS_CONFIG, LLAVA_PAD, LLAVA_CROP };
struct llava_pixels {
    uint8_t *rgb;               /* [R,R,3], R = info->image_side; resized, not yet normalised */
    unsigned char sha256[32];   /* of these bytes: two equal pictures share their prefix */
};
/* Decodes, pads or crops, resizes: an image file's bytes to pixels. Allocates out->rgb with malloc;
 * llava_pixels_free frees it. ERR_DATA with a reason for anything that is no whole picture. */
enum status llava_preprocess(const struct llava *m, enum llava_image_mode mode, const void *file,
                             size_t size, struct llava_pixels *out, struct err *e);
void llava_pixels_free(struct llava_pixels *p);
/* The normalised picture, float32 [3,R,R], as the tower gets it before any rounding to 16 bits. */
void llava_normalise(const struct llava *m, const struct llava_pixels *p, float *out);

enum llava_finish { LLAVA_STOP, LLAVA_LENGTH, LLAVA_CANCELLED, LLAVA_FAILED };
struct llava_reply {
    const char *text;           /* decoded and stripped; LLAVA_FAILED: the reason */
    const int32_t *ids;
    size_t n_ids;               /* without the end token */
    enum llava_finish finish;
    int prompt_tokens;          /* positions of the prompt, image tokens counted */
    bool cut;                   /* the prompt's end is missing: tokenizer_model_max_length */
    double ms;                  /* from submit to done */
};
struct llava_request {
    const int32_t *ids; size_t n_ids;                       /* borrowed until done() */
    const struct llava_pixels *image;                       /* NULL: no slot in ids; borrowed */
    int max_new_tokens;
    int n_beams;                                            /* 1; beams are not run yet: refused */
    float temperature, top_p;                               /* 0: greedy; top_p 0 or 1: off */
    int top_k;                                              /* 0: 50, as Hugging Face's default */
    uint64_t seed;
    const char *stop;                                       /* cut the text there, or NULL */
    float *logits;                                          /* NULL, or [V]: last prompt row */
    void (*token)(void *user, int32_t id);                  /* NULL, or told of each new token */
    void (*done)(void *user, const struct llava_reply *r);  /* from llava_step(); r dies with it */
    void *user;
};
/* Requests about one picture that are submitted next to each other share its prefix. A request
 * that can never run (too long for the positions, say) is answered LLAVA_FAILED, not refused. */
enum status llava_submit(struct llava *m, const struct llava_request *r, struct err *e);

/* One batch of work; calls done() for what it finishes. *unanswered: requests still open. */
enum status llava_step(struct llava *m, size_t *unanswered, struct err *e);

/* How many open requests keep the device busy: submit more while fewer are unanswered. */
size_t llava_appetite(const struct llava *m);

/* Sums since llava_open, for bench and progress. Every moment is one stage's: what the device works
 * ("vision" is tower and connector with their products, the others are the language model's), then
 * "host", where it waits for this thread inside these functions, and "idle", outside of them. On a
 * GPU, the former are known with llava_options.timeline only; without it "sample" holds them all. */
enum { LLAVA_STAGES = 8 };
struct llava_stats {
    uint64_t images, requests, prompt_tokens, computed_tokens, reply_tokens, steps;
    double flops;               /* products and attention of all that was computed: a picture's
                                   prefix and the ids before it once for all who share them */
    struct { const char *name; double seconds; } stage[LLAVA_STAGES];   /* name NULL ends */
    size_t peak_device_bytes;
};
void llava_stats(const struct llava *m, struct llava_stats *out);

/* ---- the machine ---- */

struct llava_gpu {
    char name[64];
    int major, minor;           /* compute capability */
    size_t total_bytes, free_bytes;
};
/* How many GPUs there are, at most `most` of them described; none: why says why. */
int llava_gpus(struct llava_gpu *out, int most, struct err *why);
/* Is this a build with CUDA? versions: of it and of the driver, in words. */
bool llava_has_cuda(char *versions, size_t size);
/* The libraries that pictures are decoded by, with their versions. */
void llava_image_libraries(char *text, size_t size);
/* The name of the i-th set of vector instructions, best first; NULL behind the last. */
const char *llava_simd(int i, bool *usable);

/* A few of the device's operations against plain ones: the largest relative error, and what is allowed
 * for its type. ERR_DEVICE where it does not run. */
enum status llava_self_test(const struct llava_options *o, double *error, double *allowed,
                            struct err *e);

/* Measures, for about a second, the most matrix FLOP/s that this device reaches in this dtype. */
enum status llava_peak_flops(struct llava *m, double *flops_per_s, struct err *e);

#endif
