#!/usr/bin/env bash
# vnp-predict on real contigs, beside what PyTorch makes of them step by step (tests/golden/predict/README).
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
GOLDEN=$ROOT/tests/golden/predict
CONTIGS=$ROOT/tests/data/contigs.fa

while read -r what shape seed fingerprint; do
    case $what in esm | dnabert) ;; *) continue ;; esac
    vnp-model synth "$shape" --seed "$seed" -q -o "$what"
    check "$what: the model that the golden data are of" sh -c "vnp-model inspect $what | grep -q $fingerprint"
done <"$GOLDEN/index.txt"
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
predict() { vnp-predict --device cpu --esm esm --dnabert dnabert --classifier "$GOLDEN/classifier.pth" "$@"; }

# near RESULTS EXPECTED: the same ids and verdicts, and no score that differs by more than 1e-5
near() {
    awk -F '\t' -v OFS='\t' 'NR == FNR { want[FNR] = $0; n = FNR; next }
        { split(want[FNR], w, "\t"); m = FNR }
        $1 != w[1] || $2 != w[2] || NF != 4 { print "line " FNR ": " $0 ", expected " want[FNR] > "/dev/stderr"; bad = 1 }
        FNR > 1 { for (i = 3; i <= 4; i++) { d = $i - w[i]; if (d < 0) d = -d; if (!(d <= 1e-5)) { print "line " FNR ": " $i ", expected " w[i] > "/dev/stderr"; bad = 1 } } }
        END { exit bad || n != m || n < 2 }' "$2" "$1"
}
for length in 500 300; do
    read -r _ _ contigs chunks closed frames viral < <(grep "^counts $length " "$GOLDEN/index.txt")
    check "chunks of $length" predict -l $length -o "out$length" "$CONTIGS"
    cp "$T/err" summary
    check "chunks of $length: every score is PyTorch's" near "out$length/prediction_results.txt" "$GOLDEN/expected-$length.txt"
    same "chunks of $length: the consensus is PyTorch's" "out$length/prediction_results_highestscore.csv" \
        "$GOLDEN/expected-$length-highest.csv"
    check "chunks of $length: the summary counts contigs" grep -q "^vnp-predict: $contigs contigs, [0-9]* viral" summary
    check "chunks of $length: and chunks" grep -q "; $chunks chunks of $length letters, $((chunks - closed)) with an open frame, " summary
    check "chunks of $length: and frames" grep -q "; $frames frames, $viral viral" summary
    check "chunks of $length: and seconds" grep -Eq "^vnp-predict: $frames of $frames frames, [0-9]+ tokens/s in [0-9.]+ s$" summary
    for stage in vnp-fasta2tok 'vnp-cpu-forward dna' vnp-cpu-forward vnp-merge vnp-classify; do
        check "chunks of $length: of $stage, too" grep -Eq "^$stage +[0-9.]+ " summary
    done
done

# A row of the table of contigs for each contig with a frame, and chunks that add up.
awk -F '\t' 'NR > 1 { sub(/_chunk_[0-9]+$/, "", $1); n[$1]++; v[$1] += $2 == "True" }
    END { for (c in n) print c "\t" n[c] "\t" v[c] "\t" (v[c] >= n[c] / 2 ? "virus" : "others") }' \
    "$GOLDEN/expected-500-highest.csv" | sort >contigs.want
sed 1d out500/prediction_results_contigs.tsv | cut -f 1-3,6 >contigs.got
same 'the table of contigs follows from the chunks' contigs.want contigs.got

# However it is read and cut, the same.
same_results() { # NAME DIR
    check "$1" diff -r out500 "$2"
}
gzip -c "$CONTIGS" >contigs.fa.gz
check 'gzip' predict -q -o gz contigs.fa.gz && same_results 'gzip gives the same' gz
check 'stdin' predict -q -o stdin <"$CONTIGS" && same_results 'stdin gives the same' stdin
check 'a pipe as a file' predict -q -o pipe <(zcat contigs.fa.gz) && same_results 'a pipe gives the same' pipe
awk '/^>/ { n++ } n <= 4' "$CONTIGS" >first.fa && awk '/^>/ { n++ } n > 4' "$CONTIGS" >second.fa
check 'two files' predict -q -o two first.fa second.fa && same_results 'two files give the same' two
check 'a file and stdin' predict -q -o mixed first.fa - <second.fa && same_results 'a file and stdin give the same' mixed
for budget in 3 1024 65536; do
    check "a budget of $budget" predict -q -b $budget -o "b$budget" "$CONTIGS" && same_results "a budget of $budget gives the same" "b$budget"
done
check '--threads 1' predict -q --threads 1 -o t1 "$CONTIGS" && same_results 'one thread gives the same' t1
finish
