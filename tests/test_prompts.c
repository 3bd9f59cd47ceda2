/* Prompts, against strings that haotian-liu/LLaVA c121f04 builds (llava/conversation.py) and the
 * lines of LLaVA-1.5's released question files.
 *
 * The SHA-256 of whole prompts are of the official code's output for the same text. */
#include "prompts/prompt.h"

#include <stdio.h>
#include "benchmarks/benchmark.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "engine/base/str.h"
#include "tests/check.h"

#define SHORT  "Answer the question using a single word or phrase."
#define LETTER "Answer with the option's letter from the given choices directly."
#define UNANS  "When the provided information is insufficient, respond with 'Unanswerable'."

static const char *hash_of(const char *text)
{
    static char hex[SHA256_HEX];
    unsigned char hash[SHA256_SIZE];
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, text, strlen(text));
    sha256_end(&s, hash);
    sha256_hex(hash, hex);
    return hex;
}

static const char *render(struct arena *a, const char *template, const char *T, bool has_image)
{
    const char *out;
    struct err e = { 0 };
    CHECK_OK(conversation_render(template, T, has_image, false, false, a, &out, &e), e);
    return out;
}

TEST(prompts_conversation_hashes)
{
    static const struct { const char *T; size_t bytes; const char *hash; } cases[] = {
        { "Is the lamp on?", 195,
          "3128ad7eaf51674e3e947efe49366c01f9c1c4b401e64ee2d4969b9f0c61451c" },
        { "Which shape?\nA. circle\nB. square\n" LETTER, 277,
          "b012c0c3b0c1a9d482602ff1650c9512a20242c9e3afe5b6c2f86f275f7b5941" },
        { "What does it say?\nReference OCR token: \n" SHORT, 270,
          "34667f1566ee0bf72370261cc19a4da154147f23502d90b0a3d4bf29f93785d5" },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *prompt = render(&a, "vicuna_v1", cases[i].T, true);
        CHECK_INT(strlen(prompt), cases[i].bytes);
        CHECK_STR(hash_of(prompt), cases[i].hash);
        CHECK_STR(render(&a, "v1", cases[i].T, true), prompt);
    }
    arena_free(&a);
}

TEST(prompts_conversation_strings)
{
    static const char S2[] = "A chat between a curious human and an artificial intelligence "
        "assistant. The assistant gives helpful, detailed, and polite answers to the human's "
        "questions.";
    static const char S3[] = "A chat between a curious user and an artificial intelligence "
        "assistant. The assistant is able to understand the visual content that the user provides, "
        "and assist the user with a variety of tasks using natural language.The visual content "
        "will be provided with the following format: <Image>visual content</Image>.";
    struct arena a = { 0 };
    CHECK_STR(render(&a, "llava_v1", "Q", true),
              arena_fmt(&a, "%s USER: <image>\nQ ASSISTANT:", S2));
    CHECK_STR(render(&a, "llava_v0", "Q", true),
              arena_fmt(&a, "%s###Human: <image>\nQ###Assistant:", S2));
    CHECK_STR(render(&a, "v1_mmtag", "Q", true),
              arena_fmt(&a, "%s USER: <image>\nQ ASSISTANT:", S3));
    CHECK_STR(render(&a, "v0_mmtag", "Q", true),
              arena_fmt(&a, "%s###Human: <image>\nQ###Assistant:", S3));
    CHECK_STR(render(&a, "llava_llama_2", "Q", true),
              "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to "
              "understand the visual content that the user provides, and assist the user with a "
              "variety of tasks using natural language.\n<</SYS>>\n\n<image>\nQ [/INST]");
    CHECK_STR(render(&a, "plain", "Q", true), "<image>\nQ\n");
    CHECK_STR(render(&a, "plain", "Q", false), "Q\n");
    const char *out;
    struct err e = { 0 };
    CHECK_OK(conversation_render("plain", "Q", true, true, false, &a, &out, &e), e);
    CHECK_STR(out, "<im_start><image><im_end>\nQ\n");
    CHECK_OK(conversation_render("plain", "Q", true, false, true, &a, &out, &e), e);
    CHECK_STR(out, "Q\n<image>\n");
    CHECK_OK(conversation_render("plain", "Q", false, true, true, &a, &out, &e), e);
    CHECK_STR(out, "Q\n");
    CHECK_INT(conversation_render("plain", "see <image>", true, false, false, &a, &out, &e),
              ERR_DATA);
    err_clear(&e);
    CHECK_INT(conversation_render("v7", "Q", true, false, false, &a, &out, &e), ERR_USAGE);
    arena_free(&a);
}

