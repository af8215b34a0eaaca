#!/bin/bash
# SPDX-License-Identifier: MIT
#
# vm.sh: run a command as root inside a real Linux kernel with XFRM.
#
#   tests/lab/vm.sh [OPTIONS] -- COMMAND [ARG...]
#   tests/lab/vm.sh [OPTIONS] -c 'SHELL COMMANDS'
#
#   --kernel K     uml (default): User Mode Linux, native speed
#                  6.1, 6.12, 7.2, unstable: Debian's cloud kernel under QEMU (emulated)
#                  PATH: a User Mode Linux binary
#   --mem M        MiB of memory (default 2048)
#   --smp N        processors (default 1)
#   --rw DIR       share DIR with the guest writable (repeatable); all else of the host's
#                  root is read-only there, with a throw-away overlay on top
#   --append ARGS  more words for the kernel's command line
#   --timeout S    kill the guest after S seconds (default 600): exit code 124
#   --klog FILE    keep the kernel's log there
#   -e VAR=VAL     set a variable in the guest (the caller's environment goes in as well)
#   --stats        print boot and run times to stderr
#
# The command runs in the caller's working directory, with stdout and stderr kept apart and
# no input; vm.sh exits with its exit code. 125: the guest itself failed. A kernel that is
# not there yet is fetched or built first.
# shellcheck disable=SC2034 # uml.sh and qemu.sh read the options
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kernel=uml mem=2048 smp=1 rw=() append='' limit=600 klog='' envs=() stats='' cmd=''
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift 2 ;;
	--mem) mem=${2%M}; shift 2 ;;
	--smp) smp=$2; shift 2 ;;
	--rw) rw+=("$(readlink -f "$2")"); shift 2 ;;
	--append) append=$2; shift 2 ;;
	--timeout) limit=$2; shift 2 ;;
	--klog) klog=$2; shift 2 ;;
	-e) envs+=("$2"); shift 2 ;;
	--stats) stats=1; shift ;;
	-c) cmd=$2; shift 2 ;;
	--) shift; break ;;
	-h | --help) sed -n '4,/^set/{/^set/d;/shellcheck/d;s/^# \{0,1\}//;p}' "$0"; exit ;;
	-*) die "no option $1 (see --help)" ;;
	*) break ;;
	esac
done
if [ -n "$cmd" ]; then set -- bash -c "$cmd" lab "$@"; fi
[ $# -gt 0 ] || die "no command (see --help)"

series=$(lab_series "$kernel")
case $kernel in
*/*) image=$(readlink -f "$kernel") ;;
uml) image=$LAB_CACHE/kernels/uml-$series/linux ;;
uml-*) image=$LAB_CACHE/kernels/$kernel/linux ;;
*) image=$LAB_CACHE/kernels/$series/initrd ;;
esac
if [ ! -f "$image" ] || [ ! "$LAB_CACHE/init" -nt "$LAB_DIR/guest/init.c" ] || { [ "${image##*/}" = initrd ] && [ ! "$image" -nt "$LAB_CACHE/init" ]; }; then
	"$LAB_DIR/setup.sh" "$kernel" >&2 || die "no kernel $kernel"
fi

dir=$(mktemp -d "$LAB_CACHE/run/XXXXXX") || exit 125
pids=() dog=''
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local p
	[ -n "$dog" ] && kill "$dog" 2>/dev/null
	for p in "${pids[@]}"; do kill -KILL "$p" 2>/dev/null; done
	wait "${pids[@]}" 2>/dev/null
	[ -n "$klog" ] && cp "$dir/klog" "$klog" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# what the guest's first program reads
printf '%s\0' "$@" >"$dir/argv"
pwd >"$dir/cwd"
env -u TMPDIR -u XDG_RUNTIME_DIR "${envs[@]}" XFRMCTL_KERNEL="$kernel" env -0 >"$dir/env"
rwlist=$(IFS=, && echo "${rw[*]}")
began=$EPOCHREALTIME

# the guest's stdout and stderr come through FIFOs
mkfifo "$dir/o" "$dir/e"
cat "$dir/o" &
out=$!
cat "$dir/e" >&2 &
err=$!

if [ "${image##*/}" = initrd ]; then . "$LAB_DIR/qemu.sh"; else . "$LAB_DIR/uml.sh"; fi
pids+=("$vm" "$out" "$err")

# the guest's life, at most $limit seconds of it
(
	sleep "$limit" &
	s=$!
	trap 'kill $s; exit' TERM
	wait $s
	touch "$dir/late"
	kill -KILL "$vm"
) 2>/dev/null &
dog=$!
wait "$vm" 2>/dev/null
kill "$dog" 2>/dev/null
wait "$out" "$err" "$dog" 2>/dev/null

if [ -n "$stats" ]; then
	first='?' last='?'
	[ -f "$dir/uptime" ] && { read -r first; read -r last; } <"$dir/uptime"
	awk -v k="$kernel" -v w="$began $EPOCHREALTIME" -v a="$first" -v b="$last" 'BEGIN {
		split(w, t)
		printf "lab: %s: whole %.2f s, command began at %s s of guest uptime and ended at %s s\n", k, t[2] - t[1], a, b
	}' >&2
fi
[ -f "$dir/rc" ] && exit "$(cat "$dir/rc")"
[ -e "$dir/late" ] && { say "stopped after $limit s"; exit 124; }
tail -30 "$dir/klog" "$dir/qemu.log" >&2 2>/dev/null
die "the guest ($kernel) ended without running the command to its end"
