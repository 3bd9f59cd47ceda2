/* reference.h -- published figures, built into the program from results/reference/.
 *
 *     {"title": ..., "note": ..., "rows": [
 *       {"model": "LLaVA-1.5-7B", "llm": ..., "connector": ..., "resolution": 336,
 *        "pretrain": "558K", "finetune": "665K", "in_house": false, "figures": [
 *          {"benchmark": "gqa", "split": "testdev_balanced", "metric": "accuracy", "value": 62.0,
 *           "judge": ..., "seen": true, "source": "Table 3",
 *           "checked": ["LLaVA docs/MODEL_ZOO.md"]}]}]}
 *
 * checked: where else the figure stands alike; [] for nowhere that was looked. */
#ifndef RESULTS_REFERENCE_H
#define RESULTS_REFERENCE_H

#include "engine/base/arena.h"

struct reference_figure {
    const char *benchmark, *split, *metric, *judge;         /* judge NULL: none */
    double value;
    bool seen;                  /* its training images were seen in training */
    const char *source, *checked;                           /* checked "": found in one place only */
};
struct reference {
    const char *model, *llm, *connector, *pretrain, *finetune;      /* NULL: not said */
    int resolution;             /* 0: not said */
    bool in_house;              /* trained with data that is not public */
    struct reference_figure *figures;
    size_t n;
};

/* The rows of one file ("paper", "scaling", "zoo"), in its order; all in the arena. */
enum status results_reference(const char *name, struct arena *a, struct reference **rows, size_t *n,
                              struct err *e);

#endif