TEST(prompts_conversation_of_a_checkpoint)
{
    CHECK_STR(conversation_default(true, "llava-v0-7b"), "vicuna_v1");
    CHECK_STR(conversation_default(false, "LLaVA-LLama-2-13b-v1"), "llava_llama_2");
    CHECK_STR(conversation_default(false, "llava-7B-V1"), "llava_v1");
    CHECK_STR(conversation_default(false, "LLaVA-13b-delta"), "llava_v0");
    CHECK_STR(conversation_stop("llava_v0"), "###");
    CHECK_STR(conversation_stop("v0_mmtag"), "###");
    CHECK(conversation_stop("vicuna_v1") == NULL);
    for (const char *const *n = conversation_names(); *n; n++)
        CHECK(conversation_known(*n));
    CHECK(!conversation_known("default"));
}

static const char *text(struct arena *a, const char *set, const char *benchmark,
                        enum prompt_format format, struct prompt_item item)
{
    struct prompt_set *s;
    struct err e = { 0 };
    CHECK_OK(prompt_set_open(&s, set, &e), e);
    const char *T = s ? prompt_text(s, benchmark, format, &item, a) : "";
    prompt_set_close(s);
    return T;
}

static const char *const metals[] = { "iron", "wood" };
#define CHOICE { .question = "Which is a metal?", .options = metals, .n_options = 2 }

TEST(prompts_paper)
{
    struct arena a = { 0 };
    struct prompt_item q = { .question = " is  it Red? " };
    CHECK_STR(text(&a, "paper", "gqa", FORMAT_SHORT, q), " is  it Red? \n" SHORT);
    CHECK_STR(text(&a, "paper", "mmvet", FORMAT_PLAIN, q), " is  it Red? ");
    q.question = "what is This? And what color is it? ";
    CHECK_STR(text(&a, "paper", "vizwiz", FORMAT_UNANSWERABLE, q),
              "What is this? and what color is it? \n" UNANS "\n" SHORT);
    q = (struct prompt_item){ .question = "what brand IS it?", .context = "S,, PRITES" };
    CHECK_STR(text(&a, "paper", "textvqa", FORMAT_OCR, q),
              "What brand is it?\nReference OCR token: S,, PRITES\n" SHORT);
    q.context = "";
    CHECK_STR(text(&a, "paper", "textvqa", FORMAT_OCR, q),
              "What brand is it?\nReference OCR token: \n" SHORT);
    q = (struct prompt_item){ .question = "Is it a park?  Please answer yes or no." };
    CHECK_STR(text(&a, "paper", "mme", FORMAT_YESNO, q), "Is it a park?\n" SHORT);
    struct prompt_item choice = CHOICE;
    CHECK_STR(text(&a, "paper", "seed", FORMAT_LETTER, choice),
              "Which is a metal?\nA. iron\nB. wood\n" LETTER);
    CHECK_STR(text(&a, "paper", "mmbench", FORMAT_LETTER_CN, choice),
              "Which is a metal?\nA. iron\nB. wood\n请直接回答选项字母。");
    choice.context = "Look  here.";
    CHECK_STR(text(&a, "paper", "mmbench", FORMAT_LETTER, choice),
              "Look  here.\nWhich is a metal?\nA. iron\nB. wood\n" LETTER);
    arena_free(&a);
}

