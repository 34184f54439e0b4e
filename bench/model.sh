#!/usr/bin/env bash
# vnp-model alone: GB/s of a model's file, read or written.
#   bench/model.sh [SHAPE (150M)]
. "$(dirname "$0")/lib.sh"
shape=${1:-150M}
runs=3 pin=()
begin "vnp-model, all cores: GB/s of an ESM-2 $shape file in float32, best of $runs runs"

measure() { # NAME COMMAND...
    fastest "${@:2}"
    row "$1" "$bytes / 1e9 / $seconds" GB/s bytes="$bytes"
}

# What writes needs a folder that isn't there yet.
afresh() { rm -rf "$t/out" && vnp-model "$@" -q -o "$t/out"; }

vnp-model synth "$shape" -q -o "$t/model"
bytes=$(wc -c <"$t/model/model.safetensors")
measure "synth $shape" afresh synth "$shape"
measure verify vnp-model verify -q "$t/model"
measure 'convert to f16' afresh convert "$t/model" --dtype f16
measure 'convert to bf16' afresh convert "$t/model" --dtype bf16
fastest vnp-model inspect "$t/model"
row inspect "1000 * $seconds" ms
finish
