/* Answers that other programs wrote: tests/vectors/import, recorded by its record.py with the
 * libraries those programs use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xlsxwriter.h>

#include "harness/import.h"
#include "harness/xlsx.h"
#include "harness/xml.h"
#include "tests/fixture.h"

/* Imports a recorded file (or, with a slash in front, one of the test's own) into f.answers. */
static enum status import(struct fixture *f, const char *name)
{
    err_clear(&f->err);
    const char *path = *name == '/' ? name + 1
                     : arena_fmt(&f->arena, "%s/tests/vectors/import/%s", test_root(), name);
    return import_answers(f->benchmark, &f->questions, path, &f->answers, &f->arena, &f->err);
}

/* ---- VLMEvalKit ------------------------------------------------------------------------------ */

#define ROW(index, question, a, b, c, d, answer) index "\t" question "\t" a "\t" b "\t" c "\t" d \
    "\t" answer "\tcat\t/9j/\n"

static void put_mmbench(void)
{
    put("mmbench_dev_20230712.tsv", "index\tquestion\tA\tB\tC\tD\tanswer\tcategory\timage\n"
        ROW("7", "What is <this> & that?", "cup", " a fork ", "", "", "B")
        ROW("1000007", "What is <this> & that?", " a fork ", "cup", "", "", "A")
        ROW("9", "Which?", "0.80", "x", "y", "z", "D")
        ROW("11", "Where?", "a", "b", "c", "d", "A"));
}

TEST(import_reads_predictions_of_vlmevalkit)
{
    static const struct { const char *name, *second; } files[] = {
        { "mmbench.xlsx", "A. a \"fork\"\nsaid é🍕 _x0041_ =1+1" },
        { "mmbench_openpyxl.xlsx", "A. a \"fork\"\nsaid é🍕 =1+1" },
        { "mmbench.tsv", "A. a \"fork\"\nsaid é🍕 _x0041_ =1+1" },
        { "mmbench.json", "A. a \"fork\"\nsaid é🍕 _x0041_ =1+1" },
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct fixture f;
        put_mmbench();
        CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
        if (CHECK_OK(import(&f, files[i].name), f.err)) {
            CHECK_STR(f.answers.text[0], "B");
            CHECK_STR(f.answers.text[1], files[i].second);
            CHECK_STR(f.answers.text[2], "");               /* an empty prediction is a reply */
            CHECK(f.answers.text[3] == NULL);
            CHECK_INT(f.answers.unknown, 1);                /* pass 5 is in no table */
            CHECK_INT(f.answers.missing, 1);
        }
        fixture_free(&f);
    }
}

/* Another edition: the same questions under other numbers. The options tell the rows apart. */
TEST(import_takes_no_id_that_asks_something_else)
{
    struct fixture f;
    put("mmbench_dev_20230712.tsv", "index\tquestion\tA\tB\tC\tD\tanswer\tcategory\timage\n"
        ROW("9", "What is <this> & that?", "cup", " a fork ", "", "", "B")
        ROW("1000009", "What is <this> & that?", " a fork ", "cup", "", "", "A")
        ROW("7", "Which?", "0.80", "x", "y", "z", "D"));
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK_OK(import(&f, "mmbench.xlsx"), f.err);
    CHECK_STR(f.answers.text[0], "B");
    CHECK_STR(f.answers.text[1], "A. a \"fork\"\nsaid é🍕 _x0041_ =1+1");
    CHECK_STR(f.answers.text[2], "None");                   /* two rows ask it: the last one wins */
    CHECK_INT(f.answers.repeated, 1);
    fixture_free(&f);
}

TEST(import_reads_rich_text_gaps_and_the_first_sheet)
{
    struct fixture f;
    put_mmbench();
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK_OK(import(&f, "rich.xlsx"), f.err);
    CHECK_STR(f.answers.text[2], "the letter D");
    CHECK_STR(f.answers.text[0], "1");                      /* a boolean, as it is stored */
    CHECK_INT(f.answers.missing, 2);
    fixture_free(&f);
}

#define POPE(id, image, object, label) "{\"question_id\": " id ", \"image\": \"COCO_val2014_" image \
    ".jpg\", \"text\": \"Is there a " object " in the image?\", \"label\": \"" label "\"}\n"
#define ONE "000000000001"
#define TWO "000000000002"

