# Nothing is asked twice and nothing is lost: a run killed by SIGKILL, again and again, ends with the
# replies of an undisturbed one; budgets, order and grouping do not change a byte.
. "$ROOT/tests/cli/lib.sh"

suite=pope,gqa,llavabench
options="--suite $suite --model $MLP --mirror $MIRROR --data data --judge demo"
# shellcheck disable=SC2086
run() { "$PROGRAM" run $options "$@"; }

expect 0 run --db whole.db
replies whole.db >whole.txt
[ "$(wc -l <whole.txt)" -gt 250 ] || fail "too few replies: $(wc -l <whole.txt)"

# killed at growing times until it is done
for delay in 0.2 0.5 0.8 1.2 1.8 2.6; do
    # shellcheck disable=SC2086
    "$PROGRAM" run $options --db killed.db >/dev/null 2>&1 &
    pid=$!                              # the program's own: a function would give a shell's
    sleep $delay
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
done
expect 0 run --db killed.db
replies killed.db | cmp - whole.txt || fail "replies differ after kill -9"

# one row at a time, seven, a hundred
for budget in 1 7 100; do
    expect 0 "$PROGRAM" run --suite pope --limit 24 --model "$MLP" --mirror "$MIRROR" --data data \
        --batch-tokens $budget --db "budget$budget.db"
done
replies budget1.db >one.txt
replies budget7.db | cmp - one.txt || fail "a budget of 7 changes replies"
replies budget100.db | cmp - one.txt || fail "a budget of 100 changes replies"

# the selection asked for first, the rest later
expect 0 run --db parts.db --limit 10
expect 0 run --db parts.db
replies parts.db | cmp - whole.txt || fail "a run in two parts differs"
"$PROGRAM" leaderboard --db whole.db >whole.table
"$PROGRAM" leaderboard --db parts.db | cmp - whole.table || fail "tables differ"

# Ctrl-C: status 130, and the same command goes on
# shellcheck disable=SC2086
"$PROGRAM" run $options --db stopped.db >/dev/null 2>stopped.err &
pid=$!
sleep 1
kill -INT $pid 2>/dev/null || true
set +e; wait $pid; status=$?; set -e
[ $status = 130 ] || [ $status = 0 ] || fail "exit status $status after SIGINT"
expect 0 run --db stopped.db
replies stopped.db | cmp - whole.txt || fail "replies differ after Ctrl-C"

# a run that was stopped lacks answers when it is scored again, too; one that was asked for less does not
cp parts.db open.db
query open.db "DELETE FROM reply WHERE ordinal > 20 AND run = (SELECT r.id FROM run r JOIN dataset d ON d.id = r.dataset
    WHERE d.benchmark = 'pope')" >/dev/null
expect 0 "$PROGRAM" score --db open.db --data data --judge demo
query open.db "UPDATE run SET finished = NULL WHERE dataset = (SELECT id FROM dataset WHERE benchmark = 'pope')" >/dev/null
expect 5 "$PROGRAM" score --db open.db --data data --judge demo
says 'pope:test tiny-mlp: 87 of 108 questions have no reply: the run was stopped'

# what was asked for before stays open behind a narrower command; a run that --fresh left behind is open no more
# shellcheck disable=SC2086
expect 0 "$PROGRAM" run $options --limit 10 --db open.db
expect 5 "$PROGRAM" score --db open.db --data data --judge demo
# shellcheck disable=SC2086
expect 0 "$PROGRAM" run $options --fresh --db open.db
expect 0 "$PROGRAM" score --db open.db --data data --judge demo

# other settings have a line of their own, and other weights under one label do, too
expect 0 run --suite pope --limit 10 --db lines.db
expect 0 run --suite pope --limit 10 --db lines.db --max-new-tokens 1 --temperature 0.5
expect 0 run --suite pope --limit 10 --db lines.db --image-mode crop
cp -R "$MLP" tiny-mlp
sed -i 's/"rms_norm_eps": [^,]*/"rms_norm_eps": 2e-5/' tiny-mlp/config.json
expect 0 "$PROGRAM" run --suite pope --limit 10 --model tiny-mlp --mirror "$MIRROR" --data data --db lines.db
says 'tiny-mlp: another checkpoint had this label in lines.db'
expect 0 "$PROGRAM" leaderboard --db lines.db
prints '^tiny-mlp@[0-9a-f]\{8\}  *mlp2x_gelu'
prints '^tiny-mlp@[0-9a-f]\{8\} (temperature 0.5, at most 1 tokens)  *mlp2x_gelu'
prints '^tiny-mlp@[0-9a-f]\{8\} (crop)  *mlp2x_gelu'
prints '^tiny-mlp  *mlp2x_gelu'
