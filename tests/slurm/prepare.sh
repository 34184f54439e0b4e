#!/usr/bin/env bash
# What vnp-slurm is made of, without Slurm: --prepare, a task (lib/task), the lock that tasks share, the last start.
. "$(dirname "$0")/../lib.sh"
mkdir "$T/work" && cd "$T/work" || exit 2
lib=$BUILD/lib/vnp
vnp-model synth 1x2x32 -q -o model --seed 1
awk '/^>/ { n++ } n <= 6' "$PROTEINS" >in.fa
embed() { vnp-embed -q -m model --block 1 -o new.zst "$@"; }
task() { SLURM_JOB_ID=1 SLURMD_NODENAME=node SLURM_ARRAY_TASK_ID=$1 "$lib/task" vnp-embed "$PWD/new.zst.run" "${@:2}"; }
blocks_done() { [ "$(cd new.zst.run/done && echo *)" = "$1" ]; }

# --prepare
status 'no device' 2 embed --prepare in.fa
says 'is asked for' '^vnp-embed: --prepare: say --device gpu or --device cpu: '
status 'standard input' 2 embed -d cpu --prepare <in.fa
says 'can not be read again' 'standard input can not be read again'
status 'a pipe' 2 embed -d cpu --prepare <(cat in.fa)
status 'one stream' 2 embed -d cpu --prepare --block 0 in.fa
status 'standard output' 2 embed -d cpu --prepare -o - in.fa
status 'standard output by its name' 2 sh -c 'vnp-embed -q -m model -d cpu --prepare -o /dev/stdout in.fa >out'
check 'none of these left anything' [ ! -e new.zst.run ]
vnp-embed -q -d cpu -m model -o want.zst in.fa
status '--prepare' 0 embed -d cpu --prepare --log-json run.json in.fa
check 'prints the folder and how many blocks' [ "$(cat "$T/out")" = 'new.zst.run 6' ]

# Tasks: two of two blocks and one of one, which is done already.
status 'a task without a list' 66 task 0 cpu 2
mkdir new.zst.run/slurm && printf '%06d\n' 0 1 2 3 0 >new.zst.run/slurm/todo
check 'a task' task 1 cpu 2
check 'computes its blocks' blocks_done '000002.vnp 000003.vnp'
check 'and adds to the log' grep -q '"block":"000002"' run.json
check 'another' task 0 cpu 2
check 'computes its' blocks_done '000000.vnp 000001.vnp 000002.vnp 000003.vnp'
touch -d '2000-01-01' new.zst.run/done/000000.vnp
check 'one whose block is done' task 2 cpu 2
check 'leaves it alone' [ ! new.zst.run/done/000000.vnp -nt new.zst.run/what ]
check 'one that has none' task 3 cpu 2
exec 5<new.zst.run/lock
echo "$(uname -n) $$" >new.zst.run/lock
flock -x 5
status 'a driver at work, and another' 73 embed -d cpu in.fa
says 'is named' 'another run is at work there \(host and process: '
flock -u 5
flock -s 5
echo 12 13 >new.zst.run/slurm/jobs
status 'tasks at work' 73 embed -d cpu in.fa
says 'are what keeps a driver out' '^vnp-embed: new.zst.run: tasks of Slurm are at work there \(jobs 12 13; '
check 'but not another task' task 2 cpu 2
exec 5<&-
printf '74\nno space\n' >new.zst.run/stop
echo 000004 >new.zst.run/slurm/todo
status 'a run that can not go on' 74 task 0 cpu 1
says 'is no work for a task' '^vnp-embed: no space'
mv new.zst.run/blocks/000004.vnp kept.vnp && head -c 40 kept.vnp >new.zst.run/blocks/000004.vnp && rm new.zst.run/stop
status 'a block that fails' 65 task 0 cpu 1
says 'is named' '^vnp-embed: block 000004 failed: vnp-'
check 'and noted, with the node' [ "$(cut -f 1,2 new.zst.run/failed/000004)" = "$(printf 'cpu:node:1\t65')" ]
mv kept.vnp new.zst.run/blocks/000004.vnp
rm new.zst.run/failed/000004
mv model mine && vnp-model synth 1x2x32 -q -o model --seed 2
status 'a node with another model' 65 task 0 cpu 1
says 'is no reason to end: the block failed there' "^vnp-embed: block 000004 failed: $PWD/model: is another model "
check 'with the node' [ "$(cut -f 1,2 new.zst.run/failed/000004)" = "$(printf 'cpu:node:1\t65')" ]
rm -r model && mv mine model
status 'without packing' 2 env VIRNUCPRO_DISABLE_PACKING=yes vnp-embed -d cpu -m model --block 1 -o new.zst in.fa
says 'it would be another run' 'was begun with another packing than this'
status 'the last start' 0 env VIRNUCPRO_DISABLE_PACKING=0 VNP_SUBMITTED=1 vnp-embed -d cpu -m model --block 1 -o new.zst --restart in.fa
says 'forgets nothing' 'goes on: 4 of 6 blocks are done'
same 'the same bytes' want.zst new.zst
check 'nothing is left' [ ! -e new.zst.run ]
status 'the last start of a run that has ended' 66 env VNP_SUBMITTED=1 vnp-embed -d cpu -m model --block 1 -o new.zst in.fa
says 'says so' 'new.zst.run: is gone'
check 'and leaves nothing' [ ! -e new.zst.run ]
finish
