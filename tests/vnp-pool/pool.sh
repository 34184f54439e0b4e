#!/usr/bin/env bash
# vnp-pool behind the stages before it, its options and its faults. Values and order: test_pool_values.c.
. "$(dirname "$0")/../lib.sh"

awk '/^>/ { n++ } n <= 12' "$PROTEINS" >"$T/in.fa"
printf '>none\n>again\nMKTAYIAKQR\n' >>"$T/in.fa"
vnp-model synth 2x4x64 -o "$T/model" --seed 1 >/dev/null 2>&1
export VNP_MODEL=$T/model OPENBLAS_NUM_THREADS=1
vnp-fasta2tok -q "$T/in.fa" >"$T/tok" 2>"$T/err"
hidden() { vnp-pack -q "$@" "$T/tok" | vnp-cpu-forward -q; }
hidden -b 600 >"$T/hidden"

status 'pools' 0 vnp-pool "$T/hidden"
cp "$T/out" "$T/emb.zst"
says 'says what it did' '^vnp-pool: 14 embeddings \(mean\) of 64 f32$'
printf '>a\nMK\n' | vnp-fasta2tok 2>"$T/err" | vnp-pack 2>>"$T/err" | vnp-cpu-forward 2>>"$T/err" | vnp-pool >/dev/null 2>>"$T/err"
for line in 'vnp-fasta2tok: 1 record, 2 residues, 4 tokens$' 'vnp-pack: 1 sequence, 4 tokens in 1 batch; ' \
    'vnp-cpu-forward: 1 sequence, 4 tokens in ' 'vnp-pool: 1 embedding \(mean\) of 64 f32$'; do
    says "one of a kind, and nothing that tells nothing: ${line%%:*}" "^$line"
done
printf '\050\265\057\375' >"$T/magic"
head -c 4 "$T/emb.zst" >"$T/start"
same 'the file is zstd' "$T/start" "$T/magic"
status '--mean is the default' 0 vnp-pool --mean "$T/hidden"
same '--mean: same bytes' "$T/out" "$T/emb.zst"
status 'stdin' 0 vnp-pool <"$T/hidden"
same 'stdin: same bytes' "$T/out" "$T/emb.zst"
status '-o' 0 vnp-pool -q -o "$T/file" "$T/hidden"
same '-o: same bytes' "$T/file" "$T/emb.zst"
check '-q says nothing' [ ! -s "$T/err" ]

# In input order, with the ids of the FASTA file.
vnp-cat --json "$T/emb.zst" >"$T/json"
sed 's/.*"ordinal":\([0-9]*\).*/\1/' "$T/json" >"$T/ordinals"
seq 0 13 >"$T/counted"
same 'ordinals count from 0' "$T/ordinals" "$T/counted"
sed -n 's/^>\([^ ]*\).*/\1/p' "$T/in.fa" >"$T/ids-in"
sed 's/.*"id":"\([^"]*\)".*/\1/' "$T/json" >"$T/ids-out"
same 'ids are the input'\''s, in its order' "$T/ids-in" "$T/ids-out"
check 'an empty record is zeros' grep -q '"id":"none".*"embedding":\[0.0\(,0.0\)\{63\}\]' "$T/json"

# The embedding of a sequence does not depend on its batch.
values() { vnp-cat --tsv "$1"; }
values "$T/emb.zst" >"$T/values"
hidden --no-packing | vnp-pool -q | values - >"$T/alone"
same 'one a batch: same values' "$T/alone" "$T/values"
hidden -b 65536 | vnp-pool -q --plain | values - >"$T/together"
same 'all in one batch, and --plain: same values' "$T/together" "$T/values"

for pool in cls max none; do
    status "--$pool" 0 vnp-pool -q --$pool "$T/hidden"
    vnp-cat --summary - <"$T/out" >"$T/summary"
    check "--$pool: says so" grep -q "pool $pool" "$T/summary"
