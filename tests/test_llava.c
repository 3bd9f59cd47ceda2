/* The engine's public face: what it refuses, how replies end, what callers may do from a callback.
 * The model is demo's, since any that answers will do. */
#include "engine/llava.h"
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/file.h"
#include "engine/base/str.h"
#include "tests/check.h"

struct heard {                  /* what a request's callbacks were told */
    int answered, tokens;
    size_t n_ids;
    int32_t ids[64];
    enum llava_finish finish;
    int prompt_tokens;
    bool cut;
    char text[200];
    struct llava *model;        /* to submit `next` to, from done() */
    const struct llava_request *next;
};

static void token(void *user, int32_t id)
{
    (void)id;
    ((struct heard *)user)->tokens++;
}

static void done(void *user, const struct llava_reply *r)
{
    struct heard *h = user;
    struct err e = { 0 };
    h->answered++;
    h->n_ids = r->n_ids < COUNT(h->ids) ? r->n_ids : COUNT(h->ids);
    if (h->n_ids)
        memcpy(h->ids, r->ids, h->n_ids * sizeof *h->ids);
    h->finish = r->finish;
    h->prompt_tokens = r->prompt_tokens;
    h->cut = r->cut;
    snprintf(h->text, sizeof h->text, "%s", r->text);
    if (h->next)
        CHECK_OK(llava_submit(h->model, h->next, &e), e);
}

static struct llava *open_demo(const struct llava_options *o)
{
    struct err e = { 0 };
    struct llava *m = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp", test_root());
    CHECK_OK(llava_open(&m, path, o, &e), e);
    return m;
}

/* Copies the demo's checkpoint to ./altered, with `from` replaced by `to` in its config.json. */
static struct llava *open_altered(const char *from, const char *to)
{
    static const char *const names[] = {
        "config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json",
        "tokenizer.model", "tokenizer_config.json",
    };
    struct err e = { 0 };
    struct llava *m = NULL;
    CHECK_OK(file_mkdirs("altered", &e), e);
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[4096], copy[64];
        struct file f;
        struct str text;
        snprintf(path, sizeof path, "%s/demo/checkpoints/tiny-mlp/%s", test_root(), names[i]);
        snprintf(copy, sizeof copy, "altered/%s", names[i]);
        CHECK_OK(file_open(&f, path, ERR_CHECKPOINT, &e), e);
        str_init(&text, 1 << 24);
        const char *at = i ? NULL : memmem(f.at, f.n, from, strlen(from));
        CHECK(i || at);
        str_addn(&text, f.at, at ? (size_t)(at - f.at) : f.n);
        if (at) {
            str_add(&text, to);
            at += strlen(from);
            str_addn(&text, at, f.n - (size_t)(at - f.at));
        }
        CHECK_OK(file_write(copy, text.at, text.n, &e), e);
        str_free(&text);
        file_close(&f);
    }
    CHECK_OK(llava_open(&m, "altered", NULL, &e), e);
    return m;
}

static void ask(struct llava *m, struct llava_request r, struct heard *h)
{
    struct err e = { 0 };
    size_t open = 1;
    *h = (struct heard){ .model = m };
    r.n_beams = 1;
    r.token = token;
    r.done = done;
    r.user = h;
    CHECK_OK(llava_submit(m, &r, &e), e);
    while (open && CHECK_OK(llava_step(m, &open, &e), e))
        ;
    CHECK_INT(h->answered, 1);
}

static const int32_t text_ids[] = { 1, 268, 340, 348, 259, 349, 284, 277 };
static const int32_t image_ids[] = { 1, 268, 340, LLAVA_IMAGE, 669, 13, 447 };

static struct llava_pixels grey(const struct llava *m)
{
    size_t n = (size_t)llava_info(m)->image_side * (size_t)llava_info(m)->image_side * 3;
    struct llava_pixels p = { .rgb = malloc(n) };
    if (p.rgb)
        memset(p.rgb, 128, n);
    return p;
}

