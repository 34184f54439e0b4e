#!/usr/bin/env bash
# vnp-expand: with vnp-dedup before the model the same bytes come out as without; and copies that are of something else.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
mk() { "$BUILD/tests/stream/tool_mkstream" >"$1"; }
lines() { printf '%s\n' "$@"; }

vnp-model synth -q 2x4x64 -o model --seed 1
export VNP_MODEL=$T/model OPENBLAS_NUM_THREADS=1
forward() { vnp-pack -q -b 600 | vnp-cpu-forward -q; }

# Duplicates near and far, under their own ids and others, letters that are one token, empty records, long ones.
awk '/^>/ { n++ } n <= 8' "$PROTEINS" >some.fa
{
    cat some.fa
    printf '>none\n>near\nMKTAYIAKQRQISFVK\n>near\nMKTAYIAKQRQISFVK\n>none too\n>lower\nmktayiakqrqisfvk\n>j\nMKJJ\n>o\nMK##\n'
    sed 's/^>/>again /' some.fa
    awk '/^>/ { n++ } n <= 3' some.fa | sed 's/^>\([^ ]*\).*/>other_\1/'
    printf '>longer\n%sW\n>near\nMKTAYIAKQRQISFVK\n>none\n' "$(awk '/^>/ { n++; next } n == 1' some.fa | tr -d '\n')"
} >mixed.fa
yes '>same
MKTAYIAKQR' | head -n 1000 >equal.fa
awk 'BEGIN { for (i = 0; i < 300; i++) printf ">r%d\nMK%d\n", i, i }' | tr 0-9 ACDEFGHIKL >different.fa
printf '>one\nMK\n' >one.fa
printf '>a\n>b\n' >empty.fa
: >nothing.fa

# agree NAME TOKENIZER-OPTIONS POOL-OPTIONS FILE...: the pipeline with vnp-dedup makes the bytes that it makes without.
agree() {
    local name=$1 tokenize=$2 pool=$3 file
    for file in "${@:4}"; do
        # shellcheck disable=SC2086  # options are words
        vnp-fasta2tok -q --allow-empty $tokenize "$file" >tok 2>err
        # shellcheck disable=SC2086
        forward <tok | vnp-pool -q $pool >want
        # shellcheck disable=SC2086
        vnp-dedup -q --copies copies <tok | forward | vnp-pool -q $pool | vnp-expand -q --copies copies -o have
        same "$name: $file" have want
        rm -f have copies
    done
}
agree 'a mean' '' '' mixed.fa equal.fa different.fa one.fa empty.fa nothing.fa
for pool in --none '--cls' '--max' '--none --f16' '--f16' '--max --all-tokens'; do agree "$pool" '' "$pool" mixed.fa; done
agree '--none of equal records' '' --none equal.fa
# Cut, many records are equal that were not, with totals and flags of their own.
awk '/^>/ { n++; print; next } { print; if (n % 2) print "WWWW" }' equal.fa >longer.fa
cat mixed.fa longer.fa >cut.fa
agree 'cut' '--max-len 10' '' cut.fa
agree 'cut, a vector a residue' '--max-len 16' --none cut.fa
agree 'windows' '--window 50 --overlap 10' '' cut.fa
for pool in --none --cls --max; do agree "windows, $pool" '--window 50' "$pool" mixed.fa; done

# DNABERT-S, whose tokens take two bytes and are not one a residue.
vnp-model synth -q dnabert-s:1x2x32 --seed 2 -o dna
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dna/tokenizer.json
awk 'BEGIN { srand(3); for (i = 0; i < 60; i++) { n = int(rand() * 300); s = ""; while (n-- > 0) s = s substr("ACGT", 1 + int(rand() * 4), 1)
    printf ">d%d\n%s\n>lower\n%s\n", i, s, tolower(s); if (i % 3 == 0) printf ">short\nACGTACGT\n" } }' >dna.fa
VNP_MODEL=$T/dna agree 'DNABERT-S' "--tokenizer $T/dna/tokenizer.json" --all-tokens dna.fa
VNP_MODEL=$T/dna agree 'DNABERT-S, windows' "--tokenizer $T/dna/tokenizer.json --window 40" '' dna.fa

