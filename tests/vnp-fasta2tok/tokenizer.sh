#!/usr/bin/env bash
# --tokenizer: what the stream says of a tokenizer.json, rows and windows in letters, messages, and what is refused.
. "$(dirname "$0")/../lib.sh"
golden=$ROOT/tests/golden/tokenizers
dna=$golden/dna4096.json
cd "$T" || exit 2

tokens() { vnp-fasta2tok -q "$@" | vnp-cat --json | sed 's/.*"tokens":\[\([0-9,]*\)\].*/\1/'; }
field() { vnp-cat --summary --json "$1" | grep -o "\"$2\":[^,}]*" | head -n 1; }

# Rows of expected.tsv through the whole stage: record 29 and the mixed case one.
wanted() { awk -F '\t' -v t="$1" -v r="$2" '$1 == t && $2 == r { print $5 }' "$golden/expected.tsv"; }
for name in dna4096 dna1024 dna300 protein800 odd3; do
    tokens --tokenizer "$golden/$name.json" "$golden/seqs.fa" >got
    for r in 0 4 6 10 29; do
        check "$name, record $r" [ "$(sed -n "$((r + 1))p" got)" = "$(wanted $name $r)" ]
    done
done

# The same text, whatever its case and its lines; the same tokenizer, whatever its place.
printf '>a\nACGTNACCGATTACAGATTACA\n' >upper.fa
printf '>a\nacgtnaCCga\nttacaGA TTaca\r\n' >lower.fa
check 'case and lines make no difference' [ "$(tokens --tokenizer "$dna" upper.fa)" = "$(tokens --tokenizer "$dna" lower.fa)" ]
mkdir model && cp "$dna" model/tokenizer.json
vnp-fasta2tok -q --tokenizer "$dna" upper.fa >a.tok
vnp-fasta2tok -q --tokenizer model upper.fa >b.tok
same 'a file, and the directory that holds it' a.tok b.tok
tr -d '\n' <"$dna" | sed 's/,/ , /g' >spaced.json
vnp-fasta2tok -q --tokenizer spaced.json upper.fa >b.tok
same 'another layout of the same file' a.tok b.tok
vnp-fasta2tok -q --tokenizer esm2 upper.fa >a.tok
vnp-fasta2tok -q upper.fa >b.tok
same 'esm2 is the default' a.tok b.tok

# The head names the tokenizer by content.
vnp-fasta2tok -q --tokenizer "$dna" -o a.tok upper.fa
check 'the vocabulary goes by size and content' sh -c "vnp-cat --summary a.tok | grep -Eq 'vocabulary +bpe-4096-[0-9a-f]{8}, 4096 ids'"
sed 's/"pre_tokenizer":{"type":"Whitespace"}/"pre_tokenizer":null/' "$dna" >other.json
vnp-fasta2tok -q --tokenizer other.json -o b.tok upper.fa
check 'another pre-tokenizer, another name' [ "$(field a.tok vocab)" != "$(field b.tok vocab)" ]
check 'the stream is whole' vnp-cat --check a.tok

# Lengths are letters, not tokens.
vnp-fasta2tok -q --tokenizer "$dna" upper.fa | vnp-cat --json >row
check 'length in letters' grep -q '"length":22,' row
vnp-fasta2tok -q --tokenizer "$dna" --max-len 10 upper.fa | vnp-cat --json >row
check '--max-len counts letters' grep -q '"length":10,"total":22' row
printf '>a\nACGTNACCGA\n' >ten.fa
check '--max-len cuts before it tokenizes' [ "$(tokens --tokenizer "$dna" --max-len 10 upper.fa)" = "$(tokens --tokenizer "$dna" ten.fa)" ]
tokens --tokenizer "$dna" --window 10 --overlap 4 upper.fa >got
printf '>1\nACGTNACCGA\n>2\nCCGATTACAG\n>3\nACAGATTACA\n' >windows.fa
tokens --tokenizer "$dna" windows.fa >want
same 'a window is tokenized alone' want got
check 'packing takes its frames' sh -c "vnp-fasta2tok -q --tokenizer '$dna' '$golden/seqs.fa' | vnp-pack -q -b 4096 | vnp-cat --check"