done
status '--none: one vector a residue' 0 sh -c "vnp-pool -q --none '$T/hidden' | vnp-cat --tsv | wc -l"
check 'as many as residues' [ "$(cat "$T/out")" = "$(grep -v '>' "$T/in.fa" | tr -d '\n' | wc -c)" ]
status '--f16' 0 vnp-pool -q --f16 "$T/hidden"
cp "$T/out" "$T/half.zst"
check '--f16: close to f32' vnp-cmp --min-cosine 0.99999 "$T/half.zst" "$T/emb.zst"
check '--f16: smaller' sh -c "[ \$(wc -c <'$T/half.zst') -lt \$(wc -c <'$T/emb.zst') ]"
status '--all-tokens' 0 vnp-pool -q --all-tokens "$T/hidden"
cp "$T/out" "$T/all.zst"
check '--all-tokens: another mean, of as many' vnp-cmp --min-cosine -1 "$T/all.zst" "$T/emb.zst"
status '--all-tokens: not the same' 1 vnp-cmp --min-cosine 0.9999999999 "$T/all.zst" "$T/emb.zst"
status '--level 19' 0 vnp-pool -q --level 19 "$T/hidden"
values "$T/out" >"$T/other"
same '--level: same values' "$T/other" "$T/values"
status '--plain of a pooled file' 0 vnp-pool -q --plain "$T/emb.zst"
values "$T/out" >"$T/other"
same '--plain: same values' "$T/other" "$T/values"

# Windows come back as one record.
lengths() { vnp-cat --json "$1" | sed 's/.*"id":"\([^"]*\)","length":\([0-9]*\).*/\1 \2/'; }
lengths "$T/emb.zst" >"$T/lengths-in"
vnp-fasta2tok -q --window 100 --overlap 20 "$T/in.fa" 2>/dev/null | vnp-pack -q -b 700 | vnp-cpu-forward -q >"$T/windows"
for pool in mean cls max none; do
    status "--$pool of windows" 0 vnp-pool --$pool "$T/windows"
    says "--$pool: says how many were joined" '[0-9]+ windows joined to others'
    lengths "$T/out" >"$T/lengths"
    same "--$pool: one row a record, as long as that" "$T/lengths" "$T/lengths-in"
done

# Usage and faults.
status 'two poolings' 2 vnp-pool --mean --cls "$T/hidden"
status 'one pooling twice' 0 vnp-pool -q --cls --cls "$T/hidden"
status '--cls --all-tokens' 2 vnp-pool --cls --all-tokens "$T/hidden"
for bad in 0 20 -1 x ''; do
    status "--level '$bad' is refused" 2 vnp-pool --level "$bad" "$T/hidden"
done
status 'two files' 2 vnp-pool "$T/hidden" "$T/hidden"
cp "$T/hidden" "$T/input"
status 'the output over the input' 2 vnp-pool -o "$T/input" "$T/input"
says 'the output over the input: says so' "^vnp-pool: $T/input: is the input; choose another name for the output\$"
same 'the output over the input: it is still there' "$T/input" "$T/hidden"
status 'tokens' 65 vnp-pool "$T/tok"
says 'tokens: says what is wanted' 'holds tokens, but hidden states are wanted'
status 'no stream' 65 vnp-pool </dev/null
status 'no such file' 66 vnp-pool "$T/nothing"
status 'a full disk' 74 sh -c "vnp-pool -q '$T/hidden' >/dev/full"
status 'closed stdout' 74 sh -c "vnp-pool -q '$T/hidden' >&-"
status 'an output without a name' 73 vnp-pool -o '' "$T/hidden"
says 'an output without a name: what to do' "^vnp-pool: the output's name is empty: give -o FILE"
status 'a folder that is not there' 73 vnp-pool -o "$T/no/where" "$T/hidden"
status '--cls of a mean' 65 vnp-pool --cls "$T/emb.zst"
says 'says what to do' 'was pooled before \(mean\), so that --cls can.t be had'
head -c 70000 "$T/hidden" | vnp-pool -q -o "$T/cut.zst" 2>"$T/err"
says 'a cut stream is an error' 'stdin: .*without an end frame'
check 'that leaves no file' [ ! -e "$T/cut.zst" ]
if script -qec true /dev/null >/dev/null 2>&1; then
    status 'a terminal' 2 script -qec "vnp-pool '$T/hidden'" /dev/null
else
    skip 'a terminal' 'no script(1), or no pseudo-terminal'
fi
finish
