#!/usr/bin/env bash
# vnp-cat on streams made to measure: every kind as JSON and as a table, arrays, summaries, verdicts, bad input.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
mk() { "$BUILD/tests/stream/tool_mkstream"; }
text_is() { # text_is NAME WANT: the last command's stdout
    printf '%s\n' "$2" >want
    same "$1" out want
}

holds() { # holds NAME PATTERN: the last command's stdout
    if grep -Eq -- "$2" out; then tap ok "$1"; else
        tap 'not ok' "$1"
        head -c 2000 out | sed 's/^/# /'
    fi
}

mk >emb <<'EOS'
head embeddings 3 f32 mean 2 abc
row 0 a 5 0 1 -2.5 3e-9
block
row 1 b%22%5c%09%ff%c3%a9 7 1 0.1 nan -inf
EOS
check 'embeddings as JSON' vnp-cat --json emb
text_is 'shortest floats, null for NaN, escaped ids, flags by name' '{"ordinal":0,"id":"a","length":5,"embedding":[1.0,-2.5,3e-09]}
{"ordinal":1,"id":"b\"\\\u0009\ufffdé","length":7,"flags":["truncated"],"embedding":[0.1,null,null]}'
cp out json
check 'JSON is the default' vnp-cat emb
same 'and is the same' out json
check 'stdin is the default' sh -c 'vnp-cat <emb'
same 'and is the same' out json
check 'a dash is stdin' vnp-cat - <emb
if command -v jq >jq.path; then
    check 'other programs can read it' sh -c 'vnp-cat emb | jq -e -s "length == 2 and .[0].embedding[1] == -2.5"'
else
    skip 'other programs can read it' 'no jq'
fi
check 'a table' vnp-cat --tsv emb
text_is 'one line a row; control characters are replaced' "$(printf 'a\t1.0\t-2.5\t3e-09\nb"\\?\xff\xc3\xa9\t0.1\tnan\t-inf')"

mk >none <<'EOS'
head embeddings 2 f16 none 2 abc
row 0 a 2 0 1 2 3 4
row 1 empty 0 2
row 2 b 1 0 0.5 65504
EOS
check 'a vector for each residue' vnp-cat none
text_is 'as arrays of arrays' '{"ordinal":0,"id":"a","length":2,"embedding":[[1.0,2.0],[3.0,4.0]]}
{"ordinal":1,"id":"empty","length":0,"flags":["empty"],"embedding":[]}
{"ordinal":2,"id":"b","length":1,"embedding":[[0.5,65504.0]]}'
check 'a vector for each residue, as a table' vnp-cat --tsv none
text_is 'a line for each' "$(printf 'a\t1.0\t2.0\na\t3.0\t4.0\nb\t0.5\t65504.0')"

mk >hidden <<'EOS'
head hidden 1 bf16 - 2 abc
window 0 a 1 12 1 2 1 2 1 2 3
EOS
check 'hidden states' vnp-cat hidden
text_is 'with their window' \
    '{"ordinal":0,"id":"a","length":1,"total":2,"window":1,"windows":2,"start":1,"flags":["redone","nonfinite"],"hidden":[[1.0],[2.0],[3.0]]}'

