#include "tests/mock_qemu/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of NAME=VALUE in a comma-separated list. */
static bool
get(char *out, size_t cap, const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; at != NULL;) {
		if (strncmp(at, name, len) == 0 && at[len] == '=') {
			(void)snprintf(out, cap, "%.*s",
			    (int)strcspn(at + len + 1, ","), at + len + 1);
			return true;
		}
		at = strchr(at, ',');
		if (at != NULL)
			at++;
	}
	return false;
}

static int
take_sev(struct line *l, const char *v, struct err *err)
{
	char text[64];

	if (strncmp(v, "sev-guest,", 10) != 0)
		return 0;
	l->sev = true;
	if (!get(text, sizeof(text), v, "cbitpos"))
		return err_set(err, ERR_USAGE, "sev-guest without cbitpos");
	l->cbitpos = (unsigned)strtoul(text, NULL, 0);
	if (!get(text, sizeof(text), v, "reduced-phys-bits"))
		return err_set(
		    err, ERR_USAGE, "sev-guest without reduced-phys-bits");
	l->policy = 1;
	if (get(text, sizeof(text), v, "policy"))
		l->policy = (uint32_t)strtoul(text, NULL, 0);
	if (get(text, sizeof(text), v, "kernel-hashes"))
		l->kernel_hashes = strcmp(text, "on") == 0;
	(void)get(l->cert_file, sizeof(l->cert_file), v, "dh-cert-file");
	(void)get(l->session_file, sizeof(l->session_file), v, "session-file");
	return 0;
}

static int
take(struct line *l, const char *option, const char *v, struct err *err)
{
	char text[64];

	if (strcmp(option, "object") == 0)
		return take_sev(l, v, err);
	if (strcmp(option, "chardev") == 0 && get(text, sizeof(text), v, "fd"))
		l->qmp_fd = (int)strtol(text, NULL, 10);
	if (strcmp(option, "machine") == 0) {
		l->probe |= strncmp(v, "none", 4) == 0;
		l->kvm |= strstr(v, "accel=kvm") != NULL;
		l->confidential |=
		    get(text, sizeof(text), v, "confidential-guest-support");
	}
	if (strcmp(option, "accel") == 0)
		l->kvm |= strcmp(v, "kvm") == 0;
	if (strcmp(option, "bios") == 0)
		l->firmware = v;
	if (strcmp(option, "kernel") == 0)
		l->kernel = v;
	if (strcmp(option, "initrd") == 0)
		l->initrd = v;
	if (strcmp(option, "append") == 0)
		l->cmdline = v;
	if (strcmp(option, "smp") == 0)
		l->vcpus = (unsigned)strtoul(v, NULL, 10);
	return 0;
}

int
line_parse(struct line *out, int argc, char **argv, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->qmp_fd = -1;
	out->vcpus = 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-S") == 0)
			out->paused = true;
		else if (argv[i][0] == '-' && i + 1 < argc &&
		    take(out, argv[i] + 1, argv[i + 1], err) != 0)
			return -1;
	}
	if (out->qmp_fd < 0)
		return err_set(err, ERR_USAGE, "no QMP socket");
	/* As QEMU 7.2, which aborts on an assertion. */
	if (out->sev && !out->kvm)
		return err_set(err, ERR_USAGE, "sev-guest without KVM");
	if (out->sev && !out->confidential)
		return err_set(err, ERR_USAGE, "sev-guest is not in use");
	return 0;
}
