#!/bin/sh
# synthetic.sh DIR -- time and memory of what the program does around the engine, over the files that
# synthetic.py writes into DIR: "Data and scores" of docs/performance.md. Wants a quiet machine.
# synthetic.sh DIR scale -- the same run at 1, 10 and 100 thousand questions, and a simulated GPU that is
# to be kept busy: "Any number of questions" there.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$1
program=$root/llava-eval
make -s -C "$root" llava-eval build/simulated-gpu build/write-pictures >/dev/null
timed() { what=$1; shift; /usr/bin/time -f "$what	%e s	%M kB" "$@" >/dev/null; }
# asked WHAT DATA STORE: a run with an engine that takes no time: that simulated GPU's.
asked() {
    timed "$1" "$root/build/simulated-gpu" run --suite vqav2:val --model "$root/demo/checkpoints/tiny-mlp" \
        --device cuda --max-new-tokens 1 --data "$2" --db "$3" --offline -q
}

if [ "${2:-}" = scale ]; then
    [ -d "$dir/scale/pictures" ] || { mkdir -p "$dir/scale/pictures"; "$root/build/write-pictures" "$dir/scale/pictures" 200; }
    [ -d "$dir/scale/100000" ] || "$root/tests/bench/synthetic.py" "$dir" scale
    for n in 1000 10000 100000; do
        rm -f "$dir/scale/$n/run.db"*
        asked "run, $n questions" "$dir/scale/$n" "$dir/scale/$n/run.db"
    done
    sed 's/"num_hidden_layers": 4/"num_hidden_layers": 32/' "$root/tests/bench/vicuna4.json" >"$dir/scale/7b.json"
    SIMULATED_GPU=600:3800 "$root/build/simulated-gpu" bench --device cuda --random-weights "$dir/scale/7b.json" \
        --images 600 --questions-per-image 6 --reply-tokens 3
    exit
fi

for split in vqav2:testdev vqav2:val gqa vizwiz:test vizwiz:val scienceqa textvqa mmbench:dev mmbench:dev_cn seed; do
    timed "read $split, show one" "$program" show --benchmark $split --data "$dir" --limit 1 --json
done
timed "score vqav2:val" "$program" score --benchmark vqav2:val --data "$dir" --answers "$dir/answers.jsonl" --json
rm -f "$dir/null.db"*
asked "run vqav2:val" "$dir" "$dir/null.db"
asked "the same again, everything answered" "$dir" "$dir/null.db"
