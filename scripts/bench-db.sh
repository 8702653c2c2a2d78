#!/bin/sh
# Compares the database load with pgbench -M prepared: same server, query,
# clients and run.
#
#   scripts/bench-db.sh [-clients 1,8,32] [-seconds 4] [-rounds 6]
set -eu
cd "$(dirname "$0")/.."
scripts/install-postgres.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
go build -o "$work/benchdb" ./scripts/benchdb
"$work/benchdb" "$@"
