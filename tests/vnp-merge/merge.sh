#!/usr/bin/env bash
# vnp-merge on streams made to measure: what the joined rows hold, each way in which two streams can fail to go together.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
mk() { "$BUILD/tests/stream/tool_mkstream" >"$1"; }
lines() { printf '%s\n' "$@"; }
dna='head embeddings 2 f32 mean 12 aaa' protein='head embeddings 3 f32 mean 36 bbb'
# 5000 rows, so that blocks of the two streams end at different places.
rows() { # rows WIDTH EACH SCALE [SKIP]: without row SKIP
    awk -v w="$1" -v each="$2" -v s="$3" -v skip="${4--1}" 'BEGIN {
        for (i = 0; i < 5000; i++) {
            if (i == skip) continue
            printf "row %d c%d_chunk_1F1 %d %d", n++, i, 100 + s * 10 + i % 7, i == 3 + s
            for (k = 0; k < w; k++) printf " %d", s * (10 * i + k)
            print ""
            if (n % each == 0) print "block"
        }
    }'
}
{ lines 'vocab dna 4096 2' "$dna"; rows 2 17 1; } | mk a
{ lines 'zstd 1' "$protein"; rows 3 31 -1; } | mk b

status 'joins two streams' 0 vnp-merge a b
cp out ab.zst
says 'says what it did' '^vnp-merge: 5000 rows of 2 \+ 3 values$'
check 'the result is whole' vnp-cat --check ab.zst
vnp-cat --json ab.zst >ab.json
awk 'BEGIN {
    for (i = 0; i < 5000; i++)
        printf "c%d_chunk_1F1 %d %d.0,%d.0,%d.0,%d.0,%d.0\n", i, i, 10 * i, 10 * i + 1, -10 * i, -10 * i - 1, -10 * i - 2
}' | sed 's/ -0\.0/ 0.0/;s/,0\.0,-1\.0,-2\.0$/,Z,-1.0,-2.0/' >want
sed 's/.*"ordinal":\([0-9]*\),"id":"\([^"]*\)".*"embedding":\[\([^]]*\)\].*/\2 \1 \3/;s/,-*0\.0,-1\.0,-2\.0$/,Z,-1.0,-2.0/' ab.json >have
same 'A, then B, in order' have want
vnp-cat --summary ab.zst >summary
for word in '5 x f32' 'model-aaa\+model-bbb' 'vnp-merge'; do
    check "the head says $word" grep -Eq -- "$word" summary
done
for i in 2 4; do check "flags of both: row $i" grep -q "\"ordinal\":$i,.*truncated" ab.json; done
check "lengths are B's" sh -c "head -n 1 ab.json | grep -q '\"length\":90,'"
status '--plain, and A from stdin' 0 sh -c 'vnp-merge -q --plain - b <a'
vnp-cat --json out >plain.json
same '--plain: same rows' plain.json ab.json
mkfifo fa fb
(cat a >fa &) && (cat b >fb &)
status 'both from FIFOs' 0 vnp-merge -q fa fb
same 'FIFOs: same bytes' out ab.zst
status 'one process feeds both, A first' 0 timeout 20 sh -c '{ cat a >fa; cat b; } | vnp-merge -q fa -'
same 'A first: same bytes' out ab.zst
status 'or all of B between parts of A' 0 timeout 20 sh -c '{ head -c 60000 a; cat b >fb; tail -c +60001 a; } | vnp-merge -q - fb'
same 'B between: same bytes' out ab.zst
status '-o' 0 vnp-merge -q -o merged.zst a b
same '-o: same bytes' merged.zst ab.zst
check '-q says nothing' test ! -s err

lines 'head embeddings 2 f16 mean 1 aaa' 'row 0 x 4 0 1.5 2' | mk half
lines 'head embeddings 2 bf16 mean 1 aaa' 'row 0 x 4 0 -3 0.25' | mk brain
lines 'head embeddings 1 f32 mean 1 bbb' 'row 0 x 4 0 0.1' | mk one
status 'halves with floats' 0 vnp-merge -q half one
vnp-cat --json out >json
check 'halves with floats: floats' grep -q '"embedding":\[1.5,2.0,0.1\]' json
status 'halves with halves' 0 vnp-merge -q half half
cp out hh
vnp-cat --json hh >json
check 'halves with halves: the values' grep -q '"embedding":\[1.5,2.0,1.5,2.0\]' json
vnp-cat --summary hh >summary
check 'halves with halves: halves' grep -q f16 summary
status 'two kinds of halves' 0 vnp-merge -q half brain
cp out hb
vnp-cat --json hb >json
check 'two kinds of halves: the values' grep -q '"embedding":\[1.5,2.0,-3.0,0.25\]' json
vnp-cat --summary hb >summary
check 'two kinds of halves: floats' grep -q f32 summary
lines "$dna" | mk none
lines "$protein" | mk none2
status 'no rows at all' 0 vnp-merge none none2
says 'no rows at all: says so' '0 rows of 2 \+ 3'

