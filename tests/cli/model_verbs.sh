# ask, inspect, bench: a checkpoint by itself.
. "$ROOT/tests/cli/lib.sh"

picture=$ROOT/demo/mirror/images.cocodataset.org/val2014
picture=$picture/$(ls "$picture" | head -1)
question='How many objects are there in the image?
Answer the question using a single word or phrase.'

for model in "$LINEAR" "$MLP"; do
    expect 0 "$PROGRAM" ask --model "$model" --image "$picture" --prompt "$question" --json \
        --logits logits.npy --pixels pixels.npy
    prints '^{"reply":"[^"]*","prompt_ids":\[1,.*-200,.*\],"reply_ids":\[[0-9,]*\],"finish":"stop"}$'
    head -c 80 logits.npy | grep -q "'<f4'.*'shape': ([0-9]*,)" || fail "logits.npy's header"
    head -c 80 pixels.npy | grep -q "'shape': (3, 84, 84,)" || fail "pixels.npy's header"
    sed 's/.*"reply":"\([^"]*\)".*/\1/' out >reply.json
    expect 0 "$PROGRAM" ask --model "$model" --image "$picture" --prompt "$question"
    cmp -s out reply.json || fail "the streamed reply is not the one of --json"
done

# without an image; a raw prompt; sampling repeats with its seed
expect 0 "$PROGRAM" ask --model "$MLP" --prompt "What is this?" --max-new-tokens 3 --json
prints '"finish":"length"\|"finish":"stop"'
expect 0 "$PROGRAM" ask --model "$MLP" --image "$picture" --prompt-raw --prompt 'USER: <image>
Is it red? ASSISTANT:' --max-new-tokens 4 --json
expect 0 "$PROGRAM" ask --model "$MLP" --image "$picture" --prompt "$question" --temperature 5 --seed 7 --json
cp out first
expect 0 "$PROGRAM" ask --model "$MLP" --image "$picture" --prompt "$question" --temperature 5 --seed 7 --json
cmp out first || fail "one seed, two replies"

# what cannot be asked
expect 2 "$PROGRAM" ask --model "$MLP" && says 'prompt'
expect 3 "$PROGRAM" ask --model "$MLP" --image nothing.jpg --prompt x && says 'nothing.jpg'
expect 3 "$PROGRAM" ask --model "$MLP" --image "$ROOT/Makefile" --prompt x && says 'Makefile'
expect 3 "$PROGRAM" ask --model "$MLP" --image "$picture" --prompt 'two <image> slots' && says '<image>'

expect 0 "$PROGRAM" inspect --model "$LINEAR" && prints 'linear'
prints '^GPU memory  *0\.[0-9] GB in fp16 or bf16, 0\.[0-9] in fp32'
expect 0 "$PROGRAM" inspect --model "$MLP" --json && prints 'mlp2x_gelu'

expect 0 "$PROGRAM" bench --model "$MLP" --images 2 --questions-per-image 3 --reply-tokens 2
for key in questions_per_s images_per_s prompt_tokens_per_s computed_tokens_per_s seconds \
    peak_device_bytes peak_host_bytes flops peak_flops_per_s fraction_of_peak; do
    prints "\"$key\":"
done
for stage in vision products attention elementwise sample host idle total decoding; do
    says "$stage  *[0-9.]* s "
done

# every instruction level that this machine has gives the same replies in fp32
for level in portable avx2 avx512; do
    LLAVA_SIMD=$level "$PROGRAM" ask --model "$MLP" --image "$picture" --prompt "$question" >"$level" 2>err ||
        { grep -q "$level" err || fail "level $level: no reason given"; continue; }
    cmp -s "$level" reply.json || fail "level $level replies differently"
done

# doctor proves the machine, and says why there is no GPU or which
expect 0 "$PROGRAM" doctor
prints '^cpu portable  *right, '
prints '^scorers  *right, '
prints '^cuda  '
prints '^libraries  *SQLite 3\.[0-9.]*, libcurl [0-9.]* (..*), libarchive [0-9.]*, .*FFmpeg '
expect 0 "$PROGRAM" doctor --json
prints '^{"program":"[^"]*",.*"scorers":"right, [0-9]* replies"}$'
