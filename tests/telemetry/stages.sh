#!/usr/bin/env bash
# What stages write to $VNP_LOG_JSON: valid lines, counts that are the streams', times that add up and tell who waits
# for whom; and that no log, however broken, costs a result.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
unset VNP_LOG_JSON VNP_BLOCK VNP_SLOT

values() { "$BUILD/tests/telemetry/tool_jsonlines" "$@" <log; } # values KEY...: a line of the log each, by tabs
of() { # of STAGE WHAT KEY...: the same, of one stage and kind of line
    values stage what "${@:3}" | awk -F '\t' -v s="$1" -v w="$2" '$1 == s && $2 == w' | cut -f 3-
}
holds() { # holds NAME AWK-CONDITION: true of every line on stdin (fields by tabs), of which there is one at least
    if awk -F '\t' "function near(a, b, by) { return a - b < by && b - a < by }
        !($2) { bad = 1; print \"# not so: \" \$0 } END { exit bad || !NR }" >said; then tap ok "$1"; else
        tap 'not ok' "$1"
        cat said
    fi
}
pipeline() {
    vnp-fasta2tok -q in.fa | vnp-pack -q -b 2048 | vnp-cpu-forward -q --model model --threads 1 |
        vnp-pool -q --plain -o "$1"
}

vnp-model synth 1x2x32 -o model --seed 1 2>err || exit 2
cp "$PROTEINS" in.fa
vnp-fasta2tok -q in.fa >tokens.vnp
vnp-pack -q -b 2048 tokens.vnp >batches.vnp
vnp-cpu-forward -q --model model batches.vnp >hidden.vnp
vnp-pool -q --plain hidden.vnp >want.vnp
sequences=$(grep -c '>' in.fa)
tokens=$(vnp-cat --summary tokens.vnp | sed -nE 's/^  holds .* ([0-9]+) tokens$/\1/p')
batches=$(vnp-cat --summary batches.vnp | sed -nE 's/.* ([0-9]+) frames, .*/\1/p')
batches=$((batches - 2)) # without the head and the end
[ "$tokens" -gt 20000 ] && [ "$batches" -gt 10 ] || exit 2

# A pipeline: what is in its log.
echo '{"t":1.5,"stage":"old"}' >log
VNP_LOG_JSON=log pipeline out.vnp
same 'the result is the same with a log' out.vnp want.vnp
check 'every line is a JSON object' values t
check 'it is appended to' [ "$(head -n 1 log)" = '{"t":1.5,"stage":"old"}' ]
sed -i 1d log
holds 't is the time' "\$1 > $(date +%s) - 600 && \$1 <= $(date +%s) + 1" < <(values t)
for stage in vnp-fasta2tok vnp-pack vnp-cpu-forward vnp-pool; do
    holds "$stage: status and counts of its summary" \
        "\$1 == 0 && \$2 == $sequences && \$3 == $tokens" < <(of $stage summary status sequences tokens)
    check "$stage: one summary" [ "$(of $stage summary status | wc -l)" = 1 ]
    holds "$stage: it comes last" '$1 == "summary"' \
        < <(values stage what | awk -v s=$stage '$1 == s { last = $2 } END { print last }')
    holds "$stage: batches count up to the whole" \
        "\$1 == NR - 1 && (s += \$2) == \$4 && (t += \$3) == \$5 && s <= $sequences && t <= $tokens" \
        < <(of $stage batch n sequences tokens all_sequences all_tokens)
    holds "$stage: and reach it" "\$1 == $sequences && \$2 == $tokens" \
        < <(of $stage batch all_sequences all_tokens | tail -n 1)
    check "$stage: a line a batch" [ "$(of $stage summary batches)" = "$(of $stage batch n | wc -l)" ]
    holds "$stage: its times add up" \
        '$1 > 0 && $2 >= 0 && $3 >= 0 && $4 >= 0 && near($2 + $3 + $4, $1, 0.02 * $1) && $5 > 0' \
        < <(of $stage summary seconds wait_in_s busy_s wait_out_s cpu_s)
    holds "$stage: those of its batches fit in" '$1 > 0 && $1 <= 1.001 * $2 + 0.001' < <(
        values stage what wait_in_ms busy_ms wait_out_ms seconds | awk -F '\t' -v s=$stage '
            $1 == s && $2 == "batch" { ms += $3 + $4 + $5 }
            $1 == s && $2 == "summary" { print ms / 1000 "\t" $6 }')
    holds "$stage: its rate" \
        '$3 > 0 && near($2 / $1, $3, 0.02 * $3)' < <(of $stage summary seconds tokens tokens_per_s)
done
check 'a line is a batch' [ "$(of vnp-pack summary batches)" = "$batches" ]
for stage in vnp-pack vnp-cpu-forward; do
    holds "$stage: efficiency is the share of the budget" \
        '$2 > 0 && near($1 / 2048, $2, 1e-4) && $3 > 2 && $3 <= $1' < <(of $stage batch tokens efficiency longest)
done
holds 'tokens that no one has packed have none' '$1 == "-" && $2 == 2296' < <(of vnp-fasta2tok batch efficiency longest)
holds 'nor have the blocks of vnp-pool' '$1 == "-"' < <(of vnp-pool batch efficiency)
holds 'the forward stage names what it ran on' '$1 ~ /^[A-Za-z0-9]+, 1 threads?$/' \
    < <(of vnp-cpu-forward summary device)
holds 'nothing is said that is not known' '$0 == "-\t-\t-"' < <(of vnp-pack summary device block slot)
size() { stat -c %s "$1"; }
holds 'bytes of a stage between pipes' \
    "\$1 == $(size tokens.vnp) && \$2 == $(size batches.vnp)" < <(of vnp-pack summary bytes_in bytes_out)
holds 'bytes of one that writes a file' \
    "\$1 == $(size hidden.vnp) && \$2 == $(size want.vnp)" < <(of vnp-pool summary bytes_in bytes_out)

# Stages that only read; stages that write no frames.
vnp-pool -q -o emb.zst hidden.vnp
rm log
export VNP_LOG_JSON=log
vnp-cat --check emb.zst >out
vnp-cmp -q emb.zst want.vnp >out
vnp-cat --json emb.zst >json
cp "$ROOT/tests/data/contigs.fa" contigs.fa
vnp-orf -q contigs.fa >orfs.fa
"$BUILD/tests/vnp-classify/tool_embeddings" 48 <"$ROOT/tests/golden/classifier/small.ids" >rows
vnp-classify -q --model "$ROOT/tests/golden/classifier/zip.pth" --json rows >verdicts
printf '%s\n' 'head embeddings 2 f32 mean 12 aaa' 'row 0 a_chunk_1F1 7 0 1 2' 'row 1 b_chunk_1F1 7 0 3 4' |
    "$BUILD/tests/stream/tool_mkstream" >two
vnp-merge -q two two >out
holds 'vnp-cat counts what it reads, as it lies there' \
    "\$1 == $sequences && \$2 == $tokens && \$3 == $(size emb.zst)" < <(of vnp-cat summary sequences tokens bytes_in)
holds 'and what it writes to stdout' "\$1 == $(size json)" < <(of vnp-cat summary bytes_out | sed 1d)
holds 'vnp-cmp counts both sides' "\$1 == 2 * $sequences" < <(of vnp-cmp summary sequences)
holds 'vnp-orf counts its frames' \
    "\$1 == $(grep -c '>' orfs.fa) && \$2 == 0 && \$3 == $(size contigs.fa) && \$4 == $(size orfs.fa)" \
    < <(of vnp-orf summary sequences tokens bytes_in bytes_out)
holds 'vnp-classify counts frames' "\$1 == 48 && \$2 == $(size rows) && \$3 == $(size verdicts)" \
    < <(of vnp-classify summary sequences bytes_in bytes_out)
holds 'vnp-merge counts what it writes' '$1 == 2 && $2 == "-"' < <(of vnp-merge batch sequences efficiency)

# Who waits for whom.
rm log
(sleep 1 && cat hidden.vnp) | vnp-pool -q --none -o out.vnp
holds 'a slow producer: waiting for input' \
    '$1 >= 0.9 && $2 < 0.5 * $4 && $3 < 0.3 * $4' < <(of vnp-pool summary wait_in_s busy_s wait_out_s seconds)
holds 'and the batch that was late says so' '$1 >= 900' < <(of vnp-pool batch wait_in_ms | head -n 1)
rm log
vnp-pool -q --plain --none hidden.vnp | (sleep 1 && cat >out.vnp)
check 'more than a pipe holds' [ "$(size out.vnp)" -gt 2000000 ]
holds 'a slow consumer: waiting for output' \
    '$3 >= 0.8 && $2 < 0.5 * $4 && $1 < 0.3 * $4' < <(of vnp-pool summary wait_in_s busy_s wait_out_s seconds)
rm log
# shellcheck disable=SC2046  # one word thirty times
vnp-cat --json $(yes want.vnp | head -n 200) | (sleep 1 && cat >out)
holds 'text to stdout waits too' '$1 >= 0.8' < <(of vnp-cat summary wait_out_s)

# Six pipelines of four stages into one file at once: small blocks, many lines.
rm log
for k in 1 2 3 4 5 6; do
    VNP_BLOCK=$k VNP_SLOT=gpu$((k % 2)) vnp-fasta2tok -q in.fa | VNP_BLOCK=$k vnp-pack -q -b 128 |
        VNP_BLOCK=$k vnp-cpu-forward -q --model model --threads 1 | VNP_BLOCK=$k vnp-pool -q -o "out$k" &
done
wait
check 'six at once: every line is whole' values t
holds 'six at once: none is lost' '$1 == $2 && $1 > 500 && $3 == 24' < <(values stage what batches |
    awk -F '\t' '$2 == "batch" { n++ } $2 == "summary" { s++; want += $3 } END { print n, want, s }' OFS='\t')
for k in 1 2 3 4 5 6; do
    holds "block $k: its four stages" "NR <= 4 && \$4 == $tokens" < <(values block stage what tokens |
        awk -F '\t' -v k=$k '$1 == k && $3 == "summary"')
done
holds 'block and slot are those of the environment' '$1 == NR && $2 == "gpu" NR % 2' \
    < <(of vnp-fasta2tok summary block slot | sort)

# Text of any kind is JSON.
rm log
VNP_BLOCK=$'a"b\\c\n\td\x01\xff\xc3\xa9' VNP_SLOT='{"t":' vnp-pack -q tokens.vnp >out.vnp
check 'a block of any name is a JSON string' values block slot
grep -Fq 'a"b\c' out && tap ok 'and reads as it was' || tap 'not ok' 'and reads as it was'
VNP_BLOCK='' vnp-pack -q tokens.vnp >out.vnp
holds 'an empty name is none' '$1 == "-"' < <(of vnp-pack summary block | tail -n 1)

# Failure.
rm log
head -c 20000 tokens.vnp >cut.vnp
vnp-pack -q cut.vnp 2>err | vnp-cpu-forward -q --model model 2>err | vnp-pool -q -o out.vnp 2>err
for stage in vnp-pack vnp-cpu-forward vnp-pool; do
    holds "$stage: the status of a failure" '$1 == 65' < <(of $stage summary status)
done
rm log
status 'no model' 66 vnp-cpu-forward --model nowhere batches.vnp
check 'is in the log' [ "$(of vnp-cpu-forward summary status)" = 66 ]
rm log
status 'an output that is full' 74 sh -c 'vnp-pack -q tokens.vnp >/dev/full'
holds 'counts nothing that was not written' '$1 == 74 && $2 == 0 && $3 == 0' \
    < <(of vnp-pack summary status sequences bytes_out)
rm log

# What is no stage at work.
vnp-pack --help >out
vnp-pack --version >out
vnp-model inspect model >out
check 'help, version and vnp-model leave no log' [ ! -e log ]
VNP_LOG_JSON='' vnp-pack -q tokens.vnp >out.vnp
same 'an empty name is no log' out.vnp <(vnp-pack -q -b 8192 tokens.vnp)

# A log that can't be had costs no result.
rm -f log
for log in /dev/full nowhere/log "$T" .; do
    export VNP_LOG_JSON=$log
    check "$log: the stage goes on" vnp-pack -b 2048 -o out.vnp tokens.vnp
    says "$log: a warning says why" '^vnp-pack: warning: VNP_LOG_JSON: .*: can.t be (opened|written): '
    check "$log: one" [ "$(grep -c warning err)" = 1 ]
    same "$log: the same bytes" out.vnp batches.vnp
done
# Nor does one that is no log, or the output.
for log in in.fa model/config.json batches.vnp; do
    cp "$log" before
    VNP_LOG_JSON=$log
    check "$log as log: the stage goes on" vnp-cpu-forward --model model -o out.vnp batches.vnp
    says 'a warning says why' "^vnp-cpu-forward: warning: VNP_LOG_JSON: $log: is a file of another kind, and not added to; going on without$"
    same 'it is untouched' before "$log"
    same 'the same bytes' out.vnp hidden.vnp
done
rm out.vnp
VNP_LOG_JSON=./out.vnp
for stage in 'vnp-pack tokens.vnp' 'vnp-concat want.vnp' 'vnp-orf contigs.fa' 'vnp-cat --json emb.zst'; do
    # shellcheck disable=SC2086  # words
    status "$stage: the output as log" 2 $stage -o out.vnp
    says 'is named' "^${stage%% *}: out.vnp: is the file of VNP_LOG_JSON; choose another name for the output$"
    check 'and not made' [ ! -e out.vnp ]
done

VNP_LOG_JSON=/dev/full
pipeline out.vnp 2>err
same '/dev/full: a whole pipeline' out.vnp want.vnp
status '/dev/full: a failure keeps its status' 65 vnp-pack -q cut.vnp
mkfifo pipe
VNP_LOG_JSON=pipe
check 'a FIFO that nobody reads: the stage goes on' timeout 60 vnp-pack -b 2048 -o out.vnp tokens.vnp
says 'and says so' '^vnp-pack: warning: VNP_LOG_JSON: pipe: can.t be opened: '
same 'the same bytes' out.vnp batches.vnp
exec 8<>pipe # so that there is a reader before the stage comes
head -c 10 pipe >first 8>&- &
until_true 10 sh -c "ls -l /proc/$!/fd | grep -q /pipe" && exec 8>&-
check 'a pipe that nobody reads any more: the stage goes on' vnp-pack -b 2048 -o out.vnp tokens.vnp
wait
same 'the same bytes' out.vnp batches.vnp
exec 8<>pipe
cat pipe >log 8>&- &
until_true 10 sh -c "ls -l /proc/$!/fd | grep -q /pipe"
vnp-pack -q tokens.vnp >out.vnp 8>&-
exec 8>&-
wait
holds 'a pipe that is read is a log' "\$1 == $sequences" < <(of vnp-pack summary sequences)
finish
