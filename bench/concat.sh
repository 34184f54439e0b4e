#!/usr/bin/env bash
# vnp-concat and vnp-split alone: blocks of recorded embeddings, and a stream of tokens.
#   bench/concat.sh [MEGABYTES (400)]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-400}
begin "vnp-concat: GB of embeddings, vnp-split: of tokens, a second of one core ($megabytes MB), best of $runs runs"

for width in 320 2560; do
    rows=$((megabytes * 1000000 / 4 / width))
    embeddings $rows $width 0 >"$t/whole"
    bytes=$(wc -c <"$t/whole")
    for options in --plain '--level 1'; do
        # shellcheck disable=SC2086  # options are words
        fastest vnp-concat -q $options "$t/whole"
        row "vnp-concat, width $width, $options" "$bytes / 1e9 / $cpu" GB/s bytes="$bytes" rows_per_s="$rows / $cpu"
    done
done
rm "$t/whole"
synth-fasta -m "$megabytes" "${mixed[@]}" >"$t/in.fa"
vnp-fasta2tok -q -o "$t/tok" "$t/in.fa"
rm "$t/in.fa"
bytes=$(wc -c <"$t/tok")
fastest vnp-split -q --list "$t/tok"
row 'vnp-split --list' "$bytes / 1e9 / $cpu" GB/s bytes="$bytes"
split() { rm -rf "$t/blocks" && vnp-split -q "$@" -o "$t/blocks" "$t/tok"; }
pin=()
for n in 10000000 100000; do
    fastest split --tokens $n
    row "vnp-split --tokens $n, to the disk" "$bytes / 1e9 / $cpu" GB/s bytes="$bytes" blocks="$(find "$t/blocks" -name '*.vnp' | wc -l)"
done
find "$t/blocks" -name '*.vnp' | sort >"$t/list"
fastest vnp-concat -q --plain --files-from "$t/list"
row 'vnp-concat of those blocks' "$bytes / 1e9 / $cpu" GB/s bytes="$bytes" files="$(wc -l <"$t/list")"
finish
