#!/usr/bin/env bash
# vnp-split: what is in the blocks, where they are cut, their table, and that nothing short can be taken for whole.
# shellcheck disable=SC2016  # what is quoted is for other programs
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
mk() { "$BUILD/tests/stream/tool_mkstream" >"$1"; }
lines() { printf '%s\n' "$@"; }
split() { vnp-split -q "$@"; }
left() { find . -maxdepth 1 -name "$1*"; }
nothing_left() { [ -z "$(left "$1")" ]; }

awk '/^>/ { n++ } n <= 40' "$PROTEINS" >in.fa
printf '>none\n>again\nMKTAYIAKQR\n>again\nMK\n' >>in.fa
vnp-fasta2tok -q in.fa >whole 2>err
vnp-fasta2tok -q --window 100 --overlap 20 in.fa >windows 2>err

# --- what the blocks hold -------------------------------------------------------------------------------------------

# FIRST SEQUENCES TOKENS of each block, by the lengths of the rows: cut_by RECORDS TOKENS, 0 for no limit.
cut_by() {
    sed 's/.*"ordinal":\([0-9]*\).*"length":\([0-9]*\).*/\1 \2/' rows | awk -v records="$1" -v tokens="$2" '
        { n[$1] += $2 + 2; last = $1 }
        END {
            for (i = 0; i <= last; i++) {
                if (i > 0 && ((records && c == records) || (tokens && t + n[i] > tokens))) {
                    print first + 0, c, t
                    first = i; c = 0; t = 0
                }
                c++; t += n[i]
            }
            print first + 0, c, t
        }'
}
say_themselves() { # what each block says of itself, as the table should have it
    local f
    lines "block${tab}first${tab}sequences${tab}tokens${tab}crc32"
    for f in "$1"/*.vnp; do
        vnp-cat --summary --json "$f" | grep -q '"first":' || printf '%s\t0' "$(basename "$f" .vnp)"
        vnp-cat --summary --json "$f" | sed -n "s,^{\"file\":\"$1/\([0-9]*\).vnp\".*\"first\":\([0-9]*\).*,\1\t\2,p" | tr -d '\n'
        vnp-cat --summary --json "$f" | sed 's/.*"sequences":\([0-9]*\).*"tokens":\([0-9]*\).*"crc32":"\([0-9a-f]*\)".*/\t\1\t\2\t\3/'
    done
}
tab=$(printf '\t')
check 'the blocks have a summary to compare with' sh -c 'vnp-cat --summary --json whole | grep -q "\"sequences\":43"'
for stream in whole windows; do
    vnp-cat --json $stream >rows
    for how in '--records 1' '--records 7' '--records 42' '--records 43' '--records 9999' '--tokens 1' '--tokens 400' \
        '--tokens 3000' '--tokens 99999999'; do
        name="$stream, $how"
        rm -rf blocks
        # shellcheck disable=SC2086  # options are words
        check "$name" vnp-split -q $how -o blocks $stream
        vnp-cat --json blocks/*.vnp >got
        same "$name: every row, in order" got rows
        n=${how#* }
        case $how in --records*) cut_by "$n" 0 ;; *) cut_by 0 "$n" ;; esac >want
        tail -n +2 blocks/blocks.tsv | awk '{ print $2, $3, $4 }' >got
        same "$name: cut where it should be" got want
        say_themselves blocks >want
        same "$name: the table says what the blocks say" blocks/blocks.tsv want
        check "$name: the blocks are whole" vnp-cat --check blocks/*.vnp
        # shellcheck disable=SC2086
        vnp-split -q $how --list <$stream >list
        same "$name: --list" list blocks/blocks.tsv
        vnp-concat -q --plain blocks/*.vnp >again
        same "$name: together again" again $stream
    done
done
split --tokens 400 --list whole >table
check 'a record larger than --tokens is a block of its own' [ "$(awk '$4 > 400 { print $3 }' table | sort -u)" = "$(lines 1 sequences)" ]
rm -rf blocks
split --records 10 -o blocks whole
(cd blocks && ls) >got
lines 00000{0,1,2,3,4}.vnp blocks.tsv >want
same 'the files' got want
vnp-cat --summary blocks/000003.vnp >got
check 'a block says where it begins' grep -q 'begins at  record 30 of the input' got
check 'and how it was made, as the whole does' diff <(sed -n '/ by /,/vocabulary/p' got) <(vnp-cat --summary whole | sed -n '/ by /,/vocabulary/p')
split --records 10 -o once whole
check 'twice: the same bytes' diff -r once blocks
split --records 10 -o stdin <whole
check 'from stdin: the same bytes' diff -r stdin blocks
mkdir empty
check 'into a directory that is empty' vnp-split -q --records 10 -o empty/ whole
check 'into an empty one: the same bytes' diff -r empty blocks
mkdir behind && ln -s behind link
check 'into an empty one behind a symbolic link' vnp-split -q --records 10 -o link whole
check 'into an empty one behind a symbolic link: the same bytes' diff -r behind blocks
split --records 4 -o parts blocks/000002.vnp
awk 'NR > 1 { print $1, $2, $3 }' parts/blocks.tsv >got
lines '000000 20 4' '000001 24 4' '000002 28 2' >want
same 'a block may be cut again' got want
check 'its first block begins where it does' sh -c 'vnp-cat --summary --json parts/000000.vnp | grep -q "\"first\":20,"'
status 'says what it did' 0 vnp-split --records 10 -o said whole
says 'says how much' '^vnp-split: 5 blocks, 43 sequences, [0-9]+ tokens$'
status 'one block by default' 0 vnp-split -o one whole
says 'one block: says so' '^vnp-split: 1 block, 43 sequences'
same 'one block: is the stream' one/000000.vnp whole
zstd -q -c whole >whole.zst
check 'a compressed stream' sh -c 'vnp-split -q --records 10 --list whole.zst | cmp - blocks/blocks.tsv'

# Through the other stages: blocks stay parts.
vnp-model synth -q 1x2x32 -o model
vnp-pack -q <blocks/000001.vnp | vnp-cpu-forward -q --model model | vnp-pool -q >part.zst
check 'a block embeds' sh -c 'vnp-cat --summary --json part.zst | grep -q "\"kind\":\"embeddings\",\"first\":10,.*\"sequences\":10,"'
vnp-pack -q <blocks/000001.vnp | vnp-cpu-forward -q --model model --pool mean | vnp-pool -q >pooled.zst
check 'and where the forward stage pools' sh -c 'vnp-cat --summary --json pooled.zst | grep -q "\"first\":10,.*\"sequences\":10,"'

# --- the table tells inputs apart -----------------------------------------------------------------------------------

split --records 10 --list whole >table
sed '$s/MK/MR/' in.fa | vnp-fasta2tok -q 2>err | split --records 10 --list >other
check 'another last letter: another last block alone' [ "$(diff table other | grep -c '^<')" = 1 ]
check 'and that is the last' diff <(head -n -1 table) <(head -n -1 other)
for change in '$s/MK/MKV/' 's/^>again$/>other/'; do
    sed "$change" in.fa | vnp-fasta2tok -q 2>err | split --records 10 --list >other
    check "another length, another id: $change" [ "$(diff table other | grep -c '^<')" = 1 ]
done
vnp-fasta2tok -q --max-len 60000 in.fa 2>err | split --records 10 --list >other
check 'another option of the tokenizer: other blocks all over' [ "$(diff table other | grep -c '^<')" = 5 ]
row() { echo "row $1 r$1 1 0 0 5 2"; }
{ lines 'head tokens 0 - - 0 -'; row 0; row 1; row 2; row 3; } | mk one-frame
{ lines 'head tokens 0 - - 0 -'; for i in 0 1 2 3; do row $i; echo block; done; } | mk four-frames
split --records 3 --list one-frame >want
split --records 3 --list four-frames >got
same 'the frames of the input do not show' got want
check 'nor is that one empty' [ "$(wc -l <want)" = 3 ]

# --- no records -----------------------------------------------------------------------------------------------------

printf '' | vnp-fasta2tok -q --allow-empty >none 2>err
check 'an input without a record' vnp-split -q -o none.d none
lines "block${tab}first${tab}sequences${tab}tokens${tab}crc32" \
    "000000${tab}0${tab}0${tab}0${tab}$(vnp-cat --summary --json none | sed 's/.*"crc32":"\(.*\)".*/\1/')" >want
