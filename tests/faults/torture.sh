# torture.sh short|full -- what is promised on failure, by failing: kill -9 at any moment, every call that
# can fail failing in turn, full disks, folders that cannot be written, damaged stores and inputs, clocks that
# go back, readers that leave, data that changes. After each the same command must end with the tables of an
# undisturbed run; while it is disturbed, with a documented status and a sentence.
#
# Runs in an empty folder with PROGRAM, ROOT and B set, as tests/run.sh does. Under sanitizers the parts that
# preload faults.so are left out: they need an allocator of their own.
. "$ROOT/tests/cli/lib.sh"

mode=$1
FAULTS=$B/faults.so
case $B in */sanitize) FAULTS= ;; esac
failed=0
wrong() { echo "torture: $*" >&2; failed=$((failed + 1)); [ $failed -lt 20 ] || exit 1; }
note() { echo "$(date +%T) $*"; }
pick() { [ "$mode" = full ] && echo "$2" || echo "$1"; }   # SHORT FULL
# A number below $1 that depends on $2 and $3 alone.
drawn() { awk -v n="$1" -v s="$2" -v k="$3" 'BEGIN { srand(s * 10007 + k); rand(); print int(rand() * n) }'; }

small="--suite pope --limit 8 --model $MLP --data data --offline"
# shellcheck disable=SC2086
small_run() { "$PROGRAM" run $small -q "$@"; }

everything=vqav2:val,gqa,vizwiz:val,scienceqa,textvqa,pope,mme,mmbench,seed,llavabench,mmvet
"$PROGRAM" fetch --suite $everything --mirror "$MIRROR" --data data -q >/dev/null || fail "no data"
small_run --db good.db >good.txt || fail "an undisturbed run fails"
replies good.db >good.replies

# A run that was disturbed: its status is $1, its output ./f.txt and ./f.err, its store f.db; then the rest.
check_disturbed() {   # STATUS WHAT
    case $1 in
    0) cmp -s f.txt good.txt || wrong "$2: status 0, but another table" ;;
    1 | 3 | 4 | 5 | 6) grep -q 'error' f.err || wrong "$2: status $1 without a word" ;;
    *) wrong "$2: status $1: $(tail -n 1 f.err)" ;;
    esac
    if ! small_run --db f.db --retry-failed >f2.txt 2>f2.err || ! cmp -s f2.txt good.txt; then
        wrong "$2 (status $1: $(tail -n 1 f.err)): the next run: $(tail -n 1 f2.err)"
    elif [ "$(query f.db 'PRAGMA integrity_check')" != ok ]; then
        wrong "$2: the store is damaged"
    else
        replies f.db | cmp -s - good.replies || wrong "$2: other replies"
    fi
    rm -f f.db*
}

# ---- kill -9 at any moment --------------------------------------------------------------------

stored() { query "$1" 'SELECT run, ordinal, text, error FROM reply ORDER BY run, ordinal' 2>/dev/null; }

kills() {   # COUNT OPTION...: kills a run again and again until it is done, over and over
    n=$1; shift
    note "kill -9 at $n moments"
    "$PROGRAM" run "$@" --db whole.db -q >whole.txt || fail "an undisturbed run fails"
    replies whole.db >whole.replies
    k=0 round=0 done_with=0
    while [ $k -lt "$n" ] && [ $round -lt $((20 * n)) ]; do
        round=$((round + 1))
        "$PROGRAM" run "$@" --db killed.db -q >k.txt 2>k.err &
        pid=$!
        sleep "0.$(printf %02d $((5 + $(drawn 90 "$n" $round))))"
        stored killed.db >acknowledged || : >acknowledged   # a reader saw these: they were committed
        if kill -9 $pid 2>/dev/null; then k=$((k + 1)); fi
        set +e; wait $pid 2>/dev/null; status=$?; set -e
        stored killed.db >after || : >after
        [ -z "$(sort acknowledged >a1; sort after >a2; comm -23 a1 a2)" ] || wrong "kill $k: a committed reply is lost"
        [ "$(cut -f1,2 after | sort | uniq -d | wc -l)" = 0 ] || wrong "kill $k: a reply stands twice"
        if [ $status = 0 ]; then
            cmp -s k.txt whole.txt || wrong "kill $k: the last run's table differs"
            replies killed.db | cmp -s - whole.replies || wrong "kill $k: the replies differ"
            done_with=$((done_with + 1))
            rm -f killed.db*
        elif [ $status != 137 ]; then
            wrong "kill $k: status $status: $(tail -n 1 k.err)"
        fi
    done
    [ $k -ge "$n" ] || wrong "killed $k times only"
    "$PROGRAM" run "$@" --db killed.db -q >k.txt 2>k.err || wrong "the run after the last kill: $(tail -n 1 k.err)"
    cmp -s k.txt whole.txt || wrong "the table after the last kill differs"
    replies killed.db | cmp -s - whole.replies || wrong "the replies after the last kill differ"
    note "killed $k times, done $((done_with + 1)) times"
}

