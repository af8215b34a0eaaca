#!/bin/bash
# boot.sh DIR GROUP: becomes systemd, as the first process of new namespaces for processes, mounts,
# host name and IPC, on a copy of this machine's files in DIR/root that is kept in memory. DIR/files
# has what lies over them. It gets the control group GROUP for itself.
set -e
dir=$1 group=$2
if [ -n "$group" ]; then
	mount --make-rprivate /
	mkdir "$dir/cgroup" "$dir/memory" "$dir/root"
	mount -t cgroup2 cgroup2 "$dir/cgroup"
	mkdir "$dir/cgroup/$group"
	echo $$ >"$dir/cgroup/$group/cgroup.procs"
	exec unshare --cgroup bash "$0" "$dir" ''
fi
umount "$dir/cgroup"
mount -t tmpfs tmpfs "$dir/memory"
mkdir "$dir/memory/upper" "$dir/memory/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/memory/upper,workdir=$dir/memory/work" "$dir/root"
cd "$dir/root"
mount -t proc proc proc
mount --bind proc/sys/net proc/sys/net
mount --rbind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# devices of its own, so that nothing changes the host's
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net dev/shm dev/pts
for name in null zero full random urandom tty net/tun; do
	touch "dev/$name"
	mount --bind "/dev/$name" "dev/$name"
done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# of the host's configuration nothing takes part
mount -t tmpfs -o mode=755 tmpfs etc/systemd/system
mount -t tmpfs tmpfs usr/lib/systemd/system-generators
mkdir -p etc/systemd/journald.conf.d
printf '[Journal]\nReadKMsg=no\nStorage=volatile\nRuntimeMaxUse=8M\n' >etc/systemd/journald.conf.d/test.conf
mkdir -m 700 -p etc/credstore
rm -rf var/lib/xfrmctl etc/xfrmctl
(cd "$dir/files" && tar cf - --exclude boot.sh .) | tar xf - --no-same-owner
export container=xfrmctl-test
pivot_root . mnt
umount --lazy mnt
# systemd hands credentials to services by mounts that they must see
mount --make-rshared /
exec chroot . /lib/systemd/systemd --system --log-target=console --show-status=no
