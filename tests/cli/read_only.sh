# Data and a checkpoint that nobody may write to, as a cluster shares them: two runs use them at once, each with
# a store of its own elsewhere, and nothing in them changes.
. "$ROOT/tests/cli/lib.sh"

suite=pope,gqa,llavabench
expect 0 "$PROGRAM" fetch --suite $suite --mirror "$MIRROR" --data shared/data
cp -R "$MLP" shared/model
options="--suite $suite --model shared/model --data shared/data --judge demo"
# shellcheck disable=SC2086
expect 0 "$PROGRAM" run $options --offline --db plain.db
replies plain.db >plain.txt
state() { find shared -printf '%p %s %T@ %C@ %m\n' | sort; }

# A mount that is read-only, for root, to whom modes say nothing; else folders without the right to write.
mounted() { unshare -rm sh -c 'mount --bind shared shared && mount -o remount,bind,ro shared && exec "$@"' sh "$@"; }
if mounted true 2>/dev/null; then
    ro() { mounted "$@"; }
else
    chmod -R a-w shared
    ro() { "$@"; }
    if [ "$(id -u)" = 0 ]; then
        ro() { setpriv --reuid=65534 --clear-groups "$@"; }
        chmod 777 .
    fi
fi
! ro sh -c ': >shared/data/written' 2>/dev/null || { echo "nothing here can be made read-only"; exit 77; }
ro test -r shared/model/config.json || { echo "a read-only folder cannot be reached by another user here"; exit 77; }
state >before

# shellcheck disable=SC2086
ro "$PROGRAM" run $options --offline --db one.db >one.out 2>one.err & one=$!
# shellcheck disable=SC2086
ro "$PROGRAM" run $options --mirror "$MIRROR" --db two.db >two.out 2>two.err & two=$!
wait $one || fail "the first of two runs: $(cat one.err)"
wait $two || fail "the second of two runs: $(cat two.err)"
for store in one two; do
    replies $store.db | cmp - plain.txt || fail "another reply from a read-only folder"
done
cmp one.out two.out || fail "two tables differ"

expect 0 ro "$PROGRAM" fetch --suite $suite --mirror "$MIRROR" --data shared/data --verify
expect 0 ro "$PROGRAM" inspect --model shared/model
expect 0 ro "$PROGRAM" report page --data shared/data --db one.db
expect 1 ro "$PROGRAM" fetch --suite mme --mirror "$MIRROR" --data shared/data
says 'shared/data/mme: cannot create: \(Read-only file system\|Permission denied\)'
state | cmp - before || fail "something changed in a read-only folder"
chmod -R u+w shared
