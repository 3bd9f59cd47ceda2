#!/bin/sh
# Who may include whom: one direction, from harness down to kernels and engine/base.
cd "$ROOT" || exit 1
find kernels engine prompts benchmarks results harness -name '*.[ch]' -o -name '*.cc' -o -name '*.cu' \
    -o -name '*.cuh' | sort | xargs awk '
    function folder(path) {
        if (path ~ /^engine\/base\//) return "base"
        if (path == "engine/llava.h") return "llava"
        sub(/\/.*/, "", path)
        return path
    }
    BEGIN {
        may["kernels"] = "kernels"
        may["base"] = "base"
        may["engine"] = "engine llava base"
        may["llava"] = "base"
        may["prompts"] = "prompts base"
        may["benchmarks"] = "benchmarks prompts base"
        may["results"] = "results base"
        may["harness"] = "harness benchmarks prompts results llava base"
    }
    /^#include "/ {
        split($0, part, "\"")
        from = folder(FILENAME); to = folder(part[2])
        if (part[2] !~ /\//) { print FILENAME ":" FNR ": include from the root: " part[2]; bad = 1; next }
        if (from == "engine" && to == "kernels" && FILENAME ~ /engine\/backend_/) next
        if ((" " may[from] " ") !~ (" " to " ")) {
            print FILENAME ":" FNR ": " from " may not include " part[2]; bad = 1
        }
    }
    END { exit bad }'
