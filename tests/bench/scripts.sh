#!/usr/bin/env bash
# The benches that need a GPU host, gone through without one: in the GPU stage's place the CPU's computes, and the programs that
# take device code print made-up figures. What is kept, what a limit and a kill leave, and the tables.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
if [ ! -x "$BUILD/bench/synth-fasta" ]; then
    skip 'the benches for GPU hosts' 'make bench-tools was not run'
    finish
    exit
fi
once 'the benches for GPU hosts'
fake=$T/fake
mkdir -p "$fake/bin" "$fake/bench" "$fake/path" "$fake/tests/kernels-gpu"
ln -s "$BUILD"/bin/* "$fake/bin" && ln -s "$BUILD"/bench/* "$fake/bench" && ln -s "$BUILD/flags" "$fake"
cp -r "$BUILD/lib" "$fake" # not links, by which the drivers would find the build's own stages
cp --remove-destination "$BUILD"/bin/vnp-embed "$BUILD"/bin/vnp-predict "$fake/bin"
rm -f "$fake/bin/vnp-gpu-forward" "$fake"/bench/gpu_*
program() { cat >"$fake/$1" && chmod +x "$fake/$1"; } # program NAME < TEXT
program bin/vnp-gpu-forward <<'EOF'
#!/usr/bin/env bash
for a; do
    shift
    case $a in --probe) exit 0 ;; --fp16 | --fp32 | --report) ;; *) set -- "$@" "$a" ;; esac
done
exec "$(dirname "$0")/vnp-cpu-forward" --threads 1 "$@"
EOF
program bench/gpu_forward <<'EOF'
#!/usr/bin/env bash
while [ $# -gt 0 ]; do
    case $1 in -m) model=${2##*/} ;; -n) numbers=$2 ;; -b) budget=$2 ;; -s) seconds=$2 ;; esac
    shift 2
done
echo "{\"what\":\"load\",\"model\":\"$model\",\"numbers\":\"$numbers\",\"seconds\":0.34}"
echo "{\"what\":\"forward\",\"model\":\"$model\",\"numbers\":\"$numbers\",\"stratum\":\"mix\",\"budget\":$budget,\"seconds\":$seconds,\"tokens_s\":100000,\"sequences_s\":600,\"tflop_s\":590.5,\"memory_gb\":6.87,\"us_per_batch\":{}}"
EOF
echo 'echo "{\"kernel\":\"layernorm\",\"model\":\"8M\",\"us\":18.7}"' | program bench/gpu_kernels
printf '#!/bin/sh\nprintf "ok 1 - a\\nok 2 - b # SKIP c\\nnot ok 3 - d\\n"\n' | program tests/kernels-gpu/test_made_up
program path/nvidia-smi <<'EOF'
#!/bin/sh
case $* in *query*) echo 'NVIDIA H200, 580.159.04, 700.00 W' ;; -L) echo 'GPU 0: NVIDIA H200' ;; *) echo '| Driver 580.159.04  CUDA Version: 13.0 |' ;; esac
EOF
echo 'exit 1' | program path/python3
export PATH=$fake/path:$PATH RESULTS=$T/results VNP_BENCH_COMMIT=1234567
bench() { # bench NAME [VARIABLE=VALUE...]: sets $json and $table
    rm -rf "$RESULTS"
    check "$1 ${*:2}" env VNP_BUILD="$fake" "${@:2}" "$ROOT/bench/$1.sh"
    json=$(echo "$RESULTS/$1"-*.json) table=$(echo "$RESULTS/$1"-*.txt)
}
# shellcheck disable=SC2016  # the inner shell's
has() { check "$1" sh -c 'grep -Eq -- "$1" "$2" || { cat "$2" >&2 && false; }' - "$2" "$3"; } # has NAME PATTERN FILE

bench gpu VNP_BENCH_MODELS=2x4x64 VNP_BENCH_BASELINE=2x4x64 VNP_BENCH_RATE=5000 VNP_BENCH_SECONDS=1 VNP_BENCH_RECORDS=20
has 'the host' '"device":"NVIDIA H200","gpus":1,"driver":"580.159.04","power":"700.00 W","cuda":"13.0 .driver."' "$json"
has 'the run' '"commit":"1234567",.*VNP_BENCH_SECONDS=.1. .*bench/gpu.sh' "$json"
check 'nothing but objects' [ "$(grep -vc '^{.*}$' "$json")" = 0 ]
for what in kernel forward load pipeline skipped; do has "$what" "^\\{\"(what\":\")?$what\"" "$json"; done
has 'the table: FP16' '^2x4x64 +mix +vnp fp16 +1.0 +100000 ' "$table"
has 'FP32 beside it' 'vnp fp32 .*vnp fp16: 1.00 x' "$table"
has 'the pipeline' '^2x4x64 FASTA to emb.zst, 49 residues: .*; 6 million of 51 tokens: [0-9.]+ h' "$table"
has 'the baseline' '^2x4x64     20 sequences, whole pipeline, vnp, one record at a time, fp16 .*packed: [0-9.]+ x' "$table"
has 'peers that are not there' '^no time was left for: the peers: python3 has no torch or transformers' "$table"
bench gpu VNP_BENCH_MODELS=2x4x64 VNP_BENCH_PARTS=forward VNP_BENCH_LIMIT=3
has 'no time for anything' '"what":"skipped","figure":"2x4x64","wants":60,"left":' "$json"

