/* pack.c -- weights as they lie in a file, into panels: kernels.h has the picture.
 *
 * Done once per weight, while it is read from the mapped file: each thread writes whole panels, and
 * reads 32 rows side by side, a few numbers of each at a time. */
#include <string.h>
#include "kernels/float16.h"
#include "kernels/kernels.h"

static int width(int paired)
{
    return paired ? PANEL / 2 : PANEL;
}

size_t panels_bytes(int outputs, int K, int paired, enum number type)
{
    size_t panels = (size_t)(outputs + width(paired) - 1) / (size_t)width(paired);
    return panels * PANEL * (size_t)round_up(K, 32) * number_size(type);
}

/* The row of `parts`, stacked, or NULL behind the last. */
static const char *row_at(const struct rows *parts, int n_parts, int row, int K, enum number *type)
{
    for (int i = 0; i < n_parts; row -= parts[i++].n)
        if (row < parts[i].n) {
            *type = parts[i].type;
            return (const char *)parts[i].data + (size_t)row * (size_t)K * number_size(*type);
        }
    return NULL;
}

static float float_at(const char *row, enum number type, int k)
{
    float x;
    uint16_t h;
    if (type == NUM_F32) {
        memcpy(&x, row + 4 * (size_t)k, sizeof x);
        return x;
    }
    memcpy(&h, row + 2 * (size_t)k, sizeof h);
    return type == NUM_BF16 ? bf16_to_float(h) : f16_to_float(h);
}

/* Column j of a panel of 16 bits. */
static void column16(uint16_t *panel, enum number type, const char *row, enum number from, int K)
{
    for (int k = 0; k < K; k++) {
        uint16_t h;
        if (from == type) {
            memcpy(&h, row + 2 * (size_t)k, sizeof h);
        } else {
            float x = float_at(row, from, k);
            h = type == NUM_BF16 ? bf16_of_float(x) : f16_of_float(x);
        }
        panel[(size_t)(k / 2) * 2 * PANEL + (size_t)(k % 2)] = h;
    }
}

static void column32(float *panel, const char *row, enum number from, int K)
{
    for (int k = 0; k < K; k++)
        panel[(size_t)k * PANEL] = float_at(row, from, k);
}

void panels_pack(void *panels, enum number type, int outputs, int K, int paired,
                 const struct rows *parts, int n_parts)
{
    enum { SOME = 512 };                                    /* k's at a time: 32 KB of the panel */
    int n = (outputs + width(paired) - 1) / width(paired), Kp = round_up(K, 32);
    size_t size = number_size(type);
#pragma omp parallel for schedule(static)
    for (int p = 0; p < n; p++) {
        char *panel = (char *)panels + (size_t)p * PANEL * (size_t)Kp * size;
        if (K < Kp || (p + 1) * width(paired) > outputs)    /* not every place will be written */
            memset(panel, 0, PANEL * (size_t)Kp * size);
        for (int k = 0; k < K; k += SOME)
            for (int j = 0; j < PANEL; j++) {
                int output = p * width(paired) + j % width(paired);
                int row = output + (j >= width(paired) ? outputs : 0);
                enum number from;
                const char *at = output < outputs ? row_at(parts, n_parts, row, K, &from) : NULL;
                if (at == NULL)
                    continue;
                at += (size_t)k * number_size(from);
                int some = K - k < SOME ? K - k : SOME;
                char *to = panel + (size_t)k * PANEL * size;
                if (type == NUM_F32)
                    column32((float *)to + j, at, from, some);
                else
                    column16((uint16_t *)to + 2 * j, type, at, from, some);
            }
    }
}
