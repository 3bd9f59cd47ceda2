#!/bin/sh
# one.sh NAME -- one of the programs or scripts of tests/run.sh: prints what it has to say when it ends, all
# at once, and leaves "passed failed skipped" in $OUT/*.sum: a failure until it is known better. Of a program,
# the tests whose name contains $ONLY; a script runs in an empty folder of its own.
set -u
name=$1
mine=$OUT/$(echo "$name" | tr / _)
sum() { echo "$*" >"$mine.sum"; }
mkdir "$mine" && sum 0 1 0 || exit 1

program() {  # ARGUMENT...: a program of tests/main.c: its last line is its own sum
    LLAVA_ROOT=$ROOT "$B/$name" "$@" >"$mine/log" 2>&1
    sed '$d' "$mine/log"
    counts=$(tail -n 1 "$mine/log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ -n "$counts" ]; then
        sum "$counts"
    else
        echo "FAIL $name: ended without its closing line"
        tail -n 5 "$mine/log"
    fi
}

script() {
    mkdir "$mine/run" || exit 1
    (cd "$mine/run" && PROGRAM=$ROOT/$B/llava-eval B=$ROOT/$B HOME=$mine/run XDG_CACHE_HOME=$mine/run/cache \
        sh "$ROOT/$name") >"$mine/log" 2>&1
    case $? in
    0) sum 1 0 0 ;;
    77) sum 0 0 1; echo "skip $name: $(tail -n 1 "$mine/log")" ;;
    *) echo "FAIL $name"; tail -n 25 "$mine/log" ;;
    esac
    rm -rf "$mine/run"
}

case $name in
*.sh) script ;;
test-ops) program "${ONLY:-cpu}" ;;
cuda-host/test-ops) program "${ONLY:-cuda-host}" ;;
*) program ${ONLY:+"$ONLY"} ;;
esac >"$mine/said"
cat "$mine/said"
