/* Random weights in many shapes against transformers: tests/golden/shapes.py recorded its logits, in
 * float32, and how far its own bfloat16 and float16 lie from them.
 *
 * A shape is a config.json; --random-weights draws the same weights there and here. Float32 must give
 * the logits to 1e-4 of the largest (another order of summation); bfloat16 must lie no further off than
 * transformers' own bfloat16, both measured as relative L2, root mean square over the prompts. Every
 * prompt is asked alone, together with the others, and behind others in steps of few rows: to the bit
 * the same. LLaVA's true sizes take gigabytes and a minute: they run where LLAVA_SLOW is set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "engine/llava.h"
#include "tests/check.h"

enum { CASES = 8 };

struct shape {
    const char *name;
    const struct json *line;
    int n_cases, V, side;
    struct llava_pixels picture;
    struct { int32_t *ids; size_t n; float *want, *got; bool pictured; } at[CASES];
};

static int answered;

static void done(void *user, const struct llava_reply *r)
{
    (void)user;
    answered += r->finish == LLAVA_LENGTH || r->finish == LLAVA_STOP;
}

/* The config as a text of its own: what the line's reader has parsed, written again. */
static void put_json(struct str *s, const struct json *j)
{
    if (j->type == JSON_OBJECT || j->type == JSON_ARRAY) {
        str_addc(s, j->type == JSON_OBJECT ? '{' : '[');
        for (const struct json *m = j->first; m; m = m->next) {
            if (j->type == JSON_OBJECT)
                str_addf(s, "\"%s\":", m->key);
            put_json(s, m);
            if (m->next)
                str_addc(s, ',');
        }
        str_addc(s, j->type == JSON_OBJECT ? '}' : ']');
    } else if (j->type == JSON_STRING)
        str_addf(s, "\"%s\"", j->string);
    else if (j->type == JSON_NUMBER)
        str_addf(s, "%.17g", j->number);
    else
        str_add(s, j->type == JSON_TRUE ? "true" : j->type == JSON_FALSE ? "false" : "null");
}

static void draw(struct llava_pixels *p, int side)
{
    uint8_t *u = p->rgb = malloc((size_t)side * (size_t)side * 3);
    struct sha256 s;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++, u += 3) {
            u[0] = (uint8_t)(7 * x + 3 * y);
            u[1] = (uint8_t)(x * x + 5 * y);
            u[2] = (uint8_t)(x * y + 11 * x + 13 * y);
        }
    sha256_init(&s);
    sha256_add(&s, p->rgb, (size_t)side * (size_t)side * 3);
    sha256_end(&s, p->sha256);
}

static void shape_read(struct shape *s, const struct json *line, struct arena *a)
{
    const struct json *cases = json_get(line, "cases"), *config = json_get(line, "config");
    *s = (struct shape){ .name = json_get_str(line, "name", ""), .line = line };
    s->side = (int)json_get_int(json_get(config, "vision_config"), "image_size", 0);
    draw(&s->picture, s->side);
    for (const struct json *c = cases->first; c && s->n_cases < CASES; c = c->next) {
        int i = s->n_cases++;
        const struct json *ids = json_get(c, "ids"), *logits = json_get(c, "logits");
        s->V = (int)logits->n;
        s->at[i].ids = arena_array(a, ids->n, sizeof(int32_t));
        s->at[i].want = arena_array(a, logits->n, sizeof(float));
        s->at[i].got = arena_array(a, logits->n, sizeof(float));
        for (const struct json *j = ids->first; j; j = j->next) {
            s->at[i].pictured |= j->integer == LLAVA_IMAGE;
            s->at[i].ids[s->at[i].n++] = (int32_t)j->integer;
        }
        size_t v = 0;
        for (const struct json *j = logits->first; j; j = j->next)
            s->at[i].want[v++] = (float)j->number;
    }
}

static void submit(struct llava *m, struct shape *s, int i)
{
    struct err e = { 0 };
    const struct llava_request r = {
        .ids = s->at[i].ids, .n_ids = s->at[i].n, .image = s->at[i].pictured ? &s->picture : NULL,
        .max_new_tokens = 1, .n_beams = 1, .logits = s->at[i].got, .done = done,
    };
    CHECK_OK(llava_submit(m, &r, &e), e);
}

