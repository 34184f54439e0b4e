# shellcheck shell=bash
# What people see of a run while it is at work, and at its end. Sourced by run.sh.
# shellcheck disable=SC2154  # $me, $run, $quiet, $log, $shows: of run.sh and the drivers

# watch_run DRIVER LAST: a line of progress each second; and the end of what can't go on, by a signal to the driver: also when
# its last step has ended too early.
watch_run() {
    while alive "$1"; do
        sleep 1
        ours || { kill -USR1 "$1" 2>/dev/null && continue; }
        if [ ! -s "$run/slots" ] && [ ! -e "$run/stop" ]; then
            printf '69\n%s\n' "$(none_left)" >"$run/stop"
        elif [ ! -e "$run/stop" ] && [ "$(find "$run/failed" -type f | wc -l)" -ge 3 ] && [ -z "$(ls "$run/done")" ]; then
            cut -f 2 "$run"/failed/* | head -n 1 >"$run/stop.new"
            echo "the first blocks all failed: $(cut -f 3- "$run"/failed/* | head -n 1)" >>"$run/stop.new"
            mv -- "$run/stop.new" "$run/stop"
        fi
        if [ -e "$run/stop" ] || { ! alive "$2" && [ -n "$(left)" ]; }; then kill -USR1 "$1" 2>/dev/null; fi
        [ -z "$shows" ] || progress "$(account)"
    done
}

watch_end() {
    kill "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    watcher=
    progress
}

progress() { # progress [TEXT]: a line that the next one overwrites, for who looks on; without, none
    [ -z "${shows-}" ] || printf '\r\e[K%s' "${1:+$me: $1}" >&2
}

computed() { # of the telemetry on stdin: the sequences and tokens that a model has had so far
    sed -n 's/.*"stage":"vnp-[cg]pu-forward".*"all_sequences":\([0-9]*\),"all_tokens":\([0-9]*\).*/\1 \2/p' | tail -n 1
}

# Of this run, so far: sequences of all, tokens a second, time left, and what each slot had of the tokens.
account() {
    local file block
    {
        sed '1d; s/^/block /' "$run/blocks/blocks.tsv"
        for file in "$run"/done/*.vnp; do block=${file##*/}; echo "done ${block%.vnp}"; done
        tail -n +$((by_from + 1)) "$run/by" | sed 's/^/by /'
        for file in "$run"/active/*; do
            read -r block <"$file" && tail -c 2000 "$run/log/$block" | computed | sed "s/^/active ${file##*/} $block /"
        done
    } 2>/dev/null | awk -v begin="${run_begin:-$EPOCHREALTIME}" -v now="$EPOCHREALTIME" -v unit="${unit:-sequences}" '
        $1 == "block" { blocks++; sequences[$2] = $4; tokens[$2] = $5; all += $4; all_tokens += $5 }
        $1 == "done" { done += sequences[$2]; done_tokens += tokens[$2]; is_done[$2] = 1 }
        $1 == "by" { share[$2] += tokens[$3]; run += tokens[$3] }
        $1 == "active" && !($3 in is_done) { share[$2] += $5; run += $5; done += $4; done_tokens += $5 }
        END {
            seconds = now - begin
            rate = seconds > 0 ? run / seconds : 0
            printf "%d%s %s, %.0f tokens/s", done, blocks ? sprintf(" of %d", all) : "", unit, rate
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
    {
        grep -h '^{' -- "$run"/*.log
        awk -v t="$EPOCHREALTIME" -v stage="$me" -v seconds="$seconds" -v slowest="$(sed -n 's/^slowest stage: \(.*\) (.*/\1/p' <<<"$table")" '
            NR > 1 { blocks++; sequences += $3; tokens += $4 }
            END { printf "{\"t\":%.3f,\"stage\":\"%s\",\"what\":\"run\",\"seconds\":%s,\"blocks\":%d,\"sequences\":%.0f,\"tokens\":%.0f,\"slowest\":\"%s\"}\n",
                t, stage, seconds, blocks, sequences, tokens, slowest }' <"$run/blocks/blocks.tsv"
    } | add_log
}
