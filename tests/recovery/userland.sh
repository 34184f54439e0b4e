#!/usr/bin/env bash
# Programs that not every system has: a run that would go wrong for want of one says so before it begins.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
once 'what is not installed'
vnp-model synth 1x1x16 -q -o model --seed 1
awk '/^>/ { n++ } n <= 4' "$PROTEINS" >in.fa
# All that is here, by links that can be removed.
mkdir tools
IFS=: read -r -a folders <<<"$PATH"
for folder in "${folders[@]:1}"; do ln -s "$folder"/* tools/ 2>/dev/null; done
embed() { PATH=$BUILD/bin:$PWD/tools vnp-embed -q -d cpu -m model --threads 1 --block 2 -o out in.fa; }
check 'with all of them' embed
lacks 'nothing is said' . "$T/err"
rm out
without() { # without PROGRAM PACKAGE
    mv "tools/$1" away
    status "without $1" 69 embed
    says 'says so, and where it is from' "^vnp-embed: $1 is not installed \(package $2\)$"
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
    check 'before anything is made' nothing_left out
    mv away "tools/$1"
}
without awk 'mawk or gawk'
without cmp diffutils
without diff diffutils
without find findutils
without flock util-linux
without getopt util-linux
without grep grep
without sed sed
without xargs findutils
rm tools/find tools/cmp
status 'without two' 69 embed
check 'a line each' [ "$(cut -d ' ' -f 2 "$T/err" | paste -sd ' ')" = 'cmp find' ]
status 'vnp-predict' 69 env PATH="$BUILD/bin:$PWD/tools" vnp-predict -o tables in.fa
says 'asks, too' '^vnp-predict: find is not installed \(package findutils\)$'
rm tools/awk
status 'vnp-log' 69 env PATH="$BUILD/bin:$PWD/tools" vnp-log in.fa
says 'asks for what it takes' '^vnp-log: awk is not installed \(package mawk or gawk\)$'
check 'and no more' [ "$(wc -l <"$T/err")" = 1 ]
finish
