#!/usr/bin/env bash
# vnp-dedup as a stage: what it writes, its options, faults. Which records are equal: test_dedup.c; that embeddings come
# out the same: tests/vnp-expand.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

cat >in.fa <<'EOF'
>a
MKV
>b first
MKT
>c
mkv
>d
>e
MKX
>b second
MKV
>f
MKJ
>g
EOF
vnp-fasta2tok -q in.fa >tok 2>err
status 'finds what is equal' 0 vnp-dedup --copies copies -o unique tok
says 'says what it did' '^vnp-dedup: 8 records, 5 of them unique; 12 of 34 tokens saved \(35\.3%\)$'
check 'the stream is whole' vnp-cat --check unique
check 'so are the copies' vnp-cat --check copies
vnp-cat --tsv copies | tr '\t' ' ' >have
printf '%s\n' 'a 0 1' 'b 1 0' 'c 0 1' 'd 2 2' 'e 3 0' 'b 0 1' 'f 4 0' 'g 2 2' >want
same 'each with what it equals, in input order' have want
vnp-cat --json unique | sed 's/.*"ordinal":\([0-9]*\),"id":"\([^"]*\)".*/\1 \2/' >have
printf '%s\n' '0 a' '1 b' '2 d' '3 e' '4 f' >want
same 'each once, renumbered' have want
vnp-cat --json tok | grep -E '"id":"[abdef]"' | sed 's/"ordinal":[0-9]*,//' | awk '!seen[$0]++ && !/"b".*\[0,20,15,7,2\]/' >want
vnp-cat --json unique | sed 's/"ordinal":[0-9]*,//' >have
same 'with its tokens' have want
by() { vnp-cat --summary --json "$1" | sed 's/.*"by":\(.*\),"vocab.*/\1/'; }
check 'the stream came through no stage more' [ "$(by unique)" = "$(by tok)" ]
check 'the copies did' sh -c 'vnp-cat --summary --json copies | grep -q "\"stage\":\"vnp-dedup\""'
digest() { vnp-cat --summary --json "$1" | sed -n 's/.*"unique":"\([^"]*\)".*/\1/p'; }
check 'both have the digest' [ "$(digest unique)" = "$(digest copies)" ]
check 'which is 16 digits' sh -c "echo $(digest unique) | grep -Eqx '[0-9a-f]{16}'"
check 'and goes on to the stages behind' sh -c "vnp-pack -q unique | vnp-cat --summary --json | grep -q $(digest unique)"
status 'stdin to stdout' 0 sh -c 'vnp-dedup -q --copies again <tok >unique2'
check '-q says nothing' [ ! -s err ]
same 'equal work, equal bytes' unique2 unique
same 'of the copies too' again copies
status 'copies to stdout' 0 sh -c 'vnp-dedup -q --copies - -o unique2 tok >again'
same 'are the same' again copies
sed 's/^>g/>h/' in.fa | vnp-fasta2tok -q 2>err | vnp-dedup -q --copies other -o unique2
check 'another input has another digest' [ "$(digest unique2)" != "$(digest unique)" ]
printf '' | vnp-fasta2tok -q --allow-empty | vnp-dedup --copies none -o unique2 2>err
says 'no records' '^vnp-dedup: 0 records, 0 of them unique; 0 of 0 tokens saved \(0\.0%\)$'
check 'are streams too' sh -c 'vnp-cat --check none unique2'
status '--max-len makes equal what begins alike' 0 sh -c 'vnp-fasta2tok -q --max-len 2 in.fa | vnp-dedup --copies cut -o unique2'
says 'as many as begin alike' '8 records, 2 of them unique'
vnp-cat --json cut | sed -n '1s/,"of".*//p' >have
printf '{"ordinal":0,"id":"a","length":2,"total":3,"flags":["truncated"]\n' >want
same 'each with its own total and flags' have want

# So many, in so little memory, that the sort and the arrays are in files: the answer is the same.
awk 'BEGIN { for (i = 0; i < 200000; i++) { x = (x * 69069 + 1) % 4294967296; printf ">r%d\nMK%d\n", i, x % 90000 } }' |
    tr 0-9 ACDEFGHIKL >many.fa
