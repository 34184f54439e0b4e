# Sourced by the benches of the CPU stages: each prints a table that names the machine and, when asked to, writes it.
#   bench/pack.sh                      prints the table, once `make bench-tools` has built what it takes
#   RESULTS=DIR bench/pack.sh          and writes it to DIR/pack.txt, and the numbers in full to DIR/pack.json
#   make bench [WORDS='pack pool']     builds and runs all, or those named, into bench/results (RESULTS= : prints only)
# What a script calls:
#   begin WHAT              what is measured, in a line
#   fastest COMMAND...      runs it $runs times on one core (with `pin=()`: on all), its output to /dev/null, and sets
#                           $seconds (the fastest run's) and $cpu (the least that a run took of the processor: on one
#                           core the same, but that other work hardly changes it); messages of all runs are in $t/err
#   peak COMMAND...         runs it once more and sets $peak, the most memory that it held, in MB
#   row NAME VALUE UNIT [KEY=VALUE...]     a line of the table; a VALUE may be an expression: "$bytes / 1e9 / $cpu".
#                           A KEY `bytes` goes into the JSON alone
#   record NAME VALUE UNIT [KEY=VALUE...]  into the JSON alone
#   say TEXT                into the table alone
#   finish                  writes both files: a bench that stops half-way leaves none
# $t is a scratch folder; the stages, and what makes their input, come first in PATH.
# shellcheck shell=bash disable=SC2034
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$(realpath -- "${VNP_BUILD:-build}")
PATH=$build/bin:$build/bench:$PATH
data=${VNP_TEST_DATA:-../shared/data}    # real sequences, where there are any
mixed=(-l 150 -s 0.7 -r 20-1022)         # synth-fasta: the mix of lengths that packing is judged by
bench=$(basename "$0" .sh)
made_by=${BENCH_COMMAND:-bench/$bench.sh${*:+ $*}}
runs=5 seconds='' cpu='' peak=''
t=$(mktemp -d "${TMPDIR:-/tmp}/vnp-bench.XXXXXX")
trap 'rm -rf "$t"' EXIT
pin=()
if command -v taskset >/dev/null; then # the last core that this process may use
    pin=(taskset -c "$(taskset -cp $$ | sed 's/.*[ ,-]//')")
fi

die() {
    echo "bench/$bench.sh: $*" >&2
    exit 1
}
say() { printf '%s\n' "$*" | tee -a "$t/table"; }
quote() { sed 's/[\\"]/\\&/g; s/^/"/; s/$/"/' <<<"$1"; }

commit() { # $VNP_BENCH_COMMIT says it where there is no checkout
    [ -z "${VNP_BENCH_COMMIT-}" ] || { echo "$VNP_BENCH_COMMIT" && return; }
    git rev-parse --short=7 HEAD 2>/dev/null || { echo unknown && return; }
    [ -z "$(git status --porcelain -- Makefile bench common stages kernels ':!bench/results')" ] || echo 'and changes'
}

begin() {
    local -A is=([bench]=$bench [what]="$*" [command]=$made_by [date]=$(date -u +%F) [commit]=$(commit | paste -sd ' ')
        [machine]=$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
        [kernel]="$(uname -s) $(uname -r | sed 's/[^0-9.].*//')" [flags]=$(sed 's/ *$//' "$build/flags")
        [compiler]=$("${CC:-cc}" -v 2>&1 | sed -n 's/ version \([0-9.]*\).*/ \1/p'))
    local cores load key
    cores=$(nproc) load=$(cut -d ' ' -f 1 /proc/loadavg)
    for key in bench what command date commit machine kernel compiler flags; do
        printf '  "%s": %s,\n' "$key" "$(quote "${is[$key]}")"
    done >"$t/head"
    printf '  "cores": %d,\n  "load_before": %s,\n' "$cores" "$load" >>"$t/head"
    : >"$t/rows"
    say "$*"
    say "${is[machine]}, $cores cores, ${is[kernel]}, ${is[compiler]}; load before: $load"
    say "${is[commit]}, ${is[date]}: $made_by"
    say
}

fastest() {
    local i TIMEFORMAT='%3R %3U %3S'
    : >"$t/times"
    : >"$t/err"
    for ((i = 0; i < runs; i++)); do
        { time "${pin[@]}" "$@" >/dev/null 2>>"$t/err"; } 2>>"$t/times" || die "$*: $(tail -n 3 "$t/err")"
    done
    read -r seconds cpu < <(awk 'NR == 1 || $1 < s { s = $1 } NR == 1 || $2 + $3 < c { c = $2 + $3 }
        END { print (s ? s : 0.0005), (c ? c : 0.0005) }' "$t/times")
}

# By looking twenty times a second at the most that it has held so far.
peak() {
    local pid now kb=0
    "$@" >/dev/null 2>>"$t/err" &
    pid=$!
    while now=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
        kb=$now
        sleep 0.05
    done
    wait "$pid" || die "$*: $(tail -n 3 "$t/err")"
    peak=$(number "$kb * 1024 / 1e6")
}

# An expression's value, to four digits or those given; more where they stand before the point.
number() { awk "BEGIN { v = $1; printf((v < 1000 ? \"%.${2:-4}g\" : \"%.0f\"), v) }"; }

record() {
    local line pair
    line="\"name\": $(quote "$1"), \"value\": $(number "$2"), \"unit\": $(quote "$3")"
    [ -z "$seconds" ] || line+=", \"seconds\": $seconds, \"cpu_seconds\": $cpu"
    for pair in "${@:4}"; do line+=", \"${pair%%=*}\": $(number "${pair#*=}")"; done
    echo "    {$line}" >>"$t/rows"
    seconds='' cpu=''
}

row() {
    local text key pair
    text=$(printf '%-44s %7s %s' "$1" "$(number "$2" 3)" "$3")
    [ -z "$seconds" ] || text+=$(printf ' %8.3f s %8.3f s CPU' "$seconds" "$cpu")
    for pair in "${@:4}"; do
        key=${pair%%=*}
        [ "$key" = bytes ] || text+=$(printf ' %9s %s' "$(number "${pair#*=}" 3)" "${key//_per_//}")
    done
    record "$@"
    say "$text"
}

finish() {
    [ -n "${RESULTS-}" ] || return 0
    mkdir -p "$RESULTS"
    { echo '{' && cat "$t/head" && echo '  "rows": [' && sed '$!s/$/,/' "$t/rows" && printf '  ]\n}\n'; } >"$t/json"
    mv "$t/json" "$RESULTS/$bench.json"
    mv "$t/table" "$RESULTS/$bench.txt"
}
