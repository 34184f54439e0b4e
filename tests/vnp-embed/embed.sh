#!/usr/bin/env bash
# vnp-embed: the pipeline in one command, all or nothing.
. "$(dirname "$0")/../lib.sh"
once 'vnp-embed' # a row of the stages, each of which has its own tests
mkdir "$T/work" && cd "$T/work" || exit 2
vnp-model synth 2x2x32 -o model --seed 1 2>/dev/null
awk '/^>/ { n++ } n <= 12' "$PROTEINS" >in.fa
gzip -c in.fa >in.fa.gz
embed() { vnp-embed -q --device cpu -m model "$@"; }

vnp-fasta2tok -q in.fa | vnp-pack -q | vnp-cpu-forward -q --model model | vnp-pool -q >want.zst
check 'a file' embed -o got.zst in.fa
same 'gives what the four stages give' want.zst got.zst
status 'stdin to stdout' 0 embed -o - <in.fa
same 'gives the same' want.zst "$T/out"
check 'gzip' embed -o gz.zst in.fa.gz
same 'gives the same' want.zst gz.zst
check 'the model from VNP_MODEL' env VNP_MODEL=model vnp-embed -q -d cpu -o env.zst in.fa
same 'gives the same' want.zst env.zst
check 'two files' embed -o two.zst in.fa in.fa.gz
check 'hold twice the records' sh -c 'vnp-cat --check two.zst | grep -q "24 sequences"'
check 'a file whose name begins with a dash' sh -c 'cp in.fa ./-dash.fa && vnp-embed -q -d cpu -m model -o dash.zst -- -dash.fa'
check 'options reach their stages' embed --cls --layer 1 --max-len 20 --f16 --plain -b 512 -o options.vnp in.fa
vnp-cat --summary options.vnp >summary 2>&1
for word in 'budget=512' 'layer=1' 'pool=cls' 'max-len=20' 'f16'; do
    check "the head says $word" grep -q -- "$word" summary
done

# A DNA model brings its tokenizer.
vnp-model synth dnabert-s:1x2x32 -o dna --seed 1 2>/dev/null
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dna/tokenizer.json
printf '>c\n%s\n' "$(printf 'ACGTTGCAAC%.0s' 1 2 3 4 5 6 7 8 9)" >dna.fa
check 'a model with a tokenizer.json' vnp-embed -q -d cpu -m dna --all-tokens -o dna.zst dna.fa
vnp-cat --summary dna.zst >summary 2>&1
check 'is given the tokens of that' grep -q 'bpe-4096' summary
check 'and one beside a file of weights' vnp-embed -q -d cpu -m dna/model.safetensors --all-tokens -o dna2.zst dna.fa
same 'the same result' dna.zst dna2.zst
status 'ESM-2 tokens for it are refused' 65 vnp-embed -q -d cpu -m dna --tokenizer esm2 -o new.zst dna.fa

# Odd names and surroundings.
check 'an output that looks like an option' embed -o -odd.zst in.fa
same 'is written' want.zst ./-odd.zst
status 'a name of two lines' 2 embed -o $'two\nlines' in.fa
VNP_LOG_JSON=$PWD/log.json check 'VNP_LOG_JSON' embed -o logged.zst in.fa
vnp-log <log.json >table 2>&1
check 'has the stages of the blocks' [ "$(grep -Ec '^vnp-(fasta2tok|split|pack|cpu-forward|pool) ' table)" = 5 ]
mkdir -p loc && if localedef -i de_DE -f UTF-8 "$PWD/loc/de_DE.UTF-8" 2>/dev/null; then
    check 'a decimal comma' env LOCPATH="$PWD/loc" LC_ALL=de_DE.UTF-8 vnp-embed -q -d cpu -m model -o comma.zst --log-json comma.json in.fa
    "$BUILD/tests/telemetry/tool_jsonlines" stage what <comma.json >/dev/null 2>"$T/err"
    check 'is none in the log' [ $? = 0 ]
else
    skip 'a decimal comma' 'no such locale can be made here'
fi

check 'an empty environment' env -i "$BUILD/bin/vnp-embed" -q -d cpu -m model -o bare.zst in.fa
same 'gives the same' want.zst bare.zst

for closed in '>&- 2>&-' '<&- >&- 2>&-'; do # as for a daemon
    check "started with $closed" sh -c "exec timeout 60 vnp-embed -q -d cpu -m model -o closed.zst in.fa $closed"
    same 'gives the same' want.zst closed.zst
    rm -f closed.zst
done

