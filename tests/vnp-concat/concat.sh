#!/usr/bin/env bash
# vnp-concat: what was computed in blocks is, byte for byte, what one run computes; and whatever doesn't fit is refused.
# shellcheck disable=SC2016  # what is quoted is for other programs
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
mk() { "$BUILD/tests/stream/tool_mkstream" >"$1"; }
lines() { printf '%s\n' "$@"; }
concat() { vnp-concat -q "$@"; }

# --- the stages in blocks -------------------------------------------------------------------------------------------

awk '/^>/ { n++ } n <= 24' "$PROTEINS" >in.fa
printf '>none\n>again\nMKTAYIAKQR\n>again\nMK\n' >>in.fa
vnp-model synth -q 1x2x32 -o model
export VNP_MODEL=$T/model OPENBLAS_NUM_THREADS=1
vnp-fasta2tok -q --window 200 --overlap 50 in.fa >tok 2>err
hidden() { vnp-pack -q -b 900 <"$1" | vnp-cpu-forward -q >"$2"; }
hidden tok whole.hidden
for cut in 5 26 27; do
    rm -rf blocks
    vnp-split -q --records $cut -o blocks tok
    for f in blocks/*.vnp; do hidden "$f" "${f%.vnp}.hidden"; done
    for how in '' '--none' '--f16' '--none --f16 --level 3' '--cls --plain' '--max --level 19'; do
        packing=$(grep -oE -- '--(plain|level [0-9]+)' <<<"$how")
        # shellcheck disable=SC2086  # options are words
        vnp-pool -q $how whole.hidden >whole.emb
        for f in blocks/*.hidden; do
            # shellcheck disable=SC2086
            vnp-pool -q $how "$f" >"${f%.hidden}.emb"
        done
        # shellcheck disable=SC2086
        check "$cut a block, vnp-pool $how" vnp-concat -q $packing --sequences 27 -o together blocks/*.emb
        same "$cut a block, vnp-pool $how: the bytes of one run" together whole.emb
    done
    check "$cut a block: tokens" vnp-concat -q --plain -o together blocks/*.vnp
    same "$cut a block: the tokens that were cut" together tok
done

# Cuts of larger streams, across the limits of a frame: 256 rows (narrow), 1 MiB (wide), a row larger than that (residues).
rows() { # rows FROM TO WIDTH NUMBERS: of WIDTH each, or with none as many as residues
    awk -v from="$1" -v to="$2" -v width="$3" -v pool="$4" 'BEGIN {
        if (from > 0) print "first " from
        print "head embeddings " width " f32 " pool " 2 abc"
        for (i = from; i < to; i++) {
            residues = i % 11 == 3 ? 0 : i % 97 == 5 ? 4500 : i % 7 + 1
            printf "row %d r%d %d %d", i, i % 50, residues, residues ? 0 : 2
            for (k = (pool == "none" ? residues * width : width); k > 0; k--) printf " %d", (i * 31 + k * 7) % 1000
            print ""
            if (i % 13 == 0) print "block"
        }
    }'
}
RANDOM=5
for kind in '3 mean 900' '2100 mean 300' '60 none 200'; do
    read -r width pool n <<<"$kind"
    rows 0 "$n" "$width" "$pool" | mk raw
    vnp-pool -q raw >whole
    for pieces in 2 5 12; do
        rm -f piece.*
        from=0 i=10
        for at in $(for ((k = 1; k < pieces; k++)); do echo $((RANDOM % (n + 1))); done | sort -n) "$n"; do
            rows "$from" "$at" "$width" "$pool" | mk raw
            vnp-pool -q raw >piece.$i
            from=$at i=$((i + 1))
        done
        check "$n of width $width, $pool, in $pieces" vnp-concat -q --sequences "$n" -o together piece.*
        same "$n of width $width, $pool, in $pieces: the bytes of one run" together whole
        if [ $pieces = 5 ]; then
            concat -o left piece.10 piece.11
            concat -o right --level 9 piece.1[234]
            concat -o together left right
            same "$n of width $width, $pool: put together in two steps" together whole
        fi
    done
done
check 'these had blocks of both sorts' sh -c '[ "$(vnp-cat --summary --json whole | sed "s/.*\"frames\":\([0-9]*\).*/\1/")" -gt 4 ]'