vnp-fasta2tok -q many.fa >many 2>err
vnp-dedup -q --copies much -o unique.much many
status '--memory 1' 0 vnp-dedup --memory 1 --copies little -o unique.little many
same 'the same copies' little much
same 'the same stream' unique.little unique.much
awk '/^>/ { id = $0; next } !($0 in seen) { seen[$0] = n++ } { print seen[$0] }' many.fa >want
vnp-cat --tsv little | cut -f 2 >have
same 'as awk has it' have want

# Usage and faults.
status 'without --copies' 2 vnp-dedup tok
says 'says what it is for' '^vnp-dedup: --copies FILE is wanted: vnp-expand needs it'
status 'both to stdout' 2 vnp-dedup --copies - tok
status 'both to stdout by another name' 2 vnp-dedup --copies /dev/stdout tok
status 'both into one file' 2 vnp-dedup --copies x -o x tok
status 'copies over the input' 2 vnp-dedup --copies tok -o x tok
status 'the stream over the input' 2 vnp-dedup --copies x -o tok tok
status 'two files' 2 vnp-dedup --copies x tok tok
for bad in 0 -1 x ''; do status "--memory '$bad'" 2 vnp-dedup --memory "$bad" --copies x tok; done
refused() { # refused NAME STATUS PATTERN COMMAND...: and neither file is left
    rm -rf o && mkdir o
    status "$1" "$2" "${@:4}"
    says "$1: says so" "$3"
    check "$1: in one line" [ "$(wc -l <"$T/err")" = 1 ]
    check "$1: leaves no file" [ -z "$(ls -A o)" ]
}
vnp-pack -q tok >batches
refused 'batches' 65 'holds batches, but tokens are wanted' vnp-dedup -q --copies o/c -o o/u batches
refused 'its own output' 65 'has been through vnp-dedup before' vnp-dedup -q --copies o/c -o o/u unique
printf '%s\n' 'first 5' 'head tokens 0 - - 0 -' 'row 5 a 1 0 0 5 2' | "$BUILD/tests/stream/tool_mkstream" >part
refused 'a part of an input' 65 'a part of an input, from record 5 on: put vnp-dedup before' vnp-dedup -q --copies o/c -o o/u part
refused 'no stream' 65 'no stream came' vnp-dedup -q --copies o/c -o o/u /dev/null
refused 'no such file' 66 'nothing' vnp-dedup -q --copies o/c -o o/u nothing
head -c 300 tok >cut.tok
refused 'a cut stream' 65 'without an end frame' vnp-dedup -q --copies o/c -o o/u cut.tok
printf '>a\nMK\0V\n' | vnp-fasta2tok -q >failed 2>err
refused 'a stage before that failed' 65 '^vnp-dedup: stopped: vnp-fasta2tok: ' vnp-dedup -q --copies o/c -o o/u failed
refused 'no folder for the copies' 73 'no/where' vnp-dedup -q --copies no/where -o o/u tok
refused 'no folder for the stream' 73 'no/where' vnp-dedup -q --copies o/c -o no/where tok
refused 'no folder for temporary files' 73 'set TMPDIR' env TMPDIR=/no/such vnp-dedup -q --copies o/c -o o/u tok
refused 'a full disk for temporary files' 74 'temporary file can.t be written' \
    bash -c 'trap "" XFSZ; ulimit -f 100; vnp-dedup -q --copies o/c -o o/u many'
refused 'a full disk for the copies' 74 '/dev/full|No space' vnp-dedup -q --copies /dev/full -o o/u tok
status 'a full disk for the stream' 74 sh -c 'vnp-dedup -q --copies c tok >/dev/full'
status 'a closed stdout' 74 sh -c 'vnp-dedup -q --copies c tok >&-'
vnp-dedup -q --copies c cut.tok 2>err | vnp-pack -q >out 2>err2
check 'the next stage repeats the cause' grep -q 'stopped: vnp-dedup: .*without an end frame' err2
finish
