# docs/comparing.md: every command in it runs, and prints what stands there (figures aside: they may
# differ between machines' kernels). Then what that page promises, on the store it made.
. "$ROOT/tests/cli/lib.sh"
mkdir bin
cp "$PROGRAM" bin/llava-eval                                # beside the demonstration, as installed
ln -s "$ROOT/demo" bin/demo
PATH=$PWD/bin:$PATH

# Figures, their signs and marks become #; the width of columns does not count.
masked() { sed -E 's/(<|−|-|\+)?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?\*?/#/g; s/─+/─/g; s/[ \t]+/ /g; s/\\(textbf|underline)\{([^{}]*(\{\})?)\}/\2/g; s/\\ensuremath\{-\}//g' "$1"; }

# The n-th command of the page into ./command, what it prints there into ./printed.
block() {
    awk -v n="$1" '
        /^```/ && open { open = 0; next }
        /^```sh$/ { at++; open = 1; to = at == n ? "command" : ""; next }
        /^```$/ { open = 1; to = at == n ? "printed" : ""; next }
        open && to { print > to }' "$ROOT/docs/comparing.md"
}

n=0
while rm -f command printed && block $((n + 1)) && [ -f command ]; do
    n=$((n + 1))
    expect 0 sh -c "$(cat command)"
    masked out >out.masked
    masked printed | sed '$!b;/^$/d' | diff - out.masked >differ || { cat command differ >&2; fail "prints something else than docs/comparing.md"; }
done
[ $n -ge 7 ] || fail "only $n commands in docs/comparing.md"

store="--data data --db study.db"
compare() {
    # shellcheck disable=SC2086
    "$PROGRAM" compare "$@" $store
}

# Each score is the leaderboard's, to the last digits, for all metrics, two runs or four.
column() { head -n 1 out | tr '\t' '\n' | grep -nx "$1" | cut -d: -f1; }
check_scores() {                                            # side, model, prompt set
    query study.db "SELECT d.benchmark || '.' || d.split || '.' || s.metric, s.value FROM score s
        JOIN run r ON r.id = s.run JOIN dataset d ON d.id = r.dataset JOIN model m ON m.id = r.model
        WHERE m.label = '$2' AND r.prompts = '$3' AND s.value IS NOT NULL AND s.metric <> 'distribution'" >want
    awk -F '\t' -v v="$(column "$1_value")" 'NR == FNR { want[$1] = $2; next } FNR > 1 {
        key = $1 "." $2 "." $3; d = $v - want[key]
        if (!(key in want) || d > 1e-9 || d < -1e-9) { print key ": " $v ", stored " want[key]; bad = 1 }
        n++ } END { for (key in want) left++; if (n != left || n < 60) { print n " of " left; bad = 1 }
        exit bad }' want out || fail "scores of $2 with $3 differ"
}
expect 0 compare tiny-linear tiny-mlp -v --format tsv
check_scores a tiny-linear paper
check_scores b tiny-mlp paper
expect 0 compare tiny-linear tiny-mlp --prompts paper --prompts none -v --format tsv
check_scores a tiny-linear paper
check_scores b tiny-linear none
check_scores c tiny-mlp paper
check_scores d tiny-mlp none

# The same digits on any number of threads.
expect 0 env OMP_NUM_THREADS=1 "$PROGRAM" compare tiny-linear tiny-mlp --data data --db study.db --json
mv out one
expect 0 env OMP_NUM_THREADS=3 "$PROGRAM" compare tiny-linear tiny-mlp --data data --db study.db --json
cmp one out || fail "the number of threads changes figures"

# Names, and what is refused.
expect 2 compare tiny-linear && says 'tiny-mlp'
expect 2 compare tiny-linear nobody && says 'no model, nor run, "nobody"'
expect 2 compare tiny-linear tiny-linear && says 'itself'
expect 2 compare tiny-linear:blip tiny-mlp && says 'blip'
expect 2 compare tiny-linear:none tiny-mlp && says 'differ in prompts'
expect 0 compare tiny-linear:none tiny-mlp --allow prompts --suite pope
expect 0 compare tiny-linear:none tiny-mlp:paper --suite pope && prints 'tiny-linear:none'
expect 2 compare tiny-linear tiny-mlp --allow everything && says 'data, prompts or decode'
expect 0 "$PROGRAM" run --suite pope --model "$MLP" --prompts paper --max-new-tokens 3 --offline -q $store
expect 2 compare tiny-linear tiny-mlp --suite pope && says 'differ in decode settings'
expect 0 compare tiny-linear tiny-mlp --suite pope --allow decode

# A run by its number is one benchmark's.
run=$(query study.db "SELECT min(r.id) FROM run r JOIN dataset d ON d.id = r.dataset JOIN model m ON m.id = r.model
    WHERE d.benchmark = 'pope' AND m.label = 'tiny-mlp' AND r.prompts = 'paper'")
expect 0 compare tiny-linear "$run" --suite pope && prints "tiny-mlp #$run"

# What is missing is left out, marked, told, and is no success.
cp study.db holes.db
query holes.db "DELETE FROM reply WHERE run = $run AND ordinal = 0" >/dev/null
expect 5 "$PROGRAM" compare tiny-linear "$run" --suite pope --data data --db holes.db
says '1 questions lack an answer' && prints '†'

# Other data is refused, or paired by equal questions.
mkdir other && cp -r data/pope other/pope
sed 2d data/pope/coco_pope_random.json >other/pope/coco_pope_random.json
expect 3 "$PROGRAM" compare tiny-linear "$run" --suite pope --data other --db study.db && says '--allow data'
expect 0 "$PROGRAM" compare tiny-linear "$run" --suite pope --data other --db study.db --allow data && prints '107$'

# A judge is read, never asked: nothing listens at this address, and nobody notices.
for model in "$LINEAR" "$MLP"; do
    expect 0 "$PROGRAM" run --suite llavabench --limit 6 --model "$model" --judge demo --mirror "$MIRROR" -q $store
done
expect 0 compare tiny-linear tiny-mlp --suite llavabench && prints 'LLaVA-Bench (demo)'
expect 3 compare tiny-linear tiny-mlp --suite llavabench --judge http://127.0.0.1:9/v1 --judge-model some
says 'no question was answered by all'
! grep -qi 'connect' err || { cat err; fail "a judge was asked"; }

# Differences to a published line: none with other data, there with the official data.
expect 0 "$PROGRAM" leaderboard --db study.db --suite gqa,pope --reference paper --baseline LLaVA-1.5-7B
! grep -q 'tiny-mlp − LLaVA' out || fail "figures that do not compare are compared"
query holes.db "UPDATE dataset SET official = 1" >/dev/null
expect 0 "$PROGRAM" leaderboard --db holes.db --suite gqa,pope --reference paper --baseline LLaVA-1.5-7B
prints 'tiny-mlp − LLaVA-1.5-7B'
expect 0 "$PROGRAM" leaderboard --db holes.db --suite gqa --reference paper --baseline LLaVA-1.5-7B --json
prints '"value":62.0,.*"source":"Table 3","checked":"LLaVA docs/MODEL_ZOO.md",.*"difference":0.0,"relative":100.0'
expect 2 "$PROGRAM" leaderboard --db study.db --reference paper --baseline LLaVA-1.5-7 && says 'did you mean LLaVA-1.5-7B'
