#!/usr/bin/env bash
# The Debian packages that the project needs, by purpose, and nothing else.
#
#   deploy/packages.sh install GROUP...   install what is missing (as root)
#   deploy/packages.sh check GROUP...     say what is missing; status 1 if any
#   deploy/packages.sh list GROUP...      print the names
#
# Groups: build (compile all programs), demo (what quickstart calls), lab (what
# deploy/netlab.sh calls), bench (the peers of tests/bench), test (what
# tests/run.sh calls beside these).
set -eu

build="cmake ninja-build gcc libc6-dev pkg-config libssl-dev libevent-dev
  libyaml-dev libwebsockets-dev libjansson-dev libsqlite3-dev
  libcurl4-openssl-dev libxml2-dev libvirt-dev libcmocka-dev libseccomp-dev
  libhiredis-dev"
demo="openssl"
lab="iproute2 nftables"
bench="haproxy nginx-light openssh-server openssh-client util-linux"
test="clang-14 llvm-14 libclang-rt-14-dev python3 python3-lxml python3-cryptography
  libvirt-clients-qemu libvirt-clients libvirt-daemon
  libvirt-daemon-driver-qemu qemu-system-x86 libwslay-dev nodejs ovmf conntrack
  curl git gdb strace python3-libvirt jq
  cryptsetup-bin busybox shellcheck initramfs-tools cryptsetup-initramfs
  dracut-core
  prometheus systemd redis-server spin"

die() {
	echo "packages.sh: $*" >&2
	exit 2
}

names() {
	local group
	for group in "$@"; do
		case $group in
		build) printf '%s\n' $build ;;
		demo) printf '%s\n' $demo ;;
		lab) printf '%s\n' $lab ;;
		bench) printf '%s\n' $bench ;;
		test) printf '%s\n' $test ;;
		*) die "no group '$group'; there are build, demo, lab, bench, test" ;;
		esac
	done
}

missing() {
	local name status
	for name in $(names "$@"); do
		# A line for each architecture.
		status=$(dpkg-query -W -f '${db:Status-Status}\n' "$name" \
		    2>/dev/null || true)
		grep -qx installed <<<"$status" || echo "$name"
	done
}

[ $# -ge 2 ] || die "usage: packages.sh install|check|list GROUP..."
verb=$1
shift
names "$@" >/dev/null
case $verb in
list) names "$@" ;;
check)
	want=$(missing "$@" | tr '\n' ' ')
	[ -z "$want" ] && exit 0
	echo "missing Debian packages: $want"
	exit 1
	;;
install)
	want=$(missing "$@" | tr '\n' ' ')
	[ -z "$want" ] && exit 0
	echo "installing Debian packages: $want"
	[ "$(id -u)" = 0 ] || die "not root: run  sudo apt-get install $want"
	# A new machine may be at updating itself.
	tries=1
	until apt-get update -qq || [ $tries = 6 ]; do
		tries=$((tries + 1))
		sleep 10
	done
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 \
	    install -y -qq --no-install-recommends $want >/dev/null
	;;
*) die "no verb '$verb'" ;;
esac
