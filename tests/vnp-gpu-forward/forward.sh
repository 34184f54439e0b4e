#!/usr/bin/env bash
# vnp-gpu-forward against vnp-cpu-forward: every head dimension and kind of numbers, pooling, layers, batch invariance, what
# FP16 can't hold, comparison on the way. Needs a GPU.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/overflow.sh"
if ! command -v vnp-gpu-forward >/dev/null || ! vnp-gpu-forward -q --probe 2>/dev/null; then
    skip 'the forward pass on the GPU' 'no GPU here'
    finish
    exit
fi
mkdir "$T/work" && cd "$T/work" || exit 2

# Short, medium and long proteins, the lengths around tile borders, an empty record; and another order of the same.
awk 'function protein(n, s) { s = ""; while (n-- > 0) s = s substr("LAGVSERTIDPKQNFYMHWCXB", int(rand() * 22) + 1, 1); return s }
    BEGIN { srand(5); for (i = 1; i <= 130; i += 3) print ">p" i "\n" protein(i)
            n = split("61 62 63 64 125 126 127 150 199 254 255 300 480 513 1022", long)
            for (i = 1; i <= n; i++) print ">long" long[i] "\n" protein(long[i])
            print ">empty\n" }' >in.fa 2>/dev/null
awk 'BEGIN { RS = ">"; ORS = "" } NR > 1 { r[NR - 1] = ">" $0 }
    END { n = NR - 1; for (i = 1; i <= n; i++) print r[(i * 37) % n + 1] }' in.fa >shuffled.fa
vnp-fasta2tok -q in.fa | vnp-pack -q -b 2048 -o batches

embed() { vnp-gpu-forward -q "$@" | vnp-pool -q --plain; }
cosine() { # cosine NAME LEAST A B
    check "$1" vnp-cmp -q --min-cosine "$2" "$3" "$4"
}
# rows <BATCHES: hidden states, a line a sequence, sorted, without the ordinal; the decimals are exact.
rows() { vnp-gpu-forward -q | vnp-cat --json | sed 's/"ordinal":[0-9]*,//' | sort; }

for shape in 3x4x64 3x4x96 3x4x128 3x4x256 2x3x384; do
    for outliers in '' --outliers; do
        what="$shape$outliers"
        rm -rf model
        # shellcheck disable=SC2086  # empty or one word
        vnp-model synth $shape $outliers --seed 3 -q -o model || exit 2
        export VNP_MODEL=$PWD/model
        vnp-cpu-forward -q batches | vnp-pool -q --plain -o cpu
        for numbers in fp32:0.999999 tf32:0.9999 fp16:0.9999 bf16:0.99; do
            embed --${numbers%:*} batches >gpu
            cosine "$what: ${numbers%:*} agrees with the CPU" "${numbers#*:}" cpu gpu
        done
    done
    # From here on the model with outliers, in FP16.
    embed batches >gpu
    for pool in mean cls max; do
        vnp-gpu-forward -q batches | vnp-pool -q --plain --$pool | vnp-cat --json >downstream
        vnp-gpu-forward -q --pool $pool batches | vnp-pool -q --plain | vnp-cat --json >upstream
        same "$shape: --pool $pool gives vnp-pool's bytes" downstream upstream
        [ $pool = cls ] && continue
        vnp-gpu-forward -q batches | vnp-pool -q --plain --$pool --all-tokens | vnp-cat --json >downstream
        vnp-gpu-forward -q --pool $pool --all-tokens batches | vnp-pool -q --plain --all-tokens | vnp-cat --json >upstream
        same "$shape: and over the special tokens too" downstream upstream
    done
    for layer in 0 1 -2; do
        vnp-cpu-forward -q --layer=$layer batches | vnp-pool -q --plain -o cpu
        embed --layer=$layer batches >gpu
        cosine "$shape: layer $layer" 0.9999 cpu gpu
    done
    vnp-fasta2tok -q in.fa | vnp-pack -q --no-packing | rows >alone
    check "$shape: every record came out" [ "$(wc -l <alone)" = "$(grep -c '>' in.fa)" ]
    for budget in 1024 8192 65536; do
        vnp-fasta2tok -q in.fa | vnp-pack -q -b $budget | rows >packed
        same "$shape: the same bytes in batches of $budget tokens" alone packed
    done
    vnp-fasta2tok -q shuffled.fa | vnp-pack -q -b 3000 | rows >packed
    same "$shape: the same bytes shuffled" alone packed
done

# --- loading: so much that several threads bring it up, and LayerNorm's vectors must be there before the matrices ----
vnp-model synth 3x20x1280 --seed 3 -q -o large || exit 2
head -n 40 in.fa | vnp-fasta2tok -q | vnp-pack -q -o few
vnp-cpu-forward -q --model large few | vnp-pool -q --plain -o cpu
for numbers in fp32:0.999999 fp16:0.9999; do
    embed --model large --${numbers%:*} few >gpu
    cosine "3x20x1280: ${numbers%:*} agrees with the CPU" "${numbers#*:}" cpu gpu
done

# --- small batches of sequences that attention takes whole, all of them: two kernels then, and none before that waits for both -
awk 'BEGIN { for (i = 0; i < 128; i++) { s = ""; for (j = 0; j < 63 + (i * 37) % 128; j++) s = s substr("LAGVSERTIDPKQNFYMHWC", (i * j + j) % 20 + 1, 1)
             print ">w" i "\n" s } }' >whole.fa
