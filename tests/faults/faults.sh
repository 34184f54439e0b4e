#!/usr/bin/env bash
# What can go wrong between stages: streams cut or damaged anywhere, stages killed, outputs that can't be written.
# Always: a non-zero exit of every later stage, the first cause named, no partial output file.
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2

vnp-model synth 1x2x32 -o model --seed 1 2>/dev/null
awk '/^>/ { n++ } n <= 8' "$PROTEINS" >in.fa
vnp-fasta2tok -q in.fa >tokens.vnp
vnp-pack -q -b 1024 <tokens.vnp >batches.vnp
vnp-cpu-forward -q --model model <batches.vnp >hidden.vnp
vnp-pool -q --plain <hidden.vnp >emb.vnp
vnp-pool -q <hidden.vnp >emb.zst
cp tokens.vnp tokens-split
cp emb.vnp emb-concat
cp tokens.vnp reduced.vnp
vnp-dedup -q --copies copies.zst <tokens.vnp >unique.vnp
vnp-pack -q <unique.vnp | vnp-cpu-forward -q --model model | vnp-pool -q --plain >expanded.vnp
cp expanded.vnp whole
check 'the undisturbed pipeline is whole' vnp-cat --check emb.zst

# consume STREAM OUT: the stage that reads such a stream, writing to the file OUT.
consume() {
    case $1 in
    tokens-split) vnp-split -q -o "$2" ;;
    emb-concat) vnp-concat -q -o "$2" ;;
    tokens*) vnp-pack -q -b 1024 -o "$2" ;;
    batches*) vnp-cpu-forward -q --model model -o "$2" ;;
    hidden* | emb*) vnp-pool -q -o "$2" ;;
    reduced*) vnp-dedup -q --copies "$2.copies" -o "$2" ;;
    expanded*) vnp-expand -q --copies copies.zst -o "$2" ;;
    copies*) vnp-expand -q --copies - -o "$2" whole ;;
    esac
}

# refused STREAM: feeds ./damaged to the stream's consumer; true when it fails with 65, one line, and no file.
refused() {
    rm -f out
    consume "$1" out <damaged 2>err
    [ $? = 65 ] && [ ! -e out ] && [ ! -e out.copies ] && [ "$(wc -l <err)" = 1 ] && return
    echo "cut or damaged at $at: status or message is wrong: $(head -c 300 err); file: $(ls out 2>&1)"
    return 1
}

# The offset behind each frame of a plain stream.
boundaries() {
    local at=0 size length
    size=$(stat -c %s "$1")
    while [ "$at" -lt "$size" ]; do
        length=$(od -An -tu4 -j "$at" -N 4 "$1" | tr -d ' ')
        at=$((at + 4 + length))
        echo "$at"
    done
}

cut_at() { # cut_at STREAM OFFSET...: each cut must be refused
    local stream=$1 at
    shift
    for at; do
        head -c "$at" "$stream" >damaged
        refused "$stream" || return 1
    done
}

RANDOM=7
for stream in tokens.vnp tokens-split reduced.vnp batches.vnp hidden.vnp emb.vnp emb-concat expanded.vnp emb.zst \
    copies.zst; do
    size=$(stat -c %s $stream)
    spots=
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do spots="$spots $(((RANDOM * 32768 + RANDOM) % size))"; done
    # shellcheck disable=SC2086  # lists of offsets
    check "$stream cut at random bytes is refused" cut_at $stream 0 1 5 $spots $((size - 1))
    [[ $stream == *.zst ]] && continue
    mapfile -t ends < <(boundaries $stream)
    check "$stream has a head, blocks and an end" [ "${#ends[@]}" -ge 3 ]
    check "$stream cut behind each frame is refused" cut_at $stream "${ends[@]:0:${#ends[@]}-1}"
    check "$stream cut behind a frame: the message says so" grep -q 'whole frames without an end frame' err
done

flip() { # flip STREAM STEP: every STEP-th byte of the head, and of the end frame, turned into another
    local stream=$1 step=$2 at head size byte
    head=$(boundaries "$stream" | head -n 1)
    size=$(stat -c %s "$stream")
    for at in $(seq 0 "$step" $((head - 1))) $(seq $((size - 90)) "$step" $((size - 1))); do
        byte=$(od -An -tu1 -j "$at" -N 1 "$stream" | tr -d ' ')
        cp "$stream" damaged
        # shellcheck disable=SC2059  # the format is the byte
        printf "\\x$(printf %x $((byte ^ 85)))" | dd of=damaged bs=1 seek="$at" conv=notrunc status=none
        refused "$stream" || return 1
    done
}
check 'each byte of the head of tokens, and of the end, flipped: refused' flip tokens.vnp 1
check 'bytes of the head of tokens to be split flipped: refused' flip tokens-split 9
check 'bytes of the head of embeddings to be joined flipped: refused' flip emb-concat 9
check 'bytes of the head of tokens flipped, for vnp-dedup: refused' flip reduced.vnp 9
check 'bytes of the head of unique embeddings flipped: refused' flip expanded.vnp 9
check 'bytes of the head of batches flipped: refused' flip batches.vnp 9
check 'bytes of the head of hidden states flipped: refused' flip hidden.vnp 9
check 'bytes of the head of embeddings flipped: refused' flip emb.vnp 9

