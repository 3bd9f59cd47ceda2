#!/bin/sh
# threads.sh DATA -- ThreadSanitizer over what runs in threads: a run (prepare, devices), downloads, the judge's
# client, the scheduler; then valgrind's leak check over a run. DATA holds the demonstration's data.
#
# OpenMP has one thread here: libgomp is not instrumented, and its barriers are invisible. For the same reason the
# cutting of videos (FFmpeg) is left out; so is one test of http.c whose server thread reads what the test
# wrote before it asked, an order that a socket makes and ThreadSanitizer cannot see.
set -eu
data=$(realpath "$1")
cd "$(dirname "$0")/.."
root=$PWD
export OMP_NUM_THREADS=1 TSAN_OPTIONS=exitcode=66
make -s -j2 B=build/tsan CFLAGS="-O1 -g -fsanitize=thread" CXXFLAGS="-O1 -g -fsanitize=thread" \
    LDFLAGS=-fsanitize=thread build/tsan/llava-eval build/tsan/unit-tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for tests in ahead fetch_ judge scheduler llava_ unpack; do
    LLAVA_ROOT=$root build/tsan/unit-tests $tests >"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
    ! grep -A 12 'WARNING: ThreadSanitizer' "$work/log" || exit 1
done
small="--suite pope,gqa --model demo/checkpoints/tiny-mlp --data $data --offline -q"
# shellcheck disable=SC2086
build/tsan/llava-eval run $small --suite mmbench --db "$work/tsan.db"
command -v valgrind >/dev/null || { echo "no valgrind: leaks are not looked for"; exit 0; }
# shellcheck disable=SC2086
LLAVA_SIMD=avx2 valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=9 \
    ./llava-eval run $small --limit 12 --db "$work/valgrind.db"
