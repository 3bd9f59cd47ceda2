/* marks.h -- figures as people read them, with the marks that say what a figure is not; the notes
 * below a table explain those that occur. */
#ifndef HARNESS_MARKS_H
#define HARNESS_MARKS_H

#include "engine/base/arena.h"

enum mark_kind {
    MARK_PARTIAL = 1 << 0,      /* † questions missing, or a selection */
    MARK_UNOFFICIAL = 1 << 1,   /* ‡ not the data, or not the split, that is published about */
    MARK_SEEN = 1 << 2,         /* * its training images were seen in training (the paper's mark) */
    MARK_IN_HOUSE = 1 << 3,     /* ¶ in-house training data (the paper's own †) */
    MARK_SIGNIFICANT = 1 << 4,  /* * p below 0.05 after Holm's correction */
    MARK_FP8 = 1 << 6,          /* § multiplied in 8 bits */
    MARK_DEMO_JUDGE = 1 << 5,   /* no mark, a note: judged by word overlap */
};

/* What a run's dtype adds to the marks of its figures. */
unsigned marks_of_dtype(const char *dtype);
/* "85.9†‡"; marks are added to *used. NaN: NULL, the absent cell. */
const char *marks_number(struct arena *a, double value, unsigned marks, unsigned *used);
/* "+1.2", with the minus of typography. */
const char *marks_change(struct arena *a, double value, unsigned marks, unsigned *used);
/* "[-0.4, +1.2]", or NULL where there is none. */
const char *marks_interval(struct arena *a, double low, double high);
const char *marks_p(struct arena *a, double p);             /* "0.031", "<0.001"; NULL for NaN */

/* A line for each mark that was used; "" for none. */
const char *marks_notes(struct arena *a, unsigned used);

#endif
