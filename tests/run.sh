#!/bin/sh
# run.sh [NAME] -- every test that `make test` stands for; the last line is the sum of all.
# Unit tests are one program, as are operations and models on the CPU, the CUDA kernels on the emulated
# GPU, and operations and models on it; each tests/cli/*.sh is one test more, as are the checks of the
# source tree. A script passes with status 0, is skipped with 77 (its last line says why), else fails.
# B is the build folder. With NAME, only the tests whose name contains it.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
B=${B:-build}
only=${1:-}
passed=0 failed=0 skipped=0
# Threads that wait must not take the core from those they wait for: on two busy cores a third of the time.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

out=$(mktemp -d "${TMPDIR:-/tmp}/llava-eval-tests.XXXXXX") || exit 1
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

# A program of tests/main.c: its last line is its own sum.
program() {
    name=$1; shift
    LLAVA_ROOT=$root "$B/$name" "$@" >"$out/unit" 2>&1
    sed '$d' "$out/unit"
    counts=$(tail -n 1 "$out/unit" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ -z "$counts" ]; then
        echo "FAIL $name: ended without its closing line"
        tail -n 5 "$out/unit"
        failed=$((failed + 1))
        return
    fi
    [ "$counts" != '0 0 0' ] || return 0                    # none of that name here
    # shellcheck disable=SC2086
    set -- $counts
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

program unit-tests ${only:+"$only"}
program test-ops "${only:-cpu}"
program cuda-host/kernel-tests ${only:+"$only"}
program cuda-host/test-ops "${only:-cuda-host}"

for script in tests/layers.sh tests/headers.sh tests/banned.sh tests/hardened.sh tests/cli/*.sh; do
    [ -f "$script" ] && [ "${script##*/}" != lib.sh ] || continue
    case $script in *"$only"*) ;; *) continue ;; esac
    mkdir "$out/run" || exit 1
    (cd "$out/run" && ROOT=$root PROGRAM=$root/$B/llava-eval B=$root/$B HOME=$out/run \
        XDG_CACHE_HOME=$out/run/cache sh "$root/$script") >"$out/log" 2>&1
    case $? in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)); echo "skip $script: $(tail -n 1 "$out/log")" ;;
    *) failed=$((failed + 1)); echo "FAIL $script"; tail -n 25 "$out/log" ;;
    esac
    rm -rf "$out/run"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
