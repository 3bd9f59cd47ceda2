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

# doctor: every device in every dtype; one that computes wrongly, or not at all, is found
CUDA_HOST_DEVICES=2 expect 0 "$GPU" doctor
for line in 'cuda:0 fp16' 'cuda:1 bf16' 'cuda:1 fp32'; do
    prints "^$line  *right, "
done
CUDA_HOST_PRODUCTS=n expect 6 "$GPU" doctor
prints '^cuda:0 fp16  *does not run: .*same bits in any batch'
CUDA_HOST_DEVICES=0 expect 0 "$GPU" doctor
prints '^gpus  *no usable GPU: '
