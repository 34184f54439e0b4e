#!/usr/bin/env bash
# A run that goes on: what it computes again and what not, what it notices and refuses, and what it does about blocks and
# devices that fail. The forward stages are fakes that fail or stand still at will, and note what they compute.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
vnp-model synth 1x1x16 -q -o model --seed 1
vnp-model synth 1x1x16 -q -o other --seed 2
awk '/^>/ { n++ } n <= 40' "$PROTEINS" >in.fa
fake_build private
run=out.run
embed() { vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out "$@"; }
begin_embed() { start env --default-signal=INT vnp-embed -d cpu -m model --threads 1 --block 5 -o out "$@"; }
all='000000 000001 000002 000003 000004 000005 000006 000007'
is() { # is NAME WANT: of what was computed last
    local got
    got=$(computed)
    check "$1" [ "$got" = "$2" ]
}
embed in.fa && mv out want
is 'an undisturbed run computes each block once' "$all"
embed --level 7 in.fa && mv out want7
computed >/dev/null

# Four of eight blocks are done, then all is killed.
touch "$fake/hang.000004"
begin_embed in.fa
check 'four blocks are done' until_true 60 blocks_done "$run" 4
sleep 0.2
kill_session "$session"
wait "$session" 2>/dev/null
rm "$fake"/hang.*
computed >/dev/null
cp -r "$run" saved
again() { rm -rf out out.run && cp -r saved "$run"; }

# --- what is done is kept, if it is what it was ---------------------------------------------------------------------------

goes_on() { # goes_on NAME BLOCKS [OPTION...]: these are computed, and the result is right
    local name=$1 blocks=$2
    shift 2
    check "$name" embed "$@" in.fa
    is 'computes just what is missing' "$blocks"
    same 'and the result is that of an undisturbed run' want out
    check 'nothing is left' nothing_left out
}
rest='000004 000005 000006 000007'
again && goes_on 'going on' "$rest"
again && goes_on 'by the same tokenizer, named' "$rest" --tokenizer esm2
again && goes_on 'with more threads' "$rest" --threads 2
if has_parallel; then
    echo 3/: >three
    again && goes_on 'on more devices' "$rest" --hosts three
fi
again
check 'another zstd level, and messages' embed --level 7 in.fa
is 'goes on' "$rest"
same 'and has its bytes' want7 out
again && rm "$run/done/000002.vnp" && goes_on 'a block that is gone' "000002 $rest"
again && truncate -s -1 "$run/done/000002.vnp" && goes_on 'a block that lost its last byte' "000002 $rest"
again && : >"$run/done/000002.vnp" && goes_on 'an empty block' "000002 $rest"
again && printf X | dd of="$run/done/000001.vnp" bs=1 seek=300 conv=notrunc status=none && goes_on 'a flipped byte' "000001 $rest"
again && mv "$run/done/000001.vnp" x && mv "$run/done/000003.vnp" "$run/done/000001.vnp" && mv x "$run/done/000003.vnp" &&
    goes_on 'two blocks swapped' "000001 000003 $rest"
again && vnp-fasta2tok -q in.fa | vnp-split -q --records 5 -o cut && vnp-pack -q cut/000001.vnp |
    real-forward -q --model other | vnp-pool -q --plain -o "$run/done/000001.vnp" && computed >/dev/null
goes_on 'a block of another model' "000001 $rest"
again && touch "$run/done/000005.vnp" && goes_on 'a block that was never noted' "$rest"
again && mv "$run/what" "$run/what.new" && goes_on 'a run that was being removed' "$all"
again && rm "$run/by" && goes_on 'no notes at all' "$all"
# A dead run's last process may let go of the lock between two looks at it.
mkdir once && printf '#!/bin/sh\nmkdir "%s/once/was" 2>/dev/null && exit 1\nexec %s "$@"\n' "$PWD" "$(command -v flock)" >once/flock && chmod +x once/flock
again && PATH=$PWD/once:$PATH goes_on 'a lock that is let go just now' "$rest"
check 'which was looked at' test -d once/was

# --- what is refused --------------------------------------------------------------------------------------------------------

again
refuses() { # refuses NAME PATTERN OPTION...
    local name=$1 pattern=$2
    shift 2
    status "$name: exit 2" 2 embed "$@"
    says "$name: is named" "$pattern"
    check "$name: in one line" [ "$(wc -l <"$T/err")" = 1 ]
}
awk '/^>/ { n++ } n == 39 && !/^>/ && !done { sub(/./, "W"); done = 1 } 1' in.fa >residue.fa
{ awk '/^>/ { n++ } n > 1' in.fa && awk '/^>/ { n++ } n == 1' in.fa; } >order.fa
sed 's/^>\([^ ]*\)/>\1x/' in.fa >names.fa
for changed in residue order names; do
    refuses "changed input ($changed)" "^vnp-embed: $run: was begun with another input .*--restart" $changed.fa
