#!/usr/bin/env bash
# vnp-cat alone, on streams of embeddings: GB/s of their vectors.
#   bench/cat.sh [MEGABYTES (100)]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-100}
runs=3
begin "vnp-cat: GB of float32 embeddings a second of one core ($megabytes MB), best of $runs runs"

for width in 320 2560; do
    rows=$((megabytes * 1000000 / 4 / width)) bytes=$((megabytes * 1000000))
    embeddings $rows $width 0 >"$t/a"
    for options in --json --tsv "--npy $t/a.npy" --summary --check; do
        # shellcheck disable=SC2086  # options are words
        fastest vnp-cat $options "$t/a"
        row "width $width, ${options% *}" "$bytes / 1e9 / $cpu" GB/s bytes="$bytes" vectors_per_s="$rows / $cpu"
    done
done
finish
