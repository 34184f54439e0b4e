#!/usr/bin/env bash
# vnp-cat and vnp-cmp alone, on one core, on streams of embeddings in the page cache: vectors/s and GB/s of the stream, best
# of five runs.
#   bench/cat.sh [MEGABYTES (200)]
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
build=${VNP_BUILD:-$PWD/build}
megabytes=${1:-200}
t=$(mktemp -d "${TMPDIR:-/tmp}/vnp-bench.XXXXXX")
trap 'rm -rf "$t"' EXIT
${CC:-cc} -O2 -D_GNU_SOURCE -Icommon -o "$t/embeddings" bench/embeddings.c "$build/libvnp.a" -lmsgpackc -lzstd -lz -lm -pthread
one_core=
if taskset -c 0 true 2>/dev/null; then one_core='taskset -c 0'; fi

measure() { # NAME ROWS BYTES COMMAND...: its output is thrown away, through a pipe as in real use
    local name=$1 rows=$2 bytes=$3 best='' begin seconds
    shift 3
    for _ in 1 2 3 4 5; do
        begin=$EPOCHREALTIME
        $one_core "$@" | cat >/dev/null
        seconds=$(awk "BEGIN { print $EPOCHREALTIME - $begin }")
        best=$(awk "BEGIN { print (\"$best\" == \"\" || $seconds < $best + 0) ? $seconds : \"$best\" }")
    done
    awk "BEGIN { printf \"%-36s %9.0f vectors/s %7.3f GB/s %7.1f M numbers/s\n\", \"$name\", $rows / $best, $bytes / 1e9 / $best, $bytes / 4e6 / $best }"
}

echo "vnp-cat and vnp-cmp, one core of $(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo), $megabytes MB of embeddings"
for width in 320 2560; do
    rows=$((megabytes * 1000000 / 4 / width))
    "$t/embeddings" $rows $width 0 >"$t/a"
    "$t/embeddings" $rows $width 0.001 >"$t/b"
    bytes=$((rows * width * 4))
    measure "width $width vnp-cat --json" $rows $bytes "$build/bin/vnp-cat" "$t/a"
    measure "width $width vnp-cat --tsv" $rows $bytes "$build/bin/vnp-cat" --tsv "$t/a"
    measure "width $width vnp-cat --npy" $rows $bytes "$build/bin/vnp-cat" --npy "$t/a.npy" "$t/a"
    measure "width $width vnp-cat --check" $rows $bytes "$build/bin/vnp-cat" --check "$t/a"
    measure "width $width vnp-cmp" $rows $((2 * bytes)) "$build/bin/vnp-cmp" "$t/a" "$t/b"
    measure "width $width vnp-cmp --by id" $rows $((2 * bytes)) "$build/bin/vnp-cmp" --by id "$t/a" "$t/b"
done
