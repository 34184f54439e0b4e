#!/usr/bin/env bash
# vnp-predict --block 0: the same bytes as in blocks, at once as they come, and nothing else; all or nothing here, too.
. "$(dirname "$0")/../lib.sh"
once 'one stream'
mkdir "$T/work" && cd "$T/work" || exit 2
cp "$ROOT/tests/data/contigs.fa" .
vnp-model synth 2x2x32 -q -o esm
vnp-model synth dnabert-s:2x2x32 -q -o dnabert
vnp-model synth classifier:64 -q -o classifier
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
predict() { timeout 60 vnp-predict -d cpu --esm esm --dnabert dnabert --classifier classifier "$@"; }
stream() { predict -q --block 0 "$@"; }

# The same as in blocks.
both() { # both NAME [OPTION ...]
    rm -rf blocks new
    check "$1: in blocks" predict -q --block 5 -o blocks "${@:2}" contigs.fa
    check "$1: as one stream" stream -o new "${@:2}" contigs.fa
    check "$1: nothing is said" [ ! -s "$T/err" ]
    check "$1: the same" diff -r blocks new
}
both plain
both 'with all there is' --gff --keep --max-scores --min-viral 0.3 -l 300 -b 200
mkdir -p names && cp -r dnabert "names/d b" && cp contigs.fa 'names/a b.fa'
check 'names with spaces and quotes' timeout 60 vnp-predict -q -d cpu --block 0 --esm esm --dnabert 'names/d b' --classifier classifier \
    --gff --keep --max-scores --min-viral 0.3 -l 300 -o "names/it's new" 'names/a b.fa'
check 'the same' diff -r blocks "names/it's new"
check 'from stdin, over older results' stream -o blocks <contigs.fa
check 'an older GFF is not among them' [ ! -e blocks/prediction_results_viral.gff ]
check 'in blocks' predict -q -o new contigs.fa
for table in new/prediction_results*[!f]; do same "${table##*/}" "$table" "blocks/${table##*/}"; done
printf '>closed\n%s\n' "$(printf 'TAGCTAACTGACTTAGCTAGTTAATCAGTCATGCTA%.0s' 1 2 3 4 5 6 7 8)" >closed.fa
check 'no open frame anywhere' predict --block 0 -o closed closed.fa
says 'is said' '^vnp-orf: warning: no open frame in all the input'
says 'and counted' '^vnp-predict: 0 of 0 frames'
check 'a log' predict --block 0 -v --log-json log.json -o new contigs.fa
says 'with the counts' '^vnp-predict: 10 contigs, [0-9]+ viral .*; 23 chunks of 500 letters, '
says 'with the rate' '^vnp-predict: 23 of 23 frames, [0-9]+ tokens/s in '
says 'the time of each stage' '^vnp-cpu-forward dna .* 23 '
says 'and what they say' '^vnp-merge: 23'
check 'the log has all stages, and the run' [ "$(grep -Ec '"what":"summary"|"stage":"vnp-predict","what":"run".*"sequences":23,"tokens":2944,' log.json)" = 12 ]
check 'an unfinished run' predict -q --prepare -o other contigs.fa
check 'stays as it is' stream -o other contigs.fa
check 'and can go on' predict -q --block 3 -o other contigs.fa
check 'nothing else is left' [ "$(find . -maxdepth 1 -name '*.run' -o -name '*.stream' -o -name 'other*')" = ./other ]

# It streams: of contigs that come slowly the first are through before the last are there.
mkfifo slowly
ahead() {
    local rc pid
    stream -b 1000 -o slow slowly &
    pid=$!
    exec 7>slowly
    cat many.fa >&7
    until_true 20 grep -q '"stage":"vnp-classify","what":"batch"' slow.stream/log/0
    rc=$?
    cat contigs.fa >&7
    exec 7>&-
    wait $pid && return $rc
}
# As many as fill the windows of both rows.
awk 'BEGIN { s = "GCAGGAACTGCCGTTGCTCAACGTGGTAAACCC"; s = s s
    for (i = 0; i < 20000; i++) printf ">t%d\n%s\n", i, substr(s, 1 + i % 9, 4 + i % 37) }' >many.fa
check 'the first frames have scores before the last contigs come' ahead
check 'which come, too' [ "$(wc -l <slow/prediction_results_contigs.tsv)" -gt 100 ]

# What fails leaves nothing, older results alone, and one line: the cause.
refuses() { # NAME STATUS PATTERN [OPTION ...]
    local option
    for option in '' --keep; do
        rm -rf out && cp -r blocks out
        # shellcheck disable=SC2086  # none or one
        status "$1${option:+, $option}: exit $2" "$2" stream -o out $option "${@:4}"
        says 'says why' "$3"
        check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
        check 'older results stay' diff -r blocks out
        check 'nothing is left' [ -z "$(find . -maxdepth 1 -name 'out?*')" ]
    done
}
{ cat contigs.fa && printf '>late\nACGT\0ACGT\n' && sed 's/^>/>again_/' contigs.fa; } >nul.fa
refuses 'a NUL byte between contigs' 65 '^vnp-orf: nul.fa:.*NUL' nul.fa
refuses 'contigs of one name' 65 '^vnp-orf: contigs.fa:.*has the id of record 1' contigs.fa contigs.fa
for kind in esm dnabert; do
    cp -r $kind nan-$kind
    printf '\0\0\300\177' | dd of=nan-$kind/model.safetensors bs=1 seek=$(($(stat -c %s nan-$kind/model.safetensors) - 4)) conv=notrunc status=none
    refuses "a stage that fails, $kind" 65 "^vnp-cpu-forward: .* of nan-$kind" --$kind nan-$kind contigs.fa
