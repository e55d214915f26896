#include <stdio.h>
#include <string.h>

#include "agent/json.h"
#include "agent/net/service.h"

/* docs/protocol.md 3: bad text is 400, a bad value is 422 with a pointer. */
static enum problem
judge(const struct json_in *in, char pointer[SERVICE_POINTER_LEN])
{
	if (!in->failed)
		return PROBLEM_COUNT;
	if (in->bad_text)
		return PROBLEM_BAD_REQUEST;
	(void)snprintf(pointer, SERVICE_POINTER_LEN, "%s", in->pointer);
	return PROBLEM_INVALID_FIELD;
}

static void
read_u8(struct json_in *in, const char *name, uint8_t *out, bool *has)
{
	uint64_t n;

	if (!json_uint(in, name, UINT8_MAX, &n))
		return;
	*out = (uint8_t)n;
	if (has != NULL)
		*has = true;
}

static void
read_hints(struct json_in *in, struct policy_hints *h)
{
	uint8_t cmdline[SEV_SHA256_LEN];
	uint64_t n = 0;
	bool major = false;
	bool minor = false;

	read_u8(in, "api-major", &h->build.api_major, &major);
	read_u8(in, "api-minor", &h->build.api_minor, &minor);
	read_u8(in, "build-id", &h->build.build_id, &h->has_build_id);
	h->has_build = major && minor;
	if (json_uint(in, "cpu-count", UINT32_MAX, &n))
		h->cpus = (uint32_t)n;
	h->has_firmware = json_hash(in, "firmware-hash", h->firmware);
	h->has_kernel = json_hash(in, "kernel-hash", h->kernel);
	h->has_initrd = json_hash(in, "initrd-hash", h->initrd);
	/* Some hash the text, QEMU the text and its NUL: judge its form only. */
	(void)json_hash(in, "cmdline-hash", cmdline);
}

/* Only for the owner's eyes, as what the host claims to be. */
static void
read_host(struct json_in *in, struct vault_launch *out)
{
	static const char *const names[] = { "name", "tool", "version" };
	const json_t *host = json_member(in, "host", JSON_OBJECT);
	struct json_in sub = json_in(host, "/host");
	size_t len = 0;
	size_t i;

	if (host == NULL)
		return;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[VAULT_HOST_TEXT_MAX + 1];
		int n;

		if (!json_text(&sub, names[i], sizeof(text), text))
			continue;
		n = snprintf(out->host_claims + len,
		    sizeof(out->host_claims) - len, "%s%s", len > 0 ? " " : "",
		    text);
		if (n > 0 && len + (size_t)n < sizeof(out->host_claims))
			len += (size_t)n;
	}
	if (sub.failed) {
		*in = sub;
		in->failed = true;
	}
}

static enum problem
read_scheme(struct json_in *in, struct vault_launch *out)
{
	char scheme[64];

	if (!json_text(in, "scheme", sizeof(scheme), scheme))
		return PROBLEM_COUNT;
	out->wants_es = strcmp(scheme, "amd-sev-es") == 0;
	if (!out->wants_es && strcmp(scheme, "amd-sev") != 0)
		return PROBLEM_SCHEME_UNSUPPORTED;
	return PROBLEM_COUNT;
}

static enum problem
read_body(json_t **out, struct span body)
{
	struct err err = { 0 };

	if (body.len > JSON_BODY_MAX)
		return PROBLEM_HTTP_413;
	if (json_read(out, body, JSON_BODY_MAX, &err) != 0)
		return PROBLEM_BAD_REQUEST;
	return PROBLEM_COUNT;
}

enum problem
service_read_launch(struct vault_launch *out, char pointer[SERVICE_POINTER_LEN],
    struct span body)
{
	json_t *object = NULL;
	struct json_in in;
	enum problem p;
	uint64_t n = 0;
	size_t len = 0;
	bool cek_signed;

	memset(out, 0, sizeof(*out));
	pointer[0] = '\0';
	p = read_body(&object, body);
	if (p != PROBLEM_COUNT)
		return p;
	in = json_in(object, "");
	p = read_scheme(&in, out);
	if (p != PROBLEM_COUNT)
		goto out;
	json_need(&in, "pdh");
	json_need(&in, "cert-chain");
	(void)json_bytes(
	    &in, "pdh", SEV_CERT_LEN, SEV_CERT_LEN, out->pdh, &len);
	(void)json_bytes(&in, "cert-chain", 3 * SEV_CERT_LEN, SEV_CHAIN_LEN_MAX,
	    out->chain, &out->chain_len);
	/* Nothing in a chain proves the chip id, so it decides nothing; it is
	 * for fetching a CEK by. */
	out->has_cpu_id = json_bytes(&in, "cpu-id", sizeof(out->cpu_id),
	    sizeof(out->cpu_id), out->cpu_id, &len);
	(void)json_flag(&in, "cek-signed", &cek_signed);
	out->has_policy = json_uint(&in, "policy", UINT32_MAX, &n);
	out->policy = (uint32_t)n;
	read_hints(&in, &out->hints);
	read_host(&in, out);
	p = judge(&in, pointer);
out:
	json_decref(object);
	return p;
}

enum problem
service_read_validate(struct vault_validate *out,
    char pointer[SERVICE_POINTER_LEN], struct span body)
{
	uint8_t blob[SEV_MEASURE_BLOB_LEN];
	char id[VAULT_ID_MAX + 1];
	struct policy_hints hints = { 0 };
	json_t *object = NULL;
	struct json_in in;
	enum problem p;
	uint64_t n = 0;
	size_t len = 0;

	memset(out, 0, sizeof(*out));
	pointer[0] = '\0';
	p = read_body(&object, body);
	if (p != PROBLEM_COUNT)
		return p;
	in = json_in(object, "");
	json_need(&in, "measurement");
	json_need(&in, "api-major");
	json_need(&in, "api-minor");
	json_need(&in, "build-id");
	if (json_bytes(
		&in, "measurement", sizeof(blob), sizeof(blob), blob, &len))
		(void)sev_measure_parse(
		    &out->measure, span_of(blob, sizeof(blob)), NULL);
	/* Hints are checked for their form and else unused: every digest of
	 * the VM is tried anyway, so that the work tells nothing. */
	read_hints(&in, &hints);
	out->build = hints.build;
	out->has_policy = json_uint(&in, "policy", UINT32_MAX, &n);
	out->policy = (uint32_t)n;
	/* A hint, too: one that is not ours is as good as none. */
	if (json_text(&in, "session-id", sizeof(id), id))
		out->has_session_id =
		    uuid_parse(&out->session_id, span_str(id), NULL) == 0;
	p = judge(&in, pointer);
	json_decref(object);
	return p;
}
