#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fetch.sh SERIES: puts Debian's cloud kernel of a series (6.1, 6.12, 7.2), its modules and
# a small initramfs under kernels/SERIES. Needs kmod cpio xz-utils zstd lz4 gcc; no root.
# shellcheck disable=SC2034,SC2094 # the lists are read through ${!list}; vmlinux is a function and a file

set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

# what every guest needs before it has its root, in this order
boot_mods="virtio_pci virtio_mmio virtio_console virtiofs overlay"
# what is loaded before the command runs; offload before any SA exists
net_mods="xfrm_user xfrm_algo xfrm_interface af_key
 esp4 esp6 ah4 ah6 ipcomp ipcomp6 esp4_offload esp6_offload tunnel4 tunnel6 xfrm4_tunnel xfrm6_tunnel
 ip_vti ip6_vti veth tun dummy vrf
 gcm ghash_generic ghash-clmulni-intel aesni-intel cbc ctr ccm hmac sha1_generic sha256_generic sha512_generic
 sha256-ssse3 sha512-ssse3 authenc chacha20poly1305 chacha_generic poly1305_generic echainiv seqiv cmac xcbc deflate crypto_null
 nf_tables nft_xfrm xt_policy"

# first FILE...: the first that exists
first() {
	local f
	for f; do [ -f "$f" ] && { echo "$f"; return; }; done
	die "none of $*"
}

is_elf() { [ "$(od -An -tx1 -N4 "$1")" = ' 7f 45 4c 46' ]; }

# vmlinux BZIMAGE: the uncompressed kernel inside a boot image, found through the boot
# protocol's setup header. An emulated CPU takes seconds to unpack it, and skips the BIOS's work.
vmlinux() {
	local sectors offset length magic tool
	is_elf "$1" && { cat "$1"; return; }
	sectors=$(od -An -tu1 -j497 -N1 "$1")
	read -r offset length < <(od -An -tu4 -j584 -N8 "$1")
	offset=$(((${sectors// /} + 1) * 512 + offset))
	magic=$(od -An -tx1 -j"$offset" -N4 "$1" | tr -d ' ')
	case $magic in
	1f8b*) tool=gzip ;;
	fd377a58) tool=xz ;;
	28b52ffd) tool=zstd ;;
	02214c18) tool=lz4 ;;
	*) die "$1: unknown compression $magic" ;;
	esac
	# the payload's last four bytes are the kernel's own size field: garbage to all but gzip
	[ "$tool" = gzip ] || length=$((length - 4))
	head -c $((offset + length)) "$1" | tail -c "$length" | "$tool" -dc
}

fetch() {
	local series=$1 dest=$LAB_CACHE/kernels/$1 names mods release
	lab_apt_update
	rm -rf "$dest.new"
	mkdir -p "$dest.new/pkg" "$dest.new/lib/modules"
	names=$(lab_newest "linux-image-${series//./\\.}\\.[0-9][^ ]*[0-9]-cloud-amd64")
	[ -n "$names" ] || die "the mirror has no cloud kernel of series $series"
	# since 7.0 the image package is empty and depends on the parts
	names="$names $(lab_apt cache depends "$names" | grep -oE "linux-(base|binary|modules)-[0-9][^ ]*" | sort -u | tr '\n' ' ' || true)"
	# shellcheck disable=SC2086
	lab_unpack "$dest.new/pkg" $names
	cd "$dest.new"
	mods=pkg/usr/lib/modules
	[ -d pkg/lib/modules ] && mods=pkg/lib/modules
	release=$(basename "$mods"/*)
	mv "$mods/$release" lib/modules/
	find lib/modules -name '*.ko.xz' -print0 | xargs -0 -r -n 64 -P "$LAB_JOBS" nice -n 10 xz -d
	find lib/modules -name '*.ko.zst' -print0 | xargs -0 -r -n 64 -P "$LAB_JOBS" nice -n 10 zstd -dq --rm
	rm -f lib/modules/"$release"/{build,source}
	depmod -b "$PWD" "$release"
	echo "$release" >release
	cp "$(first pkg/boot/config-* lib/modules/"$release"/config)" config
	vmlinux "$(first pkg/boot/vmlinuz-* lib/modules/"$release"/vmlinuz)" >vmlinux
	is_elf vmlinux || die "$series: no kernel in the boot image"
	rm -rf pkg "$dest"
	mv "$dest.new" "$dest"
}

initrd() {
	local dest=$LAB_CACHE/kernels/$1 release tree stage list mod file
	release=$(cat "$dest/release")
	tree=$dest/initrd.d
	rm -rf "$tree"
	mkdir -p "$tree"/{dev,proc,sys,mods}
	cp "$LAB_CACHE/init" "$tree/init"
	declare -A seen=()
	for stage in boot net; do
		: >"$tree/mods/$stage.order"
		list=${stage}_mods
		for mod in ${!list}; do
			# a module that this series lacks or has built in lists nothing
			while read -r file; do
				[ -n "${seen[$file]:-}" ] && continue
				seen[$file]=1
				cp "$file" "$tree/mods/"
				basename "$file" >>"$tree/mods/$stage.order"
			done < <(modprobe -d "$dest" -S "$release" --ignore-install --show-depends "$mod" 2>/dev/null | awk '$1 == "insmod" {print $2}')
		done
	done
	(cd "$tree" && find . | cpio -o -H newc --quiet) >"$dest/initrd.new"
	mv "$dest/initrd.new" "$dest/initrd"
	rm -rf "$tree"
}

series=${1:?usage: fetch.sh SERIES}
dest=$LAB_CACHE/kernels/$series
PATH=$PATH:/usr/sbin:/sbin
[ -f "$dest/vmlinux" ] || (fetch "$series")
lab_init
if [ ! "$dest/initrd" -nt "$LAB_CACHE/init" ] || [ ! "$dest/initrd" -nt "$LAB_DIR/fetch.sh" ]; then (initrd "$series"); fi