TEST(import_splits_rows_of_several_categories)
{
    struct fixture f;
    put("coco_pope_random.json", POPE("1", ONE, "dog", "yes") POPE("2", ONE, "bus", "no")
                                 POPE("3", TWO, "dog", "no"));
    put("coco_pope_popular.json", POPE("1", ONE, "dog", "yes") POPE("2", ONE, "bus", "no"));
    put("coco_pope_adversarial.json", POPE("1", ONE, "dog", "yes") POPE("2", ONE, "cat", "no"));
    CHECK_OK(fixture_read(&f, "pope", "test"), f.err);
    CHECK_OK(import(&f, "pope.tsv"), f.err);
    static const char *const want[] = { "Yes", NULL, "no.", "Yes", NULL, "Yes", "No" };
    for (size_t i = 0; i < COUNT(want); i++)
        if (want[i])
            CHECK_STR(f.answers.text[i], want[i]);
        else
            CHECK(f.answers.text[i] == NULL);
    CHECK_INT(f.answers.failed, 1);                         /* a failure is no reply */
    CHECK_INT(f.answers.missing, 2);
    fixture_free(&f);
}

/* ---- lmms-eval ------------------------------------------------------------------------------- */

TEST(import_reads_samples_of_mme_by_what_they_ask)
{
    struct fixture f;
    put("MME_Benchmark_release_version/existence/000001.txt",
        "Is it a fork? Please answer yes or no.\tYes\nIs it a cup? Please answer yes or no.\tNo\n");
    CHECK_OK(fixture_read(&f, "mme", "test"), f.err);
    CHECK_OK(import(&f, "mme.jsonl"), f.err);               /* in turned order, under one id */
    CHECK_STR(f.answers.text[0], "Yes");
    CHECK_STR(f.answers.text[1], "no");
    CHECK_INT(f.answers.missing, 0);
    fixture_free(&f);
}

#define GQA(id, text, answer) "\"" id "\": {\"question\": \"" text "\", \"imageId\": \"n" id \
    "\", \"answer\": \"" answer "\", \"types\": {\"structural\": \"query\"}}"

TEST(import_reads_samples_without_an_id)
{
    static const char *const files[] = { "gqa.jsonl", "gqa_turned.jsonl" };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct fixture f;
        put("testdev_balanced_questions.json", "{" GQA("1", "Is it red?", "yes") ", "
            GQA("2", "Is it red?", "no") ", " GQA("3", "What is it?", "cup") "}");
        CHECK_OK(fixture_read(&f, "gqa", "testdev_balanced"), f.err);
        if (CHECK_OK(import(&f, files[i]), f.err)) {
            CHECK_STR(f.answers.text[0], "Yes");
            CHECK_STR(f.answers.text[1], "No");
            CHECK_STR(f.answers.text[2], "cup");
        }
        fixture_free(&f);
    }
}

/* Two ask the same words, and their references stand the other way round: nobody knows which. */
TEST(import_guesses_nothing)
{
    struct fixture f;
    put("testdev_balanced_questions.json", "{" GQA("1", "Is it red?", "yes") ", "
        GQA("2", "Is it red?", "no") ", " GQA("3", "What is it?", "cup") "}");
    CHECK_OK(fixture_read(&f, "gqa", "testdev_balanced"), f.err);
    CHECK_INT(import(&f, "gqa_wrong.jsonl"), ERR_DATA);
    CHECK(strstr(f.err.text, "only 1 of 3 answers") != NULL);
    CHECK_INT(f.answers.ambiguous, 2);
    fixture_free(&f);
}

TEST(import_reads_samples_of_early_releases)
{
    struct fixture f;
    put("Annotations/val.json", "["
        "{\"image\": \"VizWiz_val_00000000.jpg\", \"question\": \"is it On? \", \"answers\": ["
        "{\"answer\": \"yes\"}, {\"answer\": \"yes\"}, {\"answer\": \"yes\"}, {\"answer\": \"yes\"}, "
        "{\"answer\": \"yes\"}, {\"answer\": \"yes\"}, {\"answer\": \"yes\"}, {\"answer\": \"yes\"}, "
        "{\"answer\": \"yes\"}, {\"answer\": \"yes\"}], \"answer_type\": \"yes/no\"}, "
        "{\"image\": \"VizWiz_val_00000001.jpg\", \"question\": \"What is it?\", \"answers\": ["
        "{\"answer\": \"cup\"}, {\"answer\": \"cup\"}, {\"answer\": \"cup\"}, {\"answer\": \"cup\"}, "
        "{\"answer\": \"cup\"}, {\"answer\": \"cup\"}, {\"answer\": \"cup\"}, {\"answer\": \"cup\"}, "
        "{\"answer\": \"cup\"}, {\"answer\": \"cup\"}], \"answer_type\": \"other\"}]");
    CHECK_OK(fixture_read(&f, "vizwiz", "val"), f.err);
    CHECK_OK(import(&f, "vizwiz.jsonl"), f.err);
    CHECK_STR(f.answers.text[0], "Yes");
    CHECK_STR(f.answers.text[1], "Cup.");                   /* what the model said, not "answer" */
    fixture_free(&f);
}

