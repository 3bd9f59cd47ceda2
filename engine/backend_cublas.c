/* backend_cublas.c -- choosing, proving and calling cuBLASLt's algorithms.
 *
 * cuBLAS counts columns first: y' [N,T] = w'' x', where w [N,K] lies as a K x N matrix that is to be
 * transposed. So its m, n, k are our N, T, K, and no leading dimension depends on T. */
#include "engine/backend_cublas.h"
#include <assert.h>
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/float16.h"

/* Names that the library has since 12.9; an older one refuses what they stand for. */
#if CUBLAS_VERSION < 120900
#define CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F 3
#define CUBLASLT_MATMUL_DESC_A_SCALE_MODE ((cublasLtMatmulDescAttributes_t)31)
#define CUBLASLT_MATMUL_DESC_B_SCALE_MODE ((cublasLtMatmulDescAttributes_t)32)
#endif

#define TEXT_OF(x) TEXT_OF_IT(x)
#define TEXT_OF_IT(x) #x

enum {
    ROWS_CHOSEN_FOR = 2048,     /* a constant: it must not follow the memory or the step */
    SCALES_SINCE = 120900,      /* cuBLASLt that knows scales of rows */
    ROWS_PROVED = 640,          /* more than two of the widest tiles */
    CANDIDATES = 8, SHAPES = 64,
};

struct shape {                  /* what an algorithm is chosen for */
    int N, K;
    enum number type, y_type;
    bool biased, add;
    bool scaled, refused;       /* scales of rows multiplied in; refused: not by this device */
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t w;
    cublasLtMatmulAlgo_t algo;
};

/* The library is half a gigabyte, so it is loaded when a device is opened: the verbs that need no
 * GPU start as fast as without it, and where it is missing there is a sentence. What the program
 * has of these names already (the tests' emulation) comes first. */
#define CALLS(X)                                                                                  \
    X(Create) X(Destroy) X(GetVersion) X(GetStatusString) X(Matmul) X(MatmulAlgoCheck)            \
    X(MatmulAlgoConfigGetAttribute) X(MatmulAlgoGetHeuristic) X(MatmulDescCreate)                 \
    X(MatmulDescDestroy) X(MatmulDescSetAttribute) X(MatmulPreferenceCreate)                      \
    X(MatmulPreferenceDestroy) X(MatmulPreferenceSetAttribute) X(MatrixLayoutCreate)              \
    X(MatrixLayoutDestroy)
struct calls {
#define X(name) __typeof__(cublasLt##name) *name;
    CALLS(X)
#undef X
};

static enum status load(struct calls *c, struct err *e)
{
    static const char file[] = "libcublasLt.so." TEXT_OF(CUBLAS_VER_MAJOR);
    void *library = dlsym(RTLD_DEFAULT, "cublasLtCreate") ? RTLD_DEFAULT
                                                         : dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library != RTLD_DEFAULT && !library)
        return err_set(e, ERR_DEVICE, "cannot load cuBLASLt: %s", dlerror());
#define X(name)                                                                                   \
    *(void **)&c->name = dlsym(library, "cublasLt" #name);                                        \
    if (!c->name)                                                                                 \
        return err_set(e, ERR_DEVICE, "%s lacks cublasLt" #name, file);
    CALLS(X)
#undef X
    return OK;
}

struct products {
    struct calls lt;
    cublasLtHandle_t handle;
    cudaStream_t stream;
    void *workspace;
    struct shape shape[SHAPES];
    int n_shapes;
};

static enum status failed(const struct products *p, struct err *e, const struct multiply *m,
                          const char *what, cublasStatus_t s)
{
    return err_set(e, s == CUBLAS_STATUS_ALLOC_FAILED ? ERR_MEMORY : ERR_DEVICE,
                   "product [%d,%d] by [%d,%d]: %s: %s", m->T, m->K, m->N, m->K, what,
                   p->lt.GetStatusString(s));
}

static enum status cuda_failed(struct err *e, const char *what, cudaError_t rc)
{
    cudaGetLastError();                                     /* one that passes must not stay */
    return err_set(e, rc == cudaErrorMemoryAllocation ? ERR_MEMORY : ERR_DEVICE, "%s: %s", what,
                   cudaGetErrorString(rc));
}

static cudaDataType_t cuda_type(enum number type)
{
    return type == NUM_F32 ? CUDA_R_32F : type == NUM_BF16 ? CUDA_R_16BF :
           type == NUM_E4M3 ? CUDA_R_8F_E4M3 : CUDA_R_16F;
}

enum status products_open(struct products **out, void *stream, struct err *e)
{
    struct products *p = *out = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_MEMORY, "no memory for the products");
    p->stream = stream;
    if (load(&p->lt, e) != OK)
        return e->code;
    cublasStatus_t s = p->lt.Create(&p->handle);
    if (s != CUBLAS_STATUS_SUCCESS)
        return err_set(e, ERR_DEVICE, "cuBLASLt does not start: %s", p->lt.GetStatusString(s));
    cudaError_t rc = cudaMalloc(&p->workspace, PRODUCTS_WORKSPACE);
    return rc ? cuda_failed(e, "workspace of the products", rc) : OK;
}

