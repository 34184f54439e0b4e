#!/usr/bin/env bash
# The GPU's figures in one run on one card: each kernel alone; then, model by model so that what is compared is measured at the
# same time, the forward pass alone by stratum and kind of numbers, the matrix ceiling and the peers (where python3 has
# torch), the whole pipeline from FASTA to emb.zst, and 10,000 sequences packed, one at a time and padded, the last in the
# file's order and sorted by length.
#   bench/gpu.sh            see gpu-lib.sh for RESULTS, VNP_BUILD (to run it without make), VNP_BENCH_LIMIT and _DIR
#   VNP_BENCH_PARTS  of     kernels forward ceiling compile eager padded fp32 pipeline baseline
#   VNP_BENCH_MODELS        "3B 650M 8M dnabert-s"
#   VNP_BENCH_SECONDS       of each figure (20); VNP_BENCH_OTHER_SECONDS of eager, padded, fp32 and baseline (the same)
#   VNP_BENCH_EAGER         strata of the peers that aren't compiled (150,mix)
#   VNP_BENCH_RECORDS       of the baseline (10000); VNP_BENCH_BASELINE  its models (3B)
#   VNP_BENCH_DTYPE         of the models' files (f32); VNP_BENCH_BUDGET  tokens a batch (16384)
# Seconds it takes: kernels 15; for each model 25 to make it, and 4 x SECONDS for each of forward and compile (and 60 to
# compile), 1 for ceiling, 2 for pipeline, 2 x OTHER_SECONDS for eager and padded, 4 for fp32, up to 5 for baseline.
. "$(dirname "$0")/gpu-lib.sh"
vnp-gpu-forward -q --probe 2>/dev/null || { echo 'bench/gpu.sh: no GPU here' && exit 0; }
results gpu 'kernels forward ceiling compile eager padded fp32 pipeline baseline'
seconds=${VNP_BENCH_SECONDS:-20}
other=${VNP_BENCH_OTHER_SECONDS:-$seconds}
shapes=${VNP_BENCH_MODELS:-3B 650M 8M dnabert-s}
records=${VNP_BENCH_RECORDS:-10000}
budget=${VNP_BENCH_BUDGET:-16384}
# From FASTA to emb.zst: sets $wall, seconds of the whole, and of the forward stage once it had its model $ran, seconds, and
# $sequences and $n_tokens.
embed() { # embed FASTA [OPTION OF VNP-PACK...]
    local begin=$EPOCHREALTIME
    vnp-fasta2tok -q "${tokens[@]}" "$1" | vnp-pack -q -b "$budget" "${@:2}" |
        vnp-gpu-forward --pool mean "${all[@]}" --model "$model" 2>"$t/said" | vnp-pool -q "${all[@]}" -o "$t/emb.zst" || {
        cat "$t/said" >&2
        return 1
    }
    wall=$(reckon "$EPOCHREALTIME - $begin")
    read -r sequences n_tokens ran < <(sed -n 's/.*: \([0-9]*\) sequences, \([0-9]*\) tokens in \([0-9.]*\) s.*/\1 \2 \3/p' "$t/said")
}

pipeline() { # pipeline SHAPE LENGTH: 49 residues are 51 tokens
    local rate
    case $1 in 3B) rate=1e5 ;; 650M) rate=4e5 ;; 8M) rate=1.2e7 ;; dnabert-s) rate=9e6 ;; *) rate=${VNP_BENCH_RATE:-1e5} ;; esac
    records_for "$seconds" "$rate" "$2" "$t/in.fa" && embed "$t/in.fa" || return
    object what pipeline model "$1" length "$2" sequences "$sequences" tokens "$n_tokens" seconds "$wall" \
        tokens_s "$(reckon "$n_tokens / $wall" 0)" tokens_s_after_start "$(reckon "$n_tokens / ($ran + 1e-9)" 0)"
}

