#include "tests/mock_qemu/sev.h"

#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "tests/mock_qemu/fault.h"
#include "tests/mock_qemu/record.h"
#include "tests/psp/secret_table.h"

json_t *
sev_refusal(const char *words)
{
	return json_pack(
	    "{s:{s:s, s:s}}", "error", "class", "GenericError", "desc", words);
}

static json_t *
returned(json_t *v)
{
	return json_pack("{s:o}", "return", v);
}

static json_t *
base64(struct span in)
{
	size_t cap = base64_len(in.len) + 1;
	char *text = malloc(cap);
	json_t *v;

	if (text == NULL)
		return NULL;
	v = json_string(base64_encode(text, cap, in));
	free(text);
	return v;
}

static json_t *
query_capabilities(struct guest *g, const json_t *arguments)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_CHAIN_LEN], id[PSP_CHIP_ID_LEN];
	struct psp *psp = g->psp;

	(void)arguments;
	if (psp_pdh_cert_export(pdh, chain, psp) != PSP_SUCCESS ||
	    psp_get_id(id, psp) != PSP_SUCCESS)
		return sev_refusal("SEV: Failed to get PDH");
	/* In the signature of the PEK. */
	if (fault_is("query-sev-capabilities", "@flip"))
		pdh[0x418] ^= 1;
	return returned(json_pack("{s:o, s:o, s:o, s:i, s:i}", "pdh",
	    base64(span_of(pdh, sizeof(pdh))), "cert-chain",
	    base64(span_of(chain, sizeof(chain))), "cpu0-id",
	    base64(span_of(id, sizeof(id))), "cbitpos", 51, "reduced-phys-bits",
	    1));
}

static json_t *
query_sev(struct guest *g, const json_t *arguments)
{
	const struct psp_api *api = &g->platform.api;
	uint32_t policy = g->policy;

	(void)arguments;
	if (fault_is("query-sev", "@off"))
		return returned(json_pack("{s:b}", "enabled", 0));
	if (fault_is("query-sev", "@policy"))
		policy ^= 2;
	return returned(json_pack("{s:b, s:i, s:i, s:i, s:s, s:i, s:i}",
	    "enabled", 1, "api-major", api->major, "api-minor", api->minor,
	    "build-id", api->build, "state",
	    fault_is("query-sev", "@early") ? "launch-update" : "launch-secret",
	    "policy", (int)policy, "handle", (int)g->handle));
}

static json_t *
query_measure(struct guest *g, const json_t *arguments)
{
	uint8_t data[PSP_MEASUREMENT_LEN];

	(void)arguments;
	memcpy(data, g->measurement, sizeof(data));
	if (fault_is("query-sev-launch-measure", "@flip"))
		data[0] ^= 1;
	return returned(
	    json_pack("{s:o}", "data", base64(span_of(data, sizeof(data)))));
}

static size_t
argument(uint8_t *out, size_t cap, const json_t *arguments, const char *name)
{
	const char *text = json_string_value(json_object_get(arguments, name));
	size_t len = 0;

	if (text == NULL ||
	    base64_decode(out, cap, &len, span_str(text), NULL) != 0)
		return 0;
	return len;
}

static json_t *
inject(struct guest *g, const json_t *arguments)
{
	uint8_t header[PSP_HEADER_LEN], payload[PSP_PAYLOAD_MAX];
	size_t header_len =
	    argument(header, sizeof(header), arguments, "packet-header");
	size_t payload_len =
	    argument(payload, sizeof(payload), arguments, "secret");
	json_int_t at = json_integer_value(json_object_get(arguments, "gpa"));
	struct err err = { 0 };
	struct span found = { 0 };

	if (header_len > 0 && fault_is("sev-inject-launch-secret", "@flip"))
		header[header_len - 1] ^= 1;
	if (guest_inject(g, span_of(header, header_len),
		span_of(payload, payload_len), (uint64_t)at, &err) != 0)
		return sev_refusal(err.msg);
	/* What the guest finds in its memory. */
	(void)secret_table_find(
	    &found, secret_span(&g->memory), SECRET_TABLE_DISK, NULL);
	record("injected",
	    json_pack("{s:s%}", "secret",
		found.ptr == NULL ? "" : (const char *)found.ptr, found.len));
	return returned(json_object());
}

json_t *
sev_command(struct guest *g, const char *name, const json_t *arguments)
{
	static const struct {
		const char *name;
		json_t *(*run)(struct guest *g, const json_t *arguments);
	} commands[] = {
		{ "query-sev-capabilities", query_capabilities },
		{ "query-sev", query_sev },
		{ "query-sev-launch-measure", query_measure },
		{ "sev-inject-launch-secret", inject },
	};
	const char *words = fault(name);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return words != NULL && words[0] != '@'
			    ? sev_refusal(words)
			    : commands[i].run(g, arguments);
	return NULL;
}
