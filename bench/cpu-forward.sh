#!/usr/bin/env bash
# vnp-cpu-forward alone on recorded batches, pooled so that no pipe counts: GFLOP/s while computing; tokens a second and
# a second of one core, with the loading of the model. Proteins of one length each, and a mix.
#   bench/cpu-forward.sh [SHAPE:TOKENS ...]    (8M:15000 650M:1500)
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || set -- 8M:15000 650M:1500
runs=3 pin=()

batches() { # SYNTH-FASTA-OPTION...
    synth-fasta "$@" | vnp-fasta2tok -q | vnp-pack -q -b 8192 >"$t/batches"
}

measure() { # NAME SYNTH-FASTA-OPTION...
    local tokens gflops
    batches "${@:2}"
    fastest vnp-cpu-forward --model "$t/model" --pool mean "$t/batches"
    read -r tokens gflops < <(sed -nE 's|.*, ([0-9]+) tokens .*, ([0-9.]+) GFLOP/s.*|\1 \2|p' "$t/err" | sort -k 2gr)
    row "$1" "$gflops" GFLOP/s tokens="$tokens" tokens_per_s="$tokens / $seconds" tokens_per_CPU_s="$tokens / $cpu"
}

# What computes, in the stage's own words: "2 threads, SkylakeX".
vnp-model synth 1x1x16 -q -o "$t/model"
batches -n 1
kernels=$(vnp-cpu-forward --model "$t/model" --pool mean "$t/batches" 2>&1 >/dev/null | sed -n 's/.*(\([^()]*\))$/\1/p')
rm -r "$t/model"
begin "vnp-cpu-forward, FP32, $kernels (OpenBLAS): GFLOP/s while computing, best of $runs runs"

for work; do
    shape=${work%:*} tokens=${work#*:}
    vnp-model synth "$shape" -q -o "$t/model"
    lengths=(20 150 1000)
    [ "$shape" = 8M ] || lengths=(150)
    for residues in "${lengths[@]}"; do
        measure "$shape, $residues residues" -t "$tokens" -l "$residues" -s 0
    done
    measure "$shape, mixed, median 150" -t "$tokens" "${mixed[@]}"
    rm -r "$t/model"
done
finish
