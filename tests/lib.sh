# Sourced by the shell tests: TAP output, a scratch folder, the binaries first in PATH.
#   check NAME COMMAND...      passes when the command exits 0
#   status NAME WANT COMMAND...  passes when the command exits WANT; its output is in $T/out and $T/err
#   says NAME PATTERN          passes when the last command's stderr holds the extended regular expression
#   same NAME FILE FILE        passes when the two files are equal, and not empty
#   differ NAME FILE FILE      passes when there is something in both files and they are not equal
#   lacks NAME PATTERN FILE   passes when the file is there, empty or not, and no line of it holds the regular expression
#   skip NAME REASON           counts a test that can't run here
#   sanitized                  whether the build is that under AddressSanitizer
#   once NAME                  leaves the test there: what it tests is no different in the two builds
#   until_true SECONDS COMMAND...  waits, so long at most, until the command exits 0
# shellcheck shell=bash disable=SC2034
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${VNP_BUILD:-$ROOT/build}
PATH=$BUILD/bin:$PATH
DATA=${VNP_TEST_DATA:-$ROOT/../shared/data} # real sequences; tests that need them skip without
T=$(mktemp -d "${TMPDIR:-/tmp}/vnp-test.XXXXXX") && mkdir "$T/.now"
trap 'rm -rf "$T"' EXIT
export LC_ALL=C
unset SHELL # as in cron jobs and containers
script() { SHELL=$BASH command script "$@"; } # runs it, and knows it by its variable alone
PROTEINS=$ROOT/tests/data/proteins.faa # 85 real proteins, shipped
n_tap=0
tap() { # tap ok|'not ok' NAME [REASON]
    n_tap=$((n_tap + 1))
    echo "$1 $n_tap - $2${3:+ # SKIP $3}"
}
skip() { tap ok "$1" "$2"; }
sanitized() { [[ $BUILD == *asan ]]; }
once() {
    sanitized || return 0
    skip "$1" 'tested on the build for users'
    finish
    exit
}
# The command's output is put in place when it has ended, so that it can look at the output of the one before.
run_into_files() {
    "$@" >"$T/.now/out" 2>"$T/.now/err"
    local rc=$?
    mv "$T/.now/out" "$T/.now/err" "$T"
    return $rc
}
check() {
    local name=$1
    shift
    if run_into_files "$@"; then tap ok "$name"; else
        local rc=$?
        tap 'not ok' "$name"
        echo "# exit $rc: $*"
        head -c 2000 "$T/err" | sed 's/^/# /'
    fi
}
status() {
    local name=$1 want=$2 rc
    shift 2
    run_into_files "$@"
    rc=$?
    if [ "$rc" = "$want" ]; then tap ok "$name"; else
        tap 'not ok' "$name"
        echo "# exit $rc, wanted $want: $*"
        head -c 2000 "$T/err" | sed 's/^/# /'
    fi
}
says() {
    if grep -Eq -- "$2" "$T/err"; then tap ok "$1"; else
        tap 'not ok' "$1"
        echo "# stderr does not match: $2"
        head -c 2000 "$T/err" | sed 's/^/# /'
    fi
}
same() {
    if cmp "$2" "$3" >"$T/cmp" 2>&1 && [ -s "$2" ]; then tap ok "$1"; else
        tap 'not ok' "$1"
        sed 's/^/# /' "$T/cmp"
        [ -s "$2" ] || echo "# nothing is in $2"
    fi
}
differ() {
    if [ -s "$2" ] && [ -s "$3" ] && ! cmp -s "$2" "$3"; then tap ok "$1"; else
        tap 'not ok' "$1"
        echo "# equal, empty or not there: $2, $3"
    fi
}
lacks() {
    local rc
    grep -Eq -- "$2" "$3"
    rc=$? # 1: no such line; 2: no such file
    if [ $rc = 1 ]; then tap ok "$1"; else
        tap 'not ok' "$1"
        grep -En -m 3 -- "$2" "$3" 2>&1 | sed 's/^/# /'
    fi
}
until_true() {
    local tenths=$(($1 * 10))
    until "${@:2}" >/dev/null 2>&1; do
        [ $((tenths--)) -gt 0 ] || return 1
        sleep 0.1
    done
}
group_with() { # group_with PID STAGE: sets $group to the process group in which a driver has the stage at work
    for group in $(pgrep -P "$1"); do
        if pgrep -g "$group" "^$2" >/dev/null; then return; fi
    done
    return 1
}
finish() { echo "1..$n_tap"; }
