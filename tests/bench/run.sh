#!/usr/bin/env bash
# Whole launches through the release build, and what each party paid for them.
# Nothing here passes or fails; it prints a table.
#
#   tests/bench/run.sh [HOSTS [LAUNCHES-EACH]]
set -eu
cd "$(dirname "$0")/../.."

./deploy/packages.sh install build demo test
cmake --preset release >/dev/null
cmake --build build/release --target \
    attest-relay attest-agent compute-host >/dev/null
export BIN=$PWD/build/release/bin TESTBIN=$PWD/build/release/tests/bin
export SOURCE_DIR=$PWD PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tests/bench/launches.py "$@"
