/* version.c -- the program's version, as git names it; -DVERSION by the Makefile. */
#include "harness/version.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

const char llava_eval_version[] = VERSION;
