/* memory.c -- adds up what vision.c, connector.c, language.c and backend_cuda.c will take.
 *
 * tests/cuda_host/test_backend.c compares the sum with what they took. */
#include "engine/memory.h"
#include <unistd.h>

enum {
    /* Rows of a step. It reads every weight once: enough rows that reading is little beside
     * multiplying, which 16 bits do several times faster. */
    ROWS_F32 = 1024, ROWS_BF16 = 2048, ROWS_GPU = 4096, ROWS_LEAST = 256,
    /* Pictures that the tower takes at once: its products are small ones, and many rows fill a GPU.
     * A processor is filled by 8 pictures of 577 rows. */
    PICTURES = 32, TOWER_ROWS = 5120,
    RUNNING_MIN = 64, RUNNING_MAX = 256,                    /* questions that hold a lane */
};

/* As CUDA's allocator hands it out. */
static size_t taken(double numbers, size_t size)
{
    size_t n = (size_t)numbers * size, unit = n < 1 << 20 ? 512 : 2 << 20;
    return (n + unit - 1) / unit * unit;
}

static size_t linear(double N, double K, enum dtype act)
{
    return taken(N * K, dtype_size(act));
}

static size_t vector(double n)
{
    return taken(n, sizeof(float));
}

static enum dtype act_of(enum dtype type)                   /* of activations */
{
    return type == E4M3 ? F16 : type;
}

static size_t block_linear(double N, double K, enum dtype type)
{
    return linear(N, K, type) + (type == E4M3 ? vector(N) : 0);
}

static size_t weight_bytes(const struct model_config *c, enum dtype type, enum dtype table)
{
    enum dtype act = act_of(type);
    const struct tower_config *t = &c->tower;
    const struct language_config *l = &c->language;
    double D = t->hidden, F = t->ffn, H = l->hidden, Hd = (double)l->heads * l->head_size;
    double Gd = (double)l->kv_heads * l->head_size;

    size_t tower = linear(D, 3.0 * t->patch * t->patch, act) + vector((1.0 + t->patches) * D) +
                   3 * vector(D);
    size_t block = block_linear(3 * D, D, type) + block_linear(D, D, type) +
                   block_linear(F, D, type) + block_linear(D, F, type) + 6 * vector(D) +
                   vector(3 * D) + vector(F);
    size_t connector = 0;
    for (int i = 0; i < c->connector_depth; i++)
        connector += linear(H, i ? H : D, act) + vector(H);
    size_t layer = block_linear(Hd + 2 * Gd, H, type) + block_linear(H, Hd, type) +
                   block_linear(2.0 * l->ffn, H, type) + block_linear(H, l->ffn, type) +
                   2 * vector(H);
    return tower + (size_t)t->run_layers * block + connector + (size_t)l->layers * layer +
           vector(H) + linear(l->vocabulary, H, act) + linear(l->vocabulary, H, table);
}

static double most(double a, double b, double c)
{
    return a > b ? (a > c ? a : c) : b > c ? b : c;
}

/* What products need besides: SwiGLU's halves; in fp8 any product's sums, and rows in e4m3. The
 * tower's come first and stay where the language model's are fewer. */
static size_t product_bytes(const struct model_config *c, enum dtype type, const struct limits *l)
{
    const struct tower_config *t = &c->tower;
    const struct language_config *m = &c->language;
    double rows = l->rows, T = (double)l->pictures * (1 + t->patches), D = t->hidden, F = t->ffn;
    double Hd = (double)m->heads * m->head_size, Gd = (double)m->kv_heads * m->head_size;
    if (type != E4M3)
        return linear(rows, 2.0 * m->ffn, type);
    double tower_N = most(3 * D, F, 0), tower_K = most(D, F, 0);
    double N = most(Hd + 2 * Gd, 2.0 * m->ffn, most(m->hidden, tower_N, 0));
    double K = most(m->hidden, m->ffn, most(Hd, tower_K, 0));
    return vector(most(rows * N, T * tower_N, 0)) + taken(most(rows * K, T * tower_K, 0), 1) +
           vector(most(rows, T, 0));
}

static size_t step_bytes(const struct model_config *c, enum dtype type, const struct limits *l)
{
    enum dtype act = act_of(type);
    const struct tower_config *t = &c->tower;
    const struct language_config *m = &c->language;
    double n = l->pictures, P = n * t->patches, T = n * (1 + t->patches), D = t->hidden;
    double slots = n * kv_aligned(1 + t->patches), I = n * image_tokens(c), H = m->hidden;
    double rows = l->rows, last = l->running < l->rows ? l->running : l->rows;
    double Hd = (double)m->heads * m->head_size, Gd = (double)m->kv_heads * m->head_size;

    size_t tower = taken(n * 3 * t->side * t->side, 1) + linear(P, 3.0 * t->patch * t->patch, act) +
                   vector(P * D) + vector(T * D) + 2 * linear(T, D, act) + linear(T, 3 * D, act) +
                   linear(T, t->ffn, act) + 2 * linear(slots, D, act);
    size_t connector = linear(I, D, act) + linear(2 * I, H, act);
    connector += c->connector_depth > 1 ? linear(I, H, act) : 0;
    connector += c->connector_depth > 2 ? linear(I, H, act) : 0;
    size_t language = vector(rows * H) + linear(rows, H, act) + linear(rows, Hd + 2 * Gd, act) +
                      linear(rows, Hd, act) + linear(rows, m->ffn, act) + vector(last * H) +
                      linear(last, H, act) + vector(last * m->vocabulary);
    language += act == F16 ? linear(last, m->vocabulary, act) : 0;
    return tower + connector + language + product_bytes(c, type, l);
}

