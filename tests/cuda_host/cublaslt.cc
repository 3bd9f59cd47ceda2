/* cublaslt.cc -- cuBLASLt's products, by the CPU's (kernels/matmul.c).
 *
 * One form: D = A^T B (+ C), column-major; seen row by row D is [n,m], B [n,k] and A [m,k], so it is
 * the CPU's y = x w'. Types as in the library's table for CUBLAS_COMPUTE_32F: A and B of one type;
 * C and D of that type or F32; the bias of D's type.
 *
 * A and B may be e4m3, from compute capability 8.9 on: m and k multiples of 16, C and D F16, BF16 or
 * F32, no bias that we would use (the library wants one of 16 bits). Factors of their rows
 * (OUTER_VEC_32F, for both or none) are multiplied in on compute capability 9.0 alone.
 *
 * The library offers algorithms, of which some give a row other bits in other company. Kinds here:
 *     'a'   honest: a row's bits are its own
 *     'n'   from 64 rows on, all sums run in another order
 *     'k'   split-K: in two halves, added up; offered unless the caller's mask forbids it
 * "a" is what is offered by default; tests ask for others by cuda_host_products() to see a caller
 * refuse them. */
#include "tests/cuda_host/private.hh"
#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <vector>
#include "kernels/float8.h"
#include "kernels/cuda.h"                                 /* kernels.h, as C */

using namespace cuda_host;

struct cublasLtContext { int device; };
struct cublasLtMatmulDesc {
    int32_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N, epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void *bias = nullptr;
    int32_t bias_type = -1, mode_a = 0, mode_b = 0;
    const void *scale_a = nullptr, *scale_b = nullptr;
    cublasComputeType_t compute;
};
struct cublasLtMatrixLayout { cudaDataType type; uint64_t rows, cols; int64_t ld; };
struct cublasLtMatmulPreference { uint64_t workspace = 0; uint32_t schemes = 7; };

static std::string kinds;

static const std::string &offered()
{
    if (kinds.empty()) {
        const char *given = getenv("CUDA_HOST_PRODUCTS");
        kinds = given ? given : "a";
    }
    return kinds;
}

void cuda_host_products(const char *given)
{
    kinds = given;
}

static bool known(cudaDataType t)
{
    return t == CUDA_R_32F || t == CUDA_R_16F || t == CUDA_R_16BF || t == CUDA_R_8F_E4M3;
}

static size_t size_of(cudaDataType t)
{
    return t == CUDA_R_32F ? 4 : t == CUDA_R_8F_E4M3 ? 1 : 2;
}

static float get(const void *p, cudaDataType t, size_t i)
{
    if (t == CUDA_R_32F)
        return ((const float *)p)[i];
    if (t == CUDA_R_8F_E4M3)
        return e4m3_to_float(((const uint8_t *)p)[i]);
    uint16_t h = ((const uint16_t *)p)[i];
    return t == CUDA_R_16F ? f16_to_float(h) : bf16_to_float(h);
}

static void put(void *p, cudaDataType t, size_t i, float x)
{
    if (t == CUDA_R_32F)
        ((float *)p)[i] = x;
    else
        ((uint16_t *)p)[i] = t == CUDA_R_16F ? f16_of_float(x) : bf16_of_float(x);
}

/* ---- descriptions ---- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out)
{
    *out = new cublasLtContext{ current_device() };
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    delete h;
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void)
{
    return 130000;
}

const char *cublasLtGetStatusString(cublasStatus_t s)
{
    switch (s) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    default: return "CUBLAS_STATUS_INTERNAL_ERROR";
    }
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    *out = nullptr;
    if (scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *out = new cublasLtMatmulDesc;
    (*out)->compute = compute;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
    delete d;
    return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t set(T *to, const void *value, size_t size)
{
    if (size != sizeof *to)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t what,
                                              const void *value, size_t size)
{
    switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(&d->trans_a, value, size);
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(&d->trans_b, value, size);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(&d->epilogue, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(&d->bias, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return set(&d->bias_type, value, size);
    case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER: return set(&d->scale_a, value, size);
    case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER: return set(&d->scale_b, value, size);
    case CUBLASLT_MATMUL_DESC_A_SCALE_MODE: return set(&d->mode_a, value, size);
    case CUBLASLT_MATMUL_DESC_B_SCALE_MODE: return set(&d->mode_b, value, size);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    *out = nullptr;
    if (!known(type) || !rows || !cols || ld < (int64_t)rows)
        return CUBLAS_STATUS_INVALID_VALUE;
    *out = new cublasLtMatrixLayout{ type, rows, cols, ld };
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    delete l;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    *out = new cublasLtMatmulPreference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    delete p;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t what,
                                                    const void *value, size_t size)
{
    switch (what) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(&p->workspace, value, size);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return set(&p->schemes, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return size == 4 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

/* ---- algorithms ---- */