# --- what does not go together --------------------------------------------------------------------------------------
refused() { # NAME PATTERN A B: status 65, one line, and the next stage hears of it
    rm -f merged
    status "$1" 65 vnp-merge -o merged "$3" "$4"
    says "$1: the reason" "$2"
    check "$1: one line, and no file" test "$(wc -l <err)$(ls merged 2>/dev/null)" = 1
}
{ lines "$dna"; rows 2 17 1 2500; } | mk a-short
{ lines "$protein"; rows 3 31 1 0; } | mk b-first
{ lines "$protein"; rows 3 31 1 4999; } | mk b-last
refused 'A lacks a row' '^vnp-merge: a-short: has no row for c2500_chunk_1F1, which is row 2500 of b$' a-short b
refused 'B lacks the first row' '^vnp-merge: b-first: has no row among the next 4096 for c0_chunk_1F1, which is row 0 of a$' a b-first
sorted() { seq -f 'c%05g_chunk_1F1' "$1" "$2" | "$BUILD/tests/vnp-classify/tool_embeddings" 1; }
sorted 0 4095 >a-window
sorted 1 4096 >b-window
refused 'B lacks a row, of all that it has' '^vnp-merge: b-window: has no row for c00000_chunk_1F1, which is row 0 of a-window$' a-window b-window
sorted 0 9999 >a-far
{ seq -f 'c%05g_chunk_1F1' 1 9999 && echo c00000_chunk_1F1; } | "$BUILD/tests/vnp-classify/tool_embeddings" 1 >b-far
refused 'a row far behind' '^vnp-merge: b-far: has no row among the next 4096 for c00000_chunk_1F1, which is row 0 of a-far$' a-far b-far
sorted 20000 29999 >c-far
refused 'other ids, in long streams' '^vnp-merge: row 0 is c00000_chunk_1F1 in a-far but c20000_chunk_1F1 in c-far: neither comes soon on the other side' a-far c-far
refused 'B lacks the last row' '^vnp-merge: b-last: has no row for c4999_chunk_1F1, which is row 4999 of a, nor for what follows it$' a b-last
lines "$protein" 'row 0 x 4 0 1 2 3' 'row 1 y 4 0 1 2 3' 'row 2 z 4 0 1 2 3' | mk xyz
lines "$dna" 'row 0 x 4 0 1 2' 'row 1 z 4 0 1 2' 'row 2 y 4 0 1 2' | mk xzy
lines "$dna" 'row 0 x 4 0 1 2' 'row 1 q 4 0 1 2' 'row 2 z 4 0 1 2' | mk xqz
lines "$dna" 'row 0 x 4 0 1 2' 'row 1 y 4 0 1 2' 'row 2 x 4 0 1 2' | mk xyx
lines 'first 7' "$dna" 'row 7 x 4 0 1 2' | mk part-a
lines 'first 7' "$protein" 'row 7 x 4 0 1 2 3' | mk part-b
lines 'first 8' "$protein" 'row 8 x 4 0 1 2 3' | mk part-c
status 'parts of an input' 0 vnp-merge part-a part-b
cp out part
check 'are one' sh -c 'vnp-cat --summary --json part | grep -q "\"first\":7,"'
refused 'other parts' '^vnp-merge: part-a begins with record 7, but part-c with 8: parts of one input, cut alike' part-a part-c
lines "$protein" 'row 0 x 4 0 1 2 3' 'row 1 y 4 0 1 2 3' 'row 2 x 4 0 1 2 3' | mk xyx3
refused 'another order' '^vnp-merge: row 1 is z in xzy but y in xyz: the orders differ$' xzy xyz
refused 'other ids' '^vnp-merge: row 1 is q in xqz but y in xyz: each is missing on the other side' xqz xyz
refused 'an id twice' '^vnp-merge: xyx3: x comes twice, as rows 0 and 2' xyx xyx3
status 'an id twice: the next stage hears' 65 sh -c 'vnp-merge xyx xyx3 2>/dev/null | vnp-cat --check'
lines "$protein" 'row 0 a 4 0 1 2 3' 'row 1 ab 4 0 1 2 3' 'row 2 b 4 0 1 2 3' 'row 3 b 4 0 1 2 3' | mk abb
refused 'an id twice, one after the other' '^vnp-merge: abb: b comes twice, as rows 2 and 3' abb abb
lines "$dna" 'row 0 x 4 0 1 2' 'row 1 y 4 0 1 2' 'row 2 x 4 0 1 2' 'row 3 z 4 0 1 2' | mk xyxz
refused 'an id twice on one side' '^vnp-merge: xyxz: x comes twice, as rows 0 and 2' xyxz xyz
refused 'an id twice on one side, the other' '^vnp-merge: xyx3: x comes twice, as rows 0 and 2' xyz xyx3
lines "$protein" 'row 0 x 4 0 1 2 3' 'row 1 y 4 0 1 2 3' | mk xy3
refused 'an id twice behind the end of the other' '^vnp-merge: xyx: x comes twice, as rows 0 and 2' xyx xy3
# 1200 ids of 60,000 bytes are more than is held in memory.
long() { awk -v last="$1" 'BEGIN { for (i = 0; i < 1200; i++) printf "%060000d\n", i == 1199 ? last : i }' | "$BUILD/tests/vnp-classify/tool_embeddings" 1; }
long 1199 >long
status 'more ids than fit into memory' 0 vnp-merge -q -o merged long long
check 'more ids than fit into memory: all rows' sh -c 'vnp-cat --summary merged | grep -q "1200 sequences"'
status 'more ids than fit into memory, and nowhere to put them' 73 env TMPDIR=/no/such vnp-merge -q -o merged2 long long
check 'more ids than fit into memory, and nowhere to put them: no file' test ! -e merged2
long 3 >long
refused 'an id twice among many' '^vnp-merge: long: 0{200} comes twice, as rows 3 and 1199: give' long long
rm -f long merged
lines "$dna" 'row 0 x 4 0 1 2' block 'row 1 y 4 0 1 2' 'fail 69 no GPU left' | mk broken
status 'the stage before failed' 69 vnp-merge broken xyz
says 'the stage before failed: its cause' 'stopped: .*no GPU left'
status 'the stage before failed: the next one hears' 69 sh -c 'vnp-merge broken xyz 2>/dev/null | vnp-cat --check'
head -c 90000 a >damaged
refused 'A is cut' '^vnp-merge: damaged: ends after [0-9]+ whole frames without an end frame' damaged b
lines 'head embeddings 2 f32 max 1 aaa' | mk max
for k in a b; do lines "head embeddings 600000 f32 mean 1 $k" | mk wide-$k; done
refused 'vectors too wide' '^vnp-merge: wide-a has vectors of 600000 values, and wide-b of 600000: together more than 1048576$' wide-a wide-b
refused 'other pooling' 'max was pooled by max, but b by mean' max b
lines 'head embeddings 2 f32 none 1 aaa' | mk residues
refused 'a vector a residue' 'residues: has a vector for each residue' residues b
lines 'head hidden 2 f32 - 1 aaa' | mk hidden
refused 'hidden states' 'hidden: holds hidden.*, but embeddings are wanted' hidden b
lines 'head embeddings 2 f32 mean 1 aaa unordered' | mk unordered
refused 'in the order of batches' 'unordered: .*put vnp-pool before' unordered b
refused 'the wrong way round' '^vnp-merge: b holds proteins and a does not: give them the other way round$' b a
cp half many
for _ in 1 2 3 4 5; do vnp-merge -q -o more many half && mv more many; done
refused 'merges of merges' 'the streams came through 13 stages, and a head can name 12' many half
status 'two stdins' 2 vnp-merge - -
cp a input
status 'over the first' 2 vnp-merge -o input input b
says 'over the first: says so' '^vnp-merge: input: is the input; choose another name for the output$'
status 'over the second' 2 vnp-merge -o input a input
same 'over one of the two: it is still there' input a
status 'one stream' 2 vnp-merge a
says 'one stream: two are wanted' '^vnp-merge: wants two streams, A and B, not 1$'
status 'one stream: the next stage hears' 2 sh -c 'vnp-merge a 2>/dev/null | vnp-cat --check'
status 'no such file' 66 vnp-merge a nowhere
status 'a full disk' 74 sh -c 'vnp-merge a b >/dev/full'
finish
