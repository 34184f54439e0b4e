#!/usr/bin/env bash
# vnp-log: logs of many blocks, whole and damaged, to one table.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2

line() { # line STAGE SECONDS IN BUSY OUT SEQUENCES TOKENS [BLOCK]
    printf '{"t":1764280000.123,"stage":"%s","what":"summary","status":0,"seconds":%s,"wait_in_s":%s,' "${@:1:3}"
    printf '"busy_s":%s,"wait_out_s":%s,"cpu_s":1.5,"batches":7,"sequences":%s,"tokens":%s,' "${@:4:4}"
    printf '"tokens_per_s":11,"bytes_in":5,"bytes_out":6%s}\n' "${8:+,\"block\":\"$8\"}"
}
batch() { # batch STAGE
    printf '{"t":1764280000.123,"stage":"%s","what":"batch","n":0,"sequences":99,"tokens":999,"busy_ms":12345.6}\n' "$1"
}
{ batch vnp-fasta2tok; batch vnp-pack; batch vnp-cpu-forward; batch vnp-pool
  line vnp-pool 10 9.5 0.25 0.25 50 5000 1; line vnp-fasta2tok 9 1 2 6 50 5000 1
  line vnp-pack 10 0.5 0.5 9 50 5000 1; line vnp-cpu-forward 10 0 10 0 50 5000 1; } >one
{ line vnp-fasta2tok 11 1 3 7 70 7000 2; line vnp-pack 10 0 0.5 9.5 70 7000 2
  line vnp-cpu-forward 15 0.5 14 0.5 70 7000 2; line vnp-pool 15 15 0 0 70 7000 2; } >two
cat >want <<'EOF'
stage                    busy s  for input for output    busy    sequences          tokens     tokens/s
vnp-fasta2tok               5.0        2.0       13.0   25.0%          120           12000         2400
vnp-pack                    1.0        0.5       18.5    5.0%          120           12000        12000
vnp-cpu-forward            24.0        0.5        0.5   96.0%          120           12000          500
vnp-pool                    0.2       24.5        0.2    1.0%          120           12000        48000
slowest stage: vnp-cpu-forward (busy 96.0% of the time)
EOF
table() { # table NAME COMMAND...: prints what is wanted
    check "$1" "${@:2}"
    same "$1: the table" out want
}
table 'two logs' vnp-log one two
cat one two >both
table 'one' vnp-log both
table 'on stdin' sh -c 'vnp-log <both'
table 'as -' sh -c 'vnp-log one - <two'
cp both a=b
table 'a file whose name has a =' vnp-log a=b

# Lines cut short: alone, at the end, with another line stuck to what is left of them; and lines of another kind.
whole=$(line vnp-pack 1000 1000 1000 1000 1000 1000)
{ for n in 1 20 60 100 150 200 230; do
    printf '%s\n' "${whole:0:n}"
    printf '%s' "${whole:0:n}"
    line vnp-cut 1000 1000 1000 1000 1000 1000
  done
  echo; echo '{}'; echo '[1,2]'; echo text; echo '"what":"summary"'; printf '\0\377\n'
  cat both; printf '%s' "${whole:0:180}"; } >damaged
table 'lines cut short are passed over' vnp-log damaged
name='\"what\":\"summary\",\"busy_s\":777, \"stage\":\"x\",{\"t\":'
{ cat one && line vnp-fasta2tok 11 1 3 7 70 7000 "$name" && sed 1d two; } >names
table 'what is in a name counts for nothing' vnp-log names

sed 's/"block":"2"/"block":"2\/dna"/' two >parts
check 'blocks with parts' vnp-log one parts
check 'are a line for each part' [ "$(cut -d ' ' -f 1,2 out | grep -c '^vnp-[a-z0-9-]* dna$')" = 4 ]

line vnp-orf 2 1 1 0 5 0 >orf
check 'a stage without tokens' vnp-log orf
grep -q '^vnp-orf  .* 5  *0  *0$' out && tap ok 'has no rate' || tap 'not ok' 'has no rate'
line vnp-orf 0 0 0 0 0 0 >none
check 'a stage that took no time' vnp-log none
check 'is the slowest there is' [ "$(tail -n 1 out)" = 'slowest stage: vnp-orf (busy 0.0% of the time)' ]
line vnp-pool 4e15 1 2 3 123456789012 9007199254740993 | sed 's/4e15/4000000000000000/' >large
check 'large counts' vnp-log large
grep -q ' 123456789012 *900719925474099[0-9] ' out && tap ok 'are whole numbers' || tap 'not ok' 'are whole numbers'

for log in /dev/null orf.txt; do
    [ -e "$log" ] || batch vnp-pack >"$log"
    status "$log: no summary in it" 65 vnp-log "$log"
    says "$log: says so" '^vnp-log: no summary of a stage in it'
    check "$log: no table" [ ! -s out ]
done
status 'no such file' 66 vnp-log one nowhere
says 'no such file: says so' '^vnp-log: nowhere: no such file'
status 'a directory' 66 vnp-log .
status 'standard input is closed' 74 timeout 10 sh -c 'exec vnp-log <&-'
status 'a full disk' 74 sh -c 'vnp-log one >/dev/full'
says 'says so' "^vnp-log: stdout: can't be written"
check 'in one line' [ "$(wc -l <"$T/err")" = 1 ]

# What stages write is what it reads.
vnp-fasta2tok -q "$PROTEINS" >tokens.vnp
VNP_LOG_JSON=log vnp-pack -q tokens.vnp >batches.vnp
check 'a real log' vnp-log log
grep -q '^vnp-pack .* 85  *26579 ' out && tap ok 'its counts' || tap 'not ok' 'its counts'
check 'its last line' [ "$(grep -Ec '^slowest stage: vnp-pack \(busy [0-9.]+% of the time\)$' out)" = 1 ]
finish
