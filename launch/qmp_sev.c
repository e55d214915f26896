#include "launch/qmp_sev.h"

#include <string.h>

#include "launch/json.h"

/*
 * QEMU's own words, 5.2 to 10.0.  An empty text is any other refusal of that
 * command: one to query-sev-capabilities always speaks of the host.
 */
static const struct {
	const char *command, *says;
	enum outcome means;
} refusals[] = {
	{ "query-sev-capabilities", "", OUTCOME_NO_SEV },
	{ "query-sev", "SEV feature is not available", OUTCOME_NO_SEV },
	{ "query-sev", "has not been found", OUTCOME_NO_SEV },
	{ "query-sev-launch-measure", "SEV launch measurement is not available",
	    OUTCOME_NO_SEV },
	{ "query-sev-launch-measure", "SEV is not enabled", OUTCOME_NO_SEV },
	{ "query-sev-launch-measure", "has not been found", OUTCOME_NO_SEV },
	{ "sev-inject-launch-secret", "SEV not enabled for guest",
	    OUTCOME_NO_SEV },
	{ "sev-inject-launch-secret", "has not been found", OUTCOME_NO_SEV },
	/* The secure processor says that the packet is not for this guest. */
	{ "sev-inject-launch-secret", "LAUNCH_SECRET", OUTCOME_REFUSED },
	{ "sev-inject-launch-secret", "failed to inject", OUTCOME_REFUSED },
};

enum outcome
qmp_sev_judge(const char *command, const char *words)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strcmp(refusals[i].command, command) == 0 &&
		    strstr(words, refusals[i].says) != NULL)
			return refusals[i].means;
	return OUTCOME_CONFIG;
}

/* ${words} are QEMU's, or empty: then it broke the protocol or ended. */
static enum outcome
failed(const char *command, const char *words)
{
	return words[0] == '\0' ? OUTCOME_CONFIG
				: qmp_sev_judge(command, words);
}

