#include "launch/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a line may not hold, and why.  Text is looked for in the option's
 * value; "" is the option itself. */
static const struct {
	const char *option, *text, *why;
} refused[] = {
	{ "object", "sev-guest", "attest-launch adds it" },
	{ "object", "sev-snp-guest", "SEV-SNP is not supported" },
	{ "object", "tdx-guest", "TDX is not supported" },
	{ "machine", "confidential-guest-support", "attest-launch adds it" },
	{ "machine", "memory-encryption", "attest-launch adds what is needed" },
	{ "machine", "accel=tcg", "SEV needs KVM" },
	{ "machine", "accel=xen", "SEV needs KVM" },
	{ "M", "confidential-guest-support", "attest-launch adds it" },
	{ "M", "memory-encryption", "attest-launch adds what is needed" },
	{ "M", "accel=tcg", "SEV needs KVM" },
	{ "M", "accel=xen", "SEV needs KVM" },
	{ "accel", "tcg", "SEV needs KVM" },
	{ "accel", "xen", "SEV needs KVM" },
	{ "daemonize", "", "the guest must be a child of attest-launch" },
	{ "incoming", "", "a guest that migrates in cannot be attested" },
	{ "loadvm", "", "a snapshot cannot be attested" },
	{ "preconfig", "", "the guest must be complete" },
	{ "readconfig", "", "attest-launch must see all of the line" },
	/* The kernel forgets PR_SET_PDEATHSIG when credentials change, so
	 * that a guest could outlive a killed launcher. */
	{ "runas", "", "start attest-launch as that user" },
	{ "run-with", "user=", "start attest-launch as that user" },
};

/* ${word} names ${option}: QEMU takes one dash or two. */
static bool
names(const char *word, const char *option)
{
	if (word[0] != '-')
		return false;
	word += word[1] == '-' ? 2 : 1;
	return strcmp(word, option) == 0;
}

int
command_check(char *const *argv, size_t count, struct err *err)
{
	if (count == 0)
		return err_set(err, ERR_USAGE,
		    "after -- comes qemu-system-x86_64 and its options");
	for (size_t i = 1; i < count; i++) {
		const char *value = i + 1 < count ? argv[i + 1] : "";

		for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]);
		     k++) {
			if (!names(argv[i], refused[k].option) ||
			    (refused[k].text[0] != '\0' &&
				strstr(value, refused[k].text) == NULL))
				continue;
			return err_set(err, ERR_USAGE,
			    "-%s%s%s cannot be in the line of QEMU: %s",
			    refused[k].option,
			    refused[k].text[0] != '\0' ? " " : "",
			    refused[k].text, refused[k].why);
		}
	}
	return 0;
}

static bool
asks_for_kvm(const char *const *argv, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const char *value = i + 1 < count ? argv[i + 1] : "";

		if (names(argv[i], "enable-kvm") ||
		    (names(argv[i], "accel") && strstr(value, "kvm") != NULL) ||
		    ((names(argv[i], "machine") || names(argv[i], "M")) &&
			strstr(value, "accel=") != NULL))
			return true;
	}
	return false;
}

/* Add a word. */
static int add(struct command *c, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
add(struct command *c, struct err *err, const char *fmt, ...)
{
	char **longer = reallocarray(c->argv, c->count + 2, sizeof(char *));
	char *word = NULL;
	va_list ap;
	int n;

	if (longer == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a command line");
	c->argv = longer;
	c->argv[c->count] = NULL;
	va_start(ap, fmt);
	n = vasprintf(&word, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_set(err, ERR_MEMORY, "no memory for a command line");
	c->argv[c->count++] = word;
	c->argv[c->count] = NULL;
	return 0;
}

/* A monitor of our own on an inherited socket: no path, nobody else on it. */
static int
add_qmp(struct command *c, int fd, struct err *err)
{
	if (add(c, err, "-chardev") != 0 ||
	    add(c, err, "socket,id=attest-qmp,fd=%d", fd) != 0 ||
	    add(c, err, "-mon") != 0 ||
	    add(c, err, "chardev=attest-qmp,mode=control") != 0)
		return -1;
	return 0;
}

int
command_probe(struct command *out, const char *qemu, int fd, struct err *err)
{
	static const char *const words[] = { "-machine", "none,accel=kvm",
		"-nodefaults", "-no-user-config", "-display", "none", "-S" };

	memset(out, 0, sizeof(*out));
	if (add(out, err, "%s", qemu) != 0)
		goto fail;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (add(out, err, "%s", words[i]) != 0)
			goto fail;
	if (add_qmp(out, fd, err) != 0)
		goto fail;
	return 0;
fail:
	command_free(out);
	return -1;
}

int
command_guest(struct command *out, const char *const *argv, size_t count,
    const struct command_sev *sev, int fd, struct err *err)
{
	char owner[96] = "";

	memset(out, 0, sizeof(*out));
	if (sev->session_fd >= 0)
		(void)snprintf(owner, sizeof(owner),
		    ",dh-cert-file=/proc/self/fd/%d,"
		    "session-file=/proc/self/fd/%d",
		    sev->owner_cert_fd, sev->session_fd);
	for (size_t i = 0; i < count; i++)
		if (add(out, err, "%s", argv[i]) != 0)
			goto fail;
	/* sev-guest under TCG aborts QEMU 7.2 on an assertion. */
	if (!asks_for_kvm(argv, count) &&
	    (add(out, err, "-accel") != 0 || add(out, err, "kvm") != 0))
		goto fail;
	if (add(out, err, "-S") != 0 || add(out, err, "-object") != 0 ||
	    add(out, err,
		"sev-guest,id=attest-sev,cbitpos=%u,reduced-phys-bits=%u,"
		"policy=0x%x%s%s",
		sev->cbitpos, sev->reduced_phys_bits, sev->policy, owner,
		sev->kernel_hashes ? ",kernel-hashes=on" : "") != 0 ||
	    add(out, err, "-machine") != 0 ||
	    add(out, err, "confidential-guest-support=attest-sev") != 0 ||
	    add_qmp(out, fd, err) != 0)
		goto fail;
	return 0;
fail:
	command_free(out);
	return -1;
}

void
command_free(struct command *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->argv[i]);
	free(c->argv);
	memset(c, 0, sizeof(*c));
}
