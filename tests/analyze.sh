#!/bin/sh
# gcc -fanalyzer and cppcheck over the product. What they say must stand in the list below, each with the
# reason why it is no fault; anything else fails. About a minute.
#
# Most of them have one cause: a failure sets struct err, later steps look at it and do nothing, and an analyzer
# that does not follow it through the call sees a NULL or an unset value being used.
cd "$(dirname "$0")/.." || exit 1
out=$(mktemp) known=$(mktemp)
trap 'rm -f "$out" "$known"' EXIT

cat >"$known" <<'END'
benchmarks/mme.c use-after-free                    text is in the arena, which is not freed there
benchmarks/mmvet.c uninitvar                       the first n of columns are set, and read
engine/backend_plain.c nullPointerArithmeticRedundantCheck    sum is checked where it is made
engine/base/sha256.c use-of-uninitialized-value    w[16..] is filled from w[0..15] before it is read
engine/image.c malloc-leak                         belongs to the image, which the caller frees
engine/image_gif.c use-of-uninitialized-value      before[] is filled where a frame restores it
engine/image_gif.c legacyUninitvar                 the same
engine/llava.c malloc-leak                         belongs to the question, freed when it is answered
engine/llava.c legacyUninitvar                     set by the loop, whose end is a hit or another branch
engine/resize.c null-dereference                   the error is set, and the loop looks at it
engine/resize.c possible-null-dereference          the same
engine/resize.c funcArgOrderDifferent              a callback of the same name elsewhere
engine/resize_avx2.c possible-null-dereference     the loop's condition is the check
engine/resize_avx512.c possible-null-dereference   the same
engine/safetensors.c null-dereference              a missing member sets the error, looked at before
engine/torch_pickle.c null-dereference             pop() sets the error, looked at before
harness/options.c invalidPointerCast               the table says which type the field has
harness/overlap.c syntaxError                      <iso646.h> is not included: "or" is a name
harness/videos.c null-argument                      at is NULL only where n is 0
harness/verb_compare.c use-of-uninitialized-value  find_runs() is false where it sets none
kernels/pack.c invalidPointerCast                  a packed block of floats is a block of bytes
kernels/simd.inc uninitvar                         set there, through the pointers
results/compare.c null-argument                    a worker without memory is not started
results/stats.c arrayIndexThenCheck                k is below n by the loop
END

for file in harness/*.c results/*.c benchmarks/*.c prompts/*.c engine/*.c engine/base/*.c; do
    gcc -std=c11 -I. -D_GNU_SOURCE -fopenmp -O2 -fanalyzer -c "$file" -o /dev/null 2>&1 |
        sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: warning: .*\[-Wanalyzer-\(.*\)\]$/\1 \2/p'
done >"$out"
cppcheck --enable=warning,portability -j2 -q -I. -D_GNU_SOURCE --std=c11 --template='{file} {id}' \
    harness results benchmarks prompts engine kernels 2>&1 |
    grep -E '^[a-z_0-9/]+\.(c|h|cc|inc) [a-zA-Z]+$' >>"$out"
new=$(sort -u "$out" | awk 'NR == FNR { known[$1 " " $2]; next } !(($1 " " $2) in known)' "$known" -)
[ -z "$new" ] || { echo "new, neither mended nor explained in $0:"; echo "$new"; exit 1; }
echo "$(sort -u "$out" | wc -l) known, none new"
