#!/bin/bash
# vnp-model synth and convert: the same bytes always, whole or not at all.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 1
crc_of() { vnp-model verify "$1" | sed 's/.*crc32 \([0-9a-f]*\),.*/\1/'; }
print_of() { vnp-model inspect --json "$1" | sed 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/'; }

check "synth" vnp-model synth 3x4x64 --seed 5 -o a
check "again" vnp-model synth 3x4x64 --seed 5 -q -o b
same "same seed, same bytes" a/model.safetensors b/model.safetensors
check "on one core" taskset -c 0 vnp-model synth 3x4x64 --seed 5 -q -o b1
same "same bytes on one core" a/model.safetensors b1/model.safetensors
# The numbers are part of the contract: golden data elsewhere are made from them.
check "the values of seed 5" test "$(crc_of a)" = 4e7a4f45
vnp-model synth 3x4x64 --seed 6 -q -o c
check "another seed, other values" test "$(crc_of c)" != "$(crc_of a)"
vnp-model synth 3x4x64 --seed 5 --outliers -q -o o
check "with massive channels" test "$(crc_of o)" = 7bd166bf
for size in 8M esm2_t12_35M_UR50D dnabert-s:2x2x32; do
    check "synth $size" vnp-model synth $size --dtype f16 -q -o "m-$size"
    check "verify $size" vnp-model verify "m-$size"
    rm -rf "m-$size"
done
for shape in 7M 3x4 3x4x65 0x4x64 3x4x64x 3x4x-64 3x40x40 esm 1e9x1x2 dnabert-s:; do
    status "synth $shape" 2 vnp-model synth "$shape" -o bad
    check "synth $shape leaves nothing" test ! -e bad
done
for shape in classifier:65537 classifier:65537x1 classifier:1x65537 classifier:99999; do
    status "synth $shape" 2 vnp-model synth "$shape" -o bad
    says "synth $shape: what there can be" "^vnp-model: $shape: .* of at most 65536 each\$"
    check "synth $shape leaves nothing" test ! -e bad
done
for shape in classifier:65536x1 classifier:1x65536; do
    check "synth $shape" vnp-model synth $shape -q -o wide
    check "verify $shape" vnp-model verify wide
    rm -r wide
done

# --- converting -----------------------------------------------------------------------------------------------------
for dtype in f32 f16 bf16; do
    vnp-model synth 3x4x64 --seed 5 --dtype $dtype -q -o "s-$dtype"
    check "convert to $dtype" vnp-model convert a --dtype $dtype -o "c-$dtype"
    same "convert to $dtype rounds as synth --dtype $dtype" "s-$dtype/model.safetensors" "c-$dtype/model.safetensors"
    vnp-model convert "c-$dtype" -q -o "back-$dtype"
    check "$dtype and its values in f32 have one fingerprint" test "$(print_of "back-$dtype")" = "$(print_of "c-$dtype")"
    check "$dtype and its values in f32 have one checksum" test "$(crc_of "back-$dtype")" = "$(crc_of "c-$dtype")"
done
same "f32 to f32 changes nothing" a/model.safetensors back-f32/model.safetensors
cp -r a padded
sed -i 's/"pad_token_id": 1/"pad_token_id": 7/' padded/config.json
check "convert with a pad_token_id of its own" vnp-model convert padded -q -o c-padded
same "which stays" padded/config.json c-padded/config.json
check "convert a fair-esm file" vnp-model convert "$ROOT/tests/golden/model-files/fair-esm.pt" -q -o fair
check "with its values" test "$(crc_of fair)" = "$(crc_of "$ROOT/tests/golden/model-files/hf-bin")"

# 1e5 as the last value of all
cp -r a big
printf '\0\120\303\107' | dd of=big/model.safetensors bs=1 seek=$(($(stat -c %s a/model.safetensors) - 4)) conv=notrunc status=none
status "a value too large for f16" 65 vnp-model convert big --dtype f16 -o big16
says "how many, and where" '1 values are too large for f16, some of them in encoder.layer.2.output.dense.bias'
check "nothing is left of it" test -z "$(ls -d big16* 2>/dev/null)"
check "--force" vnp-model convert big --dtype f16 --force -o big16
says "says so" 'warning: 1 values were too large for f16'
check "the largest value stands there" vnp-model verify big16
check "bf16 holds it" vnp-model convert big --dtype bf16 -q -o bigb

# --- whole or not at all --------------------------------------------------------------------------------------------
status "the directory is there already" 73 vnp-model synth 3x4x64 -o a
same "and stays as it is" a/model.safetensors b/model.safetensors
mkdir into
check "an empty one is taken" vnp-model synth 3x4x64 -q -o into/
mkdir real beside beside/dot && ln -s ../real beside/link && ln -s nothing dangling
check "and through a symbolic link" vnp-model synth 3x4x64 --seed 5 -q -o beside/link
same "and through a symbolic link: it is there" real/model.safetensors a/model.safetensors
check "and through a symbolic link, which stays" [ -L beside/link ]
check "and by a name that ends in a dot" vnp-model synth 3x4x64 --seed 5 -q -o beside/dot/.
same "and by a name that ends in a dot: it is there" beside/dot/model.safetensors a/model.safetensors
status "a symbolic link to nothing" 73 vnp-model synth 3x4x64 -o dangling
says "a symbolic link to nothing: says so" '^vnp-model: dangling: already exists and is not an empty directory$'
mkdir here
for name in . "$PWD/here"; do
    status "the current directory, $name" 73 env -C here vnp-model synth 3x4x64 -o "$name"
    says "the current directory, $name: says so" ': is the current directory, .*: give another name'
    check "the current directory, $name: in one line" [ "$(wc -l <"$T/err")" = 1 ]
done
check "nothing is left of these" test -z "$(find . -name '*.tmp.*')$(ls -A here)"
status "no place for it" 73 vnp-model synth 3x4x64 -o nowhere/x
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=100k tmpfs small 2>/dev/null; then
    status "a mount point" 73 vnp-model synth 3x4x64 -o small
    says "a mount point: says so" '^vnp-model: small: is the root of a file system: give the name of a directory in it$'
    status "a full disk" 74 vnp-model synth 3x4x64 -o small/m
    check "a full disk: nothing is left" test -z "$(ls -A small)"
    umount small
else
    skip "a full disk" "can't mount a small file system here"
fi
vnp-model synth 150M -q -o slow &
pid=$!
while [ -z "$(ls -d slow.tmp.* 2>/dev/null)" ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
kill -TERM $pid
wait $pid
check "SIGTERM: status 143" test $? = 143
check "SIGTERM: nothing is left" test -z "$(ls -d slow* 2>/dev/null)"

# --- the command line -----------------------------------------------------------------------------------------------
status "no command" 2 vnp-model
says 'no command: what there is' '^vnp-model: say what to do: inspect, verify, synth, convert or fetch; see --help$'
check 'no command: one line' [ "$(wc -l <"$T/err")" = 1 ]
status "an unknown command" 2 vnp-model frobnicate
says 'an unknown command: what there is' '^vnp-model: frobnicate: no such command: there are inspect, .*; see --help$'
status "an unknown option" 2 vnp-model inspect --frobnicate
status "an empty name" 73 vnp-model synth 3x4x64 -o ''
says "an empty name is said to be one" 'name .* is empty'
status "synth without -o" 2 vnp-model synth 8M
status "synth to stdout" 2 vnp-model synth 3x4x64 -o -
says "says so" '^vnp-model: -o -: is stdout, and a directory is wanted'
check "and makes nothing" [ ! -e ./- ]
status "synth without a shape" 2 vnp-model synth -o x
status "two models" 2 vnp-model inspect a b
says 'two models: how many it takes' '^vnp-model: inspect: takes one model or shape, not 2; see --help$'
status "an unknown dtype" 2 vnp-model convert a --dtype int8 -o x
status "a seed that is no number" 2 vnp-model synth 3x4x64 --seed x -o x
check "--help" vnp-model --help
check "--version" vnp-model --version
for command in "inspect a" "inspect -l a" "inspect --json -l a" "verify a"; do
    # shellcheck disable=SC2086
    vnp-model $command >/dev/full 2>"$T/err"
    check "$command to a full device fails" test $? = 74
done
vnp-model inspect -l a >"$T/list"
check "inspect -l lists every tensor" test "$(grep -c '	used$' "$T/list")" = 51
finish
