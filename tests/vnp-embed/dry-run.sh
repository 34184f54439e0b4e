#!/usr/bin/env bash
# vnp-embed --dry-run: the plan of the run that the same options make, and nothing else.
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2
vnp-model synth 2x2x32 -o model --seed 1 2>/dev/null
awk '/^>/ { n++ } n <= 12' "$PROTEINS" >in.fa
before=$(ls -a)
timeless() { sed -E '/^CPU time/d; s/; [0-9.]+ .B free there//' "$@"; } # what differs from one time to the next

vnp-fasta2tok -q --window 100 in.fa | vnp-pack -q -b 512 |
    vnp-plan -q -m model --none --f16 --layer 1 --threads 1 -o emb.zst | timeless >"$T/want"
status 'a dry run' 0 vnp-embed -q --dry-run -m model --window 100 -b 512 --none --f16 --layer 1 --threads 1 in.fa
timeless "$T/out" >"$T/got"
cp "$T/err" "$T/said"
same 'is the plan of these options' "$T/want" "$T/got"
check '-q: nothing but the plan' [ ! -s "$T/said" ]
status 'from stdin' 0 vnp-embed -q --dry-run -m model --window 100 -b 512 --none --f16 --layer 1 --threads 1 <in.fa
timeless "$T/out" >"$T/got"
same 'the same' "$T/want" "$T/got"
for device in cpu gpu; do
    status "for the $device alone" 0 vnp-embed -q --dry-run -m model -d $device --all-tokens --level 3 in.fa
    cp "$T/out" "$T/plan"
    check 'the plan has that one alone' [ "$(grep -Ec '^(CPU|GPU) memory' "$T/plan")" = 1 ]
done
status 'with --dedup' 0 vnp-embed --dry-run -m model --dedup in.fa
says 'the output is of more rows than planned' '^vnp-embed: warning: --dedup: planned for each sequence once'
status 'numbers of the GPU' 0 vnp-embed -q --dry-run -m model -d gpu --bf16 in.fa
cp "$T/out" "$T/plan"
check 'are planned for' grep -q 'tokens in bf16' "$T/plan"
status 'FP16 on the CPU' 2 vnp-embed -q --dry-run -m model -d cpu --fp16 in.fa
printf '%s\n' 4/: 8/node '2/:' >"$T/hosts"
for gpus in 'one: --gpus 0,0,00' '2: --gpus 0,2,0' "12: -d gpu --hosts $T/hosts" "12: --hosts $T/hosts" 'one: --gpus all'; do
    # shellcheck disable=SC2086  # words
    status "$gpus" 0 env -u CUDA_VISIBLE_DEVICES vnp-embed -q --dry-run -m model ${gpus#*:} in.fa
    cp "$T/out" "$T/plan"
    check "is planned for ${gpus%%:*}" grep -q "^GPU time .* on ${gpus%%:*} NVIDIA H200 (" "$T/plan"
done
status 'hosts on the CPU' 0 vnp-embed --dry-run -d cpu --hosts "$T/hosts" -m model in.fa
says 'are planned for one' '^vnp-embed: warning: --hosts: the time on the CPU is planned for this host alone$'
echo 2/: >"$T/hosts"
status 'GPUs that the environment does not name' 0 env CUDA_VISIBLE_DEVICES=3 vnp-embed -q --dry-run -m model --hosts "$T/hosts" in.fa
echo x/node >"$T/hosts"
status 'a line that is no host' 65 vnp-embed -q --dry-run -m model --hosts "$T/hosts" in.fa
status 'what the run would refuse' 2 vnp-embed -q --dry-run -m model --on-nonfinite maybe in.fa
says 'says so' '^vnp-plan: --on-nonfinite: '
status 'a folder as output' 73 vnp-embed -q --dry-run -m model -o model in.fa
status 'a missing file' 66 vnp-embed -q --dry-run -m model missing.fa
status 'a missing model' 66 vnp-embed -q --dry-run -m nowhere in.fa
status 'a full disk' 74 sh -c 'vnp-embed -q --dry-run -m model in.fa >/dev/full'
says 'says so' "^vnp-[a-z]*: stdout: can't be written"
check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
check 'nothing was written' [ "$before" = "$(ls -a)" ]
finish
