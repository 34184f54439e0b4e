#!/usr/bin/env bash
# Bad input and bad options: one line that says what, where and the way out; the right status; no output file.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

refuses() { # NAME STATUS PATTERN ARGUMENT...: one line on stderr, and no file left by -o
    local name=$1 want=$2 pattern=$3
    shift 3
    status "$name: exit $want" "$want" vnp-fasta2tok -o out.tok "$@"
    says "$name: says why" "^vnp-fasta2tok: $pattern\$"
    check "$name: one line" [ "$(wc -l <"$T/err")" = 1 ]
    check "$name: no file" [ ! -e out.tok ]
}
file() { # CONTENTS: as printf has it, into bad.fa
    # shellcheck disable=SC2059
    printf "$1" >bad.fa
}

file '' && refuses 'empty file' 65 'bad.fa: no records: the file is empty' bad.fa
file '\n\n \n' && refuses 'blank lines only' 65 'bad.fa: no records: blank lines only' bad.fa
file '; one\n\n;two\n' && refuses 'comments only' 65 'bad.fa: no records: comments only' bad.fa
file 'MKV\n' && refuses 'no header' 65 "bad.fa:1: a sequence without a header: a FASTA file begins with '>'" bad.fa
file '>a\nMK\n>b\nM\0K\n' && refuses 'NUL byte' 65 'bad.fa:4: record 2 \(b\): NUL byte.*' bad.fa
file '>a\nMK\n>b \0\nMK\n' && refuses 'NUL byte in a header' 65 \
    'bad.fa:3: record 2 \(b\): NUL byte in the header.*' bad.fa
file '>a\nMKV>b\nMKV\n' && refuses 'joined files' 65 "bad.fa:2: record 1 \(a\): '>' inside a line.*" bad.fa
file '>a\rMKV\r' && refuses 'bare carriage returns' 65 'bad.fa:1: record 1 \(a\): .*carriage returns.*' bad.fa
file '>a\nM\n@b\nM\n+\nI\n' && refuses 'FASTQ in FASTA' 65 "bad.fa:3: record 1 \(a\): .*FASTQ inside FASTA.*" bad.fa
file '@a\nMK\n+\nI\n@b\nM\n+\nI\n' && refuses 'short quality' 65 \
    'bad.fa:4: record 1 \(a\): the quality is short: 1 values for 2 letters' bad.fa
file '@a\nM\n+\nI\n@b\nMKV\n+\nII' && refuses 'short quality at the end' 65 \
    'bad.fa:8: record 2 \(b\): the quality is short: 2 values for 3 letters' bad.fa
file '@a\nMK\n+\nIII\n' && refuses 'long quality' 65 'bad.fa:4: record 1 \(a\): the quality is long.*' bad.fa
file '@a\nMK\n' && refuses 'FASTQ cut short' 65 "bad.fa:3: record 1 \(a\): the file ends before the record's .*" bad.fa
file '@a\nMK\n+\nII\n>b\nMK\n' && refuses 'FASTA in FASTQ' 65 'bad.fa:5: after record 1: .*' bad.fa
file '@HD\tVN:1.6\n@SQ\tSN:c\n' && refuses 'SAM' 65 'bad.fa:2: .*a SAM file\? samtools fasta FILE \|\)' bad.fa
file '>a\nMK\n' && gzip -c bad.fa | gzip >twice.gz && refuses 'gzip in gzip' 65 \
    'twice.gz:1: neither FASTA nor FASTQ: looks like gzip inside compressed data \(zcat FILE \| zcat \|\)' twice.gz
