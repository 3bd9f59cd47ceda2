/* Intervals and exchanges of paired runs, against scipy, against themselves on more threads, and
 * against the truth; cells against the tally they stand for.
 *
 * Provenance: tests/vectors/stats/record.py (scipy.stats.bootstrap, permutation_test). */
#include "results/compare.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "benchmarks/cells.h"
#include "results/stats.h"
#include "tests/fixture.h"

enum { CELLS = 5, METRICS = 2, MOST = 1000 };
static const double value[CELLS] = { 0, 0.3, 0.6, 0.9, 1 };
static const struct contrast difference = { { -1, 1 } };

/* A mean, and an F1: no mean of anything. */
static void tally(const void *what, const uint32_t *weight, double *metrics)
{
    double sum = 0, n = 0;
    (void)what;
    for (int c = 0; c < CELLS; c++) {
        sum += weight[c] * value[c];
        n += weight[c];
    }
    metrics[0] = n > 0 ? 100 * sum / n : NAN;
    double right = 2.0 * weight[4], wrong = (double)weight[1] + weight[2];
    metrics[1] = right + wrong > 0 ? 100 * right / (right + wrong) : NAN;
}

struct runs { size_t n_pictures, n_units, first[MOST]; uint32_t cell[2][MOST]; };

static struct paired paired_of(const struct runs *r)
{
    return (struct paired){ .n_runs = 2, .n_pictures = r->n_pictures, .n_cells = CELLS,
                            .n_metrics = METRICS, .first = r->first,
                            .cell = { r->cell[0], r->cell[1] }, .tally = tally };
}

static void read_runs(const struct json *pictures, struct runs *r)
{
    *r = (struct runs){ 0 };
    for (const struct json *p = pictures->first; p; p = p->next) {
        for (const struct json *unit = p->first; unit; unit = unit->next, r->n_units++)
            for (int k = 0; k < 2; k++)
                r->cell[k][r->n_units] = (uint32_t)(k ? unit->first->next : unit->first)->integer;
        r->first[++r->n_pictures] = r->n_units;
    }
}

static double at(const struct json *list, int i, int k)     /* list[i][k] */
{
    const struct json *x = list->first;
    for (; i; i--)
        x = x->next;
    for (x = x->first; k; k--)
        x = x->next;
    return x->number;
}

static void check_runs(const struct json *line)
{
    struct runs r;
    struct err e = { 0 };
    struct interval interval[METRICS];
    double values[2 * METRICS], p[METRICS];
    bool exact = json_get_bool(line, "exact", false);

    read_runs(json_get(line, "pictures"), &r);
    struct paired of = paired_of(&r);
    CHECK_OK(compare_values(&of, values, &e), e);
    CHECK_OK(compare_bootstrap(&of, &difference, 1, COMPARE_DRAWS, 0, interval, &e), e);
    CHECK_OK(compare_permute(&of, COMPARE_DRAWS, 0, p, &e), e);
    const struct json *want_p = json_get(line, "p")->first;
    for (int m = 0; m < METRICS; m++, want_p = want_p->next) {
        const struct json *intervals = json_get(line, "intervals");
        double low = at(intervals, m, 0), high = at(intervals, m, 1);
        /* a quantile of 10,000 draws: four errors of sqrt(0.025 * 0.975 / n) / density are about
         * 0.03 of the interval; of six pictures it moves in steps */
        double within = 0.05 * (high - low) + 1e-9, want = want_p->number;
        for (int k = 0; k < 2; k++)
            CHECK_NEAR(values[k * METRICS + m], at(json_get(line, "values"), k, m), 1e-10);
        CHECK_NEAR(interval[m].low, low, within);
        CHECK_NEAR(interval[m].high, high, within);
        CHECK_NEAR(p[m], want, exact ? 1e-12 : 4 * sqrt(want * (1 - want) / COMPARE_DRAWS) + 1e-3);
    }
}

TEST(compare_agrees_with_scipy)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct jsonl in;
    int n = 0;

    jsonl_open(&in, &a, &e, "%s/tests/vectors/stats/stats.jsonl", test_root());
    while (jsonl_next(&in))
        if (!strcmp(jsonl_str(&in, "kind"), "runs")) {
            check_runs(in.object);
            n++;
        }
    CHECK_OK(jsonl_close(&in), e);
    CHECK_INT(n, 4);
    arena_free(&a);
}

