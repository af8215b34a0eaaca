#!/bin/bash
# SPDX-License-Identifier: MIT
#
# setup.sh [--deps] NAME...: makes kernels ready for vm.sh: installs the packages that are
# missing, then fetches or builds. A NAME is uml, 6.1, 6.12, 7.2, unstable (Debian's newest),
# ip (the newest iproute2) or the path of a User Mode Linux binary. --deps stops after the packages.
# "lint" wants the tools of make lint, "native" nothing but the packages, "unit" programs without which
# single tests are skipped: it is no error when they cannot be had. Prints "NAME RELEASE"
# (or "ip PATH") for each that is ready; exits 125 if any is not.
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

# needs PROGRAM-OR-FILE PACKAGE: notes the package if the program is absent
missing=()
needs() {
	case $1 in
	/*) [ -e "$1" ] || missing+=("$2") ;;
	*) command -v "$1" >/dev/null || missing+=("$2") ;;
	esac
}

extras() {
	needs zsh zsh
	needs fish fish
	needs nft nftables
	needs systemd-analyze systemd
	[ ${#missing[@]} -eq 0 ] && return
	say "installing ${missing[*]}"
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && install_packages && return
	say "without ${missing[*]}: tests that need them are skipped"
}

deps() {
	local name uml='' qemu='' unit=''
	needs gcc gcc
	[ -e "$(gcc -print-file-name=libc.a 2>/dev/null)" ] || missing+=(libc6-dev)
	needs ip iproute2
	needs ping iputils-ping
	needs tcpdump tcpdump
	needs setpriv util-linux
	for name; do
		case $name in
		uml*) uml=1 ;;
		[0-9]* | unstable) qemu=1 ;;
		lint) needs shellcheck shellcheck ;;
		unit) unit=1 ;;
		esac
	done
	if [ -n "$uml" ] && [ ! -x "$LAB_CACHE/kernels/uml-$LAB_SERIES/linux" ]; then
		needs make make
		needs flex flex
		needs bison bison
		needs bc bc
		needs xz xz-utils
		needs perl perl
	fi
	if [ -n "$qemu" ]; then
		needs qemu-system-x86_64 qemu-system-x86
		lab_virtiofsd >/dev/null || missing+=("$(lab_virtiofsd_package)")
		needs modprobe kmod
		needs cpio cpio
		needs xz xz-utils
		needs zstd zstd
		needs lz4 lz4
	fi
	required || return
	[ -z "$unit" ] || { missing=(); extras; }
	return 0
}

required() {
	[ ${#missing[@]} -eq 0 ] && return
	say "installing ${missing[*]}"
	[ "$(id -u)" = 0 ] || { say "cannot install: not root. apt-get install ${missing[*]}"; return 1; }
	command -v apt-get >/dev/null || { say "cannot install: no apt here. Needed: ${missing[*]}"; return 1; }
	install_packages
}

install_packages() {
	local log=$LAB_CACHE/install.log
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -y install --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null && return
	# no package lists yet, or stale ones
	apt-get -q update >"$log" 2>&1 </dev/null
	apt-get -q -y install --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null && return
	tail -5 "$log" >&2
	say "apt-get install ${missing[*]} failed"
	return 1
}

only_deps=
[ "${1:-}" = --deps ] && { only_deps=1; shift; }
# shellcheck disable=SC2086 # a list of names
[ $# -gt 0 ] || set -- ${XFRMCTL_TEST_KERNEL:-uml 6.1 6.12 unstable} ip

exec {lock}>"$LAB_CACHE/setup.lock"
flock "$lock"
deps "$@" || exit 125
[ -z "$only_deps" ] || exit 0
[ "$(uname -m)" = x86_64 ] || die "the lab is for x86_64; name a User Mode Linux binary or \"native\" with XFRMCTL_TEST_KERNEL"

status=0
for name; do
	series=$(lab_series "$name")
	case $name in
	native | lint) continue ;;
	ip) tool=$("$LAB_DIR/fetch-ip.sh") && echo "ip $tool" ;;
	*/*) [ -x "$name" ] && lab_init && echo "$name $(basename "$name")" ;;
	uml | uml-*)
		[ "$name" = uml ] || series=${name#uml-}
		"$LAB_DIR/build-uml.sh" "$series" && lab_init && echo "$name $(cat "$LAB_CACHE/kernels/uml-$series/version")"
		;;
	*) "$LAB_DIR/fetch.sh" "$series" && echo "$name $(cat "$LAB_CACHE/kernels/$series/release")" ;;
	esac || { say "$name is not ready"; status=125; }
done
exit $status
