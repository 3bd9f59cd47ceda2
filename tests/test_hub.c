/* Checkpoints by name: the caches first, then a hub that lives on the loopback. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "harness/fetch.h"
#include "harness/say.h"
#include "harness/sha1.h"
#include "tests/check.h"
#include "tests/fixture.h"
#include "tests/httpd.h"
#include "tests/made.h"

#define COMMIT "1234567890abcdef1234567890abcdef12345678"
static const char config[] = "{\"model_type\": \"llava\"}\n", weights[] = "tensors, tensors, tensors";

struct hub {
    bool gated, wrong_weights;
    int downloads;
    char token[200];
};

static void tree(struct httpd_call *c)
{
    static const char format[] =
        "[{\"type\": \"directory\", \"oid\": \"x\", \"size\": 0, \"path\": \"images\"},"
        " {\"type\": \"file\", \"oid\": \"%s\", \"size\": %zu, \"path\": \"config.json\"},"
        " {\"type\": \"file\", \"oid\": \"%s\", \"lfs\": null, \"path\": \"generation_config.json\"},"
        " {\"type\": \"file\", \"oid\": \"00\", \"size\": 3, \"path\": \"pytorch_model.bin\"},"
        " {\"type\": \"file\", \"oid\": \"00\", \"size\": 3, \"path\": \"../evil.json\"},"
        " {\"type\": \"file\", \"oid\": \"00\", \"size\": 3, \"path\": \"README.md\"}]";
    char blob[41], body[1500], head[32], link[800];
    struct sha1 sha;
    if (strstr(c->path, "cursor")) {                        /* the second page */
        unsigned char hash[SHA256_SIZE];
        char hex[SHA256_HEX];
        struct sha256 s;
        sha256_init(&s);
        sha256_add(&s, weights, strlen(weights));
        sha256_end(&s, hash);
        sha256_hex(hash, hex);
        int n = snprintf(body, sizeof body, "[{\"type\": \"file\", \"oid\": \"aa\", \"size\": 133, "
                         "\"path\": \"model.safetensors\", \"lfs\": {\"oid\": \"%s\", \"size\": %zu}}]",
                         hex, strlen(weights));
        httpd_send(c, 200, "", body, (size_t)n);
        return;
    }
    sha1_init(&sha);
    sha1_add(&sha, head, (size_t)snprintf(head, sizeof head, "blob %zu", strlen(config)) + 1);
    sha1_add(&sha, config, strlen(config));
    sha1_hex(&sha, blob);
    int n = snprintf(body, sizeof body, format, blob, strlen(config), blob);
    snprintf(link, sizeof link, "Link: <http://127.0.0.1:%s%s&cursor=2>; rel=\"next\"\r\n",
             getenv("HUB_PORT"), c->path);
    httpd_send(c, 200, link, body, (size_t)n);
}

static void serve_hub(struct httpd_call *c)
{
    struct hub *h = c->user;
    if (h->gated)
        httpd_send(c, 403, "X-Error-Code: GatedRepo\r\n", "", 0);
    else if (strncmp(c->path, "/api/models/org/tiny/", 21) && strncmp(c->path, "/org/tiny/", 10) &&
             strcmp(c->path, "/signed"))
        httpd_send(c, 404, "X-Error-Code: RepoNotFound\r\n", "", 0);
    else if (!strcmp(c->path, "/api/models/org/tiny/revision/main"))
        httpd_send(c, 200, "", "{\"sha\": \"" COMMIT "\"}", 51);
    else if (!strncmp(c->path, "/api/models/org/tiny/tree/" COMMIT "?", 27 + 40))
        tree(c);
    else if (!strcmp(c->path, "/org/tiny/resolve/" COMMIT "/config.json")) {
        snprintf(h->token, sizeof h->token, "%s", c->authorization);
        h->downloads++;
        httpd_send(c, 200, "", config, strlen(config));
    } else if (!strcmp(c->path, "/org/tiny/resolve/" COMMIT "/generation_config.json")) {
        httpd_send(c, 200, "", config, strlen(config));     /* of a size that the list does not say */
    } else if (!strcmp(c->path, "/org/tiny/resolve/" COMMIT "/model.safetensors"))
        httpd_send(c, 302, "Location: /signed\r\n", "", 0);
    else if (!strcmp(c->path, "/signed")) {
        h->downloads++;
        httpd_send(c, 200, "", h->wrong_weights ? "tensors, tensors, tensorx" : weights,
                   strlen(weights));
    } else
        httpd_send(c, 404, "X-Error-Code: EntryNotFound\r\n", "", 0);
}