int
qmp_sev_host_read(struct qmp_sev_host *out, const json_t *v, struct err *err)
{
	uint64_t cbitpos = 0, reduced = 0;
	const char *pdh = json_string_value(json_object_get(v, "pdh"));
	const char *chain = json_string_value(json_object_get(v, "cert-chain"));

	memset(out, 0, sizeof(*out));
	if (pdh == NULL || chain == NULL)
		return err_set(err, ERR_MALFORMED,
		    "query-sev-capabilities: no pdh or cert-chain");
	if (json_get_uint(&cbitpos, v, "cbitpos", 63, err) != 0 ||
	    json_get_uint(&reduced, v, "reduced-phys-bits", 63, err) != 0)
		return err_wrap(err, "query-sev-capabilities");
	/* cpu0-id since QEMU 7.1. */
	out->facts = json_pack("{s:s, s:s, s:s*}", "pdh", pdh, "cert-chain",
	    chain, "cpu-id", json_string_value(json_object_get(v, "cpu0-id")));
	if (out->facts == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the chain");
	out->cbitpos = (unsigned)cbitpos;
	out->reduced_phys_bits = (unsigned)reduced;
	return 0;
}

void
qmp_sev_host_free(struct qmp_sev_host *h)
{
	json_decref(h->facts);
	h->facts = NULL;
}

int
qmp_sev_guest_read(struct measured *out, const json_t *v, struct err *err)
{
	uint64_t major = 0, minor = 0, build = 0, policy = 0;
	char state[24], type[16];

	memset(out, 0, sizeof(*out));
	if (!json_is_true(json_object_get(v, "enabled")))
		return err_set(err, ERR_UNSUPPORTED,
		    "query-sev: SEV is not enabled for the guest");
	json_get_text(type, sizeof(type), v, "sev-type");
	if (type[0] != '\0' && strcmp(type, "sev") != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "query-sev: a guest of type %s, want sev", type);
	json_get_text(state, sizeof(state), v, "state");
	if (strcmp(state, "launch-secret") != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "query-sev: the guest's state is '%s', want launch-secret",
		    state);
	if (json_get_uint(&major, v, "api-major", 255, err) != 0 ||
	    json_get_uint(&minor, v, "api-minor", 255, err) != 0 ||
	    json_get_uint(&build, v, "build-id", 255, err) != 0 ||
	    json_get_uint(&policy, v, "policy", UINT32_MAX, err) != 0)
		return err_wrap(err, "query-sev");
	out->api_major = (uint8_t)major;
	out->api_minor = (uint8_t)minor;
	out->build_id = (uint8_t)build;
	out->policy = (uint32_t)policy;
	return 0;
}

int
qmp_sev_measurement_read(struct measured *out, const json_t *v, struct err *err)
{
	if (json_get_exact(out->bytes, sizeof(out->bytes), v, "data", err) != 0)
		return err_wrap(err, "query-sev-launch-measure");
	return 0;
}

enum outcome
qmp_sev_host(
    struct qmp_sev_host *out, struct qmp *q, int timeout_ms, struct err *err)
{
	static const char command[] = "query-sev-capabilities";
	json_t *v = NULL;
	char words[160];
	int rc;

	memset(out, 0, sizeof(*out));
	if (qmp_call(&v, words, q, command, NULL, timeout_ms, err) != 0)
		return failed(command, words);
	rc = qmp_sev_host_read(out, v, err);
	json_decref(v);
	return rc == 0 ? OUTCOME_OK : OUTCOME_CONFIG;
}

enum outcome
qmp_sev_measure(
    struct measured *out, struct qmp *q, int timeout_ms, struct err *err)
{
	json_t *v = NULL;
	char words[160];
	bool enabled;
	int rc;

	if (qmp_call(&v, words, q, "query-sev", NULL, timeout_ms, err) != 0)
		return failed("query-sev", words);
	enabled = json_is_true(json_object_get(v, "enabled"));
	rc = qmp_sev_guest_read(out, v, err);
	json_decref(v);
	if (rc != 0)
		return enabled ? OUTCOME_CONFIG : OUTCOME_NO_SEV;
	v = NULL;
	if (qmp_call(&v, words, q, "query-sev-launch-measure", NULL, timeout_ms,
		err) != 0)
		return failed("query-sev-launch-measure", words);
	rc = qmp_sev_measurement_read(out, v, err);
	json_decref(v);
	return rc == 0 ? OUTCOME_OK : OUTCOME_CONFIG;
}

enum outcome
qmp_sev_inject(struct qmp *q, const struct answer_validate *answer,
    int timeout_ms, struct err *err)
{
	static const char command[] = "sev-inject-launch-secret";
	json_t *arguments = json_object(), *none = NULL;
	char words[160];

	if (json_set_bytes(arguments, "packet-header",
		span_of(answer->header, sizeof(answer->header)), err) != 0 ||
	    json_set_bytes(
		arguments, "secret", secret_span(&answer->payload), err) != 0 ||
	    (answer->has_address &&
		json_object_set_new(arguments, "gpa",
		    json_integer((json_int_t)answer->address)) != 0)) {
		json_decref(arguments);
		err_set(err, ERR_MEMORY, "no memory for the secret");
		return OUTCOME_BUG;
	}
	if (qmp_call(&none, words, q, command, arguments, timeout_ms, err) != 0)
		return failed(command, words);
	json_decref(none);
	return OUTCOME_OK;
}

enum outcome
qmp_sev_run(struct qmp *q, int timeout_ms, struct err *err)
{
	json_t *v = NULL;
	char words[160];
	bool running;

	if (qmp_call(&v, words, q, "cont", NULL, timeout_ms, err) != 0)
		return OUTCOME_CONFIG;
	json_decref(v);
	v = NULL;
	/* `cont` of a guest that cannot run may return and say nothing. */
	if (qmp_call(&v, words, q, "query-status", NULL, timeout_ms, err) != 0)
		return OUTCOME_CONFIG;
	running = json_is_true(json_object_get(v, "running"));
	json_decref(v);
	if (running)
		return OUTCOME_OK;
	err_set(err, ERR_UNSUPPORTED, "QEMU: cont: the guest does not run");
	return OUTCOME_CONFIG;
}
