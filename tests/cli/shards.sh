# A job in parts: four tasks as Slurm numbers them, each with a store of its own, merged, are one plain
# run to the byte of its leaderboard, in whatever order and from whatever number of parts.
. "$ROOT/tests/cli/lib.sh"

suite=pope,gqa,llavabench
options="--suite $suite --model $MLP --model $LINEAR --mirror $MIRROR --data data --judge demo"
# shellcheck disable=SC2086
run() { "$PROGRAM" run $options "$@"; }
task() {
    # shellcheck disable=SC2086
    env SLURM_ARRAY_JOB_ID=9 SLURM_ARRAY_TASK_ID="$1" SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=10 \
        SLURM_ARRAY_TASK_STEP=2 "$PROGRAM" run $options --offline
}
merge() { "$PROGRAM" merge "$@" --data data --judge demo; }
same() { for f in text json; do "$PROGRAM" leaderboard --db "$1" --format $f >got.$f; cmp got.$f plain.$f || fail "$2"; done; }

expect 0 run --db plain.db
for f in text json; do "$PROGRAM" leaderboard --db plain.db --format $f >plain.$f; done
replies plain.db >plain.txt

# what --dry-run says is what is asked; groups are whole, no part is empty, costs are near each other
expect 0 run --dry-run --shard 2/4 --offline
grep '^pope:test' out >plan
[ "$(cut -f2 plan | tr '\n' ' ')" = "1/4 2/4 3/4 4/4 " ] || fail "--dry-run does not list the shards"
grep -q '^pope:test	2/4	.*	this one$' plan || fail "--dry-run does not say which shard this is"
[ "$(awk '{ n += $5 } END { print n }' plan)" = "$(grep -c '^pope' plain.txt | awk '{ print $1 / 2 }')" ] ||
    fail "the shards are not all of pope: $(cat plan)"
expect 0 run --dry-run --shard 1/1000 --offline             # a group each: the largest one's cost
largest=$(grep '^pope:test' out | awk '$7 > m { m = $7 } END { print m }')
awk -v m="$largest" '{ n++; t[n] = $7; s += $7 } END { for (i = 1; i <= n; i++) if (t[i] - s / n > m || s / n - t[i] > m) exit 1 }' \
    plan || fail "a shard is more than a group away from the mean: $(cat plan)"

for i in 10 12 14 16; do
    task $i >"$i.out" 2>"$i.err" &
    pids="${pids:-} $!"
done
for pid in $pids; do wait "$pid" || fail "a task failed: $(cat ./*.err)"; done
for i in 1 2 3 4; do
    [ -f "llava-eval.$i-of-4.db" ] || fail "task $i has no store of its own"
    query "llava-eval.$i-of-4.db" "SELECT DISTINCT d.benchmark, q.image FROM reply r JOIN run ON run.id = r.run
        JOIN dataset d ON d.id = run.dataset JOIN question q ON q.dataset = d.id AND q.ordinal = r.ordinal" >"images$i"
done
[ -z "$(sort images1 images2 images3 images4 | uniq -d)" ] || fail "an image is in two shards"
[ "$(query llava-eval.2-of-4.db "SELECT count(*) FROM question q JOIN dataset d ON d.id = q.dataset WHERE benchmark = 'pope'")" \
    = "$(awk '$2 == "2/4" { print $5 }' plan)" ] || fail "shard 2 is not what --dry-run said"
[ ! -e llava-eval.1-of-4.db-wal ] || fail "a closed store left its -wal"

