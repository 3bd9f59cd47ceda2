# The verbs that need no checkpoint: fetch, list, describe, show, help; and what becomes of stdout.
. "$ROOT/tests/cli/lib.sh"

# fetch: everything is there after one call, and a second call needs nobody
expect 0 "$PROGRAM" fetch --suite all --mirror "$MIRROR" --data data
[ "$(wc -l <out)" = 11 ] || fail "fetch does not print a line per benchmark"
[ "$(grep -c 'not the official files' out)" = 11 ] || fail "a demo passes for the official data"
expect 0 "$PROGRAM" fetch --suite all --mirror file:///nowhere --data data --offline
(cd data/gqa && sha256sum --quiet -c .SHA256SUMS) || fail "sha256sum does not agree"
expect 0 "$PROGRAM" fetch --suite all --data data --verify --offline
echo x >>data/pope/coco_pope_random.json
expect 3 "$PROGRAM" fetch --suite pope --data data --verify --offline
says coco_pope_random.json
rm -r data/pope
expect 3 "$PROGRAM" fetch --suite pope --data data --offline
says 'data/pope/coco_pope_random.json and 2 more are missing'
expect 0 "$PROGRAM" fetch --suite pope --mirror "$ROOT/demo/mirror" --data data --scoring-only
[ ! -e data/pope/val2014 ] || fail "--scoring-only brought pictures"

# --dry-run lists addresses and sizes, and writes nothing
expect 0 "$PROGRAM" fetch --suite pope,mme --mirror "$MIRROR" --data elsewhere --dry-run
prints 'MME_Benchmark_release_version.zip'
prints 'val2014/\*'
size=$(wc -c <"$ROOT/demo/mirror/raw.githubusercontent.com/AoiDragon/POPE/e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco/coco_pope_random.json")
grep -q "^ *$size  .*coco_pope_random.json" out || fail "no size: $(cat out)"
[ ! -e elsewhere ] || fail "--dry-run wrote something"

# two fetches of one benchmark at a time: one waits, both succeed
"$PROGRAM" fetch --suite mme --mirror "$MIRROR" --data both 2>/dev/null >/dev/null & one=$!
"$PROGRAM" fetch --suite mme --mirror "$MIRROR" --data both 2>/dev/null >/dev/null & two=$!
wait $one || fail "the first of two fetches failed"
wait $two || fail "the second of two fetches failed"
expect 0 "$PROGRAM" fetch --suite mme --data both --verify --offline

# killed at any moment, the same command ends well
for delay in 0.01 0.02 0.03 0.05 0.08; do
    "$PROGRAM" fetch --suite all --mirror "$MIRROR" --data killed >/dev/null 2>&1 & pid=$!
    sleep $delay
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
done
expect 0 "$PROGRAM" fetch --suite all --mirror "$MIRROR" --data killed
expect 0 "$PROGRAM" fetch --suite all --data killed --verify --offline

# show: one line a question, or a page
expect 0 "$PROGRAM" show --benchmark pope --data data --json
[ "$(wc -l <out)" = "$(cat data/pope/coco_pope_*.json | wc -l)" ] || fail "show has $(wc -l <out) lines"
expect 0 "$PROGRAM" show --benchmark gqa --data data --json
head -n 1 out | grep -q '^{"question_id":"[0-9]*","image":"data/gqa/images/n[0-9]*.jpg","text":"[^"]*\\nAnswer the question using a single word or phrase.","prompt":"A chat between .* USER: <image>\\n.* ASSISTANT:","reference":"[^"]*","category":"[^"]*"}$' ||
    fail "not the line that was promised: $(head -n 1 out)"
expect 0 "$PROGRAM" show --benchmark vizwiz --split test --data data --json --limit 1
prints '"question_id":0,'
prints '"reference":null,'
expect 0 "$PROGRAM" show --benchmark vqav2:testdev --data data --json --prompts none --limit 1
! grep -q 'single word' out || fail "--prompts none is the paper's"
expect 0 "$PROGRAM" show --benchmark mmbench --data data --json --limit 1
prints 'mmbench_dev_20230712.tsv#1000'
expect 0 "$PROGRAM" show --benchmark pope --data data random/2
prints '^pope:test random/2, random$'
prints 'not there'
expect 2 "$PROGRAM" show --benchmark pope --data data random/999999
expect 3 "$PROGRAM" show --benchmark pope --data nowhere --json
expect 2 "$PROGRAM" show --data data

# list, describe, help
expect 0 "$PROGRAM" list --data data
prints '^mmvet  *MM-Vet  *test  *total  *data/mmvet$'
expect 0 "$PROGRAM" list --format json --data data
prints '"name":"pope"'
expect 0 "$PROGRAM" describe pope mme --data data
prints 'c16b65d2df6d70bb0814c8a4375833d39cdb09928fd936d3fc546491efa37f35'
prints 'perception: '
expect 2 "$PROGRAM" describe popo
says 'did you mean pope?'
expect 0 "$PROGRAM" --help
prints '^Exit status$'
[ ! -s err ] || fail "--help writes to stderr"
expect 0 "$PROGRAM" help run
expect 0 "$PROGRAM" help --completion
bash -n out || fail "the completion is no bash"
expect 0 "$PROGRAM" help --man
expect 0 "$PROGRAM" --version
expect 2 "$PROGRAM" run --sute all
says 'did you mean --suite?'

# stdout that is full is an error; a reader that leaves is none of ours
set +e
"$PROGRAM" show --benchmark gqa --data data --json >/dev/full 2>err
[ $? = 1 ] || fail "a full disk went unnoticed"
says 'No space left'
(sleep 0.3; "$PROGRAM" show --benchmark gqa --data data --json 2>err; echo $? >status) | true
while [ ! -s status ]; do sleep 0.1; done
[ "$(cat status)" = 141 ] || fail "status $(cat status) when the reader left"
[ ! -s err ] || fail "a reader that left is reported: $(cat err)"
