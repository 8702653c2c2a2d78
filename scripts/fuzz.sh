#!/usr/bin/env bash
# Runs each fuzz test of the module for a while: scripts/fuzz.sh 10s
set -euo pipefail
time=${1:-5s}
grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
	package=$(dirname "$file")
	grep -ho '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r name; do
		echo "$package $name"
		go test -run='^$' -fuzz="^$name\$" -fuzztime="$time" "$package" >/tmp/fuzz.$$ 2>&1 || { cat /tmp/fuzz.$$; rm -f /tmp/fuzz.$$; exit 1; }
		rm -f /tmp/fuzz.$$
	done
done