# All or nothing.
cp want.zst old.zst
printf '>a\nMKV\n>b\nMK\0V\n' >bad.fa
status 'a bad record fails with the status of the first stage' 65 embed -o old.zst bad.fa
says 'and says which stage' 'vnp-fasta2tok: .*bad.fa'
same 'the older file is untouched' want.zst old.zst
status 'a missing file' 66 embed -o new.zst missing.fa
status 'a missing model' 66 vnp-embed -q -d cpu -m nowhere -o new.zst in.fa
status 'no model' 2 env -u VNP_MODEL vnp-embed -q -d cpu -o new.zst in.fa
status 'no such device' 2 vnp-embed -d tpu -m model in.fa
status 'no threads' 2 vnp-embed --threads 0 -m model in.fa
says 'no threads: at once, and how many there may be' '^vnp-embed: --threads: not a number from 1 to 1024: 0$'
for wrong in '--mean --cls' '--none --all-tokens' '--level 99' "-o ''"; do
    status "$wrong" 2 sh -c "vnp-embed -q -d cpu -m model --block 1 -o wrong.zst $wrong in.fa"
    check "$wrong: nothing is begun" [ -z "$(ls -d wrong.zst.run .run 2>/dev/null)" ]
done
if ! vnp-gpu-forward -q --probe 2>/dev/null; then
    status 'a GPU by its number, and there is none' 69 vnp-embed -q -m model --gpus 0 -o wrong.zst in.fa
fi
status 'a log that can not be' 73 embed --log-json no/where -o wrong.zst in.fa
says 'is named' '^vnp-embed: --log-json: no/where: '
check 'a log that gets full' embed --block 1 --log-json /dev/full -o full.zst in.fa
says 'is told' "^vnp-embed: warning: --log-json: /dev/full: can't be written: No space left on device; going on without$"
check 'once' [ "$(wc -l <"$T/err")" = 1 ]
same 'and costs nothing' want.zst full.zst
mkfifo fifo
status 'a pipe as log' 73 timeout 60 vnp-embed -q -d cpu -m model --log-json fifo -o wrong.zst in.fa
says 'is refused' '^vnp-embed: --log-json: fifo: is a pipe'
status 'FP16 on the CPU' 2 embed --fp16 -o new.zst in.fa
status 'a folder as output' 73 embed -o model in.fa
status 'an output in no folder' 73 embed -o nowhere/emb.zst in.fa
check 'none of these left a file' [ -z "$(find . -name 'new*' -o -name '*.part*' -o -name '*.tmp')" ]

# Special files and links stay what they are.
mknod null c 1 3 2>/dev/null || ln -s /dev/null null
check 'a device as output' embed -o null in.fa
check 'is still a device' test -c null
mkfifo pipe
vnp-cat --check pipe >piped 2>&1 &
check 'a FIFO as output' embed -o pipe in.fa
wait $!
check 'is read by its reader' grep -q ': ok, 12 sequences' piped
touch target && ln -s target link
check 'a link as output' embed -o link in.fa
check 'is still a link' test -L link
same 'and its target is written' want.zst target
mkdir scratch && ln -s scratch/first first && ln -s nowhere/emb.zst astray
check 'a link to no file yet as output' embed -o first in.fa
check 'is still a link' test -L first
same 'and its target is made' want.zst scratch/first
status 'a link into no folder' 73 embed -o astray in.fa
says 'is named, with where it leads' '^vnp-embed: astray: is a link to nowhere/emb.zst, and there is no such folder$'
ln -s loop1 loop2 && ln -s loop2 loop1
status 'links in a loop' 73 embed -o loop1 in.fa
says 'are named' '^vnp-embed: loop1: is a link that leads to no end$'
check 'and nothing is begun' [ ! -e astray.run ]
cp in.fa same.fa
status 'input and output the same file' 2 embed -o same.fa same.fa
same 'the input is untouched' in.fa same.fa
status 'through <, too' 2 embed -o same.fa <same.fa
says 'is named' '^vnp-embed: same.fa: is both input and output$'
status 'the input as log' 2 embed --log-json same.fa -o new.zst same.fa
status 'the output as log' 2 embed --log-json ./new.zst -o new.zst in.fa
says 'is named' '^vnp-embed: new.zst: is both output and the file of --log-json$'
VNP_LOG_JSON=new.zst status 'by the variable, too' 2 embed -o new.zst in.fa
cp old.zst older.zst
for log in older.zst model/config.json; do
    cp "$log" before
    status "$log as log" 2 embed --log-json "$log" -o new.zst in.fa
    says 'is named' "^vnp-embed: --log-json: $log: is a file of another kind, and not added to\$"
    same 'and untouched' before "$log"
