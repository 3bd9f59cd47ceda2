/* vqa_answer.c -- see vqa_answer.h. Texts are code points with Python 3's meanings of white space,
 * lower case and digit; every mark, article and number word is ASCII, so most steps walk bytes. */
#include "benchmarks/vqa_answer.h"

#include <math.h>
#include <string.h>
#include "engine/base/utf8.h"

/* As in vqaEval.py, with its slips: somebody'd loses its apostrophe, and the keys with a capital
 * never match, since words are lower case by then. */
static const struct { const char *word, *becomes; } contractions[] = {
    { "aint", "ain't" }, { "arent", "aren't" }, { "cant", "can't" }, { "couldve", "could've" },
    { "couldnt", "couldn't" }, { "couldn'tve", "couldn't've" }, { "couldnt've", "couldn't've" },
    { "didnt", "didn't" }, { "doesnt", "doesn't" }, { "dont", "don't" }, { "hadnt", "hadn't" },
    { "hadnt've", "hadn't've" }, { "hadn'tve", "hadn't've" }, { "hasnt", "hasn't" },
    { "havent", "haven't" }, { "hed", "he'd" }, { "hed've", "he'd've" }, { "he'dve", "he'd've" },
    { "hes", "he's" }, { "howd", "how'd" }, { "howll", "how'll" }, { "hows", "how's" },
    { "Id've", "I'd've" }, { "I'dve", "I'd've" }, { "Im", "I'm" }, { "Ive", "I've" },
    { "isnt", "isn't" }, { "itd", "it'd" }, { "itd've", "it'd've" }, { "it'dve", "it'd've" },
    { "itll", "it'll" }, { "let's", "let's" }, { "maam", "ma'am" }, { "mightnt", "mightn't" },
    { "mightnt've", "mightn't've" }, { "mightn'tve", "mightn't've" }, { "mightve", "might've" },
    { "mustnt", "mustn't" }, { "mustve", "must've" }, { "neednt", "needn't" },
    { "notve", "not've" }, { "oclock", "o'clock" }, { "oughtnt", "oughtn't" },
    { "ow's'at", "'ow's'at" }, { "'ows'at", "'ow's'at" }, { "'ow'sat", "'ow's'at" },
    { "shant", "shan't" }, { "shed've", "she'd've" }, { "she'dve", "she'd've" },
    { "she's", "she's" }, { "shouldve", "should've" }, { "shouldnt", "shouldn't" },
    { "shouldnt've", "shouldn't've" }, { "shouldn'tve", "shouldn't've" },
    { "somebody'd", "somebodyd" }, { "somebodyd've", "somebody'd've" },
    { "somebody'dve", "somebody'd've" }, { "somebodyll", "somebody'll" },
    { "somebodys", "somebody's" }, { "someoned", "someone'd" }, { "someoned've", "someone'd've" },
    { "someone'dve", "someone'd've" }, { "someonell", "someone'll" }, { "someones", "someone's" },
    { "somethingd", "something'd" }, { "somethingd've", "something'd've" },
    { "something'dve", "something'd've" }, { "somethingll", "something'll" }, { "thats", "that's" },
    { "thered", "there'd" }, { "thered've", "there'd've" }, { "there'dve", "there'd've" },
    { "therere", "there're" }, { "theres", "there's" }, { "theyd", "they'd" },
    { "theyd've", "they'd've" }, { "they'dve", "they'd've" }, { "theyll", "they'll" },
    { "theyre", "they're" }, { "theyve", "they've" }, { "twas", "'twas" }, { "wasnt", "wasn't" },
    { "wed've", "we'd've" }, { "we'dve", "we'd've" }, { "weve", "we've" }, { "werent", "weren't" },
    { "whatll", "what'll" }, { "whatre", "what're" }, { "whats", "what's" },
    { "whatve", "what've" }, { "whens", "when's" }, { "whered", "where'd" },
    { "wheres", "where's" }, { "whereve", "where've" }, { "whod", "who'd" },
    { "whod've", "who'd've" }, { "who'dve", "who'd've" }, { "wholl", "who'll" },
    { "whos", "who's" }, { "whove", "who've" }, { "whyll", "why'll" }, { "whyre", "why're" },
    { "whys", "why's" }, { "wont", "won't" }, { "wouldve", "would've" }, { "wouldnt", "wouldn't" },
    { "wouldnt've", "wouldn't've" }, { "wouldn'tve", "wouldn't've" }, { "yall", "y'all" },
    { "yall'll", "y'all'll" }, { "y'allll", "y'all'll" }, { "yall'd've", "y'all'd've" },
    { "y'alld've", "y'all'd've" }, { "y'all'dve", "y'all'd've" }, { "youd", "you'd" },
    { "youd've", "you'd've" }, { "you'dve", "you'd've" }, { "youll", "you'll" },
    { "youre", "you're" }, { "youve", "you've" },
};

/* ---- words ----------------------------------------------------------------------------------- */

