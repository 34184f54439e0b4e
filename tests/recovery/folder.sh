#!/usr/bin/env bash
# The folder of a run, OUTPUT.run: one of that name that is somebody else's is refused and stays as it is, and so does what a
# run reads, wherever it lies; what a run was killed in making is taken over.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
once "a run's folder"
vnp-model synth 1x1x16 -q -o model --seed 1
vnp-model synth dnabert-s:1x1x16 -q -o dnabert
vnp-model synth classifier:32 -q -o classifier
awk '/^>/ { n++ } n <= 4' "$PROTEINS" >in.fa
cp "$ROOT/tests/data/contigs.fa" .
cp "$ROOT/tests/golden/tokenizers/dna4096.json" .
embed() { vnp-embed -q -d cpu -m model --threads 1 --block 2 -o out "$@"; }
predict() { vnp-predict -q -d cpu --threads 1 --esm model --dnabert dnabert --classifier classifier --tokenizer dna4096.json -o out "$@"; }
embed in.fa && mv out want

# --- somebody else's ----------------------------------------------------------------------------------------------------------

refused() { # refused NAME STATUS PATTERN COMMAND...: in one line, and all that is in out.run stays
    local name=$1 want=$2 pattern=$3
    shift 3
    rm -rf before && cp -rH out.run before
    status "$name" "$want" "$@"
    says "$name: says so" "$pattern"
    check "$name: in one line" [ "$(wc -l <"$T/err")" = 1 ]
    check "$name: all of it stays" diff -r before out.run
    check "$name: there is no result" [ ! -e out ]
}
no_run=': out\.run: exists and is no run of vnp: choose another -o, or move it away$'
mkdir out.run && echo precious >out.run/notes.txt
refused 'a folder of that name' 73 "^vnp-embed$no_run" embed in.fa
refused 'with --restart' 73 "^vnp-embed$no_run" embed --restart in.fa
refused 'with --prepare' 73 "^vnp-embed$no_run" embed --prepare in.fa
refused 'of vnp-predict' 73 "^vnp-predict$no_run" predict contigs.fa
cp in.fa out.run/
refused 'the input in it' 73 "^vnp-embed$no_run" embed out.run/in.fa
echo 1 >out.run/lock
refused 'with a lock of another program' 73 "^vnp-embed$no_run" embed out.run/in.fa
rm -rf out.run && mkdir -p out.run/log && echo precious >out.run/log/notes.txt
refused 'with a folder of logs' 73 "^vnp-embed$no_run" embed in.fa
mv out.run mine && ln -s mine out.run
refused 'behind a link' 73 "^vnp-embed$no_run" embed in.fa
rm -rf mine out.run && mkdir out.run && echo 'a poem' | tee out.run/what >out.run/lock
status 'with a file called what' 2 embed in.fa
says 'is taken for a run of another kind' '^vnp-embed: out.run: was begun with another '
check 'and stays' grep -q poem out.run/what
rm -rf out.run

# --- what a run reads ---------------------------------------------------------------------------------------------------------

vnp-embed -q -d cpu -m model --threads 1 --block 2 -o out --prepare in.fa >prepared
check 'a run that is begun' [ -e out.run/blocks/blocks.tsv ]
cp in.fa contigs.fa dna4096.json out.run/ && cp -r model dnabert classifier out.run/ && echo 1/: >out.run/hosts && touch out.run/log.json
inside='lies in the folder of the run, which ends with it: move it elsewhere$'
refused 'the input in a run' 2 "^vnp-embed: out.run/in.fa: $inside" embed out.run/in.fa
refused 'to begin anew' 2 "^vnp-embed: out.run/in.fa: $inside" embed --restart in.fa out.run/in.fa
refused 'the model' 2 "^vnp-embed: .*/out.run/model: $inside" embed -m out.run/model in.fa
refused 'the hosts' 2 "^vnp-embed: out.run/hosts: $inside" embed --hosts out.run/hosts in.fa
refused 'the log' 2 "^vnp-embed: out.run/log.json: $inside" embed --log-json out.run/log.json in.fa
refused 'a tokenizer' 2 "^vnp-embed: out.run/dna4096.json: $inside" embed -m dnabert --all-tokens --tokenizer out.run/dna4096.json in.fa
refused 'through <' 2 "^vnp-embed: /dev/stdin: $inside" embed <out.run/in.fa
refused 'contigs' 2 "^vnp-predict: out.run/contigs.fa: $inside" predict out.run/contigs.fa
refused 'a tokenizer of vnp-predict' 2 "^vnp-predict: out.run/dna4096.json: $inside" predict --tokenizer out.run/dna4096.json contigs.fa
for kind in esm:model dnabert:dnabert classifier:classifier; do
    refused "--${kind%:*}" 2 "^vnp-predict: .*/out.run/${kind#*:}: $inside" predict "--${kind%:*}" "out.run/${kind#*:}" contigs.fa
