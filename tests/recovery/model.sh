#!/usr/bin/env bash
# A model that has changed since a run was begun is noticed, be it by a single value that its fingerprint does not look at.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
vnp-model synth 1x20x320 -q -o model --seed 1
weights=$(echo model/*.safetensors)
fingerprint() { vnp-model inspect -q --json model | grep -o '"fingerprint":"[^"]*"'; }
before=$(fingerprint)
cp "$weights" whole

# The last byte of a value somewhere: the fingerprint is the same, the values are not.
cp "$weights" changed
size=$(stat -c %s whole)
for ((at = size / 8 * 4 + 3; at < size; at += 40004)); do
    byte=$(od -An -tu1 -j $at -N 1 whole)
    # shellcheck disable=SC2059  # an octal escape
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$weights" bs=1 seek=$at conv=notrunc status=none
    [ "$(fingerprint)" != "$before" ] || break
    cp whole "$weights"
done
check 'a value that the fingerprint does not look at' [ "$(fingerprint)" = "$before" ]
differ 'is another' whole "$weights"
cp "$weights" changed
cp whole "$weights"

embed=(vnp-embed -q -d cpu -m model --block 2 -o out "$PROTEINS")
"${embed[@]}" && mv out want
start "${embed[@]}"
until_true 30 test -s out.run/values -a -e out.run/done/000002.vnp
check 'a run notes the values of its model beside its work' [ -s out.run/values ]
kill -TERM $! && wait $!
check 'it was ended' [ -e out.run/what ]
cp changed "$weights"
status 'the changed model is refused' 2 "${embed[@]}"
says 'and the way out is named' '^vnp-embed: out.run: was begun with another model than this: .*--restart'
cp whole "$weights"
check 'with the model of then it goes on' "${embed[@]}"
same 'to the same bytes' want out
check 'and nothing is left' nothing_left out

# While a run is at work.
rm out
vnp-model synth 1x20x320 -q -o other --seed 2
start "${embed[@]}"
until_true 30 blocks_done out.run 2
mv model mine && mv other model
wait $!
status 'a model that is replaced while the run is at work' 65 sh -c "cat err >&2; exit $?"
says 'ends it' "^vnp-embed: $PWD/model: is another model \(fingerprint [0-9a-f]+\) than the run's \([0-9a-f]+\)$"
mv model other && mv mine model
check 'with the model of then it goes on' "${embed[@]}"
same 'to the same bytes' want out
check 'and nothing is left' nothing_left out

# Each of the models of vnp-predict, where a block is computed.
vnp-model synth 1x1x16 -q -o esm && vnp-model synth 1x1x16 --seed 2 -q -o esm.other
vnp-model synth dnabert-s:1x1x16 -q -o dnabert && vnp-model synth dnabert-s:1x1x16 --seed 2 -q -o dnabert.other
vnp-model synth classifier:32 -q -o classifier && vnp-model synth classifier:32 --seed 2 -q -o classifier.other
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
vnp-predict -q -d cpu --prepare --esm esm --dnabert dnabert --classifier classifier --block 10 -o got "$ROOT/tests/data/contigs.fa" >prepared
exec {lock}<got.run/lock
block() { VNP_SLOT=cpu VNP_LOCK=$lock "$BUILD/lib/vnp/block" "$PWD/got.run" 000000; }
for model in esm dnabert classifier; do
    mv $model $model.mine && cp -r $model.other $model
    status "another $model" 75 block
    check 'the run can not go on' grep -q "^$PWD/$model: is another model " got.run/stop
    check 'the block is not done' [ ! -e got.run/done/000000.vnp ]
    rm -r $model && mv $model.mine $model
done
check 'with all of then it is computed' block
check 'it is done' [ -e got.run/done/000000.vnp ]
finish
