#!/usr/bin/env bash
# tests/run: what it counts and names, how many it runs at a time, and that one which is interrupted leaves nothing at work.
. "$(dirname "$0")/../lib.sh"
once 'tests/run'
mkdir "$T/work" && cd "$T/work" || exit 2
unset VNP_TEST_JOBS VNP_TEST_SECONDS
build=$PWD/made-up
program() { mkdir -p "$build/tests/x" && cat >"$build/tests/x/test_$1" && chmod +x "$build/tests/x/test_$1"; } # program NAME <TEXT
runs() { VNP_BUILDS=${builds-$build} "$ROOT/tests/run" "$@"; }
ran() { # ran NAME STATUS COUNTS WORD...: what tests/run prints goes into the file out
    status "$1" "$2" runs "${@:4}"
    cp "$T/out" out
    check "$1: $3" grep -qE "^$3 in [0-9]+ s\$" out
}
printf '#!/bin/sh\necho "ok 1 - a"\necho "ok 2 - b # SKIP no c"\n' | program good
ran 'a test that passes' 0 '1 passed, 0 failed, 1 skipped' made-up
check 'what it skips is named' grep -q '^ *ok 2 - b # SKIP no c' out
check 'and it is the slowest' grep -q '^slowest: .*/tests/x/test_good [0-9]* s$' out
printf '#!/bin/sh\necho "ok 1 - a"\necho "not ok 2 - b"\necho "# why"\n' | program bad
ran 'one that fails' 1 '2 passed, 1 failed, 1 skipped' made-up
check 'is shown with its reason' sh -c "grep -A 1 '^not ok 2 - b' out | grep -q '^# why'"
ran 'chosen by a word' 0 '1 passed, 0 failed, 1 skipped' made-up/tests/x/test_good
rm "$build/tests/x/test_bad"
printf '#!/bin/sh\necho "ok 1 - a"\nkill -KILL $$\n' | program dies
ran 'one that dies' 1 '2 passed, 1 failed, 1 skipped' made-up
check 'is named' grep -q 'test_dies ended with status 137' out
chmod -x "$build/tests/x/test_dies"
ran 'one that may not be executed' 1 '1 passed, 1 failed, 1 skipped' made-up
printf '#!/bin/sh\n' | program dies
ran 'one that says nothing' 1 '1 passed, 1 failed, 1 skipped' made-up
printf '#!/bin/sh\necho "ok 1 - a"\nsleep 60\n' | program dies
export VNP_TEST_SECONDS=1
ran 'one that goes on for too long' 1 '2 passed, 1 failed, 1 skipped' made-up
unset VNP_TEST_SECONDS
rm "$build/tests/x/test_dies"
ran 'a word that no test has' 1 '0 passed, 0 failed, 0 skipped' no-such-test

# shellcheck disable=SC2016  # the programs' own variables
# Of two builds, the tests of both meet; one at a time they never do.
meets() { # meets OTHER: the program
    printf '#!/bin/sh\ntouch "$VNP_BUILD/here"\nfor i in 1 2 3 4 5 6 7 8 9 10; do\n'
    printf '[ ! -e "$VNP_BUILD/../%s/here" ] || met=1\nsleep 0.1\ndone\n' "$1"
    printf 'rm "$VNP_BUILD/here"\necho "ok 1 - a"\n[ -z "$met" ] || echo "ok 2 - met"\n'
}
meets another | program good
build=$PWD/another
meets made-up | program good
builds="$PWD/made-up $PWD/another"
ran 'two builds: at the same time' 0 '[34] passed, 0 failed, 0 skipped' tests/x/test_good
for b in made-up another; do cp -r $b/tests/x $b/tests/x-gpu; done
ran 'tests of the GPU: in turns' 0 '2 passed, 0 failed, 0 skipped' tests/x-gpu
export VNP_TEST_JOBS=1
ran 'one test at a time' 0 '2 passed, 0 failed, 0 skipped' tests/x/test_good
unset VNP_TEST_JOBS builds

# Interrupted: the test, and what it has started, end too.
program good <<'EOF'
#!/bin/sh
echo $$ >"$VNP_BUILD/pid"
sleep 300
EOF
gone() { # gone PID: give or take two seconds
    for _ in $(seq 20); do
        [ -e "/proc/$1" ] || return 0
        sleep 0.1
    done
    return 1
}
for signal in INT TERM; do
    rm -f "$build/pid"
    VNP_BUILDS=$build env --default-signal=INT "$ROOT/tests/run" tests/x/test_good >/dev/null 2>&1 &
    runner=$!
    for _ in $(seq 100); do [ -s "$build/pid" ] || sleep 0.1; done
    kill -$signal $runner
    status "SIG$signal" 130 wait $runner
    check 'ends its tests' gone "$(<"$build/pid")"
    kill -KILL "$(<"$build/pid")" 2>/dev/null
done
finish
