# The program on GPUs, which are emulated (tests/cuda_host): the demo's questions through the CUDA backend,
# on one device and on several, on devices that fail, with little memory, and where there is no GPU.
. "$ROOT/tests/cli/lib.sh"

GPU=$B/cuda-host/llava-eval
pope="--suite pope --limit 30 --model $MLP --mirror $MIRROR --data data"

# shellcheck disable=SC2086
expect 0 "$PROGRAM" run $pope --device cpu --db cpu.db
replies cpu.db >cpu.txt
[ "$(wc -l <cpu.txt)" = 30 ] || fail "$(wc -l <cpu.txt) replies"

# in fp32 the replies are the CPU's
# shellcheck disable=SC2086
expect 0 "$GPU" run $pope --device cuda --dtype fp32 --db fp32.db
replies fp32.db | cmp - cpu.txt || fail "fp32 on the GPU does not reply as the CPU"

# so they are in all eleven benchmarks, by both checkpoints, from fetching to the scores
suite=vqav2:val,gqa,vizwiz:val,scienceqa,textvqa,pope,mme,mmbench,seed,llavabench,mmvet
all="--suite $suite --limit 3 --model $LINEAR --model $MLP --judge demo --mirror $MIRROR --data data"
# shellcheck disable=SC2086
{
    expect 0 "$PROGRAM" run $all --device cpu --db cpu-all.db
    mv out cpu-all.table
    expect 0 "$GPU" run $all --device cuda --dtype fp32 --db fp32-all.db
    cmp out cpu-all.table || fail "fp32 on the GPU: another table"
    replies cpu-all.db >cpu-all.txt
    [ "$(wc -l <cpu-all.txt)" -ge 66 ] || fail "$(wc -l <cpu-all.txt) replies"
    replies fp32-all.db | cmp - cpu-all.txt || fail "fp32 on the GPU does not reply as the CPU"
}

# fp16 is its default; replies do not depend on how many devices there are, or on one that fails
# shellcheck disable=SC2086
{
    expect 0 "$GPU" run $pope --db one.db
    says 'cuda.*fp16'
    replies one.db >one.txt
    export CUDA_HOST_DEVICES=2
    expect 0 "$GPU" run $pope --device cuda:0,1 --batch-tokens 300 --db two.db
    says '2 x cuda'
    replies two.db | cmp - one.txt || fail "two devices reply differently"
    CUDA_HOST_FAIL=1:560 expect 0 "$GPU" run $pope --device cuda:1,0 --batch-tokens 60 --db hurt.db
    says 'cuda:1: .*: its questions go to the other devices'
    replies hurt.db | cmp - one.txt || fail "replies differ where a device failed"
    CUDA_HOST_FAIL=1:900 expect 6 "$GPU" run $pope --device cuda:1 --batch-tokens 60 --db dead.db
    says 'error: cuda:1: '
    expect 0 "$GPU" run $pope --device cuda:0 --db dead.db
    replies dead.db | cmp - one.txt || fail "a run that a device ended does not go on"
    expect 6 "$GPU" run $pope --device cuda:0,2 --db none.db
    says 'cuda:2: there is no such GPU; 2 found'
    expect 2 "$GPU" run $pope --device cuda:0,0 --db none.db
    unset CUDA_HOST_DEVICES
}

# little memory makes smaller steps, too little an account
# shellcheck disable=SC2086
{
    CUDA_HOST_MEMORY=83886080 expect 0 "$GPU" run $pope --db small.db
    replies small.db | cmp - one.txt || fail "replies depend on the memory"
    CUDA_HOST_MEMORY=45000000 expect 6 "$GPU" run $pope --db small.db
    says 'GB .* are free and the model needs .* for weights'
}