static struct options options_at(struct httpd *s)
{
    static char url[100], port[16];
    say_setup(true, 0, false);
    snprintf(port, sizeof port, "%d", httpd_port(s));
    setenv("HUB_PORT", port, 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", httpd_port(s));
    return (struct options){ .hf_endpoint = url, .cache_dir = "cache", .hf_hub_cache = "hub" };
}

TEST(hub_downloads_and_checks_a_checkpoint)
{
    struct hub hub = { .downloads = 0 };
    struct httpd *s = httpd_start(serve_hub, &hub);
    struct options o = options_at(s);
    struct err e = { 0 };
    const char *path;
    o.hf_token = "secret";
    CHECK_OK(hub_find(&o, "org/tiny", &path, &e), e);
    CHECK_STR(path, "cache/models/org--tiny");
    CHECK_INT(file_size("cache/models/org--tiny/config.json"), (long long)strlen(config));
    CHECK_INT(file_size("cache/models/org--tiny/model.safetensors"), (long long)strlen(weights));
    CHECK_INT(file_size("cache/models/org--tiny/generation_config.json"), (long long)strlen(config));
    CHECK(!file_exists("cache/models/org--tiny/pytorch_model.bin"));    /* one form of the weights */
    CHECK(!file_exists("cache/models/org--tiny/README.md") && !file_exists("cache/models/evil.json"));
    CHECK_STR(hub.token, "Bearer secret");
    int calls = httpd_calls(s);
    CHECK_OK(hub_find(&o, "org/tiny", &path, &e), e);       /* and now it is there */
    CHECK_INT(httpd_calls(s), calls);
    options_free(&o);
    httpd_stop(s);
}

TEST(hub_refuses_weights_of_another_hash)
{
    struct hub hub = { .wrong_weights = true };
    struct httpd *s = httpd_start(serve_hub, &hub);
    struct options o = options_at(s);
    struct err e = { 0 };
    const char *path;
    CHECK_INT(hub_find(&o, "org/tiny", &path, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "model.safetensors") && strstr(e.text, "hash"));
    CHECK(!file_exists("cache/models/org--tiny"));
    hub.wrong_weights = false;                              /* what was right is kept */
    hub.downloads = 0;
    err_clear(&e);
    CHECK_OK(hub_find(&o, "org/tiny", &path, &e), e);
    CHECK_INT(hub.downloads, 1);
    options_free(&o);
    httpd_stop(s);
}

TEST(hub_says_what_to_do)
{
    struct hub hub = { .gated = true };
    struct httpd *s = httpd_start(serve_hub, &hub);
    struct options o = options_at(s);
    struct err e = { 0 };
    const char *path;
    CHECK_INT(hub_find(&o, "org/tiny", &path, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "licence") && strstr(e.text, "HF_TOKEN"));
    hub.gated = false;
    err_clear(&e);
    CHECK_INT(hub_find(&o, "org/other", &path, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "org/other") && strstr(e.text, "neither a folder"));
    o.hub_offline = true;
    int calls = httpd_calls(s);
    err_clear(&e);
    CHECK_INT(hub_find(&o, "org/tiny", &path, &e), ERR_CHECKPOINT);
    CHECK(strstr(e.text, "offline") != NULL);
    err_clear(&e);
    CHECK_INT(hub_find(&o, "no/such/folder", &path, &e), ERR_CHECKPOINT);
    CHECK_INT(httpd_calls(s), calls);
    options_free(&o);
    httpd_stop(s);
}

TEST(hub_finds_what_the_hubs_own_tools_keep)
{
    struct options o = { .hf_endpoint = "http://127.0.0.1:9", .cache_dir = "cache",
                         .hf_hub_cache = "hub", .hub_offline = true };
    struct err e = { 0 };
    const char *path;
    put("hub/models--org--tiny/refs/main", "abc123\n");
    put("hub/models--org--tiny/snapshots/abc123/config.json", config);
    CHECK_INT(hub_find(&o, "org/tiny", &path, &e), ERR_CHECKPOINT);     /* as a config alone is left there */
    err_clear(&e);
    put("hub/models--org--tiny/snapshots/abc123/model.safetensors", weights);
    CHECK_OK(hub_find(&o, "org/tiny", &path, &e), e);
    CHECK_STR(path, "hub/models--org--tiny/snapshots/abc123");
    put("org/tiny/config.json", config);                    /* a folder of that name comes first */
    CHECK_OK(hub_find(&o, "org/tiny", &path, &e), e);
    CHECK_STR(path, "org/tiny");
    options_free(&o);
}

#define LANGUAGE "\"hidden_size\": 24, \"intermediate_size\": 40, \"num_hidden_layers\": 2, " \
    "\"num_attention_heads\": 3, \"vocab_size\": 32, \"max_position_embeddings\": 512, "

static void put_checkpoint(const char *tower)               /* as far as a tower is looked for: mine/ */
{
    char text[600];
    struct made m;
    made_open(&m);
    made_add(&m, "lm_head.weight", "lm_head.weight", "F16", 2, (int[]){ 32, 24 });
    put("mine/config.json", "{}");
    made_safetensors(&m, "mine/model.safetensors");
    put("mine/tokenizer.model", "only looked for");
    made_close(&m);
    snprintf(text, sizeof text, "{\"model_type\": \"llava\", \"architectures\": "
             "[\"LlavaLlamaForCausalLM\"], " LANGUAGE "\"mm_vision_tower\": \"%s\"}", tower);
    put("mine/config.json", text);
}

TEST(hub_finds_the_tower_that_a_checkpoint_names)
{
    struct hub hub = { .downloads = 0 };
    struct httpd *s = httpd_start(serve_hub, &hub);
    struct options o = options_at(s);
    struct llava_options m = { 0 };
    struct err e = { 0 };
    const char *path;

    put_checkpoint("/home/somebody/clip-vit-large-patch14-336/");
    o.verb = "run";
    o.hub_offline = true;
    CHECK_INT(hub_find_model(&o, "mine", &m, &path, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "mine needs its vision tower (or --vision-tower FOLDER): "
              "openai/clip-vit-large-patch14-336: neither a folder here nor in hub or cache/models, "
              "and offline");
    o.verb = "inspect";                                     /* says itself what is missing */
    err_clear(&e);
    CHECK_OK(hub_find_model(&o, "mine", &m, &path, &e), e);
    CHECK(!m.vision_tower);
    put("cache/models/openai--clip-vit-large-patch14-336/config.json", config);
    CHECK_OK(hub_find_model(&o, "mine", &m, &path, &e), e);
    CHECK_STR(m.vision_tower, "cache/models/openai--clip-vit-large-patch14-336");

    put_checkpoint("org/tiny");
    o.verb = "run";
    o.hub_offline = false;
    CHECK_OK(hub_find_model(&o, "mine", &m, &path, &e), e);
    CHECK_STR(path, "mine");
    CHECK_STR(m.vision_tower, "cache/models/org--tiny");
    CHECK_INT(hub.downloads, 2);

    put_checkpoint("google/siglip-base");                   /* is not run: not downloaded either */
    CHECK_OK(hub_find_model(&o, "mine", &m, &path, &e), e);
    CHECK(!m.vision_tower);
    o.vision_tower = o.model_base = "org/tiny";
    CHECK_OK(hub_find_model(&o, "mine", &m, &path, &e), e);
    CHECK_STR(m.vision_tower, "cache/models/org--tiny");
    CHECK_STR(m.model_base, "cache/models/org--tiny");
    o.model_base = "no such folder";
    CHECK_INT(hub_find_model(&o, "mine", &m, &path, &e), ERR_CHECKPOINT);
    CHECK_STR(e.text, "--model-base: no such folder: there is no such folder");
    options_free(&o);
    httpd_stop(s);
}

TEST(sha1_is_the_standards)
{
    struct sha1 s;
    char hex[41];
    sha1_init(&s);
    sha1_hex(&s, hex);
    CHECK_STR(hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    sha1_init(&s);
    sha1_add(&s, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
    sha1_hex(&s, hex);
    CHECK_STR(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}
