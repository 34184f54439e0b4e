#!/usr/bin/env bash
# vnp-pack: options, the environment, messages, faults, and how full batches are on real open reading frames.
. "$(dirname "$0")/../lib.sh"

vnp-fasta2tok -q "$PROTEINS" >"$T/tok"
used() { sed -n 's/.*; \([0-9.]*\)% of the budget.*/\1/p' "$T/err"; }
batches() { sed -n 's/.* tokens in \([0-9]*\) batches.*/\1/p' "$T/err"; }

status 'packs real proteins' 0 vnp-pack "$T/tok"
cp "$T/out" "$T/batches"
says 'says what it did' '^vnp-pack: 85 sequences, 26579 tokens in 4 batches; 81\.1[0-9]% of the budget of 8192 used$'
status 'the same from stdin' 0 vnp-pack <"$T/tok"
same 'stdin or a file: same bytes' "$T/out" "$T/batches"
status '-o writes a file' 0 vnp-pack -q -o "$T/file" "$T/tok"
same '-o: same bytes' "$T/file" "$T/batches"
check '-q says nothing' [ ! -s "$T/err" ]
check 'the stream is whole' vnp-cat --check "$T/batches"
rows() { vnp-cat --json "$1" | sed 's/"batch":[0-9]*,//' | sort; }
rows "$T/tok" >"$T/rows-in"
rows "$T/batches" >"$T/rows-out"
same 'every sequence with its tokens, once' "$T/rows-in" "$T/rows-out"

status 'a budget smaller than most sequences' 0 vnp-pack -b 100 "$T/tok"
says 'sequences over the budget are counted' '; [0-9]+ over the budget went alone$'
rows "$T/out" >"$T/rows-out"
same 'and nothing is dropped' "$T/rows-in" "$T/rows-out"
status '--no-packing' 0 vnp-pack --no-packing "$T/tok"
says 'one sequence a batch' ' in 85 batches'
cp "$T/out" "$T/unpacked"
for value in 1 true TRUE yes Yes; do
    VIRNUCPRO_DISABLE_PACKING=$value status "VIRNUCPRO_DISABLE_PACKING=$value" 0 vnp-pack "$T/tok"
    same 'is --no-packing' "$T/out" "$T/unpacked"
    says 'and says so' 'VIRNUCPRO_DISABLE_PACKING is set: one sequence a batch'
done
for value in 0 false no ''; do
    VIRNUCPRO_DISABLE_PACKING=$value status "VIRNUCPRO_DISABLE_PACKING=$value" 0 vnp-pack "$T/tok"
    same 'packs' "$T/out" "$T/batches"
done

vnp-fasta2tok -q "$PROTEINS" | vnp-pack -q | vnp-pack >"$T/out" 2>"$T/err"
says 'batches are not packed again: the way out is named' 'stdin: holds batches, but tokens are wanted here'
status 'no stream at all' 65 vnp-pack </dev/null
status 'no such file' 66 vnp-pack "$T/none"
status 'not a stream' 65 vnp-pack "$PROTEINS"
status 'two files' 2 vnp-pack "$T/tok" "$T/tok"
cp "$T/tok" "$T/input"
status 'the output over the input' 2 vnp-pack -o "$T/input" "$T/input"
says 'the output over the input: says so' "^vnp-pack: $T/input: is the input; choose another name for the output\$"
status 'through <, too' 2 sh -c "vnp-pack -q -o $T/input <$T/input"
same 'the output over the input: it is still there' "$T/input" "$T/tok"
for bad in 2 0 -5 8k '' 99999999999999999999; do
    status "-b '$bad' is refused" 2 vnp-pack -b "$bad" "$T/tok"
done
status '--lookahead 0 is refused' 2 vnp-pack --lookahead 0 "$T/tok"
status 'a full disk' 74 sh -c "vnp-pack -q '$T/tok' >/dev/full"
status 'a folder that is not there' 73 vnp-pack -o "$T/no/where" "$T/tok"
head -c 5000 "$T/tok" | vnp-pack -q 2>"$T/err" | vnp-cat --check - >"$T/out" 2>"$T/err2"
says 'a cut stream is an error' 'vnp-pack: stdin: .*without an end frame'
check 'that the next stage repeats' grep -q 'vnp-pack.*without an end frame' "$T/err2"