/* Does the word read as this entry, where VizWiz's table has U+2019 for the apostrophe? */
static bool same_word(const char *word, size_t n, const char *entry, bool curly)
{
    for (; *entry; entry++) {
        if (*entry == '\'' && curly) {
            if (n < 3 || memcmp(word, "\u2019", 3) != 0)
                return false;
            word += 3, n -= 3;
        } else {
            if (n == 0 || *word != *entry)
                return false;
            word++, n--;
        }
    }
    return n == 0;
}

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(word, list[i]))
            return true;
    return false;
}

/* VizWiz's file keeps the ASCII apostrophe in the keys and the values listed here. */
static bool curly_key(const char *key, enum vqa_contractions table)
{
    static const char *const plain[] = { "couldn'tve", "hadn'tve" };
    return table == CONTRACTIONS_VIZWIZ && !is_one_of(key, plain, COUNT(plain));
}

static bool curly_value(const char *key, enum vqa_contractions table)
{
    static const char *const plain[] = { "aint", "arent", "cant", "couldve", "couldnt", "weve",
                                         "wheres", "whove" };
    return table == CONTRACTIONS_VIZWIZ && !is_one_of(key, plain, COUNT(plain));
}

static void add_contraction(struct str *out, const char *word, size_t n,
                            enum vqa_contractions table)
{
    for (size_t i = 0; i < COUNT(contractions); i++) {
        const char *key = contractions[i].word;
        if (*key != *word && *key != '\'')                  /* most fail here */
            continue;
        if (!same_word(word, n, key, curly_key(key, table)))
            continue;
        bool curly = curly_value(key, table);
        for (const char *p = contractions[i].becomes; *p; p++)
            if (*p == '\'' && curly)
                str_add(out, "\u2019");
            else
                str_addc(out, *p);
        return;
    }
    str_addn(out, word, n);
}

/* Number words become digits, articles vanish, contractions get their apostrophe. */
static void add_word(struct str *out, const char *word, size_t n, enum vqa_contractions table)
{
    static const struct { const char *word, *digits; } numbers[] = {
        { "none", "0" }, { "zero", "0" }, { "one", "1" }, { "two", "2" }, { "three", "3" },
        { "four", "4" }, { "five", "5" }, { "six", "6" }, { "seven", "7" }, { "eight", "8" },
        { "nine", "9" }, { "ten", "10" },
    };
    static const char *const articles[] = { "a", "an", "the" };
    for (size_t i = 0; i < COUNT(articles); i++)
        if (same_word(word, n, articles[i], false))
            return;
    if (out->n)
        str_addc(out, ' ');
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (same_word(word, n, numbers[i].word, false)) {
            str_add(out, numbers[i].digits);
            return;
        }
    add_contraction(out, word, n, table);
}

static void add_words(struct str *out, const char *text, enum vqa_contractions table)
{
    size_t n = strlen(text), start = 0;
    for (size_t i = 0, length; i < n; i += length)
        if (utf8_is_space(utf8_get(text + i, n - i, &length))) {
            if (i > start)
                add_word(out, text + start, i - start, table);
            start = i + length;
        }
    if (n > start)
        add_word(out, text + start, n - start, table);
}

/* ---- marks ----------------------------------------------------------------------------------- */

static const char marks[] = ";/[]\"{}()=+\\_-><@`,?!";

static bool digit_at(const char *at, const char *end)
{
    size_t length;
    return at < end && utf8_is_digit(utf8_get(at, (size_t)(end - at), &length));
}

static bool digit_before(const char *at, const char *start)
{
    const char *p = at;
    while (p > start && ((unsigned char)*--p & 0xc0) == 0x80)
        ;
    return p < at && digit_at(p, at);
}

/* Each mark vanishes where it, anywhere in the answer, touches a blank, and becomes a blank
 * otherwise: "half -pipe and t-bar" is "half pipe and tbar". One comma between digits makes all
 * marks vanish: "8,9-10" is "8910". Returns how many bytes are left; out has room for all. */
static size_t strip_marks(const char *in, size_t n, char *out)
{
    bool vanish[256] = { false }, all = false;
    for (size_t i = 0; i < n; i++) {
        if (!strchr(marks, in[i]))
            continue;
        if ((i + 1 < n && in[i + 1] == ' ') || (i > 0 && in[i - 1] == ' '))
            vanish[(unsigned char)in[i]] = true;
        if (in[i] == ',' && digit_before(in + i, in) && digit_at(in + i + 1, in + n))
            all = true;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (!strchr(marks, in[i]))
            out[used++] = in[i];
        else if (!all && !vanish[(unsigned char)in[i]])
            out[used++] = ' ';
    return used;
}

/* Deletes each full stop that no digit follows, but at most 32: the original hands the value of
 * re.UNICODE over where the count belongs. What stands in front does not matter: "4.b" is "4b". */
static size_t strip_periods(char *text, size_t n)
{
    enum { MOST = 32 };
    size_t used = 0;
    int deleted = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '.' && deleted < MOST && !digit_at(text + i + 1, text + n))
            deleted++;
        else
            text[used++] = text[i];
    return used;
}

