/* judges.c -- what the judges of LLaVA-Bench and MM-Vet read, byte for byte.
 *
 * The rules and examples that go into it are third-party files, downloaded and handed in.
 * Sources: haotian-liu/LLaVA c121f04, llava/eval/eval_gpt_review_bench.py; yuweihao/MM-Vet acde843,
 * mm-vet_evaluator.py. Nothing is trimmed or escaped. */
#include <string.h>

#include "engine/base/str.h"
#include "prompts/prompt.h"

enum { MESSAGE_MAX = 1 << 24 };                             /* bytes */

const char judge_llavabench_system[] =
    "You are a helpful and precise assistant for checking the quality of the answer.";

/* The reference answer is always number 1, the model's number 2. */
const char *judge_llavabench_user(struct arena *a, const char *caption, const char *question,
                                  const char *reference, const char *answer, const char *role,
                                  const char *rule)
{
    return arena_fmt(a, "[Context]\n%s\n\n"
                        "[Question]\n%s\n\n"
                        "[%s 1]\n%s\n\n[End of %s 1]\n\n"
                        "[%s 2]\n%s\n\n[End of %s 2]\n\n"
                        "[System]\n%s\n\n",
                     caption, question, role, reference, role, role, answer, role, rule);
}

/* Puts blanks around <AND> and <OR>; blanks that are there stay. */
static void add_spaced(struct str *s, const char *reference)
{
    static const char *const tags[] = { "<AND>", "<OR>" };
    while (*reference) {
        size_t n = 0;
        for (size_t t = 0; t < COUNT(tags) && !n; t++)
            if (!strncmp(reference, tags[t], strlen(tags[t])))
                n = strlen(tags[t]);
        if (n)
            str_addf(s, " %.*s ", (int)n, reference);
        else
            str_addc(s, *reference);
        reference += n ? n : 1;
    }
}

const char *judge_mmvet_user(struct arena *a, const char *table, const char *question,
                             const char *reference, const char *answer, int attempt)
{
    struct str s;
    str_init(&s, MESSAGE_MAX);
    str_addf(&s, "%s\n%s | ", table, question);
    add_spaced(&s, reference);
    str_addf(&s, " | %s | %s", answer,
             attempt > 0 ? "\nPredict the correctness of the answer (digit): " : "");
    const char *text = s.failed ? "" : arena_strn(a, s.at, s.n);
    a->failed = a->failed || s.failed;
    str_free(&s);
    return text;
}
