#!/usr/bin/env bash
# vnp-gpu-forward with a DNABERT-S: against vnp-cpu-forward and the goldens of PyTorch, every head dimension and kind of
# numbers; batch invariance, pooling over all tokens, what FP16 can't hold; and vnp-predict. Needs a GPU.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
if ! command -v vnp-gpu-forward >/dev/null || ! vnp-gpu-forward -q --probe 2>/dev/null; then
    skip 'DNABERT-S on the GPU' 'no GPU here'
    finish
    exit
fi
mkdir "$T/work" && cd "$T/work" || exit 2
MKSTREAM=$BUILD/tests/stream/tool_mkstream
TOKENIZER=$ROOT/tests/golden/tokenizers/dna4096.json

# DNA to 700 bases, some longer, the shortest first and an empty record; another order of the same. Tokens of a few bases.
awk 'function dna(n, s) { for (s = ""; n > 0; n--) s = s substr("ACGT", int(rand() * 4) + 1, 1); return s }
    BEGIN { srand(12); for (i = 1; i <= 700; i += 9) print ">d" i "\n" dna(i)
            n = split("1500 2300 4500", long); for (i = 1; i <= n; i++) print ">long" long[i] "\n" dna(long[i])
            print ">empty\n" }' >in.fa
awk 'BEGIN { RS = ">"; ORS = "" } NR > 1 { r[NR - 1] = ">" $0 }
    END { n = NR - 1; for (i = 1; i <= n; i++) print r[(i * 31) % n + 1] }' in.fa >shuffled.fa
tokens() { vnp-fasta2tok -q --tokenizer "$TOKENIZER" "$@" 2>/dev/null; }
tokens in.fa | vnp-pack -q -b 2048 -o batches
# Ids over the whole vocabulary, lengths around the borders of tiles.
awk 'BEGIN { srand(7); print "vocab bpe-4096-01234567 4096 2"; print "head batches 0 - - 0 -"
    n = split("1 2 61 62 63 125 126 127 254 509 1022", size)
    for (i = 1; i <= n; i++) {
        printf "row %d s%d %d 0", i - 1, size[i], size[i]
        for (j = 0; j < size[i] + 2; j++) printf " %d", int(rand() * 4096)
        print ""
    } }' | "$MKSTREAM" >wide

# rows: hidden states of the batches on stdin, a line a sequence, sorted, without the ordinal; the decimals are exact.
rows() { vnp-gpu-forward -q | vnp-cat --json | sed 's/"ordinal":[0-9]*,//' | sort; }
cosine() { # cosine NAME LEAST A B
    check "$1" vnp-cmp -q --min-cosine "$2" "$3" "$4"
}

for shape in 2x12x192 2x3x72 2x4x128 3x3x192 2x3x384 2x12x768; do
    for outliers in '' --outliers; do
        what="$shape$outliers"
        rm -rf model
        # shellcheck disable=SC2086  # empty or one word
        vnp-model synth dnabert-s:$shape $outliers --seed 8 -q -o model || exit 2
        export VNP_MODEL=$PWD/model
        for input in batches wide; do
            vnp-cpu-forward -q $input >hidden
            vnp-pool -q --all-tokens --plain -o cpu hidden
            [ $input = batches ] || vnp-pool -q --none --plain -o cpu.tokens hidden
            for numbers in fp32:0.999999 tf32:0.9999 fp16:0.9999 bf16:0.99; do
                vnp-gpu-forward -q --${numbers%:*} $input >hidden || : >hidden
                vnp-pool -q --all-tokens --plain -o gpu hidden
                cosine "$what, $input: ${numbers%:*} agrees with the CPU" "${numbers#*:}" cpu gpu
                [ $input = batches ] && continue
                vnp-pool -q --none --plain -o gpu.tokens hidden
                cosine "$what, $input: each token" "${numbers#*:}" cpu.tokens gpu.tokens
            done
        done
    done
    case $shape in 2x12x192 | 3x3x192) ;; *) continue ;; esac
    # From here on the model with outliers, in FP16.
    for pool in mean max; do
        vnp-gpu-forward -q batches | vnp-pool -q --plain --$pool --all-tokens | vnp-cat --json >downstream
        vnp-gpu-forward -q --pool $pool --all-tokens batches | vnp-pool -q --plain --all-tokens | vnp-cat --json >upstream
        same "$shape: --pool $pool --all-tokens gives vnp-pool's bytes" downstream upstream
        vnp-gpu-forward -q batches | vnp-pool -q --plain --$pool | vnp-cat --json >downstream
        vnp-gpu-forward -q --pool $pool batches | vnp-pool -q --plain | vnp-cat --json >residues
        same "$shape: and without the special tokens" downstream residues
        differ "$shape: which is something else" residues upstream
    done
    vnp-gpu-forward -q batches | vnp-pool -q --plain --cls | vnp-cat --json >downstream
    vnp-gpu-forward -q --pool cls batches | vnp-pool -q --plain | vnp-cat --json >upstream
    same "$shape: --pool cls gives vnp-pool's bytes" downstream upstream
    for layer in 0 1; do
        vnp-cpu-forward -q --layer=$layer batches | vnp-pool -q --plain -o cpu
        vnp-gpu-forward -q --layer=$layer batches | vnp-pool -q --plain -o gpu
        cosine "$shape: layer $layer" 0.9999 cpu gpu
    done
    tokens in.fa | vnp-pack -q --no-packing | rows >alone
    check "$shape: every record came out" [ "$(wc -l <alone)" = "$(grep -c '>' in.fa)" ]
    for budget in 300 8192; do
        tokens in.fa | vnp-pack -q -b $budget | rows >packed
        same "$shape: the same bytes in batches of $budget tokens" alone packed
    done
    tokens shuffled.fa | vnp-pack -q -b 3000 | rows >packed
    same "$shape: the same bytes shuffled" alone packed
