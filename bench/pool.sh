#!/usr/bin/env bash
# vnp-pool alone, on recorded hidden states; the pooling function without a stream around it; and what zstd does to
# embeddings.
#   bench/pool.sh [MEGABYTES (400)]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-400}
begin "vnp-pool: GB of hidden states a second of one core ($megabytes MB), best of $runs runs"

measure() { # NAME FILE [OPTION...]
    local bytes out
    bytes=$(wc -c <"$2")
    out=$(vnp-pool -q "${@:3}" "$2" | wc -c)
    fastest vnp-pool -q "${@:3}" "$2"
    row "$1" "$bytes / 1e9 / $cpu" GB/s bytes="$bytes" MB_out="$out / 1e6"
}

say 'The function alone, on 8192 tokens of 160 a sequence:'
"${pin[@]}" pool_bench function | while IFS=: read -r name value; do row "$name" "$value" GB/s; done
say 'The stage (checksum, decoding, pooling, order, zstd):'
for width in 320 2560; do
    for dtype in f32 f16; do
        pool_bench stream "$megabytes" $width $dtype >"$t/hidden"
        for options in --mean --max '--none --plain'; do
            # shellcheck disable=SC2086  # options are words
            measure "$dtype, width $width, $options" "$t/hidden" $options
        done
    done
done
say 'zstd on 100 MB of embeddings, width 1280 (GB of what goes in):'
pool_bench stream 100 1280 f32 >"$t/hidden"
vnp-pool -q --none --plain -o "$t/plain" "$t/hidden" # a residue's vector is as good as a sequence's
for dtype in f32 f16; do
    for options in '--level 1' '--level 3' '--level 9' --plain; do
        # shellcheck disable=SC2086
        measure "--$dtype $options" "$t/plain" --$dtype $options
    done
done
finish
