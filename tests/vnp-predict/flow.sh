#!/usr/bin/env bash
# vnp-predict never stands still, and ends at once: two rows of stages of unlike speed and appetite; signals; deaths.
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2
vnp-model synth 1x1x16 -q -o esm
vnp-model synth dnabert-s:1x1x16 -q -o dnabert
vnp-model synth classifier:32 -q -o classifier
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
predict() { timeout 60 vnp-predict -q --device cpu --esm esm --dnabert dnabert --classifier classifier "$@"; }

# 12000 contigs of 4 to 40 bases, and a few long ones of which nearly every chunk is open. So many make both rows' blocks,
# windows and pipes full, in either order; the sanitizers, which look at the stages, are content with fewer and with one.
many=12000 orders=(tiny-long long-tiny)
! sanitized || many=3000 orders=(tiny-long)
awk -v n=$many 'BEGIN { s = "GCAGGAACTGCCGTTGCTCAACGTGGTAAACCC"; s = s s
    for (i = 0; i < n; i++) printf ">t%d\n%s\n", i, substr(s, 1 + i % 9, 4 + i % 37) }' >tiny.fa
awk 'BEGIN { srand(3); split("GCA GGA ACT GCC GTT CAA CGT GGT AAA CCC", c, " ")
    for (i = 0; i < 4; i++) { printf ">l%d\n", i; for (k = 0; k < 8000; k++) printf "%s", c[1 + int(rand() * 10)]; print "" } }' >long.fa
cat tiny.fa long.fa >tiny-long.fa
cat long.fa tiny.fa >long-tiny.fa
vnp-orf -q tiny.fa | grep -c '^>' >n.tiny
for budget in 1024 65536; do
    check "$many tiny contigs, a budget of $budget" predict -b $budget -o "tiny$budget" tiny.fa
    check 'every frame has a score' [ "$(sed 1d "tiny$budget/prediction_results.txt" | wc -l)" = "$(cat n.tiny)" ]
done
check 'the budget changes no byte' diff -r tiny1024 tiny65536
head -n 200 tiny.fa >few.fa
check 'quietly, with a log' predict --log-json log.json -o few few.fa
check 'that has the whole run' [ "$(grep -Ec '"stage":"vnp-(orf|fasta2tok|split)",.*"what":"summary"|"stage":"vnp-predict","what":"run"' log.json)" = 6 ]
check 'few long contigs, a budget of 4096' predict -b 4096 -o long long.fa
for input in "${orders[@]}"; do
    check "$input, chunks of 30, a budget of 65536" predict -b 65536 -l 30 -o $input $input.fa
    check 'from stdin' predict -b 4096 -l 30 -o $input-stdin <$input.fa
    check 'gives the same' diff -r $input $input-stdin
done

