#!/usr/bin/env bash
# vnp-cpu-forward alone on recorded batches, pooled so that no pipe counts: GFLOP/s while computing, tokens/s with the
# model's loading. Proteins of one length each, and a mix.
#   bench/cpu-forward.sh [SHAPE:TOKENS ...]    (8M:20000 150M:3000 650M:1500)
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || set -- 8M:20000 150M:3000 650M:1500
runs=3 pin=()
begin "vnp-cpu-forward, all cores, FP32: GFLOP/s while computing, best of $runs runs"

measure() { # NAME SYNTH-FASTA-OPTION...
    local tokens gflops
    synth-fasta "${@:2}" | vnp-fasta2tok -q | vnp-pack -q -b 8192 >"$t/batches"
    fastest vnp-cpu-forward --model "$t/model" --pool mean "$t/batches"
    read -r tokens gflops < <(sed -nE 's|.*, ([0-9]+) tokens .*, ([0-9.]+) GFLOP/s.*|\1 \2|p' "$t/err" | sort -k 2gr)
    row "$1" "$gflops" GFLOP/s tokens="$tokens" tokens_per_s="$tokens / $seconds" \
        tokens_per_CPU_s="$tokens / $cpu"
}

for work; do
    shape=${work%:*} tokens=${work#*:}
    vnp-model synth "$shape" -q -o "$t/model"
    lengths=(150 1000)
    [ "$shape" != 8M ] || lengths=(20 50 150 300 1000)
    for residues in "${lengths[@]}"; do
        measure "$shape, $residues residues" -t "$tokens" -l "$residues" -s 0
    done
    measure "$shape, mixed, median 150" -t "$tokens" "${mixed[@]}"
    rm -r "$t/model"
done
say "$(sed -nE '$s/.*\(([^()]*)\)$/\1/p' "$t/err")"
finish