static void finish(struct llava *m)
{
    struct err e = { 0 };
    size_t open = 1;
    while (open && CHECK_OK(llava_step(m, &open, &e), e))
        ;
}

enum order { ALONE, TOGETHER };

/* All prompts; the logits into got. */
static void ask(struct shape *s, const char *dtype, int rows, enum order order)
{
    struct llava *m = NULL;
    struct err e = { 0 };
    struct llava_options o = { .dtype = dtype, .device = "cpu", .random_weights = true,
                               .batch_tokens = rows };
    answered = 0;
    if (!CHECK_OK(llava_open(&m, "config.json", &o, &e), e))
        return;
    CHECK_INT(llava_info(m)->vocabulary, s->V);
    for (int i = 0; i < s->n_cases; i++) {
        submit(m, s, order == TOGETHER ? s->n_cases - 1 - i : i);
        if (order == ALONE)
            finish(m);
    }
    finish(m);
    CHECK_INT(answered, s->n_cases);
    llava_close(m);
}

static double relative(const float *got, const float *want, int n)
{
    double off = 0, all = 0;
    for (int i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        all += (double)want[i] * want[i];
    }
    return sqrt(off / all);
}

static void check_float(const struct shape *s)
{
    for (int i = 0; i < s->n_cases; i++) {
        double most = 0, off = 0;
        for (int v = 0; v < s->V; v++) {
            most = fmax(most, fabs((double)s->at[i].want[v]));
            off = fmax(off, fabs((double)s->at[i].got[v] - (double)s->at[i].want[v]));
        }
        if (!CHECK_NEAR(off / most, 0, 1e-4))
            printf("  %s, prompt %d\n", s->name, i);
    }
}

static void check_half(const struct shape *s, const char *dtype)
{
    double sum = 0, theirs = json_get_double(s->line, dtype, 0);
    for (int i = 0; i < s->n_cases; i++) {
        double off = relative(s->at[i].got, s->at[i].want, s->V);
        sum += off * off;
    }
    double ours = sqrt(sum / s->n_cases);
    CHECK(theirs > 1e-5);
    if (!CHECK(ours <= theirs) || getenv("LLAVA_SLOW"))
        printf("  %s: %s is off by %.4g, transformers' by %.4g\n", s->name, dtype, ours, theirs);
}

/* Few rows to a step: prompts resume in the middle of a picture, others ride along, and what two of
 * them begin with is computed once. */
static void check_same(struct shape *s, const char *dtype)
{
    const int rows[] = { json_get_bool(s->line, "slow", false) ? 150 : 7, 700 };
    size_t bytes = (size_t)s->V * sizeof(float);
    float *alone = malloc(bytes * CASES);
    for (int i = 0; i < s->n_cases; i++)
        memcpy(alone + i * s->V, s->at[i].got, bytes);
    for (size_t r = 0; r < COUNT(rows); r++) {
        ask(s, dtype, rows[r], TOGETHER);
        for (int i = 0; i < s->n_cases; i++)
            CHECK(!memcmp(alone + i * s->V, s->at[i].got, bytes));
    }
    free(alone);
}

static void try_shape(struct shape *s)
{
    static const char *const dtypes[] = { "fp32", "bf16" };
    struct str config;
    str_init(&config, 1 << 16);
    put_json(&config, json_get(s->line, "config"));
    struct err e = { 0 };
    CHECK_OK(file_write("config.json", config.at, config.n, &e), e);
    str_free(&config);
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        ask(s, dtypes[d], 0, ALONE);
        if (d == 0)
            check_float(s);
        else
            check_half(s, dtypes[d]);
        check_same(s, dtypes[d]);
    }
}

static void try_shapes(bool slow)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    int n = 0;
    jsonl_open(&in, &a, &e, "%s/tests/golden/shapes.jsonl", test_root());
    while (jsonl_next(&in)) {
        struct shape s;
        if (json_get_bool(in.object, "slow", false) != slow)
            continue;
        shape_read(&s, in.object, &a);
        try_shape(&s);
        free(s.picture.rgb);
        n++;
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK(n >= (slow ? 3 : 12));
    arena_free(&a);
}

TEST(shapes_are_transformers)
{
    try_shapes(false);
}

TEST(shapes_of_the_true_sizes_are_transformers)
{
    if (!getenv("LLAVA_SLOW"))
        SKIP("takes gigabytes and a minute: set LLAVA_SLOW");
    try_shapes(true);
}
