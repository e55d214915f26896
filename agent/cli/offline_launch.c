#include "agent/cli/offline_launch.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/offline_file.h"

#define GIVEN(l, option) ((l)->given[OFFLINE_##option - OFFLINE_FIRMWARE])

int
offline_number(uint32_t *out, const char *text, uint32_t max, const char *what,
    struct err *err)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' ||
	    (hex && !isxdigit((unsigned char)text[2])))
		return err_set(err, ERR_USAGE,
		    "%s %s: want a number, decimal or 0x...", what, text);
	if (errno != 0 || n > max)
		return err_set(
		    err, ERR_USAGE, "%s %s: at most %u", what, text, max);
	*out = (uint32_t)n;
	return 0;
}

int
offline_launch_take(
    struct offline_launch *l, int opt, const char *arg, struct err *err)
{
	const char **to = &l->given[opt - OFFLINE_FIRMWARE];

	if (*to != NULL)
		return err_set(
		    err, ERR_USAGE, "an option given twice (%s)", arg);
	*to = arg;
	return 0;
}

bool
offline_launch_any(const struct offline_launch *l)
{
	for (int i = OFFLINE_FIRMWARE; i < OFFLINE_END; i++)
		if (i != OFFLINE_POLICY &&
		    l->given[i - OFFLINE_FIRMWARE] != NULL)
			return true;
	return false;
}

static bool
names_cpu(const struct offline_launch *l)
{
	return GIVEN(l, CPU_FAMILY) != NULL || GIVEN(l, CPU_MODEL) != NULL ||
	    GIVEN(l, CPU_STEPPING) != NULL;
}

/* Options that exclude or need each other, as virt-qemu-sev-validate has it. */
static int
check_options(const struct offline_launch *l, struct err *err)
{
	bool cpu = names_cpu(l), sig = GIVEN(l, CPU_SIG) != NULL;
	bool files = GIVEN(l, VMSA0) != NULL || GIVEN(l, VMSA1) != NULL;

	if (GIVEN(l, FIRMWARE) == NULL)
		return err_set(err, ERR_USAGE, "--firmware is needed");
	if (GIVEN(l, KERNEL) == NULL &&
	    (GIVEN(l, INITRD) != NULL || GIVEN(l, CMDLINE) != NULL))
		return err_set(
		    err, ERR_USAGE, "--initrd and --cmdline need --kernel");
	if (cpu + sig + files > 1)
		return err_set(err, ERR_USAGE,
		    "--cpu-sig, --cpu-family and --vmsa-cpu0 exclude each "
		    "other");
	if (cpu &&
	    (GIVEN(l, CPU_FAMILY) == NULL || GIVEN(l, CPU_MODEL) == NULL ||
		GIVEN(l, CPU_STEPPING) == NULL))
		return err_set(err, ERR_USAGE,
		    "--cpu-family, --cpu-model and --cpu-stepping go "
		    "together");
	if (files && GIVEN(l, VMSA0) == NULL)
		return err_set(err, ERR_USAGE, "--vmsa-cpu1 needs --vmsa-cpu0");
	if (files && GIVEN(l, VMSA) != NULL)
		return err_set(err, ERR_USAGE,
		    "--vmsa is for built save areas, not for files");
	return 0;
}

static int
load_kernel(struct offline_launch *l, struct err *err)
{
	const char *cmdline = GIVEN(l, CMDLINE);

	if (GIVEN(l, KERNEL) == NULL)
		return 0;
	if (offline_file_hash(l->hashes.kernel, GIVEN(l, KERNEL),
		OFFLINE_KERNEL_MAX, err) != 0)
		return -1;
	if (GIVEN(l, INITRD) != NULL
		? offline_file_hash(l->hashes.initrd, GIVEN(l, INITRD),
		      OFFLINE_KERNEL_MAX, err) != 0
		: sev_hash_sha256(l->hashes.initrd, span_of(NULL, 0), err) != 0)
		return -1;
	if (sev_hash_table_cmdline(l->hashes.cmdline,
		span_str(cmdline != NULL ? cmdline : ""), err) != 0)
		return -1;
	l->launch.kernel = &l->hashes;
	return 0;
}