# ---- calls that fail in turn ------------------------------------------------------------------

faults() {   # KIND EVERY: the N-th call of its kind fails, then N + EVERY, ...
    FAULT=$1 FAULT_COUNT=$PWD/calls LD_PRELOAD=$FAULTS small_run --db f.db >/dev/null 2>&1 || true
    rm -f f.db*
    calls=$(cat calls)
    step=$2
    [ "$2" != all ] || step=1
    [ "${2#/}" = "$2" ] || step=$((calls / ${2#/} + 1))
    at=$(($(drawn $step 3 1) + 1)) tried=0
    while [ $at -le "$calls" ]; do
        set +e
        FAULT=$1 FAULT_AT=$at LD_PRELOAD=$FAULTS timeout 60 "$PROGRAM" run $small -q --db f.db >f.txt 2>f.err
        status=$?
        set -e
        check_disturbed $status "$1 $at of $calls fails"
        at=$((at + step)) tried=$((tried + 1))
    done
    note "$1: $calls calls, $tried made to fail"
}

# As many of the places where memory is asked for as fit into the time, evenly spread, by two at a time.
memory() {   # SECONDS
    FAULT=malloc FAULT_COUNT=$PWD/calls LD_PRELOAD=$FAULTS small_run --db f.db >/dev/null 2>&1 || true
    rm -f f.db*
    calls=$(cat calls) end=$(($(date +%s) + $1))
    step=$((calls * 618 / 1000))                            # no two that follow each other are near
    while [ "$(awk -v a="$calls" -v b=$step 'BEGIN { while (b) { t = a % b; a = b; b = t } print a }')" != 1 ]; do
        step=$((step + 1))
    done
    for half in 0 1; do
        mkdir half$half
        ln -s ../data half$half/data
        cp good.txt good.replies half$half/
        (
            cd half$half
            failed=0 k=$half
            while [ "$(date +%s)" -lt $end ] && [ $k -lt "$calls" ]; do
                at=$((k * step % calls + 1))
                set +e
                FAULT=malloc FAULT_AT=$at LD_PRELOAD=$FAULTS timeout 60 "$PROGRAM" run $small -q --db f.db >f.txt 2>f.err
                status=$?
                set -e
                check_disturbed $status "malloc $at of $calls fails"
                k=$((k + 2))
            done
            echo $(((k - half) / 2)) >tried
            [ $failed = 0 ]
        ) &
        eval "half$half=\$!"
    done
    wait "$half0" || failed=$((failed + 1))
    wait "$half1" || failed=$((failed + 1))
    note "malloc: $calls calls, $(($(cat half0/tried) + $(cat half1/tried))) made to fail"
}

stays_broken() {   # from the N-th write on the disk stays full
    for at in $(pick "20" "1 3 7 12 20 33 45 60"); do
        set +e
        FAULT=write FAULT_ON=1 FAULT_AT=$at LD_PRELOAD=$FAULTS "$PROGRAM" run $small -q --db f.db >f.txt 2>f.err
        status=$?
        set -e
        check_disturbed $status "every write from $at on fails"
    done
    for quota in $(pick "90000" "1000 9000 40000 70000 90000 110000"); do
        set +e
        FAULT_QUOTA=$quota LD_PRELOAD=$FAULTS "$PROGRAM" run $small -q --db f.db >f.txt 2>f.err
        status=$?
        set -e
        [ $status = 1 ] && ! grep -qiE 'disk full|No space left|cannot be written' f.err &&
            wrong "a disk of $quota bytes: $(tail -n 1 f.err)"
        check_disturbed $status "a disk of $quota bytes"
    done
}

tmpfs_full() {   # a real full disk, where mounting is allowed
    mkdir small
    mount -t tmpfs -o size=96k none small 2>/dev/null || { note "no tmpfs: may not mount"; return 0; }
    set +e
    small_run --db small/f.db >f.txt 2>f.err
    status=$?
    set -e
    [ $status = 1 ] && grep -q 'disk full' f.err || wrong "a full tmpfs: status $status: $(tail -n 1 f.err)"
    mount -o remount,size=8m small
    small_run --db small/f.db >f2.txt 2>f2.err && cmp -s f2.txt good.txt || wrong "room on the tmpfs again: $(tail -n 1 f2.err)"
    umount small
    note "a full tmpfs"
}

# ---- stores that are not as they should be -----------------------------------------------------

other_stores() {
    note "read-only, old, new, cut and damaged stores; two processes; clocks; readers that leave"
    mkdir ro && cp good.db ro/ && chmod 444 ro/good.db && chmod 555 ro
    as=
    [ "$(id -u)" != 0 ] || as="setpriv --reuid=65534 --clear-groups"
    chmod 755 .
    if [ -z "$as" ] || $as test -r "$PROGRAM" -a -r "$PWD/ro/good.db"; then
        expect 0 $as "$PROGRAM" leaderboard --db ro/good.db
        cmp -s out good.txt || wrong "a read-only folder: another table"
        expect 1 $as "$PROGRAM" run $small -q --db ro/good.db
        says 'cannot be written'
    fi
    chmod 755 ro

    : >old.db                                               # as version 1 made it
    query old.db "$(cat "$ROOT/results/schema.sql") PRAGMA application_id=$((0x4C4C5645)); PRAGMA user_version=1;"
    expect 3 "$PROGRAM" leaderboard --db old.db
    says 'made by an older llava-eval'
    expect 0 small_run --db old.db
    cmp -s out good.txt || wrong "an older store, brought up to date: another table"
    cp good.db new.db
    query new.db 'PRAGMA user_version=99'
    for verb in "run $small" leaderboard "score --data data"; do
        # shellcheck disable=SC2086
        expect 3 "$PROGRAM" $verb --db new.db
        says 'made by a newer llava-eval'
    done

    for seed in $(seq "$(pick 6 150)"); do
        cp good.db f.db
        "$B/damage" f.db "$seed"
        for verb in "run $small -q" leaderboard; do
            set +e
            # shellcheck disable=SC2086
            timeout 60 "$PROGRAM" $verb --db f.db >f.txt 2>f.err
            status=$?
            set -e
            case $status in
            0 | 1 | 3 | 5 | 6) ;;
            *) wrong "a damaged store (seed $seed, ${verb%% *}): status $status: $(tail -n 1 f.err)" ;;
            esac
            [ $status = 0 ] || grep -q error f.err || wrong "a damaged store (seed $seed): status $status without a word"
        done
        rm -f f.db*
    done

    # shellcheck disable=SC2086
    "$PROGRAM" run --suite gqa --model "$MLP" --data data --offline -q --db two.db >/dev/null 2>&1 &
    pid=$!
    while [ ! -s two.db-lock ]; do sleep 0.02; done
    set +e
    small_run --db two.db >f.txt 2>f.err
    status=$?
    set -e
    if kill -0 $pid 2>/dev/null; then
        [ $status = 1 ] && grep -q "process $pid) is writing this store" f.err ||
            wrong "a second process: status $status: $(tail -n 1 f.err)"
    fi
    wait $pid || wrong "the first of two processes fails"

    set +e
    small_run --db f.db >&- 2>f.err
    status=$?
    [ $status = 1 ] && grep -q 'cannot write to standard output' f.err ||
        wrong "standard output closed: status $status: $(tail -n 1 f.err)"
    : >f.txt
    check_disturbed 1 "standard output closed"
    (small_run --db f.db; echo $? >status) 2>f.err | true
    set -e
    [ "$(cat status)" = 141 ] || [ "$(cat status)" = 0 ] || wrong "the reader left: status $(cat status): $(tail -n 1 f.err)"
    expect 0 small_run --db f.db
    replies f.db | cmp -s - good.replies || wrong "the reader left: other replies"
    rm -f f.db*

    cp -R data changed
    cp good.db f.db
    sed 's/"label": *"yes"/"label": "no"/' data/pope/coco_pope_random.json >changed/pope/coco_pope_random.json
    expect 0 "$PROGRAM" run --suite pope --limit 8 --model "$MLP" --data changed --offline --db f.db
    says 'pope:test .*the question files have changed'
    [ "$(query f.db "SELECT count(DISTINCT hash) FROM dataset WHERE benchmark = 'pope'")" = 2 ] ||
        wrong "changed data are not told apart"
    expect 0 small_run --db f.db                            # the old ones: the old run, all answered
    rm -rf f.db* changed

    [ -n "$FAULTS" ] || return 0
    FAULT_CLOCK=40000000 LD_PRELOAD=$FAULTS small_run --db f.db >f.txt 2>f.err
    check_disturbed $? "a clock set back"
    FAULT_STATFS=0x6969 LD_PRELOAD=$FAULTS "$PROGRAM" run $small --db f.db >f.txt 2>f.err
    grep -q 'lies on a network file system (NFS)' f.err || wrong "NFS is not said: $(cat f.err)"
    [ "$(query f.db 'PRAGMA journal_mode')" = delete ] || wrong "a store on NFS is in WAL mode"
    check_disturbed 0 "a network file system"
    cp good.db f.db                                         # was in WAL mode on a local disk
    FAULT_STATFS=0x0BD00BD0 LD_PRELOAD=$FAULTS "$PROGRAM" leaderboard --db f.db >f.txt 2>f.err
    cmp -s f.txt good.txt || wrong "a store read on Lustre: $(cat f.err)"
    FAULT_STATFS=0x0BD00BD0 LD_PRELOAD=$FAULTS "$PROGRAM" run $small --db f.db -q >f.txt 2>f.err
    [ "$(query f.db 'PRAGMA journal_mode')" = delete ] || wrong "a store moved to Lustre stays in WAL mode"
    check_disturbed 0 "a store moved to Lustre"
}

# ---- damaged inputs ---------------------------------------------------------------------------

spoil() {   # FILE SEED COMMAND...: damages the file, runs, puts it back
    file=$1 seed=$2; shift 2
    cp "$file" kept
    "$B/damage" "$file" "$seed"
    set +e
    timeout 60 "$@" >f.txt 2>f.err
    status=$?
    set -e
    case $status in
    0 | 1 | 2 | 3 | 4 | 5 | 6) ;;
    *) wrong "$file damaged (seed $seed): status $status: $(tail -n 1 f.err)"
       cp "$file" "spoiled.$seed" ;;
    esac
    [ $status = 0 ] || grep -q error f.err || wrong "$file damaged (seed $seed): status $status without a word"
    cp kept "$file"
    damaged=$((damaged + 1))
}

