#!/usr/bin/env bash
# A complete confidential launch on this machine: guest owner behind NAT,
# relay at the cloud's edge, compute host with a software secure processor.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	cat <<'TEXT'
usage: deploy/quickstart.sh [--no-install] [--loopback] [--vms N] [--keep]

Builds the programs and plays one confidential launch from registration to
the opened disk passphrase.  Everything lives in one temporary folder.

  --no-install  only check for the Debian packages, install none
  --loopback    stay on 127.0.0.1 even where network namespaces could be made
  --vms N       launch N VMs at once (1 to 64)
  --keep        leave the programs running and the folder in place, and say
                how to use and how to end them
TEXT
}

die() {
	echo "quickstart: $*" >&2
	exit 1
}

say() {
	printf '\n== %s\n' "$*"
}

install=1 keep=0 vms=1 loopback=0
while [ $# -gt 0 ]; do
	case $1 in
	--no-install) install=0 ;;
	--loopback) loopback=1 ;;
	--keep) keep=1 ;;
	--vms)
		[ $# -ge 2 ] || { usage >&2; exit 2; }
		vms=$2
		shift
		;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
case $vms in
'' | *[!0-9]* | 0 | ???*) die "--vms takes a number from 1 to 64" ;;
esac
[ "$vms" -le 64 ] || die "--vms takes a number from 1 to 64"

work= lab=
cleanup() {
	local status=$? jobs
	trap - EXIT
	[ $keep = 1 ] && [ $status = 0 ] && exit 0
	# Whoever is impatient leaves nothing behind either.
	trap '' INT TERM HUP
	jobs=$(jobs -p)
	[ -z "$jobs" ] || kill $jobs 2>/dev/null || true
	wait 2>/dev/null || true
	[ -z "$lab" ] || ./deploy/netlab.sh down "$lab"
	[ -z "$work" ] || rm -rf "$work"
	exit $status
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

say "packages"
groups="build demo"
# Namespaces need two packages more, and only root can make them.
[ "$(id -u)" = 0 ] && [ $loopback = 0 ] && groups="$groups lab"
if [ $install = 1 ]; then
	./deploy/packages.sh install $groups
else
	./deploy/packages.sh check $groups ||
	    die "install them, or run without --no-install"
fi
echo "all there"

say "build (release)"
build=build/release
mkdir -p "$build"
# Two builds in one folder would take each other's halves of files for whole.
exec 9>"$build/quickstart.lock"
flock 9
if ! { cmake --preset release && cmake --build "$build" --target \
    attest-relay attest-agent psp compute-host; } >"$build/quickstart.log" 2>&1
then
	tail -n 40 "$build/quickstart.log" >&2
	die "the build failed; all of its output is in $build/quickstart.log"
fi
exec 9>&-
bin=$PWD/$build/bin testbin=$PWD/$build/tests/bin
firmware=$PWD/tests/fixtures/firmware/synthetic-fw-a.bin
echo "built $("$bin/attest-relay" --version), $("$bin/attest-agent" --version)"

umask 077
temp=${TMPDIR:-/tmp}
# A relay started as root is nobody when it opens its state, and is not let
# into a folder of root's own.
[ "$(id -u)" != 0 ] || setpriv --reuid nobody --regid nogroup --clear-groups \
    test -x "$temp" || temp=/tmp
work=$(mktemp -d "$temp/attest-quickstart.XXXXXX")
chmod 711 "$work"

# on HOST CMD...: run CMD on that host of the lab, or right here.
on() {
	local host=$1
	shift
	if [ -n "$lab" ]; then
		exec ./deploy/netlab.sh exec "$lab" "$host" "$@"
	fi
	exec "$@"
}

: >"$work/relay.log" >"$work/agent.log"

# ready NAME PID LOG: wait until the program says so.
ready() {
	timeout 30 grep -q -m1 'ready: ' <(tail -n +1 -f --pid="$2" "$3") || {
		tail -n 20 "$3" >&2
		die "$1 did not get ready"
	}
}

say "network"
if [ $loopback = 0 ] && ./deploy/netlab.sh check; then
	lab=ar$$
	./deploy/netlab.sh up "$lab"
	name=attest.cloud.test public=198.51.100.1:8443 internal=10.77.0.1:9443
	echo "four hosts in network namespaces: the owner is behind NAT"
	echo "(masquerade, inbound dropped); the compute host has no route to her"
else
	name=localhost public=127.0.0.1:0 internal=127.0.0.1:0
	echo "loopback only: all parties on 127.0.0.1 (namespaces and NAT need"
	echo "root, iproute2 and nftables)"
fi

say "throw-away certificate authority, keys and tokens in $work"
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -days 30 -keyout "$work/$1.key" -out "$work/$1.crt" \
	    "${@:2}" 2>/dev/null
}
certificate ca -subj "/CN=quickstart CA"
certificate relay -subj "/CN=$name" -CA "$work/ca.crt" -CAkey "$work/ca.key" \
    -addext "subjectAltName=DNS:$name" -addext "basicConstraints=CA:FALSE"
openssl rand -hex 32 | tr -d '\n' >"$work/host.token"
"$testbin/psp" platform new "$work/platform" >/dev/null
echo "platform: software secure processor with a key hierarchy of its own"