TEST(prompts_scienceqa)
{
    static const char *const melts[] = { "ice", "iron" }, *const odd[] = { " x", "y   z \n" };
    struct arena a = { 0 };
    struct prompt_item q = { .question = "Which melts first?", .context = "Look at  the chart.",
                             .options = melts, .n_options = 2 };
    CHECK_STR(text(&a, "paper", "scienceqa", FORMAT_SCIENCE, q),
              "Context: Look at the chart.\nWhich melts first?\nA. ice\nB. iron\n" LETTER);
    q = (struct prompt_item){ .question = "\n Which?", .context = "", .options = odd,
                              .n_options = 2 };
    CHECK_STR(text(&a, "paper", "scienceqa", FORMAT_SCIENCE, q),
              "Which?\nA. x\nB. y  z\n" LETTER);    /* three blanks: one pass leaves two */
    CHECK_STR(text(&a, "before", "scienceqa", FORMAT_SCIENCE, q),
              LETTER "\nWhich?\nA. x\nB. y  z");
    arena_free(&a);
}

TEST(prompts_named_sets)
{
    struct arena a = { 0 };
    struct prompt_item q = { .question = "is it?", .context = "a, b" }, choice = CHOICE;
    CHECK_STR(text(&a, "none", "pope", FORMAT_SHORT, q), "is it?");
    CHECK_STR(text(&a, "none", "vizwiz", FORMAT_UNANSWERABLE, q), "Is it?");
    CHECK_STR(text(&a, "none", "textvqa", FORMAT_OCR, q), "Is it?\nReference OCR token: a, b");
    CHECK_STR(text(&a, "none", "seed", FORMAT_LETTER, choice),
              "Which is a metal?\nA. iron\nB. wood");
    CHECK_STR(text(&a, "qa", "pope", FORMAT_SHORT, q), "Q: is it? A:");
    CHECK_STR(text(&a, "qa", "seed", FORMAT_LETTER, choice),
              "Q: Which is a metal?\nA. iron\nB. wood\nA:");
    CHECK_STR(text(&a, "blip", "pope", FORMAT_SHORT, q), "Question: is it? Short answer:");
    CHECK_STR(text(&a, "blip", "seed", FORMAT_LETTER, choice),
              "Question: Which is a metal? Options: (a) iron (b) wood Answer:");
    CHECK_STR(text(&a, "before", "pope", FORMAT_SHORT, q), SHORT "\nis it?");
    CHECK_STR(text(&a, "before", "seed", FORMAT_LETTER, choice),
              LETTER "\nWhich is a metal?\nA. iron\nB. wood");
    CHECK_STR(text(&a, "noocr", "textvqa", FORMAT_OCR, q), "Is it?\n" SHORT);
    CHECK_STR(text(&a, "noocr", "pope", FORMAT_SHORT, q), "is it?\n" SHORT);
    CHECK_STR(text(&a, "nounans", "vizwiz", FORMAT_UNANSWERABLE, q), "Is it?\n" SHORT);
    q.question = "Is it?  Please answer yes or no.";
    CHECK_STR(text(&a, "mmeorig", "mme", FORMAT_YESNO, q), q.question);
    CHECK_STR(text(&a, "mmeorig-short", "mme", FORMAT_YESNO, q),
              "Is it?  Please answer yes or no.\n" SHORT);
    for (const char *const *name = prompt_set_names(); *name; name++)
        CHECK_STR(text(&a, *name, "mmvet", FORMAT_PLAIN, q), q.question);
    arena_free(&a);
}