/* Another config.json or tokenizer replies otherwise: another model. A key that nobody reads is no change. */
TEST(llava_identity_holds_config_and_tokenizer)
{
    static const struct { const char *from, *to; bool same; } row[] = {
        { "{", "{ \"nobody_reads_this\": 1,", true },
        { "\"image_aspect_ratio\": \"pad\"", "\"image_aspect_ratio\": null", false },
        { "\"mm_vision_select_layer\": -2", "\"mm_vision_select_layer\": -1", false },
    };
    static const char added[] = "{\"<more>\": 700}";
    struct err e = { 0 };
    struct llava *m = open_demo(NULL);
    char hash[65];
    snprintf(hash, sizeof hash, "%s", llava_info(m)->weights_sha256);
    llava_close(m);
    for (size_t i = 0; i < COUNT(row); i++) {
        m = open_altered(row[i].from, row[i].to);
        if (!CHECK_INT(!strcmp(llava_info(m)->weights_sha256, hash), row[i].same))
            printf("  %s\n", row[i].to);
        llava_close(m);
    }
    llava_close(open_altered("{", "{ "));
    CHECK_OK(file_write("altered/added_tokens.json", added, strlen(added), &e), e);
    CHECK_OK(llava_open(&m, "altered", NULL, &e), e);
    CHECK(strcmp(llava_info(m)->weights_sha256, hash) != 0);
    llava_close(m);
}

TEST(llava_says_what_it_does_not_run)
{
    static const struct { const char *device, *dtype; enum status s; const char *words; } row[] = {
        { "cuda", NULL, ERR_DEVICE, "--device cpu" },
        { "cuda:1", "fp16", ERR_DEVICE, "--device cpu" },
        { "abacus", NULL, ERR_USAGE, "abacus" },
        { "cpu", "fp16", ERR_USAGE, "fp32" },
        { NULL, "int8", ERR_USAGE, "int8" },
    };
    struct llava_gpu gpu;
    struct err none = { 0 };
    int gpus = llava_gpus(&gpu, 1, &none);
    for (size_t i = gpus ? 2 : 0; i < COUNT(row); i++) {    /* the first two run on such a machine */
        struct err e = { 0 };
        struct llava *m = NULL;
        struct llava_options o = { .device = row[i].device, .dtype = row[i].dtype };
        CHECK_INT(llava_open(&m, "nowhere", &o, &e), row[i].s);
        CHECK(strstr(e.text, row[i].words) && !m);
    }
    struct err e = { 0 };
    struct llava *m = NULL;
    CHECK_INT(llava_open(&m, "nowhere", NULL, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "nowhere") && !m);
    llava_close(NULL);
}

TEST(llava_refuses_beams)
{
    struct err e = { 0 };
    struct llava *m = open_demo(NULL);
    struct llava_request r = { .ids = text_ids, .n_ids = COUNT(text_ids), .max_new_tokens = 3,
                               .n_beams = 4, .done = done };
    CHECK_INT(m ? llava_submit(m, &r, &e) : OK, ERR_USAGE);
    CHECK(strstr(e.text, "beams"));
    llava_close(m);
}

TEST(llava_answers_what_can_never_run)
{
    struct llava *m = open_demo(&(struct llava_options){ .cache_positions = 256 });
    struct heard h;
    if (!m)
        return;
    struct llava_pixels image = grey(m);
    int32_t two[] = { 1, LLAVA_IMAGE, 5, LLAVA_IMAGE, 5 }, outside[] = { 1, 768 };
    static int32_t long_one[300];
    const struct { struct llava_request r; const char *words; } row[] = {
        { { .ids = text_ids, .n_ids = 0 }, "0 tokens" },
        { { .ids = image_ids, .n_ids = COUNT(image_ids) }, "no image" },
        { { .ids = text_ids, .n_ids = COUNT(text_ids), .image = &image }, "0 places" },
        { { .ids = two, .n_ids = COUNT(two), .image = &image }, "2 places" },
        { { .ids = outside, .n_ids = COUNT(outside) }, "768" },
        { { .ids = long_one, .n_ids = COUNT(long_one), .max_new_tokens = 9 }, "256" },
        { { .ids = text_ids, .n_ids = COUNT(text_ids), .max_new_tokens = 300 }, "307 positions" },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        ask(m, row[i].r, &h);
        CHECK_INT(h.finish, LLAVA_FAILED);
        if (!CHECK(strstr(h.text, row[i].words) != NULL))
            printf("%s\n", h.text);
    }
    ask(m, (struct llava_request){ .ids = text_ids, .n_ids = COUNT(text_ids), .max_new_tokens = 3 },
        &h);
    CHECK(h.finish != LLAVA_FAILED);                        /* the model is none the worse */
    llava_pixels_free(&image);
    llava_close(m);
}

