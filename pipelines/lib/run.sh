# shellcheck shell=bash
# A run over any number of devices and hosts that can be continued after whatever ended it. Sourced by vnp-embed and
# vnp-predict, which set $me, $here, $quiet, and $log, the file of --log-json. All that a run has to remember lies in one
# directory, $run:
#   what      what is computed: the model and the options that shape the bytes; without it, all else is void (what.new: it is
#             being made, or the run removed; what has neither, and more than a lock, is no run)
#   values    a checksum of all values of the models
#   blocks/   the input, cut up by vnp-split: blocks.tsv and a folder for each kind of tokens
#   job       the pipeline of a block: bash, tokens on stdin, one stream of vectors on stdout
#   slots     the devices, as logins of GNU parallel: 1/cpu, 1/gpu0, 1/gpu1@host; a slash in a device's name is _
#   done/     the vectors of blocks, each under its name when it is whole
#   failed/   of each block that failed, a line an attempt: slot, status, message
#   log/      what the stages said of each block, and their telemetry (the newest attempt)
#   active/   of each slot, the block that it is at
#   by        which slot did which block, and the block's seal
#   joblog    GNU parallel's account of the jobs
#   tmp/      temporary files of what runs on this host, so that a kill leaves none elsewhere
#   last      what the last step says, which puts all together
#   stop      why the run can't go on
#   json      a link to the file of --log-json
#   slurm/    of vnp-slurm: the blocks that were submitted, the numbers of the jobs, what the tasks said
#   lock      locked while anything of the run is at work: by one driver, or shared by the tasks of vnp-slurm
lib=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=pipelines/lib/common.sh
. "$lib/common.sh"
# shellcheck source=pipelines/lib/devices.sh
. "$lib/devices.sh"
# shellcheck source=pipelines/lib/blocks.sh
. "$lib/blocks.sh"
# shellcheck source=pipelines/lib/watch.sh
. "$lib/watch.sh"
# shellcheck source=pipelines/lib/options.sh
. "$lib/options.sh"

# --- the directory ------------------------------------------------------------------------------------------------------

run_of() { # run_of OUTPUT: its folder, beside what the output is, so that by whatever name it has one
    local name=$1
    while [[ $name == */ ]]; do name=${name%/}; done
    case /$name in */ | */. | */..) false ;; *) [ ! -L "$name" ] ;; esac || name=$(realpath -m -- "$1")
    [ -w "$(dirname -- "$name")" ] || name=${1%/} # beside the name that was given, then
    echo "$name.run"
}

is_run() { # whether the folder is one, and not of somebody else; on NFS what is open still stays as .nfs*
    [ -e "$run/what" ] || [ -e "$run/what.new" ] ||
        [ -z "$(find "$run/" -mindepth 1 -maxdepth 1 ! -name lock ! -name '.nfs*' -print -quit 2>/dev/null || echo unreadable)" ]
}

