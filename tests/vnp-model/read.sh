#!/bin/bash
# Model files as the libraries of users write them, and all the ways in which they can be damaged.
. "$(dirname "$0")/../lib.sh"
G=$ROOT/tests/golden/model-files

# One line on stderr and status 65, whatever is wrong.
refused() { # NAME PATTERN MODEL
    status "$1" 65 vnp-model verify "$3"
    says "$1: the reason, in one line" "$2"
    [ "$(wc -l <"$T/err")" = 1 ] || tap 'not ok' "$1: more than one line"
}
prints() { # NAME PATTERN COMMAND...: exits 0 and its stdout matches
    local name=$1 pattern=$2
    shift 2
    "$@" >"$T/out" 2>"$T/err" && grep -Eq -- "$pattern" "$T/out" && { tap ok "$name"; return; }
    tap 'not ok' "$name"
    cat "$T/out" "$T/err" | head -c 2000 | sed 's/^/# /'
}

while read -r name crc; do
    prints "$name has the values that PyTorch has" "all finite, crc32 $crc," vnp-model verify "$G/$name"
done <"$G/expected.tsv"

print_of() { vnp-model inspect --json "$1" | sed 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/'; }
one=$(print_of "$G/hf-bin")
for other in fair-esm.pt hf-sharded fair-esm-legacy.pt hf-bin-legacy hf-bin/pytorch_model.bin; do
    check "$other has the fingerprint of hf-bin" test "$(print_of "$G/$other")" = "$one"
done
check "other values, another fingerprint" test "$(print_of "$G/hf-bf16")" != "$one"

# --- a pickle that calls a program, and views -----------------------------------------------------------------------
cd "$T" || exit 1
refused "evil pickle" 'evil.bin: pickle, byte [0-9]+: posix.system is not on the list' "$G/evil.bin"
check "evil pickle: nothing was executed" test ! -e evil-was-here -a ! -e "$G/evil-was-here"
mkdir strided
cp "$G/strided.bin" strided/pytorch_model.bin
cp "$G/hf-bin/config.json" strided
refused "transposed view" 'layer.1.attention.self.value.weight is a transposed or strided view' strided

# --- safetensors ----------------------------------------------------------------------------------------------------
le64() { # NUMBER as eight bytes
    local n=$1
    for _ in 1 2 3 4 5 6 7 8; do
        printf "\\x$(printf %02x $((n & 255)))"
        n=$((n >> 8))
    done
}
st() { # HEADER DATA_BYTES > file
    le64 ${#1}
    printf %s "$1"
    head -c "$2" /dev/zero
}
printf 'abc' >short.safetensors
refused "three bytes" 'cut short: 3 bytes' short.safetensors
: >empty.safetensors
refused "an empty file" 'the file is empty' empty.safetensors
{ le64 9223372036854775807; echo '{}'; } >huge.safetensors
refused "a header of 2^63 - 1 bytes" 'not a safetensors file: its header would have 9223372036854775807 bytes' huge.safetensors
{ printf '\0\0\0\0\0\0\0\200'; echo '{}'; } >huge.safetensors
refused "a header of 2^63 bytes" 'header would have 9223372036854775808 bytes' huge.safetensors
refused "the config in the place of the model" 'config.json: JSON, not weights: give the directory that holds it' "$G/hf-bin/config.json"
refused "sequences in the place of the model" 'looks like FASTA .vnp-fasta2tok reads it' "$PROTEINS"
{ le64 1000; echo '{}'; } >long.safetensors
refused "a header longer than the file" 'cut short: a header of 1000 bytes in a file of 11' long.safetensors
while IFS=$'\t' read -r name data pattern header; do
    st "$header" "$data" >t.safetensors
    refused "$name" "$pattern" t.safetensors
done <<'END'
no JSON	0	not a JSON object	{"a":
an array	0	not a JSON object	[1,2]
a name twice	8	not a JSON object: duplicate	{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}
no offsets	4	no dtype or no two data_offsets	{"a":{"dtype":"F32","shape":[1]}}
offsets outside	4	data_offsets 0 to 8 lie outside the 4 bytes	{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}
negative offsets	4	lie outside	{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}
offsets backwards	8	lie outside	{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}
offsets of 2^64	4	not a JSON object: too big integer	{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}}
overlap	8	tensors a and b overlap	{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}
a hole	12	a hole of 4 bytes before tensor b	{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}
something behind	8	4 bytes behind the last tensor	{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}
a shape that does not fit	4	F32 .2. does not take 4 bytes	{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}
a shape that overflows	4	does not take 4 bytes	{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}
a negative dimension	4	not a whole number	{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}
nine dimensions	4	no shape of at most 8	{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}
an unknown dtype	4	dtype Q4 is not known	{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}
no model	4	none of its 1 tensors	{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}
a newline in a name	4	tensor a.b: .*data_offsets	{"a\nb":{"dtype":"F32","shape":[1]}}
END

# --- a model with one thing wrong -----------------------------------------------------------------------------------
vnp-model synth -q 2x2x16 -o good
edit() { # NAME SED-SCRIPT (equal lengths): a copy of the model with its header changed
    rm -rf "$1" && cp -r good "$1"
    LC_ALL=C sed -i "$2" "$1/model.safetensors"
}
edit missing 's/encoder.layer.1.output.dense.bias/encoder.layer.1.output.dense.bIas/'
refused "a missing tensor" 'tensor encoder.layer.1.output.dense.bias is missing' missing
edit layerless 's/encoder.layer.1\./encoder.laxer.1./g'
refused "a missing layer" 'num_hidden_layers is 2 but the tensors .* have 1' layerless
edit farlayer 's/encoder.layer.1.output.dense.bias/encoder.layer.99999.output.d.bias/'
status "a layer of number 99999" 65 vnp-model verify farlayer
edit dtype '0,/"embeddings.word_embeddings.weight":{"dtype":"F32"/s//"embeddings.word_embeddings.weight":{"dtype":"I32"/'
refused "a wrong dtype" 'embeddings.word_embeddings.weight has dtype I32' dtype
edit shape 's/"encoder.layer.0.intermediate.dense.weight":{"dtype":"F32","shape":.64, 16./"encoder.layer.0.intermediate.dense.weight":{"dtype":"F32","shape":[16, 64]/'
refused "a wrong shape" 'intermediate.dense.weight has shape .16, 64., not .64, 16.' shape

config() { # NAME SED-SCRIPT
    rm -rf "$1" && cp -r good "$1"
    sed -i "$2" "$1/config.json"
}
config c 's/"num_attention_heads": 2/"num_attention_heads": 3/'
refused "heads that do not divide" '3 attention heads do not divide the width of 16' c
config c 's/"hidden_size": 16/"hidden_size": 32/'
refused "another width" 'hidden_size is 32 but the tensors .* have 16' c
config c 's/"rotary"/"absolute"/'
refused "learned positions" 'position_embedding_type is absolute' c
config c 's/"emb_layer_norm_before": false/"emb_layer_norm_before": true/'
refused "a LayerNorm before" 'emb_layer_norm_before is set' c
config c 's/"model_type": "esm"/"model_type": "t5"/'
refused "another architecture" 'model_type is t5' c
config c 's/"model_type": "esm"/"model_type": "bert"/'
refused "another architecture than the tensors'" "config.json: model_type is bert, but the tensors in .* are an ESM-2's" c
config c 's/"token_dropout": [a-z]*/"token_dropout": "true"/'
refused "a boolean that is text" 'config.json: token_dropout is neither true nor false' c
config c 's/"emb_layer_norm_before": false/"emb_layer_norm_before": 0/'
refused "a boolean that is a number" 'emb_layer_norm_before is neither true nor false' c
config c 's/"mask_token_id": 32/"mask_token_id": 99/'
refused "a mask outside the vocabulary" 'config.json: mask_token_id is 99, but the vocabulary has only 33 ids' c
config c 's/"hidden_size": 16/"hidden_size": -1/'
refused "a negative width" 'hidden_size is not a number' c
config c 's/"layer_norm_eps": 1e-05/"layer_norm_eps": "x"/'
refused "an eps that is text" 'layer_norm_eps is not a number' c
echo '{"model_type":' >c/config.json
refused "half a config" 'config.json:[0-9]+: not a JSON object' c
rm -rf c && cp -r good c
sed -i 's/^A$/J/' c/vocab.txt
refused "another vocabulary" "vocab.txt:6: 'J' where ESM-2's vocabulary has 'A'" c
rm c/model.safetensors
status "no weights" 66 vnp-model verify c
says "no weights: it says what is looked for" 'no model.safetensors, pytorch_model.bin or an index'
mkdir lone && cp good/model.safetensors lone
check "a lone file: its own notes say the heads" vnp-model verify lone/model.safetensors
sed -i 's/num_attention_heads/num_attention_hands/' lone/model.safetensors
refused "a lone file of no published size" "the number of heads can't be told: add the model's config.json" lone/model.safetensors
cp good/config.json lone
check "with config.json beside it" vnp-model verify lone/model.safetensors

# --- values ---------------------------------------------------------------------------------------------------------
at=$(($(stat -c %s good/model.safetensors) - 8))
rm -rf c && cp -r good c
printf '\0\0\200\177' | dd of=c/model.safetensors bs=1 seek=$at conv=notrunc status=none
refused "an infinity" 'output.dense.bias: 1 values are NaN or infinite, the first at index 14' c
printf '\0\0\300\377' | dd of=c/model.safetensors bs=1 seek=$((at + 4)) conv=notrunc status=none
refused "and a NaN" 'output.dense.bias: 2 values are NaN or infinite, the first at index 14' c

# --- shards ---------------------------------------------------------------------------------------------------------
cp -r "$G/hf-sharded" s
rm s/model.safetensors.index.json
check "shards without an index" vnp-model verify s
mv s/model-00002-of-00003.safetensors away
refused "a missing shard" 'shard model-00002-of-00003.safetensors is missing' s
cp "$G/hf-sharded/model.safetensors.index.json" s
refused "a missing shard of an index" 'index.json: shard model-00002-of-00003.safetensors is missing' s
cp s/model-00001-of-00003.safetensors s/model-00002-of-00003.safetensors
refused "a shard twice" 'is there twice' s
cp "$G/hf-bin/pytorch_model.bin" s/model-00002-of-00003.safetensors
refused "a shard of another kind" 'not the same kind of file' s
cp away s/model-00002-of-00003.safetensors
sed -i 's|model-00001-of-00003|../../../../etc/xx1|' s/model.safetensors.index.json
refused "a shard outside the directory" "not that of a file beside it" s
echo '{"weight_map": {}}' >s/model.safetensors.index.json
refused "an index of nothing" 'no weight_map' s

# --- names and places -----------------------------------------------------------------------------------------------
status "no such model" 66 vnp-model inspect nowhere
status "no model at all" 2 env -u VNP_MODEL vnp-model inspect
check "\$VNP_MODEL" env VNP_MODEL=good vnp-model inspect
mkdir -p hf/hub/models--facebook--esm2_tiny/{refs,snapshots} torch/hub/checkpoints
printf abc123 >hf/hub/models--facebook--esm2_tiny/refs/main
cp -r good hf/hub/models--facebook--esm2_tiny/snapshots/abc123
prints "a bare name in the cache of Hugging Face" '^model  *esm2_tiny$' env HF_HOME=hf vnp-model inspect esm2_tiny
prints "by its owner too" '^model  *esm2_tiny$' env HF_HOME=hf vnp-model inspect facebook/esm2_tiny
mkdir -p hf/hub/models--zhihan1996--DNABERT-S/{refs,snapshots}
printf def456 >hf/hub/models--zhihan1996--DNABERT-S/refs/main
vnp-model synth dnabert-s:1x2x32 -q -o hf/hub/models--zhihan1996--DNABERT-S/snapshots/def456
prints "DNABERT-S by its bare name" '^model  *DNABERT-S$' env HF_HOME=hf vnp-model inspect DNABERT-S
status "an owner without a model" 66 env HF_HOME=hf vnp-model inspect nobody/DNABERT-S
cp "$G/fair-esm.pt" torch/hub/checkpoints/esm2_other.pt
check "a bare name in torch's cache" env HF_HOME=hf TORCH_HOME=torch vnp-model inspect esm2_other
mkfifo fifo
refused "a FIFO" 'not a regular file' fifo
finish
