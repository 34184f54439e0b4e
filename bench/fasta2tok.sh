#!/usr/bin/env bash
# vnp-fasta2tok alone: MB/s of uncompressed FASTA.
#   bench/fasta2tok.sh [MEGABYTES (250)]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-250}
begin "vnp-fasta2tok: MB of uncompressed FASTA a second of one core ($megabytes MB), best of $runs runs"

measure() { # NAME FILE BYTES [OPTION...]
    fastest vnp-fasta2tok -q "${@:4}" "$2"
    row "$1" "$3 / 1e6 / $cpu" MB/s bytes="$3"
}

fa=$t/in.fa
synth-fasta -m "$megabytes" >"$fa"
bytes=$(wc -c <"$fa")
measure 'like UniProt: mean 350 residues, 60 columns' "$fa" "$bytes"
measure '  the same, --max-len 1022' "$fa" "$bytes" --max-len 1022
measure '  the same, --window 256 --overlap 32' "$fa" "$bytes" --window 256 --overlap 32
gzip -1 -c "$fa" >"$t/in.gz"
measure '  the same, gzip -1' "$t/in.gz" "$bytes"
zstd -q -1 -c "$fa" >"$t/in.zst"
measure '  the same, zstd -1' "$t/in.zst" "$bytes"
sed 's/$/\r/' "$fa" >"$t/crlf.fa"
measure '  the same, CRLF' "$t/crlf.fa" "$(wc -c <"$t/crlf.fa")"
synth-fasta -m "$megabytes" -w 0 >"$fa"
measure 'mean 350 residues, one line a record' "$fa" "$(wc -c <"$fa")"
synth-fasta -m "$megabytes" -l 50 -s 0 >"$fa"
measure '50 residues each (and headers of 90 bytes)' "$fa" "$(wc -c <"$fa")"

# Byte pairs: 4096 tokens, trained on DNA. The tables that a search fills are part of the time.
dna=tests/golden/tokenizers/dna4096.json
synth-fasta -d -m "$megabytes" -l 500 -s 0 -w 0 >"$fa"
measure 'random DNA, 500 bases each, byte pairs' "$fa" "$(wc -c <"$fa")" --tokenizer "$dna"
{ echo '>one' && grep -v '^>' "$fa"; } >"$t/one.fa"
measure '  the same bases, one record' "$t/one.fa" "$(wc -c <"$t/one.fa")" --tokenizer "$dna"
if [ -r "$data/ebola_genomes.fasta" ]; then
    awk '/^>/ { n++; next } { s[n] = s[n] $0 } END { for (i = 1; i <= n; i++) for (k = 1; k + 499 <= length(s[i]); k += 3)
        print ">" i "_" k "\n" substr(s[i], k, 500) }' "$data/ebola_genomes.fasta" >"$fa"
    measure 'Ebola genomes, 500 bases each, byte pairs' "$fa" "$(wc -c <"$fa")" --tokenizer "$dna"
fi
finish
