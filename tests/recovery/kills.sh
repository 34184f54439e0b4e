#!/usr/bin/env bash
# Kills, at random moments, of random processes of a run or of all of them at once: the same command, given again, goes on,
# and what it ends with is the bytes of a run that nothing disturbed. Nothing is left behind.
# VNP_KILLS: how many (200; from 100 on so many more that each kind of process had its share; make check asks for fewer);
# VNP_SEED: of the choices (moments on the clock still differ from one time to the next).
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
has_parallel || { skip 'kills' 'GNU parallel is not installed' && finish && exit; }
want_kills=${VNP_KILLS:-200}
! sanitized || want_kills=10
thorough() { [ "$want_kills" -ge 100 ]; }
seed=${VNP_SEED:-$((10#$(date +%N) % 100000))}
RANDOM=$seed
echo "# $want_kills kills, seed $seed"

kinds=(driver parallel block vnp-fasta2tok vnp-split vnp-pack vnp-cpu-forward vnp-pool vnp-concat)
declare -A hits=() # kills by kind of process
for kind in "${kinds[@]}"; do hits[$kind]=0; done

# --- the runs ------------------------------------------------------------------------------------------------------------

vnp-model synth 1x1x16 -q -o esm
vnp-model synth dnabert-s:1x1x16 -q -o dnabert
vnp-model synth classifier:32 -q -o classifier
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
cp "$ROOT/tests/data/contigs.fa" .
awk '/^>/ { n++ } n <= 60 { print } n % 4 == 0 { sub(/^>/, ">again_"); print }' "$PROTEINS" >in.fa
echo '3/:' >three
embed=(vnp-embed -q -d cpu -m esm --threads 1 --block 9)
predict=(vnp-predict -q -d cpu --esm esm --dnabert dnabert --classifier classifier --threads 1 -l 300 --block 60)
names=('one slot' 'three slots' 'slow input' 'slow result' 'equal once' 'predict')
! sanitized || names=('three slots' 'predict')
begin_run() { # begin_run NAME OUTPUT
    case $1 in
    'one slot') start "${embed[@]}" -o "$2" in.fa ;;
    'three slots') start "${embed[@]}" --hosts three -o "$2" in.fa ;;
    'slow input') start "${embed[@]}" -o "$2" < <(slowly) ;;
    'slow result') start "${embed[@]}" --hosts three --none --level 15 -o "$2" in.fa ;;
    'equal once') start "${embed[@]}" --hosts three --dedup -o "$2" in.fa ;;
    predict) start "${predict[@]}" --hosts three --gff --keep -o "$2" contigs.fa ;;
    esac
}
slowly() { # in.fa, in half a second
    local i size
    size=$(($(stat -c %s in.fa) / 5 + 1))
    for i in 0 1 2 3 4; do
        tail -c +$((i * size + 1)) in.fa | head -c $size
        sleep 0.1
    done
}

now() { echo $((${EPOCHREALTIME/./} / 1000)); } # ms
exec {nap}<> <(:)                              # to sleep without a process
doze() { read -r -t "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" -u "$nap"; }
at_work() { [ -d "/proc/$session" ] && [[ $(<"/proc/$session/stat") != *') Z '* ]]; } 2>/dev/null

declare -A length=() # of an undisturbed run, ms
for name in "${names[@]}"; do
    began=$(now)
    begin_run "$name" "want $name"
    wait "$session" || { sed 's/^/# /' err && check "$name, undisturbed" false && finish && exit; }
    length[$name]=$(($(now) - began))
done

# --- kills ------------------------------------------------------------------------------------------------------------------

