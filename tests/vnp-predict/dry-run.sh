#!/usr/bin/env bash
# vnp-predict --dry-run: the plans of both rows and the counts of vnp-orf, and nothing is written.
. "$(dirname "$0")/../lib.sh"
once '--dry-run'
mkdir "$T/work" "$T/tmp" && cd "$T/work" || exit 2
export TMPDIR=$T/tmp
vnp-model synth 2x2x32 -q -o esm
vnp-model synth dnabert-s:2x2x32 -q -o dnabert
vnp-model synth classifier:64 -q -o classifier
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
cp "$ROOT/tests/data/contigs.fa" .
before=$(ls -a)
predict() { vnp-predict --dry-run --esm esm --dnabert dnabert --classifier classifier "$@"; }
timeless() { sed '/^CPU time/d' "$@"; } # what differs from one time to the next

vnp-orf -q -l 300 --nucleotides "$T/n.fa" --proteins "$T/p.fa" contigs.fa
{
    vnp-orf -l 300 contigs.fa 2>&1 >/dev/null | sed 's/^vnp-orf: /contigs     /'
    echo '--- proteins, through ESM-2'
    vnp-fasta2tok -q "$T/p.fa" | vnp-pack -q -b 512 | vnp-plan -q -m esm -o -
    echo '--- nucleotides, through DNABERT-S'
    vnp-fasta2tok -q --tokenizer dnabert "$T/n.fa" | vnp-pack -q -b 512 | vnp-plan -q -m dnabert -o -
} | timeless >"$T/want"
status 'a dry run' 0 predict -q -l 300 -b 512 contigs.fa
cp "$T/err" "$T/said"
timeless "$T/out" >"$T/got"
same 'is the plans of both rows' "$T/want" "$T/got"
check '-q: nothing but the plans' [ ! -s "$T/said" ]
status 'from stdin, with -o' 0 predict -q -l 300 -b 512 -o out <contigs.fa
timeless "$T/out" >"$T/got"
same 'the same' "$T/want" "$T/got"
status 'on a GPU' 0 predict -q -d gpu contigs.fa
cp "$T/out" "$T/plan"
check 'is planned for both models' [ "$(sed -nE 's/^(CPU|GPU) memory.*/\1/p' "$T/plan" | tr '\n' ' ')" = 'GPU GPU ' ]
printf '>a\nTAGTAACTATTAGTAACTATTAGTAACTA\n' >closed.fa
status 'contigs without an open frame' 0 predict closed.fa
says 'are a warning' 'warning: '
status 'no contigs' 65 predict "$PROTEINS"
says 'are refused' '^vnp-orf: .*letters are no nucleotides'
cp "$T/out" "$T/plan"
check 'and no plan is printed' [ ! -s "$T/plan" ]
awk 'BEGIN { for (i = 0; i < 3000; i++) printf ">c%d\n%s\n", i, "ATGGCGTACGGCAAAGGTGCTGCTCTGTTCAAA" }' >many.fa
status 'a row that fails early' 2 predict --fp16 -d cpu many.fa
says 'says why' '^vnp-plan: --fp16 needs a GPU'
head -n 60 many.fa >few.fa
for _ in 1 2 3 4 5 6 7 8 9 10; do predict --fp16 -d cpu few.fa; done >/dev/null 2>said
check 'whichever of its stages ends first' [ "$(grep -c '^vnp-plan: --fp16 needs a GPU' said)/$(grep -c . said)" = 10/10 ]
status 'a full disk' 74 sh -c 'vnp-predict -q --dry-run --esm esm --dnabert dnabert --classifier classifier contigs.fa >/dev/full'
says 'says so' "^vnp-predict: stdout: can't be written"
check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
status 'no folder for temporary files' 73 env TMPDIR=/no/such vnp-predict -q --dry-run --esm esm --dnabert dnabert --classifier classifier contigs.fa
says 'says so' '^vnp-predict: /no/such: no temporary folder can be made there: set TMPDIR'
check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]
rm closed.fa many.fa few.fa said
check 'nothing was written' [ "$before" = "$(ls -a)" ]
check 'and nothing is left' [ -z "$(ls -A "$TMPDIR")" ]
finish
