/* Exported files, read back by readers of other making: cJSON; for what libxlsxwriter wrote, our
 * reader of .xlsx, which is tested on openpyxl's and pandas' files (test_import.c). */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/reviews.h"
#include "harness/export.h"
#include "harness/unpack.h"
#include "harness/xlsx.h"
#include "tests/fixture.h"

static void check_file(const char *path, const char *want)
{
    struct file f;
    struct err e = { 0 };
    struct arena a = { 0 };
    if (CHECK_OK(file_open(&f, path, ERR_DATA, &e), e))
        CHECK_STR(arena_strn(&a, f.at ? f.at : "", f.n), want);
    file_close(&f);
    arena_free(&a);
}

#define HEAD "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tsplit\n"

TEST(export_mmbench_is_the_servers_table)
{
    static const char *const want[][9] = {
        { "index", "question", "A", "B", "C", "D", "prediction", "answer", "split" },
        { "7", "a <b> &\n\"c\"?", " x ", "0.80", NULL, NULL, "B. \u00e9\U0001f355 &amp;", "B", "dev" },
        { "1000007", "a <b> &\n\"c\"?", "0.80", " x ", NULL, NULL, "line\nline\tend", "A", "dev" },
        { "8", "q", "x", "y", "z", "=1+1", NULL, "C", NULL },
    };
    struct fixture f;
    struct exports x = { 0 };
    struct xlsx *t;
    const char *const *cells;
    char *bytes;
    int n;
    size_t rows = 0, size;

    put("mmbench_dev_20230712.tsv", HEAD
        "7\t\"a <b> &\n\"\"c\"\"?\"\th\t x \t0.80\t\t\tB\tcat\t/9j/\tdev\n"
        "1000007\t\"a <b> &\n\"\"c\"\"?\"\th\t0.80\t x \t\t\tA\tcat\t/9j/\tdev\n"
        "8\tq\t\tx\ty\tz\t=1+1\tC\tcat\t/9j/\t\n");
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK_OK(fixture_score(&f, "{\"question_id\": 7, \"text\": \"B. \u00e9\U0001f355 &amp;\"}\n"
                           "{\"question_id\": 1000007, \"text\": \"line\\r\\nline\\u0007\\tend\"}\n",
                           false), f.err);
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &x, &f.err), f.err);
    CHECK_OK(export_write(&x, "out.xlsx", &size, &f.err), f.err);
    CHECK(size > 1000);
    CHECK_OK(xlsx_open(&t, "out.xlsx", &f.err), f.err);
    for (; xlsx_next(t, &cells, &n) && rows < COUNT(want); rows++)
        for (int c = 0; c < 9; c++) {
            const char *got = c < n ? cells[c] : NULL;
            if (want[rows][c] ? CHECK_STR(got ? got : "nothing", want[rows][c]) : CHECK(got == NULL))
                continue;
            CHECK_INT(c, -1);
        }
    CHECK_INT(rows, COUNT(want));
    xlsx_close(t);
    CHECK_OK(unpack_member("out.xlsx", "xl/worksheets/sheet1.xml", 1 << 20, &bytes, &size, &f.err), f.err);
    if (CHECK(bytes != NULL)) {
        struct arena a = { 0 };
        const char *sheet = arena_strn(&a, bytes, size);
        CHECK(strstr(sheet, "<c r=\"A2\"><v>7</v></c>") != NULL);    /* the index is a number */
        CHECK(strstr(sheet, "t=\"inlineStr\"") != NULL && !strstr(sheet, "<f>"));
        arena_free(&a);
    }
    free(bytes);
    CHECK_OK(unpack_member("out.xlsx", "no/such.xml", 100, &bytes, &size, &f.err), f.err);
    CHECK(bytes == NULL);
    CHECK_INT(unpack_member("out.xlsx", "xl/worksheets/sheet1.xml", 100, &bytes, &size, &f.err), ERR_DATA);
    exports_free(&x);
    fixture_free(&f);
}

#define ROOT "MME_Benchmark_release_version/"

