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
# Legacy files of later pickle protocols: the first says it, and from 4 on in a frame.
{ printf '\x80\x03' && tail -c +3 "$G/legacy.pth"; } >protocol3.pth
{ printf '\x80\x04\x95\x0d\0\0\0\0\0\0\0' && tail -c +3 "$G/legacy.pth"; } >protocol4.pth
for file in protocol3 protocol4; do
    status "legacy, $file" 0 vnp-classify -q --model $file.pth -o later rows
    check "legacy, $file: the same bytes" diff -r later first
done
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
status 'without --gff, in the same folder' 0 vnp-classify -q --model "$G/zip.pth" -o res rows
check 'the older GFF is not among the results' [ ! -e res/prediction_results_viral.gff ]
same '--gff: plain and gzip alike' chunks.tsv.gff chunks.tsv.gz.gff
awk -F '\t' 'NR > 1 && $2 == "True"' res/prediction_results_highestscore.csv | wc -l >want
awk -F '\t' '!/^#/ { split($9, a, /[=;]/); n += a[4]; if ($5 - $4 + 1 != a[4] * 450 + 50) bad = 1 } END { print bad ? "lengths" : n }' chunks.tsv.gff >have
same '--gff: every viral chunk is in a stretch of the right length' have want
check '--gff: GFF3' sh -c 'head -n 1 chunks.tsv.gff | grep -qx "##gff-version 3" && ! grep -v "^#" chunks.tsv.gff | grep -qv "$(printf "\tvnp\tviral_sequence\t")"'

# --- in two halves --------------------------------------------------------------------------------------------------
score() { vnp-classify --model "$G/zip.pth" --scores "$@"; }
status '--scores' 0 score rows
cp out scores
says '--scores: says what it did' '^vnp-classify: 48 rows scored by zip$'
check '--scores: whole' vnp-cat --check scores
check '--scores: zstd' sh -c 'zstd -q -t <scores'
for file in scores in; do vnp-cat --json "${file/in/rows}" | sed 's/,"embedding".*//' >$file.rows; done
same '--scores: ordinals, ids, lengths as they were' scores.rows in.rows
vnp-cat --json scores | sed 's/.*"embedding":\[\(.*\),\(.*\)\].*/\1\t\2/' >have
tail -n +2 first/prediction_results.txt | cut -f 3,4 >want
same '--scores: the scores' have want
vnp-cat --summary --json scores >summary
fingerprint() { vnp-model inspect --json "$1" | sed 's/.*"fingerprint":"\([^"]*\)".*/\1/'; }
for word in '"model":"zip(golden)"' '"width":2,' '"dtype":"f32"' '"pool":"mean"' '"ordered":true' \
    '"stage":"vnp-classify","version":"[^"]*","params":{"model":"zip","fingerprint":"'"$(fingerprint "$G/zip.pth")"'","scored.model":"golden","scored.fingerprint":"golden","scored.width":"48"}'; do
    check "--scores: the head says ${word%%:*}" grep -q "$word" summary
done
status '--scores from stdin, --plain' 0 sh -c "vnp-classify -q --model '$G/zip.pth' --scores --plain <rows"
cp out plain
check '--plain: no zstd' sh -c '! zstd -q -t <plain'
vnp-cat --json plain >plain.json
vnp-cat --json scores >json
same '--plain: the same rows' plain.json json
status '--level 9 -o' 0 score -q --level 9 -o scores9 rows
vnp-cat --json scores9 >json9
same '--level 9: the same rows' json9 json
status '-o' 0 score -q -o scores.zst rows
same '-o: the same bytes' scores.zst scores
check '-q says nothing' test ! -s err
for file in scores scores9; do
    rm -rf res
    status "verdicts of $file" 0 vnp-classify -o res $file
    says "verdicts of $file: says what it found" '^vnp-classify: 48 frames, [0-9]+ viral; [0-9]+ chunks, [0-9]+ viral; [0-9]+ contigs, [0-9]+ viral$'
    check "verdicts of $file: the same tables" diff -r res first