mk >tokens <<'EOS'
head tokens 0 - - 0 -
row 0 a 2 0 0 20 15 2
row 1 b 1 0 0 4 2
EOS
check 'tokens' vnp-cat tokens
text_is 'as numbers' '{"ordinal":0,"id":"a","length":2,"tokens":[0,20,15,2]}
{"ordinal":1,"id":"b","length":1,"tokens":[0,4,2]}'
check 'tokens as a table' vnp-cat --tsv tokens
text_is 'id, then tokens' "$(printf 'a\t0\t20\t15\t2\nb\t0\t4\t2')"
mk >copies <<'EOS'
unique 0123abc
head copies 0 - - 0 -
row 0 a 2 0 0 1
row 1 b 1 1 1 0
row 2 c 2 0 0 1
EOS
check 'copies' vnp-cat copies
text_is 'what each record equals, and where that is kept' '{"ordinal":0,"id":"a","length":2,"of":0,"slot":1}
{"ordinal":1,"id":"b","length":1,"flags":["truncated"],"of":1,"slot":0}
{"ordinal":2,"id":"c","length":2,"of":0,"slot":1}'
check 'copies as a table' vnp-cat --tsv copies
text_is 'id, of, slot' "$(printf 'a\t0\t1\nb\t1\t0\nc\t0\t1')"
check 'their ids' vnp-cat --ids ids copies
printf 'a\nb\nc\n' >want
same 'a line for each' ids want
status 'they are no vectors' 65 vnp-cat --npy n.npy copies
check 'a summary of copies' sh -c 'vnp-cat --summary copies | grep -q "unique     copies of records 0123abc"'
check 'and as JSON' sh -c 'vnp-cat --summary --json copies | grep -q "\"unique\":\"0123abc\""'
mk >batches <<'EOS'
head batches 0 - - 0 -
row 1 b 1 0 0 4 2
block
row 0 a 1 0 0 5 2
EOS
check 'batches' vnp-cat batches
text_is 'with their number' '{"ordinal":1,"id":"b","length":1,"batch":0,"tokens":[0,4,2]}
{"ordinal":0,"id":"a","length":1,"batch":1,"tokens":[0,5,2]}'

# arrays
check 'an array and its ids' vnp-cat --npy a.npy --ids a.ids emb emb
cp out silent
check 'say nothing on stdout' [ ! -s silent ]
check 'the header says what NumPy expects' sh -c "head -c 128 a.npy | tail -c +11 | grep -q \"^{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), } *\$\""
check 'size of the array' [ "$(wc -c <a.npy)" = $((128 + 4 * 3 * 4)) ]
od -An -tx4 -j128 -N12 a.npy | tr -s ' ' >bits
check 'its first row' grep -qE "^ ?3f800000 c0200000 314e" bits
check 'an id for each row' [ "$(wc -l <a.ids)" = 4 ]
check 'the first is a' [ "$(head -n 1 a.ids)" = a ]
check 'halves become floats, a row for each residue' vnp-cat --npy n.npy --ids n.ids none
check 'three rows of two' sh -c "head -c 128 n.npy | grep -q '(3, 2)'"
text_ids=$(tr '\n' ' ' <n.ids)
check 'their ids are repeated' [ "$text_ids" = 'a a b ' ]
check 'a table beside the array' vnp-cat --tsv --npy n2.npy none
same 'the same array' n.npy n2.npy
check 'with its table on stdout' [ "$(wc -l <out)" = 3 ]
status 'no array of tokens' 65 vnp-cat --npy t.npy tokens
says 'says what is wanted' 'tokens: holds tokens, but --npy wants vectors'
check 'and leaves no file' [ ! -e t.npy ]
status 'no array of two widths' 65 vnp-cat --npy w.npy emb none
says 'names both' 'none: vectors of 2, but .* rows have 3'
check 'and leaves no file' [ ! -e w.npy ]
status 'an array needs a file' 73 vnp-cat --npy /dev/null emb

# summaries and verdicts
check 'a verdict' vnp-cat --check emb none tokens
holds 'one line a file' '^emb: ok, 2 sequences, 2 rows, 16 tokens, crc32 [0-9a-f]{8}$'
check 'all three' [ "$(grep -c ': ok, ' out)" = 3 ]
check 'a summary' vnp-cat --summary hidden
holds 'has the numbers' '0 sequences in 1 row, 3 tokens'
check 'a summary as JSON' vnp-cat --summary --json emb
holds 'has the numbers' '"layer":2,"width":3,"dtype":"f32","pool":"mean","ordered":true,"sequences":2,"rows":2,"tokens":16,"residues":12,"shortest":5,"longest":7,"truncated":1'
check '-o writes a file' vnp-cat -o out.json emb
same 'with the same text' out.json json

