/* The CUDA backend where things go wrong: products whose sums follow the batch, memory that runs
 * out, a device that fails. On the emulated GPU, since a real one cannot be asked to. */
#include <stdio.h>
#include <stdlib.h>
#include "engine/memory.h"
#include "engine/private.h"
#include "tests/check.h"
#include "tests/cuda_host/cuda_host.h"

enum { N = 48, K = 96, T = 100 };

/* One product of ones, with what cuBLASLt offers: the status, and y[0] of T rows and of one. */
static enum status multiply(const char *kinds, float y[2], struct err *e)
{
    struct backend *b = NULL;
    float *ones = malloc(sizeof *ones * T * K), all[T * N];
    struct matrix w = { .type = F32, .N = N, .K = K };
    struct tensor x = { .type = F32, .rows = T, .cols = K }, out = { .type = F32, .rows = T, .cols = N };
    struct epilogue ep = { .act = ACT_NONE };
    for (int i = 0; i < T * K; i++)
        ones[i] = 1;
    cuda_host_products(kinds);
    if (CHECK_OK(backend_cuda_open(&b, F32, 0, e), *e)) {
        const struct backend_ops *ops = b->ops;
        struct view v = { ones, F32, N, K };
        (void)(ops->pack(b, &w, &v, 1, e) || ops->alloc(b, &x, e) || ops->alloc(b, &out, e) ||
               ops->write(b, &x, ones, e) || ops->matmul(b, &out, &x, &w, &ep, e) ||
               ops->read(b, all, &out, e) || ops->sync(b, e));
        y[0] = all[(T - 1) * N];
        struct tensor row = tensor_rows(x, 0, 1), one = tensor_rows(out, 0, 1);
        (void)(e->code || ops->matmul(b, &one, &row, &w, &ep, e) || ops->read(b, all, &one, e) ||
               ops->sync(b, e));
        y[1] = all[0];
        ops->release(b, &x);
        ops->release(b, &out);
        ops->unpack(b, &w);
        ops->close(b);
    }
    free(ones);
    return e->code;
}

TEST(backend_refuses_products_that_follow_the_batch)
{
    struct err e = { 0 };
    float y[2] = { 0 };
    CHECK_OK(multiply("a", y, &e), e);
    CHECK(y[0] == K && y[1] == K);
    CHECK_OK(multiply("na", y, &e), e);                     /* the first is seen through */
    CHECK(y[0] == K && y[1] == K);
    CHECK_OK(multiply("nna", y, &e), e);
    CHECK_INT(multiply("nn", y, &e), ERR_DEVICE);
    CHECK(strstr(e.text, "same bits") != NULL);
    err_clear(&e);
    CHECK_INT(multiply("k", y, &e), ERR_DEVICE);            /* K in parts is not even offered */
}

static enum status open_demo(struct llava **m, const struct llava_options *o, struct err *e)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp", test_root());
    err_clear(e);
    return llava_open(m, path, o, e);
}

/* An answer, or why there is none. */
static void done(void *user, const struct llava_reply *r)
{
    snprintf(user, 100, "%s: %d ids, first %d", r->finish == LLAVA_FAILED ? r->text : "fine",
             (int)r->n_ids, r->n_ids ? r->ids[0] : -1);
}

static enum status ask_about(struct llava *m, const struct llava_pixels *image, char answer[100],
                             struct err *e)
{
    static const int32_t ids[] = { 1, 268, 340, 348, 259, 349, 284, 277 };
    static const int32_t image_ids[] = { 1, 268, 340, LLAVA_IMAGE, 669, 13, 447 };
    size_t open = 1;
    struct llava_request r = { .ids = image ? image_ids : ids,
                               .n_ids = image ? COUNT(image_ids) : COUNT(ids), .image = image,
                               .max_new_tokens = 5, .n_beams = 1, .done = done, .user = answer };
    *answer = '\0';
    enum status s = llava_submit(m, &r, e);
    while (s == OK && open)
        s = llava_step(m, &open, e);
    return s;
}

static enum status ask(struct llava *m, char answer[100], struct err *e)
{
    return ask_about(m, NULL, answer, e);
}