TEST(import_reads_samples_by_their_metrics_question)
{
    struct fixture f;
    put("questions.jsonl",
        "{\"question_id\": 0, \"image\": \"001.jpg\", \"category\": \"conv\", \"text\": \"What?\"}\n"
        "{\"question_id\": 1, \"image\": \"002.jpg\", \"category\": \"conv\", \"text\": \"Why so?\"}\n");
    CHECK_OK(fixture_read(&f, "llavabench", "test"), f.err);
    CHECK_OK(import(&f, "llavabench.jsonl"), f.err);
    CHECK_STR(f.answers.text[0], "one");
    CHECK_STR(f.answers.text[1], "two");
    fixture_free(&f);
}

/* ---- what it is not -------------------------------------------------------------------------- */

TEST(import_takes_llavas_files_as_before)
{
    struct fixture f;
    put_mmbench();
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    put("a", "no json\n{\"question_id\": 7, \"text\": \"B\"}\n{\"question_id\": 8, \"text\": \"B\"}\n"
             "{\"question_id\": 7, \"text\": \"C\"}\n");
    CHECK_OK(import(&f, "/a"), f.err);
    CHECK_STR(f.answers.text[0], "C");
    CHECK_INT(f.answers.unreadable, 1);
    CHECK_INT(f.answers.unknown, 1);
    CHECK_INT(f.answers.repeated, 1);
    put("a", "");
    CHECK_OK(import(&f, "/a"), f.err);
    CHECK_INT(f.answers.missing, 4);
    CHECK_INT(import(&f, "/none"), ERR_DATA);
    fixture_free(&f);
}

/* A table cut off in its last row: an absent cell is no empty reply. A record without one is no end. */
TEST(import_takes_no_absent_prediction)
{
    static const char *const files[] = {
        "index\tquestion\tprediction\n9\tWhich?\tD\n7\tWhat is",
        "[{\"index\": 9, \"prediction\": \"D\"}, {\"index\": 7, \"prediction\": null}]",
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct fixture f;
        put_mmbench();
        CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
        put("a", files[i]);
        CHECK_OK(import(&f, "/a"), f.err);
        CHECK_STR(f.answers.text[2], "D");
        CHECK(f.answers.text[0] == NULL);
        CHECK_INT(f.answers.unreadable, 1);
        fixture_free(&f);
    }
}

/* One long text in a sheet's many cells: what is kept stays in proportion to the file. */
static void refuse_sheet(const char *column)
{
    enum { LONG = 30000, ROWS = 4000 };
    char *text = calloc(LONG + 1, 1);
    memset(text, 'x', LONG);
    lxw_workbook *book = workbook_new("unfolds.xlsx");
    lxw_worksheet *sheet = workbook_add_worksheet(book, NULL);
    worksheet_write_string(sheet, 0, 0, "index", NULL);
    worksheet_write_string(sheet, 0, 1, column, NULL);
    worksheet_write_string(sheet, 0, 2, "prediction", NULL);
    for (lxw_row_t i = 1; i <= ROWS; i++) {
        worksheet_write_number(sheet, i, 0, i, NULL);
        worksheet_write_string(sheet, i, 1, text, NULL);
    }
    CHECK_INT(workbook_close(book), LXW_NO_ERROR);
    free(text);
    CHECK(file_size("unfolds.xlsx") * 64 + (64 << 20) < (int64_t)LONG * ROWS);
    struct fixture f;
    put_mmbench();
    CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
    CHECK_INT(import(&f, "/unfolds.xlsx"), ERR_DATA);
    CHECK_STR(f.err.text, "unfolds.xlsx: its cells come to more than 64 times its size and 64 MiB: refused");
    fixture_free(&f);
    remove("unfolds.xlsx");
}

TEST(import_refuses_a_sheet_that_unfolds)
{
    refuse_sheet("question");
    refuse_sheet("category");
    refuse_sheet("id");
}

