#!/usr/bin/env bash
# vnp-cmp on streams made to measure: what agrees, what differs and by how much, what can't be compared.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
mk() { "$BUILD/tests/stream/tool_mkstream" >"$1"; }
holds() { # holds NAME PATTERN: the last command's stdout
    if grep -Eq -- "$2" out; then tap ok "$1"; else
        tap 'not ok' "$1"
        echo "# stdout does not match: $2"
        head -c 2000 out | sed 's/^/# /'
    fi
}
H='head embeddings 4 f32 mean 2 abc'
R0='row 0 r0 5 0 1 2 3 4' R1='row 1 r1 6 0 0 1 0 -1' R2='row 2 r2 7 0 2 2 2 2'
lines() { printf '%s\n' "$@"; }

lines "$H" "$R0" "$R1" block "$R2" | mk a
lines 'zstd 3' "$H" "$R0" block 'row 1 r1 6 0 0 1 0.5 -1' 'row 2 r2 7 0 4 4 4 4' | mk b
status 'a stream and itself' 0 vnp-cmp a a
holds 'agree' '^verdict +agree'
holds 'to the last bit' '^cosine +min 1, mean 1$'
holds 'no difference' '^largest \|a-b\| +0$'
status 'another one' 1 vnp-cmp a b
holds 'differs' '^verdict +differ'
holds 'in its smallest cosine, 2 / (1.5 sqrt 2), and their mean' \
    '^cosine +min 0\.942809042 \(ordinal 1, r1\), mean 0\.980936347$'
holds 'in its values' '^largest \|a-b\| +2$'
holds 'in its mean, 18/12 and 26.5/12' '^mean +1\.5 and 2\.20833, \|difference\| 0\.708$'
holds 'in its deviation' '^deviation +1\.32288 and 1\.77316, difference 34 %$'
holds 'in its norms' '^mean L2 norm +3\.63048 and 4\.99241, difference 37\.5 %$'
holds 'counts its rows' '^sequences +3 on both sides, 3 vectors of 4$'
status 'a lower threshold' 0 vnp-cmp --min-cosine 0.942 a b
status 'a higher one' 1 vnp-cmp --min-cosine 0.943 a b
status 'a cosine that is just the threshold' 0 vnp-cmp --min-cosine 1 a a
status 'from stdin' 0 sh -c 'vnp-cmp --min-cosine 0.9 - b <a'
status 'from stdin, the other one' 0 sh -c 'vnp-cmp --min-cosine 0.9 a - <b'
status 'each sequence' 1 vnp-cmp --each a b
holds 'with its cosine' "$(printf '^1\tr1\t6\t0.942809042\t0.5$')"
status 'as JSON' 1 vnp-cmp --json a b
holds 'one object' '^\{"sequences":3,"vectors":3,"width":4,"min_cosine":0\.942809.*"min_cosine_ordinal":1,"min_cosine_id":"r1".*"threshold":0\.98999.*"agree":false\}$'
status 'each as JSON' 1 vnp-cmp --json --each a b
holds 'one object each' '^\{"ordinal":2,"id":"r2","length":7,"cosine":1,"max_abs_diff":2\}$'
status 'into a file' 1 vnp-cmp -o report a b
check 'has the verdict' grep -q '^verdict' report

# outliers: 96 values of +-1 and, on one side, four of 100
for big in 1 100; do
    for i in $(seq 0 23); do echo "row $i r$i 1 0 1 -1 1 -1"; done | cat <(echo "$H") - <(echo "row 24 r24 1 0 1 1 1 $big") | mk "big$big"
done
status 'an outlier' 0 vnp-cmp --min-cosine 0 big1 big100
holds 'is counted' '^\|z\| > 3 +0 and 1 values, difference inf %$'

