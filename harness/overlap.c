/* overlap.c -- words counted in small tables: replies are a few sentences at most. */
#include "harness/overlap.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { MOST_WORDS = 512 };      /* of a text; what comes after them is not read */

struct words {
    struct { const char *at; size_t n; } word[MOST_WORDS];
    size_t n;
};

static int lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static bool in_word(unsigned char c)
{
    c = (unsigned char)lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void split(const char *text, size_t n, struct words *out)
{
    out->n = 0;
    for (size_t i = 0; i < n && out->n < MOST_WORDS;) {
        if (n - i >= 5 && !memcmp(text + i, "<AND>", 5)) {
            i += 5;
        } else if (in_word((unsigned char)text[i])) {
            size_t start = i;
            while (i < n && in_word((unsigned char)text[i]))
                i++;
            out->word[out->n].at = text + start;
            out->word[out->n++].n = i - start;
        } else {
            i++;
        }
    }
}

static bool same(const struct words *a, size_t i, const struct words *b, size_t j)
{
    if (a->word[i].n != b->word[j].n)
        return false;
    for (size_t k = 0; k < a->word[i].n; k++)
        if (lower((unsigned char)a->word[i].at[k]) != lower((unsigned char)b->word[j].at[k]))
            return false;
    return true;
}

static double f1(const struct words *a, const struct words *b)
{
    bool used[MOST_WORDS] = { false };
    size_t shared = 0;

    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++)
            if (!used[j] && same(a, i, b, j)) {
                used[j] = true;
                shared++;
                break;
            }
    return a->n + b->n ? 2.0 * (double)shared / (double)(a->n + b->n) : 1;
}

double word_overlap(const char *reply, const char *reference)
{
    static const char or[] = "<OR>";
    struct words said, wanted;
    double best = 0;

    split(reply, strlen(reply), &said);
    for (;;) {
        const char *end = strstr(reference, or);
        split(reference, end ? (size_t)(end - reference) : strlen(reference), &wanted);
        double score = f1(&said, &wanted);
        best = score > best ? score : best;
        if (!end)
            return best;
        reference = end + sizeof or - 1;
    }
}
