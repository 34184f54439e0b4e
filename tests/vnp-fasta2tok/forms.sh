#!/usr/bin/env bash
# The same records in every form give the same stream, byte for byte.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

cat >plain.fa <<'END'
>a first words
MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVK
ALPDAQFEVVHSLAKWKRQTLGQHDFSAGEGLYTHMKALRPDEDRLSPLHSVYVDQWDWE
RVM
>b
LAGVSERTIDPKQNFYMHWCXBUZO.-
>b
MKV*
>c
W
END
vnp-fasta2tok -q plain.fa >want
check 'a stream comes out' [ -s want ]
gives() { # NAME ARGUMENT...: the same stream, silently
    local name=$1
    shift
    check "$name: accepted" sh -c 'vnp-fasta2tok -q "$@" >got' sh "$@"
    same "$name: the same stream" want got
}
text() { # NAME: stdin is the file
    cat >form
    gives "$1" form
}

gives 'file' plain.fa
check 'stdin: accepted' sh -c 'vnp-fasta2tok -q <plain.fa >got'
same 'stdin: the same stream' want got
check 'stdin as -: accepted' sh -c 'cat plain.fa | vnp-fasta2tok -q - >got'
same 'stdin as -: the same stream' want got
sed 's/$/\r/' plain.fa | text 'CRLF'
tr 'A-Z' 'a-z' <plain.fa | text 'lower case'
sed 's/^>.*/\n&\n/; s/$/\n/' plain.fa | text 'blank lines'
awk '/^>/ { if (NR > 1) print ""; print; next } { printf "%s", $0 } END { print "" }' plain.fa | text 'one line a record'
awk '/^>/ { print; next } { gsub(/./, "&\n"); printf "%s", $0 }' plain.fa | text 'one letter a line'
head -c -1 plain.fa | text 'no final newline'
sed '/^[^>]/s/../& /g' plain.fa | text 'spaces in lines'
sed 's/^>\([abc]\).*/> \1\tother words/' plain.fa | text 'other words after the id'
{ printf '\357\273\277; a comment\n' && cat plain.fa; } | text 'byte order mark and comment'
fastq() { # COLUMNS: wraps sequence and quality
    awk -v w="$1" 'function wrap(s, i) { for (i = 1; i <= length(s); i += w) print substr(s, i, w) }
        function out() { print "@" id; wrap(s); print "+" id; gsub(/./, "@", s); wrap(s) }
        /^>/ { if (NR > 1) out(); id = substr($0, 2); s = ""; next } { s = s $0 } END { out() }' plain.fa
}
fastq 1000 | text 'FASTQ'
fastq 17 | text 'FASTQ, wrapped'
fastq 1000 | sed 's/$/\r/' | head -c -2 | text 'FASTQ, CRLF, no final newline'

gzip -c plain.fa >form && gives 'gzip' form
{ head -c 100 plain.fa | gzip && tail -c +101 plain.fa | gzip -1; } >form && gives 'gzip of two members' form
zstd -q -c plain.fa >form && gives 'zstd' form
{ head -c 100 plain.fa | zstd -q && tail -c +101 plain.fa | zstd -q; } >form && gives 'zstd of two frames' form
gzip -c plain.fa >misnamed.fa && gives 'gzip that is not called .gz' misnamed.fa
cp plain.fa misnamed.gz && gives 'plain text called .gz' misnamed.gz
zstd -q -c plain.fa >misnamed.zst.gz && gives 'zstd called .gz' misnamed.zst.gz
# Made by bgzip 1.16 of plain.fa: two blocks and the end marker.
cp "$ROOT/tests/vnp-fasta2tok/plain.fa.bgz" form && gives 'BGZF' form
check 'gzip on stdin: accepted' sh -c 'gzip -c plain.fa | vnp-fasta2tok -q >got'
same 'gzip on stdin: the same stream' want got

head -n 4 plain.fa | gzip >one.fa.gz
tail -n +5 plain.fa | zstd -q >two.fa
gives 'two files of two kinds' one.fa.gz two.fa
sed -n 5,6p plain.fa | awk '/^>/ { print "@" substr($0, 2); next } { print; print "+"; gsub(/./, "I"); print }' >two.fq
tail -n +7 plain.fa >three.fa
gives 'FASTA and FASTQ' one.fa.gz two.fq three.fa
check 'files and stdin between them: accepted' sh -c 'vnp-fasta2tok -q one.fa.gz - three.fa <two.fq >got'
same 'files and stdin between them: the same stream' want got

# A writer that delivers one byte at a time, and one that pauses in the middle of a header and of a line.
slow() { while IFS= read -r -n 1 -d '' c; do printf '%s' "$c"; done; }
check 'byte by byte: accepted' bash -c "$(declare -f slow); slow <plain.fa | vnp-fasta2tok -q >got"
same 'byte by byte: the same stream' want got
check 'gzip with pauses: accepted' sh -c 'gzip -c plain.fa |
    { head -c 2; sleep 0.2; head -c 40; sleep 0.2; cat; } | vnp-fasta2tok -q >got'
same 'gzip with pauses: the same stream' want got

check '-o FILE' vnp-fasta2tok -q -o out.tok plain.fa
same '-o writes what stdout would get' want out.tok

if [ -d "$DATA" ]; then
    for f in "$DATA"/*.fa*; do
        name=$(basename "$f")
        check "$name: accepted" sh -c "vnp-fasta2tok '$f' >want"
        says "$name: every record and residue counted" "^vnp-fasta2tok: $(grep -c '^>' "$f") records, $(grep -v '^>' "$f" |
            tr -d ' \r\n' | wc -c) residues"
        gzip -c "$f" >real.gz
        check "$name, compressed: accepted" sh -c 'vnp-fasta2tok -q real.gz >got'
        same "$name, compressed: the same stream" want got
    done
else
    skip 'real sequences' 'no test data here'
fi
finish
