#!/bin/sh
# gcc -fanalyzer, cppcheck and clang-tidy (14; .clang-tidy says which checks) over the product. What they say
# must stand in the list below, each with the reason why it is no fault; anything else fails. Two minutes on two processors.
#
# Most of them have one cause: a failure sets struct err, later steps look at it and do nothing, and an analyzer
# that does not follow it through the call sees a NULL or an unset value being used.
cd "$(dirname "$0")/.." || exit 1
out=$(mktemp) known=$(mktemp)
trap 'rm -f "$out" "$known"' EXIT

cat >"$known" <<'END'
benchmarks/mmbench.c clang-analyzer-core.CallAndMessage    find_columns() sets all where it is OK
benchmarks/mmbench.c clang-analyzer-optin.portability.UnixAPI    a row without a picture was told before
benchmarks/mme.c use-after-free                    text is in the arena, which is not freed there
benchmarks/mmvet.c uninitvar                       the first n of columns are set, and read
benchmarks/pope.c bugprone-integer-division        a number of names is whole
engine/backend_cublas.c bugprone-macro-parentheses    the name of a member stands in none
engine/backend_cublas.c clang-analyzer-core.CallAndMessage    load() sets all where it is OK
engine/backend_cuda.c clang-analyzer-optin.portability.UnixAPI    a step has rows, and they have positions
engine/backend_plain.c clang-analyzer-core.uninitialized.Assign    the loop above sets N of them, or 2 N
engine/backend_plain.c invalidPointerCast          one block, for sums and then for a row
engine/base/sha256.c use-of-uninitialized-value    w[16..] is filled from w[0..15] before it is read
engine/image.c malloc-leak                         belongs to the image, which the caller frees
engine/image_gif.c clang-analyzer-core.uninitialized.ArraySubscript    all count of them are filled, or it ends
engine/image_gif.c use-of-uninitialized-value      before[] is filled where a frame restores it
engine/image_gif.c legacyUninitvar                 the same
engine/llava.c malloc-leak                         belongs to the question, freed when it is answered
engine/llava.c legacyUninitvar                     set by the loop, whose end is a hit or another branch
engine/lora.c clang-analyzer-core.UndefinedBinaryOperatorResult    r x K is its own tensor's size, which fits
engine/resize.c null-dereference                   the error is set, and the loop looks at it
engine/resize.c possible-null-dereference          the same
engine/resize.c clang-analyzer-core.NullDereference    the same
engine/resize.c funcArgOrderDifferent              a callback of the same name elsewhere
engine/resize_avx2.c possible-null-dereference     the loop's condition is the check
engine/resize_avx512.c possible-null-dereference   the same
engine/safetensors.c null-dereference              a missing member sets the error, looked at before
engine/safetensors.c clang-analyzer-core.NullDereference    the same
engine/torch_pickle.c clang-analyzer-core.NullDereference    pop() sets the error, looked at before
engine/torch_pickle.c null-dereference             pop() sets the error, looked at before
harness/bench_error.c malloc-leak                  the pictures are freed at the function's end
harness/bench_picture.c bugprone-not-null-terminated-result    the letters of a file's format
harness/import.c clang-analyzer-core.CallAndMessage    the error is set, and the loop looks at it
harness/import.c clang-analyzer-core.UndefinedBinaryOperatorResult    the same
harness/options.c clang-analyzer-core.NullDereference    without memory for the words there are none
harness/options.c invalidPointerCast               the table says which type the field has
harness/overlap.c syntaxError                      <iso646.h> is not included: "or" is a name
harness/report_answers.c clang-analyzer-core.NullDereference    the error is set, and the loops look at it
harness/videos.c clang-analyzer-core.NonNullParamChecker    at is NULL only where n is 0
harness/videos.c null-argument                      at is NULL only where n is 0
harness/verb_compare.c use-of-uninitialized-value  find_runs() is false where it sets none
kernels/pack.c invalidPointerCast                  a packed block of floats is a block of bytes
kernels/simd.inc uninitvar                         set there, through the pointers
results/compare.c null-argument                    a worker without memory is not started
results/stats.c arrayIndexThenCheck                k is below n by the loop
END

each() {                        # COMMAND FILE...: the command with each file as $1, on all processors
    command=$1; shift
    printf '%s\n' "$@" | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" sh -c "$command" sh
}
sources='harness/*.c results/*.c benchmarks/*.c prompts/*.c engine/*.c engine/base/*.c'

# shellcheck disable=SC2086
{
    each 'gcc -std=c11 -I. -D_GNU_SOURCE -fopenmp -O2 -fanalyzer -c "$1" -o /dev/null 2>&1 |
        sed -n "s/^\([^ :]*\):[0-9]*:[0-9]*: warning: .*\[-Wanalyzer-\(.*\)\]\$/\1 \2/p"' $sources
    cppcheck --enable=warning,portability -j2 -q -I. -D_GNU_SOURCE --std=c11 --template='{file} {id}' \
        harness results benchmarks prompts engine kernels 2>&1 |
        grep -E '^[a-z_0-9/]+\.(c|h|cc|inc) [a-zA-Z]+$'
    each 'clang-tidy --quiet "$1" -- -std=c11 -I. -D_GNU_SOURCE -fopenmp -DDEMO_DIR="\"\"" \
            -Xclang -analyzer-config -Xclang mode=shallow 2>/dev/null |
        sed -n "s|^$PWD/\([^ :]*\):[0-9]*:[0-9]*: warning: .*\[\([^],]*\).*\]\$|\1 \2|p"' $sources kernels/*.c
} >"$out"
new=$(sort -u "$out" | awk 'NR == FNR { known[$1 " " $2]; next } !(($1 " " $2) in known)' "$known" -)
[ -z "$new" ] || { echo "new, neither mended nor explained in $0:"; echo "$new"; exit 1; }
echo "$(sort -u "$out" | wc -l) known, none new"
