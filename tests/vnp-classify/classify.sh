#!/usr/bin/env bash
# vnp-classify as people run it: the golden classifiers, its tables beside VirNucPro's, JSON, GFF, and what is refused.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
G=$ROOT/tests/golden/classifier
embeddings() { "$BUILD/tests/vnp-classify/tool_embeddings" "$@"; }
mk() { "$BUILD/tests/stream/tool_mkstream" >"$1"; }
embeddings 48 <"$G/small.ids" >rows

status 'classifies' 0 vnp-classify --model "$G/zip.pth" -o res rows
says 'says what it found' '^vnp-classify: 48 frames, [0-9]+ viral; [0-9]+ chunks, [0-9]+ viral; [0-9]+ contigs, [0-9]+ viral$'
same 'the table of chunks is what pandas writes' res/prediction_results_highestscore.csv "$G/small-highest.csv"
cut -f 1,2 "$G/small.txt" >want
cut -f 1,2 res/prediction_results.txt >have
same 'ids and predictions are what VirNucPro writes' have want
check 'scores are within PyTorch'\''s rounding of PyTorch'\''s' sh -c "paste res/prediction_results.txt '$G/small.txt' | awk '
    NR > 1 { for (i = 3; i <= 4; i++) { d = \$i - \$(i + 4); if (!(d * d <= (2e-6 * \$i) ^ 2)) bad++ } n++ }
    END { exit bad || n != 48 }'"
check 'no other files' test "$(find res -type f | wc -l)" = 3
cp -r res first
for file in legacy.pth old.pth state.pth state-legacy.pth checkpoint.pth zip-protocol4.pth state.safetensors; do
    rm -rf res
    status "$file" 0 vnp-classify -q --threads 3 --model "$G/$file" -o res rows
    check "$file: the same bytes" diff -r res first
done
check '-q says nothing' test ! -s err
vnp-model convert -q "$G/eps.pth" -o converted
status 'another eps' 0 vnp-classify -q --model "$G/eps.pth" --json rows
cp out eps
status 'converted to safetensors' 0 vnp-classify -q --model converted --json rows
same 'converted to safetensors: eps is kept' out eps
status 'stdin, into a folder that is there' 0 sh -c "vnp-classify -q --model '$G/zip.pth' -o res <rows"
check 'replaces what was there' diff -r res first
status '--max-scores' 0 vnp-classify -q --model "$G/zip.pth" -o res --max-scores rows
check '--max-scores: two columns more' sh -c "awk -F '\t' 'NF != 4 { exit 1 }' res/prediction_results_highestscore.csv"
check '--max-scores: the others as before' sh -c 'cut -f 1,2 res/prediction_results_highestscore.csv | cmp - first/prediction_results_highestscore.csv'

# JSON says what the tables say.
status '--json' 0 vnp-classify -q --model "$G/zip.pth" --json rows
cp out json
sed -n 's/^{"sequence":"\(.*\)","prediction":"\(.*\)","score1":\(.*\),"score2":\(.*\)}$/\1\t\2\t\3\t\4/p' json >have
tail -n +2 first/prediction_results.txt | sed 's/"/\\"/g' >want
same '--json: frames' have want
sed -n 's/^{"contig":"\(.*\)","chunks":\([0-9]*\),"viral_chunks":\([0-9]*\),"mean_score":\(.*\),"max_score":\(.*\),"verdict":"\(.*\)"}$/\1\t\2\t\3\t\4\t\5\t\6/p' json >have
tail -n +2 first/prediction_results_contigs.tsv | sed 's/"/\\"/g' >want
same '--json: contigs' have want
check '--json: as many chunks' test "$(grep -c '^{"chunk":' json)" = "$(($(wc -l <first/prediction_results_highestscore.csv) - 1))"
check '--json: a summary ends it' sh -c 'tail -n 1 json | grep -q "^{\"summary\":{\"frames\":48,"'
check 'contigs are sorted' sh -c "cut -f 1 first/prediction_results_contigs.tsv | tail -n +2 | LC_ALL=C sort -c"
status 'both' 0 vnp-classify -q --model "$G/zip.pth" --json -o res rows
same 'both: the same JSON' out json
check 'both: the same tables' diff -r res first

