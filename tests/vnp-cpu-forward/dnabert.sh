#!/usr/bin/env bash
# vnp-cpu-forward with a DNABERT-S: batch invariance, layers, pooling over all tokens, and whose tokens it takes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2
MKSTREAM=$BUILD/tests/stream/tool_mkstream

# tokenizer FILE PAIR...: byte-pair encoding of A C G T, with merges of these pairs.
tokenizer() {
    local file=$1 id=9 pair vocab='"[UNK]":0,"[CLS]":1,"[SEP]":2,"[PAD]":3,"[MASK]":4,"A":5,"C":6,"G":7,"T":8' merges=
    shift
    for pair; do
        vocab=$vocab,'"'${pair/+/}'":'$id
        merges=$merges${merges:+,}'"'${pair/+/ }'"'
        id=$((id + 1))
    done
    local n=0 rest='"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true' added='' name
    for name in UNK CLS SEP PAD MASK; do
        added=$added${added:+,}$(printf '{"id":%d,"content":"[%s]",%s}' $n $name "$rest")
        n=$((n + 1))
    done
    local a='{"Sequence":{"id":"A","type_id":0}}'
    local cls='{"SpecialToken":{"id":"[CLS]","type_id":0}}' sep='{"SpecialToken":{"id":"[SEP]","type_id":0}}'
    cat >"$file" <<EOF
{"version":"1.0","truncation":null,"padding":null,"added_tokens":[$added],"normalizer":null,
 "pre_tokenizer":{"type":"Whitespace"},
 "post_processor":{"type":"TemplateProcessing","single":[$cls,$a,$sep],"pair":[$a,$a],
  "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},
                    "[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
 "decoder":null,
 "model":{"type":"BPE","dropout":null,"unk_token":"[UNK]","continuing_subword_prefix":null,"end_of_word_suffix":null,
  "fuse_unk":false,"vocab":{$vocab},"merges":[$merges]}}
EOF
}

vnp-model synth dnabert-s:3x3x48 --seed 4 -q -o bare || exit 2
cp -r bare model
tokenizer model/tokenizer.json A+A C+G AA+T T+T CG+CG
export VNP_MODEL=$PWD/model

# DNA of every seventh length to 200, some longer, and an empty record.
awk 'function dna(n, s) { for (s = ""; n > 0; n--) s = s substr("ACGT", int(rand() * 4) + 1, 1); return s }
    BEGIN { srand(11); for (i = 1; i <= 200; i += 7) print ">d" i "\n" dna(i)
            split("511 513 1100", long); for (i in long) print ">long" long[i] "\n" dna(long[i])
            print ">empty\n" }' >in.fa
awk 'BEGIN { RS = ">"; ORS = "" } NR > 1 { r[NR - 1] = ">" $0 }
    END { n = NR - 1; for (i = 1; i <= n; i++) print r[(i * 31) % n + 1] }' in.fa >shuffled.fa
rows() { vnp-cpu-forward -q "$@" | vnp-cat --json | sed 's/"ordinal":[0-9]*,//' | sort; }
tokens() { vnp-fasta2tok -q --tokenizer model/tokenizer.json "$@" 2>/dev/null; }

# --- the same bytes, whatever comes with them ------------------------------------------------------------------------
tokens in.fa | vnp-pack -q --no-packing | rows >alone
check 'every record came out' [ "$(wc -l <alone)" = "$(grep -c '>' in.fa)" ]
for budget in 64 1000 16384; do
    tokens in.fa | vnp-pack -q -b $budget | rows >packed
    same "packed into batches of $budget tokens" alone packed
done
tokens shuffled.fa | vnp-pack -q -b 2048 | rows >packed
same 'shuffled' alone packed
tokens in.fa | vnp-pack -q -b 4096 >batches
for threads in 1 3; do
    rows --threads $threads <batches >packed
    same "$threads threads" alone packed
done

# Ids over the whole vocabulary; and 8200 tokens, beyond which attention takes fewer queries at a time.
awk 'BEGIN { srand(7); print "vocab bpe-4096-01234567 4096 2"; print "head batches 0 - - 0 -"
    n = split("1 2 61 126 127 254", size)
    for (i = 1; i <= n; i++) {
        printf "row %d s%d %d 0", i - 1, size[i], size[i]
        for (j = 0; j < size[i] + 2; j++) printf " %d", int(rand() * 4096)
        print ""
    } }' >wide.txt
{
    cat wide.txt
    awk 'BEGIN { printf "row 6 giant 8200 0"; for (j = 0; j < 8202; j++) printf " %d", j % 4096; print "" }'
} >giant.txt
alone() { awk '/^row/ { print; print "block"; next } { print }' "$1" | "$MKSTREAM"; }
"$MKSTREAM" <wide.txt >wide
alone wide.txt | rows -m bare >one
rows -m bare <wide >packed
check 'wide ids came through' [ "$(wc -l <one)" = 6 ]
same 'ids of two bytes' one packed
alone giant.txt | rows -m bare --layer 1 >one
"$MKSTREAM" <giant.txt | rows -m bare --layer 1 >packed
check 'so did the giant' grep -q '"id":"giant"' one
same '8202 tokens among others' one packed

