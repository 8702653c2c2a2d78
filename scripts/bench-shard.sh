#!/bin/sh
# Compares the copy of a move with psql COPY | psql COPY table after table, and its
# check of both sides with one read of the table: same server, rows and run.
#
#   scripts/bench-shard.sh [-copy-rows 2000000] [-check-rows 10000000] [-rounds 3]
set -eu
cd "$(dirname "$0")/.."
scripts/install-postgres.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
go build -o "$work/benchshard" ./scripts/benchshard
"$work/benchshard" "$@"
