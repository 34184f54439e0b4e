#!/usr/bin/env bash
# vnp-pack alone, on one core, on recorded token streams: how full its batches are, and sequences/s (best of three runs).
#   bench/pack.sh [SEQUENCES (200000)]
# With $VNP_TEST_DATA or ../shared/data: real proteins too.
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
build=${VNP_BUILD:-$PWD/build}
data=${VNP_TEST_DATA:-../shared/data}
n=${1:-200000}
t=$(mktemp -d "${TMPDIR:-/tmp}/vnp-bench.XXXXXX")
trap 'rm -rf "$t"' EXIT
one_core=
if taskset -c 0 true 2>/dev/null; then one_core='taskset -c 0'; fi

# FASTA of log-normal lengths: SEQUENCES MEDIAN SIGMA LOW HIGH.
fasta() {
    awk -v n="$1" -v median="$2" -v sigma="$3" -v lo="$4" -v hi="$5" 'BEGIN {
        srand(1)
        residues = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVK"
        while (length(residues) < hi) residues = residues residues
        for (i = 0; i < n; i++) {
            len = int(median * exp(sigma * sqrt(-2 * log(1 - rand())) * cos(6.283185307179586 * rand())))
            printf ">s%d\n%s\n", i, substr(residues, 1, len < lo ? lo : len > hi ? hi : len)
        }
    }'
}
row() { # NAME: a table line for $t/tok
    local name=$1 budget best begin seconds used
    printf '%-44s' "$name"
    for budget in 1024 2048 4096 8192 16384 65536; do
        best=
        for _ in 1 2 3; do
            begin=$EPOCHREALTIME
            $one_core "$build/bin/vnp-pack" -b $budget "$t/tok" 2>"$t/err" >/dev/null
            seconds=$(awk "BEGIN { print $EPOCHREALTIME - $begin }")
            best=$(awk "BEGIN { print (\"$best\" == \"\" || $seconds < $best + 0) ? $seconds : \"$best\" }")
        done
        used=$(sed -n 's/.*batches; \([0-9.]*\)% of the budget.*/\1/p' "$t/err")
        printf ' %7s%%' "$used"
    done
    count=$(sed -n 's/.*vnp-pack: \([0-9]*\) sequences, \([0-9]*\) tokens.*/\1 \2/p' "$t/err")
    awk -v c="$count" -v s="$best" 'BEGIN { split(c, k, " "); printf " %6.2f M/s %6.0f M tokens/s\n", k[1] / 1e6 / s, k[2] / 1e6 / s }'
}

echo "vnp-pack, one core of $(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo); share of the budget used, speed at 65536"
printf '%-44s %8s %8s %8s %8s %8s %8s\n' 'budget' 1024 2048 4096 8192 16384 65536
fasta "$n" 150 0.7 20 1022 | "$build/bin/vnp-fasta2tok" -q >"$t/tok"
row "$n mixed: median 150, sigma 0.7, 20-1022"
fasta 10000 150 0.7 20 1022 | "$build/bin/vnp-fasta2tok" -q >"$t/tok"
row '10000 of them'
fasta "$n" 51 0.4 5 166 | "$build/bin/vnp-fasta2tok" -q >"$t/tok"
row "$n short: median 51, sigma 0.4, 5-166"
fasta "$n" 166 0 1 166 | "$build/bin/vnp-fasta2tok" -q >"$t/tok"
row "$n of 166: open frames of 500-base chunks"
for file in palmdb_rdrp.faa chloroplast_proteins.faa; do
    [ -r "$data/$file" ] || continue
    "$build/bin/vnp-fasta2tok" -q "$data/$file" >"$t/tok"
    row "real: $file ($(grep -c '>' "$data/$file"))"
done
