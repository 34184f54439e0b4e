#!/usr/bin/env bash
# A disk that gets full in the middle of a run: one line, status 74; and when there is room, the same command goes on. The
# disk is a small tmpfs, for which it takes root.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
mkdir disk
disk=$PWD/disk
trap 'umount -l "$disk" 2>/dev/null; rm -rf "$T"' EXIT
mount -t tmpfs -o size=4m vnp-test disk 2>/dev/null || { skip 'a full disk' 'it takes root to mount a small one' && finish && exit; }
vnp-model synth 1x1x16 -q -o model --seed 1
awk '/^>/ { n++ } n <= 60' "$PROTEINS" >in.fa
embed() { vnp-embed -q -d cpu -m model --threads 1 --block 6 --none --plain -o disk/out in.fa "$@"; }
embed --threads 1 && mv disk/out want
room() { df --output=avail disk | tail -n 1 | tr -d ' '; } # kB
# leave KB: that much room, by a file that takes the rest
leave() {
    rm -f disk/ballast
    head -c $((($(room) - $1) * 1024)) /dev/zero >disk/ballast
}
filled() { # filled NAME STATUS KB [OPTION...]
    local name=$1 want=$2 kb=$3
    shift 3
    leave "$kb"
    status "$name" "$want" embed "$@"
    says 'says so' "^vnp-[a-z0-9]*: .*(can't be written to|No space left)"
    # A block may have come through, but for its telemetry, and says so.
    check 'in one line' [ "$(grep -cv ': warning: VNP_LOG_JSON: ' "$T/err")" = 1 ]
    check 'there is no result' [ ! -e disk/out ]
    rm disk/ballast
    check 'with room again, the same command goes on' embed "$@"
    same 'to the right result' want disk/out
    check 'nothing is left' nothing_left disk/out
    rm -f disk/out
}
vnp-fasta2tok -q in.fa >tokens
one=$(($(stat -c %s tokens) / 1024)) # kB of the tokens, and of the vectors
result=$(($(stat -c %s want) / 1024))
echo 3/: >three
for hosts in '' '--hosts three'; do
    [ -z "$hosts" ] || has_parallel || { skip 'on three devices' 'GNU parallel is not installed' && continue; }
    # shellcheck disable=SC2086  # words
    for part in 1 2 3; do filled "full in the blocks ($part of 4) $hosts" 74 $((2 * one + 40 + result * part / 4)) $hosts; done
done
filled 'full before the cut' 73 8
filled 'full in the cut' 74 $((20 + one / 2))
filled 'full in the joining' 74 $((2 * one + 60 + result * 3 / 2))

# vnp-predict, whose stages say what they have to say into files, and whose blocks keep a temporary one.
rm -f disk/ballast
vnp-model synth dnabert-s:1x1x16 -q -o dnabert
vnp-model synth classifier:32 -q -o classifier
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
for n in 1 2 3 4; do sed "s/^>/>$n./" "$ROOT/tests/data/contigs.fa"; done >contigs.fa
predict() { vnp-predict -q -d cpu --threads 1 --esm model --dnabert dnabert --classifier classifier -o "$1" contigs.fa; }
full() {
    predict disk/out
    case $? in 7[34]) ;; *) return 1 ;; esac
}
check 'vnp-predict' predict scores
for kb in 12 70 100; do
    leave $kb
    check "vnp-predict with $kb kB" full
    says 'says so' "^vnp-[a-z0-9]*: .*(can't be written to|No space left)"
    check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
    rm disk/ballast
    check 'with room again, the same command goes on' predict disk/out
    check 'to the right result' diff -r scores disk/out
    rm -rf disk/out
done
finish
