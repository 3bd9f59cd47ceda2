/* One table in seven formats, character by character. */
#include <math.h>

#include "harness/table.h"
#include "tests/check.h"

static const struct table_column columns[] = {
    { "Model", "model", false }, { "A_1 & B", "a", true }, { "Note", NULL, false },
};
static struct table_cell cells[][3] = {
    { { .text = "linear" }, { .text = "85.9\xE2\x80\xA0", .value = 85.87253, .is_number = true,
                              .best = true }, { .text = "a|b, \"c\"" } },
    { { .text = "\xE6\xA8\xA1\xE5\x9E\x8B" }, { .text = "7.0", .value = 7, .is_number = true,
                                                .second = true }, { .text = "50% <x>" } },
    { { .text = "e\xCC\x81" }, { .text = NULL, .value = NAN, .is_number = true }, { .text = NULL } },
};
static const bool rules[] = { false, false, true };
static const struct table table = {
    .caption = "Cap_1", .columns = columns, .n_columns = 3, .cells = cells[0], .n_rows = 3,
    .rule_above = rules, .notes = "\xE2\x80\xA0 partial",
};

static const char *formatted(enum table_format format)       /* until the next call */
{
    static struct str out;
    if (!out.size)
        str_init(&out, 1 << 16);
    str_clear(&out);
    table_format(&table, format, &out);
    return out.at;
}

#define LINE_8 "\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80"

TEST(table_text_is_aligned_by_width)
{
    CHECK_STR(formatted(TABLE_TEXT),
              "Cap_1\n\n"
              "Model   A_1 & B  Note\n"
              LINE_8 LINE_8 LINE_8 "\xE2\x94\x80\n"
              "linear    85.9\xE2\x80\xA0  a|b, \"c\"\n"
              "\xE6\xA8\xA1\xE5\x9E\x8B        7.0  50% <x>\n"
              LINE_8 LINE_8 LINE_8 "\xE2\x94\x80\n"
              "e\xCC\x81             \xE2\x80\x93  \xE2\x80\x93\n"
              "\n\xE2\x80\xA0 partial\n");
}

/* Titles of a table wider than 80 columns are broken at blanks; they end on one line. */
TEST(table_text_breaks_long_titles)
{
    static const struct table_column wide[] = {
        { "Model", NULL, false }, { "one two three", NULL, true },
        { "a title of quite some words, which alone passes the width of any page", NULL, true },
        { "last", NULL, true },
    };
    static struct table_cell row[] = { { .text = "m" }, { .text = "12345678" }, { .text = "x" },
                                       { .text = "y" } };
    const struct table t = { .columns = wide, .n_columns = 4, .cells = row, .n_rows = 1 };
    struct str out;
    str_init(&out, 1 << 16);
    table_format(&t, TABLE_TEXT, &out);
    CHECK(strstr(out.at, "Model     three    page  last\n"));
    CHECK(strstr(out.at, "any\n"));
    CHECK(!strstr(out.at, " \n"));                         /* no blanks at the end of a line */
    str_free(&out);
}

TEST(table_md_escapes_and_marks)
{
    CHECK_STR(formatted(TABLE_MD),
              "Cap\\_1\n\n"
              "| Model | A\\_1 &amp; B | Note |\n"
              "| --- | ---: | --- |\n"
              "| linear | **85.9\xE2\x80\xA0** | a\\|b, \"c\" |\n"
              "| \xE6\xA8\xA1\xE5\x9E\x8B | <u>7.0</u> | 50% &lt;x> |\n"
              "| e\xCC\x81 | \xE2\x80\x93 | \xE2\x80\x93 |\n"
              "\n\xE2\x80\xA0 partial\n");
}

TEST(table_csv_and_tsv_are_for_machines)
{
    CHECK_STR(formatted(TABLE_CSV),
              "model,a,Note\n"
              "linear,85.87253,\"a|b, \"\"c\"\"\"\n"
              "\xE6\xA8\xA1\xE5\x9E\x8B,7.0,50% <x>\n"
              "e\xCC\x81,,\n");
    CHECK_STR(formatted(TABLE_TSV),
              "model\ta\tNote\n"
              "linear\t85.87253\ta|b, \"c\"\n"
              "\xE6\xA8\xA1\xE5\x9E\x8B\t7.0\t50% <x>\n"
              "e\xCC\x81\t\t\n");
}

TEST(table_json_has_null_for_what_is_absent)
{
    CHECK_STR(formatted(TABLE_JSON),
              "[\n {\"model\":\"linear\",\"a\":85.87253,\"Note\":\"a|b, \\\"c\\\"\"},"
              "\n {\"model\":\"\xE6\xA8\xA1\xE5\x9E\x8B\",\"a\":7.0,\"Note\":\"50% <x>\"},"
              "\n {\"model\":\"e\xCC\x81\",\"a\":null,\"Note\":null}\n]\n");
}

TEST(table_latex_escapes_and_marks)
{
    CHECK_STR(formatted(TABLE_LATEX),
              "\\begin{table}\n\\centering\n\\caption{Cap\\_1}\n\\begin{tabular}{lrl}\n\\toprule\n"
              "Model & A\\_1 \\& B & Note \\\\\n\\midrule\n"
              "linear & \\textbf{85.9\\textdagger{}} & a|b, \"c\" \\\\\n"
              "\xE6\xA8\xA1\xE5\x9E\x8B & \\underline{7.0} & 50\\% \\textless{}x\\textgreater{} \\\\\n"
              "\\midrule\n"
              "e\xCC\x81 & -- & -- \\\\\n\\bottomrule\n\\end{tabular}\n"
              "\\par\\smallskip{\\footnotesize \\textdagger{} partial}\n\\end{table}\n");
}

TEST(table_html_escapes_and_marks)
{
    CHECK_STR(formatted(TABLE_HTML),
              "<table>\n<caption>Cap_1</caption>\n<thead><tr><th>Model</th>"
              "<th style=\"text-align:right\">A_1 &amp; B</th><th>Note</th></tr></thead>\n<tbody>\n"
              "<tr><td>linear</td><td style=\"text-align:right\"><b>85.9\xE2\x80\xA0</b></td>"
              "<td>a|b, &quot;c&quot;</td></tr>\n"
              "<tr><td>\xE6\xA8\xA1\xE5\x9E\x8B</td><td style=\"text-align:right\"><u>7.0</u></td>"
              "<td>50% &lt;x&gt;</td></tr>\n"
              "</tbody>\n<tbody>\n"
              "<tr><td>e\xCC\x81</td><td style=\"text-align:right\">\xE2\x80\x93</td>"
              "<td>\xE2\x80\x93</td></tr>\n</tbody>\n</table>\n<p>\xE2\x80\xA0 partial</p>\n");
}

TEST(table_without_rows_is_whole)
{
    struct table empty = table;
    struct str out;
    empty.n_rows = 0;
    str_init(&out, 1 << 16);
    table_format(&empty, TABLE_JSON, &out);
    CHECK_STR(out.at, "[]\n");
    str_clear(&out);
    table_format(&empty, TABLE_CSV, &out);
    CHECK_STR(out.at, "model,a,Note\n");
    str_free(&out);
}
