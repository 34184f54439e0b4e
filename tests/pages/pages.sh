#!/usr/bin/env bash
# The pages: lint-clean, one for every binary, options as in --help, and examples that run.
. "$(dirname "$0")/../lib.sh"
once 'the pages'
cd "$ROOT" || exit 2

for page in man/*.[157]; do
    check "$page is clean mdoc" sh -c "mandoc -T lint -W warning $page >&2"
done
check 'shell scripts are clean' shellcheck -x -P SCRIPTDIR .ci/run .ci/deps pipelines/vnp-* pipelines/lib/* pipelines/demo \
    tests/run tests/lib.sh bench/*.sh
check 'so are the tests, but for style' shellcheck -S warning -P SCRIPTDIR tests/*/*.sh

# Long options that the text on stdin names, a line each.
long_options() { grep -oE -- '--[a-z][a-z0-9-]*' | sort -u; }

for binary in "$BUILD"/bin/*; do
    name=$(basename "$binary")
    page=man/$name.1
    if [ ! -e "$page" ]; then
        tap 'not ok' "$name has a page"
        continue
    fi
    "$binary" --help | long_options >"$T/help"
    mandoc -T utf8 "$page" | sed 's/.\x08//g' | sed -n '/^DESCRIPTION/,/^E[NX]/p' | long_options >"$T/page"
    missing=$(comm -23 "$T/help" "$T/page" | tr '\n' ' ')
    check "$name: every option of --help is on its page${missing:+: not $missing}" [ -z "$missing" ]
    lines=$("$binary" --help | wc -l)
    check "$name: --help fits a screen ($lines lines)" [ "$lines" -le 26 ]
    if [ ! -e "pipelines/$name" ]; then
        alike=$("$binary" --help | grep -Ec '^  (-q, --quiet +errors only|-v, --verbose +more on stderr)$|^ +(-h, --help +this text|--version +version and build)$')
        check "$name: --help says of -q, -v, -h and --version what all say" [ "$alike" = 4 ]
        check "$name: --help gives defaults as (default: X)" sh -c "! '$binary' --help | grep -q '(default [^)]'"
    fi
    status "$name: an unknown option is misuse" 2 "$binary" --no-such-option
    status "$name: --help on a full disk fails" 74 sh -c "'$binary' --help >/dev/full"
    says "$name: and says so" "^$name: stdout: can't be written"
    check "$name: in one line" [ "$(wc -l <"$T/err")" = 1 ]
done

# Examples: what stands in .Dl lines and literal displays under EXAMPLES, run one page after the other in a folder with
# the files that the pages speak of.
mkdir "$T/run"
cd "$T/run" || exit 2
cp "$ROOT/tests/data/proteins.faa" all.fa
cp "$ROOT/tests/golden/tokenizers/dna4096.json" tokenizer.json
awk '/^>/ { n++ } n <= 6' all.fa >in.fa
awk 'NR % 2 { id = substr($1, 2) } !(NR % 2) { q = $0; gsub(/./, "I", q); printf "@%s\n%s\n+\n%s\n", id, $0, q }' <<EOF | gzip >in.fq.gz
>read1
MKTAYIAKQR
>read2
GAVLIPFW
EOF
printf '>contig1\n%s\n' "$(head -c 900 /dev/zero | tr '\0' A | sed 's/AAAAAAAAA/ATGGCGTAC/g')" >contigs.fa
vnp-model synth 2x4x64 -o model --seed 1 >/dev/null 2>&1
mkdir dnabert-s && cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert-s/tokenizer.json
export VNP_MODEL=$T/run/model HOME=$T/run
examples() {
    awk '/^\.Sh/ { on = ($0 ~ /EXAMPLES/); next } !on { next }
         /^\.Dl/ { sub(/^\.Dl */, ""); print; next }
         /^\.Bd/ { block = 1; next } /^\.Ed/ { block = 0; next } block && !/^\./' "$1" |
        sed -e 's/\\&//g' -e 's/\\-/-/g' -e 's/\\(aq/'"'"'/g' -e 's/\\(dq/"/g' -e 's/\\e/\\/g' -e 's/^\$ //'
}
elsewhere='^vnp-slurm' # tests/slurm has a Slurm to run it
vnp-gpu-forward --probe >/dev/null 2>&1 || elsewhere+='\|vnp-gpu-forward\|vnp-model fetch\|--device gpu'
for page in "$ROOT"/man/*.[17]; do
    examples "$page" >"$T/script"
    if grep -q "$elsewhere" "$T/script"; then
        skip "$(basename "$page"): examples for a GPU, the network or Slurm" 'not on this machine'
        grep -v "$elsewhere" "$T/script" >"$T/rest"
        mv "$T/rest" "$T/script"
    fi
    check "$(basename "$page"): its examples run" bash -eu -o pipefail "$T/script"
done
finish