done
# What is said before the first line of a log does not make it another kind of file.
check 'a log that begins with words' env VIRNUCPRO_DISABLE_PACKING=1 vnp-embed -q -d cpu -m model --block 4 --log-json words.json -o new.zst in.fa
check 'has the lines of every stage' [ "$(grep -ho '"stage":"vnp-[a-z0-9-]*","what":"summary"' words.json | sort -u | wc -l)" -ge 5 ]
rm -f new.zst
check 'stderr as a log, which has something in it' sh -c 'echo words >err.json; vnp-embed -q -d cpu -m model --log-json /dev/stderr -o new.zst in.fa 2>>err.json'
check 'has the lines of every stage, too' [ "$(grep -ho '"stage":"vnp-[a-z0-9-]*","what":"summary"' err.json | sort -u | wc -l)" -ge 5 ]
rm -f new.zst
check 'one device as both' embed --log-json /dev/null -o /dev/null in.fa
cp -r "$ROOT/tests/golden/model-files/hf-sharded" sharded
cp dna/tokenizer.json tokenizer.json && echo 1/: >hosts
over() { # over FILE OPTION...: it is read, and not the place for the output
    cp "$1" before
    status "$1 as output" 2 vnp-embed -q -d cpu "${@:2}" -o "$1" in.fa
    says 'is named' "^vnp-embed: (.*/)?${1//\\/\\\\}: is both input and output\$"
    same 'and untouched' before "$1"
}
over model/model.safetensors -m model
over model/config.json -m model
over sharded/model-00002-of-00003.safetensors -m sharded
over model/config.json -m model/model.safetensors
over dna/tokenizer.json -m dna
over tokenizer.json -m dna --tokenizer tokenizer.json
over hosts -m model --hosts hosts
quoted='of "ours" \'
cp -r model "$quoted"
over "$quoted/config.json" -m "$quoted"
same 'the input is untouched' in.fa same.fa
check 'and the model' vnp-model verify -q model
vnp-embed -b 100 -d cpu -o odd.zst --help >help
check 'the help has the defaults, not what was given' grep -q 'default 8192' help

check '--fp32 on the CPU, which computes in nothing else' embed --fp32 -o fp32.zst in.fa
same 'changes nothing' want.zst fp32.zst
suspended() { # status of a vnp-embed whose stages are stopped for a while, as a batch system does it
    local pid group
    mkfifo held
    vnp-embed -q -d cpu -m model -o suspended.zst <held &
    pid=$!
    exec 7>held
    cat in.fa >&7
    until_true 60 group_with $pid vnp-fasta2tok || return 97
    kill -STOP -- "-$group" && sleep 0.3 && kill -CONT -- "-$group" || return 98
    exec 7>&-
    wait $pid
}
status 'stages that are suspended and go on' 0 suspended
same 'give the same' want.zst suspended.zst

# Signals, in the middle of long work: nothing under the output's name, and the same command goes on.
for i in $(seq 300); do sed "s/^>/>$i/" in.fa; done >long.fa
vnp-model synth 12x4x256 -o slow --seed 1 2>/dev/null
at_work() { pgrep -f "vnp-cpu-forward .*$PWD/slow"; }
none_at_work() { ! pgrep -f "$PWD/slow"; } # with the slow model
interrupted() { # interrupted SIGNAL OPTION...: status of a vnp-embed that is sent SIGNAL at work
    local signal=$1 pid begin rc
    shift
    vnp-embed -q -d cpu -m "$PWD/slow" -o new.zst "$@" long.fa &
    pid=$!
    until_true 20 at_work
    [ "$2" = 0 ] || until_true 20 test -e new.zst.run/blocks/blocks.tsv
    sleep 0.3
    kill "-$signal" $pid
    begin=$SECONDS
    wait $pid
    rc=$?
    [ $((SECONDS - begin)) -le 5 ] || return 99
    [ ! -e new.zst ] || return 98
    return $rc
}
for signal in TERM:143 HUP:129 KILL:137; do
    for options in '--block 300' '--block 0'; do
        # shellcheck disable=SC2086  # words
        status "SIG${signal%:*} ends it within 5 s, $options" "${signal#*:}" interrupted "${signal%:*}" $options
        check 'and all its stages' until_true 2 none_at_work
        pkill -KILL -f "$PWD/slow"
    done
done
check 'what it had begun is kept' [ -e new.zst.run/blocks/blocks.tsv ]
status 'another model is refused then' 2 vnp-embed -q -d cpu -m model -o new.zst long.fa
says 'and the way out is named' 'new.zst.run: was begun with another model .*--restart'
check 'or it is begun anew' vnp-embed -q -d cpu -m model -o new.zst --restart in.fa in.fa
check 'and ends' sh -c 'vnp-cat --check new.zst | grep -q "24 sequences"'
check 'without a trace' [ ! -e new.zst.run ]
ctrl_c() { # Ctrl-C on a terminal of its own
    rm -f new.zst
    script -qec 'sh -c "trap : INT; vnp-embed -q -d cpu -m $PWD/slow -o new.zst long.fa; echo status \$?"' /dev/null < <(
        until_true 20 at_work && sleep 0.3 && printf '\003' && until_true 5 none_at_work
    ) >typescript
    grep -q 'status 130' typescript && [ ! -e new.zst ]
}
terminal() { # terminal STATUS COMMAND: on a terminal of its own it ends with STATUS, within 20 s
    timeout 20 script -qec "$2; echo status \$?" /dev/null </dev/null >typescript
    grep -q "status $1" typescript
}
if script -qec true /dev/null >/dev/null 2>&1; then
    check 'Ctrl-C: 130' ctrl_c
    check 'and nothing of the shell that runs it' [ "$(wc -l <typescript)" = 1 ]
    check 'a terminal as input' terminal 2 'vnp-embed -q -d cpu -m model -o new.zst -'
    check 'a terminal that stops what writes from the background' terminal 0 'stty tostop; vnp-embed -d cpu -m model -o tostop.zst in.fa'
else
    skip 'on a terminal' 'no script(1), or no pseudo-terminal'
fi
finish
