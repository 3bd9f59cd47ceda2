#!/bin/sh
# synthetic.sh DIR -- time and memory of what the program does around the engine, over the files that
# synthetic.py wrote into DIR: the second section of docs/performance.md. Wants a quiet machine.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$1
program=$root/llava-eval
timed() { what=$1; shift; /usr/bin/time -f "$what	%e s	%M kB" "$@" >/dev/null; }

for split in vqav2:testdev vqav2:val gqa vizwiz:test vizwiz:val scienceqa textvqa mmbench:dev mmbench:dev_cn seed; do
    timed "read $split, show one" "$program" show --benchmark $split --data "$dir" --limit 1 --json
done
timed "score vqav2:val" "$program" score --benchmark vqav2:val --data "$dir" --answers "$dir/answers.jsonl" --json
rm -f "$dir/null.db"
timed "run vqav2:val, an engine that only says yes" "$root/build/null-engine" run --suite vqav2:val \
    --model "$root/demo/checkpoints/tiny-mlp" --data "$dir" --db "$dir/null.db" --offline -q
timed "the same again, everything answered" "$root/build/null-engine" run --suite vqav2:val \
    --model "$root/demo/checkpoints/tiny-mlp" --data "$dir" --db "$dir/null.db" --offline -q
