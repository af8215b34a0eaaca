#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh [ARG...]: runs `./xfrmctl demo ARG...` on this kernel if it can, else inside User
# Mode Linux (built first if need be). XFRMCTL_TEST_KERNEL names other kernels; the first
# that works is used. The last line says what ran and on which kernel.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.." || exit
unsupported=2 # demo's exit code for a kernel that lacks features

for kernel in ${XFRMCTL_TEST_KERNEL:-native uml}; do
	if [ "$kernel" != native ]; then
		release=$("$here/vm.sh" --kernel "$kernel" -- uname -r)
		status=$?
		[ $status != 0 ] || { "$here/vm.sh" --kernel "$kernel" -- ./xfrmctl demo "$@"; status=$?; }
		kernel="$kernel ($release)"
	elif [ "$(id -u)" != 0 ]; then
		echo "demo: not root, so not on this kernel" >&2
		status=$unsupported
	else
		release=$(uname -r)
		./xfrmctl demo "$@"
		status=$?
		kernel="this kernel ($release)"
	fi
	[ "$status" = "$unsupported" ] || break
	echo "demo: $kernel cannot run it" >&2
done
case $status in
0) echo "demo: ok: xfrmctl demo${*:+ $*} ran on $kernel" ;;
*) echo "demo: FAILED with exit code $status: xfrmctl demo${*:+ $*} on $kernel" ;;
esac
exit "$status"
