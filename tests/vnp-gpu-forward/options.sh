#!/usr/bin/env bash
# vnp-gpu-forward: what needs no GPU, and what a machine without one is told.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib.sh"
if ! command -v vnp-gpu-forward >/dev/null; then
    skip 'options of vnp-gpu-forward' 'built without CUDA'
    finish
    exit
fi
cd "$T" || exit 2
status 'help' 0 vnp-gpu-forward --help
check 'help fits a screen' [ "$(wc -l <out)" -le 40 ]
status 'an unknown option' 2 vnp-gpu-forward --fp8
status 'an unknown pooling' 2 vnp-gpu-forward --pool sum
says 'says what there is' 'mean, cls or max, not sum'
status 'all tokens of no pooling' 2 vnp-gpu-forward --all-tokens
status 'all tokens of the first' 2 vnp-gpu-forward --pool cls --all-tokens
says 'says with what' '--all-tokens goes with --pool mean or max'
status 'a device that is no number' 2 vnp-gpu-forward --device one
status 'an unknown way with NaN' 2 vnp-gpu-forward --on-nonfinite=ignore
status 'a cosine above 1' 2 vnp-gpu-forward --min-cosine 1.5
echo old >input
status 'the output over the input' 2 vnp-gpu-forward -o input input
says 'says so' '^vnp-gpu-forward: input: is the input; choose another name for the output$'
if vnp-gpu-forward -q --probe 2>/dev/null; then
    status 'a device that is not there' 69 vnp-gpu-forward --device 999
    says 'is named' '--device 999: there are GPUs 0 to [0-9]+$'
    status 'a model that is not there' 66 vnp-gpu-forward --model "$T/none"
    vnp-model synth 2x4x64 -q -o model
    printf '>a\nLAGV\n' | vnp-fasta2tok -q - >tokens
    status 'tokens that are not batches' 65 vnp-gpu-forward --model model tokens
    says 'say what would make them' 'vnp-pack'
    vnp-pack -q tokens >batches
    head -c 300 batches >short
    status 'a stream cut short' 65 vnp-gpu-forward --model model -o result short
    check 'leaves nothing' [ ! -e result ]
    status 'a layer that is not there' 2 vnp-gpu-forward --model model --layer 3 batches
    status 'a full disk' 74 sh -c 'vnp-gpu-forward -q --model model batches >/dev/full'
else
    status 'without a GPU' 69 vnp-gpu-forward --model none
    says 'names the way out' 'vnp-cpu-forward takes the same input$'
    check 'in one line' [ "$(vnp-gpu-forward --model none 2>&1 | wc -l)" = 1 ]
fi
finish
