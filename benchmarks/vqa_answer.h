/* vqa_answer.h -- how VQAv2, VizWiz and TextVQA clean an answer and give it partial credit.
 *
 * Two cleanings, each a chain of slips that decide scores, kept as they are:
 *   N-VQA   GT-Vision-Lab/VQA, PythonEvaluationTools/vqaEvaluation/vqaEval.py
 *   N-M4C   haotian-liu/LLaVA, llava/eval/m4c_evaluator.py, EvalAIAnswerProcessor: what LLaVA does
 *           to every reply before it is submitted, or scored on TextVQA
 * All results live in the arena. */
#ifndef BENCHMARKS_VQA_ANSWER_H
#define BENCHMARKS_VQA_ANSWER_H

#include "benchmarks/benchmark.h"

/* VizWiz's copy of the contraction table has U+2019 for most of its apostrophes. */
enum vqa_contractions { CONTRACTIONS_VQA, CONTRACTIONS_VIZWIZ };

/* The first step alone: line feeds and tabs are blanks, no white space at the ends. */
const char *vqa_trim(struct arena *a, const char *text);

/* N-VQA, and N-M4C. */
const char *vqa_normal(struct arena *a, const char *text, enum vqa_contractions table);
const char *vqa_submitted(struct arena *a, const char *text);

/* Partial credit: each human in turn is left out, and the reply earns a third for each of the
 * others who gave it, at most 1; the mean over the humans left out. With ten of them, k of whom
 * agree: 0, .3, .6, .9, 1 for k = 0, 1, 2, 3, 4 and more. */
double vqa_credit(const char *reply, const char *const *answers, int n);

/* Copies into the arena the strings of a JSON array of answers, or of objects with "answer"; equal
 * ones share their bytes. ERR_DATA says how `where` ("FILE: question ID") is wrong. */
enum status vqa_answers(struct arena *a, const struct json *list, const char *where,
                        struct question *q, struct err *e);

/* Metrics from marks where a is the credit and b the place of the answer's type in `types`:
 * accuracy, then one metric for each of the n types. */
void vqa_tally(const struct tally_input *in, const char *const *types, int n, struct scores *out);

#endif
