# The lines of bench/scaling.sh as a table; with json.awk.
what("same") { same[++ss] = sprintf("%d devices: %s %d", num("devices"), (get("same_bytes") == "true" ? "the same bytes as" : "OTHER BYTES THAN"), num("as")) }
what("scale") {
    d = num("devices"); order[++n] = d; m[d] = get("model"); rate[d] = num("tokens_s")
    line[d] = sprintf("%-5s %7d %8.1f %14.0f %12.0f %7d %10.1f%%", m[d], d, num("seconds"), num("tokens"), rate[d], num("blocks"), num("imbalance_percent"))
}
what("kill") {
    end[++ends] = sprintf("killed after %.1f s and started again (%s blocks kept): %.1f s in all, undisturbed %.1f s, so %.1f s lost; %s",
        num("until_kill_s"), get("blocks_kept"), num("until_kill_s") + num("after_s"), num("undisturbed_s"), num("lost_s"),
        (get("same_bytes") == "true" ? "the same bytes" : "OTHER BYTES"))
}
END {
    if (n) printf "%-5s %7s %8s %14s %12s %7s %11s %9s\n", "model", "devices", "seconds", "tokens", "tokens/s", "blocks", "imbalance", "times one"
    for (i = 1; i <= n; i++) {
        d = order[i]
        printf("%s %9s\n", line[d], (1 in rate) && rate[1] > 0 ? sprintf("%.2f", rate[d] / rate[1]) : "")
        if (1 in rate && rate[d] > 0) hours = 1e9 * 51 / (rate[d] / d * 100) / 3600
    }
    for (i = 1; i <= ss; i++) print same[i]
    for (i = 1; i <= ends; i++) print end[i]
    if (hours) printf "reckoned from the last: 1,000 million sequences of 51 tokens over 100 such devices: %.1f h\n", hours
}
