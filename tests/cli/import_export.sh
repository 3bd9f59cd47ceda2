# Answers that come in, files that go out, a judge's recorded replies: by the command line.
. "$ROOT/tests/cli/lib.sh"

suite=vqav2:testdev,vizwiz:test,gqa,pope,mme,mmbench,seed,llavabench,mmvet
expect 0 "$PROGRAM" fetch --suite $suite --mirror "$MIRROR" --data data --scoring-only

# answers BENCHMARK: every reference as its reply, in LLaVA's form
answers() {
    "$PROGRAM" show --benchmark "$1" --data data --json |
        sed 's/^{"question_id":\("[^"]*"\|[0-9]*\),.*"reference":\(null\|"\(\\.\|[^"\\]\)*"\),"category".*/{"question_id":\1,"text":\2}/
             s/"text":null/"text":"yes"/'
}
score() { "$PROGRAM" score --data data --json "$@"; }

# kept under a label: once, however often; the store is left alone without one
answers pope >pope.jsonl
expect 0 score --benchmark pope --answers pope.jsonl --db s.db
[ ! -e s.db ] || fail "score --answers made a store"
for _ in 1 2; do
    expect 0 score --benchmark pope --answers pope.jsonl --as other --db s.db
    prints '"random_f1":100.0'
done
[ "$(query s.db 'SELECT count(*) FROM run')" = 1 ] || fail "the same answers became two runs"
[ "$(query s.db 'SELECT count(*) FROM reply')" = "$(wc -l <pope.jsonl)" ] || fail "not every answer was kept"
expect 0 "$PROGRAM" leaderboard --db s.db
prints 'other  *unknown'
head -n 30 pope.jsonl >some.jsonl
expect 5 score --benchmark pope --answers some.jsonl --as less --db s.db
[ "$(query s.db 'SELECT count(*) FROM run')" = 1 ] || fail "what cannot be scored was kept"
expect 5 score --benchmark pope --answers some.jsonl --as less --db s.db --partial
expect 0 "$PROGRAM" leaderboard --db s.db
prints 'less .*†'
expect 2 score --benchmark pope --as other --db s.db

# exports: from a file and from the store they are the same bytes
for b in gqa mmvet seed vqav2:testdev vizwiz:test; do
    answers $b >$b.jsonl
    expect 0 "$PROGRAM" export --benchmark $b --data data --answers $b.jsonl --out $b.out
    [ ! -s out ] || fail "export writes to stdout"
done
expect 0 score --benchmark gqa --answers gqa.jsonl --as other --db s.db
expect 0 "$PROGRAM" export --benchmark gqa --data data --model other --db s.db --out gqa.again
cmp gqa.out gqa.again || fail "the store's export differs"
expect 0 score --benchmark vqav2:testdev --answers vqav2:testdev.jsonl --as other --db s.db
expect 0 "$PROGRAM" export --benchmark vqav2:testdev --data data --model other --db s.db --out vqav2.again
cmp vqav2:testdev.out vqav2.again || fail "the store's export of a hidden split differs"
[ "$(grep -o question_id vqav2.again | wc -l)" = "$(grep -o question_id data/vqav2/v2_OpenEnded_mscoco_test2015_questions.json | wc -l)" ] ||
    fail "not every id of test2015 is exported"