# an id may be empty
lines "$H" "$R0" 'row 1 - 6 0 0 1 0 -1' | mk nameless
lines "$H" "$R0" 'row 1 - 6 0 0 1 0.5 -1' | mk nameless-b
status 'a row without an id' 1 vnp-cmp nameless nameless-b
holds 'is named by its ordinal' '^cosine +min 0\.942809042 \(ordinal 1\), mean '
status 'as JSON' 1 vnp-cmp --json nameless nameless-b
holds 'too' '"min_cosine_ordinal":1,"min_cosine_id":"",'

# rows on one side only
lines 'first 1' "$H" "$R1" "$R2" | mk short
status 'a row that B lacks' 1 vnp-cmp a short
holds 'is named' '^only in A +1: 0 \(r0\)$'
says 'on stderr too' 'only in A: 1 rows: 0 \(r0\)'
status 'a row that A lacks' 1 vnp-cmp short a
holds 'is named' '^only in B +1: 0 \(r0\)$'
lines "$H" "$R0" "$R1" | mk first-two
status 'a last row that B lacks' 1 vnp-cmp --json a first-two
holds 'is counted' '"only_in_a":1,"only_in_b":0'
lines "$H" | mk empty
status 'an empty side' 1 vnp-cmp a empty
holds 'lacks all' '^only in A +3: 0 \(r0\), 1 \(r1\), 2 \(r2\)$'
status 'two empty sides' 1 vnp-cmp empty empty
holds 'have nothing to compare' 'nothing to compare'
holds 'and no figure that reassures: cosines' '^cosine +min nan, mean nan$'
holds 'differences' '^largest \|a-b\| +nan$'
holds 'means' '^mean +nan and nan, \|difference\| nan$'
holds 'norms' '^L2 norms +nan to nan and nan to nan$'
status 'as JSON' 1 vnp-cmp --json empty empty
holds 'null' '"min_cosine":null,"mean_cosine":null,"max_abs_diff":null,"mean_a":null.*"max_norm_b":null'
seq 0 99 | sed 's/.*/row & r& 1 0 1 1 1 1/' | cat <(echo "$H") - | mk hundred
status 'many missing rows' 1 vnp-cmp hundred empty
holds 'are counted, and the first are named' '^only in A +100: 0 \(r0\), 1 .*19 \(r19\), \.\.\.$'
lines "$H" "$R0" 'row 1 other 6 0 0 1 0 -1' "$R2" | mk renamed
status 'the same ordinal with another id' 1 vnp-cmp a renamed
holds 'is named' '^another id +1: 1 \(r1\)$'
lines "$H" "$R0" 'row 1 r1 9 0 0 1 0 -1' "$R2" | mk longer
status 'another length of a pooled sequence' 0 vnp-cmp a longer
says 'is a warning' 'warning: another length: 1 rows: 1 \(r1\)'

# by id
lines "$H unordered" 'row 2 r1 6 0 0 1 0 -1' 'row 0 r2 7 0 2 2 2 2' 'row 5 r0 5 0 1 2 3 4' | mk shuffled
status 'rows in the order of the batches' 65 vnp-cmp a shuffled
says 'are refused with the way out' '^vnp-cmp: shuffled: embeddings in the order of the batches: put vnp-pool before'
lines "$H" "$R0" "$R1" "$R2" 'row 1 r1 6 0 0 1 0 -1' | mk lying
status 'rows that are not in the order they claim' 65 vnp-cmp a lying
says 'say so' 'lying: frame 2: record 1 \(r1\) comes after 2, and this stream is to be in input order'
lines "$H" "$R0" "$R0" | mk doubled
status 'an ordinal that comes twice' 65 vnp-cmp doubled doubled
says 'says so' 'doubled: frame 2: record 0 \(r0\) comes twice'
lines "$H unordered" "$R0" "$R0" | mk doubled
lines "$H unordered" "$R0" "$R2" | mk short
status 'by id' 0 vnp-cmp --by id a shuffled
holds 'all are found' '^sequences +3 on both'
status 'by id, missing ones' 1 vnp-cmp --by id shuffled short
holds 'are named' '^only in A +1: 2 \(r1\)$'
lines "$H" 'row 0 x 5 0 1 2 3 4' 'row 1 x 6 0 -1 -2 -3 -4' 'row 2 y 6 0 1 0 0 0' | mk twice
lines "$H" 'row 0 y 6 0 1 0 0 0' 'row 1 x 5 0 1 2 3 4' 'row 2 x 6 0 -1 -2 -3 -4' | mk twice-moved
status 'an id that comes twice pairs in order' 0 vnp-cmp --by id twice twice-moved
status 'a doubled id against a single one' 1 vnp-cmp --by id doubled short
holds 'lacks the second' '^only in A +1: 0 \(r0\)$'
for order in n rn; do
    seq 0 4999 | sort -$order | sed 's/.*/row & r& 1 0 & 1 1 1/' | cat <(echo "$H unordered") - | mk "many-$order"