TEST(llava_keeps_within_positions)
{
    struct llava *m = open_altered("\"max_position_embeddings\": 2048",
                                   "\"max_position_embeddings\": 20");
    struct heard h;
    int32_t ids[3000];
    if (!m)
        return;
    for (size_t i = 0; i < COUNT(ids); i++)
        ids[i] = i ? 259 + (int)(i * 7 % 400) : 1;
    ask(m, (struct llava_request){ .ids = ids, .n_ids = 21, .max_new_tokens = 9 }, &h);
    CHECK_INT(h.finish, LLAVA_FAILED);
    ask(m, (struct llava_request){ .ids = ids, .n_ids = 20, .max_new_tokens = 9 }, &h);
    CHECK(h.n_ids <= 1);                                    /* the 21st position is never entered */
    ask(m, (struct llava_request){ .ids = ids, .n_ids = 17, .max_new_tokens = 9 }, &h);
    CHECK(h.n_ids <= 4 && (h.n_ids < 4 || h.finish == LLAVA_LENGTH));
    llava_close(m);

    if (!(m = open_altered("\"tokenizer_model_max_length\": 2048",
                           "\"tokenizer_model_max_length\": 50")))
        return;
    struct llava_pixels image = grey(m);
    ask(m, (struct llava_request){ .ids = ids, .n_ids = COUNT(ids), .max_new_tokens = 2 }, &h);
    CHECK(h.cut && h.prompt_tokens == 50 && h.finish != LLAVA_FAILED);
    ask(m, (struct llava_request){ .ids = ids, .n_ids = 50, .max_new_tokens = 2 }, &h);
    CHECK(!h.cut && h.prompt_tokens == 50);
    ids[30] = LLAVA_IMAGE;                                  /* 36 rows: the cut goes through them */
    ask(m, (struct llava_request){ .ids = ids, .n_ids = 60, .image = &image, .max_new_tokens = 2 },
        &h);
    CHECK(h.cut && h.prompt_tokens == 50 && h.finish != LLAVA_FAILED);
    llava_pixels_free(&image);
    llava_close(m);
}

/* The rows behind the prefix may be the picture's own: then they are read from its place late. */
TEST(llava_takes_a_prompt_that_ends_in_its_image)
{
    struct llava *m = open_demo(&(struct llava_options){ .batch_tokens = 5 });
    struct heard a[3], b;
    if (!m)
        return;
    struct llava_pixels image = grey(m), other = grey(m);
    other.rgb[0] = other.sha256[0] = 1;
    struct llava_request r = { .ids = image_ids, .n_ids = 4, .image = &image, .max_new_tokens = 6 };
    ask(m, r, &a[0]);
    struct err e = { 0 };
    size_t open = 1;
    r.n_beams = 1;
    r.done = done;
    for (int i = 0; i < 3; i++) {
        a[i] = i ? (struct heard){ .model = m } : a[0];
        r.user = i ? &a[i] : &b;
        r.image = i == 1 ? &other : &image;
        b = i ? b : (struct heard){ .model = m };
        CHECK_OK(llava_submit(m, &r, &e), e);
    }
    while (open && CHECK_OK(llava_step(m, &open, &e), e))
        ;
    CHECK_INT(a[0].prompt_tokens, 3 + llava_info(m)->image_tokens);
    CHECK(a[0].n_ids == b.n_ids && !memcmp(a[0].ids, b.ids, b.n_ids * sizeof *b.ids));
    CHECK(a[0].n_ids == a[2].n_ids && !memcmp(a[0].ids, a[2].ids, b.n_ids * sizeof *b.ids));
    llava_pixels_free(&image);
    llava_pixels_free(&other);
    llava_close(m);
}

/* A prefix of 64 positions ends where a question's own columns begin: the first question beside another, the
 * second, and one alone are summed in the same pieces. */
