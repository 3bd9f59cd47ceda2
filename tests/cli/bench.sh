# bench before a GPU that computes nothing and takes no time (tests/bench/simulated_gpu.c): the engine is
# done with an image before the next one is decoded, and still all are asked; memory does not grow.
. "$ROOT/tests/cli/lib.sh"

figure() { sed "s/.*\"$1\":\([0-9.e+-]*\).*/\1/" out; }
holds() { awk "BEGIN { exit !($1) }" || { cat out err >&2; fail "does not hold: $1"; }; }
gpu() { "$B/simulated-gpu" bench --device cuda --model "$MLP" --questions-per-image 2 --reply-tokens 1 "$@"; }

expect 0 gpu --images 100
says 'simulated GPU'
few=$(figure peak_host_bytes)
expect 0 gpu --images 600
# 35 ids, 36 image tokens and 30 ids to a prompt
holds "$(figure prompt_tokens_per_s) * $(figure total) / (600 * 2 * 101) - 1 < 1e-6"
holds "$(figure prompt_tokens_per_s) * $(figure total) / (600 * 2 * 101) - 1 > -1e-6"
holds "$(figure idle) > $(figure products)"
case $B in
*sanitize) ;;                               # what is freed stays with the sanitizer for a while
*) holds "$(figure peak_host_bytes) < $few + 5e6" ;;        # 500 more images' pixels are 10 MB
esac

# one that takes its time, in which all of it is found again
export SIMULATED_GPU=0.01:1
expect 0 gpu --images 4
holds "$(figure vision) > 0.015 && $(figure products) > 0.1 && $(figure attention) > 0.02"
sum="$(figure vision) + $(figure products) + $(figure attention) + $(figure elementwise)"
holds "$sum + $(figure sample) + $(figure host) + $(figure idle) - $(figure total) < 0.05"
holds "$sum + $(figure sample) + $(figure host) + $(figure idle) - $(figure total) > -0.05"