bench scaling VNP_BENCH_MODELS=2x4x64 VNP_BENCH_RATE=20000 VNP_BENCH_SECONDS=2 VNP_BENCH_DEVICE=cpu VNP_BENCH_SLOTS='1 2'
slots=$(nproc)
has 'one device' '"what":"scale","model":"2x4x64","devices":1,"at_work":1,.*"imbalance_percent":0.00,"tokens_each":\[[0-9]+\]' "$json"
if [ "$slots" -gt 1 ]; then
    has 'the same bytes from two' '"what":"same","devices":2,"as":1,"same_bytes":true' "$json"
    has 'two' '^2x4x64 +2 ' "$table"
fi
# On a busy machine the run may have ended before it could be killed.
has 'a kill and a restart' '"what":"kill",.*"lost_s":[0-9.-]+,.*"same_bytes":true|kill and restart: the run had ended before' "$json"
bench scaling VNP_BENCH_MODELS=2x4x64 VNP_BENCH_RATE=2000 VNP_BENCH_SECONDS=1 VNP_BENCH_PARTS=scale
has 'the same on the GPU' '"what":"scale","model":"2x4x64","devices":1,"at_work":1' "$json"

predict=(VNP_BENCH_ESM=2x4x64 VNP_BENCH_DNABERT=dnabert-s:2x4x64 VNP_BENCH_CLASSIFIER=classifier:128 VNP_BENCH_DEVICE=cpu VNP_BENCH_READS=100)
bench predict "${predict[@]}"
has 'every read is a frame' '"what":"predict",.*"reads":100,"length":500,"part":"1/1","frames":1[0-9][0-9],.*"whole":true' "$json"
has 'both models' '^DNABERT-S +[0-9.]+ +501.9 +523.5$' "$table"
frames() { sed -n 's/^{"what":"predict".*"frames":\([0-9]*\).*/\1/p' "$json"; }
whole=$(frames) parts=0
for part in 1/3 2/3 3/3; do
    bench predict "${predict[@]}" VNP_BENCH_PART=$part
    parts=$((parts + $(frames)))
done
check 'parts make up the whole' [ "$parts" = "$whole" ]
has 'and say so' '^100 reads of 500 letters, part 3/3 of them, ' "$table"
predict+=(VNP_BENCH_BLOCK=10 VNP_BENCH_OUT_DIR="$T/verdicts")
program path/timeout <<'EOF'
#!/usr/bin/env bash
"${@:4}" &
until ls "$VNP_BENCH_OUT_DIR".run/done/*.vnp >/dev/null 2>&1 || ! kill -0 $!; do sleep 0.05; done
kill $!
wait $!
EOF
status 'a sitting is ended after its first block' 1 env VNP_BUILD="$fake" "${predict[@]}" "$ROOT/bench/predict.sh"
rm "$fake/path/timeout"
bench predict "${predict[@]}"
has 'the next goes on' '^sitting 2, NVIDIA H200, .*: [0-9.]+ s, then 1[0-9][0-9] of 1[0-9][0-9] frames were done$' "$table"
check 'and the seconds are of both' awk -F '[:,]' '$2 == "\"sitting\"" { n++; s += $4 } $2 == "\"predict\"" { match($0, /"seconds":[0-9.]+/); all = substr($0, RSTART + 10, RLENGTH - 10) }
    END { exit !(n == 2 && all > 0 && (all - s) ^ 2 < 1e-6) }' "$json"

rm -rf "$RESULTS"
status 'a test that fails is kept' 1 env VNP_BUILD="$fake" VNP_BENCH_PARTS=kernels "$ROOT/bench/proof.sh"
json=$(echo "$RESULTS"/proof-*.json)
has 'counted' '"what":"tests","test":"test_made_up","status":0,"passed":1,"failed":1,"skipped":1' "$json"
has 'and named' '"what":"check","result":"failed","name":"not ok 3 - d"' "$json"

rm -rf "$RESULTS"
proof() { VNP_BUILD="$fake" VNP_BENCH_PARTS='' "$ROOT/bench/proof.sh" >"$T/$1" 2>&1; }
proof one & proof two & wait
check 'two that begin at once have a record each' [ "$(cat "$RESULTS"/proof-*.json | grep -c '"what":"run"')/$(echo "$RESULTS"/proof-*.json | wc -w)" = 2/2 ]
finish
