#!/bin/bash
# run.sh PROGRAM DATA PLAIN.db -- the demonstration as a Slurm array of four, against the store of a plain
# run (make demo): one task is told to stop and goes back into the queue by itself, one is killed and put
# back; merged by the dependent job, the leaderboard has the same bytes.
#
# Slurm is the real one: munged, slurmctld and slurmd of the distribution, started here with a
# configuration of their own on ports nobody else listens on, and stopped by their process ids.
set -eu
program=$(realpath "$1") data=$(realpath "$2") plain=$(realpath "$3")
here=$(realpath "$(dirname "$0")/../..")
host=$(hostname -s)
dir=$(mktemp -d /tmp/llava-eval-slurm.XXXXXX)
chmod 755 "$dir"
port=$((20000 + $$ % 20000))

fail() { echo "tests/slurm/run.sh: $*" >&2; tail -n 8 "$dir"/*.log "$dir"/out.db.shards/*.log >&2 || true; exit 1; }

stop() {                        # PIDFILE...: ends what it names, and waits until it is gone
    for file; do
        [ -s "$file" ] || continue
        pid=$(cat "$file")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
}

finish() {
    status=$?
    [ ! -f "$dir/slurmctld.pid" ] || scancel -u "$(id -un)" 2>/dev/null || true
    stop "$dir/slurmd.pid" "$dir/slurmctld.pid" "$dir/munged.pid"
    [ $status != 0 ] || rm -rf "$dir"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- the cluster ------------------------------------------------------------------------------

mkdir "$dir/munge" "$dir/state" "$dir/spool"
chmod 755 "$dir/munge"
head -c 1024 /dev/urandom >"$dir/munge.key"
chmod 400 "$dir/munge.key"
cat >"$dir/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$dir/slurm.conf

munged --force --key-file="$dir/munge.key" --socket="$dir/munge/socket" --pid-file="$dir/munged.pid" \
    --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" --num-threads=2
slurmctld -i
slurmd -N "$host"
for _ in $(seq 60); do
    [ "$(sinfo -h -o %t 2>/dev/null)" = idle ] && break
    sleep 0.5
done
[ "$(sinfo -h -o %t)" = idle ] || fail "the node is not idle: $(sinfo)"

# ---- the jobs ---------------------------------------------------------------------------------

cd "$dir"
LLAVA_EVAL=$program SHARDS=4 bash "$here/harness/slurm/llava-eval.sbatch" out.db --suite all \
    --data "$data" --judge demo >submitted
cat submitted
array=$(sed -n 's/^array \([0-9]*\),.*/\1/p' submitted)
merge=$(sed -n 's/.*merge \([0-9]*\):.*/\1/p' submitted)

replies() { sqlite3 "file:out.db.shards/$1-of-4.db?mode=ro" 'SELECT count(*) FROM reply' 2>/dev/null || echo 0; }
task() { squeue -h -r -t all -j "${array}_$1" -O "$2" 2>/dev/null | tail -n 1 | tr -d ' '; }
await() {   # SECONDS WHAT COMMAND...
    limit=$1 what=$2; shift 2
    for _ in $(seq $((limit * 4))); do "$@" && return 0; sleep 0.25; done
    squeue -a >&2
    fail "waited $limit s in vain: $what"
}
has_begun() { [ "$(replies "$1")" -ge 20 ]; }
has_restarted() { [ "$(task "$1" RestartCnt)" -ge 1 ]; }
is_gone() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; }

await 120 "shard 1 to begin" has_begun 1
scancel --signal=USR1 --batch "${array}_0" >scancel.log 2>&1 &   # as --signal=B:USR1@120 does it; it
                                                                # asks again while the task is ending
await 60 "shard 1 to go back into the queue" has_restarted 0
kept=$(replies 1)
[ "$kept" -ge 20 ] || fail "shard 1 kept $kept replies"
echo "shard 1: stopped by SIGUSR1 with $kept replies, back in the queue"

await 300 "shard 4 to begin" has_begun 4
kill -9 "$(head -n 1 out.db.shards/4-of-4.db-lock)"
kept=$(replies 4)
echo "shard 4: killed with $kept replies"
has_failed() { [ "$(task 3 State)" = FAILED ]; }
await 60 "shard 4 to end" has_failed
scontrol requeue "${array}_3" || fail "shard 4 cannot be put back"
await 60 "shard 4 to go back into the queue" has_restarted 3

await 900 "the array and its merge" is_gone "$merge"
for log in out.db.shards/0.log out.db.shards/3.log; do  # in the middle of a benchmark, or behind it
    grep -m 1 'are answered' $log || fail "$log: the second start did not go on"
done
"$program" leaderboard --db "$plain" >plain.table
"$program" leaderboard --db out.db >merged.table
cmp plain.table merged.table || fail "the merged leaderboard differs: $(cat merged.table)"
cmp <("$program" leaderboard --db "$plain" --json) <("$program" leaderboard --db out.db --json) ||
    fail "the merged figures differ"
[ "$(tail -n +1 out.db.log | grep -c tiny)" -ge 2 ] || fail "the merge printed no leaderboard"
echo "four shards, one stopped, one killed, merged: $(sqlite3 out.db 'SELECT count(*) FROM reply') replies," \
    "the leaderboard of a plain run to the byte"
