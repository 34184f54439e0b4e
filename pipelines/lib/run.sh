# shellcheck shell=bash
# A run over any number of devices and hosts that can be continued after whatever ended it. Sourced by vnp-embed and
# vnp-predict, which set $me, $here, $quiet, and $log, the file of --log-json. All that a run has to remember lies in one directory, $run:
#   what      what is computed: the model and the options that shape the bytes
#   blocks/   the input, cut up by vnp-split: blocks.tsv and a folder for each kind of tokens
#   job       the pipeline of a block: bash, tokens on stdin, one stream of vectors on stdout
#   slots     the devices, as logins of GNU parallel: 1/cpu, 1/gpu0, 1/gpu1@host
#   done/     the vectors of blocks, each under its name when it is whole
#   failed/   of each block that failed, a line an attempt: slot, status, message
#   log/      what the stages said of each block, and their telemetry (the newest attempt)
#   active/   of each slot, the block that it is at
#   by        which slot did which block
#   joblog    GNU parallel's account of the jobs
#   stop      why the run can't go on
#   json      a link to the file of --log-json
#   slurm/    of vnp-slurm: the blocks that were submitted, the numbers of the jobs, what the tasks said
#   lock      locked while anything of the run is at work: by one driver, or shared by the tasks of vnp-slurm
lib=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=pipelines/lib/common.sh
. "$lib/common.sh"

# --- the directory ------------------------------------------------------------------------------------------------------

run_open() { # run_open DIR: makes it, or takes it over from a run that has ended
    run=$1
    local owner
    [ -z "${VNP_SUBMITTED-}" ] || [ -e "$run/blocks/blocks.tsv" ] ||
        die 66 "$run: is gone: another command has ended this run, or it was removed"
    while :; do
        [ -d "$run" ] || mkdir -- "$run" 2>/dev/null || [ -d "$run" ] || die 73 "$run: can't be made"
        { exec {lock}<>"$run/lock"; } 2>/dev/null || die 73 "$run: can't be written to"
        if ! flock -n "$lock"; then
            ! flock -n -s "$lock" || die 73 "$run: tasks of Slurm are at work there$(sed 's/.*/ (jobs &; scancel ends them)/' "$run/slurm/jobs" 2>/dev/null)"
            owner=$(<"$run/lock")
            if [ "${owner%% *}" != "$(uname -n)" ] || kill -0 "${owner##* }" 2>/dev/null; then
                die 73 "$run: another run is at work there (host and process: $owner)"
            fi
            flock -w 20 "$lock" || die 73 "$run: stages that a killed run left are still at work there; end them first"
        fi
        # Not the lock of a run that has come to its end, and removed it, just now.
        [ ! "$run/lock" -ef "/dev/fd/$lock" ] || break
        exec {lock}>&-
    done
    echo "$(uname -n) $$" >"$run/lock"
    held=yes
    rm -f -- "$run/stop"
}

run_new() { # forgets all but the lock
    find "$run" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} +
}

# All of it is in the result now. On NFS a file that is open keeps its folder, so the lock comes last; a folder that can't
# be removed even then does no harm.
run_remove() {
    run_new
    rm -f -- "$run/lock"
    exec {lock}>&-
    rmdir -- "$run" 2>/dev/null || :
}

keep() { # keep NAME: stdin becomes that file of the run, at once
    { cat >"$run/$1.new" && mv -- "$run/$1.new" "$run/$1"; } 2>/dev/null || die 73 "$run/$1: can't be written"
}

# run_is TEXT: what is to be computed, in lines of name and value. Refused when the run was begun as another.
run_is() {
    local changed
    if [ -e "$run/what" ]; then
        changed=$(diff <(echo "$1") "$run/what" | grep -m 1 '^[<>]' | cut -c 3-)
        [ -z "$changed" ] || die 2 "$run: was begun with another ${changed%% *} than this: give the options and the model of then, or --restart to begin anew"
    else
        echo "$1" | keep what || exit
    fi
}

