#!/usr/bin/env bash
# vnp-gpu-forward at full size, with and without massive channels, against vnp-cpu-forward and PyTorch (reference.py): records of
# under 50, 50 to 200 and 200 to 500 tokens, the lengths around tile borders, and all of them mixed; mean, deviation, norms and
# outliers; packed against alone, positions, neighbours; an ESM-2 that FP16 can't hold. Needs a GPU and up to 30 GB of memory
# or disk; tests/run gives it 900 s, of which the 3B takes 250 with massive channels and as long without, on 16 cores.
#   VNP_TEST_SHAPES   "8M dnabert-s 650M 3B"     VNP_TEST_OUTLIERS  massive channels: "no yes"
#   VNP_TEST_NUMBERS  "fp32 fp16"      VNP_TEST_RECORDS   in each stratum (20480 / width)
#   VNP_BENCH_DIR     where models are, or are put       VNP_TEST_RECORD  file: figures, as JSON lines
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/overflow.sh"
if ! command -v vnp-gpu-forward >/dev/null || ! vnp-gpu-forward -q --probe 2>/dev/null; then
    skip 'full-size models on the GPU' 'no GPU here'
    finish
    exit
fi
record=${VNP_TEST_RECORD:-$T/record}
case $record in /*) ;; *) record=$PWD/$record ;; esac
models=${VNP_BENCH_DIR:-$T}
mkdir -p "$models" "$T/work"
models=$(cd "$models" && pwd)
cd "$T/work" || exit 2
strata=(short medium long borders)
# DNABERT-S's, since bench/gpu.sh leaves that tokenizer in the models it shares with this.
vocabulary=$(vnp-fasta2tok -q --tokenizer "$ROOT/tests/golden/tokenizers/dna4096.json" <<<'>a' 2>/dev/null | vnp-cat --summary |
    sed -n 's/^ *vocabulary \([^,]*\),.*/\1/p')

