/* choice.c -- two official readings of a multiple-choice reply; they share nothing but the aim. */
#include "benchmarks/choice.h"

#include <string.h>

#include "engine/base/utf8.h"

/* ---- ScienceQA ------------------------------------------------------------------------------- */

char choice_science(const char *reply)
{
    static const char phrase[] = "The answer is ";
    size_t n = strlen(reply), length;
    if (n >= 1 && reply[0] >= 'A' && reply[0] <= 'E' && (n == 1 || !strncmp(reply + 1, ". ", 2)))
        return reply[0];
    char found = 0;
    for (const char *p = reply; (p = strstr(p, phrase)); ) {
        p += sizeof phrase - 1;                             /* re: "The answer is ([A-Z])." */
        if (*p < 'A' || *p > 'Z' || !p[1] || p[1] == '\n')
            continue;                                       /* no later match can start before p */
        if (found)
            return 0;                                       /* a second one, even an equal one */
        found = *p++;
        utf8_get(p, strlen(p), &length);                    /* the code point behind it */
        p += length;
    }
    return found;
}

/* ---- MMBench --------------------------------------------------------------------------------- */

struct word { const char *at; size_t n; };

/* The next word of *text..end, ended by white space or one of 13 marks; n is 0 at the end. */
static struct word next_word(const char **text, const char *end)
{
    struct word w = { NULL, 0 };
    const char *p = *text;
    size_t length;
    for (; p < end; p += length) {
        uint32_t c = utf8_get(p, (size_t)(end - p), &length);
        if (utf8_is_space(c) || (c < 0x80 && strchr(".()[],:;!*#{}", (int)c))) {
            if (w.at)
                break;
        } else if (!w.at)
            w.at = p;
        if (w.at)
            w.n = (size_t)(p - w.at) + length;
    }
    *text = p;
    return w;
}

static bool present(const char *const *texts, int n, char letter)
{
    return letter >= 'A' && letter < 'A' + n && texts[letter - 'A'];
}

/* Passes over white space, one or more; NULL when there is none. */
static const char *behind_space(const char *p)
{
    const char *start = p;
    size_t length;
    while (*p && utf8_is_space(utf8_get(p, strnlen(p, 4), &length)))
        p += length;
    return p > start ? p : NULL;
}

/* re.search(r"answer\s+is\s+\**([a-d])", reply, IGNORECASE): the letter in upper case, or 0. */
static char stated_letter(const char *reply)
{
    for (const char *p = reply; (p = strcasestr(p, "answer")); p++) {
        const char *q = behind_space(p + 6);
        if (!q || strncasecmp(q, "is", 2) != 0 || !(q = behind_space(q + 2)))
            continue;
        q += strspn(q, "*");
        if (*q && strchr("abcdABCD", *q))
            return (char)(*q & ~0x20);
    }
    return 0;
}

/* The option stage: a letter that stands by itself, near the end. */
static char by_letter(const char *reply, const char *const *texts, int n)
{
    static const char *const refusals[] = {
        "Sorry, I can't help with images of people yet.", "I can't process this file.",
        "I'm sorry, but without the image provided", "Cannot determine the answer" };
    if (strstr(reply, "Failed to obtain answer via API"))
        return 0;
    for (size_t i = 0; i < COUNT(refusals); i++)
        if (strstr(reply, refusals[i]))
            return 'Z';
    int n_words = 0, n_letters = 0, first = 0;              /* first: position of the letter found */
    char letter = 0;
    bool refuses = false, seen[26] = { false };
    for (const char *p = reply, *end = p + strlen(p);; n_words++) {
        struct word w = next_word(&p, end);
        if (!w.n)
            break;
        refuses = refuses || (w.n == 1 && *w.at == 'Z');
        if (w.n != 1 || !present(texts, n, *w.at) || seen[*w.at - 'A'])
            continue;
        seen[*w.at - 'A'] = true;
        n_letters++;
        letter = *w.at;
        first = n_words;
    }
    if (n_letters == 1 && first > n_words - 5)
        return letter;
    if (n_letters == 0 && refuses)
        return 'Z';
    letter = stated_letter(reply);
    return present(texts, n, letter) ? letter : 0;
}

/* The text stage: the one option whose text the reply holds, unless it says much more. */
static char by_text(const char *reply, const char *const *texts, int n)
{
    struct arena a = { 0 };
    const char *low = utf8_lower(&a, reply);
    size_t n_texts = 0;
    char found = 0;
    int n_found = 0;
    for (int i = 0; i < n; i++) {
        if (!texts[i])
            continue;
        n_texts += utf8_count(texts[i]);
        if (strstr(low, utf8_lower(&a, texts[i]))) {
            found = (char)('A' + i);
            n_found++;
        }
    }
    if (a.failed || n_found != 1 || utf8_count(low) > 2 * n_texts)
        found = 0;
    arena_free(&a);
    return found;
}

char choice_infer(const char *reply, const char *const *texts, int n)
{
    char letter = by_letter(reply, texts, n);
    return letter ? letter : by_text(reply, texts, n);
}