# Letters outside the vocabulary, and nothing at all.
printf '>a\nACRRNT\n>b\n' >odd.fa
check 'unknown letters and an empty record' vnp-fasta2tok --tokenizer "$dna" -o a.tok odd.fa
says 'the unknown token by its name' '3 letters outside the alphabet became \[UNK\]: R \(2\), N \(1\); the first in odd.fa:1: record 1 \(a\)'
says 'an empty record by its tokens' '1 empty record became \[CLS\]\[SEP\]'
check 'no unknown token' vnp-fasta2tok --tokenizer "$golden/dna300.json" -o a.tok odd.fa
says 'letters are left out' '3 letters outside the alphabet were left out: R \(2\), N \(1\)'
printf '>a\nACGTNACRRTTACAGATTACAN\n' >odd.fa
for name in dna4096 dna300; do
    check "$name: windows that overlap" vnp-fasta2tok --tokenizer "$golden/$name.json" --window 6 --overlap 5 -o a.tok odd.fa
    says "$name: a letter is counted once" ' 4 letters outside the alphabet .*: N \(2\), R \(2\); the first'
done

refuses() { # NAME STATUS PATTERN PATH: one line, no file
    status "$1: exit $2" "$2" vnp-fasta2tok -o out.tok --tokenizer "$4" upper.fa
    says "$1: says why" "^vnp-fasta2tok: $3\$"
    check "$1: one line" [ "$(wc -l <"$T/err")" = 1 ]
    check "$1: no file" [ ! -e out.tok ]
}
edit() { # SED-SCRIPT: a small tokenizer, changed, into bad.json
    sed "$1" >bad.json <<'EOF'
{"version":"1.0","truncation":null,"padding":null,
"added_tokens":[{"id":0,"content":"[UNK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},
"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]}}},
"decoder":null,
"model":{"type":"BPE","dropout":null,"unk_token":"[UNK]","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,
"vocab":{"[UNK]":0,"[CLS]":1,"A":2,"C":3,"AC":4,"CA":5,"ACA":6},
"merges":["A C",["C","A"],"AC A"]}}
EOF
}
edit '' && check 'the file that the next ones are made of' [ "$(printf '>a\nACACANCA\n' >x.fa && tokens --tokenizer bad.json x.fa)" = 1,4,6,0,5 ]
bad() { # NAME SED-SCRIPT PATTERN
    edit "$2"
    refuses "$1" 65 "bad.json: $3" bad.json
}
bad 'another model' 's/"BPE"/"WordPiece"/' 'model.type is WordPiece: only BPE \(byte-pair encoding\) is supported'
bad 'no model' 's/"model"/"modal"/' 'model is missing'
bad 'no vocabulary' 's/"vocab"/"words"/' 'model.vocab is missing'
bad 'merges that are no list' 's/"merges":.*/"merges":7}}/' 'model.merges is a whole number, not an array'
bad 'a merge of an unknown token' 's/"A C"/"A G"/' 'model.merges: merge 0: "G" is not in the vocabulary'
bad 'a merge into an unknown token' 's/"AC A"/"AC AC"/' 'model.merges: merge 2: "ACAC" is not in the vocabulary'
bad 'a merge of three' 's/"A C"/"A C A"/' 'model.merges: merge 0 is neither .*'
bad 'a merge with nothing' 's/"A C"/" A"/' 'model.merges: merge 0 is neither .*'
bad 'a merge of the unknown token' 's/"AC A"/"[UNK] A"/; s/"ACA"/"[UNK]A"/' 'model.merges: merge 2 joins the unknown token: .*'
bad 'an id twice' 's/"CA":5/"CA":4/' 'model.vocab: id 4 is given to two tokens, .*'
bad 'a negative id' 's/"CA":5/"CA":-5/' 'model.vocab: the id of "CA" is not a whole number from 0 to 65534'
bad 'an id too large' 's/"CA":5/"CA":65535/' 'model.vocab: the id of "CA" is not a whole number from 0 to 65534'
bad 'an id that is no number' 's/"CA":5/"CA":"5"/' 'model.vocab: the id of "CA" is not .*'
bad 'a token twice' 's/"CA":5/"CA":5,"CA":5/' 'not JSON: line 7: duplicate object key.*'
bad 'no unknown token in the vocabulary' 's/"unk_token":"\[UNK\]"/"unk_token":"<unk>"/' 'model.unk_token "<unk>" is not in the vocabulary'
bad 'dropout' 's/"dropout":null/"dropout":0.1/' 'model.dropout is not null: its tokens would be random'
bad 'a prefix of subwords' 's/_prefix":null/_prefix":"##"/' 'model.continuing_subword_prefix "##" is not supported'
bad 'a suffix of words' 's/_suffix":null/_suffix":"<\/w>"/' 'model.end_of_word_suffix "</w>" is not supported'
bad 'bytes for unknown letters' 's/"fuse_unk":false/"byte_fallback":true/' 'model.byte_fallback is not supported'
bad 'a flag that is none' 's/"fuse_unk":false/"fuse_unk":0/' 'model.fuse_unk is a whole number, not true or false'
bad 'an unknown normalizer' 's/"normalizer":null/"normalizer":{"type":"Replace"}/' 'the normalizer Replace is not supported'
bad 'an unknown pre-tokenizer' 's/"Whitespace"/"ByteLevel"/' 'the pre-tokenizer ByteLevel is not supported'
bad 'an unknown one in a sequence' 's/{"type":"Whitespace"}/{"type":"Sequence","pretokenizers":[{"type":"Split"}]}/' 'the pre-tokenizer Split is not supported'
bad 'an unknown post-processor' 's/"TemplateProcessing"/"ByteLevel"/' 'the post-processor ByteLevel is not supported'
bad 'a template without a place' 's/,{"Sequence":{"id":"A","type_id":0}}//' 'post_processor.single: it has no place for the sequence'
bad 'a template of two sequences' 's/"Sequence":{"id":"A"/"Sequence":{"id":"B"/' 'post_processor.single: it holds more than the sequence A, once'
bad 'a template with an unknown token' 's/"single":\[{"SpecialToken":{"id":"\[CLS\]"/"single":[{"SpecialToken":{"id":"<s>"/' 'post_processor.special_tokens does not hold "<s>"'
bad 'a special id out of range' 's/"ids":\[1\]/"ids":[7]/' 'post_processor: the id of a special token is not a whole number from 0 to 6'
bad 'an added token with another id' 's/{"id":0,"content":"\[UNK\]"/{"id":3,"content":"[UNK]"/' 'added_tokens: "\[UNK\]" has the id 3, which should be 0'
bad 'an added token beyond the vocabulary' 's/{"id":0,"content":"\[UNK\]"/{"id":9,"content":"[NEW]"/' 'added_tokens: "\[NEW\]" has the id 9, which should be 7'
bad 'an added token that is a word' 's/"single_word":false/"single_word":true/' 'added_tokens: single_word of "\[UNK\]" is not supported'
bad 'another version' 's/"version":"1.0"/"version":"2.0"/' 'version 2.0 of the format; this program reads 1.0'
printf '[1]\n' >bad.json && refuses 'a list' 65 'bad.json: not a tokenizer: the file holds an array, not an object' bad.json
printf '{"a":' >bad.json && refuses 'cut short' 65 'bad.json: not JSON: line 1: .*' bad.json
: >bad.json && refuses 'empty' 65 'bad.json: the file is empty' bad.json
head -c 100000 /dev/zero | tr '\0' '[' >bad.json && refuses 'deep' 65 'bad.json: not JSON: line 1: maximum parsing depth reached.*' bad.json
mkdir none && refuses 'a directory without one' 66 'none: no tokenizer.json in it \(ESM-2 needs none: --tokenizer esm2\)' none
refuses 'no such file' 66 'nowhere.json: No such file or directory' nowhere.json
bash -c 'vnp-fasta2tok -q --tokenizer nowhere.json upper.fa 2>/dev/null | vnp-pack -b 64 >/dev/null' 2>pack.err
check 'the next stage learns the cause' grep -q 'vnp-fasta2tok: nowhere.json: No such file' pack.err
finish
