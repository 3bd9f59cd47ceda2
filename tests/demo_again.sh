#!/bin/sh
# A second `make demo` finds every reply in the store, asks nothing and prints the same table.
set -eu
./llava-eval leaderboard --db build/demo.db >build/demo.first
make demo >build/demo.second 2>build/demo.messages
[ "$(grep -c 'nothing to ask' build/demo.messages)" = 22 ]
! grep -q 'questions to ask' build/demo.messages
./llava-eval leaderboard --db build/demo.db | cmp - build/demo.first
