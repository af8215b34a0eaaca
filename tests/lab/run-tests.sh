#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run-tests.sh LIST [FLAG...]: runs test binaries one after another, in a guest or on this
# machine. LIST has lines of "IMPORT-PATH DIRECTORY BINARY". Each one's output stands between
# two marker lines, so that the runner sees what ran even if the kernel dies half way.
list=$1
shift
# A guest's clock starts at 0, and many a program takes second 0 for "never".
read -r up _ </proc/uptime
[ "${up%.*}" -gt 0 ] || sleep 1
while read -r package dir binary; do
	printf '\n@@begin %s\n' "$package"
	(cd "$dir" && exec "$binary" -test.v=test2json "$@") </dev/null 2>&1
	printf '\n@@end %s %d\n' "$package" $?
done <"$list"
