#include "tests/host/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/hex.h"
#include "tests/psp/crypto.h"

#define CHAIN_CAP (4 * PSP_CERT_LEN + 2 * PSP_AMD_CERT_MAX)

/* Add base64. */
static int
add_bytes(json_t *object, const char *name, struct span data)
{
	size_t cap = base64_len(data.len) + 1;
	char *text = malloc(cap);
	int rc;

	if (text == NULL)
		return -1;
	base64_encode(text, cap, data);
	rc = json_object_set_new(object, name, json_string(text));
	free(text);
	return rc;
}

static int
add_hash(json_t *object, const char *name, struct span data)
{
	uint8_t digest[PSP_SHA256_LEN];
	char text[2 * PSP_SHA256_LEN + 1];

	if (psp_crypto_sha256(digest, data, NULL) != 0)
		return -1;
	return json_object_set_new(object, name,
	    json_string(hex_encode(
		text, sizeof(text), span_of(digest, sizeof(digest)))));
}

static int
add_uint(json_t *object, const char *name, uint32_t v)
{
	return json_object_set_new(object, name, json_integer(v));
}

static int
add_api(json_t *object, const struct machine *m)
{
	return add_uint(object, "api-major", m->reported.major) |
	    add_uint(object, "api-minor", m->reported.minor) |
	    add_uint(object, "build-id", m->reported.build);
}

/* What helps the agent to say "this will not match" early. */
static int
add_hints(json_t *object, const struct machine *m)
{
	int rc = add_uint(object, "cpu-count", m->image.vcpus) |
	    add_hash(object, "firmware-hash", m->image.firmware);

	if (m->image.kernel.len > 0) {
		/* As QEMU measures it: with its NUL. */
		const char *line = (const char *)m->image.cmdline.ptr;

		rc |= add_hash(object, "kernel-hash", m->image.kernel) |
		    add_hash(object, "initrd-hash", m->image.initrd) |
		    add_hash(object, "cmdline-hash",
			span_of(line, strlen(line) + 1));
	}
	return rc;
}

/* NAME=JSON replaces or adds a member, NAME= removes it. */
static int
apply_sets(json_t *object, const char *const *sets, struct err *err)
{
	for (size_t i = 0; i < OPTIONS_SETS && sets[i] != NULL; i++) {
		const char *is = strchr(sets[i], '=');
		char name[64];
		json_t *value;

		(void)snprintf(
		    name, sizeof(name), "%.*s", (int)(is - sets[i]), sets[i]);
		if (is[1] == '\0') {
			(void)json_object_del(object, name);
			continue;
		}
		value = json_loads(is + 1, JSON_DECODE_ANY, NULL);
		if (value == NULL)
			return err_set(err, ERR_USAGE,
			    "%s=: what follows is not JSON", name);
		if (json_object_set_new(object, name, value) != 0)
			return err_set(err, ERR_MEMORY, "no memory");
	}
	return 0;
}

json_t *
messages_launch(
    const struct machine *m, const struct options *o, struct err *err)
{
	const struct psp_platform *p = &m->platform;
	json_t *object = json_object();
	uint8_t chain[CHAIN_CAP];
	size_t len = 0;
	int rc = 0;

	if (machine_chain(chain, sizeof(chain), &len, m, o->chain, err) != 0)
		goto fail;
	rc |= add_bytes(object, "pdh", span_of(p->cert[PSP_PDH], PSP_CERT_LEN));
	rc |= add_bytes(object, "cert-chain", span_of(chain, len));
	rc |= add_bytes(object, "cpu-id", span_of(p->chip_id, PSP_CHIP_ID_LEN));
	if (o->has_policy)
		rc |= add_uint(object, "policy", o->policy);
	if (o->thread_only) {
		rc |= json_object_set_new(
		    object, "cek-signed", json_boolean(o->chain != CHAIN_QEMU));
	} else {
		rc |= json_object_set_new(
		    object, "scheme", json_string("amd-sev"));
		rc |= add_api(object, m) | add_hints(object, m);
		rc |= json_object_set_new(object, "host",
		    json_pack("{s:s, s:s, s:s}", "name", "compute-host", "tool",
			"compute-host", "version", ATTEST_VERSION));
	}
	if (rc != 0) {
		err_set(err, ERR_MEMORY, "no memory for the request");
		goto fail;
	}
	if (apply_sets(object, o->launch_set, err) != 0)
		goto fail;
	return object;
fail:
	json_decref(object);
	return NULL;
}

json_t *
messages_validate(const struct machine *m, const struct options *o,
    const struct launch_answer *answer, struct span measurement,
    struct err *err)
{
	json_t *object = json_object();
	int rc = add_bytes(object, "measurement", measurement);

	rc |= add_api(object, m);
	rc |= add_uint(
	    object, "policy", o->has_policy ? o->policy : answer->policy);
	if (!o->thread_only && !o->no_session_id && !o->cross &&
	    answer->session_id[0] != '\0')
		rc |= json_object_set_new(
		    object, "session-id", json_string(answer->session_id));
	if (!o->thread_only)
		rc |= add_hints(object, m);
	if (rc != 0) {
		err_set(err, ERR_MEMORY, "no memory for the request");
	} else if (apply_sets(object, o->validate_set, err) == 0) {
		return object;
	}
	json_decref(object);
	return NULL;
}

int
messages_text(struct secret *out, const json_t *object, struct err *err)
{
	size_t len = json_dumpb(object, NULL, 0, JSON_COMPACT);

	if (len == 0)
		return err_set(err, ERR_INTERNAL, "JSON was not written");
	if (secret_alloc(out, len, err) != 0)
		return -1;
	(void)json_dumpb(object, (char *)out->ptr, len, JSON_COMPACT);
	return 0;
}

int
messages_url(char *out, size_t cap, const struct options *o, const char *uuid,
    const char *what, struct err *err)
{
	size_t len = strlen(o->service);
	int n;

	while (len > 0 && o->service[len - 1] == '/')
		len--;
	n = snprintf(
	    out, cap, "%.*s/vm/%s/%s", (int)len, o->service, uuid, what);
	if (n < 0 || (size_t)n >= cap)
		return err_set(err, ERR_USAGE, "the service's URL is too long");
	return 0;
}
