#!/usr/bin/env bash
# Prints the folder for the tests' temporary files: TMPDIR where it is set; else one in
# memory, if programs may run there and it has room enough (the tests use 1.2 GB at most);
# else the usual one. Each database of a test is some 300 files, which a disk is slow to
# make and to delete.
set -euo pipefail

memory=/dev/shm
gigabytes=4

roomy() {
	[ "$(stat -f -c %T "$memory" 2>/dev/null)" = tmpfs ] || return 1
	local free available
	free=$(df --output=avail -k "$memory" | tail -1)
	available=$(awk '$1 == "MemAvailable:" {print $2}' /proc/meminfo)
	[ "$free" -ge $((gigabytes << 20)) ] && [ "$available" -ge $((2 * gigabytes << 20)) ]
}

# Containers often mount it noexec.
runs() {
	local program status=0
	program=$(mktemp "$memory/scaleproof-XXXXXX") || return 1
	printf '#!/bin/sh\n' >"$program"
	chmod +x "$program"
	"$program" 2>/dev/null || status=1
	rm "$program"
	return $status
}

if [ -n "${TMPDIR:-}" ]; then
	echo "$TMPDIR"
elif roomy && runs; then
	echo "$memory"
else
	echo /tmp
fi
