#!/usr/bin/env bash
# compute-sanitizer's memcheck and racecheck over whole passes, of every head dimension and kind of numbers and at full width,
# and over each kernel's own tests. Needs a GPU and compute-sanitizer, which slows them down a hundredfold: what takes longer
# than its time, or is not done within the test's, is counted as skipped.
#   VNP_TEST_TOOLS "memcheck racecheck"   VNP_TEST_PASSES "passes kernels"   VNP_TEST_SANITIZER_SECONDS  of one check (120)
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
PATH=$PATH:/usr/local/cuda/bin
if ! command -v vnp-gpu-forward >/dev/null || ! vnp-gpu-forward -q --probe 2>/dev/null; then
    skip 'compute-sanitizer' 'no GPU here'
    finish
    exit
fi
if ! command -v compute-sanitizer >/dev/null; then
    skip 'compute-sanitizer' 'it is not installed'
    finish
    exit
fi
limit=${VNP_TEST_SANITIZER_SECONDS:-120}
cd "$T" || exit 2

clean() { # clean NAME COMMAND...: no error, in time
    local name=$1 rc seconds=$((until - SECONDS))
    shift
    if [ $seconds -lt 5 ]; then
        skip "$tool: $name" 'no time left'
        return
    fi
    if [ $seconds -gt "$limit" ]; then seconds=$limit; fi
    timeout -k 5 "$seconds" compute-sanitizer --tool "$tool" --error-exitcode 99 --print-limit 5 "$@" >out 2>&1 </dev/null
    rc=$?
    case $rc in
    0) if grep -q 'ERROR SUMMARY: 0 errors\|RACECHECK SUMMARY: 0 hazards' out; then tap ok "$tool: $name"; else
        tap 'not ok' "$tool: $name: not clean"
        tail -n 5 out | sed 's/^/# /'
    fi ;;
    124 | 137) skip "$tool: $name" "took longer than $seconds s" ;;
    *)
        tap 'not ok' "$tool: $name: status $rc"
        grep -m 12 '=========' out | sed 's/^/# /'
        ;;
    esac
}

awk 'function protein(n, s) { s = ""; while (n-- > 0) s = s substr("LAGVSERTIDPKQNFYMHWC", int(rand() * 20) + 1, 1); return s }
    BEGIN { srand(7); n = split("1 2 17 62 63 64 65 127 129 254", l); for (i = 1; i <= n; i++) print ">" i "\n" protein(l[i]) }' >in.fa
vnp-fasta2tok -q in.fa | vnp-pack -q -b 512 -o proteins
awk 'BEGIN { srand(8); n = split("9 40 250 500 501 900", l)
    for (i = 1; i <= n; i++) { s = ""; while (l[i]-- > 0) s = s substr("ACGT", int(rand() * 4) + 1, 1); print ">" i "\n" s } }' >dna.fa
vnp-fasta2tok -q --tokenizer "$ROOT/tests/golden/tokenizers/dna4096.json" dna.fa | vnp-pack -q -b 512 -o dna
read -r -a tools <<<"${VNP_TEST_TOOLS:-memcheck racecheck}"
remaining=${#tools[@]}
for tool in "${tools[@]}"; do
    until=$((SECONDS + (${VNP_TEST_SECONDS:-600} - SECONDS) / remaining - 3)) # each tool has its share
    remaining=$((remaining - 1))
    for pass in ${VNP_TEST_PASSES:-passes kernels}; do
        case $pass in
        passes)
            for shape in dnabert-s:2x12x768 dnabert-s:2x3x192 1x20x320 1x20x1280 1x40x2560 2x4x64 2x4x96 2x4x128 2x2x256 2x3x384; do
                [ -d "$shape" ] || vnp-model synth "$shape" --seed 3 -q -o "$shape" || exit 2
                case $shape in 1x* | *768) numbers=fp16 ;; *) numbers='fp16 bf16 tf32 fp32' ;; esac
                case $shape in dnabert*) input=dna ;; *) input=proteins ;; esac
                for n in $numbers; do
                    clean "$shape, $n" vnp-gpu-forward -q "--$n" --model "$shape" -o result $input
                done
                # At full width FP32 takes minutes here, and its kernels are the same.
                case $numbers in fp16) compare=() ;; *) compare=(--compare-fp32 4) ;; esac
                clean "$shape, pooled${compare:+, compared with FP32}" vnp-gpu-forward -q --pool mean "${compare[@]}" \
                    --model "$shape" -o result $input
            done
            ;;
        kernels)
            export VNP_TEST_LIGHT=1
            for t in "$BUILD"/tests/kernels-gpu/test_*; do
                if [ -x "$t" ]; then clean "${t##*/}" "$t"; fi
            done
            ;;
        esac
    done
done
finish
