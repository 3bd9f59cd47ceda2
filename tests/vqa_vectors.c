/* vqa_vectors.c -- see vqa_vectors.h. */
#include "tests/vqa_vectors.h"

#include "tests/check.h"

size_t vqa_vectors(const char *evaluator, struct arena *a, struct vqa_vector rows[VQA_VECTORS])
{
    struct err e = { 0 };
    struct jsonl in;
    size_t n = 0;
    jsonl_open(&in, a, &e, "%s/tests/vectors/vqa/credit.jsonl", test_root());
    while (n < VQA_VECTORS && jsonl_next(&in)) {
        const struct json *answers = json_get(in.object, "answers");
        if (!json_get(in.object, evaluator) || !CHECK(answers && answers->n == 10))
            continue;
        rows[n] = (struct vqa_vector){ .reply = jsonl_str(&in, "reply"),
                                       .score = json_get_double(in.object, evaluator, -1) };
        int k = 0;
        for (const struct json *t = answers->first; t; t = t->next)
            rows[n].answers[k++] = arena_str(a, t->string);
        n++;
    }
    CHECK_OK(jsonl_close(&in), e);
    return n;
}

void vqa_vector_answers(struct str *s, const struct vqa_vector *row, bool objects)
{
    str_add(s, "\"answers\": [");
    for (int k = 0; k < 10; k++) {
        str_add(s, k ? ", " : "");
        str_add(s, objects ? "{\"answer\": " : "");
        str_add_json(s, row->answers[k]);
        if (objects)
            str_addf(s, ", \"answer_confidence\": \"yes\", \"answer_id\": %d}", k + 1);
    }
    str_addc(s, ']');
}
