#!/bin/sh
# build.sh [SECONDS] -- every fuzz_*.c with clang's libFuzzer into $B/fuzz, under address and undefined-
# behaviour checks; with SECONDS, also runs each for so long on the fixtures of tests/golden. What they
# find is kept in $B/fuzz/<name>/.
set -eu
cd "$(dirname "$0")/../.."
B=${B:-build}
seconds=${1:-}
CLANG=${CLANG:-$(command -v clang-14 || command -v clang)}
flags="-std=c11 -D_GNU_SOURCE -I. -O1 -g -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
base="engine/base/arena.c engine/base/err.c engine/base/file.c engine/base/json.c engine/base/str.c engine/base/utf8.c"
mkdir -p "$B/fuzz"

target() {  # NAME EXTRA... : sources and libraries behind fuzz_NAME.c
    name=$1
    shift
    # shellcheck disable=SC2086
    "$CLANG" $flags -o "$B/fuzz/$name" "tests/fuzz/fuzz_$name.c" "$@" $base -lm
    echo "$B/fuzz/$name"
    [ -n "$seconds" ] || return 0
    mkdir -p "$B/fuzz/$name.seeds" "$B/fuzz/$name.found"
    "$B/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=20000 \
        -artifact_prefix="$B/fuzz/$name.found/" -print_final_stats=1 "$B/fuzz/$name.seeds" >"$B/fuzz/$name.log" 2>&1 ||
        { tail -n 40 "$B/fuzz/$name.log"; exit 1; }
    grep -E 'number_of_executed_units|peak_rss' "$B/fuzz/$name.log"
}

if [ -n "$seconds" ]; then  # the fixtures, one file each
    mkdir -p "$B/fuzz/image.seeds" "$B/fuzz/pickle.seeds" "$B/fuzz/json.seeds" "$B/fuzz/safetensors.seeds"
    while read -r name offset size _; do
        tail -c +$((offset + 1)) tests/golden/images.bin | head -c "$size" >"$B/fuzz/image.seeds/$name"
    done <tests/golden/images.txt
    cp tests/golden/*.bin "$B/fuzz/pickle.seeds/"
    rm -f "$B/fuzz/pickle.seeds/images.bin"
    head -n 20 tests/golden/tokens.jsonl | split -l 1 - "$B/fuzz/json.seeds/line"
    head='{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}'
    { printf '\156\0\0\0\0\0\0\0'; printf '%s' "$head"; printf '0123456789abcdef'; } >"$B/fuzz/safetensors.seeds/two"
fi
target safetensors engine/safetensors.c engine/stored.c
target pickle engine/torch_pickle.c engine/stored.c
target json
target image engine/image.c engine/image_bmp.c engine/image_gif.c engine/preprocess.c -ljpeg -lpng -lwebp