same 'is one block' none.d/blocks.tsv want
same 'without a record' none.d/000000.vnp none
lines 'first 9' 'head tokens 0 - - 0 -' | mk none-of-part
check 'a part without a record begins where it did' [ "$(split --list none-of-part | awk 'NR == 2 { print $2 }')" = 9 ]

# --- what is refused ------------------------------------------------------------------------------------------------

refused() { # refused NAME STATUS PATTERN ARGUMENT...: and leaves no directory
    status "$1" "$2" vnp-split -q "${@:4}"
    says "$1: says so" "$3"
    check "$1: one line" [ "$(wc -l <err)" = 1 ]
    check "$1: nothing is left" nothing_left new
}
head -c -1 whole >short
refused 'a stream cut by a byte' 65 '^vnp-split: short: ends after .* without an end frame' --records 5 -o new short
head -c 3000 whole >short
refused 'a stream cut early' 65 'without an end frame' --records 5 -o new short
status 'a stream cut, --list' 65 vnp-split -q --list short
{ lines 'head tokens 0 - - 0 -'; row 0; echo block; row 1; echo 'fail 69 no GPU left'; } | mk failed
refused 'the stage before failed' 69 '^vnp-split: stopped: mkstream: no GPU left' --records 1 -o new failed
vnp-pack -q <whole >batches
refused 'batches' 65 '^vnp-split: batches: holds batches, but tokens are wanted' -o new batches
refused 'embeddings' 65 'part.zst: holds embeddings, but tokens are wanted' -o new part.zst
refused 'FASTA' 65 'in.fa: is no stream of frames: looks like FASTA' -o new in.fa
refused 'no such file' 66 'nothing-here' -o new nothing-here
refused 'a folder that is not there' 73 'nowhere/new: can.t be made' -o nowhere/new whole
refused 'below a file' 73 '^vnp-split: whole/new: can.t be made: Not a directory$' -o whole/new whole
long=$(printf '%0254d' 0)
check 'the longest name' vnp-split -q --records 10 -o "${long}n" whole
check 'the longest name: the same bytes' diff -r "${long}n" blocks
rm -rf "${long}n"
refused 'a name too long' 73 ': can.t be made: File name too long$' -o "${long}ew" whole
check 'a name too long: nothing is left' nothing_left 00
cp -r blocks kept
refused 'a directory that is there' 73 'blocks: already exists and is not an empty directory' -o blocks whole
check 'and stays as it was' diff -r kept blocks
mkdir here
status 'the current directory' 73 env -C here vnp-split -q -o . ../whole
says 'the current directory: says so' '^vnp-split: \.: is the current directory, .*: give another name'
check 'the current directory: stays empty' [ -z "$(ls -A here)" ]
refused 'a file that is there' 73 'in.fa: already exists' -o in.fa whole
status 'where to?' 2 vnp-split whole
says 'where to? says so' '^vnp-split: where to\? Give -o DIR, or --list$'
for misuse in '-o new --list' '-o new --records 5 --tokens 5' '-o new --records 0' '-o new --records x' '-o new --tokens 0' \
    '-o new --tokens -1' '-o new whole'; do
    # shellcheck disable=SC2086
    status "misuse: $misuse" 2 vnp-split $misuse whole
