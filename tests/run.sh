#!/bin/sh
# run.sh [NAME] -- every test that `make test` stands for; the last line is the sum of all.
# Unit tests are one program, as are operations and models on the CPU, the CUDA kernels on the emulated
# GPU, and operations and models on it; each tests/cli/*.sh is one test more, as are the checks of the
# source tree. A script passes with status 0, is skipped with 77 (its last line says why), else fails.
# As many run at a time as there are processors, the long ones first: most of them use no more than one.
# B is the build folder. With NAME, only the tests whose name contains it.
set -u
cd "$(dirname "$0")/.." || exit 1
export ROOT="$PWD" B="${B:-build}" ONLY="${1:-}"
# Threads that wait must not take the core from those they wait for: on two busy cores a third of the time.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

OUT=$(mktemp -d "${TMPDIR:-/tmp}/llava-eval-tests.XXXXXX") || exit 1
export OUT
trap 'rm -rf "$OUT"' EXIT
trap 'exit 130' INT TERM

names() {  # the long ones come first, and stand twice
    for name in unit-tests cuda-host/kernel-tests tests/cli/cuda_host.sh cuda-host/test-ops test-ops tests/cli/torture.sh \
        tests/cli/*.sh tests/layers.sh tests/headers.sh tests/banned.sh tests/hardened.sh; do
        case $name in
        */lib.sh) ;;
        *.sh) case $name in *"$ONLY"*) echo "$name" ;; esac ;;
        *) echo "$name" ;;
        esac
    done | awk '!seen[$0]++'
}

names >"$OUT/names"
xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" sh tests/one.sh <"$OUT/names" || echo "0 1 0" >"$OUT/names.sum"
cat "$OUT"/*.sum | awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }'