TEST(export_mme_is_what_calculation_py_reads)
{
    struct fixture f;
    struct exports x = { 0 };
    size_t size;

    put(ROOT "existence/000001.txt", "Is it a? Please answer yes or no.\tYes\n"
                                     "Is it b?  Please answer yes or no.\tNo\n");
    put(ROOT "scene/questions_answers_YN/p_1.txt", "Is it c? Please answer yes or no.\tYes\n"
                                                   "Is it d? Please answer yes or no.\tNo\n");
    CHECK_OK(fixture_read(&f, "mme", "test"), f.err);
    CHECK_OK(fixture_score(&f, "{\"question_id\": \"existence/000001.jpg#1\", \"text\": \"Yes\"}\n", true),
             f.err);
    CHECK_INT(f.benchmark->export(&f.questions, &f.answers, &x, &f.err), ERR_INCOMPLETE);
    CHECK(strstr(f.err.text, "3 of 4 questions have no answer, the first is existence/000001.jpg#2"));
    CHECK_OK(fixture_score(&f, "{\"question_id\": \"existence/000001.jpg\", \"text\": \"Yes,\\r\\n\\tit is\"}\n"
                           "{\"question_id\": \"existence/000001.jpg\", \"text\": \"No\"}\n"
                           "{\"question_id\": \"scene/images/p_1.jpg\", \"text\": \"\"}\n"
                           "{\"question_id\": \"scene/images/p_1.jpg\", \"text\": \"no\"}\n", false), f.err);
    exports_free(&x);
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &x, &f.err), f.err);
    CHECK_OK(export_write(&x, "out/", &size, &f.err), f.err);
    check_file("out/existence.txt",
               "000001.jpg\tIs it a? Please answer yes or no.\tYes\tYes,it is\n"
               "000001.jpg\tIs it b?  Please answer yes or no.\tNo\tNo\n");
    check_file("out/scene.txt", "p_1.jpg\tIs it c? Please answer yes or no.\tYes\t\n"
                                "p_1.jpg\tIs it d? Please answer yes or no.\tNo\tno\n");
    CHECK_INT(export_write(&x, "out", &size, &f.err), ERR_USAGE);   /* something is in it */
    check_file("out/existence.txt",
               "000001.jpg\tIs it a? Please answer yes or no.\tYes\tYes,it is\n"
               "000001.jpg\tIs it b?  Please answer yes or no.\tNo\tNo\n");
    exports_free(&x);
    fixture_free(&f);
}

/* What cannot be written whole is not there at all. */
TEST(export_leaves_nothing_half_written)
{
    static const struct exports_column columns[] = { { "a", false } };
    struct exports table = { 0 }, files = { 0 };
    struct err e = { 0 };
    struct arena a = { 0 };
    size_t size;
    char *longest = arena_alloc(&a, 40001);

    memset(longest, 'x', 40000);
    exports_table(&table, columns, 1);
    exports_cell(&table, longest);                          /* a cell holds 32,767 characters */
    put("there.xlsx", "as before");
    CHECK_INT(export_write(&table, "there.xlsx", &size, &e), ERR_DATA);
    CHECK(strstr(e.text, "there.xlsx: row 2, \"a\": ") != NULL);
    check_file("there.xlsx", "as before");
    err_clear(&e);
    CHECK_INT(export_write(&table, "no/such/folder/x.xlsx", &size, &e), ERR_INTERNAL);
    err_clear(&e);
    str_add(exports_text(&files, "one"), "1");
    str_add(exports_text(&files, "no/two"), "2");           /* a folder that is not there */
    CHECK(export_write(&files, "out", &size, &e) != OK);
    CHECK(!file_exists("out"));
    CHECK(!file_exists(arena_fmt(&a, "out.part-%ld", (long)getpid())));
    CHECK(!file_exists(arena_fmt(&a, "there.xlsx.part-%ld", (long)getpid())));
    exports_free(&table);
    exports_free(&files);
    arena_free(&a);
}

