#!/usr/bin/env bash
# What a reader asks of the rows beyond the shape of their frames: each true by itself, and in input order where the stream
# promises it. vnp-cat --check stands for every stage, since all read through the same reader.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
stream() { printf '%s\n' "$@" | "$BUILD/tests/stream/tool_mkstream" >s; }
whole() { # whole NAME LINE...: the stream is fine
    stream "${@:2}"
    check "$1" vnp-cat --check s
}
refused() { # refused NAME PATTERN LINE...
    stream "${@:3}"
    status "$1" 65 vnp-cat --check s
    says "$1: says so" "^vnp-cat: s: frame [123]: .*$2"
}
TOK='head tokens 0 - - 0 -' EMB='head embeddings 1 f32 mean 2 abc' NONE='head embeddings 1 f32 none 2 abc'
HID='head hidden 1 f32 - 2 abc' COPIES='head copies 0 - - 0 -'
t() { echo "row $1 r$1 1 0 0 5 2"; } # a record of one residue, as tokens
e() { echo "row $1 r$1 1 0 0.5"; }   # the same, embedded
# window ORDINAL WINDOW WINDOWS START TOTAL: two residues of a record
w() { echo "window $1 r$1 2 0 $2 $3 $4 $5 0 5 6 2"; }

whole 'tokens in order' "$TOK" "$(t 0)" block "$(t 1)" "$(t 2)"
whole 'a part of an input' 'first 5' "$TOK" "$(t 5)" block "$(t 6)"
whole 'a part without a record' 'first 5' "$TOK"
whole 'a part that is in any order' 'first 5' "$EMB unordered" "$(e 6)" "$(e 5)"
whole 'the last ordinals there are' 'first 18446744073709551614' "$EMB" "$(e 18446744073709551614)" "$(e 18446744073709551615)"
whole 'windows' "$TOK" "$(w 0 0 2 0 3)" block "$(w 0 1 2 1 3)" "$(t 1)"
whole 'embeddings in order' "$EMB" "$(e 0)" "$(e 1)"
whole 'embeddings that promise no order' "$EMB unordered" "$(e 1)" "$(e 0)"
grep -q 'ordered: no$' out && tap ok 'and are said to have none' || tap 'not ok' 'and are said to have none'
for kind in "$TOK" "$EMB"; do
    row=t name=tokens
    [ "$kind" = "$EMB" ] && row=e name=embeddings
    refused "$name: twice" 'record 0 \(r0\) comes twice' "$kind" "$($row 0)" block "$($row 0)"
    refused "$name: a gap" 'record 1 never came: 2 \(r2\) follows 0' "$kind" "$($row 0)" "$($row 2)"
    refused "$name: backwards" 'record 1 \(r1\) comes after 2' "$kind" "$($row 0)" "$($row 1)" "$($row 2)" "$($row 1)"
    refused "$name: round the end" 'row 1 .ordinal 0. comes before the first record of its stream' \
        'first 18446744073709551615' "$kind" "$($row 18446744073709551615)" "$($row 0)"
    refused "$name: a start other than the head's" 'begins with record 1 \(r1\), but by its head with 0: was a block lost' \
        "$kind" "$($row 1)" "$($row 2)"
    refused "$name: a part that starts too late" 'begins with record 6 \(r6\), but by its head with 5' 'first 5' "$kind" \
        "$($row 6)"
    refused "$name: a part that starts too early" 'row 0 .ordinal 4. comes before the first record of its stream' \
        'first 5' "$kind" "$($row 4)" "$($row 5)"
done
refused 'in any order, but from before the first' 'row 1 .ordinal 4. comes before the first' 'first 5' "$EMB unordered" \
    "$(e 5)" "$(e 4)"