# Kill each stage of a running pipeline, its input held open so that nothing can end by itself.
pipeline_with_a_kill() { # pipeline_with_a_kill VICTIM: leaves the four statuses in rcs
    local feed tok pack fwd pool
    rm -f a b c d out.zst
    mkfifo a b c d
    { cat in.fa && exec sleep 60; } >a &
    feed=$!
    vnp-fasta2tok -q <a >b 2>tok.err & tok=$!
    vnp-pack -q -b 1024 <b >c 2>pack.err & pack=$!
    vnp-cpu-forward -q --model model <c >d 2>fwd.err & fwd=$!
    vnp-pool -q -o out.zst <d 2>pool.err & pool=$!
    sleep 0.3
    kill -KILL "${!1}"
    # A stage before the victim notices at its next write: end its input, which makes it write.
    kill "$feed" 2>/dev/null
    rcs=
    for p in $tok $pack $fwd $pool; do
        wait "$p"
        rcs="$rcs $?"
    done
    wait "$feed"
} 2>/dev/null
later_fail() { # the victim was killed (137) and every stage behind it failed; no file
    local i=0 seen=0 rc
    for rc in $rcs; do
        i=$((i + 1))
        if [ "$rc" = 137 ]; then seen=$i; elif [ $seen -gt 0 ] && [ "$rc" = 0 ]; then return 1; fi
    done
    [ $seen -gt 0 ] && [ ! -e out.zst ] && [ -z "$(find . -name 'out.zst*')" ]
}
for victim in tok pack fwd pool; do
    pipeline_with_a_kill $victim
    check "SIGKILL of $victim fails every later stage (statuses$rcs)" later_fail
    [ $victim = pool ] || check "SIGKILL of $victim: the last stage says that the stream has no end" \
        grep -Eq 'died|no stream came' pool.err
done

# The first cause is named by every later stage.
printf '>a\nMKV\n>b\nMK\0V\n' | vnp-fasta2tok -q 2>tok.err | vnp-pack -q 2>pack.err |
    vnp-cpu-forward -q --model model 2>fwd.err | vnp-pool -q -o out.zst 2>pool.err
rcs=${PIPESTATUS[*]}
check "a NUL in the input fails all four ($rcs)" [ "$rcs" = '0 65 65 65 65' ]
cause=$(sed 's/^vnp-fasta2tok: //' tok.err)
for f in pack fwd pool; do
    check "$f.err repeats the first cause" grep -qF "vnp-fasta2tok: $cause" $f.err
done
check 'and no file is left' [ -z "$(find . -name 'out.zst*')" ]

# A command line that is wrong in the middle of a pipe is a cause like any other.
vnp-fasta2tok -q in.fa | vnp-pack -q --no-such-option 2>pack.err | vnp-cpu-forward -q --model model 2>fwd.err |
    vnp-pool -q -o out.zst 2>pool.err
rcs=${PIPESTATUS[*]}
check "misuse of a stage fails the later ones ($rcs)" [ "${rcs#* }" = '2 2 2' ]
check 'and the last one says whose' grep -q 'vnp-pack: the command line is wrong' pool.err

# It is told where the frames would have gone: not to stdout when -o names another place, before or after what is wrong.
mkfifo fifo
# shellcheck disable=SC2086  # options are words
for stage in vnp-{fasta2tok,dedup,pack,cpu-forward,gpu-forward,pool,concat,expand,merge} 'vnp-classify --scores'; do
    command -v "${stage%% *}" >/dev/null || continue
    for misuse in '--no-such-option -o out.vnp' '-o out.vnp --no-such-option' '-qo out.vnp in.fa -x' '--output=out.vnp -x'; do
        $stage $misuse 2>stage.err | cat >piped
        check "$stage $misuse: nothing on stdout" [ "${PIPESTATUS[*]} $(stat -c %s piped)" = '2 0 0' ]
    done
    for misuse in '-x' '-x -o -' '-x -o /dev/stdout' '-o out.vnp -x -o -'; do
        $stage $misuse 2>stage.err | vnp-cat 2>cat.err
        check "$stage $misuse: the next stage hears" [ "${PIPESTATUS[*]}" = '2 2' ]
        check 'and says whose it is' grep -q "${stage%% *}: the command line is wrong" cat.err
    done
    timeout 20 $stage -x -o fifo 2>stage.err | cat >piped &
    status "$stage -x -o FIFO: who reads it hears" 2 timeout 20 vnp-cat fifo
    wait $!
    check 'and stdout nothing' [ ! -s piped ]
