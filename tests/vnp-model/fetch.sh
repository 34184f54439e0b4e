#!/bin/bash
# vnp-model fetch against an HTTP server of our own.
. "$(dirname "$0")/../lib.sh"
G=$ROOT/tests/golden/model-files/hf-bin
cd "$T" || exit 1

status "a model that is not on the list" 66 vnp-model fetch esm2_t7_9M
says "it says which are" 'not in the built-in list, which has esm2_t6_8M_UR50D, .*esm2_t36_3B_UR50D'
status "no server" 69 env VNP_FETCH_BASE=http://127.0.0.1:9 vnp-model fetch esm2_t6_8M_UR50D --dir none
says "no server: the address" 'http://127.0.0.1:9/facebook/esm2_t6_8M_UR50D/resolve/[0-9a-f]{40}/config.json'
check "no server: nothing is left" test -z "$(ls -A none)"
status "an empty --dir" 73 env VNP_FETCH_BASE=http://127.0.0.1:9 vnp-model fetch esm2_t6_8M_UR50D --dir ''
says "an empty --dir: is said to be one" '^vnp-model: the name of the directory to fetch to is empty: give --dir DIR, or no --dir for the cache$'
while IFS=$'\t' read -r name line; do
    printf '%s\n' "$line" >list
    status "a list with $name" 65 vnp-model fetch m --models list --dir none
    says "a list with $name: the line" 'list:1: not .model repository'
done <<'END'
five fields	m r v f 12
a short hash	m r v f 12 abc
no size	m r v f x 0000000000000000000000000000000000000000000000000000000000000000
a file elsewhere	m r v ../f 12 0000000000000000000000000000000000000000000000000000000000000000
a repository elsewhere	m r/../.. v f 12 0000000000000000000000000000000000000000000000000000000000000000
more than six fields	m r v f 12 0000000000000000000000000000000000000000000000000000000000000000 x
END
mkdir nocurl
ln -s "$(command -v vnp-model)" nocurl
hash=0000000000000000000000000000000000000000000000000000000000000000
echo "m r v f 12 $hash # a comment" >list
status "no curl" 69 env PATH="$T/nocurl" vnp-model fetch m --models list --dir none
says "no curl: the package" 'curl is not installed \(package curl\)'

if ! command -v curl >/dev/null || ! busybox httpd --help 2>/dev/null >&2; then
    skip "fetching" "no curl or no busybox httpd"
    finish
    exit 0
fi
web=web/acme/tiny/resolve/r1
mkdir -p $web
cp "$G/config.json" $web
vnp-model synth 2x2x64 -q -o big && cp big/model.safetensors $web
list() { # REVISION > list
    for f in config.json model.safetensors; do
        echo "tiny acme/tiny $1 $f $(stat -c %s $web/$f) $(sha256sum <$web/$f | cut -c 1-64)"
    done >list
}
cp big/config.json $web
list r1
# any free port: the first that the server can have
for port in 18080 18081 18082 28080 28081 38080; do
    busybox httpd -f -vv -p 127.0.0.1:$port -h web 2>log &
    server=$!
    sleep 0.2
    kill -0 $server 2>/dev/null && break
done
trap 'kill $server 2>/dev/null; rm -rf "$T"' EXIT
export VNP_FETCH_BASE=http://127.0.0.1:$port

check "fetch" vnp-model fetch tiny --models list --dir a
same "the file that was served" $web/model.safetensors a/model.safetensors
check "nothing else is there" test "$(ls -A a | tr '\n' ' ')" = "config.json model.safetensors "
check "it is a model" vnp-model verify a
: >log
check "a second time" vnp-model fetch tiny --models list --dir a
says "there already" 'a/model.safetensors: there already'
check "nothing was asked of the server" test ! -s log

mkdir b
head -c 30000 $web/model.safetensors >b/model.safetensors.part
check "half of it is there" vnp-model fetch tiny --models list --dir b
same "continued" $web/model.safetensors b/model.safetensors
check "only the rest was asked for" grep -q 'response:206' log
mkdir c
cp $web/model.safetensors c/model.safetensors.part
check "all of it is there, but for the name" vnp-model fetch tiny --models list --dir c
same "all of it: taken" $web/model.safetensors c/model.safetensors

mkdir d
head -c 30000 /dev/zero >d/model.safetensors.part
status "a wrong beginning" 65 vnp-model fetch tiny --models list --dir d
says "a wrong beginning: the hash" 'd/model.safetensors: not the published file: .* wrong SHA-256; kept as d/model.safetensors.bad'
check "a wrong beginning: no file of that name" test ! -e d/model.safetensors -a -e d/model.safetensors.bad
check "and once more" vnp-model fetch tiny --models list --dir d
same "now whole" $web/model.safetensors d/model.safetensors
echo x >>d/config.json
status "a file that was changed" 65 vnp-model fetch tiny --models list --dir d
says "a file that was changed: what to do" 'd/config.json: is there, but is not the published file: remove it'

list r2
status "not on the server" 69 vnp-model fetch tiny --models list --dir e
says "not on the server: 404" 'resolve/r2/config.json: .*404'
list r1
mkdir f
(flock 9 && sleep 3) 9>f/config.json.part &
sleep 0.3
status "another fetch at work" 73 vnp-model fetch tiny --models list --dir f
says "another fetch at work: says so" 'another fetch is at work'

check "into the cache" env HF_HOME=hf vnp-model fetch tiny --models list
status "no cache: HOME is empty" 73 env -u HF_HOME -u XDG_CACHE_HOME HOME= vnp-model fetch tiny --models list
check "and found there by its bare name" env HF_HOME=hf vnp-model verify tiny
check "the commit is noted" grep -q '^r1$' hf/hub/models--facebook--tiny/refs/main
echo other >hf/hub/models--facebook--tiny/refs/main
status "once more" 0 env HF_HOME=hf vnp-model fetch tiny --models list
says "that it is another one is said" 'refs/main: names another revision, and stays: give --model the folder'
check "a commit that was there stays" grep -q '^other$' hf/hub/models--facebook--tiny/refs/main
rm hf/hub/models--facebook--tiny/refs/main
status "no room for it" 73 env HF_HOME=hf prlimit --fsize=0 vnp-model fetch tiny --models list
check "nothing is left" [ -z "$(ls hf/hub/models--facebook--tiny/refs)" ]
: >hf/hub/models--facebook--tiny/refs/main
check "an empty one" env HF_HOME=hf vnp-model fetch tiny --models list
check "is filled" grep -q '^r1$' hf/hub/models--facebook--tiny/refs/main
finish