static void forget(const struct products *p, const struct shape *s)
{
    if (s->op)
        p->lt.MatmulDescDestroy(s->op);
    if (s->w)
        p->lt.MatrixLayoutDestroy(s->w);
}

void products_close(struct products *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_shapes; i++)
        forget(p, &p->shape[i]);
    if (p->workspace)
        cudaFree(p->workspace);
    if (p->handle)
        p->lt.Destroy(p->handle);
    free(p);
}

void products_version(char *text, size_t size)
{
    struct calls lt;
    struct err e = { 0 };
    if (load(&lt, &e) != OK) {
        snprintf(text, size, "not to be had (%s)", e.text);
        return;
    }
    size_t v = lt.GetVersion();                             /* 130002: 13.0.2 */
    snprintf(text, size, "%zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
}

/* ---- one call ------------------------------------------------------------------------------- */

/* The layouts that depend on the number of rows. */
struct layouts { cublasLtMatrixLayout_t x, y; };

static cublasStatus_t lay_out(const struct products *p, struct layouts *l, const struct shape *s,
                              int T)
{
    *l = (struct layouts){ NULL, NULL };
    cublasStatus_t rc = p->lt.MatrixLayoutCreate(&l->x, cuda_type(s->type), (uint64_t)s->K,
                                                   (uint64_t)T, s->K);
    return rc ? rc : p->lt.MatrixLayoutCreate(&l->y, cuda_type(s->y_type), (uint64_t)s->N,
                                                (uint64_t)T, s->N);
}

static void put_away(const struct products *p, struct layouts *l)
{
    if (l->x)
        p->lt.MatrixLayoutDestroy(l->x);
    if (l->y)
        p->lt.MatrixLayoutDestroy(l->y);
}

static cublasStatus_t set_pointer(const struct products *p, const struct shape *s,
                                  cublasLtMatmulDescAttributes_t key, const float *at)
{
    return p->lt.MatmulDescSetAttribute(s->op, key, &at, sizeof at);
}

/* What stands in the description though it is another one for each weight or call. */
static cublasStatus_t set_pointers(const struct products *p, const struct shape *s,
                                   const struct multiply *m)
{
    cublasStatus_t rc = CUBLAS_STATUS_SUCCESS;
    if (s->biased)
        rc = set_pointer(p, s, CUBLASLT_MATMUL_DESC_BIAS_POINTER, m->bias);
    if (!rc && s->scaled)
        rc = set_pointer(p, s, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, m->w_scale);
    if (!rc && s->scaled)
        rc = set_pointer(p, s, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, m->x_scale);
    return rc;
}

static cublasStatus_t multiply(struct products *p, const struct shape *s,
                               const cublasLtMatmulAlgo_t *algo, const struct multiply *m)
{
    const float one = 1, beta = s->add ? 1 : 0;
    struct layouts l;
    cublasStatus_t rc = lay_out(p, &l, s, m->T);
    if (!rc)
        rc = set_pointers(p, s, m);
    if (!rc)
        rc = p->lt.Matmul(p->handle, s->op, &one, m->w, s->w, m->x, l.x, &beta, m->y, l.y, m->y,
                            l.y, algo, p->workspace, PRODUCTS_WORKSPACE, p->stream);
    put_away(p, &l);
    return rc;
}

/* ---- the proof ------------------------------------------------------------------------------ */

struct proof { void *x, *y, *part, *scale; char *all, *few; };  /* device; host */

static size_t row_bytes(const struct shape *s)
{
    return (size_t)s->N * number_size(s->y_type);
}

/* Numbers that are no round ones: the order of their sums shows. Those of e4m3 are round: there it is
 * their exponents, all of which are as frequent. */
static void *made_up(int rows, int K, enum number type)
{
    size_t n = (size_t)rows * (size_t)K;
    void *x = malloc(n * number_size(type));
    uint32_t state = 12345;
    for (size_t i = 0; x && i < n; i++) {
        state = state * 1664525u + 1013904223u;
        float v = (float)(state >> 8) * 0x1p-23f - 1;
        if (type == NUM_F32)
            ((float *)x)[i] = v;
        else if (type == NUM_E4M3)
            ((uint8_t *)x)[i] = (state >> 24 & 0x7f) == 0x7f ? 0 : (uint8_t)(state >> 24);
        else
            ((uint16_t *)x)[i] = type == NUM_BF16 ? bf16_of_float(v) : f16_of_float(v);
    }
    return x;
}

static cudaError_t proof_take(struct proof *t, const struct products *p, const struct shape *s)
{
    size_t n = (size_t)ROWS_PROVED * (size_t)s->K * number_size(s->type);
    size_t bytes = ROWS_PROVED * row_bytes(s);
    float scale[ROWS_PROVED];                               /* one for each row, and no two alike */
    void *x = made_up(ROWS_PROVED, s->K, s->type);
    for (int i = 0; i < ROWS_PROVED; i++)
        scale[i] = 0.1f + 0.001f * (float)i;
    *t = (struct proof){ .all = malloc(bytes), .few = malloc(bytes) };
    cudaError_t rc = x && t->all && t->few ? cudaMalloc(&t->x, n) : cudaErrorMemoryAllocation;
    (void)(rc || (rc = cudaMalloc(&t->y, bytes)) || (rc = cudaMalloc(&t->part, bytes)) ||
           (rc = cudaMalloc(&t->scale, sizeof scale)) ||
           (rc = cudaMemcpyAsync(t->scale, scale, sizeof scale, cudaMemcpyHostToDevice, p->stream)) ||
           (rc = cudaMemcpyAsync(t->x, x, n, cudaMemcpyHostToDevice, p->stream)) ||
           (rc = cudaStreamSynchronize(p->stream)));
    free(x);
    return rc;
}

static void proof_drop(struct proof *t)
{
    void *of_device[] = { t->x, t->y, t->part, t->scale };
    for (size_t i = 0; i < COUNT(of_device); i++)
        if (of_device[i])
            cudaFree(of_device[i]);
    free(t->all);
    free(t->few);
}

/* Rows first .. first + n by themselves, to `to` of the device and from there to the host. */
static enum status try_rows(struct products *p, const struct shape *s, struct proof *t,
                            const struct multiply *m, const cublasLtMatmulAlgo_t *algo, int first,
                            int n, void *to, char *host, struct err *e)
{
    struct multiply part = *m;
    cudaError_t rc = cudaMemsetAsync(to, 0, (size_t)n * row_bytes(s), p->stream);
    part.T = n;
    part.x = (const char *)t->x + (size_t)first * (size_t)s->K * number_size(s->type);
    part.y = to;
    part.x_scale = s->scaled ? (const float *)t->scale + first : NULL;
    cublasStatus_t status = rc ? CUBLAS_STATUS_SUCCESS : multiply(p, s, algo, &part);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE ||
        status == CUBLAS_STATUS_ARCH_MISMATCH)
        return ERR_DEVICE;                                  /* not this one: no error of ours */
    if (status)
        return failed(p, e, m, "trying an algorithm", status);
    (void)(rc || (rc = cudaMemcpyAsync(host, to, (size_t)n * row_bytes(s), cudaMemcpyDeviceToHost,
                                       p->stream)) || (rc = cudaStreamSynchronize(p->stream)));
    return rc ? cuda_failed(e, "trying a product's algorithm", rc) : OK;
}

