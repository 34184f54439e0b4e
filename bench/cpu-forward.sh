#!/usr/bin/env bash
# vnp-cpu-forward alone on recorded batches: tokens/s and GFLOP/s while computing, pooled so that no pipe counts; best
# of three runs. Tokens a CPU second (one core's) hold on a busy machine too. Proteins of one length each, and a mix.
#   bench/cpu-forward.sh [SHAPE:TOKENS ...]    (8M:100000 650M:6000)
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
build=${VNP_BUILD:-$PWD/build}
[ $# -gt 0 ] || set -- 8M:100000 650M:6000
t=$(mktemp -d "${TMPDIR:-/tmp}/vnp-bench.XXXXXX")
trap 'rm -rf "$t"' EXIT
TIMEFORMAT='cpu %U %S'

batches() { # batches RESIDUES TOKENS: RESIDUES 0 is a mix, log-normal with median 150, 20 to 1022
    awk -v length_="$1" -v tokens="$2" 'BEGIN {
        srand(1)
        for (n = 0; tokens > 0; n++) {
            r = length_
            if (r == 0) {
                r = int(150 * exp(0.7 * sqrt(-2 * log(1 - rand())) * cos(6.2831853 * rand())))
                r = r < 20 ? 20 : r > 1022 ? 1022 : r
            }
            s = ""
            for (i = 0; i < r; i++) s = s substr("LAGVSERTIDPKQNFYMHWC", int(rand() * 20) + 1, 1)
            print ">" n "\n" s
            tokens -= r + 2
        }
    }' | "$build/bin/vnp-fasta2tok" -q | "$build/bin/vnp-pack" -q -b 8192
}

echo "vnp-cpu-forward on $(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo), FP32"
for work; do
    shape=${work%:*} tokens=${work#*:}
    "$build/bin/vnp-model" synth "$shape" -q -o "$t/model"
    for residues in 20 50 150 300 1000 0; do
        batches $residues "$tokens" >"$t/batches"
        [ $residues = 0 ] && name='mixed, median 150' || name="$residues residues"
        for _ in 1 2 3; do
            { time "$build/bin/vnp-cpu-forward" --model "$t/model" --pool mean "$t/batches" >/dev/null; } 2>&1
        done | awk -v name="$shape, $name" '
            /GFLOP/ { tokens = $4; rate = $9; gflops = $11; split($0, how, "[()]") }
            /^cpu/ && gflops > best { best = gflops; line = sprintf("%-24s %8d tokens/s %7.1f GFLOP/s %8d tokens a " \
                "CPU second  (%s)", name, rate, gflops, tokens / ($2 + $3), how[2]) }
            END { print line }'
    done
    rm -r "$t/model"
done