/* Frozen: these change only with a new set's name, never under an old one. */
TEST(prompts_frozen)
{
    struct { const char *set, *template; enum prompt_format format; const char *hash; } frozen[] = {
        { "paper", "vicuna_v1", FORMAT_SHORT,
          "5ff492581eb1211beffbf026f4576c14e791ec38dade92f48746238171f9a0f2" },
        { "paper", "vicuna_v1", FORMAT_UNANSWERABLE,
          "f13dcd57f255f09b2984c5c90d61b09accef0229c35a36249e0863a020f02905" },
        { "paper", "vicuna_v1", FORMAT_OCR,
          "f4d4a4c1d0275bd63245ae0f5d77089f508aed9e45f475ef2839aeaa2a568775" },
        { "paper", "vicuna_v1", FORMAT_YESNO,
          "db12500560078678a38f9a7d912623e5b1b7f0a6f615c91534653429eb2381c2" },
        { "paper", "vicuna_v1", FORMAT_SCIENCE,
          "725fde1db7ce884129335e028fb720a30527494e6702740e5a74067241326f11" },
        { "paper", "vicuna_v1", FORMAT_LETTER,
          "489dcbc7c5d356f7c75a2816b607f85508f14fd81c91c3d527f322c34986a1c2" },
        { "paper", "vicuna_v1", FORMAT_LETTER_CN,
          "fe463f902fe0088ff7a478a5587cd5ed056cb5177e2a8130752571fe0afd5b46" },
        { "paper", "vicuna_v1", FORMAT_PLAIN,
          "60a3c3705d847975656cda19cc690df57ad8e184c739109c36aea955dd628dac" },
        { "para1", "vicuna_v1", FORMAT_LETTER,
          "688b57170c5aca5029fbf5df1d64106f07497a9e83212387a9c64e6b96caea7a" },
        { "para2", "vicuna_v1", FORMAT_SHORT,
          "209e34e8a773ce2b82a94fa84fd3c173d0cb373b8de8c78436c941abdc3264da" },
    };
    struct prompt_set *set = NULL;
    struct err e = { 0 };
    char hash[65], other[65];
    for (size_t i = 0; i < COUNT(frozen); i++) {
        CHECK_OK(prompt_set_open(&set, frozen[i].set, &e), e);
        prompt_hash(set, "any", frozen[i].format, frozen[i].template, hash);
        CHECK_STR(hash, frozen[i].hash);
        prompt_hash(set, "any", frozen[i].format, "llava_v1", other);
        CHECK(strcmp(hash, other) != 0);
        prompt_set_close(set);
    }
    CHECK_OK(prompt_set_open(&set, "noocr", &e), e);        /* as the paper but for TextVQA */
    prompt_hash(set, "pope", FORMAT_SHORT, "v1", hash);
    CHECK_STR(hash, frozen[0].hash);
    prompt_hash(set, "textvqa", FORMAT_OCR, "v1", hash);
    CHECK(strcmp(hash, frozen[2].hash) != 0);
    prompt_set_close(set);
    CHECK_OK(prompt_set_open(&set, "image-last", &e), e);
    CHECK(prompt_set_image_last(set));
    prompt_hash(set, "pope", FORMAT_SHORT, "v1", hash);
    CHECK(strcmp(hash, frozen[0].hash) != 0);
    prompt_set_close(set);
    CHECK_OK(prompt_set_open(&set, "sys-human", &e), e);
    CHECK_STR(prompt_set_conversation(set), "llava_v1");
    prompt_set_close(set);
}

static void put(const char *path, const char *content)
{
    struct err e = { 0 };
    CHECK_OK(file_write(path, content, strlen(content), &e), e);
}

TEST(prompts_from_a_file)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct prompt_set *set;
    struct prompt_item q = { .question = "is it?", .context = "a, b" };
    put("terse.json", "{\"name\": \"terse\", \"conversation\": \"llava_v1\", \"image_last\": true,"
        " \"benchmarks\": {\"pope\": \"{question} {{yes/no}\", \"vizwiz\": \"{original}|{ocr}\"}}");
    CHECK_OK(prompt_set_open(&set, "terse.json", &e), e);
    CHECK_STR(prompt_set_name(set), "terse");
    CHECK_STR(prompt_set_conversation(set), "llava_v1");
    CHECK(prompt_set_image_last(set));
    CHECK_STR(prompt_text(set, "pope", FORMAT_SHORT, &q, &a), "is it? {yes/no}");
    CHECK_STR(prompt_text(set, "vizwiz", FORMAT_UNANSWERABLE, &q, &a),
              "is it?|Reference OCR token: a, b");
    CHECK_STR(prompt_text(set, "gqa", FORMAT_SHORT, &q, &a), "is it?\n" SHORT);
    CHECK_STR(prompt_set_overrides(set)[1], "vizwiz");
    CHECK(prompt_set_overrides(set)[2] == NULL);
    prompt_set_close(set);
    put("any.json", "{\"name\": \"any\", \"benchmarks\": {\"*\": \"{question}\", "
        "\"pope\": \"{question}!\"}}");
    CHECK_OK(prompt_set_open(&set, "any.json", &e), e);
    CHECK_STR(prompt_text(set, "gqa", FORMAT_SHORT, &q, &a), "is it?");
    CHECK_STR(prompt_text(set, "pope", FORMAT_SHORT, &q, &a), "is it?!");
    prompt_set_close(set);
    arena_free(&a);
}