/* Has a row the same bits alone, among a few, and among many? */
static enum status prove(struct products *p, const struct shape *s, struct proof *t,
                         const struct multiply *m, const cublasLtMatmulAlgo_t *algo, bool *holds,
                         struct err *e)
{
    static const struct { int first, n; } part[] = { { 8, 1 }, { 128, 1 }, { 300, 5 }, { 60, 33 },
                                                     { 252, 129 }, { 332, 300 } };  /* scales lie aligned */
    *holds = try_rows(p, s, t, m, algo, 0, ROWS_PROVED, t->y, t->all, e) == OK;
    for (size_t i = 0; *holds && i < COUNT(part); i++)
        *holds = try_rows(p, s, t, m, algo, part[i].first, part[i].n, t->part, t->few, e) == OK &&
                 !memcmp(t->few, t->all + (size_t)part[i].first * row_bytes(s),
                         (size_t)part[i].n * row_bytes(s));
    return e->code;
}

/* ---- the choice ----------------------------------------------------------------------------- */

static uint32_t alignment(int length, enum number type)     /* of rows: a power of two, at most 256 */
{
    size_t n = (size_t)length * number_size(type);
    size_t power = n & (~n + 1);
    return power > 256 || power == 0 ? 256 : (uint32_t)power;
}