damaged_inputs() {   # ROUNDS
    damaged=0
    cp -R "$MLP" model
    "$PROGRAM" ask --model model --image data/pope/val2014/"$(ls data/pope/val2014 | head -n 1)" --prompt x >/dev/null 2>&1 ||
        fail "ask fails on good input"
    head -c 3000 /dev/zero >/dev/null
    "$PROGRAM" show --benchmark llavabench --data data --json | sed 's/^{"question_id":\([^,]*\),.*/\1/' |
        while read -r id; do
            printf '{"question_id":%s,"text":"a cat"}\n' "$id" >>answers.jsonl
            printf '{"question_id":%s,"run":0,"reply":"8 7\\nGood.","judge":"gpt-9"}\n' "$id" >>reviews.jsonl
        done
    images=$(find data -name '*.jpg' -o -name '*.png' | sort | awk 'NR % 40 == 1')
    questions=$(find data -name '*.json' ! -name '.*' -o -name '*.jsonl' -o -name '*.tsv' | sort)
    archives=$(find "$ROOT/demo/mirror" -name '*.zip' | sort)
    for round in $(seq "$1"); do
        for file in $questions; do
            bench=${file#data/} bench=${bench%%/*}
            split=
            case $bench in vqav2 | vizwiz) split=:val ;; esac
            spoil "$file" "$round" "$PROGRAM" show --benchmark "$bench$split" --data data --json
        done
        for file in $images; do
            spoil "$file" "$round" "$PROGRAM" ask --model model --image "$file" --prompt "What is it?" --max-new-tokens 4
        done
        for file in model/config.json model/tokenizer.model model/model.safetensors model/tokenizer_config.json \
            model/preprocessor_config.json model/generation_config.json; do
            spoil $file "$round" "$PROGRAM" ask --model model --prompt "Hello" --max-new-tokens 4
        done
        spoil reviews.jsonl "$round" "$PROGRAM" score --benchmark llavabench --data data --answers answers.jsonl --reviews reviews.jsonl
        spoil answers.jsonl "$round" "$PROGRAM" score --benchmark llavabench --data data --answers answers.jsonl --reviews reviews.jsonl
        mkdir -p mirror
        for file in $archives; do
            case $file in                       # the small ones of each host
            *Annotations* | *uestions* | *mm-vet*) ;;
            *) continue ;;
            esac
            rm -rf mirror unpacked
            cp -R "$ROOT/demo/mirror" mirror
            suite=gqa
            case $file in *VizWiz* | *vizwiz*) suite=vizwiz:val ;; *MM-Vet*) suite=mmvet ;; *vqa/v2*) suite=vqav2:val ;; esac
            spoil "mirror/${file#"$ROOT"/demo/mirror/}" "$round" "$PROGRAM" fetch --suite $suite --scoring-only \
                --mirror "file://$PWD/mirror" --data unpacked
        done
    done
    note "$damaged damaged inputs"
}

# ---- what is run ------------------------------------------------------------------------------

if [ "$mode" = full ]; then
    kills 100 --suite $everything --model "$LINEAR" --model "$MLP" --data data --offline --judge demo
else
    kills 5 --suite pope,gqa --model "$MLP" --data data --offline
fi
if [ -n "$FAULTS" ]; then
    for kind in open write fsync sqlite; do faults $kind "$(pick /4 all)"; done
    if [ "$mode" = full ]; then memory 150; else faults malloc /8; fi
    stays_broken
fi
[ "$mode" = short ] || tmpfs_full
other_stores
damaged_inputs "$(pick 1 24)"
[ $failed = 0 ] || fail "$failed promises were not kept"