# Where the viral stretches are.
awk 'BEGIN { OFS = "\t"; print "chunk_id", "contig", "start", "end" }
     { sub(/..$/, ""); if ($0 != last) { c = $0; sub(/_chunk_[0-9]*$/, "", c); k = $0; sub(/.*_chunk_/, "", k); print $0, c, (k - 1) * 450, k * 450 + 50 } last = $0 }' \
    "$G/small.ids" >chunks.tsv
gzip -k chunks.tsv
for chunks in chunks.tsv chunks.tsv.gz; do
    status "--gff with $chunks" 0 vnp-classify -q --model "$G/zip.pth" -o res --gff --chunks $chunks rows
    cp res/prediction_results_viral.gff $chunks.gff
done
same '--gff: plain and gzip alike' chunks.tsv.gff chunks.tsv.gz.gff
awk -F '\t' 'NR > 1 && $2 == "True"' res/prediction_results_highestscore.csv | wc -l >want
awk -F '\t' '!/^#/ { split($9, a, /[=;]/); n += a[4]; if ($5 - $4 + 1 != a[4] * 450 + 50) bad = 1 } END { print bad ? "lengths" : n }' chunks.tsv.gff >have
same '--gff: every viral chunk is in a stretch of the right length' have want
check '--gff: GFF3' sh -c 'head -n 1 chunks.tsv.gff | grep -qx "##gff-version 3" && ! grep -v "^#" chunks.tsv.gff | grep -qv "$(printf "\tvnp\tviral_sequence\t")"'

# --- refused --------------------------------------------------------------------------------------------------------
refused() { # NAME STATUS PATTERN ARGUMENT...: one line, and no folder
    local name=$1 want=$2 pattern=$3
    shift 3
    rm -rf new
    status "$name" "$want" vnp-classify -o new "$@"
    says "$name: the reason" "$pattern"
    check "$name: one line, and nothing written" test "$(wc -l <err)$(ls -d new 2>/dev/null)" = 1
}
embeddings 32 <"$G/small.ids" >narrow
refused 'another width' 65 'narrow: has vectors of 32 values .*, but classifier .*zip.pth takes 48: merge' --model "$G/zip.pth" narrow
refused 'three classes' 65 'output_layer.weight has shape \[3, 4\], not \[2, 4\]' --model "$G/three-classes.pth" rows
refused 'another module' 65 'holds a torch.nn.modules.container.Sequential, not an MLPClassifier' --model "$G/other-module.pth" rows
refused 'another layer' 65 'bn1 of the classifier is a torch.nn.modules.normalization.LayerNorm' --model "$G/layer-norm.pth" rows
refused 'a class unknown' 65 'torch.nn.modules.conv.Conv1d is not on the list .*; nothing was executed' --model "$G/conv.pth" rows
for evil in evil evil-legacy; do
    refused "$evil" 65 'posix.system is not on the list .*; nothing was executed' --model "$G/$evil.pth" rows
