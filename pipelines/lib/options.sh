# shellcheck shell=bash
# The options that vnp-embed and vnp-predict have in common. Sourced by run.sh.
# shellcheck disable=SC2034,SC2154  # the drivers'
device=auto budget=8192 quiet='' gpus='' hosts='' block='' log=${VNP_LOG_JSON-} restart='' again='' prepare='' dry=''
numbers=() threads=()
unset VNP_LOG_JSON # what a block's stages say is gathered from the blocks

# read_options SHORT LONG [ARGUMENT ...]: the driver's own options, named as for getopt(1), go to its own_option with what
# follows them; what is no option is $input.
read_options() {
    local short=o:d:b:qh$1 options
    local long=output:,device:,gpus:,hosts:,block:,restart,retry-failed,budget:,fp16,fp32,tf32,bf16,threads:,log-json:,dry-run,prepare,quiet,help,version,$2
    shift 2
    need awk:'mawk or gawk' {cmp,diff}:diffutils {find,xargs}:findutils {flock,getopt}:util-linux grep:grep sed:sed
    usage_text=$(usage) # before options change what it gives as defaults
    usage() { echo "$usage_text"; }
    options=$(getopt -n "$me" -o "$short" --long "$long" -- "$@") || misuse 'see the options below'
    eval set -- "$options"
    while [ "$1" != -- ]; do
        case $1 in
        -o | --output) if [ -n "$2" ]; then out=$2; else misuse "$1: without a name"; fi ;;
        -d | --device) device=$2 ;;
        -b | --budget) budget=$2 ;;
        --gpus) gpus=$2 ;;
        --hosts) hosts=$2 ;;
        --block) block=$2 ;;
        --log-json) log=$2 ;;
        --fp16 | --fp32 | --tf32 | --bf16) numbers=("$1") ;;
        --threads) threads=("$1" "$2") ;;
        --restart) restart=yes ;;
        --retry-failed) again=again ;;
        --prepare) prepare=yes ;;
        --dry-run) dry=yes ;;
        -q | --quiet) quiet=-q ;;
        -h | --help) print "$(usage)" && exit ;;
        *) own_option "$@" ;;
        esac
        # Over its value, where it takes one.
        case $1 in --*) [[ ,$long, != *",${1#--}:,"* ]] ;; *) [[ $short != *"${1#-}:"* ]] ;; esac || shift
        shift
    done
    shift
    input=("$@")
    [[ $out != *$'\n'* ]] || misuse '-o: a name of one line, please'
    [[ $out != -?* ]] || out=./$out
    number --budget "$budget" 3 16777216
    [ ${#threads[@]} = 0 ] || number "${threads[@]}" 1 1024
}