export VNP_MODEL=$PWD/large
vnp-fasta2tok -q whole.fa | vnp-pack -q --no-packing | rows >alone
for budget in 1024 3000; do
    vnp-fasta2tok -q whole.fa | vnp-pack -q -b $budget | rows >packed
    same "sequences of 65 to 192 tokens: the same bytes in batches of $budget" alone packed
done
export VNP_MODEL=$PWD/model

# --- numbers ---------------------------------------------------------------------------------------------------------
VIRNUCPRO_DISABLE_FP16=true status 'FP16 can be turned off from outside' 0 vnp-gpu-forward --fp16 -o off batches
says 'and says so' 'VIRNUCPRO_DISABLE_FP16 is set: FP32 instead of fp16'
vnp-gpu-forward -q --fp32 -o on batches
same 'that is --fp32' off on
status 'the kernels are named' 0 vnp-gpu-forward --report -o on batches
says 'attention' 'attention: attention_(mma|wgmma)'
says 'matrices' 'fc1: [a-z0-9]'
status 'every sequence compared with FP32' 0 vnp-gpu-forward --compare-fp32 1 --min-cosine 0.9999 -o on batches
says 'and counted' "^vnp-gpu-forward: $(grep -c '>' in.fa) sequences against FP32: cosine 0\.9999"
status 'the same, pooled' 0 vnp-gpu-forward --compare-fp32 2 --pool mean --min-cosine 0.9999 -o on batches
says 'every second' ' [0-9]+ sequences against FP32'
rm -f on
status 'a cosine too low fails the run' 1 vnp-gpu-forward --bf16 --compare-fp32 1 --min-cosine 1 -o on batches
says 'and names the record' 'record [0-9]+: cosine 0\.9[0-9]* between bf16 and FP32'
check 'nothing is left of it' [ ! -e on ]

# --- what FP16 can't hold --------------------------------------------------------------------------------------------
rm -rf model
vnp-model synth 3x4x256 --seed 4 -q -o model
overflow model
printf '>a\nLAGVSERTIDPK\n>b\nLAGWSERT\n>c\nMHMHMH\n>d\nWWW\n' | vnp-fasta2tok -q - | vnp-pack -q -o huge
vnp-cpu-forward -q huge | vnp-pool -q --plain -o cpu
status 'what overflows is redone in FP32' 0 vnp-gpu-forward -o redone huge
says 'and counted' '2 sequences did not fit fp16: redone in FP32'
vnp-pool -q --plain redone -o gpu
cosine 'and right' 0.9999 cpu gpu
check 'two rows are flagged' [ "$(vnp-cat --summary redone 2>&1 | grep -c '2 redone')" = 1 ]
status 'or the run fails' 65 vnp-gpu-forward --on-nonfinite fail -o failed huge
says 'naming the record' 'record 1 \(b\): NaN or Inf from layer 3 of model, in fp16'
check 'and leaves nothing' [ ! -e failed ]
status 'or they are kept' 0 vnp-gpu-forward --on-nonfinite=keep -o kept huge
says 'and counted' '2 sequences with NaN or Inf marked'

# --- sizes -----------------------------------------------------------------------------------------------------------
awk 'BEGIN { srand(3); print ">giant"; for (i = 0; i < 30000; i++) printf "%s", substr("LAGVSERTIDPKQNFY", int(rand() * 16) + 1, 1); print "\n>b\nLAGV" }' >giant.fa
vnp-fasta2tok -q giant.fa | vnp-pack -q -b 1024 -o giant
status 'a record far longer than a batch' 0 vnp-gpu-forward --pool mean -o gpu giant
vnp-cpu-forward -q --pool mean --layer 1 giant | vnp-pool -q --plain -o cpu
vnp-gpu-forward -q --pool mean --layer 1 giant | vnp-pool -q --plain -o gpu
cosine 'is right' 0.9999 cpu gpu
# Records for which there is room in one of two workspaces, or in none, with others between them.
awk 'BEGIN { srand(4); n = split("9000 6 30000 5 7 20000 31000 4 3 25000", l)
    for (i = 1; i <= n; i++) { print ">" i; for (j = 0; j < l[i]; j++) printf "%s", substr("LAGVSERTIDPKQNFY", int(rand() * 16) + 1, 1); print "" } }' >giants.fa
for b in 1024 65536; do
    vnp-fasta2tok -q giants.fa | vnp-pack -q -b $b | embed --pool mean | vnp-cat --json >giants.$b
done
same 'records that grow and shrink: the same bytes as with room for all' giants.1024 giants.65536
check 'of all of them' [ "$(wc -l <giants.1024)" = 10 ]
# Batches long enough that two of them are under way at a time.
awk 'BEGIN { srand(5); for (i = 1; i <= 2000; i++) { print ">" i; n = 20 + int(rand() * 280); for (j = 0; j < n; j++) printf "%s", substr("LAGVSERTIDPKQNFY", int(rand() * 16) + 1, 1); print "" } }' >many.fa
vnp-model synth 3x20x1280 --seed 6 -q -o two
for b in 65536 8192 1024; do
    vnp-fasta2tok -q many.fa | vnp-pack -q -b $b | embed -m two --pool mean | vnp-cat --json >many.$b
done
same 'batches beside each other: the same bytes as large ones' many.8192 many.65536
same 'and as small ones' many.8192 many.1024
check 'of all of them, too' [ "$(wc -l <many.8192)" = 2000 ]
vnp-model synth 2x16x1024 -q -o wide
vnp-fasta2tok -q in.fa | vnp-pack -q -b 16777216 -o enormous
status 'batches larger than the memory are refused' 71 vnp-gpu-forward --model wide -o gpu enormous
says 'with what fits' 'vnp-pack -b [0-9]+ fits'
finish