stream 'first 5' "$TOK" "$(t 5)" "$(t 6)"
check 'a summary says where a part begins' sh -c 'vnp-cat --summary s | grep -q "begins at  record 5 of the input"'
check 'and as JSON' sh -c 'vnp-cat --summary --json s | grep -q "\"kind\":\"tokens\",\"first\":5,\"by\""'
check 'and of the stages behind, what it is' sh -c 'vnp-pack -q s | vnp-cat --summary --json | grep -q "\"first\":5,"'
stream "$TOK" "$(t 0)"
check 'where nothing was cut, nothing says so' sh -c '! vnp-cat --summary --json s | grep -q first && ! grep -q first s'
refused 'a window alone' 'record 0 \(r0\): window 1 of 2 never came' "$TOK" "$(w 0 0 2 0 4)"
refused 'a window alone, and a record' 'record 0 \(r0\): window 1 of 2 never came' "$TOK" "$(w 0 0 2 0 4)" "$(t 1)"
refused 'a window of a record that is whole' 'record 0 \(r0\): window 1 of 2 never came' "$TOK" "$(w 0 0 2 0 4)" "$(t 0)"
refused 'the second window first' 'record 0 \(r0\): begins with window 1 of 2' "$TOK" "$(w 0 1 2 2 4)" "$(w 0 0 2 0 4)"
refused 'a window twice' 'record 0 \(r0\), window 0 of 2: is not of the same record' "$TOK" "$(w 0 0 2 0 4)" "$(w 0 0 2 0 4)"
refused 'another number of windows' 'window 1 of 3: is not of the same record' "$TOK" "$(w 0 0 2 0 6)" "$(w 0 1 3 2 6)"
refused 'another total' 'is not of the same record' "$TOK" "$(w 0 0 2 0 4)" "$(w 0 1 2 2 5)"
refused 'another id' 'is not of the same record' "$TOK" "$(w 0 0 2 0 4)" 'window 0 other 2 0 1 2 2 4 0 5 6 2'
refused 'residues between windows' 'leaves residues out' "$TOK" "$(w 0 0 2 0 5)" "$(w 0 1 2 3 5)"
refused 'windows at one place' 'starts before its place' "$TOK" "$(w 0 0 2 0 4)" "$(w 0 1 2 0 4)"
refused 'windows that end too soon' 'is the last, but the record goes on' "$TOK" "$(w 0 0 2 0 5)" "$(w 0 1 2 2 5)"
refused 'embeddings of windows' 'record 0 is a window, but embeddings' "$EMB" 'window 0 a 2 0 0 2 0 4 1' 'window 0 a 2 0 1 2 2 4 1'

# Copies number the unique records, and the shared ones among them, as they first come.
copies() { # copies OF,SLOT...: a record for each pair
    local i=0 pair
    printf '%s\n' 'unique fedcba9876543210' "$COPIES"
    for pair; do echo "row $((i++)) c 1 0 ${pair/,/ }"; done
}
numbered() {
    copies "${@:2}" | "$BUILD/tests/stream/tool_mkstream" >s
    check "$1" vnp-cat --check s
}
misnumbered() { # misnumbered NAME PATTERN PAIR...
    copies "${@:3}" | "$BUILD/tests/stream/tool_mkstream" >s
    status "$1" 65 vnp-cat --check s
    says "$1: says so" "^vnp-cat: s: frame 2: record $2"
}
numbered 'copies, none equal' 0,0 1,0 2,0
numbered 'copies, all equal' 0,1 0,1 0,1
numbered 'copies, near and far' 0,1 1,2 2,0 1,2 0,1 3,3 3,3
numbered 'no copies'
misnumbered 'a first record that is not the first' '0 .c. equals unique record 1 in slot 0, but 0 and 0 came before' 1,0
misnumbered 'a unique record left out' '1 .c. equals unique record 2' 0,0 2,0
misnumbered 'a copy of what is wanted once' '1 .c. equals unique record 0 in slot 0' 0,0 0,0
misnumbered 'a slot left out' '1 .c. equals unique record 1 in slot 2' 0,0 1,2
misnumbered 'a copy in a slot that is to come' '1 .c. equals unique record 0 in slot 1' 0,0 0,1
misnumbered 'a slot twice' '1 .c. equals unique record 1 in slot 1' 0,1 1,1
refused 'copies that do not say of what' '.unique. does not say of which records' "$COPIES"
refused 'copies of windows' 'record 0 is a window, but copies' 'unique abc' "$COPIES" 'window 0 a 2 0 0 2 0 4 0 0'

