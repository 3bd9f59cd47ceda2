/* bench_engine.c -- `llava-eval bench` for a machine that lacks the harness's libraries.
 *
 *     build/tools/bench-engine CONFIG [DEVICE [DTYPE [IMAGES [QUESTIONS [REPLY_TOKENS]]]]]
 *
 * CONFIG: a config.json, whose weights are drawn, or a checkpoint's folder. One line of JSON;
 * on stderr, where the time went. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/bench.h"
#include "harness/bench_error.h"

static int number(int argc, char **argv, int i, int otherwise)
{
    int64_t n = 0;
    return argc > i && str_to_int(argv[i], &n) && n > 0 && n < 1 << 20 ? (int)n : otherwise;
}

/* What fp8 costs; one model is open at a time. */
static enum status against_fp16(struct llava **m, const char *path, struct llava_options o,
                                struct str *line, struct err *e)
{
    struct bench_replies fp8 = { 0 }, fp16 = { 0 };
    if (bench_replies(*m, &fp8, e) == OK) {
        llava_close(*m);
        *m = NULL;
        o.dtype = "fp16";
        if (llava_open(m, path, &o, e) == OK && bench_replies(*m, &fp16, e) == OK) {
            struct bench_error error = bench_error(&fp8, &fp16);
            bench_error_json(&error, line);
        }
    }
    bench_replies_free(&fp8);
    bench_replies_free(&fp16);
    return e->code;
}

int main(int argc, char **argv)
{
    struct llava *m = NULL;
    struct err e = { 0 };
    struct str line;
    if (argc < 2) {
        fprintf(stderr, "usage: %s CONFIG [DEVICE [DTYPE [IMAGES [QUESTIONS [REPLY_TOKENS]]]]]\n",
                argv[0]);
        return 2;
    }
    size_t n = strlen(argv[1]);
    struct llava_options o = {
        .timeline = true,
        .device = argc > 2 ? argv[2] : "auto", .dtype = argc > 3 ? argv[3] : "auto",
        .random_weights = n > 5 && !strcmp(argv[1] + n - 5, ".json"),
    };
    struct bench_size size = { number(argc, argv, 4, 8), number(argc, argv, 5, 6),
                               number(argc, argv, 6, 3) };
    struct bench_figures figures;
    char text[BENCH_LINE];
    str_init(&line, 1 << 20);
    if (llava_open(&m, argv[1], &o, &e) == OK) {
        fprintf(stderr, "%s, %s\n", llava_info(m)->device, llava_info(m)->dtype);
        if (bench_run(m, &size, LLAVA_AS_CONFIG, &figures, &e) == OK) {
            for (int i = 0; bench_timeline(&figures, i, text); i++)
                fprintf(stderr, "%s\n", text);
            bench_json(&figures, &line);
            if (strcmp(llava_info(m)->dtype, "fp8") ||
                against_fp16(&m, argv[1], o, &line, &e) == OK)
                fputs(line.at, stdout);
        }
    }
    if (e.code != OK)
        fprintf(stderr, "%s\n", e.text);
    str_free(&line);
    llava_close(m);
    return e.code != OK;
}
