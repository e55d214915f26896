#include <stdio.h>
#include <string.h>

#include "agent/json.h"
#include "agent/register/register_impl.h"

/* The members "kernels" and "secrets" of a registration. */

static int
refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_USAGE, "%s", what);
}

/* One of several kernels: what it does not name, QEMU measures as empty, and
 * so that the lists stay in step, it is put in as that. */
static int
take_kernel(struct register_plan *p, const json_t *v, struct err *err)
{
	static const struct {
		const char *member, *other, *none;
	} parts[] = {
		{ "kernel", "kernel-hash", NULL },
		{ "initrd", "initrd-hash",
		    "e3b0c44298fc1c149afbf4c8996fb924"
		    "27ae41e4649b934ca495991b7852b855" },
		{ "cmdline", "cmdline-hash", "" },
	};
	size_t known = 0;
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const json_t *part = json_object_get(v, parts[i].member);
		const char *option = parts[i].member;
		int rc;

		if (part == NULL) {
			part = json_object_get(v, parts[i].other);
			option = parts[i].other;
		}
		if (part != NULL) {
			known++;
			rc = register_scalar(p, option, part, err);
		} else if (parts[i].none == NULL) {
			return refuse(err, "want a kernel in each entry");
		} else {
			rc = register_option(p,
			    parts[i].none[0] != '\0' ? parts[i].other
						     : parts[i].member,
			    parts[i].none, err);
		}
		if (rc != 0)
			return -1;
	}
	if (!json_is_object(v) || known != json_object_size(v))
		return refuse(err, "want kernel, initrd and cmdline");
	return 0;
}

int
register_kernels(struct register_plan *p, const json_t *v, struct err *err)
{
	size_t i;

	if (!json_is_array(v))
		return refuse(err, "want a list");
	for (i = 0; i < json_array_size(v); i++)
		if (take_kernel(p, json_array_get(v, i), err) != 0)
			return -1;
	return 0;
}

/* {"type", "guid", "passphrase" | "file" | "command"} */
static int
take_secret(struct register_plan *p, const json_t *v, struct err *err)
{
	static const char *const known[] = { "type", "guid", "passphrase",
		"file", "command" };
	const json_t *pass = json_object_get(v, "passphrase");
	const json_t *file = json_object_get(v, "file");
	const json_t *command = json_object_get(v, "command");
	const json_t *type = json_object_get(v, "type");
	const json_t *guid = json_object_get(v, "guid");
	const char *name = guid != NULL ? json_string_value(guid) : "luks-key";
	const json_t *from = file != NULL ? file : command;
	struct sev_guid id;
	char option[1200];
	size_t members = 0;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		members += json_object_get(v, known[i]) != NULL ? 1 : 0;
	if (!json_is_object(v) || members != json_object_size(v))
		return refuse(err,
		    "secrets: want type, guid, and passphrase, file or "
		    "command");
	if ((pass != NULL) + (file != NULL) + (command != NULL) != 1 ||
	    name == NULL)
		return refuse(
		    err, "secrets: want one of passphrase, file, command");
	if (guid == NULL &&
	    (!json_is_string(type) ||
		strcmp(json_string_value(type), "luks-passphrase") != 0))
		return refuse(
		    err, "secrets: want type luks-passphrase, or a guid");
	if (sev_guid_parse(&id, span_str(name), err) != 0)
		return -1;
	if (json_is_string(pass))
		return register_secret(p, &id,
		    span_of(json_string_value(pass), json_string_length(pass)),
		    err);
	if (!json_is_string(from))
		return refuse(err, "secrets: want a string");
	if (json_string_length(from) > 1024)
		return refuse(err, "secrets: too long");
	(void)snprintf(
	    option, sizeof(option), "%s=%s", name, json_string_value(from));
	return register_option(
	    p, file != NULL ? "secret" : "secret-command", option, err);
}

int
register_secrets(struct register_plan *p, const json_t *v, struct err *err)
{
	size_t i;

	if (!json_is_array(v))
		return refuse(err, "secrets: want a list");
	for (i = 0; i < json_array_size(v); i++)
		if (take_secret(p, json_array_get(v, i), err) != 0)
			return -1;
	return 0;
}
