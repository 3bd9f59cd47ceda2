/* registry.c -- the benchmarks, in the order of tables. A new one is a file and a line here. */
#include "benchmarks/benchmark.h"

extern const struct benchmark bench_vqav2, bench_gqa, bench_vizwiz, bench_scienceqa, bench_textvqa,
    bench_pope, bench_mme, bench_mmbench, bench_seed, bench_llavabench, bench_mmvet;

const struct benchmark *const benchmarks[] = {
    &bench_vqav2,
    &bench_gqa,
    &bench_vizwiz,
    &bench_scienceqa,
    &bench_textvqa,
    &bench_pope,
    &bench_mme,
    &bench_mmbench,
    &bench_seed,
    &bench_llavabench,
    &bench_mmvet,
    NULL,
};
