#!/usr/bin/env bash
# Every frame that the stages write matches schemas/frames.cddl, and the example in vnp-frames(5) is a stream.
# shellcheck disable=SC2016
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
schema=$ROOT/schemas/frames.cddl
cddl=$BUILD/tests/schemas/tool_cddl
matches() { # matches NAME FILE FRAMES
    check "$1" "$cddl" "$schema" "$2"
    "$cddl" "$schema" "$2" >frames 2>&1
    check "$1: $3 frames" grep -Eq ": $3 frames match" frames
}

head -n 60 "$PROTEINS" >in.fa
printf '>long\n%s\n>none\n>short\nMK\n' "$(head -c 300 /dev/zero | tr '\0' M)" >>in.fa
status 'a model' 0 vnp-model synth 2x4x64 -o model --seed 1
status 'token frames' 0 sh -c 'vnp-fasta2tok -q in.fa >tokens'
status 'token frames with windows' 0 sh -c 'vnp-fasta2tok -q --window 100 --overlap 20 in.fa >windows'
status 'batches' 0 sh -c 'vnp-pack -q -b 512 <windows >batches'
status 'hidden states' 0 sh -c 'vnp-cpu-forward -q --model model <batches >hidden'
status 'embeddings' 0 sh -c 'vnp-pool -q <hidden >emb.zst'
status 'embeddings of residues, in halves' 0 sh -c 'vnp-pool -q --none --f16 --plain <hidden >none'
status 'embeddings from the forward stage' 0 sh -c 'vnp-pack -q <tokens | vnp-cpu-forward -q --model model --pool cls >cls'
status 'scores' 0 sh -c 'vnp-model synth -q classifier:64 -o mlp && vnp-classify -q --model mlp --scores emb.zst >scores'
status 'unique records and copies' 0 sh -c 'cat in.fa in.fa | vnp-fasta2tok -q | vnp-dedup -q --copies copies >unique'
status 'embeddings of unique records' 0 sh -c 'vnp-pack -q unique | vnp-cpu-forward -q --model model | vnp-pool -q >unique.emb'
status 'embeddings of all' 0 sh -c 'vnp-expand -q --copies copies unique.emb >all.emb'
many='[0-9]+'
matches 'fasta2tok' tokens "$many"
matches 'fasta2tok --window' windows "$many"
matches 'pack' batches "$many"
matches 'forward' hidden "$many"
matches 'pool' emb.zst "$many"
matches 'pool --none --f16' none "$many"
matches 'forward --pool' cls "$many"
matches 'classify --scores' scores 3
for f in unique copies unique.emb all.emb; do matches "dedup and expand: $f" $f "$many"; done
vnp-split -q --records 5 -o blocks windows
matches 'split: the first block' blocks/000000.vnp "$many"
matches 'split: another block' blocks/000001.vnp "$many"
vnp-pack -q <blocks/000001.vnp | vnp-cpu-forward -q --model model | vnp-pool -q | vnp-concat -q >part
matches 'concat of a part' part "$many"
check 'kinds are what they say' sh -c 'for f in tokens:tokens windows:tokens batches:batches hidden:hidden emb.zst:embeddings; do
    vnp-cat --summary "${f%%:*}" | head -n 1 | grep -q ": ${f##*:}, whole" || exit 1; done'

printf 'MK\n' | vnp-fasta2tok >failed 2>err.txt
matches 'a stage that failed' failed '[12]'
check 'is an err frame' grep -aq 'err' failed
vnp-pack <failed >failed2 2>err.txt
matches 'the next one, which repeats it' failed2 '[12]'

# The tool must be able to say no.
status 'a file that is no stream' 1 "$cddl" "$schema" in.fa
sed 's/"width": 1\.\.1048576/"width": 1..63/' "$schema" >strict.cddl
status 'another schema' 1 "$cddl" strict.cddl hidden
says 'names the frame and the key' '^hidden: frame 1: .width: is not in 1\.\.63'
sed 's/"ntok": bstr,/"ntok": tstr,/' "$schema" >strict.cddl
status 'a third one' 1 "$cddl" strict.cddl tokens
says 'finds the column' '^tokens: frame 2: .ntok: is not tstr'

# The example in the page: a dump in hexadecimal of what vnp-fasta2tok made of it.
awk '/^[0-9a-f][0-9a-f][0-9a-f][0-9a-f]  / { sub(/;.*/, ""); for (i = 2; i <= NF; i++) printf "\\x%s", $i }' \
    "$ROOT/man/vnp-frames.5" >escaped
# shellcheck disable=SC2059
printf "$(cat escaped)" >example
check 'the example of vnp-frames(5) is whole' vnp-cat --check example
matches 'and matches' example 3
printf '>a\nMK\n' | vnp-fasta2tok -q >made
vnp-cat example >json.example
vnp-cat made >json.made
same 'it says what vnp-fasta2tok says today' json.example json.made
finish
