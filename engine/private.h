/* private.h -- what the model's parts and llava.c share, and nobody else sees.
 *
 * How data flows through one step:
 *
 *     U8 pixels -> patches -> [vision tower] -> rows of all patches -> [connector] -> picture rows
 *     token ids, picture rows -> embed -> [language model, KV cache] -> last rows -> logits
 *
 * Everything is a product of rows: no padding, no batch dimension. Which numbers are kept how is
 * decided once, by device_open():
 *
 *     dtype   weights                            activations    residual stream, norms' weights,
 *                                                               biases, logits
 *     fp32    as in the file (16 bits expanded   F32            F32
 *             inside the products; exact)
 *     bf16    BF16                               BF16           F32
 *     fp16    F16 (GPU only)                     F16            F32; logits rounded to F16, as the
 *                                                               original's: equals are equal there
 *     fp8     E4M3 in the blocks, else F16       F16            as fp16
 *
 * fp8: the tower's and the language model's blocks are nearly all of the weights and of the work. An
 * output's weights have one float32 scale, and so has each row of activations when it is
 * multiplied; sums are float32. What stands before, between and behind the blocks (patch
 * embedding, connector, embedding, lm_head) is fp16's, and so are attention and its cache.
 *
 * "Activations" are what goes into products and into the cache: normed rows, q k v, attention's
 * output, the feed-forward's middle, patches, the connector's middle and output. */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include "engine/backend.h"
#include "engine/checkpoint.h"

/* Where the time goes. Every moment since device_open() belongs to one stage; a stage ends where
 * the next is entered. On a device that runs behind, the stages of a step are taken from its own
 * clock when it is in sync, if device_open() was asked for that, and "host" has what it did not
 * work; else the stages are those of the host, which only puts work in a queue there, and "sample"
 * holds the wait for all of it. */
enum stage { STAGE_VISION, STAGE_PRODUCTS, STAGE_ATTENTION, STAGE_ELEMENTWISE, STAGE_SAMPLE,
             STAGE_HOST, STAGE_IDLE, N_STAGES };            /* the device's, then the host's */
extern const char *const stage_names[N_STAGES];

struct device {                 /* a backend, and how numbers are kept on it; one thread */
    struct backend *backend;
    const struct backend_ops *ops;
    enum dtype act;             /* F32, BF16 or F16 */
    bool fp8;                   /* blocks' weights are E4M3, and act is F16 */
    const char *dump_dir;       /* activations go there as .npy; or NULL */
    int dumped;                 /* how many so far: their order in the files' names */
    enum stage stage;
    double since, seconds[N_STAGES];
    bool marks;                 /* stages of the device's are marked in its queue ... */
    bool marked;                /* ... and some are, since `since` */
};

void device_open(struct device *d, struct backend *b, enum dtype act, const char *dump_dir,
                 bool timeline);
double clock_seconds(void);                                 /* monotonic */
void device_stage(struct device *d, enum stage stage);
/* Waits for the device. What follows is STAGE_HOST. */
enum status device_sync(struct device *d, struct err *e);

/* Writes t, converted to float32, to DUMP_DIR/NNNN-name.npy if activations are dumped. */
enum status device_dump(struct device *d, const struct tensor *t, struct err *e,
                        const char *format, ...) PRINTF_LIKE(4, 5);

/* A tensor of zeros. */
enum status device_alloc(struct device *d, struct tensor *t, enum dtype type, int rows, int cols,
                         struct err *e);
void device_free(struct device *d, struct tensor *t);       /* never allocated is fine */
void device_unpack(struct device *d, struct matrix *m);     /* never packed is fine */

/* machine.c: the backend that the options name, and *type, what it computes in (E4M3: fp8). "auto" without a GPU
 * that can be used is the CPU, and *why_not_gpu says why. */
enum status machine_open(struct backend **out, const struct llava_options *o, enum dtype *type,
                         struct err *why_not_gpu, struct err *e);

/* weights.c: from the checkpoint's names to the device. The first error stays in l->e, and what
 * follows it does nothing: a loader of many tensors checks once, at its end. */
struct loader {
    struct device *device;
    const struct checkpoint *checkpoint;
    struct err *e;
    enum dtype widest;          /* what the files hold: BF16, then F16, then F32; starts as BF16 */
};
/* Tensors are named PREFIX followed by each of `parts`, a list of up to four that ends in NULL. */
/* F32: one tensor as it is, or several vectors end to end. */
void load_floats(struct loader *l, struct tensor *t, const char *prefix, const char *const *parts);
/* As it lies in the file. */
void load_table(struct loader *l, struct tensor *t, const char *name);
/* Stacked, or, paired, gate and up: for products. */
void load_matrix(struct loader *l, struct matrix *m, bool paired, const char *prefix,
                 const char *const *parts);
/* The same, within a block. */
void load_block_matrix(struct loader *l, struct matrix *m, bool paired, const char *prefix,
                       const char *const *parts);

float half_value(enum dtype type, uint16_t h);              /* of a BF16 or F16 number */
uint16_t half_of(enum dtype type, float x);                 /* rounded down: for made-up numbers */

/* vision.c: pictures to the rows that mm_vision_select_layer asks for. */
struct vision;
enum status vision_open(struct vision **out, struct loader *l, const struct tower_config *c,
                        int pictures);                      /* at most so many at once */
void vision_close(struct vision *v);                        /* NULL is fine, for all three */
/* Picture i of the batch: rgb [R,R,3]. */
enum status vision_put(struct vision *v, int i, const uint8_t *rgb, struct err *e);
/* The first n pictures to patches [n*P, 3*p*p]; patches to rows [n*(1+P), D], valid until the next
 * call. Two functions, so that a test can put in patches that are no pixels. */
enum status vision_patches(struct vision *v, int n, struct err *e);
enum status vision_run(struct vision *v, int n, struct tensor *rows, struct err *e);
struct tensor vision_patch_rows(struct vision *v, int n);

/* connector.c: the selected rows to the language model's width. */
struct connector;
enum status connector_open(struct connector **out, struct loader *l, const struct model_config *c,
                           int pictures);
void connector_close(struct connector *c);
/* y [n*image_tokens, D] of the activations' type; x [n*(1+P), tower's D] as vision_run gives it. */
enum status connector_run(struct connector *c, struct tensor *y, const struct tensor *x, int n,
                          struct err *e);

/* language.c: one step of LLaMA over packed rows. */
struct language;
struct rows {                   /* host memory, untouched until the device is in sync */
    int n, n_last;
    const int32_t *id;          /* [n] token, or -1 - row of the pictures' tensor */
    const struct kv_row *at;    /* [n] */
    const struct kv_copy *copy; /* [n_copies]: columns that are others' too */
    int n_copies;
    const int32_t *last;        /* [n_last] rows whose logits are wanted */
};
enum status language_open(struct language **out, struct loader *l, const struct language_config *c,
                          int rows, int last, int columns);
void language_close(struct language *m);
/* Logits F32 [n_last, V], valid until the next call. pictures may hold no rows. */
enum status language_step(struct language *m, const struct rows *rows,
                          const struct tensor *pictures, struct tensor *logits, struct err *e);

/* Multiply-adds counted twice; model.md's formulas are those of the original's arithmetic. */
double vision_flops(const struct tower_config *c);          /* of one picture */
double connector_flops(const struct model_config *c);
double language_row_flops(const struct language_config *c); /* products of one row */
double language_key_flops(const struct language_config *c); /* attention, per column seen */
double language_logit_flops(const struct language_config *c);

#endif
