#!/usr/bin/env bash
# vnp-predict, all or nothing: bad input gets one line and the right status, and leaves nothing; signals; stages that die.
. "$(dirname "$0")/../lib.sh"
once 'bad input' # each stage has its own tests of that
mkdir "$T/work" && cd "$T/work" || exit 2
cp "$ROOT/tests/data/contigs.fa" .
vnp-model synth 2x2x32 -q -o esm
vnp-model synth dnabert-s:2x2x32 -q -o dnabert
vnp-model synth classifier:64 -q -o classifier
vnp-model synth classifier:65 -q -o other
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
awk 'BEGIN { printf "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[1],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[2],\"tokens\":[\"[SEP]\"]}}},\"decoder\":null,\"model\":{\"type\":\"BPE\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2"
    split("A C G T", l, " "); n = 3
    for (i = 1; i <= 4; i++) printf ",\"%s\":%d", l[i], n++
    for (; n < 5000; n++) printf ",\"A%d\":%d", n, n
    print "},\"merges\":[]}}" }' >large.json
predict() { vnp-predict --device cpu --esm esm --dnabert dnabert --classifier classifier "$@"; }

refuses() { # NAME STATUS PATTERN COMMAND...: one line, nothing written
    local name=$1 want=$2 pattern=$3
    shift 3
    status "$name: exit $want" "$want" "$@"
    says "$name: says why" "$pattern"
    check "$name: one line" [ "$(wc -l <"$T/err")" = 1 ]
    check "$name: nothing is left" [ ! -e out ]
}
refuses 'proteins' 65 '^vnp-orf: .*letters are no nucleotides' predict -o out "$PROTEINS"
refuses 'proteins on stdin' 65 '^vnp-orf: .*letters are no nucleotides' predict -o out <"$PROTEINS"
status 'a number that the shell would take for octal' 2 predict -l 0500 -o out contigs.fa
says 'is none' '^vnp-predict: --length: not a number from 3 to 1000000: 0500'
refuses 'models swapped' 65 '^vnp-predict: --esm: dnabert is a DNABERT-S model' \
    vnp-predict -d cpu --esm dnabert --dnabert esm --classifier classifier -o out contigs.fa
refuses 'ESM-2 twice' 65 '^vnp-predict: --dnabert: esm is an ESM-2 model' \
    vnp-predict -d cpu --esm esm --dnabert esm --classifier classifier -o out contigs.fa
refuses 'a model as the classifier' 65 '^vnp-predict: --classifier: esm is an ESM-2 model' \
    vnp-predict -d cpu --esm esm --dnabert dnabert --classifier esm -o out contigs.fa
refuses 'a classifier as a model' 65 '^vnp-predict: --esm: classifier is a classifier' \
    vnp-predict -d cpu --esm classifier --dnabert dnabert --classifier classifier -o out contigs.fa
refuses 'a classifier of another width' 65 '^vnp-predict: --classifier: other takes 65 values, but DNABERT-S gives 32 and ESM-2 32' \
    vnp-predict -d cpu --esm esm --dnabert dnabert --classifier other -o out contigs.fa
refuses 'a malicious classifier' 65 '^vnp-predict: --classifier: .*evil' vnp-predict -d cpu --esm esm --dnabert dnabert \
    --classifier "$ROOT/tests/golden/classifier/evil.pth" -o out contigs.fa
refuses 'a tokenizer of another vocabulary' 65 '^vnp-cpu-forward: .*5000 ids' predict --tokenizer large.json -o out contigs.fa
refuses 'a file that is no tokenizer' 65 '^vnp-fasta2tok: contigs.fa' predict --tokenizer contigs.fa -o out contigs.fa
cp -r esm nan && printf '\0\0\300\177' | dd of=nan/model.safetensors bs=1 seek=$(($(stat -c %s nan/model.safetensors) - 4)) conv=notrunc status=none
status 'a model with NaN' 65 vnp-predict -q -d cpu --esm nan --dnabert dnabert --classifier classifier -o nan.out contigs.fa
says 'is named, with what can be done' 'NaN or Inf from layer 2 of nan, in FP32: look at the model with vnp-model verify; with --on-nonfinite=keep this stage and vnp-embed '
mkdir bare && cp dnabert/config.json dnabert/model.safetensors bare
refuses 'DNABERT-S without its tokenizer' 66 '^vnp-predict: bare: no tokenizer.json' \
    vnp-predict -d cpu --esm esm --dnabert bare --classifier classifier -o out contigs.fa