static double uniform(uint64_t *stream)
{
    return (double)(stats_random(stream) >> 11) * 0x1p-53;
}

/* Two runs whose true accuracies differ by `gain` on every question; a picture is easy or hard for
 * both. */
static void draw_runs(struct runs *r, uint64_t seed, double gain)
{
    uint64_t stream = stats_stream(seed, 99);
    *r = (struct runs){ 0 };
    while (r->n_pictures < 80) {
        double right = 0.2 + 0.6 * uniform(&stream);
        for (int n = 1 + (int)(4 * uniform(&stream)); n; n--, r->n_units++) {
            double x = uniform(&stream), y = uniform(&stream) < 0.5 ? x : uniform(&stream);
            r->cell[0][r->n_units] = x < right ? 4 : 0;
            r->cell[1][r->n_units] = y < right + gain ? 4 : 0;
        }
        r->first[++r->n_pictures] = r->n_units;
    }
}

TEST(compare_intervals_cover_the_truth)
{
    enum { SETS = 400 };
    struct runs r;
    struct err e = { 0 };
    int covered = 0, alarms = 0;

    for (int k = 0; k < SETS; k++) {
        struct interval i[METRICS];
        double p[METRICS];
        draw_runs(&r, (uint64_t)k, 0.1);
        struct paired of = paired_of(&r);
        CHECK_OK(compare_bootstrap(&of, &difference, 1, 600, 0, i, &e), e);
        covered += i[0].low <= 10 && 10 <= i[0].high;
        draw_runs(&r, (uint64_t)k + 5000, 0);
        CHECK_OK(compare_permute(&of, 600, 0, p, &e), e);
        alarms += p[0] < 0.05;
    }
    CHECK_NEAR(covered, 0.95 * SETS, 4 * sqrt(0.95 * 0.05 * SETS));     /* four standard errors */
    CHECK_NEAR(alarms, 0.05 * SETS, 4 * sqrt(0.95 * 0.05 * SETS));
}

TEST(compare_does_not_depend_on_threads)
{
    struct runs r;
    struct err e = { 0 };
    struct interval one[METRICS], three[METRICS], other[METRICS];
    double p_one[METRICS], p_three[METRICS];

    draw_runs(&r, 1, 0.05);
    struct paired of = paired_of(&r);
    omp_set_num_threads(1);
    CHECK_OK(compare_bootstrap(&of, &difference, 1, 1000, 0, one, &e), e);
    CHECK_OK(compare_permute(&of, 1000, 0, p_one, &e), e);
    omp_set_num_threads(3);
    CHECK_OK(compare_bootstrap(&of, &difference, 1, 1000, 0, three, &e), e);
    CHECK_OK(compare_permute(&of, 1000, 0, p_three, &e), e);
    CHECK_OK(compare_bootstrap(&of, &difference, 1, 1000, 1, other, &e), e);
    bool differ = false;                                    /* another seed: other draws */
    for (int m = 0; m < METRICS; m++) {
        CHECK(one[m].low == three[m].low && one[m].high == three[m].high);
        CHECK(p_one[m] == p_three[m]);
        differ = differ || one[m].low != other[m].low || one[m].high != other[m].high;
    }
    CHECK(differ);
}

TEST(compare_of_one_picture_has_no_interval)
{
    struct runs r = { .n_pictures = 1, .n_units = 1, .first = { 0, 1 }, .cell = { { 0 }, { 4 } } };
    struct err e = { 0 };
    struct interval i[METRICS];
    double p[METRICS];
    struct paired of = paired_of(&r);

    CHECK_OK(compare_bootstrap(&of, &difference, 1, 100, 0, i, &e), e);
    CHECK(isnan(i[0].low) && isnan(i[0].high));
    CHECK_OK(compare_permute(&of, 100, 0, p, &e), e);
    CHECK_NEAR(p[0], 1, 0);                                 /* both exchanges are as extreme */
}

/* ---- cells ------------------------------------------------------------------------------------ */

