#!/bin/sh
# Start a defined SEV domain by virsh alone, the owner's answers by the two
# steps of attest-launch (docs/operations-host.md).  `attest-launch start
# --domain NAME` does the same, and cleans up after a SIGKILL, too.
#
#   virsh.sh DOMAIN UUID --service URL [--ca FILE] [--token-file FILE] ...
#
# LIBVIRT_DEFAULT_URI names the daemon.  The domain has <launchSecurity
# type='sev'>; UUID is the one that the owner registered.
set -eu
domain=$1 uuid=$2
shift 2

tmp=$(mktemp -d)
created=
end() {
	status=$?
	# Whatever failed: no guest without its owner's consent.
	[ -z "$created" ] || virsh -q destroy "$domain" >&2 || true
	rm -rf "$tmp"
	exit "$status"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# What virsh prints as "name : value" as members of an object.
members() {
	sed -n 's/^\([a-z0-9-]*\) *: *\([0-9][0-9]*\)$/"\1":\2,/p
		s/^\([a-z0-9-]*\) *: *\([^ ]*[^ 0-9][^ ]*\)$/"\1":"\2",/p'
}
field() {
	jq -er "$2" "$1"
}

{
	echo '{'
	virsh -q nodesevinfo | members
	printf '"uuid":"%s"}\n' "$uuid"
} >"$tmp/host.json"
attest-launch launch --in "$tmp/host.json" "$@" >"$tmp/session.json"

# libvirt takes it as hexadecimal.
policy=$(printf '0x%x' "$(field "$tmp/session.json" .policy)")
hashes=$(field "$tmp/session.json" 'if ."kernel-hashes" then "yes" else "no" end')
# libvirt prints one element a line: its launchSecurity goes, ours comes.
virsh -q dumpxml --inactive --security-info "$domain" |
    sed '/<launchSecurity/,/<\/launchSecurity>/d; /<\/domain>/d' >"$tmp/domain.xml"
cat >>"$tmp/domain.xml" <<XML
  <launchSecurity type='sev' kernelHashes='$hashes'>
    <policy>$policy</policy>
    <dhCert>$(field "$tmp/session.json" '."owner-cert"')</dhCert>
    <session>$(field "$tmp/session.json" .session)</session>
  </launchSecurity>
</domain>
XML

# Who is stopped in between learns first whether there is a guest to end.
stopped=
trap 'stopped=yes' HUP INT TERM
(trap '' HUP INT TERM; exec virsh -q create --paused "$tmp/domain.xml" >&2)
created=yes
trap 'exit 1' HUP INT TERM
[ -z "$stopped" ] || exit 1

{
	echo '{'
	virsh -q domlaunchsecinfo "$domain" | members
	printf '"uuid":"%s","session-id":%s}\n' "$uuid" \
	    "$(jq '."session-id"' "$tmp/session.json")"
} >"$tmp/measured.json"
attest-launch validate --in "$tmp/measured.json" "$@" >"$tmp/answer.json"

if [ "$(jq .inject "$tmp/answer.json")" = true ]; then
	field "$tmp/answer.json" '."secret-header"' >"$tmp/header"
	field "$tmp/answer.json" '."secret-table"' >"$tmp/secret"
	address=$(jq -r '."secret-address" // empty' "$tmp/answer.json")
	virsh -q domsetlaunchsecstate "$domain" --secrethdr "$tmp/header" \
	    --secret "$tmp/secret" \
	    ${address:+--set-address "$address"} >&2
fi
virsh -q resume "$domain" >&2
created=
echo "$domain is running" >&2
