#!/bin/sh
# Write agent/sev/roots_<generation>.c from tests/fixtures/certs/roots.  The
# arrays are committed; tests/unit/sev/roots_test.c compares them with the
# fixtures.  Run it from the root of the repository when AMD adds a generation.
set -eu

array() {
	printf 'const uint8_t sev_roots_%s_%s[%s] = {\n' "$1" "$2" \
	    "$(wc -c < "$3")"
	od -An -v -tx1 -w12 "$3" | sed 's/ \(..\)/ 0x\1,/g; s/^ /\t/'
	printf '};\n'
}

for g in naples rome milan genoa turin; do
	from=tests/fixtures/certs/roots/$g
	{
		echo '/* Written by roots_generate.sh: ASK and ARK as AMD'
		echo ' * publishes them (tests/fixtures/SOURCES.md). */'
		echo '#include "agent/sev/roots_data.h"'
		echo
		array $g ask $from/ask.cert
		echo
		array $g ark $from/ark.cert
	} > agent/sev/roots_$g.c
done