/* Two tasks with four pictures each, two questions to a picture. */
static void make_mme(struct fixture *f)
{
    enum { PICTURES = 4 };
    static const char *const tasks[] = { "existence", "OCR" };
    char path[200];
    for (size_t t = 0; t < COUNT(tasks); t++)
        for (int i = 0; i < PICTURES; i++) {
            snprintf(path, sizeof path, "MME_Benchmark_release_version/%s/%d.txt", tasks[t], i);
            put(path, "Is it there?\tYes\nIs it not?\tNo\n");
        }
    CHECK_OK(fixture_read(f, "mme", "test"), f->err);
}

/* MMBench: three questions, each twice (rotated), in two categories. */
static void make_mmbench(struct fixture *f)
{
    static const char *const rows[] = {
        "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tl2-category\tsplit\n",
        "1\tQ1\t\tcat\tdog\t\t\tA\tone\taaaa\tx\tdev\n2\tQ2\t\tcat\tdog\t\t\tB\ttwo\tbbbb\tx\tdev\n",
        "3\tQ3\t\tcat\tdog\t\t\tB\ttwo\tcccc\tx\tdev\n",
        "1000001\tQ1\t\tdog\tcat\t\t\tB\tone\taaaa\tx\tdev\n",
        "1000002\tQ2\t\tdog\tcat\t\t\tA\ttwo\tbbbb\tx\tdev\n",
        "1000003\tQ3\t\tdog\tcat\t\t\tA\ttwo\tcccc\tx\tdev\n" };
    char table[1000] = "";
    for (size_t i = 0; i < COUNT(rows); i++)
        snprintf(table + strlen(table), sizeof table - strlen(table), "%s", rows[i]);
    put("mmbench_dev_20230712.tsv", table);
    CHECK_OK(fixture_read(f, "mmbench", "dev"), f->err);
}

/* Random replies of three runs: over cells, every metric of each is that of the tally itself. */
static void check_cells(const struct fixture *f, const char *const words[2])
{
    enum { RUNS = 3, QUESTIONS = 64 };
    const struct questions *qs = &f->questions;
    struct mark marks[RUNS][QUESTIONS];
    const struct mark *const of[RUNS] = { marks[0], marks[1], marks[2] };
    struct cells c;
    struct err e = { 0 };
    uint64_t stream = stats_stream(5, 5);

    for (int r = 0; r < RUNS; r++)
        for (size_t i = 0; i < qs->n; i++) {
            marks[r][i] = (struct mark){ 0 };
            f->benchmark->mark(qs, i, words[stats_random(&stream) >> 63], &marks[r][i]);
        }
    CHECK_OK(cells_make(&c, f->benchmark, qs, RUNS, of, 1, &e), e);
    CHECK_INT(c.n_left_out, 0);
    CHECK_INT(c.n_questions, qs->n);
    double *got = calloc(c.n_metrics, sizeof *got);
    uint32_t *weight = calloc(c.n_cells, sizeof *weight);
    for (int r = 0; r < RUNS; r++) {
        struct scores want;
        struct arena a = { 0 };
        scores_init(&want, &a);
        struct tally_input in = { .qs = qs, .marks = marks[r], .passes = 1 };
        f->benchmark->tally(&in, &want);
        memset(weight, 0, c.n_cells * sizeof *weight);
        for (size_t u = 0; u < c.n_units; u++)
            weight[c.cell[r][u]]++;
        cells_tally(&c, weight, got);
        for (size_t m = 0; m < c.n_metrics; m++)
            CHECK_NEAR(got[m], scores_get(&want, c.metrics[m]), 1e-10);
        scores_free(&want);
        arena_free(&a);
    }
    free(got);
    free(weight);
    cells_free(&c);
}

TEST(cells_tally_as_the_questions_do)
{
    struct fixture f = { 0 };
    static const char *const yes_no[2] = { "Yes", "No" }, *const letters[2] = { "A", "B" };
    make_mme(&f);
    check_cells(&f, yes_no);
    fixture_free(&f);
    f = (struct fixture){ 0 };
    make_mmbench(&f);
    check_cells(&f, letters);
    fixture_free(&f);
}

/* Right in every rotation, or not: a question of MMBench flips once; a picture that lacks one of its
 * two replies is left out whole. */