done
refuses 'another model' 'another model .*--restart' -m other in.fa
cp -r model twin
refuses 'the same weights under another name, which the blocks would have' 'another model .*--restart' -m twin in.fa
refuses 'another budget' 'another budget .*--restart' -b 4096 in.fa
refuses 'another layer' 'another --layer than this: .*--restart' --layer 0 in.fa
refuses 'NaN kept' 'another --on-nonfinite than this: .*--restart' --on-nonfinite keep in.fa
refuses 'shorter records' 'another --max-len than this: .*--restart' --max-len 30 in.fa
refuses 'windows' 'another --overlap than this: .*--restart' --window 30 --overlap 5 in.fa
refuses 'another pooling' 'another pooling .*--restart' --max in.fa
refuses 'equal sequences once' 'another --dedup .*--restart' --dedup in.fa
status 'another budget, and not quietly' 2 vnp-embed -d cpu -m model --threads 1 --block 5 -o out -b 4096 in.fa
check 'nobody says that the same command goes on' [ "$(wc -l <"$T/err")" = 1 ]
is 'nothing was computed for that' ''
goes_on 'the run is none the worse' "$rest"
again
check '--restart' embed --restart -m other in.fa
is 'begins anew' "$all"
differ 'with another result' want out

# --- the last step, beside the work -------------------------------------------------------------------------------------------