refuses 'a missing model' 66 '^vnp-predict: --esm: nowhere' \
    vnp-predict -d cpu --esm nowhere --dnabert dnabert --classifier classifier -o out contigs.fa
refuses 'missing contigs' 66 '^vnp-predict: missing.fa: no such file' predict -o out missing.fa
: >empty.fa
refuses 'an empty file' 65 '^vnp-orf: empty.fa: no records' predict -o out empty.fa
refuses 'empty stdin' 65 '^vnp-orf: stdin: no records' predict -o out <empty.fa
{ cat contigs.fa && printf '>late\nACGT\0ACGT\n'; } >nul.fa
refuses 'a NUL byte at the end' 65 '^vnp-orf: nul.fa:.*NUL' predict -o out nul.fa
gzip -c contigs.fa | head -c 1000 >cut.fa.gz
refuses 'gzip cut short' 65 '^vnp-orf: cut.fa.gz' predict -o out cut.fa.gz
refuses 'contigs of one name' 65 '^vnp-orf: contigs.fa:.*has the id of record 1' predict -o out contigs.fa contigs.fa
refuses 'a folder in no folder' 73 'nowhere/out' predict -o nowhere/out contigs.fa
refuses 'a file as output folder' 73 '^vnp-predict: contigs.fa: is not a directory' predict -o contigs.fa contigs.fa
refuses 'FP16 on the CPU' 2 '^vnp-predict: --fp16 needs a GPU' predict --fp16 -o out contigs.fa
if vnp-gpu-forward --probe >/dev/null 2>&1; then
    skip 'a GPU that is not there' 'it is'
else
    status 'a GPU that is not there' 69 vnp-predict -d gpu --esm esm --dnabert dnabert --classifier classifier -o out contigs.fa
fi
status 'no classifier' 2 vnp-predict -d cpu --esm esm --dnabert dnabert -o out contigs.fa
status 'no output' 2 predict contigs.fa
refuses 'stdout as output' 2 '^vnp-predict: -o -: is stdout, and a directory is wanted' predict -o - contigs.fa
status 'a length that is no number' 2 predict -l 5oo -o out contigs.fa
status 'a budget too small' 2 predict -b 2 -o out contigs.fa
status 'a share above 1' 2 predict --min-viral 2 -o out contigs.fa
check 'nothing is begun' [ ! -e out.run ]

# Contigs without an open frame are no error.
printf '>closed\n%s\n' "$(printf 'TAGCTAACTGACTTAGCTAGTTAATCAGTCATGCTA%.0s' 1 2 3 4 5 6 7 8)" >closed.fa
check 'no open frame anywhere' predict -o closed closed.fa
says 'is said' '^vnp-orf: warning: no open frame in all the input'
says 'and counted' '^vnp-predict: 1 contig, 0 viral \(0.0%\); 1 chunk of 500 letters, 0 with an open frame, 0 viral; 0 frames'
check 'the tables have their headers alone' [ "$(cat closed/* | wc -l)" = 3 ]
ln -s made link
check 'a link to no folder yet' predict -q -o link closed.fa
check 'is followed' diff -r closed made

# Older results stay when a run fails, and go when it succeeds.
check 'one that keeps' predict -q --keep -o kept contigs.fa
status 'a result of the same name as the input' 2 predict -q --keep -o kept kept/open_frames.fna
says 'is named' '^vnp-predict: kept/open_frames.fna: is both input and output$'
cp kept/open_frames.fna frames.fna
status 'through <' 2 predict -q --keep -o kept <kept/open_frames.fna
same 'it stays' frames.fna kept/open_frames.fna
cp kept/chunks.tsv list
status 'the list of hosts as a result' 2 predict -q --keep --hosts kept/chunks.tsv -o kept contigs.fa
says 'is named' '^vnp-predict: kept/chunks.tsv: is both input and output$'
mkdir mixed && cp esm/config.json mixed/ && cp esm/model.safetensors mixed/prediction_results.txt
status 'a model' 2 vnp-predict -q -d cpu --esm mixed/prediction_results.txt --dnabert dnabert --classifier classifier -o mixed contigs.fa
says 'is named' '^vnp-predict: .*mixed/prediction_results.txt: is both input and output$'
same 'the list is untouched' list kept/chunks.tsv
same 'and the model' esm/model.safetensors mixed/prediction_results.txt
status 'a result as log' 2 predict -q --log-json kept/prediction_results.txt -o kept contigs.fa
says 'is named' '^vnp-predict: kept/prediction_results.txt: is both output and the file of --log-json$'
status 'the tokenizer as log' 2 predict -q --log-json dnabert/tokenizer.json -o out contigs.fa
says 'is named' '^vnp-predict: --log-json: dnabert/tokenizer.json: is a file of another kind, and not added to$'
check 'a run' predict -q -o results contigs.fa
check '-q says nothing' [ ! -s "$T/err" ]
cp -r results before
status 'a run that fails' 65 predict -o results nul.fa
check 'leaves the older results alone' diff -r results before
check 'a run into the same folder' predict -q -l 300 -o results contigs.fa
differ 'replaces them' results/prediction_results.txt before/prediction_results.txt
check 'and leaves nothing else there' [ "$(find results -mindepth 1 | wc -l)" = 3 ]

