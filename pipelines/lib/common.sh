# shellcheck shell=bash
# What the drivers and the jobs of a run share: messages, and ways to start a command so that it ends when it has to.
# $me is the name in front of messages; with $quiet only errors are shown.
# shellcheck disable=SC2154  # me

# Where one of the three standard descriptors is closed no file may get its number; using it still fails, as in the stages.
[ -e /dev/fd/0 ] || exec 0>/dev/null
[ -e /dev/fd/1 ] || exec 1</dev/null
[ -e /dev/fd/2 ] || exec 2</dev/null

export PATH # where the environment has none bash takes a default, and for itself alone
unset TMOUT # many sites have one, and with it `read` gives up on what is slow to come
unset BASH_ENV ENV # what these print as a shell begins would come before the vectors of a block
unset POSIXLY_CORRECT # with it an option after an operand is none; and bash is another

die() { # die STATUS TEXT
    echo "$me: $2" >&2
    exit "$1"
}
print() { # print TEXT: to stdout
    echo "$1" 2>/dev/null || die 74 "stdout: can't be written"
}
misuse() {
    echo "$me: $1" >&2
    usage >&2
    exit 2
}
number() { # number OPTION TEXT LEAST MOST
    if ! [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then misuse "$1: not a number from $3 to $4: $2"; fi
}
need() { # need PROGRAM:PACKAGE...: a line for each that is not there, and the end; without one, other things would seem wrong
    local program missing=''
    for program; do
        type -P -- "${program%%:*}" >/dev/null || {
            echo "$me: ${program%%:*} is not installed (package ${program#*:})" >&2
            missing=yes
        }
    done
    [ -z "$missing" ] || exit 69
}
check_input() { # check_input [FILE ...]: they are there, and are not the output; without any there is something on stdin
    local f
    [ $# -gt 0 ] || set -- -
    for f; do
        if [ "$f" = - ]; then # the stages could not read a terminal: they run in the background
            [ ! -t 0 ] || misuse 'no input: name the files, or pipe one in'
            [ ! -f /dev/stdin ] || [ ! /dev/stdin -ef "$out" ] || die 2 "$out: is both input and output"
        elif [ ! -r "$f" ]; then
            die 66 "$f: no such file, or not readable"
        elif [ "$f" -ef "$out" ]; then
            die 2 "$f: is both input and output"
        elif [ "$f" -ef "$log" ]; then
            die 2 "$f: is both input and the file of --log-json"
        fi
    done
}
check_read() { # check_read FILE...: the run reads them, or would if they were there; they are none of $written
    local f to
    for f; do
        [ "$f" != - ] || f=/dev/stdin
        for to in "${written[@]}"; do
            [ ! "$f" -ef "$to" ] || die 2 "$f: is both input and output"
        done
    done
}
check_log() { # the file of --log-json is a log, or to be one, and none of $written
    local f
    [ -n "$log" ] || return 0
    for f in "${written[@]}"; do
        [ "$(realpath -m -- "$log")" != "$(realpath -m -- "$f")" ] || { [ -e "$f" ] && [ ! -f "$f" ]; } ||
            die 2 "$f: is both output and the file of --log-json"
    done
    # As the stages have it (telemetry.c): all that a run reads, models and lists of hosts, too, would be damaged. Stderr is the
    # user's own.
    if [ -f "$log" ] && [ -r "$log" ] && [ -s "$log" ] && [ ! "$log" -ef /dev/stderr ] && ! head -c 5 -- "$log" | grep -aq '^{"t":'; then
        die 2 "--log-json: $log: is a file of another kind, and not added to"
    fi
}
add_log() { # the lines on stdin go to the file of --log-json; without it for the rest of the run when that can't be written
    local why file json
    [ -L "$run/json" ] || return 0
    file=$(readlink -- "$run/json")
    why=$({ { flock "$json" && cat >&"$json"; } {json}>>"$run/json"; } 2>&1) || # its own stderr: the shell's message, too
        ! rm -- "$run/json" 2>/dev/null || # another block was as late, and has said so
        echo "$me: warning: --log-json: $file: can't be written: ${why##*: }; going on without" >&2
}
seal() { # of a stream in a file: its end frame carries its checksum; nothing when something goes wrong
    local mark
    mark=$(tail -c 64 -- "$1" | cksum) && echo "${mark%% *}"
}
# Of a run's folder: whether it is, under its name, still the one whose lock this process has open as $lock. It may have been
# removed or moved, and another run have begun there; to that one nothing may be added, and nothing of it be removed.
ours() { [ "$run/lock" -ef "/dev/fd/$lock" ]; }
gone() { die 73 "$run: was removed or moved while the run was at work: the same command begins anew$([ "${block-}" = 0 ] || echo ', or goes on where it has been moved back')"; }
env_true() { [[ ${!1-} =~ ^(1|[Tt][Rr][Uu][Ee]|[Yy][Ee][Ss])$ ]]; } # env_true NAME: as the stages take it
say() { [ -n "${quiet-}" ] || echo "$me: $1" >&2; }

# In front of a command: it is killed when the shell that started it dies, even by SIGKILL.
leash=(setpriv --pdeathsig KILL --)
"${leash[@]}" true 2>/dev/null || leash=()

# same_models MODEL FINGERPRINT ...: where a block is computed, which may be another host, each model is the one that the run
# was begun with. 78 when it is another; otherwise the status of what can't read it.
same_models() {
    local json rc
    while [ $# -gt 0 ]; do
        json=$(vnp-model inspect -q --json "$1" 2>&1 </dev/null) || { rc=$? && echo "${json#vnp-model: }" >&2 && return $rc; }
        [[ $json =~ '"fingerprint":"'([^\"]*)'"' ]]
        if [ "${BASH_REMATCH[1]-}" != "$2" ]; then
            echo "$1: is another model (fingerprint ${BASH_REMATCH[1]-}) than the run's ($2)" >&2
            return 78
        fi
        shift 2
    done
}

# first_failure "${PIPESTATUS[@]}": the status of a pipeline is that of the first stage that failed; 141 is one that lost
# its reader, which knows why.
first_failure() {
    local rc worst=0
    for rc; do
        if [ "$rc" != 0 ] && { [ "$worst" = 0 ] || [ "$worst" = 141 ]; }; then worst=$rc; fi
    done
    return "$worst"
}

alive() { # alive PROCESS: and not only waiting to be taken notice of
    local stat
    read -r stat <"/proc/$1/stat" && [[ $stat != *') Z '* ]]
} 2>/dev/null

# group_alive -GROUP...: a process of one of these groups is, as above. To `kill -0` the dead count until someone takes notice
# of them, which the first process of a container may do late or never.
group_alive() {
    local file stat
    for file in /proc/[0-9]*/stat; do
        read -r stat <"$file" || continue
        read -r -a stat <<<"${stat##*) }" # state, parent, group
        [ "${stat[0]}" = Z ] || [[ " $* " != *" -${stat[2]} "* ]] || return 0
    done
    return 1
} 2>/dev/null

# killed STATUS: says of a stage that a signal has ended it, where nobody told it to end.
killed() {
    case $1 in 129 | 130 | 141 | 143) return 1 ;; esac
    [ "$1" -gt 128 ] && echo "a stage was killed by signal $(($1 - 128))$([ "$1" != 137 ] || echo ' (out of memory?)')"
}

tell_killed() { # tell_killed STATUS: the same to stderr; returns the status
    local why
    why=$(killed "$1") && echo "$me: $why" >&2
    return "$1"
}

# cause_in FILE: what a stage said there of its failure: the last line that is neither telemetry nor an echo, nor the closing line
# of a stage that did not fail; of those of stages that got a stream without an end, if there is no other.
cause_in() {
    grep -vE '^\{|: stopped: |: warning: |^vnp-[a-z0-9-]+: [0-9]+ [a-z]+' -- "$1" | awk '/no stream came|without an end frame/ { echo = $0; next }
        { cause = $0 } END { print cause != "" ? cause : echo }'
}

# begin COMMAND...: in the background, as $!, and a process group of its own, so that a signal reaches all of it, and nothing
# of it outlives the command or this shell, whatever ends them. (GNU parallel, when it is killed, leaves processes that sleep
# for hours.)
begun=() # process groups, as kill takes them
begin() {
    set -m
    guarded "$@" <&0 &
    set +m
    begun[$!]=-$!
}
join() { # join PROCESS: that was begun; its status. A signal is acted on at once.
    local rc
    while wait "$1"; rc=$?; kill -0 "$1" 2>/dev/null; do :; done
    kill -KILL -- "-$1" 2>/dev/null
    unset "begun[$1]"
    return $rc
}
await() { begin "$@" && join $!; }
guarded() {
    local leader=$BASHPID nap
    {
        exec {nap}<> <(:) # never has anything to read: to sleep without a process
        while alive $$ && alive "$leader"; do read -r -t 1 -u "$nap"; done
        kill -KILL 0
    } 2>/dev/null &
    "$@"
}
end_begun() { # all that is at work still, without a word
    local i
    [ ${#begun[@]} -gt 0 ] || return
    kill -TERM -- "${begun[@]}"
    for ((i = 0; i < 35; i++)); do
        group_alive "${begun[@]}" || break
        sleep 0.1
    done
    kill -KILL -- "${begun[@]}"
    wait "${!begun[@]}"
    begun=()
} 2>/dev/null
stop() { # stop STATUS: a signal came
    trap '' INT TERM HUP
    end_begun
    exit "$1"
}
catch_signals() {
    trap : PIPE # who reads the messages may leave
    trap '' TTIN TTOU # where a terminal stops what writes from the background (stty tostop), the stages write all the same
    trap 'stop 130' INT
    trap 'stop 143' TERM
    trap 'stop 129' HUP
}