/* Every benchmark in every generation's template, to the byte, and every set: golden/prompts.py. */
TEST(prompts_golden)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    size_t n = 0, whole = 0;
    jsonl_open(&in, &a, &e, "%s/tests/golden/prompts.jsonl", test_root());
    while (jsonl_next(&in)) {
        const struct benchmark *b = benchmark_find(jsonl_str(&in, "benchmark"));
        const char *options[8], *split = jsonl_str(&in, "split");
        const char *template = json_get_str(in.object, "template", NULL), *prompt;
        struct prompt_item item = { .question = jsonl_str(&in, "question"),
                                    .context = json_get_str(in.object, "context", NULL),
                                    .options = options,
                                    .has_image = json_get_bool(in.object, "picture", false) };
        const struct json *o = json_get(in.object, "options");
        for (o = o->first; o && item.n_options < (int)COUNT(options); o = o->next)
            options[item.n_options++] = o->string;
        struct prompt_set *set;
        if (!CHECK_OK(prompt_set_open(&set, jsonl_str(&in, "set"), &e), e))
            break;
        const char *T = prompt_text(set, b->name, b->format_of ? b->format_of(split) : b->format, &item,
                                    &a);
        bool good = CHECK_STR(T, jsonl_str(&in, "text"));
        if (template) {
            CHECK_OK(conversation_render(template, T, item.has_image, false, prompt_set_image_last(set),
                                         &a, &prompt, &e), e);
            good = CHECK_STR(prompt, jsonl_str(&in, "prompt")) && good;
            whole++;
        }
        if (!good)
            printf("prompts.jsonl:%zu\n", in.line);
        prompt_set_close(set);
        n++;
    }
    CHECK_OK(jsonl_close(&in), e);
    CHECK_INT(whole, 14 * (7 + 2));                         /* seven templates, image-last, sys-human */
    CHECK_INT(n, 14 * (7 + 12));
    arena_free(&a);
}

TEST(prompts_refuse_bad_sets)
{
    static const struct { const char *content, *says; } bad[] = {
        { "[]", "expected an object" },
        { "{\"name\": \"x\"", "bad.json" },
        { "{\"benchmarks\": {}}", "\"name\" is missing" },
        { "{\"name\": \"paper\", \"benchmarks\": {}}", "a built-in set" },
        { "{\"name\": \"x\"}", "\"benchmarks\" is missing" },
        { "{\"name\": \"x\", \"benchmark\": {}}", "did you mean \"benchmarks\"?" },
        { "{\"name\": \"x\", \"benchmarks\": {\"pope\": 3}}", "no string" },
        { "{\"name\": \"x\", \"benchmarks\": {\"pope\": \"{quest}\"}}", "\"{quest}\" is no placeh" },
        { "{\"name\": \"x\", \"benchmarks\": {\"pope\": \"{question\"}}", "is no placeholder" },
        { "{\"name\": \"x\", \"benchmarks\": {\"pope\": \"Yes?\"}}", "neither {question} nor" },
        { "{\"name\": \"x\", \"conversation\": \"v9\", \"benchmarks\": {}}", "names no template" },
        { "{\"name\": \"x\", \"image_last\": 1, \"benchmarks\": {}}", "neither true nor false" },
    };
    struct prompt_set *set;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err e = { 0 };
        put("bad.json", bad[i].content);
        CHECK_INT(prompt_set_open(&set, "bad.json", &e), ERR_USAGE);
        CHECK(set == NULL);
        if (!CHECK(strstr(e.text, bad[i].says) != NULL))
            CHECK_STR(e.text, bad[i].says);
    }
    struct err e = { 0 };
    CHECK_INT(prompt_set_open(&set, "mme_orig", &e), ERR_USAGE);
    CHECK(strstr(e.text, "did you mean \"mmeorig\"?") != NULL);
    CHECK(strstr(e.text, "image-last") != NULL);
    err_clear(&e);
    CHECK_INT(prompt_set_open(&set, "absent/set", &e), ERR_USAGE);
    err_clear(&e);
    CHECK_INT(prompt_set_open(&set, "astonishing", &e), ERR_USAGE);
    CHECK(strstr(e.text, "did you mean") == NULL);
}

