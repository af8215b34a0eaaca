# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
#
# Part of vm.sh: starts a Debian kernel under QEMU (TCG) in the background and sets $vm.

kdir=${image%/*}
echo "$kdir/lib/modules" >"$dir/modules"
virtiofsd=$(lab_virtiofsd) || die "no virtiofsd (tests/lab/setup.sh --deps $kernel)"
[ "$(id -u)" = 0 ] || die "the QEMU kernels need root, to share the host's root folder"

shares=()
share() { # TAG FOLDER CACHE
	local args=(--socket-path="$dir/$1.sock")
	case $virtiofsd in
	# QEMU's own, up to Debian 12
	*/qemu/*) args+=(-f -o source="$2" -o sandbox=chroot -o "cache=$3") ;;
	# overlayfs refuses announced submounts (EREMOTE)
	*) args+=(--shared-dir "$2" --sandbox chroot --cache "${3/none/never}" --no-announce-submounts) ;;
	esac
	"$virtiofsd" "${args[@]}" >"$dir/$1.log" 2>&1 &
	pids+=($!)
	shares+=(-chardev "socket,id=c$1,path=$dir/$1.sock" -device "vhost-user-fs-pci,chardev=c$1,tag=$1")
}
share host / always
share lab "$dir" none
i=0
for d in "${rw[@]}"; do share "rw$i" "$d" auto; i=$((i + 1)); done
for ((n = 0; n < 1000; n++)); do
	socks=("$dir"/*.sock)
	[ -S "${socks[0]}" ] && [ ${#socks[@]} -ge $((2 + i)) ] && break
	sleep 0.01
done

# no BIOS devices: they cost half of the boot
qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-M q35,memory-backend=mem,hpet=off,smbus=off,sata=off,usb=off,vmport=off,graphics=off \
	-accel tcg,thread=multi,tb-size=1024 -cpu max -smp "$smp" -m "$mem" \
	-object "memory-backend-memfd,id=mem,size=${mem}M,share=on" \
	-kernel "$kdir/vmlinux" -initrd "$kdir/initrd" \
	-append "console=ttyS0 loglevel=4 panic=-1 mitigations=off nokaslr tsc=unstable random.trust_cpu=on cryptomgr.notests=1 lab_rw=$rwlist $append" \
	-serial "file:$dir/klog" \
	-device virtio-serial-pci \
	-chardev "file,id=o,path=$dir/o" -device virtserialport,chardev=o,name=out \
	-chardev "file,id=e,path=$dir/e" -device virtserialport,chardev=e,name=err \
	"${shares[@]}" </dev/null >"$dir/qemu.log" 2>&1 &
vm=$!
