#!/usr/bin/env bash
# vnp-expand alone, on recorded embeddings of unique records: GB/s of what comes out, and memory.
#   bench/expand.sh [MEGABYTES (400)]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-400}
runs=3
begin "vnp-expand: GB of float32 embeddings a second of one core ($megabytes MB come out), best of $runs runs"

for width in 320 2560; do
    rows=$((megabytes * 1000000 / 4 / width)) bytes=$((megabytes * 1000000))
    synth-fasta -n $((rows / 2)) "${mixed[@]}" >"$t/half"
    cat "$t/half" "$t/half" | vnp-fasta2tok -q | vnp-dedup -q --copies "$t/twice" >"$t/tok"
    vnp-fasta2tok -q "$t/half" | vnp-dedup -q --copies "$t/once" >"$t/tok"
    for case in once twice; do
        unique "$t/$case" $width >"$t/unique"
        out=$bytes
        [ $case = twice ] || out=$((bytes / 2))
        for options in --plain '--level 1'; do
            # shellcheck disable=SC2086  # options are words
            fastest vnp-expand -q $options --copies "$t/$case" "$t/unique"
            # shellcheck disable=SC2086
            peak vnp-expand -q $options --copies "$t/$case" "$t/unique"
            row "width $width, each $case, $options" "$out / 1e9 / $cpu" GB/s bytes=$out MB_of_memory="$peak"
        done
    done
done
finish
