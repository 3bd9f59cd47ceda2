/* target.h -- compile what stands between TARGET_BEGIN and TARGET_END for more than the build's
 * machine. Used by the files that kernels.c calls only after asking the processor. */
#ifndef KERNELS_TARGET_H
#define KERNELS_TARGET_H

#define TARGET_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define TARGET_BEGIN(isa)                                                                         \
    TARGET_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define TARGET_END TARGET_PRAGMA(clang attribute pop)
#else
#define TARGET_BEGIN(isa) TARGET_PRAGMA(GCC push_options) TARGET_PRAGMA(GCC target(isa))
#define TARGET_END TARGET_PRAGMA(GCC pop_options)
#endif

#endif
