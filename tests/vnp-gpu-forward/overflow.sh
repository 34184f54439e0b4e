# shellcheck shell=bash
# A model that FP16 can't hold, sourced by the tests beside it.
#   overflow MODEL   gives the vector of W an element of 1e5, in the float32 file of a model that vnp-model synth made: FP32
#                    has room for it. What was there goes to $T/w.was
#   restore MODEL    puts it back
w_element() { # the byte of the file where it is
    local header offset width
    header=$(od -An -tu8 -N8 "$1/model.safetensors" | tr -d ' ')
    read -r width offset < <(head -c $((header + 8)) "$1/model.safetensors" | grep -ao '"embeddings.word_embeddings.weight":{[^}]*' |
        sed 's/.*\[33, *\([0-9]*\)\].*\[\([0-9]*\),[0-9]*\]$/\1 \2/')
    echo $((8 + header + offset + (22 * width + 7) * 4))
}
overflow() {
    local at
    at=$(w_element "$1")
    tail -c +$((at + 1)) "$1/model.safetensors" | head -c 4 >"$T/w.was"
    printf '\000\120\303\107' | dd of="$1/model.safetensors" bs=1 seek="$at" conv=notrunc status=none
}
restore() {
    [ ! -s "$T/w.was" ] || dd if="$T/w.was" of="$1/model.safetensors" bs=1 seek="$(w_element "$1")" conv=notrunc status=none
    rm -f "$T/w.was"
}