# without a GPU: auto says one line and takes the CPU, cuda is refused
# shellcheck disable=SC2086
{
    CUDA_HOST_DEVICES=0 expect 0 "$GPU" run $pope --db auto.db
    says 'no usable GPU: .*; running on the CPU'
    replies auto.db | cmp - cpu.txt || fail "the CPU replies differently"
    CUDA_HOST_DEVICES=0 expect 6 "$GPU" run $pope --device cuda --db auto.db
    says 'use --device cpu'
    CUDA_HOST_DEVICES=0 expect 2 "$GPU" run $pope --dtype fp16 --db auto.db
    says 'fp16 needs a GPU'
}

# fp8: another run than fp16's, with its note; on older devices a sentence
# shellcheck disable=SC2086
{
    cp one.db eight.db
    expect 0 "$GPU" run $pope --dtype fp8 --db eight.db
    says 'cuda.*fp8' && says 'e4m3 weights and activations'
    query eight.db 'SELECT dtype, dtype_note FROM run ORDER BY id' >runs
    grep -q '^fp8.*e4m3 weights' runs && grep -q '^fp16' runs || fail "the runs are $(cat runs)"
    expect 0 "$GPU" leaderboard --db eight.db           # a line of its own, each figure marked
    prints '^tiny-mlp (fp8)  *mlp2x_gelu .*§$' && prints '^tiny-mlp  *mlp2x_gelu  [^§]*$' && prints '^§ made in fp8'
    expect 0 "$GPU" leaderboard --db eight.db --format csv && prints '^tiny-mlp (fp8),'
    expect 0 "$GPU" leaderboard --db eight.db --baseline 'tiny-mlp (fp8)' && prints 'ratios to tiny-mlp (fp8)'
    expect 0 "$GPU" show --benchmark pope --db eight.db --data data && prints '^tiny-mlp, prompts paper, fp8, '
    expect 2 "$GPU" compare 1 2 --db eight.db --data data && says 'number format: fp16 and fp8'
    expect 0 "$GPU" compare 1 2 --db eight.db --data data --allow decode && prints '^POPE .*‡§ '
    expect 0 "$GPU" compare 1 2 --db eight.db --data data --allow decode --json
    prints '"a_dtype":"fp16".*"b_dtype":"fp8"'
    expect 0 "$GPU" report site --db eight.db --data data && grep -q '"dtype":"fp8"' site/data/summary.js || fail "the report's dtype"
    CUDA_HOST_CAPABILITY=89 expect 6 "$GPU" run $pope --dtype fp8 --device cuda --db eight.db
    says 'compute capability 8.9, and fp8 needs 9.0'
    expect 2 "$GPU" run $pope --dtype fp8 --device cpu --db eight.db
    says 'fp8 needs a GPU of compute capability 9.0'
}

# bench in fp8 shows what it costs, with drawn weights, too, and a device that takes no scales of rows
few="--dtype fp8 --images 1 --questions-per-image 1 --reply-tokens 1"
# shellcheck disable=SC2086
{
    CUDA_HOST_CAPABILITY=100 expect 0 "$GPU" bench --model "$MLP" $few
    prints '"fp8_logits_error":0\.0[0-9]*,"fp8_equal_tokens":[01]' && says 'fp8 against fp16, 8 prompts: logits off by'
    expect 0 "$GPU" bench --random-weights "$MLP/config.json" $few
    prints '"fp8_logits_error":0\.[0-9]*,"fp8_equal_tokens":[01]'
}

# doctor: every device in every dtype; one that computes wrongly, or not at all, is found
CUDA_HOST_DEVICES=2 expect 0 "$GPU" doctor
for line in 'cuda:0 fp16' 'cuda:1 bf16' 'cuda:1 fp32' 'cuda:0 fp8'; do
    prints "^$line  *right, "
done
CUDA_HOST_PRODUCTS=n expect 6 "$GPU" doctor
prints '^cuda:0 fp16  *does not run: .*same bits in any batch'
CUDA_HOST_DEVICES=0 expect 0 "$GPU" doctor
prints '^gpus  *no usable GPU: '