proteins() { # proteins RECORDS: as many of each stratum
    awk -v n="$1" 'function protein(name, l, s) {
            s = ""; while (l-- > 0) s = s substr("LAGVSERTIDPKQNFYMHWCXB", int(rand() * 22) + 1, 1)
            print ">" name "\n" s }
        BEGIN { srand(11)
            for (i = 1; i <= n; i++) protein("short" i, 1 + int(rand() * 49))
            for (i = 1; i <= n; i++) protein("medium" i, 50 + int(rand() * 151))
            for (i = 1; i <= n; i++) protein("long" i, 200 + int(rand() * 301))
            k = split("1022 1 2 62 63 126 254 61 3 125 127 510 255 64 65 253", l, " ")
            for (i = 0; i < n; i++) protein("border" i, l[i % k + 1]) }'
}
dna() { [[ $shape == dnabert-s* ]]; }
# The tokens of a FASTA file; for DNABERT-S a letter and its place are a token of its vocabulary, so that lengths are the same.
tokens_of() {
    if dna; then
        awk -v vocabulary="$vocabulary" 'BEGIN { print "vocab " vocabulary " 4096 2\nhead tokens 0 - - 0 -"
                     for (i = 1; i <= 26; i++) at[substr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", i, 1)] = i }
            /^>/ { name = substr($0, 2); next }
            { printf "row %d %s %d 0 1", n++, name, length($0)
              for (i = 1; i <= length($0); i++) printf " %d", 5 + (at[substr($0, i, 1)] * 151 + i * 37) % 4091
              print " 2" }' "$1" | "$BUILD/tests/stream/tool_mkstream"
    else
        vnp-fasta2tok -q "$1" 2>/dev/null
    fi
}
pooled() { vnp-pack -q -b 16384 | "$@" -q --pool mean | vnp-pool -q --plain; } # pooled FORWARD-STAGE [OPTION...] < TOKENS
vectors() { vnp-pool -q --none --plain | vnp-cat -q --npy "$1" -; } # hidden states in the order of the input

# The comparison in cmp.json, with the oracle, into the record.
note() { # note STRATUM NUMBERS
    sed "s/^{/{\"what\":\"proof\",\"model\":\"$what\",\"stratum\":\"$1\",\"numbers\":\"$2\",\"against\":\"vnp-cpu-forward FP32\",/" \
        cmp.json >>"$record"
}

# agree NAME STRATUM NUMBERS LEAST A B: every cosine, and what the statistics may differ by (of B, the GPU's).
agree() {
    vnp-cmp -q --json --min-cosine "$4" "$5" "$6" >cmp.json 2>/dev/null
    note "$2" "$3"
    check "$1" grep -q '"agree":true' cmp.json
    # shellcheck disable=SC2016  # awk's own
    check "$1: mean, deviation, norms, outliers; all finite" awk '
        function get(key) { # NaN and null are no number, and none passes
            if (!match($0, "\"" key "\":[-+0-9.e]+")) { bad = bad " " key; return "" }
            return substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0
        }
        function within(key, low, high,   v) { v = get(key); if (v == "" || !(v >= low && v <= high)) bad = bad " " key "=" v }
        {
            within("mean_diff", -0.01, 0.01); within("std_diff_percent", -5, 5); within("norm_diff_percent", -5, 5)
            within("min_norm_b", 1, 1000); within("max_norm_b", 1, 1000); within("nonfinite", 0, 0); lines++
            if (get("outliers_a") > 0 || get("outliers_b") > 0) within("outliers_diff_percent", -10, 10)
        }
        END { if (bad != "" || lines != 1) { print "out of bounds:" bad > "/dev/stderr"; exit 1 } }' cmp.json
}

# Each stratum and the mix: the oracle once, then each kind of numbers.
against_cpu() {
    local s n least
    for s in 0 1 2 3; do
        pooled vnp-cpu-forward <"blocks/00000$s.vnp" >"cpu.$s" || return
    done
    vnp-concat -q --plain -o cpu.mixed cpu.0 cpu.1 cpu.2 cpu.3
    for n in ${VNP_TEST_NUMBERS:-fp32 fp16}; do
        case $n in fp32) least=0.999999 ;; *) least=0.9999 ;; esac
        for s in 0 1 2 3; do
            pooled vnp-gpu-forward "--$n" <"blocks/00000$s.vnp" >gpu
            agree "$what: ${strata[s]}, $n" "${strata[s]}" "$n" $least "cpu.$s" gpu
        done
        pooled vnp-gpu-forward "--$n" <tokens >"gpu.$n"
        agree "$what: mixed, $n" mixed "$n" $least cpu.mixed "gpu.$n"
    done
    # The first and last residues have neighbours on one side only: each residue's vector by itself.
    vnp-pack -q -b 16384 <blocks/000003.vnp >batches
    vnp-cpu-forward -q batches | vnp-pool -q --none --plain -o cpu
    vnp-gpu-forward -q batches | vnp-pool -q --none --plain -o gpu
    vnp-cmp -q --json --min-cosine 0.999 cpu gpu >cmp.json
    note 'borders, each residue' fp16
    check "$what: each residue's vector by itself" grep -q '"agree":true' cmp.json
}

against_pytorch() {
    local n least ours=() ids=() by='Hugging Face EsmModel in FP32' needs='torch, transformers'
    if dna; then
        by='PyTorch in float64' needs='torch, safetensors' ids=(--ids ids)
        vnp-cat --json tokens >ids
    fi
    if ! python3 -c "import $needs" 2>/dev/null; then
        skip "$what: $by" "python3 lacks one of $needs"
        return
    fi
    for n in ${VNP_TEST_NUMBERS:-fp32 fp16}; do
        case $n in fp32) least=0.999999 ;; *) least=0.9999 ;; esac
        vnp-cat -q --npy "gpu.$n.npy" "gpu.$n" >/dev/null
        ours+=("$n=$least=gpu.$n.npy")
    done
    vnp-cat -q --npy cpu.npy cpu.mixed >/dev/null
    check "$what: $by" python3 "$ROOT/tests/vnp-gpu-forward/reference.py" --model "$VNP_MODEL" "${ids[@]}" \
        --name "$what" --record "$record" in.fa "cpu=0.999999=cpu.npy" "${ours[@]}"
}