expect 2 "$PROGRAM" export --benchmark gqa --data data --model nobody --db s.db --out x
says 'there is no model, nor run, "nobody" (s.db has: '
# of two prompt sets the paper's; the other by its name, or by its run
expect 0 "$PROGRAM" run --suite mme --limit 6 --model "$MLP" --mirror "$MIRROR" --data data --db sets.db --prompts paper --prompts none
named() {                               # MODEL: what export says that it took
    set +e; "$PROGRAM" export --benchmark mme --data data --db sets.db --model "$1" --out files >out 2>err; set -e
}
named tiny-mlp && says 'run 1: tiny-mlp, prompts paper, fp32, 6 of 112'
named tiny-mlp:none && says 'run 2: tiny-mlp, prompts none, fp32, 6 of 112'
named 2 && says 'run 2: tiny-mlp, prompts none, fp32, 6 of 112'
expect 3 "$PROGRAM" judge --suite mme --db sets.db --data data --judge https://localhost/v1 --judge-model x --yes
says 'there is no run of a judged benchmark, as named, to score'
expect 2 "$PROGRAM" judge --suite llavabench --answers gqa.jsonl --db sets.db --data data --judge https://localhost/v1 --judge-model x
expect 2 "$PROGRAM" run --suite mme --ids existence/0004.jpg#1,typo --model "$MLP" --mirror "$MIRROR" --data data --db sets.db
says 'has no question "typo"'
expect 2 "$PROGRAM" run --suite pope --prompts tpyo --model "$MLP" --mirror file:///nowhere --data nothing --db sets.db
says tpyo
expect 2 "$PROGRAM" export --benchmark pope --data data --answers pope.jsonl --out x
sed 1d gqa.jsonl >less.jsonl
expect 5 "$PROGRAM" export --benchmark gqa --data data --answers less.jsonl --out gqa.less
says 'questions have no answer'
[ ! -e gqa.less ] || fail "an incomplete export was written"
answers mme >mme.jsonl
expect 0 "$PROGRAM" export --benchmark mme --data data --answers mme.jsonl --out mme
[ "$(ls mme | wc -l)" = 14 ] || fail "not a file per task"
grep -q "^[^	]*	[^	]*	Yes	Yes$" mme/existence.txt || fail "no line of the form that calculation.py reads"

# MMBench's .xlsx is an answers file again
answers mmbench >mmbench.jsonl
expect 0 "$PROGRAM" export --benchmark mmbench --data data --answers mmbench.jsonl --out mmbench.xlsx
score --benchmark mmbench --answers mmbench.jsonl >one.json
expect 0 score --benchmark mmbench --answers mmbench.xlsx
cmp out one.json || fail "the exported table scores differently"
expect 3 score --benchmark pope --answers mmbench.xlsx
says 'is this another benchmark or split'

# recorded replies judge in a judge's place; a missing one is missing
answers llavabench >llavabench.jsonl
expect 0 score --benchmark llavabench --answers llavabench.jsonl --judge demo --as other --db s.db
sed 's/^{"question_id":\([^,]*\),.*/{"question_id":\1,"run":0,"reply":"8 7\\nGood.","judge":"gpt-9"}/' llavabench.jsonl >reviews.jsonl
expect 0 "$PROGRAM" judge --suite llavabench --data data --db s.db --judge-replay reviews.jsonl
prints 'gpt-9.*recorded'
expect 0 score --benchmark llavabench --answers llavabench.jsonl --reviews reviews.jsonl
prints '"rel_all":87.5'
[ "$(query s.db "SELECT value FROM score WHERE metric = 'rel_all' AND judge LIKE 'gpt-9%recorded'")" = 87.5 ] ||
    fail "replay and reviews differ"
expect 2 "$PROGRAM" judge --data data --db s.db --judge-replay reviews.jsonl
expect 0 "$PROGRAM" judge calibrate --benchmark llavabench --data data --db c.db --answers llavabench.jsonl \
    --model llava-v1.5-13b --judge-replay reviews.jsonl
prints 'rel_all  *72.5  *87.5  *+15.0'
expect 0 "$PROGRAM" judge calibrate --benchmark llavabench --data data --db c.db --answers llavabench.jsonl \
    --model llava-v1.5-7b --judge-replay reviews.jsonl --json
prints '"rel_all":{"published":65.4,"value":87.5,"offset":22.0*[0-9.]*}'
expect 2 "$PROGRAM" judge calibrate --benchmark llavabench --data data --db c.db --answers llavabench.jsonl \
    --model mine --judge-replay reviews.jsonl
says 'llava-v1.5-13b'
sed 1d reviews.jsonl >gap.jsonl
expect 5 "$PROGRAM" judge --suite llavabench --data data --db s.db --judge-replay gap.jsonl
says 'not recorded'
expect 0 "$PROGRAM" export --benchmark llavabench --data data --reviews reviews.jsonl --model "x=my model" --out reviewed
[ "$(wc -l <reviewed/my_model_gpt-9-review-run0.jsonl)" = "$(wc -l <reviews.jsonl)" ] || fail "not a line per review"
