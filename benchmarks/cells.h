/* cells.h -- what several runs said to the same questions, boiled down to what a tally can tell
 * apart, so that a metric can be tallied ten thousand times.
 *
 * A unit is what a tally counts as one: a question, MME's picture with its two, MMBench's question
 * with all rotations. Units that are alike (category, picture or none, benchmark.kind) and have the
 * same marks fall into one cell; a cell's first unit stands for it. A tally over these few, each
 * counted as often as its cell says, is the tally over all. */
#ifndef BENCHMARKS_CELLS_H
#define BENCHMARKS_CELLS_H

#include "benchmarks/benchmark.h"

struct cells {
    const struct benchmark *benchmark;
    int n_runs, passes;
    size_t n_pictures, n_units, n_cells, n_metrics;
    size_t n_questions, n_left_out;     /* compared; lacking a reply or a judgement in some run */
    size_t *first;                      /* [n_pictures + 1]: units of one picture stand together */
    uint32_t **cell;                    /* [n_runs][n_units] */
    size_t *rows, *first_row;           /* of unit u: rows[first_row[u] .. first_row[u + 1]) */
    const char **metrics;               /* [n_metrics], as the tally names them */
    size_t headline;                    /* among them */
    bool *member;                       /* [n_cells][n_metrics]: is the metric over such units? */

    struct questions standing;          /* the questions that stand for their cells */
    uint32_t *cell_of;                  /* [standing.n] */
    size_t *first_standing;             /* [n_cells + 1] */
    struct mark *marks;                 /* [passes][standing.n] */
    struct arena arena;                 /* of all the above */
};

/* marks: [n_runs], each [passes][qs->n]. A unit is left out where any of its marks is missing.
 * Borrows qs. Free it in any case. */
enum status cells_make(struct cells *c, const struct benchmark *b, const struct questions *qs,
                       int n_runs, const struct mark *const *marks, int passes, struct err *e);
void cells_free(struct cells *c);

/* The metrics when units of each cell count weight[cell] times, NaN where undefined. `cells` is a
 * struct cells; several threads may call it at once. */
void cells_tally(const void *cells, const uint32_t *weight, double *metrics);

/* Questions (MMBench: questions with all rotations) on which the second run's reply is worth more,
 * and less, than the first's, and how many there are, for each metric: [n_metrics]. */
struct flips { size_t gained, lost, of; };
void cells_flips(const struct cells *c, const struct questions *qs, const struct mark *first,
                 const struct mark *second, struct flips *flips);

#endif