file 'BZh91AY&SY\1\2' && refuses 'bzip2' 65 'bad.fa:1: .*looks like bzip2 data \(bzip2 -dc FILE \|\)' bad.fa
file '\3757zXZ\0\0' && refuses 'xz' 65 'bad.fa:1: .*looks like xz data \(xz -dc FILE \|\)' bad.fa
file 'PK\3\4' && refuses 'zip' 65 'bad.fa:1: .*looks like a zip archive .*' bad.fa
refuses 'a program' 65 '.*: neither FASTA nor FASTQ: looks like a program' "$BUILD/bin/vnp-fasta2tok"
file '>a\nM\n' && vnp-fasta2tok -q bad.fa >own.tok && refuses 'its own output' 65 \
    'own.tok:1: .*looks like a stream of frames \(vnp-cat shows what is in it\)' own.tok

deep=$(printf '%0200d/' 1 2 3)
mkdir -p "$deep"
printf '>a\nMK\n>b\nM\0K\n' >"${deep}bad.fa"
refuses 'NUL byte in a file with a path of 600 characters' 65 '\.\.\.[0-9/]+3/bad.fa:4: record 2 \(b\): NUL byte.*' "${deep}bad.fa"
printf '\3757zXZ\0\0' >"${deep}bad.fa"
refuses 'xz, with a path of 600 characters' 65 '\.\.\.[0-9/]+3/bad.fa:1: .*looks like xz data \(xz -dc FILE \|\)' "${deep}bad.fa"
printf '>a\nMK\n>\nM@K\n' >"${deep}odd.fa"
status 'warnings, with a path of 600 characters' 0 vnp-fasta2tok -o out.tok "${deep}odd.fa"
says 'warnings, with a path of 600 characters: of a letter' 'the first in \.\.\.[0-9/]+3/odd.fa:3: record 2 \(\)$'
says 'warnings, with a path of 600 characters: of a record without an id' \
    'without an id; the first: \.\.\.[0-9/]+3/odd.fa:3: record 2 \(\)$'
rm out.tok

file '>a\nMK\n'
refuses 'missing file' 66 'nowhere.fa: No such file or directory' nowhere.fa
refuses 'missing second file' 66 'nowhere.fa: No such file or directory' bad.fa nowhere.fa
refuses 'directory' 66 '/: is a directory' /
: >empty.fa
refuses 'empty second file' 65 'empty.fa: no records: the file is empty' bad.fa empty.fa
check '--allow-empty: empty files are passed over' sh -c 'vnp-fasta2tok -q --allow-empty empty.fa bad.fa empty.fa >some.tok'
vnp-fasta2tok -q bad.fa >want.tok
same 'and change nothing' want.tok some.tok
check '--allow-empty: nothing at all is a stream' sh -c 'vnp-fasta2tok -q --allow-empty </dev/null | vnp-cat --check - | grep -q "0 sequences"'
printf '>b\nM\0\n' >nul.fa
refuses 'the second file is the one named' 65 'nul.fa:2: record 1 \(b\): NUL byte.*' bad.fa nul.fa
status 'closed stdin' 66 sh -c 'vnp-fasta2tok -o out.tok <&-'
says 'closed stdin: says so' '^vnp-fasta2tok: stdin: closed$'
status 'a directory as stdin' 66 sh -c 'vnp-fasta2tok -o out.tok <.'
if [ "$(id -u)" != 0 ]; then
    file '>a\nM\n' && cp bad.fa secret.fa && chmod 0 secret.fa
    refuses 'unreadable file' 66 'secret.fa: Permission denied' secret.fa
else
    skip 'unreadable file' 'root reads everything'
fi

# Truncated and damaged gzip: the place is that of the record in progress.
awk 'BEGIN { srand(1); for (r = 1; r <= 40; r++) { print ">rec" r; for (l = 0; l < 5; l++) { s = "";
    for (i = 0; i < 60; i++) s = s substr("ACDEFGHIKLMNPQRSTVWY", 1 + int(rand() * 20), 1); print s } } }' >good.fa
gzip -c good.fa >good.gz
size=$(wc -c <good.gz)
for cut in 2 5 10 15 200 $((size / 2)) $((size - 9)) $((size - 8)) $((size - 1)); do
    head -c "$cut" good.gz >cut.gz
    refuses "gzip cut at $cut" 65 \
        'cut.gz:[0-9]+: (record [0-9]+ \(rec[0-9]*\): )?truncated: the gzip data ends too soon.*' cut.gz
