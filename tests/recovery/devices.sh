#!/usr/bin/env bash
# Blocks and devices that fail: who tries again, what is reported, when a run gives up. "GPUs" here are the CPU's forward
# stage under another name, which fails at will.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
has_parallel || { skip 'devices' 'GNU parallel is not installed' && finish && exit; }
vnp-model synth 1x1x16 -q -o model --seed 1
awk '/^>/ { n++ } n <= 40' "$PROTEINS" >in.fa
fake_build private
run=out.run
embed() { timeout 120 vnp-embed -d gpu --gpus 0,1 -m model --block 5 -o out "$@"; }
embed -q --gpus 0 in.fa && mv out want
begun() { grep -c "^$1" "$fake/computed"; }
afresh() { rm -rf out out.run "${fake:?}"/*; }

# --- a block that fails -----------------------------------------------------------------------------------------------------

afresh && echo 70 >"$fake/fail1.000003"
check 'a block fails on one GPU' embed -q in.fa
check 'it is redone' [ "$(begun 000003)" = 2 ]
check 'on the other' [ "$(grep '^000003' "$fake/computed" | sort -u | wc -l)" = 2 ]
check 'all others are computed once' [ "$(wc -l <"$fake/computed")" = 9 ]
same 'the result is right' want out
check 'nothing is left' nothing_left out

afresh && echo 71 >"$fake/fail.000003"
status 'a block fails on both' 71 embed -q in.fa
says 'it is reported with its records and the cause' \
    '^vnp-embed: block 000003 \(records 15 to 19\) failed on gpu[01] and gpu[01]: vnp-gpu-forward: broken at will'
says 'and the way out' '1 of 8 blocks failed; the others are kept, and --retry-failed'
check 'the others are computed, once' [ "$(wc -l <"$fake/computed")" = 9 ]
check 'there is no result' [ ! -e out ]
rm "$fake"/*
status 'the same command' 71 embed -q in.fa
says 'reports it again' 'block 000003 \(records 15 to 19\) failed on gpu'
check 'and computes nothing' [ ! -e "$fake/computed" ]
check '--retry-failed' embed -q --retry-failed in.fa
check 'computes this block alone' [ "$(<"$fake/computed")" = "$(grep '^000003' "$fake/computed")" ]
same 'the result is right' want out
check 'nothing is left' nothing_left out

afresh && echo 71 >"$fake/fail.000003"
status 'on a single GPU' 71 embed -q --gpus 0 in.fa
says 'a block that fails twice is reported too' 'block 000003 \(records 15 to 19\) failed on gpu0 and gpu0: '
check 'and the others are computed' [ "$(wc -l <"$fake/computed")" = 9 ]
afresh && echo 137 >"$fake/fail.000003"
status 'a stage that is killed each time' 137 embed -q in.fa
rm "$fake"/*
check 'says nothing of its block: it is tried again unasked' embed -q in.fa
check 'and that alone' [ "$(wc -l <"$fake/computed")" = 1 ]
same 'the result is right' want out

afresh
for i in 0 1 2 3 4 5 6 7; do echo 65 >"$fake/fail.00000$i"; done
status 'all blocks fail from the start' 65 embed -q in.fa
says 'it ends soon, and says why' '^vnp-embed: the first blocks all failed: vnp-gpu-forward: broken at will'
check 'not after all of them' [ "$(wc -l <"$fake/computed")" -lt 16 ]
afresh
check 'when that is mended, it goes on' embed -q --retry-failed in.fa
same 'to the right result' want out

# --- a device that fails ------------------------------------------------------------------------------------------------------

afresh && echo 70 >"$fake/fail.gpu1"
check 'a GPU fails, but answers' embed -q in.fa
same 'the other does the work' want out
afresh && touch "$fake/dead.gpu1"
check 'a GPU that no longer answers' embed -q in.fa
says 'is given up' '^vnp-embed: gpu1: vnp-gpu-forward: the device fell off: its blocks go to others'
check 'once' [ "$(grep -c 'go to others' "$T/err")" = 1 ]
same 'the other does the work' want out
afresh && touch "$fake/dead.gpu0" "$fake/dead.gpu1"
status 'no GPU answers any more' 69 embed -q in.fa
says 'it is said, with the way out' '^vnp-embed: no device is left; --device cpu --restart begins anew without a GPU$'
check 'no block is blamed' [ -z "$(find "$run/failed" -type f)" ]
rm "$fake"/*
check 'the same command goes on' embed -q in.fa
same 'to the right result' want out
afresh && touch "$fake/dead.gpu0"
status 'the only GPU does not answer' 69 embed -q --gpus 0 in.fa
says 'it is said, with the way out' '^vnp-embed: no device is left; --device cpu --restart begins anew without a GPU$'
check 'which is one' vnp-embed -q -d cpu --restart -m model -o out in.fa

# Numbers count among the GPUs that the environment names.
some() { CUDA_VISIBLE_DEVICES=5,7 timeout 120 vnp-embed -q -d gpu --gpus "$1" -m model --block 5 -o out in.fa; }
afresh
check 'the second of two GPUs that are visible' some 1
check 'is used' [ "$(cut -d ' ' -f 2 "$fake/computed" | sort -u)" = gpu7 ]
status 'a third' 2 some 0,2
says 'is not there' '^vnp-embed: --gpus: there is no GPU 2: CUDA_VISIBLE_DEVICES names 2'

# What is tried beforehand, and one stream, goes to the GPU that is named.
for how in '' '--block 0'; do
    afresh
    # shellcheck disable=SC2086  # options are words
    check "one GPU${how:+, $how}" embed -q --gpus 3 $how in.fa
    check 'no other is asked' [ "$(sort -u "$fake/tried")" = 3 ]
done
status 'one stream through two' 2 embed -q --gpus 0,1 --block 0 in.fa
says 'is refused' '^vnp-embed: --gpus 0,1 needs a file as output'
echo : >here
status 'or through hosts' 2 vnp-embed -q --hosts here -m model -o - in.fa
says 'is refused, too' '^vnp-embed: --hosts needs a file as output'

# Parts of a GPU may have names with slashes.
parts=MIG-GPU-5e-a/3/0,MIG-GPU-5e-a/4/0
sliced() { CUDA_VISIBLE_DEVICES=$parts timeout 120 vnp-embed -q -d gpu -m model --block 5 -o out "$@" in.fa; }
for how in '' '--gpus 1' '--hosts here'; do
    afresh && echo 2/: >here
    # shellcheck disable=SC2086  # options are words
    check "parts of a GPU${how:+, $how}" sliced $how
    sort -u "$fake/visible" >got
    tr , '\n' <<<"$([ "$how" = '--gpus 1' ] && echo "${parts#*,}" || echo "$parts")" >want.visible
    same 'are what CUDA shows' want.visible got
    same 'the result is right' want out
    check 'nothing is left' nothing_left out
done
afresh && touch "$fake/dead.gpuMIG-GPU-5e-a_4_0"
check 'a part that fails' sliced
says 'is given up' '^vnp-embed: gpuMIG-GPU-5e-a_4_0: .*: its blocks go to others'
same 'the other does the work' want out

afresh && echo 2/: >here
status '--gpus beside --hosts' 2 embed -q --gpus 1 --hosts here in.fa
says 'is refused' '^vnp-embed: --gpus goes without --hosts: '
check 'this host, as one of several' env CUDA_VISIBLE_DEVICES=5,7 timeout 120 vnp-embed -q -d gpu --hosts here -m model --block 5 -o out in.fa
check 'has the GPUs that are visible' [ "$(cut -d ' ' -f 2 "$fake/computed" | sort -u | paste -sd ' ')" = 'gpu5 gpu7' ]

status 'a folder of hosts' 66 vnp-embed -q -d cpu --hosts private -m model -o out in.fa
afresh && printf '\xef\xbb\xbf2/:\r\n' >here
check 'hosts as Windows writes them' env CUDA_VISIBLE_DEVICES=5,7 timeout 120 vnp-embed -q -d gpu --hosts here -m model --block 5 -o out in.fa

# One GPU of another host: a block that fails there is asked after by ssh, which takes what is on its standard input.
cat >ssh <<'END'
#!/usr/bin/env bash
while [ $# -gt 1 ]; do shift; done
cat | bash -c "$1"
END
chmod +x ssh
sed -i "2i export fake=$fake" private/bin/vnp-gpu-forward private/bin/vnp-concat
echo elsewhere >one
elsewhere() { VNP_SSH=$PWD/ssh timeout 120 vnp-embed -q -d gpu --hosts one -m model --block 5 -o out in.fa; }
afresh && echo 70 >"$fake/fail1.000003"
check 'a block fails once on the only GPU of another host' elsewhere
check 'all are computed, and that again' [ "$(wc -l <"$fake/computed")" = 9 ]
same 'the result is right' want out

# auto: whether a GPU answers is asked here alone.
chosen() { # chosen HOSTS: a run by auto, and a letter for each device that took part
    VNP_SSH=$PWD/ssh timeout 120 vnp-embed -q -m model --threads 1 --block 5 -o out --hosts "$1" in.fa &&
        [ "$(cut -d ' ' -f 2 "$fake/computed" | cut -c 1 | sort -u)" = "$2" ]
}
printf '2/:\n' >here
printf '%s\n' : elsewhere >both
for hosts in here:g one:g both:g; do afresh && check "--device auto with --hosts ${hosts%:*}, a GPU here" chosen ${hosts/:/ }; done
for hosts in here:c one:g; do
    afresh && touch "$fake/dead."
    check "--device auto with --hosts ${hosts%:*}, no GPU here" chosen ${hosts/:/ }
done

for ssh in nosuchssh './nosuchssh -p 22'; do
    afresh
    status "VNP_SSH=$ssh, which is not there" 69 env VNP_SSH="$ssh" vnp-embed -q -d gpu --hosts one -m model --block 5 -o out in.fa
    says 'is named' "^vnp-embed: ${ssh%% *}: no such program: .* VNP_SSH names"
    check 'and nothing is begun' [ "$(wc -l <"$T/err") $(compgen -G 'out*')" = '1 ' ]
done

# --- GNU parallel -------------------------------------------------------------------------------------------------------------

mkdir bare
ln -s /usr/bin/* bare/ 2>/dev/null
rm -f bare/parallel
without() { PATH=$PWD/private/bin:$PWD/bare embed "$@"; }
afresh
status 'without GNU parallel, two GPUs' 69 without -q in.fa
says 'it is named, and the way out' 'GNU parallel is not installed .*--gpus 0 uses one'
check 'one GPU works' without -q --gpus 0 in.fa
same 'to the same bytes' want out

# --- what is written beside the result ----------------------------------------------------------------------------------------

afresh && echo 71 >"$fake/fail.000003"
rm -f log
status 'a log, of a run that is stopped' 71 embed -q --log-json log in.fa
rm "$fake"/*
check 'and continued' embed -q --log-json log --retry-failed in.fa
"$BUILD/tests/telemetry/tool_jsonlines" stage what block <log >lines 2>"$T/err"
check 'is JSON, line by line' [ $? = 0 ]
awk '$1 == "vnp-pool" && $2 == "summary" { print $3 }' lines | sort | uniq -c | awk '{ print $1 }' | paste -sd ' ' >summaries
check 'with a summary of each block, once' [ "$(<summaries)" = '1 1 1 1 1 1 1 1' ]
afresh && before=$(ls -A)
check '--dry-run' embed -q --dry-run in.fa
check 'leaves nothing' [ "$before" = "$(ls -A)" ]
check 'in no place' nothing_left out

# --- without --block, and with any $SHELL -------------------------------------------------------------------------------------

blocks() { sed 1d "$run/blocks/blocks.tsv" | awk '{ n++; all += $4; if ($4 > most) most = $4 } END { print n, (most < 0.6 * all ? "even" : "uneven") }'; }
cut() { vnp-embed -q -d gpu --gpus 0,1 -m model --prepare -o out "$@"; }
afresh
check 'two GPUs and no --block' cut in.fa
check 'are given as much each' [ "$(blocks)" = '2 even' ]
afresh
check 'standard input can only be read once' timeout 120 vnp-embed -q -d gpu --gpus 0,1 -m model -o out <in.fa
same 'and is computed' want out
afresh && : >./-
check 'a file named - is not it' sh -c 'timeout 120 vnp-embed -q -d gpu --gpus 0,1 -m model -o out - <in.fa'
same 'and is computed' want out
rm ./-
afresh
check 'what comes through a pipe can only be read once' sh -c 'cat in.fa | timeout 120 vnp-embed -q -d gpu --gpus 0,1 -m model -o out -'
same 'and is computed all the same' want out
afresh && echo 'no FASTA' >bad.fa
status 'bad input, counted first' 65 cut bad.fa
check 'is named once' [ "$(grep -c '^vnp-fasta2tok: bad.fa:' "$T/err")" = 1 ]
check 'and nothing is left' nothing_left out
for shell in /bin/false ''; do # GNU parallel would run its jobs in it
    afresh
    if [ -n "$shell" ]; then
        check "\$SHELL is $shell" env SHELL=$shell timeout 120 vnp-embed -q -d gpu --gpus 0,1 -m model --block 5 -o out in.fa
    else
        check 'there is no $SHELL' env -u SHELL timeout 120 vnp-embed -q -d gpu --gpus 0,1 -m model --block 5 -o out in.fa
    fi
    same 'the result is right' want out
done

# --- names that mean something to GNU parallel, and lists of hosts as they come ---------------------------------------------------

afresh
embedded() { timeout 120 vnp-embed -q -d cpu --threads 1 -m model --block 5 -o "$1" --hosts "$2" in.fa; }
printf '2/:\n' >hosts
mkdir 'c{}d'
for name in 'a{}b' 'a{= $_="x" =}b' 'a{#} {.}{1}' "$PWD/c{}d/out"; do
    check "output in $name" embedded "$name" hosts
    vnp-cmp -q --min-cosine 0.9999 want "$name" || : >differs
    check 'nothing is left' nothing_left "$name"
    rm -f "$name"
done
check 'the results are right' [ ! -e differs ]
mkdir 'inst {x} a' && cp -rL "$BUILD/bin" "$BUILD/lib" 'inst {x} a'
check 'installed under such a name' env PATH="$PWD/inst {x} a/bin:$PATH" timeout 120 vnp-embed -q -d cpu --threads 1 -m model --block 5 -o out --hosts hosts in.fa
rm -rf 'inst {x} a' out
printf '2/:' >hosts
check 'a list of hosts whose last line has no end' embedded out hosts
rm -f out
printf '2/:\r\n' >hosts
check 'or ends in CRLF' embedded out hosts
rm -f out
printf '  # ours\n\n2/: # two at a time\n' >hosts
check 'or has comments' embedded out hosts
rm -f out
export VNP_SSH=false
for line in x:hostname h:22 user@: '1/' '2/ :' 1/a/b 0/h 10000/h '8/h1 8/h2' 'h slots=8' @x a+b a%b x,y ssh://me@h:22 'x[1-2]' 'a{}' \
    -x me@-x fe80::1%eth0 '[::1]' 'a\b' me@; do
    printf '%s\n' '# hosts' : "$line" >hosts
    status "a host $line" 65 embedded out hosts
    says 'is named' '^vnp-embed: hosts:3: not \[N/\]HOST: .*VNP_SSH'
    check 'and nothing is begun' [ "$(wc -l <"$T/err") $(compgen -G 'out*')" = '1 ' ]
done
# Those that are names, to GNU parallel too.
cat >ssh <<'END'
#!/usr/bin/env bash
while [ $# -gt 2 ]; do shift; done
echo "$1" >>"$0.hosts"
case $1 in gone@* | gone) exit 255 ;; esac
exec bash -c "$2"
END
chmod +x ssh
printf '%s\n' h-1.b_c me.x-y@h ::1 me@2001:db8::5 10.0.0.1 gone@h >hosts
check 'users, names and addresses' env VNP_SSH="$PWD/ssh" timeout 120 vnp-embed -q -d cpu --threads 1 -m model --block 1 -o out --hosts hosts in.fa
says 'one of which does not answer' '^vnp-embed: gone@h does not answer: its blocks go to others$'
check 'and is given up, once' [ "$(wc -l <"$T/err")" = 1 ]
sort -u ssh.hosts >got
sort hosts >want.hosts
same 'are what ssh is told' want.hosts got
rm -f out && printf '%s\n' gone me@gone >hosts # a login each
check 'another login of a host that does not answer' env VNP_SSH="$PWD/ssh" timeout 120 vnp-embed -q -d cpu --threads 1 -m model --block 1 -o out --hosts hosts in.fa
check 'does all the work' [ "$(cat "$T/err")" = 'vnp-embed: gone does not answer: its blocks go to others' ]
finish
