#!/usr/bin/env bash
# vnp-orf alone: MB/s of uncompressed contigs.
#   bench/orf.sh [MEGABYTES (250)]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-250}
begin "vnp-orf: MB of uncompressed contigs a second of one core ($megabytes MB), both outputs dropped, best of $runs runs"

measure() { # NAME FILE BYTES [OPTION...]
    local frames chunks
    fastest vnp-orf --nucleotides /dev/null --proteins /dev/stdout "${@:4}" "$2"
    frames=$(sed -n '$s/.*; \([0-9]*\) frames* kept.*/\1/p' "$t/err")
    chunks=$(sed -n '$s/.*, \([0-9]*\) chunks* of.*/\1/p' "$t/err")
    row "$1" "$3 / 1e6 / $cpu" MB/s bytes="$3" frames_per_chunk="$frames / $chunks"
}

fa=$t/in.fa
synth-contigs -m "$megabytes" >"$fa"
bytes=$(wc -c <"$fa")
measure 'assembly: median 2000 bases, 80% coding' "$fa" "$bytes"
measure '  the same, -l 300' "$fa" "$bytes" -l 300
tr ACGT acgt <"$fa" >"$t/lower.fa"
measure '  the same, lower case' "$t/lower.fa" "$bytes"
rm "$t/lower.fa"
gzip -1 -c "$fa" >"$t/in.gz"
measure '  the same, gzip -1' "$t/in.gz" "$bytes"
zstd -q -1 -c "$fa" >"$t/in.zst"
measure '  the same, zstd -1' "$t/in.zst" "$bytes"
synth-contigs -m "$megabytes" -c 1 -g 30000 -w 0 >"$fa"
measure 'genes alone, one line a record' "$fa" "$(wc -c <"$fa")"
synth-contigs -m "$megabytes" -c 0 >"$fa"
measure 'random bases' "$fa" "$(wc -c <"$fa")"
synth-contigs -m "$megabytes" -l 150 -s 0 -w 0 >"$fa"
measure 'reads of 150 bases' "$fa" "$(wc -c <"$fa")"
awk -v n="$megabytes" 'BEGIN {
    while (length(s) < 1e6) s = s "CCCGCAGCC"
    for (i = 0; i < n; i++) print ">c" i "\n" s
}' >"$fa"
measure 'worst case: all six frames open' "$fa" "$(wc -c <"$fa")"
finish
