#!/bin/sh
# gpu.sh -- every check that needs a real GPU: operations and models, the demo through the CUDA backend
# against the CPU, and, where compute-sanitizer works, memcheck and racecheck. Ends with the sum.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
B=${B:-build}
passed=0 failed=0 skipped=0
out=$(mktemp -d "${TMPDIR:-/tmp}/llava-eval-gpu.XXXXXX") || exit 1
trap 'rm -rf "$out"' EXIT

program() {                     # counts a program of tests/main.c
    LLAVA_ROOT=$root "$@" >"$out/log" 2>&1
    grep -v '^=========' "$out/log" | tail -n 40
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$out/log" | tail -n 1)
    [ -n "$counts" ] || { failed=$((failed + 1)); echo "FAIL $*: no closing line"; return; }
    # shellcheck disable=SC2086
    set -- $counts
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

check() {                       # NAME COMMAND...: one check
    name=$1; shift
    if "$@" >"$out/log" 2>&1; then
        passed=$((passed + 1)); echo "ok $name"
    else
        failed=$((failed + 1)); tail -n 20 "$out/log"; echo "FAIL $name"
    fi
}

if ! "$B/llava-eval" doctor --json | grep -q '"cuda:0":'; then
    "$B/llava-eval" doctor | grep -E '^(cuda|gpus) '
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
"$B/llava-eval" doctor
check "doctor" "$B/llava-eval" doctor
program "$B/test-ops" cuda

suite=vqav2:val,gqa,vizwiz:val,scienceqa,textvqa,pope,mme,mmbench,seed,llavabench,mmvet
demo() {                        # the demo's replies on DEVICE in DTYPE
    "$B/llava-eval" --suite "$suite" --model demo/checkpoints/tiny-linear --model demo/checkpoints/tiny-mlp \
        --mirror "file://$root/demo/mirror" --judge demo --data "$out/data" --db "$out/$3.db" \
        --device "$1" --dtype "$2" &&
        "$B/store-dump" "$out/$3.db" "SELECT d.benchmark, m.label, r.ordinal, r.text FROM reply r
            JOIN run ON run.id = r.run JOIN dataset d ON d.id = run.dataset
            JOIN model m ON m.id = run.model ORDER BY 1, 2, 3" >"$out/$3.txt"
}
check "the demo on the CPU" demo cpu fp32 cpu
check "the demo on the GPU, fp32" demo cuda fp32 fp32
check "fp32 replies are the CPU's" cmp "$out/cpu.txt" "$out/fp32.txt"
check "the demo on the GPU, fp16" demo cuda fp16 fp16
check "the demo on the GPU, bf16" demo cuda bf16 bf16
if "$B/llava-eval" doctor | grep -q '^cuda:0 fp8 '; then
    check "the demo on the GPU, fp8" demo cuda fp8 fp8
else
    skipped=$((skipped + 1)); echo "skip fp8: the GPU is older than compute capability 9.0"
fi
gpus=$("$B/llava-eval" doctor | grep -cE '^cuda:[0-9]+  ')
if [ "$gpus" -gt 1 ]; then
    check "the demo on two GPUs, fp16" demo cuda:0,1 fp16 two
    check "replies do not depend on the number of GPUs" cmp "$out/fp16.txt" "$out/two.txt"
else
    skipped=$((skipped + 1)); echo "skip two GPUs: there is one"
fi

tool=$(command -v compute-sanitizer)
if [ -n "$tool" ] && "$tool" --tool memcheck "$B/test-ops" cuda_ops_F32_copies >"$out/log" 2>&1; then
    for kind in memcheck "racecheck --racecheck-detect-level error"; do     # warnings: cuBLASLt's kernels have some
        # shellcheck disable=SC2086
        check "${kind%% *}" env LLAVA_SLOW=1 "$tool" --tool $kind --target-processes all --error-exitcode 9 "$B/test-ops" cuda_ops
    done
else
    skipped=$((skipped + 2)); echo "skip memcheck, racecheck: compute-sanitizer is not there or does not work"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
