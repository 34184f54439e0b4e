#!/usr/bin/env bash
# vnp-cpu-forward: batch invariance, layers, pooling, weights of other dtypes, and what it refuses.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2

# Proteins of every length from 1 to 150, some long, one empty record; a deterministic shuffle of them.
awk -v seed=5 'function residue() { return substr("LAGVSERTIDPKQNFYMHWCXB", int(rand() * 22) + 1, 1) }
    function protein(n, s) { for (s = ""; n > 0; n--) s = s residue(); return s }
    BEGIN { srand(seed); for (i = 1; i <= 150; i += 3) print ">p" i "\n" protein(i)
            split("255 256 257 513 1022 1500", long); for (i in long) print ">long" long[i] "\n" protein(long[i])
            print ">empty\n" }' >in.fa 2>/dev/null
awk 'BEGIN { RS = ">"; ORS = "" } NR > 1 { r[NR - 1] = ">" $0 }
    END { n = NR - 1; for (i = 1; i <= n; i++) print r[(i * 37) % n + 1] }' in.fa >shuffled.fa
vnp-model synth 3x4x64 --seed 2 -q -o model || exit 2
export VNP_MODEL=$PWD/model

# rows OPTIONS...: the hidden states of each sequence of the batches on stdin, a line each, sorted by id, without the
# ordinal; the decimals are exact.
rows() { vnp-cpu-forward -q "$@" | vnp-cat --json | sed 's/"ordinal":[0-9]*,//' | sort; }
tokens() { vnp-fasta2tok -q "$1"; }

# --- the same bytes, whatever comes with them ------------------------------------------------------------------------
tokens in.fa | vnp-pack -q --no-packing | rows >alone
check 'every record came out' [ "$(wc -l <alone)" = "$(grep -c '>' in.fa)" ]
budgets='64 1024 8192 65536' counts='1 2 3 7'
! sanitized || budgets=1024 counts=3 # it is the code that counts there, not the bytes once more
for budget in $budgets; do
    tokens in.fa | vnp-pack -q -b $budget | rows >packed
    same "packed into batches of $budget tokens" alone packed
done
tokens shuffled.fa | vnp-pack -q -b 2048 | rows >packed
same 'shuffled' alone packed
tokens in.fa | vnp-pack -q -b 4096 >batches
for threads in $counts; do
    rows --threads $threads <batches >packed
    same "$threads threads" alone packed
done
rows -- batches >packed
same 'from a file' alone packed

# Every kernel set of OpenBLAS that this processor can run: alone against packed. No sanitizer looks into that library.
cores=Prescott
flags=$(awk '/^flags/ { print; exit }' /proc/cpuinfo 2>/dev/null)
case $flags in *' sse4_2 '*) cores="$cores Nehalem" ;; esac
case $flags in *' avx '*) cores="$cores Sandybridge" ;; esac
case $flags in *' avx2 '*' fma '* | *' fma '*' avx2 '*) cores="$cores Haswell Zen" ;; esac
case $flags in *' avx512f '*) case $flags in *' avx512vl'*) cores="$cores SkylakeX" ;; esac ;; esac
if sanitized || [ "$(uname -m)" != x86_64 ]; then cores=; fi
awk '/^>/ { n++ } n % 3 == 0' in.fa >some.fa
for core in $cores; do
    tokens some.fa | vnp-pack -q --no-packing | OPENBLAS_CORETYPE=$core rows >one
    tokens some.fa | vnp-pack -q -b 1024 | OPENBLAS_CORETYPE=$core rows >packed
    same "alone and packed on $core kernels" one packed
done

# A record beyond the length at which attention takes fewer queries at a time.
{
    awk 'BEGIN { srand(3); print ">giant"
        for (i = 0; i < 8200; i++) printf "%s", substr("LAGVSERTIDPKQNFY", int(rand() * 16) + 1, 1)
        print "" }'
    cat some.fa
} >giant.fa
vnp-model synth 1x2x32 --seed 2 -q -o small
tokens giant.fa | vnp-pack -q --no-packing | rows -m small >one
tokens giant.fa | vnp-pack -q -b 20000 | rows -m small >packed
same 'a record of 8200 residues among others' one packed