done
status 'thousands in reverse' 0 vnp-cmp --by id many-n many-rn
holds 'all are found' '^sequences +5000 on both'
holds 'each with its own' '^cosine +min 1, mean 1$'
seq 0 7 | awk '{ print "row", $1, "x" $1 % 3, 1, 0, $1 + 1, 1 - $1, 1, 1 }' | cat <(echo "$H unordered") - | mk threes
seq 0 7 | awk '{ print $1 % 3, $1 }' | sort -k 1,1nr -k 2,2n |
    awk '{ print "row", $2, "x" $1, 1, 0, $2 + 1, 1 - $2, 1, 1 }' | cat <(echo "$H unordered") - | mk threes-moved
for pair in 'threes threes-moved' 'threes-moved threes'; do
    # shellcheck disable=SC2086
    status "ids that come several times pair in order: $pair" 0 vnp-cmp --by id $pair
    holds 'all are found' '^sequences +8 on both'
    holds 'each with its own' '^cosine +min 1, mean 1$'
done
# As many rows of one id as would take minutes if each went by those that wait before it.
seq 0 149999 | sed 's/.*/row & - 1 0 1 1 1 1/' | cat <(echo "$H unordered") - | mk nameless
status 'many rows without an id that find no others' 1 timeout 20 vnp-cmp --by id nameless short
holds 'wait at no cost' '^only in A +150000: 0 \(\), 1 \(\), '

# not a number
for bad in nan inf -inf; do
    lines "$H" "row 0 r0 5 0 1 2 $bad 4" "$R1" "$R2" | mk bad
    status "$bad on one side" 1 vnp-cmp --min-cosine -1 a bad
    holds 'is counted' '^not finite +1$'
    holds 'is named' '^cosine +min -?nan \(ordinal 0, r0\), mean -?nan$'
    holds 'is no small difference' '^largest \|a-b\| +nan$'
    status "$bad on both sides" 1 vnp-cmp --min-cosine -1 bad bad
    status "$bad as JSON" 1 vnp-cmp --json bad a
    holds 'is null' '"min_cosine":null.*"max_abs_diff":null.*"nonfinite":1'
    lines "$H" "row 0 r0 5 0 1 2 $bad 4" | mk bad
    status "nothing but $bad" 1 vnp-cmp --json bad bad
    holds 'has no figures' '"min_cosine":null,.*"max_abs_diff":null,"mean_a":null,.*"std_b":null,.*"norm_a":null,'
done
lines "$H" 'row 0 r0 5 0 0 0 0 0' "$R1" "$R2" | mk zero
status 'a zero vector against another' 1 vnp-cmp a zero
status 'two zero vectors' 0 vnp-cmp zero zero