TEST(backend_takes_what_memory_leaves)
{
    static const size_t megabytes[] = { 512, 256, 96, 72 };
    char first[100] = "", answer[100];
    struct llava_stats before = { .images = 0 }, st;
    for (size_t i = 0; i < COUNT(megabytes); i++) {
        struct llava *m = NULL;
        struct err e = { 0 };
        cuda_host_memory(megabytes[i] << 20);
        if (!CHECK_OK(open_demo(&m, &(struct llava_options){ .device = "cuda" }, &e), e))
            continue;
        llava_stats(m, &st);
        CHECK(st.peak_device_bytes < megabytes[i] << 20);
        CHECK(i == 0 || st.peak_device_bytes <= before.peak_device_bytes);
        before = st;
        CHECK_OK(ask(m, answer, &e), e);
        if (i == 0)
            memcpy(first, answer, sizeof first);
        CHECK_STR(answer, first);                           /* memory does not change a reply */
        llava_close(m);
    }
    struct llava *m = NULL;
    struct err e = { 0 };
    cuda_host_memory(40 << 20);
    CHECK_INT(open_demo(&m, &(struct llava_options){ .device = "cuda" }, &e), ERR_MEMORY);
    CHECK(m == NULL && strstr(e.text, "GB") && strstr(e.text, "weights"));
}

/* Every allocation of an opening fails once: it is opened in less memory, or refused in words; and
 * nothing is lost (the emulation counts what is not given back). */
TEST(backend_survives_each_failing_allocation)
{
    int opened = 0, refused = 0;
    for (long n = 0; n < 150; n += 7) {
        struct llava *m = NULL;
        struct err e = { 0 };
        char answer[100];
        cuda_host_fail_alloc(n);
        if (open_demo(&m, &(struct llava_options){ .device = "cuda", .dtype = "fp16" }, &e) == OK) {
            opened++;
            CHECK_OK(ask(m, answer, &e), e);
            CHECK(!strncmp(answer, "fine", 4));
        } else {
            refused++;
            CHECK(m == NULL && (e.code == ERR_MEMORY || e.code == ERR_DEVICE) && *e.text);
        }
        llava_close(m);
        cuda_host_fail_alloc(-1);
    }
    CHECK(opened > 0 && opened + refused == 22);
    CHECK(cuda_host_report() == NULL);
}

/* What memory.c adds up is what is taken, but for the small things that it leaves room for. */
TEST(backend_takes_what_the_account_says)
{
    static const struct { const char *dtype; enum dtype type; int capability; } way[] = {
        { "fp32", F32, 90 }, { "fp16", F16, 80 }, { "bf16", BF16, 90 }, { "fp8", E4M3, 90 },
        { "fp8", E4M3, 100 },
    };
    for (size_t i = 0; i < COUNT(way); i++) {
        struct checkpoint *c = NULL;
        struct llava *m = NULL;
        struct llava_stats st;
        struct err e = { 0 };
        char path[4096];
        struct llava_options o = { .device = "cuda", .dtype = way[i].dtype, .batch_tokens = 512,
                                   .cache_positions = 4096 };
        snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp", test_root());
        CHECK_OK(checkpoint_open(&c, path, &o, &e), e);
        const struct model_config *config = checkpoint_config(c);
        enum dtype table = checkpoint_view(c, "model.embed_tokens.weight").type;
        struct limits l;
        CHECK_OK(memory_plan(&l, config, way[i].type, table, 256u << 20, &o, &e), e);
        CHECK_INT(l.columns, 4096);
        CHECK_INT(l.rows, 512);
        struct footprint f = memory_footprint(config, way[i].type, table, &l);
        double expected = (double)f.weights + (double)f.step + (double)l.columns * (double)f.column;
        cuda_host_memory(256u << 20);
        cuda_host_capability(way[i].capability);
        if (CHECK_OK(open_demo(&m, &o, &e), e)) {
            llava_stats(m, &st);
            CHECK((double)st.peak_device_bytes <= expected);
            CHECK_NEAR((double)st.peak_device_bytes / expected, 1, 0.15);   /* whole pages */
        }
        llava_close(m);
        checkpoint_close(c);
    }
}

