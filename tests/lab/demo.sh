#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh [ARG...]: runs `./xfrmctl demo ARG...` on this kernel: with the kernel's ESP where
# it has that, else with the userspace engine. Who is not root runs it in a user namespace.
# Where neither is possible, or with `--engine kernel` and a kernel that cannot, it runs
# inside User Mode Linux (built first if need be). XFRMCTL_TEST_KERNEL names other kernels;
# the first that works is used. The last line says what ran and on which kernel.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.." || exit
unsupported=2 # demo's exit code for a machine that lacks features

for kernel in ${XFRMCTL_TEST_KERNEL:-native uml}; do
	if [ "$kernel" != native ]; then
		release=$("$here/vm.sh" --kernel "$kernel" -- uname -r)
		status=$?
		[ $status != 0 ] || { "$here/vm.sh" --kernel "$kernel" -- ./xfrmctl demo "$@"; status=$?; }
		kernel="$kernel ($release)"
	else
		as=()
		[ "$(id -u)" = 0 ] || as=(unshare -rn)
		if [ ${#as[@]} = 0 ] || unshare -rn true 2>/dev/null; then
			"${as[@]}" ./xfrmctl demo "$@"
			status=$?
		else
			echo "demo: neither root nor allowed to make a user namespace, so not on this kernel" >&2
			status=$unsupported
		fi
		kernel="this kernel ($(uname -r))"
	fi
	[ "$status" = "$unsupported" ] || break
	echo "demo: $kernel cannot run it" >&2
done
case $status in
0) echo "demo: ok: xfrmctl demo${*:+ $*} ran on $kernel" ;;
*) echo "demo: FAILED with exit code $status: xfrmctl demo${*:+ $*} on $kernel" ;;
esac
exit "$status"