done

# A tokenizer without special tokens: batches of as many sequences as tokens, and sequences of none.
rm -rf model && vnp-model synth dnabert-s:2x3x192 --seed 8 -q -o model
sed 's/"post_processor":{.*"decoder"/"post_processor":null,"decoder"/' "$TOKENIZER" >model/tokenizer.json
{
    awk 'BEGIN { for (i = 0; i < 300; i++) printf ">%d\n%s\n", i, i % 7 ? "A" : "" }'
    cat in.fa
} | vnp-fasta2tok -q --tokenizer model/tokenizer.json 2>/dev/null | vnp-pack -q -b 64 -o none
vnp-cpu-forward -q --pool mean none | vnp-pool -q --plain -o cpu
check 'sequences of one token and of none' vnp-gpu-forward -q --pool mean -o pooled none
vnp-pool -q --plain -o gpu pooled
cosine 'as the CPU has them' 0.9999 cpu gpu
check 'none of the vectors is lost' [ "$(vnp-cat --json gpu | wc -l)" = "$(vnp-cat --json cpu | wc -l)" ]
printf '>empty\n\n' | vnp-fasta2tok -q --tokenizer model/tokenizer.json 2>/dev/null | vnp-pack -q | vnp-gpu-forward -q --pool mean | vnp-pool -q | vnp-cat --json >empty
check 'nothing but a sequence of none' grep -q '"embedding":\[0.0,0.0,' empty

# --- the goldens -----------------------------------------------------------------------------------------------------
G=$ROOT/tests/golden/dnabert
# Tokens of each sequence of three or more; the mean over all tokens of the last layer, as PyTorch has it in float64.
{
    echo 'vocab bpe-4096-01234567 4096 2' && echo 'head batches 0 - - 0 -'
    awk '$1 == "ids" && $3 > 2 { printf "row %d %s %d 0", n++, $2, $3 - 2; for (i = 4; i <= NF; i++) printf " %s", $i; print "" }' "$G/dnabert.txt"
} | "$MKSTREAM" >golden
expected() { # expected NAME WIDTH FINGERPRINT LAYERS
    echo "head embeddings $2 f32 mean $4 $3"
    awk -v model="$1" -v layers="$4" '
        FNR != NR { if (FNR in name) print "row", order[name[FNR]], name[FNR], tokens[name[FNR]] - 2, 0, $0; next }
        $1 == "ids" && $3 > 2 { order[$2] = n++; tokens[$2] = $3 }
        $1 == "model" { on = $2 == model; at = 0 }
        on && $1 == "rows" { at += $6 }
        on && $1 == "pool" { at++; if ($2 == "mean-all" && $3 == layers && $4 in order) name[at] = $4 }' \
        "$G/dnabert.txt" <(od -An -v -tfF -w$(($2 * 4)) "$G/$1.f32") | sort -s -k 2n
}
while read -r _ name fingerprint layers width synth; do
    rm -rf model
    # shellcheck disable=SC2086  # words
    vnp-model synth $synth -q -o model
    expected "$name" "$width" "$fingerprint" "$layers" | "$MKSTREAM" >want
    for numbers in fp32:0.999999 fp16:0.9999; do
        vnp-gpu-forward -q --${numbers%:*} -m model --pool mean --all-tokens golden | vnp-pool -q --plain --all-tokens -o got
        cosine "$name: PyTorch's means, in ${numbers%:*}" "${numbers#*:}" want got
        check 'of the same weights' [ "$(vnp-cat --summary --json got | grep -c "$fingerprint")" = 1 ]
    done