# Signals and deaths, in the middle of long work.
vnp-model synth 12x4x256 -q -o slow
vnp-model synth classifier:272 -q -o wide
descendants() { # descendants PID
    local child
    for child in $(pgrep -P "$1"); do
        echo "$child"
        descendants "$child"
    done
}
gone() { ! ps -o stat= -p "$1" | grep -qv Z; } # gone PID,...: none of them is there any more
interrupted() { # interrupted SIGNAL: status of a run that is sent SIGNAL
    rm -rf new.run
    vnp-predict -q -d cpu --esm slow --dnabert dnabert --classifier wide -o new long-tiny.fa &
    local pid=$! begin rc all
    until_true 10 [ -e new.run/active/cpu ]
    all=$(descendants $pid | paste -sd ,)
    kill "-$1" $pid || return 98
    begin=$SECONDS
    wait $pid
    rc=$?
    [ $((SECONDS - begin)) -le 5 ] || return 99
    until_true 2 gone "$all" || return 97
    return $rc
}
status 'SIGTERM ends all within 5 s' 143 interrupted TERM
status 'SIGHUP ends all within 5 s' 129 interrupted HUP
check 'there is no result' [ ! -e new ]
check 'what it had begun is kept' [ -e new.run/blocks/dna/blocks.tsv ]
cat long-tiny.fa long-tiny.fa | sed 's/^>/>again_/' | awk '/^>/ { $0 = $0 "_" NR } 1' >longer.fa
cut_short() { # the death of vnp-orf, which has all the input to read still
    vnp-predict -q -d cpu --esm esm --dnabert dnabert --classifier classifier -o dead <(cat longer.fa; sleep 3) &
    local pid=$! group
    until_true 20 group_with $pid vnp-orf || return 97
    pkill -KILL -g "$group" '^vnp-orf' || return 98
    wait $pid
}
status 'a death of vnp-orf' 137 cut_short
says 'is reported' 'was killed by signal 9'
check 'and leaves nothing' [ -z "$(find . -maxdepth 1 -name 'dead*')" ]
suspended() { # status of a run whose stages are stopped for a while, as a batch system does it
    { cat long.fa && sleep 2; } | vnp-predict -q -d cpu --esm esm --dnabert dnabert --classifier classifier -o suspended &
    local pid=$! group
    until_true 20 group_with $pid vnp-orf || return 97
    kill -STOP -- "-$group" && sleep 0.3 && kill -CONT -- "-$group" || return 98
    wait $pid
}
status 'stages that are suspended and go on' 0 suspended
check 'give the same' diff -r long suspended
check 'an input by a descriptor' sh -c 'vnp-predict -q -d cpu --esm esm --dnabert dnabert --classifier classifier -o fd3 /dev/fd/3 3<tiny.fa'
check 'gives the same' diff -r tiny1024 fd3
if mkdir mounted && mount -t tmpfs -o size=$((3 * $(du -sk tiny1024 | cut -f 1)))k tmpfs mounted 2>/dev/null; then
    into() { vnp-predict -q -d cpu --esm esm --dnabert dnabert --classifier classifier -o mounted "$@"; }
    check 'into a file system of its own' into tiny.fa
    check 'the same' diff -r tiny1024 mounted
    cat /dev/zero >mounted/full 2>/dev/null
    status 'where there is no room' 73 into tiny.fa
    rm mounted/full
    check 'what was there is whole' diff -r tiny1024 mounted
    umount mounted
else
    skip 'into a file system of its own' 'no mount here'
fi
if script -qec true /dev/null >/dev/null 2>&1; then
    ctrl_c() { # Ctrl-C on a terminal of its own
        rm -rf new.run
        script -qec 'sh -c "trap : INT; vnp-predict -q -d cpu --esm slow --dnabert dnabert --classifier wide -o new --restart long-tiny.fa; echo status \$?"' \
            /dev/null < <(until_true 10 [ -e new.run/active/cpu ] && printf '\003' && sleep 0.5) >typescript
        grep -q 'status 130' typescript
    }
    check 'Ctrl-C: 130' ctrl_c
    check 'there is no result' [ ! -e new ]
    script -qec "vnp-predict -d cpu --esm esm --dnabert dnabert --classifier classifier -o terminal --block $((many / 3)) tiny.fa" /dev/null >typescript
    check 'a terminal is shown the progress' grep -Eq 'vnp-predict: [0-9]+ of [0-9]+ frames' typescript
    check 'also while it reads' grep -Fq 'vnp-predict: reads the contigs' typescript
    check 'and the summary' grep -q "vnp-predict: $many contigs" typescript
    check 'the results are the same' diff -r tiny1024 terminal
    script -qec "vnp-predict -d cpu --esm esm --dnabert dnabert --classifier classifier -o none '$PROTEINS'" /dev/null >typescript
    check 'an error is one line there, too' [ "$(wc -l <typescript)" = 1 ]
else
    skip 'on a terminal' 'no script(1), or no pseudo-terminal'
fi
finish
