#!/usr/bin/env bash
# vnp-merge and vnp-classify alone, on recorded embeddings of the published widths, 768 + 2560.
#   bench/classify.sh [ROWS (30000)]
. "$(dirname "$0")/lib.sh"
rows=${1:-30000}
begin "vnp-merge, vnp-classify: rows a second of one core ($rows rows of 768 + 2560), best of $runs runs"

vnp-model synth -q classifier -o "$t/model"
embeddings "$rows" 768 0 >"$t/a"
embeddings "$rows" 2560 0 >"$t/b"
vnp-merge -q --plain -o "$t/merged" "$t/a" "$t/b"
for options in --plain '--level 1'; do
    # shellcheck disable=SC2086  # options are words
    fastest vnp-merge -q $options "$t/a" "$t/b"
    row "vnp-merge $options" "$rows / $cpu" rows/s rows="$rows" GB_s="$rows * 3328 * 4 / 1e9 / $cpu"
done
fastest vnp-classify -q --threads 1 --model "$t/model" -o "$t/out" "$t/merged"
row 'vnp-classify -o' "$rows / $cpu" rows/s rows="$rows" GFLOP_s="$rows * 3328 * 512 * 2 / 1e9 / $cpu"
fastest vnp-classify -q --threads 1 --model "$t/model" --json "$t/merged"
row 'vnp-classify --json' "$rows / $cpu" rows/s rows="$rows"
fastest vnp-classify -q --threads 1 --model "$t/model" --scores "$t/merged"
row 'vnp-classify --scores' "$rows / $cpu" rows/s rows="$rows"
vnp-classify -q --model "$t/model" --scores -o "$t/scores" "$t/merged"
fastest vnp-classify -q -o "$t/out" "$t/scores"
row 'vnp-classify -o, of scores' "$rows / $cpu" rows/s rows="$rows"
finish
