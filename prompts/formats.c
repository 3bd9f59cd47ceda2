/* formats.c -- the prompt sets: for each response format the text that a question is put into.
 *
 * `paper` is LLaVA-1.5's (Table 8 of "Improved Baselines with Visual Instruction Tuning"), laid out
 * as in its released question files: each instruction on a line of its own, ASCII apostrophes,
 * nothing behind the last full stop. The other sets change one thing each and keep the rest; what a
 * set does not name is the paper's. A frozen text is never edited: a new wording is a new set. */
#include <string.h>

#include "prompts/private.h"

#define SHORT     "Answer the question using a single word or phrase."
#define LETTER    "Answer with the option's letter from the given choices directly."
#define LETTER_CN "请直接回答选项字母。"
#define UNANS     "When the provided information is insufficient, respond with 'Unanswerable'."
#define CHOICES   "{hint}{question}\n{options}"

#define PARA1_SHORT     "Reply with one word or a short phrase only."
#define PARA1_LETTER    "Reply with nothing but the letter of the correct option."
#define PARA1_LETTER_CN "只回复正确选项的字母。"
#define PARA2_SHORT     "Keep your answer to one word or a brief phrase."
#define PARA2_LETTER    "Which of the options is right? Give its letter and no explanation."
#define PARA2_LETTER_CN "哪个选项正确？给出字母即可，不用解释。"

/* The same wording everywhere: what the format adds besides stays as in the paper. */
#define WORDED(one_word, one_letter, one_letter_cn) {                                             \
        [FORMAT_SHORT]        = "{question}\n" one_word,                                          \
        [FORMAT_UNANSWERABLE] = "{question}\n" UNANS "\n" one_word,                               \
        [FORMAT_OCR]          = "{question}\n{ocr}\n" one_word,                                   \
        [FORMAT_YESNO]        = "{question}\n" one_word,                                          \
        [FORMAT_SCIENCE]      = CHOICES "\n" one_letter,                                          \
        [FORMAT_LETTER]       = CHOICES "\n" one_letter,                                          \
        [FORMAT_LETTER_CN]    = CHOICES "\n" one_letter_cn,                                       \
        [FORMAT_PLAIN]        = "{question}" }

const struct formats formats_paper = { "paper", NULL, false, WORDED(SHORT, LETTER, LETTER_CN) };

static const struct formats sets[] = {
    { "none", NULL, false, {                                /* the question as it is */
        [FORMAT_SHORT] = "{question}", [FORMAT_UNANSWERABLE] = "{question}",
        [FORMAT_OCR] = "{question}\n{ocr}", [FORMAT_YESNO] = "{question}",
        [FORMAT_SCIENCE] = CHOICES, [FORMAT_LETTER] = CHOICES, [FORMAT_LETTER_CN] = CHOICES } },
    { "qa", NULL, false, {                                  /* Table 1(b): the ambiguous prompt */
        [FORMAT_SHORT] = "Q: {question} A:", [FORMAT_UNANSWERABLE] = "Q: {question} A:",
        [FORMAT_OCR] = "{ocr}\nQ: {question} A:", [FORMAT_YESNO] = "Q: {question} A:",
        [FORMAT_SCIENCE] = "{hint}Q: {question}\n{options}\nA:",
        [FORMAT_LETTER] = "{hint}Q: {question}\n{options}\nA:",
        [FORMAT_LETTER_CN] = "{hint}Q: {question}\n{options}\nA:" } },
    { "blip", NULL, false, {                                /* as InstructBLIP was asked */
        [FORMAT_SHORT] = "Question: {question} Short answer:",
        [FORMAT_UNANSWERABLE] = "Question: {question} Short answer:",
        [FORMAT_OCR] = "{ocr}\nQuestion: {question} Short answer:",
        [FORMAT_YESNO] = "Question: {question} Short answer:",
        [FORMAT_SCIENCE] = "{hint}Question: {question} Options: {inline} Answer:",
        [FORMAT_LETTER] = "{hint}Question: {question} Options: {inline} Answer:",
        [FORMAT_LETTER_CN] = "{hint}Question: {question} Options: {inline} Answer:" } },
    { "para1", NULL, false, WORDED(PARA1_SHORT, PARA1_LETTER, PARA1_LETTER_CN) },
    { "para2", NULL, false, WORDED(PARA2_SHORT, PARA2_LETTER, PARA2_LETTER_CN) },
    { "before", NULL, false, {                              /* the instruction in front */
        [FORMAT_SHORT] = SHORT "\n{question}", [FORMAT_UNANSWERABLE] = UNANS "\n" SHORT "\n{question}",
        [FORMAT_OCR] = SHORT "\n{question}\n{ocr}", [FORMAT_YESNO] = SHORT "\n{question}",
        [FORMAT_SCIENCE] = LETTER "\n" CHOICES, [FORMAT_LETTER] = LETTER "\n" CHOICES,
        [FORMAT_LETTER_CN] = LETTER_CN "\n" CHOICES } },
    { "noocr", NULL, false, { [FORMAT_OCR] = "{question}\n" SHORT } },
    { "nounans", NULL, false, { [FORMAT_UNANSWERABLE] = "{question}\n" SHORT } },
    { "mmeorig", NULL, false, { [FORMAT_YESNO] = "{original}" } },
    { "mmeorig-short", NULL, false, { [FORMAT_YESNO] = "{original}\n" SHORT } },
    { .name = "image-last", .image_last = true },
    { .name = "sys-human", .conversation = "llava_v1" },
};