# A folder under the name of a table is seen before anything is run.
for file in prediction_results.txt prediction_results_viral.gff open_frames.faa; do
    rm -rf taken && cp -r results taken && rm -f "taken/$file" && mkdir "taken/$file" && rm -rf before && cp -r taken before
    status "a folder called $file" 73 predict --keep -o taken contigs.fa
    says 'is named' "^vnp-predict: taken/$file: is a directory, and a result is to have that name: "
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
    check 'and nothing is replaced' diff -r before taken
done
check 'a name that no result of this run has' predict -q -o taken contigs.fa

# What --keep and --gff add.
check '--keep and --gff' predict -q --keep --gff -o kept contigs.fa
vnp-orf -q contigs.fa --nucleotides n.fa --proteins p.fa --chunks c.tsv
same '--keep: the nucleotides' n.fa kept/open_frames.fna
same '--keep: the proteins' p.fa kept/open_frames.faa
same '--keep: the chunks' c.tsv kept/chunks.tsv
check 'a run that was begun without --keep' predict -q --prepare -o late contigs.fa
check 'goes on with it' predict -q --keep -o late contigs.fa
check 'and keeps the same' diff <(cat kept/open_frames.f?a kept/chunks.tsv) <(cat late/open_frames.f?a late/chunks.tsv)
refused() { # refused NAME WHAT COMMAND...: in one line, because the run was begun with another
    status "$1" 2 "${@:3}"
    says 'is named, with the way out' "^vnp-predict: late.run: was begun with another $2 than this: .*--restart"
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
}
sed 's/,"[^"]* [^"]*"\]/]/' dnabert/tokenizer.json >fewer.json # merges
with() { predict -q --dnabert bare --tokenizer "$@" -o late contigs.fa; }
check 'a run that was begun' with dnabert --prepare
refused 'and is to go on with shorter chunks' --length with dnabert -l 300
refused 'with another tokenizer' --tokenizer with fewer.json
check 'with the same under another name' with dnabert/tokenizer.json
if command -v vnp-gpu-forward >/dev/null; then
    check 'a run that was begun for a GPU' predict -q -d gpu --prepare --restart -o late contigs.fa
    refused 'and is to go on without one' device predict -q -d cpu -o late contigs.fa
else
    skip 'a run that was begun for a GPU' 'this build has no GPU stage'
fi
check '--gff without --keep' predict -q --gff -o gff contigs.fa
same 'gives the same' kept/prediction_results_viral.gff gff/prediction_results_viral.gff
check '--gff names viral stretches' grep -q viral_sequence gff/prediction_results_viral.gff
check 'and leaves no table of chunks' [ ! -e gff/chunks.tsv ]
check 'other results in the same folder' predict -q -o gff contigs.fa
check 'an older GFF is not among them' [ "$(find gff -mindepth 1 | wc -l)" = 3 ]
check 'names that begin with a dash' sh -c 'cp contigs.fa ./-c.fa'
check 'are no options' predict -q -o ./-out -- -c.fa
check 'names with spaces' sh -c 'cp contigs.fa "a b.fa" && cp -r dnabert "d b"'
check 'are one word' vnp-predict -q -d cpu --esm esm --dnabert 'd b' --classifier classifier -o 'o b' 'a b.fa'
check '-v: what the stages say' predict -v -o talk contigs.fa
for stage in orf fasta2tok pack cpu-forward pool merge classify; do says "-v: vnp-$stage" "^vnp-$stage: [0-9]"; done
finish