last_step() { processes "$session" | awk '/real-concat .*--files-from/ { print $1 }'; }
has_read() { # has_read N: so many blocks, and waits for the next
    until_true 20 blocks_done "$run" "$1" && sleep 1 && [ -n "$(last_step)" ]
}
ends() { # ends NAME STATUS PATTERN: by itself, soon, with that line, and nothing is left of it
    local rc began=$SECONDS
    wait "$session"
    rc=$?
    check "$1: status $2" [ $rc = "$2" ]
    check "$1: soon" [ $((SECONDS - began)) -le 5 ]
    check "$1: the cause is said" grep -Eq "^vnp-embed: $3" err
    check "$1: and that is all" [ "$(wc -l <err)" = "${4-1}" ]
    check "$1: no process is left" ended 2 "$session"
    check "$1: there is no result, whole or not" [ -z "$(compgen -G out; compgen -G 'out.*.tmp')" ]
    rm -f "$fake"/hang.* "$fake"/fail.*
    computed >/dev/null
}
rm -rf out out.run
touch "$fake/hang.000007"
begin_embed in.fa
check 'it has read seven blocks while the last is computed' has_read 7
check 'and there is no result yet' [ ! -e out ]
for f in "$run"/done/*; do : >"$f"; done
rm "$fake/hang.000007"
check 'it needs them no more' wait "$session"
same 'the result is right' want out
check 'nothing is left' nothing_left out
computed >/dev/null

rm -f out && echo 71 >"$fake/fail.000005"
begin_embed -q in.fa
ends 'a block fails' 71 'block 000005 .* failed on cpu and cpu: ' 2
goes_on 'it is tried again' 000005 --retry-failed
rm -f out && echo 137 >"$fake/fail.000005"
begin_embed -q in.fa
ends 'a stage is killed' 137 'block 000005 .* failed on cpu and cpu: a stage was killed by signal 9 \(out of memory\?\): ' 2
goes_on 'it is tried again' 000005 --retry-failed

again && touch "$fake/hang.000006"
begin_embed -q in.fa
has_read 6
kill -KILL "$(last_step)"
ends 'the last step is killed' 137 'the last step was killed by signal 9'
goes_on 'the same command goes on' '000006 000007'

again && touch "$fake/hang.000006"
begin_embed -q in.fa
has_read 6
kill -KILL "$(ps -o ppid= -p "$(last_step)" | tr -d ' ')"
ends 'with its shell' 137 'the last step was killed$' 2 # one is the shell's
goes_on 'the same command goes on' '000006 000007'

again && touch "$fake/hang.concat" "$fake/hang.000006"
begin_embed -q in.fa
until_true 20 blocks_done "$run" 6
: >"$run/done/000002.vnp"
rm "$fake/hang.concat"
ends 'a block is damaged' 65 'vnp-concat: out.run/done/000002.vnp: is empty'
goes_on 'it is computed again' '000002 000006 000007'

# --- two runs at once, and signals ------------------------------------------------------------------------------------------

excluded() { # excluded NAME: a second run, while the first is held up
    status "a second run while the first $1" 73 embed in.fa
    says 'says who is there' "^vnp-embed: $run: another run is at work there \(host and process: .* $session\)"
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
    rm -f "$fake"/hang.*
    check 'the first is not disturbed' wait "$session"
    same 'and has its result' want out
    check 'nothing is left' nothing_left out
    rm -f out
}
touch "$fake/hang.000002"
begin_embed in.fa
until_true 60 blocks_done "$run" 2
excluded computes
touch "$fake/hang.concat"
begin_embed in.fa
until_true 60 blocks_done "$run" 8
sleep 0.3
excluded 'joins the blocks'
mkfifo slow
exec 8<>slow
begin_embed - <slow 8>&-
until_true 30 [ -s "$run/slots" ]
sleep 0.3
cat in.fa >&8 && exec 8>&-
excluded 'reads its input'
computed >/dev/null

for signal in TERM:143 INT:130; do
    again && touch "$fake/hang.000006"
    begin_embed in.fa
    until_true 60 blocks_done "$run" 6
    kill "-${signal%:*}" "$session" && began=$SECONDS
    wait "$session"
    rc=$?
    check "SIG${signal%:*}: status ${signal#*:}" [ $rc = "${signal#*:}" ]
    check 'within 5 s' [ $((SECONDS - began)) -le 5 ]
    check 'and all its processes' ended 2 "$session"
    check 'it says what is kept' grep -q '6 of 8 blocks are done and kept in out.run' err
    rm -f "$fake"/hang.*
    computed >/dev/null
    goes_on 'the same command goes on' '000006 000007'
done

# A driver that is killed, and whose parent takes no notice of it: it stays in the table of processes.
again && touch "$fake/hang.000006"
start sh -c 'vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out in.fa & exec sleep 100'
until_true 60 blocks_done "$run" 6
kill -KILL "$(pgrep -P "$session" -f vnp-embed)"
alone() { [ "$(processes "$session" | awk '{ print $2 }')" = sleep ]; }
check 'a dead driver that nobody has taken notice of: nothing outlives it' until_true 5 alone
kill_session "$session"
wait "$session" 2>/dev/null
rm -f "$fake"/hang.*
computed >/dev/null
goes_on 'the same command goes on' '000006 000007'

# The environment may have this and that for other shells.
echo 'echo Welcome' >greets
rm -rf out
check 'BASH_ENV that prints' env BASH_ENV="$PWD/greets" vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out in.fa
same 'the result is right' want out
rm -rf out
check 'POSIXLY_CORRECT' env POSIXLY_CORRECT=1 vnp-embed -q in.fa -d cpu -m model --threads 1 --block 5 -o out
same 'the result is right' want out

# What the stages say is heard, whenever they say it.
mv private/bin/vnp-pool private/bin/real-pool
cat >private/bin/vnp-pool <<'END'
#!/bin/sh
case $* in *--plain*) sleep 2 && echo 'vnp-pool: warning: late' >&2 ;; esac
exec "$(dirname "$0")/real-pool" "$@"
END
chmod +x private/bin/vnp-pool
rm -rf out out.run
status 'a warning after a while, and TMOUT in the environment' 0 env TMOUT=1 vnp-embed -d cpu -m model --threads 1 --block 40 -o out in.fa
says 'it is heard' '^vnp-embed: block 000000: vnp-pool: warning: late$'
mv private/bin/real-pool private/bin/vnp-pool
export VIRNUCPRO_DISABLE_PACKING=1
status 'a warning of each block' 0 vnp-embed -d cpu -m model --threads 1 --block 5 -o out in.fa
says 'is heard' '^vnp-embed: block 00000[0-7]: vnp-pack: warning: VIRNUCPRO_DISABLE_PACKING '
check 'once' [ "$(grep -c warning "$T/err")" = 1 ]
check 'with a log' vnp-embed -q -d cpu -m model --threads 1 --block 5 --log-json run.json -o out in.fa
check 'and -q, not at all' [ ! -s "$T/err" ]
check 'the telemetry is as it was' [ "$(grep '"what":"summary"' run.json | grep -c '"block":"0')" = 24 ]
vnp-model synth dnabert-s:1x1x16 -q -o dnabert && cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
vnp-model synth classifier:32 -q -o classifier
status 'the same of vnp-predict' 0 vnp-predict -d cpu --threads 1 --esm model --dnabert dnabert --classifier classifier --block 5 -o tables "$ROOT/tests/data/contigs.fa"
check 'once' [ "$(grep -c 'vnp-pack: warning' "$T/err")" = 1 ]
status 'with -q' 0 vnp-predict -q -d cpu --threads 1 --esm model --dnabert dnabert --classifier classifier --block 5 -o tables "$ROOT/tests/data/contigs.fa"
lacks 'not at all' 'vnp-pack: warning' "$T/err"
unset VIRNUCPRO_DISABLE_PACKING
mv private/bin/vnp-pool private/bin/real-pool

# Of what the stages of a block say, the cause is the message of the one that failed, whoever speaks last.
cat >private/bin/vnp-pool <<'END'
#!/bin/sh
case $* in *--version*) exec "$(dirname "$0")/real-pool" "$@" ;; esac
echo 'vnp-pool: can not go on' >&2
cat >/dev/null
exit 70
END
chmod +x private/bin/vnp-pool
rm -rf out out.run
status 'a stage fails before another ends well' 70 vnp-embed -d cpu -m model --threads 1 --block 20 -o out in.fa
says 'it is the cause' 'failed on cpu and cpu: vnp-pool: can not go on$'
finish