/* What the library asks of e4m3; as this device has it. */
static bool possible_e4m3(const cublasLtMatmulDesc *op, uint64_t m, uint64_t k, cudaDataType d)
{
    bool outer = op->mode_a == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    int capability = device_capability();
    return capability >= 89 && op->compute == CUBLAS_COMPUTE_32F && m % 16 == 0 && k % 16 == 0 &&
           d != CUDA_R_8F_E4M3 && op->epilogue == CUBLASLT_EPILOGUE_DEFAULT &&
           op->mode_a == op->mode_b && (outer || op->mode_a == 0) && (!outer || capability == 90) &&
           outer == (op->scale_a && op->scale_b);
}

static cublasStatus_t possible(cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
                               cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                               cublasLtMatrixLayout_t d)
{
    uint64_t m = d->rows, n = d->cols, k = a->rows;
    if (op->trans_a != CUBLAS_OP_T || op->trans_b != CUBLAS_OP_N ||
        (op->compute != CUBLAS_COMPUTE_32F && op->compute != CUBLAS_COMPUTE_32F_PEDANTIC))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (a->cols != m || b->rows != k || b->cols != n || c->rows != m || c->cols != n)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (a->type == CUDA_R_8F_E4M3)
        return b->type == a->type && c->type == d->type && possible_e4m3(op, m, k, d->type)
                   ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
    cudaDataType bias = op->bias_type < 0 ? d->type : (cudaDataType)op->bias_type;
    if (a->type != b->type || c->type != d->type || (d->type != a->type && d->type != CUDA_R_32F) ||
        (op->epilogue == CUBLASLT_EPILOGUE_BIAS && bias != d->type))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (op->epilogue != CUBLASLT_EPILOGUE_DEFAULT && op->epilogue != CUBLASLT_EPILOGUE_BIAS)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t p, int asked,
                                              cublasLtMatmulHeuristicResult_t *out, int *found)
{
    cublasStatus_t rc = possible(op, a, b, c, d);
    *found = 0;
    if (rc != CUBLAS_STATUS_SUCCESS)
        return rc;
    for (char kind : offered())
        if (*found < asked && (kind != 'k' || p->schemes & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)) {
            cublasLtMatmulHeuristicResult_t *r = &out[(*found)++];
            memset(r, 0, sizeof *r);
            r->algo.data[0] = (uint64_t)kind;
        }
    return *found ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t op,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *out)
{
    memset(out, 0, sizeof *out);
    out->algo = *algo;
    return out->state = possible(op, a, b, c, d);
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t what,
                                                    void *value, size_t size, size_t *written)
{
    bool split = algo->data[0] == 'k';
    int32_t x = what == CUBLASLT_ALGO_CONFIG_SPLITK_NUM ? (split ? 2 : 1) :
                what == CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME ?
                    (split ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE : 0) :
                what == CUBLASLT_ALGO_CONFIG_ID ? (int32_t)algo->data[0] : 0;
    if (size != sizeof x)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &x, sizeof x);
    if (written)
        *written = sizeof x;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- products ---- */

struct task {
    int M, N, K;
    const void *x, *w;
    cudaDataType type, y_type;
    size_t ldx, ldw, ldy, ldc;
    const void *bias, *c;       /* or NULL */
    const float *x_scale, *w_scale;                         /* or NULL */
    void *y;
    char kind;
};