done
# Both ways with the same options: MODEL is for the first.
alike() { # NAME OPTION...
    local name=$1
    shift
    rm -rf direct res
    vnp-classify -q --model "$G/zip.pth" -o direct --json "$@" "$in" >direct.json
    status "in two halves: $name" 0 bash -c 'set -o pipefail; vnp-classify -q --model "$0" --scores "$1" | vnp-classify -q -o res --json "${@:2}"' "$G/zip.pth" "$in" "$@"
    same "in two halves: $name: the same JSON" out direct.json
    check "in two halves: $name: the same tables" diff -r direct res
}
in=rows
alike 'no options'
alike '--max-scores' --max-scores
alike '--min-viral' --min-viral 0.9
alike '--gff' --gff --chunks chunks.tsv
awk 'BEGIN { for (c = 0; c < 700; c++) for (k = 1; k <= 2; k++) for (f = 1; f <= c % 3; f++) printf "c%d_chunk_%dF%d\n", c, k, f }' | embeddings 48 >many
in=many
alike 'more rows than are scored at a time' --max-scores
vnp-classify -q --threads 1 --model "$G/zip.pth" --scores many >scores1
status '--scores with 3 threads' 0 score -q --threads 3 many
same '--scores with 3 threads: the same bytes' out scores1
vnp-cat --summary --json scores1 >summary
check '--scores: blocks of 256 rows' grep -q "\"frames\":$((($(vnp-cat --json many | wc -l) + 255) / 256 + 2))," summary
printf 'head embeddings 48 f32 cls 1 x\n' | mk none
in=none
alike 'no rows'
{ printf 'first 7\nhead embeddings 48 f16 max 1 x\n'; for i in 7 8; do printf 'row %s %%ff%s_chunk_1F1 5 %s' $i $i $((i - 7)); for k in $(seq 48); do printf ' %s' "$((i * k % 9))"; done; echo; done; } | mk part
in=part
alike 'a part of an input'
status 'a part of an input: scores' 0 score -q -o scored part
vnp-cat --json scored >json
check 'a part of an input: its ordinals' bash -c "sed 's/.*\"ordinal\":\([0-9]*\).*/\1/' json | diff - <(printf '7\n8\n')"
check 'a part of an input: flags' sh -c 'sed -n 2p json | grep -q truncated'
vnp-cat --summary --json scored >summary
check 'a part of an input: pooled as it was' grep -q '"pool":"max"' summary
printf 'read/1\nread/1\n' | embeddings 48 >reads
status '--scores of any ids' 0 score -q reads
vnp-pool -q --plain scores >again
status 'scores written again by vnp-pool' 0 vnp-classify -q -o res again
check 'scores written again by vnp-pool: the same tables' diff -r res first

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
for x in nan inf -inf; do
    { printf 'first 7\nhead embeddings 48 f32 mean 1 x\nrow 7 a_chunk_1F1 5 0'; for _ in $(seq 47); do printf ' 1'; done; echo " $x"; } | mk "$x"
    refused "$x" 65 "$x: record 7 \(a_chunk_1F1\): its embedding holds NaN or an infinity" --model "$G/zip.pth" "./$x"
    refused "$x with --scores" 65 "$x: record 7 \(a_chunk_1F1\): its embedding holds NaN or an infinity" --model "$G/zip.pth" --scores "./$x"
done
printf 'head embeddings 48 f32 none 1 x\n' | mk residues
refused 'a vector a residue' 65 'residues: has a vector for each residue' --model "$G/zip.pth" residues
printf 'head embeddings 48 f32 mean 1 x unordered\n' | mk unordered
refused 'in the order of batches' 65 'unordered: .*put vnp-pool before' --model "$G/zip.pth" unordered
printf 'head embeddings 48 f32 mean 1 x\nfail 69 no GPU left\n' | mk failed
refused 'the stage before failed' 69 'stopped: .*no GPU left' --model "$G/zip.pth" failed
head -n 3 chunks.tsv >few.tsv
refused 'a chunk that is not in the table' 65 'few.tsv: has no chunk ' --model "$G/zip.pth" --gff --chunks few.tsv rows
sed 's/$/\r/' chunks.tsv >crlf.tsv
refused 'a table of chunks from Windows' 65 '^vnp-classify: crlf.tsv:1: its line end is CRLF, ' --model "$G/zip.pth" --gff --chunks crlf.tsv rows
{ head -n 1 chunks.tsv && tail -n +2 crlf.tsv; } >half.tsv
refused 'a table of chunks, half of it from Windows' 65 '^vnp-classify: half.tsv:2: its line end is CRLF, ' --model "$G/zip.pth" --gff --chunks half.tsv rows
refused 'stdin for the chunks and the stream' 2 '^vnp-classify: --chunks and the stream can.t both come from stdin$' \
    --model nowhere --gff --chunks - - <rows
