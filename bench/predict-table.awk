# The lines of bench/predict.sh as a table, beside the published seconds of one and two RTX 4090; with json.awk.
what("predict") {
    part = get("part")
    all = sprintf("%d reads of %d letters%s, ESM-2 %s, %s, on %s: %.1f s%s", get("reads"), get("length"),
        (part == "" || part == "1/1" ? "" : ", part " part " of them"), get("esm"), get("dnabert"), get("device"),
        num("seconds"), (get("whole") == "true" ? sprintf(", %d frames", num("frames")) : ", ENDED BEFORE IT WAS WHOLE"))
    seconds = num("seconds"); whole = get("whole") == "true"; frames = num("frames")
}
what("blocks") { models = sprintf("both models and the scores: %d of %d frames, %d tokens/s of proteins, %.1f s", num("frames"), num("of"), num("tokens_s"), num("seconds")) }
what("sitting") { sittings = sittings sprintf("sitting %d, %s: %.1f s, then %d of %d frames were done\n", ++sat, get("device"), num("seconds"), num("frames"), num("of")) }
what("stage") {
    s = get("stage"); names[++n] = s; busy[s] = num("busy_s"); sequences[s] = num("sequences"); tokens[s] = num("tokens")
    kind = s ~ /orf/ ? "chunk, translate" : s ~ /forward dna/ ? "DNABERT-S" : s ~ /forward/ ? "ESM-2 3B" : s ~ /merge/ ? "merge" : \
        s ~ /classify/ ? "predict, consensus" : "tokens, packing, pooling, blocks"
    of[kind] += busy[s]; if (!(kind in rows)) { kinds[++k] = kind; rows[kind] = 1 }
}
function published(kind, gpus) {
    if (kind == "chunk, translate") return gpus == 1 ? 7.1 + 8.4 : 7.3 + 8.5
    if (kind == "DNABERT-S") return gpus == 1 ? 501.9 : 523.5
    if (kind == "ESM-2 3B") return gpus == 1 ? 2591.1 : 1383.2
    if (kind == "merge") return gpus == 1 ? 34.7 : 41.5
    if (kind == "predict, consensus") return gpus == 1 ? 37.4 + 13.6 : 39.1 + 13.6
    return 0
}
END {
    print all
    if (models != "") print models
    printf "%s", sittings
    if (n) printf "%-32s %10s %24s %24s\n", "seconds busy (they overlap here)", "here", "published, one RTX 4090", "published, two"
    for (i = 1; i <= k; i++)
        printf("%-32s %10.1f %24s %24s\n", kinds[i], of[kinds[i]], (published(kinds[i], 1) ? published(kinds[i], 1) : ""), (published(kinds[i], 2) ? published(kinds[i], 2) : ""))
    if (whole && n) {
        printf "%-32s %10.1f %24s %24s\n", "in all, on the clock", seconds, "3200.6", "2025.0"
        if (frames > 0) printf "%-32s %10.1f %24.1f %24.1f\n", "frames a second", frames / seconds, 794577 / 3200.6, 794577 / 2025
    }
    for (i = 1; i <= n; i++) printf "  %-30s %10.1f s busy %12.0f sequences %14.0f tokens\n", names[i], busy[names[i]], sequences[names[i]], tokens[names[i]]
    if (n) print "published: 794,577 proteins of about 51 tokens, each stage after the other"
}
