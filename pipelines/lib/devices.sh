# shellcheck shell=bash
# Which devices of which hosts take part in a run, and whether a model goes with them. Sourced by run.sh.
# shellcheck disable=SC2154  # $me, $run, $device, $gpus, $hosts, $numbers, $prepare, $dry: the drivers'

# read_hosts FILE: its lines of [N/]HOST, the first N GPUs of each, : for this one; to $places as N/HOST. $elsewhere: whether
# another host is one. HOST is what ssh and GNU parallel both take for a name and nothing else.
places=() elsewhere=''
read_hosts() {
    local line host rest at=0 name='[[:alnum:]_][[:alnum:]_.-]*' six='[[:xdigit:]]*:[[:xdigit:]:]*:[[:xdigit:]:.]*'
    while IFS= read -r line || [ -n "$line" ]; do # the last line may have no end
        line=${line#$'\xef\xbb\xbf'} line=${line%$'\r'} at=$((at + 1)) # as Windows writes text
        read -r host rest <<<"$line"
        case $host in '' | \#*) continue ;; esac
        [[ $host =~ ^(([1-9][0-9]{0,3})/)?(:|($name@)?($name|$six))$ && $rest =~ ^(#.*)?$ ]] ||
            die 65 "$1:$at: not [N/]HOST: $line (a host a line, [USER@]NAME or an address; a port goes into VNP_SSH)"
        [[ $host == */* ]] || host=1/$host
        [ "${host#*/}" = : ] || elsewhere=yes
        places+=("$host")
    done <"$1"
    [ ${#places[@]} -gt 0 ] || die 65 "$1: names no host"
}

# find_slots DEVICE GPUS HOSTS: into $slots, one slot for each device. GPUS: all, or numbers as 0,2; HOSTS: the file that
# read_hosts has read; empty for this host alone.
find_slots() {
    local device=$1 gpus=$2 hosts=$3 n host i numbers visible
    slots=()
    # local_gpus all | NUMBER,... WHO: into slots. Where the environment names GPUs, numbers count among these, as CUDA does.
    local_gpus() {
        IFS=, read -r -a visible <<<"${CUDA_VISIBLE_DEVICES-}"
        IFS=, read -r -a numbers <<<"$1"
        n=${#visible[@]}
        if [ "$1" = all ]; then
            [ "$n" -gt 0 ] || n=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
            mapfile -t numbers < <(seq 0 $((n > 0 ? n - 1 : 0)))
        fi
        for i in "${numbers[@]}"; do
            i=$((10#$i))
            [ ${#visible[@]} = 0 ] || [ "$i" -lt "$n" ] || die 2 "$2: there is no GPU $i: CUDA_VISIBLE_DEVICES names $n, counted from 0"
            i=${visible[i]:-$i}
            slots+=("gpu${i//\//_}") # MIG-GPU-UUID/1/0: slots name files, too
        done
    }
    if [ -z "$hosts" ]; then
        if [ "$device" = cpu ]; then slots=(cpu); else local_gpus "$gpus" --gpus; fi
    else
        for host in "${places[@]}"; do
            n=${host%%/*} host=${host#*/}
            if [ "$device/$host" = gpu/: ]; then
                local_gpus "$(seq -s , 0 $((n - 1)))" --hosts
                continue
            fi
            # To GNU parallel a slot is a login: the device is the user, and a user of the host's stands behind it.
            [[ $host == *@* ]] && host=+$host || host=@$host
            for ((i = 0; i < n; i++)); do slots+=("$device$i$host"); done
        done
    fi
    mapfile -t slots < <(printf '%s\n' "${slots[@]/%@:/}" | sort -u)
}

# on_first COMMAND...: with the first of the GPUs that --gpus names: for what is tried beforehand, and for one stream.
on_first() {
    local slots first # the command may be a function, to which they would be known
    [[ $gpus != @(|all) && -z ${VNP_SUBMITTED-} ]] || { "$@"; return; }
    find_slots gpu "$gpus" ''
    first=${slots[0]#gpu}
    CUDA_VISIBLE_DEVICES=${first//_//} "$@"
}

run_slots() { # run_slots DEVICE GPUS HOSTS: what find_slots finds becomes the run's
    local slots
    find_slots "$@"
    [ -z "${VNP_SUBMITTED-}" ] || slots=("$device") # the one that Slurm has given
    if [ ${#slots[@]} -gt 1 ] && [ -z "$prepare" ]; then
        case $(parallel --plain --version 2>/dev/null </dev/null) in
        'GNU parallel'*) ;;
        *) die 69 "GNU parallel is not installed (package parallel): it takes it to use ${#slots[@]} devices at once; --gpus 0 uses one" ;;
        esac
    fi
    printf '1/%s\n' "${slots[@]}" | keep slots || exit
}

check_devices() { # $device, $gpus and $hosts, as far as that goes without looking
    case $device in auto | cpu | gpu) ;; *) misuse "--device: auto, cpu or gpu, not $device" ;; esac
    [ -z "$gpus" ] || [[ $gpus =~ ^(all|[0-9]{1,4}(,[0-9]{1,4})*)$ ]] || misuse "--gpus: all, or numbers as 0,2, not $gpus"
    [ -z "$gpus" ] || [ "$device" != cpu ] || misuse "--gpus $gpus goes with --device gpu"
    [[ ! $gpus =~ ^[0-9] ]] || device=gpu # who names one does not want the CPU
    [ -z "$gpus" ] || [ -z "$hosts" ] || misuse '--gpus goes without --hosts: the file says how many GPUs of each host, as 2/HOST'
    [ -z "$hosts" ] || { [ -r "$hosts" ] && [ ! -d "$hosts" ]; } || die 66 "$hosts: no such file, or not readable"
    [ -z "$hosts" ] || read_hosts "$hosts"
    [ -z "$elsewhere" ] || [ -n "$dry$prepare" ] || {
        local ssh
        read -r ssh _ <<<"${VNP_SSH:-ssh}"
        type -P -- "$ssh" >/dev/null || die 69 "$ssh: no such program: other hosts are reached by ssh, or by what VNP_SSH names"
    }
}
refuse_blocks() { # refuse_blocks WANTED: in one stream there is none to be given to others; WANTED: where there are some
    [ -z "$prepare" ] || die 2 "--prepare needs $1"
    [ -z "$hosts" ] || die 2 "--hosts needs $1"
    [[ $gpus != *,* ]] || die 2 "--gpus $gpus needs $1: one stream goes through one GPU"
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
at_hand() { [ -z "$prepare" ] || [ "$device" = cpu ] || on_first vnp-gpu-forward -q --probe >/dev/null 2>&1; }
choose_device() { # auto becomes cpu or gpu, of other hosts gpu, which nobody asks; its stage must be there
    if [ "$device" = auto ]; then
        device=cpu
        if command -v vnp-gpu-forward >/dev/null && { [ -n "$elsewhere" ] || vnp-gpu-forward --probe >/dev/null 2>&1; }; then device=gpu; fi
    fi
    command -v "vnp-$device-forward" >/dev/null || die 69 "vnp-$device-forward is not installed beside $me: this build has no ${device^^} stage"
    [ "$device" = gpu ] || case ${numbers[*]} in '' | --fp32) ;; *) die 2 "${numbers[*]} needs a GPU: the CPU computes in FP32" ;; esac
}

# Whether for one device and how many: what vnp-plan is told, in $on.
plan_options() {
    local slots
    on=()
    [ "$device" = auto ] || on=(--device "$device")
    if [ "$device" != cpu ] && { [ -n "$hosts" ] || [[ $gpus != @(|all) ]]; }; then
        [ "$device" != auto ] || local CUDA_VISIBLE_DEVICES='' # the plan is of both, and the run may take the CPU
        find_slots gpu "$gpus" "$hosts"
        on+=(--gpus ${#slots[@]})
    fi
    [ -z "$hosts" ] || [ "$device" = gpu ] || say 'warning: --hosts: the time on the CPU is planned for this host alone'
}

# model_facts MODEL [PREFIX]: sets $model_name, $architecture, $fingerprint, $parameters, $width, $model_files, the first of
# them as $model_file and, but for a classifier, $model_bytes, or says what is wrong with it.
: "${model_name=} ${architecture=} ${fingerprint=} ${parameters=} ${width=} ${model_bytes=} ${model_file=}" # for the drivers too
model_facts() {
    local json model=$1 between='","'
    model_bytes=''
    [ ! -e "$model" ] || model=$(realpath -- "$model") # a link's target gives the name, as it does when the run opens it
    json=$(vnp-model inspect -q --json "$model" 2>&1) || die $? "${2-}${json#vnp-model: }"
    fact() { # fact NAME PATTERN VARIABLE
        [[ $json =~ \"$1\":$2 ]] && printf -v "$3" %s "${BASH_REMATCH[1]}"
    }
    fact name '"([^"]*)"' model_name # as the streams made with it have it
    fact architecture '"([^"]*)"' architecture
    fact fingerprint '"([^"]*)"' fingerprint
    fact parameters '([0-9]+)' parameters
    fact width '([0-9]+)' width
    fact bytes '([0-9]+)' model_bytes
    fact files '\["(.*)"\]}' model_file
    mapfile -t model_files <<<"${model_file//"$between"/$'\n'}"
    mapfile -d '' -t model_files < <(printf '%b\0' "${model_files[@]//\\\"/\"}") # \\ and \n are JSON's, too
    model_file=${model_files[0]}
}

# takes STAGE MODEL [OPTION OF VNP-FASTA2TOK ...] -- [OPTION OF STAGE ...] <FASTA: whether the forward stage takes the model,
# the tokens of these records, of which there may be none, and the options.
takes() {
    local stage=$1 model=$2 tokens=()
    shift 2
    while [ "$1" != -- ]; do tokens+=("$1") && shift; done
    shift
    vnp-fasta2tok -q --allow-empty "${tokens[@]}" | vnp-pack -q | on_first "$stage" -q --model "$model" "$@" >/dev/null
    first_failure "${PIPESTATUS[@]}"
}
