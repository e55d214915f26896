#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"

/* `attest-agent help TOPIC`: the few things that an owner has to know and that
 * no option's line has room for. */

static const char usage[] =
    "usage: attest-agent help nvram|firmware|platforms\n"
    "\n"
    "What an owner has to know about one of them.\n"
    "\n"
    "example: attest-agent help firmware\n";

static const struct {
	const char *topic;
	const char *text;
} topics[] = {
	{ "nvram",
	    "The launch digest covers the firmware image (pflash 0) and, with\n"
	    "kernel hashes, kernel, initrd and command line. It does not cover\n"
	    "NVRAM: variables that a host may write as it likes. Firmware that\n"
	    "trusts them (boot order, Secure Boot keys) can be led astray.\n"
	    "\n"
	    "Use firmware without variables: OVMF's AmdSev build, and in the\n"
	    "domain <loader stateless='yes'>, without <nvram>.\n" },
	{ "firmware",
	    "A launch secret needs an area in guest memory that the firmware\n"
	    "names in its GUID table. Debian's and most distributions' OVMF\n"
	    "images have none; OVMF's AmdSev build has (3072 bytes), and it\n"
	    "checks kernel hashes, too: OvmfPkg/AmdSev/AmdSevX64.dsc of edk2,\n"
	    "or OVMF.amdsev.fd of Fedora's edk2-ovmf. See what an image offers\n"
	    "with attest-agent ovmf show FILE.\n" },
	{ "platforms",
	    "A chain of certificates proves a key of AMD's, not a place. Say\n"
	    "whose machines may start the VM (--cloud-cert, the OCA of the\n"
	    "cloud, which it publishes; of a host's whole chain the OCA is\n"
	    "taken) and, where you can, which chips (--chip). Naples parts\n"
	    "(EPYC 7001) are denied: their keys are extractable in software,\n"
	    "so anybody may forge them. To accept them: --allow-naples.\n"
	    "Keys that are known to be out go on a block-list, a file with one\n"
	    "CEK fingerprint a line (--cek-blocklist, or platform.cek-blocklist\n"
	    "for all VMs); it is read again as it changes.\n" },
};

int
cli_topic(const struct cli *cli, int argc, char **argv)
{
	size_t i;

	(void)cli;
	if (argc == 2 && cli_flag(argv, 1, "help"))
		return cli_help(usage);
	for (i = 0; argc == 2 && i < sizeof(topics) / sizeof(topics[0]); i++)
		if (strcmp(argv[1], topics[i].topic) == 0)
			return cli_help(topics[i].text);
	return cli_misuse(usage, "help: want a topic");
}