TEST(cells_count_flips_and_leave_out_what_is_missing)
{
    struct fixture f = { 0 };
    struct err e = { 0 };
    struct cells c;
    struct flips flips[64];

    make_mmbench(&f);
    struct mark first[6] = { { .a = 1 }, { .a = 1 }, { .a = 0 }, { .a = 1 }, { .a = 1 },
                             { .a = 0 } };
    struct mark second[6] = { { .a = 1 }, { .a = 1 }, { .a = 1 }, { .a = 0 }, { .a = 1 },
                              { .a = 1 } };
    CHECK_OK(cells_make(&c, f.benchmark, &f.questions, 2,
                        (const struct mark *const[]){ first, second }, 1, &e), e);
    cells_flips(&c, &f.questions, first, second, flips);
    CHECK_STR(c.metrics[c.headline], "accuracy");
    CHECK_INT(flips[c.headline].gained, 1);
    CHECK_INT(flips[c.headline].lost, 1);
    CHECK_INT(flips[c.headline].of, 3);
    for (size_t m = 0; m < c.n_metrics; m++)
        if (!strcmp(c.metrics[m], "category/one")) {
            CHECK_INT(flips[m].gained, 0);
            CHECK_INT(flips[m].lost, 1);
            CHECK_INT(flips[m].of, 1);
        }
    cells_free(&c);
    fixture_free(&f);

    f = (struct fixture){ 0 };
    make_mme(&f);
    struct mark one[16] = { { .a = 0 } }, two[16] = { { .a = 0 } };
    two[3].missing = true;
    two[5].a = 1;
    CHECK_OK(cells_make(&c, f.benchmark, &f.questions, 2,
                        (const struct mark *const[]){ one, two }, 1, &e), e);
    CHECK_INT(c.n_left_out, 2);
    CHECK_INT(c.n_units, 7);
    cells_flips(&c, &f.questions, one, two, flips);
    CHECK_INT(flips[c.headline].gained, 1);
    CHECK_INT(flips[c.headline].lost, 0);
    CHECK_INT(flips[c.headline].of, 14);
    cells_free(&c);
    fixture_free(&f);
}

/* A metric's questions are told although the tally of pictures alone would not name it: SEED-Bench has
 * no accuracy where no video question is asked. */
TEST(cells_find_the_questions_of_a_metric)
{
    enum { QUESTIONS = 3 };
    struct fixture f = { 0 };
    struct err e = { 0 };
    struct cells c;
    struct flips flips[64];
    struct mark one[QUESTIONS] = { { .a = 1 }, { .a = 0 }, { .a = 1 } };
    struct mark two[QUESTIONS] = { { .a = 1 }, { .a = 1 }, { .a = 0 } };

    put("SEED-Bench.json", "{\"questions\":["
        "{\"question_id\":\"1\",\"question_type_id\":1,\"data_type\":\"image\",\"data_id\":\"a\","
        "\"question\":\"Q\",\"choice_a\":\"x\",\"choice_b\":\"y\",\"choice_c\":\"z\","
        "\"choice_d\":\"w\",\"answer\":\"A\"},"
        "{\"question_id\":\"2\",\"question_type_id\":1,\"data_type\":\"image\",\"data_id\":\"b\","
        "\"question\":\"Q\",\"choice_a\":\"x\",\"choice_b\":\"y\",\"choice_c\":\"z\","
        "\"choice_d\":\"w\",\"answer\":\"A\"},"
        "{\"question_id\":\"v3\",\"question_type_id\":10,\"data_type\":\"video\","
        "\"data_id\":\"c.webm\",\"question\":\"Q\",\"choice_a\":\"x\",\"choice_b\":\"y\","
        "\"choice_c\":\"z\",\"choice_d\":\"w\",\"answer\":\"A\"}]}");
    CHECK_OK(fixture_read(&f, "seed", "test"), f.err);
    CHECK_OK(cells_make(&c, f.benchmark, &f.questions, 2,
                        (const struct mark *const[]){ one, two }, 1, &e), e);
    cells_flips(&c, &f.questions, one, two, flips);
    CHECK_STR(c.metrics[c.headline], "accuracy");
    CHECK_INT(flips[c.headline].gained, 1);
    CHECK_INT(flips[c.headline].lost, 1);
    CHECK_INT(flips[c.headline].of, QUESTIONS);
    cells_free(&c);
    fixture_free(&f);
}