/* ---- the two cleanings ----------------------------------------------------------------------- */

const char *vqa_trim(struct arena *a, const char *text)
{
    char *copy = arena_str(a, text);
    for (char *p = copy; *p; p++)                           /* "" of a full arena is not written */
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    return utf8_strip(a, copy);
}

const char *vqa_normal(struct arena *a, const char *text, enum vqa_contractions table)
{
    const char *in = vqa_trim(a, text);
    size_t n = strlen(in);
    char *kept = arena_alloc(a, n + 1);
    if (!kept)
        return "";
    n = strip_periods(kept, strip_marks(in, n, kept));
    kept[n] = '\0';
    struct str out;
    str_init(&out, SIZE_MAX / 2);
    add_words(&out, utf8_lower(a, kept), table);
    const char *result = arena_strn(a, out.at, out.n);
    a->failed = a->failed || out.failed;
    str_free(&out);
    return result;
}

const char *vqa_submitted(struct arena *a, const char *text)
{
    const char *lower = utf8_lower(a, text);
    char *out = arena_array(a, strlen(lower) + 1, 2);       /* 's takes one byte more */
    size_t n = 0;
    if (!out)
        return "";
    for (const char *p = lower; *p; p++) {
        if (*p == ',' || *p == '?')
            continue;
        out[n++] = *p;
    }
    /* "'s" is looked for once commas are gone: "boy',s" has one, too. From the end, in place. */
    size_t more = 0;
    for (size_t i = 0; i + 1 < n; i++)
        more += out[i] == '\'' && out[i + 1] == 's';
    out[n + more] = '\0';
    for (size_t i = n; more && i-- > 0;) {
        out[i + more] = out[i];
        if (out[i] == '\'' && i + 1 < n && out[i + 1 + more] == 's')
            out[i + --more] = ' ';
    }
    return vqa_normal(a, utf8_strip(a, out), CONTRACTIONS_VQA);
}

/* ---- credit ---------------------------------------------------------------------------------- */

double vqa_credit(const char *reply, const char *const *answers, int n)
{
    int equal = 0;
    double sum = 0;
    for (int i = 0; i < n; i++)
        equal += !strcmp(answers[i], reply);
    for (int i = 0; i < n; i++) {                           /* in the order of the humans, as the */
        double others = equal - !strcmp(answers[i], reply); /* original adds: to the last digit   */
        sum += fmin(1, others / 3);
    }
    return n ? sum / n : 0;
}

enum status vqa_answers(struct arena *a, const struct json *list, const char *where,
                        struct question *q, struct err *e)
{
    if (!list || list->type != JSON_ARRAY || list->n == 0 || list->n > 1000)
        return err_set(e, ERR_DATA, "%s: \"answers\" should be a list of ten answers", where);
    const char **answers = arena_array(a, list->n, sizeof *answers);
    if (!answers)
        return err_set(e, ERR_MEMORY, "%s: no memory for its answers", where);
    int n = 0, best = 0, most = 0;
    for (const struct json *item = list->first; item; item = item->next) {
        const char *text = item->type == JSON_STRING ? item->string
                                                     : json_get_str(item, "answer", NULL);
        if (!text)
            return err_set(e, ERR_DATA, "%s: answer %d is no text", where, n + 1);
        int times = 1;
        for (int i = n - 1; i >= 0; i--)
            if (!strcmp(answers[i], text)) {
                answers[n] = answers[i];
                times++;
            }
        if (!answers[n])
            answers[n] = arena_str(a, text);
        if (times > most)
            most = times, best = n;
        n++;
    }
    q->answers = answers;
    q->n_answers = n;
    q->reference = answers[best];                           /* to show: what most of them said */
    return OK;
}

void vqa_tally(const struct tally_input *in, const char *const *types, int n, struct scores *out)
{
    enum { TYPES_MAX = 8 };
    double sum = 0, of[TYPES_MAX] = { 0 };
    size_t count = 0, counts[TYPES_MAX] = { 0 };
    for (size_t i = 0; i < in->qs->n; i++) {
        const struct mark *m = &in->marks[i];
        uint32_t weight = in->weight ? in->weight[i] : 1;
        if (m->missing || !weight)
            continue;
        sum += weight * m->a;
        count += weight;
        if (m->b >= 0 && m->b < n) {
            of[(int)m->b] += weight * m->a;
            counts[(int)m->b] += weight;
        }
    }
    scores_add(out, count ? 100 * sum / (double)count : NAN, count, "accuracy");
    for (int t = 0; t < n; t++)
        scores_add(out, counts[t] ? 100 * of[t] / (double)counts[t] : NAN, counts[t], "%s",
                   types[t]);
}