done < <(grep '^model' "$G/dnabert.txt")

# --- around it -------------------------------------------------------------------------------------------------------
export VNP_MODEL=$PWD/model
status 'the stage checks itself' 0 vnp-gpu-forward -v -o on batches
says 'and tells how near it came' 'record [0-9]+: cosine (0\.9999|1\.0)[0-9]* to the CPU'
status 'the kernels are named' 0 vnp-gpu-forward --report -o on batches
says 'attention' 'attention: attention_(mma|wgmma)(, attention_whole)? with ALiBi'
status 'compared with FP32' 0 vnp-gpu-forward --compare-fp32 1 --min-cosine 0.9999 --pool mean --all-tokens -o on batches
says 'every sequence' "^vnp-gpu-forward: $(grep -c '>' in.fa) sequences against FP32: cosine (0\.9999|1\.0)"
vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q >proteins
status 'tokens of an ESM-2' 65 vnp-gpu-forward -o out proteins
says 'are named' 'vocabulary esm2 \(33 ids\), but model is a DNABERT-S'
check 'and leave nothing' [ ! -e out ]

# A bias of the first layer gets an element of 1e5, which FP16 has no room for: everything is redone, and checked too.
rm -rf model
vnp-model synth dnabert-s:2x3x192 --seed 9 -q -o model
header=$(od -An -tu8 -N8 model/model.safetensors)
offset=$(head -c $((header + 8)) model/model.safetensors | grep -ao '"[a-z.]*encoder.layer.0.mlp.wo.bias":{[^}]*' | sed 's/.*\[\([0-9]*\),[0-9]*\]$/\1/')
check 'the bias was found' [ -n "$offset" ]
printf '\000\120\303\107' | dd of=model/model.safetensors bs=1 seek=$((8 + header + ${offset:-0} + 7 * 4)) conv=notrunc 2>/dev/null
vnp-cpu-forward -q batches | vnp-pool -q --plain -o cpu
status 'what overflows is redone in FP32' 0 vnp-gpu-forward -v -o redone batches
cp "$T/err" err
check 'all of it' grep -q "$(grep -c '>' in.fa) sequences did not fit fp16: redone in FP32" err
check 'and checked as well' grep -q 'cosine [01].* to the CPU' err
vnp-pool -q --plain redone -o gpu
cosine 'and right' 0.999999 cpu gpu
status 'or they are kept' 0 vnp-gpu-forward --on-nonfinite=keep -o kept batches
says 'and counted' "$(grep -c '>' in.fa) sequences with NaN or Inf marked"

# --- vnp-predict -----------------------------------------------------------------------------------------------------
P=$ROOT/tests/golden/predict
while read -r what shape seed _; do
    case $what in esm | dnabert) vnp-model synth "$shape" --seed "$seed" -q -o "$what" ;; esac
done <"$P/index.txt"
cp "$TOKENIZER" dnabert/tokenizer.json
# near RESULTS EXPECTED LEAST: the same ids; scores that differ by at most that, and verdicts where they are further apart
near() {
    awk -F '\t' -v least="$3" 'function away(d) { return d < 0 ? -d : d }
        NR == FNR { want[FNR] = $0; n = FNR; next }
        { split(want[FNR], w, "\t"); m = FNR; bad = bad || $1 != w[1] || NF != 4 }
        FNR > 1 { bad = bad || !(away($3 - w[3]) <= least) || !(away($4 - w[4]) <= least)
                  bad = bad || ($2 != w[2] && !(away(w[3] - w[4]) <= 2 * least)) }
        bad { print "line " FNR ": " $0 ", expected " want[FNR] > "/dev/stderr"; exit }
        END { exit bad || n != m || n < 2 }' "$2" "$1"
}
unset VNP_MODEL
for numbers in fp32:0.0001 fp16:0.02; do
    check "vnp-predict in ${numbers%:*}" vnp-predict -d gpu --${numbers%:*} --esm esm --dnabert dnabert \
        --classifier "$P/classifier.pth" -o "out.${numbers%:*}" "$ROOT/tests/data/contigs.fa"
    cp "$T/err" err
    lacks 'on the GPU, both models' 'runs on the CPU' err
    check "every score is PyTorch's to ${numbers#*:}" near "out.${numbers%:*}/prediction_results.txt" "$P/expected-500.txt" "${numbers#*:}"
done
finish
