#!/usr/bin/env bash
# The published behaviour, byte for byte (tests/golden/orf), however contigs are written and wherever the output goes.
. "$(dirname "$0")/../lib.sh"
golden=$ROOT/tests/golden/orf
cd "$T" || exit 2

both() { # NAME CHUNK COMMAND...: n.fa and p.fa are the golden ones
    local name=$1 chunk=$2
    shift 2
    rm -f n.fa p.fa
    check "$name" "$@"
    same "$name: nucleotides" n.fa "$golden/contigs-$chunk.nt.fa"
    same "$name: proteins" p.fa "$golden/contigs-$chunk.aa.fa"
}
orf() { vnp-orf -q --nucleotides n.fa --proteins p.fa "$@"; }

cp "$golden/contigs.fa" in.fa
both 'chunks of 500' 500 orf in.fa
both 'chunks of 300' 300 orf -l 300 in.fa
both '--length 500' 500 orf --length 500 in.fa
both 'stdin' 500 orf <in.fa
both 'a pipe' 500 sh -c 'cat in.fa | vnp-orf -q --nucleotides n.fa --proteins p.fa -'
sed 's/$/\r/' in.fa >crlf.fa
both 'CRLF' 500 orf crlf.fa
awk '/^>/ { print; next } { print tolower($0) }' in.fa >lower.fa
both 'lower case' 500 orf lower.fa
awk '/^>/ { if (s) print s; s = ""; print; next } { s = s $0 } END { printf "%s", s }' in.fa >wide.fa
both 'one line a record, no last newline' 500 orf wide.fa
awk '{ print; if (NR % 3 == 0) print "" }' in.fa >blank.fa
both 'blank lines' 500 orf blank.fa
{ head -n 200 in.fa | gzip && tail -n +201 in.fa | gzip; } >in.fa.gz
both 'gzip of two members' 500 orf in.fa.gz
zstd -q -c in.fa >in.unknown
both 'zstd' 500 orf in.unknown
awk 'NR % 2 { print "@" substr($0, 2); next } { print; print "+"; gsub(/./, "I"); print }' wide.fa | gzip >in.fq.gz
both 'FASTQ, gzip' 500 orf in.fq.gz
awk '/^>/ { n++ } { print >(n <= 30 ? "first.fa" : "second.fa") }' in.fa
both 'two files' 500 orf first.fa second.fa

# Where the output goes.
mkfifo n.fifo p.fifo
fifos() {
    cat n.fifo >n.fa &
    cat p.fifo >p.fa &
    vnp-orf -q in.fa --nucleotides n.fifo --proteins p.fifo && wait
}
both 'two FIFOs' 500 fifos
both 'descriptors: pipes' 500 bash -c 'set -o pipefail
    { vnp-orf -q in.fa --nucleotides /dev/fd/3 --proteins /dev/stdout 3>&1 >&4 | cat >n.fa; } 4>p.fa'
both 'descriptors: files' 500 sh -c 'vnp-orf -q in.fa --nucleotides /dev/fd/3 --proteins /dev/stdout 3>n.fa >p.fa'
both 'a descriptor with something before' 500 sh -c '
    { echo first >&3; vnp-orf -q in.fa --nucleotides /dev/fd/3 -o p.fa; } 3>x.fa
    head -n 1 x.fa | grep -qx first && tail -n +2 x.fa >n.fa'
ln -s /dev/stdout by-link
both 'stdout by a link' 500 sh -c '{ echo first; vnp-orf -q in.fa --nucleotides n.fa -o by-link; } >x.fa
    head -n 1 x.fa | grep -qx first && tail -n +2 x.fa >p.fa && [ -L by-link ]'
both 'stdout by another name' 500 sh -c '{ echo first; vnp-orf -q in.fa --nucleotides n.fa -o /dev/./stdout; } >x.fa
    head -n 1 x.fa | grep -qx first && tail -n +2 x.fa >p.fa'
