#!/usr/bin/env bash
# A run over hosts: network namespaces with an sshd in each, reached over a wire that can be pulled. Takes root, ip(8) and
# sshd(8).
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/recovery/lib.sh"
sshd=$(PATH=$PATH:/usr/sbin command -v sshd)
if [ -z "$sshd" ] || ! command -v ip ssh ssh-keygen >/dev/null || ! has_parallel; then
    skip 'hosts' 'sshd, ip, ssh or GNU parallel is not installed' && finish && exit
fi
mine=vnp$$ # of the namespaces' names
servers=()
clean() {
    local n
    for n in "${servers[@]}"; do kill "$n" 2>/dev/null; done
    for n in 1 2 3; do ip netns pids $mine-$n 2>/dev/null | xargs -r kill -KILL 2>/dev/null; ip netns del $mine-$n 2>/dev/null; done
    rm -rf "$T"
}
trap clean EXIT
trap 'exit 143' TERM INT HUP
ip netns add $mine-1 2>/dev/null || { skip 'hosts' 'it takes root to make network namespaces' && finish && exit; }
ip netns del $mine-1

# --- three hosts, 10.211.N.2; this one is 10.211.N.1 ----------------------------------------------------------------------------

mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -q -t ed25519 -N '' -f wrong && ssh-keygen -q -t ed25519 -N '' -f hostkey
cp key.pub authorized && chmod 600 authorized
: >config
for n in 1 2 3; do
    (
        set -e
        ip netns add $mine-$n
        ip link add ${mine}v$n type veth peer name ${mine}w$n netns $mine-$n
        ip addr add 10.211.$n.1/30 dev ${mine}v$n
        ip link set ${mine}v$n up
        ip -n $mine-$n addr add 10.211.$n.2/30 dev ${mine}w$n
        ip -n $mine-$n link set ${mine}w$n up
    ) 2>err || { skip 'hosts' "no network namespace with a wire: $(head -n 1 err)" && finish && exit; }
    printf '%s\n' 'Port 22' "ListenAddress 10.211.$n.2" "HostKey $PWD/hostkey" "AuthorizedKeysFile $PWD/authorized" \
        'StrictModes no' 'UsePAM no' 'PermitRootLogin yes' "PidFile $PWD/pid$n" 'PasswordAuthentication no' >sshd$n
    ip netns exec $mine-$n "$sshd" -D -e -f "$PWD/sshd$n" 2>sshd.log$n &
    servers+=($!)
    printf 'Host h%s\n  HostName 10.211.%s.2\n  IdentityFile %s\n' $n $n "$PWD/key" >>config
done
printf 'Host refuses\n  HostName 10.211.1.2\n  IdentityFile %s\n' "$PWD/wrong" >>config
printf 'Host *\n  User %s\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n' \
    "$(id -un)" >>config
export VNP_SSH="ssh -F $PWD/config"
answers() { $VNP_SSH -o BatchMode=yes -o ConnectTimeout=2 "$1" true 2>/dev/null; }
for n in 1 2 3; do
    until_true 20 answers h$n || { skip 'hosts' "sshd does not let us in: $(tail -n 1 sshd.log$n)" && finish && exit; }
done