# Low figures are worth a warning, unless the last batch alone explains them.
awk 'BEGIN { for (i = 0; i < 200; i++) { printf ">s%d\n", i; for (k = 0; k < 60; k++) printf "MKTAYIAKQR"; print "" } }' >"$T/long.fa"
vnp-fasta2tok -q "$T/long.fa" >"$T/long"
status 'sequences of 602 tokens in a budget of 1024' 0 vnp-pack -b 1024 "$T/long"
says 'are a warning' 'warning: batches are only 58\.8% full.* a larger -b packs better'
status 'in one of 65536' 0 vnp-pack -b 65536 "$T/long"
lacks 'no warning for few batches' warning "$T/err"

# Real open reading frames: from stop to stop, and the open frames of 500-base chunks.
frames() { # frames MODE < FASTA: proteins of at least 20 residues between stops, or frames without a stop
    awk -v mode="$1" '
    BEGIN {
        bases = "TCAG"; aa = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
        for (i = 0; i < 4; i++) for (j = 0; j < 4; j++) for (k = 0; k < 4; k++)
            code[substr(bases, i + 1, 1) substr(bases, j + 1, 1) substr(bases, k + 1, 1)] = substr(aa, i * 16 + j * 4 + k + 1, 1)
        pair["A"] = "T"; pair["C"] = "G"; pair["G"] = "C"; pair["T"] = "A"
    }
    function emit(p) { if (length(p) >= 20) printf ">o%d\n%s\n", n++, p }
    function translate(s, f,   i, p, c) {
        p = ""
        for (i = f; i + 2 <= length(s); i += 3) {
            c = substr(s, i, 3)
            p = p (c in code ? code[c] : "")
        }
        return p
    }
    function strand(s,   f, p, q, m, i) {
        for (f = 1; f <= 3; f++) {
            p = translate(s, f)
            if (mode == "open") { if (index(p, "*") == 0) emit(p) }
            else { m = split(p, q, "*"); for (i = 1; i <= m; i++) emit(q[i]) }
        }
    }
    function both(s,   i, r) {
        strand(s)
        r = ""
        for (i = length(s); i > 0; i--) r = r (substr(s, i, 1) in pair ? pair[substr(s, i, 1)] : "N")
        strand(r)
    }
    function record(   i) {
        if (mode == "open") for (i = 1; i <= length(seq); i += 500) both(substr(seq, i, 500))
        else both(seq)
        seq = ""
    }
    /^>/ { record(); next }
    { seq = seq toupper($0) }
    END { record() }'
}
if [ -r "$DATA/ebola_genomes.fasta" ]; then
    for mode in orfs open; do
        cat "$DATA"/ebola_genomes.fasta "$DATA"/lassa_contigs.fasta "$DATA"/influenza_contigs.fasta \
            "$DATA"/viral_refs.fasta | frames $mode >"$T/$mode.fa"
        vnp-fasta2tok -q "$T/$mode.fa" >"$T/$mode"
        n=$(grep -c '>' "$T/$mode.fa")
        for b in 1024 2048 4096 8192; do
            status "$n real $mode in -b $b" 0 vnp-pack -b $b "$T/$mode"
            # Whole sequences can't always do better; then batches are as few as there can be.
            few=$(vnp-cat --json "$T/$mode" | sed 's/.*"length":\([0-9]*\).*/\1/' |
                awk -v b=$b '$1 + 2 > b { alone++; next } { s += $1 + 2 } END { print alone + int((s + b - 1) / b) }')
            check "$mode: $(used)% of $b used, $(batches) batches ($few at least)" \
                sh -c "awk 'BEGIN { exit !($(used) >= 98 || $(batches) == $few) }'"
        done
    done
else
    skip 'real open reading frames' "no $DATA"
fi
finish
