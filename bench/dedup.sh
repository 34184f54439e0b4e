#!/usr/bin/env bash
# vnp-dedup alone, on recorded token streams of short records, each of them once, twice, or all equal: MB/s, memory.
#   bench/dedup.sh [RECORDS (5000000)]
. "$(dirname "$0")/lib.sh"
n=${1:-5000000}
runs=1
begin "vnp-dedup: MB of tokens, ids and lengths a second of one core ($n records of about 55 residues), $runs run"

measure() { # NAME [OPTION...]: on the FASTA on stdin
    local name=$1 bytes mb
    vnp-fasta2tok -q >"$t/tok"
    bytes=$(wc -c <"$t/tok")
    for mb in '' 64; do
        fastest vnp-dedup ${mb:+--memory $mb} --copies "$t/copies" "$t/tok"
        peak vnp-dedup -q ${mb:+--memory $mb} --copies "$t/copies" "$t/tok"
        row "$name${mb:+, --memory $mb}" "$bytes / 1e6 / $cpu" MB/s bytes="$bytes" records_per_s="$n / $cpu" \
            MB_of_memory="$peak" bytes_a_record_of_copies="$(wc -c <"$t/copies") / $n"
    done
}

short=(-l 51 -s 0.4 -r 5-166)
synth-fasta -n "$n" "${short[@]}" | measure 'none equal'
synth-fasta -n $((n / 2)) "${short[@]}" >"$t/half"
cat "$t/half" "$t/half" | measure 'each twice, far apart'
rm "$t/half"
awk -v n="$n" 'BEGIN {
    for (i = 0; i < n; i++) printf ">r%d\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAV\n", i }' | measure 'all equal'
finish