# --- layers -----------------------------------------------------------------------------------------------------------
rows --layer 3 <batches >layer
same 'layer 3 of 3 is the default' layer alone
rows --layer -1 <batches >layer
same 'layer -1 is the last' layer alone
rows --layer 2 <batches >two
rows --layer -2 <batches >layer
same 'layer -2 is the one before' layer two
rows --layer 0 <batches >zero
rows --layer -4 <batches >layer
same 'layer -4 of 3 is the embedding' layer zero
differ 'layers 2 and 3 differ' two alone
differ 'layers 0 and 2 differ' zero two
status 'layer 4 of 3' 2 vnp-cpu-forward --layer 4 batches -o out
says 'says which there are' 'layers 0 to 3 .*not 4'
status 'layer -5 of 3' 2 vnp-cpu-forward --layer -5 batches -o out
check 'the head names the layer, the model and its fingerprint' sh -c \
    'vnp-cpu-forward -q --layer 2 batches | vnp-cat --summary | grep -E "model, layer 2, fingerprint [0-9a-f]{16}"'

# --- pooling ----------------------------------------------------------------------------------------------------------
for pool in mean cls max; do
    vnp-cpu-forward -q batches | vnp-pool -q --$pool | vnp-cat --json >after
    vnp-cpu-forward -q --pool $pool batches | vnp-pool -q --$pool | vnp-cat --json >before
    same "--pool $pool is what vnp-pool --$pool makes" before after
    vnp-fasta2tok -q --window 100 --overlap 20 in.fa | vnp-pack -q -b 1000 >windows
    vnp-cpu-forward -q windows | vnp-pool -q --$pool | vnp-cat --json >after
    vnp-cpu-forward -q --pool $pool windows | vnp-pool -q --$pool | vnp-cat --json >before
    same "--pool $pool, with windows" before after
done

# --- weights in other dtypes, or misaligned -----------------------------------------------------------------------
for dtype in f16 bf16; do
    vnp-model synth 2x2x64 --dtype $dtype -q -o m.$dtype && vnp-model convert m.$dtype --dtype f32 -q -o m.$dtype.f32
    rows -m m.$dtype <batches >narrow
    rows -m m.$dtype.f32 <batches >wide
    same "$dtype weights: as the same numbers in FP32" narrow wide
done
header=$(od -An -tu8 -N 8 model/model.safetensors | tr -d ' ')
mkdir shifted && cp model/config.json shifted
{ # one more space in the header: every tensor at an odd address
    # shellcheck disable=SC2059  # the bytes are made here
    printf "$(printf '\\x%02x\\x%02x' $(((header + 1) % 256)) $(((header + 1) / 256)))\\0\\0\\0\\0\\0\\0"
    tail -c +9 model/model.safetensors | head -c "$header"
    printf ' '
    tail -c +$((header + 9)) model/model.safetensors
} >shifted/model.safetensors
rows -m shifted <batches >packed
same 'tensors at odd addresses' alone packed

# --- NaN ----------------------------------------------------------------------------------------------------------
# The word vector of W (id 22) becomes NaN: sequences with a W fail or are marked, the others are as ever.
cp -r model nan
offset=$(head -c $((header + 8)) model/model.safetensors |
    sed 's/.*word_embeddings.weight"[^}]*"data_offsets": *\[\([0-9]*\),.*/\1/' | tr -cd 0-9)
at=$((header + 8 + offset + 22 * 64 * 4))
printf '\0\0\300\177' | dd of=nan/model.safetensors bs=1 seek=$at conv=notrunc 2>/dev/null
status 'NaN stops the run' 65 vnp-cpu-forward -m nan -o out batches
says 'and the record is named' 'record [0-9]+ \(p[0-9]+\): NaN or Inf from layer 3 of nan, in FP32: '
check 'nothing is left behind' [ ! -e out ]
status '--on-nonfinite=keep goes on' 0 vnp-cpu-forward -m nan --on-nonfinite=keep -o kept batches
says 'and counts' '[0-9]+ sequences? with NaN or Inf marked'
awk 'BEGIN { RS = ">" } NR > 1 && /\n.*W/ { print $1 }' in.fa | sort >with_w
vnp-cat --json kept | sed 's/"ordinal":[0-9]*,//' | sort >kept.rows
grep '"nonfinite"' kept.rows | sed 's/.*"id":"\([^"]*\)".*/\1/' | sort >marked
check 'sequences with the bad token are some, not all' [ -s with_w -a "$(wc -l <with_w)" -lt "$(wc -l <alone)" ]
same 'exactly those are marked' with_w marked
grep -v '"nonfinite"' kept.rows >kept.good
grep -vFf <(sed 's/.*/"id":"&"/' with_w) alone >alone.good
same 'the others are the same bytes as without it' alone.good kept.good