TEST(import_refuses_what_is_damaged)
{
    static const struct { const char *content, *says; } rows[] = {
        { "PK\3\4 and nothing of a zip", "" },
        { "index\tquestion\tprediction\n7\t\"open", "a quoted cell has no end" },
        { "[{\"index\": 7}]", "no column \"prediction\"" },
        { "[{\"index\": 7, \"prediction\": \"B\"", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        put_mmbench();
        CHECK_OK(fixture_read(&f, "mmbench", "dev"), f.err);
        put("a", rows[i].content);
        CHECK_INT(import(&f, "/a"), ERR_DATA);
        if (!CHECK(strstr(f.err.text, rows[i].says) != NULL))
            CHECK_STR(f.err.text, rows[i].says);
        fixture_free(&f);
    }
}

/* Every byte of a good file in turn, and 1 % of all at random: an error or a table, nothing else. */
TEST(import_survives_damaged_sheets)
{
    struct arena a = { 0 };
    struct file good;
    struct err e = { 0 };
    unsigned state = 1;

    CHECK_OK(file_open(&good, arena_fmt(&a, "%s/tests/vectors/import/mmbench.xlsx", test_root()),
                       ERR_DATA, &e), e);
    char *bad = arena_alloc(&a, good.n + 1);
    for (size_t round = 0; round < 600 && bad; round++) {
        struct xlsx *t;
        struct err why = { 0 };
        const char *const *cells;
        int n, rows = 0;
        memcpy(bad, good.at, good.n);
        for (size_t k = 0; k < good.n / 100; k++) {
            state = state * 1103515245u + 12345u;
            bad[(state >> 8) % good.n] ^= (char)(state >> 24);
        }
        CHECK_OK(file_write("bad.xlsx", bad, round < 300 ? good.n : good.n * (round - 300) / 300, &e),
                 e);
        if (xlsx_open(&t, "bad.xlsx", &why) == OK)
            while (xlsx_next(t, &cells, &n))
                rows++;
        xlsx_close(t);
        CHECK(why.code == OK || why.code == ERR_DATA);
        CHECK(rows <= 5);
    }
    file_close(&good);
    arena_free(&a);
}

TEST(xml_reads_what_tables_use_and_refuses_the_rest)
{
    static const struct { const char *text, *out, *says; } rows[] = {
        { "<?xml version='1.0'?>\n<a x='1' b:y=\"&lt;&#65;&#x1F355;\"><b/>t&amp;<![CDATA[<&>]]></a>\n",
          "(a<A🍕(b)t&<&>)", NULL },
        { "\xef\xbb\xbf<p:a><!-- <no> --><c></c ></p:a>", "(a(c))", NULL },
        { "<a>", "(a", "ends inside" },             { "</a>", "", "without a start" },
        { "<a></b>", "(a", "does not fit" },        { "<a x=\"1></a>", "", "a tag has no end" },
        { "<!DOCTYPE a [<!ENTITY x \"y\">]><a/>", "", "document type" },
        { "<a>&x;</a>", "(a", "begins no character" }, { "<a>&#0;</a>", "(a", "begins no character" },
        { "<a>&#xD800;</a>", "(a", "begins no character" }, { "<a>&#99999999;</a>", "(a", "no char" },
        { "text", "", "outside" },                  { "<a <b/>", "", "inside of a tag" },
        { "<a>\xff</a>", "", "UTF-8" },             { "<a><![CDATA[</a>", "(a", "CDATA" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct xml x;
        struct err e = { 0 };
        struct arena a = { 0 };
        struct str out;
        str_init(&out, 1000);
        xml_open(&x, "x", rows[i].text, strlen(rows[i].text), &e);
        while (xml_next(&x)) {
            if (x.token == XML_TEXT) {
                xml_add_text(&x, &out);
                continue;
            }
            str_addc(&out, x.token == XML_START ? '(' : ')');
            if (x.token == XML_START) {
                const char *y = xml_attribute(&x, "y", &a);
                str_addn(&out, x.part.at, x.part.n);
                str_add(&out, y ? y : "");
            }
        }
        CHECK_STR(out.at, rows[i].out);
        if (!CHECK(rows[i].says ? strstr(e.text, rows[i].says) != NULL : e.code == OK))
            CHECK_STR(e.text, rows[i].text);
        str_free(&out);
        arena_free(&a);
    }
    char deep[400] = "";
    for (int i = 0; i < 70; i++)
        strcat(deep, "<a>");
    struct xml x;
    struct err e = { 0 };
    xml_open(&x, "x", deep, strlen(deep), &e);
    while (xml_next(&x))
        ;
    CHECK(strstr(e.text, "too deep") != NULL);
}