# a vector for each residue
N='embeddings 2 f32 none 2 abc'
lines "head $N" 'row 0 r0 2 0 1 0 0 1' 'row 1 r1 0 2' 'row 2 r2 1 0 1 1' | mk none
lines "head ${N/f32/f16}" 'row 0 r0 2 0 1 0 0.5 1' 'row 1 r1 0 2' 'row 2 r2 1 0 1 1' | mk none16
lines "head $N" 'row 0 r0 2 0 1 0 0 1' 'row 1 r1 1 0 1 1' 'row 2 r2 1 0 1 1' | mk none-longer
status 'per residue, in two precisions' 1 vnp-cmp --each none none16
holds 'a sequence is as good as its worst residue' "$(printf '^0\tr0\t2\t0.894427191\t0.5$')"
holds 'all vectors count' '^sequences +3 on both sides, 3 vectors of 2$'
status 'per residue with another length' 1 vnp-cmp --each none none-longer
holds 'is named' '^another length +1: 1 \(r1\)$'
holds 'has its line, without figures' "$(printf '^1\tr1\t0\tnan\tnan$')"
holds 'and the others theirs' "$(printf '^2\tr2\t1\t1\t0$')"
status 'per residue with another length, as JSON' 1 vnp-cmp --each --json none none-longer
holds 'has its object' '^\{"ordinal":1,"id":"r1","length":0,"cosine":null,"max_abs_diff":null\}$'
lines "head $N" 'row 0 r0 0 2' 'row 1 r1 0 2' | mk none-empty
status 'nothing but records without residues' 1 vnp-cmp none-empty none-empty
holds 'have no vectors' '^sequences +2 on both sides, 0 vectors of 2$'
holds 'and nothing to compare' '^verdict +nothing to compare '
status 'as JSON' 1 vnp-cmp --json none-empty none-empty
holds 'they do not agree' '"agree":false'

# what can't be compared
for head in 'embeddings 3 f32 mean 2' 'embeddings 4 f32 cls 2' 'embeddings 4 f32 mean 1'; do
    lines "head $head abc" | mk other
    status "against $head" 65 vnp-cmp a other
    says 'is refused in one line' '^vnp-cmp: not comparable: a has width 4, layer 2, pool mean; other has '
done
lines "${H/abc/xyz}" "$R0" "$R1" "$R2" | mk model
status 'another model' 0 vnp-cmp a model
says 'is a warning' 'warning: different models: a has model-abc \(abc\), model has model-xyz \(xyz\)'
lines 'head hidden 4 f32 - 2 abc' | mk hidden
status 'hidden states' 65 vnp-cmp a hidden
says 'should be pooled' 'vnp-pool'
head -c 400 a >shorn
status 'a cut stream' 65 vnp-cmp a shorn
says 'is an error, not a difference' '^vnp-cmp: shorn: ends after'
status 'a cut stream, with -o' 65 vnp-cmp -o shorn.report a shorn
check 'leaves no report' [ ! -e shorn.report ]
lines "$H" 'fail 69 no GPU' | mk failed
status "an earlier stage's failure" 69 vnp-cmp a failed
says 'is told with its name' 'mkstream: no GPU'
status 'no file' 66 vnp-cmp a no.such
status 'one file' 2 vnp-cmp a
status 'three files' 2 vnp-cmp a a a
status 'stdin twice' 2 vnp-cmp - -
cp a kept
for input in 'a b' 'b a'; do
    # shellcheck disable=SC2086
    status "the report over the input: $input" 2 vnp-cmp -o a $input
    says 'says so' '^vnp-cmp: a: is the input; choose another name for the output$'
done
same 'the input is still there' a kept
status 'a threshold over 1' 2 vnp-cmp --min-cosine 1.5 a a
status 'a threshold that is no number' 2 vnp-cmp --min-cosine nan a a
status 'pairing by luck' 2 vnp-cmp --by luck a a
status 'a full disk' 74 sh -c 'vnp-cmp a a >/dev/full'
status 'a closed stdout' 74 sh -c 'vnp-cmp a a >&-'
finish