# Token ids of two bytes, of which a record has far fewer than letters, in several blocks; and no records at all.
awk 'BEGIN { srand(1); for (r = 0; r < 800; r++) { s = ""; for (i = 0; i < 5000; i++) s = s substr("ACGT", 1 + int(4 * rand()), 1)
    print ">" r "\n" s } }' >dna.fa
vnp-fasta2tok -q --tokenizer "$ROOT/tests/golden/tokenizers/dna4096.json" dna.fa >dna.tok 2>err
check 'tokens of two bytes: blocks' sh -c 'vnp-cat --summary --json dna.tok | grep -q "\"frames\":4,"'
concat --plain dna.tok >together
same 'tokens of two bytes: the same blocks' together dna.tok
vnp-split -q --records 70 -o dna dna.tok
concat --plain dna/*.vnp >together
same 'tokens of two bytes: put together' together dna.tok
vnp-fasta2tok -q --allow-empty /dev/null >none.tok 2>err
vnp-pack -q <none.tok | vnp-cpu-forward -q | vnp-pool -q >none
check 'nothing' vnp-concat -q --sequences 0 -o together none
same 'nothing: as vnp-pool writes it' together none
check 'nothing, twice' vnp-concat -q -o together none none
same 'nothing, twice: is nothing' together none

# --- the command line -----------------------------------------------------------------------------------------------

vnp-split -q --records 7 -o four tok
for f in four/*.vnp; do vnp-pack -q -b 900 <"$f" | vnp-cpu-forward -q | vnp-pool -q >"${f%.vnp}.zst"; done
vnp-pool -q whole.hidden >whole
a=four/000000.zst b=four/000001.zst c=four/000002.zst d=four/000003.zst
status 'four blocks' 0 vnp-concat -o together $a $b $c $d
same 'are the whole' together whole
says 'say so' '^vnp-concat: 4 files, 27 sequences from record 0 on$'
status 'some in the middle' 0 vnp-concat -o middle $b $c
says 'say where they begin' '^vnp-concat: 2 files, 14 sequences from record 7 on$'
check 'and are a part' sh -c 'vnp-cat --summary --json middle | grep -q "\"first\":7,.*\"sequences\":14,"'
vnp-cat --summary whole | sed -n '/ by /,/vocabulary/p' >by
vnp-cat --summary together | sed -n '/ by /,/vocabulary/p' >by.together
same 'no stage is added' by.together by
check 'the result is whole' vnp-cat --check together middle
check 'one file' vnp-concat -q -o one $b
same 'one file: a copy' one $b
concat --plain $a $b $c $d >together
vnp-pool -q --plain whole.hidden >plain
same '--plain' together plain
concat <$b >one
same 'stdin: a copy' one $b
cat $c | concat $a $b - $d >together
same 'one of them from stdin' together whole
lines $a '' $b $c $d >list
check 'a list' vnp-concat -q --files-from list -o together
same 'a list: the whole' together whole
printf '%s\n%s\n%s\n%s' $a $b $c $d | concat --files-from - >together
same 'a list from stdin, its last line not ended' together whole
{ printf '\xef\xbb\xbf' && printf '%s\r\n' $a '' $b $c $d; } >list
check 'a list from Windows' vnp-concat -q --files-from list -o together
same 'a list from Windows: the whole' together whole
cp $a over
check 'over one of them' vnp-concat -q -o over over $b $c $d
same 'over one of them: the whole' over whole
check 'over one of them: the help says that it may be' sh -c 'vnp-concat -h | grep -q "^-o may name one of them: "'
mkdir many
for ((i = 0; i < 300; i++)); do
    lines "first $i" 'head embeddings 1 f32 mean 2 abc' "row $i r$i 1 0 $i" | mk many/$((1000 + i))
done
find many -type f | sort >list
check 'one open at a time' bash -c 'ulimit -n 16 && vnp-concat -q --sequences 300 --files-from list -o together'
check 'every one of them' [ "$(vnp-cat --json together | sed 's/.*\[\(.*\)\.0\].*/\1/' | paste -sd ' ')" = "$(seq 0 299 | paste -sd ' ')" ]