/* Every character that JSON, or Python's way with it, treats in some way of its own. */
TEST(export_json_reads_back)
{
    static const char nasty[] = "\"quotes\" \\ / \b\f\n\r\t \1\x7f \u00e9\u2028\U0001f355 </script>";
    struct fixture f;
    struct exports x = { 0 };
    size_t size;
    put("mm-vet.json", "{\"v1_0\": {\"imagename\": \"a.png\", \"question\": \"q\", \"answer\": \"x\", "
        "\"capability\": [\"ocr\"]}}");
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(answers_begin(&f.answers, &f.questions, &f.arena, &f.err), f.err);
    answers_give(&f.answers, 0, nasty);
    CHECK_OK(f.benchmark->export(&f.questions, &f.answers, &x, &f.err), f.err);
    CHECK_OK(export_write(&x, "out.json", &size, &f.err), f.err);
    struct file file;
    CHECK_OK(file_open(&file, "out.json", ERR_DATA, &f.err), f.err);
    cJSON *doc = cJSON_ParseWithLength(file.at, file.n);
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(doc, "v1_0");
    CHECK_STR(cJSON_IsString(answer) ? answer->valuestring : "none", nasty);
    CHECK_INT(cJSON_GetArraySize(doc), 1);
    for (size_t i = 0; i < file.n; i++)
        CHECK(file.at[i] > 0 && file.at[i] < 0x7f);         /* ASCII, as json.dump writes it */
    cJSON_Delete(doc);
    file_close(&file);
    exports_free(&x);
    fixture_free(&f);
}

/* ---- what a judge said ------------------------------------------------------------------------- */

static const char four[] =
    "{\"v1_0\": {\"imagename\": \"a.png\", \"question\": \"q\", \"answer\": \"x\", "
    "\"capability\": [\"ocr\", \"math\"]},\n"
    "\"v1_1\": {\"imagename\": \"b.png\", \"question\": \"q\", \"answer\": \"x\", "
    "\"capability\": [\"spat\", \"rec\"]},\n"
    "\"v1_2\": {\"imagename\": \"c.png\", \"question\": \"q\", \"answer\": \"x\", "
    "\"capability\": [\"ocr\"]},\n"
    "\"v1_3\": {\"imagename\": \"d.png\", \"question\": \"q\", \"answer\": \"x\", "
    "\"capability\": [\"math\", \"ocr\"]}}";

#define R(id, run, attempt, reply) "{\"question_id\": \"v1_" id "\", \"run\": " run \
    ", \"attempt\": " attempt ", \"reply\": \"" reply "\", \"judge\": \"gpt-4\", \"model_served\": " \
    "\"gpt-4-0613\"}\n"

static enum status export_reviewed(struct fixture *f, const char *text, struct exports *x)
{
    struct review_rules rules = { 0 };
    struct reviews in;
    const struct benchmark *b = f->benchmark;
    put("reviews.jsonl", text);
    if (reviews_read(&f->questions, "reviews.jsonl", b->judge_attempts > 1, &rules, b->review_question,
                     &f->arena, &in, &f->err) != OK)
        return f->err.code;
    CHECK_STR(reviews_judge(&in, &f->arena), "gpt-4-0613 as gpt-4, recorded");
    return b->export_reviews(&f->questions, &in, "my,model", "gpt-4", x, &f->err);
}

