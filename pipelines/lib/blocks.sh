# shellcheck shell=bash
# The blocks of a run: which are done, who computes the others, which failed. Sourced by run.sh.
# shellcheck disable=SC2154,SC2034  # $me, $lib, $run, $quiet, $log: of run.sh and the drivers; $run_begin, $by_from: for watch.sh

# Blocks that lie in done/ are not trusted: each is read to its end, which must be the one that was noted when it was made.
verify_done() {
    local block seal file
    declare -A seals=()
    while read -r _ block seal; do [ -z "$block" ] || seals[$block]=$seal; done 2>/dev/null <"$run/by"
    for file in "$run"/done/*; do
        [ -e "$file" ] || continue
        block=$(basename "$file" .vnp)
        ours || return
        if [ -z "${seals[$block]-}" ]; then # no block of this run
            rm -f -- "$file"
        elif [ "$(seal "$file")" != "${seals[$block]}" ] || ! vnp-cat -q --check "$file" >/dev/null 2>&1; then
            say "block $block was damaged and is computed again"
            rm -f -- "$file"
        fi
    done
}

# The blocks that are not done yet.
left() {
    local block rest
    while read -r block rest; do
        [ -e "$run/done/$block.vnp" ] || echo "$block"
    done < <(sed 1d "$run/blocks/blocks.tsv")
}

# forgive [again]: what failed is tried again where that was asked for, and where a block did not fail twice of itself: a
# stage that was killed says nothing of its block. (In the last job of vnp-slurm, the tasks' tries count.)
forgive() {
    local file
    [ -z "${VNP_SUBMITTED-}" ] || return 0
    for file in "$run"/failed/*; do
        if [ -n "$1" ] || [ "$(awk -F '\t' '$2 < 128' 2>/dev/null <"$file" | wc -l)" -lt 2 ]; then rm -f -- "$file"; fi
    done
}

# run_ready [again]: what lib/block needs is there, and what is done is whole; with `again`, failed blocks get another try.
run_ready() {
    rm -rf -- "$run/active" "$run/tmp" "$run/json"
    mkdir -p -- "$run/done" "$run/failed" "$run/log" "$run/active" "$run/tmp" || die 73 "$run: can't be written to"
    forgive "${1-}"
    [ -z "$log" ] || { : >>"$log"; } 2>/dev/null || die 73 "--log-json: $log: can't be written to"
    [ -z "$log" ] || ln -s -- "$(realpath -m -- "$log")" "$run/json" || die 73 "$run: can't be written to"
    await verify_done
}

# run_blocks [again]: computes what is not done yet; with `again`, also blocks that failed twice. Beside that `finish` makes
# the result of it, by what results() gives. 0 when that is whole.
run_blocks() {
    local rc why last made=''
    run_ready "$@"
    ours || gone
    left | keep todo || exit
    [ -s "$run/todo" ] || {
        await finish
        rc=$?
        ours || gone
        return $rc
    }
    run_begin=$EPOCHREALTIME
    touch -- "$run/by"
    by_from=$(wc -l <"$run/by")
    export VNP_DRIVER=$me VNP_LOCK=$lock
    trap 'kill -TERM -- "${begun[@]}" 2>/dev/null' USR1 # from the watcher: it can't go on
    begin last_step
    last=$!
    watch_run $$ "$last" &
    watcher=$!
    await dispatch
    rc=$?
    ours || gone
    if [ -z "$(left)" ] || ! alive "$last"; then
        join "$last"
        made=$?
        ours || gone
        [ $made = 0 ] || [ -e "$run/stop" ] || die $made 'the last step was killed'
    fi
    watch_end
    [ "$made" != 0 ] || { last_said >&2; return 0; }
    if [ -e "$run/stop" ]; then
        rc=$(head -n 1 "$run/stop") why=$(sed 1d "$run/stop")
        [ -n "$why" ] || why="$run: can't be written to: is the disk full?"
        die "${rc:-74}" "$why"
    fi
    [ -s "$run/slots" ] || die 69 "$(none_left)"
    [ "$rc" -le 128 ] || die "$rc" "GNU parallel $(if [ "$rc" = 255 ]; then echo failed; else echo "was killed by signal $((rc - 128))"; fi)"
    report_failed
}

none_left() { # for who sees that there is no slot any more
    echo "no device is left$([ "$device" = cpu ] || echo '; --device cpu --restart begins anew without a GPU')"
}

last_step() { # is `finish`; when it fails, the run can't go on
    local rc why
    unset VNP_PROGRESS
    finish 2>"$run/last" && return
    rc=$?
    ours || return $rc
    if [ $rc -gt 128 ]; then why="the last step was killed by signal $((rc - 128))"; else why=$(last_said); fi
    printf '%s\n%s\n' $rc "$why" 2>/dev/null >"$run/stop"
    return $rc
}
last_said() { # the last step's messages, with the name of the folder that it reads
    local said
    said=$(<"$run/last")
    [ -z "$said" ] || echo "${said//"/dev/fd/$folder/"/"$run/"}"
}

# Each slot is given a block, and another when it is done; one that fails, on another slot if there is one.
dispatch() {
    local rc said reader
    exec {said}> >(messages)
    reader=$!
    hand_out <"$run/todo" 2>&"$said" {said}>&-
    rc=$?
    exec {said}>&-
    if [ $rc -gt 128 ]; then sleep 0.2; else wait "$reader"; fi # it reads on while there is anything that GNU parallel left
    return $rc
}
hand_out() {
    local block job=("${leash[@]}" "$lib/block" "$run") slots tmp
    mapfile -t slots < <(cut -d / -f 2 "$run/slots")
    if [ ${#slots[@]} = 1 ]; then
        export VNP_SLOT=${slots[0]}
        can_go_on() { [ -s "$run/slots" ] && [ ! -e "$run/stop" ]; }
        while can_go_on && read -r block; do
            "${job[@]}" "$block" </dev/null || { can_go_on && "${job[@]}" "$block" </dev/null; }
        done
        return 0
    else
        exec {tmp}<"$run/tmp" # its name may have spaces, at which GNU parallel would remove other files than its own
        # PARALLEL_SHELL: it would take $SHELL, which may be unset (cron, containers) or no shell of this kind.
        # In variables, what the command is made of: in its text, it would replace {} and run {= Perl =} of their names.
        # shellcheck disable=SC2016  # GNU parallel's shell expands it
        TMPDIR=/proc/$BASHPID/fd/$tmp PARALLEL_HOME=$run/parallel PARALLEL_SHELL=$BASH HOME=${HOME:-$run} VNP_LIB=$lib VNP_RUN=$run \
            "${leash[@]}" parallel --plain --will-cite --ssh '"$VNP_LIB/slot"' --sshloginfile "$run/slots" --jobs 1 \
            --retries $((2 + ${#slots[@]})) --ungroup --joblog "+$run/joblog" --termseq TERM,1500,KILL,100 \
            "exec ${leash[*]} \"\$VNP_LIB/block\" \"\$VNP_RUN\" {}"
    fi
}
messages() { # takes what the jobs say past the line of progress; GNU parallel's four lines on a full disk become one
    local line
    while IFS= read -r line; do
        ours || continue # the driver says it
        case $line in
        'parallel: Error: Cannot append to buffer file'*) : >"$run/stop" ;;
        'parallel: Error: Output is incomplete'* | 'parallel: Error: Is the disk full'* | 'parallel: Error: Change '*TMPDIR*) ;;
        *) false ;;
        esac && continue
        progress
        echo "$line" >&2
    done
}

report_failed() {
    local block first sequences rest slots why status='' n=0
    while read -r block first sequences rest; do
        [ ! -e "$run/done/$block.vnp" ] || continue
        n=$((n + 1))
        slots=$(cut -f 1 "$run/failed/$block" 2>/dev/null | paste -sd ,)
        why=$(tail -n 1 "$run/failed/$block" 2>/dev/null)
        echo "$me: block $block (records $first to $((first + sequences - 1))) failed${slots:+ on ${slots/,/ and }}: $(cut -f 3- <<<"${why:-$'\t\t'its job left no word$([ ! -e "$run/joblog" ] || echo ": see $run/joblog")}")" >&2
        [ -n "$status" ] || status=$(cut -f 2 <<<"$why")
    done < <(sed 1d "$run/blocks/blocks.tsv")
    echo "$me: $n of $(run_blocks_n) blocks failed; the others are kept, and --retry-failed tries these again" >&2
    return "${status:-70}"
}

results() { # results OPTION...: the vectors of all blocks, in order, by vnp-concat with these options
    local sequences
    sequences=$(awk 'NR > 1 { n += $3 } END { print n + 0 }' <"$run/blocks/blocks.tsv")
    vnp-concat --files-from - --sequences "$sequences" "$@" < <(as_done) # not a pipe, which would wait for both
}
as_done() { # the files of the blocks, in order, each when it is there; of no other folder, whatever has that name by now
    local block rest nap
    exec {nap}<> <(:) # as in guarded()
    while read -r block rest; do
        until [ -e "/dev/fd/$folder/done/$block.vnp" ]; do
            alive $$ || return
            read -r -t 0.2 -u "$nap"
        done
        ours || return
        echo "/dev/fd/$folder/done/$block.vnp"
    done < <(sed 1d "$run/blocks/blocks.tsv")
}