vnp-fasta2tok -q equal.fa >tok
vnp-dedup -q --copies copies <tok | forward | vnp-pool -q --plain >unique
for options in --plain '--level 3' '--level 19'; do
    # shellcheck disable=SC2086
    forward <tok | vnp-pool -q $options >want
    # shellcheck disable=SC2086
    vnp-expand -q $options --copies copies unique >have
    same "$options" have want
done
status 'says what it did' 0 vnp-expand --copies copies -o have unique
says 'and what was saved' '^vnp-expand: 500 embeddings from 1 unique one; 99\.8% of the tokens were saved$'
status 'copies from stdin' 0 sh -c 'vnp-expand -q --plain --copies - -o have unique <copies'
vnp-expand -q --plain --copies copies -o want unique
same 'are the same' have want
check 'the digest is gone' sh -c '! vnp-cat --summary --json have | grep -q unique'

# A forward stage that pools gives rows in its own order; its head is another than without --pool.
vnp-fasta2tok -q --allow-empty mixed.fa >tok 2>err
forward <tok | vnp-pool -q >want
vnp-dedup -q --copies copies <tok | vnp-pack -q -b 64 | vnp-cpu-forward -q --pool mean | vnp-pool -q | vnp-expand -q --copies copies >have
check 'pooled by the forward stage: whole' vnp-cat --check have
vnp-cat --tsv have >have.tsv
vnp-cat --tsv want >want.tsv
same 'and the same values' have.tsv want.tsv

# Blocks are cut as vnp-pool cuts them, by rows and by bytes; numbers that are not finite keep their flags in every copy.
DIGEST=0123456789abcdef
copies() { # copies N UNIQUE: record i equals i modulo UNIQUE
    lines "unique $DIGEST" 'head copies 0 - - 0 -'
    awk -v n="$1" -v u="$2" 'BEGIN { for (i = 0; i < n; i++) {
        printf "row %d r%d 3 0 %d %d\n", i, i % 7, i % u, i % u + 1; if (i % 100 == 99) print "block" } }'
}
embeddings() { # embeddings N UNIQUE
    awk -v n="$1" -v u="$2" 'BEGIN { for (i = 0; i < n; i++) {
        k = i % u; printf "row %d r%d 3 %d %d nan %d.5\n", i, i % 7, k == 1 ? 12 : 0, k, k; if (i % 256 == 255) print "block" } }'
}
copies 3000 700 | mk copies
{ lines "unique $DIGEST" 'head embeddings 3 f32 mean 2 abc' && embeddings 700 700; } | mk unique
{ lines 'head embeddings 3 f32 mean 2 abc' && embeddings 3000 700; } | mk want
status 'rows and flags' 0 vnp-expand --plain --copies copies -o have unique
same 'as if each had been computed' have want
says 'and counts what is not finite' 'warning: 5 of them hold NaN or Inf'

# Faults: one line, 65, no file.
refused() { # refused NAME STATUS PATTERN COMMAND...
    rm -rf o && mkdir o
    status "$1" "$2" "${@:4}"
    says "$1: says so" "$3"
    check "$1: in one line" [ "$(wc -l <"$T/err")" = 1 ]
    check "$1: leaves no file" [ -z "$(ls -A o)" ]
}
expand() { vnp-expand -q --copies "$1" -o o/emb "$2"; }
emb() { { lines "unique $DIGEST" 'head embeddings 1 f32 mean 2 abc' && lines "$@"; } | mk unique; }
cop() { { lines "unique $DIGEST" 'head copies 0 - - 0 -' && lines "$@"; } | mk copies; }
emb 'row 0 a 3 0 1' 'row 1 b 2 0 2'
cop 'row 0 a 3 0 0 1' 'row 1 a 3 0 0 1' 'row 2 b 2 0 1 0'
mkdir o
check 'the undisturbed two' expand copies unique
sed 's/^>r0/>s0/' different.fa | vnp-fasta2tok -q 2>err | vnp-dedup -q --copies stale >tok2 2>>err
refused 'copies of another input' 65 "^vnp-expand: stale: is of another input \([0-9a-f]{16}\) than the embeddings in unique \($DIGEST\)" \
    expand stale unique
