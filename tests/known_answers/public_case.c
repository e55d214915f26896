/* kat/public.json: known answers of other projects' test suites. */
#include <stdlib.h>
#include <string.h>

#include "tests/known_answers/launch_case.h"

#define EMPTY                                                                  \
	{                                                                      \
		NULL, 0                                                        \
	}

/*
 * What a call of the product comes to.  A fault of our own is no refusal.
 */
static enum kat_result
answer(int rc, const struct err *err)
{
	if (rc == 0)
		return KAT_PASS;
	return err->code == ERR_INTERNAL || err->code == ERR_MEMORY ||
		err->code == ERR_IO
	    ? KAT_FAIL
	    : KAT_REFUSED;
}

/*
 * "expect": "error: ..." turns a case round: the product must refuse.  Only a
 * refusal by the product counts, not a case that is wrong in itself.
 */
static enum kat_result
settle(const json_t *c, enum kat_result got, struct err *err)
{
	const char *expect = field_text(c, "expect");

	if (!field_has(c, "expect"))
		return got == KAT_PASS ? KAT_PASS : KAT_FAIL;
	if (expect == NULL || strncmp(expect, "error", 5) != 0)
		err_set(err, ERR_MALFORMED, "expect: want \"error: ...\"");
	else if (got == KAT_PASS)
		err_set(err, ERR_UNTRUSTED, "accepted, want %.200s", expect);
	else if (got == KAT_REFUSED)
		return KAT_PASS;
	return KAT_FAIL;
}

static enum kat_result
run_kdf(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct secret key = EMPTY, context = EMPTY, want = EMPTY, got = EMPTY;
	const char *label = field_text(c, "label");
	enum kat_result result = KAT_FAIL;

	(void)file;
	if (label == NULL || field_hex(&key, c, "key", say) != 0 ||
	    field_hex(&want, c, "out", say) != 0 ||
	    (field_has(c, "context") &&
		field_hex(&context, c, "context", say) != 0) ||
	    secret_alloc(&got, want.len, say) != 0) {
		if (label == NULL)
			err_set(say, ERR_MALFORMED, "label: want a string");
		goto out;
	}
	if (want.len == 0) {
		err_set(say, ERR_MALFORMED, "out: empty");
		goto out;
	}
	if (sev_session_kdf(got.ptr, got.len, secret_span(&key), label,
		secret_span(&context), say) != 0 ||
	    field_same(c, "out", secret_span(&got), say) != 0)
		goto out;
	result = KAT_PASS;
out:
	secret_free(&key);
	secret_free(&context);
	secret_free(&want);
	secret_free(&got);
	return result;
}

static enum kat_result
run_hmac(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct secret key = EMPTY, data = EMPTY;
	uint8_t mac[SEV_SHA256_LEN];
	enum kat_result result = KAT_FAIL;

	(void)file;
	if (field_hex(&key, c, "key", say) == 0 &&
	    field_hex(&data, c, "data", say) == 0 &&
	    sev_hash_hmac(mac, secret_span(&key), secret_span(&data), say) ==
		0 &&
	    field_same(c, "out", span_of(mac, sizeof(mac)), say) == 0)
		result = KAT_PASS;
	secret_free(&key);
	secret_free(&data);
	return result;
}

static int
check_session(const json_t *c, struct span z,
    const struct sev_session_seed *seed, uint32_t policy, struct err *err)
{
	struct sev_session_keys keys;
	uint8_t blob[SEV_SESSION_LEN];
	struct reader r = reader_of(span_of(blob, sizeof(blob)));

	if (sev_session_derive(&keys, z, seed->nonce, err) != 0 ||
	    sev_session_wrap(blob, z, policy, seed, err) != 0)
		return -1;
	reader_take(&r, SEV_NONCE_LEN);
	if (field_same(c, "wrap_tk", reader_take(&r, SEV_WRAP_TK_LEN), err))
		return -1;
	reader_take(&r, SEV_IV_LEN);
	if (field_same(c, "wrap_mac", reader_take(&r, SEV_SHA256_LEN), err) ||
	    field_same(c, "policy_mac", reader_take(&r, SEV_SHA256_LEN), err) ||
	    field_same(c, "master_secret", span_of(keys.master, 16), err) ||
	    field_same(c, "kek", span_of(keys.kek, 16), err) != 0)
		return -1;
	return field_same(c, "kik", span_of(keys.kik, 16), err);
}