static cublasStatus_t candidates(struct products *p, const struct shape *s,
                                 cublasLtMatmulHeuristicResult_t *result, int *n)
{
    const size_t workspace = PRODUCTS_WORKSPACE;
    const uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE, w = 256;
    const uint32_t x = alignment(s->K, s->type), y = alignment(s->N, s->y_type);
    const struct { cublasLtMatmulPreferenceAttributes_t key; const void *value; size_t size; }
    set[] = {
        { CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace },
        { CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_reduction, sizeof no_reduction },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &w, sizeof w },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &x, sizeof x },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &y, sizeof y },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &y, sizeof y },
    };
    cublasLtMatmulPreference_t wish = NULL;
    struct layouts l;
    cublasStatus_t rc = lay_out(p, &l, s, ROWS_CHOSEN_FOR);
    if (!rc)
        rc = p->lt.MatmulPreferenceCreate(&wish);
    for (size_t i = 0; !rc && i < COUNT(set); i++)
        rc = p->lt.MatmulPreferenceSetAttribute(wish, set[i].key, set[i].value, set[i].size);
    if (!rc)
        rc = p->lt.MatmulAlgoGetHeuristic(p->handle, s->op, s->w, l.x, l.y, l.y, wish, CANDIDATES,
                                            result, n);
    if (wish)
        p->lt.MatmulPreferenceDestroy(wish);
    put_away(p, &l);
    return rc;
}

/* Does it run with any number of rows, and without dividing K? */
static bool fit(struct products *p, const struct shape *s, const cublasLtMatmulHeuristicResult_t *r)
{
    static const int rows[] = { 1, 2, 8, 33, 300, ROWS_PROVED, ROWS_CHOSEN_FOR, 16384 };
    int32_t split = 1;
    size_t written;
    bool good = r->state == CUBLAS_STATUS_SUCCESS && r->workspaceSize <= PRODUCTS_WORKSPACE &&
                p->lt.MatmulAlgoConfigGetAttribute(&r->algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                     &split, sizeof split, &written) ==
                CUBLAS_STATUS_SUCCESS && split <= 1;
    for (size_t i = 0; good && i < COUNT(rows); i++) {
        struct layouts l;
        cublasLtMatmulHeuristicResult_t check;
        good = !lay_out(p, &l, s, rows[i]) &&
               !p->lt.MatmulAlgoCheck(p->handle, s->op, s->w, l.x, l.y, l.y, &r->algo, &check) &&
               check.workspaceSize <= PRODUCTS_WORKSPACE;
        put_away(p, &l);
    }
    return good;
}

