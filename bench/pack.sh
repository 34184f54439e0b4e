#!/usr/bin/env bash
# vnp-pack alone, on recorded token streams: how full its batches are, and sequences/s.
#   bench/pack.sh [SEQUENCES (500000)]
# With $VNP_TEST_DATA or ../shared/data: real proteins too.
. "$(dirname "$0")/lib.sh"
n=${1:-500000}
runs=3 budgets=(1024 2048 4096 8192 16384 65536)
begin "vnp-pack: % of the budget that is used; M sequences a second of one core at the default, best of $runs runs"
say "$(printf '%-43s' "tokens a batch, $n sequences")$(printf ' %7s' "${budgets[@]}")      M/s"

measure() { # NAME: packs the FASTA on stdin for each budget
    local name=$1 line speed='' budget sequences tokens used
    line=$(printf '%-43s' "$name")
    vnp-fasta2tok -q >"$t/tok"
    for budget in "${budgets[@]}"; do
        fastest vnp-pack -b "$budget" "$t/tok"
        read -r sequences tokens used < <(sed -nE \
            's/.*: ([0-9]+) sequences, ([0-9]+) tokens.* ([0-9.]+)% of the budget.*/\1 \2 \3/p' "$t/err")
        line+=$(printf ' %7.2f' "$used")
        if [ "$budget" = 8192 ] && [ "$sequences" -ge 10000 ]; then speed=$(number "$sequences / 1e6 / $cpu"); fi
        record "$name, -b $budget" "$used" '% of the budget' budget="$budget" sequences="$sequences" tokens="$tokens" \
            best_possible="100 * $tokens / $budget / int(($tokens + $budget - 1) / $budget)"
    done
    say "$line $(printf %8s "$speed")"
}

synth-fasta -n "$n" "${mixed[@]}" | measure 'mixed: median 150, sigma 0.7, 20-1022'
synth-fasta -n 10000 "${mixed[@]}" | measure '  10000 of them'
synth-fasta -n "$n" -l 51 -s 0.4 -r 5-166 | measure 'short: median 51, sigma 0.4, 5-166'
synth-fasta -n "$n" -l 166 -s 0 | measure '166 each: open frames of 500-base chunks'
for file in palmdb_rdrp.faa chloroplast_proteins.faa; do
    [ -r "$data/$file" ] || continue
    sequences=$(grep -c '>' "$data/$file")
    measure "real: $file ($sequences)" <"$data/$file"
done
finish
