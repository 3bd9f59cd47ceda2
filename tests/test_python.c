/* Python's numbers and JSON, as CPython 3.11 and NumPy 1.26 give them. */
#include <math.h>

#include "benchmarks/python.h"
#include "tests/check.h"

TEST(python_float_has_its_own_grammar)
{
    static const struct { const char *text; double value; } good[] = {
        { "7", 7 }, { "6.5", 6.5 }, { "+7", 7 }, { ".5", 0.5 }, { "6.", 6 }, { "7e0", 7 },
        { "1_0", 10 }, { " 7 ", 7 }, { "7\r", 7 }, { "\t7\v", 7 }, { "\u00a07\u3000", 7 },
        { "-0", 0 }, { "4e-1", 0.4 }, { "1_0.2_5E+0_1", 102.5 }, { "007", 7 }, { "1e-400", 0 },
    };
    static const char *const bad[] = {
        "", " ", ".", "+", "e5", "7e", "7e+", "0x7", "1__0", "_1", "1_", "1_.5", "1._5", "7 6",
        "7,5", "nan", "inf", "-Infinity", "1e999", "--7", "7f", "\u0667", "\u200b7",
    };
    double value;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!CHECK(python_float(good[i].text, strlen(good[i].text), &value)) ||
            !CHECK_NEAR(value, good[i].value, 0))
            CHECK_STR(good[i].text, "");
    for (size_t i = 0; i < COUNT(bad); i++)
        if (!CHECK(!python_float(bad[i], strlen(bad[i]), &value)))
            CHECK_STR(bad[i], "");
    CHECK(python_float("12 34", 2, &value) && value == 12); /* no further than n */
}

TEST(python_and_numpy_round_differently)
{
    CHECK_NEAR(python_round(61.25, 1), 61.2, 0);            /* a tie, to even */
    CHECK_NEAR(python_round(0.15, 1), 0.1, 0);              /* 0.15 lies below the tie */
    CHECK_NEAR(python_round(0.25, 1), 0.2, 0);
    CHECK_NEAR(python_round(0.35, 1), 0.3, 0);
    CHECK_NEAR(python_round(2.6755, 3), 2.675, 0);
    CHECK_NEAR(python_round(1e300, 1), 1e300, 0);
    CHECK(isnan(python_round(NAN, 1)));
    CHECK_NEAR(numpy_round1(61.25), 61.2, 0);
    CHECK_NEAR(numpy_round1(0.15), 0.2, 0);                 /* 0.15 * 10 is 1.5 */
    CHECK_NEAR(numpy_round1(0.25), 0.2, 0);
    CHECK_NEAR(numpy_round1(-0.35), -0.4, 1e-16);
    CHECK(isnan(numpy_round1(NAN)));
}

TEST(python_json_is_ascii)
{
    struct str s;
    str_init(&s, 1000);
    python_json(&s, "a\"\\/\b\f\n\r\t\x01\x7f \u00e9\u2019\U0001f355 \xff");
    CHECK_STR(s.at, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f \\u00e9\\u2019\\ud83c"
                    "\\udf55 \\ufffd\"");
    str_free(&s);
}
