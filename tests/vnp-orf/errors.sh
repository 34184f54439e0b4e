#!/usr/bin/env bash
# Bad input, bad options and outputs that fail: one line that says what, where and the way out; the right status; no
# file, and no stream that looks whole.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

refuses() { # NAME STATUS PATTERN ARGUMENT...: nothing written, neither to files nor to stdout
    local name=$1 want=$2 pattern=$3
    shift 3
    rm -f n.fa p.fa
    status "$name" "$want" vnp-orf --nucleotides n.fa --proteins p.fa "$@"
    says "$name: the line" "^vnp-orf: $pattern\$"
    cp "$T/err" lines
    check "$name: no other line" [ "$(wc -l <lines)" = 1 ]
    check "$name: nothing written" sh -c '[ ! -e n.fa ] && [ ! -e p.fa ] && ! ls | grep -q tmp'
}
bases() { awk -v n="$1" 'BEGIN { srand(n); while (n-- > 0) printf "%s", substr("ACGT", 1 + int(rand() * 4), 1) }'; }

# A protein file is noticed, at its first record or later.
refuses 'proteins' 65 \
    '.*/proteins.faa:1: record 1 \(gi\|7525080\|.*\): 34 of 123 letters are no nucleotides, P \(9\), .*: a protein\? .*' \
    "$PROTEINS"
status 'proteins: to stdout' 65 vnp-orf "$PROTEINS"
cp "$T/out" sent
check 'proteins: nothing on stdout but the mark of an error' sh -c '[ "$(wc -l <sent)" = 1 ] && grep -aq "^>vnp-orf-stopped" sent'
{ echo '>c1' && bases 900 && printf '\n>p1\nMKLVIEQFPA\n'; } >mixed.fa
refuses 'a protein among contigs' 65 'mixed.fa:3: record 2 \(p1\): 6 of 10 letters are no nucleotides, .*' mixed.fa
if [ -r "$DATA/palmdb_rdrp.faa" ]; then
    refuses 'real proteins' 65 '.*record 1 .* letters are no nucleotides, .*a protein.*' "$DATA/palmdb_rdrp.faa"
else
    skip 'real proteins' 'no real sequences here'
fi
printf '>a\nACGTACGTAE\n' >tenth.fa
refuses 'one letter in ten' 65 'tenth.fa:1: record 1 \(a\): 1 of 10 letters are no nucleotides, E \(1\): .*' tenth.fa
printf '>a\nACGTACGTACE\n' >tenth.fa
status 'one letter in eleven passes' 0 vnp-orf tenth.fa
says 'one letter in eleven is warned about' \
    '^vnp-orf: warning: 1 letter is no nucleotide: E \(1\); the first in tenth.fa:1: record 1 \(a\)$'
printf '>a\nRYSWKMBDHVNXU-.ryswkmbdhvnxu\n' >iupac.fa
status 'IUPAC codes alone are no protein' 0 vnp-orf iupac.fa
lacks 'IUPAC codes: no warning of strays' 'no nucleotide' "$T/err"

deep=$(printf '%0200d/' 1 2 3)
mkdir -p "$deep" && cp tenth.fa "$deep"
status 'a path of 600 characters' 0 vnp-orf "${deep}tenth.fa"
says 'a path of 600 characters: the record is named' \
    '^vnp-orf: warning: 1 letter is no nucleotide: E \(1\); the first in \.\.\.[0-9/]+3/tenth.fa:1: record 1 \(a\)$'
printf '>a\nACGT\n>a\nACGT\n' >"${deep}twice.fa"
status 'a path of 600 characters, of bad input' 65 vnp-orf "${deep}twice.fa"
says 'a path of 600 characters, of bad input: both records are named' \
    '^vnp-orf: \.\.\.[0-9/]+3/twice.fa:3: record 2 \(a\): has the id of record 1 of .*/twice.fa: rename one, '

# Ids must differ.
printf '>a\nACGT\n>b x\nACGT\n>c\n>a y\nACGT\n' >twice.fa
refuses 'an id that comes twice' 65 \
    'twice.fa:6: record 4 \(a\): has the id of record 1 of twice.fa: rename one, .*' twice.fa
