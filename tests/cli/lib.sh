# lib.sh -- for the scripts beside it: $PROGRAM, $ROOT; a fresh empty folder is the current one.
set -eu

fail() { echo "$0: $*" >&2; exit 1; }

# expect STATUS COMMAND...: the exit status is as documented; stdout in ./out, stderr in ./err.
expect() {
    want=$1; shift
    set +e
    "$@" >out 2>err
    got=$?
    set -e
    [ "$got" = "$want" ] || { cat err >&2; fail "exit status $got, expected $want: $*"; }
}

says() { grep -q -- "$1" err || { cat err >&2; fail "stderr does not say: $1"; }; }
prints() { grep -q -- "$1" out || { cat out >&2; fail "stdout does not print: $1"; }; }

# query STORE SQL: rows as tab-separated lines.
query() { "$B/store-dump" "$1" "$2"; }

# The replies of a store, in a form that two stores can be compared by.
replies() {
    query "$1" "SELECT d.benchmark, d.split, m.label, r.ordinal, r.text, r.error FROM reply r
        JOIN run ON run.id = r.run JOIN dataset d ON d.id = run.dataset
        JOIN model m ON m.id = run.model ORDER BY 1, 2, 3, 4"
}

MIRROR=file://$ROOT/demo/mirror
LINEAR=$ROOT/demo/checkpoints/tiny-linear
MLP=$ROOT/demo/checkpoints/tiny-mlp