# bad input
head -c 300 emb >"cut"
status 'a cut file' 65 vnp-cat --check emb cut none
says 'is named with its frames' '^vnp-cat: cut: ends after 1 whole frames without an end frame'
check 'the others are checked all the same' [ "$(grep -c ': ok, ' out)" = 2 ]
status 'a cut file as JSON' 65 vnp-cat cut
head -c -5 emb >"cut"
status 'a file without its end' 65 vnp-cat cut
same 'shows what came before' out json
status 'a cut file as an array' 65 vnp-cat --npy cut.npy --ids cut.ids -o cut.json cut
check 'leaves nothing' sh -c '! ls cut.npy cut.ids cut.json cut*tmp* 2>/dev/null'
printf 'head tokens 0 - - 0 -\nrow 0 a 1 0 0 4 2\nfail 74 in.fa: read error\n' | mk >failed
status "an earlier stage's failure" 74 vnp-cat --check failed
says 'is told with its name' '^vnp-cat: failed: mkstream failed: in.fa: read error'
status "an earlier stage's failure, as JSON" 74 vnp-cat failed
says 'is told with its name' 'mkstream: in.fa: read error'
cp emb flipped
printf '\xff' | dd of=flipped bs=1 seek=320 conv=notrunc 2>/dev/null
status 'a damaged file' 65 vnp-cat --check flipped
says 'has a frame number' 'flipped: frame [0-9]+: '
status 'an empty file' 65 vnp-cat /dev/null
status 'no file' 66 vnp-cat none.such
says 'is named' 'none.such: No such file'
status 'a FASTA file' 65 vnp-cat "$PROTEINS"
status 'a full disk' 74 sh -c 'vnp-cat emb >/dev/full'
status 'a full disk, with -o' 74 vnp-cat -o /dev/full emb
status 'a closed stdout' 74 sh -c 'vnp-cat emb >&-'
status 'two verdicts' 2 vnp-cat --check --summary emb
status 'JSON and a table' 2 vnp-cat --json --tsv emb
status 'an array of a verdict' 2 vnp-cat --check --npy x.npy emb
status 'an array and its ids into one file' 2 vnp-cat --npy one --ids one emb
says 'says which' '^vnp-cat: --npy and --ids: both into one'
status 'one file by two names, which is not there yet' 2 vnp-cat --npy ./new --ids new vectors
check 'it is not made' [ ! -e new ]
status 'an array and text into one file' 2 vnp-cat --tsv --npy one -o one emb
status 'ids and text into one file' 2 vnp-cat --json --ids one -o one emb
status 'ids and text on stdout' 2 vnp-cat --json --ids - emb
check 'ids alone on stdout' sh -c 'vnp-cat --ids - emb | head -n 1 | grep -qx a'
check 'leave no file' [ ! -e one ]
cp emb input
for output in '-o input' '--npy ./input' '--ids input'; do
    # shellcheck disable=SC2086
    status "$output over the input" 2 vnp-cat $output emb input
    says 'says so' '^vnp-cat: (\./)?input: is the input; choose another name for the output$'
done
same 'the input is still there' emb input
check 'a reader that stops early' sh -c 'vnp-cat emb | head -n 1 >/dev/null'

# each file: the whole pipeline's own output, zstd and plain
if [ -x "$BUILD/bin/vnp-fasta2tok" ]; then
    vnp-fasta2tok -q "$PROTEINS" >real
    check 'real proteins' vnp-cat --check real
    holds 'all of them' "ok, $(grep -c '>' "$PROTEINS") sequences"
    vnp-cat real | sed 's/.*"id":"\([^"]*\)".*/\1/' >ids
    sed -n 's/^>\([^ ]*\).*/\1/p' "$PROTEINS" >want
    same 'in order, with their ids' ids want
fi
finish
