#!/usr/bin/env bash
# Outputs that fail: a full disk, a closed stdout, a terminal, a reader that goes away.
. "$(dirname "$0")/../lib.sh"
cd "$T" || exit 2
awk 'BEGIN { for (r = 0; r < 20000; r++) print ">r" r "\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSG" }' >in.fa

status 'a full disk' 74 sh -c 'vnp-fasta2tok in.fa >/dev/full'
says 'a full disk: says so' '^vnp-fasta2tok: stdout: .*No space left on device'
status 'a full disk at the last frame' 74 sh -c 'printf ">a\nM\n" | vnp-fasta2tok >/dev/full'
status '-o on a full disk' 74 vnp-fasta2tok -o /dev/full in.fa
status 'a closed stdout' 74 sh -c 'vnp-fasta2tok in.fa >&-'
check 'a closed stdout: one line' [ "$(grep -c '^vnp-fasta2tok: stdout' "$T/err")" = 1 ]
status 'an output folder that does not exist' 73 vnp-fasta2tok -o nowhere/out.tok in.fa
status 'an early end of the next stage: SIGPIPE' 141 bash -c 'set -o pipefail; vnp-fasta2tok -q in.fa | head -c 100'
status 'also where that is ignored' 141 bash -c 'trap "" PIPE; set -o pipefail; vnp-fasta2tok -q in.fa | head -c 100'
check 'without a word' [ ! -s err ]

if script -qec true /dev/null >/dev/null 2>&1; then
    script -q -e -c 'vnp-fasta2tok in.fa' /dev/null >tty.txt 2>&1 </dev/null
    check 'a terminal as stdout: exit 2' [ $? = 2 ]
    check 'a terminal as stdout: refused with the way out' grep -q 'vnp-fasta2tok: stdout is a terminal.*-o FILE' tty.txt
    check 'a terminal as stdout: nothing binary on it' sh -c '[ "$(wc -c <tty.txt)" -lt 300 ]'
else
    skip 'a terminal as stdout' 'script(1) of util-linux is not here'
fi

# Killed half way, nothing is left under the name or beside it.
mkdir folder
mkfifo fifo
exec 3<>fifo
vnp-fasta2tok -q -o folder/x.tok fifo 3<&- &
pid=$!
cat in.fa >&3
sleep 0.5
check 'unfinished: not under its name yet' [ ! -e folder/x.tok ]
kill -TERM "$pid"
wait "$pid" 2>/dev/null
check 'killed: no file' [ -z "$(ls folder)" ]
check 'an old file of that name stays when the input is bad' sh -c 'echo old >folder/y.tok
    ! vnp-fasta2tok -o folder/y.tok /dev/null 2>/dev/null && [ "$(cat folder/y.tok)" = old ] && [ "$(ls folder)" = y.tok ]'
finish