TEST(prompts_of_the_judges)
{
    struct arena a = { 0 };
    static const char rule[] = "Rate both.\nTwo numbers first.";
    const char *m = judge_llavabench_user(&a, "A red kite above a beach.", "What is in the sky?",
                                          "A kite.", "A red kite.\n", "Assistant", rule);
    CHECK_INT(strlen(m), 204);
    CHECK_STR(hash_of(m), "f427cda224bbb02ec4eabe2d1d466ef193725bf13f6d1e4ed8f7dd23aa45b7b6");
    m = judge_llavabench_user(&a, "A desk.\nA lamp on it.", "Describe it.", "A desk with a lamp.",
                              "", "Assistant", rule);
    CHECK_INT(strlen(m), 193);
    CHECK_STR(hash_of(m), "3c9d914c64a6451406a26476f75c30fadff054d21070ee65069c4947a1d7e76a");

    static const char table[] = "Table\nQ | G | P | C\n";
    m = judge_mmvet_user(&a, table, "What is the total?", "12<OR> twelve", "12 dollars", 0);
    CHECK_STR(m, "Table\nQ | G | P | C\n\nWhat is the total? | 12 <OR>  twelve | 12 dollars | ");
    CHECK_STR(hash_of(m), "cd58774e757915d187bc422f0f0f5468a7f3a38d975bdafa230820b5f8473943");
    m = judge_mmvet_user(&a, table, "Who is left of the door?", "a boy<AND>a cat", "A cat.", 0);
    CHECK_INT(strlen(m), 77);
    CHECK_STR(hash_of(m), "022c70f849a4ccc349e28ade36a36d140c07fd2e2a3a12b04326f9c08f9ca186");
    m = judge_mmvet_user(&a, table, "Who is left of the door?", "a boy<AND>a cat", "A cat.", 1);
    CHECK_INT(strlen(m), 125);
    CHECK_STR(hash_of(m), "9eec965f20abcf98eae4f19125ab408011bab582ed73022d2a4d709fbf727712");
    arena_free(&a);
}

TEST(prompts_nearest_word)
{
    static const char *const names[] = { "--model", "--model-base", "--suite", "--shard", NULL };
    CHECK_STR(str_nearest("--modle", names), "--model");
    CHECK_STR(str_nearest("--MODEL_BASE", names), "--model-base");
    CHECK_STR(str_nearest("--sute", names), "--suite");
    CHECK(str_nearest("--temperature", names) == NULL);
    CHECK_STR(str_nearest("", (const char *const[]){ "abcdef", NULL }), NULL);
}

/* The forms a reply may have, and what is none. */
TEST(formats_know_what_obeys_them)
{
    static const struct { enum prompt_format format; const char *reply; bool obeys; } rows[] = {
        { FORMAT_SHORT, "red", true },             { FORMAT_SHORT, "a very small red bus", true },
        { FORMAT_SHORT, "it is a small red bus", false },   { FORMAT_SHORT, " \n", false },
        { FORMAT_UNANSWERABLE, "Unanswerable", true },      { FORMAT_OCR, "", false },
        { FORMAT_YESNO, "Yes", true },             { FORMAT_YESNO, "no.", true },
        { FORMAT_YESNO, "Yes, it is", false },     { FORMAT_YESNO, "maybe", false },
        { FORMAT_LETTER, "B", true },              { FORMAT_LETTER, "B.", true },
        { FORMAT_LETTER, "b", false },             { FORMAT_LETTER_CN, "B. cat", false },
        { FORMAT_SCIENCE, "(B)", false },          { FORMAT_SCIENCE, "", false },
        { FORMAT_PLAIN, "It is a bus.\n", true },  { FORMAT_PLAIN, "Is it\302\240a bus?", true },
        { FORMAT_PLAIN, "bus.", false },           { FORMAT_PLAIN, "It is a bus", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!CHECK_INT(format_obeyed(rows[i].format, rows[i].reply), rows[i].obeys))
            printf("  row %zu: %s\n", i, rows[i].reply);
    CHECK_STR(format_expects(FORMAT_LETTER_CN), "a letter");
    CHECK_STR(format_expects(FORMAT_PLAIN), "a sentence");
}
