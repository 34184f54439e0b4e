#!/usr/bin/env bash
# vnp-plan: its counts, and its forecasts of memory, disk and time beside what the stages then take.
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2
vnp-model synth 4x4x128 -q -o model
vnp-model synth 4x4x128 -q --dtype f16 -o half
vnp-model synth dnabert-s:2x2x32 -q -o dna
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dna/tokenizer.json
vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q -b 4096 -o batches
awk '/^>/ { n++ } n <= 20' "$PROTEINS" | vnp-fasta2tok -q | vnp-pack -q -b 2048 -o few
value() { sed -n "s/.*\"$1\":\(\"[^\"]*\"\|[^,}]*\).*/\1/p" "${2:-out}" | tail -n 1; } # value KEY: a number of the JSON
inside() { # inside KEY of gpu or cpu: value DEVICE KEY
    sed -n "s/.*\"$1\":{\([^}]*\)}.*/{\1}/p" out >object
    value "$2" object
}
within() { awk -v a="$1" -v b="$2" -v f="$3" 'BEGIN { exit !(a > 0 && b > 0 && a / b <= f && b / a <= f) }'; }
equals() { check "$1 is $2" [ "$(value "$1")" = "$2" ]; }
plan() { vnp-plan -q -m model --device gpu --json "$@"; } # nothing is tried on the CPU
planned() { # planned NAME COMMAND...: the plan into the file out
    local name=$1
    shift
    status "$name" 0 "$@"
    cp "$T/out" out
    cp "$T/err" err
}

planned 'a plan' plan batches
check 'says nothing else' [ ! -s err ]
equals sequences 85
equals tokens 26579
equals residues 26409
equals shortest 29
equals longest 2294
equals budget 4096
equals over_trained_length 5
equals truncated 0
equals over_budget 0
vnp-pack -b 4096 -o again <(vnp-fasta2tok -q "$PROTEINS") 2>err
check 'batches and efficiency are those of vnp-pack' grep -q \
    " in $(value batches) batches; $(awk -v x="$(value efficiency)" 'BEGIN { printf "%.2f", 100 * x }')%" err
cp out file
planned 'the same from stdin' plan <batches
same 'the same plan' out file
printf '>a\nMKVLA\n>long\n%s\n>none\n\n' "$(head -c 50 /dev/zero | tr '\0' A)" >small.fa
vnp-fasta2tok -q --max-len 20 small.fa | vnp-pack -q -b 10 -o small
planned 'truncated, empty, larger than the budget' plan --none --f16 --plain small
equals truncated 1
equals empty 1
equals over_budget 1
equals longest_tokens 22
equals batches 2
vnp-fasta2tok -q --window 20 --overlap 5 small.fa | vnp-pack -q -b 4096 -o windows
planned 'windows' plan --none --plain windows
equals windowed 1
equals rows 5
equals residues 55
vnp-fasta2tok -q --allow-empty </dev/null 2>/dev/null | vnp-pack -q | plan >out 2>err
equals sequences 0
equals flop 0

# Operations: layers x tokens x (2 width (4 width + 2 ffn) + 4 tokens width).
printf '>a\nMKVLAMKV\n' | vnp-fasta2tok -q | vnp-pack -q -o one
planned 'operations of one sequence of ten tokens' plan --layer 3 one
equals flop "$((3 * 10 * (2 * 128 * (4 * 128 + 2 * 512) + 4 * 10 * 128)))"
# Time is operations over the rate, shared by the GPUs; on the CPU likewise.
time_is() { awk -v s="$1" -v f="$(value flop)" -v r="$2" 'BEGIN { x = f * 1e-12 / r; exit !(s > 0.999 * x && s < 1.001 * x) }'; }
planned 'time at a given rate' plan --tflops 0.001 --gpus 4 batches
check 'is operations over it' time_is "$(inside gpu given_seconds)" 0.004
check 'beside that of the H200' time_is "$(inside gpu seconds)" "$(awk 'BEGIN { print 4 * 259.3 }')"
planned 'of the CPU' vnp-plan -q -m model -d cpu --json --tflops 0.5 batches
check 'too' time_is "$(inside cpu given_seconds)" 0.5
planned 'the CPU is tried' vnp-plan -q -m model --json batches
check 'and its time is operations over the rate that came out' time_is "$(inside cpu seconds)" "$(inside cpu tflops)"
planned 'numbers that nobody measured' plan --fp32 batches
check 'have no time' [ "$(inside gpu seconds)" = null ]
cp out fp32
planned 'FP32 by the environment' env VIRNUCPRO_DISABLE_FP16=1 vnp-plan -q -m model -d gpu --json --fp16 batches
same 'is --fp32' fp32 out

