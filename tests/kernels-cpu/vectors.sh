#!/usr/bin/env bash
# The functions that are compiled for several vector widths (cpu_math.h) do use vectors, in the clone for AVX2 as well: as one
# value at a time they gave the same results, at half the speed of the whole forward pass.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
once 'vectors'
if ! nm "$BUILD/bin/vnp-cpu-forward" 2>/dev/null | grep -q ' vnp_cpu_exp\.avx2$' || ! command -v objdump >/dev/null; then
    skip 'vectors' 'no clones here, or no objdump'
    finish
    exit
fi
wide() { objdump -d --disassemble="$1" "$BUILD/bin/vnp-cpu-forward" | grep -q "mulps.*%$2"; }
for f in vnp_cpu_exp vnp_cpu_erf vnp_cpu_gelu vnp_cpu_geglu; do
    nm "$BUILD/bin/vnp-cpu-forward" | grep -q " $f\\.avx2\$" || continue
    check "$f, AVX2" wide $f.avx2 ymm
    check "$f, AVX-512" wide $f.avx512f zmm
done
finish