printf '>x\nACGT\n>y\n' >other.fa
printf '>y\nAC\n>z\nAC\n>x\nACGT\n' >more.fa
refuses 'an id in another file' 65 'more.fa:5: record 3 \(x\): has the id of record 1 of other.fa: .*' other.fa more.fa
printf '>x\nACGT\n>\nACGTACG\n' >none.fa
refuses 'a record without an id' 65 'none.fa:3: record 2 \(\): has no id: give it one, .*' none.fa

# Frames must have ids that the next stage takes, those of a chunk of any number.
id_of() { head -c "$1" /dev/zero | tr '\0' i; }
{ printf '>x\nACGT\n>' && id_of 65507 && printf '\nGGGGGGGG\n'; } >long.fa
refuses 'an id too long' 65 \
    'long.fa:3: record 2 \(i+.*\): its id has 65507 bytes, and at most 65506 leave room .*: give it a shorter one' long.fa
printf '>%s\nGGGGGGGG\n' "$(id_of 65506)" >longest.fa
check 'the longest id' sh -c 'vnp-orf -q longest.fa | vnp-fasta2tok -q >longest.tok'

# What the reader complains of comes through.
refuses 'a missing file' 66 'nowhere.fa: No such file or directory' nowhere.fa
refuses 'a missing second file' 66 'nowhere.fa: No such file or directory' other.fa nowhere.fa
: >empty.fa
refuses 'an empty file' 65 'empty.fa: no records: the file is empty' empty.fa
printf '>a\nACGT\0ACGT\n' >nul.fa
refuses 'a NUL byte' 65 'nul.fa:2: record 1 \(a\): NUL byte.*' nul.fa
{ echo '>a' && bases 40000; } | gzip | head -c 5000 >cut.gz
refuses 'a truncated .gz' 65 'cut.gz:2: record 1 \(a\): truncated: .*' cut.gz

misuse() { # NAME PATTERN ARGUMENT...
    local name=$1 pattern=$2
    shift 2
    status "$name" 2 vnp-orf "$@"
    says "$name: says so" "^vnp-orf: $pattern"
}
for n in 2 0 -500 1000001 500x 1e3 '' 99999999999999999999; do
    misuse "-l '$n'" '--length: not a whole number from 3 to 1000000: ' -l "$n" other.fa
done
misuse 'both outputs the same file' \
    '--nucleotides and --proteins are the same, x.fa$' --nucleotides x.fa --proteins x.fa other.fa
misuse 'both to stdout' '--nucleotides and --proteins are the same, -$' --nucleotides - --proteins - other.fa
misuse 'both to stdout by another name' '--nucleotides and --proteins are the same, /dev/stdout$' --nucleotides - --proteins /dev/stdout other.fa
misuse 'both to stdout by two others' '--nucleotides and --proteins are the same, ' --nucleotides /dev/fd/1 --proteins /dev/stdout other.fa
misuse 'the chunks into the proteins' '--proteins and --chunks are the same, /dev/stdout$' --chunks /dev/stdout other.fa
status 'one of them to nowhere' 0 sh -c 'vnp-orf -q --nucleotides - --proteins /dev/null "$1" >/dev/null' sh "$ROOT/tests/data/contigs.fa"
status 'both to nowhere' 0 vnp-orf -q --nucleotides /dev/null --proteins /dev/null "$ROOT/tests/data/contigs.fa"
echo old >x.fa && ln x.fa y.fa
misuse 'both outputs the same file by two names' \
    '--nucleotides and --proteins are the same' --nucleotides x.fa --proteins y.fa other.fa
cp other.fa input.fa
misuse 'the input as an output' 'input.fa: is the input; ' --nucleotides input.fa input.fa
misuse 'the input as the other output' './input.fa: is the input; ' -o ./input.fa other.fa input.fa
same 'the input as an output: it is still there' other.fa input.fa
status 'an unknown option' 2 vnp-orf --frobnicate
check 'help holds the default' sh -c "vnp-orf -h | grep -q 'default: 500'"