TEST(llava_replies_alike_where_a_prefix_fills_its_columns)
{
    enum { BEFORE = 28, N = BEFORE + 1 + 5, V = 768 };
    int32_t ids[2][N];
    float together[2][V], alone[2][V];
    for (int q = 0; q < 2; q++)
        for (int i = 0; i < N; i++)
            ids[q][i] = i == 0 ? 1 : i == BEFORE ? LLAVA_IMAGE : 268 + (i * 7 + (i > BEFORE ? q : 0)) % 90;
    for (int round = 0; round < 2; round++) {
        struct llava *m = open_demo(&(struct llava_options){ .dtype = round ? "bf16" : "fp32" });
        if (!m)
            return;
        CHECK_INT(BEFORE + llava_info(m)->image_tokens, 64);
        CHECK_INT(llava_info(m)->vocabulary, V);
        struct llava_pixels image = grey(m), other = grey(m);
        other.rgb[0] = other.sha256[0] = 1;                 /* so that nothing is left of the pair */
        struct err e = { 0 };
        size_t open = 1;
        struct heard h[2] = { { .model = m }, { .model = m } };
        for (int q = 0; q < 2; q++) {
            struct llava_request r = { .ids = ids[q], .n_ids = N, .image = &image, .max_new_tokens = 1,
                                       .n_beams = 1, .logits = together[q], .done = done, .user = &h[q] };
            CHECK_OK(llava_submit(m, &r, &e), e);
        }
        while (open && CHECK_OK(llava_step(m, &open, &e), e))
            ;
        for (int q = 0; q < 2; q++) {
            struct llava_request r = { .ids = ids[q], .n_ids = N, .image = &other, .max_new_tokens = 1 };
            ask(m, r, &h[0]);
            r.image = &image;
            r.logits = alone[q];
            ask(m, r, &h[0]);
            CHECK(!memcmp(alone[q], together[q], sizeof alone[q]));
        }
        llava_pixels_free(&image);
        llava_pixels_free(&other);
        llava_close(m);
    }
}

TEST(llava_ends_replies)
{
    struct llava *m = open_demo(NULL);
    struct heard h, cut;
    int32_t *ids = NULL;
    size_t n = 0;
    struct err e = { 0 };
    static const char describe[] =
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: <image>\n"
        "Describe the image. ASSISTANT:";
    if (!m || !CHECK_OK(llava_tokenize(m, describe, &ids, &n, &e), e))
        return;
    struct llava_pixels image = grey(m);
    struct llava_request r = { .ids = ids, .n_ids = n, .image = &image, .max_new_tokens = 12 };
    ask(m, r, &h);
    CHECK_INT(h.tokens, h.n_ids);
    CHECK(h.n_ids > 4 && (h.finish == LLAVA_STOP || h.n_ids == 12));

    r.max_new_tokens = 4;
    ask(m, r, &cut);
    CHECK(cut.finish == LLAVA_LENGTH && cut.n_ids == 4 && !memcmp(cut.ids, h.ids, 16));

    char stop[4] = { h.text[5], h.text[6], h.text[7], 0 }, *at = strstr(h.text, stop);
    r.max_new_tokens = 12;
    r.stop = stop;
    ask(m, r, &cut);
    CHECK_INT(cut.finish, LLAVA_STOP);
    CHECK(cut.n_ids <= h.n_ids && !strstr(cut.text, stop));
    CHECK(!strncmp(cut.text, h.text, strlen(cut.text)));
    CHECK(at && strlen(cut.text) <= (size_t)(at - h.text));

    float logits[768] = { 0 };
    r.stop = NULL;
    r.max_new_tokens = 0;
    r.logits = logits;
    ask(m, r, &cut);
    CHECK(cut.finish == LLAVA_LENGTH && cut.n_ids == 0 && logits[5] != 0);
    free(ids);
    llava_pixels_free(&image);
    llava_close(m);
}

TEST(llava_samples_by_seed_alone)
{
    struct llava *m = open_demo(NULL);
    struct heard h[4];
    if (!m)
        return;
    struct llava_request r = { .ids = text_ids, .n_ids = COUNT(text_ids), .max_new_tokens = 30,
                               .temperature = 1.5f, .top_p = 0.99f, .seed = 7 };
    ask(m, r, &h[0]);
    ask(m, r, &h[1]);
    r.seed = 8;
    ask(m, r, &h[2]);
    r.seed = 7;
    r.top_k = 1;                                            /* one candidate: as good as greedy */
    ask(m, r, &h[3]);
    CHECK(h[0].n_ids == h[1].n_ids && !memcmp(h[0].ids, h[1].ids, sizeof h[0].ids));
    CHECK(h[0].n_ids != h[2].n_ids || memcmp(h[0].ids, h[2].ids, sizeof h[0].ids));
    r.temperature = 0;
    ask(m, r, &h[0]);
    CHECK(h[0].n_ids == h[3].n_ids && !memcmp(h[0].ids, h[3].ids, sizeof h[0].ids));
    llava_close(m);
}