outside_run() { # outside_run FILE...: these are no part of what is removed at the end; there may be thousands
    local inside file path
    {
        IFS= read -r -d '' inside
        for file; do
            IFS= read -r -d '' path
            [[ $path/ != "$inside"/* ]] || die 2 "$file: lies in the folder of the run, which ends with it: move it elsewhere"
        done
    } < <(realpath -zm -- "$run" "$@")
}

run_open() { # run_open DIR FILE...: makes it, or takes it over from a run that has ended; these files are read meanwhile
    run=$1
    local owner why file reads=() no_run="$1: exists and is no run of vnp: choose another -o, or move it away"
    [[ $run != *$'\n'* ]] || die 73 "${run//$'\n'/?}: a name with the end of a line in it: choose another -o"
    [ -z "$log" ] || outside_run "$log"
    [ ! -p "$log" ] || die 73 "--log-json: $log: is a pipe, and each block opens it anew: name a file"
    [ -z "${VNP_SUBMITTED-}" ] || [ -e "$run/blocks/blocks.tsv" ] ||
        die 66 "$run: is gone: another command has ended this run, or it was removed"
    while :; do
        [ -d "$run" ] || why=$(mkdir -- "$run" 2>&1) || [ -d "$run" ] || die 73 "$run: can't be made: ${why##*: }"
        [ -e "$run/lock" ] || is_run || [ -e "$run/lock" ] || die 73 "$no_run" # again: a run may have begun just now
        { exec {lock}<>"$run/lock"; } 2>/dev/null || die 73 "$run: can't be written to"
        # Shared, but not for one: tasks of Slurm have it; for one too: who had it has just let it go.
        if ! flock -n "$lock" && flock -n -s "$lock"; then
            flock -n "$lock" || die 73 "$run: tasks of Slurm are at work there$(sed 's/.*/ (jobs &; scancel ends them)/' "$run/slurm/jobs" 2>/dev/null)"
        elif ! flock -n "$lock"; then
            owner=$(<"$run/lock")
            if [ "${owner%% *}" != "$(uname -n)" ] || alive "${owner##* }"; then
                die 73 "$run: another run is at work there (host and process: $owner)"
            fi
            flock -w 20 "$lock" || die 73 "$run: stages that a killed run left are still at work there; end them first"
        fi
        # Not the lock of a run that has come to its end, and removed it, just now.
        [ ! "$run/lock" -ef "/dev/fd/$lock" ] || break
        exec {lock}>&-
    done
    is_run || die 73 "$no_run"
    for file in "${@:2}"; do
        [ "$file" != - ] || file=/dev/stdin
        [ ! -e "$file" ] || reads+=("$file")
    done
    outside_run "${reads[@]}"
    echo "$(uname -n) $$" >"$run/lock"
    exec {folder}<"$run"
    held=yes shows=''
    if [ -z "$quiet" ] && { [ -t 2 ] || [ -n "${VNP_PROGRESS-}" ]; }; then shows=yes; fi
    rm -f -- "$run/stop"
}

run_new() { # forgets all but the lock, and what a killed stage left under a temporary name beside the result
    local file result
    result=$(realpath -m -- "$out")
    if [ -e "$run/what" ]; then
        for file in "$result".*.tmp; do # not what was there before
            [[ ! ${file#"$result"} =~ ^\.[0-9]+\.tmp$ ]] || [ ! "$file" -nt "$run/what" ] || rm -f -- "$file"
        done
        mv -- "$run/what" "$run/what.new" || return
    fi
    find "$run/" -mindepth 1 -maxdepth 1 ! -name lock ! -name what.new -exec rm -rf {} + &&
        rm -f -- "$run/what.new"
}

run_forget() {
    ours || gone
    run_new || die 73 "$run: can't be emptied"
}

twice() { "$@" || "$@"; } # should it have been killed

# All of it is in the result now. On NFS a file that is open keeps its folder, so the lock comes last; a folder that can't be
# removed even then does no harm.
run_remove() {
    end_begun # run_values' reading, should it be at it still
    ours || return 0
    twice run_new
    twice rm -f -- "$run/lock"
    exec {lock}>&-
    twice rmdir -- "$run" 2>/dev/null || :
}

keep() { # keep NAME: stdin becomes that file of the run, at once
    local why
    why=$({ cat >"$run/$1.new" && mv -- "$run/$1.new" "$run/$1"; } 2>&1) || die 73 "$run/$1: can't be written${why:+: ${why##*: }}"
}

vocabulary() { # vocabulary TOKENIZER: what tells its tokens from those of another; where it is none, that is said later
    vnp-fasta2tok -q --allow-empty --tokenizer "$1" </dev/null | vnp-cat --summary | sed -n 's/^ *vocabulary *//p'
} 2>/dev/null

# run_is TEXT: what is to be computed, in lines of name and value. Refused when the run was begun as another.
run_is() {
    local changed
    if [ -e "$run/what" ]; then
        changed=$(diff <(echo "$1") "$run/what" | grep -m 1 '^[<>]' | cut -c 3-)
        [ -z "$changed" ] || {
            held='' # all of it stays
            die 2 "$run: was begun with another ${changed%% *} than this: give the options and the model of then, or --restart to begin anew"
        }
    else
        run_forget
        echo "$1" | keep what || exit
    fi
}

# run_values MODEL...: that all of the models' values are those that the run was begun with; the fingerprint in `what` looks at
# some of them. At the first start they are read beside the work.
run_values() {
    if [ -e "$run/values" ]; then
        await values_of "$@" >"$run/values.now" || exit
        cmp -s -- "$run/values" "$run/values.now" ||
            die 2 "$run: was begun with another model than this: give the model of then, or --restart to begin anew"
    else
        begin note_values "$@"
    fi
}
note_values() { values_of "$@" >"$run/values.new" && ours && mv -- "$run/values.new" "$run/values"; } 2>/dev/null
values_of() {
    local model
    for model; do vnp-model verify "$model" || return; done | sed 's/.*, all finite, //'
    first_failure "${PIPESTATUS[@]}" # a full disk, too, which leaves them half written
}

# run_size RECORDS EACH CUT FILE...: how much a block holds, for vnp-split; as it was when the run was begun. By default so much
# that loading the model is under 1% of a block, and as much in each for several devices, for which files are counted first;
# EACH: in records of so many tokens; 0: in tokens. CUT: see run_cut; CUT --count prints the table for a single block.
run_size() {
    local records=$1 each=$2 cut=$3 slots file rc
    shift 3
    if [ -e "$run/size" ]; then
        [ -z "$records" ] || [ "$(<"$run/size")" = "--records $records" ] || say 'the blocks stay as they were cut when this run was begun'
        return
    fi
    if [ -n "$records" ]; then
        echo "--records $records" | keep size || exit
        return
    fi
    slots=$(wc -l <"$run/slots")
    : >"$run/counted"
    [ $# -gt 0 ] || slots=1 # what is read once only, stdin above all, can't be counted
    for file; do { [ "$file" != - ] && [ -f "$file" ]; } || slots=1; done
    if [ "$slots" -gt 1 ]; then
        progress 'counts the input'
        await "$cut" --count >"$run/counted" 2>"$run/counted.said"
        rc=$?
        progress
        [ $rc = 0 ] || {
            cat -- "$run/counted.said" >&2
            tell_killed $rc || exit
        }
    fi
    awk -v device="$device" -v parameters="$parameters" -v model="$model_bytes" -v cores="$(nproc)" -v slots="$slots" \
        -v each="$each" '/^[0-9]/ && !all { records = $3; all = $4 } END {
        load = device == "gpu" ? 0.5 + model / 3e10 : 0.05 + model / 2e9
        rate = (device == "gpu" ? 5e14 : 4e10 * cores) / (2 * parameters)
        tokens = 100 * load * (rate < 1.5e7 ? rate : 1.5e7)
        if (tokens < 1000) tokens = 1000
        if (!all) {
            all = tokens
            records = each > 0 ? tokens / each : 1
        }
        n = all / tokens / slots
        n = slots * (n > int(n) ? int(n) + 1 : int(n))
        if (each > 0) printf "--records %d\n", records / n + 1
        else printf "--tokens %d\n", all / n + (n > 1 ? 2 * all / records : 0) # a block ends before a record that is too long for it
    }' <"$run/counted" | keep size || exit
    rm -f -- "$run"/counted "$run"/counted.said
}

# run_cut CUT: the input becomes $run/blocks, by the function CUT, which is called as CUT DIR to cut it up and as CUT --list
# to print the table that this would give. When it has been cut before, it must be the same input.
run_cut() {
    if [ -e "$run/blocks/blocks.tsv" ]; then
        await "$1" --list >"$run/again.tsv" || tell_killed $? || return
        find "$run/blocks" -name blocks.tsv -print0 | sort -z | xargs -0 cat | cmp -s "$run/again.tsv" - || other_input
        rm -f -- "$run"/*.again "$run/again.tsv"
        say "goes on: $(find "$run/done" -name '*.vnp' 2>/dev/null | wc -l) of $(run_blocks_n) blocks are done"
    else
        rm -rf -- "$run/blocks" "$run"/blocks.*
        VNP_LOG_JSON=$run/cut.log await "$1" "$run/blocks.whole" || {
            local rc=$?
            ours || gone
            tell_killed $rc || return
        }
        ours || gone
        mv -- "$run/blocks.whole" "$run/blocks" || die 73 "$run: can't be written to"
    fi
}
other_input() { die 2 "$run: was begun with another input than this; give that one, or --restart to begin anew"; }

run_blocks_n() { echo $(($(wc -l <"$run/blocks/blocks.tsv") - 1)); }

# --- the end ------------------------------------------------------------------------------------------------------------------

# What is left behind when the driver ends: nothing, or what the same command goes on from.
run_leave() {
    local rc=$?
    progress
    [ -z "${watcher-}" ] || kill "$watcher" 2>/dev/null
    end_begun
    if [ -n "${held-}" ] && [ "$rc" != 0 ] && ours; then
        if [ "$block" = 0 ] || [ ! -e "$run/blocks/blocks.tsv" ]; then
            run_remove
        elif [ -d "$run/done" ] && [ "$rc" != 2 ]; then # 2: it is another command
            say "$(find "$run/done" -name '*.vnp' | wc -l) of $(run_blocks_n) blocks are done and kept in $run: the same command goes on from there"
        fi
    fi
    exit "$rc"
}
trap run_leave EXIT
catch_signals