# run_size RECORDS EACH FILE...: how much a block holds, for vnp-split; as it was when the run was begun. By default so much
# that loading the model is 1% of its time, at the most that a device does (500 TFLOP/s; 40 GFLOP/s a core), and for a
# smaller input the same number of blocks for each slot. EACH: tokens of a record, where blocks are to be of equally many
# records; or 0.
run_size() {
    local records=$1 each=$2 bytes=0 file
    shift 2
    if [ -e "$run/size" ]; then
        [ -z "$records" ] || [ "$(<"$run/size")" = "--records $records" ] || say 'the blocks stay as they were cut when this run was begun'
        return
    fi
    if [ -n "$records" ]; then
        echo "--records $records" | keep size || exit
        return
    fi
    for file; do
        case $file in -) bytes=0 && break ;; *.gz | *.bgz | *.zst) bytes=$((bytes + 4 * $(stat -Lc %s -- "$file"))) ;; *) bytes=$((bytes + $(stat -Lc %s -- "$file"))) ;; esac
    done
    awk -v device="$device" -v parameters="$parameters" -v model="$model_bytes" -v cores="$(nproc)" -v input="$bytes" \
        -v slots="$(wc -l <"$run/slots")" -v each="$each" 'BEGIN {
        load = device == "gpu" ? 0.5 + model / 3e10 : 0.05 + model / 2e9
        rate = (device == "gpu" ? 5e14 : 4e10 * cores) / (2 * parameters)
        tokens = 100 * load * (rate < 1.5e7 ? rate : 1.5e7)
        if (input > 0) {
            n = int(input / tokens / slots + 0.999)
            tokens = input / slots / (n > 1 ? n : 1)
        }
        if (tokens < 1000) tokens = 1000
        if (each > 0) printf "--records %d\n", tokens / each; else printf "--tokens %d\n", tokens }' | keep size || exit
}

