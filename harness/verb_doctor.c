/* verb_doctor.c -- the machine: what it has, what the program makes of it, and whether that works.
 *
 * Ends with status 6 if a device computes wrongly, 1 if a scorer does: a GPU that is not there is
 * no illness, only said with its reason. */
#include <archive.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include "benchmarks/benchmark.h"
#include "harness/frames.h"
#include "harness/verbs.h"
#include "harness/version.h"

enum { TEXT_MAX = 1 << 20, GPUS = 64 };

struct report {                 /* one finding after the other, for people or as JSON */
    struct str text;
    bool json;
    enum status worst;
};

static void add(struct report *r, const char *key, const char *value)
{
    if (r->json) {
        str_addf(&r->text, "%s\"%s\":", r->text.n > 1 ? "," : "", key);
        str_add_json(&r->text, value);
    } else {
        str_addf(&r->text, "%-24s %s\n", key, value);
    }
}

static void addf(struct report *r, const char *key, const char *format, ...) PRINTF_LIKE(3, 4);
static void addf(struct report *r, const char *key, const char *format, ...)
{
    char value[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    add(r, key, value);
}

static double gigabytes(double bytes)
{
    return bytes * 1e-9;
}

static void machine(struct report *r, const struct options *o)
{
    struct utsname u;
    struct statvfs fs;
    add(r, "program", llava_eval_version);
    if (uname(&u) == 0)
        addf(r, "system", "%s %s %s", u.sysname, u.release, u.machine);
    addf(r, "processors", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    addf(r, "memory", "%.1f GB, %.1f free",
         gigabytes((double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE)),
         gigabytes((double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE)));
    const char *place = o->data && access(o->data, F_OK) == 0 ? o->data : ".";
    if (statvfs(place, &fs) == 0)
        addf(r, "disk", "%s: %.1f GB free%s", place,
             gigabytes((double)fs.f_bavail * (double)fs.f_frsize),
             access(place, W_OK) == 0 ? "" : ", read-only");
}

/* What the program is linked to here; libsentencepiece cannot be asked. */
static void libraries(struct report *r)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const char *ffmpeg = frames_version();
    char images[200];
    llava_image_libraries(images, sizeof images);
    addf(r, "libraries", "SQLite %s, libcurl %s (%s), libarchive %s, cJSON %s, libxlsxwriter %s, %s, "
         "FFmpeg %s", sqlite3_libversion(), curl->version,
         curl->ssl_version ? curl->ssl_version : "no https",
         archive_version_string() + strcspn(archive_version_string(), "0123456789"),
         cJSON_Version(), lxw_version(), images, ffmpeg ? ffmpeg : "not built in");
}

static void self_test(struct report *r, const char *device, const char *dtype, const char *simd,
                      const char *key)
{
    struct llava_options o = { .device = device, .dtype = dtype, .simd = simd };
    struct err e = { 0 };
    double error, allowed;
    if (llava_self_test(&o, &error, &allowed, &e) != OK) {
        addf(r, key, "does not run: %s", e.text);
        r->worst = ERR_DEVICE;
    } else if (error > allowed) {
        addf(r, key, "WRONG: relative error %.1e, allowed %.0e", error, allowed);
        r->worst = ERR_DEVICE;
    } else {
        addf(r, key, "right, relative error %.1e", error);
    }
}

static void processors(struct report *r)
{
    const char *name;
    bool usable;
    for (int i = 0; (name = llava_simd(i, &usable)); i++) {
        char key[64];
        snprintf(key, sizeof key, "cpu %s", name);
        if (!usable) {
            add(r, key, "not on this processor");
            continue;
        }
        /* Levels of bf16 alone compute float32 as the one below them does. */
        self_test(r, "cpu", strstr(name, "bf16") || !strcmp(name, "amx") ? "bf16" : "fp32", name, key);
    }
}

static void gpus(struct report *r)
{
    static const char *const dtypes[] = { "fp16", "bf16", "fp32", "fp8" };
    static struct llava_gpu gpu[GPUS];
    struct err why = { 0 };
    char versions[512], key[64], device[16];
    bool built = llava_has_cuda(versions, sizeof versions);
    add(r, "cuda", versions);
    int n = built ? llava_gpus(gpu, GPUS, &why) : 0;
    if (built && n == 0)
        add(r, "gpus", why.text);
    for (int i = 0; i < n && i < GPUS; i++) {
        snprintf(device, sizeof device, "cuda:%d", i);
        addf(r, device, "%s, compute capability %d.%d, %.1f GB, %.1f free", gpu[i].name,
             gpu[i].major, gpu[i].minor, gigabytes((double)gpu[i].total_bytes),
             gigabytes((double)gpu[i].free_bytes));
        for (size_t j = 0; j < COUNT(dtypes) - (gpu[i].major < 9); j++) {   /* fp8: Hopper's on */
            snprintf(key, sizeof key, "%s %s", device, dtypes[j]);
            self_test(r, device, dtypes[j], NULL, key);
        }
    }
}

/* Replies and what the official evaluators make of them: the tests' vectors, in small. */
static const char *const two_of_ten[] = { "2", "2", "3", "3", "3", "3", "3", "3", "3", "3" };
static const struct {
    const char *benchmark, *reference, *reply;
    const char *const *answers;
    double mark;
} vectors[] = {
    { "vqav2", NULL, "two", two_of_ten, 0.6 },              /* number words; two of ten agree */
    { "vqav2", NULL, "The 3.", two_of_ten, 1 },             /* articles and full stops go */
    { "gqa", "left", "Left.", NULL, 1 },                    { "gqa", "left", "on the left", NULL, 0 },
    { "vizwiz", NULL, "two", two_of_ten, 0.6 },
    { "scienceqa", "B", "B", NULL, 1 },                     { "scienceqa", "B", "A", NULL, 0 },
    { "pope", "no", "NO CLOCK", NULL, 1 },                  /* no is not among No, no, not: a yes */
    { "pope", "no", "No, the bench is empty.", NULL, 0 },
    { "mme", "Yes", "yes, it is", NULL, 1 },                { "mme", "Yes", "No.", NULL, 0 },
    { "seed", "B", "B", NULL, 1 },                          { "seed", "B", "b", NULL, 0 },
};

static void scorers(struct report *r)
{
    int wrong = 0;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct arena a = { 0 };
        struct questions qs;
        struct mark m = { 0 };
        questions_init(&qs, &a, "");
        questions_add(&qs, (struct question){
            .id = "1", .category = "", .text = "", .reference = vectors[i].reference,
            .answers = vectors[i].answers, .n_answers = vectors[i].answers ? 10 : 0 });
        const struct benchmark *b = benchmark_find(vectors[i].benchmark);
        if (b && !qs.failed)
            b->mark(&qs, 0, vectors[i].reply, &m);
        double off = m.a - vectors[i].mark;
        if (!b || qs.failed || off > 1e-9 || off < -1e-9) {
            addf(r, vectors[i].benchmark, "WRONG: \"%s\" counts %g, expected %g", vectors[i].reply,
                 m.a, vectors[i].mark);
            r->worst = r->worst == OK ? ERR_INTERNAL : r->worst;
            wrong++;
        }
        questions_free(&qs);
        arena_free(&a);
    }
    if (!wrong)
        addf(r, "scorers", "right, %zu replies", COUNT(vectors));
}

enum status verb_doctor(struct options *o, struct err *e)
{
    struct report r = { .json = o->json };
    str_init(&r.text, TEXT_MAX);
    if (r.json)
        str_addc(&r.text, '{');
    machine(&r, o);
    libraries(&r);
    processors(&r);
    gpus(&r);
    scorers(&r);
    if (r.json)
        str_add(&r.text, "}\n");
    if (r.text.failed)
        err_set(e, ERR_MEMORY, "no memory for the report");
    else if (fwrite(r.text.at, 1, r.text.n, stdout) != r.text.n)
        err_set(e, ERR_INTERNAL, "cannot write to standard output");
    str_free(&r.text);
    return e->code == OK && r.worst != OK
        ? err_set(e, r.worst, "the self-test failed: see the lines that say WRONG or does not run")
        : e->code;
}