static enum kat_result
run_session(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct sev_session_seed seed = { { 0 } };
	struct secret z = EMPTY;
	enum kat_result result = KAT_FAIL;
	uint32_t policy;

	(void)file;
	/* z is not always 48 bytes here: other projects' tests cut it. */
	if (field_hex(&z, c, "z", say) == 0 &&
	    field_fixed(seed.nonce, SEV_NONCE_LEN, c, "nonce", say) == 0 &&
	    field_fixed(seed.wrap_iv, SEV_IV_LEN, c, "wrap_iv", say) == 0 &&
	    field_fixed(seed.tek, SEV_TK_LEN, c, "tek", say) == 0 &&
	    field_fixed(seed.tik, SEV_TK_LEN, c, "tik", say) == 0 &&
	    field_uint(&policy, c, "policy", UINT32_MAX, say) == 0 &&
	    check_session(c, secret_span(&z), &seed, policy, say) == 0)
		result = KAT_PASS;
	secret_free(&z);
	return result;
}

static enum kat_result
run_measure(const struct kat_file *file, const json_t *c, struct err *say)
{
	uint8_t digest[SEV_SHA256_LEN], tik[SEV_TK_LEN], nonce[SEV_NONCE_LEN];
	uint8_t wanted[SEV_MEASURE_LEN];
	uint32_t major, minor, build_id, policy;
	struct sev_measure m;
	struct sev_build build;
	int rc;

	(void)file;
	if (field_uint(&major, c, "api_major", 255, say) != 0 ||
	    field_uint(&minor, c, "api_minor", 255, say) != 0 ||
	    field_uint(&build_id, c, "build_id", 255, say) != 0 ||
	    field_uint(&policy, c, "policy", UINT32_MAX, say) != 0 ||
	    field_fixed(digest, sizeof(digest), c, "launch_digest", say) ||
	    field_fixed(nonce, sizeof(nonce), c, "nonce", say) != 0 ||
	    field_fixed(tik, sizeof(tik), c, "tik", say) != 0 ||
	    field_fixed(wanted, sizeof(wanted), c, "measure", say) != 0)
		return KAT_FAIL;
	memcpy(m.mac, wanted, sizeof(m.mac));
	memcpy(m.nonce, nonce, sizeof(m.nonce));
	build = (struct sev_build){ (uint8_t)major, (uint8_t)minor,
		(uint8_t)build_id };
	rc = sev_measure_verify(&m, tik, &build, policy, digest, say);
	return settle(c, answer(rc, say), say);
}

/* A secret for one measurement: table, header and payload. */
static enum kat_result
seal(const json_t *c, const struct sev_secret_entry *entries, size_t count,
    struct err *err)
{
	struct secret table = EMPTY, iv = EMPTY, blob = EMPTY;
	uint8_t header[SEV_SECRET_HEADER_LEN], payload[SEV_SECRET_AREA_MAX];
	uint8_t tik[SEV_TK_LEN], tek[SEV_TK_LEN];
	struct sev_measure m;
	enum kat_result result = KAT_FAIL;
	int rc;

	if (field_fixed(tik, sizeof(tik), c, "tik", err) != 0 ||
	    field_fixed(tek, sizeof(tek), c, "tek", err) != 0 ||
	    field_b64(&iv, c, "iv_b64", err) != 0 ||
	    field_b64(&blob, c, "launch_measure_b64", err) != 0)
		goto out;
	if (iv.len != SEV_IV_LEN) {
		err_set(err, ERR_MALFORMED, "iv_b64: %zu bytes", iv.len);
		goto out;
	}
	rc = sev_measure_parse(&m, secret_span(&blob), err);
	if (rc == 0)
		rc = sev_launch_secret_table(&table, entries, count, NULL, err);
	if (rc == 0)
		rc = sev_launch_secret_seal(header, payload,
		    secret_span(&table), tek, tik, iv.ptr, m.mac, err);
	result = answer(rc, err);
	if (result == KAT_PASS &&
	    (field_same_b64(
		 c, "header_b64", span_of(header, sizeof(header)), err) != 0 ||
		field_same_b64(
		    c, "payload_b64", span_of(payload, table.len), err) != 0))
		result = KAT_FAIL;
out:
	secret_free(&table);
	secret_free(&iv);
	secret_free(&blob);
	return result;
}