both 'one to stdout' 500 sh -c 'vnp-orf -q in.fa --nucleotides - --proteins p.fa >n.fa'
both 'the other to stdout' 500 sh -c 'vnp-orf -q in.fa --nucleotides n.fa --proteins - >p.fa'
both '-o is --proteins' 500 vnp-orf -q in.fa --nucleotides n.fa -o p.fa
both 'old files are replaced' 500 sh -c 'echo old >n.fa; echo old >p.fa
    vnp-orf -q --nucleotides n.fa --proteins p.fa in.fa'
vnp-orf -q in.fa >only.fa
same 'without options: the proteins to stdout' only.fa "$golden/contigs-500.aa.fa"
vnp-orf -q in.fa --nucleotides - >only.fa
same 'the nucleotides alone' only.fa "$golden/contigs-500.nt.fa"

# What it says.
status 'a summary' 0 vnp-orf in.fa
says 'contigs, chunks and frames are counted' \
    '^vnp-orf: 59 contigs, 109 chunks of 500 letters, 23 without an open frame; 184 frames kept, 13490 residues'
says 'RNA is warned about' '^vnp-orf: warning: 191 letters are U, of which nothing is translated: RNA\?'
check '-q says nothing' sh -c 'vnp-orf -q in.fa 2>&1 >p.fa | cmp - /dev/null'
printf '>none\n>a\nTAGCTAGCTAGCTAGC\n>n\nNNNNNN\n' >closed.fa
status 'no open frame: exit 0' 0 vnp-orf closed.fa -o p.fa
says 'no open frame: says so' 'warning: no open frame in all the input: the output is empty'
says 'an empty record is skipped with a warning' \
    'warning: 1 empty record skipped; the first: closed.fa:1: record 1 \(none\)'
says 'an empty record is not counted' \
    '2 contigs, 2 chunks of 500 letters, 2 without an open frame; 0 frames kept, 0 residues'
check 'no open frame: an empty file' test -f p.fa -a ! -s p.fa

# An id of the largest length, and chunks as long as they may be.
{ printf '>%065506d words\n' 7 && head -c 30000 /dev/zero | tr '\0' G; } >long.fa
status 'the longest id' 0 vnp-orf long.fa -o p.fa
check 'the longest id: all frames' sh -c '[ "$(grep -c "^>0*7_chunk_[0-9]*[FR][123]$" p.fa)" = 360 ]'
{ echo '>c' && head -c 2000001 /dev/zero | tr '\0' C; } >long.fa
status '-l 1000000' 0 vnp-orf -l 1000000 long.fa -o p.fa
awk '!/^>/ { print length($0) }' p.fa | sort | uniq -c | awk '{ print $1 " of " $2 }' | paste -sd , >lengths
check "-l 1000000: whole proteins: $(cat lengths)" grep -qx '4 of 222222,2 of 222223,4 of 333332,8 of 333333' lengths
printf '>c\nATGGCG\n' >tiny.fa
status '-l 3: a codon a chunk' 0 vnp-orf -l 3 tiny.fa -o p.fa
paste -sd ' ' p.fa >line
check "-l 3: its frames: $(cat line)" grep -qx '>c_chunk_1F1 M >c_chunk_1R1 H >c_chunk_2F1 A >c_chunk_2R1 R' line

while read -r file chunk contigs chunks closed frames nt aa; do
    if [ ! -r "$DATA/$file" ]; then
        skip "real contigs: $file, chunks of $chunk" 'no real sequences here'
        continue
    fi
    status "real contigs: $file, chunks of $chunk" 0 \
        vnp-orf -l "$chunk" "$DATA/$file" --nucleotides n.fa --proteins p.fa
    says "$file, $chunk: counts" \
        "$contigs contigs, $chunks chunks of $chunk letters, $closed without .*; $frames frames kept"
    check "$file, $chunk: nucleotides" sh -c "sha256sum <n.fa | grep -q '^$nt '"
    check "$file, $chunk: proteins" sh -c "sha256sum <p.fa | grep -q '^$aa '"
done <"$golden/real.txt"
finish
