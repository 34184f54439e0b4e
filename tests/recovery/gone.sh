#!/usr/bin/env bash
# A run whose folder is removed or moved while it is at work ends soon, and says so. Another run that begins under the name
# meanwhile has no part in it: neither gets a row of the other, and what the one does about its end does nothing to the other.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
once "a run's folder that goes"
vnp-model synth 1x1x16 -q -o model --seed 1
awk '/^>/ { n++ } n <= 40' "$PROTEINS" >in.fa
sed 's/^>/>other_/' in.fa >other.fa
fake_build private
embed() { vnp-embed -q -d cpu -m model --threads 1 --block 5 "$@"; }
embed -o want in.fa
embed -o want.other other.fa
computed >/dev/null

waits_at() { # waits_at BLOCKS OPTION...: a run that has done so many blocks, and stands still at one
    local n=$1
    shift
    touch "$fake/hang.000004"
    start vnp-embed -q -d cpu -m model --threads 1 --block 5 "$@" </dev/null
    until_true 60 blocks_done "$run" "$n" && sleep 0.3
}
ends() { # ends NAME [STATUS]: within some seconds, in one line, and nothing of it is left
    local rc began=$SECONDS
    until_true 15 ended 0 "$session"
    check "$1: it ends" ended 0 "$session"
    ended 0 "$session" || kill_session "$session"
    wait "$session"
    rc=$?
    check "$1: soon" [ $((SECONDS - began)) -le 10 ]
    check "$1: status 73" [ $rc = 73 ]
    check "$1: the cause is said" grep -Eq "^vnp-[a-z]*: $run: was removed or moved while the run was at work: the same command begins anew" err
    check "$1: and that is all" [ "$(wc -l <err)" = 1 ]
    [ "$(wc -l <err)" = 1 ] || sed 's/^/# /' err
    check "$1: there is no result, whole or not" [ -z "$(compgen -G out; compgen -G 'out.*.tmp')" ]
    rm -f "$fake"/hang.*
    computed >/dev/null
}
ways=('')
if has_parallel; then echo 3/: >three && ways+=('--hosts three'); else skip 'on three devices' 'GNU parallel is not installed'; fi
for way in "${ways[@]}"; do
    on=${way:-one device}
    run=out.run
    # shellcheck disable=SC2086  # words
    waits_at 4 -o out $way in.fa
    rm -rf "$run"
    ends "removed, $on"
    check 'and stays so' [ ! -e "$run" ]

    # shellcheck disable=SC2086  # words
    waits_at 4 -o out $way in.fa
    mv "$run" moved
    ends "moved, $on"
    check 'it stays where it is' [ -e moved/blocks/blocks.tsv ]
    mv moved "$run"
    # shellcheck disable=SC2086  # words
    check 'moved back, the same command goes on' embed -o out $way in.fa
    lacks 'and computes nothing twice' '00000[0-3]' "$fake/computed"
    same 'to the right result' want out
    check 'nothing is left' nothing_left out
    rm -f out

    mkdir deep && run=deep/out.run
    # shellcheck disable=SC2086  # words
    waits_at 4 -o deep/out $way in.fa
    mv deep deeper
    ends "the folder above, $on"
    rm -rf deeper

    # Another run has the name; the first is at all that it does, for as long as its watcher sleeps.
    run=out.run
    # shellcheck disable=SC2086  # words
    waits_at 4 -o out $way in.fa
    first=$session
    # shellcheck disable=SC2046  # numbers
    kill -STOP $(processes "$first" | awk '{ print $1 }')
    mv err err.first
    rm -rf "$run"
    # shellcheck disable=SC2086  # words
    waits_at 4 -o out $way other.fa
    # shellcheck disable=SC2046  # numbers
    kill -CONT $(processes "$first" | awk '{ print $1 }')
    rm -f "$fake"/hang.*
    check "another run, $on: comes to its end" wait "$session"
    check 'without a word' [ ! -s err ]
    same 'and to the right result' want.other out
    check 'nothing is left' nothing_left out
    rm -f out
    mv err.first err
    session=$first
    ends "and the first, $on"
done

# While the last step is at work, and all blocks are done.
run=out.run
touch "$fake/hang.concat"
start vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out in.fa </dev/null
until_true 60 blocks_done "$run" 8
kill_session "$session"
wait "$session" 2>/dev/null
start vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out in.fa </dev/null
last_step() { processes "$session" | grep -q '/vnp-concat .*--files-from'; }
until_true 60 last_step
rm -rf "$run"
embed -o out --prepare other.fa >prepared
cp -r "$run" before
rm -f "$fake/hang.concat"
wait "$session"
check 'while the blocks are joined: status 73' [ $? = 73 ]
check 'the cause is said, last' grep -q "^vnp-embed: $run: was removed or moved" <(tail -n 1 err)
check 'there is no result' [ ! -e out ]
check 'another run that has begun there stays as it is' diff -r before "$run"
rm -rf "$run" before

# While the input is read.
mkfifo slow
run=out.run
exec 8<>slow
start vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out - <slow 8>&-
until_true 30 [ -e "$run/blocks.whole" ]
rm -rf "$run"
cat in.fa >&8 && exec 8>&-
wait "$session"
check 'while the input is read: status 73' [ $? = 73 ]
check 'the cause is said, last' grep -q "^vnp-embed: $run: was removed or moved" <(tail -n 1 err)
check 'nothing is left' nothing_left out
finish
