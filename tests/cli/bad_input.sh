# Damaged data and checkpoints: the right exit status, a message that names file and cause, no score.
. "$ROOT/tests/cli/lib.sh"

run() { "$PROGRAM" run --mirror "$MIRROR" --data data --judge demo --db store.db "$@"; }

# the command line
expect 2 "$PROGRAM" run --suite popr --model "$MLP" && says 'pope'
expect 2 "$PROGRAM" run --siute pope && says 'suite'
expect 2 "$PROGRAM" leaderbord && says 'leaderboard'
expect 2 "$PROGRAM" run --suite vqav2:vall && says 'val'

# no store, no data, no checkpoint
expect 3 "$PROGRAM" leaderboard --db none.db && says 'none.db'
expect 3 "$PROGRAM" run --suite pope --model "$MLP" --offline --data empty --db store.db && says 'pope'
expect 4 run --suite pope --model ./nothing-here

# a checkpoint with a tensor cut off, one with a wrong shape, one without a connector
expect 0 run --suite pope --limit 4 --model "$MLP"
mkdir cut && cp "$MLP"/* cut/
truncate -s -1000 cut/model.safetensors
expect 4 run --suite pope --model cut && says 'model.safetensors'
mkdir other && cp "$MLP"/* other/
sed 's/"hidden_size": *192/"hidden_size": 256/; s/mlp2x_gelu/linear/' other/config.json >config.json
cp config.json other/config.json
expect 4 run --suite pope --model other

# an image that is not there, one cut short: counted, marked, status 5, asked again on request
cp -R data data2
picture=$(ls data2/pope/val2014 | head -1)
truncate -s 300 "data2/pope/val2014/$picture"
expect 5 "$PROGRAM" run --suite pope --model "$MLP" --offline --data data2 --db hole.db
prints '†'
query hole.db "SELECT count(*) FROM reply WHERE text IS NULL AND error LIKE '%$picture%'" | grep -qv '^0$' ||
    fail "the damaged picture is not noted"
cp "data/pope/val2014/$picture" data2/pope/val2014/
expect 0 "$PROGRAM" run --suite pope --model "$MLP" --offline --data data2 --db hole.db --retry-failed

# bad JSON in the question file
sed '3s/"question_id"/question_id/' data/pope/coco_pope_random.json >data2/pope/coco_pope_random.json
expect 3 "$PROGRAM" run --suite pope --model "$MLP" --offline --data data2 --db json.db
says 'coco_pope_random.json:3'

# a store that is none, and one from the future
echo "not a database, not at all" >text.db
expect 3 "$PROGRAM" leaderboard --db text.db && says 'text.db'
cp store.db newer.db
query newer.db "PRAGMA user_version=999"
expect 3 "$PROGRAM" leaderboard --db newer.db && says 'newer'

# a question file that points out of the data folder: no verb reads or shows what lies there
"$PROGRAM" fetch --suite gqa --scoring-only --mirror "$MIRROR" --data data -q >/dev/null
for image in ../../../secret.jpg /etc/passwd 'a/../../b.jpg'; do
    rm -rf outside && mkdir -p outside/gqa
    sed "s|\"imageId\": *\"[^\"]*\"|\"imageId\": \"$image\"|" data/gqa/testdev_balanced_questions.json \
        >outside/gqa/testdev_balanced_questions.json
    echo '{"question_id":"1","text":"x"}' >answers.jsonl
    for verb in "show --benchmark gqa --json" "score --benchmark gqa --answers answers.jsonl" \
        "run --suite gqa --model $MLP --offline --db store.db"; do
        # shellcheck disable=SC2086
        expect 3 "$PROGRAM" $verb --data outside
        says 'which is no plain name below that folder'
    done
done
