#!/bin/sh
# Sourced by dracut before it leaves for the root, which is open by now: the
# keys are files in memory, and the secret the kernel's.
rm -f "${ATTEST_KEYS:-/run/cryptsetup-keys.d}"/*.key
"${ATTEST_LIB:-/usr/lib/attest-relay}/attest-secret" wipe ||
    echo "attest-luks: the launch secret could not be removed" >&2
