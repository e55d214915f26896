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
