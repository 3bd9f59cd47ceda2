/* import.h -- answers made by other programs -> replies by ordinal.
 *
 * LLaVA's answers (JSON lines with question_id and text), lmms-eval's samples (.jsonl), VLMEvalKit's
 * predictions (.xlsx, .tsv, .json); told apart by what is in the file, not by its name. */
#ifndef HARNESS_IMPORT_H
#define HARNESS_IMPORT_H

#include "benchmarks/benchmark.h"

/* Fills out; what it passed over is counted there, and said by import_warn. */
enum status import_answers(const struct benchmark *b, struct questions *qs, const char *path,
                           struct answers *out, struct arena *a, struct err *e);
void import_warn(const struct answers *a, const char *path);

#endif
