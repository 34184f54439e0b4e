# shellcheck shell=bash disable=SC2034
# Sourced by the tests of recovery, after tests/lib.sh: small models, runs in sessions of their own so that all their
# processes can be found, and what must be left behind (nothing).
export TMPDIR=$T/tmp
mkdir "$T/work" "$TMPDIR" && cd "$T/work" || exit 2
unset VNP_LOG_JSON VNP_PROGRESS VNP_MODEL
# It is the drivers that are tested here; of the stages, under the sanitizers, what kills and full disks do to them.
case $0 in */kills.sh | */disk.sh) ;; *) once "$(basename "$0" .sh)" ;; esac
has_parallel() { [[ $(parallel --plain --version 2>/dev/null </dev/null) == 'GNU parallel'* ]]; }

# start COMMAND...: in the background and a session of its own, whose number is $session and the process $!; its messages
# go to ./err.
start() {
    setsid "$@" <&0 2>err &
    session=$!
}
processes() { # processes SESSION: one a line: number, name, arguments
    ps -o pid=,stat=,comm=,args= -s "$1" | awk '$2 !~ /^Z/ { $2 = ""; print }'
}
# ended SECONDS SESSION...: nothing of them is at work any more
ended() {
    local tenths=$(($1 * 10)) session
    shift
    for session; do
        while [ -n "$(processes "$session")" ]; do
            [ $((tenths--)) -gt 0 ] || return 1
            sleep 0.1
        done
    done
}
kill_session() { # all of it, at once
    local pids
    while pids=$(processes "$1" | awk '{ print $1 }') && [ -n "$pids" ]; do
        # shellcheck disable=SC2086  # numbers
        kill -KILL $pids 2>/dev/null
    done
}
blocks_done() { # blocks_done RUN N: so many at least
    [ "$(find "$1/done" -name '*.vnp' 2>/dev/null | wc -l)" -ge "$2" ]
}
nothing_left() { # nothing_left OUTPUT: but the output itself
    local left
    left=$(find "$TMPDIR" -mindepth 1; compgen -G "$1.run*"; compgen -G "$1.*.tmp")
    [ -z "$left" ] || { echo "left: $left" >&2 && return 1; }
}
# A tree like build/ whose stages can be replaced: private_build DIR
private_build() {
    mkdir "$1" && cp -r "$BUILD/bin" "$BUILD/lib" "$1/"
}
# fake_build DIR: a private build whose forward stages do what files in the folder $fake say, and note in $fake/computed
# each block that they begin, with its slot, and in $fake/visible the devices that CUDA would show; vnp-gpu-forward is the one
# of the CPU, and vnp-concat's last can be held up.
#   fail.BLOCK fail.SLOT   holds the status to fail with; fail1.BLOCK: once
#   hang.BLOCK hang.concat stands still while that file is there
#   dead.SLOT              fails, and so does a probe of it
fake_build() {
    private_build "$1"
    fake=$PWD/$1/fake
    export fake
    mkdir "$fake"
    mv "$1/bin/vnp-concat" "$1/bin/real-concat"
    mv "$1/bin/vnp-cpu-forward" "$1/bin/real-forward"
    cat >"$1/bin/vnp-cpu-forward" <<'END'
#!/usr/bin/env bash
me=${0##*/} here=$(dirname "$0")
[[ $* != *--version* ]] || exec "$here/real-forward" --version
[ ! -e "$fake/dead.${VNP_SLOT-}" ] || { echo "$me: the device fell off" >&2; exit 70; }
[ -n "${VNP_BLOCK-}" ] || echo "${CUDA_VISIBLE_DEVICES-}" >>"$fake/tried"
[[ $* != *--probe* ]] || exit 0
if [ -n "${VNP_BLOCK-}" ]; then
    echo "$VNP_BLOCK $VNP_SLOT" >>"$fake/computed"
    echo "${CUDA_VISIBLE_DEVICES-}" >>"$fake/visible"
    for f in fail1."$VNP_BLOCK" fail."$VNP_BLOCK" fail."$VNP_SLOT"; do
        read -r status 2>/dev/null <"$fake/$f" || continue
        rm -f "$fake/fail1.$VNP_BLOCK"
        sleep 0.3
        echo "$me: broken at will" >&2
        exit "$status"
    done
    while [ -e "$fake/hang.$VNP_BLOCK" ]; do sleep 0.05; done
fi
exec "$here/real-forward" "$@"
END
    cp "$1/bin/vnp-cpu-forward" "$1/bin/vnp-gpu-forward"
    cat >"$1/bin/vnp-concat" <<'END'
#!/usr/bin/env bash
if [[ $* == *--files-from* ]]; then while [ -e "$fake/hang.concat" ]; do sleep 0.05; done; fi
exec "$(dirname "$0")/real-concat" "$@"
END
    chmod +x "$1/bin/vnp-cpu-forward" "$1/bin/vnp-gpu-forward" "$1/bin/vnp-concat"
    PATH=$PWD/$1/bin:$PATH
}
computed() { # the blocks that were begun since the last call, sorted
    cut -d ' ' -f 1 "$fake/computed" 2>/dev/null | sort | paste -sd ' '
    rm -f "$fake/computed"
}