/* Pictures, texts, steps of all kinds: from the first on, nothing but the wait for its tokens. */
static void count_waits(const char *dtype)
{
    enum { PICTURES = 5, QUESTIONS = 2 };
    static const int32_t ids[] = { 1, 268, 340, LLAVA_IMAGE, 669, 13, 447 };
    struct llava_options o = { .device = "cuda", .dtype = dtype, .batch_tokens = 100 };
    struct llava_pixels picture[PICTURES] = { { .rgb = NULL } };
    struct llava *m = NULL;
    struct err e = { 0 };
    char answer[100] = "";
    size_t open = 1;
    int steps = 0;
    if (!CHECK_OK(open_demo(&m, &o, &e), e))
        return;
    size_t area = (size_t)llava_info(m)->image_side * (size_t)llava_info(m)->image_side * 3;
    for (int i = 0; i < PICTURES * QUESTIONS; i++) {
        struct llava_pixels *p = &picture[i / QUESTIONS];
        struct llava_request r = { .ids = ids, .n_ids = COUNT(ids), .image = p, .max_new_tokens = 3,
                                   .n_beams = 1, .done = done, .user = answer };
        if (i % QUESTIONS == 0)
            p->rgb = calloc(1, area);
        p->sha256[0] = (unsigned char)(i / QUESTIONS);
        CHECK_OK(llava_submit(m, &r, &e), e);
    }
    for (; open && e.code == OK; steps++) {
        long before = cuda_host_waits();
        CHECK_OK(llava_step(m, &open, &e), e);
        CHECK_INT(cuda_host_waits() - before, 1);
    }
    CHECK(steps > 3);
    for (int i = 0; i < PICTURES; i++)
        llava_pixels_free(&picture[i]);
    llava_close(m);
}

TEST(backend_waits_once_a_step_fp16) { count_waits("fp16"); }
TEST(backend_waits_once_a_step_fp8)  { count_waits("fp8"); }

/* fp8 is for compute capability 9.0 and newer: elsewhere a sentence, and no model. */
TEST(backend_has_fp8_from_hopper_on)
{
    static const struct { int capability; const char *device; enum status s; } way[] = {
        { 80, "cuda", ERR_DEVICE }, { 89, "cuda", ERR_DEVICE }, { 89, "auto", ERR_USAGE },
        { 90, "cuda", OK }, { 90, "auto", OK }, { 100, "cuda", OK }, { 120, "auto", OK },
    };
    for (size_t i = 0; i < COUNT(way); i++) {
        struct llava *m = NULL;
        struct err e = { 0 };
        char answer[100];
        cuda_host_capability(way[i].capability);
        struct llava_options o = { .device = way[i].device, .dtype = "fp8" };
        CHECK_INT(open_demo(&m, &o, &e), way[i].s);
        if (m) {
            CHECK_STR(llava_info(m)->dtype, "fp8");
            CHECK(strstr(llava_info(m)->dtype_note, "e4m3") != NULL);
            CHECK(strstr(llava_info(m)->device, "fp8") != NULL);
            CHECK_OK(ask(m, answer, &e), e);
        } else {
            CHECK(strstr(e.text, "9.0") != NULL);
        }
        llava_close(m);
    }
    CHECK(cuda_host_report() == NULL);
}

TEST(backend_says_that_its_device_failed)
{
    int failed = 0;
    for (long after = 0; after < 4000; after += 397) {
        struct llava *m = NULL;
        struct err e = { 0 };
        char answer[100] = "";
        cuda_host_break(0, after);
        bool opened = open_demo(&m, &(struct llava_options){ .device = "cuda" }, &e) == OK;
        for (int i = 0; opened && i < 3 && e.code == OK; i++)
            ask(m, answer, &e);
        failed += e.code != OK;
        CHECK(e.code == OK || (e.code == ERR_DEVICE && strstr(e.text, "cuda:0")));
        llava_close(m);
        cuda_host_break(0, -1);
        cuda_host_forget();
    }
    CHECK(failed > 2);
}