# Memory on the GPU: what is said to fit, fits.
planned 'a budget too large for the GPU' plan --gpu-memory 0.6 <(vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q -b 1000000)
check 'is a warning' grep -q 'batches of 1000000 tokens do not fit .*vnp-pack -b [0-9]' out
fits=$(sed -n 's/.*vnp-pack -b \([0-9]*\) does.*/\1/p' out)
vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q -b "${fits:-1}" | plan --gpu-memory 0.6 >out
lacks "that one ($fits) fits" 'do not fit' out
vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q -b $((${fits:-1} + 1024)) | plan --gpu-memory 0.6 >out
check 'and one a little larger does not' grep -q 'do not fit' out
planned 'no room for the weights' plan --gpu-memory 0.4 batches
check 'is another' grep -q 'before any batch' out

# Memory on the CPU: within a factor of 1.5 of what vnp-cpu-forward takes.
memory() { # memory MODEL THREADS
    "$BUILD/tests/vnp-plan/tool_peak" peak vnp-cpu-forward -q -m "$1" --threads "$2" few >/dev/null &&
        vnp-plan -q -m "$1" -d cpu --threads "$2" --tflops 1 --json few >out || return
    echo "said $(inside cpu memory_bytes), took $(cat peak)" >&2
    within "$(inside cpu memory_bytes)" "$(cat peak)" 1.5
}
if sanitized; then
    skip 'memory on the CPU' 'AddressSanitizer has its own'
else
    check 'memory on the CPU' memory model 1
    check 'of more threads' memory model 4
    check 'of a model in FP16' memory half 2
fi

# Disk: within a tenth of what vnp-pool writes.
disk() { # disk OPTION...
    plan "$@" few >out && vnp-pool -q "$@" -o written hidden || return
    echo "said $(value output_bytes), took $(wc -c <written)" >&2
    within "$(value output_bytes)" "$(wc -c <written)" 1.1
}
vnp-cpu-forward -q -m model -o hidden few
for options in '' '--plain' '--cls --f16 --plain' '--none' '--none --f16'; do
    # shellcheck disable=SC2086  # options are words
    check "disk${options:+ of $options}" disk $options
done
planned 'room for the output' plan -o new.zst batches
check 'is asked for' [ "$(value free_bytes)" -gt 0 ]
check 'nothing is written' [ ! -e new.zst ]
planned 'a file that is there' plan -o batches batches
check 'is asked for' [ "$(value free_bytes)" -gt 0 ]
status 'in a folder that is not there' 73 plan -o no/where.zst batches
says 'says so' '^vnp-plan: no/where.zst: .*No such file or directory$'
for folder in . "$PWD" model model/; do
    status "a folder, $folder" 73 plan -o "$folder" batches
    says 'is no file' "^vnp-plan: $folder: .*Is a directory\$"
done
status 'in what is no folder' 73 plan -o batches/new.zst batches
says 'says so' '^vnp-plan: batches/new.zst: .*Not a directory$'
status 'no name' 73 plan -o '' batches
says 'says so' "^vnp-plan: the output's name is empty"
status 'before anything is read' 73 plan -o . nowhere
planned 'an output that goes to a pipe' vnp-plan -q -m model -d gpu -o - batches
lacks 'takes no disk' '^output' out

# The shape of 3B, in a file that has its size and no weights: what was read would show. In memory where there is room for
# what the fingerprint looks at, since a disk's read-ahead may fetch all 11 GB of it.
sparse=$PWD/sparse
if [ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 1000000 ] 2>/dev/null && memory=$(mktemp -d /dev/shm/vnp-test.XXXXXX); then
    trap 'rm -rf "$T" "$memory"' EXIT
    sparse=$memory/sparse
fi
vnp-model synth 2x2x32 -q -o shape
vnp-model inspect -l shape | awk -F '\t' '
    function emit(name, a, b) { n = a * (b ? b : 1) * 4
        out = out sprintf(",\"%s\":{\"dtype\":\"F32\",\"shape\":[%d%s],\"data_offsets\":[%.0f,%.0f]}", name, a, b ? "," b : "", at, at + n); at += n }
    NF < 5 || /layer\.1\./ || $5 != "used" { next }
    { gsub(/[][]/, "", $3); split($3, s, ", "); for (i = 1; i <= 2; i++) s[i] = s[i] == 32 ? 2560 : s[i] == 128 ? 10240 : s[i]
      if ($3 !~ /,/) s[2] = 0
      if (/layer\.0\./) for (l = 0; l < 36; l++) { name = $1; sub(/layer\.0\./, "layer." l ".", name); emit(name, s[1], s[2]) }
      else emit($1, s[1], s[2]) }
    END { printf "{%s}\n%.0f\n", substr(out, 2), at }' >header
mkdir "$sparse"
sed 's/"hidden_size": 32/"hidden_size": 2560/; s/"intermediate_size": 128/"intermediate_size": 10240/
    s/"num_attention_heads": 2/"num_attention_heads": 40/; s/"num_hidden_layers": 2/"num_hidden_layers": 36/' shape/config.json >"$sparse/config.json"