refused 'no table of chunks' 66 'none.tsv: ' --model "$G/zip.pth" --gff --chunks none.tsv rows
refused '--gff without --chunks' 2 '--gff goes with' --model "$G/zip.pth" --gff rows
refused '--chunks without --gff' 2 '--gff goes with' --model "$G/zip.pth" --chunks chunks.tsv rows
refused 'no --model' 2 'rows: holds embeddings, to be scored first: which classifier\? give --model FILE' rows
refused 'scores with --model' 2 'scores: holds scores, of zip\(golden\): leave out --model' --model "$G/zip.pth" scores
refused 'scores of scores' 2 'scores: holds scores, .*leave out --model' --model "$G/zip.pth" --scores scores
refused '--scores without --model' 2 'scores wants a classifier: give --model FILE' --scores rows
for option in --json --max-scores '--min-viral 0.6' '--gff --chunks chunks.tsv'; do
    # shellcheck disable=SC2086
    refused "--scores with $option" 2 '^vnp-classify: --scores draws no verdicts: ' --model "$G/zip.pth" --scores $option rows
done
refused '--level without --scores' 2 'level and --plain go with --scores' --level 3 scores
refused '--plain without --scores' 2 'level and --plain go with --scores' --model "$G/zip.pth" --plain rows
scored() { { printf 'by vnp-classify\n'; printf '%s\n' "$@"; } | mk scored; }
scored 'head embeddings 3 f32 mean 1 x' 'row 0 a_chunk_1F1 5 0 0 0.5 1'
refused 'scores of another width' 65 'scored: has scores of 3 values \(f32\), not the 2 of type f32 that vnp-classify --scores writes' scored
scored 'head embeddings 2 f16 mean 1 x' 'row 0 a_chunk_1F1 5 0 0.5 0.5'
refused 'scores as halves' 65 'scored: has scores of 2 values \(f16\), not' scored
scored 'head embeddings 2 f32 none 1 x' 'row 0 a_chunk_1F1 1 0 0.5 0.5'
refused 'scores of residues' 65 'scored: has a vector for each residue' scored
scored 'head embeddings 2 f32 mean 1 x unordered' 'row 0 a_chunk_1F1 5 0 0.5 0.5'
refused 'scores in the order of batches' 65 'scored: .*put vnp-pool before' scored
for pair in '0.5 nan' 'nan 0.5' 'inf 0' '-0.5 1.5' '1.5 0.5'; do
    scored 'head embeddings 2 f32 mean 1 x' "row 0 a_chunk_1F1 5 0 $pair"
    refused "scores $pair" 65 'a_chunk_1F1: its scores are -?[a-z0-9.]+ and -?[a-z0-9.]+, no probabilities' scored
