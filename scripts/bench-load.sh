#!/bin/sh
# Compares the load engines with wrk, ab and vegeta: same server, same run, the
# server on the last CPU and the client on the first, requests per CPU-second
# of the client. Needs Linux, taskset and nginx; wrk and ab take part if they
# are installed.
#
#   scripts/bench-load.sh [-connections 64,512,5000] [-seconds 5] [-rounds 3]
#   scripts/bench-load.sh -figures [-long 900]    lateness, memory, error of the capacity search
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap finish EXIT INT TERM

last=$(($(nproc) - 1))
port=${BENCH_LOAD_PORT:-18087}
cat >"$work/nginx.conf" <<CONF
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid $work/nginx.pid;
error_log $work/error.log;
events { worker_connections 15000; accept_mutex off; }
http {
	access_log off;
	keepalive_requests 1000000000;
	keepalive_timeout 300s;
	server {
		listen 127.0.0.1:$port backlog=16384;
		location / { return 200 "hello, scaling\n"; }
	}
}
CONF
taskset -c "$last" nginx -p "$work" -c "$work/nginx.conf" 2>"$work/stderr" &
server=$!
go build -o "$work/benchload" ./scripts/benchload
"$work/benchload" -url "http://127.0.0.1:$port/" "$@"
