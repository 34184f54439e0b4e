#!/usr/bin/env bash
# vnp-embed over 1, 2, 4 ... devices of this host, each run with work for every device for as long: tokens/s against one device,
# how evenly the tokens were shared, the same bytes from any number; and what a kill of everything and a restart cost.
#   bench/scaling.sh        see gpu-lib.sh for RESULTS, VNP_BUILD (to run it without make), VNP_BENCH_LIMIT and _DIR
#   VNP_BENCH_PARTS  of     same scale kill
#   VNP_BENCH_SECONDS       of each run (120)        VNP_BENCH_SLOTS  how many devices, in turn ("1 2 4 8", as far as there are)
#   VNP_BENCH_MODELS        one shape (3B)           VNP_BENCH_RATE   tokens/s of one device, to size the input (by the shape)
#   VNP_BENCH_DEVICE        gpu or cpu. A CPU's "devices" are slots of one thread each, which shows how it works, no more:
#                           VNP_BENCH_DEVICE=cpu VNP_BENCH_MODELS=2x4x64 VNP_BENCH_RATE=5000 VNP_BENCH_SECONDS=5 bench/scaling.sh
#   VNP_BENCH_BLOCK         records in a block (as vnp-embed chooses)
# More than one device takes GNU parallel. Seconds: 25 for the model, 20 for same, SECONDS and 10 for each number of devices in
# scale, and 1.2 times that for kill, which goes on from scale.
. "$(dirname "$0")/gpu-lib.sh"
device=${VNP_BENCH_DEVICE:-gpu}
gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
if [ "$device" = gpu ]; then
    vnp-gpu-forward -q --probe 2>/dev/null || { echo 'bench/scaling.sh: no GPU here (VNP_BENCH_DEVICE=cpu shows how it works)' && exit 0; }
    [ "$gpus" -gt 0 ] || gpus=1
else
    gpus=$(nproc)
fi
results scaling 'same scale kill'
seconds=${VNP_BENCH_SECONDS:-120}
shape=${VNP_BENCH_MODELS:-3B}
case $shape in 3B) rate=1e5 ;; 650M) rate=3.8e5 ;; 8M) rate=1e7 ;; *) rate=1e5 ;; esac
rate=${VNP_BENCH_RATE:-$rate}
slots=()
for n in ${VNP_BENCH_SLOTS:-1 2 4 8}; do [ "$n" -gt "$gpus" ] || slots+=("$n"); done
most=${slots[-1]}
model "$shape" || exit 1

# driver N FASTA OUTPUT: the command, in $driver.
driver() {
    driver=(vnp-embed --model "$model" -d "$device" -o "$3" --log-json "$t/log")
    if [ "$device" = gpu ]; then
        driver+=(--gpus "$(seq -s , 0 $(($1 - 1)))")
    else
        echo "$1/:" >"$t/hosts"
        driver+=(--hosts "$t/hosts" --threads 1)
    fi
    [ -z "${VNP_BENCH_BLOCK-}" ] || driver+=(--block "$VNP_BENCH_BLOCK")
    driver+=("$2")
}
embed() { # embed N FASTA: to $t/N.zst; sets $wall
    local begin=$EPOCHREALTIME
    rm -f "$t/log"
    driver "$1" "$2" "$t/$1.zst"
    timeout -k 5 "$(left)" "${driver[@]}" 2>"$t/said" || { tail -n 5 "$t/said" >&2 && return 1; }
    wall=$(reckon "$EPOCHREALTIME - $begin")
}
# Of the log: a line for each slot: tokens, blocks, seconds of its forward stage.
shares() {
    grep '"what":"summary"' "$t/log" >"$t/summaries"
    awk -f bench/json.awk -f /dev/stdin "$t/summaries" <<'EOF'
get("stage") ~ /forward/ { s = get("slot"); n[s]++; tokens[s] += get("tokens"); busy[s] += get("seconds") }
END { for (s in n) print tokens[s], n[s], busy[s], s }
EOF
}

equal() { if cmp -s "$1" "$2"; then echo true; else echo false; fi; }
same() {
    local n
    records_for 5 "$rate" mix "$t/same.fa"
    for n in "${slots[@]}"; do
        embed "$n" "$t/same.fa" || return
        [ -e "$t/first.zst" ] || mv "$t/$n.zst" "$t/first.zst"
        [ ! -e "$t/$n.zst" ] || object what same devices "$n" as "${slots[0]}" same_bytes "$(equal "$t/first.zst" "$t/$n.zst")"
    done
}

scale() { # scale N
    local at_work blocks all busy imbalance each
    records_for "$seconds" "$rate * $1" mix "$t/$1.fa" && embed "$1" "$t/$1.fa" || return
    read -r at_work blocks all busy imbalance each < <(shares | awk '
        { all += $1; if (NR == 1 || $1 < low) low = $1; if ($1 > high) high = $1; blocks += $2 }
        { each = each (NR > 1 ? "," : "") $1; if ($3 > busy) busy = $3 }
        END { printf("%d %d %.0f %.2f %.2f [%s]\n", NR, blocks, all, busy, (all > 0 ? 100 * (high - low) * NR / all : 0), each) }')
    object what scale model "$shape" devices "$1" at_work "$at_work" blocks "$blocks" tokens "$all" seconds "$wall" \
        tokens_s "$(reckon "$all / $wall" 0)" forward_s "$busy" imbalance_percent "$imbalance" tokens_each "$each"
    eval "wall_$1=$wall"
}

# The driver is killed, and all of the run ends with it, at three quarters of its time: with two blocks a device, in the middle of
# the second. Then the same command again.
kill_and_restart() { # of the run over $most devices, which took $1 s
    local begin first second
    rm -f "$t/log"
    driver "$most" "$t/$most.fa" "$t/killed.zst"
    begin=$EPOCHREALTIME
    "${driver[@]}" 2>"$t/said" &
    sleep "$(reckon "$1 * 0.75")"
    kill -KILL $! 2>/dev/null || {
        object what skipped figure 'kill and restart: the run had ended before'
        return
    }
    wait $! 2>/dev/null
    first=$(reckon "$EPOCHREALTIME - $begin")
    begin=$EPOCHREALTIME
    timeout -k 5 "$(left)" "${driver[@]}" 2>"$t/said" || { tail -n 5 "$t/said" >&2 && return 1; }
    second=$(reckon "$EPOCHREALTIME - $begin")
    object what kill model "$shape" devices "$most" undisturbed_s "$1" until_kill_s "$first" after_s "$second" \
        lost_s "$(reckon "$first + $second - $1")" same_bytes "$(equal "$t/killed.zst" "$t/$most.zst")" \
        blocks_kept "$(sed -n 's/.*goes on: \([0-9]* of [0-9]*\) blocks.*/\1/p' "$t/said")"
}

if has same; then within 20 'same bytes' && same | emit; fi
for n in "${slots[@]}"; do
    if has scale && within "$(reckon "$seconds * 1.15 + 10" 0)" "$n devices"; then
        scale "$n" >"$t/line" # not in a pipe: it sets a variable
        emit <"$t/line"
    fi
    [ "$n" = "$most" ] || rm -f "$t/$n.fa" "$t/$n.zst"
done
whole=wall_$most
if has kill && [ -n "${!whole-}" ]; then
    within "$(reckon "${!whole} * 1.2 + 10" 0)" 'kill and restart' && kill_and_restart "${!whole}" | emit
fi
close_results