cop 'row 0 a 3 0 0 0'
refused 'embeddings too many' 65 '^vnp-expand: unique: has more embeddings than the 1 unique records of copies$' expand copies unique
cop 'row 0 a 3 0 0 0' 'row 1 b 2 0 1 0' 'row 2 c 2 0 2 0'
refused 'embeddings too few' 65 '^vnp-expand: copies: record 2 .c.: there is no embedding for it in unique' expand copies unique
for wrong in 'row 0 x 3 0 0 0' 'row 0 a 4 0 0 0' 'row 0 a 3 1 0 0' 'window 0 a 3 1 0 1 0 9 0 0'; do
    cop "$wrong" 'row 1 b 2 0 1 0'
    refused "of another record: $wrong" 65 'record 0 .*: its id, length or flags are others in unique: the two do not belong' \
        expand copies unique
done
cop 'row 0 a 3 0 0 1' 'row 1 a 4 0 0 1' 'row 2 b 2 0 1 0'
refused 'a copy of another length' 65 'record 1 .a.: what it equals has another length or place' expand copies unique
cop 'row 0 a 3 0 0 1' 'row 1 b 2 0 1 2' 'row 2 a 3 0 0 2'
refused 'a copy in another slot' 65 'record 2 .a.: what it equals has another length or place' expand copies unique
cop 'row 0 a 3 0 0 1' 'row 1 a 3 0 0 1' 'row 2 b 2 0 1 0'
head -c 200 unique >short
refused 'embeddings that were cut' 65 '^vnp-expand: short: .*without an end frame' expand copies short
head -c 300 copies >short
refused 'copies that were cut' 65 '^vnp-expand: short: .*without an end frame' expand short unique
{ lines "unique $DIGEST" 'head embeddings 1 f32 mean 2 abc' 'row 0 a 3 0 1' 'fail 71 no more' && :; } | mk failed
refused 'a stage before that failed' 71 '^vnp-expand: stopped: mkstream: no more$' expand copies failed
lines 'head embeddings 1 f32 mean 2 abc' 'row 0 a 3 0 1' | mk whole
refused 'embeddings that were never reduced' 65 'did not go through vnp-dedup: there is nothing to expand' expand copies whole
{ lines "unique $DIGEST" 'head embeddings 1 f32 mean 2 abc unordered' 'row 0 a 3 0 1'; } | mk loose
refused 'embeddings in any order' 65 'put vnp-pool before' expand copies loose
refused 'tokens' 65 'holds tokens, but embeddings are wanted' expand copies tok2
refused 'embeddings for copies' 65 '^vnp-expand: unique: holds embeddings, but copies are wanted here: put vnp-dedup' expand unique unique
refused 'no copies' 66 'nothing' expand nothing unique
refused 'no embeddings' 66 'nothing' expand copies nothing
refused 'no folder' 73 'no/where' vnp-expand -q --copies copies -o no/where unique
refused 'no folder for temporary files' 73 'set TMPDIR' env TMPDIR=/no/such vnp-expand -q --copies copies -o o/emb unique
status 'a full disk' 74 sh -c 'vnp-expand -q --copies copies unique >/dev/full'
status 'a closed stdout' 74 sh -c 'vnp-expand -q --copies copies unique >&-'
refused 'unique rows where all are wanted' 65 'holds unique records only: put vnp-expand before' vnp-merge -q -o o/m unique unique

status 'without --copies' 2 vnp-expand unique
says 'says what is wanted' '^vnp-expand: --copies FILE is wanted'
status 'both from stdin' 2 vnp-expand --copies -
status 'the output over an input' 2 vnp-expand --copies copies -o copies unique
status 'or the other' 2 vnp-expand --copies copies -o unique unique
status 'two files' 2 vnp-expand --copies copies unique unique
for bad in 0 20 x; do status "--level $bad" 2 vnp-expand --level $bad --copies copies unique; done
finish
