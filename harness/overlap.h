/* overlap.h -- the demonstration's judge: how many words do a reply and its reference share?
 *
 * No judge of quality: it exists so that the two judged benchmarks can be shown without a network.
 * Every score it makes carries the judge's name, "demo". */
#ifndef HARNESS_OVERLAP_H
#define HARNESS_OVERLAP_H

/* F1 of the two bags of words, 0 to 1: ASCII letters and digits in lower case are a word, all else
 * separates. `reference` may hold alternatives: "<OR>" separates whole ones (the best counts),
 * "<AND>" is a blank. */
double word_overlap(const char *reply, const char *reference);

#endif