done
status 'stdout as output' 2 vnp-split -q -o - whole
says 'stdout as output: says so' '^vnp-split: -o -: is stdout, and a directory is wanted; \./- is one of that name$'
check 'stdout as output: there is no folder' [ ! -e ./- ]
check 'a directory of that name' vnp-split -q --records 10 -o ./- whole
check 'a directory of that name: is whole' diff -r ./- blocks
check 'misuse leaves nothing' nothing_left new
status 'the table on a full disk' 74 sh -c 'vnp-split -q --list whole >/dev/full'
status 'the table and no stdout' 74 sh -c 'vnp-split -q --list whole >&-'
if sanitized; then
    skip 'more than a million blocks' 'takes long under AddressSanitizer'
else
    awk 'BEGIN { for (i = 0; i <= 1000000; i++) print ">" i "\nM" }' | vnp-fasta2tok -q >million
    status 'more than a million blocks are refused' 2 sh -c 'vnp-split --records 1 --list <million >table'
    says 'with the way out' '^vnp-split: stdin: makes more than 1000000 blocks: let them be larger \(--records, --tokens\)$'
fi

# --- interrupted ----------------------------------------------------------------------------------------------------

interrupted() { # interrupted SIGNAL: while the input is held open behind whole blocks
    rm -rf new*
    mkfifo feed
    { head -c -40 whole && exec sleep 30; } >feed &
    local feeder=$! pid rc
    vnp-split -q --records 1 -o new feed &
    pid=$!
    for _ in $(seq 200); do
        [ -n "$(find . -path './new.tmp.*/00000[1-9].vnp')" ] && break
        sleep 0.05
    done
    [ -n "$(find . -path './new.tmp.*/00000[1-9].vnp')" ] && [ ! -e new ] || echo 'not as it should be before the signal' >&2
    kill "-$1" $pid
    wait $pid
    rc=$?
    kill $feeder 2>/dev/null
    rm -f feed
    return $rc
}
for signal in TERM:143 HUP:129; do
    status "SIG${signal%:*}" "${signal#*:}" interrupted "${signal%:*}"
    lacks "SIG${signal%:*}: blocks were there" 'not as it should be' err
    check "SIG${signal%:*}: nothing is left" nothing_left new
done
status 'SIGKILL' 137 interrupted KILL
check 'SIGKILL: nothing has the name' [ ! -e new ]
check 'and the next run makes it' vnp-split -q --records 10 -o new whole
check 'whole' diff -r new blocks
rm -rf new*
if unshare -rm true 2>/dev/null; then
    mkdir small
    cat >small.sh <<'EOF'
mount -t tmpfs -o size=64k none small || exit 99
vnp-split -q --records 2 -o small/new whole
[ $? = 74 ] && [ -z "$(ls -A small)" ]
EOF
    check 'a full disk: status 74, nothing left' unshare -rm bash small.sh
    says 'a full disk is named' '^vnp-split: small/new.tmp.*No space left'
else
    skip 'a full disk' 'no user namespaces here'
fi
finish