head=$(($(head -n 1 header | wc -c) - 1))
{
    for i in 0 1 2 3 4 5 6 7; do printf '%b' "\\0$(printf %o $((head >> 8 * i & 255)))"; done
    head -n 1 header | tr -d '\n'
} >"$sparse/model.safetensors"
if truncate -s $((8 + head + $(tail -n 1 header))) "$sparse/model.safetensors" 2>/dev/null; then
    planned '3B' "$BUILD/tests/vnp-plan/tool_peak" peak vnp-plan -q -m "$sparse" -d gpu --json batches
    check 'memory on the GPU as measured, and the margin' within "$(inside gpu memory_bytes)" 6650000000 1.05
    sanitized || check 'no weights are read' [ "$(cat peak)" -lt 2500000000 ] # pages beside those of the fingerprint are counted too
else
    skip '3B' 'no large files here'
fi

# DNABERT-S on the GPU: memory, and time in the numbers that were measured.
printf '>c\nACGTTGCAACGGT\n' | vnp-fasta2tok -q --tokenizer dna | vnp-pack -q -o dna.vnp
planned 'DNABERT-S' vnp-plan -q -m dna --json dna.vnp
check 'is planned for both' [ "$(inside gpu memory_bytes)" -gt 0 -a "$(inside cpu memory_bytes)" -gt 0 ]
check 'its time on the GPU is that of its own rate' time_is "$(inside gpu seconds)" 536.8
planned 'on the GPU at a given rate' vnp-plan -q -m dna -d gpu --json --tflops 0.001 dna.vnp
check 'it is' time_is "$(inside gpu given_seconds)" 0.001
planned 'for people, in FP32' vnp-plan -q -m dna -d gpu --fp32 dna.vnp
check 'it is not known' grep -q '^GPU time    not known: no DNABERT-S was measured in fp32; give --tflops$' out
planned 'for people' vnp-plan -q -m dna dna.vnp
check 'bases are called so' grep -q '^input       1 sequence, 13 bases' out

# A tokenizer without special tokens makes nothing of an empty record, which is the first row that may be tried.
cp -r dna bare
sed 's/"post_processor":{.*},"decoder"/"post_processor":null,"decoder"/' dna/tokenizer.json >bare/tokenizer.json
for n in 1 97 98 194; do
    awk -v n=$n 'BEGIN { print ">none\n"; while (--n > 0) print ">c" n "\nACGTTGCAACGGT" }' |
        vnp-fasta2tok -q --allow-empty --tokenizer bare 2>err | vnp-pack -q -o empty-first
    planned "the first of $n without tokens" timeout 5 vnp-plan -q -m bare -d cpu --threads 1 --json empty-first
    equals sequences $n
done

# Nothing to compute: no speed is known then.
: | vnp-fasta2tok -q --allow-empty | vnp-pack -q >none
for nothing in '--layer 0 batches' none; do
    # shellcheck disable=SC2086  # words
    check "nothing to compute ($nothing)" vnp-plan -q -m model -d cpu --threads 1 $nothing
    cp "$T/out" out
    check 'takes no time, at no speed' grep -Eq '^CPU time    about 0 s with 1 thread$' out
done

# What goes wrong.
status 'tokens instead of batches' 65 vnp-plan -m model <(vnp-fasta2tok -q "$PROTEINS")
says 'the way out is named' 'tokens, but batches are wanted here'
status 'tokens of another model' 65 vnp-plan -m model dna.vnp
head -c 5000 batches >short
status 'a cut stream' 65 plan short
cp "$T/out" out
says 'is an error' '^vnp-plan: short: .*without an end frame'
check 'and no plan is printed' [ ! -s out ]
vnp-fasta2tok -q nowhere.fa 2>/dev/null | vnp-pack -q 2>/dev/null | vnp-plan -m model >out 2>"$T/err"
says 'the first cause is repeated' 'vnp-fasta2tok: nowhere.fa'
status 'no such model' 66 vnp-plan -m nowhere batches
status 'no model' 2 env -u VNP_MODEL vnp-plan batches
status 'no such device' 2 plan --device tpu batches
status 'FP16 on the CPU' 2 vnp-plan -m model --device cpu --fp16 batches
check 'what to do with NaN' plan -d gpu --on-nonfinite fp32 batches
status 'there is no such way' 2 plan --on-nonfinite maybe batches
says 'says which there are' '^vnp-plan: --on-nonfinite: fp32, fail or keep, not maybe$'
status 'nor FP32 on the CPU, which knows nothing else' 2 plan -d cpu --on-nonfinite fp32 batches
status 'no such layer' 2 plan --layer 5 batches
status 'two files' 2 plan batches batches
for bad in 0 -1 x nan ''; do status "--tflops '$bad'" 2 plan --tflops "$bad" batches; done
status '--gpus 0' 2 plan --gpus 0 batches
status 'a full disk' 74 sh -c 'vnp-plan -q -m model -d gpu batches >/dev/full'
finish
