#!/bin/sh
# Installs from Debian's packages what the real node needs, if it is missing; with
# the argument `test` also the peers and clients that the proxy is tested with.
#
# Looks for the programs, not for the packages: a machine whose containerd comes
# from elsewhere (Docker's own packages, say) keeps it. Nothing is ever removed,
# and a containerd that runs already is left alone.
# Exit code: 0 when all is there or this user cannot install anything, which is
# said in one line; 1 when an installation failed.
set -eu

have() {
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]
}

have_cni() {
	for dir in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
		[ -x "$dir/bridge" ] && return 0
	done
	return 1
}

missing=""
need() { missing="$missing $1"; }
have containerd || need containerd
have runc || need runc
have_cni || need containernetworking-plugins
have nft || need nftables
have iptables || need iptables
have conntrack || need conntrack
have ip || need iproute2
peers=""
if [ "${1:-}" = test ]; then
	have haproxy || peers="$peers haproxy"
	have nginx || peers="$peers nginx-light"
	[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || peers="$peers libnginx-mod-stream"
	have h2load || need nghttp2-client
	have nghttpx || need nghttp2-proxy
	have curl || need curl
	have openssl || need openssl
fi
missing="$missing$peers"
[ -n "$missing" ] || exit 0
missing=${missing# }

if [ "$(uname -s)" != Linux ]; then
	echo "packages: a real node needs Linux; going on without one" >&2
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "packages: not root, so nothing is installed (missing: $missing) and there will be no real node" >&2
	exit 0
fi
if ! have apt-get; then
	echo "packages: no apt-get here; for a real node install: $missing" >&2
	exit 0
fi

# Debian starts a server when it installs it. The peers are programs here, not
# services: masked while they are installed, they neither start nor stay enabled.
mask_peers() {
	[ -n "$peers" ] && [ -d /run/systemd/system ] || return 0
	systemctl mask --runtime --quiet haproxy nginx || true
}
unmask_peers() {
	[ -n "$peers" ] && [ -d /run/systemd/system ] || return 0
	systemctl unmask --runtime --quiet haproxy nginx || true
	systemctl disable --quiet haproxy nginx 2>/dev/null || true
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
printf 'packages: installing %s ...' "$missing" >&2
start=$(date +%s)
mask_peers
# shellcheck disable=SC2086 # one word per package
if { apt-get update -q && apt-get install -q -y --no-install-recommends --no-remove $missing; } >"$log" 2>&1; then
	unmask_peers
	echo " done in $(($(date +%s) - start)) s" >&2
else
	echo " failed" >&2
	unmask_peers
	tail -n 5 "$log" >&2
	echo "packages: install them by hand, then run this again: apt-get install $missing" >&2
	exit 1
fi