vnp-model synth 1x1x16 -q -o model --seed 1
awk '/^>/ { n++ } n <= 60' "$PROTEINS" >in.fa
fake_build private
# What the fakes are told goes to hosts too: their environment is not ours.
sed -i "2i export fake=$fake" private/bin/vnp-cpu-forward private/bin/vnp-concat
embed() { timeout 200 vnp-embed -q -d cpu -m model --threads 1 --block 5 -o out "$@" in.fa; }
embed --threads 1 && mv out want
rm -f "$fake/computed"
begun() { [ -e "$fake/computed" ] && [ "$(wc -l <"$fake/computed")" -ge "$1" ]; }
of_host() { grep -c "@$1\$" "$fake/computed"; }
afresh() { rm -rf out out.run "${fake:?}"/*; }

printf '%s\n' '# two hosts, and this one' : h1 2/h2 >three
check 'on two hosts and this one' embed --hosts three
same 'the same bytes' want out
check 'all of them took part' [ "$(of_host h1)" -gt 0 ]
check 'two at a time on the second' [ "$(cut -d ' ' -f 2 "$fake/computed" | grep -c '^cpu1@h2')" -gt 0 ]
check 'each block was computed once' [ "$(wc -l <"$fake/computed")" = 12 ]
check 'nothing is left' nothing_left out

afresh
printf '%s\n' h3 : refuses >refusing
check 'a host that lets nobody in' embed --hosts refusing
says 'is left out' '^vnp-embed: refuses does not answer: its blocks go to others'
check 'once' [ "$(wc -l <"$T/err")" = 1 ]
same 'the others do the work' want out

# What a login shell prints comes before all else.
afresh
printf '%s\n' '#!/bin/sh' 'echo Welcome' 'printf "to: "' "exec $VNP_SSH \"\$@\"" >greeting && chmod +x greeting
check 'a login shell that prints' env VNP_SSH="$PWD/greeting" timeout 200 vnp-embed -q -d cpu -m model --threads 1 --block 5 --hosts three -o out in.fa
same 'the same bytes' want out

# Another model, or none, at the same path on one host; then on all.
there() { nsenter -t "${servers[1]}" -m "$@"; } # where h2 has its files
vnp-model synth 1x1x16 -q -o other --seed 2
mkdir nothing
printf '%s\n' h1 h2 h3 >hosts
afresh
there mount --bind "$PWD/other" "$PWD/model"
check 'a host with another model' embed --hosts hosts
says 'is left out' "^vnp-embed: h2: $PWD/model: is another model \(fingerprint [0-9a-f]+\) than the run's \([0-9a-f]+\): its blocks go to others$"
check 'once' [ "$(wc -l <"$T/err")" = 1 ]
check 'it computes nothing' [ "$(of_host h2)" = 0 ]
same 'the others do the work' want out
afresh
echo h2 >second
status 'that host alone' 69 embed --hosts second
says 'is left out, too' "^vnp-embed: h2: $PWD/model: is another model "
there umount "$PWD/model"
check 'with the right model the same command goes on' embed --hosts second
same 'to the right result' want out
afresh
there mount --bind "$PWD/nothing" "$PWD/model"
check 'a host without a model' embed --hosts hosts
says 'is left out' "^vnp-embed: h2: $PWD/model: .*: its blocks go to others$"
same 'the others do the work' want out
there umount "$PWD/model"

# The wire to a host is pulled while it computes.
afresh
touch "$fake/hang.000001" "$fake/hang.000002" "$fake/hang.000000"
start timeout 200 vnp-embed -q -d cpu -m model --threads 1 --block 5 --hosts hosts -o out in.fa
check 'three hosts are at work' until_true 30 begun 3
ip link set ${mine}v2 down
rm "$fake"/hang.*
began=$SECONDS
wait "$session"
rc=$? seconds=$((SECONDS - began))
check 'one vanishes, and the run ends well' [ $rc = 0 ]
check 'it is said' grep -q '^vnp-embed: h2 does not answer: its blocks go to others' err
check "within 25 s ($seconds s)" [ $seconds -le 25 ]
same 'the result is right' want out
check 'nothing is left' nothing_left out

# All are gone.
afresh
ip link set ${mine}v1 down
ip link set ${mine}v3 down
status 'all hosts are gone' 69 embed --hosts hosts
says 'it is said' '^vnp-embed: no device is left$'
for n in 1 2 3; do ip link set ${mine}v$n up; done
until_true 20 answers h2
check 'when they are back, the same command goes on' embed --hosts hosts
same 'to the right result' want out
check 'nothing is left' nothing_left out
finish
