#!/usr/bin/env bash
# vnp-orf --chunks: the table says where the chunks are, agrees with the frames, and comes and goes with the other files.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

# The starts that the specification gives for chunks of 500.
for length in 501 750 999 1001 1501 2250 500 1; do
    printf '>L%d some words\n%s\n' "$length" "$(head -c "$length" /dev/zero | tr '\0' A)"
done >contigs.fa
status 'a table of chunks' 0 vnp-orf contigs.fa --chunks chunks.tsv -o p.faa
cat >want <<'END'
L501 0-500 250-501
L750 0-500 374-750
L999 0-500 499-999
L1001 0-500 333-833 666-1001
L1501 0-500 375-875 750-1250 1125-1501
L2250 0-500 449-949 898-1398 1347-1847 1796-2250
L500 0-500
L1 0-1
END
head -n 1 chunks.tsv >have
printf 'chunk_id\tcontig\tstart\tend\n' >first
same 'its first line' have first
awk -F '\t' 'NR > 1 { if ($2 != last) { if (NR > 2) print line; line = $2; k = 0 } last = $2
                      if ($1 != $2 "_chunk_" ++k) print "id " $1; line = line " " $3 "-" $4 } END { print line }' chunks.tsv >have
same 'its starts and ends' have want
cp p.faa with.faa
status 'without it' 0 vnp-orf contigs.fa -o p.faa
same 'the frames are the same' p.faa with.faa
status 'to stdout' 0 vnp-orf -q contigs.fa --chunks - -o p.faa
same 'to stdout: the same' out chunks.tsv
status 'many chunks' 0 sh -c "{ echo '>c'; head -c 4000000 /dev/zero | tr '\0' C; } | vnp-orf -q -l 30 --chunks many.tsv -o p.faa"
check 'many chunks: a line each, in order' awk -F '\t' 'NR > 1 { n++; if ($1 != "c_chunk_" n || $3 > last || $4 <= last) exit 1; last = $4 } END { exit n != 133334 || last != 4000000 }' many.tsv
# Each nucleotide frame F1 is a piece of its contig from where the table says.
printf '>r\n%s\n' "$(awk 'BEGIN { srand(3); for (i = 0; i < 3000; i++) printf "%s", substr("ACGT", 1 + int(4 * rand()), 1) }')" >random.fa
status 'chunks of 100' 0 vnp-orf -q -l 100 random.fa --nucleotides n.fa --chunks chunks.tsv
awk -F '\t' 'FILENAME == "random.fa" { if (!/>/) seq = $0; next }
     FILENAME == "chunks.tsv" { at[$1] = $3; next }
     />/ { id = substr($0, 2); next }
     id ~ /F1$/ { n++; sub(/F1$/, "", id); if (substr(seq, at[id] + 1, length($0)) != $0) bad++ }
     END { print (n > 0 ? "some" : "none"), bad + 0 }' random.fa chunks.tsv n.fa >have
echo 'some 0' >want
same 'frames lie where the table says' have want

status 'the same file twice' 2 vnp-orf contigs.fa --chunks x -o x
says 'the same file twice: says so' '--proteins and --chunks are the same, x'
printf '>a\nACGT\n>a\nACGT\n' >twice.fa
rm -f p.faa chunks.tsv
status 'an error' 65 vnp-orf twice.fa --chunks chunks.tsv -o p.faa
check 'an error: neither file' test ! -e p.faa -a ! -e chunks.tsv
status 'a full disk' 74 sh -c 'vnp-orf contigs.fa -o p.faa --chunks - >/dev/full'
check 'a full disk: no proteins either' test ! -e p.faa
finish
