#!/usr/bin/env bash
# What docs/performance.md tells, measured anew.  Nothing here passes or fails:
# it prints tables of figures and targets, and writes them to a file.
#
#   tests/bench/run.sh [--quick] [FILE]     all of it (default bench.md)
#   tests/bench/run.sh speed [--quick]      beside the peers only
#   tests/bench/run.sh scale [MODE [N]]     one of idle, certificates, storm,
#                                           restart, owner, stuck, neighbours, overload,
#                                           launch; or all
#   tests/bench/run.sh cluster [hop|failover]
#   tests/bench/run.sh launches [HOSTS [EACH]]
#   tests/bench/run.sh restarts [SECONDS [EVERY [RATE]]]   launches over rolling
#                                           restarts: 120 s, one every 5 s, 200
#                                           a second; each kind in turn
set -eu
cd "$(dirname "$0")/../.."

./deploy/packages.sh install build demo test bench
cmake --preset release >/dev/null
cmake --build build/release --target \
    attest-relay attest-agent compute-host relay-bench >/dev/null
export BIN=$PWD/build/release/bin TESTBIN=$PWD/build/release/tests/bin
export SOURCE_DIR=$PWD PYTHONDONTWRITEBYTECODE=1
py=/usr/bin/python3

case ${1:-} in
speed | scale | cluster | launches)
	what=$1
	shift
	exec "$py" "tests/bench/$what.py" "$@"
	;;
restarts)
	export RESTART_SECONDS=${2:-120} RESTART_EVERY=${3:-5} \
	    RESTART_RATE=${4:-200} RESTART_HOSTS=${RESTART_HOSTS:-512}
	cd tests/integration
	case=relay_restart.Restart
	exec "$py" -m unittest "$case.test_takeover_keepalive" \
	    "$case.test_takeover_fresh_connections" "$case.test_restart"
	;;
esac
quick=
if [ "${1:-}" = --quick ]; then
	quick=--quick
	shift
fi
out=${1:-bench.md}
{
	echo "## $(nproc) processors, $(sed -n 's/^model name\s*: //p' \
	    /proc/cpuinfo | head -1), Linux $(uname -r), $(openssl version)"
	echo
	"$py" tests/bench/speed.py $quick
	echo
	"$py" tests/bench/scale.py all $quick
	echo
	"$py" tests/bench/cluster.py
} | tee "$out"
