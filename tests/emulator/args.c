#include "tests/emulator/args.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
push(struct args *a, const char *word)
{
	char **longer =
	    reallocarray(a->argv, (size_t)a->argc + 2, sizeof(char *));

	if (longer == NULL)
		return -1;
	a->argv = longer;
	a->argv[a->argc] = strdup(word);
	a->argv[a->argc + 1] = NULL;
	return a->argv[a->argc++] == NULL ? -1 : 0;
}

static int
push_monitor(struct args *a, const char *id, int qmp)
{
	char text[96];

	(void)snprintf(text, sizeof(text),
	    "socket,id=%s,fd=%d,server=on,wait=off", id, qmp);
	return push(a, "-chardev") | push(a, text);
}

static void
copy(char *out, size_t cap, const json_t *o, const char *name)
{
	const char *v = json_string_value(json_object_get(o, name));

	(void)snprintf(out, cap, "%s", v == NULL ? "" : v);
}

/* The sev-guest among the objects; it goes no further. */
static bool
take_object(struct args *a, const char *value)
{
	json_t *o = json_loads(value, 0, NULL);
	const char *type = json_string_value(json_object_get(o, "qom-type"));
	struct line *l = &a->line;
	bool ours = type != NULL && strcmp(type, "sev-guest") == 0;

	if (ours) {
		l->sev = true;
		l->policy =
		    (uint32_t)json_integer_value(json_object_get(o, "policy"));
		l->cbitpos =
		    (unsigned)json_integer_value(json_object_get(o, "cbitpos"));
		l->kernel_hashes =
		    json_is_true(json_object_get(o, "kernel-hashes"));
		copy(l->cert_file, sizeof(l->cert_file), o, "dh-cert-file");
		copy(l->session_file, sizeof(l->session_file), o,
		    "session-file");
	}
	json_decref(o);
	return ours;
}

/* The first flash is the firmware. */
static void
take_blockdev(struct args *a, const char *value)
{
	json_t *o = json_loads(value, 0, NULL);
	const char *node = json_string_value(json_object_get(o, "node-name"));

	if (node != NULL && strcmp(node, "libvirt-pflash0-storage") == 0) {
		copy(a->files[0], sizeof(a->files[0]), o, "filename");
		a->line.firmware = a->files[0];
	}
	json_decref(o);
}

static int
push_machine(struct args *a, const char *value)
{
	static const char use[] = ",confidential-guest-support=";
	const char *at = strstr(value, use);
	char text[1024];

	a->line.confidential |= at != NULL;
	if (at == NULL)
		return push(a, value);
	(void)snprintf(text, sizeof(text), "%.*s%s", (int)(at - value), value,
	    at + sizeof(use) - 1 + strcspn(at + sizeof(use) - 1, ","));
	return push(a, text);
}

/* One option with its value; 1: it was none of these. */
static int
take(struct args *a, const char *option, const char *value, int qmp)
{
	const struct {
		const char *option;
		const char **to;
	} kept[] = { { "-bios", &a->line.firmware },
		{ "-kernel", &a->line.kernel }, { "-initrd", &a->line.initrd },
		{ "-append", &a->line.cmdline } };
	const char *fd = strstr(value, ",fd=");

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(option, kept[i].option) == 0)
			*kept[i].to = value;
	if (strcmp(option, "-smp") == 0)
		a->line.vcpus = (unsigned)strtoul(value, NULL, 10);
	if (strcmp(option, "-blockdev") == 0)
		take_blockdev(a, value);
	if (strcmp(option, "-object") == 0 && take_object(a, value))
		return 0;
	if (strcmp(option, "-machine") == 0)
		return push(a, option) | push_machine(a, value);
	if (strcmp(option, "-chardev") == 0 && fd != NULL &&
	    strstr(value, "id=charmonitor,") != NULL) {
		a->run = true;
		a->monitor = (int)strtol(fd + 4, NULL, 10);
		return push_monitor(a, "charmonitor", qmp);
	}
	if (strcmp(option, "-qmp") == 0 && strncmp(value, "unix:", 5) == 0) {
		(void)snprintf(a->files[1], sizeof(a->files[1]), "%.*s",
		    (int)strcspn(value + 5, ","), value + 5);
		a->probe = a->files[1];
		return push_monitor(a, "probe", qmp) | push(a, "-mon") |
		    push(a, "chardev=probe,mode=control");
	}
	if (strcmp(option, "-pidfile") == 0) {
		a->pidfile = value;
		return 0;
	}
	return 1;
}

int
args_read(struct args *out, char **argv, int qmp, struct err *err)
{
	int bad = 0;

	memset(out, 0, sizeof(*out));
	out->line.vcpus = 1;
	out->monitor = -1;
	for (char **word = argv; *word != NULL; word++) {
		/* A value of no option stands alone: "-S", "-nodefaults". */
		int taken =
		    word[1] == NULL ? 1 : take(out, *word, word[1], qmp);

		if (taken == 1 && strcmp(*word, "-daemonize") != 0)
			bad |= push(out, *word);
		out->line.paused |= strcmp(*word, "-S") == 0;
		if (taken != 1) {
			bad |= taken;
			word++;
		}
	}
	if (bad != 0)
		return err_set(err, ERR_MEMORY, "no memory for a line");
	if (out->run && out->line.sev && !out->line.confidential)
		return err_set(err, ERR_USAGE, "sev-guest is not in use");
	return 0;
}
