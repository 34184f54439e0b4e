#!/usr/bin/env bash
# vnp-cmp alone, on two streams of embeddings that differ a little: GB/s of both.
#   bench/cmp.sh [MEGABYTES (200)]    of each stream
. "$(dirname "$0")/lib.sh"
megabytes=${1:-200}
begin "vnp-cmp: GB of float32 embeddings a second of one core (2 x $megabytes MB), best of $runs runs"

for width in 320 2560; do
    rows=$((megabytes * 1000000 / 4 / width)) bytes=$((2 * megabytes * 1000000))
    embeddings $rows $width 0 >"$t/a"
    embeddings $rows $width 0.001 >"$t/b"
    for options in '--by ordinal' '--by id' --each; do
        # shellcheck disable=SC2086  # options are words
        fastest vnp-cmp $options "$t/a" "$t/b"
        row "width $width, $options" "$bytes / 1e9 / $cpu" GB/s bytes="$bytes" vectors_per_s="$rows / $cpu"
    done
done
finish
