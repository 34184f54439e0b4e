#!/usr/bin/env bash
# The GPU's figures in one run on one card: the forward pass alone by stratum and kind of numbers, each kernel alone, the peers
# and the matrix ceiling (where python3 has torch), and the whole pipeline from FASTA to emb.zst. Writes
# bench/results/gpu-DATE.json (one object a line) and a table beside it; prints the table. make bench-gpu builds what it needs.
#   VNP_BENCH_SECONDS  of each figure (20)     VNP_BENCH_MODELS  "3B 650M 8M dnabert-s"     VNP_BENCH_DIR  where models lie or are put
#   VNP_BENCH_EAGER    strata of the peers that aren't compiled (150,mix)             VNP_BENCH_COMMIT   outside a checkout
#   VNP_BENCH_PARTS    of it, where time is short (kernels fp32 pipeline ceiling,compile,eager,padded)
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2
build=${VNP_BUILD:-build}
PATH=$build/bin:$PATH
seconds=${VNP_BENCH_SECONDS:-20}
models=${VNP_BENCH_MODELS:-3B 650M 8M dnabert-s}
parts=" ${VNP_BENCH_PARTS-kernels fp32 pipeline ceiling,compile,eager,padded} "
budget=16384
has() { case $parts in *" $1 "*) ;; *) return 1 ;; esac; }
vnp-gpu-forward -q --probe 2>/dev/null || { echo 'bench/gpu.sh: no GPU here'; exit 0; }
if [ -n "${VNP_BENCH_DIR-}" ]; then dir=$VNP_BENCH_DIR; mkdir -p "$dir"; else
    dir=$(mktemp -d) || exit 2
    trap 'rm -rf "$dir"' EXIT
fi
out=${1:-bench/results}/gpu-$(date -u +%Y%m%dT%H%M)
mkdir -p "$(dirname "$out")"

{
    nvidia-smi --query-gpu=name,driver_version,power.limit --format=csv,noheader |
        sed 's/\(.*\), \(.*\), \(.*\)/{"what":"host","device":"\1","driver":"\2","power":"\3"}/'
    printf '{"what":"run","date":"%s","commit":"%s","version":"%s"}\n' "$(date -u +%FT%TZ)" \
        "${VNP_BENCH_COMMIT:-$(git rev-parse --short HEAD 2>/dev/null)}" "$(vnp-gpu-forward --version | head -n 1)"
    has kernels && "$build/bench/gpu_kernels" "$models"
    for m in $models; do
        [ -d "$dir/$m" ] || vnp-model synth "$m" --seed 1 -q -o "$dir/$m" || exit 1
        case $m in # 110 tokens: a chunk of 500 bases
        dnabert*) strata=108,mix some=108,mix && cp tests/golden/tokenizers/dna4096.json "$dir/$m/tokenizer.json" ;;
        *) strata=50,150,300,mix some=150,mix ;;
        esac
        "$build/bench/gpu_forward" -m "$dir/$m" -n fp16 -b $budget -s "$seconds" -S $strata
        "$build/bench/gpu_forward" -m "$dir/$m" -n fp16 -b 8192 -s 2 -S mix
        for n in tf32 fp32; do
            has fp32 && "$build/bench/gpu_forward" -m "$dir/$m" -n $n -b $budget -s "$(((${seconds%.*} + 3) / 4))" -S $some
        done
    done
    # The pipeline: as many tokens as the device needs about `seconds` for, as 51-residue and as mixed records; of DNA, where a
    # token is about 4.5 bases, as 500 bases and as a mix.
    for m in $models; do
        has pipeline || break
        case $m in 3B) rate=1e5 ;; 650M) rate=4e5 ;; dnabert*) rate=9e6 ;; *) rate=1.2e7 ;; esac
        tokens=() pool=(--pool mean) short=51 mix=(-l 150 -s 0.7 -r 20-1022)
        case $m in dnabert*)
            tokens=(--tokenizer "$dir/$m") pool+=(--all-tokens) short=500 mix=(-d -l 680 -s 0.7 -r 90-4600) ;;
        esac
        for length in $short mix; do
            fa=$dir/in.fa
            case $length in mix) lengths=("${mix[@]}") ;; 500) lengths=(-d -l 500 -s 0) ;; *) lengths=(-l "$length" -s 0) ;; esac
            "$build/bench/synth-fasta" -t "$(awk "BEGIN { printf \"%.0f\", $rate * $seconds }")" -w 0 "${lengths[@]}" >"$fa" || exit 1
            begin=$(date +%s.%N)
            vnp-fasta2tok -q "${tokens[@]}" "$fa" | vnp-pack -q -b $budget |
                vnp-gpu-forward "${pool[@]}" --model "$dir/$m" 2>"$dir/err" | vnp-pool -q "${pool[@]:2}" -o "$dir/emb.zst" ||
                cat "$dir/err" >&2
            end=$(date +%s.%N)
            sed -n 's/.*: \([0-9]*\) sequences, \([0-9]*\) tokens in \([0-9.]*\) s.*/\1 \2 \3/p' "$dir/err" |
                awk -v m="$m" -v l="$length" -v s="$(echo "$end $begin" | awk '{ printf "%.2f", $1 - $2 }')" '{
                    printf "{\"what\":\"pipeline\",\"model\":\"%s\",\"residues\":\"%s\",\"sequences\":%d,\"tokens\":%d,", m, l, $1, $2
                    printf "\"seconds\":%s,\"tokens_s\":%.0f,\"tokens_s_after_start\":%.0f}\n", s, $2 / s, $2 / $3 }'
            rm -f "$fa"
        done
    done
    peers=$(echo "$parts" | tr ' ' '\n' | grep -E '^(ceiling|compile|eager|padded)(,|$)')
    if [ -n "$peers" ] && python3 -c 'from torch.nn.attention.varlen import varlen_attn' 2>/dev/null; then
        read -ra proteins <<<"${models//dnabert-s/}"
        [ ${#proteins[@]} = 0 ] || python3 bench/peers/pytorch.py --models "$(IFS=, && echo "${proteins[*]}")" --seconds "$seconds" \
            --budget $budget --only "$peers" --eager "${VNP_BENCH_EAGER:-150,mix}"
        case $models in *dnabert-s*) python3 bench/peers/pytorch_dnabert.py --seconds "$seconds" --budget $budget --only "$peers" ;; esac
    fi
} | tee "$out.json" | awk -f bench/gpu-table.awk | tee "$out.txt"