expect 0 merge all.db llava-eval.1-of-4.db llava-eval.2-of-4.db llava-eval.3-of-4.db llava-eval.4-of-4.db
same all.db "the merged leaderboard differs"
replies all.db | cmp - plain.txt || fail "the merged replies differ"
query plain.db "SELECT * FROM question ORDER BY dataset, ordinal" >questions
query all.db "SELECT * FROM question ORDER BY dataset, ordinal" | cmp - questions || fail "the merged questions differ"
[ "$(query all.db 'SELECT count(*) FROM run WHERE finished IS NULL')" = 0 ] || fail "a merged run counts as open"
expect 5 merge other.db llava-eval.3-of-4.db llava-eval.1-of-4.db
expect 0 merge other.db llava-eval.4-of-4.db llava-eval.3-of-4.db llava-eval.2-of-4.db llava-eval.2-of-4.db
says 'from 5 stores'
same other.db "another order gives another leaderboard"
expect 0 merge other.db all.db
same other.db "merged again, the leaderboard differs"

# some parts only: marked and told; the rest from another number of parts
expect 5 merge some.db llava-eval.1-of-4.db llava-eval.2-of-4.db
says 'questions have no reply in these stores'
prints '†'
expect 0 run --shard 2/2 --db 'half.{shard}.db'
[ -f half.2-of-2.db ] || fail "{shard} in --db is not filled in"
expect 0 merge some.db half.2-of-2.db
same some.db "parts of 4 and of 2 do not make the whole"

# the same run, the same question, another reply
cp llava-eval.2-of-4.db wrong.db
query wrong.db "UPDATE reply SET text = text || 'x' WHERE run = 1 AND ordinal =
    (SELECT min(ordinal) FROM reply WHERE run = 1)"
cp all.db before.db
expect 3 merge all.db half.2-of-2.db wrong.db
says 'all.db and wrong.db contradict each other: to question'
cmp all.db before.db || fail "a merge that was refused changed the store"
[ ! -e all.db-merging ] || fail "a merge that was refused left its file"

# older runs stay, the newest stands
expect 0 run --suite pope --fresh --db plain.db
expect 0 merge older.db plain.db all.db
[ "$(query older.db "SELECT count(*) FROM run r JOIN dataset d ON d.id = r.dataset WHERE benchmark = 'pope'")" = 4 ] ||
    fail "the run before --fresh is lost"
"$PROGRAM" leaderboard --db older.db | cmp - plain.text || fail "older runs change the leaderboard"

# what cannot be merged, by name
expect 3 merge new.db nowhere.db
says 'nowhere.db: no such store'
[ ! -e new.db ] || fail "a failed merge made a store"
echo "no store" >text.db
expect 3 merge new.db text.db
says 'text.db: not a llava-eval store'
expect 3 "$PROGRAM" merge new.db llava-eval.1-of-4.db --data nowhere
says 'pope:test is not scored'
expect 2 "$PROGRAM" merge new.db

# preempted: committed, 143, and the same task goes on
env SLURM_PROCID=0 SLURM_NTASKS=2 "$PROGRAM" run --suite $suite --model "$MLP" --data data --judge demo --offline \
    --db pre.db >/dev/null 2>pre.err &
pid=$!
while [ "$(query pre.db 'SELECT count(*) FROM reply' 2>/dev/null || echo 0)" -lt 10 ]; do
    kill -0 $pid 2>/dev/null || fail "the task ended early: $(cat pre.err)"
    sleep 0.05
done
kill -USR1 $pid
set +e; wait $pid; status=$?; set -e
[ $status = 143 ] || fail "exit status $status after SIGUSR1"
n=$(query pre.db 'SELECT count(*) FROM reply')
expect 0 env SLURM_PROCID=0 SLURM_NTASKS=2 "$PROGRAM" run --suite $suite --model "$MLP" --data data --judge demo \
    --offline --db pre.db
[ "$(query pre.db 'SELECT count(*) FROM reply')" -gt "$n" ] || fail "the task did not go on"
expect 5 merge pre-all.db pre.db half.2-of-2.db              # of the other model, only a half
replies pre-all.db | grep tiny-mlp >got.txt
grep tiny-mlp plain.txt | cmp got.txt - || fail "a task that was stopped and went on lost or changed replies"
