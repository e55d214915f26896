#ifndef AGENT_CLI_OFFLINE_LAUNCH_H
#define AGENT_CLI_OFFLINE_LAUNCH_H

#include <getopt.h>

#include "agent/sev/sev.h"
#include "common/secret.h"

/* The flags that describe a launch, common to `digest` and `verify`. */

#define OFFLINE_LAUNCH_USAGE                                                       \
	"  --firmware FILE      the whole of pflash unit 0, or the -bios file\n"   \
	"  --kernel FILE        measured with kernel-hashes=on\n"                  \
	"  --initrd FILE        needs --kernel\n"                                  \
	"  --cmdline TEXT       needs --kernel; spaces count\n"                    \
	"  --policy N           guest policy; bit 2 (value 4) is SEV-ES\n"         \
	"  --cpus N             number of vCPUs, measured with SEV-ES\n"           \
	"  --cpu-sig N          CPUID signature of the guest's CPU model\n"        \
	"  --cpu-family N --cpu-model N --cpu-stepping N\n"                        \
	"                       the same by its display numbers\n"                 \
	"  --vmsa-cpu0 FILE --vmsa-cpu1 FILE\n"                                    \
	"                       save areas of the first and of every other vCPU\n" \
	"  --vmsa legacy|init2  form of built save areas (legacy)\n"

enum {
	OFFLINE_FIRMWARE = 512,
	OFFLINE_KERNEL,
	OFFLINE_INITRD,
	OFFLINE_CMDLINE,
	OFFLINE_POLICY,
	OFFLINE_CPUS,
	OFFLINE_CPU_SIG,
	OFFLINE_CPU_FAMILY,
	OFFLINE_CPU_MODEL,
	OFFLINE_CPU_STEPPING,
	OFFLINE_VMSA0,
	OFFLINE_VMSA1,
	OFFLINE_VMSA,
	OFFLINE_END
};

/* Entries for an option table. */
#define OFFLINE_LAUNCH_OPTIONS                                                 \
	{ "firmware", required_argument, NULL, OFFLINE_FIRMWARE },             \
	    { "kernel", required_argument, NULL, OFFLINE_KERNEL },             \
	    { "initrd", required_argument, NULL, OFFLINE_INITRD },             \
	    { "cmdline", required_argument, NULL, OFFLINE_CMDLINE },           \
	    { "policy", required_argument, NULL, OFFLINE_POLICY },             \
	    { "cpus", required_argument, NULL, OFFLINE_CPUS },                 \
	    { "num-cpus", required_argument, NULL, OFFLINE_CPUS },             \
	    { "cpu-sig", required_argument, NULL, OFFLINE_CPU_SIG },           \
	    { "cpu-family", required_argument, NULL, OFFLINE_CPU_FAMILY },     \
	    { "cpu-model", required_argument, NULL, OFFLINE_CPU_MODEL },       \
	    { "cpu-stepping", required_argument, NULL, OFFLINE_CPU_STEPPING }, \
	    { "vmsa-cpu0", required_argument, NULL, OFFLINE_VMSA0 },           \
	    { "vmsa-cpu1", required_argument, NULL, OFFLINE_VMSA1 },           \
	{                                                                      \
		"vmsa", required_argument, NULL, OFFLINE_VMSA                  \
	}

/* Options as given (NULL: not), and the files read. */
struct offline_launch {
	const char *given[OFFLINE_END - OFFLINE_FIRMWARE];
	struct secret firmware, vmsa0, vmsa1;
	struct sev_kernel_hashes hashes;
	struct sev_launch launch;
};

/** offline_launch_take(l, opt, arg, err): ERR_USAGE if given twice. */
int offline_launch_take(
    struct offline_launch *l, int opt, const char *arg, struct err *err);

/** offline_launch_any(l): some option but --policy was given. */
bool offline_launch_any(const struct offline_launch *l);

/**
 * offline_launch_load(l, err):
 * Check the options against each other and read the files; then
 * ${l}->launch is ready for sev_digest_launch().
 *   errors  ERR_USAGE, ERR_IO, ERR_LIMIT
 */
int offline_launch_load(struct offline_launch *l, struct err *err);

void offline_launch_free(struct offline_launch *l);

/** offline_number(out, text, max, what, err): decimal, or hex after 0x. */
int offline_number(uint32_t *out, const char *text, uint32_t max,
    const char *what, struct err *err);

#endif
