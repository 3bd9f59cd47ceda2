/* cuda.h -- the GPU's twins of kernels.h: the same operations with the same words, and pointers to
 * the device's memory. Products are cuBLASLt's; all else that a step needs is here.
 *
 * Each function only launches, on `stream` (a cudaStream_t), and returns a cudaError_t, 0 for
 * success; what goes wrong later shows when the stream is in sync. No rows are no launch. Types are
 * F32, F16 or BF16 in any mixture unless a line says otherwise. Sums are F32, in an order that the
 * sizes of one row fix: a row's bits depend neither on the other rows nor on how many there are.
 *
 * Tensors are row-major without gaps, and start at multiples of 16 bytes, as memory of cudaMalloc
 * does; where rows are a multiple of 8 numbers long, all are moved 16 bytes at a time.
 *
 * The KV cache: for K and for V one block [layers][kv_heads][columns][d] of qkv's type; struct
 * attention's k and v point to one layer of it. A head's columns lie one behind the other, each d
 * numbers: rows of K and of V are what the tensor cores load (V transposed on the way), 16 bytes at
 * a time. It must never hold what was not written: start it with zeros. */
#ifndef KERNELS_CUDA_H
#define KERNELS_CUDA_H

#if defined(__cplusplus)
extern "C" {
#endif

#include "kernels/kernels.h"

/* y[i] = x[i], in y's type; for weights on their way in, and for what a product wants. */
int convert_cuda(void *y, enum number y_type, const void *x, enum number x_type, size_t n,
                 void *stream);

/* y[t] = x[row[t]], or other[-1 - row[t]] for a negative one: embedding with the pictures' rows
 * spliced in, and gathering rows. row is the device's; other may be NULL if none is negative. */
int gather_cuda(void *y, enum number y_type, const void *x, enum number x_type, const void *other,
                enum number other_type, const int32_t *row, int T, int D, void *stream);

/* y[t] = (t % rows ? x[the next] : cls) + pos[t % rows]; rows = 1 + P */
int tower_embed_cuda(void *y, enum number y_type, const void *x, enum number x_type,
                     const void *cls, enum number cls_type, const void *pos, enum number pos_type,
                     int images, int rows, int D, void *stream);

/* x [images, side, side, 3] bytes to normalised patches [images*P, 3*patch*patch]. */
int patches_cuda(void *y, enum number y_type, const uint8_t *x, int images, int side, int patch,
                 void *stream);

/* y may be x, if their types are equal. RMSNorm rounds to y's type before the weight, as
 * LlamaRMSNorm does. */
int layernorm_cuda(void *y, enum number y_type, const void *x, enum number x_type, const float *w,
                   const float *bias, int T, int D, float eps, void *stream);
int rmsnorm_cuda(void *y, enum number y_type, const void *x, enum number x_type, const float *w,
                 int T, int D, float eps, void *stream);

/* y [T,D] e4m3 (float8.h), scale [T]: scale[t] = max |x[t]| / 448, and y[t] the nearest to x[t] /
 * scale[t]. NaN stays NaN; an infinity becomes it. For compute capability 8.9 and newer. */
int quantise_cuda(uint8_t *y, float *scale, const void *x, enum number x_type, int T, int D,
                  void *stream);

/* What follows a product x: y = act(x + bias) + residual      y, residual [T,N]  bias [N]
 * SwiGLU: x [T,2N], first all gates, then all ups (weights stacked so): y = silu(gate) * up, where
 * silu(gate) is rounded to x's type. bias and residual may be NULL. y may be x (not with SwiGLU)
 * or residual, if their types are equal. scales: x[t,n] counts row[t] * column[n] times; or both
 * NULL. */
struct scales { const float *row, *column; };   /* [T], [columns of x] */
int finish_cuda(void *y, enum number y_type, const void *x, enum number x_type,
                struct scales scales, const float *bias, enum activation act, const void *residual,
                enum number residual_type, int T, int N, void *stream);

/* struct attention, all pointers the device's; d a multiple of 8, at most ATTENTION_D; columns, and
 * base and lo of a place, multiples of 64.
 * cache_write: rotates q (in place) and k (tables [positions][d/2], NULL: not at all); writes k, v.
 * cache_copy: columns from .. from + n to those from `to` on; of `a` only kv_heads, d, columns, k, v
 * and type count.
 * attend: y [T, heads*d] of qkv's type. Rows are done in tiles: neighbours of one base, so that
 * what they see in common is read once. attention_tiles() lists them (at is the host's, here), and
 * returns how many; tile has room for T; the list then goes to the device. */
enum { ATTENTION_D = 128 };
struct tile { int32_t first, n; };          /* rows first .. first + n */
int attention_tiles(struct tile *tile, const struct place *at, int T, enum number type);
int cache_write_cuda(const struct attention *a, const float *cosine, const float *sine,
                     void *stream);
struct move { int32_t from, to, n; };       /* engine/backend.h: struct kv_copy */
int cache_copy_cuda(const struct attention *a, const struct move *moves, int n, void *stream);
int attend_cuda(void *y, const struct attention *a, const struct tile *tile, int tiles,
                void *stream);

/* out[s] = the next token of row s of logits [S,V]: the lowest id of the largest among the first n
 * that are allowed (bytes [n], or NULL: all), or a draw, as kernels.h's sample() makes it. -1: none
 * is allowed. All pointers are the device's. scratch: sample_cuda_scratch() bytes; NULL will do
 * if no row has a temperature. */
struct draw { float temperature, top_p; int32_t top_k; float u; };  /* backend.h: struct sampling */
size_t sample_cuda_scratch(int S, int n);
int sample_cuda(int32_t *out, const float *logits, int S, int V, int n, const uint8_t *allowed,
                const struct draw *how, void *scratch, void *stream);

#if defined(__cplusplus)
}
#endif
#endif