# run_cut CUT: the input becomes $run/blocks, by the function CUT, which is called as CUT DIR to cut it up and as CUT --list
# to print the table that this would give. When it has been cut before, it must be the same input.
run_cut() {
    if [ -e "$run/blocks/blocks.tsv" ]; then
        await "$1" --list >"$run/again.tsv" || return
        find "$run/blocks" -name blocks.tsv -print0 | sort -z | xargs -0 cat | cmp -s "$run/again.tsv" - || other_input
        rm -f -- "$run"/*.again "$run/again.tsv"
        say "goes on: $(find "$run/done" -name '*.vnp' 2>/dev/null | wc -l) of $(run_blocks_n) blocks are done"
    else
        rm -rf -- "$run/blocks" "$run"/blocks.*
        VNP_LOG_JSON=$run/cut.log await "$1" "$run/blocks.whole" || {
            local rc=$?
            [ $rc -le 128 ] || echo "$me: a stage that reads the input was killed by signal $((rc - 128))" >&2
            return $rc
        }
        mv -- "$run/blocks.whole" "$run/blocks" || die 73 "$run: can't be written to"
    fi
}
other_input() { die 2 "$run: was begun with another input than this; give that one, or --restart to begin anew"; }

run_blocks_n() { echo $(($(wc -l <"$run/blocks/blocks.tsv") - 1)); }

# --- devices --------------------------------------------------------------------------------------------------------------

# run_slots DEVICE GPUS HOSTS: one slot for each device. GPUS: all, or numbers as 0,2; HOSTS: a file of [N/]HOST, the first
# N GPUs of each, : for this one; empty for this host alone.
run_slots() {
    local device=$1 gpus=$2 hosts=$3 n host i slots=()
    local_gpus() {
        local all=${CUDA_VISIBLE_DEVICES-}
        if [ "$gpus" != all ]; then echo "${gpus//,/ }"; elif [ -n "$all" ]; then echo "${all//,/ }"; else
            n=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
            seq 0 $((n > 0 ? n - 1 : 0))
        fi
    }
    if [ -z "$hosts" ]; then
        if [ "$device" = cpu ]; then slots=(cpu); else for i in $(local_gpus); do slots+=("gpu$i"); done; fi
    else
        while read -r host _; do
            case $host in '' | \#*) continue ;; */*) n=${host%%/*} host=${host#*/} ;; *) n=1 ;; esac
            [[ $n =~ ^[1-9][0-9]{0,3}$ ]] || die 65 "$hosts: not [N/]HOST: $n/$host"
            for ((i = 0; i < n; i++)); do
                [ "$device" = cpu ] && slots+=("cpu$i@$host") || slots+=("gpu$i@$host")
            done
        done <"$hosts"
        [ ${#slots[@]} -gt 0 ] || die 65 "$hosts: names no host"
    fi
    slots=("${slots[@]/%@:/}")
    [ -z "${VNP_SUBMITTED-}" ] || slots=("$device") # the one that Slurm has given
    if [ ${#slots[@]} -gt 1 ] && [ -z "$prepare" ]; then
        case $(parallel --plain --version 2>/dev/null </dev/null) in
        'GNU parallel'*) ;;
        *) die 69 "GNU parallel is not installed (package parallel): it takes it to use ${#slots[@]} devices at once; --gpus 0 uses one" ;;
        esac
    fi
    printf '1/%s\n' "${slots[@]}" | sort -u | keep slots || exit
}

check_devices() { # $device, $gpus and $hosts, as far as that goes without looking
    case $device in auto | cpu | gpu) ;; *) misuse "--device: auto, cpu or gpu, not $device" ;; esac
    [ -z "$gpus" ] || [[ $gpus =~ ^(all|[0-9]{1,4}(,[0-9]{1,4})*)$ ]] || misuse "--gpus: all, or numbers as 0,2, not $gpus"
    [ -z "$gpus" ] || [ "$device" != cpu ] || misuse "--gpus $gpus goes with --device gpu"
    [ -z "$hosts" ] || [ -r "$hosts" ] || die 66 "$hosts: no such file, or not readable"
}
# --prepare: the blocks are computed later, and it may be elsewhere; the input is read again then. In the last job of
# vnp-slurm ($VNP_SUBMITTED) what was to be forgotten already has been.
check_prepare() { # check_prepare [FILE ...]
    local f
    # shellcheck disable=SC2034  # the drivers'
    [ -z "${VNP_SUBMITTED-}" ] || restart='' again=''
    [ -n "$prepare" ] || return 0
    [ "$device" != auto ] || die 2 '--prepare: say --device gpu or --device cpu: what is here need not be where the blocks are computed'
    [ $# -gt 0 ] || set -- -
    for f; do
        [ "$f" != - ] || die 2 '--prepare: standard input can not be read again later: name files'
        [ -f "$f" ] || die 2 "--prepare: $f: can not be read again later: name files"
    done
}
# Whether the device can be tried here; for --prepare it need not be.
at_hand() { [ -z "$prepare" ] || [ "$device" = cpu ] || vnp-gpu-forward -q --probe >/dev/null 2>&1; }
choose_device() { # auto becomes cpu or gpu; its stage must be there
    if [ "$device" = auto ]; then
        device=cpu
        if command -v vnp-gpu-forward >/dev/null && { [ -n "$hosts" ] || vnp-gpu-forward --probe >/dev/null 2>&1; }; then device=gpu; fi
    fi
    command -v "vnp-$device-forward" >/dev/null || die 69 "vnp-$device-forward is not installed beside $me: this build has no ${device^^} stage"
}

# model_facts MODEL [PREFIX]: sets $architecture, $fingerprint, $parameters, $width, $model_bytes and $model_file, or says what is
# wrong with it.
: "${architecture=} ${fingerprint=} ${parameters=} ${width=} ${model_bytes=} ${model_file=}" # for the drivers too
model_facts() {
    local json
    json=$(vnp-model inspect -q --json "$1" 2>&1) || die $? "${2-}${json#vnp-model: }"
    fact() { # fact NAME PATTERN VARIABLE
        [[ $json =~ \"$1\":$2 ]] && printf -v "$3" %s "${BASH_REMATCH[1]}"
    }
    fact architecture '"([^"]*)"' architecture
    fact fingerprint '"([^"]*)"' fingerprint
    fact parameters '([0-9]+)' parameters
    fact width '([0-9]+)' width
    fact bytes '([0-9]+)' model_bytes
    fact files '\["([^"]*)"' model_file
}

# takes STAGE MODEL [OPTION OF VNP-FASTA2TOK ...] -- [OPTION OF STAGE ...]: whether the forward stage takes the model, these
# tokens and options: it is given a stream without sequences.
takes() {
    local stage=$1 model=$2 tokens=()
    shift 2
    while [ "$1" != -- ]; do tokens+=("$1") && shift; done
    shift
    (
        unset VNP_LOG_JSON
        vnp-fasta2tok -q --allow-empty "${tokens[@]}" </dev/null | vnp-pack -q | "$stage" -q --model "$model" "$@" >/dev/null
        first_failure "${PIPESTATUS[@]}"
    )
}

# --- blocks -----------------------------------------------------------------------------------------------------------------

# Whether a block that lies in done/ is what its name says. Not trusted: read to its end, counted and summed.
whole() { # whole BLOCK FIRST SEQUENCES TOKENS
    local json first=0
    json=$(vnp-cat -q --summary --json "$run/done/$1.vnp" 2>/dev/null) || return
    [[ $json =~ \"first\":([0-9]+) ]] && first=${BASH_REMATCH[1]}
    [[ $json =~ \"sequences\":$3,.*\"tokens\":$4, ]] && [ "$first" = "$2" ]
}

verify_done() {
    local block first sequences tokens rest
    while read -r block first sequences tokens rest; do
        [ -e "$run/done/$block.vnp" ] || continue
        whole "$block" "$first" "$sequences" "$tokens" || {
            say "block $block was damaged and is computed again"
            rm -f -- "$run/done/$block.vnp"
        }
    done < <(sed 1d "$run/blocks/blocks.tsv")
}

# The blocks that are not done yet.
left() {
    local block rest
    while read -r block rest; do
        [ -e "$run/done/$block.vnp" ] || echo "$block"
    done < <(sed 1d "$run/blocks/blocks.tsv")
}

# run_ready [again]: what lib/block needs is there, and what is done is whole; with `again`, failed blocks get another try.
run_ready() {
    mkdir -p -- "$run/done" "$run/failed" "$run/log" "$run/active" || die 73 "$run: can't be written to"
    rm -f -- "$run"/active/* "$run"/done/*.tmp "$run/json"
    [ -z "${1-}" ] || rm -f -- "$run"/failed/*
    [ -z "$log" ] || ln -s -- "$(realpath -m -- "$log")" "$run/json" || die 73 "$run: can't be written to"
    await verify_done
}

# run_blocks [again]: computes what is not done yet; with `again`, also blocks that failed twice. 0 when all are done.
run_blocks() {
    run_ready "$@"
    left >"$run/todo"
    [ -s "$run/todo" ] || return 0
    run_begin=$EPOCHREALTIME
    shows=
    if [ -z "$quiet" ] && { [ -t 2 ] || [ -n "${VNP_PROGRESS-}" ]; }; then shows=yes; fi
    touch -- "$run/by"
    by_from=$(wc -l <"$run/by")
    export VNP_DRIVER=$me
    watch_run $$ &
    watcher=$!
    trap 'kill -TERM -- "-$awaited" 2>/dev/null' USR1 # from the watcher: it can't go on
    await dispatch
    kill "$watcher" 2>/dev/null
    trap - USR1
    [ ! -e "$run/stop" ] || die "$(head -n 1 "$run/stop")" "$(sed 1d "$run/stop")"
    left >"$run/todo"
    [ -s "$run/todo" ] || return 0
    report_failed
}

# Each slot is given a block, and another when it is done; one that fails, on another slot if there is one.
dispatch() {
    local block job=("${leash[@]}" "$lib/block" "$run") slots
    mapfile -t slots < <(cut -d / -f 2 "$run/slots")
    if [ ${#slots[@]} = 1 ]; then
        export VNP_SLOT=${slots[0]}
        while read -r block && [ ! -e "$run/stop" ]; do
            "${job[@]}" "$block" || [ -e "$run/stop" ] || "${job[@]}" "$block"
        done
    else
        PARALLEL_HOME=$run/parallel "${leash[@]}" parallel --plain --will-cite --ssh "$lib/slot" --sshloginfile "$run/slots" \
            --jobs 1 --retries $((2 + ${#slots[@]})) --joblog "+$run/joblog" --termseq TERM,1500,KILL,100 --line-buffer \
            "exec ${job[*]@Q} {}"
    fi <"$run/todo" 2> >(messages)
}
messages() { # takes what the jobs say past the line of progress
    local line
    while IFS= read -r line; do
        [ -z "$shows" ] || printf '\r\e[K' >&2
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
        echo "$me: block $block (records $first to $((first + sequences - 1))) failed${slots:+ on ${slots/,/ and }}: $(cut -f 3- <<<"$why")" >&2
        [ -n "$status" ] || status=$(cut -f 2 <<<"$why")
    done < <(sed 1d "$run/blocks/blocks.tsv")
    echo "$me: $n of $(run_blocks_n) blocks failed; the others are kept, and --retry-failed tries these again" >&2
    return "${status:-70}"
}

# --- what people see --------------------------------------------------------------------------------------------------------

# watch_run DRIVER: a line of progress each second; and the end of what can't go on, by a signal to the driver.
watch_run() {
    while kill -0 "$1" 2>/dev/null; do
        sleep 1
        if [ ! -s "$run/slots" ] && [ ! -e "$run/stop" ]; then
            printf '69\nno device is left\n' >"$run/stop"
        elif [ ! -e "$run/stop" ] && [ "$(find "$run/failed" -type f | wc -l)" -ge 3 ] && [ -z "$(ls "$run/done")" ]; then
            cut -f 2 "$run"/failed/* | head -n 1 >"$run/stop.new"
            echo "the first blocks all failed: $(cut -f 3- "$run"/failed/* | head -n 1)" >>"$run/stop.new"
            mv -- "$run/stop.new" "$run/stop"
        fi
        [ ! -e "$run/stop" ] || kill -USR1 "$1"
        [ -z "$shows" ] || printf '\r\e[K%s: %s' "$me" "$(account)" >&2
    done
}

# Of this run, so far: sequences of all, tokens a second, time left, and what each slot had of the tokens.
account() {
    local file block
    {
        sed '1d; s/^/block /' "$run/blocks/blocks.tsv"
        for file in "$run"/done/*.vnp; do block=${file##*/}; echo "done ${block%.vnp}"; done
        tail -n +$((by_from + 1)) "$run/by" | sed 's/^/by /'
        for file in "$run"/active/*; do
            read -r block <"$file" && tail -c 2000 "$run/log/$block" |
                sed -n "s/.*\"stage\":\"vnp-[cg]pu-forward\".*\"all_sequences\":\([0-9]*\),\"all_tokens\":\([0-9]*\).*/active ${file##*/} $block \1 \2/p" | tail -n 1
        done
    } 2>/dev/null | awk -v begin="${run_begin:-$EPOCHREALTIME}" -v now="$EPOCHREALTIME" -v unit="${unit:-sequences}" '
        $1 == "block" { sequences[$2] = $4; tokens[$2] = $5; all += $4; all_tokens += $5 }
        $1 == "done" { done += sequences[$2]; done_tokens += tokens[$2]; is_done[$2] = 1 }
        $1 == "by" { share[$2] += tokens[$3]; run += tokens[$3] }
        $1 == "active" && !($3 in is_done) { share[$2] += $5; run += $5; done += $4; done_tokens += $5 }
        END {
            seconds = now - begin
            rate = seconds > 0 ? run / seconds : 0
            printf "%d of %d %s, %.0f tokens/s", done, all, unit, rate
            if (rate > 0 && done < all) {
                left = (all_tokens - done_tokens) / rate
                printf ", %d:%02d:%02d left", left / 3600, left / 60 % 60, left % 60
            }
            n = 0
            for (s in share) n++
            if (n > 1) for (s in share) printf ", %s %.0f%%", s, 100 * share[s] / run
        }'
}

run_summary() { # what was done, by whom, and where the time went
    local seconds table
    seconds=$(awk -v a="${run_begin:-$EPOCHREALTIME}" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    table=$(cat -- "$run"/*.log "$run"/log/* 2>/dev/null | grep '^{' | vnp-log)
    say "$(account) in $seconds s"
    [ -n "$quiet" ] || echo "$table" >&2
    [ -z "$log" ] || {
        grep -h '^{' -- "$run"/*.log
        awk -v t="$EPOCHREALTIME" -v stage="$me" -v seconds="$seconds" -v slowest="$(sed -n 's/^slowest stage: \(.*\) (.*/\1/p' <<<"$table")" '
            NR > 1 { blocks++; sequences += $3; tokens += $4 }
            END { printf "{\"t\":%.3f,\"stage\":\"%s\",\"what\":\"run\",\"seconds\":%s,\"blocks\":%d,\"sequences\":%.0f,\"tokens\":%.0f,\"slowest\":\"%s\"}\n",
                t, stage, seconds, blocks, sequences, tokens, slowest }' "$run/blocks/blocks.tsv"
    } >>"$log"
}

results() { # results OPTION...: the vectors of all blocks, in order, by vnp-concat with these options
    local sequences
    sequences=$(awk 'NR > 1 { n += $3 } END { print n + 0 }' "$run/blocks/blocks.tsv")
    awk -v dir="$run/done/" 'NR > 1 { print dir $1 ".vnp" }' "$run/blocks/blocks.tsv" |
        vnp-concat --files-from - --sequences "$sequences" "$@"
}

# --- the end ------------------------------------------------------------------------------------------------------------------

# What is left behind when the driver ends: nothing, or what the same command goes on from.
run_leave() {
    local rc=$?
    [ -z "${watcher-}" ] || kill "$watcher" 2>/dev/null
    if [ -n "${held-}" ] && [ "$rc" != 0 ]; then
        if [ ! -e "$run/blocks/blocks.tsv" ]; then
            rm -rf -- "$run"
        elif [ -d "$run/done" ]; then
            say "$(find "$run/done" -name '*.vnp' | wc -l) of $(run_blocks_n) blocks are done and kept in $run: the same command goes on from there"
        fi
    fi
    exit "$rc"
}
trap run_leave EXIT
catch_signals