TEST(llava_takes_requests_from_done)
{
    struct llava *m = open_demo(NULL);
    struct err e = { 0 };
    size_t open = 1;
    if (!m)
        return;
    struct heard second = { .model = m };
    struct llava_request next = { .ids = text_ids, .n_ids = 5, .max_new_tokens = 2, .n_beams = 1,
                                  .done = done, .user = &second };
    struct heard first = { .model = m, .next = &next };
    struct llava_request r = next;
    r.user = &first;
    CHECK_OK(llava_submit(m, &r, &e), e);
    while (open && CHECK_OK(llava_step(m, &open, &e), e))
        ;
    CHECK(first.answered == 1 && second.answered == 1);
    CHECK(first.n_ids == second.n_ids && !memcmp(first.ids, second.ids, sizeof first.ids));

    struct llava_stats st;
    llava_stats(m, &st);
    CHECK_INT(st.requests, 2);
    CHECK_INT(st.prompt_tokens, 10);
    CHECK(st.computed_tokens >= 10 && st.images == 0 && st.flops > 0);
    CHECK(llava_appetite(m) > 1);
    r.max_new_tokens = 50;
    CHECK_OK(llava_submit(m, &r, &e), e);                   /* left open: close must free it */
    llava_close(m);
}

TEST(llava_counts_what_sharing_saves)
{
    struct llava *m = open_demo(NULL);
    struct err e = { 0 };
    size_t open = 1;
    struct llava_stats st;
    if (!m)
        return;
    struct llava_pixels image = grey(m);
    struct heard h[5] = { { .answered = 0 } };
    for (size_t i = 0; i < COUNT(h); i++) {
        struct llava_request r = { .ids = image_ids, .n_ids = 5 + i % 3, .image = &image,
                                   .max_new_tokens = 1, .n_beams = 1, .done = done, .user = &h[i] };
        CHECK_OK(llava_submit(m, &r, &e), e);
    }
    while (open && CHECK_OK(llava_step(m, &open, &e), e))
        ;
    llava_stats(m, &st);
    int prefix = 3 + llava_info(m)->image_tokens;
    CHECK_INT(st.images, 1);
    CHECK_INT(st.prompt_tokens, 5 * prefix + 1 + 2 + 3 + 1 + 2);
    CHECK_INT(st.computed_tokens, prefix + 1 + 2 + 3 + 1 + 2);

    /* One picture, but other words before it: another prefix, though of equal length. */
    int32_t other_ids[COUNT(image_ids)];
    memcpy(other_ids, image_ids, sizeof other_ids);
    other_ids[1] = 340;
    for (int i = 0; i < 2; i++) {
        struct llava_request r = { .ids = i ? other_ids : image_ids, .n_ids = COUNT(image_ids),
                                   .image = &image, .max_new_tokens = 1, .n_beams = 1,
                                   .done = done, .user = &h[i] };
        CHECK_OK(llava_submit(m, &r, &e), e);
    }
    for (open = 1; open && CHECK_OK(llava_step(m, &open, &e), e);)
        ;
    uint64_t before = st.computed_tokens;
    llava_stats(m, &st);
    CHECK_INT(st.computed_tokens - before, 3 + prefix + 3); /* the first joins the group above */
    llava_pixels_free(&image);
    llava_close(m);
}

TEST(llava_dumps_activations)
{
    struct llava *m = open_demo(&(struct llava_options){ .dump_dir = "dump", .dtype = "bf16" });
    struct heard h;
    if (!m)
        return;
    struct llava_pixels image = grey(m);
    ask(m, (struct llava_request){ .ids = image_ids, .n_ids = COUNT(image_ids), .image = &image,
                                   .max_new_tokens = 1 }, &h);
    CHECK(file_exists("dump/0000-tower.npy") && file_exists("dump/0001-connector.npy"));
    CHECK(file_exists("dump/0002-embed.npy") && file_exists("dump/0003-layer00.npy"));
    CHECK(file_size("dump/0001-connector.npy") == 128 + 36 * 192 * 4);
    CHECK(file_exists("dump/0008-logits.npy"));
    llava_pixels_free(&image);
    llava_close(m);
}
