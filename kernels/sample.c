/* sample.c -- which token comes next. */
#include <math.h>
#include <stdlib.h>
#include "kernels/kernels.h"

int32_t argmax(const float *logits, int n, const uint8_t *allowed)
{
    int32_t best = -1;
    for (int i = 0; i < n; i++)
        if ((allowed == NULL || allowed[i]) && (best < 0 || logits[i] > logits[best]))
            best = i;
    return best;
}

struct candidate { float logit; int32_t id; double p; };

size_t sample_scratch(int n)
{
    return (size_t)n * sizeof(struct candidate);
}

static int by_logit(const void *a, const void *b)           /* largest first, then lowest id */
{
    const struct candidate *x = a, *y = b;
    return x->logit != y->logit ? (x->logit < y->logit ? 1 : -1) : x->id < y->id ? -1 : 1;
}

/* Temperature, the top_k most likely (0: all), then of these the smallest set whose probabilities
 * reach top_p in sum, at least one; then the token at u of the remaining probability. */
int32_t sample(const float *logits, int n, const uint8_t *allowed, float temperature, int top_k,
               float top_p, float u, void *scratch)
{
    struct candidate *c = scratch;
    int m = 0;
    if (!(temperature > 0))
        return argmax(logits, n, allowed);
    for (int i = 0; i < n; i++)
        if (allowed == NULL || allowed[i])
            c[m++] = (struct candidate){ .logit = logits[i], .id = i };
    if (m == 0)
        return -1;
    qsort(c, (size_t)m, sizeof *c, by_logit);
    double sum = 0, kept = 0;
    m = top_k > 0 && top_k < m ? top_k : m;
    for (int i = 0; i < m; i++)
        sum += c[i].p = exp(((double)c[i].logit - c[0].logit) / temperature);
    double enough = top_p < 1 ? top_p * sum : sum;
    int keep = 0;
    while (keep < m && (keep == 0 || kept < enough || top_p >= 1))
        kept += c[keep++].p;
    double drawn = 0;
    for (int i = 0; i < keep; i++) {
        drawn += c[i].p;
        if (drawn > u * kept)
            return c[i].id;
    }
    return c[keep - 1].id;
}