done
# One row has ended before vnp-merge begins.
mkdir private && cp -r "$BUILD/bin" "$BUILD/lib" private && mv private/bin/vnp-merge private/bin/late-merge
printf '#!/bin/sh\nsleep 1\nexec "%s" "$@"\n' "$PWD/private/bin/late-merge" >private/bin/vnp-merge && chmod +x private/bin/vnp-merge
slowly() { PATH=$PWD/private/bin:$PATH && stream "$@"; }
status 'a vnp-merge that begins late, and an error' 65 slowly -o merged nul.fa
check 'or none' slowly -o merged contigs.fa
check 'gives the same' diff -r other merged
# The folder goes; a run in blocks is at work; who reads the messages leaves.
mkfifo stays && exec {feed}<>stays
sed -n 1,40p contigs.fa >&"$feed"
stream -o went stays 2>went.err & driver=$!
until_true 10 [ -e went.stream/dna ] && mv went.stream moved
wait $driver
check 'its folder is moved: 73' [ $? = 73 ]
cp went.err "$T/err"
says 'one line says so' '^vnp-predict: went.stream: was removed or moved while the run was at work: the same command begins anew$'
check 'no other' [ "$(wc -l <went.err)" = 1 ]
exec {feed}>&-
mkdir busy.run && touch busy.run/lock && exec {lock}<busy.run/lock && flock "$lock"
status 'a run in blocks is at work' 73 stream -o busy contigs.fa
says 'it is named' '^vnp-predict: busy.run: another run is at work there$'
exec {lock}>&- && rm -r busy.run
{ predict --block 0 -o heard contigs.fa; echo $? >status; } 2>&1 | head -n 1 >/dev/null
check 'nobody reads the messages to their end' [ "$(<status)" = 0 ]
check 'nothing is left of it' [ ! -e heard.stream ]
refuses '--prepare' 2 '^vnp-predict: --prepare needs blocks, and not --block 0$' --prepare contigs.fa
echo : >here
refuses 'hosts' 2 '^vnp-predict: --hosts needs blocks' --hosts here contigs.fa
check 'a dry run knows no blocks' predict -q --dry-run --block 0 contigs.fa
refuses 'several GPUs' 2 '^vnp-predict: --gpus 0,1 needs blocks, and not --block 0: one stream goes through one GPU$' -d gpu --gpus 0,1 contigs.fa

# Signals and deaths, while it waits for more. What a driver that is killed leaves, the next takes over.
begun() { # a stream in the background, $pid, whose stages, in $group, are all at work
    rm -rf late
    vnp-predict -q -d cpu --block 0 --esm esm --dnabert dnabert --classifier classifier --keep -o late slowly &
    pid=$!
    exec 7>slowly
    cat contigs.fa >&7
    until_true 20 group_with $pid vnp-classify
}
# shellcheck disable=SC2154  # $group: of group_with
none_left() { ! ps -eo pgid=,stat= | awk -v group="$group" '$1 == group && $2 !~ /Z/' | grep -q .; }
ended() { # status of what was begun, within 5 s and without any process of it left
    local rc begin=$SECONDS
    wait $pid
    rc=$?
    [ $((SECONDS - begin)) -le 5 ] || return 99
    until_true 2 none_left || return 98
    exec 7>&-
    return $rc
}
interrupted() {
    begun || return 97
    kill "-$1" $pid
    ended
}
for signal in TERM:143 HUP:129; do
    status "SIG${signal%:*}" "${signal#*:}" interrupted "${signal%:*}"
    check 'leaves nothing' [ -z "$(find . -maxdepth 1 -name 'late*')" ]
done
death() { # death STAGE: it is killed
    begun || return 97
    pkill -KILL -g "$group" "^$1"
    exec 7>&-
    ended
}
for stage in vnp-orf vnp-pool vnp-merge vnp-classify; do
    status "a death of $stage" 137 death $stage
    says 'is reported' '^vnp-predict: a stage was killed by signal 9'
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
    check 'and leaves nothing' [ -z "$(find . -maxdepth 1 -name 'late*')" ]
done
status 'SIGKILL' 137 interrupted KILL
check 'leaves what is known for what it is' [ -e late.stream/what ]
check 'the next goes through' stream -o late contigs.fa
check 'with the same' diff -r other late
check 'and removes it' [ ! -e late.stream ]
if script -qec true /dev/null >/dev/null 2>&1; then
    terminal() {
        mkfifo typed && { sleep 2; exec 7>typed; cat many.fa >&7; sleep 5; cat contigs.fa >&7; } &
        until_true 5 [ -p typed ]
        script -qec 'vnp-predict -d cpu --esm esm --dnabert dnabert --classifier classifier -b 1000 -o terminal --block 0 typed' /dev/null >typescript
    }
    check 'on a terminal' terminal
    check 'the progress is shown' grep -Eq 'vnp-predict: [1-9][0-9]* frames, [0-9]+ tokens/s' typescript
    check 'and the summary' grep -Eq 'vnp-predict: [0-9]+ of [0-9]+ frames' typescript
else
    skip 'on a terminal' 'no script(1), or no pseudo-terminal'
fi
finish
