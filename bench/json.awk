# For the tables: get(KEY) is a value of the JSON object on this line as text, or nothing, num(KEY) as a number; what(KIND) says
# whether it is of that kind. Prints the lines that say where and when, and at the end what there was no time for.
function get(key,   s) {
    if (!match($0, "\"" key "\": ?(\"[^\"]*\"|[-+0-9.e]+|true|false)")) return ""
    s = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
    gsub(/^ |"/, "", s)
    return s
}
function num(key) { return get(key) + 0 }
function what(w) { return index($0, "\"what\":\"" w "\"") || index($0, "\"what\": \"" w "\"") }
what("host") {
    printf("%s%s, driver %s, CUDA %s, power limit %s; %s, %d cores\n", num("gpus") > 1 ? get("gpus") " x " : "",
        get("device") == "" ? "no GPU" : get("device"), get("driver"), get("cuda"), get("power"), get("machine"), get("cores"))
}
what("run") {
    # The command may hold quotes.
    command = $0
    sub(/.*"command":"/, "", command)
    sub(/"}$/, "", command)
    gsub(/\\"/, "\"", command)
    printf "%s, %s, commit %s\n%s\n", get("date"), get("version"), get("commit"), command
}
what("skipped") { left_out[++skips] = get("figure") }
END { for (i = 1; i <= skips; i++) print "no time was left for: " left_out[i] }