/* sum [M,N] += the columns first .. first + K of x w', in the CPU's order; both may be reversed. */
static void multiply(const task &t, std::vector<float> &sum, int first, int K, bool reversed)
{
    const struct level *l;
    const struct micro *m;
    std::vector<float> x((size_t)t.M * (size_t)K), w((size_t)t.N * (size_t)K);
    auto fill = [&](std::vector<float> &to, const void *from, size_t ld, int rows) {
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < K; k++) {
                int at = first + (reversed ? K - 1 - k : k);
                to[(size_t)i * (size_t)K + (size_t)k] = get(from, t.type,
                                                            (size_t)i * ld + (size_t)at);
            }
    };
    fill(x, t.x, t.ldx, t.M);
    fill(w, t.w, t.ldw, t.N);
    kernels_choose(nullptr, &l, &m);
    void *panels = aligned_alloc(64, panels_bytes(t.N, K, 0, NUM_F32) + 64);
    struct rows part = { w.data(), NUM_F32, t.N };
    panels_pack(l, panels, NUM_F32, t.N, K, 0, &part, 1);
    struct product p = {};
    p.M = t.M, p.N = t.N, p.K = K;
    p.y = sum.data(), p.x = x.data(), p.panels = panels;
    p.w_type = NUM_F32, p.act = ACTIVATE_NONE;
    p.residual = first ? sum.data() : nullptr;
    void *scratch = aligned_alloc(64, (matmul_scratch(l, nullptr, &p) + 127) / 64 * 64);
    matmul(l, nullptr, &p, scratch);
    free(scratch);
    free(panels);
}

static void perform(const task &t)
{
    std::vector<float> sum((size_t)t.M * (size_t)t.N);
    if (t.kind == 'k') {
        multiply(t, sum, 0, t.K / 2, false);
        multiply(t, sum, t.K / 2, t.K - t.K / 2, false);
    } else {
        multiply(t, sum, 0, t.K, t.kind == 'n' && t.M >= 64);
    }
    for (size_t i = 0; i < (size_t)t.M; i++)
        for (size_t j = 0; j < (size_t)t.N; j++) {
            float z = sum[i * (size_t)t.N + j];
            if (t.x_scale)
                z = z * t.x_scale[i] * t.w_scale[j];
            if (t.c)
                z += get(t.c, t.y_type, i * t.ldc + j);
            if (t.bias)
                z += get(t.bias, t.y_type, j);
            put(t.y, t.y_type, i * t.ldy + j, z);
        }
}

static bool placed(const void *p, const cublasLtMatrixLayout *l, const char *what)
{
    size_t bytes = ((size_t)l->ld * (l->cols - 1) + l->rows) * size_of(l->type);
    const char *why;
    if (device_range(current_device(), p, bytes, &why))
        return true;
    report(cudaErrorIllegalAddress, "cublasLtMatmul: %s of %zu bytes %s", what, bytes, why);
    return false;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t op, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t la, const void *b,
                              cublasLtMatrixLayout_t lb, const void *beta, const void *c,
                              cublasLtMatrixLayout_t lc, void *d, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t bytes,
                              cudaStream_t stream)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    cublasStatus_t rc = possible(op, la, lb, lc, ld);
    float by = *(const float *)alpha, keep = *(const float *)beta;
    const char *why;
    if (rc != CUBLAS_STATUS_SUCCESS)
        return rc;
    if (by != 1 || (keep != 0 && keep != 1) || !algo || h->device != current_device())
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!usable(current_device()))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    task t = {};
    t.M = (int)ld->cols, t.N = (int)ld->rows, t.K = (int)la->rows;
    t.x = b, t.w = a, t.y = d, t.c = keep != 0 ? c : nullptr;
    t.type = la->type, t.y_type = ld->type;
    t.ldx = (size_t)lb->ld, t.ldw = (size_t)la->ld, t.ldy = (size_t)ld->ld, t.ldc = (size_t)lc->ld;
    t.bias = op->epilogue == CUBLASLT_EPILOGUE_BIAS ? op->bias : nullptr;
    t.kind = (char)algo->data[0];
    if (op->mode_a == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F)
        t.w_scale = (const float *)op->scale_a, t.x_scale = (const float *)op->scale_b;
    if (!placed(a, la, "A") || !placed(b, lb, "B") || !placed(d, ld, "D") ||
        (t.c && !placed(c, lc, "C")))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    if ((t.bias && !device_range(current_device(), t.bias, (size_t)t.N * size_of(t.y_type), &why)) ||
        (bytes && !device_range(current_device(), workspace, bytes, &why))) {
        report(cudaErrorIllegalAddress, "cublasLtMatmul: the bias or the workspace %s", why);
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (t.x_scale &&
        (!device_range(current_device(), t.x_scale, (size_t)t.M * sizeof(float), &why) ||
         !device_range(current_device(), t.w_scale, (size_t)t.N * sizeof(float), &why))) {
        report(cudaErrorIllegalAddress, "cublasLtMatmul: scales %s", why);
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    enqueue(stream, [t] { perform(t); });
    return CUBLAS_STATUS_SUCCESS;
}