# Outputs that fail.
{ for i in 1 2 3 4 5 6 7 8 9; do echo ">c$i" && head -c 60000 /dev/zero | tr '\0' C && echo; done; } >good.fa
status 'a full disk' 74 sh -c 'vnp-orf good.fa >/dev/full'
says 'a full disk: says so' '^vnp-orf: stdout: .*No space left on device$'
status 'a full disk at the last moment' 74 sh -c 'vnp-orf other.fa >/dev/full'
rm -f p.fa
status 'one of two outputs full' 74 vnp-orf good.fa --nucleotides /dev/full --proteins p.fa
check 'one of two outputs full: the other is not there' [ ! -e p.fa ]
status 'the other one full' 74 vnp-orf good.fa --proteins /dev/full --nucleotides p.fa
check 'the other one full: the first is not there' [ ! -e p.fa ]
status 'a closed stdout' 74 sh -c 'vnp-orf good.fa >&-'
status 'a closed descriptor' 73 sh -c 'vnp-orf good.fa -o /dev/fd/9 9>&-'
status 'a folder that does not exist' 73 vnp-orf good.fa --nucleotides p.fa --proteins nowhere/p.fa
check 'a folder that does not exist: no other file either' [ ! -e p.fa ]
mkdir taken
status 'a folder in its place' 73 vnp-orf good.fa --nucleotides p.fa --proteins taken
check 'a folder in its place: no other file either' [ ! -e p.fa ]
status 'an early end of the next stage: SIGPIPE' 141 bash -c 'set -o pipefail; vnp-orf -q good.fa | head -c 100'
mkdir old && echo old >old/p.fa
status 'an old file stays when the input is bad' 65 vnp-orf twice.fa -o old/p.fa
check 'an old file stays: indeed' sh -c '[ "$(cat old/p.fa)" = old ] && [ "$(ls old)" = p.fa ]'
if script -qec true /dev/null >/dev/null 2>&1; then
    script -q -e -c 'vnp-orf -q other.fa' /dev/null >tty.txt 2>&1 </dev/null
    check 'a terminal may show it' grep -q '^>x_chunk_1F1' tty.txt
else
    skip 'a terminal may show it' 'script(1) of util-linux is not here'
fi

# An error in mid-stream: what has been written does not pass for all there is.
cat good.fa twice.fa >late.fa
status 'an error in mid-stream' 65 sh -c 'vnp-orf late.fa >late.faa'
check 'an error in mid-stream: something was written' grep -q '^>c1_chunk_1F1' late.faa
status 'an error in mid-stream: what is there is refused' 65 vnp-fasta2tok -q -o late.tok late.faa
says 'an error in mid-stream: by this mark' 'late.faa:[0-9]+: record [0-9]+ \(vnp-orf-stopped\): NUL byte in the header'
check 'an error in mid-stream: no file from the next stage' [ ! -e late.tok ]
status 'an error before anything is written' 65 sh -c 'vnp-orf -q twice.fa 2>/dev/null | vnp-fasta2tok -q --allow-empty -o late.tok'
check 'an error before anything is written: no file from the next stage either' [ ! -e late.tok ]
bash -c 'vnp-orf -q late.fa --nucleotides >(vnp-fasta2tok -q -o n.tok 2>n.err; echo $? >n.rc) 2>/dev/null |
    vnp-fasta2tok -q -o p.tok 2>p.err; :'
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s n.rc ] || sleep 0.2; done
check 'an error in mid-stream: both streams are refused' \
    sh -c '[ "$(cat n.rc)" = 65 ] && [ ! -e n.tok ] && [ ! -e p.tok ]'

# Killed half way, nothing is left.
mkdir folder && mkfifo fifo
exec 3<>fifo
vnp-orf -q --nucleotides folder/n.fa --proteins folder/p.fa fifo 3<&- &
pid=$!
cat good.fa >&3
sleep 0.3
check 'unfinished: not under its name yet' [ -z "$(ls folder)" ]
kill -KILL "$pid"
wait "$pid" 2>/dev/null
check 'killed: no file' [ -z "$(ls folder)" ]
finish
