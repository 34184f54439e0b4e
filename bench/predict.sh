#!/usr/bin/env bash
# The whole of vnp-predict with full-size synthetic models over generated reads: seconds in all and for each stage, beside those
# that VirNucPro v2 published (two RTX 4090, 794,577 proteins of about 51 tokens).
#   bench/predict.sh        see gpu-lib.sh for RESULTS, VNP_BUILD (to run it without make), VNP_BENCH_LIMIT and _DIR
#   VNP_BENCH_READS         how many (1000000); each is one open frame on either strand, and those that come about by chance
#   VNP_BENCH_PART          K/N: the Kth of N equal parts of the reads alone, for machines whose time is too short for all of them
#   VNP_BENCH_LENGTH        letters of each, which are a chunk (500). 150 is as many tokens as in the published figures
#   VNP_BENCH_DEVICE        auto, cpu or gpu (auto); VNP_BENCH_GPUS and VNP_BENCH_BLOCK, as for vnp-predict --gpus (all) and
#                           --block (by the model)
#   VNP_BENCH_ESM (3B)  VNP_BENCH_DNABERT (dnabert-s)  VNP_BENCH_CLASSIFIER (classifier)   shapes for vnp-model synth
#   VNP_BENCH_OUT_DIR       where the results go (a scratch folder). There, the same command goes on with a run that was ended,
#                           and the record is of all sittings together
# To see it work: VNP_BENCH_READS=1000 VNP_BENCH_ESM=2x4x64 VNP_BENCH_DNABERT=dnabert-s:2x4x64 VNP_BENCH_CLASSIFIER=classifier:128
# Seconds: 35 for the models; 1.7 for 1000 reads of 500 letters on one H200, 0.9 on two. A run that VNP_BENCH_LIMIT ends is
# recorded as far as it came.
. "$(dirname "$0")/gpu-lib.sh"
results predict ''
reads=${VNP_BENCH_READS:-1000000} length=${VNP_BENCH_LENGTH:-500} device=${VNP_BENCH_DEVICE:-auto} part=${VNP_BENCH_PART:-1/1}
on=(-d "$device")
[ -z "${VNP_BENCH_GPUS-}" ] || on+=(--gpus "$VNP_BENCH_GPUS")
[ -z "${VNP_BENCH_BLOCK-}" ] || on+=(--block "$VNP_BENCH_BLOCK")
model "${VNP_BENCH_ESM:-3B}" || exit 1
esm=$model
model "${VNP_BENCH_DNABERT:-dnabert-s}" || exit 1
dnabert=$model
model "${VNP_BENCH_CLASSIFIER:-classifier}" || exit 1
cp tests/golden/tokenizers/dna4096.json "$dnabert/tokenizer.json" || exit 1
synth-contigs -n "$reads" -l "$length" -s 0 -c 1 -g 900 -w 0 |
    awk -v of="$reads" -v k="${part%/*}" -v n="${part#*/}" '{ i = int((NR - 1) / 2) } i >= (k - 1) * of / n && i < k * of / n' >"$t/reads.fa" || exit 1
[ -s "$t/reads.fa" ] || exit 1

to=${VNP_BENCH_OUT_DIR:-$t/out}
begin=$EPOCHREALTIME
timeout -k 10 "$(($(left) - 10))" vnp-predict --esm "$esm" --dnabert "$dnabert" --classifier "$model" "${on[@]}" -l "$length" \
    -o "$to" "$t/reads.fa" 2>"$t/said"
status=$?
seconds=$(reckon "$EPOCHREALTIME - $begin")
if [ $status = 0 ]; then whole=true; else
    whole=false
    tail -n 5 "$t/said" >&2
    [ -d "$to.run/blocks" ] || exit 1
fi
# The stages, from the summary that vnp-predict prints, or of the blocks that were done.
if [ $whole = true ]; then sed -n '/^stage  /,/^slowest/p' "$t/said"; else
    cat "$to".run/*.log "$to".run/log/* 2>/dev/null | grep '^{' | vnp-log
fi >"$t/stages"
# How far it came: frames, of how many, tokens of proteins a second, and seconds for the blocks.
if [ $whole = true ]; then
    sed -n 's/^vnp-predict: \([0-9]*\) of \([0-9]*\) frames, \([0-9]*\) tokens\/s.* in \([0-9.]*\) s$/\1 \2 \3 \4/p' "$t/said" | tail -n 1
else
    find "$to.run/done" -name '*.vnp' | sed 's|.*/||; s|\.vnp$||' | awk -v s="$seconds" '
        FILENAME == "-" { is[$1] = 1; next }
        FNR > 1 { of += $3; if ($1 in is) { frames += $3; tokens += $4 } }
        END { printf "%d %d %d %s\n", frames, of, tokens / s, s }' - "$to.run/blocks/blocks.tsv"
fi >"$t/came"
read -r frames of rate blocks_s <"$t/came"
object what sitting seconds "$seconds" frames "$frames" of "$of" date "$(date -u +%FT%TZ)" commit "$(commit | paste -sd ' ')" \
    device "$(head -n 1 "$t/gpus")" >>"$to.sittings"
{
    grep -h 'warning: \|runs on the CPU' "$t/said" | sort -u | head -n 3
    if [ "$(wc -l <"$to.sittings")" -gt 1 ]; then cat "$to.sittings"; else
        object what blocks frames "$frames" of "$of" tokens_s "$rate" seconds "$blocks_s"
    fi
    # A stage's name may have a second word, and then: busy, for input, for output, share, sequences, tokens.
    sed -nE '/^(stage|slowest) /!s/^(vnp-[a-z0-9-]+( [a-z]+)?) +/\1;/p' "$t/stages" | while IFS=';' read -r name numbers; do
        read -r busy wait_in wait_out _ sequences tokens _ <<<"$numbers"
        object what stage stage "$name" busy_s "$busy" wait_in_s "$wait_in" wait_out_s "$wait_out" sequences "$sequences" tokens "$tokens"
    done
    frames=$(tail -n +2 "$to/prediction_results.txt" 2>/dev/null | cut -f 2)
    object what predict esm "${esm##*/}" dnabert "${dnabert##*/}" device "$device" reads "$reads" length "$length" part "$part" \
        frames "$(grep -c . <<<"$frames")" viral "$(grep -cx virus <<<"$frames")" \
        seconds "$(awk -F '[:,]' '{ s += $4 } END { printf "%.2f", s }' "$to.sittings")" whole $whole
} | emit
close_results
[ $whole = true ] && rm -f "$to.sittings"
