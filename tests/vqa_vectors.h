/* vqa_vectors.h -- tests/vectors/vqa/credit.jsonl, row by row. */
#ifndef TESTS_VQA_VECTORS_H
#define TESTS_VQA_VECTORS_H

#include "engine/base/json.h"
#include "engine/base/str.h"

enum { VQA_VECTORS = 43, VQA_VECTORS_SHARED = 28 };         /* the rest are TextVQA's alone */

struct vqa_vector {
    const char *reply, *answers[10];
    double score;                       /* per cent by the evaluator asked for */
};

/* Fills rows; returns how many have a score under this name. Strings live in the arena. */
size_t vqa_vectors(const char *evaluator, struct arena *a, struct vqa_vector rows[VQA_VECTORS]);

/* "answers": [...] of a row, as objects or as texts. */
void vqa_vector_answers(struct str *s, const struct vqa_vector *row, bool objects);

#endif