# --- layers, dtypes ---------------------------------------------------------------------------------------------------
rows --layer 3 <batches >layer
same 'layer 3 of 3 is the default' layer alone
rows --layer 0 <batches >zero
rows --layer -4 <batches >layer
same 'layer -4 of 3 is the embedding' layer zero
rows --layer 2 <batches >two
differ 'layers 2 and 3 differ' two alone
differ 'layers 0 and 2 differ' zero two
for dtype in f16 bf16; do
    vnp-model synth dnabert-s:1x2x32 --dtype $dtype -q -o m.$dtype
    vnp-model convert m.$dtype --dtype f32 -q -o m.$dtype.f32
    rows -m m.$dtype <wide >narrow
    rows -m m.$dtype.f32 <wide >same
    same "$dtype weights: as the same numbers in FP32" narrow same
    check 'and they are all there' [ "$(wc -l <narrow)" = 6 ]
done

# --- pooling ----------------------------------------------------------------------------------------------------------
for pool in mean max; do
    vnp-cpu-forward -q batches | vnp-pool -q --$pool --all-tokens | vnp-cat --json >after
    vnp-cpu-forward -q --pool $pool --all-tokens batches >pooled
    vnp-pool -q pooled | vnp-cat --json >before
    same "--pool $pool --all-tokens is what vnp-pool --$pool --all-tokens makes" before after
    vnp-pool -q --$pool --all-tokens pooled | vnp-cat --json >before
    same "and vnp-pool --$pool --all-tokens passes it on" before after
    vnp-cpu-forward -q --pool $pool batches | vnp-pool -q | vnp-cat --json >residues
    differ "which is not the $pool over the residues' tokens" residues after
done
vnp-cpu-forward -q --pool mean batches >pooled
status 'what was pooled without the special tokens is not all tokens' 65 vnp-pool --all-tokens -o out pooled
says 'with the way out' 'pooled before \(mean\).*--all-tokens'
vnp-cpu-forward -q --pool cls batches | vnp-pool -q | vnp-cat --json >before
vnp-cpu-forward -q batches | vnp-pool -q --cls | vnp-cat --json >after
same '--pool cls' before after
status '--all-tokens without --pool' 2 vnp-cpu-forward --all-tokens -o out batches
status '--all-tokens with --pool cls' 2 vnp-cpu-forward --pool cls --all-tokens -o out batches
says 'says with what' '--all-tokens goes with --pool mean or max'

tokenizer plain.json A+A C+G AA+T T+T CG+CG
cp -r bare plain
sed '/"post_processor"/,/"decoder"/c "post_processor":null,"decoder":null,' plain.json >plain/tokenizer.json
printf '>a\nA\n>b\n\n>c\nACGTTTAA\n' | vnp-fasta2tok -q --tokenizer plain/tokenizer.json 2>/dev/null | vnp-pack -q >none
check 'without special tokens' vnp-cpu-forward -q -m plain --pool mean -o pooled none
status 'there is no first one' 65 vnp-cpu-forward -q -m plain --pool cls -o out none
says 'which is said' '^vnp-cpu-forward: none: --pool cls wants a first special token, and vocabulary bpe-14-.* has none'

# --- whose tokens -----------------------------------------------------------------------------------------------------
refused() { # refused NAME MODEL BATCHES PATTERN
    status "$1" 65 vnp-cpu-forward -m "$2" -o out "$3"
    says 'says whose' "$4"
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
}
vnp-model synth 1x2x32 -q -o esm
vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q >proteins
refused 'proteins for a DNABERT-S' model proteins \
    'vocabulary esm2 \(33 ids\), but model is a DNABERT-S .*--tokenizer model/tokenizer.json'
refused 'proteins for one without a tokenizer' bare proteins 'a DNABERT-S with 4096 ids: .*tokenizer.json published'
refused 'DNA for an ESM-2' esm batches 'vocabulary bpe-14-[0-9a-f]{8} \(14 ids\), but esm is an ESM-2'
refused 'a vocabulary of another size, and no tokenizer to ask' bare batches 'bpe-14-[0-9a-f]{8} \(14 ids\), but bare'
tokenizer other.json A+A C+G AA+T T+T CG+A
vnp-fasta2tok -q --tokenizer other.json in.fa 2>/dev/null | vnp-pack -q >others
refused 'a file of weights, with its tokenizer beside it' model/model.safetensors others 'vocabulary bpe-14-[0-9a-f]{8} '
check 'vnp-model convert' vnp-model convert -q model --dtype f16 -o half
same 'takes the tokenizer along' model/tokenizer.json half/tokenizer.json
refused 'another tokenizer of the same size' model others 'bpe-14-[0-9a-f]{8} .*model/tokenizer.json'
name=$(vnp-cat --summary batches | grep -o 'bpe-14-[0-9a-f]*' | head -n 1)
printf 'vocab %s 65536 2\nhead batches 0 - - 0 -\nrow 0 a 1 0 1 60000 2\n' "$name" | "$MKSTREAM" >forged
refused 'a larger vocabulary under the same name' model forged '65536 ids'
cp -r bare broken
head -c 300 model/tokenizer.json >broken/tokenizer.json
refused 'a damaged tokenizer beside the model' broken batches 'broken/tokenizer.json'
check 'no output file was left by any of these' [ ! -e out ]
finish
