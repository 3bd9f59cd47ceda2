/* lora.c -- W + (alpha / r) B A, with the roundings of peft's merge in fp16.
 *
 * The original loads base and adapter in fp16 and merges on a GPU: A and B are fp16, the product is
 * accumulated in fp32 and rounded, then scaled and rounded, then added and rounded. */
#include "engine/lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float half_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    uint32_t bits = sign | (rest >= 0x7c00 ? 0x7f800000 | (rest & 0x3ff) << 13
                                           : (rest << 13) + ((127u - 15) << 23));
    float x;
    if (rest < 0x400) {                                     /* zero and subnormals */
        x = (float)rest * 0x1p-24f;
        return sign ? -x : x;
    }
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Nearest even; what is too large becomes an infinity. */
static uint16_t to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits >= 0x47800000)                                 /* 65536 and more, NaN */
        return (uint16_t)(sign | (bits > 0x7f800000 ? 0x7e00 : 0x7c00));
    if (bits < 0x38800000) {                                /* below 2^-14: 2^-1 rounds to 2^-24 */
        float small;
        memcpy(&small, &bits, sizeof small);
        small += 0.5f;
        memcpy(&bits, &small, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    return (uint16_t)(sign | (bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13);
}

static float rounded(float x)
{
    return half_value(to_half(x));
}

/* Element i, rounded to fp16 first whatever it is stored as. */
static float element(const struct stored *t, size_t i)
{
    if (t->type == F32) {
        float x;
        memcpy(&x, t->data + i * sizeof x, sizeof x);
        return rounded(x);
    }
    uint16_t h = (uint16_t)(t->data[2 * i] | t->data[2 * i + 1] << 8);
    if (t->type == F16)
        return half_value(h);
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return rounded(x);
}

enum status lora_merge(uint16_t *out, const struct stored *w, const struct stored *a,
                       const struct stored *b, double scale, struct err *e)
{
    size_t N = (size_t)w->shape[0], K = (size_t)w->shape[1], r = (size_t)a->shape[0];
    float *wide_a = malloc(r * K * sizeof *wide_a + 1);     /* [r,K] */
    float factor = (float)scale;                            /* PyTorch keeps a number in float32 */
    bool failed = wide_a == NULL;
    for (size_t i = 0; !failed && i < r * K; i++)
        wide_a[i] = element(a, i);
#pragma omp parallel for schedule(static) reduction(|| : failed)
    for (size_t n = 0; n < N; n++) {
        float *row = wide_a ? calloc(K + 1, sizeof *row) : NULL;
        failed = failed || !row;
        for (size_t j = 0; row && j < r; j++) {
            float x = element(b, n * r + j);
            for (size_t k = 0; k < K; k++)
                row[k] += x * wide_a[j * K + k];
        }
        for (size_t k = 0; row && k < K; k++)
            out[n * K + k] = to_half(element(w, n * K + k) + rounded(rounded(row[k]) * factor));
        free(row);
    }
    free(wide_a);
    return failed ? err_set(e, ERR_MEMORY, "%s: no memory to merge its adapter", w->name) : OK;
}

static bool is_empty(const struct json *m)
{
    return !m || m->type == JSON_NULL || m->type == JSON_FALSE ||
           ((m->type == JSON_ARRAY || m->type == JSON_OBJECT) && m->n == 0);
}

enum status lora_read_config(double *scale, const struct json *adapter, const char *path,
                             struct err *e)
{
    static const char *const refused[] = { "use_dora", "modules_to_save", "rank_pattern",
                                           "alpha_pattern", "fan_in_fan_out", "lora_bias" };
    static const char *const changes_base[] = { "pissa", "olora", "corda", "loftq" };
    const char *type = json_get_str(adapter, "peft_type", "LORA");
    const char *bias = json_get_str(adapter, "bias", "none");
    int64_t r = json_get_int(adapter, "r", 0);
    double alpha = json_get_double(adapter, "lora_alpha", 0);
    if (strcmp(type, "LORA"))
        return err_set(e, ERR_CHECKPOINT, "%s: an adapter of type \"%.40s\" is not run; LORA is",
                       path, type);
    if (strcmp(bias, "none"))
        return err_set(e, ERR_CHECKPOINT, "%s: \"bias\" is \"%.40s\"; only \"none\" is run", path,
                       bias);
    for (size_t i = 0; i < COUNT(refused); i++)
        if (!is_empty(json_get(adapter, refused[i])))
            return err_set(e, ERR_CHECKPOINT, "%s: \"%s\" is set, which is not run", path,
                           refused[i]);
    const char *begun = json_get_str(adapter, "init_lora_weights", "");
    for (size_t i = 0; i < COUNT(changes_base); i++)
        if (!strncasecmp(begun, changes_base[i], strlen(changes_base[i])))
            return err_set(e, ERR_CHECKPOINT, "%s: \"init_lora_weights\" is \"%.40s\": peft changes the base's "
                           "weights for it, which is not run; merge it there", path, begun);
    if (r < 1 || r > 1 << 20 || !(alpha > 0 && alpha < 1e6))
        return err_set(e, ERR_CHECKPOINT,
                       "%s: \"r\" and \"lora_alpha\" are missing or out of range", path);
    *scale = alpha / (json_get_bool(adapter, "use_rslora", false) ? sqrt((double)r) : (double)r);
    return OK;
}
