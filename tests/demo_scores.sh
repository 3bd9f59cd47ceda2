#!/bin/sh
# demo_scores.sh PROGRAM STORE -- the demo's leaderboard holds eleven headline scores for each of its
# two checkpoints, each of them whole and above what guessing gives.
set -u
"$1" leaderboard --db "$2" --format json >"${TMPDIR:-/tmp}/demo_scores.$$" || exit 1
awk '
    function field(name,   text) {
        if (!match($0, "\"" name "\":(\"[^\"]*\"|[^,}]*)")) return ""
        text = substr($0, RSTART, RLENGTH)
        sub(/^"[^"]*":/, "", text); gsub(/"/, "", text)
        return text
    }
    BEGIN {                             # the headline, and what the best blind strategy gets
        split("vqav2 accuracy 40 gqa accuracy 40 vizwiz accuracy 40 scienceqa image_accuracy 45 " \
              "textvqa accuracy 50 pope f1 68 mme perception 800 mmbench accuracy 25 seed accuracy 30 " \
              "llavabench rel_all 30 mmvet total 20", word, " ")
        for (i = 1; i in word; i += 3) { metric[word[i]] = word[i + 1]; chance[word[i]] = word[i + 2] }
    }
    {
        b = field("benchmark")
        if (!(b in metric) || field("metric") != metric[b]) next
        value = field("value") + 0
        if (value <= chance[b]) { print b ", " field("model") ": " value ", chance is " chance[b]; bad = 1 }
        if (field("partial") != "false") { print b ", " field("model") ": partial"; bad = 1 }
        n++
    }
    END {
        if (n != 22) { print n " headline scores, expected 22"; bad = 1 }
        exit bad
    }' "${TMPDIR:-/tmp}/demo_scores.$$"
status=$?
rm -f "${TMPDIR:-/tmp}/demo_scores.$$"
exit $status