# --- what it refuses ----------------------------------------------------------------------------------------------
tokens in.fa >all.tokens
status 'tokens that are not batches' 65 vnp-cpu-forward -o out all.tokens
says 'with the way out' 'vnp-pack'
sed 's/esm2/esmX/' batches >other
status 'another vocabulary' 65 vnp-cpu-forward -o out other
says 'both are named' 'vocabulary esmX .*ESM-2 with 33 ids'
head -c 3000 batches >short
status 'a stream cut short' 65 vnp-cpu-forward -o out short
status 'no model' 66 vnp-cpu-forward -m no/such/model -o out batches
says 'it is named' 'no/such/model'
vnp-model synth dnabert-s:1x2x32 -q -o dnabert
status 'a model of another kind' 65 vnp-cpu-forward -m dnabert -o out batches
says 'in one line' 'vocabulary esm2 \(33 ids\), but dnabert is a DNABERT-S with 4096 ids: .*--tokenizer'
for model in zip half legacy; do
    status "a classifier ($model)" 65 vnp-cpu-forward -m "$ROOT/tests/golden/classifier/$model.pth" -o out batches
    says 'is called one' "/$model.pth: is a classifier, as vnp-predict and vnp-classify take it, and no ESM-2 or DNABERT-S$"
done
status 'a classifier by the environment' 65 env VNP_MODEL="$ROOT/tests/golden/classifier/zip.pth" vnp-cpu-forward -o out batches
says 'is called one, too' '/zip.pth: is a classifier, '
status 'no input file' 66 vnp-cpu-forward -o out no-such-file
status 'two files' 2 vnp-cpu-forward batches batches
cp batches input
status 'the output over the input' 2 vnp-cpu-forward -o input input
says 'the output over the input: says so' '^vnp-cpu-forward: input: is the input; choose another name for the output$'
same 'the output over the input: it is still there' input batches
weights=$(vnp-model inspect -q --json | sed 's/.*"files":\["\([^"]*\)".*/\1/')
status 'the output over the model' 2 vnp-cpu-forward -o "$weights" batches
says 'the output over the model: says so' "is the input; choose another name for the output\$"
rm -rf sharded && cp -r "$ROOT/tests/golden/model-files/hf-sharded" sharded
for file in model.safetensors.index.json config.json model-00002-of-00003.safetensors; do
    status "over a model's $file" 2 vnp-cpu-forward -q --model sharded -o "sharded/$file" batches
    same 'is untouched' "$ROOT/tests/golden/model-files/hf-sharded/$file" "sharded/$file"
done
status 'no such pooling' 2 vnp-cpu-forward --pool none batches
status 'FP32 again is no choice here' 2 vnp-cpu-forward --on-nonfinite=fp32 batches
status 'no threads' 2 vnp-cpu-forward --threads 0 batches
check 'no output file was left by any of these' [ ! -e out ]
status 'a full disk' 74 sh -c 'vnp-cpu-forward batches >/dev/full'
status 'the next stage repeats the cause' 65 sh -c 'vnp-cpu-forward -q short 2>/dev/null | vnp-pool -o out'
says 'with the name of the stage that failed' 'vnp-cpu-forward'
vnp-cpu-forward batches 2>err >/dev/null
check 'a closing line: sequences, tokens, rate' grep -Eq \
    '^vnp-cpu-forward: 57 sequences, [0-9]+ tokens in [0-9.]+ s: [0-9]+ tokens/s, [0-9.]+ GFLOP/s' err
vnp-cpu-forward -q batches 2>err >/dev/null
check '-q says nothing' [ ! -s err ]
finish
