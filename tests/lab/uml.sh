# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
#
# Part of vm.sh: starts User Mode Linux ($image) in the background and sets $vm.

# Each page of a guest process is a mapping of its own on the host, so the host's default
# limit stops a guest process at 256 MB: it hangs without a word.
if [ "$(cat /proc/sys/vm/max_map_count)" -lt 1000000 ]; then
	{ echo 4000000 >/proc/sys/vm/max_map_count; } 2>/dev/null ||
		say "vm.max_map_count is low and not ours to raise: guest programs above 256 MB will hang"
fi
[ -e "${image%/*}/seccomp" ] && append="seccomp=on $append"

# One virtual processor on one real one: handing over between two costs a wake-up across
# processors. The first that no other guest holds.
pin=()
if [ "$smp" -gt 1 ]; then
	append="$append ncpus=$smp"
elif command -v taskset >/dev/null; then
	cpu=
	for ((c = 0; c < $(nproc); c++)); do
		exec {lock}>"$LAB_CACHE/cpu$c.lock"
		flock -n "$lock" && cpu=$c && break
		exec {lock}>&-
	done
	pin=(taskset -c "${cpu:-$((RANDOM % $(nproc)))}")
fi

exec 3>"$dir/o" 4>"$dir/e"
# shellcheck disable=SC2086 # $append is a list of words
"${pin[@]}" "$image" mem="${mem}M" uml_dir="$dir" umid=u \
	rootfstype=hostfs rootflags=/ ro "init=$LAB_CACHE/init" "lab=$dir" "lab_rw=$rwlist" \
	con=null con0=null con1=null,fd:3 con2=null,fd:4 ssl=null loglevel=4 panic=-1 $append </dev/null >"$dir/klog" 2>&1 &
vm=$!
exec 3>&- 4>&-