struct footprint memory_footprint(const struct model_config *c, enum dtype type, enum dtype table,
                                  const struct limits *l)
{
    const struct language_config *m = &c->language;
    return (struct footprint){
        .weights = weight_bytes(c, type, table), .step = step_bytes(c, type, l),
        .column = 2 * (size_t)m->layers * (size_t)m->kv_heads * (size_t)m->head_size *
                  dtype_size(act_of(type)),
    };
}

/* ---- limits --------------------------------------------------------------------------------- */

static int within(int64_t n, int least, int most)
{
    return n < least ? least : n > most ? most : (int)n;
}

static struct limits limits_of(int rows, int pictures)
{
    return (struct limits){ .rows = rows, .running = within(rows / 4, RUNNING_MIN, RUNNING_MAX),
                            .pictures = pictures };
}

static int one_request(const struct model_config *c)        /* columns of the longest there can be */
{
    return kv_aligned(c->language.max_positions) + 2 * KV_ALIGN;
}

/* For what a driver loads, tables, and the trial of products; the rest is counted. */
static size_t reserve_of(size_t free_bytes)
{
    const size_t most = 512u << 20;
    return free_bytes / 16 < most ? free_bytes / 16 : most;
}

static bool halve(struct limits *l)
{
    if (l->rows <= ROWS_LEAST && l->pictures == 1)
        return false;
    if (l->rows > ROWS_LEAST)
        l->rows = within(l->rows / 2, ROWS_LEAST, INT32_MAX);
    if (l->pictures > 1)
        l->pictures /= 2;
    l->running = within(l->rows / 4, RUNNING_MIN, RUNNING_MAX);
    return true;
}

static enum status refuse(struct err *e, const struct footprint *f, size_t free_bytes, int columns,
                          enum dtype type)
{
    double cache = (double)columns * (double)f->column, rest = (double)reserve_of(free_bytes);
    return err_set(e, ERR_MEMORY, "%.2f GB of the device's memory are free and the model needs %.2f: "
                   "%.2f for weights, %.2f for the smallest step, %.2f for one request's cache of %d "
                   "positions, %.2f for the driver%s", (double)free_bytes * 1e-9,
                   ((double)f->weights + (double)f->step + cache + rest) * 1e-9,
                   (double)f->weights * 1e-9, (double)f->step * 1e-9, cache * 1e-9, columns,
                   rest * 1e-9, type == F32 ? "; --dtype fp16 or bf16 takes half" : "");
}

enum status memory_plan(struct limits *out, const struct model_config *c, enum dtype type,
                        enum dtype table, size_t free_bytes, const struct llava_options *o,
                        struct err *e)
{
    int least = kv_aligned(image_tokens(c) + KV_ALIGN) + 2 * KV_ALIGN;
    size_t room = free_bytes - reserve_of(free_bytes);
    *out = limits_of(o->batch_tokens ? o->batch_tokens : ROWS_GPU, PICTURES);
    for (bool smallest = false;;) {
        struct footprint f = memory_footprint(c, type, table, out);
        size_t fixed = f.weights + f.step;
        int64_t columns = fixed < room ? (int64_t)((room - fixed) / f.column) : 0;
        int64_t most = (int64_t)out->running * one_request(c), wish = one_request(c);
        if (wish < 2 * out->rows && !o->cache_positions)    /* else steps could not be filled */
            wish = 2 * out->rows;
        if (o->cache_positions)
            wish = most = kv_aligned(within(o->cache_positions, 2 * KV_ALIGN, INT32_MAX / 2));
        if (columns >= wish || (smallest && columns >= (o->cache_positions ? wish : least))) {
            out->columns = within(columns < most ? columns : most, 0, INT32_MAX / 2) / KV_ALIGN *
                           KV_ALIGN;
            return OK;
        }
        if (smallest)
            return refuse(e, &f, free_bytes, o->cache_positions ? (int)wish : least, type);
        smallest = !halve(out);
    }
}

size_t memory_least(const struct model_config *c, enum dtype type, enum dtype table)
{
    struct limits l = limits_of(ROWS_LEAST, 1);
    struct footprint f = memory_footprint(c, type, table, &l);
    size_t need = f.weights + f.step + (size_t)one_request(c) * f.column;
    size_t most = 512u << 20;
    return need + (need / 15 + 1 < most ? need / 15 + 1 : most);
}

void memory_plan_host(struct limits *out, const struct model_config *c, enum dtype act,
                      enum dtype held, const struct llava_options *o)
{
    const struct language_config *m = &c->language;
    double column = 2.0 * m->layers * m->kv_heads * m->head_size * (double)dtype_size(held);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 4;
    *out = limits_of(o->batch_tokens ? o->batch_tokens : act == BF16 ? ROWS_BF16 : ROWS_F32,
                     within(TOWER_ROWS / (1 + c->tower.patches), 1, PICTURES));

    /* A dozen full steps, so that replies can ride along while new prefixes come in. */
    int64_t wish = 12 * (int64_t)(out->rows > ROWS_F32 ? out->rows : ROWS_F32);
    if (wish < one_request(c))
        wish = one_request(c);
    if ((double)wish * column > memory)
        wish = (int64_t)(memory / column);
    if (o->cache_positions)
        wish = o->cache_positions;
    out->columns = kv_aligned(within(wish, 2 * KV_ALIGN, INT32_MAX / 2));
}
