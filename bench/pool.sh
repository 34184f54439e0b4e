#!/usr/bin/env bash
# vnp-pool alone, on one core, on recorded hidden states from the page cache to /dev/null: GB/s of hidden states (best of
# five runs); the pooling function without a stream around it; and what zstd levels do to embeddings.
#   bench/pool.sh [MEGABYTES (1000)]
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
build=${VNP_BUILD:-$PWD/build}
megabytes=${1:-1000}
t=$(mktemp -d "${TMPDIR:-/tmp}/vnp-bench.XXXXXX")
trap 'rm -rf "$t"' EXIT
${CC:-cc} -O2 -D_GNU_SOURCE -Icommon -o "$t/pool_bench" bench/pool_bench.c "$build/libvnp.a" -lmsgpackc -lzstd -lz -lm -pthread
one_core=
if taskset -c 0 true 2>/dev/null; then one_core='taskset -c 0'; fi

measure() { # NAME FILE BYTES-OF-INTEREST [OPTION...]
    local name=$1 file=$2 bytes=$3 best='' begin seconds
    shift 3
    for _ in 1 2 3 4 5; do
        begin=$EPOCHREALTIME
        $one_core "$build/bin/vnp-pool" -q "$@" "$file" >"$t/out"
        seconds=$(awk "BEGIN { print $EPOCHREALTIME - $begin }")
        best=$(awk "BEGIN { print (\"$best\" == \"\" || $seconds < $best + 0) ? $seconds : \"$best\" }")
    done
    awk "BEGIN { printf \"%-52s %8.2f GB/s  %6.3f s  %9.1f MB out\n\", \"$name\", $bytes / 1e9 / $best, $best, $(wc -c <"$t/out") / 1e6 }"
}

echo "vnp-pool, one core of $(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo), $megabytes MB of hidden states"
echo 'the function alone:'
$one_core "$t/pool_bench" function
echo 'the stage (checksum, decoding, pooling, order, zstd):'
for width in 320 2560; do
    for dtype in f32 f16; do
        "$t/pool_bench" stream "$megabytes" $width $dtype >"$t/hidden"
        bytes=$(wc -c <"$t/hidden")
        measure "width $width $dtype --mean" "$t/hidden" "$bytes"
        measure "width $width $dtype --max" "$t/hidden" "$bytes" --max
        measure "width $width $dtype --none --plain" "$t/hidden" "$bytes" --none --plain
    done
done
echo 'zstd on 100 MB of embeddings, width 1280 (rate of the uncompressed embeddings):'
"$t/pool_bench" stream 100 1280 f32 >"$t/hidden"
"$build/bin/vnp-pool" -q --none --plain -o "$t/plain" "$t/hidden" # a residue's vector is as good as a sequence's
for dtype in f32 f16; do
    for level in 1 3 9; do
        measure "--$dtype --level $level" "$t/plain" "$(wc -c <"$t/plain")" --$dtype --level $level
    done
    measure "--$dtype --plain" "$t/plain" "$(wc -c <"$t/plain")" --$dtype --plain
done
