# The lines of bench/gpu.sh as a table: ours beside the peers, with ratios; with json.awk.
function row(k, who) {
    if (!(k in seen)) { keys[++n] = k; seen[k] = 1 }
    if (!(who in whos)) { list[++w] = who; whos[who] = 1 }
    rate[k, who] = num("tokens_s"); flop[k, who] = num("tflop_s"); gb[k, who] = num("memory_gb"); sec[k, who] = num("seconds")
    seqs[k, who] = num("sequences_s")
}
what("ceiling") { ceiling[get("model")] = num("tflop_s") }
what("forward") && get("numbers") == "fp16" && num("budget") == 8192 { small[get("model")] = num("memory_gb"); next }
what("forward") { row(get("model") SUBSEP get("stratum"), "vnp " get("numbers")) }
what("load") && get("numbers") == "fp16" { load[get("model")] = num("seconds") }
what("peer") { row(get("model") SUBSEP get("stratum"), get("peer")) }
what("pipeline") {
    m = get("model"); s = num("seconds"); all = num("sequences")
    pipe[++p] = sprintf("%-5s FASTA to emb.zst, %s: %9d sequences in %6.1f s, %9.0f tokens/s (%.0f once it runs)", m,
        (get("length") ~ /^[0-9]+$/ ? get("length") (get("length") == "500" ? " bases" : " residues") : get("length")), all, s, num("tokens_s"), num("tokens_s_after_start"))
    k = m SUBSEP (get("length") == "49" ? 50 : get("length") == "500" ? 108 : "mix") SUBSEP "vnp fp16"
    if (k in rate && rate[k] > 0) pipe[p] = pipe[p] sprintf(", %.1f%% of the device alone", 100 * num("tokens_s_after_start") / rate[k])
    if (get("length") == "49") pipe[p] = pipe[p] sprintf("; 6 million of 51 tokens: %.2f h", 6e6 / all * s / 3600)
}
what("baseline") {
    k = get("model")
    if (get("how") == "vnp, packed") packed[k] = num("whole_s")
    base[++bs] = sprintf("%-5s %6d sequences, whole pipeline, %-40s %8.1f s", k, num("of"), get("how") ", " get("numbers"), num("whole_s"))
    if (num("sequences") < num("of")) base[bs] = base[bs] sprintf(" (reckoned from %d in %.1f s)", num("sequences"), num("seconds"))
    else base[bs] = base[bs] sprintf(" (%.1f s of it before the first)", num("start_s"))
    if (k in packed && packed[k] > 0) base[bs] = base[bs] sprintf("   packed: %.2f x", num("whole_s") / packed[k])
}
END {
    if (n) printf "%-6s %-5s %-22s %8s %12s %12s %9s %8s %8s\n", "model", "aa", "", "seconds", "tokens/s", "sequences/s", "TFLOP/s", "ceiling", "GB"
    for (i = 1; i <= n; i++) {
        split(keys[i], part, SUBSEP)
        for (j = 1; j <= w; j++) {
            k = keys[i] SUBSEP list[j]
            if (!(k in rate)) continue
            printf("%-6s %-5s %-22s %8.1f %12d %12d %9.1f %8s %8.2f", part[1], part[2], list[j], sec[k], rate[k], seqs[k], flop[k], \
                (part[1] in ceiling) && ceiling[part[1]] > 0 && list[j] !~ /fp32|tf32/ ? sprintf("%.0f%%", 100 * flop[k] / ceiling[part[1]]) : "", gb[k])
            ours = keys[i] SUBSEP "vnp fp16"
            if (list[j] != "vnp fp16" && ours in rate && rate[k] > 0) printf "   vnp fp16: %.2f x", rate[ours] / rate[k]
            printf "\n"
        }
    }
    for (m in small) printf "%-5s fp16, batches of 8192 tokens: %.2f GB at most; ready in %.2f s\n", m, small[m], load[m]
    for (m in ceiling) printf "%-5s ceiling of its own matrix shapes, 16384 tokens: %.0f TFLOP/s\n", m, ceiling[m]
    for (i = 1; i <= p; i++) print pipe[i]
    for (i = 1; i <= bs; i++) print base[i]
}
