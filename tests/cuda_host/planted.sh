#!/bin/sh
# planted.sh -- mistakes planted in the CUDA kernels, one at a time: the kernels' tests must fail at each.
# A test that no mistake can fail proves nothing; nor does an emulation that lets them pass. B is the
# build folder, with cuda-host/kernel-tests in it.
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
CXX=${CXX:-g++}
out=$(mktemp -d "${TMPDIR:-/tmp}/llava-eval-planted.XXXXXX") || exit 1
trap 'rm -rf "$out"' EXIT
passed=0 failed=0

# plant NAME FILE SOURCES TESTS PERL: the perl program changes kernels/FILE; SOURCES (of *.cu) are
# compiled with it; of TESTS at least one must fail.
plant() {
    name=$1 file=$2 sources=$3 tests=$4
    rm -rf "$out/kernels" "$out/run"
    cp -R kernels "$out/kernels" && mkdir "$out/run" || exit 1
    perl -0pi -e "$5" "$out/kernels/$file" || exit 1
    if cmp -s "kernels/$file" "$out/kernels/$file"; then
        echo "FAIL planted: $name: kernels/$file no longer has the place for it"
        failed=$((failed + 1))
        return
    fi
    objects=$(find "$B/cuda-host/kernels" "$B/cuda-host/engine" "$B/cuda-host/tests/cuda_host" -name '*.o')
    for source in $sources; do
        "$CXX" -x c++ -std=c++17 -O1 -w -fopenmp -ffp-contract=off -Itests/cuda_host -I"$out" -I. \
            -c "$out/kernels/$source.cu" -o "$out/$source.o" || exit 1
        objects=$(echo "$objects" | grep -v "/kernels/$source.cu.o")" $out/$source.o"
    done
    # shellcheck disable=SC2086
    "$CXX" -fopenmp -pthread -o "$out/run/kernel-tests" $objects "$B/harness/devices.c.o" "$B/tests/main.c.o" "$B/libllava.a" \
        -ljpeg -lpng -lwebp -lsentencepiece -lm || exit 1
    # shellcheck disable=SC2086
    if "$out/run/kernel-tests" $tests >"$out/log" 2>&1; then
        echo "FAIL planted: $name: nothing failed"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
        echo "ok planted: $name: $(grep -c '^FAIL' "$out/log") tests failed"
    fi
}

plant "no barrier behind a wait" attention.cu attention cuda_attend_l \
    's/(copy_async_wait<1>\(\);\s*)__syncthreads\(\);/$1/'
plant "no barrier before the next chunk" attention.cu attention cuda_attend \
    's/(n, by\);\s*\}\s*)__syncthreads\(\);/$1/'
plant "no wait for a chunk" attention.cu attention cuda_attend_l 's/copy_async_wait<1>\(\);//'
plant "a wait for one group too few" attention.cu attention cuda_attend_l \
    's/copy_async_wait<0>/copy_async_wait<1>/'
plant "a neighbour's row of V" attention.cu attention cuda_attend_l 's/k \* 32 \+ lane\]/k * 32 + (lane ^ 1)]/'
plant "one column too many" attention.cu attention cuda_attend_l 's/>= n\)\s*s\[i \/ 2\]/> n) s[i \/ 2]/'
plant "no zeros behind a range" attention.cu attention cuda_attend_l \
    's/left > 0 \? get : \(const char \*\)from, left > 0 \? 16 : 0/get, 16/'
plant "questions seen as one" attention.cu attention cuda_attend_l 's/ \|\| before.own != s.own//'
plant "infinities of others" attention.cu attention infinities \
    's/n\[i \/ 2\] \? sum : y\[j\]\[i\]/sum/'
plant "no barrier in a sum" reduce.cuh norm cuda_norms 's/(part\[warp\] = x;\s*)__syncthreads\(\);/$1/'
plant "two sums in one array" norm.cu norm cuda_norms 's/squares, more\)/squares, part)/'
plant "a row too many" reduce.cuh "copy finish" "gather finish" 's/\*t < T/*t <= T/'
plant "a number too many" reduce.cuh copy gather 's/\*i < D/*i <= D/'
plant "the wrong half turned" rope.cu rope cuda_cache 's/b \* c\[m\] \+ a/a * c[m] + b/'
plant "no barrier in the sort" sample.cu sample cuda_sample 's/__syncthreads\(\);\s*for/for/'
plant "the last of equals" sample.cu sample cuda_sample 's/\| \(uint32_t\)id;/| (0x7fffffffu - (uint32_t)id);/'

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