# sync_calls OPTION...: how often it waits for the disk
sync_calls() { ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=fsync,fdatasync -o trace vnp-concat -q "$@" -o synced $a && grep -c sync trace; }
if strace -o trace true 2>/dev/null; then
    check 'a file is on the disk when it has its name' [ "$(sync_calls)" = 1 ]
    check '--sync-later does not wait for that' [ "$(sync_calls --sync-later)" = 0 ]
else
    skip 'when it waits for the disk' 'strace is not installed, or may not be used'
fi
check '--sync-later' vnp-concat -q --sync-later -o together $a $b $c $d
same '--sync-later: the whole' together whole

for misuse in '--level 0' '--level 20' '--sequences -1' '--sequences x' '--files-from list' '--records 5'; do
    # shellcheck disable=SC2086
    status "misuse: $misuse" 2 vnp-concat $misuse $a
done
status 'a full disk' 74 sh -c "vnp-concat -q $a >/dev/full"
status 'no stdout' 74 sh -c "vnp-concat -q $a >&-"
status 'a folder that is not there' 73 vnp-concat -q -o nowhere/new $a

# --- what is refused ------------------------------------------------------------------------------------------------

refused() { # refused NAME STATUS PATTERN ARGUMENT...: and leaves no file
    status "$1" "$2" vnp-concat -q -o new "${@:4}"
    says "$1: says so" "$3"
    check "$1: one line" [ "$(wc -l <err)" = 1 ]
    check "$1: nothing is left" [ -z "$(find . -name 'new*')" ]
}
refused 'a gap' 65 "^vnp-concat: $c: begins with record 14, but record 7 is due after $a: 7 records are missing$" $a $c $d
lines 'head embeddings 1 f32 mean 2 abc' 'row 0 a 1 0 1' | mk r0
lines 'first 2' 'head embeddings 1 f32 mean 2 abc' 'row 2 c 1 0 1' | mk r2
refused 'a gap of one' 65 'r2: begins with record 2, but record 1 is due after r0: 1 record is missing$' r0 r2
refused 'a block twice' 65 "$b: begins with record 7, but record 14 is due after $b: is it out of order, or given twice\?$" $a $b $b $c
refused 'the wrong order' 65 "$a: begins with record 0, but record 14 is due after $b: is it out of order" $b $a
lines 'head embeddings 1 f32 mean 2 abc' 'row 0 a 1 0 1' 'row 1 b 1 0 1' 'row 2 c 1 0 1' | mk r012
refused 'an overlap' 65 'r2: begins with record 2, but record 3 is due after r012' r012 r2
refused 'blocks that are missing at the end' 65 "^vnp-concat: $c: ends at 21 sequences, not the 27 of --sequences: files are missing behind it$" \
    --sequences 27 $a $b $c