static enum status choose(struct products *p, struct shape *s, const struct multiply *m,
                          struct err *e)
{
    cublasLtMatmulHeuristicResult_t result[CANDIDATES];
    struct proof t;
    int n = 0;
    bool found = false;
    cublasStatus_t status = candidates(p, s, result, &n);
    if (status && status != CUBLAS_STATUS_NOT_SUPPORTED && !s->scaled)
        return failed(p, e, m, "choosing an algorithm", status);
    cudaError_t rc = proof_take(&t, p, s);
    if (rc)
        cuda_failed(e, "memory to choose a product's algorithm", rc);
    for (int i = 0; !found && e->code == OK && i < n; i++)
        if (fit(p, s, &result[i]) && prove(p, s, &t, m, &result[i].algo, &found, e) == OK)
            s->algo = result[i].algo;
    proof_drop(&t);
    s->refused = s->scaled && !found;
    if (e->code == OK && !found && !s->scaled)
        err_set(e, ERR_DEVICE, "product by [%d,%d]: none of cuBLASLt's %d algorithms gives a row the "
                "same bits in any batch", s->N, s->K, n);
    return e->code;
}

static cublasStatus_t describe(const struct products *p, struct shape *s, const struct multiply *m)
{
    const int32_t outer = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    cublasStatus_t rc = p->lt.MatmulDescCreate(&s->op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (!rc)
        rc = p->lt.MatrixLayoutCreate(&s->w, cuda_type(s->type), (uint64_t)s->K, (uint64_t)s->N,
                                        s->K);
    if (!rc)
        rc = p->lt.MatmulDescSetAttribute(s->op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                            sizeof transposed);
    if (!rc && s->biased)
        rc = p->lt.MatmulDescSetAttribute(s->op, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                            sizeof epilogue);
    if (!rc && s->scaled)
        rc = p->lt.MatmulDescSetAttribute(s->op, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &outer,
                                            sizeof outer);
    if (!rc && s->scaled)
        rc = p->lt.MatmulDescSetAttribute(s->op, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &outer,
                                            sizeof outer);
    return rc ? rc : set_pointers(p, s, m);
}

static enum status shape_of(struct products *p, const struct multiply *m, struct shape **out,
                            struct err *e)
{
    for (int i = 0; i < p->n_shapes; i++) {
        struct shape *s = *out = &p->shape[i];
        if (s->N == m->N && s->K == m->K && s->type == m->type && s->y_type == m->y_type &&
            s->biased == (m->bias != NULL) && s->add == m->add && s->scaled == (m->x_scale != NULL))
            return OK;
    }
    if (p->n_shapes == SHAPES)
        return err_set(e, ERR_INTERNAL, "more than %d shapes of products", SHAPES);
    struct shape *s = *out = &p->shape[p->n_shapes];
    *s = (struct shape){ .N = m->N, .K = m->K, .type = m->type, .y_type = m->y_type,
                         .biased = m->bias != NULL, .add = m->add, .scaled = m->x_scale != NULL };
    cublasStatus_t rc = s->scaled && p->lt.GetVersion() < SCALES_SINCE ? CUBLAS_STATUS_NOT_SUPPORTED
                                                                       : describe(p, s, m);
    s->refused = rc && s->scaled;                           /* older ones know no scales of rows */
    if (rc && !s->refused)
        failed(p, e, m, "describing it", rc);
    else if (!rc)
        choose(p, s, m, e);
    if (e->code == OK)
        p->n_shapes++;
    else
        forget(p, s);
    return e->code;
}

enum status products_run(struct products *p, const struct multiply *m, struct err *e)
{
    struct shape *s;
    assert(m->bias == NULL || m->y_type == NUM_F32);
    assert(m->y_type == m->type || m->y_type == NUM_F32 || m->type == NUM_E4M3);
    assert(m->type == NUM_E4M3 ? !m->bias && !m->x_scale == !m->w_scale : !m->x_scale);
    if (m->T == 0)
        return OK;
    if (shape_of(p, m, &s, e) != OK)
        return e->code;
    assert(!s->refused);
    cublasStatus_t rc = multiply(p, s, &s->algo, m);
    return rc ? failed(p, e, m, "running it", rc) : OK;
}

enum status products_scale(struct products *p, const struct multiply *m, bool *scaled,
                           struct err *e)
{
    struct shape *s;
    *scaled = shape_of(p, m, &s, e) == OK && !s->refused;
    return e->code;
}