/* Figures: the page's example, run through the official script. */
TEST(export_mmvet_writes_the_evaluators_files)
{
    struct fixture f, again;
    struct exports x = { 0 };
    struct review_rules rules = { 0 };
    struct mark *marks;
    struct scores extra;
    size_t size;
    int passes;

    put("mm-vet.json", four);
    CHECK_OK(fixture_read(&f, "mmvet", "test"), f.err);
    CHECK_OK(export_reviewed(&f,
        R("0", "0", "0", "1.0") R("1", "0", "0", "maybe") R("1", "0", "1", "0.45 |") R("2", "0", "0", "1.0")
        R("3", "0", "0", "0.85") R("0", "1", "0", "0.9") R("1", "1", "0", "none\\nat all")
        R("2", "1", "0", "1") R("3", "1", "0", "0.8") R("0", "2", "0", "0.9") R("1", "2", "0", "0.5")
        R("2", "2", "0", "1") R("3", "2", "0", "0.8"), &x), f.err);
    CHECK_OK(export_write(&x, "out", &size, &f.err), f.err);
    check_file("out/my,model_gpt-4-cap-score-3runs.csv",
               ",ocr,math,rec,spat,total,std,runs\n"
               "\"my,model\",91.7,87.5,31.7,31.7,76.7,6.6,\"[82.5, 67.5, 80.0]\"\n");
    check_file("out/my,model_gpt-4-cap-int-score-3runs.csv",
               ",ocr_math,rec_spat,ocr,total,std,runs\n"
               "\"my,model\",87.5,31.7,100.0,76.7,6.6,\"[82.5, 67.5, 80.0]\"\n");
    struct file grades;
    if (CHECK_OK(file_open(&grades, "out/my,model_gpt-4-grade-3runs.json", ERR_DATA, &f.err), f.err)) {
        static const char second[] = "    \"v1_1\": {\n        \"model\": [\n            \"gpt-4-0613\",\n"
            "            \"gpt-4-0613\",\n            \"gpt-4-0613\"\n        ],\n        \"content\": [\n"
            "            \"0.45\",\n            \"none\\nat all\",\n            \"0.5\"\n        ],\n"
            "        \"score\": [\n            0.45,\n            0.0,\n            0.5\n        ]\n    },\n";
        CHECK(memmem(grades.at, grades.n, second, strlen(second)) != NULL);
    }
    file_close(&grades);
    /* The file of grades is itself a reviews file: read back, it gives the same figures. */
    scores_init(&extra, &f.arena);
    CHECK_OK(fixture_read(&again, "mmvet", "test"), again.err);
    CHECK_OK(f.benchmark->reviews(&again.questions, "out/my,model_gpt-4-grade-3runs.json", &rules,
                                  &again.arena, &marks, &passes, &extra, &again.err), again.err);
    CHECK_INT(passes, 3);
    CHECK_NEAR(marks[0 * 4 + 1].a, 0.45, 0);
    CHECK_NEAR(marks[1 * 4 + 1].a, 0, 0);
    CHECK_NEAR(marks[2 * 4 + 3].a, 0.8, 0);
    scores_free(&extra);
    exports_free(&x);
    fixture_free(&again);
    fixture_free(&f);
}

TEST(export_llavabench_writes_llavas_review_files)
{
    struct fixture f;
    struct exports x = { 0 };
    size_t size;

    put("questions.jsonl",
        "{\"question_id\": 5, \"image\": \"001.jpg\", \"category\": \"conv\", \"text\": \"What?\"}\n"
        "{\"question_id\": 3, \"image\": \"002.jpg\", \"category\": \"detail\", \"text\": \"Why?\"}\n");
    put("answers_gpt4.jsonl", "{\"question_id\": 3, \"text\": \"r\", \"answer_id\": \"abc\"}\n"
                              "{\"question_id\": 5, \"text\": \"r\"}\n");
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(export_reviewed(&f,
        "{\"question_id\": 3, \"reply\": \"nothing\", \"judge\": \"gpt-4\", \"model_served\": \"gpt-4-0613\"}\n"
        "{\"question_id\": 5, \"reply\": \"8 6.5\\nBecause \\u00e9.\"}\n", &x), f.err);
    CHECK_OK(export_write(&x, "out", &size, &f.err), f.err);
    check_file("out/my,model_gpt-4-review-run0.jsonl",
        "{\"id\": 1, \"question_id\": 5, \"answer1_id\": 5, \"answer2_id\": null, \"category\": "
        "\"llava_bench_conv\", \"content\": \"8 6.5\\nBecause \\u00e9.\", \"tuple\": [8.0, 6.5]}\n"
        "{\"id\": 2, \"question_id\": 3, \"answer1_id\": \"abc\", \"answer2_id\": null, \"category\": "
        "\"llava_bench_detail\", \"content\": \"nothing\", \"tuple\": [-1.0, -1.0]}\n");
    exports_free(&x);
    fixture_free(&f);
}
