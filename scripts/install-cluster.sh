#!/usr/bin/env bash
# Makes sure that everything a test cluster runs on is on this machine, a Debian
# one, as root: Kubernetes and metrics-server built from the module proxy's
# sources, etcd, containerd and runc taken out of Debian's packages, without
# installing them, since a package would start its service. See
# internal/testcluster for how the cluster works.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v1.34.4 # as in internal/testcluster/kubernetes/go.mod
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scaleproof/cluster

fail() {
	echo "A test cluster can't be had here: $*" >&2
	exit 4
}

[ "$(uname -s)" = Linux ] || fail "it needs Linux"
[ "$(id -u)" = 0 ] || fail "it needs root, for namespaces and cgroups"
command -v apt-get >/dev/null || fail "it takes parts from Debian's packages, and there is no apt-get"
command -v go >/dev/null || fail "it builds Kubernetes, and there is no go"
mkdir -p "$cache/bin" "$cache/cni"
exec 9>"$cache/install.lock"
flock 9

updated=
update() {
	[ -n "$updated" ] || apt-get update -qq
	updated=yes
}

# tools installs what the cluster calls by name. None of these starts a service.
tools() {
	local missing=()
	command -v iptables >/dev/null || missing+=(iptables)
	command -v conntrack >/dev/null || missing+=(conntrack)
	command -v ip >/dev/null || missing+=(iproute2)
	ldconfig -p | grep -q libseccomp.so.2 || missing+=(libseccomp2)
	[ "${#missing[@]}" = 0 ] && return
	update
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# unpacked takes programs out of Debian's packages.
unpacked() {
	local program
	for program in etcd containerd containerd-shim-runc-v2 ctr runc busybox; do
		[ -x "$cache/bin/$program" ] || break
	done
	[ -x "$cache/bin/$program" ] && [ -x "$cache/cni/bridge" ] && return
	update
	local dir
	dir=$(mktemp -d)
	(cd "$dir" && apt-get download -qq etcd-server containerd runc containernetworking-plugins busybox-static 2>/dev/null)
	local package
	for package in "$dir"/*.deb; do
		dpkg -x "$package" "$dir/root"
	done
	cp "$dir/root/usr/lib/cni/"{bridge,host-local,portmap,loopback} "$cache/cni/"
	cp "$dir/root/usr/bin/"{etcd,containerd,containerd-shim-runc-v2,ctr} "$dir/root/usr/sbin/runc" "$dir/root/bin/busybox" "$cache/bin/"
	rm -rf "$dir"
}

# built builds a program where its sources have changed: built NAME FOLDER PACKAGE
built() {
	local name=$1 folder=internal/testcluster/$2 package=$3 sum
	sum=$(cat "$folder"/* scripts/install-cluster.sh | sha256sum | cut -c 1-16)
	[ -x "$cache/bin/$name" ] && [ "$(cat "$cache/$name.sum" 2>/dev/null)" = "$sum" ] && return
	echo "Building $name (minutes, once) ..." >&2
	local flags="-s -w -X k8s.io/component-base/version.gitVersion=$version"
	flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
	(cd "$folder" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$cache/bin/$name.new" "$package")
	mv "$cache/bin/$name.new" "$cache/bin/$name"
	echo "$sum" >"$cache/$name.sum"
}

tools
unpacked
built kubernetes kubernetes .
built metrics-server metrics sigs.k8s.io/metrics-server/cmd/metrics-server
for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
	ln -sf kubernetes "$cache/bin/$program"
done
