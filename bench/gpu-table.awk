# The lines of bench/gpu.sh as a table: ours beside the peers, with ratios.
function get(key,   s) {
    if (!match($0, "\"" key "\": ?(\"[^\"]*\"|[-0-9.]+)")) return ""
    s = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
    gsub(/^ |"/, "", s)
    return s
}
get("what") == "host" { print get("device") ", driver " get("driver") ", power limit " get("power") }
get("what") == "run" { print get("date") ", " get("version") ", commit " get("commit") }
get("what") == "ceiling" { ceiling[get("model")] = get("tflop_s") }
get("what") == "forward" && !(get("numbers") == "fp16" && get("budget") == 8192) {
    k = get("model") SUBSEP get("stratum")
    who = "vnp " get("numbers")
    rate[k, who] = get("tokens_s"); flop[k, who] = get("tflop_s"); gb[k, who] = get("memory_gb"); sec[k, who] = get("seconds")
    seqs[k, who] = get("sequences_s")
    if (!(k in seen)) { keys[++n] = k; seen[k] = 1 }
    if (!(who in whos)) { list[++w] = who; whos[who] = 1 }
}
get("what") == "forward" && get("numbers") == "fp16" && get("budget") == 8192 { small[get("model")] = get("memory_gb") }
get("what") == "peer" {
    k = get("model") SUBSEP get("stratum")
    who = get("peer")
    rate[k, who] = get("tokens_s"); flop[k, who] = get("tflop_s"); gb[k, who] = get("memory_gb"); sec[k, who] = get("seconds")
    seqs[k, who] = get("sequences_s")
    if (!(who in whos)) { list[++w] = who; whos[who] = 1 }
}
get("what") == "pipeline" { pipe[++p] = sprintf("%-9s FASTA to emb.zst, %3s residues: %9d sequences in %6.1f s, %9.0f tokens/s (%.0f once it runs)", get("model"), get("residues"), get("sequences"), get("seconds"), get("tokens_s"), get("tokens_s_after_start")) }
END {
    printf "%-9s %-5s %-22s %8s %12s %12s %9s %8s %8s\n", "model", "aa", "", "seconds", "tokens/s", "sequences/s", "TFLOP/s", "ceiling", "GB"
    for (i = 1; i <= n; i++) {
        split(keys[i], part, SUBSEP)
        for (j = 1; j <= w; j++) {
            k = keys[i] SUBSEP list[j]
            if (!(k in rate)) continue
            printf "%-9s %-5s %-22s %8.1f %12d %12d %9.1f %8s %8.2f", part[1], part[2], list[j], sec[k], rate[k], seqs[k], flop[k], \
                part[1] in ceiling && list[j] !~ /fp32|tf32/ ? sprintf("%.0f%%", 100 * flop[k] / ceiling[part[1]]) : "", gb[k]
            if (list[j] != "vnp fp16") printf "   vnp fp16: %.2f x", rate[keys[i], "vnp fp16"] / rate[k]
            printf "\n"
        }
    }
    for (m in small) printf "%-9s fp16, batches of 8192 tokens: %.2f GB at most\n", m, small[m]
    for (m in ceiling) printf "%-9s ceiling of its own matrix shapes, 16384 tokens: %.0f TFLOP/s\n", m, ceiling[m]
    for (i = 1; i <= p; i++) print pipe[i]
}
