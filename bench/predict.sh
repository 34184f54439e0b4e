#!/usr/bin/env bash
# The whole of vnp-predict with full-size synthetic models over generated reads: seconds in all and for each stage, beside those
# that VirNucPro v2 published (two RTX 4090, 794,577 proteins of about 51 tokens).
#   bench/predict.sh        see gpu-lib.sh for RESULTS, VNP_BUILD (to run it without make), VNP_BENCH_LIMIT and _DIR
#   VNP_BENCH_READS         how many (1000000); each is one open frame on either strand, and those that come about by chance
#   VNP_BENCH_LENGTH        letters of each, which are a chunk (500). 150 is as many tokens as in the published figures
#   VNP_BENCH_DEVICE        auto, cpu or gpu (auto), and VNP_BENCH_GPUS, as for vnp-predict --gpus (all)
#   VNP_BENCH_ESM (3B)  VNP_BENCH_DNABERT (dnabert-s)  VNP_BENCH_CLASSIFIER (classifier)   shapes for vnp-model synth
# To see it work: VNP_BENCH_READS=1000 VNP_BENCH_ESM=2x4x64 VNP_BENCH_DNABERT=dnabert-s:2x4x64 VNP_BENCH_CLASSIFIER=classifier:128
# Seconds: 35 for the models; at 100,000 tokens/s, 1.7 for 1000 reads of 500 letters. A run that VNP_BENCH_LIMIT ends is recorded
# as far as it came.
. "$(dirname "$0")/gpu-lib.sh"
results predict ''
reads=${VNP_BENCH_READS:-1000000} length=${VNP_BENCH_LENGTH:-500} device=${VNP_BENCH_DEVICE:-auto}
on=(-d "$device")
[ -z "${VNP_BENCH_GPUS-}" ] || on+=(--gpus "$VNP_BENCH_GPUS")
model "${VNP_BENCH_ESM:-3B}" || exit 1
esm=$model
model "${VNP_BENCH_DNABERT:-dnabert-s}" || exit 1
dnabert=$model
model "${VNP_BENCH_CLASSIFIER:-classifier}" || exit 1
cp tests/golden/tokenizers/dna4096.json "$dnabert/tokenizer.json" || exit 1
synth-contigs -n "$reads" -l "$length" -s 0 -c 1 -g 900 -w 0 >"$t/reads.fa" || exit 1

begin=$EPOCHREALTIME
timeout -k 10 "$(($(left) - 10))" vnp-predict --esm "$esm" --dnabert "$dnabert" --classifier "$model" "${on[@]}" -l "$length" \
    -o "$t/out" "$t/reads.fa" 2>"$t/said"
status=$?
end=$EPOCHREALTIME
if [ $status = 0 ]; then whole=true; else
    whole=false
    grep -v -e '^vnp-predict: ' -e '^stage ' "$t/said" | tail -n 5 >&2
    [ -d "$t/out.run/blocks" ] || exit 1
fi
# The stages, from the summary that vnp-predict prints, or of the blocks that were done.
if [ $whole = true ]; then sed -n '/^stage  /,/^slowest/p' "$t/said"; else
    cat "$t"/out.run/*.log "$t"/out.run/log/* 2>/dev/null | grep '^{' | vnp-log
fi >"$t/stages"
{
    grep -h 'warning: \|runs on the CPU' "$t/said" | sort -u | head -n 3
    sed -n 's/^vnp-predict: \([0-9]* of [0-9]* frames, [0-9]* tokens\/s\).* in \([0-9.]*\) s$/\1 \2/p' "$t/said" | tail -n 1 |
        awk '{ printf "{\"what\":\"blocks\",\"frames\":%d,\"of\":%d,\"tokens_s\":%d,\"seconds\":%s}\n", $1, $3, $5, $NF }'
    [ $whole = true ] || awk -v done="$(find "$t/out.run/done" -name '*.vnp' | sed 's|.*/||; s|\.vnp$||' | paste -sd ' ')" -v s="$(awk "BEGIN { print $end - $begin }")" '
        BEGIN { n = split(done, list, " "); for (i = 1; i <= n; i++) is[list[i]] = 1 }
        NR > 1 { of += $3; if ($1 in is) { frames += $3; tokens += $4 } }
        END { printf "{\"what\":\"blocks\",\"frames\":%d,\"of\":%d,\"tokens_s\":%d,\"seconds\":%.1f}\n", frames, of, tokens / s, s }' \
        "$t/out.run/blocks/blocks.tsv"
    awk '$1 == "stage" || $1 == "slowest" { next } {
        name = $1; i = 2
        if ($2 !~ /^[0-9.]+$/) { name = name " " $2; i = 3 }
        printf "{\"what\":\"stage\",\"stage\":\"%s\",\"busy_s\":%s,\"wait_in_s\":%s,\"wait_out_s\":%s,\"sequences\":%s,\"tokens\":%s}\n", name, $i, $(i + 1), $(i + 2), $(i + 4), $(i + 5)
    }' "$t/stages"
    printf '{"what":"predict","esm":"%s","dnabert":"%s","device":"%s","reads":%d,"length":%d,"frames":%d,"viral":%d,"seconds":%s,"whole":%s}\n' \
        "${esm##*/}" "${dnabert##*/}" "$device" "$reads" "$length" "$(tail -n +2 "$t/out/prediction_results.txt" 2>/dev/null | grep -c .)" \
        "$(awk -F '\t' '$2 == "virus"' "$t/out/prediction_results.txt" 2>/dev/null | grep -c .)" "$(awk "BEGIN { printf \"%.2f\", $end - $begin }")" $whole
} | emit
close_results
[ $whole = true ]