static int
load_signature(struct offline_launch *l, struct err *err)
{
	struct sev_vcpus *cpus = &l->launch.vcpus;
	uint32_t family, model, stepping;

	cpus->source = SEV_VCPU_SIGNATURE;
	if (GIVEN(l, CPU_SIG) != NULL)
		return offline_number(&cpus->signature, GIVEN(l, CPU_SIG),
		    UINT32_MAX, "--cpu-sig", err);
	if (offline_number(
		&family, GIVEN(l, CPU_FAMILY), 270, "--cpu-family", err) != 0 ||
	    offline_number(
		&model, GIVEN(l, CPU_MODEL), 255, "--cpu-model", err) != 0 ||
	    offline_number(&stepping, GIVEN(l, CPU_STEPPING), 15,
		"--cpu-stepping", err) != 0)
		return -1;
	return sev_vmsa_signature(
	    &cpus->signature, family, model, stepping, err);
}

static int
load_vmsa(
    struct secret *out, struct span *to, const char *path, struct err *err)
{
	if (path == NULL)
		return 0;
	if (offline_file_read(out, path, SEV_VMSA_LEN, err) != 0)
		return -1;
	if (out->len != SEV_VMSA_LEN)
		return err_set(err, ERR_USAGE, "%s: %zu bytes, want %d", path,
		    out->len, SEV_VMSA_LEN);
	*to = secret_span(out);
	return 0;
}

static int
load_vcpus(struct offline_launch *l, struct err *err)
{
	struct sev_vcpus *cpus = &l->launch.vcpus;
	const char *form = GIVEN(l, VMSA);

	if (GIVEN(l, CPUS) != NULL &&
	    (offline_number(&cpus->count, GIVEN(l, CPUS), SEV_CPUS_MAX,
		 "--cpus", err) != 0))
		return -1;
	if (GIVEN(l, CPUS) != NULL && cpus->count == 0)
		return err_set(err, ERR_USAGE, "--cpus 0: want at least 1");
	if (form != NULL &&
	    sev_vmsa_variant_find(&cpus->variant, span_str(form), err) != 0)
		return err_wrap(err, "--vmsa %s", form);
	if (GIVEN(l, CPU_SIG) != NULL || names_cpu(l))
		return load_signature(l, err);
	if (GIVEN(l, VMSA0) == NULL)
		return 0;
	cpus->source = SEV_VCPU_FILES;
	if (load_vmsa(&l->vmsa0, &cpus->vmsa0, GIVEN(l, VMSA0), err) != 0 ||
	    load_vmsa(&l->vmsa1, &cpus->vmsa1, GIVEN(l, VMSA1), err) != 0)
		return -1;
	return 0;
}

int
offline_launch_load(struct offline_launch *l, struct err *err)
{
	if (check_options(l, err) != 0)
		return -1;
	if (GIVEN(l, POLICY) != NULL) {
		if (offline_number(&l->launch.policy, GIVEN(l, POLICY),
			UINT32_MAX, "--policy", err) != 0)
			return -1;
	} else {
		/* vCPUs are described for one reason only. */
		bool es = GIVEN(l, CPUS) != NULL || GIVEN(l, CPU_SIG) != NULL ||
		    names_cpu(l) || GIVEN(l, VMSA0) != NULL;

		l->launch.policy = SEV_POLICY_NODBG | (es ? SEV_POLICY_ES : 0);
	}
	if (offline_file_read(
		&l->firmware, GIVEN(l, FIRMWARE), SEV_OVMF_LEN_MAX, err) != 0)
		return -1;
	l->launch.firmware = secret_span(&l->firmware);
	if (load_kernel(l, err) != 0)
		return -1;
	return load_vcpus(l, err);
}

void
offline_launch_free(struct offline_launch *l)
{
	secret_free(&l->firmware);
	secret_free(&l->vmsa0);
	secret_free(&l->vmsa1);
}