# Rows that contradict themselves, whatever the order.
for kind in "$TOK" "$HID"; do
    n='0 5 2'
    refused 'a window without residues' 'row 0 .ordinal 0. is a window without residues' "$kind" 'window 0 a 0 0 0 2 0 3 0 2'
    refused 'a first window inside' 'row 0 .* does not start where its record does' "$kind" "window 0 a 1 0 0 2 1 3 $n"
    refused 'a whole record that starts inside' 'does not start where its record does' "$kind" "$(w 0 0 2 0 4)" "$(w 0 1 2 2 4)" \
        "window 1 a 1 1 0 1 3 9 $n"
    refused 'residues lost without a word' 'is not flagged truncated' "$kind" "window 0 a 1 0 0 1 0 9 $n"
    refused 'an empty record of one residue' 'is flagged empty and has residues' "$kind" "row 0 a 1 2 $n"
    refused 'an empty record unflagged' 'or the other way round' "$kind" 'row 0 a 0 0 0 2'
done
whole 'truncated by its flag' "$TOK" 'window 0 a 1 1 0 1 0 9 0 5 2'
refused 'embeddings by residue, without a place' 'is a window without residues' "$NONE unordered" 'window 0 a 0 0 0 2 0 3'

# What vnp-pool makes promises order, what a forward stage pools does not, and comes into order by vnp-pool.
vnp-model synth -q 2x2x16 -o model
printf '>a\nMKV\n>b\nM\n>c\nMK\n' >in.fa
vnp-fasta2tok -q in.fa | vnp-pack -q | vnp-cpu-forward -q --model model --pool mean >pooled
check 'a forward stage that pools' vnp-cat --check pooled
grep -q 'ordered: no$' out && tap ok 'promises no order' || tap 'not ok' 'promises no order'
vnp-pool -q pooled >emb
check 'vnp-pool' sh -c 'vnp-cat --summary emb | grep -q "pool mean, ordered: yes"'
vnp-cat --json emb | sed 's/.*"id":"\([^"]*\).*/\1/' | tr -d '\n' >ids
check 'keeps its promise' [ "$(cat ids)" = abc ]
for what in '--npy n.npy' '--ids ids.txt' '--tsv'; do
    # shellcheck disable=SC2086
    status "vnp-cat $what of what has no order" 65 vnp-cat $what pooled
    says "vnp-cat $what: one line with the way out" '^vnp-cat: pooled: embeddings in the order of the batches: put vnp-pool'
    # shellcheck disable=SC2086
    check "vnp-cat $what of what has" vnp-cat $what emb
done
check 'rows as JSON say where they belong' sh -c 'vnp-cat pooled | grep -q "\"ordinal\":2"'
check 'a summary as JSON says what there is' sh -c 'vnp-cat --summary --json pooled | grep -q "\"pool\":\"mean\",\"ordered\":false"'

# What is no stream at all is named.
gzip -c in.fa >in.fa.gz
printf '@r\nACGT\n+\nIIII\n' >in.fq
printf 'id\tscore\na\t1\n' >table
for file in 'in.fa:FASTA .vnp-fasta2tok reads it' 'in.fa.gz:FASTA .vnp-fasta2tok' 'in.fq:FASTQ .vnp-fasta2tok' \
    'model/config.json:JSON' 'table:text'; do
    for stage in vnp-pack vnp-cat; do
        status "$stage ${file%%:*}" 65 "$stage" "${file%%:*}"
        says "$stage ${file%%:*}: says what it is" "^$stage: ${file%%:*}: is no stream of frames: looks like ${file#*:}"
    done
done
finish
