/* marks.c -- signs behind figures, and what they mean. */
#include "harness/marks.h"

#include <math.h>
#include <string.h>

#define MINUS "\xE2\x88\x92"

static const struct { unsigned kind; const char *sign, *note; } marks_table[] = {
    { MARK_SEEN, "*", "* training images of this benchmark were seen in training." },
    { MARK_SIGNIFICANT, "*", "* p < 0.05 after Holm's correction over the rows of this table." },
    { MARK_IN_HOUSE, "¶", "¶ with in-house data, not public (the paper's own †)." },
    { MARK_PARTIAL, "†", "† partial: some of the questions have no answer, or only a selection was "
                         "asked." },
    { MARK_UNOFFICIAL, "‡", "‡ not the data or the split of published figures, and not to be "
                            "compared with them." },
    { MARK_FP8, "§", "§ made in fp8: e4m3 weights and activations. `llava-eval bench --dtype fp8` shows "
                     "its error against fp16." },
    { MARK_DEMO_JUDGE, "", "(demo) judged by word overlap with the reference, offline: no judgement "
                           "of quality." },
};

static const char *signs(struct arena *a, unsigned marks, unsigned *used)
{
    const char *text = "";

    for (size_t i = 0; i < COUNT(marks_table); i++)
        if (marks & marks_table[i].kind)
            text = arena_fmt(a, "%s%s", text, marks_table[i].sign);
    *used |= marks;
    return text;
}

unsigned marks_of_dtype(const char *dtype)
{
    return dtype && !strcmp(dtype, "fp8") ? MARK_FP8 : 0;
}

const char *marks_number(struct arena *a, double value, unsigned marks, unsigned *used)
{
    return isnan(value) ? NULL : arena_fmt(a, "%.1f%s", value, signs(a, marks, used));
}

static const char *change(struct arena *a, double value)
{
    const char *text = arena_fmt(a, "%.1f", fabs(value));   /* what rounds to 0 has no sign */
    bool zero = text[0] == '0' && text[2] == '0' && !text[3];
    return arena_fmt(a, "%s%s", zero ? "" : value < 0 ? MINUS : "+", text);
}

const char *marks_change(struct arena *a, double value, unsigned marks, unsigned *used)
{
    return isnan(value) ? NULL : arena_fmt(a, "%s%s", change(a, value), signs(a, marks, used));
}

const char *marks_interval(struct arena *a, double low, double high)
{
    return isnan(low) || isnan(high) ? NULL
           : arena_fmt(a, "[%s, %s]", change(a, low), change(a, high));
}

const char *marks_p(struct arena *a, double p)
{
    return isnan(p) ? NULL : p < 0.001 ? "<0.001" : arena_fmt(a, "%.3f", p);
}

const char *marks_notes(struct arena *a, unsigned used)
{
    const char *text = "";

    for (size_t i = 0; i < COUNT(marks_table); i++)
        if (used & marks_table[i].kind)
            text = arena_fmt(a, "%s%s%s", text, *text ? "\n" : "", marks_table[i].note);
    return text;
}
