#!/usr/bin/env bash
# The GPU's tests, kept as a record: what `make check-gpu` runs, with the host, the commit and the figures behind it (each
# comparison's cosines, mean, deviation, norms and outliers) in RESULTS/proof-DATE.json, a table, and all output in .log.
#   bench/proof.sh          see gpu-lib.sh for RESULTS, VNP_BUILD (to run it without make), VNP_BENCH_LIMIT and _DIR
#   VNP_BENCH_PARTS  of     kernels forward full memcheck racecheck
#   VNP_TEST_SHAPES         of full: "8M dnabert-s 650M 3B", and VNP_TEST_OUTLIERS: "no yes", a half each (full-size.sh has more)
#   VNP_TEST_PASSES, VNP_TEST_SANITIZER_SECONDS   of memcheck and racecheck (tests/vnp-gpu-forward/sanitizer.sh)
# Seconds, about: kernels 20, forward 170 to 270, full 60 for 8M, 200 for dnabert-s, 270 for 650M and 470 for 3B; memcheck 60,
# racecheck 630. The tests of the kernels need cmocka's library where they run.
. "$(dirname "$0")/gpu-lib.sh"
vnp-gpu-forward -q --probe 2>/dev/null || { echo 'bench/proof.sh: no GPU here' && exit 0; }
results proof 'kernels forward full memcheck racecheck'
export VNP_BUILD=$build CMOCKA_MESSAGE_OUTPUT=TAP VNP_BENCH_DIR=$models
VNP_TEST_RECORD=$(realpath "$out.json")
export VNP_TEST_RECORD
failures=0

tests() { # tests COMMAND...: a line for the whole, and one for each check that failed or was skipped
    local at=$SECONDS status
    echo "== $*" >>"$out.log"
    timeout -k 5 "$(left)" "$@" 2>&1 </dev/null | tee "$t/tap" >>"$out.log"
    status=${PIPESTATUS[0]}
    sed -i 's/^not ok\( [0-9]* # SKIP\)/ok\1/' "$t/tap" # as older versions of cmocka have it
    awk -v test="${1##*/}" -v tool="${VNP_TEST_TOOLS-}" -v status="$status" -v s=$((SECONDS - at)) '
        function quoted(text) { gsub(/[\\"]/, "", text); return "\"" text "\"" }
        /^ok .*# [Ss][Kk][Ii][Pp]/ { skipped++; print "{\"what\":\"check\",\"result\":\"skipped\",\"name\":" quoted($0) "}"; next }
        /^ok / { passed++ }
        /^not ok / { failed++; print "{\"what\":\"check\",\"result\":\"failed\",\"name\":" quoted($0) "}" }
        END { if (status != 0 && !failed || passed + failed + skipped == 0) failed++
            printf "{\"what\":\"tests\",\"test\":\"%s\",\"status\":%d,\"passed\":%d,\"failed\":%d,\"skipped\":%d,\"seconds\":%d}\n",
                test (tool == "" ? "" : ", " tool), status, passed, failed, skipped, s }' "$t/tap" | tee "$t/lines" | emit
    ! grep -q '"failed":[1-9]' "$t/lines" || failures=1
}

if has kernels; then
    for test in "$build"/tests/kernels-gpu/test_*; do
        if [ -x "$test" ] && within 5 "${test##*/}"; then tests "$test"; fi
    done
fi
if has forward && within 30 forward; then
    tests tests/vnp-gpu-forward/options.sh
    for test in tests/vnp-gpu-forward/*.sh; do
        case $test in */options.sh | */full-size.sh | */sanitizer.sh) continue ;; esac
        if [ -x "$test" ]; then tests "$test"; fi
    done
fi
if has full; then
    shapes=${VNP_TEST_SHAPES:-8M dnabert-s 650M 3B}
    read -r -a halves <<<"${VNP_TEST_OUTLIERS:-no yes}"
    for shape in $shapes; do
        case $shape in 3B) wants=235 ;; 650M) wants=135 ;; dnabert-s) wants=100 ;; *) wants=30 ;; esac # each half
        within $((wants * ${#halves[@]})) "full size, $shape" && VNP_TEST_SHAPES=$shape tests tests/vnp-gpu-forward/full-size.sh
    done
fi
for tool in memcheck racecheck; do
    if has $tool && within 30 $tool; then VNP_TEST_TOOLS=$tool VNP_TEST_SECONDS=$(left) tests tests/vnp-gpu-forward/sanitizer.sh; fi
done
close_results
exit $failures