static enum kat_result
run_secret(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct sev_secret_entry entries[SEV_SECRET_ENTRIES_MAX + 1];
	struct secret data[SEV_SECRET_ENTRIES_MAX + 1] = { EMPTY };
	enum kat_result result;
	size_t count;

	(void)file;
	if (field_has(c, "expect") == field_has(c, "header_b64") ||
	    field_has(c, "header_b64") != field_has(c, "payload_b64")) {
		err_set(say, ERR_MALFORMED,
		    "want either header_b64 and payload_b64, or expect");
		return KAT_FAIL;
	}
	/* One over the limit, which the product has to refuse. */
	result = field_secrets(
	    entries, data, SEV_SECRET_ENTRIES_MAX + 1, &count, c, say);
	if (result == KAT_PASS)
		result = seal(c, entries, count, say);
	field_secrets_free(data, count);
	return settle(c, result, say);
}

/* A refusal has no other answers that could be compared with anything. */
static int
check_answers(const json_t *c, struct err *err)
{
	static const char *const answers[] = { "hash_table", "reset_addr",
		"vmsa0_sha256", "vmsa1_sha256" };

	if (field_has(c, "expect") == field_has(c, "launch_digest"))
		return err_set(
		    err, ERR_MALFORMED, "want either launch_digest or expect");
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
		if (field_has(c, "expect") && field_has(c, answers[i]))
			return err_set(
			    err, ERR_MALFORMED, "%s beside expect", answers[i]);
	return 0;
}

static enum kat_result
run_digest(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct launch_case lc = { .cpus = 0 };
	uint8_t digest[SEV_SHA256_LEN];
	enum kat_result result = KAT_FAIL;

	if (check_answers(c, say) != 0)
		goto out;
	result = field_firmware(&lc.firmware, file, c, say);
	if (result != KAT_PASS)
		goto out;
	result = KAT_FAIL;
	if (launch_case_system(&lc, c, say) != 0 ||
	    (field_has(c, "policy") &&
		field_uint(&lc.policy, c, "policy", UINT32_MAX, say) != 0))
		goto out;
	/* vCPUs are measured with SEV-ES only. */
	if (!field_has(c, "policy") && lc.cpus > 0)
		lc.policy = SEV_POLICY_NODBG | SEV_POLICY_ES;
	result = answer(launch_case_digest(digest, &lc, say), say);
	if (result == KAT_PASS &&
	    (field_same(c, "launch_digest", span_of(digest, sizeof(digest)),
		 say) != 0 ||
		launch_case_details(&lc, c, say) != 0))
		result = KAT_FAIL;
	result = settle(c, result, say);
out:
	launch_case_free(&lc);
	return result;
}

static const char *const kdf_members[] = { "context", NULL };
static const char *const session_members[] = { "wrap_mac", "policy_mac",
	"master_secret", "kek", "kik", NULL };
static const char *const refusal[] = { "expect", NULL };
static const char *const secret_members[] = { "expect", "header_b64",
	"payload_b64", NULL };
static const char *const digest_members[] = { "expect", "launch_digest",
	"kernel", "initrd", "cmdline", "policy", "cpus", "cpu", "cpu_signature",
	"vmsa_variant", "hash_table", "reset_addr", "vmsa0_sha256",
	"vmsa1_sha256", NULL };

/* The last asks for least, so it is tried last. */
const struct kat_form kat_public_forms[] = {
	{ "KDF", { "key", "label", "out" }, kdf_members, run_kdf },
	{ "HMAC", { "key", "data", "out" }, NULL, run_hmac },
	{ "key wrap",
	    { "z", "nonce", "wrap_iv", "tek", "tik", "policy", "wrap_tk" },
	    session_members, run_session },
	{ "measurement",
	    { "api_major", "api_minor", "build_id", "policy", "launch_digest",
		"nonce", "tik", "measure" },
	    refusal, run_measure },
	{ "secret", { "tik", "tek", "iv_b64", "launch_measure_b64", "secrets" },
	    secret_members, run_secret },
	{ "digest", { "firmware" }, digest_members, run_digest },
};
const size_t kat_public_form_count =
    sizeof(kat_public_forms) / sizeof(*kat_public_forms);
