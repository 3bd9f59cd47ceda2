/* choice.h -- the letter of an option, out of a reply. */
#ifndef BENCHMARKS_CHOICE_H
#define BENCHMARKS_CHOICE_H

/* ScienceQA: haotian-liu/LLaVA llava/eval/eval_science_qa.py. A letter A..Z, 0 when none can be
 * told. The letter may lie beyond the options. */
char choice_science(const char *reply);

/* MMBench: open-compass/VLMEvalKit e8e78f05, vlmeval/utils/matching_util.py, can_infer. texts[0..n)
 * are those of options A, B, ...; NULL where the table has none. One of their letters, 'Z' for a
 * refusal (never right), 0 when nothing can be inferred. */
char choice_infer(const char *reply, const char *const *texts, int n);

#endif
