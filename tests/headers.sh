#!/bin/sh
# Every header compiles alone, and twice.
cd "$ROOT" || exit 1
bad=0
for header in $(find engine kernels prompts benchmarks results harness tests -name '*.h' | sort); do
    case $header in */utf8_tables.h) continue ;; esac       # data, included by its one owner
    printf '#include "%s"\n#include "%s"\nstruct not_empty;\n' "$header" "$header" |
        ${CC:-gcc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -I. -fsyntax-only -x c - ||
        { echo "$header does not compile alone and twice"; bad=1; }
done
exit $bad