const struct formats *formats_find(const char *name)
{
    if (!strcmp(name, formats_paper.name))
        return &formats_paper;
    for (size_t i = 0; i < COUNT(sets); i++)
        if (!strcmp(name, sets[i].name))
            return &sets[i];
    return NULL;
}

const char *const *prompt_set_names(void)
{
    static const char *const names[] = { "paper", "none", "qa", "blip", "para1", "para2", "before",
                                         "noocr", "nounans", "mmeorig", "mmeorig-short",
                                         "image-last", "sys-human", NULL };
    return names;
}

/* ---- what a reply should look like ------------------------------------------------------------ */

enum { PHRASE_WORDS = 5 };

static enum form { PHRASE, YES_OR_NO, ONE_LETTER, SENTENCE } form_of(enum prompt_format format)
{
    switch (format) {
    case FORMAT_SHORT: case FORMAT_UNANSWERABLE: case FORMAT_OCR: return PHRASE;
    case FORMAT_YESNO: return YES_OR_NO;
    case FORMAT_SCIENCE: case FORMAT_LETTER: case FORMAT_LETTER_CN: return ONE_LETTER;
    case FORMAT_PLAIN: break;
    }
    return SENTENCE;
}

const char *format_expects(enum prompt_format format)
{
    static const char *const names[] = { "a word or phrase", "yes or no", "a letter", "a sentence" };
    return names[form_of(format)];
}

static size_t count_words(const char *text)
{
    size_t n = 0;
    for (text += strspn(text, " \t\r\n"); *text; text += strspn(text, " \t\r\n")) {
        text += strcspn(text, " \t\r\n");
        n++;
    }
    return n;
}

static bool ends_sentence(const char *text, size_t n)
{
    static const char *const ends[] = { ".", "!", "?", "。", "！", "？" };
    for (size_t i = 0; i < COUNT(ends); i++) {
        size_t length = strlen(ends[i]);
        if (n >= length && !memcmp(text + n - length, ends[i], length))
            return true;
    }
    return false;
}

bool format_obeyed(enum prompt_format format, const char *reply)
{
    size_t words = count_words(reply), n = strlen(reply);

    while (n && strchr(" \t\r\n", reply[n - 1]))
        n--;
    switch (form_of(format)) {
    case PHRASE:
        return words >= 1 && words <= PHRASE_WORDS;
    case YES_OR_NO:                                         /* with or without a full stop */
        n -= n && reply[n - 1] == '.';
        return (n == 3 && !strncasecmp(reply, "yes", 3)) || (n == 2 && !strncasecmp(reply, "no", 2));
    case ONE_LETTER:
        n -= n && reply[n - 1] == '.';
        return n == 1 && reply[0] >= 'A' && reply[0] <= 'Z';
    case SENTENCE:
        return words > 1 && ends_sentence(reply, n);
    }
    return false;
}

const char *formats_key(enum prompt_format format)
{
    static const char *const keys[FORMATS] = {
        [FORMAT_SHORT] = "short", [FORMAT_UNANSWERABLE] = "unanswerable", [FORMAT_OCR] = "ocr",
        [FORMAT_YESNO] = "yesno", [FORMAT_SCIENCE] = "science", [FORMAT_LETTER] = "letter",
        [FORMAT_LETTER_CN] = "letter-cn", [FORMAT_PLAIN] = "plain" };
    return keys[format];
}
