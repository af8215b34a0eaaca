# shellcheck shell=bash disable=SC2034,SC2016
# SPDX-License-Identifier: MIT
#
# Shared by the lab's scripts. Everything that is fetched or built goes under $LAB_CACHE:
#   kernels/   uml-SERIES/linux, and SERIES/{vmlinux,initrd,release,lib/modules}
#   ip/        the newest iproute2 and its wrapper
#   init       the guests' first program
#   apt/ deb/ src/ build/ run/   work in progress
LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_CACHE=${XFRMCTL_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xfrmctl-lab}
LAB_JOBS=${XFRMCTL_LAB_JOBS:-$(nproc)}
# the series the project is developed against; a newer one replaces it when the archive drops it
LAB_SERIES=7.2

say() { echo "lab: $*" >&2; }
die() { say "$@"; exit 125; }

mkdir -p "$LAB_CACHE"/{deb,src,kernels,build,run,apt} 2>/dev/null || die "cannot make folders in $LAB_CACHE (XFRMCTL_LAB_CACHE)"

# lab_apt get|cache ARG...: an apt of our own, so that packages of other suites can be
# downloaded without touching the system's. Proxies and the like of the system's apt apply.
lab_apt() {
	local root=$LAB_CACHE/apt cmd=$1
	shift
	"apt-$cmd" -o Dir="$root" -o Dir::State::status="$root/status" -o APT::Sandbox::User= \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o APT::Architecture=amd64 "$@"
}

# lab_mirror SUITE-REGEX: the first Debian archive that this machine's apt takes such a suite from
lab_mirror() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 2>/dev/null |
		grep -v -e /snapshot -e '://snapshot' | awk -v want="^($1)\$" '$2 ~ want {print $1; exit}'
}

lab_apt_update() { # once an hour at most
	local root=$LAB_CACHE/apt main security suite key keys=/usr/share/keyrings/debian-archive-keyring
	[ -n "$(find "$root/stamp" -mmin -60 2>/dev/null)" ] && return
	command -v apt-get >/dev/null || die "no apt here: name a kernel with XFRMCTL_TEST_KERNEL (docs/testing.md)"
	mkdir -p "$root"/etc/apt/{preferences.d,apt.conf.d,trusted.gpg.d} "$root"/var/lib/apt/lists/partial "$root"/var/cache/apt/archives/partial
	: >"$root/status"
	main=$(lab_mirror 'bookworm|trixie|forky|sid|testing|unstable|oldstable|stable')
	security=$(lab_mirror '(bookworm|trixie|forky|oldstable|stable)-security')
	[ -n "$main" ] || die "apt has no Debian mirror: name a kernel with XFRMCTL_TEST_KERNEL (docs/testing.md)"
	for key in "$keys".gpg "$keys".pgp; do [ -f "$key" ] && break; done
	{
		for suite in bookworm trixie sid; do echo "deb [signed-by=$key] $main $suite main"; done
		[ -n "$security" ] && for suite in bookworm trixie; do echo "deb [signed-by=$key] $security $suite-security main"; done
	} >"$root/etc/apt/sources.list"
	# a suite that a partial mirror lacks is no harm as long as the packages are found elsewhere
	if lab_apt get -q update >"$root/update.log" 2>&1; then
		touch "$root/stamp"
	else
		say "apt-get update:"
		grep -E '^(E|W|Err)' "$root/update.log" >&2 || true
	fi
}

# lab_newest REGEX: the newest package whose name matches
lab_newest() {
	lab_apt cache pkgnames | grep -E "^$1\$" | sort -V | tail -1
}

# lab_unpack DIR PACKAGE...: download (newest version) and unpack, without installing
lab_unpack() {
	local dir=$1 tmp deb
	shift
	tmp=$(mktemp -d "$LAB_CACHE/deb/XXXXXX")
	mkdir -p "$dir"
	(cd "$tmp" && lab_apt get -q -t sid download "$@") >"$tmp/log" 2>&1 || { tail -5 "$tmp/log" >&2; die "cannot download $*"; }
	for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
	rm -rf "$tmp"
}

# lab_series uml|unstable|N.M: which kernel series that name stands for
lab_series() {
	local prefix='' pattern='linux-image-[0-9]+\.[0-9]+\.[^ ]*-cloud-amd64' d
	case $1 in
	uml) prefix=uml- pattern='linux-source-[0-9]+\.[0-9]+' ;;
	unstable) ;;
	*) echo "$1"; return ;;
	esac
	[ -d "$LAB_CACHE/kernels/$prefix$LAB_SERIES" ] && { echo "$LAB_SERIES"; return; }
	d=$(cd "$LAB_CACHE/kernels" && printf '%s\n' "$prefix"[0-9]* | grep -E "^$prefix([7-9]|[1-9][0-9]+)\.[0-9]+\$" | sort -V | tail -1)
	[ -n "$d" ] && { echo "${d#"$prefix"}"; return; }
	lab_apt_update >&2
	lab_apt cache pkgnames | grep -E "^$pattern\$" | grep -v unsigned | sed -E 's/^linux-[a-z]+-([0-9]+\.[0-9]+).*/\1/' | sort -uV |
		awk -v want="$LAB_SERIES" '{last = $0} $0 == want {found = 1} END {print found ? want : last}'
}

# lab_init: the guests' first program, static
lab_init() {
	[ "$LAB_CACHE/init" -nt "$LAB_DIR/guest/init.c" ] && return
	gcc -O2 -static -Wno-unused-result -o "$LAB_CACHE/init.$$" "$LAB_DIR/guest/init.c" || die "cannot build guest/init.c (gcc and libc6-dev)"
	mv "$LAB_CACHE/init.$$" "$LAB_CACHE/init"
}

# lab_virtiofsd: where virtiofsd is (Debian 12: part of QEMU; 13 and later: a package of its own)
lab_virtiofsd() {
	local f
	for f in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do [ -x "$f" ] && { echo "$f"; return; }; done
	return 1
}

# lab_virtiofsd_package: the package that brings it
lab_virtiofsd_package() {
	if apt-cache show virtiofsd >/dev/null 2>&1; then echo virtiofsd; else echo qemu-system-common; fi
}
