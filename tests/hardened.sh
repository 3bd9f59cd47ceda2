#!/bin/sh
# The program as it is linked: position independent, tables read-only once bound, no executable stack,
# canaries, checked string functions (the Makefile's HARDENED). Sanitizers replace these.
case $B in */sanitize) echo "sanitizers stand in for them"; exit 77 ;; esac
bad=0
check() {   # what must show, in which part, what its absence means
    readelf "$2" -W "$PROGRAM" | grep -qE -- "$1" || { echo "$PROGRAM: $3"; bad=1; }
}
check 'Type: +DYN' -h "not position independent (-fPIE, -pie)"
check 'GNU_RELRO' -l "no RELRO (-z relro)"
check 'GNU_STACK.* RW +0x' -l "the stack is executable (-z noexecstack)"
check 'FLAGS.*(BIND_)?NOW' -d "symbols are bound late (-z now)"
check '__stack_chk_fail' -s "no stack protector (-fstack-protector-strong)"
check '__(snprintf|vsnprintf|memcpy|read|fprintf)_chk' -s "no checked functions (_FORTIFY_SOURCE)"
exit $bad