# The same records in all ways, in FP16; what is not done in the time is said, and the whole reckoned from it.
ours() { # ours SHAPE HOW [OPTION OF VNP-PACK...]
    embed "$t/baseline.fa" "${@:3}" || return
    object what baseline how "vnp, $2" model "$1" numbers fp16 sequences "$sequences" of "$sequences" \
        start_s "$(reckon "$wall - $ran")" seconds "$wall" whole_s "$wall"
}
baseline() { # baseline SHAPE
    synth-fasta -n "$records" -w 0 "${mixed[@]}" >"$t/baseline.fa"
    within 40 "$1 baseline, packed" && ours "$1" 'packed' | emit
    within 90 "$1 baseline, one at a time" && ours "$1" 'one record at a time' --no-packing | emit
    [ -n "$torch" ] || return
    for how in '0' "$budget" "$budget --sorted"; do
        # shellcheck disable=SC2086 # words
        figure "$(reckon "$other + 40" 0)" "$1 baseline, Hugging Face, tokens a batch: $how" python3 bench/peers/baseline.py \
            --model "$model" --name "$1" --tokens $how --seconds "$other" --begin "$(date +%s.%N)" -o "$t/emb.npy" "$t/baseline.fa"
    done
}

peers=$(grep -oE 'ceiling|compile|eager|padded' <<<"$wanted" | paste -sd ,)
torch=yes
if [[ $wanted =~ \ (ceiling|compile|eager|padded|baseline)\  ]] && ! python3 -c 'import torch, transformers' 2>/dev/null; then
    echo '{"what":"skipped","figure":"the peers: python3 has no torch or transformers"}' | emit
    peers='' torch=''
fi
if has kernels; then figure 15 kernels "$build/bench/gpu_kernels" "$shapes"; fi
for shape in $shapes; do
    if ! within 60 "$shape" || ! model "$shape" ${VNP_BENCH_DTYPE:+--dtype "$VNP_BENCH_DTYPE"}; then continue; fi
    forward=("$build/bench/gpu_forward" -m "$model" -b "$budget")
    tokens=() all=() strata=50,150,300,mix some=150,mix lengths=(49 mix) peer=(pytorch.py --models "$shape" --other-seconds "$other"
        --eager "${VNP_BENCH_EAGER:-150,mix}" --limit)
    case $shape in dnabert*) # 110 tokens: a chunk of 500 bases
        cp tests/golden/tokenizers/dna4096.json "$model/tokenizer.json"
        tokens=(--tokenizer "$model") all=(--all-tokens) strata=108,mix some=108,mix lengths=(500 dna-mix) peer=(pytorch_dnabert.py)
        ;;
    esac
    if has forward; then
        figure "$(reckon "4 * $seconds + 15" 0)" "$shape fp16" "${forward[@]}" -n fp16 -s "$seconds" -S $strata
        figure 10 "$shape fp16, batches of 8192" "${forward[@]}" -n fp16 -b 8192 -s 2 -S mix
    fi
    if [ -n "$peers" ]; then
        [ "${peer[-1]}" != --limit ] || peer+=("$(left)")
        figure "$(reckon "$seconds + 30" 0)" "$shape $peers" python3 "bench/peers/${peer[0]}" --seconds "$seconds" --budget "$budget" \
            --only "$peers" "${peer[@]:1}"
    fi
    if has pipeline; then
        for length in "${lengths[@]}"; do
            within "$(reckon "1.3 * $seconds + 10" 0)" "$shape pipeline, $length" && pipeline "$shape" "$length" | emit
        done
    fi
    case " ${VNP_BENCH_BASELINE:-3B} " in *" $shape "*) if has baseline; then baseline "$shape"; fi ;; esac
    if has fp32; then
        for n in tf32 fp32; do
            figure "$(reckon "2 * $other + 10" 0)" "$shape $n" "${forward[@]}" -n $n -s "$other" -S $some
        done
    fi
    if [ -z "${VNP_BENCH_DIR-}" ]; then rm -rf "$model"; fi
done
close_results