done
{ cat good.gz && head -c 300 good.gz; } >cut.gz
refuses 'gzip cut in its second member' 65 \
    'cut.gz:24[0-9]: record 4[0-9] \(rec[0-9]*\): truncated: the gzip data.*' cut.gz
{ cat good.gz && echo more; } >cut.gz
refuses 'text after gzip' 65 'cut.gz:24[01]: record 40 \(rec40\): damaged gzip data .*something else follows it' cut.gz
{ head -c 600 good.gz && printf 'XXXXXXXX' && tail -c +609 good.gz; } >cut.gz
refuses 'damaged gzip' 65 'cut.gz:[0-9]+: record [0-9]+ \(rec[0-9]+\): damaged gzip data.*' cut.gz
head -c -28 "$ROOT/tests/vnp-fasta2tok/plain.fa.bgz" >cut.gz
refuses 'BGZF without its end' 65 'cut.gz:[0-9]+: record 4 \(c\): truncated: the BGZF end marker is missing.*' cut.gz
zstd -q -c good.fa >good.zst
for cut in 3 5 100 $(($(wc -c <good.zst) - 1)); do
    head -c "$cut" good.zst >cut.zst
    refuses "zstd cut at $cut" 65 \
        'cut.zst:[0-9]+: (record [0-9]+ \(rec[0-9]*\): )?truncated: the zstd data ends.*' cut.zst
done

# The next stage says whose fault it was.
file '>a\nMK\n>b\nM\0K\n'
bash -c 'vnp-fasta2tok -q bad.fa 2>/dev/null | vnp-pack -b 64 >/dev/null' 2>pack.err
check 'the next stage repeats the cause' grep -q 'vnp-fasta2tok: bad.fa:4: record 2 (b): NUL byte' pack.err

misuse() { # NAME PATTERN ARGUMENT...
    local name=$1 pattern=$2
    shift 2
    refuses "$name" 2 "$pattern" "$@" good.fa
}
misuse '--max-len 0' '--max-len: not a whole number from 1 to [0-9]+: 0' --max-len 0
misuse '--max-len 1x' '--max-len: not a whole number from 1 to [0-9]+: 1x' --max-len 1x
misuse '--window -1' '--window: not a whole number from 1 to [0-9]+: -1' --window -1
misuse '--max-len and --window' '--max-len and --window exclude each other.*' --max-len 5 --window 5
misuse '--overlap alone' '--overlap .*give --window too' --overlap 5
misuse '--overlap alone, 0' '--overlap .*give --window too' --overlap 0
misuse '--overlap as long as the window' '--overlap must be less than --window' --window 5 --overlap 5
status 'unknown option: exit 2' 2 vnp-fasta2tok --frobnicate
check 'help' vnp-fasta2tok --help
check 'help holds the default of --overlap' sh -c "vnp-fasta2tok -h | grep -q 'less than N (default: 0)'"
# Slips that would cost data or sense.
cp "$PROTEINS" "$T/same.fa"
status 'input and output the same file' 2 vnp-fasta2tok -q -o "$T/same.fa" "$T/same.fa"
same 'the input is untouched' "$PROTEINS" "$T/same.fa"
printf '>c\n%s\n' "$(printf 'ACGTTGCANN%.0s' 1 2 3 4 5 6 7 8 9 10)" >"$T/dna.fa"
status 'nucleotides given as proteins pass' 0 vnp-fasta2tok -o /dev/null "$T/dna.fa"
says 'with a warning' 'these look like nucleotides'
status 'proteins pass' 0 vnp-fasta2tok -o /dev/null "$PROTEINS"
cp "$T/err" "$T/err.proteins"
lacks 'without it' nucleotides "$T/err.proteins"
finish