done
mkdir many once && printf '#!/bin/sh\necho "$@" >>"%s/once/calls"\nexec %s "$@"\n' "$PWD" "$(command -v realpath)" >once/realpath && chmod +x once/realpath
for ((i = 100; i < 400; i++)); do printf ">%s\nMKV\n" "$i" >"many/$i.fa"; done
mv many/300.fa out.run/
PATH=$PWD/once:$PATH refused 'one of hundreds' 2 "^vnp-embed: out.run/300.fa: $inside" embed many/1* many/2* out.run/300.fa many/3*
check 'which are looked at together' [ "$(wc -l <once/calls)" -le 10 ]
check 'the same command without them goes on' embed in.fa
same 'to the right result' want out
check 'nothing is left' nothing_left out
rm out

# --- one output by two names --------------------------------------------------------------------------------------------------

one_run() { # one_run NAME RUN COMMAND...: the command's run is that one, at which another is at work
    local name=$1 run=$2
    shift 2
    exec {held}<>"$run/lock" && flock "$held"
    echo "$(uname -n) $$" >"$run/lock"
    status "$name: is excluded" 73 "$@"
    says "$name: says so" '(out|tables)\.run: another run is at work there'
    exec {held}>&-
}
mkdir there && ln -s there/out link && ln -s there here && mkdir there/tables && ln -s there/tables tables
vnp-embed -q -d cpu -m model --block 2 -o there/out --prepare in.fa >prepared
for name in link here/out "$PWD/there/out" there/../link; do
    one_run "as $name" there/out.run vnp-embed -q -d cpu -m model -o "$name" in.fa
done
check 'a link goes on with the run of the file' vnp-embed -q -d cpu -m model --threads 1 -o link in.fa
same 'which has the result' want there/out
check 'and it is still a link' [ -L link ]
check 'nothing is left' nothing_left there/out
check '--prepare by a link' vnp-embed -q -d cpu -m model --prepare --block 2 -o link in.fa
cp "$T/out" prepared
check 'names the folder' [ "$(<prepared)" = "$PWD/there/out.run 2" ]
status '--prepare onto a full disk' 74 sh -c 'vnp-embed -q -d cpu -m model --prepare --block 2 -o link in.fa >/dev/full'
says 'says so' "^vnp-embed: stdout: can't be written$"
rm -rf there/out.run
predicts() { predict -l 300 --block 1000 -o "$@" contigs.fa; }
predicts there/tables --prepare >prepared
for name in tables tables/ here/tables//; do one_run "as $name" there/tables.run predicts "$name"; done
inside() ( # inside OUTPUT: in the folder of the tables
    cd there/tables && vnp-predict -q -d cpu --esm ../../model --dnabert ../../dnabert --classifier ../../classifier \
        --tokenizer ../../dna4096.json -o "$1" ../../contigs.fa
)
for name in . ./ ../tables; do one_run "as $name, from inside" there/tables.run inside "$name"; done
check 'vnp-predict goes on by a link' predicts tables
check 'to the tables' [ -s there/tables/prediction_results.txt ]
check 'nothing is left' nothing_left there/tables

# --- beside the result --------------------------------------------------------------------------------------------------------

echo precious >out.2024.tmp
embed --prepare in.fa >/dev/null
touch out.4711.tmp out.2024.tmp.1 out.x.tmp
check 'a run that goes on after a stage was killed before it had named the result' embed in.fa
same 'has the right result' want out
check 'the file that the stage left is removed' [ ! -e out.4711.tmp ]
check 'what was there before the run, or has another kind of name, is not' [ "$(cat out.2024.tmp; ls out.*)" = $'precious\nout.2024.tmp\nout.2024.tmp.1\nout.x.tmp' ]
touch out.4711.tmp
rm -f out && embed --prepare in.fa >/dev/null && touch out.4712.tmp
check '--restart' embed --restart in.fa
check 'forgets these too' [ "$(echo out.[0-9]*.tmp)" = 'out.2024.tmp out.4711.tmp' ]
rm out out.*

