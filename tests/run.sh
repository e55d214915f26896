#!/usr/bin/env bash
# Every test: installs what they need, builds with ASan and UBSan, runs all
# suites through ctest and ends with its summary.
#
#   tests/run.sh                 everything
#   tests/run.sh -L unit         what follows goes to ctest as it is
set -eu
cd "$(dirname "$0")/.."
# Some suites become another user, who runs what is built here.
umask 022

./deploy/packages.sh install build demo lab test

cmake --preset debug >/dev/null
cmake --build build/debug
# Two at a time is the machine CI has; one suite never waits for another.
exec ctest --test-dir build/debug --output-on-failure --no-tests=error \
    -j "$(nproc)" "$@"
