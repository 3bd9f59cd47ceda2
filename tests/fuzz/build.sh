#!/bin/sh
# build.sh [SECONDS [NAME...]] -- every fuzz_NAME.c with clang's libFuzzer into $B/fuzz, under address and
# undefined-behaviour checks. With SECONDS, also runs each (or those named) for so long, from the good
# files of tests/golden and demo/: $B/fuzz/NAME.seeds. What a run finds is in $B/fuzz/NAME.found, what
# it said and the processor's time that it took at the end of $B/fuzz/NAME.log.
set -eu
cd "$(dirname "$0")/../.."
B=${B:-build}
seconds=${1:-}
[ $# -eq 0 ] || shift
names=${*:-safetensors torch json tokenizer image xlsx judge questions answers archive http store}
CLANG=${CLANG:-$(command -v clang-14 || command -v clang)}
flags="-D_GNU_SOURCE -I. -O1 -g -ffp-contract=off -fsanitize=address,undefined -fno-sanitize-recover=undefined"
base="engine/base/arena.c engine/base/err.c engine/base/file.c engine/base/json.c engine/base/str.c engine/base/utf8.c"
exact="tests/fuzz/exact_file.c -Wl,--wrap=file_open,--wrap=file_close"
mkdir -p "$B/fuzz"
B=$(realpath "$B") LLAVA_ROOT=$PWD
export LLAVA_ROOT

sources() {  # NAME: what stands behind fuzz_NAME.c
    case $1 in
    safetensors) echo engine/safetensors.c engine/stored.c ;;
    torch) echo engine/torch_pickle.c engine/stored.c ;;
    json) echo engine/config.c engine/lora.c ;;
    tokenizer) echo "$B/fuzz/tokenizer.cc.o" engine/base/sha256.c -lsentencepiece -lstdc++ ;;
    image) echo engine/image.c engine/image_bmp.c engine/image_gif.c engine/preprocess.c engine/resize*.c -ljpeg -lpng -lwebp ;;
    xlsx) echo harness/xlsx.c harness/xml.c ;;
    judge) echo harness/chat_answer.c engine/base/sha256.c benchmarks/*.c prompts/*.c ;;
    questions) echo $exact engine/base/sha256.c benchmarks/*.c prompts/*.c ;;
    answers) echo $exact harness/import.c harness/say.c harness/unpack.c harness/xlsx.c harness/xml.c \
        engine/base/sha256.c benchmarks/*.c prompts/*.c -larchive ;;
    archive) echo harness/unpack.c engine/base/sha256.c -larchive ;;
    http) echo $exact harness/manifest.c harness/say.c harness/sha1.c harness/unpack.c engine/base/sha256.c \
        -larchive -lcurl -lcjson ;;
    store) echo $exact results/filesystem.c results/judgements.c results/leaderboard.c results/merge.c \
        results/store.c "$B/results/schema.sql.c" "$B/results/schema_2.sql.c" -lsqlite3 ;;
    *) echo "build.sh: no target \"$1\"" >&2; exit 2 ;;
    esac
}

seeds() {  # NAME: the good files
    to=$B/fuzz/$1.seeds
    mkdir -p "$to"
    case $1 in
    safetensors)
        head='{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}'
        { printf '\156\0\0\0\0\0\0\0%s0123456789abcdef' "$head"; } >"$to/two"
        head='{"__metadata__":{"format":"pt"},"e":{"dtype":"I64","shape":[0,3],"data_offsets":[0,0]},"s":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}'
        { printf '\216\0\0\0\0\0\0\0%sab' "$head"; } >"$to/scalar" ;;
    torch)
        cp tests/golden/torch.bin tests/golden/lora.bin tests/golden/legacy.bin "$to/"
        for file in torch lora; do  # the pickle within, which the target also puts into a zip of its own
            unzip -p "tests/golden/$file.bin" "$file/data.pkl" >"$to/$file.pkl" 2>/dev/null || rm -f "$to/$file.pkl"
        done ;;
    json)
        for file in demo/checkpoints/*/*.json tests/bench/*.json; do
            cp "$file" "$to/$(echo "$file" | tr / _)"
        done
        head -n 20 tests/golden/tokens.jsonl | split -l 1 - "$to/line" ;;
    tokenizer)
        cp demo/checkpoints/tiny-mlp/tokenizer.model "$to/demo"
        { head -c 4520 "$to/demo"; tail -c 118 "$to/demo"; } >"$to/short" ;;  # fewer pieces, whole ones
    image)
        while read -r picture offset size _; do
            tail -c +$((offset + 1)) tests/golden/images.bin | head -c "$size" >"$to/$picture"
        done <tests/golden/images.txt ;;
    xlsx)
        { printf '<sst><si><t>a &lt;&#65;</t></si><si><r><t>b</t></r><rPh><t>c</t></rPh></si></sst>\377'
          printf '<worksheet><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>_x0041_</t></is></c></row></worksheet>'
        } >"$to/sheet"
        { printf '#<workbook><sheet id="a"/></workbook>\377<r><R Id="a" Target="/s"/></r>\377'; cat "$to/sheet"; } >"$to/all" ;;
    judge)
        printf '\001\001{"model":"m","choices":[{"message":{"content":"7 8\\nsk-12345"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}' >"$to/reply"
        printf '\000\001{"error":{"message":"sk-12345","code":"insufficient_quota","param":"max_tokens"}}' >"$to/error"
        printf '\001\001{"data":[{"id":"sk-12345"}]}' >"$to/models" ;;
    questions) LLAVA_SEEDS=$to "$B/fuzz/questions" ;;
    answers)  # the split's place in forms.h, how to read it, and what others wrote for the good questions
        for file in gqa:002 vizwiz:004 pope:007 mme:010 mmbench:011 llavabench:014; do
            for written in tests/vectors/import/"${file%:*}"*.[jtx]*; do
                { printf "\\${file#*:}\\002"; cat "$written"; } >"$to/$(basename "$written")"
            done
        done
        printf '\007\002{"question_id":1,"text":"no"}\n{"question_id":2,"text":"yes"}\n' >"$to/llava"
        printf '\006\002{"question_id":34602,"prompt":"What?\nReference OCR token: a\n","text":"a"}\n' >"$to/textvqa"
        printf '\014\003{"question_id":0,"content":"8 7\n","run":0,"attempt":0,"tuple":[8,7],"judge":"g"}\n' >"$to/pairs"
        printf '\015\007{"question_id":"v1_0","reply":"<think></think> 0.7","run":0,"attempt":1}\n' >"$to/grades"
        printf '\015\003{"v1_0":{"model":["g"],"content":["0.7"],"score":[0.7]}}' >"$to/official" ;;
    archive)
        for file in $(find demo/mirror -name '*.zip' -size -16k); do
            { printf '\002'; cat "$file"; } >"$to/$(basename "$file")"
        done
        for how in c cz cj cJ; do
            { printf '\004'; tar -$how -C tests/fuzz/good pope; } >"$to/tar.$how" || rm "$to/tar.$how"
        done
        ln -s ../../../outside "$to/link"
        { printf '\000'; tar -cP -C "$to" --transform 's,^link,a/link,;s,^tar,../tar,' link tar.c; } >"$to/bad"
        rm "$to/link" ;;
    http)
        { printf '\000HTTP/1.1 206 Partial Content\r\nETag: "v1"\r\nLast-Modified: Thu, 26 Nov 2026 07:00:00 GMT\r\n'
          printf 'Content-Length: 12\r\nContent-Range: bytes 100-199/1000\r\nX-Repo-Commit: 12ab\r\nX-Linked-Etag: "ab"\r\n'
          printf 'X-Error-Code: GatedRepo\r\nLink: <https://h/a?cursor=2>; rel="next"\r\nContent-Type: text/html\r\n\r\n'
        } >"$to/headers"
        printf '\001http://h/x\n"v1"\n' >"$to/note"
        { printf '\002[{"type":"directory","path":"d"},{"type":"file","oid":"00","size":3,"path":"config.json"},{"type":"file",'
          printf '"path":"model.safetensors","size":9,"lfs":{"oid":"sha256:aa","size":7}},{"type":"file","path":"../x.bin"}]'
        } >"$to/listing"
        { printf '\003{"version":1,"sources":[{"source":"http://h/x","url":"u","sha256":"s","etag":"e","last_modified":"l",'
          printf '"commit":"c","splits":"val","bytes":7,"absent":1,"replaced_pin":true,"picked":false,"complete":true}]}\036'
          printf '%064d  a/b.json\n' 7
        } >"$to/manifest" ;;
    store) LLAVA_SEEDS=$to "$B/fuzz/store" ;;
    esac
}

run() {  # NAME
    mkdir -p "$B/fuzz/$1.found"
    status=0
    work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    # A picture of 500 MB takes a second; that memory is refused is worth seeing, too.
    ASAN_OPTIONS=max_allocation_size_mb=64:allocator_may_return_null=1 "$B/fuzz/$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=20000 -artifact_prefix="$B/fuzz/$1.found/" \
        -print_final_stats=1 "$B/fuzz/$1.seeds" >"$B/fuzz/$1.log" 2>&1 || status=$?
    { echo "processor time, shell and children:"; times; } >>"$B/fuzz/$1.log"
    [ $status = 0 ] || { tail -n 40 "$B/fuzz/$1.log"; exit 1; }
    sed -nE "/number_of_executed_units|peak_rss|^[0-9]+m/s/^/$1: /p" "$B/fuzz/$1.log"
}

if [ "$(echo "$names" | wc -w)" -gt 1 ]; then  # as many at a time as there are processors
    printf '%s\n' $names | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" sh tests/fuzz/build.sh "$seconds"
    exit
fi
name=$names
[ "$name" != tokenizer ] || "${CLANG}" -x c++ -std=c++17 $flags -fsanitize=fuzzer-no-link -fno-sanitize=vptr -c engine/tokenizer.cc -o "$B/fuzz/tokenizer.cc.o"
[ "$name" != store ] || make -s "B=$B" "$B/results/schema.sql.c" "$B/results/schema_2.sql.c"
# shellcheck disable=SC2046,SC2086
"$CLANG" -std=c11 $flags -fsanitize=fuzzer -o "$B/fuzz/$name" "tests/fuzz/fuzz_$name.c" $(sources "$name") $base -lm
echo "$B/fuzz/$name"
if [ -n "$seconds" ]; then
    seeds "$name"
    (run "$name")
fi