refused 'too many' 65 'ends at 14 sequences, not the 13 of --sequences: these are files of another run' --sequences 13 $a $b
size=$(stat -c %s $b)
head -c $((size - 1)) $b >short
refused 'a file cut by a byte' 65 '^vnp-concat: short: ' $a short $c
head -c 200 $b >short
refused 'a file cut early' 65 '^vnp-concat: short: ' $a short $c
: >short
refused 'an empty file' 65 '^vnp-concat: short: is empty' $a short $c
refused 'a file that is not there' 66 '^vnp-concat: four/000009.zst: ' $a four/000009.zst
lines 'first 1' 'head embeddings 1 f32 mean 2 abc' 'row 1 b 1 0 1' block 'row 2 c 1 0 1' 'fail 69 no GPU left' | mk failed
refused 'a stage that failed' 69 '^vnp-concat: stopped: mkstream: no GPU left' r0 failed
status 'a stage that failed: the next one hears' 69 sh -c 'vnp-concat -q r0 failed 2>err1 | vnp-cat --check'
says 'a stage that failed: the first cause' 'no GPU left'
refused 'no stream' 65 'in.fa: is no stream of frames: looks like FASTA' $a in.fa
refused 'hidden states' 65 'whole.hidden: holds hidden states, but embeddings are wanted here: put vnp-pool' whole.hidden
vnp-pack -q <tok | vnp-cpu-forward -q --pool mean >unordered
refused 'embeddings in any order' 65 'unordered: embeddings in the order of the batches: put vnp-pool' unordered
refused 'a list that is not there' 66 'nowhere: can.t be opened' --files-from nowhere
: >list
refused 'a list of nothing' 65 '^vnp-concat: list: names no file$' --files-from list
printf '%s\n%s\0%s\n' $a $b $c >list
refused 'a list of another sort' 65 '^vnp-concat: list:2: holds a NUL: names are wanted, one a line$' --files-from list
status 'stdin as the list and a file of it' 65 sh -c 'echo - | vnp-concat -q --files-from -'
says 'stdin as both: says so' '^vnp-concat: stdin:1: is the list'
status 'the list is a folder' 74 vnp-concat -q --files-from four

# Heads that differ: what, and in which files.
mkstream_head() { lines "${2:-vocab esm2 33 1}" "first 1" "head $1" | mk other; }
differs() { # differs NAME PATTERN HEAD [VOCAB]
    mkstream_head "${@:3}"
    refused "another $1" 65 "^vnp-concat: r0: $2" r0 other
}
differs vocabulary 'has vocabulary esm2, but other has dna$' 'embeddings 1 f32 mean 2 abc' 'vocab dna 33 1'
differs 'size of it' 'has vocabulary size 33, but other has 40$' 'embeddings 1 f32 mean 2 abc' 'vocab esm2 40 1'
differs 'width of ids' 'has bytes a token: 1, but other has 2$' 'embeddings 1 f32 mean 2 abc' 'vocab esm2 33 2'
differs model 'has model model-abc, but other has model-abd$' 'embeddings 1 f32 mean 2 abd'
differs layer 'has layer 2, but other has 3$' 'embeddings 1 f32 mean 3 abc'
differs 'type of numbers' 'has numbers of type f32, but other has f16$' 'embeddings 1 f16 mean 2 abc'
differs width 'has width 1, but other has 2$' 'embeddings 2 f32 mean 2 abc'
differs pool 'has pool mean, but other has max$' 'embeddings 1 f32 max 2 abc'
differs kind 'holds embeddings, but other tokens$' 'tokens 0 - - 0 -'
made() { vnp-fasta2tok -q four.fa 2>err | vnp-pack -q "$@" | vnp-cpu-forward -q | vnp-pool -q; }
head -n 2 in.fa >four.fa
made -b 4096 >b4096
made -b 8192 >b8192
refused 'another budget' 65 '^vnp-concat: b4096: was made with budget=4096, but b8192 with budget=8192 \(vnp-pack\)$' b4096 b8192
vnp-pool -q b4096 >pooled-twice
refused 'another stage' 65 '^vnp-concat: b4096: was made by vnp-fasta2tok, vnp-pack, vnp-cpu-forward, vnp-pool, but pooled-twice by .*, vnp-pool, vnp-pool$' \
    b4096 pooled-twice
vnp-fasta2tok -q four.fa >t1 2>err
vnp-fasta2tok -q --max-len 9 four.fa >t2 2>err
refused 'an option more' 65 '^vnp-concat: t1: was made with no max-len, but t2 with max-len=9 \(vnp-fasta2tok\)$' t1 t2
refused 'an option less' 65 '^vnp-concat: t2: was made with max-len=9, but t1 with no max-len' t2 t1
sed 's/0\.1\.0/0.1.1/' t1 >t3
refused 'another version' 65 't1: was made by vnp-fasta2tok 0.1.0, but t3 by 0.1.1$' t1 t3
finish
