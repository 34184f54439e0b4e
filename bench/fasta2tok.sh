#!/usr/bin/env bash
# vnp-fasta2tok alone, on one core, from the page cache to /dev/null: MB/s of uncompressed FASTA, best of five runs.
#   bench/fasta2tok.sh [MEGABYTES (400)]
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
build=${VNP_BUILD:-$PWD/build}
megabytes=${1:-400}
t=$(mktemp -d "${TMPDIR:-/tmp}/vnp-bench.XXXXXX")
trap 'rm -rf "$t"' EXIT
${CC:-cc} -O2 -o "$t/synth" bench/synth-fasta.c -lm
one_core=
if taskset -c 0 true 2>/dev/null; then one_core='taskset -c 0'; fi

measure() { # NAME FILE UNCOMPRESSED-BYTES [OPTION...]
    local name=$1 file=$2 bytes=$3 best='' begin seconds
    shift 3
    cat "$file" >/dev/null
    for _ in 1 2 3 4 5; do
        begin=$EPOCHREALTIME
        $one_core "$build/bin/vnp-fasta2tok" -q "$@" "$file" >/dev/null
        seconds=$(awk "BEGIN { print $EPOCHREALTIME - $begin }")
        best=$(awk "BEGIN { print (\"$best\" == \"\" || $seconds < $best + 0) ? $seconds : \"$best\" }")
    done
    awk "BEGIN { printf \"%-52s %8.0f MB/s  %6.3f s\n\", \"$name\", $bytes / 1e6 / $best, $best }"
}
generate() { # NAME ARGUMENT...: $t/NAME
    local name=$1
    shift
    "$t/synth" "$@" >"$t/$name"
    wc -c <"$t/$name"
}

echo "vnp-fasta2tok, one core of $(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo), $megabytes MB of FASTA"
bytes=$(generate like-uniprot.fa "$megabytes" 350 60)
measure 'like UniProt: mean 350 residues, 60 columns' "$t/like-uniprot.fa" "$bytes"
measure '  the same, --max-len 1022' "$t/like-uniprot.fa" "$bytes" --max-len 1022
measure '  the same, --window 256 --overlap 32' "$t/like-uniprot.fa" "$bytes" --window 256 --overlap 32
gzip -1 -c "$t/like-uniprot.fa" >"$t/like-uniprot.gz"
measure '  the same, gzip' "$t/like-uniprot.gz" "$bytes"
zstd -q -1 -c "$t/like-uniprot.fa" >"$t/like-uniprot.zst"
measure '  the same, zstd' "$t/like-uniprot.zst" "$bytes"
sed 's/$/\r/' "$t/like-uniprot.fa" >"$t/crlf.fa"
measure '  the same, CRLF' "$t/crlf.fa" "$(wc -c <"$t/crlf.fa")"
rm "$t"/like-uniprot.* "$t/crlf.fa"
bytes=$(generate wide.fa "$megabytes" 350 0)
measure 'mean 350 residues, one line a record' "$t/wide.fa" "$bytes"
rm "$t/wide.fa"
bytes=$(generate short.fa "$megabytes" 50 60 0)
measure '50 residues each (and headers of 90 bytes)' "$t/short.fa" "$bytes"
