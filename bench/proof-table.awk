# The lines of bench/proof.sh as a table; with json.awk.
what("tests") { tests[++n] = sprintf("%-36s %5d passed %4d failed %4d skipped %5d s%s", get("test"), get("passed"), get("failed"), get("skipped"), num("seconds"), (num("status") == 124 ? "  CUT SHORT" : "")) }
what("check") { checks[++c] = get("result") ": " get("name") }
what("proof") {
    rows[++r] = sprintf("%-16s %-21s %-5s %-32s %5d %12.9f %9s %8s %8s %9s %s", get("model"), get("stratum"), get("numbers"), get("against"),
        num("sequences"), get("min_cosine"), known("mean_diff", "%.1e"), known("std_diff_percent", "%.2f%%"), known("norm_diff_percent", "%.2f%%"),
        (get("outliers_a") == "" ? "" : get("outliers_a") "/" get("outliers_b")), (get("agree") == "true" ? "" : "DISAGREE"))
}
# Of PyTorch's rows the cosine alone is compared.
function known(key, form) { return get(key) == "" ? "" : sprintf(form, get(key)) }
END {
    for (i = 1; i <= n; i++) print tests[i]
    for (i = 1; i <= c; i++) print checks[i]
    if (r) printf "%-16s %-21s %-5s %-32s %5s %12s %9s %8s %8s %9s\n", "model", "stratum", "", "against", "seqs", "min cosine", "mean", "std", "norm", "outliers"
    for (i = 1; i <= r; i++) { sub(/ +$/, "", rows[i]); print rows[i] }
}
