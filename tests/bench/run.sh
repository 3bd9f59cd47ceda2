#!/bin/sh
# run.sh -- the figures of docs/performance.md, each beside the machine's own limit in the same run.
# Wants a quiet machine and some minutes. The peers: tests/bench/compare_hf.py (torch, transformers), compare_llamacpp.py.
set -eu
cd "$(dirname "$0")/../.."

echo "== products and attention, GFLOP/s, against the register-only loop"
gcc -O2 -I. -D_GNU_SOURCE -fopenmp -c tests/bench/bench_matmul.c -o build/bench_matmul.o
g++ -fopenmp -o build/bench_matmul build/bench_matmul.o build/libllava.a -ljpeg -lpng -lwebp -lsentencepiece -lm
build/bench_matmul

echo "== the tiny pair"
./llava-eval bench --model demo/checkpoints/tiny-mlp --images 200 --questions-per-image 6 --reply-tokens 3

echo "== LLaVA-1.5's tower, 4 layers of Vicuna-7B's shape, bf16"
./llava-eval bench --random-weights tests/bench/vicuna4.json --dtype bf16 --images 20 --questions-per-image 6 \
    --reply-tokens 2