owner() {
	"$bin/attest-agent" --state "$work/agent" "$@"
}
key=$(owner key new | tail -n 1)
echo "owner:    $key"

say "the owner registers $vms VM(s)"
openssl rand 65536 >"$work/vmlinuz"
openssl rand 65536 >"$work/initrd.img"
cmdline="console=ttyS0 root=/dev/mapper/root"
: >"$work/vms"
for i in $(seq "$vms"); do
	passphrase=$(openssl rand -base64 18)
	printf '%s' "$passphrase" >"$work/passphrase"
	owner vm add "web$i" --new-uuid --policy 0x7 --cpus 2 \
	    --cpu-sig 0x00a00f11 --firmware "$firmware" \
	    --kernel "$work/vmlinuz" --initrd "$work/initrd.img" \
	    --cmdline "$cmdline" \
	    --root "$work/platform/ark.cert" --root "$work/platform/ask.cert" \
	    --cloud-cert "$work/platform/oca.cert" \
	    --cek "$work/platform/cek.cert" \
	    --secret-file "$work/passphrase" >"$work/added"
	[ "$i" -gt 1 ] || cat "$work/added"
	rm "$work/passphrase"
	uuid=$(grep -oE -m1 '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' \
	    "$work/added" | head -n 1)
	echo "$uuid $passphrase" >>"$work/vms"
done

say "the cloud starts attest-relay"
cat >"$work/relay.yaml" <<YAML
name: $name
base: /sev
state: $work/relay.state
admin: {socket: $work/admin.sock}
takeover: {socket: $work/takeover.sock}
public:
  listen: ["$public"]
  certificate: $work/relay.crt
  key: $work/relay.key
internal:
  listen: ["$internal"]
  certificate: $work/relay.crt
  key: $work/relay.key
hosts:
  auth: [bearer]
  tokens:
    - name: cn-17
      sha256: $(sha256sum "$work/host.token" | cut -d' ' -f1)
tenants:
  - name: acme
    keys: ["$key"]
    self-certifying: yes
YAML
on edge "$bin/attest-relay" --config "$work/relay.yaml" \
    >"$work/relay.log" 2>&1 &
relay=$!
ready attest-relay $relay "$work/relay.log"
ports=$(grep -m1 'ready: ' "$work/relay.log")
public_port=$(sed -E 's/.*public [^ ]*:([0-9]+),.*/\1/' <<<"$ports")
internal_port=$(sed -E 's/.*internal [^ ]*:([0-9]+).*/\1/' <<<"$ports")
sed 's/^/  relay | /' "$work/relay.log"

say "the owner starts attest-agent, which dials out"
on owner "$bin/attest-agent" --state "$work/agent" run \
    --relay "wss://$name:$public_port/sev" --ca "$work/ca.crt" \
    >"$work/agent.log" 2>&1 &
agent=$!
ready attest-agent $agent "$work/agent.log"
sed 's/^/  owner | /' "$work/agent.log"

say "the compute host starts the VM(s) through the relay"
relay_lines=$(wc -l <"$work/relay.log") agent_lines=$(wc -l <"$work/agent.log")
launch() {
	on compute "$testbin/compute-host" launch --transcript \
	    --service "https://$name:$internal_port/sev" --ca "$work/ca.crt" \
	    --token-file "$work/host.token" --uuid "$1" \
	    --platform "$work/platform" --firmware "$firmware" \
	    --kernel "$work/vmlinuz" --initrd "$work/initrd.img" \
	    --cmdline "$cmdline" --vcpus 2 --cpu-sig 0x00a00f11 \
	    >"$work/host.$1" 2>&1
}
hosts=
while read -r uuid _; do
	launch "$uuid" &
	hosts="$hosts $!"
done <"$work/vms"
failed=0
for host in $hosts; do
	wait "$host" || failed=1
done
read -r first _ <"$work/vms"
grep -v '^secret opened' "$work/host.$first" || true
[ "$vms" = 1 ] || echo "   (and $((vms - 1)) more, all at once)"

say "what the relay saw: heads and sizes, no body"
tail -n +$((relay_lines + 1)) "$work/relay.log" | sed 's/^/  relay | /'
say "what the owner's log says"
tail -n +$((agent_lines + 1)) "$work/agent.log" | sed 's/^/  owner | /'

if [ $failed = 1 ]; then
	while read -r uuid _; do
		cat "$work/host.$uuid" >&2
	done <"$work/vms"
	die "a launch failed"
fi

if [ $keep = 1 ]; then
	say "kept running"
	echo "folder   $work"
	echo "relay    pid $relay    agent    pid $agent"
	# As a shell takes them.
	printf 'status   %q --state %q status\n' "$bin/attest-agent" "$work/agent"
	printf 'end it   kill %s; %srm -r %q\n' "$agent $relay" \
	    "${lab:+deploy/netlab.sh down $lab; }" "$work"
fi
say "result"
while read -r uuid passphrase; do
	line=$(tail -n 1 "$work/host.$uuid")
	[ "$line" = "secret opened by the secure processor: $passphrase" ] ||
	    die "$uuid: another secret than the one registered: $line"
	echo "$line"
done <"$work/vms"
