#!/usr/bin/env bash
# vnp-slurm under a real Slurm: munged, slurmctld and two nodes (slurmd) of this test's own on this machine, on the
# loopback device alone. Jobs run stages that can be told to hang or fail at a block, so that nothing depends on time.
. "$(dirname "$0")/../lib.sh"

once 'Slurm'
PATH=$PATH:/usr/sbin
for program in munged slurmctld slurmd sbatch; do
    command -v $program >/dev/null || why="$program is not installed"
done
[ "$(id -u)" = 0 ] || why='takes root'
if [ -n "${why-}" ]; then
    skip 'Slurm' "$why"
    finish
    exit
fi

# --- Slurm ------------------------------------------------------------------------------------------------------------

mkdir "$T/work" "$T/slurm" "$T/slurm/state" "$T/slurm/spool" "$T/hold" && cd "$T/work" || exit 2
export SLURM_CONF=$T/slurm/slurm.conf
daemons=()
leave() {
    local process
    cd /
    kill "${daemons[@]}" 2>/dev/null
    sleep 0.5
    kill -KILL "${daemons[@]}" 2>/dev/null
    for process in /proc/[0-9]*; do # what jobs have left, and each one's slurmstepd
        case $(readlink "$process/cwd") in "$T"/*) kill -KILL "${process#/proc/}" 2>/dev/null ;; esac
    done
    wait
    rm -rf "$T"
}
trap leave EXIT
trap 'exit 143' TERM
daemon() { # daemon COMMAND...: ends with this test, whatever ends that
    setpriv --pdeathsig KILL -- "$@" >>"$T/slurm/daemons.log" 2>&1 &
    daemons+=($!)
}
configure() { # configure PORT: Slurm's; the two nodes have the next ones
    cat >"$SLURM_CONF" <<EOF
ClusterName=vnp-test
SlurmctldHost=localhost(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$T/slurm/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$1
StateSaveLocation=$T/slurm/state
SlurmdSpoolDir=$T/slurm/spool/%n
SlurmctldPidFile=$T/slurm/slurmctld.pid
SlurmdPidFile=$T/slurm/%n.pid
SlurmctldLogFile=$T/slurm/slurmctld.log
SlurmdLogFile=$T/slurm/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
KillWait=2
MaxArraySize=5
NodeName=n0 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$(($1 + 1)) CPUs=4
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$(($1 + 2)) CPUs=4
PartitionName=all Nodes=ALL Default=YES
EOF
}
both_idle() { [ "$(sinfo -h -N -t idle | wc -l)" = 2 ]; }
head -c 128 /dev/urandom >"$T/slurm/munge.key" && chmod 600 "$T/slurm/munge.key"
daemon munged --foreground --force --key-file="$T/slurm/munge.key" --socket="$T/slurm/munge.socket" \
    --pid-file="$T/slurm/munged.pid" --log-file="$T/slurm/munged.log" --seed-file="$T/slurm/munge.seed"
until_true 5 [ -S "$T/slurm/munge.socket" ]
configure $((20000 + $$ % 3000 * 3))
daemon slurmctld -D -c
daemon slurmd -D -N n0
daemon slurmd -D -N n1
if ! until_true 15 both_idle; then
    tap 'not ok' 'Slurm starts'
    tail -n 3 "$T"/slurm/*.log | sed 's/^/# /'
    finish
    exit 1
fi

# --- what there is to compute -----------------------------------------------------------------------------------------

# An installation whose forward stages look at hold/BLOCK: "hang" waits until the file is gone, "fail" fails. That for the
# GPU knows of one within jobs alone, which is a CPU.
mkdir -p vnp/bin vnp/lib
cp -r "$BUILD/lib/vnp" vnp/lib
for binary in "$BUILD"/bin/*; do ln -s "$binary" vnp/bin; done
rm -f vnp/bin/vnp-{embed,predict,slurm,cpu-forward,gpu-forward}
cp "$BUILD"/bin/vnp-{embed,predict,slurm} vnp/bin
cat >vnp/bin/vnp-cpu-forward <<EOF
#!/usr/bin/env bash
hold=$T/hold/\${VNP_BLOCK-}
case \$(cat "\$hold" 2>/dev/null) in
hang) touch "\$hold.hangs" && while [ -e "\$hold" ]; do sleep 0.1; done ;;
fail) set -- "\$@" --layer 99 ;;
esac
exec "$BUILD/bin/vnp-cpu-forward" "\$@"
EOF
cat >vnp/bin/vnp-gpu-forward <<EOF
#!/usr/bin/env bash
[ -n "\${SLURM_JOB_ID-}" ] || { echo 'vnp-gpu-forward: no CUDA device' >&2 && exit 69; }
[[ " \$* " != *' --probe '* ]] || exit 0
[ -z "\${VNP_BLOCK-}" ] || echo "\$VNP_SLOT \${CUDA_VISIBLE_DEVICES-}" >>"$T/devices"
exec "$BUILD/bin/vnp-cpu-forward" "\$@"
EOF
chmod +x vnp/bin/vnp-?pu-forward
PATH=$PWD/vnp/bin:$PATH
vnp-model synth 2x2x32 -q -o model --seed 1
vnp-model synth dnabert-s:2x2x32 -q -o dnabert
vnp-model synth classifier:64 -q -o classifier
cp "$ROOT/tests/golden/tokenizers/dna4096.json" dnabert/tokenizer.json
awk '/^>/ { n++ } n <= 12' "$PROTEINS" >in.fa
cp "$ROOT/tests/data/contigs.fa" .
embed=(vnp-embed --device cpu --threads 1 --model model --block 1)
models=(--esm model --dnabert dnabert --classifier classifier)
vnp-fasta2tok -q in.fa | vnp-pack -q | vnp-cpu-forward -q --model model | vnp-pool -q >want.zst
vnp-fasta2tok -q in.fa | vnp-pack -q | vnp-cpu-forward -q --model model --pool mean | vnp-pool -q >pooled.zst
vnp-predict -q -d cpu --threads 1 "${models[@]}" -o want contigs.fa
hang() { echo hang >"$T/hold/$1"; }
fail() { echo fail >"$T/hold/$1"; }
hangs() { until_true 90 [ -e "$T/hold/$1.hangs" ]; }
release() { rm -f "$T/hold/$1" "$T/hold/$1.hangs"; }
gone() { [ -z "$(squeue -h)" ]; }
last() { tail -n 1 "$1"; }
ended() { # ended JOB WANT: status of the last job, whose messages become err
    until_true 120 sh -c "! squeue -h -j $1 2>/dev/null | grep -q ."
    scontrol show job -o "$1" | grep -Eq " ExitCode=$2:0 "
}

# --- nothing goes wrong -----------------------------------------------------------------------------------------------

vnp-slurm --wait --job-name=proteins -- "${embed[@]}" -o 'got 1%.zst' --log-json run.json in.fa >ids 2>err &
embeds=$!
vnp-slurm --wait -- vnp-predict -d cpu --threads 1 "${models[@]}" --block 10 -o results contigs.fa >ids.predict 2>err.predict &
predicts=$!
vnp-slurm --wait --export=ALL,CUDA_VISIBLE_DEVICES=7 -- "${embed[@]}" --device gpu -o gpu.zst in.fa >ids.gpu 2>err.gpu &
gpus=$!
vnp-slurm --wait --export=ALL,CUDA_VISIBLE_DEVICES=7 -- vnp-predict -d gpu --threads 1 "${models[@]}" --restart --block 10 -o gpu contigs.fa >ids.gpu 2>err.gpu-predict &
gpu_predicts=$!
status 'vnp-embed in jobs' 0 wait $embeds
cp err "$T/err"
same 'gives the same as without' want.zst 'got 1%.zst'
says 'all blocks were computed by the tasks' 'goes on: 12 of 12 blocks are done'
says 'more blocks than an array may have: several a task' "^vnp-slurm: job [0-9]+: 12 blocks in 4 tasks"
check 'the numbers of two jobs' [ "$(grep -cE '^[0-9]+$' ids)" = 2 ]
check 'nothing is left of the run' [ ! -e 'got 1%.zst.run' ]
check 'but the messages of the last job' grep -q 'vnp-embed: 12 of 12 sequences' 'got 1%.zst.slurm.log'
check 'the name is ours to give' [ "$(scontrol show job -o "$(last ids)" | grep -o 'JobName=[a-z]*')" = JobName=proteins ]
check 'the log is of the tasks, too' [ "$(grep -c '"stage":"vnp-cpu-forward","what":"summary"' run.json)" = 12 ]
status 'vnp-predict in jobs' 0 wait $predicts
cp err.predict "$T/err"
says 'all blocks were computed by the tasks' 'goes on: ([0-9]+) of \1 blocks are done'
check 'gives the same as without' diff -r want results
status 'without a GPU here, with one in the jobs' 0 wait $gpus
same 'the same' pooled.zst gpu.zst
check 'CUDA_VISIBLE_DEVICES is left as Slurm has it' [ "$(sort -u "$T/devices")" = 'gpu 7' ]
status 'vnp-predict likewise' 0 wait $gpu_predicts
cp err.gpu-predict "$T/err"
says 'without counting on what could not be tried' 'DNABERT-S runs on the CPU: no GPU is here to try it'
check 'gives the same' diff -r want gpu

# --- what is refused --------------------------------------------------------------------------------------------------

status 'no command' 2 vnp-slurm --partition=all
status 'another command' 2 vnp-slurm -- vnp-cat want.zst
says 'is named' 'the command is vnp-embed or vnp-predict, not vnp-cat'
for option in --array=0-3 -a0-3 --wrap=true --parsable --test-only --chdir=/ '--chdir /' -D/ --output=out '-o out' --error=err -eerr --open-mode=truncate; do
    # shellcheck disable=SC2086  # words
    status "$option" 2 vnp-slurm $option -- "${embed[@]}" -o new.zst in.fa
    case $option in --*) name=${option%%[= ]*} ;; *) name=${option:0:2} ;; esac
    says 'is refused' "^vnp-slurm: $name: is no option here: "
    check 'in a line' [ "$(wc -l <"$T/err")" = 1 ]
done
status 'an sbatch that submits nothing' 69 vnp-slurm -V -- "${embed[@]}" --restart -o new.zst in.fa
says 'is noticed' '^vnp-slurm: sbatch gave no number of a job, but: slurm'
status 'no device' 2 vnp-slurm -- vnp-embed -m model -o new.zst in.fa
says 'is asked for' '^vnp-embed: .*say --device gpu or --device cpu'
status 'standard input' 2 vnp-slurm -- "${embed[@]}" -o new.zst - <in.fa
says 'can not be' '^vnp-embed: .*standard input'
status 'standard input of vnp-predict' 2 vnp-slurm -- vnp-predict -d cpu "${models[@]}" -o new <contigs.fa
status 'a pipe' 2 vnp-slurm -- "${embed[@]}" -o new.zst <(cat in.fa)
status 'standard output' 2 vnp-slurm -- "${embed[@]}" -o - in.fa
status 'a missing file' 66 vnp-slurm -- "${embed[@]}" -o new.zst missing.fa
status 'an option that sbatch does not know' 69 vnp-slurm --no-such-option -- "${embed[@]}" -o new.zst in.fa
says 'is told' 'no-such-option'
status '--hosts' 2 vnp-slurm -- "${embed[@]}" --hosts <(echo elsewhere) --restart -o new.zst in.fa
status '--dry-run' 0 vnp-slurm -- "${embed[@]}" --dry-run in.fa
cp "$T/out" plan
check 'prints the plan' grep -q '^CPU memory' plan
check 'and no job was submitted for any' gone
rm -rf new.zst.run

# --- twice, and at the same time --------------------------------------------------------------------------------------

submit() { vnp-slurm "$@" -- "${embed[@]}" -o new.zst in.fa; }
status 'a submission that waits' 0 submit --begin=now+1hour --array-max 2
cp "$T/out" ids
check '--array-max' sh -c "scontrol show job -o $(head -n 1 ids) | grep -q ArrayTaskThrottle=2"
status 'the same again' 73 submit
says 'is refused' "is submitted already, as $(paste -sd ' ' ids | sed 's/ / and /'): "
check 'scancel' sh -c "scancel $(paste -sd ' ' ids)" && until_true 10 gone

hang 000005
status 'another' 0 submit
cp "$T/out" ids
hangs 000005
status 'while tasks are at work, the command' 73 "${embed[@]}" -o new.zst in.fa
says 'is refused' "new.zst.run: tasks of Slurm are at work there \(jobs $(paste -sd ' ' ids);"
status 'and so is vnp-slurm' 73 submit
says 'with the same words' 'new.zst.run: tasks of Slurm are at work there'

# --- tasks that are killed --------------------------------------------------------------------------------------------

# Of the four tasks with three blocks each, the second is killed at its third; the other eleven are kept.
others_done() { [ "$(find new.zst.run/done -name '*.vnp' | wc -l)" = 11 ]; }
until_true 90 others_done
check 'SIGKILL for a task' scancel --signal=KILL "$(head -n 1 ids)_1"
release 000005
check 'the last job mends it' ended "$(last ids)" 0
check 'it cost the block in flight alone' grep -q 'goes on: 11 of 12 blocks are done' new.zst.slurm.log
same 'the same bytes' want.zst new.zst

rm new.zst new.zst.slurm.log
hang 000005
submit --nice=0 >ids 2>err
hangs 000005
until_true 90 others_done
check 'a task is requeued' scontrol requeue "$(head -n 1 ids)_1"
release 000005
check 'and all ends well' ended "$(last ids)" 0
check 'the task had computed its block' grep -q 'goes on: 12 of 12 blocks are done' new.zst.slurm.log
same 'the same bytes' want.zst new.zst

rm new.zst new.zst.slurm.log
hang 000004
submit --nice=0 >ids 2>err
hangs 000004
check 'scancel of everything' sh -c "scancel $(paste -sd ' ' ids)"
until_true 20 gone
release 000004
kept=$(find new.zst.run/done -name '*.vnp' | wc -l)
check 'keeps what is done' [ "$kept" -gt 0 ]
check 'and no failure' [ -z "$(ls new.zst.run/failed)" ]
status 'submitted again' 0 submit --wait
says 'it goes on' "goes on: $kept of 12 blocks are done"
says 'with the other blocks' ": $((12 - kept)) blocks? in "
same 'the same bytes' want.zst new.zst

# --- a block that fails -----------------------------------------------------------------------------------------------

rm new.zst new.zst.slurm.log
fail 000007
status 'a block that fails' 2 submit --wait
says 'is named, with the reason and where' 'vnp-embed: block 000007 \(records 7 to 7\) failed on cpu:n[01]:[0-9]+ and cpu: vnp-cpu-forward: --layer: .*not 99'
check 'there is no result' [ ! -e new.zst ]
status 'submitted again' 2 submit --wait
cp "$T/out" ids
says 'it is not tried again' 'block 000007 .*not 99'
check 'in the last job' [ "$(wc -l <ids)" = 1 ]
release 000007
status 'but with --retry-failed' 0 vnp-slurm --wait -- "${embed[@]}" --retry-failed -o new.zst in.fa
says 'that alone' ': 1 block in 1 task'
same 'the same bytes' want.zst new.zst
finish