# The processes of the run: kind and number, a line each.
by_kind() {
    processes "$session" | awk -v driver="$session" '
        $1 == driver { print "driver", $1; next }
        $2 ~ /^vnp-/ { print $2, $1; next }
        /lib\/vnp\/block / { print "block", $1; next }
        /parallel --plain / { print "parallel", $1; next }
        /perl -/ { print "wrapper", $1; next }
        /bash [^ ]*vnp-(embed|predict) / { print "subshell", $1; next }
        /bash -c/ { print "job", $1; next }
        { print "other", $1 }'
}
random() { echo $((RANDOM % $1)); }
one_of() { # one line of stdin
    local lines
    mapfile -t lines
    [ ${#lines[@]} -gt 0 ] && echo "${lines[RANDOM % ${#lines[@]}]}"
}
# kill_one [KIND]: a process of that kind, or of a random one of those that are there
kill_one() {
    local found kind pid signal=KILL
    found=$(by_kind)
    kind=${1-$(awk '{ print $1 }' <<<"$found" | sort -u | one_of)}
    pid=$(awk -v k="$kind" '$1 == k { print $2 }' <<<"$found" | one_of)
    [ $((RANDOM % 8)) != 0 ] || signal=TERM
    [ -n "$pid" ] && kill -$signal "$pid" 2>/dev/null || return
    hits[$kind]=$((${hits[$kind]-0} + 1))
    story+="; SIG$signal to a $kind"
}
rarest() {
    local kind
    for kind in "${kinds[@]}"; do echo "${hits[$kind]} $kind"; done | sort -n | head -n 1 | cut -d ' ' -f 2
}
# One kill of the run that is at work, if it lives so long; of what, and when, is left to chance.
kill_something() {
    local moment=$1 kind
    if [ $((RANDOM % 4)) = 0 ]; then
        kind=$(rarest)
        case $kind in
        vnp-*) # it may live for milliseconds
            until pkill -KILL -s "$session" -x "$kind"; do at_work || return; done
            hits[$kind]=$((${hits[$kind]} + 1))
            story+="; SIGKILL to every $kind"
            ;;
        *)
            until by_kind | grep -q "^$kind "; do at_work || return; done
            doze $((RANDOM % 20 + 1))
            kill_one "$kind"
            ;;
        esac
    else
        doze $((moment + 1))
        at_work || return
        if [ $((RANDOM % 6)) = 0 ]; then
            kill_session "$session"
            hits[all]=$((${hits[all]-0} + 1))
            story+='; SIGKILL to all'
        else
            kill_one
        fi
    fi
} 2>/dev/null
let_end() { # of the run: its status; 99 when it hangs
    local until=$(($(now) + 60000 + 10 * length[$1]))
    while at_work; do
        [ "$(now)" -lt "$until" ] || return 99
        doze 20
    done
    wait "$session"
}

# round NAME: kills, and starts again, until it has ended well; then all must be as if nothing had happened.
round() {
    local undisturbed moments name=$1 out="got $1" rc=1 kills=$((RANDOM % 10 + 2)) sessions=()
    rm -rf "$out"
    story=$name
    while [ $rc != 0 ]; do
        begin_run "$name" "$out"
        sessions+=("$session")
        # Mostly early, so that there is something left to kill; but any moment may come.
        undisturbed=$((kills <= 0)) moments=$((length[$name] / (RANDOM % 4 == 0 ? 1 : 4)))
        while [ $((kills--)) -gt 0 ] && at_work; do
            kill_something $((RANDOM % (moments / (1 + (${#sessions[@]} > 1)) + 1)))
            moments=$((moments / 2 + 1))
        done
        let_end "$name"
        rc=$?
        story+="; ended $rc"
        [ $rc != 99 ] || break
        [ $undisturbed = 0 ] || break
    done
    [ $rc = 0 ] || {
        echo "the undisturbed run failed: $(tail -n 3 err)"
        for session in "${sessions[@]}"; do processes "$session" && kill_session "$session"; done
        return 1
    }
    diff -rq "want $name" "$out" && nothing_left "$out" && ended 5 "${sessions[@]}"
}
total() { local n=0 kind; for kind in "${!hits[@]}"; do n=$((n + hits[$kind])); done; echo $n; }
all_kinds() { ! thorough || [ "${hits[$(rarest)]}" -gt 0 ]; }

began=$SECONDS rounds=0 bad=0
: >stories # that ended badly
while [ "$(total)" -lt "$want_kills" ] || ! all_kinds; do
    [ $rounds -lt $((want_kills * 2)) ] || break
    round "${names[rounds++ % ${#names[@]}]}" >said 2>&1 && continue
    bad=$((bad + 1))
    {
        echo "round $rounds: $story"
        cat said err
        find got* -path '*/failed/*' -type f -exec grep -H . {} + 2>/dev/null
    } >>stories
    rm -rf got* "${TMPDIR:?}"/*
    [ $bad -lt 5 ] || break
done
echo "# $(total) kills in $rounds rounds, $((SECONDS - began)) s"
for kind in "${!hits[@]}"; do echo "#   ${hits[$kind]} $kind"; done | sort -k 2nr
check "$want_kills kills" [ "$(total)" -ge "$want_kills" ]
for kind in "${kinds[@]}"; do
    ! thorough || check "of them some of $kind" [ "${hits[$kind]}" -gt 0 ]
done
check 'after all of them the result is that of an undisturbed run, and nothing is left' sh -c 'cat stories >&2; [ ! -s stories ]'
finish