done
refused 'evil-plain' 65 'a pickle, but not one that torch.save\(\) wrote' --model "$G/evil-plain.pth" rows
check 'nothing was executed' sh -c "[ ! -e evil-was-here ] && [ ! -e '$G/evil-was-here' ] && [ ! -e '$ROOT/evil-was-here' ]"
vnp-model synth -q 1x2x16 -o lm
refused 'a language model' 65 'tensor hidden_layer.weight is missing: not VirNucPro.s classifier' --model lm rows
refused 'no classifier' 66 'nowhere: no such file' --model nowhere rows
refused 'no stream' 66 'nothing: ' --model "$G/zip.pth" nothing
head -c 3000 rows >damaged
refused 'a stream that is cut' 65 'damaged: ends after [0-9]+ whole frames' --model "$G/zip.pth" damaged
printf 'a_chunk_1F1\na_chunk_1F1\n' | embeddings 48 >twice
refused 'an id twice' 65 'a_chunk_1F1 comes twice' --model "$G/zip.pth" twice
printf 'a_chunk_1F1\nread/2\n' | embeddings 48 >ids
refused 'another id' 65 'read/2 is no id of vnp-orf' --model "$G/zip.pth" ids
{ printf 'head embeddings 48 f32 mean 1 x\nrow 0 a_chunk_1F1 5 0'; for _ in $(seq 47); do printf ' 1'; done; echo ' nan'; } | mk nan
refused 'NaN' 65 'a_chunk_1F1: its scores are not finite' --model "$G/zip.pth" nan
printf 'head embeddings 48 f32 none 1 x\n' | mk residues
refused 'a vector a residue' 65 'residues: has a vector for each residue' --model "$G/zip.pth" residues
printf 'head embeddings 48 f32 mean 1 x unordered\n' | mk unordered
refused 'in the order of batches' 65 'unordered: .*put vnp-pool before' --model "$G/zip.pth" unordered
printf 'head embeddings 48 f32 mean 1 x\nfail 69 no GPU left\n' | mk failed
refused 'the stage before failed' 69 'stopped: .*no GPU left' --model "$G/zip.pth" failed
head -n 3 chunks.tsv >few.tsv
refused 'a chunk that is not in the table' 65 'few.tsv: has no chunk ' --model "$G/zip.pth" --gff --chunks few.tsv rows
refused 'no table of chunks' 66 'none.tsv: ' --model "$G/zip.pth" --gff --chunks none.tsv rows
refused '--gff without --chunks' 2 '--gff goes with' --model "$G/zip.pth" --gff rows
refused '--chunks without --gff' 2 '--gff goes with' --model "$G/zip.pth" --chunks chunks.tsv rows
refused 'no --model' 2 'which classifier' rows
refused '--min-viral of 2' 2 'not a number from 0 to 1' --model "$G/zip.pth" --min-viral 2 rows
status 'nowhere to write' 2 vnp-classify --model "$G/zip.pth" rows
status 'a folder in no folder' 73 vnp-classify --model "$G/zip.pth" -o no/such/folder rows
status 'a file in the place of the folder' 73 vnp-classify --model "$G/zip.pth" -o chunks.tsv rows
status 'JSON onto a full disk' 74 sh -c "vnp-classify -q --model '$G/zip.pth' --json rows >/dev/full"
status 'JSON onto a full disk: no tables' 74 sh -c "vnp-classify -q --model '$G/zip.pth' --json -o new rows >/dev/full"
check 'JSON onto a full disk: no folder' test ! -e new
cp -r first kept
status 'a failure leaves older tables' 65 vnp-classify -q --model "$G/zip.pth" -o kept damaged
check 'a failure leaves older tables: as they were' diff -r kept first

# --- vnp-model ------------------------------------------------------------------------------------------------------
check 'vnp-model inspect shows a classifier' sh -c "vnp-model inspect -l '$G/zip.pth' | grep -q 'hidden_layer.weight.*\[16, 48\].*used'"
check 'vnp-model inspect --json' sh -c "vnp-model inspect --json '$G/legacy.pth' | grep -q '\"architecture\":\"classifier\",\"width\":48,\"hidden\":16'"
check 'vnp-model verify' sh -c "vnp-model verify '$G/old.pth' | grep -q 'a classifier, 8 tensors, 882 values, all finite'"
status 'vnp-model synth: wrong sizes' 2 vnp-model synth classifier:0 -o c
status 'vnp-model synth: f16' 2 vnp-model synth classifier --dtype f16 -o c
finish