static double stage(const struct llava_stats *st, const char *name)
{
    double sum = 0;
    for (int i = 0; i < LLAVA_STAGES && st->stage[i].name; i++)
        sum += !name || !strcmp(st->stage[i].name, name) ? st->stage[i].seconds : 0;
    return sum;
}

/* One question about a picture: what it took, stage by stage, and its answer. */
static void time_stages(bool timeline, struct llava_stats *took, char answer[100])
{
    struct llava *m = NULL;
    struct llava_stats before;
    struct err e = { 0 };
    struct llava_options o = { .device = "cuda", .dtype = "fp32", .timeline = timeline };
    if (!CHECK_OK(open_demo(&m, &o, &e), e))
        return;
    size_t n = (size_t)llava_info(m)->image_side * (size_t)llava_info(m)->image_side * 3;
    struct llava_pixels image = { .rgb = calloc(n, 1) };
    llava_stats(m, &before);
    double start = clock_seconds();
    long waits = cuda_host_waits();
    CHECK_OK(ask_about(m, &image, answer, &e), e);
    llava_stats(m, took);
    CHECK_INT(cuda_host_waits() - waits, took->steps - before.steps);  /* the timeline adds none */
    CHECK_NEAR(stage(took, NULL) - stage(&before, NULL), clock_seconds() - start, 0.02);
    for (int i = 0; i < LLAVA_STAGES && took->stage[i].name; i++)
        took->stage[i].seconds -= before.stage[i].seconds;
    llava_pixels_free(&image);
    llava_close(m);
}

/* The emulated stream runs late, mostly when it is waited for: to the host's clock that is sampling.
 * By its own, products are what takes long, and sampling next to nothing. */
TEST(backend_times_stages_by_the_device)
{
    struct llava_stats host, own;
    char answer[100], again[100];
    time_stages(false, &host, answer);
    time_stages(true, &own, again);
    CHECK_STR(again, answer);
    CHECK(stage(&host, "sample") > 5 * stage(&own, "sample"));
    CHECK(stage(&own, "sample") < 0.2 * stage(&own, NULL));
    CHECK(stage(&own, "products") > 0.2 * stage(&own, NULL));
    CHECK(stage(&own, "vision") > 0 && stage(&own, "attention") > 0 && stage(&own, "sample") > 0);
    CHECK(stage(&own, "products") > 0 && stage(&own, "elementwise") > 0);
    CHECK(stage(&own, "host") >= 0 && stage(&own, "host") < 0.5 * stage(&own, NULL));
    CHECK(cuda_host_report() == NULL);                      /* every event is given back, too */
}

TEST(backend_without_a_gpu)
{
    struct llava *m = NULL;
    struct err e = { 0 };
    struct llava_gpu gpu;
    cuda_host_devices(0);
    CHECK_INT(llava_gpus(&gpu, 1, &e), 0);
    CHECK(strstr(e.text, "no usable GPU") != NULL);
    CHECK_INT(open_demo(&m, &(struct llava_options){ .device = "cuda" }, &e), ERR_DEVICE);
    CHECK(m == NULL && strstr(e.text, "--device cpu"));
    CHECK_OK(open_demo(&m, &(struct llava_options){ .device = "auto" }, &e), e);
    CHECK(m && !strncmp(llava_info(m)->device, "cpu", 3) && llava_info(m)->device_note &&
          strstr(llava_info(m)->device_note, "no usable GPU"));
    CHECK_STR(llava_info(m)->dtype, "fp32");
    llava_close(m);
    cuda_host_devices(2);
    CHECK_INT(open_demo(&m, &(struct llava_options){ .device = "cuda:2" }, &e), ERR_DEVICE);
    CHECK(strstr(e.text, "2 found") != NULL);
    CHECK_OK(open_demo(&m, &(struct llava_options){ .device = "cuda:1" }, &e), e);
    CHECK(m && !strncmp(llava_info(m)->device, "cuda", 4));
    CHECK_STR(llava_info(m)->dtype, "fp16");
    llava_close(m);
}
