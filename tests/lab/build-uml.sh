#!/bin/bash
# SPDX-License-Identifier: MIT
#
# build-uml.sh [SERIES]: User Mode Linux with XFRM and netdevsim built in, from Debian's
# linux-source package; 7 to 12 minutes on two cores. Leaves kernels/uml-SERIES/linux.
# Needs gcc make flex bison bc xz-utils; no root.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

series=${1:-$(lab_series uml)}
[ -n "$series" ] || die "no linux-source package of any series"
dest=$LAB_CACHE/kernels/uml-$series
src=$LAB_CACHE/src/linux-source-$series
out=$LAB_CACHE/build/uml-$series
[ -x "$dest/linux" ] && exit

lab_apt_update
rm -rf "$src" "$out" "$dest.new"
mkdir -p "$out" "$dest.new"
lab_unpack "$src.pkg" "linux-source-$series"
say "uml $series: unpacking the source"
tar -C "$LAB_CACHE/src" -xf "$src.pkg/usr/src/linux-source-$series.tar.xz"
rm -rf "$src.pkg"

cd "$src"
say "uml $series: $(make -s kernelversion), configuring"
{
	make -s ARCH=um O="$out" alldefconfig
	KCONFIG_CONFIG=$out/.config ARCH=um scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" "$LAB_DIR"/config/{xfrm,um}.config
	make -s ARCH=um O="$out" olddefconfig
} >"$out/config.log" 2>&1 || { tail "$out/config.log" >&2; die "no configuration for $series"; }
absent=$(cat "$LAB_DIR"/config/{xfrm,um}.config | grep ^CONFIG_ | grep -vxFf "$out/.config" | tr '\n' ' ' || true)
[ -z "$absent" ] || say "uml $series: this series lacks $absent"

say "uml $series: compiling with $LAB_JOBS jobs, log in $out/build.log"
start=$SECONDS
nice -n 10 make -C "$out" ARCH=um -j"$LAB_JOBS" linux >"$out/build.log" 2>&1 || { tail -20 "$out/build.log" >&2; die "uml $series did not build"; }
strip -o "$dest.new/linux" "$out/linux"
cp "$out/.config" "$dest.new/config"
make -s kernelversion >"$dest.new/version"
# 6.16 and later trap system calls by seccomp: nearly twice as quick as ptrace
if "$dest.new/linux" --help 2>&1 | grep -q '^seccomp='; then touch "$dest.new/seccomp"; fi
rm -rf "$dest"
mv "$dest.new" "$dest"
cd / && rm -rf "$src" "$out"
say "uml $series: $(du -h "$dest/linux" | cut -f1) in $((SECONDS - start)) s"
