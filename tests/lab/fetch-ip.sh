#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fetch-ip.sh: unpacks Debian unstable's iproute2 with the libraries it needs and writes a
# wrapper that runs it on any glibc. Prints the wrapper's path.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

dir=$LAB_CACHE/ip
if [ ! -x "$dir/ip" ]; then
	lab_apt_update
	rm -rf "$dir.new"
	mkdir -p "$dir.new"
	# with nothing installed, what apt would install is exactly the closure of its dependencies
	closure=$(lab_apt get -t sid -s install --no-install-recommends iproute2 | awk '$1 == "Inst" && $2 ~ /^(iproute2|lib|zlib)/ {print $2}')
	[ -n "$closure" ] || die "no iproute2 in unstable"
	# shellcheck disable=SC2086
	lab_unpack "$dir.new/root" $closure
	cd "$dir.new"
	loader=$(find root -name 'ld-linux-x86-64.so.2' | head -n1)
	tool=$(find root -path '*bin/ip' -type f | head -n1)
	# shellcheck disable=SC2016 # the wrapper expands $d
	libs=$(find root -name 'x86_64-linux-gnu' -type d -path '*/lib/*' -printf '$d/%p:')
	cat >ip <<-WRAPPER
		#!/bin/sh
		d=\${0%/*}
		exec "\$d/$loader" --argv0 ip --library-path "${libs%:}" "\$d/$tool" "\$@"
	WRAPPER
	chmod +x ip
	./ip -V >&2 || die "the unpacked ip does not run"
	rm -rf "$dir"
	mv "$dir.new" "$dir"
fi
echo "$dir/ip"
