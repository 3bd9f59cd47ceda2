/* pack.c -- weights as they lie in a file, into panels: kernels.h has the picture.
 *
 * Done once per weight, while it is read from the mapped file: each thread writes whole panels, and
 * reads 32 rows side by side, a few numbers of each at a time, which it turns by 90 degrees. */
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

enum { SOME = 128 };            /* k's at a time: as 32 rows and as part of a panel in the L1 cache */

/* `some` numbers as they lie in a file, as 16 bits; 0 behind them. */
static void run16(const struct level *l, uint16_t y[SOME], enum number type, const char *row,
                  enum number from, int some)
{
    union { float f32[SOME]; uint16_t h[SOME]; } aligned;
    memset(y + some, 0, (size_t)(SOME - some) * sizeof *y);
    memcpy(&aligned, row, (size_t)some * number_size(from));
    if (type == NUM_BF16 || from == type)
        l->copy(y, type, &aligned, from, some);
    else
        for (int k = 0; k < some; k++)
            y[k] = f16_of_float(float_at(row, from, k));
}

static void run32(float *panel, const char *row, enum number from, int some)
{
    for (int k = 0; k < some; k++)
        panel[(size_t)k * PANEL] = float_at(row, from, k);
}

/* From run[j][k] to [k/2][j][k%2]. */
static void turn(void *panel, uint16_t run[PANEL][SOME], int some)
{
    char *to = panel;
    for (int k = 0; k < some; k += 2)
        for (int j = 0; j < PANEL; j++, to += 4)
            memcpy(to, &run[j][k], 4);
}

/* Panel p; K numbers a row. */
static void pack_panel(const struct level *l, char *panel, int p, enum number type, int outputs,
                       int K, int paired, const struct rows *parts, int n_parts)
{
    uint16_t run[PANEL][SOME] = { { 0 } };
    size_t size = number_size(type);
    for (int k = 0; k < K; k += SOME) {
        int some = K - k < SOME ? K - k : SOME;
        char *to = panel + (size_t)k * PANEL * size;
        for (int j = 0; j < PANEL; j++) {
            int output = p * width(paired) + j % width(paired);
            int row = output + (j >= width(paired) ? outputs : 0);
            enum number from;
            const char *at = output < outputs ? row_at(parts, n_parts, row, K, &from) : NULL;
            if (at == NULL)
                continue;
            at += (size_t)k * number_size(from);
            if (type == NUM_F32)
                run32((float *)(void *)to + j, at, from, some);
            else
                run16(l, run[j], type, at, from, some);
        }
        if (type != NUM_F32)
            turn(to, run, some);
    }
}

void panels_pack(const struct level *l, void *panels, enum number type, int outputs, int K,
                 int paired, const struct rows *parts, int n_parts)
{
    int n = (outputs + width(paired) - 1) / width(paired), Kp = round_up(K, 32);
    size_t bytes = PANEL * (size_t)Kp * number_size(type);
#pragma omp parallel for schedule(static)
    for (int p = 0; p < n; p++) {
        char *panel = (char *)panels + (size_t)p * bytes;
        if (K < Kp || (p + 1) * width(paired) > outputs)    /* not every place will be written */
            memset(panel, 0, bytes);
        pack_panel(l, panel, p, type, outputs, K, paired, parts, n_parts);
    }
}
