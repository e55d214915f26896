#!/usr/bin/env bash
# Four hosts in network namespaces, the way a first launch meets them:
#
#   owner ---- nat ---- edge ---- compute
#   192.168.77.2        198.51.100.1 (public), 10.77.0.1 (internal)
#              198.51.100.2       10.77.0.2
#
# nat masquerades the owner and drops whatever was not asked for from inside;
# a TCP segment it has no mapping for is dropped, never adopted.  Nothing of
# this touches the machine's own network.
#
#   netlab.sh check              status 0 if this machine can do it
#   netlab.sh up LAB             make the namespaces LAB-owner ... LAB-compute
#   netlab.sh exec LAB HOST CMD...   run CMD on a host, which knows the name
#                                attest.cloud.test for the side of edge it sees
#   netlab.sh forget LAB         nat loses all its mappings
#   netlab.sh move LAB ADDRESS   nat has another outer address, 198.51.100.N, and
#                                no mapping of the one before
#   netlab.sh cut LAB            nat drops every packet, and keeps its mappings,
#   netlab.sh mend LAB           until now
#   netlab.sh down LAB           end what still runs there, and remove it all
set -eu

die() {
	echo "netlab.sh: $*" >&2
	exit 2
}

# link LAB HOST ADDRESS PEER PEER-ADDRESS: a cable between two hosts.
link() {
	local lab=$1 host=$2 address=$3 peer=$4 peer_address=$5
	ip -n "$lab-$host" link add "to-$peer" type veth \
	    peer name "to-$host" netns "$lab-$peer"
	ip -n "$lab-$host" address add "$address" dev "to-$peer"
	ip -n "$lab-$peer" address add "$peer_address" dev "to-$host"
	ip -n "$lab-$host" link set "to-$peer" up
	ip -n "$lab-$peer" link set "to-$host" up
}

up() {
	local lab=$1 host
	for host in owner nat edge compute; do
		ip netns add "$lab-$host"
		ip -n "$lab-$host" link set lo up
	done
	link "$lab" owner 192.168.77.2/24 nat 192.168.77.1/24
	link "$lab" nat 198.51.100.2/24 edge 198.51.100.1/24
	link "$lab" edge 10.77.0.1/24 compute 10.77.0.2/24
	ip -n "$lab-owner" route add default via 192.168.77.1
	ip netns exec "$lab-nat" bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	ip netns exec "$lab-nat" nft -f - <<-'NFT'
	table ip lab {
		chain forward {
			type filter hook forward priority 0; policy drop;
			ct state invalid drop
			ct state established,related accept
			iifname "to-owner" ct state new accept
		}
		chain loss {
			type filter hook forward priority -1; policy accept;
		}
		chain input {
			type filter hook input priority 0; policy drop;
			iifname "to-owner" accept
			ct state established,related accept
		}
		chain postrouting {
			type nat hook postrouting priority 100;
			oifname "to-edge" masquerade random
		}
	}
	NFT
	# Only after conntrack is in use does the namespace have this switch.
	ip netns exec "$lab-nat" bash -c \
	    'echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose'
}

run() {
	local lab=$1 host=$2 edge=198.51.100.1
	shift 2
	[ "$host" = compute ] && edge=10.77.0.1
	# ip netns exec gives the command a mount namespace of its own, so the
	# name is known there and nowhere else.
	exec ip netns exec "$lab-$host" bash -c '
		trap "rm -f \"\$hosts\"" EXIT
		hosts=$(mktemp)
		printf "127.0.0.1 localhost\n%s attest.cloud.test\n" "$1" >"$hosts"
		chmod 644 "$hosts"
		mount --bind "$hosts" /etc/hosts
		rm -f "$hosts"
		shift
		exec "$@"' netlab "$edge" "$@"
}

move() {
	local nat=$1-nat
	# masquerade forgets an address that goes.
	ip -n "$nat" address flush dev to-edge
	ip -n "$nat" address add "$2/24" dev to-edge
}

cut() {
	ip netns exec "$1-nat" nft add rule ip lab loss drop
}

mend() {
	ip netns exec "$1-nat" nft flush chain ip lab loss
}

down() {
	local lab=$1 host pids
	for host in owner nat edge compute; do
		[ -e "/run/netns/$lab-$host" ] || continue
		pids=$(ip netns pids "$lab-$host")
		[ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
		ip netns del "$lab-$host"
	done
}

check() {
	[ "$(id -u)" = 0 ] || return 1
	command -v ip >/dev/null && command -v nft >/dev/null || return 1
	lab="netlab-check-$$"
	# A shell that a signal ends does this, too.
	trap 'trap "" INT TERM HUP
		ip netns del "$lab" 2>/dev/null || true' EXIT
	ip netns add "$lab" 2>/dev/null || return 1
	ip netns exec "$lab" nft add table ip lab 2>/dev/null || return 1
}

[ $# -ge 1 ] ||
    die "usage: netlab.sh check|up|exec|forget|move|cut|mend|down ..."
verb=$1
shift
case $verb in
check) check ;;
up) up "$@" ;;
exec) run "$@" ;;
forget) ip netns exec "$1-nat" conntrack -D >/dev/null 2>&1 || true ;;
move) move "$@" ;;
cut) cut "$@" ;;
mend) mend "$@" ;;
down) down "$@" ;;
*) die "no verb '$verb'" ;;
esac
