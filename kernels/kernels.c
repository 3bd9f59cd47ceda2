/* kernels.c -- which level, on which machine.
 *
 * Asked of the processor are the instructions (CPUID) and of the operating system whether it keeps
 * their registers (XCR0); Linux gives the tiles of AMX only to a process that asks for them. */
#include <string.h>
#include <time.h>
#include "kernels/private.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

double kernels_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const struct choice {
    const char *name;
    const struct level *level;
    const struct micro *bf16;
    int pairs;                                              /* AVX512_BF16: see slow_pairs() */
} choices[] = {
#if defined(__x86_64__)
    { "amx",         &level_avx512,   &micro_amx,         0 },
    { "avx512_bf16", &level_avx512,   &micro_avx512_bf16, 1 },
    { "avx512",      &level_avx512,   NULL,               0 },
    { "avx2",        &level_avx2,     NULL,               0 },
#endif
    { "portable",    &level_portable, NULL,               0 },
    { NULL, NULL, NULL, 0 },
};

#if defined(__x86_64__)

static unsigned long long registers_kept(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (unsigned long long)hi << 32 | lo;
}

static int amx_granted(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };   /* asm/prctl.h: ARCH_REQ_XCOMP_PERM */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static int has(const char *name)
{
    unsigned a, b, c, d, b7 = 0, d7 = 0, a71 = 0;
    if (!strcmp(name, "portable"))
        return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    int fma_f16c = (c & bit_FMA) && (c & bit_F16C);
    if (__get_cpuid_count(7, 0, &a, &b7, &c, &d7) && a >= 1)
        __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    unsigned long long kept = registers_kept();
    int avx2 = fma_f16c && (b7 & bit_AVX2) && (kept & 0x6) == 0x6;
    int avx512 = avx2 && (b7 & bit_AVX512F) && (b7 & bit_AVX512BW) && (b7 & bit_AVX512DQ) &&
                 (b7 & bit_AVX512VL) && (kept & 0xe6) == 0xe6;
    if (!strcmp(name, "avx2"))
        return avx2;
    if (!strcmp(name, "avx512"))
        return avx512;
    if (!strcmp(name, "avx512_bf16"))
        return avx512 && (a71 & 1u << 5);
    return avx512 && (d7 & 1u << 22) && (d7 & 1u << 24) &&  /* AMX-BF16, AMX-TILE */
           (kept & 0x60000) == 0x60000 && amx_granted();
}

/* Whether float32 is faster than products of bf16 pairs by AVX512_BF16. On an Intel server core the
 * pairs were measured at half the rate (123 against 246 GFLOP/s); AMD's are taken to be the faster
 * way (Zen 5: some 440 measured, float32 not). Decided by the maker and not by a stop-watch: the
 * same machine must always give the same replies. */
static int slow_pairs(void)
{
    unsigned a, b = 0, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
}

#else

static int slow_pairs(void)
{
    return 0;
}

static int has(const char *name)
{
    return !strcmp(name, "portable");
}

#endif

const char *kernels_name(int i)
{
    return choices[i].name;
}

int kernels_choose(const char *name, const struct level **level, const struct micro **bf16)
{
    for (const struct choice *c = choices; c->name; c++)
        if ((name ? !strcmp(name, c->name) : !(c->pairs && slow_pairs())) && has(c->name)) {
            *level = c->level;
            *bf16 = c->bf16;
            return 1;
        }
    return 0;
}
