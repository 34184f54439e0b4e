#!/usr/bin/env bash
# One record of 200 MB; a record that no frame holds.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

residues=200000040
letters() { # N: that many letters, 60 a line
    yes MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVK | head -c $(($1 / 60 * 61))
}
if [ "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -lt 2500 ]; then
    skip 'a record of 200 MB' 'less than 2.5 GB of memory'
    finish
    exit
fi
big() { printf '>before\nMKV\n>big\n' && letters $residues && printf 'LAG\n>after\nLAGV\n'; }
check '200 MB in a record' sh -c "$(declare -f big letters); residues=$residues; big | vnp-fasta2tok >big.tok"
says '200 MB: counted' '^vnp-fasta2tok: 3 records, 200000050 residues, 200000056 tokens'
check '200 MB: a token a residue' [ "$(wc -c <big.tok)" -gt 200000056 ]
# <cls> M K T A Y, and at the record's end K V K L A G <eos>
check '200 MB: begins as it should' sh -c "head -c 2000 big.tok | od -An -v -tx1 | tr -d ' \n' | grep -q 00140f0b0513"
check '200 MB: ends as it should' sh -c "tail -c 1000 big.tok | od -An -v -tx1 | tr -d ' \n' | grep -q 0f070f04050602"
check '200 MB on one line: same tokens' sh -c "$(declare -f big letters); residues=$residues
    { printf '>before\nMKV\n>big\n' && letters $residues | tr -d '\n' && printf 'LAG\n>after\nLAGV\n'; } |
    vnp-fasta2tok -q | cmp - big.tok"
rm big.tok
check '200 MB in windows' sh -c "$(declare -f big letters); residues=$residues
    big | vnp-fasta2tok --window 1022 >/dev/null"
says '200 MB in windows: split' '1 record split into windows of 1022 residues'
check '200 MB cut' sh -c "$(declare -f big letters); residues=$residues; big | vnp-fasta2tok --max-len 1022 >cut.tok"
check '200 MB cut: short' [ "$(wc -c <cut.tok)" -lt 4000 ]

# Refused as soon as it is too long for a frame: it need not be read to its end.
status 'a record over 1 GiB' 65 sh -c "{ printf '>huge\n' && yes MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVK; } |
    vnp-fasta2tok -o huge.tok"
says 'a record over 1 GiB: names the way out' \
    '^vnp-fasta2tok: stdin:[0-9]+: record 1 \(huge\): more than [0-9]+ letters: too large for one frame; split it with --window'
check 'a record over 1 GiB: no file' [ ! -e huge.tok ]
finish