done
check 'no file is left of any' [ -z "$(find . -name 'out.vnp*')" ]

# Little address space: an error, not a process that never ends.
tight() { (ulimit -v "$1" && timeout 20 vnp-cpu-forward -q --model model <batches.vnp >/dev/null); }
if sanitized; then
    skip 'a tight ulimit -v' 'AddressSanitizer needs the address space'
else
    for kb in 100000 300000 500000; do status "ulimit -v $kb" 71 tight $kb; done
    long() { # one record that no smaller budget helps
        (echo '>long' && head -c 2000000 /dev/zero | tr '\0' A) | vnp-fasta2tok -q | vnp-pack -q |
            (ulimit -v 1200000 && timeout 20 vnp-cpu-forward -q --threads 1 --model model >/dev/null)
    }
    status 'a record too long for the memory' 71 long
    says 'a record too long for the memory: the way out' 'out of memory: .* --window'
fi

# Outputs that can't be written.
run() { # run STAGE with its usual input
    case $1 in
    vnp-fasta2tok) "$@" -q in.fa ;;
    vnp-pack) "$@" -q <tokens.vnp ;;
    vnp-cpu-forward) "$@" -q --model model <batches.vnp ;;
    vnp-pool) "$@" -q <hidden.vnp ;;
    vnp-split) "$@" -q --list <tokens.vnp ;;
    vnp-concat) "$@" -q <emb.zst ;;
    vnp-dedup) "$@" -q --copies made.zst <tokens.vnp ;;
    vnp-expand) "$@" -q --copies copies.zst <whole ;;
    vnp-cat) "$@" --json emb.zst ;;
    vnp-cmp) "$@" emb.zst emb.vnp ;;
    vnp-embed) "$@" -q --device cpu -m model -o - in.fa ;;
    esac
}
full_disk() { run "$1" >/dev/full; }
closed_stdout() { run "$1" >&-; }
too_large() { (ulimit -f 1 && run "$1" -o too-large); }
for s in vnp-fasta2tok vnp-dedup vnp-split vnp-pack vnp-cpu-forward vnp-pool vnp-concat vnp-expand vnp-cat vnp-cmp \
    vnp-embed; do
    status "$s on /dev/full" 74 full_disk $s
    says "$s on /dev/full says why" "$s: .*No space left|vnp-pool: .*No space left"
    status "$s with stdout closed" 74 closed_stdout $s
done
for s in vnp-fasta2tok vnp-pack vnp-cpu-forward; do
    status "$s -o of more than ulimit -f" 74 too_large $s
    says "$s -o of more than ulimit -f says so" "^$s: too-large: .*File too large"
    check "$s -o of more than ulimit -f leaves nothing" [ -z "$(find . -name 'too-large*')" ]
done
if script -qec true /dev/null >/dev/null 2>&1; then
    for s in vnp-fasta2tok vnp-dedup vnp-pack vnp-cpu-forward vnp-pool vnp-concat vnp-expand vnp-embed; do
        export -f run
        status "$s refuses a terminal" 2 script -qec "bash -c 'run $s'" /dev/null
        cp "$T/out" typescript
        check "$s refuses a terminal, saying so" grep -q 'is a terminal' typescript
    done
else
    skip 'stages refuse a terminal' 'no script(1), or no pseudo-terminal'
fi

# A disk that fills up under -o: a file system of 64 kB.
if unshare -rm true 2>/dev/null; then
    awk '/^>/ { n++ } n <= 40' "$PROTEINS" >more.fa
    mkdir small
    cat >small.sh <<'EOF'
mount -t tmpfs -o size=64k none small || exit 99
vnp-fasta2tok -q more.fa | vnp-pack -q | vnp-cpu-forward -q --model model -o small/hidden.vnp
[ $? = 74 ] && [ -z "$(ls small)" ] || exit 1
VNP_MODEL=model vnp-embed -q --device cpu --none -o small/emb.zst more.fa
[ $? = 74 ] && [ "$(ls small)" = emb.zst.run ] # what the same command goes on from
EOF
    check 'ENOSPC on -o: status 74, nothing left under the name' unshare -rm bash small.sh
    says 'ENOSPC is named' 'vnp-embed: .*No space left'
else
    skip 'ENOSPC on -o' 'no user namespaces here'
fi
finish
