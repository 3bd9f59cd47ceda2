#!/bin/sh
# Functions that overrun, exit behind the caller's back or follow the user's locale.
cd "$ROOT" || exit 1
sources=$(find engine kernels prompts benchmarks results harness -name '*.c' -o -name '*.h' -o -name '*.cc')
# shellcheck disable=SC2086
! grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|strtod|strtof|setlocale)\(' $sources |
    grep -v 'engine/base/str.c' | grep . || exit 1
# Only say.c writes to stderr; only the harness exits or reads the environment.
# shellcheck disable=SC2086
! grep -nE '\b(perror|fprintf\(stderr|exit\(|getenv\()' $sources |
    grep -vE '^harness/(say|main|options)\.c' | grep .
