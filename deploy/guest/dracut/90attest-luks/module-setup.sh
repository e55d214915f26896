#!/bin/bash
# dracut.modules(7): the launch secret as key file of the volumes that the
# initramfs opens.
# shellcheck disable=SC2154  # dracut's own variables

check() {
	require_binaries cryptsetup cat rm mount modprobe || return 1
	# Only where it is asked for: add_dracutmodules+=" attest-luks "
	return 255
}

depends() {
	echo crypt systemd
}

installkernel() {
	hostonly='' instmods efi_secret
}

install() {
	inst_script /usr/lib/attest-relay/attest-secret
	inst_script "$moddir/attest-luks-key" /usr/lib/attest-relay/attest-luks-key
	inst_simple "$moddir/attest-luks-key.service" \
	    "$systemdsystemunitdir/attest-luks-key.service"
	$SYSTEMCTL -q --root "$initdir" enable attest-luks-key.service
	inst_hook pre-pivot 50 "$moddir/attest-luks-wipe.sh"
}
