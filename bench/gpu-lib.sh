# Sourced by what is measured on a GPU host, where time is short and a call may be cut off: gpu.sh, scaling.sh, predict.sh
# and proof.sh. Nothing is built: the binaries are there already. With make the targets bench-gpu, bench-scaling,
# bench-predict and proof-gpu build them first; without, on a host that has no headers to build with:
#   VNP_BUILD=/path/to/build RESULTS=DIR VNP_BENCH_COMMIT=1a2b3c4 bench/gpu.sh
#   RESULTS            where NAME-DATE.json (an object a line) and NAME-DATE.txt (the table) go (bench/results); both are
#                      complete after each figure, so that what ends the run costs only the figure under way
#   VNP_BENCH_PARTS    which parts, of those that the script names
#   VNP_BENCH_LIMIT    seconds: a figure that would not be done by then is not begun, and a line says so (none)
#   VNP_BENCH_SECONDS  of each figure
#   VNP_BENCH_DIR      where models lie, or are put; they are kept (default: a scratch folder, in memory where that has room)
# What a script calls, beside what lib.sh has:
#   results NAME PARTS          begins the files, with the host and the run as the first two lines; sets $out
#   has PART                    whether it was asked for
#   within SECONDS WHAT         whether there is time for it; says so when not
#   figure SECONDS WHAT COMMAND...   runs it when there is time for it, ends it when there is no more, and emits its lines
#   emit                        the lines on stdin into the files
#   object KEY VALUE...         prints a JSON object; numbers, true, false and lists of numbers are not quoted
#   reckon EXPRESSION [DIGITS]  prints its value (two digits behind the point)
#   model SHAPE [OPTION...]     sets $model to that synthetic model, made once
#   records_for SECONDS RATE LENGTH FILE   as many as a device of RATE tokens/s needs so long for; LENGTH: residues, or mix;
#                               500 bases of DNA, of which about 4.5 are a token, or dna-mix
#   close_results               prints the table
# shellcheck shell=bash disable=SC2034
# shellcheck source=bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
set +e # a figure that fails is a line less

results() {
    local gpu='' driver='' power=''
    bench=$1 begun=$SECONDS
    wanted=" ${VNP_BENCH_PARTS-$2} "
    mkdir -p "${RESULTS:=bench/results}" || exit 2
    until out=$RESULTS/$1-$(date -u +%Y%m%dT%H%M%S) && (set -C && : >"$out.json") 2>/dev/null; do
        [ -e "$out.json" ] || { echo "bench/$1.sh: $RESULTS: can't be written to" >&2 && exit 2; }
        sleep 1 # one that began in the same second has that name
    done
    models=${VNP_BENCH_DIR-}
    if [ -z "$models" ]; then
        models=$t
        # A 3B in FP32 twice, with and without massive channels, and what is smaller.
        if [ "$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 30000000 ] 2>/dev/null; then
            models=$(mktemp -d /dev/shm/vnp-bench.XXXXXX) && trap 'rm -rf "$t" "$models"' EXIT
        fi
    fi
    mkdir -p "$models" || exit 2
    nvidia-smi ${CUDA_VISIBLE_DEVICES:+-i "$CUDA_VISIBLE_DEVICES"} --query-gpu=name,driver_version,power.limit \
        --format=csv,noheader >"$t/gpus" 2>/dev/null
    IFS=, read -r gpu driver power <"$t/gpus"
    {
        object what host device "$gpu" gpus "$(wc -l <"$t/gpus")" driver "${driver# }" power "${power# }" \
            cuda "$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1 (driver)/p')" \
            machine "$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)" cores "$(nproc)"
        printf '{"what":"run","bench":"%s","date":"%s","commit":"%s","version":"%s","command":%s}\n' "$1" "$(date -u +%FT%TZ)" \
            "$(commit | paste -sd ' ')" "$(vnp-pool --version | head -n 1)" "$(quote "$(asked) $made_by")"
    } >>"$out.json"
}

asked() { # the variables that this run was given
    local name
    { compgen -v VNP_ | grep -E '^VNP_(BENCH|TEST)_' | grep -vE '_(COMMIT|DIR|DATA|RECORD)$'; compgen -v CUDA_VISIBLE_DEVICES; } |
        while read -r name; do echo "$name='${!name}'"; done | paste -sd ' '
}

has() { case $wanted in *" $1 "*) ;; *) return 1 ;; esac; }

left() { echo $((${VNP_BENCH_LIMIT:-1000000} - SECONDS + begun)); }
within() {
    [ "$(left)" -lt "${1%.*}" ] || return 0
    object what skipped figure "$2" wants "${1%.*}" left "$(left)" | emit
    return 1
}

figure() {
    within "$1" "$2" || return
    timeout -k 5 "$(left)" "${@:3}" | emit
    [ "${PIPESTATUS[0]}" = 0 ] || echo "bench/$bench.sh: $2: failed, or was ended for lack of time" >&2
}

emit() {
    local line
    while IFS= read -r line; do
        case $line in
        '{'*) printf '%s\n' "$line" | tee -a "$out.json" >&2 && table ;;
        *) echo "bench/$bench.sh: $line" >&2 ;;
        esac
    done
}
table() { awk -f "bench/$bench-table.awk" -f bench/json.awk "$out.json" >"$out.txt.new" && mv "$out.txt.new" "$out.txt"; }

object() {
    local text='' value
    while [ $# -gt 0 ]; do
        value=$2
        [[ $value =~ ^(-?[0-9]+(\.[0-9]+)?|true|false|\[[0-9,.]*\])$ ]] || value=$(quote "$value")
        text+=",\"$1\":$value"
        shift 2
    done
    echo "{${text#,}}"
}
reckon() { awk "BEGIN { printf \"%.${2-2}f\", $1 }"; }

model() {
    local name="$*"
    model=$models/${name// /}
    [ -d "$model" ] && return
    vnp-model synth "$@" --seed 1 -q -o "$model" || { model='' && return 1; }
}

records_for() {
    local lengths
    case $3 in
    mix) lengths=("${mixed[@]}") ;;
    dna-mix) lengths=(-d -l 680 -s 0.7 -r 90-4600) ;;
    500) lengths=(-d -l 500 -s 0) ;;
    *) lengths=(-l "$3" -s 0) ;;
    esac
    synth-fasta -t "$(reckon "$1 * $2" 0)" -w 0 "${lengths[@]}" >"$4"
}

close_results() {
    table
    cat "$out.txt"
    echo "$out.json $out.txt" >&2
}