invariance() {
    local budget x
    vnp-pack -q --no-packing <tokens | vnp-gpu-forward -q | vectors alone.npy
    for budget in 1024 4096 65536; do
        vnp-pack -q -b $budget <tokens | vnp-gpu-forward -q | vectors packed.npy
        same "$what: batches of $budget tokens give the bytes of one record at a time" alone.npy packed.npy
    done
    rm -f alone.npy packed.npy
    awk 'BEGIN { RS = ">"; ORS = "" } NR > 1 { r[NR - 1] = ">" $0 } END { n = NR - 1; for (i = n; i > 0; i--) print r[i] }' in.fa >turned.fa
    tokens_of turned.fa | vnp-pack -q -b 3000 | vnp-gpu-forward -q --pool mean | vnp-pool -q --plain -o turned
    pooled vnp-gpu-forward <tokens >straight
    vnp-cmp -q --by id --json straight turned >cmp.json
    check "$what: the same numbers in the opposite order" grep -q '"max_abs_diff":0,.*"agree":true' cmp.json
    # Position 0 is where a sequence begins, and no neighbour shows: one sequence thrice, between others and between others again.
    for x in A C; do
        awk -v c="$x" 'NR % 2 == 0 { s[++n] = $0 } END { x = s[3] s[4]
            for (i = 1; i <= 3; i++) { y = s[n - i - (c == "C" ? 5 : 0)]; gsub(/W/, "H", y); print ">n" i "\n" (i % 2 ? y : substr(y, 1, 17)) "\n>x\n" x } }' in.fa >again.fa
        tokens_of again.fa | vnp-pack -q -b 16384 -o "again.$x"
    done
    vnp-gpu-forward -q again.A | x_rows >once
    check "$what: one sequence in three places of a batch" [ "$(sort -u once | wc -l)/$(wc -l <once)" = 1/3 ]
    vnp-gpu-forward -q again.C | x_rows >twice
    same "$what: and between other neighbours" once twice
}
x_rows() { vnp-cat --json | grep '"id":"x"' | sed 's/"ordinal":[0-9]*,//'; }

# What overflows is redone, right and reported, and leaves no trace in its neighbours.
overflowing() {
    printf '>a\nLAGVSERTIDPK\n>x\nLAGMSERT\n>b\nLAGWSERTLAGW\n>x\nLAGMSERT\n>d\nWWW\n' | vnp-fasta2tok -q | vnp-pack -q -o huge
    vnp-gpu-forward -q huge | x_rows >before
    trap 'restore "$VNP_MODEL"; rm -rf "$T"' EXIT
    overflow "$VNP_MODEL"
    vnp-cpu-forward -q --pool mean huge | vnp-pool -q --plain -o cpu
    status "$what: what overflows FP16 is redone in FP32" 0 vnp-gpu-forward -o redone huge
    says "$what: and reported" '2 sequences did not fit fp16: redone in FP32'
    vnp-pool -q --plain redone >gpu
    vnp-cmp -q --json --min-cosine 0.9999 cpu gpu >cmp.json
    note 'overflows FP16' fp16
    check "$what: and right" grep -q '"agree":true' cmp.json
    x_rows <redone >after
    same "$what: with no trace in its neighbours" before after
    status "$what: or the run fails" 65 vnp-gpu-forward --on-nonfinite fail -o failed huge
    restore "$VNP_MODEL"
}

for shape in ${VNP_TEST_SHAPES:-8M dnabert-s 650M 3B}; do
    if dna && [ ! -x "$BUILD/tests/stream/tool_mkstream" ]; then
        skip "$shape" 'tests/stream/tool_mkstream was not built'
        continue
    fi
    case $shape in dnabert-s) width=768 ;; 8M) width=320 ;; 650M) width=1280 ;; 3B) width=2560 ;; *x*) width=${shape##*x} ;; *) width=640 ;; esac
    n=${VNP_TEST_RECORDS:-$((20480 / width))}
    proteins "$n" >in.fa
    tokens_of in.fa >tokens
    rm -rf blocks
    vnp-split -q --records "$n" -o blocks tokens
    for with in ${VNP_TEST_OUTLIERS:-no yes}; do
        case $with in yes) outliers=--outliers ;; *) outliers='' ;; esac
        what=$shape$outliers
        export VNP_MODEL=$models/$what
        # shellcheck disable=SC2086  # empty or one word
        [ -d "$VNP_MODEL" ] || vnp-model synth "$shape" $outliers --seed 1 -q -o "$VNP_MODEL" || exit 2
        against_cpu
        against_pytorch
        invariance
        [ -n "$outliers" ] || dna || overflowing # of DNABERT-S: dnabert.sh
        [ -n "${VNP_BENCH_DIR-}" ] || rm -rf "$VNP_MODEL"
    done
done
finish