done
scored 'head embeddings 2 f32 mean 1 x' 'row 0 a_chunk_1F1 5 0 0.5 0.5' block 'fail 69 no GPU left'
refused 'scores: the stage before failed' 69 'stopped: .*no GPU left' scored
status 'scores: the stage before failed, --json' 69 vnp-classify --json scored
cp out json
lacks 'scores: the stage before failed, --json: no summary' summary json
head -c $(($(wc -c <scores) - 40)) scores >scored
refused 'scores that are cut' 65 'scored: ' scored
score -q --plain rows | sed 's/zip(golden)/zap(golden)/' >scored
refused 'scores with a byte changed' 65 'scored: .*(checksum|CRC)' scored
vnp-fasta2tok -q "$PROTEINS" >tokens
refused 'tokens' 65 'tokens: holds tokens, but embeddings are wanted' tokens
refused 'tokens with --scores' 65 'tokens: holds tokens, but embeddings are wanted' --model "$G/zip.pth" --scores tokens
refused '--scores: a stream that is cut' 65 'damaged: ends after [0-9]+ whole frames' --model "$G/zip.pth" --scores damaged
refused '--scores: another width' 65 'narrow: has vectors of 32 values' --model "$G/zip.pth" --scores narrow
refused '--scores: no classifier' 66 'nowhere: no such file' --model nowhere --scores rows
{ printf 'by stage%s\n' $(seq 11); printf 'head embeddings 48 f32 mean 1 x\n'; } | mk far
refused '--scores: a head that is full' 65 'far: came through 12 stages, more than a head can name' --model "$G/zip.pth" --scores far
printf 'head embeddings 48 f32 mean 1 x\nfail 69 no GPU left\n' | mk failed
refused '--scores: the stage before failed' 69 'stopped: .*no GPU left' --model "$G/zip.pth" --scores failed
status '--scores: the stage before failed: the next one hears' 69 sh -c "vnp-classify --model '$G/zip.pth' --scores failed 2>first.err | vnp-classify -o new"
says '--scores: the stage before failed: its cause' 'stopped: .*no GPU left'
status '--scores: misuse: the next one hears' 2 sh -c "vnp-classify --scores rows 2>first.err | vnp-classify -o new"
says '--scores: misuse: its cause' 'stopped: vnp-classify: --scores wants a classifier'
status '--scores onto a full disk' 74 sh -c "vnp-classify -q --model '$G/zip.pth' --scores rows >/dev/full"
cp rows input
refused '--scores over the input' 2 'input: is the input; choose another name' --model "$G/zip.pth" --scores -o input input
same '--scores over the input: it is still there' input rows
cp "$G/zip.pth" classifier.pth
refused '--scores over the classifier' 2 'classifier.pth: is the input; choose another name' --model classifier.pth --scores -o classifier.pth rows
vnp-model synth classifier:8x4 -q -o folder
refused '--scores over one in a folder' 2 'model.safetensors: is the input; choose another name' --model folder --scores -o folder/model.safetensors rows
same '--scores over the classifier: it is still there' classifier.pth "$G/zip.pth"
mkdir mine && cp rows mine/prediction_results.txt && cp rows mine/prediction_results_viral.gff && cp "$G/zip.pth" mine/prediction_results_contigs.tsv
cp chunks.tsv mine/prediction_results_highestscore.csv && cp -r mine was
mine() { # NAME FILE ARGUMENT...
    status "a table over $1" 2 vnp-classify -o mine "${@:3}"
    says "a table over $1: says so" "^vnp-classify: mine/prediction_results$2: is the input; choose another name for the output\$"
    check "a table over $1: all is still there" diff -r mine was
}
mine 'the embeddings' .txt --model "$G/zip.pth" mine/prediction_results.txt
mine 'the classifier' _contigs.tsv --model mine/prediction_results_contigs.tsv rows
mine 'the table of chunks' _highestscore.csv --model "$G/zip.pth" --gff --chunks mine/prediction_results_highestscore.csv rows
mine 'the embeddings, where it would be removed' _viral.gff --model "$G/zip.pth" mine/prediction_results_viral.gff
status '--scores into no folder' 73 score -o no/such/file rows
cp scores older
status 'a failure leaves older scores' 65 score -q -o older damaged
same 'a failure leaves older scores: as they were' older scores
refused '--min-viral of 2' 2 'not a number from 0 to 1' --model "$G/zip.pth" --min-viral 2 rows
status 'nowhere to write' 2 vnp-classify --model "$G/zip.pth" rows
status 'stdout as folder' 2 vnp-classify --model "$G/zip.pth" -o - rows
says 'stdout as folder: says so' '^vnp-classify: -o -: is stdout, and a directory is wanted'
check 'stdout as folder: there is none' [ ! -e ./- ]
status 'a folder in no folder' 73 vnp-classify --model "$G/zip.pth" -o no/such/folder rows
status 'a file in the place of the folder' 73 vnp-classify --model "$G/zip.pth" -o chunks.tsv rows
status 'JSON onto a full disk' 74 sh -c "vnp-classify -q --model '$G/zip.pth' --json rows >/dev/full"
bytes=$(vnp-classify -q --model "$G/zip.pth" --json rows | wc -c)
status 'JSON of which the summary has no room' 74 prlimit --fsize=$((bytes - 9)) vnp-classify -q --model "$G/zip.pth" --json -o new rows
check 'no tables, either' [ ! -e new ]
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
