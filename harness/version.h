/* version.h -- the program's version: it goes into every run and answers --version. */
#ifndef HARNESS_VERSION_H
#define HARNESS_VERSION_H

extern const char llava_eval_version[];

#endif