# --- a run that was killed as it began, or as it was removed ------------------------------------------------------------------

taken_over() { # taken_over NAME
    check "$1 is taken over" embed in.fa
    same 'the result is right' want out
    check 'nothing is left' nothing_left out
    rm -f out
}
mkdir out.run && taken_over 'an empty folder'
mkdir out.run && : >out.run/lock && taken_over 'a lock alone'
mkdir out.run && echo "$(uname -n) 1" >out.run/lock && : >out.run/what.new && taken_over 'a run that knew not yet what it was'
mkdir -p out.run/done && : >out.run/what.new && taken_over 'a run that was being removed'
# What removes the run is killed, now and then: no folder is left that would be nobody's.
mkdir fails && cat >fails/rm <<'END'
#!/bin/sh
case $* in *out.run/*done*) mkdir "${0%/*}/once" 2>/dev/null && kill -KILL $$ ;; esac
exec /bin/rm "$@"
END
chmod +x fails/rm
check 'a run whose removal is killed in part' env PATH="$PWD/fails:$PATH" vnp-embed -q -d cpu -m model --threads 1 --block 2 -o out in.fa
check 'it was' [ -d fails/once ]
check 'removes the rest all the same' [ ! -e out.run ]
rm -f out
mkdir out.run elsewhere && rmdir out.run && ln -s elsewhere out.run
check 'an empty folder behind a link' embed in.fa
same 'the result is right' want out
check 'it is empty again' [ -z "$(ls -A elsewhere)" ]

# --- names that no run can have -----------------------------------------------------------------------------------------------

unmade() { # unmade NAME STATUS PATTERN OPTION...: refused before there is a folder
    status "$1" "$2" vnp-embed -q -d cpu -m model --threads 1 --block 2 "${@:4}"
    says 'is refused' "^vnp-embed: $3"
    check 'before anything is made' [ -z "$(find . -name '*.run' ! -name elsewhere -type d)" ]
}
rm -rf out.run out
unmade 'a slash at the end' 73 'nodir/: the name of a file does not end in a slash$' -o nodir/ in.fa
unmade 'a link into a folder with two lines as its name' 73 '.*: a name with the end of a line in it' -o two in.fa \
    < <(mkdir $'two\nlines' && ln -s $'two\nlines/out' two)
unmade 'a classifier as the model' 65 'classifier: is a classifier' -m classifier --prepare -o out in.fa
unmade 'the log in the folder of the run' 2 'out.run/log.json: lies in the folder of the run' --log-json out.run/log.json -o out in.fa
# awk takes an operand like these for an assignment, and reads stdin.
named() { # named OUTPUT COMMAND...
    rm -rf "$1"
    status "$1" 0 timeout 60 "${@:2}" -o "$1" </dev/null
    check 'without a word' [ ! -s "$T/err" ]
    check 'nothing is left' nothing_left "$1"
}
mkdir k=v
for name in a=b k=v/e; do
    named $name vnp-embed -q -d cpu -m model --threads 1 --block 2 in.fa
    same 'has the right result' want $name
    rm $name
    check "$name, from a pipe" sh -c "cat in.fa | timeout 60 vnp-embed -q -d cpu -m model --threads 1 --block 2 -o $name"
    same 'has the right result' want $name
done
predict=(vnp-predict -d cpu --threads 1 -l 300 --esm model --dnabert dnabert --classifier classifier --tokenizer dna4096.json)
status 'tables' 0 "${predict[@]}" -o tables contigs.fa
grep 'viral' "$T/err" >said
status 'tables called r=1' 0 timeout 60 "${predict[@]}" -o r=1 contigs.fa </dev/null
grep 'viral' "$T/err" >said.now
same 'are those of another name' tables/prediction_results.txt r=1/prediction_results.txt
same 'and so is what is said of them' said said.now
ln -s /dev/stdout stdout
for name in stdout /dev/./stdout /proc/self/fd/1; do
    check "$name, a file" sh -c "vnp-embed -q -d cpu -m model --threads 1 -o $name in.fa >got"
    same 'gets the result' want got
done
check 'and is no run' [ -L stdout ]
finish
